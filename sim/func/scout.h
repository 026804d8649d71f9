/* Following the code of a warp that waits: what scout.c and scout_meet.c share. Private to
 * sim/func. */
#ifndef RAO_FUNC_SCOUT_H
#define RAO_FUNC_SCOUT_H

#include "isa/form.h"
#include "sim/func/engine.h"

enum { MAX_PATHS = 256 };
enum { NOT_MET, MET_MAYBE, MET }; /* Path.met */

typedef struct Path {
    Warp w;
    void *registers;              /* block of w.base[0] */
    uint32_t *unknown, *punknown; /* lanes, by slot, by predicate */
    uint8_t *met;                 /* by target */
} Path;

typedef struct Walk {
    Exec *x;
    const Code *code;
    Scout *s;
    Path path[MAX_PATHS]; /* to be followed, the last one first */
    uint32_t n_paths, n_made;
    uint8_t *turns; /* by instruction and direction */
    uint8_t *met;   /* by target: the least that a finished path has met */
    bool any_end;
    uint64_t *states;
    uint32_t n_states;
} Walk;

static inline const CodeOpd *operand(const Walk *k, const XInsn *in, uint32_t i)
{
    return &k->code->opds[in->ci->opd + i];
}

static inline const OpdForm *form_of(const Walk *k, const XInsn *in, uint32_t i)
{
    return &k->code->module->forms->form[in->ci->op].opd[i];
}

/* Whether the value of an operand is not known in some of these lanes. */
static inline bool opd_unknown(const Walk *k, const Path *p, const CodeOpd *o, uint32_t lanes)
{
    if (o->kind == CO_PRED)
        return o->pred >= 0 && p->punknown[o->pred] & lanes;
    if (o->kind != CO_VALUE && o->kind != CO_MEM)
        return false;
    for (uint32_t j = 0; j < o->n; j++) {
        Slot s = k->code->slots[o->first + j];
        if (s >= 0 && p->unknown[s] & lanes)
            return true;
    }
    return false;
}

static inline ExecCtx context(const Walk *k, Path *p, Op *ops, Err *err)
{
    return (ExecCtx){
        .exec = k->x, .cta = p->w.cta, .w = &p->w, .ops = ops, .err = err, .next_pc = p->w.pc + 1};
}

/* An instruction that others can see: notes which waits it ends in the lanes of mask. sure: it is
 * certain to be executed. */
void scout_effect(Walk *k, Path *p, const XInsn *in, uint32_t mask, bool sure);

/* It polls an mbarrier. */
void scout_waits(const Walk *k, Path *p, const XInsn *in, uint32_t mask);

#endif
