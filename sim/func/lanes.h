/* What the lanes of a memory instruction touch: passes over the shared-memory banks, sectors of
 * global memory. Pure counting; the arrays hold one address per lane, only those in mask count. */
#ifndef RAO_FUNC_LANES_H
#define RAO_FUNC_LANES_H

#include "sim/func/state.h"

/* Passes that a shared-memory access of `bytes` per lane takes (b200.md 3.3): lanes whose 4-byte
 * words lie in distinct banks, or in the same word, go together; 8-byte accesses by half warps,
 * 16-byte ones by quarter warps. */
uint32_t bank_passes(const uint64_t addr[WARP], uint32_t bytes, uint32_t mask);

/* Distinct 32-byte sectors. */
uint32_t count_sectors(const uint64_t addr[WARP], uint32_t bytes, uint32_t mask);

/* Fills the first op of a load or store from its addresses. space: where the lanes went; remote: to
 * another CTA. */
void memory_op(ExecCtx *x, const uint64_t addr[WARP], uint32_t bytes, uint32_t mask, Space space,
               bool is_store, bool remote);

/* The same where nobody asks for passes and sectors (ExecDesc.untimed). addr: of the first lane. */
void untimed_op(ExecCtx *x, uint64_t addr, Space space, bool is_store);

#endif
