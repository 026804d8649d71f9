/* Inside of the checker: the lanes of one access to memory. */
#ifndef RAO_CHECK_LANES_H
#define RAO_CHECK_LANES_H

#include "sim/check/core.h"

typedef struct Lanes {
    const CodeOpd *mem, *val; /* val: what is loaded or stored, or NULL */
    uint32_t elem_bytes, bytes;
    uint32_t shared, other; /* lanes that go to shared, to other memory */
    uint32_t addr[WARP];    /* shared */
    uint64_t global[WARP];
} Lanes;

typedef struct LaneTable LaneTable;

/* Weak loads and stores of shared memory by the lanes of a warp. */
void lanes_meet(Checker *k, const Warp *warp, const Lanes *l, const Act *a);
/* All lanes of the warp have come together. */
void lanes_sync(WarpCheck *w);

#endif
