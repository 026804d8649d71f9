/* Nothing can move: who waits for what. And faults that the time core sees (mbarrier counts,
 * barriers). */
#include "sim/time/core.h"

static Loc op_place(const Sim *s, uint32_t op)
{
    const Code *c = s->code;
    if (op == OP_NONE || !c->func || !c->insns)
        return (Loc){0};
    return c->func->insns[c->insns[c->ops[op].insn].ptx].loc;
}

void fault_at(Sim *s, uint32_t op, ErrKind kind, const char *text, uint32_t sync)
{
    s->failed = true;
    if (s->err->kind == ERR_NONE)
        err_set(s->err, kind, op_place(s, op), "%s (object 0x%x)", text, sync);
}

/* The entry of that mbarrier, or the free one for it; NULL: the table is full. */
static MbarHistory *seen_of(Sim *s, uint32_t slot, uint32_t addr)
{
    uint32_t key = 1 + (slot << 15 | (addr & 0xffffff) / 8), h = (key * 0x9e3779b9u) >> 8;
    for (uint32_t i = 0; i < SEEN_PER_CTA; i++) {
        MbarSeen *m = &s->seen[(h + i) % s->n_seen];
        if (m->key != 0 && m->key != key)
            continue;
        m->key = key;
        return &m->seen;
    }
    return NULL;
}

static void note(Sm *sm, uint32_t place, uint32_t addr, const MbarNote *n)
{
    MbarHistory *h = seen_of(sm->sim, sm->cta[place].slot, addr);
    if (h)
        mbar_history_note(h, n);
}

void deadlock_note(Sm *sm, const Event *e, bool flipped)
{
    MbarNote n = {.kind = e->kind == EV_TX ? OK_MBAR_TX : OK_MBAR_ARRIVE,
                  .mbar_rank = sm->rank,
                  .rank = e->rank,
                  .warp = e->warp,
                  .op = e->op,
                  .bytes = e->c,
                  .flipped = flipped};
    note(sm, e->who, e->a, &n);
}

void deadlock_note_init(Sm *sm, uint32_t place, const Op *op)
{
    MbarNote n = {.kind = (OpKind)op->kind, .op = op->info};
    note(sm, place, op->sync, &n);
}

static void fill_mbar(Sim *s, const Sm *sm, const TCta *c, DeadWait *d)
{
    Err ignored = {0};
    const MbarHistory *seen = seen_of(s, c->slot, d->sync);
    const uint64_t *word = s->front->ops->mbar(s->front, c->slot, d->sync & 0xffffff, &ignored);
    d->sync = sm->rank << 24 | (d->sync & 0xffffff);
    if (!word)
        return;
    MbarState m = mbar_state(*word);
    d->arrivals_needed = m.expected;
    d->arrivals_had = m.expected - m.pending;
    if (!seen)
        return;
    d->seen = *seen;
    d->bytes_needed = seen->bytes;
    d->bytes_had = (int64_t)seen->bytes - m.tx;
}

/* Warps of the CTA that have ended, that stand at this barrier. */
static void fill_warps(const Sm *sm, const TWarp *w, DeadWait *d)
{
    uint32_t phase = sm->group->cluster[w->cta].phase;
    for (uint32_t i = 0; i < sm->n_slots; i++) {
        const TWarp *v = &sm->warp[i];
        if (v->cta != w->cta || v->id >= 64)
            continue;
        bool there = w->park.kind == OK_CLUSTER_WAIT
                         ? v->cluster_phase == phase
                         : v->park.kind == OK_BAR_SYNC && v->park.sync == w->park.sync;
        uint64_t bit = (uint64_t)1 << v->id;
        d->ended |= v->state == WS_DONE ? bit : 0;
        d->there |= there && v->state == WS_PARKED ? bit : 0;
    }
}

static void describe(Sim *s, Sm *sm, uint32_t slot, DeadWait *d)
{
    const TWarp *w = &sm->warp[slot];
    const TCta *c = &sm->cta[w->cta];
    bool parked = w->state == WS_PARKED;
    *d = (DeadWait){.cta = c->id,
                    .warp = w->id,
                    .rank = sm->rank,
                    .cluster = sm->group->sm[0]->cta[w->cta].id,
                    .front = s->front,
                    .slot = c->slot,
                    .parked = parked,
                    .seen = {.last_warp = NO_WARP, .expect_op = OP_NONE, .init_op = OP_NONE}};
    fill_warps(sm, w, d);
    if (!parked && s->front->ops->polls) {
        s->front->ops->polls(s->front, c->slot, w->id, d);
    } else {
        d->insn = s->code->ops[parked ? w->park.info : w->op == OP_NONE ? 0 : w->op].insn;
        d->kind = parked ? w->park.kind : OK_GMEM;
        d->sync = w->park.sync;
        d->parity = w->park.arg0;
    }
    if (dead_is_mbar(d)) {
        fill_mbar(s, sm, c, d);
    } else if (d->kind == OK_BAR_SYNC) {
        d->arrivals_had = c->bar[w->park.sync].arrived;
        d->arrivals_needed = w->park.arg0;
    } else if (d->kind == OK_CLUSTER_WAIT) {
        d->arrivals_had = sm->group->cluster[w->cta].arrived;
        d->arrivals_needed = sm->group->cluster[w->cta].warps;
    }
}

static const char *kind_text(uint32_t kind)
{
    switch (kind) {
    case OK_MBAR_WAIT:
        return "mbarrier";
    case OK_BAR_SYNC:
        return "named barrier";
    case OK_CLUSTER_WAIT:
        return "cluster barrier";
    case OK_BULK_WAIT:
        return "bulk group";
    case OK_CPASYNC_WAIT:
        return "cp.async group";
    case OK_WGMMA_WAIT:
        return "wgmma group";
    case OK_TMEM_ALLOC:
        return "tensor-memory columns";
    case OK_SETMAXNREG:
        return "registers";
    case OK_GMEM:
        return "memory that nobody changes";
    default:
        return "an operation";
    }
}

static bool same_wait(const DeadWait *a, const DeadWait *b)
{
    return a->cta == b->cta && a->sync == b->sync && a->parity == b->parity && a->kind == b->kind &&
           a->insn == b->insn;
}

/* One line for the n warps from d[0] on, which wait for the same thing. */
static void add_text(Sim *s, const DeadWait *d, uint32_t n)
{
    const Code *c = s->code;
    err_append(s->err, "\n  CTA %u warp", d->cta);
    if (n > 1)
        err_append(s->err, "s %u-%u", d->warp, d[n - 1].warp);
    else
        err_append(s->err, " %u", d->warp);
    if (c->func && c->insns)
        err_append(s->err, " (line %u)", c->func->insns[c->insns[d->insn].ptx].loc.line);
    err_append(s->err, " wait%s for %s", n > 1 ? "" : "s", kind_text(d->kind));
    if (d->kind == OK_MBAR_WAIT || d->kind == OK_BAR_SYNC)
        err_append(s->err, " 0x%x", d->sync);
    if (d->kind == OK_MBAR_WAIT)
        err_append(s->err, " phase %u", d->parity);
    if (d->arrivals_needed)
        err_append(s->err, ": %u of %u arrivals", d->arrivals_had, d->arrivals_needed);
    if (d->bytes_needed || d->bytes_had)
        err_append(s->err, ", %lld bytes to come", (long long)(d->bytes_needed - d->bytes_had));
}

/* Waits of the groups that cannot move; of all, if what they poll never changes. */
static uint32_t gather(Sim *s, DeadWait *waits)
{
    bool some = false;
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_groups; i++)
        some |= s->group[i].dead;
    for (uint32_t g = 0; g < s->n_groups; g++)
        for (uint32_t place = 0; place < s->ctas_per_sm && (!some || s->group[g].dead); place++)
            for (uint32_t r = 0; r < s->group[g].n; r++) {
                Sm *sm = s->group[g].sm[r];
                for (uint32_t i = 0; i < sm->n_slots; i++)
                    if (sm->warp[i].cta == place &&
                        (sm->warp[i].state == WS_PARKED || sm->warp[i].state == WS_RUN))
                        describe(s, sm, i, &waits[n++]);
            }
    return n;
}

void deadlock_report(Sim *s, Arena *a, Deadlock *dead, Cycle now)
{
    DeadWait *waits = arena_new(a, DeadWait, s->n_sm * (size_t)s->sm[0].n_slots + 1);
    uint32_t n = gather(s, waits);
    err_set(s->err, ERR_DEADLOCK, (Loc){0}, "deadlock at cycle %llu: no warp can move, %u wait",
            (unsigned long long)now, n);
    if (s->res->ctas_simulated < s->res->ctas_total)
        err_append(s->err, " (%u of %u CTAs are simulated: if they wait for others, use --sms all)",
                   s->res->ctas_simulated, s->res->ctas_total);
    for (uint32_t i = 0, k; i < n; i = k) {
        for (k = i + 1;
             k < n && same_wait(&waits[i], &waits[k]) && waits[k].warp == waits[k - 1].warp + 1;
             k++)
            ;
        add_text(s, &waits[i], k - i);
    }
    if (!dead)
        return;
    *dead = (Deadlock){.waits = waits,
                       .n_waits = n,
                       .n_started = s->next_cta * s->cluster,
                       .n_ctas = (uint32_t)s->res->ctas_total,
                       .at = now};
    deadlock_explain(a, dead);
}
