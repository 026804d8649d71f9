/* PTX to the intermediate form: registers become values, moves become copies, defined functions are inlined, symbols
 * become addresses, predicated branches become edges.
 *
 * Call parameters in .param space are values too (one per 32 bits), so inlining a function is copying its body.
 * Not supported: recursion, indirect calls to defined functions, sub-word access inside a call parameter. */
#include "sim/lower/ir.h"

#include <assert.h>
#include <string.h>

/* Offset of a CTA's first user byte in its shared window on sm_90 and later (ptx.md 3.8). */
enum { SHARED_USER_OFFSET = 1024, RANK_SHIFT = 24, MAX_INLINE_DEPTH = 32, MAX_SCALAR_CELLS = 4 };

typedef struct Frame { /* one function instance being copied in */
    Ir *ir;
    const Func *func;
    const struct Frame *caller;
    uint32_t depth;
    Cell *reg;       /* per register: its first value */
    Cell *param;     /* per module variable: first value of a .param object of a call, or CELL_SINK */
    uint32_t *start; /* per PTX instruction: its first insn; [n_insns]: the end */
    const bool *is_kernel_param;
    Cell rank_base;  /* CTA rank << 24, when the kernel runs in clusters */
    uint32_t ptx_at; /* of the call, for inlined bodies */
    uint32_t *ret_fix, n_ret_fix; /* branches to the end */
    Cell value[FORM_OPDS]; /* of the instruction being built: operands that were computed before it, or CELL_SINK */
    Err *err;
} Frame;

static uint32_t slots_of(PtxType t)
{
    uint32_t bits = type_info[t].bits;
    return bits <= 32 ? 1 : bits / 32;
}

static bool unsupported(Frame *fr, const Insn *in, const char *what)
{
    return err_set(fr->err, ERR_UNSUPPORTED, in->loc, "%s: lowering does not support %s",
                   op_row[in->op].syntax, what);
}

/* ---- Symbols ---- */

static uint64_t symbol_address(const Frame *fr, int32_t var, int64_t addend)
{
    const Var *v = &fr->ir->module->vars[var];
    const CodeLayout *l = fr->ir->layout;
    uint64_t base = 0;
    if (v->space == SP_SHARED)
        base = SHARED_USER_OFFSET;
    else if (v->space == SP_GLOBAL)
        base = l->global_base;
    else if (v->space == SP_CONST)
        base = l->const_base;
    return base + v->offset + (uint64_t)addend;
}

static bool has_rank(const Frame *fr, int32_t var)
{
    return fr->ir->layout->clustered && fr->ir->module->vars[var].space == SP_SHARED;
}

/* ---- Operands ---- */

/* An integer or float constant as the bits of type t. */
static uint64_t imm_bits(const Operand *o, PtxType t)
{
    uint64_t bits = (uint64_t)o->imm;
    if (o->is_f32 || !o->is_float)
        return bits;
    if (t != T_F32)
        return bits;
    double d;
    memcpy(&d, &bits, sizeof d);
    float f = (float)d;
    uint32_t b;
    memcpy(&b, &f, sizeof b);
    return b;
}

static void add_cells(Ir *ir, const Cell *c, uint32_t n)
{
    uint32_t at = ir_cells(ir, n); /* may move the array */
    memcpy(ir->cells + at, c, n * sizeof *c);
}

static uint32_t const_cells(Ir *ir, uint64_t bits, uint32_t n, Cell *out)
{
    for (uint32_t g = 0; g < n; g++)
        out[g] = ir_const(ir, g < 2 ? (uint32_t)(bits >> (32 * g)) : 0);
    return n;
}

/* Address of a symbol as a value of n cells. */
static uint32_t address_cells(Frame *fr, const Operand *o, uint32_t n, Cell *out)
{
    const_cells(fr->ir, symbol_address(fr, o->var, o->imm), n, out);
    if (has_rank(fr, o->var)) {
        Cell sum = ir_val(fr->ir, false);
        ir_simple(fr->ir, OP_ADD_INT, T_U32, (Cell[]){sum, fr->rank_base, out[0]}, 1, 2);
        fr->ir->insns[fr->ir->n_insns - 1].ptx = fr->ptx_at;
        out[0] = sum;
    }
    return n;
}

/* Cells of a scalar operand; t is the type that the row expects (T_NONE: any). */
static uint32_t scalar_cells(Frame *fr, const Operand *o, PtxType t, Cell *out)
{
    uint32_t n = t == T_NONE ? 1 : slots_of(t);
    switch ((OpdKind)o->kind) {
    case OPD_REG:
        n = slots_of(fr->func->regs[o->reg].type);
        for (uint32_t g = 0; g < n; g++)
            out[g] = fr->reg[o->reg] + (Cell)g;
        return n;
    case OPD_IMM:
        if (t == T_PRED)
            out[0] = o->imm ? CELL_TRUE : CELL_FALSE;
        else
            const_cells(fr->ir, imm_bits(o, t), n, out);
        return n;
    case OPD_ADDR_OF: return address_cells(fr, o, n, out);
    case OPD_SINK: case OPD_NONE: case OPD_SREG: case OPD_FUNC: case OPD_MEM: case OPD_VEC: case OPD_LABEL:
        for (uint32_t g = 0; g < n; g++)
            out[g] = CELL_SINK;
        return n;
    }
    return 0;
}

/* Appends the cells of operand place k and fills its IrOpd. */
static void add_operand(Frame *fr, const Insn *in, uint32_t k, PtxType t, IrOpd *p)
{
    Ir *ir = fr->ir;
    const Operand *o = &in->opd[k];
    const OpdForm *of = &ir->forms->form[in->op].opd[k];
    Cell tmp[MAX_SCALAR_CELLS];
    const Operand *e = o->kind == OPD_VEC ? &ir->module->elems[o->first] : o;
    uint32_t n_elems = o->kind == OPD_VEC ? o->n : 1;
    p->kind = CO_VALUE;
    p->dst = of->is_dst;
    p->neg = o->neg;
    p->n_elems = (uint16_t)n_elems;
    p->first = ir->n_cells;
    if (of->role == OF_PRED || t == T_PRED ||
        (o->kind == OPD_REG && fr->func->regs[o->reg].type == T_PRED)) {
        p->kind = CO_PRED;
        t = T_PRED;
    }
    for (uint32_t i = 0; i < n_elems; i++) {
        uint32_t n = scalar_cells(fr, &e[i], t, tmp);
        if (fr->value[k] != CELL_SINK) {
            memset(tmp, 0, sizeof tmp);
            const_cells(ir, 0, n, tmp);
            tmp[0] = fr->value[k];
        }
        add_cells(ir, tmp, n);
        p->elem_slots = (uint16_t)n;
    }
    p->n = (uint16_t)(ir->n_cells - p->first);
}

static void add_memory(Frame *fr, const Operand *o, IrOpd *p)
{
    Ir *ir = fr->ir;
    p->kind = CO_MEM;
    p->imm = o->imm;
    p->n_elems = 1;
    p->first = ir->n_cells;
    if (o->reg >= 0) {
        p->n = (uint16_t)slots_of(fr->func->regs[o->reg].type);
        uint32_t at = ir_cells(ir, p->n);
        for (uint32_t g = 0; g < p->n; g++)
            ir->cells[at + g] = fr->reg[o->reg] + (Cell)g;
    } else if (o->var >= 0) {
        p->imm = (int64_t)symbol_address(fr, o->var, o->imm);
        if (has_rank(fr, o->var)) {
            p->n = 1;
            uint32_t at = ir_cells(ir, 1);
            ir->cells[at] = fr->rank_base;
        }
    }
    p->elem_slots = p->n;
}

static bool is_source(const Insn *in, const Form *f, uint32_t k)
{
    return !f->opd[k].is_dst || in->opd[k].kind == OPD_MEM;
}

/* Operand places that are sources (or, in a second pass, destinations). Address sums that operands need are emitted
 * before, by the caller's first pass over them. */
static void add_operands(Frame *fr, const Insn *in, IrInsn *out, bool sources)
{
    Ir *ir = fr->ir;
    const Form *f = &ir->forms->form[in->op];
    ModSet ms;
    memcpy(ms.type, in->type, sizeof ms.type);
    memcpy(ms.mod, in->mod, sizeof ms.mod);
    for (uint32_t k = 0; k < in->n_opd; k++) {
        const Operand *o = &in->opd[k];
        if (is_source(in, f, k) != sources)
            continue;
        IrOpd p = {0};
        if (o->kind == OPD_MEM)
            add_memory(fr, o, &p);
        else if (o->kind == OPD_SREG && fr->value[k] == CELL_SINK)
            p = (IrOpd){.kind = CO_SREG, .imm = o->sreg};
        else if (o->kind == OPD_LABEL)
            p = (IrOpd){.kind = CO_LABEL, .imm = o->imm};
        else if (o->kind == OPD_FUNC)
            p = (IrOpd){.kind = CO_LABEL, .imm = o->func};
        else if (o->kind != OPD_NONE)
            add_operand(fr, in, k, form_opd_type(f, &ms, k), &p);
        if (f->opd[k].is_dst && f->opd[k].is_src)
            out->flags |= IF_RMW;
        ir->opds[out->opd + k] = p;
    }
}

/* %ntid, %nctaid and the like are operands in the constant bank; the clock must be read in order. */
static void classify_sreg(IrInsn *in, Sreg sr)
{
    in->tclass = TC_S2R;
    in->slots = 1;
    switch (sr) {
    case SR_NTID_X: case SR_NTID_Y: case SR_NTID_Z: case SR_NCTAID_X: case SR_NCTAID_Y: case SR_NCTAID_Z:
    case SR_CLUSTER_NCTAID_X: case SR_CLUSTER_NCTAID_Y: case SR_CLUSTER_NCTAID_Z: case SR_CLUSTER_NCTARANK:
    case SR_NWARPID: case SR_DYNAMIC_SMEM_SIZE: case SR_TOTAL_SMEM_SIZE:
        in->tclass = TC_NONE;
        break;
    case SR_CLOCK: case SR_CLOCK_HI: case SR_CLOCK64: case SR_GLOBALTIMER: case SR_GLOBALTIMER_LO:
    case SR_GLOBALTIMER_HI:
        in->flags &= (uint8_t)~(IF_PLAIN | IF_PURE);
        break;
    default: /* identity of the thread */
        break;
    }
}

static void emit_sreg(Frame *fr, Cell dst, Sreg sr)
{
    Ir *ir = fr->ir;
    uint32_t i = ir_simple(ir, OP_MOV, T_U32, (Cell[]){dst, CELL_SINK}, 1, 1);
    IrInsn *in = &ir->insns[i];
    ir->opds[in->opd + 1] = (IrOpd){.kind = CO_SREG, .imm = (int64_t)sr};
    in->n_src = 0;
    in->ptx = fr->ptx_at;
    classify_sreg(in, sr);
}

/* Special registers and ranked shared addresses as operands of other instructions than mov need an instruction of their
 * own, emitted before the cell list of the instruction begins. */
static void emit_operand_values(Frame *fr, const Insn *in)
{
    Ir *ir = fr->ir;
    for (uint32_t k = 0; k < in->n_opd; k++) {
        const Operand *o = &in->opd[k];
        fr->value[k] = CELL_SINK;
        if (o->kind == OPD_ADDR_OF && has_rank(fr, o->var))
            address_cells(fr, o, 1, &fr->value[k]);
        if (o->kind == OPD_SREG && in->op != OP_MOV && in->op != OP_MOV_PRED) {
            fr->value[k] = ir_val(ir, false);
            emit_sreg(fr, fr->value[k], (Sreg)o->sreg);
        }
    }
}

static bool build_generic(Frame *fr, const Insn *in, uint32_t ptx)
{
    Ir *ir = fr->ir;
    emit_operand_values(fr, in);
    IrInsn out = {.op = in->op, .n_opd = in->n_opd, .host = NO_INSN, .ptx = ptx};
    memcpy(out.type, in->type, sizeof out.type);
    memcpy(out.mod, in->mod, sizeof out.mod);
    out.opd = ir_opds(ir, in->n_opd);
    ir_classify(ir, &out);
    out.src = ir->n_cells;
    if (in->guard >= 0) {
        uint32_t at = ir_cells(ir, 1);
        ir->cells[at] = fr->reg[in->guard];
        out.guard_neg = in->guard_neg;
        out.flags |= IF_GUARD | IF_RMW;
    }
    add_operands(fr, in, &out, true);
    out.n_src = ir->n_cells - out.src;
    out.dst = ir->n_cells;
    add_operands(fr, in, &out, false);
    out.n_dst = ir->n_cells - out.dst;
    if (out.n_dst == 0)
        out.flags &= (uint8_t)~IF_RMW;
    ir_insn(ir, &out);
    return true;
}

/* ---- Moves ---- */

static void copy_cells(Frame *fr, const Cell *dst, const Cell *src, uint32_t n, uint32_t ptx)
{
    for (uint32_t g = 0; g < n; g++)
        ir_copy(fr->ir, dst[g], src[g], ptx);
}

/* The elements of {..} as cells: 0 if they are not whole 32-bit values. */
static uint32_t vector_cells(Frame *fr, const Operand *o, Cell *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < o->n; i++) {
        const Operand *e = &fr->ir->module->elems[o->first + i];
        PtxType t = e->kind == OPD_REG ? fr->func->regs[e->reg].type : T_NONE;
        if (t != T_NONE && type_info[t].bits < 32)
            return 0;
        n += scalar_cells(fr, e, t, out + n);
    }
    return n;
}

/* {h0, h1} to 32 bits or back stays an instruction (PRMT), one for each 32 bits. */
static bool build_halves(Frame *fr, const Insn *in, bool pack, uint32_t ptx)
{
    Ir *ir = fr->ir;
    Cell word[MAX_SCALAR_CELLS];
    const Operand *scalar = &in->opd[pack ? 0 : 1], *vec = &in->opd[pack ? 1 : 0];
    uint32_t n_words = scalar_cells(fr, scalar, (PtxType)in->type[0], word);
    if (vec->n != 2 * n_words)
        return unsupported(fr, in, "elements of less than 16 bits");
    for (uint32_t w = 0; w < n_words; w++) {
        Cell half[2];
        for (uint32_t h = 0; h < 2; h++)
            scalar_cells(fr, &ir->module->elems[vec->first + 2 * w + h], T_B16, &half[h]);
        Cell cells[3] = {pack ? word[w] : half[0], pack ? half[0] : half[1], pack ? half[1] : word[w]};
        uint32_t n_dst = pack ? 1 : 2;
        uint32_t i = ir_simple(ir, pack ? OP_MOV_PACK : OP_MOV_UNPACK, T_B32, cells, n_dst, 3 - n_dst);
        IrInsn *out = &ir->insns[i];
        IrOpd *o = &ir->opds[out->opd]; /* three scalar operands become one vector and one scalar */
        IrOpd *v = &o[pack ? 1 : 0];
        v->n = v->n_elems = 2;
        if (!pack)
            o[1] = o[2];
        out->n_opd = 2;
        out->ptx = ptx;
    }
    return true;
}

static bool build_vector_move(Frame *fr, const Insn *in, uint32_t ptx)
{
    bool pack = in->op == OP_MOV_PACK;
    const Operand *scalar = &in->opd[pack ? 0 : 1], *vec = &in->opd[pack ? 1 : 0];
    Cell s[MAX_SCALAR_CELLS], v[2 * MAX_SCALAR_CELLS];
    uint32_t n = vec->kind == OPD_VEC && vec->n <= MAX_SCALAR_CELLS ? vector_cells(fr, vec, v) : 0;
    if (in->guard >= 0 || n == 0)
        return n == 0 && in->guard < 0 && vec->kind == OPD_VEC ? build_halves(fr, in, pack, ptx)
                                                               : build_generic(fr, in, ptx);
    uint32_t n_scalar = scalar_cells(fr, scalar, (PtxType)in->type[0], s);
    if (n_scalar != n)
        return unsupported(fr, in, "these element widths");
    /* Through fresh values: {a, b} = {b, a} must read both before it writes. */
    Cell mid[MAX_SCALAR_CELLS];
    for (uint32_t g = 0; g < n; g++)
        mid[g] = ir_val(fr->ir, false);
    copy_cells(fr, mid, pack ? v : s, n, ptx);
    copy_cells(fr, pack ? s : v, mid, n, ptx);
    return true;
}

static bool build_mov(Frame *fr, const Insn *in, uint32_t ptx)
{
    const Operand *src = &in->opd[1];
    if (in->guard >= 0 || src->kind == OPD_SREG || src->kind == OPD_FUNC) {
        if (!build_generic(fr, in, ptx))
            return false;
        IrInsn *out = &fr->ir->insns[fr->ir->n_insns - 1];
        out->tclass = TC_ALU;
        if (src->kind == OPD_SREG)
            classify_sreg(out, (Sreg)src->sreg);
        return true;
    }
    PtxType t = in->op == OP_MOV_PRED ? T_PRED : (PtxType)in->type[0];
    Cell d[MAX_SCALAR_CELLS], s[MAX_SCALAR_CELLS];
    uint32_t n = scalar_cells(fr, &in->opd[0], t, d);
    uint32_t m = scalar_cells(fr, src, src->kind == OPD_REG ? T_NONE : t, s);
    if (in->op == OP_MOV_PRED && src->neg)
        return build_generic(fr, in, ptx);
    copy_cells(fr, d, s, n < m ? n : m, ptx);
    for (uint32_t g = m; g < n; g++)
        ir_copy(fr->ir, d[g], ir_const(fr->ir, 0), ptx);
    return true;
}

/* ---- Conversions that are renames ---- */

static bool is_windowed(uint8_t ss)
{
    return ss == MV_SS_SHARED || ss == MV_SS_SHARED_CTA || ss == MV_SS_SHARED_CLUSTER || ss == MV_SS_LOCAL ||
           ss == MV_SS_PARAM || ss == MV_SS_PARAM_ENTRY;
}

static uint64_t window_of(const CodeLayout *l, uint8_t ss)
{
    if (ss == MV_SS_LOCAL)
        return l->local_window;
    return ss == MV_SS_PARAM || ss == MV_SS_PARAM_ENTRY ? l->param_window : l->shared_window;
}

/* The windows are 4 GiB aligned, so that a generic address is {address in the space, upper half of the window}; global
 * and constant addresses are generic already. */
static bool build_cvta(Frame *fr, const Insn *in, uint32_t ptx)
{
    Ir *ir = fr->ir;
    uint8_t ss = in->mod[MC_SS];
    uint64_t window = window_of(ir->layout, ss);
    if (in->guard >= 0 || (is_windowed(ss) && (uint32_t)window != 0))
        return build_generic(fr, in, ptx);
    Cell d[MAX_SCALAR_CELLS], s[MAX_SCALAR_CELLS];
    uint32_t n = scalar_cells(fr, &in->opd[0], (PtxType)in->type[0], d);
    uint32_t m = scalar_cells(fr, &in->opd[1], (PtxType)in->type[0], s);
    Cell hi = in->op == OP_CVTA ? ir_const(ir, (uint32_t)(window >> 32)) : ir_const(ir, 0);
    if (!is_windowed(ss))
        hi = m > 1 ? s[1] : ir_const(ir, 0);
    ir_copy(ir, d[0], s[0], ptx);
    if (n > 1)
        ir_copy(ir, d[1], hi, ptx);
    return true;
}

/* Integer width changes between whole registers: copies, plus one shift for a sign. */
static bool build_cvt_int(Frame *fr, const Insn *in, uint32_t ptx)
{
    Ir *ir = fr->ir;
    PtxType to = (PtxType)in->type[0], from = (PtxType)in->type[1];
    uint32_t to_bits = type_info[to].bits, from_bits = type_info[from].bits;
    bool regs = in->opd[0].kind == OPD_REG && in->opd[1].kind == OPD_REG;
    bool fits = regs && type_info[fr->func->regs[in->opd[0].reg].type].bits == to_bits &&
                type_info[fr->func->regs[in->opd[1].reg].type].bits >= from_bits;
    bool plain_widths = from_bits >= 32 || (to_bits == from_bits && to_bits == 16);
    if (!fits || !plain_widths || in->guard >= 0 || in->mod[MC_SAT])
        return build_generic(fr, in, ptx);
    Cell d[MAX_SCALAR_CELLS], s[MAX_SCALAR_CELLS];
    uint32_t n = scalar_cells(fr, &in->opd[0], to, d);
    scalar_cells(fr, &in->opd[1], from, s);
    if (to_bits < 16)
        return build_generic(fr, in, ptx);
    ir_copy(ir, d[0], s[0], ptx);
    if (n < 2)
        return true;
    if (from_bits == 64) {
        ir_copy(ir, d[1], s[1], ptx);
    } else if (type_info[from].kind == 'U') {
        ir_copy(ir, d[1], ir_const(ir, 0), ptx);
    } else {
        uint32_t i = ir_simple(ir, OP_SHR, T_S32, (Cell[]){d[1], s[0], ir_const(ir, 31)}, 1, 2);
        ir->insns[i].ptx = ptx;
    }
    return true;
}

/* 64-bit logic and selection are two machine instructions; as two, each half folds by itself. */
static bool build_split(Frame *fr, const Insn *in, uint32_t ptx)
{
    Ir *ir = fr->ir;
    uint32_t n_src = in->op == OP_NOT_BITS ? 1 : 2;
    Cell c[3][MAX_SCALAR_CELLS], p[MAX_SCALAR_CELLS];
    for (uint32_t k = 0; k <= n_src; k++)
        if (scalar_cells(fr, &in->opd[k], T_B64, c[k]) != 2)
            return build_generic(fr, in, ptx);
    if (in->op == OP_SELP)
        scalar_cells(fr, &in->opd[3], T_PRED, p);
    Cell lo = ir_val(ir, false);
    for (uint32_t g = 0; g < 2; g++) {
        Cell cells[4] = {g ? c[0][1] : lo, c[1][g], n_src > 1 ? c[2][g] : p[0], p[0]};
        uint32_t i = ir_simple(ir, (OpCode)in->op, T_B32, cells, 1, in->op == OP_SELP ? 3 : n_src);
        ir->insns[i].ptx = ptx;
        if (in->op == OP_SELP)
            ir->opds[ir->insns[i].opd + 3].neg = in->opd[3].neg;
    }
    ir_copy(ir, c[0][0], lo, ptx);
    return true;
}

/* ---- Call parameters ---- */

static Cell param_value(Frame *fr, int32_t var, uint64_t offset)
{
    const Var *v = &fr->ir->module->vars[var];
    if (fr->param[var] == CELL_SINK) {
        fr->param[var] = ir_val(fr->ir, false);
        for (uint64_t b = 4; b < v->size; b += 4)
            ir_val(fr->ir, false);
    }
    return fr->param[var] + (Cell)(offset / 4);
}

/* ld.param and st.param on the .param objects of a call: copies. */
static bool build_call_param(Frame *fr, const Insn *in, uint32_t mem_at, uint32_t ptx)
{
    const Operand *mem = &in->opd[mem_at], *val = &in->opd[1 - mem_at];
    const Operand *e = val->kind == OPD_VEC ? &fr->ir->module->elems[val->first] : val;
    uint32_t n_elems = val->kind == OPD_VEC ? val->n : 1;
    PtxType t = (PtxType)in->type[0];
    uint64_t bytes = (type_info[t].bits + 7u) / 8, at = (uint64_t)mem->imm;
    if (in->guard >= 0 || mem->reg >= 0 || (at % 4 != 0 && bytes < 4) ||
        at + bytes * n_elems > (fr->ir->module->vars[mem->var].size + 3) / 4 * 4)
        return unsupported(fr, in, "this access to a call parameter");
    for (uint32_t i = 0; i < n_elems; i++) {
        Cell c[MAX_SCALAR_CELLS];
        uint32_t n = scalar_cells(fr, &e[i], t, c);
        for (uint32_t g = 0; g < n && g < (bytes + 3) / 4; g++) {
            Cell p = param_value(fr, mem->var, at + i * bytes + 4 * g);
            ir_copy(fr->ir, mem_at == 1 ? c[g] : p, mem_at == 1 ? p : c[g], ptx);
        }
    }
    return true;
}

static bool is_call_param(const Frame *fr, const Operand *o)
{
    return o->kind == OPD_MEM && o->var >= 0 && fr->ir->module->vars[o->var].space == SP_PARAM &&
           !fr->is_kernel_param[o->var];
}

/* Appends the values of the listed .param objects (or registers) as one operand. */
static void add_arguments(Frame *fr, const Operand *list, IrOpd *p)
{
    Ir *ir = fr->ir;
    *p = (IrOpd){.kind = CO_VALUE, .elem_slots = 1, .first = ir->n_cells};
    for (uint32_t i = 0; i < list->n; i++) {
        const Operand *e = &ir->module->elems[list->first + i];
        Cell c[MAX_SCALAR_CELLS];
        uint32_t n = 0;
        bool is_param = e->kind == OPD_ADDR_OF && ir->module->vars[e->var].space == SP_PARAM;
        if (!is_param)
            n = scalar_cells(fr, e, T_NONE, c);
        for (uint64_t b = 0; is_param && n < MAX_SCALAR_CELLS && b < ir->module->vars[e->var].size; b += 4)
            c[n++] = param_value(fr, e->var, b);
        add_cells(ir, c, n);
    }
    p->n = p->n_elems = (uint16_t)(ir->n_cells - p->first);
}

/* vprintf, __assertfail and the like: one dynamic instruction with result values, callee, argument values. */
static void build_extern_call(Frame *fr, const Insn *in, uint32_t ptx)
{
    Ir *ir = fr->ir;
    IrInsn out = {.op = OP_CALL, .n_opd = 3, .host = NO_INSN, .ptx = ptx};
    out.opd = ir_opds(ir, 3);
    ir_classify(ir, &out);
    IrOpd ret = {0}, args = {0};
    out.src = ir->n_cells;
    if (in->guard >= 0) {
        uint32_t at = ir_cells(ir, 1);
        ir->cells[at] = fr->reg[in->guard];
        out.guard_neg = in->guard_neg;
        out.flags |= IF_GUARD | IF_RMW;
    }
    if (in->n_opd > 2 && in->opd[2].kind == OPD_VEC)
        add_arguments(fr, &in->opd[2], &args);
    out.n_src = ir->n_cells - out.src;
    out.dst = ir->n_cells;
    if (in->opd[0].kind == OPD_VEC)
        add_arguments(fr, &in->opd[0], &ret);
    ret.dst = true;
    out.n_dst = ir->n_cells - out.dst;
    ir->opds[out.opd] = ret;
    ir->opds[out.opd + 1] = (IrOpd){.kind = CO_LABEL, .imm = in->opd[1].func};
    ir->opds[out.opd + 2] = args;
    ir_insn(ir, &out);
}

static bool build_body(Frame *fr);

static void bind_params(Frame *fr, Frame *callee, const Operand *list, const int32_t *vars, uint32_t n)
{
    for (uint32_t i = 0; i < n && list->kind == OPD_VEC && i < list->n; i++) {
        const Operand *e = &fr->ir->module->elems[list->first + i];
        if (e->kind == OPD_ADDR_OF) {
            callee->param[vars[i]] = param_value(fr, e->var, 0);
            continue;
        }
        Cell c[MAX_SCALAR_CELLS];
        uint32_t m = scalar_cells(fr, e, T_NONE, c);
        for (uint32_t g = 0; g < m; g++)
            ir_copy(fr->ir, param_value(callee, vars[i], 4 * g), c[g], fr->ptx_at);
    }
}

static bool build_call(Frame *fr, const Insn *in, uint32_t ptx)
{
    Ir *ir = fr->ir;
    if (in->opd[1].kind != OPD_FUNC)
        return unsupported(fr, in, "an indirect call");
    const Func *f = &ir->module->funcs[in->opd[1].func];
    if (f->is_extern) {
        build_extern_call(fr, in, ptx);
        return true;
    }
    for (const Frame *c = fr; c; c = c->caller)
        if (c->func == f)
            return err_set(fr->err, ERR_UNSUPPORTED, in->loc, "lowering does not support recursion: '%s'", f->name);
    if (in->guard >= 0 || fr->depth + 1 > MAX_INLINE_DEPTH)
        return unsupported(fr, in, in->guard >= 0 ? "a predicated call of a defined function" : "calls this deep");
    Frame callee = *fr;
    callee.func = f;
    callee.caller = fr;
    callee.depth = fr->depth + 1;
    callee.ptx_at = ptx;
    callee.param = arena_new(ir->a, Cell, ir->module->n_vars + 1);
    for (uint32_t v = 0; v < ir->module->n_vars; v++)
        callee.param[v] = CELL_SINK;
    bind_params(fr, &callee, &in->opd[2], f->params, f->n_params);
    bind_params(fr, &callee, &in->opd[0], f->ret_params, f->n_ret_params);
    return build_body(&callee);
}

/* ---- One instruction, one body ---- */

static bool build_insn(Frame *fr, const Insn *in, uint32_t ptx)
{
    Ir *ir = fr->ir;
    switch (in->op) {
    case OP_MOV: case OP_MOV_PRED: return build_mov(fr, in, ptx);
    case OP_MOV_PACK: case OP_MOV_UNPACK: return build_vector_move(fr, in, ptx);
    case OP_CVTA: case OP_CVTA_TO: return build_cvta(fr, in, ptx);
    case OP_CVT_INT: return build_cvt_int(fr, in, ptx);
    case OP_AND_BITS: case OP_OR_BITS: case OP_XOR_BITS: case OP_NOT_BITS: case OP_SELP:
        return type_info[in->type[0]].bits == 64 && in->guard < 0 ? build_split(fr, in, ptx)
                                                                  : build_generic(fr, in, ptx);
    case OP_LD_PARAM: return is_call_param(fr, &in->opd[1]) ? build_call_param(fr, in, 1, ptx)
                                                            : build_generic(fr, in, ptx);
    case OP_ST_PARAM: return is_call_param(fr, &in->opd[0]) ? build_call_param(fr, in, 0, ptx)
                                                            : unsupported(fr, in, "a store to a kernel parameter");
    case OP_CALL: return build_call(fr, in, ptx);
    case OP_RET:
        if (!build_generic(fr, in, ptx))
            return false;
        if (fr->caller) { /* to the end of the inlined body */
            ir->insns[ir->n_insns - 1].op = OP_BRA;
            ir->insns[ir->n_insns - 1].kind = OK_BRANCH;
            fr->ret_fix[fr->n_ret_fix++] = ir->n_insns - 1;
        }
        return true;
    default: return build_generic(fr, in, ptx);
    }
}

/* Branch targets are indices in the PTX function until its whole body stands. */
static void resolve_targets(Frame *fr, uint32_t i, const Insn *in)
{
    Ir *ir = fr->ir;
    if (in->op == OP_BRA) {
        ir->insns[i].target = fr->start[in->opd[0].imm];
        ir->opds[ir->insns[i].opd].imm = 0;
        return;
    }
    const Operand *list = &in->opd[1];
    ir->insns[i].target = ir->n_brx;
    ir->opds[ir->insns[i].opd + 1] = (IrOpd){.kind = CO_LABEL, .imm = list->n};
    for (uint32_t k = 0; k < list->n; k++) {
        uint32_t to = fr->start[ir->module->elems[list->first + k].imm];
        if (ir->n_brx == ir->cap_brx) {
            uint32_t *bigger = arena_new(ir->a, uint32_t, 2 * ir->cap_brx + 64);
            if (ir->n_brx)
                memcpy(bigger, ir->brx, ir->n_brx * sizeof *bigger);
            ir->brx = bigger;
            ir->cap_brx = 2 * ir->cap_brx + 64;
        }
        ir->brx[ir->n_brx++] = to;
    }
}

static bool build_body(Frame *fr)
{
    Ir *ir = fr->ir;
    const Func *f = fr->func;
    fr->reg = arena_new(ir->a, Cell, f->n_regs + 1);
    for (uint32_t r = 0; r < f->n_regs; r++) {
        fr->reg[r] = ir_val(ir, f->regs[r].type == T_PRED);
        for (uint32_t g = 1; g < slots_of(f->regs[r].type); g++)
            ir_val(ir, false);
    }
    fr->start = arena_new(ir->a, uint32_t, f->n_insns + 1);
    fr->ret_fix = arena_new(ir->a, uint32_t, f->n_insns + 1);
    fr->n_ret_fix = 0;
    uint32_t *last = arena_new(ir->a, uint32_t, f->n_insns + 1);
    for (uint32_t k = 0; k < f->n_insns; k++) {
        fr->start[k] = ir->n_insns;
        if (!fr->caller)
            fr->ptx_at = k;
        if (!build_insn(fr, &f->insns[k], fr->ptx_at))
            return false;
        last[k] = ir->n_insns - 1;
    }
    fr->start[f->n_insns] = ir->n_insns;
    for (uint32_t k = 0; k < f->n_insns; k++)
        if (f->insns[k].op == OP_BRA || f->insns[k].op == OP_BRX_IDX)
            resolve_targets(fr, last[k], &f->insns[k]);
    for (uint32_t k = 0; k < fr->n_ret_fix; k++)
        ir->insns[fr->ret_fix[k]].target = ir->n_insns;
    return true;
}

bool build_ir(Ir *ir, Err *err)
{
    const Func *f = ir->func;
    bool *is_kernel_param = arena_new(ir->a, bool, ir->module->n_vars + 1);
    for (uint32_t i = 0; i < f->n_params; i++)
        is_kernel_param[f->params[i]] = true;
    Frame fr = {.ir = ir, .func = f, .is_kernel_param = is_kernel_param, .err = err};
    fr.param = arena_new(ir->a, Cell, ir->module->n_vars + 1);
    for (uint32_t v = 0; v < ir->module->n_vars; v++)
        fr.param[v] = CELL_SINK;
    if (ir->layout->clustered) { /* removed again if no shared symbol is used */
        Cell rank = ir_val(ir, false);
        fr.rank_base = ir_val(ir, false);
        emit_sreg(&fr, rank, SR_CLUSTER_CTARANK);
        ir_simple(ir, OP_SHL, T_B32, (Cell[]){fr.rank_base, rank, ir_const(ir, RANK_SHIFT)}, 1, 2);
    }
    if (!build_body(&fr))
        return false;
    IrInsn end = {.op = OP_EXIT, .host = NO_INSN, .ptx = f->n_insns ? f->n_insns - 1 : 0};
    ir_classify(ir, &end);
    ir_insn(ir, &end);
    return true;
}
