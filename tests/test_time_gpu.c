/* The grid: residency, waves, sampling of SMs, launch cost. */
#include "tests/toy_front.h"

static Toy *grid(uint32_t n_ctas, uint32_t n_warps, uint32_t length)
{
    Toy *t = toy_new("toy.yaml", n_warps, n_ctas);
    for (uint32_t w = 0; w < n_warps; w++)
        for (uint32_t i = 0; i < length; i++)
            toy_mark(t, w, -1);
    return t;
}

typedef struct FitRow {
    uint32_t warps, shared, regs, fits;
} FitRow;

/* Toy SM: 16 warps, 3 CTAs, 16384 registers, 65536 bytes. */
static const FitRow fit[] = {
    {1, 0, 16, 3},     {8, 0, 16, 2},     {9, 0, 16, 1},     {16, 0, 16, 1},    {17, 0, 16, 0},
    {1, 65536, 16, 1}, {1, 65537, 16, 0}, {1, 32768, 16, 2}, {1, 32769, 16, 1}, {4, 0, 32, 3},
    {4, 0, 64, 2},     {4, 0, 65, 1},     {4, 0, 128, 1},    {4, 0, 129, 0},    {4, 0, 121, 1}};

START_TEST(residency_is_the_tightest_of_four)
{
    for (uint32_t i = 0; i < sizeof fit / sizeof *fit; i++) {
        Toy *t = toy_new("toy.yaml", 1, 1);
        SimPlan p;
        t->desc.shared_per_cta = fit[i].shared;
        t->desc.regs_per_thread = fit[i].regs;
        const uint32_t g[3] = {100, 1, 1}, b[3] = {fit[i].warps * 32 - 5, 1, 1}, c[3] = {1, 1, 1};
        bool ok = sim_plan(&t->desc, g, b, c, &p, &t->err);
        ck_assert_msg(ok == (fit[i].fits > 0), "row %u", i);
        if (ok)
            ck_assert_msg(p.ctas_per_sm == fit[i].fits, "row %u: %u", i, p.ctas_per_sm);
        toy_free(t);
    }
}
END_TEST

/* Every CTA takes the same time: with all SMs simulated the grid takes waves x (CTA + turn-over) at
 * the least. */
START_TEST(a_grid_runs_in_waves)
{
    const uint32_t length = 200;
    Cycle first = 0;
    for (uint32_t n = 5; n <= 25; n += 5) {
        Toy *t = grid(n, 16, length); /* 16 warps: one CTA fits; 5 SMs */
        SimResult *r = toy_run(t);
        ck_assert_uint_eq(r->sms_simulated, 5);
        ck_assert_uint_eq(r->ctas_simulated, n);
        ck_assert_uint_eq(t->starts, n);
        Cycle wave = 4 * (length + 1); /* 4 warps in each sub-partition, one issue a cycle */
        if (n == 5)
            first = r->cycles;
        else
            ck_assert_double_eq_tol((double)(r->cycles - first),
                                    (n / 5.0 - 1) * (double)(wave + 13 + 7), 20);
        toy_free(t);
    }
}
END_TEST

START_TEST(launch_start_and_end_are_counted)
{
    Toy *t = grid(1, 1, 0); /* exits at once */
    SimResult *r = toy_run(t);
    ck_assert_uint_eq(r->cycles, 101 + 13 + 1 + 7);
    ck_assert_uint_eq(r->warp_insts, 1);
    ck_assert_uint_eq(r->warps[0].resident, 1);
    toy_free(t);
}
END_TEST

/* N simulated SMs: ids w R + floor(i R / P), until they run out. */
START_TEST(sampled_ctas_are_spread_over_each_wave)
{
    Toy *t = grid(24, 16, 10); /* R = 5 */
    t->desc.sms = 2;
    SimResult *r = toy_run(t);
    static const uint64_t ids[] = {0, 2, 5, 7, 10, 12, 15, 17, 20, 22};
    ck_assert_uint_eq(r->ctas_simulated, 10);
    ck_assert_uint_eq(r->sms_simulated, 2);
    ck_assert_uint_eq(r->sms_total, 5);
    ck_assert_mem_eq(r->ctas, ids, sizeof ids);
    toy_free(t);
    t = grid(22, 16, 10); /* the last wave holds 20 and 21 only: one place stays empty */
    t->desc.sms = 2;
    r = toy_run(t);
    ck_assert_uint_eq(r->ctas_simulated, 9);
    ck_assert_uint_eq(r->ctas[8], 20);
    toy_free(t);
}
END_TEST

START_TEST(a_sample_takes_the_time_of_the_whole)
{
    Toy *all = grid(60, 8, 100), *two = grid(60, 8, 100), *one = grid(60, 8, 100);
    two->desc.sms = 2;
    one->desc.sms = 1;
    double a = (double)toy_run(all)->cycles, b = (double)toy_run(two)->cycles,
           c = (double)toy_run(one)->cycles;
    ck_assert_double_eq_tol(b, a, 0.03 * a);
    ck_assert_double_eq_tol(c, a, 0.03 * a);
    toy_free(all);
    toy_free(two);
    toy_free(one);
}
END_TEST

START_TEST(the_automatic_choice_is_all_for_small_grids)
{
    Toy *t = grid(64, 16, 3), *u = grid(65, 16, 3);
    t->desc.sms = u->desc.sms = SMS_AUTO;
    ck_assert_uint_eq(toy_run(t)->sms_simulated, 5);
    ck_assert_uint_eq(toy_run(u)->sms_simulated, 2);
    toy_free(t);
    toy_free(u);
}
END_TEST

START_TEST(clusters_are_placed_whole)
{
    Toy *t = grid(12, 8, 50);
    t->front.cluster[0] = 2;
    SimResult *r = toy_run(t);
    ck_assert_uint_eq(r->sms_simulated, 4); /* 5 SMs hold two pairs */
    ck_assert_uint_eq(r->ctas_simulated, 12);
    for (uint32_t s = 0; s < 8; s += 2)
        ck_assert_uint_eq(t->cta_of[s] + 1, t->cta_of[s + 1]);
    t->front.cluster[0] = 5;
    ck_assert(!sim_run(&t->a, &t->desc, &r, NULL, &t->err));
    toy_free(t);
}
END_TEST

START_TEST(too_small_a_front_end_is_refused)
{
    Toy *t = grid(10, 8, 5);
    t->front.n_slots = 9;
    SimResult *r;
    ck_assert(!sim_run(&t->a, &t->desc, &r, NULL, &t->err));
    ck_assert_int_eq(t->err.kind, ERR_SEMANTIC);
    toy_free(t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {residency_is_the_tightest_of_four,
                                  a_grid_runs_in_waves,
                                  launch_start_and_end_are_counted,
                                  sampled_ctas_are_spread_over_each_wave,
                                  a_sample_takes_the_time_of_the_whole,
                                  the_automatic_choice_is_all_for_small_grids,
                                  clusters_are_placed_whole,
                                  too_small_a_front_end_is_refused,
                                  NULL};
    return toy_main("time_gpu", tests);
}
