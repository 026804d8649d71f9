/* mma.sync, wgmma and ldmatrix in MMA_HW against an H200, bit for bit: tests/data/hopper_mma.bin,
 * whose provenance is beside it. The inputs come from mma_vectors.h, the same generator that the
 * device program used; each case names their hash. Every case goes the whole way: PTX text,
 * fragments put together here from the manual's formulas, wgmma operands laid out in shared memory.
 */
#include <check.h>
#include <stdarg.h>

#include "mma_vectors.h"
#include "ptx_run.h"

enum {
    AT_A = 0,
    AT_B = 8192,
    AT_C = 12288,
    AT_D = 16384,
    AT_IMAGE = 20480,
    IMAGE_BYTES = 16384,
    A_WORDS = 16, /* of a thread */
    CD_WORDS = 8,
    IMAGE_B = 8192,
};

static uint8_t *file;
static size_t file_bytes;

static void setup(void)
{
    FILE *f = fopen(TEST_DIR "/data/hopper_mma.bin", "rb");
    ck_assert_ptr_nonnull(f);
    file = malloc(1 << 20);
    ck_assert_ptr_nonnull(file);
    file_bytes = fread(file, 1, 1 << 20, f);
    fclose(f);
    ck_assert(memcmp(file, "RAOMMA1\n", 8) == 0);
}

static void teardown(void)
{
    free(file);
}

/* ---- Operands as the manual lays them out ---- */

static void set_bits(uint8_t *at, size_t bit, int bits, uint64_t x)
{
    for (int i = 0; i < bits; i++)
        if (x >> i & 1)
            at[(bit + (size_t)i) / 8] |= (uint8_t)(1u << (bit + (size_t)i) % 8);
}

static uint64_t get_bits(const uint8_t *at, size_t bit, int bits)
{
    uint64_t x = 0;
    for (int i = 0; i < bits; i++)
        x |= (uint64_t)(at[(bit + (size_t)i) / 8] >> (bit + (size_t)i) % 8 & 1) << i;
    return x;
}

static void put_fragments(const MvConfig *cfg, const MvCase *v, uint8_t *buf)
{
    int ba = mv_formats[cfg->a].bits, bb = mv_formats[cfg->b].bits, bd = mv_formats[cfg->d].bits;
    int ea = ba >= 32 ? 1 : 32 / ba, eb = bb >= 32 ? 1 : 32 / bb;
    int halves = cfg->m == 8 ? 1 : 2, threads = cfg->m == 64 ? 128 : 32;
    for (int t = 0; t < threads; t++) {
        int w = t / 32, g = t % 32 / 4, q = t % 4;
        for (int i = 0; i < halves * cfg->k / 4; i++) { /* element i of A: register i / ea */
            int r = i / ea, row = 16 * w + g + 8 * (r % halves);
            set_bits(buf + AT_A + t * A_WORDS * 4, (size_t)(i * ba), ba,
                     v->a[row][ea * q + i % ea + 4 * ea * (r / halves)]);
        }
        for (int i = 0; i < cfg->k / 4; i++)
            set_bits(buf + AT_B + t * CD_WORDS * 4, (size_t)(i * bb), bb,
                     v->b[g][eb * q + i % eb + 4 * eb * (i / eb)]);
        for (int i = 0; i < 2 * halves; i++)
            set_bits(buf + AT_C + t * CD_WORDS * 4, (size_t)(i * bd), bd,
                     v->c[16 * w + g + 8 * (i / 2)][2 * q + i % 2]);
    }
}

/* A at 0 and B at IMAGE_B, K-major without swizzle, or transposed, or in 128-byte swizzle. */
static uint32_t image_at(const MvConfig *cfg, int row, int k, int bytes, bool is_a)
{
    uint32_t rb = (uint32_t)(row * bytes), kb = (uint32_t)(k * bytes), r = (uint32_t)row, at;
    if (cfg->kind == MV_WGMMA_TRANS)
        return rb % 16 + rb / 16 * 256 + (uint32_t)k % 8 * 16 + (uint32_t)k / 8 * 128;
    if (cfg->kind != MV_WGMMA_SW)
        return r % 8 * 16 + r / 8 * 256 + kb / 16 * 128 + kb % 16;
    at = r % 8 * 128 + r / 8 * 1024 + kb + (is_a ? 32 : 64);
    return at ^ (at >> 3 & 0x70);
}

static void put_image(const MvConfig *cfg, const MvCase *v, uint8_t *buf)
{
    int ba = mv_formats[cfg->a].bits, bb = mv_formats[cfg->b].bits;
    for (int k = 0; k < cfg->k; k++) {
        for (int m = 0; m < 64; m++)
            set_bits(buf + AT_IMAGE, 8 * (size_t)image_at(cfg, m, k, ba / 8, true), ba, v->a[m][k]);
        for (int n = 0; n < 8; n++)
            set_bits(buf + AT_IMAGE + IMAGE_B, 8 * (size_t)image_at(cfg, n, k, bb / 8, false), bb,
                     v->b[n][k]);
    }
}

/* ---- The kernel ---- */

typedef struct Text {
    char s[16384];
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

/* "{%f0, %f1}" */
static void regs(Text *t, const char *kind, int first, int n)
{
    for (int i = 0; i < n; i++)
        put(t, "%s%%%s%d", i ? ", " : "{", kind, first + i);
    put(t, "}");
}

typedef struct Plan { /* registers: how many, of which kind */
    const char *d_kind, *a_kind;
    int na, nb, nd, word; /* word: bytes of a register of a */
} Plan;

static Plan plan_of(const MvConfig *cfg)
{
    int ba = mv_formats[cfg->a].bits, bd = mv_formats[cfg->d].bits;
    bool f64 = ba == 64;
    int rows = cfg->m == 8 ? 8 : 16, word = f64 ? 64 : 32;
    return (Plan){.d_kind = f64                ? "fd"
                            : cfg->d == MV_F32 ? "f"
                                               : "r",
                  .a_kind = f64 ? "fd" : "r",
                  .na = rows * cfg->k * ba / 32 / word,
                  .nb = 8 * cfg->k * ba / 32 / word,
                  .nd = rows * 8 * bd / 32 / word,
                  .word = word / 8};
}

static void load(Text *t, const char *kind, int first, int n, int base, int stride, int word)
{
    const char *type = word == 8 ? "f64" : strcmp(kind, "f") == 0 ? "f32" : "b32";
    put(t, "mad.wide.u32 %%rd2, %%r1, %d, %%rd1;\n", stride);
    for (int i = 0; i < n; i++)
        put(t, "ld.global.%s %%%s%d, [%%rd2+%d];\n", type, kind, first + i, base + i * word);
}

static void store(Text *t, const Plan *p, int first)
{
    const char *type = p->word == 8 ? "f64" : strcmp(p->d_kind, "f") == 0 ? "f32" : "b32";
    put(t, "mad.wide.u32 %%rd2, %%r1, %d, %%rd1;\n", CD_WORDS * 4);
    for (int i = 0; i < p->nd; i++)
        put(t, "st.global.%s [%%rd2+%d], %%%s%d;\n", type, AT_D + i * p->word, p->d_kind,
            first + i);
}

static void mma_body(Text *t, const MvConfig *cfg)
{
    Plan p = plan_of(cfg);
    const char *a = mv_formats[cfg->a].name, *b = mv_formats[cfg->b].name,
               *d = mv_formats[cfg->d].name, *bits = strstr(cfg->name, "b1.");
    int a0 = 4, b0 = a0 + p.na, c0 = b0 + p.nb; /* of one kind at most: below 20 */
    int d0 = strcmp(p.d_kind, p.a_kind) == 0 ? c0 : 4;
    load(t, p.a_kind, a0, p.na, AT_A, A_WORDS * 4, p.word);
    load(t, p.a_kind, b0, p.nb, AT_B, CD_WORDS * 4, p.word);
    load(t, p.d_kind, d0, p.nd, AT_C, CD_WORDS * 4, p.word);
    put(t, "mma.sync.aligned.m%dn%dk%d.row.col%s.%s.%s.%s.%s", cfg->m, cfg->n, cfg->k,
        strstr(cfg->name, "satfinite") ? ".satfinite" : "", d, a, b, d);
    if (bits)
        put(t, ".%s.popc", bits + 3);
    put(t, " ");
    regs(t, p.d_kind, d0, p.nd);
    put(t, ", ");
    regs(t, p.a_kind, a0, p.na);
    put(t, ", ");
    regs(t, p.a_kind, b0, p.nb);
    put(t, ", ");
    regs(t, p.d_kind, d0, p.nd);
    put(t, ";\n");
    store(t, &p, d0);
}

static uint64_t descriptor(uint32_t at, uint32_t lbo, uint32_t sbo, uint32_t mode)
{
    return (uint64_t)(at >> 4) | (uint64_t)(lbo >> 4) << 16 | (uint64_t)(sbo >> 4) << 32 |
           (uint64_t)mode << 62;
}

static void descriptors(Text *t, const MvConfig *cfg)
{
    bool sw = cfg->kind == MV_WGMMA_SW;
    uint64_t a = sw ? descriptor(32, 16, 1024, 1) : descriptor(0, 128, 256, 0),
             b = sw ? descriptor(IMAGE_B + 64, 16, 1024, 1) : descriptor(IMAGE_B, 128, 256, 0);
    put(t, "mov.u32 %%r2, mem; shr.u32 %%r2, %%r2, 4; cvt.u64.u32 %%rd3, %%r2;\n");
    put(t, "add.u64 %%rd4, %%rd3, 0x%llx; add.u64 %%rd5, %%rd3, 0x%llx;\n", (unsigned long long)a,
        (unsigned long long)b);
}

static void wgmma_body(Text *t, const MvConfig *cfg)
{
    Plan p = plan_of(cfg);
    bool rs = cfg->kind == MV_WGMMA_RS, ints = cfg->d == MV_S32;
    int d0 = strcmp(p.d_kind, "r") == 0 ? 20 : 4;
    for (int i = 0; i < IMAGE_BYTES; i += 128 * 16) /* the image to shared memory */
        put(t,
            "mad.wide.u32 %%rd2, %%r1, 16, %%rd1; mov.u32 %%r2, mem; mad.lo.u32 %%r3, %%r1, 16, "
            "%%r2;\n"
            "ld.global.v4.b32 {%%r10, %%r11, %%r12, %%r13}, [%%rd2+%d];\n"
            "st.shared.v4.b32 [%%r3+%d], {%%r10, %%r11, %%r12, %%r13};\n",
            AT_IMAGE + i, i);
    load(t, "r", 4, 4, AT_A, A_WORDS * 4, 4);
    load(t, p.d_kind, d0, p.nd, AT_C, CD_WORDS * 4, 4);
    descriptors(t, cfg);
    put(t, "fence.proxy.async; bar.sync 0; wgmma.fence.sync.aligned;\n"
           "setp.ne.u32 %%p1, 1, 0;\n");
    put(t, "wgmma.mma_async.sync.aligned.m64n8k%d.%s.%s.%s%s ", cfg->k, mv_formats[cfg->d].name,
        mv_formats[cfg->a].name, mv_formats[cfg->b].name,
        strstr(cfg->name, "satfinite") ? ".satfinite" : "");
    regs(t, p.d_kind, d0, p.nd);
    put(t, ", %s, %%rd5, %%p1", rs ? "{%r4, %r5, %r6, %r7}" : "%rd4");
    if (!ints)
        put(t, ", %d, 1", cfg->kind == MV_WGMMA_NEG ? -1 : 1);
    if (mv_formats[cfg->a].bits == 16 && !ints)
        put(t, "%s", rs ? ", 0" : cfg->kind == MV_WGMMA_TRANS ? ", 1, 1" : ", 0, 0");
    put(t, ";\nwgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;\n");
    store(t, &p, d0);
}

/* ---- Comparison ---- */

static void run_case(const MvConfig *cfg, const MvCase *v, uint8_t buf[PTX_OUT_BYTES])
{
    static Text t;
    PtxKernel k;
    PtxRun r = {.threads = cfg->m == 64 ? 128 : 32, .target = "sm_90a"};
    t.n = 0;
    memset(buf, 0, PTX_OUT_BYTES);
    put_fragments(cfg, v, buf);
    if (cfg->kind == MV_MMA) {
        mma_body(&t, cfg);
    } else {
        put_image(cfg, v, buf);
        wgmma_body(&t, cfg);
    }
    put(&t, "ret;");
    bool ok = ptx_load(&k, &r, ".shared .align 1024 .b8 mem[16384];\n", t.s);
    ck_assert_msg(ok, "%s: %u: %s\n%s", cfg->name, k.err.loc.line, k.err.msg, t.s);
    memcpy(mem_ptr(k.mem, k.out, PTX_OUT_BYTES), buf, PTX_OUT_BYTES);
    k.desc.mma_hw = true;
    ok = exec_run(&k.arena, &k.desc, 0, 0, 1, NULL, &k.err);
    ck_assert_msg(ok, "%s: %s", cfg->name, k.err.msg);
    memcpy(buf, mem_ptr(k.mem, k.out, PTX_OUT_BYTES), PTX_OUT_BYTES);
    ptx_free(&k);
}

/* How many results differ; the first is described. */
static int compare(const MvConfig *cfg, int profile, const uint8_t *buf, const uint8_t *want,
                   char *first, size_t cap)
{
    int bd = mv_formats[cfg->d].bits, bad = 0, rows = cfg->m == 64 ? 16 : cfg->m;
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < 8; j++) {
            int row = cfg->m == 64 ? r / 4 * 16 + r % 4 * 5 : r;
            int t = row / 16 * 32 + row % 8 * 4 + j / 2, e = row % 16 / 8 * 2 + j % 2;
            uint64_t got = get_bits(buf + AT_D + t * CD_WORDS * 4, (size_t)(e * bd), bd);
            uint64_t exp = get_bits(want, (size_t)(r * 8 + j) * (size_t)bd, bd);
            if (got != exp && bad++ == 0)
                snprintf(first, cap,
                         "%s, profile %d, row %d, column %d: %0*llx, the H200 has %0*llx",
                         cfg->name, profile, row, j, bd / 4, (unsigned long long)got, bd / 4,
                         (unsigned long long)exp);
        }
    return bad;
}

/* Where the case of (config, profile) lies in the file. */
static size_t case_at(int config, int profile)
{
    size_t at = 8;
    for (int c = 0; c < MV_CONFIGS; c++)
        for (int p = 0; p < MV_PROFILES; p++) {
            const MvConfig *cfg = &mv_configs[c];
            if (!mv_has(cfg, p))
                continue;
            if (c == config && p == profile)
                return at;
            at += 8 + (size_t)((cfg->m == 64 ? 16 : cfg->m) * 8 * mv_formats[cfg->d].bits / 8);
        }
    return at;
}

START_TEST(results_equal_those_of_an_h200)
{
    static MvCase v;
    static uint8_t buf[PTX_OUT_BYTES];
    const MvConfig *cfg = &mv_configs[_i];
    char first[200] = "", report[2000] = "";
    for (int p = 0; p < MV_PROFILES; p++) {
        if (!mv_has(cfg, p))
            continue;
        size_t at = case_at(_i, p);
        uint64_t hash;
        memcpy(&hash, file + at, 8);
        mv_fill(&v, cfg, _i, p);
        ck_assert_msg(hash == v.hash, "%s: other inputs than the device had", cfg->name);
        run_case(cfg, &v, buf);
        int bad = compare(cfg, p, buf, file + at + 8, first, sizeof first);
        if (bad)
            snprintf(report + strlen(report), sizeof report - strlen(report), "%s (%d differ)\n",
                     first, bad);
    }
    ck_assert_msg(!report[0], "\n%s", report);
}
END_TEST

/* ldmatrix.x4, .x4.trans, movmatrix, .x2.trans, then stmatrix.x2.trans: 16 words a lane. */
START_TEST(matrix_moves_equal_those_of_an_h200)
{
    static uint8_t buf[PTX_OUT_BYTES];
    static const char body[] =
        "mad.lo.u32 %r2, %r1, 257, 3; shl.b32 %r3, %r1, 1; mov.u32 %r4, mem; add.u32 %r3, %r3, "
        "%r4;\n"
        "mov.u32 %r5, 0;\n"
        "L: cvt.u16.u32 %h1, %r2; st.shared.b16 [%r3], %h1; add.u32 %r2, %r2, 8224;\n"
        "add.u32 %r3, %r3, 64; add.u32 %r5, %r5, 1; setp.lt.u32 %p1, %r5, 8; @%p1 bra L;\n"
        "bar.warp.sync 0xffffffff;\n"
        "mad.lo.u32 %r6, %r1, 16, %r4; mad.wide.u32 %rd2, %r1, 64, %rd1;\n"
        "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r10,%r11,%r12,%r13}, [%r6];\n"
        "st.global.v4.b32 [%rd2], {%r10,%r11,%r12,%r13};\n"
        "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%r10,%r11,%r12,%r13}, [%r6];\n"
        "st.global.v4.b32 [%rd2+16], {%r10,%r11,%r12,%r13};\n"
        "movmatrix.sync.aligned.m8n8.trans.b16 %r14, %r11; st.global.b32 [%rd2+32], %r14;\n"
        "ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%r10,%r11}, [%r6];\n"
        "st.global.b32 [%rd2+36], %r10; st.global.b32 [%rd2+40], %r11;\n"
        "bar.warp.sync 0xffffffff;\n"
        "mul.lo.u32 %r15, %r1, 0x01010101; not.b32 %r16, %r15;\n"
        "stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [%r6], {%r15,%r16};\n"
        "bar.warp.sync 0xffffffff;\n"
        "ld.shared.v4.b32 {%r10,%r11,%r12,%r13}, [%r6];\n"
        "st.global.b32 [%rd2+44], %r10; st.global.b32 [%rd2+48], %r11;\n"
        "st.global.b32 [%rd2+52], %r12; st.global.b32 [%rd2+56], %r13; ret;";
    Err err;
    PtxRun r = {.target = "sm_90a"};
    ck_assert_msg(ptx_run(&r, ".shared .align 16 .b8 mem[512];\n", body, buf, &err), "%s", err.msg);
    size_t at = case_at(MV_CONFIGS, 0);
    ck_assert(memcmp(file + at, "LDMATRIX", 8) == 0 && file_bytes == at + 8 + 2048);
    for (int l = 0; l < 32; l++)
        for (int i = 0; i < 15; i++) {
            uint32_t got, want;
            memcpy(&got, buf + 64 * l + 4 * i, 4);
            memcpy(&want, file + at + 8 + 64 * l + 4 * i, 4);
            ck_assert_msg(got == want, "lane %d, word %d: %08x, the H200 has %08x", l, i, got,
                          want);
        }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mma_hopper");
    TCase *tc = tcase_create("h200");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, results_equal_those_of_an_h200, 0, MV_CONFIGS);
    tcase_add_test(tc, matrix_moves_equal_those_of_an_h200);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
