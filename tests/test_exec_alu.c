/* Every register-only instruction against a naive reference, lane by lane: edge and random values, all modifiers, every
 * instruction set of this processor, full and partial masks, results over operands. The references use other means
 * than the executor: the host's rounding modes, 128-bit integers, bit loops, long double. */
#include <fenv.h>
#include <math.h>

#include "sim/func/num.h"
#define FIX_INSNS 4
#include "tests/exec_fixture.h"

__extension__ typedef __int128 I128;
__extension__ typedef unsigned __int128 U128;

enum { ROUNDS = 20, MAX_OPDS = 8, GUARD_PRED = 7 };

typedef struct Case Case;
/* s: the sources in order, predicates as 0 or 1. Returns the value result; *p gets predicate results (bit 0 first). */
typedef uint64_t Ref(const Case *c, const uint64_t *s, uint32_t *p);

struct Case {
    OpCode op;
    PtxType t0, t1;
    const char *sig; /* pairs: D S destination, source of n slots; P Q predicate written, read; I constant */
    Ref *ref;
    uint8_t mod[4][2]; /* class, value */
    uint32_t imm;
    uint32_t bits; /* of the result that count; 0: all of the slots */
    double max_ulp; /* > 0: f32 results may differ by so much from the reference */
    char end;
};

static uint64_t rng_state = 88172645463325252u;
static int failures;

static uint64_t rnd64(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state * 0x2545F4914F6CDD1Du;
}

static const uint32_t edges[] = {
    0, 1, 2, 3, 5, 31, 32, 33, 63, 64, 65, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000, 0x3210, 0x7fffffff, 0x80000000,
    0x80000001, 0xffffffff, 0xfffffffe,
    /* floats: 1, -1, 2, 0.5, inf, -inf, NaNs, subnormals, limits, f16 and bf16 ties, 2^23, 1.5 * 2^23, 127.5 */
    0x3f800000, 0xbf800000, 0x40000000, 0x3f000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001,
    0x00000001, 0x007fffff, 0x00800000, 0x80800000, 0x7f7fffff, 0xff7fffff, 0x3f800001, 0x3f7fffff, 0x3f808000,
    0x3f818000, 0x3f801000, 0x3f803000, 0x477fefff, 0x477ff000, 0x33000000, 0x33000001, 0x38800000, 0x387fffff,
    0x4b000000, 0x4b400000, 0x42ff0000, 0xc2fe0000, 0x0d800000, 0x20000000, 0x60000000, 0x3effffff, 0x4f000000,
    0xcf000000, 0x4effffff, 0x5f000000, 0x43e00000, 0x43e80000, 0x47600000,
};
#define N_EDGES (sizeof edges / sizeof edges[0])

static uint32_t value(uint32_t round)
{
    uint64_t r = rnd64();
    if (round < 16)
        return edges[r % N_EDGES];
    if (r >> 62 == 0)
        return (uint32_t)(r & 0x3ff) - 0x200;
    if (r >> 62 == 1) /* a float of moderate size */
        return (uint32_t)(r & 0x80ffffff) + 0x3f000000;
    return (uint32_t)r;
}

static float f32(uint64_t bits)
{
    uint32_t b = (uint32_t)bits;
    float v;
    memcpy(&v, &b, sizeof v);
    return v;
}

static double f64(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint64_t bits64(double v)
{
    uint64_t b;
    memcpy(&b, &v, sizeof b);
    return b;
}

static uint32_t mod(const Case *c, uint32_t cls)
{
    for (int i = 0; i < 4; i++)
        if (c->mod[i][0] == cls && c->mod[i][1])
            return c->mod[i][1];
    return 0;
}

static int host_round(const Case *c)
{
    switch (mod(c, MC_RND)) {
    case MV_RND_RZ:
        return FE_TOWARDZERO;
    case MV_RND_RM:
        return FE_DOWNWARD;
    case MV_RND_RP:
        return FE_UPWARD;
    default:
        return FE_TONEAREST;
    }
}

/* ---- Integer references ---- */

static uint32_t width(const Case *c)
{
    return type_info[c->t0].bits;
}

static bool is_signed(const Case *c)
{
    return type_info[c->t0].kind == 'S';
}

static I128 num(const Case *c, uint64_t v)
{
    uint32_t w = width(c);
    U128 m = ((U128)1 << w) - 1, x = v & m;
    return is_signed(c) && (x >> (w - 1) & 1) ? (I128)x - ((I128)1 << w) : (I128)x;
}

static uint64_t r_int(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    I128 a = num(c, s[0]), b = num(c, s[1]), d = num(c, s[2]);
    uint32_t w = width(c);
    bool hi = mod(c, MC_MUL) == MV_MUL_HI;
    switch (c->op) {
    case OP_ADD_INT:
        return (uint64_t)(a + b);
    case OP_SUB_INT:
        return (uint64_t)(a - b);
    case OP_MUL_LO:
    case OP_MUL_HI:
    case OP_MAD_LO:
    case OP_MAD_HI: {
        U128 prod = is_signed(c) ? (U128)(a * b) : (U128)a * (U128)b;
        uint64_t part = hi ? (uint64_t)(prod >> w) : (uint64_t)prod;
        return part + (c->op == OP_MAD_LO || c->op == OP_MAD_HI ? (uint64_t)d : 0);
    }
    case OP_MUL_WIDE:
        return (uint64_t)(a * b);
    case OP_MAD_WIDE:
        return (uint64_t)(a * b) + s[2];
    case OP_DIV_INT:
        return b == 0 ? UINT64_MAX : (uint64_t)(a / b);
    case OP_REM_INT:
        return b == 0 ? (uint64_t)a : (uint64_t)(a % b);
    case OP_MIN_INT:
        return (uint64_t)(a < b ? a : b);
    case OP_MAX_INT:
        return (uint64_t)(a > b ? a : b);
    case OP_NEG_INT:
        return (uint64_t)-a;
    case OP_ABS_INT:
        return (uint64_t)(a < 0 ? -a : a);
    case OP_AND_BITS:
        return s[0] & s[1];
    case OP_OR_BITS:
        return s[0] | s[1];
    case OP_XOR_BITS:
        return s[0] ^ s[1];
    case OP_NOT_BITS:
        return ~s[0];
    case OP_CNOT:
        return a == 0;
    case OP_SHL: {
        uint64_t r = (uint64_t)a;
        for (uint32_t n = 0; n < (uint32_t)s[1] && n < 70; n++)
            r *= 2;
        return r;
    }
    case OP_SHR: {
        I128 r = a;
        for (uint32_t n = 0; n < (uint32_t)s[1] && n < 70; n++)
            r = r < 0 ? (r - 1) / 2 : r / 2;
        return (uint64_t)r;
    }
    default:
        abort();
    }
}

static bool bit(uint64_t v, uint32_t i)
{
    return i < 64 && (v >> i & 1);
}

static uint64_t r_count(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    uint32_t w = width(c), ones = 0, zeros = 0;
    uint64_t rev = 0;
    for (uint32_t i = 0; i < w; i++) {
        ones += bit(s[0], i);
        zeros = bit(s[0], i) ? 0 : zeros + 1; /* in the end: leading zeros */
        rev |= (uint64_t)bit(s[0], i) << (w - 1 - i);
    }
    if (c->op == OP_POPC)
        return ones;
    if (c->op == OP_CLZ)
        return zeros;
    if (c->op == OP_BREV)
        return rev;
    /* bfind: from the top down, the first bit that differs from the sign of a signed number, else the first 1 */
    bool skip = is_signed(c) && bit(s[0], w - 1);
    for (uint32_t i = w; i-- > 0;)
        if (bit(s[0], i) != skip)
            return c->op == OP_BFIND ? i : w - 1 - i;
    return 0xffffffff;
}

/* The loops of the PTX manual. */
static uint64_t r_field(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    uint32_t w = width(c), msb = w - 1;
    if (c->op == OP_BFE) {
        uint32_t pos = s[1] & 0xff, len = s[2] & 0xff;
        uint32_t last = pos + len - 1 < msb ? pos + len - 1 : msb;
        bool sbit = is_signed(c) && len != 0 && bit(s[0], last);
        uint64_t d = 0;
        for (uint32_t i = 0; i <= msb; i++)
            d |= (uint64_t)(i < len && pos + i <= msb ? bit(s[0], pos + i) : sbit) << i;
        return d;
    }
    uint32_t pos = s[2] & 0xff, len = s[3] & 0xff;
    uint64_t f = s[1];
    for (uint32_t i = 0; i < len && pos + i <= msb; i++)
        f = (f & ~(UINT64_C(1) << (pos + i))) | (uint64_t)bit(s[0], i) << (pos + i);
    return f;
}

static uint64_t r_mask(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    bool clamp = mod(c, MC_SHF) == MV_SHF_CLAMP;
    uint32_t a = (uint32_t)s[0], b = (uint32_t)s[1], b1 = b & 31;
    if (c->op == OP_SZEXT) {
        bool too_large = b >= 32 && clamp;
        uint32_t m = too_large ? 0 : 0xffffffffu << b1, sign_pos = (b1 - 1) & 31;
        bool sign = !(b1 == 0 || too_large || c->t0 == T_U32) && bit(a, sign_pos);
        return (a & ~m) | (sign ? m : 0);
    }
    uint32_t a1 = a & 31, m0 = 0xffffffffu << a1, sum = a1 + b1, m1 = sum < 32 ? 0xffffffffu << sum : 0;
    bool width_over = clamp && b >= 32, pos_over = clamp && a >= 32;
    if (pos_over)
        m0 = 0;
    if (sum >= 32 || pos_over || width_over)
        m1 = 0;
    else if (b1 == 0)
        m1 = 0xffffffff;
    return b1 == 0 && !width_over ? 0 : m0 & ~m1;
}

static uint64_t r_lop3(const Case *c, const uint64_t *s, uint32_t *p)
{
    uint32_t d = 0;
    for (uint32_t i = 0; i < 32; i++) {
        uint32_t idx = (uint32_t)bit(s[0], i) * 4 + (uint32_t)bit(s[1], i) * 2 + (uint32_t)bit(s[2], i);
        d |= (uint32_t)bit(c->imm, idx) << i;
    }
    if (c->op == OP_LOP3_BOOL)
        *p = mod(c, MC_BOOL) == MV_BOOL_OR ? d != 0 || s[4] : d != 0 && s[4];
    return d;
}

static uint64_t r_shift2(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    uint32_t n = (uint32_t)s[2];
    n = mod(c, MC_SHF) == MV_SHF_WRAP ? n & 31 : n > 32 ? 32 : n;
    uint32_t d = 0;
    for (uint32_t i = 0; i < 32; i++) { /* bit i of the result is bit `at` of {b, a} */
        uint32_t at = c->op == OP_SHF_L ? 32 + i - n : i + n;
        d |= (uint32_t)bit((s[0] & 0xffffffff) | s[1] << 32, at) << i;
    }
    return d;
}

static uint64_t r_prmt(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    uint8_t byte[8];
    uint32_t d = 0, sel = (uint32_t)s[2] & 3;
    for (uint32_t i = 0; i < 8; i++)
        byte[i] = (uint8_t)(s[i / 4] >> i % 4 * 8);
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t k = 0;
        bool sign = false;
        switch (mod(c, MC_PRMT)) {
        case 0:
            k = (uint32_t)s[2] >> 4 * i & 7;
            sign = s[2] >> 4 * i & 8;
            break;
        case MV_PRMT_F4E:
            k = sel + i;
            break;
        case MV_PRMT_B4E:
            k = (sel + 8 - i) % 8;
            break;
        case MV_PRMT_RC8:
            k = sel;
            break;
        case MV_PRMT_ECL:
            k = i > sel ? i : sel;
            break;
        case MV_PRMT_ECR:
            k = i < sel ? i : sel;
            break;
        case MV_PRMT_RC16:
            k = (sel & 1) * 2 + i % 2;
            break;
        }
        d |= (uint32_t)(sign ? (byte[k] & 0x80 ? 0xff : 0) : byte[k]) << 8 * i;
    }
    return d;
}

/* ---- f32 ---- */

static float flush(const Case *c, float v)
{
    return mod(c, MC_FTZ) && fpclassify(v) == FP_SUBNORMAL ? copysignf(0.0f, v) : v;
}

static uint32_t finish(const Case *c, float v)
{
    v = flush(c, v);
    if (mod(c, MC_SAT))
        v = isnan(v) || !(v > 0.0f) ? 0.0f : v > 1.0f ? 1.0f : v;
    return isnan(v) ? 0x7fffffff : num_bits(v);
}

static uint32_t arith(const Case *c, OpCode op, uint32_t a, uint32_t b, uint32_t d)
{
    volatile float x = flush(c, f32(a)), y = flush(c, f32(b)), z = flush(c, f32(d)), r = 0;
    fesetround(host_round(c));
    switch (op) {
    case OP_ADD_F32:
        r = x + y;
        break;
    case OP_SUB_F32:
        r = x - y;
        break;
    case OP_MUL_F32:
        r = x * y;
        break;
    case OP_FMA_F32:
        r = fmaf(x, y, z);
        break;
    case OP_DIV_F32:
        r = x / y;
        break;
    case OP_SQRT_F32:
        r = sqrtf(x);
        break;
    case OP_RCP_F32:
        r = 1.0f / x;
        break;
    default:
        abort();
    }
    fesetround(FE_TONEAREST);
    return finish(c, r);
}

static uint64_t r_f32(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    return arith(c, c->op, (uint32_t)s[0], (uint32_t)s[1], (uint32_t)s[2]);
}

static uint64_t r_f32x2(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    OpCode op = c->op == OP_ADD_F32X2   ? OP_ADD_F32
                : c->op == OP_SUB_F32X2 ? OP_SUB_F32
                : c->op == OP_MUL_F32X2 ? OP_MUL_F32
                                        : OP_FMA_F32;
    uint64_t lo = arith(c, op, (uint32_t)s[0], (uint32_t)s[1], (uint32_t)s[2]);
    return lo | (uint64_t)arith(c, op, (uint32_t)(s[0] >> 32), (uint32_t)(s[1] >> 32), (uint32_t)(s[2] >> 32)) << 32;
}

static float pick2(const Case *c, float a, float b, bool max)
{
    if (mod(c, MC_NAN) && (isnan(a) || isnan(b)))
        return NAN;
    if (isnan(a) || isnan(b))
        return isnan(a) ? b : a;
    if (a == b)
        return (signbit(a) != 0) == max ? b : a;
    return (a > b) == max ? a : b;
}

static uint64_t r_minmax(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    bool max = c->op == OP_MAX_F32 || c->op == OP_MAX3_F32, three = c->op == OP_MIN3_F32 || c->op == OP_MAX3_F32;
    float v[3];
    for (int i = 0; i < 3; i++)
        v[i] = mod(c, MC_ABS) ? fabsf(flush(c, f32(s[i]))) : flush(c, f32(s[i]));
    float r = pick2(c, v[0], v[1], max);
    if (three)
        r = pick2(c, r, v[2], max);
    uint32_t out = isnan(r) ? 0x7fffffff : num_bits(r);
    if (mod(c, MC_XSA) && !isnan(r))
        out |= (uint32_t)(s[0] ^ s[1]) & 0x80000000u;
    return out;
}

static uint64_t r_sign(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    uint32_t v = (uint32_t)s[0];
    if (!isnan(f32(v)))
        v = num_bits(flush(c, f32(v)));
    return c->op == OP_NEG_F32 ? v ^ 0x80000000u : v & 0x7fffffff;
}

/* Functions in long double; compared within c->max_ulp. */
static uint64_t r_func(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    long double x = flush(c, f32(s[0])), y = flush(c, f32(s[1])), r = 0;
    switch (c->op) {
    case OP_EX2_F32:
        r = exp2l(x);
        break;
    case OP_LG2_F32:
        r = log2l(x);
        break;
    case OP_RCP_F32_APPROX:
        r = 1.0L / x;
        break;
    case OP_SQRT_F32_APPROX:
        r = sqrtl(x);
        break;
    case OP_RSQRT_F32:
        r = 1.0L / sqrtl(x);
        break;
    case OP_TANH_F32:
        r = tanhl(x);
        break;
    case OP_DIV_F32_APPROX: {
        long double big = fabsl(y);
        r = x / y;
        if (big > 0x1p126L && big < 0x1p128L && !isnan((double)x))
            r = isinf((double)x) ? NAN : copysignl(0.0L, r);
        break;
    }
    default:
        abort();
    }
    return finish(c, (float)r);
}

static uint64_t r_setp(const Case *c, const uint64_t *s, uint32_t *p)
{
    bool lt, eq, un = false;
    if (type_info[c->t0].kind == 'F') {
        double x = c->t0 == T_F64 ? f64(s[0]) : (double)flush(c, f32(s[0]));
        double y = c->t0 == T_F64 ? f64(s[1]) : (double)flush(c, f32(s[1]));
        un = isnan(x) || isnan(y);
        lt = x < y;
        eq = x == y;
    } else {
        lt = num(c, s[0]) < num(c, s[1]);
        eq = num(c, s[0]) == num(c, s[1]);
    }
    bool gt = !un && !lt && !eq, r = false;
    switch (mod(c, MC_CMP)) {
    case MV_CMP_EQ: r = eq; break;
    case MV_CMP_NE: r = !eq && !un; break;
    case MV_CMP_LT: case MV_CMP_LO: r = lt; break;
    case MV_CMP_LE: case MV_CMP_LS: r = lt || eq; break;
    case MV_CMP_GT: case MV_CMP_HI: r = gt; break;
    case MV_CMP_GE: case MV_CMP_HS: r = gt || eq; break;
    case MV_CMP_EQU: r = eq || un; break;
    case MV_CMP_NEU: r = !eq; break;
    case MV_CMP_LTU: r = lt || un; break;
    case MV_CMP_LEU: r = lt || eq || un; break;
    case MV_CMP_GTU: r = gt || un; break;
    case MV_CMP_GEU: r = gt || eq || un; break;
    case MV_CMP_NUM: r = !un; break;
    case MV_CMP_NAN: r = un; break;
    }
    bool k = s[2] & 1, q = !r;
    switch (mod(c, MC_BOOL)) {
    case MV_BOOL_AND: r = r && k; q = q && k; break;
    case MV_BOOL_OR: r = r || k; q = q || k; break;
    case MV_BOOL_XOR: r = r != k; q = q != k; break;
    }
    *p = (uint32_t)r | (uint32_t)q << 1;
    return 0;
}

static uint64_t r_sel(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    switch (c->op) {
    case OP_SELP:
        return s[2] ? s[0] : s[1];
    case OP_SLCT_S32:
        return (int32_t)s[2] >= 0 ? s[0] : s[1];
    case OP_SLCT_F32:
        return flush(c, f32(s[2])) >= 0.0f ? s[0] : s[1];
    case OP_MOV:
        return s[0];
    case OP_COPYSIGN:
        return c->t0 == T_F32 ? (s[1] & 0x7fffffff) | (s[0] & 0x80000000u)
                              : (s[1] & ~(UINT64_C(1) << 63)) | (s[0] & UINT64_C(1) << 63);
    default:
        abort();
    }
}

static uint64_t r_pred(const Case *c, const uint64_t *s, uint32_t *p)
{
    *p = (uint32_t)(c->op == OP_AND_PRED   ? s[0] & s[1]
                    : c->op == OP_OR_PRED  ? s[0] | s[1]
                    : c->op == OP_XOR_PRED ? s[0] ^ s[1]
                    : c->op == OP_NOT_PRED ? !s[0]
                                           : s[0]);
    return 0;
}

static uint64_t r_testp(const Case *c, const uint64_t *s, uint32_t *p)
{
    int k = c->t0 == T_F64 ? fpclassify(f64(s[0])) : fpclassify(f32(s[0]));
    switch (mod(c, MC_TESTOP)) {
    case MV_TESTOP_FINITE: *p = k == FP_NORMAL || k == FP_SUBNORMAL || k == FP_ZERO; break;
    case MV_TESTOP_INFINITE: *p = k == FP_INFINITE; break;
    case MV_TESTOP_NUMBER: *p = k != FP_NAN; break;
    case MV_TESTOP_NOTANUMBER: *p = k == FP_NAN; break;
    case MV_TESTOP_NORMAL: *p = k == FP_NORMAL; break;
    case MV_TESTOP_SUBNORMAL: *p = k == FP_SUBNORMAL; break;
    }
    return 0;
}

/* ---- f64 ---- */

static uint64_t r_f64(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    volatile double x = f64(s[0]), y = f64(s[1]), z = f64(s[2]), r = 0;
    fesetround(host_round(c));
    switch (c->op) {
    case OP_ADD_F64: r = x + y; break;
    case OP_SUB_F64: r = x - y; break;
    case OP_MUL_F64: r = x * y; break;
    case OP_DIV_F64: r = x / y; break;
    case OP_FMA_F64: r = fma(x, y, z); break;
    case OP_SQRT_F64: r = sqrt(x); break;
    case OP_RCP_F64: r = 1.0 / x; break;
    case OP_NEG_F64: fesetround(FE_TONEAREST); return s[0] ^ UINT64_C(1) << 63;
    case OP_ABS_F64: fesetround(FE_TONEAREST); return s[0] & ~(UINT64_C(1) << 63);
    default: abort();
    }
    fesetround(FE_TONEAREST);
    return isnan(r) ? 0x7ff8000000000000u : bits64(r); /* any NaN: see same() */
}

/* ---- Conversions ---- */

static uint64_t r_cvt_int(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    Case from = {.t0 = c->t1};
    I128 v = num(&from, s[0]);
    uint32_t w = width(c);
    if (mod(c, MC_SAT)) {
        I128 max = is_signed(c) ? ((I128)1 << (w - 1)) - 1 : ((I128)1 << w) - 1;
        I128 min = is_signed(c) ? -max - 1 : 0;
        v = v > max ? max : v < min ? min : v;
    }
    return (uint64_t)num(c, (uint64_t)v); /* extended to the register */
}

static uint64_t r_f2i(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    long double v = c->t1 == T_F64 ? (long double)f64(s[0]) : (long double)flush(c, f32(s[0]));
    uint32_t w = width(c);
    if (isnan(v))
        return c->t1 == T_F64 || w == 64 ? (uint64_t)num(c, UINT64_C(1) << (w - 1)) : 0;
    switch (mod(c, MC_RND)) {
    case MV_RND_RZI: v = truncl(v); break;
    case MV_RND_RMI: v = floorl(v); break;
    case MV_RND_RPI: v = ceill(v); break;
    default: v = rintl(v); break;
    }
    long double max = is_signed(c) ? ldexpl(1, (int)w - 1) - 1 : ldexpl(1, (int)w) - 1;
    long double min = is_signed(c) ? -ldexpl(1, (int)w - 1) : 0;
    v = v > max ? max : v < min ? min : v;
    return is_signed(c) ? (uint64_t)(int64_t)v : (uint64_t)v;
}

static uint64_t r_i2f(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    Case from = {.t0 = c->t1};
    I128 v = num(&from, s[0]);
    fesetround(host_round(c));
    volatile float f = 0;
    volatile double d = 0;
    if (v < 0) { /* one conversion, so one rounding */
        volatile int64_t i = (int64_t)v;
        f = (float)i;
        d = (double)i;
    } else {
        volatile uint64_t u = (uint64_t)v;
        f = (float)u;
        d = (double)u;
    }
    fesetround(FE_TONEAREST);
    return c->t0 == T_F64 ? bits64(d) : num_bits(f);
}

/* Nearest even by trying all codes of the format: the codes are in order of value. */
static uint32_t nearest(float v, uint32_t mant, uint32_t n_codes)
{
    float a = fabsf(v), best = INFINITY;
    uint32_t code = 0;
    for (uint32_t k = 0; k < n_codes; k++) {
        uint32_t e = k >> mant, m = k & ((1u << mant) - 1);
        int bias = mant == 10 ? 15 : 127;
        double x = e ? ldexp(1.0 + m / (double)(1u << mant), (int)e - bias) : ldexp(m / (double)(1u << mant), 1 - bias);
        double err = fabs(x - (double)a);
        if (err < (double)best || (err == (double)best && k % 2 == 0)) {
            best = (float)err;
            code = k;
        }
        if (x > (double)a)
            break;
    }
    return code;
}

static uint32_t to_half(float v, bool bf16)
{
    if (isnan(v))
        return 0x7fff;
    uint32_t sign = signbit(v) ? 0x8000 : 0;
    if (bf16) { /* by hand: the two neighbours of the truncated value */
        uint32_t b = num_bits(fabsf(v)), lo = b >> 16, rest = b & 0xffff;
        return sign | (lo + (rest > 0x8000 || (rest == 0x8000 && lo % 2)));
    }
    if (fabsf(v) >= 65520.0f)
        return sign | 0x7c00;
    return sign | nearest(v, 10, 0x7c00);
}

static uint64_t r_pair(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    bool bf16 = c->t0 == T_BF16X2 || c->t0 == T_BF16;
    uint32_t hi = to_half(f32(s[0]), bf16), lo = to_half(f32(s[1]), bf16);
    return c->op == OP_CVT_NARROW ? hi : hi << 16 | lo;
}

static uint64_t r_widen(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    uint32_t h = (uint32_t)s[0] & 0xffff;
    if (c->t1 == T_BF16)
        return h << 16;
    uint32_t e = h >> 10 & 31, m = h & 0x3ff;
    if (e == 31 && m)
        return 0x7fffffff;
    float v = e == 31 ? INFINITY : e ? ldexpf(1.0f + (float)m / 1024, (int)e - 15) : ldexpf((float)m / 1024, -14);
    return num_bits(h & 0x8000 ? -v : v);
}

static float half(const Case *c, uint32_t bits)
{
    Case w = {.t1 = c->t0 == T_BF16 || c->t0 == T_BF16X2 ? T_BF16 : T_F16};
    uint64_t s = bits & 0xffff;
    return f32(r_widen(&w, &s, NULL));
}

/* f16 and bf16 arithmetic: in double (exact for sums and products here up to one rounding), then to the format. Double
 * rounding of fma is avoided by comparing only results that are exact in double. */
static uint64_t r_half(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    bool bf16 = c->t0 == T_BF16 || c->t0 == T_BF16X2;
    uint32_t r = 0;
    for (uint32_t j = 0; j < type_info[c->t0].count; j++) {
        float a = half(c, (uint32_t)(s[0] >> 16 * j)), b = half(c, (uint32_t)(s[1] >> 16 * j));
        float v = c->op == OP_MUL_F16 || c->op == OP_MUL_BF16   ? a * b
                  : c->op == OP_SUB_F16 || c->op == OP_SUB_BF16 ? a - b
                  : c->op == OP_MIN_F16 || c->op == OP_MIN_BF16 ? pick2(c, a, b, false)
                  : c->op == OP_MAX_F16 || c->op == OP_MAX_BF16 ? pick2(c, a, b, true)
                                                                : a + b;
        r |= to_half(v, bf16) << 16 * j;
    }
    return r;
}

/* ---- Running a case ---- */

enum { MAX_SRC = 6 };

typedef struct Shape { /* where fix_case put things */
    uint32_t n_src, n_dst_slots, n_dst_preds;
    uint32_t src_slots[MAX_SRC];
    Slot src[MAX_SRC], dst;
    bool src_is_pred[MAX_SRC], src_is_const[MAX_SRC];
    int32_t src_pred[MAX_SRC], dst_pred[2];
} Shape;

/* overlap: 0 the result has rows of its own, 1 the rows of the first source, 2 crossed over (64-bit results). */
static Fix *fix_case(const Case *c, Shape *sh, int overlap, bool guarded, uint8_t simd)
{
    Fix *f = fix_new();
    CodeInsn *in = fix_insn(f, c->op, c->t0, c->t1);
    *sh = (Shape){.dst_pred = {-1, -1}};
    for (int i = 0; i < 4; i++)
        if (c->mod[i][1])
            in->mod[c->mod[i][0]] = c->mod[i][1];
    Slot next = 8;
    int32_t pred = 0;
    Slot first_src = 8; /* the first source of slots comes first */
    for (const char *s = c->sig; *s; s += 2) {
        uint32_t n = (uint32_t)(s[1] - '0');
        switch (s[0]) {
        case 'D':
            sh->n_dst_slots = n;
            sh->dst = overlap == 0 ? 0 : overlap == 1 ? first_src : first_src + 1;
            fix_opd(f, in, CO_VALUE, sh->dst, n);
            break;
        case 'P':
            sh->dst_pred[sh->n_dst_preds++] = pred;
            fix_pred(f, in, pred++, false);
            break;
        case 'S':
            sh->src_slots[sh->n_src] = n;
            sh->src[sh->n_src++] = next;
            fix_opd(f, in, CO_VALUE, next, n);
            next += (Slot)n;
            break;
        case 'I':
            sh->src_slots[sh->n_src] = 1;
            sh->src_is_const[sh->n_src] = true;
            sh->src[sh->n_src++] = fix_const(f, c->imm);
            fix_opd(f, in, CO_VALUE, -1, 1);
            break;
        case 'Q': /* odd ones are complemented */
            sh->src_is_pred[sh->n_src] = true;
            sh->src_pred[sh->n_src++] = pred;
            fix_pred(f, in, pred, pred & 1);
            pred++;
            break;
        default:
            abort();
        }
    }
    if (overlap == 2) /* the low half of the result lies in the high half of the first source */
        f->slots[f->opds[in->opd].first + 1] = first_src;
    if (guarded) {
        in->guard = GUARD_PRED;
        in->guard_neg = true;
    }
    fix_exit(f);
    fix_start(f, 32, simd);
    return f;
}

static Slot dst_slot(const Shape *sh, int overlap, uint32_t k)
{
    if (overlap == 2)
        return k == 0 ? sh->dst : sh->dst - 1;
    return sh->dst + (Slot)k;
}

/* Equal, or within the tolerance of an approximate function; two f64 NaNs are equal whatever their payload. */
static bool same(const Case *c, uint64_t got, uint64_t want)
{
    if (got == want)
        return true;
    if (c->t0 == T_F64 && c->max_ulp > 0)
        return isnan(f64(got)) && isnan(f64(want));
    if (c->max_ulp <= 0 || isnan(f32(want)) || isnan(f32(got)))
        return false;
    double d = fabs((double)(int32_t)got - (double)(int32_t)want);
    return d <= c->max_ulp;
}

static void fill(const Shape *sh, Warp *w, uint32_t round, uint64_t before[][WARP], uint32_t n_regs)
{
    for (uint32_t r = 0; r < n_regs; r++)
        for (uint32_t i = 0; i < WARP; i++)
            before[r][i] = row(w, r)[i] = value(round);
    for (uint32_t k = 0; k < FIX_PREDS; k++)
        w->preds[k] = (uint32_t)rnd64();
    (void)sh;
}

static void check_round(const Case *c, const Shape *sh, Fix *f, int overlap, bool guarded, uint32_t round)
{
    enum { REGS = 32 };
    static uint64_t before[REGS][WARP];
    Warp *w = f->warp;
    Front *fr = exec_front(f->exec);
    fill(sh, w, round, before, REGS);
    uint32_t preds[FIX_PREDS];
    memcpy(preds, w->preds, sizeof preds);
    uint32_t mask = guarded ? ~preds[GUARD_PRED] : FULL_MASK;
    if (mask == 0)
        return;
    warp_start(w);
    OpRun run;
    fr->ops->next(fr, 0, 0, &run);
    for (uint32_t i = 0; i < WARP; i++) {
        uint64_t s[MAX_SRC] = {0}, got = 0;
        for (uint32_t k = 0; k < sh->n_src; k++) {
            if (sh->src_is_pred[k])
                s[k] = (preds[sh->src_pred[k]] >> i & 1) ^ (uint32_t)(sh->src_pred[k] & 1);
            else if (sh->src_is_const[k])
                s[k] = c->imm;
            else
                for (uint32_t j = 0; j < sh->src_slots[k]; j++)
                    s[k] |= before[sh->src[k] + (Slot)j][i] << 32 * j;
        }
        uint32_t p = 0;
        uint64_t want = c->ref(c, s, &p);
        uint64_t keep = c->bits ? (UINT64_C(1) << c->bits) - 1 : sh->n_dst_slots == 1 ? 0xffffffff : ~UINT64_C(0);
        if (!(mask >> i & 1)) {
            want = 0;
            for (uint32_t k = 0; k < sh->n_dst_slots; k++)
                want |= before[dst_slot(sh, overlap, k)][i] << 32 * k;
        }
        for (uint32_t k = 0; k < sh->n_dst_slots; k++)
            got |= (uint64_t)row(w, (uint32_t)dst_slot(sh, overlap, k))[i] << 32 * k;
        bool ok = sh->n_dst_slots == 0 || same(c, got & keep, want & keep);
        for (uint32_t k = 0; k < sh->n_dst_preds; k++) {
            uint32_t pw = mask >> i & 1 ? p >> k & 1 : preds[sh->dst_pred[k]] >> i & 1;
            ok = ok && (w->preds[sh->dst_pred[k]] >> i & 1) == pw;
        }
        if (!ok && ++failures < 40)
            fprintf(stderr, "%s mods %u.%u %u.%u %u.%u isa %d overlap %d lane %u: %llx %llx %llx -> %llx, want %llx (p %u)\n",
                    op_row[c->op].id, c->mod[0][0], c->mod[0][1], c->mod[1][0], c->mod[1][1], c->mod[2][0],
                    c->mod[2][1], (int)f->exec->isa, overlap, i, (unsigned long long)s[0], (unsigned long long)s[1],
                    (unsigned long long)s[2], (unsigned long long)(got & keep), (unsigned long long)(want & keep), p);
    }
}

static uint32_t n_cases;

static void check_case(const Case *c)
{
    n_cases++;
    bool has_dst = strchr(c->sig, 'D') != NULL;
    for (int isa = 0; isa < SIMD_ISAS; isa++) {
        if (!simd_runs((SimdIsa)isa))
            continue;
        for (int overlap = 0; overlap < 3; overlap++) {
            const char *d = strchr(c->sig, 'D'), *s = strchr(c->sig, 'S');
            if ((overlap > 0 && (!has_dst || !s)) || (overlap == 2 && !(d[1] == '2' && s[1] == '2')))
                continue;
            for (int guarded = 0; guarded < 2; guarded++) {
                Shape sh;
                Fix *f = fix_case(c, &sh, overlap, guarded, (uint8_t)(isa + 1));
                for (uint32_t round = 0; round < ROUNDS; round++)
                    check_round(c, &sh, f, overlap, guarded, round);
                fix_free(f);
            }
        }
    }
}

/* ---- The cases ---- */

#define CHECK(...) check_case(&(Case){__VA_ARGS__, .end = 0})

static const PtxType int_types[] = {T_U16, T_S16, T_U32, T_S32, T_U64, T_S64};

static uint32_t slots_of(PtxType t)
{
    return type_info[t].bits > 32 ? 2 : 1;
}

/* Writes "D1S2" for pattern "DS" and slot counts by type. */
static const char *sig(const char *pattern, uint32_t d, uint32_t s)
{
    static char pool[64][24];
    static uint32_t at;
    char *out = pool[at++ % 64];
    uint32_t n = 0;
    for (const char *p = pattern; *p; p++) {
        out[n++] = *p == 'd' ? 'S' : *p;
        out[n++] = (char)('0' + (*p == 'D' ? d : *p == 'S' ? s : *p == 'd' ? d : 1));
    }
    out[n] = 0;
    return out;
}

static void integers(void)
{
    static const OpCode two[] = {OP_ADD_INT, OP_SUB_INT, OP_MUL_LO, OP_MUL_HI, OP_DIV_INT, OP_REM_INT, OP_MIN_INT, OP_MAX_INT};
    for (size_t t = 0; t < 6; t++) {
        PtxType ty = int_types[t];
        uint32_t n = slots_of(ty), w = type_info[ty].bits;
        for (size_t k = 0; k < sizeof two / sizeof *two; k++)
            CHECK(two[k], ty, 0, sig("DSS", n, n), r_int,
                               {{MC_MUL, two[k] == OP_MUL_HI ? MV_MUL_HI : MV_MUL_LO}}, .bits = w == 16 ? 16 : 0);
        CHECK(OP_MAD_LO, ty, 0, sig("DSSS", n, n), r_int, {{MC_MUL, MV_MUL_LO}}, .bits = w == 16 ? 16 : 0);
        CHECK(OP_MAD_HI, ty, 0, sig("DSSS", n, n), r_int, {{MC_MUL, MV_MUL_HI}}, .bits = w == 16 ? 16 : 0);
        if (w < 64) {
            uint32_t d = w == 16 ? 1 : 2;
            CHECK(OP_MUL_WIDE, ty, 0, sig("DSS", d, n), r_int, {{MC_MUL, MV_MUL_WIDE}});
            CHECK(OP_MAD_WIDE, ty, 0, sig("DSSd", d, n), r_int, {{MC_MUL, MV_MUL_WIDE}});
        }
        if (ty == T_S16 || ty == T_S32 || ty == T_S64) {
            CHECK(OP_NEG_INT, ty, 0, sig("DS", n, n), r_int, .bits = w == 16 ? 16 : 0);
            CHECK(OP_ABS_INT, ty, 0, sig("DS", n, n), r_int, .bits = w == 16 ? 16 : 0);
        }
        CHECK(OP_SHR, ty, 0, n == 2 ? "D2S2S1" : "D1S1S1", r_int, .bits = w == 16 ? 16 : 0);
    }
    static const PtxType bit_types[] = {T_B16, T_B32, T_B64};
    static const OpCode logic[] = {OP_AND_BITS, OP_OR_BITS, OP_XOR_BITS, OP_NOT_BITS, OP_CNOT};
    for (size_t t = 0; t < 3; t++) {
        uint32_t n = slots_of(bit_types[t]), bits = type_info[bit_types[t]].bits == 16 ? 16 : 0;
        for (size_t k = 0; k < 5; k++)
            CHECK(logic[k], bit_types[t], 0, sig(k < 3 ? "DSS" : "DS", n, n), r_int, .bits = bits);
        CHECK(OP_SHL, bit_types[t], 0, n == 2 ? "D2S2S1" : "D1S1S1", r_int, .bits = bits);
    }
}

static void bits(void)
{
    static const OpCode count[] = {OP_POPC, OP_CLZ, OP_BREV, OP_BFIND, OP_BFIND_SHIFT};
    for (size_t k = 0; k < 5; k++)
        for (size_t t = 2; t < 6; t++) {
            PtxType ty = k < 3 ? (t < 4 ? T_B32 : T_B64) : int_types[t];
            uint32_t n = slots_of(ty);
            CHECK(count[k], ty, 0, sig("DS", count[k] == OP_BREV ? n : 1, n), r_count);
        }
    for (size_t t = 2; t < 6; t++) {
        uint32_t n = slots_of(int_types[t]);
        CHECK(OP_BFE, int_types[t], 0, n == 2 ? "D2S2S1S1" : "D1S1S1S1", r_field);
    }
    CHECK(OP_BFI, T_B32, 0, "D1S1S1S1S1", r_field);
    CHECK(OP_BFI, T_B64, 0, "D2S2S2S1S1", r_field);
    for (uint8_t m = MV_SHF_CLAMP; m <= MV_SHF_WRAP; m++) {
        CHECK(OP_SZEXT, T_U32, 0, "D1S1S1", r_mask, {{MC_SHF, m}});
        CHECK(OP_SZEXT, T_S32, 0, "D1S1S1", r_mask, {{MC_SHF, m}});
        CHECK(OP_BMSK, T_B32, 0, "D1S1S1", r_mask, {{MC_SHF, m}});
        CHECK(OP_SHF_L, T_B32, 0, "D1S1S1S1", r_shift2, {{MC_SHF, m}});
        CHECK(OP_SHF_R, T_B32, 0, "D1S1S1S1", r_shift2, {{MC_SHF, m}});
    }
    for (uint32_t lut = 0; lut < 256; lut += lut % 16 == 0 ? 1 : 5)
        CHECK(OP_LOP3, T_B32, 0, "D1S1S1S1I1", r_lop3, .imm = lut);
    CHECK(OP_LOP3_BOOL, T_B32, 0, "D1P1S1S1S1I1Q1", r_lop3, {{MC_BOOL, MV_BOOL_OR}}, .imm = 0x80);
    CHECK(OP_LOP3_BOOL, T_B32, 0, "D1P1S1S1S1I1Q1", r_lop3, {{MC_BOOL, MV_BOOL_AND}}, .imm = 0x80);
    for (uint8_t m = 0; m <= MV_PRMT_RC16; m++)
        CHECK(OP_PRMT, T_B32, 0, "D1S1S1S1", r_prmt, {{MC_PRMT, m}});
}

static void floats(void)
{
    static const OpCode one[] = {OP_ADD_F32, OP_SUB_F32, OP_MUL_F32, OP_FMA_F32, OP_DIV_F32, OP_SQRT_F32, OP_RCP_F32};
    static const OpCode two[] = {OP_ADD_F32X2, OP_SUB_F32X2, OP_MUL_F32X2, OP_FMA_F32X2};
    for (uint8_t r = MV_RND_RN; r <= MV_RND_RP; r++)
        for (uint8_t ftz = 0; ftz < 2; ftz++) {
            for (size_t k = 0; k < 7; k++)
                for (uint8_t sat = 0; sat < (k < 4 ? 2 : 1); sat++)
                    CHECK(one[k], T_F32, 0, k == 3 ? "D1S1S1S1" : k < 5 ? "D1S1S1" : "D1S1", r_f32,
                                       {{MC_RND, r}, {MC_FTZ, ftz}, {MC_SAT, sat}});
            for (size_t k = 0; k < 4; k++)
                CHECK(two[k], T_F32X2, 0, k == 3 ? "D2S2S2S2" : "D2S2S2", r_f32x2,
                                   {{MC_RND, r}, {MC_FTZ, ftz}});
        }
    CHECK(OP_ADD_F32, T_F32, 0, "D1S1S1", r_f32); /* no .rnd is .rn */
    for (uint8_t ftz = 0; ftz < 2; ftz++) {
        for (uint8_t nan = 0; nan < 2; nan++)
            for (uint8_t abs = 0; abs < 2; abs++) {
                CHECK(OP_MIN_F32, T_F32, 0, "D1S1S1", r_minmax, {{MC_FTZ, ftz}, {MC_NAN, nan}, {MC_XSA, abs}, {MC_ABS, abs}});
                CHECK(OP_MAX_F32, T_F32, 0, "D1S1S1", r_minmax, {{MC_FTZ, ftz}, {MC_NAN, nan}, {MC_XSA, abs}, {MC_ABS, abs}});
                CHECK(OP_MIN3_F32, T_F32, 0, "D1S1S1S1", r_minmax, {{MC_FTZ, ftz}, {MC_NAN, nan}, {MC_ABS, abs}});
                CHECK(OP_MAX3_F32, T_F32, 0, "D1S1S1S1", r_minmax, {{MC_FTZ, ftz}, {MC_NAN, nan}, {MC_ABS, abs}});
            }
        CHECK(OP_NEG_F32, T_F32, 0, "D1S1", r_sign, {{MC_FTZ, ftz}});
        CHECK(OP_ABS_F32, T_F32, 0, "D1S1", r_sign, {{MC_FTZ, ftz}});
        static const OpCode func[] = {OP_EX2_F32, OP_LG2_F32, OP_RCP_F32_APPROX, OP_SQRT_F32_APPROX, OP_RSQRT_F32};
        for (size_t k = 0; k < 5; k++)
            CHECK(func[k], T_F32, 0, "D1S1", r_func, {{MC_FTZ, ftz}, {MC_PREC, MV_PREC_APPROX}}, .max_ulp = 1);
    }
    CHECK(OP_TANH_F32, T_F32, 0, "D1S1", r_func, {{MC_PREC, MV_PREC_APPROX}}, .max_ulp = 1);
    CHECK(OP_DIV_F32_APPROX, T_F32, 0, "D1S1S1", r_func, {{MC_PREC, MV_PREC_APPROX}, {MC_FTZ, 1}}, .max_ulp = 2);
}

static void doubles(void)
{
    static const OpCode op[] = {OP_ADD_F64, OP_SUB_F64, OP_MUL_F64, OP_DIV_F64, OP_FMA_F64, OP_SQRT_F64, OP_RCP_F64};
    for (uint8_t r = MV_RND_RN; r <= MV_RND_RP; r++)
        for (size_t k = 0; k < 7; k++)
            CHECK(op[k], T_F64, 0, k == 4 ? "D2S2S2S2" : k < 4 ? "D2S2S2" : "D2S2", r_f64,
                               {{MC_RND, r}}, .max_ulp = 0.5);
    CHECK(OP_NEG_F64, T_F64, 0, "D2S2", r_f64);
    CHECK(OP_ABS_F64, T_F64, 0, "D2S2", r_f64);
}

static void comparisons(void)
{
    for (uint8_t b = 0; b <= MV_BOOL_XOR; b++)
        for (uint8_t q = 0; q < 2; q++) {
            const char *pat = b ? (q ? "PPSSQ" : "PSSQ") : (q ? "PPSS" : "PSS");
            for (uint8_t m = MV_CMP_EQ; m <= MV_CMP_HS; m++)
                for (size_t t = 0; t < 6; t++)
                    if (m <= MV_CMP_GE || type_info[int_types[t]].kind == 'U')
                        CHECK(OP_SETP_INT, int_types[t], 0, sig(pat, 0, slots_of(int_types[t])), r_setp,
                                           {{MC_CMP, m}, {MC_BOOL, b}});
            for (uint8_t m = MV_CMP_EQ; m <= MV_CMP_NAN; m++) {
                if (m >= MV_CMP_LO && m <= MV_CMP_HS)
                    continue;
                for (uint8_t ftz = 0; ftz < 2; ftz++)
                    CHECK(OP_SETP_F32, T_F32, 0, sig(pat, 0, 1), r_setp, {{MC_CMP, m}, {MC_BOOL, b}, {MC_FTZ, ftz}});
                CHECK(OP_SETP_F64, T_F64, 0, sig(pat, 0, 2), r_setp, {{MC_CMP, m}, {MC_BOOL, b}});
            }
        }
    static const PtxType sel[] = {T_B16, T_F32, T_B64};
    for (size_t t = 0; t < 3; t++) {
        uint32_t n = slots_of(sel[t]), keep = type_info[sel[t]].bits == 16 ? 16 : 0;
        CHECK(OP_SELP, sel[t], 0, sig("DSSQ", n, n), r_sel, .bits = keep);
        CHECK(OP_SLCT_S32, sel[t], T_S32, n == 2 ? "D2S2S2S1" : "D1S1S1S1", r_sel, .bits = keep);
        CHECK(OP_SLCT_F32, sel[t], T_F32, n == 2 ? "D2S2S2S1" : "D1S1S1S1", r_sel, {{MC_FTZ, 1}}, .bits = keep);
        CHECK(OP_MOV, sel[t], 0, sig("DS", n, n), r_sel, .bits = keep);
    }
    CHECK(OP_COPYSIGN, T_F32, 0, "D1S1S1", r_sel);
    CHECK(OP_COPYSIGN, T_F64, 0, "D2S2S2", r_sel);
    static const OpCode logic[] = {OP_AND_PRED, OP_OR_PRED, OP_XOR_PRED, OP_NOT_PRED, OP_MOV_PRED};
    for (size_t k = 0; k < 5; k++)
        CHECK(logic[k], T_PRED, 0, k < 3 ? "P1Q1Q1" : "P1Q1", r_pred);
    for (uint8_t m = MV_TESTOP_FINITE; m <= MV_TESTOP_SUBNORMAL; m++) {
        CHECK(OP_TESTP, T_F32, 0, "P1S1", r_testp, {{MC_TESTOP, m}});
        CHECK(OP_TESTP, T_F64, 0, "P1S2", r_testp, {{MC_TESTOP, m}});
    }
}

static void conversions(void)
{
    static const PtxType ty[] = {T_U8, T_S8, T_U16, T_S16, T_U32, T_S32, T_U64, T_S64};
    for (size_t to = 0; to < 8; to++)
        for (size_t from = 0; from < 8; from++)
            for (uint8_t sat = 0; sat < 2; sat++)
                for (uint32_t wide = 0; wide < 2; wide++) { /* a destination register wider than the type */
                    uint32_t n = wide ? 2 : slots_of(ty[to]);
                    CHECK(OP_CVT_INT, ty[to], ty[from], sig("DS", n, slots_of(ty[from])), r_cvt_int, {{MC_SAT, sat}});
                }
    for (uint8_t r = MV_RND_RNI; r <= MV_RND_RPI; r++)
        for (size_t to = 0; to < 8; to++) {
            uint32_t w = type_info[ty[to]].bits;
            CHECK(OP_CVT_F2I, ty[to], T_F32, sig("DS", slots_of(ty[to]), 1), r_f2i, {{MC_RND, r}}, .bits = w < 32 ? w : 0);
            CHECK(OP_CVT_F2I, ty[to], T_F64, sig("DS", slots_of(ty[to]), 2), r_f2i, {{MC_RND, r}}, .bits = w < 32 ? w : 0);
        }
    for (uint8_t r = MV_RND_RN; r <= MV_RND_RP; r++)
        for (size_t from = 0; from < 8; from++) {
            CHECK(OP_CVT_I2F, T_F32, ty[from], sig("DS", 1, slots_of(ty[from])), r_i2f, {{MC_RND, r}});
            CHECK(OP_CVT_I2F, T_F64, ty[from], sig("DS", 2, slots_of(ty[from])), r_i2f, {{MC_RND, r}});
        }
    CHECK(OP_CVT_F16X2, T_BF16X2, T_F32, "D1S1S1", r_pair, {{MC_RND, MV_RND_RN}});
    CHECK(OP_CVT_F16X2, T_F16X2, T_F32, "D1S1S1", r_pair, {{MC_RND, MV_RND_RN}});
    CHECK(OP_CVT_NARROW, T_BF16, T_F32, "D1S1", r_pair, {{MC_RND, MV_RND_RN}}, .bits = 16);
    CHECK(OP_CVT_NARROW, T_F16, T_F32, "D1S1", r_pair, {{MC_RND, MV_RND_RN}}, .bits = 16);
    CHECK(OP_CVT_WIDEN, T_F32, T_BF16, "D1S1", r_widen);
    CHECK(OP_CVT_WIDEN, T_F32, T_F16, "D1S1", r_widen);
    static const OpCode h[] = {OP_ADD_F16, OP_SUB_F16, OP_MUL_F16, OP_MIN_F16, OP_MAX_F16};
    static const OpCode b[] = {OP_ADD_BF16, OP_SUB_BF16, OP_MUL_BF16, OP_MIN_BF16, OP_MAX_BF16};
    for (size_t k = 0; k < 5; k++) {
        CHECK(h[k], T_F16, 0, "D1S1S1", r_half, .bits = 16);
        CHECK(h[k], T_F16X2, 0, "D1S1S1", r_half);
        CHECK(b[k], T_BF16X2, 0, "D1S1S1", r_half);
    }
}

int main(void)
{
    integers();
    bits();
    floats();
    doubles();
    comparisons();
    conversions();
    printf("%u cases, %d failures\n", n_cases, failures);
    return failures ? 1 : 0;
}
