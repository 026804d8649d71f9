/* Inside of the checker: global memory, which all clusters of a launch share. */
#ifndef RAO_CHECK_GLOBAL_H
#define RAO_CHECK_GLOBAL_H

#include "sim/check/core.h"

enum { LINE = 128, LINES_OF_PAGE = 512 };

typedef struct Bytes {
    uint64_t lo, hi; /* a bit for each byte of a line */
} Bytes;

static inline uint64_t bytes_first(uint64_t line, Bytes b)
{
    return line * LINE + (uint32_t)(b.lo ? __builtin_ctzll(b.lo) : 64 + __builtin_ctzll(b.hi));
}

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

/* The launch has ended. */
void global_end(Checker *k);

typedef struct GlobalWrite {
    uint32_t run, warp, insn;
    Epoch epoch;
} GlobalWrite;
/* The newest write in this launch to the line of addr; false: there is none. */
bool global_written(Checker *k, uint64_t addr, GlobalWrite *out);

/* ---- map.c: tensor maps that the kernel changes ---- */
void map_insn(Checker *k, const ExecCtx *x, const XInsn *in, const InsnInfo *ii, uint32_t mask);
void map_used(Checker *k, const Async *as, const Act *a);

/* ---- griddep.c: order between launches ---- */
/* The launch that ends has written these bytes of a line. */
void griddep_note(Checker *k, uint64_t line, Bytes b);
/* An access of a kernel with griddepcontrol.wait. */
void griddep_touch(Checker *k, const Act *a, uint64_t line, Bytes b);

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
