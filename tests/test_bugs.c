/* rao check on kernels with one planted bug each: it is found, by its name, at its line; without
 * the bug the checker is silent.
 *
 * tests/bugs/NAME.ptx: line 2 says block, cluster, where there are several clusters their number
 * and, where the first parameter is a tensor map, its swizzle. The line with "// BUG kind" is wrong
 * (or stands where something is missing); the
 * "// FIX text" behind it takes its place in the twin that must be silent. The finding must be at a
 * line with "// AT", or at the line of the bug if there is none. kind: one or more names of
 * kinds.def with | between, or deadlock; "warning" behind it: that does not count as an error. The
 * cycle of a deadlock is of the lines with CYCLE behind the "// AT", if there are any (x2: of two
 * CTAs); CAUSE says what is wrong with a wait at the mark. A deadlock is found in the same way
 * without the checker, with time and without. */
#include <check.h>
#include <dirent.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/api/rao.h"

enum { MAX_BUGS = 256, TEXT = 1 << 16, MAX_AT = 8 };

static char *bugs[MAX_BUGS];
static int n_bugs;
static char dir[] = "/tmp/rao_bugs_XXXXXX";

static char *slurp(const char *path)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    char *text = calloc(1, 4u << 20);
    ck_assert(fread(text, 1, (4u << 20) - 1, f) > 0);
    fclose(f);
    return text;
}

static void spill(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

typedef struct Seen { /* what came out of one run */
    RaoStatus status;
    json_t *json;
    char error[2048];
} Seen;

static Seen run_file(const char *path, RaoOptions opt)
{
    opt.threads = 1;
    RaoResult *r = rao_run(path, &opt);
    Seen s = {.status = rao_status(r), .json = json_loads(rao_json(r), 0, NULL)};
    snprintf(s.error, sizeof s.error, "%s", rao_error(r));
    rao_free(r);
    ck_assert_msg(s.json != NULL, "%s: no JSON: %s", path, s.error);
    return s;
}

static int64_t line_of(const json_t *o)
{
    return json_integer_value(json_object_get(o, "line"));
}

static Seen check_file(const char *path)
{
    return run_file(path, (RaoOptions){.check = true});
}

/* ---- tests/bugs ---- */

static void launch_of(const char *ptx, char *yaml, size_t n)
{
    unsigned block, cluster, clusters = 1;
    char swizzle[16] = "", text[128];
    const char *line = strstr(ptx, "// block "), *more;
    ck_assert(line && sscanf(line, "// block %u cluster %u", &block, &cluster) == 2);
    snprintf(text, sizeof text, "%.*s", (int)strcspn(line, "\n"), line);
    if ((more = strstr(text, " clusters ")))
        ck_assert_int_eq(sscanf(more, " clusters %u", &clusters), 1);
    if ((more = strstr(text, " map ")))
        ck_assert_int_eq(sscanf(more, " map %15s", swizzle), 1);
    bool wide = strcmp(swizzle, "128B") == 0;
    int len = snprintf(yaml, n,
                       "ptx: k.ptx\ngrid: [%u, 1, 1]\nblock: [%u, 1, 1]\ncluster: [%u, 1, 1]\n"
                       "tensors:\n  x: {dtype: u32, shape: [16384], init: zeros}\n"
                       "  y: {dtype: bf16, shape: [64, 64], init: zeros}\nargs:\n",
                       cluster * clusters, block, cluster);
    if (swizzle[0]) /* 2048 bytes either way */
        len +=
            snprintf(yaml + len, n - (size_t)len,
                     "  - {tensormap: {tensor: y, dims: [64, 64], strides: [128], box: [%d, %d], "
                     "swizzle: %s, interleave: none, oob: zero, l2: none}}\n",
                     wide ? 64 : 32, wide ? 16 : 32, swizzle);
    snprintf(yaml + len, n - (size_t)len, "  - x\n");
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

/* ---- Mutations of FA4 ---- */

typedef struct Edit {
    const char *find;    /* a statement that begins so ... */
    int occurrence;      /* ... the n-th from 0 ... */
    const char *replace; /* gives way to this; ends in '\n': stands before it */
} Edit;

typedef struct Mutant {
    const char *name, *kind, *what, *role; /* of the finding; what: begins so */
    Edit edit[2];
} Mutant;

#define TRY "mbarrier.try_wait.parity.shared::cta.b64 P1"
#define NO_WAIT "mov.pred P1, 1;"
#define P_READY "mbarrier.arrive.shared::cta.b64 _, [%r17];"

static const Mutant mutants[] = {
    {"correction drops the wait for O",
     "tmem-overwrite-in-use",
     "tcgen05.mma",
     "mma",
     {{TRY, 5, NO_WAIT}}},
    {"mma drops the wait for Q",
     "read-before-completion",
     "tcgen05.mma",
     "mma",
     {{TRY, 9, NO_WAIT}}},
    {"mma drops the wait for K",
     "read-before-completion",
     "tcgen05.mma",
     "mma",
     {{TRY, 15, NO_WAIT}}},
    {"mma drops the wait for P",
     "tmem-read-before-wait-st",
     "tcgen05.mma",
     "mma",
     {{TRY, 13, NO_WAIT}}},
    {"softmax drops wait::st",
     "tmem-read-before-wait-st",
     "tcgen05.mma",
     "mma",
     {{"tcgen05.wait::st.sync", 0, ""}}},
    {"P is stored after the arrive",
     "tmem-read-before-wait-st",
     "tcgen05.mma",
     "mma",
     {{P_READY, 0, ""}, {"tcgen05.st.sync.aligned.32x32b.x16.b32 [%r22]", 0, P_READY "\n"}}},
    {"softmax does not say that P is ready", "deadlock", "softmax0", "mma", {{P_READY, 1, ""}}},
    {"expect_tx of half of Q",
     "tx-mismatch",
     "cp.async.bulk.tensor",
     "load",
     {{"mbarrier.arrive.expect_tx", 1,
       "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r343], 16384;"}}},
    {"expect_tx of more than Q",
     "deadlock",
     "softmax0",
     NULL,
     {{"mbarrier.arrive.expect_tx", 1,
       "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r343], 49152;"}}},
    {"arrival count one short",
     "mbarrier-count",
     "mbarrier.arrive",
     "correction",
     {{"mov.b32 \t%r264, 128;", 0, "mov.b32 %r264, 127;"}}},
    {"arrival count one too many",
     "deadlock",
     "softmax0",
     NULL,
     {{"mov.b32 \t%r264, 128;", 0, "mov.b32 %r264, 129;"}}},
    {"load waits for the other phase",
     "mbarrier-count",
     "mbarrier.arrive.expect_tx",
     "load",
     {{"xor.b32  \t%r407, %r165, 1;", 0, "mov.b32 %r407, %r165;"}}},
    {"no fence.proxy.async before the store of O",
     "missing-proxy-fence",
     "cp.async.bulk.tensor",
     "epilogue",
     {{"fence.proxy.async", 0, ""}}},
    {"ring of K and V with one slot",
     "overwrite-in-use",
     "cp.async.bulk.tensor",
     "load",
     {{"shl.b32 \t%r378, %r157, 15;", 0, "mov.b32 %r378, 0;"}}},
    {"the ring of load is one slot short",
     "deadlock",
     "softmax0",
     NULL,
     {{"setp.eq.s32 \t%p16, %r382, 3;", 0, "setp.eq.s32 %p16, %r382, 2;"}}},
    {"no barrier after mbarrier.init",
     "mbarrier-init-race",
     "mbarrier",
     NULL,
     {{"bar.sync", 0, ""}}},
    {"tensor memory freed early",
     "tmem-freed-in-use",
     "tcgen05.dealloc",
     NULL,
     {{"bar.sync", 7, ""}}},
    {"tensor memory never freed", "tmem-leak", "tcgen05.alloc", NULL, {{"tcgen05.dealloc", 0, ""}}},
    {"S is not committed", "deadlock", "softmax0", NULL, {{"tcgen05.commit.cta_group::1", 0, ""}}},
    {"ends while O is being stored",
     "exit-with-work",
     "cp.async.bulk.tensor",
     "epilogue",
     {{"cp.async.bulk.wait_group", 1, ""}}},
};

static void apply(char *ptx, const Mutant *m, const Edit *e)
{
    char *at = ptx;
    for (int i = 0;; i++, at++) {
        at = strstr(at, e->find);
        ck_assert_msg(at != NULL, "%s: the PTX has no occurrence %d of '%s'", m->name, i, e->find);
        if (i == e->occurrence)
            break;
    }
    size_t len = strlen(e->replace);
    char *end = len && e->replace[len - 1] == '\n' ? at : strchr(at, ';') + 1;
    memmove(at + len, end, strlen(end) + 1);
    memcpy(at, e->replace, len);
}

static bool begins(const json_t *o, const char *key, const char *with)
{
    const char *text = json_string_value(json_object_get(o, key));
    return !with || (text && strncmp(text, with, strlen(with)) == 0);
}

/* A deadlock: the role `what` waits; where a second role is given, both are in the cycle. */
static bool dead_roles(const json_t *json, const Mutant *m)
{
    const json_t *dead = json_object_get(json, "deadlock");
    bool waits = false, first = false, second = !m->role;
    size_t i;
    json_t *o;
    json_array_foreach(json_object_get(dead, "waits"), i, o) waits |= begins(o, "role", m->what);
    json_array_foreach(json_object_get(dead, "cycle"), i, o)
    {
        first |= begins(o, "role", m->what);
        second |= begins(o, "role", m->role);
    }
    return waits && (!m->role || (first && second));
}

START_TEST(a_mutant_of_fa4_is_found)
{
    const Mutant *m = &mutants[_i];
    char *ptx = slurp(TEST_DIR "/../kernels/fa4_fwd/fa4_fwd.ptx"),
         *yaml = slurp(TEST_DIR "/launch/fa4_small.yaml"), path[256];
    static const char old[] = "../../kernels/fa4_fwd/fa4_fwd.ptx", own[] = "k.ptx";
    char *line = strstr(yaml, old);
    for (int i = 0; i < 2 && m->edit[i].find; i++)
        apply(ptx, m, &m->edit[i]);
    memmove(line + strlen(own), line + strlen(old), strlen(line + strlen(old)) + 1);
    memcpy(line, own, strlen(own));
    spill("k.ptx", ptx);
    spill("k.yaml", yaml);
    snprintf(path, sizeof path, "%s/k.yaml", dir);
    Seen s = check_file(path);
    bool found = false;
    size_t i;
    json_t *o;
    if (strcmp(m->kind, "deadlock") == 0)
        found = s.status == RAO_DEADLOCK && dead_roles(s.json, m);
    json_array_foreach(json_object_get(s.json, "findings"), i, o)
    {
        const json_t *at = json_object_get(o, "at");
        found |= begins(o, "kind", m->kind) && begins(at, "what", m->what) &&
                 begins(at, "role", m->role) && line_of(at) > 0;
    }
    ck_assert_msg(found, "%s: exit %d, no %s by %s (%s): %s", m->name, (int)s.status, m->kind,
                  m->what, m->role ? m->role : "any role", s.error);
    json_decref(s.json);
    free(ptx);
    free(yaml);
}
END_TEST

/* ---- Silence ---- */

static const char *const silent[] = {
    "/launch/fa4_small.yaml",
    "/../kernels/bench/bench.yaml",
};

START_TEST(a_correct_kernel_is_silent)
{
    char path[512];
    snprintf(path, sizeof path, "%s%s", TEST_DIR, silent[_i]);
    Seen s = check_file(path);
    char *text = json_dumps(json_object_get(s.json, "findings"), JSON_INDENT(1));
    ck_assert_msg(s.status == RAO_OK && strcmp(text, "[]") == 0, "%s: exit %d, %s %s", silent[_i],
                  (int)s.status, text, s.error);
    free(text);
    json_decref(s.json);
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

START_TEST(there_are_forty_bugs)
{
    ck_assert_int_ge(n_bugs, 40);
    ck_assert_int_ge((int)(sizeof mutants / sizeof *mutants), 10);
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
    tcase_add_test(c, there_are_forty_bugs);
    tcase_add_loop_test(c, a_bug_is_found_and_its_twin_is_silent, 0, n_bugs);
    tcase_add_loop_test(c, a_deadlock_is_explained_in_every_kind_of_run, 0, n_bugs);
    tcase_add_loop_test(c, a_mutant_of_fa4_is_found, 0, (int)(sizeof mutants / sizeof *mutants));
    tcase_add_loop_test(c, a_correct_kernel_is_silent, 0, (int)(sizeof silent / sizeof *silent));
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
