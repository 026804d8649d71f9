/* Integer, logic and comparison instructions on rows; see vec_row_body.h. PTX ISA "Integer
 * Arithmetic", "Logic and Shift". */
#ifndef RAO_FUNC_VEC_INT_BODY_H
#define RAO_FUNC_VEC_INT_BODY_H

#include "sim/func/vec_row_body.h"

#define U16(x) ((uint16_t)(x))
#define S16(x) ((int16_t)(x))
#define U32(x) ((uint32_t)(x))
#define S32(x) ((int32_t)(x))
#define S64(x) ((int64_t)(x))

/* One name for six types: 16 bits in the low half of a row, 32 bits in a row, 64 bits in two. */
#define INT_ALL(name, e_u16, e_s16, e_u32, e_s32, e_u64, e_s64)                                    \
    PLAIN32(name##_u16, e_u16)                                                                     \
    PLAIN32(name##_s16, e_s16)                                                                     \
    PLAIN32(name##_u32, e_u32)                                                                     \
    PLAIN32(name##_s32, e_s32)                                                                     \
    PLAIN64(name##_u64, e_u64)                                                                     \
    PLAIN64(name##_s64, e_s64)
#define INT_UNSIGNED(name, e_u16, e_u32, e_u64)                                                    \
    PLAIN32(name##_u16, e_u16)                                                                     \
    PLAIN32(name##_u32, e_u32)                                                                     \
    PLAIN64(name##_u64, e_u64)
#define SIX(name)                                                                                  \
    {                                                                                              \
        x_##name##_u16, x_##name##_s16, x_##name##_u32, x_##name##_s32, x_##name##_u64,            \
            x_##name##_s64                                                                         \
    }
/* for operations that do not ask for the sign */
#define THREE(name)                                                                                \
    {                                                                                              \
        x_##name##_u16, x_##name##_u16, x_##name##_u32, x_##name##_u32, x_##name##_u64,            \
            x_##name##_u64                                                                         \
    }

__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 Uint128;

static inline uint64_t mul_hi_u64(uint64_t a, uint64_t b)
{
    return (uint64_t)((Uint128)a * b >> 64);
}

static inline uint64_t mul_hi_s64(uint64_t a, uint64_t b)
{
    return (uint64_t)((Uint128)((Int128)S64(a) * S64(b)) >> 64);
}

static inline uint32_t mul_hi_u32(uint32_t a, uint32_t b)
{
    return U32((uint64_t)a * b >> 32);
}

static inline uint32_t mul_hi_s32(uint32_t a, uint32_t b)
{
    return U32((uint64_t)((int64_t)S32(a) * S32(b)) >> 32);
}

/* Division by zero gives all ones, as quotient and as remainder; the most negative number by -1
 * gives itself. */
static inline uint64_t div_u(uint64_t a, uint64_t b)
{
    return b ? a / b : ~UINT64_C(0);
}

static inline uint64_t rem_u(uint64_t a, uint64_t b)
{
    return b ? a % b : ~UINT64_C(0);
}

static inline uint64_t div_s(int64_t a, int64_t b)
{
    if (b == 0)
        return ~UINT64_C(0);
    return b == -1 ? 0 - (uint64_t)a : (uint64_t)(a / b);
}

static inline uint64_t rem_s(int64_t a, int64_t b)
{
    if (b == 0)
        return ~UINT64_C(0);
    return b == -1 ? 0 : (uint64_t)(a % b);
}

/* Shift amounts are 32-bit and clamp at the width. */
static inline uint32_t shl32(uint32_t a, uint32_t n)
{
    return n > 31 ? 0 : a << n;
}

static inline uint32_t shr32(uint32_t a, uint32_t n)
{
    return n > 31 ? 0 : a >> n;
}

static inline uint32_t sar32(uint32_t a, uint32_t n)
{
    return U32(S32(a) >> (n > 31 ? 31 : n));
}

static inline uint64_t shl64(uint64_t a, uint32_t n)
{
    return n > 63 ? 0 : a << n;
}

static inline uint64_t shr64(uint64_t a, uint32_t n)
{
    return n > 63 ? 0 : a >> n;
}

static inline uint64_t sar64(uint64_t a, uint32_t n)
{
    return (uint64_t)(S64(a) >> (n > 63 ? 63 : n));
}

#define MIN(p, q) ((p) < (q) ? (p) : (q))
#define MAX(p, q) ((p) > (q) ? (p) : (q))

/* clang-format off */
INT_UNSIGNED(add, a[i] + b[i], a[i] + b[i], x + y)
INT_UNSIGNED(sub, a[i] - b[i], a[i] - b[i], x - y)
INT_UNSIGNED(mul_lo, a[i] * b[i], a[i] * b[i], x * y)
INT_UNSIGNED(mad_lo, a[i] * b[i] + c[i], a[i] * b[i] + c[i], x * y + z)
INT_ALL(mul_hi, U32(U16(a[i])) * U16(b[i]) >> 16, U32(S16(a[i]) * S16(b[i])) >> 16,
        mul_hi_u32(a[i], b[i]), mul_hi_s32(a[i], b[i]), mul_hi_u64(x, y), mul_hi_s64(x, y))
INT_ALL(mad_hi, (U32(U16(a[i])) * U16(b[i]) >> 16) + c[i], (U32(S16(a[i]) * S16(b[i])) >> 16) + c[i],
        mul_hi_u32(a[i], b[i]) + c[i], mul_hi_s32(a[i], b[i]) + c[i], mul_hi_u64(x, y) + z, mul_hi_s64(x, y) + z)
INT_ALL(div, U32(div_u(U16(a[i]), U16(b[i]))), U32(div_s(S16(a[i]), S16(b[i]))),
        U32(div_u(a[i], b[i])), U32(div_s(S32(a[i]), S32(b[i]))), div_u(x, y), div_s(S64(x), S64(y)))
INT_ALL(rem, U32(rem_u(U16(a[i]), U16(b[i]))), U32(rem_s(S16(a[i]), S16(b[i]))),
        U32(rem_u(a[i], b[i])), U32(rem_s(S32(a[i]), S32(b[i]))), rem_u(x, y), rem_s(S64(x), S64(y)))
INT_ALL(min, MIN(U16(a[i]), U16(b[i])), U32(MIN(S16(a[i]), S16(b[i]))),
        MIN(a[i], b[i]), U32(MIN(S32(a[i]), S32(b[i]))), MIN(x, y), MIN(S64(x), S64(y)))
INT_ALL(max, MAX(U16(a[i]), U16(b[i])), U32(MAX(S16(a[i]), S16(b[i]))),
        MAX(a[i], b[i]), U32(MAX(S32(a[i]), S32(b[i]))), MAX(x, y), MAX(S64(x), S64(y)))
INT_UNSIGNED(neg, 0 - a[i], 0 - a[i], 0 - x)
INT_UNSIGNED(abs, S16(a[i]) < 0 ? 0 - a[i] : a[i], S32(a[i]) < 0 ? 0 - a[i] : a[i], S64(x) < 0 ? 0 - x : x)
INT_UNSIGNED(shl, shl32(a[i], b[i]), shl32(a[i], b[i]), shl64(x, r3[i]))
INT_ALL(shr, shr32(U16(a[i]), b[i]), sar32(U32(S16(a[i])), b[i]), shr32(a[i], b[i]), sar32(a[i], b[i]),
        shr64(x, r3[i]), sar64(x, r3[i]))
INT_UNSIGNED(and, a[i] & b[i], a[i] & b[i], x & y)
INT_UNSIGNED(or,  a[i] | b[i], a[i] | b[i], x | y)
INT_UNSIGNED(xor, a[i] ^ b[i], a[i] ^ b[i], x ^ y)
INT_UNSIGNED(not, ~a[i], ~a[i], ~x)
INT_UNSIGNED(cnot, U16(a[i]) == 0, a[i] == 0, x == 0)

/* 16 x 16 -> 32 bits: one row; 32 x 32 -> 64 bits: operands are rows r1, r2, the addend r3, r4 */
PLAIN32(mul_wide_u16, U32(U16(a[i])) * U16(b[i]))
PLAIN32(mul_wide_s16, U32(S16(a[i]) * S16(b[i])))
PLAIN32(mad_wide_u16, U32(U16(a[i])) * U16(b[i]) + c[i])
PLAIN32(mad_wide_s16, U32(S16(a[i]) * S16(b[i])) + c[i])
#define WIDE(name, r) PLAIN_PAIR(name, uint64_t v = (r), U32(v), U32(v >> 32))
WIDE(mul_wide_u32, (uint64_t)r1[i] * r2[i])
WIDE(mul_wide_s32, (uint64_t)((int64_t)S32(r1[i]) * S32(r2[i])))
WIDE(mad_wide_u32, (uint64_t)r1[i] * r2[i] + pair(r3[i], r4[i]))
WIDE(mad_wide_s32, (uint64_t)((int64_t)S32(r1[i]) * S32(r2[i])) + pair(r3[i], r4[i]))

#define SETP_INT(cmp, op)                                                                          \
    PLAIN_SETP(setp_##cmp##_u16, , U16(a[i]) op U16(b[i]))                                         \
    PLAIN_SETP(setp_##cmp##_s16, , S16(a[i]) op S16(b[i]))                                         \
    PLAIN_SETP(setp_##cmp##_u32, , a[i] op b[i])                                                   \
    PLAIN_SETP(setp_##cmp##_s32, , S32(a[i]) op S32(b[i]))                                         \
    PLAIN_SETP(setp_##cmp##_u64, uint64_t x = pair(a[i], b[i]); uint64_t y = pair(b0[i], b1[i]), x op y) \
    PLAIN_SETP(setp_##cmp##_s64, uint64_t x = pair(a[i], b[i]); uint64_t y = pair(b0[i], b1[i]), S64(x) op S64(y))
SETP_INT(eq, ==)
SETP_INT(ne, !=)
SETP_INT(lt, <)
SETP_INT(le, <=)
SETP_INT(gt, >)
SETP_INT(ge, >=)
/* clang-format on */

/* ---- Bits ---- */

/* Index of the highest bit that says something: the highest 1, or for a negative number the highest
 * 0. */
static inline uint32_t find_bit(uint64_t x)
{
    return x ? 63u - U32(__builtin_clzll(x)) : UINT32_MAX;
}

static inline uint32_t find_shift(uint64_t x, uint32_t msb)
{
    return x ? msb - find_bit(x) : UINT32_MAX;
}

static inline uint32_t reverse32(uint32_t x)
{
    x = (x >> 1 & 0x55555555u) | (x & 0x55555555u) << 1;
    x = (x >> 2 & 0x33333333u) | (x & 0x33333333u) << 2;
    x = (x >> 4 & 0x0f0f0f0fu) | (x & 0x0f0f0f0fu) << 4;
    return __builtin_bswap32(x);
}

static inline uint64_t ones(uint32_t n)
{
    return n > 63 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
}

/* Position and length of a field: PTX reads 8 bits of them. What ptxas makes of the 64-bit forms
 * shifts by the whole register. */
static inline uint32_t field_arg(uint32_t v, uint32_t bits)
{
    return bits == 64 ? MIN(v, 255) : v & 0xff;
}

/* bfe: len bits of a from pos up; beyond the top of a or of the field come copies of the field's
 * sign. */
static inline uint64_t extract(uint64_t a, uint32_t pos, uint32_t len, uint32_t bits,
                               bool is_signed)
{
    pos = field_arg(pos, bits);
    len = field_arg(len, bits);
    uint32_t top = MIN(pos + len - 1, bits - 1);
    bool sign = is_signed && len > 0 && (a >> top & 1);
    uint32_t have = pos >= bits ? 0 : MIN(len, bits - pos);
    uint64_t field = shr64(a, pos) & ones(have);
    return sign ? field | ~ones(have) : field;
}

static inline uint64_t insert(uint64_t a, uint64_t b, uint32_t pos, uint32_t len, uint32_t bits)
{
    pos = field_arg(pos, bits);
    len = field_arg(len, bits);
    uint64_t field = pos >= bits ? 0 : shl64(ones(len), pos);
    return (b & ~field) | (shl64(a, pos) & field);
}

static inline uint32_t sign_zero_extend(uint32_t a, uint32_t n, bool wrap, bool is_signed)
{
    if (n >= 32 && !wrap)
        return a;
    n &= 31;
    uint32_t high = UINT32_MAX << n;
    bool sign = is_signed && n > 0 && (a >> (n - 1) & 1);
    return (a & ~high) | (sign ? high : 0);
}

static inline uint32_t bit_mask(uint32_t pos, uint32_t len, bool wrap)
{
    if (wrap) {
        pos &= 31;
        len &= 31;
    }
    return shl32(len > 31 ? UINT32_MAX : (1u << len) - 1, pos);
}

/* One output bit is a table of eight by the bits of a, b, c: a tree of choices. */
static inline uint32_t choose(uint32_t if_set, uint32_t if_clear, uint32_t s)
{
    return if_clear ^ (s & (if_set ^ if_clear));
}

static inline uint32_t lop3_lane(uint32_t a, uint32_t b, uint32_t c, uint32_t lut)
{
#define TRUTH(k) (0 - (lut >> (k)&1))
    uint32_t b0 = choose(choose(TRUTH(3), TRUTH(2), c), choose(TRUTH(1), TRUTH(0), c), b);
    uint32_t b1 = choose(choose(TRUTH(7), TRUTH(6), c), choose(TRUTH(5), TRUTH(4), c), b);
#undef TRUTH
    return choose(b1, b0, a);
}

static inline uint32_t prmt_lane(uint32_t a, uint32_t b, uint32_t sel)
{
    uint64_t v = pair(a, b);
    uint32_t r = 0;
    for (uint32_t k = 0; k < 4; k++) {
        uint32_t s = sel >> 4 * k, byte = U32(v >> 8 * (s & 7)) & 0xff;
        uint32_t sign = 0xff * (byte >> 7);
        r |= (s & 8 ? sign : byte) << 8 * k;
    }
    return r;
}

static inline uint32_t funnel_l(uint32_t lo, uint32_t hi, uint32_t n)
{
    return U32(pair(lo, hi) << n >> 32);
}

static inline uint32_t funnel_r(uint32_t lo, uint32_t hi, uint32_t n)
{
    return U32(pair(lo, hi) >> n);
}

/* clang-format off */
PLAIN32(popc_u32, U32(__builtin_popcount(a[i])))
PLAIN32(popc_u64, U32(__builtin_popcountll(pair(a[i], b[i]))))
PLAIN32(clz_u32, a[i] ? U32(__builtin_clz(a[i])) : 32)
PLAIN32(clz_u64, pair(a[i], b[i]) ? U32(__builtin_clzll(pair(a[i], b[i]))) : 64)
PLAIN32(brev_u32, reverse32(a[i]))
PLAIN64(brev_u64, pair(reverse32(r2[i]), reverse32(r1[i])))
PLAIN32(bfind_u32, find_bit(a[i]))
PLAIN32(bfind_s32, find_bit(a[i] ^ U32(S32(a[i]) >> 31)))
PLAIN32(bfind_u64, find_bit(pair(a[i], b[i])))
PLAIN32(bfind_s64, find_bit(pair(a[i], b[i]) ^ (uint64_t)(S64(pair(a[i], b[i])) >> 63)))
PLAIN32(bfind_shiftamt_u32, find_shift(a[i], 31))
PLAIN32(bfind_shiftamt_s32, find_shift(a[i] ^ U32(S32(a[i]) >> 31), 31))
PLAIN32(bfind_shiftamt_u64, find_shift(pair(a[i], b[i]), 63))
PLAIN32(bfind_shiftamt_s64, find_shift(pair(a[i], b[i]) ^ (uint64_t)(S64(pair(a[i], b[i])) >> 63), 63))
PLAIN32(bfe_u32, U32(extract(a[i], b[i], c[i], 32, false)))
PLAIN32(bfe_s32, U32(extract(a[i], b[i], c[i], 32, true)))
PLAIN64(bfe_u64, extract(x, r3[i], r4[i], 64, false))
PLAIN64(bfe_s64, extract(x, r3[i], r4[i], 64, true))
PLAIN32(bfi_u32, U32(insert(a[i], b[i], c[i], e[i], 32)))
PLAIN32(lop3, lop3_lane(a[i], b[i], c[i], e[0]))
PLAIN32(prmt, prmt_lane(a[i], b[i], c[i]))
PLAIN32(shf_l_clamp, funnel_l(a[i], b[i], MIN(c[i], 32)))
PLAIN32(shf_l_wrap,  funnel_l(a[i], b[i], c[i] & 31))
PLAIN32(shf_r_clamp, funnel_r(a[i], b[i], MIN(c[i], 32)))
PLAIN32(shf_r_wrap,  funnel_r(a[i], b[i], c[i] & 31))
PLAIN32(szext_clamp_u32, sign_zero_extend(a[i], b[i], false, false))
PLAIN32(szext_clamp_s32, sign_zero_extend(a[i], b[i], false, true))
PLAIN32(szext_wrap_u32,  sign_zero_extend(a[i], b[i], true, false))
PLAIN32(szext_wrap_s32,  sign_zero_extend(a[i], b[i], true, true))
PLAIN32(bmsk_clamp, bit_mask(a[i], b[i], false))
PLAIN32(bmsk_wrap,  bit_mask(a[i], b[i], true))
/* clang-format on */

/* d, a, b are pairs, c and e single: eight rows, one more than the macros hold. */
static void x_bfi_u64(Warp *w, const XInsn *in, uint32_t mask)
{
    uint32_t *d0 = vrow(w, in, 0), *d1 = vrow(w, in, 1);
    const uint32_t *a0 = vrow(w, in, 2), *a1 = vrow(w, in, 3), *b0 = vrow(w, in, 4),
                   *b1 = vrow(w, in, 5);
    const uint32_t *pos = vrow(w, in, 6), *len = vrow(w, in, 7);
    for (int i = 0; i < WARP; i++) {
        uint64_t r = insert(pair(a0[i], a1[i]), pair(b0[i], b1[i]), pos[i], len[i], 64);
        if (mask >> i & 1) {
            d0[i] = U32(r);
            d1[i] = U32(r >> 32);
        }
    }
}

#define BITS2(n)                                                                                   \
    {                                                                                              \
        [VI_U32] = x_##n##_u32, [VI_S32] = x_##n##_u32, [VI_U64] = x_##n##_u64,                    \
        [VI_S64] = x_##n##_u64                                                                     \
    }
#define BITS4(n)                                                                                   \
    {                                                                                              \
        [VI_U32] = x_##n##_u32, [VI_S32] = x_##n##_s32, [VI_U64] = x_##n##_u64,                    \
        [VI_S64] = x_##n##_s64                                                                     \
    }
#define UP_TO_32(n)                                                                                \
    {                                                                                              \
        x_##n##_u16, x_##n##_s16, x_##n##_u32, x_##n##_s32, NULL, NULL                             \
    }

#define VEC_INTS                                                                                   \
    {                                                                                              \
        .add = THREE(add), .sub = THREE(sub), .mul_lo = THREE(mul_lo), .mul_hi = SIX(mul_hi),      \
        .mad_lo = THREE(mad_lo), .mad_hi = SIX(mad_hi), .mul_wide = UP_TO_32(mul_wide),            \
        .mad_wide = UP_TO_32(mad_wide), .div = SIX(div), .rem = SIX(rem), .min = SIX(min),         \
        .max = SIX(max), .neg = THREE(neg), .abs = THREE(abs), .shl = THREE(shl), .shr = SIX(shr), \
        .and_ = THREE(and), .or_ = THREE(or), .xor_ = THREE(xor), .not_ = THREE(not ),             \
        .cnot = THREE(cnot), .setp = {SIX(setp_eq), SIX(setp_ne), SIX(setp_lt),                    \
                                      SIX(setp_le), SIX(setp_gt), SIX(setp_ge)},                   \
        .popc = BITS2(popc), .clz = BITS2(clz), .brev = BITS2(brev), .bfind = BITS4(bfind),        \
        .bfind_shiftamt = BITS4(bfind_shiftamt), .bfe = BITS4(bfe), .bfi = BITS2(bfi),             \
        .lop3 = x_lop3, .prmt = x_prmt, .shf_l = {x_shf_l_clamp, x_shf_l_wrap},                    \
        .shf_r = {x_shf_r_clamp, x_shf_r_wrap},                                                    \
        .szext = {{x_szext_clamp_u32, x_szext_clamp_s32}, {x_szext_wrap_u32, x_szext_wrap_s32}},   \
        .bmsk = {x_bmsk_clamp, x_bmsk_wrap},                                                       \
    }

#endif
