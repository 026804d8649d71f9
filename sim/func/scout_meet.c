/* What the followed code of a warp would arrive at (scout.h). */
#include "sim/func/scout.h"

static void met(Walk *k, Path *p, uint32_t i, const XInsn *in, bool sure, uint8_t how)
{
    ScoutTarget *t = &k->s->targets[i];
    uint8_t m = sure ? MET : MET_MAYBE;
    if (p->met[i] < m)
        p->met[i] = m;
    if (t->insn != OP_NONE && !(t->how & DE_MAY && sure)) /* a sure one is worth more */
        return;
    t->insn = (uint32_t)(in - k->x->insns);
    t->how = (uint8_t)(DE_CODE | how | (sure ? 0 : DE_MAY));
}

/* Notes an mbarrier at which the code arrives or waits. */
static void note_barrier(Scout *s, uint32_t sync, bool waits)
{
    uint32_t i = 0;
    while (i < s->n_barriers && s->barriers[i].sync != sync)
        i++;
    if (i == s->max_barriers)
        return;
    if (i == s->n_barriers)
        s->barriers[s->n_barriers++] = (ScoutBarrier){.sync = sync};
    s->barriers[i].waits |= waits;
    s->barriers[i].arrives |= !waits;
}

static bool is_mbar_wait(const ScoutTarget *t)
{
    return t->kind == OK_MBAR_WAIT || t->kind == OK_MBAR_TEST;
}

static void met_mbar(Walk *k, Path *p, uint32_t sync, const XInsn *in, bool sure, uint8_t how)
{
    note_barrier(k->s, sync, false);
    for (uint32_t i = 0; i < k->s->n_targets; i++)
        if (is_mbar_wait(&k->s->targets[i]) && k->s->targets[i].sync == sync)
            met(k, p, i, in, sure, how);
}

/* All targets of a kind, those of one CTA, or those with one number. */
static void met_kind(Walk *k, Path *p, OpKind kind, uint32_t rank, uint32_t sync, const XInsn *in,
                     bool sure)
{
    for (uint32_t i = 0; i < k->s->n_targets; i++) {
        const ScoutTarget *t = &k->s->targets[i];
        if (t->kind == kind && (rank == OP_NONE || t->rank == rank) &&
            (sync == OP_NONE || t->sync == sync))
            met(k, p, i, in, sure, 0);
    }
}

/* The number of the last address operand: that of the mbarrier. */
static uint32_t last_address(const Walk *k, const XInsn *in)
{
    uint32_t at = OP_NONE;
    for (uint32_t i = 0; i < in->ci->n_opd; i++)
        if (operand(k, in, i)->kind == CO_MEM)
            at = i;
    return at;
}

/* Whatever mbarrier it is. */
static void met_some_mbar(Walk *k, Path *p, const XInsn *in, uint8_t how)
{
    for (uint32_t i = 0; i < k->s->n_targets; i++)
        if (is_mbar_wait(&k->s->targets[i]))
            met(k, p, i, in, false, how);
}

/* A signal to the mbarrier of the last address operand, or at its offset in the CTAs of a mask
 * (front.h, engine.h). pair: in the CTA of each pair that has the parity of the operand's. */
static void signal(Walk *k, Path *p, const XInsn *in, uint32_t mask, bool sure, uint8_t how)
{
    Op none[OP_BURST];
    Err ignored = {0};
    ExecCtx x = context(k, p, none, &ignored);
    uint32_t at = last_address(k, in);
    if (at == OP_NONE || opd_unknown(k, p, operand(k, in, at), mask)) {
        met_some_mbar(k, p, in, how);
        return;
    }
    uint8_t mcast = in->ci->mod[MC_MCAST];
    const CodeOpd *ctas = NULL;
    if (mcast && mcast != MV_MCAST_ALL && at + 1 < in->ci->n_opd)
        ctas = operand(k, in, at + 1);
    bool pair = in->ci->mod[MC_CG] == MV_CG_TWO && how & DE_BYTES;
    uint32_t everybody = (1u << k->x->cluster_ctas) - 1;
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m), addr = (uint32_t)opd_shared(&x, operand(k, in, at), lane);
        uint32_t ranks = ctas ? opd_u32(&x, ctas, lane) & everybody : everybody;
        if (!mcast) {
            met_mbar(k, p, addr, in, sure, how);
            continue;
        }
        bool known = sure && !(ctas && opd_unknown(k, p, ctas, mask));
        for (uint32_t r = ctas && !known ? everybody : ranks; r; r &= r - 1) {
            uint32_t to = first_lane(r);
            to = pair ? (to & ~1u) | (addr >> 24 & 1) : to;
            met_mbar(k, p, to << 24 | (addr & 0xffffff), in, known, how);
        }
    }
}

/* Writes memory that somebody polls. */
static void writes(Walk *k, Path *p, const XInsn *in, uint32_t mask, bool sure)
{
    Op none[OP_BURST];
    Err ignored = {0};
    ExecCtx x = context(k, p, none, &ignored);
    uint32_t at = last_address(k, in);
    bool known = at != OP_NONE && !opd_unknown(k, p, operand(k, in, at), mask);
    for (uint32_t i = 0; i < k->s->n_targets; i++) {
        const ScoutTarget *t = &k->s->targets[i];
        bool global = t->kind == OK_GMEM;
        if (!global && t->kind != OK_SMEM)
            continue;
        bool here = !known;
        for (uint32_t m = mask; m && !here; m &= m - 1) {
            uint64_t a = opd_addr(&p->w, operand(k, in, at), first_lane(m));
            here = global ? a >> 5 == t->addr >> 5
                          : (uint32_t)opd_shared(&x, operand(k, in, at), first_lane(m)) >> 2 ==
                                t->addr >> 2;
        }
        if (here)
            met(k, p, i, in, known && sure, 0);
    }
}

/* bar.sync, .arrive, .red: the barrier's number is the first value that is read. */
static void arrives_at_barrier(Walk *k, Path *p, const XInsn *in, uint32_t mask, bool sure)
{
    uint32_t at = 0, rank = p->w.cta->rank;
    while (at < in->ci->n_opd &&
           !(operand(k, in, at)->kind == CO_VALUE && form_of(k, in, at)->is_src))
        at++;
    if (at == in->ci->n_opd)
        return;
    bool known = !opd_unknown(k, p, operand(k, in, at), mask);
    uint32_t id = known ? (uint32_t)opd_u64(&p->w, operand(k, in, at), first_lane(mask)) : OP_NONE;
    met_kind(k, p, OK_BAR_SYNC, rank, id, in, known && sure);
}

static void arrives_with_warpgroup(Walk *k, Path *p, const XInsn *in, bool sure)
{
    for (uint32_t i = 0; i < k->s->n_targets; i++) {
        const ScoutTarget *t = &k->s->targets[i];
        if (t->kind == OK_WGMMA_WAIT && t->rank == p->w.cta->rank &&
            t->warp / WG_WARPS == p->w.id / WG_WARPS)
            met(k, p, i, in, sure, 0);
    }
}

static uint8_t does(OpKind kind)
{
    return kind == OK_TMA_LOAD                  ? SCOUT_LOADS
           : kind == OK_MMA || kind == OK_WGMMA ? SCOUT_MMA
           : kind == OK_TMEM                    ? SCOUT_READS_D
           : kind == OK_TMA_STORE               ? SCOUT_STORES
                                                : 0;
}

void scout_effect(Walk *k, Path *p, const XInsn *in, uint32_t mask, bool sure)
{
    uint32_t rank = p->w.cta->rank;
    OpKind kind = (OpKind)k->code->ops[in->opinfo].kind;
    k->s->does |= does(kind);
    switch (kind) {
    case OK_MBAR_ARRIVE:
    case OK_CPASYNC_ARRIVE:
    case OK_COMMIT:
        signal(k, p, in, mask, sure, 0);
        break;
    case OK_MBAR_TX:
    case OK_TMA_LOAD:
    case OK_REMOTE:
    case OK_CANCEL:
        signal(k, p, in, mask, sure, DE_BYTES);
        break;
    case OK_BAR_SYNC:
    case OK_BAR_ARRIVE:
        arrives_at_barrier(k, p, in, mask, sure);
        break;
    case OK_CLUSTER_ARRIVE:
        met_kind(k, p, OK_CLUSTER_WAIT, OP_NONE, OP_NONE, in, sure);
        break;
    case OK_TMEM_DEALLOC:
        met_kind(k, p, OK_TMEM_ALLOC, rank, OP_NONE, in, sure);
        break;
    case OK_TMEM_ALLOC: /* of a pair of CTAs: both must ask */
        met_kind(k, p, OK_TMEM_ALLOC, rank ^ 1, OP_NONE, in, sure);
        break;
    case OK_SETMAXNREG:
        met_kind(k, p, OK_SETMAXNREG, rank, OP_NONE, in, false);
        break;
    case OK_WGMMA:
        arrives_with_warpgroup(k, p, in, sure);
        break;
    case OK_GMEM:
    case OK_SMEM:
        if (op_row[in->ci->op].tclass != TC_LDG && op_row[in->ci->op].tclass != TC_LDS)
            writes(k, p, in, mask, sure);
        break;
    default:
        break;
    }
}

void scout_waits(const Walk *k, Path *p, const XInsn *in, uint32_t mask)
{
    Op none[OP_BURST];
    Err ignored = {0};
    ExecCtx x = context(k, p, none, &ignored);
    const CodeOpd *at = operand(k, in, 1);
    if (!opd_unknown(k, p, at, mask))
        note_barrier(k->s, (uint32_t)opd_shared(&x, at, first_lane(mask)), true);
}
