/* What the asynchronous half shares: the state of one CTA's engines, and small helpers of the
 * functions that start asynchronous operations. Private to sim/func. */
#ifndef RAO_FUNC_ENGINE_H
#define RAO_FUNC_ENGINE_H

#include "sim/func/async.h"
#include "sim/func/exec_decl.h"
#include "sim/func/mma.h"
#include "sim/func/state.h"

enum {
    ASYNC_CAPACITY = 2048,
    ASYNC_WARPS = 64,
    STAGE_BYTES =
        512 << 10, /* source bytes of stores in flight, registers of tcgen05.st in flight */
    MAP_CACHE = 8,
    TMA_ROW_BYTES = 128, /* what the engine moves as one row: b200.md 6.2 */
    TMEM_COLUMNS = 512,
    TMEM_LANES = 128,
    TMEM_GRANULE = 32,  /* columns */
    TC_MAX_SLICES = 16, /* MMAs that may be performed as one */
    TC_MAX_K = 256,     /* elements */
    TC_MAX_N = 256,
    TC_SLICE_BYTES = 32, /* K of one unscaled MMA is always 256 bits of a row: ptx.md 3.2 */
    TC_ROW_BYTES = TC_MAX_SLICES * TC_SLICE_BYTES,
};

/* First in, first out, but given back in any order: a block at the tail waits for the older ones.
 *
 *     ring: ....[hdr data][hdr data (given back)][hdr data]........
 *               ^ tail                                     ^ head            */
typedef struct Stage {
    uint8_t *ring;
    uint32_t head, tail, used;
} Stage;

/* MMAs that have completed but whose result nobody can have seen yet: one D, ascending slices of K.
 * Performed together by tc_flush: the same bytes, since the sum over k runs in the same order
 * (mma.h). */
typedef struct TcBatch {
    Async first;   /* the operands of the first one */
    uint32_t n;    /* 0: nothing pends */
    uint32_t peer; /* slot of the other CTA of the pair, or this one's */
    uint64_t a[TC_MAX_SLICES], b[TC_MAX_SLICES];
    uint32_t a_tmem[TC_MAX_SLICES], sfa[TC_MAX_SLICES], sfb[TC_MAX_SLICES];
    uint8_t sfa_id[TC_MAX_SLICES], sfb_id[TC_MAX_SLICES];
} TcBatch;

struct TcScratch {
    uint8_t *a, *b; /* operands gathered from shared memory: rows x K, or K x rows */
    void *panel_a, *panel_b;
    uint8_t *sfa, *sfb; /* scale factors, [K / 16 at most][rows] */
    uint32_t *keep;     /* lanes of D that disable-output-lane protects */
    uint32_t *sums;     /* of integers, before they are added to D */
};

typedef struct MapEntry {
    uint8_t bytes[128];
    TensorMap map;
    bool valid;
} MapEntry;

struct AsyncPool {
    Async *records;     /* [0] is never used: handle 0 means none */
    uint32_t free;      /* head of the list of records given back, 0 = none */
    uint32_t n_records; /* taken at least once, and [0] */
    Stage stage;
    TcBatch batch;
    TcScratch *scratch; /* one for all CTAs of the executor; NULL: no tensor core */
    struct WgBatch *wg; /* by warp, or NULL: the kernel has no wgmma */
    MapEntry maps[MAP_CACHE];
    uint32_t alloc_dst[ASYNC_WARPS]; /* where a warp's tcgen05.alloc wants its address */
    uint32_t alloc_columns[ASYNC_WARPS];
    uint16_t tmem_live; /* bit g: columns 32g.. are allocated to this CTA */
    bool relinquished;  /* tcgen05.relinquish_alloc_permit */
};

/* A block of the ring, 16-byte aligned, or NULL if there is no room. */
uint8_t *stage_take(Stage *s, uint32_t bytes);
void stage_release(Stage *s, uint8_t *p);

/* A fault of an asynchronous operation, at the instruction that started it. Returns false. */
bool async_fault(Exec *x, const Cta *cta, const Async *as, Err *err, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* The next Op of this instruction: its first one carries the issue slot, the others follow for
 * free. */
static inline Op *emit(ExecCtx *x, OpKind kind)
{
    Op *o = &x->ops[x->n_ops];
    uint32_t info = x->ops[0].info;
    *o = (Op){.info = info, .kind = (uint8_t)kind, .flags = x->n_ops > 0 ? OPF_FREE : 0};
    if (x->n_ops > 0)
        o[-1].flags |= OPF_MORE;
    x->n_ops++;
    return o;
}

/* Takes a record for this instruction, or faults. */
static inline Async *start_async(ExecCtx *x, const XInsn *in, AsyncFn *fn)
{
    Err full = {0}; /* has no place; exec_fault knows it */
    Async *as = async_take(x->cta, fn, &full);
    if (!as) {
        exec_fault(x, in, -1, "more than %d asynchronous operations in flight", ASYNC_CAPACITY - 1);
        return NULL;
    }
    as->warp = x->w->id;
    as->ptx = in->ci->ptx;
    return as;
}

/* A shared-memory address operand as rank << 24 | offset. 64-bit registers hold generic addresses
 * of the shared window; an address without a register is a variable of the executing CTA. */
static inline uint64_t opd_shared(const ExecCtx *x, const CodeOpd *o, uint32_t lane)
{
    uint64_t a = opd_addr(x->w, o, lane);
    if (a >> 32 == SHARED_WINDOW >> 32)
        a = (uint32_t)a;
    return o->n == 0 ? a | (uint64_t)x->cta->rank << 24 : a;
}

static inline uint32_t opd_u32(const ExecCtx *x, const CodeOpd *o, uint32_t lane)
{
    return opd_row(x->w, o, 0)[lane];
}

/* Element e of a vector operand whose elements have one slot. */
static inline uint32_t opd_elem(const ExecCtx *x, const CodeOpd *o, uint32_t e, uint32_t lane)
{
    return opd_row(x->w, o, e * (o->elem_slots ? o->elem_slots : 1))[lane];
}

/* Lanes of mask, at least `lane`, whose register operands equal those of `lane`. Stores and
 * prefetches that lanes issue alike are one operation: ptxas 13.0 loops over different operands for
 * them (UTMASTG, UBLKCP.G.S, UTMAPF, UBLKPF), over lanes for all that would add up (loads,
 * reductions, MMAs, commits). FlashAttention-4 stores without electing a lane. */
static inline uint32_t alike_lanes(const Warp *w, const XInsn *in, uint32_t lane, uint32_t mask)
{
    uint32_t alike = mask;
    for (uint32_t k = 0; k < in->ci->n_opd; k++) {
        const CodeOpd *o = opd(w, in, k);
        for (uint32_t j = 0; j < o->n; j++) {
            const uint32_t *r = opd_row(w, o, j);
            for (uint32_t m = alike; m; m &= m - 1)
                if (r[first_lane(m)] != r[lane])
                    alike &= ~(1u << first_lane(m));
        }
    }
    return alike | 1u << lane;
}

/* The tensor-memory address of ld or st as the hardware takes it. Of the lane it looks at seven
 * bits: kernels for pairs of CTAs count on into the second CTA (learn-cuda's matmul). Lanes 0 to 31
 * are those of the warp's own quarter: DeepGEMM's epilogue gives all four warps one address. */
static inline uint32_t warp_taddr(const Warp *w, uint32_t taddr)
{
    taddr &= 0x7fffff;
    return taddr >> 16 < WARP ? taddr | w->id % 4 * WARP << 16 : taddr;
}

/* Swizzle of shared memory: which address bits a 16-byte chunk's bits 4-6 are XORed with. Anchored
 * at absolute addresses; TMA and matrix descriptors use the same function (ptx.md 3.3). */
typedef enum Swizzle {
    SWZ_NONE,
    SWZ_32,
    SWZ_64,
    SWZ_128,
    SWZ_128_32A,      /* 32 bytes stay together */
    SWZ_128_32A_FLIP, /* and in odd lines of 128 bytes the halves of 16 bytes change places */
    SWZ_128_64A,      /* 64 bytes stay together */
} Swizzle;

static inline uint32_t swizzle(uint32_t a, Swizzle s)
{
    static const uint8_t mask[] = {0, 0x10, 0x30, 0x70, 0x60, 0x60, 0x40},
                         shift[] = {3, 3, 3, 3, 2, 2, 1};
    uint32_t flip = s == SWZ_128_32A_FLIP ? a >> 4 & 8 : 0;
    return a ^ (a >> shift[s] & mask[s]) ^ flip;
}

/* Whether columns [column, column + n) of the CTA's tensor memory are allocated. */
bool tmem_owned(const Cta *cta, uint32_t column, uint32_t n);

/* A BindFn for rows whose forms all share one function. */
#define BIND_DYN(name, fn)                                                                         \
    bool exec_##name(const Code *c, const CodeInsn *in, Bound *out)                                \
    {                                                                                              \
        (void)c;                                                                                   \
        (void)in;                                                                                  \
        out->dyn = fn;                                                                             \
        return true;                                                                               \
    }
#define BIND_PLAIN(name, fn)                                                                       \
    bool exec_##name(const Code *c, const CodeInsn *in, Bound *out)                                \
    {                                                                                              \
        (void)c;                                                                                   \
        (void)in;                                                                                  \
        out->plain = fn;                                                                           \
        return true;                                                                               \
    }
#define BIND_UNSUPPORTED(name)                                                                     \
    bool exec_##name(const Code *c, const CodeInsn *in, Bound *out)                                \
    {                                                                                              \
        (void)c;                                                                                   \
        (void)in;                                                                                  \
        (void)out;                                                                                 \
        return false;                                                                              \
    }

/* reduce.c: dst[i] = dst[i] op src[i]; op is MV_REDOP_... */
void reduce_bytes(uint8_t op, PtxType type, uint8_t *dst, const uint8_t *src, size_t bytes);
bool reduce_legal(uint8_t op, PtxType type);

/* exec_bulk.c. The Ops of copies into and out of shared memory.
 *
 * OK_TMA_LOAD with OPF_PAIR (multicast) completes `bytes` in every CTA of arg1, on the mbarrier at
 * sync's offset in that CTA; with arg0 = 1 (.cta_group::2) in the CTA of its pair whose rank has
 * the parity of sync's (ptx.md 3.10). */
typedef struct LoadSync {
    uint32_t bytes, rows, sync;
    uint16_t mask;
    bool multicast;
    uint64_t global;
} LoadSync;
void load_op(ExecCtx *x, const XInsn *in, const LoadSync *s, const Async *as);
void store_op(ExecCtx *x, uint32_t bytes, uint32_t rows, uint64_t global, const Async *as,
              bool reduces);

/* The CTA whose shared memory an asynchronous write is about to change (NULL: it has exited), its
 * pending MMAs done. */
bool async_fill(Exec *x, Cta *cta, uint32_t rank, Cta **out, Err *err);

/* exec_tc.c */
TcScratch *tc_scratch_new(Arena *a);

#endif
