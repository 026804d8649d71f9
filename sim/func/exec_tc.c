/* tcgen05.mma and tcgen05.commit: descriptors, operands gathered from swizzled shared memory, tiles
 * handed to mma.h.
 *
 * An MMA captures its operands at issue. When the driver says that it is done, it only joins a
 * batch: MMAs on the same D with further slices of K. tc_flush performs the batch as one product,
 * before anybody can look: at a commit, before a tcgen05.ld/st, before TMA writes shared memory,
 * before an MMA that does not fit the batch.
 *
 * cta_group::2 runs on the issuing CTA's queue: each CTA of the pair supplies its rows of A and
 * half of the rows of B from its own memory and keeps its rows of D. Not here: sparse, .ws, block
 * scales, i8, ashift. Source: PTX ISA 9.7.16; research/ptx.md 3.2, 3.3, 3.18. */
#include <stdio.h>

#include "sim/func/tc.h"

/* Descriptors hold 18 bits of byte address; the rank is dropped. */
#define SHARED_ADDR_MASK 0x3ffffu

/* ---- Gathering operands ---- */

/* Copies one chunk of at most 16 bytes at a canonical (unswizzled) address. */
static inline bool copy_chunk(const Cta *c, const Matrix *d, uint32_t addr, uint8_t *out,
                              uint32_t bytes)
{
    uint32_t a = (swizzle(addr - d->base, d->swz) + d->base) & SHARED_ADDR_MASK;
    if (a + bytes > c->shared_bytes)
        return false;
    memcpy(out, c->shared + a, bytes);
    return true;
}

/* rows x 32 bytes of K; a row of `out` is `stride` bytes. */
static bool gather_k_major(const Cta *c, const Matrix *d, uint32_t rows, uint8_t *out,
                           uint32_t stride)
{
    static const uint32_t widths[] = {16, 32, 64, 128, 128};
    uint32_t width = widths[d->swz], step = d->swz == SWZ_NONE ? d->lbo : 16;
    bool good = true;
    for (uint32_t r = 0; r < rows; r++) {
        uint32_t at = d->start + r % 8 * width + r / 8 * d->sbo;
        good &= copy_chunk(c, d, at, out, 16);
        good &= copy_chunk(c, d, at + step, out + 16, 16);
        out += stride;
    }
    return good;
}

/* K of one MMA x rows; each k is `stride` bytes of `out`. Offsets: table in research/ptx.md 3.3. */
static bool gather_mn_major(const Cta *c, const Matrix *d, const Mma *t, uint32_t rows,
                            uint8_t *out, uint32_t stride)
{
    static const uint32_t widths[] = {16, 32, 64, 128, 128};
    uint32_t width = widths[d->swz], group = d->swz == SWZ_128_32A ? 4 : 8,
             bytes = rows * t->elem_bytes;
    uint32_t row_step = d->swz == SWZ_NONE ? d->sbo : d->lbo,
             k_step = d->swz == SWZ_NONE ? d->lbo : d->sbo;
    bool good = true;
    for (uint32_t k = 0; k < t->slice_k; k++) {
        uint32_t at = d->start + k % group * width + k / group * k_step;
        uint32_t b = 0;
        for (; b + 16 <= bytes; b += 16)
            good &= copy_chunk(c, d, at + b % width + b / width * row_step, out + b, 16);
        if (b < bytes) /* 8-bit elements of an odd multiple of 8 rows */
            good &= copy_chunk(c, d, at + b % width + b / width * row_step, out + b, bytes - b);
        out += stride;
    }
    return good;
}

/* 4- and 6-bit elements lie packed at the start of each 16-byte unit of 16 elements (ptx.md 3.3).
 */
static void spread_small(uint8_t *p, size_t bytes, NumType type)
{
    uint32_t bits = type == NUM_E2M1 ? 4 : 6;
    if (type != NUM_E2M1 && type != NUM_E2M3 && type != NUM_E3M2)
        return;
    for (size_t at = 0; at + 16 <= bytes; at += 16) {
        uint64_t word[2];
        memcpy(word, p + at, 16);
        for (uint32_t e = 0; e < 16; e++) {
            uint32_t bit = e * bits;
            uint64_t v = word[bit / 64] >> bit % 64;
            if (bit % 64 + bits > 64)
                v |= word[1] << (64 - bit % 64);
            p[at + e] = (uint8_t)(v & ((1u << bits) - 1));
        }
    }
}

/* A rows from tensor memory, all slices: row r lies in lane(r), eight columns a slice. */
static void gather_tmem(const Cta *c, const TcBatch *q, const Mma *t, bool layout_f, uint8_t *out)
{
    uint32_t stride = q->n * TC_SLICE_BYTES;
    for (uint32_t s = 0; s < q->n; s++) {
        uint32_t column = q->a_tmem[s] & 0x1ff, lane0 = q->a_tmem[s] >> 16;
        for (uint32_t w = 0; w < TC_SLICE_BYTES / 4; w++)
            for (uint32_t r = 0; r < t->rows; r++) {
                uint32_t lane = lane0 + (layout_f ? r % 16 + r / 16 * 32 : r);
                memcpy(out + r * stride + s * TC_SLICE_BYTES + 4 * w, &c->tmem[column + w][lane],
                       4);
            }
    }
}

/* One operand of one CTA from shared memory, all slices of the batch, rows [row0, row0 + rows) of
 * `total`. */
static bool gather_shared(const Cta *c, const uint64_t *descs, uint32_t n, const Mma *t, bool mn,
                          uint32_t row0, uint32_t rows, uint32_t total, uint8_t *out)
{
    bool good = true;
    for (uint32_t s = 0; s < n; s++) {
        Matrix d = matrix_of(descs[s]);
        uint32_t k_stride = total * t->elem_bytes, row_stride = n * TC_SLICE_BYTES;
        if (mn)
            good &= gather_mn_major(
                c, &d, t, rows, out + s * t->slice_k * k_stride + row0 * t->elem_bytes, k_stride);
        else
            good &= gather_k_major(c, &d, rows, out + row0 * row_stride + s * TC_SLICE_BYTES,
                                   row_stride);
    }
    return good;
}

static MmaSource dense_source(NumType type, bool mn, uint32_t rows, uint32_t k, const void *elems)
{
    return (MmaSource){.type = type,
                       .major = mn ? MMA_ROW_MAJOR : MMA_K_MAJOR,
                       .elems = elems,
                       .stride = mn ? rows : k,
                       .rows = rows,
                       .k = k};
}

static bool slices_adjacent(const TcBatch *q)
{
    for (uint32_t s = 1; s < q->n; s++)
        if (q->a_tmem[s] != q->a_tmem[0] + 8 * s)
            return false;
    return true;
}

/* A of CTA c as a source for packing. */
static bool source_a(const Cta *c, const TcBatch *q, const Mma *t, uint8_t *dense, MmaSource *out)
{
    uint32_t k = q->n * t->slice_k;
    bool layout_f = !q->first.u.mma.cg2 && t->m == 64;
    if (!q->first.u.mma.a_in_tmem) {
        if (!gather_shared(c, q->a, q->n, t, t->a_mn, 0, t->rows, t->rows, dense))
            return false;
        *out = dense_source(t->a_type, t->a_mn, t->rows, k, dense);
    } else if (t->elem_bytes == 2 && !layout_f && slices_adjacent(q)) {
        *out = (MmaSource){.type = t->a_type,
                           .major = MMA_TMEM,
                           .elems = &c->tmem[q->a_tmem[0] & 0x1ff][q->a_tmem[0] >> 16],
                           .stride = TMEM_LANES,
                           .rows = t->rows,
                           .k = k};
    } else {
        gather_tmem(c, q, t, layout_f, dense);
        *out = dense_source(t->a_type, false, t->rows, k, dense);
    }
    if (!q->first.u.mma.a_in_tmem)
        spread_small(dense, (size_t)t->rows * k * t->elem_bytes, t->a_type);
    out->negate = t->a_neg;
    return true;
}

/* B: all N rows; with cta_group::2 CTA c of the pair holds rows [cN/2, (c + 1)N/2). */
static bool source_b(Cta *const pair[2], uint32_t n_ctas, const TcBatch *q, const Mma *t,
                     uint8_t *dense, MmaSource *out)
{
    uint32_t rows = t->n / n_ctas, k = q->n * t->slice_k;
    for (uint32_t c = 0; c < n_ctas; c++)
        if (!gather_shared(pair[c], q->b, q->n, t, t->b_mn, c * rows, rows, t->n, dense))
            return false;
    spread_small(dense, (size_t)t->n * k * t->elem_bytes, t->b_type);
    *out = dense_source(t->b_type, t->b_mn, t->n, k, dense);
    out->negate = t->b_neg;
    return true;
}

/* ---- Performing a batch ---- */

/* D of one CTA. */
static void multiply(Exec *x, Cta *c, const TcBatch *q, const Mma *t, const MmaPanel *a,
                     const MmaPanel *b)
{
    static const uint8_t upper_half[4] = {4, 5, 6, 7};
    uint32_t column = q->first.u.mma.d & 0x1ff, lane0 = q->first.u.mma.d >> 16;
    bool cg2 = q->first.u.mma.cg2, layout_b = cg2 && t->m == 128;
    uint32_t(*d)[TMEM_LANES] = c->tmem + column;
    MmaDesc desc = {
        .mode = x->desc.mma_hw ? MMA_HW : MMA_FP32,
        .m = t->rows,
        .n = layout_b ? t->n / 2 : t->n,
        .k = q->n * t->slice_k,
        .k_step = t->slice_k,
        .align_bits = 25,
        .frac_bits = 23,
        .accumulate = q->first.u.mma.accumulate,
        .d_f16 = t->d_f16,
        .scale_d = q->first.u.mma.scale_shift,
        .d_stride = TMEM_LANES,
        .lane16 = !cg2 && t->m == 64 ? mma_lanes_m64 : mma_lanes_straight,
    };
    mma_run(mma_ops_for(x->isa), &desc, a, b, &d[0][lane0]);
    if (!layout_b)
        return;
    desc.n0 = t->n / 2;
    desc.lane16 = upper_half;
    mma_run(mma_ops_for(x->isa), &desc, a, b, &d[0][0]);
}

static bool is_masked(const uint32_t disable[4])
{
    return (disable[0] | disable[1] | disable[2] | disable[3]) != 0;
}

/* The same, with the lanes of `disable` put back afterwards. */
static void multiply_masked(Exec *x, Cta *c, const TcBatch *q, const Mma *t, const MmaPanel *a,
                            const MmaPanel *b, const uint32_t disable[4])
{
    uint32_t columns = q->first.u.mma.cg2 && t->m == 128 ? t->n / 2 : t->n;
    uint32_t *keep = c->async->scratch.keep,
             (*d)[TMEM_LANES] = c->tmem + (q->first.u.mma.d & 0x1ff);
    if (!is_masked(disable)) {
        multiply(x, c, q, t, a, b);
        return;
    }
    memcpy(keep, d, columns * sizeof *d);
    multiply(x, c, q, t, a, b);
    for (uint32_t j = 0; j < columns; j++)
        for (uint32_t lane = 0; lane < TMEM_LANES; lane++)
            if (disable[lane / 32] >> lane % 32 & 1)
                d[j][lane] = keep[j * TMEM_LANES + lane];
}

static bool perform(Exec *x, Cta *cta, Err *err)
{
    TcBatch *q = &cta->async->batch;
    TcScratch *s = &cta->async->scratch;
    bool cg2 = q->first.u.mma.cg2;
    Mma t = mma_of(q->first.u.mma.idesc, q->first.u.mma.kind, cg2);
    Cta *pair[2] = {cta, cta};
    if (cg2) {
        pair[0] = cluster_cta(cta, cta->rank & ~1u);
        pair[1] = cluster_cta(cta, cta->rank | 1u);
    }
    uint32_t k = q->n * t.slice_k, n_ctas = cg2 ? 2 : 1;
    MmaMode mode = x->desc.mma_hw ? MMA_HW : MMA_FP32;
    MmaSource src;
    MmaPanel a, b;
    mma_panel_init(&b, s->panel_b, t.n, k);
    bool good = source_b(pair, n_ctas, q, &t, s->b, &src);
    if (good)
        mma_pack_b(mma_ops_for(x->isa), &b, &src, mode);
    for (uint32_t c = 0; c < n_ctas && good; c++) {
        good = source_a(pair[c], q, &t, s->a, &src);
        if (!good)
            break;
        mma_panel_init(&a, s->panel_a, t.rows, k);
        mma_pack_a(mma_ops_for(x->isa), &a, &src, mode);
        multiply_masked(x, pair[c], q, &t, &a, &b, q->first.u.mma.disable + 4 * c);
    }
    q->n = 0;
    Matrix ma = matrix_of(q->a[0]), mb = matrix_of(q->b[0]);
    return good ||
           async_fault(
               x, cta, &q->first, err,
               "an operand of tcgen05.mma (A at shared offset 0x%x, B at 0x%x) reaches beyond the "
               "CTA's %u bytes of shared memory",
               ma.start, mb.start, cta->shared_bytes);
}

bool tc_flush(Exec *x, Cta *cta, Err *err)
{
    if (cta->async->batch.n && !perform(x, cta, err))
        return false;
    if (x->cluster_ctas < 2)
        return true;
    Cta *peer = cluster_cta(cta, cta->rank ^ 1);
    if (peer && peer->async->batch.n && peer->async->batch.first.u.mma.cg2)
        return perform(x, peer, err);
    return true;
}

/* Whether the MMA may join the open batch: same D and shapes, one more slice of K. */
static bool joins(const TcBatch *q, const Async *as)
{
    const Async *f = &q->first;
    uint32_t slice_k = TC_SLICE_BYTES / (f->u.mma.kind == MV_KIND_F16    ? 2u
                                         : f->u.mma.kind == MV_KIND_TF32 ? 4u
                                                                         : 1u);
    return q->n > 0 && q->n < TC_MAX_SLICES && (q->n + 1) * slice_k <= TC_MAX_K &&
           as->u.mma.d == f->u.mma.d && as->u.mma.idesc == f->u.mma.idesc &&
           as->u.mma.kind == f->u.mma.kind && as->u.mma.cg2 == f->u.mma.cg2 &&
           as->u.mma.a_in_tmem == f->u.mma.a_in_tmem && as->u.mma.accumulate &&
           as->u.mma.scale_shift == 0 &&
           memcmp(as->u.mma.disable, f->u.mma.disable, sizeof f->u.mma.disable) == 0;
}

/* Whether A in tensor memory overlaps D: then each MMA must see what the one before has written. */
static bool a_overlaps_d(const Async *as, uint32_t n)
{
    uint32_t a = as->u.mma.a_tmem & 0x1ff, d = as->u.mma.d & 0x1ff;
    return as->u.mma.a_in_tmem && a < d + n && d < a + 8;
}

static bool mma_async(Exec *x, Cta *cta, Async *as, AsyncStep step, Err *err)
{
    if (step != ASYNC_DONE)
        return true;
    TcBatch *q = &cta->async->batch;
    bool alone = a_overlaps_d(as, mma_of(as->u.mma.idesc, as->u.mma.kind, as->u.mma.cg2).n);
    if ((alone || !joins(q, as)) && !tc_flush(x, cta, err))
        return false;
    if (q->n == 0)
        q->first = *as;
    q->a[q->n] = as->u.mma.a;
    q->b[q->n] = as->u.mma.b;
    q->a_tmem[q->n] = as->u.mma.a_tmem;
    q->n++;
    return !alone || tc_flush(x, cta, err);
}

void tc_scratch_new(Arena *a, TcScratch *s)
{
    s->a = arena_alloc(a, MMA_MAX_M * TC_ROW_BYTES);
    s->b = arena_alloc(a, TC_MAX_N * TC_ROW_BYTES);
    s->panel_a = arena_alloc(a, mma_panel_bytes(MMA_MAX_M, TC_MAX_K));
    s->panel_b = arena_alloc(a, mma_panel_bytes(TC_MAX_N, TC_MAX_K));
    s->keep = arena_new(a, uint32_t, TMEM_LANES * TC_MAX_N);
}

/* ---- Instructions ---- */

typedef struct MmaOpds { /* places of the operands whose position varies */
    int32_t disable, enable, scale;
} MmaOpds;

static MmaOpds find_opds(const ExecCtx *x, const XInsn *in)
{
    MmaOpds o = {-1, -1, -1};
    for (uint32_t k = 4; k < in->ci->n_opd; k++) {
        const CodeOpd *p = opd(x->w, in, k);
        if (p->kind == CO_VALUE && p->n_elems > 1)
            o.disable = (int32_t)k;
        else if (p->kind != CO_NONE && o.enable < 0)
            o.enable = (int32_t)k;
        else if (p->kind != CO_NONE)
            o.scale = (int32_t)k;
    }
    return o;
}

static bool lane_enabled(const ExecCtx *x, const XInsn *in, int32_t k, uint32_t lane)
{
    if (k < 0)
        return true;
    const CodeOpd *o = opd(x->w, in, (uint32_t)k);
    if (o->kind == CO_PRED)
        return opd_pred(x->w, o) >> lane & 1;
    return opd_u32(x, o, lane) != 0;
}

/* Faults on what the operands of an MMA must not be. */
static bool check_mma(ExecCtx *x, const XInsn *in, uint32_t lane, const Async *as)
{
    uint32_t idesc = as->u.mma.idesc, column = as->u.mma.d & 0xffff, d_lane = as->u.mma.d >> 16;
    bool cg2 = as->u.mma.cg2;
    const char *bad = idesc_trouble(idesc, as->u.mma.kind, cg2);
    if (bad)
        return exec_fault(x, in, (int)lane, "instruction descriptor 0x%08x: %s", idesc, bad);
    if (!as->u.mma.a_in_tmem && (bad = sdesc_trouble(as->u.mma.a)))
        return exec_fault(x, in, (int)lane, "matrix descriptor of A 0x%016llx: %s",
                          (unsigned long long)as->u.mma.a, bad);
    if ((bad = sdesc_trouble(as->u.mma.b)))
        return exec_fault(x, in, (int)lane, "matrix descriptor of B 0x%016llx: %s",
                          (unsigned long long)as->u.mma.b, bad);
    Mma t = mma_of(idesc, as->u.mma.kind, cg2);
    uint32_t columns = cg2 && t.m == 128 ? t.n / 2 : t.n, half = !cg2 && t.m == 64 ? 16 : 0;
    if (d_lane != 0 && d_lane != half)
        return exec_fault(x, in, (int)lane,
                          "D starts at TMEM lane %u; an accumulator with M = %u starts at lane 0%s",
                          d_lane, t.m, half ? " or 16" : "");
    for (uint32_t c = 0; c < (cg2 ? 2u : 1u); c++) {
        const Cta *owner = cg2 ? cluster_cta(x->cta, (x->cta->rank & ~1u) + c) : x->cta;
        if (!owner)
            return exec_fault(x, in, (int)lane, "cta_group::2 outside a cluster of CTA pairs");
        if (!tmem_owned(owner, column, columns))
            return exec_fault(x, in, (int)lane,
                              "D: tensor memory columns %u..%u are not all allocated", column,
                              column + columns - 1);
        if (as->u.mma.a_in_tmem &&
            !tmem_owned(owner, as->u.mma.a_tmem & 0xffff, TC_SLICE_BYTES / 4))
            return exec_fault(x, in, (int)lane,
                              "A: tensor memory columns from %u are not all allocated",
                              as->u.mma.a_tmem & 0xffff);
    }
    uint32_t a_lane = as->u.mma.a_tmem >> 16;
    if (as->u.mma.a_in_tmem && a_lane != 0 && a_lane != half)
        return exec_fault(x, in, (int)lane, "A starts at TMEM lane %u", a_lane);
    return true;
}

static void emit_mma(ExecCtx *x, const Async *as)
{
    static const uint32_t rate[] = {
        [MV_KIND_F16] = 0, [MV_KIND_TF32] = 3, [MV_KIND_F8F6F4] = 1}; /* FLOP rate classes of op.h
                                                                       */
    Op *o = emit(x, OK_MMA);
    Mma t = mma_of(as->u.mma.idesc, as->u.mma.kind, as->u.mma.cg2);
    o->arg0 = t.m | t.n << 16;
    o->arg1 = (as->u.mma.a_in_tmem ? MMA_A_TMEM : 0u) | (as->u.mma.cg2 ? MMA_CG2 : 0u) |
              rate[as->u.mma.kind] << MMA_RATE_SHIFT;
    o->waves = TC_SLICE_BYTES;
    o->handle = as->handle;
    if (as->u.mma.cg2)
        o->flags |= OPF_PAIR;
}

static bool dyn_mma(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Warp *w = x->w;
    MmaOpds places = find_opds(x, in);
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m);
        const CodeOpd *a = opd(w, in, 1);
        Async *as = start_async(x, in, mma_async);
        if (!as)
            return false;
        as->u.mma.d = (uint32_t)opd_addr(w, opd(w, in, 0), lane);
        as->u.mma.a_in_tmem = a->kind == CO_MEM;
        if (as->u.mma.a_in_tmem)
            as->u.mma.a_tmem = (uint32_t)opd_addr(w, a, lane);
        else
            as->u.mma.a = opd_u64(w, a, lane);
        as->u.mma.b = opd_u64(w, opd(w, in, 2), lane);
        as->u.mma.idesc = opd_u32(x, opd(w, in, 3), lane);
        as->u.mma.kind = in->ci->mod[MC_KIND];
        as->u.mma.cg2 = in->ci->mod[MC_CG] == MV_CG_TWO;
        as->u.mma.accumulate = lane_enabled(x, in, places.enable, lane);
        if (places.scale >= 0)
            as->u.mma.scale_shift = (uint8_t)opd_u32(x, opd(w, in, (uint32_t)places.scale), lane);
        for (uint32_t e = 0; places.disable >= 0 && e < (as->u.mma.cg2 ? 8u : 4u); e++)
            as->u.mma.disable[e] = opd_elem(x, opd(w, in, (uint32_t)places.disable), e, lane);
        if (!check_mma(x, in, lane, as))
            return false;
        emit_mma(x, as);
    }
    return true;
}

bool exec_tcgen05_mma(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    uint8_t kind = in->mod[MC_KIND];
    out->dyn = dyn_mma;
    return kind == MV_KIND_F16 || kind == MV_KIND_TF32 || kind == MV_KIND_F8F6F4;
}

static bool commit_async(Exec *x, Cta *cta, Async *as, AsyncStep step, Err *err)
{
    (void)as;
    return step != ASYNC_DONE || tc_flush(x, cta, err);
}

/* tcgen05.commit [mbar]{, ctaMask} */
static bool dyn_commit(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Warp *w = x->w;
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m);
        Cta *owner;
        uint64_t addr = opd_shared(x, opd(w, in, 0), lane);
        if (!shared_at(x, in, (int)lane, addr, 8, 8, &owner))
            return false;
        Async *as = start_async(x, in, commit_async);
        if (!as)
            return false;
        Op *o = emit(x, OK_COMMIT);
        o->sync = own_shared(owner, (uint32_t)addr & 0xffffff);
        o->handle = as->handle;
        if (owner != x->cta)
            o->flags |= OPF_REMOTE;
        if (in->ci->mod[MC_MCAST]) {
            o->flags |= OPF_PAIR;
            o->arg1 = opd_u32(x, opd(w, in, 1), lane) & 0xffff;
        }
    }
    return true;
}

bool exec_tcgen05_commit(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    (void)in;
    out->dyn = dyn_commit;
    return true;
}
