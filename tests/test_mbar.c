/* The mbarrier state machine against a naive model that keeps plain counters, written from the
 * rules in research/ptx.md 3.8 and not from mbar.c. */
#include <check.h>
#include <stdlib.h>

#include "sim/func/mbar.h"

#define MAX_COUNT ((1u << 20) - 1)
#define MAX_TX ((1 << 20) - 1)

typedef struct Naive {
    uint64_t phase; /* full number */
    int64_t pending, expected, tx;
} Naive;

static void naive_end_phase(Naive *n)
{
    if (n->pending != 0 || n->tx != 0)
        return;
    n->phase++;
    n->pending = n->expected;
}

static void check_same(uint64_t w, const Naive *n)
{
    MbarState s = mbar_state(w);
    ck_assert_int_eq(s.pending, n->pending);
    ck_assert_int_eq(s.expected, n->expected);
    ck_assert_int_eq(s.tx, n->tx);
    ck_assert_uint_eq(s.parity, n->phase % 2);
    for (uint32_t p = 0; p < 4; p++) /* only bit 0 of the parity operand counts */
        ck_assert_int_eq(mbar_phase_done(w, p), n->phase % 2 != p % 2);
    ck_assert(mbar_is_init(w));
}

START_TEST(one_arrival_short_is_refused_and_the_exact_one_completes)
{
    static const uint32_t counts[] = {1, 2, 3, 31, 128, 1000, MAX_COUNT};
    uint32_t count = counts[_i];
    uint64_t w;
    ck_assert_int_eq(mbar_init(&w, count), MBAR_OK);
    ck_assert(!mbar_phase_done(w, 0));
    ck_assert(
        mbar_phase_done(w, 1)); /* a producer's first wait, parity 1 on a fresh barrier, passes */
    for (uint32_t round = 0; round < 3; round++) {
        if (count > 1)
            ck_assert_int_eq(mbar_arrive(&w, count - 1, 0), MBAR_OK);
        ck_assert(!mbar_phase_done(w, round));
        ck_assert_int_eq(mbar_arrive(&w, 1, 0), MBAR_FLIPPED);
        ck_assert(mbar_phase_done(w, round));
        ck_assert_uint_eq(mbar_state(w).pending, count);
    }
}
END_TEST

START_TEST(one_arrival_too_many_changes_nothing)
{
    uint64_t w;
    mbar_init(&w, 3);
    ck_assert_int_eq(mbar_arrive(&w, 4, 0), MBAR_BAD_COUNT);
    ck_assert_int_eq(mbar_arrive(&w, 3, 16), MBAR_OK); /* bytes pend, arrivals do not */
    uint64_t before = w;
    ck_assert_int_eq(mbar_arrive(&w, 1, 0), MBAR_BAD_COUNT);
    ck_assert_int_eq(mbar_arrive(&w, 1, 8), MBAR_BAD_COUNT);
    ck_assert(w == before);
    ck_assert_int_eq(mbar_tx(&w, -16), MBAR_FLIPPED);
}
END_TEST

START_TEST(one_byte_short_keeps_the_phase_open)
{
    uint64_t w;
    mbar_init(&w, 1);
    ck_assert_int_eq(mbar_arrive(&w, 1, 4096), MBAR_OK);
    ck_assert_int_eq(mbar_tx(&w, -4095), MBAR_OK);
    ck_assert(!mbar_phase_done(w, 0));
    ck_assert_int_eq(mbar_tx(&w, -1), MBAR_FLIPPED);
    ck_assert(mbar_phase_done(w, 0));
}
END_TEST

START_TEST(bytes_may_come_before_they_are_expected)
{
    uint64_t w;
    mbar_init(&w, 2);
    ck_assert_int_eq(mbar_tx(&w, -512), MBAR_OK);
    ck_assert_int_eq(mbar_state(w).tx, -512);
    ck_assert_int_eq(mbar_arrive(&w, 1, 512), MBAR_OK); /* tx is zero again, one arrival pends */
    ck_assert(!mbar_phase_done(w, 0));
    ck_assert_int_eq(mbar_arrive(&w, 1, 0), MBAR_FLIPPED);
}
END_TEST

START_TEST(expect_comes_before_the_arrival_of_the_same_instruction)
{
    uint64_t w;
    mbar_init(&w, 1);
    ck_assert_int_eq(mbar_arrive(&w, 1, 32), MBAR_OK); /* the other order would have flipped */
    ck_assert(!mbar_phase_done(w, 0));
}
END_TEST

START_TEST(tx_limits_are_exact)
{
    uint64_t w;
    mbar_init(&w, 2);
    ck_assert_int_eq(mbar_tx(&w, MAX_TX), MBAR_OK);
    ck_assert_int_eq(mbar_tx(&w, 1), MBAR_BAD_TX);
    ck_assert_int_eq(mbar_arrive(&w, 1, 1), MBAR_BAD_TX);
    ck_assert_int_eq(mbar_tx(&w, -MAX_TX), MBAR_OK);
    ck_assert_int_eq(mbar_tx(&w, -MAX_TX), MBAR_OK);
    ck_assert_int_eq(mbar_tx(&w, -1), MBAR_BAD_TX);
    ck_assert_int_eq(mbar_arrive(&w, 1, MAX_COUNT + 1), MBAR_BAD_TX);
    ck_assert_int_eq(mbar_tx(&w, INT32_MIN), MBAR_BAD_TX);
    ck_assert_int_eq(mbar_state(w).pending, 2);
}
END_TEST

START_TEST(dropping_lowers_the_following_phases)
{
    uint64_t w;
    mbar_init(&w, 3);
    ck_assert_int_eq(mbar_arrive_drop(&w, 1, 0), MBAR_OK);
    ck_assert_int_eq(mbar_arrive(&w, 2, 0), MBAR_FLIPPED);
    ck_assert_uint_eq(mbar_state(w).pending, 2);
    ck_assert_int_eq(mbar_arrive_drop(&w, 2, 0), MBAR_FLIPPED);
    ck_assert_uint_eq(mbar_state(w).expected, 0);
    ck_assert(mbar_is_init(w));
    ck_assert_int_eq(mbar_arrive(&w, 1, 0), MBAR_BAD_COUNT);
}
END_TEST

START_TEST(raising_pending_lasts_one_phase)
{
    uint64_t w;
    mbar_init(&w, 1);
    ck_assert_int_eq(mbar_inc_pending(&w, 32), MBAR_OK);
    ck_assert_int_eq(mbar_arrive(&w, 32, 0), MBAR_OK);
    ck_assert_int_eq(mbar_arrive(&w, 1, 0), MBAR_FLIPPED);
    ck_assert_uint_eq(mbar_state(w).pending, 1);
    ck_assert_int_eq(mbar_inc_pending(&w, MAX_COUNT), MBAR_BAD_COUNT);
    ck_assert_int_eq(mbar_inc_pending(&w, MAX_COUNT - 1), MBAR_OK);
}
END_TEST

START_TEST(what_is_no_mbarrier_is_refused)
{
    static const uint64_t words[] = {0, UINT64_MAX, 0x3f8000003f800000u /* two floats 1.0 */,
                                     0x7fc000007fc00000u};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        uint64_t w = words[i];
        ck_assert(!mbar_is_init(w));
        ck_assert_int_eq(mbar_arrive(&w, 1, 0), MBAR_UNINIT);
        ck_assert_int_eq(mbar_arrive_drop(&w, 1, 0), MBAR_UNINIT);
        ck_assert_int_eq(mbar_tx(&w, 16), MBAR_UNINIT);
        ck_assert_int_eq(mbar_inc_pending(&w, 1), MBAR_UNINIT);
        ck_assert(w == words[i]);
    }
    uint64_t w;
    mbar_init(&w, 7);
    mbar_inval(&w);
    ck_assert(!mbar_is_init(w));
    ck_assert_int_eq(mbar_init(&w, 0), MBAR_BAD_COUNT);
    ck_assert_int_eq(mbar_init(&w, MAX_COUNT + 1), MBAR_BAD_COUNT);
}
END_TEST

static uint32_t draw(uint64_t *seed, uint32_t limit)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % limit;
}

/* Any sequence of legal and illegal operations: same state as the counters, results as the rules
 * say. */
static void random_step(uint64_t *w, Naive *n, uint64_t *seed)
{
    uint32_t op = draw(seed, 5), c = 1 + draw(seed, 4), b = draw(seed, 3) * 64;
    int64_t tx = (int64_t)draw(seed, 5) * 64 - 128;
    uint64_t phase = n->phase;
    MbarResult r = MBAR_OK;
    bool legal = true;
    switch (op) {
    case 0:
    case 1:
        legal = c <= n->pending && (op == 0 || c <= n->expected);
        r = op == 0 ? mbar_arrive(w, c, b) : mbar_arrive_drop(w, c, b);
        if (legal) {
            n->tx += b;
            n->pending -= c;
            n->expected -= op == 1 ? (int64_t)c : 0;
            naive_end_phase(n);
        }
        break;
    case 2:
    case 3:
        r = mbar_tx(w, (int32_t)tx);
        n->tx += tx;
        naive_end_phase(n);
        break;
    default:
        r = mbar_inc_pending(w, c);
        n->pending += c;
        break;
    }
    MbarResult want = !legal ? MBAR_BAD_COUNT : n->phase != phase ? MBAR_FLIPPED : MBAR_OK;
    ck_assert_int_eq(r, want);
}

START_TEST(random_sequences_agree_with_plain_counters)
{
    uint64_t seed = (uint64_t)_i * 7919 + 1;
    for (uint32_t run = 0; run < 200; run++) {
        uint64_t w;
        uint32_t count = 1 + draw(&seed, 12);
        mbar_init(&w, count);
        Naive n = {.pending = count, .expected = count};
        for (uint32_t step = 0; step < 200 && n.expected > 0; step++) {
            random_step(&w, &n, &seed);
            check_same(w, &n);
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mbar");
    TCase *t = tcase_create("mbar");
    tcase_add_loop_test(t, one_arrival_short_is_refused_and_the_exact_one_completes, 0, 7);
    tcase_add_test(t, one_arrival_too_many_changes_nothing);
    tcase_add_test(t, one_byte_short_keeps_the_phase_open);
    tcase_add_test(t, bytes_may_come_before_they_are_expected);
    tcase_add_test(t, expect_comes_before_the_arrival_of_the_same_instruction);
    tcase_add_test(t, tx_limits_are_exact);
    tcase_add_test(t, dropping_lowers_the_following_phases);
    tcase_add_test(t, raising_pending_lasts_one_phase);
    tcase_add_test(t, what_is_no_mbarrier_is_refused);
    tcase_add_loop_test(t, random_sequences_agree_with_plain_counters, 0, 10);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
