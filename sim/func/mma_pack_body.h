/* Packing operands into panels; part of mma_body.h, for one instruction set. */
#ifndef RAO_FUNC_MMA_PACK_BODY_H
#define RAO_FUNC_MMA_PACK_BODY_H

#include "sim/func/fragment.h"

/* ---- packing ---- */

typedef uint16_t Half8 __attribute__((vector_size(16)));
typedef uint64_t Long2 __attribute__((vector_size(16)));

/* out[k][row] = in[row][k] for 8 rows of 8 elements. */
static inline void transpose_8x8(uint16_t *out, size_t out_stride, const uint16_t *in,
                                 size_t in_stride)
{
    Half8 r[8];
    Word4 w[8];
    Long2 q[8];
    for (int i = 0; i < 8; i++)
        memcpy(&r[i], in + (size_t)i * in_stride, sizeof r[i]);
    for (int i = 0; i < 4; i++) { /* w[2i], w[2i + 1]: rows 2i and 2i + 1 interleaved */
        Half8 x = r[2 * i], y = r[2 * i + 1];
        w[2 * i] = (Word4)__builtin_shufflevector(x, y, 0, 8, 1, 9, 2, 10, 3, 11);
        w[2 * i + 1] = (Word4)__builtin_shufflevector(x, y, 4, 12, 5, 13, 6, 14, 7, 15);
    }
    for (int i = 0; i < 2; i++) { /* q[4i + j]: rows 4i to 4i + 3 of columns 2j and 2j + 1 */
        for (int j = 0; j < 2; j++) {
            Word4 x = w[4 * i + j], y = w[4 * i + 2 + j];
            q[4 * i + 2 * j] = (Long2)__builtin_shufflevector(x, y, 0, 4, 1, 5);
            q[4 * i + 2 * j + 1] = (Long2)__builtin_shufflevector(x, y, 2, 6, 3, 7);
        }
    }
    for (int j = 0; j < 4; j++) {
        Long2 even = __builtin_shufflevector(q[j], q[4 + j], 0, 2);
        Long2 odd = __builtin_shufflevector(q[j], q[4 + j], 1, 3);
        memcpy(out + (size_t)(2 * j) * out_stride, &even, sizeof even);
        memcpy(out + (size_t)(2 * j + 1) * out_stride, &odd, sizeof odd);
    }
}

static inline void widen_bf16(float *out, const uint16_t *in, unsigned n, uint32_t flip)
{
    for (unsigned i = 0; i < n; i++)
        out[i] = num_float((uint32_t)in[i] << 16 ^ flip);
}

/* The fp32 bits of an f16 that stands in the upper half of a word. */
static inline uint32_t bits_of_f16(uint32_t high)
{
    float y = num_float((uint32_t)((int32_t)high >> 3) & 0x8FFFE000u) * 0x1p112f;
    return num_bits(y) | ((high & 0x7C000000u) == 0x7C000000u ? 0x7F800000u : 0);
}

static inline void widen_f16(float *out, const uint16_t *in, unsigned n, uint32_t flip)
{
    for (unsigned i = 0; i < n; i++)
        out[i] = num_float(bits_of_f16((uint32_t)in[i] << 16) ^ flip);
}

static inline void widen(float *out, const uint16_t *in, unsigned n, const MmaSource *src)
{
    uint32_t flip = src->negate ? 0x80000000u : 0;
    if (src->type == NUM_BF16)
        widen_bf16(out, in, n, flip);
    else
        widen_f16(out, in, n, flip);
}

/* 8 values of k of one block of rows, as 16-bit elements in panel order. */
static inline void gather_16(uint16_t *strip, const MmaSource *src, unsigned row, unsigned k,
                             unsigned block)
{
    const uint16_t *in = src->elems;
    size_t stride = src->stride;
    if (src->major == MMA_K_MAJOR) {
        for (unsigned r = 0; r < block; r += 8)
            transpose_8x8(strip + r, block, in + (row + r) * stride + k, stride);
        return;
    }
    if (src->major == MMA_ROW_MAJOR) {
        for (unsigned kk = 0; kk < 8; kk++)
            memcpy(strip + kk * block, in + (k + kk) * stride + row, block * sizeof *in);
        return;
    }
    for (unsigned kk = 0; kk < 8; kk += 2) {
        uint32_t words[MMA_A_BLOCK];
        memcpy(words, (const uint32_t *)src->elems + (k + kk) / 2 * stride + row, block * 4);
        for (unsigned r = 0; r < block; r++) {
            strip[kk * block + r] = (uint16_t)words[r];
            strip[(kk + 1) * block + r] = (uint16_t)(words[r] >> 16);
        }
    }
}

static inline void pack_16(MmaPanel *p, const MmaSource *src, unsigned block)
{
    uint16_t strip[8 * MMA_A_BLOCK];
    for (unsigned row = 0; row < src->rows; row += block) {
        for (unsigned k = 0; k < src->k; k += 8) {
            gather_16(strip, src, row, k, block);
            widen(p->val + ((size_t)row * src->k + k * block), strip, 8 * block, src);
        }
    }
}

/* Elements of a byte become f16 first, in which all of them are exact. */
static inline void gather_8(uint16_t *strip, const MmaSource *src, const uint16_t *f16,
                            unsigned row, unsigned k, unsigned block)
{
    const uint8_t *in = src->elems;
    if (src->major == MMA_K_MAJOR) {
        for (unsigned r = 0; r < block; r++) {
            const uint8_t *at = in + (size_t)(row + r) * src->stride + k;
            for (unsigned kk = 0; kk < 8; kk++)
                strip[kk * block + r] = f16[at[kk]];
        }
        return;
    }
    for (unsigned kk = 0; kk < 8; kk++) {
        const uint8_t *at = in + (size_t)(k + kk) * src->stride + row;
        for (unsigned r = 0; r < block; r++)
            strip[kk * block + r] = f16[at[r]];
    }
}

static inline void pack_8(MmaPanel *p, const MmaSource *src, unsigned block)
{
    uint16_t strip[8 * MMA_A_BLOCK];
    const uint16_t *f16 = mma_f16_of(src->type);
    uint32_t flip = src->negate ? 0x80000000u : 0;
    for (unsigned row = 0; row < src->rows; row += block) {
        for (unsigned k = 0; k < src->k; k += 8) {
            gather_8(strip, src, f16, row, k, block);
            widen_f16(p->val + ((size_t)row * src->k + k * block), strip, 8 * block, flip);
        }
    }
}

/* tf32: the low 13 bits do not count. */
static inline void pack_32(MmaPanel *p, const MmaSource *src, unsigned block)
{
    const uint32_t *in = src->elems;
    uint32_t flip = src->negate ? 0x80000000u : 0;
    bool k_major = src->major == MMA_K_MAJOR;
    size_t row_step = k_major ? src->stride : 1, k_step = k_major ? 1 : src->stride;
    for (unsigned row = 0; row < src->rows; row += block)
        for (unsigned k = 0; k < src->k; k++) {
            float *out = p->val + ((size_t)row * src->k + k * block);
            const uint32_t *at = in + row * row_step + k * k_step;
            for (unsigned r = 0; r < block; r++)
                out[r] = num_float((at[r * row_step] & 0xFFFFE000u) ^ flip);
        }
}

static inline void pack_blocks(MmaPanel *p, const MmaSource *src, unsigned block)
{
    if (src->type == NUM_TF32)
        pack_32(p, src, block);
    else if (src->type == NUM_F16 || src->type == NUM_BF16)
        pack_16(p, src, block);
    else
        pack_8(p, src, block);
}

static void pack(MmaPanel *p, const MmaSource *src)
{
    if (p->block == MMA_A_BLOCK)
        pack_blocks(p, src, MMA_A_BLOCK);
    else
        pack_blocks(p, src, MMA_B_BLOCK);
}

/* The fp32 bits of an e4m3, which has no infinity. */
static inline uint32_t bits_of_e4m3(uint32_t b)
{
    uint32_t mag = b & 0x7F;
    uint32_t y = num_bits(num_float(mag << 20) * 0x1p120f);
    y = mag == 0x7F ? 0x7FC00000u : y;
    return y | (b & 0x80) << 24;
}

/* Element e of a register of `type`, as fp32 bits. */
FORCE_INLINE uint32_t bits_of_element(uint32_t reg, unsigned e, NumType type)
{
    switch (type) {
    case NUM_TF32:
        return reg & 0xFFFFE000u;
    case NUM_BF16:
        return reg >> 16 * e << 16;
    case NUM_F16:
        return bits_of_f16(reg >> 16 * e << 16);
    case NUM_E5M2: /* the upper half of an f16 */
        return bits_of_f16(reg >> 8 * e << 24);
    default:
        return bits_of_e4m3(reg >> 8 * e & 0xFF);
    }
}

/* type: that of f, as a constant. */
FORCE_INLINE void pack_registers(MmaPanel *p, const MmaFragment *f, NumType type)
{
    unsigned per_reg = mma_per_register(type);
    uint32_t flip = f->negate ? 0x80000000u : 0;
    for (unsigned i = 0; i < f->n_regs; i++) {
        unsigned row = f->row0 + 8 * (i % f->halves), chunk = i / f->halves;
        Word8 column[4];
        regs_as_columns(column, f->reg[i]);
        for (unsigned e = 0; e < per_reg; e++) {
            unsigned k0 = 4 * per_reg * chunk + e, step = per_reg;
            if (f->by_pairs) {
                k0 = e / 2 * (p->k / 2) + 8 * chunk + e % 2;
                step = 2;
            }
            for (unsigned q = 0; q < 4; q++) {
                float *to = p->val + (size_t)(k0 + step * q) * p->block + row;
                for (unsigned g = 0; g < 8; g++)
                    to[g] = num_float(bits_of_element(column[q][g], e, type) ^ flip);
            }
        }
    }
}

static void pack_fragment(MmaPanel *p, const MmaFragment *f)
{
    switch (f->type) {
    case NUM_TF32:
        pack_registers(p, f, NUM_TF32);
        break;
    case NUM_BF16:
        pack_registers(p, f, NUM_BF16);
        break;
    case NUM_F16:
        pack_registers(p, f, NUM_F16);
        break;
    case NUM_E5M2:
        pack_registers(p, f, NUM_E5M2);
        break;
    default:
        pack_registers(p, f, NUM_E4M3);
        break;
    }
}

/* The exponent that MMA_HW compares: that of zero is -126, those of subnormals the smallest. */
static inline uint32_t hw_exponent(float x, int emin)
{
    uint32_t mag = num_bits(x) & 0x7FFFFFFFu;
    int e = (int)(mag >> 23) - 127;
    e = e < emin ? emin : e;
    return (uint32_t)(mag == 0 ? -126 : e) & 0xFFFFu;
}

static void add_exponents(MmaPanel *p)
{
    int emin = 1 - num_formats[p->type].bias;
    size_t n = (size_t)p->rows * p->k;
    if (p->block == MMA_A_BLOCK) {
        for (size_t at = 0; at < n; at += MMA_A_BLOCK) {
            for (unsigned r = 0; r < 16; r++)
                p->exp[at / 2 + r] = hw_exponent(p->val[at + r], emin) |
                                     hw_exponent(p->val[at + r + 16], emin) << 16;
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t e = hw_exponent(p->val[i], emin);
        p->exp[i] = e | e << 16;
    }
}

static void add_range(MmaPanel *p)
{
    const NumFormat *f = &num_formats[p->type];
    uint32_t top = 0, low = UINT32_MAX;
    for (size_t i = 0; i < (size_t)p->rows * p->k; i++) {
        uint32_t mag = num_bits(p->val[i]) & 0x7FFFFFFFu;
        top = mag > top ? mag : top;
        low = mag - 1 < low ? mag - 1 : low; /* zero wraps to the largest */
    }
    int emin = 1 - f->bias, low_exp = (int)((low + 1) >> 23) - 127;
    p->finite = top < 0x7F800000u;
    p->max_exp = (int)(top >> 23) - 127;
    p->lsb_exp = top == 0 ? 0 : (low_exp < emin ? emin : low_exp) - f->frac_bits;
}

/* Multiplies the elements by their block scales and adds the scales' exponents. */
static void add_scales(MmaPanel *p)
{
    const MmaScale *s = &p->scale;
    for (unsigned row = 0; row < p->rows; row += p->block) {
        for (unsigned k = 0; k < p->k; k++) {
            const uint8_t *code = s->code + (size_t)(k / s->vec) * p->rows + row;
            size_t at = (size_t)row * p->k + (size_t)k * p->block;
            for (unsigned r = 0; r < p->block; r++)
                p->val[at + r] *= mma_scale_value(s->type, code[r]);
            if (!p->has_exp)
                continue;
            bool is_a = p->block == MMA_A_BLOCK;
            uint32_t *exp = p->exp + (is_a ? at / 2 : at);
            for (unsigned r = 0; r < (is_a ? p->block / 2 : p->block); r++) {
                uint32_t lo = (uint32_t)mma_scale_exponent(s->type, code[r]);
                uint32_t hi = is_a ? (uint32_t)mma_scale_exponent(s->type, code[r + 16]) : lo;
                exp[r] = ((exp[r] + lo) & 0xFFFFu) | (((exp[r] >> 16) + hi) << 16);
            }
        }
    }
}

#endif
