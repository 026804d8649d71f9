/* Ops: what the time core consumes, wherever they come from (execution of PTX, a recorded trace,
 * later a hand-written pipeline).
 *
 * An Op has a static part (OpInfo: one per lowered instruction, shared by all executions) and a
 * dynamic part (Op: what this execution touched). Instructions that only work on registers have no
 * dynamic part at all: a front end hands them to the time core as a range of OpInfo indices
 * (OpRun).
 *
 * The time core never sees data: sync objects are named by address, memory by size and address.
 */
#ifndef RAO_LOWER_OP_H
#define RAO_LOWER_OP_H

#include "isa/isa.h"

typedef uint64_t Cycle;

/* What an Op does besides occupying a unit. PLAIN ops need no dynamic record. */
typedef enum OpKind {
    OK_PLAIN,   /* registers only */
    OK_SKIPPED, /* guard false in every lane: an issue slot and nothing else */
    OK_BRANCH,  /* taken or not; arg0 = number of splits the warp has afterwards */
    OK_EXIT,    /* the warp has ended (all lanes) */
    OK_SMEM,    /* LDS/STS/ATOMS: waves = passes over the 32 banks, bytes */
    OK_GMEM, /* LDG/STG/ATOMG/local: bytes = 32 x sectors, addr = first sector's address >> 5, arg0
                = 1 if a store */
    OK_TMEM, /* LDTM/STTM: bytes per warp, arg0 = columns */
    OK_WAIT_ST, /* waits for this warp's tcgen05.st */
    OK_MMA, /* async: addr/bytes unused; arg0 = M | N << 16, arg1 = MMA_* flags, waves = K bytes per
               row (32) */
    OK_COMMIT,    /* async: arrives once on sync when this warp's earlier tcgen05 async ops are
                     complete */
    OK_TMEM_CP,   /* async: tcgen05.cp: bytes */
    OK_TMA_LOAD,  /* async: bytes into shared memory; waves = box rows; addr = global address >> 8;
                     completes tx on sync */
    OK_TMA_STORE, /* async: bytes out of shared memory, in the thread's open bulk group; waves = box
                     rows; arg0 = 1 reduce */
    OK_TMA_PREFETCH, /* async: L2 prefetch */
    OK_BULK_COMMIT,  /* cp.async.bulk.commit_group */
    OK_BULK_WAIT,    /* arg0 = N groups that may pend, arg1 = 1 if .read */
    OK_CPASYNC,      /* async: cp.async (LDGSTS): bytes */
    OK_CPASYNC_COMMIT,
    OK_CPASYNC_WAIT,   /* arg0 = N */
    OK_CPASYNC_ARRIVE, /* arrives on sync when the warp's earlier cp.async are done; arg0 = count
                          (lanes), arg1 = 1 if noinc */
    OK_MBAR_INIT,      /* sync, arg0 = count */
    OK_MBAR_INVAL,     /* sync */
    OK_MBAR_ARRIVE,    /* sync, arg0 = arrivals, arg1 = tx bytes expected first (0 = none), flags
                          OPF_DROP */
    OK_MBAR_TX,        /* sync, arg1 = signed tx (expect_tx > 0, complete_tx < 0) */
    OK_MBAR_WAIT,      /* sync, arg0 = parity: the warp parks until that phase has completed */
    OK_MBAR_TEST,      /* a poll with its outcome already taken: no blocking */
    OK_BAR_SYNC, /* named barrier: sync = id, arg0 = threads expected, arg1 = threads arriving (32)
                  */
    OK_BAR_ARRIVE,     /* same, without waiting */
    OK_CLUSTER_ARRIVE, /* barrier.cluster.arrive; arg0 = 1 if .relaxed */
    OK_CLUSTER_WAIT,
    OK_TMEM_ALLOC,   /* arg0 = columns; may park */
    OK_TMEM_DEALLOC, /* arg0 = columns, arg1 = start column */
    OK_TMEM_RELINQUISH,
    OK_SETMAXNREG, /* arg0 = registers per thread; inc may park */
    OK_FENCE,      /* proxy and memory fences that cost time; arg0 = 1: beyond the CTA */
    OK_NANOSLEEP,  /* arg0 = ns */
    OK_GRIDDEP,    /* griddepcontrol */
    OK_FAULT,      /* the front end has recorded an Err: stop */
    OK_REMOTE,     /* async: bytes into the shared memory of sync's CTA, which complete tx on sync:
                      st.async, red.async; arg0 = 1: a bulk copy by the TMA engine, waves = rows */
    OK_CANCEL, /* async: clusterlaunchcontrol.try_cancel: bytes of the answer complete tx on sync,
                  or with OPF_PAIR in every CTA of arg1 */
    OK_WGMMA,  /* async: a warp's quarter of wgmma.mma_async: as OK_MMA; runs when the four warps of
                  the warpgroup have issued theirs */
    OK_WGMMA_COMMIT,
    OK_WGMMA_WAIT, /* arg0 = N groups that may pend */
    OK_COUNT
} OpKind;

typedef enum MmaRate {           /* classes of operand types with a FLOP rate of their own */
                       RATE_F16, /* and bf16 */
                       RATE_8,   /* 8-bit floats, also scaled */
                       RATE_4,   /* 4-bit floats by the 4-bit kinds */
                       RATE_TF32,
                       RATE_I8,
                       RATE_COUNT
} MmaRate;

enum {                     /* arg1 of OK_MMA and OK_WGMMA */
       MMA_A_TMEM = 1,     /* A operand in tensor memory (TS) or registers (RS), else in shared
                              memory (SS) */
       MMA_CG2 = 2,        /* cta_group::2 */
       MMA_SCALED = 4,     /* block scales */
       MMA_RATE_SHIFT = 8, /* bits 8-15: MmaRate */
};

enum {                 /* Op.flags */
       OPF_MORE = 1,   /* another Op of the same instruction follows in this run */
       OPF_DROP = 2,   /* arrive_drop */
       OPF_REMOTE = 4, /* sync or data in another CTA of the cluster */
       OPF_FREE = 8,   /* follow-up without an issue slot of its own */
       OPF_PAIR = 16,  /* multicast / both CTAs of the pair: arg1 of COMMIT = CTA mask */
};

/* Static facts of one machine operation. */
typedef struct OpInfo {
    uint8_t tclass; /* TClass */
    uint8_t unit;   /* Unit = tclass_unit[tclass] */
    uint8_t kind;   /* OpKind the instruction has when its guard is true */
    uint8_t n_dst;
    uint16_t n_src;
    uint16_t slots; /* issue slots: 1; more for subroutines such as integer division */
    uint32_t deps;  /* index in Code.deps: n_src sources, then n_dst destinations */
    uint32_t insn;  /* index in Code.insns of the instruction that it stands for */
} OpInfo;
/* n_dst is at most 255: tcgen05.ld.x128 has 128. Slots in Code.deps: register slots, then
 * predicates from Code.n_slots on. Constants and unwritten sinks do not appear. */

/* Dynamic part. 40 bytes, no pointers: it is also what a trace stores. */
typedef struct Op {
    uint32_t info; /* index in Code.ops */
    uint8_t kind;  /* OpKind; SKIPPED or FAULT may replace the static one */
    uint8_t flags;
    uint16_t waves;
    uint32_t bytes;
    uint32_t sync; /* sync object: shared window address (rank << 24 | offset) or barrier id */
    uint32_t arg0;
    uint32_t arg1;
    uint32_t handle; /* async: the front end's handle for async_run; 0 = none */
    uint32_t pad;
    uint64_t addr;
} Op;

#define OP_BURST 32 /* most Ops that one instruction can give: one per lane */

#endif
