/* f16 and bf16 arithmetic, packed or not, and f32 arithmetic with 16-bit operands; rows as in
 * vec_row_body.h. PTX ISA "Half Precision Floating Point", "Mixed Precision Floating Point".
 *
 * A half becomes f32, which holds it exactly; the operation is done there with one rounding to odd
 * (or with more than twice the bits, or exactly), and the second rounding, to the half, then gives
 * what one rounding would have given. A register with one half is treated as one with two: its
 * upper half is nobody's. */
#ifndef RAO_FUNC_VEC_HALF_BODY_H
#define RAO_FUNC_VEC_HALF_BODY_H

#include "sim/func/vec_float_body.h"

typedef enum HalfType { HT_F16, HT_BF16 } HalfType;
typedef enum HalfClamp { HC_NONE, HC_SAT, HC_RELU } HalfClamp;

static inline double bits_double(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#define HALF_NAN 0x7FFFu /* canonical, of f16 and bf16 alike: ptx.md 4.1 */
#define OOB_NAN 0xFFFFu  /* assumed: the manual names this NaN but not its bits */

static inline uint32_t flush_half(uint32_t h, int ftz)
{
    return ftz == NUM_FTZ && (h & 0x7C00) == 0 ? h & 0x8000 : h;
}

static inline uint32_t widen_half(uint32_t h, HalfType t, int ftz)
{
    return t == HT_BF16 ? h << 16 : f32_of_f16_lane(flush_half(h, ftz));
}

static inline uint32_t narrow_half(uint32_t f, HalfType t, int ftz, HalfClamp clamp)
{
    uint32_t h = t == HT_BF16 ? bf16_lane(f) : flush_half(f16_lane(f), ftz);
    uint32_t one = t == HT_BF16 ? 0x3F80 : 0x3C00;
    bool negative = h >> 15;
    if (clamp == HC_SAT)
        h = h == HALF_NAN || negative ? 0 : h > one ? one : h;
    if (clamp == HC_RELU)
        h = negative ? 0 : h;
    return h;
}

/* One step toward zero if |s| is too large for the exact value, which differs from s by e; then the
 * low bit set: rounding to odd. No error, or NaN (of two-sum with infinities): s itself. */
static inline uint32_t odd_f32(float s, float e)
{
    uint32_t plus = e > 0.0f, minus = e < 0.0f, bits = num_bits(s);
    uint32_t above = bits >> 31 ? plus : minus;
    return (bits - above) | plus | minus;
}

static inline uint32_t odd_of_double(double s, double e)
{
    uint64_t plus = e > 0.0, minus = e < 0.0, bits = double_bits(s);
    uint64_t above = bits >> 63 ? plus : minus;
    double d = bits_double((bits - above) | plus | minus);
    float f = (float)d;
    double back = (double)f;
    uint32_t too_large = fabs(back) > fabs(d), too_small = fabs(back) < fabs(d);
    return (num_bits(f) - too_large) | too_large | too_small;
}

/* The product of two f16 is exact in f32, its sum with a third is rounded to odd by the error of
 * two-sum; bf16 needs the range of double for the product. */
static inline uint32_t fused_f32(uint32_t a, uint32_t b, uint32_t c, HalfType t)
{
    if (t == HT_F16) {
        float p = num_float(a) * num_float(b), z = num_float(c);
        float s = p + z, z_part = s - p;
        return odd_f32(s, (p - (s - z_part)) + (z - z_part));
    }
    double p = (double)num_float(a) * (double)num_float(b), z = (double)num_float(c);
    double s = p + z, z_part = s - p;
    return odd_of_double(s, (p - (s - z_part)) + (z - z_part));
}

typedef enum HalfOp { HO_ADD, HO_SUB, HO_MUL, HO_FMA, HO_MIN, HO_MAX } HalfOp;

/* Sums: 24 bits are twice the bits of a half and two more, so rounding twice does no harm. */
static inline uint32_t half_arith(HalfOp op, uint32_t ha, uint32_t hb, uint32_t hc, HalfType t,
                                  int ftz, HalfClamp clamp)
{
    uint32_t a = widen_half(ha, t, ftz), b = widen_half(hb, t, ftz), r = 0;
    if (op == HO_ADD)
        r = num_bits(num_float(a) + num_float(b));
    if (op == HO_SUB)
        r = num_bits(num_float(a) - num_float(b));
    if (op == HO_MUL && t == HT_F16)
        r = num_bits(num_float(a) * num_float(b));
    if (op == HO_MUL && t == HT_BF16)
        r = odd_of_double((double)num_float(a) * (double)num_float(b), 0.0);
    if (op == HO_FMA)
        r = fused_f32(a, b, widen_half(hc, t, ftz), t);
    return narrow_half(r, t, ftz, clamp);
}

/* fma.oob: an out-of-bounds NaN among the factors makes the result +0. */
static inline uint32_t half_fma_oob(uint32_t ha, uint32_t hb, uint32_t hc, HalfType t,
                                    HalfClamp clamp)
{
    uint32_t r = half_arith(HO_FMA, ha, hb, hc, t, NUM_KEEP, clamp);
    return ha == OOB_NAN || hb == OOB_NAN ? 0 : r;
}

static inline uint32_t half_pick(HalfOp op, uint32_t ha, uint32_t hb, HalfType t, int ftz,
                                 NanRule rule, bool xorsign_abs)
{
    uint32_t a = widen_half(ha, t, ftz), b = widen_half(hb, t, ftz);
    uint32_t x = xorsign_abs ? MAG(a) : a, y = xorsign_abs ? MAG(b) : b;
    uint32_t r = op == HO_MIN ? min_lane(x, y, NUM_KEEP, rule) : max_lane(x, y, NUM_KEEP, rule);
    uint32_t h = narrow_half(r, t, NUM_KEEP, HC_NONE);
    return xorsign_abs && h != HALF_NAN ? h | ((ha ^ hb) & 0x8000) : h; /* of a NaN's sign too */
}

static inline uint32_t half_sign(uint32_t h, HalfType t, int ftz, bool negate)
{
    h = flush_half(h, ftz);
    bool nan = (h & 0x7FFF) > (t == HT_BF16 ? 0x7F80u : 0x7C00u);
    return nan ? HALF_NAN : negate ? h ^ 0x8000 : h & 0x7FFF;
}

/* Toward zero, but f16 overflows to infinity. */
static inline uint32_t cut_half(uint32_t f, HalfType t)
{
    uint32_t mag = MAG(f), sign = f >> 16 & 0x8000;
    uint32_t small = (uint32_t)(int32_t)(num_float(mag < 0x38800000u ? mag : 0) * 0x1p24f);
    uint32_t h = mag < 0x38800000u    ? small
                 : mag >= 0x47800000u ? 0x7C00u
                                      : (mag - 0x38000000u) >> 13;
    return num_is_nan_f32(f) ? HALF_NAN : sign | (t == HT_BF16 ? mag >> 16 : h);
}

#define LOW(x) ((x)&0xFFFF)
#define UP(x) ((x) >> 16)
/* clang-format off */
#define TWO(lo, hi) (lo) | (hi) << 16
#define HALF_PLAIN(name, op, T, F, C)                                                              \
    PLAIN32(name, TWO(half_arith(op, LOW(a[i]), LOW(b[i]), LOW(c[i]), T, F, C),                    \
                      half_arith(op, UP(a[i]), UP(b[i]), UP(c[i]), T, F, C)))
#define HALF_ARITH(name, op)                                                                       \
    HALF_PLAIN(name##_f16, op, HT_F16, NUM_KEEP, HC_NONE)                                          \
    HALF_PLAIN(name##_f16_sat, op, HT_F16, NUM_KEEP, HC_SAT)                                       \
    HALF_PLAIN(name##_f16_ftz, op, HT_F16, NUM_FTZ, HC_NONE)                                       \
    HALF_PLAIN(name##_f16_ftz_sat, op, HT_F16, NUM_FTZ, HC_SAT)                                    \
    HALF_PLAIN(name##_bf16, op, HT_BF16, NUM_KEEP, HC_NONE)
HALF_ARITH(h_add, HO_ADD)
HALF_ARITH(h_sub, HO_SUB)
HALF_ARITH(h_mul, HO_MUL)
HALF_ARITH(h_fma, HO_FMA)
HALF_PLAIN(h_fma_f16_relu, HO_FMA, HT_F16, NUM_KEEP, HC_RELU)
HALF_PLAIN(h_fma_f16_ftz_relu, HO_FMA, HT_F16, NUM_FTZ, HC_RELU)
HALF_PLAIN(h_fma_bf16_relu, HO_FMA, HT_BF16, NUM_KEEP, HC_RELU)
#define HALF_OOB(name, T, C)                                                                       \
    PLAIN32(name, TWO(half_fma_oob(LOW(a[i]), LOW(b[i]), LOW(c[i]), T, C),                         \
                      half_fma_oob(UP(a[i]), UP(b[i]), UP(c[i]), T, C)))
HALF_OOB(h_oob_f16, HT_F16, HC_NONE)
HALF_OOB(h_oob_f16_relu, HT_F16, HC_RELU)
HALF_OOB(h_oob_bf16, HT_BF16, HC_NONE)
HALF_OOB(h_oob_bf16_relu, HT_BF16, HC_RELU)
#define HALF_PICK(name, op, T, F, N, X)                                                            \
    PLAIN32(name, TWO(half_pick(op, LOW(a[i]), LOW(b[i]), T, F, N, X),                             \
                      half_pick(op, UP(a[i]), UP(b[i]), T, F, N, X)))
#define HALF_PICKS(name, op, T, F)                                                                 \
    HALF_PICK(name, op, T, F, NAN_IGNORE, false)                                                   \
    HALF_PICK(name##_nan, op, T, F, NAN_WINS, false)                                               \
    HALF_PICK(name##_x, op, T, F, NAN_IGNORE, true)                                                \
    HALF_PICK(name##_nan_x, op, T, F, NAN_WINS, true)
HALF_PICKS(h_min_f16, HO_MIN, HT_F16, NUM_KEEP)
HALF_PICKS(h_min_f16_ftz, HO_MIN, HT_F16, NUM_FTZ)
HALF_PICKS(h_min_bf16, HO_MIN, HT_BF16, NUM_KEEP)
HALF_PICKS(h_max_f16, HO_MAX, HT_F16, NUM_KEEP)
HALF_PICKS(h_max_f16_ftz, HO_MAX, HT_F16, NUM_FTZ)
HALF_PICKS(h_max_bf16, HO_MAX, HT_BF16, NUM_KEEP)
/* neg and abs are additions of zero: a NaN comes out canonical */
#define HALF_SIGN(name, call)                                                                      \
    PLAIN32(name##_f16, TWO(half_sign(LOW(a[i]), HT_F16, NUM_KEEP, call), half_sign(UP(a[i]), HT_F16, NUM_KEEP, call))) \
    PLAIN32(name##_ftz, TWO(half_sign(LOW(a[i]), HT_F16, NUM_FTZ, call), half_sign(UP(a[i]), HT_F16, NUM_FTZ, call))) \
    PLAIN32(name##_bf16, TWO(half_sign(LOW(a[i]), HT_BF16, NUM_KEEP, call), half_sign(UP(a[i]), HT_BF16, NUM_KEEP, call)))
HALF_SIGN(h_neg, true)
HALF_SIGN(h_abs, false)

/* MUFU gives the half forms by cutting the f32 result */
#define WIDE_LO(T) widen_half(LOW(a[i]), T, NUM_KEEP)
#define WIDE_HI(T) widen_half(UP(a[i]), T, NUM_KEEP)
PLAIN32(h_ex2_f16, TWO(cut_half(mufu_ex2(WIDE_LO(HT_F16)), HT_F16), cut_half(mufu_ex2(WIDE_HI(HT_F16)), HT_F16)))
PLAIN32(h_ex2_bf16, TWO(cut_half(mufu_ex2(WIDE_LO(HT_BF16)), HT_BF16), cut_half(mufu_ex2(WIDE_HI(HT_BF16)), HT_BF16)))
PLAIN32(h_tanh_f16, TWO(cut_half(mufu_tanh(WIDE_LO(HT_F16)), HT_F16), cut_half(mufu_tanh(WIDE_HI(HT_F16)), HT_F16)))
PLAIN32(h_tanh_bf16, TWO(cut_half(mufu_tanh(WIDE_LO(HT_BF16)), HT_BF16), cut_half(mufu_tanh(WIDE_HI(HT_BF16)), HT_BF16)))

/* f32 results from halves: m_add_f16_rn ... */
#define WIDEN(x, T) widen_half(LOW(x), T, NUM_KEEP)
#define MIXED_RND(name, rnd, R, T)                                                                 \
    PLAIN32(m_add_##name##_##rnd, sum_lane(WIDEN(a[i], T), b[i], R, NUM_KEEP))                     \
    PLAIN32(m_add_##name##_##rnd##_sat, num_sat_f32(sum_lane(WIDEN(a[i], T), b[i], R, NUM_KEEP)))  \
    PLAIN32(m_sub_##name##_##rnd, sum_lane(WIDEN(a[i], T), b[i] ^ SIGN_F32, R, NUM_KEEP))          \
    PLAIN32(m_sub_##name##_##rnd##_sat, num_sat_f32(sum_lane(WIDEN(a[i], T), b[i] ^ SIGN_F32, R, NUM_KEEP))) \
    PLAIN32(m_fma_##name##_##rnd, fma_lane(WIDEN(a[i], T), WIDEN(b[i], T), c[i], R, NUM_KEEP))     \
    PLAIN32(m_fma_##name##_##rnd##_sat, num_sat_f32(fma_lane(WIDEN(a[i], T), WIDEN(b[i], T), c[i], R, NUM_KEEP)))
#define MIXED(name, T)                                                                             \
    MIXED_RND(name, rn, NUM_RN, T)                                                                 \
    MIXED_RND(name, rz, NUM_RZ, T)                                                                 \
    MIXED_RND(name, rm, NUM_RM, T)                                                                 \
    MIXED_RND(name, rp, NUM_RP, T)
MIXED(f16, HT_F16)
MIXED(bf16, HT_BF16)

#define HALF_SATS(n) {{x_##n##_f16, x_##n##_f16_sat}, {x_##n##_f16_ftz, x_##n##_f16_ftz_sat}}
#define HALF_NANS(n) {{x_##n, x_##n##_x}, {x_##n##_nan, x_##n##_nan_x}}
#define MIXED_SATS(n) {x_##n, x_##n##_sat}
#define MIXED_TYPES(n) {RNDS(MIXED_SATS, n##_f16), RNDS(MIXED_SATS, n##_bf16)}
#define VEC_HALVES                                                                                 \
    {                                                                                              \
        .add = HALF_SATS(h_add), .sub = HALF_SATS(h_sub), .mul = HALF_SATS(h_mul), .fma = HALF_SATS(h_fma), \
        .add_bf16 = x_h_add_bf16, .sub_bf16 = x_h_sub_bf16, .mul_bf16 = x_h_mul_bf16,              \
        .fma_bf16 = {x_h_fma_bf16, x_h_fma_bf16_relu}, .fma_relu = {x_h_fma_f16_relu, x_h_fma_f16_ftz_relu}, \
        .fma_oob = {{x_h_oob_f16, x_h_oob_f16_relu}, {x_h_oob_bf16, x_h_oob_bf16_relu}},           \
        .min = {HALF_NANS(h_min_f16), HALF_NANS(h_min_f16_ftz), HALF_NANS(h_min_bf16)},            \
        .max = {HALF_NANS(h_max_f16), HALF_NANS(h_max_f16_ftz), HALF_NANS(h_max_bf16)},            \
        .neg = {x_h_neg_f16, x_h_neg_ftz, x_h_neg_bf16}, .abs = {x_h_abs_f16, x_h_abs_ftz, x_h_abs_bf16},                              \
        .ex2 = {x_h_ex2_f16, x_h_ex2_bf16}, .tanh = {x_h_tanh_f16, x_h_tanh_bf16},                 \
        .add_mixed = MIXED_TYPES(m_add), .sub_mixed = MIXED_TYPES(m_sub), .fma_mixed = MIXED_TYPES(m_fma), \
    }
/* clang-format on */

#endif
