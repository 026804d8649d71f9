/* Liveness over the control flow graph, and live intervals in the linear order of the instructions.
 *
 * Only values that some block reads before writing are tracked between blocks (bit sets); the rest
 * live and die inside one. Points: four per instruction, so that a result may take the place of a
 * source that dies there, but the upper half of a 64-bit source is still held while the lower half
 * of the result is written. Instructions whose sources are read in any order hold them to the end.
 */
#include "sim/lower/ir.h"

#include <string.h>

static bool holds_sources(const IrInsn *in)
{
    return !(in->flags & IF_PLAIN) || in->tclass == TC_SHFL || in->tclass == TC_VOTE ||
           op_row[in->op].tclass == TC_HMMA || in->n_dst > 2 || in->op == OP_SETP_INT ||
           in->op == OP_SETP_F32 || in->op == OP_SETP_F64;
}

/* Number of cell c in its operand, at most 1. */
static uint32_t half_of(const Ir *ir, const IrInsn *in, uint32_t c)
{
    for (uint32_t k = 0; k < in->n_opd; k++) {
        const IrOpd *o = &ir->opds[in->opd + k];
        if (o->n && c >= o->first && c < o->first + o->n)
            return c > o->first ? 1 : 0;
    }
    return 0;
}

static void find_globals(const Ir *ir, Live *lv)
{
    uint32_t *seen = arena_new(ir->a, uint32_t, ir->n_vals + 1); /* block + 1 that wrote it */
    lv->global = arena_new(ir->a, uint32_t, ir->n_vals + 1);
    memset(lv->global, 0xff, sizeof *lv->global * ir->n_vals);
    lv->global_val = arena_new(ir->a, uint32_t, ir->n_vals + 1);
    for (uint32_t i = 0; i < ir->n_insns; i++) {
        const IrInsn *in = &ir->insns[i];
        uint32_t b = ir->block_of[i] + 1;
        if (in->flags & IF_DEAD)
            continue;
        uint32_t n = in->n_src + in->n_waits + (in->flags & IF_RMW ? in->n_dst : 0);
        for (uint32_t k = 0; k < n; k++) {
            uint32_t at = k < in->n_src                 ? in->src + k
                          : k < in->n_src + in->n_waits ? in->waits + k - in->n_src
                                                        : in->dst + k - in->n_src - in->n_waits;
            Cell c = ir->cells[at];
            if (cell_is_val(c) && seen[c] != b && lv->global[c] == UINT32_MAX) {
                lv->global_val[lv->n_globals] = (uint32_t)c;
                lv->global[c] = lv->n_globals++;
            }
        }
        for (uint32_t k = 0; k < in->n_dst; k++)
            if (cell_is_val(ir->cells[in->dst + k]))
                seen[ir->cells[in->dst + k]] = b;
    }
    lv->words = (lv->n_globals + 63) / 64;
}

static void bit_set(uint64_t *set, uint32_t i)
{
    set[i / 64] |= UINT64_C(1) << (i % 64);
}
static void bit_clear(uint64_t *set, uint32_t i)
{
    set[i / 64] &= ~(UINT64_C(1) << (i % 64));
}
static bool bit_get(const uint64_t *set, uint32_t i)
{
    return set[i / 64] >> (i % 64) & 1;
}

/* Values read before written, and written, in block b. */
static void local_sets(const Ir *ir, const Live *lv, uint32_t b, uint64_t *use, uint64_t *def)
{
    const Block *blk = &ir->blocks[b];
    for (uint32_t i = blk->first + blk->n; i-- > blk->first;) {
        const IrInsn *in = &ir->insns[i];
        if (in->flags & IF_DEAD)
            continue;
        for (uint32_t k = 0; k < in->n_dst; k++) {
            Cell c = ir->cells[in->dst + k];
            if (!cell_is_val(c) || lv->global[c] == UINT32_MAX)
                continue;
            if (in->flags & IF_RMW) {
                bit_set(use, lv->global[c]);
            } else {
                bit_clear(use, lv->global[c]);
                bit_set(def, lv->global[c]);
            }
        }
        for (uint32_t k = 0; k < in->n_src + in->n_waits; k++) {
            Cell c = ir->cells[k < in->n_src ? in->src + k : in->waits + k - in->n_src];
            if (cell_is_val(c) && lv->global[c] != UINT32_MAX)
                bit_set(use, lv->global[c]);
        }
    }
}

static void solve(const Ir *ir, Live *lv)
{
    size_t n = (size_t)ir->n_blocks * lv->words;
    lv->in = arena_new(ir->a, uint64_t, n + 1);
    lv->out = arena_new(ir->a, uint64_t, n + 1);
    uint64_t *def = arena_new(ir->a, uint64_t, n + 1);
    for (uint32_t b = 0; b < ir->n_blocks; b++)
        local_sets(ir, lv, b, lv->in + (size_t)b * lv->words, def + (size_t)b * lv->words);
    bool changed = true;
    while (changed) { /* backward over blocks in order: few rounds for the loops compilers write */
        changed = false;
        for (uint32_t b = ir->n_blocks; b-- > 0;) {
            const Block *blk = &ir->blocks[b];
            uint64_t *in = lv->in + (size_t)b * lv->words;
            for (uint32_t k = 0; k < blk->n_pred; k++) {
                uint32_t p = ir->preds[blk->pred + k];
                uint64_t *out = lv->out + (size_t)p * lv->words,
                         *pin = lv->in + (size_t)p * lv->words;
                const uint64_t *pdef = def + (size_t)p * lv->words;
                for (uint32_t w = 0; w < lv->words; w++) {
                    uint64_t more = in[w] & ~out[w];
                    if (!more)
                        continue;
                    out[w] |= more;
                    pin[w] |= more & ~pdef[w];
                    changed = true;
                }
            }
        }
    }
}

/* ---- Intervals ---- */

typedef struct Walker {
    const Ir *ir;
    Live *lv;
    uint32_t *end; /* per value: end of its open interval, 0 = not live */
} Walker;

static void prepend(Walker *w, uint32_t v, uint32_t start, uint32_t end)
{
    Live *lv = w->lv;
    uint32_t h = lv->head[v];
    if (h != UINT32_MAX && lv->iv[h].start <= end) {
        lv->iv[h].start = start < lv->iv[h].start ? start : lv->iv[h].start;
        return;
    }
    if (lv->n_iv == lv->cap_iv) {
        uint32_t cap = lv->cap_iv ? 2 * lv->cap_iv : 4096;
        Interval *iv = arena_new(w->ir->a, Interval, cap);
        if (lv->n_iv)
            memcpy(iv, lv->iv, lv->n_iv * sizeof *iv);
        lv->iv = iv;
        lv->cap_iv = cap;
    }
    lv->iv[lv->n_iv] = (Interval){.start = start, .end = end, .next = h};
    lv->head[v] = lv->n_iv++;
}

static void open_at(Walker *w, Cell c, uint32_t end)
{
    if (cell_is_val(c) && w->end[c] < end)
        w->end[c] = end;
}

static void walk_insn(Walker *w, uint32_t i)
{
    const Ir *ir = w->ir;
    const IrInsn *in = &ir->insns[i];
    uint32_t p = POINTS * i;
    for (uint32_t k = 0; k < in->n_dst; k++) {
        Cell c = ir->cells[in->dst + k];
        if (!cell_is_val(c))
            continue;
        uint32_t at = p + 1 + 2 * half_of(ir, in, in->dst + k);
        if (in->flags & IF_RMW) {
            open_at(w, c, at + 1);
        } else {
            prepend(w, (uint32_t)c, at, w->end[c] > at ? w->end[c] : at + 1);
            w->end[c] = 0;
        }
    }
    bool hold = holds_sources(in);
    for (uint32_t k = 0; k < in->n_src; k++)
        open_at(w, ir->cells[in->src + k],
                hold ? p + POINTS : p + 1 + 2 * half_of(ir, in, in->src + k));
    for (uint32_t k = 0; k < in->n_waits; k++)
        open_at(w, ir->cells[in->waits + k], p + 1);
}

static void walk_block(Walker *w, uint32_t b)
{
    const Block *blk = &w->ir->blocks[b];
    Live *lv = w->lv;
    uint32_t start = POINTS * blk->first, end = start + POINTS * blk->n;
    const uint64_t *out = lv->out + (size_t)b * lv->words, *in = lv->in + (size_t)b * lv->words;
    for (uint32_t g = 0; g < lv->n_globals; g++)
        if (bit_get(out, g))
            w->end[lv->global_val[g]] = end;
    for (uint32_t i = blk->first + blk->n; i-- > blk->first;)
        if (!(w->ir->insns[i].flags & IF_DEAD))
            walk_insn(w, i);
    for (uint32_t g = 0; g < lv->n_globals; g++) {
        uint32_t v = lv->global_val[g];
        if (bit_get(in, g))
            prepend(w, v, start, w->end[v] ? w->end[v] : start + 1);
        w->end[v] = 0;
    }
}

void live_compute(const Ir *ir, Live *lv, bool intervals)
{
    *lv = (Live){0};
    find_globals(ir, lv);
    solve(ir, lv);
    if (!intervals)
        return;
    lv->head = arena_new(ir->a, uint32_t, ir->n_vals + 1);
    memset(lv->head, 0xff, sizeof *lv->head * (ir->n_vals + 1));
    Walker w = {.ir = ir, .lv = lv, .end = arena_new(ir->a, uint32_t, ir->n_vals + 1)};
    for (uint32_t b = ir->n_blocks; b-- > 0;)
        walk_block(&w, b);
}
