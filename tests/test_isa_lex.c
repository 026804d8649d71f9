/* Characters to tokens: kinds, values, places, and what is refused. */
#include "isa/lex.h"

#include <check.h>
#include <string.h>

static Err err;
static Lexer lx;
static Token tok;

static void start(const char *text)
{
    err = (Err){0};
    lex_init(&lx, "t.ptx", text, strlen(text), &err);
}

static void next_is(TokKind kind, const char *text)
{
    ck_assert_msg(lex_next(&lx, &tok), "%s", err.msg);
    ck_assert_int_eq(tok.kind, kind);
    ck_assert_msg(strlen(text) == tok.len && memcmp(text, tok.text, tok.len) == 0,
                  "'%.*s' is not '%s'", (int)tok.len, tok.text, text);
}

static void refused(const char *text, const char *why, uint32_t line, uint32_t col)
{
    start(text);
    while (lex_next(&lx, &tok))
        ck_assert_msg(tok.kind != TOK_END, "'%s' was not refused", text);
    ck_assert_msg(strstr(err.msg, why), "'%s' is not about '%s'", err.msg, why);
    ck_assert_uint_eq(err.loc.line, line);
    ck_assert_uint_eq(err.loc.col, col);
}

START_TEST(a_dotted_word_is_one_token)
{
    start("ld.global.L1::no_allocate.v2.u64 %tid.x $L__BB0_1 _ cp.async.bulk.tensor.2d P1");
    next_is(TOK_WORD, "ld.global.L1::no_allocate.v2.u64");
    next_is(TOK_WORD, "%tid.x");
    next_is(TOK_WORD, "$L__BB0_1");
    next_is(TOK_WORD, "_");
    next_is(TOK_WORD, "cp.async.bulk.tensor.2d");
    next_is(TOK_WORD, "P1");
    next_is(TOK_END, "");
    next_is(TOK_END, "");
}
END_TEST

START_TEST(an_opcode_may_be_glued_to_its_operand)
{
    start("tcgen05.ld.sync.aligned.32x32b.x1.b32{%r1},[%r9];DONE:}");
    next_is(TOK_WORD, "tcgen05.ld.sync.aligned.32x32b.x1.b32");
    next_is(TOK_PUNCT, "{");
    next_is(TOK_WORD, "%r1");
    next_is(TOK_PUNCT, "}");
    next_is(TOK_PUNCT, ",");
    next_is(TOK_PUNCT, "[");
    next_is(TOK_WORD, "%r9");
    next_is(TOK_PUNCT, "]");
    next_is(TOK_PUNCT, ";");
    next_is(TOK_WORD, "DONE");
    next_is(TOK_PUNCT, ":");
    next_is(TOK_PUNCT, "}");
}
END_TEST

START_TEST(integers_have_their_values)
{
    static const struct {
        const char *text;
        uint64_t value;
        bool is_unsigned;
    } cases[] = {{"0", 0, false},
                 {"10", 10, false},
                 {"0x1F", 31, false},
                 {"0XfF", 255, false},
                 {"017", 15, false},
                 {"0b1011", 11, false},
                 {"7U", 7, true},
                 {"0xFFFFFFFFU", 0xFFFFFFFF, true},
                 {"18446744073709551615", UINT64_MAX, true},
                 {"9223372036854775807", INT64_MAX, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        start(cases[i].text);
        next_is(TOK_INT, cases[i].text);
        ck_assert_uint_eq(tok.value, cases[i].value);
        ck_assert_int_eq(tok.is_unsigned, cases[i].is_unsigned);
    }
}
END_TEST

START_TEST(floats_keep_their_bits)
{
    start("0f3F800000 0FBF800000 0d3FF0000000000000 1.5 1.0e3 2.5e-1");
    next_is(TOK_F32, "0f3F800000");
    ck_assert_uint_eq(tok.value, 0x3F800000);
    next_is(TOK_F32, "0FBF800000");
    ck_assert_uint_eq(tok.value, 0xBF800000);
    next_is(TOK_F64, "0d3FF0000000000000");
    ck_assert_uint_eq(tok.value, 0x3FF0000000000000);
    next_is(TOK_F64, "1.5");
    ck_assert_uint_eq(tok.value, 0x3FF8000000000000);
    next_is(TOK_F64, "1.0e3");
    ck_assert_uint_eq(tok.value, 0x408F400000000000);
    next_is(TOK_F64, "2.5e-1");
    ck_assert_uint_eq(tok.value, 0x3FD0000000000000);
}
END_TEST

START_TEST(places_count_lines_and_columns_from_1)
{
    start("a\n  b /* x\n y */ c // d\n\te");
    next_is(TOK_WORD, "a");
    ck_assert_uint_eq(tok.loc.line, 1);
    ck_assert_uint_eq(tok.loc.col, 1);
    next_is(TOK_WORD, "b");
    ck_assert_uint_eq(tok.loc.line, 2);
    ck_assert_uint_eq(tok.loc.col, 3);
    next_is(TOK_WORD, "c");
    ck_assert_uint_eq(tok.loc.line, 3);
    ck_assert_uint_eq(tok.loc.col, 7);
    next_is(TOK_WORD, "e");
    ck_assert_uint_eq(tok.loc.line, 4);
    ck_assert_uint_eq(tok.loc.col, 2);
}
END_TEST

START_TEST(punctuation_of_two_characters)
{
    start("<< <= < % %r");
    next_is(TOK_PUNCT, "<<");
    ck_assert_uint_eq(tok.punct, TOK2('<', '<'));
    next_is(TOK_PUNCT, "<=");
    next_is(TOK_PUNCT, "<");
    next_is(TOK_PUNCT, "%");
    next_is(TOK_WORD, "%r");
}
END_TEST

START_TEST(looking_ahead_takes_nothing)
{
    char after;
    start("LAB /* c */ :  x");
    next_is(TOK_WORD, "LAB");
    ck_assert_int_eq(lex_peek(&lx, &after), ':');
    ck_assert_int_eq(after, ' ');
    next_is(TOK_PUNCT, ":");
}
END_TEST

START_TEST(what_is_no_token_is_refused_with_its_place)
{
    refused("a 0f3F80000", "8 hexadecimal digits", 1, 3);
    refused("a\n 0f3F8000000", "8 hexadecimal digits", 2, 2);
    refused("0d3FF", "16 hexadecimal digits", 1, 1);
    refused("12ab", "not a number", 1, 1);
    refused("0x", "not a number", 1, 1);
    refused("08", "not a number", 1, 1);
    refused("18446744073709551616", "64 bits", 1, 1);
    refused("1.5z", "not a number", 1, 1);
    refused("x /* y", "no end", 1, 3);
    refused("\"abc", "no closing quote", 1, 1);
    refused("\"abc\n\"", "no closing quote", 1, 1);
    refused("a \x01", "code 1", 1, 3);
    refused("\xff", "code 255", 1, 1);
}
END_TEST

START_TEST(text_need_not_end_in_a_zero)
{
    err = (Err){0};
    lex_init(&lx, "t.ptx", "abcdef", 3, &err);
    next_is(TOK_WORD, "abc");
    next_is(TOK_END, "");
    lex_init(&lx, "t.ptx", "1.5", 2, &err);
    ck_assert(lex_next(&lx, &tok));
    ck_assert_uint_eq(tok.len, 2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("isa_lex");
    TCase *t = tcase_create("lex");
    tcase_add_test(t, a_dotted_word_is_one_token);
    tcase_add_test(t, an_opcode_may_be_glued_to_its_operand);
    tcase_add_test(t, integers_have_their_values);
    tcase_add_test(t, floats_keep_their_bits);
    tcase_add_test(t, places_count_lines_and_columns_from_1);
    tcase_add_test(t, punctuation_of_two_characters);
    tcase_add_test(t, looking_ahead_takes_nothing);
    tcase_add_test(t, what_is_no_token_is_refused_with_its_place);
    tcase_add_test(t, text_need_not_end_in_a_zero);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
