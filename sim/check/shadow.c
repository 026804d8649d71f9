/* Shadow memory: who has accessed each granule of shared and tensor memory last, and whether a new
 * access is ordered after them.
 *
 * A granule keeps a list of accesses, each with the bytes it touched, so that neighbours in one
 * granule are told apart. An access is dropped when a later one, ordered after it, covers its bytes
 * and would race with everything that it would race with. */
#include "sim/check/core.h"
#include "sim/func/symbol.h"

static Cell *cell_at(const Checker *k, uint32_t i)
{
    return &k->cells[i];
}

static uint32_t cell_new(Checker *k)
{
    uint32_t i = k->free_cell;
    if (i) {
        k->free_cell = k->cells[i].next;
        return i;
    }
    if (k->n_cells == k->cap_cells) {
        uint32_t cap = k->cap_cells ? 2 * k->cap_cells : 1u << 15;
        Cell *cells = arena_new(&k->root->launch, Cell, cap);
        if (k->n_cells)
            memcpy(cells, k->cells, k->n_cells * sizeof *cells);
        k->cells = cells;
        k->cap_cells = cap;
        k->n_cells = k->n_cells ? k->n_cells : 1; /* 0 ends a list */
    }
    return k->n_cells++;
}

/* ---- Order ---- */

static bool is_tmem_agent(AgentKind kind)
{
    return kind == AK_TLD || kind == AK_TST;
}

/* Operations of one agent happen one after the other, except loads that signal one mbarrier. A
 * tcgen05.st comes after the tcgen05.ld of its own warp: the registers or the pipe see to it. */
static bool same_order(const Checker *k, const Cell *c, const Act *a)
{
    const Agent *x = &k->agents[c->agent], *y = &k->agents[a->agent];
    if (c->agent == a->agent)
        return x->kind != AK_MBAR;
    return x->kind == AK_TLD && is_tmem_agent((AgentKind)y->kind) && x->owner == y->owner;
}

static bool ordered(const Checker *k, const Cell *c, const Act *a)
{
    return c->agent == NO_AGENT || a->agent == NO_AGENT || a->clk[c->agent] >= c->epoch ||
           same_order(k, c, a);
}

/* ---- Findings ---- */

static AgentKind agent_kind(const Checker *k, uint16_t agent)
{
    return agent == NO_AGENT ? AK_WARP : (AgentKind)k->agents[agent].kind;
}

static FindingKind shared_kind(const Checker *k, const Cell *c, const Act *a)
{
    bool c_async = agent_kind(k, c->agent) != AK_WARP, a_writes = a->flags & ACC_WRITE;
    if ((c->flags | a->flags) & ACC_INIT)
        return FK_MBAR_OVERWRITTEN;
    if (k->info[c->insn].cls == CL_CLC_CANCEL && !a_writes)
        return FK_CLC;
    if (!c_async)
        return agent_kind(k, a->agent) == AK_WARP ? FK_RACE_SHARED
               : a_writes                         ? FK_OVERWRITE
                                                  : FK_READ_EARLY;
    return a_writes ? FK_OVERWRITE : FK_READ_EARLY;
}

static FindingKind tmem_kind(const Checker *k, const Cell *c, const Act *a)
{
    AgentKind was = agent_kind(k, c->agent);
    if (a->flags & ACC_FREE)
        return FK_TMEM_FREED_EARLY;
    if (!(a->flags & ACC_WRITE))
        return was == AK_TC ? FK_TMEM_EARLY : was == AK_TST ? FK_TMEM_ST_EARLY : FK_RACE_TMEM;
    return FK_TMEM_OVERWRITE;
}

static void object_of(Checker *k, Finding *f, Spot s, uint16_t mask)
{
    char name[128];
    if (s.tmem) {
        uint32_t column = s.index / TM_QUARTERS * TM_COLUMNS, lane = s.index % TM_QUARTERS * 32;
        finding_object(k, f, "tensor memory columns %u-%u, lanes %u-%u of CTA rank %u", column,
                       column + TM_COLUMNS - 1, lane, lane + 31, s.rank);
        return;
    }
    uint32_t addr = s.rank << 24 | (s.index * GRANULE + (mask ? first_lane(mask) : 0));
    shared_symbol(k->l.code, addr, name, sizeof name);
    finding_object(k, f, "%s (shared address 0x%x)", name, addr);
}

static void report_race(Checker *k, const Cell *c, const Act *a, Spot s)
{
    FindingKind kind = s.tmem ? tmem_kind(k, c, a) : shared_kind(k, c, a);
    Finding *f = finding_pair(k, kind, a->warp, a->insn, c->warp, c->insn);
    if (f->count > 1)
        return;
    object_of(k, f, s, (uint16_t)(c->mask));
    finding_detail(k, f, "%s after %s, with nothing that orders the two",
                   a->flags & ACC_WRITE ? "write" : "read",
                   c->flags & ACC_WRITE ? "write" : "read");
}

static void report_fence(Checker *k, const Cell *c, const Act *a, Spot s)
{
    Finding *f = finding_pair(k, FK_NO_PROXY_FENCE, a->warp, a->insn, c->warp, c->insn);
    if (f->count > 1)
        return;
    object_of(k, f, s, c->mask);
    finding_detail(k, f,
                   "the write is ordered before the read, but no fence.proxy.async lies "
                   "between them");
}

/* ---- Accesses ---- */

/* A generic write that an async read follows must have passed a proxy fence. */
static bool lacks_fence(const Checker *k, const Cell *c, const Act *a)
{
    return (a->flags & (ACC_ASYNC | ACC_WRITE)) == ACC_ASYNC &&
           (c->flags & (ACC_ASYNC | ACC_WRITE)) == ACC_WRITE && c->agent < k->all_warps &&
           a->clk[clock_at(k, CLK_FENCED, c->agent)] < c->epoch;
}

static void check_pair(Checker *k, const Cell *c, const Act *a, bool is_ordered, Spot s)
{
    bool same = c->flags & ACC_WRITE && a->flags & ACC_SAME && c->agent < k->all_warps;
    if (!((c->flags | a->flags) & ACC_WRITE) || (c->flags & a->flags & ACC_ATOMIC) || same)
        return;
    if (!is_ordered)
        report_race(k, c, a, s);
    else if (!s.tmem && lacks_fence(k, c, a))
        report_fence(k, c, a, s);
}

void shadow_touch(Checker *k, Gran *g, uint16_t mask, const Act *a, Spot s)
{
    uint32_t *link = &g->head;
    uint16_t flags = a->flags & (uint16_t)~ACC_SAME;
    bool merged = false;
    while (*link) {
        Cell *c = cell_at(k, *link);
        bool mine = c->agent == a->agent && c->epoch == a->epoch && c->flags == flags;
        bool is_ordered = ordered(k, c, a);
        if (c->mask & mask)
            check_pair(k, c, a, is_ordered, s);
        bool covered = !(c->mask & (uint16_t)~mask);
        if (mine && c->insn == a->insn) {
            c->mask |= mask;
            merged = true;
        } else if (covered && is_ordered && (a->flags & ACC_WRITE || !(c->flags & ACC_WRITE))) {
            uint32_t gone = *link;
            *link = c->next;
            c->next = k->free_cell;
            k->free_cell = gone;
            continue;
        }
        link = &c->next;
    }
    if (merged)
        return;
    uint32_t i = cell_new(k);
    *cell_at(k, i) = (Cell){.next = g->head,
                            .epoch = a->epoch,
                            .agent = a->agent,
                            .mask = mask,
                            .warp = (uint16_t)a->warp,
                            .flags = flags,
                            .insn = a->insn};
    g->head = i;
}

/* ---- Shared memory ---- */

static bool in_range(const Checker *k, uint32_t addr, uint32_t bytes)
{
    uint32_t offset = addr & 0xffffff;
    return addr >> 24 < k->n_ctas && bytes && offset + bytes <= k->x->shared_bytes;
}

Gran *shared_gran(const Checker *k, uint32_t addr)
{
    return in_range(k, addr, 1) ? &k->ctas[addr >> 24].smem[(addr & 0xffffff) / GRANULE] : NULL;
}

/* Bytes of granule g that [from, to) covers. */
static uint16_t part_of(uint32_t g, uint32_t from, uint32_t to)
{
    uint32_t at = g * GRANULE, lo = from > at ? from - at : 0;
    uint32_t hi = to < at + GRANULE ? to - at : GRANULE;
    return (uint16_t)(((1u << hi) - 1) & ~((1u << lo) - 1));
}

static void overwrites_mbar(Checker *k, uint32_t rank, uint32_t g, uint16_t mask, const Act *a)
{
    const CtaCheck *c = &k->ctas[rank];
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t at = c->mbar_at[g * 2 + i];
        if (!(mask & 0xffu << 8 * i) || !at || !c->mbars[at - 1].live)
            continue;
        const Mbar *b = &c->mbars[at - 1];
        Finding *f =
            finding_pair(k, FK_MBAR_OVERWRITTEN, a->warp, a->insn, b->init_warp, b->init_insn);
        if (f->count == 1)
            object_of(k, f, (Spot){rank, g, false}, (uint16_t)(0xffu << 8 * i));
    }
}

void shared_touch(Checker *k, uint32_t addr, uint32_t bytes, const Act *a)
{
    if (!in_range(k, addr, bytes))
        return;
    uint32_t rank = addr >> 24, from = addr & 0xffffff, to = from + bytes;
    Gran *smem = k->ctas[rank].smem;
    for (uint32_t g = from / GRANULE; g <= (to - 1) / GRANULE; g++) {
        uint16_t mask = part_of(g, from, to);
        shadow_touch(k, &smem[g], mask, a, (Spot){rank, g, false});
        if (smem[g].mbars && (a->flags & (ACC_WRITE | ACC_INIT)) == ACC_WRITE)
            overwrites_mbar(k, rank, g, mask, a);
    }
}

void shared_set_valid(Checker *k, uint32_t addr, uint32_t bytes, bool valid, uint8_t swizzle)
{
    if (!in_range(k, addr, bytes))
        return;
    uint32_t from = addr & 0xffffff, to = from + bytes;
    Gran *smem = k->ctas[addr >> 24].smem;
    for (uint32_t g = from / GRANULE; g <= (to - 1) / GRANULE; g++) {
        uint16_t mask = part_of(g, from, to);
        smem[g].valid = (uint16_t)(valid ? smem[g].valid | mask : smem[g].valid & ~mask);
        smem[g].swizzle = swizzle;
    }
}

uint32_t shared_invalid(const Checker *k, uint32_t addr, uint32_t bytes)
{
    uint32_t n = 0;
    if (!in_range(k, addr, bytes))
        return 0;
    uint32_t from = addr & 0xffffff, to = from + bytes;
    const Gran *smem = k->ctas[addr >> 24].smem;
    for (uint32_t g = from / GRANULE; g <= (to - 1) / GRANULE; g++)
        n += (uint32_t)__builtin_popcount(part_of(g, from, to) & (uint16_t)~smem[g].valid);
    return n;
}

/* ---- Tensor memory ---- */

void tmem_touch(Checker *k, uint32_t rank, uint32_t column, uint32_t n, uint32_t quarter,
                uint32_t half, const Act *a)
{
    CtaCheck *c = &k->ctas[rank];
    if (!c->tmem || column + n > TMEM_COLUMNS || n == 0)
        return;
    for (uint32_t g = column / TM_COLUMNS; g <= (column + n - 1) / TM_COLUMNS; g++) {
        uint32_t mask = 0, i = g * TM_QUARTERS + quarter;
        for (uint32_t j = 0; j < TM_COLUMNS; j++) {
            uint32_t at = g * TM_COLUMNS + j;
            if (at >= column && at < column + n)
                mask |= half << 2 * j;
        }
        shadow_touch(k, &c->tmem[i], (uint16_t)mask, a, (Spot){rank, i, true});
    }
}
