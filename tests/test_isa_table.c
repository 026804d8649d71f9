/* The instruction table against itself: every row compiles, every spelling decodes to its own row,
 * and prints back.
 *
 *   test_isa_table --ptx [sm]    prints a module with simple uses of every row, one a line, to show
 * to ptxas */
#include "isa/form.h"
#include "isa/isa.h"

#include <check.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SPELLINGS = 800, TEXT = 4096 };

static const char head[] =
    ".version 9.0\n.target %s\n.address_size 64\n"
    ".visible .entry k(.param .u64 p0) {\n"
    ".reg .pred %%p<8>; .reg .b8 %%c<8>; .reg .b16 %%h<300>; .reg .b32 %%r<300>;\n"
    ".reg .b64 %%rd<300>; .reg .b128 %%q<8>;\n";

typedef struct Out { /* text being made */
    char s[TEXT];
    size_t n;
} Out;

static void put(Out *o, const char *s)
{
    size_t n = strlen(s);
    if (o->n + n >= TEXT)
        abort();
    memcpy(o->s + o->n, s, n + 1);
    o->n += n;
}

/* ---- Choosing modifiers ---- */

/* One modifier slot's choices: 0 = not written (optional slots), else value or type number. */
static uint32_t choice_count(const Form *f, uint32_t slot, uint8_t *values)
{
    const ModForm *m = &f->mod[slot];
    uint32_t n = 0;
    if (m->kind == MOD_OF_CLASS && m->group)
        values[n++] = 0;
    for (uint32_t v = 1; m->kind == MOD_OF_CLASS && v <= mod_value_count((ModClass)m->cls); v++)
        if ((m->allow[v / 64] >> (v % 64)) & 1)
            values[n++] = (uint8_t)v;
    for (uint32_t t = 1; m->kind == MOD_TYPE && t < T_COUNT; t++)
        if ((m->types >> t) & 1)
            values[n++] = (uint8_t)t;
    if (m->kind == MOD_LITERAL)
        values[n++] = 1;
    return n;
}

/* The modifiers of spelling number `number` (mixed radix over the slots). False: groups written by
 * halves, or places of one placeholder that differ. */
static bool spelling(const Forms *fs, const Form *f, uint64_t number, ModSet *ms)
{
    uint8_t chosen[FORM_MODS], values[256];
    *ms = (ModSet){0};
    for (uint32_t i = 0; i < f->n_mods; i++) {
        uint32_t n = choice_count(f, i, values);
        chosen[i] = values[number % n];
        number /= n;
    }
    for (uint32_t i = 0; i < f->n_mods; i++) {
        const ModForm *m = &f->mod[i];
        for (uint32_t k = 0; k < i; k++) {
            const ModForm *e = &f->mod[k];
            if (m->group && m->group == e->group && !chosen[i] != !chosen[k])
                return false;
            if (m->kind == MOD_TYPE && e->kind == MOD_TYPE && m->type_no == e->type_no &&
                chosen[i] != chosen[k])
                return false;
        }
        if (m->kind == MOD_OF_CLASS && chosen[i])
            ms->mod[m->cls] = chosen[i];
        uint8_t type = m->kind == MOD_TYPE      ? chosen[i]
                       : m->kind == MOD_LITERAL ? fs->words[m->word].type
                                                : (uint8_t)T_NONE;
        if (type && m->type_at < 3)
            ms->type[m->type_at] = type;
    }
    return true;
}

static uint64_t spelling_count(const Form *f)
{
    uint8_t values[256];
    uint64_t n = 1;
    for (uint32_t i = 0; i < f->n_mods; i++)
        n *= choice_count(f, i, values);
    return n;
}

/* ---- Writing operands ---- */

static void put_reg(Out *o, PtxType t, uint32_t i)
{
    char buf[32];
    const char *stem = "%r";
    switch (t == T_NONE ? 32 : type_info[t].bits) {
    case 1:
        stem = "%p";
        break;
    case 8:
        stem = "%c";
        break;
    case 16:
        stem = "%h";
        break;
    case 64:
        stem = "%rd";
        break;
    case 128:
        stem = "%q";
        break;
    default:
        break;
    }
    snprintf(buf, sizeof buf, "%s%u", stem, i);
    put(o, buf);
}

/* A constant that the row's rules allow. */
static const char *constant(OpCode op, const OpdForm *f)
{
    if (strcmp(f->name, "size") == 0)
        return op == OP_CP_ASYNC || op == OP_CP_ASYNC_IGNORE ? "16" : "128";
    if (op == OP_SETMAXNREG)
        return "24";
    if (f->name[0] == 's' && (op == OP_WGMMA || op == OP_WGMMA_RS || op == OP_WGMMA_SP) &&
        strlen(f->name) == 2)
        return "1";
    if (op == OP_ALLOCA)
        return "16";

    return "0";
}

/* Elements of a vector whose count the row leaves open. */
static uint32_t open_count(OpCode op, const ModSet *ms)
{
    switch (op) {
    case OP_LDMATRIX_B8:
        return 1u << ms->mod[MC_NUM];
    case OP_LDMATRIX_FMT:
        return (1u << (ms->mod[MC_NUM] - MV_NUM_X1)) *
               (ms->mod[MC_MSHAPE] == MV_MSHAPE_M16N16 ? 2 : 1);
    case OP_CP_ASYNC_BULK_TENSOR_G2S_IM2COL:
        return ms->mod[MC_IM2COL] == MV_IM2COL_PLAIN ? ms->mod[MC_DIM] - 2u : 2;
    default:
        return op >= OP_MMA_SYNC_F32 && op <= OP_MMA_SYNC_S32 ? 4 : 2;
    }
}

static void put_vec(Out *o, OpCode op, const Form *f, const ModSet *ms, uint32_t k)
{
    uint32_t n = form_opd_count(f, ms, k);
    PtxType t = form_opd_type(f, ms, k);
    bool pack = op == OP_MOV_PACK || op == OP_MOV_UNPACK;
    if (pack)
        t = ms->type[0] == T_B16   ? T_B8
            : ms->type[0] == T_B32 ? T_B16
            : ms->type[0] == T_B64 ? T_B32
                                   : T_B64;
    if (n == 0)
        n = open_count(op, ms);
    put(o, "{");
    for (uint32_t i = 0; i < n; i++) {
        put(o, i ? ", " : "");
        put_reg(o, t, i);
    }
    put(o, "}");
}

static void put_mem(Out *o, OpCode op)
{
    bool tmem = strncmp(op_row[op].syntax, "tcgen05", 7) == 0 && op != OP_TCGEN05_ALLOC &&
                op != OP_TCGEN05_COMMIT;
    put(o, tmem ? "[%r9" : "[%rd9");
}

static void put_operand(Out *o, OpCode op, const Form *f, const ModSet *ms, uint32_t k)
{
    const OpdForm *of = &f->opd[k];
    bool remote = op >= OP_MBARRIER_ARRIVE && op <= OP_MBARRIER_ARRIVE_DROP_NOCOMPLETE &&
                  ms->mod[MC_SS] == MV_SS_SHARED_CLUSTER;
    if (remote && k == 0) {
        put(o, "_");
        return;
    }
    if (op == OP_TENSORMAP_REPLACE && k == 2 && ms->mod[MC_FIELD] >= MV_FIELD_ELEMTYPE) {
        put(o, "0");
        return;
    }
    switch ((OpdRole)of->role) {
    case OF_VALVEC:
        if (ms->mod[MC_VEC]) {
            put_vec(o, op, f, ms, k);
            break;
        }
        put_reg(o, form_opd_type(f, ms, k), k);
        break;
    case OF_VALUE:
        if (of->type_rule == TR_CONST)
            put(o, constant(op, of));
        else
            put_reg(o, form_opd_type(f, ms, k), k);
        break;
    case OF_PRED:
        put_reg(o, T_PRED, k % 8);
        break;
    case OF_MEM:
        put_mem(o, op);
        if (!(k + 1 < f->n_opds && f->opd[k + 1].in_bracket))
            put(o, "]");
        break;
    case OF_VEC:
        put_vec(o, op, f, ms, k);
        put(o, of->in_bracket ? "]" : "");
        break;
    case OF_LABEL:
        put(o, "L");
        break;
    case OF_TARGETS:
        put(o, "T");
        break;
    case OF_FUNC:
    case OF_ARGS:
    case OF_PROTO:
        break;
    }
}

/* The whole instruction, as print.c writes it. Untied optional operands are written if `full`. */
static void put_insn(Out *o, const Forms *fs, OpCode op, const ModSet *ms, bool full)
{
    const Form *f = &fs->form[op];
    char opcode[512];
    bool first = true;
    form_spell(fs, op, ms, opcode, sizeof opcode);
    put(o, opcode);
    for (uint32_t k = 0; k < f->n_opds; k++) {
        const OpdForm *of = &f->opd[k];
        bool tied = of->tie != MC_COUNT;
        bool ord = op == OP_TENSORMAP_REPLACE && k == 1;
        if (ord && !(ms->mod[MC_FIELD] >= MV_FIELD_BOX_DIM &&
                     ms->mod[MC_FIELD] <= MV_FIELD_ELEMENT_STRIDE))
            continue;
        bool trans = f->opd[k].name[0] == 't' && (op == OP_WGMMA || op == OP_WGMMA_RS);
        if (trans && of->group) { /* 16-bit types need them, others have none */
            if (ms->type[1] == T_F16 || ms->type[1] == T_BF16)
                put(o, ", 0");
            continue;
        }
        bool no_scale = strcmp(of->name, "scale") == 0 && ms->mod[MC_KIND] > MV_KIND_TF32;
        if (of->group && (tied ? !form_tie_holds(of, ms) : (!full && !ord) || no_scale))
            continue;
        put(o, first ? " " : of->paired ? "|" : ", ");
        first = false;
        put_operand(o, op, f, ms, k);
    }
    put(o, ";");
}

/* ---- Tests ---- */

static Arena forms_arena;

static const Forms *forms(void)
{
    return forms_new(&forms_arena);
}

static const char *target_of(OpCode op)
{
    return strncmp(op_row[op].syntax, "wgmma", 5) == 0 ? "sm_90a" : "sm_100a";
}

static bool legal(const Forms *fs, OpCode op, const ModSet *ms)
{
    return !form_rule_broken(&fs->form[op], op, ms);
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
    fprintf(out, head, target_of(op));
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
            if (strcmp(op_row[i].exec, op_row[k].exec) != 0 ||
                strcmp(op_row[i].exec, "unsupported") == 0)
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
    printf(head, sm);
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
