/* Pipes, scoreboard, scheduler: closed formulas on the toy model, exact to the cycle. */
#include "tests/toy_front.h"

#include <math.h>

typedef struct PipeRow {
    TClass tc;
    ModelKey latency, lanes;
    bool shared; /* one per SM, not per sub-partition */
} PipeRow;

static const PipeRow rows[] = {
    {TC_FMA, MP_FMA_LATENCY, MP_FMA_LANES, false},
    {TC_FMA2, MP_FMA2_LATENCY, MP_FMA2_LANES, false},
    {TC_IMAD, MP_IMAD_LATENCY, MP_IMAD_LANES, false},
    {TC_IMAD_WIDE, MP_IMAD_WIDE_LATENCY, MP_IMAD_WIDE_LANES, false},
    {TC_ALU, MP_ALU_LATENCY, MP_ALU_LANES, false},
    {TC_MINMAX, MP_MINMAX_LATENCY, MP_MINMAX_LANES, false},
    {TC_F2FP, MP_F2FP_LATENCY, MP_F2FP_LANES, false},
    {TC_EX2, MP_EX2_LATENCY, MP_EX2_LANES, false},
    {TC_MUFU, MP_MUFU_LATENCY, MP_MUFU_LANES, false},
    {TC_CVT, MP_CVT_LATENCY, MP_CVT_LANES, false},
    {TC_FP64, MP_FP64_LATENCY, MP_FP64_LANES, false},
    {TC_SHFL, MP_SHFL_LATENCY, MP_LSU_LANES, true},
    {TC_HMMA, MP_HMMA_LATENCY, MP_HMMA_LANES, false},
    {TC_UNIFORM, MP_UNIFORM_LATENCY, MP_UNIFORM_LANES, false},
};
#define N_ROWS (sizeof rows / sizeof *rows)

static Cycle interval_of(const Toy *t, const PipeRow *r)
{
    double lanes = toy_v(t, r->lanes);
    return (Cycle)(32 / (r->shared ? lanes : lanes / 4));
}

START_TEST(a_dependent_chain_takes_n_latencies)
{
    for (uint32_t i = 0; i < N_ROWS; i++) {
        Toy *t = toy_new("toy.yaml", 1, 1);
        const uint32_t n = 37;
        for (uint32_t k = 0; k < n; k++)
            toy_plain(t, 0, rows[i].tc, 0, 0);
        uint32_t end = toy_mark(t, 0, 0);
        toy_run(t);
        Cycle lat = toy_c(t, rows[i].latency), ii = interval_of(t, &rows[i]);
        ck_assert_msg(t->when[0][end] == toy_zero(t) + n * (lat > ii ? lat : ii), "%s",
                      tclass_name[rows[i].tc]);
        toy_free(t);
    }
}
END_TEST

START_TEST(independent_operations_take_n_intervals)
{
    for (uint32_t i = 0; i < N_ROWS; i++) {
        Toy *t = toy_new("toy.yaml", 1, 1);
        const uint32_t n = 37;
        for (uint32_t k = 0; k < n; k++)
            toy_plain(t, 0, rows[i].tc, (int)k, -1);
        uint32_t end = toy_mark(t, 0, (int)n - 1);
        toy_run(t);
        Cycle expect = toy_zero(t) + (n - 1) * interval_of(t, &rows[i]) + toy_c(t, rows[i].latency);
        ck_assert_msg(t->when[0][end] == expect, "%s: %llu, not %llu", tclass_name[rows[i].tc],
                      (unsigned long long)t->when[0][end], (unsigned long long)expect);
        toy_free(t);
    }
}
END_TEST

START_TEST(rates_that_do_not_divide_are_kept_on_average)
{
    Toy *t = toy_new("toy.yaml", 1, 1);
    const uint32_t n = 270;
    ck_assert(model_set(&t->model, "mufu.ex2.lanes_per_cycle=27", &t->err));
    for (uint32_t k = 0; k < n; k++)
        toy_plain(t, 0, TC_EX2, (int)(k % 200), -1);
    uint32_t end = toy_mark(t, 0, (int)((n - 1) % 200));
    toy_run(t);
    double took = (double)(t->when[0][end] - toy_zero(t) - toy_c(t, MP_EX2_LATENCY));
    ck_assert_double_eq_tol(took / (n - 1), 32 / (27.0 / 4), 0.01);
    toy_free(t);
}
END_TEST

/* Warps w and w + 4 share a sub-partition and its pipes; w and w + 1 share only what is one per SM.
 */
START_TEST(warps_of_one_subpartition_share_its_pipes)
{
    for (uint32_t other = 1; other <= 4; other += 3) {
        Toy *t = toy_new("toy.yaml", other + 1, 1);
        const uint32_t n = 20;
        for (uint32_t w = 0; w <= other; w += other) {
            for (uint32_t k = 0; k < n; k++)
                toy_plain(t, w, TC_EX2, (int)k, -1);
            toy_mark(t, w, (int)n - 1);
        }
        toy_run(t);
        Cycle ii = (Cycle)(128 / toy_v(t, MP_EX2_LANES)), total = other == 4 ? 2 * n : n, last = 0;
        for (uint32_t w = 0; w <= other; w += other)
            last = t->when[w][n] > last ? t->when[w][n] : last;
        ck_assert_uint_eq(last, toy_zero(t) + (total - 1) * ii + toy_c(t, MP_EX2_LATENCY));
        toy_free(t);
    }
}
END_TEST

START_TEST(a_subpartition_issues_one_a_cycle)
{
    Toy *t = toy_new("toy.yaml", 8, 1);
    const uint32_t n = 50;
    for (uint32_t w = 0; w < 8; w += 4)
        for (uint32_t k = 0; k < n; k++)
            toy_mark(t, w, -1);
    SimResult *r = toy_run(t);
    Cycle last = t->when[0][n - 1] > t->when[4][n - 1] ? t->when[0][n - 1] : t->when[4][n - 1];
    ck_assert_uint_ge(last, toy_zero(t) + 2 * n - 1);
    ck_assert_uint_le(last, toy_zero(t) + 2 * n); /* one of them exits before the other's last */
    ck_assert_uint_eq(r->warps[0].issued, n + 1);
    ck_assert_uint_eq(r->warps[0].stall[ST_NOT_SELECTED] + r->warps[4].stall[ST_NOT_SELECTED] +
                          r->warps[0].stall[ST_MATH_THROTTLE] + r->warps[4].stall[ST_MATH_THROTTLE],
                      r->warps[0].resident + r->warps[4].resident - 2 * (n + 1));
    toy_free(t);
}
END_TEST

START_TEST(a_consumer_issues_when_its_source_is_ready_and_not_before)
{
    for (Cycle gap = 0; gap < 40; gap++) { /* fillers between producer and consumer */
        Toy *t = toy_new("toy.yaml", 1, 1);
        toy_plain(t, 0, TC_EX2, 0, -1);
        for (Cycle k = 0; k < gap; k++)
            toy_plain(t, 0, TC_NONE, -1, -1);
        uint32_t use = toy_mark(t, 0, 0);
        SimResult *r = toy_run(t);
        Cycle lat = toy_c(t, MP_EX2_LATENCY), expect = lat > gap + 1 ? lat : gap + 1;
        ck_assert_uint_eq(t->when[0][use], toy_zero(t) + expect);
        ck_assert_uint_eq(r->warps[0].stall[ST_MUFU], expect - (gap + 1));
        toy_free(t);
    }
}
END_TEST

START_TEST(f2fp_shares_the_alu_unless_the_model_says_otherwise)
{
    for (int own = 0; own < 2; own++) {
        Toy *t = toy_new("toy.yaml", 1, 1);
        if (own)
            ck_assert(model_set(&t->model, "f2fp.on_alu=0", &t->err));
        const uint32_t n = 30;
        for (uint32_t k = 0; k < n; k++) {
            toy_plain(t, 0, TC_ALU, (int)(2 * k), -1);
            toy_plain(t, 0, TC_F2FP, (int)(2 * k + 1), -1);
        }
        uint32_t end = toy_mark(t, 0, (int)(2 * n - 1));
        toy_run(t);
        Cycle ii = own ? 1 : 2; /* two pipes of interval 2, or one */
        ck_assert_uint_eq(t->when[0][end],
                          toy_zero(t) + (2 * n - 1) * ii + toy_c(t, MP_F2FP_LATENCY));
        toy_free(t);
    }
}
END_TEST

START_TEST(a_subroutine_takes_its_issue_slots)
{
    Toy *t = toy_new("toy.yaml", 1, 1);
    uint32_t first = toy_plain(t, 0, TC_NONE, -1, -1);
    t->code.ops[t->warp[0].step[first].op.info].slots = 19;
    uint32_t end = toy_mark(t, 0, -1);
    SimResult *r = toy_run(t);
    ck_assert_uint_eq(t->when[0][end], toy_zero(t) + 19);
    ck_assert_uint_eq(r->warps[0].issued, 19 + 1 + 1);
    toy_free(t);
}
END_TEST

/* The port is taken as well: the other warp of the sub-partition waits, one of another does not. */
START_TEST(a_subroutine_keeps_others_from_issuing)
{
    Toy *t = toy_new("toy.yaml", 6, 1);
    uint32_t first = toy_plain(t, 4, TC_NONE, -1, -1); /* warp 4 is the younger of 0 and 4 */
    t->code.ops[t->warp[4].step[first].op.info].slots = 19;
    uint32_t a = toy_mark(t, 0, -1), b = toy_mark(t, 1, -1);
    SimResult *r = toy_run(t);
    ck_assert_uint_ge(t->when[0][a], toy_zero(t) + 19);
    ck_assert_uint_le(t->when[1][b], toy_zero(t) + 1);
    ck_assert_uint_ge(r->warps[0].stall[ST_NOT_SELECTED], 19);
    toy_free(t);
}
END_TEST

START_TEST(branches_and_sleeps_hold_their_warp)
{
    Toy *t = toy_new("toy.yaml", 1, 1);
    toy_add(t, 0, TC_BRANCH, (Op){.kind = OK_BRANCH, .arg0 = 1}, -1, -1);
    uint32_t a = toy_mark(t, 0, -1);
    toy_add(t, 0, TC_NANOSLEEP, (Op){.kind = OK_NANOSLEEP, .arg0 = 9}, -1, -1);
    uint32_t b = toy_mark(t, 0, -1);
    toy_add(t, 0, TC_FENCE, (Op){.kind = OK_FENCE}, -1, -1);
    uint32_t c = toy_mark(t, 0, -1);
    SimResult *r = toy_run(t);
    ck_assert_uint_eq(t->when[0][a], toy_zero(t) + toy_c(t, MP_BRANCH_LATENCY));
    ck_assert_uint_eq(t->when[0][b],
                      t->when[0][a] + 1 + 2 * 8 * 2); /* two quanta of 8 ns at 2 GHz */
    ck_assert_uint_eq(t->when[0][c], t->when[0][b] + 1 + toy_c(t, MP_FENCE_LATENCY));
    ck_assert_uint_eq(r->warps[0].stall[ST_SLEEP], 31);
    ck_assert_uint_eq(r->warps[0].stall[ST_BRANCH], toy_c(t, MP_BRANCH_LATENCY) - 1);
    toy_free(t);
}
END_TEST

/* Youngest first between two that are ready, and the one that issued last goes on. */
START_TEST(the_scheduler_is_greedy_then_youngest)
{
    Toy *t = toy_new("toy.yaml", 12, 1);
    const uint32_t n = 10;
    for (uint32_t w = 0; w < 12; w += 4)
        for (uint32_t k = 0; k < n; k++)
            toy_mark(t, w, -1);
    toy_run(t);
    for (uint32_t k = 0; k < n; k++)
        ck_assert_uint_eq(t->when[8][k], toy_zero(t) + k);
    ck_assert_uint_lt(t->when[8][n - 1], t->when[4][0]);
    ck_assert_uint_lt(t->when[4][n - 1], t->when[0][0]);
    toy_free(t);
}
END_TEST

/* A younger warp that becomes ready does not take the port from one that goes on issuing. */
START_TEST(the_warp_that_issued_last_goes_on)
{
    Toy *t = toy_new("toy.yaml", 5, 1);
    const uint32_t n = 40;
    toy_add(t, 4, TC_BRANCH, (Op){.kind = OK_BRANCH, .arg0 = 1}, -1, -1);
    uint32_t late = toy_mark(t, 4, -1);
    for (uint32_t k = 0; k < n; k++)
        toy_mark(t, 0, -1);
    toy_run(t);
    ck_assert_uint_gt(t->when[4][late], t->when[0][n - 1]);
    toy_free(t);
}
END_TEST

/* Four warps of a sub-partition race: kernels/micro/arbitration.cu, on an H200 and on its model. A
 * warp that can issue every cycle goes on to its end, else they take turns. Ends in order, in
 * cycles from the first begin. */
enum { RACERS = 4, RACE_WARPS = 16, RACE_OPERATIONS = 512 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void race(TClass tc, uint32_t chains, double end[RACERS])
{
    Toy *t = toy_new("../models/h200.yaml", RACE_WARPS, 1);
    uint32_t last = 0;
    for (uint32_t w = 0; w < RACE_WARPS; w++) {
        for (uint32_t k = 0; k < RACE_OPERATIONS; k++)
            toy_plain(t, w, tc, (int)(k % chains), (int)(k % chains));
        last = toy_mark(t, w, -1);
    }
    toy_run(t);
    for (uint32_t i = 0; i < RACERS; i++)
        end[i] = (double)(t->when[i * 4][last] - toy_zero(t));
    toy_free(t);
    qsort(end, RACERS, sizeof *end, by_value);
}

START_TEST(warps_take_turns_as_measured)
{
    static const struct {
        const char *name;
        TClass tc;
    } operations[] = {{"sin", TC_MUFU}, {"ex2", TC_EX2}, {"fma", TC_FMA}, {"max", TC_MINMAX}};
    char line[1024], name[64];
    uint32_t rows_read = 0;
    FILE *f = fopen(TEST_DIR "/../traces/measured/h200-2026-11-25/arbitration.tsv", "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        int at = 0;
        uint32_t chains, which = 0;
        double first = 0, end[RACERS], simulated[RACERS];
        if (line[0] == '#')
            continue;
        ck_assert_int_eq(sscanf(line, "%63s %u%n", name, &chains, &at), 2);
        for (int w = 0, n; w < RACE_WARPS; w++, at += n) {
            long b, e;
            ck_assert_int_eq(sscanf(line + at, " %ld..%ld%n", &b, &e, &n), 2);
            if (w % 4 == 0) {
                first = (double)b < first ? (double)b : first;
                end[w / 4] = (double)e;
            }
        }
        while (strncmp(name, operations[which].name, 3) != 0)
            which++;
        race(operations[which].tc, chains, simulated);
        qsort(end, RACERS, sizeof *end, by_value);
        for (int i = 0; i < RACERS; i++)
            ck_assert_msg(fabs(simulated[i] - (end[i] - first)) < 0.17 * (end[i] - first) + 40,
                          "%s, %u chains, end %d: %.0f, measured %.0f", name, chains, i,
                          simulated[i], end[i] - first);
        rows_read++;
    }
    fclose(f);
    ck_assert_uint_eq(rows_read, 12);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_dependent_chain_takes_n_latencies,
                                  independent_operations_take_n_intervals,
                                  rates_that_do_not_divide_are_kept_on_average,
                                  warps_of_one_subpartition_share_its_pipes,
                                  a_subpartition_issues_one_a_cycle,
                                  a_consumer_issues_when_its_source_is_ready_and_not_before,
                                  f2fp_shares_the_alu_unless_the_model_says_otherwise,
                                  a_subroutine_takes_its_issue_slots,
                                  a_subroutine_keeps_others_from_issuing,
                                  branches_and_sleeps_hold_their_warp,
                                  the_scheduler_is_greedy_then_youngest,
                                  the_warp_that_issued_last_goes_on,
                                  warps_take_turns_as_measured,
                                  NULL};
    return toy_main("time_pipes", tests);
}
