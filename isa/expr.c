/* Constant expressions: C's operators on 64-bit integers, signed unless an operand is unsigned. */
#include "isa/parse.h"

#include <string.h>

static bool binary(Parser *p, int min_level, ConstVal *v);

static bool cast(Parser *p, ConstVal *v, bool *is_cast)
{
    /* "(.s64)" or "(.u64)" behind the '(' */
    *is_cast = p->tok.kind == TOK_DIRECTIVE;
    if (!*is_cast)
        return true;
    bool to_u = at_word(p, ".u64");
    if (!to_u && !at_word(p, ".s64"))
        return expected(p, ".s64 or .u64");
    advance(p);
    if (!expect(p, ')') || !binary(p, 20, v))
        return false;
    v->is_unsigned = to_u;
    return true;
}

static bool ternary(Parser *p, ConstVal *v)
{
    if (!binary(p, 0, v))
        return false;
    if (!accept(p, '?'))
        return true;
    ConstVal yes, no;
    if (!const_expr(p, &yes) || !expect(p, ':') || !const_expr(p, &no))
        return false;
    *v = v->v ? yes : no;
    return true;
}

bool const_expr(Parser *p, ConstVal *v)
{
    if (++p->expr_depth > MAX_EXPR_DEPTH)
        return fail_at(p, p->tok.loc, ERR_SYNTAX, "this expression nests deeper than %d levels",
                       MAX_EXPR_DEPTH);
    if (!ternary(p, v))
        return false;
    p->expr_depth--;
    return true;
}

static bool unary(Parser *p, ConstVal *v)
{
    if (++p->expr_depth > MAX_EXPR_DEPTH)
        return fail_at(p, p->tok.loc, ERR_SYNTAX, "this expression nests deeper than %d levels",
                       MAX_EXPR_DEPTH);
    bool good = true, is_cast;
    if (p->tok.kind == TOK_INT) {
        *v = (ConstVal){p->tok.value, p->tok.is_unsigned};
        advance(p);
    } else if (accept(p, '-')) {
        good = unary(p, v);
        v->v = 0 - v->v;
        v->is_unsigned = false;
    } else if (accept(p, '+')) {
        good = unary(p, v);
    } else if (accept(p, '~')) {
        good = unary(p, v);
        v->v = ~v->v;
    } else if (accept(p, '!')) {
        good = unary(p, v);
        *v = (ConstVal){!v->v, false};
    } else if (accept(p, '(')) {
        good = cast(p, v, &is_cast) && (is_cast || (const_expr(p, v) && expect(p, ')')));
    } else {
        return expected(p, "a constant");
    }
    p->expr_depth--;
    return good;
}

static int level_of(const Token *t)
{
    if (t->kind != TOK_PUNCT)
        return -1;
    switch (t->punct) {
    case TOK2('|', '|'):
        return 1;
    case TOK2('&', '&'):
        return 2;
    case '|':
        return 3;
    case '^':
        return 4;
    case '&':
        return 5;
    case TOK2('=', '='):
    case TOK2('!', '='):
        return 6;
    case '<':
    case '>':
    case TOK2('<', '='):
    case TOK2('>', '='):
        return 7;
    case TOK2('<', '<'):
    case TOK2('>', '>'):
        return 8;
    case '+':
    case '-':
        return 9;
    case '*':
    case '/':
    case '%':
        return 10;
    default:
        return -1;
    }
}

static uint64_t shift_right(uint64_t a, uint64_t b, bool is_unsigned)
{
    if (b > 63)
        return !is_unsigned && a >> 63 ? ~(uint64_t)0 : 0;
    uint64_t fill = !is_unsigned && a >> 63 && b ? ~(uint64_t)0 << (64 - b) : 0;
    return a >> b | fill;
}

static uint64_t divide(uint64_t a, uint64_t b, bool is_unsigned, bool rest)
{
    if (is_unsigned)
        return rest ? a % b : a / b;
    if (b == ~(uint64_t)0) /* -1: INT64_MIN / -1 overflows in C */
        return rest ? 0 : 0 - a;
    int64_t x = (int64_t)a, y = (int64_t)b;
    return (uint64_t)(rest ? x % y : x / y);
}

static uint64_t less(uint64_t a, uint64_t b, bool is_unsigned)
{
    return is_unsigned ? a < b : (int64_t)a < (int64_t)b;
}

static bool apply(Parser *p, const Token *op, ConstVal *a, ConstVal b)
{
    bool u = a->is_unsigned || b.is_unsigned;
    uint64_t x = a->v, y = b.v, r = 0;
    switch (op->punct) {
    case TOK2('|', '|'):
        r = x || y;
        break;
    case TOK2('&', '&'):
        r = x && y;
        break;
    case '|':
        r = x | y;
        break;
    case '^':
        r = x ^ y;
        break;
    case '&':
        r = x & y;
        break;
    case TOK2('=', '='):
        r = x == y;
        break;
    case TOK2('!', '='):
        r = x != y;
        break;
    case '<':
        r = less(x, y, u);
        break;
    case '>':
        r = less(y, x, u);
        break;
    case TOK2('<', '='):
        r = !less(y, x, u);
        break;
    case TOK2('>', '='):
        r = !less(x, y, u);
        break;
    case TOK2('<', '<'):
        r = y > 63 ? 0 : x << y;
        break;
    case TOK2('>', '>'):
        r = shift_right(x, y, u);
        break;
    case '+':
        r = x + y;
        break;
    case '-':
        r = x - y;
        break;
    case '*':
        r = x * y;
        break;
    case '/':
    case '%':
        if (y == 0)
            return fail_at(p, op->loc, ERR_SEMANTIC, "division by zero in a constant");
        r = divide(x, y, u, op->punct == '%');
        break;
    default:
        break; /* level_of() lets only the above through */
    }
    int level = level_of(op);
    *a = (ConstVal){r, u && level != 6 && level != 7 && level > 2};
    return true;
}

static bool binary(Parser *p, int min_level, ConstVal *v)
{
    if (!unary(p, v))
        return false;
    for (int level; (level = level_of(&p->tok)) > min_level;) {
        Token op = p->tok;
        ConstVal right;
        advance(p);
        if (!binary(p, level, &right) || !apply(p, &op, v, right))
            return false;
    }
    return true;
}

bool const_uint(Parser *p, const char *what, uint64_t lo, uint64_t hi, uint64_t *out)
{
    Loc loc = p->tok.loc;
    ConstVal v;
    if (!const_expr(p, &v))
        return false;
    if (v.v < lo || v.v > hi)
        return fail_at(p, loc, ERR_SEMANTIC, "%s must be from %llu to %llu, not %lld", what,
                       (unsigned long long)lo, (unsigned long long)hi, (long long)v.v);
    *out = v.v;
    return true;
}

bool float_literal(Parser *p, Token *out)
{
    Lexer before = p->lx;
    Token first = p->tok;
    bool minus = accept(p, '-');
    if (p->tok.kind != TOK_F32 && p->tok.kind != TOK_F64) {
        if (minus) {
            p->lx = before;
            p->tok = first;
        }
        return false;
    }
    *out = p->tok;
    out->loc = first.loc;
    if (minus)
        out->value ^= (uint64_t)1 << (out->kind == TOK_F32 ? 31 : 63);
    advance(p);
    return true;
}
