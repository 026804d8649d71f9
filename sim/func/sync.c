/* Named barriers, the register pool of setmaxnreg, the tensor-memory allocator: see sync.h. Rules:
 * PTX ISA "bar", "setmaxnreg", "tcgen05.alloc"; research/ptx.md 3.1, 3.12, 3.15. */
#include <assert.h>
#include <stddef.h>

#include "sim/func/sync.h"

#include <string.h>

#define WARP_LANES 32u
#define GRANULE 32u /* columns */
#define GRANULES 16u
#define POOL_WARPS 64u

BarResult named_barrier_arrive(NamedBarrier *b, uint32_t threads_expected,
                               uint32_t threads_arriving)
{
    if (threads_expected == 0 || (b->expected != 0 && b->expected != threads_expected))
        return BAR_MISMATCH;
    if (threads_arriving > threads_expected - b->arrived)
        return BAR_OVERFLOW;
    b->expected = threads_expected;
    b->arrived += threads_arriving;
    if (b->arrived < b->expected)
        return BAR_WAITING;
    b->expected = 0;
    b->arrived = 0;
    b->generation++;
    return BAR_COMPLETE;
}

void reg_pool_init(RegPool *p, uint32_t n_warps, uint32_t regs_per_thread, uint32_t file_regs)
{
    assert(n_warps <= POOL_WARPS && regs_per_thread <= UINT16_MAX);
    uint32_t held = n_warps * WARP_LANES * regs_per_thread;
    p->free_regs = file_regs > held ? file_regs - held : 0;
    for (uint32_t w = 0; w < POOL_WARPS; w++)
        p->per_thread[w] = (uint16_t)(w < n_warps ? regs_per_thread : 0);
}

bool reg_pool_set(RegPool *p, uint32_t warp, uint32_t regs_per_thread)
{
    assert(warp < POOL_WARPS && regs_per_thread <= UINT16_MAX);
    uint32_t had = p->per_thread[warp] * WARP_LANES, wants = regs_per_thread * WARP_LANES;
    if (wants > had && wants - had > p->free_regs)
        return false;
    p->free_regs = p->free_regs + had - wants;
    p->per_thread[warp] = (uint16_t)regs_per_thread;
    return true;
}

static uint32_t granule_mask(uint32_t first, uint32_t n)
{
    return ((1u << n) - 1) << first;
}

static void tmem_take(TmemAlloc *t, uint32_t slot, uint32_t g, uint32_t columns)
{
    uint32_t n = columns / GRANULE;
    t->used = (uint16_t)(t->used | granule_mask(g, n));
    t->size[g] = (uint16_t)columns;
    for (uint32_t i = g; i < g + n; i++)
        t->owner[i] = (uint16_t)(slot + 1);
}

/* First granule at which n are free in `used`, or GRANULES. */
static uint32_t first_fit(uint32_t used, uint32_t columns)
{
    assert(columns >= GRANULE && columns <= GRANULE * GRANULES && (columns & (columns - 1)) == 0);
    uint32_t n = columns / GRANULE;
    for (uint32_t g = 0; g + n <= GRANULES; g++)
        if (!(used & granule_mask(g, n)))
            return g;
    return GRANULES;
}

int32_t tmem_alloc(TmemAlloc *t, uint32_t slot, uint32_t columns)
{
    uint32_t g = first_fit(t->used, columns);
    if (g == GRANULES)
        return -1;
    tmem_take(t, slot, g, columns);
    return (int32_t)(g * GRANULE);
}

int32_t tmem_alloc_pair(TmemAlloc *a, uint32_t slot_a, TmemAlloc *b, uint32_t slot_b,
                        uint32_t columns)
{
    uint32_t g = first_fit((uint32_t)(a->used | b->used), columns);
    if (g == GRANULES)
        return -1;
    tmem_take(a, slot_a, g, columns);
    tmem_take(b, slot_b, g, columns);
    return (int32_t)(g * GRANULE);
}

bool tmem_dealloc(TmemAlloc *t, uint32_t slot, uint32_t column, uint32_t columns)
{
    uint32_t g = column / GRANULE, n = columns / GRANULE;
    if (column % GRANULE != 0 || g >= GRANULES || columns == 0 || t->size[g] != columns ||
        t->owner[g] != slot + 1)
        return false;
    t->used = (uint16_t)(t->used & ~granule_mask(g, n));
    t->size[g] = 0;
    for (uint32_t i = g; i < g + n; i++)
        t->owner[i] = 0;
    return true;
}

WgResult wg_join(WgJoin *j, uint32_t warp, uint32_t shape, uint32_t handle,
                 uint32_t handles[WG_WARPS])
{
    uint32_t n = j->issued[warp], slowest = UINT32_MAX, fastest = 0; /* of the other warps */
    for (uint32_t w = 0; w < WG_WARPS; w++) {
        uint32_t issued = j->issued[w];
        if (w == warp)
            continue;
        slowest = issued < slowest ? issued : slowest;
        fastest = issued > fastest ? issued : fastest;
    }
    if (n >= slowest + WG_AHEAD)
        return WG_TOO_FAR;
    if (fastest <= n)
        j->shape[n % WG_AHEAD] = shape;
    else if (j->shape[n % WG_AHEAD] != shape)
        return WG_MISMATCH;
    j->issued[warp]++;
    j->handle[n % WG_AHEAD][warp] = handle;
    if (slowest <= n)
        return WG_WAITING;
    memcpy(handles, j->handle[n % WG_AHEAD], sizeof j->handle[0]);
    return WG_COMPLETE;
}

const char *wg_result_text(WgResult r)
{
    return r == WG_MISMATCH ? "the warps of a warpgroup execute different wgmma"
                            : "one warp of a warpgroup is too many wgmma ahead of another";
}
