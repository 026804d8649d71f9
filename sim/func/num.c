#include "sim/func/num.h"

#include <assert.h>

/* clang-format off */
const NumFormat num_formats[NUM_TYPES] = {
    /*            name   exp frac pad   bias  sign   inf    nan  */
    [NUM_F16]   = {"f16",    5, 10,  0,   15, true,  true,  true},
    [NUM_BF16]  = {"bf16",   8,  7,  0,  127, true,  true,  true},
    [NUM_TF32]  = {"tf32",   8, 10, 13,  127, true,  true,  true},
    [NUM_F32]   = {"f32",    8, 23,  0,  127, true,  true,  true},
    [NUM_F64]   = {"f64",   11, 52,  0, 1023, true,  true,  true},
    [NUM_E4M3]  = {"e4m3",   4,  3,  0,    7, true,  false, true},
    [NUM_E5M2]  = {"e5m2",   5,  2,  0,   15, true,  true,  true},
    [NUM_E2M3]  = {"e2m3",   2,  3,  0,    1, true,  false, false},
    [NUM_E3M2]  = {"e3m2",   3,  2,  0,    3, true,  false, false},
    [NUM_E2M1]  = {"e2m1",   2,  1,  0,    1, true,  false, false},
    [NUM_UE8M0] = {"ue8m0",  8,  0,  0,  127, false, false, true},
};
/* clang-format on */

static uint64_t low_ones(unsigned n)
{
    return n >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
}

static unsigned msb(uint64_t x)
{
    assert(x != 0);
    return 63u - (unsigned)__builtin_clzll(x);
}

/* All bits of exponent and fraction set: the canonical NaN of the formats that have one. */
static uint64_t all_ones(const NumFormat *f)
{
    return low_ones((unsigned)f->exp_bits + f->frac_bits);
}

static uint64_t inf_code(const NumFormat *f)
{
    return low_ones(f->exp_bits) << f->frac_bits;
}

static uint64_t max_code(const NumFormat *f)
{
    if (f->has_inf)
        return inf_code(f) - 1;
    return f->has_nan ? all_ones(f) - 1 : all_ones(f);
}

static uint64_t sign_code(const NumFormat *f, bool negative)
{
    bool sign = negative && f->has_sign;
    return sign ? UINT64_C(1) << (f->exp_bits + f->frac_bits) : 0;
}

/* The exponent of code 1 << frac_bits; ue8m0 has no zero and starts one lower. */
static int min_exp(const NumFormat *f)
{
    return f->has_sign ? 1 - f->bias : -f->bias;
}

NumValue num_unpack(NumType from, uint64_t bits)
{
    const NumFormat *f = &num_formats[from];
    uint64_t code = bits >> f->pad_bits;
    uint64_t mag = code & all_ones(f), frac = code & low_ones(f->frac_bits);
    int field = (int)(mag >> f->frac_bits);
    NumValue v = {.negative = (code & sign_code(f, true)) != 0};

    if (f->has_inf ? mag > inf_code(f) : f->has_nan && mag == all_ones(f)) {
        v.kind = NUM_NAN;
    } else if (f->has_inf && mag == inf_code(f)) {
        v.kind = NUM_INF;
    } else if (mag == 0 && f->has_sign) {
        v.kind = NUM_ZERO;
    } else {
        bool hidden = field > 0 || !f->has_sign;
        v.kind = NUM_FINITE;
        v.sig = hidden ? frac | UINT64_C(1) << f->frac_bits : frac;
        v.exp = (hidden && f->has_sign ? field - f->bias : field + min_exp(f)) - f->frac_bits;
    }
    return v;
}

NumValue num_of_u64(uint64_t x)
{
    return (NumValue){.kind = x ? NUM_FINITE : NUM_ZERO, .sig = x};
}

NumValue num_of_s64(int64_t x)
{
    NumValue v = num_of_u64(x < 0 ? 0 - (uint64_t)x : (uint64_t)x);
    v.negative = x < 0;
    return v;
}

/* sig / 2^shift + random / 2^random_bits as an integer, rounded down. sig has at most 24 bits:
 * random rounding is of f32. */
static uint64_t shift_random(uint64_t sig, int shift, NumMode mode)
{
    int at = shift - mode.random_bits; /* place of the lowest random bit */
    if (at > 24)
        return 0; /* the random bits have nothing to meet */
    uint64_t random = at >= 0 ? (uint64_t)mode.random << at : (uint64_t)mode.random >> -at;
    return (sig + random) >> shift;
}

/* sig / 2^shift as an integer, rounded. */
static uint64_t shift_round(uint64_t sig, int shift, bool negative, NumRnd rnd)
{
    if (shift <= 0)
        return sig << -shift;
    if (shift > 64) {
        sig = sig != 0; /* below one half whatever it is */
        shift = 64;
    }
    uint64_t kept = shift == 64 ? 0 : sig >> shift;
    uint64_t half = UINT64_C(1) << (shift - 1);
    uint64_t rest = sig & low_ones((unsigned)shift);
    bool up = false;
    switch (rnd) {
    case NUM_RN:
        up = rest > half || (rest == half && (kept & 1));
        break;
    case NUM_RNA:
        up = rest >= half;
        break;
    case NUM_RM:
        up = rest && negative;
        break;
    case NUM_RP:
        up = rest && !negative;
        break;
    case NUM_RZ:
    case NUM_RS: /* shift_random */
    case NUM_RNDS:
        break;
    }
    return kept + up;
}

/* The code of a finite value too large for the format. */
static uint64_t overflow_code(const NumFormat *f, bool negative, NumMode mode)
{
    bool toward_zero = mode.rnd == NUM_RZ || mode.rnd == (negative ? NUM_RP : NUM_RM);
    if ((mode.flags & NUM_SATFINITE) || toward_zero || !f->has_nan)
        return max_code(f);
    return f->has_inf ? inf_code(f) : all_ones(f);
}

static uint64_t finite_code(const NumFormat *f, NumValue v, NumMode mode)
{
    int top = v.exp + (int)msb(v.sig);
    int lowest = min_exp(f);
    if (!f->has_sign && top < lowest)
        return 0;
    int e = top < lowest ? lowest : top;
    if (e > f->bias + 1)
        return overflow_code(f, v.negative, mode);
    int shift = e - f->frac_bits - v.exp;
    uint64_t kept = mode.rnd == NUM_RS && shift > 0
                        ? shift_random(v.sig, shift, mode)
                        : shift_round(v.sig, shift, v.negative, mode.rnd);
    /* A normal number's leading one, or a carry out of the fraction, adds one to the field. */
    uint64_t code = ((uint64_t)(e - lowest) << f->frac_bits) + kept;
    if (!f->has_sign)
        code--;
    return code > max_code(f) ? overflow_code(f, v.negative, mode) : code;
}

static uint64_t inf_pack_code(const NumFormat *f, NumMode mode)
{
    if ((mode.flags & NUM_SATFINITE) || !f->has_nan)
        return max_code(f);
    return f->has_inf ? inf_code(f) : all_ones(f);
}

uint64_t num_pack(NumType to, NumValue v, NumMode mode)
{
    const NumFormat *f = &num_formats[to];
    if (!f->has_sign)
        v.negative = false;
    if (v.kind == NUM_NAN && (mode.flags & NUM_SAT))
        return 0;
    if (v.kind == NUM_NAN) /* of tf32: 0x7FFFE000, as F2FP.TF32 writes it */
        return all_ones(f) << f->pad_bits;
    if (v.negative && (mode.flags & (NUM_SAT | NUM_RELU)))
        return 0;

    uint64_t code = 0;
    if (v.kind == NUM_FINITE)
        code = finite_code(f, v, mode);
    else if (v.kind == NUM_INF)
        code = inf_pack_code(f, mode);
    uint64_t one = (uint64_t)f->bias << f->frac_bits;
    if ((mode.flags & NUM_SAT) && code > one)
        code = one;
    return (code | sign_code(f, v.negative)) << f->pad_bits;
}

uint64_t num_convert(NumType to, NumType from, uint64_t bits, NumMode mode)
{
    return num_pack(to, num_unpack(from, bits), mode);
}

/* Leading one to bit 61: room for a carry, and 14 zero bits below any product. */
static NumValue normalise(NumValue v)
{
    int shift = 61 - (int)msb(v.sig);
    v.sig <<= shift;
    v.exp -= shift;
    return v;
}

static uint64_t shift_jam(uint64_t sig, int shift)
{
    if (shift >= 64)
        return sig != 0;
    return sig >> shift | ((sig & low_ones((unsigned)shift)) != 0);
}

static NumValue sum_finite(NumValue x, NumValue y, NumRnd rnd)
{
    x = normalise(x);
    y = normalise(y);
    if (x.exp < y.exp || (x.exp == y.exp && x.sig < y.sig)) {
        NumValue t = x;
        x = y;
        y = t;
    }
    /* If y is shifted so far that bits are lost, x - y loses at most one leading bit, so that the
     * jammed bit stays far below the rounding position. */
    uint64_t small = shift_jam(y.sig, x.exp - y.exp);
    x.sig = x.negative == y.negative ? x.sig + small : x.sig - small;
    if (x.sig == 0)
        return (NumValue){.kind = NUM_ZERO, .negative = rnd == NUM_RM};
    return x;
}

static NumValue sum(NumValue x, NumValue y, NumRnd rnd)
{
    bool opposite = x.negative != y.negative;
    if (x.kind == NUM_NAN || y.kind == NUM_NAN ||
        (x.kind == NUM_INF && y.kind == NUM_INF && opposite))
        return (NumValue){.kind = NUM_NAN};
    if (x.kind == NUM_INF || y.kind == NUM_INF)
        return x.kind == NUM_INF ? x : y;
    if (x.kind == NUM_ZERO && y.kind == NUM_ZERO) {
        x.negative = opposite ? rnd == NUM_RM : x.negative;
        return x;
    }
    if (x.kind == NUM_ZERO || y.kind == NUM_ZERO)
        return x.kind == NUM_ZERO ? y : x;
    return sum_finite(x, y, rnd);
}

static NumValue product(NumValue x, NumValue y)
{
    NumValue p = {.negative = x.negative != y.negative};
    bool zero = x.kind == NUM_ZERO || y.kind == NUM_ZERO;
    bool inf = x.kind == NUM_INF || y.kind == NUM_INF;
    if (x.kind == NUM_NAN || y.kind == NUM_NAN || (zero && inf)) {
        p.kind = NUM_NAN;
    } else if (inf) {
        p.kind = NUM_INF;
    } else if (!zero) {
        p.kind = NUM_FINITE;
        p.sig = x.sig * y.sig;
        p.exp = x.exp + y.exp;
    }
    return p;
}

uint32_t num_add(NumType t, uint32_t a, uint32_t b, NumMode mode)
{
    assert(t != NUM_F64);
    return (uint32_t)num_pack(t, sum(num_unpack(t, a), num_unpack(t, b), mode.rnd), mode);
}

uint32_t num_mul(NumType t, uint32_t a, uint32_t b, NumMode mode)
{
    assert(t != NUM_F64);
    return (uint32_t)num_pack(t, product(num_unpack(t, a), num_unpack(t, b)), mode);
}

uint32_t num_fma(NumType t, uint32_t a, uint32_t b, uint32_t c, NumMode mode)
{
    assert(t != NUM_F64);
    NumValue p = product(num_unpack(t, a), num_unpack(t, b));
    return (uint32_t)num_pack(t, sum(p, num_unpack(t, c), mode.rnd), mode);
}

/* The magnitude of a finite value as an integer, or all ones if it does not fit. */
static uint64_t integer_part(NumValue v, NumRnd rnd)
{
    if (v.exp > 0 && (int)msb(v.sig) + v.exp > 63)
        return ~UINT64_C(0);
    return shift_round(v.sig, -v.exp, v.negative, rnd);
}

uint64_t num_to_int(NumType from, uint64_t bits, NumInt to, NumRnd rnd)
{
    assert(to.width == 8 || to.width == 16 || to.width == 32 || to.width == 64);
    NumValue v = num_unpack(from, bits);
    uint64_t top = UINT64_C(1) << (to.width - 1);
    uint64_t sign_extended = to.is_signed ? 0 - top : top;
    if (v.kind == NUM_NAN)
        return from == NUM_F64 || to.width == 64 ? sign_extended : 0;
    if (v.kind == NUM_ZERO)
        return 0;

    uint64_t mag = v.kind == NUM_INF ? ~UINT64_C(0) : integer_part(v, rnd);
    if (!to.is_signed)
        return v.negative ? 0 : mag > low_ones(to.width) ? low_ones(to.width) : mag;
    if (v.negative)
        return 0 - (mag > top ? top : mag);
    return mag > top - 1 ? top - 1 : mag;
}

uint64_t num_round_int(NumType t, uint64_t bits, NumRnd rnd)
{
    NumValue v = num_unpack(t, bits);
    if (v.kind == NUM_FINITE && v.exp < 0) {
        v.sig = shift_round(v.sig, -v.exp, v.negative, rnd);
        v.exp = 0;
        v.kind = v.sig ? NUM_FINITE : NUM_ZERO;
    }
    return num_pack(t, v, (NumMode){.rnd = NUM_RN});
}

extern const NumRows num_rows_base;
#if defined(__x86_64__)
extern const NumRows num_rows_avx2, num_rows_avx512;
#endif

const NumRows *num_rows_for(SimdIsa isa)
{
#if defined(__x86_64__)
    if (isa == SIMD_AVX512)
        return &num_rows_avx512;
    if (isa == SIMD_AVX2)
        return &num_rows_avx2;
#endif
    assert(isa == SIMD_BASE);
    return &num_rows_base;
}

const NumRows *num_rows(void)
{
    return num_rows_for(simd_best());
}
