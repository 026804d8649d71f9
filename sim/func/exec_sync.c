/* Synchronisation: mbarriers, cluster barriers (named ones: exec_bar.c), fences, register
 * reallocation, cluster addresses, hints.
 *
 * These functions only say what a warp asks for; the driver keeps the state and does the arithmetic
 * (front.h), except for a poll of an mbarrier, which reads the word and takes its outcome at once.
 * Source: PTX ISA 9.7.13; research/ptx.md 3.8, 3.9, 3.12, 3.13. */
#include "sim/func/engine.h"
#include "sim/func/mbar.h"

enum { CTA_OFFSET = 0xffffff, MBAR_BYTES = 8 };

static void plain_nothing(Warp *w, const XInsn *in, uint32_t mask)
{
    (void)w;
    (void)in;
    (void)mask;
}

/* ---- mbarrier ---- */

/* Finds the mbarrier named by the address operand in one lane. word may be NULL. */
static bool find_mbar(ExecCtx *x, const XInsn *in, uint32_t k, uint32_t lane, uint32_t *sync,
                      uint64_t *word)
{
    Cta *owner;
    uint64_t addr = opd_shared(x, opd(x->w, in, k), lane);
    uint8_t *p = shared_at(x, in, (int)lane, addr, MBAR_BYTES, MBAR_BYTES, &owner);
    if (!p)
        return false;
    *sync = own_shared(owner, (uint32_t)addr & CTA_OFFSET);
    if (word)
        memcpy(word, p, sizeof *word);
    return true;
}

static Op *emit_mbar(ExecCtx *x, OpKind kind, uint32_t sync)
{
    Op *o = emit(x, kind);
    o->sync = sync;
    if (sync >> 24 != x->cta->rank)
        o->flags |= OPF_REMOTE;
    return o;
}

/* mbarrier.init [a], n: the last lane to write a word wins, as with any store. */
static bool dyn_init(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m), sync, n = opd_u32(x, opd(x->w, in, 1), lane);
        if (!find_mbar(x, in, 0, lane, &sync, NULL))
            return false;
        if (n == 0 || n >= 1u << 20)
            return exec_fault(x, in, (int)lane,
                              "mbarrier.init with a count of %u: must be 1..1048575", n);
        emit_mbar(x, OK_MBAR_INIT, sync)->arg0 = n;
    }
    return true;
}

static bool dyn_inval(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m), sync;
        if (!find_mbar(x, in, 0, lane, &sync, NULL))
            return false;
        emit_mbar(x, OK_MBAR_INVAL, sync);
    }
    return true;
}

/* The Op of this instruction for that mbarrier: one for all lanes that name it. */
static Op *op_for(ExecCtx *x, OpKind kind, uint32_t sync)
{
    for (uint32_t i = 0; i < x->n_ops; i++)
        if (x->ops[i].sync == sync)
            return &x->ops[i];
    return emit_mbar(x, kind, sync);
}

/* What the arrive forms differ in. */
typedef struct ArriveForm {
    int8_t count, tx; /* operand numbers, -1: not in this form */
    bool drop;
} ArriveForm;

static bool arrive(ExecCtx *x, const XInsn *in, uint32_t mask, ArriveForm f)
{
    Warp *w = x->w;
    const CodeOpd *token = opd(w, in, 0);
    bool counted = f.count >= 0 && has_opd(w, in, (uint32_t)f.count);
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m), sync;
        uint64_t word;
        if (!find_mbar(x, in, 1, lane, &sync, &word))
            return false;
        if (!mbar_is_init(word))
            return exec_fault(x, in, (int)lane, "arrives on 0x%x, which is no initialised mbarrier",
                              sync);
        Op *o = op_for(x, OK_MBAR_ARRIVE, sync);
        o->arg0 += counted ? opd_u32(x, opd(w, in, (uint32_t)f.count), lane) : 1;
        o->arg1 += f.tx >= 0 ? opd_u32(x, opd(w, in, (uint32_t)f.tx), lane) : 0;
        if (f.drop)
            o->flags |= OPF_DROP;
        /* The token is the word before the arrival: its parity names the phase. */
        if (token->kind == CO_VALUE && token->n == 2) {
            opd_row(w, token, 0)[lane] = (uint32_t)word;
            opd_row(w, token, 1)[lane] = (uint32_t)(word >> 32);
        }
    }
    return true;
}

static bool dyn_arrive(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    return arrive(x, in, mask, (ArriveForm){.count = 2, .tx = -1});
}

static bool dyn_arrive_expect_tx(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    return arrive(x, in, mask, (ArriveForm){.count = -1, .tx = 2});
}

static bool dyn_arrive_drop(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    return arrive(x, in, mask, (ArriveForm){.count = 2, .tx = -1, .drop = true});
}

static bool dyn_arrive_drop_expect_tx(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    return arrive(x, in, mask, (ArriveForm){.count = -1, .tx = 2, .drop = true});
}

/* mbarrier.expect_tx, .complete_tx [a], tx */
static bool change_tx(ExecCtx *x, const XInsn *in, uint32_t mask, bool expect)
{
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m), sync, tx = opd_u32(x, opd(x->w, in, 1), lane);
        if (!find_mbar(x, in, 0, lane, &sync, NULL))
            return false;
        Op *o = op_for(x, OK_MBAR_TX, sync);
        o->arg1 = expect ? o->arg1 + tx : o->arg1 - tx;
    }
    return true;
}

static bool dyn_expect_tx(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    return change_tx(x, in, mask, true);
}

static bool dyn_complete_tx(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    return change_tx(x, in, mask, false);
}

/* p, [a], parity | state. A recognised wait loop parks the warp and answers true; otherwise a poll.
 */
static bool wait(ExecCtx *x, const XInsn *in, uint32_t mask, bool by_token)
{
    Warp *w = x->w;
    bool parks = in->ci->flags & CF_WAIT;
    uint32_t done = 0;
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m), sync;
        uint64_t word, operand = opd_u64(w, opd(w, in, 2), lane);
        if (!find_mbar(x, in, 1, lane, &sync, &word))
            return false;
        if (!mbar_is_init(word))
            return exec_fault(x, in, (int)lane, "waits on 0x%x, which is no initialised mbarrier",
                              sync);
        uint32_t parity = by_token ? mbar_state(operand).parity : (uint32_t)operand & 1;
        if (mbar_phase_done(word, parity))
            done |= 1u << lane;
        Op *o =
            x->n_ops ? &x->ops[x->n_ops - 1] : NULL; /* nearly always all lanes wait for the same */
        if (!o || o->sync != sync || o->arg0 != parity)
            o = emit_mbar(x, parks ? OK_MBAR_WAIT : OK_MBAR_TEST, sync);
        o->arg0 = parity;
    }
    for (uint32_t i = 0; i < x->n_ops && !parks; i++)
        x->ops[i].arg1 = done == mask; /* outcome of the poll */
    set_pred(w, opd(w, in, 0)->pred, mask, parks ? mask : done);
    return true;
}

static bool dyn_wait_parity(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    return wait(x, in, mask, false);
}

static bool dyn_wait_token(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    return wait(x, in, mask, true);
}

/* mbarrier.pending_count d, state */
static void plain_pending_count(Warp *w, const XInsn *in, uint32_t mask)
{
    uint32_t *d = opd_row(w, opd(w, in, 0), 0);
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m);
        d[lane] = mbar_state(opd_u64(w, opd(w, in, 1), lane)).pending;
    }
}

BIND_DYN(mbarrier_init, dyn_init)
BIND_DYN(mbarrier_inval, dyn_inval)
BIND_DYN(mbarrier_expect_tx, dyn_expect_tx)
BIND_DYN(mbarrier_complete_tx, dyn_complete_tx)
BIND_DYN(mbarrier_arrive, dyn_arrive)
BIND_DYN(mbarrier_arrive_expect_tx, dyn_arrive_expect_tx)
BIND_DYN(mbarrier_arrive_nocomplete, dyn_arrive)
BIND_DYN(mbarrier_arrive_drop, dyn_arrive_drop)
BIND_DYN(mbarrier_arrive_drop_expect_tx, dyn_arrive_drop_expect_tx)
BIND_DYN(mbarrier_arrive_drop_nocomplete, dyn_arrive_drop)
BIND_DYN(mbarrier_test_wait, dyn_wait_token)
BIND_DYN(mbarrier_test_wait_parity, dyn_wait_parity)
BIND_DYN(mbarrier_try_wait, dyn_wait_token)
BIND_DYN(mbarrier_try_wait_parity, dyn_wait_parity)
BIND_PLAIN(mbarrier_pending_count, plain_pending_count)

/* ---- Cluster barrier ---- */

static bool dyn_cluster_arrive(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    (void)mask;
    emit(x, OK_CLUSTER_ARRIVE)->arg0 = in->ci->mod[MC_SEM] == MV_SEM_RELAXED;
    return true;
}

static bool dyn_cluster_wait(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    (void)in;
    (void)mask;
    emit(x, OK_CLUSTER_WAIT);
    return true;
}

BIND_PLAIN(bar_warp_sync, plain_nothing) /* the lanes have met before it runs: warp.c */
BIND_DYN(barrier_cluster_arrive, dyn_cluster_arrive)
BIND_DYN(barrier_cluster_wait, dyn_cluster_wait)

/* ---- Fences: memory here is always in a legal order, so they only cost time ---- */

/* Those that ptxas 13.0 makes MEMBAR.GPU or MEMBAR.SYS of, which wait for global memory. */
static bool is_wide_fence(const CodeInsn *in)
{
    switch (in->op) {
    case OP_MEMBAR:
        return in->mod[MC_LEVEL] != MV_LEVEL_CTA;
    case OP_FENCE:
    case OP_FENCE_PROXY_TENSORMAP_RELEASE:
    case OP_TENSORMAP_CP_FENCEPROXY:
        return in->mod[MC_SCOPE] != MV_SCOPE_CTA;
    case OP_FENCE_PROXY_ALIAS:
        return true;
    case OP_FENCE_PROXY_ASYNC:
        return in->mod[MC_SS] == MV_SS_NONE;
    default:
        return false;
    }
}

static bool dyn_fence(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    (void)mask;
    emit(x, OK_FENCE)->arg0 = is_wide_fence(in->ci);
    return true;
}

bool exec_fence(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    if (op_row[in->op].tclass == TC_NONE)
        out->plain = plain_nothing; /* fence.mbarrier_init has no SASS (ptx.md 3.9) */
    else
        out->dyn = dyn_fence;
    return true;
}

BIND_DYN(fence_proxy_async, dyn_fence)
BIND_DYN(fence_proxy_tensormap, dyn_fence)
BIND_PLAIN(tcgen05_fence, plain_nothing) /* no SASS (ptx.md 3.6) */
BIND_PLAIN(tcgen05_wait_ld,
           plain_nothing) /* no SASS: the register dependence does it (ptx.md 3.4) */

/* ---- Warps and grids ---- */

static bool dyn_setmaxnreg(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    uint32_t n = opd_u32(x, opd(x->w, in, 0), first_lane(mask));
    if (n < 24 || n > 256 || n % 8 != 0)
        return exec_fault(x, in, -1, "setmaxnreg %u: must be 24..256 in steps of 8", n);
    emit(x, OK_SETMAXNREG)->arg0 = n;
    return true;
}

static bool dyn_nanosleep(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    emit(x, OK_NANOSLEEP)->arg0 = opd_u32(x, opd(x->w, in, 0), first_lane(mask));
    return true;
}

static bool dyn_griddep(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    (void)in;
    (void)mask;
    emit(x, OK_GRIDDEP);
    return true;
}

static bool bind_griddep(const CodeInsn *in, Bound *out)
{
    if (op_row[in->op].tclass == TC_NONE)
        out->plain = plain_nothing; /* one grid: there is nothing to wait for */
    else
        out->dyn = dyn_griddep;
    return true;
}

bool exec_griddepcontrol_launch(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    return bind_griddep(in, out);
}

bool exec_griddepcontrol_wait(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    return bind_griddep(in, out);
}

BIND_DYN(setmaxnreg, dyn_setmaxnreg)
BIND_DYN(nanosleep, dyn_nanosleep)

/* ---- Cluster addresses ---- */

/* mapa d, a, b: the rank byte of a shared address, also inside a generic one, is replaced. */
static void plain_mapa(Warp *w, const XInsn *in, uint32_t mask)
{
    const CodeOpd *d = opd(w, in, 0), *a = opd(w, in, 1), *b = opd(w, in, 2);
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m);
        uint32_t lo = a->kind == CO_MEM ? (uint32_t)opd_addr(w, a, lane) : opd_row(w, a, 0)[lane];
        uint32_t hi = d->n > 1 && a->n > 1 ? opd_row(w, a, 1)[lane] : 0;
        opd_row(w, d, 0)[lane] = (lo & CTA_OFFSET) | opd_row(w, b, 0)[lane] << 24;
        if (d->n > 1)
            opd_row(w, d, 1)[lane] = hi;
    }
}

/* getctarank d, a */
static void plain_getctarank(Warp *w, const XInsn *in, uint32_t mask)
{
    const CodeOpd *a = opd(w, in, 1);
    uint32_t *d = opd_row(w, opd(w, in, 0), 0);
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m);
        d[lane] =
            (a->kind == CO_MEM ? (uint32_t)opd_addr(w, a, lane) : opd_row(w, a, 0)[lane]) >> 24;
    }
}

BIND_PLAIN(mapa, plain_mapa)
BIND_PLAIN(getctarank, plain_getctarank)

/* ---- Hints: no function ---- */

static void plain_createpolicy(Warp *w, const XInsn *in, uint32_t mask)
{
    const CodeOpd *d = opd(w, in, 0);
    for (uint32_t m = mask; m; m &= m - 1)
        for (uint32_t j = 0; j < d->n; j++)
            opd_row(w, d, j)[first_lane(m)] = 0; /* nobody reads a policy */
}

static bool dyn_prefetch(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    (void)in;
    emit(x, OK_TMA_PREFETCH)->bytes = 128 * (uint32_t)__builtin_popcount(mask);
    return true;
}

static bool bind_prefetch(const CodeInsn *in, Bound *out)
{
    if (op_row[in->op].tclass == TC_NONE)
        out->plain = plain_nothing;
    else
        out->dyn = dyn_prefetch;
    return true;
}

bool exec_prefetch(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    return bind_prefetch(in, out);
}

bool exec_prefetch_tensormap(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    return bind_prefetch(in, out);
}

BIND_PLAIN(discard, plain_nothing)
BIND_PLAIN(createpolicy, plain_createpolicy)
