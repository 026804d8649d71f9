/* Growing arrays and small constructors of the intermediate form. */
#include "sim/lower/ir.h"

#include <assert.h>
#include <string.h>

/* Room for `need` elements: doubles, in the scratch arena (the old array is garbage until the arena
 * goes). */
static void *grow(Arena *a, void *old, uint32_t *cap, uint32_t need, size_t size)
{
    if (need <= *cap)
        return old;
    uint32_t cap2 = *cap ? *cap : 256;
    while (cap2 < need)
        cap2 *= 2;
    void *p = arena_alloc(a, cap2 * size);
    if (*cap)
        memcpy(p, old, *cap * size);
    *cap = cap2;
    return p;
}

uint32_t ir_cells(Ir *ir, uint32_t n)
{
    uint32_t at = ir->n_cells;
    ir->cells = grow(ir->a, ir->cells, &ir->cap_cells, at + n, sizeof *ir->cells);
    ir->n_cells += n;
    return at;
}

uint32_t ir_opds(Ir *ir, uint32_t n)
{
    uint32_t at = ir->n_opds;
    ir->opds = grow(ir->a, ir->opds, &ir->cap_opds, at + n, sizeof *ir->opds);
    ir->n_opds += n;
    for (uint32_t k = 0; k < n; k++)
        ir->opds[at + k] = (IrOpd){0};
    return at;
}

uint32_t ir_insn(Ir *ir, const IrInsn *in)
{
    ir->insns = grow(ir->a, ir->insns, &ir->cap_insns, ir->n_insns + 1, sizeof *ir->insns);
    ir->insns[ir->n_insns] = *in;
    return ir->n_insns++;
}

Cell ir_val(Ir *ir, bool is_pred)
{
    ir->is_pred = grow(ir->a, ir->is_pred, &ir->cap_vals, ir->n_vals + 1, sizeof *ir->is_pred);
    ir->is_pred[ir->n_vals] = is_pred;
    return (Cell)ir->n_vals++;
}

static uint32_t *const_place(Ir *ir, uint32_t bits)
{
    uint32_t mask = ir->const_hash_size - 1;
    uint32_t at = (bits * 2654435761u) >> 7 & mask;
    while (ir->const_hash[at] && ir->consts[ir->const_hash[at] - 1] != bits)
        at = (at + 1) & mask;
    return &ir->const_hash[at];
}

Cell ir_const(Ir *ir, uint32_t bits)
{
    if (ir->n_consts * 2 >= ir->const_hash_size) {
        ir->const_hash_size = ir->const_hash_size ? 2 * ir->const_hash_size : 256;
        ir->const_hash = arena_new(ir->a, uint32_t, ir->const_hash_size);
        for (uint32_t i = 0; i < ir->n_consts; i++)
            *const_place(ir, ir->consts[i]) = i + 1;
    }
    uint32_t *place = const_place(ir, bits);
    if (!*place) {
        ir->consts = grow(ir->a, ir->consts, &ir->cap_consts, ir->n_consts + 1, sizeof *ir->consts);
        ir->consts[ir->n_consts] = bits;
        *place = ++ir->n_consts;
    }
    return -(Cell)*place;
}

void ir_classify(Ir *ir, IrInsn *in)
{
    in->tclass = row_class(in);
    in->kind = (uint8_t)row_kind(in);
    in->slots = row_slots(in);
    in->flags &= (uint8_t) ~(IF_PLAIN | IF_PURE | IF_FREE);
    if (row_is_plain((OpCode)in->op))
        in->flags |= IF_PLAIN | IF_PURE;
    else if (!row_has_effect((OpCode)in->op) &&
             !(ir->layout->keep_all && in->n_dst == 0 && in->tclass == TC_NONE))
        in->flags |= in->tclass == TC_NONE ? IF_FREE : IF_PURE;
}

uint32_t ir_simple(Ir *ir, OpCode op, PtxType ty, const Cell *cells, uint32_t n_dst, uint32_t n_src)
{
    IrInsn in = {.op = (uint16_t)op, .type = {(uint8_t)ty}, .host = NO_INSN};
    in.n_opd = (uint8_t)(n_dst + n_src);
    in.opd = ir_opds(ir, in.n_opd);
    in.src = ir_cells(ir, n_src);
    in.dst = ir_cells(ir, n_dst);
    in.n_src = n_src;
    in.n_dst = n_dst;
    for (uint32_t k = 0; k < n_dst + n_src; k++) {
        bool is_dst = k < n_dst;
        uint32_t at = is_dst ? in.dst + k : in.src + k - n_dst;
        Cell c = cells[k];
        bool pred = c == CELL_TRUE || c == CELL_FALSE || (c >= 0 && ir->is_pred[c]);
        ir->cells[at] = c;
        ir->opds[in.opd + k] = (IrOpd){.kind = pred ? CO_PRED : CO_VALUE,
                                       .dst = is_dst,
                                       .n = 1,
                                       .elem_slots = 1,
                                       .n_elems = 1,
                                       .first = at};
    }
    ir_classify(ir, &in);
    return ir_insn(ir, &in);
}

void ir_copy(Ir *ir, Cell dst, Cell src, uint32_t ptx)
{
    if (dst == CELL_SINK)
        return;
    bool pred = ir->is_pred[dst];
    uint32_t i =
        ir_simple(ir, pred ? OP_MOV_PRED : OP_MOV, pred ? T_PRED : T_B32, (Cell[]){dst, src}, 1, 1);
    ir->insns[i].flags |= IF_COPY;
    ir->insns[i].tclass = TC_ALU;
    ir->insns[i].slots = 1;
    ir->insns[i].ptx = ptx;
}

void ir_make_copy(Ir *ir, uint32_t i, Cell src)
{
    IrInsn *in = &ir->insns[i];
    assert(in->n_dst == 1);
    Cell dst = ir->cells[in->dst];
    uint32_t n = ir->n_insns;
    ir_copy(ir, dst, src, in->ptx);
    if (n == ir->n_insns) {
        ir->insns[i].flags |= IF_DEAD;
        return;
    }
    IrInsn copy = ir->insns[--ir->n_insns];
    in = &ir->insns[i];
    if (in->flags & IF_GUARD) { /* a guarded copy keeps its guard and reads its old value */
        Cell guard = ir->cells[in->src];
        uint32_t src_at = ir_cells(ir, 2);
        ir->cells[src_at] = guard;
        ir->cells[src_at + 1] = src;
        ir->opds[copy.opd + 1].first = src_at + 1;
        copy.src = src_at;
        copy.n_src = 2;
        copy.flags = (uint8_t)((copy.flags & ~IF_COPY) | IF_GUARD | IF_RMW);
        copy.guard_neg = in->guard_neg;
    }
    *in = copy;
}

void ir_count(Ir *ir)
{
    ir->val = arena_new(ir->a, ValInfo, ir->n_vals + 1);
    for (uint32_t i = 0; i < ir->n_insns; i++) {
        const IrInsn *in = &ir->insns[i];
        if (in->flags & IF_DEAD)
            continue;
        for (uint32_t k = 0; k < in->n_src; k++)
            if (cell_is_val(ir->cells[in->src + k]))
                ir->val[ir->cells[in->src + k]].n_uses++;
        for (uint32_t k = 0; k < in->n_waits; k++)
            if (cell_is_val(ir->cells[in->waits + k]))
                ir->val[ir->cells[in->waits + k]].n_uses++;
        for (uint32_t k = 0; k < in->n_dst; k++) {
            Cell c = ir->cells[in->dst + k];
            if (!cell_is_val(c))
                continue;
            ir->val[c].n_defs++;
            ir->val[c].def = i;
        }
    }
}
