/* Completion without time: mbarrier arithmetic, the queue of asynchronous steps, and whether a wait
 * holds. */
#include "sim/func/async.h"
#include "sim/func/drive.h"

enum { CTA_OFFSET = 0xffffff };

Loc drive_loc(const Drive *d, const Op *op)
{
    const Code *c = d->x->code;
    if (op->info >= c->n_ops)
        return (Loc){0};
    const CodeInsn *in = &c->insns[c->ops[op->info].insn];
    return in->ptx < c->func->n_insns ? c->func->insns[in->ptx].loc : c->func->loc;
}

/* ---- mbarriers ---- */

static Expected *expected_of(Drive *d, uint32_t addr)
{
    Expected *table = d->ctas[addr >> 24].expected;
    for (uint32_t i = 0; i < DRIVE_MBARS; i++) {
        Expected *e = &table[(addr / 8 + i) % DRIVE_MBARS];
        if (e->addr == addr || e->addr == 0) {
            e->addr = addr;
            return e;
        }
    }
    return &table[0]; /* only a message may be less exact */
}

static MbarResult apply(uint64_t *word, OpKind kind, bool drop, uint32_t arg0, int64_t arg1)
{
    switch (kind) {
    case OK_MBAR_INIT:
        return mbar_init(word, arg0);
    case OK_MBAR_INVAL:
        mbar_inval(word);
        return MBAR_OK;
    case OK_MBAR_TX:
        return arg1 > INT32_MAX || arg1 < INT32_MIN ? MBAR_BAD_TX : mbar_tx(word, (int32_t)arg1);
    default:
        return drop ? mbar_arrive_drop(word, arg0, (uint32_t)arg1)
                    : mbar_arrive(word, arg0, (uint32_t)arg1);
    }
}

/* For the report of a deadlock. */
static void note(Drive *d, const Op *op, uint32_t addr, OpKind kind, int64_t bytes, bool flipped)
{
    MbarNote n = {.kind = kind,
                  .mbar_rank = addr >> 24,
                  .rank = d->actor_cta,
                  .warp = d->actor_warp,
                  .op = op->info,
                  .bytes = bytes,
                  .flipped = flipped};
    mbar_history_note(&expected_of(d, addr)->seen, &n);
}

bool drive_mbar(Drive *d, const Op *op, uint32_t addr, OpKind kind, uint32_t arg0, int64_t arg1,
                Err *err)
{
    if (addr >> 24 >= d->n_ctas)
        return err_set(err, ERR_FAULT, drive_loc(d, op),
                       "mbarrier 0x%x: CTA rank %u is not in the cluster", addr, addr >> 24);
    Err why = {0};
    uint64_t *word = d->f->ops->mbar(d->f, addr >> 24, addr, &why);
    if (!word)
        return err_set(err, why.kind, drive_loc(d, op), "%s", why.msg);
    MbarState before = mbar_state(*word);
    ++*d->x->changes;
    MbarResult r = apply(word, kind, op->flags & OPF_DROP, arg0, arg1);
    if (d->probe) {
        ProbeMbar event = {.op = op,
                           .rank = d->actor_cta,
                           .warp = d->actor_warp,
                           .addr = addr,
                           .kind = kind,
                           .arrivals = arg0,
                           .bytes = arg1,
                           .before = before,
                           .result = r};
        d->probe->mbar(d->probe, &event);
    }
    if (r != MBAR_OK && r != MBAR_FLIPPED)
        return err_set(err, ERR_FAULT, drive_loc(d, op),
                       "mbarrier 0x%x: %s (%u of %u arrivals pend, %d bytes; the operation: %u "
                       "arrivals, %lld bytes)",
                       addr, mbar_result_text(r), before.pending, before.expected, before.tx, arg0,
                       (long long)arg1);
    note(d, op, addr, kind, arg1, r == MBAR_FLIPPED);
    return true;
}

/* Bytes of a load have arrived: in each destination CTA, on the mbarrier at the same offset
 * (engine.h, load_op). */
static bool signal_load(Drive *d, const Op *op, Err *err)
{
    if (!(op->flags & OPF_PAIR))
        return drive_mbar(d, op, op->sync, OK_MBAR_TX, 0, -(int64_t)op->bytes, err);
    for (uint32_t m = op->arg1; m; m &= m - 1) {
        uint32_t r = first_lane(m), to = op->arg0 ? (r & ~1u) | (op->sync >> 24 & 1) : r;
        if (!drive_mbar(d, op, to << 24 | (op->sync & CTA_OFFSET), OK_MBAR_TX, 0,
                        -(int64_t)op->bytes, err))
            return false;
    }
    return true;
}

static bool signal_commit(Drive *d, const Op *op, Err *err)
{
    if (!(op->flags & OPF_PAIR))
        return drive_mbar(d, op, op->sync, OK_MBAR_ARRIVE, 1, 0, err);
    for (uint32_t m = op->arg1; m; m &= m - 1)
        if (!drive_mbar(d, op, first_lane(m) << 24 | (op->sync & CTA_OFFSET), OK_MBAR_ARRIVE, 1, 0,
                        err))
            return false;
    return true;
}

/* ---- Steps ---- */

bool drive_push(Drive *d, const Step *s, Err *err)
{
    while (d->n >= DRIVE_PENDING * d->n_ctas)
        if (!drive_step(d, err))
            return false;
    d->queue[(d->head + d->n++) % d->cap] = *s;
    return true;
}

static bool is_load(const Step *s)
{
    return s->op.kind == OK_TMA_LOAD;
}

/* The oldest step of the engines but TMA loads; a load only when nothing else is left. An MMA that
 * did not wait for its operands then runs before they have come. Each engine stays in order. */
static Step pop(Drive *d)
{
    uint32_t at = 0;
    while (at < d->n && is_load(&d->queue[(d->head + at) % d->cap]))
        at++;
    at = at < d->n ? at : 0;
    Step s = d->queue[(d->head + at) % d->cap];
    for (; at > 0; at--)
        d->queue[(d->head + at) % d->cap] = d->queue[(d->head + at - 1) % d->cap];
    d->head = (d->head + 1) % d->cap;
    d->n--;
    return s;
}

/* What follows from a step that has just been performed. */
static bool finish(Drive *d, const Step *s, Err *err)
{
    DriveWarp *w = &d->ctas[s->cta].warps[s->warp];
    switch (s->op.kind) {
    case OK_TMA_LOAD:
    case OK_CANCEL:
    case OK_REMOTE:
        return signal_load(d, &s->op, err);
    case OK_COMMIT:
        return signal_commit(d, &s->op, err);
    case OK_TMA_STORE:
        if (s->at == ASYNC_READ) {
            Step next = *s;
            next.at = ASYNC_DONE;
            w->bulk.read++;
            d->queue[(d->head + d->n++) % d->cap] = next; /* the place that it has just left */
        } else {
            w->bulk.done++;
        }
        return true;
    case OK_CPASYNC:
        w->cpasync.done++;
        return true;
    case OK_WGMMA:
        w->wgmma.done++;
        return true;
    case OK_CPASYNC_ARRIVE:
        return drive_mbar(d, &s->op, s->op.sync, OK_MBAR_ARRIVE, s->op.arg0, 0, err);
    case OK_TMEM:
        w->st.done++;
        return true;
    default:
        return true;
    }
}

bool drive_perform(Drive *d, const Step *s, Err *err)
{
    bool two_steps = s->op.kind == OK_TMA_STORE;
    d->actor_cta = s->cta;
    d->actor_warp = s->warp;
    if (s->op.kind == OK_CANCEL)
        d->f->ops->cancelled(d->f, s->cta, s->op.handle, drive_cancel(d));
    if (s->op.handle) {
        if (!two_steps && !d->f->ops->async(d->f, s->cta, s->op.handle, ASYNC_READ, err))
            return false;
        if (!d->f->ops->async(d->f, s->cta, s->op.handle, two_steps ? s->at : ASYNC_DONE, err))
            return false;
    }
    if (!finish(d, s, err))
        return false;
    if (d->probe && s->op.handle && (!two_steps || s->at == ASYNC_DONE))
        d->probe->async_done(d->probe, s->cta, s->warp, &s->op);
    return true;
}

bool drive_step(Drive *d, Err *err)
{
    while (d->n > 0) {
        Step s = pop(d);
        if (!drive_perform(d, &s, err))
            return false;
        if (s.op.kind == OK_MMA || s.op.kind == OK_TMEM_CP)
            continue; /* nobody waits for an MMA itself, only for a commit */
        if (s.op.kind != OK_WGMMA || s.warp % WG_WARPS == WG_WARPS - 1)
            break; /* the four warps' parts of a wgmma are one */
    }
    return true;
}

/* ---- Waits ---- */

/* All but the last n groups have come as far as `progress`. */
static bool groups_done(const Groups *g, uint32_t progress, uint32_t n)
{
    if (n >= g->commits)
        return true;
    uint32_t k = g->commits - 1 - n;
    if (n >= DRIVE_GROUPS)
        k = g->commits - DRIVE_GROUPS; /* its mark is forgotten; waits for a younger one */
    return progress >= g->mark[k % DRIVE_GROUPS];
}

static bool alloc(Drive *d, uint32_t cta, uint32_t warp, const Op *wait)
{
    int32_t column = tmem_alloc(&d->ctas[cta].tmem, cta, wait->arg0);
    if (column >= 0)
        d->f->ops->tmem_alloc_done(d->f, cta, warp, (uint32_t)column);
    return column >= 0;
}

/* The second CTA of a pair that asks allocates for both, and the wait of the first one holds. */
static bool alloc_pair(Drive *d, uint32_t cta, uint32_t warp, const Op *wait)
{
    uint32_t peer = cta ^ 1;
    for (uint32_t i = 0; i < d->f->n_warps; i++) {
        DriveWarp *w = &d->ctas[peer].warps[i];
        for (uint32_t k = 0; w->state == DW_PARKED && k < w->n_waits; k++) {
            Op *o = &w->waits[k];
            if (o->kind != OK_TMEM_ALLOC || !(o->flags & OPF_PAIR) || o->arg0 != wait->arg0)
                continue;
            int32_t column =
                tmem_alloc_pair(&d->ctas[cta].tmem, cta, &d->ctas[peer].tmem, peer, wait->arg0);
            if (column < 0)
                return false;
            d->f->ops->tmem_alloc_done(d->f, cta, warp, (uint32_t)column);
            d->f->ops->tmem_alloc_done(d->f, peer, i, (uint32_t)column);
            o->kind = OK_PLAIN; /* holds */
            return true;
        }
    }
    return false;
}

bool drive_holds(Drive *d, uint32_t cta, uint32_t warp, const Op *wait, Err *err)
{
    DriveCta *c = &d->ctas[cta];
    DriveWarp *w = &c->warps[warp];
    switch (wait->kind) {
    case OK_MBAR_WAIT: {
        const uint64_t *word = d->f->ops->mbar(d->f, wait->sync >> 24, wait->sync, err);
        return word && mbar_phase_done(*word, wait->arg0);
    }
    case OK_BAR_SYNC: /* arg1: the generation that it waits to see end */
        return c->bars[wait->sync].generation != wait->arg1;
    case OK_CLUSTER_WAIT:
        return d->cluster_generation >= w->cluster_generation;
    case OK_BULK_WAIT:
        return groups_done(&w->bulk, wait->arg1 ? w->bulk.read : w->bulk.done, wait->arg0);
    case OK_CPASYNC_WAIT:
        return groups_done(&w->cpasync, w->cpasync.done, wait->arg0);
    case OK_WGMMA_WAIT:
        return groups_done(&w->wgmma, w->wgmma.done, wait->arg0);
    case OK_WAIT_ST:
        return w->st.done == w->st.issued;
    case OK_TMEM_ALLOC:
        return wait->flags & OPF_PAIR ? alloc_pair(d, cta, warp, wait) : alloc(d, cta, warp, wait);
    default:
        return true;
    }
}
