/* Launch files: what they say, what is refused and where, the bytes of parameters. The
 * expected message of a bad file is its first line. */
#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "isa/bits.h"
#include "sim/launch/launch.h"

/* ck_assert writes to a pipe each time: loops over many cases count what is wrong and assert once.
 */
static Arena arena;
static Err error;

static void setup(void)
{
    arena = (Arena){0};
    error = (Err){0};
}

static void teardown(void)
{
    arena_free(&arena);
}

static Launch *parse(const char *text)
{
    Launch *l = NULL;
    error = (Err){0};
    bool ok = launch_parse_text(&arena, "dir/f.yaml", text, strlen(text), &l, &error);
    return ok ? l : NULL;
}

static Launch *must_parse(const char *text)
{
    Launch *l = parse(text);
    ck_assert_msg(l != NULL, "%u:%u: %s", error.loc.line, error.loc.col, error.msg);
    return l;
}

static const char full[] =
    "ptx: k.ptx\n"
    "kernel: go\n"
    "grid: [8, 6]\n"
    "block: [64, 4, 1]\n"
    "cluster: [2, 1, 1]\n"
    "shared: 231424\n"
    "tensors:\n"
    "  q: {dtype: bf16, shape: [16, 1024, 128], init: {normal: {seed: 7, std: 0.5}}}\n"
    "  o: {dtype: f32, shape: [16, 1024, 128], init: poison}\n"
    "  u: {dtype: u8, shape: [10], init: {uniform: {seed: 0xff, lo: 3, hi: 9}}}\n"
    "  x: {dtype: f64, shape: [2, 2], init: {file: data/x.npy}}\n"
    "args:\n"
    "  - q\n"
    "  - {f32: 0.08838834764831845}\n"
    "  - {u64: 0xffffffffffffffff}\n"
    "  - {s16: -2}\n"
    "  - {tensormap: {tensor: q, dims: [128, 16384], strides: [256], box: [64, 128], swizzle: 128B,"
    " interleave: none, oob: nan, l2: 128B}}\n"
    "  - {bytes: \"0a00 ff01 0203 0405 0607 0809\", pointers: [{at: 4, tensor: o, offset: 16}]}\n"
    "check:\n"
    "  - {tensor: o, reference: attention, q: q, k: q, v: q, causal: true, scale: 0.5, "
    "max_rel_err: 0.01}\n"
    "  - {tensor: o, reference: softmax, x: o, max_rel_err: 1e-3}\n"
    "  - {tensor: x, file: /abs/y.npy, max_rel_err: 0}\n"
    "roles: {load: 4, mma: [0, 2-3], softmax: 5-6}\n"
    "flops: 8589934592\n";

START_TEST(a_full_file_says_all_this)
{
    Launch *l = must_parse(full);
    ck_assert_uint_eq(l->n_launches, 1);
    const KernelLaunch *k = &l->launches[0];
    ck_assert_str_eq(k->ptx, "dir/k.ptx");
    ck_assert_str_eq(k->kernel, "go");
    ck_assert(k->grid[0] == 8 && k->grid[1] == 6 && k->grid[2] == 1);
    ck_assert(k->block[0] == 64 && k->block[1] == 4 && k->block[2] == 1);
    ck_assert(k->cluster[0] == 2 && k->cluster[1] == 1 && k->cluster[2] == 1);
    ck_assert_uint_eq(k->shared, 231424);
    ck_assert_double_eq(k->flops, 8589934592.0);

    ck_assert_uint_eq(l->n_tensors, 4);
    const Tensor *t = l->tensors;
    ck_assert_str_eq(t[0].name, "q");
    ck_assert_int_eq(t[0].dtype, T_BF16);
    ck_assert_uint_eq(t[0].rank, 3);
    ck_assert_uint_eq(t[0].elems, 16u * 1024 * 128);
    ck_assert_uint_eq(t[0].bytes, 2u * 16 * 1024 * 128);
    ck_assert(t[0].init == INIT_NORMAL && t[0].seed == 7 && t[0].std == 0.5);
    ck_assert(t[1].init == INIT_POISON && t[1].bytes == 4u * 16 * 1024 * 128);
    ck_assert(t[2].init == INIT_UNIFORM && t[2].seed == 255 && t[2].lo == 3 && t[2].hi == 9);
    ck_assert(t[3].init == INIT_FILE);
    ck_assert_str_eq(t[3].file, "dir/data/x.npy");
    ck_assert_uint_eq(t[3].loc.line, 11);

    ck_assert_uint_eq(k->n_args, 6);
    ck_assert(k->args[0].kind == ARG_TENSOR && k->args[0].tensor == 0);
    ck_assert(k->args[1].kind == ARG_SCALAR && k->args[1].type == T_F32);
    ck_assert_mem_eq(k->args[1].bytes, &(float){0.08838834764831845f}, 4);
    ck_assert_mem_eq(k->args[2].bytes, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    ck_assert_mem_eq(k->args[3].bytes, "\xfe\xff", 2);
    const TensorMap *m = k->args[4].map;
    ck_assert(k->args[4].kind == ARG_TENSORMAP && m->rank == 2 && m->dtype == TMAP_BF16);
    ck_assert(m->dims[0] == 128 && m->dims[1] == 16384 && m->dims[2] == 1 && m->strides[1] == 256);
    ck_assert(m->box[0] == 64 && m->box[1] == 128 && m->box[4] == 1 && m->element_strides[3] == 1);
    ck_assert(m->swizzle == TMAP_SWIZZLE_128B && m->interleave == 0 && m->oob_nan &&
              m->l2_promotion == 2);
    const Arg *b = &k->args[5];
    ck_assert(b->kind == ARG_BYTES && b->blob_bytes == 12 && b->blob[0] == 10 && b->blob[2] == 255);
    ck_assert(b->n_pointers == 1 && b->pointers[0].at == 4 && b->pointers[0].tensor == 1);
    ck_assert_uint_eq(b->pointers[0].offset, 16);

    ck_assert_uint_eq(l->n_checks, 3);
    const Check *c = l->checks;
    ck_assert(c[0].ref == REF_ATTENTION && c[0].tensor == 1 && c[0].in[2] == 0 && c[0].causal &&
              c[0].scale == 0.5);
    ck_assert(c[1].ref == REF_SOFTMAX && c[1].in[0] == 1 && c[1].in[1] == -1 &&
              c[1].max_rel_err == 1e-3);
    ck_assert(c[2].ref == REF_FILE && c[2].max_rel_err == 0);
    ck_assert_str_eq(c[2].file, "/abs/y.npy");
}
END_TEST

START_TEST(every_warp_has_one_role)
{
    const KernelLaunch *k = &must_parse(full)->launches[0];
    ck_assert_uint_eq(k->n_roles, 4);
    ck_assert(k->roles[0].warps == 0x10 && k->roles[1].warps == 0x0d && k->roles[2].warps == 0x60);
    ck_assert_str_eq(k->roles[3].name, "other");
    ck_assert_uint_eq(k->roles[3].warps, 0x82);
    k = &must_parse("ptx: x\ngrid: [1]\nblock: [1024]\n")->launches[0];
    ck_assert_uint_eq(k->n_roles, 1);
    ck_assert_str_eq(k->roles[0].name, "all");
    ck_assert_uint_eq(k->roles[0].warps, 0xffffffff);
    k = &must_parse("ptx: x\ngrid: [1]\nblock: [65]\nroles: {other: 1, a: 0}\n")->launches[0];
    ck_assert_uint_eq(k->n_roles, 2);
    ck_assert_uint_eq(k->roles[0].warps, 6); /* a warp of one thread is a warp */
}
END_TEST

START_TEST(several_launches_share_tensors)
{
    Launch *l =
        must_parse("tensors: {a: {dtype: f32, shape: [4], init: zeros}}\n"
                   "launches:\n"
                   "  - {ptx: one.ptx, grid: [1], block: [32], args: [a]}\n"
                   "  - {ptx: two.ptx, kernel: k, grid: [2], block: [64], args: [{u32: 1}, a]}\n"
                   "check: [{tensor: a, reference: softmax, x: a, max_rel_err: 1}]\n");
    ck_assert_uint_eq(l->n_launches, 2);
    ck_assert_str_eq(l->launches[0].ptx, "dir/one.ptx");
    ck_assert_ptr_null(l->launches[0].kernel);
    ck_assert_str_eq(l->launches[1].kernel, "k");
    ck_assert_uint_eq(l->launches[1].n_args, 2);
    ck_assert_uint_eq(l->n_checks, 1);
}
END_TEST

START_TEST(bad_files_say_what_and_where)
{
    DIR *d = opendir(TEST_DIR "/data/bad_launch");
    ck_assert_ptr_nonnull(d);
    uint32_t n = 0, wrong = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (!strstr(e->d_name, ".yaml"))
            continue;
        char path[1024], part[512];
        unsigned line, col;
        snprintf(path, sizeof path, TEST_DIR "/data/bad_launch/%s", e->d_name);
        FILE *f = fopen(path, "r");
        ck_assert_msg(fscanf(f, "# error: %u:%u %511[^\n]", &line, &col, part) == 3, "%s", path);
        fclose(f);
        error = (Err){0};
        Launch *l;
        bool ok = launch_load(&arena, path, &l, &error);
        if (ok || !strstr(error.msg, part) || error.loc.line != line || error.loc.col != col) {
            printf("%s: %u:%u %s\n", e->d_name, error.loc.line, error.loc.col,
                   ok ? "accepted" : error.msg);
            wrong++;
        }
        n++;
    }
    closedir(d);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_ge(n, 100);
}
END_TEST

START_TEST(parameters_lie_where_the_kernel_has_them)
{
    Launch *l = must_parse(
        "ptx: x\ngrid: [1]\nblock: [32]\ntensors:\n"
        "  a: {dtype: f32, shape: [64], init: zeros}\n"
        "  b: {dtype: bf16, shape: [64, 64], init: zeros}\n"
        "args:\n"
        "  - {u32: 0x01020304}\n"
        "  - b\n"
        "  - {tensormap: {tensor: b, dims: [64, 64], strides: [128], box: [64, 8], swizzle: "
        "128B}}\n"
        "  - {bytes: 112233445566778899aabbccddeeff00, pointers: [{at: 8, tensor: a, offset: 4}]}\n"
        "  - {f16: -1.5}\n");
    Var vars[5] = {{.name = "p0", .size = 4, .align = 4, .offset = 0},
                   {.name = "p1", .size = 8, .align = 8, .offset = 8},
                   {.name = "p2", .size = 128, .align = 64, .offset = 64},
                   {.name = "p3", .size = 16, .align = 8, .offset = 192},
                   {.name = "p4", .size = 2, .align = 2, .offset = 208}};
    int32_t order[5] = {0, 1, 2, 3, 4};
    Module module = {.vars = vars, .n_vars = 5};
    Func func = {.name = "f", .params = order, .n_params = 5, .param_bytes = 210};
    GlobalMem *m = mem_new();
    uint8_t *p;
    ck_assert(launch_alloc(&arena, l, m, &error));
    ck_assert_msg(launch_params(&arena, l, &l->launches[0], &module, &func, m, &p, &error), "%s",
                  error.msg);
    uint64_t a = l->tensors[0].addr, b = l->tensors[1].addr, v;
    ck_assert_mem_eq(p, "\x04\x03\x02\x01\0\0\0\0", 8);
    memcpy(&v, p + 8, 8);
    ck_assert_uint_eq(v, b);
    TensorMap map;
    ck_assert(tensor_map_decode(p + 64, &map, &error));
    ck_assert_uint_eq(map.address, b);
    ck_assert(map.rank == 2 && map.dims[1] == 64 && map.strides[1] == 128 && map.box[1] == 8);
    ck_assert_mem_eq(p + 192, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
    memcpy(&v, p + 200, 8);
    ck_assert_uint_eq(v, a + 4);
    ck_assert_mem_eq(p + 208, "\x00\xbe", 2);

    vars[4].size = 4;
    ck_assert(!launch_params(&arena, l, &l->launches[0], &module, &func, m, &p, &error));
    ck_assert_str_eq(error.msg, "argument 4 is f16, 2 bytes, but parameter 'p4' of 'f' has 4");
    ck_assert_uint_eq(error.loc.line, 12);
    error = (Err){0};
    func.n_params = 4;
    ck_assert(!launch_params(&arena, l, &l->launches[0], &module, &func, m, &p, &error));
    ck_assert_str_eq(error.msg, "'f' takes 4 parameters, but 'args' has 5");
    error = (Err){0};
    func.n_params = 5;
    vars[4].size = 2;
    vars[2].align = 8;
    ck_assert(!launch_params(&arena, l, &l->launches[0], &module, &func, m, &p, &error));
    ck_assert_ptr_nonnull(strstr(error.msg, "not aligned to 64 bytes"));
    mem_free(m);
}
END_TEST

static const struct Scalar {
    const char *arg;
    uint8_t n, bytes[8];
} scalars[] = {
    {"{u8: 255}", 1, {0xff}},
    {"{s8: -128}", 1, {0x80}},
    {"{s64: -9223372036854775808}", 8, {0, 0, 0, 0, 0, 0, 0, 0x80}},
    {"{s64: 9223372036854775807}", 8, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}},
    {"{u64: 18446744073709551615}", 8, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
    {"{bf16: 1.00390625}", 2, {0x80, 0x3f}}, /* a tie: to even */
    {"{f16: 65504}", 2, {0xff, 0x7b}},
    {"{f32: 1.00000005960464477540}",
     4,
     {0x01, 0, 0x80, 0x3f}}, /* above a tie by less than a double's last bit */
    {"{f32: -.inf}", 4, {0, 0, 0x80, 0xff}},
    {"{f64: 1}", 8, {0, 0, 0, 0, 0, 0, 0xf0, 0x3f}},
};

START_TEST(scalars_have_these_bytes)
{
    const struct Scalar *s = &scalars[_i];
    char text[256];
    snprintf(text, sizeof text, "ptx: x\ngrid: [1]\nblock: [32]\nargs:\n  - %s\n", s->arg);
    ck_assert_mem_eq(must_parse(text)->launches[0].args[0].bytes, s->bytes, s->n);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("launch");
    TCase *t = tcase_create("launch");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_full_file_says_all_this);
    tcase_add_test(t, every_warp_has_one_role);
    tcase_add_test(t, several_launches_share_tensors);
    tcase_add_test(t, bad_files_say_what_and_where);
    tcase_add_test(t, parameters_lie_where_the_kernel_has_them);
    tcase_add_loop_test(t, scalars_have_these_bytes, 0, sizeof scalars / sizeof *scalars);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
