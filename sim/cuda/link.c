#include "sim/cuda/link.h"

#include <stdlib.h>
#include <string.h>

typedef struct Word {
    const char *s;
    size_t n;
} Word;

/* Of a statement at module scope. */
typedef enum Linkage { LN_NONE, LN_WEAK, LN_STRONG } Linkage;
typedef struct Statement {
    size_t from, to; /* in its text */
    size_t head;     /* where its body or initial value begins; 0: it has none */
    Word name;       /* of a function or variable; n 0: it declares none */
    Linkage linkage; /* NONE: the name is the text's own */
    bool defines;    /* not a prototype, not .extern */
    bool entry;
    bool header;      /* .version, .target, .address_size */
    uint32_t version; /* of .version: 1000 major + minor */
} Statement;

typedef struct Symbol { /* a name in one text */
    Word name;
    uint32_t text;
    Linkage linkage;
    bool defines;
} Symbol;

typedef struct Linker {
    Arena *arena;
    const LinkText *in;
    uint32_t n;
    Statement **statements; /* of each text */
    uint32_t *n_statements;
    Symbol *symbols; /* of all texts, by name, then by text */
    uint32_t n_symbols;
    char *out;
    size_t len, cap;
} Linker;

typedef struct Scan {
    const char *text;
    size_t len, at;
} Scan;

/* ---- Words of a text ---- */

static bool starts_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c == '%';
}

static bool in_word(char c)
{
    return starts_word(c) || (c >= '0' && c <= '9');
}

static bool here(const Scan *s, const char *what)
{
    size_t n = strlen(what);
    return s->len - s->at >= n && memcmp(s->text + s->at, what, n) == 0;
}

static void skip_to(Scan *s, const char *end)
{
    while (s->at < s->len && !here(s, end))
        s->at++;
    s->at = s->at < s->len ? s->at + strlen(end) : s->len;
}

/* Behind a comment or a string that starts here. */
static bool skip_quoted(Scan *s)
{
    static const char *const quotes[][2] = {{"//", "\n"}, {"/*", "*/"}, {"\"", "\""}};
    for (size_t i = 0; i < sizeof quotes / sizeof quotes[0]; i++)
        if (here(s, quotes[i][0])) {
            s->at += strlen(quotes[i][0]);
            skip_to(s, quotes[i][1]);
            return true;
        }
    return false;
}

/* The next word, directive (with its dot) or number; one character of anything else. */
static Word next_word(Scan *s)
{
    while (s->at < s->len && (strchr(" \t\r\n", s->text[s->at]) || skip_quoted(s)))
        if (s->at < s->len && strchr(" \t\r\n", s->text[s->at]))
            s->at++;
    size_t from = s->at;
    if (s->at < s->len)
        s->at++;
    if (s->at > from && (in_word(s->text[from]) || s->text[from] == '.'))
        while (s->at < s->len && in_word(s->text[s->at]))
            s->at++;
    return (Word){s->text + from, s->at - from};
}

static bool is(Word w, const char *what)
{
    return w.n == strlen(what) && memcmp(w.s, what, w.n) == 0;
}

/* ---- Statements ---- */

static bool skip_brackets(Scan *s, char open, char close)
{
    for (int depth = 1; depth > 0;) {
        Word w = next_word(s);
        if (w.n == 0)
            return false;
        depth += w.n == 1 && *w.s == open;
        depth -= w.n == 1 && *w.s == close;
    }
    return true;
}

/* Directives that a line ends, not a semicolon. */
static bool line_directive(Scan *s, Word w, Statement *st)
{
    st->header = is(w, ".version") || is(w, ".target") || is(w, ".address_size");
    if (is(w, ".version")) {
        char *minor;
        st->version = 1000 * (uint32_t)strtoul(s->text + s->at, &minor, 10);
        st->version += *minor == '.' ? (uint32_t)strtoul(minor + 1, NULL, 10) : 0;
    }
    if (!st->header && !is(w, ".file") && !is(w, ".loc") && !is(w, "@"))
        return false;
    skip_to(s, "\n");
    return true;
}

/* A function, a variable, .pragma, .alias: up to its ';' or the end of its body. */
static bool other_statement(Scan *s, Word w, Statement *st)
{
    bool is_func = false, has_extern = false, body = is(w, ".section");
    for (; w.n; w = next_word(s)) {
        has_extern |= is(w, ".extern");
        if (!st->head && (is(w, "{") || is(w, "=") || is(w, ";")))
            st->head = (size_t)(w.s - s->text);
        if (is(w, ".weak") || is(w, ".common"))
            st->linkage = LN_WEAK;
        else if (is(w, ".visible") || is(w, ".extern"))
            st->linkage = LN_STRONG;
        else if (is(w, ".func") || is(w, ".entry")) {
            body = is_func = true;
            st->entry = is(w, ".entry");
        } else if (is(w, "(")) {
            if (!skip_brackets(s, '(', ')'))
                return false;
        } else if (is(w, "{")) {
            if (!skip_brackets(s, '{', '}'))
                return false;
            st->defines = true;
            if (body)
                return true;
        } else if (is(w, ";")) {
            st->defines = (st->defines || !is_func) && !has_extern;
            return true;
        } else if (starts_word(*w.s) && st->name.n == 0) {
            st->name = w;
        }
    }
    return false;
}

static bool split(Linker *l, uint32_t t, Err *err)
{
    Scan s = {l->in[t].text, l->in[t].len, 0};
    uint32_t cap = 0, n = 0;
    Statement *list = NULL;
    for (;;) {
        Word w = next_word(&s);
        if (w.n == 0)
            break;
        Statement st = {.from = (size_t)(w.s - s.text)};
        bool names = is(w, ".visible") || is(w, ".extern") || is(w, ".weak") || is(w, ".common") ||
                     is(w, ".func") || is(w, ".entry") || is(w, ".global") || is(w, ".const") ||
                     is(w, ".shared");
        if (!line_directive(&s, w, &st) && !other_statement(&s, w, &st))
            return err_set(err, ERR_SYNTAX, (Loc){0},
                           "text %u of %u that are linked ends inside a statement", t + 1, l->n);
        if (!names)
            st.name.n = 0;
        st.to = s.at;
        if (n == cap) {
            cap = cap ? 2 * cap : 64;
            Statement *more = arena_new(l->arena, Statement, cap);
            if (n)
                memcpy(more, list, n * sizeof *list);
            list = more;
        }
        list[n++] = st;
        l->n_symbols += st.name.n > 0;
    }
    l->statements[t] = list;
    l->n_statements[t] = n;
    return true;
}

/* ---- Symbols ---- */

static int compare_words(Word a, Word b)
{
    int c = memcmp(a.s, b.s, a.n < b.n ? a.n : b.n);
    return c ? c : a.n < b.n ? -1 : a.n > b.n;
}

static int by_name(const void *va, const void *vb)
{
    const Symbol *a = va, *b = vb;
    int c = compare_words(a->name, b->name);
    return c ? c : a->text < b->text ? -1 : a->text > b->text;
}

static void gather_symbols(Linker *l)
{
    l->symbols = arena_new(l->arena, Symbol, l->n_symbols + 1);
    uint32_t n = 0;
    for (uint32_t t = 0; t < l->n; t++)
        for (uint32_t i = 0; i < l->n_statements[t]; i++) {
            const Statement *st = &l->statements[t][i];
            if (st->name.n)
                l->symbols[n++] = (Symbol){st->name, t, st->linkage, st->defines};
        }
    qsort(l->symbols, n, sizeof *l->symbols, by_name);
}

/* All symbols of a name: the first, and how many. */
static const Symbol *find_symbols(const Linker *l, Word name, uint32_t *n)
{
    uint32_t lo = 0, hi = l->n_symbols;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (compare_words(l->symbols[mid].name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (*n = 0; lo + *n < l->n_symbols; ++*n)
        if (compare_words(l->symbols[lo + *n].name, name) != 0)
            break;
    return &l->symbols[lo];
}

/* Whether the name is this text's own and is seen elsewhere as well. */
static bool needs_suffix(const Linker *l, Word name, uint32_t text)
{
    uint32_t n;
    const Symbol *s = find_symbols(l, name, &n);
    bool own = false, elsewhere = false;
    for (uint32_t i = 0; i < n; i++) {
        own |= s[i].text == text && s[i].linkage == LN_NONE;
        elsewhere |= s[i].text != text;
    }
    return own && elsewhere;
}

/* Whether another text's definition stands for this one. */
static bool is_superseded(const Linker *l, const Statement *st, uint32_t text)
{
    uint32_t n;
    if (!st->name.n || !st->defines || st->linkage != LN_WEAK)
        return false;
    const Symbol *s = find_symbols(l, st->name, &n);
    for (uint32_t i = 0; i < n; i++)
        if (s[i].defines && s[i].linkage != LN_NONE &&
            (s[i].linkage == LN_STRONG || s[i].text < text))
            return true;
    return false;
}

/* ---- Output ---- */

static void put(Linker *l, const char *s, size_t n)
{
    if (l->len + n + 1 > l->cap) {
        size_t cap = 2 * (l->len + n + 1);
        char *more = arena_alloc(l->arena, cap);
        if (l->len)
            memcpy(more, l->out, l->len);
        l->out = more;
        l->cap = cap;
    }
    memcpy(l->out + l->len, s, n);
    l->len += n;
}

static void put_number(Linker *l, uint32_t v)
{
    char text[16];
    put(l, text, (size_t)snprintf(text, sizeof text, "%u", v));
}

/* Copies a statement with its words renamed and its files renumbered from `file` on. */
static void put_statement(Linker *l, const Statement *st, uint32_t text, uint32_t file,
                          uint32_t *last_file)
{
    Scan s = {l->in[text].text, st->to, st->from};
    size_t copied = st->from;
    bool is_file = false;
    while (s.at < st->to) {
        Word w = next_word(&s);
        size_t at = (size_t)(w.s - s.text);
        bool number = is_file && w.n && *w.s >= '0' && *w.s <= '9';
        bool rename = w.n && starts_word(*w.s) && needs_suffix(l, w, text);
        is_file = is(w, ".file") || is(w, ".loc") || is(w, "inlined_at");
        if (!number && !rename)
            continue;
        put(l, s.text + copied, at - copied);
        copied = at + w.n;
        if (number) {
            uint32_t v = file + (uint32_t)strtoul(w.s, NULL, 10);
            *last_file = v > *last_file ? v : *last_file;
            put_number(l, v);
        } else {
            put(l, w.s, w.n);
            put(l, "$", 1);
            put_number(l, text + 1);
        }
    }
    put(l, s.text + copied, st->to - copied);
    put(l, "\n", 1);
}

/* What stands for a definition that another text has, perhaps further down. */
static void put_declaration(Linker *l, const Statement *st, uint32_t text)
{
    Scan s = {l->in[text].text, st->head, st->from};
    if (st->entry)
        return;
    next_word(&s); /* .weak or .common, which stand first */
    put(l, ".extern", 7);
    put(l, s.text + s.at, st->head - s.at);
    put(l, ";\n", 2);
}

static void put_header(Linker *l, const char *target)
{
    uint32_t version = 0;
    for (uint32_t t = 0; t < l->n; t++)
        for (uint32_t i = 0; i < l->n_statements[t]; i++)
            if (l->statements[t][i].version > version)
                version = l->statements[t][i].version;
    char text[200];
    put(l, text,
        (size_t)snprintf(text, sizeof text, ".version %u.%u\n.target %.100s\n.address_size 64\n",
                         version / 1000, version % 1000, target));
}

bool link_ptx(Arena *a, const LinkText *in, uint32_t n, const char *target, const char **out,
              size_t *len, Err *err)
{
    Linker l = {.arena = a, .in = in, .n = n};
    l.statements = arena_new(a, Statement *, n);
    l.n_statements = arena_new(a, uint32_t, n);
    for (uint32_t t = 0; t < n; t++)
        if (!split(&l, t, err))
            return false;
    gather_symbols(&l);
    put_header(&l, target);
    uint32_t last_file = 0;
    for (uint32_t t = 0; t < n; t++) {
        uint32_t file = last_file;
        for (uint32_t i = 0; i < l.n_statements[t]; i++) {
            const Statement *st = &l.statements[t][i];
            if (is_superseded(&l, st, t))
                put_declaration(&l, st, t);
            else if (!st->header)
                put_statement(&l, st, t, file, &last_file);
        }
    }
    put(&l, "", 1);
    *out = l.out;
    *len = l.len - 1;
    return true;
}
