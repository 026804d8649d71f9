/* mma.sync on f64: D = C + A B as fused multiply-adds, k ascending, each rounded as written (this
 * file is built so that the compiler respects the rounding mode). Fragments: exec_mma.c, with E
 * = 1. A NaN operand comes back quiet, else a NaN is the default one, which is negative. */
#include <fenv.h>
#include <math.h>

#include "isa/form.h"
#include "sim/func/exec_mma.h"
#include "sim/func/state.h"

#define QUIET_F64 UINT64_C(0x0008000000000000)

enum { MAX_ROWS = 16, MAX_K = 16 };

static double opd_f64(const Warp *w, const CodeOpd *o, uint32_t i, uint32_t lane)
{
    uint64_t bits = opd_row(w, o, 2 * i)[lane] | (uint64_t)opd_row(w, o, 2 * i + 1)[lane] << 32;
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static void load(const Warp *w, const CodeOpd *o, uint32_t halves, double to[MAX_ROWS][MAX_K])
{
    for (uint32_t i = 0; i < o->n / 2u; i++)
        for (uint32_t l = 0; l < WARP; l++)
            to[l / 4 + 8 * (i % halves)][l % 4 + 4 * (i / halves)] = opd_f64(w, o, i, l);
}

/* volatile: the operation must happen here, between the changes of mode. */
static double fma_here(double a, double b, double c)
{
    volatile double x = a, y = b, z = c;
    volatile double r = fma(x, y, z);
    if (isnan(a) || isnan(b) || isnan(c))
        return isnan(a) ? a : isnan(b) ? b : c;
    return isnan(r) ? -NAN : r;
}

static double dot(const double *a, const double *b, uint32_t k, double c)
{
    for (uint32_t i = 0; i < k; i++)
        c = fma_here(a[i], b[i], c);
    return c;
}

void mma_f64(Warp *w, const XInsn *in, uint32_t mask)
{
    static const int host_mode[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
    MatShape s = form_mma_shape(in->ci->mod[MC_MMASHAPE]);
    const CodeOpd *d = opd(w, in, 0), *c = opd(w, in, 3);
    double a[MAX_ROWS][MAX_K], b[MAX_ROWS][MAX_K];
    uint32_t rnd = in->ci->mod[MC_RND];
    int before = fegetround();
    load(w, opd(w, in, 1), s.m / 8u, a);
    load(w, opd(w, in, 2), 1, b);
    fesetround(host_mode[rnd >= MV_RND_RN && rnd <= MV_RND_RP ? rnd - MV_RND_RN : 0]);
    for (uint32_t i = 0; i < d->n / 2u; i++)
        for (uint32_t m = mask; m; m &= m - 1) {
            uint32_t l = first_lane(m);
            double v =
                dot(a[l / 4 + 8 * (i / 2)], b[2 * (l % 4) + i % 2], s.k, opd_f64(w, c, i, l));
            uint64_t bits;
            memcpy(&bits, &v, sizeof bits);
            bits |= isnan(v) ? QUIET_F64 : 0;
            opd_row(w, d, 2 * i)[l] = (uint32_t)bits;
            opd_row(w, d, 2 * i + 1)[l] = (uint32_t)(bits >> 32);
        }
    fesetround(before);
}
