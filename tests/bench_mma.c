/* GFLOP/s of tcgen05.mma through the whole path: descriptors, gather from swizzled shared memory,
 * pack, multiply. Tile 128 x 128 x 128 of bf16, K-major SW128 operands (an S = Q K^T tile), and
 * with A in tensor memory and an MN-major B (an O = P V tile). */
#include <time.h>

#include "tests/func_kit.h"

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t desc(uint32_t start, uint32_t lbo, uint32_t sbo)
{
    return start >> 4 | (uint64_t)(lbo >> 4) << 16 | (uint64_t)(sbo >> 4) << 32 |
           UINT64_C(1) << 46 | UINT64_C(2) << 61;
}

static void tile(Kit *k, bool ts, uint32_t mn_b, uint32_t mode)
{
    for (uint32_t s = 0; s < 8; s++) {
        uint32_t step = s / 4 * 16384 + s % 4 * 32;
        kit_begin(k, ts ? OP_TCGEN05_MMA_TS : OP_TCGEN05_MMA);
        k->now.mod[MC_KIND] = MV_KIND_F16;
        kit_mem32(k, 0);
        if (ts)
            kit_mem32(k, 256 + 8 * s);
        else
            kit_u64(k, desc(8192 + step, 16, 1024));
        kit_u64(k, mn_b ? desc(65536 + s * 2048, 16384, 1024) : desc(65536 + step, 16, 1024));
        kit_u32(k, 1u << 4 | 1u << 7 | 1u << 10 | mn_b << 16 | 16u << 17 | 8u << 24);
        kit_none(k);
        kit_pred(k, s ? PRED_TRUE : PRED_FALSE);
        if (!kit_exec(k, exec_tcgen05_mma, 0, 0, 1) || !kit_finish(k, 0)) {
            fprintf(stderr, "%s\n", k->err.msg);
            abort();
        }
        if (mode == 1)
            tc_flush(k->x, &k->x->ctas[0], &k->err);
    }
    tc_flush(k->x, &k->x->ctas[0], &k->err);
}

int main(void)
{
    static const char *const names[] = {"batched", "one by one"};
    static Kit k;
    for (uint32_t hw = 0; hw < 2; hw++)
        for (uint32_t ts = 0; ts < 2; ts++)
            for (uint32_t mode = 0; mode < 2; mode++) {
                kit_open(&k, 1, 4, hw);
                uint16_t *s = (uint16_t *)(void *)(k.x->ctas[0].shared + 8192);
                uint32_t *t = &k.x->ctas[0].tmem[0][0];
                for (uint32_t i = 0; i < 65536; i++) {
                    s[i] = (uint16_t)(0x3f80 + i * 7919 % 256);
                    t[i] = 0x3f803f00 + i * 7919 % 256;
                }
                double dt = 1; /* best of many: the machine may be busy */
                for (double end = seconds() + 1; seconds() < end;) {
                    double t0 = seconds();
                    tile(&k, ts, ts, mode);
                    double t1 = seconds() - t0;
                    dt = t1 < dt ? t1 : dt;
                }
                printf("%s %s %-10s: %6.1f us a tile, %6.1f GFLOP/s\n", hw ? "hw  " : "fp32",
                       ts ? "TS" : "SS", names[mode], 1e6 * dt, 2 * 128. * 128 * 128 / dt * 1e-9);
                kit_close(&k);
            }
    return 0;
}
