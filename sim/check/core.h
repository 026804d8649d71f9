/* Inside of the checker: agents, clocks, shadow memory, and who does what. Private to sim/check.
 *
 * An agent is somebody whose actions are ordered among themselves: a warp; the tensor core as one
 * warp uses it; a warp's bulk copies, tcgen05.ld, .st and cp.async; and, for TMA loads, the
 * mbarrier that they signal, whose time is its phase. A clock says for each agent up to which of
 * its times one knows everything to have happened. */
#ifndef RAO_CHECK_CORE_H
#define RAO_CHECK_CORE_H

#include "isa/form.h"
#include "sim/check/check.h"
#include "sim/func/engine.h"
#include "sim/func/probe.h"

enum {
    GRANULE = 16,   /* bytes of shared memory with one shadow */
    TM_COLUMNS = 8, /* columns x 32 lanes of tensor memory with one shadow */
    TM_QUARTERS = 4,
    TM_GRANULES = TMEM_COLUMNS / TM_COLUMNS * TM_QUARTERS,
    NO_AGENT = 0xffff, /* out of room: counts as ordered before and after everything */
    MBARS = 512,       /* per CTA that are followed */
    CP_MARKS = 64,
    REGION_ALL = 0xffff, /* mask of a granule */
};

typedef uint32_t Epoch;

/* What an instruction is to the checker; from its exec name (table.c). */
typedef enum Class {
    CL_OTHER,
    CL_LD,
    CL_ST,
    CL_ATOM,
    CL_LDMATRIX,
    CL_STMATRIX,
    CL_MBAR, /* done by the driver */
    CL_MBAR_TEST,
    CL_TMA_LOAD,
    CL_REMOTE, /* st.async, red.async */
    CL_FILL,   /* st.bulk */
    CL_TMA_STORE,
    CL_BULK_COMMIT,
    CL_CPASYNC,
    CL_CPASYNC_COMMIT,
    CL_CPASYNC_WAIT_ALL,
    CL_CPASYNC_ARRIVE,
    CL_MMA,
    CL_COMMIT,
    CL_TMEM_CP,
    CL_TMEM_LD,
    CL_TMEM_ST,
    CL_TMEM_WAIT_LD,
    CL_TMEM_ALLOC,
    CL_TMEM_DEALLOC,
    CL_TMEM_RELINQUISH,
    CL_FENCE_PROXY,
    CL_FENCE,
    CL_CLUSTER_ARRIVE,
    CL_SETMAXNREG,
    CL_BRANCH,
    CL_WGMMA,
    CL_WGMMA_COMMIT,
    CL_WGMMA_FENCE,
    CL_GRID_WAIT,
    CL_MAP_REPLACE,
    CL_MAP_COPY,
    CL_MAP_RELEASE,
    CL_MAP_ACQUIRE,
    CL_CLC_CANCEL,
    CL_CLC_QUERY
} Class;

/* How definedness passes through an instruction. */
typedef enum Flow {
    FLOW_ALL,   /* all sources must be defined */
    FLOW_ANY,   /* bits are put together: defined if any register source is */
    FLOW_PAIRS, /* slot j of the result from slot j of each source */
    FLOW_SELECT,
    FLOW_MADE, /* always defined */
    FLOW_NONE, /* the class does it itself */
} Flow;

typedef struct InsnInfo {
    uint8_t cls, flow;
    uint8_t n_src, n_psrc, n_pdst; /* register and predicate slots */
    uint8_t n_dst;
    uint8_t n_addr; /* of the n_src, the first n_addr are parts of addresses */
    uint32_t at;    /* in Checker.places: src, psrc, dst, pdst */
    uint32_t regs;  /* in Checker.wg_regs: registers of the PTX read, then written */
    uint16_t n_rsrc, n_rdst;
} InsnInfo;

typedef enum AgentKind { /* of a warp, besides itself */
                         AK_TC,
                         AK_TLD,
                         AK_TST,
                         AK_BULK_READ,
                         AK_BULK_WRITE,
                         AK_CP,
                         AK_WG,
                         AK_NEWS, /* what it has learnt of other clusters: release.c */
                         AK_OF_WARP,
                         AK_WARP = AK_OF_WARP,
                         AK_MBAR
} AgentKind;

typedef struct Agent {
    uint8_t kind;
    uint32_t owner; /* warp of the cluster; mbarriers: address */
} Agent;

enum { /* flags of cells and acts */
       ACC_WRITE = 1,
       ACC_ASYNC = 2,  /* async proxy */
       ACC_ATOMIC = 4, /* atomic, or ordered: no race among such */
       ACC_INIT = 8,   /* mbarrier.init */
       ACC_FREE = 16,  /* tcgen05.dealloc */
       ACC_SAME = 32,  /* writes what is there already; not kept in cells */
};

/* One access that later ones may race with. */
typedef struct Cell {
    uint32_t next; /* index in the pool, 0 = end */
    Epoch epoch;
    uint16_t agent,
        mask;      /* mask: bytes of the granule; TMEM: (column % 8) * 2 + half of the lanes */
    uint16_t warp; /* of the cluster: who issued it */
    uint16_t flags;
    uint32_t insn;
} Cell;

typedef struct Gran {
    uint32_t head;   /* list of cells */
    uint16_t valid;  /* bytes that have been written; shared memory only */
    uint8_t swizzle; /* 1 + Swizzle with which TMA wrote it, 0: unknown */
    uint8_t mbars;   /* bit i: an mbarrier at byte 8i */
} Gran;

typedef struct Mbar {
    uint32_t addr;
    uint16_t agent;
    bool live; /* initialised */
    uint32_t expected;
    uint64_t phase;     /* completions */
    Epoch *acc, *done;  /* released so far; released by the completion of the last phase */
    uint32_t init_warp; /* of the cluster */
    Epoch init_epoch;
    uint32_t init_insn;
    uint64_t last_load; /* the last phase that a TMA load counts in, 0: none */
    uint32_t load_insn, load_warp;
} Mbar;

typedef struct Bar {
    Epoch *acc, *done;
} Bar;

typedef struct AsyncRec { /* an operation in flight whose completion releases something */
    Epoch *clk;
    uint64_t phase[16]; /* TMA loads: that it counts in, by rank of the destination */
    uint32_t insn;
} AsyncRec;

typedef struct WgReg { /* a register of the PTX, as wgmma sees it */
    Epoch d, a;        /* group of the wgmma in flight that writes it, reads it as A; 0: none */
    uint32_t written;  /* 1 + wgmma.fences before something else wrote it last, 0: never */
    uint32_t insn;     /* that */
} WgReg;

typedef struct WarpCheck {
    Epoch *clk;
    Epoch *fenced;              /* clk at the last fence, or NULL */
    uint16_t agent[AK_OF_WARP]; /* 0: not yet made */
    Epoch time[AK_OF_WARP];     /* of the operations issued next */
    Epoch cp_mark[CP_MARKS];
    uint32_t cp_commits;
    Epoch cp_arrive[CP_MARKS]; /* cp.async.mbarrier.arrive in flight, in order */
    uint32_t cp_head, cp_tail;
    uint32_t bulk_insn; /* the last store */
    bool bulk_open;     /* it is in no group yet */
    uint32_t *def;      /* [n_slots + 1] lanes in which a register is defined */
    uint32_t *pdef;     /* [n_preds] */
    uint32_t *origin;   /* [n_slots + 1] why not: ORIGIN_... | insn */
    uint32_t *loaded;   /* [n_slots + 1] time of the tcgen05.ld that fills it, 0: none */
    uint32_t n_loaded;
    WgReg *wg; /* [n_regs of the function], or NULL */
    uint32_t n_flying, wg_fences;
    Epoch *remote; /* [n_ctas] time of the last access to that CTA's shared memory, 0: none */
    uint32_t *remote_insn;
    struct Acquired *acquired; /* or NULL */
    struct LaneTable *lanes;   /* or NULL */
    uint32_t regs;             /* setmaxnreg */
    uint32_t want;             /* registers it waits for, 0: none */
    uint32_t want_insn;
    Epoch grid_waited; /* when it executed griddepcontrol.wait, 0: not yet */
    bool ended;
} WarpCheck;

/* WarpCheck.origin: where a value that is not defined comes from, and by which instruction. */
#define ORIGIN_REG 0u
#define ORIGIN_SHARED (1u << 30)
#define ORIGIN_TMEM (2u << 30)
#define ORIGIN_INSN ((1u << 30) - 1)

typedef struct CtaCheck {
    Gran *smem;
    Gran *tmem;          /* [TM_GRANULES], column group * 4 + quarter; NULL without tensor memory */
    uint32_t (*tdef)[4]; /* [512][quarter]: lanes written */
    uint16_t *mbar_at;   /* per 8 bytes: 1 + index in mbars */
    Mbar *mbars;
    uint32_t n_mbars;
    Bar bars[N_NAMED_BARRIERS];
    Bar relaxed;     /* the cluster barrier, among the warps of the CTA: as good as bar.sync */
    AsyncRec *async; /* by handle */
    uint32_t alloc_insn[TMEM_COLUMNS / 32]; /* 1 + who allocated the granule */
    uint32_t alloc_warp[TMEM_COLUMNS / 32];
    uint32_t last_alloc; /* columns */
    bool relinquished;
    uint8_t alloc_group;
    bool clc_failed;    /* a query has said that nothing was cancelled */
    uint64_t collector; /* 1 + descriptor with which A was filled */
    uint32_t free_regs;
} CtaCheck;

typedef struct SyncLoc { /* a word used by atomics, as a carrier of order */
    uint64_t addr;
    Epoch *clk;
} SyncLoc;

typedef struct FindingEntry {
    Finding *f;
    uint32_t insn, other; /* Code.insns of the launch; other: UINT32_MAX for none */
} FindingEntry;

struct Checker {
    Probe probe;     /* first member */
    Checker *root;   /* the user's: has the findings; one of the others watches each machine */
    Checker *active; /* root: whose machine executed the last instruction */
    CheckOptions opt;
    Arena arena;  /* findings, names */
    Arena launch; /* everything of one launch */
    CheckLaunch l;
    Exec *x;
    uint32_t n_ctas, n_warps, all_warps; /* warps: per CTA, of the cluster */
    int32_t *wg_regs;                    /* NULL: no wgmma */
    InsnInfo *info;
    uint16_t *places;
    uint32_t n_agents, cap_agents; /* clocks have that many entries */
    Agent *agents;
    Epoch *free_clocks; /* list through the first words */
    WarpCheck *warps;   /* rank * n_warps + warp */
    CtaCheck *ctas;
    Bar cluster;
    Cell *cells;
    uint32_t n_cells, cap_cells, free_cell;
    SyncLoc *locs;
    uint32_t cap_locs, n_locs;
    FindingEntry *findings;
    uint32_t n_findings, cap_findings, first_finding; /* first of this launch */
    struct GlobalShadow *global;                      /* root: of the launch, or NULL */
    struct ReleaseTable *releases;                    /* the same */
    struct MapFences *map_fences;                     /* the same */
    struct Written *written;                          /* root: by the launches before, or NULL */
    bool grid_waits;                                  /* the kernel has griddepcontrol.wait */
    uint32_t run;         /* the cluster that runs, from 1; root: how many so far */
    uint32_t faulty_warp; /* of the cluster: whose instruction was executed last */
    struct Suppression *suppressions;
    uint32_t n_suppressions;
};

/* Somebody who does something now. */
typedef struct Act {
    const Epoch *clk;
    uint32_t warp; /* of the cluster */
    uint32_t insn; /* index in Code.insns */
    uint16_t agent;
    Epoch epoch;
    uint16_t flags;
} Act;

/* ---- clock.c ---- */
Epoch *clock_new(Checker *k);
Epoch *clock_copy(Checker *k, const Epoch *from);
void clock_free(Checker *k, Epoch *c);
void clock_join(const Checker *k, Epoch *to, const Epoch *from);
/* What a clock says about warps, in so many sections of all_warps entries before the other agents:
 * that what a warp did until then is visible; that its generic writes have passed a proxy fence;
 * the same for writes to global memory, and to the tensormap proxy; that a fence of gpu scope
 * stands behind it; that it was executed, as a relaxed cluster barrier tells. */
enum {
    CLK_VISIBLE,
    CLK_FENCED,
    CLK_FENCED_GLOBAL,
    CLK_TENSORMAP,
    CLK_GPU,
    CLK_EXECUTED,
    CLK_SECTIONS
};
static inline uint32_t clock_at(const Checker *k, uint32_t section, uint32_t w)
{
    return section * k->all_warps + w;
}
uint16_t agent_new(Checker *k, AgentKind kind, uint32_t owner);
uint16_t agent_of(Checker *k, uint32_t warp, AgentKind kind);
static inline WarpCheck *warp_check(Checker *k, const Warp *w)
{
    return &k->warps[w->cta->rank * k->n_warps + w->id];
}
static inline uint32_t warp_index(const Checker *k, const WarpCheck *w)
{
    return (uint32_t)(w - k->warps);
}
/* What this warp does itself from now on is not yet known to whom it has just told. */
static inline void warp_tick(const Checker *k, WarpCheck *w)
{
    w->clk[warp_index(k, w)]++;
}
Act act_warp(const Checker *k, const Warp *w, const XInsn *in, uint16_t flags);
Act act_async(Checker *k, const Warp *w, const XInsn *in, AgentKind kind, uint16_t flags);

/* ---- shadow.c ---- */
/* Where a granule is, for messages. */
typedef struct Spot {
    uint32_t rank, index;
    bool tmem;
} Spot;
void shadow_touch(Checker *k, Gran *g, uint16_t mask, const Act *a, Spot s);
/* [addr, addr + bytes) of shared memory; addr: rank << 24 | offset. Out of range: nothing. */
void shared_touch(Checker *k, uint32_t addr, uint32_t bytes, const Act *a);
void shared_set_valid(Checker *k, uint32_t addr, uint32_t bytes, bool valid, uint8_t swizzle);
/* Bytes of the range that have never been written. */
uint32_t shared_invalid(const Checker *k, uint32_t addr, uint32_t bytes);
Gran *shared_gran(const Checker *k, uint32_t addr);
/* Lanes and columns of tensor memory; half: bit 0 lanes 0-15 of the quarter, bit 1 lanes 16-31. */
void tmem_touch(Checker *k, uint32_t rank, uint32_t column, uint32_t n, uint32_t quarter,
                uint32_t half, const Act *a);

/* ---- mbar.c, sync.c: what the driver tells ---- */
void on_mbar(Probe *w, const ProbeMbar *e);
Mbar *mbar_find(const Checker *k, uint32_t addr);
void mbar_waited(Checker *k, uint32_t warp, const Op *op);
void on_waited(Probe *w, uint32_t rank, uint32_t warp, const Op *op);
void on_barrier(Probe *w, uint32_t rank, uint32_t warp, const Op *op, bool complete);
void on_cluster_barrier(Probe *w);
void sync_cluster_arrive(Checker *k, const Warp *warp, bool relaxed);
void on_async_done(Probe *w, uint32_t rank, uint32_t warp, const Op *op);
void on_warp_end(Probe *w, uint32_t rank, uint32_t warp);
void on_cluster_end(Probe *w);
/* Warp w has touched shared memory of another CTA, which must not exit before. */
void sync_remote(Checker *k, uint32_t warp, uint32_t addr, uint32_t insn);
void sync_setmaxnreg(Checker *k, const Warp *w, const XInsn *in);
AsyncRec *async_rec(Checker *k, uint32_t rank, uint32_t handle);

/* ---- insn.c: what instructions do ---- */
bool on_dyn(Probe *w, ExecCtx *x, const XInsn *in, uint32_t mask, DynFn *fn);
void on_plain(Probe *w, Warp *warp, const XInsn *in, uint32_t mask, PlainFn *fn);

/* ---- access.c: loads, stores, atomics of lanes ---- */
void access_lanes(Checker *k, ExecCtx *x, const XInsn *in, const InsnInfo *ii, uint32_t mask);
void access_matrix(Checker *k, ExecCtx *x, const XInsn *in, const InsnInfo *ii);

/* ---- copy.c: TMA, bulk, cp.async ---- */
void copy_issued(Checker *k, ExecCtx *x, const XInsn *in, const InsnInfo *ii);

/* ---- tensor.c: tcgen05 ---- */
void tensor_allocated(Checker *k, uint32_t rank, uint32_t warp, const Op *op);
void mma_issued(Checker *k, const ExecCtx *x, const XInsn *in);
void cp_issued(Checker *k, const ExecCtx *x, const XInsn *in);
void tensor_before(Checker *k, ExecCtx *x, const XInsn *in, const InsnInfo *ii, uint32_t mask);
void tensor_issued(Checker *k, ExecCtx *x, const XInsn *in, const InsnInfo *ii, uint32_t mask);

/* ---- wgmma.c ---- */
void wgmma_issued(Checker *k, const ExecCtx *x, const XInsn *in);
void wgmma_commit(Checker *k, WarpCheck *w);
void wgmma_waited(Checker *k, uint32_t warp, const Op *op);
/* Some other instruction reads and writes registers. */
void wgmma_regs(Checker *k, const Warp *w, const XInsn *in, const InsnInfo *ii);
/* For the whole code, if it has a wgmma. */
void wgmma_table(Checker *k);

/* ---- defined.c: definedness of registers ---- */
void table_build(Checker *k);
void defined_use(Checker *k, const Warp *w, const XInsn *in, const InsnInfo *ii, uint32_t mask);
void defined_pass(Checker *k, const Warp *w, const XInsn *in, const InsnInfo *ii, uint32_t mask);
/* Instructions of a class that only touch registers, such as fences without SASS. */
void plain_class(Checker *k, const Warp *w, const XInsn *in, const InsnInfo *ii);
void defined_report(Checker *k, const Warp *w, const XInsn *in, uint32_t origin, uint32_t lanes,
                    const char *what);
void defined_set(WarpCheck *w, uint32_t slot, uint32_t mask, uint32_t lanes, uint32_t origin);

/* ---- finding.c ---- */
Finding *finding_add(Checker *k, FindingKind kind, uint32_t warp, uint32_t insn);
Finding *finding_pair(Checker *k, FindingKind kind, uint32_t warp, uint32_t insn,
                      uint32_t other_warp, uint32_t other_insn);
void finding_detail(Checker *k, Finding *f, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void finding_object(Checker *k, Finding *f, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The finding was made just now or again: works on hardware as it is, unless it did not once. */
void finding_warn(Finding *f, bool harmless);
/* What instruction `insn` is, as PTX writes it. */
const char *insn_words(Checker *k, uint32_t insn);
bool suppress_load(Checker *k, const char *path, Err *err);
bool suppressed(const Checker *k, const Finding *f);
FindingKind fault_kind(const char *text);

#endif
