/* A deadlock as data: who waits for what, and the cycle of waits. Filled by the functional runner
 * and by the time core; printed by reports. Research/ptx.md 6.3. */
#ifndef RAO_FUNC_DEADLOCK_H
#define RAO_FUNC_DEADLOCK_H

#include "sim/lower/op.h"

#define NO_WARP UINT32_MAX

/* Warps that have ever arrived at an mbarrier or delivered to it; the first 64 of a CTA. */
typedef struct Arrivers {
    uint64_t own, other; /* of the mbarrier's CTA; of other CTAs of the cluster */
    uint32_t ranks;      /* those CTAs */
} Arrivers;

void arrivers_add(Arrivers *a, uint32_t mbar_rank, uint32_t rank, uint32_t warp);

typedef struct DeadWait {
    uint32_t cta, warp;    /* linear CTA id; warp of the CTA */
    uint32_t rank;         /* of the CTA in its cluster */
    uint32_t cluster;      /* the same number for all CTAs of a cluster */
    uint32_t sync, parity; /* mbarrier: rank << 24 | offset and parity; named barrier: id */
    uint8_t kind;          /* OpKind of the blocking op; OK_MBAR_TEST: polls */
    uint32_t insn;         /* Code.insns index */
    uint32_t arrivals_had, arrivals_needed;
    int64_t bytes_had, bytes_needed;
    uint64_t phase;     /* completions of the mbarrier so far */
    uint32_t last_warp; /* of the CTA: that arrived or delivered last, or NO_WARP */
    uint32_t last_insn; /* with this instruction */
    Arrivers arrivers;
    uint64_t ended_arrivers; /* those of the CTA that have ended */
} DeadWait;

typedef struct Deadlock {
    DeadWait *waits;
    uint32_t n_waits;
    uint32_t *cycle; /* indices in waits: each waits for the next, the last for the first */
    uint32_t n_cycle;
    Cycle at; /* when; 0 without time */
} Deadlock;

/* Finds the cycle: from each wait to one of a warp that arrives on what it waits for. Lives in `a`;
 * n_cycle = 0 if there is none, e.g. because the arriver has ended. */
void deadlock_cycle(Arena *a, Deadlock *d);

#endif
