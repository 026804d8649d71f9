/* Descriptors and operands of tcgen05.mma as the executor uses them. Private to sim/func. Bits:
 * isa/bits.def; layouts: research/ptx.md 3.2, 3.3. */
#ifndef RAO_FUNC_TC_H
#define RAO_FUNC_TC_H

#include "sim/func/engine.h"

typedef struct Matrix {             /* an operand in shared memory, from its descriptor */
    uint32_t start, lbo, sbo, base; /* bytes */
    Swizzle swz;
} Matrix;

typedef struct Mma {          /* what follows from the instruction and its descriptor */
    uint32_t a_type, b_type;  /* NumType, MMA_U8, MMA_S8 */
    uint32_t m, n;            /* of the whole operation */
    uint32_t elem_bits;       /* in shared memory: 4, 8 (also padded 4- and 6-bit types), 16, 32 */
    uint32_t slice_k;         /* K of one MMA, elements */
    uint32_t rows;            /* of A and D in one CTA */
    uint32_t vec, scale_type; /* elements per scale factor, 0: no scales; NUM_UE8M0, NUM_E4M3 */
    uint32_t sfa_id, sfb_id;  /* byte of the factors in their words */
    bool a_neg, b_neg, a_mn, b_mn, d_f16, is_int, saturate;
} Mma;

Matrix matrix_of(uint64_t descriptor);

/* svec: MV_SVEC_... of the instruction, 0 without. */
Mma mma_of(uint32_t idesc, uint8_t kind, uint8_t svec, bool cg2);

static inline bool kind_is_scaled(uint8_t kind)
{
    return kind >= MV_KIND_MXF8F6F4;
}

/* What is wrong with a descriptor; NULL if nothing is. */
const char *sdesc_trouble(uint64_t descriptor);
const char *idesc_trouble(uint32_t idesc, uint8_t kind, uint8_t svec, bool cg2);

/* What is wrong with the layout of operand A or B in shared memory, given a good descriptor. */
const char *layout_trouble(const Matrix *d, const Mma *t, bool is_a);

/* ---- tc_operand.c ---- */

/* rows x bytes (a multiple of 16) of a K-major matrix; a row of `out` is `stride` bytes. False:
 * beyond the CTA's shared memory. */
bool gather_k_major(const Cta *c, const Matrix *d, uint32_t rows, uint32_t bytes, uint8_t *out,
                    uint32_t stride);

/* t->slice_k x rows of an MN-major one; each k is `stride` bytes of `out`. */
bool gather_mn_major(const Cta *c, const Matrix *d, const Mma *t, uint32_t rows, uint8_t *out,
                     uint32_t stride);

/* 16 elements of `bits` (4, 6) at the start of each 16-byte unit to one byte each, in place. */
void unpack_units(uint8_t *p, size_t bytes, uint32_t bits);

/* A of CTA c, and B of all CTAs of the operation, of the whole batch, as sources for packing; rows
 * of A in tensor memory start at lane a_lane. `dense` is scratch that the source may point to.
 * False: beyond shared memory. */
bool source_a(const Cta *c, const TcBatch *q, const Mma *t, uint32_t a_lane, uint8_t *dense,
              MmaSource *out);
bool source_b(Cta *const pair[2], uint32_t n_ctas, const TcBatch *q, const Mma *t, uint8_t *dense,
              MmaSource *out);

/* The scale factors of A's rows (is_a) or B's, [K / vec][rows], from the tensor memory of CTA c.
 * False: quarters of the lanes that must agree differ. */
bool gather_scales(const Cta *c, const TcBatch *q, const Mma *t, bool is_a, uint8_t *out);

#endif
