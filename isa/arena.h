/* Memory that is freed all at once. Every object's arena is in its constructor's argument list, so
 * ownership is visible at the call. Nothing is freed alone. */
#ifndef RAO_ISA_ARENA_H
#define RAO_ISA_ARENA_H

#include <stddef.h>
#include <stdint.h>

typedef struct ArenaBlock ArenaBlock;

typedef struct Arena { /* {0} is a valid empty arena */
    ArenaBlock *blocks;
    size_t used, cap; /* of the newest block */
} Arena;

/* Zeroed memory, aligned to 64 bytes if size >= 64, else to 16. Out of memory says so and stops. */
void *arena_alloc(Arena *a, size_t size);

/* Copy of n bytes of text, with a final NUL. */
char *arena_str(Arena *a, const char *text, size_t n);

/* Formatted string in the arena. */
char *arena_printf(Arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void arena_free(Arena *a);

#define arena_new(a, T, n) ((T *)arena_alloc((a), sizeof(T) * (size_t)(n)))

#endif
