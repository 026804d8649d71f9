/* Included by gemm.c once for each instruction set, with
 *   BODY(name)  the name of a function in this build
 *   TARGET      its attribute
 *   LANES       floats of a vector
 *   TILE        rows of A whose sums are kept in registers: TILE * GEMM_COLS / LANES vectors
 * No include guard: being included again is the point. */

typedef float BODY(Floats) __attribute__((vector_size(4 * LANES)));
typedef double BODY(Doubles) __attribute__((vector_size(4 * LANES)));
typedef uint64_t BODY(Longs) __attribute__((vector_size(4 * LANES)));

/* TILE x GEMM_COLS of C. */
TARGET static void BODY(tile)(const Gemm *g, const float *a, const float *panel, double *c)
{
    enum { N = GEMM_COLS / LANES };
    for (size_t start = 0; start < g->k; start += GEMM_CHUNK) {
        size_t end = start + GEMM_CHUNK < g->k ? start + GEMM_CHUNK : g->k;
        BODY(Floats) sum[TILE][N] = {{{0}}};
        for (size_t k = start; k < end; k++) {
            const BODY(Floats) *b = (const BODY(Floats) *)(const void *)(panel + k * GEMM_COLS);
#pragma GCC unroll 12
            for (int i = 0; i < TILE; i++) {
#pragma GCC unroll 4
                for (int j = 0; j < N; j++)
                    sum[i][j] += b[j] * a[(size_t)i * g->lda + k];
            }
        }
#pragma GCC unroll 12
        for (int i = 0; i < TILE; i++) {
#pragma GCC unroll 4
            for (int j = 0; j < N; j++)
                for (int l = 0; l < LANES; l++)
                    c[(size_t)i * g->ldc + (size_t)(j * LANES + l)] += (double)sum[i][j][l];
        }
    }
}

#define ADD_TILE BODY(tile) /* clang-format takes BODY(tile)(...) for two statements */
TARGET static void BODY(gemm)(const Gemm *g)
{
    for (size_t p = 0; p < g->panels; p++)
        for (size_t i = 0; i < GEMM_ROWS; i += TILE)
            ADD_TILE(g, g->a + i * g->lda, g->b + p * g->panel_stride,
                     g->c + i * g->ldc + p * GEMM_COLS);
}
#undef ADD_TILE

/* x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its series; 2^n by the exponent field. */
TARGET static void BODY(exps)(double *x, float *p, size_t n)
{
    const double log2e = 1.44269504088896340736, ln2 = 0.69314718055994530942, to_int = 0x1.8p52,
                 least = -87;
    const double c[] = {
        1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720,
        1.0 / 120,      1.0 / 24,      1.0 / 6,      1.0 / 2,     1,          1};
    for (size_t i = 0; i < n; i += LANES / 2) {
        BODY(Doubles) *at = (BODY(Doubles) *)(void *)(x + i), v = *at;
        BODY(Doubles) shifted = v * log2e + to_int, r = v - (shifted - to_int) * ln2, sum = r * 0;
#pragma GCC unroll 12
        for (int k = 0; k < 12; k++)
            sum = sum * r + c[k];
        BODY(Longs) power = ((BODY(Longs))shifted + 1023) << 52, keep = (BODY(Longs))(v >= least);
        sum *= (BODY(Doubles))power;
        keep |= (BODY(Longs))(v != v); /* NaN stays */
        *at = (BODY(Doubles))((BODY(Longs))sum & keep);
        for (int l = 0; l < LANES / 2; l++)
            p[i + (size_t)l] = (float)(*at)[l];
    }
}
