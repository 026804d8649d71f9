/* Synchronisation: what parks a warp and what wakes it. The state machines are sim/func/mbar.h and
 * sync.h; here is only when. Latencies: models/README.md.
 *
 *   mbarrier   arrive --mbar.arrive--> phase flips --mbar.wake--> waiting warp issues again
 *   bar.sync   last arrival --bar.latency--> all issue again; arrivals share one port of the SM
 *   cluster    last arrival of the cluster --cluster.barrier--> all issue again
 *
 * A parked warp's stall is one reason from parking to the wake. */
#include <assert.h>
#include <string.h>

#include "sim/time/core.h"

uint32_t sync_key(const Op *op)
{
    switch (op->kind) {
    case OK_MBAR_WAIT:
        return op->sync & 0xffffff;
    case OK_BAR_SYNC:
        return 0x80000000u | op->sync;
    default: /* every other kind that parks has no object of its own */
        return 0xc0000000u;
    }
}

static Stall park_reason(uint32_t kind)
{
    switch (kind) {
    case OK_MBAR_WAIT:
        return ST_MBARRIER;
    case OK_BAR_SYNC:
        return ST_BARRIER;
    case OK_CLUSTER_WAIT:
        return ST_CLUSTER;
    case OK_BULK_WAIT:
    case OK_CPASYNC_WAIT:
    case OK_WGMMA_WAIT:
        return ST_GROUP;
    default: /* TMEM_ALLOC, SETMAXNREG */
        return ST_RESOURCE;
    }
}

void sync_park(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    TWarp *w = &sm->warp[slot];
    w->state = WS_PARKED;
    w->park = *op;
    w->parked_at = now;
    w->ctrl_why = (uint8_t)park_reason(op->kind);
    sm->parked |= 1ull << slot;
}

void sync_unpark(Sm *sm, uint32_t slot, uint32_t key, Cycle at, uint32_t signallers)
{
    TWarp *w = &sm->warp[slot];
    stats_wait(sm->sim, w->id, key, at - w->parked_at, signallers);
    sm->parked &= ~(1ull << slot);
    sm_wake(sm, slot, at);
}

/* The op goes through, but the warp's next issue is not before `at`. */
static void hold(Sm *sm, uint32_t slot, const Op *op, Cycle now, Cycle at)
{
    TWarp *w = &sm->warp[slot];
    w->ctrl = at;
    w->ctrl_why = (uint8_t)park_reason(op->kind);
    stats_wait(sm->sim, w->id, sync_key(op), at - now, 0);
}

Sm *sync_target(Sm *sm, uint32_t sync, bool remote)
{
    uint32_t rank = remote ? sync >> 24 : sm->rank;
    return rank < sm->group->n ? sm->group->sm[rank] : sm;
}

static uint64_t *mbar_word(Sm *sm, uint32_t place, uint32_t addr)
{
    uint64_t *w = sm->sim->front->ops->mbar(sm->sim->front, sm->cta[place].slot, addr & 0xffffff,
                                            sm->sim->err);
    if (!w)
        sm->sim->failed = true;
    return w;
}

/* ---- mbarrier ---- */

static void wake_mbar(Sm *sm, uint32_t place, uint32_t addr, uint64_t word, uint32_t signallers,
                      Cycle now)
{
    const Params *p = &sm->sim->p;
    for (uint64_t m = sm->parked; m; m &= m - 1) {
        uint32_t slot = (uint32_t)__builtin_ctzll(m);
        TWarp *w = &sm->warp[slot];
        if (w->cta != place || w->park.kind != OK_MBAR_WAIT ||
            ((w->park.sync ^ addr) & 0xffffff) != 0 || !mbar_phase_done(word, w->park.arg0))
            continue;
        Cycle at = now + p->wake, least = w->parked_at + p->try_wait;
        sync_unpark(sm, slot, addr & 0xffffff, at > least ? at : least, signallers);
    }
}

void sync_arrive(Sm *sm, const Event *e, Cycle now)
{
    sm->cta[e->who].out--;
    uint64_t *word = mbar_word(sm, e->who, e->a);
    if (!word)
        return;
    MbarResult r = e->kind == EV_TX ? mbar_tx(word, e->c)
                   : e->flag        ? mbar_arrive_drop(word, e->b, (uint32_t)e->c)
                                    : mbar_arrive(word, e->b, (uint32_t)e->c);
    deadlock_note(sm, e, r == MBAR_FLIPPED);
    if (r == MBAR_FLIPPED)
        wake_mbar(sm, e->who, e->a, *word, 1u << (e->warp % 32), now);
    else if (r != MBAR_OK)
        fault_at(sm->sim, e->op, ERR_FAULT, mbar_result_text(r), e->a & 0xffffff);
}

void sync_send(Sm *sm, uint32_t place, const Op *op, Event e)
{
    bool remote = op->flags & OPF_REMOTE;
    Sm *to = sync_target(sm, op->sync, remote);
    e.at += remote ? sm->sim->p.dsmem_arrive : sm->sim->p.arrive;
    e.who = place;
    e.rank = (uint8_t)sm->rank;
    e.a = op->sync;
    e.op = op->info;
    to->cta[place].out++;
    sm_post(to, e);
}

static void mbar_wait(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    const uint64_t *word = mbar_word(sm, sm->warp[slot].cta, op->sync);
    if (!word)
        return;
    if (mbar_phase_done(*word, op->arg0))
        hold(sm, slot, op, now, now + sm->sim->p.try_wait);
    else
        sync_park(sm, slot, op, now);
}

static void mbar_op(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    TWarp *w = &sm->warp[slot];
    Event e = {.at = now, .warp = w->id};
    uint64_t *word;
    switch ((OpKind)op->kind) {
    case OK_MBAR_INIT:
    case OK_MBAR_INVAL:
        word = mbar_word(sm, w->cta, op->sync);
        if (word && op->kind == OK_MBAR_INVAL)
            mbar_inval(word);
        else if (word && mbar_init(word, op->arg0) != MBAR_OK)
            fault_at(sm->sim, op->info, ERR_FAULT, mbar_result_text(MBAR_BAD_COUNT),
                     op->sync & 0xffffff);
        deadlock_note_init(sm, w->cta, op);
        return;
    case OK_MBAR_ARRIVE:
        e.kind = EV_ARRIVE;
        e.b = op->arg0;
        e.c = (int32_t)op->arg1;
        e.flag = (op->flags & OPF_DROP) != 0;
        break;
    default: /* MBAR_TX */
        e.kind = EV_TX;
        e.c = (int32_t)op->arg1;
        break;
    }
    sync_send(sm, w->cta, op, e);
}

/* ---- named and cluster barriers ---- */

static void bar_release(Sm *sm, uint32_t place, uint32_t bar, uint32_t warp, Cycle at)
{
    for (uint64_t m = sm->parked; m; m &= m - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(m);
        TWarp *v = &sm->warp[i];
        if (v->cta == place && v->park.kind == OK_BAR_SYNC && v->park.sync == bar)
            sync_unpark(sm, i, sync_key(&v->park), at, 1u << (warp % 32));
    }
}

/* Threads that have exited count as arrived at a barrier of the whole CTA. */
void sync_bar_exited(Sm *sm, uint32_t slot, Cycle now)
{
    const TWarp *w = &sm->warp[slot];
    TCta *c = &sm->cta[w->cta];
    uint32_t all = sm->sim->n_warps * WARP_LANES, left = c->warps_left * WARP_LANES;
    for (uint32_t i = 0; left < all && i < N_NAMED_BARRIERS; i++) {
        NamedBarrier *b = &c->bar[i];
        if (b->arrived == 0 || b->expected != all || b->arrived < left)
            continue;
        if (named_barrier_arrive(b, all, all - b->arrived) == BAR_COMPLETE)
            bar_release(sm, w->cta, i, w->id, now + sm->sim->p.bar);
    }
}

static void named_barrier(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    TWarp *w = &sm->warp[slot];
    Cycle at = now + sm->sim->p.bar;
    assert(op->sync < N_NAMED_BARRIERS);
    BarResult r = named_barrier_arrive(&sm->cta[w->cta].bar[op->sync], op->arg0, op->arg1);
    if (r == BAR_MISMATCH || r == BAR_OVERFLOW) {
        fault_at(sm->sim, op->info, ERR_FAULT,
                 r == BAR_MISMATCH ? "barrier: another thread count than the earlier arrivals"
                                   : "barrier: more arrivals than threads expected",
                 0x80000000u | op->sync);
        return;
    }
    if (r == BAR_WAITING) {
        if (op->kind == OK_BAR_SYNC)
            sync_park(sm, slot, op, now);
        sync_bar_exited(sm, slot, now);
        return;
    }
    bar_release(sm, w->cta, op->sync, w->id, at);
    if (op->kind == OK_BAR_SYNC)
        hold(sm, slot, op, now, at);
}

/* All warps of the cluster that still run have arrived: a new phase. */
static void cluster_check(Sm *sm, uint32_t place, uint32_t warp, Cycle now)
{
    const Params *p = &sm->sim->p;
    Cluster *c = &sm->group->cluster[place];
    if (c->arrived < c->warps || c->arrived == 0)
        return;
    c->done = now + (c->relaxed ? p->cluster_relaxed : p->cluster_bar);
    c->arrived = 0;
    c->phase++;
    c->relaxed = true;
    for (uint32_t r = 0; r < sm->group->n; r++) {
        Sm *to = sm->group->sm[r];
        for (uint64_t m = to->parked; m; m &= m - 1) {
            uint32_t i = (uint32_t)__builtin_ctzll(m);
            if (to->warp[i].cta == place && to->warp[i].park.kind == OK_CLUSTER_WAIT)
                sync_unpark(to, i, 0xc0000000u, c->done, 1u << (warp % 32));
        }
    }
}

static void cluster_op(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    TWarp *w = &sm->warp[slot];
    Cluster *c = &sm->group->cluster[w->cta];
    if (op->kind == OK_CLUSTER_ARRIVE) {
        w->cluster_phase = c->phase;
        c->arrived++;
        c->relaxed = c->relaxed && op->arg0 == 1;
        cluster_check(sm, w->cta, w->id, now);
    } else if (w->cluster_phase != c->phase) {
        hold(sm, slot, op, now, c->done > now + 1 ? c->done : now + 1);
    } else {
        sync_park(sm, slot, op, now);
    }
}

void sync_cluster_exit(Sm *sm, uint32_t slot, Cycle now)
{
    TWarp *w = &sm->warp[slot];
    Cluster *c = &sm->group->cluster[w->cta];
    c->warps--;
    if (w->cluster_phase == c->phase)
        c->arrived--; /* counted as absent, not as arrived */
    cluster_check(sm, w->cta, w->id, now);
}

/* ---- completion groups ---- */

/* True if at most `pending` of the committed groups are not complete (or not read). */
bool sync_groups_done(const GroupCount *g, uint32_t pending, bool read)
{
    if (pending >= g->committed)
        return true;
    uint32_t last = g->committed - pending; /* this many groups must be complete */
    uint32_t end = pending >= GROUP_RING ? 0 : g->end[(last - 1) % GROUP_RING];
    return (int32_t)((read ? g->read : g->done) - end) >= 0;
}

static void group_commit(GroupCount *g)
{
    g->end[g->committed++ % GROUP_RING] = g->issued;
}

static bool group_wait_done(const TWarp *w, const Op *op)
{
    if (op->kind == OK_WGMMA_WAIT)
        return sync_groups_done(&w->wg, op->arg0, false);
    return op->kind == OK_BULK_WAIT ? sync_groups_done(&w->bulk, op->arg0, op->arg1 == 1)
                                    : sync_groups_done(&w->cp, op->arg0, false);
}

void sync_groups_check(Sm *sm, uint32_t slot, Cycle now)
{
    TWarp *w = &sm->warp[slot];
    const Params *p = &sm->sim->p;
    uint32_t kind = w->park.kind;
    if (w->state == WS_PARKED &&
        (kind == OK_BULK_WAIT || kind == OK_CPASYNC_WAIT || kind == OK_WGMMA_WAIT) &&
        group_wait_done(w, &w->park))
        sync_unpark(sm, slot, sync_key(&w->park),
                    now + (kind == OK_WGMMA_WAIT ? p->lat_commit : p->group_wake), 0);
}

static void group_wait(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    if (!group_wait_done(&sm->warp[slot], op))
        sync_park(sm, slot, op, now);
}

/* cp.async.mbarrier.arrive: sent when the warp's earlier copies are complete. */
void sync_cp_check(Sm *sm, uint32_t slot, Cycle now)
{
    TWarp *w = &sm->warp[slot];
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sm->n_cp_arrives; i++) {
        CpArrive a = sm->cp_arrive[i];
        if (a.cta != w->cta || a.warp != w->id || (int32_t)(w->cp.done - a.after) < 0) {
            sm->cp_arrive[kept++] = a;
            continue;
        }
        sm_post(sm, (Event){.at = now + sm->sim->p.arrive,
                            .kind = EV_ARRIVE,
                            .warp = a.warp,
                            .rank = (uint8_t)sm->rank,
                            .op = a.op,
                            .who = a.cta,
                            .a = a.sync,
                            .b = a.count});
    }
    sm->n_cp_arrives = kept;
}

static void cp_arrive(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    TWarp *w = &sm->warp[slot];
    uint64_t *word = op->arg1 ? NULL : mbar_word(sm, w->cta, op->sync);
    if (word && mbar_inc_pending(word, op->arg0) != MBAR_OK)
        fault_at(sm->sim, op->info, ERR_FAULT, mbar_result_text(MBAR_BAD_COUNT),
                 op->sync & 0xffffff);
    if (sm->n_cp_arrives == MAX_CP_ARRIVES) {
        fault_at(sm->sim, op->info, ERR_UNSUPPORTED,
                 "too many cp.async.mbarrier.arrive pend on one SM", op->sync);
        return;
    }
    sm->cp_arrive[sm->n_cp_arrives++] = (CpArrive){.sync = op->sync,
                                                   .count = op->arg0,
                                                   .after = w->cp.issued,
                                                   .op = op->info,
                                                   .warp = w->id,
                                                   .cta = w->cta};
    sm->cta[w->cta].out++;
    sync_cp_check(sm, slot, now);
}

/* ---- resources ---- */

/* The SM of the other CTA of a pair that allocates together (cta_group::2), or NULL. */
static Sm *pair_sm(Sm *sm, const Op *op)
{
    uint32_t rank = sm->rank ^ 1;
    return op->flags & OPF_PAIR && rank < sm->group->n ? sm->group->sm[rank] : NULL;
}

/* The warp of the CTA at this place that waits for its part of the same allocation, or MAX_WARPS.
 */
static uint32_t pair_warp(const Sm *sm, uint32_t place, const Op *op)
{
    for (uint64_t m = sm->parked; m; m &= m - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(m);
        const TWarp *w = &sm->warp[i];
        if (w->cta == place && w->park.kind == OK_TMEM_ALLOC && w->park.flags & OPF_PAIR &&
            w->park.arg0 == op->arg0)
            return i;
    }
    return MAX_WARPS;
}

/* Tries to get what the op asks for; true: the warp goes on at *at. */
static bool take_resource(Sm *sm, uint32_t slot, const Op *op, Cycle now, Cycle *at)
{
    TWarp *w = &sm->warp[slot];
    TCta *c = &sm->cta[w->cta];
    const Params *p = &sm->sim->p;
    if (op->kind == OK_SETMAXNREG) {
        *at = now + p->setmaxnreg;
        return reg_pool_set(&c->regs, w->id, op->arg0);
    }
    *at = now + p->tmem_alloc;
    Sm *peer = pair_sm(sm, op);
    uint32_t other = peer ? pair_warp(peer, w->cta, op) : MAX_WARPS;
    if (peer && other == MAX_WARPS)
        return false;
    int32_t column =
        peer ? tmem_alloc_pair(&sm->tmem, c->slot, &peer->tmem, peer->cta[w->cta].slot, op->arg0)
             : tmem_alloc(&sm->tmem, c->slot, op->arg0);
    if (column < 0)
        return false;
    sm->sim->front->ops->tmem_alloc_done(sm->sim->front, c->slot, w->id, (uint32_t)column);
    if (peer) {
        sm->sim->front->ops->tmem_alloc_done(sm->sim->front, peer->cta[w->cta].slot,
                                             peer->warp[other].id, (uint32_t)column);
        sync_unpark(peer, other, 0xc0000000u, *at, 0);
    }
    return true;
}

/* Gives freed resources to parked warps, in the order in which they asked; one that cannot be
 * served stops later ones of the same kind, so that nobody starves. */
void sync_release(Sm *sm, Cycle now)
{
    uint64_t left = sm->parked;
    bool blocked[2] = {false, false};
    while (left) {
        uint32_t first = MAX_WARPS;
        for (uint64_t m = left; m; m &= m - 1) {
            uint32_t i = (uint32_t)__builtin_ctzll(m);
            if (first == MAX_WARPS || sm->warp[i].parked_at < sm->warp[first].parked_at)
                first = i;
        }
        left &= ~(1ull << first);
        TWarp *w = &sm->warp[first];
        if (w->park.kind != OK_TMEM_ALLOC && w->park.kind != OK_SETMAXNREG)
            continue;
        bool *stop = &blocked[w->park.kind == OK_TMEM_ALLOC];
        Cycle at;
        if (!*stop && take_resource(sm, first, &w->park, now, &at))
            sync_unpark(sm, first, 0xc0000000u, at, 0);
        else if (w->park.kind == OK_TMEM_ALLOC) /* for want of columns, not of its peer */
            *stop = !pair_sm(sm, &w->park) ||
                    pair_warp(pair_sm(sm, &w->park), w->cta, &w->park) != MAX_WARPS;
    }
}

static void resource_op(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    Cycle at;
    uint32_t had = sm->cta[sm->warp[slot].cta].regs.free_regs;
    if (!take_resource(sm, slot, op, now, &at)) {
        sync_park(sm, slot, op, now);
        return;
    }
    hold(sm, slot, op, now, at);
    if (op->kind == OK_SETMAXNREG && sm->cta[sm->warp[slot].cta].regs.free_regs > had)
        sync_release(sm, now);
}

static void tmem_free(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    TWarp *w = &sm->warp[slot];
    if (!tmem_dealloc(&sm->tmem, sm->cta[w->cta].slot, op->arg1, op->arg0))
        fault_at(sm->sim, op->info, ERR_FAULT, "tcgen05.dealloc: no such allocation", op->arg1);
    w->ctrl = now + sm->sim->p.tmem_dealloc;
    w->ctrl_why = ST_RESOURCE;
    sync_release(sm, now);
}

void sync_op(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    TWarp *w = &sm->warp[slot];
    switch ((OpKind)op->kind) {
    case OK_MBAR_WAIT:
        mbar_wait(sm, slot, op, now);
        break;
    case OK_BAR_SYNC:
    case OK_BAR_ARRIVE:
        named_barrier(sm, slot, op, now);
        break;
    case OK_CLUSTER_ARRIVE:
    case OK_CLUSTER_WAIT:
        cluster_op(sm, slot, op, now);
        break;
    case OK_BULK_COMMIT:
        group_commit(&w->bulk);
        break;
    case OK_CPASYNC_COMMIT:
        group_commit(&w->cp);
        break;
    case OK_WGMMA_COMMIT:
        group_commit(&w->wg);
        break;
    case OK_BULK_WAIT:
    case OK_CPASYNC_WAIT:
    case OK_WGMMA_WAIT:
        group_wait(sm, slot, op, now);
        break;
    case OK_CPASYNC_ARRIVE:
        cp_arrive(sm, slot, op, now);
        break;
    case OK_TMEM_ALLOC:
    case OK_SETMAXNREG:
        resource_op(sm, slot, op, now);
        break;
    case OK_TMEM_DEALLOC:
        tmem_free(sm, slot, op, now);
        break;
    default:
        mbar_op(sm, slot, op, now);
        break;
    }
}
