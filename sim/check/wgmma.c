/* wgmma: what a warp's quarter reads of shared memory until its group is waited for, and the
 * registers of D in between. A quarter is 16 rows of A and every fourth 8 rows of B; the four
 * warps together read everything. */
#include "sim/check/core.h"
#include "sim/func/tc.h"

enum { GROUP_WARPS = 4, ROWS_A = 16, CHUNK = 16, SWIZZLE_AT = 62 };

typedef struct WgOperand {
    uint64_t desc;
    uint32_t row0, rows, step; /* rows row0.. of each `step` rows, `rows` of them */
    uint32_t total, k, elem_bytes;
    bool mn;
} WgOperand;

/* Hopper's descriptor: bits 62 and 63 are the swizzle. */
static Matrix matrix_of_desc(uint64_t d)
{
    static const Swizzle modes[] = {SWZ_NONE, SWZ_128, SWZ_64, SWZ_32};
    Matrix m = matrix_of(d);
    m.swz = modes[d >> SWIZZLE_AT];
    return m;
}

static void touch(Checker *k, uint32_t rank, const Matrix *d, uint32_t at, const Act *a)
{
    uint32_t addr = (swizzle(at - d->base, d->swz) + d->base) & 0x3ffff;
    Gran *g = shared_gran(k, rank << 24 | addr);
    if (g)
        shadow_touch(k, g, REGION_ALL, a, (Spot){rank, addr / GRANULE, false});
    if (!g || !g->swizzle || g->swizzle - 1 == (int)d->swz)
        return;
    Finding *f = finding_add(k, FK_SWIZZLE, a->warp, a->insn);
    finding_detail(k, f, "the descriptor of the matrix at shared offset 0x%x has another swizzle",
                   d->start);
}

static void visit(Checker *k, uint32_t rank, const WgOperand *o, const Act *a)
{
    static const uint32_t widths[] = {16, 32, 64, 128, 128};
    Matrix d = matrix_of_desc(o->desc);
    uint32_t width = widths[d.swz];
    bool plain = d.swz == SWZ_NONE;
    for (uint32_t base = o->row0; base < o->total; base += o->step)
        for (uint32_t r = base; !o->mn && r < base + o->rows && r < o->total; r++) {
            uint32_t at = d.start + r % 8 * width + r / 8 * d.sbo;
            touch(k, rank, &d, at, a);
            touch(k, rank, &d, at + (plain ? d.lbo : CHUNK), a);
        }
    uint32_t row_step = plain ? d.sbo : d.lbo, k_step = plain ? d.lbo : d.sbo;
    for (uint32_t base = o->row0; o->mn && base < o->total; base += o->step)
        for (uint32_t j = 0; j < o->k; j++)
            for (uint32_t b = base * o->elem_bytes; b < (base + o->rows) * o->elem_bytes;
                 b += CHUNK)
                touch(k, rank, &d,
                      d.start + j % 8 * width + j / 8 * k_step + b % width + b / width * row_step,
                      a);
}

static bool is_one(const Code *c, const CodeInsn *in, uint32_t k)
{
    if (k >= in->n_opd || c->opds[in->opd + k].kind != CO_VALUE)
        return false;
    Slot s = c->slots[c->opds[in->opd + k].first];
    return s < 0 && s != SLOT_SINK && c->consts[-1 - s] == 1;
}

void wgmma_issued(Checker *k, const ExecCtx *x, const XInsn *in)
{
    const Code *c = k->l.code;
    WarpCheck *w = warp_check(k, x->w);
    uint32_t v = in->ci->mod[MC_WSHAPE] - 1u, bytes = 4u >> v / 32, slice = 8u << v / 32;
    bool rs = in->ci->op == OP_WGMMA_RS || in->ci->op == OP_WGMMA_INT_RS;
    bool ints = in->ci->op == OP_WGMMA_INT || in->ci->op == OP_WGMMA_INT_RS;
    uint32_t quarter = x->w->id % GROUP_WARPS;
    Act a = act_async(k, x->w, in, AK_WG, ACC_ASYNC);
    WgOperand left = {.row0 = quarter * ROWS_A, .rows = ROWS_A, .step = 64, .total = 64};
    WgOperand right = {.row0 = quarter * 8, .rows = 8, .step = 32, .total = 8 * (v % 32 + 1)};
    left.k = right.k = slice;
    left.elem_bytes = right.elem_bytes = bytes;
    left.mn = !ints && !rs && is_one(c, in->ci, 6);
    right.mn = !ints && is_one(c, in->ci, rs ? 6 : 7);
    right.desc = opd_u64(x->w, opd(x->w, in, 2), 0);
    if (!rs) {
        left.desc = opd_u64(x->w, opd(x->w, in, 1), 0);
        visit(k, x->cta->rank, &left, &a);
    }
    visit(k, x->cta->rank, &right, &a);
    const CodeOpd *d = opd(x->w, in, 0);
    for (uint32_t j = 0; j < d->n; j++) {
        Slot s = c->slots[d->first + j];
        if (s < 0 || s >= UINT16_MAX)
            continue;
        w->n_flying += !w->flying[s];
        w->flying[s] = a.epoch;
    }
}

void wgmma_commit(Checker *k, WarpCheck *w)
{
    agent_of(k, warp_index(k, w), AK_WG);
    w->time[AK_WG]++;
}

void wgmma_waited(Checker *k, uint32_t warp, const Op *op)
{
    WarpCheck *w = &k->warps[warp];
    uint16_t agent = agent_of(k, warp, AK_WG);
    Epoch open = w->time[AK_WG];
    if (agent == NO_AGENT || open <= op->arg0 + 1)
        return;
    /* The four warps execute a wgmma as one operation, so the quarters of the others are complete
     * too; CUTLASS's PipelineTmaAsync has one thread of the warpgroup give the buffer back. */
    uint32_t in_cta = warp % k->n_warps, first = warp - in_cta % GROUP_WARPS;
    for (uint32_t i = first; i < first + GROUP_WARPS && i < warp - in_cta + k->n_warps; i++) {
        uint16_t quarter = k->warps[i].agent[AK_WG];
        if (quarter && quarter != NO_AGENT && w->clk[quarter] < open - 1 - op->arg0)
            w->clk[quarter] = open - 1 - op->arg0;
    }
    for (uint32_t i = 0; w->n_flying && i <= k->l.code->n_slots; i++)
        if (w->flying[i] && w->flying[i] <= w->clk[agent]) {
            w->flying[i] = 0;
            w->n_flying--;
        }
}

void wgmma_touches(Checker *k, const Warp *warp, const XInsn *in, uint32_t slot)
{
    WarpCheck *w = warp_check(k, warp);
    if (!w->flying[slot])
        return;
    Finding *f = finding_add(k, FK_WGMMA, warp_index(k, w), (uint32_t)(in - k->x->insns));
    finding_detail(k, f,
                   "a register of D of a wgmma.mma_async that wgmma.wait_group has not yet "
                   "waited for");
}
