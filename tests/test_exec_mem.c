/* Loads, stores, atomics in every state space; the counts of bank passes and sectors against naive
 * second methods; the texts of faults. */
#include <check.h>

#include "sim/func/lanes.h"
#include "tests/ptx_run.h"

static uint32_t out[PTX_OUT_BYTES / 4];

#define MINE "mul.wide.u32 %rd2, %r1, 4; add.s64 %rd2, %rd1, %rd2;\n"
#define PUT(reg) "st.global.u32 [%rd2], " reg ";\n"

static void run_with(const PtxRun *r, const char *globals, const char *body)
{
    Err err;
    bool ok = ptx_run(r, globals, body, out, &err);
    ck_assert_msg(ok, "line %u: %s", err.loc.line, err.msg);
}

static void run(const char *globals, const char *body)
{
    run_with(&(PtxRun){0}, globals, body);
}

static void fails(const char *globals, const char *body, const char *what)
{
    Err err;
    ck_assert_msg(!ptx_run(&(PtxRun){0}, globals, body, out, &err), "no fault: %s", body);
    ck_assert_int_eq(err.kind, ERR_FAULT);
    ck_assert_msg(strstr(err.msg, what), "'%s' says nothing of '%s'", err.msg, what);
    ck_assert_uint_gt(err.loc.line, 0);
}

/* ---- Counting ---- */

static uint64_t rng = 1;

static uint32_t random_below(uint32_t n)
{
    rng = rng * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(rng >> 33) % n;
}

/* Rounds of service: in each, every bank may deliver one word (to any number of lanes). */
static uint32_t naive_passes(const uint64_t addr[WARP], uint32_t bytes, uint32_t mask)
{
    uint32_t phases = bytes <= 4 ? 1 : bytes / 4, lanes = WARP / phases, total = 0;
    for (uint32_t p = 0; p < phases; p++) {
        uint64_t want[WARP * 4];
        uint32_t n = 0;
        for (uint32_t i = p * lanes; i < (p + 1) * lanes; i++)
            for (uint32_t w = 0; (mask >> i & 1) && w < (bytes + 3) / 4; w++)
                want[n++] = addr[i] / 4 + w;
        while (n > 0) {
            uint64_t serves[32];
            bool busy[32] = {false};
            uint32_t left = 0;
            for (uint32_t k = 0; k < n; k++) {
                uint32_t bank = (uint32_t)(want[k] % 32);
                if (!busy[bank]) {
                    busy[bank] = true;
                    serves[bank] = want[k];
                }
                if (serves[bank] != want[k])
                    want[left++] = want[k];
            }
            n = left;
            total++;
        }
    }
    return total;
}

static uint32_t naive_sectors(const uint64_t addr[WARP], uint32_t mask)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < WARP; i++) {
        bool first = mask >> i & 1;
        for (uint32_t j = 0; j < i; j++)
            first = first && !((mask >> j & 1) && addr[j] / 32 == addr[i] / 32);
        n += first;
    }
    return n;
}

static void check_counts(const uint64_t addr[WARP], uint32_t bytes, uint32_t mask)
{
    if (bytes <= 16)
        ck_assert_uint_eq(bank_passes(addr, bytes, mask), naive_passes(addr, bytes, mask));
    ck_assert_uint_eq(count_sectors(addr, bytes, mask), naive_sectors(addr, mask));
}

START_TEST(counts_agree_with_naive_ones)
{
    static const uint32_t strides[] = {0, 1, 2, 3, 4, 5, 7, 8, 16, 17, 31, 32, 33, 64, 256};
    for (uint32_t bytes = 1; bytes <= 32; bytes *= 2)
        for (size_t s = 0; s < sizeof strides / sizeof *strides; s++)
            for (int k = 0; k < 4; k++) {
                uint64_t a[WARP], base = k < 2 ? 0 : 4096 + random_below(64) * bytes;
                for (uint32_t i = 0; i < WARP; i++)
                    a[i] = base + (uint64_t)i * strides[s] * bytes;
                check_counts(a, bytes, k % 2 ? FULL_MASK : random_below(UINT32_MAX) | 1);
            }
    for (int round = 0; round < 3000; round++) {
        uint64_t a[WARP];
        uint32_t bytes = 1u << random_below(6), span = 1u << (1 + random_below(10));
        for (uint32_t i = 0; i < WARP; i++)
            a[i] = 1024 + (uint64_t)random_below(span) * bytes;
        check_counts(a, bytes, round % 2 ? FULL_MASK : random_below(UINT32_MAX) | 1);
    }
}
END_TEST

START_TEST(known_bank_patterns)
{
    uint64_t a[WARP];
    for (uint32_t i = 0; i < WARP; i++)
        a[i] = 1024 + i * 4;
    ck_assert_uint_eq(bank_passes(a, 4, FULL_MASK), 1);
    for (uint32_t i = 0; i < WARP; i++)
        a[i] = 1024 + i * 128; /* a column */
    ck_assert_uint_eq(bank_passes(a, 4, FULL_MASK), 32);
    for (uint32_t i = 0; i < WARP; i++)
        a[i] = 2048;
    ck_assert_uint_eq(bank_passes(a, 4, FULL_MASK), 1); /* broadcast */
    for (uint32_t i = 0; i < WARP; i++)
        a[i] = 1024 + i * 16;
    ck_assert_uint_eq(bank_passes(a, 16, FULL_MASK), 4); /* quarter warps */
    for (uint32_t i = 0; i < WARP; i++)
        a[i] = 1024 + i * 128 + ((i % 8) * 16); /* rows of 128 bytes, 128B swizzle: no conflict */
    ck_assert_uint_eq(bank_passes(a, 16, FULL_MASK), 4);
    for (uint32_t i = 0; i < WARP; i++)
        a[i] = 1024 + i * 128; /* the same without swizzle: 8 lanes on one quarter of the banks */
    ck_assert_uint_eq(bank_passes(a, 16, FULL_MASK), 32);
}
END_TEST

/* ---- Loads and stores ---- */

START_TEST(every_width_and_sign_in_shared_memory)
{
    run(".shared .align 16 .b8 s[512];",
        MINE "mov.u32 %r2, s; mad.lo.u32 %r2, %r1, 16, %r2; mov.u32 %r3, 0x80c0e0f0; mov.u32 %r4, "
             "0x12345678;\n"
             "st.shared.v4.u32 [%r2], {%r3, %r4, %r1, %r3}; ld.shared.s8 %r5, [%r2+1]; "
             "ld.shared.u8 %r6, [%r2+1];\n"
             "ld.shared.s16 %r7, [%r2+2]; ld.shared.u16 %r8, [%r2+2]; ld.shared.u64 %rd3, [%r2]; "
             "ld.shared.v2.u16 {%h1, %h2}, [%r2+4];\n"
             "ld.shared.s32 %rd4, [%r2+12]; ld.shared.v2.f32 {%f1, %f2}, [%r2+8]; shr.u64 %rd5, "
             "%rd3, 32; cvt.u32.u64 %r9, %rd5;\n"
             "add.u32 %r10, %r5, %r6; add.u32 %r10, %r10, %r7; add.u32 %r10, %r10, %r8; add.u32 "
             "%r10, %r10, %r9; mov.b32 %r11, {%h2, %h1};\n"
             "add.u32 %r10, %r10, %r11; shr.u64 %rd4, %rd4, 40; cvt.u32.u64 %r12, %rd4; add.u32 "
             "%r10, %r10, %r12; mov.b32 %r13, %f1;\n"
             "add.u32 %r10, %r10, %r13;" PUT("%r10") "ret;");
    for (uint32_t i = 0; i < 32; i++) {
        uint32_t want =
            0xffffffe0u + 0xe0 + 0xffff80c0u + 0x80c0 + 0x12345678 + 0x56781234 + 0xffffff + i;
        ck_assert_uint_eq(out[i], want);
    }
}
END_TEST

START_TEST(generic_addresses_reach_every_space)
{
    run(".global .align 8 .u32 g[2] = {11, 22}; .const .align 4 .u32 c[2] = {33, 44};",
        ".shared .align 8 .b8 s[256]; .local .align 8 .b8 l[16];\n" MINE
        "mov.u64 %rd3, s; cvta.shared.u64 %rd3, %rd3; mul.wide.u32 %rd4, %r1, 8; add.s64 %rd3, "
        "%rd3, %rd4; st.u32 [%rd3], %r1;\n"
        "mov.u32 %r9, 5; st.local.u32 [l+4], %r9; mov.u64 %rd5, l; cvta.local.u64 %rd5, %rd5; "
        "st.u32 [%rd5+8], %r1; ld.u32 %r2, [%rd5+4];\n"
        "ld.local.u32 %r3, [l+8]; ld.u32 %r4, [%rd3]; mov.u64 %rd6, g; cvta.global.u64 %rd6, %rd6; "
        "ld.u32 %r5, [%rd6+4]; ld.global.u32 %r6, [g];\n"
        "ld.const.u32 %r7, [c+4]; mul.lo.u32 %r8, %r2, 1000; add.u32 %r8, %r8, %r3; add.u32 %r8, "
        "%r8, %r4; add.u32 %r8, %r8, %r5;\n"
        "add.u32 %r8, %r8, %r6; mad.lo.u32 %r8, %r7, 100000, %r8;" PUT("%r8") "ret;");
    for (uint32_t i = 0; i < 32; i++)
        ck_assert_uint_eq(out[i], 5 * 1000 + 2 * i + 22 + 11 + 44 * 100000);
}
END_TEST

START_TEST(wide_global_vectors)
{
    run("", "mul.wide.u32 %rd2, %r1, 32; add.s64 %rd2, %rd1, %rd2; add.u32 %r2, %r1, 1; add.u32 "
            "%r3, %r1, 2;\n"
            "st.global.v8.b32 [%rd2], {%r1, %r2, %r3, %r1, %r2, %r3, %r1, %r2}; ld.global.v4.u32 "
            "{%r4, %r5, %r6, %r7}, [%rd2+16];\n"
            "add.u32 %r4, %r4, %r7; st.global.u32 [%rd2+4096], %r4; ld.global.v2.u64 {%rd3, %rd4}, "
            "[%rd2]; st.global.v2.u64 [%rd2+8192], {%rd4, %rd3}; ret;");
    for (uint32_t i = 0; i < 32; i++) {
        ck_assert_uint_eq(out[8 * i + 5], i + 2);
        ck_assert_uint_eq(out[8 * i + 1024], 2 * i + 2);
        ck_assert_uint_eq(out[8 * i + 2048], i + 2);
        ck_assert_uint_eq(out[8 * i + 2049], i);
        ck_assert_uint_eq(out[8 * i + 2051], i + 1);
    }
}
END_TEST

/* b16, b8 stores leave their neighbours alone. */
START_TEST(narrow_stores)
{
    run_with(&(PtxRun){.fill = 0x55}, "",
             MINE "cvt.u16.u32 %h1, %r1; st.global.u16 [%rd2+2], %h1; mov.u32 %r2, 0x1ff; "
                  "st.global.u8 [%rd2], %r2; ret;");
    for (uint32_t i = 0; i < 32; i++)
        ck_assert_uint_eq(out[i], i << 16 | 0x55ff);
}
END_TEST

START_TEST(registers_and_shared_memory_start_as_poison)
{
    run(".shared .align 4 .b8 s[64];", MINE "ld.shared.u32 %r2, [s+8];" PUT("%r2") "ret;");
    ck_assert_uint_eq(out[5], 0xffffffff);
}
END_TEST

/* ---- Atomics ---- */

START_TEST(shared_atomics_return_the_old_value)
{
    run(".shared .align 8 .b8 s[64];",
        MINE "st.shared.u32 [s], 100; st.shared.u32 [s+4], 0; st.shared.u32 [s+8], 0xffffffff; "
             "st.shared.u32 [s+12], 3; bar.warp.sync -1;\n"
             "atom.shared.add.u32 %r2, [s], 2; red.shared.max.s32 [s+4], %r1; red.shared.min.u32 "
             "[s+8], %r1; atom.shared.inc.u32 %r3, [s+12], 9;\n"
             "bar.warp.sync -1; ld.shared.u32 %r4, [s]; ld.shared.u32 %r5, [s+4]; ld.shared.u32 "
             "%r6, [s+8]; ld.shared.u32 %r7, [s+12];\n"
             "mad.lo.u32 %r2, %r3, 1000, %r2; mad.lo.u32 %r2, %r5, 100000, %r2; add.u32 %r2, %r2, "
             "%r6; add.u32 %r2, %r2, %r4; mad.lo.u32 %r2, %r7, 10000000, %r2;" PUT("%r2") "ret;");
    uint32_t counter = 3;
    for (uint32_t i = 0; i < 32; i++, counter = counter >= 9 ? 0 : counter + 1)
        out[100 + i] = counter;
    for (uint32_t i = 0; i < 32; i++)
        ck_assert_uint_eq(out[i], 100 + 2 * i + 1000 * out[100 + i] + 100000 * 31 + 0 + 164 +
                                      10000000 * counter);
}
END_TEST

START_TEST(global_atomics_by_many_ctas)
{
    run_with(&(PtxRun){.grid = 20, .threads = 64}, "",
             "mov.u32 %r2, 1; red.global.add.u32 [%rd1], %r2; mov.f32 %f1, 0f3F000000; "
             "red.global.add.f32 [%rd1+4], %f1;\n"
             "atom.global.or.b32 %r3, [%rd1+8], %r1; mov.u64 %rd3, 3; atom.global.add.u64 %rd4, "
             "[%rd1+16], %rd3;\n"
             "L: ld.volatile.global.u32 %r5, [%rd1+24]; add.u32 %r6, %r5, 2; atom.global.cas.b32 "
             "%r7, [%rd1+24], %r5, %r6; setp.ne.u32 %p1, %r7, %r5; @%p1 bra L; ret;");
    float f;
    memcpy(&f, &out[1], 4);
    ck_assert_uint_eq(out[0], 1280);
    ck_assert(f == 640.0f);
    ck_assert_uint_eq(out[2], 63);
    ck_assert_uint_eq(out[4], 3840);
    ck_assert_uint_eq(out[6], 2560);
}
END_TEST

START_TEST(vector_and_half_reductions)
{
    run("", "mov.f32 %f1, 0f3F800000; mov.f32 %f2, 0f40000000; red.global.add.v2.f32 [%rd1], {%f1, "
            "%f2};\n"
            "mov.u32 %r2, 0x3c003f80; red.global.add.noftz.bf16x2 [%rd1+8], %r2; ret;");
    float f[2];
    memcpy(f, out, 8);
    ck_assert(f[0] == 32.0f && f[1] == 64.0f);
    ck_assert_uint_eq(out[2] & 0xffff, 0x4200); /* 32 x 1.0 */
}
END_TEST

/* ---- Clusters ---- */

START_TEST(shared_memory_of_another_cta)
{
    run_with(&(PtxRun){.grid = 2, .cluster = 2}, "",
             ".shared .align 8 .b8 s[128];\n"
             "mov.u32 %r10, %cluster_ctarank; mov.u32 %r11, %ctaid.x; mov.u32 %r2, s; mad.lo.u32 "
             "%r3, %r1, 4, %r2; mad.lo.u32 %r4, %r10, 1000, %r1; st.shared.u32 [%r3], %r4;\n"
             "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned; xor.b32 %r5, %r10, 1; "
             "mapa.shared::cluster.u32 %r6, %r3, %r5; ld.shared::cluster.u32 %r7, [%r6];\n"
             "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned; mad.lo.u32 %r8, %r11, "
             "32, %r1; mul.wide.u32 %rd2, %r8, 4; add.s64 %rd2, %rd1, %rd2;" PUT("%r7") "ret;");
    for (uint32_t i = 0; i < 64; i++)
        ck_assert_uint_eq(out[i], (i < 32 ? 1000 : 0) + i % 32);
}
END_TEST

/* ---- Faults ---- */

START_TEST(faults_say_where)
{
    fails("",
          "mul.wide.u32 %rd2, %r1, 4096; add.s64 %rd2, %rd1, %rd2; st.global.u32 [%rd2], %r1; ret;",
          "ends 0 bytes before");
    fails("",
          "mul.wide.u32 %rd2, %r1, 4096; add.s64 %rd2, %rd1, %rd2; st.global.u32 [%rd2], %r1; ret;",
          "lane 16");
    fails("", "st.global.u32 [%rd1+-4], %r1; ret;", "in no allocation");
    fails("", "mov.u64 %rd2, 16; st.global.u32 [%rd2], %r1; ret;", "no global address");
    fails("", "st.global.u32 [%rd1+2], %r1; ret;", "not aligned to 4");
    fails("", "st.global.v4.u32 [%rd1+8], {%r1, %r1, %r1, %r1}; ret;", "not aligned to 16");
    fails(".shared .align 4 .b8 s[64];",
          "mov.u32 %r2, s; mad.lo.u32 %r2, %r1, 4, %r2; st.shared.u32 [%r2], %r1; ret;", "lane 16");
    fails(".shared .align 4 .b8 s[64];", "mov.u32 %r2, s; st.shared.u32 [%r2+1], %r1; ret;",
          "not aligned");
    fails("", "mov.u32 %r2, 0; ld.shared.u32 %r3, [%r2]; st.global.u32 [%rd1], %r3; ret;",
          "shared address 0x0");
    fails(".shared .align 4 .b8 s[64];",
          "mov.u32 %r2, 0x1000400; ld.shared::cluster.u32 %r3, [%r2]; st.global.u32 [%rd1], %r3; "
          "ret;",
          "rank 1");
    fails("",
          ".local .align 4 .b8 l[8]; mov.u64 %rd3, l; st.local.u32 [%rd3+16], %r1; ld.local.u32 "
          "%r2, [%rd3]; st.global.u32 [%rd1], %r2; ret;",
          "local memory");
}
END_TEST

START_TEST(a_fault_changes_nothing)
{
    Err err;
    ck_assert(!ptx_run(
        &(PtxRun){.fill = 7}, "",
        "mul.wide.u32 %rd2, %r1, 4096; add.s64 %rd2, %rd1, %rd2; st.global.u32 [%rd2], %r1; ret;",
        out, &err));
    ck_assert_uint_eq(out[0], 0x07070707);
}
END_TEST

/* ---- Memory itself ---- */

START_TEST(allocations_are_apart_and_poisoned)
{
    GlobalMem *m = mem_new();
    uint64_t a = mem_alloc(m, 100, "a"), b = mem_alloc(m, 1 << 20, "b");
    ck_assert_uint_eq(a, GLOBAL_BASE);
    ck_assert_uint_eq(b % 256, 0);
    ck_assert_uint_ge(b, a + 100 + 4096);
    ck_assert_uint_eq(*(uint8_t *)mem_ptr(m, a + 99, 1), 0xff);
    ck_assert_ptr_null(mem_ptr(m, a + 99, 2));
    ck_assert_ptr_null(mem_ptr(m, a + 100, 1));
    ck_assert_ptr_null(mem_ptr(m, b - 1, 1));
    ck_assert_ptr_nonnull(mem_ptr(m, b, 1 << 20));
    ck_assert_ptr_null(mem_ptr(m, b, (1 << 20) + 1));
    ck_assert_ptr_null(mem_ptr(m, 0, 1));
    ck_assert_ptr_null(mem_ptr(m, b, UINT64_MAX));
    ck_assert_uint_eq(mem_alloc(m, UINT64_C(1) << 50, "huge"), 0);
    char text[200];
    mem_describe(m, a + 110, text, sizeof text);
    ck_assert_msg(strstr(text, "'a' (100 bytes") && strstr(text, "ends 10 bytes before"), "%s",
                  text);
    mem_free(m);
}
END_TEST

/* Every byte of a random mix of places, maps and releases against a plain list. */
START_TEST(released_room_is_used_again)
{
    enum { N = 40, STEPS = 4000, MAX_BYTES = 20000 };
    struct {
        uint64_t addr, bytes;
    } live[N] = {{0}};
    static uint8_t host[1 << 20];
    GlobalMem *m = mem_new();
    uint64_t seed = 1, high = 0;
    ck_assert(mem_map(m, (uintptr_t)host, host, sizeof host, "host"));
    ck_assert(!mem_map(m, (uintptr_t)host + 5, host, 8, "overlap"));
    for (int step = 0; step < STEPS; step++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint32_t i = (uint32_t)(seed >> 33) % N;
        if (live[i].bytes) {
            ck_assert(mem_release(m, live[i].addr));
            ck_assert(!mem_release(m, live[i].addr));
            ck_assert_ptr_null(mem_ptr(m, live[i].addr, 1));
            live[i].bytes = 0;
            continue;
        }
        live[i].bytes = 1 + (seed >> 40) % MAX_BYTES;
        live[i].addr = mem_alloc(m, live[i].bytes, "x");
        ck_assert_uint_ne(live[i].addr, 0);
        ck_assert_uint_eq(*(uint8_t *)mem_ptr(m, live[i].addr + live[i].bytes - 1, 1), 0xff);
        memset(mem_ptr(m, live[i].addr, live[i].bytes), (int)i, live[i].bytes);
        high = live[i].addr + live[i].bytes > high ? live[i].addr + live[i].bytes : high;
        for (uint32_t k = 0; k < N; k++) {
            if (!live[k].bytes)
                continue;
            const uint8_t *p = mem_ptr(m, live[k].addr, live[k].bytes);
            ck_assert(p && p[0] == k && p[live[k].bytes - 1] == k);
            ck_assert(k == i || live[k].addr + live[k].bytes + 4096 <= live[i].addr ||
                      live[i].addr + live[i].bytes + 4096 <= live[k].addr);
        }
    }
    /* Were nothing used again, some 2000 allocations of 10000 bytes would need 20 MB. */
    ck_assert_uint_lt(high - GLOBAL_BASE, 4u << 20);
    host[7] = 42;
    ck_assert_uint_eq(*(uint8_t *)mem_ptr(m, (uintptr_t)host + 7, 1), 42);
    ck_assert(mem_release(m, (uintptr_t)host));
    uint64_t at = GLOBAL_BASE + (UINT64_C(1) << 30);
    ck_assert_uint_eq(mem_place(m, at, 100, true, "there"), at);
    ck_assert_uint_eq(mem_place(m, at, 100, true, "again"), 0);
    mem_free(m);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("memory");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, counts_agree_with_naive_ones);
    tcase_add_test(t, known_bank_patterns);
    tcase_add_test(t, every_width_and_sign_in_shared_memory);
    tcase_add_test(t, generic_addresses_reach_every_space);
    tcase_add_test(t, wide_global_vectors);
    tcase_add_test(t, narrow_stores);
    tcase_add_test(t, registers_and_shared_memory_start_as_poison);
    tcase_add_test(t, shared_atomics_return_the_old_value);
    tcase_add_test(t, global_atomics_by_many_ctas);
    tcase_add_test(t, vector_and_half_reductions);
    tcase_add_test(t, shared_memory_of_another_cta);
    tcase_add_test(t, faults_say_where);
    tcase_add_test(t, a_fault_changes_nothing);
    tcase_add_test(t, allocations_are_apart_and_poisoned);
    tcase_add_test(t, released_room_is_used_again);
    Suite *s = suite_create("exec_mem");
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
