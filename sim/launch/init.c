/* Allocates tensors and gives them their first contents.
 *
 * Random numbers are a function of (seed, element) only: splitmix64 (Steele, Lea, Flood 2014) at a
 * counter, then Box-Muller for normal ones. Logarithm, sine and cosine are written out below in
 * operations that IEEE 754 defines exactly, so a tensor has the same bytes on every host and for
 * any number of threads. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "isa/bits.h"
#include "sim/launch/elem.h"
#include "sim/launch/launch.h"
#include "sim/launch/npy.h"
#include "sim/launch/par.h"
#include "sim/launch/random.h"

#define CHUNK                                                                                      \
    ((uint64_t)1 << 16) /* elements filled as one piece; even: a Box-Muller pair is not split */
#define GOLDEN 0x9e3779b97f4a7c15u /* 2^64 / golden ratio, odd */

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t random_bits(uint64_t seed, uint64_t i)
{
    return mix(mix(seed + GOLDEN) + (i + 1) * GOLDEN);
}

double random_uniform(uint64_t seed, uint64_t i)
{
    return (double)(random_bits(seed, i) >> 11) * 0x1p-53;
}

static inline double of_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* ln x of a normal x > 0: x = m 2^e with m in [sqrt(1/2), sqrt(2)), ln m = 2 atanh((m - 1) / (m +
 * 1)). The series is cut below 2^-53 of the result. No branches, and the exponent becomes a double
 * by way of 2^52: a loop can be vectorised. */
static inline double log_of(double x)
{
    const double ln2 = 0.69314718055994530942, sqrt_half = 0.70710678118654752440;
    uint64_t bits = bits_of(x);
    double e = of_bits(bits >> 52 | bits_of(0x1p52)) - (0x1p52 + 1022);
    double m = of_bits((bits & 0xfffffffffffffu) | bits_of(0.5)); /* [1/2, 1) */
    double low = m < sqrt_half ? 1.0 : 0.0;
    m += low * m;
    e -= low;
    double s = (m - 1) / (m + 1), z = s * s, sum = 1.0 / 21;
    sum = sum * z + 1.0 / 19;
    sum = sum * z + 1.0 / 17;
    sum = sum * z + 1.0 / 15;
    sum = sum * z + 1.0 / 13;
    sum = sum * z + 1.0 / 11;
    sum = sum * z + 1.0 / 9;
    sum = sum * z + 1.0 / 7;
    sum = sum * z + 1.0 / 5;
    sum = sum * z + 1.0 / 3;
    return e * ln2 + 2 * s * (sum * z + 1);
}

/* sin x and cos x within a quarter of pi: Taylor. */
static inline double sin_of(double x)
{
    double z = x * x, sum = 1 - z * (1.0 / (16 * 17));
    sum = 1 - sum * z * (1.0 / (14 * 15));
    sum = 1 - sum * z * (1.0 / (12 * 13));
    sum = 1 - sum * z * (1.0 / (10 * 11));
    sum = 1 - sum * z * (1.0 / (8 * 9));
    sum = 1 - sum * z * (1.0 / (6 * 7));
    sum = 1 - sum * z * (1.0 / (4 * 5));
    return x * (1 - sum * z * (1.0 / (2 * 3)));
}

static inline double cos_of(double x)
{
    double z = x * x, sum = 1 - z * (1.0 / (15 * 16));
    sum = 1 - sum * z * (1.0 / (13 * 14));
    sum = 1 - sum * z * (1.0 / (11 * 12));
    sum = 1 - sum * z * (1.0 / (9 * 10));
    sum = 1 - sum * z * (1.0 / (7 * 8));
    sum = 1 - sum * z * (1.0 / (5 * 6));
    sum = 1 - sum * z * (1.0 / (3 * 4));
    return 1 - sum * z * (1.0 / (1 * 2));
}

/* Radius times cos and sin of a turn in [0, 1): from the nearest quarter on, which says what to
 * swap and negate. */
static inline void polar(double radius, double turn, double *c, double *s)
{
    const double half_pi = 1.57079632679489661923, to_int = 0x1.8p52;
    double quarters = 4 * turn + to_int;
    uint64_t quarter = bits_of(quarters), odd = 0 - (quarter & 1);
    double x = (4 * turn - (quarters - to_int)) * half_pi;
    uint64_t sine = bits_of(radius * sin_of(x)), cosine = bits_of(radius * cos_of(x));
    *c = of_bits(((sine & odd) | (cosine & ~odd)) ^ ((quarter + 1) & 2) << 62);
    *s = of_bits(((cosine & odd) | (sine & ~odd)) ^ (quarter & 2) << 62);
}

void random_normals(uint64_t seed, uint64_t pair, uint64_t n, double *out)
{
    enum { BATCH = 64 };
    double u[BATCH], turn[BATCH];
    for (uint64_t first = 0; first < n; first += BATCH) {
        uint64_t count = n - first < BATCH ? n - first : BATCH;
        for (uint64_t i = 0; i < count; i++) {
            u[i] = random_uniform(seed, 2 * (pair + first + i)) + 0x1p-53; /* (0, 1] */
            turn[i] = random_uniform(seed, 2 * (pair + first + i) + 1);
        }
        for (uint64_t i = 0; i < count; i++)
            u[i] = sqrt(-2 * log_of(u[i]));
        for (uint64_t i = 0; i < count; i++)
            polar(u[i], turn[i], &out[2 * (first + i)], &out[2 * (first + i) + 1]);
    }
}

typedef struct Fill {
    const Tensor *t;
    const Elem *e;
    void *dst;
} Fill;

static void fill_normal(const Fill *f, uint64_t first, uint64_t end)
{
    enum { PAIRS = 256 };
    double x[2 * PAIRS];
    for (uint64_t i = first; i < end; i += 2 * PAIRS) {
        uint64_t n = end - i < 2 * PAIRS ? end - i : 2 * PAIRS;
        random_normals(f->t->seed, i / 2, (n + 1) / 2, x);
        for (uint64_t k = 0; k < n; k++)
            x[k] *= f->t->std;
        elem_from_double(f->e, x, n, f->dst, i);
    }
}

/* Floats in [lo, hi) up to rounding; integers in lo..hi. */
static void fill_uniform(const Fill *f, uint64_t first, uint64_t end)
{
    double lo = f->t->lo, span = f->t->hi - lo;
    bool whole = f->e->kind != 'F';
    for (uint64_t i = first; i < end; i++) {
        double u = random_uniform(f->t->seed, i);
        double v = whole ? lo + floor(u * (span + 1)) : lo + u * span;
        elem_put(f->e, f->dst, i, v < f->t->hi ? v : f->t->hi);
    }
}

static void fill_chunk(void *ctx, uint32_t thread, uint64_t item)
{
    (void)thread;
    const Fill *f = ctx;
    uint64_t first = item * CHUNK, end = first + CHUNK < f->t->elems ? first + CHUNK : f->t->elems;
    if (f->t->init == INIT_NORMAL)
        fill_normal(f, first, end);
    else
        fill_uniform(f, first, end);
}

/* Whether "f4" is one of "f4 u2 ..". */
static bool has_code(const char *codes, const char *code)
{
    const char *p = strstr(codes, code);
    size_t n = strlen(code);
    return p && (p[n] == 0 || p[n] == ' ');
}

static bool fill_from_file(const Fill *f, Err *err)
{
    const Tensor *t = f->t;
    Npy npy;
    bool ok = npy_open(t->file, t->loc, &npy, err);
    if (ok && !has_code(f->e->npy, npy.code))
        ok = err_set(err, ERR_SEMANTIC, t->loc,
                     "'%s' holds '%s', which tensor '%s' of %s cannot be read from (%s)", t->file,
                     npy.code, t->name, f->e->name, f->e->npy);
    bool same =
        npy.rank == t->rank && memcmp(npy.shape, t->shape, t->rank * sizeof t->shape[0]) == 0;
    if (ok && !same) {
        ok = err_set(err, ERR_SEMANTIC, t->loc, "'%s' has the shape (", t->file);
        for (uint32_t i = 0; i < npy.rank; i++)
            err_append(err, "%s%" PRIu64, i ? ", " : "", npy.shape[i]);
        err_append(err, "), tensor '%s' another", t->name);
    }
    ok = ok && npy_read(&npy, f->dst, t->bytes, t->loc, err);
    npy_close(&npy);
    return ok;
}

static bool fill(const Tensor *t, void *dst, Err *err)
{
    Fill f = {t, elem_of(t->dtype), dst};
    switch (t->init) {
    case INIT_ZEROS:
        memset(dst, 0, t->bytes);
        return true;
    case INIT_POISON:
        memset(dst, 0xff, t->bytes);
        return true;
    case INIT_NORMAL:
    case INIT_UNIFORM:
        par_for(par_default_threads(), (t->elems + CHUNK - 1) / CHUNK, fill_chunk, &f);
        return true;
    case INIT_FILE:
        return fill_from_file(&f, err);
    }
    return true;
}

bool launch_alloc(Arena *a, Launch *l, GlobalMem *m, Err *err)
{
    (void)a;
    for (uint32_t i = 0; i < l->n_tensors; i++) {
        Tensor *t = &l->tensors[i];
        t->addr = mem_place(m, t->wanted, t->bytes, false, t->name);
        if (!t->addr)
            return err_set(err, ERR_IO, t->loc, "no room for tensor '%s' of %" PRIu64 " bytes",
                           t->name, t->bytes);
        if (!fill(t, mem_ptr(m, t->addr, t->bytes), err))
            return false;
    }
    for (uint32_t i = 0; i < l->n_launches; i++)
        for (uint32_t k = 0; k < l->launches[i].n_args; k++)
            if (l->launches[i].args[k].map)
                l->launches[i].args[k].map->address =
                    l->tensors[l->launches[i].args[k].tensor].addr;
    return true;
}
