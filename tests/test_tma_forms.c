/* Tensor copies of particular forms: conversions on the way, types below a byte, four rows; each
 * against a loop over elements or against what an H200 gave. */
#include "tests/tma_case.h"

/* tf32: the values that an H200 gave for these. */
START_TEST(f32_becomes_tf32_on_the_way)
{
    static const uint32_t in[12] = {0x3f801000, 0x3f800fff, 0x3f801001, 0x3f803000, 0x7f7fffff, 1,
                                    0x807fffff, 0x7f800001, 0x7fc12345, 0x3f805000, 0,          0};
    static const uint32_t want[12] = {0x3f800000, 0x3f800000, 0x3f802000, 0x3f804000,
                                      0x7f800000, 0,          0x80800000, 0x7fffe000,
                                      0x7fffe000, 0x3f804000, 0,          0};
    static const uint32_t types[] = {TMAP_TF32, TMAP_TF32_FTZ, TMAP_F32, TMAP_F32_FTZ};
    for (uint32_t t = 0; t < 4; t++) {
        Case c = {.map = {.rank = 1, .dtype = types[t]}, .bytes = 48};
        c.map.strides[0] = 4;
        for (uint32_t d = 0; d < 5; d++)
            c.map.dims[d] = c.map.box[d] = c.map.element_strides[d] = 1;
        c.map.dims[0] = c.map.box[0] = 12;
        c.map.address = mem_alloc(kit.mem, 48, "t");
        memcpy(mem_ptr(kit.mem, c.map.address, 48), in, 48);
        begin_load(&c, put_map(&c.map), BASE);
        ck_assert_msg(kit_exec(&kit, exec_cp_async_bulk_tensor_g2s, 0, 0, 1), "%s", kit.err.msg);
        ck_assert(kit_finish(&kit, 0));
        ck_assert_int_eq(memcmp(kit.x->ctas[0].shared + BASE, t < 2 ? want : in, 48), 0);
    }
}
END_TEST

/* An H200 refuses a box that does not begin at a multiple of 16 bytes (illegal instruction). */
START_TEST(a_box_begins_at_a_multiple_of_16_bytes)
{
    Case c;
    srand(11);
    do
        make_case(&c, 2, 0, false);
    while (c.map.strides[0] != 4);
    uint64_t map = put_map(&c.map);
    for (int32_t at = -9; at < 9; at++) {
        c.coord[0] = at;
        begin_load(&c, map, BASE);
        ck_assert_int_eq(kit_exec(&kit, exec_cp_async_bulk_tensor_g2s, 0, 0, 1), at % 4 == 0);
    }
}
END_TEST

/* Groups of sixteen 4- or 6-bit elements: dense in global memory, 8, 16 or 16 bytes in shared. */
START_TEST(elements_below_a_byte)
{
    static const struct {
        uint32_t type, global, shared;
    } forms[] = {{TMAP_B4X16, 8, 8}, {TMAP_B4X16_P64, 8, 16}, {TMAP_B6X16_P32, 12, 16}};
    for (uint32_t f = 0; f < 3; f++) {
        uint32_t g = forms[f].global, s = forms[f].shared;
        Case c = {.map = {.rank = 2, .dtype = forms[f].type}, .coord = {128, -1}};
        for (uint32_t d = 0; d < 5; d++)
            c.map.dims[d] = c.map.box[d] = c.map.element_strides[d] = 1;
        c.map.dims[0] = 384;
        c.map.dims[1] = 4;
        c.map.box[0] = 128;
        c.map.box[1] = 3;
        c.map.strides[1] = 24 * g + 32;
        c.bytes = c.map.strides[1] * 4;
        c.map.address = mem_alloc(kit.mem, c.bytes, "t");
        uint8_t *t = mem_ptr(kit.mem, c.map.address, c.bytes),
                *shared = kit.x->ctas[0].shared + BASE;
        for (uint32_t i = 0; i < c.bytes; i++)
            t[i] = (uint8_t)(i * 37 + i / 251);
        begin_load(&c, put_map(&c.map), BASE);
        ck_assert_msg(kit_exec(&kit, exec_cp_async_bulk_tensor_g2s, 0, 0, 1), "%s", kit.err.msg);
        ck_assert_uint_eq(kit.ops[0].bytes, 3 * 8 * g); /* what the mbarrier counts */
        ck_assert(kit_finish(&kit, 0));
        for (uint32_t row = 0; row < 3; row++)
            for (uint32_t i = 0; i < 8; i++)
                for (uint32_t b = 0; b < g; b++) {
                    uint8_t want = row ? t[(row - 1) * c.map.strides[1] + (8 + i) * g + b] : 0;
                    ck_assert_uint_eq(shared[(row * 8 + i) * s + b], want);
                }
    }
}
END_TEST

/* .b6p2x16: bytes of which the low six bits are kept. */
START_TEST(six_bits_of_each_byte_are_stored)
{
    Case c = {.map = {.rank = 1, .dtype = TMAP_B6X16_P32}, .bytes = 96};
    for (uint32_t d = 0; d < 5; d++)
        c.map.dims[d] = c.map.box[d] = c.map.element_strides[d] = 1;
    c.map.dims[0] = c.map.box[0] = 128;
    c.map.address = mem_alloc(kit.mem, 96, "t");
    uint8_t *t = mem_ptr(kit.mem, c.map.address, 96), *shared = kit.x->ctas[0].shared + BASE;
    for (uint32_t i = 0; i < 128; i++)
        shared[i] = (uint8_t)(i * 29 + 7);
    begin_store(&c, put_map(&c.map), OP_CP_ASYNC_BULK_TENSOR_S2G);
    ck_assert_msg(kit_exec(&kit, exec_cp_async_bulk_tensor_s2g, 0, 0, 1), "%s", kit.err.msg);
    ck_assert(kit_finish(&kit, 0));
    for (uint32_t i = 0; i < 128; i++) {
        uint32_t at = 6 * i, two = t[at / 8] | (at / 8 < 95 ? (uint32_t)t[at / 8 + 1] << 8 : 0);
        ck_assert_uint_eq(two >> at % 8 & 63, (i * 29 + 7) & 63);
    }
}
END_TEST

/* ---- Four rows ---- */

static void four_rows(Case *c, uint32_t swizzle)
{
    make_case(c, 2, swizzle, false);
    c->map.box[1] = 1;
    c->map.dims[1] = 9;
    c->bytes = c->map.strides[1] * 9;
    c->map.address = mem_alloc(kit.mem, c->bytes, "t");
    c->tensor = mem_ptr(kit.mem, c->map.address, c->bytes);
    for (uint64_t i = 0; i < c->bytes; i++)
        c->tensor[i] = (uint8_t)rand();
    for (uint32_t r = 1; r < 5; r++)
        c->coord[r] = (int32_t)draw(13) - 2;
}

/* One element at a time: row r of the box is row coord[1 + r] of the tensor. */
static uint8_t *row4_element(const Case *c, uint32_t r, uint32_t i)
{
    int64_t x = (int64_t)c->coord[0] + i, y = c->coord[1 + r];
    bool inside = x >= 0 && (uint64_t)x < c->map.dims[0] && y >= 0 && (uint64_t)y < c->map.dims[1];
    return inside ? c->tensor + (uint64_t)y * c->map.strides[1] + (uint64_t)x * c->map.strides[0]
                  : NULL;
}

START_TEST(four_rows_are_gathered)
{
    for (int round = 0; round < 60; round++) {
        Case c;
        uint32_t swizzle = (uint32_t)_i;
        srand((unsigned)(round * 7 + _i));
        four_rows(&c, swizzle);
        kit_begin(&kit, OP_CP_ASYNC_BULK_TENSOR_G2S_GATHER4);
        kit.now.mod[MC_DIM] = MV_DIM_D2;
        kit_mem32(&kit, BASE);
        kit_mem64(&kit, put_map(&c.map));
        kit_vec(&kit, (const uint32_t *)c.coord, 5);
        kit_mem32(&kit, MBAR);
        ck_assert_msg(kit_exec(&kit, exec_cp_async_bulk_tensor_g2s, 0, 0, 1), "%s", kit.err.msg);
        ck_assert(kit_finish(&kit, 0));
        uint32_t size = (uint32_t)c.map.strides[0], row = c.map.box[0] * size;
        ck_assert_uint_eq(kit.ops[0].bytes, 4 * row);
        for (uint32_t r = 0; r < 4; r++)
            for (uint32_t i = 0; i < c.map.box[0]; i++) {
                static const uint8_t zero[8];
                const uint8_t *want = row4_element(&c, r, i);
                uint32_t at = naive_swizzle(BASE + r * row + i * size, swizzle);
                ck_assert_int_eq(memcmp(kit.x->ctas[0].shared + at, want ? want : zero, size), 0);
            }
    }
}
END_TEST

START_TEST(four_rows_are_scattered)
{
    for (int round = 0; round < 60; round++) {
        Case c;
        uint32_t swizzle = (uint32_t)_i;
        srand((unsigned)(round * 7 + _i));
        four_rows(&c, swizzle);
        uint8_t *shared = kit.x->ctas[0].shared;
        for (uint32_t i = SHARED_BASE; i < 20000; i++)
            shared[i] = (uint8_t)rand();
        kit_begin(&kit, OP_CP_ASYNC_BULK_TENSOR_S2G_SCATTER4);
        kit.now.mod[MC_DIM] = MV_DIM_D2;
        kit_mem64(&kit, put_map(&c.map));
        kit_vec(&kit, (const uint32_t *)c.coord, 5);
        kit_mem32(&kit, BASE);
        uint8_t *want = malloc(c.bytes), *real = c.tensor;
        memcpy(want, real, c.bytes);
        ck_assert_msg(kit_exec(&kit, exec_cp_async_bulk_tensor_s2g, 0, 0, 1), "%s", kit.err.msg);
        c.tensor = want;
        uint32_t size = (uint32_t)c.map.strides[0], row = c.map.box[0] * size;
        for (uint32_t r = 0; r < 4; r++)
            for (uint32_t i = 0; i < c.map.box[0]; i++) {
                uint8_t *to = row4_element(&c, r, i);
                if (to)
                    memcpy(to, shared + naive_swizzle(BASE + r * row + i * size, swizzle), size);
            }
        ck_assert(kit_finish(&kit, 0));
        ck_assert_int_eq(memcmp(real, want, c.bytes), 0);
        free(want);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tma_forms");
    TCase *t = tcase_create("tma_forms");
    tcase_add_checked_fixture(t, open_kit, close_kit);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, f32_becomes_tf32_on_the_way);
    tcase_add_test(t, a_box_begins_at_a_multiple_of_16_bytes);
    tcase_add_test(t, elements_below_a_byte);
    tcase_add_test(t, six_bits_of_each_byte_are_stored);
    tcase_add_loop_test(t, four_rows_are_gathered, 0, 7);
    tcase_add_loop_test(t, four_rows_are_scattered, 0, 7);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
