/* Moves, packing, special registers, address windows. PTX ISA "Data Movement and Conversion
 * Instructions", "Special Registers". */
#include "sim/func/exec_decl.h"
#include "sim/func/vec.h"

static bool bind(PlainFn *fn, Bound *out)
{
    out->plain = fn;
    return fn != NULL;
}

static const CodeOpd *code_opd(const Code *c, const CodeInsn *in, uint32_t k)
{
    return &c->opds[in->opd + k];
}

/* ---- Special registers ---- */

static uint32_t cluster_pos(const Cta *c, uint32_t axis)
{
    return c->ctaid[axis] % c->exec->desc.cluster[axis];
}

/* Those that are the same for all threads of the CTA. */
static uint64_t cta_sreg(const Cta *c, Sreg s)
{
    const ExecDesc *d = &c->exec->desc;
    switch (s) {
    case SR_NTID_X:
    case SR_NTID_Y:
    case SR_NTID_Z:
        return d->block[s - SR_NTID_X];
    case SR_CTAID_X:
    case SR_CTAID_Y:
    case SR_CTAID_Z:
        return c->ctaid[s - SR_CTAID_X];
    case SR_NCTAID_X:
    case SR_NCTAID_Y:
    case SR_NCTAID_Z:
        return d->grid[s - SR_NCTAID_X];
    case SR_CLUSTERID_X:
    case SR_CLUSTERID_Y:
    case SR_CLUSTERID_Z:
        return c->ctaid[s - SR_CLUSTERID_X] / d->cluster[s - SR_CLUSTERID_X];
    case SR_NCLUSTERID_X:
    case SR_NCLUSTERID_Y:
    case SR_NCLUSTERID_Z:
        return d->grid[s - SR_NCLUSTERID_X] / d->cluster[s - SR_NCLUSTERID_X];
    case SR_CLUSTER_CTAID_X:
    case SR_CLUSTER_CTAID_Y:
    case SR_CLUSTER_CTAID_Z:
        return cluster_pos(c, s - SR_CLUSTER_CTAID_X);
    case SR_CLUSTER_NCTAID_X:
    case SR_CLUSTER_NCTAID_Y:
    case SR_CLUSTER_NCTAID_Z:
        return d->cluster[s - SR_CLUSTER_NCTAID_X];
    case SR_CLUSTER_CTARANK:
        return c->rank;
    case SR_CLUSTER_NCTARANK:
        return c->exec->cluster_ctas;
    case SR_IS_EXPLICIT_CLUSTER:
        return c->exec->cluster_ctas > 1;
    case SR_NWARPID:
        return c->exec->front.n_warps;
    case SR_SMID:
        return c->sm;
    case SR_NSMID:
        return d->n_sms;
    case SR_DYNAMIC_SMEM_SIZE:
        return d->dynamic_shared;
    case SR_TOTAL_SMEM_SIZE:
        return c->exec->static_shared + d->dynamic_shared;
    case SR_AGGR_SMEM_SIZE:
        return c->shared_bytes; /* with the reserved first KiB */
    case SR_ENVREG1:
        return d->workspace >> 32;
    case SR_ENVREG2:
        return d->workspace & UINT32_MAX;
    default:
        return 0; /* %gridid: one grid */
    }
}

static uint32_t lane_sreg(const Warp *w, Sreg s, uint32_t lane)
{
    uint32_t bit = 1u << lane, below = bit - 1;
    switch (s) {
    case SR_TID_X:
    case SR_TID_Y:
    case SR_TID_Z:
        return w->tid[s - SR_TID_X][lane];
    case SR_LANEID:
        return lane;
    case SR_WARPID:
        return w->id;
    case SR_LANEMASK_EQ:
        return bit;
    case SR_LANEMASK_LE:
        return below | bit;
    case SR_LANEMASK_LT:
        return below;
    case SR_LANEMASK_GE:
        return ~below;
    case SR_LANEMASK_GT:
        return ~(below | bit);
    default:
        return 0;
    }
}

static bool is_lane_sreg(Sreg s)
{
    return s <= SR_TID_Z || s == SR_LANEID || s == SR_WARPID ||
           (s >= SR_LANEMASK_EQ && s <= SR_LANEMASK_GT);
}

static void put(const Warp *w, const XInsn *in, uint32_t mask, uint64_t v)
{
    for (uint32_t k = 0; k < in->n_rows; k++)
        for (uint32_t i = 0; i < WARP; i++)
            if (mask >> i & 1)
                row(w, in->row[k])[i] = k < 2 ? (uint32_t)(v >> 32 * k) : 0;
}

static void mov_lane_sreg(Warp *w, const XInsn *in, uint32_t mask)
{
    uint32_t *d = row(w, in->row[0]);
    for (uint32_t i = 0; i < WARP; i++)
        if (mask >> i & 1)
            d[i] = lane_sreg(w, (Sreg)in->imm, i);
    if (in->n_rows > 1)
        for (uint32_t i = 0; i < WARP; i++)
            if (mask >> i & 1)
                row(w, in->row[1])[i] = 0;
}

static void mov_cta_sreg(Warp *w, const XInsn *in, uint32_t mask)
{
    put(w, in, mask, cta_sreg(w->cta, (Sreg)in->imm));
}

/* Without time both count instructions of the warp's cluster, %globaltimer at the chip's clock. */
static bool mov_clock(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    bool high = in->imm == SR_CLOCK_HI || in->imm == SR_GLOBALTIMER_HI;
    uint64_t t = x->now;
    if (in->imm >= SR_GLOBALTIMER && x->exec->desc.clock_ghz > 0)
        t = (uint64_t)((double)t / x->exec->desc.clock_ghz);
    put(x->w, in, mask, high ? t >> 32 : t);
    return true;
}

static bool bind_sreg(Sreg s, Bound *out)
{
    if (s >= SR_CLOCK && s <= SR_GLOBALTIMER_HI) {
        out->dyn = mov_clock;
        return true;
    }
    return bind(is_lane_sreg(s) ? mov_lane_sreg : mov_cta_sreg, out);
}

/* ---- Moves ---- */

bool exec_mov(const Code *c, const CodeInsn *in, Bound *out)
{
    const CodeOpd *d = code_opd(c, in, 0), *a = code_opd(c, in, 1);
    if (a->kind == CO_SREG)
        return bind_sreg((Sreg)a->imm, out);
    if (d->kind != CO_VALUE || a->kind != CO_VALUE || d->n != a->n)
        return false;
    const VecMoves *m = &vec_fns(out->isa)->m;
    return bind(d->n == 1 ? m->mov32 : d->n == 2 ? m->mov64 : d->n == 4 ? m->mov128 : NULL, out);
}

/* Elements of a vector operand narrower than 32 bits, one slot each, against a value of 1, 2 or 4
 * slots. */
typedef struct Packing {
    const CodeOpd *scalar, *vec;
    uint32_t bits; /* of an element */
} Packing;

static Packing packing(const Warp *w, const XInsn *in, uint32_t scalar_at)
{
    Packing p = {opd(w, in, scalar_at), opd(w, in, 1 - scalar_at), 0};
    p.bits = (uint32_t)type_info[in->ci->type[0]].bits / p.vec->n_elems;
    return p;
}

static uint32_t low_bits(uint32_t v, uint32_t bits)
{
    return bits >= 32 ? v : v & ((1u << bits) - 1);
}

/* Reads everything first: a result may lie in the row of an operand. */
static void mov_pack(Warp *w, const XInsn *in, uint32_t mask)
{
    Packing p = packing(w, in, 0);
    for (uint32_t i = 0; i < WARP; i++) {
        uint32_t v[4] = {0};
        for (uint32_t e = 0; e < p.vec->n; e++) {
            uint32_t at = p.bits >= 32 ? e * 32 : e * p.bits;
            v[at / 32] |= low_bits(opd_row(w, p.vec, e)[i], p.bits) << at % 32;
        }
        for (uint32_t k = 0; k < p.scalar->n && (mask >> i & 1); k++)
            opd_row(w, p.scalar, k)[i] = v[k];
    }
}

static void mov_unpack(Warp *w, const XInsn *in, uint32_t mask)
{
    Packing p = packing(w, in, 1);
    for (uint32_t i = 0; i < WARP; i++) {
        uint32_t v[4] = {0};
        for (uint32_t k = 0; k < p.scalar->n; k++)
            v[k] = opd_row(w, p.scalar, k)[i];
        for (uint32_t e = 0; e < p.vec->n && (mask >> i & 1); e++) {
            uint32_t at = p.bits >= 32 ? e * 32 : e * p.bits;
            opd_row(w, p.vec, e)[i] = low_bits(v[at / 32] >> at % 32, p.bits);
        }
    }
}

static bool packs(const Code *c, const CodeInsn *in, uint32_t scalar_at)
{
    const CodeOpd *s = code_opd(c, in, scalar_at), *v = code_opd(c, in, 1 - scalar_at);
    uint32_t bits = v->n_elems ? (uint32_t)type_info[in->type[0]].bits / v->n_elems : 0;
    uint32_t want = bits >= 32 ? v->n_elems * (bits / 32) : v->n_elems;
    return s->n <= 4 && v->n == want && bits >= 8;
}

bool exec_mov_pack(const Code *c, const CodeInsn *in, Bound *out)
{
    return packs(c, in, 0) && bind(mov_pack, out);
}

bool exec_mov_unpack(const Code *c, const CodeInsn *in, Bound *out)
{
    return packs(c, in, 1) && bind(mov_unpack, out);
}

/* ---- Windows of the generic address space (mem.h) ---- */

static uint64_t window(uint8_t ss)
{
    switch (ss) {
    case MV_SS_SHARED:
    case MV_SS_SHARED_CTA:
    case MV_SS_SHARED_CLUSTER:
        return SHARED_WINDOW;
    case MV_SS_LOCAL:
        return LOCAL_WINDOW;
    case MV_SS_PARAM:
    case MV_SS_PARAM_ENTRY:
        return PARAM_WINDOW;
    default:
        return 0; /* .global, .const: addresses are generic already */
    }
}

/* cvta: the address in its space goes under the window; cvta.to: the window is taken away. */
static void move_address(Warp *w, const XInsn *in, uint32_t mask, bool to_space)
{
    const CodeOpd *d = opd(w, in, 0), *a = opd(w, in, 1);
    uint64_t win = window(in->ci->mod[MC_SS]);
    for (uint32_t i = 0; i < WARP; i++) {
        uint64_t v = opd_u64(w, a, i);
        v = to_space ? v - win : v + win;
        for (uint32_t k = 0; k < d->n && (mask >> i & 1); k++)
            opd_row(w, d, k)[i] = (uint32_t)(v >> 32 * k);
    }
}

static void cvta(Warp *w, const XInsn *in, uint32_t mask)
{
    move_address(w, in, mask, false);
}

static void cvta_to(Warp *w, const XInsn *in, uint32_t mask)
{
    move_address(w, in, mask, true);
}

bool exec_cvta(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c, (void)in;
    return bind(cvta, out);
}

bool exec_cvta_to(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c, (void)in;
    return bind(cvta_to, out);
}

static bool in_space(const Cta *c, uint8_t ss, uint64_t addr)
{
    uint64_t cta = SHARED_WINDOW + own_shared(c, 0);
    switch (ss) {
    case MV_SS_SHARED:
    case MV_SS_SHARED_CTA:
        return addr - cta < UINT64_C(1) << 24;
    case MV_SS_SHARED_CLUSTER:
        return addr - SHARED_WINDOW < LOCAL_WINDOW - SHARED_WINDOW;
    case MV_SS_LOCAL:
        return addr - LOCAL_WINDOW < PARAM_WINDOW - LOCAL_WINDOW;
    case MV_SS_PARAM:
    case MV_SS_PARAM_ENTRY:
        return addr - PARAM_WINDOW < GLOBAL_BASE - PARAM_WINDOW;
    case MV_SS_CONST:
        return false; /* constants lie in global memory here */
    default:
        return addr >= GLOBAL_BASE;
    }
}

static void isspacep(Warp *w, const XInsn *in, uint32_t mask)
{
    uint32_t r = 0;
    for (uint32_t i = 0; i < WARP; i++)
        r |= (uint32_t)in_space(w->cta, in->ci->mod[MC_SS], opd_u64(w, opd(w, in, 1), i)) << i;
    set_pred(w, in->pred[0], mask, r);
}

bool exec_isspacep(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c, (void)in;
    return bind(isspacep, out);
}
