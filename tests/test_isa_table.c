/* The instruction table against itself: every row compiles, every spelling decodes to its own row,
 * and prints back.
 *
 *   test_isa_table --ptx [sm]    prints a module with simple uses of every row, one a line, to show
 * to ptxas */
#include "tests/isa_spell.h"

#include <check.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SPELLINGS = 800 };

/* ---- Tests ---- */

static Arena forms_arena;

static const Forms *forms(void)
{
    return forms_new(&forms_arena);
}

typedef struct Batch { /* spellings of one row, read together */
    ModSet ms[2 * MAX_SPELLINGS];
    char *text[2 * MAX_SPELLINGS];
    uint32_t n;
    Arena a;
} Batch;

static void add_to_batch(Batch *b, const Forms *fs, OpCode op, const ModSet *ms, bool full)
{
    Out o = {.n = 0};
    put_insn(&o, fs, op, ms, full);
    if (b->n >= 2 * MAX_SPELLINGS)
        abort();
    b->ms[b->n] = *ms;
    b->text[b->n++] = arena_str(&b->a, o.s, o.n);
}

static void check_batch(Batch *b, OpCode op)
{
    Err err = {0};
    Module *m;
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    fprintf(out, spell_head, target_of(op));
    fprintf(out, "T: .branchtargets L;\nL:\n");
    for (uint32_t i = 0; i < b->n; i++)
        fprintf(out, "%s\n", b->text[i]);
    fprintf(out, "}\n");
    fclose(out);
    bool good = isa_parse(&b->a, "t.ptx", text, n, &m, &err);
    ck_assert_msg(good, "%s: %s\n  %s", op_row[op].id, err.msg,
                  good ? "" : b->text[err.loc.line - 9]);
    const Func *f = &m->funcs[0];
    ck_assert_uint_ge(f->n_insns, b->n);
    for (uint32_t i = 0; i < b->n; i++) {
        const Insn *in = &f->insns[i];
        ck_assert_msg(in->op == op, "%s decodes as %s", b->text[i], op_row[in->op].id);
        ck_assert_msg(memcmp(in->type, b->ms[i].type, sizeof in->type) == 0, "%s: types",
                      b->text[i]);
        ck_assert_msg(memcmp(in->mod, b->ms[i].mod, sizeof in->mod) == 0, "%s: modifiers",
                      b->text[i]);
        char *printed = NULL;
        out = open_memstream(&printed, &n);
        isa_print_insn(out, m, f, in);
        fclose(out);
        if (op != OP_BRA && op != OP_BRX_IDX) /* labels are numbered */
            ck_assert_str_eq(printed, b->text[i]);
        free(printed);
    }
    free(text);
}

START_TEST(every_spelling_decodes_to_its_own_row_and_prints_back)
{
    const Forms *fs = forms();
    OpCode op = (OpCode)_i;
    const Form *f = &fs->form[op];
    if (op == OP_CALL) /* its operands are in test_isa_parse */
        return;
    uint64_t n = spelling_count(f), step = n > MAX_SPELLINGS ? (n / MAX_SPELLINGS + 1) | 1 : 1;
    Batch *b = calloc(1, sizeof *b);
    for (uint64_t i = 0; i < n; i += step) {
        ModSet ms;
        if (!spelling(fs, f, i, &ms) || !legal(fs, op, &ms))
            continue;
        add_to_batch(b, fs, op, &ms, true);
        add_to_batch(b, fs, op, &ms, false);
    }
    ck_assert_uint_gt(b->n, 0);
    check_batch(b, op);
    arena_free(&b->a);
    free(b);
    arena_free(&forms_arena);
}
END_TEST

START_TEST(modifiers_match_in_any_order)
{
    const Forms *fs = forms();
    const char *const orders[][2] = {{"ld.global.acquire.gpu.b32", "ld.acquire.gpu.global.b32"},
                                     {"atom.global.v4.f32.add", "atom.global.add.v4.f32"},
                                     {"prmt.b32.b4e", "prmt.b4e.b32"},
                                     {"cvt.satfinite.rn.f16.f32", "cvt.rn.satfinite.f16.f32"}};
    for (size_t k = 0; k < sizeof orders / sizeof orders[0]; k++) {
        ModSet ms[2];
        int32_t row[2] = {-1, -1};
        for (int v = 0; v < 2; v++) {
            int32_t words[FORM_WORDS_IN_OPCODE];
            uint32_t n = 0;
            const char *s = orders[k][v];
            int32_t base = forms_word(fs, s, strcspn(s, "."));
            for (s += strcspn(s, "."); *s; s += strcspn(s, ".")) {
                s++;
                words[n++] = forms_word(fs, s, strcspn(s, "."));
            }
            for (int32_t r = fs->first[base]; r >= 0 && row[v] < 0; r = fs->form[r].next) {
                ModMiss miss;
                if (form_match(fs, &fs->form[r], words, n, &ms[v], &miss))
                    row[v] = r;
            }
        }
        ck_assert_msg(row[0] >= 0 && row[0] == row[1], "%s", orders[k][0]);
        ck_assert_int_eq(memcmp(&ms[0], &ms[1], sizeof ms[0]), 0);
    }
    arena_free(&forms_arena);
}
END_TEST

START_TEST(every_modifier_class_is_used_by_a_row)
{
    const Forms *fs = forms();
    bool used[MC_COUNT] = {false};
    for (uint32_t i = 0; i < OP_COUNT; i++)
        for (uint32_t k = 0; k < fs->form[i].n_mods; k++)
            if (fs->form[i].mod[k].kind == MOD_OF_CLASS)
                used[fs->form[i].mod[k].cls] = true;
    for (uint32_t c = 0; c < MC_COUNT; c++)
        ck_assert_msg(used[c], "no row uses .%s", mod_class_word((ModClass)c));
    arena_free(&forms_arena);
}
END_TEST

START_TEST(every_exec_function_has_one_operand_order)
{
    /* rows of one exec function name their operands alike, place by place (a bracket or brace may
     * differ) */
    const Forms *fs = forms();
    for (uint32_t i = 0; i < OP_COUNT; i++)
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(op_row[i].exec, op_row[k].exec) != 0 || isa_refusal((OpCode)i))
                continue;
            const Form *a = &fs->form[i], *b = &fs->form[k];
            for (uint32_t n = 0; n < a->n_opds && n < b->n_opds; n++)
                ck_assert_msg(a->opd[n].is_dst == b->opd[n].is_dst,
                              "%s and %s differ in operand %u", op_row[i].id, op_row[k].id, n);
        }
    arena_free(&forms_arena);
}
END_TEST

START_TEST(names_and_classes_are_well_formed)
{
    for (uint32_t t = 0; t < TC_COUNT; t++)
        for (const char *s = tclass_name[t]; *s; s++)
            ck_assert_msg(islower((unsigned char)*s) || isdigit((unsigned char)*s) || *s == '_',
                          "%s", tclass_name[t]);
    for (uint32_t i = 0; i < OP_COUNT; i++) {
        for (uint32_t k = 0; k < i; k++)
            ck_assert_msg(strcmp(op_row[i].syntax, op_row[k].syntax) != 0 ||
                              strcmp(op_row[i].types, op_row[k].types) != 0,
                          "%s and %s are one row", op_row[i].id, op_row[k].id);
        ck_assert_msg(op_row[i].tclass < TC_COUNT, "%s", op_row[i].id);
    }
}
END_TEST

START_TEST(the_list_names_every_row)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    isa_list(out, NULL);
    fclose(out);
    uint32_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    ck_assert_uint_eq(lines, OP_COUNT);
    free(text);
}
END_TEST

/* A module with the plainest spelling of each row and each optional modifier alone. */
static void print_for_ptxas(const char *sm)
{
    const Forms *fs = forms();
    printf(spell_head, sm);
    printf("T: .branchtargets L;\nL:\n");
    for (uint32_t op = 0; op < OP_COUNT; op++) {
        const Form *f = &fs->form[op];
        uint64_t n = spelling_count(f);
        if (op == OP_CALL ||
            (strcmp(sm, "sm_90a") == 0) != (strcmp(target_of((OpCode)op), "sm_90a") == 0))
            continue;
        for (uint64_t i = 0; i < n && i < 4000000; i++) {
            ModSet ms;
            uint32_t optional = 0;
            if (!spelling(fs, f, i, &ms) || !legal(fs, (OpCode)op, &ms))
                continue;
            for (uint32_t k = 0; k < f->n_mods; k++)
                optional +=
                    f->mod[k].kind == MOD_OF_CLASS && f->mod[k].group && ms.mod[f->mod[k].cls];
            if (optional > 1)
                continue;
            Out o = {.n = 0};
            put_insn(&o, fs, (OpCode)op, &ms, optional == 1);
            printf("%s // %s\n", o.s, op_row[op].id);
        }
    }
    printf("ret; }\n");
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--ptx") == 0) {
        print_for_ptxas(argc > 2 ? argv[2] : "sm_100a");
        return 0;
    }
    Suite *s = suite_create("isa_table");
    TCase *t = tcase_create("table");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, every_spelling_decodes_to_its_own_row_and_prints_back, 0, OP_COUNT);
    tcase_add_test(t, modifiers_match_in_any_order);
    tcase_add_test(t, every_modifier_class_is_used_by_a_row);
    tcase_add_test(t, every_exec_function_has_one_operand_order);
    tcase_add_test(t, names_and_classes_are_well_formed);
    tcase_add_test(t, the_list_names_every_row);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
