/* Integer instructions that kernels use now and then, carry chains, set, cvt.pack; see alu_case.h.
 * References: 128-bit integers, loops over bits, PTX ISA's own pseudo code. */
#include "tests/alu_case.h"
#include "tests/ptx_run.h"

static I128 clamp(I128 v, I128 lo, I128 hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static I128 s32_of(uint64_t v)
{
    return (int32_t)(uint32_t)v;
}

/* Low 24 bits of a register as a number of the case's signedness. */
static I128 n24(const Case *c, uint64_t v)
{
    I128 x = (I128)(v & 0xffffff);
    return is_signed(c) && x >= 0x800000 ? x - 0x1000000 : x;
}

static uint64_t r_sat(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    I128 a = s32_of(s[0]), b = s32_of(s[1]), d = s32_of(s[2]), r = 0;
    if (c->op == OP_ADD_SAT)
        r = a + b;
    if (c->op == OP_SUB_SAT)
        r = a - b;
    if (c->op == OP_MAD_SAT)
        r = (a * b >> 32) + d;
    if (c->op == OP_MAD24_SAT)
        r = (int32_t)(uint32_t)((uint64_t)(n24(c, s[0]) * n24(c, s[1])) >> 16);
    if (c->op == OP_MAD24_SAT)
        r += d;
    return (uint32_t)clamp(r, INT32_MIN, INT32_MAX);
}

static uint64_t r_24(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    I128 t = n24(c, s[0]) * n24(c, s[1]);
    I128 part = mod(c, MC_MUL) == MV_MUL_HI ? t >> 16 : t; /* bits 47..16 or 31..0 */
    return (uint32_t)(part + (c->op == OP_MAD24 ? (I128)(uint32_t)s[2] : 0));
}

static uint64_t r_sad(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    I128 d = num(c, s[0]) - num(c, s[1]);
    return (uint64_t)((d < 0 ? -d : d) + num(c, s[2]));
}

/* Element k of `bits` bits. */
static I128 element(uint64_t v, uint32_t k, uint32_t bits, bool sign)
{
    I128 x = (I128)(v >> bits * k & ((UINT64_C(1) << bits) - 1));
    return sign && x >> (bits - 1) ? x - ((I128)1 << bits) : x;
}

static uint64_t r_x2(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    uint32_t n = type_info[c->t0].count, bits = 32 / n;
    uint64_t r = 0;
    for (uint32_t k = 0; k < n; k++) {
        I128 a = element(s[0], k, bits, is_signed(c)), b = element(s[1], k, bits, is_signed(c));
        I128 v = a + b;
        if (c->op == OP_MIN_X2 || c->op == OP_MIN_RELU)
            v = a < b ? a : b;
        if (c->op == OP_MAX_X2 || c->op == OP_MAX_RELU)
            v = a > b ? a : b;
        if ((c->op == OP_MIN_RELU || c->op == OP_MAX_RELU) && v < 0)
            v = 0;
        r |= ((uint64_t)v & ((UINT64_C(1) << bits) - 1)) << bits * k;
    }
    return r;
}

/* The pseudo code of the manual, base above 31 not found (undefined there). */
static uint64_t r_fns(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)c, (void)p;
    uint32_t mask = (uint32_t)s[0];
    int64_t base = (int64_t)(uint32_t)s[1], n = (int32_t)(uint32_t)s[2];
    int64_t left = n < 0 ? -n : n;
    if (n == INT32_MIN)
        return 0; /* as a GPU does: hopper_ops.tsv */
    if (base > 31)
        return UINT32_MAX;
    if (n == 0)
        return mask >> base & 1 ? (uint64_t)base : UINT32_MAX;
    for (int64_t pos = base; pos >= 0 && pos < 32; pos += n < 0 ? -1 : 1) {
        left -= mask >> pos & 1;
        if (left == 0)
            return (uint64_t)pos;
    }
    return UINT32_MAX;
}

static uint64_t r_dot(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    bool sa = type_info[c->t0].kind == 'S', sb = type_info[c->t1].kind == 'S';
    I128 r = (I128)s[2];
    if (c->op == OP_DP4A)
        for (uint32_t k = 0; k < 4; k++)
            r += element(s[0], k, 8, sa) * element(s[1], k, 8, sb);
    uint32_t from = mod(c, MC_MUL) == MV_MUL_HI ? 2 : 0;
    if (c->op == OP_DP2A)
        for (uint32_t k = 0; k < 2; k++)
            r += element(s[0], k, 16, sa) * element(s[1], from + k, 8, sb);
    return (uint32_t)r;
}

static uint64_t r_pack(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    uint32_t bits = c->imm;
    I128 max = ((I128)1 << (is_signed(c) ? bits - 1 : bits)) - 1, min = is_signed(c) ? -max - 1 : 0;
    uint64_t field = (UINT64_C(1) << bits) - 1;
    uint64_t a = (uint64_t)clamp(s32_of(s[0]), min, max) & field,
             b = (uint64_t)clamp(s32_of(s[1]), min, max) & field;
    return (uint32_t)(b | a << bits | (bits < 16 ? s[2] << 2 * bits : 0));
}

/* s: a, b (, c), then the carry if it is read. */
static uint64_t r_carry(const Case *c, const uint64_t *s, uint32_t *p)
{
    bool mad = c->op == OP_MAD_CC || c->op == OP_MADC, sub = c->op == OP_SUB_CC || c->op == OP_SUBC;
    bool reads = c->op == OP_ADDC || c->op == OP_SUBC || c->op == OP_MADC;
    uint32_t w = width(c);
    U128 m = ((U128)1 << w) - 1, a = s[0] & m, b = s[1] & m, in = reads ? s[mad ? 3 : 2] : 0, r;
    if (mad) {
        U128 prod = is_signed(c) ? (U128)(num(c, s[0]) * num(c, s[1])) : a * b;
        a = (mod(c, MC_MUL) == MV_MUL_HI ? prod >> w : prod) & m;
        b = s[2] & m;
    }
    r = sub ? a - b - in : a + b + in;
    *p = sub ? a < b + in : (r >> w) != 0; /* borrow, carry */
    return (uint64_t)(r & m);
}

static bool related(const Case *c, uint64_t sa, uint64_t sb)
{
    Case t = {.t0 = c->t1};
    I128 a = num(&t, sa), b = num(&t, sb);
    switch (mod(c, MC_CMP)) {
    case MV_CMP_EQ:
        return a == b;
    case MV_CMP_NE:
        return a != b;
    case MV_CMP_LT:
    case MV_CMP_LO:
        return a < b;
    case MV_CMP_LE:
    case MV_CMP_LS:
        return a <= b;
    case MV_CMP_GT:
    case MV_CMP_HI:
        return a > b;
    default:
        return a >= b;
    }
}

static bool related_float(const Case *c, double a, double b)
{
    bool un = isnan(a) || isnan(b);
    uint32_t cmp = mod(c, MC_CMP);
    if (cmp == MV_CMP_NUM || cmp == MV_CMP_NAN)
        return un == (cmp == MV_CMP_NAN);
    if (un)
        return cmp >= MV_CMP_EQU && cmp <= MV_CMP_GEU;
    switch (cmp) {
    case MV_CMP_EQ:
    case MV_CMP_EQU:
        return a == b;
    case MV_CMP_NE:
    case MV_CMP_NEU:
        return a != b;
    case MV_CMP_LT:
    case MV_CMP_LTU:
        return a < b;
    case MV_CMP_LE:
    case MV_CMP_LEU:
        return a <= b;
    case MV_CMP_GT:
    case MV_CMP_GTU:
        return a > b;
    default:
        return a >= b;
    }
}

static double half_float(const Case *c, uint32_t h)
{
    bool bf16 = c->t1 == T_BF16 || c->t1 == T_BF16X2;
    uint32_t mant = bf16 ? 7 : 10, bias = bf16 ? 127 : 15, top = (0x8000u >> mant) - 1;
    uint32_t e = h >> mant & top, m = h & ((1u << mant) - 1);
    double v = e == top ? (m ? NAN : INFINITY)
               : e      ? ldexp(1 + ldexp(m, -(int)mant), (int)e - (int)bias)
                        : ldexp(m, 1 - (int)bias - (int)mant);
    if (mod(c, MC_FTZ) && !bf16 && e == 0)
        v = 0;
    return h & 0x8000 ? -v : v;
}

static uint64_t r_set(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    uint32_t n = type_info[c->t1].count, bit = 0, r = 0;
    for (uint32_t k = 0; k < n; k++) {
        bool t;
        if (type_info[c->t1].bits / n == 16 && type_info[c->t1].kind == 'F')
            t = related_float(c, half_float(c, (uint32_t)(s[0] >> 16 * k)),
                              half_float(c, (uint32_t)(s[1] >> 16 * k)));
        else if (c->t1 == T_F64)
            t = related_float(c, f64(s[0]), f64(s[1]));
        else if (c->t1 == T_F32)
            t = related_float(c, flush(c, f32(s[0])), flush(c, f32(s[1])));
        else
            t = related(c, s[0], s[1]);
        bool b = s[2] & 1;
        uint32_t op = mod(c, MC_BOOL);
        t = op == MV_BOOL_AND ? t && b : op == MV_BOOL_OR ? t || b : op == MV_BOOL_XOR ? t != b : t;
        bit |= (uint32_t)t << k;
    }
    for (uint32_t k = 0; k < n; k++) {
        bool half = n == 2 || type_info[c->t0].bits == 16;
        uint32_t one = c->t0 == T_F32                         ? 0x3f800000
                       : c->t0 == T_F16 || c->t0 == T_F16X2   ? 0x3c00
                       : c->t0 == T_BF16 || c->t0 == T_BF16X2 ? 0x3f80
                       : half                                 ? 0xffff
                                                              : 0xffffffff;
        r |= bit >> k & 1 ? one << 16 * k : 0;
    }
    return r;
}

static void arithmetic(void)
{
    CHECK(OP_ADD_SAT, T_S32, 0, "D1S1S1", r_sat);
    CHECK(OP_SUB_SAT, T_S32, 0, "D1S1S1", r_sat);
    CHECK(OP_MAD_SAT, T_S32, 0, "D1S1S1S1", r_sat, {{MC_MUL, MV_MUL_HI}});
    CHECK(OP_MAD24_SAT, T_S32, 0, "D1S1S1S1", r_sat, {{MC_MUL, MV_MUL_HI}});
    static const PtxType both[] = {T_U32, T_S32};
    for (int k = 0; k < 2; k++)
        for (uint8_t m = MV_MUL_LO; m <= MV_MUL_HI; m++) {
            CHECK(OP_MUL24, both[k], 0, "D1S1S1", r_24, {{MC_MUL, m}});
            CHECK(OP_MAD24, both[k], 0, "D1S1S1S1", r_24, {{MC_MUL, m}});
            for (int l = 0; l < 2; l++)
                CHECK(OP_DP2A, both[k], both[l], "D1S1S1S1", r_dot, {{MC_MUL, m}});
        }
    for (int k = 0; k < 4; k++)
        CHECK(OP_DP4A, both[k / 2], both[k % 2], "D1S1S1S1", r_dot);
    for (size_t t = 0; t < 6; t++) {
        uint32_t n = slots_of(int_types[t]);
        CHECK(OP_SAD, int_types[t], 0, sig("DSSS", n, n), r_sad,
              .bits = width(&(Case){.t0 = int_types[t]}) == 16 ? 16 : 0);
    }
    static const OpCode pairs[] = {OP_ADD_X2, OP_MIN_X2, OP_MAX_X2};
    for (int k = 0; k < 3; k++) {
        CHECK(pairs[k], T_U16X2, 0, "D1S1S1", r_x2);
        CHECK(pairs[k], T_S16X2, 0, "D1S1S1", r_x2);
    }
    for (int k = 0; k < 2; k++) {
        CHECK(k ? OP_MIN_RELU : OP_MAX_RELU, T_S32, 0, "D1S1S1", r_x2);
        CHECK(k ? OP_MIN_RELU : OP_MAX_RELU, T_S16X2, 0, "D1S1S1", r_x2);
    }
    CHECK(OP_FNS, T_B32, 0, "D1S1S1S1", r_fns);
    static const PtxType packed[] = {T_U2, T_S2, T_U4, T_S4, T_U8, T_S8, T_U16, T_S16};
    for (uint32_t k = 0; k < 8; k++)
        CHECK(k < 6 ? OP_CVT_PACK_B32 : OP_CVT_PACK, packed[k], T_S32,
              k < 6 ? "D1S1S1S1" : "D1S1S1", r_pack, .imm = 2u << k / 2);
}

static void carries(void)
{
    for (size_t t = 2; t < 6; t++) {
        PtxType ty = int_types[t];
        bool wide = slots_of(ty) == 2;
        const char *out = wide ? "D2S2S2P1" : "D1S1S1P1", *in = wide ? "D2S2S2Q1" : "D1S1S1Q1",
                   *inout = wide ? "D2S2S2P1Q1" : "D1S1S1P1Q1";
        CHECK(OP_ADD_CC, ty, 0, out, r_carry, {{MC_CC, 1}});
        CHECK(OP_SUB_CC, ty, 0, out, r_carry, {{MC_CC, 1}});
        CHECK(OP_ADDC, ty, 0, in, r_carry);
        CHECK(OP_SUBC, ty, 0, in, r_carry);
        CHECK(OP_ADDC, ty, 0, inout, r_carry, {{MC_CC, 1}});
        CHECK(OP_SUBC, ty, 0, inout, r_carry, {{MC_CC, 1}});
        for (uint8_t m = MV_MUL_LO; m <= MV_MUL_HI; m++) {
            CHECK(OP_MAD_CC, ty, 0, wide ? "D2S2S2S2P1" : "D1S1S1S1P1", r_carry,
                  {{MC_CC, 1}, {MC_MUL, m}});
            CHECK(OP_MADC, ty, 0, wide ? "D2S2S2S2Q1" : "D1S1S1S1Q1", r_carry, {{MC_MUL, m}});
            CHECK(OP_MADC, ty, 0, wide ? "D2S2S2S2P1Q1" : "D1S1S1S1P1Q1", r_carry,
                  {{MC_CC, 1}, {MC_MUL, m}});
        }
    }
}

static void sets(void)
{
    static const PtxType to[] = {T_U32, T_S32, T_F32};
    static const PtxType from[] = {T_U16, T_S16, T_U32, T_S32, T_U64, T_S64, T_F32, T_F64};
    static const PtxType half_to[] = {T_F16, T_U16, T_S16, T_U32, T_S32};
    for (uint8_t cmp = MV_CMP_EQ; cmp <= MV_CMP_NAN; cmp++) {
        bool for_int = cmp <= MV_CMP_HS, for_float = cmp <= MV_CMP_GE || cmp >= MV_CMP_EQU;
        for (size_t k = 0; k < 8; k++) {
            bool is_float = type_info[from[k]].kind == 'F', is_s = type_info[from[k]].kind == 'S';
            if (is_float ? !for_float : !for_int || (is_s && cmp >= MV_CMP_LO))
                continue;
            uint8_t bool_op = (uint8_t)((cmp + k) % 4); /* none, and, or, xor in turn */
            CHECK(OP_SET, to[(k + cmp) % 3], from[k],
                  sig(bool_op ? "DSSQ" : "DSS", 1, slots_of(from[k])), r_set,
                  {{MC_CMP, cmp}, {MC_BOOL, bool_op}, {MC_FTZ, from[k] == T_F32 && cmp % 2}});
        }
        if (!for_float)
            continue;
        for (uint8_t ftz = 0; ftz < 2; ftz++) {
            CHECK(OP_SET, half_to[cmp % 5], T_F16, "D1S1S1", r_set, {{MC_CMP, cmp}, {MC_FTZ, ftz}});
            CHECK(OP_SET_X2, cmp % 2 ? T_U32 : T_F16X2, T_F16X2, "D1S1S1Q1", r_set,
                  {{MC_CMP, cmp}, {MC_FTZ, ftz}, {MC_BOOL, MV_BOOL_XOR}});
        }
        CHECK(OP_SET, cmp % 2 ? T_BF16 : T_U16, T_BF16, "D1S1S1", r_set, {{MC_CMP, cmp}});
        CHECK(OP_SET_X2, cmp % 2 ? T_S32 : T_BF16X2, T_BF16X2, "D1S1S1", r_set, {{MC_CMP, cmp}});
    }
}

/* ---- The flag through the parser and lowering ---- */

static void expect(bool ok, const char *what)
{
    n_cases++;
    if (!ok && ++failures)
        fprintf(stderr, "%s\n", what);
}

/* 128-bit sum, difference and the 64 x 64 -> 128 bit product of numbers that differ by thread; in
 * between, others that also want a predicate. */
static void chains(void)
{
    static const char body[] =
        "cvt.u64.u32 %rd2, %r1; mul.lo.u64 %rd3, %rd2, 0x9E3779B97F4A7C15;\n"  /* a = rd3 : rd4 */
        "xor.b64 %rd4, %rd3, -1; shl.b64 %rd5, %rd3, 7; not.b64 %rd6, %rd2;\n" /* b = rd5 : rd6 */
        "add.cc.u64 %rd7, %rd3, %rd6; addc.u64 %rd8, %rd4, %rd5;\n"
        "sub.cc.u64 %rd9, %rd3, %rd6; setp.eq.u32 %p1, %r1, 3; subc.u64 %rd10, %rd4, %rd5;\n"
        "mov.b64 {%r2, %r3}, %rd3; mov.b64 {%r4, %r5}, %rd4;\n" /* rd3 * rd4 */
        "mul.lo.u32 %r10, %r2, %r4; mul.hi.u32 %r11, %r2, %r4;\n"
        "mad.lo.cc.u32 %r11, %r2, %r5, %r11; madc.hi.u32 %r12, %r2, %r5, 0;\n"
        "mad.lo.cc.u32 %r11, %r3, %r4, %r11; madc.hi.cc.u32 %r12, %r3, %r4, %r12;\n"
        "addc.u32 %r13, 0, 0; mad.lo.cc.u32 %r12, %r3, %r5, %r12;\n"
        "madc.hi.u32 %r13, %r3, %r5, %r13;\n"
        "@%p1 add.cc.u32 %r14, %r1, -1; addc.u32 %r14, 0, 0;\n" /* lane 3: its own carry */
        "mad.lo.u32 %r20, %r1, 80, 0; cvt.u64.u32 %rd20, %r20; add.u64 %rd21, %rd1, %rd20;\n"
        "st.global.v2.u64 [%rd21], {%rd7, %rd8}; st.global.v2.u64 [%rd21+16], {%rd9, %rd10};\n"
        "st.global.v4.u32 [%rd21+32], {%r10, %r11, %r12, %r13}; st.global.u32 [%rd21+48], %r14;";
    static uint8_t out[PTX_OUT_BYTES];
    Err err;
    bool ran = ptx_run(&(PtxRun){0}, "", body, out, &err);
    expect(ran, err.msg);
    for (uint64_t t = 0; ran && t < 32; t++) {
        uint64_t lo = t * UINT64_C(0x9E3779B97F4A7C15);
        U128 a = (U128)~lo << 64 | lo, b = (U128)(lo << 7) << 64 | ~t, got[3];
        uint32_t carry;
        memcpy(got, out + 80 * t, sizeof got);
        memcpy(&carry, out + 80 * t + 48, sizeof carry);
        expect(got[0] == a + b, "128-bit sum");
        expect(got[1] == a - b, "128-bit difference");
        expect(got[2] == (U128)lo * ~lo, "128-bit product");
        if (t == 3)
            expect(carry == 1, "the carry of the thread whose guard holds");
    }
}

int main(void)
{
    arithmetic();
    carries();
    sets();
    chains();
    printf("%u cases, %d failures\n", n_cases, failures);
    return failures ? 1 : 0;
}
