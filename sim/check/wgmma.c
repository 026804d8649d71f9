/* wgmma: what a warp's quarter reads of shared memory until its group is waited for, and the
 * registers of D and A in between. A quarter is 16 rows of A and every fourth 8 rows of B; the four
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

static void in_flight(Checker *k, uint32_t warp, uint32_t insn, const char *what)
{
    Finding *f = finding_add(k, FK_WGMMA, warp, insn);
    finding_detail(k, f,
                   "a register of %s of a wgmma.mma_async that wgmma.wait_group has not yet "
                   "waited for",
                   what);
}

/* Registers of D or A: nothing else may have written them since the last wgmma.fence. */
static void use_reg(Checker *k, const Act *a, int32_t reg, bool is_d)
{
    WarpCheck *w = &k->warps[a->warp];
    WgReg *r = &w->wg[reg];
    if (r->written > w->wg_fences && w->wg_fences)
        finding_detail(k, finding_pair(k, FK_WGMMA_FENCE, a->warp, a->insn, a->warp, r->insn),
                       "a register of %s is written with no wgmma.fence between", is_d ? "D" : "A");
    if (!is_d && r->d)
        in_flight(k, a->warp, a->insn, "D");
    w->n_flying += !r->d && !r->a;
    *(is_d ? &r->d : &r->a) = a->epoch;
}

static void use_regs(Checker *k, const Act *a)
{
    const InsnInfo *ii = &k->info[a->insn];
    const int32_t *regs = k->wg_regs + ii->regs;
    if (!k->warps[a->warp].wg_fences)
        finding_detail(k, finding_add(k, FK_WGMMA_FENCE, a->warp, a->insn),
                       "no wgmma.fence before the first wgmma.mma_async");
    for (uint32_t i = 0; i < ii->n_rsrc; i++)
        use_reg(k, a, regs[i], false);
    for (uint32_t i = 0; i < ii->n_rdst; i++)
        use_reg(k, a, regs[ii->n_rsrc + i], true);
}

void wgmma_issued(Checker *k, const ExecCtx *x, const XInsn *in)
{
    const Code *c = k->l.code;
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
    use_regs(k, &a);
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
    for (uint32_t i = 0; w->n_flying && i < k->l.code->func->n_regs; i++) {
        WgReg *r = &w->wg[i];
        bool was = r->d || r->a;
        r->d = r->d <= w->clk[agent] ? 0 : r->d;
        r->a = r->a <= w->clk[agent] ? 0 : r->a;
        w->n_flying -= was && !r->d && !r->a;
    }
}

void wgmma_regs(Checker *k, const Warp *warp, const XInsn *in, const InsnInfo *ii)
{
    WarpCheck *w = warp_check(k, warp);
    const int32_t *regs = k->wg_regs + ii->regs;
    uint32_t insn = (uint32_t)(in - k->x->insns);
    for (uint32_t i = 0; w->n_flying && i < ii->n_rsrc; i++)
        if (w->wg[regs[i]].d)
            in_flight(k, warp_index(k, w), insn, "D");
    for (uint32_t i = 0; i < ii->n_rdst; i++) {
        WgReg *r = &w->wg[regs[ii->n_rsrc + i]];
        if (r->d || r->a)
            in_flight(k, warp_index(k, w), insn, r->d ? "D" : "A");
        r->written = w->wg_fences + 1;
        r->insn = insn;
    }
}

/* ---- The registers of each instruction ---- */

/* Those of the PTX: slots of Code serve several registers, one after the other. */
static uint16_t put_regs(const Module *m, const Operand *o, int32_t *out)
{
    uint16_t n = 0;
    if ((o->kind == OPD_REG || o->kind == OPD_MEM) && o->reg >= 0)
        out[n++] = o->reg;
    for (uint32_t i = 0; o->kind == OPD_VEC && i < o->n; i++)
        if (m->elems[o->first + i].kind == OPD_REG)
            out[n++] = m->elems[o->first + i].reg;
    return n;
}

static void list_regs(const Checker *k, InsnInfo *ii, const Insn *in, int32_t *out)
{
    const Module *m = k->l.code->module;
    const Form *f = &m->forms->form[in->op];
    for (uint32_t i = 0; i < in->n_opd; i++) /* of a wgmma, the fragments only */
        if (ii->cls == CL_WGMMA ? i == 1 && in->opd[i].kind == OPD_VEC
                                : f->opd[i].is_src || in->opd[i].kind == OPD_MEM)
            ii->n_rsrc = (uint16_t)(ii->n_rsrc + put_regs(m, &in->opd[i], out + ii->n_rsrc));
    for (uint32_t i = 0; i < in->n_opd; i++)
        if (ii->cls == CL_WGMMA ? i == 0 : f->opd[i].is_dst && in->opd[i].kind != OPD_MEM)
            ii->n_rdst =
                (uint16_t)(ii->n_rdst + put_regs(m, &in->opd[i], out + ii->n_rsrc + ii->n_rdst));
}

void wgmma_table(Checker *k)
{
    const Code *c = k->l.code;
    bool any = false;
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n_insns; i++)
        any |= k->info[i].cls == CL_WGMMA;
    if (!any || !c->module->forms)
        return;
    for (uint32_t i = 0; i < c->n_insns; i++)
        for (uint32_t j = 0; j < c->func->insns[c->insns[i].ptx].n_opd; j++)
            n += 2u * (1u + c->func->insns[c->insns[i].ptx].opd[j].n);
    k->wg_regs = arena_new(&k->root->launch, int32_t, n + 1);
    n = 0;
    for (uint32_t i = 0; i < c->n_insns; i++) {
        InsnInfo *ii = &k->info[i];
        ii->regs = n;
        list_regs(k, ii, &c->func->insns[c->insns[i].ptx], k->wg_regs + n);
        n += ii->n_rsrc + ii->n_rdst;
    }
    for (uint32_t i = 0; i < k->all_warps; i++)
        k->warps[i].wg = arena_new(&k->root->launch, WgReg, c->func->n_regs + 1);
}
