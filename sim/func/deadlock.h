/* A deadlock as data: who waits for what, who could end each wait, and the cycle of waits. Filled
 * by the functional runner and by the time core; printed by reports. Research/ptx.md 6.3.
 *
 * Who could end a wait is learnt in two ways. From the run: who has arrived at that barrier before.
 * From the code (scout.c): what each warp would do if it could go on. Where the code of a warp has
 * been followed to its end, it decides: an arrival of old that the code does not repeat is none. */
#ifndef RAO_FUNC_DEADLOCK_H
#define RAO_FUNC_DEADLOCK_H

#include "sim/lower/front.h"

#define NO_WARP UINT32_MAX

/* ---- What an mbarrier has seen ---- */

/* Warps that have arrived at an mbarrier or delivered to it; the first 64 of a CTA. */
typedef struct Arrivers {
    uint64_t own, other; /* of the mbarrier's CTA; of other CTAs of the cluster */
    uint32_t ranks;      /* those CTAs */
} Arrivers;

typedef struct MbarHistory {
    uint64_t phase; /* completions since it was initialised */
    uint32_t bytes; /* expected in the open phase */
    Arrivers ever;
    Arrivers arrived, delivered;            /* in the open phase: arrivals; bytes */
    uint32_t last_rank, last_warp, last_op; /* whose arrival or bytes came last; Op.info */
    uint32_t expect_op, init_op;            /* that told the bytes; that initialised. OP_NONE */
} MbarHistory;

typedef struct MbarNote {               /* something that an mbarrier was asked to do, and did */
    OpKind kind;                        /* OK_MBAR_INIT, _INVAL, _ARRIVE or _TX */
    uint32_t mbar_rank, rank, warp, op; /* rank: of the CTA of who asked; op: Op.info */
    int64_t bytes;                      /* expected (> 0) or delivered (< 0) */
    bool flipped;                       /* the phase is complete */
} MbarNote;
void mbar_history_note(MbarHistory *h, const MbarNote *n);

/* ---- Waits ---- */

enum {               /* DeadEdge.how */
       DE_RUN = 1,   /* has arrived there before */
       DE_CODE = 2,  /* its code arrives there further on */
       DE_MAY = 4,   /* not certain: the address, or whether the code gets there, is not known */
       DE_BYTES = 8, /* the code delivers bytes there before it arrives */
};

typedef struct DeadEdge { /* whose going on could end a wait */
    uint32_t to;          /* the wait of that warp: index in Deadlock.waits */
    uint32_t insn;        /* of its code that would do it, or OP_NONE */
    uint8_t how;          /* DE_... */
} DeadEdge;

/* What is wrong with a wait, as far as it can be told. */
typedef enum DeadCause {
    DC_NONE,       /* waits for another wait */
    DC_NOBODY,     /* no code that is still to run ends it */
    DC_BYTES_MORE, /* all have arrived, all who deliver have delivered: more bytes expected */
    DC_BYTES_LESS, /* more bytes than expected have come, and nobody is left to expect them */
    DC_COUNT,      /* everybody who arrives there has done so in this phase: fewer than needed */
    DC_SELF,       /* only those who wait for it arrive there, behind their waits */
    DC_START,      /* of a cycle in which no barrier has ever completed a phase */
} DeadCause;

struct DeadWait {
    uint32_t cta, warp;    /* linear CTA id; warp of the CTA */
    uint32_t rank;         /* of the CTA in its cluster */
    uint32_t cluster;      /* the same number for all CTAs of a cluster: id of the first */
    uint32_t sync, parity; /* mbarrier: rank << 24 | offset and parity; named barrier: id */
    uint64_t addr;         /* of a poll: of memory (a sector where it is global), or 0 */
    uint8_t kind;          /* OpKind of the blocking op; OK_MBAR_TEST: polls */
    bool parked;           /* false: polls, or runs for ever */
    uint32_t insn;         /* Code.insns index */
    uint32_t arrivals_had, arrivals_needed;
    int64_t bytes_had, bytes_needed;
    MbarHistory seen;
    uint64_t there; /* named and cluster barrier: warps of the CTA that have arrived */
    uint64_t ended; /* warps of the CTA that have ended */
    Front *front;   /* and slot: to follow the code; valid while the run's machine stands */
    uint32_t slot;
    /* Found by deadlock_explain: */
    DeadEdge *edges;
    uint32_t n_edges;
    uint8_t does;      /* SCOUT_...: what its code goes on to do */
    bool followed;     /* the code of everybody who could end it has been followed to its end */
    uint8_t cause;     /* DeadCause */
    Arrivers suspects; /* DC_NOBODY: whose code waits for what this warp signals, but has not
                          arrived in this phase */
    uint32_t next;     /* the edge that leads towards the cause or round the cycle, or OP_NONE */
};

typedef struct Deadlock {
    DeadWait *waits;
    uint32_t n_waits;
    uint32_t *cycle; /* indices in waits: each waits for the next, the last for the first */
    uint32_t n_cycle;
    bool suspected; /* nobody's code ends the first wait of the cycle: its edge is a guess */
    uint32_t n_started, n_ctas; /* CTAs of the grid that have started; all (0: unknown) */
    uint64_t steps;             /* instructions that were followed in the code */
    Cycle at;                   /* when; 0 without time */
} Deadlock;

/* Follows the code of the waiting warps, finds the edges, the causes and a cycle. Waits and what is
 * added live in `a`. n_cycle = 0: there is none. Needs a second at most. */
void deadlock_explain(Arena *a, Deadlock *d);

static inline bool dead_is_mbar(const DeadWait *w)
{
    return w->kind == OK_MBAR_WAIT || w->kind == OK_MBAR_TEST;
}

/* ---- Following code (FrontOps.scout) ---- */

typedef struct ScoutTarget { /* something that somebody of this cluster waits for */
    uint8_t kind;            /* OpKind of the wait */
    uint32_t rank;           /* of the CTA of that wait */
    uint32_t sync;
    uint64_t addr;
    uint32_t warp; /* of that wait, for waits of a warpgroup */
    /* Found: */
    uint32_t insn; /* that ends the wait, or helps to, or OP_NONE */
    uint8_t how;   /* DE_CODE, DE_MAY, DE_BYTES */
} ScoutTarget;

enum { SCOUT_LOADS = 1, SCOUT_MMA = 2, SCOUT_READS_D = 4, SCOUT_STORES = 8 };

typedef struct ScoutBarrier { /* an mbarrier that the code names */
    uint32_t sync;            /* rank << 24 | offset */
    bool arrives, waits;
} ScoutBarrier;

struct Scout {
    bool from_start; /* follow the code from the kernel's first instruction, not from the wait */
    ScoutTarget *targets;
    uint32_t n_targets;
    uint64_t steps;         /* in: instructions that may be followed; out: what is left of them */
    bool cut;               /* the code goes on where it was not followed */
    uint8_t does;           /* SCOUT_... */
    ScoutBarrier *barriers; /* out: at most max_barriers; NULL: not asked for */
    uint32_t n_barriers, max_barriers;
};

#endif
