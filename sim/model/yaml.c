/* Events of libyaml become a tree; see yaml.h. The tree is built by recursion, which MAX_DEPTH
 * bounds. */
#include "sim/model/yaml.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define MAX_BYTES ((size_t)16 << 20)
#define MAX_DEPTH 32u
#define MAX_NODES 1000000u
#define MAX_WORD 63u /* of a word that is compared with another */

typedef struct Reader {
    yaml_parser_t yaml;
    Arena *a;
    const char *path;
    uint32_t n_nodes, depth;
    Err *err;
} Reader;

typedef struct Growing { /* children while their number is unknown */
    void *data;
    size_t n, cap, size;
} Growing;

static Loc loc_of(const Reader *r, yaml_mark_t m)
{
    return (Loc){r->path, (uint32_t)m.line + 1, (uint32_t)m.column + 1};
}

static bool next_event(Reader *r, yaml_event_t *e)
{
    if (yaml_parser_parse(&r->yaml, e))
        return true;
    const char *problem = r->yaml.problem ? r->yaml.problem : "cannot be read";
    Loc loc = loc_of(r, r->yaml.problem_mark);
    if (r->yaml.error == YAML_READER_ERROR)
        loc = (Loc){r->path, 0, 0};
    err_set(r->err, ERR_SYNTAX, loc, "not YAML: %s", problem);
    if (r->yaml.context && r->yaml.context_mark.line + 1 < loc.line)
        err_append(r->err, " (%s that began on line %zu)", r->yaml.context,
                   r->yaml.context_mark.line + 1);
    return false;
}

static void *grow(Arena *a, Growing *g)
{
    if (g->n == g->cap) {
        size_t cap = g->cap ? 2 * g->cap : 8;
        void *data = arena_alloc(a, cap * g->size);
        if (g->n)
            memcpy(data, g->data, g->n * g->size);
        g->data = data;
        g->cap = cap;
    }
    return (char *)g->data + g->size * g->n++;
}

static bool read_node(Reader *r, yaml_event_t *e, YmlNode **out);

static bool read_list(Reader *r, YmlNode *n)
{
    Growing g = {.size = sizeof(YmlNode *)};
    yaml_event_t e;
    for (;;) {
        if (!next_event(r, &e))
            return false;
        if (e.type == YAML_SEQUENCE_END_EVENT)
            break;
        YmlNode *item;
        if (!read_node(r, &e, &item))
            return false;
        *(YmlNode **)grow(r->a, &g) = item;
    }
    yaml_event_delete(&e);
    n->items = g.data;
    n->n = (uint32_t)g.n;
    return true;
}

static int by_key(const void *x, const void *y)
{
    const YmlPair *const *p = x, *const *q = y;
    int c = strcmp((*p)->key, (*q)->key);
    return c ? c : (*p > *q) - (*p < *q);
}

/* Sorts pointers rather than comparing all pairs: a hostile file may have a hundred thousand keys.
 */
static bool no_key_twice(Reader *r, const YmlNode *n)
{
    const YmlPair **sorted = arena_new(r->a, const YmlPair *, n->n + 1);
    for (uint32_t i = 0; i < n->n; i++)
        sorted[i] = &n->pairs[i];
    qsort(sorted, n->n, sizeof *sorted, by_key);
    const YmlPair *first = NULL, *again = NULL;
    for (uint32_t i = 1; i < n->n; i++) {
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0 && (!again || sorted[i] < again)) {
            first = sorted[i - 1];
            again = sorted[i];
        }
    }
    if (!again)
        return true;
    return err_set(r->err, ERR_SYNTAX, again->loc, "'%s' was already set on line %u", again->key,
                   first->loc.line);
}

static bool read_map(Reader *r, YmlNode *n)
{
    Growing g = {.size = sizeof(YmlPair)};
    yaml_event_t e;
    for (;;) {
        if (!next_event(r, &e))
            return false;
        if (e.type == YAML_MAPPING_END_EVENT)
            break;
        YmlNode *key, *value;
        if (!read_node(r, &e, &key))
            return false;
        if (key->kind != YML_SCALAR || !key->text[0])
            return err_set(r->err, ERR_SYNTAX, key->loc, "a key must be a word");
        if (!next_event(r, &e) || !read_node(r, &e, &value))
            return false;
        *(YmlPair *)grow(r->a, &g) = (YmlPair){key->text, key->loc, value};
    }
    yaml_event_delete(&e);
    n->pairs = g.data;
    n->n = (uint32_t)g.n;
    return no_key_twice(r, n);
}

static bool refuse(Reader *r, Loc loc, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor)
        return err_set(r->err, ERR_SYNTAX, loc, "anchors are not allowed here: '&%s'",
                       (const char *)anchor);
    if (tag)
        return err_set(r->err, ERR_SYNTAX, loc, "tags are not allowed here: '%s'",
                       (const char *)tag);
    return true;
}

static bool read_scalar(Reader *r, const yaml_event_t *e, YmlNode *n)
{
    n->kind = YML_SCALAR;
    n->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    n->text = arena_str(r->a, (const char *)e->data.scalar.value, e->data.scalar.length);
    if (strlen(n->text) != e->data.scalar.length)
        return err_set(r->err, ERR_SYNTAX, n->loc, "a NUL character in '%s'", n->text);
    return refuse(r, n->loc, e->data.scalar.anchor, e->data.scalar.tag);
}

/* The node that begins with event e, which is deleted here in every case. */
static bool read_node(Reader *r, yaml_event_t *e, YmlNode **out)
{
    YmlNode *n = *out = arena_new(r->a, YmlNode, 1);
    n->loc = loc_of(r, e->start_mark);
    yaml_event_type_t type = e->type;
    bool ok = true;
    if (++r->n_nodes > MAX_NODES)
        ok = err_set(r->err, ERR_SYNTAX, n->loc, "more than %u values in one file", MAX_NODES);
    else if (type == YAML_SCALAR_EVENT)
        ok = read_scalar(r, e, n);
    else if (type == YAML_SEQUENCE_START_EVENT)
        ok = refuse(r, n->loc, e->data.sequence_start.anchor, e->data.sequence_start.tag);
    else if (type == YAML_MAPPING_START_EVENT)
        ok = refuse(r, n->loc, e->data.mapping_start.anchor, e->data.mapping_start.tag);
    else
        ok = err_set(r->err, ERR_SYNTAX, n->loc, "aliases are not allowed here: '*%s'",
                     type == YAML_ALIAS_EVENT ? (const char *)e->data.alias.anchor : "");
    yaml_event_delete(e);
    if (!ok || type == YAML_SCALAR_EVENT)
        return ok;
    if (r->depth == MAX_DEPTH)
        return err_set(r->err, ERR_SYNTAX, n->loc, "nested deeper than %u levels", MAX_DEPTH);
    r->depth++;
    n->kind = type == YAML_MAPPING_START_EVENT ? YML_MAP : YML_LIST;
    ok = n->kind == YML_MAP ? read_map(r, n) : read_list(r, n);
    r->depth--;
    return ok;
}

static bool expect_event(Reader *r, yaml_event_type_t type, const char *message)
{
    yaml_event_t e;
    if (!next_event(r, &e))
        return false;
    bool ok = e.type == type;
    if (!ok)
        err_set(r->err, ERR_SYNTAX, loc_of(r, e.start_mark), "%s", message);
    yaml_event_delete(&e);
    return ok;
}

static bool read_document(Reader *r, YmlNode **out)
{
    yaml_event_t e;
    return expect_event(r, YAML_STREAM_START_EVENT, "not YAML") &&
           expect_event(r, YAML_DOCUMENT_START_EVENT, "the file is empty") && next_event(r, &e) &&
           read_node(r, &e, out) && expect_event(r, YAML_DOCUMENT_END_EVENT, "not YAML") &&
           expect_event(r, YAML_STREAM_END_EVENT, "a second document in the file");
}

bool yml_parse(Arena *a, const char *path, const char *text, size_t len, const YmlNode **out,
               Err *err)
{
    Reader r = {.a = a, .path = arena_str(a, path, strlen(path)), .err = err};
    if (len > MAX_BYTES)
        return err_set(err, ERR_SYNTAX, (Loc){r.path, 0, 0}, "larger than %zu bytes", MAX_BYTES);
    if (!yaml_parser_initialize(&r.yaml))
        return err_set(err, ERR_IO, (Loc){r.path, 0, 0}, "out of memory");
    yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.yaml, (const unsigned char *)text, len);
    YmlNode *root = NULL;
    bool ok = read_document(&r, &root);
    yaml_parser_delete(&r.yaml);
    *out = root;
    return ok;
}

bool yml_load(Arena *a, const char *path, const YmlNode **out, Err *err)
{
    path = arena_str(a, path, strlen(path));
    Loc loc = {path, 0, 0};
    FILE *f = fopen(path, "rb");
    if (!f)
        return err_set(err, ERR_IO, loc, "cannot open: %s", strerror(errno));
    size_t n = 0, cap = 0;
    char *text = NULL;
    do { /* not by size: the file may be a pipe */
        size_t more = cap ? 2 * cap : (size_t)1 << 14;
        char *bigger = arena_alloc(a, more);
        if (n)
            memcpy(bigger, text, n);
        text = bigger;
        cap = more;
        n += fread(text + n, 1, cap - n, f);
    } while (n == cap && n <= MAX_BYTES);
    bool bad = ferror(f) != 0;
    int why = errno;
    fclose(f);
    if (bad)
        return err_set(err, ERR_IO, loc, "cannot read: %s", strerror(why));
    return yml_parse(a, path, text, n, out, err);
}

const YmlPair *yml_find(const YmlNode *map, const char *key)
{
    for (uint32_t i = 0; i < map->n; i++)
        if (strcmp(map->pairs[i].key, key) == 0)
            return &map->pairs[i];
    return NULL;
}

static const char *describe(const YmlNode *n)
{
    switch (n->kind) {
    case YML_SCALAR:
        return n->text[0] ? n->text : "nothing";
    case YML_LIST:
        return "a list";
    case YML_MAP:
        return "a map";
    }
    return "";
}

static bool wrong_kind(const YmlNode *n, const char *what, const char *want, Err *err)
{
    const char *quote = n->kind == YML_SCALAR && n->text[0] ? "'" : "";
    return err_set(err, ERR_SEMANTIC, n->loc, "%s must be %s, not %s%.60s%s", what, want, quote,
                   describe(n), quote);
}

bool yml_is_map(const YmlNode *n, const char *what, Err *err)
{
    return n->kind == YML_MAP || wrong_kind(n, what, "a map of keys", err);
}

bool yml_is_list(const YmlNode *n, const char *what, Err *err)
{
    return n->kind == YML_LIST || wrong_kind(n, what, "a list", err);
}

bool yml_map_of(const YmlNode *n, const char *what, const char *const *keys, Err *err)
{
    if (!yml_is_map(n, what, err))
        return false;
    for (uint32_t i = 0; i < n->n; i++) {
        const YmlPair *p = &n->pairs[i];
        const char *const *k = keys;
        while (*k && strcmp(*k, p->key) != 0)
            k++;
        if (*k)
            continue;
        char hint[512];
        yml_suggest(hint, sizeof hint, p->key, keys);
        return err_set(err, ERR_SEMANTIC, p->loc, "unknown key '%.60s' in %s%s", p->key, what,
                       hint);
    }
    return true;
}

bool yml_need(const YmlNode *map, const char *what, const char *key, const YmlNode **out, Err *err)
{
    const YmlPair *p = yml_find(map, key);
    if (!p)
        return err_set(err, ERR_SEMANTIC, map->loc, "missing key '%s' in %s", key, what);
    *out = p->value;
    return true;
}

bool yml_word(const YmlNode *n, const char *what, const char **out, Err *err)
{
    if (n->kind != YML_SCALAR || !n->text[0])
        return wrong_kind(n, what, "a word", err);
    *out = n->text;
    return true;
}

bool yml_bool(const YmlNode *n, const char *what, bool *out, Err *err)
{
    *out = n->kind == YML_SCALAR && strcmp(n->text, "true") == 0;
    if (*out || (n->kind == YML_SCALAR && strcmp(n->text, "false") == 0))
        return true;
    return wrong_kind(n, what, "true or false", err);
}

bool yml_text_uint(const char *text, uint64_t *out)
{
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *digits = hex ? text + 2 : text;
    if (!hex && digits[0] == '0' && digits[1])
        return false; /* 010: decimal or octal? */
    size_t n = 0;
    while (hex ? isxdigit((unsigned char)digits[n]) : isdigit((unsigned char)digits[n]))
        n++;
    if (n == 0 || digits[n])
        return false;
    errno = 0;
    *out = strtoull(digits, NULL, hex ? 16 : 10);
    return errno == 0;
}

bool yml_uint(const YmlNode *n, const char *what, uint64_t lo, uint64_t hi, uint64_t *out, Err *err)
{
    if (n->kind == YML_SCALAR && yml_text_uint(n->text, out) && *out >= lo && *out <= hi)
        return true;
    char want[80];
    snprintf(want, sizeof want, "a whole number %" PRIu64 "..%" PRIu64, lo, hi);
    return wrong_kind(n, what, want, err);
}

/* [+-] digits [. digits] [e [+-] digits], with a digit before or after the point. */
bool yml_text_number(const char *text, double *out)
{
    const char *p = text;
    size_t n = 0, digits;
    p += *p == '-' || *p == '+';
    const char *start = p;
    for (; isdigit((unsigned char)*p); p++)
        n++;
    bool leading_zero = n > 1 && start[0] == '0';
    if (*p == '.')
        for (p++; isdigit((unsigned char)*p); p++)
            n++;
    if (n == 0 || leading_zero)
        return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '-' || *p == '+';
        for (digits = 0; isdigit((unsigned char)*p); p++)
            digits++;
        if (digits == 0)
            return false;
    }
    if (*p)
        return false;
    *out = strtod(text, NULL);
    return isfinite(*out);
}

bool yml_number(const YmlNode *n, const char *what, double *out, Err *err)
{
    if (n->kind == YML_SCALAR && yml_text_number(n->text, out))
        return true;
    return wrong_kind(n, what, "a number", err);
}

bool yml_choice(const YmlNode *n, const char *what, const char *const *words, uint32_t *out,
                Err *err)
{
    const char *word = "";
    if (!yml_word(n, what, &word, err))
        return false;
    for (*out = 0; words[*out]; ++*out)
        if (strcmp(words[*out], word) == 0)
            return true;
    char hint[512];
    yml_suggest(hint, sizeof hint, word, words);
    return err_set(err, ERR_SEMANTIC, n->loc, "%s cannot be '%.60s'%s", what, word, hint);
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

uint32_t yml_distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    if (na > MAX_WORD || nb > MAX_WORD)
        return 1000;
    uint32_t row[3][MAX_WORD + 1]; /* of the table: two letters ago, one ago, now */
    for (uint32_t j = 0; j <= nb; j++)
        row[1][j] = j;
    for (uint32_t i = 1; i <= na; i++) {
        row[2][0] = i;
        for (uint32_t j = 1; j <= nb; j++) {
            uint32_t d = row[1][j - 1] + (a[i - 1] != b[j - 1]);
            d = least(d, least(row[1][j], row[2][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d = least(d, row[0][j - 2] + 1);
            row[2][j] = d;
        }
        memmove(row[0], row[1], 2 * sizeof row[0]);
    }
    return row[1][nb];
}

void yml_suggest(char *text, size_t n, const char *word, const char *const *words)
{
    const char *best = NULL;
    uint32_t best_distance = UINT32_MAX, n_words = 0;
    for (; words[n_words]; n_words++) {
        uint32_t d = yml_distance(word, words[n_words]);
        if (d < best_distance) {
            best = words[n_words];
            best_distance = d;
        }
    }
    text[0] = 0;
    if (best && best_distance <= 1 + strlen(word) / 4 && best_distance < strlen(word)) {
        snprintf(text, n, "; did you mean '%s'?", best);
        return;
    }
    for (uint32_t i = 0; i < n_words && i < 24; i++) {
        size_t at = strlen(text);
        snprintf(text + at, n - at, "%s%s", i ? ", " : "; legal: ", words[i]);
    }
}
