/* Matrices in registers: the 8-bit forms of ldmatrix and stmatrix against CuTe's layouts, wgmma
 * that is not waited for, and a warpgroup that disagrees. */
#include <check.h>
#include <math.h>

#include "ptx_run.h"

static uint8_t out[PTX_OUT_BYTES];
static Err err;

static uint32_t word_at(uint32_t at)
{
    uint32_t v;
    memcpy(&v, out + at, 4);
    return v;
}

/* Shared byte i of 512 holds i * 7 + i / 256. */
#define FILL                                                                                       \
    "mov.u32 %r2, mem; add.u32 %r3, %r2, %r1; mov.u32 %r4, %r1;\n"                                 \
    "L: mul.lo.u32 %r5, %r4, 7; shr.u32 %r6, %r4, 8; add.u32 %r5, %r5, %r6;\n"                     \
    "cvt.u16.u32 %h1, %r5; st.shared.b8 [%r3], %h1; add.u32 %r3, %r3, 32; add.u32 %r4, %r4, 32;\n" \
    "setp.lt.u32 %p1, %r4, 512; @%p1 bra L; bar.warp.sync 0xffffffff;\n"                           \
    "mad.lo.u32 %r7, %r1, 16, %r2; mad.wide.u32 %rd2, %r1, 16, %rd1;\n"

static uint8_t byte_of(uint32_t i)
{
    return (uint8_t)(i * 7 + i / 256);
}

static uint8_t bits_of(uint32_t row, uint32_t e, uint32_t bits) /* element e of a packed row */
{
    uint32_t v = 0;
    for (uint32_t b = 0; b < bits; b++) {
        uint32_t at = e * bits + b;
        v |= (uint32_t)(byte_of(16 * row + at / 8) >> at % 8 & 1) << b;
    }
    return (uint8_t)v;
}

static void run(const char *body)
{
    PtxRun r = {0};
    bool ok = ptx_run(&r, ".shared .align 16 .b8 mem[512];\n", body, out, &err);
    ck_assert_msg(ok, "%s", err.msg);
}

#define LOAD(form, regs)                                                                           \
    FILL "ldmatrix.sync.aligned." form " " regs ", [%r7];\n"                                       \
         "st.global.v4.b32 [%rd2], {%r10,%r11,%r12,%r13}; ret;"

/* Lane l = 4 g + q; register 2 i + s, byte j: matrix i, row 4 q + j, byte g + 8 s. */
START_TEST(ldmatrix_transposes_bytes)
{
    static const struct {
        const char *body;
        uint32_t bits;
    } form[] = {
        {LOAD("m16n16.x2.trans.shared.b8", "{%r10,%r11,%r12,%r13}"), 8},
        {LOAD("m16n16.x2.trans.shared.b8x16.b6x16_p32", "{%r10,%r11,%r12,%r13}"), 6},
        {LOAD("m16n16.x2.trans.shared.b8x16.b4x16_p64", "{%r10,%r11,%r12,%r13}"), 4},
    };
    for (uint32_t f = 0; f < 3; f++) {
        run(form[f].body);
        for (uint32_t l = 0; l < 32; l++)
            for (uint32_t r = 0; r < 4; r++)
                for (uint32_t j = 0; j < 4; j++) {
                    uint8_t want =
                        bits_of(16 * (r / 2) + 4 * (l % 4) + j, l / 4 + 8 * (r % 2), form[f].bits);
                    ck_assert_uint_eq(out[16 * l + 4 * r + j], want);
                }
    }
}
END_TEST

/* Register i, byte j: matrix i, row g, element 4 q + j. */
START_TEST(ldmatrix_unpacks_rows)
{
    for (uint32_t bits = 4; bits <= 6; bits += 2) {
        run(bits == 4 ? LOAD("m8n16.x4.shared.b8x16.b4x16_p64", "{%r10,%r11,%r12,%r13}")
                      : LOAD("m8n16.x4.shared.b8x16.b6x16_p32", "{%r10,%r11,%r12,%r13}"));
        for (uint32_t l = 0; l < 32; l++)
            for (uint32_t i = 0; i < 16; i++)
                ck_assert_uint_eq(out[16 * l + i],
                                  bits_of(8 * (i / 4) + l / 4, 4 * (l % 4) + i % 4, bits));
    }
}
END_TEST

/* CuTe SM100_U8x16_STSM_T: byte j of register i: matrix i, row 2 q + j % 2, byte g + 8 (j / 2). */
START_TEST(stmatrix_transposes_bytes)
{
    run("mov.u32 %r2, mem; mad.lo.u32 %r7, %r1, 16, %r2; mad.wide.u32 %rd2, %r1, 16, %rd1;\n"
        "mad.lo.u32 %r10, %r1, 0x04040404, 0x03020100; add.u32 %r11, %r10, 0x80808080;\n"
        "not.b32 %r12, %r10; not.b32 %r13, %r11;\n"
        "stmatrix.sync.aligned.m16n8.x4.trans.shared.b8 [%r7], {%r10,%r11,%r12,%r13};\n"
        "bar.warp.sync 0xffffffff; ld.shared.v4.b32 {%r20,%r21,%r22,%r23}, [%r7];\n"
        "st.global.v4.b32 [%rd2], {%r20,%r21,%r22,%r23}; ret;");
    for (uint32_t l = 0; l < 32; l++) {
        uint32_t r0 = l * 0x04040404u + 0x03020100u, r1 = r0 + 0x80808080u;
        uint32_t reg[4] = {r0, r1, ~r0, ~r1};
        for (uint32_t i = 0; i < 4; i++)
            for (uint32_t j = 0; j < 4; j++) {
                uint32_t row = 8 * i + 2 * (l % 4) + j % 2, byte = l / 4 + 8 * (j / 2);
                ck_assert_uint_eq(out[16 * row + byte], reg[i] >> 8 * j & 0xff);
            }
    }
}
END_TEST

/* ---- wgmma: A = B = ones of f16 in shared memory, so that D grows by 16 ---- */

#define ONES                                                                                       \
    "mov.u32 %r2, mem; mad.lo.u32 %r3, %r1, 16, %r2; mov.b32 %r4, 0x3c003c00;\n"                   \
    "st.shared.v4.b32 [%r3], {%r4,%r4,%r4,%r4}; st.shared.v4.b32 [%r3+2048], {%r4,%r4,%r4,%r4};\n" \
    "fence.proxy.async; bar.sync 0; shr.u32 %r2, %r2, 4; cvt.u64.u32 %rd3, %r2;\n"                 \
    "add.u64 %rd4, %rd3, 0x1000080000; mad.wide.u32 %rd2, %r1, 16, %rd1;\n"                        \
    "mov.f32 %f1, 0f40000000; mov.f32 %f2, %f1; mov.f32 %f3, %f1; mov.f32 %f4, %f1;\n"             \
    "wgmma.fence.sync.aligned;\n"
#define ADD16                                                                                      \
    "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%f1,%f2,%f3,%f4}, %rd4, %rd4, 1, 1, 1, "   \
    "0, 0;\nwgmma.commit_group.sync.aligned;\n"
#define STORE "st.global.v4.f32 [%rd2], {%f1,%f2,%f3,%f4};\n"
#define MEM ".shared .align 1024 .b8 mem[4096];\n"

static void run_group(const char *body, float want)
{
    PtxRun r = {.threads = 128, .target = "sm_90a"};
    bool ok = ptx_run(&r, MEM, body, out, &err);
    ck_assert_msg(ok, "%s", err.msg);
    for (uint32_t i = 0; i < 512; i++) {
        uint32_t bits = word_at(4 * i);
        float v;
        memcpy(&v, &bits, 4);
        ck_assert_msg(v == want, "word %u: %g, not %g", i, (double)v, (double)want);
    }
}

START_TEST(results_appear_at_the_wait)
{
    run_group(ONES ADD16 "wgmma.wait_group.sync.aligned 0;\n" STORE "ret;", 18);
    run_group(ONES ADD16 STORE "wgmma.wait_group.sync.aligned 0; ret;", 2);
    run_group(ONES ADD16 "wgmma.wait_group.sync.aligned 1;\n" STORE
                         "wgmma.wait_group.sync.aligned 0; ret;",
              2);
    run_group(ONES ADD16 ADD16 "wgmma.wait_group.sync.aligned 1;\n" STORE
                               "wgmma.wait_group.sync.aligned 0; ret;",
              18);
    run_group(ONES ADD16 ADD16 ADD16 "wgmma.wait_group.sync.aligned 0;\n" STORE "ret;", 50);
}
END_TEST

START_TEST(a_warpgroup_must_agree_and_be_whole)
{
    PtxRun r = {.threads = 128, .target = "sm_90a"};
    ck_assert(!ptx_run(&r, MEM,
                       ONES "setp.lt.u32 %p1, %r1, 32; @%p1 bra B;\n" ADD16
                            "bra E;\nB: wgmma.mma_async.sync.aligned.m64n16k16.f32.f16.f16 "
                            "{%f1,%f2,%f3,%f4,%f5,%f6,%f7,%f8}, %rd4, %rd4, 1, 1, 1, 0, 0;\n"
                            "E: wgmma.wait_group.sync.aligned 0; ret;",
                       out, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "different wgmma"));
    r.threads = 96;
    ck_assert(!ptx_run(&r, MEM, ONES ADD16 "wgmma.wait_group.sync.aligned 0; ret;", out, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "warpgroup"));
}
END_TEST

/* What ptxas 13.0 refuses. */
START_TEST(illegal_forms_are_refused)
{
    static const char *const form[] = {
        "mma.sync.aligned.m8n8k32.row.col.s32.s8.s8.s32 {%r2,%r3}, {%r4}, {%r5}, {%r2,%r3};",
        "mma.sync.aligned.m16n8k16.row.col.s32.s4.s4.s32 {%r2,%r3,%r4,%r5}, {%r6}, {%r7}, "
        "{%r2,%r3,%r4,%r5};",
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.bf16.f32 {%f1,%f2,%f3,%f4}, {%r2,%r3,%r4,%r5}, "
        "{%r6,%r7}, {%f1,%f2,%f3,%f4};",
        "mma.sync.aligned.m16n8k4.row.col.f32.f16.f16.f32 {%f1,%f2,%f3,%f4}, {%r2}, {%r6}, "
        "{%f1,%f2,%f3,%f4};",
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f1,%f2,%f3,%f4}, {%r2,%r3}, "
        "{%r6,%r7}, {%f1,%f2,%f3,%f4};",
        "mma.sync.aligned.kind::f8f6f4.m16n8k32.row.col.f32.e2m1.e4m3.f32 {%f1,%f2,%f3,%f4}, "
        "{%r2,%r3,%r4,%r5}, {%r6,%r7}, {%f1,%f2,%f3,%f4};",
        "ldmatrix.sync.aligned.m16n16.x1.trans.shared.b8 {%r2}, [%r3];",
        "ldmatrix.sync.aligned.m16n16.x4.trans.shared.b8 {%r2,%r3,%r4,%r5}, [%r6];",
        "stmatrix.sync.aligned.m16n8.x1.shared.b8 [%r6], {%r2};",
    };
    for (size_t i = 0; i < sizeof form / sizeof form[0]; i++) {
        PtxRun r = {0};
        ck_assert_msg(!ptx_run(&r, "", form[i], out, &err), "accepted: %s", form[i]);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("matrix");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, ldmatrix_transposes_bytes);
    tcase_add_test(tc, ldmatrix_unpacks_rows);
    tcase_add_test(tc, stmatrix_transposes_bytes);
    tcase_add_test(tc, results_appear_at_the_wait);
    tcase_add_test(tc, a_warpgroup_must_agree_and_be_whole);
    tcase_add_test(tc, illegal_forms_are_refused);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
