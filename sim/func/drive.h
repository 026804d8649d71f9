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

enum {
    DRIVE_BUDGET =
        65536, /* instructions of a turn, so that a spinning warp does not keep the others out */
    DRIVE_POLLS = 1000000, /* rounds of fruitless polls that make a deadlock */
    DRIVE_PENDING = 1024,  /* steps in the queue per CTA; more, and the oldest are performed */
    DRIVE_GROUPS = 64,     /* groups that one warp may have in flight and wait for separately */
    DRIVE_MBARS = 256, /* mbarriers of a CTA whose expected bytes are remembered for the report */
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
    Groups bulk, cpasync, st;
    uint32_t cluster_generation; /* in which it has arrived last, + 1 */
} DriveWarp;

typedef struct Expected { /* bytes that the open phase of an mbarrier has been told to expect */
    uint32_t addr, bytes;
} Expected;

typedef struct DriveCta {
    DriveWarp *warps;
    NamedBarrier bars[N_NAMED_BARRIERS];
    TmemAlloc tmem;
    Expected expected[DRIVE_MBARS];
    uint32_t live; /* warps */
} DriveCta;

typedef struct Step { /* of an asynchronous operation */
    Op op;
    uint32_t cta, warp; /* rank of the issuing CTA */
    AsyncStep at;
} Step;

typedef struct Drive {
    Exec *x;
    Front *f;
    uint32_t slot0, n_ctas;
    DriveCta *ctas; /* by rank */
    Step *queue;    /* ring */
    uint32_t head, n, cap;
    uint32_t cluster_arrived, cluster_generation;
} Drive;

void drive_new(Arena *a, Drive *d, Exec *x, uint32_t slot0);

/* Runs cluster number k of the grid to its end. */
bool drive_cluster(Drive *d, uint32_t k, RunStats *stats, Err *err);

/* Where the instruction of an Op stands in the PTX. */
Loc drive_loc(const Drive *d, const Op *op);

/* Sets ERR_DEADLOCK: who waits for what. Returns false. */
bool drive_deadlock(Drive *d, Err *err);

/* Performs an mbarrier Op on CTA `rank`'s word; a refusal is a fault at the Op's instruction. */
bool drive_mbar(Drive *d, const Op *op, uint32_t addr, OpKind kind, uint32_t arg0, int64_t arg1,
                Err *err);

/* The oldest steps, up to and including the first that somebody may wait for. */
bool drive_step(Drive *d, Err *err);
bool drive_push(Drive *d, const Step *s, Err *err);
bool drive_holds(Drive *d, uint32_t cta, uint32_t warp, const Op *wait, Err *err);

#endif
