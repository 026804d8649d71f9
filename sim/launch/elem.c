/* See elem.h. Widening is by shifts and one exact multiplication, so that a compiler can vectorise
 * it; narrowing has a fast path for normal numbers and leaves the rest to num.h. */
#include "sim/launch/elem.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Binary16 with its exponent still biased by 15: as a binary32 pattern it is 2^-112 of the value,
 * subnormals too. */
static inline float widen_f16(uint32_t h)
{
    uint32_t sign = (h & 0x8000u) << 16, rest = h & 0x7fffu;
    uint32_t finite = num_bits(num_float(rest << 13) * 0x1p112f);
    return num_float(sign | (rest < 0x7c00u ? finite : 0x7f800000u | rest << 13));
}

static inline float widen_e4m3(uint32_t b)
{
    uint32_t sign = (b & 0x80u) << 24, rest = b & 0x7fu;
    uint32_t finite = num_bits(num_float(rest << 20) * 0x1p120f);
    return num_float(sign | (rest < 0x7fu ? finite : 0x7fc00000u));
}

/* clang-format off */
/*   T_    name    C type    value of x                       kind number    finite range                        .npy */
#define ELEM_ROWS                                                                                                      \
 ROW(BF16, "bf16", uint16_t, num_float((uint32_t)x << 16),    'F', NUM_BF16, -0x1.fep127, 0x1.fep127,           "u2 V2 i2") \
 ROW(F16,  "f16",  uint16_t, widen_f16(x),                    'F', NUM_F16,  -65504, 65504,                     "f2")       \
 ROW(F32,  "f32",  float,    x,                               'F', NUM_F32,  -0x1.fffffep127, 0x1.fffffep127,   "f4")       \
 ROW(F64,  "f64",  double,   x,                               'F', NUM_F64,  -DBL_MAX, DBL_MAX,                 "f8")       \
 ROW(U8,   "u8",   uint8_t,  x,                               'U', NUM_F64,  0, 255,                            "u1 b1")    \
 ROW(U16,  "u16",  uint16_t, x,                               'U', NUM_F64,  0, 65535,                          "u2")       \
 ROW(U32,  "u32",  uint32_t, x,                               'U', NUM_F64,  0, 4294967295.0,                   "u4")       \
 ROW(U64,  "u64",  uint64_t, x,                               'U', NUM_F64,  0, 18446744073709549568.0,         "u8")       \
 ROW(S8,   "s8",   int8_t,   x,                               'S', NUM_F64,  -128, 127,                         "i1")       \
 ROW(S16,  "s16",  int16_t,  x,                               'S', NUM_F64,  -32768, 32767,                     "i2")       \
 ROW(S32,  "s32",  int32_t,  x,                               'S', NUM_F64,  -2147483648.0, 2147483647.0,       "i4")       \
 ROW(S64,  "s64",  int64_t,  x,                               'S', NUM_F64,  -0x1p63, 9223372036854774784.0,    "i8")       \
 ROW(E4M3, "e4m3", uint8_t,  widen_e4m3(x),                   'F', NUM_E4M3, -448, 448,                         "u1 V1 f1") \
 ROW(E5M2, "e5m2", uint8_t,  widen_f16((uint32_t)x << 8),     'F', NUM_E5M2, -57344, 57344,                     "u1 V1 f1")
/* clang-format on */

/* memcpy: the bytes of a tensor have no type of their own. */
#define ROW(id, name, T, value, kind, num, lo, hi, npy)                                            \
    static void id##_to_double(const uint8_t *src, size_t n, double *out)                          \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            T x;                                                                                   \
            memcpy(&x, src + i * sizeof x, sizeof x);                                              \
            out[i] = (double)(value);                                                              \
        }                                                                                          \
    }                                                                                              \
    static void id##_to_float(const uint8_t *src, size_t n, float *out)                            \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            T x;                                                                                   \
            memcpy(&x, src + i * sizeof x, sizeof x);                                              \
            out[i] = (float)(value);                                                               \
        }                                                                                          \
    }
ELEM_ROWS
#undef ROW

static const Elem elems[] = {
#define ROW(id, name, T, value, kind, num, lo, hi, npy)                                            \
    {name, T_##id, sizeof(T), kind, num, lo, hi, npy, id##_to_double, id##_to_float},
    ELEM_ROWS
#undef ROW
};

const char *const elem_names[] = {
#define ROW(id, name, T, value, kind, num, lo, hi, npy) name,
    ELEM_ROWS
#undef ROW
        NULL,
};

const Elem *elem_of(PtxType type)
{
    for (size_t i = 0; i < sizeof elems / sizeof *elems; i++)
        if (elems[i].type == type)
            return &elems[i];
    return NULL;
}

const Elem *elem_at(uint32_t i)
{
    return &elems[i];
}

void elem_to_double(const Elem *e, const void *src, size_t n, double *out)
{
    e->to_double(src, n, out);
}

void elem_to_float(const Elem *e, const void *src, size_t n, float *out)
{
    e->to_float(src, n, out);
}

/* v in a format of e exponent bits and f fraction bits, if it is zero or stays normal and finite
 * when rounded. */
static inline bool narrow(const NumFormat *f, double v, uint64_t *out)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint64_t rest = bits & 0x7fffffffffffffffu, sign = bits >> 63 << (f->exp_bits + f->frac_bits);
    int exp = (int)(rest >> 52) - 1023, shift = 52 - f->frac_bits;
    if (rest == 0) {
        *out = sign;
        return true;
    }
    if (exp < 1 - f->bias || exp >= (1 << f->exp_bits) - 2 - f->bias)
        return false;
    uint64_t even = rest >> shift & 1,
             rounded = (rest + ((uint64_t)1 << (shift - 1)) - 1 + even) >> shift;
    *out = sign | (rounded - ((uint64_t)(1023 - f->bias) << f->frac_bits));
    return true;
}

static uint64_t to_bits(const Elem *e, double v)
{
    uint64_t bits;
    if (e->kind != 'F') {
        double x = rint(v);
        x = x >= e->lo ? x : e->lo; /* NaN too */
        x = x <= e->hi ? x : e->hi;
        return e->kind == 'S' ? (uint64_t)(int64_t)x : (uint64_t)x;
    }
    if (e->type == T_F64) {
        memcpy(&bits, &v, sizeof bits);
        return bits;
    }
    if (narrow(&num_formats[e->num], v, &bits))
        return bits;
    memcpy(&bits, &v, sizeof bits);
    NumMode mode = {.rnd = NUM_RN, .flags = e->bytes == 1 ? NUM_SATFINITE : 0};
    return num_convert(e->num, NUM_F64, bits, mode);
}

void elem_put(const Elem *e, void *dst, size_t i, double v)
{
    uint64_t bits = to_bits(e, v);
    uint8_t *p = (uint8_t *)dst + i * e->bytes;
    for (unsigned k = 0; k < e->bytes; k++)
        p[k] = (uint8_t)(bits >> 8 * k);
}

void elem_from_double(const Elem *e, const double *v, size_t n, void *dst, size_t first)
{
    if (e->kind != 'F' || e->bytes != 2) {
        for (size_t i = 0; i < n; i++)
            elem_put(e, dst, first + i, v[i]);
        return;
    }
    const NumFormat f = num_formats[e->num]; /* most tensors: the fast path without calls */
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        if (!narrow(&f, v[i], &bits))
            bits = to_bits(e, v[i]);
        uint16_t half = (uint16_t)bits;
        memcpy((uint8_t *)dst + (first + i) * sizeof half, &half, sizeof half);
    }
}

bool elem_is_poison(const Elem *e, const void *src, size_t i)
{
    const uint8_t *p = (const uint8_t *)src + i * e->bytes;
    uint8_t all = 0xff;
    for (unsigned k = 0; k < e->bytes; k++)
        all &= p[k];
    return all == 0xff;
}
