/* Conversions between f32 and small formats, to integers, and to integral floats; rows as in
 * vec_row_body.h. The rules are those of num.h, whose exact numbers serve the rest of cvt. PTX ISA
 * "cvt"; research/ptx.md 3.16, 4.4. */
#ifndef RAO_FUNC_VEC_CVT_BODY_H
#define RAO_FUNC_VEC_CVT_BODY_H

#include "sim/func/vec_half_body.h"

typedef struct Small { /* a format of 4 to 8 bits */
    uint32_t exp_bits, frac_bits;
    uint32_t max, nan; /* codes of the largest number and of the NaN, or of what NaN becomes */
    bool has_nan;
} Small;

#define SMALL_E4M3 ((Small){4, 3, 0x7E, 0x7F, true})
#define SMALL_E5M2 ((Small){5, 2, 0x7B, 0x7F, true})
#define SMALL_E2M3 ((Small){2, 3, 0x1F, 0x1F, false})
#define SMALL_E3M2 ((Small){3, 2, 0x1F, 0x1F, false})
#define SMALL_E2M1 ((Small){2, 1, 0x07, 0x07, false})

/* Nearest even, .satfinite. As in f16_lane: the float adder rounds when a power of two is added
 * whose last place is that of the format; its exponent is held at no less than the smallest. */
static inline uint32_t small_of_f32(uint32_t f, Small s, bool relu)
{
    uint32_t mag = MAG(f), bias = (1u << (s.exp_bits - 1)) - 1;
    uint32_t lowest = (128 - bias) << 23, drop = 23 - s.frac_bits;
    uint32_t e = mag & 0x7F800000u;
    e = e < lowest ? lowest : e > 0x48000000u ? 0x48000000u : e;
    uint32_t held = mag > 0x48000000u ? 0x48000000u : mag; /* 2^17: above every format's largest */
    uint32_t sum = num_bits(num_float(held) + num_float(e + (drop << 23)));
    uint32_t code = ((e - lowest) >> 23 << s.frac_bits) + (sum & 0x3FF);
    code = code > s.max ? s.max : code;
    bool negative = f >> 31;
    uint32_t r = negative ? (relu ? 0 : code | 1u << (s.exp_bits + s.frac_bits)) : code;
    return num_is_nan_f32(f) ? s.nan : r;
}

/* Exact. Formats with NaN: all ones is one, in e5m2 (which has infinity) what lies above it too. */
static inline uint32_t f32_of_small(uint32_t c, Small s, bool relu)
{
    uint32_t all = (1u << (s.exp_bits + s.frac_bits)) - 1, mag = c & all;
    uint32_t bias = (1u << (s.exp_bits - 1)) - 1;
    float scale = num_float((254 - bias) << 23); /* 2^(127 - bias) */
    uint32_t f = num_bits(num_float(mag << (23 - s.frac_bits)) * scale);
    bool ieee = s.has_nan && s.max < all - 1;
    uint32_t inf = s.max + 1;
    f = ieee && mag == inf ? 0x7F800000u : f;
    bool negative = c >> (s.exp_bits + s.frac_bits) & 1;
    f = negative ? (relu ? 0 : f | SIGN_F32) : f;
    return s.has_nan && mag > s.max + ieee ? 0x7FFFFFFFu : f;
}

#define ROUND_MAGIC                                                                                \
    0x1.8p52 /* adding it to |x| < 2^50 leaves the nearest integer in the low bits */

/* A float to an integer of 32 bits, saturating; NaN gives 0. All in double, where the values of f32
 * and of both integers are exact. */
static inline double to_integral(double d, NumRnd rnd)
{
    double r = (d + ROUND_MAGIC) - ROUND_MAGIC;
    double over = r > d ? 1.0 : 0.0, under = r < d ? 1.0 : 0.0;
    if (rnd == NUM_RZ)
        return r - (d > 0.0 ? over : 0.0) + (d < 0.0 ? under : 0.0);
    return rnd == NUM_RM ? r - over : rnd == NUM_RP ? r + under : r;
}

static inline uint32_t int_of_f32(uint32_t a, NumRnd rnd, bool is_signed)
{
    double lo = is_signed ? -0x1p31 : 0.0, hi = is_signed ? 0x1p31 - 1.0 : 0x1p32 - 1.0;
    double d = (double)num_float(a);
    d = num_is_nan_f32(a) ? 0.0 : d;
    d = d < -0x1p40 ? -0x1p40 : d;
    d = d > 0x1p40 ? 0x1p40 : d;
    double r = to_integral(d, rnd);
    r = r < lo ? lo : r;
    r = r > hi ? hi : r;
    return (uint32_t)double_bits(r + ROUND_MAGIC);
}

/* cvt.rni.f32.f32 and its kin; the sign of zero stays. */
static inline uint32_t round_f32(uint32_t a, NumRnd rnd, int ftz)
{
    a = ftz_if(a, ftz);
    bool large = MAG(a) >= 0x4B000000u; /* 2^23: integral already, or infinity */
    double d = (double)num_float(large ? 0 : a);
    uint32_t r = MAG(num_bits((float)to_integral(d, rnd))) | (a & SIGN_F32);
    return num_is_nan_f32(a) ? 0x7FFFFFFFu : large ? a : r;
}

/* clang-format off */
/* n_...: two f32 (a upper), or two halves, to a packed small format; w_...: back to f16x2.
 * step: bits from one element to the next. */
#define SMALL_ONE(name, S, step, relu, R)                                                          \
    PLAIN32(n_##name##relu, small_of_f32(a[i], S, R) << step | small_of_f32(b[i], S, R))           \
    PLAIN32(h_##name##relu, small_of_f32(f32_of_f16_lane(UP(a[i])), S, R) << step |                \
                            small_of_f32(f32_of_f16_lane(LOW(a[i])), S, R))                        \
    PLAIN32(w_##name##relu, TWO(f16_lane(f32_of_small(a[i] & 0xFF >> (8 - step), S, R)),           \
                                f16_lane(f32_of_small(a[i] >> step & 0xFF >> (8 - step), S, R))))
#define SMALL(name, S, step)                                                                       \
    SMALL_ONE(name, S, step, , false)                                                              \
    SMALL_ONE(name, S, step, _relu, true)
SMALL(e4m3, SMALL_E4M3, 8)
SMALL(e5m2, SMALL_E5M2, 8)
SMALL(e2m3, SMALL_E2M3, 8)
SMALL(e3m2, SMALL_E3M2, 8)
SMALL(e2m1, SMALL_E2M1, 4)
#define TO_INT(rnd, R)                                                                             \
    PLAIN32(cvt_u32_##rnd, int_of_f32(a[i], R, false))                                             \
    PLAIN32(cvt_u32_##rnd##_ftz, int_of_f32(num_ftz_f32(a[i]), R, false))                          \
    PLAIN32(cvt_s32_##rnd, int_of_f32(a[i], R, true))                                              \
    PLAIN32(cvt_s32_##rnd##_ftz, int_of_f32(num_ftz_f32(a[i]), R, true))                           \
    PLAIN32(cvt_int_##rnd, round_f32(a[i], R, NUM_KEEP))                                           \
    PLAIN32(cvt_int_##rnd##_ftz, round_f32(a[i], R, NUM_FTZ))
TO_INT(rn, NUM_RN)
TO_INT(rz, NUM_RZ)
TO_INT(rm, NUM_RM)
TO_INT(rp, NUM_RP)

#define SMALLS(p)                                                                                  \
    {{x_##p##_e4m3, x_##p##_e4m3_relu}, {x_##p##_e5m2, x_##p##_e5m2_relu}, {x_##p##_e2m3, x_##p##_e2m3_relu}, \
     {x_##p##_e3m2, x_##p##_e3m2_relu}, {x_##p##_e2m1, x_##p##_e2m1_relu}}
#define VEC_CVTS                                                                                   \
    {                                                                                              \
        .small_of_f32 = SMALLS(n), .small_of_f16 = SMALLS(h), .f16_of_small = SMALLS(w),           \
        .int_of_f32 = {RNDS(FTZS, cvt_u32), RNDS(FTZS, cvt_s32)}, .round_f32 = RNDS(FTZS, cvt_int), \
    }
/* clang-format on */

#endif
