/* Code: a kernel after lowering. Two views of one instruction list:
 *
 *   insns[]  what the executor runs, in the order in which it runs (list-scheduled inside basic
 * blocks), operands resolved to 32-bit register slots, predicate slots and constant rows; ops[]
 * what the machine issues for it (OpInfo): fewer than insns, since moves, packs, unpacks and
 * instructions fused into a neighbour cost nothing.
 *
 * A 64-bit PTX register is two slots that need not be neighbours; f32x2 operands are two slots as
 * well; 8- and 16-bit registers take one slot, value in the low bits, upper bits unspecified.
 */
#ifndef RAO_LOWER_CODE_H
#define RAO_LOWER_CODE_H

#include "isa/isa.h"
#include "sim/lower/op.h"

/* A 32-bit operand place: >= 0 a register slot; < 0 a constant row, Code.consts[-1 - s]. SLOT_SINK:
 * written value is thrown away. */
typedef int32_t Slot;
#define SLOT_SINK INT32_MIN

typedef enum CodeOpdKind {
    CO_NONE,  /* absent optional operand */
    CO_VALUE, /* n slots (1 for <= 32 bits, 2 for 64, 4 for 128; vectors: all elements in order, low
                 slot first) */
    CO_PRED,  /* predicate slot pred (-1: sink), neg; or a constant: pred == PRED_TRUE / PRED_FALSE
               */
    CO_MEM,   /* n base slots (0, 1 or 2) + imm; space-relative (symbols are already resolved into
                 imm) */
    CO_SREG,  /* imm = Sreg */
    CO_LABEL, /* imm = target index in insns */
} CodeOpdKind;
#define PRED_TRUE (-2)
#define PRED_FALSE (-3)

typedef struct CodeOpd {
    uint8_t kind;
    bool neg;
    uint16_t n; /* slots */
    int32_t pred;
    uint32_t first;      /* index in Code.slots of the first of n slots */
    uint16_t elem_slots; /* vectors: slots per element (1 or 2) */
    uint16_t n_elems;    /* vectors: elements; scalars 1 */
    int64_t imm;
} CodeOpd;

enum {               /* CodeInsn.flags */
       CF_PLAIN = 1, /* registers only: may be executed ahead of its issue time */
       CF_WAIT = 2,  /* try_wait/test_wait whose failing path only comes back here: park instead of
                        spinning */
       CF_FUSED = 4, /* its machine operation is part of another instruction's (no op of its own) */
       CF_TARGET = 8,   /* a branch comes here: first of a basic block */
       CF_UNIFORM = 16, /* all operands are warp-uniform: runs on the uniform datapath */
};

typedef struct CodeInsn {
    uint16_t op; /* OpCode: the row, whose exec function gives the meaning */
    uint8_t type[3];
    uint8_t flags;
    uint8_t n_opd;
    bool guard_neg;
    int16_t guard; /* predicate slot or -1 */
    uint8_t mod[MC_COUNT];
    uint32_t opd;    /* index in Code.opds; same operand order as the row */
    uint32_t opinfo; /* index in Code.ops, or OP_NONE */
    uint32_t target; /* branch: index in insns */
    uint32_t ptx;    /* index in Func.insns: place for messages, source line */
} CodeInsn;

typedef struct Code {
    const Module *module;
    const Func *func;
    CodeInsn *insns;
    uint32_t n_insns;
    OpInfo *ops;
    uint32_t n_ops;
    CodeOpd *opds;
    Slot *slots;
    uint16_t *deps;
    uint32_t n_opds, n_code_slots, n_deps; /* sizes of opds, slots, deps */
    uint32_t n_slots; /* 32-bit registers per thread (also the register-pressure figure) */
    uint32_t n_preds;
    uint32_t *consts; /* distinct 32-bit constants; row i is -1 - i */
    uint32_t n_consts;
    uint32_t
        local_bytes; /* per thread: the kernel's local variables and those of inlined functions */
    bool uses_global_atomics; /* results may depend on the order of CTAs */
    bool reads_clock;         /* %clock.. or %globaltimer..: they depend on time */
} Code;

enum { FUNCTION_STEP = 16 }; /* bytes from the address of a function to that of the next */

/* Resolved addresses of module-scope variables, made by the loader before lowering. */
typedef struct CodeLayout {
    uint64_t global_base,
        const_base; /* generic address of the module's .global and .const images */
    uint64_t param_window, local_window,
        shared_window;    /* generic addresses of the windows (sim/func/mem.h) */
    uint64_t code_window; /* function i of the module has the address code_window +
                             FUNCTION_STEP * i */
    bool clustered; /* more than one CTA in a cluster: shared addresses carry a rank known only at
                       run time */
    bool keep_all;  /* also instructions without a machine operation that change nothing, such as
                       tcgen05.wait::ld and fences: a checker wants to see them */
} CodeLayout;

typedef struct Model Model;

/* Lowers one entry. `model` gives the latencies for list scheduling (NULL: keep PTX order).
 * Everything is allocated in `a`. ERR_UNSUPPORTED: recursion. Register pressure
 * above the budget is not an error; see Code.n_slots. Transformations: docs/lowering.md; source:
 * ptx.md section 5. */
bool code_lower(Arena *a, const Module *m, const Func *f, const CodeLayout *layout,
                const Model *model, Code **out, Err *err);

/* Prints insns and ops side by side (rao isa --lower). */
void code_print(FILE *out, const Code *c);

#endif
