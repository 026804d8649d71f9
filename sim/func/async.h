/* Asynchronous operations in flight: what an instruction captured at issue and what it does when
 * its engine reads (ASYNC_READ) and when its results appear (ASYNC_DONE). One pool per CTA slot,
 * fixed capacity, handles from 1. */
#ifndef RAO_FUNC_ASYNC_H
#define RAO_FUNC_ASYNC_H

#include "isa/bits.h"
#include "sim/func/exec.h"

typedef struct AsyncPool AsyncPool;
typedef struct Async Async;
typedef struct TcScratch TcScratch;

/* What each kind does at the two steps; record filled by the exec function that made it. */
typedef bool AsyncFn(Exec *x, Cta *cta, Async *as, AsyncStep step, Err *err);

struct Async {
    AsyncFn *fn;
    uint32_t handle, next_free;
    uint32_t warp, ptx; /* who issued it, PTX instruction index: for messages */
    uint8_t *
        stage; /* captured bytes in the pool's staging ring, or NULL; given back by async_release */
    union {
        struct {
            TensorMap map;
            uint64_t map_addr;
            int32_t coord[5];
            uint32_t smem;
            uint16_t mask;
            uint8_t redop;
            bool rows4; /* gather4, scatter4: coord is the column and four rows */
        } tma;
        struct {
            uint64_t gaddr;
            uint32_t smem, smem2, bytes;
            uint16_t mask;
            uint8_t redop, type;
        } bulk;
        struct {
            uint32_t d, a_tmem, idesc, sfa, sfb, disable[8];
            uint64_t a, b;
            bool accumulate, cg2, a_in_tmem;
            uint8_t kind, svec, scale_shift;
        } mma;
        struct {
            const CodeInsn *in;
            uint64_t a, b;
            bool accumulate;
        } wgmma;
        struct {
            uint32_t taddr, n, shape, imm, mask;
            bool pack;
            uint32_t *data;
        } st; /* tcgen05.st: data = registers captured at issue */
        struct {
            uint32_t taddr;
            uint64_t sdesc;
            uint8_t shape, multicast, format;
            bool cg2, is_shift;
        } cp; /* tcgen05.cp, tcgen05.shift */
        struct {
            uint32_t dst[32], bytes, lanes;
            uint8_t redop, type, value[32][16];
        } remote;
        struct {
            uint32_t dst, cta; /* cta: first of the cluster that was taken; OP_NONE: none */
            uint16_t mask;
        } cancel;
        struct {
            uint64_t src[32];
            uint32_t dst[32], bytes, src_bytes[32], lanes;
        } ldgsts;
    } u;
};

/* Takes a free record (zeroed but for handle), or NULL with err set (more than the pool holds). */
Async *async_take(Cta *cta, AsyncFn *fn, Err *err);
void async_release(Cta *cta, uint32_t handle);

/* mem: async_pool_bytes() of zeros, aligned to 64. scratch: of the tensor core, or NULL; see
 * engine.h. */
size_t async_pool_bytes(void);
AsyncPool *async_pool_new(Arena *a, void *mem, TcScratch *scratch);

/* Whole body of FrontOps.async: runs the record's function at this step and releases the record
 * after ASYNC_DONE. A step that the record does not use does nothing. */
bool async_step(Exec *x, Cta *cta, uint32_t handle, AsyncStep step, Err *err);

/* Body of FrontOps.cancelled: what the scheduler answered to a clusterlaunchcontrol.try_cancel. */
void async_cancelled(Cta *cta, uint32_t handle, uint32_t first_cta);

/* A new CTA starts on the slot: nothing is in flight, nothing is allocated. Call from cta_start. */
void async_reset(Cta *cta);

/* Performs what the tensor core has finished but not yet written (exec_tc.c batches). Call before
 * anything outside the asynchronous half reads or writes tensor memory; async_step and the tcgen05
 * instructions do it themselves. */
bool tc_flush(Exec *x, Cta *cta, Err *err);

/* Body of FrontOps.tmem_alloc_done: writes the start column to the shared memory word that the
 * warp's tcgen05.alloc named. */
void tmem_alloc_finish(Cta *cta, uint32_t warp, uint32_t column);

#endif
