/* The deadlock report of a run without time: every waiting warp, where it stands, and what is
 * missing. Warps with the same wait share a line. Research/ptx.md 6.3. */
#include <stdio.h>

#include "sim/func/drive.h"

enum { LINE = 256 };

static int32_t expected_bytes(const Drive *d, uint32_t addr)
{
    const Expected *table = d->ctas[addr >> 24].expected;
    for (uint32_t i = 0; i < DRIVE_MBARS; i++)
        if (table[i].addr == addr)
            return (int32_t)table[i].bytes;
    return 0;
}

static void describe_mbar(Drive *d, const Op *wait, char *text)
{
    Err ignored = {0};
    const uint64_t *word = d->f->ops->mbar(d->f, wait->sync >> 24, wait->sync, &ignored);
    if (!word || !mbar_is_init(*word)) {
        snprintf(text, LINE, "mbarrier 0x%x, which is not initialised", wait->sync);
        return;
    }
    MbarState s = mbar_state(*word);
    int32_t needed = expected_bytes(d, wait->sync);
    int n = snprintf(text, LINE, "mbarrier 0x%x, phase parity %u: %d of %u arrivals", wait->sync,
                     wait->arg0, (int32_t)(s.expected - s.pending), s.expected);
    if (needed || s.tx)
        snprintf(text + n, (size_t)(LINE - n), ", %d of %d bytes", needed - s.tx, needed);
}

static void describe(Drive *d, uint32_t cta, const Op *wait, char *text)
{
    const NamedBarrier *b = &d->ctas[cta].bars[wait->sync % N_NAMED_BARRIERS];
    switch (wait->kind) {
    case OK_MBAR_WAIT:
    case OK_MBAR_TEST:
        describe_mbar(d, wait, text);
        break;
    case OK_BAR_SYNC:
        snprintf(text, LINE, "barrier %u: %u of %u threads", wait->sync, b->arrived, b->expected);
        break;
    case OK_CLUSTER_WAIT:
        snprintf(text, LINE, "the cluster barrier: %u warps have arrived", d->cluster_arrived);
        break;
    case OK_TMEM_ALLOC:
        snprintf(text, LINE, "%u columns of tensor memory", wait->arg0);
        break;
    default:
        snprintf(text, LINE, "its own asynchronous operations");
        break;
    }
}

/* What a warp that is not parked polls. */
static void describe_poll(const Drive *d, uint32_t cta, uint32_t warp, char *text)
{
    const Warp *w = &d->x->ctas[cta].warps[warp];
    const Func *f = d->x->code->func;
    if (w->watch.polls == 0 || w->watch.ptx >= f->n_insns) {
        snprintf(text, 2 * LINE, "runs in a loop that never ends");
        return;
    }
    const Insn *in = &f->insns[w->watch.ptx];
    int n = snprintf(text, 2 * LINE, "(line %u): polls in vain", in->loc.line);
    if (w->watch.addr)
        snprintf(text + n, (size_t)(2 * LINE - n), " at address 0x%llx",
                 (unsigned long long)w->watch.addr);
}

/* The text for one warp: where it stands and what it waits for; empty if it does not wait. */
static void line_of(Drive *d, uint32_t cta, uint32_t warp, char *text)
{
    const DriveWarp *w = &d->ctas[cta].warps[warp];
    char what[LINE];
    text[0] = 0;
    if (w->state == DW_DONE)
        return;
    if (w->state != DW_PARKED || w->n_waits == 0) {
        describe_poll(d, cta, warp, text);
        return;
    }
    describe(d, cta, &w->waits[0], what);
    snprintf(text, 2 * LINE, "(line %u): waits for %s", drive_loc(d, &w->waits[0]).line, what);
}

/* The first warp that waits, else the first that polls. */
static Loc first_place(const Drive *d)
{
    Loc loc = {0};
    const Func *f = d->x->code->func;
    for (uint32_t c = 0; c < d->n_ctas; c++)
        for (uint32_t i = 0; i < d->f->n_warps; i++) {
            const Warp *w = &d->x->ctas[c].warps[i];
            if (d->ctas[c].warps[i].state == DW_PARKED)
                return drive_loc(d, &d->ctas[c].warps[i].waits[0]);
            if (!loc.line && d->ctas[c].warps[i].state == DW_READY && w->watch.polls)
                loc = f->insns[w->watch.ptx].loc;
        }
    return loc;
}

void drive_deadlock(Drive *d, Err *err)
{
    if (err->kind == ERR_NONE)
        err_set(err, ERR_DEADLOCK, first_place(d), "deadlock: no warp can move");
    for (uint32_t c = 0; c < d->n_ctas; c++) {
        const Cta *cta = &d->x->ctas[c];
        for (uint32_t i = 0; i < d->f->n_warps;) {
            char text[2 * LINE], other[2 * LINE];
            uint32_t first = i++;
            line_of(d, c, first, text);
            if (!text[0])
                continue;
            for (; i < d->f->n_warps; i++) {
                line_of(d, c, i, other);
                if (strcmp(text, other) != 0)
                    break;
            }
            if (i - first > 1)
                err_append(err, "\n  CTA %u warps %u-%u %s", cta->id, first, i - 1, text);
            else
                err_append(err, "\n  CTA %u warp %u %s", cta->id, first, text);
        }
    }
}
