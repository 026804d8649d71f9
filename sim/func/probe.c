/* The functions that stand in for every instruction of a probed run. */
#include "sim/func/probe.h"

#include "sim/func/state.h"

static bool probed_dyn(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    const Exec *e = x->exec;
    Probe *w = e->desc.probe;
    return w->dyn(w, x, in, mask, e->originals[in - e->insns].dyn);
}

static void probed_plain(Warp *warp, const XInsn *in, uint32_t mask)
{
    const Exec *e = warp->cta->exec;
    Probe *w = e->desc.probe;
    w->plain(w, warp, in, mask, e->originals[in - e->insns].plain);
}

Bound *probe_insns(Arena *a, XInsn *insns, uint32_t n)
{
    Bound *originals = arena_new(a, Bound, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        XInsn *in = &insns[i];
        originals[i] = (Bound){.plain = in->plain, .dyn = in->dyn};
        if (in->plain)
            in->plain = probed_plain; /* its dyn only calls plain: bind.c */
        else
            in->dyn = probed_dyn;
    }
    return originals;
}
