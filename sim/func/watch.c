/* Warps that only wait: a warp that comes back to a state in which it has been before, while
 * nothing has changed that it could read, will come back for ever.
 *
 * Pictures of the warp (pc, lanes, registers) are taken after 64, 128, 256 ... instructions since
 * the last change of anything that others could notice, as in Brent's search for cycles, and
 * compared whenever the warp stands at the picture's pc. What counts as a change is Exec.changes:
 * stores, atomics that alter memory, barriers, steps of asynchronous operations, by any warp. A
 * warp that counts its polls is never found in this way; the drivers lose patience with it.
 * research/ptx.md 6.3 (livelock). */
#include "sim/func/state.h"

enum {
    FIRST_PICTURE = 64,
    PATIENCE = 1 << 16, /* instructions after which a loop is looked at though it polls nothing */
};

static bool strong_load(const CodeInsn *in)
{
    uint8_t sem = in->mod[MC_SEM];
    return sem == MV_SEM_RELAXED || sem == MV_SEM_ACQUIRE || sem == MV_SEM_VOLATILE ||
           sem == MV_SEM_MMIO;
}

Seen seen_of(const Code *c, const CodeInsn *in)
{
    if (in->opinfo == OP_NONE)
        return SEEN_NOTHING;
    if (in->op == OP_TENSORMAP_REPLACE)
        return SEEN_CHANGE;
    switch (op_row[in->op].tclass) {
    case TC_LDS:
    case TC_LDG:
        return strong_load(in) ? SEEN_POLL : SEEN_NOTHING;
    case TC_MBAR_TRY:
        return SEEN_POLL;
    case TC_ATOMS:
    case TC_ATOMG:
        return SEEN_ATOMIC;
    case TC_LDC:
    case TC_LDTM:
    case TC_FENCE:
    case TC_NANOSLEEP:
    case TC_WARPSYNC:
    case TC_TMA_PF:
    case TC_NONE:
        return SEEN_NOTHING;
    default:
        return c->ops[in->opinfo].kind == OK_PLAIN || c->ops[in->opinfo].kind == OK_BRANCH
                   ? SEEN_NOTHING
                   : SEEN_CHANGE;
    }
}

void watch_start(Warp *w)
{
    w->watch.changes = *w->cta->exec->changes;
    w->watch.steps = w->watch.polls = 0;
    w->watch.next = FIRST_PICTURE;
    w->watch.taken = w->watch.spins = false;
}

static void take_picture(Warp *w)
{
    const Code *c = warp_code(w);
    Watch *p = &w->watch;
    p->taken = true;
    p->at = p->steps;
    p->next = 2 * p->steps;
    p->polls_then = p->polls;
    p->pc = w->pc;
    p->mask = w->mask;
    p->loops = w->loops;
    p->hold = w->hold;
    p->n_splits = w->n_splits;
    memcpy(p->splits, w->splits, w->n_splits * sizeof w->splits[0]);
    size_t regs = (size_t)c->n_slots * WARP;
    memcpy(w->saved, w->base[0], regs * sizeof(uint32_t));
    memcpy(w->saved + regs, w->preds, c->n_preds * sizeof(uint32_t));
}

static bool same_splits(const Warp *w)
{
    const Watch *p = &w->watch;
    if (p->mask != w->mask || p->n_splits != w->n_splits)
        return false;
    if (w->n_splits > 0 && (p->loops != w->loops || p->hold != w->hold))
        return false; /* they decide which split runs next */
    for (uint32_t i = 0; i < w->n_splits; i++)
        if (p->splits[i].pc != w->splits[i].pc || p->splits[i].mask != w->splits[i].mask ||
            p->splits[i].parked != w->splits[i].parked)
            return false;
    return true;
}

static bool like_picture(const Warp *w)
{
    const Code *c = warp_code(w);
    size_t regs = (size_t)c->n_slots * WARP;
    return same_splits(w) && memcmp(w->saved, w->base[0], regs * sizeof(uint32_t)) == 0 &&
           memcmp(w->saved + regs, w->preds, c->n_preds * sizeof(uint32_t)) == 0;
}

/* For the report of a deadlock. */
static void note_poll(Watch *p, const Op *op)
{
    p->polled = true;
    p->kind = op->kind;
    p->parity = (uint8_t)op->arg0;
    p->addr = op->kind == OK_GMEM ? op->addr << 5 : op->kind == OK_MBAR_TEST ? op->sync : op->addr;
}

void watch_step(Exec *x, Warp *w, const XInsn *in, const ExecCtx *done)
{
    Watch *p = &w->watch;
    Seen seen = (Seen)in->seen;
    if (done->ops[0].kind == OK_SKIPPED)
        seen = SEEN_NOTHING;
    else if (seen == SEEN_ATOMIC)
        seen = done->kept ? SEEN_POLL : SEEN_CHANGE;
    if (seen == SEEN_CHANGE) {
        ++*x->changes;
        p->polled = false;
    }
    if (p->changes != *x->changes)
        watch_start(w);
    if (seen == SEEN_POLL) {
        p->polls++;
        p->ptx = in->ci->ptx;
        note_poll(p, &done->ops[0]);
    }
    if (++p->steps == p->next)
        take_picture(w);
    else if (p->taken && w->pc == p->pc &&
             (p->polls != p->polls_then || p->steps - p->at > PATIENCE) && like_picture(w))
        p->spins = true;
}

void exec_polls(Front *f, uint32_t slot, uint32_t warp, DeadWait *out)
{
    const Exec *x = (Exec *)f;
    const Warp *w = &x->ctas[slot].warps[warp];
    const Code *c = x->code;
    uint32_t i = 0;
    out->kind = OK_PLAIN;
    out->insn = w->pc < c->n_insns ? w->pc : 0;
    if (!w->watch.polled)
        return;
    while (i < c->n_insns && c->insns[i].ptx != w->watch.ptx)
        i++;
    out->insn = i < c->n_insns ? i : 0;
    out->kind = w->watch.kind;
    if (out->kind == OK_MBAR_TEST) {
        out->sync = (uint32_t)w->watch.addr;
        out->parity = w->watch.parity;
    } else {
        out->addr = w->watch.addr;
    }
}
