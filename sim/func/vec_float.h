/* f32 and f32x2 instructions on rows; see vec_row.h. The arithmetic of a lane is in num_body.h. PTX ISA "Floating Point
 * Instructions"; rules of NaN, subnormals and approximation: research/ptx.md 4.1, 4.2. */
#ifndef RAO_FUNC_VEC_FLOAT_H
#define RAO_FUNC_VEC_FLOAT_H

#include "sim/func/vec_row.h"

#define SIGN_F32 0x80000000u

static inline uint32_t sub_lane(uint32_t a, uint32_t b, NumRnd rnd, int ftz)
{
    return add_lane(a, b ^ SIGN_F32, rnd, ftz);
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

#define ADD(R, F) add_lane(a[i], b[i], R, F)
#define ADD_LO(R, F) add_lane(r1[i], r3[i], R, F)
#define ADD_HI(R, F) add_lane(r2[i], r4[i], R, F)
#define SUB(R, F) sub_lane(a[i], b[i], R, F)
#define SUB_LO(R, F) sub_lane(r1[i], r3[i], R, F)
#define SUB_HI(R, F) sub_lane(r2[i], r4[i], R, F)
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
#define SATS(n) {{x_##n, x_##n##_sat}, {x_##n##_ftz, x_##n##_ftz_sat}}
#define FTZS(n) {x_##n, x_##n##_ftz}
#define RNDS(macro, n) {macro(n##_rn), macro(n##_rz), macro(n##_rm), macro(n##_rp)}

/* ---- Minimum and maximum: -0 < +0; a NaN is ignored, or with .NaN wins ---- */

typedef enum NanRule { NAN_IGNORE, NAN_WINS } NanRule;

/* Taken both ways, equal operands of different sign differ in the sign bit only: and gives +0, or gives -0. */
static inline uint32_t max_lane(uint32_t a, uint32_t b, int ftz, NanRule rule)
{
    a = ftz_if(a, ftz);
    b = ftz_if(b, ftz);
    float x = num_float(a), y = num_float(b);
    uint32_t r = (x > y ? a : b) & (y > x ? b : a);
    r = num_is_nan_f32(b) ? a : r;
    r = num_is_nan_f32(a) ? (rule == NAN_WINS ? a : b) : r;
    r = rule == NAN_WINS && num_is_nan_f32(b) ? b : r;
    return num_canon_f32(r);
}

static inline uint32_t min_lane(uint32_t a, uint32_t b, int ftz, NanRule rule)
{
    a = ftz_if(a, ftz);
    b = ftz_if(b, ftz);
    float x = num_float(a), y = num_float(b);
    uint32_t r = (x < y ? a : b) | (y < x ? b : a);
    r = num_is_nan_f32(b) ? a : r;
    r = num_is_nan_f32(a) ? (rule == NAN_WINS ? a : b) : r;
    r = rule == NAN_WINS && num_is_nan_f32(b) ? b : r;
    return num_canon_f32(r);
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
    PLAIN32(op##3_##name, op##_lane(op##_lane(a[i], b[i], F, N), c[i], F, N))                      \
    PLAIN32(op##3_abs_##name,                                                                      \
            op##_lane(op##_lane(MAG(a[i]), MAG(b[i]), F, N), MAG(c[i]), F, N))
#define MINMAX_ALL(op)                                                                             \
    MINMAX(op, keep, NUM_KEEP, NAN_IGNORE)                                                         \
    MINMAX(op, keep_nan, NUM_KEEP, NAN_WINS)                                                       \
    MINMAX(op, ftz, NUM_FTZ, NAN_IGNORE)                                                           \
    MINMAX(op, ftz_nan, NUM_FTZ, NAN_WINS)
MINMAX_ALL(min)
MINMAX_ALL(max)
#define NANS(n) {{x_##n##_keep, x_##n##_keep_nan}, {x_##n##_ftz, x_##n##_ftz_nan}}
#define NANS3(n)                                                                                   \
    {{{x_##n##_keep, x_##n##_abs_keep}, {x_##n##_keep_nan, x_##n##_abs_keep_nan}},                 \
     {{x_##n##_ftz, x_##n##_abs_ftz}, {x_##n##_ftz_nan, x_##n##_abs_ftz_nan}}}

/* ---- Functions of one operand; division ---- */

static inline uint32_t rounded_quotient(uint32_t a, uint32_t b, NumRnd rnd, int ftz)
{
    double x = (double)num_float(ftz_if(a, ftz)), y = (double)num_float(ftz_if(b, ftz));
    double q = x / y;
    double rest = fma(-q, y, x) * (y < 0.0 ? -1.0 : 1.0); /* sign of what q lacks */
    uint32_t r = rnd == NUM_RN ? num_bits((float)x / (float)y) : round_pair(q, rest, rnd);
    return ftz_if(num_canon_f32(r), ftz);
}

static inline uint32_t rounded_root(uint32_t a, NumRnd rnd, int ftz)
{
    float x = num_float(ftz_if(a, ftz));
    double s = sqrt((double)x);
    uint32_t r = rnd == NUM_RN ? num_bits(sqrtf(x)) : round_pair(s, fma(-s, s, (double)x), rnd);
    return num_canon_f32(r);
}

/* div.approx: a * (1 / b), and 0 * a where b is in (2^126, 2^128): ptx.md 4.2. */
static inline uint32_t approx_quotient(uint32_t a, uint32_t b, int ftz)
{
    uint32_t big = MAG(b) > 0x7E800000u && MAG(b) < 0x7F800000u;
    uint32_t r = big ? b & SIGN_F32 : rcp_lane(b, ftz);
    return mul_lane(a, r, NUM_RN, ftz);
}

#define ONE_F32 0x3F800000u
#define FUNC1(name, keep, ftz)                                                                     \
    PLAIN32(name, keep)                                                                            \
    PLAIN32(name##_ftz, ftz)
/* clang-format off */
/* neg and abs only touch the sign, of a NaN too */
FUNC1(neg_f, a[i] ^ SIGN_F32, num_ftz_f32(a[i]) ^ SIGN_F32)
FUNC1(abs_f, MAG(a[i]), MAG(num_ftz_f32(a[i])))
FUNC1(ex2, ex2_lane(a[i], NUM_KEEP), ex2_lane(a[i], NUM_FTZ))
FUNC1(lg2, lg2_lane(a[i], NUM_KEEP), lg2_lane(a[i], NUM_FTZ))
FUNC1(sin, sin_lane(a[i], 0, NUM_KEEP), sin_lane(a[i], 0, NUM_FTZ))
FUNC1(cos, sin_lane(a[i], 1, NUM_KEEP), sin_lane(a[i], 1, NUM_FTZ))
FUNC1(rsqrt, rsqrt_lane(a[i], NUM_KEEP), rsqrt_lane(a[i], NUM_FTZ))
FUNC1(rcp_approx, rcp_lane(a[i], NUM_KEEP), rcp_lane(a[i], NUM_FTZ))
FUNC1(sqrt_approx, sqrt_lane(a[i], NUM_KEEP), sqrt_lane(a[i], NUM_FTZ))
FUNC1(div_approx, approx_quotient(a[i], b[i], NUM_KEEP), approx_quotient(a[i], b[i], NUM_FTZ))
PLAIN32(tanh, tanh_lane(a[i]))
#define RND1(rnd, R)                                                                               \
    FUNC1(div_##rnd, rounded_quotient(a[i], b[i], R, NUM_KEEP), rounded_quotient(a[i], b[i], R, NUM_FTZ)) \
    FUNC1(rcp_##rnd, rounded_quotient(ONE_F32, a[i], R, NUM_KEEP), rounded_quotient(ONE_F32, a[i], R, NUM_FTZ)) \
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
        .ex2 = FTZS(ex2), .lg2 = FTZS(lg2), .sin = FTZS(sin), .cos = FTZS(cos), .rsqrt = FTZS(rsqrt), \
        .tanh = x_tanh, .rcp_approx = FTZS(rcp_approx), .sqrt_approx = FTZS(sqrt_approx),            \
        .div_approx = FTZS(div_approx), .rcp = RNDS(FTZS, rcp), .sqrt = RNDS(FTZS, sqrt), .div = RNDS(FTZS, div), \
        .setp = {FTZS(setp_f_eq), FTZS(setp_f_ne), FTZS(setp_f_lt), FTZS(setp_f_le), FTZS(setp_f_gt), \
                 FTZS(setp_f_ge), FTZS(setp_f_equ), FTZS(setp_f_neu), FTZS(setp_f_ltu), FTZS(setp_f_leu), \
                 FTZS(setp_f_gtu), FTZS(setp_f_geu), FTZS(setp_f_num), FTZS(setp_f_nan)},          \
        .bf16x2 = x_cvt_bf16x2, .f16x2 = x_cvt_f16x2, .bf16 = x_cvt_bf16, .f16 = x_cvt_f16,                \
        .f32_of_bf16 = x_cvt_f32_bf16, .f32_of_f16 = x_cvt_f32_f16,                                    \
        .f32_of_int = {[VI_U32] = x_cvt_f32_u32, [VI_S32] = x_cvt_f32_s32},                            \
    }
/* clang-format on */

#endif
