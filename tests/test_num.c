/* Number formats against references that share no code with sim/func/num.c: lists of all values of
 * a format, the host's rounding modes, and long double functions. */
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

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static NumMode mode_of(int rnd, unsigned flags)
{
    return (NumMode){.rnd = (NumRnd)rnd, .flags = flags};
}

/* ---- every pattern of every small format ---- */

typedef struct Small {
    NumType type;
    int exp_bits, frac_bits, bias;
    unsigned inf, nan; /* first pattern that is infinity or NaN; 0 if there is none */
    unsigned nan_result;
} Small;

static const Small small_formats[] = {
    {NUM_F16, 5, 10, 15, 0x7C00, 0x7C01, 0x7FFF},
    {NUM_BF16, 8, 7, 127, 0x7F80, 0x7F81, 0x7FFF},
    {NUM_E4M3, 4, 3, 7, 0, 0x7F, 0x7F},
    {NUM_E5M2, 5, 2, 15, 0x7C, 0x7D, 0x7F},
    {NUM_E2M3, 2, 3, 1, 0, 0, 0x1F},
    {NUM_E3M2, 3, 2, 3, 0, 0, 0x1F},
    {NUM_E2M1, 2, 1, 1, 0, 0, 0x7},
};
enum { N_SMALL = sizeof small_formats / sizeof *small_formats };

/* The textbook formula, in double. */
static double small_value(const Small *f, unsigned mag)
{
    unsigned frac = mag % (1u << f->frac_bits), field = mag >> f->frac_bits;
    double fraction = (double)frac / (double)(1u << f->frac_bits);
    if (field == 0)
        return fraction * pow(2.0, 1 - f->bias);
    return (1.0 + fraction) * pow(2.0, (int)field - f->bias);
}

static unsigned max_mag(const Small *f)
{
    unsigned first_special = f->inf ? f->inf : f->nan;
    return first_special ? first_special - 1 : (1u << (f->exp_bits + f->frac_bits)) - 1;
}

static double value_of(NumValue v)
{
    double x = v.kind == NUM_NAN ? NAN : v.kind == NUM_INF ? INFINITY : ldexp((double)v.sig, v.exp);
    return v.negative ? -x : x;
}

START_TEST(unpack_gives_the_value_of_every_pattern)
{
    const Small *f = &small_formats[_i];
    unsigned sign = 1u << (f->exp_bits + f->frac_bits);
    for (unsigned bits = 0; bits < 2 * sign; bits++) {
        unsigned mag = bits % sign;
        double x = value_of(num_unpack(f->type, bits));
        double want = mag <= max_mag(f) ? small_value(f, mag) : INFINITY;
        if (f->nan && mag >= f->nan)
            MUST(isnan(x), "%s %x", num_formats[f->type].name, bits);
        else
            MUST(bits_of(x) == bits_of(bits >= sign ? -want : want), "%s %x: %g",
                 num_formats[f->type].name, bits, x);
    }
}
END_TEST

/* Rounds x >= 0 to a pattern by looking between which neighbours, lo = value(mag) and hi, it lies;
 * beyond the largest value hi is the value that the next pattern would have. */
static unsigned round_between(const Small *f, double x, bool negative, NumMode mode)
{
    unsigned top = max_mag(f), lo = 0, hi = top;
    while (lo < hi) {
        unsigned mid = (lo + hi + 1) / 2;
        if (small_value(f, mid) <= x)
            lo = mid;
        else
            hi = mid - 1;
    }
    double below = small_value(f, lo), above = small_value(f, lo + 1);
    bool up = false;
    if (x != below) {
        double middle = below + (above - below) / 2;
        up = mode.rnd == NUM_RN    ? x > middle || (x == middle && lo % 2 == 1)
             : mode.rnd == NUM_RNA ? x >= middle
             : mode.rnd == NUM_RM  ? negative
             : mode.rnd == NUM_RP  ? !negative
                                   : false;
    }
    bool beyond = lo == top && (up || x >= above);
    if (!beyond)
        return lo + up;
    bool away =
        mode.rnd == NUM_RN || mode.rnd == NUM_RNA || mode.rnd == (negative ? NUM_RM : NUM_RP);
    if ((mode.flags & NUM_SATFINITE) || !away || !(f->inf || f->nan))
        return top;
    return f->inf ? f->inf : f->nan_result;
}

static void check_pack(const Small *f, double x)
{
    unsigned sign = 1u << (f->exp_bits + f->frac_bits);
    for (int i = 0; i < 2 * NUM_RS * 2; i++) { /* .rs: test_exec_half */
        bool negative = i & 1;
        NumMode mode = mode_of(i / 4, i & 2 ? NUM_SATFINITE : 0);
        unsigned want = round_between(f, x, negative, mode) | (negative ? sign : 0);
        uint64_t got = num_convert(f->type, NUM_F64, bits_of(negative ? -x : x), mode);
        MUST(got == want, "%s of %a, mode %d flags %u: %lx, not %x", num_formats[f->type].name,
             negative ? -x : x, (int)mode.rnd, mode.flags, (unsigned long)got, want);
    }
}

START_TEST(pack_rounds_to_the_right_neighbour)
{
    const Small *f = &small_formats[_i];
    for (unsigned mag = 0; mag <= max_mag(f) + 2; mag++) {
        double lo = small_value(f, mag), hi = small_value(f, mag + 1);
        double middle = lo + (hi - lo) / 2;
        check_pack(f, lo);
        check_pack(f, middle);
        check_pack(f, nextafter(lo, INFINITY));
        check_pack(f, nextafter(middle, 0));
        check_pack(f, nextafter(middle, INFINITY));
        check_pack(f, nextafter(hi, 0));
    }
    check_pack(f, DBL_MAX);
    check_pack(f, DBL_MIN);
    check_pack(f, DBL_TRUE_MIN);
}
END_TEST

START_TEST(pack_inverts_unpack)
{
    for (unsigned bits = 0; bits < 1u << 19; bits++) { /* tf32 lies in the upper 19 of 32 bits */
        uint32_t a = bits << 13;
        NumMode rna = mode_of(NUM_RNA, 0);
        bool nan = num_is_nan_f32(a);
        MUST_EQ(num_convert(NUM_TF32, NUM_F32, a, rna), nan ? 0x7FFFE000u : a);
        MUST_EQ(num_convert(NUM_F32, NUM_TF32, a, rna), nan ? 0x7FFFFFFFu : a);
        if (!num_is_nan_f32(a) && (a & 0x7FFFFFFFu) < 0x7F7FE000u) {
            MUST_EQ(num_convert(NUM_TF32, NUM_F32, a | 0xFFF, rna), a);
            MUST_EQ(num_convert(NUM_TF32, NUM_F32, a | 0x1000, rna), a + 0x2000);
            MUST_EQ(num_convert(NUM_TF32, NUM_F32, a | 0x1FFF, mode_of(NUM_RZ, 0)), a);
        }
    }
}
END_TEST

START_TEST(specials_follow_the_manual)
{
    static const struct {
        NumType to;
        uint32_t a;
        int rnd;
        unsigned flags, want;
    } rows[] = {
        {NUM_F16, 0xFFC00001, NUM_RN, 0, 0x7FFF},
        {NUM_BF16, 0x7F800001, NUM_RN, NUM_RELU, 0x7FFF},
        {NUM_F16, 0xFF800000, NUM_RN, 0, 0xFC00},
        {NUM_F16, 0xFF800000, NUM_RN, NUM_SATFINITE, 0xFBFF},
        {NUM_F16, 0xFF800000, NUM_RN, NUM_RELU, 0},
        {NUM_F16, 0x80000000, NUM_RN, NUM_RELU, 0},
        {NUM_F16, 0x80000000, NUM_RN, 0, 0x8000},
        {NUM_E4M3, 0x43E00000, NUM_RN, NUM_SATFINITE, 0x7E}, /* 448 */
        {NUM_E4M3, 0x43E80000, NUM_RN, 0, 0x7E},             /* 464: tie, to even */
        {NUM_E4M3, 0x43E80001, NUM_RN, 0, 0x7F},             /* beyond: NaN */
        {NUM_E4M3, 0xFF800000, NUM_RN, NUM_SATFINITE, 0xFE},
        {NUM_E4M3, 0x7FC00000, NUM_RN, NUM_SATFINITE, 0x7F},
        {NUM_E5M2, 0x47700000, NUM_RN, NUM_SATFINITE, 0x7B}, /* 61440 -> 57344 */
        {NUM_E5M2, 0x47700000, NUM_RN, 0, 0x7C},
        {NUM_E5M2, 0xFFFFFFFF, NUM_RN, NUM_SATFINITE, 0x7F},
        {NUM_E2M1, 0x40A00000, NUM_RN, NUM_SATFINITE, 0x6}, /* 5: tie, to 4 */
        {NUM_E2M1, 0xC1200000, NUM_RN, NUM_SATFINITE, 0xF}, /* -10 -> -6 */
        {NUM_E2M1, 0xFFC00000, NUM_RN, NUM_SATFINITE, 0x7},
        {NUM_E2M3, 0x41000000, NUM_RN, NUM_SATFINITE, 0x1F}, /* 8 -> 7.5 */
        {NUM_E3M2, 0x42000000, NUM_RN, NUM_SATFINITE, 0x1F}, /* 32 -> 28 */
        {NUM_F32, 0x7FC00000, NUM_RN, NUM_SAT, 0},
        {NUM_F32, 0xBF800000, NUM_RN, NUM_SAT, 0},
        {NUM_F32, 0x7F800000, NUM_RN, NUM_SAT, 0x3F800000},
        {NUM_F16, 0x3F8FFFFF, NUM_RN, NUM_SAT, 0x3C00},
        {NUM_F16, 0x3F000000, NUM_RN, NUM_SAT, 0x3800},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t got =
            num_convert(rows[i].to, NUM_F32, rows[i].a, mode_of(rows[i].rnd, rows[i].flags));
        MUST(got == rows[i].want, "row %u: %lx", i, (unsigned long)got);
    }
    MUST_EQ(num_sat_f32(0x80000000u), 0);
    MUST_EQ(num_sat_f32(0x7F800001u), 0);
    MUST_EQ(num_sat_f32(0x40000000u), 0x3F800000u);
    MUST_EQ(num_sat_f32(0x3F000000u), 0x3F000000u);
}
END_TEST

/* As cuda_fp8.hpp computes it from bf16. */
START_TEST(ue8m0_agrees_with_cuda_for_every_bf16)
{
    for (unsigned a = 0; a < 0x10000; a++) {
        unsigned mag = a & 0x7FFF;
        for (int i = 0; i < 4; i++) {
            bool up = i & 1, sat = i & 2;
            unsigned want = mag >> 7;
            if (up && (a & 0x7F) && mag > 0x40 && mag < 0x7F80)
                want++;
            if (sat && mag <= 0x7F80 && want == 0xFF)
                want--;
            NumMode mode = mode_of(up ? NUM_RP : NUM_RZ, sat ? NUM_SATFINITE : 0);
            MUST_EQ(num_convert(NUM_UE8M0, NUM_BF16, a, mode), want);
        }
    }
    for (unsigned a = 0; a < 0xFF; a++)
        MUST_EQ(bits_of(value_of(num_unpack(NUM_UE8M0, a))), bits_of(ldexp(1.0, (int)a - 127)));
    ck_assert_int_eq(num_unpack(NUM_UE8M0, 0xFF).kind, NUM_NAN);
}
END_TEST

/* ---- arithmetic, integers, wide formats ---- */

static const int host_modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};

static const uint32_t f32_edges[] = {
    0,          0x80000000, 1,          0x80000001, 0x007FFFFF, 0x807FFFFF, 0x00800000, 0x80800000,
    0x00800001, 0x3F800000, 0xBF800000, 0x3F800001, 0xBF800001, 0x3F7FFFFF, 0xBF7FFFFF, 0x33800000,
    0xB3800000, 0x33800001, 0xB37FFFFF, 0x4B400000, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F7FFFFE, 0x7F000000,
    0x73800000, 0xF3000000, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7F800001, 0x3F000000,
    0x40490FDB, 0x1A000000, 0x9A000001, 0x5A000000,
};
enum { N_EDGES = sizeof f32_edges / sizeof *f32_edges };

/* bf16 and f16 fma: exact in double when the exponents are near, so one rounding of the double. */
START_TEST(half_fma_rounds_once)
{
    for (int i = 0; i < 300000; i++) {
        uint32_t a = (uint32_t)rng() & 0xFFFF, b = (uint32_t)rng() & 0xFFFF;
        uint32_t c = (uint32_t)rng() & 0xFFFF;
        NumMode mode = mode_of(i % 4, 0);
        double x = value_of(num_unpack(NUM_F16, a)), y = value_of(num_unpack(NUM_F16, b));
        double z = value_of(num_unpack(NUM_F16, c)), sum = x * y + z;
        if (sum == 0)
            continue; /* the sign of an exact zero is checked for f32 */
        MUST_EQ(num_fma(NUM_F16, a, b, c, mode), num_convert(NUM_F16, NUM_F64, bits_of(sum), mode));
        if (x * y != 0)
            MUST_EQ(num_mul(NUM_F16, a, b, mode),
                    num_convert(NUM_F16, NUM_F64, bits_of(x * y), mode));
        if (x + z != 0)
            MUST_EQ(num_add(NUM_F16, a, c, mode),
                    num_convert(NUM_F16, NUM_F64, bits_of(x + z), mode));
    }
}
END_TEST

static long double round_ld(long double x, int rnd)
{
    long double lo = floorl(x), hi = ceill(x);
    if (rnd == NUM_RZ)
        return x < 0 ? hi : lo;
    if (rnd == NUM_RM || lo == hi)
        return lo;
    if (rnd == NUM_RP)
        return hi;
    if (x - lo == hi - x)
        return fmodl(lo, 2) == 0 ? lo : hi;
    return x - lo < hi - x ? lo : hi;
}

static uint64_t int_reference(double x, NumInt to, int rnd, bool from_f64)
{
    uint64_t top = (uint64_t)1 << (to.width - 1);
    uint64_t lowest = to.is_signed ? 0 - top : top;
    if (isnan(x))
        return from_f64 || to.width == 64 ? lowest : 0;
    long double r = round_ld((long double)x, rnd);
    long double hi = ldexpl(1.0L, to.is_signed ? to.width - 1 : to.width) - 1;
    long double lo = to.is_signed ? -ldexpl(1.0L, to.width - 1) : 0;
    r = r < lo ? lo : r > hi ? hi : r;
    return r < 0 ? 0 - (uint64_t)-r : (uint64_t)r;
}

static void check_to_int(NumType from, uint64_t bits)
{
    double x = value_of(num_unpack(from, bits));
    for (int i = 0; i < 8; i++) {
        NumInt to = {.width = (uint8_t)(8 << i / 2), .is_signed = i & 1};
        for (int rnd = 0; rnd < NUM_RNA; rnd++) {
            uint64_t got = num_to_int(from, bits, to, (NumRnd)rnd);
            uint64_t want = int_reference(x, to, rnd, from == NUM_F64);
            MUST(got == want, "%a to %d bits, rnd %d: %lx, not %lx", x, to.width, rnd,
                 (unsigned long)got, (unsigned long)want);
        }
    }
}

START_TEST(floats_become_integers_with_saturation)
{
    for (unsigned a = 0; a < 0x10000; a++)
        check_to_int(NUM_F16, a);
    for (unsigned i = 0; i < N_EDGES; i++)
        check_to_int(NUM_F32, f32_edges[i]);
    for (int i = 0; i < 40000; i++) {
        double scale = ldexp(1.0, (int)(rng() % 70));
        double x = (double)(int64_t)rng() * 0x1p-63 * scale;
        double half = floor(x) + 0.5;
        check_to_int(NUM_F64, bits_of(x));
        check_to_int(NUM_F64, bits_of(half));
        check_to_int(NUM_F32, num_bits((float)x));
        check_to_int(NUM_F32, num_bits((float)half));
        check_to_int(NUM_F64, rng());
    }
}
END_TEST

START_TEST(integers_become_floats)
{
    NumMode rn = mode_of(NUM_RN, 0);
    for (int i = 0; i < 300000; i++) {
        int64_t s = (int64_t)rng() >> rng() % 64;
        uint64_t u = rng() >> rng() % 64;
        volatile float fs = (float)s, fu = (float)u;
        volatile double ds = (double)s, du = (double)u;
        MUST_EQ(num_pack(NUM_F32, num_of_s64(s), rn), num_bits(fs));
        MUST_EQ(num_pack(NUM_F32, num_of_u64(u), rn), num_bits(fu));
        MUST_EQ(num_pack(NUM_F64, num_of_s64(s), rn), bits_of(ds));
        MUST_EQ(num_pack(NUM_F64, num_of_u64(u), rn), bits_of(du));
    }
    MUST_EQ(num_pack(NUM_F64, num_of_s64(INT64_MIN), rn), bits_of(-0x1p63));
}
END_TEST

START_TEST(rounding_to_an_integer_keeps_the_format)
{
    for (int i = 0; i < 300000; i++) {
        uint32_t a = i < N_EDGES ? f32_edges[i] : (uint32_t)rng();
        if (i % 2 && i >= N_EDGES)
            a = (a & 0x807FFFFFu) | (120u + (uint32_t)i % 40) << 23; /* near the integers */
        for (int rnd = 0; rnd < NUM_RNA; rnd++) {
            long double x = (long double)num_float(a);
            float r = (float)copysignl(round_ld(x, rnd), x);
            MUST_EQ(num_round_int(NUM_F32, a, (NumRnd)rnd), num_canon_f32(num_bits(r)));
        }
    }
}
END_TEST

/* f64 -> f32 and f32 -> f64 against the host. */
START_TEST(wide_formats_convert_as_the_host_does)
{
    for (int i = 0; i < 300000; i++) {
        uint64_t bits = rng();
        if (i % 2) /* exponents that f32 has */
            bits = (bits & 0x800FFFFFFFFFFFFFu) | (uint64_t)(1023 - 152 + rng() % 282) << 52;
        for (int rnd = 0; rnd < NUM_RNA; rnd++) {
            double x;
            memcpy(&x, &bits, sizeof x);
            volatile double in = x;
            volatile float r;
            fesetround(host_modes[rnd]);
            r = (float)in;
            fesetround(FE_TONEAREST);
            uint64_t got = num_convert(NUM_F32, NUM_F64, bits, mode_of(rnd, 0));
            MUST_EQ(got, num_canon_f32(num_bits(r)));
        }
        float f = num_float((uint32_t)bits);
        if (!isnan(f))
            MUST_EQ(num_convert(NUM_F64, NUM_F32, num_bits(f), mode_of(NUM_RN, 0)),
                    bits_of((double)f));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("num");
    TCase *tc = tcase_create("num");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, unpack_gives_the_value_of_every_pattern, 0, N_SMALL);
    tcase_add_loop_test(tc, pack_rounds_to_the_right_neighbour, 0, N_SMALL);
    tcase_add_test(tc, pack_inverts_unpack);
    tcase_add_test(tc, specials_follow_the_manual);
    tcase_add_test(tc, ue8m0_agrees_with_cuda_for_every_bf16);
    tcase_add_test(tc, half_fma_rounds_once);
    tcase_add_test(tc, floats_become_integers_with_saturation);
    tcase_add_test(tc, integers_become_floats);
    tcase_add_test(tc, rounding_to_an_integer_keeps_the_format);
    tcase_add_test(tc, wide_formats_convert_as_the_host_does);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
