/* The parts of loads and stores that work on all lanes at once: addresses, bounds, banks. */
#ifndef RAO_FUNC_VEC_MEM_BODY_H
#define RAO_FUNC_VEC_MEM_BODY_H

#include "sim/func/vec_row_body.h"

static bool x_offsets(uint32_t off[WARP], const uint32_t *base, uint32_t add, uint32_t last,
                      uint32_t low, uint32_t mask)
{
    uint32_t bad = 0;
    LANES
    {
        uint32_t o = base[i] + add;
        off[i] = o;
        bad |= (uint32_t)((o > last) | ((o & low) != 0)) << i;
    }
    return (bad & mask) == 0;
}

static bool x_offsets64(uint64_t off[WARP], const uint32_t *lo, const uint32_t *hi, uint64_t add,
                        uint64_t last, uint32_t low, uint32_t mask)
{
    uint32_t bad = 0;
    LANES
    {
        uint64_t o = pair(lo[i], hi[i]) + add;
        off[i] = o;
        bad |= (uint32_t)((o > last) | ((o & low) != 0)) << i;
    }
    return (bad & mask) == 0;
}

/* A lane's banks are a run of 1, 2 or 4 bits; together they must be as many as the lanes want. */
static bool x_free_of_conflicts(const uint32_t off[WARP], uint32_t bytes, uint32_t mask)
{
    uint32_t words = bytes / 4, run = (1u << words) - 1, group = WARP / words, clash = 0;
    uint32_t banks[WARP];
    LANES banks[i] = (mask >> i & 1 ? run : 0) << (off[i] / 4 % 32);
    for (uint32_t first = 0; first < WARP; first += group) {
        uint32_t all = 0;
        for (uint32_t i = first; i < first + group; i++)
            all |= banks[i];
        uint32_t lanes = group == WARP ? mask : mask >> first & ((1u << group) - 1);
        clash |= (uint32_t)(__builtin_popcount(all)) ^ (uint32_t)__builtin_popcount(lanes) * words;
    }
    return clash == 0;
}

#define VEC_MEM                                                                                    \
    {                                                                                              \
        .offsets = x_offsets, .offsets64 = x_offsets64, .free_of_conflicts = x_free_of_conflicts,  \
    }

#endif
