/* Coalescing and allocation, both on live intervals (live.c).
 *
 * Two values that a copy connects and that never live at the same time become one, so that the copy
 * disappears: that is how the moves of loop variables go (ptx.md 5.2: mov costs nothing).
 * Allocation is first fit over values in order of their start, which is optimal for intervals
 * without holes; each slot has a bit set of the points it is taken.
 *
 * Divergence is safe without more: a value that another split of the warp keeps in a slot lies in
 * that split's lanes, and writes are masked by lane. Guarded definitions read the old value, so
 * that it stays alive. */
#include "sim/lower/ir.h"

#include <stdlib.h>
#include <string.h>

/* ---- Coalescing ---- */

typedef struct Coalescer {
    Ir *ir;
    Live live;
    Cell *parent; /* union-find over values */
} Coalescer;

static Cell find(Cell *parent, Cell v)
{
    while (parent[v] != v) {
        parent[v] = parent[parent[v]];
        v = parent[v];
    }
    return v;
}

static bool overlap(const Live *lv, uint32_t a, uint32_t b)
{
    while (a != UINT32_MAX && b != UINT32_MAX) {
        const Interval *x = &lv->iv[a], *y = &lv->iv[b];
        if (x->start < y->end && y->start < x->end)
            return true;
        if (x->end <= y->end)
            a = x->next;
        else
            b = y->next;
    }
    return false;
}

/* Merges two ascending disjoint lists into one. */
static uint32_t merge(Live *lv, uint32_t a, uint32_t b)
{
    uint32_t head = UINT32_MAX, *tail = &head;
    while (a != UINT32_MAX || b != UINT32_MAX) {
        uint32_t *take =
            b == UINT32_MAX || (a != UINT32_MAX && lv->iv[a].start < lv->iv[b].start) ? &a : &b;
        uint32_t t = *take;
        *take = lv->iv[t].next;
        *tail = t;
        tail = &lv->iv[t].next;
    }
    *tail = UINT32_MAX;
    return head;
}

static bool is_copy(const IrInsn *in)
{
    return (in->flags & (IF_COPY | IF_DEAD | IF_GUARD)) == IF_COPY && in->n_dst == 1;
}

static void try_merge(Coalescer *c, const IrInsn *in)
{
    Ir *ir = c->ir;
    Cell d = ir->cells[in->dst], s = ir->cells[in->src];
    if (!cell_is_val(d) || !cell_is_val(s))
        return;
    d = find(c->parent, d);
    s = find(c->parent, s);
    if (d == s || overlap(&c->live, c->live.head[d], c->live.head[s]))
        return;
    c->parent[d] = s;
    c->live.head[s] = merge(&c->live, c->live.head[s], c->live.head[d]);
}

typedef struct CopyAt {
    uint32_t insn, depth;
} CopyAt;

static int deepest_first(const void *a, const void *b)
{
    const CopyAt *x = a, *y = b;
    if (x->depth != y->depth)
        return x->depth > y->depth ? -1 : 1;
    return x->insn < y->insn ? -1 : x->insn > y->insn;
}

/* "s = f(..); ...; d = s" with no other use of s becomes "...; d = f(..)": the loop counter's old
 * value may still be read in between, and then d and s could not share a place. */
static void sink_definition(Ir *ir, uint32_t copy)
{
    IrInsn *c = &ir->insns[copy];
    Cell s = ir->cells[c->src], d = ir->cells[c->dst];
    if (!cell_is_val(s) || !cell_is_val(d) || ir->val[s].n_defs != 1 || ir->val[s].n_uses != 1)
        return;
    uint32_t def = ir->val[s].def;
    IrInsn *f = &ir->insns[def];
    if (ir->block_of[def] != ir->block_of[copy] || def > copy || f->n_dst != 1 ||
        !(f->flags & IF_PLAIN) || f->flags & (IF_GUARD | IF_RMW | IF_DEAD | IF_COPY) ||
        f->host != NO_INSN || f->is_host)
        return;
    for (uint32_t i = def + 1; i < copy; i++) {
        const IrInsn *in = &ir->insns[i];
        if (in->flags & IF_DEAD)
            continue;
        for (uint32_t k = 0; k < in->n_src; k++)
            if (ir->cells[in->src + k] == s)
                return;
        for (uint32_t k = 0; k < in->n_dst; k++)
            for (uint32_t j = 0; j < f->n_src; j++)
                if (ir->cells[in->dst + k] == ir->cells[f->src + j])
                    return;
    }
    IrInsn moved = *f;
    ir->cells[moved.dst] = d;
    f->flags |= IF_DEAD;
    *c = moved;
}

void coalesce(Ir *ir)
{
    ir_count(ir);
    for (uint32_t i = 0; i < ir->n_insns; i++)
        if (is_copy(&ir->insns[i]))
            sink_definition(ir, i);
    Coalescer c = {.ir = ir, .parent = arena_new(ir->a, Cell, ir->n_vals + 1)};
    live_compute(ir, &c.live, true);
    CopyAt *copies = arena_new(ir->a, CopyAt, ir->n_insns + 1);
    uint32_t n = 0;
    for (uint32_t v = 0; v < ir->n_vals; v++)
        c.parent[v] = (Cell)v;
    for (uint32_t i = 0; i < ir->n_insns; i++)
        if (is_copy(&ir->insns[i]))
            copies[n++] = (CopyAt){.insn = i, .depth = ir->blocks[ir->block_of[i]].depth};
    qsort(copies, n, sizeof *copies, deepest_first);
    for (uint32_t i = 0; i < n; i++)
        try_merge(&c, &ir->insns[copies[i].insn]);
    for (uint32_t k = 0; k < ir->n_cells; k++)
        if (cell_is_val(ir->cells[k]))
            ir->cells[k] = find(c.parent, ir->cells[k]);
    for (uint32_t i = 0; i < n; i++) {
        IrInsn *in = &ir->insns[copies[i].insn];
        if (ir->cells[in->src] == ir->cells[in->dst])
            in->flags |= IF_DEAD;
    }
}

/* ---- Allocation ---- */

typedef struct Places { /* slots of one kind */
    uint64_t **taken;   /* per slot: bit per point */
    uint32_t n, cap, words;
    Arena *a;
} Places;

static bool range_free(const uint64_t *set, uint32_t start, uint32_t end)
{
    uint32_t w = start / 64, last = (end - 1) / 64;
    uint64_t head = ~UINT64_C(0) << (start % 64), tail = ~UINT64_C(0) >> (63 - (end - 1) % 64);
    if (w == last)
        return !(set[w] & head & tail);
    if (set[w] & head || set[last] & tail)
        return false;
    for (w++; w < last; w++)
        if (set[w])
            return false;
    return true;
}

static void range_take(uint64_t *set, uint32_t start, uint32_t end)
{
    for (uint32_t w = start / 64; w <= (end - 1) / 64; w++) {
        uint64_t mask = ~UINT64_C(0);
        if (w == start / 64)
            mask &= ~UINT64_C(0) << (start % 64);
        if (w == (end - 1) / 64)
            mask &= ~UINT64_C(0) >> (63 - (end - 1) % 64);
        set[w] |= mask;
    }
}

static bool fits(const Live *lv, uint32_t head, const uint64_t *set)
{
    for (uint32_t h = head; h != UINT32_MAX; h = lv->iv[h].next)
        if (!range_free(set, lv->iv[h].start, lv->iv[h].end))
            return false;
    return true;
}

static uint32_t place(Places *p, const Live *lv, uint32_t head)
{
    uint32_t s = 0;
    while (s < p->n && !fits(lv, head, p->taken[s]))
        s++;
    if (s == p->n) {
        if (p->n == p->cap) {
            uint64_t **bigger = arena_new(p->a, uint64_t *, 2 * p->cap + 64);
            if (p->n)
                memcpy(bigger, p->taken, p->n * sizeof *bigger);
            p->taken = bigger;
            p->cap = 2 * p->cap + 64;
        }
        p->taken[p->n++] = arena_new(p->a, uint64_t, p->words);
    }
    for (uint32_t h = head; h != UINT32_MAX; h = lv->iv[h].next)
        range_take(p->taken[s], lv->iv[h].start, lv->iv[h].end);
    return s;
}

typedef struct Start {
    uint32_t val, at;
} Start;

static int by_start(const void *a, const void *b)
{
    const Start *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->val < y->val ? -1 : x->val > y->val;
}

void allocate(Ir *ir, uint32_t *slot, uint32_t *n_slots, uint32_t *n_preds)
{
    Live lv;
    live_compute(ir, &lv, true);
    uint32_t words = (POINTS * ir->n_insns + 63) / 64 + 1;
    Places regs = {.a = ir->a, .words = words}, preds = {.a = ir->a, .words = words};
    Start *order = arena_new(ir->a, Start, ir->n_vals + 1);
    uint32_t n = 0;
    for (uint32_t v = 0; v < ir->n_vals; v++)
        if (lv.head[v] != UINT32_MAX)
            order[n++] = (Start){.val = v, .at = lv.iv[lv.head[v]].start};
    qsort(order, n, sizeof *order, by_start);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t v = order[i].val;
        slot[v] = place(ir->is_pred[v] ? &preds : &regs, &lv, lv.head[v]);
    }
    *n_slots = regs.n;
    *n_preds = preds.n;
}
