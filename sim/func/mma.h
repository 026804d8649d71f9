/* Tensor-core tile arithmetic: D = A * B (+ D) for tcgen05.mma, wgmma and mma.
 *
 * Operands are packed once into panels of fp32 values (every format up to tf32 is exact in fp32),
 * which many multiplications may reuse; D stays where it lives, in TMEM's layout: column j of D is
 * consecutive lanes at d + j * d_stride. The kernels vectorise over lanes.
 *
 * Two ways to sum, chosen per call:
 *
 *   MMA_FP32  d = fma(a[k], b[k], d) for k ascending, each step rounded to nearest. The products of
 *             16-bit and smaller formats are exact, so this is an fp32 sum in order of k.
 *   MMA_HW    what Hopper and Blackwell do (research/ptx.md 4.3, from MMA-Sim): for every k_step
 *             products, these and d are aligned to the largest exponent among them (exponents of
 *             products are not renormalised), cut toward zero to `align_bits` fractional bits,
 *             added exactly, and the sum cut to fp32 (or rounded to f16).
 *
 * Either way the bytes do not depend on the instruction set, nor on how K is split over calls as
 * long as the pieces are multiples of k_step. NaN results are canonical.
 *
 * Not here: block scales (mx formats), sparsity, integers, and lanes that must not be written
 * (disable-output-lane: save and restore them around the call). */
#ifndef RAO_SIM_FUNC_MMA_H
#define RAO_SIM_FUNC_MMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/func/num.h"
#include "sim/func/simd.h"

enum {
    MMA_A_BLOCK = 32, /* rows of A side by side in a panel */
    MMA_B_BLOCK = 8,  /* rows of B (columns of D) side by side in a panel */
    MMA_GROUP = 16,   /* rows of D whose lanes are consecutive in every layout */
    MMA_MAX_M = 128,
};

typedef enum MmaMode { MMA_FP32, MMA_HW } MmaMode;

/* How the elements of an operand lie in memory; "row" is m for A and n for B. */
typedef enum MmaMajor {
    MMA_K_MAJOR,   /* element (row, k) at row * stride + k */
    MMA_ROW_MAJOR, /* element (row, k) at k * stride + row: "MN-major", transposed */
    MMA_TMEM,      /* 16-bit A in TMEM: half k % 2 of the word at (k / 2) * stride + row */
} MmaMajor;

typedef struct MmaSource {
    NumType type; /* f16, bf16: 2 bytes; tf32: 4 bytes; the rest: 1 byte an element */
    MmaMajor major;
    const void *elems;
    size_t stride;    /* in elements; for MMA_TMEM in words */
    unsigned rows, k; /* rows: multiple of 32 for A, of 8 for B; k: multiple of 8 */
    bool negate;
} MmaSource;

/*  A packed operand. Blocks of `block` rows; in a block, k by k:
 *
 *     val[(row / block * k + kk) * block + row % block]
 *
 *  exp holds the exponents that MMA_HW compares, as 16-bit pairs so that one vector serves two of
 *  floats: for A rows r and r + 16 of a block in one word (low, high), for B the same value twice:
 *
 *     A: exp[(row / 32 * k + kk) * 16 + row % 16]        B: exp[(row / 8 * k + kk) * 8 + row % 8]
 */
typedef struct MmaPanel {
    float *val;
    uint32_t *exp;
    NumType type;
    unsigned block, rows, k;
    bool has_exp;
    bool has_range;       /* the next three were computed */
    bool finite;          /* no infinity or NaN among the values */
    int max_exp, lsb_exp; /* every value is a multiple of 2^lsb_exp and below 2^(max_exp + 1) */
} MmaPanel;

/* Memory that a panel of this many elements needs; fastest if aligned to 64 bytes. */
size_t mma_panel_bytes(unsigned rows, unsigned k);

/* Lays an empty panel over mem, which the caller owns. */
void mma_panel_init(MmaPanel *p, void *mem, unsigned rows, unsigned k);

typedef struct MmaDesc {
    MmaMode mode;
    unsigned m;          /* 32, 64, 96, 128 rows of the A panel, from its first */
    unsigned n;          /* multiple of 8 */
    unsigned k;          /* multiple of k_step; both panels hold at least this many */
    unsigned n0;         /* first row of the B panel to use, a multiple of 8 */
    unsigned k_step;     /* products fused by one hardware step: 8 tf32, 16 f16 and bf16, 32 fp8 */
    unsigned align_bits; /* MMA_HW: 25; 13 for fp8 on Hopper */
    unsigned frac_bits;  /* MMA_HW: fraction bits kept in fp32 results: 23; 13 for fp8 on Hopper */
    bool accumulate;     /* false: as if D were +0 */
    bool d_f16;       /* D is f16 in the low half of each word, rounded to nearest every k_step */
    unsigned scale_d; /* D is multiplied by 2^-scale_d first */
    size_t d_stride;  /* words from a column of D to the next: 128 in TMEM */
    const uint8_t *lane16; /* lane of D, divided by 16, of each group of 16 rows */
} MmaDesc;

/* lane16 for row r at lane r, and for layout F: M = 64 of cta_group::1 (add 1 to each for +16). */
extern const uint8_t mma_lanes_straight[MMA_MAX_M / MMA_GROUP];
extern const uint8_t mma_lanes_m64[4];

/* Kernels built for one instruction set, for mma_pack_* and mma_run. Panels packed by one may be
 * used by another. */
typedef struct MmaOps {
    SimdIsa isa;
    bool has_fma; /* false: fp32 needs operands whose products are exact */
    void (*pack)(MmaPanel *p, const MmaSource *src);
    void (*add_exponents)(MmaPanel *p);
    void (*add_range)(MmaPanel *p);
    void (*fp32)(const MmaDesc *desc, const MmaPanel *a, const MmaPanel *b, uint32_t *d);
    void (*hw)(const MmaDesc *desc, const MmaPanel *a, const MmaPanel *b, uint32_t *d);
} MmaOps;

const MmaOps *mma_ops_for(SimdIsa isa); /* do not use if !simd_runs(isa) */
const MmaOps *mma_ops(void);            /* the fastest of this processor; keep the pointer */

/* Fill a panel that was initialised for at least this many rows and k. A panel packed for MMA_HW
 * also serves MMA_FP32, not the other way round. */
void mma_pack_a(const MmaOps *ops, MmaPanel *p, const MmaSource *src, MmaMode mode);
void mma_pack_b(const MmaOps *ops, MmaPanel *p, const MmaSource *src, MmaMode mode);

/* D (+)= A * B on packed operands. */
void mma_run(const MmaOps *ops, const MmaDesc *desc, const MmaPanel *a, const MmaPanel *b,
             uint32_t *d);

/* The common case in one call: a [m][k] and b [n][k], both K-major and dense, of type f16 or bf16;
 * d in TMEM layout (stride 128, lane = row). Packs into scratch, which must hold
 * mma_panel_bytes(m, k) + mma_panel_bytes(n, k) bytes, aligned as panels are. */
typedef struct MmaTile {
    NumType type;
    MmaMode mode;
    unsigned m, n, k;
    bool accumulate;
    const uint16_t *a, *b;
} MmaTile;

void mma_f16(const MmaOps *ops, const MmaTile *tile, uint32_t *d, void *scratch);

/* One MMA_HW step of one element, on integers: for operands whose products do not fit fp32. a and b
 * point to the first of k_step terms in their panels; c and the result are f32 bits, or f16 bits if
 * desc->d_f16. */
uint32_t mma_hw_dot(const MmaDesc *desc, const MmaPanel *pa, const float *a, const MmaPanel *pb,
                    const float *b, uint32_t c);

#endif
