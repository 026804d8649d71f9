/* wgmma operations that are complete but whose result no register shows yet (exec_wgmma.c). Private
 * to sim/func. */
#ifndef RAO_FUNC_WGMMA_H
#define RAO_FUNC_WGMMA_H

#include "sim/func/engine.h"

/* Of one warp: one D, ascending slices of K. */
typedef struct WgBatch {
    uint32_t n; /* 0: nothing pends */
    bool accumulate;
    const CodeInsn *in; /* the first one */
    uint64_t a[TC_MAX_SLICES], b[TC_MAX_SLICES];
    uint32_t regs[TC_MAX_SLICES][4][WARP]; /* A in registers */
} WgBatch;

/* Writes D of what is complete of this warp, or of all; call before the warp goes on after a
 * wait_group, and before shared memory changes asynchronously. False: a fault, in err. */
bool wgmma_flush(Exec *x, Cta *cta, uint32_t warp, Err *err);
bool wgmma_flush_all(Exec *x, Cta *cta, Err *err);

#endif
