/* The unmasked softmax loop of our FA4 forward kernel: machine operations after lowering against
 * those that ptxas makes of the same PTX (kernels/fa4_fwd/softmax_sass.tsv). */
#include <check.h>
#include <string.h>

#include "sim/lower/code.h"
#include "sim/lower/front.h"
#include "sim/model/model.h"

static const CodeLayout layout = {.param_window = 0x7e2000000000, .shared_window = 0x7e0000000000};

/* The shortest loop with more than 64 exponentials, as softmax_sass.awk finds it in the machine
 * code. */
static bool find_softmax(const Code *c, uint32_t *first, uint32_t *last)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < c->n_insns; i++) {
        if (c->insns[i].op != OP_BRA || c->insns[i].target > i)
            continue;
        uint32_t ex2 = 0, t = c->insns[i].target;
        for (uint32_t k = t; k <= i; k++)
            ex2 += c->insns[k].op == OP_EX2_F32;
        if (ex2 > 64 && i - t < best) {
            best = i - t;
            *first = t;
            *last = i;
        }
    }
    return best != UINT32_MAX;
}

typedef struct Group {
    const char *name, *sass[8];
    TClass classes[8]; /* ends with TC_COUNT */
    bool big;          /* enough of them for a bound of 10 % */
} Group;

/* NOP pads; R2UR, UMOV and the like are how this build of ptxas happened to keep addresses. */
static const Group groups[] = {
    {"exponentials", {"MUFU.EX2"}, {TC_EX2, TC_COUNT}, true},
    {"packed FMA", {"FFMA2", "FADD2", "FMUL2"}, {TC_FMA2, TC_COUNT}, true},
    {"packed convert", {"F2FP"}, {TC_F2FP, TC_COUNT}, true},
    {"max", {"FMNMX", "FMNMX3"}, {TC_MINMAX, TC_COUNT}, true},
    {"integer multiply", {"IMAD"}, {TC_IMAD, TC_IMAD_WIDE, TC_COUNT}, true},
    {"FMA", {"FADD", "FMUL", "FFMA"}, {TC_FMA, TC_COUNT}, false},
    {"select, compare", {"FSEL", "FSETP", "ISETP", "LEA", "SHF", "MOV"}, {TC_ALU, TC_COUNT}, false},
    {"uniform",
     {"ULOP3", "UIADD3", "UISETP", "UMOV", "R2UR"},
     {TC_UNIFORM, TC_S2R, TC_COUNT},
     false},
    {"TMEM", {"LDTM.x32", "STTM.x16", "FENCE"}, {TC_LDTM, TC_STTM, TC_WAIT_ST, TC_COUNT}, false},
    {"barriers",
     {"SYNCS.ARRIVE", "SYNCS.PHASECHK.TRYWAIT", "BAR.ARV"},
     {TC_MBAR_ARRIVE, TC_MBAR_TRY, TC_BAR, TC_COUNT},
     false},
    {"branch", {"BRA"}, {TC_BRANCH, TC_COUNT}, false},
    {"shared store", {"STS"}, {TC_STS, TC_COUNT}, false},
};

static uint32_t sass_count(const char *path, const char *opcode)
{
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    char line[256], op[64];
    uint32_t n, found = 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%63[^\t]\t%u", op, &n) == 2 && strcmp(op, opcode) == 0)
            found = n;
    fclose(f);
    return found;
}

START_TEST(the_softmax_loop_has_the_operations_of_ptxas)
{
    static const char sass[] = RAO_SOURCE_DIR "/kernels/fa4_fwd/softmax_sass.tsv";
    Arena arena = {0};
    Err err = {0};
    Model model;
    Module *mod;
    const Func *f;
    Code *c = NULL;
    bool ok = model_load(&arena, "b200", &model, &err) &&
              isa_parse_file(&arena, RAO_SOURCE_DIR "/kernels/fa4_fwd/fa4_fwd.ptx", &mod, &err) &&
              isa_find_entry(mod, "fa4_fwd", &f, &err) &&
              code_lower(&arena, mod, f, &layout, &model, &c, &err);
    ck_assert_msg(ok, "%s", err.msg);
    uint32_t first = 0, last = 0, total = 0;
    ck_assert(find_softmax(c, &first, &last));
    uint32_t by_class[TC_COUNT] = {0};
    for (uint32_t i = first; i <= last; i++)
        if (c->insns[i].opinfo != OP_NONE) {
            by_class[c->ops[c->insns[i].opinfo].tclass]++;
            total++;
        }
    printf("%-20s %6s %6s\n", "softmax loop", "ptxas", "rao");
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        uint32_t want = 0, have = 0;
        for (uint32_t k = 0; k < 8 && groups[g].sass[k]; k++)
            want += sass_count(sass, groups[g].sass[k]);
        for (uint32_t k = 0; groups[g].classes[k] != TC_COUNT; k++)
            have += by_class[groups[g].classes[k]];
        printf("%-20s %6u %6u\n", groups[g].name, want, have);
        uint32_t diff = want > have ? want - have : have - want;
        if (groups[g].big)
            ck_assert_msg(diff * 10 <= want, "%s: %u, ptxas %u", groups[g].name, have, want);
    }
    uint32_t want = sass_count(sass, "total") - sass_count(sass, "NOP");
    printf("%-20s %6u %6u\n", "total without NOP", want, total);
    ck_assert_uint_le((want > total ? want - total : total - want) * 10, want);
    arena_free(&arena);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lower_ptxas");
    TCase *t = tcase_create("softmax");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, the_softmax_loop_has_the_operations_of_ptxas);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
