/* The turns of the warps of one cluster; see drive.h. */
#include "sim/func/drive.h"

#include <assert.h>

typedef enum Turn { TURN_MOVED, TURN_POLLED, TURN_SPENT, TURN_SPINS, TURN_FAULT } Turn;

void drive_new(Arena *a, Drive *d, Exec *x)
{
    Front *f = exec_front(x);
    *d = (Drive){.x = x, .f = f, .n_ctas = x->cluster_ctas, .probe = x->desc.probe};
    d->ctas = arena_new(a, DriveCta, d->n_ctas);
    for (uint32_t c = 0; c < d->n_ctas; c++)
        d->ctas[c].warps = arena_new(a, DriveWarp, f->n_warps);
    d->cap = DRIVE_PENDING * d->n_ctas + 1;
    d->queue = arena_new(a, Step, d->cap);
}

/* ---- What an Op asks of the driver ---- */

static void close_group(Groups *g)
{
    g->mark[g->commits++ % DRIVE_GROUPS] = g->issued;
}

static bool queue_step(Drive *d, uint32_t cta, uint32_t warp, const Op *op, AsyncStep at, Err *err)
{
    Step s = {.op = *op, .cta = cta, .warp = warp, .at = at};
    return drive_push(d, &s, err);
}

static void cluster_check(Drive *d)
{
    uint32_t live = 0;
    for (uint32_t c = 0; c < d->n_ctas; c++)
        live += d->ctas[c].live;
    if (d->cluster_arrived == 0 || d->cluster_arrived < live)
        return;
    d->cluster_arrived = 0;
    d->cluster_generation++;
    if (d->probe)
        d->probe->cluster_barrier(d->probe);
}

static void cluster_arrive(Drive *d, DriveWarp *w)
{
    if (w->cluster_generation == d->cluster_generation + 1)
        return; /* another part of the same warp */
    w->cluster_generation = d->cluster_generation + 1;
    d->cluster_arrived++;
    cluster_check(d);
}

static void park(DriveWarp *w, const Op *op)
{
    w->waits[w->n_waits++] = *op;
}

static bool named_barrier(Drive *d, DriveCta *c, DriveWarp *w, const Op *op, Err *err)
{
    NamedBarrier *b = &c->bars[op->sync];
    NamedBarrier before = *b;
    BarResult r = named_barrier_arrive(b, op->arg0, op->arg1);
    if (r == BAR_MISMATCH || r == BAR_OVERFLOW)
        return err_set(
            err, ERR_FAULT, drive_loc(d, op),
            "barrier %u: %u threads arrive expecting %u, but %u of %u have arrived already",
            op->sync, op->arg1, op->arg0, before.arrived, before.expected);
    if (d->probe)
        d->probe->barrier(d->probe, d->actor_cta, d->actor_warp, op, r == BAR_COMPLETE);
    if (r == BAR_WAITING && op->kind == OK_BAR_SYNC) {
        park(w, op);
        w->waits[w->n_waits - 1].arg1 = before.generation;
    }
    return true;
}

static bool arrive_after_copies(Drive *d, uint32_t cta, uint32_t warp, const Op *op, Err *err)
{
    uint64_t *word = d->f->ops->mbar(d->f, op->sync >> 24, op->sync, err);
    MbarResult r = !word ? MBAR_UNINIT : op->arg1 ? MBAR_OK : mbar_inc_pending(word, op->arg0);
    if (r != MBAR_OK)
        return err_set(err, ERR_FAULT, drive_loc(d, op), "mbarrier 0x%x: %s", op->sync,
                       mbar_result_text(r));
    return queue_step(d, cta, warp, op, ASYNC_DONE, err);
}

/* The last of four warps to issue puts the operation, one step of each warp, into the queue. */
static bool wgmma(Drive *d, uint32_t cta, uint32_t warp, const Op *op, Err *err)
{
    DriveCta *c = &d->ctas[cta];
    uint32_t handles[WG_WARPS], first = warp / WG_WARPS * WG_WARPS;
    c->warps[warp].wgmma.issued++;
    WgResult r = wg_join(&c->wg[warp / WG_WARPS], warp % WG_WARPS, op->arg0, op->handle, handles);
    if (r == WG_MISMATCH || r == WG_TOO_FAR)
        return err_set(err, ERR_FAULT, drive_loc(d, op), "%s", wg_result_text(r));
    for (uint32_t w = 0; r == WG_COMPLETE && w < WG_WARPS; w++) {
        Op part = *op;
        part.handle = handles[w];
        if (!queue_step(d, cta, first + w, &part, ASYNC_DONE, err))
            return false;
    }
    return true;
}

/* Asynchronous work is done at the latest moment, so that what forgets to wait for it shows. But
 * for stores to tensor memory: they follow each other and the loads through one pipe, and CUTLASS's
 * attention (example 77) passes its row sums to other warps without tcgen05.wait::st. The checker,
 * which has a probe, still finds that. */
static bool handle_async(Drive *d, uint32_t cta, uint32_t warp, const Op *op, Err *err)
{
    DriveWarp *w = &d->ctas[cta].warps[warp];
    switch (op->kind) {
    case OK_TMEM:
        if (!op->handle)
            return true; /* a load: done */
        w->st.issued++;
        if (!d->probe)
            return drive_perform(d, &(Step){.op = *op, .cta = cta, .warp = warp}, err);
        break;
    case OK_TMA_STORE:
        w->bulk.issued++;
        return queue_step(d, cta, warp, op, ASYNC_READ, err);
    case OK_CPASYNC:
        w->cpasync.issued++;
        break;
    case OK_WGMMA:
        return wgmma(d, cta, warp, op, err);
    case OK_CPASYNC_ARRIVE:
        return arrive_after_copies(d, cta, warp, op, err);
    default:
        break;
    }
    return queue_step(d, cta, warp, op, ASYNC_DONE, err);
}

/* A barrier may be given up or made anew only when nothing signals it any more, so what still pends
 * for it has happened by now: the latest legal moment. */
static bool settle(Drive *d, uint32_t mbar, Err *err)
{
    for (uint32_t i = 0; i < d->n; i++) {
        if (d->queue[(d->head + i) % d->cap].op.sync != mbar)
            continue;
        for (uint32_t k = 0; k <= i; k++)
            if (!drive_step(d, err))
                return false;
        i = UINT32_MAX; /* from the front again */
    }
    return true;
}

static void holds_now(const Drive *d, uint32_t cta, uint32_t warp, const Op *op)
{
    if (d->probe)
        d->probe->waited(d->probe, cta, warp, op);
}

static bool handle(Drive *d, uint32_t cta, uint32_t warp, const Op *op, Err *err)
{
    DriveCta *c = &d->ctas[cta];
    DriveWarp *w = &c->warps[warp];
    d->actor_cta = cta;
    d->actor_warp = warp;
    switch ((OpKind)op->kind) {
    case OK_PLAIN:
    case OK_SKIPPED:
    case OK_BRANCH:
    case OK_EXIT:
    case OK_SMEM:
    case OK_GMEM:
    case OK_TMA_PREFETCH:
    case OK_MBAR_TEST:
    case OK_TMEM_RELINQUISH:
    case OK_SETMAXNREG:
    case OK_FENCE:
    case OK_NANOSLEEP:
    case OK_GRIDDEP:
    case OK_COUNT:
        return true;
    case OK_FAULT:
        return false;
    case OK_TMEM:
    case OK_MMA:
    case OK_WGMMA:
    case OK_COMMIT:
    case OK_TMEM_CP:
    case OK_TMA_LOAD:
    case OK_TMA_STORE:
    case OK_CPASYNC:
    case OK_CPASYNC_ARRIVE:
    case OK_CANCEL:
    case OK_REMOTE:
        return handle_async(d, cta, warp, op, err);
    case OK_BULK_COMMIT:
        close_group(&w->bulk);
        return true;
    case OK_WGMMA_COMMIT:
        close_group(&w->wgmma);
        return true;
    case OK_CPASYNC_COMMIT:
        close_group(&w->cpasync);
        return true;
    case OK_MBAR_INIT:
    case OK_MBAR_INVAL:
        if (!settle(d, op->sync, err))
            return false;
        return drive_mbar(d, op, op->sync, (OpKind)op->kind, op->arg0, op->arg1, err);
    case OK_MBAR_ARRIVE:
        return drive_mbar(d, op, op->sync, (OpKind)op->kind, op->arg0, op->arg1, err);
    case OK_MBAR_TX:
        return drive_mbar(d, op, op->sync, OK_MBAR_TX, 0, (int32_t)op->arg1, err);
    case OK_BAR_SYNC:
    case OK_BAR_ARRIVE:
        return named_barrier(d, c, w, op, err);
    case OK_CLUSTER_ARRIVE:
        cluster_arrive(d, w);
        return true;
    case OK_TMEM_DEALLOC:
        return tmem_dealloc(&c->tmem, cta, op->arg1, op->arg0) ||
               err_set(err, ERR_FAULT, drive_loc(d, op),
                       "no allocation of %u tensor memory columns starts at %u", op->arg0,
                       op->arg1);
    case OK_BULK_WAIT:
    case OK_CPASYNC_WAIT:
    case OK_WGMMA_WAIT:
    case OK_MBAR_WAIT:
    case OK_CLUSTER_WAIT:
    case OK_WAIT_ST:
    case OK_TMEM_ALLOC:
        if (!drive_holds(d, cta, warp, op, err))
            park(w, op);
        else
            holds_now(d, cta, warp, op);
        return err->kind == ERR_NONE;
    }
    return true;
}

/* ---- Turns ---- */

static bool still_waits(Drive *d, uint32_t cta, uint32_t warp, Err *err)
{
    DriveWarp *w = &d->ctas[cta].warps[warp];
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->n_waits; i++)
        if (!drive_holds(d, cta, warp, &w->waits[i], err))
            w->waits[n++] = w->waits[i];
        else
            holds_now(d, cta, warp, &w->waits[i]);
    w->n_waits = n;
    return n > 0;
}

static void end_warp(Drive *d, DriveCta *c, DriveWarp *w)
{
    w->state = DW_DONE;
    c->live--;
    if (d->probe)
        d->probe->warp_end(d->probe, (uint32_t)(c - d->ctas), (uint32_t)(w - c->warps));
    if (w->cluster_generation == d->cluster_generation + 1)
        d->cluster_arrived--; /* exited threads count as arrived: leaves both sides of the
                                 comparison */
    cluster_check(d);
}

/* Runs a warp until it blocks, ends, polls in vain or has used up its turn. */
static Turn take_turn(Drive *d, uint32_t cta, uint32_t warp, Err *err)
{
    DriveWarp *w = &d->ctas[cta].warps[warp];
    const Warp *x = &d->x->ctas[cta].warps[warp];
    for (uint32_t n = 0; n < DRIVE_BUDGET; n++) {
        OpRun run;
        Op ops[OP_BURST];
        d->f->ops->next(d->f, cta, warp, &run);
        if (run.dyn == OP_NONE) {
            end_warp(d, &d->ctas[cta], w);
            return TURN_MOVED;
        }
        uint32_t n_ops = d->f->ops->exec(d->f, cta, warp, x->n_insts, ops, err);
        for (uint32_t i = 0; i < n_ops; i++)
            if (!handle(d, cta, warp, &ops[i], err))
                return TURN_FAULT;
        if (w->n_waits) {
            w->state = DW_PARKED;
            return TURN_MOVED;
        }
        if (watch_spins(d->x, x))
            return TURN_SPINS;
        const Op *last = &ops[n_ops - 1];
        if ((last->kind == OK_MBAR_TEST && !last->arg1) || last->kind == OK_NANOSLEEP)
            return TURN_POLLED;
    }
    return TURN_SPENT;
}

typedef struct Round {
    bool moved, spent, polled; /* some warp: got on, used up its turn, polled in vain */
    uint32_t live;
} Round;

static bool run_round(Drive *d, Round *r, Err *err)
{
    *r = (Round){0};
    for (uint32_t c = 0; c < d->n_ctas; c++)
        for (uint32_t i = 0; i < d->f->n_warps; i++) {
            DriveWarp *w = &d->ctas[c].warps[i];
            if (w->state == DW_PARKED && !still_waits(d, c, i, err))
                w->state = DW_READY;
            if (w->state != DW_DONE)
                r->live++;
            if (w->state != DW_READY || watch_spins(d->x, &d->x->ctas[c].warps[i]))
                continue;
            Turn t = take_turn(d, c, i, err);
            if (t == TURN_FAULT)
                return false;
            r->moved |= t == TURN_MOVED;
            r->spent |= t == TURN_SPENT;
            r->polled |= t == TURN_POLLED;
        }
    return err->kind == ERR_NONE;
}

/* Lets another part of a diverged warp run whose running part is blocked. */
static bool yield_some(Drive *d)
{
    for (uint32_t c = 0; c < d->n_ctas; c++)
        for (uint32_t i = 0; i < d->f->n_warps; i++) {
            DriveWarp *w = &d->ctas[c].warps[i];
            if (w->state != DW_PARKED || !d->f->ops->yield(d->f, c, i))
                continue;
            w->n_waits = 0; /* the wait is executed again when its part runs */
            w->state = DW_READY;
            return true;
        }
    return false;
}

/* Threads that have exited count as arrived at a barrier of the whole CTA. */
static bool exited_complete_barrier(Drive *d)
{
    uint32_t all = d->f->n_warps * WARP;
    for (uint32_t c = 0; c < d->n_ctas; c++)
        for (uint32_t i = 0; i < N_NAMED_BARRIERS; i++) {
            NamedBarrier *b = &d->ctas[c].bars[i];
            uint32_t exited = (d->f->n_warps - d->ctas[c].live) * WARP;
            if (!exited || b->expected != all || b->arrived + exited < all)
                continue;
            Op op = {.kind = OK_BAR_ARRIVE, .sync = i};
            if (d->probe)
                d->probe->barrier(d->probe, c, NO_WARP, &op, true);
            return named_barrier_arrive(b, all, all - b->arrived) == BAR_COMPLETE;
        }
    return false;
}

/* Whether each warp that is not parked has at least polled since anything changed. */
static bool all_poll(const Drive *d)
{
    for (uint32_t c = 0; c < d->n_ctas; c++)
        for (uint32_t i = 0; i < d->f->n_warps; i++)
            if (d->ctas[c].warps[i].state == DW_READY && d->x->ctas[c].warps[i].watch.polls == 0)
                return false;
    return true;
}

DriveEnd drive_continue(Drive *d, Err *err)
{
    uint32_t waited = 0;
    if (d->changes != *d->x->changes)
        d->fruitless = 0; /* other clusters have done something */
    for (;;) {
        Round r;
        if (!run_round(d, &r, err))
            return DRIVE_FAILED;
        if (r.live == 0)
            break;
        if (r.moved || d->n > 0)
            d->fruitless = waited = 0;
        if (r.moved)
            continue;
        if (d->n > 0) {
            if (!drive_step(d, err))
                return DRIVE_FAILED;
            continue;
        }
        if (exited_complete_barrier(d) || yield_some(d))
            continue;
        if (!r.spent && !r.polled)
            return DRIVE_STUCK;
        if (r.spent && d->changes != *d->x->changes)
            d->fruitless = waited = 0; /* it works; warps that poll may count while they do */
        d->changes = *d->x->changes;
        uint32_t cost = r.spent ? DRIVE_SPENT : 1;
        d->fruitless += cost;
        waited += cost;
        if (waited >= d->patience && all_poll(d))
            return DRIVE_POLLS;
    }
    while (d->n > 0) /* what nobody waited for still happens */
        if (!drive_step(d, err))
            return DRIVE_FAILED;
    if (d->probe)
        d->probe->cluster_end(d->probe);
    return DRIVE_DONE;
}

/* ---- A cluster from start to end ---- */

/* Linear id of the CTA with this rank in cluster k; clusters are numbered x fastest, ranks too. */
static uint32_t cta_id(const Front *f, uint32_t k, uint32_t rank)
{
    uint32_t id = 0, scale = 1;
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t clusters = f->grid[i] / f->cluster[i];
        id += scale * (k % clusters * f->cluster[i] + rank % f->cluster[i]);
        scale *= f->grid[i];
        k /= clusters;
        rank /= f->cluster[i];
    }
    return id;
}

bool drive_start(Drive *d, uint32_t k, Err *err)
{
    d->head = d->n = 0;
    d->cluster_arrived = d->cluster_generation = 0;
    for (uint32_t c = 0; c < d->n_ctas; c++) {
        DriveCta *cta = &d->ctas[c];
        DriveWarp *warps = cta->warps;
        *cta = (DriveCta){.warps = warps, .live = d->f->n_warps};
        memset(warps, 0, sizeof *warps * d->f->n_warps);
        if (!d->f->ops->cta_start(d->f, c, cta_id(d->f, k, c), err))
            return false;
    }
    if (d->probe)
        d->probe->cluster_start(d->probe);
    return true;
}

void drive_end(Drive *d)
{
    d->stats.ctas += d->n_ctas;
    for (uint32_t c = 0; c < d->n_ctas; c++) {
        for (uint32_t i = 0; i < d->f->n_warps; i++) {
            d->stats.warp_insts += d->x->ctas[c].warps[i].n_insts;
            d->stats.thread_insts += d->x->ctas[c].warps[i].n_lane_insts;
        }
        d->f->ops->cta_end(d->f, c);
    }
}

uint32_t drive_take(Drive *d)
{
    Lane *l = d->lane;
    if (!l || l->next >= l->end)
        return OP_NONE;
    uint32_t k = l->next;
    l->next += l->stride;
    return k;
}

uint32_t drive_cancel(Drive *d)
{
    uint32_t k = drive_take(d);
    return k == OP_NONE ? OP_NONE : cta_id(d->f, k, 0);
}
