/* f64: the host's double, with the host's rounding mode set for directed roundings (this file is
 * built so that the compiler respects it). NaN: a NaN operand comes back quiet, the second before
 * the third before the first (of a division the first), else the result is the hardware's default
 * NaN. Also copysign, which f32 shares. PTX ISA "Floating Point Instructions". */
#include "sim/func/exec_decl.h"
#include "sim/func/mufu_body.h"
#include "sim/func/vec.h"

#include <fenv.h>
#include <math.h>

#define QUIET_F64 UINT64_C(0x0008000000000000)
#define DEFAULT_NAN_F64 UINT64_C(0xFFF8000000000000)
#define SIGN_F64 UINT64_C(0x8000000000000000)

static double to_double(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint64_t to_bits(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static bool is_nan_bits(uint64_t v)
{
    return (v & ~SIGN_F64) > UINT64_C(0x7FF0000000000000);
}

static uint64_t get(const Warp *w, const XInsn *in, uint32_t k, uint32_t lane)
{
    return row(w, in->row[2 * k])[lane] | (uint64_t)row(w, in->row[2 * k + 1])[lane] << 32;
}

static void put(const Warp *w, const XInsn *in, uint32_t lane, uint64_t v)
{
    row(w, in->row[0])[lane] = (uint32_t)v;
    row(w, in->row[1])[lane] = (uint32_t)(v >> 32);
}

typedef double F64Fn(double a, double b, double c);

static double quotient(double a, double b, double c)
{
    volatile double x = a, y = b;
    (void)c;
    volatile double r = x / y;
    return r;
}

static uint64_t result_of(F64Fn *fn, const uint64_t v[3], uint32_t n_src)
{
    static const uint8_t orders[2][3] = {{1, 2, 0}, {0, 1, 2}};
    const uint8_t *first = orders[fn == quotient];
    for (uint32_t i = 0; i < 3; i++)
        if (first[i] < n_src && is_nan_bits(v[first[i]]))
            return v[first[i]] | QUIET_F64;
    uint64_t r = to_bits(fn(to_double(v[0]), to_double(v[1]), to_double(v[2])));
    return is_nan_bits(r) ? DEFAULT_NAN_F64 : r;
}

static void each_lane(Warp *w, const XInsn *in, uint32_t mask, uint32_t n_src, F64Fn *fn)
{
    static const int host_mode[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
    uint32_t rnd = in->ci->mod[MC_RND];
    int before = fegetround();
    fesetround(host_mode[rnd >= MV_RND_RN && rnd <= MV_RND_RP ? rnd - MV_RND_RN : 0]);
    for (uint32_t i = 0; i < WARP; i++) {
        uint64_t v[3] = {0, 0, 0};
        for (uint32_t k = 0; k < n_src; k++)
            v[k] = get(w, in, k + 1, i);
        if (mask >> i & 1)
            put(w, in, i, result_of(fn, v, n_src));
    }
    fesetround(before);
}

/* volatile: the operation must happen here, between the changes of mode. */
static double add(double a, double b, double c)
{
    volatile double x = a, y = b;
    (void)c;
    volatile double r = x + y;
    return r;
}

static double sub(double a, double b, double c)
{
    return add(a, -b, c);
}

static double mul(double a, double b, double c)
{
    volatile double x = a, y = b;
    (void)c;
    volatile double r = x * y;
    return r;
}

static double fused(double a, double b, double c)
{
    volatile double x = a, y = b, z = c;
    volatile double r = fma(x, y, z);
    return r;
}

static double root(double a, double b, double c)
{
    volatile double x = a;
    (void)b, (void)c;
    volatile double r = sqrt(x);
    return r;
}

static double reciprocal(double a, double b, double c)
{
    return quotient(1.0, a, b + c);
}

/* min and max: -0 < +0, a NaN operand is ignored. */
static uint64_t pick(uint64_t a, uint64_t b, bool want_max)
{
    if (is_nan_bits(a))
        return is_nan_bits(b) ? b | QUIET_F64 : b;
    if (is_nan_bits(b))
        return a;
    double x = to_double(a), y = to_double(b);
    bool a_less = x < y || (x == y && a >> 63 > b >> 63);
    return a_less == want_max ? b : a;
}

static void min_max(Warp *w, const XInsn *in, uint32_t mask, bool want_max)
{
    for (uint32_t i = 0; i < WARP; i++)
        if (mask >> i & 1)
            put(w, in, i, pick(get(w, in, 1, i), get(w, in, 2, i), want_max));
}

static void min_f64(Warp *w, const XInsn *in, uint32_t mask)
{
    min_max(w, in, mask, false);
}

static void max_f64(Warp *w, const XInsn *in, uint32_t mask)
{
    min_max(w, in, mask, true);
}

/* neg and abs are additions of zero: a NaN keeps its sign. */
static uint64_t or_quiet(uint64_t v, uint64_t r)
{
    return is_nan_bits(v) ? v | QUIET_F64 : r;
}

static void neg_f64(Warp *w, const XInsn *in, uint32_t mask)
{
    for (uint32_t i = 0; i < WARP; i++)
        if (mask >> i & 1)
            put(w, in, i, or_quiet(get(w, in, 1, i), get(w, in, 1, i) ^ SIGN_F64));
}

static void abs_f64(Warp *w, const XInsn *in, uint32_t mask)
{
    for (uint32_t i = 0; i < WARP; i++)
        if (mask >> i & 1)
            put(w, in, i, or_quiet(get(w, in, 1, i), get(w, in, 1, i) & ~SIGN_F64));
}

/* rcp.approx.ftz.f64 and rsqrt.approx.ftz.f64 see the upper word only and give zero below it. */
static void high_word(Warp *w, const XInsn *in, uint32_t mask, uint32_t (*fn)(uint32_t))
{
    for (uint32_t i = 0; i < WARP; i++)
        if (mask >> i & 1)
            put(w, in, i, (uint64_t)fn((uint32_t)(get(w, in, 1, i) >> 32)) << 32);
}

static void rcp_approx_f64(Warp *w, const XInsn *in, uint32_t mask)
{
    high_word(w, in, mask, mufu_rcp64);
}

/* rsqrt.approx.f64: as ptxas expands it, one step of refinement with two terms; subnormals are
 * scaled. */
static double refined_rsqrt(double x)
{
    double r = to_double((uint64_t)mufu_rsq64((uint32_t)(to_bits(x) >> 32)) << 32);
    double e = fma(x, -(r * r), 1.0);
    return fma(fma(e, 0.375, 0.5), r * e, r);
}

static double rsqrt(double a, double b, double c)
{
    (void)b, (void)c;
    if (a == 0.0)
        return copysign(INFINITY, a);
    if (a < 0.0)
        return (double)NAN;
    if (isinf(a))
        return 0.0;
    return a < 0x1p-1022 ? refined_rsqrt(a * 0x1p54) * 0x1p27 : refined_rsqrt(a);
}

static void rsqrt_f64(Warp *w, const XInsn *in, uint32_t mask)
{
    if (in->ci->mod[MC_FTZ])
        high_word(w, in, mask, mufu_rsq64);
    else
        each_lane(w, in, mask, 1, rsqrt);
}

/* copysign d, a, b: the magnitude of b with the sign of a. */
static void copysign_any(Warp *w, const XInsn *in, uint32_t mask)
{
    uint32_t n = in->ci->type[0] == T_F64 ? 2 : 1;
    const uint32_t *sign = row(w, in->row[2 * n - 1]);
    for (uint32_t i = 0; i < WARP; i++) {
        uint32_t v[2] = {row(w, in->row[2 * n])[i], n > 1 ? row(w, in->row[2 * n + 1])[i] : 0};
        v[n - 1] = (v[n - 1] & 0x7fffffffu) | (sign[i] & 0x80000000u);
        for (uint32_t k = 0; k < n && (mask >> i & 1); k++)
            row(w, in->row[k])[i] = v[k];
    }
}

#define F64_OP(name, n_src, fn)                                                                    \
    static void name(Warp *w, const XInsn *in, uint32_t mask)                                      \
    {                                                                                              \
        each_lane(w, in, mask, n_src, fn);                                                         \
    }
#define BIND_F64(name, fn)                                                                         \
    bool exec_##name(const Code *c, const CodeInsn *in, Bound *out)                                \
    {                                                                                              \
        (void)c, (void)in;                                                                         \
        out->plain = fn;                                                                           \
        return true;                                                                               \
    }

/* clang-format off */
F64_OP(add_f64, 2, add)
F64_OP(sub_f64, 2, sub)
F64_OP(mul_f64, 2, mul)
F64_OP(div_f64, 2, quotient)
F64_OP(fma_f64, 3, fused)
F64_OP(rcp_f64, 1, reciprocal)
F64_OP(sqrt_f64, 1, root)
BIND_F64(add_f64, add_f64)
BIND_F64(sub_f64, sub_f64)
BIND_F64(mul_f64, mul_f64)
BIND_F64(div_f64, div_f64)
BIND_F64(fma_f64, fma_f64)
BIND_F64(rcp_f64, rcp_f64)
BIND_F64(sqrt_f64, sqrt_f64)
BIND_F64(min_f64, min_f64)
BIND_F64(max_f64, max_f64)
BIND_F64(neg_f64, neg_f64)
BIND_F64(abs_f64, abs_f64)
BIND_F64(rcp_approx_f64, rcp_approx_f64)
BIND_F64(rsqrt_f64, rsqrt_f64)
BIND_F64(copysign, copysign_any)
/* clang-format on */
