/* Comparison, selection, predicates, all types and modifiers; see alu_case.h. */
#include "tests/alu_case.h"

static uint64_t r_setp(const Case *c, const uint64_t *s, uint32_t *p)
{
    bool lt, eq, un = false;
    if (type_info[c->t0].kind == 'F') {
        double x = c->t0 == T_F64 ? f64(s[0]) : (double)flush(c, f32(s[0]));
        double y = c->t0 == T_F64 ? f64(s[1]) : (double)flush(c, f32(s[1]));
        un = isnan(x) || isnan(y);
        lt = x < y;
        eq = x == y;
    } else {
        lt = num(c, s[0]) < num(c, s[1]);
        eq = num(c, s[0]) == num(c, s[1]);
    }
    bool gt = !un && !lt && !eq, r = false;
    switch (mod(c, MC_CMP)) {
    case MV_CMP_EQ:
        r = eq;
        break;
    case MV_CMP_NE:
        r = !eq && !un;
        break;
    case MV_CMP_LT:
    case MV_CMP_LO:
        r = lt;
        break;
    case MV_CMP_LE:
    case MV_CMP_LS:
        r = lt || eq;
        break;
    case MV_CMP_GT:
    case MV_CMP_HI:
        r = gt;
        break;
    case MV_CMP_GE:
    case MV_CMP_HS:
        r = gt || eq;
        break;
    case MV_CMP_EQU:
        r = eq || un;
        break;
    case MV_CMP_NEU:
        r = !eq;
        break;
    case MV_CMP_LTU:
        r = lt || un;
        break;
    case MV_CMP_LEU:
        r = lt || eq || un;
        break;
    case MV_CMP_GTU:
        r = gt || un;
        break;
    case MV_CMP_GEU:
        r = gt || eq || un;
        break;
    case MV_CMP_NUM:
        r = !un;
        break;
    case MV_CMP_NAN:
        r = un;
        break;
    }
    bool k = s[2] & 1, q = !r;
    switch (mod(c, MC_BOOL)) {
    case MV_BOOL_AND:
        r = r && k;
        q = q && k;
        break;
    case MV_BOOL_OR:
        r = r || k;
        q = q || k;
        break;
    case MV_BOOL_XOR:
        r = r != k;
        q = q != k;
        break;
    }
    *p = (uint32_t)r | (uint32_t)q << 1;
    return 0;
}

static uint64_t r_sel(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    switch (c->op) {
    case OP_SELP:
        return s[2] ? s[0] : s[1];
    case OP_SLCT_S32:
        return (int32_t)s[2] >= 0 ? s[0] : s[1];
    case OP_SLCT_F32:
        return flush(c, f32(s[2])) >= 0.0f ? s[0] : s[1];
    case OP_MOV:
        return s[0];
    case OP_COPYSIGN:
        return c->t0 == T_F32 ? (s[1] & 0x7fffffff) | (s[0] & 0x80000000u)
                              : (s[1] & ~(UINT64_C(1) << 63)) | (s[0] & UINT64_C(1) << 63);
    default:
        abort();
    }
}

static uint64_t r_pred(const Case *c, const uint64_t *s, uint32_t *p)
{
    *p = (uint32_t)(c->op == OP_AND_PRED   ? s[0] & s[1]
                    : c->op == OP_OR_PRED  ? s[0] | s[1]
                    : c->op == OP_XOR_PRED ? s[0] ^ s[1]
                    : c->op == OP_NOT_PRED ? !s[0]
                                           : s[0]);
    return 0;
}

/* A zero counts as normal. */
static uint64_t r_testp(const Case *c, const uint64_t *s, uint32_t *p)
{
    int k = c->t0 == T_F64 ? fpclassify(f64(s[0])) : fpclassify(f32(s[0]));
    switch (mod(c, MC_TESTOP)) {
    case MV_TESTOP_FINITE:
        *p = k == FP_NORMAL || k == FP_SUBNORMAL || k == FP_ZERO;
        break;
    case MV_TESTOP_INFINITE:
        *p = k == FP_INFINITE;
        break;
    case MV_TESTOP_NUMBER:
        *p = k != FP_NAN;
        break;
    case MV_TESTOP_NOTANUMBER:
        *p = k == FP_NAN;
        break;
    case MV_TESTOP_NORMAL:
        *p = k == FP_NORMAL || k == FP_ZERO;
        break;
    case MV_TESTOP_SUBNORMAL:
        *p = k == FP_SUBNORMAL;
        break;
    }
    return 0;
}

static void comparisons(void)
{
    for (uint8_t b = 0; b <= MV_BOOL_XOR; b++)
        for (uint8_t q = 0; q < 2; q++) {
            const char *pat = b ? (q ? "PPSSQ" : "PSSQ") : (q ? "PPSS" : "PSS");
            for (uint8_t m = MV_CMP_EQ; m <= MV_CMP_HS; m++)
                for (size_t t = 0; t < 6; t++)
                    if (m <= MV_CMP_GE || type_info[int_types[t]].kind == 'U')
                        CHECK(OP_SETP_INT, int_types[t], 0, sig(pat, 0, slots_of(int_types[t])),
                              r_setp, {{MC_CMP, m}, {MC_BOOL, b}});
            for (uint8_t m = MV_CMP_EQ; m <= MV_CMP_NAN; m++) {
                if (m >= MV_CMP_LO && m <= MV_CMP_HS)
                    continue;
                for (uint8_t ftz = 0; ftz < 2; ftz++)
                    CHECK(OP_SETP_F32, T_F32, 0, sig(pat, 0, 1), r_setp,
                          {{MC_CMP, m}, {MC_BOOL, b}, {MC_FTZ, ftz}});
                CHECK(OP_SETP_F64, T_F64, 0, sig(pat, 0, 2), r_setp, {{MC_CMP, m}, {MC_BOOL, b}});
            }
        }
    static const PtxType sel[] = {T_B16, T_F32, T_B64};
    for (size_t t = 0; t < 3; t++) {
        uint32_t n = slots_of(sel[t]), keep = type_info[sel[t]].bits == 16 ? 16 : 0;
        CHECK(OP_SELP, sel[t], 0, sig("DSSQ", n, n), r_sel, .bits = keep);
        CHECK(OP_SLCT_S32, sel[t], T_S32, n == 2 ? "D2S2S2S1" : "D1S1S1S1", r_sel, .bits = keep);
        CHECK(OP_SLCT_F32, sel[t], T_F32, n == 2 ? "D2S2S2S1" : "D1S1S1S1", r_sel, {{MC_FTZ, 1}},
              .bits = keep);
        CHECK(OP_MOV, sel[t], 0, sig("DS", n, n), r_sel, .bits = keep);
    }
    CHECK(OP_COPYSIGN, T_F32, 0, "D1S1S1", r_sel);
    CHECK(OP_COPYSIGN, T_F64, 0, "D2S2S2", r_sel);
    static const OpCode logic[] = {OP_AND_PRED, OP_OR_PRED, OP_XOR_PRED, OP_NOT_PRED, OP_MOV_PRED};
    for (size_t k = 0; k < 5; k++)
        CHECK(logic[k], T_PRED, 0, k < 3 ? "P1Q1Q1" : "P1Q1", r_pred);
    for (uint8_t m = MV_TESTOP_FINITE; m <= MV_TESTOP_SUBNORMAL; m++) {
        CHECK(OP_TESTP, T_F32, 0, "P1S1", r_testp, {{MC_TESTOP, m}});
        CHECK(OP_TESTP, T_F64, 0, "P1S2", r_testp, {{MC_TESTOP, m}});
    }
}

int main(void)
{
    comparisons();
    printf("%u cases, %d failures\n", n_cases, failures);
    return failures ? 1 : 0;
}
