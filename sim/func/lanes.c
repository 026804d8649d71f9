#include "sim/func/lanes.h"

enum { BANKS = 32, BANK_BYTES = 4, SECTOR = 32, HASH = 128 };

/* Lane i at addr[first] + (i - first) * bytes, all active: the common case. */
static bool is_dense(const uint64_t addr[WARP], uint32_t bytes, uint32_t mask)
{
    if (mask != FULL_MASK)
        return false;
    uint64_t differ = 0;
    for (uint32_t i = 0; i < WARP; i++)
        differ |= addr[i] ^ (addr[0] + (uint64_t)i * bytes);
    return differ == 0;
}

/* The most distinct words that any bank has to deliver to the lanes of one phase. */
static uint32_t phase_passes(const uint64_t addr[WARP], uint32_t words, uint32_t mask)
{
    uint32_t word_of[WARP], next[WARP], n = 0; /* a list of distinct words per bank: index + 1 */
    uint32_t head[BANKS] = {0}, depth[BANKS] = {0}, most = 0;
    for (; mask; mask &= mask - 1) {
        uint32_t first = (uint32_t)(addr[first_lane(mask)] / BANK_BYTES);
        for (uint32_t k = 0; k < words; k++) {
            uint32_t word = first + k, bank = word % BANKS, at = head[bank];
            while (at && word_of[at - 1] != word)
                at = next[at - 1];
            if (at)
                continue;
            word_of[n] = word;
            next[n] = head[bank];
            head[bank] = ++n;
            depth[bank]++;
            most = depth[bank] > most ? depth[bank] : most;
        }
    }
    return most;
}

uint32_t bank_passes(const uint64_t addr[WARP], uint32_t bytes, uint32_t mask)
{
    uint32_t phases = bytes <= 4 ? 1 : bytes <= 8 ? 2 : 4, lanes = WARP / phases;
    uint32_t words = bytes <= BANK_BYTES ? 1 : bytes / BANK_BYTES, sum = 0;
    if (is_dense(addr, bytes, mask))
        return phases;
    uint32_t group = lanes == WARP ? FULL_MASK : (1u << lanes) - 1;
    for (uint32_t p = 0; p < phases; p++)
        sum += phase_passes(addr, words, mask & group << p * lanes);
    return sum;
}

/* Aligned accesses of up to 32 bytes touch one sector each. */
uint32_t count_sectors(const uint64_t addr[WARP], uint32_t bytes, uint32_t mask)
{
    if (is_dense(addr, bytes, mask))
        return (uint32_t)((addr[WARP - 1] + bytes - 1) / SECTOR - addr[0] / SECTOR + 1);
    uint64_t seen[HASH];
    bool used[HASH] = {false};
    uint64_t last = UINT64_MAX;
    uint32_t n = 0;
    for (; mask; mask &= mask - 1) {
        uint64_t sector = addr[first_lane(mask)] / SECTOR;
        if (sector == last)
            continue;
        last = sector;
        uint32_t h = (uint32_t)(sector * 0x9E3779B97F4A7C15u >> 57);
        while (used[h] && seen[h] != sector)
            h = (h + 1) % HASH;
        n += !used[h];
        used[h] = true;
        seen[h] = sector;
    }
    return n;
}

/* Local memory is interleaved: word k of all lanes lies together. */
static void interleave(const uint64_t addr[WARP], uint64_t out[WARP])
{
    for (uint32_t i = 0; i < WARP; i++)
        out[i] = LOCAL_WINDOW + addr[i] / 4 * 4 * WARP + i * 4;
}

void untimed_op(ExecCtx *x, uint64_t addr, Space space, bool is_store)
{
    Op *op = &x->ops[x->n_ops++];
    if (space == SP_PARAM || op->kind == OK_PLAIN)
        return;
    op->kind = space == SP_SHARED ? OK_SMEM : OK_GMEM;
    op->addr = space == SP_SHARED ? addr : addr / SECTOR;
    op->arg0 = is_store;
}

void memory_op(ExecCtx *x, const uint64_t addr[WARP], uint32_t bytes, uint32_t mask, Space space,
               bool is_store, bool remote)
{
    if (x->exec->desc.untimed) {
        untimed_op(x, addr[first_lane(mask)], space, is_store);
        return;
    }
    Op *op = &x->ops[x->n_ops++];
    if (space == SP_PARAM || op->kind == OK_PLAIN) /* the constant bank */
        return;
    if (space == SP_SHARED) {
        op->kind = OK_SMEM;
        op->waves = (uint16_t)bank_passes(addr, bytes, mask);
        op->bytes = bytes * (uint32_t)__builtin_popcount(mask);
        op->addr = addr[first_lane(mask)];
        op->flags |= remote ? OPF_REMOTE : 0;
        return;
    }
    uint64_t local[WARP];
    uint32_t sectors = 0, each = bytes;
    if (space == SP_LOCAL) {
        interleave(addr, local);
        addr = local;
        each = 4;
        sectors =
            (bytes + 3) / 4 * count_sectors(addr, each, mask); /* its words lie 128 bytes apart */
    } else {
        sectors = count_sectors(addr, each, mask);
    }
    op->kind = OK_GMEM;
    op->bytes = SECTOR * sectors;
    op->addr = addr[first_lane(mask)] / SECTOR;
    op->arg0 = is_store;
}
