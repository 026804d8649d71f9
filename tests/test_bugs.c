/* rao check on kernels with one planted bug each: it is found, by its name, at its line; without
 * the bug the checker is silent.
 *
 * tests/bugs/NAME.ptx: line 2 says block, cluster, where there are several clusters their number
 * and, where the first parameter is a tensor map, its swizzle; "behind first": that kernel of the
 * file runs before. The line with "// BUG kind" is wrong
 * (or stands where something is missing); the
 * "// FIX text" behind it takes its place in the twin that must be silent. The finding must be at a
 * line with "// AT", or at the line of the bug if there is none. kind: one or more names of
 * kinds.def with | between, or deadlock; "warning" behind it: that does not count as an error. The
 * cycle of a deadlock is of the lines with CYCLE behind the "// AT", if there are any (x2: of two
 * CTAs); CAUSE says what is wrong with a wait at the mark. A deadlock is found in the same way
 * without the checker, with time and without. */
#include <dirent.h>

#include "check_kit.h"

enum { MAX_BUGS = 256, TEXT = 1 << 16, MAX_AT = 8 };

static char *bugs[MAX_BUGS];
static int n_bugs;

/* ---- tests/bugs ---- */

/* One launch of k.ptx, its lines behind `dash` and spaces as long. */
static int put_launch(char *yaml, size_t n, const char *dash, const char *kernel,
                      const unsigned size[3], const char *args)
{
    int in = (int)strlen(dash);
    return snprintf(yaml, n,
                    "%sptx: k.ptx\n%*skernel: %s\n%*sgrid: [%u, 1, 1]\n%*sblock: [%u, 1, 1]\n"
                    "%*scluster: [%u, 1, 1]\n%*sargs: [%s]\n",
                    dash, in, "", kernel, in, "", size[0] * size[2], in, "", size[1], in, "",
                    size[0], in, "", args);
}

/* The number behind a word of line 2, or 1. */
static unsigned number_of(const char *line, const char *word)
{
    const char *at = strstr(line, word);
    unsigned value = 1;
    if (at)
        ck_assert_int_eq(sscanf(at + strlen(word), " %u", &value), 1);
    return value;
}

static void launch_of(const char *ptx, char *yaml, size_t n)
{
    char line[128], args[512] = "x", *map;
    const char *at = strstr(ptx, "// block ");
    ck_assert_ptr_nonnull(at);
    snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
    unsigned size[] = {number_of(line, "cluster"), number_of(line, "block"),
                       number_of(line, "clusters")};
    if ((map = strstr(line, " map "))) { /* a box of 2048 bytes either way */
        bool wide = strncmp(map, " map 128B", 9) == 0;
        snprintf(args, sizeof args,
                 "{tensormap: {tensor: y, dims: [64, 64], strides: [128], box: [%d, %d], swizzle: "
                 "%.4s, interleave: none, oob: zero, l2: none}}, x",
                 wide ? 64 : 32, wide ? 16 : 32, map + 5);
    }
    int len = snprintf(yaml, n,
                       "tensors:\n  x: {dtype: u32, shape: [16384], init: zeros}\n"
                       "  y: {dtype: bf16, shape: [64, 64], init: zeros}\n");
    bool second = strstr(line, " behind first") != NULL;
    if (second) {
        len += snprintf(yaml + len, n - (size_t)len, "launches:\n");
        len += put_launch(yaml + len, n - (size_t)len, "  - ", "first", size, args);
    }
    put_launch(yaml + len, n - (size_t)len, second ? "  - " : "", "bug", size, args);
}

typedef struct Bug {
    char kind[128], cause[64], fixed[TEXT];
    bool warning;
    int at[MAX_AT], n_at, cycle[MAX_AT], n_cycle;
} Bug;

/* Finds the marks; makes the twin, with as many lines. */
static void read_bug(const char *ptx, Bug *b)
{
    size_t out = 0;
    int line = 1, bug_line = 0;
    bool wrong = false; /* the line before is to be replaced */
    for (const char *p = ptx, *end; *p; p = end + 1, line++) {
        end = strchr(p, '\n');
        ck_assert_ptr_nonnull(end);
        char text[512];
        snprintf(text, sizeof text, "%.*s", (int)(end - p), p);
        const char *fix = strstr(text, "// FIX"), *bug = strstr(text, "// BUG");
        if (strstr(text, "// AT") && b->n_at < MAX_AT)
            b->at[b->n_at++] = line;
        for (int n = strstr(text, " CYCLE x2") ? 2 : strstr(text, " CYCLE") ? 1 : 0; n > 0; n--)
            b->cycle[b->n_cycle++ % MAX_AT] = line;
        const char *cause = strstr(text, " CAUSE ");
        if (cause)
            ck_assert_int_eq(sscanf(cause, " CAUSE %63s", b->cause), 1);
        if (bug && bug_line == 0) {
            ck_assert_int_eq(sscanf(bug, "// BUG %127s", b->kind), 1);
            b->warning = strstr(bug, " warning") != NULL;
            bug_line = line;
        }
        if (bug)
            wrong = true;
        else if (fix && wrong)
            out += (size_t)snprintf(b->fixed + out, TEXT - out, "%s\n\n", fix + strlen("// FIX"));
        else
            out += (size_t)snprintf(b->fixed + out, TEXT - out, "%s\n", text);
        wrong = bug != NULL;
    }
    if (b->n_at == 0)
        b->at[b->n_at++] = bug_line;
}

static bool is_among(const int *lines, int n, int64_t line)
{
    for (int i = 0; i < n; i++)
        if (lines[i] == line)
            return true;
    return false;
}

static bool at_mark(const Bug *b, int64_t line)
{
    return is_among(b->at, b->n_at, line);
}

/* The cycle is of the marked lines, each once. */
static bool is_cycle(const Bug *b, const json_t *dead)
{
    const json_t *cycle = json_object_get(dead, "cycle"), *o;
    size_t i;
    json_array_foreach(cycle, i, o) if (!is_among(b->cycle, b->n_cycle, line_of(o))) return false;
    return json_array_size(cycle) == (size_t)b->n_cycle;
}

static bool names(const char *kinds, const char *kind)
{
    const char *p = strstr(kinds, kind);
    size_t n = strlen(kind);
    return p && (p == kinds || p[-1] == '|') && (p[n] == 0 || p[n] == '|');
}

static bool is_warning(const json_t *finding)
{
    return strcmp(json_string_value(json_object_get(finding, "severity")), "warning") == 0;
}

static bool is_found(const Bug *b, const json_t *json)
{
    size_t i;
    json_t *o;
    if (strcmp(b->kind, "deadlock") == 0) {
        const json_t *dead = json_object_get(json, "deadlock");
        if (b->n_cycle && !is_cycle(b, dead))
            return false;
        json_array_foreach(json_object_get(dead, "waits"), i, o)
        {
            const char *cause = json_string_value(json_object_get(o, "cause"));
            if (at_mark(b, line_of(o)) && (!b->cause[0] || (cause && !strcmp(cause, b->cause))))
                return true;
        }
        return false;
    }
    json_array_foreach(json_object_get(json, "findings"), i,
                       o) if (names(b->kind, json_string_value(json_object_get(o, "kind"))) &&
                              is_warning(o) == b->warning &&
                              at_mark(b, line_of(json_object_get(o, "at")))) return true;
    return false;
}

static void run_text(const char *ptx, RaoOptions opt, Seen *s)
{
    char yaml[2048], path[256];
    launch_of(ptx, yaml, sizeof yaml);
    spill("k.ptx", ptx);
    spill("k.yaml", yaml);
    snprintf(path, sizeof path, "%s/k.yaml", dir);
    *s = run_file(path, opt);
}

START_TEST(a_bug_is_found_and_its_twin_is_silent)
{
    char path[512];
    snprintf(path, sizeof path, "%s/bugs/%s", TEST_DIR, bugs[_i]);
    char *ptx = slurp(path);
    Bug *b = calloc(1, sizeof *b);
    Seen s;
    read_bug(ptx, b);
    run_text(ptx, (RaoOptions){.check = true}, &s);
    bool dead = strcmp(b->kind, "deadlock") == 0;
    char *text = json_dumps(json_object_get(s.json, "findings"), JSON_INDENT(1));
    ck_assert_msg(s.status == RAO_DEADLOCK ||
                      (!dead && s.status == (b->warning ? RAO_OK : RAO_MISUSE)),
                  "%s: exit %d, %s", bugs[_i], (int)s.status, s.error);
    ck_assert_msg(is_found(b, s.json), "%s: no %s at its line: %s %s", bugs[_i], b->kind, text,
                  s.error);
    free(text);
    json_decref(s.json);
    run_text(b->fixed, (RaoOptions){.check = true}, &s);
    text = json_dumps(json_object_get(s.json, "findings"), JSON_INDENT(1));
    ck_assert_msg(s.status == RAO_OK && strcmp(text, "[]") == 0, "the twin of %s: exit %d, %s %s",
                  bugs[_i], (int)s.status, text, s.error);
    free(text);
    json_decref(s.json);
    free(b);
    free(ptx);
}
END_TEST

START_TEST(a_deadlock_is_explained_in_every_kind_of_run)
{
    if (strncmp(bugs[_i], "deadlock_", strlen("deadlock_")) != 0)
        return;
    static const RaoOptions kinds[] = {{.functional = true}, {.sms = 0}};
    char path[512];
    snprintf(path, sizeof path, "%s/bugs/%s", TEST_DIR, bugs[_i]);
    char *ptx = slurp(path);
    Bug *b = calloc(1, sizeof *b);
    read_bug(ptx, b);
    for (int i = 0; i < 2; i++) {
        Seen s;
        run_text(ptx, kinds[i], &s);
        char *text = json_dumps(json_object_get(s.json, "deadlock"), JSON_INDENT(1));
        ck_assert_msg(s.status == RAO_DEADLOCK && is_found(b, s.json), "%s (%s): exit %d, %s %s",
                      bugs[_i], i ? "with time" : "functional", (int)s.status, s.error, text);
        free(text);
        json_decref(s.json);
    }
    free(b);
    free(ptx);
}
END_TEST

/* ---- Source lines ---- */

START_TEST(a_finding_names_the_source_line)
{
    char *ptx = slurp(TEST_DIR "/bugs/race_read.ptx");
    Seen s;
    run_text(ptx, (RaoOptions){.check = true}, &s);
    json_t *f = json_array_get(json_object_get(s.json, "findings"), 0),
           *source = json_object_get(json_object_get(f, "at"), "source");
    ck_assert_int_eq(line_of(source), 42);
    ck_assert_str_eq(json_string_value(json_object_get(source, "file")), "kernel.cu");
    json_decref(s.json);
    free(ptx);
}
END_TEST

/* ---- Suppressions ---- */

START_TEST(a_suppressed_finding_is_no_error)
{
    char yaml[2048], path[256], rules[256], *ptx = slurp(TEST_DIR "/bugs/race_read.ptx");
    launch_of(ptx, yaml, sizeof yaml);
    spill("k.ptx", ptx);
    spill("k.yaml", yaml);
    snprintf(path, sizeof path, "%s/k.yaml", dir);
    snprintf(rules, sizeof rules, "%s/rules", dir);
    static const struct {
        const char *text;
        RaoStatus want;
    } cases[] = {{"# all\nrace-shared kernel=bu* object=buf*\n", RAO_OK},
                 {"race-*\n", RAO_OK},
                 {"race-shared line=1\n", RAO_MISUSE},
                 {"race-tmem\n", RAO_MISUSE},
                 {"race-shred\n", RAO_BAD_INPUT},
                 {"race-shared colour=red\n", RAO_BAD_INPUT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        RaoOptions opt = {.check = true, .suppressions = rules};
        spill("rules", cases[i].text);
        RaoResult *r = rao_run(path, &opt);
        ck_assert_msg(rao_status(r) == cases[i].want, "%s: exit %d, %s", cases[i].text,
                      (int)rao_status(r), rao_error(r));
        rao_free(r);
    }
    free(ptx);
}
END_TEST

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_bugs(void)
{
    DIR *d = opendir(TEST_DIR "/bugs");
    for (struct dirent *e; d && (e = readdir(d));)
        if (strstr(e->d_name, ".ptx") && n_bugs < MAX_BUGS)
            bugs[n_bugs++] = strdup(e->d_name);
    if (d)
        closedir(d);
    qsort(bugs, (size_t)n_bugs, sizeof *bugs, by_name);
}

START_TEST(there_are_a_hundred_bugs)
{
    ck_assert_int_ge(n_bugs, 100);
}
END_TEST

int main(void)
{
    list_bugs();
    if (!mkdtemp(dir))
        return 1;
    Suite *s = suite_create("bugs");
    TCase *c = tcase_create("bugs");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, there_are_a_hundred_bugs);
    tcase_add_loop_test(c, a_bug_is_found_and_its_twin_is_silent, 0, n_bugs);
    tcase_add_loop_test(c, a_deadlock_is_explained_in_every_kind_of_run, 0, n_bugs);
    tcase_add_test(c, a_finding_names_the_source_line);
    tcase_add_test(c, a_suppressed_finding_is_no_error);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    for (int i = 0; i < n_bugs; i++)
        free(bugs[i]);
    return failed != 0;
}
