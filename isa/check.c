/* Checks one instruction after its row is known: operand types and widths by PTX's relaxed rules,
 * lengths of vectors, constants, and, coarsely, whether the target has the instruction. */
#include "isa/parse.h"

#include <string.h>

typedef struct Check {
    const Module *m;
    const Func *f;
    const Form *form;
    const Insn *in;
    ModSet ms;
    const Forms *fs;
    Err *err;
} Check;

static bool fail(const Check *c, const Operand *o, ErrKind kind, const char *what)
{
    char name[160];
    Loc loc = c->in->loc;
    if (o && o->col)
        loc.col = o->col;
    form_spell(c->fs, (OpCode)c->in->op, &c->ms, name, sizeof name);
    return err_set(c->err, kind, loc, "%s: %s", name, what);
}

/* May a register of type `reg` hold a value of type `want`? Same width, or wider where that is
 * allowed. Bits mix with all; signed and unsigned with each other; a float needs its own type or
 * bits, and so do packed floats (as ptxas). */
static bool type_fits(PtxType reg, PtxType want, bool may_be_wider)
{
    const TypeInfo *r = &type_info[reg], *w = &type_info[want];
    if (reg == T_PRED || want == T_PRED)
        return reg == want;
    if (r->bits != w->bits && !(may_be_wider && r->bits > w->bits) &&
        !(r->bits == 16 && w->bits == 8))
        return false;
    if (r->kind == 'B' || w->kind == 'B' || reg == want)
        return true;
    return w->kind != 'F' && (r->kind != 'F' || r->count > 1);
}

static bool check_reg(const Check *c, const Operand *o, const OpdForm *form, PtxType want)
{
    const RegDecl *r = &c->f->regs[o->reg];
    char what[256];
    if (want == T_NONE || type_fits(r->type, want, form->may_be_wider))
        return true;
    snprintf(what, sizeof what, "operand '%s' must be a .%s register, but '%.80s' is .%s",
             form->name, type_info[want].name, r->name, type_info[r->type].name);
    return fail(c, o, ERR_SEMANTIC, what);
}

static bool check_imm(const Check *c, const Operand *o, PtxType want)
{
    const TypeInfo *w = &type_info[want];
    if (w->kind == 'F' && want != T_F32 && want != T_F64)
        return fail(c, o, ERR_SEMANTIC,
                    "this type has no constants; move the bits into a register");
    if (o->is_float) {
        if (want == T_NONE || w->kind == 'F' || (w->kind == 'B' && w->bits >= 32))
            return true;
        return fail(c, o, ERR_SEMANTIC, "a float constant stands where an integer is expected");
    }
    if (w->kind == 'F' && (want == T_F32 || want == T_F64))
        return fail(c, o, ERR_SEMANTIC,
                    "an integer constant stands where a float is expected; write 0f... or 1.0");
    return true;
}

/* Special registers are read by mov, and by cvt; 16-bit moves read their low half. */
static bool check_sreg(const Check *c, const Operand *o)
{
    PtxType type = sreg_info[o->sreg].type, want = (PtxType)c->in->type[0];
    uint32_t have = type_info[type].bits, need = type_info[want].bits;
    const char *exec = op_row[c->in->op].exec;
    if (strcmp(exec, "cvt") == 0)
        return true;
    if ((c->in->op == OP_MOV_PRED && type == T_PRED) ||
        (c->in->op == OP_MOV_UNPACK && have == need))
        return true;
    if (c->in->op != OP_MOV)
        return fail(c, o, ERR_SEMANTIC, "a special register must be read by mov first");
    if (type_info[want].kind == 'F' || (have != need && !(have == 32 && need == 16)))
        return fail(c, o, ERR_SEMANTIC, "the type is not that of the special register");
    return true;
}

static bool check_symbol(const Check *c, const Operand *o, const OpdForm *form)
{
    uint16_t op = c->in->op;
    if (form->is_dst)
        return fail(c, o, ERR_SEMANTIC, "the destination must be a register");
    if (op == OP_MOV || op == OP_CVTA || op == OP_CVTA_TO)
        return true;
    return fail(c, o, ERR_SEMANTIC,
                "the address of a variable or function must be read by mov first");
}

static bool is_video(uint16_t op)
{
    return op >= OP_VADD && op <= OP_VSET4;
}

/* Digits below n, `count` of them; falling: a mask. */
static bool digits_fit(int64_t sel, uint32_t count, uint32_t n, bool falling)
{
    uint32_t have = select_count(sel), above = 8;
    if (falling ? have > count : have != count)
        return false;
    for (uint32_t i = have; i-- > 0;) {
        uint32_t d = (uint32_t)sel >> 4 * i & 15;
        if (d >= n || (falling && d >= above))
            return false;
        above = d;
    }
    return true;
}

/* %r1.b2: one part of a register for scalar instructions; for those on halves or bytes a choice of
 * the parts of a and b, or for d those that are written. */
static bool check_selector(const Check *c, const Operand *o, const OpdForm *form)
{
    uint16_t op = c->in->op;
    bool half = o->imm & SELECT_HALF, simd = op >= OP_VADD2, is_c = form->name[0] == 'c';
    uint32_t parts = op >= OP_VADD4 ? 4 : 2;
    if (!o->imm)
        return true;
    bool good = is_video(op) && !is_c && !(op == OP_VMAD && form->is_dst);
    if (good && !simd)
        good = digits_fit(o->imm, 1, half ? 2 : 4, false);
    else if (good)
        good = half == (parts == 2) &&
               digits_fit(o->imm, parts, form->is_dst ? parts : 2 * parts, form->is_dst);
    return good || fail(c, o, ERR_SEMANTIC, "this register cannot have such a selector");
}

/* A third operand is there for a second operation or a part of d, not for both. Halves and bytes
 * are of registers. */
static bool check_video(const Check *c)
{
    const Operand *o = c->in->opd;
    if (!is_video(c->in->op))
        return true;
    if (c->in->op >= OP_VADD2)
        return (o[1].kind == OPD_REG && o[2].kind == OPD_REG) ||
               fail(c, NULL, ERR_SEMANTIC, "a and b must be registers");
    bool part = o[0].kind == OPD_REG && o[0].imm, second = c->ms.mod[MC_SECOP] != 0;
    bool third = c->in->n_opd > 3 && o[3].kind != OPD_NONE;
    if (part && second)
        return fail(c, o, ERR_SEMANTIC, "a second operation writes a whole register");
    if ((part || second) && !third)
        return fail(c, NULL, ERR_SEMANTIC, "the third operand is missing");
    return true;
}

static bool check_scalar(const Check *c, const Operand *o, const OpdForm *form, PtxType want)
{
    switch ((OpdKind)o->kind) {
    case OPD_REG:
        return check_reg(c, o, form, want) && check_selector(c, o, form);
    case OPD_IMM:
        return check_imm(c, o, want);
    case OPD_SINK:
        return form->may_sink ||
               fail(c, o, ERR_SEMANTIC, "'_' can only stand where a result is thrown away");
    case OPD_SREG:
        return check_sreg(c, o);
    case OPD_ADDR_OF:
    case OPD_FUNC:
        return check_symbol(c, o, form);
    case OPD_NONE:
    case OPD_MEM:
    case OPD_VEC:
    case OPD_LABEL:
        return true;
    }
    return true;
}

static bool check_vec(const Check *c, const Operand *o, uint32_t k, PtxType want)
{
    const OpdForm *form = &c->form->opd[k];
    uint32_t n = form_opd_count(c->form, &c->ms, k);
    char what[160];
    if (n && o->n != n) {
        snprintf(what, sizeof what, "the vector '%s' must have %u element%s, not %u", form->name, n,
                 n == 1 ? "" : "s", o->n);
        return fail(c, o, ERR_SEMANTIC, what);
    }
    if (o->n == 0)
        return fail(c, o, ERR_SEMANTIC, "a vector needs elements");
    static const PtxType bits_of[] = {[T_F32] = T_B32, [T_F64] = T_B64, [T_COUNT - 1] = T_NONE};
    if (form->may_be_wider &&
        bits_of[want]) /* ld.v2.f32 takes integer registers too, ld.f32 does not */
        want = bits_of[want];
    for (uint32_t i = 0; i < o->n; i++) {
        const Operand *e = &c->m->elems[o->first + i];
        if (e->kind == OPD_VEC || e->kind == OPD_MEM || e->neg)
            return fail(c, e, ERR_SEMANTIC, "a vector's elements are registers, constants or '_'");
        if (e->kind == OPD_IMM && form->is_dst)
            return fail(c, e, ERR_SEMANTIC, "the destination must be a register");
        if (!check_scalar(c, e, form, want))
            return false;
    }
    return true;
}

static bool check_mem(const Check *c, const Operand *o)
{
    if (o->reg < 0)
        return true;
    const RegDecl *r = &c->f->regs[o->reg];
    uint32_t bits = type_info[r->type].bits;
    if ((bits == 32 || bits == 64) && type_info[r->type].kind != 'F')
        return true;
    char what[256];
    snprintf(what, sizeof what,
             "an address needs a 32- or 64-bit integer register, but '%.80s' is .%s", r->name,
             type_info[r->type].name);
    return fail(c, o, ERR_SEMANTIC, what);
}

static bool check_opd(const Check *c, uint32_t k)
{
    const Operand *o = &c->in->opd[k];
    const OpdForm *form = &c->form->opd[k];
    PtxType want = form_opd_type(c->form, &c->ms, k);
    if (o->kind == OPD_NONE)
        return true;
    if (o->kind == OPD_MEM)
        return check_mem(c, o);
    if (o->kind == OPD_VEC)
        return check_vec(c, o, k, want);
    if (form->role == OF_PRED && o->kind == OPD_IMM)
        return true;
    if (o->neg && form->is_dst)
        return fail(c, o, ERR_SEMANTIC, "the destination cannot be negated");
    return check_scalar(c, o, form, want);
}

/* ---- Packs, constants ---- */

/* mov.b64 {a, b}, c: the elements fill the register. */
static bool check_pack(const Check *c, const Operand *v)
{
    uint32_t bits = 0, whole = type_info[c->in->type[0]].bits, one = 0;
    for (uint32_t i = 0; i < v->n; i++) {
        const Operand *e = &c->m->elems[v->first + i];
        if (e->kind == OPD_REG)
            one = type_info[c->f->regs[e->reg].type].bits;
        if (e->kind == OPD_REG)
            bits += one;
        if (e->kind == OPD_REG && one * v->n != whole)
            bits = UINT32_MAX / 2;
    }
    if (whole % v->n == 0 && (bits == 0 || bits <= whole))
        return true;
    char what[128];
    snprintf(what, sizeof what, "%u elements of equal width must fill %u bits", v->n, whole);
    return fail(c, v, ERR_SEMANTIC, what);
}

static const struct ConstRule { /* operand of a row: from lo to hi in steps */
    uint16_t op;
    uint8_t opd;
    uint16_t step;
    int64_t lo, hi;
} const_rules[] = {
    {OP_SETMAXNREG, 0, 8, 24, 256},
    {OP_LOP3, 4, 1, 0, 255},
    {OP_LOP3_BOOL, 5, 1, 0, 255},
    {OP_BAR_SYNC, 0, 1, 0, 15},
    {OP_BAR_SYNC, 1, 32, 0, 1024},
    {OP_BAR_ARRIVE, 0, 1, 0, 15},
    {OP_BAR_ARRIVE, 1, 32, 0, 1024},
    {OP_BARRIER_SYNC, 0, 1, 0, 15},
    {OP_BARRIER_SYNC, 1, 32, 0, 1024},
    {OP_BARRIER_ARRIVE, 0, 1, 0, 15},
    {OP_BARRIER_ARRIVE, 1, 32, 0, 1024},
    {OP_TCGEN05_ALLOC, 1, 32, 32, 512},
    {OP_TCGEN05_DEALLOC, 1, 32, 32, 512},
    {OP_CP_ASYNC, 2, 4, 4, 16},
    {OP_CP_ASYNC_WAIT_GROUP, 0, 1, 0, INT32_MAX},
    {OP_CP_ASYNC_BULK_WAIT_GROUP, 0, 1, 0, INT32_MAX},
    {OP_WGMMA_WAIT_GROUP, 0, 1, 0, 7},
    {OP_TENSORMAP_CP_FENCEPROXY, 2, 1, 128, 128},
    {OP_FENCE_PROXY_TENSORMAP_ACQUIRE, 1, 1, 128, 128},
    {OP_DISCARD, 1, 1, 128, 128},
    {OP_APPLYPRIORITY, 1, 1, 128, 128},
    {OP_TCGEN05_MMA, 6, 1, 0, 15},
    {OP_TCGEN05_MMA_TS, 6, 1, 0, 15},
    {OP_WGMMA, 4, 2, -1, 1},
    {OP_WGMMA, 5, 2, -1, 1},
    {OP_WGMMA, 6, 1, 0, 1},
    {OP_WGMMA, 7, 1, 0, 1},
    {OP_WGMMA_RS, 4, 2, -1, 1},
    {OP_WGMMA_RS, 5, 2, -1, 1},
    {OP_WGMMA_RS, 6, 1, 0, 1},
    {OP_TENSORMAP_REPLACE, 1, 1, 0, 4},
};

static bool check_consts(const Check *c)
{
    for (size_t i = 0; i < sizeof const_rules / sizeof const_rules[0]; i++) {
        const struct ConstRule *r = &const_rules[i];
        const Operand *o = &c->in->opd[r->opd];
        if (r->op != c->in->op || o->kind != OPD_IMM)
            continue;
        if (o->imm >= r->lo && o->imm <= r->hi && (o->imm - r->lo) % r->step == 0)
            continue;
        char what[160];
        snprintf(what, sizeof what, "'%s' must be from %lld to %lld%s", c->form->opd[r->opd].name,
                 (long long)r->lo, (long long)r->hi,
                 r->step == 8    ? " in steps of 8"
                 : r->step == 32 ? " in steps of 32"
                                 : "");
        return fail(c, o, ERR_SEMANTIC, what);
    }
    return true;
}

/* Rules of the manual that tie an operand to a modifier; those among modifiers are in rules.c. */
static bool check_ties(const Check *c)
{
    const uint8_t *mod = c->ms.mod;
    const Operand *o = c->in->opd;
    const char *broken = form_rule_broken(c->form, (OpCode)c->in->op, &c->ms);
    if (broken)
        return fail(c, NULL, ERR_SEMANTIC, broken);
    bool arrive =
        c->in->op >= OP_MBARRIER_ARRIVE && c->in->op <= OP_MBARRIER_ARRIVE_DROP_NOCOMPLETE;
    if (arrive && mod[MC_SS] == MV_SS_SHARED_CLUSTER && o[0].kind != OPD_SINK)
        return fail(c, &o[0], ERR_SEMANTIC, "a remote barrier gives no state; write '_'");
    bool mma = c->in->op == OP_TCGEN05_MMA || c->in->op == OP_TCGEN05_MMA_TS;
    if (mma && o[6].kind != OPD_NONE && mod[MC_KIND] != MV_KIND_F16 && mod[MC_KIND] != MV_KIND_TF32)
        return fail(c, &o[6], ERR_SEMANTIC, "only .kind::f16 and .kind::tf32 scale D");
    bool alloc = c->in->op == OP_TCGEN05_ALLOC || c->in->op == OP_TCGEN05_DEALLOC;
    if (alloc && o[1].kind == OPD_IMM && (o[1].imm & (o[1].imm - 1)))
        return fail(c, &o[1], ERR_SEMANTIC,
                    "the number of columns must be a power of two from 32 to 512");
    if (c->in->op == OP_CP_ASYNC &&
        (o[2].imm == 12 || (mod[MC_COP] == MV_COP_CG && o[2].imm != 16)))
        return fail(c, &o[2], ERR_SEMANTIC, "the size must be 4, 8 or 16; with .cg it must be 16");
    if (c->in->op == OP_TENSORMAP_REPLACE) {
        bool has_ord =
            mod[MC_FIELD] >= MV_FIELD_BOX_DIM && mod[MC_FIELD] <= MV_FIELD_ELEMENT_STRIDE;
        if (has_ord != (o[1].kind != OPD_NONE))
            return fail(c, NULL, ERR_SEMANTIC,
                        has_ord ? "this field needs the number of the dimension"
                                : "this field has no dimensions");
        if (mod[MC_FIELD] >= MV_FIELD_ELEMTYPE && o[2].kind != OPD_IMM)
            return fail(c, &o[2], ERR_SEMANTIC, "this field takes an integer constant");
    }
    bool wgmma = c->in->op == OP_WGMMA, rs = c->in->op == OP_WGMMA_RS;
    if (wgmma || rs) {
        bool trans = c->ms.type[1] == T_F16 || c->ms.type[1] == T_BF16;
        if (trans != (o[rs ? 6 : 7].kind != OPD_NONE))
            return fail(c, NULL, ERR_SEMANTIC,
                        trans ? "16-bit types need the transpose constant(s) at the end"
                              : "only 16-bit types have transpose constants");
    }
    return true;
}

/* ---- Targets ---- */

/* What a mnemonic, a type or a form needs: sm number, and 'a' if only that very target has it.
 * Coarse on purpose. */
static bool check_target(const Check *c)
{
    const char *t = c->m->target, *base = c->fs->words[c->form->base].text;
    uint32_t sm = 0, need = 0;
    if (sscanf(t, "sm_%u", &sm) != 1)
        return true;
    bool only_90a = strcmp(base, "wgmma") == 0;
    if (strcmp(base, "tcgen05") == 0 || strcmp(base, "clusterlaunchcontrol") == 0)
        need = 100;
    for (int i = 0; i < 3; i++)
        if (c->ms.type[i] == T_F32X2)
            need = 100;
    if (c->in->op == OP_MAX3_F32 || c->in->op == OP_MIN3_F32 || c->ms.mod[MC_VEC] == MV_VEC_V8)
        need = 100;
    if (strcmp(base, "mbarrier") == 0 || strcmp(base, "mapa") == 0 ||
        strcmp(base, "setmaxnreg") == 0)
        need = need ? need : 80;
    char what[160];
    if (only_90a && (sm != 90 || !strchr(t, 'a')))
        snprintf(what, sizeof what, "wgmma exists on sm_90a only; the target is %.40s", t);
    else if (sm < need)
        snprintf(what, sizeof what, "this needs sm_%u or later; the target is %.40s", need, t);
    else
        return true;
    return fail(c, NULL, ERR_SEMANTIC, what);
}

bool check_insn(const Module *m, const Func *f, const Forms *fs, const Insn *in, Err *err)
{
    Check c = {.m = m, .f = f, .form = &fs->form[in->op], .in = in, .fs = fs, .err = err};
    memcpy(c.ms.type, in->type, sizeof c.ms.type);
    memcpy(c.ms.mod, in->mod, sizeof c.ms.mod);
    for (uint32_t k = 0; k < in->n_opd; k++)
        if (!check_opd(&c, k))
            return false;
    if (in->op == OP_MOV_PACK && !check_pack(&c, &in->opd[1]))
        return false;
    if (in->op == OP_MOV_UNPACK && !check_pack(&c, &in->opd[0]))
        return false;
    return check_consts(&c) && check_ties(&c) && check_video(&c) && check_target(&c);
}
