/* What compilers write is understood: every opcode of real kernels (tests/data/opcodes.txt) and
 * every form that ptxas accepts (tests/data/ptxas_verdicts.tsv) is read, lowered and given a
 * meaning, or refused by the table itself; README.md lists what is refused. */
#include "tests/isa_spell.h"

#include <check.h>

#include "sim/func/exec.h"
#include "sim/lower/code.h"

/* ---- Reading, lowering, binding ---- */

typedef enum Fate { RUNS, REFUSED, UNREADABLE, BROKEN } Fate;

/* The instructions of the module's kernel: all have a meaning, or the first that has none is one
 * that the table refuses. */
static Fate fate_of(const char *text, size_t n, Err *err)
{
    Arena a = {0};
    Module *m;
    Code *code;
    Exec *x = NULL;
    const Func *f;
    CodeLayout lay;
    Fate fate = BROKEN;
    GlobalMem *mem = mem_new();
    *err = (Err){0};
    if (!isa_parse(&a, "t.ptx", text, n, &m, err)) {
        fate = UNREADABLE;
    } else if (isa_find_entry(m, NULL, &f, err) && exec_load_module(&a, m, mem, &lay, err)) {
        uint8_t params[4096] = {0};
        bool refused = false;
        for (uint32_t i = 0; i < f->n_insns; i++)
            refused |= isa_refusal((OpCode)f->insns[i].op) != NULL;
        bool ok = code_lower(&a, m, f, &lay, NULL, &code, err);
        ExecDesc d = {.code = ok ? code : NULL,
                      .mem = mem,
                      .params = params,
                      .grid = {1, 1, 1},
                      .block = {128, 1, 1},
                      .cluster = {1, 1, 1},
                      .n_slots = 1,
                      .n_sms = 1};
        ok = ok && exec_new(&a, &d, &x, err);
        fate = ok ? RUNS : refused && err->kind == ERR_UNSUPPORTED ? REFUSED : BROKEN;
    }
    exec_free(x);
    mem_free(mem);
    err->loc.file = NULL;
    arena_free(&a);
    return fate;
}

static Fate fate_of_line(const char *line, const char *target, Err *err)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    fprintf(out, spell_head, target);
    fprintf(out, "T: .branchtargets L;\nL:\n%s\nexit;\n}\n", line);
    fclose(out);
    Fate fate = fate_of(text, n, err);
    free(text);
    return fate;
}

static FILE *data_file(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/data/%s", TEST_DIR, name);
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    return f;
}

/* ---- Opcodes of real kernels ---- */

static uint32_t split(const Forms *fs, const char *opcode, int32_t words[FORM_WORDS_IN_OPCODE])
{
    uint32_t n = 0;
    for (const char *s = opcode + strcspn(opcode, "."); *s; s += strcspn(s, ".")) {
        s++;
        words[n++] = forms_word(fs, s, strcspn(s, "."));
    }
    return n;
}

/* The rows that the opcode may be of, each as an instruction with plain operands. */
static void check_opcode(const Forms *fs, const char *opcode)
{
    int32_t words[FORM_WORDS_IN_OPCODE];
    uint32_t n = split(fs, opcode, words), readable = 0;
    int32_t base = forms_word(fs, opcode, strcspn(opcode, "."));
    Err err = {0};
    for (uint32_t op = 0; op < OP_COUNT; op++) {
        const Form *f = &fs->form[op];
        ModSet ms;
        ModMiss miss;
        if (f->base != base || !form_match(fs, f, words, n, &ms, &miss) ||
            !legal(fs, (OpCode)op, &ms))
            continue;
        Out o = {.n = 0};
        put_insn(&o, fs, (OpCode)op, &ms, false);
        Fate fate = fate_of_line(o.s, target_of((OpCode)op), &err);
        ck_assert_msg(fate != BROKEN, "%s: %s", o.s, err.msg);
        readable += fate != UNREADABLE;
    }
    ck_assert_msg(readable > 0, "%s: no row reads it (%s)", opcode, err.msg);
}

/* Calls and their parameters need more than one line (test_lower, test_exec_call). */
static bool tested_elsewhere(const char *line)
{
    return strncmp(line, "call", 4) == 0 || strncmp(line, "st.param", 8) == 0;
}

START_TEST(opcodes_of_real_kernels_have_a_meaning)
{
    Arena a = {0};
    const Forms *fs = forms_new(&a);
    char line[512];
    int n = 0;
    FILE *f = data_file("opcodes.txt");
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] == '#' || tested_elsewhere(line))
            continue;
        check_opcode(fs, line);
        n++;
    }
    fclose(f);
    ck_assert_int_gt(n, 320);
    arena_free(&a);
}
END_TEST

/* ---- Forms that ptxas accepts ---- */

static const char frame[] =
    ".version 9.0\n.target %s\n.address_size 64\n.extern .shared .align 1024 .b8 dsm[];\n"
    ".visible .entry k(.param .u64 p0, .param .align 64 .b8 tm[128]) {\n"
    ".reg .pred %%p<16>; .reg .b16 %%h<32>; .reg .b32 %%r<600>; .reg .b64 %%rd<32>; .reg .f32 "
    "%%f<600>;\n"
    ".reg .f64 %%fd<8>; .reg .b128 %%q<4>; .reg .b8 %%c<8>;\n.shared .align 16 .b8 sm[1024];\n"
    "ld.param.u64 %%rd0,[p0]; mov.u32 %%r0,sm; mov.u32 %%r1,%%tid.x; mov.u64 %%rd1,tm;\n";

START_TEST(forms_that_ptxas_accepts_have_a_meaning)
{
    char line[4096];
    int n = 0;
    FILE *f = data_file("ptxas_verdicts.tsv");
    while (fgets(line, sizeof line, f)) {
        char *target = strchr(line, '\t'), *verdict = target ? strchr(target + 1, '\t') : NULL;
        if (line[0] == '#' || !verdict)
            continue;
        *target++ = 0;
        *verdict++ = 0;
        if (strncmp(verdict, "accepted", 8) != 0 || tested_elsewhere(line))
            continue;
        char *text = NULL;
        size_t len = 0;
        Err err;
        FILE *out = open_memstream(&text, &len);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        fprintf(out, frame, target);
#pragma GCC diagnostic pop
        fprintf(out, "%s\nret; }\n", line);
        fclose(out);
        Fate fate = fate_of(text, len, &err);
        bool known = strncmp(line, "atom.global.cas.b128", 20) == 0; /* refused by its type */
        ck_assert_msg(fate == RUNS || fate == REFUSED || known, "%s (%s): %s", line, target,
                      err.msg);
        free(text);
        n++;
    }
    fclose(f);
    ck_assert_int_gt(n, 540);
}
END_TEST

/* ---- README ---- */

START_TEST(the_readme_lists_what_is_refused)
{
    static const char from[] = "<!-- rao isa --unsupported -->\n",
                      to[] = "<!-- end of rao isa --unsupported -->";
    char *list = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&list, &n);
    isa_list_unsupported(out);
    fclose(out);
    static char text[1 << 16];
    FILE *f = fopen(TEST_DIR "/../README.md", "r");
    ck_assert(f != NULL);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    char *begin = strstr(text, from), *end = strstr(text, to);
    ck_assert(begin && end);
    *end = 0;
    ck_assert_msg(strcmp(begin + strlen(from), list) == 0,
                  "README.md has another list; isa/README.md has the command that renews it");
    free(list);
}
END_TEST

START_TEST(absent_forms_have_no_row)
{
    for (const IsaAbsent *a = isa_absent; a->form; a++)
        for (uint32_t op = 0; op < OP_COUNT; op++) {
            size_t n = strlen(a->form);
            char next = strncmp(op_row[op].syntax, a->form, n) == 0 ? op_row[op].syntax[n] : 'x';
            ck_assert_msg(next != '.' && next != ' ' && next != '{', "%s is the row %s", a->form,
                          op_row[op].id);
        }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("isa_oracle");
    TCase *t = tcase_create("oracle");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, opcodes_of_real_kernels_have_a_meaning);
    tcase_add_test(t, forms_that_ptxas_accepts_have_a_meaning);
    tcase_add_test(t, the_readme_lists_what_is_refused);
    tcase_add_test(t, absent_forms_have_no_row);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
