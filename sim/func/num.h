/* Number formats, bit exact: what PTX says about rounding, saturation, NaN and subnormals.
 *
 * A value in a register is bits. A format is a NumFormat; one unpack and one round-and-pack serve
 * all of them, with an exact NumValue between. Single values (num_*) are written for clarity;
 * whole warps go through NumRows, whose loops the compiler vectorises.
 *
 * NaN: a NaN result is the canonical one (f32 0x7FFFFFFF, f16 and bf16 0x7FFF, e4m3 and e5m2 0x7F).
 * The one exception is bf16 -> f32, which is a shift, as in SASS.
 * ftz: subnormal inputs are read, and subnormal results written, as zero of the same sign; a result
 * is judged after rounding (assumed: PTX does not say when).
 * Approximate functions: bit for bit those of a Hopper GPU (mufu.h).
 *
 * Not here: f64 arithmetic with directed rounding. */
#ifndef RAO_SIM_FUNC_NUM_H
#define RAO_SIM_FUNC_NUM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "sim/func/simd.h"

enum { NUM_LANES = 32 };

/* PTX .rn .rz .rm .rp .rna .rs; also .rni .rzi .rmi .rpi of conversions to integers. */
typedef enum NumRnd { NUM_RN, NUM_RZ, NUM_RM, NUM_RP, NUM_RNA, NUM_RS, NUM_RNDS } NumRnd;

/* Modifiers of a rounding, to be or-ed. */
enum {
    NUM_SATFINITE = 1, /* overflow and infinity become the largest finite value */
    NUM_RELU = 2,      /* negative results become +0; NaN stays NaN */
    NUM_SAT = 4,       /* clamp to [0, 1]; NaN becomes +0 */
};

typedef struct NumMode {
    NumRnd rnd;
    unsigned flags; /* NUM_SATFINITE | NUM_RELU | NUM_SAT */
    /* NUM_RS: so many random bits are added to the bits that rounding cuts off, at their upper end;
     * a carry rounds away from zero. Overflow is as with NUM_RN. */
    uint16_t random;
    uint8_t random_bits;
} NumMode;

/*   bit  31/63                                                       0
 *        [ zeros ] [ sign ] [ exp_bits ] [ frac_bits ] [ pad_bits zero ]     */
typedef struct NumFormat {
    const char *name; /* as PTX spells it */
    uint8_t exp_bits, frac_bits;
    uint8_t pad_bits; /* tf32 keeps its 19 bits in the upper part of 32 */
    int16_t bias;
    bool has_sign; /* false: ue8m0, which has no zero either */
    bool has_inf;  /* the top exponent is infinity and NaN, as in IEEE 754 */
    bool has_nan;  /* without has_inf: only the all-ones pattern is NaN */
} NumFormat;

typedef enum NumType {
    NUM_F16,
    NUM_BF16,
    NUM_TF32,
    NUM_F32,
    NUM_F64,
    NUM_E4M3,
    NUM_E5M2,
    NUM_E2M3,
    NUM_E3M2,
    NUM_E2M1,
    NUM_UE8M0,
    NUM_TYPES
} NumType;

extern const NumFormat num_formats[NUM_TYPES];

typedef enum NumKind { NUM_ZERO, NUM_FINITE, NUM_INF, NUM_NAN } NumKind;

/* An exact number: (-1)^negative * sig * 2^exp. For NUM_FINITE sig is not zero. Bit 0 of sig may
 * stand for "this bit or any below it", if at least two more bits lie between it and the rounding
 * position of the format that it is packed to. */
typedef struct NumValue {
    NumKind kind;
    bool negative;
    int exp;
    uint64_t sig;
} NumValue;

NumValue num_unpack(NumType from, uint64_t bits);
NumValue num_of_u64(uint64_t x);
NumValue num_of_s64(int64_t x);

/* Rounds once. Without NUM_SATFINITE an overflow gives infinity or, by the rounding mode, the
 * largest finite value; formats without infinity give NaN (e4m3, ue8m0) or the largest value. NaN
 * in a format without NaN gives the largest positive value. ue8m0 ignores the sign. */
uint64_t num_pack(NumType to, NumValue v, NumMode mode);

/* num_pack of num_unpack. Widening is exact whatever the mode. */
uint64_t num_convert(NumType to, NumType from, uint64_t bits, NumMode mode);

/* a * b, a + b and a * b + c with one rounding, for formats of up to 24 significant bits (not f64);
 * all operands and the result are of type t. Exact zero sums are +0, or -0 under NUM_RM. */
uint32_t num_add(NumType t, uint32_t a, uint32_t b, NumMode mode);
uint32_t num_mul(NumType t, uint32_t a, uint32_t b, NumMode mode);
uint32_t num_fma(NumType t, uint32_t a, uint32_t b, uint32_t c, NumMode mode);

/* Float to integer of `width` (8, 16, 32 or 64) bits, saturating; the result is sign- or
 * zero-extended to 64 bits. NaN gives 0, or 1 << (width - 1) if from is f64 or width is 64. */
typedef struct NumInt {
    uint8_t width;
    bool is_signed;
} NumInt;

uint64_t num_to_int(NumType from, uint64_t bits, NumInt to, NumRnd rnd);

/* cvt.rni.f32.f32 and its kin: the integer in the same format, keeping the sign of zero. */
uint64_t num_round_int(NumType t, uint64_t bits, NumRnd rnd);

static inline float num_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t num_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline bool num_is_nan_f32(uint32_t a)
{
    return (a & 0x7FFFFFFFu) > 0x7F800000u;
}

/* NaN of any payload to the canonical NaN. */
static inline uint32_t num_canon_f32(uint32_t a)
{
    return num_is_nan_f32(a) ? 0x7FFFFFFFu : a;
}

/* Subnormals to zero of the same sign. */
static inline uint32_t num_ftz_f32(uint32_t a)
{
    return (a & 0x7F800000u) == 0 ? a & 0x80000000u : a;
}

/* .sat: clamp to [+0, 1]; NaN and -0 become +0. */
static inline uint32_t num_sat_f32(uint32_t a)
{
    if (num_is_nan_f32(a) || a >> 31)
        return 0;
    return a > 0x3F800000u ? 0x3F800000u : a;
}

enum { NUM_KEEP, NUM_FTZ, NUM_FTZS }; /* the last index of the tables below */

/* A row is one register of a warp: NUM_LANES words. d may be the same row as an operand, but must
 * not overlap one otherwise. 16-bit values use the low half of a word; the upper half of an operand
 * is ignored and that of a result is zero. */
typedef void NumRow1(uint32_t *d, const uint32_t *a);
typedef void NumRow2(uint32_t *d, const uint32_t *a, const uint32_t *b);
typedef void NumRow3(uint32_t *d, const uint32_t *a, const uint32_t *b, const uint32_t *c);

typedef struct NumRows {
    SimdIsa isa;
    NumRow1 *ex2[NUM_FTZS], *lg2[NUM_FTZS], *rcp[NUM_FTZS], *sqrt[NUM_FTZS], *rsqrt[NUM_FTZS];
    NumRow1 *sin, *cos; /* .ftz makes no difference */
    NumRow1 *tanh;      /* PTX has no .ftz form; subnormals are kept */
    /* f32, correctly rounded, canonical NaN; rn rz rm rp */
    NumRow2 *add[NUM_RNA][NUM_FTZS], *mul[NUM_RNA][NUM_FTZS];
    NumRow3 *fma[NUM_RNA][NUM_FTZS];
    /* cvt.rn.bf16x2.f32 d, hi, lo and its f16x2 form */
    NumRow2 *bf16x2, *f16x2;
    NumRow1 *f32_of_bf16, *f32_of_f16;
} NumRows;

/* The kernels built for isa (see simd.h; do not call them if !simd_runs(isa)). */
const NumRows *num_rows_for(SimdIsa isa);

/* The fastest kernels of this processor. Keep the pointer. */
const NumRows *num_rows(void);

#endif
