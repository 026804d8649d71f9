/* Divergence: every kernel computes per lane what a plain C function of the lane computes. */
#include <check.h>

#include "tests/ptx_run.h"

static uint32_t out[PTX_OUT_BYTES / 4];

/* Result of each thread: st.global.u32 [%rd2], ... with %rd2 = out + 4 * tid. */
#define MINE "mul.wide.u32 %rd2, %r1, 4; add.s64 %rd2, %rd1, %rd2;\n"
#define PUT(reg) "st.global.u32 [%rd2], " reg ";\n"

static void run_with(const PtxRun *r, const char *globals, const char *body)
{
    Err err;
    bool ok = ptx_run(r, globals, body, out, &err);
    ck_assert_msg(ok, "line %u: %s", err.loc.line, err.msg);
}

static void run(const char *body)
{
    run_with(&(PtxRun){0}, "", body);
}

static void fails(const char *body, const char *what)
{
    Err err;
    ck_assert_msg(!ptx_run(&(PtxRun){0}, "", body, out, &err), "no fault: %s", body);
    ck_assert_int_eq(err.kind, ERR_FAULT);
    ck_assert_msg(strstr(err.msg, what), "'%s' says nothing of '%s'", err.msg, what);
}

START_TEST(if_else_by_lane)
{
    run(MINE "setp.lt.u32 %p1, %r1, 10; @%p1 bra A; mul.lo.u32 %r2, %r1, 3; bra B; A: add.u32 %r2, "
             "%r1, 100; B:" PUT("%r2") "ret;");
    for (uint32_t i = 0; i < 32; i++)
        ck_assert_uint_eq(out[i], i < 10 ? i + 100 : i * 3);
}
END_TEST

START_TEST(nested_branches)
{
    run(MINE "mov.u32 %r2, 0; and.b32 %r3, %r1, 1; setp.eq.u32 %p1, %r3, 0; @%p1 bra EVEN;\n"
             "add.u32 %r2, %r2, 1; setp.gt.u32 %p2, %r1, 15; @%p2 bra BIG; add.u32 %r2, %r2, 10; "
             "bra J1;\n"
             "BIG: add.u32 %r2, %r2, 20; J1: add.u32 %r2, %r2, 100; bra DONE;\n"
             "EVEN: setp.gt.u32 %p2, %r1, 7; @!%p2 bra J2; add.u32 %r2, %r2, 1000; J2: add.u32 "
             "%r2, %r2, 2000;\n"
             "DONE: add.u32 %r2, %r2, 5;" PUT("%r2") "ret;");
    for (uint32_t i = 0; i < 32; i++) {
        uint32_t want = i % 2 ? 1 + (i > 15 ? 20 : 10) + 100 : (i > 7 ? 1000 : 0) + 2000;
        ck_assert_uint_eq(out[i], want + 5);
    }
}
END_TEST

START_TEST(loops_with_different_trip_counts)
{
    run(MINE "mov.u32 %r2, 0; mov.u32 %r3, 0; L: setp.ge.u32 %p1, %r3, %r1; @%p1 bra E;\n"
             "mov.u32 %r4, 0; I: setp.ge.u32 %p2, %r4, %r3; @%p2 bra O; add.u32 %r2, %r2, %r4; "
             "add.u32 %r4, %r4, 1; bra I;\n"
             "O: add.u32 %r3, %r3, 1; bra L; E:" PUT("%r2") "ret;");
    for (uint32_t i = 0; i < 32; i++) {
        uint32_t sum = 0;
        for (uint32_t a = 0; a < i; a++)
            for (uint32_t b = 0; b < a; b++)
                sum += b;
        ck_assert_uint_eq(out[i], sum);
    }
}
END_TEST

START_TEST(lanes_that_exit_are_not_waited_for)
{
    run(MINE
        "mov.u32 %r9, 7;" PUT("%r9") "and.b32 %r3, %r1, 3; setp.eq.u32 %p1, %r3, 2; @%p1 exit;\n"
                                     "bar.warp.sync -1; activemask.b32 %r4; vote.sync.ballot.b32 "
                                     "%r5, 1, -1; xor.b32 %r6, %r4, %r5;\n"
                                     "add.u32 %r6, %r6, %r4;" PUT("%r6") "ret;");
    for (uint32_t i = 0; i < 32; i++)
        ck_assert_uint_eq(out[i], i % 4 == 2 ? 7 : 0xbbbbbbbb);
}
END_TEST

START_TEST(elect_region_runs_once)
{
    run_with(&(PtxRun){0}, ".shared .align 4 .b8 s[4];",
             MINE "mov.u32 %r2, 5; st.shared.u32 [s], 0; bar.warp.sync -1; elect.sync %r3|%p1, -1; "
                  "@!%p1 bra S;\n"
                  "atom.shared.add.u32 %r4, [s], 1; mov.u32 %r2, 9; S: bar.warp.sync -1; "
                  "ld.shared.u32 %r5, [s];\n"
                  "mad.lo.u32 %r2, %r5, 16, %r2; mad.lo.u32 %r2, %r3, 256, %r2;" PUT("%r2") "ret;");
    for (uint32_t i = 0; i < 32; i++)
        ck_assert_uint_eq(out[i], 16 + (i == 0 ? 9 : 5));
}
END_TEST

/* The branches end at different times; shfl must see all lanes. */
START_TEST(a_sync_instruction_reconverges)
{
    run(MINE "mov.u32 %r2, %r1; setp.gt.u32 %p1, %r1, 20; @%p1 bra A; mul.lo.u32 %r2, %r2, 7; B: "
             "bra C;\n"
             "A: add.u32 %r2, %r2, 1; add.u32 %r2, %r2, 1; C: shfl.sync.bfly.b32 %r3, %r2, 31, 31, "
             "-1;" PUT("%r3") "ret;");
    for (uint32_t i = 0; i < 32; i++) {
        uint32_t from = 31 - i;
        ck_assert_uint_eq(out[i], from > 20 ? from + 2 : from * 7);
    }
}
END_TEST

/* A jump over the sync instruction, to the other side of it and back: the splits meet there all the
 * same. */
START_TEST(splits_wait_where_they_are_needed)
{
    run(MINE "mov.u32 %r2, %r1; setp.lt.u32 %p1, %r1, 8; @%p1 bra FAR; NEAR: shfl.sync.idx.b32 "
             "%r3, %r2, 3, 31, -1;\n"
             "bra OUT; FAR: add.u32 %r2, %r2, 40; bra NEAR; OUT:" PUT("%r3") "ret;");
    for (uint32_t i = 0; i < 32; i++)
        ck_assert_uint_eq(out[i], 43);
}
END_TEST

START_TEST(warp_barriers_at_different_places_match)
{
    run_with(&(PtxRun){0}, ".shared .align 4 .b8 s[128];",
             MINE
             "mov.u32 %r4, s; mad.lo.u32 %r4, %r1, 4, %r4; setp.lt.u32 %p1, %r1, 16; @%p1 bra A;\n"
             "st.shared.u32 [%r4], %r1; bar.warp.sync -1; ld.shared.u32 %r2, [%r4+-64]; bra B;\n"
             "A: mul.lo.u32 %r5, %r1, 10; st.shared.u32 [%r4], %r5; bar.warp.sync -1; "
             "ld.shared.u32 %r2, [%r4+64]; B:" PUT("%r2") "ret;");
    for (uint32_t i = 0; i < 32; i++)
        ck_assert_uint_eq(out[i], i < 16 ? i + 16 : (i - 16) * 10);
}
END_TEST

START_TEST(a_sync_that_cannot_be_reached_is_a_fault)
{
    fails("setp.lt.u32 %p1, %r1, 4; @%p1 bra A; shfl.sync.idx.b32 %r3, %r1, 0, 31, -1; "
          "st.global.u32 [%rd1], %r3; ret;\n"
          "A: vote.sync.ballot.b32 %r4, 1, -1; st.global.u32 [%rd1], %r4; ret;",
          "diverged");
}
END_TEST

/* Lane 0 stands first in the code and spins until another lane, later in the code, has stored. */
START_TEST(polling_lanes_do_not_starve_the_others)
{
    run_with(
        &(PtxRun){0}, ".shared .align 4 .b8 flag[4];",
        MINE
        "setp.ne.u32 %p3, %r1, 0; @!%p3 st.shared.u32 [flag], 0; bar.warp.sync -1; @%p3 bra W; "
        "mov.u32 %r5, 0;\n"
        "SPIN: ld.volatile.shared.u32 %r4, [flag]; setp.eq.u32 %p1, %r4, 0; @%p1 bra SPIN; bra J;\n"
        "W: mov.u32 %r4, 1; setp.ne.u32 %p2, %r1, 31; @%p2 bra J; st.volatile.shared.u32 [flag], "
        "77; J:" PUT("%r4") "ret;");
    for (uint32_t i = 0; i < 32; i++)
        ck_assert_uint_eq(out[i], i == 0 ? 77 : 1);
}
END_TEST

/* The same with an mbarrier: the wait parks the warp, and the driver must let the other lanes run
 * (yield). */
START_TEST(a_lane_waits_for_an_arrival_of_its_own_warp)
{
    run_with(
        &(PtxRun){0}, ".shared .align 8 .b8 bar[8];",
        MINE
        "setp.ne.u32 %p3, %r1, 0; @%p3 bra I; mbarrier.init.shared::cta.b64 [bar], 1; I: "
        "bar.warp.sync -1; mov.u32 %r4, 3;\n"
        "setp.ge.u32 %p2, %r1, 4; @%p2 bra W; mov.u32 %r4, 8; L: "
        "mbarrier.try_wait.parity.shared::cta.b64 %p1, [bar], 0;\n"
        "@%p1 bra D; bra L; D: bra J;\n"
        "W: setp.ne.u32 %p4, %r1, 9; @%p4 bra J; mbarrier.arrive.shared::cta.b64 _, [bar]; J:" PUT(
            "%r4") "ret;");
    for (uint32_t i = 0; i < 32; i++)
        ck_assert_uint_eq(out[i], i < 4 ? 8 : 3);
}
END_TEST

START_TEST(the_last_warp_may_be_partial)
{
    run_with(
        &(PtxRun){.threads = 45, .fill = 0x11}, "",
        MINE
        "vote.sync.ballot.b32 %r2, 1, -1; setp.lt.u32 %p1, %r1, 36; @%p1 add.u32 %r2, %r2, 1;" PUT(
            "%r2") "ret;");
    for (uint32_t i = 0; i < 64; i++) {
        uint32_t lanes = i < 32 ? 0xffffffff : (1u << 13) - 1;
        ck_assert_uint_eq(out[i], i >= 45 ? 0x11111111 : i < 36 ? lanes + 1 : lanes);
    }
}
END_TEST

START_TEST(jump_tables_by_lane)
{
    run(MINE "and.b32 %r2, %r1, 3; T: .branchtargets A, B, C, D; brx.idx %r2, T; A: mov.u32 %r3, "
             "10; bra E; B: mov.u32 %r3, 20; bra E;\n"
             "C: mov.u32 %r3, 30; bra E; D: mov.u32 %r3, 40; E: shfl.sync.idx.b32 %r4, %r3, %r1, "
             "31, -1;" PUT("%r4") "ret;");
    for (uint32_t i = 0; i < 32; i++)
        ck_assert_uint_eq(out[i], 10 * (i % 4 + 1));
}
END_TEST

START_TEST(trap_and_calls_without_a_body_are_faults)
{
    fails("setp.eq.u32 %p1, %r1, 5; @%p1 trap; ret;", "lane 5");
}
END_TEST

/* The protocol of front.h on straight code: plain ranges and dynamic ops together are all ops in
 * order, once. */
START_TEST(ops_are_reported_once_and_in_order)
{
    PtxKernel k;
    bool ok = ptx_load(
        &k, &(PtxRun){0}, ".shared .align 4 .b8 s[256];",
        MINE "mov.u32 %r2, s; mad.lo.u32 %r2, %r1, 4, %r2; add.u32 %r3, %r1, 5; st.shared.u32 "
             "[%r2], %r3;\n"
             "setp.gt.u32 %p1, %r1, 99; @%p1 add.u32 %r3, %r3, 1; mul.lo.u32 %r4, %r3, %r3;\n"
             "ld.shared.u32 %r5, [%r2]; add.u32 %r5, %r5, %r4;" PUT("%r5") "ret;");
    ck_assert_msg(ok, "%s", k.err.msg);
    Exec *x;
    ck_assert(exec_new(&k.arena, &k.desc, &x, &k.err));
    Front *f = exec_front(x);
    ck_assert(f->ops->cta_start(f, 0, 0, &k.err));
    uint32_t next = 0, skipped = 0;
    for (;;) {
        OpRun r;
        Op ops[OP_BURST];
        f->ops->next(f, 0, 0, &r);
        if (r.n > 0) {
            ck_assert_uint_eq(r.first, next);
            next += r.n;
        }
        ck_assert_uint_eq(r.dyn, next);
        next++;
        ck_assert_uint_eq(f->ops->exec(f, 0, 0, 0, ops, &k.err), 1);
        ck_assert_uint_eq(ops[0].info, r.dyn);
        skipped += ops[0].kind == OK_SKIPPED;
        if (ops[0].kind == OK_EXIT)
            break;
    }
    OpRun end;
    f->ops->next(f, 0, 0, &end);
    ck_assert_uint_eq(end.dyn, OP_NONE);
    ck_assert_uint_le(next, k.code->n_ops);
    ck_assert_uint_eq(skipped, 1);
    exec_free(x);
    ptx_free(&k);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("divergence");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, if_else_by_lane);
    tcase_add_test(t, nested_branches);
    tcase_add_test(t, loops_with_different_trip_counts);
    tcase_add_test(t, lanes_that_exit_are_not_waited_for);
    tcase_add_test(t, elect_region_runs_once);
    tcase_add_test(t, a_sync_instruction_reconverges);
    tcase_add_test(t, splits_wait_where_they_are_needed);
    tcase_add_test(t, warp_barriers_at_different_places_match);
    tcase_add_test(t, a_sync_that_cannot_be_reached_is_a_fault);
    tcase_add_test(t, polling_lanes_do_not_starve_the_others);
    tcase_add_test(t, a_lane_waits_for_an_arrival_of_its_own_warp);
    tcase_add_test(t, the_last_warp_may_be_partial);
    tcase_add_test(t, jump_tables_by_lane);
    tcase_add_test(t, trap_and_calls_without_a_body_are_faults);
    tcase_add_test(t, ops_are_reported_once_and_in_order);
    Suite *s = suite_create("exec_ctl");
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
