/* Register-only instructions that the compiler vectorises: tables of functions, one table per
 * instruction set. The functions are in vec_*_body.h, compiled once for each by exec_base.c,
 * exec_avx2.c, exec_avx512.c; every build gives the same bytes. Binders (exec_*.c) choose an entry
 * by type and modifiers. */
#ifndef RAO_FUNC_VEC_H
#define RAO_FUNC_VEC_H

#include "sim/func/num.h"
#include "sim/func/state.h"

/* Integer types of registers; .bN counts as unsigned. 8-bit values are operated on as 16-bit. */
typedef enum VecInt { VI_U16, VI_S16, VI_U32, VI_S32, VI_U64, VI_S64, VI_TYPES } VecInt;

typedef enum VecCmp {
    VC_EQ,
    VC_NE,
    VC_LT,
    VC_LE,
    VC_GT,
    VC_GE,
    VC_INTS, /* integers, and ordered floats */
    VC_EQU = VC_INTS,
    VC_NEU,
    VC_LTU,
    VC_LEU,
    VC_GTU,
    VC_GEU, /* true if a NaN is there */
    VC_NUM,
    VC_NAN,
    VC_CMPS
} VecCmp;

enum { VEC_RNDS = 4, VEC_SATS = 2, VEC_NANS = 2 };

typedef struct VecInts {
    PlainFn *add[VI_TYPES], *sub[VI_TYPES], *mul_lo[VI_TYPES], *mul_hi[VI_TYPES], *mad_lo[VI_TYPES],
        *mad_hi[VI_TYPES];
    PlainFn *mul_wide[VI_TYPES], *mad_wide[VI_TYPES]; /* by type of the factors, up to 32 bits */
    PlainFn *div[VI_TYPES], *rem[VI_TYPES], *min[VI_TYPES], *max[VI_TYPES], *neg[VI_TYPES],
        *abs[VI_TYPES];
    PlainFn *shl[VI_TYPES], *shr[VI_TYPES];
    PlainFn *and_[VI_TYPES], *or_[VI_TYPES], *xor_[VI_TYPES], *not_[VI_TYPES],
        *cnot[VI_TYPES]; /* by unsigned type */
    PlainFn *setp[VC_INTS][VI_TYPES];
    PlainFn *popc[VI_TYPES], *clz[VI_TYPES], *brev[VI_TYPES], *bfind[VI_TYPES],
        *bfind_shiftamt[VI_TYPES];
    PlainFn *bfe[VI_TYPES], *bfi[VI_TYPES];
    PlainFn *lop3, *prmt, *shf_l[2], *shf_r[2]; /* [1]: wrap */
    PlainFn *szext[2][2], *bmsk[2];             /* [wrap][signed] */
} VecInts;

/* vec_rare_body.h. [.] by signedness: 0 unsigned, 1 signed; [lo hi] by .mulmode. */
typedef struct VecRare {
    PlainFn *add_sat, *sub_sat, *mad_hi_sat, *add_x2, *mad24_hi_sat, *fns; /* one type each */
    PlainFn *sad[VI_TYPES];
    PlainFn *mul24[2][2], *mad24[2][2];  /* [lo hi][.] */
    PlainFn *min_x2[2], *max_x2[2];      /* [.] */
    PlainFn *min_relu[2], *max_relu[2];  /* s32, s16x2 */
    PlainFn *dp4a[2][2], *dp2a[2][2][2]; /* [. of a][. of b]; dp2a: [lo hi] first */
    PlainFn *pack[4][2];                 /* 2, 4, 8, 16 bits; [.] */
    PlainFn *carry_add[VI_TYPES], *carry_sub[VI_TYPES], *carry_mad[2][VI_TYPES]; /* [lo hi] */
} VecRare;

typedef struct VecFloats {
    PlainFn *add[VEC_RNDS][NUM_FTZS][VEC_SATS], *sub[VEC_RNDS][NUM_FTZS][VEC_SATS];
    PlainFn *mul[VEC_RNDS][NUM_FTZS][VEC_SATS], *fma[VEC_RNDS][NUM_FTZS][VEC_SATS];
    PlainFn *add2[VEC_RNDS][NUM_FTZS], *sub2[VEC_RNDS][NUM_FTZS], *mul2[VEC_RNDS][NUM_FTZS],
        *fma2[VEC_RNDS][NUM_FTZS];
    PlainFn *min[NUM_FTZS][VEC_NANS], *max[NUM_FTZS][VEC_NANS]; /* [.NaN] */
    PlainFn *min_xorsign[NUM_FTZS][VEC_NANS], *max_xorsign[NUM_FTZS][VEC_NANS];
    PlainFn *min3[NUM_FTZS][VEC_NANS][2], *max3[NUM_FTZS][VEC_NANS][2]; /* [.abs] */
    PlainFn *neg[NUM_FTZS], *abs[NUM_FTZS];
    PlainFn *ex2[NUM_FTZS], *lg2[NUM_FTZS], *rsqrt[NUM_FTZS], *sin, *cos, *tanh;
    PlainFn *rcp_approx[NUM_FTZS], *sqrt_approx[NUM_FTZS], *div_approx[NUM_FTZS],
        *div_full[NUM_FTZS];
    PlainFn *rcp[VEC_RNDS][NUM_FTZS], *sqrt[VEC_RNDS][NUM_FTZS], *div[VEC_RNDS][NUM_FTZS];
    PlainFn *setp[VC_CMPS][NUM_FTZS];
    PlainFn *bf16x2, *f16x2, *bf16, *f16, *f32_of_bf16, *f32_of_f16; /* round to nearest even */
    PlainFn *f32_of_int[VI_TYPES];                                   /* u32 s32 */
} VecFloats;

/* f16, bf16 (vec_half_body.h); one or two in a register. Of f16: [ftz][sat]. */
typedef struct VecHalves {
    PlainFn *add[NUM_FTZS][VEC_SATS], *sub[NUM_FTZS][VEC_SATS], *mul[NUM_FTZS][VEC_SATS],
        *fma[NUM_FTZS][VEC_SATS];
    PlainFn *add_bf16, *sub_bf16, *mul_bf16, *fma_bf16[2]; /* [relu] */
    PlainFn *fma_relu[NUM_FTZS], *fma_oob[2][2];           /* oob: [bf16][relu] */
    PlainFn *min[3][VEC_NANS][2], *max[3][VEC_NANS][2];    /* [f16, ftz, bf16][.][xorsign] */
    PlainFn *neg[3], *abs[3], *ex2[2], *tanh[2];           /* [f16, ftz, bf16]; [bf16] */
    PlainFn *add_mixed[2][VEC_RNDS][VEC_SATS], *sub_mixed[2][VEC_RNDS][VEC_SATS],
        *fma_mixed[2][VEC_RNDS][VEC_SATS]; /* [bf16] */
} VecHalves;

/* vec_cvt_body.h. Small formats in this order; [relu]. */
typedef enum VecSmall { VS_E4M3, VS_E5M2, VS_E2M3, VS_E3M2, VS_E2M1, VEC_SMALLS } VecSmall;
typedef struct VecCvts {
    PlainFn *small_of_f32[VEC_SMALLS][2], *small_of_f16[VEC_SMALLS][2],
        *f16_of_small[VEC_SMALLS][2];           /* pairs; rn, .satfinite */
    PlainFn *int_of_f32[2][VEC_RNDS][NUM_FTZS]; /* [u32 s32] */
    PlainFn *round_f32[VEC_RNDS][NUM_FTZS];     /* cvt.rni.f32.f32 ... */
} VecCvts;

typedef struct VecMoves {
    PlainFn *mov32, *mov64, *mov128;
    PlainFn *selp32, *selp64;
    PlainFn *ld_param; /* n slots from the parameter buffer at imm, no base */
} VecMoves;

typedef struct VecMem {
    /* off = base + add in every lane; whether those in mask are at most `last` and have no bit of
     * `low` set. */
    bool (*offsets)(uint32_t off[WARP], const uint32_t *base, uint32_t add, uint32_t last,
                    uint32_t low, uint32_t mask);
    /* The same for 64-bit addresses: base = {hi, lo}. */
    bool (*offsets64)(uint64_t off[WARP], const uint32_t *lo, const uint32_t *hi, uint64_t add,
                      uint64_t last, uint32_t low, uint32_t mask);
    /* No two lanes of a phase want a bank of shared memory (lanes.h); accesses of 4, 8 or 16 bytes.
     */
    bool (*free_of_conflicts)(const uint32_t off[WARP], uint32_t bytes, uint32_t mask);
} VecMem;

typedef struct VecFns {
    VecInts i;
    VecRare r;
    VecFloats f;
    VecHalves h;
    VecCvts c;
    VecMoves m;
    VecMem mem;
} VecFns;

const VecFns *vec_fns(SimdIsa isa);

/* p, q and the boolean operation of a setp whose comparison held in the lanes r. */
void setp_combine(Warp *w, const XInsn *in, uint32_t mask, uint32_t r);

/* VI_TYPES if t is no integer of 8 to 64 bits. */
VecInt vec_int(PtxType t);

#endif
