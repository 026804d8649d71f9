/* CTAs that take each other's work or wait for each other: cluster launch control, flags in global
 * memory, and spins that can never end. Each with one and several host threads, and with time. */
#include <check.h>
#include <stdlib.h>

#include "tests/ptx_time.h"

enum { WORDS = PTX_OUT_BYTES / 4, BY_CTA = 4096 };

static uint32_t out[WORDS];
static Err err;

static bool run(PtxChip *chip, uint32_t grid, uint32_t cluster, const char *globals,
                const char *body)
{
    PtxRun r = {.grid = grid, .cluster = cluster};
    return ptx_run_on(&r, chip, globals, body, out, &err);
}

/* 0: with time; else host threads */
static const uint32_t modes[] = {1, 2, 3, 0};
#define EACH_MODE(chip, n)                                                                         \
    for (PtxChip chip = {.sms = (n)}, *once = &chip; once; once = NULL)                            \
        for (uint32_t mode = 0; mode < 4 && (chip.threads = modes[mode], true); mode++)

/* ---- Cluster launch control ---- */

#define CLC_SHARED ".shared .align 16 .b8 answer[16]; .shared .align 8 .b64 bar;\n"
/* Work items are CTA ids (x + 8 y); thread 0 stores item + 1 at out[item], and in the end how many
 * it has done at out[BY_CTA + own id]. */
#define CLC_LOOP                                                                                   \
    "mov.u32 %r20, bar; mov.u32 %r21, answer; mov.u32 %r22, 0; mov.u32 %r30, 0;\n"                 \
    "setp.ne.u32 %p1, %r1, 0; @%p1 ret;\n"                                                         \
    "mbarrier.init.shared.b64 [%r20], 1; fence.mbarrier_init.release.cluster;\n"                   \
    "mov.u32 %r10, %ctaid.x; mov.u32 %r11, %ctaid.y; mov.u32 %r12, %nctaid.x;\n"                   \
    "mad.lo.u32 %r13, %r11, %r12, %r10;\n"                                                         \
    "NEXT:\n"                                                                                      \
    "mbarrier.arrive.expect_tx.shared.b64 %rd9, [%r20], 16;\n"                                     \
    "clusterlaunchcontrol.try_cancel.async.shared::cta.mbarrier::complete_tx::bytes.b128 [%r21], " \
    "[%r20];\n"                                                                                    \
    "mad.lo.u32 %r14, %r11, %r12, %r10; mul.wide.u32 %rd3, %r14, 4; add.u64 %rd3, %rd1, %rd3;\n"   \
    "add.u32 %r15, %r14, 1; st.global.u32 [%rd3], %r15; add.u32 %r30, %r30, 1;\n"                  \
    "WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r20], %r22; @!%p2 bra WAIT;\n"          \
    "xor.b32 %r22, %r22, 1; ld.shared.b128 %q1, [%r21];\n"                                         \
    "clusterlaunchcontrol.query_cancel.is_canceled.pred.b128 %p3, %q1;\n"                          \
    "@!%p3 bra DONE;\n"                                                                            \
    "clusterlaunchcontrol.query_cancel.get_first_ctaid.v4.b32.b128 {%r10, %r11, %r16, _}, %q1;\n"  \
    "clusterlaunchcontrol.query_cancel.get_first_ctaid::x.b32.b128 %r17, %q1;\n"                   \
    "clusterlaunchcontrol.query_cancel.get_first_ctaid::y.b32.b128 %r18, %q1;\n"                   \
    "clusterlaunchcontrol.query_cancel.get_first_ctaid::z.b32.b128 %r19, %q1;\n"                   \
    "setp.ne.u32 %p4, %r17, %r10; setp.ne.or.u32 %p4, %r18, %r11, %p4; setp.ne.or.u32 %p4, %r19, " \
    "%r16, %p4; @%p4 trap;\n"                                                                      \
    "fence.proxy.async.shared::cta; bra NEXT;\n"                                                   \
    "DONE: mul.wide.u32 %rd3, %r13, 4; add.u64 %rd3, %rd1, %rd3;\n"                                \
    "st.global.u32 [%rd3+16384], %r30; ret;\n"

/* Each item once: all are marked, and the workers' counts add up to as many. */
static uint32_t check_items(uint32_t n)
{
    uint32_t done = 0, workers = 0;
    for (uint32_t i = 0; i < n; i++) {
        ck_assert_uint_eq(out[i], i + 1);
        done += out[BY_CTA + i];
        workers += out[BY_CTA + i] > 0;
    }
    ck_assert_uint_eq(done, n);
    return workers;
}

START_TEST(running_ctas_take_the_work_of_those_to_come)
{
    EACH_MODE(chip, 3)
    {
        chip.grid[0] = 8;
        chip.grid[1] = 5;
        chip.grid[2] = 1;
        ck_assert_msg(run(&chip, 0, 1, CLC_SHARED, CLC_LOOP), "%s", err.msg);
        ck_assert_uint_eq(check_items(40), 3);
        for (uint32_t i = 0; i < 40 && chip.threads; i++) /* the rule: every third item */
            ck_assert_uint_eq(out[BY_CTA + i], i >= 3 ? 0 : (40 - i + 2) / 3);
    }
}
END_TEST

/* A kernel that takes once and exits: the rest is launched as ever. */
START_TEST(what_nobody_takes_is_launched)
{
    static const char body[] =
        "mov.u32 %r20, bar; mov.u32 %r21, answer; setp.ne.u32 %p1, %r1, 0; @%p1 ret;\n"
        "mbarrier.init.shared.b64 [%r20], 1; mbarrier.arrive.expect_tx.shared.b64 %rd9, [%r20], "
        "16;\n"
        "clusterlaunchcontrol.try_cancel.async.shared::cta.mbarrier::complete_tx::bytes.b128 "
        "[%r21], [%r20];\n"
        "mov.u32 %r10, %ctaid.x; mul.wide.u32 %rd3, %r10, 4; add.u64 %rd3, %rd1, %rd3; mov.u32 "
        "%r11, 1; st.global.u32 [%rd3], %r11;\n"
        "WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r20], 0; @!%p2 bra WAIT;\n"
        "ld.shared.b128 %q1, [%r21]; clusterlaunchcontrol.query_cancel.is_canceled.pred.b128 %p3, "
        "%q1; @!%p3 ret;\n"
        "clusterlaunchcontrol.query_cancel.get_first_ctaid::x.b32.b128 %r10, %q1;\n"
        "mul.wide.u32 %rd3, %r10, 4; add.u64 %rd3, %rd1, %rd3; mov.u32 %r11, 2; st.global.u32 "
        "[%rd3], %r11; ret;\n";
    EACH_MODE(chip, 4)
    {
        ck_assert_msg(run(&chip, 27, 1, CLC_SHARED, body), "%s", err.msg);
        uint32_t launched = 0, taken = 0;
        for (uint32_t i = 0; i < 27; i++) {
            ck_assert(out[i] == 1 || out[i] == 2);
            launched += out[i] == 1;
            taken += out[i] == 2;
        }
        ck_assert_uint_ge(launched, taken);
        ck_assert_uint_ge(taken, 10);
        ck_assert_uint_eq(out[0], 1);
    }
}
END_TEST

/* Clusters of two: rank 0 asks for both, the answer and its bytes come to each. */
START_TEST(the_answer_is_multicast_to_the_cluster)
{
    static const char body[] =
        "mov.u32 %r20, bar; mov.u32 %r21, answer; mov.u32 %r22, 0; mov.u32 %r30, 0;\n"
        "setp.ne.u32 %p1, %r1, 0; mov.u32 %r10, %ctaid.x; mov.u32 %r23, %cluster_ctarank;\n"
        "@!%p1 mbarrier.init.shared.b64 [%r20], 1; fence.mbarrier_init.release.cluster;\n"
        "NEXT: barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;\n"
        "@%p1 bra WORK; mbarrier.arrive.expect_tx.shared.b64 %rd9, [%r20], 16;\n"
        "setp.ne.u32 %p5, %r23, 0; @%p5 bra WORK;\n"
        "clusterlaunchcontrol.try_cancel.async.shared::cta.mbarrier::complete_tx::bytes.multicast::"
        "cluster::all.b128 [%r21], [%r20];\n"
        "WORK: @%p1 bra WAIT; mul.wide.u32 %rd3, %r10, 4; add.u64 %rd3, %rd1, %rd3;\n"
        "add.u32 %r15, %r10, 1; st.global.u32 [%rd3], %r15; add.u32 %r30, %r30, 1;\n"
        "WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r20], %r22; @!%p2 bra WAIT;\n"
        "xor.b32 %r22, %r22, 1; ld.shared.b128 %q1, [%r21];\n"
        "clusterlaunchcontrol.query_cancel.is_canceled.pred.b128 %p3, %q1; @!%p3 bra DONE;\n"
        "clusterlaunchcontrol.query_cancel.get_first_ctaid::x.b32.b128 %r10, %q1;\n"
        "add.u32 %r10, %r10, %r23; bra NEXT;\n"
        "DONE: @%p1 ret; mov.u32 %r13, %ctaid.x; mul.wide.u32 %rd3, %r13, 4; add.u64 %rd3, %rd1, "
        "%rd3; st.global.u32 [%rd3+16384], %r30; ret;\n";
    EACH_MODE(chip, 4)
    {
        ck_assert_msg(run(&chip, 20, 2, CLC_SHARED, body), "%s", err.msg);
        ck_assert_uint_eq(check_items(20), 4);
    }
}
END_TEST

/* ---- Flags in global memory ---- */

/* Waits until the flag of the next CTA is up (the last one does not wait), then raises its own to
 * the next one's value plus 1. */
#define CHAIN(load)                                                                                \
    "setp.ne.u32 %p1, %r1, 0; @%p1 ret; mov.u32 %r10, %ctaid.x; mov.u32 %r11, %nctaid.x;\n"        \
    "mul.wide.u32 %rd3, %r10, 4; add.u64 %rd3, %rd1, %rd3; mov.u32 %r12, 0;\n"                     \
    "add.u32 %r13, %r10, 1; setp.eq.u32 %p2, %r13, %r11; @%p2 bra RAISE;\n"                        \
    "SPIN: " load " setp.eq.u32 %p3, %r12, 0; @%p3 bra SPIN;\n"                                    \
    "RAISE: add.u32 %r12, %r12, 1; st.release.gpu.global.u32 [%rd3], %r12; ret;\n"

static const char *const chains[] = {
    CHAIN("ld.acquire.gpu.global.u32 %r12, [%rd3+4];"),
    CHAIN("ld.volatile.global.u32 %r12, [%rd3+4];"),
    CHAIN("ld.relaxed.sys.u32 %r12, [%rd3+4]; nanosleep.u32 20;"),
    CHAIN("atom.global.add.u32 %r12, [%rd3+4], 0;"),
    CHAIN("atom.global.acquire.gpu.cas.b32 %r12, [%rd3+4], 77, 78;"),
};

START_TEST(a_cta_waits_for_one_that_starts_later)
{
    EACH_MODE(chip, 7)
    {
        ck_assert_msg(run(&chip, 7, 1, "", chains[_i]), "%s", err.msg);
        for (uint32_t i = 0; i < 7; i++)
            ck_assert_uint_eq(out[i], 7 - i);
    }
}
END_TEST

/* The same with one place too few on the chip: what the last CTA would raise never comes. */
START_TEST(waiting_for_a_cta_that_has_no_place_is_a_hang)
{
    EACH_MODE(chip, 6)
    {
        ck_assert(!run(&chip, 7, 1, "", chains[_i]));
        ck_assert_int_eq(err.kind, ERR_DEADLOCK);
        ck_assert_ptr_nonnull(strstr(err.msg, "CTA 5 warp 0"));
        ck_assert_ptr_null(strstr(err.msg, "CTA 6"));
    }
}
END_TEST

/* Ticket lock and sum: each CTA adds its id under the lock. */
START_TEST(a_lock_is_taken_in_turn)
{
    static const char body[] =
        "setp.ne.u32 %p1, %r1, 0; @%p1 ret; mov.u32 %r10, %ctaid.x;\n"
        "LOCK: atom.global.acquire.gpu.cas.b32 %r11, [%rd1], 0, 1; setp.ne.u32 %p2, %r11, 0;\n"
        "@%p2 bra LOCK; ld.global.u32 %r12, [%rd1+4]; add.u32 %r12, %r12, %r10;\n"
        "st.global.u32 [%rd1+4], %r12; st.release.gpu.global.u32 [%rd1], 0; ret;\n";
    EACH_MODE(chip, 5)
    {
        ck_assert_msg(run(&chip, 33, 1, "", body), "%s", err.msg);
        ck_assert_uint_eq(out[1], 32 * 33 / 2);
        ck_assert_uint_eq(out[0], 0);
    }
}
END_TEST

/* A whole grid meets at a counter; the counter is read with plain polls between. */
START_TEST(a_grid_barrier)
{
    static const char body[] =
        "setp.ne.u32 %p1, %r1, 0; @%p1 bra MEET; red.release.gpu.global.add.u32 [%rd1], 1;\n"
        "mov.u32 %r11, %nctaid.x;\n"
        "SPIN: ld.acquire.gpu.global.u32 %r10, [%rd1]; setp.lt.u32 %p2, %r10, %r11; @%p2 bra "
        "SPIN;\n"
        "MEET: bar.sync 0; @%p1 ret; ld.global.u32 %r12, [%rd1]; mov.u32 %r13, %ctaid.x;\n"
        "mul.wide.u32 %rd3, %r13, 4; add.u64 %rd3, %rd1, %rd3; st.global.u32 [%rd3+16384], %r12; "
        "ret;\n";
    EACH_MODE(chip, 12)
    {
        ck_assert_msg(run(&chip, 12, 1, "", body), "%s", err.msg);
        for (uint32_t i = 0; i < 12; i++)
            ck_assert_uint_eq(out[BY_CTA + i], 12);
    }
}
END_TEST

/* ---- Spins without end ---- */

static const char *const endless[] = {
    "L: ld.acquire.gpu.global.u32 %r2, [%rd1]; setp.eq.u32 %p1, %r2, 0; @%p1 bra L; ret;\n",
    "L: nanosleep.u32 100; ld.volatile.global.u32 %r2, [%rd1]; setp.eq.u32 %p1, %r2, 0; @%p1 bra "
    "L; ret;\n",
    "L: atom.global.cas.b32 %r2, [%rd1], 5, 6; setp.eq.u32 %p1, %r2, 0; @%p1 bra L; ret;\n",
    "L: bra L;\n",
    "mov.u32 %r20, bar; mbarrier.init.shared.b64 [%r20], 1; mov.u32 %r3, 1;\n"
    "L: mbarrier.test_wait.parity.shared.b64 %p2, [%r20], 0; xor.b32 %r3, %r3, 1; @!%p2 bra L;\n"
    "st.global.u32 [%rd1], %r3; ret;\n",
    "st.shared.u32 [bar], 0; L: ld.volatile.shared.u32 %r2, [bar]; setp.eq.u32 %p1, %r2, 0;\n"
    "@%p1 bra L; ret;\n",
};

START_TEST(a_spin_that_never_ends_is_a_deadlock)
{
    for (uint32_t threads = 0; threads < 3; threads++) {
        PtxChip chip = {.sms = 2, .threads = threads};
        ck_assert(!run(&chip, 1, 1, ".shared .align 8 .b64 bar;\n", endless[_i]));
        ck_assert_msg(err.kind == ERR_DEADLOCK, "%s", err.msg);
        ck_assert_ptr_nonnull(strstr(err.msg, "CTA 0 warp 0"));
    }
}
END_TEST

/* Counts its polls, so that it never comes back to the same state. */
START_TEST(a_spin_that_counts_is_a_deadlock_after_a_while)
{
    PtxChip chip = {.sms = 2, .threads = 1};
    ck_assert(!run(&chip, 1, 1, "",
                   "mov.u32 %r3, 0; L: add.u32 %r3, %r3, 1; ld.acquire.gpu.global.u32 %r2, "
                   "[%rd1]; setp.eq.u32 %p1, %r2, 0; @%p1 bra L; st.global.u32 [%rd1], %r3; "
                   "ret;\n"));
    ck_assert_int_eq(err.kind, ERR_DEADLOCK);
    ck_assert_ptr_nonnull(strstr(err.msg, "polls in vain"));
}
END_TEST

/* Long work between two looks at a flag is no hang: here 300000 turns of arithmetic without a
 * store, while the other CTA waits for it. */
START_TEST(long_work_is_no_hang)
{
    static const char body[] =
        "setp.ne.u32 %p1, %r1, 0; @%p1 ret; mov.u32 %r10, %ctaid.x; setp.eq.u32 %p2, %r10, 0;\n"
        "@%p2 bra SPIN; mov.u32 %r3, 0; mov.u32 %r4, 1;\n"
        "WORK: mad.lo.u32 %r4, %r4, 3, %r3; add.u32 %r3, %r3, 1; setp.lt.u32 %p3, %r3, 300000; "
        "@%p3 bra WORK;\n"
        "or.b32 %r4, %r4, 1; st.release.gpu.global.u32 [%rd1], %r4; ret;\n"
        "SPIN: ld.acquire.gpu.global.u32 %r2, [%rd1]; setp.eq.u32 %p3, %r2, 0; @%p3 bra SPIN;\n"
        "st.global.u32 [%rd1+4], %r2; ret;\n";
    EACH_MODE(chip, 2)
    {
        uint32_t want = 1;
        for (uint32_t i = 0; i < 300000; i++)
            want = want * 3 + i;
        ck_assert_msg(run(&chip, 2, 1, "", body), "%s", err.msg);
        ck_assert_uint_eq(out[1], want | 1);
    }
}
END_TEST

/* ---- The time of a request ---- */

/* Toy: 61 cycles for the answer and 7 between two at the scheduler. */
START_TEST(an_answer_takes_its_time)
{
    PtxChip slow = {.sms = 1, .set = "cancel.latency=1061"}, fast = {.sms = 1};
    ck_assert(run(&fast, 21, 1, CLC_SHARED, CLC_LOOP));
    ck_assert(run(&slow, 21, 1, CLC_SHARED, CLC_LOOP));
    uint64_t more = slow.cycles - fast.cycles; /* 21 requests, one after the other */
    ck_assert_uint_ge(more, 21 * 1000 - 21 * 61);
    ck_assert_uint_le(more, 21 * 1000 + 21 * 61);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("schedule");
    TCase *c = tcase_create("schedule");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, running_ctas_take_the_work_of_those_to_come);
    tcase_add_test(c, what_nobody_takes_is_launched);
    tcase_add_test(c, the_answer_is_multicast_to_the_cluster);
    tcase_add_loop_test(c, a_cta_waits_for_one_that_starts_later, 0, 5);
    tcase_add_loop_test(c, waiting_for_a_cta_that_has_no_place_is_a_hang, 0, 5);
    tcase_add_test(c, a_lock_is_taken_in_turn);
    tcase_add_test(c, a_grid_barrier);
    tcase_add_loop_test(c, a_spin_that_never_ends_is_a_deadlock, 0, 6);
    tcase_add_test(c, a_spin_that_counts_is_a_deadlock_after_a_while);
    tcase_add_test(c, long_work_is_no_hang);
    tcase_add_test(c, an_answer_takes_its_time);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
