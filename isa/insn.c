/* Statements inside a function: labels, declarations, instructions and their operands as written.
 */
#include "isa/parse.h"

#include <string.h>

uint32_t add_elem(Parser *p, const Operand *o)
{
    Module *m = p->m;
    m->elems = grow(p->a, m->elems, m->n_elems, &p->cap_elems, sizeof *m->elems);
    m->elems[m->n_elems] = *o;
    return m->n_elems++;
}

static bool undeclared(Parser *p, const Name *name, Loc loc)
{
    const char *near = names_nearest(&p->names, name->s, name->len, false);
    return fail_at(p, loc, ERR_SEMANTIC, "'%.60s' is not declared%s%.60s%s", name->s,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

bool use_label(Parser *p, Name *name, Operand *opd, int64_t *place, Loc loc)
{
    p->patches = grow(p->a, p->patches, p->n_patches, &p->cap_patches, sizeof *p->patches);
    p->patches[p->n_patches++] = (Patch){.name = name, .opd = opd, .place = place, .loc = loc};
    return true;
}

/* ---- Operands ---- */

/* The vector register at `sym` as a list of its elements. */
static void vector_reg(Parser *p, const Sym *sym, Operand *o)
{
    o->kind = OPD_VEC;
    o->n = sym->n;
    for (int32_t i = 0; i < sym->n; i++) {
        uint32_t at = add_elem(
            p, &(Operand){
                   .kind = OPD_REG, .reg = sym->index + i, .var = -1, .func = -1, .col = o->col});
        if (i == 0)
            o->first = at;
    }
}

/* "+ n", "- n", "+-n" behind a symbol or base register. */
static bool parse_offset(Parser *p, int64_t *imm)
{
    bool minus = at_punct(p, '-');
    if (!minus && !at_punct(p, '+'))
        return true;
    ConstVal v;
    advance(p);
    if (!const_expr(p, &v))
        return false;
    *imm = (int64_t)(minus ? 0 - v.v : v.v);
    return true;
}

/* ".b3210", ".h10": 0 if it is none. */
static int64_t selector(const char *s, size_t n)
{
    enum { MOST = 4, HALVES = 2 };
    if (n < 3 || n > 2 + MOST || (s[1] != 'b' && s[1] != 'h') || (s[1] == 'h' && n > 2 + HALVES))
        return 0;
    int64_t sel = s[1] == 'b' ? SELECT_BYTE : SELECT_HALF, digits = 0;
    for (size_t i = 2; i < n; i++) {
        if (s[i] < '0' || s[i] > '7')
            return 0;
        digits = digits << 4 | (s[i] - '0');
    }
    return sel | (int64_t)(n - 2) << SELECT_COUNT | digits;
}

/* A name: register, variable (+ offset), function, special register, or unknown for now. */
static bool parse_symbol(Parser *p, Raw *r)
{
    Name *name = names_get(&p->names, p->tok.text, p->tok.len);
    const char *dot = memchr(p->tok.text, '.', p->tok.len);
    Operand *o = &r->o;
    if (name->sym.kind == SYM_NONE && dot) { /* a register with a selector? */
        size_t n = (size_t)(dot - p->tok.text);
        Name *reg = names_get(&p->names, p->tok.text, n);
        int64_t sel = selector(dot, p->tok.len - n);
        if (sel && reg->sym.kind == SYM_REG) {
            name = reg;
            o->imm = sel;
        }
    }
    const Sym *sym = &name->sym;
    r->name = name;
    r->loc = p->tok.loc;
    advance(p);
    switch ((SymKind)sym->kind) {
    case SYM_REG:
        o->kind = OPD_REG;
        o->reg = sym->index;
        return true;
    case SYM_VECREG:
        vector_reg(p, sym, o);
        return true;
    case SYM_VAR:
        o->kind = OPD_ADDR_OF;
        o->var = sym->index;
        need_var(p, o->var, r->loc);
        return parse_offset(p, &o->imm);
    case SYM_FUNC:
        o->kind = OPD_FUNC;
        o->func = sym->index;
        return true;
    case SYM_SREG:
        o->kind = OPD_SREG;
        o->sreg = (uint16_t)sym->index;
        return true;
    case SYM_NONE:
    case SYM_LABEL:
    case SYM_TARGETS:
        o->kind = OPD_NAME;
        return true;
    }
    return true;
}

static bool parse_constant(Parser *p, Operand *o)
{
    Token t;
    ConstVal v;
    o->kind = OPD_IMM;
    if (float_literal(p, &t)) {
        o->imm = (int64_t)t.value;
        o->is_float = true;
        o->is_f32 = t.kind == TOK_F32;
        return true;
    }
    if (!const_expr(p, &v))
        return false;
    o->imm = (int64_t)v.v;
    return true;
}

static void raw_init(const Parser *p, Raw *r)
{
    *r = (Raw){.loc = p->tok.loc, .o = {.reg = -1, .var = -1, .func = -1, .col = p->tok.loc.col}};
}

/* An operand that may be an element of a vector: register, constant, _, variable. */
static bool parse_scalar(Parser *p, Raw *r)
{
    raw_init(p, r);
    if (p->tok.kind == TOK_WORD) {
        if (accept_word(p, "_")) {
            r->o.kind = OPD_SINK;
            return true;
        }
        return parse_symbol(p, r);
    }
    if (at_punct(p, '!')) {
        char after, next = lex_peek(&p->lx, &after);
        if (next == '%' || next == '_' || next == '$' || (next >= 'A' && next <= 'z')) {
            advance(p);
            if (!parse_symbol(p, r))
                return false;
            r->o.neg = true;
            return true;
        }
    }
    return parse_constant(p, &r->o);
}

static bool check_declared(Parser *p, const Raw *r)
{
    return r->o.kind != OPD_NAME || undeclared(p, r->name, r->loc);
}

/* {a, b, _}: elements are collected first, as an element may be a vector register's own. */
static bool parse_vector(Parser *p, Raw *r, uint16_t close)
{
    Operand elem[MAX_ELEMS];
    uint32_t n = 0;
    raw_init(p, r);
    advance(p);
    while (!at_punct(p, close)) {
        Raw e;
        if (n == MAX_ELEMS)
            return fail_at(p, p->tok.loc, ERR_SYNTAX, "a vector of more than %d elements",
                           MAX_ELEMS);
        if (!parse_scalar(p, &e) || !check_declared(p, &e))
            return false;
        elem[n++] = e.o;
        if (!accept(p, ',') && !at_punct(p, close))
            return expected(p, close == '}' ? "',' or '}'" : "',' or ')'");
    }
    advance(p);
    r->o.kind = OPD_VEC;
    r->o.n = (uint16_t)n;
    r->o.first = p->m->n_elems;
    for (uint32_t i = 0; i < n; i++)
        add_elem(p, &elem[i]);
    return true;
}

static Raw *next_raw(Parser *p)
{
    if (p->n_raw < MAX_RAW)
        return &p->raw[p->n_raw++];
    fail_at(p, p->tok.loc, ERR_SYNTAX, "more than %d operands", MAX_RAW);
    return NULL;
}

/* [base + n] or [map, {c0, c1}] */
static bool parse_address(Parser *p)
{
    Raw *r = next_raw(p);
    if (!r)
        return false;
    raw_init(p, r);
    advance(p);
    Raw base;
    if (!parse_scalar(p, &base) || !check_declared(p, &base))
        return false;
    r->o.kind = OPD_MEM;
    r->o.imm = base.o.kind == OPD_REG ? 0 : base.o.imm;
    r->o.reg = base.o.reg;
    r->o.var = base.o.var;
    bool good = base.o.kind == OPD_REG || base.o.kind == OPD_ADDR_OF || base.o.kind == OPD_IMM;
    if (!good || base.o.neg || base.o.is_float)
        return fail_at(p, base.loc, ERR_SEMANTIC,
                       "an address starts with a register, a variable or a constant");
    if (base.o.kind == OPD_REG && !parse_offset(p, &r->o.imm))
        return false;
    if (accept(p, ',')) {
        Raw *c = next_raw(p);
        if (!c)
            return false;
        if (!at_punct(p, '{')) {
            if (!parse_scalar(p, c) || !check_declared(p, c))
                return false;
            if (c->o.kind != OPD_VEC)
                return fail_at(p, c->loc, ERR_SYNTAX, "expected coordinates in braces");
        } else if (!parse_vector(p, c, '}')) {
            return false;
        }
        c->in_bracket = true;
    }
    return expect(p, ']');
}

/* One operand place; "a|b" gives two. */
static bool parse_operand(Parser *p)
{
    if (at_punct(p, '['))
        return parse_address(p);
    Raw *r = next_raw(p);
    if (!r)
        return false;
    if (at_punct(p, '{'))
        return parse_vector(p, r, '}');
    if (!parse_scalar(p, r))
        return false;
    if (!accept(p, '|'))
        return true;
    Raw *second = next_raw(p);
    if (!second || !parse_scalar(p, second))
        return false;
    second->paired = true;
    return true;
}

static bool parse_operands(Parser *p, const Opcode *oc)
{
    p->n_raw = 0;
    if (accept(p, ';'))
        return true;
    uint32_t place = 0;
    do {
        if (oc->label_at == (int32_t)place && p->tok.kind == TOK_WORD) {
            Raw *r = next_raw(p);
            raw_init(p, r);
            r->o.kind = OPD_NAME;
            r->name = names_get(&p->names, p->tok.text, p->tok.len);
            advance(p);
        } else {
            uint32_t before = p->n_raw;
            if (!parse_operand(p))
                return false;
            for (uint32_t i = before; i < p->n_raw; i++)
                if (!check_declared(p, &p->raw[i]))
                    return false;
        }
        place++;
    } while (accept(p, ','));
    return accept(p, ';') || expected(p, "',' or ';'");
}

/* call{.uni} (ret), func, (args), proto; the lists and the prototype may be absent. */
static bool parse_call(Parser *p, const Token *tok, const Opcode *oc, Insn *in)
{
    Operand *o = arena_new(p->a, Operand, 4);
    Raw r;
    for (int i = 0; i < 4; i++)
        o[i] = (Operand){.reg = -1, .var = -1, .func = -1};
    if (at_punct(p, '(')) {
        if (!parse_vector(p, &r, ')') || !expect(p, ','))
            return false;
        o[0] = r.o;
    }
    if (p->tok.kind != TOK_WORD)
        return expected(p, "the name of a function");
    if (!parse_scalar(p, &r) || !check_declared(p, &r))
        return false;
    if (r.o.kind != OPD_FUNC && r.o.kind != OPD_REG)
        return fail_at(p, r.loc, ERR_SEMANTIC, "'%.60s' is not a function",
                       r.name ? r.name->s : "_");
    o[1] = r.o;
    if (accept(p, ',')) {
        if (at_punct(p, '(')) {
            if (!parse_vector(p, &r, ')'))
                return false;
            o[2] = r.o;
        }
        if ((o[2].kind == OPD_NONE || accept(p, ',')) && p->tok.kind == TOK_WORD) {
            raw_init(p, &r);
            o[3] = r.o;
            o[3].kind = OPD_LABEL;
            o[3].imm = -1; /* the prototype says nothing that the call does not */
            advance(p);
        }
    }
    in->op = oc->cand[0].op;
    memcpy(in->mod, oc->cand[0].ms.mod, sizeof in->mod);
    in->opd = o;
    in->n_opd = 4;
    in->loc = tok->loc;
    append_insn(p, in);
    return expect(p, ';');
}

/* ---- Statements ---- */

/* name: .branchtargets a, b;  .calltargets f, g;  .callprototype ...; */
static bool parse_label_directive(Parser *p, Name *name, Loc loc, bool *taken)
{
    *taken = true;
    if (accept_word(p, ".branchtargets")) {
        Func *f = this_func(p);
        BranchList list = {0};
        Name *target[4096];
        Loc where[4096];
        do {
            if (p->tok.kind != TOK_WORD)
                return expected(p, "a label");
            if (list.n == sizeof target / sizeof target[0])
                return fail_at(p, p->tok.loc, ERR_SYNTAX, "more than 4096 branch targets");
            where[list.n] = p->tok.loc;
            target[list.n++] = names_get(&p->names, p->tok.text, p->tok.len);
            advance(p);
        } while (accept(p, ','));
        list.target = arena_new(p->a, int64_t, list.n);
        for (uint32_t i = 0; i < list.n; i++)
            use_label(p, target[i], NULL, &list.target[i], where[i]);
        f->lists = grow(p->a, f->lists, f->n_lists, &p->cap_targets, sizeof *f->lists);
        Sym sym = {
            .kind = SYM_TARGETS, .index = (int32_t)f->n_lists, .depth = p->depth, .loc = loc};
        f->lists[f->n_lists++] = list;
        names_bind(&p->names, name, true, sym);
        return expect(p, ';');
    }
    if (at_word(p, ".calltargets") || at_word(p, ".callprototype")) {
        names_bind(&p->names, name, true,
                   (Sym){.kind = SYM_TARGETS, .index = -1, .depth = p->depth, .loc = loc});
        while (p->tok.kind != TOK_END && !at_punct(p, ';'))
            advance(p);
        return expect(p, ';');
    }
    *taken = false;
    return true;
}

static bool parse_label(Parser *p)
{
    Token t = p->tok;
    Name *name = names_get(&p->names, t.text, t.len);
    bool taken;
    advance(p);
    advance(p); /* ':' */
    if (name->label.kind != SYM_NONE && name->label.depth == p->depth)
        return fail_at(p, t.loc, ERR_SEMANTIC,
                       "the label '%.60s' is declared twice in this scope; first on line %u",
                       name->s, name->label.loc.line);
    if (!parse_label_directive(p, name, t.loc, &taken))
        return false;
    if (taken)
        return true;
    int32_t at = (int32_t)this_func(p)->n_insns;
    p->last_label = at;
    names_bind(&p->names, name, true,
               (Sym){.kind = SYM_LABEL, .index = at, .depth = p->depth, .loc = t.loc});
    return true;
}

static bool parse_guard(Parser *p, Insn *in)
{
    if (!accept(p, '@'))
        return true;
    in->guard_neg = accept(p, '!');
    if (p->tok.kind != TOK_WORD)
        return expected(p, "a predicate register");
    Name *name = names_get(&p->names, p->tok.text, p->tok.len);
    if (name->sym.kind == SYM_NONE)
        return undeclared(p, name, p->tok.loc);
    if (name->sym.kind != SYM_REG || this_func(p)->regs[name->sym.index].type != T_PRED)
        return fail_at(p, p->tok.loc, ERR_SEMANTIC, "'%.60s' is not a predicate register", name->s);
    in->guard = name->sym.index;
    advance(p);
    return true;
}

static bool parse_instruction(Parser *p)
{
    Insn in = {.guard = -1, .src_file = p->src_file, .src_line = p->src_line};
    const Opcode *oc;
    if (!parse_guard(p, &in))
        return false;
    Token tok = p->tok;
    if (tok.kind != TOK_WORD)
        return expected(p, "an instruction");
    if (!find_opcode(p, &tok, &oc))
        return false;
    advance(p);
    if (oc->is_call)
        return parse_call(p, &tok, oc, &in);
    return parse_operands(p, oc) && select_row(p, &tok, oc, &in);
}

static bool parse_directive(Parser *p)
{
    Space space;
    if (accept_word(p, ".reg"))
        return parse_reg(p);
    if (accept_word(p, ".loc"))
        return parse_loc(p);
    if (accept_word(p, ".file"))
        return parse_file(p);
    if (accept_word(p, ".pragma"))
        return skip_pragma(p);
    if (space_of(&p->tok, &space)) {
        advance(p);
        return parse_vars(p, space, false);
    }
    return expected(p, "an instruction, a label, or one of .reg .local .shared .param .global "
                       ".const .pragma .loc");
}

bool parse_statement(Parser *p)
{
    char after;
    if (accept(p, ';'))
        return true;
    if (p->tok.kind == TOK_DIRECTIVE)
        return parse_directive(p);
    if (p->tok.kind == TOK_WORD && lex_peek(&p->lx, &after) == ':' && after != ':')
        return parse_label(p);
    if (p->tok.kind == TOK_WORD || at_punct(p, '@'))
        return parse_instruction(p);
    if (p->tok.kind == TOK_END) {
        const Scope *s = &p->scope[p->depth - 1];
        return fail_at(p, p->tok.loc, ERR_SYNTAX, "'}' expected to close the %s opened on line %u",
                       p->depth <= 2 ? "body" : "block", s->open.line);
    }
    return expected(p, "an instruction, a label, a declaration or '}'");
}
