/* The time core's own state: one SM with its units, the chip around the SMs, the run. Internal to
 * sim/time/.
 *
 * Three kinds of state, by how they move in time:
 *   warps and pipes   hold the cycle from which they may go on; the scheduler compares, nothing
 * happens in between units with queues (tensor core, TMA, shared-memory streams) move by events in
 * the SM's heap L2, HBM, dispatch are shared by all SMs and served between quanta, in order of
 * (cycle, SM)
 *
 * SMs of one cluster form a group that runs in common time order; groups run one after the other
 * for one quantum, which is no longer than the shortest way from one group to another (memory
 * latency, CTA dispatch). */
#ifndef RAO_TIME_CORE_H
#define RAO_TIME_CORE_H

#include "sim/func/mbar.h"
#include "sim/func/sync.h"
#include "sim/time/time.h"

#define SUBPARTS 4u
#define MAX_WARPS 64u                    /* of an SM: bits of a mask */
#define SUB_WARPS (MAX_WARPS / SUBPARTS) /* of a sub-partition */
#define WARP_LANES 32u
#define CYCLE_NEVER (UINT64_MAX >> 8) /* fits a packed scoreboard entry */
#define Q8 8u          /* pipes count in 1/256 cycle, so that 27 lanes a cycle stay 27 */
#define GROUP_RING 64u /* bulk or cp.async groups of a warp that may pend; more count as one */
#define MAX_CLUSTER 16u
/* Global accesses of an SM before the LSU refuses; never the limit in the public kernels, which
 * hold at most 64 KB in flight with 128-byte lines. */
#define LOADS_IN_FLIGHT 512u
/* Above LOADS_IN_FLIGHT + OP_BURST: no two copies in flight share a bit. */
#define COPY_RING 1024u

/* Pipes: what can refuse an operation for a while. The first are one per sub-partition, the rest
 * one per SM. */
typedef enum PipeId {
    P_NONE,
    P_FMA,
    P_ALU,
    P_XU,
    P_CVT,
    P_F2FP,
    P_FP64,
    P_UNIFORM,
    P_ADU,
    P_HMMA,
    P_TMEM_LD,
    P_TMEM_ST,
    P_LOCAL_COUNT,
    P_LSU = P_LOCAL_COUNT,
    P_SYNC,
    P_MBAR,
    P_TENSOR,
    P_TMA,
    P_COUNT
} PipeId;
#define N_PIPES (P_LOCAL_COUNT * SUBPARTS + P_COUNT - P_LOCAL_COUNT)

static inline uint32_t pipe_index(uint32_t pipe, uint32_t subpart)
{
    return pipe < P_LOCAL_COUNT ? pipe * SUBPARTS + subpart
                                : P_LOCAL_COUNT * SUBPARTS + pipe - P_LOCAL_COUNT;
}

/* ---- events ---- */

typedef enum EventKind {
    EV_CTA_START, /* who = CTA place, a = CTA id */
    EV_ARRIVE, /* who = CTA place, warp = signaller, a = address, b = arrivals, c = expected bytes,
                  flag = drop */
    EV_TX,     /* the same, c = signed tx bytes */
    EV_SMEM,   /* the next time bucket of the shared-memory streams */
    EV_TENSOR_START, /* the head of the tensor queue may start */
    EV_TENSOR_END,   /* the running operation leaves the first stage: its interval is over */
    EV_TENSOR_DONE,  /* a = ring index: the result is in tensor memory */
    EV_ST_DONE,      /* tcgen05.st: who = CTA place, a = handle */
    EV_TMA_START,    /* who = flight: the engine takes it up */
    EV_TMA_DATA,     /* who = flight: the first data arrive */
    EV_FLIGHT_DONE,  /* who = flight: complete */
    EV_STORE_READ,   /* who = flight: shared memory has been read */
    EV_STORE_TAKEN,  /* L2 and HBM have taken a store: the LSU may send another */
} EventKind;

typedef struct Event {
    Cycle at;
    uint32_t seq; /* order of posting breaks ties */
    uint8_t kind, flag;
    uint8_t warp; /* of the CTA */
    uint8_t rank; /* of the CTA of the signaller: EV_ARRIVE, EV_TX */
    uint32_t op;  /* index in Code.ops of the issuing op: for messages */
    uint32_t who, a, b;
    int32_t c;
} Event;

typedef struct EventHeap {
    Event *ev;
    uint32_t n, cap, seq;
} EventHeap;
void event_push(EventHeap *h, Event e);
Event event_pop(EventHeap *h);
static inline Cycle event_next(const EventHeap *h)
{
    return h->n ? h->ev[0].at : CYCLE_NEVER;
}

/* What an mbarrier of a CTA has seen. */
typedef struct MbarSeen {
    uint32_t key; /* 1 + (slot of the CTA << 15 | offset / 8); 0: free */
    MbarHistory seen;
} MbarSeen;

/* ---- shared-memory data path (smem.c) ---- */

#define BUCKET                                                                                     \
    8u /* cycles: short against an MMA (16..128), so that nobody waits behind a whole one */
#define SMEM_RING 256u /* buckets that may be booked ahead: 2048 cycles */
/* TMA transfers waiting to be written or read: half for this SM's own copies in flight, half for
 * those of other SMs */
#define SMEM_ENTRIES 2048u
typedef enum SmemClient {
    SC_MMA,
    SC_COPY, /* tcgen05.cp */
    SC_WRITE,
    SC_READ,
    SC_COUNT
} SmemClient;

typedef struct SmemJob {   /* a transfer that wants its bytes moved by `due`, evenly */
    uint32_t left, flight; /* flight: who is told; UINT32_MAX nobody */
    Cycle due;
} SmemJob;
typedef struct SmemQueue {
    SmemJob *job; /* ring */
    uint32_t head, n, cap;
    uint32_t rate; /* bytes a cycle of this client at most */
} SmemQueue;
typedef struct Smem {
    uint32_t bytes;          /* a cycle */
    uint32_t lsu[SMEM_RING]; /* bytes booked by LDS/STS; valid if tag matches */
    uint32_t stream[SMEM_RING];
    Cycle tag[SMEM_RING]; /* bucket number */
    SmemQueue q[SC_COUNT];
    bool armed;         /* an EV_SMEM is posted */
    Cycle lsu_done[64]; /* finish times of the last lsu.queue operations, ring */
    uint32_t lsu_at;
    uint64_t moved[SC_COUNT], lsu_passes;
} Smem;

/* ---- tensor core (tensor.c) ---- */

#define TENSOR_RING 128u /* queued plus completing */
#define MAX_COMMITS 128u
typedef struct TensorOp {
    uint32_t cta, warp, seq;
    uint32_t handle[WG_WARPS]; /* wgmma: of the four warps from `warp` on; else one */
    uint32_t interval, latency, smem_bytes;
    uint32_t front; /* cycles after its start until another may start */
    double flops;
    Cycle ready;              /* may start */
    Cycle started, end, done; /* end: as far as known */
    uint8_t streams;          /* operand streams (own SM, peer SM) that are not read yet */
    bool cg2, wgmma, is_copy, is_shift, finished;
} TensorOp;
typedef struct Commit {
    uint32_t cta, warp, sync, mask, after; /* after: seq of the warp's last operation */
    uint32_t handle, op;
    bool remote;
} Commit;
typedef struct Tensor {
    TensorOp ring[TENSOR_RING];
    uint32_t head;           /* oldest not complete */
    uint32_t run;            /* next to start */
    uint32_t tail;           /* next free; counters modulo 2^32 */
    uint32_t next_done;      /* oldest whose completion is not posted */
    uint32_t current[2];     /* the MMA, the copy that is under way */
    bool running[2], posted; /* an MMA, a copy is under way; an EV_TENSOR_START is posted */
    Cycle front_free;        /* nothing starts before */
    Cycle last_done;
    Commit commit[MAX_COMMITS];
    uint32_t n_commits;
    uint64_t mmas;       /* run on this tensor core: those of a pair count on both */
    double flops, ideal; /* ideal: cycles at the rate of the type */
    uint64_t busy;
} Tensor;

/* ---- asynchronous copies in flight (tma.c) ---- */

typedef enum FlightKind {
    FL_LOAD,
    FL_STORE,
    FL_REDUCE,
    FL_PREFETCH,
    FL_LDGSTS,
    FL_CANCEL,
    FL_REMOTE, /* st.async, red.async */
    FL_COPY,   /* bulk copy to the shared memory of the cluster */
} FlightKind;
typedef struct Flight {
    uint8_t kind, flags;
    uint8_t warp, cta; /* warp of the CTA; CTA place on the SM */
    uint16_t rows;
    uint16_t mask; /* multicast */
    bool by_pair;  /* and .cta_group::2: bytes count in one CTA of each pair */
    uint32_t bytes, sync, handle, next, op; /* next free */
    uint32_t seq;                           /* cp.async: number in its warp */
    uint64_t addr;
    Cycle due;
} Flight;

/* ---- warps ---- */

typedef enum WarpState { WS_EMPTY, WS_RUN, WS_PARKED, WS_DONE } WarpState;

typedef struct GroupCount { /* completion groups: counts of operations, in order */
    uint32_t issued, read, done;
    uint32_t committed;         /* groups */
    uint32_t end[GROUP_RING];   /* issued count at the end of group i mod GROUP_RING */
    Cycle last_read, last_done; /* forced to be in order */
    uint64_t
        ahead[COPY_RING / 64]; /* cp.async: bit n: operation n is complete, an older one is not */
} GroupCount;

typedef struct TWarp {
    uint64_t *score; /* per register and predicate slot: ready cycle << 8 | stall reason of the
                        producer */
    Cycle after;     /* first cycle not yet accounted for */
    Cycle ctrl;      /* control lets it issue from here */
    uint64_t opnd;   /* packed: operands let it issue from here */
    uint32_t op;     /* index of the Op that issues next */
    uint32_t left;   /* plain ops of the run still to issue, op included */
    uint32_t dyn;
    uint8_t state, ctrl_why;
    uint8_t id, cta; /* in the CTA; CTA place on the SM */
    uint8_t pend_at, pend_n;
    bool fetch; /* the run is used up: ask the front end */
    Cycle parked_at;
    Cycle st_done;                   /* last tcgen05.st complete */
    Cycle burst;                     /* result time of the earlier parts of a global load */
    uint32_t tensor_seq, tensor_out; /* last tensor operation, how many pend */
    uint32_t cluster_phase;
    Op park;
    GroupCount bulk, cp, wg;
    WarpStat stat;
    Op pend[OP_BURST];
} TWarp;

typedef struct Subpart {
    Cycle next;               /* nothing can issue before */
    Cycle port;               /* issue port is taken by a multi-slot operation until here */
    Cycle ready[SUB_WARPS];   /* by place; CYCLE_NEVER: parked, empty, waits for memory */
    uint8_t pipe[SUB_WARPS];  /* index in Sm.pipe_free of the next op's pipe */
    uint8_t order[SUB_WARPS]; /* places, youngest warp first */
    uint8_t n, greedy;
    Cycle last[SUB_WARPS]; /* issue by the warp at this place */
} Subpart;

typedef struct CpArrive { /* cp.async.mbarrier.arrive that waits for copies */
    uint32_t sync, count, after, op;
    uint8_t warp, cta;
    bool noinc;
} CpArrive;
#define MAX_CP_ARRIVES 256u

typedef struct TCta {
    bool active;
    uint32_t id, slot, rank;
    uint32_t warps_left;
    uint32_t out;     /* asynchronous operations and memory requests that pend */
    uint64_t started; /* start order: age */
    NamedBarrier bar[N_NAMED_BARRIERS];
    RegPool regs;
    WgJoin *wg; /* by warpgroup, or NULL */
} TCta;

/* A request to the chip, served after the quantum. */
typedef enum ReqKind { RQ_LOAD, RQ_STORE, RQ_ATOM, RQ_FLIGHT, RQ_CANCEL } ReqKind;
typedef struct Request {
    Cycle at;
    uint64_t addr; /* 256-byte granule */
    uint32_t bytes, next;
    uint32_t sm, who; /* who: warp slot or flight */
    uint32_t op;      /* RQ_LOAD, RQ_ATOM: index of the Op whose destinations wait */
    uint8_t kind;
    bool last, contiguous;
} Request;

typedef struct Cluster { /* state of one resident cluster (one CTA place of a group) */
    uint32_t warps, arrived, phase;
    Cycle done; /* when waiters of the last completed phase may go on */
    uint32_t ctas_left;
    bool relaxed;
} Cluster;

typedef struct Sim Sim;
typedef struct Group Group;

typedef struct Sm {
    Sim *sim;
    Group *group;
    uint32_t index, rank; /* among the simulated; in the group */
    Cycle next;           /* nothing happens before */
    Cycle pipe_free[N_PIPES];
    uint64_t pipe_q8[N_PIPES], pipe_busy[N_PIPES];
    Subpart sub[SUBPARTS];
    TWarp *warp; /* by warp slot: CTA place x warps of a CTA + warp; sub-partition slot % 4, place
                    slot / 4 */
    uint32_t n_slots;
    uint64_t parked; /* bit per warp slot */
    TCta *cta;       /* by place */
    EventHeap events;
    Smem smem;
    Tensor tensor;
    TmemAlloc tmem;
    Flight *flight;
    uint32_t flight_free, n_flights, tma_out, loads_out;
    Cycle tma_free;
    double load_port, store_port, tma_port, dsmem_port; /* fluid servers, in cycles */
    CpArrive cp_arrive[MAX_CP_ARRIVES];
    uint32_t n_cp_arrives;
    Request *out;
    uint32_t n_out, cap_out;
    uint64_t started; /* CTAs */
    uint64_t issue_cycles, tma_busy, l2_bytes, dram_bytes;
} Sm;

struct Group {
    Sm *sm[MAX_CLUSTER];
    uint32_t n;
    Cycle now;
    Cluster *cluster; /* by CTA place */
    bool dead;
    uint32_t active; /* CTAs resident or about to start */
};

/* What the time core needs of an OpInfo, with the model's numbers filled in. */
typedef struct TOp {
    uint32_t deps;
    uint16_t n_src;
    uint8_t n_dst, kind;
    uint32_t latency, interval; /* interval in 1/256 cycle */
    uint16_t slots;
    uint8_t pipe, unit, tclass, why; /* why: stall reason of those who wait for its result */
} TOp;

typedef struct Params { /* the model in the time core's units: cycles and bytes */
    uint32_t arrive, try_wait, wake, bar, cluster_bar, cluster_relaxed, fence, fence_gpu,
        setmaxnreg, dsmem, dsmem_arrive;
    uint32_t branch, warpsync, atomg, ldg, ldg_miss, ldgsts, ldgsts_issue;
    uint32_t tmem_ld, tmem_st, tmem_alloc, tmem_dealloc, cp_floor, cp_latency, shift_interval;
    double tmem_ld_col, tmem_st_col, cp_bytes;
    double rate[RATE_COUNT]; /* FLOP a cycle by MmaRate */
    uint32_t rows, rows_cg2, floor_ts, floor_ss64, floor_ss128, floor_cg2, cg2_smem_m128,
        cg2_smem_m256;
    uint32_t mma_issue, lat_issue, lat_pipe, lat_cg2_m128, lat_cg2_m256, lat_commit, tensor_queue,
        lat_scaled, lat_scaled_ss;
    uint32_t tma_issue, tma_interval, tma_l2, tma_miss, tma_store, tma_queue, group_wake;
    double tma_row, tma_bytes, tma_store_bytes, tma_reduce_bytes;
    uint32_t lsu_queue, launch, cta_start, cta_end, cancel;
    double lsu_bytes, store_bytes, l2_bytes, dram_bytes, dispatch, cancel_interval, dsmem_bytes,
        ghz, sleep_ns;
} Params;

#define L2_WAYS 4u
typedef struct Chip { /* what all SMs share */
    double l2_free, dram_free, l2_rate,
        dram_rate;      /* fluid servers: cycle, bytes a cycle for the simulated SMs */
    double cancel_free; /* the scheduler, for try_cancel */
    double dram_budget; /* bytes HBM still has to deliver to the simulated SMs; see memory.c */
    uint64_t *tag;      /* L2: granule + 1, L2_WAYS a set */
    uint8_t *victim;    /* next way to replace */
    uint32_t sets;
    uint32_t *list; /* first request of each cycle of the quantum, and last: indices in req */
    uint32_t *list_end;
    Request *req; /* the SMs' out-boxes, one after the other */
} Chip;

typedef struct FreeSlot {
    Cycle at;
    uint32_t group, place;
} FreeSlot;

struct Sim {
    Front *front;
    const Code *code;
    const Model *model;
    bool tick;
    Params p;
    TOp *ops;
    uint32_t n_score;                             /* register and predicate slots of a warp */
    uint32_t n_warps, cluster, ctas_per_sm, regs; /* regs: per thread at launch */
    Sm *sm;
    uint32_t n_sm, sm_total;
    Group *group;
    uint32_t n_groups;
    Chip chip;
    Cycle quantum, end; /* end: last CTA's end */
    uint64_t *ctas;     /* to simulate, in order of dispatch */
    uint32_t n_ctas, next_cta;
    bool cancels;    /* OK_CANCEL takes clusters; in a replay they are missing already */
    FreeSlot *freed; /* slots freed in this quantum */
    uint32_t n_freed;
    Err *err;
    bool failed;
    SimResult *res;
    WaitStat *wait; /* open hash */
    MbarSeen *seen; /* open hash, for the report of a deadlock */
    uint32_t n_seen;
    int64_t *run_diff; /* plain ops: +1 where a run starts, -1 after its end */
    uint64_t *dyn_count, *skip_count;
};

/* ---- verbs ---- */

/* gpu.c: the first CTA of the next cluster to start, which now nobody will; OP_NONE: none is left
 */
uint32_t gpu_cancel(Sim *s);

/* params.c */
void params_read(Params *p, const Model *m);
void params_ops(Sim *s, TOp *ops);

/* sm.c: the wiring */
void sm_run(Group *g, Cycle until);            /* runs a group up to, not including, `until` */
void sm_wake(Sm *sm, uint32_t slot, Cycle at); /* a parked warp may issue from `at` on */
void sm_refresh(Sm *sm, uint32_t slot,
                Cycle now); /* operands or control of a running warp changed */
void sm_prepare(Sm *sm, uint32_t slot, Cycle now); /* fetches the warp's next op */
void sm_open(Sm *sm, uint32_t pipe, Cycle now);    /* a full unit takes operations again */
void sm_cta_start(Sm *sm, uint32_t place, uint32_t id, Cycle now);
void sm_cta_check_end(Sm *sm, uint32_t place, Cycle now);
void sm_warp_exit(Sm *sm, uint32_t slot, Cycle now);
static inline uint32_t sm_slot(const Sm *sm, uint32_t place, uint32_t warp)
{
    return place * sm->sim->n_warps + warp;
}
static inline uint32_t sm_pipe_take(Sm *sm, uint32_t i, uint64_t interval_q8, Cycle now)
{
    uint64_t at = (uint64_t)now << Q8;
    if (sm->pipe_q8[i] > at)
        at = sm->pipe_q8[i];
    sm->pipe_q8[i] = at + interval_q8;
    sm->pipe_free[i] = sm->pipe_q8[i] >> Q8;
    sm->pipe_busy[i] += interval_q8;
    return i;
}
static inline void sm_post(Sm *sm, Event e)
{
    event_push(&sm->events, e);
    if (e.at < sm->next)
        sm->next = e.at;
}
void sm_async(Sm *sm, uint32_t place, uint32_t handle, AsyncStep step);

/* issue.c: what an Op does when it issues */
void issue_op(Sm *sm, uint32_t slot, const Op *op, Cycle now);

/* smem.c */
Cycle smem_lsu(Smem *s, Cycle now, uint32_t passes); /* when the last pass is done */
void smem_add(Sm *sm, SmemClient c, SmemJob job, Cycle now);
/* The same for a transfer that nobody here waits for, of which there may be any number. */
void smem_add_quiet(Sm *sm, SmemClient c, SmemJob job, Cycle now);
void smem_event(Sm *sm, Cycle now);

/* tensor.c */
void tensor_issue(Sm *sm, uint32_t slot, const Op *op, Cycle now);
void tensor_commit(Sm *sm, uint32_t slot, const Op *op, Cycle now);
void tensor_start(Sm *sm, Cycle now);
/* copy: of the copy that is under way, else of the MMA. */
void tensor_stream_done(Sm *sm, bool copy, Cycle at); /* operands are read at `at` */
void tensor_end(Sm *sm, bool copy, Cycle now);
void tensor_done(Sm *sm, uint32_t seq, Cycle now);

/* tma.c */
Cycle dsmem_pass(Sm *sm, uint32_t bytes, Cycle now); /* when they have left for the other SM */
void tma_issue(Sm *sm, uint32_t slot, const Op *op, Cycle now);
void tma_start(Sm *sm, uint32_t flight, Cycle now);
void tma_served(Sm *sm, uint32_t flight, Cycle first, Cycle last);
void tma_data(Sm *sm, uint32_t flight, Cycle now);
void tma_smem_done(Sm *sm, uint32_t flight, SmemClient c, Cycle at);
void tma_store_read(Sm *sm, uint32_t flight, Cycle now);
void tma_done(Sm *sm, uint32_t flight, Cycle now);

/* memory.c */
/* A load or store has left the SM: the LSU has room for another. */
void memory_taken(Sm *sm, Cycle now);
void memory_request(Sm *sm, Request r);
void memory_serve(Sim *s, Cycle from);

/* sync.c */
void sync_op(Sm *sm, uint32_t slot, const Op *op, Cycle now);
void sync_arrive(Sm *sm, const Event *e, Cycle now);
void sync_send(Sm *sm, uint32_t place, const Op *op, Event e); /* to the CTA that op->sync names */
Sm *sync_target(Sm *sm, uint32_t sync, bool remote);
void sync_park(Sm *sm, uint32_t slot, const Op *op, Cycle now);
void sync_unpark(Sm *sm, uint32_t slot, uint32_t sync_key, Cycle at, uint32_t signallers);
bool sync_groups_done(const GroupCount *g, uint32_t pending, bool read);
void sync_groups_check(Sm *sm, uint32_t slot, Cycle now);
void sync_cp_check(Sm *sm, uint32_t slot, Cycle now);
void sync_bar_exited(Sm *sm, uint32_t slot, Cycle now);
void sync_cluster_exit(Sm *sm, uint32_t slot, Cycle now);
void sync_release(Sm *sm, Cycle now); /* registers or tensor memory were given back */
uint32_t sync_key(const Op *op);

/* stats.c */
void stats_wait(Sim *s, uint32_t warp, uint32_t key, uint64_t cycles, uint32_t signallers);
void stats_finish(Sim *s, Arena *a);
#define WAIT_TABLE 4096u

/* deadlock.c */
#define SEEN_PER_CTA 64u /* mbarriers of a CTA that are remembered, about */
/* sm: of the mbarrier; op: index of the Op. */
void deadlock_note(Sm *sm, const Event *arrival, bool flipped);
void deadlock_note_init(Sm *sm, uint32_t place, const Op *op);
void deadlock_report(Sim *s, Arena *a, Deadlock *dead, Cycle now);
void fault_at(Sim *s, uint32_t op, ErrKind kind, const char *text, uint32_t sync);

#endif
