/* The command as a user meets it: exit codes, one clear message, nothing half-written, standard
 * output only data. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

static char dir[] = "/tmp/rao_cli_XXXXXX";

/* Runs "rao ARGS" in the test's folder; standard output and error go into `out` and `err`. */
static int rao(const char *args, char *out, size_t out_size, char *err, size_t err_size)
{
    char cmd[4096];
    snprintf(cmd, sizeof cmd, "%s %s >%s/out 2>%s/err", RAO_BIN, args, dir, dir);
    int rc = system(cmd);
    const char *names[] = {"out", "err"};
    char *text[] = {out, err};
    size_t size[] = {out_size, err_size};
    for (int i = 0; i < 2; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        FILE *f = fopen(path, "r");
        size_t n = fread(text[i], 1, size[i] - 1, f);
        text[i][n] = 0;
        fclose(f);
    }
    return WIFEXITED(rc) ? WEXITSTATUS(rc) : 128;
}

static void file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

#define SMALL TEST_DIR "/launch/fa4_small.yaml"
#define HEAD "kernel: k\ngrid: [1, 1, 1]\nblock: [32, 1, 1]\n"

static char out[1 << 20], err[1 << 16];

START_TEST(usage_errors_say_what_is_legal)
{
    ck_assert_int_eq(rao("", out, sizeof out, err, sizeof err), 2);
    ck_assert_int_eq(rao("fly", out, sizeof out, err, sizeof err), 2);
    ck_assert_ptr_nonnull(strstr(err, "run, replay"));
    ck_assert_int_eq(rao("run", out, sizeof out, err, sizeof err), 2);
    ck_assert_int_eq(rao("run --smss 3 " SMALL, out, sizeof out, err, sizeof err), 2);
    ck_assert_ptr_nonnull(strstr(err, "--sms"));
    ck_assert_int_eq(rao("run --sms 0 " SMALL, out, sizeof out, err, sizeof err), 2);
    ck_assert_int_eq(rao("run --set nonsense " SMALL, out, sizeof out, err, sizeof err), 2);
    ck_assert_int_eq(rao("--help", out, sizeof out, err, sizeof err), 0);
    ck_assert_int_eq(rao("run --help", out, sizeof out, err, sizeof err), 0);
}
END_TEST

static const struct {
    const char *name, *yaml, *ptx, *says;
} bad[] = {
    {"no such file", NULL, NULL, "bad.yaml"},
    {"wrong key", "ptx: bad.ptx\n" HEAD "gird: [1, 1, 1]\n", "", "gird"},
    {"grid of zero", "ptx: bad.ptx\nkernel: k\ngrid: [0, 1, 1]\nblock: [32, 1, 1]\n", "", "grid"},
    {"shared memory beyond 227 KB", "ptx: bad.ptx\n" HEAD "shared: 240000\n", "", "232448"},
    {"truncated PTX", "ptx: bad.ptx\n" HEAD,
     ".version 9.0\n.target sm_100a\n.address_size 64\n.visible .entry k()\n{\n ret;\n", "}"},
    {"unknown opcode", "ptx: bad.ptx\n" HEAD,
     ".version 9.0\n.target sm_100a\n.address_size 64\n.visible .entry k()\n{\n frob.b32 %r1, "
     "%r2;\n}\n",
     "frob"},
    {"register used undeclared", "ptx: bad.ptx\n" HEAD,
     ".version 9.0\n.target sm_100a\n.address_size 64\n.visible .entry k()\n{\n .reg .b32 %r<3>;\n "
     "add.s32 %r1, %r2, %r7;\n}\n",
     "%r7"},
    {"tensor too small for its map",
     "ptx: bad.ptx\n" HEAD "tensors:\n  q: {dtype: bf16, shape: [16, 64], init: zeros}\nargs:\n"
     "  - {tensormap: {tensor: q, dims: [64, 32], strides: [128], box: [64, 8], swizzle: 128B, "
     "interleave: none, oob: zero, l2: none}}\n",
     "", "q"},
};

START_TEST(bad_input_is_one_clear_error)
{
    char path[128];
    snprintf(path, sizeof path, "%s/bad.yaml", dir);
    remove(path);
    if (bad[_i].yaml)
        file("bad.yaml", bad[_i].yaml);
    file("bad.ptx", bad[_i].ptx ? bad[_i].ptx : "");
    char args[512];
    snprintf(args, sizeof args, "run %s/bad.yaml --json %s/never.json --record %s/never.rtrace",
             dir, dir, dir);
    int rc = rao(args, out, sizeof out, err, sizeof err);
    ck_assert_msg(rc == 6, "%s: exit %d\n%s", bad[_i].name, rc, err);
    ck_assert_msg(strstr(err, bad[_i].says), "%s: '%s' is not in: %s", bad[_i].name, bad[_i].says,
                  err);
    ck_assert_msg(strstr(err, "error:"), "%s", err);
    ck_assert_str_eq(out, "");
    const char *left[] = {"never.json", "never.rtrace"};
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, left[i]);
        ck_assert_msg(access(path, F_OK) != 0, "%s: %s was left behind", bad[_i].name, path);
    }
}
END_TEST

START_TEST(models_and_overrides_are_strict)
{
    ck_assert_int_eq(rao("run --model nothere " SMALL, out, sizeof out, err, sizeof err), 6);
    ck_assert_int_eq(rao("run --set mufu.ex2.lanes=32 " SMALL, out, sizeof out, err, sizeof err),
                     6);
    ck_assert_ptr_nonnull(strstr(err, "mufu.ex2.lanes_per_cycle"));
    ck_assert_int_eq(
        rao("run --set mufu.ex2.lanes_per_cycle=-1 " SMALL, out, sizeof out, err, sizeof err), 6);
    ck_assert_int_eq(rao("models", out, sizeof out, err, sizeof err), 0);
    ck_assert_ptr_nonnull(strstr(out, "mufu.ex2.lanes_per_cycle\t16"));
}
END_TEST

static json_t *report(const char *args)
{
    json_error_t e;
    int rc = rao(args, out, sizeof out, err, sizeof err);
    ck_assert_msg(rc == 0, "rao %s: exit %d\n%s", args, rc, err);
    json_t *o = json_loads(out, 0, &e);
    ck_assert_msg(o, "rao %s: %s\n%s", args, e.text, out);
    return o;
}

START_TEST(the_json_report_adds_up)
{
    json_t *o = report("run --json - " SMALL), *roles = json_object_get(o, "roles"), *role, *pct;
    const char *name, *reason;
    ck_assert_str_eq(json_string_value(json_object_get(o, "schema")), "rao.run/1");
    ck_assert_int_eq(json_integer_value(json_object_get(o, "ctas_simulated")), 1);
    ck_assert_double_gt(json_number_value(json_object_get(o, "cycles")), 3 * 1500);
    const char *const six[] = {"softmax0", "softmax1", "correction", "mma", "epilogue", "load"};
    for (int i = 0; i < 6; i++)
        ck_assert_msg(json_object_get(roles, six[i]), "no role %s", six[i]);
    json_object_foreach(roles, name, role)
    {
        double sum = json_number_value(json_object_get(role, "issue_pct"));
        json_object_foreach(json_object_get(role, "stalls"), reason, pct) sum +=
            json_number_value(pct);
        ck_assert_msg(sum > 99.999 && sum < 100.001, "%s: issue and stalls sum to %f", name, sum);
    }
    /* Three steps of four 128x128x128 GEMMs, counted by hand. */
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(o, "op_classes"), "mma")),
                     3 * 4 * 8);
    json_decref(o);
}
END_TEST

START_TEST(with_and_without_time_the_same_bytes)
{
    static const char *const files[] = {"tests/launch/fa4_small.yaml",
                                        "kernels/fa4_fwd/hd128_gqa_s1000_causal.yaml"};
    char args[512];
    for (size_t i = 0; i < 2; i++) {
        static const char *const how[] = {"", "--sms all", "--functional",
                                          "--functional --threads 1"};
        json_t *first = NULL;
        for (size_t k = 0; k < 4; k++) {
            snprintf(args, sizeof args, "run --json - --no-check %s " TEST_DIR "/../%s", how[k],
                     files[i]);
            json_t *o = report(args), *outputs = json_object_get(o, "outputs");
            ck_assert_uint_eq(json_object_size(outputs), 2);
            if (!first)
                first = json_incref(outputs);
            ck_assert_msg(json_equal(first, outputs), "%s: '%s' gives other bytes than a plain run",
                          files[i], how[k]);
            json_decref(o);
        }
        json_decref(first);
    }
}
END_TEST

START_TEST(a_trace_replays_to_the_same_cycles)
{
    char args[512];
    snprintf(args, sizeof args, "run --json - --record %s/small.rtrace " SMALL, dir);
    json_t *run = report(args);
    snprintf(args, sizeof args, "replay --json - %s/small.rtrace", dir);
    json_t *again = report(args);
    const char *const same[] = {"cycles", "warp_insts", "ops",       "stalls",
                                "memory", "kernel",     "model_hash"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        ck_assert_msg(json_equal(json_object_get(run, same[i]), json_object_get(again, same[i])),
                      "%s differs", same[i]);
    snprintf(args, sizeof args, "replay --json - %s/small.rtrace --set mufu.ex2.lanes_per_cycle=4",
             dir);
    json_t *slow = report(args);
    ck_assert_double_gt(json_number_value(json_object_get(slow, "cycles")),
                        json_number_value(json_object_get(run, "cycles")));
    json_decref(run);
    json_decref(again);
    json_decref(slow);

    snprintf(args, sizeof args, "trace %s/small.rtrace --role mma --cycles 0:100000", dir);
    ck_assert_int_eq(rao(args, out, sizeof out, err, sizeof err), 0);
    ck_assert_ptr_nonnull(strstr(out, "TCGEN05_MMA"));
    ck_assert_ptr_null(strstr(out, "softmax0"));
    snprintf(args, sizeof args, "trace %s/small.rtrace --role nobody", dir);
    ck_assert_int_eq(rao(args, out, sizeof out, err, sizeof err), 2);
    snprintf(args, sizeof args, "head -c 1000 %s/small.rtrace >%s/cut.rtrace", dir, dir);
    ck_assert_int_eq(system(args), 0);
    snprintf(args, sizeof args, "replay %s/cut.rtrace", dir);
    ck_assert_int_eq(rao(args, out, sizeof out, err, sizeof err), 6);
    ck_assert_ptr_nonnull(strstr(err, "cut"));
}
END_TEST

START_TEST(shipped_traces_replay_exactly)
{
    static const char *const names[] = {"fa4_fwd_hd128", "fa4_fwd_hd128_causal"};
    char args[512];
    for (int i = 0; i < 2; i++) {
        snprintf(args, sizeof args, "replay --json - " TEST_DIR "/../traces/%s.rtrace", names[i]);
        json_t *o = report(args), *recorded = json_object_get(o, "recorded");
        json_int_t was = json_integer_value(json_object_get(recorded, "cycles"));
        json_int_t is = json_integer_value(json_object_get(o, "cycles"));
        ck_assert_msg(is == was,
                      "%s: recorded %lld cycles, replayed %lld; traces/record.sh makes it again",
                      names[i], (long long)was, (long long)is);
        json_decref(o);
    }
}
END_TEST

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    Suite *s = suite_create("cli");
    TCase *c = tcase_create("cli");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, usage_errors_say_what_is_legal);
    tcase_add_loop_test(c, bad_input_is_one_clear_error, 0, (int)(sizeof bad / sizeof *bad));
    tcase_add_test(c, models_and_overrides_are_strict);
    tcase_add_test(c, the_json_report_adds_up);
    tcase_add_test(c, with_and_without_time_the_same_bytes);
    tcase_add_test(c, a_trace_replays_to_the_same_cycles);
    tcase_add_test(c, shipped_traces_replay_exactly);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
