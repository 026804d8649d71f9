#include "isa/lex.h"

#include <stdlib.h>
#include <string.h>

enum { CH_ALPHA = 1, CH_DIGIT = 2, CH_NAME = 4, CH_HEX = 8 }; /* NAME: also '_' '$' */

static int char_class(char ch)
{
    unsigned char c = (unsigned char)ch;
    if (c >= '0' && c <= '9')
        return CH_DIGIT | CH_NAME | CH_HEX;
    if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
        return CH_ALPHA | CH_NAME | CH_HEX;
    if ((c >= 'g' && c <= 'z') || (c >= 'G' && c <= 'Z'))
        return CH_ALPHA | CH_NAME;
    return c == '_' || c == '$' ? CH_NAME : 0;
}

static bool is(char c, int cls)
{
    return (char_class(c) & cls) != 0;
}

void lex_init(Lexer *lx, const char *file, const char *text, size_t len, Err *err)
{
    *lx = (Lexer){
        .at = text, .end = text + len, .line_start = text, .file = file, .line = 1, .err = err};
}

static char char_at(const Lexer *lx, size_t n)
{
    return (size_t)(lx->end - lx->at) > n ? lx->at[n] : 0;
}

static Loc here(const Lexer *lx)
{
    return (Loc){
        .file = lx->file, .line = lx->line, .col = (uint32_t)(lx->at - lx->line_start) + 1};
}

static void new_line(Lexer *lx)
{
    lx->line++;
    lx->line_start = lx->at + 1;
}

/* Skips a comment at lx->at, if there is one. False: it has no end. */
static bool skip_comment(Lexer *lx, bool *skipped)
{
    *skipped = true;
    if (char_at(lx, 0) == '/' && char_at(lx, 1) == '/') {
        const char *nl = memchr(lx->at, '\n', (size_t)(lx->end - lx->at));
        lx->at = nl ? nl : lx->end;
        return true;
    }
    if (char_at(lx, 0) == '/' && char_at(lx, 1) == '*') {
        Loc start = here(lx);
        for (lx->at += 2; lx->at < lx->end; lx->at++) {
            if (*lx->at == '*' && char_at(lx, 1) == '/') {
                lx->at += 2;
                return true;
            }
            if (*lx->at == '\n')
                new_line(lx);
        }
        return err_set(lx->err, ERR_SYNTAX, start, "this comment has no end ('*/')");
    }
    *skipped = false;
    return true;
}

static bool skip_blank(Lexer *lx)
{
    while (lx->at < lx->end) {
        char c = *lx->at;
        if (c == '\n')
            new_line(lx);
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v') {
            lx->at++;
            continue;
        }
        bool skipped;
        if (c != '/' || !skip_comment(lx, &skipped))
            return lx->err->kind == ERR_NONE;
        if (!skipped)
            return true;
    }
    return true;
}

char lex_peek(Lexer *lx, char *after)
{
    *after = 0;
    if (!skip_blank(lx) || lx->at >= lx->end)
        return 0;
    *after = char_at(lx, 1);
    return *lx->at;
}

static const char *skip_name(const char *p, const char *end)
{
    while (p < end && is(*p, CH_NAME))
        p++;
    return p;
}

/* ".word" parts behind a name; "::" joins within them. */
static const char *skip_dotted(const char *p, const char *end)
{
    while (p + 1 < end && *p == '.' && is(p[1], CH_NAME)) {
        p = skip_name(p + 1, end);
        while (p + 2 < end && p[0] == ':' && p[1] == ':' && is(p[2], CH_NAME))
            p = skip_name(p + 2, end);
    }
    return p;
}

static bool bad_number(Lexer *lx, const Token *tok, const char *what)
{
    return err_set(lx->err, ERR_SYNTAX, tok->loc, "'%.*s' is not %s",
                   (int)(tok->len < 60 ? tok->len : 60), tok->text, what);
}

static uint64_t digit_value(char c)
{
    if (is(c, CH_DIGIT))
        return (uint64_t)(c - '0');
    return (uint64_t)((c | 0x20) - 'a' + 10);
}

/* 0f and 0d: exactly 8 or 16 hexadecimal digits, the bits of the number. */
static bool float_bits(Lexer *lx, Token *tok, uint32_t n_digits)
{
    uint64_t v = 0;
    for (uint32_t i = 2; i < tok->len; i++) {
        if (!is(tok->text[i], CH_HEX) || i - 2 >= n_digits)
            return bad_number(lx, tok,
                              n_digits == 8 ? "0f and 8 hexadecimal digits"
                                            : "0d and 16 hexadecimal digits");
        v = v << 4 | digit_value(tok->text[i]);
    }
    if (tok->len != n_digits + 2)
        return bad_number(lx, tok,
                          n_digits == 8 ? "0f and 8 hexadecimal digits"
                                        : "0d and 16 hexadecimal digits");
    tok->kind = n_digits == 8 ? TOK_F32 : TOK_F64;
    tok->value = v;
    return true;
}

static bool integer(Lexer *lx, Token *tok)
{
    const char *p = tok->text, *end = p + tok->len;
    uint64_t base = 10, v = 0;
    if (end - p > 1 && *p == '0') {
        char c = (char)(p[1] | 0x20);
        base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
        p += base == 8 ? 1 : 2;
    }
    if (end > p && (end[-1] == 'U' || end[-1] == 'u')) {
        tok->is_unsigned = true;
        end--;
    }
    if (p == end && base != 8)
        return bad_number(lx, tok, "a number");
    for (; p < end; p++) {
        if (!is(*p, CH_HEX) || digit_value(*p) >= base)
            return bad_number(lx, tok, "a number");
        if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit_value(*p), &v))
            return bad_number(lx, tok, "a number of at most 64 bits");
    }
    tok->value = v;
    tok->is_unsigned |= v >> 63;
    tok->kind = TOK_INT;
    return true;
}

static bool decimal_float(Lexer *lx, Token *tok)
{
    char buf[64], *rest;
    if (tok->len >= sizeof buf)
        return bad_number(lx, tok, "a number this program can hold");
    memcpy(buf, tok->text, tok->len);
    buf[tok->len] = 0;
    double d = strtod(buf, &rest);
    if (*rest)
        return bad_number(lx, tok, "a number");
    memcpy(&tok->value, &d, sizeof d);
    tok->kind = TOK_F64;
    return true;
}

static bool number(Lexer *lx, Token *tok)
{
    const char *p = skip_name(lx->at, lx->end);
    char second = char_at(lx, 1) ? (char)(char_at(lx, 1) | 0x20) : 0;
    bool hex = *lx->at == '0' && second == 'x';
    bool is_float = false;
    if (!hex && p < lx->end && *p == '.') {
        is_float = true;
        p = skip_name(p + 1, lx->end);
    }
    /* an exponent: 1e5, 1.5e-3 */
    bool exp = !hex && p > lx->at && (p[-1] == 'e' || p[-1] == 'E') && is(*lx->at, CH_DIGIT);
    if (exp && is_float && p + 1 < lx->end && (*p == '-' || *p == '+'))
        p = skip_name(p + 1, lx->end);
    tok->text = lx->at;
    tok->len = (uint32_t)(p - lx->at);
    lx->at = p;
    if (is_float)
        return decimal_float(lx, tok);
    if (tok->len > 1 && *tok->text == '0' && (second == 'f' || second == 'd'))
        return float_bits(lx, tok, second == 'f' ? 8 : 16);
    return integer(lx, tok);
}

static bool string(Lexer *lx, Token *tok)
{
    tok->kind = TOK_STRING;
    tok->text = ++lx->at;
    while (lx->at < lx->end && *lx->at != '"' && *lx->at != '\n')
        lx->at += *lx->at == '\\' && lx->end - lx->at > 1 ? 2 : 1;
    if (lx->at >= lx->end || *lx->at != '"')
        return err_set(lx->err, ERR_SYNTAX, tok->loc, "this string has no closing quote");
    tok->len = (uint32_t)(lx->at - tok->text);
    lx->at++;
    return true;
}

static bool punct(Lexer *lx, Token *tok)
{
    static const char pairs[][3] = {"<<", ">>", "==", "!=", "<=", ">=", "&&", "||"};
    char a = *lx->at, b = char_at(lx, 1);
    tok->kind = TOK_PUNCT;
    tok->len = 1;
    tok->punct = (uint16_t)(unsigned char)a;
    if (a < 33 || a > 126)
        return err_set(lx->err, ERR_SYNTAX, tok->loc,
                       "the character with code %u has no meaning here",
                       (unsigned)(unsigned char)a);
    for (size_t i = 0; b && i < sizeof pairs / sizeof pairs[0]; i++)
        if (pairs[i][0] == a && pairs[i][1] == b) {
            tok->punct = TOK2(a, b);
            tok->len = 2;
        }
    lx->at += tok->len;
    return true;
}

bool lex_next(Lexer *lx, Token *tok)
{
    if (!skip_blank(lx))
        return false;
    *tok = (Token){.kind = TOK_END, .text = lx->at, .loc = here(lx)};
    if (lx->at >= lx->end)
        return true;
    char c = *lx->at, next = char_at(lx, 1);
    if (is(c, CH_DIGIT))
        return number(lx, tok);
    if (c == '"')
        return string(lx, tok);
    bool percent_name = c == '%' && is(next, CH_ALPHA | CH_NAME) && !is(next, CH_DIGIT);
    if (is(c, CH_NAME) || percent_name) {
        lx->at = skip_dotted(skip_name(lx->at + 1, lx->end), lx->end);
        tok->kind = TOK_WORD;
    } else if (c == '.' && is(next, CH_NAME)) {
        lx->at = skip_name(lx->at + 1, lx->end);
        while (char_at(lx, 0) == ':' && char_at(lx, 1) == ':' && is(char_at(lx, 2), CH_NAME))
            lx->at = skip_name(lx->at + 2, lx->end);
        tok->kind = TOK_DIRECTIVE;
    } else {
        return punct(lx, tok);
    }
    tok->len = (uint32_t)(lx->at - tok->text);
    return true;
}
