/* Calls, printing, assertions, reductions at barriers, byte moves: small kernels as text. */
#include "tests/ptx_run.h"

#include <check.h>
#include <unistd.h>

static uint32_t out[PTX_OUT_BYTES / 4];
static Err err;

static void run(const PtxRun *r, const char *globals, const char *body)
{
    ck_assert_msg(ptx_run(r, globals, body, out, &err), "%s", err.msg);
}

/* %r9 -> out[tid] */
#define STORE                                                                                      \
    "mul.wide.u32 %rd20, %r1, 4; add.u64 %rd20, %rd1, %rd20; st.global.u32 [%rd20], %r9;\n"

static const char two_functions[] =
    ".func (.param .b32 r) twice(.param .b32 a)\n"
    "{ .reg .b32 %r<4>; ld.param.b32 %r1,[a]; add.s32 %r2,%r1,%r1; st.param.b32 [r],%r2; ret; }\n"
    ".func (.param .b32 r) square(.param .b32 a)\n"
    "{ .reg .b32 %r<4>; ld.param.b32 %r1,[a]; mul.lo.s32 %r2,%r1,%r1; st.param.b32 [r],%r2; ret; "
    "}\n"
    ".global .align 8 .u64 table[2] = {twice, square};\n";

#define CALL_POINTER                                                                               \
    "{ .param .b32 p0; .param .b32 q0; st.param.b32 [p0], %r1;\n"                                  \
    "P: .callprototype (.param .b32 _) _ (.param .b32 _);\n"                                       \
    "call (q0), %rd5, (p0), P; ld.param.b32 %r9, [q0]; }\n"

START_TEST(a_pointer_calls_what_each_thread_has)
{
    run(&(PtxRun){0}, two_functions,
        "mov.u64 %rd3, twice; mov.u64 %rd4, square; and.b32 %r2, %r1, 1; setp.eq.u32 %p1, %r2, 0;\n"
        "selp.b64 %rd5, %rd3, %rd4, %p1;\n" CALL_POINTER STORE);
    for (uint32_t i = 0; i < 32; i++)
        ck_assert_uint_eq(out[i], i % 2 ? i * i : i + i);
}
END_TEST

START_TEST(a_table_of_functions_in_memory_works)
{
    run(&(PtxRun){0}, two_functions,
        "and.b32 %r2, %r1, 1; mul.wide.u32 %rd3, %r2, 8; mov.u64 %rd4, table; add.u64 %rd4, %rd4, "
        "%rd3;\nld.global.u64 %rd5, [%rd4];\n" CALL_POINTER STORE);
    for (uint32_t i = 0; i < 32; i++)
        ck_assert_uint_eq(out[i], i % 2 ? i * i : i + i);
}
END_TEST

START_TEST(a_wrong_pointer_is_a_fault)
{
    ck_assert(!ptx_run(&(PtxRun){0}, two_functions,
                       "mov.u64 %rd3, twice; add.u64 %rd5, %rd3, 4;\n" CALL_POINTER STORE, out,
                       &err));
    ck_assert_int_eq(err.kind, ERR_FAULT);
    ck_assert_msg(strstr(err.msg, "names no function"), "%s", err.msg);
}
END_TEST

/* A function's local array and its caller's are different memory. */
START_TEST(local_variables_of_a_function_are_its_own)
{
    run(&(PtxRun){0},
        ".func (.param .b32 r) f(.param .b32 a)\n{ .local .align 16 .b8 d[64]; .reg .b32 %r<9>;\n"
        "ld.param.b32 %r1,[a]; st.local.u32 [d], 77; st.local.u32 [d+60], %r1;\n"
        "ld.local.u32 %r2, [d+60]; add.u32 %r2, %r2, 1; st.param.b32 [r], %r2; ret; }\n",
        ".local .align 16 .b8 depot[32]; st.local.u32 [depot], %r1; st.local.u32 [depot+28], 5;\n"
        "{ .param .b32 p0; .param .b32 q0; st.param.b32 [p0], %r1; call (q0), f, (p0);\n"
        "ld.param.b32 %r4, [q0]; }\n"
        "ld.local.u32 %r5, [depot]; ld.local.u32 %r6, [depot+28]; mad.lo.u32 %r9, %r5, 1000, %r4;\n"
        "mad.lo.u32 %r9, %r6, 1000000, %r9;\n" STORE);
    for (uint32_t i = 0; i < 32; i++)
        ck_assert_uint_eq(out[i], 5000000 + 1000 * i + i + 1);
}
END_TEST

/* ---- What the CUDA runtime gives ---- */

#define PRINT                                                                                      \
    "mov.u64 %rd10, fmt; cvta.global.u64 %rd10, %rd10; mov.u64 %rd11, args; cvta.local.u64 "       \
    "%rd11, "                                                                                      \
    "%rd11;\n"                                                                                     \
    "{ .param .b64 p0; .param .b64 p1; .param .b32 q0; st.param.b64 [p0], %rd10; st.param.b64 "    \
    "[p1], %rd11;\ncall.uni (q0), vprintf, (p0, p1); ld.param.b32 %r9, [q0]; }\n"

START_TEST(printf_prints_what_the_host_would)
{
    static const char format[] = "%d|%-5u|%08.3f|%c|%s|%#llx|%%|%*d\n";
    char globals[1024], text[512], want[512];
    int n = snprintf(globals, sizeof globals,
                     ".extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);\n"
                     ".global .align 1 .b8 str[4] = {97, 98, 99, 0};\n"
                     ".global .align 1 .b8 fmt[%zu] = {",
                     sizeof format);
    for (size_t i = 0; i < sizeof format; i++)
        n += snprintf(globals + n, sizeof globals - (size_t)n, "%s%d", i ? "," : "", format[i]);
    snprintf(globals + n, sizeof globals - (size_t)n, "};\n");
    fflush(stderr);
    FILE *to = tmpfile();
    int old = dup(2);
    dup2(fileno(to), 2);
    bool ok =
        ptx_run(&(PtxRun){.threads = 64}, globals,
                ".local .align 8 .b8 args[64]; neg.s32 %r2, %r1; st.local.u32 [args], %r2;\n"
                "st.local.u32 [args+4], 42; st.local.f64 [args+8], 0d400921FB54442D18;\n"
                "st.local.u32 [args+16], 120; mov.u64 %rd3, str; cvta.global.u64 %rd3, %rd3;\n"
                "st.local.u64 [args+24], %rd3; st.local.u64 [args+32], 0x123456789a;\n"
                "st.local.u32 [args+40], 4; st.local.u32 [args+44], 7;\n"
                "setp.eq.u32 %p1, %r1, 33; mov.u32 %r9, 0; @!%p1 bra DONE;\n" PRINT "DONE:\n" STORE,
                out, &err);
    fflush(stderr);
    dup2(old, 2);
    close(old);
    rewind(to);
    text[fread(text, 1, sizeof text - 1, to)] = 0;
    fclose(to);
    ck_assert_msg(ok, "%s", err.msg);
    snprintf(want, sizeof want, format, -33, 42u, 3.14159265358979311600, 'x', "abc",
             0x123456789aULL, 4, 7);
    ck_assert_str_eq(text, want);
    ck_assert_uint_eq(out[33], 8);
    ck_assert_uint_eq(out[32], 0);
}
END_TEST

START_TEST(a_failed_assertion_is_a_fault_with_its_text)
{
    bool ok = ptx_run(
        &(PtxRun){0},
        ".extern .func __assertfail (.param .b64 a, .param .b64 b, .param .b32 c, .param .b64 d, "
        ".param .b64 e);\n.global .align 1 .b8 msg[6] = {120, 32, 62, 32, 48, 0};\n"
        ".global .align 1 .b8 file[5] = {97, 46, 99, 117, 0};\n"
        ".global .align 1 .b8 name[2] = {102, 0};\n",
        "mov.u64 %rd2, msg; cvta.global.u64 %rd2, %rd2; mov.u64 %rd3, file; cvta.global.u64 %rd3, "
        "%rd3;\nmov.u64 %rd4, name; cvta.global.u64 %rd4, %rd4; setp.ne.u32 %p1, %r1, 5;\n"
        "@%p1 bra DONE;\n{ .param .b64 p0; .param .b64 p1; .param .b32 p2; .param .b64 p3; .param "
        ".b64 p4;\nst.param.b64 [p0], %rd2; st.param.b64 [p1], %rd3; st.param.b32 [p2], 12;\n"
        "st.param.b64 [p3], %rd4; st.param.b64 [p4], 1;\n"
        "call.uni __assertfail, (p0, p1, p2, p3, p4); }\nDONE: ret;\n",
        out, &err);
    ck_assert(!ok);
    ck_assert_int_eq(err.kind, ERR_FAULT);
    ck_assert_msg(strstr(err.msg, "a.cu:12: f: thread [5,0,0] Assertion `x > 0` failed."), "%s",
                  err.msg);
}
END_TEST

/* ---- Reductions at a barrier ---- */

START_TEST(a_barrier_reduces_the_predicates_of_its_threads)
{
    run(&(PtxRun){.threads = 128}, "",
        "setp.lt.u32 %p1, %r1, 37; bar.red.popc.u32 %r2, 0, %p1;\n"                       /* 37 */
        "bar.red.popc.u32 %r3, 0, !%p1;\n"                                                /* 91 */
        "bar.red.or.pred %p2, 0, %p1; bar.red.and.pred %p3, 0, %p1;\n"                    /* 1 0 */
        "setp.lt.u32 %p4, %r1, 500; barrier.cta.red.and.aligned.pred %p5, 1, 128, %p4;\n" /* 1 */
        "selp.u32 %r4, 1, 0, %p2; selp.u32 %r5, 1, 0, %p3; selp.u32 %r6, 1, 0, %p5;\n"
        "mad.lo.u32 %r9, %r2, 1000, %r3; mad.lo.u32 %r9, %r9, 8, %r4; mad.lo.u32 %r9, %r5, 2, "
        "%r9;\n"
        "mad.lo.u32 %r9, %r6, 4, %r9;\n" STORE);
    for (uint32_t i = 0; i < 128; i++)
        ck_assert_uint_eq(out[i], (37 * 1000 + 91) * 8 + 1 + 4);
}
END_TEST

/* One warp leaves first, one only arrives: the others' result is of those that took part. */
START_TEST(a_reduction_completes_when_other_warps_exit_or_arrive)
{
    run(&(PtxRun){.threads = 128, .fill = 0}, "",
        "setp.lt.u32 %p1, %r1, 32; @%p1 exit; mov.pred %p2, -1;\n"
        "setp.ge.u32 %p3, %r1, 96; @%p3 bra ARRIVE;\n"
        "bar.red.popc.u32 %r2, 1, 96, %p2; bra.uni NEXT;\n"
        "ARRIVE: bar.arrive 1, 96; mov.u32 %r2, 0;\n"
        "NEXT: bar.red.popc.u32 %r3, 0, %p2; mad.lo.u32 %r9, %r2, 1000, %r3;\n" STORE);
    for (uint32_t i = 32; i < 128; i++)
        ck_assert_uint_eq(out[i], (i < 96 ? 64 * 1000u : 0) + 96);
}
END_TEST

/* ---- Moves of bytes ---- */

START_TEST(vectors_of_bytes_pack_and_unpack)
{
    run(&(PtxRun){0}, "",
        ".reg .b8 %c<8>; mad.lo.u32 %r2, %r1, 0x01010101, 0x04030201;\n"
        "mov.b32 {%c0, %c1, %c2, %c3}, %r2; mov.b32 %r3, {%c3, %c2, %c1, %c0};\n"
        "cvt.u16.u32 %h1, %r2; mov.b16 {%c4, %c5}, %h1; mov.b16 %h2, {%c5, %c4}; cvt.u32.u16 %r4, "
        "%h2;\nxor.b32 %r9, %r3, %r4;\n" STORE);
    for (uint32_t i = 0; i < 32; i++) {
        uint32_t v = i * 0x01010101u + 0x04030201u, swapped = __builtin_bswap32(v);
        ck_assert_uint_eq(out[i], swapped ^ (uint32_t)__builtin_bswap16((uint16_t)v));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("exec_call");
    TCase *t = tcase_create("call");
    tcase_add_test(t, a_pointer_calls_what_each_thread_has);
    tcase_add_test(t, a_table_of_functions_in_memory_works);
    tcase_add_test(t, a_wrong_pointer_is_a_fault);
    tcase_add_test(t, local_variables_of_a_function_are_its_own);
    tcase_add_test(t, printf_prints_what_the_host_would);
    tcase_add_test(t, a_failed_assertion_is_a_fault_with_its_text);
    tcase_add_test(t, a_barrier_reduces_the_predicates_of_its_threads);
    tcase_add_test(t, a_reduction_completes_when_other_warps_exit_or_arrive);
    tcase_add_test(t, vectors_of_bytes_pack_and_unpack);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
