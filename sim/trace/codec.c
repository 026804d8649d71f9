#include "sim/trace/codec.h"

#include <stdlib.h>
#include <string.h>

void put_bytes(Bytes *b, const void *data, size_t n)
{
    if (b->n + n > b->cap) {
        b->cap = (b->n + n) * 2 + 256;
        uint8_t *grown = realloc(b->data, b->cap);
        if (!grown) {
            fprintf(stderr, "rao: out of memory (%zu bytes of trace)\n", b->cap);
            exit(1);
        }
        b->data = grown;
    }
    memcpy(b->data + b->n, data, n);
    b->n += n;
}

void bytes_free(Bytes *b)
{
    free(b->data);
    *b = (Bytes){0};
}

void put_byte(Bytes *b, uint8_t v)
{
    put_bytes(b, &v, 1);
}

void put_uint(Bytes *b, uint64_t v)
{
    uint8_t text[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        text[n++] = (uint8_t)(v | 0x80);
    text[n++] = (uint8_t)v;
    put_bytes(b, text, n);
}

void put_int(Bytes *b, int64_t v)
{
    put_uint(b, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

void put_double(Bytes *b, double v)
{
    put_bytes(b, &v, sizeof v);
}

void put_text(Bytes *b, const char *s)
{
    size_t n = s ? strlen(s) : 0;
    put_uint(b, n);
    put_bytes(b, s ? s : "", n);
}

uint8_t get_byte(Cursor *c)
{
    if (c->at >= c->end) {
        c->bad = true;
        return 0;
    }
    return *c->at++;
}

uint64_t get_uint(Cursor *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = get_byte(c);
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return v;
    }
    c->bad = true;
    return 0;
}

int64_t get_int(Cursor *c)
{
    uint64_t v = get_uint(c);
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

double get_double(Cursor *c)
{
    double v = 0;
    if ((size_t)(c->end - c->at) < sizeof v) {
        c->bad = true;
        return 0;
    }
    memcpy(&v, c->at, sizeof v);
    c->at += sizeof v;
    return v;
}

char *get_text(Cursor *c, Arena *a)
{
    uint64_t n = get_uint(c);
    if (n > (uint64_t)(c->end - c->at)) {
        c->bad = true;
        n = 0;
    }
    char *s = arena_str(a, (const char *)c->at, n);
    c->at += n;
    return s;
}

/* One bit per field that differs from the last Op of this info; bit 7: the info itself is not the
 * expected one. */
enum { F_KIND = 1, F_SYNC = 2, F_ARG0 = 4, F_ARG1 = 8, F_SIZE = 16, F_ADDR = 32, F_HANDLE = 64 };

void put_op(Bytes *b, const Op *op, Op *last)
{
    Op *l = &last[op->info];
    uint8_t f = 0;
    bool async = op->handle != 0;
    f |= op->kind != l->kind || op->flags != l->flags ? F_KIND : 0;
    f |= op->sync != l->sync ? F_SYNC : 0;
    f |= op->arg0 != l->arg0 ? F_ARG0 : 0;
    f |= op->arg1 != l->arg1 ? F_ARG1 : 0;
    f |= op->bytes != l->bytes || op->waves != l->waves ? F_SIZE : 0;
    f |= op->addr != l->addr ? F_ADDR : 0;
    f |= async != (l->handle != 0) ? F_HANDLE : 0;
    put_uint(b, op->info);
    put_byte(b, f);
    if (f & F_KIND) {
        put_byte(b, op->kind);
        put_byte(b, op->flags);
    }
    if (f & F_SYNC)
        put_int(b, (int64_t)op->sync - l->sync);
    if (f & F_ARG0)
        put_int(b, (int64_t)op->arg0 - l->arg0);
    if (f & F_ARG1)
        put_int(b, (int64_t)op->arg1 - l->arg1);
    if (f & F_SIZE) {
        put_uint(b, op->bytes);
        put_uint(b, op->waves);
    }
    if (f & F_ADDR)
        put_int(b, (int64_t)(op->addr - l->addr));
    *l = *op;
    l->handle = async;
}

bool get_op(Cursor *c, Op *op, Op *last, uint32_t n_ops)
{
    uint64_t info = get_uint(c);
    if (c->bad || info >= n_ops)
        return false;
    Op *l = &last[info];
    l->info = (uint32_t)info;
    uint8_t f = get_byte(c);
    if (f & F_KIND) {
        l->kind = get_byte(c);
        l->flags = get_byte(c);
    }
    if (f & F_SYNC)
        l->sync = (uint32_t)((int64_t)l->sync + get_int(c));
    if (f & F_ARG0)
        l->arg0 = (uint32_t)((int64_t)l->arg0 + get_int(c));
    if (f & F_ARG1)
        l->arg1 = (uint32_t)((int64_t)l->arg1 + get_int(c));
    if (f & F_SIZE) {
        l->bytes = (uint32_t)get_uint(c);
        l->waves = (uint16_t)get_uint(c);
    }
    if (f & F_ADDR)
        l->addr += (uint64_t)get_int(c);
    if (f & F_HANDLE)
        l->handle = !l->handle;
    *op = *l;
    return !c->bad && op->kind < OK_COUNT && op->kind != OK_FAULT;
}
