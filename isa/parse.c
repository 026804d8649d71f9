/* The parser: module, functions, scopes. Statements are in insn.c, declarations in decl.c. */
#include "isa/parse.h"

#include <stdarg.h>
#include <string.h>

/* ---- Tokens ---- */

void advance(Parser *p)
{
    if (!lex_next(&p->lx, &p->tok))
        p->tok = (Token){.kind = TOK_END, .text = p->lx.at, .loc = p->tok.loc};
}

bool at_punct(const Parser *p, uint16_t punct)
{
    return p->tok.kind == TOK_PUNCT && p->tok.punct == punct;
}

bool at_word(const Parser *p, const char *word)
{
    return (p->tok.kind == TOK_DIRECTIVE || p->tok.kind == TOK_WORD) &&
           strlen(word) == p->tok.len && memcmp(word, p->tok.text, p->tok.len) == 0;
}

bool accept(Parser *p, uint16_t punct)
{
    if (!at_punct(p, punct))
        return false;
    advance(p);
    return true;
}

bool accept_word(Parser *p, const char *word)
{
    if (!at_word(p, word))
        return false;
    advance(p);
    return true;
}

bool fail_at(Parser *p, Loc loc, ErrKind kind, const char *fmt, ...)
{
    char msg[sizeof p->err->msg];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    return err_set(p->err, kind, loc, "%s", msg);
}

bool expected(Parser *p, const char *what)
{
    if (p->tok.kind != TOK_END)
        return fail_at(p, p->tok.loc, ERR_SYNTAX, "expected %s, found '%.*s'", what,
                       (int)(p->tok.len < 60 ? p->tok.len : 60), p->tok.text);
    if (p->depth > 0)
        return fail_at(p, p->tok.loc, ERR_SYNTAX,
                       "expected %s, but the file ends here; '}' expected to close the %s "
                       "opened on line %u",
                       what, p->depth <= 2 ? "body" : "block", p->scope[p->depth - 1].open.line);
    return fail_at(p, p->tok.loc, ERR_SYNTAX, "expected %s, but the file ends here", what);
}

bool expect(Parser *p, uint16_t punct)
{
    if (accept(p, punct))
        return true;
    char what[4] = {'\'', (char)punct, '\'', 0};
    return expected(p, what);
}

Func *this_func(Parser *p)
{
    return &p->m->funcs[p->func];
}

/* ---- Scopes ---- */

bool open_scope(Parser *p, Loc loc)
{
    if (p->depth == MAX_SCOPES)
        return fail_at(p, loc, ERR_SYNTAX, "more than %d blocks inside each other", MAX_SCOPES);
    p->scope[p->depth++] = (Scope){.undo = p->names.n_undo, .patches = p->n_patches, .open = loc};
    return true;
}

/* Branches to labels of this scope are settled; the others wait for the scope around. */
static bool settle_labels(Parser *p, const Scope *s)
{
    uint32_t left = s->patches;
    for (uint32_t i = s->patches; i < p->n_patches; i++) {
        const Patch *patch = &p->patches[i];
        const Sym *label = &patch->name->label;
        if (label->kind == SYM_NONE || label->depth != p->depth) {
            p->patches[left++] = *patch;
            continue;
        }
        if (patch->opd)
            patch->opd->imm = label->index;
        else
            *patch->place = label->index;
    }
    p->n_patches = left;
    if (p->depth > 1 || left == 0)
        return true;
    const Patch *first = &p->patches[0];
    const char *near = names_nearest(&p->names, first->name->s, first->name->len, true);
    return fail_at(p, first->loc, ERR_SEMANTIC,
                   "there is no label '%.60s' in this scope or one around it%s%.60s%s",
                   first->name->s, near ? "; did you mean '" : "", near ? near : "",
                   near ? "'?" : "");
}

bool close_scope(Parser *p)
{
    const Scope *s = &p->scope[p->depth - 1];
    if (!settle_labels(p, s))
        return false;
    names_leave(&p->names, s->undo);
    p->depth--;
    return true;
}

/* ---- Functions ---- */

static bool parse_param_list(Parser *p, int32_t **vars, uint32_t *n)
{
    uint32_t cap = 0;
    *n = 0;
    *vars = NULL;
    if (!expect(p, '('))
        return false;
    if (accept(p, ')'))
        return true;
    do {
        if (*n == MAX_PARAMS)
            return fail_at(p, p->tok.loc, ERR_SEMANTIC, "more than %d parameters", MAX_PARAMS);
        int32_t var;
        if (!parse_param(p, &var))
            return false;
        *vars = grow(p->a, *vars, *n, &cap, sizeof **vars);
        (*vars)[(*n)++] = var;
    } while (accept(p, ','));
    return expect(p, ')');
}

/* "x[, y[, z]]" of .maxntid and its like. */
static bool parse_triple(Parser *p, const char *what, uint32_t out[3])
{
    uint64_t v;
    out[1] = out[2] = 1;
    for (uint32_t i = 0; i < 3; i++) {
        if (!const_uint(p, what, 1, UINT32_MAX, &v))
            return false;
        out[i] = (uint32_t)v;
        if (!accept(p, ','))
            return true;
    }
    return true;
}

bool skip_pragma(Parser *p)
{
    while (p->tok.kind == TOK_STRING) {
        advance(p);
        if (!accept(p, ','))
            break;
    }
    return expect(p, ';');
}

static bool parse_attributes(Parser *p, Func *f)
{
    uint64_t v;
    while (p->tok.kind == TOK_DIRECTIVE) {
        bool good = true;
        if (accept_word(p, ".maxntid"))
            good = parse_triple(p, ".maxntid", f->maxntid);
        else if (accept_word(p, ".reqntid"))
            good = parse_triple(p, ".reqntid", f->reqntid);
        else if (accept_word(p, ".reqnctapercluster"))
            good = parse_triple(p, ".reqnctapercluster", f->cluster);
        else if (accept_word(p, ".explicitcluster"))
            f->explicit_cluster = true;
        else if (accept_word(p, ".minnctapersm")) {
            good = const_uint(p, ".minnctapersm", 1, 1024, &v);
            f->minnctapersm = good ? (uint32_t)v : 0;
        } else if (accept_word(p, ".maxnreg")) {
            good = const_uint(p, ".maxnreg", 1, 1024, &v);
            f->maxnreg = good ? (uint32_t)v : 0;
        } else if (accept_word(p, ".maxnctapersm") || accept_word(p, ".maxclusterrank"))
            good = const_uint(p, "this", 1, 1024, &v);
        else if (accept_word(p, ".pragma"))
            good = skip_pragma(p);
        else if (!accept_word(p, ".blocksareclusters") && !accept_word(p, ".noreturn") &&
                 !accept_word(p, ".abi_preserve_control"))
            return expected(
                p, "'{', ';' or a directive such as .maxntid, .reqntid, .minnctapersm, .maxnreg, "
                   ".reqnctapercluster, .explicitcluster");
        if (!good)
            return false;
    }
    return true;
}

/* Falling off the end is a return, and a label there needs an instruction to stand at. */
static void end_with_ret(Parser *p)
{
    const Func *f = this_func(p);
    bool ends = f->n_insns > 0;
    if (ends) {
        const Insn *last = &f->insns[f->n_insns - 1];
        ends = (last->op == OP_RET || last->op == OP_EXIT || last->op == OP_TRAP ||
                last->op == OP_BRA) &&
               last->guard < 0 && p->last_label < (int32_t)f->n_insns;
    }
    if (ends)
        return;
    Insn ret = {.op = OP_RET,
                .guard = -1,
                .loc = p->tok.loc,
                .src_file = p->src_file,
                .src_line = p->src_line};
    append_insn(p, &ret);
}

static bool parse_body(Parser *p)
{
    Loc open = p->tok.loc;
    uint16_t outside = p->depth;
    if (!expect(p, '{') || !open_scope(p, open))
        return false;
    p->src_file = p->src_line = 0;
    while (p->depth > outside) {
        if (at_punct(p, '{')) {
            if (!open_scope(p, p->tok.loc))
                return false;
            advance(p);
        } else if (at_punct(p, '}')) {
            if (p->depth == outside + 1)
                end_with_ret(p);
            if (!close_scope(p))
                return false;
            advance(p);
        } else if (!parse_statement(p)) {
            return false;
        }
    }
    return true;
}

/* Finds or makes the function; a prototype and its definition are one. */
static bool declare_func(Parser *p, const Token *tok, bool is_entry, int32_t *index)
{
    Module *m = p->m;
    Name *name = names_get(&p->names, tok->text, tok->len);
    if (name->sym.kind == SYM_FUNC) {
        *index = name->sym.index;
        if (m->funcs[*index].is_entry != is_entry)
            return fail_at(p, tok->loc, ERR_SEMANTIC, "'%.60s' is declared as %s on line %u",
                           name->s, is_entry ? ".func" : ".entry", name->sym.loc.line);
        return true;
    }
    m->funcs = grow(p->a, m->funcs, m->n_funcs, &p->cap_funcs, sizeof *m->funcs);
    *index = (int32_t)m->n_funcs;
    m->funcs[m->n_funcs] =
        (Func){.name = name->s, .is_entry = is_entry, .is_extern = true, .loc = tok->loc};
    if (!declare(p, name, (Sym){.kind = SYM_FUNC, .index = *index, .loc = tok->loc}, "function"))
        return false;
    m->n_funcs++;
    return true;
}

/* The parameters of a prototype that a definition (or an earlier prototype) makes superfluous. */
static void forget_params(Module *m, const Func *f)
{
    for (uint32_t i = 0; i < f->n_params; i++)
        m->vars[f->params[i]].func = VAR_OF_PROTOTYPE;
    for (uint32_t i = 0; i < f->n_ret_params; i++)
        m->vars[f->ret_params[i]].func = VAR_OF_PROTOTYPE;
}

static bool finish_func(Parser *p, int32_t index, const Func *head, Loc loc)
{
    Func *f = &p->m->funcs[index];
    bool is_body = at_punct(p, '{');
    if (!is_body && !at_punct(p, ';'))
        return expected(p, "'{' or ';'");
    if (is_body && !f->is_extern)
        return fail_at(p, loc, ERR_SEMANTIC, "'%.60s' is defined twice; first on line %u", f->name,
                       f->loc.line);
    forget_params(p->m, f->is_extern ? f : head);
    if (f->is_extern) {
        const char *name = f->name;
        bool is_entry = f->is_entry;
        *f = *head;
        f->name = name;
        f->is_entry = is_entry;
        f->is_extern = !is_body;
        f->loc = loc;
    }
    if (!is_body) {
        advance(p);
        return true;
    }
    p->cap_regs = p->cap_insns = p->cap_targets = 0;
    return parse_body(p);
}

/* The name stands behind the returned parameters, but they need to know the function: look ahead.
 */
static bool name_ahead(Parser *p, bool is_entry, Token *name, int32_t *index)
{
    Lexer before = p->lx;
    Token first = p->tok;
    if (at_punct(p, '('))
        while (p->tok.kind != TOK_END && !accept(p, ')'))
            advance(p);
    *name = p->tok;
    if (name->kind != TOK_WORD)
        return expected(p, is_entry ? "the name of the kernel" : "the name of the function");
    p->lx = before;
    p->tok = first;
    return declare_func(p, name, is_entry, index);
}

static bool skip_attribute(Parser *p)
{
    if (!accept_word(p, ".attribute"))
        return true;
    while (p->tok.kind != TOK_END && !at_punct(p, ')'))
        advance(p);
    return expect(p, ')');
}

static bool parse_func(Parser *p, bool is_entry)
{
    Func head = {0};
    Token name;
    int32_t index = -1;
    if (!skip_attribute(p))
        return false;
    while (accept_word(p, ".noreturn"))
        continue;
    if (!name_ahead(p, is_entry, &name, &index))
        return false;
    p->func = index;
    p->func_no++;
    p->last_label = -1;
    if (!open_scope(p, p->tok.loc) ||
        (at_punct(p, '(') && !parse_param_list(p, &head.ret_params, &head.n_ret_params)))
        return false;
    advance(p); /* the name */
    if (at_punct(p, '(') && !parse_param_list(p, &head.params, &head.n_params))
        return false;
    if (!parse_attributes(p, &head) || !finish_func(p, index, &head, name.loc) || !close_scope(p))
        return false;
    p->func = -1;
    return true;
}

/* ---- Module ---- */

static bool version(Parser *p)
{
    unsigned major = 0, minor = 0;
    char buf[16] = "";
    if (p->tok.len < sizeof buf)
        memcpy(buf, p->tok.text, p->tok.len);
    if (p->tok.kind != TOK_F64 || sscanf(buf, "%u.%u", &major, &minor) != 2)
        return expected(p, "a version such as 9.0");
    p->m->version_major = major;
    p->m->version_minor = minor;
    advance(p);
    return true;
}

static bool target(Parser *p)
{
    if (p->tok.kind != TOK_WORD)
        return expected(p, "a target such as sm_100a");
    p->m->target = arena_str(p->a, p->tok.text, p->tok.len);
    advance(p);
    while (accept(p, ',')) /* debug, texmode_... */
        advance(p);
    return true;
}

static bool address_size(Parser *p)
{
    Loc loc = p->tok.loc;
    uint64_t n;
    if (!const_uint(p, "the address size", 32, 64, &n))
        return false;
    return n == 64 || fail_at(p, loc, ERR_UNSUPPORTED, "only .address_size 64 is supported");
}

/* .section .debug_x { ... }: nothing in it is wanted. */
static bool skip_section(Parser *p)
{
    Loc open = p->tok.loc;
    while (p->tok.kind != TOK_END && !at_punct(p, '{'))
        advance(p);
    advance(p);
    for (uint32_t depth = 1; depth > 0; advance(p)) {
        if (p->tok.kind == TOK_END)
            return fail_at(p, p->tok.loc, ERR_SYNTAX,
                           "'}' expected to close the section opened on line %u", open.line);
        if (at_punct(p, '{'))
            depth++;
        if (at_punct(p, '}') && --depth == 0)
            break;
    }
    return expect(p, '}');
}

/* .file index "name" [, time, size] */
bool parse_file(Parser *p)
{
    uint64_t index, ignored;
    if (!const_uint(p, "a file number", 0, MAX_FILES, &index))
        return false;
    if (p->tok.kind != TOK_STRING)
        return expected(p, "a file name in quotes");
    Module *m = p->m;
    while (m->n_files <= index) {
        m->files = grow(p->a, m->files, m->n_files, &p->cap_files, sizeof *m->files);
        m->files[m->n_files++] = "";
    }
    m->files[index] = arena_str(p->a, p->tok.text, p->tok.len);
    advance(p);
    while (accept(p, ','))
        if (!const_uint(p, "a time or size", 0, UINT64_MAX, &ignored))
            return false;
    return true;
}

/* .loc file line column [, function_name label [+ n]] [, inlined_at file line column] */
bool parse_loc(Parser *p)
{
    uint64_t file, line, column;
    if (!const_uint(p, "a file number", 0, MAX_FILES, &file) ||
        !const_uint(p, "a line number", 0, UINT32_MAX, &line) ||
        !const_uint(p, "a column number", 0, UINT32_MAX, &column))
        return false;
    p->src_file = (uint32_t)file;
    p->src_line = (uint32_t)line;
    while (accept(p, ',')) {
        if (accept_word(p, "function_name")) {
            advance(p);
            if (accept(p, '+'))
                advance(p);
        } else if (accept_word(p, "inlined_at")) {
            for (int i = 0; i < 3; i++)
                if (!const_uint(p, "a number", 0, UINT32_MAX, &column))
                    return false;
        } else {
            return expected(p, "function_name or inlined_at");
        }
    }
    return true;
}

/* .alias a, b: the function a, declared above, is b. */
static bool alias(Parser *p)
{
    Name *name[2];
    for (int i = 0; i < 2; i++) {
        if (p->tok.kind != TOK_WORD)
            return expected(p, "the name of a function");
        name[i] = names_get(&p->names, p->tok.text, p->tok.len);
        if (name[i]->sym.kind != SYM_FUNC)
            return fail_at(p, p->tok.loc, ERR_SEMANTIC, "'%.60s' is not a function declared above",
                           name[i]->s);
        advance(p);
        if (!expect(p, i == 0 ? ',' : ';'))
            return false;
    }
    Func *to = &p->m->funcs[name[0]->sym.index];
    const Func *from = &p->m->funcs[name[1]->sym.index];
    if (!to->is_extern || from->is_extern || to->is_entry)
        return fail_at(p, name[0]->sym.loc, ERR_SEMANTIC,
                       ".alias takes a prototype and a defined function");
    forget_params(p->m, to);
    const char *kept = to->name;
    *to = *from;
    to->name = kept;
    to->alias_of = from->name;
    return true;
}

static bool linkage(Parser *p, bool *is_extern)
{
    *is_extern = at_word(p, ".extern");
    return at_word(p, ".extern") || at_word(p, ".visible") || at_word(p, ".weak") ||
           at_word(p, ".common");
}

static bool parse_module_item(Parser *p)
{
    bool is_extern = false, one;
    Space space;
    Loc loc = p->tok.loc;
    if (accept(p, ';'))
        return true;
    if (at_punct(p, '@')) { /* @@DWARF ...: to the end of the line */
        while (p->tok.kind != TOK_END && p->tok.loc.line == loc.line)
            advance(p);
        return true;
    }
    for (; linkage(p, &one); advance(p))
        is_extern |= one;
    if (accept_word(p, ".entry"))
        return parse_func(p, true);
    if (accept_word(p, ".func"))
        return parse_func(p, false);
    if (space_of(&p->tok, &space)) {
        advance(p);
        return parse_vars(p, space, is_extern);
    }
    if (accept_word(p, ".version"))
        return version(p);
    if (accept_word(p, ".target"))
        return target(p);
    if (accept_word(p, ".address_size"))
        return address_size(p);
    if (accept_word(p, ".file"))
        return parse_file(p);
    if (accept_word(p, ".section"))
        return skip_section(p);
    if (accept_word(p, ".pragma"))
        return skip_pragma(p);
    if (accept_word(p, ".alias"))
        return alias(p);
    if (accept_word(p, ".loc"))
        return parse_loc(p);
    return expected(
        p, "a directive such as .entry, .func, .global, .const, .shared, .version, .target");
}

static void add_sregs(Parser *p)
{
    for (int32_t i = 0; i < SR_COUNT; i++) {
        Name *name = names_get(&p->names, sreg_info[i].name, strlen(sreg_info[i].name));
        names_bind(&p->names, name, false, (Sym){.kind = SYM_SREG, .index = i});
    }
}

bool isa_parse(Arena *a, const char *path, const char *text, size_t len, Module **out, Err *err)
{
    Loc whole = {.file = path};
    if (len > INT32_MAX)
        return err_set(err, ERR_UNSUPPORTED, whole,
                       "PTX files of more than 2 GiB are not supported");
    Parser *p = arena_new(a, Parser, 1);
    Module *m = arena_new(a, Module, 1);
    p->a = a;
    p->err = err;
    p->m = m;
    p->fs = forms_new(a);
    p->func = -1;
    m->path = path;
    m->target = "";
    m->forms = p->fs;
    names_init(&p->names, a);
    add_sregs(p);
    lex_init(&p->lx, path, text, len, err);
    m->files = grow(a, m->files, 0, &p->cap_files, sizeof *m->files);
    m->files[m->n_files++] = "";
    advance(p);
    if (p->tok.kind != TOK_END && !at_word(p, ".version"))
        return expected(p, ".version (every PTX module begins with it)");
    while (p->tok.kind != TOK_END)
        if (!parse_module_item(p))
            return false;
    if (err->kind != ERR_NONE)
        return false;
    if (m->version_major == 0 || !m->target[0])
        return err_set(err, ERR_SYNTAX, whole,
                       m->version_major ? "there is no .target" : "there is no .version");
    if (!check_externs(p))
        return false;
    layout(m);
    *out = m;
    return true;
}
