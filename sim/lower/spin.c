/* Wait loops: a try_wait (or test_wait) whose failing path only comes back to it (ptx.md 0.7). The
 * path is followed from the instruction on, with its predicate false, through register instructions
 * that are evaluated where their sources are known and branches whose predicate is known. If it
 * returns within MAX_STEPS instructions and has left nothing behind, the warp may be parked
 * instead: CUTLASS' LAB_WAIT / DONE, Triton's waitLoop / skipWait, do-while loops of C++ through
 * selp and setp.
 *
 * "Left nothing behind": a value written on the way is dead at the wait, or computed again from
 * values that the path does not write (the address of the barrier). nanosleep on the way is dropped
 * with the loop. */
#include "sim/lower/ir.h"

enum { MAX_STEPS = 32, MAX_KNOWN = 4 * MAX_STEPS };

typedef struct Spin {
    const Ir *ir;
    const Live *live;
    uint32_t wait;
    struct {
        Cell v;
        bool known;
        uint32_t bits;
    } val[MAX_KNOWN]; /* everything the path writes */
    uint32_t n_val;
    uint32_t path[MAX_STEPS], n_path;
} Spin;

static bool value_of(const Spin *s, Cell c, uint32_t *bits)
{
    *bits = c == CELL_TRUE;
    if (c == CELL_TRUE || c == CELL_FALSE)
        return true;
    if (cell_is_const(c)) {
        *bits = ir_const_bits(s->ir, c);
        return true;
    }
    for (uint32_t i = 0; i < s->n_val; i++)
        if (s->val[i].v == c) {
            *bits = s->val[i].bits;
            return s->val[i].known;
        }
    return false;
}

static bool write(Spin *s, Cell c, bool known, uint32_t bits)
{
    if (!cell_is_val(c))
        return true;
    uint32_t i = 0;
    while (i < s->n_val && s->val[i].v != c)
        i++;
    if (i == MAX_KNOWN)
        return false;
    s->n_val += i == s->n_val;
    s->val[i].v = c;
    s->val[i].known = known;
    s->val[i].bits = bits;
    return true;
}

static bool opd_value(const Spin *s, const IrInsn *in, uint32_t k, uint32_t *bits)
{
    const IrOpd *o = &s->ir->opds[in->opd + k];
    bool known = o->n == 1 && value_of(s, s->ir->cells[o->first], bits);
    if (o->kind == CO_PRED && o->neg)
        *bits = !*bits;
    return known;
}

static bool compare_known(const IrInsn *in, uint32_t a, uint32_t b, uint32_t *out)
{
    if (in->mod[MC_BOOL] || type_info[in->type[0]].bits != 32)
        return false;
    if (in->mod[MC_CMP] != MV_CMP_EQ && in->mod[MC_CMP] != MV_CMP_NE)
        return false;
    *out = (a == b) == (in->mod[MC_CMP] == MV_CMP_EQ);
    return true;
}

/* The one result of a register instruction, if its sources are known. */
static bool evaluate(const Spin *s, const IrInsn *in, uint32_t *out)
{
    uint32_t a = 0, b = 0, p = 0;
    const Ir *ir = s->ir;
    switch (in->op) {
    case OP_MOV:
    case OP_MOV_PRED:
        return in->n_src == 1 && value_of(s, ir->cells[in->src], out);
    case OP_SELP:
        if (!opd_value(s, in, 3, &p) || !opd_value(s, in, p ? 1 : 2, &a))
            return false;
        *out = a;
        return true;
    case OP_SETP_INT:
        return opd_value(s, in, 2, &a) && opd_value(s, in, 3, &b) && compare_known(in, a, b, out);
    case OP_NOT_PRED:
        if (!opd_value(s, in, 1, &a))
            return false;
        *out = !a;
        return true;
    case OP_AND_PRED:
    case OP_OR_PRED:
    case OP_XOR_PRED:
    case OP_AND_BITS:
    case OP_OR_BITS:
    case OP_XOR_BITS:
        if (in->n_opd < 3 || !opd_value(s, in, 1, &a) || !opd_value(s, in, 2, &b))
            return false;
        *out = in->op == OP_AND_PRED || in->op == OP_AND_BITS ? (a & b)
               : in->op == OP_OR_PRED || in->op == OP_OR_BITS ? (a | b)
                                                              : (a ^ b);
        return true;
    default:
        return false;
    }
}

/* Does the instruction write the same again every time around? */
static bool repeats(const Spin *s, const IrInsn *in)
{
    if (in->flags & IF_RMW)
        return false;
    for (uint32_t k = 0; k < in->n_src; k++) {
        Cell c = s->ir->cells[in->src + k];
        for (uint32_t i = 0; cell_is_val(c) && i < s->n_val; i++)
            if (s->val[i].v == c)
                return false;
    }
    return true;
}

static bool live_before(const Spin *s, Cell v)
{
    const Ir *ir = s->ir;
    uint32_t b = ir->block_of[s->wait], end = ir->blocks[b].first + ir->blocks[b].n;
    for (uint32_t i = s->wait; i < end; i++) {
        const IrInsn *in = &ir->insns[i];
        if (in->flags & IF_DEAD)
            continue;
        for (uint32_t k = 0; k < in->n_src; k++)
            if (ir->cells[in->src + k] == v)
                return true;
        for (uint32_t k = 0; k < in->n_dst; k++)
            if (ir->cells[in->dst + k] == v)
                return in->flags & IF_RMW;
    }
    return live_out(s->live, b, (uint32_t)v);
}

static bool leaves_nothing(const Spin *s)
{
    const Ir *ir = s->ir;
    for (uint32_t p = 0; p < s->n_path; p++) {
        const IrInsn *in = &ir->insns[s->path[p]];
        bool before_wait =
            s->path[p] < s->wait && ir->block_of[s->path[p]] == ir->block_of[s->wait];
        for (uint32_t k = 0; k < in->n_dst; k++) {
            Cell d = ir->cells[in->dst + k];
            if (cell_is_val(d) && live_before(s, d) && !(before_wait && repeats(s, in)))
                return false;
        }
    }
    return true;
}

/* One step of the failing path: the next instruction, or NO_INSN if it cannot be followed. */
static uint32_t step(Spin *s, uint32_t i)
{
    const Ir *ir = s->ir;
    const IrInsn *in = &ir->insns[i];
    uint32_t g = 1;
    bool guard_known = true;
    if (in->flags & IF_GUARD) {
        guard_known = value_of(s, ir->cells[in->src], &g);
        g = g != in->guard_neg;
    }
    if (in->op == OP_BRA) {
        if (!guard_known)
            return NO_INSN;
        return g ? in->target : i + 1;
    }
    if (in->op == OP_NANOSLEEP || in->flags & IF_FREE || (guard_known && !g))
        return i + 1;
    if (!(in->flags & IF_PLAIN) || s->n_path == MAX_STEPS)
        return NO_INSN;
    uint32_t bits = 0;
    bool known = guard_known && in->n_dst == 1 && evaluate(s, in, &bits);
    for (uint32_t k = 0; k < in->n_dst; k++)
        if (!write(s, ir->cells[in->dst + k], known, bits))
            return NO_INSN;
    s->path[s->n_path++] = i;
    return i + 1;
}

static bool is_spin(const Ir *ir, const Live *live, uint32_t wait)
{
    const IrInsn *in = &ir->insns[wait];
    if (in->tclass != TC_MBAR_TRY || in->flags & IF_GUARD || in->n_dst != 1)
        return false;
    Spin s = {.ir = ir, .live = live, .wait = wait};
    write(&s, ir->cells[in->dst], true, 0);
    uint32_t i = wait + 1;
    for (uint32_t steps = 0; steps <= MAX_STEPS && i < ir->n_insns; steps++) {
        while (i < ir->n_insns && ir->insns[i].flags & IF_DEAD)
            i++;
        if (i == wait)
            return leaves_nothing(&s);
        if (i >= ir->n_insns)
            return false;
        i = step(&s, i);
    }
    return false;
}

void mark_spins(Ir *ir)
{
    Live live;
    live_compute(ir, &live, false);
    for (uint32_t i = 0; i < ir->n_insns; i++)
        if (!(ir->insns[i].flags & IF_DEAD) && is_spin(ir, &live, i)) {
            ir->insns[i].flags |= IF_WAIT;
            ir->insns[i].kind = OK_MBAR_WAIT;
        }
}
