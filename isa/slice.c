/* PTX text with bodies of functions blanked out, so that a large module costs the parse of what is
 * wanted of it. A scan that knows comments, strings and brackets and nothing else of PTX. */
#define _GNU_SOURCE /* memmem */
#include "isa/isa.h"

#include <string.h>

typedef struct Scan {
    const char *text;
    size_t len, at;
} Scan;

static bool at_text(const Scan *s, const char *word)
{
    size_t n = strlen(word);
    return s->len - s->at >= n && memcmp(s->text + s->at, word, n) == 0;
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || c == '%';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Behind a comment or a string that starts here; false: none does. */
static bool skip_quoted(Scan *s)
{
    const char *end = NULL, *from = s->text + s->at;
    if (at_text(s, "//"))
        end = "\n";
    else if (at_text(s, "/*"))
        end = "*/";
    else if (at_text(s, "\""))
        end = "\"";
    else
        return false;
    size_t start = s->at + (*from == '"' ? 1 : 2);
    const char *p = memmem(s->text + start, s->len - start, end, strlen(end));
    s->at = p ? (size_t)(p - s->text) + strlen(end) : s->len;
    return true;
}

/* The offset behind the '}' that closes the '{' at s->at. */
static size_t body_end(const Scan *from)
{
    Scan s = *from;
    int depth = 0;
    while (s.at < s.len) {
        if (skip_quoted(&s))
            continue;
        char c = s.text[s.at++];
        depth += c == '{';
        depth -= c == '}';
        if (depth == 0)
            break;
    }
    return s.at;
}

static void skip_blanks(Scan *s)
{
    while (s->at < s->len) {
        if (is_blank(s->text[s->at]))
            s->at++;
        else if (!skip_quoted(s))
            return;
    }
}

static bool names(const Scan *s, const char *name)
{
    size_t n = strlen(name);
    return at_text(s, name) && (s->at + n == s->len || !is_name(s->text[s->at + n]));
}

static void blank(char *text, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (text[i] != '\n')
            text[i] = ' ';
}

char *isa_slice(Arena *a, const char *text, size_t len, const char *keep)
{
    char *out = arena_str(a, text, len);
    Scan s = {text, len, 0};
    bool wanted = true; /* the function whose body comes next */
    while (s.at < s.len) {
        char c = s.text[s.at];
        if (skip_quoted(&s))
            continue;
        if (c == '{') {
            size_t end = body_end(&s);
            if (!wanted && end > s.at + 2)
                blank(out, s.at + 1, end - 1);
            s.at = end;
            wanted = true;
        } else if (c == '.' && at_text(&s, ".entry")) {
            s.at += strlen(".entry");
            skip_blanks(&s);
            wanted = keep && names(&s, keep);
        } else if (c == '.' && at_text(&s, ".func")) {
            s.at += strlen(".func");
            wanted = keep != NULL;
        } else {
            wanted |= c == ';'; /* a prototype has no body */
            s.at++;
        }
    }
    return out;
}
