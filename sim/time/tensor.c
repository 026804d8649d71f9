/* The tensor core of an SM: one queue, in order. An operation starts when the one before has passed
 * (initiation interval), its operands come through the shared-memory budget, its result is complete
 * some time later.
 *
 * Copies (tcgen05.cp) go through the same queue but not through the array: one may start while an
 * MMA is under way, as soon as the front end is free, which each operation holds for its least
 * interval. An MMA waits for the copies before it. So a copy is hidden behind long MMAs and adds to
 * short ones, as measured: models/README.md (QuickRunCUDA, cp behind MMA). A shift waits for all.
 *
 *      issue --lat.issue--> start ---interval (stretched if smem is short)---> next may start
 *                           |--A read--|--rows--|--lat.pipeline--> done --commit--> arrive -->
 * phase flips --> wake
 *
 * Interval, latency and the split of the latter: models/README.md (SemiAnalysis umma_throughput,
 * umma_latency). A commit arrives when the committing warp's earlier operations are complete.
 * cta_group::2: the issuing CTA's queue runs it, both SMs read their half of the operands and count
 * half of the work.
 *
 * Not modelled: the peer's tensor core being busy with work of its own, dependences between MMAs
 * (in order anyway). */
#include <assert.h>

#include "sim/time/core.h"

enum { MMA, COPY }; /* what may be under way at once */

static double k_elements(uint32_t rate, uint32_t k_bytes)
{
    static const double per_byte[RATE_COUNT] = {
        [RATE_F16] = 0.5, [RATE_8] = 1, [RATE_4] = 2, [RATE_TF32] = 0.25, [RATE_I8] = 1};
    return k_bytes * per_byte[rate];
}

static uint32_t ceil_u32(double v)
{
    uint32_t n = (uint32_t)v;
    return n < v ? n + 1 : n;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void mma_shape(const Sim *s, const Op *op, TensorOp *t)
{
    const Params *p = &s->p;
    uint32_t m = op->arg0 & 0xffff, n = op->arg0 >> 16, rate = op->arg1 >> MMA_RATE_SHIFT & 0xff;
    bool cg2 = op->arg1 & MMA_CG2, ts = op->arg1 & MMA_A_TMEM;
    assert(rate < RATE_COUNT);
    uint32_t own_rows = cg2 ? m / 2 : m, bytes = s->sm->smem.bytes;
    double k = k_elements(rate, op->waves);
    uint32_t pass =
        ceil_u32(2.0 * max_u32(own_rows, cg2 ? p->rows_cg2 : p->rows) * n * k / p->rate[rate]);
    uint32_t a_bytes = ts ? 0 : own_rows * op->waves, b_bytes = (cg2 ? n / 2 : n) * op->waves;
    uint32_t read = (a_bytes + b_bytes + bytes - 1) / bytes;
    if (cg2 && !ts)
        read += m > 128 ? p->cg2_smem_m256 : p->cg2_smem_m128;
    uint32_t floor = cg2      ? p->floor_cg2
                     : ts     ? p->floor_ts
                     : m > 64 ? p->floor_ss128
                              : p->floor_ss64;
    t->cg2 = cg2;
    t->smem_bytes = a_bytes + b_bytes;
    t->front = max_u32(floor, 1);
    t->interval = max_u32(max_u32(pass, read), t->front);
    t->latency = a_bytes / bytes + pass + p->lat_pipe;
    if (cg2)
        t->latency += m > 128 ? p->lat_cg2_m256 : p->lat_cg2_m128;
    if (op->arg1 & MMA_SCALED)
        t->latency += cg2 || ts ? p->lat_scaled : p->lat_scaled_ss;
    t->flops = 2.0 * m * n * k;
}

/* tcgen05.cp, and tcgen05.shift, which moves no bytes of shared memory. */
static void copy_shape(const Params *p, const Op *op, TensorOp *t)
{
    t->is_copy = true;
    t->is_shift = op->bytes == 0;
    t->cg2 = op->flags & OPF_PAIR;
    t->smem_bytes = op->bytes;
    t->interval = max_u32(max_u32(p->cp_floor, ceil_u32(op->bytes / p->cp_bytes)), 1);
    if (t->is_shift)
        t->interval = max_u32(p->shift_interval, 1);
    t->front = t->interval;
    t->latency = t->interval + p->cp_latency;
}

static Sm *peer_of(Sm *sm)
{
    uint32_t rank = sm->rank ^ 1;
    return rank < sm->group->n ? sm->group->sm[rank] : sm;
}

static void count_share(Tensor *t, double flops, double rate)
{
    t->mmas++;
    t->flops += flops;
    t->ideal += flops / rate;
}

static void count_work(Sm *sm, const TensorOp *t, double rate)
{
    double share = t->cg2 ? t->flops / 2 : t->flops;
    count_share(&sm->tensor, share, rate);
    if (t->cg2)
        count_share(&peer_of(sm)->tensor, share, rate);
}

static void close_if_full(Sm *sm)
{
    Tensor *t = &sm->tensor;
    if (t->tail - t->run >= sm->sim->p.tensor_queue || t->tail - t->head >= TENSOR_RING - 1 ||
        t->n_commits >= MAX_COMMITS - OP_BURST)
        sm->pipe_free[pipe_index(P_TENSOR, 0)] = CYCLE_NEVER;
}

static void open_if_room(Sm *sm, Cycle now)
{
    Tensor *t = &sm->tensor;
    if (sm->pipe_free[pipe_index(P_TENSOR, 0)] == CYCLE_NEVER &&
        t->tail - t->run < sm->sim->p.tensor_queue && t->tail - t->head < TENSOR_RING - 1 &&
        t->n_commits < MAX_COMMITS - OP_BURST)
        sm_open(sm, P_TENSOR, now);
}

/* A warp's quarter of a wgmma: true if all four have issued, with their handles in e. */
static bool join_warpgroup(Sm *sm, uint32_t slot, const Op *op, TensorOp *e)
{
    TWarp *w = &sm->warp[slot];
    WgJoin *j = &sm->cta[w->cta].wg[w->id / WG_WARPS];
    w->wg.issued++;
    WgResult r = wg_join(j, w->id % WG_WARPS, op->arg0, op->handle, e->handle);
    if (r == WG_MISMATCH || r == WG_TOO_FAR)
        fault_at(sm->sim, op->info, ERR_FAULT, wg_result_text(r), 0);
    e->wgmma = true;
    e->warp = w->id / WG_WARPS * WG_WARPS;
    return r == WG_COMPLETE;
}

/* The front end's step of each part. */
static void run_parts(Sm *sm, const TensorOp *e, AsyncStep step)
{
    for (uint32_t i = 0; i < (e->wgmma ? WG_WARPS : 1u); i++)
        sm_async(sm, e->cta, e->handle[i], step);
}

void tensor_issue(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    Tensor *t = &sm->tensor;
    TWarp *w = &sm->warp[slot];
    const Params *p = &sm->sim->p;
    assert(t->tail - t->head < TENSOR_RING);
    TensorOp *e = &t->ring[t->tail % TENSOR_RING];
    *e = (TensorOp){.cta = w->cta,
                    .warp = w->id,
                    .handle = {op->handle},
                    .seq = t->tail,
                    .ready = now + p->lat_issue};
    if (op->kind == OK_WGMMA && !join_warpgroup(sm, slot, op, e))
        return;
    if (op->kind != OK_TMEM_CP) {
        mma_shape(sm->sim, op, e);
        count_work(sm, e, p->rate[op->arg1 >> MMA_RATE_SHIFT & 0xff]);
        sm->sim->res->mma_flops += (uint64_t)e->flops;
    } else {
        copy_shape(p, op, e);
    }
    w->tensor_seq = t->tail++;
    if (!e->wgmma)
        w->tensor_out++;
    sm->cta[w->cta].out++;
    if (!t->posted && (!t->running[MMA] || e->is_copy)) {
        t->posted = true;
        sm_post(sm, (Event){.at = e->ready, .kind = EV_TENSOR_START});
    }
    close_if_full(sm);
}

/* Whether what is under way keeps the next operation from starting. */
static bool must_wait(const Tensor *t, const TensorOp *e)
{
    if (e->is_copy && !e->is_shift)
        return t->running[COPY];
    return t->running[MMA] || t->running[COPY];
}

static void start_one(Sm *sm, TensorOp *e, Cycle now)
{
    Tensor *t = &sm->tensor;
    t->running[e->is_copy] = true;
    t->current[e->is_copy] = t->run++;
    t->front_free = now + e->front;
    e->started = now;
    e->end = now + e->interval;
    run_parts(sm, e, ASYNC_READ);
    e->streams = e->smem_bytes == 0 ? 0 : e->cg2 && peer_of(sm) != sm ? 2 : 1;
    SmemClient client = e->is_copy ? SC_COPY : SC_MMA;
    SmemJob job = {.left = e->smem_bytes, .flight = sm->rank, .due = e->end};
    if (e->streams == 0)
        sm_post(sm, (Event){.at = e->end, .kind = EV_TENSOR_END, .a = e->is_copy});
    if (e->streams == 2)
        smem_add(peer_of(sm), client, job, now);
    if (e->smem_bytes)
        smem_add(sm, client, job, now);
}

void tensor_start(Sm *sm, Cycle now)
{
    Tensor *t = &sm->tensor;
    t->posted = false;
    while (t->run != t->tail) {
        TensorOp *e = &t->ring[t->run % TENSOR_RING];
        Cycle at = e->ready > t->front_free ? e->ready : t->front_free;
        if (must_wait(t, e))
            return;
        if (at > now) {
            t->posted = true;
            sm_post(sm, (Event){.at = at, .kind = EV_TENSOR_START});
            return;
        }
        start_one(sm, e, now);
        open_if_room(sm, now);
    }
}

void tensor_stream_done(Sm *sm, bool copy, Cycle at)
{
    Tensor *t = &sm->tensor;
    TensorOp *e = &t->ring[t->current[copy] % TENSOR_RING];
    assert(t->running[copy] && e->streams > 0);
    if (at > e->end)
        e->end = at;
    if (--e->streams == 0)
        sm_post(sm, (Event){.at = e->end, .kind = EV_TENSOR_END, .a = copy});
}

/* In order: a later operation is never complete first. */
static void post_done(Sm *sm)
{
    Tensor *t = &sm->tensor;
    for (; t->next_done != t->run; t->next_done++) {
        const TensorOp *e = &t->ring[t->next_done % TENSOR_RING];
        if (!e->finished)
            return;
        t->last_done = e->done > t->last_done ? e->done : t->last_done;
        sm_post(sm, (Event){.at = t->last_done, .kind = EV_TENSOR_DONE, .a = e->seq});
    }
}

void tensor_end(Sm *sm, bool copy, Cycle now)
{
    Tensor *t = &sm->tensor;
    TensorOp *e = &t->ring[t->current[copy] % TENSOR_RING];
    Cycle stretch = now - e->started - e->interval, done = e->started + e->latency + stretch;
    e->done = done < now ? now : done;
    e->finished = true;
    if (!copy)
        t->busy += now - e->started;
    if (!copy && e->cg2)
        peer_of(sm)->tensor.busy += now - e->started;
    t->running[copy] = false;
    post_done(sm);
    tensor_start(sm, now);
}

static void fire_commit(Sm *sm, const Commit *c, Cycle now)
{
    Cycle at = now + sm->sim->p.lat_commit + sm->sim->p.arrive;
    sm_async(sm, c->cta, c->handle, ASYNC_READ);
    sm_async(sm, c->cta, c->handle, ASYNC_DONE);
    for (uint32_t r = 0; r < sm->group->n; r++) {
        bool to = c->mask ? c->mask >> r & 1 : r == sm->rank;
        Sm *dst = c->remote ? sync_target(sm, c->sync, true) : sm->group->sm[r];
        if (!to)
            continue;
        dst->cta[c->cta].out++;
        sm_post(dst, (Event){.at = at,
                             .kind = EV_ARRIVE,
                             .warp = (uint8_t)c->warp,
                             .rank = (uint8_t)sm->rank,
                             .op = c->op,
                             .who = c->cta,
                             .a = c->sync,
                             .b = 1});
    }
    sm->cta[c->cta].out--;
}

void tensor_commit(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    Tensor *t = &sm->tensor;
    TWarp *w = &sm->warp[slot];
    Commit c = {.op = op->info,
                .cta = w->cta,
                .warp = w->id,
                .sync = op->sync,
                .after = w->tensor_seq,
                .handle = op->handle,
                .mask = op->flags & OPF_PAIR ? op->arg1 : 0,
                .remote = (op->flags & OPF_REMOTE) && !(op->flags & OPF_PAIR)};
    sm->cta[w->cta].out++;
    if (w->tensor_out == 0) {
        fire_commit(sm, &c, now + sm->sim->p.lat_issue);
        return;
    }
    assert(t->n_commits < MAX_COMMITS);
    t->commit[t->n_commits++] = c;
    close_if_full(sm);
}

void tensor_done(Sm *sm, uint32_t seq, Cycle now)
{
    Tensor *t = &sm->tensor;
    assert(seq == t->head);
    TensorOp e = t->ring[seq % TENSOR_RING];
    t->head++;
    run_parts(sm, &e, ASYNC_DONE);
    if (!e.wgmma)
        sm->warp[sm_slot(sm, e.cta, e.warp)].tensor_out--;
    for (uint32_t i = 0; e.wgmma && i < WG_WARPS; i++) {
        uint32_t slot = sm_slot(sm, e.cta, e.warp + i);
        sm->warp[slot].wg.done++;
        sync_groups_check(sm, slot, now);
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < t->n_commits; i++) {
        if (t->commit[i].after == seq)
            fire_commit(sm, &t->commit[i], now);
        else
            t->commit[kept++] = t->commit[i];
    }
    t->n_commits = kept;
    open_if_room(sm, now);
    sm->cta[e.cta].out--;
    sm_cta_check_end(sm, e.cta, now);
}
