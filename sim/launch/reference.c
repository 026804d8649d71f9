/* What should come out: attention, matrix product, softmax, computed on the host from the inputs as
 * the kernel got them.
 *
 * Only rows that are compared are computed. Work is cut into items of rows; each item goes through
 * its inputs in blocks that fit a cache, packs them for gemm.h and hands finished rows to the
 * comparison. Attention is the online form: a running maximum and sum for each row, accumulators
 * rescaled when the maximum grows. In double, except for products (gemm.h) and for the
 * probabilities that enter the second product, which are rounded to single. */
#include <math.h>
#include <string.h>

#include "sim/launch/compare.h"
#include "sim/launch/gemm.h"
#include "sim/launch/par.h"

enum {
    KEYS = 256,        /* of a block of attention */
    ITEM_BLOCKS = 4,   /* GEMM_ROWS rows each, that share one packing of K and V */
    MATMUL_K = 512,    /* of a block of A */
    MATMUL_ITEM = 10,  /* blocks of GEMM_ROWS rows that share one packing of B */
    SOFTMAX_ITEM = 64, /* rows */
};

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

static uint64_t dim_from_end(const Tensor *t, uint32_t i)
{
    return t->shape[t->rank - 1 - i];
}

/* Rows [first, end) of the list that are one piece of work. */
typedef struct RowItem {
    uint64_t first, end;
} RowItem;

/* Cuts the list into items of at most `most` rows whose row / group is the same. */
static RowItem *cut_rows(Arena *a, const Compare *c, uint64_t group, uint64_t most,
                         uint64_t *n_items)
{
    RowItem *items = NULL;
    for (int pass = 0; pass < 2; pass++) { /* count, then fill */
        uint64_t n = 0;
        for (uint64_t i = 0; i < c->n_rows;) {
            uint64_t end = i + 1;
            while (end < c->n_rows && end - i < most && c->rows[end] / group == c->rows[i] / group)
                end++;
            if (items)
                items[n] = (RowItem){i, end};
            n++;
            i = end;
        }
        *n_items = n;
        if (!items)
            items = arena_new(a, RowItem, n + 1);
    }
    return items;
}

static const void *row_at(const Elem *e, const uint8_t *data, uint64_t row, uint64_t cols)
{
    return data + row * cols * e->bytes;
}

/* Rows [first, first + n) of a matrix become columns of panels: the transpose. Panels are filled up
 * with zeros. */
static void pack_transposed(const RefJob *j, int in, uint64_t first, uint64_t n, uint64_t cols,
                            float *row, float *out)
{
    const Elem *e = elem_of(j->in[in]->dtype);
    for (uint64_t i = 0; i < round_up(n, GEMM_COLS); i++) {
        float *panel = out + i / GEMM_COLS * cols * GEMM_COLS + i % GEMM_COLS;
        if (i < n)
            elem_to_float(e, row_at(e, j->data[in], first + i, cols), cols, row);
        for (uint64_t k = 0; k < cols; k++)
            panel[k * GEMM_COLS] = i < n ? row[k] : 0;
    }
}

typedef struct Attention {
    const RefJob *job;
    const GemmFns *fns;
    const RowItem *items;
    uint64_t sq, sk, d, dv, dv_pad, group; /* group: query heads of a key head */
    struct AttentionScratch *scratch;      /* of each thread */
} Attention;

typedef struct AttentionScratch {
    float *q;     /* [ITEM_BLOCKS * GEMM_ROWS][d] */
    float *k, *v; /* panels of one block of keys */
    float *p;     /* [GEMM_ROWS][KEYS] */
    double *s;    /* the same in double */
    double *o;    /* [ITEM_BLOCKS * GEMM_ROWS][dv_pad] */
    double *max, *sum;
    uint64_t *limit; /* keys that a row sees */
    float *row;
} AttentionScratch;

static void alloc_attention(Arena *a, const Attention *t, AttentionScratch *s)
{
    uint64_t rows = ITEM_BLOCKS * GEMM_ROWS;
    s->q = arena_new(a, float, rows * t->d);
    s->k = arena_new(a, float, KEYS * t->d);
    s->v = arena_new(a, float, KEYS * t->dv_pad);
    s->p = arena_new(a, float, GEMM_ROWS *KEYS);
    s->s = arena_new(a, double, GEMM_ROWS *KEYS);
    s->o = arena_new(a, double, rows * t->dv_pad);
    s->max = arena_new(a, double, rows);
    s->sum = arena_new(a, double, rows);
    s->limit = arena_new(a, uint64_t, rows);
    s->row = arena_new(a, float, t->d + t->dv_pad);
}

/* Keys a row sees. Causal is aligned at the bottom right: the last query sees all keys
 * (FlashAttention 2.1 and later). */
static uint64_t row_limit(const Attention *t, uint64_t row)
{
    uint64_t i = row % t->sq;
    if (!t->job->check->causal)
        return t->sk;
    return i + 1 + t->sk > t->sq ? i + 1 + t->sk - t->sq : 0;
}

/* Scores to probabilities of one row, and what the new maximum does to sums so far. */
static void softmax_step(const Attention *t, AttentionScratch *s, uint64_t row, double *x, float *p,
                         uint64_t n)
{
    double scale = t->job->check->scale, most = s->max[row], sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        x[i] *= scale;
        most = x[i] > most ? x[i] : most;
    }
    for (uint64_t i = 0; i < n; i++)
        x[i] -= most;
    for (uint64_t i = n; i < KEYS; i++)
        x[i] = -INFINITY;
    t->fns->exps(x, p, KEYS);
    for (uint64_t i = 0; i < n; i++)
        sum += x[i];
    if (most != s->max[row]) {
        double factor = exp(s->max[row] - most);
        s->sum[row] *= factor;
        for (uint64_t c = 0; c < t->dv; c++)
            s->o[row * t->dv_pad + c] *= factor;
        s->max[row] = most;
    }
    s->sum[row] += sum;
}

/* One block of rows against one block of keys. */
static void attend(const Attention *t, AttentionScratch *s, uint64_t block, uint64_t rows,
                   uint64_t key, uint64_t keys)
{
    uint64_t first = block * GEMM_ROWS, most = 0;
    for (uint64_t i = 0; i < rows; i++)
        most = s->limit[first + i] > most ? s->limit[first + i] : most;
    if (most <= key)
        return;
    memset(s->s, 0, GEMM_ROWS * KEYS * sizeof *s->s);
    t->fns->gemm(&(Gemm){s->q + first * t->d, s->k, s->s, t->d, KEYS, t->d * GEMM_COLS, t->d,
                         round_up(keys, GEMM_COLS) / GEMM_COLS});
    for (uint64_t i = 0; i < GEMM_ROWS; i++) {
        uint64_t limit = i < rows && s->limit[first + i] > key ? s->limit[first + i] - key : 0;
        limit = limit < keys ? limit : keys;
        if (limit)
            softmax_step(t, s, first + i, s->s + i * KEYS, s->p + i * KEYS, limit);
        else
            memset(s->p + i * KEYS, 0, KEYS * sizeof *s->p);
    }
    if (t->dv)
        t->fns->gemm(&(Gemm){s->p, s->v, s->o + first * t->dv_pad, KEYS, t->dv_pad,
                             KEYS * GEMM_COLS, keys, t->dv_pad / GEMM_COLS});
}

/* Keys [key, key + keys) of a head: K transposed, V in panels of its columns. */
static void pack_keys(const Attention *t, AttentionScratch *s, uint64_t head, uint64_t key,
                      uint64_t keys)
{
    const RefJob *j = t->job;
    pack_transposed(j, 1, head * t->sk + key, keys, t->d, s->row, s->k);
    if (!t->dv)
        return;
    const Elem *e = elem_of(j->in[2]->dtype);
    for (uint64_t i = 0; i < keys; i++) {
        elem_to_float(e, row_at(e, j->data[2], head * t->sk + key + i, t->dv), t->dv, s->row);
        for (uint64_t c = 0; c < t->dv; c++)
            s->v[c / GEMM_COLS * KEYS * GEMM_COLS + i * GEMM_COLS + c % GEMM_COLS] = s->row[c];
    }
}

static void finish_rows(const Attention *t, AttentionScratch *s, RowItem item)
{
    for (uint64_t i = item.first; i < item.end; i++) {
        uint64_t r = i - item.first;
        double *o = s->o + r * t->dv_pad;
        double lse = s->max[r] + log(s->sum[r]); /* -inf for a row that sees no key */
        for (uint64_t c = 0; c < t->dv; c++)
            o[c] = s->limit[r] ? o[c] / s->sum[r] : 0;
        compare_row(t->job->cmp, i, t->dv ? o : &lse);
    }
}

static void attention_item(void *ctx, uint32_t thread, uint64_t index)
{
    const Attention *t = ctx;
    AttentionScratch *s = &t->scratch[thread];
    RowItem item = t->items[index];
    uint64_t n = item.end - item.first, most = 0;
    const uint64_t *rows = t->job->cmp->rows + item.first;
    const Elem *e = elem_of(t->job->in[0]->dtype);
    memset(s->q, 0, ITEM_BLOCKS * GEMM_ROWS * t->d * sizeof *s->q);
    memset(s->o, 0, ITEM_BLOCKS * GEMM_ROWS * t->dv_pad * sizeof *s->o);
    for (uint64_t i = 0; i < n; i++) {
        elem_to_float(e, row_at(e, t->job->data[0], rows[i], t->d), t->d, s->q + i * t->d);
        s->limit[i] = row_limit(t, rows[i]);
        most = s->limit[i] > most ? s->limit[i] : most;
        s->max[i] = -INFINITY;
        s->sum[i] = 0;
    }
    for (uint64_t key = 0; key < most; key += KEYS) {
        uint64_t keys = t->sk - key < KEYS ? t->sk - key : KEYS;
        pack_keys(t, s, rows[0] / t->sq / t->group, key, keys);
        for (uint64_t b = 0; b * GEMM_ROWS < n; b++)
            attend(t, s, b, n - b * GEMM_ROWS < GEMM_ROWS ? n - b * GEMM_ROWS : GEMM_ROWS, key,
                   keys);
    }
    finish_rows(t, s, item);
}

static void run_attention(Arena *a, const RefJob *j)
{
    const Tensor *q = j->in[0], *k = j->in[1], *v = j->in[2];
    Attention t = {.job = j, .fns = gemm_for(simd_best())};
    t.sq = dim_from_end(q, 1);
    t.sk = dim_from_end(k, 1);
    t.d = dim_from_end(q, 0);
    t.dv = v && j->check->ref == REF_ATTENTION ? dim_from_end(v, 0) : 0; /* 0: only the LSE */
    t.dv_pad = round_up(t.dv, GEMM_COLS);
    t.group = (q->elems / t.d / t.sq) / (k->elems / t.d / t.sk);
    uint64_t n_items;
    t.items = cut_rows(a, j->cmp, t.sq * t.group, ITEM_BLOCKS * GEMM_ROWS, &n_items);
    t.scratch = arena_new(a, AttentionScratch, j->threads);
    for (uint32_t i = 0; i < j->threads; i++)
        alloc_attention(a, &t, &t.scratch[i]);
    par_for(j->threads, n_items, attention_item, &t);
}

typedef struct Matmul {
    const RefJob *job;
    const GemmFns *fns;
    const RowItem *items;
    uint64_t n_items, m, n, k;
    struct MatmulScratch *scratch;
} Matmul;

typedef struct MatmulScratch {
    float *a;  /* [GEMM_ROWS][MATMUL_K] */
    float *b;  /* panels of COMPARE_COLS columns, all of k */
    double *c; /* [GEMM_ROWS][COMPARE_COLS] */
    float *row;
} MatmulScratch;

/* Columns [col, col + n) of B, of the batch that row belongs to, in panels. */
static void pack_b(const Matmul *t, MatmulScratch *s, uint64_t row, uint64_t col, uint64_t n)
{
    const RefJob *j = t->job;
    const Elem *e = elem_of(j->in[1]->dtype);
    uint64_t batch = j->in[1]->rank == 2 ? 0 : row / t->m;
    if (j->check->transpose_b) {
        pack_transposed(j, 1, batch * t->n + col, n, t->k, s->row, s->b);
        return;
    }
    memset(s->row, 0, COMPARE_COLS * sizeof *s->row);
    for (uint64_t k = 0; k < t->k; k++) {
        const uint8_t *src = row_at(e, j->data[1], batch * t->k + k, t->n);
        elem_to_float(e, src + col * e->bytes, n, s->row);
        for (uint64_t c = 0; c < n; c += GEMM_COLS)
            memcpy(s->b + (c / GEMM_COLS * t->k + k) * GEMM_COLS, s->row + c,
                   GEMM_COLS * sizeof *s->b);
    }
}

/* Rows rows[first..) of the item, at most GEMM_ROWS, times the packed columns. */
static void matmul_block(const Matmul *t, MatmulScratch *s, RowItem rows, uint64_t col, uint64_t n)
{
    const RefJob *j = t->job;
    const Elem *e = elem_of(j->in[0]->dtype);
    memset(s->c, 0, GEMM_ROWS * COMPARE_COLS * sizeof *s->c);
    for (uint64_t k = 0; k < t->k; k += MATMUL_K) {
        uint64_t depth = t->k - k < MATMUL_K ? t->k - k : MATMUL_K;
        for (uint64_t i = rows.first; i < rows.end; i++) {
            const uint8_t *src = row_at(e, j->data[0], j->cmp->rows[i], t->k);
            elem_to_float(e, src + k * e->bytes, depth, s->a + (i - rows.first) * MATMUL_K);
        }
        t->fns->gemm(&(Gemm){s->a, s->b + k * GEMM_COLS, s->c, MATMUL_K, COMPARE_COLS,
                             t->k * GEMM_COLS, depth, round_up(n, GEMM_COLS) / GEMM_COLS});
    }
    for (uint64_t i = rows.first; i < rows.end; i++)
        compare_piece(j->cmp, i, col, n, s->c + (i - rows.first) * COMPARE_COLS);
}

/* Items go through the rows of one group of columns, then the next. */
static void matmul_item(void *ctx, uint32_t thread, uint64_t index)
{
    const Matmul *t = ctx;
    const Compare *cmp = t->job->cmp;
    MatmulScratch *s = &t->scratch[thread];
    RowItem item = t->items[index % t->n_items];
    uint64_t col = index / t->n_items * COMPARE_COLS,
             n = t->n - col < COMPARE_COLS ? t->n - col : COMPARE_COLS;
    bool packed = false;
    for (uint64_t i = item.first; i < item.end; i += GEMM_ROWS) {
        RowItem rows = {i, i + GEMM_ROWS < item.end ? i + GEMM_ROWS : item.end};
        bool needed = false;
        for (uint64_t k = rows.first; k < rows.end && !needed; k++)
            needed = compare_needs(cmp, k, col, n);
        if (!needed)
            continue;
        if (!packed)
            pack_b(t, s, cmp->rows[item.first], col, n);
        packed = true;
        matmul_block(t, s, rows, col, n);
    }
}

static void run_matmul(Arena *a, const RefJob *j)
{
    Matmul t = {.job = j, .fns = gemm_for(simd_best())};
    t.m = dim_from_end(j->in[0], 1);
    t.k = dim_from_end(j->in[0], 0);
    t.n = dim_from_end(j->out, 0);
    t.items = cut_rows(a, j->cmp, t.m, MATMUL_ITEM * GEMM_ROWS, &t.n_items);
    t.scratch = arena_new(a, MatmulScratch, j->threads);
    for (uint32_t i = 0; i < j->threads; i++) {
        MatmulScratch *s = &t.scratch[i];
        s->a = arena_new(a, float, GEMM_ROWS *MATMUL_K);
        s->b = arena_new(a, float, t.k *COMPARE_COLS);
        s->c = arena_new(a, double, GEMM_ROWS *COMPARE_COLS);
        s->row = arena_new(a, float, t.k > COMPARE_COLS ? t.k : COMPARE_COLS);
    }
    par_for(j->threads, t.n_items * j->cmp->pieces, matmul_item, &t);
}

typedef struct Softmax {
    const RefJob *job;
    double **row; /* of each thread */
} Softmax;

static void softmax_item(void *ctx, uint32_t thread, uint64_t index)
{
    const Softmax *t = ctx;
    const Compare *c = t->job->cmp;
    const Elem *e = elem_of(t->job->in[0]->dtype);
    double *x = t->row[thread];
    uint64_t end = (index + 1) * SOFTMAX_ITEM < c->n_rows ? (index + 1) * SOFTMAX_ITEM : c->n_rows;
    for (uint64_t i = index * SOFTMAX_ITEM; i < end; i++) {
        elem_to_double(e, row_at(e, t->job->data[0], c->rows[i], c->cols), c->cols, x);
        double most = -INFINITY, sum = 0;
        for (uint64_t k = 0; k < c->cols; k++)
            most = x[k] > most ? x[k] : most;
        for (uint64_t k = 0; k < c->cols; k++)
            sum += x[k] = exp(x[k] - most);
        for (uint64_t k = 0; k < c->cols; k++)
            x[k] /= sum;
        compare_row(c, i, x);
    }
}

static void run_softmax(Arena *a, const RefJob *j)
{
    Softmax t = {j, arena_new(a, double *, j->threads)};
    for (uint32_t i = 0; i < j->threads; i++)
        t.row[i] = arena_new(a, double, j->cmp->cols);
    par_for(j->threads, (j->cmp->n_rows + SOFTMAX_ITEM - 1) / SOFTMAX_ITEM, softmax_item, &t);
}

void reference_run(Arena *a, const RefJob *job)
{
    switch (job->check->ref) {
    case REF_ATTENTION:
    case REF_ATTENTION_LSE:
        run_attention(a, job);
        return;
    case REF_MATMUL:
        run_matmul(a, job);
        return;
    case REF_SOFTMAX:
        run_softmax(a, job);
        return;
    case REF_ATTENTION_BWD: /* refused by the reader */
    case REF_FILE:          /* check.c */
        return;
    }
}
