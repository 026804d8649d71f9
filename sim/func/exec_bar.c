/* Named barriers: bar and barrier, with and without a reduction. PTX ISA "bar, barrier".
 *
 * The driver keeps the barriers and says when a warp goes on (front.h). A reduction has a result
 * that is only known then, so the CTA keeps a tally beside: a warp that waits remembers where its
 * result goes, and the arrival that completes the generation writes all of them. Where a generation
 * completes because other warps have exited, the first waiter that runs again does it. */
#include "sim/func/engine.h"
#include "sim/func/sync.h"

/* Writes what the warps that wait at this barrier have reduced; the next generation starts. */
static void complete(Cta *c, uint32_t id)
{
    BarTally *t = &c->tally[id];
    for (uint32_t k = 0; k < c->exec->front.n_warps; k++) {
        Warp *w = &c->warps[k];
        const XInsn *in = w->reduces;
        if (!in || w->reduces_at != id)
            continue;
        w->reduces = NULL;
        bool all = t->yes == t->members, any = t->yes > 0;
        if (opd(w, in, 0)->kind == CO_PRED) {
            bool r = in->ci->mod[MC_BOOL] == MV_BOOL_AND ? all : any;
            set_pred(w, in->pred[0], w->reduces_mask, r ? FULL_MASK : 0);
            continue;
        }
        uint32_t *d = row(w, in->row[0]);
        for (uint32_t i = 0; i < WARP; i++)
            d[i] = w->reduces_mask >> i & 1 ? t->yes : d[i];
    }
    *t = (BarTally){0};
}

void bar_resume(Warp *w)
{
    if (w->reduces)
        complete(w->cta, w->reduces_at);
}

/* A warp counts whole, even one with fewer than 32 threads. */
static void count(Cta *c, const Warp *w, const Op *o)
{
    BarTally *t = &c->tally[o->sync];
    uint64_t me = UINT64_C(1) << w->id;
    if (t->waiting & me) /* it runs, so the generation that it waited for is over */
        complete(c, o->sync);
    t->arrived += o->arg1;
    if (o->kind == OK_BAR_SYNC)
        t->waiting |= me;
}

/* at: operand number of the barrier's id; the thread count follows. */
static Op *named_barrier(ExecCtx *x, const XInsn *in, uint32_t mask, OpKind kind, uint32_t at)
{
    Warp *w = x->w;
    uint32_t lane = first_lane(mask), id = opd_u32(x, opd(w, in, at), lane);
    uint32_t all = x->exec->front.n_warps * WARP;
    uint32_t threads = has_opd(w, in, at + 1) ? opd_u32(x, opd(w, in, at + 1), lane) : all;
    if (id >= N_NAMED_BARRIERS) {
        exec_fault(x, in, (int)lane, "barrier %u: there are %d", id, N_NAMED_BARRIERS);
        return NULL;
    }
    if (threads == 0 || threads % WARP != 0 || threads > all) {
        exec_fault(x, in, (int)lane,
                   "barrier %u for %u threads: must be a multiple of 32, at most the CTA's %u", id,
                   threads, all);
        return NULL;
    }
    Op *o = emit(x, kind);
    o->sync = id;
    o->arg0 = threads;
    o->arg1 = mask == w->live ? WARP : (uint32_t)__builtin_popcount(mask);
    count(x->cta, w, o);
    return o;
}

static void close_if_full(Cta *c, const Op *o)
{
    if (c->tally[o->sync].arrived >= o->arg0)
        complete(c, o->sync);
}

static bool dyn_bar_sync(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    const Op *o = named_barrier(x, in, mask, OK_BAR_SYNC, 0);
    if (o)
        close_if_full(x->cta, o);
    return o != NULL;
}

static bool dyn_bar_arrive(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    const Op *o = named_barrier(x, in, mask, OK_BAR_ARRIVE, 0);
    if (o)
        close_if_full(x->cta, o);
    return o != NULL;
}

/* bar.red d or p, a{, b}, c */
static bool dyn_bar_red(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Warp *w = x->w;
    const Op *o = named_barrier(x, in, mask, OK_BAR_SYNC, 1);
    if (!o)
        return false;
    BarTally *t = &x->cta->tally[o->sync];
    t->members += (uint32_t)__builtin_popcount(mask);
    t->yes += (uint32_t)__builtin_popcount(opd_pred(w, opd(w, in, 3)) & mask);
    w->reduces = in;
    w->reduces_mask = mask;
    w->reduces_at = o->sync;
    close_if_full(x->cta, o);
    return true;
}

BIND_DYN(bar_sync, dyn_bar_sync)
BIND_DYN(bar_arrive, dyn_bar_arrive)
BIND_DYN(bar_red, dyn_bar_red)
