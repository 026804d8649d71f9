/* tcgen05.cp and tcgen05.shift: where each lane and column of tensor memory must come from, stated
 * the other way round from the copy, over all shapes, multicasts, formats and swizzles; order of
 * copies among MMAs; allocation by a pair of CTAs. */
#include <check.h>
#include <stdlib.h>

#include "tests/func_kit.h"
#include "tests/ptx_time.h"
#include "tests/tc_layout.h"

enum { SRC = 8192, COL = 100 };

static Kit kit;

static void open_kit(void)
{
    kit_open(&kit, 2, 4, false);
}

static void close_kit(void)
{
    kit_close(&kit);
}

typedef struct Shape {
    uint8_t shape, multicast;
    uint32_t rows, bytes;
} Shape;

static const Shape shapes[] = {
    {MV_CPSHAPE_S128X256B, 0, 128, 32},
    {MV_CPSHAPE_S4X256B, 0, 4, 32},
    {MV_CPSHAPE_S128X128B, 0, 128, 16},
    {MV_CPSHAPE_S64X128B, MV_CPMC_WARPX2_02_13, 64, 16},
    {MV_CPSHAPE_S64X128B, MV_CPMC_WARPX2_01_23, 64, 16},
    {MV_CPSHAPE_S32X128B, MV_CPMC_WARPX4, 32, 16},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* The row that arrives in a lane; -1: none. */
static int row_in(const Shape *s, uint32_t lane, uint32_t lane0)
{
    if (s->shape == MV_CPSHAPE_S4X256B)
        return lane % 32 == lane0 ? (int)(lane / 32) : -1;
    if (s->multicast == MV_CPMC_WARPX2_02_13)
        return (int)(lane % 64);
    if (s->multicast == MV_CPMC_WARPX2_01_23)
        return (int)(lane / 64 * 32 + lane % 32);
    return (int)(s->multicast == MV_CPMC_WARPX4 ? lane % 32 : lane);
}

/* Byte b of row r after decompression. */
static uint8_t byte_of(const Cta *c, const Tile *t, uint32_t r, uint32_t b, uint32_t format)
{
    const uint8_t *unit = c->shared + place(t, r, b / 16 * 16);
    uint32_t e = b % 16;
    if (!format)
        return unit[e];
    if (format == MV_SRCFMT_B4X16_P64)
        return (uint8_t)((unit[e / 2] >> e % 2 * 4 & 15) << 2);
    uint32_t v = 0;
    for (uint32_t i = 0; i < 6; i++)
        v |= (uint32_t)(unit[(6 * e + i) / 8] >> (6 * e + i) % 8 & 1) << i;
    return (uint8_t)v;
}

static bool issue_cp(const Shape *s, uint32_t format, uint32_t cg, uint64_t desc, uint32_t taddr)
{
    kit_begin(&kit, format ? OP_TCGEN05_CP_FMT : OP_TCGEN05_CP);
    kit.now.mod[MC_CG] = (uint8_t)cg;
    kit.now.mod[MC_CPSHAPE] = s->shape;
    kit.now.mod[MC_CPMC] = s->multicast;
    kit.now.mod[MC_SRCFMT] = (uint8_t)format;
    kit_mem32(&kit, taddr);
    kit_u64(&kit, desc);
    return kit_exec(&kit, exec_tcgen05_cp, 0, 0, 1);
}

static void fill(void)
{
    for (uint32_t c = 0; c < 2; c++) {
        for (uint32_t i = 0; i < SHARED_MAX; i++)
            kit.x->ctas[c].shared[i] = (uint8_t)rand();
        memset(kit.x->ctas[c].tmem, 0xff, 512 * 128 * 4);
    }
}

static void check_copy(const Shape *s, const Tile *t, uint32_t format, bool cg2, uint32_t lane0)
{
    for (uint32_t c = 0; c < 2; c++)
        for (uint32_t col = COL - 1; col < COL + 9; col++)
            for (uint32_t lane = 0; lane < 128; lane++) {
                const Cta *cta = &kit.x->ctas[c];
                int r = row_in(s, lane, lane0);
                bool inside = r >= 0 && col >= COL && col < COL + s->bytes / 4 && (c == 0 || cg2);
                uint32_t want = UINT32_MAX;
                for (uint32_t b = 0; inside && b < 4; b++) {
                    uint32_t v = byte_of(cta, t, (uint32_t)r, 4 * (col - COL) + b, format);
                    want = (want & ~(255u << 8 * b)) | v << 8 * b;
                }
                if (cta->tmem[col][lane] != want)
                    ck_abort_msg("shape %u multicast %u format %u width %u CTA %u lane %u column "
                                 "%u: %08x, not %08x",
                                 s->shape, s->multicast, format, t->width, c, lane, col,
                                 cta->tmem[col][lane], want);
            }
}

START_TEST(copies_arrive_where_the_shape_says)
{
    static const uint32_t widths[4] = {0, 32, 64, 128};
    const Shape *s = &shapes[_i];
    srand((unsigned)_i);
    for (uint32_t format = 0; format <= MV_SRCFMT_B4X16_P64; format++)
        for (uint32_t w = 0; w < 4; w++)
            for (uint32_t cg2 = 0; cg2 < 2; cg2++) {
                uint32_t k = widths[w] > s->bytes ? widths[w] : s->bytes;
                Tile t = {.at = SRC, .rows = s->rows, .k = k, .width = widths[w], .size = 1};
                t.rows = s->rows < 8 ? 8 : s->rows;
                uint32_t lane0 = s->rows == 4 ? w * 7 : 0;
                fill();
                ck_assert_msg(issue_cp(s, format, cg2 ? MV_CG_TWO : MV_CG_ONE, descriptor(&t, 0),
                                       COL | lane0 << 16),
                              "%s", kit.err.msg);
                ck_assert_uint_eq(kit.ops[0].kind, OK_TMEM_CP);
                ck_assert_uint_eq(kit.ops[0].bytes, s->rows * s->bytes);
                ck_assert_uint_eq(kit.ops[0].flags & OPF_PAIR ? 1 : 0, cg2);
                ck_assert_uint_eq(kit.x->ctas[0].tmem[COL][lane0], UINT32_MAX); /* not yet */
                ck_assert_msg(kit_finish(&kit, 0), "%s", kit.err.msg);
                check_copy(s, &t, format, cg2, lane0);
            }
}
END_TEST

START_TEST(rows_move_down_by_one_lane)
{
    for (uint32_t cg2 = 0; cg2 < 2; cg2++) {
        for (uint32_t c = 0; c < 2; c++)
            for (uint32_t col = 0; col < 512; col++)
                for (uint32_t lane = 0; lane < 128; lane++)
                    kit.x->ctas[c].tmem[col][lane] = c << 30 | col << 8 | lane;
        kit_begin(&kit, OP_TCGEN05_SHIFT);
        kit.now.mod[MC_CG] = cg2 ? MV_CG_TWO : MV_CG_ONE;
        kit_mem32(&kit, COL | 64 << 16);
        ck_assert_msg(kit_exec(&kit, exec_tcgen05_shift, 0, 0, 1), "%s", kit.err.msg);
        ck_assert(kit_finish(&kit, 0));
        for (uint32_t c = 0; c < 2; c++)
            for (uint32_t col = 0; col < 512; col++)
                for (uint32_t lane = 0; lane < 128; lane++) {
                    bool moved =
                        (c == 0 || cg2) && col >= COL && col < COL + 8 && lane > 64 && lane < 96;
                    if (kit.x->ctas[c].tmem[col][lane] != (c << 30 | col << 8 | (lane - moved)))
                        ck_abort_msg("CTA %u column %u lane %u", c, col, lane);
                }
    }
    kit_begin(&kit, OP_TCGEN05_SHIFT);
    kit.now.mod[MC_CG] = MV_CG_ONE;
    kit_mem32(&kit, COL | 16 << 16);
    ck_assert(!kit_exec(&kit, exec_tcgen05_shift, 0, 0, 1));
    ck_assert_ptr_nonnull(strstr(kit.err.msg, "multiple of 32"));
}
END_TEST

static void issue_mma(uint64_t b, bool accumulate)
{
    kit_begin(&kit, OP_TCGEN05_MMA_TS);
    kit.now.mod[MC_KIND] = MV_KIND_F16;
    kit.now.mod[MC_CG] = MV_CG_ONE;
    kit_mem32(&kit, 0);
    kit_mem32(&kit, COL);
    kit_u64(&kit, b);
    kit_u32(&kit, 1u << 4 | 1u << 7 | 1u << 10 | 1u << 17 | 8u << 24);
    kit_none(&kit);
    kit_pred(&kit, accumulate ? PRED_TRUE : PRED_FALSE);
    kit_none(&kit);
    ck_assert_msg(kit_exec(&kit, exec_tcgen05_mma, 0, 0, 1), "%s", kit.err.msg);
    ck_assert_msg(kit_finish(&kit, 0), "%s", kit.err.msg);
}

/* cp, MMA, cp over what the MMA reads, MMA, commit: the first MMA must see the first copy only. */
START_TEST(copies_and_mmas_keep_their_order)
{
    static const uint16_t bf16[2] = {0x3f80, 0x4040}; /* 1, 3 */
    Tile b = {.at = SRC, .rows = 8, .k = 16, .size = 2}, a[2];
    Cta *c = &kit.x->ctas[0];
    for (uint32_t i = 0; i < 2; i++) {
        a[i] = (Tile){.at = SRC + 8192 * (i + 1), .rows = 128, .k = 16, .size = 2};
        for (uint32_t r = 0; r < 128; r++)
            for (uint32_t k = 0; k < 16; k++)
                memcpy(c->shared + place(&a[i], r, k), &bf16[i], 2);
    }
    for (uint32_t r = 0; r < 8; r++)
        for (uint32_t k = 0; k < 16; k++)
            memcpy(c->shared + place(&b, r, k), &bf16[0], 2);
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert(issue_cp(&shapes[0], 0, MV_CG_ONE, descriptor(&a[i], 0), COL));
        ck_assert(kit_finish(&kit, 0));
        issue_mma(descriptor(&b, 0), i > 0);
    }
    kit_begin(&kit, OP_TCGEN05_COMMIT);
    kit_mem32(&kit, 2048);
    ck_assert(kit_exec(&kit, exec_tcgen05_commit, 0, 0, 1));
    ck_assert(kit_finish(&kit, 0));
    for (uint32_t lane = 0; lane < 128; lane++)
        ck_assert_float_eq(num_float(c->tmem[3][lane]), 16 * 1.f + 16 * 3.f);
}
END_TEST

START_TEST(bad_copies_are_faults)
{
    uint64_t good = descriptor(&(Tile){.at = SRC, .rows = 128, .k = 32, .size = 1}, 0);
    ck_assert(!issue_cp(&shapes[0], 0, MV_CG_ONE, good, 32u << 16));
    ck_assert_ptr_nonnull(strstr(kit.err.msg, "lane 32"));
    ck_assert(!issue_cp(&shapes[1], 0, MV_CG_ONE, good, 32u << 16));
    ck_assert(!issue_cp(&shapes[0], 0, MV_CG_ONE, good | UINT64_C(3) << 61, 0));
    ck_assert_ptr_nonnull(strstr(kit.err.msg, "swizzle"));
    ck_assert(!issue_cp(&shapes[0], 0, MV_CG_ONE, good, 505));
    ck_assert_ptr_nonnull(strstr(kit.err.msg, "allocated"));
    ck_assert(issue_cp(&shapes[0], 0, MV_CG_ONE, good | 0x3fff, 0)); /* 256 KB - 16 */
    ck_assert(!kit_finish(&kit, 0));
    ck_assert_ptr_nonnull(strstr(kit.err.msg, "beyond"));
}
END_TEST

/* ---- Allocation by pairs ---- */

static const char *const alloc_globals = ".shared .align 8 .b32 taddr;\n";

/* The second CTA asks later: the first waits for it, both get the same columns. */
START_TEST(a_pair_allocates_together)
{
    static uint32_t out[PTX_OUT_BYTES / 4];
    Err err;
    const char *body =
        "mov.u32 %r2, %cluster_ctarank; setp.eq.u32 %p1, %r2, 1; mov.u32 %r20, taddr;\n"
        "@%p1 nanosleep.u32 1000;\n"
        "tcgen05.alloc.cta_group::2.sync.aligned.shared::cta.b32 [%r20], 64;\n"
        "tcgen05.alloc.cta_group::2.sync.aligned.shared::cta.b32 [%r20], 32;\n"
        "ld.shared.u32 %r3, [%r20]; mul.wide.u32 %rd2, %r2, 4; add.u64 %rd2, %rd2, %rd1;\n"
        "add.u32 %r3, %r3, 7; st.global.u32 [%rd2], %r3; mov.u32 %r4, 0; mov.u32 %r5, 64;\n"
        "tcgen05.dealloc.cta_group::2.sync.aligned.b32 %r5, 32;\n"
        "tcgen05.dealloc.cta_group::2.sync.aligned.b32 %r4, 64;\n"
        "tcgen05.relinquish_alloc_permit.cta_group::2.sync.aligned; ret;";
    PtxRun r = {.grid = 2, .cluster = 2};
    ck_assert_msg(ptx_run(&r, alloc_globals, body, out, &err), "%s", err.msg);
    ck_assert_uint_eq(out[0], 64 + 7);
    ck_assert_uint_eq(out[1], 64 + 7);
    memset(out, 0, sizeof out);
    PtxChip chip = {.sms = 2}; /* with time */
    ck_assert_msg(ptx_run_on(&r, &chip, alloc_globals, body, out, &err), "%s", err.msg);
    ck_assert_uint_eq(out[0], 64 + 7);
    ck_assert_uint_eq(out[1], 64 + 7);
}
END_TEST

START_TEST(one_of_a_pair_waits_for_ever)
{
    static uint32_t out[PTX_OUT_BYTES / 4];
    Err err;
    const char *body =
        "mov.u32 %r2, %cluster_ctarank; setp.eq.u32 %p1, %r2, 1; mov.u32 %r20, taddr;\n"
        "@%p1 bra END;\n"
        "tcgen05.alloc.cta_group::2.sync.aligned.shared::cta.b32 [%r20], 64;\n"
        "END: ret;";
    PtxRun r = {.grid = 2, .cluster = 2};
    ck_assert(!ptx_run(&r, alloc_globals, body, out, &err));
    ck_assert_int_eq(err.kind, ERR_DEADLOCK);
    r.cluster = 1;
    ck_assert(!ptx_run(&r, alloc_globals, body, out, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "outside a cluster"));
}
END_TEST

START_TEST(no_allocation_after_the_permit_is_given_up)
{
    static uint32_t out[PTX_OUT_BYTES / 4];
    Err err;
    const char *body = "mov.u32 %r20, taddr;\n"
                       "tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned;\n"
                       "tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%r20], 64; ret;";
    ck_assert(!ptx_run(&(PtxRun){0}, alloc_globals, body, out, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "relinquish"));
}
END_TEST

/* What is parsed but has no meaning here is refused by its name. */
START_TEST(sparse_and_weight_stationary_are_named)
{
    static const struct {
        const char *body, *says;
    } cases[] = {
        {"tcgen05.mma.sp.cta_group::1.kind::f16 [%r1], %rd1, %rd2, [%r2], %r3, %p1;", "mma.sp"},
        {"tcgen05.mma.sp.cta_group::1.kind::mxf4.block_scale [%r1], %rd1, %rd2, [%r2], %r3, [%r4], "
         "[%r5], %p1;",
         "mma.sp"},
        {"tcgen05.mma.ws.cta_group::1.kind::i8 [%r1], %rd1, %rd2, %r3, %p1;", "mma.ws"},
        {"tcgen05.mma.ws.sp.cta_group::1.kind::f16 [%r1], %rd1, %rd2, [%r2], %r3, %p1;",
         "mma.ws.sp"},
        {"tcgen05.mma.cta_group::1.kind::f16.ashift [%r1], [%r2], %rd2, %r3, %p1;", "ashift"},
    };
    static uint32_t out[PTX_OUT_BYTES / 4];
    Err err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert(!ptx_run(&(PtxRun){0}, "", cases[i].body, out, &err));
        ck_assert_int_eq(err.kind, ERR_UNSUPPORTED);
        ck_assert_msg(strstr(err.msg, cases[i].says) != NULL, "%s", err.msg);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tc_cp");
    TCase *t = tcase_create("cp"), *a = tcase_create("alloc");
    tcase_add_checked_fixture(t, open_kit, close_kit);
    tcase_set_timeout(t, 120);
    tcase_set_timeout(a, 120);
    tcase_add_loop_test(t, copies_arrive_where_the_shape_says, 0, SHAPES);
    tcase_add_test(t, rows_move_down_by_one_lane);
    tcase_add_test(t, copies_and_mmas_keep_their_order);
    tcase_add_test(t, bad_copies_are_faults);
    tcase_add_test(a, a_pair_allocates_together);
    tcase_add_test(a, one_of_a_pair_waits_for_ever);
    tcase_add_test(a, no_allocation_after_the_permit_is_given_up);
    tcase_add_test(a, sparse_and_weight_stationary_are_named);
    suite_add_tcase(s, t);
    suite_add_tcase(s, a);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
