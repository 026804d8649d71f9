/* Cooperative launches, and launches that a program repeats. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_decls.h"
#include "fat_writer.h"

/* sync: as grid.sync() of cooperative groups, twice: y[cta] = 1; all wait; z[cta] = sum of y.
 * twice: y[i] = 2 x[i]; add: y[i] += x[i]. */
static const char ptx[] =
    ".version 8.7\n.target sm_100a\n.address_size 64\n"
    ".visible .entry sync(.param .u64 y, .param .u64 z)\n{\n"
    " .reg .pred %p<4>;\n .reg .b32 %r<16>;\n .reg .b64 %d<12>;\n"
    " ld.param.u64 %d1, [y];\n ld.param.u64 %d2, [z];\n mov.u32 %r1, %ctaid.x;\n"
    " mov.u32 %r2, %nctaid.x;\n mov.u32 %r3, %envreg1;\n mov.u32 %r4, %envreg2;\n"
    " mov.b64 %d3, {%r4, %r3};\n mul.wide.u32 %d4, %r1, 4;\n add.u64 %d5, %d1, %d4;\n"
    " st.global.u32 [%d5], 1;\n"
    " setp.ne.u32 %p1, %r1, 0;\n sub.u32 %r5, 2147483649, %r2;\n selp.b32 %r5, 1, %r5, %p1;\n"
    " atom.add.release.gpu.u32 %r6, [%d3+4], %r5;\n"
    "wait:\n ld.acquire.gpu.u32 %r7, [%d3+4];\n xor.b32 %r8, %r6, %r7;\n"
    " setp.ge.s32 %p2, %r8, 0;\n @%p2 bra wait;\n"
    " mov.u32 %r9, 0;\n mov.u32 %r10, 0;\n"
    "next:\n ld.global.u32 %r11, [%d1];\n add.u32 %r9, %r9, %r11;\n add.u64 %d1, %d1, 4;\n"
    " add.u32 %r10, %r10, 1;\n setp.lt.u32 %p3, %r10, %r2;\n @%p3 bra next;\n"
    " add.u64 %d6, %d2, %d4;\n st.global.u32 [%d6], %r9;\n ret;\n}\n"
#define MAP(name, op)                                                                              \
    ".visible .entry " name "(.param .u64 x, .param .u64 y)\n{\n .reg .b32 %r<6>;\n"               \
    " .reg .b64 %d<6>;\n ld.param.u64 %d1, [x];\n ld.param.u64 %d2, [y];\n mov.u32 %r1, %tid.x;\n" \
    " mul.wide.u32 %d3, %r1, 4;\n add.u64 %d1, %d1, %d3;\n add.u64 %d2, %d2, %d3;\n"               \
    " ld.global.u32 %r2, [%d1];\n ld.global.u32 %r3, [%d2];\n add.u32 %r4, %r2, " op               \
    ";\n st.global.u32 [%d2], %r4;\n ret;\n}\n"
    MAP("twice", "%r2") MAP("add", "%r3");

static char sync_stub, twice_stub, add_stub;

static void register_program(void)
{
    static uint8_t fat[1 << 14];
    static FatWrapper wrapper = {0x466243b1, 1, fat, NULL};
    FatWriter w = {.data = fat, .cap = sizeof fat};
    fat_begin(&w);
    fat_add(&w, 100, 0x100000, ptx, sizeof ptx);
    fat_end(&w);
    void **h = __cudaRegisterFatBinary(&wrapper);
    __cudaRegisterFunction(h, &sync_stub, "sync", "sync", -1, 0, 0, 0, 0, 0);
    __cudaRegisterFunction(h, &twice_stub, "twice", "twice", -1, 0, 0, 0, 0, 0);
    __cudaRegisterFunction(h, &add_stub, "add", "add", -1, 0, 0, 0, 0, 0);
    __cudaRegisterFatBinaryEnd(h);
}

START_TEST(all_ctas_of_a_cooperative_launch_meet)
{
    enum { MOST = 600 };
    static const uint32_t grids[] = {1, 7, MOST};
    uint32_t *y, *z, host[MOST];
    void *args[] = {&y, &z};
    register_program();
    cudaMalloc((void **)&y, sizeof host);
    cudaMalloc((void **)&z, sizeof host);
    for (size_t i = 0; i < 6; i++) { /* the barrier is in order after an odd number of uses, too */
        uint32_t n = grids[i % 3];
        cudaMemset2D(y, sizeof host, 0, sizeof host, 1);
        ck_assert_int_eq(cudaLaunchCooperativeKernel(&sync_stub, (Dim3){n, 1, 1}, (Dim3){1, 1, 1},
                                                     args, 0, NULL),
                         0);
        ck_assert_int_eq(cudaMemcpy(host, z, sizeof host, 2), 0);
        for (uint32_t k = 0; k < n; k++)
            ck_assert_uint_eq(host[k], n);
    }
}
END_TEST

START_TEST(a_cooperative_grid_must_fit)
{
    uint32_t *y, *z;
    int per_sm = 0;
    void *args[] = {&y, &z};
    register_program();
    cudaMalloc((void **)&y, 1 << 20);
    cudaMalloc((void **)&z, 1 << 20);
    ck_assert_int_eq(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&per_sm, &twice_stub, 1024, 0),
                     0);
    uint32_t most = 148 * (uint32_t)per_sm;
    Dim3 block = {1024, 1, 1};
    ck_assert_int_eq(
        cudaLaunchCooperativeKernel(&twice_stub, (Dim3){most, 1, 1}, block, args, 0, NULL), 0);
    ck_assert_int_eq(
        cudaLaunchCooperativeKernel(&twice_stub, (Dim3){most + 1, 1, 1}, block, args, 0, NULL),
        720); /* cudaErrorCooperativeLaunchTooLarge */
}
END_TEST

/* A launch that changes nothing may be left out; whatever changes what it reads or has written must
 * bring it back. */
START_TEST(repeated_launches)
{
    enum { N = 256 };
    uint32_t *x, *y, host[N];
    void *args[] = {&x, &y};
    register_program();
    cudaMalloc((void **)&x, sizeof host);
    cudaMalloc((void **)&y, sizeof host);
    for (uint32_t round = 1; round < 8; round++) {
        for (uint32_t i = 0; i < N; i++)
            host[i] = i * (round / 2); /* every second round: the same */
        cudaMemcpy(x, host, sizeof host, 1);
        if (round % 3 == 0) /* what it wrote is lost */
            cudaMemset2D(y, sizeof host, 0, sizeof host, 1);
        for (int k = 0; k < 5; k++)
            cudaLaunchKernel(&twice_stub, (Dim3){1, 1, 1}, (Dim3){N, 1, 1}, args, 0, NULL);
        cudaMemcpy(host, y, sizeof host, 2);
        for (uint32_t i = 0; i < N; i++)
            ck_assert_uint_eq(host[i], 2 * i * (round / 2));
        for (int k = 0; k < 9; k++)
            cudaLaunchKernel(&add_stub, (Dim3){1, 1, 1}, (Dim3){N, 1, 1}, args, 0, NULL);
        cudaMemcpy(host, y, sizeof host, 2);
        for (uint32_t i = 0; i < N; i++)
            ck_assert_uint_eq(host[i], 11 * i * (round / 2));
    }
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("launch");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, all_ctas_of_a_cooperative_launch_meet);
    tcase_add_test(t, a_cooperative_grid_must_fit);
    tcase_add_test(t, repeated_launches);
    Suite *s = suite_create("cuda_launch");
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
