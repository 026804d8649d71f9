/* Contraction and fusion inside basic blocks, as ptxas does them (ptx.md 5.2). An instruction whose
 * only reader is in the same block is merged into that reader. Where PTX has a row for the pair
 * (fma, three-input max, mad, setp with a boolean operation) the pair becomes that row; else both
 * stay, the first without a machine operation of its own (host), moved directly before the second.
 */
#include "sim/lower/ir.h"
#include "sim/model/model.h"

#include <string.h>

enum { MAX_OPDS = 5 };

typedef struct Fuser {
    Ir *ir;
    uint32_t *written; /* per value: last instruction of this block that wrote it, + 1 */
    bool *merged;      /* per instruction: has absorbed another, so takes no third */
    uint32_t *first_member, *next_member; /* per host, per member: instruction + 1 */
    uint32_t first;                       /* of the block */
    uint32_t n_alu, n_fma; /* machine operations of the block on either pipe so far */
} Fuser;

static Cell opd_cell(const Ir *ir, const IrInsn *in, uint32_t k)
{
    return ir->cells[ir->opds[in->opd + k].first];
}
static uint32_t bits_of(const IrInsn *in)
{
    return type_info[in->type[0]].bits;
}

/* The instruction that makes operand k of instruction i and nothing else, if it can be merged into
 * i. */
static IrInsn *inner_of(Fuser *f, uint32_t i, uint32_t k)
{
    Ir *ir = f->ir;
    const IrInsn *out = &ir->insns[i];
    if (k >= out->n_opd)
        return NULL;
    const IrOpd *o = &ir->opds[out->opd + k];
    if ((o->kind != CO_VALUE && o->kind != CO_PRED) || o->n == 0 || o->dst)
        return NULL;
    Cell v = ir->cells[o->first];
    if (!cell_is_val(v) || ir->val[v].n_defs != 1)
        return NULL;
    uint32_t d = ir->val[v].def;
    IrInsn *in = &ir->insns[d];
    if (d < f->first || d >= i || in->host != NO_INSN || !(in->flags & IF_PLAIN) ||
        in->flags & (IF_DEAD | IF_GUARD | IF_RMW | IF_COPY))
        return NULL;
    uint32_t n_dst =
        in->op == OP_SETP_INT || in->op == OP_SETP_F32 ? 1 : in->n_dst; /* second result: a sink */
    if (n_dst != o->n || (in->n_dst > n_dst && ir->cells[in->dst + 1] != CELL_SINK))
        return NULL;
    for (uint32_t g = 0; g < o->n; g++) {
        Cell c = ir->cells[o->first + g];
        if (c != ir->cells[in->dst + g] || ir->val[c].n_uses != 1 || ir->val[c].n_defs != 1)
            return NULL;
    }
    for (uint32_t s = 0; s < in->n_src; s++) {
        Cell c = ir->cells[in->src + s];
        if (cell_is_val(c) && f->written[c] > d + 1)
            return NULL;
    }
    return in;
}

/* Makes instruction i the row `op` with these operands (their cells are copied). */
static void rebuild(Fuser *f, uint32_t i, OpCode op, const IrOpd *opds, uint32_t n)
{
    Ir *ir = f->ir;
    IrInsn in = ir->insns[i];
    in.op = (uint16_t)op;
    in.n_opd = (uint8_t)n;
    in.opd = ir_opds(ir, n);
    for (uint32_t pass = 0; pass < 2; pass++) {
        bool dst = pass == 1;
        uint32_t at = ir->n_cells;
        for (uint32_t k = 0; k < n; k++) {
            IrOpd o = opds[k];
            if (o.dst != dst)
                continue;
            uint32_t to = ir_cells(ir, o.n);
            memmove(ir->cells + to, ir->cells + o.first, o.n * sizeof(Cell));
            o.first = to;
            ir->opds[in.opd + k] = o;
        }
        *(dst ? &in.dst : &in.src) = at;
        *(dst ? &in.n_dst : &in.n_src) = ir->n_cells - at;
    }
    ir_classify(ir, &in);
    ir->insns[i] = in;
}

static void add_member(Fuser *f, uint32_t inner, uint32_t host)
{
    f->ir->insns[inner].host = host;
    f->ir->insns[host].is_host = true;
    f->next_member[inner] = f->first_member[host];
    f->first_member[host] = inner + 1;
}

/* The inner instruction is gone: what was fused into it belongs to the new one. */
static void absorb(Fuser *f, uint32_t inner, uint32_t host)
{
    IrInsn *in = &f->ir->insns[inner];
    in->flags |= IF_DEAD;
    f->n_alu -= tclass_unit[in->tclass] == U_ALU;
    f->n_fma -= tclass_unit[in->tclass] == U_FMA;
    for (uint32_t m = f->first_member[inner]; m;) {
        uint32_t next = f->next_member[m - 1];
        add_member(f, m - 1, host);
        m = next;
    }
    f->first_member[inner] = 0;
    f->merged[host] = true;
}

static bool is_unguarded(const IrInsn *in)
{
    return !(in->flags & (IF_GUARD | IF_DEAD | IF_RMW));
}

/* ---- Multiply-add ---- */

typedef struct Contraction {
    uint16_t mul, add, sub, fma;
    bool despite_rn; /* ptxas fuses this form even when both are .rn */
} Contraction;
static const Contraction contractions[] = {
    {OP_MUL_F32, OP_ADD_F32, OP_SUB_F32, OP_FMA_F32, false},
    {OP_MUL_F32X2, OP_ADD_F32X2, OP_SUB_F32X2, OP_FMA_F32X2, true},
    {OP_MUL_F64, OP_ADD_F64, OP_SUB_F64, OP_FMA_F64, false},
    {OP_MUL_F16, OP_ADD_F16, OP_SUB_F16, OP_FMA_F16, false},
    {OP_MUL_BF16, OP_ADD_BF16, OP_SUB_BF16, OP_FMA_BF16, false},
};

static bool may_round(const IrInsn *in, bool despite_rn)
{
    uint8_t r = in->mod[MC_RND];
    return r == MV_RND_NONE || (despite_rn && r == MV_RND_RN);
}

/* Complements the signs of constant operand o (f32 elements); false if it is not constant. */
static bool negate_const(Ir *ir, IrOpd *o)
{
    for (uint32_t g = 0; g < o->n; g++)
        if (!cell_is_const(ir->cells[o->first + g]))
            return false;
    uint32_t to = ir_cells(ir, o->n);
    for (uint32_t g = 0; g < o->n; g++)
        ir->cells[to + g] = ir_const(ir, ir_const_bits(ir, ir->cells[o->first + g]) ^ 0x80000000u);
    o->first = to;
    return true;
}

/* Turns the place of the absorbed multiply into "-x" for a machine operand with a sign: x * -1 of
 * the same type. */
static void emit_negation(Fuser *f, uint32_t place, IrOpd *x, uint32_t host)
{
    Ir *ir = f->ir;
    IrOpd o[3] = {*x, *x, *x};
    uint32_t to = ir_cells(ir, 2u * x->n);
    for (uint32_t g = 0; g < x->n; g++) {
        ir->cells[to + g] = ir_val(ir, false);
        ir->cells[to + x->n + g] = ir_const(ir, 0xbf800000u);
    }
    o[0].first = to;
    o[0].dst = true;
    o[2].first = to + x->n;
    rebuild(f, place, x->n == 2 ? OP_MUL_F32X2 : OP_MUL_F32, o, 3);
    ir->insns[place].flags &= (uint8_t)~IF_DEAD;
    ir->insns[place].mod[MC_RND] = MV_RND_RN;
    add_member(f, place, host);
    x->first = to;
}

static bool contract(Fuser *f, uint32_t i, const Contraction *c)
{
    Ir *ir = f->ir;
    IrInsn *in = &ir->insns[i];
    bool sub = in->op == c->sub;
    if ((in->op != c->add && !sub) || !is_unguarded(in) || !may_round(in, c->despite_rn))
        return false;
    for (uint32_t k = 1; k <= 2; k++) {
        const IrInsn *m = inner_of(f, i, k);
        if (!m || m->op != c->mul || !may_round(m, c->despite_rn) ||
            m->mod[MC_FTZ] != in->mod[MC_FTZ] || m->mod[MC_SAT] || m->type[0] != in->type[0])
            continue;
        if (sub && c->mul != OP_MUL_F32 && c->mul != OP_MUL_F32X2)
            continue; /* the sign would need a row that negates this type */
        uint32_t at = (uint32_t)(m - ir->insns);
        IrOpd o[4] = {ir->opds[in->opd], ir->opds[m->opd + 1], ir->opds[m->opd + 2],
                      ir->opds[in->opd + 3 - k]};
        absorb(f, at, i);
        if (sub && k == 1 && !negate_const(ir, &o[3]))
            emit_negation(f, at, &o[3], i);
        if (sub && k == 2 && !negate_const(ir, &o[1]) && !negate_const(ir, &o[2]))
            emit_negation(f, at, &o[1], i);
        rebuild(f, i, (OpCode)c->fma, o, 4);
        ir->insns[i].mod[MC_RND] = MV_RND_RN;
        return true;
    }
    return false;
}

/* mul.lo + add, mul.wide + add: IMAD. */
static bool fuse_mad(Fuser *f, uint32_t i)
{
    Ir *ir = f->ir;
    IrInsn *in = &ir->insns[i];
    if (in->op != OP_ADD_INT || !is_unguarded(in))
        return false;
    for (uint32_t k = 1; k <= 2; k++) {
        const IrInsn *m = inner_of(f, i, k);
        bool lo = m && m->op == OP_MUL_LO && bits_of(m) == 32 && bits_of(in) == 32;
        bool wide = m && m->op == OP_MUL_WIDE && bits_of(m) == 32 && bits_of(in) == 64;
        if (!lo && !wide)
            continue;
        uint32_t at = (uint32_t)(m - ir->insns);
        IrOpd o[4] = {ir->opds[in->opd], ir->opds[m->opd + 1], ir->opds[m->opd + 2],
                      ir->opds[in->opd + 3 - k]};
        in->type[0] = m->type[0];
        in->mod[MC_MUL] = m->mod[MC_MUL];
        absorb(f, at, i);
        rebuild(f, i, lo ? OP_MAD_LO : OP_MAD_WIDE, o, 4);
        return true;
    }
    return false;
}

/* shl by a constant + add: LEA on the ALU pipe or IMAD on the FMA pipe, whichever has less to do.
 * As a row: mad.lo. */
static bool fuse_lea(Fuser *f, uint32_t i)
{
    Ir *ir = f->ir;
    IrInsn *in = &ir->insns[i];
    if (in->op != OP_ADD_INT || !is_unguarded(in) || bits_of(in) != 32)
        return false;
    for (uint32_t k = 1; k <= 2; k++) {
        const IrInsn *s = inner_of(f, i, k);
        if (!s || s->op != OP_SHL || bits_of(s) != 32 || !cell_is_const(opd_cell(ir, s, 2)))
            continue;
        uint32_t n = ir_const_bits(ir, opd_cell(ir, s, 2));
        if (n > 31)
            continue;
        uint32_t at = (uint32_t)(s - ir->insns), factor = ir_cells(ir, 1);
        ir->cells[factor] = ir_const(ir, 1u << n);
        IrOpd o[4] = {ir->opds[in->opd], ir->opds[s->opd + 1], ir->opds[s->opd + 2],
                      ir->opds[in->opd + 3 - k]};
        o[2].first = factor;
        in->mod[MC_MUL] = MV_MUL_LO;
        absorb(f, at, i);
        rebuild(f, i, OP_MAD_LO, o, 4);
        ir->insns[i].tclass = f->n_fma < f->n_alu ? TC_IMAD : TC_ALU;
        return true;
    }
    return false;
}

/* max(max(a, b), c), min likewise. */
static bool fuse_minmax(Fuser *f, uint32_t i)
{
    Ir *ir = f->ir;
    IrInsn *in = &ir->insns[i];
    bool three = !ir->model || ir->model->v[MP_MINMAX_THREE] > 0.5;
    if (!three || (in->op != OP_MAX_F32 && in->op != OP_MIN_F32) || !is_unguarded(in) ||
        in->mod[MC_XSA])
        return false;
    for (uint32_t k = 1; k <= 2; k++) {
        const IrInsn *m = inner_of(f, i, k);
        if (!m || m->op != in->op || m->mod[MC_FTZ] != in->mod[MC_FTZ] ||
            m->mod[MC_NAN] != in->mod[MC_NAN] || m->mod[MC_XSA])
            continue;
        IrOpd o[4] = {ir->opds[in->opd], ir->opds[m->opd + 1], ir->opds[m->opd + 2],
                      ir->opds[in->opd + 3 - k]};
        absorb(f, (uint32_t)(m - ir->insns), i);
        rebuild(f, i, in->op == OP_MAX_F32 ? OP_MAX3_F32 : OP_MIN3_F32, o, 4);
        return true;
    }
    return false;
}

/* ---- Predicates ---- */

static bool is_setp(const IrInsn *in)
{
    return in->op == OP_SETP_INT || in->op == OP_SETP_F32;
}

/* setp + and/or/xor.pred: setp with a boolean operation. */
static bool fuse_setp(Fuser *f, uint32_t i)
{
    Ir *ir = f->ir;
    IrInsn *in = &ir->insns[i];
    uint8_t bop = in->op == OP_AND_PRED   ? MV_BOOL_AND
                  : in->op == OP_OR_PRED  ? MV_BOOL_OR
                  : in->op == OP_XOR_PRED ? MV_BOOL_XOR
                                          : 0;
    if (!bop || !is_unguarded(in))
        return false;
    for (uint32_t k = 1; k <= 2; k++) {
        const IrInsn *s = inner_of(f, i, k);
        if (!s || !is_setp(s) || s->mod[MC_BOOL] || ir->opds[in->opd + k].neg)
            continue;
        IrOpd o[MAX_OPDS] = {ir->opds[in->opd],
                             {0},
                             ir->opds[s->opd + 2],
                             ir->opds[s->opd + 3],
                             ir->opds[in->opd + 3 - k]};
        memcpy(in->mod, s->mod, sizeof in->mod);
        memcpy(in->type, s->type, sizeof in->type);
        in->mod[MC_BOOL] = bop;
        OpCode op = (OpCode)s->op;
        absorb(f, (uint32_t)(s - ir->insns), i);
        rebuild(f, i, op, o, MAX_OPDS);
        return true;
    }
    return false;
}

/* ---- Pairs without a row ---- */

static bool is_logic(const IrInsn *in)
{
    bool row = in->op == OP_AND_BITS || in->op == OP_OR_BITS || in->op == OP_XOR_BITS ||
               in->op == OP_NOT_BITS;
    return row && bits_of(in) == 32;
}

static bool is_sum(const IrInsn *in)
{
    return (in->op == OP_ADD_INT || in->op == OP_SUB_INT) && bits_of(in) == 32;
}

static bool is_pred_logic(const IrInsn *in)
{
    return in->op == OP_AND_PRED || in->op == OP_OR_PRED || in->op == OP_XOR_PRED ||
           in->op == OP_NOT_PRED;
}

/* LOP3 can leave "result != 0" in a predicate. */
static bool is_zero_test(const Ir *ir, const IrInsn *in)
{
    if (in->op != OP_SETP_INT || bits_of(in) != 32 || in->mod[MC_BOOL])
        return false;
    Cell c = opd_cell(ir, in, 3);
    return (in->mod[MC_CMP] == MV_CMP_EQ || in->mod[MC_CMP] == MV_CMP_NE) && cell_is_const(c) &&
           ir_const_bits(ir, c) == 0;
}

/* Negation and absolute value are modifiers of floating-point operands. */
static bool is_sign(const IrInsn *in)
{
    return in->op == OP_NEG_F32 || in->op == OP_ABS_F32;
}

static bool takes_signs(const IrInsn *in)
{
    return in->type[0] == T_F32 &&
           (in->tclass == TC_FMA || in->tclass == TC_MINMAX || in->tclass == TC_EX2 ||
            in->tclass == TC_MUFU || in->op == OP_SETP_F32);
}

static bool is_pair(const Ir *ir, const IrInsn *inner, const IrInsn *outer)
{
    if (is_logic(inner))
        return is_logic(outer) || is_zero_test(ir, outer);
    if (is_sum(inner))
        return is_sum(outer);
    if (is_pred_logic(inner))
        return is_pred_logic(outer);
    return false;
}

static bool fuse_pair(Fuser *f, uint32_t i)
{
    Ir *ir = f->ir;
    const IrInsn *in = &ir->insns[i];
    bool any = false;
    for (uint32_t k = 1; k < in->n_opd; k++) {
        const IrInsn *m = inner_of(f, i, k);
        if (!m)
            continue;
        uint32_t at = (uint32_t)(m - ir->insns);
        bool sign = (is_sign(m) && takes_signs(in)) ||
                    (m->op == OP_NEG_INT && bits_of(m) == 32 && is_sum(in));
        bool half = in->op == OP_MOV_PACK && m->op == OP_CVT_NARROW; /* two of them: one F2FP */
        bool pair = !f->merged[at] && !f->merged[i] && is_pair(ir, m, in);
        if (!sign && !half && !pair)
            continue;
        add_member(f, at, i);
        if (pair)
            f->merged[i] = true;
        if (half)
            ir->insns[i].tclass = TC_F2FP;
        any = true;
    }
    return any;
}

/* Both halves of a pack are in one operand. */
static void fuse_pack(Fuser *f, uint32_t i)
{
    Ir *ir = f->ir;
    const IrInsn *in = &ir->insns[i];
    if (in->op != OP_MOV_PACK || !is_unguarded(in))
        return;
    for (uint32_t g = 0; g < in->n_src; g++) {
        Cell c = ir->cells[in->src + g];
        if (!cell_is_val(c) || ir->val[c].n_defs != 1 || ir->val[c].n_uses != 1)
            continue;
        uint32_t d = ir->val[c].def;
        const IrInsn *m = &ir->insns[d];
        if (d < f->first || d >= i || m->op != OP_CVT_NARROW || !is_unguarded(m) ||
            m->host != NO_INSN ||
            (cell_is_val(ir->cells[m->src]) && f->written[ir->cells[m->src]] > d + 1))
            continue;
        add_member(f, d, i);
        ir->insns[i].tclass = TC_F2FP;
    }
}

/* ---- The pass ---- */

static void fuse_insn(Fuser *f, uint32_t i)
{
    bool done = false;
    for (uint32_t c = 0; c < sizeof contractions / sizeof contractions[0] && !done; c++)
        done = contract(f, i, &contractions[c]);
    done = done || fuse_mad(f, i) || fuse_lea(f, i) || fuse_minmax(f, i) || fuse_setp(f, i);
    if (is_unguarded(&f->ir->insns[i]))
        fuse_pair(f, i);
    fuse_pack(f, i);
    const IrInsn *in = &f->ir->insns[i];
    Unit u = tclass_unit[in->tclass];
    f->n_alu += u == U_ALU;
    f->n_fma += u == U_FMA;
}

/* Writes instruction i, after those fused into it (in their old order), to out. */
static uint32_t put_group(const Fuser *f, uint32_t i, IrInsn *out, uint32_t n)
{
    uint32_t members[16], m = 0;
    for (uint32_t k = f->first_member[i]; k && m < 16; k = f->next_member[k - 1])
        members[m++] = k - 1;
    for (uint32_t a = 1; a < m; a++)
        for (uint32_t b = a; b > 0 && members[b - 1] > members[b]; b--) {
            uint32_t t = members[b];
            members[b] = members[b - 1];
            members[b - 1] = t;
        }
    for (uint32_t a = 0; a < m; a++)
        n = put_group(f, members[a], out, n);
    out[n++] = f->ir->insns[i];
    return n;
}

/* Moves fused instructions directly before their hosts. host then means: the next instruction with
 * host NO_INSN. */
static void gather(Fuser *f, const Block *b, IrInsn *tmp)
{
    Ir *ir = f->ir;
    uint32_t n = 0;
    for (uint32_t i = b->first; i < b->first + b->n; i++)
        if (ir->insns[i].host == NO_INSN || ir->insns[i].flags & IF_DEAD)
            n = put_group(f, i, tmp, n);
    memcpy(ir->insns + b->first, tmp, n * sizeof *tmp);
    uint32_t host = NO_INSN;
    for (uint32_t i = b->first + b->n; i-- > b->first;) {
        IrInsn *in = &ir->insns[i];
        if (in->flags & IF_DEAD)
            continue;
        if (in->host == NO_INSN)
            host = i;
        else
            in->host = host;
    }
}

void fuse_ops(Ir *ir)
{
    ir_count(ir);
    Fuser f = {.ir = ir};
    uint32_t most = ir->n_vals + 2 * ir->n_insns +
                    2; /* negations make new values, at most two per instruction */
    ValInfo *val = arena_new(ir->a, ValInfo, most);
    memcpy(val, ir->val, ir->n_vals * sizeof *val);
    ir->val = val;
    f.written = arena_new(ir->a, uint32_t, most);
    f.merged = arena_new(ir->a, bool, ir->n_insns + 1);
    f.first_member = arena_new(ir->a, uint32_t, ir->n_insns + 1);
    f.next_member = arena_new(ir->a, uint32_t, ir->n_insns + 1);
    IrInsn *tmp = arena_new(ir->a, IrInsn, ir->n_insns + 1);
    for (uint32_t b = 0; b < ir->n_blocks; b++) {
        const Block *blk = &ir->blocks[b];
        f.first = blk->first;
        f.n_alu = f.n_fma = 0;
        for (uint32_t i = blk->first; i < blk->first + blk->n; i++) {
            const IrInsn *in = &ir->insns[i];
            if (in->flags & IF_DEAD)
                continue;
            if (in->flags & IF_PLAIN && !(in->flags & IF_COPY))
                fuse_insn(&f, i);
            in = &ir->insns[i];
            for (uint32_t k = 0; k < in->n_dst; k++)
                if (cell_is_val(ir->cells[in->dst + k]))
                    f.written[ir->cells[in->dst + k]] = i + 1;
        }
        gather(&f, blk, tmp);
    }
}
