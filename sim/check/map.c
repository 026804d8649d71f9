/* Tensor maps in global memory that the kernel itself changes: a copy through one reads it by the
 * tensormap proxy, so that what wrote it must have been released to that proxy, and acquired by a
 * fence that names the map, before. */
#include "sim/check/global.h"

enum { MAP_BYTES = 128, KEPT = 16 };

/* fence.proxy.tensormap::generic.acquire, with the write that it found there. */
typedef struct MapFence {
    uint64_t addr;
    uint32_t run, warp;
    Epoch epoch;
    GlobalWrite seen;
} MapFence;

struct MapFences { /* the newest, in a ring for each map */
    MapFence f[KEPT];
    uint32_t n;
    uint64_t addr;
    struct MapFences *next;
};

static struct MapFences *fences_of(Checker *k, uint64_t addr, bool make)
{
    struct MapFences *m = k->root->map_fences;
    while (m && m->addr != addr)
        m = m->next;
    if (m || !make)
        return m;
    m = arena_new(&k->root->launch, struct MapFences, 1);
    m->addr = addr;
    m->next = k->root->map_fences;
    return k->root->map_fences = m;
}

static uint64_t address(const ExecCtx *x, const XInsn *in, uint32_t i, uint32_t mask)
{
    return opd_addr(x->w, opd(x->w, in, i), first_lane(mask));
}

static void writes(Checker *k, const ExecCtx *x, const XInsn *in, uint64_t addr)
{
    GlobalAct g = {.a = act_warp(k, x->w, in, ACC_WRITE), .warp = x->w};
    global_span(k, &g, addr, MAP_BYTES);
}

static void replace(Checker *k, const ExecCtx *x, const XInsn *in, uint32_t mask)
{
    uint8_t ss = in->ci->mod[MC_SS];
    for (uint32_t m = mask; m; m &= m - 1) {
        uint64_t addr = address(x, in, 0, m & -m);
        bool window = ss == 0 && addr - SHARED_WINDOW < GLOBAL_BASE - SHARED_WINDOW;
        if (ss == MV_SS_GLOBAL || (ss == 0 && !window)) {
            writes(k, x, in, addr);
            continue;
        }
        Act a = act_warp(k, x->w, in, ACC_WRITE);
        shared_touch(k, (uint32_t)addr, MAP_BYTES, &a);
    }
}

static void acquire(Checker *k, const ExecCtx *x, const XInsn *in, uint32_t mask)
{
    WarpCheck *w = warp_check(k, x->w);
    for (uint32_t m = mask; m; m &= m - 1) {
        uint64_t addr = address(x, in, 0, m & -m);
        struct MapFences *f = fences_of(k, addr, true);
        MapFence *to = &f->f[f->n++ % KEPT];
        *to = (MapFence){.addr = addr, .run = k->run, .warp = warp_index(k, w)};
        to->epoch = w->clk[to->warp];
        global_written(k, addr, &to->seen);
    }
    warp_tick(k, w);
}

void map_insn(Checker *k, const ExecCtx *x, const XInsn *in, const InsnInfo *ii, uint32_t mask)
{
    if (ii->cls == CL_MAP_REPLACE)
        replace(k, x, in, mask);
    if (ii->cls == CL_MAP_ACQUIRE)
        acquire(k, x, in, mask);
    if (ii->cls != CL_MAP_COPY)
        return;
    Act a = act_warp(k, x->w, in, 0);
    shared_touch(k, (uint32_t)address(x, in, 1, mask), MAP_BYTES, &a);
    writes(k, x, in, address(x, in, 0, mask));
}

/* ---- Use ---- */

static bool same_write(const GlobalWrite *a, const GlobalWrite *b)
{
    return a->run == b->run && a->warp == b->warp && a->epoch == b->epoch && a->insn == b->insn;
}

static bool acquired(Checker *k, uint64_t addr, const GlobalWrite *by, const Act *a)
{
    const struct MapFences *m = fences_of(k, addr, false);
    for (uint32_t i = 0; m && i < KEPT && i < m->n; i++) {
        const MapFence *f = &m->f[i];
        if (f->run == k->run && same_write(&f->seen, by) && a->clk[f->warp] >= f->epoch)
            return true;
    }
    return false;
}

void map_used(Checker *k, const Async *as, const Act *a)
{
    GlobalWrite by;
    uint64_t addr = as->u.tma.map_addr;
    if ((addr >= SHARED_WINDOW && addr < GLOBAL_BASE) || !global_written(k, addr, &by))
        return;
    bool copied = k->info[by.insn].cls == CL_MAP_COPY;
    bool released =
        copied || by.run != k->run || a->clk[clock_at(k, CLK_TENSORMAP, by.warp)] >= by.epoch;
    if (released && acquired(k, addr, &by, a))
        return;
    Finding *f = finding_pair(k, FK_MAP_FENCE, a->warp, a->insn, by.warp, by.insn);
    finding_object(k, f, "tensor map at 0x%llx", (unsigned long long)addr);
    finding_detail(k, f,
                   released ? "no fence.proxy.tensormap::generic.acquire of this map stands between"
                            : "no fence.proxy.tensormap::generic.release stands behind the write");
}
