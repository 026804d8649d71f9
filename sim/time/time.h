/* The time core: when Ops issue, run and complete on a model of the SM. Consumes Ops from any front
 * end (front.h) and never touches data.
 *
 * An SM has four sub-partitions (warp w in w mod 4), one issue a cycle each; pipes with latency and
 * interval; the shared-memory data path as one byte budget; tensor-memory ports; a tensor-core
 * queue; the TMA engine; barriers. L2 and HBM are shared by the SMs. Idle cycles are skipped to the
 * next event; the answer equals ticking one by one.
 */
#ifndef RAO_TIME_TIME_H
#define RAO_TIME_TIME_H

#include "sim/func/deadlock.h"
#include "sim/lower/front.h"
#include "sim/model/model.h"

/* Why a warp did not issue in a cycle (stalls.def); exactly one reason per resident warp and cycle.
 */
typedef enum Stall {
#define STALL(id, name, meaning) ST_##id,
#include "sim/time/stalls.def"
#undef STALL
    ST_COUNT
} Stall;
extern const char *const stall_name[ST_COUNT];
extern const char *const stall_meaning[ST_COUNT];

#define SMS_AUTO 0u
#define SMS_ALL UINT32_MAX

typedef struct SimDesc {
    Front *front;
    const Model *model;
    uint32_t sms;             /* SMs to simulate in detail: SMS_AUTO, SMS_ALL or a number */
    uint32_t shared_per_cta;  /* bytes, static + dynamic + reserved: residency */
    uint32_t regs_per_thread; /* at launch: residency, setmaxnreg pool */
    bool tick; /* visit every cycle instead of skipping: for the test that compares both */
} SimDesc;

/* How the grid is spread: fixed before the run, so that the front end can make room for n_slots
 * resident CTAs. */
typedef struct SimPlan {
    uint32_t sms_total, sms_simulated, ctas_per_sm, n_slots, ctas_total, ctas_simulated;
    uint32_t sms_active; /* SMs of the chip that the grid keeps busy: what shares L2 and HBM */
    uint32_t resident;   /* CTAs on the whole chip at once: one wave */
    uint32_t n_warps, cluster;
} SimPlan;
/* Does not look at d->front. ERR_SEMANTIC if not even one CTA fits on an SM, or the cluster is not
 * one the chip takes. */
bool sim_plan(const SimDesc *d, const uint32_t grid[3], const uint32_t block[3],
              const uint32_t cluster[3], SimPlan *plan, Err *err);

/* What a warp did, summed over all simulated CTAs; index = warp in the CTA. */
typedef struct WarpStat {
    uint64_t issued;          /* issue slots = cycles with an issue */
    uint64_t stall[ST_COUNT]; /* cycles; issued + sum(stall) = resident */
    uint64_t resident; /* cycles from CTA start to the warp's exit, drain after exit not counted */
    uint64_t ops[U_COUNT]; /* machine operations by unit */
} WarpStat;

/* Waiting on one sync object: (warp of the CTA, object). */
typedef struct WaitStat {
    uint32_t warp;
    uint32_t sync; /* mbarrier: shared window offset; named barrier: 0x80000000 | id; other:
                      0xc0000000 */
    uint64_t waits, cycles;
    uint32_t signallers; /* bit w%32: warps (or, bit mask of the issuing warps for async) that
                            completed a phase */
} WaitStat;

typedef struct UnitStat {
    uint64_t ops;
    double busy; /* cycles in which the unit could take nothing more, averaged over its instances */
    double work, peak; /* amount done and the most it could do in the run (unit-specific: FLOP,
                          bytes, lanes) */
} UnitStat;

typedef struct SimResult {
    Cycle cycles; /* from launch to the last CTA's end, whole grid (simulated SMs stand for all) */
    uint32_t sms_simulated, sms_total, ctas_simulated, ctas_total, ctas_per_sm;
    uint64_t *ctas;      /* linear ids of the simulated CTAs */
    uint64_t warp_insts; /* machine operations issued */
    WarpStat *warps;     /* n_warps of a CTA */
    uint32_t n_warps;
    WaitStat *waits;
    uint32_t n_waits;
    UnitStat units[U_COUNT];
    uint64_t tclass_ops[TC_COUNT];
    uint64_t smem_bytes_lds, smem_bytes_sts, smem_bytes_tma, smem_bytes_mma,
        bank_conflicts; /* conflicts: extra passes */
    uint64_t l2_bytes, dram_bytes, tmem_bytes_ld, tmem_bytes_st;
    uint64_t mma_flops;         /* by the tensor core as executed */
    uint64_t sm_mmas;           /* MMAs, summed over the tensor cores that ran them: a pair's counts
                                   twice, a wgmma once */
    double only_limit[U_COUNT]; /* cycles the run would take if only this unit limited (per-SM work
                                   / throughput) */
    uint64_t *pc_issues;        /* [Code.n_ops] times issued, summed: finds loops */
} SimResult;

/* Runs the grid. The result lives in `a`. ERR_FAULT from the front end; ERR_DEADLOCK when no warp
 * can move, with the waiting warps described (warp, PTX line, object, phase, arrivals had and
 * needed, bytes had and needed); the same facts are in *dead (may be NULL). Deterministic. */
bool sim_run(Arena *a, const SimDesc *d, SimResult **out, Deadlock *dead, Err *err);

#endif
