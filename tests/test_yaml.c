/* The strict YAML tree: places, what is refused, number syntax, suggestions. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "sim/model/yaml.h"

static Arena arena;
static Err error;

static void setup(void)
{
    arena = (Arena){0};
    error = (Err){0};
}

static void teardown(void)
{
    arena_free(&arena);
}

static const YmlNode *parse(const char *text)
{
    const YmlNode *n = NULL;
    error = (Err){0};
    return yml_parse(&arena, "f.yaml", text, strlen(text), &n, &error) ? n : NULL;
}

static void expect_place(Loc loc, uint32_t line, uint32_t col)
{
    ck_assert_str_eq(loc.file, "f.yaml");
    ck_assert_uint_eq(loc.line, line);
    ck_assert_uint_eq(loc.col, col);
}

START_TEST(every_node_knows_its_place)
{
    const YmlNode *n = parse("a: 1\nbb:\n  - x\n  - {k: \"v w\", l: [2, 3]}\n# end\nc:\n");
    ck_assert_ptr_nonnull(n);
    ck_assert_int_eq(n->kind, YML_MAP);
    ck_assert_uint_eq(n->n, 3);
    ck_assert_str_eq(n->pairs[0].key, "a");
    expect_place(n->pairs[0].loc, 1, 1);
    expect_place(n->pairs[0].value->loc, 1, 4);
    const YmlNode *list = yml_find(n, "bb")->value;
    ck_assert_int_eq(list->kind, YML_LIST);
    ck_assert_uint_eq(list->n, 2);
    expect_place(list->items[0]->loc, 3, 5);
    const YmlNode *map = list->items[1];
    expect_place(map->loc, 4, 5);
    ck_assert_str_eq(yml_find(map, "k")->value->text, "v w");
    ck_assert(yml_find(map, "k")->value->quoted);
    expect_place(yml_find(map, "k")->value->loc, 4, 9);
    expect_place(yml_find(map, "l")->value->items[1]->loc, 4, 23);
    ck_assert_str_eq(yml_find(n, "c")->value->text, "");
    ck_assert_ptr_null(yml_find(n, "d"));
}
END_TEST

/* What is refused, where, and a part of the message. */
static const struct Refused {
    const char *text;
    uint32_t line, col;
    const char *part;
} refused[] = {
    {"a: &x 1\n", 1, 4, "anchors are not allowed here: '&x'"},
    {"a: &x [1]\n", 1, 4, "'&x'"},
    {"a: 1\nb: *a\n", 2, 4, "aliases are not allowed here: '*a'"},
    {"a: !t 1\n", 1, 4, "tags are not allowed here: '!t'"},
    {"a: !!int 1\n", 1, 4, "tags"},
    {"- !m {a: 1}\n", 1, 3, "tags"},
    {"a: 1\nb: 2\na: 3\n", 3, 1, "'a' was already set on line 1"},
    {"{k: 1, l: 2, \"k\": 3}\n", 1, 14, "'k' was already set on line 1"},
    {"? [1]\n: 2\n", 1, 3, "a key must be a word"},
    {"'': 2\n", 1, 1, "a key must be a word"},
    {"", 1, 1, "the file is empty"},
    {"# only a comment\n", 2, 1, "the file is empty"},
    {"a: 1\n---\nb: 2\n", 2, 1, "a second document"},
    {"a: [1, 2\nb: 3\n", 2, 2, "not YAML"},
    {"a: 1\n  b: 2\n", 2, 4, "not YAML"},
    {"a: \"x\\0y\"\n", 1, 4, "NUL"},
    {"a: 'open\n", 2, 1, "not YAML"},
};

START_TEST(what_has_no_business_here_is_refused)
{
    const struct Refused *r = &refused[_i];
    ck_assert_msg(!parse(r->text), "accepted: %s", r->text);
    ck_assert_int_eq(error.kind, ERR_SYNTAX);
    ck_assert_msg(strstr(error.msg, r->part), "%s: %s", r->text, error.msg);
    ck_assert_msg(error.loc.line == r->line && error.loc.col == r->col, "%s: %u:%u %s", r->text,
                  error.loc.line, error.loc.col, error.msg);
}
END_TEST

START_TEST(depth_is_limited_to_32)
{
    char text[200];
    for (int depth = 32; depth <= 33; depth++) {
        memset(text, '[', 100);
        memset(text + depth, ']', 100);
        text[2 * depth] = 0;
        if (depth == 32) {
            ck_assert_msg(parse(text) != NULL, "%s", error.msg);
        } else {
            ck_assert(!parse(text));
            ck_assert_ptr_nonnull(strstr(error.msg, "32 levels"));
            expect_place(error.loc, 1, 33);
        }
    }
}
END_TEST

START_TEST(bytes_that_are_not_utf8_are_refused)
{
    const YmlNode *n;
    const char text[] = {'a', ':', ' ', (char)0xff, (char)0xfe, '\n'};
    ck_assert(!yml_parse(&arena, "f.yaml", text, sizeof text, &n, &error));
    ck_assert_int_eq(error.kind, ERR_SYNTAX);
    ck_assert(!yml_load(&arena, "no/such/file.yaml", &n, &(Err){0}));
}
END_TEST

/* The first key that is given twice in the file is named, however many there are. */
START_TEST(many_keys_stay_quick)
{
    enum { N = 50000 };
    char *text = malloc(N * 16 + 64), *p = text;
    for (int i = 0; i < N; i++)
        p += sprintf(p, "k%d: %d\n", i, i);
    sprintf(p, "k77: 0\nk3: 0\n");
    ck_assert(!parse(text));
    ck_assert_uint_eq(error.loc.line, N + 1);
    ck_assert_ptr_nonnull(strstr(error.msg, "'k77' was already set on line 78"));
    free(text);
}
END_TEST

static const struct Number {
    const char *text;
    bool is_number, is_uint;
    double value;
} numbers[] = {
    {"0", true, true, 0},
    {"1", true, true, 1},
    {"-1", true, false, -1},
    {"+2.5", true, false, 2.5},
    {".5", true, false, 0.5},
    {"5.", true, false, 5},
    {"1e3", true, false, 1000},
    {"1.25E-2", true, false, 0.0125},
    {"0.001", true, false, 0.001},
    {"0e0", true, false, 0},
    {"18446744073709551615", true, true, 0x1p64},
    {"18446744073709551616", true, false, 0x1p64},
    {"0x1f", false, true, 31},
    {"0X1F", false, true, 31},
    {"010", false, false, 0},
    {"1_000", false, false, 0},
    {"1e", false, false, 0},
    {"1e+", false, false, 0},
    {"e3", false, false, 0},
    {".", false, false, 0},
    {"-", false, false, 0},
    {"", false, false, 0},
    {"nan", false, false, 0},
    {".inf", false, false, 0},
    {"inf", false, false, 0},
    {"1e999", false, false, 0},
    {"0x", false, false, 0},
    {"0x1.8p1", false, false, 0},
    {" 1", false, false, 0},
    {"1 ", false, false, 0},
    {"1,5", false, false, 0},
};

START_TEST(number_syntax)
{
    const struct Number *n = &numbers[_i];
    double v = 0;
    uint64_t u = 0;
    ck_assert_msg(yml_text_number(n->text, &v) == n->is_number, "'%s'", n->text);
    ck_assert_msg(!n->is_number || v == n->value, "'%s' gave %g", n->text, v);
    ck_assert_msg(yml_text_uint(n->text, &u) == n->is_uint, "'%s'", n->text);
    ck_assert_msg(!n->is_uint || (double)u == n->value, "'%s'", n->text);
}
END_TEST

START_TEST(readers_name_the_thing_and_the_word)
{
    static const char *const keys[] = {"alpha", "beta", NULL};
    const YmlNode *n = parse("alpha: 12\nbetta: yes\n"), *v;
    uint64_t u;
    bool b;
    uint32_t i;
    ck_assert(!yml_map_of(n, "'thing'", keys, &error));
    ck_assert_str_eq(error.msg, "unknown key 'betta' in 'thing'; did you mean 'beta'?");
    expect_place(error.loc, 2, 1);
    error = (Err){0};
    ck_assert(yml_need(n, "'thing'", "alpha", &v, &error));
    ck_assert(yml_uint(v, "'alpha'", 1, 12, &u, &error) && u == 12);
    ck_assert(!yml_uint(v, "'alpha'", 1, 11, &u, &error));
    ck_assert_str_eq(error.msg, "'alpha' must be a whole number 1..11, not '12'");
    error = (Err){0};
    ck_assert(!yml_need(n, "'thing'", "gamma", &v, &error));
    ck_assert_str_eq(error.msg, "missing key 'gamma' in 'thing'");
    error = (Err){0};
    ck_assert(!yml_bool(n->pairs[1].value, "'betta'", &b, &error));
    ck_assert_str_eq(error.msg, "'betta' must be true or false, not 'yes'");
    error = (Err){0};
    ck_assert(!yml_choice(n->pairs[1].value, "'betta'", keys, &i, &error));
    ck_assert_str_eq(error.msg, "'betta' cannot be 'yes'; legal: alpha, beta");
    error = (Err){0};
    ck_assert(!yml_is_list(n, "'thing'", &error));
    ck_assert_str_eq(error.msg, "'thing' must be a list, not a map");
}
END_TEST

/* Plain recursion on the definition: the independent second method. */
static uint32_t slow_distance(const char *a, size_t i, const char *b, size_t j)
{
    if (i == 0 || j == 0)
        return (uint32_t)(i + j);
    uint32_t best = slow_distance(a, i - 1, b, j - 1) + (a[i - 1] != b[j - 1]);
    uint32_t other = slow_distance(a, i - 1, b, j) + 1;
    best = other < best ? other : best;
    other = slow_distance(a, i, b, j - 1) + 1;
    best = other < best ? other : best;
    if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        other = slow_distance(a, i - 2, b, j - 2) + 1;
        best = other < best ? other : best;
    }
    return best;
}

START_TEST(distance_equals_its_definition)
{
    uint64_t state = 1;
    for (int n = 0; n < 500; n++) {
        char words[2][7] = {"", ""};
        for (int w = 0; w < 2; w++)
            for (int i = 0; i < 6; i++) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                words[w][i] = "abc\0"[state >> 62];
            }
        ck_assert_uint_eq(yml_distance(words[0], words[1]),
                          slow_distance(words[0], strlen(words[0]), words[1], strlen(words[1])));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("yaml");
    TCase *t = tcase_create("yaml");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_node_knows_its_place);
    tcase_add_loop_test(t, what_has_no_business_here_is_refused, 0,
                        sizeof refused / sizeof *refused);
    tcase_add_test(t, depth_is_limited_to_32);
    tcase_add_test(t, bytes_that_are_not_utf8_are_refused);
    tcase_add_test(t, many_keys_stay_quick);
    tcase_add_loop_test(t, number_syntax, 0, sizeof numbers / sizeof *numbers);
    tcase_add_test(t, readers_name_the_thing_and_the_word);
    tcase_add_test(t, distance_equals_its_definition);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
