/* From the intermediate form to Code: slots for values, OpInfos with their dependences. */
#include "sim/lower/ir.h"

#include <assert.h>
#include <string.h>

typedef struct Emitter {
    Ir *ir;
    Code *c;
    Arena *a;
    uint32_t *slot;     /* per value */
    int32_t *const_row; /* per constant of the Ir: its row in Code.consts, or -1 */
    uint32_t *seen;     /* per dependence slot: stamp, to list each once */
    uint32_t stamp;
    uint32_t *block_at; /* per block: index in Code.insns */
} Emitter;

static bool is_emitted(const IrInsn *in)
{
    return !(in->flags & (IF_DEAD | IF_FREE));
}

static Slot slot_of(Emitter *e, Cell c)
{
    if (cell_is_val(c))
        return (Slot)e->slot[c];
    if (!cell_is_const(c))
        return SLOT_SINK;
    int32_t *row = &e->const_row[-1 - c];
    if (*row < 0) {
        *row = (int32_t)e->c->n_consts;
        e->c->consts[e->c->n_consts++] = ir_const_bits(e->ir, c);
    }
    return -1 - *row;
}

static int32_t pred_of(const Emitter *e, Cell c)
{
    if (cell_is_val(c))
        return (int32_t)e->slot[c];
    return c == CELL_TRUE ? PRED_TRUE : c == CELL_FALSE ? PRED_FALSE : -1;
}

static void emit_operand(Emitter *e, const IrInsn *in, const IrOpd *o)
{
    Code *c = e->c;
    CodeOpd *p = &c->opds[c->n_opds++];
    *p = (CodeOpd){
        .kind = o->kind, .neg = o->neg, .imm = o->imm, .first = c->n_code_slots, .pred = -1};
    if (o->kind == CO_PRED) {
        p->pred = pred_of(e, e->ir->cells[o->first]);
        return;
    }
    if (o->kind == CO_LABEL && in->op == OP_BRA)
        p->imm = e->block_at[e->ir->block_of[in->target]];
    if (o->kind == CO_LABEL && in->op == OP_BRX_IDX) { /* the list of targets, as slots */
        p->n = (uint16_t)o->imm;
        for (uint32_t k = 0; k < p->n; k++)
            c->slots[c->n_code_slots++] =
                (Slot)e->block_at[e->ir->block_of[e->ir->brx[in->target + k]]];
        return;
    }
    p->n = o->n;
    p->elem_slots = o->elem_slots;
    p->n_elems = o->n_elems;
    for (uint32_t k = 0; k < o->n; k++)
        c->slots[c->n_code_slots++] = slot_of(e, e->ir->cells[o->first + k]);
}

/* ---- Dependences ---- */

static void add_dep(Emitter *e, Cell v)
{
    if (!cell_is_val(v))
        return;
    uint32_t d = e->slot[v] + (e->ir->is_pred[v] ? e->c->n_slots : 0);
    if (e->seen[d] == e->stamp)
        return;
    e->seen[d] = e->stamp;
    e->c->deps[e->c->n_deps++] = (uint16_t)d;
}

/* Values made inside the group are no dependences of its operation. */
static bool made_inside(const Ir *ir, uint32_t first, uint32_t at, Cell v)
{
    for (uint32_t i = first; i < at; i++)
        for (uint32_t k = 0; k < ir->insns[i].n_dst; k++)
            if (ir->cells[ir->insns[i].dst + k] == v)
                return true;
    return false;
}

/* The operation of the group of instructions [first, lead]. */
static void emit_op(Emitter *e, uint32_t first, uint32_t lead, uint32_t insn)
{
    const Ir *ir = e->ir;
    Code *c = e->c;
    const IrInsn *in = &ir->insns[lead];
    OpInfo *op = &c->ops[c->n_ops++];
    *op = (OpInfo){.tclass = in->tclass,
                   .unit = (uint8_t)tclass_unit[in->tclass],
                   .kind = in->kind,
                   .slots = in->slots,
                   .deps = c->n_deps,
                   .insn = insn};
    e->stamp++;
    for (uint32_t i = first; i <= lead; i++) {
        const IrInsn *m = &ir->insns[i];
        for (uint32_t k = 0; k < m->n_src; k++)
            if (i == first || !made_inside(ir, first, i, ir->cells[m->src + k]))
                add_dep(e, ir->cells[m->src + k]);
        for (uint32_t k = 0; k < m->n_waits; k++)
            add_dep(e, ir->cells[m->waits + k]);
        for (uint32_t k = 0; m->flags & IF_RMW && k < m->n_dst; k++)
            add_dep(e, ir->cells[m->dst + k]);
    }
    op->n_src = (uint16_t)(c->n_deps - op->deps);
    e->stamp++;
    uint32_t at = c->n_deps;
    for (uint32_t k = 0; k < in->n_dst; k++)
        add_dep(e, ir->cells[in->dst + k]);
    assert(c->n_deps - at <= UINT8_MAX);
    op->n_dst = (uint8_t)(c->n_deps - at);
}

/* ---- Instructions ---- */

static void emit_insn(Emitter *e, const IrInsn *in)
{
    Code *c = e->c;
    CodeInsn *out = &c->insns[c->n_insns++];
    *out = (CodeInsn){.op = in->op,
                      .n_opd = in->n_opd,
                      .guard = -1,
                      .opd = c->n_opds,
                      .opinfo = OP_NONE,
                      .ptx = in->ptx};
    memcpy(out->type, in->type, sizeof out->type);
    memcpy(out->mod, in->mod, sizeof out->mod);
    if (in->flags & IF_GUARD) {
        out->guard = (int16_t)pred_of(e, e->ir->cells[in->src]);
        out->guard_neg = in->guard_neg;
    }
    if (in->flags & IF_PLAIN)
        out->flags |= CF_PLAIN;
    if (in->flags & IF_WAIT)
        out->flags |= CF_WAIT;
    if (in->host != NO_INSN)
        out->flags |= CF_FUSED;
    if (in->uniform)
        out->flags |= CF_UNIFORM;
    if (in->op == OP_BRA)
        out->target = e->block_at[e->ir->block_of[in->target]];
    for (uint32_t k = 0; k < in->n_opd; k++) {
        const IrOpd *o = &e->ir->opds[in->opd + k];
        emit_operand(e, in, o);
        c->reads_clock |= o->kind == CO_SREG && o->imm >= SR_CLOCK && o->imm <= SR_GLOBALTIMER_HI;
    }
    TClass tc = op_row[in->op].tclass;
    if (tc == TC_ATOMG || in->op == OP_CP_REDUCE_ASYNC_BULK ||
        in->op == OP_CP_REDUCE_ASYNC_BULK_TENSOR)
        c->uses_global_atomics = true;
}

static void emit_block(Emitter *e, const Block *b)
{
    const Ir *ir = e->ir;
    uint32_t group = NO_INSN;
    bool first = true;
    for (uint32_t i = b->first; i < b->first + b->n; i++) {
        const IrInsn *in = &ir->insns[i];
        if (!is_emitted(in))
            continue;
        emit_insn(e, in);
        if (first && b->is_target)
            e->c->insns[e->c->n_insns - 1].flags |= CF_TARGET;
        first = false;
        if (group == NO_INSN)
            group = i;
        if (in->host != NO_INSN)
            continue;
        bool has_op = in->tclass != TC_NONE || !(in->flags & IF_PLAIN);
        if (has_op) {
            e->c->insns[e->c->n_insns - 1].opinfo = e->c->n_ops;
            emit_op(e, group, i, e->c->n_insns - 1);
        }
        group = NO_INSN;
    }
}

static void allocate_code(Emitter *e)
{
    const Ir *ir = e->ir;
    Code *c = e->c;
    uint32_t insns = 0, opds = 0, cells = ir->n_brx, deps = 0;
    for (uint32_t b = 0; b < ir->n_blocks; b++) {
        e->block_at[b] = insns;
        for (uint32_t i = ir->blocks[b].first; i < ir->blocks[b].first + ir->blocks[b].n; i++) {
            const IrInsn *in = &ir->insns[i];
            if (!is_emitted(in))
                continue;
            insns++;
            opds += in->n_opd;
            cells += in->n_src + in->n_dst;
            deps += in->n_src + 2 * in->n_dst + in->n_waits;
        }
    }
    c->insns = arena_new(e->a, CodeInsn, insns + 1);
    c->ops = arena_new(e->a, OpInfo, insns + 1);
    c->opds = arena_new(e->a, CodeOpd, opds + 1);
    c->slots = arena_new(e->a, Slot, cells + 1);
    c->deps = arena_new(e->a, uint16_t, deps + 1);
    c->consts = arena_new(e->a, uint32_t, ir->n_consts + 1);
}

bool emit_code(Ir *ir, Arena *a, Code **out, Err *err)
{
    Code *c = arena_new(a, Code, 1);
    c->module = ir->module;
    c->func = ir->func;
    c->local_bytes = ir->local_bytes;
    Emitter e = {.ir = ir, .c = c, .a = a};
    e.slot = arena_new(ir->a, uint32_t, ir->n_vals + 1);
    allocate(ir, e.slot, &c->n_slots, &c->n_preds);
    if (c->n_slots + c->n_preds > UINT16_MAX || c->n_preds > INT16_MAX)
        return err_set(err, ERR_UNSUPPORTED, ir->func->loc,
                       "'%s' needs %u registers and %u predicates per thread", ir->func->name,
                       c->n_slots, c->n_preds);
    e.seen = arena_new(ir->a, uint32_t, c->n_slots + c->n_preds + 1);
    e.block_at = arena_new(ir->a, uint32_t, ir->n_blocks + 1);
    e.const_row = arena_new(ir->a, int32_t, ir->n_consts + 1);
    memset(e.const_row, 0xff, sizeof *e.const_row * (ir->n_consts + 1));
    allocate_code(&e);
    for (uint32_t b = 0; b < ir->n_blocks; b++)
        emit_block(&e, &ir->blocks[b]);
    *out = c;
    return true;
}
