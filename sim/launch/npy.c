/* Header: "\x93NUMPY", version, length, then a Python dict such as
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (16, 1024, 128), }
 * (NumPy, lib/format.py). Read by a scanner that knows this dict only. */
#include "sim/launch/npy.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HEADER 4096u

static void skip_blanks(const char **p)
{
    while (isspace((unsigned char)**p))
        ++*p;
}

static bool take(const char **p, char c)
{
    skip_blanks(p);
    if (**p != c)
        return false;
    ++*p;
    return true;
}

/* 'text' or "text" */
static bool take_string(const char **p, char *out, size_t n)
{
    skip_blanks(p);
    char quote = **p;
    if (quote != '\'' && quote != '"')
        return false;
    const char *start = ++*p, *end = strchr(start, quote);
    if (!end || (size_t)(end - start) >= n)
        return false;
    memcpy(out, start, (size_t)(end - start));
    out[end - start] = 0;
    *p = end + 1;
    return true;
}

static bool take_shape(const char **p, Npy *n)
{
    if (!take(p, '('))
        return false;
    while (!take(p, ')')) {
        skip_blanks(p);
        char *end;
        if (!isdigit((unsigned char)**p) || n->rank == 8)
            return false;
        errno = 0;
        n->shape[n->rank++] = strtoull(*p, &end, 10);
        *p = end;
        if (errno || (!take(p, ',') && **p != ')'))
            return false;
    }
    return true;
}

static bool take_word(const char **p, const char *word)
{
    skip_blanks(p);
    size_t n = strlen(word);
    if (strncmp(*p, word, n) != 0)
        return false;
    *p += n;
    return true;
}

static bool bad(const char *path, Loc loc, Err *err, const char *why)
{
    return err_set(err, ERR_SYNTAX, loc, "'%s': %s", path, why);
}

/* "<f4": order, then a letter and a size. */
static bool read_type(const char *path, const char *descr, Npy *n, Loc loc, Err *err)
{
    char *end;
    if (descr[0] == '>')
        return bad(path, loc, err, "big-endian numbers");
    if (!strchr("<|=", descr[0]) || !isalpha((unsigned char)descr[1]) ||
        strlen(descr) > sizeof n->code)
        return err_set(err, ERR_SYNTAX, loc, "'%s': numbers of type '%s'", path, descr);
    n->elem_bytes = (uint32_t)strtoul(descr + 2, &end, 10);
    if (*end || n->elem_bytes == 0)
        return err_set(err, ERR_SYNTAX, loc, "'%s': numbers of type '%s'", path, descr);
    memcpy(n->code, descr + 1, strlen(descr)); /* with its NUL; checked above */
    return true;
}

static bool read_dict(const char *path, const char *p, Npy *n, Loc loc, Err *err)
{
    static const char *const broken = "its .npy header cannot be understood";
    char key[32], descr[32] = "";
    bool has_shape = false, has_order = false;
    if (!take(&p, '{'))
        return bad(path, loc, err, broken);
    while (!take(&p, '}')) {
        if (!take_string(&p, key, sizeof key) || !take(&p, ':'))
            return bad(path, loc, err, broken);
        bool ok = false;
        if (strcmp(key, "descr") == 0 && !descr[0]) {
            ok = take_string(&p, descr, sizeof descr);
        } else if (strcmp(key, "shape") == 0 && !has_shape) {
            ok = has_shape = take_shape(&p, n);
        } else if (strcmp(key, "fortran_order") == 0 && !has_order) {
            ok = has_order = take_word(&p, "False");
            if (!ok && take_word(&p, "True"))
                return bad(path, loc, err, "Fortran order: save it in C order");
        }
        skip_blanks(&p);
        if (!ok || (!take(&p, ',') && *p != '}'))
            return bad(path, loc, err, broken);
    }
    if (!descr[0] || !has_shape || !has_order)
        return bad(path, loc, err, broken);
    return read_type(path, descr, n, loc, err);
}

bool npy_open(const char *path, Loc loc, Npy *out, Err *err)
{
    *out = (Npy){.file = fopen(path, "rb")};
    if (!out->file)
        return err_set(err, ERR_IO, loc, "cannot open '%s': %s", path, strerror(errno));
    uint8_t head[12];
    char text[MAX_HEADER + 1];
    if (fread(head, 1, 8, out->file) != 8 || memcmp(head, "\x93NUMPY", 6) != 0)
        return bad(path, loc, err, "not a .npy file");
    uint32_t len_bytes = head[6] == 1 ? 2 : 4;
    if (head[6] < 1 || head[6] > 3)
        return err_set(err, ERR_UNSUPPORTED, loc, "'%s': .npy version %u", path, head[6]);
    if (fread(head + 8, 1, len_bytes, out->file) != len_bytes)
        return bad(path, loc, err, "cut in its header");
    size_t len = 0;
    for (uint32_t i = len_bytes; i-- > 0;)
        len = len << 8 | head[8 + i];
    if (len > MAX_HEADER)
        return err_set(err, ERR_SYNTAX, loc, "'%s': a header of %zu bytes", path, len);
    if (fread(text, 1, len, out->file) != len)
        return bad(path, loc, err, "cut in its header");
    text[len] = 0;
    return read_dict(path, text, out, loc, err);
}

bool npy_read(Npy *n, void *dst, size_t bytes, Loc loc, Err *err)
{
    size_t got = fread(dst, 1, bytes, n->file);
    if (got == bytes)
        return true;
    return err_set(err, ERR_IO, loc, "the .npy file is cut: %zu bytes where %zu were to come", got,
                   bytes);
}

void npy_close(Npy *n)
{
    if (n->file)
        fclose(n->file);
    n->file = NULL;
}
