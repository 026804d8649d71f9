/* Named barriers, the register pool, the tensor-memory allocator: gates are tight, and the
 * allocator agrees with a map of single columns kept by the test. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "sim/func/sync.h"

START_TEST(a_barrier_opens_at_exactly_its_count)
{
    NamedBarrier b = {0};
    for (uint32_t generation = 1; generation <= 3; generation++) {
        for (uint32_t warp = 1; warp < 4; warp++) {
            ck_assert_int_eq(named_barrier_arrive(&b, 128, 32), BAR_WAITING);
            ck_assert_uint_eq(b.generation, generation - 1);
        }
        ck_assert_int_eq(named_barrier_arrive(&b, 128, 32), BAR_COMPLETE);
        ck_assert_uint_eq(b.generation, generation);
    }
}
END_TEST

START_TEST(a_barrier_takes_another_count_only_in_a_new_generation)
{
    NamedBarrier b = {0};
    ck_assert_int_eq(named_barrier_arrive(&b, 64, 32), BAR_WAITING);
    ck_assert_int_eq(named_barrier_arrive(&b, 96, 32), BAR_MISMATCH);
    ck_assert_int_eq(named_barrier_arrive(&b, 64, 32), BAR_COMPLETE);
    ck_assert_int_eq(named_barrier_arrive(&b, 96, 32), BAR_WAITING);
    ck_assert_int_eq(named_barrier_arrive(&b, 96, 96), BAR_OVERFLOW);
    ck_assert_uint_eq(b.arrived, 32);
    ck_assert_int_eq(named_barrier_arrive(&b, 96, 64), BAR_COMPLETE);
    ck_assert_int_eq(named_barrier_arrive(&b, 0, 32), BAR_MISMATCH);
}
END_TEST

START_TEST(registers_are_granted_when_the_last_missing_one_is_free)
{
    RegPool p;
    reg_pool_init(&p, 4, 128, 4 * 32 * 128 + 32 * 8);
    ck_assert_uint_eq(p.free_regs, 256);
    ck_assert(reg_pool_set(&p, 0, 136));
    ck_assert_uint_eq(p.free_regs, 0);
    ck_assert(!reg_pool_set(&p, 1, 152)); /* 24 more per thread */
    ck_assert(reg_pool_set(&p, 2, 112));
    ck_assert(!reg_pool_set(&p, 1, 152)); /* 8 short */
    ck_assert_uint_eq(p.per_thread[1], 128);
    ck_assert(reg_pool_set(&p, 3, 120));
    ck_assert(reg_pool_set(&p, 1, 152));
    ck_assert_uint_eq(p.free_regs, 0);
    uint32_t held = 0;
    for (uint32_t w = 0; w < 4; w++)
        held += p.per_thread[w] * 32u;
    ck_assert_uint_eq(held, 4 * 32 * 128 + 32 * 8);
}
END_TEST

START_TEST(tensor_memory_is_first_fit)
{
    TmemAlloc t = {0};
    ck_assert_int_eq(tmem_alloc(&t, 0, 128), 0);
    ck_assert_int_eq(tmem_alloc(&t, 1, 256), 128);
    ck_assert_int_eq(tmem_alloc(&t, 2, 256), -1);
    ck_assert_int_eq(tmem_alloc(&t, 2, 32), 384);
    ck_assert(!tmem_dealloc(&t, 1, 0, 128));   /* another CTA's */
    ck_assert(!tmem_dealloc(&t, 0, 0, 64));    /* another size */
    ck_assert(!tmem_dealloc(&t, 0, 32, 128));  /* not its start */
    ck_assert(!tmem_dealloc(&t, 0, 512, 128)); /* beyond the end */
    ck_assert(tmem_dealloc(&t, 0, 0, 128));
    ck_assert(!tmem_dealloc(&t, 0, 0, 128)); /* twice */
    ck_assert_int_eq(tmem_alloc(&t, 3, 64), 0);
    ck_assert_int_eq(tmem_alloc(&t, 3, 64), 64);
    ck_assert_int_eq(tmem_alloc(&t, 3, 64), 416);
}
END_TEST

/* The columns of a pair are free in both SMs. */
START_TEST(tensor_memory_of_a_pair)
{
    TmemAlloc a = {0}, b = {0};
    ck_assert_int_eq(tmem_alloc(&a, 0, 64), 0);
    ck_assert_int_eq(tmem_alloc(&b, 1, 32), 0);
    ck_assert_int_eq(tmem_alloc(&b, 1, 64), 32);
    ck_assert_int_eq(tmem_alloc_pair(&a, 2, &b, 3, 128), 96);
    ck_assert_int_eq(tmem_alloc(&a, 4, 32), 64);
    ck_assert_int_eq(tmem_alloc_pair(&a, 2, &b, 3, 512), -1);
    ck_assert_int_eq(tmem_alloc_pair(&a, 2, &b, 3, 256), 224);
    ck_assert(!tmem_dealloc(&a, 3, 96, 128));
    ck_assert(tmem_dealloc(&a, 2, 96, 128));
    ck_assert(tmem_dealloc(&b, 3, 96, 128));
    ck_assert_int_eq(tmem_alloc_pair(&a, 5, &b, 6, 128), 96);
}
END_TEST

/* The first place where `columns` free columns begin at a multiple of 32, found column by column.
 */
static int naive_place(const int owner[512], int columns)
{
    for (int c = 0; c + columns <= 512; c += 32) {
        int n = 0;
        while (n < columns && owner[c + n] == 0)
            n++;
        if (n == columns)
            return c;
    }
    return -1;
}

START_TEST(random_allocations_agree_with_a_map_of_columns)
{
    TmemAlloc t = {0};
    int owner[512] = {0}, start[64], size[64], live = 0, id = 1;
    srand(1234);
    for (int step = 0; step < 20000; step++) {
        if (live > 0 && rand() % 2) {
            int k = rand() % live;
            ck_assert(tmem_dealloc(&t, 5, (uint32_t)start[k], (uint32_t)size[k]));
            memset(owner + start[k], 0, sizeof(int) * (size_t)size[k]);
            start[k] = start[--live];
            size[k] = size[live];
            continue;
        }
        int columns = 32 << rand() % 5, want = naive_place(owner, columns);
        ck_assert_int_eq(tmem_alloc(&t, 5, (uint32_t)columns), want);
        if (want < 0)
            continue;
        for (int c = 0; c < columns; c++)
            owner[want + c] = id;
        id++;
        start[live] = want;
        size[live++] = columns;
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sync");
    TCase *t = tcase_create("sync");
    tcase_add_test(t, a_barrier_opens_at_exactly_its_count);
    tcase_add_test(t, tensor_memory_of_a_pair);
    tcase_add_test(t, a_barrier_takes_another_count_only_in_a_new_generation);
    tcase_add_test(t, registers_are_granted_when_the_last_missing_one_is_free);
    tcase_add_test(t, tensor_memory_is_first_fit);
    tcase_add_test(t, random_allocations_agree_with_a_map_of_columns);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
