/* Copy propagation, and removal of what nobody reads.
 *
 * Across blocks: a use of v becomes a use of s if v's only definition is "v = s", it dominates the
 * use, s is a constant or has one definition, and that dominates the copy. Then s cannot have been
 * written again in between: a path from a second execution of s's definition to the use without
 * passing the copy would make, with the first arrival at s, a path from the entry to the use that
 * avoids the copy, which dominates it. Inside a block: also for values with several definitions,
 * until either is written. */
#include "sim/lower/ir.h"

#include <string.h>

static bool is_copy(const IrInsn *in)
{
    return (in->flags & (IF_COPY | IF_DEAD | IF_GUARD)) == IF_COPY;
}

/* The source cell that copy `in` puts into v. */
static Cell copied_to(const Ir *ir, const IrInsn *in, Cell v)
{
    uint32_t k = 0;
    while (ir->cells[in->dst + k] != v)
        k++;
    return ir->cells[in->src + k];
}

/* What v is a copy of, seen from instruction `use`; v itself if of nothing. */
static Cell origin(const Ir *ir, Cell v, uint32_t use)
{
    while (cell_is_val(v) && ir->val[v].n_defs == 1) {
        uint32_t d = ir->val[v].def;
        if (!is_copy(&ir->insns[d]) || !cfg_dominates(ir, d, use))
            return v;
        Cell s = copied_to(ir, &ir->insns[d], v);
        if (cell_is_val(s)) {
            const ValInfo *si = &ir->val[s];
            if (si->n_defs != 1 || !cfg_dominates(ir, si->def, d))
                return v;
        }
        v = s;
    }
    return v;
}

static void propagate_global(Ir *ir)
{
    for (uint32_t i = 0; i < ir->n_insns; i++) {
        IrInsn *in = &ir->insns[i];
        if (in->flags & IF_DEAD)
            continue;
        for (uint32_t k = 0; k < in->n_src; k++)
            ir->cells[in->src + k] = origin(ir, ir->cells[in->src + k], i);
    }
}

/* Per value: what it is a copy of since `stamp`, valid while neither has been written. */
typedef struct Known {
    Cell src;
    uint32_t at;      /* instruction of the copy + 1, 0 = none */
    uint32_t written; /* last instruction that wrote this value + 1 */
} Known;

static Cell known_origin(const Known *known, Cell v, uint32_t block_first)
{
    if (!cell_is_val(v))
        return v;
    const Known *k = &known[v];
    if (k->at <= block_first || k->written > k->at)
        return v;
    if (cell_is_val(k->src) && known[k->src].written > k->at)
        return v;
    return k->src;
}

static void propagate_local(Ir *ir)
{
    Known *known = arena_new(ir->a, Known, ir->n_vals + 1);
    for (uint32_t b = 0; b < ir->n_blocks; b++) {
        uint32_t first = ir->blocks[b].first;
        for (uint32_t i = first; i < first + ir->blocks[b].n; i++) {
            IrInsn *in = &ir->insns[i];
            if (in->flags & IF_DEAD)
                continue;
            for (uint32_t k = 0; k < in->n_src; k++)
                ir->cells[in->src + k] = known_origin(known, ir->cells[in->src + k], first);
            for (uint32_t k = 0; k < in->n_dst; k++) {
                Cell d = ir->cells[in->dst + k];
                if (!cell_is_val(d))
                    continue;
                known[d].written = i + 1;
                if (is_copy(in))
                    known[d] =
                        (Known){.src = ir->cells[in->src + k], .at = i + 1, .written = i + 1};
            }
            if (is_copy(in) && in->n_dst == 1 && ir->cells[in->src] == ir->cells[in->dst])
                in->flags |= IF_DEAD;
        }
    }
}

/* Predicate operands and memory bases cannot be arbitrary cells: constant bases move into the
 * offset. */
static void settle_operands(Ir *ir)
{
    for (uint32_t i = 0; i < ir->n_insns; i++) {
        IrInsn *in = &ir->insns[i];
        for (uint32_t k = 0; k < in->n_opd && !(in->flags & IF_DEAD); k++) {
            IrOpd *o = &ir->opds[in->opd + k];
            if (o->kind != CO_MEM || o->n == 0)
                continue;
            uint64_t base = 0;
            bool constant = true;
            for (uint32_t g = 0; g < o->n; g++) {
                Cell c = ir->cells[o->first + g];
                constant &= cell_is_const(c);
                if (constant)
                    base |= (uint64_t)ir_const_bits(ir, c) << (32 * g);
            }
            if (!constant)
                continue;
            uint64_t sum = base + (uint64_t)o->imm;
            o->imm = o->n == 1 ? (int64_t)(uint32_t)sum : (int64_t)sum;
            for (uint32_t g = 0; g < o->n; g++)
                ir->cells[o->first + g] = CELL_SINK;
            o->n = 0;
        }
    }
}

void copy_propagate(Ir *ir)
{
    ir_count(ir);
    propagate_global(ir);
    propagate_local(ir);
    settle_operands(ir);
}

static bool removable(const IrInsn *in)
{
    bool is_load = op_row[in->op].tclass == TC_LDG || op_row[in->op].tclass == TC_LDS;
    if (is_load)
        return in->mod[MC_SEM] == MV_SEM_NONE || in->mod[MC_SEM] == MV_SEM_WEAK;
    return in->flags & IF_PURE;
}

/* Counts uses down along a work list. A value that only feeds its own update (a dead loop counter)
 * stays: rare. */
void remove_dead(Ir *ir)
{
    ir_count(ir);
    uint32_t *defs_of = arena_new(ir->a, uint32_t, ir->n_vals + 1); /* list head: insn + 1 */
    uint32_t *next = arena_new(ir->a, uint32_t, ir->n_cells + 1);   /* per destination cell */
    uint32_t *owner = arena_new(ir->a, uint32_t, ir->n_cells + 1);
    uint32_t *work = arena_new(ir->a, uint32_t, ir->n_insns + ir->n_cells + 1), n_work = 0;
    for (uint32_t i = 0; i < ir->n_insns; i++) {
        const IrInsn *in = &ir->insns[i];
        if (in->flags & IF_DEAD)
            continue;
        work[n_work++] = i;
        for (uint32_t k = 0; k < in->n_dst; k++) {
            Cell d = ir->cells[in->dst + k];
            owner[in->dst + k] = i;
            if (!cell_is_val(d))
                continue;
            next[in->dst + k] = defs_of[d];
            defs_of[d] = in->dst + k + 1;
        }
    }
    while (n_work) {
        IrInsn *in = &ir->insns[work[--n_work]];
        if (in->flags & IF_DEAD || !removable(in))
            continue;
        bool used = false;
        for (uint32_t k = 0; k < in->n_dst; k++) {
            Cell d = ir->cells[in->dst + k];
            used |= cell_is_val(d) && ir->val[d].n_uses > 0;
        }
        if (used)
            continue;
        in->flags |= IF_DEAD;
        for (uint32_t k = 0; k < in->n_src; k++) {
            Cell s = ir->cells[in->src + k];
            if (!cell_is_val(s) || --ir->val[s].n_uses > 0)
                continue;
            for (uint32_t c = defs_of[s]; c; c = next[c - 1])
                work[n_work++] = owner[c - 1];
        }
    }
    for (uint32_t i = 0; i < ir->n_insns; i++) /* unread results of what stays */
        for (uint32_t k = 0; k < ir->insns[i].n_dst; k++) {
            Cell *d = &ir->cells[ir->insns[i].dst + k];
            bool pred = cell_is_val(*d) && ir->is_pred[*d];
            if (pred && ir->val[*d].n_uses == 0)
                *d = CELL_SINK;
        }
}
