/* The special function unit (MUFU), bit for bit as measured on Hopper: see mufu.h for what is
 * known.
 *
 * Each function is a table of segments and T = c0 + c1 * j + c2 * square(j), exact, in fixed point;
 * j is the part of the argument below the segment's index. T is then cut, never rounded, to 24
 * bits. Every number here is an integer below 2^53, so that double arithmetic is exact and the
 * order of operations, or a fused multiply-add, changes nothing. */
#ifndef RAO_SIM_FUNC_MUFU_BODY_H
#define RAO_SIM_FUNC_MUFU_BODY_H

#include "sim/func/mufu.h"
#include "sim/func/num.h"

#ifndef MUFU_FN
#define MUFU_FN static inline
#endif

#define MUFU_NAN 0x7FFFFFFFu
#define MUFU_INF 0x7F800000u
#define MUFU_SIGN 0x80000000u
#define MUFU_ONE 0x3F800000u
#define MUFU_MIN 0x00800000u /* the smallest normal number */

/* j^2 / 2^34 in units of 2^-15, for j of 17 bits, as the unit squares: of the folded array of
 * partial products (x_i x_k 2^(i+k+1) for i < k, and x_k 2^2k) it keeps the columns from 2^19 up
 * and never forms the others. */
MUFU_FN uint32_t mufu_square(uint32_t j)
{
    uint32_t s = 0;
#define MUFU_COLUMN(k)                                                                             \
    s += (0u - (j >> (k)&1)) & (((j & ((1u << (k)) - 1)) >> (18 - (k))) + (1u << (2 * (k)-19)))
    MUFU_COLUMN(10);
    MUFU_COLUMN(11);
    MUFU_COLUMN(12);
    MUFU_COLUMN(13);
    MUFU_COLUMN(14);
    MUFU_COLUMN(15);
    MUFU_COLUMN(16);
#undef MUFU_COLUMN
    return s;
}

/* Segment k of a table, see MufuTable. */
#define MUFU_SUM(f, k, j)                                                                          \
    (mufu_##f##_c0[k] + (mufu_##f##_c1[k] * (double)(int32_t)(j) +                                 \
                         mufu_##f##_c2[k] * (double)(int32_t)mufu_square(j)))

/* t * scale cut to 24 bits, as f32; scale is a power of two, the result normal or zero. */
MUFU_FN uint32_t mufu_cut(double t, double scale)
{
    uint64_t bits;
    double x = t * scale;
    memcpy(&bits, &x, sizeof bits);
    bits &= ~(uint64_t)0x1FFFFFFF;
    memcpy(&x, &bits, sizeof bits);
    return num_bits((float)x);
}

/* 2^x. The argument is cut to 23 fraction bits; a negative one that is no integer then is
 * complemented, which is one unit of 2^-23 too low. Here in 32-bit steps, because softmax lives on
 * it: T = high * 2^6 + low modulo 2^38, and the result needs T / 2^15. */
MUFU_FN uint32_t mufu_ex2(uint32_t a)
{
    float x = num_float(a & ~MUFU_SIGN);
    x = x < 255.0f ? x : 255.0f;
    int32_t v = (int32_t)(x * 0x1p23f);
    int32_t borrow = (v & 0x7FFFFF) != 0;
    v = (a >> 31) != 0 ? 0 - v - borrow : v;
    int32_t e = v >> 23;
    int32_t k = v >> 17 & 63;
    uint32_t j = (uint32_t)v & 0x1FFFF;
    uint32_t c1 = mufu_ex2_c12[k] & 0xFFFF, c2 = mufu_ex2_c12[k] >> 16;
    uint32_t low = c1 * (j & 63) + c2 * mufu_square(j) + MUFU_EX2_BIAS;
    uint32_t high = c1 * (j >> 6) + mufu_ex2_c0[k];
    uint32_t frac = (high + (low >> 6)) >> 9;
    uint32_t y = ((uint32_t)(e + 127) << 23) + frac;
    y = e < -126 ? 0 : y;
    y = e > 127 ? MUFU_INF : y;
    return (a & ~MUFU_SIGN) > MUFU_INF ? MUFU_NAN : y;
}

/* log2 of f 2^e is e + T, cut to 36 fraction bits; a negative sum is complemented to get its
 * magnitude, one unit of 2^-36 too small. Exactly 0 at 1. */
MUFU_FN uint32_t mufu_lg2(uint32_t a)
{
    int32_t e = (int32_t)(a >> 23 & 0xFF) - 127;
    double t = MUFU_SUM(lg2, (int32_t)(a >> 17 & 63), a & 0x1FFFF);
    t = (t * 0.25 - 0.375 + 0x1.8p52) - 0x1.8p52; /* floor(t / 4) */
    t = t + (double)e * 0x1p36 + (double)(e < 0);
    uint32_t y = mufu_cut(t, 0x1p-36);
    y = a == MUFU_ONE ? 0 : y;
    y = a == MUFU_INF ? MUFU_INF : y;
    y = a > MUFU_INF ? MUFU_NAN : y;
    return (a & ~MUFU_SIGN) < MUFU_MIN ? MUFU_SIGN | MUFU_INF : y;
}

/* Exact for powers of two; results below 2^-126 are zero. */
MUFU_FN uint32_t mufu_rcp(uint32_t a)
{
    uint32_t mag = a & ~MUFU_SIGN, man = a & 0x7FFFFF;
    int32_t field = 253 - (int32_t)(mag >> 23);
    uint32_t frac = mufu_cut(MUFU_SUM(rcp, (int32_t)(man >> 16), (man & 0xFFFF) << 1), 0x1p-38);
    uint32_t y = (frac & 0x7FFFFF) + ((uint32_t)field << 23);
    y = man == 0 ? (uint32_t)(field + 1) << 23 : y;
    y = field + (man == 0) <= 0 ? 0 : y;
    y = mag < MUFU_MIN ? MUFU_INF : y;
    return mag > MUFU_INF ? MUFU_NAN : y | (a & MUFU_SIGN);
}

/* The table has two halves: even exponents, then odd ones. Exact for powers of four. */
MUFU_FN uint32_t mufu_rsq(uint32_t a)
{
    int32_t e = (int32_t)(a >> 23 & 0xFF) - 127, odd = e & 1;
    uint32_t man = a & 0x7FFFFF;
    uint32_t frac =
        mufu_cut(MUFU_SUM(rsq, (int32_t)(odd * 64 + (int32_t)(man >> 17)), man & 0x1FFFF), 0x1p-40);
    uint32_t y = frac - ((uint32_t)((e - odd) / 2) << 23);
    y = man == 0 && !odd ? (uint32_t)(127 - e / 2) << 23 : y;
    y = a == MUFU_INF ? 0 : y;
    y = a > MUFU_INF ? MUFU_NAN : y;
    return (a & ~MUFU_SIGN) < MUFU_MIN ? (a & MUFU_SIGN) | MUFU_INF : y;
}

MUFU_FN uint32_t mufu_sqrt(uint32_t a)
{
    int32_t e = (int32_t)(a >> 23 & 0xFF) - 127, odd = e & 1;
    uint32_t man = a & 0x7FFFFF;
    uint32_t frac = mufu_cut(
        MUFU_SUM(sqrt, (int32_t)(odd * 64 + (int32_t)(man >> 17)), man & 0x1FFFF), 0x1p-40);
    uint32_t y = frac + ((uint32_t)((e - odd) / 2) << 23);
    y = a == MUFU_INF ? a : y;
    y = a > MUFU_INF ? MUFU_NAN : y;
    return (a & ~MUFU_SIGN) < MUFU_MIN ? a & MUFU_SIGN : y;
}

/* sin of a turns plus quarter / 4 turns. The argument is cut to 2^-25 turns; an odd quarter is read
 * backwards with the complement of its 23 bits. */
MUFU_FN uint32_t mufu_sin(uint32_t a, uint32_t quarter)
{
    uint32_t mag = a & ~MUFU_SIGN;
    double t = (double)num_float(mag < 0x4B800000u ? mag : 0); /* from 2^24 on, whole turns */
    t = t - (double)(int32_t)t;
    uint32_t q = (uint32_t)(int32_t)(t * 0x1p25) + (quarter << 23);
    uint32_t odd = 0u - (q >> 23 & 1), f = (q ^ odd) & 0x7FFFFF;
    uint32_t y = mufu_cut(MUFU_SUM(sin, (int32_t)(f >> 17), f & 0x1FFFF), 0x1p-37);
    y = (q & 0x7FFFFF) == 0 ? odd & MUFU_ONE : y;
    y |= (q << 7 & MUFU_SIGN) ^ (quarter == 0 ? a & MUFU_SIGN : 0);
    return mag >= MUFU_INF ? MUFU_NAN : y;
}

/* Binades from 2^-8 to 8 have 2^n segments each; from 8 on the result is 1, and below 2^-8 it is
 * the argument, subnormals too. */
MUFU_FN uint32_t mufu_tanh(uint32_t a)
{
    uint32_t mag = a & ~MUFU_SIGN, man = mag & 0x7FFFFF;
    int32_t e = (int32_t)(mag >> 23) - (127 - 8);
    e = e < 0 ? 0 : e > 10 ? 10 : e;
    uint32_t n = mufu_tanh_n[e];
    int32_t k = (int32_t)(mufu_tanh_first[e] + (man >> (23 - n)));
    uint32_t y = mufu_cut(MUFU_SUM(tanh, (int32_t)(k), man >> (6 - n) & 0x1FFFF), 0x1p-39);
    y = mag >= 0x41000000u ? MUFU_ONE : y;
    y = mag < 0x3B800000u ? mag : y;
    return mag > MUFU_INF ? MUFU_NAN : y | (a & MUFU_SIGN);
}

/* MUFU.RCP64H and RSQ64H: the upper word of a double from the upper word of its argument. */
MUFU_FN uint32_t mufu_high(double t, double scale)
{
    uint64_t bits;
    double x = t * scale;
    memcpy(&bits, &x, sizeof bits);
    return (uint32_t)(bits >> 32);
}

#define MUFU_INF64 0x7FF00000u
#define MUFU_MIN64 0x00100000u

MUFU_FN uint32_t mufu_rcp64(uint32_t a)
{
    uint32_t mag = a & ~MUFU_SIGN, man = a << 3 & 0x7FFFFF;
    int32_t field = 2045 - (int32_t)(mag >> 20);
    uint32_t frac = mufu_high(MUFU_SUM(rcp, (int32_t)(man >> 16), (man & 0xFFFF) << 1), 0x1p-38);
    uint32_t y = (frac & 0xFFFFF) + ((uint32_t)field << 20);
    y = man == 0 ? (uint32_t)(field + 1) << 20 : y;
    y = field + (man == 0) <= 0 ? 0 : y;
    y = mag < MUFU_MIN64 ? MUFU_INF64 : y;
    return mag > MUFU_INF64 ? MUFU_NAN : y | (a & MUFU_SIGN);
}

MUFU_FN uint32_t mufu_rsq64(uint32_t a)
{
    int32_t e = (int32_t)(a >> 20 & 0x7FF) - 1023, odd = e & 1;
    uint32_t man = a << 3 & 0x7FFFFF;
    int32_t k = odd * 64 + (int32_t)(man >> 17);
    uint32_t y = mufu_high(MUFU_SUM(rsq, k, man & 0x1FFFF), 0x1p-40);
    y -= (uint32_t)((e - odd) / 2) << 20;
    y = man == 0 && !odd ? (uint32_t)(1023 - e / 2) << 20 : y;
    y = a == MUFU_INF64 ? 0 : y;
    y = a > MUFU_INF64 ? MUFU_NAN : y;
    return (a & ~MUFU_SIGN) < MUFU_MIN64 ? (a & MUFU_SIGN) | MUFU_INF64 : y;
}

/* ---- PTX instructions: what ptxas makes of them around the MUFU operation, sm_90a and sm_100a
 * ---- */

MUFU_FN uint32_t mufu_scaled(uint32_t a, float scale)
{
    return num_bits(num_float(a) * scale);
}

MUFU_FN int mufu_subnormal(uint32_t a)
{
    return (a & ~MUFU_SIGN) < MUFU_MIN;
}

MUFU_FN uint32_t ex2_approx(uint32_t a)
{
    int low = num_float(a) < -126.0f;
    uint32_t y = mufu_ex2(low ? mufu_scaled(a, 0.5f) : a);
    return low ? mufu_scaled(y, num_float(y)) : y;
}

MUFU_FN uint32_t lg2_approx(uint32_t a)
{
    int low = mufu_subnormal(a);
    uint32_t y = mufu_lg2(low ? mufu_scaled(a, 0x1p24f) : a);
    return low ? num_bits(num_float(y) - 24.0f) : y;
}

MUFU_FN uint32_t rcp_approx(uint32_t a)
{
    float scale = mufu_subnormal(a) ? 0x1p24f : (a & ~MUFU_SIGN) > 0x7E800000u ? 0.25f : 1.0f;
    return mufu_scaled(mufu_rcp(mufu_scaled(a, scale)), scale);
}

MUFU_FN uint32_t rsqrt_approx(uint32_t a)
{
    int low = mufu_subnormal(a);
    uint32_t y = mufu_rsq(low ? mufu_scaled(a, 0x1p24f) : a);
    return low ? mufu_scaled(y, 0x1p12f) : y;
}

MUFU_FN uint32_t sqrt_approx(uint32_t a)
{
    int low = mufu_subnormal(a);
    uint32_t y = mufu_sqrt(low ? mufu_scaled(a, 0x1p24f) : a);
    return low ? mufu_scaled(y, 0x1p-12f) : y;
}

/* Radians to turns: FMUL.RZ by the f32 below 1 / 2 pi. */
MUFU_FN uint32_t sin_approx(uint32_t a, uint32_t quarter)
{
    double x = (double)num_float(a & ~MUFU_SIGN);
    uint32_t t = mufu_cut(x, (double)0x1.45f306p-3f);
    return mufu_sin((a & MUFU_SIGN) | ((a & ~MUFU_SIGN) < MUFU_INF ? t : MUFU_NAN), quarter);
}

#endif
