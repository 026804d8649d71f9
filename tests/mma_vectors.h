/* Inputs of the matrix-instruction probe: the same bits on the device that measured and in the test
 * that compares, from one generator. Plain C, also compiled as CUDA C++. */
#ifndef RAO_TESTS_MMA_VECTORS_H
#define RAO_TESTS_MMA_VECTORS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { MV_MAX_K = 256, MV_MAX_M = 64, MV_PROFILES = 8 };

/* A format as bits: exp_bits 0 means an integer or a bit string of `bits` bits. */
typedef struct MvFormat {
    const char *name;
    int bits, exp_bits, frac_bits, bias;
    int top_exp; /* largest exponent field of finite numbers with any fraction */
} MvFormat;

enum {
    MV_F16,
    MV_BF16,
    MV_TF32,
    MV_E4M3,
    MV_E5M2,
    MV_F32,
    MV_F64,
    MV_S8,
    MV_U8,
    MV_S4,
    MV_U4,
    MV_B1,
    MV_S32
};

static const MvFormat mv_formats[] = {
    {"f16", 16, 5, 10, 15, 30},      {"bf16", 16, 8, 7, 127, 254}, {"tf32", 32, 8, 10, 127, 254},
    {"e4m3", 8, 4, 3, 7, 14},        {"e5m2", 8, 5, 2, 15, 30},    {"f32", 32, 8, 23, 127, 254},
    {"f64", 64, 11, 52, 1023, 2046}, {"s8", 8, 0, 0, 0, 0},        {"u8", 8, 0, 0, 0, 0},
    {"s4", 4, 0, 0, 0, 0},           {"u4", 4, 0, 0, 0, 0},        {"b1", 1, 0, 0, 0, 0},
    {"s32", 32, 0, 0, 0, 0},
};

typedef enum MvKind {
    MV_MMA,
    MV_WGMMA_SS,
    MV_WGMMA_RS,
    MV_WGMMA_NEG,
    MV_WGMMA_TRANS,
    MV_WGMMA_SW
} MvKind;

typedef struct MvConfig {
    const char *name;
    int kind, a, b, d; /* d: also the type of c */
    int m, n, k;
} MvConfig;

typedef struct MvCase {
    uint64_t a[MV_MAX_M][MV_MAX_K]; /* [m][k] */
    uint64_t b[8][MV_MAX_K];        /* [n][k] */
    uint64_t c[MV_MAX_M][8];
    uint64_t hash; /* FNV-1a of all elements, a then b then c */
} MvCase;

static uint64_t mv_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static int mv_between(uint64_t *state, int lo, int hi)
{
    return lo + (int)(mv_random(state) >> 33) % (hi - lo + 1);
}

static uint64_t mv_make(const MvFormat *f, uint64_t *state, int lo, int hi)
{
    int top = f->top_exp, e = mv_between(state, lo, hi);
    uint64_t bits = mv_random(state) >> 5;
    e = e < 0 ? 0 : e > top ? top : e;
    uint64_t frac = bits & ((UINT64_C(1) << f->frac_bits) - 1);
    uint64_t sign = bits >> 58 & 1;
    uint64_t x = sign << (f->exp_bits + f->frac_bits) | (uint64_t)e << f->frac_bits | frac;
    /* tf32 sits in the high bits of a word; what lies below must not matter. */
    return f->bits == 32 && f->frac_bits == 10 ? x << 13 | (mv_random(state) >> 51) : x;
}

static uint64_t mv_special(const MvFormat *f, uint64_t *state)
{
    uint64_t ones = ((UINT64_C(1) << f->exp_bits) - 1) << f->frac_bits;
    uint64_t r = mv_random(state) >> 32;
    if (f->frac_bits == 3) /* e4m3: NaN, or 256, which is finite */
        return (r & 1 ? 0x7F : 0x78) | (r >> 4 & 1) << 7;
    uint64_t x = ones | (r & 3 ? 0 : UINT64_C(1) << (f->frac_bits - 1)) |
                 (r >> 4 & 1) << (f->exp_bits + f->frac_bits);
    return f->bits == 32 && f->frac_bits == 10 ? x << 13 : x;
}

/* Profiles: 0 near one; 1 every exponent; 2 as 0 with infinities and NaNs; 3 products that cancel;
 * 4 subnormal and just above; 5 a few large among small; 6 zeros of both signs and ones; 7 near
 * overflow. */
static uint64_t mv_operand(const MvFormat *f, int profile, uint64_t *state)
{
    int bias = f->bias, top = f->top_exp;
    if (f->exp_bits == 0) {
        uint64_t x = mv_random(state) >> 20 & ((UINT64_C(1) << f->bits) - 1);
        return profile == 7 && f->bits == 8 ? x | 0x70 : x;
    }
    int one = profile == 6 ? mv_between(state, 0, 7) : mv_between(state, 0, 63);
    switch (profile) {
    case 1:
        return mv_make(f, state, 0, top);
    case 2:
        return one == 0 ? mv_special(f, state) : mv_make(f, state, bias - 4, bias);
    case 4:
        return mv_make(f, state, 0, 3);
    case 5:
        return one < 4 ? mv_make(f, state, bias, bias + 3) : mv_make(f, state, bias - 24, bias - 2);
    case 6: {
        uint64_t x = (uint64_t)(one < 6 ? 0 : bias) << f->frac_bits |
                     (uint64_t)(one & 1) << (f->exp_bits + f->frac_bits);
        return f->bits == 32 ? x << 13 : x;
    }
    case 7: /* products near the top of the result's range, for f32 of 16-bit floats with 8 exponent
               bits */
        return mv_make(f, state, f->exp_bits == 8 ? bias + 58 : top - 8,
                       f->exp_bits == 8 ? bias + 64 : top);
    default:
        return mv_make(f, state, bias - 4, bias);
    }
}

static uint64_t mv_addend(const MvFormat *f, int profile, uint64_t *state)
{
    int bias = f->bias, top = f->top_exp;
    if (f->exp_bits == 0)
        return profile == 7 ? (mv_random(state) >> 60 & 1 ? 0x7FFFF000u : 0x80001000u) +
                                  (mv_random(state) >> 54)
                            : mv_random(state) >> 32;
    int one = mv_between(state, 0, 63);
    switch (profile) {
    case 1:
        return mv_make(f, state, 0, top);
    case 2:
        return one == 0 ? mv_special(f, state) : mv_make(f, state, bias - 6, bias + 4);
    case 3:
        return one < 16 ? 0 : mv_make(f, state, bias - 30, bias - 2);
    case 4:
        return mv_make(f, state, 0, one < 32 ? 3 : bias - 20);
    case 5:
        return mv_make(f, state, bias - 30, bias + 6);
    case 6:
        return (uint64_t)(one < 56 ? 0 : bias) << f->frac_bits |
               (uint64_t)(one & 1) << (f->exp_bits + f->frac_bits);
    case 7:
        return mv_make(f, state, top - 8, top);
    default:
        return mv_make(f, state, bias - 6, bias + 4);
    }
}

static void mv_hash(MvCase *v, uint64_t x)
{
    for (int i = 0; i < 8; i++)
        v->hash = (v->hash ^ (x >> 8 * i & 0xFF)) * UINT64_C(0x100000001B3);
}

static void mv_fill(MvCase *v, const MvConfig *cfg, int index, int profile)
{
    const MvFormat *fa = &mv_formats[cfg->a], *fb = &mv_formats[cfg->b], *fd = &mv_formats[cfg->d];
    uint64_t state = (uint64_t)index << 32 | (uint64_t)profile << 8 | 1;
    for (int i = 0; i < cfg->m; i++)
        for (int k = 0; k < cfg->k; k++)
            v->a[i][k] = mv_operand(fa, profile, &state);
    for (int j = 0; j < cfg->n; j++)
        for (int k = 0; k < cfg->k; k++)
            v->b[j][k] = mv_operand(fb, profile, &state);
    for (int i = 0; i < cfg->m; i++)
        for (int j = 0; j < cfg->n; j++)
            v->c[i][j] = mv_addend(fd, profile, &state);
    if (profile == 3 && fa->exp_bits) { /* pairs of k cancel, but for a last bit here and there */
        for (int i = 0; i < cfg->m; i++)
            for (int k = 0; k + 1 < cfg->k; k += 2)
                v->a[i][k + 1] = v->a[i][k] ^ (mv_between(&state, 0, 7) == 0);
        uint64_t sign = UINT64_C(1) << (fb->bits - 1);
        for (int j = 0; j < cfg->n; j++)
            for (int k = 0; k + 1 < cfg->k; k += 2)
                v->b[j][k + 1] = v->b[j][k] ^ sign ^ (mv_between(&state, 0, 7) == 0);
    }
    v->hash = UINT64_C(0xCBF29CE484222325);
    for (int i = 0; i < cfg->m; i++)
        for (int k = 0; k < cfg->k; k++)
            mv_hash(v, v->a[i][k]);
    for (int j = 0; j < cfg->n; j++)
        for (int k = 0; k < cfg->k; k++)
            mv_hash(v, v->b[j][k]);
    for (int i = 0; i < cfg->m; i++)
        for (int j = 0; j < cfg->n; j++)
            mv_hash(v, v->c[i][j]);
}

/* The configurations, in the order of the data file. wgmma: all 64 rows are computed, 16 are kept:
 * rows 16 w + 5 q of warps w, q = 0..3. */
static const MvConfig mv_configs[] = {
    {"mma.m16n8k16.f32.f16", MV_MMA, MV_F16, MV_F16, MV_F32, 16, 8, 16},
    {"mma.m16n8k16.f16.f16", MV_MMA, MV_F16, MV_F16, MV_F16, 16, 8, 16},
    {"mma.m16n8k8.f32.f16", MV_MMA, MV_F16, MV_F16, MV_F32, 16, 8, 8},
    {"mma.m16n8k8.f16.f16", MV_MMA, MV_F16, MV_F16, MV_F16, 16, 8, 8},
    {"mma.m16n8k16.f32.bf16", MV_MMA, MV_BF16, MV_BF16, MV_F32, 16, 8, 16},
    {"mma.m16n8k8.f32.bf16", MV_MMA, MV_BF16, MV_BF16, MV_F32, 16, 8, 8},
    {"mma.m16n8k8.f32.tf32", MV_MMA, MV_TF32, MV_TF32, MV_F32, 16, 8, 8},
    {"mma.m16n8k4.f32.tf32", MV_MMA, MV_TF32, MV_TF32, MV_F32, 16, 8, 4},
    {"mma.m16n8k32.f32.e4m3", MV_MMA, MV_E4M3, MV_E4M3, MV_F32, 16, 8, 32},
    {"mma.m16n8k32.f32.e5m2.e4m3", MV_MMA, MV_E5M2, MV_E4M3, MV_F32, 16, 8, 32},
    {"mma.m16n8k32.f32.e5m2", MV_MMA, MV_E5M2, MV_E5M2, MV_F32, 16, 8, 32},
    {"mma.m16n8k32.f16.e4m3", MV_MMA, MV_E4M3, MV_E4M3, MV_F16, 16, 8, 32},
    {"mma.m16n8k16.f32.e4m3", MV_MMA, MV_E4M3, MV_E4M3, MV_F32, 16, 8, 16},
    {"mma.m16n8k16.f16.e5m2", MV_MMA, MV_E5M2, MV_E5M2, MV_F16, 16, 8, 16},
    {"mma.m8n8k4.f64", MV_MMA, MV_F64, MV_F64, MV_F64, 8, 8, 4},
    {"mma.m16n8k4.f64", MV_MMA, MV_F64, MV_F64, MV_F64, 16, 8, 4},
    {"mma.m16n8k8.f64", MV_MMA, MV_F64, MV_F64, MV_F64, 16, 8, 8},
    {"mma.m16n8k16.f64", MV_MMA, MV_F64, MV_F64, MV_F64, 16, 8, 16},
    {"mma.m8n8k16.s32.s8", MV_MMA, MV_S8, MV_S8, MV_S32, 8, 8, 16},
    {"mma.m16n8k32.s32.s8.u8", MV_MMA, MV_S8, MV_U8, MV_S32, 16, 8, 32},
    {"mma.m16n8k32.satfinite.s32.u8", MV_MMA, MV_U8, MV_U8, MV_S32, 16, 8, 32},
    {"mma.m16n8k64.s32.s4", MV_MMA, MV_S4, MV_S4, MV_S32, 16, 8, 64},
    {"mma.m16n8k64.s32.u4.s4", MV_MMA, MV_U4, MV_S4, MV_S32, 16, 8, 64},
    {"mma.m16n8k256.s32.b1.and", MV_MMA, MV_B1, MV_B1, MV_S32, 16, 8, 256},
    {"mma.m16n8k256.s32.b1.xor", MV_MMA, MV_B1, MV_B1, MV_S32, 16, 8, 256},
    {"wgmma.m64n8k16.f32.f16", MV_WGMMA_SS, MV_F16, MV_F16, MV_F32, 64, 8, 16},
    {"wgmma.m64n8k16.f16.f16", MV_WGMMA_SS, MV_F16, MV_F16, MV_F16, 64, 8, 16},
    {"wgmma.m64n8k16.f32.bf16", MV_WGMMA_RS, MV_BF16, MV_BF16, MV_F32, 64, 8, 16},
    {"wgmma.m64n8k8.f32.tf32", MV_WGMMA_SS, MV_TF32, MV_TF32, MV_F32, 64, 8, 8},
    {"wgmma.m64n8k8.f32.tf32.rs", MV_WGMMA_RS, MV_TF32, MV_TF32, MV_F32, 64, 8, 8},
    {"wgmma.m64n8k32.f32.e4m3", MV_WGMMA_SS, MV_E4M3, MV_E4M3, MV_F32, 64, 8, 32},
    {"wgmma.m64n8k32.f32.e5m2.rs", MV_WGMMA_RS, MV_E5M2, MV_E5M2, MV_F32, 64, 8, 32},
    {"wgmma.m64n8k32.f32.e4m3.e5m2", MV_WGMMA_SS, MV_E4M3, MV_E5M2, MV_F32, 64, 8, 32},
    {"wgmma.m64n8k32.f16.e4m3", MV_WGMMA_SS, MV_E4M3, MV_E4M3, MV_F16, 64, 8, 32},
    {"wgmma.m64n8k32.f16.e5m2", MV_WGMMA_SS, MV_E5M2, MV_E5M2, MV_F16, 64, 8, 32},
    {"wgmma.m64n8k32.s32.s8", MV_WGMMA_SS, MV_S8, MV_S8, MV_S32, 64, 8, 32},
    {"wgmma.m64n8k32.s32.u8.s8.rs", MV_WGMMA_RS, MV_U8, MV_S8, MV_S32, 64, 8, 32},
    {"wgmma.m64n8k32.satfinite.s32.s8.u8", MV_WGMMA_SS, MV_S8, MV_U8, MV_S32, 64, 8, 32},
    {"wgmma.m64n8k16.f32.f16.neg", MV_WGMMA_NEG, MV_F16, MV_F16, MV_F32, 64, 8, 16},
    {"wgmma.m64n8k16.f32.f16.trans", MV_WGMMA_TRANS, MV_F16, MV_F16, MV_F32, 64, 8, 16},
    {"wgmma.m64n8k16.f32.bf16.sw128", MV_WGMMA_SW, MV_BF16, MV_BF16, MV_F32, 64, 8, 16},
};

enum { MV_CONFIGS = sizeof mv_configs / sizeof mv_configs[0] };

/* Which profiles a configuration has: integers only random and near the ends. */
static int mv_has(const MvConfig *cfg, int profile)
{
    if (mv_formats[cfg->a].exp_bits == 0)
        return profile == 0 || profile == 7;
    if (cfg->kind >= MV_WGMMA_NEG)
        return profile == 0 || profile == 1;
    if (cfg->a == MV_F64)
        return profile == 0 || profile == 2 || profile == 3 || profile == 5;
    return 1;
}

#endif
