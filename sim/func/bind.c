/* From lowered code to XInsns: each instruction gets the function that its row names, chosen for
 * its types and modifiers, and its operands as row numbers. */
#include "sim/func/exec_decl.h"
#include "sim/func/state.h"

static BindFn *const bind_fns[OP_COUNT] = {
#define INSN(id, syntax, types, tclass, exec) [OP_##id] = exec_##exec,
#include "isa/isa.def"
#undef INSN
};

bool exec_unsupported(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c, (void)in, (void)out;
    return false;
}

/* Rows that lowering replaces by others (lower/build_wmma.c). */
#define LOWERED(name)                                                                              \
    bool exec_##name(const Code *c, const CodeInsn *in, Bound *out)                                \
    {                                                                                              \
        return exec_unsupported(c, in, out);                                                       \
    }
LOWERED(wmma_load)
LOWERED(wmma_store)
LOWERED(wmma_mma)

#define REFUSED(word, reason)                                                                      \
    bool exec_refuse_##word(const Code *c, const CodeInsn *in, Bound *out)                         \
    {                                                                                              \
        return exec_unsupported(c, in, out);                                                       \
    }
#include "isa/refused.def"

static bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* PTX ISA: .aligned needs all threads of the warp, .sync those of the member mask; bar.sync and
 * bar.arrive are short for barrier.*.aligned. mbarrier and barrier.sync without .aligned count
 * threads and wait for nobody here. */
static SyncNeed sync_need(const char *syntax)
{
    if (starts_with(syntax, "bar.warp.sync"))
        return SYNC_BARRIER;
    if (strstr(syntax, ".aligned") || starts_with(syntax, "bar{.scope}."))
        return SYNC_ALL;
    static const char *const by_mask[] = {"shfl.", "vote.", "match.", "redux.", "elect."};
    for (size_t i = 0; i < sizeof by_mask / sizeof by_mask[0]; i++)
        if (starts_with(syntax, by_mask[i]))
            return SYNC_MASK;
    return SYNC_NONE;
}

static void add_rows(const Code *c, const CodeOpd *o, XInsn *out)
{
    uint32_t max = sizeof out->row / sizeof out->row[0];
    for (uint32_t j = 0; j < o->n && out->n_rows < max; j++)
        out->row[out->n_rows++] = slot_row(c, c->slots[o->first + j]);
}

static void add_pred(const CodeOpd *o, XInsn *out)
{
    uint32_t max = sizeof out->pred / sizeof out->pred[0];
    if (out->n_preds == max)
        return;
    out->pred[out->n_preds] = (int16_t)o->pred;
    out->pred_neg |= (uint8_t)(o->neg << out->n_preds);
    out->n_preds++;
}

static void flatten(const Code *c, const CodeInsn *in, XInsn *out)
{
    bool has_imm = false;
    for (uint32_t k = 0; k < in->n_opd; k++) {
        const CodeOpd *o = &c->opds[in->opd + k];
        if (o->kind == CO_VALUE || o->kind == CO_MEM)
            add_rows(c, o, out);
        if (o->kind == CO_PRED)
            add_pred(o, out);
        if (!has_imm && (o->kind == CO_MEM || o->kind == CO_SREG)) {
            out->imm = o->imm;
            has_imm = true;
        }
    }
}

/* A plain function that may not run ahead of its issue time (a read of the clock) is called when it
 * issues. */
static bool run_late(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    in->plain(x->w, in, mask);
    return true;
}

static bool bind_insn(const Code *c, const CodeInsn *in, SimdIsa isa, XInsn *out, Err *err)
{
    Bound b = {.isa = isa};
    const OpRow *r = &op_row[in->op];
    if (!bind_fns[in->op](c, in, &b) || (!b.plain && !b.dyn)) {
        const char *why = isa_refusal((OpCode)in->op);
        return err_set(err, ERR_UNSUPPORTED, c->func->insns[in->ptx].loc,
                       "%s: this simulator does not execute this form (%s: %s)", r->syntax, r->id,
                       why ? why : "with these operands");
    }
    *out = (XInsn){.plain = b.plain, .dyn = b.dyn, .ci = in, .opinfo = in->opinfo};
    if (b.plain && !(in->flags & CF_PLAIN))
        out->dyn = run_late;
    out->guard = in->guard;
    out->guard_neg = in->guard_neg;
    out->sync = (uint8_t)sync_need(r->syntax);
    out->seen = (uint8_t)seen_of(c, in);
    flatten(c, in, out);
    return true;
}

bool bind_code(Arena *a, const Code *c, SimdIsa isa, XInsn **out, Err *err)
{
    XInsn *insns = arena_new(a, XInsn, c->n_insns + 1); /* one more: its zero ends a run */
    for (uint32_t i = 0; i < c->n_insns; i++)
        if (!bind_insn(c, &c->insns[i], isa, &insns[i], err))
            return false;
    *out = insns;
    return true;
}
