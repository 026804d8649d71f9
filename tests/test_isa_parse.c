/* Parsing whole modules: tests/ptx/good parse, print and parse again; tests/ptx/bad say what and
 * where; ptxas' verdicts on single forms hold here too; damaged input gives an error and nothing
 * worse. */
#include "isa/form.h"
#include "isa/isa.h"

#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_FILES_IN_FOLDER = 256 };

static char *read_text(Arena *a, const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s cannot be opened", path);
    ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
    long end = ftell(f);
    ck_assert_int_ge(end, 0);
    rewind(f);
    char *text = arena_alloc(a, (size_t)end + 1);
    *n = fread(text, 1, (size_t)end, f);
    ck_assert_uint_eq(*n, (size_t)end);
    fclose(f);
    return text;
}

/* The files of a folder of tests/ptx, sorted. */
static int list_folder(const char *folder, char *paths[])
{
    char dir[512];
    snprintf(dir, sizeof dir, "%s/ptx/%s", TEST_DIR, folder);
    struct dirent **entry;
    int n = scandir(dir, &entry, NULL, alphasort), found = 0;
    for (int i = 0; i < n; i++) {
        if (strstr(entry[i]->d_name, ".ptx") && found < MAX_FILES_IN_FOLDER) {
            paths[found] = malloc(1024);
            snprintf(paths[found++], 1024, "%s/%s", dir, entry[i]->d_name);
        }
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    return found;
}

static char *print_module(const Module *m, size_t *n)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, n);
    isa_print(out, m);
    fclose(out);
    return text;
}

static void same_operand(const Module *ma, const Func *fa, const Operand *a, const Module *mb,
                         const Func *fb, const Operand *b)
{
    ck_assert_uint_eq(a->kind, b->kind);
    ck_assert_int_eq(a->neg, b->neg);
    ck_assert_int_eq(a->imm, b->imm);
    ck_assert_uint_eq(a->n, b->n);
    if (a->kind == OPD_REG || (a->kind == OPD_MEM && a->reg >= 0)) {
        ck_assert_str_eq(fa->regs[a->reg].name, fb->regs[b->reg].name);
        ck_assert_uint_eq(fa->regs[a->reg].type, fb->regs[b->reg].type);
    }
    if (a->var >= 0) {
        ck_assert_str_eq(ma->vars[a->var].name, mb->vars[b->var].name);
        ck_assert_uint_eq(ma->vars[a->var].offset, mb->vars[b->var].offset);
        ck_assert_uint_eq(ma->vars[a->var].size, mb->vars[b->var].size);
    }
    for (uint32_t i = 0; a->kind == OPD_VEC && i < a->n; i++)
        same_operand(ma, fa, &ma->elems[a->first + i], mb, fb, &mb->elems[b->first + i]);
}

static const Func *func_named(const Module *m, const char *name)
{
    for (uint32_t i = 0; i < m->n_funcs; i++)
        if (strcmp(m->funcs[i].name, name) == 0)
            return &m->funcs[i];
    ck_abort_msg("no function %s", name);
    return NULL;
}

static void same_module(const Module *a, const Module *b)
{
    ck_assert_uint_eq(a->n_funcs, b->n_funcs);
    for (uint32_t i = 0; i < a->n_funcs; i++) {
        const Func *f = &a->funcs[i], *g = func_named(b, f->name);
        ck_assert_uint_eq(f->n_insns, g->n_insns);
        ck_assert_uint_eq(f->param_bytes, g->param_bytes);
        ck_assert_uint_eq(f->shared_bytes, g->shared_bytes);
        ck_assert_uint_eq(f->local_bytes, g->local_bytes);
        ck_assert_int_eq(memcmp(f->reqntid, g->reqntid, sizeof f->reqntid), 0);
        ck_assert_int_eq(memcmp(f->cluster, g->cluster, sizeof f->cluster), 0);
        for (uint32_t k = 0; k < f->n_insns; k++) {
            const Insn *x = &f->insns[k], *y = &g->insns[k];
            ck_assert_uint_eq(x->op, y->op);
            ck_assert_int_eq(memcmp(x->type, y->type, sizeof x->type), 0);
            ck_assert_int_eq(memcmp(x->mod, y->mod, sizeof x->mod), 0);
            ck_assert_uint_eq(x->src_line, y->src_line);
            ck_assert_int_eq(x->guard < 0, y->guard < 0);
            for (uint32_t o = 0; o < x->n_opd; o++)
                same_operand(a, f, &x->opd[o], b, g, &y->opd[o]);
        }
    }
}

static void prints_and_parses_again(Arena *a, const char *path, const Module *m)
{
    size_t n1, n2;
    char *first = print_module(m, &n1);
    Err err = {0};
    Module *again;
    bool good = isa_parse(a, "printed", first, n1, &again, &err);
    ck_assert_msg(good, "%s printed: %u:%u %s", path, err.loc.line, err.loc.col, err.msg);
    same_module(m, again);
    char *second = print_module(again, &n2);
    ck_assert_msg(n1 == n2 && memcmp(first, second, n1) == 0,
                  "%s prints differently the second time", path);
    free(first);
    free(second);
}

START_TEST(good_files_parse_print_and_parse_again)
{
    char *paths[MAX_FILES_IN_FOLDER];
    int n = list_folder("good", paths);
    ck_assert_int_gt(n, 3);
    for (int i = 0; i < n; i++) {
        Arena a = {0};
        Err err = {0};
        Module *m;
        size_t len;
        char *text = read_text(&a, paths[i], &len);
        bool good = isa_parse(&a, paths[i], text, len, &m, &err);
        ck_assert_msg(good, "%s:%u:%u %s", paths[i], err.loc.line, err.loc.col, err.msg);
        uint32_t insns = 0;
        for (uint32_t k = 0; k < m->n_funcs; k++)
            insns += m->funcs[k].n_insns;
        const char *want = strstr(text, "// insns: ");
        ck_assert_msg(!want || insns == strtoul(want + 10, NULL, 10), "%s has %u instructions",
                      paths[i], insns);
        prints_and_parses_again(&a, paths[i], m);
        arena_free(&a);
        free(paths[i]);
    }
}
END_TEST

START_TEST(bad_files_say_what_and_where)
{
    char *paths[MAX_FILES_IN_FOLDER];
    int n = list_folder("bad", paths);
    ck_assert_int_gt(n, 30);
    for (int i = 0; i < n; i++) {
        Arena a = {0};
        Err err = {0};
        Module *m;
        size_t len;
        char *text = read_text(&a, paths[i], &len);
        const char *want = strstr(text, "// error: ");
        ck_assert_msg(want != NULL, "%s has no expectation", paths[i]);
        want += 10;
        ck_assert_msg(!isa_parse(&a, paths[i], text, len, &m, &err), "%s is accepted", paths[i]);
        char got[1200];
        snprintf(got, sizeof got, "%u:%u %s", err.loc.line, err.loc.col, err.msg);
        ck_assert_msg(strncmp(got, want, strcspn(want, "\n")) == 0, "%s\n  says %s\n  not  %s",
                      paths[i], got, want);
        arena_free(&a);
        free(paths[i]);
    }
}
END_TEST

/* ---- ptxas' verdicts ---- */

static const char verdict_frame[] =
    ".version 9.0\n.target %s\n.address_size 64\n.extern .shared .align 1024 .b8 dsm[];\n"
    ".visible .entry k(.param .u64 p0, .param .align 64 .b8 tm[128]) {\n"
    ".reg .pred %%p<16>; .reg .b16 %%h<32>; .reg .b32 %%r<600>; .reg .b64 %%rd<32>; .reg .f32 "
    "%%f<600>;\n"
    ".reg .f64 %%fd<8>; .reg .b128 %%q<4>; .reg .b8 %%c<8>;\n.shared .align 16 .b8 sm[1024];\n"
    "ld.param.u64 %%rd0,[p0]; mov.u32 %%r0,sm; mov.u32 %%r1,%%tid.x; mov.u64 %%rd1,tm;\n%s\nret; "
    "}\n";

static const char types_frame[] =
    ".version 9.0\n.target %s\n.address_size 64\n.visible .entry k(.param .u64 p0) {\n"
    ".reg .pred %%p<4>; .reg .b8 %%b8_<4>; .reg .u8 %%u8_<4>; .reg .b16 %%b16_<4>; .reg .u16 "
    "%%u16_<4>;\n"
    ".reg .s16 %%s16_<4>; .reg .f16 %%f16_<4>; .reg .b32 %%b32_<4>; .reg .u32 %%u32_<4>; .reg .s32 "
    "%%s32_<4>;\n"
    ".reg .f32 %%f32_<4>; .reg .f16x2 %%f16x2_<4>; .reg .b64 %%b64_<4>; .reg .u64 %%u64_<4>; .reg "
    ".s64 %%s64_<4>;\n"
    ".reg .f64 %%f64_<4>; .reg .b128 %%b128_<4>;\n%s\nret; }\n";

/* Each line: form, target, accepted|rejected. */
static void verdicts_hold(const char *file, const char *frame)
{
    char path[512], line[4096], *text = malloc(16384);
    snprintf(path, sizeof path, "%s/data/%s", TEST_DIR, file);
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    int n = 0;
    while (fgets(line, sizeof line, f)) {
        char *target = strchr(line, '\t'), *verdict = target ? strchr(target + 1, '\t') : NULL;
        if (line[0] == '#' || !verdict)
            continue;
        *target++ = 0;
        *verdict++ = 0;
        Arena a = {0};
        Err err = {0};
        Module *m;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        int len = snprintf(text, 16384, frame, target, line);
#pragma GCC diagnostic pop
        bool good = isa_parse(&a, "form", text, (size_t)len, &m, &err);
        ck_assert_msg(good == (strncmp(verdict, "accepted", 8) == 0),
                      "%s (%s) is %s by ptxas; here: %s", line, target, verdict,
                      good ? "accepted" : err.msg);
        if (good)
            prints_and_parses_again(&a, line, m);
        arena_free(&a);
        n++;
    }
    fclose(f);
    free(text);
    ck_assert_int_gt(n, 500);
}

START_TEST(forms_get_the_verdict_of_ptxas)
{
    verdicts_hold("ptxas_verdicts.tsv", verdict_frame);
}
END_TEST

START_TEST(register_types_get_the_verdict_of_ptxas)
{
    verdicts_hold("ptxas_types.tsv", types_frame);
}
END_TEST

/* ---- What the module says ---- */

static const Module *parse_good(Arena *a, const char *name)
{
    char path[512];
    Err err = {0};
    Module *m;
    snprintf(path, sizeof path, "%s/ptx/good/%s.ptx", TEST_DIR, name);
    bool good = isa_parse_file(a, path, &m, &err);
    ck_assert_msg(good, "%s: %s", path, err.msg);
    return m;
}

static const Var *var_named(const Module *m, const char *name)
{
    for (uint32_t i = 0; i < m->n_vars; i++)
        if (strcmp(m->vars[i].name, name) == 0 && m->vars[i].func != VAR_OF_PROTOTYPE)
            return &m->vars[i];
    ck_abort_msg("no variable %s", name);
    return NULL;
}

START_TEST(variables_have_places_sizes_and_initial_bytes)
{
    Arena a = {0};
    const Module *m = parse_good(&a, "variables");
    const Func *f = func_named(m, "variables");
    ck_assert_uint_eq(var_named(m, "p")->offset, 0);
    ck_assert_uint_eq(var_named(m, "small")->offset, 8);
    ck_assert_uint_eq(var_named(m, "agg")->offset, 16);
    ck_assert_uint_eq(var_named(m, "scale")->offset, 36);
    ck_assert_uint_eq(f->param_bytes, 40);
    ck_assert_uint_eq(var_named(m, "module_shared")->offset, 0);
    ck_assert_uint_eq(var_named(m, "own")->offset, 48);
    ck_assert_uint_eq(f->shared_bytes, 52);
    const Var *primes = var_named(m, "primes");
    ck_assert_uint_eq(primes->offset, 4);
    ck_assert_uint_eq(primes->init[4], 3);
    ck_assert_uint_eq(primes->init[12], 0xF9);
    ck_assert_uint_eq(var_named(m, "coeff")->init[7], 0xBF); /* -1.5 */
    const Var *ptrs = var_named(m, "ptrs");
    ck_assert_uint_eq(ptrs->n_relocs, 2);
    ck_assert(!ptrs->relocs[0].generic);
    ck_assert(ptrs->relocs[1].generic);
    ck_assert_int_eq(ptrs->relocs[1].addend, 8);
    ck_assert_uint_eq(ptrs->relocs[1].at, 8);
    const Var *bytes = var_named(m, "bytes");
    ck_assert_uint_eq(bytes->relocs[1].shift, 8);
    ck_assert_uint_eq(bytes->relocs[1].bytes, 1);
    const Var *grid = var_named(m, "grid");
    ck_assert_uint_eq(grid->size, 12);
    ck_assert_uint_eq(grid->init[4], 0);
    ck_assert_uint_eq(grid->init[6], 4);
    ck_assert_uint_eq(var_named(m, "quad")->size, 16);
    ck_assert_uint_eq(var_named(m, "text")->size, 3);
    arena_free(&a);
}
END_TEST

START_TEST(kernel_attributes_and_source_lines_are_kept)
{
    Arena a = {0};
    const Module *m = parse_good(&a, "variables");
    const Func *f = func_named(m, "variables");
    ck_assert_uint_eq(m->version_major, 9);
    ck_assert_str_eq(m->target, "sm_90a");
    ck_assert_uint_eq(f->reqntid[0], 64);
    ck_assert_uint_eq(f->reqntid[1], 2);
    ck_assert_uint_eq(f->reqntid[2], 1);
    ck_assert_uint_eq(f->cluster[0], 2);
    ck_assert_uint_eq(f->maxnreg, 64);
    ck_assert_str_eq(m->files[f->insns[0].src_file], "/tmp/a.cu");
    ck_assert_uint_eq(f->insns[0].src_line, 12);
    ck_assert_str_eq(m->files[f->insns[1].src_file], "b.h");
    arena_free(&a);
}
END_TEST

START_TEST(branches_go_to_the_innermost_label)
{
    Arena a = {0};
    const Module *m = parse_good(&a, "scopes");
    const Func *f = &m->funcs[0];
    for (uint32_t i = 0; i < f->n_insns; i++) {
        if (f->insns[i].op != OP_MBARRIER_TRY_WAIT_PARITY || f->insns[i + 1].op != OP_BRA)
            continue;
        if (f->insns[i + 1].guard_neg) { /* the Triton loop: back on false */
            ck_assert_int_eq(f->insns[i + 1].opd[0].imm, i);
            continue;
        }
        ck_assert_int_eq(f->insns[i + 1].opd[0].imm, i + 3);
        ck_assert_int_eq(f->insns[i + 2].opd[0].imm, i);
    }
    arena_free(&a);
}
END_TEST

START_TEST(shadowed_registers_are_distinct_and_named_apart)
{
    Arena a = {0};
    const Module *m = parse_good(&a, "scopes");
    const Func *f = &m->funcs[0];
    for (uint32_t i = 0; i < f->n_regs; i++)
        for (uint32_t k = 0; k < i; k++)
            ck_assert_str_ne(f->regs[i].name, f->regs[k].name);
    /* mov a, 2; mov a, 3; mov %r0, a; mov %r1, a: three different registers are written */
    ck_assert_int_ne(f->insns[1].opd[0].reg, f->insns[2].opd[0].reg);
    ck_assert_int_eq(f->insns[3].opd[1].reg, f->insns[2].opd[0].reg);
    ck_assert_int_eq(f->insns[4].opd[1].reg, f->insns[2].opd[0].reg);
    ck_assert_int_eq(f->insns[5].opd[1].reg, f->insns[1].opd[0].reg);
    arena_free(&a);
}
END_TEST

START_TEST(calls_name_their_parameters)
{
    Arena a = {0};
    const Module *m = parse_good(&a, "calls");
    const Func *f = func_named(m, "calls");
    uint32_t calls = 0;
    for (uint32_t i = 0; i < f->n_insns; i++) {
        const Insn *in = &f->insns[i];
        if (in->op != OP_CALL)
            continue;
        calls++;
        ck_assert_uint_eq(in->n_opd, 4);
        ck_assert_uint_eq(in->opd[1].kind, OPD_FUNC);
        if (calls == 3) {
            ck_assert_str_eq(m->funcs[in->opd[1].func].name, "other");
            ck_assert_uint_eq(in->opd[0].kind, OPD_NONE);
            continue;
        }
        ck_assert_uint_eq(in->opd[0].n, 1);
        ck_assert_uint_eq(in->opd[2].n, 2);
        ck_assert_uint_eq(m->elems[in->opd[2].first].kind, OPD_ADDR_OF);
    }
    ck_assert_uint_eq(calls, 3);
    ck_assert_uint_eq(f->n_lists, 1);
    ck_assert_uint_eq(f->lists[0].n, 3);
    ck_assert_int_eq(f->lists[0].target[0], f->lists[0].target[2]);
    ck_assert(func_named(m, "vprintf")->is_extern);
    ck_assert(!func_named(m, "helper")->is_extern);
    arena_free(&a);
}
END_TEST

/* The kernel that runs does not see the others' shared memory. */
START_TEST(one_kernel_of_a_file)
{
    char path[] = "/tmp/rao-test-parse-XXXXXX";
    static const char text[] =
        ".version 9.0\n.target sm_100a\n.address_size 64\n.extern .shared .align 16 .b8 dyn[];\n"
        ".visible .entry a()\n{\n .shared .align 4 .b8 own[20];\n .reg .b32 %r<2>;\n"
        " mov.u32 %r1, own;\n ret;\n}\n"
        ".visible .entry b()\n{\n .reg .b32 %r<2>;\n mov.u32 %r1, dyn;\n ret;\n}\n";
    int fd = mkstemp(path);
    Err err = {0};
    ck_assert_int_eq(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    static const char *const kernels[] = {"b", "a", NULL};
    for (size_t i = 0; i < 3; i++) {
        Arena a = {0};
        Module *m;
        ck_assert(isa_parse_kernel(&a, path, kernels[i], &m, &err));
        ck_assert_str_eq(m->vars[0].name, "dyn");
        ck_assert_uint_eq(m->vars[0].offset, i == 0 ? 0 : 32);
        arena_free(&a);
    }
    unlink(path);
}
END_TEST

/* Code between an .extern declaration and the definition means what is defined. */
START_TEST(a_declared_variable_is_the_defined_one)
{
    static const char text[] =
        ".version 9.0\n.target sm_100a\n.address_size 64\n.extern .global .align 4 .u32 x;\n"
        ".extern .global .align 16 .u32 x;\n.extern .global .u32 unused;\n"
        ".visible .entry a()\n{\n .reg .b32 %r<2>;\n ld.global.u32 %r1, [x];\n ret;\n}\n"
        ".visible .global .align 4 .u32 x = 7;\n";
    Arena a = {0};
    Err err = {0};
    Module *m;
    ck_assert(isa_parse(&a, "x.ptx", text, sizeof text - 1, &m, &err));
    const Var *x = &m->vars[m->funcs[0].insns[0].opd[1].var];
    ck_assert_str_eq(x->name, "x");
    ck_assert(!x->is_extern && x->align == 16 && x->init && x->init[0] == 7);
    size_t without = (size_t)(strstr(text, ".visible .global") - text);
    ck_assert(!isa_parse(&a, "x.ptx", text, without, &m, &err));
    ck_assert_msg(strstr(err.msg, "'x' is .extern (line 4) and defined nowhere") != NULL, "%s",
                  err.msg);
    ck_assert_uint_eq(err.loc.line, 10);
    arena_free(&a);
}
END_TEST

START_TEST(operands_know_whether_they_are_written)
{
    Arena a = {0};
    const Module *m = parse_good(&a, "operands");
    const Form *setp = &m->forms->form[OP_SETP_INT], *st = &m->forms->form[OP_ST],
               *mma = &m->forms->form[OP_WGMMA];
    ck_assert(setp->opd[0].is_dst && !setp->opd[0].is_src && setp->opd[1].is_dst &&
              !setp->opd[2].is_dst);
    ck_assert(!st->opd[0].is_dst && st->opd[1].is_src);
    ck_assert(mma->opd[0].is_dst && mma->opd[0].is_src);
    arena_free(&a);
}
END_TEST

START_TEST(an_entry_is_found_by_name_or_alone)
{
    Arena a = {0};
    Err err = {0};
    const Func *f;
    const Module *m = parse_good(&a, "calls");
    ck_assert(isa_find_entry(m, NULL, &f, &err));
    ck_assert_str_eq(f->name, "calls");
    ck_assert(isa_find_entry(m, "calls", &f, &err));
    ck_assert(!isa_find_entry(m, "helper", &f, &err));
    ck_assert_msg(strstr(err.msg, "calls"), "%s", err.msg);
    arena_free(&a);
}
END_TEST

/* ---- Damage ---- */

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

START_TEST(damaged_text_gives_an_error_or_a_module)
{
    static const char alphabet[] = "{}()[];,.:@!%_+-*/<>|\"'\n\t 0123456789abfx$~?=&^\\\x01\xff";
    char *paths[MAX_FILES_IN_FOLDER];
    int n = list_folder("good", paths);
    uint32_t state = 1;
    for (int i = 0; i < n; i++) {
        Arena keep = {0};
        size_t len;
        char *text = read_text(&keep, paths[i], &len), *copy = malloc(len + 64);
        for (uint32_t round = 0; round < 300; round++) {
            size_t m_len = len;
            memcpy(copy, text, len);
            for (uint32_t k = 0; k <= round % 4; k++) {
                size_t at = next_random(&state) % m_len, from = next_random(&state) % len;
                switch (next_random(&state) % 4) {
                case 0:
                    copy[at] = alphabet[next_random(&state) % (sizeof alphabet - 1)];
                    break;
                case 1:
                    m_len = at + 1;
                    break; /* cut */
                case 2:
                    memmove(copy + at, copy + at + 1, m_len - at - 1);
                    break;
                default: { /* a piece from elsewhere */
                    size_t piece = len - from < 40 ? len - from : 40;
                    piece = m_len - at < piece ? m_len - at : piece;
                    memcpy(copy + at, text + from, piece);
                }
                }
            }
            Arena a = {0};
            Err err = {0};
            Module *m;
            if (isa_parse(&a, "damaged", copy, m_len, &m, &err)) {
                size_t printed;
                free(print_module(m, &printed));
            } else {
                ck_assert_int_ne(err.kind, ERR_NONE);
                ck_assert_uint_gt(strlen(err.msg), 0);
            }
            arena_free(&a);
        }
        free(copy);
        arena_free(&keep);
        free(paths[i]);
    }
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    static const char *const openers[] = {"{", "(", "-", "!", "1?1:", "("};
    for (size_t k = 0; k < sizeof openers / sizeof openers[0]; k++) {
        Arena a = {0};
        Err err = {0};
        Module *m;
        char *text = NULL;
        size_t n = 0;
        FILE *out = open_memstream(&text, &n);
        fprintf(out, ".version 9.0\n.target sm_100a\n.entry k() { .reg .b32 r;\n%s",
                k ? "mov.b32 r, " : "");
        for (int i = 0; i < 100000; i++)
            fputs(openers[k], out);
        fclose(out);
        ck_assert(!isa_parse(&a, "deep", text, n, &m, &err));
        free(text);
        arena_free(&a);
    }
}
END_TEST

START_TEST(sizes_that_no_machine_has_are_refused)
{
    static const char *const texts[] = {".global .b8 a[99999999999999999];",
                                        ".global .u64 a[4294967296][4294967296];",
                                        ".global .b8 a[1000000000000] = {1};",
                                        ".entry k() { .reg .b32 %r<4000000000>; }",
                                        ".global .align 3 .b8 a;",
                                        ".file 4000000000 \"x\""};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        Arena a = {0};
        Err err = {0};
        Module *m;
        char *text = arena_printf(&a, ".version 9.0\n.target sm_100a\n%s\n", texts[i]);
        ck_assert_msg(!isa_parse(&a, "big", text, strlen(text), &m, &err), "%s", texts[i]);
        arena_free(&a);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("isa_parse");
    TCase *t = tcase_create("parse");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, good_files_parse_print_and_parse_again);
    tcase_add_test(t, bad_files_say_what_and_where);
    tcase_add_test(t, forms_get_the_verdict_of_ptxas);
    tcase_add_test(t, register_types_get_the_verdict_of_ptxas);
    tcase_add_test(t, variables_have_places_sizes_and_initial_bytes);
    tcase_add_test(t, kernel_attributes_and_source_lines_are_kept);
    tcase_add_test(t, branches_go_to_the_innermost_label);
    tcase_add_test(t, shadowed_registers_are_distinct_and_named_apart);
    tcase_add_test(t, calls_name_their_parameters);
    tcase_add_test(t, one_kernel_of_a_file);
    tcase_add_test(t, a_declared_variable_is_the_defined_one);
    tcase_add_test(t, operands_know_whether_they_are_written);
    tcase_add_test(t, an_entry_is_found_by_name_or_alone);
    tcase_add_test(t, damaged_text_gives_an_error_or_a_module);
    tcase_add_test(t, deep_nesting_is_refused);
    tcase_add_test(t, sizes_that_no_machine_has_are_refused);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
