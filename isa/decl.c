/* Declarations: registers, variables, parameters, initialisers. */
#include "isa/parse.h"

#include <string.h>

static bool tok_is(const Token *t, const char *word)
{
    return strlen(word) == t->len && memcmp(t->text, word, t->len) == 0;
}

bool space_of(const Token *tok, Space *space)
{
    static const struct {
        const char *word;
        Space space;
    } spaces[] = {{".const", SP_CONST},
                  {".global", SP_GLOBAL},
                  {".local", SP_LOCAL},
                  {".param", SP_PARAM},
                  {".shared", SP_SHARED}};
    for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++)
        if (tok->kind == TOK_DIRECTIVE && tok_is(tok, spaces[i].word)) {
            *space = spaces[i].space;
            return true;
        }
    return false;
}

bool type_of(const Parser *p, PtxType *type)
{
    if (p->tok.kind != TOK_DIRECTIVE)
        return false;
    int32_t w = forms_word(p->fs, p->tok.text + 1, p->tok.len - 1);
    if (w < 0 || p->fs->words[w].type == T_NONE)
        return false;
    *type = (PtxType)p->fs->words[w].type;
    return true;
}

bool declare(Parser *p, Name *name, Sym sym, const char *what)
{
    if (name->sym.kind != SYM_NONE && name->sym.depth == p->depth)
        return fail_at(p, sym.loc, ERR_SEMANTIC,
                       "%s '%s' is declared twice in this scope; first on line %u", what, name->s,
                       name->sym.loc.line);
    sym.depth = p->depth;
    names_bind(&p->names, name, false, sym);
    return true;
}

const char *unique_name(Parser *p, Name *name)
{
    uint32_t mark = p->func_no;
    bool taken = name->used_in == mark || (name->sym.kind != SYM_NONE && name->sym.depth == 0);
    if (p->func < 0)
        return name->s;
    if (!taken) {
        name->used_in = mark;
        return name->s;
    }
    for (;;) {
        const char *dot =
            memchr(name->s, '.', name->len); /* "q.x" of a vector register becomes "q$2.x" */
        int head = dot ? (int)(dot - name->s) : (int)name->len;
        const char *s =
            arena_printf(p->a, "%.*s$%u%s", head, name->s, ++name->copies + 1, dot ? dot : "");
        Name *copy = names_get(&p->names, s, strlen(s));
        if (copy->used_in == mark || copy->sym.kind != SYM_NONE)
            continue;
        copy->used_in = mark;
        return copy->s;
    }
}

/* ---- Registers ---- */

static bool add_reg(Parser *p, Name *name, PtxType type, Loc loc)
{
    Func *f = this_func(p);
    if (f->n_regs >= MAX_REGS)
        return fail_at(p, loc, ERR_SEMANTIC, "more than %d registers in one function", MAX_REGS);
    const char *unique = unique_name(p, name); /* before the name means the register */
    if (!declare(p, name, (Sym){.kind = SYM_REG, .index = (int32_t)f->n_regs, .loc = loc},
                 "register"))
        return false;
    f->regs = grow(p->a, f->regs, f->n_regs, &p->cap_regs, sizeof *f->regs);
    f->regs[f->n_regs++] = (RegDecl){.name = unique, .type = type};
    return true;
}

static bool add_vector_reg(Parser *p, Name *name, PtxType type, uint32_t n, Loc loc)
{
    static const char *const xyzw[] = {"x", "y", "z", "w"};
    Sym vec = {
        .kind = SYM_VECREG, .n = (uint8_t)n, .index = (int32_t)this_func(p)->n_regs, .loc = loc};
    if (!declare(p, name, vec, "register"))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        const char *s = arena_printf(p->a, "%s.%s", name->s, xyzw[i]);
        if (!add_reg(p, names_get(&p->names, s, strlen(s)), type, loc))
            return false;
    }
    return true;
}

/* %r<N> declares %r0 .. %r(N-1). */
static bool add_reg_range(Parser *p, const Token *name, PtxType type)
{
    if (p->tok.kind != TOK_INT)
        return expected(p, "the number of registers");
    uint64_t n = p->tok.value;
    Loc loc = p->tok.loc;
    advance(p);
    if (!expect(p, '>'))
        return false;
    if (n > MAX_REGS)
        return fail_at(p, loc, ERR_SEMANTIC, "more than %d registers in one function", MAX_REGS);
    char buf[256];
    if (name->len + 12 > sizeof buf)
        return fail_at(p, name->loc, ERR_SEMANTIC, "a register name of more than %zu characters",
                       sizeof buf - 12);
    memcpy(buf, name->text, name->len);
    for (uint32_t i = 0; i < (uint32_t)n; i++) {
        int digits = snprintf(buf + name->len, sizeof buf - name->len, "%u", i);
        if (!add_reg(p, names_get(&p->names, buf, name->len + (size_t)digits), type, name->loc))
            return false;
    }
    return true;
}

static bool vector_prefix(Parser *p, uint32_t *n)
{
    bool v2 = accept_word(p, ".v2"), v4 = !v2 && accept_word(p, ".v4");
    if (v2 || v4)
        *n = v2 ? 2 : 4;
    return v2 || v4;
}

bool parse_reg(Parser *p)
{
    uint32_t n_vec = 1;
    PtxType type;
    if (p->func < 0)
        return fail_at(p, p->tok.loc, ERR_SEMANTIC, "registers are declared inside functions");
    vector_prefix(p, &n_vec);
    if (!type_of(p, &type))
        return expected(p, "a register type such as .b32, .b64, .f32, .pred");
    advance(p);
    do {
        Token name = p->tok;
        if (name.kind != TOK_WORD || memchr(name.text, '.', name.len))
            return expected(p, "a register name");
        advance(p);
        bool good;
        if (accept(p, '<'))
            good = n_vec > 1 ? expected(p, "one vector register at a time")
                             : add_reg_range(p, &name, type);
        else if (n_vec > 1)
            good =
                add_vector_reg(p, names_get(&p->names, name.text, name.len), type, n_vec, name.loc);
        else
            good = add_reg(p, names_get(&p->names, name.text, name.len), type, name.loc);
        if (!good)
            return false;
    } while (accept(p, ','));
    return expect(p, ';');
}

/* ---- Variables ---- */

typedef struct VarShape {
    uint64_t dim[MAX_DIMS];
    uint32_t n_dims, elem_bytes;
    bool open; /* first dimension not given: [] */
} VarShape;

static bool parse_dims(Parser *p, VarShape *s)
{
    while (accept(p, '[')) {
        if (s->n_dims == MAX_DIMS)
            return fail_at(p, p->tok.loc, ERR_SEMANTIC, "an array of more than %d dimensions",
                           MAX_DIMS);
        uint64_t n = 0;
        if (at_punct(p, ']') && s->n_dims == 0)
            s->open = true;
        else if (!const_uint(p, "an array size", 0, MAX_VAR_BYTES, &n))
            return false;
        s->dim[s->n_dims++] = n;
        if (!expect(p, ']'))
            return false;
    }
    return true;
}

static bool shape_bytes(Parser *p, const VarShape *s, Loc loc, uint64_t *bytes)
{
    *bytes = s->elem_bytes;
    for (uint32_t i = 0; i < s->n_dims; i++)
        if (__builtin_mul_overflow(*bytes, s->dim[i], bytes) || *bytes > MAX_VAR_BYTES)
            return fail_at(p, loc, ERR_SEMANTIC, "this variable is larger than %llu bytes",
                           (unsigned long long)MAX_VAR_BYTES);
    return true;
}

static int32_t add_var(Parser *p, const Var *v)
{
    Module *m = p->m;
    m->vars = grow(p->a, m->vars, m->n_vars, &p->cap_vars, sizeof *m->vars);
    m->vars[m->n_vars] = *v;
    return (int32_t)m->n_vars++;
}

/* What stands before a variable's name: ".align 16 .v4 .f32 .ptr .global .align 8" in any sensible
 * order. */
static bool parse_var_type(Parser *p, Var *v, VarShape *s)
{
    uint32_t n_vec = 1;
    Space ignored;
    uint64_t align = 0;
    bool have_type = false, is_ptr = false;
    while (p->tok.kind == TOK_DIRECTIVE) {
        PtxType type;
        if (at_word(p, ".align")) {
            Loc loc = p->tok.loc;
            uint64_t n;
            advance(p);
            if (!const_uint(p, "an alignment", 1, 1 << 20, &n))
                return false;
            if (n & (n - 1))
                return fail_at(p, loc, ERR_SEMANTIC,
                               "an alignment must be a power of two, not %llu",
                               (unsigned long long)n);
            if (!is_ptr) /* behind .ptr it speaks of what the pointer points to */
                align = n;
            continue;
        }
        if (at_word(p, ".attribute")) {
            advance(p);
            while (p->tok.kind != TOK_END && !at_punct(p, ')'))
                advance(p);
            if (!expect(p, ')'))
                return false;
            continue;
        }
        if (vector_prefix(p, &n_vec))
            continue;
        if (at_word(p, ".ptr"))
            is_ptr = true;
        else if (type_of(p, &type) && !have_type && type != T_PRED) {
            v->type = type;
            have_type = true;
        } else if (!(is_ptr && space_of(&p->tok, &ignored)))
            return expected(p, "a type, .align or a name");
        advance(p);
    }
    if (!have_type)
        return expected(p, "a type such as .b8, .u32, .b64");
    s->elem_bytes = type_info[v->type].bits / 8u * n_vec;
    v->align = align ? (uint32_t)align : s->elem_bytes;
    return true;
}

typedef struct Init { /* an initialiser being read */
    Var *var;
    const VarShape *shape;
    uint8_t *bytes;
    uint64_t cap;
    uint32_t elem; /* bytes of a scalar */
    VarInit *relocs;
    uint32_t n_relocs, cap_relocs;
    uint64_t end;
} Init;

static bool put_scalar(Parser *p, Init *in, uint64_t at, uint64_t value, Loc loc)
{
    if (at + in->elem > MAX_INIT_BYTES || (!in->shape->open && at + in->elem > in->var->size))
        return fail_at(p, loc, ERR_SEMANTIC,
                       "more initial values than '%s' has room for (%llu bytes)", in->var->name,
                       (unsigned long long)in->var->size);
    while (at + in->elem > in->cap) {
        uint8_t *bigger = arena_alloc(p->a, in->cap * 2);
        memcpy(bigger, in->bytes, in->cap);
        in->bytes = bigger;
        in->cap *= 2;
    }
    for (uint32_t i = 0; i < in->elem && i < 8; i++)
        in->bytes[at + i] = (uint8_t)(value >> (8 * i));
    if (at + in->elem > in->end)
        in->end = at + in->elem;
    return true;
}

void need_var(Parser *p, int32_t var, Loc loc)
{
    Var *v = &p->m->vars[var];
    if (v->needed.line == 0)
        v->needed = loc;
}

/* sym, sym + n, generic(sym) + n */
static bool init_symbol(Parser *p, Init *in, uint64_t at, uint8_t shift)
{
    VarInit r = {.at = at, .var = -1, .func = -1, .bytes = (uint8_t)in->elem, .shift = shift};
    Loc loc = p->tok.loc;
    r.generic = accept_word(p, "generic");
    if (r.generic && !expect(p, '('))
        return false;
    if (p->tok.kind != TOK_WORD)
        return expected(p, "the name of a variable or function");
    Name *name = names_get(&p->names, p->tok.text, p->tok.len);
    if (name->sym.kind == SYM_VAR) {
        r.var = name->sym.index;
        need_var(p, r.var, p->tok.loc);
    } else if (name->sym.kind == SYM_FUNC)
        r.func = name->sym.index;
    else
        return fail_at(p, p->tok.loc, ERR_SEMANTIC,
                       "'%.60s' is not a variable or function declared above", name->s);
    advance(p);
    if (r.generic && !expect(p, ')'))
        return false;
    if (at_punct(p, '+') || at_punct(p, '-')) {
        bool minus = at_punct(p, '-');
        ConstVal v;
        advance(p);
        if (!const_expr(p, &v))
            return false;
        r.addend = (int64_t)(minus ? 0 - v.v : v.v);
    }
    if (!put_scalar(p, in, at, 0, loc))
        return false;
    in->relocs = grow(p->a, in->relocs, in->n_relocs, &in->cap_relocs, sizeof *in->relocs);
    in->relocs[in->n_relocs++] = r;
    return true;
}

/* 0xFF00(sym): one byte of an address. At the token behind '('. */
static bool init_masked(Parser *p, Init *in, uint64_t at, uint64_t mask, Loc loc)
{
    uint8_t shift = 0;
    if (in->elem != 1)
        return fail_at(p, loc, ERR_SEMANTIC, "only 8-bit elements hold single bytes of an address");
    while (shift < 56 && mask != (uint64_t)0xFF << shift)
        shift = (uint8_t)(shift + 8);
    if (mask != (uint64_t)0xFF << shift)
        return fail_at(p, loc, ERR_SEMANTIC, "a mask must select one byte, as 0xFF00 does");
    return init_symbol(p, in, at, shift) && expect(p, ')');
}

/* Floats of another width than the literal's: 1.0 for an .f32, 0f for an .f64. */
static uint64_t float_for(PtxType type, const Token *t)
{
    double d;
    float f;
    uint32_t bits32;
    if (t->kind == TOK_F64 && type_info[type].bits == 32) {
        memcpy(&d, &t->value, sizeof d);
        f = (float)d;
        memcpy(&bits32, &f, sizeof f);
        return bits32;
    }
    if (t->kind == TOK_F32 && type == T_F64) {
        uint64_t bits64;
        bits32 = (uint32_t)t->value;
        memcpy(&f, &bits32, sizeof f);
        d = (double)f;
        memcpy(&bits64, &d, sizeof d);
        return bits64;
    }
    return t->value;
}

static bool init_value(Parser *p, Init *in, uint64_t at)
{
    Token t = p->tok;
    char after;
    if (float_literal(p, &t))
        return put_scalar(p, in, at, float_for(in->var->type, &t), t.loc);
    if (t.kind == TOK_WORD)
        return init_symbol(p, in, at, 0);
    if (t.kind == TOK_INT && lex_peek(&p->lx, &after) == '(') {
        advance(p);
        advance(p);
        return init_masked(p, in, at, t.value, t.loc);
    }
    ConstVal v;
    if (!const_expr(p, &v))
        return false;
    return put_scalar(p, in, at, v.v, t.loc);
}

static bool init_string(Parser *p, Init *in, uint64_t at)
{
    Token t = p->tok;
    for (uint32_t i = 0; i < t.len; i++)
        if (!put_scalar(p, in, at + i, (uint8_t)t.text[i], t.loc))
            return false;
    advance(p);
    return put_scalar(p, in, at + t.len, 0, t.loc);
}

/* { a, b, { c } }: a brace starts at the next multiple of what one element of this level covers. */
static bool init_list(Parser *p, Init *in, uint32_t level, uint64_t at)
{
    uint64_t step = in->elem, start = at;
    if (level > MAX_DIMS)
        return fail_at(p, p->tok.loc, ERR_SYNTAX, "initial values nest deeper than %d levels",
                       MAX_DIMS);
    for (uint32_t i = level; i < in->shape->n_dims; i++)
        step = step * in->shape->dim[i] > MAX_VAR_BYTES ? MAX_VAR_BYTES : step * in->shape->dim[i];
    uint64_t n_braces = 0;
    do {
        if (at_punct(p, '}'))
            break;
        if (accept(p, '{')) {
            at = start + n_braces++ * step;
            if (!init_list(p, in, level + 1, at))
                return false;
            at += step;
        } else {
            if (!init_value(p, in, at))
                return false;
            at += in->elem;
        }
    } while (accept(p, ','));
    return expect(p, '}');
}

static bool parse_init(Parser *p, Var *v, VarShape *s)
{
    Loc loc = p->tok.loc;
    if (v->space != SP_GLOBAL && v->space != SP_CONST)
        return fail_at(p, loc, ERR_SEMANTIC,
                       "only .global and .const variables have initial values");
    if (v->size > MAX_INIT_BYTES)
        return fail_at(p, loc, ERR_SEMANTIC, "an initialised variable of more than %d bytes",
                       MAX_INIT_BYTES);
    Init in = {.var = v,
               .shape = s,
               .elem = type_info[v->type].bits / 8u,
               .cap = v->size < 64 ? 64 : v->size};
    in.bytes = arena_alloc(p->a, in.cap);
    bool good;
    if (p->tok.kind == TOK_STRING)
        good = init_string(p, &in, 0);
    else if (accept(p, '{'))
        good = init_list(p, &in, 1, 0);
    else
        good = init_value(p, &in, 0);
    if (s->open)
        v->size = in.end;
    v->init = in.bytes;
    v->relocs = in.relocs;
    v->n_relocs = in.n_relocs;
    return good;
}

/* The name and dimensions; *before: the variable that an .extern declaration made, or that this
 * .extern declares again, else -1. */
static bool parse_var_name(Parser *p, Var *v, VarShape *s, int32_t *before)
{
    if (p->tok.kind != TOK_WORD || memchr(p->tok.text, '.', p->tok.len))
        return expected(p, "the name of a variable");
    Name *name = names_get(&p->names, p->tok.text, p->tok.len);
    v->loc = p->tok.loc;
    v->func = p->func;
    bool again = name->sym.kind == SYM_VAR && name->sym.depth == 0 && p->depth == 0 &&
                 (v->is_extern || p->m->vars[name->sym.index].is_extern);
    *before = again ? name->sym.index : -1;
    v->name = again ? name->s : unique_name(p, name); /* before the name means the variable */
    advance(p);
    if (at_punct(p, '<'))
        return fail_at(p, p->tok.loc, ERR_UNSUPPORTED,
                       "numbered variables (name<n>) are not supported");
    s->n_dims = 0;
    s->open = false;
    if (!parse_dims(p, s) || !shape_bytes(p, s, v->loc, &v->size))
        return false;
    Sym sym = {.kind = SYM_VAR, .index = (int32_t)p->m->n_vars, .loc = v->loc};
    return again || strcmp(name->s, "_") == 0 || declare(p, name, sym, "variable");
}

/* A definition takes the place of its .extern declaration, whose users keep their index; a second
 * declaration adds its alignment and, where the first left it open, its size. */
static void merge_var(Var *old, const Var *v)
{
    Loc needed = old->needed;
    uint32_t align = old->align > v->align ? old->align : v->align;
    uint64_t size = old->size > v->size ? old->size : v->size;
    if (v->is_extern) {
        old->size = old->is_extern ? size : old->size;
    } else {
        *old = *v;
        old->needed = needed;
    }
    old->align = align;
}

bool parse_vars(Parser *p, Space space, bool is_extern)
{
    Var base = {.space = space, .is_extern = is_extern};
    VarShape s = {0};
    if (!parse_var_type(p, &base, &s))
        return false;
    do {
        Var v = base;
        int32_t before;
        if (!parse_var_name(p, &v, &s, &before))
            return false;
        int32_t at = before < 0 ? add_var(p, &v) : before;
        if (before >= 0 && p->m->vars[before].space != space)
            return fail_at(p, v.loc, ERR_SEMANTIC,
                           "'%.60s' is declared in another state space on line %u", v.name,
                           p->m->vars[before].loc.line);
        if (accept(p, '=')) {
            if (!parse_init(p, &v, &s))
                return false;
        } else if (s.open && !is_extern && space != SP_PARAM) {
            return fail_at(p, v.loc, ERR_SEMANTIC, "'%.60s[]' needs a size or initial values",
                           v.name);
        }
        if (before < 0)
            p->m->vars[at] = v;
        else
            merge_var(&p->m->vars[at], &v);
    } while (accept(p, ','));
    return expect(p, ';');
}

bool parse_param(Parser *p, int32_t *var)
{
    if (at_word(p, ".reg"))
        return fail_at(p, p->tok.loc, ERR_UNSUPPORTED,
                       "register parameters are not supported; use .param");
    if (!at_word(p, ".param"))
        return expected(p, ".param or ')'");
    advance(p);
    Var v = {.space = SP_PARAM};
    VarShape s = {0};
    int32_t before;
    if (!parse_var_type(p, &v, &s) || !parse_var_name(p, &v, &s, &before))
        return false;
    *var = add_var(p, &v);
    return true;
}
