/* Reads models/NAME.yaml: nested maps whose leaves are {value, status, source}, one for each row of
 * model.def.
 *
 * A file with `base: NAME` is the base with some leaves replaced, so the base is read first, into
 * the same Model. What is complete is judged at the end, once. */
#include "sim/model/model.h"

#include <assert.h>
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/model/yaml.h"

#define MAX_BASES 8u
#define MAX_DIRS 16u
#define MAX_NAMES 64u /* models listed in a message, words offered in one */
#define MAX_KEY 256u
#define N_NEAREST 3u

const ParamInfo param_info[MP_COUNT] = {
#define PARAM(id, key, min, max, unit, meaning) {key, min, max, unit, meaning},
#include "sim/model/model.def"
#undef PARAM
};

const char *const param_status_name[4] = {"measured", "documented", "derived", "assumed"};

/* Keys of a file that are not parameters. */
static const char *const head_keys[] = {"name", "target", "base", "description"};
#define N_HEAD_KEYS (sizeof head_keys / sizeof *head_keys)

typedef struct Loader {
    Arena *a;
    Model *m;
    bool present[MP_COUNT];
    const char *chain[MAX_BASES]; /* paths of the files being read, the variant first */
    uint32_t n_chain;
    Err *err;
} Loader;

static bool is_head_key(const char *key)
{
    for (size_t i = 0; i < N_HEAD_KEYS; i++)
        if (strcmp(key, head_keys[i]) == 0)
            return true;
    return false;
}

static uint64_t hash_values(const Model *m)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, 64 bits */
    for (uint32_t i = 0; i < MP_COUNT; i++) {
        uint64_t bits;
        memcpy(&bits, &m->v[i], sizeof bits);
        for (int shift = 0; shift < 64; shift += 8)
            h = (h ^ (bits >> shift & 0xff)) * 0x100000001b3u;
    }
    return h;
}

static bool in_range(uint32_t id, double v)
{
    return v >= param_info[id].min && v <= param_info[id].max;
}

static bool range_error(uint32_t id, const char *text, Loc loc, Err *err)
{
    const ParamInfo *p = &param_info[id];
    return err_set(err, ERR_SEMANTIC, loc, "'%s' must be %.10g..%.10g %s, not '%.60s'", p->key,
                   p->min, p->max, p->unit, text);
}

static bool read_leaf(Loader *l, uint32_t id, const YmlNode *n)
{
    static const char *const keys[] = {"value", "status", "source", NULL};
    const char *statuses[5] = {NULL}; /* NULL at the end */
    memcpy(statuses, param_status_name, sizeof param_status_name);
    char what[MAX_KEY + 16];
    snprintf(what, sizeof what, "'%s'", param_info[id].key);
    const YmlNode *value, *status, *source;
    if (!yml_map_of(n, what, keys, l->err) || !yml_need(n, what, "value", &value, l->err) ||
        !yml_need(n, what, "status", &status, l->err) ||
        !yml_need(n, what, "source", &source, l->err))
        return false;

    double v;
    if (value->kind != YML_SCALAR)
        return yml_number(value, what, &v, l->err);
    if (value->quoted || !yml_text_number(value->text, &v) || !in_range(id, v))
        return range_error(id, value->text, value->loc, l->err);
    uint32_t st;
    snprintf(what, sizeof what, "the status of '%s'", param_info[id].key);
    if (!yml_choice(status, what, statuses, &st, l->err))
        return false;
    snprintf(what, sizeof what, "the source of '%s'", param_info[id].key);
    const char *text;
    if (!yml_word(source, what, &text, l->err))
        return false;
    if (strspn(text, " \t\n") == strlen(text))
        return err_set(l->err, ERR_SEMANTIC, source->loc, "%s is empty", what);
    l->m->v[id] = v;
    l->m->status[id] = (uint8_t)st;
    l->m->source[id] = text;
    l->present[id] = true;
    return true;
}

/* The words that may follow "prefix." (all first words for ""), without repeats. */
static void next_words(Loader *l, const char *prefix, const char *words[MAX_NAMES + 1])
{
    uint32_t n = 0;
    size_t skip = strlen(prefix);
    for (size_t i = 0; skip == 0 && i < N_HEAD_KEYS; i++)
        words[n++] = head_keys[i];
    for (uint32_t i = 0; i < MP_COUNT && n < MAX_NAMES; i++) {
        const char *key = param_info[i].key;
        if (strncmp(key, prefix, skip) != 0 || (skip && key[skip] != '.'))
            continue;
        key += skip ? skip + 1 : 0;
        const char *word = arena_str(l->a, key, strcspn(key, "."));
        uint32_t j = 0;
        while (j < n && strcmp(words[j], word) != 0)
            j++;
        if (j == n)
            words[n++] = word;
    }
    words[n] = NULL;
}

static bool unknown_key(Loader *l, const char *prefix, const YmlPair *p)
{
    const char *words[MAX_NAMES + 1];
    next_words(l, prefix, words);
    char hint[512];
    yml_suggest(hint, sizeof hint, p->key, words);
    return err_set(l->err, ERR_SEMANTIC, p->loc, "unknown key '%s%s%.60s'%s", prefix,
                   prefix[0] ? "." : "", p->key, hint);
}

static bool is_section(const char *path)
{
    size_t n = strlen(path);
    for (uint32_t i = 0; i < MP_COUNT; i++)
        if (strncmp(param_info[i].key, path, n) == 0 && param_info[i].key[n] == '.')
            return true;
    return false;
}

static bool read_section(Loader *l, const char *prefix, const YmlNode *n)
{
    char what[MAX_KEY + 16], path[MAX_KEY];
    snprintf(what, sizeof what, "'%s'", prefix[0] ? prefix : "model");
    if (!yml_is_map(n, what, l->err))
        return false;
    for (uint32_t i = 0; i < n->n; i++) {
        const YmlPair *p = &n->pairs[i];
        if (!prefix[0] && is_head_key(p->key))
            continue;
        int len = snprintf(path, sizeof path, "%s%s%s", prefix, prefix[0] ? "." : "", p->key);
        if (len >= (int)sizeof path || strchr(p->key, '.'))
            return unknown_key(l, prefix, p);
        uint32_t id = 0;
        while (id < MP_COUNT && strcmp(param_info[id].key, path) != 0)
            id++;
        if (id == MP_COUNT && !is_section(path))
            return unknown_key(l, prefix, p);
        if (id < MP_COUNT ? !read_leaf(l, id, p->value) : !read_section(l, path, p->value))
            return false;
    }
    return true;
}

static uint32_t model_dirs(Arena *a, const char *dirs[MAX_DIRS])
{
    uint32_t n = 0;
    const char *env = getenv("RAO_MODELS");
    for (const char *p = env ? env : ""; *p && n < MAX_DIRS - 2;) {
        size_t len = strcspn(p, ":");
        if (len)
            dirs[n++] = arena_str(a, p, len);
        p += len + (p[len] == ':');
    }
    dirs[n++] = RAO_SOURCE_DIR "/models";
    dirs[n++] = RAO_DATADIR "/models";
    return n;
}

static int by_text(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* All NAME.yaml in the folders, sorted, ended by NULL. */
static void list_models(Arena *a, const char *const *dirs, uint32_t n_dirs,
                        const char *names[MAX_NAMES + 1])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_dirs; i++) {
        DIR *d = opendir(dirs[i]);
        if (!d)
            continue;
        for (struct dirent *e; n < MAX_NAMES && (e = readdir(d));) {
            size_t len = strlen(e->d_name);
            if (len > 5 && strcmp(e->d_name + len - 5, ".yaml") == 0)
                names[n++] = arena_str(a, e->d_name, len - 5);
        }
        closedir(d);
    }
    qsort(names, n, sizeof *names, by_text);
    uint32_t kept = 0; /* a name may stand in two folders; the first one is read */
    for (uint32_t i = 0; i < n; i++)
        if (!kept || strcmp(names[kept - 1], names[i]) != 0)
            names[kept++] = names[i];
    names[kept] = NULL;
}

/* beside: a folder that is looked in first, or NULL. */
static bool find_model(Arena *a, const char *name, const char *beside, Loc loc, const char **path,
                       Err *err)
{
    size_t len = strlen(name);
    if (strchr(name, '/') || (len > 5 && strcmp(name + len - 5, ".yaml") == 0)) {
        bool relative = beside && name[0] != '/';
        *path = relative ? arena_printf(a, "%s/%s", beside, name) : arena_str(a, name, len);
        return true;
    }
    const char *dirs[MAX_DIRS + 1];
    uint32_t n_dirs = 0;
    if (beside)
        dirs[n_dirs++] = beside;
    n_dirs += model_dirs(a, dirs + n_dirs);
    for (uint32_t i = 0; i < n_dirs && len; i++) {
        *path = arena_printf(a, "%s/%s.yaml", dirs[i], name);
        if (access(*path, R_OK) == 0)
            return true;
    }
    const char *names[MAX_NAMES + 1];
    char hint[512];
    list_models(a, dirs, n_dirs, names);
    yml_suggest(hint, sizeof hint, name, names);
    return err_set(err, ERR_IO, loc, "no model '%.60s'%s", name, hint);
}

static bool is_target(const char *text)
{
    size_t digits = strncmp(text, "sm_", 3) == 0 ? strspn(text + 3, "0123456789") : 0;
    return digits >= 2 &&
           (strcmp(text + 3 + digits, "") == 0 || strcmp(text + 3 + digits, "a") == 0 ||
            strcmp(text + 3 + digits, "f") == 0);
}

static bool read_file(Loader *l, const char *path, const YmlNode *root);

static bool read_base(Loader *l, const char *path, const YmlNode *base)
{
    const char *name, *slash = strrchr(path, '/'), *base_path;
    if (!yml_word(base, "'base'", &name, l->err))
        return false;
    const char *dir = slash ? arena_str(l->a, path, (size_t)(slash - path)) : ".";
    if (!find_model(l->a, name, dir, base->loc, &base_path, l->err))
        return false;
    for (uint32_t i = 0; i < l->n_chain; i++)
        if (strcmp(l->chain[i], base_path) == 0)
            return err_set(l->err, ERR_SEMANTIC, base->loc,
                           "base '%s' is this model itself, or varies it", name);
    if (l->n_chain == MAX_BASES)
        return err_set(l->err, ERR_SEMANTIC, base->loc,
                       "more than %u models, each the base of the next", MAX_BASES);
    const YmlNode *root;
    return yml_load(l->a, base_path, &root, l->err) && read_file(l, base_path, root);
}

static bool read_file(Loader *l, const char *path, const YmlNode *root)
{
    l->chain[l->n_chain++] = path;
    if (!yml_is_map(root, "a model file", l->err))
        return false;
    const YmlPair *base = yml_find(root, "base"), *target = yml_find(root, "target"),
                  *name = yml_find(root, "name"), *description = yml_find(root, "description");
    if (base && !read_base(l, path, base->value))
        return false;
    if (target && !yml_word(target->value, "'target'", &l->m->target, l->err))
        return false;
    if (target && !is_target(l->m->target))
        return err_set(l->err, ERR_SEMANTIC, target->value->loc,
                       "'target' must be like sm_100a, not '%.60s'", l->m->target);
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path, *text;
    size_t len = strlen(file);
    l->m->name =
        arena_str(l->a, file, len > 5 && strcmp(file + len - 5, ".yaml") == 0 ? len - 5 : len);
    if (name && !yml_word(name->value, "'name'", &l->m->name, l->err))
        return false;
    if (description && !yml_word(description->value, "'description'", &text, l->err))
        return false;
    return read_section(l, "", root);
}

static bool check_complete(const Loader *l, const char *path)
{
    uint32_t missing = 0, first = 0;
    for (uint32_t i = MP_COUNT; i-- > 0;) {
        if (!l->present[i]) {
            missing++;
            first = i;
        }
    }
    Loc loc = {path, 0, 0};
    if (!l->m->target)
        return err_set(l->err, ERR_SEMANTIC, loc,
                       "missing 'target' (the PTX target it runs, like sm_100a)");
    if (!missing)
        return true;
    const ParamInfo *p = &param_info[first];
    err_set(l->err, ERR_SEMANTIC, loc, "missing '%s' (%s, in %s)", p->key, p->meaning, p->unit);
    if (missing > 1)
        err_append(l->err, " and %u more", missing - 1);
    return false;
}

static bool read_root(Arena *a, const char *path, const YmlNode *root, Model *out, Err *err)
{
    *out = (Model){.path = path};
    Loader l = {.a = a, .m = out, .err = err};
    if (!read_file(&l, path, root) || !check_complete(&l, path))
        return false;
    out->hash = hash_values(out);
    return true;
}

bool model_parse_text(Arena *a, const char *path, const char *text, size_t len, Model *out,
                      Err *err)
{
    const YmlNode *root;
    path = arena_str(a, path, strlen(path));
    return yml_parse(a, path, text, len, &root, err) && read_root(a, path, root, out, err);
}

bool model_load(Arena *a, const char *name, Model *out, Err *err)
{
    const YmlNode *root;
    const char *path;
    return find_model(a, name, NULL, (Loc){0}, &path, err) && yml_load(a, path, &root, err) &&
           read_root(a, path, root, out, err);
}

/* How far a word is from a key or from its nearest suffix; a part of the key is next to it. */
static uint32_t key_distance(const char *word, const char *key)
{
    uint32_t best = strstr(key, word) ? 1 : UINT32_MAX;
    for (const char *p = key; p; p = strchr(p, '.')) {
        p += *p == '.';
        uint32_t d = yml_distance(word, p);
        best = d < best ? d : best;
    }
    return best;
}

static bool no_such_key(const char *word, Err *err)
{
    uint32_t ids[N_NEAREST + 1], distances[N_NEAREST + 1], n = 0;
    for (uint32_t i = 0; i < MP_COUNT; i++) {
        uint32_t d = key_distance(word, param_info[i].key), at = n;
        for (; at > 0 && distances[at - 1] > d; at--) {
            ids[at] = ids[at - 1];
            distances[at] = distances[at - 1];
        }
        ids[at] = i;
        distances[at] = d;
        n = n < N_NEAREST ? n + 1 : n;
    }
    err_set(err, ERR_SEMANTIC, (Loc){0}, "no parameter '%.60s'", word);
    for (uint32_t i = 0; i < n; i++)
        err_append(err, "%s '%s'", i ? "," : "; nearest:", param_info[ids[i]].key);
    return false;
}

static bool is_suffix(const char *word, const char *key)
{
    size_t n = strlen(word), k = strlen(key);
    return n == k ? strcmp(word, key) == 0
                  : n > 0 && n < k && key[k - n - 1] == '.' && strcmp(word, key + k - n) == 0;
}

static bool find_key(const char *word, uint32_t *id, Err *err)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < MP_COUNT; i++) {
        if (!is_suffix(word, param_info[i].key))
            continue;
        *id = i;
        if (strcmp(word, param_info[i].key) == 0)
            return true;
        found++;
    }
    if (found == 1)
        return true;
    if (found == 0)
        return no_such_key(word, err);
    err_set(err, ERR_SEMANTIC, (Loc){0}, "'%s' may be", word);
    for (uint32_t i = 0, n = 0; i < MP_COUNT; i++)
        if (is_suffix(word, param_info[i].key))
            err_append(err, "%s '%s'", n++ ? "," : "", param_info[i].key);
    return false;
}

bool model_set(Model *m, const char *assignment, Err *err)
{
    const char *equals = strchr(assignment, '=');
    char word[MAX_KEY];
    if (!equals || equals == assignment || (size_t)(equals - assignment) >= sizeof word)
        return err_set(err, ERR_SEMANTIC, (Loc){0}, "expected KEY=VALUE, not '%.60s'", assignment);
    snprintf(word, sizeof word, "%.*s", (int)(equals - assignment), assignment);
    uint32_t id;
    if (!find_key(word, &id, err))
        return false;
    double v;
    if (!yml_text_number(equals + 1, &v) || !in_range(id, v))
        return range_error(id, equals + 1, (Loc){0}, err);
    m->v[id] = v;
    m->status[id] = PS_ASSUMED;
    m->source[id] = "--set";
    m->overridden[id] = true;
    m->hash = hash_values(m);
    return true;
}

uint32_t model_assumed_count(const Model *m)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < MP_COUNT; i++)
        n += m->status[i] == PS_ASSUMED;
    return n;
}
