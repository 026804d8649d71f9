/* Programs of several objects (nvcc -rdc=true): their PTX is linked when it is needed. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cuda/link.h"

#include "cuda_decls.h"
#include "fat_writer.h"

#define HEAD(version) ".version " version "\n.target sm_100a\n.address_size 64\n"
#define INL(linkage, n)                                                                            \
    linkage " .func (.param .b32 r) inl(.param .b32 x)\n{\n .reg .b32 %r<3>;\n"                    \
            " ld.param.u32 %r1, [x];\n add.u32 %r1, %r1, " n                                       \
            ";\n st.param.u32 [r], %r1;\n ret;\n}\n"

/* Uses what the second defines, and has a "$str" of its own as the second does. */
static const char user[] = HEAD(
    "8.6") ".extern .func (.param .b32 r) twice(.param .b32 x);\n"
           ".extern .global .align 4 .u32 counter;\n.extern .const .align 4 .b8 table[16];\n"
           ".extern .shared .align 4 .b8 dyn[];\n"
           ".global .align 4 .u32 $str = 7; /* } */\n.file 1 \"user.cu\"\n" INL(
               ".weak",
               "1") ".visible .entry use(.param .u64 y)\n{\n .loc 1 5 3\n .reg .b32 %r<9>;\n .reg "
                    ".b64 %d<5>;\n"
                    " mov.u32 %r1, %tid.x;\n mul.lo.u32 %r2, %r1, 4;\n"
                    " {\n .param .b32 a;\n .param .b32 b;\n st.param.u32 [a], %r1;\n call (b), "
                    "twice, (a);\n"
                    " ld.param.u32 %r3, [b];\n }\n"
                    " {\n .param .b32 a;\n .param .b32 b;\n st.param.u32 [a], %r3;\n call (b), "
                    "inl, (a);\n"
                    " ld.param.u32 %r3, [b];\n }\n"
                    " ld.global.u32 %r4, [counter];\n add.u32 %r3, %r3, %r4;\n"
                    " mov.u64 %d1, table;\n mul.wide.u32 %d2, %r1, 4;\n and.b64 %d3, %d2, 12;\n"
                    " add.u64 %d1, %d1, %d3;\n ld.const.u32 %r5, [%d1];\n add.u32 %r3, %r3, %r5;\n"
                    " ld.global.u32 %r6, [$str];\n add.u32 %r3, %r3, %r6;\n"
                    " ld.param.u64 %d4, [y];\n add.u64 %d4, %d4, %d2;\n st.global.u32 [%d4], "
                    "%r3;\n ret;\n}\n";
#define DEFINITIONS                                                                                \
    HEAD("9.0")                                                                                    \
    ".visible .global .align 4 .u32 counter = 100;\n"                                              \
    ".visible .const .align 4 .b8 table[16] = {0, 0, 0, 0, 0, 4, 0, 0, 0, 8, 0, 0, 0, 12, 0, "     \
    "0};\n"                                                                                        \
    ".global .align 4 .u32 $str = 9;\n.file 1 \"definer.cu\"\n"                                    \
    ".visible .func (.param .b32 r) twice(.param .b32 x)\n{\n .reg .b32 %r<3>;\n .loc 1 1 1\n"     \
    " ld.param.u32 %r1, [x];\n add.u32 %r1, %r1, %r1;\n st.param.u32 [r], %r1;\n ret;\n}\n"        \
    ".visible .entry own(.param .u64 y)\n{\n .reg .b32 %r<2>;\n .reg .b64 %d<2>;\n"                \
    " ld.global.u32 %r1, [$str];\n ld.param.u64 %d1, [y];\n st.global.u32 [%d1], %r1;\n ret;\n}\n"
static const struct {
    const char *definer;
    uint32_t inl; /* what inl adds */
} definers[] = {{DEFINITIONS INL(".weak", "30"), 1}, {DEFINITIONS INL(".visible", "50"), 50}};

static char use_stub, own_stub, counter_stub;
static uint8_t fat[3][1 << 14];

static void make_part(uint32_t i, const char *text)
{
    FatWriter w = {.data = fat[i], .cap = sizeof fat[i]};
    fat_begin(&w);
    if (text)
        fat_add(&w, 100, 0x108000, text, strlen(text) + 1);
    fat_end(&w);
}

/* As nvcc's link.stub: the linked container, here without images, then the parts. */
static void register_parts(const char *first, const char *second)
{
    static void *parts[3] = {fat[1], fat[2], NULL};
    static FatWrapper wrapper = {0x466243b1, 2, fat[0], parts};
    make_part(0, NULL);
    make_part(1, first);
    make_part(2, second);
    void **h = __cudaRegisterFatBinary(&wrapper);
    ck_assert_ptr_nonnull(h);
    __cudaRegisterFunction(h, &use_stub, "use", "use", -1, 0, 0, 0, 0, 0);
    __cudaRegisterFunction(h, &own_stub, "own", "own", -1, 0, 0, 0, 0, 0);
    __cudaRegisterVar(h, &counter_stub, "counter", "counter", 0, 4, 0, 0);
    __cudaRegisterFatBinaryEnd(h);
}

static uint32_t result_of(const void *stub, uint32_t thread)
{
    uint32_t *y, host[32];
    void *args[] = {&y};
    ck_assert_int_eq(cudaMalloc((void **)&y, sizeof host), 0);
    ck_assert_int_eq(cudaLaunchKernel(stub, (Dim3){1, 1, 1}, (Dim3){32, 1, 1}, args, 0, NULL), 0);
    ck_assert_int_eq(cudaMemcpy(host, y, sizeof host, 2), 0);
    cudaFree(y);
    return host[thread];
}

START_TEST(objects_are_linked)
{
    register_parts(user, definers[_i].definer);
    for (uint32_t t = 0; t < 32; t += 13)
        ck_assert_uint_eq(result_of(&use_stub, t),
                          2 * t + definers[_i].inl + 100 + 1024 * (t & 3) + 7);
    ck_assert_uint_eq(result_of(&own_stub, 0), 9);
    uint32_t counter = 1000;
    ck_assert_int_eq(cudaMemcpyToSymbol(&counter_stub, &counter, 4, 0, 1), 0);
    ck_assert_uint_eq(result_of(&use_stub, 0), definers[_i].inl + 1000 + 7);
}
END_TEST

START_TEST(what_is_missing_is_said)
{
    static const struct {
        const char *first, *second;
        int error;
    } cases[] = {
        {user, NULL, 209},             /* cudaErrorNoKernelImageForDevice: an object without PTX */
        {user, HEAD("9.0"), 218},      /* cudaErrorInvalidPtx: counter is defined nowhere */
        {user, HEAD("9.0") "{ ", 200}, /* cudaErrorInvalidKernelImage: cut off */
    };
    uint32_t *y = NULL;
    void *args[] = {&y};
    register_parts(cases[_i].first, cases[_i].second);
    cudaLaunchKernel(&use_stub, (Dim3){1, 1, 1}, (Dim3){32, 1, 1}, args, 0, NULL);
    ck_assert_int_eq(cudaGetLastError(), cases[_i].error);
}
END_TEST

START_TEST(names_files_and_versions_of_the_text)
{
    const LinkText in[2] = {{user, strlen(user)},
                            {definers[0].definer, strlen(definers[0].definer)}};
    Arena a = {0};
    Err err = {0};
    const char *text;
    size_t len;
    ck_assert(link_ptx(&a, in, 2, "sm_100a", &text, &len, &err));
    ck_assert_uint_eq(len, strlen(text));
    ck_assert_ptr_eq(strstr(text, ".version 9.0\n.target sm_100a\n"), text);
    ck_assert_ptr_null(strstr(text + 1, "\n.version"));
    static const char *const there[] = {".u32 $str$1 = 7;", "[$str$1]",
                                        ".u32 $str$2 = 9",  ".file 1 \"user.cu\"",
                                        ".loc 1 5 3",       ".file 2 \"definer.cu\"",
                                        ".loc 2 1 1"};
    for (size_t i = 0; i < sizeof there / sizeof there[0]; i++)
        ck_assert_msg(strstr(text, there[i]) != NULL, "no '%s' in\n%s", there[i], text);
    arena_free(&a);
}
END_TEST

/* The driver's linker gives an image that cuModuleLoadData takes. */
START_TEST(the_driver_links)
{
    void *link, *image, *module, *kernel;
    uint64_t y;
    uint32_t host[32];
    void *args[] = {&y};
    size_t bytes;
    const char *definer = definers[0].definer;
    ck_assert_int_eq(cuInit(0), 0);
    ck_assert_int_eq(cuLinkCreate_v2(0, NULL, NULL, &link), 0);
    ck_assert_int_eq(
        cuLinkAddData_v2(link, 1, definer, strlen(definer) + 1, "definer", 0, NULL, NULL), 0);
    ck_assert_int_eq(cuLinkAddData_v2(link, 1, user, strlen(user), "user", 0, NULL, NULL), 0);
    ck_assert_int_eq(cuLinkAddData_v2(link, 0, user, 4, "a cubin", 0, NULL, NULL), 801);
    ck_assert_int_eq(cuLinkComplete(link, &image, &bytes), 0);
    ck_assert_int_eq(cuModuleLoadData(&module, image), 0);
    ck_assert_int_eq(cuLinkDestroy(link), 0);
    ck_assert_int_eq(cuModuleGetFunction(&kernel, module, "use"), 0);
    ck_assert_int_eq(cuMemAlloc_v2(&y, sizeof host), 0);
    ck_assert_int_eq(cuLaunchKernel(kernel, 1, 1, 1, 32, 1, 1, 0, NULL, args, NULL), 0);
    ck_assert_int_eq(cuMemcpyDtoH_v2(host, y, sizeof host), 0);
    for (uint32_t t = 0; t < 32; t++) /* of the two .weak inl the first counts: x + 30 */
        ck_assert_uint_eq(host[t], 2 * t + 30 + 100 + 1024 * (t & 3) + 7);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("link");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, objects_are_linked, 0, 2);
    tcase_add_loop_test(t, what_is_missing_is_said, 0, 3);
    tcase_add_test(t, the_driver_links);
    tcase_add_test(t, names_files_and_versions_of_the_text);
    Suite *s = suite_create("cuda_link");
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
