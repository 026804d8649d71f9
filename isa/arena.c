#include "isa/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)1 << 20)

struct ArenaBlock {
    ArenaBlock *next;
    char pad[64 - sizeof(ArenaBlock *)]; /* keeps data[] on a cache line */
    unsigned char data[];
};

static void add_block(Arena *a, size_t cap)
{
    size_t bytes = (sizeof(ArenaBlock) + cap + 63) & ~(size_t)63;
    ArenaBlock *b = aligned_alloc(64, bytes);
    if (!b) {
        fprintf(stderr, "rao: out of memory (%zu bytes)\n", bytes);
        exit(1);
    }
    memset(b, 0, bytes);
    b->next = a->blocks;
    a->blocks = b;
    a->used = 0;
    a->cap = cap;
}

void *arena_alloc(Arena *a, size_t size)
{
    size_t align = size >= 64 ? 64 : 16;
    size_t at = (a->used + align - 1) & ~(align - 1);
    if (!a->blocks || at + size > a->cap) {
        add_block(a, size > BLOCK_BYTES ? size : BLOCK_BYTES);
        at = 0;
    }
    a->used = at + size;
    return a->blocks->data + at;
}

char *arena_str(Arena *a, const char *text, size_t n)
{
    char *s = arena_alloc(a, n + 1);
    memcpy(s, text, n);
    return s;
}

char *arena_printf(Arena *a, const char *fmt, ...)
{
    va_list ap, ap2;
    va_start(ap, fmt);
    va_copy(ap2, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    char *s = arena_alloc(a, (size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, fmt, ap2);
    va_end(ap2);
    return s;
}

void arena_free(Arena *a)
{
    for (ArenaBlock *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (Arena){0};
}
