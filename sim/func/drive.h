/* Drives the warps of one cluster without time: the functional counterpart of the time core.
 *
 * Every warp runs until it blocks. Only when none can move is the oldest step of an asynchronous
 * operation performed, one at a time: results appear as late as they legally can, so that a program
 * which forgets to wait reads poison. All steps are in one queue, in the order of issue; that keeps
 * each engine in order. TMA loads let the others go first. A store has two steps, reading shared
 * memory and writing global memory; the second is queued when the first is done.
 *
 * Assumed: registers are plenty (setmaxnreg never blocks); bulk and cp.async groups are counted by
 * warp, not by thread, which differs only for warps whose lanes open different groups. Private to
 * sim/func. */
#ifndef RAO_FUNC_DRIVE_H
#define RAO_FUNC_DRIVE_H

#include "sim/func/mbar.h"
#include "sim/func/state.h"
#include "sim/func/sync.h"
#include "sim/func/probe.h"

enum {
    DRIVE_BUDGET =
        65536, /* instructions of a turn, so that a spinning warp does not keep the others out */
    DRIVE_PATIENCE = 1000000, /* rounds of fruitless polls that make a deadlock */
    DRIVE_SPENT = 4096,       /* a whole turn of one counts as so many */
    DRIVE_PENDING = 1024,     /* steps in the queue per CTA; more, and the oldest are performed */
    DRIVE_WARPGROUPS = 8,
    DRIVE_GROUPS = 64, /* groups that one warp may have in flight and wait for separately */
    DRIVE_MBARS = 256, /* mbarriers of a CTA whose history is remembered for the report */
};

/* Numbers operations of one warp in order, so that "the last N groups" is a comparison. */
typedef struct Groups {
    uint32_t issued, read, done, commits;
    uint32_t mark[DRIVE_GROUPS]; /* issued, when group k was closed: [k % DRIVE_GROUPS] */
} Groups;

typedef enum WarpState { DW_READY, DW_PARKED, DW_DONE } WarpState;

typedef struct DriveWarp {
    WarpState state;
    Op waits[OP_BURST]; /* all must hold */
    uint32_t n_waits;
    Groups bulk, cpasync, st, wgmma;
    uint32_t cluster_generation; /* in which it has arrived last, + 1 */
} DriveWarp;

typedef struct Expected { /* what an mbarrier has seen, for the report */
    uint32_t addr;
    MbarHistory seen;
} Expected;

typedef struct DriveCta {
    DriveWarp *warps;
    NamedBarrier bars[N_NAMED_BARRIERS];
    TmemAlloc tmem;
    WgJoin wg[DRIVE_WARPGROUPS];
    Expected expected[DRIVE_MBARS];
    uint32_t live; /* warps */
} DriveCta;

typedef struct Step { /* of an asynchronous operation */
    Op op;
    uint32_t cta, warp; /* rank of the issuing CTA */
    AsyncStep at;
} Step;

/* Clusters first, first + stride ... that start one after the other in one place of the chip. What
 * clusterlaunchcontrol.try_cancel takes is the next of the own lane: the same work for everybody,
 * whatever the number of host threads. */
typedef struct Lane {
    uint32_t next, stride, end;
} Lane;

typedef struct Drive {
    Exec *x;
    Front *f;
    Lane *lane;         /* NULL: nothing to cancel */
    uint32_t patience;  /* fruitless rounds in a turn before it gives up: DRIVE_POLLS */
    uint32_t fruitless; /* rounds since anything changed */
    uint64_t changes;   /* *Exec.changes then */
    RunStats stats;
    uint32_t n_ctas;
    DriveCta *ctas; /* by rank */
    Step *queue;    /* ring */
    uint32_t head, n, cap;
    uint32_t cluster_arrived, cluster_generation;
    uint32_t actor_cta, actor_warp; /* whose Op is being performed */
    Probe *probe;                   /* or NULL */
} Drive;

/* x: a machine of one cluster. */
void drive_new(Arena *a, Drive *d, Exec *x);

typedef enum DriveEnd {
    DRIVE_DONE,   /* all its warps have exited: drive_end() */
    DRIVE_STUCK,  /* nothing moves until another cluster changes something */
    DRIVE_POLLS,  /* probably so: warps poll and count their polls */
    DRIVE_FAILED, /* err */
} DriveEnd;

/* Cluster number k of the grid: places it, runs it as far as it goes, gives its slots back. */
bool drive_start(Drive *d, uint32_t k, Err *err);
DriveEnd drive_continue(Drive *d, Err *err);
void drive_end(Drive *d);

/* Takes the next cluster of the lane: its number, or OP_NONE. drive_cancel: its first CTA. */
uint32_t drive_take(Drive *d);
uint32_t drive_cancel(Drive *d);

/* Where the instruction of an Op stands in the PTX. */
Loc drive_loc(const Drive *d, const Op *op);

/* Sets ERR_DEADLOCK, adds who waits for what in each of n places where a cluster runs, and fills
 * *dead; n_started, n_ctas: as there. */
void drive_deadlock(Arena *a, Drive *const *d, uint32_t n, Deadlock *dead, Err *err);

/* Performs an mbarrier Op on CTA `rank`'s word; a refusal is a fault at the Op's instruction. */
bool drive_mbar(Drive *d, const Op *op, uint32_t addr, OpKind kind, uint32_t arg0, int64_t arg1,
                Err *err);

/* The oldest steps, up to and including the first that somebody may wait for. */
bool drive_step(Drive *d, Err *err);
/* One step, whatever is queued. */
bool drive_perform(Drive *d, const Step *s, Err *err);
bool drive_push(Drive *d, const Step *s, Err *err);
bool drive_holds(Drive *d, uint32_t cta, uint32_t warp, const Op *wait, Err *err);

#endif
