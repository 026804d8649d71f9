#include "isa/cxx.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef struct Out {
    char *buf;
    size_t size, len;
} Out;

static void put(Out *o, const char *s, size_t n)
{
    for (size_t i = 0; i < n && o->len + 1 < o->size; i++)
        o->buf[o->len++] = s[i];
    o->buf[o->len] = 0;
}

/* <source-name>: its length in decimal, then as many characters. Returns what follows, or NULL. */
static const char *source_name(Out *o, const char *s)
{
    size_t n = 0;
    while (isdigit((unsigned char)*s) && n < 100000)
        n = n * 10 + (size_t)(*s++ - '0');
    if (!n || strnlen(s, n) < n)
        return NULL;
    if (n > 11 && strncmp(s, "_GLOBAL__N_", 11) == 0) /* nvcc appends the file's name */
        put(o, "(anonymous namespace)", 21);
    else
        put(o, s, n);
    return s + n;
}

/* Components of a <nested-name>, or the one component of an <unscoped-name>, up to the first
 * template arguments: a kernel is a function or a variable, so that the arguments of its own
 * template are the only ones that can come. */
static bool readable(Out *o, const char *s)
{
    bool nested = *s == 'N';
    s += nested;
    while (nested && (*s == 'K' || *s == 'V' || *s == 'r'))
        s++;
    if (strncmp(s, "St", 2) == 0) {
        put(o, "std::", 5);
        s += 2;
    }
    for (;;) {
        s += *s == 'L'; /* internal linkage */
        s = source_name(o, s);
        if (!s)
            return false;
        if (*s == 'I') {
            put(o, "<...>", 5);
            return true;
        }
        if (!nested || *s == 'E')
            return true;
        put(o, "::", 2);
    }
}

/* The <entity name> of a <local-name>, Z <function encoding> E <entity name> [_ <discriminator>]:
 * the encoding is not read, so its end is where the rest is one name. NULL if there is none. */
static const char *local_entity(const char *s)
{
    for (const char *e = strchr(s, 'E'); e; e = strchr(e + 1, 'E')) {
        Out nothing = {(char[1]){0}, 1, 0};
        const char *name = e + 1 + (e[1] == 'L'), *end = source_name(&nothing, name);
        if (end && (!*end || *end == '_'))
            return name;
    }
    return NULL;
}

char *cxx_name(char *buf, size_t size, const char *symbol)
{
    Out o = {buf, size, 0};
    const char *s = strncmp(symbol, "_Z", 2) == 0 ? symbol + 2 : NULL;
    if (s && *s == 'Z')
        s = local_entity(s + 1);
    if (!s || !readable(&o, s))
        snprintf(buf, size, "%s", symbol);
    return buf;
}
