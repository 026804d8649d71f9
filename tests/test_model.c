/* Model files: complete, strict, varied by a base; --set. The expected message of a bad file is its
 * first line. */
#include <check.h>
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/model/model.h"

#define TOY TEST_DIR "/toy.yaml"

static Arena arena;
static Err error;
static Model model;

static void setup(void)
{
    arena = (Arena){0};
    error = (Err){0};
    ck_assert_int_eq(setenv("RAO_MODELS", TEST_DIR, 1), 0);
}

static void teardown(void)
{
    arena_free(&arena);
}

static bool parse(const char *text)
{
    error = (Err){0};
    return model_parse_text(&arena, TEST_DIR "/text.yaml", text, strlen(text), &model, &error);
}

/* A complete file made from the table: every number at `at` of its range (0 the least, 1 the most).
 * Keys are nested by writing each distinct next word under a prefix once. */
static void write_section(FILE *f, const char *prefix, int depth, double at)
{
    size_t skip = strlen(prefix);
    for (uint32_t i = 0; i < MP_COUNT; i++) {
        const char *key = param_info[i].key;
        if (strncmp(key, prefix, skip) != 0)
            continue;
        size_t n = strcspn(key + skip, ".");
        bool again = false;
        for (uint32_t j = 0; j < i; j++)
            again = again || (strncmp(param_info[j].key, key, skip + n) == 0 &&
                              strchr(".", param_info[j].key[skip + n]) != NULL);
        if (again)
            continue;
        fprintf(f, "%*s%.*s:", 2 * depth, "", (int)n, key + skip);
        if (key[skip + n] == 0) {
            double v = param_info[i].min + at * (param_info[i].max - param_info[i].min);
            fprintf(f, " {value: %.17g, status: %s, source: \"row %u\"}\n", v,
                    param_status_name[i % 4], i);
            continue;
        }
        char inner[256];
        snprintf(inner, sizeof inner, "%.*s.", (int)(skip + n), key);
        fprintf(f, "\n");
        write_section(f, inner, depth + 1, at);
    }
}

static char *complete_file(double at)
{
    char *text;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    fprintf(f, "target: sm_100a\n");
    write_section(f, "", 0, at);
    fclose(f);
    return text;
}

START_TEST(every_key_of_the_table_is_read)
{
    const double at[] = {0, 0.5, 1};
    for (int k = 0; k < 3; k++) {
        char *text = complete_file(at[k]);
        ck_assert_msg(parse(text), "%u:%u: %s", error.loc.line, error.loc.col, error.msg);
        uint32_t assumed = 0;
        for (uint32_t i = 0; i < MP_COUNT; i++) {
            char source[32];
            snprintf(source, sizeof source, "row %u", i);
            const ParamInfo *p = &param_info[i];
            double want = p->min + at[k] * (p->max - p->min);
            ck_assert_msg(model.v[i] == want, "%s: %g, not %g", p->key, model.v[i], want);
            ck_assert_uint_eq(model.status[i], i % 4);
            ck_assert_str_eq(model.source[i], source);
            ck_assert(!model.overridden[i]);
            assumed += i % 4 == PS_ASSUMED;
        }
        ck_assert_uint_eq(model_assumed_count(&model), assumed);
        ck_assert_str_eq(model.name, "text");
        ck_assert_str_eq(model.target, "sm_100a");
        free(text);
    }
}
END_TEST

/* Each key taken away in turn is missed by name; each key beyond its range in turn is refused by
 * name. */
START_TEST(every_key_is_needed_and_held_to_its_range)
{
    for (uint32_t i = 0; i < MP_COUNT; i++) {
        char *text = complete_file(0.5), mark[64];
        snprintf(mark, sizeof mark, "source: \"row %u\"}", i);
        char *end = strstr(text, mark), *line = end;
        while (line[-1] != '\n')
            line--;
        char *value = strstr(line, "value: ") + 7;
        char *wrong;
        size_t n;
        FILE *f = open_memstream(&wrong, &n);
        fprintf(f, "%.*s%.17g%s", (int)(value - text), text,
                param_info[i].max + 1 + fabs(param_info[i].max) / 1024, strchr(value, ','));
        fclose(f);
        char quoted[128];
        snprintf(quoted, sizeof quoted, "'%s' must be ", param_info[i].key);
        ck_assert_msg(!parse(wrong) && strncmp(error.msg, quoted, strlen(quoted)) == 0, "%s",
                      error.msg);
        memset(line, ' ', (size_t)(strchr(line, '\n') - line));
        ck_assert(!parse(text));
        snprintf(quoted, sizeof quoted, "missing '%s' (", param_info[i].key);
        bool is_only = strstr(error.msg, "must be a map") != NULL; /* its section is empty now */
        ck_assert_msg(is_only || strncmp(error.msg, quoted, strlen(quoted)) == 0, "%s", error.msg);
        free(text);
        free(wrong);
    }
}
END_TEST

START_TEST(the_keys_of_the_table_are_distinct_and_ranges_sane)
{
    for (uint32_t i = 0; i < MP_COUNT; i++) {
        const ParamInfo *p = &param_info[i];
        ck_assert_msg(p->min <= p->max && p->key[0] && p->unit[0] && p->meaning[0], "%s", p->key);
        for (uint32_t j = 0; j < MP_COUNT; j++) {
            size_t n = strlen(p->key); /* no leaf is a section */
            bool inside =
                strncmp(param_info[j].key, p->key, n) == 0 && strchr(".", param_info[j].key[n]);
            ck_assert_msg(i == j || !inside, "%s and %s", p->key, param_info[j].key);
        }
    }
}
END_TEST

START_TEST(a_variant_changes_what_it_names_and_nothing_else)
{
    Model toy;
    ck_assert_msg(model_load(&arena, TOY, &toy, &error), "%s", error.msg);
    ck_assert(
        parse("base: toy\nname: fast\ngpu: {sms: {value: 7, status: derived, source: why}}\n"));
    uint32_t changed = 0;
    for (uint32_t i = 0; i < MP_COUNT; i++) {
        changed += model.v[i] != toy.v[i];
        ck_assert(strcmp(param_info[i].key, "gpu.sms") != 0 ||
                  (model.v[i] == 7 && model.status[i] == PS_DERIVED));
    }
    ck_assert_uint_eq(changed, 1);
    ck_assert_str_eq(model.name, "fast");
    ck_assert_str_eq(model.target, toy.target);
    ck_assert_uint_ne(model.hash, toy.hash);
    ck_assert(parse("base: toy\n"));
    ck_assert_str_eq(model.name, "text");
    ck_assert_uint_eq(model.hash, toy.hash); /* of the values alone */
}
END_TEST

START_TEST(found_by_name_and_by_path)
{
    Model by_name;
    ck_assert(model_load(&arena, "toy", &by_name, &error));
    ck_assert(model_load(&arena, TOY, &model, &error));
    ck_assert_str_eq(by_name.path, TOY);
    ck_assert_uint_eq(by_name.hash, model.hash);
    ck_assert(!model_load(&arena, "toi", &model, &error));
    ck_assert_int_eq(error.kind, ERR_IO);
    ck_assert_str_eq(error.msg, "no model 'toi'; did you mean 'toy'?");
    error = (Err){0};
    ck_assert(!model_load(&arena, "", &model, &error));
    error = (Err){0};
    ck_assert(!model_load(&arena, TEST_DIR, &model, &error)); /* a folder */
    ck_assert_int_eq(error.kind, ERR_IO);
}
END_TEST

/* FNV-1a over the little-endian bytes of all values, written a second time. */
START_TEST(the_hash_is_fnv1a_of_the_values)
{
    ck_assert(model_load(&arena, TOY, &model, &error));
    const unsigned char *bytes = (const unsigned char *)model.v;
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < sizeof model.v; i++) {
        h ^= bytes[i];
        h *= 1099511628211u;
    }
    ck_assert_uint_eq(model.hash, h);
}
END_TEST

static uint32_t id_of(const char *key)
{
    uint32_t i = 0;
    while (i < MP_COUNT && strcmp(param_info[i].key, key) != 0)
        i++;
    ck_assert_uint_lt(i, MP_COUNT);
    return i;
}

START_TEST(set_changes_one_key)
{
    ck_assert(model_load(&arena, TOY, &model, &error));
    Model before = model;
    uint32_t id = id_of("mufu.ex2.lanes_per_cycle");
    ck_assert_msg(model_set(&model, "ex2.lanes_per_cycle=32", &error), "%s",
                  error.msg); /* a unique suffix */
    ck_assert_double_eq(model.v[id], 32);
    ck_assert(model.overridden[id]);
    ck_assert_uint_eq(model.status[id], PS_ASSUMED);
    ck_assert_str_eq(model.source[id], "--set");
    ck_assert_uint_ne(model.hash, before.hash);
    model.v[id] = before.v[id];
    ck_assert_mem_eq(model.v, before.v, sizeof before.v);
    ck_assert(model_set(&model, "mufu.ex2.lanes_per_cycle=1e1", &error));
    ck_assert_double_eq(model.v[id], 10);
    ck_assert(model_set(&model, "sms=4", &error));
    ck_assert_double_eq(model.v[id_of("gpu.sms")], 4);
}
END_TEST

static const struct BadSet {
    const char *text, *part;
} bad_sets[] = {
    {"gpu.sms", "expected KEY=VALUE, not 'gpu.sms'"},
    {"=3", "expected KEY=VALUE"},
    {"gpu.smss=3", "no parameter 'gpu.smss'; nearest: 'gpu.sms'"},
    {"ms=3", "no parameter 'ms'"}, /* part of a word is no suffix */
    {"ex2.latncy=3", "nearest: 'mufu.ex2.latency'"},
    {"ex2.latency=0", "'mufu.ex2.latency' must be 1..1000 cycles, not '0'"},
    {"ex2.latency=", "'mufu.ex2.latency' must be 1..1000 cycles, not ''"},
    {"ex2.latency=4 ", "not '4 '"},
    {"ex2.latency=nan", "not 'nan'"},
    {"ex2.latency=0x4", "not '0x4'"},
    {"latency=3", "'latency' may be 'cancel.latency', "},
};

START_TEST(set_refuses)
{
    ck_assert(model_load(&arena, TOY, &model, &error));
    Model before = model;
    ck_assert_msg(!model_set(&model, bad_sets[_i].text, &error), "accepted %s", bad_sets[_i].text);
    ck_assert_int_eq(error.kind, ERR_SEMANTIC);
    ck_assert_msg(strstr(error.msg, bad_sets[_i].part), "%s: %s", bad_sets[_i].text, error.msg);
    ck_assert_mem_eq(model.v, before.v, sizeof before.v);
    ck_assert_uint_eq(model.hash, before.hash);
}
END_TEST

/* Every model that is shipped loads. */
START_TEST(shipped_models_are_good)
{
    DIR *d = opendir(RAO_SOURCE_DIR "/models");
    uint32_t n = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!strstr(e->d_name, ".yaml"))
            continue;
        char path[1024];
        snprintf(path, sizeof path, "%s/models/%s", RAO_SOURCE_DIR, e->d_name);
        error = (Err){0};
        ck_assert_msg(model_load(&arena, path, &model, &error), "%s:%u:%u: %s", error.loc.file,
                      error.loc.line, error.loc.col, error.msg);
        n++;
    }
    closedir(d);
    ck_assert_uint_ge(n, 1);
}
END_TEST

/* "# error: LINE:COL part of the message" */
START_TEST(bad_models_say_what_and_where)
{
    DIR *d = opendir(TEST_DIR "/data/bad_models");
    ck_assert_ptr_nonnull(d);
    uint32_t n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (!strstr(e->d_name, ".yaml"))
            continue;
        char path[1024], part[512];
        unsigned line, col;
        snprintf(path, sizeof path, TEST_DIR "/data/bad_models/%s", e->d_name);
        FILE *f = fopen(path, "r");
        ck_assert_msg(fscanf(f, "# error: %u:%u %511[^\n]", &line, &col, part) == 3, "%s", path);
        fclose(f);
        error = (Err){0};
        ck_assert_msg(!model_load(&arena, path, &model, &error), "%s is accepted", e->d_name);
        ck_assert_msg(strstr(error.msg, part), "%s: %s", e->d_name, error.msg);
        ck_assert_msg(error.loc.line == line && error.loc.col == col, "%s: %u:%u %s", e->d_name,
                      error.loc.line, error.loc.col, error.msg);
        ck_assert_ptr_nonnull(error.loc.file);
        n++;
    }
    closedir(d);
    ck_assert_uint_gt(n, 30);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("model");
    TCase *t = tcase_create("model");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, every_key_of_the_table_is_read);
    tcase_add_test(t, every_key_is_needed_and_held_to_its_range);
    tcase_add_test(t, the_keys_of_the_table_are_distinct_and_ranges_sane);
    tcase_add_test(t, a_variant_changes_what_it_names_and_nothing_else);
    tcase_add_test(t, found_by_name_and_by_path);
    tcase_add_test(t, the_hash_is_fnv1a_of_the_values);
    tcase_add_test(t, set_changes_one_key);
    tcase_add_loop_test(t, set_refuses, 0, sizeof bad_sets / sizeof *bad_sets);
    tcase_add_test(t, shipped_models_are_good);
    tcase_add_test(t, bad_models_say_what_and_where);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
