/* Watching a run without time: what the executor and its driver tell an observer, which changes
 * nothing. The checker (sim/check) is one. ExecDesc.probe is NULL in every other run; then nothing
 * here costs anything: instructions are wrapped only when they are bound with an observer.
 *
 * Calls come from one thread, in the order in which things happen. CTAs are named by their rank in
 * the cluster that runs. */
#ifndef RAO_FUNC_PROBE_H
#define RAO_FUNC_PROBE_H

#include "sim/func/exec.h"
#include "sim/func/mbar.h"

/* An mbarrier has been asked to do something. */
typedef struct ProbeMbar {
    const Op *op;        /* the instruction's: MBAR_*, COMMIT, TMA_LOAD, CPASYNC_ARRIVE */
    uint32_t rank, warp; /* who issued it */
    uint32_t addr;       /* the barrier: rank << 24 | offset */
    OpKind kind;         /* what was done: MBAR_INIT, _INVAL, _ARRIVE or _TX */
    uint32_t arrivals;
    int64_t bytes; /* expected (> 0) or delivered (< 0) */
    MbarState before;
    MbarResult result;
} ProbeMbar;

struct Probe {
    /* A machine for one cluster at a time has been made: the observer of what happens on it. Called
     * on ExecDesc.probe; everything else on what it returns. Several machines may run in turns. */
    Probe *(*open)(Probe *w, Exec *x);
    /* All CTAs of a cluster have been placed; the last of its warps has ended and nothing is in
     * flight (not called after an error). */
    void (*cluster_start)(Probe *w);
    void (*cluster_end)(Probe *w);
    /* An instruction is about to be executed in the lanes of mask: calls fn and returns its
     * result. */
    bool (*dyn)(Probe *w, ExecCtx *x, const XInsn *in, uint32_t mask, DynFn *fn);
    void (*plain)(Probe *w, Warp *warp, const XInsn *in, uint32_t mask, PlainFn *fn);
    void (*mbar)(Probe *w, const ProbeMbar *e);
    /* A blocking Op of this warp holds: it goes on. */
    void (*waited)(Probe *w, uint32_t rank, uint32_t warp, const Op *op);
    /* A warp has arrived at named barrier id; complete: it was the last. */
    void (*barrier)(Probe *w, uint32_t rank, uint32_t warp, const Op *op, bool complete);
    /* The cluster barrier has opened. */
    void (*cluster_barrier)(Probe *w);
    /* An operation with a handle has finished. */
    void (*async_done)(Probe *w, uint32_t rank, uint32_t warp, const Op *op);
    void (*warp_end)(Probe *w, uint32_t rank, uint32_t warp);
};

/* Puts the observer in front of every instruction: insns[i] then calls it, originals[i] holds what
 * it was bound to. */
Bound *probe_insns(Arena *a, XInsn *insns, uint32_t n);

#endif
