/* PTX to the intermediate form: registers become values, moves become copies, defined functions are
 * inlined, symbols become addresses, predicated branches become edges.
 *
 * Call parameters in .param space are values too (one per 32 bits), so inlining a function is
 * copying its body. Not supported: recursion, sub-word access inside a call parameter. */
#include "sim/lower/build.h"

#include <assert.h>
#include <string.h>

/* Offset of a CTA's first user byte in its shared window on sm_90 and later (ptx.md 3.8). */
enum { SHARED_USER_OFFSET = 1024, RANK_SHIFT = 24 };

uint32_t build_slots_of(PtxType t)
{
    uint32_t bits = type_info[t].bits;
    return bits <= 32 ? 1 : bits / 32;
}

bool build_unsupported(Frame *fr, const Insn *in, const char *what)
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
    else if (v->space == SP_LOCAL)
        base = fr->local_base;
    return base + v->offset + (uint64_t)addend;
}

static bool has_rank(const Frame *fr, int32_t var)
{
    return fr->ir->layout->clustered && fr->ir->module->vars[var].space == SP_SHARED;
}

uint64_t build_function_address(const Frame *fr, int32_t func)
{
    return fr->ir->layout->code_window + (uint64_t)func * FUNCTION_STEP;
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

void build_add_cells(Ir *ir, const Cell *c, uint32_t n)
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
uint32_t build_scalar(Frame *fr, const Operand *o, PtxType t, Cell *out)
{
    uint32_t n = t == T_NONE ? 1 : build_slots_of(t);
    switch ((OpdKind)o->kind) {
    case OPD_REG:
        n = build_slots_of(fr->func->regs[o->reg].type);
        for (uint32_t g = 0; g < n; g++)
            out[g] = fr->reg[o->reg] + (Cell)g;
        return n;
    case OPD_IMM:
        if (t == T_PRED)
            out[0] = o->imm ? CELL_TRUE : CELL_FALSE;
        else
            const_cells(fr->ir, imm_bits(o, t), n, out);
        return n;
    case OPD_ADDR_OF:
        return address_cells(fr, o, n, out);
    case OPD_FUNC: /* its address */
        return const_cells(fr->ir, build_function_address(fr, o->func), n, out);
    case OPD_SINK:
    case OPD_NONE:
    case OPD_SREG:
    case OPD_MEM:
    case OPD_VEC:
    case OPD_LABEL:
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
    p->imm = o->kind == OPD_REG ? o->imm : 0; /* a selector */
    p->n_elems = (uint16_t)n_elems;
    p->first = ir->n_cells;
    if (of->role == OF_PRED || t == T_PRED ||
        (o->kind == OPD_REG && fr->func->regs[o->reg].type == T_PRED)) {
        p->kind = CO_PRED;
        t = T_PRED;
    }
    for (uint32_t i = 0; i < n_elems; i++) {
        uint32_t n = build_scalar(fr, &e[i], t, tmp);
        if (fr->value[k] != CELL_SINK) {
            memset(tmp, 0, sizeof tmp);
            const_cells(ir, 0, n, tmp);
            tmp[0] = fr->value[k];
        }
        build_add_cells(ir, tmp, n);
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
        p->n = (uint16_t)build_slots_of(fr->func->regs[o->reg].type);
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

/* Operand places that are sources (or, in a second pass, destinations). Address sums that operands
 * need are emitted before, by the caller's first pass over them. */
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
        else if (o->kind == OPD_FUNC && in->op == OP_CALL)
            p = (IrOpd){.kind = CO_LABEL, .imm = o->func};
        else if (o->kind != OPD_NONE)
            add_operand(fr, in, k, form_opd_type(f, &ms, k), &p);
        if (f->opd[k].is_dst && f->opd[k].is_src)
            out->flags |= IF_RMW;
        ir->opds[out->opd + k] = p;
    }
}

/* %ntid, %nctaid and the like are operands in the constant bank; the clock must be read in order.
 */
void build_classify_sreg(IrInsn *in, Sreg sr)
{
    in->tclass = TC_S2R;
    in->slots = 1;
    /* clang-format off */
    switch (sr) {
    case SR_NTID_X: case SR_NTID_Y: case SR_NTID_Z: case SR_NCTAID_X: case SR_NCTAID_Y: case SR_NCTAID_Z:
    case SR_CLUSTER_NCTAID_X: case SR_CLUSTER_NCTAID_Y: case SR_CLUSTER_NCTAID_Z: case SR_CLUSTER_NCTARANK:
    case SR_NWARPID: case SR_DYNAMIC_SMEM_SIZE: case SR_TOTAL_SMEM_SIZE: case SR_ENVREG1: case SR_ENVREG2:
        in->tclass = TC_NONE;
        break;
    case SR_CLOCK: case SR_CLOCK_HI: case SR_CLOCK64: case SR_GLOBALTIMER: case SR_GLOBALTIMER_LO:
    case SR_GLOBALTIMER_HI:
        in->flags &= (uint8_t)~(IF_PLAIN | IF_PURE);
        break;
    default: /* identity of the thread */
        break;
    }
    /* clang-format on */
}

static void emit_sreg(Frame *fr, Cell dst, Sreg sr)
{
    Ir *ir = fr->ir;
    uint32_t i = ir_simple(ir, OP_MOV, T_U32, (Cell[]){dst, CELL_SINK}, 1, 1);
    IrInsn *in = &ir->insns[i];
    ir->opds[in->opd + 1] = (IrOpd){.kind = CO_SREG, .imm = (int64_t)sr};
    in->n_src = 0;
    in->ptx = fr->ptx_at;
    build_classify_sreg(in, sr);
}

/* Special registers and ranked shared addresses as operands of other instructions than mov need an
 * instruction of their own, emitted before the cell list of the instruction begins. */
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

/* The carry flag CC.CF of a thread is a predicate like any other: one more destination of the
 * instructions with .cc, and one more source, the last operand, of addc, subc and madc. ptxas keeps
 * it in a predicate register too. */
static bool reads_carry(OpCode op)
{
    return op == OP_ADDC || op == OP_SUBC || op == OP_MADC;
}

static void add_carry(Frame *fr, IrInsn *out, bool source)
{
    Ir *ir = fr->ir;
    if (source ? !reads_carry((OpCode)out->op) : !out->mod[MC_CC])
        return;
    uint32_t k = source ? out->n_opd - 1u : out->n_opd - 1u - reads_carry((OpCode)out->op);
    ir->opds[out->opd + k] = (IrOpd){.kind = CO_PRED,
                                     .dst = !source,
                                     .n = 1,
                                     .elem_slots = 1,
                                     .n_elems = 1,
                                     .first = ir->n_cells};
    build_add_cells(ir, &fr->carry, 1);
}

void build_add_guard(Frame *fr, const Insn *in, IrInsn *out)
{
    if (in->guard < 0)
        return;
    build_add_cells(fr->ir, &fr->reg[in->guard], 1);
    out->guard_neg = in->guard_neg;
    out->flags |= IF_GUARD | IF_RMW;
}

/* A release beyond the CTA: ptxas 13.0 puts MEMBAR.ALL.GPU before mbarrier.arrive, st, red and atom
 * (docs/lowering.md). Without a scope an mbarrier operation's is the CTA, that of atom and red the
 * GPU. barrier.cluster.arrive has the fence in its own latency. */
static bool has_membar(const Insn *in)
{
    TClass tc = op_row[in->op].tclass;
    uint8_t sem = in->mod[MC_SEM], scope = in->mod[MC_SCOPE];
    bool beyond = scope > MV_SCOPE_CTA || (scope == MV_SCOPE_NONE && tc != TC_MBAR_ARRIVE);
    return (sem == MV_SEM_RELEASE || sem == MV_SEM_ACQ_REL) && beyond && tc != TC_FENCE &&
           tc != TC_BAR;
}

static void build_membar(Frame *fr, const Insn *in, uint32_t ptx)
{
    Ir *ir = fr->ir;
    IrInsn out = {.op = OP_FENCE, .host = NO_INSN, .ptx = ptx};
    out.mod[MC_SEM] = MV_SEM_ACQ_REL;
    out.mod[MC_SCOPE] = MV_SCOPE_GPU;
    out.opd = ir_opds(ir, 0);
    ir_classify(ir, &out);
    out.src = ir->n_cells;
    build_add_guard(fr, in, &out);
    out.flags &= (uint8_t)~IF_RMW; /* writes nothing */
    out.n_src = ir->n_cells - out.src;
    out.dst = ir->n_cells;
    ir_insn(ir, &out);
}

bool build_generic(Frame *fr, const Insn *in, uint32_t ptx)
{
    Ir *ir = fr->ir;
    if (has_membar(in))
        build_membar(fr, in, ptx);
    emit_operand_values(fr, in);
    IrInsn out = {.op = in->op, .n_opd = in->n_opd, .host = NO_INSN, .ptx = ptx};
    memcpy(out.type, in->type, sizeof out.type);
    memcpy(out.mod, in->mod, sizeof out.mod);
    out.n_opd = (uint8_t)(in->n_opd + reads_carry((OpCode)in->op) + (in->mod[MC_CC] != 0));
    out.opd = ir_opds(ir, out.n_opd);
    ir_classify(ir, &out);
    out.src = ir->n_cells;
    build_add_guard(fr, in, &out);
    add_operands(fr, in, &out, true);
    add_carry(fr, &out, true);
    out.n_src = ir->n_cells - out.src;
    out.dst = ir->n_cells;
    add_operands(fr, in, &out, false);
    add_carry(fr, &out, false);
    out.n_dst = ir->n_cells - out.dst;
    if (out.n_dst == 0)
        out.flags &= (uint8_t)~IF_RMW;
    ir_insn(ir, &out);
    return true;
}

/* ---- One instruction, one body ---- */

static bool build_insn(Frame *fr, const Insn *in, uint32_t ptx)
{
    Ir *ir = fr->ir;
    switch (in->op) {
    case OP_MOV:
    case OP_MOV_PRED:
        return build_mov(fr, in, ptx);
    case OP_MOV_PACK:
    case OP_MOV_UNPACK:
        return build_vector_move(fr, in, ptx);
    case OP_CVTA:
    case OP_CVTA_TO:
        return build_cvta(fr, in, ptx);
    case OP_CVT_INT:
        return build_cvt_int(fr, in, ptx);
    case OP_AND_BITS:
    case OP_OR_BITS:
    case OP_XOR_BITS:
    case OP_NOT_BITS:
    case OP_SELP:
        return type_info[in->type[0]].bits == 64 && in->guard < 0 ? build_split(fr, in, ptx)
                                                                  : build_generic(fr, in, ptx);
    case OP_LD_PARAM:
        return build_is_call_param(fr, &in->opd[1]) ? build_call_param(fr, in, 1, ptx)
                                                    : build_generic(fr, in, ptx);
    case OP_ST_PARAM:
        return build_is_call_param(fr, &in->opd[0])
                   ? build_call_param(fr, in, 0, ptx)
                   : build_unsupported(fr, in, "a store to a kernel parameter");
    case OP_CALL:
        return build_call(fr, in, ptx);
    case OP_RET:
        if (!build_generic(fr, in, ptx))
            return false;
        if (fr->caller) { /* to the end of the inlined body */
            ir->insns[ir->n_insns - 1].op = OP_BRA;
            ir->insns[ir->n_insns - 1].kind = OK_BRANCH;
            fr->ret_fix[fr->n_ret_fix++] = ir->n_insns - 1;
        }
        return true;
    default:
        return in->op >= OP_WMMA_LOAD_A && in->op <= OP_WMMA_B1 ? build_wmma(fr, in, ptx)
                                                                : build_generic(fr, in, ptx);
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
    const BranchList *list = &fr->func->lists[in->opd[1].imm];
    ir->insns[i].target = ir->n_brx;
    ir->opds[ir->insns[i].opd + 1] = (IrOpd){.kind = CO_LABEL, .imm = list->n};
    for (uint32_t k = 0; k < list->n; k++) {
        uint32_t to = fr->start[list->target[k]];
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

bool build_body(Frame *fr)
{
    Ir *ir = fr->ir;
    const Func *f = fr->func;
    uint32_t local_end = fr->local_base + f->local_bytes;
    ir->local_bytes = local_end > ir->local_bytes ? local_end : ir->local_bytes;
    fr->reg = arena_new(ir->a, Cell, f->n_regs + 1);
    for (uint32_t r = 0; r < f->n_regs; r++) {
        fr->reg[r] = ir_val(ir, f->regs[r].type == T_PRED);
        for (uint32_t g = 1; g < build_slots_of(f->regs[r].type); g++)
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

/* Where a lane stands in a matrix fragment; removed again if no wmma asks. */
static void emit_lane(Frame *fr)
{
    Ir *ir = fr->ir;
    Cell lane = ir_val(ir, false);
    fr->lane_g = ir_val(ir, false);
    fr->lane_q = ir_val(ir, false);
    emit_sreg(fr, lane, SR_LANEID);
    ir_simple(ir, OP_SHR, T_U32, (Cell[]){fr->lane_g, lane, ir_const(ir, 2)}, 1, 2);
    ir_simple(ir, OP_AND_BITS, T_B32, (Cell[]){fr->lane_q, lane, ir_const(ir, 3)}, 1, 2);
}

bool build_ir(Ir *ir, Err *err)
{
    const Func *f = ir->func;
    bool *is_kernel_param = arena_new(ir->a, bool, ir->module->n_vars + 1);
    for (uint32_t i = 0; i < f->n_params; i++)
        is_kernel_param[f->params[i]] = true;
    Frame fr = {.ir = ir, .func = f, .is_kernel_param = is_kernel_param, .err = err};
    fr.carry = ir_val(ir, true);
    fr.param = arena_new(ir->a, Cell, ir->module->n_vars + 1);
    for (uint32_t v = 0; v < ir->module->n_vars; v++)
        fr.param[v] = CELL_SINK;
    emit_lane(&fr);
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
