/* The deadlock report of a run without time: every waiting warp, where it stands, and what is
 * missing. Warps with the same wait share a line. Research/ptx.md 6.3. */
#include <stdio.h>

#include "sim/func/drive.h"

enum { LINE = 256 };

static const Expected *expected_of(const Drive *d, uint32_t addr)
{
    const Expected *table = d->ctas[addr >> 24].expected;
    for (uint32_t i = 0; i < DRIVE_MBARS; i++)
        if (table[i].addr == addr)
            return &table[i];
    return NULL;
}

static void fill_mbar(Drive *d, uint32_t sync, DeadWait *w)
{
    Err ignored = {0};
    const uint64_t *word = d->f->ops->mbar(d->f, sync >> 24, sync, &ignored);
    const Expected *e = expected_of(d, sync);
    w->last_warp = NO_WARP;
    if (!word || !mbar_is_init(*word))
        return;
    MbarState s = mbar_state(*word);
    w->arrivals_needed = s.expected;
    w->arrivals_had = s.expected - s.pending;
    if (!e)
        return;
    w->bytes_needed = e->bytes;
    w->bytes_had = (int64_t)e->bytes - s.tx;
    w->phase = e->phase;
    w->arrivers = e->arrivers;
    if (e->last_warp == NO_WARP)
        return;
    w->last_warp = e->last_warp;
    w->last_insn = d->x->code->ops[e->last_info].insn;
    const DriveWarp *warps = d->ctas[sync >> 24].warps;
    for (uint32_t i = 0; i < d->f->n_warps && i < 64; i++)
        if (warps[i].state == DW_DONE)
            w->ended_arrivers |= w->arrivers.own & (uint64_t)1 << i;
}

/* The instruction with which a warp that is not parked last polled. */
static uint32_t polled_insn(const Drive *d, uint32_t cta, uint32_t warp)
{
    const Warp *w = &d->x->ctas[cta].warps[warp];
    const Code *c = d->x->code;
    uint32_t i = 0;
    while (i < c->n_insns && w->watch.polls && c->insns[i].ptx != w->watch.ptx)
        i++;
    return w->watch.polls && i < c->n_insns ? i : w->pc < c->n_insns ? w->pc : 0;
}

/* What a warp waits for; false if it does not wait. */
static bool wait_of(Drive *d, uint32_t cta, uint32_t warp, DeadWait *out)
{
    const DriveWarp *w = &d->ctas[cta].warps[warp];
    const Op *op = w->state == DW_PARKED && w->n_waits ? &w->waits[0] : &w->poll;
    if (w->state == DW_DONE)
        return false;
    *out = (DeadWait){.cta = d->x->ctas[cta].id,
                      .warp = warp,
                      .rank = cta,
                      .cluster = d->x->ctas[0].id,
                      .sync = op->sync,
                      .parity = op->arg0,
                      .kind = op->kind,
                      .last_warp = NO_WARP};
    if (w->state == DW_PARKED)
        out->insn = d->x->code->ops[op->info].insn;
    else
        out->insn = polled_insn(d, cta, warp);
    if (op->kind == OK_MBAR_WAIT || op->kind == OK_MBAR_TEST)
        fill_mbar(d, op->sync, out);
    if (op->kind == OK_BAR_SYNC) {
        out->arrivals_had = d->ctas[cta].bars[op->sync].arrived;
        out->arrivals_needed = op->arg0;
    }
    if (op->kind == OK_CLUSTER_WAIT) {
        out->arrivals_had = d->cluster_arrived;
        out->arrivals_needed = d->n_ctas * d->f->n_warps;
    }
    return true;
}

static void describe(const Drive *d, const DeadWait *w, char *text)
{
    const Insn *insns = d->x->code->func->insns;
    int n = snprintf(text, LINE, "(line %u): waits for ",
                     insns[d->x->code->insns[w->insn].ptx].loc.line);
    char *at = text + n;
    size_t room = LINE - (size_t)n;
    switch (w->kind) {
    case OK_MBAR_WAIT:
        n = snprintf(at, room, "mbarrier 0x%x, phase parity %u: %u of %u arrivals", w->sync,
                     w->parity, w->arrivals_had, w->arrivals_needed);
        if (w->bytes_needed || w->bytes_had)
            snprintf(at + n, room - (size_t)n, ", %lld of %lld bytes", (long long)w->bytes_had,
                     (long long)w->bytes_needed);
        break;
    case OK_BAR_SYNC:
        snprintf(at, room, "barrier %u: %u of %u threads", w->sync, w->arrivals_had,
                 w->arrivals_needed);
        break;
    case OK_CLUSTER_WAIT:
        snprintf(at, room, "the cluster barrier: %u warps have arrived", w->arrivals_had);
        break;
    case OK_TMEM_ALLOC:
        snprintf(at, room, "%u columns of tensor memory", w->parity);
        break;
    default:
        snprintf(at, room, "its own asynchronous operations");
        break;
    }
}

/* What a warp that is not parked polls. */
static void describe_poll(const Drive *d, uint32_t cta, uint32_t warp, char *text)
{
    const Warp *w = &d->x->ctas[cta].warps[warp];
    const Func *f = d->x->code->func;
    if (w->watch.polls == 0 || w->watch.ptx >= f->n_insns) {
        snprintf(text, LINE, "runs in a loop that never ends");
        return;
    }
    const Insn *in = &f->insns[w->watch.ptx];
    int n = snprintf(text, LINE, "(line %u): polls in vain", in->loc.line);
    if (w->watch.addr)
        snprintf(text + n, (size_t)(LINE - n), " at address 0x%llx",
                 (unsigned long long)w->watch.addr);
}

static void gather(Drive *d)
{
    d->dead = (Deadlock){.waits = arena_new(d->a, DeadWait, d->n_ctas * d->f->n_warps + 1)};
    for (uint32_t c = 0; c < d->n_ctas; c++)
        for (uint32_t i = 0; i < d->f->n_warps; i++)
            if (wait_of(d, c, i, &d->dead.waits[d->dead.n_waits]))
                d->dead.n_waits++;
    deadlock_cycle(d->a, &d->dead);
}

/* The first warp that waits, else the first that polls. */
static Loc first_place(const Drive *d)
{
    const Code *c = d->x->code;
    const Deadlock *dead = &d->dead;
    uint32_t i = 0;
    while (i < dead->n_waits &&
           d->ctas[dead->waits[i].rank].warps[dead->waits[i].warp].state != DW_PARKED)
        i++;
    if (!dead->n_waits)
        return c->func->loc;
    return c->func->insns[c->insns[dead->waits[i < dead->n_waits ? i : 0].insn].ptx].loc;
}

/* The text for one warp: where it stands and what it waits for. */
static void line_of(const Drive *d, const DeadWait *w, char *text)
{
    const DriveWarp *warp = &d->ctas[w->rank].warps[w->warp];
    if (warp->state == DW_PARKED && warp->n_waits)
        describe(d, w, text);
    else
        describe_poll(d, w->rank, w->warp, text);
}

void drive_deadlock(Drive *d, Err *err)
{
    gather(d);
    const DeadWait *waits = d->dead.waits;
    if (err->kind == ERR_NONE)
        err_set(err, ERR_DEADLOCK, first_place(d), "deadlock: no warp can move");
    for (uint32_t i = 0, k; i < d->dead.n_waits; i = k) {
        char text[LINE], other[LINE];
        line_of(d, &waits[i], text);
        for (k = i + 1; k < d->dead.n_waits && waits[k].rank == waits[i].rank; k++) {
            line_of(d, &waits[k], other);
            if (waits[k].warp != waits[k - 1].warp + 1 || strcmp(text, other) != 0)
                break;
        }
        if (k - i > 1)
            err_append(err, "\n  CTA %u warps %u-%u %s", waits[i].cta, waits[i].warp,
                       waits[k - 1].warp, text);
        else
            err_append(err, "\n  CTA %u warp %u %s", waits[i].cta, waits[i].warp, text);
    }
}
