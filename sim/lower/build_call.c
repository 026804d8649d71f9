/* Calls. Parameters in .param space are values (one per 32 bits), so that inlining a function is
 * copying its body. Functions without a body (vprintf, __assertfail) stay calls: debug paths
 * (ptx.md 0.8). */
#include "sim/lower/build.h"

#include <string.h>

enum { MAX_INLINE_DEPTH = 32, LOCAL_ALIGN = 256 };

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
bool build_call_param(Frame *fr, const Insn *in, uint32_t mem_at, uint32_t ptx)
{
    const Operand *mem = &in->opd[mem_at], *val = &in->opd[1 - mem_at];
    const Operand *e = val->kind == OPD_VEC ? &fr->ir->module->elems[val->first] : val;
    uint32_t n_elems = val->kind == OPD_VEC ? val->n : 1;
    PtxType t = (PtxType)in->type[0];
    uint64_t bytes = (type_info[t].bits + 7u) / 8, at = (uint64_t)mem->imm;
    if (in->guard >= 0 || mem->reg >= 0 || (at % 4 != 0 && bytes < 4) ||
        at + bytes * n_elems > (fr->ir->module->vars[mem->var].size + 3) / 4 * 4)
        return build_unsupported(fr, in, "this access to a call parameter");
    for (uint32_t i = 0; i < n_elems; i++) {
        Cell c[MAX_SCALAR_CELLS];
        uint32_t n = build_scalar(fr, &e[i], t, c);
        for (uint32_t g = 0; g < n && g < (bytes + 3) / 4; g++) {
            Cell p = param_value(fr, mem->var, at + i * bytes + 4 * g);
            ir_copy(fr->ir, mem_at == 1 ? c[g] : p, mem_at == 1 ? p : c[g], ptx);
        }
    }
    return true;
}

bool build_is_call_param(const Frame *fr, const Operand *o)
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
            n = build_scalar(fr, e, T_NONE, c);
        for (uint64_t b = 0; is_param && n < MAX_SCALAR_CELLS && b < ir->module->vars[e->var].size;
             b += 4)
            c[n++] = param_value(fr, e->var, b);
        build_add_cells(ir, c, n);
    }
    p->n = p->n_elems = (uint16_t)(ir->n_cells - p->first);
}

/* vprintf, __assertfail and the like: one dynamic instruction with result values, callee, argument
 * values. */
static void build_extern_call(Frame *fr, const Insn *in, uint32_t ptx)
{
    Ir *ir = fr->ir;
    IrInsn out = {.op = OP_CALL, .n_opd = 3, .host = NO_INSN, .ptx = ptx};
    out.opd = ir_opds(ir, 3);
    ir_classify(ir, &out);
    IrOpd ret = {0}, args = {0};
    out.src = ir->n_cells;
    build_add_guard(fr, in, &out);
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

static void bind_params(Frame *fr, Frame *callee, const Operand *list, const int32_t *vars,
                        uint32_t n)
{
    for (uint32_t i = 0; i < n && list->kind == OPD_VEC && i < list->n; i++) {
        const Operand *e = &fr->ir->module->elems[list->first + i];
        if (e->kind == OPD_ADDR_OF) {
            callee->param[vars[i]] = param_value(fr, e->var, 0);
            continue;
        }
        Cell c[MAX_SCALAR_CELLS];
        uint32_t m = build_scalar(fr, e, T_NONE, c);
        for (uint32_t g = 0; g < m; g++)
            ir_copy(fr->ir, param_value(callee, vars[i], 4 * g), c[g], fr->ptx_at);
    }
}

/* Copies the body of f in, its parameters bound to those of the call. */
static bool inline_body(Frame *fr, const Insn *in, const Func *f, uint32_t ptx)
{
    Frame callee = *fr;
    callee.func = f;
    callee.caller = fr;
    callee.depth = fr->depth + 1;
    callee.ptx_at = ptx;
    uint32_t local_end = fr->local_base + fr->func->local_bytes;
    callee.local_base = (local_end + LOCAL_ALIGN - 1) / LOCAL_ALIGN * LOCAL_ALIGN;
    callee.param = arena_new(fr->ir->a, Cell, fr->ir->module->n_vars + 1);
    for (uint32_t v = 0; v < fr->ir->module->n_vars; v++)
        callee.param[v] = CELL_SINK;
    bind_params(fr, &callee, &in->opd[2], f->params, f->n_params);
    bind_params(fr, &callee, &in->opd[0], f->ret_params, f->n_ret_params);
    return build_body(&callee);
}

static bool is_running(const Frame *fr, const Func *f)
{
    for (const Frame *c = fr; c; c = c->caller)
        if (c->func == f)
            return true;
    return false;
}

/* ---- Calls through a pointer ---- */

static bool operand_is(const Operand *o, int32_t func)
{
    return o->kind == OPD_FUNC && o->func == func;
}

/* Somebody has the function's address: another instruction than a call names it, or a variable. */
static bool address_taken(const Module *m, int32_t func)
{
    for (uint32_t f = 0; f < m->n_funcs; f++)
        for (uint32_t i = 0; i < m->funcs[f].n_insns; i++) {
            const Insn *in = &m->funcs[f].insns[i];
            for (uint32_t k = 0; k < in->n_opd && in->op != OP_CALL; k++)
                if (operand_is(&in->opd[k], func))
                    return true;
        }
    for (uint32_t v = 0; v < m->n_vars; v++)
        for (uint32_t i = 0; i < m->vars[v].n_relocs; i++)
            if (m->vars[v].relocs[i].var < 0 && m->vars[v].relocs[i].func == func)
                return true;
    return false;
}

/* The parameters listed are as many and as large as the function's. */
static bool params_fit(const Module *m, const Operand *list, const int32_t *vars, uint32_t n)
{
    uint32_t given = list->kind == OPD_VEC ? list->n : 0;
    bool fit = given == n;
    for (uint32_t i = 0; fit && i < n; i++) {
        const Operand *e = &m->elems[list->first + i];
        fit = e->kind != OPD_ADDR_OF || m->vars[e->var].size == m->vars[vars[i]].size;
    }
    return fit;
}

/* "@guard bra", its target to be set; without a guard if that is CELL_TRUE. */
static uint32_t add_branch(Frame *fr, Cell guard, uint32_t ptx)
{
    IrInsn b = {.op = OP_BRA, .host = NO_INSN, .ptx = ptx};
    ir_classify(fr->ir, &b);
    b.src = b.dst = fr->ir->n_cells;
    if (guard != CELL_TRUE) {
        build_add_cells(fr->ir, &guard, 1);
        b.n_src = 1;
        b.flags |= IF_GUARD;
        b.dst = fr->ir->n_cells;
    }
    return ir_insn(fr->ir, &b);
}

/* Every function that the pointer may name, one after another: the call is a chain of comparisons.
 * Where none is meant, a call of nothing, which faults. */
static bool build_indirect(Frame *fr, const Insn *in, uint32_t ptx)
{
    Ir *ir = fr->ir;
    const Module *m = ir->module;
    Cell addr[MAX_SCALAR_CELLS];
    build_scalar(fr, &in->opd[1], T_U64, addr);
    uint32_t *to_end = arena_new(ir->a, uint32_t, m->n_funcs + 1), n = 0;
    for (uint32_t i = 0; i < m->n_funcs; i++) {
        const Func *f = &m->funcs[i];
        if (f->is_entry || f->is_extern || is_running(fr, f) || !address_taken(m, (int32_t)i) ||
            !params_fit(m, &in->opd[2], f->params, f->n_params) ||
            !params_fit(m, &in->opd[0], f->ret_params, f->n_ret_params))
            continue;
        Cell other = ir_val(ir, true);
        Cell want = ir_const(ir, (uint32_t)build_function_address(fr, (int32_t)i));
        uint32_t cmp = ir_simple(ir, OP_SETP_INT, T_B32, (Cell[]){other, addr[0], want}, 1, 2);
        ir->insns[cmp].mod[MC_CMP] = MV_CMP_NE;
        ir->insns[cmp].ptx = ptx;
        uint32_t skip = add_branch(fr, other, ptx);
        if (!inline_body(fr, in, f, ptx))
            return false;
        to_end[n++] = add_branch(fr, CELL_TRUE, ptx);
        ir->insns[skip].target = ir->n_insns;
    }
    build_extern_call(fr, in, ptx);
    for (uint32_t k = 0; k < n; k++)
        ir->insns[to_end[k]].target = ir->n_insns;
    return true;
}

bool build_call(Frame *fr, const Insn *in, uint32_t ptx)
{
    bool indirect = in->opd[1].kind != OPD_FUNC;
    const Func *f = indirect ? NULL : &fr->ir->module->funcs[in->opd[1].func];
    if (f && f->is_extern) {
        build_extern_call(fr, in, ptx);
        return true;
    }
    if (f && is_running(fr, f))
        return err_set(fr->err, ERR_UNSUPPORTED, in->loc,
                       "lowering does not support recursion: '%s'", f->name);
    if (in->guard >= 0 || fr->depth + 1 > MAX_INLINE_DEPTH)
        return build_unsupported(
            fr, in, in->guard >= 0 ? "a predicated call of a defined function" : "calls this deep");
    return indirect ? build_indirect(fr, in, ptx) : inline_body(fr, in, f, ptx);
}
