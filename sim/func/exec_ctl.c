/* Control flow. PTX ISA "Control Flow Instructions"; splits of a warp are in warp.c. */
#include "sim/func/exec_decl.h"
#include "sim/func/state.h"

static void branch_op(ExecCtx *x)
{
    x->ops[x->n_ops++].arg0 = x->w->n_splits + 1;
}

static bool bra(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    warp_branch(x, mask, in->ci->target);
    branch_op(x);
    return true;
}

bool exec_bra(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c, (void)in;
    out->dyn = bra;
    return true;
}

/* brx.idx a, targets: each lane goes to targets[a]. Lowering gives the list as a CO_LABEL whose n
 * slots are indices in Code.insns. */
static bool brx_idx(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    const Warp *w = x->w;
    const CodeOpd *list = opd(w, in, 1);
    const uint32_t *index = opd_row(w, opd(w, in, 0), 0);
    const Slot *target = &warp_code(w)->slots[list->first];
    for (uint32_t m = mask; m; m &= m - 1)
        if (index[first_lane(m)] >= list->n)
            return exec_fault(x, in, (int)first_lane(m), "brx.idx: index %u of %u targets",
                              index[first_lane(m)], list->n);
    for (uint32_t left = mask; left;) {
        uint32_t k = index[first_lane(left)], group = 0;
        for (uint32_t m = left; m; m &= m - 1)
            if (index[first_lane(m)] == k)
                group |= m & -m;
        warp_branch(x, group, (uint32_t)target[k]);
        left &= ~group;
    }
    branch_op(x);
    return true;
}

bool exec_brx_idx(const Code *c, const CodeInsn *in, Bound *out)
{
    out->dyn = brx_idx;
    return c->opds[in->opd + 1].kind == CO_LABEL;
}

static bool leave(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    (void)in;
    warp_exit(x->w, mask);
    Op *op = &x->ops[x->n_ops++];
    if (x->w->live) { /* some lanes go on */
        op->kind = OK_BRANCH;
        op->arg0 = x->w->n_splits + (x->w->mask != 0);
    } else {
        op->kind = OK_EXIT;
    }
    return true;
}

/* Functions are inlined by lowering, so a ret that is left ends the kernel. */
bool exec_ret(const Code *c, const CodeInsn *in, Bound *out)
{
    return exec_exit(c, in, out);
}

bool exec_exit(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c, (void)in;
    out->dyn = leave;
    return true;
}

static bool trap(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    return exec_fault(x, in, (int)first_lane(mask), "the kernel executes %s",
                      in->ci->op == OP_BRKPT ? "brkpt" : "trap");
}

bool exec_trap(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c, (void)in;
    out->dyn = trap;
    return true;
}

static void pmevent(Warp *w, const XInsn *in, uint32_t mask)
{
    (void)w, (void)in, (void)mask; /* triggers a profiler; no effect on the program */
}

bool exec_pmevent(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c, (void)in;
    out->plain = pmevent;
    return true;
}
