/* Characters to tokens, with places. A dotted word such as "ld.global.L1::no_allocate.v2.u64" or
 * "%tid.x" is one token; a word that starts with a dot (".reg") is a directive. Comments are
 * skipped. */
#ifndef RAO_ISA_LEX_H
#define RAO_ISA_LEX_H

#include "isa/arena.h"
#include "isa/err.h"

typedef enum TokKind {
    TOK_END,
    TOK_WORD,      /* name, opcode, register */
    TOK_DIRECTIVE, /* .word */
    TOK_INT,
    TOK_F32,    /* 0f........ : bits in value */
    TOK_F64,    /* 0d................ or decimal: bits in value */
    TOK_STRING, /* text without the quotes, escapes as written */
    TOK_PUNCT,  /* punct: one character; "<<" ">>" "==" "!=" "<=" ">=" "&&" "||" have two: see TOK2
                 */
} TokKind;

#define TOK2(a, b) ((uint16_t)((a) << 8 | (b)))

typedef struct Token {
    TokKind kind;
    bool is_unsigned; /* INT: U suffix, or too large for 64 bits signed */
    uint16_t punct;
    const char *text;
    uint32_t len;
    uint64_t value;
    Loc loc;
} Token;

typedef struct Lexer {
    const char *at, *end, *line_start;
    const char *file;
    uint32_t line;
    Err *err;
} Lexer;

void lex_init(Lexer *lx, const char *file, const char *text, size_t len, Err *err);

/* The next token; TOK_END at the end for ever. False: not a token, err says why. */
bool lex_next(Lexer *lx, Token *tok);

/* The next character that is neither blank nor comment, without taking it; 0 at the end. *after:
 * the one behind it. */
char lex_peek(Lexer *lx, char *after);

#endif
