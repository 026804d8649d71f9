/* Element-wise reductions of bulk copies: dst[i] = dst[i] op src[i]. Sums of 16-bit floats are
 * rounded once to their own type (PTX ISA cp.reduce.async.bulk: .noftz, round to nearest). */
#include "sim/func/engine.h"
#include "sim/func/num.h"

static uint64_t reduce_unsigned(uint8_t op, uint64_t a, uint64_t b, uint32_t bits)
{
    uint64_t mask = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    switch (op) {
    case MV_REDOP_MIN:
        return a < b ? a : b;
    case MV_REDOP_MAX:
        return a > b ? a : b;
    case MV_REDOP_INC:
        return a >= b ? 0 : a + 1;
    case MV_REDOP_DEC:
        return a == 0 || a > b ? b : a - 1;
    case MV_REDOP_AND:
        return a & b;
    case MV_REDOP_OR:
        return a | b;
    case MV_REDOP_XOR:
        return a ^ b;
    default:
        return (a + b) & mask;
    }
}

static uint64_t reduce_signed(uint8_t op, uint64_t a, uint64_t b, uint32_t bits)
{
    int64_t x = (int64_t)(a << (64 - bits)), y = (int64_t)(b << (64 - bits));
    if (op == MV_REDOP_MIN)
        return x < y ? a : b;
    if (op == MV_REDOP_MAX)
        return x > y ? a : b;
    return reduce_unsigned(op, a, b, bits);
}

/* min and max ignore a NaN; -0 is below +0. */
static uint64_t reduce_f16(uint8_t op, uint64_t a, uint64_t b, NumType t)
{
    static const NumMode nearest = {.rnd = NUM_RN};
    if (op == MV_REDOP_ADD)
        return num_add(t, (uint32_t)a, (uint32_t)b, nearest);
    float x = num_float((uint32_t)num_convert(NUM_F32, t, a, nearest));
    float y = num_float((uint32_t)num_convert(NUM_F32, t, b, nearest));
    if (x != x && y != y)
        return 0x7fff; /* as an H200 does */
    if (x != x || y != y)
        return x != x ? b : a;
    if (x == y)
        return op == MV_REDOP_MIN ? a | b : a & b; /* differ, if at all, in the sign of zero */
    return (op == MV_REDOP_MIN) == (x < y) ? a : b;
}

static uint64_t reduce_f64(uint64_t a, uint64_t b)
{
    double x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    x += y;
    memcpy(&a, &x, sizeof a);
    return a;
}

static uint64_t reduce_one(uint8_t op, PtxType type, uint64_t a, uint64_t b)
{
    uint32_t bits = type_info[type].bits;
    switch (type_info[type].kind) {
    case 'F':
        if (type == T_F64)
            return reduce_f64(a, b);
        if (type == T_F16 || type == T_BF16)
            return reduce_f16(op, a, b, type == T_F16 ? NUM_F16 : NUM_BF16);
        return num_canon_f32(num_bits(num_float((uint32_t)a) + num_float((uint32_t)b)));
    case 'S':
        return reduce_signed(op, a, b, bits);
    default:
        return reduce_unsigned(op, a, b, bits);
    }
}

bool reduce_legal(uint8_t op, PtxType type)
{
    if (type_info[type].kind != 'F')
        return true;
    bool half = type == T_F16 || type == T_BF16;
    return op == MV_REDOP_ADD || (half && (op == MV_REDOP_MIN || op == MV_REDOP_MAX));
}

static void add_f32(uint8_t *dst, const uint8_t *src, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 4) {
        float d, s;
        memcpy(&d, dst + at, 4);
        memcpy(&s, src + at, 4);
        d += s;
        uint32_t r = num_canon_f32(num_bits(d));
        memcpy(dst + at, &r, 4);
    }
}

void reduce_bytes(uint8_t op, PtxType type, uint8_t *dst, const uint8_t *src, size_t bytes)
{
    uint32_t size = type_info[type].bits / 8;
    if (type == T_F32) {
        add_f32(dst, src, bytes);
        return;
    }
    for (size_t at = 0; at + size <= bytes; at += size) {
        uint64_t a = 0, b = 0;
        memcpy(&a, dst + at, size);
        memcpy(&b, src + at, size);
        a = reduce_one(op, type, a, b);
        memcpy(dst + at, &a, size);
    }
}
