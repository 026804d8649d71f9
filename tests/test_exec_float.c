/* Floating point, comparison, selection, predicates, conversion, all types and modifiers; see
 * alu_case.h. References: the host's rounding modes, long double, search among all codes of a
 * format. */
#include <fenv.h>

#include "tests/alu_case.h"

static uint64_t bits64(double v)
{
    uint64_t b;
    memcpy(&b, &v, sizeof b);
    return b;
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

/* ---- f32 ---- */

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
    return lo | (uint64_t)arith(c, op, (uint32_t)(s[0] >> 32), (uint32_t)(s[1] >> 32),
                                (uint32_t)(s[2] >> 32))
                    << 32;
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
    bool max = c->op == OP_MAX_F32 || c->op == OP_MAX3_F32,
         three = c->op == OP_MIN3_F32 || c->op == OP_MAX3_F32;
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
    if (isnan(f32(v)))
        return 0x7fffffff;
    v = num_bits(flush(c, f32(v)));
    return c->op == OP_NEG_F32 ? v ^ 0x80000000u : v & 0x7fffffff;
}

/* Functions in long double; compared within c->max_ulp. lg2 and tanh have other bounds: see
 * test_num_rows, and test_hopper for the bits of all. */
static uint64_t r_func(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    long double x = flush(c, f32(s[0])), y = flush(c, f32(s[1])), r = 0;
    switch (c->op) {
    case OP_EX2_F32:
        r = exp2l(x);
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

/* ---- f64 ---- */

static uint64_t r_f64(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    volatile double x = f64(s[0]), y = f64(s[1]), z = f64(s[2]), r = 0;
    fesetround(host_round(c));
    switch (c->op) {
    case OP_ADD_F64:
        r = x + y;
        break;
    case OP_SUB_F64:
        r = x - y;
        break;
    case OP_MUL_F64:
        r = x * y;
        break;
    case OP_DIV_F64:
        r = x / y;
        break;
    case OP_FMA_F64:
        r = fma(x, y, z);
        break;
    case OP_SQRT_F64:
        r = sqrt(x);
        break;
    case OP_RCP_F64:
        r = 1.0 / x;
        break;
    case OP_NEG_F64:
        fesetround(FE_TONEAREST);
        return isnan(x) ? bits64(x) : s[0] ^ UINT64_C(1) << 63;
    case OP_ABS_F64:
        fesetround(FE_TONEAREST);
        return isnan(x) ? bits64(x) : s[0] & ~(UINT64_C(1) << 63);
    default:
        abort();
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
    case MV_RND_RZI:
        v = truncl(v);
        break;
    case MV_RND_RMI:
        v = floorl(v);
        break;
    case MV_RND_RPI:
        v = ceill(v);
        break;
    default:
        v = rintl(v);
        break;
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
        double x = e ? ldexp(1.0 + m / (double)(1u << mant), (int)e - bias)
                     : ldexp(m / (double)(1u << mant), 1 - bias);
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
    float v = e == 31 ? INFINITY
              : e     ? ldexpf(1.0f + (float)m / 1024, (int)e - 15)
                      : ldexpf((float)m / 1024, -14);
    return num_bits(h & 0x8000 ? -v : v);
}

static float half(const Case *c, uint32_t bits)
{
    Case w = {.t1 = c->t0 == T_BF16 || c->t0 == T_BF16X2 ? T_BF16 : T_F16};
    uint64_t s = bits & 0xffff;
    return f32(r_widen(&w, &s, NULL));
}

/* f16 and bf16 arithmetic: in double (exact for sums and products here up to one rounding), then to
 * the format. Double rounding of fma is avoided by comparing only results that are exact in double.
 */
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

static void floats(void)
{
    static const OpCode one[] = {OP_ADD_F32, OP_SUB_F32,  OP_MUL_F32, OP_FMA_F32,
                                 OP_DIV_F32, OP_SQRT_F32, OP_RCP_F32};
    static const OpCode two[] = {OP_ADD_F32X2, OP_SUB_F32X2, OP_MUL_F32X2, OP_FMA_F32X2};
    for (uint8_t r = MV_RND_RN; r <= MV_RND_RP; r++)
        for (uint8_t ftz = 0; ftz < 2; ftz++) {
            for (size_t k = 0; k < 7; k++)
                for (uint8_t sat = 0; sat < (k < 4 ? 2 : 1); sat++)
                    CHECK(one[k], T_F32, 0,
                          k == 3  ? "D1S1S1S1"
                          : k < 5 ? "D1S1S1"
                                  : "D1S1",
                          r_f32, {{MC_RND, r}, {MC_FTZ, ftz}, {MC_SAT, sat}});
            for (size_t k = 0; k < 4; k++)
                CHECK(two[k], T_F32X2, 0, k == 3 ? "D2S2S2S2" : "D2S2S2", r_f32x2,
                      {{MC_RND, r}, {MC_FTZ, ftz}});
        }
    CHECK(OP_ADD_F32, T_F32, 0, "D1S1S1", r_f32); /* no .rnd is .rn */
    for (uint8_t ftz = 0; ftz < 2; ftz++) {
        for (uint8_t nan = 0; nan < 2; nan++)
            for (uint8_t abs = 0; abs < 2; abs++) {
                CHECK(OP_MIN_F32, T_F32, 0, "D1S1S1", r_minmax,
                      {{MC_FTZ, ftz}, {MC_NAN, nan}, {MC_XSA, abs}, {MC_ABS, abs}});
                CHECK(OP_MAX_F32, T_F32, 0, "D1S1S1", r_minmax,
                      {{MC_FTZ, ftz}, {MC_NAN, nan}, {MC_XSA, abs}, {MC_ABS, abs}});
                CHECK(OP_MIN3_F32, T_F32, 0, "D1S1S1S1", r_minmax,
                      {{MC_FTZ, ftz}, {MC_NAN, nan}, {MC_ABS, abs}});
                CHECK(OP_MAX3_F32, T_F32, 0, "D1S1S1S1", r_minmax,
                      {{MC_FTZ, ftz}, {MC_NAN, nan}, {MC_ABS, abs}});
            }
        CHECK(OP_NEG_F32, T_F32, 0, "D1S1", r_sign, {{MC_FTZ, ftz}});
        CHECK(OP_ABS_F32, T_F32, 0, "D1S1", r_sign, {{MC_FTZ, ftz}});
        static const OpCode func[] = {OP_EX2_F32, OP_RCP_F32_APPROX, OP_SQRT_F32_APPROX,
                                      OP_RSQRT_F32};
        for (size_t k = 0; k < 4; k++)
            CHECK(func[k], T_F32, 0, "D1S1", r_func, {{MC_FTZ, ftz}, {MC_PREC, MV_PREC_APPROX}},
                  .max_ulp = 2);
    }
    CHECK(OP_DIV_F32_APPROX, T_F32, 0, "D1S1S1", r_func, {{MC_PREC, MV_PREC_APPROX}, {MC_FTZ, 1}},
          .max_ulp = 2);
}

static void doubles(void)
{
    static const OpCode op[] = {OP_ADD_F64, OP_SUB_F64,  OP_MUL_F64, OP_DIV_F64,
                                OP_FMA_F64, OP_SQRT_F64, OP_RCP_F64};
    for (uint8_t r = MV_RND_RN; r <= MV_RND_RP; r++)
        for (size_t k = 0; k < 7; k++)
            CHECK(op[k], T_F64, 0,
                  k == 4  ? "D2S2S2S2"
                  : k < 4 ? "D2S2S2"
                          : "D2S2",
                  r_f64, {{MC_RND, r}}, .max_ulp = 0.5);
    CHECK(OP_NEG_F64, T_F64, 0, "D2S2", r_f64);
    CHECK(OP_ABS_F64, T_F64, 0, "D2S2", r_f64);
}

static void conversions(void)
{
    static const PtxType ty[] = {T_U8, T_S8, T_U16, T_S16, T_U32, T_S32, T_U64, T_S64};
    for (size_t to = 0; to < 8; to++)
        for (size_t from = 0; from < 8; from++)
            for (uint8_t sat = 0; sat < 2; sat++)
                for (uint32_t wide = 0; wide < 2;
                     wide++) { /* a destination register wider than the type */
                    uint32_t n = wide ? 2 : slots_of(ty[to]);
                    CHECK(OP_CVT_INT, ty[to], ty[from], sig("DS", n, slots_of(ty[from])), r_cvt_int,
                          {{MC_SAT, sat}});
                }
    for (uint8_t r = MV_RND_RNI; r <= MV_RND_RPI; r++)
        for (size_t to = 0; to < 8; to++) {
            uint32_t w = type_info[ty[to]].bits;
            CHECK(OP_CVT_F2I, ty[to], T_F32, sig("DS", slots_of(ty[to]), 1), r_f2i, {{MC_RND, r}},
                  .bits = w < 32 ? w : 0);
            CHECK(OP_CVT_F2I, ty[to], T_F64, sig("DS", slots_of(ty[to]), 2), r_f2i, {{MC_RND, r}},
                  .bits = w < 32 ? w : 0);
        }
    for (uint8_t r = MV_RND_RN; r <= MV_RND_RP; r++)
        for (size_t from = 0; from < 8; from++) {
            CHECK(OP_CVT_I2F, T_F32, ty[from], sig("DS", 1, slots_of(ty[from])), r_i2f,
                  {{MC_RND, r}});
            CHECK(OP_CVT_I2F, T_F64, ty[from], sig("DS", 2, slots_of(ty[from])), r_i2f,
                  {{MC_RND, r}});
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
    floats();
    doubles();
    conversions();
    printf("%u cases, %d failures\n", n_cases, failures);
    return failures ? 1 : 0;
}
