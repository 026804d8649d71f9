/* rao check on FlashAttention-4: mutants of the kernel are found, by their name, with the roles
 * that take part; the kernel itself is silent in every form of its launch files, and so is every
 * other launch file of the project. */
#include "check_kit.h"

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

/* A launch file, made smaller: so many heads of one batch, with a CTA for each tile. */
typedef struct Form {
    const char *file;
    int heads_q, heads_kv, ctas; /* 0: as it is */
} Form;

static const Form silent[] = {
    {"/launch/fa4_small.yaml", 0, 0, 0},
    {"/../kernels/bench/bench.yaml", 0, 0, 0},
    {"/../kernels/fa4_fwd/hd128_s1024.yaml", 2, 2, 4},
    {"/../kernels/fa4_fwd/hd128_s1024_causal.yaml", 2, 2, 8},
    {"/../kernels/fa4_fwd/hd128_gqa_s1000.yaml", 2, 1, 5},
    {"/../kernels/fa4_fwd/hd128_gqa_s1000_causal.yaml", 2, 1, 8},
};

/* Puts `value` in the place of the text from `from` to the next `to`, in the line that ends with
 * `mark` or, without one, where `from` stands first. */
static void put(char *yaml, const char *mark, const char *from, const char *to, const char *value)
{
    char *at = yaml;
    if (mark) {
        at = strstr(yaml, mark);
        ck_assert_msg(at != NULL, "no line with %s", mark);
        while (at > yaml && at[-1] != '\n')
            at--;
    }
    at = strstr(at, from);
    ck_assert_msg(at != NULL, "no %s", from);
    at += strlen(from);
    char *end = strstr(at, to);
    ck_assert_ptr_nonnull(end);
    memmove(at + strlen(value), end, strlen(end) + 1);
    memcpy(at, value, strlen(value));
}

static void put_number(char *yaml, const char *mark, const char *from, const char *to, int value)
{
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    put(yaml, mark, from, to, text);
}

static Seen check_form(const Form *f)
{
    RaoOptions opt = {.check = true, .no_check = f->ctas != 0};
    char path[512], ptx[512];
    snprintf(path, sizeof path, "%s%s", TEST_DIR, f->file);
    if (f->ctas) {
        char *yaml = slurp(path);
        snprintf(ptx, sizeof ptx, "%s/../kernels/fa4_fwd/fa4_fwd.ptx", TEST_DIR);
        put(yaml, NULL, "ptx: ", "\n", ptx);
        put_number(yaml, NULL, "grid: [", ",", f->ctas);
        put_number(yaml, "# heads_q", "s32: ", "}", f->heads_q);
        put_number(yaml, "# heads_kv", "s32: ", "}", f->heads_kv);
        put_number(yaml, "# batch", "s32: ", "}", 1);
        spill("k.yaml", yaml);
        snprintf(path, sizeof path, "%s/k.yaml", dir);
        free(yaml);
    }
    return run_file(path, opt);
}

START_TEST(a_correct_kernel_is_silent)
{
    Seen s = check_form(&silent[_i]);
    char *text = json_dumps(json_object_get(s.json, "findings"), JSON_INDENT(1));
    ck_assert_msg(s.status == RAO_OK && text && strcmp(text, "[]") == 0, "%s: exit %d, %s %s",
                  silent[_i].file, (int)s.status, text, s.error);
    free(text);
    json_decref(s.json);
}
END_TEST

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    Suite *s = suite_create("check_fa4");
    TCase *c = tcase_create("check_fa4");
    tcase_set_timeout(c, 300);
    tcase_add_loop_test(c, a_mutant_of_fa4_is_found, 0, (int)(sizeof mutants / sizeof *mutants));
    tcase_add_loop_test(c, a_correct_kernel_is_silent, 0, (int)(sizeof silent / sizeof *silent));
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
