/* Shadow of global memory: who has accessed each 128-byte line of it last in this launch, by byte,
 * as in shadow.c, but with the cluster of each access. Clusters are ordered by release.c only. Each
 * byte has one last write; of reads the newest few are kept, so that data which all read cost
 * little: a write that races with an older read alone is not seen. */
#include "sim/check/global.h"

enum {
    MOST_READS = 4,
    CELLS_AT_ONCE = 1 << 13,
    MOST_CHUNKS = 1 << 11, /* 16 M cells, then no more are followed */
    FIRST_PAGES = 1 << 8,
};

typedef struct GlobalCell {
    Bytes bytes;
    uint32_t next, run, insn, cta; /* cta: in the grid */
    Epoch epoch, warp_epoch;       /* of the agent; of the warp that issued it */
    uint16_t agent, warp, flags;
} GlobalCell;

typedef struct Line {
    Bytes any; /* bytes of all cells, and perhaps more */
    uint32_t head;
} Line;

typedef struct Page {
    uint64_t number;
    Line *lines; /* [LINES_OF_PAGE]; NULL: a free place in the table */
} Page;

typedef struct GlobalShadow {
    GlobalCell *chunks[MOST_CHUNKS];
    uint32_t n_cells, free;
    Page *pages;
    uint32_t n_pages, cap_pages;
    Page last;
} GlobalShadow;

static GlobalShadow *shadow(Checker *k)
{
    if (!k->root->global) {
        k->root->global = arena_new(&k->root->launch, GlobalShadow, 1);
        k->root->global->n_cells = 1; /* 0 ends a list */
    }
    return k->root->global;
}

static GlobalCell *cell_at(const GlobalShadow *s, uint32_t i)
{
    return &s->chunks[i / CELLS_AT_ONCE][i % CELLS_AT_ONCE];
}

static uint32_t cell_new(Checker *k, GlobalShadow *s)
{
    uint32_t i = s->free;
    if (i) {
        s->free = cell_at(s, i)->next;
        return i;
    }
    i = s->n_cells;
    if (i / CELLS_AT_ONCE == MOST_CHUNKS)
        return 0;
    if (!s->chunks[i / CELLS_AT_ONCE])
        s->chunks[i / CELLS_AT_ONCE] = arena_new(&k->root->launch, GlobalCell, CELLS_AT_ONCE);
    s->n_cells++;
    return i;
}

/* ---- Pages ---- */

static Page *slot_of(const GlobalShadow *s, uint64_t number)
{
    uint32_t h = (uint32_t)(number * 0x9E3779B97F4A7C15u >> 32) & (s->cap_pages - 1);
    while (s->pages[h].lines && s->pages[h].number != number)
        h = (h + 1) & (s->cap_pages - 1);
    return &s->pages[h];
}

static Line *line_of(Checker *k, GlobalShadow *s, uint64_t line)
{
    uint64_t number = line / LINES_OF_PAGE;
    if (s->last.lines && s->last.number == number)
        return &s->last.lines[line % LINES_OF_PAGE];
    if (s->n_pages * 2 >= s->cap_pages) {
        GlobalShadow old = *s;
        s->cap_pages = old.cap_pages ? 2 * old.cap_pages : FIRST_PAGES;
        s->pages = arena_new(&k->root->launch, Page, s->cap_pages);
        for (uint32_t i = 0; i < old.cap_pages; i++)
            if (old.pages[i].lines)
                *slot_of(s, old.pages[i].number) = old.pages[i];
    }
    Page *p = slot_of(s, number);
    if (!p->lines) {
        *p = (Page){number, arena_new(&k->root->launch, Line, LINES_OF_PAGE)};
        s->n_pages++;
    }
    s->last = *p;
    return &p->lines[line % LINES_OF_PAGE];
}

/* ---- Findings ---- */

static FindingKind kind_of(const Checker *k, const GlobalCell *c, const Act *a)
{
    bool async =
        c->run == k->run && (k->agents[c->agent].kind != AK_WARP ||
                             (a->agent != NO_AGENT && k->agents[a->agent].kind != AK_WARP));
    return !async ? FK_RACE_GLOBAL : a->flags & ACC_WRITE ? FK_OVERWRITE : FK_READ_EARLY;
}

static void report(Checker *k, FindingKind kind, const GlobalCell *c, const Act *a, uint64_t addr,
                   const char *why)
{
    const uint32_t *grid = k->x->desc.grid;
    char text[256];
    Finding *f = finding_pair(k, kind, a->warp, a->insn, c->warp, c->insn);
    if (f->count > 1)
        return;
    f->other.cta[0] = c->cta % grid[0];
    f->other.cta[1] = c->cta / grid[0] % grid[1];
    f->other.cta[2] = c->cta / grid[0] / grid[1];
    mem_describe(k->x->desc.mem, addr, text, sizeof text);
    finding_object(k, f, "global address 0x%llx, %s", (unsigned long long)addr, text);
    finding_detail(k, f, "%s after %s, %s", a->flags & ACC_WRITE ? "write" : "read",
                   c->flags & ACC_WRITE ? "write" : "read", why);
}

/* ---- Accesses ---- */

static bool ordered(Checker *k, const GlobalCell *c, const Act *a)
{
    if (c->agent == NO_AGENT || a->agent == NO_AGENT)
        return true;
    if (c->run == k->run)
        return a->clk[c->agent] >= c->epoch || c->agent == a->agent;
    bool bulk = c->flags & ACC_ASYNC && c->flags & ACC_WRITE;
    return release_known(k, a->clk, c->run, c->warp, bulk, bulk ? c->epoch : c->warp_epoch);
}

static void check_pair(Checker *k, const GlobalCell *c, const GlobalAct *g, uint64_t line,
                       Bytes both)
{
    const Act *a = &g->a;
    if (!((c->flags | a->flags) & ACC_WRITE))
        return;
    uint64_t addr = bytes_first(line, both);
    if (g->nc && c->flags & ACC_WRITE) {
        report(k, FK_RACE_GLOBAL, c, a, addr,
               "though ld.global.nc may read only what no thread of the kernel writes");
        return;
    }
    if (c->flags & a->flags & ACC_ATOMIC)
        return;
    if (!ordered(k, c, a)) {
        if (!g->store || !lanes_store_same(k, g->warp, g->store))
            report(k, kind_of(k, c, a), c, a, addr, "with nothing that orders the two");
        return;
    }
    bool generic = c->run == k->run && c->agent < k->all_warps &&
                   (c->flags & (ACC_ASYNC | ACC_WRITE)) == ACC_WRITE;
    if (generic && (a->flags & (ACC_ASYNC | ACC_WRITE)) == ACC_ASYNC &&
        a->clk[clock_at(k, CLK_FENCED_GLOBAL, c->agent)] < c->epoch)
        report(k, FK_NO_PROXY_FENCE, c, a, addr, "ordered, but without fence.proxy.async between");
}

/* Whether the earlier access stays in the list beside the new one, which takes what it covers. */
static bool stays(const Checker *k, GlobalCell *c, const Act *a, Bytes b, uint32_t *reads)
{
    bool read = !(c->flags & ACC_WRITE), covered = !(c->bytes.lo & ~b.lo) && !(c->bytes.hi & ~b.hi);
    if (a->flags & ACC_WRITE) {
        c->bytes.lo &= ~b.lo;
        c->bytes.hi &= ~b.hi;
        return !covered;
    }
    if (!read)
        return true;
    if (covered && c->run == k->run && c->agent == a->agent)
        return false;
    return ++*reads < MOST_READS;
}

/* Looks at the accesses before; whether the new one is already among them. */
static bool meet(Checker *k, GlobalShadow *s, const GlobalAct *g, uint64_t line, uint32_t *head,
                 Bytes b)
{
    const Act *a = &g->a;
    uint32_t *link = head, reads = 0;
    bool merged = false;
    while (*link) {
        GlobalCell *c = cell_at(s, *link);
        Bytes both = {c->bytes.lo & b.lo, c->bytes.hi & b.hi};
        bool mine = c->run == k->run && c->agent == a->agent && c->epoch == a->epoch &&
                    c->flags == a->flags && c->insn == a->insn;
        if (mine && link == head && both.lo == b.lo && both.hi == b.hi)
            return true; /* nobody has come between */
        if (both.lo | both.hi)
            check_pair(k, c, g, line, both);
        if (mine) {
            c->bytes = (Bytes){c->bytes.lo | b.lo, c->bytes.hi | b.hi};
            merged = true;
        } else if (!stays(k, c, a, b, &reads)) {
            uint32_t gone = *link;
            *link = c->next;
            c->next = s->free;
            s->free = gone;
            continue;
        }
        link = &c->next;
    }
    return merged;
}

static void touch(Checker *k, const GlobalAct *g, uint64_t line, Bytes b)
{
    GlobalShadow *s = shadow(k);
    const Act *a = &g->a;
    if (k->grid_waits)
        griddep_touch(k, a, line, b);
    Line *l = line_of(k, s, line);
    bool alone = !(l->any.lo & b.lo) && !(l->any.hi & b.hi);
    if (!alone && meet(k, s, g, line, &l->head, b))
        return;
    uint32_t i = cell_new(k, s);
    if (!i)
        return;
    *cell_at(s, i) = (GlobalCell){.bytes = b,
                                  .next = l->head,
                                  .run = k->run,
                                  .insn = a->insn,
                                  .cta = k->x->ctas[a->warp / k->n_warps].id,
                                  .epoch = a->epoch,
                                  .warp_epoch = k->warps[a->warp].clk[a->warp],
                                  .agent = a->agent,
                                  .warp = (uint16_t)a->warp,
                                  .flags = a->flags};
    l->head = i;
    l->any = (Bytes){l->any.lo | b.lo, l->any.hi | b.hi};
}

void global_end(Checker *k)
{
    const GlobalShadow *s = k->root->global;
    for (uint32_t i = 0; s && i < s->cap_pages; i++)
        for (uint32_t j = 0; s->pages[i].lines && j < LINES_OF_PAGE; j++) {
            Bytes b = {0, 0};
            for (uint32_t c = s->pages[i].lines[j].head; c; c = cell_at(s, c)->next)
                if (cell_at(s, c)->flags & ACC_WRITE)
                    b = (Bytes){b.lo | cell_at(s, c)->bytes.lo, b.hi | cell_at(s, c)->bytes.hi};
            if (b.lo | b.hi)
                griddep_note(k, s->pages[i].number * LINES_OF_PAGE + j, b);
        }
}

bool global_written(Checker *k, uint64_t addr, GlobalWrite *out)
{
    GlobalShadow *s = shadow(k);
    *out = (GlobalWrite){0};
    for (uint32_t i = line_of(k, s, addr / LINE)->head; i; i = cell_at(s, i)->next) {
        const GlobalCell *c = cell_at(s, i);
        if (!(c->flags & ACC_WRITE))
            continue;
        *out = (GlobalWrite){c->run, c->warp, c->insn, c->epoch};
        return true;
    }
    return false;
}

/* Bits [from, to) of a line. */
static Bytes bits(uint32_t from, uint32_t to)
{
    uint64_t up = to >= 64 ? UINT64_MAX : (UINT64_C(1) << to) - 1;
    uint64_t down = from >= 64 ? UINT64_MAX : (UINT64_C(1) << from) - 1;
    uint64_t up2 = to >= LINE ? UINT64_MAX : to <= 64 ? 0 : (UINT64_C(1) << (to - 64)) - 1;
    uint64_t down2 = from <= 64 ? 0 : (UINT64_C(1) << (from - 64)) - 1;
    return (Bytes){up & ~down, up2 & ~down2};
}

void global_span(Checker *k, const GlobalAct *g, uint64_t addr, uint64_t bytes)
{
    for (uint64_t at = addr, end = addr + bytes; at < end;) {
        uint32_t from = (uint32_t)(at % LINE);
        uint32_t to = end - at < LINE - from ? from + (uint32_t)(end - at) : LINE;
        touch(k, g, at / LINE, bits(from, to));
        at += to - from;
    }
}

void global_lanes(Checker *k, const GlobalAct *g, const uint64_t *addr, uint32_t lanes,
                  uint32_t bytes)
{
    uint64_t line = UINT64_MAX, ones = (UINT64_C(1) << bytes) - 1;
    Bytes b = {0, 0};
    for (uint32_t m = lanes; m; m &= m - 1) {
        uint64_t a = addr[first_lane(m)];
        if (a >= SHARED_WINDOW && a < GLOBAL_BASE)
            continue;
        if (a / LINE != line) {
            if (b.lo | b.hi)
                touch(k, g, line, b);
            line = a / LINE;
            b = (Bytes){0, 0};
        }
        uint32_t at = (uint32_t)(a % LINE);
        if (at < 64)
            b.lo |= ones << at;
        else
            b.hi |= ones << (at - 64);
    }
    if (b.lo | b.hi)
        touch(k, g, line, b);
}

/* ---- Tensor copies ---- */

typedef struct Range {
    int64_t first, last; /* coordinates first <= i < last, of which every step-th */
    uint32_t step;
} Range;

static Range range_of(const TensorMap *m, const Async *as, uint32_t d)
{
    bool rows4 = as->u.tma.rows4 && d > 0;
    uint32_t step = d && !rows4 ? m->element_strides[d] : 1;
    int64_t c = as->u.tma.coord[d], end = c + m->box[d];
    Range r = {c < 0 ? c + (-c + step - 1) / step * step : c, end, step};
    if ((uint64_t)r.last > m->dims[d] && r.last > 0)
        r.last = (int64_t)m->dims[d];
    return r;
}

static void box_row(Checker *k, const GlobalAct *g, const TensorMap *m, const Range *inner,
                    uint64_t base)
{
    uint32_t bits_each = tensor_map_elem_bits(m->dtype);
    uint64_t from = (uint64_t)inner->first * bits_each / 8,
             to = (uint64_t)inner->last * bits_each / 8;
    if (inner->first < inner->last)
        global_span(k, g, base + from, to - from);
}

void global_box(Checker *k, const GlobalAct *g, const Async *as)
{
    const TensorMap *m = &as->u.tma.map;
    Range r[TMAP_RANK] = {0};
    int64_t at[TMAP_RANK] = {0};
    for (uint32_t d = 0; d < m->rank; d++) {
        r[d] = range_of(m, as, d);
        at[d] = r[d].first;
        if (r[d].first >= r[d].last && !(as->u.tma.rows4 && d))
            return;
    }
    if (as->u.tma.rows4) {
        for (uint32_t i = 1; i <= 4; i++)
            if (as->u.tma.coord[i] >= 0 && (uint64_t)as->u.tma.coord[i] < m->dims[1])
                box_row(k, g, m, &r[0], m->address + (uint64_t)as->u.tma.coord[i] * m->strides[1]);
        return;
    }
    for (;;) {
        uint64_t base = m->address;
        uint32_t d = 1;
        for (uint32_t i = 1; i < m->rank; i++)
            base += (uint64_t)at[i] * m->strides[i];
        box_row(k, g, m, &r[0], base);
        while (d < m->rank && (at[d] += r[d].step) >= r[d].last) {
            at[d] = r[d].first;
            d++;
        }
        if (d >= m->rank)
            return;
    }
}
