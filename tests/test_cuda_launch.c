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
    MAP("twice", "%r2") MAP("add", "%r3")
    /* make: p[i] = malloc(16 + i) with i in its last word; take: y[i] = that word, and free it */
    ".extern .func (.param .b64 r) malloc(.param .b64 n);\n"
    ".extern .func free(.param .b64 p);\n"
    ".visible .entry make(.param .u64 p)\n{\n .reg .b32 %r<6>;\n .reg .b64 %d<8>;\n"
    " ld.param.u64 %d1, [p];\n mov.u32 %r1, %tid.x;\n mov.u32 %r2, %ctaid.x;\n"
    " mad.lo.u32 %r3, %r2, 32, %r1;\n mul.wide.u32 %d2, %r3, 8;\n add.u64 %d1, %d1, %d2;\n"
    " add.u32 %r4, %r3, 16;\n cvt.u64.u32 %d3, %r4;\n"
    " {\n .param .b64 n;\n .param .b64 q;\n st.param.b64 [n], %d3;\n call (q), malloc, (n);\n"
    " ld.param.b64 %d4, [q];\n }\n"
    " st.global.u32 [%d4+12], %r3;\n st.global.u64 [%d1], %d4;\n ret;\n}\n"
    ".visible .entry take(.param .u64 p, .param .u64 y)\n{\n .reg .b32 %r<6>;\n"
    " .reg .b64 %d<8>;\n ld.param.u64 %d1, [p];\n ld.param.u64 %d5, [y];\n mov.u32 %r1, %tid.x;\n"
    " mov.u32 %r2, %ctaid.x;\n mad.lo.u32 %r3, %r2, 32, %r1;\n mul.wide.u32 %d2, %r3, 8;\n"
    " add.u64 %d1, %d1, %d2;\n mul.wide.u32 %d3, %r3, 4;\n add.u64 %d5, %d5, %d3;\n"
    " ld.global.u64 %d4, [%d1];\n ld.global.u32 %r4, [%d4+12];\n st.global.u32 [%d5], %r4;\n"
    " {\n .param .b64 q;\n st.param.b64 [q], %d4;\n call free, (q);\n }\n ret;\n}\n";

static char sync_stub, twice_stub, add_stub, make_stub, take_stub;

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
    __cudaRegisterFunction(h, &make_stub, "make", "make", -1, 0, 0, 0, 0, 0);
    __cudaRegisterFunction(h, &take_stub, "take", "take", -1, 0, 0, 0, 0, 0);
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

/* The heap of kernels: blocks are apart, those that are free come back, a second free is a fault.
 * The fault is of many CTAs: it must keep its number. */
START_TEST(kernels_have_a_heap)
{
    enum { CTAS = 40, N = 32 * CTAS };
    uint64_t *p, first[N], again[N];
    uint32_t *y, host[N];
    void *args[] = {&p, &y};
    Dim3 grid = {CTAS, 1, 1}, block = {32, 1, 1};
    register_program();
    cudaMalloc((void **)&p, sizeof first);
    cudaMalloc((void **)&y, sizeof host);
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(cudaLaunchKernel(&make_stub, grid, block, args, 0, NULL), 0);
        cudaMemcpy(round ? again : first, p, sizeof first, 2);
        ck_assert_int_eq(cudaLaunchKernel(&take_stub, grid, block, args, 0, NULL), 0);
        ck_assert_int_eq(cudaMemcpy(host, y, sizeof host, 2), 0);
        for (uint32_t i = 0; i < N; i++)
            ck_assert_uint_eq(host[i], i);
    }
    uint64_t most = 0, most_again = 0;
    for (uint32_t i = 0; i < N; i++) {
        ck_assert_uint_eq(first[i] % 16, 0);
        most = first[i] > most ? first[i] : most;
        most_again = again[i] > most_again ? again[i] : most_again;
    }
    ck_assert_uint_eq(most, most_again); /* no new room was taken */
    cudaLaunchKernel(&take_stub, grid, block, args, 0, NULL);
    ck_assert_int_eq(cudaDeviceSynchronize(), 719);
}
END_TEST

START_TEST(a_fault_of_many_ctas_keeps_its_number)
{
    uint64_t *p;
    void *args[] = {&p};
    register_program();
    cudaMalloc((void **)&p, 256); /* room for one CTA */
    cudaLaunchKernel(&make_stub, (Dim3){400, 1, 1}, (Dim3){32, 1, 1}, args, 0, NULL);
    ck_assert_int_eq(cudaDeviceSynchronize(), 700); /* cudaErrorIllegalAddress */
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("launch");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, all_ctas_of_a_cooperative_launch_meet);
    tcase_add_test(t, a_cooperative_grid_must_fit);
    tcase_add_test(t, repeated_launches);
    tcase_add_test(t, kernels_have_a_heap);
    tcase_add_test(t, a_fault_of_many_ctas_keeps_its_number);
    Suite *s = suite_create("cuda_launch");
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
