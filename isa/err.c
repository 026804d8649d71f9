#include "isa/err.h"

#include <stdarg.h>
#include <string.h>

bool err_set(Err *err, ErrKind kind, Loc loc, const char *fmt, ...)
{
    if (err->kind != ERR_NONE)
        return false;
    err->kind = kind;
    err->loc = loc;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    return false;
}

void err_append(Err *err, const char *fmt, ...)
{
    size_t n = strlen(err->msg);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->msg + n, sizeof err->msg - n, fmt, ap);
    va_end(ap);
}

/* Prints line `line` of the file, cut to a terminal's width around the caret. */
static void print_caret(FILE *out, const Loc *loc)
{
    FILE *f = fopen(loc->file, "rb");
    if (!f)
        return;
    int c = 0;
    for (uint32_t line = 1; line < loc->line && c != EOF;)
        if ((c = getc(f)) == '\n')
            line++;
    char text[161];
    uint32_t col = loc->col ? loc->col : 1, skip = col > 120 ? col - 80 : 0, n = 0;
    for (uint32_t i = 0; (c = getc(f)) != EOF && c != '\n' && n < sizeof text - 1; i++)
        if (i >= skip)
            text[n++] = c == '\t' || c < 32 || c > 126 ? ' ' : (char)c;
    fclose(f);
    if (n)
        fprintf(out, "%.*s\n%*s^\n", (int)n, text, (int)(col - 1 - skip), "");
}

void err_print(FILE *out, const Err *err)
{
    const Loc *l = &err->loc;
    if (l->file && l->line && l->col)
        fprintf(out, "%s:%u:%u: ", l->file, l->line, l->col);
    else if (l->file && l->line)
        fprintf(out, "%s:%u: ", l->file, l->line);
    else if (l->file)
        fprintf(out, "%s: ", l->file);
    fprintf(out, "error: %s\n", err->msg);
    if (l->file && l->line && l->col)
        print_caret(out, l);
}
