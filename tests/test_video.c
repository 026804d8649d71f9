/* Which video instructions are read, printed and executed. What they give is tested against a GPU
 * in test_hopper. */
#include <check.h>

#include "ptx_run.h"

typedef enum Fate { RUNS, REFUSED, WRONG } Fate; /* WRONG: ptxas 13.0 refuses it, too */

static const struct {
    const char *text;
    Fate fate;
} cases[] = {
    {"vadd.u32.u32.u32 %r2, %r3.b1, %r4.h1;", RUNS},
    {"vadd.u32.s32.u32.sat.add %r2, %r3.b1, %r4.h1, %r5;", RUNS},
    {"vsub.s32.u32.u32 %r2.b3, %r3.b1, %r4, %r5;", RUNS},
    {"vadd.u32.u32.u32 %r2.h0, %r3, 5, %r5;", RUNS},
    {"vshl.u32.u32.u32.wrap.add %r2, %r3.h0, %r4, %r5;", RUNS},
    {"vshr.u32.u32.u32.sat.clamp %r2, %r3, %r4;", RUNS},
    {"vmad.s32.s32.u32.po.sat %r2, %r3.h0, %r4, %r5;", RUNS},
    {"vset.u32.u32.ge.add %r2, %r3, %r4, %r5;", RUNS},
    {"vadd2.u32.u32.u32.sat %r2.h1, %r3.h03, %r4.h22, %r5;", RUNS},
    {"vadd4.u32.u32.u32 %r2.b310, %r3.b0123, %r4.b7777, %r5;", RUNS},
    {"vavrg4.s32.u32.s32.add %r2.b2, %r3, %r4, %r5;", RUNS},
    {"vset4.u32.u32.lt.add %r2, %r3, %r4, %r5;", RUNS},
    {"vabsdiff4.u32.u32.u32.add %r2, %r3, %r4, %r5;", RUNS},
    {"vadd.u32.u32.u32 %r2.h1, %r3, %r4, %r5;", REFUSED},
    {"vsub.u32.u32.u32.sat %r2.b0, %r3, %r4, %r5;", REFUSED},
    {"vmin.u32.u32.u32.max %r2, %r3, %r4, %r5;", REFUSED},
    {"vadd.u32.u32.u32.sat %r2, %r3, %r4;", REFUSED},
    {"vshl.u32.u32.u32.sat.clamp %r2, %r3, %r4;", REFUSED},
    {"vmad.s32.s32.u32.shr7 %r2, %r3, %r4, %r5;", REFUSED},
    {"vadd.u32.u32.u32.add %r2.b1, %r3, %r4, %r5;", WRONG},
    {"vadd.s32.u32.s32.add %r2, %r3, %r4;", WRONG},
    {"vadd.s32.u32.s32 %r2.b0, %r3, %r4;", WRONG},
    {"vadd.s32.u32.s32 %r2, %r3.b4, %r4;", WRONG},
    {"vadd.s32.u32.s32 %r2, %r3.h2, %r4;", WRONG},
    {"vadd.s32.u32.s32 %r2, %r3.b10, %r4;", WRONG},
    {"vadd2.u32.u32.u32.sat.add %r2, %r3, %r4, %r5;", WRONG},
    {"vadd2.u32.u32.u32 %r2, %r3, %r4;", WRONG},
    {"vadd2.u32.u32.u32 %r2, %r3.b10, %r4, %r5;", WRONG},
    {"vadd2.u32.u32.u32 %r2, %r3.h1, %r4, %r5;", WRONG},
    {"vadd4.u32.u32.u32 %r2.b00, %r3, %r4, %r5;", WRONG},
    {"vadd4.u32.u32.u32 %r2.b01, %r3, %r4, %r5;", WRONG},
    {"vabsdiff4.u32.u32.u32.add %r2, %r3, 5, %r5;", WRONG},
    {"add.u32 %r2, %r3.b1, %r4;", WRONG},
};
enum { CASES = sizeof cases / sizeof *cases };

START_TEST(forms_run_or_are_refused)
{
    PtxRun r = {0};
    PtxKernel k;
    const char *text = cases[_i].text;
    char body[256];
    snprintf(body, sizeof body, "%s\nst.global.b32 [%%rd1], %%r2;\nret;", text);
    bool read = ptx_load(&k, &r, "", body);
    ck_assert_msg(read == (cases[_i].fate != WRONG), "%s: %s", text, k.err.msg);
    if (read) {
        Exec *x;
        char *printed = NULL;
        size_t n;
        FILE *f = open_memstream(&printed, &n);
        isa_print_insn(f, k.module, k.func, &k.func->insns[3]);
        fclose(f);
        ck_assert_str_eq(printed, text);
        free(printed);
        bool bound = exec_new(&k.arena, &k.desc, &x, &k.err);
        ck_assert_msg(bound == (cases[_i].fate == RUNS), "%s: %s", text, k.err.msg);
        if (bound)
            exec_free(x);
        else
            ck_assert_int_eq(k.err.kind, ERR_UNSUPPORTED);
    }
    ptx_free(&k);
}
END_TEST

START_TEST(what_is_wrong_here_is_wrong_to_ptxas)
{
    if (system("ptxas --version > /dev/null 2>&1") != 0)
        return;
    for (int i = 0; i < CASES; i++) {
        char path[] = "/tmp/rao_video_XXXXXX", command[128];
        int fd = mkstemp(path);
        ck_assert_int_ge(fd, 0);
        FILE *f = fdopen(fd, "w");
        fprintf(f,
                ".version 9.0\n.target sm_100a\n.address_size 64\n.visible .entry k()\n"
                "{ .reg .b32 %%r<9>;\n%s\nret; }\n",
                cases[i].text);
        fclose(f);
        snprintf(command, sizeof command, "ptxas -arch=sm_100a -o /dev/null %s > /dev/null 2>&1",
                 path);
        int status = system(command);
        remove(path);
        ck_assert_msg((status != 0) == (cases[i].fate == WRONG), "%s", cases[i].text);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("video");
    TCase *tc = tcase_create("all");
    tcase_add_loop_test(tc, forms_run_or_are_refused, 0, CASES);
    tcase_add_test(tc, what_is_wrong_here_is_wrong_to_ptxas);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
