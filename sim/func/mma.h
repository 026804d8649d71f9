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
 * Block scales (kinds mxf8f6f4, mxf4, mxf4nvf4): an element counts as its value times its scale. In
 * MMA_FP32 the product of two elements and two scales is rounded to fp32 (exact unless it leaves
 * fp32's range) and added; MMA_HW adds the scales' exponents to those of the products, and sums the
 * 4-bit kinds in groups (mma_group_body.h).
 *
 * Not here: sparsity, and lanes that must not be written (disable-output-lane: save and restore
 * them around the call). */
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

/* Element types beside NumType: integers, for mma_run_int. */
enum { MMA_U8 = NUM_TYPES, MMA_S8, MMA_TYPES };

/* Block scale factors of an operand: one for each row and each `vec` elements of K. */
typedef struct MmaScale {
    const uint8_t *code; /* factor g of a row at code[g * rows + row]; NULL: no scales. The panel
                            keeps the pointer */
    NumType type;        /* NUM_UE8M0; NUM_E4M3: UE4M3, whose sign bit does not count */
    unsigned vec;        /* 16 or 32 */
    bool grouped;        /* MMA_HW sums groups of 16 first: kinds mxf4, mxf4nvf4 */
} MmaScale;

/* How the elements of an operand lie in memory; "row" is m for A and n for B. */
typedef enum MmaMajor {
    MMA_K_MAJOR,   /* element (row, k) at row * stride + k */
    MMA_ROW_MAJOR, /* element (row, k) at k * stride + row: "MN-major", transposed */
    MMA_TMEM,      /* 16-bit A in TMEM: half k % 2 of the word at (k / 2) * stride + row */
} MmaMajor;

typedef struct MmaSource {
    unsigned type; /* NumType or MMA_U8, MMA_S8. f16, bf16: 2 bytes; tf32: 4 bytes; the rest: 1 byte
                      an element */
    MmaMajor major;
    const void *elems;
    size_t stride;    /* in elements; for MMA_TMEM in words */
    unsigned rows, k; /* rows: multiple of 32 for A, of 8 for B; k: multiple of 8 */
    bool negate;
    MmaScale scale;
} MmaSource;

/* An operand of mma.sync as it lies in the registers of a warp: lane 4 g + q holds row g (and, with
 * `halves` 2, g + 8 in every other register); a register has E = 32 / bits elements, the next
 * register of a row stands 4 E elements further on. `by_pairs`: k is reordered as the hardware does
 * that has no such multiplier and unpacks pairs of bytes: first bytes 0 and 1 of every register,
 * then 2 and 3. */
typedef struct MmaFragment {
    NumType type; /* f16, bf16, tf32, e4m3, e5m2 */
    const uint32_t *reg[4];
    unsigned n_regs, halves;
    unsigned row0; /* first row in its block */
    bool by_pairs, negate;
} MmaFragment;

static inline unsigned mma_per_register(NumType t)
{
    return t == NUM_TF32 ? 1 : t == NUM_F16 || t == NUM_BF16 ? 2 : 4;
}

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
    MmaScale scale;
    bool scaled; /* val and exp include the scales; else they are those of the bare elements */
} MmaPanel;

/* Memory that a panel of this many elements needs; fastest if aligned to 64 bytes. */
size_t mma_panel_bytes(unsigned rows, unsigned k);

/* Lays an empty panel over mem, which the caller owns. */
void mma_panel_init(MmaPanel *p, void *mem, unsigned rows, unsigned k);

typedef struct MmaDesc {
    MmaMode mode;
    unsigned m;          /* 32, 64, 96, 128 rows of the A panel, from its first; 16: rows 16-31 of D
                            exist too and may be written */
    unsigned n;          /* multiple of 8 */
    unsigned k;          /* multiple of k_step; both panels hold at least this many */
    unsigned n0;         /* first row of the B panel to use, a multiple of 8 */
    unsigned k_step;     /* products fused by one hardware step: 8 tf32, 16 f16 and bf16, 32 fp8 and
                            mxf8f6f4, 64 mxf4 */
    unsigned align_bits; /* MMA_HW: 25; 13 for fp8 on Hopper; 35 for mxf4 */
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
    void (*pack_fragment)(MmaPanel *p, const MmaFragment *f);
    void (*add_exponents)(MmaPanel *p);
    void (*add_range)(MmaPanel *p);
    void (*add_scales)(MmaPanel *p);
    void (*fp32)(const MmaDesc *desc, const MmaPanel *a, const MmaPanel *b, uint32_t *d);
    void (*hw)(const MmaDesc *desc, const MmaPanel *a, const MmaPanel *b, uint32_t *d);
    void (*hw_grouped)(const MmaDesc *desc, const MmaPanel *a, const MmaPanel *b, uint32_t *d);
} MmaOps;

const MmaOps *mma_ops_for(SimdIsa isa); /* do not use if !simd_runs(isa) */
const MmaOps *mma_ops(void);            /* the fastest of this processor; keep the pointer */

/* Fill a panel that was initialised for at least this many rows and k. A panel packed for MMA_HW
 * also serves MMA_FP32, not the other way round. */
void mma_pack_a(const MmaOps *ops, MmaPanel *p, const MmaSource *src, MmaMode mode);
void mma_pack_b(const MmaOps *ops, MmaPanel *p, const MmaSource *src, MmaMode mode);

/* The two halves of packing, for panels that are filled in parts: what it will hold, and, when the
 * values are there, their exponents and range. */
void mma_panel_shape(const MmaOps *ops, MmaPanel *p, NumType type, unsigned block, unsigned rows,
                     unsigned k, MmaMode mode);
void mma_panel_describe(const MmaOps *ops, MmaPanel *p);

/* Whether mma_run reads rows 16-31 of A and D although m is 16, and the panel's range counts them:
 * with AVX2 and less, fp32 sums do not. */
static inline bool mma_takes_32_rows(const MmaOps *ops, MmaMode mode)
{
    return mode == MMA_HW || !ops->has_fma || ops->isa == SIMD_AVX512;
}

/* The same for operands in registers: A fills rows 0-15 of a block of 32 and, if they are taken,
 * zeroes the others; B 8. */
void mma_pack_fragment(const MmaOps *ops, MmaPanel *p, const MmaFragment *f, bool is_a,
                       MmaMode mode);

/* D (+)= A * B on packed operands. */
void mma_run(const MmaOps *ops, const MmaDesc *desc, const MmaPanel *a, const MmaPanel *b,
             uint32_t *d);

/* D (+)= A * B on operands of MMA_U8 and MMA_S8, packed for MMA_FP32; D is s32. Sums wrap, or stop
 * at the ends of s32 if saturate. k is at most 256, so that fp32 sums are exact; with saturate the
 * whole k is one addition to D. scratch holds n * MMA_MAX_M words. */
void mma_run_int(const MmaOps *ops, const MmaDesc *desc, const MmaPanel *a, const MmaPanel *b,
                 uint32_t *d, uint32_t *scratch, bool saturate);

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

/* The f16 bits of each code of a type of 8 bits or fewer (upper bits of the code do not count). */
const uint16_t *mma_f16_of(unsigned type);

/* ---- Scale factors: significand and exponent. UE8M0 0xFF and UE4M3 0x7F are NaN ---- */

static inline float mma_scale_significand(NumType type, uint8_t code)
{
    bool e8 = type == NUM_UE8M0;
    float sig = (float)(code & 7) * 0.125f + ((code & 0x78) ? 1.0f : 0.0f);
    bool nan = e8 ? code == 0xFF : (code & 0x7F) == 0x7F;
    return nan ? num_float(0x7FFFFFFFu) : e8 ? 1.0f : sig;
}

static inline int32_t mma_scale_exponent(NumType type, uint8_t code)
{
    int32_t field = code >> 3 & 15, e4 = (field ? field : 1) - 7;
    return type == NUM_UE8M0 ? code - 127 : (code & 0x7F) ? e4 : -126;
}

/* For exponents of normal floats. */
static inline float mma_scale_value(NumType type, uint8_t code)
{
    return mma_scale_significand(type, code) *
           num_float((uint32_t)(mma_scale_exponent(type, code) + 127) << 23);
}

#endif
