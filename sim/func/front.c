/* The executor as a front end: runs ahead through instructions that only touch registers, and
 * executes the others one at a time when the driver says so. */
#include "sim/func/state.h"

#include <assert.h>

#include "sim/func/wgmma.h"

enum { POISON = 0xff };

static Cta *cta_at(Front *f, uint32_t slot)
{
    Exec *x = (Exec *)f;
    assert(slot < x->desc.n_slots);
    return &x->ctas[slot];
}

static Warp *warp_at(Front *f, uint32_t slot, uint32_t warp)
{
    assert(warp < f->n_warps);
    return &cta_at(f, slot)->warps[warp];
}

/* ---- Placing a CTA ---- */

static void start_warp(const Exec *x, Warp *w)
{
    const Code *c = x->code;
    size_t row_bytes = WARP * sizeof(uint32_t);
    memset(w->base[0], POISON, c->n_slots * row_bytes);
    memset(w->preds, 0, c->n_preds * sizeof w->preds[0]);
    if (x->local_bytes)
        memset(w->local, POISON, (size_t)x->local_bytes * WARP);
    w->reduces = NULL;
    warp_start(w);
    watch_start(w);
    w->watch.polled = false;
}

static bool cta_start(Front *f, uint32_t slot, uint32_t id, Err *err)
{
    Exec *x = (Exec *)f;
    Cta *c = cta_at(f, slot);
    if (id >= f->n_ctas)
        return err_set(err, ERR_SEMANTIC, (Loc){0}, "CTA %u is outside the grid of %u", id,
                       f->n_ctas);
    c->id = id;
    c->ctaid[0] = id % f->grid[0];
    c->ctaid[1] = id / f->grid[0] % f->grid[1];
    c->ctaid[2] = id / f->grid[0] / f->grid[1];
    c->rank = 0;
    for (int d = 2; d >= 0; d--)
        c->rank = c->rank * f->cluster[d] + c->ctaid[d] % f->cluster[d];
    c->sm = (x->first_sm + slot) % x->desc.n_sms;
    memset(c->shared, POISON, c->shared_bytes);
    if (x->uses_tmem)
        memset(c->tmem, POISON, 512 * sizeof c->tmem[0]);
    for (uint32_t i = 0; i < f->n_warps; i++)
        start_warp(x, &c->warps[i]);
    memset(c->tally, 0, sizeof c->tally);
    async_reset(c);
    c->active = true;
    return true;
}

static void cta_end(Front *f, uint32_t slot)
{
    cta_at(f, slot)->active = false;
}

/* ---- One instruction ---- */

static inline uint32_t guard_lanes(const Warp *w, const XInsn *in)
{
    if (in->guard < 0)
        return w->mask;
    uint32_t p = w->preds[in->guard];
    return w->mask & (in->guard_neg ? ~p : p);
}

static inline uint32_t lane_count(uint32_t mask)
{
    return mask == FULL_MASK ? WARP : (uint32_t)__builtin_popcount(mask);
}

static bool is_branch(const XInsn *in)
{
    return in->ci->op == OP_BRA || in->ci->op == OP_BRX_IDX;
}

/* Executes the instruction at the running pc and moves on. ops[0] holds info and static kind. */
static bool step(ExecCtx *x, const XInsn *in)
{
    Warp *w = x->w;
    uint32_t mask = guard_lanes(w, in);
    bool ok = true;
    x->next_pc = w->pc + 1;
    w->n_insts++;
    w->n_lane_insts += lane_count(mask);
    if (mask == 0 && !is_branch(in)) {
        x->ops[0].kind = OK_SKIPPED;
        x->n_ops = 1;
    } else if (in->plain) {
        in->plain(w, in, mask);
        x->n_ops = 1;
    } else {
        ok = in->dyn(x, in, mask);
    }
    w->pc = x->next_pc;
    return ok;
}

/* An instruction that needs the driver but has no machine operation (fences without SASS, the
 * branch of a wait loop): executed in passing. A fault is kept for the next op. */
static bool step_silently(Exec *x, Warp *w, const XInsn *in)
{
    Op ops[OP_BURST] = {{0}};
    ExecCtx ctx = {.exec = x, .cta = w->cta, .w = w, .ops = ops, .err = &w->fault};
    return step(&ctx, in);
}

static bool runs_ahead(const XInsn *in)
{
    return in->plain && !in->dyn;
}

/* Runs ahead while the instructions touch only registers and their ops are consecutive; returns at
 * the first that is not so, or where another split stands (w->stop). */
static void run_ahead(Warp *w, const XInsn *insns, OpRun *run)
{
    const XInsn *first = insns + w->pc, *in = first;
    const XInsn *stop = w->n_splits && w->stop != NO_PC ? insns + w->stop : NULL;
    for (; runs_ahead(in); in++) {
        if (in == stop || (w->n_splits && in->sync))
            break;
        uint32_t mask = guard_lanes(w, in);
        if (in->opinfo != OP_NONE) {
            if (mask == 0 || (run->n > 0 && in->opinfo != run->first + run->n))
                break;
            if (run->n == 0)
                run->first = in->opinfo;
            run->n++;
        }
        if (mask)
            in->plain(w, in, mask);
    }
    uint64_t n = (uint64_t)(in - first);
    w->n_insts += n;
    w->n_lane_insts += n * lane_count(w->mask);
    w->pc += (uint32_t)n;
}

/* A wait_group of the warp has held: D of what is complete appears. */
static void after_wgmma(Exec *x, Warp *w)
{
    w->wgmma_waits = false;
    if (w->fault.kind == ERR_NONE)
        wgmma_flush(x, w->cta, w->id, &w->fault);
}

static void next(Front *f, uint32_t slot, uint32_t warp, OpRun *run)
{
    Exec *x = (Exec *)f;
    Warp *w = warp_at(f, slot, warp);
    *run = (OpRun){.dyn = OP_NONE};
    w->retry_pc = NO_PC;
    if (w->wgmma_waits)
        after_wgmma(x, w);
    bar_resume(w);
    while (w->live) {
        if (w->n_splits || !w->mask)
            warp_schedule(w);
        run_ahead(w, x->insns, run);
        if (w->n_splits && w->pc == w->stop)
            continue;
        const XInsn *in = &x->insns[w->pc];
        if (w->n_splits && in->sync && !warp_arrived(w, in))
            continue;
        bool in_passing = in->opinfo == OP_NONE && !w->stuck;
        if (in_passing && step_silently(x, w, in))
            continue;
        run->dyn = in->opinfo == OP_NONE ? 0 : in->opinfo; /* OP_NONE: a fault to report */
        return;
    }
}

/* A blocking op whose instruction may be executed again: another split may run meanwhile (yield).
 */
static bool can_retry(uint8_t kind)
{
    return kind == OK_MBAR_WAIT || kind == OK_WGMMA_WAIT || kind == OK_BULK_WAIT ||
           kind == OK_CPASYNC_WAIT || kind == OK_CLUSTER_WAIT;
}

static uint32_t fault_op(Op *op)
{
    op->kind = OK_FAULT;
    return 1;
}

static uint32_t exec(Front *f, uint32_t slot, uint32_t warp, Cycle now, Op ops[OP_BURST], Err *err)
{
    Exec *x = (Exec *)f;
    Warp *w = warp_at(f, slot, warp);
    const XInsn *in = &x->insns[w->pc];
    uint32_t pc = w->pc;
    ExecCtx ctx = {
        .exec = x, .cta = w->cta, .w = w, .now = now, .ops = ops, .err = err ? err : &w->fault};
    ops[0] = (Op){.info = in->opinfo == OP_NONE ? 0 : in->opinfo};
    if (w->fault.kind != ERR_NONE) {
        err_set(ctx.err, w->fault.kind, w->fault.loc, "%s", w->fault.msg);
        return fault_op(ops);
    }
    if (w->stuck) {
        exec_fault(&ctx, in, -1,
                   "waits for lanes 0x%08x, which can never arrive: the warp has diverged",
                   w->live & ~w->mask);
        return fault_op(ops);
    }
    ops[0].kind = x->code->ops[in->opinfo].kind;
    if (!step(&ctx, in))
        return fault_op(ops);
    if (ctx.n_ops == 0)
        ctx.n_ops = 1;
    assert(ctx.n_ops <= OP_BURST);
    watch_step(x, w, in, &ctx);
    for (uint32_t i = 0; i + 1 < ctx.n_ops; i++)
        ops[i].flags |= OPF_MORE;
    if (can_retry(ops[ctx.n_ops - 1].kind))
        w->retry_pc = pc;
    return ctx.n_ops;
}

/* ---- What the driver asks besides ---- */

static bool async(Front *f, uint32_t slot, uint32_t handle, AsyncStep at, Err *err)
{
    return async_step((Exec *)f, cta_at(f, slot), handle, at, err);
}

static uint64_t *mbar(Front *f, uint32_t slot, uint32_t addr, Err *err)
{
    Cta *c = cta_at(f, slot);
    uint32_t offset = addr & 0xffffff;
    if (offset % 8 != 0 || offset < SHARED_BASE || offset + 8 > c->shared_bytes) {
        err_set(err, ERR_FAULT, (Loc){0}, "no mbarrier can be at shared address 0x%x of CTA %u",
                addr, c->id);
        return NULL;
    }
    return (uint64_t *)(void *)(c->shared + offset);
}

static bool yield(Front *f, uint32_t slot, uint32_t warp)
{
    return warp_yield(warp_at(f, slot, warp));
}

static bool spins(Front *f, uint32_t slot, uint32_t warp, bool again)
{
    Exec *x = (Exec *)f;
    Warp *w = warp_at(f, slot, warp);
    bool now = watch_spins(x, w);
    if (again)
        watch_start(w);
    return now;
}

static void cancelled(Front *f, uint32_t slot, uint32_t handle, uint32_t cta)
{
    async_cancelled(cta_at(f, slot), handle, cta);
}

static void tmem_alloc_done(Front *f, uint32_t slot, uint32_t warp, uint32_t column)
{
    tmem_alloc_finish(cta_at(f, slot), warp, column);
}

const FrontOps exec_front_ops = {
    .cta_start = cta_start,
    .next = next,
    .exec = exec,
    .async = async,
    .mbar = mbar,
    .yield = yield,
    .tmem_alloc_done = tmem_alloc_done,
    .cta_end = cta_end,
    .cancelled = cancelled,
    .spins = spins,
    .scout = exec_scout,
    .polls = exec_polls,
};

Front *exec_front(Exec *x)
{
    return &x->front;
}
