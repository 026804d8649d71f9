/* Compiling a syntax line. The line is read left to right by a cursor; a mistake in a row is our
 * bug, hence assert. */
#include "isa/form.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

enum { HASH_SIZE = 4096, MAX_WORDS = 1024 };

typedef struct Cursor {
    const char *s;
    Forms *fs;
    Form *f;
    Arena *a;
    const OpRow *row;
} Cursor;

static uint32_t hash_text(const char *s, size_t n)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)s[i]) * 16777619u;
    return h;
}

int32_t forms_word(const Forms *fs, const char *text, size_t n)
{
    for (uint32_t i = hash_text(text, n) & fs->hash_mask; fs->hash[i];
         i = (i + 1) & fs->hash_mask) {
        const Word *w = &fs->words[fs->hash[i] - 1];
        if (w->len == n && memcmp(w->text, text, n) == 0)
            return fs->hash[i] - 1;
    }
    return -1;
}

static uint16_t word_of(Forms *fs, Arena *a, const char *text, size_t n)
{
    int32_t at = forms_word(fs, text, n);
    if (at >= 0)
        return (uint16_t)at;
    assert(fs->n_words < MAX_WORDS && n > 0);
    Word *w = &fs->words[fs->n_words];
    *w = (Word){.text = arena_str(a, text, n), .len = (uint32_t)n};
    fs->first[fs->n_words] = -1;
    uint32_t i = hash_text(text, n) & fs->hash_mask;
    while (fs->hash[i])
        i = (i + 1) & fs->hash_mask;
    fs->hash[i] = (uint16_t)(fs->n_words + 1);
    return (uint16_t)fs->n_words++;
}

static void add_types_and_classes(Forms *fs, Arena *a)
{
    for (uint32_t t = 1; t < T_COUNT; t++)
        fs->words[word_of(fs, a, type_info[t].name, strlen(type_info[t].name))].type = (uint8_t)t;
    for (uint32_t c = 0; c < MC_COUNT; c++) {
        uint32_t n = mod_value_count((ModClass)c);
        for (uint32_t v = 1; v <= n; v++) {
            const char *text = mod_value_text((ModClass)c, v);
            Word *w = &fs->words[word_of(fs, a, text, strlen(text))];
            assert(w->n_class < WORD_CLASSES && v < MOD_VALUES);
            w->cls[w->n_class] = (uint8_t)c;
            w->value[w->n_class++] = (uint8_t)v;
        }
    }
}

static int class_named(const char *s, size_t n)
{
    for (int c = 0; c < MC_COUNT; c++) {
        const char *word = mod_class_word((ModClass)c);
        if (strlen(word) == n && memcmp(word, s, n) == 0)
            return c;
    }
    return -1;
}

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Length of a modifier word at s: letters, digits, '_' and "::". */
static size_t modifier_len(const char *s)
{
    size_t n = 0;
    while (word_char(s[n]) || s[n] == ':')
        n++;
    return n;
}

static bool text_is(const char *s, size_t n, const char *word)
{
    return strlen(word) == n && memcmp(s, word, n) == 0;
}

/* ---- The types column ---- */

/* The part of the types column that speaks about placeholder `no`, or about the class of this name.
 */
static const char *types_part(const char *types, uint32_t no, const char *cls)
{
    uint32_t at = 0;
    for (const char *s = types; *s;) {
        s += strspn(s, " ");
        const char *end = s + strcspn(s, ";");
        const char *eq = memchr(s, '=', (size_t)(end - s));
        if (eq && cls && text_is(s, (size_t)(eq - s), cls))
            return eq + 1;
        if (!eq && !cls && at == no)
            return s;
        at += !eq;
        s = *end ? end + 1 : end;
    }
    return NULL;
}

/* Steps through the blank-separated words of a part. */
static bool next_choice(const char **s, const char **word, size_t *n)
{
    *s += strspn(*s, " ");
    *word = *s;
    *n = strcspn(*s, " ;");
    *s += *n;
    return *n > 0;
}

static uint64_t type_choices(const Cursor *c, uint32_t no)
{
    const char *s = types_part(c->row->types, no, NULL), *word;
    size_t n;
    uint64_t set = 0;
    assert(s && "a type placeholder without choices");
    while (next_choice(&s, &word, &n)) {
        int32_t w = forms_word(c->fs, word, n);
        assert(w >= 0 && c->fs->words[w].type && "unknown type in the types column");
        set |= (uint64_t)1 << c->fs->words[w].type;
    }
    return set;
}

static void allow_values(const Cursor *c, ModForm *m)
{
    uint32_t count = mod_value_count((ModClass)m->cls);
    const char *s = types_part(c->row->types, 0, mod_class_word((ModClass)m->cls)), *word;
    size_t n;
    for (uint32_t v = 1; !s && v <= count; v++)
        m->allow[v / 64] |= (uint64_t)1 << (v % 64);
    while (s && next_choice(&s, &word, &n)) {
        uint32_t v = 1;
        while (v <= count && !text_is(word, n, mod_value_text((ModClass)m->cls, v)))
            v++;
        assert(v <= count && "unknown value in the types column");
        m->allow[v / 64] |= (uint64_t)1 << (v % 64);
    }
}

/* ---- The opcode ---- */

static void compile_mod(Cursor *c, const char *word, size_t n, uint8_t group)
{
    Form *f = c->f;
    assert(f->n_mods < FORM_MODS);
    ModForm *m = &f->mod[f->n_mods++];
    *m = (ModForm){.group = group};
    int cls = class_named(word, n);
    if (n >= 4 && memcmp(word, "type", 4) == 0 && n <= 5) {
        m->kind = MOD_TYPE;
        m->type_no = (uint8_t)(n == 5 ? word[4] - '1' : 0);
        m->types = type_choices(c, m->type_no);
        m->type_at = f->n_types++;
        assert(!group);
    } else if (cls >= 0) {
        m->kind = MOD_OF_CLASS;
        m->cls = (uint8_t)cls;
        allow_values(c, m);
    } else {
        m->kind = MOD_LITERAL;
        m->word = word_of(c->fs, c->a, word, n);
        if (c->fs->words[m->word].type)
            m->type_at = f->n_types++;
        assert(!group && "an optional literal would be lost; make it a class");
    }
}

static void compile_opcode(Cursor *c)
{
    size_t n = modifier_len(c->s);
    c->f->base = word_of(c->fs, c->a, c->s, n);
    c->s += n;
    uint8_t group = 0, n_groups = 0;
    while (*c->s && *c->s != ' ') {
        if (*c->s == '{') {
            group = ++n_groups;
            c->s++;
        } else if (*c->s == '}') {
            group = 0;
            c->s++;
        } else {
            assert(*c->s == '.');
            n = modifier_len(++c->s);
            compile_mod(c, c->s, n, group);
            c->s += n;
        }
    }
}

/* ---- The operands ---- */

static bool eat(Cursor *c, const char *text)
{
    while (*c->s == ' ')
        c->s++;
    size_t n = strlen(text);
    if (strncmp(c->s, text, n) != 0)
        return false;
    c->s += n;
    return true;
}

static size_t name_len(const Cursor *c)
{
    size_t n = 0;
    while (word_char(c->s[n]))
        n++;
    return n;
}

static void compile_type_rule(Cursor *c, OpdForm *o)
{
    size_t n = name_len(c);
    const char *s = c->s;
    c->s += n;
    if (n == 2 && s[0] == 't' && s[1] >= '1' && s[1] <= '3')
        o->type_rule = (uint8_t)(TR_T1 + (s[1] - '1'));
    else if (text_is(s, n, "w"))
        o->type_rule = TR_WIDE;
    else if (text_is(s, n, "i"))
        o->type_rule = TR_CONST;
    else if (text_is(s, n, "any"))
        o->type_rule = TR_ANY;
    else {
        int32_t w = forms_word(c->fs, s, n);
        assert(w >= 0 && c->fs->words[w].type && "unknown operand type");
        o->type_rule = TR_FIXED;
        o->type = c->fs->words[w].type;
        if (o->type == T_PRED && o->role == OF_VALUE)
            o->role = OF_PRED;
    }
}

static void compile_count_rule(Cursor *c, OpdForm *o)
{
    static const struct {
        const char *word;
        CountRule rule;
    } rules[] = {{"vec", CR_VEC},       {"dim", CR_DIM},     {"num", CR_NUM},
                 {"tmem", CR_TMEM},     {"wgmma", CR_WGMMA}, {"lanes", CR_LANES},
                 {"twonum", CR_TWONUM}, {"afrag", CR_AFRAG}, {"bfrag", CR_BFRAG},
                 {"dfrag", CR_DFRAG}};
    size_t n = name_len(c);
    if (isdigit((unsigned char)*c->s)) {
        o->count_rule = CR_FIXED;
        o->count = (uint8_t)(*c->s - '0');
    }
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (text_is(c->s, n, rules[i].word))
            o->count_rule = (uint8_t)rules[i].rule;
    assert(o->count_rule != CR_ANY);
    c->s += n;
}

static void compile_tie(Cursor *c, OpdForm *o)
{
    size_t n = name_len(c);
    int cls = class_named(c->s, n);
    assert(cls >= 0 && "unknown class after @");
    o->tie = (uint8_t)cls;
    c->s += n;
    if (*c->s != '=')
        return;
    n = name_len((c->s++, c));
    uint32_t v = 1;
    while (!text_is(c->s, n, mod_value_text((ModClass)cls, v)))
        v++;
    o->tie_value = (uint8_t)v;
    c->s += n;
}

static void compile_notes(Cursor *c, OpdForm *o)
{
    bool rw = false;
    for (;;) {
        char mark = *c->s;
        if (mark == ':') {
            c->s++;
            compile_type_rule(c, o);
        } else if (mark == '*') {
            c->s++;
            compile_count_rule(c, o);
        } else if (mark == '@') {
            c->s++;
            compile_tie(c, o);
        } else if (mark == '+') {
            c->s++;
            o->may_be_wider = true;
        } else if (mark == '?') {
            c->s++;
            o->may_sink = true;
        } else if (mark == '!') {
            assert(strncmp(c->s, "!rw", 3) == 0);
            c->s += 3;
            rw = true;
        } else {
            break;
        }
    }
    if (rw)
        o->is_src = true;
}

/* What the name of an operand says about it. */
static OpdRole role_of(const char *name, size_t n)
{
    if (text_is(name, n, "p") || text_is(name, n, "q"))
        return OF_PRED;
    if (text_is(name, n, "v") || text_is(name, n, "vb"))
        return OF_VALVEC;
    if (text_is(name, n, "label"))
        return OF_LABEL;
    if (text_is(name, n, "targets"))
        return OF_TARGETS;
    if (text_is(name, n, "func"))
        return OF_FUNC;
    if (text_is(name, n, "proto"))
        return OF_PROTO;
    return OF_VALUE;
}

static OpdForm *add_opd(Cursor *c, uint8_t group)
{
    assert(c->f->n_opds < FORM_OPDS);
    OpdForm *o = &c->f->opd[c->f->n_opds++];
    *o = (OpdForm){.group = group, .tie = MC_COUNT, .is_src = true};
    o->type_rule = c->f->n_types ? TR_T1 : TR_ANY;
    return o;
}

/* One name with what encloses it: d, {d}, [a], (a). */
static OpdForm *compile_place(Cursor *c, uint8_t group)
{
    OpdForm *o = add_opd(c, group);
    char open = *c->s;
    bool enclosed = open == '{' || open == '[' || open == '(';
    if (enclosed)
        c->s++;
    size_t n = name_len(c);
    assert(n > 0);
    o->name = arena_str(c->a, c->s, n);
    o->role = (uint8_t)(open == '{'   ? OF_VEC
                        : open == '[' ? OF_MEM
                        : open == '(' ? OF_ARGS
                                      : role_of(c->s, n));
    if (o->role == OF_PRED) {
        o->type_rule = TR_FIXED;
        o->type = T_PRED;
    }
    if (o->role == OF_VALVEC)
        o->count_rule = CR_VEC;
    c->s += n;
    bool first = c->f->n_opds == 1;
    if (open == '[' && eat(c, ",")) {
        while (*c->s == ' ')
            c->s++;
        compile_place(c, group)->in_bracket = true;
    }
    if (enclosed) {
        bool closed = eat(c, open == '{' ? "}" : open == '[' ? "]" : ")");
        assert(closed && "an operand place is not closed");
        (void)closed;
    }
    if (first && open != '[' && (n == 1 && strchr("dpqv", o->name[0]))) {
        o->is_dst = true;
        o->is_src = false;
    }
    compile_notes(c, o);
    if (o->role == OF_MEM)
        o->type_rule = TR_ANY;
    return o;
}

static void compile_operands(Cursor *c)
{
    uint8_t group = 0;
    while (*c->s == ' ')
        c->s++;
    while (*c->s) {
        OpdForm *o = compile_place(c, group);
        if (eat(c, "{|")) {
            OpdForm *second = compile_place(c, ++c->f->n_groups);
            second->paired = true;
            second->is_dst = o->is_dst;
            second->is_src = o->is_src;
            assert(*c->s == '}');
            c->s++;
        } else if (eat(c, "|")) {
            OpdForm *second = compile_place(c, group);
            second->paired = true;
            second->is_dst = o->is_dst;
            second->is_src = o->is_src;
        }
        if (eat(c, "}"))
            group = 0;
        if (eat(c, "{,"))
            group = ++c->f->n_groups;
        else
            eat(c, ",");
        while (*c->s == ' ')
            c->s++;
    }
}

const Forms *forms_new(Arena *a)
{
    Forms *fs = arena_new(a, Forms, 1);
    fs->words = arena_new(a, Word, MAX_WORDS);
    fs->first = arena_new(a, int32_t, MAX_WORDS);
    fs->hash = arena_new(a, uint16_t, HASH_SIZE);
    fs->hash_mask = HASH_SIZE - 1;
    add_types_and_classes(fs, a);
    for (uint32_t i = 0; i < OP_COUNT; i++) {
        fs->form[i].next = -1;
        Cursor c = {.s = op_row[i].syntax, .fs = fs, .f = &fs->form[i], .a = a, .row = &op_row[i]};
        compile_opcode(&c);
        compile_operands(&c);
    }
    for (uint32_t i = OP_COUNT; i-- > 0;) { /* rows of one mnemonic, in the order of the table */
        Form *f = &fs->form[i];
        f->next = fs->first[f->base];
        fs->first[f->base] = (int32_t)i;
    }
    return fs;
}
