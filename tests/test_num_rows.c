/* Rows of 32 lanes, on every instruction set that this processor runs: f32 arithmetic against the
 * host's rounding modes, approximate functions against long double, conversions against num_*. */
#include <check.h>
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "sim/func/num.h"

/* ck_assert reports every success to the test runner, which is slow in loops of millions. */
#define MUST(cond, ...)                                                                            \
    do {                                                                                           \
        if (!(cond))                                                                               \
            ck_abort_msg(__VA_ARGS__);                                                             \
    } while (0)
#define MUST_EQ(a, b)                                                                              \
    MUST((a) == (b), "%s: %lx, not %lx", #a, (unsigned long)(a), (unsigned long)(b))

static uint64_t rng_state = 88172645463325252u;

static uint64_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state * 0x2545F4914F6CDD1Du;
}

static NumMode mode_of(int rnd, unsigned flags)
{
    return (NumMode){.rnd = (NumRnd)rnd, .flags = flags};
}

static double value_of(NumValue v)
{
    double x = v.kind == NUM_NAN ? NAN : v.kind == NUM_INF ? INFINITY : ldexp((double)v.sig, v.exp);
    return v.negative ? -x : x;
}

/* ---- f32 arithmetic against the host's rounding modes ---- */

static const int host_modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};

enum { OP_ADD, OP_MUL, OP_FMA, OPS };

static uint32_t host_op(int op, int rnd, uint32_t a, uint32_t b, uint32_t c)
{
    volatile float x = num_float(a), y = num_float(b), z = num_float(c), r;
    fesetround(host_modes[rnd]);
    r = op == OP_ADD ? x + y : op == OP_MUL ? x * y : fmaf(x, y, z);
    fesetround(FE_TONEAREST);
    return isnan(r) ? 0x7FFFFFFFu : num_bits(r);
}

static uint32_t num_op(int op, int rnd, uint32_t a, uint32_t b, uint32_t c)
{
    NumMode mode = mode_of(rnd, 0);
    return op == OP_ADD   ? num_add(NUM_F32, a, b, mode)
           : op == OP_MUL ? num_mul(NUM_F32, a, b, mode)
                          : num_fma(NUM_F32, a, b, c, mode);
}

static void row_op(const NumRows *rows, int op, int rnd, int ftz, uint32_t *d,
                   uint32_t in[3][NUM_LANES])
{
    if (op == OP_ADD)
        rows->add[rnd][ftz](d, in[0], in[1]);
    else if (op == OP_MUL)
        rows->mul[rnd][ftz](d, in[0], in[1]);
    else
        rows->fma[rnd][ftz](d, in[0], in[1], in[2]);
}

static uint32_t flush(uint32_t a)
{
    return fpclassify(num_float(a)) == FP_SUBNORMAL ? a & 0x80000000u : a;
}

static void check_ops(uint32_t in[3][NUM_LANES])
{
    for (int op = 0; op < OPS; op++) {
        for (int rnd = 0; rnd < NUM_RNA; rnd++) {
            for (int isa = 0; isa < SIMD_ISAS; isa++) {
                uint32_t keep[NUM_LANES], ftz[NUM_LANES];
                if (!simd_runs((SimdIsa)isa))
                    continue;
                row_op(num_rows_for((SimdIsa)isa), op, rnd, NUM_KEEP, keep, in);
                row_op(num_rows_for((SimdIsa)isa), op, rnd, NUM_FTZ, ftz, in);
                for (int i = 0; i < NUM_LANES; i++) {
                    uint32_t a = in[0][i], b = in[1][i], c = in[2][i];
                    uint32_t want = host_op(op, rnd, a, b, c);
                    uint32_t want_ftz = flush(host_op(op, rnd, flush(a), flush(b), flush(c)));
                    uint32_t got = num_op(op, rnd, a, b, c);
                    MUST(got == want && keep[i] == want && ftz[i] == want_ftz,
                         "op %d rnd %d isa %d of %08x %08x %08x: %08x %08x %08x, "
                         "not %08x %08x",
                         op, rnd, isa, a, b, c, got, keep[i], ftz[i], want, want_ftz);
                }
            }
        }
    }
}

static const uint32_t f32_edges[] = {
    0,          0x80000000, 1,          0x80000001, 0x007FFFFF, 0x807FFFFF, 0x00800000, 0x80800000,
    0x00800001, 0x3F800000, 0xBF800000, 0x3F800001, 0xBF800001, 0x3F7FFFFF, 0xBF7FFFFF, 0x33800000,
    0xB3800000, 0x33800001, 0xB37FFFFF, 0x4B400000, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F7FFFFE, 0x7F000000,
    0x73800000, 0xF3000000, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7F800001, 0x3F000000,
    0x40490FDB, 0x1A000000, 0x9A000001, 0x5A000000,
};
enum { N_EDGES = sizeof f32_edges / sizeof *f32_edges };

START_TEST(f32_arithmetic_rounds_as_the_host_does)
{
    uint32_t in[3][NUM_LANES];
    unsigned n = N_EDGES * N_EDGES * N_EDGES;
    for (unsigned at = 0; at < n; at += NUM_LANES) {
        for (unsigned i = 0; i < NUM_LANES; i++) {
            unsigned x = (at + i) % n;
            in[0][i] = f32_edges[x % N_EDGES];
            in[1][i] = f32_edges[x / N_EDGES % N_EDGES];
            in[2][i] = f32_edges[x / N_EDGES / N_EDGES];
        }
        check_ops(in);
    }
    for (unsigned at = 0; at < 6000; at++) {
        for (unsigned i = 0; i < NUM_LANES; i++) {
            for (unsigned j = 0; j < 3; j++)
                in[j][i] = (uint32_t)rng();
            if (at % 2) { /* exponents close together, so that sums cancel and products meet c */
                in[0][i] = (in[0][i] & 0x87FFFFFFu) | 0x38000000u;
                in[1][i] = (in[1][i] & 0x83FFFFFFu) | 0x38000000u;
                in[2][i] = (in[2][i] & 0x83FFFFFFu) | 0x38000000u;
            }
            if (at % 4 == 3)
                in[2][i] = num_bits(-num_float(in[0][i]) * num_float(in[1][i]));
        }
        check_ops(in);
    }
}
END_TEST

START_TEST(a_row_may_be_its_own_operand)
{
    for (int isa = 0; isa < SIMD_ISAS; isa++) {
        uint32_t a[NUM_LANES], d[NUM_LANES];
        if (!simd_runs((SimdIsa)isa))
            continue;
        const NumRows *rows = num_rows_for((SimdIsa)isa);
        for (int i = 0; i < NUM_LANES; i++)
            a[i] = num_bits((float)i * 0.37f - 5.0f);
        rows->ex2[NUM_FTZ](d, a);
        rows->ex2[NUM_FTZ](a, a);
        ck_assert_mem_eq(a, d, sizeof a);
        rows->add[NUM_RM][NUM_KEEP](d, a, a);
        rows->add[NUM_RM][NUM_KEEP](a, a, a);
        ck_assert_mem_eq(a, d, sizeof a);
    }
}
END_TEST

/* ---- rows ---- */

static void check_pack_rows(uint32_t *hi, uint32_t *lo)
{
    NumMode rn = mode_of(NUM_RN, 0);
    for (int isa = 0; isa < SIMD_ISAS; isa++) {
        uint32_t bf[NUM_LANES], hf[NUM_LANES];
        if (!simd_runs((SimdIsa)isa))
            continue;
        num_rows_for((SimdIsa)isa)->bf16x2(bf, hi, lo);
        num_rows_for((SimdIsa)isa)->f16x2(hf, hi, lo);
        for (int i = 0; i < NUM_LANES; i++) {
            uint64_t want = num_convert(NUM_BF16, NUM_F32, hi[i], rn) << 16 |
                            num_convert(NUM_BF16, NUM_F32, lo[i], rn);
            MUST_EQ(bf[i], want);
            want = num_convert(NUM_F16, NUM_F32, hi[i], rn) << 16 |
                   num_convert(NUM_F16, NUM_F32, lo[i], rn);
            MUST(hf[i] == want, "isa %d f16x2 %08x %08x: %08x", isa, hi[i], lo[i], hf[i]);
        }
    }
}

START_TEST(packed_conversions_agree_with_single_ones)
{
    uint32_t hi[NUM_LANES], lo[NUM_LANES];
    for (int n = 0; n < 20000; n++) {
        for (int i = 0; i < NUM_LANES; i++) {
            uint32_t a = (uint32_t)rng();
            hi[i] = (a & 0x8FFFE000u) | 0x30000000u; /* ties and their neighbours in f16's range */
            hi[i] += (uint32_t)(n % 3) - 1 + 0x1000u;
            lo[i] = n % 2 ? a : (a & 0xFFFF0000u) + 0x7FFFu + (uint32_t)(n % 3);
        }
        check_pack_rows(hi, lo);
    }
    for (unsigned at = 0; at < 0x10000; at += NUM_LANES) { /* every tie between two f16 */
        for (unsigned i = 0; i < NUM_LANES; i++) {
            double x = value_of(num_unpack(NUM_F16, at + i));
            double y = value_of(num_unpack(NUM_F16, (at + i) ^ 1));
            hi[i] = num_bits((float)((x + y) / 2));
            lo[i] = num_bits((float)x);
        }
        check_pack_rows(hi, lo);
    }
}
END_TEST

START_TEST(halves_widen_exactly)
{
    for (int isa = 0; isa < SIMD_ISAS; isa++) {
        if (!simd_runs((SimdIsa)isa))
            continue;
        for (uint32_t at = 0; at < 0x10000; at += NUM_LANES) {
            uint32_t a[NUM_LANES], f[NUM_LANES], b[NUM_LANES];
            for (uint32_t i = 0; i < NUM_LANES; i++)
                a[i] = (at + i) | 0xABCD0000u; /* the upper half does not matter */
            num_rows_for((SimdIsa)isa)->f32_of_f16(f, a);
            num_rows_for((SimdIsa)isa)->f32_of_bf16(b, a);
            for (uint32_t i = 0; i < NUM_LANES; i++) {
                MUST_EQ(f[i], num_convert(NUM_F32, NUM_F16, at + i, mode_of(NUM_RN, 0)));
                MUST_EQ(b[i], (at + i) << 16);
            }
        }
    }
}
END_TEST

/* ---- approximate functions ---- */

/* Distance in units of the last place between results of one sign. */
static uint32_t ulps(uint32_t a, uint32_t b)
{
    int64_t x = a >> 31 ? -(int64_t)(a & 0x7FFFFFFFu) : (int64_t)a;
    int64_t y = b >> 31 ? -(int64_t)(b & 0x7FFFFFFFu) : (int64_t)b;
    return (uint32_t)llabs(x - y);
}

typedef long double RefFn(long double);

static long double rcp_ref(long double x)
{
    return 1.0L / x;
}

static long double rsqrt_ref(long double x)
{
    return 1.0L / sqrtl(x);
}

enum { F_EX2, F_LG2, F_RCP, F_SQRT, F_RSQRT, F_SIN, F_COS, F_TANH, FNS };

static const struct {
    const char *name;
    RefFn *ref;
    double lo, hi;             /* random samples */
    double ulp, relative, abs; /* the manual's bound: whichever is not 0; cos: the GPU's error */
} fns[FNS] = {
    [F_EX2] = {"ex2", exp2l, -160, 135, 2, 0, 0},
    [F_LG2] = {"lg2", log2l, 0, 4, 0, 0x1p-22, 0},
    [F_RCP] = {"rcp", rcp_ref, -4, 4, 1, 0, 0},
    [F_SQRT] = {"sqrt", sqrtl, 0, 4, 0, 0x1p-23, 0},
    [F_RSQRT] = {"rsqrt", rsqrt_ref, 0, 4, 0, 0x1.125p-23, 0},
    [F_SIN] = {"sin", sinl, -6.3, 6.3, 0, 0, 0x1.6ap-21},
    [F_COS] = {"cos", cosl, -6.3, 6.3, 0, 0, 0x1.7dp-21},
    [F_TANH] = {"tanh", tanhl, -12, 12, 0, 0x1p-11, 0},
};

static NumRow1 *fn_row(const NumRows *r, int fn, int ftz)
{
    NumRow1 *const *table[] = {r->ex2, r->lg2, r->rcp, r->sqrt, r->rsqrt};
    NumRow1 *plain[] = {r->sin, r->cos, r->tanh};
    return fn >= F_SIN ? plain[fn - F_SIN] : table[fn][ftz];
}

/* One result; sines of more than a turn or so need only be sines. */
static void check_bound(int fn, float x, uint32_t got, bool flushes)
{
    long double exact = fns[fn].ref((long double)x);
    float y = (float)exact;
    uint32_t want = isnan(y) ? 0x7FFFFFFFu : flushes ? flush(num_bits(y)) : num_bits(y);
    double err = fabs((double)((long double)num_float(got) - exact)), abs = fns[fn].abs;
    if (abs > 0 && isfinite(x))
        MUST(fabsf(x) > 6.2832f ? fabsf(num_float(got)) <= 1 : err <= abs, "%s %a: %a",
             fns[fn].name, (double)x, (double)num_float(got));
    else if (isnan(y) || isinf(y) || (want & 0x7FFFFFFFu) == 0)
        MUST(got == want || (fn == F_EX2 && want == 0 && got <= 1), "%s %a: %08x", fns[fn].name,
             (double)x, got);
    else if (fn == F_LG2 && x > 0.5f && x < 2.0f)
        MUST(err <= 0x1p-22, "lg2 %a: %08x", (double)x, got);
    else if (fns[fn].relative > 0)
        MUST(err <= fns[fn].relative * fabs((double)exact) || ulps(got, want) <= 1,
             "%s %a: %08x, not %08x", fns[fn].name, (double)x, got, want);
    else
        MUST(ulps(got, want) <= fns[fn].ulp, "%s %a: %08x, not %08x", fns[fn].name, (double)x, got,
             want);
}

static void check_fn(int fn, const uint32_t *a)
{
    for (int ftz = 0; ftz < NUM_FTZS; ftz++) {
        uint32_t d[SIMD_ISAS][NUM_LANES];
        bool flushes = ftz == NUM_FTZ && fn < F_SIN;
        for (int isa = 0; isa < SIMD_ISAS; isa++) {
            if (!simd_runs((SimdIsa)isa))
                continue;
            fn_row(num_rows_for((SimdIsa)isa), fn, ftz)(d[isa], a);
            MUST(memcmp(d[isa], d[0], sizeof d[0]) == 0, "%s differs by isa", fns[fn].name);
        }
        for (int i = 0; i < NUM_LANES; i++)
            check_bound(fn, num_float(flushes ? flush(a[i]) : a[i]), d[0][i], flushes);
    }
}

START_TEST(functions_are_within_the_manuals_bounds)
{
    uint32_t a[NUM_LANES];
    for (int at = 0; at < N_EDGES + NUM_LANES; at += NUM_LANES) {
        for (int i = 0; i < NUM_LANES; i++)
            a[i] = f32_edges[(at + i) % N_EDGES];
        check_fn(_i, a);
    }
    int rounds = _i == F_EX2 ? 100000 : 5000; /* ex2: 3.2 million samples */
    for (int n = 0; n < rounds; n++) {
        for (int i = 0; i < NUM_LANES; i++) {
            double unit = (double)(rng() >> 11) * 0x1p-53;
            double x = fns[_i].lo + unit * (fns[_i].hi - fns[_i].lo);
            a[i] = n % 4 == 3 ? (uint32_t)rng() : num_bits((float)x);
        }
        check_fn(_i, a);
    }
}
END_TEST

/* Where ex2 changes kind: results at the ends of the normal and subnormal ranges. */
START_TEST(ex2_is_exact_at_integers_and_at_the_edges)
{
    uint32_t a[NUM_LANES], keep[NUM_LANES], ftz[NUM_LANES];
    for (int n = -192; n < 192; n += NUM_LANES) {
        for (int i = 0; i < NUM_LANES; i++)
            a[i] = num_bits((float)(n + i));
        num_rows()->ex2[NUM_KEEP](keep, a);
        num_rows()->ex2[NUM_FTZ](ftz, a);
        for (int i = 0; i < NUM_LANES; i++) {
            uint32_t want = num_bits((float)ldexp(1.0, n + i));
            MUST(ulps(keep[i], want) <= (n + i < -126 ? 2 : 0), "2^%d: %08x", n + i, keep[i]);
            MUST_EQ(ftz[i], n + i < -126 ? 0 : want);
        }
    }
    static const struct {
        uint32_t a, keep, ftz;
    } rows[] = {
        {0x42FFFFFF, 0x7F7FFFA7, 0x7F7FFFA7}, /* the last below 128 */
        {0xC2FC0001, 0x007FFFD4, 0},          /* the first below -126: subnormal */
        {0x00000001, 0x3F800000, 0x3F800000}, {0x80000001, 0x3F800000, 0x3F800000},
        {0x7F800000, 0x7F800000, 0x7F800000}, {0xFF800000, 0, 0},
        {0x7F7FFFFF, 0x7F800000, 0x7F800000}, {0xFF7FFFFF, 0, 0},
        {0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFFF}, {0x7F800001, 0x7FFFFFFF, 0x7FFFFFFF},
    };
    for (unsigned i = 0; i < NUM_LANES; i++)
        a[i] = rows[i % (sizeof rows / sizeof *rows)].a;
    num_rows()->ex2[NUM_KEEP](keep, a);
    num_rows()->ex2[NUM_FTZ](ftz, a);
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        MUST(ulps(keep[i], rows[i].keep) <= 2 && ulps(ftz[i], rows[i].ftz) <= 2, "%08x: %08x %08x",
             a[i], keep[i], ftz[i]);
        if (i >= 2)
            ck_assert(keep[i] == rows[i].keep && ftz[i] == rows[i].ftz);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("num_rows");
    TCase *tc = tcase_create("num_rows");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, f32_arithmetic_rounds_as_the_host_does);
    tcase_add_test(tc, a_row_may_be_its_own_operand);
    tcase_add_test(tc, packed_conversions_agree_with_single_ones);
    tcase_add_test(tc, halves_widen_exactly);
    tcase_add_loop_test(tc, functions_are_within_the_manuals_bounds, 0, FNS);
    tcase_add_test(tc, ex2_is_exact_at_integers_and_at_the_edges);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
