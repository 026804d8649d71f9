/* The rows of num.h, compiled once per instruction set: included by simd_*.c only, which define
 * SIMD_ISA (a SimdIsa) and SIMD_NAME(x) (x with the suffix of the instruction set).
 *
 * A *_lane function is what happens to one lane, in plain C without branches; ROW1 to ROW3 make the
 * loops over the 32 lanes that the compiler turns into vectors. Directed rounding and the
 * approximate functions are computed in double, where every step is an IEEE operation. */
#ifndef RAO_SIM_FUNC_NUM_BODY_H
#define RAO_SIM_FUNC_NUM_BODY_H

#include <math.h>

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

static inline double bits_double(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t ftz_if(uint32_t a, int ftz)
{
    return ftz == NUM_FTZ ? num_ftz_f32(a) : a;
}

/* Adding this to |x| < 2^50 leaves round-to-nearest(x) in the low bits of the sum. */
#define ROUND_MAGIC 0x1.8p52

static inline uint32_t result_of(double y, int ftz)
{
    return ftz_if(num_canon_f32(num_bits((float)y)), ftz);
}

/* 2^x for |x| < 1000: 2^k * p(x - k). p is a minimax polynomial of degree 8 for 2^r on [-1/2, 1/2]
 * with p(0) = 1 exactly; relative error 2^-36.7. Its even and odd halves are summed apart, which
 * shortens the chain of dependent operations. */
static inline double exp2_double(double x)
{
    double t = x + ROUND_MAGIC;
    double r = x - (t - ROUND_MAGIC);
    double r2 = r * r;
    double odd = 0x1.00cbc7a779d79p-16 * r2 + 0x1.5d875d299bd76p-10;
    double even = 0x1.65c0886fa08a1p-20 * r2 + 0x1.430751ce0cdc9p-13;
    odd = odd * r2 + 0x1.c6b08dc445decp-5;
    even = even * r2 + 0x1.3b2ab79ef99f7p-7;
    odd = odd * r2 + 0x1.62e42fef8c07ap-1;
    even = even * r2 + 0x1.ebfbdff7f17a4p-3;
    double p = even * r2 + (odd * r + 1.0);
    return bits_double(double_bits(p) + (double_bits(t) << 52));
}

static inline uint32_t ex2_lane(uint32_t a, int ftz)
{
    float x = num_float(a);
    x = x > -200.0f ? x : -200.0f; /* 2^-200 is zero, 2^200 infinity in f32 */
    x = x < 200.0f ? x : 200.0f;
    uint32_t y = num_bits((float)exp2_double((double)x));
    uint32_t flushed = y < 0x00800000u ? 0 : y;
    return num_is_nan_f32(a) ? 0x7FFFFFFFu : ftz == NUM_FTZ ? flushed : y;
}

/* log2(m 2^e) = e + 2/ln2 atanh((m - 1) / (m + 1)), sqrt(1/2) <= m < sqrt(2). */
static inline uint32_t lg2_lane(uint32_t a, int ftz)
{
    a = ftz_if(a, ftz);
    uint64_t bits = double_bits((double)num_float(a));
    uint64_t above = bits - UINT64_C(0x3FE6A09E667F3BCD); /* from sqrt(1/2) up, per binade */
    uint64_t e_bits = above & UINT64_C(0xFFF0000000000000);
    double m = bits_double(bits - e_bits);
    /* e as a double, without a 64-bit conversion: e + 4096 placed in the fraction of 2^52. */
    double e = bits_double((((e_bits >> 52) + 2048) & 0xFFF) | UINT64_C(0x4330000000000000));
    e = e - (0x1p52 + 2048.0);
    double s = (m - 1.0) / (m + 1.0);
    double s2 = s * s;
    double q = 0x1.89f3b1694cffep-3;
    q = q * s2 + 0x1.c68f568d31760p-3;
    q = q * s2 + 0x1.0c9a84994022dp-2;
    q = q * s2 + 0x1.484b13d7c02a9p-2;
    q = q * s2 + 0x1.a61762a7aded9p-2;
    q = q * s2 + 0x1.2776c50ef9bfep-1;
    q = q * s2 + 0x1.ec709dc3a03fdp-1;
    q = q * s2 + 0x1.71547652b82fep+1;
    uint32_t y = num_bits((float)(e + s * q));
    y = (a & 0x7FFFFFFFu) == 0 ? 0xFF800000u : y;
    y = a == 0x7F800000u ? a : y;
    bool invalid = num_is_nan_f32(a) || a > 0x80000000u;
    return invalid ? 0x7FFFFFFFu : y;
}

static inline uint32_t rcp_lane(uint32_t a, int ftz)
{
    return ftz_if(num_canon_f32(num_bits(1.0f / num_float(ftz_if(a, ftz)))), ftz);
}

static inline uint32_t sqrt_lane(uint32_t a, int ftz)
{
    return num_canon_f32(num_bits(sqrtf(num_float(ftz_if(a, ftz)))));
}

static inline uint32_t rsqrt_lane(uint32_t a, int ftz)
{
    return result_of(1.0 / sqrt((double)num_float(ftz_if(a, ftz))), ftz);
}

/* The sine of x + turn / 4 turns: x = (k + g) pi/2 with |g| <= 1/2, then a Taylor series of the
 * sine or cosine of g pi/2. The argument is reduced in double: its absolute error is x * 2^-53, and
 * above 2^50 every angle counts as zero. */
static inline uint32_t sin_lane(uint32_t a, unsigned turn, int ftz)
{
    a = ftz_if(a, ftz);
    double x = (double)num_float(a);
    x = (a & 0x7FFFFFFFu) >= 0x58800000u ? 0.0 : x;
    double quarter = x * 0x1.45f306dc9c883p-1;
    double t = quarter + ROUND_MAGIC;
    double g = quarter - (t - ROUND_MAGIC);
    double g2 = g * g;
    double s = -0x1.6fadb9f155744p-31;
    s = s * g2 + 0x1.e8f434d018d63p-25;
    s = s * g2 - 0x1.e3074fde8871fp-19;
    s = s * g2 + 0x1.50783487ee782p-13;
    s = s * g2 - 0x1.32d2cce62bd86p-8;
    s = s * g2 + 0x1.466bc6775aae2p-4;
    s = s * g2 - 0x1.4abbce625be53p-1;
    s = s * g2 + 0x1.921fb54442d18p+0;
    s = s * g;
    double c = -0x1.b6e24f44b128fp-28;
    c = c * g2 + 0x1.f9d38a3763cc3p-22;
    c = c * g2 - 0x1.a6d1f2a204a8cp-16;
    c = c * g2 + 0x1.e1f506891babbp-11;
    c = c * g2 - 0x1.55d3c7e3cbffap-6;
    c = c * g2 + 0x1.03c1f081b5ac4p-2;
    c = c * g2 - 0x1.3bd3cc9be45dep+0;
    c = c * g2 + 1.0;
    uint32_t k = (uint32_t)double_bits(t) + turn;
    uint32_t y = num_bits((float)((k & 1) ? c : s)) ^ (k & 2) << 30;
    y = turn == 0 && (a & 0x7FFFFFFFu) == 0 ? a : y;
    return (a & 0x7FFFFFFFu) >= 0x7F800000u ? 0x7FFFFFFFu : ftz_if(y, ftz);
}

/* (1 - e^-2y) / (1 + e^-2y); below 2^-5, where 1 - e^-2y cancels, the Taylor series. */
static inline uint32_t tanh_lane(uint32_t a)
{
    double y = (double)num_float(a & 0x7FFFFFFFu);
    double far_y = y > 20.0 ? 20.0 : y;
    double e = exp2_double(far_y * -0x1.71547652b82fep+1);
    double far_from_0 = (1.0 - e) / (1.0 + e);
    double y2 = y * y;
    double q = -0x1.ba1ba1ba1ba1cp-5; /* -17/315 */
    q = q * y2 + 0x1.1111111111111p-3;
    q = q * y2 - 0x1.5555555555555p-2;
    q = q * y2 + 1.0;
    uint32_t t = num_bits((float)(y < 0x1p-5 ? q * y : far_from_0));
    return num_is_nan_f32(a) ? 0x7FFFFFFFu : t | (a & 0x80000000u);
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
ROW1(sin_keep,   sin_lane(a[i], 0, NUM_KEEP))
ROW1(sin_ftz,    sin_lane(a[i], 0, NUM_FTZ))
ROW1(cos_keep,   sin_lane(a[i], 1, NUM_KEEP))
ROW1(cos_ftz,    sin_lane(a[i], 1, NUM_FTZ))
ROW1(tanh_keep,  tanh_lane(a[i]))

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
    .sin = {sin_keep, sin_ftz},
    .cos = {cos_keep, cos_ftz},
    .tanh = tanh_keep,
    .add = {{add_rn, add_rn_ftz}, {add_rz, add_rz_ftz}, {add_rm, add_rm_ftz}, {add_rp, add_rp_ftz}},
    .mul = {{mul_rn, mul_rn_ftz}, {mul_rz, mul_rz_ftz}, {mul_rm, mul_rm_ftz}, {mul_rp, mul_rp_ftz}},
    .fma = {{fma_rn, fma_rn_ftz}, {fma_rz, fma_rz_ftz}, {fma_rm, fma_rm_ftz}, {fma_rp, fma_rp_ftz}},
    .bf16x2 = bf16x2_rn,
    .f16x2 = f16x2_rn,
    .f32_of_bf16 = f32_from_bf16,
    .f32_of_f16 = f32_from_f16,
};

#endif
