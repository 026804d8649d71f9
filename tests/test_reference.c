/* References against their definitions, written a second time in the plainest way, in long double;
 * and what a check makes of errors, NaN, poison and rows that no CTA wrote. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/launch/elem.h"
#include "sim/launch/gemm.h"
#include "sim/launch/launch.h"
#include "sim/launch/random.h"

static Arena arena;
static Err error;
static GlobalMem *mem;
static Launch *launch;
static double *wide[8]; /* the tensors as launch_alloc left them */

static void setup(void)
{
    arena = (Arena){0};
    error = (Err){0};
    mem = mem_new();
}

static void teardown(void)
{
    mem_free(mem);
    arena_free(&arena);
}

static void load(const char *rest)
{
    char *text = arena_printf(&arena, "ptx: x\ngrid: [1]\nblock: [32]\n%s", rest);
    bool ok = launch_parse_text(&arena, "f.yaml", text, strlen(text), &launch, &error) &&
              launch_alloc(&arena, launch, mem, &error);
    ck_assert_msg(ok, "%u:%u: %s", error.loc.line, error.loc.col, error.msg);
    for (uint32_t i = 0; i < launch->n_tensors; i++) {
        const Tensor *t = &launch->tensors[i];
        wide[i] = arena_new(&arena, double, t->elems);
        elem_to_double(elem_of(t->dtype), mem_ptr(mem, t->addr, t->bytes), t->elems, wide[i]);
    }
}

static void *data(int tensor)
{
    return mem_ptr(mem, launch->tensors[tensor].addr, launch->tensors[tensor].bytes);
}

static double at(int tensor, uint64_t i)
{
    return wide[tensor][i];
}

static CheckResult run(bool partial, uint32_t threads)
{
    CheckResult *r;
    bool ok = launch_check(&arena, launch, mem, partial, threads, &r, &error);
    ck_assert_msg(ok, "%s", error.msg);
    return r[0];
}

typedef struct Shape {
    uint32_t heads_q, heads_k, sq, sk, d, dv;
    bool causal;
    const char *dtype;
    double scale;
} Shape;

static const Shape shapes[] = {
    {1, 1, 1, 1, 1, 1, false, "f32", 1},
    {1, 1, 5, 7, 3, 2, false, "bf16", 0.5},
    {2, 2, 48, 256, 64, 64, false, "bf16", 0.125},
    {2, 1, 49, 257, 65, 17, true, "f16", 0.2},
    {6, 2, 100, 130, 64, 64, true, "bf16", 0.125},
    {3, 3, 300, 20, 16, 40, true, "bf16", 0.25}, /* the first 280 rows see no key */
    {4, 1, 2, 600, 128, 32, true, "e4m3", 0.05},
    {1, 1, 50, 520, 32, 16, false, "f32", -1}, /* a negative scale */
    {1, 1, 64, 300, 8, 8, false, "bf16", 40},  /* scores of hundreds: one key takes all */
};

/* Row i of query head h: output, and the natural logarithm of the sum. */
static void naive_attention(const Shape *s, uint32_t h, uint32_t i, double *out, double *lse)
{
    uint32_t hk = h / (s->heads_q / s->heads_k);
    long double p[600], sum = 0, most = -INFINITY;
    uint32_t keys = 0;
    for (uint32_t j = 0; j < s->sk; j++) {
        if (s->causal && (int)j > (int)i + (int)s->sk - (int)s->sq)
            break;
        long double dot = 0;
        for (uint32_t k = 0; k < s->d; k++)
            dot +=
                (long double)at(0, (h * s->sq + i) * s->d + k) * at(1, (hk * s->sk + j) * s->d + k);
        p[j] = dot * s->scale;
        most = p[j] > most ? p[j] : most;
        keys++;
    }
    for (uint32_t j = 0; j < keys; j++)
        sum += p[j] = expl(p[j] - most);
    for (uint32_t c = 0; c < s->dv; c++) {
        long double o = 0;
        for (uint32_t j = 0; j < keys; j++)
            o += p[j] * at(2, (hk * s->sk + j) * s->dv + c);
        out[c] = keys ? (double)(o / sum) : 0;
    }
    *lse = keys ? (double)(most + logl(sum)) : -INFINITY;
}

static void load_attention(const Shape *s, const char *reference)
{
    char text[2048];
    snprintf(text, sizeof text,
             "tensors:\n"
             "  q: {dtype: %s, shape: [%u, %u, %u], init: {normal: {seed: 1, std: 1}}}\n"
             "  k: {dtype: %s, shape: [%u, %u, %u], init: {normal: {seed: 2, std: 1}}}\n"
             "  v: {dtype: %s, shape: [%u, %u, %u], init: {normal: {seed: 3, std: 1}}}\n"
             "  o: {dtype: f64, shape: [%u, %u, %u], init: poison}\n"
             "  l: {dtype: f64, shape: [%u, %u], init: poison}\n"
             "check:\n"
             "  - {tensor: %s, reference: %s, q: q, k: k, v: v, causal: %s, scale: %.17g, "
             "max_rel_err: 1e-6}\n",
             s->dtype, s->heads_q, s->sq, s->d, s->dtype, s->heads_k, s->sk, s->d, s->dtype,
             s->heads_k, s->sk, s->dv, s->heads_q, s->sq, s->dv, s->heads_q, s->sq,
             strcmp(reference, "attention") == 0 ? "o" : "l", reference,
             s->causal ? "true" : "false", s->scale);
    load(text);
    double *o = data(3), *l = data(4);
    for (uint32_t h = 0; h < s->heads_q; h++)
        for (uint32_t i = 0; i < s->sq; i++)
            naive_attention(s, h, i, o + (uint64_t)(h * s->sq + i) * s->dv, l + h * s->sq + i);
}

START_TEST(attention_equals_its_definition)
{
    load_attention(&shapes[_i], "attention");
    for (uint32_t threads = 1; threads <= 3; threads += 2) {
        CheckResult r = run(false, threads);
        ck_assert_msg(r.pass && r.rel_err < 1e-6, "%g", r.rel_err);
        ck_assert(r.share == 1 && r.n_nan == 0);
        ck_assert_str_eq(r.tensor, "o");
        ck_assert_str_eq(r.reference, "attention");
    }
}
END_TEST

START_TEST(lse_equals_its_definition)
{
    load_attention(&shapes[_i], "attention_lse");
    CheckResult r = run(false, 2);
    ck_assert_msg(r.pass && r.rel_err < 1e-6, "%g", r.rel_err);
    ck_assert_double_eq(r.share, 1);
}
END_TEST

/* Rows that see no key have an LSE of minus infinity; they neither hide the error of the others nor
 * may be finite. */
START_TEST(infinities_are_compared_as_such)
{
    const Shape *s = &shapes[5];
    load_attention(s, "attention_lse");
    double *l = data(4);
    ck_assert(isinf(l[0]) && isfinite(l[s->sq - 1]));
    for (uint32_t i = 0; i < s->heads_q * s->sq; i++)
        l[i] *= 1.01;
    ck_assert_double_eq_tol(run(false, 1).rel_err, 0.01, 1e-6);
    for (uint32_t i = 0; i < s->heads_q * s->sq; i++)
        l[i] /= 1.01;
    ck_assert(run(false, 1).pass);
    l[0] = 0;
    ck_assert(!run(false, 1).pass);
}
END_TEST

/* The measure itself: an error put in comes out. */
START_TEST(relative_error_is_what_was_put_in)
{
    load_attention(&shapes[4], "attention");
    double *o = data(3), sum = 0, one;
    uint64_t n = launch->tensors[3].elems;
    for (uint64_t i = 0; i < n; i++)
        sum += o[i] * o[i];
    for (uint64_t i = 0; i < n; i++)
        o[i] *= 1.001;
    CheckResult r = run(false, 2);
    ck_assert_double_eq_tol(r.rel_err, 1e-3, 1e-6);
    ck_assert(!r.pass);
    launch->checks[0].max_rel_err = 0.0011;
    ck_assert(run(false, 2).pass);
    for (uint64_t i = 0; i < n; i++)
        o[i] /= 1.001;
    one = o[12345];
    o[12345] += 1; /* one element: 1 / the norm */
    ck_assert_double_eq_tol(run(false, 2).rel_err, 1 / sqrt(sum), 1e-6);
    o[12345] = one;
    o[n - 1] = NAN;
    r = run(false, 2);
    ck_assert(isnan(r.rel_err) && !r.pass && r.n_nan == 1);
    o[n - 1] = INFINITY;
    r = run(false, 2);
    ck_assert(!(r.rel_err < 1e300) && !r.pass && r.n_nan == 0);
}
END_TEST

START_TEST(swapped_heads_and_a_shifted_mask_do_not_pass)
{
    Shape s = shapes[4], other = s;
    load_attention(&s, "attention");
    double *o = data(3), *first = malloc(s.sq * s.dv * sizeof *first);
    memcpy(first, o, s.sq * s.dv * sizeof *first);
    memcpy(o, o + 3 * s.sq * s.dv, s.sq * s.dv * sizeof *first);
    ck_assert_double_gt(run(false, 1).rel_err, 0.1);
    memcpy(o, first, s.sq * s.dv * sizeof *first);
    free(first);
    ck_assert(run(false, 1).pass);
    launch->checks[0].causal = false;
    ck_assert_double_gt(run(false, 1).rel_err, 0.1);
    launch->checks[0].causal = true;
    launch->checks[0].scale *= 1.01;
    ck_assert_double_gt(run(false, 1).rel_err, 1e-3);
    other.sk--; /* bottom right against top left: one key more or less */
    for (uint32_t i = 0; i < s.sq; i++) {
        double lse;
        naive_attention(&other, 0, i, o + i * s.dv, &lse);
    }
    launch->checks[0].scale = s.scale;
    ck_assert_double_gt(run(false, 1).rel_err, 1e-3);
}
END_TEST

/* Rows and elements that hold poison are left out of a partial run, and only there. */
START_TEST(a_partial_run_compares_what_was_written)
{
    const Shape *s = &shapes[4];
    load_attention(s, "attention");
    double *o = data(3);
    uint64_t rows = s->heads_q * s->sq, kept = 0;
    for (uint64_t i = 0; i < rows; i++) {
        if (i % 7 == 3 || (i > 250 && i < 420))
            kept++;
        else
            memset(o + i * s->dv, 0xff, s->dv * sizeof *o);
    }
    memset(o + 3 * s->dv + 5, 0xff, 8 * sizeof *o); /* eight elements of a written row */
    CheckResult r = run(true, 2);
    ck_assert_msg(r.pass && r.rel_err < 1e-6, "%g", r.rel_err);
    ck_assert_double_eq_tol(r.share, (double)(kept * s->dv - 8) / (double)(rows * s->dv), 1e-12);
    r = run(false, 2);
    ck_assert(isnan(r.rel_err) && !r.pass);
    ck_assert_uint_eq(r.n_nan, (rows - kept) * s->dv + 8);
    o[3 * s->dv] += 1;
    ck_assert(!run(true, 2).pass);
    uint32_t *bits = data(3); /* a NaN that is not poison counts */
    o[3 * s->dv] -= 1;
    memcpy(bits + 2 * 3 * s->dv + 1, &(uint32_t){0x7fffffff}, 4);
    r = run(true, 2);
    ck_assert(r.n_nan == 1 && !r.pass);
    memset(o, 0xff, launch->tensors[3].bytes);
    r = run(true, 2); /* nothing compared is nothing passed */
    ck_assert(r.share == 0 && !r.pass);
}
END_TEST

START_TEST(the_number_of_threads_changes_no_bit)
{
    load_attention(&shapes[4], "attention");
    double *o = data(3), one = 0;
    for (uint64_t i = 0; i < launch->tensors[3].elems; i++)
        o[i] *= 1 + 1e-3 * random_uniform(1, i);
    for (uint32_t threads = 1; threads <= 8; threads++) {
        CheckResult r = run(false, threads);
        one = threads == 1 ? r.rel_err : one;
        ck_assert(memcmp(&r.rel_err, &one, sizeof one) == 0);
    }
}
END_TEST

static const struct Product {
    uint32_t batch, batch_b, m, n, k;
    bool transpose;
    const char *dtype;
} products[] = {
    {1, 1, 1, 1, 1, false, "f32"},     {1, 1, 50, 300, 70, false, "bf16"},
    {1, 1, 50, 300, 70, true, "bf16"}, {3, 1, 49, 17, 513, false, "f16"},
    {3, 3, 49, 257, 513, true, "f16"}, {1, 1, 500, 16, 600, false, "e5m2"},
    {2, 2, 7, 530, 64, false, "s8"},   {1, 1, 3, 5, 5000, true, "f32"},
};

START_TEST(matmul_equals_its_definition)
{
    const struct Product *p = &products[_i];
    char text[1024], batch_b[16] = "";
    if (p->batch_b > 1)
        snprintf(batch_b, sizeof batch_b, "%u, ", p->batch_b);
    const char *init = strcmp(p->dtype, "s8") == 0 ? "{uniform: {seed: %d, lo: -128, hi: 127}}"
                                                   : "{normal: {seed: %d, std: 1}}";
    char init_a[64], init_b[64];
    snprintf(init_a, sizeof init_a, init, 1);
    snprintf(init_b, sizeof init_b, init, 2);
    snprintf(
        text, sizeof text,
        "tensors:\n"
        "  a: {dtype: %s, shape: [%u, %u, %u], init: %s}\n"
        "  b: {dtype: %s, shape: [%s%u, %u], init: %s}\n"
        "  c: {dtype: f64, shape: [%u, %u, %u], init: poison}\n"
        "check: [{tensor: c, reference: matmul, a: a, b: b, transpose_b: %s, max_rel_err: 1e-6}]\n",
        p->dtype, p->batch, p->m, p->k, init_a, p->dtype, batch_b, p->transpose ? p->n : p->k,
        p->transpose ? p->k : p->n, init_b, p->batch, p->m, p->n, p->transpose ? "true" : "false");
    load(text);
    double *c = data(2);
    for (uint32_t b = 0; b < p->batch; b++)
        for (uint32_t i = 0; i < p->m; i++)
            for (uint32_t j = 0; j < p->n; j++) {
                uint64_t bb = p->batch_b > 1 ? b : 0;
                long double sum = 0;
                for (uint32_t k = 0; k < p->k; k++)
                    sum += (long double)at(0, (b * p->m + i) * p->k + k) *
                           at(1, p->transpose ? (bb * p->n + j) * p->k + k
                                              : (bb * p->k + k) * p->n + j);
                c[(b * p->m + i) * p->n + j] = (double)sum;
            }
    CheckResult r = run(false, 3);
    ck_assert_msg(r.pass && r.rel_err < 1e-6, "%g", r.rel_err);
    for (uint64_t i = 0; i < launch->tensors[2].elems; i++) /* tiles of a partial run */
        if (i / p->n % 64 >= 32 || i % p->n % 40 >= 20)
            memset(&c[i], 0xff, sizeof *c);
    r = run(true, 2);
    ck_assert_msg(r.pass, "%g", r.rel_err);
    c[0] = c[0] * 1.5 + 1;
    ck_assert(!run(true, 2).pass);
}
END_TEST

START_TEST(softmax_equals_its_definition)
{
    load("tensors:\n"
         "  x: {dtype: f32, shape: [3, 70, 300], init: {normal: {seed: 1, std: 20}}}\n"
         "  y: {dtype: f64, shape: [3, 70, 300], init: poison}\n"
         "check: [{tensor: y, reference: softmax, x: x, max_rel_err: 1e-12}]\n");
    double *y = data(1);
    for (uint64_t i = 0; i < 210; i++) {
        long double sum = 0;
        for (uint64_t k = 0; k < 300; k++)
            sum += expl(at(0, i * 300 + k));
        for (uint64_t k = 0; k < 300; k++)
            y[i * 300 + k] = (double)(expl(at(0, i * 300 + k)) / sum);
    }
    CheckResult r = run(false, 2);
    ck_assert_msg(r.pass, "%g", r.rel_err);
    memset(y + 300, 0xff, 20 * 300 * sizeof *y);
    r = run(true, 1);
    ck_assert(r.pass && r.share == 190.0 / 210);
}
END_TEST

/* The three builds of the kernels give the same bytes; e^x is right to 1e-13. */
START_TEST(instruction_sets_agree)
{
    enum { K = 150, P = 3 };
    float *a = aligned_alloc(64, GEMM_ROWS * K * sizeof *a),
          *b = aligned_alloc(64, P * K * GEMM_COLS * sizeof *b);
    double c[2][GEMM_ROWS * P * GEMM_COLS], x[2][512] __attribute__((aligned(64)));
    float p[2][512] __attribute__((aligned(64)));
    for (uint64_t i = 0; i < GEMM_ROWS * K; i++)
        a[i] = (float)(random_uniform(1, i) - 0.5);
    for (uint64_t i = 0; i < P * K * GEMM_COLS; i++)
        b[i] = (float)(random_uniform(2, i) - 0.5);
    for (int isa = SIMD_BASE; isa < SIMD_ISAS; isa++) {
        if (!simd_runs((SimdIsa)isa))
            continue;
        int to = isa != SIMD_BASE;
        memset(c[to], 0, sizeof c[to]);
        gemm_for((SimdIsa)isa)->gemm(&(Gemm){a, b, c[to], K, P * GEMM_COLS, K * GEMM_COLS, K, P});
        for (int i = 0; i < 512; i++)
            x[to][i] = -i * 0.19;
        x[to][511] = -INFINITY;
        x[to][510] = NAN;
        gemm_for((SimdIsa)isa)->exps(x[to], p[to], 512);
        ck_assert(!to || memcmp(c[0], c[1], sizeof c[0]) == 0);
        ck_assert(!to || (memcmp(x[0], x[1], 510 * 8) == 0 && memcmp(p[0], p[1], 510 * 4) == 0));
        ck_assert(isnan(x[to][510]) && isnan(p[to][510]) && x[to][511] == 0 && p[to][511] == 0);
        for (int i = 0; i < 510; i++) {
            double want = i * 0.19 <= 87 ? exp(-i * 0.19) : 0;
            ck_assert_double_le(fabs(x[to][i] - want), 1e-13 * want);
            ck_assert(p[to][i] == (float)x[to][i]);
        }
    }
    for (int i = 0; i < GEMM_ROWS; i++)
        for (int j = 0; j < P * GEMM_COLS; j++) {
            double want = 0;
            for (int k = 0; k < K; k++)
                want +=
                    (double)a[i * K + k] * b[(j / GEMM_COLS * K + k) * GEMM_COLS + j % GEMM_COLS];
            ck_assert_double_lt(fabs(c[0][i * P * GEMM_COLS + j] - want), 2e-6);
        }
    free(a);
    free(b);
}
END_TEST

/* A file of doubles beside a tensor of floats. */
START_TEST(a_file_is_compared)
{
    char folder[] = "/tmp/rao-test-XXXXXX", path[64], text[512];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/e.npy", folder);
    FILE *f = fopen(path, "wb");
    fprintf(f, "\x93NUMPY\x01%c\x76%c%-117s\n", 0, 0,
            "{'descr': '<f8', 'fortran_order': False, 'shape': (4, 10), }");
    for (int i = 0; i < 40; i++)
        fwrite(&(double){i}, 8, 1, f);
    fclose(f);
    snprintf(text, sizeof text,
             "tensors: {t: {dtype: f32, shape: [4, 10], init: poison}}\n"
             "check: [{tensor: t, file: %s, max_rel_err: 1e-9}]\n",
             path);
    load(text);
    float *t = data(0);
    for (int i = 0; i < 40; i++)
        t[i] = (float)i;
    CheckResult r = run(false, 1);
    ck_assert(r.pass && r.rel_err == 0);
    ck_assert_str_eq(r.reference, "file");
    t[39] += 1;
    ck_assert_double_eq_tol(run(false, 1).rel_err, 1 / sqrt(39.0 * 40 * 79 / 6), 1e-12);
    memset(t, 0xff, 30 * sizeof *t); /* rows 0 to 2 */
    r = run(true, 1);
    ck_assert(r.share == 0.25 && !r.pass);
    t[39] -= 1;
    ck_assert(run(true, 1).pass);
    launch->tensors[0].shape[0] = 40;
    launch->tensors[0].shape[1] = 1;
    CheckResult *results;
    ck_assert(!launch_check(&arena, launch, mem, false, 1, &results, &error));
    ck_assert_ptr_nonnull(strstr(error.msg, "has another shape"));
    unlink(path);
    rmdir(folder);
}
END_TEST

/* A reference of zeros: zeros pass, anything else is infinitely wrong. */
START_TEST(a_reference_of_zeros)
{
    load("tensors:\n"
         "  a: {dtype: f32, shape: [4, 4], init: zeros}\n"
         "  c: {dtype: f32, shape: [4, 4], init: zeros}\n"
         "check: [{tensor: c, reference: matmul, a: a, b: a, max_rel_err: 0}]\n");
    CheckResult r = run(false, 1);
    ck_assert(r.pass && r.rel_err == 0);
    ((float *)data(1))[3] = 1e-30f;
    r = run(false, 1);
    ck_assert(!r.pass && isinf(r.rel_err));
    ((float *)data(0))[3] = NAN; /* an input that is NaN cannot pass either */
    ck_assert(!run(false, 1).pass);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reference");
    TCase *t = tcase_create("reference");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, attention_equals_its_definition, 0, sizeof shapes / sizeof *shapes);
    tcase_add_loop_test(t, lse_equals_its_definition, 0, sizeof shapes / sizeof *shapes);
    tcase_add_test(t, infinities_are_compared_as_such);
    tcase_add_test(t, relative_error_is_what_was_put_in);
    tcase_add_test(t, swapped_heads_and_a_shifted_mask_do_not_pass);
    tcase_add_test(t, a_partial_run_compares_what_was_written);
    tcase_add_test(t, the_number_of_threads_changes_no_bit);
    tcase_add_loop_test(t, matmul_equals_its_definition, 0, sizeof products / sizeof *products);
    tcase_add_test(t, softmax_equals_its_definition);
    tcase_add_test(t, instruction_sets_agree);
    tcase_add_test(t, a_file_is_compared);
    tcase_add_test(t, a_reference_of_zeros);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
