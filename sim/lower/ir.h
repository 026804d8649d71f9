/* The intermediate form that lowering works on: the instructions of one entry with operands split
 * into 32-bit values.
 *
 * A PTX register of up to 32 bits is one value, one of 64 bits two (low half first), of 128 bits
 * four; a predicate is one value. Packs, unpacks and plain moves are copies of single values, so
 * that copy propagation sees through
 * {%f1, %f2} -> %rd3 -> fma.f32x2. Every value that an instruction reads or writes stands in one
 * cell of Ir.cells: the guard first, then the other sources, then the destinations. Passes rewrite
 * cells; nothing else knows operands.
 *
 * Not SSA: a value may have several definitions (loop variables). Passes that need one definition
 * ask ValInfo and the dominator tree (ptx.md 0.11: registers are untyped bit containers). */
#ifndef RAO_LOWER_IR_H
#define RAO_LOWER_IR_H

#include "isa/form.h"
#include "sim/lower/code.h"
#include "sim/lower/front.h"

/* A cell: >= 0 a value; < 0 a constant row, Ir.consts[-1 - cell], or one of these. */
typedef int32_t Cell;
#define CELL_SINK INT32_MIN
#define CELL_TRUE (INT32_MIN + 1)
#define CELL_FALSE (INT32_MIN + 2)
#define NO_INSN UINT32_MAX
#define NO_BLOCK UINT32_MAX

typedef struct IrOpd {
    uint8_t kind; /* CodeOpdKind; CO_PRED has its value in a cell too */
    bool dst, neg;
    uint16_t n; /* cells */
    uint16_t elem_slots, n_elems;
    uint32_t first; /* in Ir.cells */
    int64_t imm;
} IrOpd;

enum {               /* IrInsn.flags */
       IF_DEAD = 1,  /* removed */
       IF_COPY = 2,  /* cell k of the sources to cell k of the destinations */
       IF_RMW = 4,   /* destinations are read as well: guarded, or an accumulator */
       IF_PLAIN = 8, /* works on registers only */
       IF_PURE = 16, /* may be removed when nobody reads the result */
       IF_FREE =
           32, /* no machine operation, no functional effect: dropped, orders its neighbours */
       IF_GUARD = 64, /* cells[src] is the guard */
       IF_WAIT = 128, /* wait loop head: CF_WAIT */
};

typedef struct IrInsn {
    uint16_t op;
    uint16_t slots; /* issue slots */
    uint8_t type[3];
    uint8_t mod[MC_COUNT];
    uint8_t flags;
    uint8_t tclass; /* TClass */
    uint8_t kind;   /* OpKind */
    uint8_t n_opd;
    bool guard_neg;
    bool uniform;
    bool is_host;                    /* others have it as host; they stand directly before it */
    uint32_t opd;                    /* in Ir.opds */
    uint32_t src, n_src, dst, n_dst; /* in Ir.cells */
    uint32_t host;                   /* carries this instruction's machine operation, or NO_INSN */
    uint32_t target;                 /* branch: index in insns; later: block */
    uint32_t waits; /* first of n_waits cells in Ir.cells: values whose arrival this op waits for
                       (wait::ld) */
    uint16_t n_waits;
    uint32_t ptx;
} IrInsn;

typedef struct ValInfo {
    uint32_t n_defs, n_uses;
    uint32_t def; /* the definition, if there is exactly one */
} ValInfo;

typedef struct Block {
    uint32_t first, n;    /* insns */
    uint32_t succ[2];     /* NO_BLOCK: none; [0] fall-through, [1] branch */
    uint32_t n_succ_more; /* brx.idx: further targets from Ir.brx */
    uint32_t succ_more;
    uint32_t pred, n_pred; /* in Ir.preds */
    uint32_t idom;         /* NO_BLOCK: unreachable; entry: itself */
    uint32_t depth;        /* of loops */
    uint32_t rpo;          /* number in reverse post-order */
    uint32_t max_regs;     /* budget in force: maxnreg or setmaxnreg */
    bool divergent;        /* lanes of a warp may be apart here */
    bool is_target;
} Block;

typedef struct Ir {
    Arena *a; /* scratch */
    const Module *module;
    const Func *func;
    const CodeLayout *layout;
    const Model *model;
    const Forms *forms;
    IrInsn *insns;
    uint32_t n_insns, cap_insns;
    IrOpd *opds;
    uint32_t n_opds, cap_opds;
    Cell *cells;
    uint32_t n_cells, cap_cells;
    uint32_t *consts, n_consts, cap_consts;
    uint32_t *const_hash, const_hash_size; /* index + 1 */
    uint8_t *is_pred;                      /* per value */
    uint32_t n_vals, cap_vals;
    ValInfo *val;
    Block *blocks;
    uint32_t n_blocks;
    uint32_t *block_of; /* per insn */
    uint32_t *preds;    /* predecessor lists */
    uint32_t *brx, n_brx, cap_brx;
    uint32_t local_bytes; /* of all frames */
} Ir;

/* ---- ir.c ---- */
Cell ir_const(Ir *ir, uint32_t bits);
Cell ir_val(Ir *ir, bool is_pred);
/* Room for n more cells; the index of the first. */
uint32_t ir_cells(Ir *ir, uint32_t n);
uint32_t ir_opds(Ir *ir, uint32_t n);
/* A new instruction at the end of the list. */
uint32_t ir_insn(Ir *ir, const IrInsn *in);
/* Sets tclass, kind, slots and flags from the row. */
void ir_classify(Ir *ir, IrInsn *in);
/* A plain instruction with scalar operands: n_dst destinations, then n_src sources; ty the type of
 * the row. */
uint32_t ir_simple(Ir *ir, OpCode op, PtxType ty, const Cell *cells, uint32_t n_dst,
                   uint32_t n_src);
void ir_copy(Ir *ir, Cell dst, Cell src, uint32_t ptx);
/* Turns instruction i into a copy of cell src to its only destination cell. */
void ir_make_copy(Ir *ir, uint32_t i, Cell src);
/* Fills ir->val. */
void ir_count(Ir *ir);

static inline bool cell_is_val(Cell c)
{
    return c >= 0;
}
static inline bool cell_is_const(Cell c)
{
    return c < 0 && c > CELL_FALSE;
}
static inline uint32_t ir_const_bits(const Ir *ir, Cell c)
{
    return ir->consts[-1 - c];
}

/* ---- passes, in the order in which lower.c runs them ---- */
bool build_ir(Ir *ir, Err *err); /* build.c */
void cfg_build(Ir *ir);          /* cfg.c */
bool cfg_cleanup(Ir *ir);        /* cfg.c: true if branches changed and cfg_build must run again */
bool cfg_dominates(const Ir *ir, uint32_t def, uint32_t use); /* instructions */
void copy_propagate(Ir *ir);                                  /* copyprop.c */
bool fold_constants(Ir *ir); /* fold.c: true if something changed */
void remove_dead(Ir *ir);    /* copyprop.c */
void cfg_if_convert(Ir *ir); /* cfg.c */
void attach_wgmma(Ir *ir);   /* sched.c: keeps accumulators to the wait */
void fuse_ops(Ir *ir);       /* fuse.c */
void attach_waits(Ir *ir);   /* sched.c: what tcgen05.wait::ld waits for */
void mark_spins(Ir *ir);     /* spin.c */
void mark_uniform(Ir *ir);   /* uniform.c */
void coalesce(Ir *ir);       /* regalloc.c: renames values so that copies become no-ops */
void schedule(Ir *ir);       /* sched.c */
bool emit_code(Ir *ir, Arena *a, Code **out, Err *err); /* emit.c */

/* ---- rows.c: what lowering must know about rows beyond isa.def ---- */
OpKind row_kind(const IrInsn *in);
bool row_is_plain(OpCode op);   /* touches registers only */
bool row_has_effect(OpCode op); /* not plain and not a removable load */
bool row_is_int(OpCode op);     /* integer work that the uniform datapath can do */
uint16_t row_slots(const IrInsn *in);
uint8_t row_class(const IrInsn *in);

/* ---- live.c ---- */
typedef struct Interval {
    uint32_t start, end; /* half open, in points */
    uint32_t next;       /* UINT32_MAX: last */
} Interval;
enum { POINTS = 4 }; /* per instruction: read low, write low, read high, write high */

typedef struct Live {
    Interval *iv;
    uint32_t n_iv, cap_iv;
    uint32_t *head;     /* per value: its first interval, or UINT32_MAX; ascending, disjoint */
    uint64_t *in, *out; /* per block: bit sets over globals */
    uint32_t words;
    uint32_t
        *global; /* per value: number among the values that live across blocks, or UINT32_MAX */
    uint32_t *global_val, n_globals;
} Live;
void live_compute(const Ir *ir, Live *lv, bool intervals);
static inline bool live_out(const Live *lv, uint32_t block, uint32_t v)
{
    uint32_t g = lv->global[v];
    return g != UINT32_MAX && (lv->out[(size_t)block * lv->words + g / 64] >> (g % 64) & 1);
}
static inline bool live_in(const Live *lv, uint32_t block, uint32_t v)
{
    uint32_t g = lv->global[v];
    return g != UINT32_MAX && (lv->in[(size_t)block * lv->words + g / 64] >> (g % 64) & 1);
}

/* ---- regalloc.c ---- */
/* Gives every value a slot (registers and predicates apart) in slot[]; returns the counts. */
void allocate(Ir *ir, uint32_t *slot, uint32_t *n_slots, uint32_t *n_preds);

#endif
