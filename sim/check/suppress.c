/* Suppression files: one rule a line, "KIND [kernel=GLOB] [line=N] [source=GLOB] [object=GLOB]";
 * KIND may be a glob; # begins a comment. A finding that a rule fits is counted, not shown. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

#include "isa/cxx.h"
#include "sim/check/core.h"

enum { MAX_LINE = 1024 };

typedef struct Suppression {
    const char *kind, *kernel, *source, *object; /* NULL: any */
    uint32_t line;                               /* 0: any */
} Suppression;

static bool known_kind(const char *glob)
{
    for (int i = 0; i < FK_COUNT; i++)
        if (fnmatch(glob, finding_name[i], 0) == 0)
            return true;
    return false;
}

static bool read_word(Checker *k, Suppression *s, const char *word, Loc loc, Err *err)
{
    const char *eq = strchr(word, '=');
    if (!eq) {
        if (!known_kind(word))
            return err_set(err, ERR_SYNTAX, loc, "'%s' is no kind of finding (docs/check.md)",
                           word);
        s->kind = arena_str(&k->root->arena, word, strlen(word));
        return true;
    }
    const char *value = arena_str(&k->root->arena, eq + 1, strlen(eq + 1));
    char *end;
    switch (word[0]) {
    case 'k':
        s->kernel = value;
        return strncmp(word, "kernel=", 7) == 0 || err_set(err, ERR_SYNTAX, loc, "'%s'", word);
    case 's':
        s->source = value;
        return strncmp(word, "source=", 7) == 0 || err_set(err, ERR_SYNTAX, loc, "'%s'", word);
    case 'o':
        s->object = value;
        return strncmp(word, "object=", 7) == 0 || err_set(err, ERR_SYNTAX, loc, "'%s'", word);
    case 'l':
        s->line = (uint32_t)strtoul(value, &end, 10);
        if (strncmp(word, "line=", 5) == 0 && *value && !*end && s->line)
            return true;
        break;
    default:
        break;
    }
    return err_set(err, ERR_SYNTAX, loc,
                   "'%s': a rule is KIND [kernel=GLOB] [line=N] [source=GLOB] [object=GLOB]", word);
}

static bool read_line(Checker *k, char *text, Loc loc, Err *err)
{
    Suppression s = {0};
    char *save = NULL, *hash = strchr(text, '#');
    if (hash)
        *hash = 0;
    char *word = strtok_r(text, " \t\r\n", &save);
    if (!word)
        return true;
    for (; word; word = strtok_r(NULL, " \t\r\n", &save))
        if (!read_word(k, &s, word, loc, err))
            return false;
    if (!s.kind)
        return err_set(err, ERR_SYNTAX, loc, "a rule begins with a kind of finding");
    Suppression *all = arena_new(&k->root->arena, Suppression, k->root->n_suppressions + 1);
    if (k->root->n_suppressions)
        memcpy(all, k->root->suppressions, k->root->n_suppressions * sizeof *all);
    all[k->root->n_suppressions++] = s;
    k->root->suppressions = all;
    return true;
}

bool suppress_load(Checker *k, const char *path, Err *err)
{
    char text[MAX_LINE];
    Loc loc = {.file = path}; /* outlives the checker, which an error frees */
    FILE *f = fopen(path, "r");
    if (!f)
        return err_set(err, ERR_IO, loc, "%s", strerror(errno));
    bool ok = true;
    for (loc.line = 1; ok && fgets(text, sizeof text, f); loc.line++)
        ok = read_line(k, text, loc, err);
    fclose(f);
    return ok;
}

static bool glob(const char *pattern, const char *text)
{
    return !pattern || (text && fnmatch(pattern, text, 0) == 0);
}

/* Both the symbol and what is printed of it. */
static bool glob_symbol(const char *pattern, const char *symbol)
{
    char name[256];
    return glob(pattern, symbol) || glob(pattern, cxx_name(name, sizeof name, symbol));
}

bool suppressed(const Checker *k, const Finding *f)
{
    for (uint32_t i = 0; i < k->root->n_suppressions; i++) {
        const Suppression *s = &k->root->suppressions[i];
        if (glob(s->kind, finding_name[f->kind]) && glob_symbol(s->kernel, f->kernel) &&
            (!s->line || s->line == f->at.line) && glob(s->source, f->at.src_file) &&
            glob(s->object, f->object))
            return true;
    }
    return false;
}
