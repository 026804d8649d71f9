/* Lowering keeps the meaning: random programs of integer instructions, loops, branches, guards and
 * moves are evaluated twice, as parsed PTX and as lowered Code, and must store the same values in
 * the same order. The evaluator here is one thread of scalar rows and shares nothing with sim/func.
 */
#include <check.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim/lower/code.h"
#include "sim/lower/front.h"
#include "sim/model/model.h"

enum { STORES = 4096, STEPS = 100000, N_PARAMS = 8, PROGRAMS = 600 };

typedef struct Store {
    uint64_t addr, value;
} Store;

typedef struct Eval {
    const Module *module;
    const Func *func;
    const Code *code;   /* NULL: evaluate the PTX */
    uint64_t reg[4096]; /* PTX registers; or 32-bit slots, then predicates from 3000 on */
    uint32_t param[N_PARAMS];
    Store store[STORES];
    uint32_t n_stores, pc, steps;
} Eval;
enum { PREDS_AT = 3000 };

static Arena arena;
static Model model;
static const CodeLayout layout = {.global_base = 0x7f0000000000,
                                  .const_base = 0x7f0000100000,
                                  .param_window = 0x7e2000000000,
                                  .local_window = 0x7e1000000000,
                                  .shared_window = 0x7e0000000000};

/* ---- Operands: the only part that knows which of the two is evaluated ---- */

static uint64_t mask_to(uint64_t v, uint32_t bits)
{
    return bits >= 64 ? v : v & ((UINT64_C(1) << bits) - 1);
}

static uint64_t get_ptx(const Eval *e, const Operand *o)
{
    if (o->kind == OPD_REG) {
        PtxType t = e->func->regs[o->reg].type;
        uint64_t v = mask_to(e->reg[o->reg], type_info[t].bits);
        return o->neg ? !v : v;
    }
    return (uint64_t)o->imm;
}

static void set_ptx(Eval *e, const Operand *o, uint64_t v)
{
    if (o->kind == OPD_REG)
        e->reg[o->reg] = mask_to(v, type_info[e->func->regs[o->reg].type].bits);
}

static uint64_t slot_value(const Eval *e, Slot s)
{
    if (s == SLOT_SINK)
        return 0;
    return s < 0 ? e->code->consts[-1 - s] : (uint32_t)e->reg[s];
}

static uint64_t get_pred(const Eval *e, const CodeOpd *o)
{
    uint64_t v = o->pred == PRED_TRUE ? 1 : o->pred == PRED_FALSE ? 0 : e->reg[PREDS_AT + o->pred];
    return o->neg ? !v : v;
}

static uint64_t get_element(const Eval *e, const CodeInsn *in, uint32_t k, uint32_t i)
{
    const CodeOpd *o = &e->code->opds[in->opd + k];
    uint64_t v = slot_value(e, e->code->slots[o->first + i * o->elem_slots]);
    if (o->elem_slots == 2)
        v |= slot_value(e, e->code->slots[o->first + 2 * i + 1]) << 32;
    return v;
}

static uint64_t get(const Eval *e, uint32_t k, uint32_t i)
{
    if (e->code) {
        const CodeInsn *in = &e->code->insns[e->pc];
        const CodeOpd *o = &e->code->opds[in->opd + k];
        return o->kind == CO_PRED ? get_pred(e, o) : get_element(e, in, k, i);
    }
    const Operand *o = &e->func->insns[e->pc].opd[k];
    return get_ptx(e, o->kind == OPD_VEC ? &e->module->elems[o->first + i] : o);
}

static void set(Eval *e, uint32_t k, uint32_t i, uint64_t v)
{
    if (!e->code) {
        const Operand *o = &e->func->insns[e->pc].opd[k];
        set_ptx(e, o->kind == OPD_VEC ? &e->module->elems[o->first + i] : o, v);
        return;
    }
    const CodeOpd *o = &e->code->opds[e->code->insns[e->pc].opd + k];
    if (o->kind == CO_PRED) {
        if (o->pred >= 0)
            e->reg[PREDS_AT + o->pred] = v;
        return;
    }
    /* the upper bits of a 16-bit register are unspecified: make them wrong */
    uint32_t noise = e->code->insns[e->pc].op == OP_MOV_UNPACK ? 0xdead0000u : 0;
    for (uint32_t g = 0; g < o->elem_slots; g++) {
        Slot s = e->code->slots[o->first + i * o->elem_slots + g];
        if (s != SLOT_SINK)
            e->reg[s] = (uint32_t)(v >> (32 * g)) | noise;
    }
}

static bool has(const Eval *e, uint32_t k)
{
    if (e->code)
        return e->code->opds[e->code->insns[e->pc].opd + k].kind != CO_NONE;
    return e->func->insns[e->pc].opd[k].kind != OPD_NONE;
}

static uint32_t n_opd(const Eval *e)
{
    return e->code ? e->code->insns[e->pc].n_opd : e->func->insns[e->pc].n_opd;
}

/* ---- Rows ---- */

typedef struct Row {
    OpCode op;
    const uint8_t *type, *mod;
} Row;

static uint64_t extend(uint64_t v, PtxType t)
{
    uint32_t bits = type_info[t].bits;
    v = mask_to(v, bits);
    if (type_info[t].kind == 'S' && bits < 64 && v >> (bits - 1))
        v |= ~UINT64_C(0) << bits;
    return v;
}

static bool compare(uint8_t cmp, uint64_t a, uint64_t b, bool sign)
{
    int64_t x = (int64_t)a, y = (int64_t)b;
    switch (cmp) {
    case MV_CMP_EQ:
        return a == b;
    case MV_CMP_NE:
        return a != b;
    case MV_CMP_LT:
        return sign ? x < y : a < b;
    case MV_CMP_LE:
        return sign ? x <= y : a <= b;
    case MV_CMP_GT:
        return sign ? x > y : a > b;
    default:
        return sign ? x >= y : a >= b;
    }
}

static bool combine(uint8_t op, bool a, bool c)
{
    return op == MV_BOOL_AND ? a && c : op == MV_BOOL_OR ? a || c : op == MV_BOOL_XOR ? a != c : a;
}

static uint64_t shift_right(uint64_t a, uint64_t n, PtxType t)
{
    uint32_t bits = type_info[t].bits;
    bool sign = type_info[t].kind == 'S';
    if (n >= bits)
        return sign && (int64_t)a < 0 ? ~UINT64_C(0) : 0;
    return sign ? (uint64_t)((int64_t)a >> n) : a >> n;
}

/* clang-format off */
/* Rows of one result and up to three sources; false: not such a row. */
static bool arithmetic(const Eval *e, const Row *r, uint64_t *d)
{
    PtxType t = (PtxType)r->type[0];
    uint32_t bits = type_info[t].bits, n = n_opd(e);
    uint64_t a = n > 1 ? extend(get(e, 1, 0), t) : 0, b = n > 2 ? get(e, 2, 0) : 0;
    uint64_t eb = extend(b, t);
    switch (r->op) {
    case OP_ADD_INT: *d = a + eb; return true;
    case OP_SUB_INT: *d = a - eb; return true;
    case OP_MUL_LO: *d = a * eb; return true;
    case OP_MUL_WIDE: *d = a * eb; return true;
    case OP_MAD_LO: *d = a * eb + get(e, 3, 0); return true;
    case OP_MAD_WIDE: *d = a * eb + get(e, 3, 0); return true;
    case OP_NEG_INT: *d = 0 - a; return true;
    case OP_AND_BITS: *d = a & eb; return true;
    case OP_OR_BITS: *d = a | eb; return true;
    case OP_XOR_BITS: *d = a ^ eb; return true;
    case OP_NOT_BITS: *d = ~a; return true;
    case OP_MIN_INT: *d = compare(MV_CMP_LT, a, eb, type_info[t].kind == 'S') ? a : eb; return true;
    case OP_MAX_INT: *d = compare(MV_CMP_GT, a, eb, type_info[t].kind == 'S') ? a : eb; return true;
    case OP_SHL: b = (uint32_t)b; *d = b >= bits ? 0 : a << b; return true;
    case OP_SHR: *d = shift_right(a, (uint32_t)b, t); return true;
    case OP_SELP: *d = get(e, 3, 0) ? a : eb; return true;
    case OP_CVT_INT: *d = extend(extend(get(e, 1, 0), (PtxType)r->type[1]), t); return true;
    case OP_MOV: *d = get(e, 1, 0); return true;
    case OP_MOV_PRED: *d = get(e, 1, 0); return true;
    case OP_NOT_PRED: *d = !get(e, 1, 0); return true;
    case OP_AND_PRED: *d = get(e, 1, 0) && b; return true;
    case OP_OR_PRED: *d = get(e, 1, 0) || b; return true;
    case OP_XOR_PRED: *d = get(e, 1, 0) != b; return true;
    default: return false;
    }
}

/* clang-format on */

static uint64_t memory_base(const Eval *e, uint32_t k)
{
    if (!e->code) {
        const Operand *o = &e->func->insns[e->pc].opd[k];
        uint64_t base = o->reg >= 0 ? e->reg[o->reg] : 0;
        if (o->var >= 0)
            base += e->module->vars[o->var].offset;
        return base + (uint64_t)o->imm;
    }
    const CodeInsn *in = &e->code->insns[e->pc];
    const CodeOpd *o = &e->code->opds[in->opd + k];
    uint64_t base = 0;
    for (uint32_t g = 0; g < o->n; g++)
        base |= slot_value(e, e->code->slots[o->first + g]) << (32 * g);
    return base + (uint64_t)o->imm;
}

static void vector_move(Eval *e, const Row *r)
{
    uint32_t total = type_info[r->type[0]].bits;
    if (r->op == OP_MOV_PACK) {
        uint32_t n = e->code ? e->code->opds[e->code->insns[e->pc].opd + 1].n_elems
                             : e->func->insns[e->pc].opd[1].n;
        uint64_t v = 0;
        for (uint32_t i = 0; i < n; i++)
            v |= mask_to(get(e, 1, i), total / n) << (total / n * i);
        set(e, 0, 0, v);
        return;
    }
    uint32_t n =
        e->code ? e->code->opds[e->code->insns[e->pc].opd].n_elems : e->func->insns[e->pc].opd[0].n;
    uint64_t v = get(e, 1, 0);
    for (uint32_t i = 0; i < n; i++)
        set(e, 0, i, mask_to(v >> (total / n * i), total / n));
}

static bool guard_holds(const Eval *e)
{
    if (e->code) {
        const CodeInsn *in = &e->code->insns[e->pc];
        return in->guard < 0 || (e->reg[PREDS_AT + in->guard] != 0) != in->guard_neg;
    }
    const Insn *in = &e->func->insns[e->pc];
    return in->guard < 0 || (e->reg[in->guard] != 0) != in->guard_neg;
}

static void setp(Eval *e, const Row *r)
{
    PtxType t = (PtxType)r->type[0];
    bool v = compare(r->mod[MC_CMP], extend(get(e, 2, 0), t), extend(get(e, 3, 0), t),
                     type_info[t].kind == 'S');
    bool c = has(e, 4) && get(e, 4, 0), p = combine(r->mod[MC_BOOL], v, c),
         q = combine(r->mod[MC_BOOL], !v, c);
    set(e, 0, 0, p);
    if (has(e, 1))
        set(e, 1, 0, q);
}

/* One instruction; false at the end. */
static bool step(Eval *e)
{
    const Func *f = e->func;
    const CodeInsn *ci = e->code ? &e->code->insns[e->pc] : NULL;
    if (!e->code && e->pc == f->n_insns)
        return false;
    Row r = {ci ? (OpCode)ci->op : (OpCode)f->insns[e->pc].op, ci ? ci->type : f->insns[e->pc].type,
             ci ? ci->mod : f->insns[e->pc].mod};
    uint64_t d;
    uint32_t next = e->pc + 1;
    bool go = guard_holds(e);
    if (!go) {
    } else if (r.op == OP_RET || r.op == OP_EXIT) {
        return false;
    } else if (r.op == OP_BRA) {
        next = ci ? ci->target : (uint32_t)f->insns[e->pc].opd[0].imm;
    } else if (r.op == OP_SETP_INT) {
        setp(e, &r);
    } else if (r.op == OP_MOV_PACK || r.op == OP_MOV_UNPACK) {
        vector_move(e, &r);
    } else if (r.op == OP_LD_PARAM) {
        set(e, 0, 0, e->param[memory_base(e, 1) / 4 % N_PARAMS]);
    } else if (r.op == OP_ST) {
        ck_assert_uint_lt(e->n_stores, STORES);
        e->store[e->n_stores++] =
            (Store){memory_base(e, 0), mask_to(get(e, 1, 0), type_info[r.type[0]].bits)};
    } else {
        ck_assert_msg(arithmetic(e, &r, &d), "this test does not know %s", op_row[r.op].id);
        set(e, 0, 0, d);
    }
    e->pc = next;
    return true;
}

static void run(Eval *e)
{
    while (step(e))
        ck_assert_uint_lt(++e->steps, STEPS);
}

/* ---- Random programs ---- */

typedef struct Gen {
    char text[1 << 17];
    size_t n;
    uint64_t rng;
    uint32_t labels, loops, depth;
} Gen;
enum { R = 12, RD = 6, P = 5, H = 3, MAX_DEPTH = 3, MAX_LOOPS = 6 };

static uint32_t rnd(Gen *g, uint32_t n)
{
    g->rng = g->rng * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(g->rng >> 33) % n;
}

__attribute__((format(printf, 2, 3))) static void put(Gen *g, const char *fmt, ...);
static void put(Gen *g, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    g->n += (size_t)vsnprintf(g->text + g->n, sizeof g->text - g->n, fmt, ap);
    va_end(ap);
    ck_assert_uint_lt(g->n, sizeof g->text);
}

static void put_guard(Gen *g)
{
    if (rnd(g, 6) == 0)
        put(g, "@%s%%p%u ", rnd(g, 2) ? "!" : "", rnd(g, P));
}

static const char *source(Gen *g)
{
    static char ring[8][24];
    static uint32_t at;
    char *s = ring[at++ % 8];
    static const int consts[] = {0, 1, -1, 7, 31, 1024, 0x7fffffff};
    if (rnd(g, 4) == 0)
        snprintf(s, 24, "%d", consts[rnd(g, 7)]);
    else
        snprintf(s, 24, "%%r%u", rnd(g, R));
    return s;
}

/* clang-format off */
static void put_scalar(Gen *g)
{
    static const char *const two[] = {"add.s32", "sub.s32", "mul.lo.s32", "and.b32", "or.b32",
                                      "xor.b32", "min.s32", "max.u32",    "add.u32"};
    static const char *const types[] = {"s32", "u32", "b32"};
    static const char *const cmps[] = {"eq", "ne", "lt", "le", "gt", "ge"};
    static const char *const bools[] = {"and", "or", "xor"};
    put_guard(g);
    switch (rnd(g, 12)) {
    case 0: put(g, "shl.b32 %%r%u,%%r%u,%u;\n", rnd(g, R), rnd(g, R), rnd(g, 40)); return;
    case 1: put(g, "shr.%s %%r%u,%%r%u,%u;\n", types[rnd(g, 2)], rnd(g, R), rnd(g, R), rnd(g, 40)); return;
    case 2: put(g, "mad.lo.s32 %%r%u,%s,%s,%s;\n", rnd(g, R), source(g), source(g), source(g)); return;
    case 3: put(g, "selp.b32 %%r%u,%s,%s,%%p%u;\n", rnd(g, R), source(g), source(g), rnd(g, P)); return;
    case 4:
        put(g, "setp.%s.%s %%p%u,%%r%u,%s;\n", cmps[rnd(g, 6)], types[rnd(g, 2)], rnd(g, P), rnd(g, R), source(g));
        return;
    case 5: put(g, "%s.pred %%p%u,%%p%u,%%p%u;\n", bools[rnd(g, 3)], rnd(g, P), rnd(g, P), rnd(g, P)); return;
    case 6: put(g, "not.pred %%p%u,%%p%u;\n", rnd(g, P), rnd(g, P)); return;
    case 7: put(g, "mov.u32 %%r%u,%s;\n", rnd(g, R), source(g)); return;
    case 8:
        put(g, "setp.%s.%s.s32 %%p%u|%%p%u,%%r%u,%s,%s%%p%u;\n", cmps[rnd(g, 6)], bools[rnd(g, 3)], rnd(g, 2),
            2 + rnd(g, 3), rnd(g, R), source(g), rnd(g, 2) ? "!" : "", rnd(g, P));
        return;
    default: put(g, "%s %%r%u,%s,%s;\n", two[rnd(g, 9)], rnd(g, R), source(g), source(g)); return;
    }
}

static void put_wide(Gen *g)
{
    static const char *const two[] = {"add.s64", "sub.s64", "and.b64", "or.b64", "xor.b64", "mul.lo.s64"};
    switch (rnd(g, 12)) {
    case 0: put(g, "mov.b64 %%rd%u,{%%r%u,%%r%u};\n", rnd(g, RD), rnd(g, R), rnd(g, R)); return;
    case 1: {
        uint32_t a = rnd(g, R), b = (a + 1 + rnd(g, R - 1)) % R;
        put(g, "mov.b64 {%%r%u,%%r%u},%%rd%u;\n", a, b, rnd(g, RD));
        return;
    }
    case 2: put(g, "cvt.u64.u32 %%rd%u,%%r%u;\n", rnd(g, RD), rnd(g, R)); return;
    case 3: put(g, "cvt.s64.s32 %%rd%u,%%r%u;\n", rnd(g, RD), rnd(g, R)); return;
    case 4: put(g, "cvt.u32.u64 %%r%u,%%rd%u;\n", rnd(g, R), rnd(g, RD)); return;
    case 5: put(g, "mul.wide.%s %%rd%u,%%r%u,%s;\n", rnd(g, 2) ? "s32" : "u32", rnd(g, RD), rnd(g, R), source(g)); return;
    case 6: put(g, "shl.b64 %%rd%u,%%rd%u,%u;\n", rnd(g, RD), rnd(g, RD), rnd(g, 70)); return;
    case 7: put(g, "mov.b32 {%%h0,%%h1},%%r%u;\nmov.b32 %%r%u,{%%h1,%%h0};\n", rnd(g, R), rnd(g, R)); return;
    case 8: put(g, "cvt.u16.u32 %%h2,%%r%u;\ncvt.u32.u16 %%r%u,%%h2;\n", rnd(g, R), rnd(g, R)); return;
    case 9: put(g, "selp.b64 %%rd%u,%%rd%u,%%rd%u,%%p%u;\n", rnd(g, RD), rnd(g, RD), rnd(g, RD), rnd(g, P)); return;
    case 10: put(g, "mov.b64 %%rd%u,%u;\n", rnd(g, RD), rnd(g, 999)); return;
    default: put(g, "%s %%rd%u,%%rd%u,%%rd%u;\n", two[rnd(g, 6)], rnd(g, RD), rnd(g, RD), rnd(g, RD)); return;
    }
}

/* clang-format on */

static void put_store(Gen *g)
{
    put_guard(g);
    if (rnd(g, 3) == 0)
        put(g, "st.global.u64 [%%rd%u+%u],%%rd%u;\n", rnd(g, RD), 8 * rnd(g, 9), rnd(g, RD));
    else
        put(g, "st.global.u32 [%%rd%u+%u],%%r%u;\n", rnd(g, RD), 4 * rnd(g, 9), rnd(g, R));
}

static void put_block(Gen *g, uint32_t len);

static void put_control(Gen *g)
{
    uint32_t l = g->labels++;
    g->depth++;
    if (rnd(g, 2) &&
        g->loops < MAX_LOOPS) { /* a loop with a counter of its own, rotated like nvcc's */
        uint32_t c = g->loops++;
        put(g, "mov.u32 %%c%u,%u;\nL%u:\n", c, 1 + rnd(g, 4), l);
        put_block(g, 3 + rnd(g, 6));
        put(g, "add.s32 %%d%u,%%c%u,-1;\n", c, c);
        put_block(g, rnd(g, 3));
        put(g, "setp.gt.s32 %%q%u,%%c%u,1;\nmov.u32 %%c%u,%%d%u;\n@%%q%u bra L%u;\n", c, c, c, c, c,
            l);
    } else if (rnd(g, 2)) {
        const char *sign = rnd(g, 2) ? "!" : "";
        uint32_t p = rnd(g, P);
        if (rnd(g, 2)) /* around a jump, as inline assembly writes it */
            put(g, "@%s%%p%u bra N%u;\nbra L%u;\nN%u:\n", sign, p, l, l, l);
        else
            put(g, "@%s%%p%u bra L%u;\n", sign, p, l);
        put_block(g, 1 + rnd(g, 4));
        put(g, "L%u:\n", l);
    } else {
        put(g, "@%%p%u bra L%u;\n", rnd(g, P), l);
        put_block(g, 1 + rnd(g, 5));
        put(g, "bra M%u;\nL%u:\n", l, l);
        put_block(g, 1 + rnd(g, 5));
        put(g, "M%u:\n", l);
    }
    g->depth--;
}

static void put_block(Gen *g, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        uint32_t what = rnd(g, 16);
        if (what == 0 && g->depth < MAX_DEPTH)
            put_control(g);
        else if (what < 3)
            put_store(g);
        else if (what < 7)
            put_wide(g);
        else
            put_scalar(g);
    }
}

static void generate(Gen *g, uint64_t seed)
{
    *g = (Gen){.rng = seed * 0x9e3779b97f4a7c15u + 1};
    put(g, ".version 9.0\n.target sm_100a\n.address_size 64\n.visible .entry k(.param .align 8 .b8 "
           "in[32])\n{\n"
           ".reg .pred %%p<8>; .reg .pred %%q<8>; .reg .b16 %%h<4>; .reg .b32 %%r<16>; .reg .b32 "
           "%%c<8>;\n"
           ".reg .b32 %%d<8>; .reg .b64 %%rd<8>;\n");
    for (uint32_t i = 0; i < R; i++)
        put(g, i < N_PARAMS ? "ld.param.u32 %%r%u,[in+%u];\n" : "mov.u32 %%r%u,%u;\n", i,
            i < N_PARAMS ? 4 * i : i * i);
    for (uint32_t i = 0; i < RD; i++)
        put(g, "mov.b64 %%rd%u,{%%r%u,%%r%u};\n", i, i, i + 1);
    for (uint32_t i = 0; i < P; i++)
        put(g, "setp.lt.s32 %%p%u,%%r%u,%%r%u;\n", i, i, i + 1);
    put(g, "mov.b32 {%%h0,%%h1},%%r0;\nmov.b32 {%%h2,_},%%r1;\n");
    put_block(g, 12 + rnd(g, 60));
    for (uint32_t i = 0; i < R; i++)
        put(g, "st.global.u32 [%%rd0],%%r%u;\n", i);
    for (uint32_t i = 0; i < RD; i++)
        put(g, "st.global.u64 [%%rd0],%%rd%u;\n", i);
    put(g, "ret;\n}\n");
}

static void compare_runs(const Gen *g, const Eval *want, const Eval *got, const char *how)
{
    bool same = want->n_stores == got->n_stores &&
                memcmp(want->store, got->store, want->n_stores * sizeof want->store[0]) == 0;
    if (same)
        return;
    printf("%s", g->text);
    code_print(stdout, got->code);
    for (uint32_t i = 0; i < want->n_stores && i < got->n_stores; i++)
        ck_assert_msg(
            memcmp(&want->store[i], &got->store[i], sizeof want->store[i]) == 0,
            "%s: store %u: %llx = %llx, expected %llx = %llx", how, i,
            (unsigned long long)got->store[i].addr, (unsigned long long)got->store[i].value,
            (unsigned long long)want->store[i].addr, (unsigned long long)want->store[i].value);
    ck_abort_msg("%s: %u stores, expected %u", how, got->n_stores, want->n_stores);
}

START_TEST(random_programs_store_the_same)
{
    Gen *g = malloc(sizeof *g);
    Eval *want = malloc(sizeof *want), *got = malloc(sizeof *got);
    for (uint32_t p = 0; p < PROGRAMS; p++) {
        generate(g, (uint64_t)_i * PROGRAMS + p);
        Arena a = {0};
        Err err = {0};
        Module *m;
        if (!isa_parse(&a, "random.ptx", g->text, g->n, &m, &err)) {
            err_print(stderr, &err);
            ck_abort_msg("%s in:\n%s", err.msg, g->text);
        }
        memset(want, 0, sizeof *want);
        want->module = m;
        want->func = &m->funcs[0];
        for (uint32_t i = 0; i < N_PARAMS; i++)
            want->param[i] = rnd(g, 3) ? rnd(g, 20) : g->rng >> 20 & 0xffffffff;
        *got = *want;
        run(want);
        for (uint32_t scheduled = 0; scheduled < 2; scheduled++) {
            Code *c;
            if (!code_lower(&a, m, &m->funcs[0], &layout, scheduled ? &model : NULL, &c, &err))
                ck_abort_msg("%s", err.msg);
            got->code = c;
            got->n_stores = got->pc = got->steps = 0;
            memset(got->reg, 0xcc, sizeof got->reg); /* not what a register held before */
            run(got);
            compare_runs(g, want, got, scheduled ? "scheduled" : "in PTX order");
        }
        arena_free(&a);
    }
    free(g);
    free(want);
    free(got);
}
END_TEST

int main(void)
{
    Err err = {0};
    if (!model_load(&arena, "b200", &model, &err)) {
        err_print(stderr, &err);
        return 1;
    }
    Suite *s = suite_create("lower_meaning");
    TCase *t = tcase_create("random");
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, random_programs_store_the_same, 0, 2);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    arena_free(&arena);
    return failed != 0;
}
