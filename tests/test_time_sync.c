/* Barriers, resources, deadlock. */
#include "tests/toy_front.h"

enum { BAR = 8 };

static uint32_t init(Toy *t, uint32_t w, uint32_t count)
{
    return toy_add(t, w, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_INIT, .sync = BAR, .arg0 = count}, -1,
                   -1);
}
static uint32_t arrive(Toy *t, uint32_t w, uint32_t n)
{
    return toy_add(t, w, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_ARRIVE, .sync = BAR, .arg0 = n}, -1,
                   -1);
}
static uint32_t wait(Toy *t, uint32_t w, uint32_t parity)
{
    return toy_add(t, w, TC_MBAR_TRY, (Op){.kind = OK_MBAR_WAIT, .sync = BAR, .arg0 = parity}, -1,
                   -1);
}
static uint32_t bar_sync(Toy *t, uint32_t w, uint32_t id, uint32_t warps)
{
    return toy_add(t, w, TC_BAR,
                   (Op){.kind = OK_BAR_SYNC, .sync = id, .arg0 = warps * 32, .arg1 = 32}, -1, -1);
}
static void idle(Toy *t, uint32_t w, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        toy_mark(t, w, -1);
}

/* Tight gate: a wait issued one cycle before the phase flips parks and is woken; from the flip on
 * it goes through. */
START_TEST(a_wait_parks_exactly_until_the_phase_flips)
{
    for (uint32_t delay = 5; delay < 40; delay++) {
        Toy *t = toy_new("toy.yaml", 2, 1);
        init(t, 0, 1);
        idle(t, 0, 9);
        uint32_t a = arrive(t, 0, 1);
        idle(t, 1, delay);
        uint32_t w = wait(t, 1, 0), end = toy_mark(t, 1, -1);
        SimResult *r = toy_run(t);
        Cycle flip = t->when[0][a] + toy_c(t, MP_MBAR_ARRIVE), at = t->when[1][w];
        Cycle wake = flip + toy_c(t, MP_MBAR_WAKE), ready = at + toy_c(t, MP_MBAR_TRY);
        Cycle go = at >= flip ? ready : wake > ready ? wake : ready;
        ck_assert_uint_eq(t->when[1][end], go);
        ck_assert_uint_eq(r->warps[1].stall[ST_MBARRIER], go - at - 1);
        ck_assert_uint_eq(r->n_waits, 1);
        ck_assert_uint_eq(r->waits[0].warp, 1);
        ck_assert_uint_eq(r->waits[0].sync, BAR);
        ck_assert_uint_eq(r->waits[0].cycles, go - at);
        ck_assert_uint_eq(r->waits[0].signallers, at >= flip ? 0 : 1);
        toy_free(t);
    }
}
END_TEST

/* One warp, arrive then wait: the round trip of the b200 model is 20 + 30 (QuickRunCUDA measures
 * 54). */
START_TEST(the_round_trip_in_one_warp)
{
    Toy *t = toy_new("../models/b200.yaml", 1, 1);
    init(t, 0, 1);
    uint32_t a = arrive(t, 0, 1);
    wait(t, 0, 0);
    uint32_t end = toy_mark(t, 0, -1);
    toy_run(t);
    ck_assert_uint_ge(t->when[0][end] - t->when[0][a], 48);
    ck_assert_uint_le(t->when[0][end] - t->when[0][a], 56);
    toy_free(t);
}
END_TEST

START_TEST(arrivals_and_bytes_must_both_be_there)
{
    Toy *t = toy_new("toy.yaml", 3, 1);
    init(t, 0, 2);
    toy_add(t, 0, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_ARRIVE, .sync = BAR, .arg0 = 1, .arg1 = 100},
            -1, -1);
    idle(t, 1, 50);
    arrive(t, 1, 1);
    idle(t, 1, 50);
    uint32_t last = toy_add(t, 1, TC_MBAR_ARRIVE,
                            (Op){.kind = OK_MBAR_TX, .sync = BAR, .arg1 = (uint32_t)-100}, -1, -1);
    idle(t, 2, 12);
    wait(t, 2, 0);
    uint32_t end = toy_mark(t, 2, -1);
    toy_run(t);
    ck_assert_uint_eq(t->when[2][end],
                      t->when[1][last] + toy_c(t, MP_MBAR_ARRIVE) + toy_c(t, MP_MBAR_WAKE));
    toy_free(t);
}
END_TEST

static Cycle last_of(const Toy *t, uint32_t warps, uint32_t step)
{
    Cycle last = 0;
    for (uint32_t w = 0; w < warps; w++)
        last = t->when[w][step] > last ? t->when[w][step] : last;
    return last;
}

/* All arrive at once; the port takes one every 2 cycles (flashinfer-competition: 14.6 and 20.7 on
 * the b200). */
START_TEST(a_named_barrier_costs_its_latency_and_two_per_warp)
{
    static const uint32_t warps[] = {1, 2, 4, 8, 16};
    for (uint32_t i = 0; i < 5; i++) {
        Toy *t = toy_new("../models/b200.yaml", warps[i], 1);
        const uint32_t n = 30;
        for (uint32_t w = 0; w < warps[i]; w++)
            for (uint32_t k = 0; k < n; k++)
                bar_sync(t, w, 3, warps[i]);
        SimResult *r = toy_run(t);
        Cycle took = last_of(t, warps[i], n - 1) - last_of(t, warps[i], n / 2 - 1);
        double each = (double)took / (n / 2.0);
        double expect = toy_v(t, MP_BAR_LATENCY) + 2 * (warps[i] - 1);
        ck_assert_double_eq_tol(each, expect, 1);
        if (warps[i] == 1)
            ck_assert_double_eq_tol(each, 14.6, 0.5);
        if (warps[i] == 4)
            ck_assert_double_eq_tol(each, 20.7, 0.6);
        ck_assert_uint_gt(r->warps[0].stall[ST_BARRIER], (n - 1) * 10);
        toy_free(t);
    }
}
END_TEST

START_TEST(bar_arrive_does_not_wait)
{
    Toy *t = toy_new("toy.yaml", 2, 1);
    uint32_t a = toy_add(t, 0, TC_BAR,
                         (Op){.kind = OK_BAR_ARRIVE, .sync = 1, .arg0 = 64, .arg1 = 32}, -1, -1);
    uint32_t next = toy_mark(t, 0, -1);
    idle(t, 1, 60);
    uint32_t b = bar_sync(t, 1, 1, 2), end = toy_mark(t, 1, -1);
    toy_run(t);
    ck_assert_uint_eq(t->when[0][next], t->when[0][a] + 1);
    ck_assert_uint_eq(t->when[1][end], t->when[1][b] + toy_c(t, MP_BAR_LATENCY));
    toy_free(t);
}
END_TEST

/* Register pool of the CTA: increase waits for another warp's decrease. */
START_TEST(setmaxnreg_waits_for_registers)
{
    Toy *t = toy_new("toy.yaml", 2, 1);
    t->desc.regs_per_thread = 64;
    idle(t, 0, 80);
    uint32_t dec = toy_add(t, 0, TC_SETMAXREG, (Op){.kind = OK_SETMAXNREG, .arg0 = 24}, -1, -1);
    toy_add(t, 1, TC_SETMAXREG, (Op){.kind = OK_SETMAXNREG, .arg0 = 104}, -1, -1);
    uint32_t end = toy_mark(t, 1, -1);
    SimResult *r = toy_run(t);
    ck_assert_uint_eq(t->when[1][end], t->when[0][dec] + toy_c(t, MP_SETMAXNREG));
    ck_assert_uint_gt(r->warps[1].stall[ST_RESOURCE], 80);
    toy_free(t);
}
END_TEST

/* Two CTAs on one SM want all columns: the second gets them when the first gives them back. */
START_TEST(tensor_memory_is_shared_by_the_ctas_of_an_sm)
{
    Toy *t = toy_new("toy.yaml", 1, 2);
    ck_assert(model_set(&t->model, "gpu.sms=1", &t->err));
    uint32_t alloc = toy_add(t, 0, TC_TMEM_ALLOC, (Op){.kind = OK_TMEM_ALLOC, .arg0 = 512}, -1, -1);
    idle(t, 0, 100);
    uint32_t free_at =
        toy_add(t, 0, TC_TMEM_ALLOC, (Op){.kind = OK_TMEM_DEALLOC, .arg0 = 512}, -1, -1);
    SimResult *r = toy_run(t);
    ck_assert_uint_ge(t->when[0][free_at] - t->when[0][alloc],
                      2 * 100); /* `when` holds the second CTA's cycles */
    ck_assert_uint_gt(r->warps[0].stall[ST_RESOURCE], 100);
    toy_free(t);
}
END_TEST

START_TEST(the_cluster_barrier_waits_for_all_ctas)
{
    for (uint32_t relaxed = 0; relaxed < 2; relaxed++) {
        Toy *t = toy_new("toy.yaml", 2, 4);
        t->front.cluster[0] = 4;
        for (uint32_t w = 0; w < 2; w++) {
            idle(t, w, 1 + 30 * w);
            toy_add(t, w, TC_BAR, (Op){.kind = OK_CLUSTER_ARRIVE, .arg0 = relaxed}, -1, -1);
            toy_add(t, w, TC_BAR, (Op){.kind = OK_CLUSTER_WAIT}, -1, -1);
            toy_mark(t, w, -1);
        }
        toy_run(t);
        Cycle last = t->when[1][31];
        Cycle lat = toy_c(t, relaxed ? MP_CLUSTER_BAR_RELAXED : MP_CLUSTER_BAR);
        ck_assert_uint_eq(t->when[0][3], last + lat);
        ck_assert_uint_eq(t->when[1][33], last + lat);
        toy_free(t);
    }
}
END_TEST

START_TEST(a_remote_arrival_takes_the_way_through_the_cluster)
{
    Toy *t = toy_new("toy.yaml", 1, 2);
    t->front.cluster[0] = 2;
    init(t, 0, 2); /* one from each CTA: both signal rank 0 and rank 1 */
    idle(t, 0, 10);
    uint32_t a = 0;
    for (uint32_t rank = 0; rank < 2; rank++)
        a = toy_add(
            t, 0, TC_MBAR_ARRIVE,
            (Op){.kind = OK_MBAR_ARRIVE, .sync = rank << 24 | BAR, .arg0 = 1, .flags = OPF_REMOTE},
            -1, -1);
    wait(t, 0, 0);
    uint32_t end = toy_mark(t, 0, -1);
    toy_run(t);
    ck_assert_uint_eq(t->when[0][end],
                      t->when[0][a] + toy_c(t, MP_DSMEM_ARRIVE) + toy_c(t, MP_MBAR_WAKE));
    toy_free(t);
}
END_TEST

START_TEST(a_deadlock_says_who_waits_for_what)
{
    Toy *t = toy_new("toy.yaml", 3, 1);
    init(t, 0, 5);
    toy_add(t, 0, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_ARRIVE, .sync = BAR, .arg0 = 2, .arg1 = 640},
            -1, -1);
    idle(t, 1, 20);
    wait(t, 1, 0);
    bar_sync(t, 2, 4, 3);
    SimResult *r;
    ck_assert(!sim_run(&t->a, &t->desc, &r, &t->dead, &t->err));
    ck_assert_int_eq(t->err.kind, ERR_DEADLOCK);
    ck_assert_uint_eq(t->dead.n_waits, 2);
    DeadWait *w = t->dead.waits;
    ck_assert_uint_eq(w[0].warp, 1);
    ck_assert_uint_eq(w[0].sync, BAR);
    ck_assert_uint_eq(w[0].arrivals_had, 2);
    ck_assert_uint_eq(w[0].arrivals_needed, 5);
    ck_assert_int_eq(w[0].bytes_needed, 640);
    ck_assert_uint_eq(w[1].warp, 2);
    ck_assert_uint_eq(w[1].kind, OK_BAR_SYNC);
    ck_assert_uint_eq(w[1].arrivals_had, 32);
    ck_assert_uint_eq(w[1].arrivals_needed, 96);
    ck_assert(strstr(t->err.msg, "2 of 5 arrivals, 640 bytes"));
    ck_assert_uint_eq(t->yields, 2); /* asked, and nobody had another split */
    toy_free(t);
}
END_TEST

START_TEST(too_many_arrivals_are_a_fault)
{
    Toy *t = toy_new("toy.yaml", 1, 1);
    init(t, 0, 2);
    arrive(t, 0, 3);
    SimResult *r;
    ck_assert(!sim_run(&t->a, &t->desc, &r, &t->dead, &t->err));
    ck_assert_int_eq(t->err.kind, ERR_FAULT);
    toy_free(t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_wait_parks_exactly_until_the_phase_flips,
                                  the_round_trip_in_one_warp,
                                  arrivals_and_bytes_must_both_be_there,
                                  a_named_barrier_costs_its_latency_and_two_per_warp,
                                  bar_arrive_does_not_wait,
                                  setmaxnreg_waits_for_registers,
                                  tensor_memory_is_shared_by_the_ctas_of_an_sm,
                                  the_cluster_barrier_waits_for_all_ctas,
                                  a_remote_arrival_takes_the_way_through_the_cluster,
                                  a_deadlock_says_who_waits_for_what,
                                  too_many_arrivals_are_a_fault,
                                  NULL};
    return toy_main("time_sync", tests);
}
