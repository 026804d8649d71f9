/* Descriptors of tcgen05.mma as the executor uses them. Private to sim/func. Bits: isa/bits.def;
 * research/ptx.md 3.2, 3.3. */
#ifndef RAO_FUNC_TC_H
#define RAO_FUNC_TC_H

#include "sim/func/engine.h"

typedef struct Matrix {             /* an operand in shared memory, from its descriptor */
    uint32_t start, lbo, sbo, base; /* bytes */
    Swizzle swz;
} Matrix;

typedef struct Mma { /* what follows from the instruction descriptor */
    NumType a_type, b_type;
    uint32_t m, n;       /* of the whole operation */
    uint32_t elem_bytes; /* of the container in shared memory */
    uint32_t slice_k;    /* K of one MMA, elements */
    uint32_t rows;       /* of A and D in one CTA */
    bool a_neg, b_neg, a_mn, b_mn, d_f16;
} Mma;

Matrix matrix_of(uint64_t descriptor);
Mma mma_of(uint32_t idesc, uint8_t kind, bool cg2);

/* What is wrong with a descriptor; NULL if nothing is. */
const char *sdesc_trouble(uint64_t descriptor);
const char *idesc_trouble(uint32_t idesc, uint8_t kind, bool cg2);

#endif
