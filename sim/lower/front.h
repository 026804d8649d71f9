/* The contract between a front end (executor, trace reader) and a driver (time core, functional
 * runner).
 *
 * The driver decides WHEN, the front end knows WHAT. Protocol, per warp:
 *
 *   1. front_next() gives the next run: plain ops [first, first + n) whose effects have already
 * happened (they touch only registers of this warp, so nobody can tell when), then the index of one
 * op `dyn`, not yet executed, that must happen at its issue time. n may be 0.
 *   2. The driver issues the plain ops one by one as time allows, then, at the cycle when `dyn`
 * issues, calls front_exec(): it executes that instruction now and gives 1..OP_BURST Ops (OPF_MORE
 * chains them; OPF_FREE ones take no issue slot).
 *   3. If an Op blocks (MBAR_WAIT, BAR_SYNC, CLUSTER_WAIT, BULK_WAIT, TMEM_ALLOC, SETMAXNREG ...)
 * the driver keeps the warp parked until its condition holds, then goes on with 1. The front end
 * has already moved past it.
 *
 * All mbarrier arithmetic is done by the driver, through mbar.h, on the 64-bit word that
 * front_mbar() points to: the executor points into shared memory, the trace reader into a table.
 *
 * Asynchronous ops carry a handle. The driver calls front_async(handle, ASYNC_READ) when the engine
 * reads its sources, and ASYNC_DONE when its results become visible, just before the completion is
 * signalled (mbarrier, group). Each handle gets exactly one READ, then one DONE. In replay both are
 * empty.
 */
#ifndef RAO_LOWER_FRONT_H
#define RAO_LOWER_FRONT_H

#include "sim/lower/code.h"
#include "sim/lower/op.h"

typedef struct OpRun {
    uint32_t first, n; /* plain ops, indices in Code.ops */
    uint32_t dyn; /* index in Code.ops of the op that front_exec will execute; OP_NONE: the warp has
                     ended */
} OpRun;
#define OP_NONE UINT32_MAX

typedef enum AsyncStep { ASYNC_READ, ASYNC_DONE } AsyncStep;

typedef struct Front Front;
typedef struct Scout Scout;       /* sim/func/deadlock.h */
typedef struct DeadWait DeadWait; /* the same */
typedef struct FrontOps {
    /* Places CTA `cta` (linear index: x fastest) on `slot` (0 .. n_slots-1), with its memories
     * fresh (poison). cluster mates are placed by separate calls on consecutive slots, rank 0
     * first. */
    bool (*cta_start)(Front *f, uint32_t slot, uint32_t cta, Err *err);
    void (*next)(Front *f, uint32_t slot, uint32_t warp, OpRun *run);
    /* now: the driver's cycle, for %clock; the warp's instructions in functional runs. Returns the
     * number of Ops. Err: OK_FAULT. */
    uint32_t (*exec)(Front *f, uint32_t slot, uint32_t warp, Cycle now, Op ops[OP_BURST], Err *err);
    bool (*async)(Front *f, uint32_t slot, uint32_t handle, AsyncStep step, Err *err);
    /* The 64-bit mbarrier word at a shared address of this slot's CTA (rank byte ignored); NULL: a
     * fault, set in err. */
    uint64_t *(*mbar)(Front *f, uint32_t slot, uint32_t addr, Err *err);
    /* Parked warp with other runnable splits: switch to one (used only when nothing else can move).
     * False: none. */
    bool (*yield)(Front *f, uint32_t slot, uint32_t warp);
    /* TMEM allocation result of a TMEM_ALLOC op: the driver owns the allocator, the front end
     * writes the address. */
    void (*tmem_alloc_done)(Front *f, uint32_t slot, uint32_t warp, uint32_t column);
    void (*cta_end)(Front *f, uint32_t slot);
    /* Answer to an OK_CANCEL op, before its ASYNC_DONE: the driver has taken the cluster whose
     * first CTA is `cta` off the list of those to start (OP_NONE: none was left); nobody will start
     * it. */
    void (*cancelled)(Front *f, uint32_t slot, uint32_t handle, uint32_t cta);
    /* Whether the warp only comes back to where it was, reading what nobody changes. again: it has
     * to prove it anew. NULL: never. */
    bool (*spins)(Front *f, uint32_t slot, uint32_t warp, bool again);
    /* Replay only, else NULL: false if the CTA was cancelled when the trace was recorded. The
     * driver then leaves its cluster out, and OK_CANCEL ops take nothing. */
    bool (*launches)(Front *f, uint32_t cta);
    /* After the end of a run that hangs: follows the code of a warp as if its waits held, and says
     * what it would arrive at. Changes nothing that other calls see. NULL: there is no code. */
    void (*scout)(Front *f, uint32_t slot, uint32_t warp, Scout *s);
    /* The last poll of a warp that is not parked: fills kind, insn, sync and parity or addr. NULL
     * together with scout. */
    void (*polls)(Front *f, uint32_t slot, uint32_t warp, DeadWait *w);
} FrontOps;

struct Front {
    const FrontOps *ops;
    const Code *code;
    uint32_t grid[3], block[3], cluster[3];
    uint32_t n_ctas, n_warps; /* of the grid; per CTA */
    uint32_t n_slots;
    uint64_t
        footprint; /* bytes of global memory that the kernel can reach, 0 = unknown: HBM delivers
                      each at most once for the whole grid, however few SMs are simulated */
};

#endif
