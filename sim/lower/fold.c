/* Constant folding and the algebra that ptxas does on integers and predicates: x + 0, (x + a) + b,
 * offsets into addresses, tests of selp(1, 0, p), complemented predicates. */
#include "sim/lower/ir.h"

#include <string.h>

typedef struct Folder {
    Ir *ir;
    bool changed;
} Folder;

static Cell *src(const Ir *ir, const IrInsn *in, uint32_t k)
{
    return &ir->cells[in->src + k];
}

static uint32_t bits_of(const IrInsn *in)
{
    return type_info[in->type[0]].bits;
}
static bool is_signed(const IrInsn *in)
{
    return type_info[in->type[0]].kind == 'S';
}

/* The value of operand k as an integer of the instruction's type, if constant. */
static bool const_opd(const Ir *ir, const IrInsn *in, uint32_t k, uint64_t *out)
{
    const IrOpd *o = &ir->opds[in->opd + k];
    if (o->kind != CO_VALUE || o->n == 0 || o->n > 2)
        return false;
    *out = 0;
    for (uint32_t g = 0; g < o->n; g++) {
        Cell c = ir->cells[o->first + g];
        if (!cell_is_const(c))
            return false;
        *out |= (uint64_t)ir_const_bits(ir, c) << (32 * g);
    }
    return true;
}

static uint64_t extend(uint64_t v, uint32_t bits, bool sign)
{
    if (bits >= 64)
        return v;
    v &= (UINT64_C(1) << bits) - 1;
    if (sign && v >> (bits - 1))
        v |= ~UINT64_C(0) << bits;
    return v;
}

/* clang-format off */
static bool compare(uint8_t cmp, uint64_t a, uint64_t b, bool sign, bool *out)
{
    int64_t sa = (int64_t)a, sb = (int64_t)b;
    switch (cmp) {
    case MV_CMP_EQ: *out = a == b; return true;
    case MV_CMP_NE: *out = a != b; return true;
    case MV_CMP_LT: *out = sign ? sa < sb : a < b; return true;
    case MV_CMP_LE: *out = sign ? sa <= sb : a <= b; return true;
    case MV_CMP_GT: *out = sign ? sa > sb : a > b; return true;
    case MV_CMP_GE: *out = sign ? sa >= sb : a >= b; return true;
    case MV_CMP_LO: *out = a < b; return true;
    case MV_CMP_LS: *out = a <= b; return true;
    case MV_CMP_HI: *out = a > b; return true;
    case MV_CMP_HS: *out = a >= b; return true;
    default: return false;
    }
}

/* clang-format on */

static uint64_t shift_right(uint64_t a, uint64_t n, uint32_t bits, bool sign)
{
    if (n >= bits)
        return sign && (int64_t)a < 0 ? ~UINT64_C(0) : 0;
    return sign ? (uint64_t)((int64_t)a >> n) : a >> n;
}

/* Results of integer rows with constant operands. Widths of 8 and 16 bits are left alone: their
 * upper bits differ. */
static bool evaluate(const Ir *ir, const IrInsn *in, uint64_t *out)
{
    uint32_t bits = bits_of(in);
    uint64_t v[3] = {0};
    if (bits < 32 || in->n_opd < 2 || in->n_opd > 4)
        return false;
    for (uint32_t k = 1; k < in->n_opd; k++)
        if (!const_opd(ir, in, k, &v[k - 1]))
            return false;
    bool sign = is_signed(in);
    uint64_t a = extend(v[0], bits, sign), b = extend(v[1], bits, sign), c = v[2];
    /* clang-format off */
    switch (in->op) {
    case OP_ADD_INT: *out = a + b; return true;
    case OP_SUB_INT: *out = a - b; return true;
    case OP_MUL_LO: *out = a * b; return true;
    case OP_MUL_WIDE: *out = a * b; return true;
    case OP_MAD_LO: *out = a * b + c; return true;
    case OP_MAD_WIDE: *out = a * b + c; return true;
    case OP_AND_BITS: *out = a & b; return true;
    case OP_OR_BITS: *out = a | b; return true;
    case OP_XOR_BITS: *out = a ^ b; return true;
    case OP_NOT_BITS: *out = ~a; return true;
    case OP_NEG_INT: *out = 0 - a; return true;
    case OP_SHL: *out = v[1] >= bits ? 0 : a << v[1]; return true;
    case OP_SHR: *out = shift_right(a, v[1] & 0xffffffff, bits, sign); return true;
    case OP_MIN_INT: *out = (sign ? (int64_t)a < (int64_t)b : a < b) ? a : b; return true;
    case OP_MAX_INT: *out = (sign ? (int64_t)a > (int64_t)b : a > b) ? a : b; return true;
    default: return false;
    }
    /* clang-format on */
}

/* Replaces the instruction by copies of constants. */
static void become_const(Folder *f, uint32_t i, uint64_t v)
{
    Ir *ir = f->ir;
    IrInsn *in = &ir->insns[i];
    f->changed = true;
    if (in->n_dst == 1) {
        ir_make_copy(ir, i, ir_const(ir, (uint32_t)v));
        return;
    }
    uint32_t n =
        ir_simple(ir, OP_MOV, T_B64, (Cell[]){ir->cells[in->dst], ir_const(ir, (uint32_t)v)}, 1, 1);
    IrInsn mov = ir->insns[n]; /* widened to two cells each: IF_COPY copies cell by cell */
    in = &ir->insns[i];
    mov.src = ir_cells(ir, 2);
    ir->cells[mov.src] = ir_const(ir, (uint32_t)v);
    ir->cells[mov.src + 1] = ir_const(ir, (uint32_t)(v >> 32));
    mov.dst = in->dst;
    mov.n_src = mov.n_dst = 2;
    for (uint32_t k = 0; k < 2; k++) {
        ir->opds[mov.opd + k].first = k ? mov.src : mov.dst;
        ir->opds[mov.opd + k].n = ir->opds[mov.opd + k].elem_slots = 2;
    }
    mov.flags |= IF_COPY;
    mov.tclass = TC_ALU;
    mov.slots = 2;
    mov.ptx = in->ptx;
    ir->insns[i] = mov;
    ir->n_insns = n;
}

/* The defining instruction of cell v, if v has one definition that dominates `use` and is not
 * guarded. */
static IrInsn *def_of(const Ir *ir, Cell v, uint32_t use)
{
    if (!cell_is_val(v) || ir->val[v].n_defs != 1)
        return NULL;
    uint32_t d = ir->val[v].def;
    IrInsn *in = &ir->insns[d];
    if (in->flags & (IF_DEAD | IF_GUARD | IF_RMW) || !cfg_dominates(ir, d, use))
        return NULL;
    return in;
}

/* Has v the same value at `use` as at instruction d, where d dominates the use? */
static bool unchanged(const Ir *ir, Cell v, uint32_t d)
{
    return !cell_is_val(v) || (ir->val[v].n_defs == 1 && cfg_dominates(ir, ir->val[v].def, d));
}

static bool is_identity(const IrInsn *in, uint64_t c)
{
    uint64_t ones = bits_of(in) == 64 ? ~UINT64_C(0) : 0xffffffff;
    switch (in->op) {
    case OP_ADD_INT:
    case OP_SUB_INT:
    case OP_OR_BITS:
    case OP_XOR_BITS:
    case OP_SHL:
    case OP_SHR:
        return c == 0;
    case OP_AND_BITS:
        return c == ones;
    case OP_MUL_LO:
        return c == 1;
    default:
        return false;
    }
}

static bool commutes(uint16_t op)
{
    return op == OP_ADD_INT || op == OP_MUL_LO || op == OP_AND_BITS || op == OP_OR_BITS ||
           op == OP_XOR_BITS;
}

/* Constants go to the second place of commutative rows. */
static void swap_const(Ir *ir, IrInsn *in)
{
    uint64_t c;
    if (!commutes(in->op) || in->n_opd != 3 || !const_opd(ir, in, 1, &c) ||
        const_opd(ir, in, 2, &c))
        return;
    IrOpd *o = &ir->opds[in->opd];
    IrOpd t = o[1];
    o[1] = o[2];
    o[2] = t;
}

/* (x op a) op b -> x op (a op b) for add, and, or, xor; x may be two cells. */
static void reassociate(Folder *f, uint32_t i)
{
    Ir *ir = f->ir;
    IrInsn *in = &ir->insns[i];
    uint64_t a, b;
    if (!commutes(in->op) || in->op == OP_MUL_LO || in->n_opd != 3 || !const_opd(ir, in, 2, &b))
        return;
    const IrOpd *x = &ir->opds[in->opd + 1];
    IrInsn *d = def_of(ir, ir->cells[x->first], i);
    if (!d || d->op != in->op || bits_of(d) != bits_of(in) || d->n_opd != 3 ||
        !const_opd(ir, d, 2, &a))
        return;
    const IrOpd *dx = &ir->opds[d->opd + 1];
    uint32_t d_at = (uint32_t)(d - ir->insns);
    for (uint32_t g = 0; g < x->n; g++)
        if (ir->cells[x->first + g] != ir->cells[d->dst + g] ||
            !unchanged(ir, ir->cells[dx->first + g], d_at))
            return;
    uint64_t c = in->op == OP_ADD_INT    ? a + b
                 : in->op == OP_AND_BITS ? (a & b)
                 : in->op == OP_OR_BITS  ? (a | b)
                                         : (a ^ b);
    for (uint32_t g = 0; g < x->n; g++) {
        ir->cells[x->first + g] = ir->cells[dx->first + g];
        ir->cells[ir->opds[in->opd + 2].first + g] = ir_const(ir, (uint32_t)(c >> (32 * g)));
    }
    f->changed = true;
}

static void fold_identity(Folder *f, uint32_t i)
{
    Ir *ir = f->ir;
    IrInsn *in = &ir->insns[i];
    uint64_t c;
    if (in->n_opd != 3 || in->n_dst != 1 || in->flags & IF_GUARD || bits_of(in) < 32 ||
        !const_opd(ir, in, 2, &c))
        return;
    if (is_identity(in, c)) {
        ir_make_copy(ir, i, ir->cells[ir->opds[in->opd + 1].first]);
        f->changed = true;
    } else if (c == 0 && (in->op == OP_AND_BITS || in->op == OP_MUL_LO)) {
        ir_make_copy(ir, i, ir_const(ir, 0));
        f->changed = true;
    }
}

/* ---- Predicates ---- */

/* Turns instruction i, whose only result is a predicate, into p or its complement. */
static void become_pred(Folder *f, uint32_t i, Cell p, bool neg)
{
    Ir *ir = f->ir;
    IrInsn *in = &ir->insns[i];
    if (!neg || p == CELL_TRUE || p == CELL_FALSE) {
        if (neg)
            p = p == CELL_TRUE ? CELL_FALSE : CELL_TRUE;
        ir_make_copy(ir, i, p);
    } else {
        uint32_t n = ir_simple(ir, OP_NOT_PRED, T_PRED, (Cell[]){ir->cells[in->dst], p}, 1, 1);
        ir->insns[n].ptx = in->ptx;
        ir->insns[i] = ir->insns[n];
        ir->n_insns = n;
    }
    f->changed = true;
}

/* setp of selp(a, b, p) with constants everywhere is p, its complement, or constant. */
static void fold_setp(Folder *f, uint32_t i)
{
    Ir *ir = f->ir;
    IrInsn *in = &ir->insns[i];
    bool one_result = in->n_dst == 1 || ir->cells[in->dst + 1] == CELL_SINK;
    uint64_t b, yes, no;
    if (in->op != OP_SETP_INT || in->flags & IF_GUARD || in->mod[MC_BOOL] || !one_result ||
        bits_of(in) != 32 || !const_opd(ir, in, 3, &b))
        return;
    bool sign = is_signed(in), when_true, when_false;
    uint64_t a;
    if (const_opd(ir, in, 2, &a)) {
        if (compare(in->mod[MC_CMP], extend(a, 32, sign), extend(b, 32, sign), sign, &when_true)) {
            in->n_dst = 1;
            become_pred(f, i, when_true ? CELL_TRUE : CELL_FALSE, false);
        }
        return;
    }
    Cell x = ir->cells[ir->opds[in->opd + 2].first];
    const IrInsn *d = def_of(ir, x, i);
    if (!d || d->op != OP_SELP || bits_of(d) != 32 || !const_opd(ir, d, 1, &yes) ||
        !const_opd(ir, d, 2, &no))
        return;
    const IrOpd *po = &ir->opds[d->opd + 3];
    Cell p = ir->cells[po->first];
    if (!unchanged(ir, p, (uint32_t)(d - ir->insns)) ||
        !compare(in->mod[MC_CMP], extend(yes, 32, sign), extend(b, 32, sign), sign, &when_true) ||
        !compare(in->mod[MC_CMP], extend(no, 32, sign), extend(b, 32, sign), sign, &when_false))
        return;
    in->n_dst = 1;
    if (when_true == when_false)
        become_pred(f, i, when_true ? CELL_TRUE : CELL_FALSE, false);
    else
        become_pred(f, i, p, when_false != po->neg);
}

/* A guard, a selp or a logic operand that reads not(p) reads p the other way round. */
static void fold_not(Folder *f, uint32_t i)
{
    Ir *ir = f->ir;
    IrInsn *in = &ir->insns[i];
    if (in->flags & IF_GUARD) {
        const IrInsn *d = def_of(ir, *src(ir, in, 0), i);
        if (d && d->op == OP_NOT_PRED && unchanged(ir, *src(ir, d, 0), (uint32_t)(d - ir->insns))) {
            *src(ir, in, 0) = *src(ir, d, 0);
            in->guard_neg = in->guard_neg == ir->opds[d->opd + 1].neg;
            f->changed = true;
        }
    }
    if (in->op != OP_SELP)
        return;
    IrOpd *o = &ir->opds[in->opd];
    const IrInsn *d = def_of(ir, ir->cells[o[3].first], i);
    if (d && d->op == OP_NOT_PRED && unchanged(ir, *src(ir, d, 0), (uint32_t)(d - ir->insns)) &&
        !ir->opds[d->opd + 1].neg) {
        ir->cells[o[3].first] = *src(ir, d, 0);
        IrOpd t = o[1];
        o[1] = o[2];
        o[2] = t;
        f->changed = true;
    }
}

static void fold_selp(Folder *f, uint32_t i)
{
    Ir *ir = f->ir;
    IrInsn *in = &ir->insns[i];
    if (in->op != OP_SELP || in->flags & IF_GUARD || in->n_dst != 1)
        return;
    const IrOpd *o = &ir->opds[in->opd];
    Cell a = ir->cells[o[1].first], b = ir->cells[o[2].first], p = ir->cells[o[3].first];
    if (a == b || p == CELL_TRUE || p == CELL_FALSE) {
        ir_make_copy(ir, i, a == b || (p == CELL_TRUE) != o[3].neg ? a : b);
        f->changed = true;
    }
}

/* ---- Addresses: [x + a] with x = y + b becomes [y + a + b] ---- */

static bool offset_fits(const IrInsn *in, int64_t imm)
{
    enum { OFFSET_LIMIT = 1 << 23, TMEM_COLUMNS = 512 }; /* SASS offsets have 24 bits */
    uint8_t tc = in->tclass;
    if (tc == TC_LDTM || tc == TC_STTM || tc == TC_MMA || tc == TC_TMEM_CP)
        return imm >= 0 && imm < TMEM_COLUMNS;
    return imm > -OFFSET_LIMIT && imm < OFFSET_LIMIT;
}

static void fold_address(Folder *f, uint32_t i)
{
    Ir *ir = f->ir;
    IrInsn *in = &ir->insns[i];
    for (uint32_t k = 0; k < in->n_opd; k++) {
        IrOpd *o = &ir->opds[in->opd + k];
        uint64_t c;
        if (o->kind != CO_MEM || o->n == 0)
            continue;
        const IrInsn *d = def_of(ir, ir->cells[o->first], i);
        if (!d || d->op != OP_ADD_INT || d->n_opd != 3 || bits_of(d) != 32u * o->n ||
            !const_opd(ir, d, 2, &c))
            continue;
        const IrOpd *dx = &ir->opds[d->opd + 1];
        int64_t imm = o->imm + (int64_t)extend(c, 32u * o->n, true);
        bool ok = offset_fits(in, imm);
        for (uint32_t g = 0; g < o->n; g++)
            ok &= ir->cells[o->first + g] == ir->cells[d->dst + g] &&
                  unchanged(ir, ir->cells[dx->first + g], (uint32_t)(d - ir->insns));
        if (!ok)
            continue;
        for (uint32_t g = 0; g < o->n; g++)
            ir->cells[o->first + g] = ir->cells[dx->first + g];
        o->imm = imm;
        f->changed = true;
    }
}

bool fold_constants(Ir *ir)
{
    Folder f = {.ir = ir};
    ir_count(ir);
    for (uint32_t i = 0; i < ir->n_insns; i++) {
        IrInsn *in = &ir->insns[i];
        uint64_t v;
        if (in->flags & IF_DEAD)
            continue;
        fold_not(&f, i);
        fold_address(&f, i);
        if (!(in->flags & IF_PLAIN) || in->flags & IF_COPY)
            continue;
        swap_const(ir, in);
        if (!(in->flags & IF_GUARD) && evaluate(ir, in, &v)) {
            become_const(&f, i, v);
            continue;
        }
        reassociate(&f, i);
        fold_identity(&f, i);
        fold_setp(&f, i);
        fold_selp(&f, i);
    }
    return f.changed;
}
