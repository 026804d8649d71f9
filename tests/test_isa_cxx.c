/* C++ names of PTX symbols: the expected forms are c++filt's with template arguments and parameter
 * types cut by hand. */
#include "isa/cxx.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *symbol, *name;
} cases[] = {
    {"fa4_fwd", "fa4_fwd"},
    {"_Z9transposePfPKf", "transpose"},
    {"_Z9transposeILi32EEvPfPKf", "transpose<...>"},
    {"_ZN7cutlass13device_kernelINS_4gemm6kernel13GemmUniversalIN4cute5tupleIJiiiiEEEEEEEvNT_"
     "6ParamsE",
     "cutlass::device_kernel<...>"},
    {"_ZN7cutlass4smemE", "cutlass::smem"},
    {"_ZN3cub17CUDASTS_1000_N_NS6detail4scan20DeviceScanInitKernelINS0_13ScanTileStateIiLb1EEEEEvT_"
     "i",
     "cub::CUDASTS_1000_N_NS::detail::scan::DeviceScanInitKernel<...>"},
    {"_ZN49_GLOBAL__N__d3f9a8b4_10_program_cu_7b1f2c0d_1234e4fillEPf",
     "(anonymous namespace)::fill"},
    {"_ZL5table", "table"},
    {"_ZZ9transposePfPKfE4tile", "tile"},
    {"_ZZ9transposePfPKfE4tile_0", "tile"},
    {"_ZZN2ns3runILi4EEEvPfE6buffer", "buffer"},
    {"_ZNSt4swapIiEEvRT_S1_", "std::swap<...>"},
    {"_ZNK3abc3defEv", "abc::def"},
    /* Not mangled after all, or cut short: as they stand. */
    {"_Z", "_Z"},
    {"_Zx", "_Zx"},
    {"_ZN", "_ZN"},
    {"_ZN7cutlass", "_ZN7cutlass"},
    {"_Z99short", "_Z99short"},
    {"_ZZ3runvE", "_ZZ3runvE"},
    {"_Z0", "_Z0"},
    {"_Z99999999999999999999999a", "_Z99999999999999999999999a"},
    {"", ""},
};

START_TEST(names_are_readable)
{
    char buf[256];
    ck_assert_str_eq(cxx_name(buf, sizeof buf, cases[_i].symbol), cases[_i].name);
}
END_TEST

/* Every part of every symbol, in buffers that just fit or do not: under the sanitizers nothing is
 * read or written beyond, and the text is a beginning of the whole. */
START_TEST(cut_symbols_and_small_buffers_do_no_harm)
{
    const char *symbol = cases[_i].symbol;
    for (size_t n = 0; n <= strlen(symbol); n++) {
        char *part = strndup(symbol, n), whole[256];
        cxx_name(whole, sizeof whole, part);
        for (size_t size = 1; size < 40; size++) {
            char *buf = malloc(size);
            cxx_name(buf, size, part);
            ck_assert_uint_eq(strlen(buf), strlen(whole) < size ? strlen(whole) : size - 1);
            ck_assert_int_eq(strncmp(buf, whole, size - 1), 0);
            free(buf);
        }
        free(part);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("isa_cxx");
    TCase *t = tcase_create("cxx");
    int n = (int)(sizeof cases / sizeof *cases);
    tcase_add_loop_test(t, names_are_readable, 0, n);
    tcase_add_loop_test(t, cut_symbols_and_small_buffers_do_no_harm, 0, n);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
