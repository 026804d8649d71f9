/* Which mma.sync, wmma and wgmma forms are legal, against ptxas: every shape with every choice of
 * types of one width is put together here from the sizes of fragments, read by our parser for two
 * targets, and shown to ptxas, which names each line that it refuses. Where there is no ptxas, the
 * numbers of forms that ptxas 13.0 accepted stand for it. */
#include <check.h>
#include <stdarg.h>
#include <unistd.h>

#include "ptx_run.h"

enum { MAX_FORMS = 4096, HEAD_LINES = 5, LINE = 512 };

typedef struct Type {
    const char *name;
    int bits;
} Type;

static const Type types[] = {{"f16", 16}, {"bf16", 16}, {"tf32", 32}, {"e4m3", 8}, {"e5m2", 8},
                             {"u8", 8},   {"s8", 8},    {"u4", 4},    {"s4", 4},   {"f64", 64}};
static const int shapes[][3] = {{8, 8, 16},  {8, 8, 32},  {16, 8, 4}, {16, 8, 8},
                                {16, 8, 16}, {16, 8, 32}, {16, 8, 64}};
static const Type results[] = {{"f16", 16}, {"f32", 32}, {"s32", 32}, {"f64", 64}};

static char form[MAX_FORMS][LINE];
static int n_forms;
static bool ours[MAX_FORMS], theirs[MAX_FORMS];

__attribute__((format(printf, 2, 3))) static void put(char *s, const char *fmt, ...)
{
    va_list ap;
    size_t n = strlen(s);
    va_start(ap, fmt);
    vsnprintf(s + n, LINE - n, fmt, ap);
    va_end(ap);
}

/* A 32nd of so many elements, in registers of the kind that the type has. */
static void put_fragment(char *s, int elements, const Type *t)
{
    int word = t->bits == 64 ? 64 : 32, n = elements * t->bits / 32 / word;
    const char *kind = t->bits == 64 ? "fd" : strcmp(t->name, "f32") == 0 ? "f" : "r";
    for (int i = 0; i < (n ? n : 1); i++)
        put(s, "%s%%%s%d", i ? "," : "{", kind, i);
    put(s, "}");
}

static char *next_form(void)
{
    char *s = form[n_forms++];
    ck_assert_int_lt(n_forms, MAX_FORMS);
    s[0] = 0;
    return s;
}

/* Only .row.col exists, and in this order. */
static void make_other_layouts(void)
{
    static const char *const layout[] = {"row.row", "col.row", "col.col"};
    for (int i = 0; i < 3; i++)
        put(next_form(),
            "mma.sync.aligned.m16n8k16.%s.f32.f16.f16.f32 "
            "{%%f0,%%f1,%%f2,%%f3},{%%r0,%%r1,%%r2,%%r3},{%%r0,%%r1},{%%f0,%%f1,%%f2,%%f3};",
            layout[i]);
}

static void make_forms(void)
{
    n_forms = 0;
    make_other_layouts();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t d = 0; d < sizeof results / sizeof *results; d++)
            for (size_t a = 0; a < sizeof types / sizeof *types; a++)
                for (size_t b = 0; b < sizeof types / sizeof *types; b++) {
                    const int *m = shapes[i];
                    if (types[a].bits != types[b].bits)
                        continue;
                    char *s = next_form();
                    put(s, "mma.sync.aligned.m%dn%dk%d.row.col.%s.%s.%s.%s ", m[0], m[1], m[2],
                        results[d].name, types[a].name, types[b].name, results[d].name);
                    put_fragment(s, m[0] * m[1], &results[d]);
                    put(s, ",");
                    put_fragment(s, m[0] * m[2], &types[a]);
                    put(s, ",");
                    put_fragment(s, m[1] * m[2], &types[b]);
                    put(s, ",");
                    put_fragment(s, m[0] * m[1], &results[d]);
                    put(s, ";");
                }
}

/* ---- wmma ---- */

static const char *const wmma_shapes[] = {"m16n16k16", "m8n32k16", "m32n8k16", "m16n16k8",
                                          "m8n8k4",    "m8n8k32",  "m8n8k128"};
static const Type wmma_types[] = {{"f16", 16}, {"bf16", 16}, {"tf32", 32}, {"s8", 8}, {"u8", 8},
                                  {"s4", 4},   {"u4", 4},    {"f64", 64},  {"b1", 1}};
static const char *const layouts[] = {"row", "col"};

static void put_wmma_fragment(char *s, const char *shape, char matrix, const Type *t)
{
    enum { F16_ELEMENTS = 512 }; /* 8 registers, whatever the shape */
    int m, n, k;
    ck_assert_int_eq(sscanf(shape, "m%dn%dk%d", &m, &n, &k), 3);
    bool fixed = matrix != 'c' && strcmp(t->name, "f16") == 0;
    int elements = matrix == 'a' ? m * k : matrix == 'b' ? k * n : m * n;
    put_fragment(s, fixed ? F16_ELEMENTS : elements, t);
}

static void make_wmma_access(const char *shape, const char *layout, const Type *t, char matrix,
                             int how)
{
    static const char *const spaces[] = {"", ".global", ".shared", ".shared::cta"};
    char *s = next_form();
    put(s, "wmma.%s.%c.sync.aligned.%s.%s%s.%s ", matrix == 'd' ? "store" : "load", matrix, layout,
        shape, spaces[how % 4], t->name);
    put(s, matrix == 'd' ? "[%%rd1]," : "");
    put_wmma_fragment(s, shape, matrix == 'd' ? 'c' : matrix, t);
    put(s, matrix == 'd' ? "" : ",[%%rd1]");
    put(s, how % 3 == 0 ? ";" : how % 3 == 1 ? ",%%r30;" : ",48;");
}

/* C and D as the manual has them; ptxas takes some for shapes that multiply no such type. */
static bool wmma_result(size_t shape, const Type *t)
{
    if (shape < 3)
        return t->bits < 64;
    return strcmp(t->name, shape == 3 ? "f32" : shape == 4 ? "f64" : "s32") == 0;
}

static void make_wmma_loads(void)
{
    n_forms = 0;
    int how = 0;
    for (size_t i = 0; i < sizeof wmma_shapes / sizeof *wmma_shapes; i++)
        for (int l = 0; l < 2; l++) {
            for (size_t t = 0; t < sizeof wmma_types / sizeof *wmma_types; t++)
                for (int m = 0; m < 2 && (wmma_types[t].bits < 64 || i == 4); m++)
                    make_wmma_access(wmma_shapes[i], layouts[l], &wmma_types[t], "ab"[m], how++);
            for (size_t t = 0; t < sizeof results / sizeof *results; t++)
                for (int m = 0; m < 2 && wmma_result(i, &results[t]); m++)
                    make_wmma_access(wmma_shapes[i], layouts[l], &results[t], "cd"[m], how++);
        }
}

static void make_wmma_product(const char *shape, int l, const Type *d, const Type *a, const Type *c,
                              const char *end)
{
    char *s = next_form();
    put(s, "wmma.mma%s.sync.aligned.%s.%s.%s.%s", a->bits == 1 ? ".and.popc" : "", layouts[l % 2],
        layouts[l / 2], shape, d->name);
    if (a->bits != 16 || a->name[0] != 'f')
        put(s, ".%s.%s", a->name, a->name);
    put(s, ".%s%s ", c->name, end);
    put_wmma_fragment(s, shape, 'c', d);
    put(s, ",");
    put_wmma_fragment(s, shape, 'a', a);
    put(s, ",");
    put_wmma_fragment(s, shape, 'b', a);
    put(s, ",");
    put_wmma_fragment(s, shape, 'c', c);
    put(s, ";");
}

static void make_wmma_products(void)
{
    n_forms = 0;
    for (size_t i = 0; i < sizeof wmma_shapes / sizeof *wmma_shapes; i++)
        for (int l = 0; l < 4; l++)
            for (size_t t = 0; t < sizeof wmma_types / sizeof *wmma_types; t++)
                for (size_t d = 0; d < sizeof results / sizeof *results; d++) {
                    const Type *a = &wmma_types[t], *r = &results[d];
                    if (a->bits == 64 && i != 4) /* as above: not in the manual */
                        continue;
                    if (i < 5 && (l == 1 || l == 2)) /* all four are looked at for few bits */
                        continue;
                    make_wmma_product(wmma_shapes[i], l, r, a, r, "");
                    if (strcmp(a->name, "f16") == 0 && d < 2)
                        make_wmma_product(wmma_shapes[i], l, r, a, &results[!d], "");
                    if (a->bits <= 8)
                        make_wmma_product(wmma_shapes[i], l, r, a, r, ".satfinite");
                }
}

/* wgmma of two sizes, A in shared memory or registers, with and without the
 * operands that transpose. */
static void make_wgmma(int n, int k, const Type *d, const Type *a, const Type *b, int kind)
{
    bool regs = kind & 1, trans = kind & 2, ints = strcmp(d->name, "s32") == 0;
    char *s = next_form();
    put(s, "wgmma.mma_async.sync.aligned.m64n%dk%d.%s.%s.%s ", n, k, d->name, a->name, b->name);
    put_fragment(s, 16 * n, d);
    put(s, ",%s,%%rd1,%%p0", regs ? "{%r0,%r1,%r2,%r3}" : "%rd0");
    if (!ints)
        put(s, ",1,1");
    if (trans)
        put(s, regs ? ",0" : ",0,0");
    put(s, ";");
}

static void make_wgmmas(void)
{
    n_forms = 0;
    for (int k = 8; k <= 64; k *= 2) /* k = 64: N = 40 with K = 32 */
        for (size_t d = 0; d < 3; d++)
            for (size_t a = 0; a < sizeof types / sizeof *types; a++)
                for (size_t b = 0; b < sizeof types / sizeof *types; b++)
                    for (int kind = 0; kind < 4 && types[a].bits == types[b].bits; kind++)
                        make_wgmma(k == 64 ? 40 : 8, k == 64 ? 32 : k, &results[d], &types[a],
                                   &types[b], kind);
}

#define HEAD                                                                                       \
    ".version 9.0\n.target %s\n.address_size 64\n.visible .entry k()\n{ .reg .b32 %%r<40>; .reg "  \
    ".f32 %%f<40>; .reg .f64 %%fd<40>; .reg .b64 %%rd<4>; .reg .pred %%p<2>;\n"

static int read_ours(const char *target)
{
    int n = 0;
    for (int i = 0; i < n_forms; i++) {
        static char text[2 * LINE];
        Arena a = {0};
        Module *m;
        Err err = {0};
        int len = snprintf(text, sizeof text, HEAD "%s\nret; }\n", target, form[i]);
        ours[i] = isa_parse(&a, "form.ptx", text, (size_t)len, &m, &err);
        n += ours[i];
        arena_free(&a);
    }
    return n;
}

/* One run on the forms that it has not refused yet; it gives up after some errors. How many it
 * refused. */
static int refused_by_ptxas(const char *target, const char *path)
{
    char command[256], line[1024];
    int n_refused = 0;
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, HEAD, target);
    for (int i = 0; i < n_forms; i++)
        fprintf(f, "%s\n", theirs[i] ? form[i] : "");
    fprintf(f, "ret; }\n");
    fclose(f);
    snprintf(command, sizeof command, "ptxas -arch=%s -o /dev/null %s 2>&1", target, path);
    FILE *p = popen(command, "r");
    ck_assert_ptr_nonnull(p);
    while (fgets(line, sizeof line, p)) {
        const char *at = strstr(line, ", line ");
        int n = at && strstr(line, "error") ? atoi(at + 7) - HEAD_LINES - 1 : -1;
        if (n < 0 || n >= n_forms)
            continue;
        n_refused += theirs[n];
        theirs[n] = false;
    }
    int status = pclose(p);
    ck_assert_msg(status == 0 || n_refused > 0, "ptxas fails");
    return n_refused;
}

/* False: there is no ptxas. */
static bool ask_ptxas(const char *target)
{
    char path[] = "/tmp/rao_forms_XXXXXX";
    if (system("ptxas --version > /dev/null 2>&1") != 0)
        return false;
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    for (int i = 0; i < n_forms; i++)
        theirs[i] = true;
    while (refused_by_ptxas(target, path))
        ;
    unlink(path);
    return true;
}

static const struct {
    void (*make)(void);
    const char *target;
    int accepted; /* by ptxas 13.0 */
} groups[] = {{make_forms, "sm_90a", 51},         {make_forms, "sm_100a", 51},
              {make_wgmmas, "sm_90a", 48},        {make_wgmmas, "sm_100a", 0},
              {make_wmma_loads, "sm_100a", 114}, /* sm_90a has the same */
              {make_wmma_products, "sm_100a", 63}};

START_TEST(legal_forms_are_those_of_ptxas)
{
    const char *target = groups[_i].target;
    groups[_i].make();
    int n = read_ours(target);
    if (ask_ptxas(target))
        for (int i = 0; i < n_forms; i++)
            ck_assert_msg(ours[i] == theirs[i], "%s: ptxas %s %s, we do not agree", target,
                          theirs[i] ? "accepts" : "refuses", form[i]);
    ck_assert_int_eq(n, groups[_i].accepted);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mma_forms");
    TCase *tc = tcase_create("all");
    tcase_add_loop_test(tc, legal_forms_are_those_of_ptxas, 0, 6);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
