/* The SM: four sub-partitions that issue, and the wiring between the units.
 *
 * A sub-partition issues one operation a cycle. Choice: the warp that issued up to this cycle, if
 * it can go on (greedy), else the one that has not issued for longest; of equals the youngest
 * (latest CTA, then highest warp). Measured on an H200 (kernels/micro/arbitration.cu,
 * traces/measured/): a warp of independent FMAs runs to its end, the youngest first; warps that
 * stall between, or that a pipe holds up, take turns. arXiv 2503.20481 found greedy, then youngest.
 * The order in which sub-partitions reach shared units rotates with the cycle.
 *
 * Scoreboard: a ready cycle per register and predicate slot; an operation waits for its sources
 * (RAW) and for its destinations (WAW). WAR is not tracked: operands are read at issue, results
 * come later. Idle cycles of a warp are attributed when it issues: first to what held its control
 * (barrier, branch), then to its latest operand's producer, then to the busy unit, the rest to the
 * choice of another warp.
 *
 * Not modelled: register-bank conflicts, the instruction cache. models/README.md. */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "sim/time/core.h"

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}
static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void attend(Sm *sm, uint32_t sub, Cycle at)
{
    if (at < sm->sub[sub].next)
        sm->sub[sub].next = at;
    if (at < sm->next)
        sm->next = at;
}

void sm_async(Sm *sm, uint32_t place, uint32_t handle, AsyncStep step)
{
    Sim *s = sm->sim;
    if (handle && !s->front->ops->async(s->front, sm->cta[place].slot, handle, step, s->err))
        s->failed = true;
}

void sm_open(Sm *sm, uint32_t pipe, Cycle now)
{
    uint32_t i = pipe_index(pipe, 0);
    sm->pipe_free[i] = max_u64(now, sm->pipe_q8[i] >> Q8);
    for (uint32_t k = 0; k < SUBPARTS; k++)
        attend(sm, k, now);
}

/* ---- the warp's next op ---- */

static Cycle operands_ready(const Sim *s, const TWarp *w, const TOp *o, uint64_t *packed)
{
    const uint16_t *d = s->code->deps + o->deps;
    uint64_t latest = 0;
    for (uint32_t i = 0, n = (uint32_t)o->n_src + o->n_dst; i < n; i++)
        latest = max_u64(latest, w->score[d[i]]);
    *packed = latest;
    return latest >> 8;
}

void sm_refresh(Sm *sm, uint32_t slot, Cycle now)
{
    TWarp *w = &sm->warp[slot];
    uint32_t sub = slot % SUBPARTS, place = slot / SUBPARTS;
    if (w->state != WS_RUN)
        return;
    Cycle at = max_u64(w->after, w->ctrl), opnd = 0;
    const TOp *o = &sm->sim->ops[w->op];
    if (w->pend_at < w->pend_n)
        w->opnd = 0; /* a later part of an instruction that has issued */
    else
        opnd = operands_ready(sm->sim, w, o, &w->opnd);
    at = max_u64(at, opnd);
    sm->sub[sub].ready[place] = at;
    sm->sub[sub].pipe[place] = (uint8_t)pipe_index(o->pipe, sub);
    if (at < CYCLE_NEVER)
        attend(sm, sub, max_u64(at, now));
}

void sm_prepare(Sm *sm, uint32_t slot, Cycle now)
{
    TWarp *w = &sm->warp[slot];
    Sim *s = sm->sim;
    if (w->pend_at < w->pend_n) {
        w->op = w->pend[w->pend_at].info;
    } else if (w->fetch) {
        OpRun run;
        w->fetch = false;
        s->front->ops->next(s->front, sm->cta[w->cta].slot, w->id, &run);
        w->left = run.n;
        w->dyn = run.dyn;
        w->op = run.n ? run.first : run.dyn;
        s->run_diff[run.first]++;
        s->run_diff[run.first + run.n]--;
        if (w->op == OP_NONE) {
            sm_warp_exit(sm, slot, now);
            return;
        }
    }
    sm_refresh(sm, slot, now);
}

void sm_wake(Sm *sm, uint32_t slot, Cycle at)
{
    TWarp *w = &sm->warp[slot];
    assert(w->state == WS_PARKED);
    w->state = WS_RUN;
    w->ctrl = at;
    sm_prepare(sm, slot, at);
}

/* ---- issue ---- */

static Stall throttle_reason(uint32_t pipe)
{
    return pipe < P_TMEM_LD * SUBPARTS ? ST_MATH_THROTTLE : ST_MIO_THROTTLE;
}

/* Attributes the cycles [after, now) of a warp that issues at now; unit_free: when its pipe could
 * take it. */
static void account(TWarp *w, Cycle unit_free, uint32_t pipe, Cycle now)
{
    Cycle t = w->after;
    if (t < w->ctrl) {
        Cycle e = min_u64(w->ctrl, now);
        w->stat.stall[w->ctrl_why] += e - t;
        t = e;
    }
    if (t < w->opnd >> 8) {
        Cycle e = min_u64(w->opnd >> 8, now);
        w->stat.stall[w->opnd & 0xff] += e - t;
        t = e;
    }
    if (t < unit_free) {
        Cycle e = min_u64(unit_free, now);
        w->stat.stall[throttle_reason(pipe)] += e - t;
        t = e;
    }
    w->stat.stall[ST_NOT_SELECTED] += now - t;
}

static void plain_effect(const Sim *s, TWarp *w, const TOp *o, Cycle now)
{
    const uint16_t *dst = s->code->deps + o->deps + o->n_src;
    uint64_t result = (now + o->latency) << 8 | o->why;
    for (uint32_t i = 0; i < o->n_dst; i++)
        w->score[dst[i]] = result;
    if (o->tclass == TC_WARPSYNC) {
        w->ctrl = now + s->p.warpsync;
        w->ctrl_why = ST_BRANCH;
    }
    w->stat.ops[o->unit]++;
}

/* Issues the plain op that the warp has come to, and those after it for as long as each can issue
 * when the one before it leaves the port: the choice then falls on this warp whatever the others
 * do, and registers and the sub-partition's own pipes are nobody else's concern. */
static void issue_plain(Sm *sm, uint32_t sub, uint32_t place, Cycle now)
{
    const Sim *s = sm->sim;
    Subpart *sp = &sm->sub[sub];
    TWarp *w = &sm->warp[place * SUBPARTS + sub];
    const TOp *o = &s->ops[w->op];
    uint32_t pipe = sp->pipe[place];
    Cycle first = now, at = now;
    do {
        sm_pipe_take(sm, pipe, o->interval, now);
        plain_effect(s, w, o, now);
        sp->last[place] = now;
        now += o->slots;
        if (--w->left == 0)
            break;
        o = &s->ops[++w->op];
        pipe = pipe_index(o->pipe, sub);
        at = max_u64(max_u64(now, w->ctrl), operands_ready(s, w, o, &w->opnd));
    } while (at == now && o->pipe < P_LOCAL_COUNT && sm->pipe_free[pipe] <= now &&
             (w->left > 1 || w->dyn != OP_NONE)); /* others see the warp's end */
    w->after = sp->port = now;
    w->stat.issued += now - first;
    sm->issue_cycles += now - first;
    if (w->left > 0) {
        sp->ready[place] = at;
        sp->pipe[place] = (uint8_t)pipe;
        sp->next = min_u64(sp->next, at);
    } else {
        w->op = w->dyn;
        if (w->op == OP_NONE)
            sm_warp_exit(sm, place * SUBPARTS + sub, first + 1);
        else
            sm_refresh(sm, place * SUBPARTS + sub, now);
    }
}

/* Issues one part of a dynamic instruction. */
static void issue_part(Sm *sm, uint32_t slot, const Op *op, Cycle now)
{
    Sim *s = sm->sim;
    TWarp *w = &sm->warp[slot];
    const TOp *o = &s->ops[op->info];
    s->dyn_count[op->info]++;
    if (op->kind == OK_SKIPPED)
        s->skip_count[op->info]++;
    else if (o->interval)
        sm_pipe_take(sm, pipe_index(o->pipe, slot % SUBPARTS), o->interval, now);
    w->stat.ops[o->unit]++;
    issue_op(sm, slot, op, now);
}

static void issue_dyn(Sm *sm, uint32_t slot, Cycle now)
{
    Sim *s = sm->sim;
    TWarp *w = &sm->warp[slot];
    if (w->pend_at == w->pend_n) {
        w->pend_n = (uint8_t)s->front->ops->exec(s->front, sm->cta[w->cta].slot, w->id, now,
                                                 w->pend, s->err);
        w->pend_at = 0;
        w->fetch = true;
        assert(w->pend_n >= 1 && w->pend_n <= OP_BURST);
    }
    do {
        const Op *op = &w->pend[w->pend_at++];
        if (op->kind == OK_FAULT) {
            s->failed = true;
            return;
        }
        issue_part(sm, slot, op, now);
        if (op->kind == OK_EXIT) {
            sm_warp_exit(sm, slot, now + 1);
            return;
        }
    } while (w->pend_at < w->pend_n && (w->pend[w->pend_at].flags & OPF_FREE));
}

static void issue(Sm *sm, uint32_t sub, uint32_t place, Cycle now)
{
    Subpart *sp = &sm->sub[sub];
    uint32_t slot = place * SUBPARTS + sub, pipe = sp->pipe[place];
    TWarp *w = &sm->warp[slot];
    sp->greedy = (uint8_t)place;
    if (w->after < now)
        account(w, sm->pipe_free[pipe], pipe, now);
    if (w->left > 0) {
        issue_plain(sm, sub, place, now);
        return;
    }
    const TOp *o = &sm->sim->ops[w->op];
    w->after = now + o->slots;
    w->stat.issued += o->slots;
    sm->issue_cycles += o->slots;
    sp->port = w->after;
    sp->last[place] = now;
    issue_dyn(sm, slot, now);
    if (w->state == WS_PARKED)
        sp->ready[place] = CYCLE_NEVER;
    else if (w->state == WS_RUN && w->op != OP_NONE)
        sm_prepare(sm, slot, now + 1);
    else if (w->state == WS_RUN)
        sm_warp_exit(sm, slot, now + 1);
}

/* Of two warps that can issue: the one that has issued up to this cycle, else the one that has
 * waited longer. */
static bool goes_first(const Subpart *sp, uint32_t p, uint32_t than, Cycle now)
{
    if (sp->port == now && (p == sp->greedy || than == sp->greedy))
        return p == sp->greedy;
    return sp->last[p] < sp->last[than];
}

static void subpart_step(Sm *sm, uint32_t sub, Cycle now)
{
    Subpart *sp = &sm->sub[sub];
    uint32_t best = SUB_WARPS;
    Cycle next = CYCLE_NEVER;
    if (sp->port > now) {
        sp->next = sp->port;
        return;
    }
    for (uint32_t k = 0; k < sp->n; k++) {
        uint32_t p = sp->order[k];
        Cycle at = max_u64(sp->ready[p], sm->pipe_free[sp->pipe[p]]);
        if (at > now) {
            next = min_u64(next, at);
        } else if (best == SUB_WARPS) {
            best = p;
        } else {
            next = now + 1;
            if (goes_first(sp, p, best, now))
                best = p;
        }
    }
    sp->next = next;
    if (best < SUB_WARPS)
        issue(sm, sub, best, now);
}

/* ---- CTAs ---- */

/* Youngest first: CTAs by start, then the higher warp. */
static void order_warps(Sm *sm)
{
    for (uint32_t k = 0; k < SUBPARTS; k++) {
        Subpart *sp = &sm->sub[k];
        sp->n = 0;
        for (uint32_t slot = k; slot < sm->n_slots; slot += SUBPARTS) {
            const TWarp *w = &sm->warp[slot];
            if (w->state == WS_EMPTY || w->state == WS_DONE)
                continue;
            uint32_t i = sp->n++;
            for (; i > 0; i--) {
                const TWarp *v = &sm->warp[sp->order[i - 1] * SUBPARTS + k];
                uint64_t a = sm->cta[w->cta].started, b = sm->cta[v->cta].started;
                if (a < b || (a == b && w->id < v->id))
                    break;
                sp->order[i] = sp->order[i - 1];
            }
            sp->order[i] = (uint8_t)(slot / SUBPARTS);
        }
    }
}

void sm_cta_start(Sm *sm, uint32_t place, uint32_t id, Cycle now)
{
    Sim *s = sm->sim;
    TCta *c = &sm->cta[place];
    c->active = true;
    c->id = id;
    c->started = sm->started++;
    c->warps_left = s->n_warps;
    memset(c->bar, 0, sizeof c->bar);
    if (c->wg)
        memset(c->wg, 0, (s->n_warps / WG_WARPS + 1) * sizeof *c->wg);
    reg_pool_init(&c->regs, s->n_warps, s->regs, s->n_warps * WARP_LANES * s->regs);
    if (!s->front->ops->cta_start(s->front, c->slot, id, s->err)) {
        s->failed = true;
        return;
    }
    for (uint32_t i = 0; i < s->n_warps; i++) {
        TWarp *w = &sm->warp[sm_slot(sm, place, i)];
        uint64_t *score = w->score;
        memset(score, 0, sizeof *score * s->n_score);
        memset(w, 0, offsetof(TWarp, pend));
        w->score = score;
        w->state = WS_RUN;
        w->fetch = true;
        w->id = (uint8_t)i;
        w->cta = (uint8_t)place;
        w->after = w->ctrl = now;
        w->cluster_phase = sm->group->cluster[place].phase - 1;
    }
    order_warps(sm);
    for (uint32_t i = 0; i < s->n_warps && !s->failed; i++)
        sm_prepare(sm, sm_slot(sm, place, i), now);
}

void sm_warp_exit(Sm *sm, uint32_t slot, Cycle now)
{
    TWarp *w = &sm->warp[slot];
    WarpStat *st = &sm->sim->res->warps[w->id];
    uint64_t sum = w->stat.issued;
    w->state = WS_DONE;
    sm->sub[slot % SUBPARTS].ready[slot / SUBPARTS] = CYCLE_NEVER;
    st->issued += w->stat.issued;
    for (uint32_t i = 0; i < ST_COUNT; i++) {
        st->stall[i] += w->stat.stall[i];
        sum += w->stat.stall[i];
    }
    for (uint32_t i = 0; i < U_COUNT; i++)
        st->ops[i] += w->stat.ops[i];
    st->resident += sum;
    sync_cluster_exit(sm, slot, now);
    sm->cta[w->cta].warps_left--;
    sync_bar_exited(sm, slot, now);
    sm_cta_check_end(sm, w->cta, now);
}

void sm_cta_check_end(Sm *sm, uint32_t place, Cycle now)
{
    Sim *s = sm->sim;
    TCta *c = &sm->cta[place];
    if (!c->active || c->warps_left > 0 || c->out > 0)
        return;
    c->active = false;
    s->front->ops->cta_end(s->front, c->slot);
    for (uint32_t g = 0; g < 16; g++) { /* columns the program did not give back */
        if (sm->tmem.size[g] && sm->tmem.owner[g] == c->slot + 1)
            tmem_dealloc(&sm->tmem, c->slot, g * 32, sm->tmem.size[g]);
    }
    sync_release(sm, now);
    Cycle end = now + s->p.cta_end;
    if (end > s->end)
        s->end = end;
    Cluster *cl = &sm->group->cluster[place];
    if (--cl->ctas_left > 0)
        return;
    sm->group->active--;
    order_warps(sm);
    s->freed[s->n_freed++] = (FreeSlot){end, (uint32_t)(sm->group - s->group), place};
}

/* ---- the loop ---- */

static void handle(Sm *sm, const Event *e, Cycle now)
{
    switch ((EventKind)e->kind) {
    case EV_CTA_START:
        sm_cta_start(sm, e->who, e->a, now);
        break;
    case EV_ARRIVE:
    case EV_TX:
        sync_arrive(sm, e, now);
        sm_cta_check_end(sm, e->who, now);
        break;
    case EV_SMEM:
        smem_event(sm, now);
        break;
    case EV_TENSOR_START:
        tensor_start(sm, now);
        break;
    case EV_TENSOR_END:
        tensor_end(sm, e->a, now);
        break;
    case EV_TENSOR_DONE:
        tensor_done(sm, e->a, now);
        break;
    case EV_ST_DONE:
        sm_async(sm, e->who, e->a, ASYNC_DONE);
        sm->cta[e->who].out--;
        sm_cta_check_end(sm, e->who, now);
        break;
    case EV_TMA_START:
        tma_start(sm, e->who, now);
        break;
    case EV_TMA_DATA:
        tma_data(sm, e->who, now);
        break;
    case EV_FLIGHT_DONE:
        tma_done(sm, e->who, now);
        break;
    case EV_STORE_READ:
        tma_store_read(sm, e->who, now);
        break;
    case EV_STORE_TAKEN:
        memory_taken(sm, now);
        break;
    }
}

static void sm_step(Sm *sm, Cycle now)
{
    Sim *s = sm->sim;
    while (event_next(&sm->events) <= now && !s->failed) {
        Event e = event_pop(&sm->events);
        handle(sm, &e, now);
    }
    for (uint32_t i = 0; i < SUBPARTS && !s->failed; i++) {
        uint32_t sub = (uint32_t)(now + i) % SUBPARTS;
        if (sm->sub[sub].next <= now || s->tick)
            subpart_step(sm, sub, now);
    }
    Cycle next = event_next(&sm->events);
    for (uint32_t i = 0; i < SUBPARTS; i++)
        next = min_u64(next, sm->sub[i].next);
    sm->next = next;
}

static Cycle group_next(const Group *g)
{
    Cycle next = CYCLE_NEVER;
    for (uint32_t r = 0; r < g->n; r++)
        next = min_u64(next, g->sm[r]->next);
    return next;
}

void sm_run(Group *g, Cycle until)
{
    Sim *s = g->sm[0]->sim;
    while (!s->failed) {
        Cycle now = group_next(g);
        if (s->tick && g->now + 1 < now && g->active)
            now = g->now + 1; /* visits every cycle; nothing may come of it */
        if (now >= until)
            return;
        assert(now >= g->now);
        g->now = now;
        for (uint32_t r = 0; r < g->n; r++) {
            if (g->sm[r]->next <= now || s->tick)
                sm_step(g->sm[r], now);
        }
    }
}
