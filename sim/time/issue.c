/* What an Op does to the machine in the cycle in which it issues. The pipe has already been taken
 * (sm.c). */
#include "sim/time/core.h"

static void set_results(Sm *sm, uint32_t slot, const Op *op, Cycle at, Stall why)
{
    const TOp *o = &sm->sim->ops[op->info];
    const uint16_t *dst = sm->sim->code->deps + o->deps + o->n_src;
    uint64_t *score = sm->warp[slot].score;
    for (uint32_t i = 0; i < o->n_dst; i++)
        score[dst[i]] = at << 8 | why;
}

static void delay(TWarp *w, Cycle at, Stall why)
{
    if (at > w->ctrl) {
        w->ctrl = at;
        w->ctrl_why = (uint8_t)why;
    }
}

static Cycle part(double c)
{
    Cycle n = (Cycle)c;
    return (double)n < c ? n + 1 : n;
}

/* LDS, STS, ATOMS: passes through the shared-memory budget. The LSU refuses further operations
 * while `lsu.queue` of them wait for their passes. */
static void smem_op(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    Sim *s = sm->sim;
    Smem *m = &sm->smem;
    const TOp *o = &s->ops[op->info];
    uint32_t passes = op->waves ? op->waves : 1, least = (op->bytes + m->bytes - 1) / m->bytes;
    if (op->flags & OPF_REMOTE) { /* another CTA's shared memory; its data path is not charged */
        Cycle passed = dsmem_pass(sm, op->bytes, now);
        set_results(sm, slot, op, passed + s->p.dsmem + passes - 1, ST_SHORT);
        return;
    }
    Cycle done = smem_lsu(m, now, passes),
          last = m->lsu_done[(m->lsu_at + s->p.lsu_queue - 1) % s->p.lsu_queue];
    if (done < last)
        done = last;
    m->lsu_done[m->lsu_at] = done;
    m->lsu_at = (m->lsu_at + 1) % s->p.lsu_queue;
    Cycle open = m->lsu_done[m->lsu_at]; /* the oldest of the last lsu.queue operations */
    uint32_t lsu = pipe_index(P_LSU, 0);
    if (sm->pipe_free[lsu] < open)
        sm->pipe_free[lsu] = open;
    if (passes > least)
        s->res->bank_conflicts += passes - (least ? least : 1);
    if (o->tclass == TC_STS)
        s->res->smem_bytes_sts += op->bytes;
    else
        s->res->smem_bytes_lds += op->bytes;
    set_results(sm, slot, op, done - 1 + o->latency, ST_SHORT);
}

static void gmem_op(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    const TOp *o = &sm->sim->ops[op->info];
    bool waits = o->n_dst > 0; /* a load, or an atomic whose result is used */
    bool more = op->flags & OPF_MORE;
    if (waits) {
        set_results(sm, slot, op, CYCLE_NEVER, ST_LONG);
        sm->cta[sm->warp[slot].cta].out++;
    }
    memory_request(sm, (Request){.at = now,
                                 .addr = op->addr >> 3,
                                 .bytes = op->bytes,
                                 .who = slot,
                                 .op = op->info,
                                 .kind = !waits                  ? RQ_STORE
                                         : o->tclass == TC_ATOMG ? RQ_ATOM
                                                                 : RQ_LOAD,
                                 .last = !more,
                                 .contiguous = true});
    if (++sm->loads_out >= LOADS_IN_FLIGHT)
        sm->pipe_free[pipe_index(P_LSU, 0)] = CYCLE_NEVER;
}

/* tcgen05.ld and .st: one port each per sub-partition, busy for the columns. */
static void tmem_op(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    Sim *s = sm->sim;
    TWarp *w = &sm->warp[slot];
    bool st = s->ops[op->info].tclass == TC_STTM;
    double busy = op->arg0 * (st ? s->p.tmem_st_col : s->p.tmem_ld_col);
    uint32_t pipe = pipe_index(st ? P_TMEM_ST : P_TMEM_LD, slot % SUBPARTS);
    sm_pipe_take(sm, pipe, (uint64_t)(busy * (1 << Q8)), now);
    if (!st) {
        s->res->tmem_bytes_ld += op->bytes;
        set_results(sm, slot, op, now + s->p.tmem_ld + part(busy), ST_TMEM);
        return;
    }
    s->res->tmem_bytes_st += op->bytes;
    Cycle done = now + s->p.tmem_st + part(busy);
    if (done > w->st_done)
        w->st_done = done;
    if (op->handle) {
        sm_async(sm, w->cta, op->handle, ASYNC_READ);
        sm->cta[w->cta].out++;
        sm_post(sm, (Event){.at = done, .kind = EV_ST_DONE, .who = w->cta, .a = op->handle});
    }
}

static void sleep_op(Sm *sm, TWarp *w, const Op *op, Cycle now)
{
    const Params *p = &sm->sim->p;
    double quanta = (double)part(op->arg0 / p->sleep_ns);
    delay(w, now + part(quanta * p->sleep_ns * p->ghz), ST_SLEEP);
}

static void async_op(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    const Params *p = &sm->sim->p;
    TWarp *w = &sm->warp[slot];
    switch ((OpKind)op->kind) {
    case OK_MMA:
    case OK_WGMMA:
        tensor_issue(sm, slot, op, now);
        delay(w, now + p->mma_issue, ST_MIO_THROTTLE);
        break;
    case OK_TMEM_CP:
        tensor_issue(sm, slot, op, now);
        break;
    case OK_COMMIT:
        tensor_commit(sm, slot, op, now);
        break;
    case OK_CPASYNC:
        tma_issue(sm, slot, op, now);
        delay(w, now + p->ldgsts_issue, ST_MIO_THROTTLE);
        break;
    case OK_REMOTE:
        tma_issue(sm, slot, op, now);
        if (op->arg0)
            delay(w, now + p->tma_issue, ST_MIO_THROTTLE);
        break;
    default: /* TMA_LOAD, TMA_STORE, TMA_PREFETCH, CANCEL */
        tma_issue(sm, slot, op, now);
        delay(w, now + p->tma_issue, ST_MIO_THROTTLE);
        break;
    }
}

void issue_op(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    const Params *p = &sm->sim->p;
    TWarp *w = &sm->warp[slot];
    const TOp *o = &sm->sim->ops[op->info];
    switch ((OpKind)op->kind) {
    case OK_SKIPPED:
    case OK_TMEM_RELINQUISH:
    case OK_GRIDDEP:
    case OK_EXIT:  /* sm.c */
    case OK_FAULT: /* sm.c */
    case OK_COUNT:
        break;
    case OK_PLAIN:
        set_results(sm, slot, op, now + o->latency, (Stall)o->why);
        if (o->tclass == TC_WARPSYNC)
            delay(w, now + p->warpsync, ST_BRANCH);
        break;
    case OK_MBAR_TEST:
        set_results(sm, slot, op, now + p->try_wait, ST_MBARRIER);
        break;
    case OK_BRANCH:
        delay(w, now + p->branch, ST_BRANCH);
        break;
    case OK_SMEM:
        smem_op(sm, slot, op, now);
        break;
    case OK_GMEM:
        gmem_op(sm, slot, op, now);
        break;
    case OK_TMEM:
        tmem_op(sm, slot, op, now);
        break;
    case OK_WAIT_ST:
        delay(w, w->st_done, ST_TMEM);
        break;
    case OK_FENCE:
        delay(w, now + (op->arg0 ? p->fence_gpu : p->fence), ST_FENCE);
        break;
    case OK_NANOSLEEP:
        sleep_op(sm, w, op, now);
        break;
    case OK_MMA:
    case OK_WGMMA:
    case OK_COMMIT:
    case OK_TMEM_CP:
    case OK_TMA_LOAD:
    case OK_TMA_STORE:
    case OK_TMA_PREFETCH:
    case OK_CANCEL:
    case OK_REMOTE:
    case OK_CPASYNC:
        async_op(sm, slot, op, now);
        break;
    case OK_BULK_COMMIT:
    case OK_BULK_WAIT:
    case OK_CPASYNC_COMMIT:
    case OK_CPASYNC_WAIT:
    case OK_WGMMA_COMMIT:
    case OK_WGMMA_WAIT:
    case OK_CPASYNC_ARRIVE:
    case OK_MBAR_INIT:
    case OK_MBAR_INVAL:
    case OK_MBAR_ARRIVE:
    case OK_MBAR_TX:
    case OK_MBAR_WAIT:
    case OK_BAR_SYNC:
    case OK_BAR_ARRIVE:
    case OK_CLUSTER_ARRIVE:
    case OK_CLUSTER_WAIT:
    case OK_TMEM_ALLOC:
    case OK_TMEM_DEALLOC:
    case OK_SETMAXNREG:
        sync_op(sm, slot, op, now);
        break;
    }
}
