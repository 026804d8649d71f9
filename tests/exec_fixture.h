/* One warp that executes hand-built code, for tests of the executor: operands are chosen here, so
 * that a test needs neither the parser nor lowering and knows which row holds what. */
#ifndef RAO_TESTS_EXEC_FIXTURE_H
#define RAO_TESTS_EXEC_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/func/state.h"

#ifndef FIX_INSNS /* capacity, to be set before this header */
#define FIX_INSNS 4096
#endif
#ifndef FIX_SLOTS
#define FIX_SLOTS 64
#endif
enum { FIX_PREDS = 8, FIX_CONSTS = 64 };

typedef struct Fix {
    Arena arena;
    Module module;
    Func func;
    Insn src; /* stands for every instruction in messages */
    Code code;
    CodeInsn insns[FIX_INSNS];
    OpInfo ops[FIX_INSNS];
    CodeOpd opds[8 * FIX_INSNS];
    Slot slots[16 * FIX_INSNS];
    uint32_t consts[FIX_CONSTS];
    Exec *exec;
    Warp *warp;
} Fix;

static inline Fix *fix_new(void)
{
    Fix *f = calloc(1, sizeof *f);
    if (!f)
        abort();
    f->src.loc = (Loc){"test.ptx", 7, 1};
    f->func = (Func){.name = "test", .insns = &f->src, .n_insns = 1};
    f->code = (Code){.module = &f->module,
                     .func = &f->func,
                     .insns = f->insns,
                     .ops = f->ops,
                     .opds = f->opds,
                     .slots = f->slots,
                     .n_slots = FIX_SLOTS,
                     .n_preds = FIX_PREDS,
                     .consts = f->consts};
    return f;
}

static inline void fix_free(Fix *f)
{
    exec_free(f->exec);
    arena_free(&f->arena);
    free(f);
}

/* A new plain instruction without operands. */
static inline CodeInsn *fix_insn(Fix *f, OpCode op, PtxType t0, PtxType t1)
{
    uint32_t i = f->code.n_insns++;
    f->ops[i] = (OpInfo){.kind = OK_PLAIN, .slots = 1, .insn = i};
    f->insns[i] = (CodeInsn){.op = (uint16_t)op,
                             .type = {(uint8_t)t0, (uint8_t)t1},
                             .guard = -1,
                             .opd = f->code.n_opds,
                             .opinfo = i,
                             .flags = CF_PLAIN};
    f->code.n_ops = f->code.n_insns;
    return &f->insns[i];
}

/* The next operand: n slots from `first` on (a register, or -1 - constant). */
static inline CodeOpd *fix_opd(Fix *f, CodeInsn *in, CodeOpdKind kind, Slot first, uint32_t n)
{
    CodeOpd *o = &f->opds[f->code.n_opds++];
    *o = (CodeOpd){.kind = (uint8_t)kind,
                   .n = (uint16_t)n,
                   .first = f->code.n_code_slots,
                   .n_elems = 1,
                   .elem_slots = (uint16_t)n};
    for (uint32_t j = 0; j < n; j++)
        f->slots[f->code.n_code_slots++] = first < 0 ? first : first + (Slot)j;
    in->n_opd++;
    return o;
}

static inline void fix_pred(Fix *f, CodeInsn *in, int32_t pred, bool neg)
{
    CodeOpd *o = fix_opd(f, in, CO_PRED, 0, 0);
    o->pred = pred;
    o->neg = neg;
}

static inline Slot fix_const(Fix *f, uint32_t bits)
{
    f->consts[f->code.n_consts++] = bits;
    return -(Slot)f->code.n_consts;
}

static inline CodeInsn *fix_exit(Fix *f)
{
    CodeInsn *in = fix_insn(f, OP_EXIT, T_NONE, T_NONE);
    in->flags = 0;
    f->ops[in->opinfo].kind = OK_EXIT;
    return in;
}

/* Binds, and places one CTA of `threads` threads. simd: as in ExecDesc. */
static inline void fix_start(Fix *f, uint32_t threads, uint8_t simd)
{
    static GlobalMem *mem; /* one for all: it is never written here */
    if (!mem)
        mem = mem_new();
    Err err = {0};
    ExecDesc d = {.code = &f->code,
                  .mem = mem,
                  .grid = {1, 1, 1},
                  .block = {threads, 1, 1},
                  .n_slots = 1,
                  .dynamic_shared = 65536,
                  .n_sms = 1,
                  .simd = simd};
    if (!exec_new(&f->arena, &d, &f->exec, &err)) {
        err_print(stderr, &err);
        abort();
    }
    Front *fr = exec_front(f->exec);
    fr->ops->cta_start(fr, 0, 0, &err);
    f->warp = &f->exec->ctas[0].warps[0];
}

#endif
