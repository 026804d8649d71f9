/* The shared-memory budget: passes of LDS/STS, MMA operands and TMA traffic share bytes per cycle.
 */
#include "tests/toy_front.h"

static Op lds(uint32_t waves)
{
    return (Op){.kind = OK_SMEM, .waves = (uint16_t)waves, .bytes = 128};
}

START_TEST(a_load_takes_its_latency_and_one_cycle_per_further_pass)
{
    for (uint32_t waves = 1; waves <= 32; waves++) {
        Toy *t = toy_new("toy.yaml", 1, 1);
        toy_add(t, 0, TC_LDS, lds(waves), 0, -1);
        uint32_t end = toy_mark(t, 0, 0);
        SimResult *r = toy_run(t);
        ck_assert_uint_eq(t->when[0][end], toy_zero(t) + toy_c(t, MP_LDS_LATENCY) + waves - 1);
        ck_assert_uint_eq(r->bank_conflicts, waves - 1);
        ck_assert_uint_eq(r->warps[0].stall[ST_SHORT], toy_c(t, MP_LDS_LATENCY) + waves - 2);
        toy_free(t);
    }
}
END_TEST

/* From all sub-partitions, whatever they are: one pass a cycle, and the queue holds the warps back.
 */
START_TEST(passes_are_served_one_a_cycle)
{
    for (uint32_t waves = 1; waves <= 8; waves += 3) {
        Toy *t = toy_new("toy.yaml", 8, 1);
        const uint32_t n = 40;
        for (uint32_t w = 0; w < 8; w++) {
            for (uint32_t k = 0; k < n; k++)
                toy_add(t, w, TC_LDS, lds(waves), (int)k, -1);
            toy_mark(t, w, (int)n - 1);
        }
        SimResult *r = toy_run(t);
        Cycle last = 0;
        uint64_t throttled = 0;
        for (uint32_t w = 0; w < 8; w++) {
            last = t->when[w][n] > last ? t->when[w][n] : last;
            throttled += r->warps[w].stall[ST_MIO_THROTTLE];
        }
        ck_assert_uint_eq(last, toy_zero(t) + 8 * n * waves + toy_c(t, MP_LDS_LATENCY) - 1);
        ck_assert_double_eq(r->only_limit[U_SMEM], 8.0 * n * waves);
        ck_assert_uint_gt(throttled, 8 * n * waves);
        toy_free(t);
    }
}
END_TEST

/* At most lsu.queue operations wait for passes: operation k issues when operation k - queue is
 * through. */
START_TEST(the_lsu_queue_is_exact)
{
    Toy *t = toy_new("toy.yaml", 1, 1);
    const uint32_t n = 20, waves = 5, queue = (uint32_t)toy_v(t, MP_LSU_QUEUE);
    for (uint32_t k = 0; k < n; k++)
        toy_add(t, 0, TC_STS, lds(waves), -1, -1);
    toy_run(t);
    for (uint32_t k = 0; k < n; k++) {
        Cycle done = k < queue ? k : (Cycle)(k - queue + 1) * waves;
        ck_assert_uint_eq(t->when[0][k], toy_zero(t) + (done > k ? done : k));
    }
    toy_free(t);
}
END_TEST

/* M 128 N 128 SS needs all of the data path for 64 of its 64 cycles. */
static Toy *mma_and_stores(uint32_t n_mma, uint32_t flags, uint32_t n_sts, uint32_t gap)
{
    Toy *t = toy_new("toy.yaml", 2, 1);
    toy_add(t, 0, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_INIT, .sync = 8, .arg0 = 1}, -1, -1);
    for (uint32_t i = 0; i < n_mma; i++)
        toy_add(t, 0, TC_MMA,
                (Op){.kind = OK_MMA, .arg0 = 128 | 128 << 16, .arg1 = flags, .waves = 32}, -1, -1);
    toy_add(t, 0, TC_COMMIT, (Op){.kind = OK_COMMIT, .sync = 8}, -1, -1);
    toy_add(t, 0, TC_MBAR_TRY, (Op){.kind = OK_MBAR_WAIT, .sync = 8}, -1, -1);
    toy_mark(t, 0, -1);
    for (uint32_t i = 0; i < n_sts; i++) {
        toy_add(t, 1, TC_STS, lds(1), -1, -1);
        for (uint32_t k = 1; k < gap; k++)
            toy_plain(t, 1, TC_NONE, -1, -1);
        if (gap > 1)
            toy_mark(t, 1, -1);
    }
    return t;
}

START_TEST(an_mma_short_of_operands_is_stretched_by_what_others_take)
{
    const uint32_t n_mma = 20;
    Toy *alone = mma_and_stores(n_mma, 0, 0, 0), *both = mma_and_stores(n_mma, 0, 250, 3);
    SimResult *ra = toy_run(alone), *rb = toy_run(both);
    uint32_t end = alone->warp[0].n - 1;
    Cycle a = alone->when[0][end] - toy_zero(alone), b = both->when[0][end] - toy_zero(both);
    ck_assert_uint_ge(b,
                      a + 240); /* the data path was full: every pass of the stores costs a cycle */
    ck_assert_uint_le(b, a + 260);
    ck_assert_uint_eq(ra->smem_bytes_mma, n_mma * 8192);
    ck_assert_uint_eq(rb->smem_bytes_mma, n_mma * 8192);
    ck_assert_double_eq_tol(rb->only_limit[U_SMEM], n_mma * 64 + 250, 0.01);
    toy_free(alone);
    toy_free(both);
}
END_TEST

START_TEST(an_mma_with_bandwidth_to_spare_is_not)
{
    Toy *alone = mma_and_stores(20, MMA_A_TMEM, 0, 0),
        *both = mma_and_stores(20, MMA_A_TMEM, 250, 4);
    toy_run(alone);
    toy_run(both);
    uint32_t end = alone->warp[0].n - 1;
    ck_assert_uint_eq(alone->when[0][end],
                      both->when[0][end]); /* half for B, a quarter for the stores */
    toy_free(alone);
    toy_free(both);
}
END_TEST

/* A store stream that wants everything gets half of it while MMAs want everything too, and nobody
 * stops. */
START_TEST(two_who_want_everything_get_half_each)
{
    for (uint32_t passes = 1; passes <= 16; passes *= 4) { /* 16: the LSU books 64 cycles ahead */
        const uint32_t n_mma = 20, n_sts = 1280 / passes;
        Toy *t = mma_and_stores(n_mma, 0, n_sts, 1);
        for (uint32_t i = 0; i < n_sts; i++)
            t->warp[1].step[i].op.waves = (uint16_t)passes;
        toy_run(t);
        Cycle mma = t->when[0][t->warp[0].n - 1] - toy_zero(t),
              sts = t->when[1][n_sts - 1] - toy_zero(t);
        ck_assert_uint_ge(mma, n_mma * 64 * 17 / 10); /* 1280 cycles of operands at half the rate */
        ck_assert_uint_le(mma, n_mma * 64 * 22 / 10);
        ck_assert_uint_ge(sts, 1280 * 17 / 10);
        ck_assert_uint_le(sts, 1280 * 22 / 10);
        toy_free(t);
    }
}
END_TEST

/* Half of the data path for twice the time: one MMA's result comes later by what its operands were
 * late. */
START_TEST(a_late_operand_is_a_late_result)
{
    Toy *alone = mma_and_stores(1, 0, 0, 0), *both = mma_and_stores(1, 0, 200, 1);
    toy_run(alone);
    toy_run(both);
    uint32_t end = alone->warp[0].n - 1;
    Cycle more = both->when[0][end] - alone->when[0][end];
    ck_assert_uint_ge(more, 48);
    ck_assert_uint_le(more, 72);
    toy_free(alone);
    toy_free(both);
}
END_TEST

/* A single load in the middle of an MMA that takes the whole data path waits for a bucket, not for
 * the MMA. */
START_TEST(nobody_waits_behind_a_whole_mma)
{
    for (uint32_t delay = 10; delay < 90; delay += 7) {
        Toy *t = toy_new("toy.yaml", 2, 1);
        toy_add(t, 0, TC_MMA, (Op){.kind = OK_MMA, .arg0 = 128 | 128 << 16, .waves = 32}, -1, -1);
        for (uint32_t k = 0; k < delay; k++)
            toy_mark(t, 1, -1);
        uint32_t at = toy_add(t, 1, TC_LDS, lds(1), 0, -1), end = toy_mark(t, 1, 0);
        toy_run(t);
        Cycle took = t->when[1][end] - t->when[1][at], lat = toy_c(t, MP_LDS_LATENCY);
        ck_assert_uint_ge(took, lat);
        ck_assert_uint_le(took, lat + 10);
        toy_free(t);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_load_takes_its_latency_and_one_cycle_per_further_pass,
                                  passes_are_served_one_a_cycle,
                                  the_lsu_queue_is_exact,
                                  an_mma_short_of_operands_is_stretched_by_what_others_take,
                                  an_mma_with_bandwidth_to_spare_is_not,
                                  two_who_want_everything_get_half_each,
                                  a_late_operand_is_a_late_result,
                                  nobody_waits_behind_a_whole_mma,
                                  NULL};
    return toy_main("time_smem", tests);
}
