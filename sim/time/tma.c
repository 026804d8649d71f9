/* Copies in flight: TMA loads, stores, reductions, prefetches, copies within the cluster, cp.async,
 * st.async and red.async; and requests of cluster launch control.
 *
 *   load    issue -> engine takes it up (interval, box rows) -> L2/HBM
 *           -> data written through the shared-memory budget
 *           -> complete: bytes counted on the mbarrier
 *   store   issue -> engine -> read through the shared-memory budget (.read groups) -> L2
 *           -> complete (groups)
 *   remote  issue -> engine (copies) or LSU (st.async, red.async) -> port to the cluster
 *           -> complete: bytes counted on the mbarrier
 *
 * The engine starts in order; completions come as time has it, except that one warp's stores
 * complete in order. models/README.md. Not modelled: splitting of boxes into L2 requests,
 * descriptor fetches. */
#include <assert.h>

#include "sim/time/core.h"

static uint32_t flight_take(Sm *sm)
{
    uint32_t i = sm->flight_free;
    assert(i != UINT32_MAX);
    sm->flight_free = sm->flight[i].next;
    return i;
}

static void flight_release(Sm *sm, uint32_t i, Cycle now)
{
    Flight *f = &sm->flight[i];
    uint32_t cta = f->cta;
    f->next = sm->flight_free;
    sm->flight_free = i;
    if (f->kind == FL_LDGSTS || f->kind == FL_REMOTE) {
        if (sm->loads_out-- == LOADS_IN_FLIGHT)
            sm_open(sm, P_LSU, now);
    } else if (sm->tma_out-- == sm->sim->p.tma_queue) {
        sm_open(sm, P_TMA, now);
    }
    sm->cta[cta].out--;
    sm_cta_check_end(sm, cta, now);
}

static Cycle whole_cycles(double c)
{
    Cycle n = (Cycle)c;
    return (double)n < c ? n + 1 : n;
}

static uint32_t flight_new(Sm *sm, uint32_t slot, const Op *op, FlightKind kind)
{
    TWarp *w = &sm->warp[slot];
    uint32_t i = flight_take(sm);
    sm->flight[i] = (Flight){.kind = (uint8_t)kind,
                             .op = op->info,
                             .flags = op->flags,
                             .warp = w->id,
                             .cta = w->cta,
                             .rows = op->waves,
                             .mask = op->flags & OPF_PAIR ? (uint16_t)op->arg1 : 0,
                             .by_pair = op->kind == OK_TMA_LOAD && op->arg0,
                             .bytes = op->bytes,
                             .sync = op->sync,
                             .handle = op->handle,
                             .addr = op->addr};
    sm->cta[w->cta].out++;
    return i;
}

static void take_up_ldgsts(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    uint32_t i = flight_new(sm, slot, op, FL_LDGSTS);
    sm->flight[i].addr = op->addr >> 3; /* sector to 256-byte granule */
    sm->flight[i].seq = sm->warp[slot].cp.issued++;
    if (++sm->loads_out >= LOADS_IN_FLIGHT)
        sm->pipe_free[pipe_index(P_LSU, 0)] = CYCLE_NEVER;
    tma_start(sm, i, now);
}

Cycle dsmem_pass(Sm *sm, uint32_t bytes, Cycle now)
{
    if (sm->dsmem_port < (double)now)
        sm->dsmem_port = (double)now;
    sm->dsmem_port += bytes / sm->sim->p.dsmem_bytes;
    return whole_cycles(sm->dsmem_port);
}

/* st.async and red.async leave through the LSU. */
static void send_remote(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    uint32_t i = flight_new(sm, slot, op, FL_REMOTE);
    Cycle passed = dsmem_pass(sm, op->bytes, now);
    if (++sm->loads_out >= LOADS_IN_FLIGHT)
        sm->pipe_free[pipe_index(P_LSU, 0)] = CYCLE_NEVER;
    sm_async(sm, sm->warp[slot].cta, op->handle, ASYNC_READ);
    sm_post(sm, (Event){.at = passed + sm->sim->p.dsmem, .kind = EV_FLIGHT_DONE, .who = i});
}

/* try_cancel goes to the chip's scheduler, not through the engine, but counts among its operations
 * in flight. */
static void ask_scheduler(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    uint32_t i = flight_new(sm, slot, op, FL_CANCEL);
    if (++sm->tma_out >= sm->sim->p.tma_queue)
        sm->pipe_free[pipe_index(P_TMA, 0)] = CYCLE_NEVER;
    memory_request(sm, (Request){.at = now, .who = i, .kind = RQ_CANCEL});
}

void tma_issue(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    const Params *p = &sm->sim->p;
    if (op->kind == OK_CPASYNC) {
        take_up_ldgsts(sm, slot, op, now);
        return;
    }
    if (op->kind == OK_CANCEL) {
        ask_scheduler(sm, slot, op, now);
        return;
    }
    if (op->kind == OK_REMOTE && !op->arg0) {
        send_remote(sm, slot, op, now);
        return;
    }
    FlightKind kind = op->kind == OK_REMOTE      ? FL_COPY
                      : op->kind == OK_TMA_LOAD  ? FL_LOAD
                      : op->kind != OK_TMA_STORE ? FL_PREFETCH
                      : op->arg0                 ? FL_REDUCE
                                                 : FL_STORE;
    uint32_t i = flight_new(sm, slot, op, kind);
    if (kind == FL_STORE || kind == FL_REDUCE)
        sm->warp[slot].bulk.issued++;
    Cycle rows = whole_cycles(op->waves * p->tma_row),
          takes = rows > p->tma_interval ? rows : p->tma_interval;
    Cycle start = sm->tma_free > now ? sm->tma_free : now;
    sm->tma_free = start + takes;
    sm->tma_busy += takes;
    if (++sm->tma_out >= p->tma_queue)
        sm->pipe_free[pipe_index(P_TMA, 0)] = CYCLE_NEVER;
    if (start == now)
        tma_start(sm, i, now);
    else
        sm_post(sm, (Event){.at = start, .kind = EV_TMA_START, .who = i});
}

static void request(Sm *sm, uint32_t flight, Cycle now)
{
    const Flight *f = &sm->flight[flight];
    memory_request(
        sm,
        (Request){.at = now, .addr = f->addr, .bytes = f->bytes, .who = flight, .kind = RQ_FLIGHT});
}

void tma_start(Sm *sm, uint32_t flight, Cycle now)
{
    Flight *f = &sm->flight[flight];
    if (f->kind == FL_COPY) {
        sm_async(sm, f->cta, f->handle, ASYNC_READ);
        sm_post(sm, (Event){.at = dsmem_pass(sm, f->bytes, now) + sm->sim->p.dsmem,
                            .kind = EV_FLIGHT_DONE,
                            .who = flight});
        return;
    }
    if (f->kind != FL_STORE && f->kind != FL_REDUCE) {
        sm_async(sm, f->cta, f->handle, ASYNC_READ);
        request(sm, flight, now);
        return;
    }
    double rate = f->kind == FL_STORE ? sm->sim->p.tma_store_bytes : sm->sim->p.tma_reduce_bytes;
    Cycle due = now + whole_cycles(f->bytes / rate);
    if (f->bytes == 0)
        sm_post(sm, (Event){.at = now + 1, .kind = EV_STORE_READ, .who = flight});
    else
        smem_add(sm, SC_READ, (SmemJob){.left = f->bytes, .flight = flight, .due = due}, now);
}

/* The chip has served the request: data arrive from `first` to `last`; stores: complete at `last`.
 */
void tma_served(Sm *sm, uint32_t flight, Cycle first, Cycle last)
{
    Flight *f = &sm->flight[flight];
    f->due = last;
    if (f->kind == FL_LOAD || f->kind == FL_LDGSTS) {
        sm_post(sm, (Event){.at = first, .kind = EV_TMA_DATA, .who = flight});
        return;
    }
    if (f->kind != FL_PREFETCH) {
        GroupCount *g = &sm->warp[sm_slot(sm, f->cta, f->warp)].bulk;
        if (last < g->last_done)
            last = g->last_done;
        g->last_done = last;
    }
    sm_post(sm, (Event){.at = last, .kind = EV_FLIGHT_DONE, .who = flight});
}

void tma_data(Sm *sm, uint32_t flight, Cycle now)
{
    const Flight *f = &sm->flight[flight];
    if (f->bytes == 0) {
        sm_post(sm, (Event){.at = f->due, .kind = EV_FLIGHT_DONE, .who = flight});
        return;
    }
    SmemJob job = {.left = f->bytes, .flight = UINT32_MAX, .due = f->due};
    bool own = f->mask == 0 || (f->mask >> sm->rank & 1);
    for (uint32_t r = 0; r < sm->group->n;
         r++) { /* multicast: the other CTAs' shared memory is written as well */
        Sm *to = sm->group->sm[r];
        if (to != sm && (f->mask >> r & 1))
            smem_add_quiet(to, SC_WRITE, job, now);
    }
    job.flight = flight;
    if (own)
        smem_add(sm, SC_WRITE, job, now);
    else
        sm_post(sm, (Event){.at = f->due, .kind = EV_FLIGHT_DONE, .who = flight});
}

void tma_smem_done(Sm *sm, uint32_t flight, SmemClient c, Cycle at)
{
    sm_post(
        sm,
        (Event){.at = at, .kind = c == SC_READ ? EV_STORE_READ : EV_FLIGHT_DONE, .who = flight});
}

/* The data of a store are captured when the last byte has been read: a program that overwrites them
 * before it has waited for .read stores the wrong bytes here as well. */
void tma_store_read(Sm *sm, uint32_t flight, Cycle now)
{
    Flight *f = &sm->flight[flight];
    uint32_t slot = sm_slot(sm, f->cta, f->warp);
    sm_async(sm, f->cta, f->handle, ASYNC_READ);
    sm->warp[slot].bulk.read++;
    sync_groups_check(sm, slot, now);
    request(sm, flight, now);
}

static void complete_tx(Sm *sm, const Flight *f, Cycle now)
{
    Event e = {.at = now,
               .kind = EV_TX,
               .warp = f->warp,
               .rank = (uint8_t)sm->rank,
               .op = f->op,
               .who = f->cta,
               .a = f->sync,
               .c = -(int32_t)f->bytes};
    if (f->mask == 0) {
        Sm *to = sync_target(sm, f->sync, f->flags & OPF_REMOTE);
        to->cta[f->cta].out++;
        sync_arrive(to, &e, now);
        return;
    }
    for (uint32_t r = 0; r < sm->group->n; r++) {
        if (f->mask >> r & 1) { /* engine.h, load_op */
            Sm *to = sm->group->sm[f->by_pair ? (r & ~1u) | (f->sync >> 24 & 1) : r];
            to->cta[f->cta].out++;
            sync_arrive(to, &e, now);
        }
    }
}

/* Copies complete in any order; groups count them in the order of issue. */
static void copy_done(GroupCount *g, uint32_t seq)
{
    seq %= COPY_RING;
    g->ahead[seq / 64] |= 1ull << seq % 64;
    for (uint32_t n; n = g->done % COPY_RING, g->ahead[n / 64] >> n % 64 & 1; g->done++)
        g->ahead[n / 64] &= ~(1ull << n % 64);
    g->read = g->done;
}

void tma_done(Sm *sm, uint32_t flight, Cycle now)
{
    Flight f = sm->flight[flight];
    uint32_t slot = sm_slot(sm, f.cta, f.warp);
    TWarp *w = &sm->warp[slot];
    sm_async(sm, f.cta, f.handle, ASYNC_DONE);
    switch ((FlightKind)f.kind) {
    case FL_LOAD:
    case FL_CANCEL:
    case FL_REMOTE:
    case FL_COPY:
        complete_tx(sm, &f, now);
        break;
    case FL_STORE:
    case FL_REDUCE:
        w->bulk.done++;
        sync_groups_check(sm, slot, now);
        break;
    case FL_LDGSTS:
        copy_done(&w->cp, f.seq);
        sync_groups_check(sm, slot, now);
        sync_cp_check(sm, slot, now);
        break;
    case FL_PREFETCH:
        break;
    }
    flight_release(sm, flight, now);
}
