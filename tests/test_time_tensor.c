/* Tensor core and tensor memory: the public measurements of single-MMA latency and initiation
 * interval on the b200 model (SemiAnalysis microbench-blackwell umma_latency: the tables are
 * below), formulas on the toy model. */
#include "tests/toy_front.h"

enum { SS = 0, TS = MMA_A_TMEM, CG2 = MMA_CG2 };

static Op mma(uint32_t m, uint32_t n, uint32_t flags, uint32_t handle)
{
    return (Op){.kind = OK_MMA, .arg0 = m | n << 16, .arg1 = flags, .waves = 32, .handle = handle};
}

/* One warp issues `depth` MMAs and a commit, and waits. Returns the cycles from the first MMA to
 * the issue after it. */
static Cycle batch(const char *model, uint32_t depth, uint32_t m, uint32_t n, uint32_t flags)
{
    Toy *t = toy_new(model, 1, 1);
    toy_add(t, 0, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_INIT, .sync = 8, .arg0 = 1}, -1, -1);
    for (uint32_t i = 0; i < depth; i++)
        toy_add(t, 0, TC_MMA, mma(m, n, flags, i + 1), -1, -1);
    toy_add(t, 0, TC_COMMIT, (Op){.kind = OK_COMMIT, .sync = 8}, -1, -1);
    toy_add(t, 0, TC_MBAR_TRY, (Op){.kind = OK_MBAR_WAIT, .sync = 8, .arg0 = 0}, -1, -1);
    uint32_t end = toy_mark(t, 0, -1);
    toy_run(t);
    Cycle took = t->when[0][end] - t->when[0][1];
    for (uint32_t i = 1; i <= depth; i++)
        ck_assert_uint_eq(t->dones[i], 1);
    toy_free(t);
    return took;
}

typedef struct LatencyRow {
    uint32_t m, flags, n;
    double latency, interval; /* measured, BF16 */
} LatencyRow;

static const LatencyRow one_cta[] = {
    {64, SS, 64, 152, 32.02},   {64, SS, 80, 160, 40.02},   {64, SS, 96, 168, 48.02},
    {64, SS, 112, 176, 56.02},  {64, SS, 128, 184, 64.02},  {64, SS, 256, 248, 128},
    {128, SS, 64, 168, 48.02},  {128, SS, 80, 176, 52.02},  {128, SS, 96, 184, 56.02},
    {128, SS, 112, 192, 60.01}, {128, SS, 128, 200, 64.02}, {128, SS, 256, 264, 128},
    {64, TS, 64, 136, 32.02},   {64, TS, 80, 144, 40.02},   {64, TS, 96, 152, 48.02},
    {64, TS, 112, 160, 56.02},  {64, TS, 128, 168, 64.03},  {64, TS, 256, 232, 128.03},
    {128, TS, 64, 136, 32.02},  {128, TS, 80, 144, 40.02},  {128, TS, 96, 152, 48.02},
    {128, TS, 112, 160, 56.02}, {128, TS, 128, 168, 64.03}, {128, TS, 256, 232, 128.03},
};

START_TEST(one_mma_takes_the_measured_latency)
{
    for (uint32_t i = 0; i < sizeof one_cta / sizeof *one_cta; i++) {
        const LatencyRow *r = &one_cta[i];
        double took = (double)batch("../models/b200.yaml", 1, r->m, r->n, r->flags);
        ck_assert_msg(took >= r->latency - 2 && took <= r->latency + 2,
                      "M %u N %u flags %u: %.0f, measured %.0f", r->m, r->n, r->flags, took,
                      r->latency);
    }
}
END_TEST

START_TEST(a_batch_runs_at_the_measured_interval)
{
    for (uint32_t i = 0; i < sizeof one_cta / sizeof *one_cta; i++) {
        const LatencyRow *r = &one_cta[i];
        Cycle few = batch("../models/b200.yaml", 32, r->m, r->n, r->flags);
        Cycle many = batch("../models/b200.yaml", 96, r->m, r->n, r->flags);
        double interval = (double)(many - few) / 64;
        ck_assert_msg(interval > r->interval * 0.99 && interval < r->interval * 1.01,
                      "M %u N %u flags %u: %.2f not %.2f", r->m, r->n, r->flags, interval,
                      r->interval);
    }
}
END_TEST

static const LatencyRow two_cta[] = {
    {128, CG2 | SS, 64, 173, 25.02},  {128, CG2 | SS, 80, 179, 27.02},
    {128, CG2 | SS, 96, 185, 29.02},  {128, CG2 | SS, 112, 191, 30.02},
    {128, CG2 | SS, 128, 197, 32.01}, {128, CG2 | SS, 256, 229, 64.02},
    {256, CG2 | SS, 64, 202, 43.02},  {256, CG2 | SS, 80, 210, 45.34},
    {256, CG2 | SS, 96, 218, 49.36},  {256, CG2 | SS, 112, 226, 56.02},
    {256, CG2 | SS, 128, 234, 64.03}, {256, CG2 | SS, 256, 298, 128.03},
    {128, CG2 | TS, 64, 162, 18.02},  {128, CG2 | TS, 80, 166, 20.02},
    {128, CG2 | TS, 96, 170, 24.02},  {128, CG2 | TS, 112, 174, 28.02},
    {128, CG2 | TS, 128, 178, 32.02}, {128, CG2 | TS, 256, 210, 64.02},
    {256, CG2 | TS, 64, 170, 32.01},  {256, CG2 | TS, 80, 178, 40.02},
    {256, CG2 | TS, 96, 186, 48.02},  {256, CG2 | TS, 112, 194, 56.02},
    {256, CG2 | TS, 128, 202, 64.03}, {256, CG2 | TS, 256, 266, 128.02},
};

/* The leader CTA of a pair issues; the other exits at once, its SM still reads half of the
 * operands. */
static Cycle pair_batch(uint32_t depth, const LatencyRow *r)
{
    Toy *t = toy_new("../models/b200.yaml", 2, 2);
    t->front.cluster[0] = 2;
    t->only_leader = true;
    toy_add(t, 0, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_INIT, .sync = 8, .arg0 = 1}, -1, -1);
    for (uint32_t i = 0; i < depth; i++)
        toy_add(t, 0, TC_MMA, mma(r->m, r->n, r->flags, 0), -1, -1);
    toy_add(t, 0, TC_COMMIT, (Op){.kind = OK_COMMIT, .sync = 8}, -1, -1);
    toy_add(t, 0, TC_MBAR_TRY, (Op){.kind = OK_MBAR_WAIT, .sync = 8, .arg0 = 0}, -1, -1);
    uint32_t end = toy_mark(t, 0, -1);
    SimResult *res = toy_run(t);
    Cycle took = t->when[0][end] - t->when[0][1];
    ck_assert_uint_eq(res->mma_flops, (uint64_t)depth * 2 * r->m * r->n * 16);
    /* Both tensor cores are busy, at least for their half of the FLOPs. */
    ck_assert_uint_eq(res->sm_mmas, 2 * depth);
    ck_assert_double_ge(res->units[U_TENSOR].busy, res->only_limit[U_TENSOR]);
    toy_free(t);
    return took;
}

START_TEST(two_cta_mma_is_near_the_measurement)
{
    for (uint32_t i = 0; i < sizeof two_cta / sizeof *two_cta; i++) {
        const LatencyRow *r = &two_cta[i];
        double one = (double)pair_batch(1, r);
        double interval = (double)(pair_batch(96, r) - pair_batch(32, r)) / 64;
        ck_assert_msg(one > r->latency - 6 && one < r->latency + 6,
                      "M %u N %u flags %u: %.0f, measured %.0f", r->m, r->n, r->flags, one,
                      r->latency);
        ck_assert_msg(interval > r->interval * 0.96 && interval < r->interval * 1.04,
                      "M %u N %u flags %u: %.2f not %.2f", r->m, r->n, r->flags, interval,
                      r->interval);
    }
}
END_TEST

/* The other kinds, from the same tables (S8 and MXF8 beside E4M3), and QuickRunCUDA's tf32 and
 * mxf4nvf4 at M = 128, N = 256: the interval is that of f16 for 32 bytes of K. */
static const struct {
    uint32_t flags, rate, n;
    double latency, interval;
} other_kinds[] = {
    {SS, RATE_8, 128, 200, 64.02},
    {SS, RATE_I8, 128, 199, 64.02},
    {SS | MMA_SCALED, RATE_8, 128, 201, 64.02},
    {SS | MMA_SCALED, RATE_8, 64, 169, 48.02},
    {TS, RATE_8, 128, 168, 64.02},
    {TS, RATE_I8, 128, 167, 64.02},
    {TS | MMA_SCALED, RATE_8, 128, 171, 64.02},
    {TS | MMA_SCALED, RATE_8, 64, 139, 32.02},
    {SS, RATE_TF32, 256, 0, 128},              /* tf32 */
    {SS | MMA_SCALED, RATE_4, 256, 0, 128.01}, /* mxf4nvf4 */
};

START_TEST(kinds_take_the_measured_time)
{
    for (uint32_t i = 0; i < sizeof other_kinds / sizeof *other_kinds; i++) {
        uint32_t flags = other_kinds[i].flags | other_kinds[i].rate << MMA_RATE_SHIFT,
                 n = other_kinds[i].n;
        double one = (double)batch("../models/b200.yaml", 1, 128, n, flags);
        double interval = (double)(batch("../models/b200.yaml", 96, 128, n, flags) -
                                   batch("../models/b200.yaml", 32, 128, n, flags)) /
                          64;
        if (other_kinds[i].latency > 0)
            ck_assert_double_eq_tol(one, other_kinds[i].latency, 2);
        ck_assert_double_eq_tol(interval, other_kinds[i].interval, 0.5);
    }
}
END_TEST

/* Cycles of one turn of a loop of `copies` tcgen05.cp of 2 KB and one MMA, M = 128 (TS). */
static double turn(uint32_t n, uint32_t copies)
{
    Cycle took[2];
    for (uint32_t i = 0; i < 2; i++) {
        Toy *t = toy_new("../models/b200.yaml", 1, 1);
        toy_add(t, 0, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_INIT, .sync = 8, .arg0 = 1}, -1, -1);
        for (uint32_t k = 0; k < (i ? 24u : 8u); k++) {
            for (uint32_t c = 0; c < copies; c++)
                toy_add(t, 0, TC_TMEM_CP, (Op){.kind = OK_TMEM_CP, .bytes = 2048}, -1, -1);
            toy_add(t, 0, TC_MMA, mma(128, n, TS, 0), -1, -1);
        }
        toy_add(t, 0, TC_COMMIT, (Op){.kind = OK_COMMIT, .sync = 8}, -1, -1);
        toy_add(t, 0, TC_MBAR_TRY, (Op){.kind = OK_MBAR_WAIT, .sync = 8, .arg0 = 0}, -1, -1);
        uint32_t end = toy_mark(t, 0, -1);
        toy_run(t);
        took[i] = t->when[0][end] - t->when[0][1];
        toy_free(t);
    }
    return (double)(took[1] - took[0]) / 16;
}

/* QuickRunCUDA, B300, cp behind MMA: with N = 256 one copy is free and two cost 12 cycles; with
 * N = 64 and 128 a copy costs its own time (there 44 cycles, as does every MMA of that loop). */
START_TEST(copies_hide_behind_long_mmas)
{
    ck_assert_double_eq_tol(turn(256, 0), 128, 0.1);
    ck_assert_double_eq_tol(turn(256, 1), 128, 0.5);
    ck_assert_double_eq_tol(turn(256, 2), 140, 13);
    ck_assert_double_ge(turn(64, 1), 44 + 16);
    ck_assert_double_le(turn(64, 1), 88);
    ck_assert_double_eq_tol(turn(64, 2) - turn(64, 1), 44, 6);
}
END_TEST

/* A copy of b bytes: max(floor, bytes / rate), then the latency; a shift: its interval. */
START_TEST(a_copy_takes_its_interval_and_latency)
{
    for (uint32_t bytes = 0; bytes <= 4096; bytes = bytes ? bytes * 2 : 128) {
        Toy *t = toy_new("toy.yaml", 1, 1);
        toy_add(t, 0, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_INIT, .sync = 8, .arg0 = 1}, -1, -1);
        uint32_t cp = toy_add(t, 0, TC_TMEM_CP,
                              (Op){.kind = OK_TMEM_CP, .bytes = bytes, .handle = 1}, -1, -1);
        toy_add(t, 0, TC_COMMIT, (Op){.kind = OK_COMMIT, .sync = 8}, -1, -1);
        toy_add(t, 0, TC_MBAR_TRY, (Op){.kind = OK_MBAR_WAIT, .sync = 8, .arg0 = 0}, -1, -1);
        uint32_t end = toy_mark(t, 0, -1);
        toy_run(t);
        Cycle by_rate = bytes / 64, floor = toy_c(t, MP_TMEM_CP_FLOOR);
        Cycle interval = bytes == 0 ? toy_c(t, MP_TMEM_SHIFT) : by_rate > floor ? by_rate : floor;
        Cycle want = toy_c(t, MP_TENSOR_LAT_ISSUE) + interval + toy_c(t, MP_TMEM_CP_LATENCY) +
                     toy_c(t, MP_TENSOR_LAT_COMMIT) + toy_c(t, MP_MBAR_ARRIVE) +
                     toy_c(t, MP_MBAR_WAKE);
        Cycle took = t->when[0][end] - t->when[0][cp];
        ck_assert_msg(took >= want && took <= want + 2, "%u bytes: %llu, not %llu", bytes,
                      (unsigned long long)took, (unsigned long long)want);
        ck_assert_uint_eq(t->dones[1], 1);
        toy_free(t);
    }
}
END_TEST

START_TEST(a_full_queue_holds_the_issuing_warp)
{
    Toy *t = toy_new("toy.yaml", 1, 1);
    const uint32_t n = 12; /* queue of 4: the rest wait for a start */
    for (uint32_t i = 0; i < n; i++)
        toy_add(t, 0, TC_MMA, mma(128, 128, TS, 0), -1, -1);
    toy_run(t);
    Cycle start = toy_zero(t) + toy_c(t, MP_TENSOR_LAT_ISSUE), pass = 64;
    for (uint32_t i = 5; i < n;
         i++) /* one runs, four wait: the sixth issues when the second starts */
        ck_assert_uint_eq(t->when[0][i], start + (i - 4) * pass);
    toy_free(t);
}
END_TEST

START_TEST(commit_waits_for_the_warps_own_work_only)
{
    Toy *t = toy_new("toy.yaml", 2, 1);
    for (uint32_t w = 0; w < 2; w++)
        toy_add(t, w, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_INIT, .sync = 8 + 8 * w, .arg0 = 1}, -1,
                -1);
    for (uint32_t i = 0; i < 3; i++)
        toy_add(t, 0, TC_MMA, mma(128, 256, TS, 0), -1, -1);
    uint32_t at = toy_add(t, 1, TC_COMMIT, (Op){.kind = OK_COMMIT, .sync = 16}, -1, -1);
    toy_add(t, 1, TC_MBAR_TRY, (Op){.kind = OK_MBAR_WAIT, .sync = 16}, -1, -1);
    uint32_t end = toy_mark(t, 1, -1);
    SimResult *r = toy_run(t);
    ck_assert_uint_eq(t->when[1][end] - t->when[1][at],
                      toy_c(t, MP_TENSOR_LAT_ISSUE) + toy_c(t, MP_TENSOR_LAT_COMMIT) +
                          toy_c(t, MP_MBAR_ARRIVE) + toy_c(t, MP_MBAR_WAKE));
    ck_assert_double_eq_tol(r->units[U_TENSOR].busy, 3 * 128, 0.1);
    ck_assert_double_eq_tol(r->only_limit[U_TENSOR], 3 * 128, 0.1);
    toy_free(t);
}
END_TEST

START_TEST(tensor_memory_loads_take_latency_and_columns)
{
    static const uint32_t columns[] = {1, 2, 4, 8, 16, 32, 64, 128};
    for (uint32_t i = 0; i < 8; i++) {
        Toy *t = toy_new("toy.yaml", 2, 1);
        Op ld = {.kind = OK_TMEM, .arg0 = columns[i], .bytes = columns[i] * 128};
        for (uint32_t w = 0; w < 2; w++) { /* two sub-partitions: two ports */
            toy_add(t, w, TC_LDTM, ld, 0, -1);
            toy_add(t, w, TC_LDTM, ld, 1, -1);
            toy_mark(t, w, 0);
            toy_mark(t, w, 1);
        }
        SimResult *r = toy_run(t);
        Cycle lat = toy_c(t, MP_TMEM_LD_LATENCY), col = columns[i];
        for (uint32_t w = 0; w < 2; w++) {
            ck_assert_uint_eq(t->when[w][2], toy_zero(t) + lat + col);
            ck_assert_uint_eq(t->when[w][3], toy_zero(t) + lat + 2 * col);
        }
        ck_assert_uint_eq(r->tmem_bytes_ld, 4 * col * 128);
        toy_free(t);
    }
}
END_TEST

START_TEST(wait_st_waits_for_the_last_store)
{
    Toy *t = toy_new("toy.yaml", 1, 1);
    uint32_t st = toy_add(t, 0, TC_STTM,
                          (Op){.kind = OK_TMEM, .arg0 = 32, .bytes = 4096, .handle = 1}, -1, -1);
    toy_add(t, 0, TC_WAIT_ST, (Op){.kind = OK_WAIT_ST}, -1, -1);
    uint32_t end = toy_mark(t, 0, -1);
    SimResult *r = toy_run(t);
    ck_assert_uint_eq(t->when[0][end] - t->when[0][st], toy_c(t, MP_TMEM_ST_LATENCY) + 16);
    ck_assert_uint_eq(t->dones[1], 1);
    ck_assert_uint_gt(r->warps[0].stall[ST_TMEM], 20);
    toy_free(t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {one_mma_takes_the_measured_latency,
                                  a_batch_runs_at_the_measured_interval,
                                  two_cta_mma_is_near_the_measurement,
                                  copies_hide_behind_long_mmas,
                                  kinds_take_the_measured_time,
                                  a_copy_takes_its_interval_and_latency,
                                  a_full_queue_holds_the_issuing_warp,
                                  commit_waits_for_the_warps_own_work_only,
                                  tensor_memory_loads_take_latency_and_columns,
                                  wait_st_waits_for_the_last_store,
                                  NULL};
    return toy_main("time_tensor", tests);
}
