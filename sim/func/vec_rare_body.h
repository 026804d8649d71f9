/* Integer instructions that kernels use now and then: saturating, with carry, 24-bit, packed, dot
 * products. Rows as in vec_row_body.h. PTX ISA "Integer Arithmetic", "Extended-Precision
 * Arithmetic". */
#ifndef RAO_FUNC_VEC_RARE_BODY_H
#define RAO_FUNC_VEC_RARE_BODY_H

#include "sim/func/vec_int_body.h"

static inline uint32_t sat_s32(int64_t v)
{
    return U32(MAX(MIN(v, (int64_t)INT32_MAX), (int64_t)INT32_MIN));
}

/* |a - b| without overflow: the difference of the larger and the smaller. */
#define DISTANCE(a, b) ((a) > (b) ? (a) - (b) : (b) - (a))

/* The 48-bit product of the low 24 bits. */
static inline uint64_t product24(uint32_t a, uint32_t b)
{
    return (uint64_t)(a & 0xffffff) * (b & 0xffffff);
}

static inline int64_t product24_signed(uint32_t a, uint32_t b)
{
    return (int64_t)(S32(a << 8) >> 8) * (S32(b << 8) >> 8);
}

static inline uint32_t halves(uint32_t lo, uint32_t hi)
{
    return (lo & 0xffff) | hi << 16;
}

static inline uint32_t byte_of(uint32_t v, uint32_t k, bool is_signed)
{
    uint32_t b = v >> 8 * k & 0xff;
    return is_signed ? U32((int32_t)(int8_t)b) : b;
}

static inline uint32_t half_of_word(uint32_t v, uint32_t k, bool is_signed)
{
    uint32_t h = v >> 16 * k & 0xffff;
    return is_signed ? U32((int32_t)S16(h)) : h;
}

static inline uint32_t dot4(uint32_t a, uint32_t b, uint32_t c, bool a_signed, bool b_signed)
{
    for (uint32_t k = 0; k < 4; k++)
        c += byte_of(a, k, a_signed) * byte_of(b, k, b_signed);
    return c;
}

/* high: with the two upper bytes of b. */
static inline uint32_t dot2(uint32_t a, uint32_t b, uint32_t c, bool a_signed, bool b_signed,
                            uint32_t high)
{
    for (uint32_t k = 0; k < 2; k++)
        c += half_of_word(a, k, a_signed) * byte_of(b, 2 * high + k, b_signed);
    return c;
}

/* The place of the n-th set bit of mask from base, upward or (n < 0) downward. */
static inline uint32_t find_nth(uint32_t mask, uint32_t base, int32_t n)
{
    if (n == INT32_MIN) /* its magnitude overflows in ptxas' code; so measured */
        return 0;
    if (base > 31)
        return UINT32_MAX;
    if (n == 0)
        return mask >> base & 1 ? base : UINT32_MAX;
    uint32_t count = n < 0 ? 0 - U32(n) : U32(n);
    for (int32_t pos = S32(base); pos >= 0 && pos < 32; pos += n < 0 ? -1 : 1)
        if ((mask >> pos & 1) && --count == 0)
            return U32(pos);
    return UINT32_MAX;
}

/* cvt.pack: a and b saturated to `bits`, b lowest; above them the low bits of c. */
static inline uint32_t saturate_to(uint32_t v, uint32_t bits, bool is_signed)
{
    int32_t max = is_signed ? (1 << (bits - 1)) - 1 : (1 << bits) - 1;
    int32_t min = is_signed ? -max - 1 : 0;
    return U32(MAX(MIN(S32(v), max), min)) & ((1u << bits) - 1);
}

static inline uint32_t pack_lane(uint32_t a, uint32_t b, uint32_t c, uint32_t bits, bool is_signed)
{
    uint32_t low = saturate_to(a, bits, is_signed) << bits | saturate_to(b, bits, is_signed);
    return bits == 16 ? low : low | c << 2 * bits;
}

/* clang-format off */
PLAIN32(add_sat, sat_s32((int64_t)S32(a[i]) + S32(b[i])))
PLAIN32(sub_sat, sat_s32((int64_t)S32(a[i]) - S32(b[i])))
PLAIN32(mad_hi_sat, sat_s32((int64_t)S32(mul_hi_s32(a[i], b[i])) + S32(c[i])))
PLAIN32(add_x2, halves(a[i] + b[i], (a[i] >> 16) + (b[i] >> 16)))
INT_ALL(sad, DISTANCE(U32(U16(a[i])), U16(b[i])) + c[i], U32(DISTANCE(S16(a[i]), S16(b[i]))) + c[i],
        DISTANCE(a[i], b[i]) + c[i], (S32(a[i]) > S32(b[i]) ? a[i] - b[i] : b[i] - a[i]) + c[i],
        DISTANCE(x, y) + z, (S64(x) > S64(y) ? x - y : y - x) + z)
PLAIN32(mul24_lo_u32, U32(product24(a[i], b[i])))
PLAIN32(mul24_lo_s32, U32((uint64_t)product24_signed(a[i], b[i])))
PLAIN32(mul24_hi_u32, U32(product24(a[i], b[i]) >> 16))
PLAIN32(mul24_hi_s32, U32((uint64_t)product24_signed(a[i], b[i]) >> 16))
PLAIN32(mad24_lo_u32, U32(product24(a[i], b[i])) + c[i])
PLAIN32(mad24_lo_s32, U32((uint64_t)product24_signed(a[i], b[i])) + c[i])
PLAIN32(mad24_hi_u32, U32(product24(a[i], b[i]) >> 16) + c[i])
PLAIN32(mad24_hi_s32, U32((uint64_t)product24_signed(a[i], b[i]) >> 16) + c[i])
PLAIN32(mad24_hi_sat, sat_s32((int64_t)S32(U32((uint64_t)product24_signed(a[i], b[i]) >> 16)) + S32(c[i])))
#define MINMAX_X2(op, OP)                                                                          \
    PLAIN32(op##_u16x2, halves(OP(U16(a[i]), U16(b[i])), OP(a[i] >> 16, b[i] >> 16)))              \
    PLAIN32(op##_s16x2, halves(U32(OP(S16(a[i]), S16(b[i]))), U32(OP(S16(a[i] >> 16), S16(b[i] >> 16))))) \
    PLAIN32(op##_relu_s16x2, halves(U32(MAX(OP(S16(a[i]), S16(b[i])), 0)),                         \
                                    U32(MAX(OP(S16(a[i] >> 16), S16(b[i] >> 16)), 0))))            \
    PLAIN32(op##_relu_s32, U32(MAX(OP(S32(a[i]), S32(b[i])), 0)))
MINMAX_X2(min, MIN)
MINMAX_X2(max, MAX)
PLAIN32(fns, find_nth(a[i], b[i], S32(c[i])))
#define DOTS(sa, A, sb, B)                                                                         \
    PLAIN32(dp4a_##sa##_##sb, dot4(a[i], b[i], c[i], A, B))                                        \
    PLAIN32(dp2a_lo_##sa##_##sb, dot2(a[i], b[i], c[i], A, B, 0))                                  \
    PLAIN32(dp2a_hi_##sa##_##sb, dot2(a[i], b[i], c[i], A, B, 1))
DOTS(u, false, u, false)
DOTS(u, false, s, true)
DOTS(s, true, u, false)
DOTS(s, true, s, true)
#define PACK(bits)                                                                                 \
    PLAIN32(pack_u##bits, pack_lane(a[i], b[i], c[i], bits, false))                                \
    PLAIN32(pack_s##bits, pack_lane(a[i], b[i], c[i], bits, true))
PACK(2)
PACK(4)
PACK(8)
PACK(16)
/* clang-format on */

/* ---- Carry ----
 *
 * The flag CC.CF is a predicate (lower/build.c), the borrow of a subtraction as well: pred[0] is
 * what an instruction with .cc writes, the last predicate what addc, subc and madc read. 64-bit
 * operands are two rows each, so a mad.cc.u64 reads eight rows. */

static inline uint32_t carry_in(const Warp *w, const XInsn *in, bool reads)
{
    uint32_t k = in->n_preds - 1u;
    return reads ? pred_lanes(w, in->pred[k], in->pred_neg >> k & 1) : 0;
}

static inline uint64_t carry_operand(const Warp *w, const XInsn *in, uint32_t k, uint32_t n,
                                     int lane)
{
    const uint32_t *lo = row(w, in->row[k * n]);
    return n == 1 ? lo[lane] : pair(lo[lane], row(w, in->row[k * n + 1])[lane]);
}

typedef enum CarryOp { CARRY_ADD, CARRY_SUB, CARRY_MAD_LO, CARRY_MAD_HI } CarryOp;

/* One lane: the sum of two numbers and the carry as a double-width number. */
static inline Uint128 carried(CarryOp op, uint32_t bits, bool is_signed, const uint64_t *v,
                              uint32_t cin)
{
    Uint128 m = bits == 64 ? UINT64_MAX : UINT32_MAX;
    if (op == CARRY_ADD)
        return (Uint128)v[0] + v[1] + cin;
    if (op == CARRY_SUB)
        return ((Uint128)v[0] - v[1] - cin) & (m << 1 | 1);
    uint64_t p = op == CARRY_MAD_LO ? v[0] * v[1]
                 : bits == 64       ? (is_signed ? mul_hi_s64(v[0], v[1]) : mul_hi_u64(v[0], v[1]))
                 : is_signed        ? mul_hi_s32(U32(v[0]), U32(v[1]))
                                    : mul_hi_u32(U32(v[0]), U32(v[1]));
    return (Uint128)(p & (uint64_t)m) + v[2] + cin;
}

static inline void carry_any(Warp *w, const XInsn *in, uint32_t mask, CarryOp op, bool is_signed,
                             uint32_t n)
{
    bool writes = in->ci->mod[MC_CC] != 0;
    uint32_t cin = carry_in(w, in, in->n_preds > (writes ? 1u : 0u)), cout = 0;
    uint32_t n_src = op >= CARRY_MAD_LO ? 3 : 2;
    for (int i = 0; i < WARP; i++) {
        uint64_t v[3] = {0};
        for (uint32_t k = 0; k < n_src; k++)
            v[k] = carry_operand(w, in, k + 1, n, i);
        Uint128 r = carried(op, 32 * n, is_signed, v, cin >> i & 1);
        cout |= U32(r >> 32 * n & 1) << i;
        for (uint32_t k = 0; k < n; k++)
            if (mask >> i & 1)
                row(w, in->row[k])[i] = U32(r >> 32 * k);
    }
    if (writes)
        set_pred(w, in->pred[0], mask, cout);
}

#define CARRY(name, op)                                                                            \
    static void x_##name##_u32(Warp *w, const XInsn *in, uint32_t mask)                            \
    {                                                                                              \
        carry_any(w, in, mask, op, false, 1);                                                      \
    }                                                                                              \
    static void x_##name##_s32(Warp *w, const XInsn *in, uint32_t mask)                            \
    {                                                                                              \
        carry_any(w, in, mask, op, true, 1);                                                       \
    }                                                                                              \
    static void x_##name##_u64(Warp *w, const XInsn *in, uint32_t mask)                            \
    {                                                                                              \
        carry_any(w, in, mask, op, false, 2);                                                      \
    }                                                                                              \
    static void x_##name##_s64(Warp *w, const XInsn *in, uint32_t mask)                            \
    {                                                                                              \
        carry_any(w, in, mask, op, true, 2);                                                       \
    }
CARRY(carry_add, CARRY_ADD)
CARRY(carry_sub, CARRY_SUB)
CARRY(carry_mad_lo, CARRY_MAD_LO)
CARRY(carry_mad_hi, CARRY_MAD_HI)

#define SIGNS(n)                                                                                   \
    {                                                                                              \
        {x_##n##_u_u, x_##n##_u_s},                                                                \
        {                                                                                          \
            x_##n##_s_u, x_##n##_s_s                                                               \
        }                                                                                          \
    }
#define VEC_RARE                                                                                   \
    {                                                                                              \
        .add_sat = x_add_sat, .sub_sat = x_sub_sat, .mad_hi_sat = x_mad_hi_sat,                    \
        .add_x2 = x_add_x2, .sad = SIX(sad), .mul24 = {BITS32(mul24_lo), BITS32(mul24_hi)},        \
        .mad24 = {BITS32(mad24_lo), BITS32(mad24_hi)}, .mad24_hi_sat = x_mad24_hi_sat,             \
        .min_x2 = {x_min_u16x2, x_min_s16x2}, .max_x2 = {x_max_u16x2, x_max_s16x2},                \
        .min_relu = {x_min_relu_s32, x_min_relu_s16x2},                                            \
        .max_relu = {x_max_relu_s32, x_max_relu_s16x2}, .fns = x_fns, .dp4a = SIGNS(dp4a),         \
        .dp2a = {SIGNS(dp2a_lo), SIGNS(dp2a_hi)},                                                  \
        .pack = {{x_pack_u2, x_pack_s2},                                                           \
                 {x_pack_u4, x_pack_s4},                                                           \
                 {x_pack_u8, x_pack_s8},                                                           \
                 {x_pack_u16, x_pack_s16}},                                                        \
        .carry_add = BITS4(carry_add), .carry_sub = BITS4(carry_sub),                              \
        .carry_mad = {BITS4(carry_mad_lo), BITS4(carry_mad_hi)},                                   \
    }
#define BITS32(n)                                                                                  \
    {                                                                                              \
        x_##n##_u32, x_##n##_s32                                                                   \
    }

#endif
