#include "sim/func/mma.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

const uint8_t mma_lanes_straight[MMA_MAX_M / MMA_GROUP] = {0, 1, 2, 3, 4, 5, 6, 7};
const uint8_t mma_lanes_m64[4] = {0, 2, 4, 6};

size_t mma_panel_bytes(unsigned rows, unsigned k)
{
    return (size_t)rows * k * (sizeof(float) + sizeof(uint32_t));
}

void mma_panel_init(MmaPanel *p, void *mem, unsigned rows, unsigned k)
{
    *p = (MmaPanel){.val = mem};
    p->exp = (uint32_t *)(void *)(p->val + (size_t)rows * k);
}

/* ---- Small types as f16 ---- */

static uint16_t f16_tables[MMA_TYPES][256];

static void fill_f16_tables(void)
{
    NumMode exact = {.rnd = NUM_RN};
    for (unsigned i = 0; i < 256; i++) {
        for (unsigned t = NUM_E4M3; t <= NUM_E2M1; t++)
            f16_tables[t][i] = (uint16_t)num_convert(NUM_F16, (NumType)t, i, exact);
        f16_tables[MMA_U8][i] = (uint16_t)num_pack(NUM_F16, num_of_u64(i), exact);
        f16_tables[MMA_S8][i] = (uint16_t)num_pack(NUM_F16, num_of_s64((int8_t)i), exact);
    }
}

const uint16_t *mma_f16_of(unsigned type)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill_f16_tables);
    return f16_tables[type];
}

/* ---- Packing ---- */

/* Scales within these bounds keep products of elements of at most 8 bits, and so every sum of
 * MMA_HW, within the range of fp32. */
enum { SCALE_LOW = -48, SCALE_HIGH = 48 };

/* Whether all elements that factor g of a row scales are zero. */
static bool all_zero(const MmaPanel *p, unsigned row, unsigned g)
{
    unsigned vec = p->scale.vec;
    const float *val = p->val + (size_t)(row / p->block) * p->k * p->block + row % p->block;
    for (unsigned k = g * vec; k < (g + 1) * vec; k++)
        if (val[(size_t)k * p->block] != 0)
            return false;
    return true;
}

/* Applies the scales to the panel if they are harmless; else mma_run looks them up. Small ones of
 * zeros, as of rows filled with zeros, are. */
static void apply_scales(const MmaOps *ops, MmaPanel *p)
{
    const MmaScale *s = &p->scale;
    int low = 0, high = 0;
    for (size_t i = 0; i < (size_t)p->k / s->vec * p->rows; i++) {
        if (isnan(mma_scale_significand(s->type, s->code[i])))
            return;
        int e = mma_scale_exponent(s->type, s->code[i]);
        if (s->type == NUM_E4M3) /* zero, and subnormals down to 2^-9 */
            e = e < -6 ? -6 : e;
        if (e < SCALE_LOW && all_zero(p, (unsigned)(i % p->rows), (unsigned)(i / p->rows)))
            continue;
        low = e < low ? e : low;
        high = e > high ? e : high;
    }
    if (low < SCALE_LOW || high > SCALE_HIGH)
        return;
    ops->add_scales(p);
    p->scaled = true;
    p->max_exp += high + (s->type == NUM_E4M3);
    p->lsb_exp += low - (s->type == NUM_E4M3 ? 3 : 0);
}

void mma_panel_shape(const MmaOps *ops, MmaPanel *p, NumType type, unsigned block, unsigned rows,
                     unsigned k, MmaMode mode)
{
    p->type = type;
    p->scale = (MmaScale){0};
    p->scaled = false;
    p->block = block;
    p->rows = rows;
    p->k = k;
    p->has_exp = mode == MMA_HW;
    p->has_range = mode == MMA_HW || !ops->has_fma;
}

void mma_panel_describe(const MmaOps *ops, MmaPanel *p)
{
    if (p->has_exp)
        ops->add_exponents(p);
    if (p->has_range)
        ops->add_range(p);
    if (p->scale.code && !(p->scale.grouped && p->has_exp))
        apply_scales(ops, p);
}

static void pack_panel(const MmaOps *ops, MmaPanel *p, const MmaSource *src, unsigned block,
                       MmaMode mode)
{
    assert(src->rows % block == 0 && src->k % 8 == 0);
    assert(src->type < MMA_TYPES && (!src->scale.code || src->k % src->scale.vec == 0));
    /* Integers of 8 bits are bf16 numbers, too. */
    NumType type = src->type < NUM_TYPES ? (NumType)src->type : NUM_BF16;
    mma_panel_shape(ops, p, type, block, src->rows, src->k, mode);
    p->scale = src->scale;
    ops->pack(p, src);
    mma_panel_describe(ops, p);
}

void mma_pack_fragment(const MmaOps *ops, MmaPanel *p, const MmaFragment *f, bool is_a,
                       MmaMode mode)
{
    unsigned block = is_a ? MMA_A_BLOCK : MMA_B_BLOCK;
    unsigned k = f->n_regs / f->halves * 4 * mma_per_register(f->type);
    mma_panel_shape(ops, p, f->type, block, block, k, mode);
    if (is_a && mma_takes_32_rows(ops, mode))
        memset(p->val, 0, (size_t)p->rows * p->k * sizeof *p->val);
    ops->pack_fragment(p, f);
    mma_panel_describe(ops, p);
}

void mma_pack_a(const MmaOps *ops, MmaPanel *p, const MmaSource *src, MmaMode mode)
{
    assert(src->major != MMA_TMEM || src->type == NUM_F16 || src->type == NUM_BF16);
    pack_panel(ops, p, src, MMA_A_BLOCK, mode);
}

void mma_pack_b(const MmaOps *ops, MmaPanel *p, const MmaSource *src, MmaMode mode)
{
    assert(src->major != MMA_TMEM);
    pack_panel(ops, p, src, MMA_B_BLOCK, mode);
}

/* A significand as an integer and its exponent: x = sig * 2^(exp - 23). */
typedef struct Term {
    int64_t sig;
    int exp;
} Term;

static Term term_of(float x, int emin)
{
    uint32_t bits = num_bits(x), mag = bits & 0x7FFFFFFFu;
    int field = (int)(mag >> 23);
    int64_t sig = field ? (int64_t)((mag & 0x7FFFFFu) | 0x800000u) : (int64_t)mag;
    int e = field ? field - 127 : -126;
    Term t = {.sig = sig, .exp = mag == 0 ? -126 : e};
    if (mag != 0 && e < emin) { /* subnormal in its own format: exact, the low bits are zero */
        t.sig = sig >> (emin - e);
        t.exp = emin;
    }
    if (bits >> 31)
        t.sig = -t.sig;
    return t;
}

/* x / 2^shift toward zero. */
static int64_t shift_rz(int64_t x, int shift)
{
    if (shift <= 0)
        return x * (INT64_C(1) << -shift);
    if (shift > 62)
        return 0;
    return x / (INT64_C(1) << shift);
}

static uint32_t hw_pack(const MmaDesc *desc, int64_t sum, int exp)
{
    NumValue v = num_of_s64(sum);
    v.exp = exp;
    if (desc->d_f16)
        return (uint32_t)num_pack(NUM_F16, v, (NumMode){.rnd = NUM_RN});
    uint32_t bits = (uint32_t)num_pack(NUM_F32, v, (NumMode){.rnd = NUM_RZ});
    /* Cut to 24 bits first, so that only what then is out of range becomes infinity. */
    if (v.kind == NUM_FINITE && 63 - __builtin_clzll(v.sig) + exp > 127)
        bits = v.negative ? 0xFF800000u : 0x7F800000u;
    bits &= ~0u << (23 - desc->frac_bits);
    return bits << 1 ? bits : 0; /* a sum cut to zero is +0 */
}

/* ---- Element by element: any operands, any D ---- */

enum { SLOW_COLUMNS = MMA_B_BLOCK, SLOW_K = 256 };

/* Elements of a row as both modes want them. */
typedef struct Terms {
    float value[SLOW_K];   /* without scale */
    double scaled[SLOW_K]; /* with it: exact */
    int32_t sig[SLOW_K];   /* of 2^(exp - 23) */
    int32_t exp[SLOW_K];   /* with that of the scale */
} Terms;

/* k elements from the panel's k0 on; val points at the first of them. */
static void fill_terms(Terms *t, const MmaPanel *p, const float *val, unsigned row, unsigned k0,
                       unsigned k)
{
    const MmaScale *s = &p->scale;
    int emin = 1 - num_formats[p->type].bias;
    for (unsigned i = 0; i < k; i++) {
        float x = val[(size_t)i * p->block];
        double scale = 1;
        int e = 0;
        if (s->code) {
            uint8_t code = s->code[(size_t)((k0 + i) / s->vec) * p->rows + row];
            e = mma_scale_exponent(s->type, code);
            scale = ldexp((double)mma_scale_significand(s->type, code), e);
            x = p->scaled && x != 0 ? (float)((double)x / scale) : x;
        }
        Term term = term_of(x, emin);
        t->value[i] = x;
        t->scaled[i] = (double)x * scale;
        t->sig[i] = (int32_t)term.sig;
        t->exp[i] = term.exp + e;
    }
}

/* One MMA_HW step on the terms from k0 on; c and the result are f32 bits, or f16 bits. */
static uint32_t hw_dot(const MmaDesc *desc, const Terms *a, const Terms *b, unsigned k0, uint32_t c)
{
    NumMode exact = {.rnd = NUM_RN};
    NumType d_type = desc->d_f16 ? NUM_F16 : NUM_F32;
    int align = (int)desc->align_bits;
    float c_value = num_float((uint32_t)num_convert(NUM_F32, d_type, c, exact));
    Term t = term_of(c_value, 1 - num_formats[d_type].bias);
    double special = (double)c_value; /* becomes the result if it is infinite or NaN */
    int top = t.exp;
    for (unsigned k = k0; k < k0 + desc->k_step; k++) {
        int e = a->exp[k] + b->exp[k];
        top = e > top ? e : top;
        special += a->scaled[k] * b->scaled[k];
    }
    if (!isfinite(special))
        return (uint32_t)num_convert(d_type, NUM_F32, num_bits((float)special), exact);
    int64_t sum = shift_rz(t.sig, 23 - align + top - t.exp);
    for (unsigned k = k0; k < k0 + desc->k_step; k++)
        sum += shift_rz((int64_t)a->sig[k] * b->sig[k], 46 - align + top - a->exp[k] - b->exp[k]);
    return hw_pack(desc, sum, top - align);
}

uint32_t mma_hw_dot(const MmaDesc *desc, const MmaPanel *pa, const float *a, const MmaPanel *pb,
                    const float *b, uint32_t c)
{
    Terms x, y;
    assert(!pa->scale.code && !pb->scale.code);
    fill_terms(&x, pa, a, 0, 0, desc->k_step);
    fill_terms(&y, pb, b, 0, 0, desc->k_step);
    return hw_dot(desc, &x, &y, 0, c);
}

/* One step of MMA_FP32. */
static uint32_t fp32_dot(const MmaDesc *desc, const Terms *a, const Terms *b, bool scales,
                         unsigned k0, uint32_t c)
{
    NumMode nearest = {.rnd = NUM_RN};
    NumType d_type = desc->d_f16 ? NUM_F16 : NUM_F32;
    float sum = num_float((uint32_t)num_convert(NUM_F32, d_type, c, nearest));
    for (unsigned k = k0; k < k0 + desc->k_step; k++)
        sum = scales ? sum + (float)(a->scaled[k] * b->scaled[k])
                     : fmaf(a->value[k], b->value[k], sum);
    return (uint32_t)num_convert(d_type, NUM_F32, num_bits(sum), nearest);
}

static const float *row_of(const MmaPanel *p, unsigned row)
{
    return p->val + (size_t)(row / p->block) * p->k * p->block + row % p->block;
}

static void run_slow(const MmaDesc *desc, const MmaPanel *pa, const MmaPanel *pb, uint32_t *d)
{
    Terms a, b[SLOW_COLUMNS];
    for (unsigned j0 = 0; j0 < desc->n; j0 += SLOW_COLUMNS)
        for (unsigned k0 = 0; k0 < desc->k; k0 += SLOW_K) {
            unsigned n_k = desc->k - k0 < SLOW_K ? desc->k - k0 : SLOW_K;
            for (unsigned j = 0; j < SLOW_COLUMNS; j++)
                fill_terms(&b[j], pb, row_of(pb, desc->n0 + j0 + j) + (size_t)k0 * pb->block,
                           desc->n0 + j0 + j, k0, n_k);
            for (unsigned row = 0; row < desc->m; row++) {
                size_t lane = (size_t)desc->lane16[row / MMA_GROUP] * MMA_GROUP + row % MMA_GROUP;
                fill_terms(&a, pa, row_of(pa, row) + (size_t)k0 * pa->block, row, k0, n_k);
                for (unsigned j = 0; j < SLOW_COLUMNS; j++) {
                    uint32_t *to = d + (j0 + j) * desc->d_stride + lane;
                    uint32_t c = desc->accumulate || k0 > 0 ? *to : 0;
                    for (unsigned k = 0; k < n_k; k += desc->k_step)
                        c = desc->mode == MMA_HW
                                ? hw_dot(desc, &a, &b[j], k, c)
                                : fp32_dot(desc, &a, &b[j], pa->scale.code != NULL, k, c);
                    *to = c;
                }
            }
        }
}

/* ---- D of f16, in fp32 sums: each step runs on an f32 copy, which is then rounded ---- */

enum { F16_COLUMNS = 32 };

/* The panel from element k on. */
static MmaPanel panel_from(const MmaPanel *p, unsigned k)
{
    MmaPanel v = *p;
    v.val += (size_t)k * p->block;
    return v;
}

static void run_f16(const MmaOps *ops, const MmaDesc *desc, const MmaPanel *pa, const MmaPanel *pb,
                    uint32_t *d)
{
    static const uint32_t zero[NUM_LANES];
    const NumRows *rows = num_rows_for(ops->isa);
    uint32_t wide[F16_COLUMNS][MMA_MAX_M], half[MMA_MAX_M] = {0};
    for (unsigned j0 = 0; j0 < desc->n; j0 += F16_COLUMNS) {
        MmaDesc step = *desc;
        step.n = desc->n - j0 < F16_COLUMNS ? desc->n - j0 : F16_COLUMNS;
        step.n0 = desc->n0 + j0;
        step.k = desc->k_step;
        step.d_f16 = false;
        step.d_stride = MMA_MAX_M;
        step.lane16 = mma_lanes_straight;
        for (unsigned k = 0; k < desc->k; k += desc->k_step) {
            MmaPanel a = panel_from(pa, k), b = panel_from(pb, k);
            step.accumulate = desc->accumulate || k > 0;
            for (unsigned j = 0; j < step.n && step.accumulate; j++) {
                const uint32_t *from = d + (j0 + j) * desc->d_stride;
                for (unsigned g = 0; g < desc->m / MMA_GROUP; g++)
                    memcpy(half + g * MMA_GROUP, from + desc->lane16[g] * MMA_GROUP,
                           MMA_GROUP * sizeof *half);
                for (unsigned r = 0; r < desc->m; r += NUM_LANES)
                    rows->f32_of_f16(wide[j] + r, half + r);
            }
            ops->fp32(&step, &a, &b, wide[0]);
            for (unsigned j = 0; j < step.n; j++) {
                uint32_t *to = d + (j0 + j) * desc->d_stride;
                for (unsigned r = 0; r < desc->m; r += NUM_LANES)
                    rows->f16x2(half + r, zero, wide[j] + r);
                for (unsigned g = 0; g < desc->m / MMA_GROUP; g++)
                    memcpy(to + desc->lane16[g] * MMA_GROUP, half + g * MMA_GROUP,
                           MMA_GROUP * sizeof *half);
            }
        }
    }
}

/* ---- Running ---- */

static void scale_d(const MmaDesc *desc, uint32_t *d)
{
    NumMode nearest = {.rnd = NUM_RN};
    NumType type = desc->d_f16 ? NUM_F16 : NUM_F32;
    for (unsigned j = 0; j < desc->n; j++) {
        for (unsigned row = 0; row < desc->m; row++) {
            size_t lane = (size_t)desc->lane16[row / MMA_GROUP] * MMA_GROUP + row % MMA_GROUP;
            uint32_t *at = d + j * desc->d_stride + lane;
            NumValue v = num_unpack(type, *at);
            v.exp -= (int)desc->scale_d;
            *at = (uint32_t)num_pack(type, v, nearest);
        }
    }
}

static void check_desc(const MmaDesc *desc, const MmaPanel *a, const MmaPanel *b)
{
    assert(desc->m == 16 || desc->m % MMA_A_BLOCK == 0);
    assert(desc->m <= a->rows && desc->m <= MMA_MAX_M);
    assert(desc->n % MMA_B_BLOCK == 0 && desc->n0 % MMA_B_BLOCK == 0);
    assert(desc->n0 + desc->n <= b->rows);
    assert(desc->k_step > 0 && desc->k_step <= (a->scale.grouped ? 64 : 32));
    assert(desc->k_step % 2 == 0 && !a->scale.code == !b->scale.code);
    assert(desc->k % desc->k_step == 0 && desc->k <= a->k && desc->k <= b->k);
    assert(a->block == MMA_A_BLOCK && b->block == MMA_B_BLOCK);
    assert(desc->mode == MMA_FP32 || a->scale.grouped ||
           (desc->align_bits <= 25 && desc->frac_bits <= 23));
    assert(desc->mode == MMA_FP32 || (a->has_exp && b->has_exp));
}

void mma_run(const MmaOps *ops, const MmaDesc *desc, const MmaPanel *a, const MmaPanel *b,
             uint32_t *d)
{
    check_desc(desc, a, b);
    if (desc->scale_d && desc->accumulate)
        scale_d(desc, d);
    /* Every product is below 2^128, and for exact also a multiple of the smallest float. */
    bool has_range = a->has_range && b->has_range;
    bool no_overflow = has_range && a->finite && b->finite && a->max_exp + b->max_exp <= 126;
    bool exact = no_overflow && a->lsb_exp + b->lsb_exp >= -149;
    if (a->scale.grouped && desc->mode == MMA_HW)
        ops->hw_grouped(desc, a, b, d);
    else if (a->scale.code && (!a->scaled || !b->scaled || (has_range && !no_overflow)))
        run_slow(desc, a, b, d);
    else if (desc->d_f16 && desc->mode == MMA_FP32 && (ops->has_fma || exact))
        run_f16(ops, desc, a, b, d);
    else if (desc->d_f16)
        run_slow(desc, a, b, d);
    else if (desc->mode == MMA_FP32 && (ops->has_fma || exact))
        ops->fp32(desc, a, b, d);
    else if (desc->mode == MMA_HW && no_overflow)
        ops->hw(desc, a, b, d);
    else
        run_slow(desc, a, b, d);
}

void mma_run_int(const MmaOps *ops, const MmaDesc *desc, const MmaPanel *a, const MmaPanel *b,
                 uint32_t *d, uint32_t *scratch, bool saturate)
{
    MmaDesc sums = *desc;
    sums.mode = MMA_FP32;
    sums.accumulate = sums.d_f16 = false;
    sums.d_stride = MMA_MAX_M;
    assert(desc->k <= 256);
    mma_run(ops, &sums, a, b, scratch);
    for (unsigned j = 0; j < desc->n; j++)
        for (unsigned row = 0; row < desc->m; row++) {
            size_t lane = (size_t)desc->lane16[row / MMA_GROUP] * MMA_GROUP + row % MMA_GROUP;
            uint32_t *to = d + j * desc->d_stride + lane;
            int64_t sum = (int32_t)num_float(scratch[j * MMA_MAX_M + lane]);
            sum += desc->accumulate ? (int32_t)*to : 0;
            if (saturate && sum != (int32_t)sum)
                sum = sum < 0 ? INT32_MIN : INT32_MAX;
            *to = (uint32_t)sum;
        }
}

void mma_f16(const MmaOps *ops, const MmaTile *tile, uint32_t *d, void *scratch)
{
    MmaPanel a, b;
    mma_panel_init(&a, scratch, tile->m, tile->k);
    mma_panel_init(&b, (char *)scratch + mma_panel_bytes(tile->m, tile->k), tile->n, tile->k);
    MmaSource src = {.type = tile->type, .elems = tile->a, .stride = tile->k, .k = tile->k};
    src.rows = tile->m;
    mma_pack_a(ops, &a, &src, tile->mode);
    src.elems = tile->b;
    src.rows = tile->n;
    mma_pack_b(ops, &b, &src, tile->mode);
    MmaDesc desc = {.mode = tile->mode,
                    .m = tile->m,
                    .n = tile->n,
                    .k = tile->k,
                    .k_step = 16,
                    .align_bits = 25,
                    .frac_bits = 23,
                    .accumulate = tile->accumulate,
                    .d_stride = MMA_MAX_M,
                    .lane16 = mma_lanes_straight};
    mma_run(ops, &desc, &a, &b, d);
}

extern const MmaOps mma_ops_base;
#if defined(__x86_64__)
extern const MmaOps mma_ops_avx2, mma_ops_avx512;
#endif

const MmaOps *mma_ops_for(SimdIsa isa)
{
#if defined(__x86_64__)
    if (isa == SIMD_AVX512)
        return &mma_ops_avx512;
    if (isa == SIMD_AVX2)
        return &mma_ops_avx2;
#endif
    assert(isa == SIMD_BASE);
    return &mma_ops_base;
}

const MmaOps *mma_ops(void)
{
    return mma_ops_for(simd_best());
}
