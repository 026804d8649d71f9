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

/* The other kinds: 128 x 128 and 128 bytes of K, K-major SW128, batched. */
typedef struct KindCase {
    const char *name;
    uint8_t kind, svec;
    uint32_t idesc, slice_k;
} KindCase;

static const KindCase kinds[] = {
    {"tf32", MV_KIND_TF32, 0, 1u << 4 | 2u << 7 | 2u << 10, 8},
    {"e4m3", MV_KIND_F8F6F4, 0, 1u << 4, 32},
    {"e4m3, D f16", MV_KIND_F8F6F4, 0, 0, 32},
    {"e2m1 in f8f6f4", MV_KIND_F8F6F4, 0, 1u << 4 | 5u << 7 | 5u << 10, 32},
    {"i8", MV_KIND_I8, 0, 2u << 4 | 1u << 7 | 1u << 10, 32},
    {"mxf8f6f4", MV_KIND_MXF8F6F4, MV_SVEC_X1, 1u << 23, 32},
    {"mxf4nvf4", MV_KIND_MXF4NVF4, MV_SVEC_X4, 1u << 7 | 1u << 10, 64},
};

static void kind_tile(Kit *k, const KindCase *c)
{
    for (uint32_t s = 0; s < 4; s++) {
        kit_begin(k, c->svec ? OP_TCGEN05_MMA_SCALED : OP_TCGEN05_MMA);
        k->now.mod[MC_KIND] = c->kind;
        k->now.mod[MC_SVEC] = c->svec;
        kit_mem32(k, 0);
        kit_u64(k, desc(8192 + 32 * s, 16, 1024));
        kit_u64(k, desc(65536 + 32 * s, 16, 1024));
        kit_u32(k, c->idesc | 16u << 17 | 8u << 24);
        if (c->svec) {
            kit_mem32(k, 256);
            kit_mem32(k, 264);
        } else {
            kit_none(k);
        }
        kit_pred(k, s ? PRED_TRUE : PRED_FALSE);
        if (!kit_exec(k, exec_tcgen05_mma, 0, 0, 1) || !kit_finish(k, 0)) {
            fprintf(stderr, "%s\n", k->err.msg);
            abort();
        }
    }
    tc_flush(k->x, &k->x->ctas[0], &k->err);
}

static void bench_kind(const KindCase *c, bool hw)
{
    static Kit k;
    kit_open(&k, 1, 4, hw);
    for (uint32_t i = 0; i < 131072; i++)
        k.x->ctas[0].shared[8192 + i] = (uint8_t)(0x38 + i * 7919 % 5);
    for (uint32_t i = 0; i < 512 * 128; i++)
        k.x->ctas[0].tmem[i / 128][i % 128] = 0x7e7d7c7e;
    double dt = 1;
    for (double end = seconds() + 0.5; seconds() < end;) {
        double t0 = seconds();
        kind_tile(&k, c);
        double t1 = seconds() - t0;
        dt = t1 < dt ? t1 : dt;
    }
    printf("%s %-16s: %6.1f us a tile, %6.1f GFLOP/s\n", hw ? "hw  " : "fp32", c->name, 1e6 * dt,
           2 * 128. * 128 * 4 * c->slice_k / dt * 1e-9);
    kit_close(&k);
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
    for (uint32_t hw = 0; hw < 2; hw++)
        for (uint32_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            bench_kind(&kinds[i], hw);
    return 0;
}
