/* The tile kernels of mma.h, compiled once per instruction set: included by simd_*.c only, which
 * define SIMD_ISA, SIMD_NAME(x) and SIMD_BYTES, the width of a vector.
 *
 * Vectors run along the lanes of D, so no sum is ever split between lanes and the order of every
 * sum is that of k, whatever the width.
 *
 * How MMA_HW is vectorised. With E the largest exponent of a step, term i is
 * trunc(a_i b_i 2^(align - E)), a number below 2^27:
 *   - a_i b_i is exact in fp32, or so small that it truncates to zero (see hw_step);
 *   - multiplying by a power of two is exact, and the float-to-int conversion truncates;
 *   - E needs only 16-bit additions and maxima of exponents that were packed with the operands.
 * 8 or 16 terms and d fit 32 bits, so two partial sums hold a step and are joined at its end. */
#ifndef RAO_SIM_FUNC_MMA_BODY_H
#define RAO_SIM_FUNC_MMA_BODY_H

#include <assert.h>
#include <math.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "sim/func/mma.h"

enum { WIDTH = SIMD_BYTES / 4 };

/* For kernels that are compiled several times over with constant arguments. */
#define FORCE_INLINE __attribute__((always_inline)) static inline

#if defined(__clang__) /* does not know "GCC unroll", and unrolls by itself */
#pragma clang diagnostic ignored "-Wunknown-pragmas"
#endif

typedef float VecF __attribute__((vector_size(SIMD_BYTES)));
typedef int32_t VecI __attribute__((vector_size(SIMD_BYTES)));
typedef uint32_t VecU __attribute__((vector_size(SIMD_BYTES)));
typedef int16_t VecH __attribute__((vector_size(SIMD_BYTES)));

static inline VecF load_f(const void *p)
{
    VecF v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline VecI load_i(const void *p)
{
    VecI v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store_f(void *p, VecF v)
{
    memcpy(p, &v, sizeof v);
}

static inline VecF splat_f(float x)
{
    return x - (VecF){0};
}

static inline VecI splat_i(uint32_t x)
{
    return (VecI)(x + (VecU){0});
}

static inline VecI select_i(VecI mask, VecI yes, VecI no)
{
    return (yes & mask) | (no & ~mask);
}

static inline VecI max_i(VecI a, VecI b)
{
    return select_i(a > b, a, b);
}

static inline VecI add_16(VecI a, VecI b)
{
    return (VecI)((VecH)a + (VecH)b);
}

/* The instruction sets differ in these three. */
#if SIMD_BYTES == 64
static inline VecF fma_f(VecF a, VecF b, VecF c)
{
    return (VecF)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}

static inline VecI max_16(VecI a, VecI b)
{
    return (VecI)_mm512_max_epi16((__m512i)a, (__m512i)b);
}

static inline bool any_i(VecI mask)
{
    return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
}
#elif SIMD_BYTES == 32
static inline VecF fma_f(VecF a, VecF b, VecF c)
{
    return (VecF)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}

static inline VecI max_16(VecI a, VecI b)
{
    return (VecI)_mm256_max_epi16((__m256i)a, (__m256i)b);
}

static inline bool any_i(VecI mask)
{
    return _mm256_movemask_ps((__m256)mask) != 0;
}
#else
/* Equals a fused multiply-add where the product is exact; see run_fp32. */
static inline VecF fma_f(VecF a, VecF b, VecF c)
{
    return a * b + c;
}

static inline VecI max_16(VecI a, VecI b)
{
#if defined(__SSE2__)
    return (VecI)_mm_max_epi16((__m128i)a, (__m128i)b);
#else
    VecH above = (VecH)a > (VecH)b;
    return (a & (VecI)above) | (b & ~(VecI)above);
#endif
}

static inline bool any_i(VecI mask)
{
    int32_t seen = 0;
    for (int i = 0; i < WIDTH; i++)
        seen |= mask[i];
    return seen != 0;
}
#endif

#include "sim/func/mma_pack_body.h"

/* ---- tiles ---- */

/* Lane of D of row r of a block of 32. */
static inline size_t lane_of(const MmaDesc *desc, unsigned block, unsigned r)
{
    return (size_t)desc->lane16[2 * block + r / MMA_GROUP] * MMA_GROUP + r % MMA_GROUP;
}

static inline VecF canonical(VecF x)
{
    return (VecF)select_i(x == x, (VecI)x, splat_i(0x7FFFFFFFu));
}

/* A tile of D is held in registers while k runs: 2 vectors of lanes by as many columns as fit. */
enum { TILE_V = 2, TILE_N = SIMD_BYTES == 64 ? 8 : 4, TILE_ROWS = TILE_V * WIDTH };

static inline void fp32_tile(const MmaDesc *desc, const float *a, const float *b,
                             uint32_t *const d[TILE_V])
{
    VecF acc[TILE_N][TILE_V];
    for (unsigned j = 0; j < TILE_N; j++)
        for (unsigned v = 0; v < TILE_V; v++)
            acc[j][v] = desc->accumulate ? load_f(d[v] + j * desc->d_stride) : splat_f(0);
    for (unsigned k = 0; k < desc->k; k++) {
        VecF x[TILE_V];
        for (unsigned v = 0; v < TILE_V; v++)
            x[v] = load_f(a + k * MMA_A_BLOCK + v * WIDTH);
        for (unsigned j = 0; j < TILE_N; j++) {
            VecF y = splat_f(b[k * MMA_B_BLOCK + j]);
            for (unsigned v = 0; v < TILE_V; v++)
                acc[j][v] = fma_f(x[v], y, acc[j][v]);
        }
    }
    for (unsigned j = 0; j < TILE_N; j++)
        for (unsigned v = 0; v < TILE_V; v++)
            store_f(d[v] + j * desc->d_stride, canonical(acc[j][v]));
}

static void fp32(const MmaDesc *desc, const MmaPanel *pa, const MmaPanel *pb, uint32_t *d)
{
    for (unsigned r = 0; r < desc->m; r += TILE_ROWS) {
        unsigned block = r / MMA_A_BLOCK, in_block = r % MMA_A_BLOCK;
        const float *a = pa->val + (size_t)block * pa->k * MMA_A_BLOCK + in_block;
        for (unsigned j = 0; j < desc->n; j += TILE_N) {
            unsigned col = desc->n0 + j;
            const float *b =
                pb->val + (size_t)(col / MMA_B_BLOCK) * pb->k * MMA_B_BLOCK + col % MMA_B_BLOCK;
            uint32_t *to[TILE_V];
            for (unsigned v = 0; v < TILE_V; v++)
                to[v] = d + j * desc->d_stride + lane_of(desc, block, in_block + v * WIDTH);
            fp32_tile(desc, a, b, to);
        }
    }
}

/* Two vectors of lanes, 16 rows apart, because exponents are packed so. */
typedef struct Pair {
    VecF lo, hi;
} Pair;

/* Operands of one step: the terms of two vectors of rows and of one column. */
typedef struct HwStep {
    const float *a, *b;
    const uint32_t *a_exp, *b_exp;
    int align;
    uint32_t keep; /* mask of the fraction bits that a result may have */
} HwStep;

static inline VecI exponent_of(VecF c)
{
    VecI field = ((VecI)c >> 23) & 0xFF;
    return max_i(field, splat_i(1)) - 127;
}

static inline VecF power_of_2(VecI e)
{
    return (VecF)((VecU)(e + 127) << 23);
}

/* The top 24 bits of u as a float. Of a u with n bits above these, u >> 24 has n bits, the highest
 * of which is in the place of half a unit: with that cleared, rounding to nearest rounds down. */
static inline VecF float_rz(VecU u)
{
    VecI kept = (VecI)(u & ~(u >> 24));
    VecF high = __builtin_convertvector((VecI)((VecU)kept >> 16), VecF);
    VecF low = __builtin_convertvector(kept & 0xFFFF, VecF);
    return high * 65536.0f + low;
}

/* The sum s0 + s1 as sign and magnitude, without losing the carry out of 32 bits. */
static inline VecU magnitude(VecI s0, VecI s1, VecI *minus)
{
    VecI half = (s0 >> 1) + (s1 >> 1) + (s0 & s1 & 1);
    *minus = half >> 31;
    return (((VecU)s0 + (VecU)s1) ^ (VecU)*minus) - (VecU)*minus;
}

/* Between these exponents every power of two below is a normal float. */
enum { HW_E_LOW = -101, HW_E_HIGH = 127 };

static inline VecI outside(VecI e)
{
    return (VecI)((VecU)(e - HW_E_LOW) > (uint32_t)(HW_E_HIGH - HW_E_LOW));
}

/* For small exponents everything is scaled by 2^UP first. */
enum { UP = 64 };

/* Joins the sums of one vector and rounds: (s0 + s1) * 2^(e - align), toward zero. */
static inline VecF hw_finish(const HwStep *s, VecF c, VecI s0, VecI s1, VecI e, bool wide)
{
    VecI minus;
    VecU u = magnitude(s0, s1, &minus);
    if (!wide) {
        VecF y = float_rz(u) * power_of_2(e - s->align);
        return (VecF)(((VecI)y & splat_i(s->keep)) | (minus & splat_i(0x80000000u)));
    }
    VecI over = e > HW_E_HIGH; /* d was infinity or NaN; the operands are finite */
    VecI tiny = e < HW_E_LOW;
    VecI lowest = splat_i((uint32_t)(s->align - 149)); /* where one unit is the smallest float */
    VecU drop = (VecU)max_i(lowest - e, splat_i(0));
    VecI up = tiny & UP;
    VecF y = float_rz(u >> drop) * power_of_2(max_i(e, lowest) - s->align + up) * power_of_2(-up);
    VecI bits = (VecI)y & splat_i(s->keep);
    bits |= minus & splat_i(0x80000000u) & (bits != 0);
    return (VecF)select_i(over, (VecI)canonical(c), bits);
}

/* One fused step. The fast form (wide false) holds for lanes whose E is in [HW_E_LOW, HW_E_HIGH]:
 * a product that is inexact in fp32 is below 2^-126, hence below one unit 2^(E - 25), and truncates
 * to zero in any case. The wide form takes every E but needs exact products. Returns false, with
 * nothing done, if the fast form does not hold. */
FORCE_INLINE bool hw_step(const HwStep *s, unsigned n, Pair *c, bool wide)
{
    VecI e = splat_i(0x80008000u);
#pragma GCC unroll 4
    for (unsigned k = 0; k < n; k++) {
        VecI product = add_16(load_i(s->a_exp + k * MMA_GROUP), splat_i(s->b_exp[k * MMA_B_BLOCK]));
        e = max_16(e, product);
    }
    VecI e_lo = max_i((VecI)((VecU)e << 16) >> 16, exponent_of(c->lo));
    VecI e_hi = max_i(e >> 16, exponent_of(c->hi));
    if (!wide && any_i(outside(e_lo) | outside(e_hi)))
        return false;

    VecF pre_lo = splat_f(1), pre_hi = splat_f(1);
    VecI up_lo = splat_i(0), up_hi = splat_i(0);
    if (wide) {
        up_lo = (e_lo < HW_E_LOW) & UP;
        up_hi = (e_hi < HW_E_LOW) & UP;
        pre_lo = power_of_2(up_lo);
        pre_hi = power_of_2(up_hi);
    }
    VecF scale_lo = power_of_2(s->align - e_lo - up_lo);
    VecF scale_hi = power_of_2(s->align - e_hi - up_hi);
    VecF c_lo = wide ? c->lo * pre_lo : c->lo, c_hi = wide ? c->hi * pre_hi : c->hi;
    VecI lo[2] = {__builtin_convertvector(c_lo * scale_lo, VecI)};
    VecI hi[2] = {__builtin_convertvector(c_hi * scale_hi, VecI)};
    for (unsigned half = 0; half < 2; half++) {
#pragma GCC unroll 4
        for (unsigned k = half * n / 2; k < (half + 1) * n / 2; k++) {
            VecF b = splat_f(s->b[k * MMA_B_BLOCK]);
            VecF p_lo = load_f(s->a + k * MMA_A_BLOCK) * b;
            VecF p_hi = load_f(s->a + k * MMA_A_BLOCK + MMA_GROUP) * b;
            p_lo = wide ? p_lo * pre_lo : p_lo;
            p_hi = wide ? p_hi * pre_hi : p_hi;
            lo[half] += __builtin_convertvector(p_lo * scale_lo, VecI);
            hi[half] += __builtin_convertvector(p_hi * scale_hi, VecI);
        }
    }
    c->lo = hw_finish(s, c->lo, lo[0], lo[1], e_lo, wide);
    c->hi = hw_finish(s, c->hi, hi[0], hi[1], e_hi, wide);
    return true;
}

/* A step whose exponents are extreme: in the wide form, or lane by lane if products are inexact. */
__attribute__((noinline)) static void hw_step_rare(const MmaDesc *desc, const MmaPanel *pa,
                                                   const MmaPanel *pb, const HwStep *s, Pair *c)
{
    if (pa->lsb_exp + pb->lsb_exp >= -149) {
        hw_step(s, desc->k_step, c, true);
        return;
    }
    uint32_t lanes[2][WIDTH];
    memcpy(lanes[0], &c->lo, sizeof lanes[0]);
    memcpy(lanes[1], &c->hi, sizeof lanes[1]);
    for (unsigned h = 0; h < 2; h++)
        for (unsigned i = 0; i < WIDTH; i++)
            lanes[h][i] = mma_hw_dot(desc, pa, s->a + h * MMA_GROUP + i, pb, s->b, lanes[h][i]);
    memcpy(&c->lo, lanes[0], sizeof lanes[0]);
    memcpy(&c->hi, lanes[1], sizeof lanes[1]);
}

/* All steps of two vectors of lanes, column by column; n is desc->k_step, a constant where speed
 * matters. */
FORCE_INLINE void hw_rows(const MmaDesc *desc, const MmaPanel *pa, const MmaPanel *pb, uint32_t *d,
                          unsigned row, unsigned n)
{
    unsigned block = row / MMA_A_BLOCK, r = row % MMA_A_BLOCK;
    size_t lane[2] = {lane_of(desc, block, r), lane_of(desc, block, r + MMA_GROUP)};
    size_t a_at = (size_t)block * pa->k * MMA_A_BLOCK;
    for (unsigned j = 0; j < desc->n; j++) {
        unsigned col = desc->n0 + j;
        size_t b_at = (size_t)(col / MMA_B_BLOCK) * pb->k * MMA_B_BLOCK + col % MMA_B_BLOCK;
        uint32_t *to = d + j * desc->d_stride;
        Pair c = {splat_f(0), splat_f(0)};
        if (desc->accumulate)
            c = (Pair){load_f(to + lane[0]), load_f(to + lane[1])};
        for (unsigned k = 0; k < desc->k; k += n) {
            HwStep s = {.a = pa->val + a_at + k * MMA_A_BLOCK + r,
                        .a_exp = pa->exp + a_at / 2 + k * MMA_GROUP + r,
                        .b = pb->val + b_at + k * MMA_B_BLOCK,
                        .b_exp = pb->exp + b_at + k * MMA_B_BLOCK,
                        .align = (int)desc->align_bits,
                        .keep = ~0u << (23 - desc->frac_bits)};
            if (!hw_step(&s, n, &c, false))
                hw_step_rare(desc, pa, pb, &s, &c);
        }
        store_f(to + lane[0], c.lo);
        store_f(to + lane[1], c.hi);
    }
}

static void hw(const MmaDesc *desc, const MmaPanel *pa, const MmaPanel *pb, uint32_t *d)
{
    for (unsigned block = 0; block < desc->m; block += MMA_A_BLOCK) {
        for (unsigned r = 0; r < MMA_GROUP; r += WIDTH) {
            if (desc->k_step == 16)
                hw_rows(desc, pa, pb, d, block + r, 16);
            else
                hw_rows(desc, pa, pb, d, block + r, desc->k_step);
        }
    }
}

#include "sim/func/mma_group_body.h"

extern const MmaOps SIMD_NAME(mma_ops);

const MmaOps SIMD_NAME(mma_ops) = {
    .isa = SIMD_ISA,
    .has_fma = SIMD_BYTES > 16,
    .pack = pack,
    .pack_fragment = pack_fragment,
    .add_exponents = add_exponents,
    .add_range = add_range,
    .add_scales = add_scales,
    .fp32 = fp32,
    .hw = hw,
    .hw_grouped = hw_grouped,
};

#endif
