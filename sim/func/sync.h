/* Synchronisation state of one CTA that no memory holds: named barriers, the register pool of
 * setmaxnreg, and the tensor-memory allocator of one SM. Plain state machines; the functional
 * runner and the time core drive the same ones. Nothing here knows time. */
#ifndef RAO_FUNC_SYNC_H
#define RAO_FUNC_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#define N_NAMED_BARRIERS 16

typedef struct NamedBarrier {
    uint32_t expected; /* threads; 0 = nobody has arrived in this generation */
    uint32_t arrived;
    uint32_t generation; /* counts completions; a warp that waits remembers the generation it waits
                            to pass */
} NamedBarrier;

typedef enum BarResult {
    BAR_WAITING,  /* accepted; generation not complete */
    BAR_COMPLETE, /* accepted; completed the generation: all waiters go on */
    BAR_MISMATCH, /* a different thread count than the earlier arrivals of this generation */
    BAR_OVERFLOW, /* more arrivals than expected */
} BarResult;
BarResult named_barrier_arrive(NamedBarrier *b, uint32_t threads_expected,
                               uint32_t threads_arriving);

/* setmaxnreg: registers of the CTA that no warp holds. */
typedef struct RegPool {
    uint32_t free_regs;      /* registers, all lanes counted */
    uint16_t per_thread[64]; /* by warp */
} RegPool;
void reg_pool_init(RegPool *p, uint32_t n_warps, uint32_t regs_per_thread, uint32_t file_regs);
/* True if granted (dec always is); false: the warp must wait for a release. */
bool reg_pool_set(RegPool *p, uint32_t warp, uint32_t regs_per_thread);

/* Tensor memory columns of one SM, in granules of 32; first fit. */
typedef struct TmemAlloc {
    uint16_t used;      /* bit g: granule g (32 columns) is taken */
    uint16_t owner[16]; /* slot + 1 of the CTA that holds the granule */
    uint16_t size[16];  /* columns of the allocation that starts at granule g, else 0 */
} TmemAlloc;
/* Columns must be a power of two, 32..512. Returns the first column, or -1 if there is no room now.
 */
int32_t tmem_alloc(TmemAlloc *t, uint32_t slot, uint32_t columns);
/* The same columns of two SMs, for the CTAs of a pair (cta_group::2). */
int32_t tmem_alloc_pair(TmemAlloc *a, uint32_t slot_a, TmemAlloc *b, uint32_t slot_b,
                        uint32_t columns);
/* False: no allocation of that size by that slot starts there. */
bool tmem_dealloc(TmemAlloc *t, uint32_t slot, uint32_t column, uint32_t columns);

/* wgmma of one warpgroup: each warp issues in its own order, the n-th of the four make one
 * operation. */
enum { WG_WARPS = 4, WG_AHEAD = 256 }; /* WG_AHEAD: how far one warp may be before another */
typedef struct WgJoin {
    uint32_t issued[WG_WARPS]; /* operations of each warp */
    uint32_t handle[WG_AHEAD][WG_WARPS];
    uint32_t shape[WG_AHEAD]; /* of the first warp to issue it */
} WgJoin;
typedef enum WgResult {
    WG_WAITING,  /* other warps have not issued theirs */
    WG_COMPLETE, /* this was the last: *handles are those of the four warps */
    WG_MISMATCH, /* another shape than an earlier warp's */
    WG_TOO_FAR,  /* WG_AHEAD operations before the slowest warp */
} WgResult;
WgResult wg_join(WgJoin *j, uint32_t warp, uint32_t shape, uint32_t handle,
                 uint32_t handles[WG_WARPS]);
const char *wg_result_text(WgResult r); /* of the last two */

#endif
