/* tcgen05: allocation, loads and stores of tensor memory, MMA and commit. */
#include "sim/check/core.h"

enum { LANES_LOW = 1, LANES_HIGH = 2, LANES_BOTH = 3, HALF = 16 };

static uint32_t here(const Checker *k, const XInsn *in)
{
    return (uint32_t)(in - k->x->insns);
}

/* ---- Allocation ---- */

static void check_alloc(Checker *k, const ExecCtx *x, const XInsn *in, CtaCheck *c, uint32_t n)
{
    uint8_t group = in->ci->mod[MC_CG];
    const char *what = NULL;
    if (c->relinquished)
        what = "the CTA has given up its permit to allocate (relinquish_alloc_permit)";
    else if (c->last_alloc && n > c->last_alloc)
        what = "an allocation may not be larger than the one before it";
    else if (c->alloc_group && group != c->alloc_group)
        what = "all tcgen05 instructions of a kernel must have the same .cta_group";
    c->last_alloc = n;
    c->alloc_group = group;
    if (!what)
        return;
    Finding *f = finding_add(k, FK_TMEM_ALLOC, warp_index(k, warp_check(k, x->w)), here(k, in));
    finding_detail(k, f, "%s", what);
}

void tensor_allocated(Checker *k, uint32_t rank, uint32_t warp, const Op *op)
{
    const Cta *cta = &k->x->ctas[rank];
    CtaCheck *c = &k->ctas[rank];
    uint32_t column;
    memcpy(&column, cta->shared + (cta->async->alloc_dst[warp] & 0xffffff), sizeof column);
    for (uint32_t i = 0; i < op->arg0 && column + i < TMEM_COLUMNS; i++) {
        memset(c->tdef[column + i], 0, sizeof c->tdef[0]);
        c->alloc_insn[(column + i) / TMEM_GRANULE] = 1 + k->l.code->ops[op->info].insn;
        c->alloc_warp[(column + i) / TMEM_GRANULE] = rank * k->n_warps + warp;
        for (uint32_t q = 0; q < TM_QUARTERS; q++) /* who had the columns before has freed them */
            c->tmem[(column + i) / TM_COLUMNS * TM_QUARTERS + q].head = 0;
    }
}

static void dealloc(Checker *k, const ExecCtx *x, const XInsn *in, uint32_t mask)
{
    CtaCheck *c = &k->ctas[x->cta->rank];
    uint32_t column = opd_row(x->w, opd(x->w, in, 0), 0)[first_lane(mask)] & 0xffff;
    uint32_t n = opd_row(x->w, opd(x->w, in, 1), 0)[first_lane(mask)];
    Act a = act_warp(k, x->w, in, ACC_WRITE | ACC_FREE);
    if (column + n > TMEM_COLUMNS)
        return;
    for (uint32_t q = 0; q < TM_QUARTERS; q++)
        tmem_touch(k, x->cta->rank, column, n, q, LANES_BOTH, &a);
    for (uint32_t i = column; i < column + n; i++)
        c->alloc_insn[i / TMEM_GRANULE] = 0;
}

/* ---- ld, st ---- */

typedef struct Piece { /* of tensor memory that one warp's ld or st touches */
    uint32_t column, n, quarter, half;
    uint32_t second;  /* distance of a second piece, or 0 */
    bool whole_lanes; /* register r is column r, lane t is thread t */
} Piece;

static Piece piece_of(const ExecCtx *x, const XInsn *in, uint32_t at, uint32_t mask)
{
    static const uint8_t columns[] = {[MV_TSHAPE_S32X32B] = 1,
                                      [MV_TSHAPE_S16X64B] = 2,
                                      [MV_TSHAPE_S16X128B] = 4,
                                      [MV_TSHAPE_S16X256B] = 8,
                                      [MV_TSHAPE_S16X32BX2] = 1};
    uint8_t shape = in->ci->mod[MC_TSHAPE];
    uint32_t lane0 = first_lane(mask),
             a = warp_taddr(x->w, (uint32_t)opd_addr(x->w, opd(x->w, in, at), lane0));
    uint32_t lane = a >> 16 & 127;
    Piece p = {.column = a & 0xffff,
               .n = (uint32_t)columns[shape] << (in->ci->mod[MC_NUM] - MV_NUM_X1),
               .quarter = lane / 32,
               .half = shape == MV_TSHAPE_S32X32B ? LANES_BOTH
                       : lane & HALF              ? LANES_HIGH
                                                  : LANES_LOW};
    if (in->ci->mod[MC_PACK16])
        p.n *= 2;
    if (shape == MV_TSHAPE_S16X32BX2)
        p.second = opd_row(x->w, opd(x->w, in, at + 1), 0)[lane0];
    p.whole_lanes = shape == MV_TSHAPE_S32X32B && !in->ci->mod[MC_PACK16];
    return p;
}

static void touch_piece(Checker *k, uint32_t rank, const Piece *p, const Act *a)
{
    tmem_touch(k, rank, p->column, p->n, p->quarter, p->half, a);
    if (p->second)
        tmem_touch(k, rank, p->column + p->second, p->n, p->quarter, p->half, a);
}

static void ld(Checker *k, const ExecCtx *x, const XInsn *in, uint32_t mask)
{
    WarpCheck *w = warp_check(k, x->w);
    Piece p = piece_of(x, in, 1, mask);
    Act a = act_async(k, x->w, in, AK_TLD, 0);
    const CtaCheck *c = &k->ctas[x->cta->rank];
    const CodeOpd *d = opd(x->w, in, 0);
    touch_piece(k, x->cta->rank, &p, &a);
    for (uint32_t r = 0; r < d->n; r++) {
        Slot s = k->l.code->slots[d->first + r];
        if (s < 0 || s >= UINT16_MAX)
            continue;
        bool known = p.whole_lanes && p.column + r < TMEM_COLUMNS && c->tdef;
        uint32_t lanes = known ? c->tdef[p.column + r][p.quarter] : FULL_MASK;
        defined_set(w, (uint32_t)s, mask, lanes, ORIGIN_TMEM | a.insn);
        w->n_loaded += !w->loaded[s];
        w->loaded[s] = a.epoch;
    }
    w->time[AK_TLD]++;
}

static void st(Checker *k, const ExecCtx *x, const XInsn *in, uint32_t mask)
{
    WarpCheck *w = warp_check(k, x->w);
    Piece p = piece_of(x, in, 0, mask);
    Act a = act_async(k, x->w, in, AK_TST, ACC_WRITE);
    CtaCheck *c = &k->ctas[x->cta->rank];
    const CodeOpd *b = opd(x->w, in, 2);
    touch_piece(k, x->cta->rank, &p, &a);
    for (uint32_t r = 0; c->tdef && p.column + r < TMEM_COLUMNS && r < p.n; r++) {
        uint32_t lanes = FULL_MASK;
        Slot s = p.whole_lanes && r < b->n ? k->l.code->slots[b->first + r] : SLOT_SINK;
        if (s >= 0 && s < UINT16_MAX)
            lanes = w->def[s];
        uint32_t written = p.half == LANES_BOTH  ? FULL_MASK
                           : p.half == LANES_LOW ? 0xffffu
                                                 : 0xffff0000u;
        uint32_t *at = &c->tdef[p.column + r][p.quarter];
        *at = (*at & ~written) | (lanes & written);
        if (p.second && p.column + p.second + r < TMEM_COLUMNS)
            c->tdef[p.column + p.second + r][p.quarter] |= written;
    }
}

void tensor_before(Checker *k, ExecCtx *x, const XInsn *in, const InsnInfo *ii, uint32_t mask)
{
    CtaCheck *c = &k->ctas[x->cta->rank];
    switch (ii->cls) {
    case CL_TMEM_ALLOC:
        check_alloc(k, x, in, c, opd_row(x->w, opd(x->w, in, 1), 0)[first_lane(mask)]);
        break;
    case CL_TMEM_DEALLOC:
        dealloc(k, x, in, mask);
        break;
    case CL_TMEM_RELINQUISH:
        c->relinquished = true;
        break;
    case CL_TMEM_LD:
        ld(k, x, in, mask);
        break;
    case CL_TMEM_ST:
        st(k, x, in, mask);
        break;
    default:
        break;
    }
}

/* ---- commit ---- */

static void commit(Checker *k, const ExecCtx *x, const XInsn *in)
{
    WarpCheck *w = warp_check(k, x->w);
    uint16_t agent = agent_of(k, warp_index(k, w), AK_TC);
    for (uint32_t i = 0; i < x->n_ops; i++) {
        AsyncRec *r = x->ops[i].handle ? async_rec(k, x->cta->rank, x->ops[i].handle) : NULL;
        if (x->ops[i].kind != OK_COMMIT || !r)
            continue;
        r->clk = clock_copy(k, w->clk);
        r->insn = here(k, in);
        if (agent != NO_AGENT)
            r->clk[agent] = w->time[AK_TC];
    }
    w->time[AK_TC]++;
    warp_tick(k, w);
}

void tensor_issued(Checker *k, ExecCtx *x, const XInsn *in, const InsnInfo *ii, uint32_t mask)
{
    (void)mask;
    if (ii->cls == CL_MMA)
        mma_issued(k, x, in);
    if (ii->cls == CL_TMEM_CP)
        cp_issued(k, x, in);
    if (ii->cls == CL_COMMIT)
        commit(k, x, in);
}
