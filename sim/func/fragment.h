/* Between a register of 32 lanes, lane 4 g + q, and four columns of eight rows: how every MMA
 * fragment lies (exec_mma.c). Private to sim/func. */
#ifndef RAO_FUNC_FRAGMENT_H
#define RAO_FUNC_FRAGMENT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint32_t Word4 __attribute__((vector_size(16)));
typedef uint32_t Word8 __attribute__((vector_size(32)));

/* column[q][g] = from[4 g + q] for four g. */
static inline void half_as_columns(Word4 column[4], const uint32_t *from)
{
    Word4 r[4], t[4];
    memcpy(r, from, sizeof r);
    t[0] = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
    t[1] = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
    t[2] = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
    t[3] = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    column[0] = __builtin_shufflevector(t[0], t[1], 0, 1, 4, 5);
    column[1] = __builtin_shufflevector(t[0], t[1], 2, 3, 6, 7);
    column[2] = __builtin_shufflevector(t[2], t[3], 0, 1, 4, 5);
    column[3] = __builtin_shufflevector(t[2], t[3], 2, 3, 6, 7);
}

/* For all eight g. */
static inline void regs_as_columns(Word8 column[4], const uint32_t *from)
{
    Word4 lo[4], hi[4];
    half_as_columns(lo, from);
    half_as_columns(hi, from + 16);
    for (uint32_t q = 0; q < 4; q++)
        column[q] = __builtin_shufflevector(lo[q], hi[q], 0, 1, 2, 3, 4, 5, 6, 7);
}

/* The same in memory: column q at to + q * stride. */
static inline void regs_to_columns(uint32_t *to, size_t stride, const uint32_t *from)
{
    Word8 column[4];
    regs_as_columns(column, from);
    for (uint32_t q = 0; q < 4; q++)
        memcpy(to + q * stride, &column[q], sizeof column[q]);
}

/* The inverse. */
static inline void columns_to_regs(uint32_t *to, const uint32_t *from, size_t stride)
{
    for (uint32_t half = 0; half < 2; half++) {
        Word4 c[4], t[4], r[4];
        for (uint32_t q = 0; q < 4; q++)
            memcpy(&c[q], from + q * stride + 4 * half, sizeof c[q]);
        t[0] = __builtin_shufflevector(c[0], c[1], 0, 4, 1, 5);
        t[1] = __builtin_shufflevector(c[2], c[3], 0, 4, 1, 5);
        t[2] = __builtin_shufflevector(c[0], c[1], 2, 6, 3, 7);
        t[3] = __builtin_shufflevector(c[2], c[3], 2, 6, 3, 7);
        for (uint32_t g = 0; g < 4; g++)
            r[g] = g % 2 ? __builtin_shufflevector(t[g / 2 * 2], t[g / 2 * 2 + 1], 2, 3, 6, 7)
                         : __builtin_shufflevector(t[g / 2 * 2], t[g / 2 * 2 + 1], 0, 1, 4, 5);
        memcpy(to + 16 * half, r, sizeof r);
    }
}

#endif
