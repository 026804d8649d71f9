/* wgmma of every size: its meaning against a plain triple loop, its time on the h200 model against
 * the cycles of an H200, and which machine refuses which tensor core. The products of one column
 * of tiles against the device itself are in test_mma_hopper.c.
 *
 * Elements are integers small enough for every type, so that all sums are exact and their order
 * does not count; operands are laid out in shared memory and registers from the manual's formulas.
 */
#include <check.h>
#include <math.h>
#include <stdarg.h>

#include "ptx_time.h"

enum { ROWS = 64, MAX_N = 256, MAX_K = 32, AT_B = 2048, AT_A_REGS = 12288, THREADS = 128 };

typedef enum Layout { CORES, SWIZZLE_32, MN_CORES } Layout;

typedef struct Case {
    const char *d, *a, *b; /* types */
    int n;
    Layout a_layout, b_layout;
    bool a_regs, a_neg, b_neg;
} Case;

static const Case cases[] = {
    {"f32", "f16", "f16", 16, CORES, CORES, false, false, false},
    {"f32", "bf16", "bf16", 64, MN_CORES, CORES, false, false, true},
    {"f16", "f16", "f16", 96, SWIZZLE_32, MN_CORES, false, true, false},
    {"f16", "f16", "f16", 8, CORES, CORES, true, false, false},
    {"f32", "tf32", "tf32", 128, CORES, SWIZZLE_32, true, false, false},
    {"f32", "tf32", "tf32", 248, SWIZZLE_32, CORES, false, true, true},
    {"f32", "f16", "f16", 256, MN_CORES, MN_CORES, false, false, false},
    {"f32", "bf16", "bf16", 128, CORES, MN_CORES, true, true, false},
    {"f32", "e4m3", "e5m2", 200, CORES, SWIZZLE_32, true, false, false},
    {"f16", "e5m2", "e4m3", 256, SWIZZLE_32, CORES, false, false, false},
    {"s32", "s8", "u8", 224, CORES, CORES, false, false, false},
    {"s32", "u8", "s8", 32, CORES, SWIZZLE_32, true, false, false},
    {"f32", "f16", "f16", 40, CORES, SWIZZLE_32, true, false, true},
};

static int elem_bytes(const char *type)
{
    return strcmp(type, "tf32") == 0 ? 4 : strstr(type, "f16") ? 2 : 1;
}

/* The bits of a small integer; floats: sign, exponent, fraction put together here. */
static uint32_t bits_of(const char *type, int x)
{
    static const struct {
        const char *name;
        int exp_bits, frac_bits;
    } fmt[] = {{"f16", 5, 10}, {"bf16", 8, 7}, {"tf32", 8, 23},
               {"f32", 8, 23}, {"e4m3", 4, 3}, {"e5m2", 5, 2}};
    if (strstr(type, "8") == type + 1) /* s8, u8 */
        return (uint32_t)x & 0xff;
    for (size_t i = 0; i < sizeof fmt / sizeof *fmt; i++) {
        if (strcmp(type, fmt[i].name) != 0)
            continue;
        int e = 0, m = abs(x), eb = fmt[i].exp_bits, fb = fmt[i].frac_bits;
        uint32_t sign = (uint32_t)(x < 0) << (eb + fb);
        if (m == 0)
            return 0;
        while (m >> (e + 1))
            e++;
        uint32_t frac = (uint32_t)(m - (1 << e)) << (fb - e);
        return sign | (uint32_t)(e + (1 << (eb - 1)) - 1) << fb | frac;
    }
    return (uint32_t)x; /* s32 */
}

/* Below 4 in magnitude: exact in all types (e5m2 has three significant bits). */
static int value(uint32_t *seed, const char *type)
{
    *seed = *seed * 1664525u + 1013904223u;
    int x = (int)(*seed >> 16) % 7;
    return type[0] == 'u' ? x : x - 3;
}

typedef struct Data {
    int a[ROWS][MAX_K], b[MAX_N][MAX_K];
} Data;

static void fill(Data *v, const Case *c, int k, uint32_t seed)
{
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < k; j++)
            v->a[i][j] = value(&seed, c->a);
    for (int i = 0; i < c->n; i++)
        for (int j = 0; j < k; j++)
            v->b[i][j] = value(&seed, c->b);
}

/* Core matrices of 8 x 16 bytes: the next along K 128, along rows 256 bytes on. */
static size_t place(Layout l, int row, int k, int bytes)
{
    size_t r = (size_t)row, kb = (size_t)(k * bytes), rb = (size_t)(row * bytes), at;
    switch (l) {
    case CORES:
        return r % 8 * 16 + r / 8 * 256 + kb / 16 * 128 + kb % 16;
    case SWIZZLE_32: /* rows of 32 bytes, whose halves change places in every second four */
        at = r * 32 + kb;
        return at ^ (at >> 3 & 16);
    default:
        return rb % 16 + rb / 16 * 256 + (size_t)k % 8 * 16 + (size_t)k / 8 * 128;
    }
}

static void put_operand(uint8_t *to, Layout l, const char *type, int rows, int k, int (*v)[MAX_K])
{
    int bytes = elem_bytes(type);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < k; j++) {
            uint32_t bits = bits_of(type, v[i][j]);
            memcpy(to + place(l, i, j, bytes), &bits, (size_t)bytes);
        }
}

/* A in four registers of each thread: register r: row 16 w + g + 8 (r % 2), bytes from 4 q + 16 (r
 * / 2). */
static void put_a_regs(uint8_t *to, const char *type, int k, int (*v)[MAX_K])
{
    int bytes = elem_bytes(type);
    for (int t = 0; t < THREADS; t++)
        for (int at = 0; at < 16; at += bytes) {
            int r = at / 4, row = t / 32 * 16 + t % 32 / 4 + 8 * (r % 2);
            int col = (4 * (t % 4) + 16 * (r / 2) + at % 4) / bytes;
            ck_assert_int_lt(col, k);
            uint32_t bits = bits_of(type, v[row][col]);
            memcpy(to + 16 * t + at, &bits, (size_t)bytes);
        }
}

/* Where element (row, column) of D is in the output: a thread's registers lie together. */
static size_t d_at(const Case *c, int row, int col)
{
    bool half = strcmp(c->d, "f16") == 0;
    int t = row / 16 * 32 + row % 8 * 4 + col % 8 / 2;
    int e = col / 8 * 4 + row % 16 / 8 * 2 + col % 2; /* element of the thread */
    return (size_t)(t * c->n / 2 + e) * (half ? 2 : 4);
}

/* ---- The kernel ---- */

typedef struct Text {
    char s[32768];
    size_t n;
} Text;

__attribute__((format(printf, 2, 3))) static void put(Text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    t->n += (size_t)vsnprintf(t->s + t->n, sizeof t->s - t->n, fmt, ap);
    va_end(ap);
    ck_assert_uint_lt(t->n, sizeof t->s);
}

static void put_descriptor(Text *t, const char *reg, uint32_t offset, Layout l)
{
    uint64_t d = (uint64_t)(128 >> 4) << 16 | (uint64_t)(256 >> 4) << 32; /* LBO, SBO */
    if (l == SWIZZLE_32)
        d |= (uint64_t)3 << 62;
    put(t, "mov.u32 %%r2, mem; shr.u32 %%r2, %%r2, 4; cvt.u64.u32 %s, %%r2;\n", reg);
    put(t, "add.u64 %s, %s, %llu;\n", reg, reg, (unsigned long long)(d + offset / 16));
}

static void put_wgmma(Text *t, const Case *c, int n_regs)
{
    int k = 32 / elem_bytes(c->a);
    put(t, "wgmma.mma_async.sync.aligned.m64n%dk%d.%s.%s.%s {", c->n, k, c->d, c->a, c->b);
    for (int i = 0; i < n_regs; i++)
        put(t, "%s%%d%d", i ? "," : "", i);
    put(t, "}, %s, %%rd5, %%p1", c->a_regs ? "{%r10,%r11,%r12,%r13}" : "%rd4");
    if (c->d[0] != 's')
        put(t, ", %d, %d", c->a_neg ? -1 : 1, c->b_neg ? -1 : 1);
    if (elem_bytes(c->a) == 2 && !c->a_regs)
        put(t, ", %d", c->a_layout == MN_CORES);
    if (elem_bytes(c->a) == 2)
        put(t, ", %d", c->b_layout == MN_CORES);
    put(t, ";\n");
}

/* D starts as fives; the first of three products is added to them, or replaces them. */
static void put_kernel(Text *t, const Case *c, bool add)
{
    bool half = strcmp(c->d, "f16") == 0;
    int n_regs = half ? c->n / 4 : c->n / 2;
    const char *type = c->d[0] == 'f' && !half ? "f32" : "b32", *five = half ? "0x45004500"
                                                                        : c->d[0] == 's'
                                                                            ? "5"
                                                                            : "0f40a00000";
    put(t, ".reg .%s %%d<128>;\n", type);
    for (int i = 0; i < AT_A_REGS; i += THREADS * 16)
        put(t,
            "mad.wide.u32 %%rd2, %%r1, 16, %%rd1; mov.u32 %%r2, mem; mad.lo.u32 %%r3, %%r1, 16, "
            "%%r2;\nld.global.v4.b32 {%%r10,%%r11,%%r12,%%r13}, [%%rd2+%d];\n"
            "st.shared.v4.b32 [%%r3+%d], {%%r10,%%r11,%%r12,%%r13};\n",
            i, i);
    put(t, "ld.global.v4.b32 {%%r10,%%r11,%%r12,%%r13}, [%%rd2+%d];\n", AT_A_REGS);
    put_descriptor(t, "%rd4", 0, c->a_layout);
    put_descriptor(t, "%rd5", AT_B, c->b_layout);
    for (int i = 0; i < n_regs; i++)
        put(t, "mov.b32 %%d%d, %s;\n", i, five);
    put(t, "fence.proxy.async; bar.sync 0; wgmma.fence.sync.aligned;\n");
    for (int i = 0; i < 3; i++) {
        put(t, "setp.eq.u32 %%p1, %d, 1;\n", i > 0 || add);
        put_wgmma(t, c, n_regs);
    }
    put(t, "wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;\n");
    put(t, "mad.wide.u32 %%rd2, %%r1, %d, %%rd1;\n", n_regs * 4);
    for (int i = 0; i < n_regs; i++)
        put(t, "st.global.%s [%%rd2+%d], %%d%d;\n", type, 4 * i, i);
    put(t, "ret;");
}

static void check_case(const Case *c, const Data *v, bool add, const uint8_t *out)
{
    int k = 32 / elem_bytes(c->a), sign = c->a_neg != c->b_neg ? -1 : 1;
    size_t bytes = strcmp(c->d, "f16") == 0 ? 2 : 4;
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < c->n; j++) {
            int sum = 0;
            for (int l = 0; l < k; l++)
                sum += v->a[i][l] * v->b[j][l];
            uint32_t want = bits_of(c->d, 3 * sign * sum + (add ? 5 : 0)), got = 0;
            memcpy(&got, out + d_at(c, i, j), bytes);
            if (got << 1 == 0 && c->d[0] == 'f' && bytes == 4)
                got = 0; /* a zero of either sign */
            ck_assert_msg(got == want, "m64n%dk%d.%s.%s.%s, row %d, column %d: %x, not %x", c->n, k,
                          c->d, c->a, c->b, i, j, got, want);
        }
}

START_TEST(products_equal_a_triple_loop)
{
    static Data v;
    static Text t;
    static uint8_t out[PTX_OUT_BYTES];
    const Case *c = &cases[_i / 2];
    bool add = _i / 2 % 2, hw = _i % 2;
    PtxKernel kern;
    PtxRun r = {.threads = THREADS, .target = "sm_90a"};
    int k = 32 / elem_bytes(c->a);
    t.n = 0;
    put_kernel(&t, c, add);
    fill(&v, c, k, 1 + (uint32_t)_i);
    bool ok = ptx_load(&kern, &r, ".shared .align 1024 .b8 mem[12288];\n", t.s);
    ck_assert_msg(ok, "%u: %s\n%s", kern.err.loc.line, kern.err.msg, t.s);
    uint8_t *buf = mem_ptr(kern.mem, kern.out, PTX_OUT_BYTES);
    put_operand(buf, c->a_layout, c->a, ROWS, k, v.a);
    put_operand(buf + AT_B, c->b_layout, c->b, c->n, k, v.b);
    put_a_regs(buf + AT_A_REGS, c->a, k, v.a);
    kern.desc.mma_hw = hw;
    ok = exec_run(&kern.arena, &kern.desc, 0, 0, 1, NULL, &kern.err);
    ck_assert_msg(ok, "%s", kern.err.msg);
    memcpy(out, buf, sizeof out);
    ptx_free(&kern);
    check_case(c, &v, add, out);
}
END_TEST

/* ---- Time ---- */

/* Cycles from a group's fence to the return of its wait, n products in it, on a model. */
static int group_cycles(const char *model, int n_cols, bool regs, int n, Err *err)
{
    static Text t;
    static uint8_t out[PTX_OUT_BYTES];
    Case c = {.d = "f32", .a = "f16", .b = "f16", .n = n_cols, .a_regs = regs};
    PtxRun r = {.threads = THREADS, .target = "sm_90a"};
    PtxChip chip = {.sms = 1, .model = model};
    t.n = 0;
    put(&t, ".reg .f32 %%d<128>;\n");
    put_descriptor(&t, "%rd4", 0, CORES);
    put_descriptor(&t, "%rd5", AT_B, CORES);
    for (int i = 0; i < n_cols / 2; i++)
        put(&t, "mov.b32 %%d%d, 0f00000000;\n", i);
    put(&t, "mov.b32 %%r10, 0; mov.b32 %%r11, 0; mov.b32 %%r12, 0; mov.b32 %%r13, 0;\n"
            "setp.eq.u32 %%p1, 1, 1; bar.sync 0; mov.u32 %%r20, %%clock;\n"
            "wgmma.fence.sync.aligned;\n");
    for (int i = 0; i < n; i++)
        put_wgmma(&t, &c, n_cols / 2);
    put(&t, "wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;\n"
            "mov.u32 %%r21, %%clock; sub.u32 %%r22, %%r21, %%r20; st.global.b32 [%%rd1], %%r22;\n"
            "ret;");
    if (!ptx_run_on(&r, &chip, ".shared .align 1024 .b8 mem[12288];\n", t.s, out, err))
        return -1;
    uint32_t cycles;
    memcpy(&cycles, out, 4);
    return (int)cycles;
}

/* H200, one SM, one warpgroup, by clock64 on 2026-11-25: a product after another every
 * max(N / 2, 16 + N / 4) cycles with A in shared memory; one alone takes N / 2 + 63, with A in
 * registers N / 2 + 51. Within 4 cycles: which instructions stand between the two clocks is ptxas'
 * choice. */
START_TEST(time_is_that_of_an_h200)
{
    static const int sizes[] = {8, 32, 64, 128, 192, 256};
    Err err = {0};
    int n = sizes[_i];
    int one = group_cycles("../models/h200.yaml", n, false, 1, &err);
    ck_assert_msg(one >= 0, "%s", err.msg);
    int many = group_cycles("../models/h200.yaml", n, false, 17, &err);
    int regs = group_cycles("../models/h200.yaml", n, true, 1, &err);
    double interval = (many - one) / 16.0, want = fmax(n / 2.0, 16 + n / 4.0);
    ck_assert_msg(abs(one - (n / 2 + 63)) <= 4, "N %d: %d cycles, measured %d", n, one, n / 2 + 63);
    ck_assert_msg(abs(regs - (n / 2 + 51)) <= 4, "N %d, A in registers: %d cycles, measured %d", n,
                  regs, n / 2 + 51);
    ck_assert_msg(fabs(interval - want) <= 1, "N %d: every %.2f cycles, measured %.2f", n, interval,
                  want);
}
END_TEST

START_TEST(a_machine_has_its_own_tensor_core)
{
    static const char alloc[] =
        "mov.u32 %r2, mem; tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%r2], 32;\n"
        "ld.shared.b32 %r3, [%r2]; tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r3, 32; ret;";
    static uint8_t out[PTX_OUT_BYTES];
    Err err = {0};
    ck_assert_int_eq(group_cycles("../models/b200.yaml", 64, false, 1, &err), -1);
    ck_assert_int_eq(err.kind, ERR_UNSUPPORTED);
    ck_assert_msg(strstr(err.msg, "wgmma: model b200 is of sm_100a, which has tcgen05"), "%s",
                  err.msg);
    PtxRun r = {.threads = 32};
    PtxChip chip = {.sms = 1, .model = "../models/h200.yaml"};
    ck_assert(!ptx_run_on(&r, &chip, ".shared .align 16 .b8 mem[16];\n", alloc, out, &err));
    ck_assert_int_eq(err.kind, ERR_UNSUPPORTED);
    ck_assert_msg(strstr(err.msg, "tcgen05: model h200 is of sm_90a, which has wgmma"), "%s",
                  err.msg);
    chip.model = "../models/b200.yaml";
    ck_assert_msg(ptx_run_on(&r, &chip, ".shared .align 16 .b8 mem[16];\n", alloc, out, &err), "%s",
                  err.msg);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("wgmma");
    TCase *tc = tcase_create("all");
    tcase_add_loop_test(tc, products_equal_a_triple_loop, 0,
                        2 * (int)(sizeof cases / sizeof *cases));
    tcase_add_loop_test(tc, time_is_that_of_an_h200, 0, 6);
    tcase_add_test(tc, a_machine_has_its_own_tensor_core);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
