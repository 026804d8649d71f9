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
    if (!word || !mbar_is_init(*word))
        return;
    MbarState s = mbar_state(*word);
    w->arrivals_needed = s.expected;
    w->arrivals_had = s.expected - s.pending;
    if (!e)
        return;
    w->bytes_needed = e->seen.bytes;
    w->bytes_had = (int64_t)e->seen.bytes - s.tx;
    w->seen = e->seen;
}

/* Warps of the CTA that have ended; that stand at a named barrier or, sync NO_WARP, have arrived at
 * the cluster's. */
static uint64_t warps_there(const Drive *d, uint32_t cta, uint32_t sync)
{
    uint64_t there = 0;
    for (uint32_t i = 0; i < d->f->n_warps && i < 64; i++) {
        const DriveWarp *w = &d->ctas[cta].warps[i];
        bool at = sync == NO_WARP ? w->cluster_generation == d->cluster_generation + 1
                                  : w->state == DW_PARKED && w->n_waits &&
                                        w->waits[0].kind == OK_BAR_SYNC && w->waits[0].sync == sync;
        there |= (uint64_t)(at && w->state != DW_DONE) << i;
    }
    return there;
}

static void fill_barrier(const Drive *d, uint32_t cta, DeadWait *w)
{
    if (w->kind == OK_BAR_SYNC) {
        w->arrivals_had = d->ctas[cta].bars[w->sync].arrived;
        w->arrivals_needed = w->parity;
        w->there = warps_there(d, cta, w->sync);
    }
    if (w->kind == OK_CLUSTER_WAIT) {
        w->arrivals_had = d->cluster_arrived;
        for (uint32_t c = 0; c < d->n_ctas; c++)
            w->arrivals_needed += d->ctas[c].live;
        w->there = warps_there(d, cta, NO_WARP);
    }
}

/* What a warp waits for; false if it does not wait. */
static bool wait_of(Drive *d, uint32_t cta, uint32_t warp, DeadWait *out)
{
    const DriveWarp *w = &d->ctas[cta].warps[warp];
    if (w->state == DW_DONE)
        return false;
    *out = (DeadWait){.cta = d->x->ctas[cta].id,
                      .warp = warp,
                      .rank = cta,
                      .cluster = d->x->ctas[0].id,
                      .front = d->f,
                      .slot = cta,
                      .parked = w->state == DW_PARKED && w->n_waits,
                      .seen = {.last_warp = NO_WARP, .expect_op = OP_NONE, .init_op = OP_NONE}};
    for (uint32_t i = 0; i < d->f->n_warps && i < 64; i++)
        out->ended |= (uint64_t)(d->ctas[cta].warps[i].state == DW_DONE) << i;
    if (!out->parked) {
        d->f->ops->polls(d->f, cta, warp, out);
    } else {
        const Op *op = &w->waits[0];
        out->insn = d->x->code->ops[op->info].insn;
        out->kind = op->kind;
        out->sync = op->sync;
        out->parity = op->arg0;
    }
    if (dead_is_mbar(out))
        fill_mbar(d, out->sync, out);
    fill_barrier(d, cta, out);
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
        snprintf(at, room, "the cluster barrier: %u of %u warps", w->arrivals_had,
                 w->arrivals_needed);
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
    if (!w->watch.polled || w->watch.ptx >= f->n_insns) {
        snprintf(text, LINE, "runs in a loop that never ends");
        return;
    }
    const Insn *in = &f->insns[w->watch.ptx];
    int n = snprintf(text, LINE, "(line %u): polls in vain", in->loc.line);
    if (w->watch.addr)
        snprintf(text + n, (size_t)(LINE - n), " at address 0x%llx",
                 (unsigned long long)w->watch.addr);
}

/* The first warp that waits, else the first that polls. */
static Loc first_place(const Code *c, const Deadlock *dead)
{
    uint32_t i = 0;
    while (i < dead->n_waits && !dead->waits[i].parked)
        i++;
    if (!dead->n_waits)
        return c->func->loc;
    return c->func->insns[c->insns[dead->waits[i < dead->n_waits ? i : 0].insn].ptx].loc;
}

/* The text for one warp: where it stands and what it waits for. */
static void line_of(const Drive *d, const DeadWait *w, char *text)
{
    if (w->parked)
        describe(d, w, text);
    else
        describe_poll(d, w->rank, w->warp, text);
}

/* A line for the warps of n waits that have the same text. */
static void add_lines(const Drive *d, const DeadWait *waits, uint32_t n, Err *err)
{
    for (uint32_t i = 0, k; i < n; i = k) {
        char text[LINE], other[LINE];
        line_of(d, &waits[i], text);
        for (k = i + 1; k < n && waits[k].rank == waits[i].rank; k++) {
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

void drive_deadlock(Arena *a, Drive *const *d, uint32_t n, Deadlock *dead, Err *err)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < n; i++)
        most += d[i]->n_ctas * d[i]->f->n_warps;
    dead->waits = arena_new(a, DeadWait, most + 1);
    dead->n_waits = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t c = 0; c < d[i]->n_ctas; c++)
            for (uint32_t w = 0; w < d[i]->f->n_warps; w++)
                dead->n_waits += wait_of(d[i], c, w, &dead->waits[dead->n_waits]);
    err_set(err, ERR_DEADLOCK, first_place(d[0]->x->code, dead), "deadlock: no warp can move");
    for (uint32_t i = 0, from = 0; i < n; i++) {
        uint32_t to = from;
        while (to < dead->n_waits && dead->waits[to].front == d[i]->f)
            to++;
        add_lines(d[i], &dead->waits[from], to - from, err);
        from = to;
    }
    deadlock_explain(a, dead);
}
