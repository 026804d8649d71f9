/* TMA, cp.async, L2 and HBM: latency, bandwidth, order, groups. */
#include "tests/toy_front.h"

enum { FULL = 8 };

static uint32_t add_load(Toy *t, uint32_t w, uint32_t bytes, uint32_t rows, uint64_t addr)
{
    return toy_add(t, w, TC_TMA_LD,
                   (Op){.kind = OK_TMA_LOAD,
                        .sync = FULL,
                        .bytes = bytes,
                        .waves = (uint16_t)rows,
                        .addr = addr,
                        .handle = 1 + (uint32_t)t->warp[w].n},
                   -1, -1);
}

static uint32_t wait_for(Toy *t, uint32_t w, uint32_t parity)
{
    toy_add(t, w, TC_MBAR_TRY, (Op){.kind = OK_MBAR_WAIT, .sync = FULL, .arg0 = parity}, -1, -1);
    return toy_mark(t, w, -1);
}

static void expect(Toy *t, uint32_t w, uint32_t bytes)
{
    toy_add(t, w, TC_MBAR_ARRIVE,
            (Op){.kind = OK_MBAR_ARRIVE, .sync = FULL, .arg0 = 1, .arg1 = bytes}, -1, -1);
}

static Toy *loader(const char *model)
{
    Toy *t = toy_new(model, 1, 1);
    toy_add(t, 0, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_INIT, .sync = FULL, .arg0 = 1}, -1, -1);
    return t;
}

/* The first touch comes from HBM, the second from L2: one round trip each. */
START_TEST(a_load_takes_latency_plus_bytes)
{
    static const uint32_t sizes[] = {64, 512, 1024, 4096, 8192};
    for (uint32_t i = 0; i < 5; i++) {
        Toy *t = loader("toy.yaml");
        uint32_t bytes = sizes[i], at[2], end[2];
        for (uint32_t p = 0; p < 2; p++) {
            expect(t, 0, bytes);
            at[p] = add_load(t, 0, bytes, 1, 77);
            end[p] = wait_for(t, 0, p);
        }
        SimResult *r = toy_run(t);
        double dram_rate = 0.5e12 / 2e9; /* bytes a cycle; one active SM has all of it */
        Cycle wire = bytes / 64, dram = (Cycle)(bytes / dram_rate);
        Cycle miss = t->when[0][end[0]] - t->when[0][at[0]],
              hit = t->when[0][end[1]] - t->when[0][at[1]];
        ck_assert_uint_eq(hit, toy_c(t, MP_TMA_L2_LATENCY) + wire);
        ck_assert_uint_eq(miss, toy_c(t, MP_TMA_DRAM_LATENCY) + (dram > wire ? dram : wire));
        ck_assert_uint_eq(r->dram_bytes, bytes);
        ck_assert_uint_eq(r->l2_bytes, 2 * bytes);
        ck_assert_uint_eq(r->smem_bytes_tma, 2 * bytes);
        toy_free(t);
    }
}
END_TEST

/* Two pairs of CTAs; the even ones alone are there. Each copies to all four with .cta_group::2: the
 * even CTA of a pair is told of the bytes of both (PTX, cp.async.bulk.tensor), so of four copies.
 */
START_TEST(a_multicast_of_pairs_signals_one_cta_of_each)
{
    Toy *t = toy_new("toy.yaml", 1, 4);
    t->front.cluster[0] = 4;
    t->only_leader = true;
    toy_add(t, 0, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_INIT, .sync = FULL, .arg0 = 1}, -1, -1);
    expect(t, 0, 4 * 1024);
    toy_add(t, 0, TC_TMA_LD,
            (Op){.kind = OK_TMA_LOAD,
                 .flags = OPF_PAIR,
                 .sync = FULL,
                 .bytes = 1024,
                 .waves = 1,
                 .addr = 77,
                 .handle = 1,
                 .arg0 = 1,
                 .arg1 = 0xf},
            -1, -1);
    uint32_t end = wait_for(t, 0, 0);
    toy_run(t);
    ck_assert_uint_gt(t->when[0][end], toy_c(t, MP_TMA_L2_LATENCY));
    ck_assert_uint_eq(t->dones[1], 2);
    toy_free(t);
}
END_TEST

/* Four CTAs copy to all four, faster than a shared memory takes it: nothing is lost in the queues.
 */
START_TEST(every_byte_of_many_multicasts_is_written)
{
    enum { COPIES = 500, BYTES = 512, CTAS = 4 };
    Toy *t = toy_new("toy.yaml", 1, CTAS);
    t->front.cluster[0] = CTAS;
    t->model.v[MP_TMA_BYTES] = 16;
    t->model.v[MP_TMA_QUEUE] = 256;
    toy_add(t, 0, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_INIT, .sync = FULL, .arg0 = 1}, -1, -1);
    expect(t, 0, CTAS * COPIES * BYTES);
    for (uint32_t i = 0; i < COPIES; i++)
        toy_add(t, 0, TC_TMA_LD,
                (Op){.kind = OK_TMA_LOAD,
                     .flags = OPF_PAIR,
                     .sync = FULL,
                     .bytes = BYTES,
                     .waves = 4,
                     .addr = 77,
                     .handle = 1 + i,
                     .arg1 = (1 << CTAS) - 1},
                -1, -1);
    wait_for(t, 0, 0);
    SimResult *r = toy_run(t);
    ck_assert_uint_eq(r->smem_bytes_tma, CTAS * CTAS * COPIES * BYTES);
    toy_free(t);
}
END_TEST

/* QuickRunCUDA, B300, L2-warm, one CTA: issue to the end of the wait. */
START_TEST(b200_loads_take_the_measured_round_trip)
{
    static const double measured[][2] = {{512, 354},   {1024, 364},  {2048, 377},
                                         {4096, 398},  {8192, 436},  {16384, 503},
                                         {32768, 634}, {65536, 897}, {131072, 1416}};
    for (uint32_t i = 0; i < 9; i++) {
        Toy *t = loader("../models/b200.yaml");
        uint32_t bytes = (uint32_t)measured[i][0], at = 0, end = 0;
        for (uint32_t p = 0; p < 2; p++) {
            expect(t, 0, bytes);
            at = add_load(t, 0, bytes, 1, 77);
            end = wait_for(t, 0, p);
        }
        toy_run(t);
        double took = (double)(t->when[0][end] - t->when[0][at]);
        ck_assert_msg(took > measured[i][1] * 0.96 && took < measured[i][1] * 1.04,
                      "%u bytes: %.0f, measured %.0f", bytes, took, measured[i][1]);
        toy_free(t);
    }
}
END_TEST

/* The engine takes an instruction every max(interval, rows); loads of one barrier end together. */
START_TEST(the_engine_interval_is_the_larger_of_issue_and_rows)
{
    for (uint32_t rows = 1; rows < 100; rows += 33) {
        Toy *t = loader("toy.yaml");
        const uint32_t n = 6;
        expect(t, 0, n * 64);
        uint32_t first = t->warp[0].n;
        for (uint32_t k = 0; k < n; k++)
            add_load(t, 0, 64, rows, 1000);
        uint32_t end = wait_for(t, 0, 0);
        toy_run(t);
        Cycle takes = rows > toy_c(t, MP_TMA_INTERVAL) ? rows : toy_c(t, MP_TMA_INTERVAL);
        Cycle last = toy_c(t, MP_TMA_L2_LATENCY) + 1 + (n - 1) * takes,
              miss = toy_c(t, MP_TMA_DRAM_LATENCY) + 1;
        ck_assert_uint_eq(t->when[0][end] - t->when[0][first],
                          last > miss ? last : miss); /* the first one misses */
        toy_free(t);
    }
}
END_TEST

START_TEST(a_full_engine_holds_the_warp)
{
    Toy *t = loader("toy.yaml");
    uint32_t n = (uint32_t)toy_v(t, MP_TMA_QUEUE) + 1;
    expect(t, 0, n * 64);
    uint32_t first = t->warp[0].n;
    for (uint32_t k = 0; k < n; k++)
        add_load(t, 0, 64, 1, 50 + k);
    toy_run(t);
    Cycle done = toy_c(t, MP_TMA_DRAM_LATENCY) - toy_c(t, MP_MBAR_WAKE) + 1;
    for (uint32_t k = 1; k + 1 < n; k++)
        ck_assert_uint_eq(t->when[0][first + k] - t->when[0][first],
                          k * toy_c(t, MP_TMA_ISSUE_CYCLES));
    ck_assert_uint_eq(t->when[0][first + n - 1] - t->when[0][first],
                      done); /* when the first has gone */
    toy_free(t);
}
END_TEST

/* Many loads in flight: the bytes come at the chip's rate divided by the SMs that are active. */
START_TEST(bandwidth_is_shared_by_the_active_sms)
{
    for (uint32_t ctas = 1; ctas <= 5; ctas += 2) {
        Toy *t = toy_new("toy.yaml", 1, ctas);
        ck_assert(
            model_set(&t->model, "dram.tb_per_s=0.1", &t->err)); /* 50 bytes a cycle for the chip */
        const uint32_t n = 40, bytes = 4096;
        toy_add(t, 0, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_INIT, .sync = FULL, .arg0 = 1}, -1, -1);
        expect(t, 0, n * bytes);
        for (uint32_t k = 0; k < n;
             k++) /* different boxes in every CTA: the script sees the CTA in the address */
            add_load(t, 0, bytes, 1, 1000 * (k + 1));
        uint32_t end = wait_for(t, 0, 0);
        t->addr_per_cta = 1;
        SimResult *r = toy_run(t);
        double took = (double)(t->when[0][end] - t->when[0][2]), rate = 50.0 / ctas;
        ck_assert_double_eq_tol(took, n * bytes / rate, toy_v(t, MP_TMA_DRAM_LATENCY) + 20 * ctas);
        ck_assert_uint_eq(r->dram_bytes, (uint64_t)ctas * n * bytes);
        ck_assert_double_eq_tol(r->only_limit[U_DRAM], n * bytes / rate, 1);
        toy_free(t);
    }
}
END_TEST

START_TEST(fewer_simulated_sms_get_their_share)
{
    Cycle whole = 0;
    for (uint32_t sms = 5; sms <= 5; sms -= 2) {
        Toy *t = toy_new("toy.yaml", 1, 5);
        ck_assert(model_set(&t->model, "dram.tb_per_s=0.1", &t->err));
        t->desc.sms = sms;
        t->addr_per_cta = 1;
        const uint32_t n = 40, bytes = 4096;
        toy_add(t, 0, TC_MBAR_ARRIVE, (Op){.kind = OK_MBAR_INIT, .sync = FULL, .arg0 = 1}, -1, -1);
        expect(t, 0, n * bytes);
        for (uint32_t k = 0; k < n; k++)
            add_load(t, 0, bytes, 1, 1000 * (k + 1));
        wait_for(t, 0, 0);
        SimResult *r = toy_run(t);
        ck_assert_uint_eq(r->sms_simulated, sms);
        if (sms == 5)
            whole = r->cycles;
        ck_assert_double_eq_tol((double)r->cycles, (double)whole, 0.03 * (double)whole);
        toy_free(t);
    }
}
END_TEST

/* 16 bytes a cycle read, then the way to L2; wait_group.read returns before wait_group. */
START_TEST(stores_complete_in_two_steps)
{
    for (uint32_t read = 0; read < 2; read++) {
        Toy *t = toy_new("toy.yaml", 1, 1);
        uint32_t bytes = 4096;
        uint32_t at = toy_add(
            t, 0, TC_TMA_ST,
            (Op){.kind = OK_TMA_STORE, .bytes = bytes, .waves = 1, .handle = 1, .addr = 5}, -1, -1);
        toy_add(t, 0, TC_TMA_GROUP, (Op){.kind = OK_BULK_COMMIT}, -1, -1);
        toy_add(t, 0, TC_TMA_GROUP, (Op){.kind = OK_BULK_WAIT, .arg1 = read}, -1, -1);
        uint32_t end = toy_mark(t, 0, -1);
        SimResult *r = toy_run(t);
        Cycle took = t->when[0][end] - t->when[0][at], smem = bytes / 32, wire = smem;
        if (read)
            ck_assert_uint_eq(took, smem + toy_c(t, MP_TMA_GROUP_WAKE));
        else
            ck_assert_uint_eq(took, smem + wire + toy_c(t, MP_TMA_STORE_LATENCY) +
                                        toy_c(t, MP_TMA_GROUP_WAKE));
        ck_assert_uint_gt(r->warps[0].stall[ST_GROUP], smem / 2);
        toy_free(t);
    }
}
END_TEST

/* wait_group N leaves N groups pending: with three groups of one store each, N = 2 waits for the
 * first only. */
START_TEST(wait_group_n_leaves_n_pending)
{
    Cycle done[4];
    for (uint32_t pending = 0; pending < 4; pending++) {
        Toy *t = toy_new("toy.yaml", 1, 1);
        for (uint32_t g = 0; g < 3; g++) {
            toy_add(t, 0, TC_TMA_ST,
                    (Op){.kind = OK_TMA_STORE, .bytes = 4096, .waves = 1, .addr = g}, -1, -1);
            toy_add(t, 0, TC_TMA_GROUP, (Op){.kind = OK_BULK_COMMIT}, -1, -1);
        }
        toy_add(t, 0, TC_TMA_GROUP, (Op){.kind = OK_BULK_WAIT, .arg0 = pending}, -1, -1);
        uint32_t end = toy_mark(t, 0, -1);
        toy_run(t);
        done[pending] = t->when[0][end] - t->when[0][0];
        toy_free(t);
    }
    ck_assert_uint_lt(done[3], done[2]);
    ck_assert_uint_eq(done[1] - done[2], 128); /* one store's port time apart */
    ck_assert_uint_eq(done[0] - done[1], 128);
}
END_TEST

START_TEST(global_loads_hit_or_miss)
{
    Toy *t = toy_new("toy.yaml", 1, 1);
    uint32_t at[3], end[3];
    static const uint64_t sector[3] = {800, 801, 8000}; /* same 256-byte granule, another */
    for (uint32_t i = 0; i < 3; i++) {
        at[i] = toy_add(t, 0, TC_LDG, (Op){.kind = OK_GMEM, .bytes = 128, .addr = sector[i]},
                        (int)i, -1);
        end[i] = toy_mark(t, 0, (int)i);
    }
    SimResult *r = toy_run(t);
    Cycle wire = 2; /* 128 bytes at 64 a cycle */
    ck_assert_uint_eq(t->when[0][end[0]] - t->when[0][at[0]], toy_c(t, MP_DRAM_LATENCY) + wire);
    ck_assert_uint_eq(t->when[0][end[1]] - t->when[0][at[1]], toy_c(t, MP_L2_LATENCY) + wire);
    ck_assert_uint_eq(t->when[0][end[2]] - t->when[0][at[2]], toy_c(t, MP_DRAM_LATENCY) + wire);
    ck_assert_uint_eq(r->dram_bytes, 256);
    ck_assert_uint_gt(r->warps[0].stall[ST_LONG], 2 * toy_c(t, MP_L2_LATENCY));
    toy_free(t);
}
END_TEST

START_TEST(cp_async_groups_and_arrivals)
{
    Toy *t = loader("toy.yaml");
    uint32_t at = toy_add(t, 0, TC_LDGSTS,
                          (Op){.kind = OK_CPASYNC, .bytes = 512, .addr = 64, .handle = 1}, -1, -1);
    toy_add(t, 0, TC_MBAR_ARRIVE,
            (Op){.kind = OK_CPASYNC_ARRIVE, .sync = FULL, .arg0 = 1, .arg1 = 1}, -1, -1);
    toy_add(t, 0, TC_TMA_GROUP, (Op){.kind = OK_CPASYNC_COMMIT}, -1, -1);
    toy_add(t, 0, TC_TMA_GROUP, (Op){.kind = OK_CPASYNC_WAIT}, -1, -1);
    uint32_t grouped = toy_mark(t, 0, -1), arrived = wait_for(t, 0, 0);
    toy_run(t);
    Cycle lat = toy_c(t, MP_LDGSTS_LATENCY) + toy_c(t, MP_DRAM_LATENCY) - toy_c(t, MP_L2_LATENCY);
    Cycle done = lat + 512 / 64;
    ck_assert_uint_ge(t->when[0][grouped] - t->when[0][at], done + toy_c(t, MP_TMA_GROUP_WAKE));
    ck_assert_uint_le(t->when[0][grouped] - t->when[0][at], done + toy_c(t, MP_TMA_GROUP_WAKE) + 8);
    ck_assert_uint_gt(t->when[0][arrived], t->when[0][grouped]);
    toy_free(t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_load_takes_latency_plus_bytes,
                                  a_multicast_of_pairs_signals_one_cta_of_each,
                                  every_byte_of_many_multicasts_is_written,
                                  b200_loads_take_the_measured_round_trip,
                                  the_engine_interval_is_the_larger_of_issue_and_rows,
                                  a_full_engine_holds_the_warp,
                                  bandwidth_is_shared_by_the_active_sms,
                                  fewer_simulated_sms_get_their_share,
                                  stores_complete_in_two_steps,
                                  wait_group_n_leaves_n_pending,
                                  global_loads_hit_or_miss,
                                  cp_async_groups_and_arrivals,
                                  NULL};
    return toy_main("time_tma", tests);
}
