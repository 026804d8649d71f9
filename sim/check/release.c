/* Order between clusters, which only atomic and other strong accesses to global memory make. Each
 * such write leaves a Release: what its warp knew, as a clock of its own cluster, and which
 * releases of other clusters it had acquired. To know something of another cluster is to find it by
 * going back through them. Acquiring is taken generously (any strong read, everything written there
 * before); a relaxed write releases only what lies behind a fence of gpu scope. */
#include "sim/check/global.h"

enum { RECENT = 4, MOST_VISITS = 1 << 14, FIRST_PLACES = 256 };

typedef struct Release Release;

/* What one warp has acquired, in order; only ever grows. */
typedef struct Acquired {
    Release **r;
    uint32_t n, cap;
} Acquired;

typedef struct Known { /* the first n of them */
    const Acquired *list;
    uint32_t n;
} Known;

struct Release {
    Release *before; /* at the same place */
    uint32_t run, n_warps, n_known;
    Known *known;
    uint64_t mark; /* the last search that came by */
    Epoch *clk;    /* [n_warps], then of bulk stores */
};

typedef struct SyncPlace {
    uint64_t addr;
    Release *last;
} SyncPlace;

typedef struct ReleaseTable {
    SyncPlace *places;
    uint32_t n, cap;
    uint64_t mark;
    Release **stack;
    uint32_t n_stack, cap_stack;
} ReleaseTable;

static ReleaseTable *table(Checker *k)
{
    if (!k->root->releases)
        k->root->releases = arena_new(&k->root->launch, ReleaseTable, 1);
    return k->root->releases;
}

static SyncPlace *place_of(Checker *k, uint64_t addr, bool make)
{
    ReleaseTable *t = table(k);
    if (make && t->n * 2 >= t->cap) {
        ReleaseTable old = *t;
        t->cap = old.cap ? 2 * old.cap : FIRST_PLACES;
        t->places = arena_new(&k->root->launch, SyncPlace, t->cap);
        t->n = 0;
        for (uint32_t i = 0; i < old.cap; i++)
            if (old.places[i].last)
                place_of(k, old.places[i].addr, true)->last = old.places[i].last;
    }
    if (t->cap == 0)
        return NULL;
    uint32_t h = (uint32_t)((addr >> 2) * 0x9E3779B97F4A7C15u >> 32) & (t->cap - 1);
    while (t->places[h].last && t->places[h].addr != addr)
        h = (h + 1) & (t->cap - 1);
    if (!t->places[h].last) {
        if (!make)
            return NULL;
        t->places[h].addr = addr;
        t->n++;
    }
    return &t->places[h];
}

/* ---- Releases ---- */

static void note_known(Checker *k, const Epoch *clk, Release *r)
{
    r->known = arena_new(&k->root->launch, Known, k->all_warps);
    for (uint32_t i = 0; i < k->all_warps; i++) {
        uint16_t agent = k->warps[i].agent[AK_NEWS];
        if (agent && agent != NO_AGENT && clk[agent])
            r->known[r->n_known++] = (Known){k->warps[i].acquired, clk[agent]};
    }
}

void release_write(Checker *k, uint32_t warp, uint64_t addr, bool relaxed)
{
    const Epoch *clk = k->warps[warp].clk;
    const Epoch *told = clk + clock_at(k, relaxed ? CLK_GPU : CLK_VISIBLE, 0);
    Epoch any = 0;
    for (uint32_t i = 0; i < k->all_warps; i++)
        any |= told[i];
    if (!any)
        return;
    Release *r = arena_new(&k->root->launch, Release, 1);
    r->run = k->run;
    r->n_warps = k->all_warps;
    r->clk = arena_new(&k->root->launch, Epoch, 2 * k->all_warps);
    memcpy(r->clk, told, k->all_warps * sizeof *told);
    for (uint32_t i = 0; i < k->all_warps; i++) {
        uint16_t agent = k->warps[i].agent[AK_BULK_WRITE];
        if (agent && agent != NO_AGENT)
            r->clk[k->all_warps + i] = clk[agent];
    }
    note_known(k, clk, r);
    SyncPlace *p = place_of(k, addr, true);
    r->before = p->last;
    p->last = r;
}

void release_read(Checker *k, uint32_t warp, uint64_t addr)
{
    WarpCheck *w = &k->warps[warp];
    if (!k->root->releases)
        return;
    SyncPlace *p = place_of(k, addr, false);
    Release *r = p ? p->last : NULL;
    while (r && r->run == k->run)
        r = r->before;
    if (!r)
        return;
    Acquired *a = w->acquired;
    if (!a)
        a = w->acquired = arena_new(&k->root->launch, Acquired, 1);
    for (uint32_t i = a->n; i > 0 && i + RECENT > a->n; i--)
        if (a->r[i - 1] == r)
            return;
    if (a->n == a->cap) {
        Release **more = arena_new(&k->root->launch, Release *, a->cap ? 2 * a->cap : 8);
        if (a->n)
            memcpy(more, a->r, a->n * sizeof *more);
        a->r = more;
        a->cap = a->cap ? 2 * a->cap : 8;
    }
    a->r[a->n++] = r;
    uint16_t agent = agent_of(k, warp, AK_NEWS);
    if (agent != NO_AGENT)
        w->clk[agent] = a->n;
}

/* ---- Knowing ---- */

static void push(Checker *k, ReleaseTable *t, Release *r)
{
    if (r->mark == t->mark)
        return;
    r->mark = t->mark;
    if (t->n_stack == t->cap_stack) {
        uint32_t cap = t->cap_stack ? 2 * t->cap_stack : FIRST_PLACES;
        Release **more = arena_new(&k->root->launch, Release *, cap);
        if (t->n_stack)
            memcpy(more, t->stack, t->n_stack * sizeof *more);
        t->stack = more;
        t->cap_stack = cap;
    }
    t->stack[t->n_stack++] = r;
}

static void push_all(Checker *k, ReleaseTable *t, const Acquired *a, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        push(k, t, a->r[i]);
}

bool release_known(Checker *k, const Epoch *clk, uint32_t run, uint32_t warp, bool bulk, Epoch time)
{
    ReleaseTable *t = table(k);
    t->mark++;
    t->n_stack = 0;
    for (uint32_t i = 0; i < k->all_warps; i++) {
        uint16_t agent = k->warps[i].agent[AK_NEWS];
        if (agent == NO_AGENT)
            return true;
        if (agent && clk[agent])
            push_all(k, t, k->warps[i].acquired, clk[agent]);
    }
    for (uint32_t visits = 0; t->n_stack; visits++) {
        Release *r = t->stack[--t->n_stack];
        if (visits == MOST_VISITS ||
            (r->run == run && r->clk[bulk ? r->n_warps + warp : warp] >= time))
            return true;
        if (r->before)
            push(k, t, r->before);
        for (uint32_t i = 0; i < r->n_known; i++)
            push_all(k, t, r->known[i].list, r->known[i].n);
    }
    return false;
}
