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
static MbarArrivers *arrivers_of(Sim *s, uint32_t rank, uint32_t addr)
{
    uint32_t key = 1 + (rank << 24 | (addr & 0xffffff)), h = (key * 0x9e3779b9u) >> 12;
    for (uint32_t i = 0; i < ARRIVER_TABLE; i++) {
        MbarArrivers *m = &s->arrivers[(h + i) % ARRIVER_TABLE];
        if (m->key != 0 && m->key != key)
            continue;
        m->key = key;
        return m;
    }
    return NULL;
}

void deadlock_note(Sm *sm, const Event *arrival)
{
    MbarArrivers *m = arrivers_of(sm->sim, sm->rank, arrival->a);
    if (m)
        arrivers_add(&m->who, sm->rank, arrival->rank, arrival->warp);
}

static void describe(Sim *s, Sm *sm, uint32_t slot, DeadWait *d)
{
    const TWarp *w = &sm->warp[slot];
    const TCta *c = &sm->cta[w->cta];
    *d = (DeadWait){.cta = c->id,
                    .warp = w->id,
                    .rank = sm->rank,
                    .cluster = sm->group->sm[0]->cta[w->cta].id,
                    .sync = w->park.sync,
                    .parity = w->park.arg0,
                    .kind = w->park.kind,
                    .insn = s->code->ops[w->park.info].insn};
    d->last_warp = NO_WARP;
    if (w->park.kind == OK_MBAR_WAIT) {
        const MbarArrivers *known = arrivers_of(s, sm->rank, w->park.sync);
        if (known)
            d->arrivers = known->who;
        Err ignored = {0};
        const uint64_t *word =
            s->front->ops->mbar(s->front, c->slot, w->park.sync & 0xffffff, &ignored);
        if (word) {
            MbarState m = mbar_state(*word);
            d->sync = w->park.sync & 0xffffff;
            d->arrivals_needed = m.expected;
            d->arrivals_had = m.expected - m.pending;
            d->bytes_needed = m.tx > 0 ? m.tx : 0;
            d->bytes_had = m.tx < 0 ? -(int64_t)m.tx : 0;
        }
    } else if (w->park.kind == OK_BAR_SYNC) {
        d->arrivals_had = c->bar[w->park.sync].arrived;
        d->arrivals_needed = w->park.arg0;
    } else if (w->park.kind == OK_CLUSTER_WAIT) {
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

static DeadWait poll_of(const Sim *s, const Sm *sm, const TWarp *w)
{
    return (DeadWait){.cta = sm->cta[w->cta].id,
                      .warp = w->id,
                      .rank = sm->rank,
                      .cluster = sm->group->sm[0]->cta[w->cta].id,
                      .kind = OK_GMEM,
                      .insn = w->op == OP_NONE ? 0 : s->code->ops[w->op].insn};
}

void deadlock_report(Sim *s, Arena *a, Deadlock *dead, Cycle now)
{
    DeadWait *waits = arena_new(a, DeadWait, s->n_sm * (size_t)s->sm[0].n_slots + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_sm; i++) {
        Sm *sm = &s->sm[i];
        for (uint32_t slot = 0; slot < sm->n_slots; slot++) {
            if (sm->warp[slot].state == WS_PARKED)
                describe(s, sm, slot, &waits[n++]);
            else if (sm->warp[slot].state == WS_RUN)
                waits[n++] = poll_of(s, sm, &sm->warp[slot]);
        }
    }
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
    if (dead)
        *dead = (Deadlock){.waits = waits, .n_waits = n, .at = now};
    if (dead)
        deadlock_cycle(a, dead);
}
