/* Forms of asynchronous copies and of tensormap.replace that kernels seldom use: reductions of
 * every type, byte masks, prefetches, st.async and red.async to global memory, every field of a
 * map. The expectations are made here, by plain loops. */
#include <math.h>

#include "ptx_run.h"
#include "tests/tma_case.h"

enum { SRC = 0, DST = 4096, BYTES = 512 };

static uint8_t before[PTX_OUT_BYTES], after[PTX_OUT_BYTES];

/* Runs body on `before`, gives `after`. */
static void run(const char *body, uint32_t threads, const char *what)
{
    PtxRun r = {.threads = threads};
    PtxKernel k;
    bool good =
        ptx_load(&k, &r, ".shared .align 128 .b8 sh[2048]; .shared .align 8 .b64 bar;\n", body);
    ck_assert_msg(good, "%s: %s", what, k.err.msg);
    uint8_t *mem = mem_ptr(k.mem, k.out, PTX_OUT_BYTES);
    memcpy(mem, before, sizeof before);
    good = exec_run(&k.arena, &k.desc, 0, 0, 1, NULL, &k.err);
    ck_assert_msg(good, "%s: %s", what, k.err.msg);
    memcpy(after, mem, sizeof after);
    ptx_free(&k);
}

/* ---- cp.reduce.async.bulk ---- */

/* BYTES from `before` to shared memory, by every thread in turn. */
static const char to_shared[] =
    "mul.lo.u32 %r2, %r1, 16; cvt.u64.u32 %rd2, %r2; add.u64 %rd2, %rd2, %rd1;\n"
    "mov.u32 %r3, sh; add.u32 %r4, %r3, %r2;\n"
    "ld.global.v4.b32 {%r10,%r11,%r12,%r13}, [%rd2];\n"
    "st.shared.v4.b32 [%r4], {%r10,%r11,%r12,%r13};\n"
    "fence.proxy.async; bar.sync 0; setp.ne.u32 %p1, %r1, 0; @%p1 exit;\n";
#define WAIT "cp.async.bulk.commit_group; cp.async.bulk.wait_group 0; ret;"

typedef struct Reduction {
    const char *op, *type;
} Reduction;

static const Reduction reductions[] = {
    {"add", "u32"},       {"add", "s32"},        {"add", "u64"},  {"add", "f32"},  {"add", "f64"},
    {"add.noftz", "f16"}, {"add.noftz", "bf16"}, {"min", "u32"},  {"min", "s32"},  {"min", "u64"},
    {"min", "s64"},       {"min", "f16"},        {"min", "bf16"}, {"max", "u32"},  {"max", "s32"},
    {"max", "u64"},       {"max", "s64"},        {"max", "f16"},  {"max", "bf16"}, {"and", "b32"},
    {"and", "b64"},       {"or", "b32"},         {"or", "b64"},   {"xor", "b32"},  {"xor", "b64"},
    {"inc", "u32"},       {"dec", "u32"}};
enum { REDUCTIONS = sizeof reductions / sizeof *reductions };

static uint64_t bits_of_double(double x)
{
    uint64_t v;
    memcpy(&v, &x, sizeof v);
    return v;
}

/* A value of the type as a double, exactly, and back with one rounding. */
static double float_value(const char *type, uint64_t v)
{
    double d;
    if (strcmp(type, "f64") == 0)
        return memcpy(&d, &v, sizeof d), d;
    if (strcmp(type, "f16") == 0) { /* finite ones */
        int e = (int)(v >> 10 & 31), m = (int)(v & 1023);
        d = e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
        return v >> 15 ? -d : d;
    }
    float f;
    uint32_t w = (uint32_t)(strcmp(type, "bf16") == 0 ? v << 16 : v);
    memcpy(&f, &w, sizeof f);
    return (double)f;
}

/* The nearest of all patterns of 16 bits, ties to the even one. */
static uint64_t nearest_half(const char *type, double x)
{
    uint64_t best = 0;
    double distance = INFINITY;
    for (uint32_t v = 0; v < 0x8000; v++) {
        uint32_t bits = v | (x < 0 ? 0x8000u : 0);
        double d = fabs(float_value(type, bits) - x);
        bool finite = strcmp(type, "f16") == 0 ? (v >> 10) < 31 : (v >> 7) < 255;
        if (finite && (d < distance || (d == distance && v % 2 == 0))) {
            distance = d;
            best = bits;
        }
    }
    return best;
}

static uint64_t reduced_float(const Reduction *r, uint64_t a, uint64_t b)
{
    double x = float_value(r->type, a), y = float_value(r->type, b);
    if (r->op[0] == 'm')
        return (r->op[1] == 'i') == (x < y) ? a : b;
    if (r->type[0] == 'b' || r->type[1] == '1')
        return nearest_half(r->type, x + y);
    if (strcmp(r->type, "f64") == 0)
        return bits_of_double(x + y);
    float f = (float)x + (float)y;
    uint32_t w;
    memcpy(&w, &f, sizeof w);
    return w;
}

static uint64_t reduced(const Reduction *r, uint64_t a, uint64_t b)
{
    bool wide = strstr(r->type, "64") != NULL;
    int64_t sa = wide ? (int64_t)a : (int32_t)a, sb = wide ? (int64_t)b : (int32_t)b;
    if (r->type[0] == 'f' || r->type[1] == 'f')
        return reduced_float(r, a, b);
    switch (r->op[1]) {
    case 'd':
        return wide ? a + b : (uint32_t)(a + b);
    case 'i':
        return (r->type[0] == 's' ? sa < sb : a < b) ? a : b;
    case 'a':
        return (r->type[0] == 's' ? sa > sb : a > b) ? a : b;
    case 'n':
        return r->op[0] == 'a' ? a & b : a >= b ? 0 : a + 1;
    case 'r':
        return a | b;
    case 'o':
        return a ^ b;
    default: /* dec */
        return a == 0 || a > b ? b : a - 1;
    }
}

/* Any bits; of floats numbers whose sums neither overflow nor vanish, and no zeros. */
static void fill_reduction(const Reduction *r, uint32_t size)
{
    static const uint32_t clear[] = {[2] = 0x4000, [4] = 0x40000000};
    for (uint32_t i = 0; i < DST + BYTES; i++)
        before[i] = (uint8_t)rand();
    bool is_float = r->type[0] == 'f' || r->type[1] == 'f';
    for (uint32_t at = 0; is_float && at < DST + BYTES; at += size) {
        uint64_t v = 0;
        memcpy(&v, before + at, size);
        if (size == 8)
            v = (v & 0x800fffffffffffffu) | (uint64_t)(1000 + draw(40)) << 52;
        else if (strcmp(r->type, "f16") == 0)
            v = (v & 0x83ff) | (8 + draw(12)) << 10;
        else
            v = (v & ~(uint64_t)clear[size]) | (uint64_t)(size == 2 ? 0x2000 : 0x20000000);
        memcpy(before + at, &v, size);
    }
}

static void check_reduction(const Reduction *r, const char *where)
{
    uint32_t size = strstr(r->type, "64") ? 8 : strstr(r->type, "16") ? 2 : 4;
    for (uint32_t at = 0; at < BYTES; at += size) {
        uint64_t a = 0, b = 0, got = 0;
        memcpy(&a, before + DST + at, size);
        memcpy(&b, before + SRC + at, size);
        memcpy(&got, after + DST + at, size);
        uint64_t want = reduced(r, a, b);
        ck_assert_msg(got == want, "%s .%s.%s: %llx with %llx gives %llx, not %llx", where, r->op,
                      r->type, (unsigned long long)a, (unsigned long long)b,
                      (unsigned long long)got, (unsigned long long)want);
    }
    ck_assert_int_eq(memcmp(after + DST + BYTES, before + DST + BYTES, 256), 0);
}

START_TEST(bulk_reductions_of_every_type)
{
    const Reduction *r = &reductions[_i];
    char body[2048];
    srand((unsigned)_i);
    fill_reduction(r, strstr(r->type, "64") ? 8 : strstr(r->type, "16") ? 2 : 4);
    snprintf(body, sizeof body,
             "%sadd.u64 %%rd3, %%rd1, %d;\n"
             "cp.reduce.async.bulk.global.shared::cta.bulk_group.%s.%s [%%rd3], [%%r3], "
             "%d;\n" WAIT,
             to_shared, DST, r->op, r->type, BYTES);
    run(body, 32, r->op);
    check_reduction(r, "global");
}
END_TEST

/* To shared memory: the types that this form has. */
START_TEST(bulk_reductions_to_shared_memory)
{
    static const Reduction forms[] = {{"add", "u32"}, {"add", "s32"}, {"add", "u64"},
                                      {"min", "u32"}, {"min", "s32"}, {"max", "u32"},
                                      {"max", "s32"}, {"inc", "u32"}, {"dec", "u32"},
                                      {"and", "b32"}, {"or", "b32"},  {"xor", "b32"}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char body[4096];
        srand((unsigned)i);
        fill_reduction(&forms[i], 4);
        snprintf(
            body, sizeof body,
            "mul.lo.u32 %%r2, %%r1, 16; cvt.u64.u32 %%rd2, %%r2; add.u64 %%rd2, %%rd2, %%rd1;\n"
            "mov.u32 %%r3, sh; add.u32 %%r4, %%r3, %%r2; mov.u32 %%r5, bar;\n"
            "ld.global.v4.b32 {%%r10,%%r11,%%r12,%%r13}, [%%rd2];\n"
            "ld.global.v4.b32 {%%r14,%%r15,%%r16,%%r17}, [%%rd2+%d];\n"
            "st.shared.v4.b32 [%%r4], {%%r10,%%r11,%%r12,%%r13};\n"
            "st.shared.v4.b32 [%%r4+512], {%%r14,%%r15,%%r16,%%r17};\n"
            "setp.eq.u32 %%p1, %%r1, 0;\n"
            "@%%p1 mbarrier.init.shared::cta.b64 [%%r5], 1;\n"
            "fence.proxy.async; bar.sync 0;\n"
            "@%%p1 mbarrier.arrive.expect_tx.shared::cta.b64 _, [%%r5], 512;\n"
            "add.u32 %%r6, %%r3, 512;\n"
            "@%%p1 cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes"
            ".%s.%s [%%r6], [%%r3], 512, [%%r5];\n"
            "L: mbarrier.try_wait.parity.shared::cta.b64 %%p2, [%%r5], 0; @!%%p2 bra L;\n"
            "ld.shared.v4.b32 {%%r14,%%r15,%%r16,%%r17}, [%%r4+512];\n"
            "st.global.v4.b32 [%%rd2+%d], {%%r14,%%r15,%%r16,%%r17};\nret;",
            DST, forms[i].op, forms[i].type, DST);
        run(body, 32, forms[i].op);
        check_reduction(&forms[i], "shared");
    }
}
END_TEST

/* ---- .cp_mask ---- */

START_TEST(masked_bytes_stay)
{
    static const uint32_t masks[] = {0, 1, 0x8000, 0x5555, 0xaaaa, 0x00ff, 0x1234, 0xffff};
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        char body[2048];
        uint32_t bytes = 16u << i % 6;
        srand((unsigned)i);
        for (uint32_t b = 0; b < sizeof before; b++)
            before[b] = (uint8_t)rand();
        snprintf(body, sizeof body,
                 "%sadd.u64 %%rd3, %%rd1, %d; mov.u16 %%h1, %u;\n"
                 "cp.async.bulk.global.shared::cta.bulk_group.cp_mask [%%rd3], [%%r3], "
                 "%u, %%h1;\n" WAIT,
                 to_shared, DST, masks[i], bytes);
        run(body, 32, "cp_mask");
        for (uint32_t b = 0; b < BYTES; b++) {
            bool copied = b < bytes && masks[i] >> b % 16 & 1;
            ck_assert_msg(after[DST + b] == before[(copied ? SRC : DST) + b], "mask %x, byte %u",
                          masks[i], b);
        }
    }
}
END_TEST

/* ---- st.async and red.async to global memory ---- */

START_TEST(stores_and_sums_to_global_memory)
{
    static const struct {
        const char *type, *reg;
        uint32_t bytes;
    } types[] = {{"b8", "%h1", 1},   {"u16", "%h1", 2},  {"s16", "%h1", 2}, {"b32", "%r2", 4},
                 {"u32", "%r2", 4},  {"s32", "%r2", 4},  {"f32", "%f1", 4}, {"b64", "%rd4", 8},
                 {"u64", "%rd4", 8}, {"s64", "%rd4", 8}, {"f64", "%fd1", 8}};
    memset(before, 0x11, sizeof before);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char body[2048];
        const char *scope = i % 2 ? "gpu" : "sys";
        snprintf(body, sizeof body,
                 "mad.lo.u32 %%r2, %%r1, 0x01030507, 0x80402010; mov.b32 %%f1, %%r2;\n"
                 "mul.wide.u32 %%rd4, %%r2, 0x10305071; mov.b64 %%fd1, %%rd4; cvt.u16.u32 %%h1, "
                 "%%r2;\n"
                 "mul.wide.u32 %%rd2, %%r1, %u; add.u64 %%rd2, %%rd2, %%rd1;\n"
                 "st.async.release.%s.global.%s [%%rd2], %s;\nret;",
                 types[i].bytes, scope, types[i].type, types[i].reg);
        run(body, 64, types[i].type);
        for (uint32_t t = 0; t < 64; t++) {
            uint32_t r = t * 0x01030507u + 0x80402010u;
            uint64_t want = types[i].bytes == 8 ? (uint64_t)r * 0x10305071u : r;
            ck_assert_msg(memcmp(after + t * types[i].bytes, &want, types[i].bytes) == 0,
                          "st.async .%s, thread %u", types[i].type, t);
        }
        ck_assert_uint_eq(after[64 * types[i].bytes], 0x11);
    }
    static const char *const sums[] = {"u32", "s32", "u64", "s64"};
    for (size_t i = 0; i < 4; i++) {
        char body[2048];
        bool wide = i > 1;
        snprintf(body, sizeof body,
                 "and.b32 %%r2, %%r1, 3; mul.wide.u32 %%rd2, %%r2, 8; add.u64 %%rd2, %%rd2, "
                 "%%rd1;\n"
                 "sub.s32 %%r3, %%r1, 40; cvt.s64.s32 %%rd3, %%r3;\n"
                 "red.async.release.gpu.global.add.%s [%%rd2], %s;\nret;",
                 sums[i], wide ? "%rd3" : "%r3");
        memset(before, 0, sizeof before);
        run(body, 64, sums[i]);
        for (int cell = 0; cell < 4; cell++) {
            int64_t want = 0, got = 0;
            for (int t = cell; t < 64; t += 4)
                want += t - 40;
            memcpy(&got, after + 8 * cell, wide ? 8 : 4);
            ck_assert_int_eq(wide ? got : (int32_t)got, want);
        }
    }
}
END_TEST

/* ---- Prefetches: they move nothing that a program can see, and name the bytes for the clock ----
 */

static void begin_prefetch(const Case *c, OpCode op, uint32_t n)
{
    kit_begin(&kit, op);
    kit.now.mod[MC_DIM] = (uint8_t)(MV_DIM_D1 + c->map.rank - 1);
    kit_mem64(&kit, put_map(&c->map));
    kit_vec(&kit, (const uint32_t *)c->coord, n);
}

START_TEST(prefetches_of_tensors)
{
    for (uint32_t rank = 1; rank <= 5; rank++) {
        Case c;
        uint32_t rows = 1;
        srand(rank);
        make_case(&c, rank, 0, false);
        for (uint32_t d = 1; d < rank; d++)
            rows *= c.map.box[d];
        begin_prefetch(&c, OP_CP_ASYNC_BULK_PREFETCH_TENSOR, rank);
        ck_assert_msg(kit_exec(&kit, exec_cp_async_bulk_prefetch_tensor, 0, 0, 1), "%s",
                      kit.err.msg);
        ck_assert_uint_eq(kit.n_ops, 1);
        ck_assert_uint_eq(kit.ops[0].kind, OK_TMA_PREFETCH);
        ck_assert_uint_eq(kit.ops[0].bytes, rows * c.map.box[0] * c.map.strides[0]);
        ck_assert_uint_eq(kit.ops[0].handle, 0);
    }
}
END_TEST

START_TEST(prefetch_of_four_rows)
{
    Case c;
    srand(5);
    make_case(&c, 2, 0, false);
    for (uint32_t height = 1; height < 4; height++) {
        c.map.box[1] = height;
        for (uint32_t r = 1; r < 5; r++)
            c.coord[r] = (int32_t)(3 * r) - 5;
        begin_prefetch(&c, OP_CP_ASYNC_BULK_PREFETCH_TENSOR_GATHER4, 5);
        bool good = kit_exec(&kit, exec_cp_async_bulk_prefetch_tensor, 0, 0, 1);
        ck_assert_int_eq(good, height == 1);
        if (good)
            ck_assert_uint_eq(kit.ops[0].bytes, 4 * c.map.box[0] * c.map.strides[0]);
        else
            ck_assert_ptr_nonnull(strstr(kit.err.msg, "boxes of one row"));
    }
}
END_TEST

START_TEST(prefetch_of_bytes)
{
    memset(before, 7, sizeof before);
    run("cp.async.bulk.prefetch.L2.global [%rd1], 4096;\nprefetch.global.L2 [%rd1];\n"
        "prefetch.global.L1 [%rd1+64]; prefetch.global.L2::evict_last [%rd1];\n"
        "applypriority.global.L2::evict_normal [%rd1], 128;\nret;",
        32, "prefetch");
    ck_assert_int_eq(memcmp(before, after, sizeof after), 0);
}
END_TEST

/* ---- tensormap.replace ---- */

typedef struct Field {
    uint8_t field;
    uint32_t ord;
    uint64_t value;
} Field;

static bool replace(uint64_t map, Field f)
{
    kit_begin(&kit, OP_TENSORMAP_REPLACE);
    kit.now.mod[MC_FIELD] = f.field;
    kit.now.mod[MC_SS] = MV_SS_GLOBAL;
    kit_mem64(&kit, map);
    kit_u32(&kit, f.ord);
    kit_u64(&kit, f.value);
    return kit_exec(&kit, exec_tensormap_replace, 0, 0, 1);
}

/* The same change of the decoded map. */
static void change(TensorMap *m, Field f)
{
    static const uint32_t swizzles[] = {TMAP_SWIZZLE_NONE, TMAP_SWIZZLE_32B, TMAP_SWIZZLE_64B,
                                        TMAP_SWIZZLE_128B};
    switch (f.field) {
    case MV_FIELD_GLOBAL_ADDRESS:
        m->address = f.value;
        break;
    case MV_FIELD_BOX_DIM:
        m->box[f.ord] = (uint32_t)f.value;
        break;
    case MV_FIELD_GLOBAL_DIM:
        m->dims[f.ord] = f.value;
        break;
    case MV_FIELD_GLOBAL_STRIDE: /* ordinal 0 is that of the second dimension */
        m->strides[f.ord + 1] = f.value;
        break;
    case MV_FIELD_ELEMENT_STRIDE:
        m->element_strides[f.ord] = (uint32_t)f.value;
        break;
    case MV_FIELD_ELEMTYPE:
        m->dtype = (uint32_t)f.value;
        break;
    case MV_FIELD_SWIZZLE_MODE:
        m->swizzle = swizzles[f.value];
        break;
    case MV_FIELD_FILL_MODE:
        m->oob_nan = f.value;
        break;
    default:
        break;
    }
}

static TensorMap five_dimensions(void)
{
    TensorMap m = {.address = 0x200000001000, .rank = 5, .dtype = TMAP_F32};
    for (uint32_t d = 0; d < 5; d++) {
        m.dims[d] = 40 + d;
        m.box[d] = d ? 2 : 8;
        m.element_strides[d] = 1;
        m.strides[d] = d ? m.strides[d - 1] * (d == 1 ? 48 : 50) : 4;
    }
    return m;
}

START_TEST(every_field_of_a_map_is_replaced)
{
    static const Field fields[] = {{MV_FIELD_GLOBAL_ADDRESS, 0, 0x7f1234567890},
                                   {MV_FIELD_BOX_DIM, 0, 256},
                                   {MV_FIELD_BOX_DIM, 0, 4},
                                   {MV_FIELD_BOX_DIM, 1, 1},
                                   {MV_FIELD_BOX_DIM, 2, 255},
                                   {MV_FIELD_BOX_DIM, 2, 1},
                                   {MV_FIELD_BOX_DIM, 3, 7},
                                   {MV_FIELD_BOX_DIM, 4, 256},
                                   {MV_FIELD_GLOBAL_DIM, 0, 1},
                                   {MV_FIELD_GLOBAL_DIM, 1, 0xffffffff},
                                   {MV_FIELD_GLOBAL_DIM, 2, 12345},
                                   {MV_FIELD_GLOBAL_DIM, 3, 2},
                                   {MV_FIELD_GLOBAL_DIM, 4, 99},
                                   {MV_FIELD_GLOBAL_STRIDE, 0, 16},
                                   {MV_FIELD_GLOBAL_STRIDE, 1, 0xfffffffff0},
                                   {MV_FIELD_GLOBAL_STRIDE, 2, 1 << 20},
                                   {MV_FIELD_GLOBAL_STRIDE, 3, 0x1234567890},
                                   {MV_FIELD_ELEMENT_STRIDE, 0, 1},
                                   {MV_FIELD_ELEMENT_STRIDE, 1, 8},
                                   {MV_FIELD_ELEMENT_STRIDE, 4, 3},
                                   {MV_FIELD_ELEMTYPE, 0, TMAP_U32},
                                   {MV_FIELD_ELEMTYPE, 0, TMAP_TF32},
                                   {MV_FIELD_ELEMTYPE, 0, TMAP_TF32_FTZ},
                                   {MV_FIELD_ELEMTYPE, 0, TMAP_S32},
                                   {MV_FIELD_SWIZZLE_MODE, 0, 1},
                                   {MV_FIELD_SWIZZLE_MODE, 0, 2},
                                   {MV_FIELD_SWIZZLE_MODE, 0, 3},
                                   {MV_FIELD_SWIZZLE_MODE, 0, 0},
                                   {MV_FIELD_FILL_MODE, 0, 1}};
    TensorMap want = five_dimensions(), got;
    uint64_t map = put_map(&want);
    Err err = {0};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        ck_assert_msg(replace(map, fields[i]), "%zu: %s", i, kit.err.msg);
        change(&want, fields[i]);
        ck_assert_msg(tensor_map_decode(mem_ptr(kit.mem, map, 128), &got, &err), "%zu: %s", i,
                      err.msg);
        ck_assert_uint_eq(got.address, want.address);
        ck_assert_uint_eq(got.dtype, want.dtype);
        ck_assert_uint_eq(got.swizzle, want.swizzle);
        ck_assert_uint_eq(got.oob_nan, want.oob_nan);
        for (uint32_t d = 0; d < 5; d++) {
            ck_assert_uint_eq(got.dims[d], want.dims[d]);
            ck_assert_uint_eq(got.box[d], want.box[d]);
            ck_assert_uint_eq(got.element_strides[d], want.element_strides[d]);
            ck_assert_msg(got.strides[d] == want.strides[d], "%zu: stride %u", i, d);
        }
    }
    ck_assert(replace(map, (Field){MV_FIELD_RANK, 0, 2})); /* one less than the rank */
    ck_assert(tensor_map_decode(mem_ptr(kit.mem, map, 128), &got, &err));
    ck_assert_uint_eq(got.rank, 3);
}
END_TEST

START_TEST(values_that_no_field_holds_are_faults)
{
    static const Field fields[] = {{MV_FIELD_GLOBAL_ADDRESS, 0, 0x200000001008},
                                   {MV_FIELD_RANK, 0, 5},
                                   {MV_FIELD_BOX_DIM, 0, 0},
                                   {MV_FIELD_BOX_DIM, 1, 257},
                                   {MV_FIELD_BOX_DIM, 5, 1},
                                   {MV_FIELD_GLOBAL_DIM, 5, 1},
                                   {MV_FIELD_GLOBAL_STRIDE, 0, 8},
                                   {MV_FIELD_GLOBAL_STRIDE, 1, (uint64_t)1 << 40},
                                   {MV_FIELD_GLOBAL_STRIDE, 4, 16},
                                   {MV_FIELD_ELEMENT_STRIDE, 1, 0},
                                   {MV_FIELD_ELEMENT_STRIDE, 1, 9},
                                   {MV_FIELD_ELEMENT_STRIDE, 5, 1},
                                   {MV_FIELD_ELEMTYPE, 0, 16},
                                   {MV_FIELD_INTERLEAVE, 0, 3},
                                   {MV_FIELD_SWIZZLE_MODE, 0, 4},
                                   {MV_FIELD_SWIZZLE_ATOMICITY, 0, 4},
                                   {MV_FIELD_FILL_MODE, 0, 2}};
    TensorMap m = five_dimensions();
    uint64_t map = put_map(&m);
    uint8_t bytes[128];
    memcpy(bytes, mem_ptr(kit.mem, map, 128), 128);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        ck_assert_msg(!replace(map, fields[i]), "%zu is taken", i);
        ck_assert_ptr_nonnull(strstr(kit.err.msg, "tensormap.replace"));
        ck_assert_int_eq(memcmp(bytes, mem_ptr(kit.mem, map, 128), 128), 0);
    }
}
END_TEST

/* Refused by name: the manual does not say where interleaved elements go. */
START_TEST(interleaved_maps_are_refused)
{
    for (uint32_t how = 1; how <= 2; how++) {
        TensorMap m = five_dimensions();
        Case c = {.map = m};
        uint64_t map = put_map(&m);
        ck_assert(replace(map, (Field){MV_FIELD_INTERLEAVE, 0, how}));
        begin_load(&c, map, BASE);
        ck_assert(!kit_exec(&kit, exec_cp_async_bulk_tensor_g2s, 0, 0, 1));
        ck_assert_ptr_nonnull(strstr(kit.err.msg, how == 1 ? "(16B)" : "(32B)"));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bulk_forms");
    TCase *t = tcase_create("kernels"), *k = tcase_create("instructions");
    tcase_add_loop_test(t, bulk_reductions_of_every_type, 0, REDUCTIONS);
    tcase_add_test(t, bulk_reductions_to_shared_memory);
    tcase_add_test(t, masked_bytes_stay);
    tcase_add_test(t, stores_and_sums_to_global_memory);
    tcase_add_test(t, prefetch_of_bytes);
    tcase_add_checked_fixture(k, open_kit, close_kit);
    tcase_add_test(k, prefetches_of_tensors);
    tcase_add_test(k, prefetch_of_four_rows);
    tcase_add_test(k, every_field_of_a_map_is_replaced);
    tcase_add_test(k, values_that_no_field_holds_are_faults);
    tcase_add_test(k, interleaved_maps_are_refused);
    tcase_set_timeout(t, 120);
    suite_add_tcase(s, t);
    suite_add_tcase(s, k);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
