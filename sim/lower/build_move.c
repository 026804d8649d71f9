/* Moves and what becomes moves: packs, unpacks, address conversions, width changes, 64-bit logic by
 * halves. Copies of single values cost nothing once copy propagation and coalescing have run
 * (ptx.md 5.2). */
#include "sim/lower/build.h"

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
        n += build_scalar(fr, e, t, out + n);
    }
    return n;
}

/* {h0, h1} to 32 bits or back stays an instruction (PRMT), one for each 32 bits. */
static bool build_halves(Frame *fr, const Insn *in, bool pack, uint32_t ptx)
{
    Ir *ir = fr->ir;
    Cell word[MAX_SCALAR_CELLS];
    const Operand *scalar = &in->opd[pack ? 0 : 1], *vec = &in->opd[pack ? 1 : 0];
    uint32_t n_words = build_scalar(fr, scalar, (PtxType)in->type[0], word);
    if (type_info[in->type[0]].bits != 16 * vec->n) /* bytes */
        return build_generic(fr, in, ptx);
    for (uint32_t w = 0; w < n_words; w++) {
        Cell half[2];
        for (uint32_t h = 0; h < 2; h++)
            build_scalar(fr, &ir->module->elems[vec->first + 2 * w + h], T_B16, &half[h]);
        Cell cells[3] = {pack ? word[w] : half[0], pack ? half[0] : half[1],
                         pack ? half[1] : word[w]};
        uint32_t n_dst = pack ? 1 : 2;
        uint32_t i =
            ir_simple(ir, pack ? OP_MOV_PACK : OP_MOV_UNPACK, T_B32, cells, n_dst, 3 - n_dst);
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

bool build_vector_move(Frame *fr, const Insn *in, uint32_t ptx)
{
    bool pack = in->op == OP_MOV_PACK;
    const Operand *scalar = &in->opd[pack ? 0 : 1], *vec = &in->opd[pack ? 1 : 0];
    Cell s[MAX_SCALAR_CELLS], v[2 * MAX_SCALAR_CELLS];
    uint32_t n = vec->kind == OPD_VEC && vec->n <= MAX_SCALAR_CELLS ? vector_cells(fr, vec, v) : 0;
    if (in->guard >= 0 || n == 0)
        return n == 0 && in->guard < 0 && vec->kind == OPD_VEC ? build_halves(fr, in, pack, ptx)
                                                               : build_generic(fr, in, ptx);
    uint32_t n_scalar = build_scalar(fr, scalar, (PtxType)in->type[0], s);
    if (n_scalar != n)
        return build_unsupported(fr, in, "these element widths");
    /* Through fresh values: {a, b} = {b, a} must read both before it writes. */
    Cell mid[MAX_SCALAR_CELLS];
    for (uint32_t g = 0; g < n; g++)
        mid[g] = ir_val(fr->ir, false);
    copy_cells(fr, mid, pack ? v : s, n, ptx);
    copy_cells(fr, pack ? s : v, mid, n, ptx);
    return true;
}

bool build_mov(Frame *fr, const Insn *in, uint32_t ptx)
{
    const Operand *src = &in->opd[1];
    if (in->guard >= 0 || src->kind == OPD_SREG) {
        if (!build_generic(fr, in, ptx))
            return false;
        IrInsn *out = &fr->ir->insns[fr->ir->n_insns - 1];
        out->tclass = TC_ALU;
        if (src->kind == OPD_SREG)
            build_classify_sreg(out, (Sreg)src->sreg);
        return true;
    }
    PtxType t = in->op == OP_MOV_PRED ? T_PRED : (PtxType)in->type[0];
    Cell d[MAX_SCALAR_CELLS], s[MAX_SCALAR_CELLS];
    uint32_t n = build_scalar(fr, &in->opd[0], t, d);
    uint32_t m = build_scalar(fr, src, src->kind == OPD_REG ? T_NONE : t, s);
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
    return ss == MV_SS_SHARED || ss == MV_SS_SHARED_CTA || ss == MV_SS_SHARED_CLUSTER ||
           ss == MV_SS_LOCAL || ss == MV_SS_PARAM || ss == MV_SS_PARAM_ENTRY;
}

static uint64_t window_of(const CodeLayout *l, uint8_t ss)
{
    if (ss == MV_SS_LOCAL)
        return l->local_window;
    return ss == MV_SS_PARAM || ss == MV_SS_PARAM_ENTRY ? l->param_window : l->shared_window;
}

/* The windows are 4 GiB aligned, so that a generic address is {address in the space, upper half of
 * the window}; global and constant addresses are generic already. */
bool build_cvta(Frame *fr, const Insn *in, uint32_t ptx)
{
    Ir *ir = fr->ir;
    uint8_t ss = in->mod[MC_SS];
    uint64_t window = window_of(ir->layout, ss);
    if (in->guard >= 0 || (is_windowed(ss) && (uint32_t)window != 0))
        return build_generic(fr, in, ptx);
    Cell d[MAX_SCALAR_CELLS], s[MAX_SCALAR_CELLS];
    uint32_t n = build_scalar(fr, &in->opd[0], (PtxType)in->type[0], d);
    uint32_t m = build_scalar(fr, &in->opd[1], (PtxType)in->type[0], s);
    Cell hi = in->op == OP_CVTA ? ir_const(ir, (uint32_t)(window >> 32)) : ir_const(ir, 0);
    if (!is_windowed(ss))
        hi = m > 1 ? s[1] : ir_const(ir, 0);
    ir_copy(ir, d[0], s[0], ptx);
    if (n > 1)
        ir_copy(ir, d[1], hi, ptx);
    return true;
}

/* Integer width changes between whole registers: copies, plus one shift for a sign. */
bool build_cvt_int(Frame *fr, const Insn *in, uint32_t ptx)
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
    uint32_t n = build_scalar(fr, &in->opd[0], to, d);
    build_scalar(fr, &in->opd[1], from, s);
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
bool build_split(Frame *fr, const Insn *in, uint32_t ptx)
{
    Ir *ir = fr->ir;
    uint32_t n_src = in->op == OP_NOT_BITS ? 1 : 2;
    Cell c[3][MAX_SCALAR_CELLS], p[MAX_SCALAR_CELLS];
    for (uint32_t k = 0; k <= n_src; k++)
        if (build_scalar(fr, &in->opd[k], T_B64, c[k]) != 2)
            return build_generic(fr, in, ptx);
    if (in->op == OP_SELP)
        build_scalar(fr, &in->opd[3], T_PRED, p);
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
