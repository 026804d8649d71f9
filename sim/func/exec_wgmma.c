/* wgmma.mma_async: a warpgroup multiplies A (64 x K, in shared memory or registers) with B (K x N,
 * in shared memory) and adds to D in its registers; wgmma.fence, commit_group, wait_group.
 *
 * Each warp issues its quarter (16 rows) as an operation of its own, the driver lets the four run
 * together (sync.h, WgJoin). An operation captures descriptors and registers of A at issue: ptxas
 * gives a register that is written before the wait another place. D is written when nobody can know
 * better: after a wait_group of the warp has held, its complete operations join into one product
 * (slices of K of one D, ascending: the same bytes, mma.h) and D's registers change. Until then
 * they hold their old values, so that a kernel which does not wait reads those.
 *
 * Fragments, lane 4 g + q of warp w of the group: D element i: row 16 w + g + 8 (i / 2 % 2), column
 * 8 (i / 4) + 2 q + i % 2; A as in exec_mma.c. Descriptors: research/ptx.md 3.3. Sources: PTX ISA
 * 9.7.15; tests/data/hopper_mma.bin is what an H200 computes. */
#include "isa/form.h"
#include "sim/func/exec_mma.h"
#include "sim/func/fragment.h"
#include "sim/func/tc.h"
#include "sim/func/wgmma.h"

enum { GROUP_WARPS = 4, GROUP_ROWS = 64, A_REGS = 4, SIGN_FLIP = -1 };

typedef struct Shape { /* what the instruction says */
    uint32_t n, k, elem_bytes, d_regs;
    NumType a_type, b_type;
    bool a_regs, a_mn, b_mn, a_neg, b_neg, d_f16, ints, saturate;
} Shape;

static int32_t constant(const Code *c, const CodeInsn *in, uint32_t k, int32_t none)
{
    if (k >= in->n_opd || c->opds[in->opd + k].kind != CO_VALUE)
        return none;
    Slot s = c->slots[c->opds[in->opd + k].first];
    return s < 0 && s != SLOT_SINK ? (int32_t)c->consts[-1 - s] : none;
}

static Shape shape_of(const Code *c, const CodeInsn *in)
{
    uint32_t v = in->mod[MC_WSHAPE] - 1u;
    bool rs = in->op == OP_WGMMA_RS || in->op == OP_WGMMA_INT_RS;
    Shape s = {.n = 8 * (v % 32 + 1),
               .k = 8u << v / 32,
               .elem_bytes = 4u >> v / 32,
               .a_regs = rs,
               .ints = in->op == OP_WGMMA_INT || in->op == OP_WGMMA_INT_RS,
               .d_f16 = in->type[0] == T_F16,
               .saturate = in->mod[MC_SATF] != 0,
               .d_regs = c->opds[in->opd].n};
    if (s.ints)
        return s;
    s.a_type = mma_num_type(in->type[1]);
    s.b_type = mma_num_type(in->type[2]);
    s.a_neg = constant(c, in, 4, 1) == SIGN_FLIP;
    s.b_neg = constant(c, in, 5, 1) == SIGN_FLIP;
    s.a_mn = !rs && constant(c, in, 6, 0) == 1;
    s.b_mn = constant(c, in, rs ? 6 : 7, 0) == 1;
    return s;
}

/* Hopper's descriptor: the swizzle is in bits 62 and 63. */
static Matrix matrix_of_wgmma(uint64_t d)
{
    static const Swizzle swz[] = {SWZ_NONE, SWZ_128, SWZ_64, SWZ_32};
    return (Matrix){.start = (uint32_t)(d & 0x3fff) << 4,
                    .lbo = (uint32_t)(d >> 16 & 0x3fff) << 4,
                    .sbo = (uint32_t)(d >> 32 & 0x3fff) << 4,
                    .base = (uint32_t)(d >> 49 & 7) << 7,
                    .swz = swz[d >> 62]};
}

/* ---- Operands of a batch ---- */

static bool gather(const Cta *c, const uint64_t *descs, uint32_t n, const Shape *s, bool mn,
                   uint32_t rows, uint8_t *out)
{
    Mma t = {.elem_bits = 8 * s->elem_bytes, .slice_k = s->k};
    bool good = true;
    for (uint32_t i = 0; i < n; i++) {
        Matrix m = matrix_of_wgmma(descs[i]);
        if (mn)
            good &= gather_mn_major(c, &m, &t, rows, out + i * s->k * rows * s->elem_bytes,
                                    rows * s->elem_bytes);
        else
            good &= gather_k_major(c, &m, rows, TC_SLICE_BYTES, out + i * TC_SLICE_BYTES,
                                   n * TC_SLICE_BYTES);
    }
    return good;
}

static MmaSource source(NumType type, bool mn, uint32_t rows, uint32_t k, bool negate,
                        const void *elems)
{
    return (MmaSource){.type = type,
                       .major = mn ? MMA_ROW_MAJOR : MMA_K_MAJOR,
                       .elems = elems,
                       .stride = mn ? rows : k,
                       .rows = rows,
                       .k = k,
                       .negate = negate};
}

/* A from the registers of the warps that take part, into a panel of 64 rows. */
static void pack_a_regs(const MmaOps *ops, MmaPanel *p, WgBatch *const batch[GROUP_WARPS],
                        const Shape *s)
{
    memset(p->val, 0, (size_t)GROUP_ROWS * p->k * sizeof *p->val);
    for (uint32_t w = 0; w < GROUP_WARPS; w++)
        for (uint32_t i = 0; batch[w] && i < batch[w]->n; i++) {
            MmaFragment f = {.type = s->a_type,
                             .n_regs = A_REGS,
                             .halves = 2,
                             .row0 = w % 2 * 16,
                             .negate = s->a_neg};
            for (uint32_t r = 0; r < A_REGS; r++)
                f.reg[r] = batch[w]->regs[i][r];
            MmaPanel part = *p;
            part.val += (size_t)(w / 2) * p->k * MMA_A_BLOCK + (size_t)i * s->k * MMA_A_BLOCK;
            ops->pack_fragment(&part, &f);
        }
}

/* ---- D between registers and columns of 64 rows ---- */

/* Place of element i's lane 0 among the columns of a warp's 16 rows. */
static size_t d_place(uint32_t i)
{
    return (size_t)(8 * (i / 4) + i % 2) * GROUP_ROWS + 8 * (i / 2 % 2);
}

static void load_d(const Warp *w, const CodeOpd *o, bool f16, uint32_t *d)
{
    for (uint32_t r = 0; r < o->n; r++) {
        const uint32_t *reg = opd_row(w, o, r);
        if (!f16) {
            regs_to_columns(d + d_place(r), 2 * GROUP_ROWS, reg);
            continue;
        }
        uint32_t half[2][WARP];
        for (uint32_t l = 0; l < WARP; l++) {
            half[0][l] = reg[l] & 0xFFFF;
            half[1][l] = reg[l] >> 16;
        }
        for (uint32_t h = 0; h < 2; h++)
            regs_to_columns(d + d_place(2 * r + h), 2 * GROUP_ROWS, half[h]);
    }
}

static void store_d(const Warp *w, const CodeOpd *o, bool f16, const uint32_t *d)
{
    for (uint32_t r = 0; r < o->n; r++) {
        uint32_t *reg = opd_row(w, o, r), half[2][WARP];
        if (!f16) {
            columns_to_regs(reg, d + d_place(r), 2 * GROUP_ROWS);
            continue;
        }
        for (uint32_t h = 0; h < 2; h++)
            columns_to_regs(half[h], d + d_place(2 * r + h), 2 * GROUP_ROWS);
        for (uint32_t l = 0; l < WARP; l++)
            reg[l] = (half[0][l] & 0xFFFF) | half[1][l] << 16;
    }
}

/* ---- Products ---- */

static bool float_product(Exec *x, Cta *c, WgBatch *const batch[GROUP_WARPS], const WgBatch *one,
                          const Shape *s, uint32_t *d)
{
    const MmaOps *ops = mma_ops_for(x->isa);
    MmaMode mode = x->desc.mma_hw ? MMA_HW : MMA_FP32;
    TcScratch *scratch = c->async->scratch;
    uint32_t k = one->n * s->k;
    bool fp8 = s->elem_bytes == 1;
    MmaPanel a, b;
    MmaSource src = source(s->b_type, s->b_mn, s->n, k, s->b_neg, scratch->b);
    mma_panel_init(&a, scratch->panel_a, GROUP_ROWS, k);
    mma_panel_init(&b, scratch->panel_b, s->n, k);
    if (!gather(c, one->b, one->n, s, s->b_mn, s->n, scratch->b))
        return false;
    mma_pack_b(ops, &b, &src, mode);
    if (s->a_regs) {
        mma_panel_shape(ops, &a, s->a_type, MMA_A_BLOCK, GROUP_ROWS, k, mode);
        pack_a_regs(ops, &a, batch, s);
        mma_panel_describe(ops, &a);
    } else {
        src = source(s->a_type, s->a_mn, GROUP_ROWS, k, s->a_neg, scratch->a);
        if (!gather(c, one->a, one->n, s, s->a_mn, GROUP_ROWS, scratch->a))
            return false;
        mma_pack_a(ops, &a, &src, mode);
    }
    MmaDesc desc = {.mode = mode,
                    .m = GROUP_ROWS,
                    .n = s->n,
                    .k = k,
                    .k_step = s->k,
                    .align_bits = fp8 ? 13 : 25,
                    .frac_bits = fp8 ? 13 : 23,
                    .accumulate = one->accumulate,
                    .d_f16 = s->d_f16,
                    .d_stride = GROUP_ROWS,
                    .lane16 = mma_lanes_straight};
    mma_run(ops, &desc, &a, &b, d);
    return true;
}

static int32_t int_dot(const uint8_t *a, bool a_signed, const uint8_t *b, bool b_signed, uint32_t k)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < k; i++) {
        int32_t x = a_signed ? (int8_t)a[i] : a[i], y = b_signed ? (int8_t)b[i] : b[i];
        sum += x * y;
    }
    return sum;
}

/* A of 8-bit integers from registers, as rows of one slice. */
static void spread_a_regs(uint8_t *to, WgBatch *const batch[GROUP_WARPS], uint32_t slice,
                          uint32_t stride)
{
    for (uint32_t w = 0; w < GROUP_WARPS; w++)
        for (uint32_t r = 0; batch[w] && r < A_REGS; r++)
            for (uint32_t l = 0; l < WARP; l++)
                memcpy(to + (16 * w + l / 4 + 8 * (r % 2)) * stride + 4 * (l % 4) + 16 * (r / 2),
                       &batch[w]->regs[slice][r][l], 4);
}

static bool int_product(Cta *c, WgBatch *const batch[GROUP_WARPS], const WgBatch *one,
                        const Shape *s, uint32_t *d)
{
    TcScratch *scratch = c->async->scratch;
    uint32_t k = one->n * s->k;
    bool a_signed = one->in->type[1] == T_S8, b_signed = one->in->type[2] == T_S8;
    if (!gather(c, one->b, one->n, s, false, s->n, scratch->b))
        return false;
    for (uint32_t i = 0; s->a_regs && i < one->n; i++)
        spread_a_regs(scratch->a + i * s->k, batch, i, k);
    if (!s->a_regs && !gather(c, one->a, one->n, s, false, GROUP_ROWS, scratch->a))
        return false;
    for (uint32_t j = 0; j < s->n; j++)
        for (uint32_t r = 0; r < GROUP_ROWS; r++) {
            int32_t sum = int_dot(scratch->a + r * k, a_signed, scratch->b + j * k, b_signed, k);
            uint32_t *to = d + j * GROUP_ROWS + r;
            *to = mma_add_int(one->accumulate ? *to : 0, sum, s->saturate);
        }
    return true;
}

/* ---- Batches ---- */

/* Whether two warps' batches are quarters of one product. */
static bool same_product(const WgBatch *a, const WgBatch *b)
{
    size_t bytes = a->n * sizeof a->a[0];
    return a->n == b->n && a->in == b->in && a->accumulate == b->accumulate &&
           memcmp(a->a, b->a, bytes) == 0 && memcmp(a->b, b->b, bytes) == 0;
}

/* Performs what warp w of the group has, with those of the other warps that belong to it. */
static bool perform(Exec *x, Cta *c, uint32_t group, uint32_t w, Err *err)
{
    WgBatch *batch[GROUP_WARPS] = {NULL}, *one = &c->async->wg[group * GROUP_WARPS + w];
    const Code *code = x->code;
    Shape s = shape_of(code, one->in);
    const CodeOpd *o = &code->opds[one->in->opd];
    uint32_t *d = c->async->scratch->keep;
    for (uint32_t i = 0; i < GROUP_WARPS; i++) {
        WgBatch *b = &c->async->wg[group * GROUP_WARPS + i];
        if (b->n && same_product(b, one))
            batch[i] = b;
    }
    for (uint32_t i = 0; i < GROUP_WARPS; i++)
        if (batch[i] && one->accumulate)
            load_d(&c->warps[group * GROUP_WARPS + i], o, s.d_f16, d + 16 * i);
    bool good = s.ints ? int_product(c, batch, one, &s, d) : float_product(x, c, batch, one, &s, d);
    for (uint32_t i = 0; i < GROUP_WARPS; i++)
        if (batch[i]) {
            store_d(&c->warps[group * GROUP_WARPS + i], o, s.d_f16, d + 16 * i);
            batch[i]->n = 0;
        }
    if (good)
        return true;
    Async as = {.warp = group * GROUP_WARPS + w, .ptx = one->in->ptx};
    return async_fault(x, c, &as, err,
                       "an operand of wgmma (descriptors A 0x%016llx, B 0x%016llx) reaches beyond "
                       "the CTA's %u bytes of shared memory",
                       (unsigned long long)one->a[0], (unsigned long long)one->b[0],
                       c->shared_bytes);
}

bool wgmma_flush(Exec *x, Cta *cta, uint32_t warp, Err *err)
{
    WgBatch *b = cta->async->wg;
    return !b || !b[warp].n || perform(x, cta, warp / GROUP_WARPS, warp % GROUP_WARPS, err);
}

bool wgmma_flush_all(Exec *x, Cta *cta, Err *err)
{
    for (uint32_t w = 0; cta->async->wg && w < x->front.n_warps; w++)
        if (!wgmma_flush(x, cta, w, err))
            return false;
    return true;
}

/* Whether one more operation may join: the same D and kind of operands, a further slice of K. */
static bool joins(const Code *c, const WgBatch *b, const Async *as)
{
    const CodeInsn *p = b->in, *q = as->u.wgmma.in;
    if (b->n == 0)
        return true;
    const CodeOpd *d = &c->opds[p->opd], *e = &c->opds[q->opd];
    Shape s = shape_of(c, p), t = shape_of(c, q);
    return b->n < TC_MAX_SLICES && (b->n + 1) * s.k <= TC_MAX_K && as->u.wgmma.accumulate &&
           !s.saturate && p->op == q->op && memcmp(p->type, q->type, sizeof p->type) == 0 &&
           p->mod[MC_WSHAPE] == q->mod[MC_WSHAPE] && s.a_mn == t.a_mn && s.b_mn == t.b_mn &&
           s.a_neg == t.a_neg && s.b_neg == t.b_neg && s.saturate == t.saturate && d->n == e->n &&
           memcmp(c->slots + d->first, c->slots + e->first, d->n * sizeof *c->slots) == 0;
}

static bool wgmma_async(Exec *x, Cta *cta, Async *as, AsyncStep step, Err *err)
{
    if (step != ASYNC_DONE)
        return true;
    WgBatch *b = &cta->async->wg[as->warp];
    if (!joins(x->code, b, as) && !wgmma_flush(x, cta, as->warp, err))
        return false;
    if (b->n == 0) {
        b->in = as->u.wgmma.in;
        b->accumulate = as->u.wgmma.accumulate;
    }
    b->a[b->n] = as->u.wgmma.a;
    b->b[b->n] = as->u.wgmma.b;
    if (as->stage)
        memcpy(b->regs[b->n], as->stage, sizeof b->regs[0]);
    b->n++;
    return true;
}

/* ---- Instructions ---- */

static MmaRate rate_class(const CodeInsn *in, const Shape *s)
{
    if (s->ints)
        return RATE_I8;
    return in->type[1] == T_TF32 ? RATE_TF32 : s->elem_bytes == 1 ? RATE_8 : RATE_F16;
}

static bool dyn_wgmma(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Warp *w = x->w;
    uint32_t lane = first_lane(mask);
    const CodeOpd *a = opd(w, in, 1), *p = opd(w, in, 3);
    Shape s = shape_of(x->exec->code, in->ci);
    if (w->id / GROUP_WARPS * GROUP_WARPS + GROUP_WARPS > x->exec->front.n_warps ||
        mask != FULL_MASK)
        return exec_fault(x, in, -1, "wgmma needs all threads of a warpgroup: four whole warps");
    Async *as = start_async(x, in, wgmma_async);
    if (!as)
        return false;
    as->u.wgmma.in = in->ci;
    as->u.wgmma.b = opd_u64(w, opd(w, in, 2), lane);
    as->u.wgmma.accumulate = p->kind == CO_PRED ? opd_pred(w, p) >> lane & 1 : opd_u32(x, p, lane);
    if (s.a_regs) {
        as->stage = stage_take(&x->cta->async->stage, A_REGS * WARP * sizeof(uint32_t));
        if (!as->stage)
            return exec_fault(x, in, -1, "more wgmma with A in registers pend than fit");
        for (uint32_t r = 0; r < A_REGS; r++)
            memcpy(as->stage + r * WARP * 4, opd_row(w, a, r), WARP * sizeof(uint32_t));
    } else {
        as->u.wgmma.a = opd_u64(w, a, lane);
    }
    Op *o = emit(x, OK_WGMMA);
    o->arg0 = GROUP_ROWS | s.n << 16;
    o->arg1 = (s.a_regs ? MMA_A_TMEM : 0u) | (uint32_t)rate_class(in->ci, &s) << MMA_RATE_SHIFT;
    o->waves = TC_SLICE_BYTES;
    o->handle = as->handle;
    return true;
}

static bool dyn_fence(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    (void)in, (void)mask;
    emit(x, OK_PLAIN); /* orders registers, which are read and written in order here anyway */
    return true;
}

static bool dyn_commit(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    (void)in, (void)mask;
    emit(x, OK_WGMMA_COMMIT);
    return true;
}

static bool dyn_wait(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    emit(x, OK_WGMMA_WAIT)->arg0 = opd_u32(x, opd(x->w, in, 0), first_lane(mask));
    x->w->wgmma_waits = true;
    return true;
}

BIND_DYN(wgmma, dyn_wgmma)
BIND_DYN(wgmma_fence, dyn_fence)
BIND_DYN(wgmma_commit_group, dyn_commit)
BIND_DYN(wgmma_wait_group, dyn_wait)
