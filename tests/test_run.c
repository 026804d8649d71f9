/* Small PTX programs on the runner without time: what is waited for is right, what is not reads
 * poison, what can never come is reported as a deadlock by name. */
#include <check.h>
#include <stdlib.h>

#include "tests/ptx_run.h"

#define POISON UINT32_MAX

static uint32_t out[PTX_OUT_BYTES / 4];
static Err err;

static void expect_run(const PtxRun *r, const char *globals, const char *body)
{
    ck_assert_msg(ptx_run(r, globals, body, out, &err), "line %u: %s", err.loc.line, err.msg);
}

static void expect_error(const PtxRun *r, const char *globals, const char *body, ErrKind kind,
                         const char *says)
{
    ck_assert(!ptx_run(r, globals, body, out, &err));
    ck_assert_int_eq(err.kind, kind);
    ck_assert_msg(strstr(err.msg, says) != NULL, "'%s' is not in: %s", says, err.msg);
}

#define SHARED ".shared .align 128 .b8 buf[1024]; .shared .align 8 .b64 bar;\n"
/* Lane 0 makes a barrier for one arrival and loads 256 bytes of the buffer at out + 1024; r20 =
 * bar, r21 = buf. */
#define LOAD(expect)                                                                               \
    "mov.u32 %r20, bar; mov.u32 %r21, buf; setp.ne.u32 %p1, %r1, 0;\n"                             \
    "@%p1 bra START;\n"                                                                            \
    "mbarrier.init.shared.b64 [%r20], 1;\n"                                                        \
    "mbarrier.arrive.expect_tx.shared.b64 %rd9, [%r20], " expect ";\n"                             \
    "add.u64 %rd2, %rd1, 1024;\n"                                                                  \
    "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r21], [%rd2], 256, "      \
    "[%r20];\n"                                                                                    \
    "START: bar.sync 0;\n"
#define WAIT                                                                                       \
    "{ .reg .pred P1; LAB_WAIT: mbarrier.try_wait.parity.shared::cta.b64 P1, [%r20], 0;\n"         \
    "@P1 bra DONE; bra LAB_WAIT; DONE: }\n"
#define COPY_OUT                                                                                   \
    "shl.b32 %r3, %r1, 2; add.u32 %r4, %r21, %r3; ld.shared.u32 %r5, [%r4];\n"                     \
    "cvt.u64.u32 %rd3, %r3; add.u64 %rd3, %rd1, %rd3; st.global.u32 [%rd3], %r5;\n"                \
    "ret;\n"

START_TEST(a_load_that_is_waited_for)
{
    PtxRun r = {.threads = 64, .fill = 0x5a};
    expect_run(&r, SHARED, LOAD("256") WAIT COPY_OUT);
    for (uint32_t i = 0; i < 64; i++)
        ck_assert_uint_eq(out[i], 0x5a5a5a5a);
}
END_TEST

START_TEST(a_load_that_is_not_waited_for_reads_poison)
{
    PtxRun r = {.threads = 64, .fill = 0x5a};
    expect_run(&r, SHARED, LOAD("256") COPY_OUT);
    for (uint32_t i = 0; i < 64; i++)
        ck_assert_uint_eq(out[i], POISON);
}
END_TEST

START_TEST(expecting_too_much_is_a_deadlock)
{
    PtxRun r = {.threads = 64};
    expect_error(&r, SHARED, LOAD("272") WAIT COPY_OUT, ERR_DEADLOCK, "256 of 272 bytes");
    ck_assert_ptr_nonnull(strstr(err.msg, "warps 0-1"));
    ck_assert_ptr_nonnull(strstr(err.msg, "1 of 1 arrivals"));
    ck_assert_uint_gt(err.loc.line, 0);
}
END_TEST

START_TEST(a_poll_in_vain_is_a_deadlock)
{
    PtxRun r = {0};
    expect_error(&r, SHARED,
                 "mov.u32 %r20, bar; mbarrier.init.shared.b64 [%r20], 2;\n"
                 "mov.u32 %r7, 0;\n"
                 "AGAIN: mbarrier.test_wait.parity.shared.b64 %p2, [%r20], 0;\n"
                 "add.u32 %r7, %r7, 1; st.shared.u32 [buf], %r7;\n"
                 "@!%p2 bra AGAIN; ret;\n",
                 ERR_DEADLOCK, "polls in vain");
}
END_TEST

START_TEST(an_arrival_too_few_is_a_deadlock)
{
    PtxRun r = {0};
    expect_error(&r, SHARED,
                 "mov.u32 %r20, bar; setp.ne.u32 %p1, %r1, 0;\n"
                 "@!%p1 mbarrier.init.shared.b64 [%r20], 3; bar.warp.sync -1;\n"
                 "setp.lt.u32 %p2, %r1, 2; @%p2 mbarrier.arrive.shared.b64 _, [%r20]; "
                 "bar.warp.sync -1;\n" WAIT "ret;\n",
                 ERR_DEADLOCK, "2 of 3 arrivals");
}
END_TEST

START_TEST(an_arrival_too_many_is_a_fault)
{
    PtxRun r = {0};
    expect_error(&r, SHARED,
                 "mov.u32 %r20, bar; setp.ne.u32 %p1, %r1, 0;\n"
                 "@!%p1 mbarrier.init.shared.b64 [%r20], 31; bar.warp.sync -1;\n"
                 "mbarrier.arrive.shared.b64 _, [%r20]; ret;\n",
                 ERR_FAULT, "more arrivals than pend");
}
END_TEST

START_TEST(a_missing_warp_at_a_barrier)
{
    PtxRun r = {.threads = 96};
    expect_error(&r, "",
                 "setp.ge.u32 %p1, %r1, 64; @%p1 bra OUT;\n"
                 "bar.sync 3, 96;\nOUT: mov.u32 %r2, 1; bar.sync 4, 64; ret;\n",
                 ERR_DEADLOCK, "barrier 3: 64 of 96 threads");
}
END_TEST

START_TEST(exited_threads_count_at_a_barrier_of_the_cta)
{
    PtxRun r = {.threads = 96};
    expect_run(&r, "",
               "setp.ge.u32 %p1, %r1, 64; @%p1 ret;\n"
               "bar.sync 0; shl.b32 %r3, %r1, 2; cvt.u64.u32 %rd3, %r3; add.u64 %rd3, %rd1, %rd3;\n"
               "st.global.u32 [%rd3], %r1; ret;\n");
    for (uint32_t i = 0; i < 64; i++)
        ck_assert_uint_eq(out[i], i);
}
END_TEST

START_TEST(lanes_of_one_warp_may_wait_for_each_other)
{
    PtxRun r = {0};
    expect_run(&r, SHARED,
               "mov.u32 %r20, bar; setp.ne.u32 %p1, %r1, 0;\n"
               "@!%p1 mbarrier.init.shared.b64 [%r20], 31; bar.warp.sync -1;\n"
               "@%p1 bra ARRIVE;\n" WAIT "st.global.u32 [%rd1], 77; bra OUT;\n"
               "ARRIVE: mbarrier.arrive.shared.b64 _, [%r20];\n"
               "OUT: ret;\n");
    ck_assert_uint_eq(out[0], 77);
}
END_TEST

/* A bulk store of 512 bytes of threes; the source then becomes fours. */
#define STORE(wait)                                                                                \
    "mov.u32 %r21, buf; shl.b32 %r3, %r1, 4; add.u32 %r4, %r21, %r3; mov.u32 %r5, 3; mov.u32 "     \
    "%r6, 4;\n"                                                                                    \
    "st.shared.v4.u32 [%r4], {%r5,%r5,%r5,%r5}; fence.proxy.async.shared::cta; bar.sync 0;\n"      \
    "setp.ne.u32 %p1, %r1, 0; @%p1 bra NEXT;\n"                                                    \
    "cp.async.bulk.global.shared::cta.bulk_group [%rd1], [%r21], 512; "                            \
    "cp.async.bulk.commit_group;\n" wait                                                           \
    "NEXT: bar.sync 0; st.shared.v4.u32 [%r4], {%r6,%r6,%r6,%r6}; ret;\n"

START_TEST(a_store_reads_its_source_late)
{
    PtxRun r = {0};
    expect_run(&r, SHARED, STORE("cp.async.bulk.wait_group.read 0;\n"));
    for (uint32_t i = 0; i < 128; i++)
        ck_assert_uint_eq(out[i], 3);
    expect_run(&r, SHARED, STORE(""));
    for (uint32_t i = 0; i < 128; i++)
        ck_assert_uint_eq(out[i], 4); /* forgot to wait */
}
END_TEST

START_TEST(groups_are_waited_for_by_number)
{
    static const char body[] =
        "mov.u32 %r21, buf; setp.ne.u32 %p1, %r1, 0; @%p1 ret;\n"
        "st.shared.u32 [%r21], 1; st.shared.u32 [%r21+16], 2; st.shared.u32 [%r21+32], 3;\n"
        "cp.async.bulk.global.shared::cta.bulk_group [%rd1], [%r21], 16; "
        "cp.async.bulk.commit_group;\n"
        "add.u64 %rd2, %rd1, 16; add.u32 %r22, %r21, 16;\n"
        "cp.async.bulk.global.shared::cta.bulk_group [%rd2], [%r22], 16; "
        "cp.async.bulk.commit_group;\n"
        "cp.async.bulk.wait_group 1;\n"
        "ld.global.u32 %r5, [%rd1]; ld.global.u32 %r6, [%rd1+16]; st.global.u32 [%rd1+64], %r5;\n"
        "st.global.u32 [%rd1+68], %r6; ret;\n";
    PtxRun r = {0};
    expect_run(&r, SHARED, body);
    ck_assert_uint_eq(out[0], 1);
    ck_assert_uint_eq(out[4], 2);
    ck_assert_uint_eq(out[16], 1); /* the older group is there */
    ck_assert_uint_eq(out[17], 0); /* the younger one is not yet */
}
END_TEST

#define CPASYNC(wait)                                                                              \
    "mov.u32 %r21, buf; shl.b32 %r3, %r1, 2; add.u32 %r4, %r21, %r3; cvt.u64.u32 %rd3, %r3;\n"     \
    "add.u64 %rd2, %rd1, %rd3; cp.async.ca.shared.global [%r4], [%rd2+1024], 4; "                  \
    "cp.async.commit_group;\n" wait COPY_OUT

START_TEST(cp_async_and_its_groups)
{
    PtxRun r = {.fill = 0x33};
    expect_run(&r, SHARED, CPASYNC("cp.async.wait_group 0;\n"));
    ck_assert_uint_eq(out[31], 0x33333333);
    expect_run(&r, SHARED, CPASYNC(""));
    ck_assert_uint_eq(out[31], POISON);
}
END_TEST

START_TEST(cp_async_arrives_on_an_mbarrier)
{
    PtxRun r = {.fill = 0x44};
    expect_run(&r, SHARED,
               "mov.u32 %r20, bar; mov.u32 %r21, buf; setp.ne.u32 %p1, %r1, 0;\n"
               "@!%p1 mbarrier.init.shared.b64 [%r20], 32; bar.warp.sync -1;\n"
               "shl.b32 %r3, %r1, 2; add.u32 %r4, %r21, %r3; cvt.u64.u32 %rd3, %r3; add.u64 %rd2, "
               "%rd1, %rd3;\n"
               "cp.async.ca.shared.global [%r4], [%rd2+1024], 4;\n"
               "cp.async.mbarrier.arrive.noinc.shared.b64 [%r20];\n" WAIT COPY_OUT);
    for (uint32_t i = 0; i < 32; i++)
        ck_assert_uint_eq(out[i], 0x44444444);
}
END_TEST

#define TMEM ".shared .align 8 .b32 taddr;\n"

START_TEST(tensor_memory_keeps_what_was_stored)
{
    static const char body[] =
        "mov.u32 %r20, taddr; tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%r20], 64;\n"
        "ld.shared.u32 %r21, [%r20]; add.u32 %r7, %r1, 100; add.u32 %r8, %r1, 200;\n"
        "tcgen05.st.sync.aligned.32x32b.x2.b32 [%r21], {%r7, %r8}; %s\n"
        "tcgen05.ld.sync.aligned.32x32b.x2.b32 {%r9, %r10}, [%r21]; "
        "tcgen05.wait::ld.sync.aligned;\n"
        "shl.b32 %r3, %r1, 3; cvt.u64.u32 %rd3, %r3; add.u64 %rd3, %rd1, %rd3;\n"
        "st.global.v2.u32 [%rd3], {%r9, %r10};\n"
        "tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r21, 64; ret;\n";
    char text[sizeof body + 64];
    PtxRun r = {0};
    const char *cut = strstr(body, "%s");
    for (int waits = 0; waits < 2; waits++) {
        snprintf(text, sizeof text, "%.*s%s%s", (int)(cut - body), body,
                 waits ? "tcgen05.wait::st.sync.aligned;" : "", cut + 2);
        expect_run(&r, TMEM, text);
        for (uint32_t i = 0; i < 32; i++) {
            ck_assert_uint_eq(out[2 * i], 100 + i); /* without the wait, too: drive.c */
            ck_assert_uint_eq(out[2 * i + 1], 200 + i);
        }
    }
}
END_TEST

START_TEST(two_allocations_that_do_not_fit)
{
    PtxRun r = {.threads = 64};
    expect_error(
        &r, ".shared .align 8 .b32 taddr[2];\n",
        "mov.u32 %r20, taddr; shr.u32 %r2, %r1, 5; shl.b32 %r2, %r2, 2; add.u32 %r20, %r20, %r2;\n"
        "tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%r20], 512; ret;\n",
        ERR_DEADLOCK, "512 columns of tensor memory");
}
END_TEST

/* D = A B with A 128 x 16 of ones and B 8 x 16 of twos, both K-major without swizzle: 32
 * everywhere. */
#define MMA(wait)                                                                                  \
    "mov.u32 %r20, taddr; mov.u32 %r21, tiles; mov.u32 %r22, done; shr.u32 %r2, %r1, 5; "          \
    "setp.ne.u32 %p1, %r2, 0;\n"                                                                   \
    "@%p1 bra FILL;\n"                                                                             \
    "tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%r20], 32;\n"                        \
    "setp.ne.u32 %p2, %r1, 0; @!%p2 mbarrier.init.shared.b64 [%r22], 1;\n"                         \
    "FILL: mov.u32 %r5, 0x3f803f80; mov.u32 %r6, 0x40004000; shl.b32 %r3, %r1, 5; add.u32 %r4, "   \
    "%r21, %r3;\n"                                                                                 \
    "st.shared.v4.b32 [%r4], {%r5,%r5,%r5,%r5}; st.shared.v4.b32 [%r4+16], {%r5,%r5,%r5,%r5};\n"   \
    "setp.lt.u32 %p3, %r1, 8; @%p3 st.shared.v4.b32 [%r4+4096], {%r6,%r6,%r6,%r6};\n"              \
    "@%p3 st.shared.v4.b32 [%r4+4112], {%r6,%r6,%r6,%r6};\n"                                       \
    "fence.proxy.async.shared::cta; bar.sync 0; ld.shared.u32 %r23, [%r20];\n"                     \
    "setp.ne.u32 %p2, %r1, 0; @%p2 bra READ;\n" /* start | LBO 2048 or 128 | SBO 128 | 0b001 << 46 \
                                                 */                                                \
    "cvt.u64.u32 %rd4, %r21; shr.u64 %rd4, %rd4, 4; add.u64 %rd5, %rd4, 256;\n"                    \
    "or.b64 %rd6, %rd4, 0x0000400800800000; or.b64 %rd7, %rd5, 0x0000400800080000;\n"              \
    "mov.u32 %r10, 0x08020490; setp.ne.u32 %p4, %r1, %r1;\n"                                       \
    "tcgen05.mma.cta_group::1.kind::f16 [%r23], %rd6, %rd7, %r10, %p4;\n"                          \
    "tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.b64 [%r22];\n"              \
    "READ: " wait "bar.warp.sync -1;\n"                                                            \
    "and.b32 %r11, %r2, 3; shl.b32 %r11, %r11, 21; add.u32 %r12, %r23, %r11;\n"                    \
    "tcgen05.ld.sync.aligned.32x32b.x8.b32 {%r30,%r31,%r32,%r33,%r34,%r35,%r36,%r37}, [%r12];\n"   \
    "cvt.u64.u32 %rd3, %r3; add.u64 %rd3, %rd1, %rd3; st.global.v4.b32 [%rd3], "                   \
    "{%r30,%r31,%r32,%r33};\n"                                                                     \
    "st.global.v4.b32 [%rd3+16], {%r34,%r35,%r36,%r37}; bar.sync 0; @%p1 ret;\n"                   \
    "tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r23, 32; ret;\n"
#define MMA_SHARED                                                                                 \
    ".shared .align 128 .b8 tiles[4608]; .shared .align 8 .b64 done; .shared .align 8 .b32 "       \
    "taddr;\n"
#define MMA_WAIT                                                                                   \
    "{ .reg .pred P1; LAB_WAIT: mbarrier.try_wait.parity.shared::cta.b64 P1, [%r22], 0;\n"         \
    "@P1 bra DONE; bra LAB_WAIT; DONE: }\n"

START_TEST(an_mma_is_seen_after_its_commit_only)
{
    PtxRun r = {.threads = 128};
    expect_run(&r, MMA_SHARED, MMA(MMA_WAIT));
    for (uint32_t i = 0; i < 128 * 8; i++)
        ck_assert_uint_eq(out[i], 0x42000000); /* 32.0f */
    expect_run(&r, MMA_SHARED, MMA(""));
    for (uint32_t i = 0; i < 128 * 8; i++)
        ck_assert_uint_eq(out[i], POISON);
}
END_TEST

START_TEST(ctas_of_a_cluster_signal_each_other)
{
    static const char body[] =
        "mov.u32 %r20, bar; mov.u32 %r2, %cluster_ctarank; setp.ne.u32 %p1, %r1, 0;\n"
        "@!%p1 mbarrier.init.shared.b64 [%r20], 32;\n"
        "barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;\n"
        "xor.b32 %r3, %r2, 1; mapa.shared::cluster.u32 %r4, %r20, %r3;\n"
        "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r4];\n" WAIT
        "mov.u32 %r5, %ctaid.x; shl.b32 %r6, %r5, 5; add.u32 %r6, %r6, %r1; shl.b32 %r6, %r6, 2;\n"
        "cvt.u64.u32 %rd3, %r6; add.u64 %rd3, %rd1, %rd3; shl.b32 %r7, %r4, 0; shr.u32 %r7, %r7, "
        "24;\n"
        "st.global.u32 [%rd3], %r7; barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned; "
        "ret;\n";
    PtxRun r = {.grid = 4, .cluster = 2};
    expect_run(&r, SHARED, body);
    for (uint32_t i = 0; i < 128; i++)
        ck_assert_uint_eq(out[i], i / 32 % 2 ? 0 : 1);
}
END_TEST

START_TEST(bytes_do_not_depend_on_the_number_of_threads)
{
    static const char body[] = "mov.u32 %r2, %ctaid.x; shl.b32 %r3, %r2, 5; add.u32 %r3, %r3, %r1; "
                               "mul.lo.u32 %r4, %r3, 2654435761;\n"
                               "shl.b32 %r5, %r3, 2; cvt.u64.u32 %rd3, %r5; add.u64 %rd3, %rd1, "
                               "%rd3; st.global.u32 [%rd3], %r4; ret;\n";
    static uint32_t results[2][PTX_OUT_BYTES / 4];
    for (uint32_t i = 0; i < 2; i++) {
        PtxKernel k;
        PtxRun r = {.grid = 100};
        RunStats stats;
        ck_assert_msg(ptx_load(&k, &r, "", body), "%s", k.err.msg);
        ck_assert(exec_run(&k.arena, &k.desc, 0, 0, i ? 3 : 1, &stats, &k.err));
        ck_assert_uint_eq(stats.ctas, 100);
        memcpy(results[i], mem_ptr(k.mem, k.out, PTX_OUT_BYTES), PTX_OUT_BYTES);
        ptx_free(&k);
    }
    ck_assert_int_eq(memcmp(results[0], results[1], PTX_OUT_BYTES), 0);
    for (uint32_t i = 0; i < 3200; i++)
        ck_assert_uint_eq(results[0][i], i * 2654435761u);
}
END_TEST

START_TEST(the_first_failing_cta_is_reported)
{
    static const char body[] =
        "mov.u32 %r2, %ctaid.x; setp.lt.u32 %p1, %r2, 40; @%p1 ret;\n"
        "shl.b32 %r3, %r2, 0; mul.wide.u32 %rd3, %r2, 65536; add.u64 %rd3, %rd1, %rd3;\n"
        "st.global.u32 [%rd3], %r1; ret;\n";
    for (uint32_t threads = 1; threads <= 4; threads += 3) {
        PtxKernel k;
        PtxRun r = {.grid = 100};
        ck_assert(ptx_load(&k, &r, "", body));
        ck_assert(!exec_run(&k.arena, &k.desc, 0, 0, threads, NULL, &k.err));
        ck_assert_int_eq(k.err.kind, ERR_FAULT);
        ck_assert_msg(strstr(k.err.msg, "CTA (40, 0, 0)") != NULL, "%s", k.err.msg);
        ptx_free(&k);
    }
}
END_TEST

START_TEST(a_part_of_the_grid)
{
    static const char body[] =
        "mov.u32 %r2, %ctaid.x; shl.b32 %r5, %r2, 2; cvt.u64.u32 %rd3, %r5;\n"
        "add.u64 %rd3, %rd1, %rd3; st.global.u32 [%rd3], 1; ret;\n";
    PtxKernel k;
    PtxRun r = {.grid = 10};
    ck_assert(ptx_load(&k, &r, "", body));
    ck_assert(exec_run(&k.arena, &k.desc, 3, 4, 2, NULL, &k.err));
    const uint32_t *p = mem_ptr(k.mem, k.out, 40);
    for (uint32_t i = 0; i < 10; i++)
        ck_assert_uint_eq(p[i], i >= 3 && i < 7);
    ptx_free(&k);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("run");
    TCase *t = tcase_create("run");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_load_that_is_waited_for);
    tcase_add_test(t, a_load_that_is_not_waited_for_reads_poison);
    tcase_add_test(t, expecting_too_much_is_a_deadlock);
    tcase_add_test(t, a_poll_in_vain_is_a_deadlock);
    tcase_add_test(t, an_arrival_too_few_is_a_deadlock);
    tcase_add_test(t, an_arrival_too_many_is_a_fault);
    tcase_add_test(t, a_missing_warp_at_a_barrier);
    tcase_add_test(t, exited_threads_count_at_a_barrier_of_the_cta);
    tcase_add_test(t, lanes_of_one_warp_may_wait_for_each_other);
    tcase_add_test(t, a_store_reads_its_source_late);
    tcase_add_test(t, groups_are_waited_for_by_number);
    tcase_add_test(t, cp_async_and_its_groups);
    tcase_add_test(t, cp_async_arrives_on_an_mbarrier);
    tcase_add_test(t, tensor_memory_keeps_what_was_stored);
    tcase_add_test(t, two_allocations_that_do_not_fit);
    tcase_add_test(t, an_mma_is_seen_after_its_commit_only);
    tcase_add_test(t, ctas_of_a_cluster_signal_each_other);
    tcase_add_test(t, bytes_do_not_depend_on_the_number_of_threads);
    tcase_add_test(t, the_first_failing_cta_is_reported);
    tcase_add_test(t, a_part_of_the_grid);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
