/* f32 and f32x2 instructions on rows; see vec_row_body.h. The arithmetic of a lane is in
 * num_body.h. PTX ISA "Floating Point Instructions"; rules of NaN, subnormals and approximation:
 * research/ptx.md 4.1, 4.2. */
#ifndef RAO_FUNC_VEC_FLOAT_BODY_H
#define RAO_FUNC_VEC_FLOAT_BODY_H

#include "sim/func/vec_row_body.h"

#define SIGN_F32 0x80000000u

/* a + b rounded once in direction rnd, in f32 only: half the work of add_lane, which goes through
 * double. The nearest sum s and its error e are exact together (Knuth's two-sum), so s is one step
 * away where e points the other way. A finite sum that came out infinite is one step from the
 * largest number too. */
static inline uint32_t add_toward(uint32_t a, uint32_t b, NumRnd rnd, int ftz)
{
    float x = num_float(ftz_if(a, ftz)), y = num_float(ftz_if(b, ftz));
    float s = x + y, y_part = s - x;
    float e = (x - (s - y_part)) + (y - y_part);
    uint32_t bits = num_bits(s), both = num_bits(x) | num_bits(y);
    bool overflow = (bits & 0x7FFFFFFFu) == 0x7F800000u && (x - x) + (y - y) == 0.0f;
    bool above = (e < 0.0f) | (overflow & (s > 0.0f)); /* s lies above the exact sum */
    bool below = (e > 0.0f) | (overflow & (s < 0.0f));
    bool negative = bits >> 31;
    uint32_t inward = negative ? below : above, outward = negative ? above : below;
    bool step_in = rnd == NUM_RZ || (rnd == NUM_RM) != negative;
    bits += step_in ? 0 - inward : outward;
    bits = rnd == NUM_RM && s == 0.0f ? both & SIGN_F32 : bits;
    return ftz_if(num_canon_f32(bits), ftz);
}

static inline uint32_t sum_lane(uint32_t a, uint32_t b, NumRnd rnd, int ftz)
{
    return rnd == NUM_RN ? add_lane(a, b, rnd, ftz) : add_toward(a, b, rnd, ftz);
}

/* name_rnd[_ftz][_sat] of one, and name2_rnd[_ftz] of two f32. */
#define ARITH(name, rnd, R, call)                                                                  \
    PLAIN32(name##_##rnd, call(R, NUM_KEEP))                                                       \
    PLAIN32(name##_##rnd##_ftz, call(R, NUM_FTZ))                                                  \
    PLAIN32(name##_##rnd##_sat, num_sat_f32(call(R, NUM_KEEP)))                                    \
    PLAIN32(name##_##rnd##_ftz_sat, num_sat_f32(call(R, NUM_FTZ)))
#define ARITH_X2(name, rnd, R, lo, hi)                                                             \
    PLAIN_PAIR(name##2_##rnd, , lo(R, NUM_KEEP), hi(R, NUM_KEEP))                                  \
    PLAIN_PAIR(name##2_##rnd##_ftz, , lo(R, NUM_FTZ), hi(R, NUM_FTZ))
#define ARITH_ALL(name, call, lo, hi)                                                              \
    ARITH(name, rn, NUM_RN, call)                                                                  \
    ARITH(name, rz, NUM_RZ, call)                                                                  \
    ARITH(name, rm, NUM_RM, call)                                                                  \
    ARITH(name, rp, NUM_RP, call)                                                                  \
    ARITH_X2(name, rn, NUM_RN, lo, hi)                                                             \
    ARITH_X2(name, rz, NUM_RZ, lo, hi)                                                             \
    ARITH_X2(name, rm, NUM_RM, lo, hi)                                                             \
    ARITH_X2(name, rp, NUM_RP, lo, hi)

#define ADD(R, F) sum_lane(a[i], b[i], R, F)
#define ADD_LO(R, F) sum_lane(r1[i], r3[i], R, F)
#define ADD_HI(R, F) sum_lane(r2[i], r4[i], R, F)
#define SUB(R, F) sum_lane(a[i], b[i] ^ SIGN_F32, R, F)
#define SUB_LO(R, F) sum_lane(r1[i], r3[i] ^ SIGN_F32, R, F)
#define SUB_HI(R, F) sum_lane(r2[i], r4[i] ^ SIGN_F32, R, F)
#define MUL(R, F) mul_lane(a[i], b[i], R, F)
#define MUL_LO(R, F) mul_lane(r1[i], r3[i], R, F)
#define MUL_HI(R, F) mul_lane(r2[i], r4[i], R, F)
#define FMA(R, F) fma_lane(a[i], b[i], c[i], R, F)
#define FMA_LO(R, F) fma_lane(r1[i], r3[i], r5[i], R, F)
#define FMA_HI(R, F) fma_lane(r2[i], r4[i], r6[i], R, F)
ARITH_ALL(add, ADD, ADD_LO, ADD_HI)
ARITH_ALL(sub, SUB, SUB_LO, SUB_HI)
ARITH_ALL(mul, MUL, MUL_LO, MUL_HI)
ARITH_ALL(fma, FMA, FMA_LO, FMA_HI)
#define SATS(n)                                                                                    \
    {                                                                                              \
        {x_##n, x_##n##_sat},                                                                      \
        {                                                                                          \
            x_##n##_ftz, x_##n##_ftz_sat                                                           \
        }                                                                                          \
    }
#define FTZS(n)                                                                                    \
    {                                                                                              \
        x_##n, x_##n##_ftz                                                                         \
    }
#define RNDS(macro, n)                                                                             \
    {                                                                                              \
        macro(n##_rn), macro(n##_rz), macro(n##_rm), macro(n##_rp)                                 \
    }

/* ---- Minimum and maximum: -0 < +0; a NaN is ignored, or with .NaN wins ---- */

typedef enum NanRule { NAN_IGNORE, NAN_WINS } NanRule;

/* A choice between x and y, made both ways: where a NaN takes part, the first way gives y and the
 * second x (which is what the host's maximum does); where the two are zeros of different sign, they
 * come out different. */
static inline uint32_t join_ways(float x, float y, uint32_t yx, uint32_t xy, uint32_t ordered,
                                 NanRule rule)
{
    uint32_t r = x != x ? yx : y != y ? xy : ordered;
    bool nan = rule == NAN_WINS ? x != x || y != y : x != x && y != y;
    return nan ? 0x7FFFFFFFu : r;
}

/* Flushing the result is flushing the operands: both keep the order. */
static inline uint32_t max_lane(uint32_t a, uint32_t b, int ftz, NanRule rule)
{
    float x = num_float(a), y = num_float(b);
    uint32_t yx = num_bits(x > y ? x : y), xy = num_bits(y > x ? y : x);
    return ftz_if(join_ways(x, y, yx, xy, yx & xy, rule), ftz);
}

static inline uint32_t min_lane(uint32_t a, uint32_t b, int ftz, NanRule rule)
{
    float x = num_float(a), y = num_float(b);
    uint32_t yx = num_bits(x < y ? x : y), xy = num_bits(y < x ? y : x);
    return ftz_if(join_ways(x, y, yx, xy, yx | xy, rule), ftz);
}

/* .xorsign.abs: of the magnitudes, with the product's sign. */
static inline uint32_t xorsign(uint32_t a, uint32_t b, uint32_t r)
{
    return num_is_nan_f32(r) ? r : (r & ~SIGN_F32) | ((a ^ b) & SIGN_F32);
}

#define MAG(x) ((x) & ~SIGN_F32)
#define MINMAX(op, name, F, N)                                                                     \
    PLAIN32(op##_##name, op##_lane(a[i], b[i], F, N))                                              \
    PLAIN32(op##_xorsign_##name, xorsign(a[i], b[i], op##_lane(MAG(a[i]), MAG(b[i]), F, N)))       \
    PLAIN32(op##3_##name, op##_lane(op##_lane(a[i], b[i], NUM_KEEP, N), c[i], F, N))               \
    PLAIN32(op##3_abs_##name,                                                                      \
            op##_lane(op##_lane(MAG(a[i]), MAG(b[i]), NUM_KEEP, N), MAG(c[i]), F, N))
#define MINMAX_ALL(op)                                                                             \
    MINMAX(op, keep, NUM_KEEP, NAN_IGNORE)                                                         \
    MINMAX(op, keep_nan, NUM_KEEP, NAN_WINS)                                                       \
    MINMAX(op, ftz, NUM_FTZ, NAN_IGNORE)                                                           \
    MINMAX(op, ftz_nan, NUM_FTZ, NAN_WINS)
MINMAX_ALL(min)
MINMAX_ALL(max)
#define NANS(n)                                                                                    \
    {                                                                                              \
        {x_##n##_keep, x_##n##_keep_nan},                                                          \
        {                                                                                          \
            x_##n##_ftz, x_##n##_ftz_nan                                                           \
        }                                                                                          \
    }
#define NANS3(n)                                                                                   \
    {                                                                                              \
        {{x_##n##_keep, x_##n##_abs_keep}, {x_##n##_keep_nan, x_##n##_abs_keep_nan}},              \
        {                                                                                          \
            {x_##n##_ftz, x_##n##_abs_ftz},                                                        \
            {                                                                                      \
                x_##n##_ftz_nan, x_##n##_abs_ftz_nan                                               \
            }                                                                                      \
        }                                                                                          \
    }

/* ---- Functions of one operand; division ---- */

static inline uint32_t rounded_quotient(uint32_t a, uint32_t b, NumRnd rnd, int ftz)
{
    double x = (double)num_float(ftz_if(a, ftz)), y = (double)num_float(ftz_if(b, ftz));
    double q = x / y;
    double rest = fma(-q, y, x) * (y < 0.0 ? -1.0 : 1.0); /* sign of what q lacks */
    uint32_t r = rnd == NUM_RN ? num_bits((float)x / (float)y) : round_pair(q, rest, rnd);
    return ftz_if(num_canon_f32(r), ftz);
}

/* Unlike other results, a reciprocal is flushed by what it is before rounding. */
static inline uint32_t rounded_reciprocal(uint32_t a, NumRnd rnd, int ftz)
{
    uint32_t r = rounded_quotient(0x3F800000u, a, rnd, ftz);
    return ftz == NUM_FTZ && MAG(a) > 0x7E800000u && !num_is_nan_f32(a) ? a & SIGN_F32 : r;
}

static inline uint32_t rounded_root(uint32_t a, NumRnd rnd, int ftz)
{
    float x = num_float(ftz_if(a, ftz));
    double s = sqrt((double)x);
    uint32_t r = rnd == NUM_RN ? num_bits(sqrtf(x)) : round_pair(s, fma(-s, s, (double)x), rnd);
    return num_canon_f32(r);
}

/* Division by reciprocal, as ptxas expands it: b, and a with it, is scaled away from the ends of
 * the range (.full) and out of the subnormals (without .ftz). What div.approx leaves: a quotient by
 * b > 2^126 is 0 * a. */
static inline uint32_t quick_quotient(uint32_t a, uint32_t b, uint32_t full, int ftz)
{
    float scale = full && MAG(b) > 0x7E800000u && !num_is_nan_f32(b) ? 0.25f
                  : ftz == NUM_KEEP && (MAG(b) < 0x00800000u)        ? 0x1p24f
                                                                     : 1.0f;
    a = mul_lane(a, num_bits(scale), NUM_RN, ftz);
    b = mul_lane(b, num_bits(scale), NUM_RN, ftz);
    return mul_lane(a, mufu_rcp(b), NUM_RN, ftz);
}

#define FUNC1(name, keep, ftz)                                                                     \
    PLAIN32(name, keep)                                                                            \
    PLAIN32(name##_ftz, ftz)
/* clang-format off */
/* neg and abs are additions of zero: a NaN comes out canonical */
FUNC1(neg_f, num_canon_f32(a[i] ^ SIGN_F32), num_canon_f32(num_ftz_f32(a[i]) ^ SIGN_F32))
FUNC1(abs_f, num_canon_f32(MAG(a[i])), num_canon_f32(MAG(num_ftz_f32(a[i]))))
FUNC1(ex2, ex2_lane(a[i], NUM_KEEP), ex2_lane(a[i], NUM_FTZ))
FUNC1(lg2, lg2_lane(a[i], NUM_KEEP), lg2_lane(a[i], NUM_FTZ))
PLAIN32(sin, sin_approx(a[i], 0))
PLAIN32(cos, sin_approx(a[i], 1))
FUNC1(rsqrt, rsqrt_lane(a[i], NUM_KEEP), rsqrt_lane(a[i], NUM_FTZ))
FUNC1(rcp_approx, rcp_lane(a[i], NUM_KEEP), rcp_lane(a[i], NUM_FTZ))
FUNC1(sqrt_approx, sqrt_lane(a[i], NUM_KEEP), sqrt_lane(a[i], NUM_FTZ))
FUNC1(div_approx, quick_quotient(a[i], b[i], 0, NUM_KEEP), quick_quotient(a[i], b[i], 0, NUM_FTZ))
FUNC1(div_full, quick_quotient(a[i], b[i], 1, NUM_KEEP), quick_quotient(a[i], b[i], 1, NUM_FTZ))
PLAIN32(tanh, mufu_tanh(a[i]))
#define RND1(rnd, R)                                                                               \
    FUNC1(div_##rnd, rounded_quotient(a[i], b[i], R, NUM_KEEP), rounded_quotient(a[i], b[i], R, NUM_FTZ)) \
    FUNC1(rcp_##rnd, rounded_reciprocal(a[i], R, NUM_KEEP), rounded_reciprocal(a[i], R, NUM_FTZ)) \
    FUNC1(sqrt_##rnd, rounded_root(a[i], R, NUM_KEEP), rounded_root(a[i], R, NUM_FTZ))
RND1(rn, NUM_RN)
RND1(rz, NUM_RZ)
RND1(rm, NUM_RM)
RND1(rp, NUM_RP)

/* ---- Comparison, conversion ---- */

#define SETP_F32(cmp, cond)                                                                        \
    PLAIN_SETP(setp_f_##cmp, float x = num_float(a[i]); float y = num_float(b[i]), cond)           \
    PLAIN_SETP(setp_f_##cmp##_ftz, float x = num_float(num_ftz_f32(a[i]));                         \
               float y = num_float(num_ftz_f32(b[i])), cond)
SETP_F32(eq, x == y)
SETP_F32(ne, x < y || x > y)
SETP_F32(lt, x < y)
SETP_F32(le, x <= y)
SETP_F32(gt, x > y)
SETP_F32(ge, x >= y)
SETP_F32(equ, !(x < y || x > y))
SETP_F32(neu, x != y)
SETP_F32(ltu, !(x >= y))
SETP_F32(leu, !(x > y))
SETP_F32(gtu, !(x <= y))
SETP_F32(geu, !(x < y))
SETP_F32(num, x == x && y == y)
SETP_F32(nan, x != x || y != y)

PLAIN32(cvt_bf16x2, bf16_lane(a[i]) << 16 | bf16_lane(b[i]))
PLAIN32(cvt_f16x2, f16_lane(a[i]) << 16 | f16_lane(b[i]))
PLAIN32(cvt_bf16, bf16_lane(a[i]))
PLAIN32(cvt_f16, f16_lane(a[i]))
PLAIN32(cvt_f32_bf16, a[i] << 16)
PLAIN32(cvt_f32_f16, f32_of_f16_lane(a[i]))
PLAIN32(cvt_f32_s32, num_bits((float)(int32_t)a[i]))
PLAIN32(cvt_f32_u32, num_bits((float)a[i]))

#define VEC_FLOATS                                                                                 \
    {                                                                                              \
        .add = RNDS(SATS, add), .sub = RNDS(SATS, sub), .mul = RNDS(SATS, mul), .fma = RNDS(SATS, fma), \
        .add2 = RNDS(FTZS, add2), .sub2 = RNDS(FTZS, sub2), .mul2 = RNDS(FTZS, mul2), .fma2 = RNDS(FTZS, fma2), \
        .min = NANS(min), .max = NANS(max), .min_xorsign = NANS(min_xorsign), .max_xorsign = NANS(max_xorsign), \
        .min3 = NANS3(min3), .max3 = NANS3(max3), .neg = FTZS(neg_f), .abs = FTZS(abs_f),          \
        .ex2 = FTZS(ex2), .lg2 = FTZS(lg2), .sin = x_sin, .cos = x_cos, .rsqrt = FTZS(rsqrt), \
        .tanh = x_tanh, .rcp_approx = FTZS(rcp_approx), .sqrt_approx = FTZS(sqrt_approx),            \
        .div_approx = FTZS(div_approx), .div_full = FTZS(div_full), .rcp = RNDS(FTZS, rcp), .sqrt = RNDS(FTZS, sqrt), .div = RNDS(FTZS, div), \
        .setp = {FTZS(setp_f_eq), FTZS(setp_f_ne), FTZS(setp_f_lt), FTZS(setp_f_le), FTZS(setp_f_gt), \
                 FTZS(setp_f_ge), FTZS(setp_f_equ), FTZS(setp_f_neu), FTZS(setp_f_ltu), FTZS(setp_f_leu), \
                 FTZS(setp_f_gtu), FTZS(setp_f_geu), FTZS(setp_f_num), FTZS(setp_f_nan)},          \
        .bf16x2 = x_cvt_bf16x2, .f16x2 = x_cvt_f16x2, .bf16 = x_cvt_bf16, .f16 = x_cvt_f16,                \
        .f32_of_bf16 = x_cvt_f32_bf16, .f32_of_f16 = x_cvt_f32_f16,                                    \
        .f32_of_int = {[VI_U32] = x_cvt_f32_u32, [VI_S32] = x_cvt_f32_s32},                            \
    }
/* clang-format on */

#endif
