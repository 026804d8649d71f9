/* Tensors: their elements' formats, random contents, .npy files. */
#include <check.h>
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/launch/elem.h"
#include "sim/launch/launch.h"
#include "sim/launch/par.h"
#include "sim/launch/random.h"

/* ck_assert writes to a pipe each time: loops over many cases count what is wrong and assert once.
 */
static Arena arena;
static Err error;

static void setup(void)
{
    arena = (Arena){0};
    error = (Err){0};
}

static void teardown(void)
{
    arena_free(&arena);
}

static Launch *must_parse(const char *text)
{
    Launch *l = NULL;
    error = (Err){0};
    bool ok = launch_parse_text(&arena, "dir/f.yaml", text, strlen(text), &l, &error);
    ck_assert_msg(ok, "%u:%u: %s", error.loc.line, error.loc.col, error.msg);
    return l;
}

/* ---- elements ---- */

/* Widening of every pattern of the small formats against num.h, which is tested by itself. */
START_TEST(small_floats_widen_exactly)
{
    static const PtxType types[] = {T_BF16, T_F16, T_E4M3, T_E5M2};
    for (int k = 0; k < 4; k++) {
        const Elem *e = elem_of(types[k]);
        for (uint32_t bits = 0; bits < 1u << 8 * e->bytes; bits++) {
            float f;
            double d, want;
            elem_to_float(e, &bits, 1, &f);
            elem_to_double(e, &bits, 1, &d);
            uint64_t w = num_convert(NUM_F64, e->num, bits, (NumMode){.rnd = NUM_RN});
            memcpy(&want, &w, sizeof want);
            bool nan = isnan(want) && isnan(f) && isnan(d);
            if (!nan && ((double)f != want || d != want || !signbit(f) != !signbit(want)))
                ck_abort_msg("%s %x: %g, not %g", e->name, bits, d, want);
        }
    }
}
END_TEST

/* Rounding: every value goes to itself; the middle of two neighbours goes to the even one; random
 * doubles as num.h. */
START_TEST(narrowing_rounds_to_nearest_even)
{
    static const PtxType types[] = {T_BF16, T_F16, T_E4M3, T_E5M2};
    uint32_t wrong = 0;
    for (int k = 0; k < 4; k++) {
        const Elem *e = elem_of(types[k]);
        uint32_t top = 1u << (8 * e->bytes - 1);
        double last = 0;
        for (uint32_t bits = 0; bits < top; bits++) {
            double v;
            uint32_t back = 0;
            elem_to_double(e, &bits, 1, &v);
            if (!isfinite(v))
                break;
            elem_put(e, &back, 0, -v);
            wrong += back != (bits | top);
            elem_put(e, &back, 0, (last + v) / 2);
            wrong += bits && back != (bits & 1 ? bits - 1 : bits);
            last = v;
        }
        for (uint64_t i = 0; i < 20000; i++) {
            uint64_t wide = (uint64_t)(random_uniform(1, i) * 0x1p53) << 11 ^
                            (uint64_t)(random_uniform(2, i) * 0x1p30);
            double v;
            uint64_t got = 0;
            wide =
                i % 2 ? wide : (wide & 0x800fffffffffffffu) | (uint64_t)(1023 - 40 + i % 80) << 52;
            memcpy(&v, &wide, sizeof v);
            elem_put(e, &got, 0, v);
            NumMode mode = {.rnd = NUM_RN, .flags = e->bytes == 1 ? NUM_SATFINITE : 0};
            wrong += got != num_convert(e->num, NUM_F64, wide, mode);
        }
    }
    ck_assert_uint_eq(wrong, 0);
    float f = 0;
    elem_put(elem_of(T_F32), &f, 0, 0.1);
    ck_assert(f == 0.1f);
    elem_put(elem_of(T_F32), &f, 0, 1e-42);
    ck_assert(f == 1e-42f);
    int8_t s = 0;
    elem_put(elem_of(T_S8), &s, 0, -1000);
    ck_assert_int_eq(s, -128);
    elem_put(elem_of(T_S8), &s, 0, 2.5);
    ck_assert_int_eq(s, 2);
}
END_TEST

/* ---- contents ---- */

/* Moments of 400000 normal numbers: mean 0 and variance 1 within 5 standard errors, kurtosis 3,
 * quantiles of the error function, and no correlation between neighbours, between a pair, or
 * between seeds. */
START_TEST(normal_numbers_are_normal)
{
    enum { N = 400000 };
    double *x = malloc(N * sizeof *x), sum = 0, sum2 = 0, sum4 = 0, next = 0, pair = 0, seeds = 0;
    random_normals(42, 0, N / 2, x);
    uint32_t within[3] = {0};
    for (int i = 0; i < N; i++) {
        double other[2];
        random_normals(43, (uint64_t)i / 2, 1, other);
        sum += x[i];
        sum2 += x[i] * x[i];
        sum4 += x[i] * x[i] * x[i] * x[i];
        next += i ? x[i] * x[i - 1] : 0;
        pair += i % 2 ? x[i] * x[i - 1] : 0;
        seeds += x[i] * other[i % 2];
        for (int s = 0; s < 3; s++)
            within[s] += fabs(x[i]) <= s + 1;
    }
    double err = 1 / sqrt(N);
    ck_assert_double_lt(fabs(sum / N), 5 * err);
    ck_assert_double_lt(fabs(sum2 / N - 1), 5 * sqrt(2) * err);
    ck_assert_double_lt(fabs(sum4 / N - 3), 5 * sqrt(96) * err);
    ck_assert_double_lt(fabs(next / N), 5 * err);
    ck_assert_double_lt(fabs(pair / N), 5 * err);
    ck_assert_double_lt(fabs(seeds / N), 5 * err);
    for (int s = 0; s < 3; s++)
        ck_assert_double_lt(fabs(within[s] / (double)N - erf((s + 1) / sqrt(2))), 5 * 0.5 * err);
    free(x);
}
END_TEST

/* Box-Muller with the C library's functions must give the same numbers, up to their last bits. */
START_TEST(box_muller_equals_the_library)
{
    uint32_t wrong = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        double pair[2];
        random_normals(5, i, 1, pair);
        double u = random_uniform(5, 2 * i) + 0x1p-53,
               turn = random_uniform(5, 2 * i + 1) * 2 * acos(-1);
        double radius = sqrt(-2 * log(u));
        wrong += !(fabs(pair[0] - radius * cos(turn)) < 1e-14 * (1 + radius));
        wrong += !(fabs(pair[1] - radius * sin(turn)) < 1e-14 * (1 + radius));
    }
    ck_assert_uint_eq(wrong, 0);
}
END_TEST

/* Chi-square of 256 bins, 255 degrees of freedom: within 6 standard deviations. */
START_TEST(uniform_numbers_are_uniform)
{
    enum { N = 1 << 20 };
    uint32_t bins[256] = {0};
    for (uint64_t i = 0; i < N; i++) {
        double u = random_uniform(9, i);
        if (u < 0 || u >= 1)
            ck_abort_msg("%g", u);
        bins[(int)(u * 256)]++;
    }
    double chi = 0, want = N / 256.0;
    for (int i = 0; i < 256; i++)
        chi += (bins[i] - want) * (bins[i] - want) / want;
    ck_assert_double_lt(fabs(chi - 255), 6 * sqrt(2 * 255));
}
END_TEST

START_TEST(tensors_hold_what_init_says)
{
    Launch *l = must_parse(
        "ptx: x\ngrid: [1]\nblock: [32]\ntensors:\n"
        "  z: {dtype: f16, shape: [1000], init: zeros}\n"
        "  p: {dtype: f32, shape: [1000], init: poison}\n"
        "  n: {dtype: f64, shape: [300, 333], init: {normal: {seed: 3, std: 2}}}\n"
        "  b: {dtype: bf16, shape: [300, 333], init: {normal: {seed: 3, std: 2}}}\n"
        "  i: {dtype: s16, shape: [70000], init: {uniform: {seed: 4, lo: -3, hi: 3}}}\n"
        "  f: {dtype: f32, shape: [70001], init: {uniform: {seed: 5, lo: -1, hi: 0.5}}}\n");
    GlobalMem *m = mem_new();
    ck_assert_msg(launch_alloc(&arena, l, m, &error), "%s", error.msg);
    const Tensor *t = l->tensors;
    const uint8_t *z = mem_ptr(m, t[0].addr, t[0].bytes), *p = mem_ptr(m, t[1].addr, t[1].bytes);
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < 2000; i++)
        wrong += z[i] != 0 || p[2 * i] != 0xff || p[2 * i + 1] != 0xff;
    const double *n = mem_ptr(m, t[2].addr, t[2].bytes);
    const uint16_t *b = mem_ptr(m, t[3].addr, t[3].bytes);
    for (uint64_t i = 0; i < 300 * 333; i++) {
        double pair[2];
        random_normals(3, i / 2, 1, pair);
        wrong += n[i] != pair[i % 2] * 2;
        uint64_t bits;
        memcpy(&bits, &n[i], sizeof bits);
        wrong += b[i] != num_convert(NUM_BF16, NUM_F64, bits, (NumMode){.rnd = NUM_RN});
    }
    const int16_t *s = mem_ptr(m, t[4].addr, t[4].bytes);
    uint32_t seen[7] = {0};
    for (uint32_t i = 0; i < 70000; i++) {
        if (s[i] < -3 || s[i] > 3)
            ck_abort_msg("%d", s[i]);
        seen[s[i] + 3]++;
    }
    for (int i = 0; i < 7; i++) /* 10000 expected, standard deviation 93 */
        ck_assert(seen[i] > 9500 && seen[i] < 10500);
    const float *f = mem_ptr(m, t[5].addr, t[5].bytes);
    for (uint32_t i = 0; i < 70001; i++)
        wrong += f[i] != (float)(random_uniform(5, i) * 1.5 - 1);
    ck_assert_uint_eq(wrong, 0);
    mem_free(m);
}
END_TEST

/* Each item of par_for runs once, whatever the number of threads. */
static void count_item(void *ctx, uint32_t thread, uint64_t item)
{
    ck_assert_uint_lt(thread, 9);
    __atomic_fetch_add((int *)ctx + item, 1, __ATOMIC_RELAXED);
}

START_TEST(par_for_runs_each_item_once)
{
    for (uint32_t threads = 1; threads < 9; threads++) {
        int counts[100] = {0};
        par_for(threads, threads * 11, count_item, counts);
        for (uint32_t i = 0; i < 100; i++)
            ck_assert_int_eq(counts[i], i < threads * 11);
    }
    par_for(4, 0, count_item, NULL);
}
END_TEST

/* ---- .npy ---- */

static char folder[32];

static void make_folder(void)
{
    strcpy(folder, "/tmp/rao-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[320];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        unlink(path);
    }
    closedir(d);
    rmdir(folder);
}

/* The format's own bytes: magic, version, length of the header, the header padded to 64, data. */
static void write_npy(const char *name, int version, const char *dict, const void *data, size_t n)
{
    char path[128], header[192];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    uint32_t len = version == 1 ? 118 : 180;
    snprintf(header, sizeof header, "%-*s\n", (int)len - 1, dict);
    fwrite("\x93NUMPY", 1, 6, f);
    fputc(version, f);
    fputc(0, f);
    for (int i = 0; i < (version == 1 ? 2 : 4); i++)
        fputc((int)(len >> 8 * i & 0xff), f);
    fwrite(header, 1, len, f);
    fwrite(data, 1, n, f);
    fclose(f);
}

static bool load_file(const char *dtype, const char *shape, const char *name, GlobalMem *m,
                      Launch **l)
{
    char text[512];
    snprintf(text, sizeof text,
             "ptx: x\ngrid: [1]\nblock: [32]\ntensors:\n  t: {dtype: %s, shape: %s, init: {file: "
             "%s/%s}}\n",
             dtype, shape, folder, name);
    *l = must_parse(text);
    error = (Err){0};
    return launch_alloc(&arena, *l, m, &error);
}

START_TEST(npy_files_are_read)
{
    float data[6] = {1, -2, 3.5f, 0, 1e-40f, INFINITY};
    uint16_t half[2] = {0x3f80, 0xbf80};
    make_folder();
    write_npy("f4", 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", data,
              sizeof data);
    write_npy("f4v2", 2, "{\"shape\":(6,),\"fortran_order\":False,\"descr\":\"<f4\"}", data,
              sizeof data);
    write_npy("v2", 1, "{'descr': '|V2', 'fortran_order': False, 'shape': (2,), }", half,
              sizeof half);
    write_npy("u2", 3, "{'descr': '<u2', 'fortran_order': False, 'shape': (2,), }", half,
              sizeof half);
    write_npy("u1", 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (4,), }", half,
              sizeof half);
    GlobalMem *m = mem_new();
    Launch *l;
    ck_assert_msg(load_file("f32", "[2, 3]", "f4", m, &l), "%s", error.msg);
    ck_assert_mem_eq(mem_ptr(m, l->tensors[0].addr, 24), data, 24);
    ck_assert_msg(load_file("f32", "[6]", "f4v2", m, &l), "%s", error.msg);
    ck_assert_mem_eq(mem_ptr(m, l->tensors[0].addr, 24), data, 24);
    ck_assert_msg(load_file("bf16", "[2]", "v2", m, &l), "%s", error.msg);
    ck_assert_mem_eq(mem_ptr(m, l->tensors[0].addr, 4), half, 4);
    ck_assert_msg(load_file("bf16", "[2]", "u2", m, &l), "%s", error.msg);
    ck_assert_msg(load_file("e4m3", "[4]", "u1", m, &l), "%s", error.msg);
    remove_folder();
    mem_free(m);
}
END_TEST

static const struct BadNpy {
    const char *dict, *part;
    size_t bytes;
} bad_npys[] = {
    {"{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }", "big-endian", 24},
    {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", "Fortran order", 24},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }", "holds 'f8'", 48},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", "has the shape (3, 2)", 24},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", "has the shape (6)", 24},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (), }", "has the shape ()", 24},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", "is cut: 23 bytes", 23},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)", "cannot be understood", 24},
    {"{'descr': '<f4', 'shape': (2, 3), }", "cannot be understood", 24},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, -3), }", "cannot be understood", 24},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2 3), }", "cannot be understood", 24},
    {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,), }", "cannot be understood",
     24},
    {"{'descr': '<longdouble', 'fortran_order': False, 'shape': (6,), }", "numbers of type", 24},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,6), }",
     "cannot be understood", 24},
    {"", "cannot be understood", 24},
};

START_TEST(bad_npy_files_are_refused)
{
    const struct BadNpy *b = &bad_npys[_i];
    static const char zeros[64];
    GlobalMem *m = mem_new();
    Launch *l;
    make_folder();
    write_npy("x.npy", 1, b->dict, zeros, b->bytes);
    ck_assert_msg(!load_file("f32", "[2, 3]", "x.npy", m, &l), "accepted: %s", b->dict);
    ck_assert_msg(strstr(error.msg, b->part), "%s: %s", b->dict, error.msg);
    ck_assert_uint_eq(error.loc.line, 5);
    ck_assert(!load_file("f32", "[2, 3]", "none.npy", m, &l));
    ck_assert_int_eq(error.kind, ERR_IO);
    remove_folder();
    mem_free(m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tensors");
    TCase *t = tcase_create("tensors");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, small_floats_widen_exactly);
    tcase_add_test(t, narrowing_rounds_to_nearest_even);
    tcase_add_test(t, normal_numbers_are_normal);
    tcase_add_test(t, box_muller_equals_the_library);
    tcase_add_test(t, uniform_numbers_are_uniform);
    tcase_add_test(t, tensors_hold_what_init_says);
    tcase_add_test(t, par_for_runs_each_item_once);
    tcase_add_test(t, npy_files_are_read);
    tcase_add_loop_test(t, bad_npy_files_are_refused, 0, sizeof bad_npys / sizeof *bad_npys);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
