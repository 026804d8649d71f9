/* The executor: what instructions do, one warp at a time, 32 lanes wide.
 *
 * Registers are rows of 32 x 32 bits (structure of arrays); a predicate is one 32-bit mask.
 * code_bind() turns a Code into XInsns: each has a function specialised for its types and modifiers
 * and its operands flattened to row numbers, so that the inner loop is one indirect call and 32
 * lanes of work the compiler vectorises.
 *
 * Divergence: a warp is a small set of splits (pc, mask). The split with the lowest pc runs; splits
 * that meet at one pc merge. That reconverges structured code at the latest where paths join, and
 * never livelocks. An instruction that needs its whole member mask (.sync, .aligned) parks its
 * split until the others arrive.
 *
 * Nothing here knows time. Asynchronous instructions capture their operands in an Async record when
 * they issue; the driver says when it reads and when it is done (front.h).
 */
#ifndef RAO_FUNC_EXEC_H
#define RAO_FUNC_EXEC_H

#include "sim/func/deadlock.h"
#include "sim/func/mem.h"
#include "sim/func/simd.h"
#include "sim/func/sync.h"
#include "sim/lower/front.h"

#define WARP 32

typedef struct Warp Warp;
typedef struct XInsn XInsn;
typedef struct Cta Cta;
typedef struct Exec Exec;
typedef struct Probe Probe; /* sim/func/probe.h */

/* Register-only instruction. mask: lanes to write (guard and active mask), never 0. */
typedef void PlainFn(Warp *w, const XInsn *in, uint32_t mask);

/* Instruction that touches memory, sync objects, control flow. Fills x->ops[x->n_ops++] (at least
 * one Op, info and static kind are preset by the caller for ops[0]); returns false on a fault, set
 * in x->err by exec_fault(). */
typedef struct ExecCtx {
    Exec *exec;
    Cta *cta;
    Warp *w;
    Cycle now;
    Op *ops;
    uint32_t n_ops;
    uint32_t next_pc; /* preset to pc + 1; branches overwrite (see warp_branch) */
    bool kept;        /* an atomic operation that left memory as it was */
    Err *err;
} ExecCtx;
typedef bool DynFn(ExecCtx *x, const XInsn *in, uint32_t mask);

/* A row's exec name maps to one of these: it picks the function for the types and modifiers of this
 * instruction, or returns false (unsupported: the binder reports the instruction by name). A row is
 * either plain or dyn, never both. */
typedef struct Bound {
    PlainFn *plain;
    DynFn *dyn;
    SimdIsa isa; /* in: which build of the row functions to choose from */
} Bound;
typedef bool BindFn(const Code *c, const CodeInsn *in, Bound *out);

/* Operand place in an XInsn: row number, top bit set for a row of the constant table. */
#define ROW_CONST 0x80000000u

struct XInsn {
    PlainFn *plain;
    DynFn *dyn;
    const CodeInsn *ci;
    int64_t imm;      /* imm of the first CO_MEM/CO_SREG operand */
    uint32_t row[8];  /* slots of values and of CO_MEM bases, flattened in operand order; more: via
                         ci (state.h) */
    int16_t pred[4];  /* predicate operands in order; -1 sink, PRED_TRUE, PRED_FALSE */
    uint8_t pred_neg; /* bit i: pred[i] is complemented */
    uint8_t n_rows, n_preds;
    uint8_t guard_neg;
    int16_t guard;   /* -1: always */
    uint8_t sync;    /* SyncNeed: whom this instruction waits for when the warp has diverged */
    uint8_t seen;    /* Seen: what others may notice of it */
    uint32_t opinfo; /* copy of ci->opinfo */
};

typedef struct Split {
    uint32_t pc, mask;
    bool parked; /* waits for others to join it at a .sync/.aligned instruction */
} Split;

/* A picture of a warp, to tell whether it comes back to where it was (watch.c). */
typedef struct Watch {
    uint64_t changes;           /* *Exec.changes, when the watch began */
    uint32_t steps, at, next;   /* instructions since; when the picture was taken, and
                                   the next one is */
    uint32_t polls, polls_then; /* reads of what may be a flag; when the picture was taken */
    uint32_t pc, mask, n_splits, loops, hold; /* the picture; its registers are in Warp.saved */
    Split splits[WARP];
    bool taken, spins, polled; /* polled: since it has changed anything itself */
    uint32_t ptx;              /* the last poll: instruction; OpKind; of an mbarrier the parity */
    uint8_t kind, parity;
    uint64_t addr; /* address (a sector where it is global) or mbarrier */
} Watch;

struct Warp {
    uint32_t *base[2]; /* [0] registers: n_slots rows; [1] constants, shared by all warps */
    uint32_t *preds;
    uint32_t live;      /* lanes that exist and have not exited */
    uint32_t mask, pc;  /* the running split */
    Split splits[WARP]; /* the others, sorted by pc */
    uint32_t n_splits;
    uint32_t id;   /* warp id in the CTA */
    uint32_t full; /* lanes that exist */
    Cta *cta;
    uint8_t *local; /* per-thread local memory: 32 x local_bytes */
    uint32_t tid[3][WARP];
    uint32_t
        stop; /* lowest pc above the running one at which another split stands, or UINT32_MAX */
    uint32_t retry_pc; /* blocking instruction that yield may go back to, or UINT32_MAX */
    uint32_t loops;    /* backward branches since another split last ran */
    uint32_t
        hold; /* the running split stays for so many more decisions, though it is not the lowest */
    bool wgmma_waits; /* has executed wgmma.wait_group since it last went on */
    bool stuck; /* every split is parked: the running instruction can never have its member mask */
    Watch watch;
    uint32_t *saved;                /* registers and predicates of the picture */
    uint64_t n_insts, n_lane_insts; /* PTX instructions executed; times active lanes */
    const XInsn *reduces;           /* bar.red that waits for its result, or NULL (exec_bar.c) */
    uint32_t reduces_mask, reduces_at;
    Err fault; /* of an instruction that has no op of its own, until the next op reports it */
};

/* 32 lanes of operand place o. */
static inline uint32_t *row(const Warp *w, uint32_t o)
{
    return w->base[o >> 31] + (size_t)(o & 0x7fffffffu) * WARP;
}

/* What has arrived at a named barrier, for bar.red: threads, warps that wait, and of the reduction
 * the threads that take part and those whose predicate holds. */
typedef struct BarTally {
    uint64_t waiting;
    uint32_t arrived, members, yes;
} BarTally;

struct Cta {
    Exec *exec;
    uint32_t slot, id; /* slot index; linear CTA id in the grid */
    uint32_t ctaid[3];
    uint32_t rank; /* in the cluster */
    uint32_t sm;   /* %smid */
    Warp *warps;
    uint8_t *shared; /* window offsets 0 .. shared_bytes-1; user data from SHARED_BASE */
    uint32_t shared_bytes;
    uint32_t (*tmem)[128]; /* [512 columns][128 lanes] */
    bool active;
    BarTally tally[N_NAMED_BARRIERS];
    struct AsyncPool *async; /* in-flight asynchronous operations, sim/func/async.h */
};

typedef enum PrintTo { PRINT_STDERR, PRINT_STDOUT, PRINT_NOWHERE } PrintTo;

/* What cooperative groups want of a cooperative launch: global memory, set before it. grid.sync()
 * counts in `barrier` and leaves its lower 31 bits 0. */
typedef struct GridWorkspace {
    uint32_t bytes, barrier;
} GridWorkspace;

typedef struct ExecDesc {
    const Code *code;
    GlobalMem *mem;
    const uint8_t *params; /* param_bytes of the kernel */
    uint32_t grid[3], block[3], cluster[3];
    uint32_t dynamic_shared; /* bytes */
    uint32_t n_slots;        /* CTAs resident at once */
    uint32_t n_sms;          /* %nsmid */
    double clock_ghz;        /* cycles of a nanosecond, for %globaltimer */
    uint64_t footprint;      /* bytes of global memory that the kernel can reach; 0: all of `mem` */
    uint32_t resident;       /* exec_run: CTAs that the chip holds at once; 0: n_sms */
    uint64_t *changes;       /* counts what other warps may notice, for machines that share memory;
                                NULL: one of its own */
    uint64_t workspace;      /* %envreg1 (high) and %envreg2: address of the GridWorkspace, or 0 */
    bool mma_hw;             /* true: tensor-core sums truncated as ptx.md 4.3; false: fp32 */
    PrintTo print;           /* where vprintf prints */
    uint8_t simd;            /* 0: the fastest of this processor; else 1 + SimdIsa, for tests */
    bool untimed;            /* exec_run sets it: nobody asks for passes and sectors */
    Probe *probe;            /* told of everything in a run without time; NULL: nobody */
} ExecDesc;

/* Binds the code and allocates everything that running needs, in `a`. ERR_UNSUPPORTED names an
 * instruction (with its PTX line) that has no meaning here yet; ERR_SEMANTIC for a block size,
 * shared memory or cluster the kernel or the machine does not take (227 KB = 232448 bytes of shared
 * memory per CTA). */
bool exec_new(Arena *a, const ExecDesc *d, Exec **out, Err *err);

/* Gives back what exec_new took besides the arena (memory maps of CTA slots). */
void exec_free(Exec *x);

/* Places the module's .global and .const variables in memory, with their initial values, and says
 * where. */
bool exec_load_module(Arena *a, const Module *m, GlobalMem *mem, CodeLayout *layout, Err *err);

/* The second half of it: fills the variables at layout's global_base and const_base, which the
 * caller has found room for, and sets the windows. */
void exec_init_module(const Module *m, GlobalMem *mem, CodeLayout *layout);

/* The executor as a front end, for one host thread. */
Front *exec_front(Exec *x);

/* Reports a fault of the simulated program at the running instruction: place in the PTX, role/warp,
 * lane (or -1). Returns false. */
bool exec_fault(ExecCtx *x, const XInsn *in, int lane, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Says what the fault just reported was. Returns false. */
bool exec_fault_is(ExecCtx *x, FaultKind kind);

/* The runner without time (sim/func/run.c): executes the CTAs [first, first + n) of the grid, or
 * all with n = 0, on `threads` host threads; asynchronous operations complete as late as they
 * legally can (when no warp can move), so that a program which forgets to wait reads poison. Same
 * bytes whatever the number of threads. ERR_FAULT, ERR_DEADLOCK (who waits for what; also warps
 * that only read memory which nobody changes any more). stats may be NULL. */
typedef struct RunStats {
    uint64_t warp_insts, thread_insts, ctas;
    Deadlock dead; /* n_waits > 0: the run ended in one */
} RunStats;
bool exec_run(Arena *a, const ExecDesc *d, uint32_t first, uint32_t n, uint32_t threads,
              RunStats *stats, Err *err);

#endif
