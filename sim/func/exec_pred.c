/* Comparison and selection, and logic on predicates. PTX ISA "Comparison and Selection
 * Instructions". */
#include "sim/func/exec_decl.h"
#include "sim/func/vec.h"

#include <math.h>

static bool bind(PlainFn *fn, Bound *out)
{
    out->plain = fn;
    return fn != NULL;
}

/* p = r op c, q = !r op c. Without q there is one predicate less in front of c. */
void setp_combine(Warp *w, const XInsn *in, uint32_t mask, uint32_t r)
{
    uint32_t op = in->ci->mod[MC_BOOL], n = in->n_preds, p = r, q = ~r;
    bool has_q = n - (op != 0) == 2;
    uint32_t c = op ? pred_lanes(w, in->pred[n - 1], in->pred_neg >> (n - 1) & 1) : 0;
    switch (op) {
    case MV_BOOL_AND:
        p &= c;
        q &= c;
        break;
    case MV_BOOL_OR:
        p |= c;
        q |= c;
        break;
    case MV_BOOL_XOR:
        p ^= c;
        q ^= c;
        break;
    }
    set_pred(w, in->pred[0], mask, p);
    if (has_q)
        set_pred(w, in->pred[1], mask, q);
}

/* lo, ls, hi, hs are lt, le, gt, ge of unsigned numbers. */
static const uint8_t cmp_of[] = {
    [MV_CMP_EQ] = VC_EQ,   [MV_CMP_NE] = VC_NE,   [MV_CMP_LT] = VC_LT,   [MV_CMP_LE] = VC_LE,
    [MV_CMP_GT] = VC_GT,   [MV_CMP_GE] = VC_GE,   [MV_CMP_LO] = VC_LT,   [MV_CMP_LS] = VC_LE,
    [MV_CMP_HI] = VC_GT,   [MV_CMP_HS] = VC_GE,   [MV_CMP_EQU] = VC_EQU, [MV_CMP_NEU] = VC_NEU,
    [MV_CMP_LTU] = VC_LTU, [MV_CMP_LEU] = VC_LEU, [MV_CMP_GTU] = VC_GTU, [MV_CMP_GEU] = VC_GEU,
    [MV_CMP_NUM] = VC_NUM, [MV_CMP_NAN] = VC_NAN,
};

bool exec_setp_int(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    VecInt t = vec_int(in->type[0]);
    VecCmp cmp = cmp_of[in->mod[MC_CMP]];
    if (t == VI_TYPES || cmp >= VC_INTS)
        return false;
    return bind(vec_fns(out->isa)->i.setp[cmp][t], out);
}

bool exec_setp_f32(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    return bind(vec_fns(out->isa)->f.setp[cmp_of[in->mod[MC_CMP]]][in->mod[MC_FTZ] != 0], out);
}

static bool compare(VecCmp cmp, double x, double y)
{
    bool unordered = isnan(x) || isnan(y);
    switch (cmp) {
    case VC_EQ:
        return x == y;
    case VC_NE:
        return !unordered && x != y;
    case VC_LT:
        return x < y;
    case VC_LE:
        return x <= y;
    case VC_GT:
        return x > y;
    case VC_GE:
        return x >= y;
    case VC_EQU:
        return unordered || x == y;
    case VC_NEU:
        return unordered || x != y;
    case VC_LTU:
        return unordered || x < y;
    case VC_LEU:
        return unordered || x <= y;
    case VC_GTU:
        return unordered || x > y;
    case VC_GEU:
        return unordered || x >= y;
    case VC_NUM:
        return !unordered;
    case VC_NAN:
        return unordered;
    case VC_CMPS:
        break;
    }
    return false;
}

static void setp_f64(Warp *w, const XInsn *in, uint32_t mask)
{
    VecCmp cmp = cmp_of[in->ci->mod[MC_CMP]];
    uint32_t r = 0;
    for (uint32_t i = 0; i < WARP; i++) {
        double v[2];
        for (int k = 0; k < 2; k++) {
            uint64_t bits = row(w, in->row[2 * k])[i] | (uint64_t)row(w, in->row[2 * k + 1])[i]
                                                            << 32;
            memcpy(&v[k], &bits, sizeof v[k]);
        }
        r |= (uint32_t)compare(cmp, v[0], v[1]) << i;
    }
    setp_combine(w, in, mask, r);
}

bool exec_setp_f64(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c, (void)in;
    return bind(setp_f64, out);
}

/* Half `half` of a packed pair, or the value itself, as a number. */
static double half_value(const CodeInsn *ci, uint32_t bits, uint32_t half)
{
    bool bf16 = ci->type[0] == T_BF16 || ci->type[0] == T_BF16X2;
    uint32_t h = bits >> 16 * half & 0xffff;
    if (ci->mod[MC_FTZ] && !bf16 && (h & 0x7c00) == 0)
        h &= 0x8000;
    return num_float(
        (uint32_t)num_convert(NUM_F32, bf16 ? NUM_BF16 : NUM_F16, h, (NumMode){.rnd = NUM_RN}));
}

static uint32_t compare_halves(const Warp *w, const XInsn *in, uint32_t half)
{
    VecCmp cmp = cmp_of[in->ci->mod[MC_CMP]];
    uint32_t r = 0;
    for (uint32_t i = 0; i < WARP; i++) {
        double x = half_value(in->ci, row(w, in->row[0])[i], half);
        double y = half_value(in->ci, row(w, in->row[1])[i], half);
        r |= (uint32_t)compare(cmp, x, y) << i;
    }
    return r;
}

static void setp_f16(Warp *w, const XInsn *in, uint32_t mask)
{
    setp_combine(w, in, mask, compare_halves(w, in, 0));
}

bool exec_setp_f16(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c, (void)in;
    return bind(setp_f16, out);
}

/* p from the low halves, q from the high ones. */
static void setp_f16x2(Warp *w, const XInsn *in, uint32_t mask)
{
    uint32_t op = in->ci->mod[MC_BOOL], r[2];
    uint32_t c = op ? pred_lanes(w, in->pred[2], in->pred_neg >> 2 & 1) : 0;
    for (uint32_t half = 0; half < 2; half++) {
        r[half] = compare_halves(w, in, half);
        r[half] = op == MV_BOOL_AND ? r[half] & c : op == MV_BOOL_OR ? r[half] | c : r[half] ^ c;
    }
    set_pred(w, in->pred[0], mask, r[0]);
    set_pred(w, in->pred[1], mask, r[1]);
}

bool exec_setp_f16x2(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c, (void)in;
    return bind(setp_f16x2, out);
}

/* ---- set: the comparison as a number ---- */

/* Operand k (0 a, 1 b) in a lane, cut to its type. */
static uint64_t set_operand(const Warp *w, const XInsn *in, uint32_t k, uint32_t lane)
{
    const CodeOpd *o = opd(w, in, k + 1);
    uint64_t v = opd_u64(w, o, lane);
    uint32_t bits = type_info[in->ci->type[1]].bits;
    return bits < 64 ? v & ((UINT64_C(1) << bits) - 1) : v;
}

static double set_float(const CodeInsn *ci, uint64_t v)
{
    switch (ci->type[1]) {
    case T_F64: {
        double d;
        memcpy(&d, &v, sizeof d);
        return d;
    }
    case T_F32:
        return num_float(ci->mod[MC_FTZ] ? num_ftz_f32((uint32_t)v) : (uint32_t)v);
    default: {
        bool bf16 = ci->type[1] == T_BF16 || ci->type[1] == T_BF16X2;
        uint32_t h = (uint32_t)v & 0xffff;
        if (ci->mod[MC_FTZ] && !bf16 && (h & 0x7c00) == 0)
            h &= 0x8000;
        return num_float(
            (uint32_t)num_convert(NUM_F32, bf16 ? NUM_BF16 : NUM_F16, h, (NumMode){.rnd = NUM_RN}));
    }
    }
}

static bool set_compare(const CodeInsn *ci, uint64_t a, uint64_t b)
{
    const TypeInfo *t = &type_info[ci->type[1]];
    VecCmp cmp = cmp_of[ci->mod[MC_CMP]];
    if (t->kind == 'F')
        return compare(cmp, set_float(ci, a), set_float(ci, b));
    if (t->kind == 'S') { /* moves the sign bit so that unsigned order is signed order */
        a ^= UINT64_C(1) << (t->bits - 1);
        b ^= UINT64_C(1) << (t->bits - 1);
    }
    return compare(cmp, a < b ? -1 : a > b, 0);
}

static bool set_combine(const Warp *w, const XInsn *in, bool r, uint32_t lane)
{
    uint32_t op = in->ci->mod[MC_BOOL];
    bool c = op && (pred_lanes(w, in->pred[0], in->pred_neg & 1) >> lane & 1);
    return op == MV_BOOL_AND ? r && c : op == MV_BOOL_OR ? r || c : op == MV_BOOL_XOR ? r != c : r;
}

/* 1.0 of a float destination, all ones of an integer one. */
static uint32_t set_true(PtxType to)
{
    switch (to) {
    case T_F32:
        return 0x3f800000;
    case T_F16:
    case T_F16X2:
        return 0x3c00;
    case T_BF16:
    case T_BF16X2:
        return 0x3f80;
    case T_U16:
    case T_S16:
        return 0xffff;
    default:
        return UINT32_MAX;
    }
}

static void set(Warp *w, const XInsn *in, uint32_t mask)
{
    for (uint32_t i = 0; i < WARP; i++) {
        bool r = set_compare(in->ci, set_operand(w, in, 0, i), set_operand(w, in, 1, i));
        if (mask >> i & 1)
            row(w, in->row[0])[i] =
                set_combine(w, in, r, i) ? set_true((PtxType)in->ci->type[0]) : 0;
    }
}

bool exec_set(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c, (void)in;
    return bind(set, out);
}

/* Each half by itself; an integer destination gets 16 ones for each. */
static void set_x2(Warp *w, const XInsn *in, uint32_t mask)
{
    uint32_t yes = set_true((PtxType)in->ci->type[0]) & 0xffff;
    for (uint32_t i = 0; i < WARP; i++) {
        uint32_t a = row(w, in->row[1])[i], b = row(w, in->row[2])[i], r = 0;
        for (uint32_t j = 0; j < 2; j++)
            if (set_combine(w, in, set_compare(in->ci, a >> 16 * j, b >> 16 * j), i))
                r |= yes << 16 * j;
        if (mask >> i & 1)
            row(w, in->row[0])[i] = r;
    }
}

bool exec_set_x2(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c, (void)in;
    return bind(set_x2, out);
}

bool exec_selp(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    const VecMoves *m = &vec_fns(out->isa)->m;
    return bind(type_info[in->type[0]].bits == 64 ? m->selp64 : m->selp32, out);
}

/* slct d, a, b, c: a if c >= 0 (for f32 -0 too, a NaN not), else b. */
static void slct(Warp *w, const XInsn *in, uint32_t mask)
{
    uint32_t n = type_info[in->ci->type[0]].bits == 64 ? 2 : 1;
    const uint32_t *sel = row(w, in->row[3 * n]);
    for (uint32_t i = 0; i < WARP; i++) {
        bool first = (int32_t)sel[i] >= 0;
        if (in->ci->type[1] == T_F32) {
            uint32_t v = in->ci->mod[MC_FTZ] ? num_ftz_f32(sel[i]) : sel[i];
            first = num_float(v) >= 0.0f;
        }
        uint32_t v[2] = {0, 0};
        for (uint32_t k = 0; k < n; k++)
            v[k] = row(w, in->row[(first ? n : 2 * n) + k])[i];
        for (uint32_t k = 0; k < n; k++)
            if (mask >> i & 1)
                row(w, in->row[k])[i] = v[k];
    }
}

bool exec_slct(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c, (void)in;
    return bind(slct, out);
}

static bool testp_value(uint8_t op, int kind)
{
    switch (op) {
    case MV_TESTOP_FINITE:
        return kind != FP_INFINITE && kind != FP_NAN;
    case MV_TESTOP_INFINITE:
        return kind == FP_INFINITE;
    case MV_TESTOP_NUMBER:
        return kind != FP_NAN;
    case MV_TESTOP_NOTANUMBER:
        return kind == FP_NAN;
    case MV_TESTOP_NORMAL:
        return kind == FP_NORMAL || kind == FP_ZERO;
    case MV_TESTOP_SUBNORMAL:
        return kind == FP_SUBNORMAL;
    default:
        return false;
    }
}

static void testp(Warp *w, const XInsn *in, uint32_t mask)
{
    uint32_t r = 0;
    for (uint32_t i = 0; i < WARP; i++) {
        uint32_t lo = row(w, in->row[0])[i];
        int kind = fpclassify(num_float(lo));
        if (in->ci->type[0] == T_F64) {
            uint64_t bits = lo | (uint64_t)row(w, in->row[1])[i] << 32;
            double v;
            memcpy(&v, &bits, sizeof v);
            kind = fpclassify(v);
        }
        r |= (uint32_t)testp_value(in->ci->mod[MC_TESTOP], kind) << i;
    }
    set_pred(w, in->pred[0], mask, r);
}

bool exec_testp(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c, (void)in;
    return bind(testp, out);
}

/* ---- Predicates ---- */

static uint32_t source(const Warp *w, const XInsn *in, uint32_t k)
{
    return pred_lanes(w, in->pred[k], in->pred_neg >> k & 1);
}

#define PRED_OP(name, expr)                                                                        \
    static void name(Warp *w, const XInsn *in, uint32_t mask)                                      \
    {                                                                                              \
        set_pred(w, in->pred[0], mask, expr);                                                      \
    }                                                                                              \
    bool exec_##name(const Code *c, const CodeInsn *in, Bound *out)                                \
    {                                                                                              \
        (void)c, (void)in;                                                                         \
        return bind(name, out);                                                                    \
    }

/* clang-format off */
PRED_OP(and_pred, source(w, in, 1) & source(w, in, 2))
PRED_OP(or_pred,  source(w, in, 1) | source(w, in, 2))
PRED_OP(xor_pred, source(w, in, 1) ^ source(w, in, 2))
PRED_OP(not_pred, ~source(w, in, 1))
PRED_OP(mov_pred, source(w, in, 1))
/* clang-format on */
