/* Executes single instructions of the asynchronous half on a CTA, without parser and lowering:
 * operands are constants or registers given by number. For tests. */
#ifndef RAO_TESTS_FUNC_KIT_H
#define RAO_TESTS_FUNC_KIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/func/engine.h"

enum { KIT_OPDS = 64, KIT_SLOTS = 1024, KIT_CONSTS = 1024, KIT_REGS = 256, KIT_PREDS = 8 };

typedef struct Kit {
    Arena a;
    Module module;
    Func func;
    Insn insn;
    CodeInsn code_insn, now;
    CodeOpd opds[KIT_OPDS];
    Slot slots[KIT_SLOTS];
    uint32_t const_rows[KIT_CONSTS * WARP];
    uint32_t n_opds, n_slots, n_consts;
    Code code;
    GlobalMem *mem;
    Exec *x;
    Op ops[OP_BURST];
    uint32_t n_ops;
    Err err;
} Kit;

/* A machine with `ctas` CTAs in one cluster, `warps` warps each. */
static inline void kit_open(Kit *k, uint32_t ctas, uint32_t warps, bool mma_hw)
{
    memset(k, 0, sizeof *k);
    k->func = (Func){.name = "kit", .is_entry = true, .insns = &k->insn, .n_insns = 1};
    k->insn.loc.line = 7;
    k->code_insn =
        (CodeInsn){.op = OP_TCGEN05_FENCE_AFTER, .guard = -1, .flags = CF_PLAIN, .opinfo = OP_NONE};
    k->code = (Code){.module = &k->module,
                     .func = &k->func,
                     .insns = &k->code_insn,
                     .n_insns = 1,
                     .opds = k->opds,
                     .slots = k->slots,
                     .n_slots = KIT_REGS,
                     .n_preds = KIT_PREDS};
    k->mem = mem_new();
    ExecDesc d = {.code = &k->code,
                  .mem = k->mem,
                  .grid = {ctas, 1, 1},
                  .block = {warps * 32, 1, 1},
                  .cluster = {ctas, 1, 1},
                  .dynamic_shared = SHARED_MAX,
                  .n_slots = ctas,
                  .n_sms = 1,
                  .mma_hw = mma_hw};
    if (!exec_new(&k->a, &d, &k->x, &k->err)) {
        fprintf(stderr, "kit: %s\n", k->err.msg);
        abort();
    }
    for (uint32_t c = 0; c < ctas; c++) {
        if (!exec_front(k->x)->ops->cta_start(exec_front(k->x), c, c, &k->err))
            abort();
        k->x->ctas[c].async->tmem_live = 0xffff;
        for (uint32_t w = 0; w < warps; w++)
            k->x->ctas[c].warps[w].base[1] = k->const_rows;
    }
}

static inline void kit_close(Kit *k)
{
    exec_free(k->x);
    mem_free(k->mem);
    arena_free(&k->a);
}

/* ---- Operands, in the order of the row's syntax ---- */

static inline void kit_begin(Kit *k, OpCode op)
{
    k->n_opds = k->n_slots = k->n_consts = 0;
    k->now = (CodeInsn){.op = (uint16_t)op, .guard = -1, .opinfo = OP_NONE};
}

static inline void kit_slot(Kit *k, uint32_t value)
{
    for (uint32_t l = 0; l < WARP; l++)
        k->const_rows[k->n_consts * WARP + l] = value;
    k->slots[k->n_slots++] = -1 - (Slot)k->n_consts++;
}

static inline CodeOpd *kit_opd(Kit *k, CodeOpdKind kind)
{
    CodeOpd *o = &k->opds[k->n_opds++];
    *o = (CodeOpd){
        .kind = (uint8_t)kind, .first = k->n_slots, .pred = -1, .elem_slots = 1, .n_elems = 1};
    k->now.n_opd = (uint8_t)k->n_opds;
    return o;
}

static inline void kit_none(Kit *k)
{
    kit_opd(k, CO_NONE);
}

static inline void kit_u32(Kit *k, uint32_t v)
{
    kit_opd(k, CO_VALUE)->n = 1;
    kit_slot(k, v);
}

static inline void kit_u64(Kit *k, uint64_t v)
{
    kit_opd(k, CO_VALUE)->n = 2;
    kit_slot(k, (uint32_t)v);
    kit_slot(k, (uint32_t)(v >> 32));
}

static inline void kit_mem32(Kit *k, uint32_t addr)
{
    kit_opd(k, CO_MEM)->n = 1;
    kit_slot(k, addr);
}

static inline void kit_mem64(Kit *k, uint64_t addr)
{
    kit_opd(k, CO_MEM)->n = 2;
    kit_slot(k, (uint32_t)addr);
    kit_slot(k, (uint32_t)(addr >> 32));
}

static inline void kit_vec(Kit *k, const uint32_t *v, uint32_t n)
{
    CodeOpd *o = kit_opd(k, CO_VALUE);
    o->n = o->n_elems = (uint16_t)n;
    for (uint32_t i = 0; i < n; i++)
        kit_slot(k, v[i]);
}

/* Registers first, first + 1, ... */
static inline void kit_regs(Kit *k, uint32_t first, uint32_t n)
{
    CodeOpd *o = kit_opd(k, CO_VALUE);
    o->n = o->n_elems = (uint16_t)n;
    for (uint32_t i = 0; i < n; i++)
        k->slots[k->n_slots++] = (Slot)(first + i);
}

static inline void kit_pred(Kit *k, int32_t pred)
{
    kit_opd(k, CO_PRED)->pred = pred;
}

/* ---- Execution ---- */

/* Executes the instruction in the lanes of mask; false: a fault, in k->err. */
static inline bool kit_exec(Kit *k, BindFn *bind, uint32_t cta, uint32_t warp, uint32_t mask)
{
    Cta *c = &k->x->ctas[cta];
    Bound b = {0};
    XInsn in = {.ci = &k->now};
    k->now.opd = 0;
    k->n_ops = 0;
    k->err = (Err){0};
    if (!bind(&k->code, &k->now, &b))
        return err_set(&k->err, ERR_UNSUPPORTED, (Loc){0}, "not bound");
    memset(k->ops, 0, sizeof k->ops);
    ExecCtx x = {.exec = k->x, .cta = c, .w = &c->warps[warp], .ops = k->ops, .err = &k->err};
    if (b.plain)
        b.plain(x.w, &in, mask);
    else if (!b.dyn(&x, &in, mask))
        return false;
    k->n_ops = x.n_ops;
    return true;
}

static inline bool kit_step(Kit *k, uint32_t cta, uint32_t handle, AsyncStep step)
{
    return async_step(k->x, &k->x->ctas[cta], handle, step, &k->err);
}

/* Both steps of the operation that the last instruction started. */
static inline bool kit_finish(Kit *k, uint32_t cta)
{
    uint32_t h = k->ops[0].handle;
    return kit_step(k, cta, h, ASYNC_READ) && kit_step(k, cta, h, ASYNC_DONE);
}

static inline uint32_t *kit_reg(Kit *k, uint32_t cta, uint32_t warp, uint32_t r)
{
    return row(&k->x->ctas[cta].warps[warp], r);
}

#endif
