/* Tensor and bulk copies against a loop over elements: every swizzle, 1 to 5 dimensions, negative
 * and excessive coordinates, element strides, multicast; and what must be refused. */
#include "tests/tma_case.h"

START_TEST(loads_agree_with_the_element_loop)
{
    uint32_t rank = 1 + (uint32_t)_i % 5, swizzle = (uint32_t)_i / 5 % 7;
    srand((unsigned)_i + 1);
    for (int round = 0; round < 60; round++) {
        Case c;
        make_case(&c, rank, swizzle, round % 3 == 2);
        c.map.oob_nan = round % 2 && (c.map.dtype == 6 || c.map.dtype == 7);
        begin_load(&c, put_map(&c.map), BASE);
        ck_assert_msg(kit_exec(&kit, exec_cp_async_bulk_tensor_g2s, 0, 0, 1), "%s", kit.err.msg);
        uint8_t *shared = kit.x->ctas[0].shared;
        memset(shared + SHARED_BASE, 0xee, 60000);
        ck_assert(kit_step(&kit, 0, kit.ops[0].handle, ASYNC_READ));
        ck_assert_uint_eq(shared[BASE], 0xee); /* nothing appears before it is done */
        ck_assert_msg(kit_step(&kit, 0, kit.ops[0].handle, ASYNC_DONE), "%s", kit.err.msg);
        Fill f = {shared, c.map.oob_nan};
        uint32_t bytes = each_element(&c, check_loaded, &f);
        ck_assert_uint_eq(kit.ops[0].bytes, bytes);
        ck_assert_uint_eq(kit.ops[0].kind, OK_TMA_LOAD);
        ck_assert_uint_eq(kit.ops[0].sync, MBAR);
        ck_assert_uint_eq(shared[BASE - 1], 0xee);
    }
}
END_TEST

static void put_element(const Case *c, uint32_t offset, uint8_t *element, void *arg)
{
    const uint8_t *shared = arg;
    if (element)
        memcpy(element, shared + naive_swizzle(BASE + offset, c->map.swizzle),
               (size_t)c->map.strides[0]);
}

START_TEST(stores_agree_with_the_element_loop)
{
    uint32_t rank = 1 + (uint32_t)_i % 5, swizzle = (uint32_t)_i / 5 % 7;
    srand((unsigned)_i + 100);
    for (int round = 0; round < 60; round++) {
        Case c;
        make_case(&c, rank, swizzle, round % 3 == 2);
        uint8_t *shared = kit.x->ctas[0].shared;
        for (uint32_t i = SHARED_BASE; i < 60000; i++)
            shared[i] = (uint8_t)rand();
        uint8_t *want = malloc(c.bytes), *real = c.tensor;
        memcpy(want, c.tensor, c.bytes);
        begin_store(&c, put_map(&c.map), OP_CP_ASYNC_BULK_TENSOR_S2G);
        ck_assert_msg(kit_exec(&kit, exec_cp_async_bulk_tensor_s2g, 0, 0, 1), "%s", kit.err.msg);
        c.tensor = want;
        each_element(&c, put_element, shared);
        ck_assert(kit_step(&kit, 0, kit.ops[0].handle, ASYNC_READ));
        memset(shared + BASE, 0, 50000); /* the source may be reused once it has been read */
        ck_assert_msg(kit_step(&kit, 0, kit.ops[0].handle, ASYNC_DONE), "%s", kit.err.msg);
        ck_assert_int_eq(memcmp(real, want, c.bytes), 0);
        free(want);
    }
}
END_TEST

START_TEST(a_reduction_adds_in_global_memory)
{
    Case c = {.map = {.rank = 2, .dtype = 7, .swizzle = 3}, .coord = {-2, 3}, .bytes = 20 * 4 * 8};
    c.map.strides[0] = 4;
    c.map.strides[1] = 80;
    c.map.dims[0] = 20;
    c.map.dims[1] = 8;
    for (uint32_t d = 0; d < 5; d++) {
        c.map.element_strides[d] = 1;
        c.map.box[d] = d == 0 ? 32 : d == 1 ? 8 : 1;
    }
    c.map.dims[2] = c.map.dims[3] = c.map.dims[4] = 1;
    c.map.address = mem_alloc(kit.mem, c.bytes, "acc");
    float *acc = mem_ptr(kit.mem, c.map.address, c.bytes);
    for (uint32_t i = 0; i < 160; i++)
        acc[i] = (float)i;
    float *box = (float *)(void *)(kit.x->ctas[0].shared + BASE);
    for (uint32_t r = 0; r < 8; r++)
        for (uint32_t i = 0; i < 32; i++)
            box[(naive_swizzle(BASE + r * 128 + i * 4, 3) - BASE) / 4] = (float)(1000 * r + i);
    begin_store(&c, put_map(&c.map), OP_CP_REDUCE_ASYNC_BULK_TENSOR);
    kit.now.mod[MC_REDOP] = MV_REDOP_ADD;
    ck_assert(kit_exec(&kit, exec_cp_reduce_async_bulk_tensor, 0, 0, 1));
    ck_assert_uint_eq(kit.ops[0].arg0, 1);
    ck_assert(kit_finish(&kit, 0));
    for (uint32_t y = 0; y < 8; y++)
        for (uint32_t i = 0; i < 20; i++) {
            bool hit = y >= 3; /* box columns start at -2, rows at 3 */
            float want = (float)(y * 20 + i) + (hit ? (float)(1000 * (y - 3) + i + 2) : 0);
            ck_assert_float_eq(acc[y * 20 + i], want);
        }
}
END_TEST

/* As ptxas 13.0 does it: a loop over different operands for stores, over lanes for reductions. */
START_TEST(lanes_that_store_the_same_are_one_store)
{
    srand(7);
    Case c;
    make_case(&c, 2, 0, false);
    begin_store(&c, put_map(&c.map), OP_CP_ASYNC_BULK_TENSOR_S2G);
    ck_assert_msg(kit_exec(&kit, exec_cp_async_bulk_tensor_s2g, 0, 0, FULL_MASK), "%s",
                  kit.err.msg);
    ck_assert_uint_eq(kit.n_ops, 1);
    begin_store(&c, put_map(&c.map), OP_CP_ASYNC_BULK_TENSOR_S2G);
    kit.const_rows[2 * WARP +
                   5]++; /* one lane stores elsewhere: the map's address has rows 0 and 1 */
    ck_assert_msg(kit_exec(&kit, exec_cp_async_bulk_tensor_s2g, 0, 0, FULL_MASK), "%s",
                  kit.err.msg);
    ck_assert_uint_eq(kit.n_ops, 2);
    c.map.dtype = TMAP_F32;
    begin_store(&c, put_map(&c.map), OP_CP_REDUCE_ASYNC_BULK_TENSOR);
    kit.now.mod[MC_REDOP] = MV_REDOP_ADD;
    ck_assert_msg(kit_exec(&kit, exec_cp_reduce_async_bulk_tensor, 0, 0, 7), "%s", kit.err.msg);
    ck_assert_uint_eq(kit.n_ops, 3);
}
END_TEST

START_TEST(multicast_reaches_each_cta_of_the_mask)
{
    Case c;
    srand(5);
    make_case(&c, 2, 3, false);
    memset(c.coord, 0, sizeof c.coord);
    begin_load(&c, put_map(&c.map), BASE);
    kit.now.mod[MC_MCAST] = MV_MCAST_CLUSTER;
    kit_u32(&kit, 3);
    ck_assert_msg(kit_exec(&kit, exec_cp_async_bulk_tensor_g2s, 0, 0, 1), "%s", kit.err.msg);
    ck_assert_uint_eq(kit.ops[0].arg1, 3);
    ck_assert(kit.ops[0].flags & OPF_PAIR);
    ck_assert(kit_finish(&kit, 0));
    for (uint32_t r = 0; r < 2; r++) {
        Fill f = {kit.x->ctas[r].shared, false};
        each_element(&c, check_loaded, &f);
    }
}
END_TEST

START_TEST(an_edited_map_is_decoded_again)
{
    Case c;
    srand(6);
    make_case(&c, 1, 0, false);
    c.coord[0] = 0;
    uint64_t map = put_map(&c.map);
    for (int round = 0; round < 2; round++) {
        begin_load(&c, map, BASE);
        ck_assert(kit_exec(&kit, exec_cp_async_bulk_tensor_g2s, 0, 0, 1));
        ck_assert(kit_finish(&kit, 0));
        Fill f = {kit.x->ctas[0].shared, false};
        each_element(&c, check_loaded, &f);
        c.map.dims[0] = 1; /* the rest is fill now */
        Err err = {0};
        ck_assert(tensor_map_encode(&c.map, mem_ptr(kit.mem, map, 128), &err));
    }
}
END_TEST

START_TEST(misuse_is_a_fault)
{
    Case c;
    srand(7);
    make_case(&c, 2, 0, false);
    uint64_t map = put_map(&c.map);
    begin_load(&c, map, BASE + 64); /* not aligned to 128 */
    ck_assert(!kit_exec(&kit, exec_cp_async_bulk_tensor_g2s, 0, 0, 1));
    ck_assert_int_eq(kit.err.kind, ERR_FAULT);
    begin_load(&c, map, SHARED_BASE + SHARED_MAX - 128 + 128); /* beyond the end */
    ck_assert(!kit_exec(&kit, exec_cp_async_bulk_tensor_g2s, 0, 0, 1));
    begin_load(&c, map, BASE);
    kit.now.mod[MC_DIM] = MV_DIM_D3; /* the map has two */
    ck_assert(!kit_exec(&kit, exec_cp_async_bulk_tensor_g2s, 0, 0, 1));
    c.map.address += UINT64_C(1) << 36; /* nothing is there */
    memset(c.coord, 0, sizeof c.coord);
    begin_load(&c, put_map(&c.map), BASE);
    ck_assert(kit_exec(&kit, exec_cp_async_bulk_tensor_g2s, 0, 0, 1));
    ck_assert(!kit_finish(&kit, 0));
    ck_assert_int_eq(kit.err.kind, ERR_FAULT);
    ck_assert_uint_eq(kit.err.loc.line, 7);
}
END_TEST

START_TEST(plain_bulk_copies_move_bytes_both_ways)
{
    uint64_t a = mem_alloc(kit.mem, 4096, "a");
    uint8_t *p = mem_ptr(kit.mem, a, 4096), *s = kit.x->ctas[0].shared;
    for (uint32_t i = 0; i < 4096; i++)
        p[i] = (uint8_t)(i * 7 + i / 256);
    kit_begin(&kit, OP_CP_ASYNC_BULK_G2S);
    kit_mem32(&kit, BASE);
    kit_mem64(&kit, a + 16);
    kit_u32(&kit, 2048);
    kit_mem32(&kit, MBAR);
    ck_assert(kit_exec(&kit, exec_cp_async_bulk_g2s, 0, 0, 1));
    ck_assert(kit_finish(&kit, 0));
    ck_assert_int_eq(memcmp(s + BASE, p + 16, 2048), 0);
    ck_assert_uint_eq(kit.ops[0].waves, 16);

    kit_begin(&kit, OP_CP_ASYNC_BULK_S2S); /* to the other CTA */
    kit_mem32(&kit, 1u << 24 | (BASE + 256));
    kit_mem32(&kit, BASE);
    kit_u32(&kit, 512);
    kit_mem32(&kit, 1u << 24 | MBAR);
    ck_assert_msg(kit_exec(&kit, exec_cp_async_bulk_s2s, 0, 0, 1), "%s", kit.err.msg);
    ck_assert_uint_eq(kit.ops[0].sync, 1u << 24 | MBAR);
    ck_assert(kit_finish(&kit, 0));
    ck_assert_int_eq(memcmp(kit.x->ctas[1].shared + BASE + 256, p + 16, 512), 0);

    kit_begin(&kit, OP_CP_ASYNC_BULK_S2G);
    kit_mem64(&kit, a);
    kit_mem32(&kit, BASE + 1024);
    kit_u32(&kit, 1024);
    ck_assert(kit_exec(&kit, exec_cp_async_bulk_s2g, 0, 0, 1));
    ck_assert(kit_finish(&kit, 0));
    ck_assert_int_eq(memcmp(p, s + BASE + 1024, 1024), 0);

    kit_begin(&kit, OP_CP_ASYNC_BULK_S2G);
    kit_mem64(&kit, a + 8);
    kit_mem32(&kit, BASE);
    kit_u32(&kit, 16);
    ck_assert(!kit_exec(&kit, exec_cp_async_bulk_s2g, 0, 0, 1)); /* 16-byte alignment */
}
END_TEST

START_TEST(bulk_reductions_by_type)
{
    uint64_t a = mem_alloc(kit.mem, 64, "a");
    uint32_t *g = mem_ptr(kit.mem, a, 64), *s = (uint32_t *)(void *)(kit.x->ctas[0].shared + BASE);
    static const struct {
        uint8_t op;
        PtxType type;
        uint32_t a, b, want;
    } cases[] = {
        {MV_REDOP_ADD, T_U32, 0xffffffff, 2, 1},
        {MV_REDOP_MIN, T_S32, 0xffffffff, 1, 0xffffffff},
        {MV_REDOP_MIN, T_U32, 0xffffffff, 1, 1},
        {MV_REDOP_MAX, T_S32, 0x80000000, 3, 3},
        {MV_REDOP_XOR, T_B32, 0xf0f0f0f0, 0xffff0000, 0x0f0ff0f0},
        {MV_REDOP_INC, T_U32, 5, 5, 0},
        {MV_REDOP_INC, T_U32, 4, 5, 5},
        {MV_REDOP_DEC, T_U32, 0, 9, 9},
        {MV_REDOP_ADD, T_F32, 0x3f800000, 0x40000000, 0x40400000}, /* 1 + 2 */
        {MV_REDOP_ADD, T_F16, 0x3c003c00, 0x40003c00, 0x42004000}, /* 1 + 2, 1 + 1 */
        {MV_REDOP_ADD, T_BF16, 0x3f803f80, 0x40003b80,
         0x40403f80}, /* 1 + 2, 1 + 2^-8: tie to even */
        {MV_REDOP_MAX, T_BF16, 0x8000bf80, 0x00003f80, 0x00003f80}, /* -0 | +0, -1 | 1 */
        {MV_REDOP_MIN, T_F16, 0x7f800000, 0xff800000, 0x7fff0000},  /* two NaN: an H200's results */
        {MV_REDOP_MIN, T_F16, 0x7f800001, 0x3f800000, 0x3f800000},  /* one NaN is ignored */
        {MV_REDOP_ADD, T_F32, 0x00000001, 0x00000001, 0x00000002},  /* no flush to zero */
        {MV_REDOP_ADD, T_BF16, 0x7fc12345, 0x3f800000, 0x7fff2345},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (uint32_t w = 0; w < 4; w++) {
            g[w] = cases[i].a;
            s[w] = cases[i].b;
        }
        kit_begin(&kit, OP_CP_REDUCE_ASYNC_BULK);
        kit.now.mod[MC_REDOP] = cases[i].op;
        kit.now.type[0] = (uint8_t)cases[i].type;
        kit_mem64(&kit, a);
        kit_mem32(&kit, BASE);
        kit_u32(&kit, 16);
        ck_assert(kit_exec(&kit, exec_cp_reduce_async_bulk, 0, 0, 1));
        ck_assert(kit_finish(&kit, 0));
        for (uint32_t w = 0; w < 4; w++)
            ck_assert_msg(g[w] == cases[i].want, "case %zu: %08x, not %08x", i, g[w],
                          cases[i].want);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tma");
    TCase *t = tcase_create("tma");
    tcase_add_checked_fixture(t, open_kit, close_kit);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, loads_agree_with_the_element_loop, 0, 35);
    tcase_add_loop_test(t, stores_agree_with_the_element_loop, 0, 35);
    tcase_add_test(t, lanes_that_store_the_same_are_one_store);
    tcase_add_test(t, a_reduction_adds_in_global_memory);
    tcase_add_test(t, multicast_reaches_each_cta_of_the_mask);
    tcase_add_test(t, an_edited_map_is_decoded_again);
    tcase_add_test(t, misuse_is_a_fault);
    tcase_add_test(t, plain_bulk_copies_move_bytes_both_ways);
    tcase_add_test(t, bulk_reductions_by_type);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
