/* Inside of the checker: global memory, which all clusters of a launch share. */
#ifndef RAO_CHECK_GLOBAL_H
#define RAO_CHECK_GLOBAL_H

#include "sim/check/core.h"

/* ---- global.c: who has accessed what ---- */

/* An access of one warp, or of what it has issued. */
typedef struct GlobalAct {
    Act a;                     /* ACC_WRITE, _ASYNC, _ATOMIC */
    bool nc;                   /* ld.global.nc */
    const struct Lanes *store; /* values, for stores that may change nothing; or NULL */
    const Warp *warp;
} GlobalAct;

/* Each lane of the mask accesses so many bytes, naturally aligned. Addresses of other spaces do
 * nothing. */
void global_lanes(Checker *k, const GlobalAct *g, const uint64_t *addr, uint32_t lanes,
                  uint32_t bytes);
void global_span(Checker *k, const GlobalAct *g, uint64_t addr, uint64_t bytes);
/* The part of a tensor copy's box that lies inside the tensor. */
void global_box(Checker *k, const GlobalAct *g, const Async *as);

typedef struct GlobalWrite {
    uint32_t run, warp, insn;
    Epoch epoch;
} GlobalWrite;
/* The newest write in this launch to the line of addr; false: there is none. */
bool global_written(Checker *k, uint64_t addr, GlobalWrite *out);

/* ---- map.c: tensor maps that the kernel changes ---- */
void map_insn(Checker *k, const ExecCtx *x, const XInsn *in, const InsnInfo *ii, uint32_t mask);
void map_used(Checker *k, const Async *as, const Act *a);

/* ---- release.c: order between clusters ---- */

/* A strong write at addr by warp w (of the cluster) releases what it knows; relaxed: what a fence
 * of gpu scope stands behind. A strong read acquires. */
void release_write(Checker *k, uint32_t w, uint64_t addr, bool relaxed);
void release_read(Checker *k, uint32_t w, uint64_t addr);
/* Whether somebody with this clock knows that warp w of cluster `run` was at this time; bulk: the
 * time of its bulk stores. */
bool release_known(Checker *k, const Epoch *clk, uint32_t run, uint32_t w, bool bulk, Epoch time);

/* ---- access.c ---- */
/* Whether the lanes store what is there already. */
bool lanes_store_same(const Checker *k, const Warp *warp, const struct Lanes *l);

#endif
