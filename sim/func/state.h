/* What the exec_*.c files share: the machine behind Exec, operands of an instruction, addresses.
 * Private to sim/func.
 *
 * Order of XInsn.row[]: operands in the order of the row's syntax; each CO_VALUE gives its n slots,
 * each CO_MEM its base slots (0, 1 or 2), the rest nothing. Instructions with more than 8 rows, or
 * whose optional operands make the order vary, go through the operands: opd(), opd_row(). A sink is
 * a row of its own that nobody reads. */
#ifndef RAO_FUNC_STATE_H
#define RAO_FUNC_STATE_H

#include <string.h>

#include "sim/func/exec.h"

#define FULL_MASK UINT32_MAX
#define NO_PC UINT32_MAX

/* Whom an instruction waits for when its warp has diverged. */
typedef enum SyncNeed {
    SYNC_NONE,
    SYNC_MASK,    /* .sync: the lanes of the member mask, the last value operand */
    SYNC_BARRIER, /* bar.warp.sync: the same, but the lanes may stand at different ones */
    SYNC_ALL,     /* .aligned: all lanes that have not exited */
} SyncNeed;

/* What others may notice of an instruction. */
typedef enum Seen {
    SEEN_CHANGE, /* memory, barriers, asynchronous work */
    SEEN_NOTHING,
    SEEN_POLL,   /* nothing, but it reads what may be a flag */
    SEEN_ATOMIC, /* a change, or a poll if it left memory as it was */
} Seen;

struct Exec {
    Front front; /* first member: a Front * is an Exec * */
    ExecDesc desc;
    const Code *code;
    SimdIsa isa;
    XInsn *insns;           /* parallel to code->insns */
    Bound *originals;       /* of a probed run: what insns were bound to (probe.h) */
    uint32_t *const_rows;   /* each constant 32 times */
    Cta *ctas;              /* desc.n_slots */
    uint32_t cluster_ctas;  /* CTAs per cluster, 1 without */
    uint32_t static_shared; /* bytes */
    uint32_t shared_bytes;  /* of the window: SHARED_BASE + static + dynamic */
    uint32_t local_bytes;   /* per thread */
    bool uses_tmem;
    uint32_t first_sm;              /* %smid of slot 0 */
    uint64_t *changes, own_changes; /* desc.changes, or &own_changes */
    void *map;                      /* host memory of all slots, from mmap */
    size_t map_bytes;
};

static inline const Code *warp_code(const Warp *w)
{
    return w->cta->exec->code;
}

/* ---- Operands ---- */

static inline uint32_t slot_row(const Code *c, Slot s)
{
    if (s == SLOT_SINK)
        return c->n_slots;
    return s >= 0 ? (uint32_t)s : ROW_CONST | (uint32_t)(-1 - s);
}

static inline const CodeOpd *opd(const Warp *w, const XInsn *in, uint32_t k)
{
    return &warp_code(w)->opds[in->ci->opd + k];
}

static inline bool has_opd(const Warp *w, const XInsn *in, uint32_t k)
{
    return k < in->ci->n_opd && opd(w, in, k)->kind != CO_NONE;
}

/* The 32 lanes of slot j of a CO_VALUE or of the base of a CO_MEM. */
static inline uint32_t *opd_row(const Warp *w, const CodeOpd *o, uint32_t j)
{
    const Code *c = warp_code(w);
    return row(w, slot_row(c, c->slots[o->first + j]));
}

/* A value of one or two slots in one lane, zero-extended. */
static inline uint64_t opd_u64(const Warp *w, const CodeOpd *o, uint32_t lane)
{
    uint64_t v = opd_row(w, o, 0)[lane];
    if (o->n > 1)
        v |= (uint64_t)opd_row(w, o, 1)[lane] << 32;
    return v;
}

/* The address of a CO_MEM in one lane: base + imm, in the arithmetic of the base's width. */
static inline uint64_t opd_addr(const Warp *w, const CodeOpd *o, uint32_t lane)
{
    uint64_t base = o->n > 0 ? opd_u64(w, o, lane) : 0;
    uint64_t addr = base + (uint64_t)o->imm;
    return o->n == 1 ? (uint32_t)addr : addr;
}

/* Lanes in which predicate operand pred (a slot, PRED_TRUE or PRED_FALSE) holds. */
static inline uint32_t pred_lanes(const Warp *w, int32_t pred, bool neg)
{
    uint32_t lanes = pred >= 0 ? w->preds[pred] : pred == PRED_TRUE ? FULL_MASK : 0;
    return neg ? ~lanes : lanes;
}

static inline uint32_t opd_pred(const Warp *w, const CodeOpd *o)
{
    return pred_lanes(w, o->pred, o->neg);
}

/* Writes a predicate in the lanes of mask; a sink is left alone. */
static inline void set_pred(Warp *w, int32_t pred, uint32_t mask, uint32_t lanes)
{
    if (pred >= 0)
        w->preds[pred] = (w->preds[pred] & ~mask) | (lanes & mask);
}

static inline uint32_t first_lane(uint32_t mask)
{
    return (uint32_t)__builtin_ctz(mask);
}

/* ---- Addresses ---- */

/* The CTA with this rank in c's cluster, or NULL. Cluster mates stand on consecutive slots. */
Cta *cluster_cta(const Cta *c, uint32_t rank);

/* Host pointer to [addr, addr + bytes) in shared memory, addr a 32-bit shared::cluster address
 * (rank << 24 | offset). Faults (NULL) if the rank or the offset is outside, or the address is not
 * aligned. lane is for the message; owner may be NULL. */
uint8_t *shared_at(ExecCtx *x, const XInsn *in, int lane, uint64_t addr, uint32_t bytes,
                   uint32_t align, Cta **owner);

/* Shared address of a CTA's own memory: its rank in the upper byte. */
static inline uint32_t own_shared(const Cta *c, uint32_t offset)
{
    return c->rank << 24 | offset;
}

typedef struct Place {
    uint8_t *p;
    Space space; /* SP_SHARED, SP_GLOBAL (and const), SP_LOCAL, SP_PARAM: where a generic address
                    led */
    Cta *owner;  /* SP_SHARED */
    uint64_t
        addr; /* in that space: shared window address, global address, offset in local or param */
} Place;

/* Resolves an address of the state space written in the instruction (ss: MV_SS_..., 0 = generic).
 * Faults: returns false. */
bool place_at(ExecCtx *x, const XInsn *in, int lane, uint8_t ss, uint64_t addr, uint32_t bytes,
              Place *out);

/* ---- Control flow (warp.c) ---- */

/* Puts the CTA's warp at pc 0 with all its lanes. */
void warp_start(Warp *w);

/* The lanes `taken` of the running split go to `target`; the others, if any, to x->next_pc. */
void warp_branch(ExecCtx *x, uint32_t taken, uint32_t target);

/* These lanes end. */
void warp_exit(Warp *w, uint32_t lanes);

/* After pc or mask of the running split has changed: merges splits that meet, runs the one with the
 * lowest pc. */
void warp_schedule(Warp *w);

/* Whether the lanes that `in` waits for have arrived; if not, parks the running split and runs
 * another. */
bool warp_arrived(Warp *w, const XInsn *in);

/* The running split is blocked at retry_pc: it goes back there and another one runs. False: there
 * is none. */
bool warp_yield(Warp *w);

/* ---- Warps that only wait (watch.c) ---- */

void watch_start(Warp *w);
Seen seen_of(const Code *c, const CodeInsn *in);
/* After each instruction that the driver sees. */
void watch_step(Exec *x, Warp *w, const XInsn *in, const ExecCtx *done);
/* It will go on as it did before for as long as nobody changes anything. */
static inline bool watch_spins(const Exec *x, const Warp *w)
{
    return w->watch.spins && w->watch.changes == *x->changes;
}

/* scout.c: bodies of FrontOps.scout and .polls. */
void exec_scout(Front *f, uint32_t slot, uint32_t warp, Scout *s);
void exec_polls(Front *f, uint32_t slot, uint32_t warp, DeadWait *out);

/* exec_bar.c: a warp that goes on after bar.red has its result. */
void bar_resume(Warp *w);

/* ---- Parts of the executor ---- */

/* Fills insns; ERR_UNSUPPORTED names the first instruction without a meaning. */
bool bind_code(Arena *a, const Code *c, SimdIsa isa, XInsn **out, Err *err);

extern const FrontOps exec_front_ops;

/* Whether the code calls malloc (exec_call.c). */
bool calls_malloc(const Code *c);

#endif
