/* Shared by the files that turn PTX into the intermediate form: build.c (operands, bodies),
 * build_move.c (moves and what becomes moves), build_wmma.c (wmma as mma.sync and loads),
 * build_call.c (call parameters, inlining). */
#ifndef RAO_LOWER_BUILD_H
#define RAO_LOWER_BUILD_H

#include "sim/lower/ir.h"

enum { MAX_SCALAR_CELLS = 4 };

typedef struct Frame { /* one function instance being copied in */
    Ir *ir;
    const Func *func;
    const struct Frame *caller;
    uint32_t depth;
    Cell *reg;   /* per register: its first value */
    Cell *param; /* per module variable: first value of a .param object of a call, or CELL_SINK */
    uint32_t *start; /* per PTX instruction: its first insn; [n_insns]: the end */
    const bool *is_kernel_param;
    uint32_t local_base;          /* offset of its local variables: behind those of its callers */
    Cell rank_base;               /* CTA rank << 24, when the kernel runs in clusters */
    Cell lane_g, lane_q;          /* %laneid / 4 and % 4, for wmma */
    Cell carry;                   /* CC.CF: a predicate; not kept across calls, says PTX */
    uint32_t ptx_at;              /* of the call, for inlined bodies */
    uint32_t *ret_fix, n_ret_fix; /* branches to the end */
    Cell value[FORM_OPDS]; /* of the instruction being built: operands that were computed before it,
                              or CELL_SINK */
    Err *err;
} Frame;

uint32_t build_slots_of(PtxType t);
/* ERR_UNSUPPORTED at the instruction, naming `what`. */
bool build_unsupported(Frame *fr, const Insn *in, const char *what);
/* What mov and initial values of variables give as the address of a function. */
uint64_t build_function_address(const Frame *fr, int32_t func);
void build_add_cells(Ir *ir, const Cell *c, uint32_t n);
/* Its predicate, the first of the sources of `out`, if the instruction has one. */
void build_add_guard(Frame *fr, const Insn *in, IrInsn *out);
/* Cells of a scalar operand; t is the type that the row expects (T_NONE: any). Returns their
 * number. */
uint32_t build_scalar(Frame *fr, const Operand *o, PtxType t, Cell *out);
/* Any instruction, operand by operand. */
bool build_generic(Frame *fr, const Insn *in, uint32_t ptx);
void build_classify_sreg(IrInsn *in, Sreg sr);
/* Copies the function's instructions in. */
bool build_body(Frame *fr);

/* build_move.c */
bool build_mov(Frame *fr, const Insn *in, uint32_t ptx);
bool build_vector_move(Frame *fr, const Insn *in, uint32_t ptx);
bool build_cvta(Frame *fr, const Insn *in, uint32_t ptx);
bool build_cvt_int(Frame *fr, const Insn *in, uint32_t ptx);
bool build_split(Frame *fr, const Insn *in, uint32_t ptx);

/* build_wmma.c */
bool build_wmma(Frame *fr, const Insn *in, uint32_t ptx);

/* build_call.c */
bool build_is_call_param(const Frame *fr, const Operand *o);
bool build_call_param(Frame *fr, const Insn *in, uint32_t mem_at, uint32_t ptx);
bool build_call(Frame *fr, const Insn *in, uint32_t ptx);

#endif
