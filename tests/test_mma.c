/* Tile arithmetic against element-by-element references: for MMA_FP32 a loop of fmaf in the stated
 * order, for MMA_HW 128-bit integers straight from research/ptx.md 4.3. Every case runs on every
 * instruction set and must give the same bytes. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/func/mma.h"

/* ck_assert reports every success to the test runner, which is slow in loops of millions. */
#define MUST(cond, ...)                                                                            \
    do {                                                                                           \
        if (!(cond))                                                                               \
            ck_abort_msg(__VA_ARGS__);                                                             \
    } while (0)

__extension__ typedef __int128 Int128;

enum { MAX_N = 256, MAX_K = 128, LANES = 128 };

static uint64_t rng_state = 88172645463325252u;

static uint32_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return (uint32_t)(rng_state * 0x2545F4914F6CDD1Du >> 32);
}

/* ---- the references ---- */

/* A finite number as an integer significand with `frac` fraction bits and an exponent. */
typedef struct Num {
    int sig, frac, exp;
    float value; /* may be infinite or NaN */
} Num;

static Num decode(NumType type, uint32_t bits)
{
    const NumFormat *f = &num_formats[type];
    bits >>= f->pad_bits;
    int frac = f->frac_bits;
    int mant = (int)(bits & ((1u << frac) - 1));
    int field = (int)(bits >> frac & ((1u << f->exp_bits) - 1));
    bool negative = bits >> (frac + f->exp_bits) & 1;
    Num x = {.frac = frac, .sig = mant, .exp = 1 - f->bias};
    if (field) {
        x.sig += 1 << frac;
        x.exp = field - f->bias;
    }
    if (x.sig == 0)
        x.exp = -126;
    x.value = ldexpf((float)x.sig, x.exp - frac);
    bool top = field == (1 << f->exp_bits) - 1;
    if (f->has_inf && top)
        x.value = mant ? NAN : INFINITY;
    else if (f->has_nan && top && mant == (1 << frac) - 1)
        x.value = NAN;
    if (negative) {
        x.sig = -x.sig;
        x.value = -x.value;
    }
    return x;
}

/* sig * 2^shift toward zero. */
static Int128 align(Int128 sig, int shift)
{
    if (shift >= 0)
        return sig * ((Int128)1 << shift);
    Int128 mag = sig < 0 ? -sig : sig;
    mag = shift < -120 ? 0 : mag >> -shift;
    return sig < 0 ? -mag : mag;
}

typedef struct Case {
    NumType a_type, b_type;
    MmaMode mode;
    unsigned m, n, k, k_step, align_bits, frac_bits, scale_d;
    bool accumulate, d_f16, negate_a;
} Case;

/* sum * 2^exp, cut to 24 significant bits no finer than 2^-149, then to frac_bits. */
static uint32_t to_f32_rz(Int128 sum, int exp, unsigned frac_bits)
{
    bool negative = sum < 0;
    Int128 mag = negative ? -sum : sum;
    while (mag >= (Int128)1 << 24 || (exp < -149 && mag)) {
        mag >>= 1;
        exp++;
    }
    float x = (float)ldexp((double)(int64_t)mag, exp); /* exact, or infinity */
    uint32_t bits = num_bits(x) >> (23 - frac_bits) << (23 - frac_bits);
    return bits && negative ? bits | 0x80000000u : bits;
}

static uint32_t hw_reference(const Case *t, const uint32_t *a, const uint32_t *b, uint32_t c_bits)
{
    Num x[32], y[32], c = decode(t->d_f16 ? NUM_F16 : NUM_F32, c_bits);
    double special = (double)c.value;
    int e = c.exp;
    for (unsigned k = 0; k < t->k_step; k++) {
        x[k] = decode(t->a_type, a[k]);
        y[k] = decode(t->b_type, b[k]);
        special += (double)x[k].value * (double)y[k].value;
        e = x[k].exp + y[k].exp > e ? x[k].exp + y[k].exp : e;
    }
    if (isnan(special))
        return t->d_f16 ? 0x7FFF : 0x7FFFFFFF;
    if (isinf(special))
        return (t->d_f16 ? 0x7C00u : 0x7F800000u) |
               (special < 0 ? t->d_f16 ? 0x8000u : 1u << 31 : 0);

    int f = (int)t->align_bits;
    Int128 sum = align(c.sig, f + c.exp - e - c.frac);
    for (unsigned k = 0; k < t->k_step; k++)
        sum +=
            align((Int128)x[k].sig * y[k].sig, f + x[k].exp + y[k].exp - e - x[k].frac - y[k].frac);
    if (!t->d_f16)
        return to_f32_rz(sum, e - f, t->frac_bits);
    double exact = ldexp((double)(int64_t)sum, e - f); /* below 2^53: exact */
    uint64_t bits;
    memcpy(&bits, &exact, sizeof bits);
    return (uint32_t)num_convert(NUM_F16, NUM_F64, bits, (NumMode){.rnd = NUM_RN});
}

static uint32_t fp32_reference(const Case *t, const uint32_t *a, const uint32_t *b, uint32_t c_bits)
{
    float sum = decode(t->d_f16 ? NUM_F16 : NUM_F32, c_bits).value;
    for (unsigned k = 0; k < t->k_step; k++)
        sum = fmaf(decode(t->a_type, a[k]).value, decode(t->b_type, b[k]).value, sum);
    if (t->d_f16)
        return (uint32_t)num_convert(NUM_F16, NUM_F32, num_bits(sum), (NumMode){.rnd = NUM_RN});
    return isnan(sum) ? 0x7FFFFFFFu : num_bits(sum);
}

/* ---- operands ---- */

static uint32_t a_bits[LANES][MAX_K], b_bits[MAX_N][MAX_K]; /* one element a word */
static uint32_t d_before[MAX_N][LANES], d_want[MAX_N][LANES], d_got[MAX_N][LANES];
static uint8_t a_mem[LANES * MAX_K * 4], b_mem[MAX_N * MAX_K * 4];
static uint32_t panel_mem[SIMD_ISAS][2][(LANES + MAX_N) * MAX_K * 2];

typedef enum Spread {
    ANY_BITS,   /* every pattern, NaN and infinity among them */
    FINITE,     /* every finite pattern */
    UNIT,       /* about 1 */
    LONG_RANGE, /* exponents over half of the range of the format */
    TINY,       /* the lowest exponents and subnormals */
    ALL_ONES,   /* significands all ones, one exponent: the largest sums */
    MANY_ZEROS, /* rows of zeros among small values */
    SPREADS
} Spread;

static uint32_t element(NumType type, Spread spread, unsigned row)
{
    const NumFormat *f = &num_formats[type];
    uint32_t frac = rng() & ((1u << f->frac_bits) - 1), sign = rng() & 1;
    uint32_t top = (1u << f->exp_bits) - 1, field = (uint32_t)f->bias;
    switch (spread) {
    case ANY_BITS:
        field = rng() & top;
        break;
    case FINITE:
        field = rng() % top;
        break;
    case UNIT:
        field = field - rng() % 3;
        break;
    case LONG_RANGE:
        field = field - rng() % (field / 2 + 1);
        break;
    case TINY:
        field = rng() % 3;
        break;
    case ALL_ONES:
        frac = (1u << f->frac_bits) - 1;
        sign = 0;
        field -=
            rng() % 4 == 0 ? (field < 12 ? field / 2 : 6) : 0; /* small ones reach the last bits */
        break;
    case MANY_ZEROS:
        field = row % 3 == 0 ? 0 : rng() % 4 + field / 2;
        frac = row % 3 == 0 ? 0 : frac;
        break;
    case SPREADS:
        break;
    }
    return (sign << (f->exp_bits + f->frac_bits) | field << f->frac_bits | frac) << f->pad_bits;
}

static void fill(const Case *t, Spread spread)
{
    for (unsigned k = 0; k < t->k; k++) {
        for (unsigned r = 0; r < t->m; r++)
            a_bits[r][k] = element(t->a_type, spread, r);
        for (unsigned r = 0; r < t->n; r++)
            b_bits[r][k] = element(t->b_type, spread, r);
    }
    for (unsigned j = 0; j < MAX_N; j++) {
        for (unsigned i = 0; i < LANES; i++) {
            Spread s = spread == MANY_ZEROS && i % 2 ? UNIT : spread;
            d_before[j][i] = element(t->d_f16 ? NUM_F16 : NUM_F32, s, i);
        }
    }
}

static unsigned bytes_of(NumType type)
{
    return type == NUM_F16 || type == NUM_BF16 ? 2 : type == NUM_TF32 ? 4 : 1;
}

/* Writes elements to memory in the given order and returns the source that describes them. */
static MmaSource lay_out(NumType type, MmaMajor major, uint32_t bits[][MAX_K], unsigned rows,
                         unsigned k, uint8_t *mem)
{
    size_t stride = major == MMA_K_MAJOR ? k + 8 : rows + 8, size = bytes_of(type);
    if (major == MMA_TMEM)
        stride = LANES;
    for (unsigned r = 0; r < rows; r++) {
        for (unsigned kk = 0; kk < k; kk++) {
            size_t at = major == MMA_K_MAJOR ? r * stride + kk : kk * stride + r;
            if (major == MMA_TMEM)
                at = 2 * (kk / 2 * stride + r) + kk % 2;
            memcpy(mem + at * size, &bits[r][kk], size); /* little endian */
        }
    }
    return (MmaSource){
        .type = type, .major = major, .elems = mem, .stride = stride, .rows = rows, .k = k};
}

static MmaDesc desc_of(const Case *t)
{
    return (MmaDesc){.mode = t->mode,
                     .m = t->m,
                     .n = t->n,
                     .k = t->k,
                     .k_step = t->k_step,
                     .align_bits = t->align_bits,
                     .frac_bits = t->frac_bits,
                     .accumulate = t->accumulate,
                     .d_f16 = t->d_f16,
                     .scale_d = t->scale_d,
                     .d_stride = LANES,
                     .lane16 = mma_lanes_straight};
}

static void pack_case(const Case *t, int isa, MmaMajor a_major, MmaMajor b_major, MmaPanel *a,
                      MmaPanel *b)
{
    const MmaOps *ops = mma_ops_for((SimdIsa)isa);
    MmaSource src = lay_out(t->a_type, a_major, a_bits, t->m, t->k, a_mem);
    src.negate = t->negate_a;
    mma_panel_init(a, panel_mem[isa][0], t->m, t->k);
    mma_pack_a(ops, a, &src, t->mode);
    src = lay_out(t->b_type, b_major, b_bits, t->n, t->k, b_mem);
    mma_panel_init(b, panel_mem[isa][1], t->n, t->k);
    mma_pack_b(ops, b, &src, t->mode);
}

static void make_want(const Case *t)
{
    memcpy(d_want, d_before, sizeof d_want);
    uint32_t sign = 1u << (num_formats[t->a_type].exp_bits + num_formats[t->a_type].frac_bits);
    for (unsigned i = 0; i < t->m; i++) {
        uint32_t a[MAX_K];
        for (unsigned k = 0; k < t->k; k++)
            a[k] = a_bits[i][k] ^ (t->negate_a ? sign << num_formats[t->a_type].pad_bits : 0);
        for (unsigned j = 0; j < t->n; j++) {
            uint32_t c = t->accumulate ? d_before[j][i] : 0;
            if (t->scale_d)
                c = num_bits(num_float(c) * ldexpf(1, -(int)t->scale_d));
            for (unsigned k = 0; k < t->k; k += t->k_step)
                c = t->mode == MMA_HW ? hw_reference(t, a + k, b_bits[j] + k, c)
                                      : fp32_reference(t, a + k, b_bits[j] + k, c);
            d_want[j][i] = c;
        }
    }
}

/* Multiplies what fill, and perhaps the test, left in a_bits, b_bits and d_before. */
static void check_filled(const Case *t, Spread spread)
{
    make_want(t);
    for (int isa = 0; isa < SIMD_ISAS; isa++) {
        MmaPanel a, b;
        MmaDesc desc = desc_of(t);
        if (!simd_runs((SimdIsa)isa))
            continue;
        pack_case(t, isa, MMA_K_MAJOR, MMA_K_MAJOR, &a, &b);
        memcpy(d_got, d_before, sizeof d_got);
        mma_run(mma_ops_for((SimdIsa)isa), &desc, &a, &b, d_got[0]);
        for (unsigned j = 0; j < MAX_N; j++)
            for (unsigned i = 0; i < LANES; i++)
                MUST(d_got[j][i] == d_want[j][i],
                     "%s x %s mode %d spread %d isa %d (%u, %u): %08x, not %08x; d was %08x",
                     num_formats[t->a_type].name, num_formats[t->b_type].name, (int)t->mode,
                     (int)spread, isa, i, j, d_got[j][i], d_want[j][i], d_before[j][i]);
    }
}

static void check_case(const Case *t, Spread spread)
{
    fill(t, spread);
    check_filled(t, spread);
}

static const NumType half_types[] = {NUM_F16, NUM_BF16};

static Case half_case(int type, MmaMode mode)
{
    Case t = {.mode = mode, .m = 64, .n = 24, .k = 64, .k_step = 16, .accumulate = true};
    t.a_type = t.b_type = half_types[type];
    t.align_bits = 25;
    t.frac_bits = 23;
    return t;
}

START_TEST(fp32_sums_in_order_of_k)
{
    for (int type = 0; type < 2; type++) {
        Case t = half_case(type, MMA_FP32);
        check_case(&t, (Spread)_i);
        t.accumulate = false;
        check_case(&t, (Spread)_i);
        t.m = 128;
        t.n = 256;
        t.k = 16;
        check_case(&t, (Spread)_i);
    }
}
END_TEST

START_TEST(hw_sums_are_fused_and_cut)
{
    for (int type = 0; type < 2; type++) {
        Case t = half_case(type, MMA_HW);
        for (int rounds = 0; rounds < 5; rounds++)
            check_case(&t, (Spread)_i);
        t.accumulate = false;
        check_case(&t, (Spread)_i);
        t.m = 128;
        t.n = 256;
        t.k = 16;
        check_case(&t, (Spread)_i);
    }
}
END_TEST

START_TEST(other_formats_follow_the_same_rules)
{
    static const struct {
        NumType a, b;
        unsigned k_step, align_bits, frac_bits;
    } rows[] = {
        {NUM_TF32, NUM_TF32, 8, 25, 23},  {NUM_E4M3, NUM_E4M3, 32, 25, 23},
        {NUM_E5M2, NUM_E4M3, 32, 25, 23}, {NUM_E4M3, NUM_E5M2, 32, 13, 13},
        {NUM_E2M3, NUM_E3M2, 32, 25, 23}, {NUM_E2M1, NUM_E4M3, 32, 25, 23},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int mode = MMA_FP32; mode <= MMA_HW; mode++) {
            Case t = half_case(0, (MmaMode)mode);
            t.a_type = rows[i].a;
            t.b_type = rows[i].b;
            t.k_step = rows[i].k_step;
            t.align_bits = rows[i].align_bits;
            t.frac_bits = rows[i].frac_bits;
            check_case(&t, (Spread)_i);
        }
    }
}
END_TEST

START_TEST(f16_results_are_rounded_every_step)
{
    for (int mode = MMA_FP32; mode <= MMA_HW; mode++) {
        Case t = half_case(0, (MmaMode)mode);
        t.d_f16 = true;
        check_case(&t, (Spread)_i);
    }
}
END_TEST

START_TEST(operands_can_be_negated_and_d_scaled)
{
    for (int mode = MMA_FP32; mode <= MMA_HW; mode++) {
        Case t = half_case(1, (MmaMode)mode);
        t.negate_a = true;
        check_case(&t, UNIT);
        t.scale_d = 7;
        check_case(&t, UNIT);
        t.negate_a = false;
        check_case(&t, TINY);
    }
}
END_TEST

/* D near the ends of f32 while the products are ordinary: overflow, and alignment to D. */
START_TEST(d_may_be_extreme)
{
    static const uint32_t edges[] = {
        0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00001, 0x00000001, 0x807FFFFF,
        0x80000001, 0x00800000, 0x0C800000, 0x0D000000, 0x8CFFFFFF, 0x0D7FFFFF, 0x7F7FFFFE,
    };
    static const Spread spreads[] = {UNIT, TINY, MANY_ZEROS, LONG_RANGE};
    for (unsigned s = 0; s < 12; s++) {
        Case t = half_case(1, s / 4 ? MMA_HW : MMA_FP32);
        if (s / 4 == 2) {
            t.a_type = t.b_type = NUM_E4M3;
            t.k = t.k_step = 32;
            t.frac_bits = 13;
        }
        fill(&t, spreads[s % 4]);
        for (unsigned j = 0; j < t.n; j++)
            for (unsigned i = 0; i < t.m; i++)
                d_before[j][i] = edges[(i + j * 5) % (sizeof edges / sizeof *edges)];
        check_filled(&t, spreads[s % 4]);
    }
}
END_TEST

/* The second half of a step takes back the first: sums of zero, and of d alone. */
START_TEST(cancelling_sums_leave_a_positive_zero)
{
    for (int i = 0; i < 8; i++) {
        Case t = half_case(i % 2, MMA_HW);
        t.accumulate = i / 2 % 2;
        fill(&t, i / 4 ? UNIT : LONG_RANGE);
        uint32_t sign = 0x8000u;
        for (unsigned k = 0; k < t.k; k++) {
            for (unsigned r = 0; r < t.m && k % 16 >= 8; r++)
                a_bits[r][k] = a_bits[r][k - 8] ^ sign;
            for (unsigned r = 0; r < t.n && k % 16 >= 8; r++)
                b_bits[r][k] = b_bits[r][k - 8];
        }
        check_filled(&t, UNIT);
    }
}
END_TEST

START_TEST(every_memory_order_packs_alike)
{
    static const NumType types[] = {NUM_F16, NUM_BF16, NUM_TF32, NUM_E4M3};
    static uint32_t first[2][LANES * MAX_K * 2];
    for (unsigned i = 0; i < 4; i++) {
        Case t = half_case(0, MMA_HW);
        t.a_type = t.b_type = types[i];
        t.n = 64;
        fill(&t, ANY_BITS);
        size_t size = mma_panel_bytes(t.m, t.k);
        for (int isa = 0; isa < SIMD_ISAS; isa++) {
            MmaPanel a, b;
            if (!simd_runs((SimdIsa)isa))
                continue;
            pack_case(&t, isa, MMA_K_MAJOR, MMA_K_MAJOR, &a, &b);
            if (isa == 0) {
                memcpy(first[0], a.val, size);
                memcpy(first[1], b.val, size);
            }
            ck_assert_mem_eq(a.val, first[0], size);
            ck_assert_mem_eq(b.val, first[1], size);
            pack_case(&t, isa, i < 2 ? MMA_TMEM : MMA_ROW_MAJOR, MMA_ROW_MAJOR, &a, &b);
            ck_assert_mem_eq(a.val, first[0], size);
            ck_assert_mem_eq(b.val, first[1], size);
            pack_case(&t, isa, MMA_ROW_MAJOR, MMA_K_MAJOR, &a, &b);
            ck_assert_mem_eq(a.val, first[0], size);
        }
    }
}
END_TEST

/* M = 64 in TMEM uses every other group of 16 lanes; a column range of B can be used alone. */
START_TEST(rows_go_to_their_lanes_and_no_others)
{
    for (int i = 0; i < 2 * SIMD_ISAS; i++) {
        MmaPanel a, b;
        SimdIsa isa = (SimdIsa)(i / 2);
        Case t = half_case(1, i % 2 ? MMA_HW : MMA_FP32);
        t.accumulate = false;
        if (!simd_runs(isa))
            continue;
        fill(&t, UNIT);
        make_want(&t);
        pack_case(&t, (int)isa, MMA_K_MAJOR, MMA_K_MAJOR, &a, &b);
        MmaDesc desc = desc_of(&t);
        desc.lane16 = mma_lanes_m64;
        desc.n0 = 8;
        desc.n = 16;
        memcpy(d_got, d_before, sizeof d_got);
        mma_run(mma_ops_for(isa), &desc, &a, &b, d_got[0]);
        for (unsigned j = 0; j < MAX_N; j++) {
            for (unsigned lane = 0; lane < LANES; lane++) {
                bool written = j < 16 && lane / 16 % 2 == 0;
                uint32_t want =
                    written ? d_want[j + 8][lane / 32 * 16 + lane % 16] : d_before[j][lane];
                MUST(d_got[j][lane] == want, "(%u, %u)", lane, j);
            }
        }
    }
}
END_TEST

START_TEST(k_may_be_split_over_calls)
{
    static uint16_t a[LANES * MAX_K], b[LANES * MAX_K];
    static uint32_t scratch[LANES * MAX_K * 4];
    static uint32_t whole[LANES][LANES], parts[LANES][LANES];
    static uint16_t a_part[LANES * 16], b_part[LANES * 16];
    for (unsigned i = 0; i < LANES * MAX_K; i++) {
        a[i] = (uint16_t)element(NUM_BF16, UNIT, i);
        b[i] = (uint16_t)element(NUM_BF16, UNIT, i);
    }
    for (int mode = MMA_FP32; mode <= MMA_HW; mode++) {
        MmaTile t = {NUM_BF16, (MmaMode)mode, LANES, LANES, MAX_K, false, a, b};
        mma_f16(mma_ops(), &t, whole[0], scratch);
        for (unsigned k = 0; k < MAX_K; k += 16) {
            for (unsigned r = 0; r < LANES; r++) {
                memcpy(a_part + r * 16, a + r * MAX_K + k, 32);
                memcpy(b_part + r * 16, b + r * MAX_K + k, 32);
            }
            t.a = a_part;
            t.b = b_part;
            t.k = 16;
            t.accumulate = k > 0;
            mma_f16(mma_ops(), &t, parts[0], scratch);
        }
        ck_assert_mem_eq(whole, parts, sizeof whole);
    }
}
END_TEST

/* A sum that shows each rule by hand, align_bits 25: 1 + 2^-26 loses the small term, 1 + 2^-24 is
 * added exactly and then cut, and two such terms reach the last bit of the result. */
START_TEST(hw_cuts_where_the_definition_says)
{
    static const struct {
        uint16_t a0, b0, a1, b1;
        uint32_t c, want;
    } rows[] = {
        {0x3F80, 0x3280, 0, 0, 0x3F800000, 0x3F800000},           /* 1 + 2^-26 */
        {0x3F80, 0x3380, 0, 0, 0x3F800000, 0x3F800000},           /* 1 + 2^-24 */
        {0x3F80, 0x3380, 0x3F80, 0x3380, 0x3F800000, 0x3F800001}, /* 1 + 2 * 2^-24 */
        {0x3F80, 0xB380, 0, 0, 0x3F800000, 0x3F7FFFFF},           /* 1 - 2^-24 */
        {0x3F80, 0xB280, 0, 0, 0x3F800000, 0x3F800000},           /* 1 - 2^-26: lost first */
        {0x3FC0, 0x3FC0, 0, 0, 0x33800000, 0x40100000},           /* 1.5 * 1.5 + 2^-24: cut */
        {0x5F40, 0x5FC0, 0, 0, 0x3F800000, 0x7F800000},           /* 2.25 * 2^127 */
        {0x9A00, 0x1A00, 0, 0, 0, 0},                             /* -2^-150 cut: +0 */
        {0x1A40, 0x1A80, 0, 0, 0, 1},                             /* 1.5 * 2^-149: cut */
        {0x3F80, 0x3F80, 0xBF80, 0x3F80, 0x80000000, 0},          /* 1 - 1 is +0 */
    };
    static uint16_t a[32 * 16], b[8 * 16];
    static uint32_t d[8][LANES], scratch[40 * 16 * 2];
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int isa = 0; isa < SIMD_ISAS; isa++) {
            if (!simd_runs((SimdIsa)isa))
                continue;
            memset(a, 0, sizeof a);
            memset(b, 0, sizeof b);
            a[0] = rows[i].a0;
            a[1] = rows[i].a1;
            b[0] = rows[i].b0;
            b[1] = rows[i].b1;
            d[0][0] = rows[i].c;
            MmaTile t = {NUM_BF16, MMA_HW, 32, 8, 16, true, a, b};
            mma_f16(mma_ops_for((SimdIsa)isa), &t, d[0], scratch);
            MUST(d[0][0] == rows[i].want, "row %u isa %d: %08x", i, isa, d[0][0]);
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mma");
    TCase *tc = tcase_create("mma");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, fp32_sums_in_order_of_k, 0, SPREADS);
    tcase_add_loop_test(tc, hw_sums_are_fused_and_cut, 0, SPREADS);
    tcase_add_loop_test(tc, other_formats_follow_the_same_rules, 0, SPREADS);
    tcase_add_loop_test(tc, f16_results_are_rounded_every_step, 0, SPREADS);
    tcase_add_test(tc, operands_can_be_negated_and_d_scaled);
    tcase_add_test(tc, d_may_be_extreme);
    tcase_add_test(tc, cancelling_sums_leave_a_positive_zero);
    tcase_add_test(tc, every_memory_order_packs_alike);
    tcase_add_test(tc, rows_go_to_their_lanes_and_no_others);
    tcase_add_test(tc, k_may_be_split_over_calls);
    tcase_add_test(tc, hw_cuts_where_the_definition_says);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
