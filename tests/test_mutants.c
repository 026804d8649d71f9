/* Our FA4 kernel with one line wrong: a wait dropped, an arrival dropped, a byte count off. Each
 * must be found, as a deadlock that names the barrier, a fault, or a wrong answer; never a silent
 * pass. The unchanged kernel passes. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/api/rao.h"

typedef struct Mutant {
    const char *name;
    const char *find;    /* a statement that begins so ... */
    int occurrence;      /* ... the n-th from 0 in the file */
    const char *replace; /* stands for the whole statement */
    RaoStatus
        want; /* what must come out; RAO_OK: a wrong answer, a deadlock or a fault, whichever */
    enum {
        BOTH,
        UNTIMED,
        TIMED
    } by; /* which run must find it. In time the data may come early enough, as on hardware;
             without time MMAs run so late that what they read is there */
    const char *text; /* in the error, or NULL */
} Mutant;

#define TRY "mbarrier.try_wait.parity.shared::cta.b64 P1"
#define NO_WAIT "mov.pred P1, 1;"

/* Occurrences count through entry fa4_fwd in the order of the PTX: softmax, correction, mma,
 * epilogue, load. */
static const Mutant mutants[] = {
    {"softmax does not wait for S", TRY, 1, NO_WAIT, RAO_OK, BOTH, NULL},
    {"correction does not wait for O", TRY, 5, NO_WAIT, RAO_OK, UNTIMED, NULL},
    {"mma does not wait for Q", TRY, 9, NO_WAIT, RAO_OK, BOTH, NULL},
    {"mma does not wait for the next K", TRY, 15, NO_WAIT, RAO_OK, UNTIMED, NULL},
    {"mma does not wait for P", TRY, 13, NO_WAIT, RAO_OK, TIMED, NULL},
    {"softmax does not say that P is ready", "mbarrier.arrive.shared::cta.b64 _, [%r17]", 1, "",
     RAO_DEADLOCK, BOTH, "mbarrier"},
    {"correction does not say that O is free", "mbarrier.arrive.shared::cta.b64 _, [%r1131]", 0, "",
     RAO_DEADLOCK, BOTH, "mbarrier"},
    {"mma does not commit S", "tcgen05.commit.cta_group::1", 0, "", RAO_DEADLOCK, BOTH, "mbarrier"},
    {"load expects too few bytes of Q", "mbarrier.arrive.expect_tx", 1,
     "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r343], 16384;", RAO_OK, UNTIMED, NULL},
    {"load expects too many bytes of Q", "mbarrier.arrive.expect_tx", 1,
     "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r343], 49152;", RAO_DEADLOCK, BOTH, "bytes"},
};

static char *slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    char *text = calloc(1, 4u << 20);
    *n = fread(text, 1, (4u << 20) - 1, f);
    fclose(f);
    return text;
}

static char dir[] = "/tmp/rao_mutant_XXXXXX";

static void spill(const char *name, const char *text, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

/* The small launch file with its ptx: line pointing at a changed copy of the kernel. */
static void make(const Mutant *m, char *launch, size_t size)
{
    size_t n;
    char *ptx = slurp(TEST_DIR "/../kernels/fa4_fwd/fa4_fwd.ptx", &n), *at = ptx, path[256];
    for (int i = 0; m; i++, at++) {
        at = strstr(at, m->find);
        ck_assert_msg(at, "%s: the PTX has no occurrence %d of '%s'", m->name, i, m->find);
        if (i == m->occurrence)
            break;
    }
    if (m) {
        char *end = strchr(at, ';') + 1;
        size_t len = strlen(m->replace);
        memmove(at + len, end, strlen(end) + 1);
        memcpy(at, m->replace, len);
    }
    spill("fa4_fwd.ptx", ptx, path, sizeof path);
    free(ptx);
    char *yaml = slurp(TEST_DIR "/launch/fa4_small.yaml", &n);
    const char *old = "../../kernels/fa4_fwd/fa4_fwd.ptx";
    char *line = strstr(yaml, old);
    memmove(line + 11, line + strlen(old), strlen(line + strlen(old)) + 1);
    memcpy(line, "fa4_fwd.ptx", 11);
    spill("fa4_small.yaml", yaml, launch, size);
    free(yaml);
}

static RaoStatus run(const char *launch, bool functional, char *error, size_t size)
{
    RaoOptions opt = {.functional = functional, .threads = 1};
    RaoResult *r = rao_run(launch, &opt);
    RaoStatus s = rao_status(r);
    snprintf(error, size, "%s", rao_error(r));
    rao_free(r);
    return s;
}

START_TEST(the_unchanged_kernel_passes)
{
    char launch[256], error[8192];
    make(NULL, launch, sizeof launch);
    RaoStatus s = run(launch, true, error, sizeof error);
    ck_assert_msg(s == RAO_OK, "functional: %d %s", (int)s, error);
    s = run(launch, false, error, sizeof error);
    ck_assert_msg(s == RAO_OK, "timed: %d %s", (int)s, error);
}
END_TEST

START_TEST(a_wrong_kernel_is_found)
{
    const Mutant *m = &mutants[_i];
    char launch[256], error[8192];
    make(m, launch, sizeof launch);
    for (int functional = 0; functional < 2; functional++) {
        RaoStatus s = run(launch, functional, error, sizeof error);
        bool found = s == RAO_CHECK_FAILED || s == RAO_DEADLOCK || s == RAO_FAULT;
        found |= s == RAO_OK && m->by == (functional ? TIMED : UNTIMED);
        ck_assert_msg(m->want ? s == m->want : found, "%s (%s): exit %d, %s", m->name,
                      functional ? "functional" : "timed", (int)s, error);
        ck_assert_msg(!m->text || strstr(error, m->text), "%s: the error does not say '%s': %s",
                      m->name, m->text, error);
    }
}
END_TEST

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    Suite *s = suite_create("mutants");
    TCase *c = tcase_create("mutants");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, the_unchanged_kernel_passes);
    tcase_add_loop_test(c, a_wrong_kernel_is_found, 0, (int)(sizeof mutants / sizeof *mutants));
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
