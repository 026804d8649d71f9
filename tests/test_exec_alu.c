/* Integer and bit instructions, all types and modifiers; see alu_case.h. */
#include "tests/alu_case.h"

/* ---- References ---- */

static uint64_t r_int(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    I128 a = num(c, s[0]), b = num(c, s[1]), d = num(c, s[2]);
    uint32_t w = width(c);
    bool hi = mod(c, MC_MUL) == MV_MUL_HI;
    switch (c->op) {
    case OP_ADD_INT:
        return (uint64_t)(a + b);
    case OP_SUB_INT:
        return (uint64_t)(a - b);
    case OP_MUL_LO:
    case OP_MUL_HI:
    case OP_MAD_LO:
    case OP_MAD_HI: {
        U128 prod = is_signed(c) ? (U128)(a * b) : (U128)a * (U128)b;
        uint64_t part = hi ? (uint64_t)(prod >> w) : (uint64_t)prod;
        return part + (c->op == OP_MAD_LO || c->op == OP_MAD_HI ? (uint64_t)d : 0);
    }
    case OP_MUL_WIDE:
        return (uint64_t)(a * b);
    case OP_MAD_WIDE:
        return (uint64_t)(a * b) + s[2];
    case OP_DIV_INT:
        return b == 0 ? UINT64_MAX : (uint64_t)(a / b);
    case OP_REM_INT:
        return b == 0 ? ~UINT64_C(0) : (uint64_t)(a % b);
    case OP_MIN_INT:
        return (uint64_t)(a < b ? a : b);
    case OP_MAX_INT:
        return (uint64_t)(a > b ? a : b);
    case OP_NEG_INT:
        return (uint64_t)-a;
    case OP_ABS_INT:
        return (uint64_t)(a < 0 ? -a : a);
    case OP_AND_BITS:
        return s[0] & s[1];
    case OP_OR_BITS:
        return s[0] | s[1];
    case OP_XOR_BITS:
        return s[0] ^ s[1];
    case OP_NOT_BITS:
        return ~s[0];
    case OP_CNOT:
        return a == 0;
    case OP_SHL: {
        uint64_t r = (uint64_t)a;
        for (uint32_t n = 0; n < (uint32_t)s[1] && n < 70; n++)
            r *= 2;
        return r;
    }
    case OP_SHR: {
        I128 r = a;
        for (uint32_t n = 0; n < (uint32_t)s[1] && n < 70; n++)
            r = r < 0 ? (r - 1) / 2 : r / 2;
        return (uint64_t)r;
    }
    default:
        abort();
    }
}

static bool bit(uint64_t v, uint32_t i)
{
    return i < 64 && (v >> i & 1);
}

static uint64_t r_count(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    uint32_t w = width(c), ones = 0, zeros = 0;
    uint64_t rev = 0;
    for (uint32_t i = 0; i < w; i++) {
        ones += bit(s[0], i);
        zeros = bit(s[0], i) ? 0 : zeros + 1; /* in the end: leading zeros */
        rev |= (uint64_t)bit(s[0], i) << (w - 1 - i);
    }
    if (c->op == OP_POPC)
        return ones;
    if (c->op == OP_CLZ)
        return zeros;
    if (c->op == OP_BREV)
        return rev;
    /* bfind: from the top down, the first bit that differs from the sign of a signed number, else
     * the first 1 */
    bool skip = is_signed(c) && bit(s[0], w - 1);
    for (uint32_t i = w; i-- > 0;)
        if (bit(s[0], i) != skip)
            return c->op == OP_BFIND ? i : w - 1 - i;
    return 0xffffffff;
}

/* 8 bits of it; the 64-bit forms see the whole register, which is too far out all the same. */
static uint32_t field_arg(uint64_t v, uint32_t w)
{
    return w == 64 && (uint32_t)v > 255 ? 255 : (uint32_t)v & 0xff;
}

/* The loops of the PTX manual. */
static uint64_t r_field(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    uint32_t w = width(c), msb = w - 1;
    if (c->op == OP_BFE) {
        uint32_t pos = field_arg(s[1], w), len = field_arg(s[2], w);
        uint32_t last = pos + len - 1 < msb ? pos + len - 1 : msb;
        bool sbit = is_signed(c) && len != 0 && bit(s[0], last);
        uint64_t d = 0;
        for (uint32_t i = 0; i <= msb; i++)
            d |= (uint64_t)(i < len && pos + i <= msb ? bit(s[0], pos + i) : sbit) << i;
        return d;
    }
    uint32_t pos = field_arg(s[2], w), len = field_arg(s[3], w);
    uint64_t f = s[1];
    for (uint32_t i = 0; i < len && pos + i <= msb; i++)
        f = (f & ~(UINT64_C(1) << (pos + i))) | (uint64_t)bit(s[0], i) << (pos + i);
    return f;
}

static uint64_t r_mask(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    bool clamp = mod(c, MC_SHF) == MV_SHF_CLAMP;
    uint32_t a = (uint32_t)s[0], b = (uint32_t)s[1], b1 = b & 31;
    if (c->op == OP_SZEXT) {
        bool too_large = b >= 32 && clamp;
        uint32_t m = too_large ? 0 : 0xffffffffu << b1, sign_pos = (b1 - 1) & 31;
        bool sign = !(b1 == 0 || too_large || c->t0 == T_U32) && bit(a, sign_pos);
        return (a & ~m) | (sign ? m : 0);
    }
    uint32_t a1 = a & 31, m0 = 0xffffffffu << a1, sum = a1 + b1,
             m1 = sum < 32 ? 0xffffffffu << sum : 0;
    bool width_over = clamp && b >= 32, pos_over = clamp && a >= 32;
    if (pos_over)
        m0 = 0;
    if (sum >= 32 || pos_over || width_over)
        m1 = 0;
    else if (b1 == 0)
        m1 = 0xffffffff;
    return b1 == 0 && !width_over ? 0 : m0 & ~m1;
}

static uint64_t r_lop3(const Case *c, const uint64_t *s, uint32_t *p)
{
    uint32_t d = 0;
    for (uint32_t i = 0; i < 32; i++) {
        uint32_t idx =
            (uint32_t)bit(s[0], i) * 4 + (uint32_t)bit(s[1], i) * 2 + (uint32_t)bit(s[2], i);
        d |= (uint32_t)bit(c->imm, idx) << i;
    }
    if (c->op == OP_LOP3_BOOL)
        *p = mod(c, MC_BOOL) == MV_BOOL_OR ? d != 0 || s[4] : d != 0 && s[4];
    return d;
}

static uint64_t r_shift2(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    uint32_t n = (uint32_t)s[2];
    n = mod(c, MC_SHF) == MV_SHF_WRAP ? n & 31 : n > 32 ? 32 : n;
    uint32_t d = 0;
    for (uint32_t i = 0; i < 32; i++) { /* bit i of the result is bit `at` of {b, a} */
        uint32_t at = c->op == OP_SHF_L ? 32 + i - n : i + n;
        d |= (uint32_t)bit((s[0] & 0xffffffff) | s[1] << 32, at) << i;
    }
    return d;
}

static uint64_t r_prmt(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    uint8_t byte[8];
    uint32_t d = 0, sel = (uint32_t)s[2] & 3;
    for (uint32_t i = 0; i < 8; i++)
        byte[i] = (uint8_t)(s[i / 4] >> i % 4 * 8);
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t k = 0;
        bool sign = false;
        switch (mod(c, MC_PRMT)) {
        case 0:
            k = (uint32_t)s[2] >> 4 * i & 7;
            sign = s[2] >> 4 * i & 8;
            break;
        case MV_PRMT_F4E:
            k = sel + i;
            break;
        case MV_PRMT_B4E:
            k = (sel + 8 - i) % 8;
            break;
        case MV_PRMT_RC8:
            k = sel;
            break;
        case MV_PRMT_ECL:
            k = i > sel ? i : sel;
            break;
        case MV_PRMT_ECR:
            k = i < sel ? i : sel;
            break;
        case MV_PRMT_RC16:
            k = (sel & 1) * 2 + i % 2;
            break;
        }
        d |= (uint32_t)(sign ? (byte[k] & 0x80 ? 0xff : 0) : byte[k]) << 8 * i;
    }
    return d;
}

static void integers(void)
{
    static const OpCode two[] = {OP_ADD_INT, OP_SUB_INT, OP_MUL_LO,  OP_MUL_HI,
                                 OP_DIV_INT, OP_REM_INT, OP_MIN_INT, OP_MAX_INT};
    for (size_t t = 0; t < 6; t++) {
        PtxType ty = int_types[t];
        uint32_t n = slots_of(ty), w = type_info[ty].bits;
        for (size_t k = 0; k < sizeof two / sizeof *two; k++)
            CHECK(two[k], ty, 0, sig("DSS", n, n), r_int,
                  {{MC_MUL, two[k] == OP_MUL_HI ? MV_MUL_HI : MV_MUL_LO}},
                  .bits = w == 16 ? 16 : 0);
        CHECK(OP_MAD_LO, ty, 0, sig("DSSS", n, n), r_int, {{MC_MUL, MV_MUL_LO}},
              .bits = w == 16 ? 16 : 0);
        CHECK(OP_MAD_HI, ty, 0, sig("DSSS", n, n), r_int, {{MC_MUL, MV_MUL_HI}},
              .bits = w == 16 ? 16 : 0);
        if (w < 64) {
            uint32_t d = w == 16 ? 1 : 2;
            CHECK(OP_MUL_WIDE, ty, 0, sig("DSS", d, n), r_int, {{MC_MUL, MV_MUL_WIDE}});
            CHECK(OP_MAD_WIDE, ty, 0, sig("DSSd", d, n), r_int, {{MC_MUL, MV_MUL_WIDE}});
        }
        if (ty == T_S16 || ty == T_S32 || ty == T_S64) {
            CHECK(OP_NEG_INT, ty, 0, sig("DS", n, n), r_int, .bits = w == 16 ? 16 : 0);
            CHECK(OP_ABS_INT, ty, 0, sig("DS", n, n), r_int, .bits = w == 16 ? 16 : 0);
        }
        CHECK(OP_SHR, ty, 0, n == 2 ? "D2S2S1" : "D1S1S1", r_int, .bits = w == 16 ? 16 : 0);
    }
    static const PtxType bit_types[] = {T_B16, T_B32, T_B64};
    static const OpCode logic[] = {OP_AND_BITS, OP_OR_BITS, OP_XOR_BITS, OP_NOT_BITS, OP_CNOT};
    for (size_t t = 0; t < 3; t++) {
        uint32_t n = slots_of(bit_types[t]), bits = type_info[bit_types[t]].bits == 16 ? 16 : 0;
        for (size_t k = 0; k < 5; k++)
            CHECK(logic[k], bit_types[t], 0, sig(k < 3 ? "DSS" : "DS", n, n), r_int, .bits = bits);
        CHECK(OP_SHL, bit_types[t], 0, n == 2 ? "D2S2S1" : "D1S1S1", r_int, .bits = bits);
    }
}

static void bits(void)
{
    static const OpCode count[] = {OP_POPC, OP_CLZ, OP_BREV, OP_BFIND, OP_BFIND_SHIFT};
    for (size_t k = 0; k < 5; k++)
        for (size_t t = 2; t < 6; t++) {
            PtxType ty = k < 3 ? (t < 4 ? T_B32 : T_B64) : int_types[t];
            uint32_t n = slots_of(ty);
            CHECK(count[k], ty, 0, sig("DS", count[k] == OP_BREV ? n : 1, n), r_count);
        }
    for (size_t t = 2; t < 6; t++) {
        uint32_t n = slots_of(int_types[t]);
        CHECK(OP_BFE, int_types[t], 0, n == 2 ? "D2S2S1S1" : "D1S1S1S1", r_field);
    }
    CHECK(OP_BFI, T_B32, 0, "D1S1S1S1S1", r_field);
    CHECK(OP_BFI, T_B64, 0, "D2S2S2S1S1", r_field);
    for (uint8_t m = MV_SHF_CLAMP; m <= MV_SHF_WRAP; m++) {
        CHECK(OP_SZEXT, T_U32, 0, "D1S1S1", r_mask, {{MC_SHF, m}});
        CHECK(OP_SZEXT, T_S32, 0, "D1S1S1", r_mask, {{MC_SHF, m}});
        CHECK(OP_BMSK, T_B32, 0, "D1S1S1", r_mask, {{MC_SHF, m}});
        CHECK(OP_SHF_L, T_B32, 0, "D1S1S1S1", r_shift2, {{MC_SHF, m}});
        CHECK(OP_SHF_R, T_B32, 0, "D1S1S1S1", r_shift2, {{MC_SHF, m}});
    }
    for (uint32_t lut = 0; lut < 256; lut += lut % 16 == 0 ? 1 : 5)
        CHECK(OP_LOP3, T_B32, 0, "D1S1S1S1I1", r_lop3, .imm = lut);
    CHECK(OP_LOP3_BOOL, T_B32, 0, "D1P1S1S1S1I1Q1", r_lop3, {{MC_BOOL, MV_BOOL_OR}}, .imm = 0x80);
    CHECK(OP_LOP3_BOOL, T_B32, 0, "D1P1S1S1S1I1Q1", r_lop3, {{MC_BOOL, MV_BOOL_AND}}, .imm = 0x80);
    for (uint8_t m = 0; m <= MV_PRMT_RC16; m++)
        CHECK(OP_PRMT, T_B32, 0, "D1S1S1S1", r_prmt, {{MC_PRMT, m}});
}

int main(void)
{
    integers();
    bits();
    printf("%u cases, %d failures\n", n_cases, failures);
    return failures ? 1 : 0;
}
