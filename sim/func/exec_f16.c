/* f16, bf16 and their packed pairs: each half by itself, exact and rounded once (num.h). Slower
 * than f32, and rare in the kernels this project runs. PTX ISA "Half Precision Floating Point
 * Instructions". */
#include "sim/func/exec_decl.h"
#include "sim/func/num.h"
#include "sim/func/vec.h"

typedef struct Half { /* what the instruction's type and modifiers say */
    NumType type;
    uint32_t n; /* halves in a register */
    bool ftz;
    NumMode mode;
} Half;

static Half half_of(const CodeInsn *ci)
{
    PtxType t = (PtxType)ci->type[0];
    bool bf16 = t == T_BF16 || t == T_BF16X2;
    unsigned flags = (ci->mod[MC_SAT] ? NUM_SAT : 0u) | (ci->mod[MC_RELU] ? NUM_RELU : 0u);
    return (Half){.type = bf16 ? NUM_BF16 : NUM_F16,
                  .n = type_info[t].count,
                  .ftz = ci->mod[MC_FTZ] != 0 && !bf16,
                  .mode = {.rnd = NUM_RN, .flags = flags}};
}

static uint32_t flush(const Half *h, uint32_t v)
{
    return h->ftz && (v & 0x7c00) == 0 ? v & 0x8000 : v;
}

/* Operand k (a, b, c) of a lane, half j. */
static uint32_t get(const Warp *w, const XInsn *in, const Half *h, uint32_t k, uint32_t lane,
                    uint32_t j)
{
    return flush(h, row(w, in->row[k + 1])[lane] >> 16 * j & 0xffff);
}

#define HALF_NAN 0x7fffu /* canonical, of f16 and bf16 alike: ptx.md 4.1 */

static bool is_nan(const Half *h, uint32_t v)
{
    return (v & 0x7fff) > (h->type == NUM_BF16 ? 0x7f80u : 0x7c00u);
}

typedef uint32_t HalfFn(const XInsn *in, const Half *h, uint32_t a, uint32_t b, uint32_t c);

static inline void each_half(Warp *w, const XInsn *in, uint32_t mask, uint32_t n_src, HalfFn *fn)
{
    Half h = half_of(in->ci);
    uint32_t *d = row(w, in->row[0]);
    for (uint32_t i = 0; i < WARP; i++) {
        uint32_t r = 0;
        if (!(mask >> i & 1))
            continue;
        for (uint32_t j = 0; j < h.n; j++) {
            uint32_t v[3] = {0};
            for (uint32_t k = 0; k < n_src; k++)
                v[k] = get(w, in, &h, k, i, j);
            r |= (fn(in, &h, v[0], v[1], v[2]) & 0xffff) << 16 * j;
        }
        d[i] = r;
    }
}

static uint32_t add(const XInsn *in, const Half *h, uint32_t a, uint32_t b, uint32_t c)
{
    (void)in, (void)c;
    return flush(h, num_add(h->type, a, b, h->mode));
}

static uint32_t sub(const XInsn *in, const Half *h, uint32_t a, uint32_t b, uint32_t c)
{
    (void)in, (void)c;
    return flush(h, num_add(h->type, a, b ^ 0x8000, h->mode));
}

static uint32_t mul(const XInsn *in, const Half *h, uint32_t a, uint32_t b, uint32_t c)
{
    (void)in, (void)c;
    return flush(h, num_mul(h->type, a, b, h->mode));
}

static uint32_t fused(const XInsn *in, const Half *h, uint32_t a, uint32_t b, uint32_t c)
{
    (void)in;
    return flush(h, num_fma(h->type, a, b, c, h->mode));
}

/* neg and abs are additions of zero. */
static uint32_t canonical_half(const Half *h, uint32_t v)
{
    return is_nan(h, v) ? HALF_NAN : v;
}

static uint32_t neg(const XInsn *in, const Half *h, uint32_t a, uint32_t b, uint32_t c)
{
    (void)in, (void)b, (void)c;
    return canonical_half(h, a ^ 0x8000);
}

static uint32_t magnitude(const XInsn *in, const Half *h, uint32_t a, uint32_t b, uint32_t c)
{
    (void)in, (void)b, (void)c;
    return canonical_half(h, a & 0x7fff);
}

/* Sign and magnitude to a number that compares as the value does, -0 below +0. */
static int32_t order(uint32_t v)
{
    int32_t m = (int32_t)(v & 0x7fff);
    return v & 0x8000 ? -1 - m : m;
}

static uint32_t pick(const XInsn *in, const Half *h, uint32_t a, uint32_t b, bool want_max)
{
    const CodeInsn *ci = in->ci;
    uint32_t sign = (a ^ b) & 0x8000;
    if (ci->mod[MC_ABS]) {
        a &= 0x7fff;
        b &= 0x7fff;
    }
    bool na = is_nan(h, a), nb = is_nan(h, b);
    if ((na && nb) || (ci->mod[MC_NAN] && (na || nb)))
        return HALF_NAN;
    uint32_t r = (order(a) > order(b)) == want_max ? a : b;
    if (na || nb)
        r = na ? b : a;
    return ci->mod[MC_XSA] ? r | sign : r;
}

static uint32_t smaller(const XInsn *in, const Half *h, uint32_t a, uint32_t b, uint32_t c)
{
    (void)c;
    return pick(in, h, a, b, false);
}

static uint32_t larger(const XInsn *in, const Half *h, uint32_t a, uint32_t b, uint32_t c)
{
    (void)c;
    return pick(in, h, a, b, true);
}

/* MUFU gives the half forms by cutting the f32 result, where f16 overflows to infinity all the
 * same. */
static uint32_t cut_half(const Half *h, uint32_t y)
{
    bool over = h->type == NUM_F16 && (y & 0x7FFFFFFFu) >= num_bits(0x1p16f) && !num_is_nan_f32(y);
    NumMode cut = {.rnd = over ? NUM_RN : NUM_RZ};
    return (uint32_t)num_convert(h->type, NUM_F32, y, cut);
}

static void through_f32(Warp *w, const XInsn *in, uint32_t mask, NumRow1 *fn)
{
    Half h = half_of(in->ci);
    _Alignas(128) uint32_t t[WARP], r[WARP] = {0};
    for (uint32_t j = 0; j < h.n; j++) {
        for (uint32_t i = 0; i < WARP; i++)
            t[i] = (uint32_t)num_convert(NUM_F32, h.type, get(w, in, &h, 0, i, j), h.mode);
        fn(t, t);
        for (uint32_t i = 0; i < WARP; i++)
            r[i] |= cut_half(&h, t[i]) << 16 * j;
    }
    uint32_t *d = row(w, in->row[0]);
    for (uint32_t i = 0; i < WARP; i++)
        d[i] = mask >> i & 1 ? r[i] : d[i];
}

static void ex2_f16(Warp *w, const XInsn *in, uint32_t mask)
{
    through_f32(w, in, mask, num_rows_for(w->cta->exec->isa)->ex2[NUM_FTZ]);
}

static void tanh_f16(Warp *w, const XInsn *in, uint32_t mask)
{
    through_f32(w, in, mask, num_rows_for(w->cta->exec->isa)->tanh);
}

#define HALF_OP(name, n_src, fn)                                                                   \
    static void name(Warp *w, const XInsn *in, uint32_t mask)                                      \
    {                                                                                              \
        each_half(w, in, mask, n_src, fn);                                                         \
    }
#define BIND_HALF(name)                                                                            \
    bool exec_##name(const Code *c, const CodeInsn *in, Bound *out)                                \
    {                                                                                              \
        (void)c, (void)in;                                                                         \
        out->plain = name;                                                                         \
        return true;                                                                               \
    }

/* clang-format off */
HALF_OP(add_f16, 2, add)
HALF_OP(sub_f16, 2, sub)
HALF_OP(mul_f16, 2, mul)
HALF_OP(fma_f16, 3, fused)
HALF_OP(neg_f16, 1, neg)
HALF_OP(abs_f16, 1, magnitude)
HALF_OP(min_f16, 2, smaller)
HALF_OP(max_f16, 2, larger)
BIND_HALF(add_f16)
BIND_HALF(sub_f16)
BIND_HALF(mul_f16)
BIND_HALF(fma_f16)
BIND_HALF(neg_f16)
BIND_HALF(abs_f16)
BIND_HALF(min_f16)
BIND_HALF(max_f16)
BIND_HALF(ex2_f16)
BIND_HALF(tanh_f16)
/* clang-format on */
