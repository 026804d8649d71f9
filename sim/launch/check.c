/* Compares tensors in memory with what should have come out. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "sim/launch/compare.h"
#include "sim/launch/npy.h"

#define MAX_THREADS 64u

void compare_piece(const Compare *c, uint64_t i, uint64_t col, uint64_t n, const double *ref)
{
    double out[COMPARE_COLS];
    const uint8_t *src = c->out + (c->rows[i] * c->cols + col) * c->e->bytes;
    RowSum sum = {0};
    elem_to_double(c->e, src, n, out);
    for (uint64_t k = 0; k < n; k++) {
        if (c->partial && elem_is_poison(c->e, src, k))
            continue;
        bool same = out[k] == ref[k]; /* infinities too, which have no difference */
        double diff = same ? 0 : out[k] - ref[k], size = same && isinf(ref[k]) ? 0 : ref[k];
        sum.diff2 += diff * diff;
        sum.ref2 += size * size;
        sum.n++;
        sum.n_nan += isnan(out[k]) != 0;
    }
    c->sums[i * c->pieces + col / COMPARE_COLS] = sum;
}

void compare_row(const Compare *c, uint64_t i, const double *ref)
{
    for (uint64_t col = 0; col < c->cols; col += COMPARE_COLS)
        compare_piece(c, i, col, c->cols - col < COMPARE_COLS ? c->cols - col : COMPARE_COLS,
                      ref + col);
}

bool compare_needs(const Compare *c, uint64_t i, uint64_t col, uint64_t n)
{
    if (!c->partial)
        return true;
    /* Some element is not poison if some byte is not 0xff; eight at a time, since most of a large
     * tensor may be. */
    const uint8_t *src = c->out + (c->rows[i] * c->cols + col) * c->e->bytes;
    uint64_t bytes = n * c->e->bytes, at = 0, word;
    for (; at + sizeof word <= bytes; at += sizeof word) {
        memcpy(&word, src + at, sizeof word);
        if (word != UINT64_MAX)
            return true;
    }
    for (; at < bytes; at++)
        if (src[at] != 0xff)
            return true;
    return false;
}

/* All rows, or those in which anything was written. */
static void choose_rows(Arena *a, Compare *c, uint64_t rows)
{
    uint64_t *list = arena_new(a, uint64_t, rows), one;
    Compare probe = *c;
    probe.rows = &one;
    for (one = 0; one < rows; one++)
        if (compare_needs(&probe, 0, 0, c->cols))
            list[c->n_rows++] = one;
    c->rows = list;
    c->pieces = (c->cols + COMPARE_COLS - 1) / COMPARE_COLS;
    c->sums = arena_new(a, RowSum, c->n_rows * c->pieces + 1);
}

/* A file of the tensor's own type, or of float or double for any floating-point tensor. */
static const Elem *file_elem(const Elem *own, const Npy *npy)
{
    const char *p = strstr(own->npy, npy->code);
    if (p)
        return own;
    if (own->kind == 'F' && strcmp(npy->code, "f4") == 0)
        return elem_of(T_F32);
    return own->kind == 'F' && strcmp(npy->code, "f8") == 0 ? elem_of(T_F64) : NULL;
}

static bool compare_rows_of_file(Arena *a, const Check *c, const Compare *cmp, Npy *npy, Err *err)
{
    const Elem *e = file_elem(cmp->e, npy);
    if (!e)
        return err_set(err, ERR_SEMANTIC, c->loc,
                       "'%s' holds '%s', which cannot be compared with %s", c->file, npy->code,
                       cmp->e->name);
    void *raw = arena_alloc(a, cmp->cols * e->bytes);
    double *ref = arena_new(a, double, cmp->cols);
    uint64_t next = 0; /* row of the file */
    for (uint64_t i = 0; i < cmp->n_rows; i++) {
        do {
            if (!npy_read(npy, raw, cmp->cols * e->bytes, c->loc, err))
                return false;
        } while (next++ < cmp->rows[i]);
        elem_to_double(e, raw, cmp->cols, ref);
        compare_row(cmp, i, ref);
    }
    return true;
}

static bool compare_file(Arena *a, const Check *c, const Tensor *t, const Compare *cmp, Err *err)
{
    Npy npy;
    bool ok = npy_open(c->file, c->loc, &npy, err);
    uint64_t elems = 1;
    for (uint32_t i = 0; ok && i < npy.rank; i++)
        elems =
            npy.shape[i] && elems > UINT64_MAX / npy.shape[i] ? UINT64_MAX : elems * npy.shape[i];
    bool same =
        npy.rank == t->rank && memcmp(npy.shape, t->shape, t->rank * sizeof t->shape[0]) == 0;
    if (ok && !same)
        ok = err_set(err, ERR_SEMANTIC, c->loc,
                     "'%s' has another shape (%u dimensions, %" PRIu64
                     " elements) than tensor '%s' (%u, %" PRIu64 ")",
                     c->file, npy.rank, elems, t->name, t->rank, t->elems);
    ok = ok && compare_rows_of_file(a, c, cmp, &npy, err);
    npy_close(&npy);
    return ok;
}

static void sum_up(const Compare *c, const Tensor *t, CheckResult *r)
{
    RowSum all = {0};
    for (uint64_t i = 0; i < c->n_rows * c->pieces; i++) {
        all.diff2 += c->sums[i].diff2;
        all.ref2 += c->sums[i].ref2;
        all.n += c->sums[i].n;
        all.n_nan += c->sums[i].n_nan;
    }
    r->n_nan = all.n_nan;
    r->share = (double)all.n / (double)t->elems;
    if (all.n == 0 || all.n_nan)
        r->rel_err = NAN;
    else if (all.diff2 == 0)
        r->rel_err = 0;
    else
        r->rel_err = sqrt(all.diff2 / all.ref2); /* a reference of zeros: infinite */
    r->pass = r->rel_err <= r->max_rel_err;      /* false for NaN */
}

typedef struct CheckRun {
    const Launch *l;
    const GlobalMem *mem;
    bool partial;
    uint32_t threads;
} CheckRun;

static bool run_check(const CheckRun *run, const Check *c, CheckResult *r, Err *err)
{
    static const char *const names[] = {"attention", "attention_lse", "attention_bwd",
                                        "matmul",    "softmax",       "file"};
    const Tensor *t = &run->l->tensors[c->tensor];
    Arena scratch = {0};
    Compare cmp = {.e = elem_of(t->dtype), .partial = run->partial};
    cmp.out = mem_ptr(run->mem, t->addr, t->bytes);
    cmp.cols = c->ref == REF_ATTENTION_LSE ? 1 : t->shape[t->rank - 1];
    choose_rows(&scratch, &cmp, t->elems / cmp.cols);
    *r =
        (CheckResult){.tensor = t->name, .reference = names[c->ref], .max_rel_err = c->max_rel_err};
    RefJob job = {.check = c, .out = t, .cmp = &cmp, .threads = run->threads};
    for (int i = 0; i < 3; i++) {
        job.in[i] = c->in[i] < 0 ? NULL : &run->l->tensors[c->in[i]];
        job.data[i] = c->in[i] < 0 ? NULL : mem_ptr(run->mem, job.in[i]->addr, job.in[i]->bytes);
    }
    bool ok = true;
    if (c->ref == REF_FILE)
        ok = compare_file(&scratch, c, t, &cmp, err);
    else
        reference_run(&scratch, &job);
    if (ok)
        sum_up(&cmp, t, r);
    arena_free(&scratch);
    return ok;
}

bool launch_check(Arena *a, const Launch *l, const GlobalMem *mem, bool partial, uint32_t threads,
                  CheckResult **out, Err *err)
{
    CheckRun run = {l, mem, partial,
                    threads < 1             ? 1
                    : threads > MAX_THREADS ? MAX_THREADS
                                            : threads};
    *out = arena_new(a, CheckResult, l->n_checks + 1);
    for (uint32_t i = 0; i < l->n_checks; i++)
        if (!run_check(&run, &l->checks[i], &(*out)[i], err))
            return false;
    return true;
}
