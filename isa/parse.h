/* The parser's own state, shared by parse.c (module, functions), decl.c (registers, variables),
 * expr.c (constants), insn.c (statements, operands) and select.c (which row of the table). Not for
 * use outside isa/.
 *
 * A lexical error leaves the token at TOK_END with p->err set; whoever then expects something
 * fails, and the first error wins, so no caller needs to test for it. */
#ifndef RAO_ISA_PARSE_H
#define RAO_ISA_PARSE_H

#include "isa/form.h"
#include "isa/isa.h"
#include "isa/lex.h"
#include "isa/names.h"

enum {
    MAX_SCOPES = 256, /* nested { } */
    MAX_RAW = 32,     /* operands of an instruction as written */
    MAX_ELEMS = 256,  /* elements of a vector operand */
    MAX_EXPR_DEPTH = 64,
    MAX_DIMS = 8,       /* of an array */
    MAX_REGS = 1 << 18, /* of a function */
    MAX_PARAMS = 4096,
    MAX_FILES = 1 << 16,
    MAX_INIT_BYTES = 1 << 26, /* of an initialised variable */
};
#define MAX_VAR_BYTES ((uint64_t)1 << 40)

/* A label used before it is known. The operand's imm, or *place, receives the target. */
typedef struct Patch {
    Name *name;
    Operand *opd;
    int64_t *place;
    Loc loc;
} Patch;

typedef struct Scope {
    uint32_t undo, patches; /* marks */
    Loc open;
} Scope;

typedef struct OpcodeCand {
    uint16_t op;
    ModSet ms;
} OpcodeCand;

typedef struct Opcode { /* a spelling of an opcode and the rows it may mean */
    OpcodeCand *cand;
    uint32_t n;
    int32_t label_at; /* operand that names a label or target list, or -1 */
    bool is_call;
} Opcode;

enum { OPD_NAME = 200 }; /* Raw.o.kind: a name that stands for a label or a function to come */

typedef struct Raw { /* an operand as written */
    Operand o;
    Name *name;
    bool paired;     /* behind '|' */
    bool in_bracket; /* coordinates behind a map's address */
    Loc loc;
} Raw;

typedef struct ConstVal {
    uint64_t v;
    bool is_unsigned;
} ConstVal;

typedef struct Parser {
    Arena *a;
    Err *err;
    Module *m;
    const Forms *fs;
    Names names;
    Lexer lx;
    Token tok;
    uint32_t cap_funcs, cap_vars, cap_elems, cap_files;
    int32_t func; /* in whose body we are, or -1 */
    uint32_t cap_regs, cap_insns, cap_targets;
    uint32_t func_no;   /* counts functions and prototypes from 1: whose names Name.used_in means */
    int32_t last_label; /* the furthest instruction that a label of this function names */
    uint16_t depth;     /* scopes open */
    Scope scope[MAX_SCOPES];
    Patch *patches;
    uint32_t n_patches, cap_patches;
    Opcode *opcodes;
    uint32_t n_opcodes, cap_opcodes;
    uint32_t expr_depth;
    uint32_t src_file, src_line;
    Raw raw[MAX_RAW];
    uint32_t n_raw;
} Parser;

/* ---- parse.c ---- */
void advance(Parser *p);
bool at_punct(const Parser *p, uint16_t punct);
bool at_word(const Parser *p, const char *directive_or_word);
bool accept(Parser *p, uint16_t punct);
bool accept_word(Parser *p, const char *word);
bool expect(Parser *p, uint16_t punct);     /* else error "expected 'x'" */
bool expected(Parser *p, const char *what); /* sets the error, returns false */
bool fail_at(Parser *p, Loc loc, ErrKind kind, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
Func *this_func(Parser *p);
bool open_scope(Parser *p, Loc loc);
bool close_scope(Parser *p);
bool skip_pragma(Parser *p);
bool parse_loc(Parser *p);
bool parse_file(Parser *p);

/* ---- expr.c ---- */
/* Constant expression of integers. */
bool const_expr(Parser *p, ConstVal *v);
/* Takes [-] and a float literal if one is here; out->value holds the bits with the sign applied. */
bool float_literal(Parser *p, Token *out);
/* An integer from lo to hi; `what` names it in the message. */
bool const_uint(Parser *p, const char *what, uint64_t lo, uint64_t hi, uint64_t *out);

/* ---- decl.c ---- */
/* .reg .type names; at the token behind ".reg". */
bool parse_reg(Parser *p);
/* .shared, .global ... variable(s) up to ';', at the token behind the space. */
bool parse_vars(Parser *p, Space space, bool is_extern);
/* One kernel or function parameter, at ".param". */
bool parse_param(Parser *p, int32_t *var);
/* "shared" -> SP_SHARED; false if the word is no space of variables. */
bool space_of(const Token *tok, Space *space);
bool type_of(const Parser *p, PtxType *type);
bool declare(Parser *p, Name *name, Sym sym, const char *what);
/* A name for a register or variable of the flattened function that no other there has. */
const char *unique_name(Parser *p, Name *name);
/* Notes that code or an initial value names the variable. */
void need_var(Parser *p, int32_t var, Loc loc);

/* ---- layout.c ---- */
void layout(Module *m);
/* Every .extern variable that is needed must be defined; .shared ones are the dynamic array. */
bool check_externs(Parser *p);

/* ---- insn.c ---- */
bool parse_statement(Parser *p);
/* A label in place, or a target for later. */
bool use_label(Parser *p, Name *name, Operand *opd, int64_t *place, Loc loc);
uint32_t add_elem(Parser *p, const Operand *o);

/* ---- select.c ---- */
/* The rows that this spelling may mean; error if there is none. */
bool find_opcode(Parser *p, const Token *tok, const Opcode **out);
/* Picks the row that fits p->raw and appends the instruction. */
bool select_row(Parser *p, const Token *tok, const Opcode *oc, Insn *in);
void append_insn(Parser *p, const Insn *in);

/* ---- check.c ---- */
bool check_insn(const Module *m, const Func *f, const Forms *fs, const Insn *in, Err *err);

#endif
