/* A warp as a set of splits. Invariants between instructions: the splits are sorted by pc, no two
 * of them and the running one have the same pc, their masks are disjoint, and together they are the
 * lanes alive.
 *
 * Running the lowest pc reconverges structured code where its paths join. It would starve a warp
 * whose lanes wait for each other by polling memory: after many backward branches another split
 * gets a turn. */
#include "sim/func/state.h"

#include <assert.h>

/* Turns of a loop before the splits that wait behind it may run. Large enough for ordinary loops
 * with different trip counts to end first, so that they reconverge. */
#define MAX_LOOPS 1024
/* Length of such a turn, in calls of warp_schedule. */
#define TURN 256

static void remove_split(Warp *w, uint32_t i)
{
    w->n_splits--;
    memmove(&w->splits[i], &w->splits[i + 1], (w->n_splits - i) * sizeof w->splits[0]);
}

/* Adds lanes at pc, to a split that stands there or as a new one. */
static void add_split(Warp *w, uint32_t pc, uint32_t mask, bool parked)
{
    uint32_t i = 0;
    while (i < w->n_splits && w->splits[i].pc < pc)
        i++;
    if (i < w->n_splits && w->splits[i].pc == pc) {
        w->splits[i].mask |= mask;
        w->splits[i].parked = parked;
        return;
    }
    assert(w->n_splits < WARP);
    memmove(&w->splits[i + 1], &w->splits[i], (w->n_splits - i) * sizeof w->splits[0]);
    w->splits[i] = (Split){pc, mask, parked};
    w->n_splits++;
}

/* Takes lanes that stand at the running pc into the running split, and finds where the next ones
 * stand. */
static void join(Warp *w)
{
    w->stop = NO_PC;
    for (uint32_t i = 0; i < w->n_splits; i++) {
        if (w->splits[i].pc == w->pc) {
            w->mask |= w->splits[i].mask;
            remove_split(w, i--);
        } else if (w->splits[i].pc > w->pc && w->stop == NO_PC) {
            w->stop = w->splits[i].pc;
        }
    }
}

static void run_split(Warp *w, uint32_t i)
{
    Split s = w->splits[i];
    remove_split(w, i);
    w->pc = s.pc;
    w->mask = s.mask;
    w->loops = 0;
}

/* The lowest split that is not parked, or n_splits. */
static uint32_t lowest(const Warp *w)
{
    uint32_t i = 0;
    while (i < w->n_splits && w->splits[i].parked)
        i++;
    return i;
}

static void unpark_all(Warp *w)
{
    for (uint32_t i = 0; i < w->n_splits; i++)
        w->splits[i].parked = false;
}

void warp_start(Warp *w)
{
    w->live = w->mask = w->full;
    w->pc = 0;
    w->n_splits = 0;
    w->stop = NO_PC;
    w->retry_pc = NO_PC;
    w->loops = 0;
    w->hold = 0;
    w->stuck = false;
    w->n_insts = w->n_lane_insts = 0;
    w->fault.kind = ERR_NONE;
}

void warp_schedule(Warp *w)
{
    if (w->mask)
        join(w);
    if (w->mask && w->hold > 0) {
        w->hold--;
        return;
    }
    w->hold = 0;
    uint32_t i = lowest(w);
    if (!w->mask && i == w->n_splits && w->n_splits > 0) { /* only parked ones are left */
        i = 0;
        w->stuck = true;
    }
    if (i < w->n_splits && (!w->mask || w->splits[i].pc < w->pc)) {
        uint32_t pc = w->pc, mask = w->mask;
        run_split(w, i);
        if (mask)
            add_split(w, pc, mask, false);
        join(w);
    }
}

/* Lets the next higher split that can run, else the lowest, have a turn. */
static bool run_another(Warp *w)
{
    uint32_t i = 0;
    while (i < w->n_splits && (w->splits[i].pc <= w->pc || w->splits[i].parked))
        i++;
    if (i == w->n_splits)
        i = lowest(w);
    if (i == w->n_splits)
        return false;
    uint32_t pc = w->pc, mask = w->mask;
    run_split(w, i);
    add_split(w, pc, mask, false);
    w->hold = TURN;
    return true;
}

void warp_branch(ExecCtx *x, uint32_t taken, uint32_t target)
{
    Warp *w = x->w;
    if (taken == 0)
        return;
    if (taken == w->mask) {
        bool backward = target <= w->pc;
        x->next_pc = target;
        if (backward && w->n_splits > 0 && ++w->loops >= MAX_LOOPS) {
            w->loops = 0;
            w->pc = target;
            run_another(w);
            x->next_pc = w->pc;
        }
        return;
    }
    w->mask &= ~taken;
    add_split(w, target, taken, false);
}

void warp_exit(Warp *w, uint32_t lanes)
{
    w->live &= ~lanes;
    w->mask &= ~lanes;
    unpark_all(w); /* whoever waited for these lanes waits no more */
}

static uint32_t members(const Warp *w, const XInsn *in)
{
    if (in->sync == SYNC_ALL)
        return w->live;
    return row(w, in->row[in->n_rows - 1])[first_lane(w->mask)] & w->live;
}

/* bar.warp.sync may be executed at different places by the lanes of one mask. */
static bool all_at_barriers(const Warp *w)
{
    const XInsn *insns = w->cta->exec->insns;
    bool all = insns[w->pc].sync == SYNC_BARRIER;
    for (uint32_t i = 0; i < w->n_splits; i++)
        all = all && insns[w->splits[i].pc].sync == SYNC_BARRIER;
    return all;
}

bool warp_arrived(Warp *w, const XInsn *in)
{
    if ((members(w, in) & ~w->mask) == 0) {
        w->stuck = false;
        return true;
    }
    if (w->stuck) {
        if (!all_at_barriers(w))
            return true; /* front.c reports it */
        w->stuck = false;
        unpark_all(w);
        for (uint32_t i = 0; i < w->n_splits; i++)
            w->splits[i].pc++;
        join(w);
        return true;
    }
    add_split(w, w->pc, w->mask, true);
    w->mask = 0;
    warp_schedule(w);
    return false;
}

bool warp_yield(Warp *w)
{
    if (w->retry_pc == NO_PC)
        return false;
    uint32_t after = w->pc;
    w->pc = w->retry_pc;
    if (!run_another(w)) {
        w->pc = after;
        return false;
    }
    w->retry_pc = NO_PC;
    return true;
}
