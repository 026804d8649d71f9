/* The rows of num.h, compiled once per instruction set: included by simd_*.c only, which define
 * SIMD_ISA (a SimdIsa) and SIMD_NAME(x) (x with the suffix of the instruction set).
 *
 * A *_lane function is what happens to one lane, in plain C without branches; ROW1 to ROW3 make the
 * loops over the 32 lanes that the compiler turns into vectors. Directed rounding is computed in
 * double, where every step is an IEEE operation. */
#ifndef RAO_SIM_FUNC_NUM_BODY_H
#define RAO_SIM_FUNC_NUM_BODY_H

#include <math.h>

#include "sim/func/mufu_body.h"
#include "sim/func/num.h"

/* d may be a or b itself: lanes are independent, which the compiler cannot know. */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wpass-failed" /* not vectorised: at low optimisation only */
#define LANES _Pragma("clang loop vectorize(assume_safety)") for (int i = 0; i < NUM_LANES; i++)
#else
#define LANES _Pragma("GCC ivdep") for (int i = 0; i < NUM_LANES; i++)
#endif

#define ROW1(name, expr)                                                                           \
    static void name(uint32_t *d, const uint32_t *a)                                               \
    {                                                                                              \
        LANES d[i] = expr;                                                                         \
    }
#define ROW2(name, expr)                                                                           \
    static void name(uint32_t *d, const uint32_t *a, const uint32_t *b)                            \
    {                                                                                              \
        LANES d[i] = expr;                                                                         \
    }
#define ROW3(name, expr)                                                                           \
    static void name(uint32_t *d, const uint32_t *a, const uint32_t *b, const uint32_t *c)         \
    {                                                                                              \
        LANES d[i] = expr;                                                                         \
    }

static inline uint64_t double_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline uint32_t ftz_if(uint32_t a, int ftz)
{
    return ftz == NUM_FTZ ? num_ftz_f32(a) : a;
}

static inline uint32_t ex2_lane(uint32_t a, int ftz)
{
    return ftz == NUM_FTZ ? mufu_ex2(a) : ex2_approx(a);
}

static inline uint32_t lg2_lane(uint32_t a, int ftz)
{
    return ftz == NUM_FTZ ? mufu_lg2(a) : lg2_approx(a);
}

static inline uint32_t rcp_lane(uint32_t a, int ftz)
{
    return ftz == NUM_FTZ ? mufu_rcp(a) : rcp_approx(a);
}

static inline uint32_t sqrt_lane(uint32_t a, int ftz)
{
    return ftz == NUM_FTZ ? mufu_sqrt(a) : sqrt_approx(a);
}

static inline uint32_t rsqrt_lane(uint32_t a, int ftz)
{
    return ftz == NUM_FTZ ? mufu_rsq(a) : rsqrt_approx(a);
}

/* s + e rounded to f32, where s is the double nearest to s + e. The f32 nearest to s is one of the
 * two neighbours; move to the other if it lies on the wrong side. Moving toward zero subtracts one
 * from the bits, moving away adds one, across binades and to and from infinity. */
static inline uint32_t round_pair(double s, double e, NumRnd rnd)
{
    float f = (float)s;
    double back = (double)f;
    uint32_t bits = num_bits(f);
    bool above = back > s || (back == s && e < 0.0);
    bool below = back < s || (back == s && e > 0.0);
    bool negative = bits >> 31;
    uint32_t toward_zero = negative ? below : above;
    uint32_t away = negative ? above : below;
    if (rnd == NUM_RZ)
        return bits - toward_zero;
    if (rnd == NUM_RM)
        return bits + (negative ? away : 0u - toward_zero);
    return bits + (negative ? 0u - toward_zero : away);
}

/* p + c rounded once; p is a sum or product of two f32, exact in double. */
static inline uint32_t add_directed(double p, double c, NumRnd rnd)
{
    double s = p + c; /* Knuth's two-sum: s + e == p + c exactly */
    double c_part = s - p;
    double e = (p - (s - c_part)) + (c - c_part);
    uint32_t y = round_pair(s, e, rnd);
    uint32_t any_minus = (uint32_t)((double_bits(p) | double_bits(c)) >> 32) & 0x80000000u;
    return rnd == NUM_RM && s == 0.0 ? any_minus : y;
}

static inline uint32_t fma_lane(uint32_t a, uint32_t b, uint32_t c, NumRnd rnd, int ftz)
{
    float x = num_float(ftz_if(a, ftz)), y = num_float(ftz_if(b, ftz));
    float z = num_float(ftz_if(c, ftz));
    uint32_t r = rnd == NUM_RN ? num_bits(fmaf(x, y, z))
                               : add_directed((double)x * (double)y, (double)z, rnd);
    return ftz_if(num_canon_f32(r), ftz);
}

static inline uint32_t add_lane(uint32_t a, uint32_t b, NumRnd rnd, int ftz)
{
    float x = num_float(ftz_if(a, ftz)), y = num_float(ftz_if(b, ftz));
    uint32_t r = rnd == NUM_RN ? num_bits(x + y) : add_directed((double)x, (double)y, rnd);
    return ftz_if(num_canon_f32(r), ftz);
}

static inline uint32_t mul_lane(uint32_t a, uint32_t b, NumRnd rnd, int ftz)
{
    float x = num_float(ftz_if(a, ftz)), y = num_float(ftz_if(b, ftz));
    uint32_t r = rnd == NUM_RN ? num_bits(x * y) : round_pair((double)x * (double)y, 0.0, rnd);
    return ftz_if(num_canon_f32(r), ftz);
}

static inline uint32_t bf16_lane(uint32_t a)
{
    uint32_t rounded = (a + 0x7FFFu + (a >> 16 & 1)) >> 16;
    return num_is_nan_f32(a) ? 0x7FFFu : rounded;
}

/* The float adder rounds: adding 2^(e + 13) to a value of exponent e leaves 10 fraction bits.
 * The exponent is held at no less than f16's smallest, so that subnormals come out right; the two
 * multiplications turn values too large for f16 into infinity. */
static inline uint32_t f16_lane(uint32_t a)
{
    uint32_t mag = a & 0x7FFFFFFFu;
    float x = num_float(mag) * 0x1p112f * 0x1p-110f;
    uint32_t e = mag & 0x7F800000u;
    e = e < 0x38800000u ? 0x38800000u : e;
    uint32_t bits = num_bits(num_float(e + 0x07800000u) + x);
    uint32_t y = (bits >> 13 & 0x7C00u) + (bits & 0xFFFu);
    y = mag > 0x7F800000u ? 0x7FFFu : y | (a >> 16 & 0x8000u);
    return y;
}

static inline uint32_t f32_of_f16_lane(uint32_t a)
{
    uint32_t mag = a & 0x7FFFu;
    uint32_t y = num_bits(num_float(mag << 13) * 0x1p112f);
    y = mag == 0x7C00u ? 0x7F800000u : y;
    y |= (a & 0x8000u) << 16;
    return mag > 0x7C00u ? 0x7FFFFFFFu : y;
}

/* clang-format off */
ROW1(ex2_keep,   ex2_lane(a[i], NUM_KEEP))
ROW1(ex2_ftz,    ex2_lane(a[i], NUM_FTZ))
ROW1(lg2_keep,   lg2_lane(a[i], NUM_KEEP))
ROW1(lg2_ftz,    lg2_lane(a[i], NUM_FTZ))
ROW1(rcp_keep,   rcp_lane(a[i], NUM_KEEP))
ROW1(rcp_ftz,    rcp_lane(a[i], NUM_FTZ))
ROW1(sqrt_keep,  sqrt_lane(a[i], NUM_KEEP))
ROW1(sqrt_ftz,   sqrt_lane(a[i], NUM_FTZ))
ROW1(rsqrt_keep, rsqrt_lane(a[i], NUM_KEEP))
ROW1(rsqrt_ftz,  rsqrt_lane(a[i], NUM_FTZ))
ROW1(sin_any,    sin_approx(a[i], 0))
ROW1(cos_any,    sin_approx(a[i], 1))
ROW1(tanh_any,   mufu_tanh(a[i]))

ROW2(add_rn,     add_lane(a[i], b[i], NUM_RN, NUM_KEEP))
ROW2(add_rz,     add_lane(a[i], b[i], NUM_RZ, NUM_KEEP))
ROW2(add_rm,     add_lane(a[i], b[i], NUM_RM, NUM_KEEP))
ROW2(add_rp,     add_lane(a[i], b[i], NUM_RP, NUM_KEEP))
ROW2(add_rn_ftz, add_lane(a[i], b[i], NUM_RN, NUM_FTZ))
ROW2(add_rz_ftz, add_lane(a[i], b[i], NUM_RZ, NUM_FTZ))
ROW2(add_rm_ftz, add_lane(a[i], b[i], NUM_RM, NUM_FTZ))
ROW2(add_rp_ftz, add_lane(a[i], b[i], NUM_RP, NUM_FTZ))
ROW2(mul_rn,     mul_lane(a[i], b[i], NUM_RN, NUM_KEEP))
ROW2(mul_rz,     mul_lane(a[i], b[i], NUM_RZ, NUM_KEEP))
ROW2(mul_rm,     mul_lane(a[i], b[i], NUM_RM, NUM_KEEP))
ROW2(mul_rp,     mul_lane(a[i], b[i], NUM_RP, NUM_KEEP))
ROW2(mul_rn_ftz, mul_lane(a[i], b[i], NUM_RN, NUM_FTZ))
ROW2(mul_rz_ftz, mul_lane(a[i], b[i], NUM_RZ, NUM_FTZ))
ROW2(mul_rm_ftz, mul_lane(a[i], b[i], NUM_RM, NUM_FTZ))
ROW2(mul_rp_ftz, mul_lane(a[i], b[i], NUM_RP, NUM_FTZ))
ROW3(fma_rn,     fma_lane(a[i], b[i], c[i], NUM_RN, NUM_KEEP))
ROW3(fma_rz,     fma_lane(a[i], b[i], c[i], NUM_RZ, NUM_KEEP))
ROW3(fma_rm,     fma_lane(a[i], b[i], c[i], NUM_RM, NUM_KEEP))
ROW3(fma_rp,     fma_lane(a[i], b[i], c[i], NUM_RP, NUM_KEEP))
ROW3(fma_rn_ftz, fma_lane(a[i], b[i], c[i], NUM_RN, NUM_FTZ))
ROW3(fma_rz_ftz, fma_lane(a[i], b[i], c[i], NUM_RZ, NUM_FTZ))
ROW3(fma_rm_ftz, fma_lane(a[i], b[i], c[i], NUM_RM, NUM_FTZ))
ROW3(fma_rp_ftz, fma_lane(a[i], b[i], c[i], NUM_RP, NUM_FTZ))

ROW2(bf16x2_rn,     bf16_lane(a[i]) << 16 | bf16_lane(b[i]))
ROW2(f16x2_rn,      f16_lane(a[i]) << 16 | f16_lane(b[i]))
ROW1(f32_from_bf16, a[i] << 16)
ROW1(f32_from_f16,  f32_of_f16_lane(a[i]))
/* clang-format on */

extern const NumRows SIMD_NAME(num_rows);

const NumRows SIMD_NAME(num_rows) = {
    .isa = SIMD_ISA,
    .ex2 = {ex2_keep, ex2_ftz},
    .lg2 = {lg2_keep, lg2_ftz},
    .rcp = {rcp_keep, rcp_ftz},
    .sqrt = {sqrt_keep, sqrt_ftz},
    .rsqrt = {rsqrt_keep, rsqrt_ftz},
    .sin = sin_any,
    .cos = cos_any,
    .tanh = tanh_any,
    .add = {{add_rn, add_rn_ftz}, {add_rz, add_rz_ftz}, {add_rm, add_rm_ftz}, {add_rp, add_rp_ftz}},
    .mul = {{mul_rn, mul_rn_ftz}, {mul_rz, mul_rz_ftz}, {mul_rm, mul_rm_ftz}, {mul_rp, mul_rp_ftz}},
    .fma = {{fma_rn, fma_rn_ftz}, {fma_rz, fma_rz_ftz}, {fma_rm, fma_rm_ftz}, {fma_rp, fma_rp_ftz}},
    .bf16x2 = bf16x2_rn,
    .f16x2 = f16x2_rn,
    .f32_of_bf16 = f32_from_bf16,
    .f32_of_f16 = f32_from_f16,
};

#endif
