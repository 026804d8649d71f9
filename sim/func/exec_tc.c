/* tcgen05.mma and tcgen05.commit: MMAs gathered into batches and handed to mma.h.
 *
 * An MMA captures its operands at issue. When the driver says that it is done, it only joins a
 * batch: MMAs on the same D with further slices of K. tc_flush performs the batch as one product,
 * before anybody can look: at a commit, before a tcgen05.ld/st/cp/shift, before TMA writes shared
 * memory, before an MMA that does not fit the batch.
 *
 * cta_group::2 runs on the issuing CTA's queue: each CTA of the pair supplies its rows of A and
 * half of the rows of B from its own memory and keeps its rows of D. Not here: .sp, .ws, .ashift.
 * Source: PTX ISA 9.7.16; research/ptx.md 3.2, 3.3, 3.18. */
#include "sim/func/tc.h"

/* ---- Performing a batch ---- */

typedef struct Work { /* of one batch */
    Exec *x;
    const MmaOps *ops;
    TcBatch *q;
    TcScratch *s;
    Mma t;
    MmaMode mode;
    Cta *pair[2];
    uint32_t n_ctas, k;
} Work;

static Work work_of(Exec *x, Cta *cta)
{
    TcBatch *q = &cta->async->batch;
    bool cg2 = q->first.u.mma.cg2;
    Work w = {.x = x,
              .ops = mma_ops_for(x->isa),
              .q = q,
              .s = cta->async->scratch,
              .t = mma_of(q->first.u.mma.idesc, q->first.u.mma.kind, q->first.u.mma.svec, cg2),
              .pair = {cta, cta},
              .n_ctas = cg2 ? 2 : 1};
    /* Integers are exact in fp32 sums. */
    w.mode = x->desc.mma_hw && !w.t.is_int ? MMA_HW : MMA_FP32;
    w.k = q->n * w.t.slice_k;
    if (cg2) {
        w.pair[0] = cluster_cta(cta, cta->rank & ~1u);
        w.pair[1] = cluster_cta(cta, cta->rank | 1u);
    }
    return w;
}

static bool layout_b(const Work *w)
{
    return w->n_ctas == 2 && w->t.m == 128;
}

static MmaScale scale_of(const Work *w, const uint8_t *code)
{
    return (MmaScale){.code = w->t.vec ? code : NULL,
                      .type = (NumType)w->t.scale_type,
                      .vec = w->t.vec,
                      .grouped = w->t.elem_bits == 4};
}

/* Columns [n0, n0 + n) of D of one CTA. */
static void multiply(const Work *w, const MmaPanel *a, const MmaPanel *b, uint32_t n0, uint32_t n,
                     const uint8_t *lane16, uint32_t *d)
{
    const Async *f = &w->q->first;
    MmaDesc desc = {
        .mode = w->mode,
        .m = w->t.rows,
        .n = n,
        .n0 = n0,
        .k = w->k,
        .k_step = w->t.slice_k,
        .align_bits = w->t.elem_bits == 4 ? 35 : 25,
        .frac_bits = 23,
        .accumulate = f->u.mma.accumulate,
        .d_f16 = w->t.d_f16,
        .scale_d = f->u.mma.scale_shift,
        .d_stride = TMEM_LANES,
        .lane16 = lane16,
    };
    if (w->t.is_int)
        mma_run_int(w->ops, &desc, a, b, d, w->s->sums, w->t.saturate);
    else
        mma_run(w->ops, &desc, a, b, d);
}

static const char *pack_a(const Work *w, Cta *c, uint32_t a_lane, MmaPanel *a)
{
    MmaSource src;
    if (!source_a(c, w->q, &w->t, a_lane, w->s->a, &src))
        return "A reaches beyond the CTA's shared memory";
    src.scale = scale_of(w, w->s->sfa);
    if (src.scale.code && !gather_scales(c, w->q, &w->t, true, w->s->sfa))
        return "the scale factors of A are not the same in all quarters of the lanes";
    mma_panel_init(a, w->s->panel_a, w->t.rows, w->k);
    mma_pack_a(w->ops, a, &src, w->mode);
    return NULL;
}

/* The rows of B are those of both CTAs, but each takes scale factors from its own tensor memory. */
static const char *pack_b(const Work *w, uint32_t c, MmaPanel *b)
{
    MmaSource src;
    if (c > 0 && !w->t.vec)
        return NULL; /* packed already */
    if (!source_b(w->pair, w->n_ctas, w->q, &w->t, w->s->b, &src))
        return "B reaches beyond the CTA's shared memory";
    src.scale = scale_of(w, w->s->sfb);
    if (src.scale.code && !gather_scales(w->pair[c], w->q, &w->t, false, w->s->sfb))
        return "the scale factors of B are not the same in all quarters of the lanes that need "
               "them";
    mma_panel_init(b, w->s->panel_b, w->t.n, w->k);
    mma_pack_b(w->ops, b, &src, w->mode);
    return NULL;
}

/* D of one CTA. In layout B lanes 64 to 127 hold columns N/2 and up of the same rows, and multiply
 * the copy of A that is in their own lanes. */
static const char *product(const Work *w, Cta *c, const MmaPanel *b)
{
    static const uint8_t upper_half[4] = {4, 5, 6, 7};
    const Async *f = &w->q->first;
    uint32_t column = f->u.mma.d & 0x1ff, half = w->t.n / 2, a_lane = f->u.mma.a_tmem >> 16;
    uint32_t(*d)[TMEM_LANES] = c->tmem + column;
    MmaPanel a;
    const char *bad = pack_a(w, c, a_lane, &a);
    if (bad)
        return bad;
    if (!layout_b(w)) {
        const uint8_t *lane16 = w->t.rows == 64 ? mma_lanes_m64 : mma_lanes_straight;
        multiply(w, &a, b, 0, w->t.n, lane16, &d[0][f->u.mma.d >> 16]);
        return NULL;
    }
    multiply(w, &a, b, 0, half, mma_lanes_straight, &d[0][0]);
    bad = f->u.mma.a_in_tmem ? pack_a(w, c, a_lane + 64, &a) : NULL;
    if (!bad)
        multiply(w, &a, b, half, half, upper_half, &d[0][0]);
    return bad;
}

static bool is_masked(const uint32_t disable[4])
{
    return (disable[0] | disable[1] | disable[2] | disable[3]) != 0;
}

/* The same, with the lanes of `disable` put back afterwards. */
static const char *product_masked(const Work *w, Cta *c, const MmaPanel *b,
                                  const uint32_t disable[4])
{
    uint32_t columns = layout_b(w) ? w->t.n / 2 : w->t.n;
    uint32_t *keep = w->s->keep, (*d)[TMEM_LANES] = c->tmem + (w->q->first.u.mma.d & 0x1ff);
    if (!is_masked(disable))
        return product(w, c, b);
    memcpy(keep, d, columns * sizeof *d);
    const char *bad = product(w, c, b);
    for (uint32_t j = 0; j < columns; j++)
        for (uint32_t lane = 0; lane < TMEM_LANES; lane++)
            if (disable[lane / 32] >> lane % 32 & 1)
                d[j][lane] = keep[j * TMEM_LANES + lane];
    return bad;
}

static bool perform(Exec *x, Cta *cta, Err *err)
{
    Work w = work_of(x, cta);
    const TcBatch *q = w.q;
    const char *bad = NULL;
    MmaPanel b;
    for (uint32_t c = 0; c < w.n_ctas && !bad; c++) {
        bad = pack_b(&w, c, &b);
        bad = bad ? bad : product_masked(&w, w.pair[c], &b, q->first.u.mma.disable + 4 * c);
    }
    w.q->n = 0;
    Matrix ma = matrix_of(q->a[0]), mb = matrix_of(q->b[0]);
    return !bad ||
           async_fault(x, cta, &q->first, err,
                       "tcgen05.mma: %s (A at shared offset 0x%x, B at 0x%x; the CTA has %u bytes)",
                       bad, ma.start, mb.start, cta->shared_bytes);
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

/* Bits of an instruction descriptor that all MMAs of a batch share: not those that name the byte
 * of the scale factors. */
static uint32_t shared_bits(const Async *as)
{
    uint64_t i = as->u.mma.idesc;
    if (kind_is_scaled(as->u.mma.kind)) {
        idesc_scaled_set_sfa_id(&i, 0);
        idesc_scaled_set_sfb_id(&i, 0);
    }
    return (uint32_t)i;
}

/* Whether the MMA may join the open batch: same D and shapes, one more slice of K. */
static bool joins(const TcBatch *q, const Async *as, const Mma *t)
{
    const Async *f = &q->first;
    return q->n > 0 && q->n < TC_MAX_SLICES && (q->n + 1) * t->slice_k <= TC_MAX_K &&
           as->u.mma.d == f->u.mma.d && shared_bits(as) == shared_bits(f) &&
           as->u.mma.kind == f->u.mma.kind && as->u.mma.svec == f->u.mma.svec &&
           as->u.mma.cg2 == f->u.mma.cg2 && as->u.mma.a_in_tmem == f->u.mma.a_in_tmem &&
           as->u.mma.a_tmem >> 16 == f->u.mma.a_tmem >> 16 && as->u.mma.accumulate &&
           as->u.mma.scale_shift == 0 && !t->saturate &&
           memcmp(as->u.mma.disable, f->u.mma.disable, sizeof f->u.mma.disable) == 0;
}

static bool overlap(uint32_t a, uint32_t n_a, uint32_t b, uint32_t n_b)
{
    return a < b + n_b && b < a + n_a;
}

/* Whether something that it reads from tensor memory overlaps D: then each MMA must see what the
 * one before has written. */
static bool reads_d(const Async *as, const Mma *t)
{
    uint32_t d = as->u.mma.d & 0x1ff;
    if (as->u.mma.a_in_tmem && overlap(as->u.mma.a_tmem & 0x1ff, TC_SLICE_BYTES / 4, d, t->n))
        return true;
    return t->vec && (overlap(as->u.mma.sfa & 0x1ff, TMEM_LANES / 32, d, t->n) ||
                      overlap(as->u.mma.sfb & 0x1ff, TC_MAX_N / 32, d, t->n));
}

static bool mma_async(Exec *x, Cta *cta, Async *as, AsyncStep step, Err *err)
{
    if (step != ASYNC_DONE)
        return true;
    TcBatch *q = &cta->async->batch;
    Mma t = mma_of(as->u.mma.idesc, as->u.mma.kind, as->u.mma.svec, as->u.mma.cg2);
    bool alone = reads_d(as, &t);
    if ((alone || !joins(q, as, &t)) && !tc_flush(x, cta, err))
        return false;
    if (q->n == 0)
        q->first = *as;
    q->a[q->n] = as->u.mma.a;
    q->b[q->n] = as->u.mma.b;
    q->a_tmem[q->n] = as->u.mma.a_tmem;
    q->sfa[q->n] = as->u.mma.sfa;
    q->sfb[q->n] = as->u.mma.sfb;
    q->sfa_id[q->n] = (uint8_t)t.sfa_id;
    q->sfb_id[q->n] = (uint8_t)t.sfb_id;
    q->n++;
    return !alone || tc_flush(x, cta, err);
}

TcScratch *tc_scratch_new(Arena *a)
{
    TcScratch *s = arena_new(a, TcScratch, 1);
    s->a = arena_alloc(a, MMA_MAX_M * TC_ROW_BYTES);
    s->b = arena_alloc(a, TC_MAX_N * TC_ROW_BYTES);
    s->panel_a = arena_alloc(a, mma_panel_bytes(MMA_MAX_M, TC_MAX_K));
    s->panel_b = arena_alloc(a, mma_panel_bytes(TC_MAX_N, TC_MAX_K));
    s->keep = arena_new(a, uint32_t, TMEM_LANES * TC_MAX_N);
    s->sums = arena_new(a, uint32_t, TMEM_LANES * TC_MAX_N);
    s->sfa = arena_alloc(a, MMA_MAX_M * (TC_MAX_K / 16));
    s->sfb = arena_alloc(a, TC_MAX_N * (TC_MAX_K / 16));
    return s;
}

/* ---- Instructions ---- */

typedef struct MmaOpds { /* places of the operands whose position varies; -1: none */
    int32_t disable, enable, scale, sfa;
} MmaOpds;

static MmaOpds find_opds(const ExecCtx *x, const XInsn *in)
{
    MmaOpds o = {-1, -1, -1, -1};
    for (uint32_t k = 4; k < in->ci->n_opd; k++) {
        const CodeOpd *p = opd(x->w, in, k);
        if (p->kind == CO_MEM)
            o.sfa = o.sfa < 0 ? (int32_t)k : o.sfa; /* sfb follows */
        else if (p->kind == CO_VALUE && p->n_elems > 1)
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

static bool check_shared(ExecCtx *x, const XInsn *in, uint32_t lane, const Async *as, const Mma *t,
                         bool is_a)
{
    uint64_t d = is_a ? as->u.mma.a : as->u.mma.b;
    Matrix m = matrix_of(d);
    const char *bad = sdesc_trouble(d);
    bad = bad ? bad : layout_trouble(&m, t, is_a);
    return !bad || exec_fault(x, in, (int)lane, "matrix descriptor of %s 0x%016llx: %s",
                              is_a ? "A" : "B", (unsigned long long)d, bad);
}

/* Columns of tensor memory that the MMA touches in one CTA. */
static bool check_columns(ExecCtx *x, const XInsn *in, uint32_t lane, const Async *as, const Mma *t,
                          const Cta *owner)
{
    bool b = as->u.mma.cg2 && t->m == 128;
    const struct {
        const char *what;
        uint32_t addr, n;
    } part[] = {
        {"D", as->u.mma.d, b ? t->n / 2 : t->n},
        {"A", as->u.mma.a_tmem, as->u.mma.a_in_tmem ? TC_SLICE_BYTES / 4 : 0},
        {"scale factors of A", as->u.mma.sfa, t->vec ? (t->rows + 31) / 32 : 0},
        {"scale factors of B", as->u.mma.sfb, t->vec ? ((b ? t->n / 2 : t->n) + 31) / 32 : 0},
    };
    for (uint32_t i = 0; i < sizeof part / sizeof *part; i++) {
        uint32_t column = part[i].addr & 0xffff;
        if (part[i].n && !tmem_owned(owner, column, part[i].n))
            return exec_fault(x, in, (int)lane,
                              "%s: tensor memory columns %u..%u are not all allocated",
                              part[i].what, column, column + part[i].n - 1);
    }
    /* Bits 30 and 31 are CuTe's byte index, which the instruction descriptor repeats. */
    if (t->vec && ((as->u.mma.sfa | as->u.mma.sfb) >> 16 & 0x7f))
        return exec_fault(x, in, (int)lane, "scale factors must start at TMEM lane 0");
    return true;
}

/* Faults on what the operands of an MMA must not be. */
static bool check_mma(ExecCtx *x, const XInsn *in, uint32_t lane, const Async *as)
{
    uint32_t idesc = as->u.mma.idesc, d_lane = as->u.mma.d >> 16, a_lane = as->u.mma.a_tmem >> 16;
    bool cg2 = as->u.mma.cg2;
    const char *bad = idesc_trouble(idesc, as->u.mma.kind, as->u.mma.svec, cg2);
    if (bad)
        return exec_fault(x, in, (int)lane, "instruction descriptor 0x%08x: %s", idesc, bad);
    Mma t = mma_of(idesc, as->u.mma.kind, as->u.mma.svec, cg2);
    if (!as->u.mma.a_in_tmem && !check_shared(x, in, lane, as, &t, true))
        return false;
    if (as->u.mma.a_in_tmem && t.a_mn)
        return exec_fault(x, in, (int)lane, "A in tensor memory cannot be transposed (bit 15)");
    if (!check_shared(x, in, lane, as, &t, false))
        return false;
    uint32_t half = !cg2 && t.m == 64 ? 16 : 0;
    if (d_lane != 0 && d_lane != half)
        return exec_fault(x, in, (int)lane,
                          "D starts at TMEM lane %u; an accumulator with M = %u starts at lane 0%s",
                          d_lane, t.m, half ? " or 16" : "");
    for (uint32_t c = 0; c < (cg2 ? 2u : 1u); c++) {
        const Cta *owner = cg2 ? cluster_cta(x->cta, (x->cta->rank & ~1u) + c) : x->cta;
        if (!owner)
            return exec_fault(x, in, (int)lane, "cta_group::2 outside a cluster of CTA pairs");
        if (!check_columns(x, in, lane, as, &t, owner))
            return false;
    }
    if (as->u.mma.a_in_tmem && a_lane != d_lane)
        return exec_fault(x, in, (int)lane, "A starts at TMEM lane %u, D at %u", a_lane, d_lane);
    return true;
}

static void emit_mma(ExecCtx *x, const Async *as)
{
    static const uint32_t rate[] = {
        [MV_KIND_F16] = RATE_F16,   [MV_KIND_TF32] = RATE_TF32,  [MV_KIND_F8F6F4] = RATE_8,
        [MV_KIND_I8] = RATE_I8,     [MV_KIND_MXF8F6F4] = RATE_8, [MV_KIND_MXF4] = RATE_4,
        [MV_KIND_MXF4NVF4] = RATE_4};
    Op *o = emit(x, OK_MMA);
    Mma t = mma_of(as->u.mma.idesc, as->u.mma.kind, as->u.mma.svec, as->u.mma.cg2);
    o->arg0 = t.m | t.n << 16;
    o->arg1 = (as->u.mma.a_in_tmem ? MMA_A_TMEM : 0u) | (as->u.mma.cg2 ? MMA_CG2 : 0u) |
              (t.vec ? MMA_SCALED : 0u) | rate[as->u.mma.kind] << MMA_RATE_SHIFT;
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
        as->u.mma.svec = in->ci->mod[MC_SVEC];
        as->u.mma.cg2 = in->ci->mod[MC_CG] == MV_CG_TWO;
        as->u.mma.accumulate = lane_enabled(x, in, places.enable, lane);
        if (places.sfa >= 0) {
            as->u.mma.sfa = (uint32_t)opd_addr(w, opd(w, in, (uint32_t)places.sfa), lane);
            as->u.mma.sfb = (uint32_t)opd_addr(w, opd(w, in, (uint32_t)places.sfa + 1), lane);
        }
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

BIND_DYN(tcgen05_mma, dyn_mma)
BIND_DYN(tcgen05_mma_scaled, dyn_mma)

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

BIND_DYN(tcgen05_commit, dyn_commit)
