/* The matrix product and the exponential that references are made of.
 *
 * Products are single precision; at most GEMM_CHUNK of them are summed in single precision, such
 * sums are added in double. For inputs of 16 bits or less products are exact, so the relative error
 * of a sum is about 2e-7, whatever its length. Built for three instruction sets with the same bytes
 * from each: no fused multiply-add, and an order of summation that does not depend on the vector
 * width. */
#ifndef RAO_LAUNCH_GEMM_H
#define RAO_LAUNCH_GEMM_H

#include <stddef.h>

#include "sim/func/simd.h"

enum {
    GEMM_COLS = 16,  /* columns of a panel of B */
    GEMM_ROWS = 48,  /* rows of a block of A: a multiple of every build's tile height */
    GEMM_CHUNK = 64, /* products summed in single precision */
};

/* C += A B: A is GEMM_ROWS x k, row-major, lda floats to a row. B is `panels` panels of GEMM_COLS
 * columns: element (i, j) of panel p at b[p * panel_stride + i * GEMM_COLS + j], aligned to 64
 * bytes. C is row-major, ldc doubles to a row. */
typedef struct Gemm {
    const float *a, *b;
    double *c;
    size_t lda, ldc, panel_stride, k, panels;
} Gemm;

typedef struct GemmFns {
    void (*gemm)(const Gemm *g);
    /* out[i] = p[i] = e^x[i] for x <= 0, to 1e-13; n is a multiple of GEMM_COLS; 64-byte alignment.
     * Below -87, where single precision has no normal numbers left, the result is 0. */
    void (*exps)(double *x, float *p, size_t n);
} GemmFns;

const GemmFns *gemm_for(SimdIsa isa);

#endif
