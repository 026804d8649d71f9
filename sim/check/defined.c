/* Definedness of registers, by lane. Copying is silent, as in valgrind: what is never written is
 * reported where it decides something: a branch or guard, an address, an operand of a barrier or
 * copy, a value that leaves for global memory. */
#include "sim/check/core.h"
#include "sim/check/lanes.h"

static const uint16_t *srcs(const Checker *k, const InsnInfo *ii)
{
    return k->places + ii->at;
}
static const uint16_t *psrcs(const Checker *k, const InsnInfo *ii)
{
    return srcs(k, ii) + ii->n_src;
}
static const uint16_t *dsts(const Checker *k, const InsnInfo *ii)
{
    return psrcs(k, ii) + ii->n_psrc;
}
static const uint16_t *pdsts(const Checker *k, const InsnInfo *ii)
{
    return dsts(k, ii) + ii->n_dst;
}

void defined_set(WarpCheck *w, uint32_t slot, uint32_t mask, uint32_t lanes, uint32_t origin)
{
    w->def[slot] = (w->def[slot] & ~mask) | (lanes & mask);
    if (mask & ~lanes)
        w->origin[slot] = origin;
}

static void set_pred_def(WarpCheck *w, uint32_t pred, uint32_t mask, uint32_t lanes)
{
    w->pdef[pred] = (w->pdef[pred] & ~mask) | (lanes & mask);
}

/* ---- Findings ---- */

void defined_report(Checker *k, const Warp *warp, const XInsn *in, uint32_t origin, uint32_t lanes,
                    const char *what)
{
    static const FindingKind kinds[] = {FK_UNINIT_REG, FK_UNINIT_SHARED, FK_UNINIT_TMEM,
                                        FK_UNINIT_REG};
    uint32_t w = warp_index(k, warp_check(k, warp));
    uint32_t here = (uint32_t)(in - k->x->insns);
    Finding *f = origin >> 30
                     ? finding_pair(k, kinds[origin >> 30], w, here, w, origin & ORIGIN_INSN)
                     : finding_add(k, FK_UNINIT_REG, w, here);
    if (f->count > 1)
        return;
    f->at.lane = (int32_t)first_lane(lanes);
    finding_detail(k, f, "%s depends on it", what);
}

static const char *use_of(const InsnInfo *ii, uint32_t i)
{
    if (i < ii->n_addr)
        return "an address";
    switch (ii->cls) {
    case CL_BRANCH:
        return "a branch";
    case CL_ATOM:
        return "a value that an atomic operation writes";
    default:
        return "an operand";
    }
}

/* Loads from tensor memory are complete when a register that they fill is used. */
static void note_loaded(const Checker *k, WarpCheck *w, uint32_t slot)
{
    Epoch t = w->loaded[slot];
    uint16_t agent = w->agent[AK_TLD];
    if (!t)
        return;
    w->loaded[slot] = 0;
    w->n_loaded--;
    if (agent != NO_AGENT && w->clk[agent] < t)
        w->clk[agent] = t;
    (void)k;
}

static void check_guard(Checker *k, const Warp *warp, const XInsn *in, WarpCheck *w)
{
    uint32_t bad = warp->mask & ~w->pdef[in->guard];
    if (bad)
        defined_report(k, warp, in, ORIGIN_REG, bad, "whether the instruction is executed");
}

void defined_use(Checker *k, const Warp *warp, const XInsn *in, const InsnInfo *ii, uint32_t mask)
{
    WarpCheck *w = warp_check(k, warp);
    const uint16_t *s = srcs(k, ii), *p = psrcs(k, ii);
    if (in->guard >= 0)
        check_guard(k, warp, in, w);
    if (k->wg_regs && ii->cls != CL_WGMMA)
        wgmma_regs(k, warp, in, ii);
    for (uint32_t i = 0; i < ii->n_src; i++) {
        if (w->n_loaded)
            note_loaded(k, w, s[i]);
        if (mask & ~w->def[s[i]])
            defined_report(k, warp, in, w->origin[s[i]], mask & ~w->def[s[i]], use_of(ii, i));
    }
    for (uint32_t i = 0; i < ii->n_psrc; i++)
        if (mask & ~w->pdef[p[i]])
            defined_report(k, warp, in, ORIGIN_REG, mask & ~w->pdef[p[i]], use_of(ii, UINT8_MAX));
}

/* ---- Flow ---- */

typedef struct Sum {
    uint32_t all, any; /* lanes in which all, any of the register sources are defined */
    uint32_t origin;
} Sum;

static Sum sum_of(const Checker *k, const WarpCheck *w, const InsnInfo *ii)
{
    const uint16_t *s = srcs(k, ii), *p = psrcs(k, ii);
    Sum r = {FULL_MASK, ii->n_src + ii->n_psrc ? 0 : FULL_MASK, ORIGIN_REG};
    for (uint32_t i = 0; i < ii->n_src; i++) {
        uint32_t d = w->def[s[i]];
        r.all &= d;
        r.any |= d;
        if (d != FULL_MASK)
            r.origin = w->origin[s[i]];
    }
    for (uint32_t i = 0; i < ii->n_psrc; i++) {
        r.all &= w->pdef[p[i]];
        r.any |= w->pdef[p[i]];
    }
    return r;
}

static void define(const Checker *k, WarpCheck *w, const InsnInfo *ii, uint32_t mask,
                   uint32_t lanes, uint32_t origin)
{
    const uint16_t *d = dsts(k, ii), *p = pdsts(k, ii);
    for (uint32_t i = 0; i < ii->n_dst; i++)
        defined_set(w, d[i], mask, lanes, origin);
    for (uint32_t i = 0; i < ii->n_pdst; i++)
        set_pred_def(w, p[i], mask, lanes);
}

/* Slot j of the destination from slot j of each source operand. Constants are defined. */
static void flow_pairs(const Checker *k, WarpCheck *w, const XInsn *in, const InsnInfo *ii,
                       uint32_t mask)
{
    const Code *c = k->l.code;
    const CodeOpd *d = &c->opds[in->ci->opd];
    uint32_t lanes[4] = {FULL_MASK, FULL_MASK, FULL_MASK, FULL_MASK}, origin[4] = {0};
    bool fits = d->kind == CO_VALUE && d->n <= 4;
    for (uint32_t i = 1; fits && i < in->ci->n_opd; i++) {
        const CodeOpd *o = d + i;
        fits = o->kind == CO_VALUE ? o->n == d->n : o->kind != CO_PRED;
        for (uint32_t j = 0; fits && o->kind == CO_VALUE && j < o->n; j++) {
            Slot s = c->slots[o->first + j];
            if (s < 0 || s >= UINT16_MAX || w->def[s] == FULL_MASK)
                continue;
            lanes[j] &= w->def[s];
            origin[j] = w->origin[s];
        }
    }
    if (!fits) {
        Sum s = sum_of(k, w, ii);
        define(k, w, ii, mask, s.any, s.origin);
        return;
    }
    for (uint32_t j = 0; j < d->n; j++) {
        Slot s = c->slots[d->first + j];
        if (s >= 0 && s < UINT16_MAX)
            defined_set(w, (uint32_t)s, mask, lanes[j], origin[j]);
    }
}

/* selp d, a, b, p: only what is chosen counts. */
static void flow_select(const Checker *k, const Warp *warp, WarpCheck *w, const XInsn *in,
                        uint32_t mask)
{
    const Code *c = k->l.code;
    const CodeOpd *o = &c->opds[in->ci->opd];
    uint32_t p = opd_pred(warp, &o[3]), known = o[3].pred >= 0 ? w->pdef[o[3].pred] : FULL_MASK;
    for (uint32_t j = 0; j < o[0].n; j++) {
        Slot d = c->slots[o[0].first + j];
        uint32_t lanes = known, origin = ORIGIN_REG;
        for (uint32_t side = 1; side <= 2; side++) {
            Slot s = c->slots[o[side].first + j];
            uint32_t chosen = side == 1 ? p : ~p;
            if (s < 0 || s >= UINT16_MAX || !(chosen & mask & ~w->def[s]))
                continue;
            lanes &= ~chosen | w->def[s];
            origin = w->origin[s];
        }
        if (d >= 0 && d < UINT16_MAX)
            defined_set(w, (uint32_t)d, mask, lanes, origin);
    }
}

void defined_pass(Checker *k, const Warp *warp, const XInsn *in, const InsnInfo *ii, uint32_t mask)
{
    WarpCheck *w = warp_check(k, warp);
    Sum s;
    switch ((Flow)ii->flow) {
    case FLOW_ALL:
        s = sum_of(k, w, ii);
        define(k, w, ii, mask, s.all, s.origin);
        break;
    case FLOW_ANY:
        s = sum_of(k, w, ii);
        define(k, w, ii, mask, s.any, s.origin);
        break;
    case FLOW_PAIRS:
        flow_pairs(k, w, in, ii, mask);
        break;
    case FLOW_SELECT:
        flow_select(k, warp, w, in, mask);
        break;
    case FLOW_MADE:
        define(k, w, ii, mask, FULL_MASK, ORIGIN_REG);
        break;
    case FLOW_NONE:
        if (in->plain) /* a kernel parameter */
            define(k, w, ii, mask, FULL_MASK, ORIGIN_REG);
        break;
    }
}

void on_plain(Probe *probe, Warp *warp, const XInsn *in, uint32_t mask, PlainFn *fn)
{
    Checker *k = (Checker *)probe;
    const InsnInfo *ii = &k->info[in - k->x->insns];
    WarpCheck *w = warp_check(k, warp);
    if (in->sync)
        lanes_sync(w);
    if (in->guard >= 0)
        check_guard(k, warp, in, w);
    if (w->n_loaded) {
        const uint16_t *s = srcs(k, ii);
        for (uint32_t i = 0; i < ii->n_src; i++)
            note_loaded(k, w, s[i]);
    }
    if (k->wg_regs)
        wgmma_regs(k, warp, in, ii);
    if (ii->cls != CL_OTHER)
        plain_class(k, warp, in, ii);
    defined_pass(k, warp, in, ii, mask);
    fn(warp, in, mask);
}
