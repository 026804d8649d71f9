/* Random programs of every kind of operation: visiting every cycle and skipping to the next event
 * must give the same run, every statistic included; two runs the same bytes; each warp and cycle
 * one reason (toy_run). */
#include "tests/toy_front.h"

typedef struct Rng {
    uint64_t s;
} Rng;

static uint32_t below(Rng *r, uint32_t n)
{
    r->s = r->s * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(r->s >> 33) % n;
}

static const TClass plain[] = {TC_FMA,  TC_FMA2, TC_ALU,      TC_MINMAX, TC_F2FP, TC_EX2,
                               TC_MUFU, TC_CVT,  TC_SHFL,     TC_VOTE,   TC_IMAD, TC_UNIFORM,
                               TC_S2R,  TC_LDC,  TC_WARPSYNC, TC_NONE};
static const TClass bases[] = {TC_LDS, TC_STS, TC_LDG, TC_STG, TC_LDTM, TC_STTM, TC_BRANCH};

/* Warp 0 loads by TMA and issues MMAs on what it loaded; the others wait for the results in their
 * own way. */
enum { FULL = 8, DONE = 16, EMPTY = 24, CP = 32 };

static void add_memory(Toy *t, uint32_t w, Rng *r)
{
    TClass tc = bases[below(r, 7)];
    int dst = (int)below(r, 60), src = (int)below(r, 60);
    Op op = {.waves = (uint16_t)(1 + below(r, 8)),
             .bytes = 32 * (1 + below(r, 16)),
             .addr = below(r, 4000)};
    switch (tc) {
    case TC_LDS:
    case TC_STS:
        op.kind = OK_SMEM;
        break;
    case TC_LDG:
    case TC_STG:
        op.kind = OK_GMEM;
        op.arg0 = tc == TC_STG;
        break;
    case TC_BRANCH:
        op.kind = OK_BRANCH;
        break;
    default:
        op.kind = OK_TMEM;
        op.arg0 = 1u << below(r, 6);
        op.bytes = op.arg0 * 128;
    }
    if (below(r, 9) == 0)
        op.kind = OK_SKIPPED;
    bool loads = tc == TC_LDS || tc == TC_LDG || tc == TC_LDTM;
    toy_add(t, w, tc, op, loads ? dst : -1, src);
    if (tc == TC_STTM && below(r, 2))
        toy_add(t, w, TC_WAIT_ST, (Op){.kind = OK_WAIT_ST}, -1, -1);
}

static void add_work(Toy *t, uint32_t w, Rng *r, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (below(r, 4))
            toy_plain(t, w, plain[below(r, 16)], (int)below(r, 60), (int)below(r, 60));
        else
            add_memory(t, w, r);
    }
}

static void add_copies(Toy *t, uint32_t w, Rng *r, uint32_t *handle)
{
    for (uint32_t i = below(r, 4); i > 0; i--)
        toy_add(t, w, TC_TMA_ST,
                (Op){.kind = OK_TMA_STORE,
                     .bytes = 128 * (1 + below(r, 40)),
                     .waves = 8,
                     .addr = below(r, 500),
                     .handle = ++*handle,
                     .arg0 = below(r, 2)},
                -1, -1);
    toy_add(t, w, TC_TMA_GROUP, (Op){.kind = OK_BULK_COMMIT}, -1, -1);
    if (below(r, 2))
        toy_add(t, w, TC_TMA_GROUP,
                (Op){.kind = OK_BULK_WAIT, .arg0 = below(r, 2), .arg1 = below(r, 2)}, -1, -1);
    for (uint32_t i = below(r, 3); i > 0; i--)
        toy_add(t, w, TC_LDGSTS,
                (Op){.kind = OK_CPASYNC, .bytes = 512, .addr = below(r, 5000), .handle = ++*handle},
                -1, -1);
    toy_add(t, w, TC_TMA_GROUP, (Op){.kind = OK_CPASYNC_COMMIT}, -1, -1);
    if (below(r, 2))
        toy_add(t, w, TC_TMA_GROUP, (Op){.kind = OK_CPASYNC_WAIT, .arg0 = below(r, 2)}, -1, -1);
}

static void add_producer(Toy *t, Rng *r, uint32_t phase, uint32_t *handle)
{
    uint32_t bytes = 256 * (1 + below(r, 30));
    if (phase > 0)
        toy_add(t, 0, TC_MBAR_TRY,
                (Op){.kind = OK_MBAR_WAIT, .sync = EMPTY, .arg0 = (phase - 1) & 1}, -1, -1);
    toy_add(t, 0, TC_MBAR_ARRIVE,
            (Op){.kind = OK_MBAR_ARRIVE, .sync = FULL, .arg0 = 1, .arg1 = 2 * bytes}, -1, -1);
    for (uint32_t i = 0; i < 2; i++)
        toy_add(t, 0, TC_TMA_LD,
                (Op){.kind = OK_TMA_LOAD,
                     .sync = FULL,
                     .bytes = bytes,
                     .waves = (uint16_t)below(r, 40),
                     .addr = below(r, 300),
                     .handle = ++*handle},
                -1, -1);
    toy_add(t, 0, TC_MBAR_TRY, (Op){.kind = OK_MBAR_WAIT, .sync = FULL, .arg0 = phase & 1}, -1, -1);
    for (uint32_t i = below(r, 9); i > 0; i--)
        toy_add(t, 0, TC_MMA,
                (Op){.kind = OK_MMA,
                     .arg0 = (64u << below(r, 2)) | (16 * (1 + below(r, 16))) << 16,
                     .arg1 = below(r, 2),
                     .waves = 32,
                     .handle = ++*handle},
                -1, -1);
    toy_add(t, 0, TC_COMMIT, (Op){.kind = OK_COMMIT, .sync = DONE}, -1, -1);
}

static Toy *program(uint64_t seed)
{
    Rng r = {seed * 77 + 1};
    uint32_t n_warps = 2 + below(&r, 11), handle = 0;
    Toy *t = toy_new("toy.yaml", n_warps, 1 + below(&r, 14));
    t->desc.shared_per_cta = below(&r, 2) ? 20000 : 40000;
    t->desc.sms = 1 + below(&r, 5);
    toy_add(t, 0, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_INIT, .sync = FULL, .arg0 = 1}, -1, -1);
    toy_add(t, 0, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_INIT, .sync = DONE, .arg0 = 1}, -1, -1);
    toy_add(t, 0, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_INIT, .sync = EMPTY, .arg0 = n_warps - 1},
            -1, -1);
    toy_add(t, 0, TC_TMEM_ALLOC, (Op){.kind = OK_TMEM_ALLOC, .arg0 = 256}, -1, -1);
    Op all = {.kind = OK_BAR_SYNC, .sync = 0, .arg0 = n_warps * 32, .arg1 = 32};
    uint32_t phases = 1 + below(&r, 4);
    for (uint32_t w = 0; w < n_warps; w++) {
        toy_add(t, w, TC_BAR, all, -1, -1);
        for (uint32_t p = 0; p < phases; p++) {
            if (w == 0) {
                add_producer(t, &r, p, &handle);
                continue;
            }
            toy_add(t, w, TC_MBAR_TRY, (Op){.kind = OK_MBAR_WAIT, .sync = DONE, .arg0 = p & 1}, -1,
                    -1);
            add_work(t, w, &r, 20 + below(&r, 60));
            if (below(&r, 3) == 0)
                add_copies(t, w, &r, &handle);
            toy_add(t, w, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_ARRIVE, .sync = EMPTY, .arg0 = 1},
                    -1, -1);
        }
        toy_add(t, w, TC_BAR, all, -1, -1);
    }
    toy_add(t, 0, TC_TMEM_ALLOC, (Op){.kind = OK_TMEM_DEALLOC, .arg0 = 256, .arg1 = 0}, -1, -1);
    return t;
}

#define SAME(field)                                                                                \
    ck_assert_msg(memcmp(&a->field, &b->field, sizeof a->field) == 0, "seed %llu: %s", seed, #field)

static void compare(const SimResult *a, const SimResult *b, uint32_t n_ops, unsigned long long seed)
{
    SAME(cycles);
    SAME(ctas_simulated);
    SAME(warp_insts);
    SAME(n_waits);
    SAME(units);
    SAME(tclass_ops);
    SAME(smem_bytes_lds);
    SAME(smem_bytes_tma);
    SAME(smem_bytes_mma);
    SAME(bank_conflicts);
    SAME(l2_bytes);
    SAME(dram_bytes);
    SAME(mma_flops);
    SAME(only_limit);
    ck_assert_mem_eq(a->warps, b->warps, sizeof *a->warps * a->n_warps);
    ck_assert_mem_eq(a->waits, b->waits, sizeof *a->waits * a->n_waits);
    ck_assert_mem_eq(a->pc_issues, b->pc_issues, sizeof *a->pc_issues * n_ops);
    ck_assert_mem_eq(a->ctas, b->ctas, sizeof *a->ctas * a->ctas_simulated);
}

START_TEST(ticking_and_skipping_agree)
{
    for (uint64_t seed = 0; seed < 150; seed++) {
        Toy *a = program(seed), *b = program(seed), *c = program(seed);
        b->desc.tick = true;
        SimResult *ra = toy_run(a), *rb = toy_run(b), *rc = toy_run(c);
        compare(ra, rb, a->code.n_ops, seed);
        compare(ra, rc, a->code.n_ops, seed);
        toy_free(a);
        toy_free(b);
        toy_free(c);
    }
}
END_TEST

/* What was issued does not depend on the times: a machine with other numbers counts the same
 * operations. */
START_TEST(operation_counts_do_not_depend_on_the_model)
{
    for (uint64_t seed = 200; seed < 220; seed++) {
        Toy *a = program(seed), *b = program(seed);
        ck_assert(model_set(&b->model, "fma.latency=31", &b->err));
        ck_assert(model_set(&b->model, "lsu.queue=1", &b->err));
        ck_assert(model_set(&b->model, "tensor.queue=1", &b->err));
        ck_assert(model_set(&b->model, "tma.queue=1", &b->err));
        SimResult *ra = toy_run(a), *rb = toy_run(b);
        ck_assert_uint_eq(ra->warp_insts, rb->warp_insts);
        ck_assert_mem_eq(ra->tclass_ops, rb->tclass_ops, sizeof ra->tclass_ops);
        ck_assert_uint_eq(ra->l2_bytes, rb->l2_bytes);
        ck_assert_uint_eq(ra->smem_bytes_tma, rb->smem_bytes_tma);
        ck_assert_uint_eq(ra->mma_flops, rb->mma_flops);
        toy_free(a);
        toy_free(b);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {ticking_and_skipping_agree,
                                  operation_counts_do_not_depend_on_the_model, NULL};
    return toy_main("time_skip", tests);
}
