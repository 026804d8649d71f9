/* Operands of tcgen05.mma in shared memory, element by element: the table of research/ptx.md 3.3
 * turned into one address for each element. For tests. */
#ifndef RAO_TESTS_TC_LAYOUT_H
#define RAO_TESTS_TC_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Tile {
    uint32_t at; /* shared offset, a multiple of 1024 */
    uint32_t rows, k;
    uint32_t width; /* swizzle: 0, 32, 64, 128 */
    bool mn;
    uint32_t size; /* bytes of an element */
    bool atom32;   /* MN-major with the 128-byte swizzle of 32-byte atoms */
} Tile;

/* XOR the 16-byte column with the line, as far as the swizzle reaches; 32-byte atoms: the 32-byte
 * column. */
static inline uint32_t swizzled(uint32_t addr, const Tile *t)
{
    uint32_t columns = t->width / 16;
    if (t->atom32)
        return addr ^ (addr / 128 % 4 * 32);
    return columns ? addr ^ (addr / 128 % columns * 16) : addr;
}

static inline uint32_t place(const Tile *t, uint32_t r, uint32_t k)
{
    uint32_t kb = k * t->size, mb = r * t->size, w = t->width, off;
    if (!t->mn && w) /* blocks of W bytes of K; in a block, rows of W bytes */
        off = kb / w * (t->rows * w) + r * w + kb % w;
    else if (!t->mn) /* 16-byte columns of K; in a column, rows of 16 bytes */
        off = kb / 16 * (t->rows * 16) + r * 16 + kb % 16;
    else if (w) /* blocks of W bytes of M/N; in a block, one row of W bytes for each k */
        off = mb / w * (t->k * w) + k * w + mb % w;
    else { /* 8 k x 16 bytes of M/N, M/N blocks first */
        uint32_t blocks = (t->rows * t->size + 15) / 16;
        off = k / 8 * (blocks * 128) + mb / 16 * 128 + k % 8 * 16 + mb % 16;
    }
    return swizzled(t->at + off, t);
}

static inline uint64_t descriptor(const Tile *t, uint32_t slice)
{
    uint32_t w = t->width, kb = slice * 32, ks = 32 / t->size * slice, start, lbo, sbo;
    uint32_t blocks = (t->rows * t->size + 15) / 16;
    if (!t->mn && w)
        start = t->at + kb / w * (t->rows * w) + kb % w, sbo = 8 * w, lbo = 16;
    else if (!t->mn)
        start = t->at + kb / 16 * (t->rows * 16), sbo = 128, lbo = t->rows * 16;
    else if (w)
        start = t->at + ks * w, lbo = t->k * w, sbo = (t->atom32 ? 4 : 8) * w;
    else
        start = t->at + ks / 8 * (blocks * 128), lbo = blocks * 128, sbo = 128;
    uint64_t mode = t->atom32 ? 1 : w == 128 ? 2 : w == 64 ? 4 : w == 32 ? 6 : 0;
    return (uint64_t)(start >> 4) | (uint64_t)(lbo >> 4) << 16 | (uint64_t)(sbo >> 4) << 32 |
           UINT64_C(1) << 46 | mode << 61;
}

#endif
