/* Bits against a Hopper GPU. tests/data/hopper_ops.tsv: every scalar instruction that sm_90a knows
 * on 512 sets of operands (Rao may refuse some, never differ;
 * the GPU differs from the manual in some video instructions); tests/data/hopper_mufu.tsv:
 * approximate functions, whole blocks of 2^16 arguments. Both hold hashes of what the GPU gave. */
#include <check.h>

#include "sim/func/mufu_body.h"
#include "tests/hopper_ops.h"

enum { HASHED_SETS = 512, BLOCK = 1 << 16 };

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static FILE *open_data(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/data/%s", TEST_DIR, name);
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    return f;
}

static uint64_t in[OPS_SETS][OPS_OPERANDS], out[OPS_SETS];

START_TEST(instructions_give_the_bits_of_the_gpu)
{
    char line[512];
    uint32_t same = 0, refused = 0;
    FILE *f = open_data("hopper_ops.tsv");
    ops_fill(in);
    while (fgets(line, sizeof line, f)) {
        char *tab = strchr(line, '\t');
        if (line[0] == '#' || !tab)
            continue;
        *tab = 0;
        Err err = {0};
        if (!ops_run(line, in, out, HASHED_SETS, &err)) {
            ck_assert_msg(err.kind != ERR_FAULT, "%s: %s", line, err.msg);
            refused++;
            continue;
        }
        uint64_t hash = 0;
        for (uint64_t i = 0; i < HASHED_SETS; i++)
            hash += mix(out[i] + i * 0x9E3779B97F4A7C15u);
        ck_assert_msg(hash == strtoull(tab + 1, NULL, 16), "%s differs from the GPU", line);
        same++;
    }
    fclose(f);
    ck_assert_uint_ge(same, 1908);
    ck_assert_uint_le(refused, 18);
}
END_TEST

/* ---- Approximate functions ---- */

static NumRow1 *row_of(const NumRows *r, const char *name)
{
    bool ftz = strstr(name, ".ftz") != NULL;
    NumRow1 *const *tables[] = {r->ex2, r->lg2, r->rcp, r->rsqrt, r->sqrt};
    static const char *const prefixes[] = {"ex2.", "lg2.", "rcp.", "rsqrt.", "sqrt."};
    for (uint32_t i = 0; i < 5; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return tables[i][ftz];
    return name[0] == 's' ? r->sin : name[0] == 'c' ? r->cos : r->tanh;
}

static uint64_t hash_row(NumRow1 *fn, uint32_t block)
{
    uint64_t hash = 0;
    for (uint32_t at = 0; at < BLOCK; at += NUM_LANES) {
        uint32_t a[NUM_LANES], d[NUM_LANES];
        for (uint32_t i = 0; i < NUM_LANES; i++)
            a[i] = block << 16 | (at + i);
        fn(d, a);
        for (uint32_t i = 0; i < NUM_LANES; i++)
            hash += mix((uint64_t)(at + i) << 32 | d[i]);
    }
    return hash;
}

static uint64_t hash_high(const char *name, uint32_t block)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < BLOCK; i++) {
        uint32_t a = block << 16 | i;
        hash += mix((uint64_t)i << 32 | (name[1] == 'c' ? mufu_rcp64(a) : mufu_rsq64(a)));
    }
    return hash;
}

START_TEST(approximate_functions_give_the_bits_of_the_gpu)
{
    char line[256], name[64];
    uint32_t blocks = 0;
    FILE *f = open_data("hopper_mufu.tsv");
    while (fgets(line, sizeof line, f)) {
        unsigned block;
        unsigned long long want;
        if (sscanf(line, "%63s %x %llx", name, &block, &want) != 3)
            continue;
        blocks++;
        if (strstr(name, ".f64")) {
            ck_assert_msg(hash_high(name, block) == want, "%s of %04x....", name, block);
            continue;
        }
        for (int isa = 0; isa < SIMD_ISAS; isa++)
            if (simd_runs((SimdIsa)isa))
                ck_assert_msg(hash_row(row_of(num_rows_for((SimdIsa)isa), name), block) == want,
                              "%s of %04x...., instruction set %d", name, block, isa);
    }
    fclose(f);
    ck_assert_uint_ge(blocks, 17 * 24);
}
END_TEST

/* All arguments of the half forms; their hashes stand in hopper_mufu.tsv as block 0 of a name
 * without a block: "name - hash". */
START_TEST(half_functions_give_the_bits_of_the_gpu)
{
    char line[256], name[64], insn[96];
    uint32_t n = 0;
    FILE *f = open_data("hopper_mufu.tsv");
    while (fgets(line, sizeof line, f)) {
        unsigned long long want;
        if (sscanf(line, "%63s - %llx", name, &want) != 2)
            continue;
        uint64_t hash = 0;
        snprintf(insn, sizeof insn, "%s %%z0, %%z1", name);
        for (uint32_t at = 0; at < BLOCK; at += OPS_SETS) {
            Err err = {0};
            for (uint32_t i = 0; i < OPS_SETS; i++)
                in[i][0] = at + i;
            ck_assert_msg(ops_run(insn, in, out, OPS_SETS, &err), "%s", err.msg);
            for (uint32_t i = 0; i < OPS_SETS; i++)
                hash += mix((uint64_t)(at + i) << 32 | out[i]);
        }
        ck_assert_msg(hash == want, "%s", name);
        n++;
    }
    fclose(f);
    ck_assert_uint_eq(n, 4);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("hopper");
    TCase *tc = tcase_create("hopper");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, instructions_give_the_bits_of_the_gpu);
    tcase_add_test(tc, approximate_functions_give_the_bits_of_the_gpu);
    tcase_add_test(tc, half_functions_give_the_bits_of_the_gpu);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
