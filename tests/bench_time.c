/* Speed of the time core alone: a toy front end that costs next to nothing, a softmax-like mix on
 * the b200 model. Run from the root: bench_time [warps [sms [million operations]]] */
#define _POSIX_C_SOURCE 199309L /* clock_gettime */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TOY_NO_CHECK
#include "tests/toy_front.h"

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* About 100 operations: tensor-memory loads, max, exponentials with packed FMA, packing, stores,
 * shared memory. */
static void softmax_mix(Toy *t, uint32_t w)
{
    toy_add(t, w, TC_LDTM, (Op){.kind = OK_TMEM, .arg0 = 16, .bytes = 2048}, 0, -1);
    for (int i = 0; i < 16; i++)
        toy_plain(t, w, TC_MINMAX, 20, i == 0 ? 0 : 20);
    for (int i = 0; i < 16; i++) {
        toy_plain(t, w, TC_FMA2, 30 + i, 20);
        toy_plain(t, w, TC_FMA, 50 + i, 30 + i);
        toy_plain(t, w, TC_ALU, 70 + i, 50 + i);
        if (i % 2)
            toy_plain(t, w, TC_EX2, 90 + i, 70 + i);
        if (i % 4 == 3)
            toy_plain(t, w, TC_F2FP, 110 + i, 90 + i);
    }
    toy_add(t, w, TC_STTM, (Op){.kind = OK_TMEM, .arg0 = 8, .bytes = 1024}, -1, 125);
    for (int i = 0; i < 4; i++)
        toy_add(t, w, TC_STS, (Op){.kind = OK_SMEM, .waves = 4, .bytes = 512}, -1, 90 + 4 * i + 1);
    toy_add(t, w, TC_LDS, (Op){.kind = OK_SMEM, .waves = 1, .bytes = 128}, 130, -1);
    toy_add(t, w, TC_BRANCH, (Op){.kind = OK_BRANCH, .arg0 = 1}, -1, 130);
}

int main(int argc, char **argv)
{
    uint32_t n_warps = argc > 1 ? (uint32_t)atoi(argv[1]) : 16,
             sms = argc > 2 ? (uint32_t)atoi(argv[2]) : 1;
    double millions = argc > 3 ? atof(argv[3]) : 20;
    Toy *t = toy_new("../models/b200.yaml", n_warps, sms);
    for (uint32_t w = 0; w < n_warps; w++)
        softmax_mix(t, w);
    t->repeat = (uint32_t)(millions * 1e6 / (t->warp[0].n * (double)n_warps * sms));
    double start = seconds();
    SimResult *r = NULL;
    if (!sim_run(&t->a, &t->desc, &r, &t->dead, &t->err)) {
        fprintf(stderr, "%s\n", t->err.msg);
        return 1;
    }
    double took = seconds() - start;
    printf("%u warps, %u SMs: %.1f M operations in %.2f s = %.1f M/s; %llu cycles, %.2f operations "
           "a cycle and SM\n",
           n_warps, r->sms_simulated, (double)r->warp_insts / 1e6, took,
           (double)r->warp_insts / 1e6 / took, (unsigned long long)r->cycles,
           (double)r->warp_insts / (double)r->cycles / sms);
    toy_free(t);
    return 0;
}
