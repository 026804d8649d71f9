/* mbarriers: what arrives releases, who has waited acquires; phases by number, not parity. */
#include "sim/check/core.h"
#include "sim/check/lanes.h"
#include "sim/func/symbol.h"

enum { WORD = 8 };

Mbar *mbar_find(const Checker *k, uint32_t addr)
{
    uint32_t rank = addr >> 24, offset = addr & 0xffffff;
    if (rank >= k->n_ctas || offset + WORD > k->x->shared_bytes)
        return NULL;
    CtaCheck *c = &k->ctas[rank];
    return c->mbar_at[offset / WORD] ? &c->mbars[c->mbar_at[offset / WORD] - 1] : NULL;
}

static Mbar *mbar_make(Checker *k, uint32_t addr)
{
    CtaCheck *c = &k->ctas[addr >> 24];
    Mbar *b = mbar_find(k, addr);
    if (b || c->n_mbars == MBARS)
        return b;
    uint32_t offset = addr & 0xffffff;
    b = &c->mbars[c->n_mbars++];
    *b = (Mbar){.addr = addr,
                .agent = agent_new(k, AK_MBAR, addr),
                .acc = clock_new(k),
                .done = clock_new(k)};
    c->mbar_at[offset / WORD] = (uint16_t)c->n_mbars;
    return b;
}

static void name_mbar(Checker *k, Finding *f, uint32_t addr)
{
    char name[128];
    shared_symbol(k->l.code, addr, name, sizeof name);
    finding_object(k, f, "mbarrier %s (shared address 0x%x)", name, addr & 0xffffff);
}

static uint32_t insn_of(const Checker *k, const Op *op)
{
    return op->info < k->l.code->n_ops ? k->l.code->ops[op->info].insn : 0;
}

/* ---- init ---- */

static void init(Checker *k, const ProbeMbar *e, uint32_t warp, uint32_t insn)
{
    Mbar *b = mbar_make(k, e->addr);
    Gran *g = shared_gran(k, e->addr);
    WarpCheck *w = &k->warps[warp];
    if (!b || !g)
        return;
    /* Lanes of one instruction that say the same: FA4's backward. */
    bool again = b->init_warp == warp && b->init_insn == insn && b->init_epoch == w->clk[warp] &&
                 b->expected == e->arrivals;
    if (b->live && !again) {
        Finding *f = finding_pair(k, FK_MBAR_REINIT, warp, insn, b->init_warp, b->init_insn);
        name_mbar(k, f, e->addr);
    }
    Act a = {.clk = w->clk,
             .warp = warp,
             .insn = insn,
             .agent = (uint16_t)warp,
             .epoch = w->clk[warp],
             .flags = ACC_WRITE | ACC_INIT};
    uint16_t half = (uint16_t)(0xffu << (e->addr & WORD));
    shadow_touch(k, g, half, &a, (Spot){e->addr >> 24, (e->addr & 0xffffff) / GRANULE, false});
    g->valid |= half;
    g->mbars |= (uint8_t)(1u << (e->addr / WORD & 1));
    b->live = true;
    b->expected = e->arrivals;
    b->init_warp = warp;
    b->init_epoch = w->clk[warp];
    b->init_insn = insn;
    /* the phase number goes on: it is the time of an agent */
}

static void inval(Checker *k, const ProbeMbar *e)
{
    Mbar *b = mbar_find(k, e->addr);
    Gran *g = shared_gran(k, e->addr);
    if (!b || !g)
        return;
    b->live = false;
    g->mbars &= (uint8_t) ~(1u << (e->addr / WORD & 1));
}

/* ---- Arrivals and bytes ---- */

static void check_seen(Checker *k, const Mbar *b, const Epoch *clk, uint32_t warp, uint32_t insn)
{
    if (warp == b->init_warp || clk[b->init_warp] >= b->init_epoch)
        return;
    Finding *f = finding_pair(k, FK_MBAR_INIT_RACE, warp, insn, b->init_warp, b->init_insn);
    bool executed = clk[clock_at(k, CLK_EXECUTED, b->init_warp)] >= b->init_epoch;
    finding_warn(f, executed); /* fence.mbarrier_init has no SASS */
    name_mbar(k, f, b->addr);
    finding_detail(k, f,
                   executed ? "a relaxed cluster barrier orders the initialisation before this "
                              "use, but fence.mbarrier_init is missing before it"
                            : "nothing orders the initialisation before this use");
}

static void refused(Checker *k, const ProbeMbar *e, uint32_t warp, uint32_t insn)
{
    FindingKind kind = e->result == MBAR_UNINIT      ? FK_MBAR_UNINIT
                       : e->result == MBAR_BAD_COUNT ? FK_MBAR_COUNT
                                                     : FK_MBAR_TX;
    Mbar *b = mbar_find(k, e->addr);
    if (kind == FK_MBAR_UNINIT && b && b->live)
        kind = FK_MBAR_OVERWRITTEN;
    Finding *f = finding_add(k, kind, warp, insn);
    name_mbar(k, f, e->addr);
    finding_detail(k, f, "%u of %u arrivals pend, %d bytes; the operation: %u arrivals, %lld bytes",
                   e->before.pending, e->before.expected, e->before.tx, e->arrivals,
                   (long long)e->bytes);
}

/* The bytes of a load arrive: in the phase that was open when it was issued? */
static void check_phase(Checker *k, const Mbar *b, const AsyncRec *r, uint32_t warp)
{
    uint64_t in = r->phase[b->addr >> 24];
    if (in == 0 || in == b->phase + 1)
        return;
    Finding *f = finding_add(k, FK_TX_MISMATCH, warp, r->insn);
    name_mbar(k, f, b->addr);
    finding_detail(
        k, f,
        "its bytes arrive in phase %llu of the mbarrier, but it was issued in phase %llu: "
        "that phase completed before all its bytes had come (expect_tx too small)",
        (unsigned long long)b->phase, (unsigned long long)in - 1);
}

static void release(Checker *k, Mbar *b, const ProbeMbar *e, uint32_t warp, uint32_t insn)
{
    WarpCheck *w = &k->warps[warp];
    const AsyncRec *r = e->op->handle ? async_rec(k, e->rank, e->op->handle) : NULL;
    bool copies =
        e->op->kind == OK_TMA_LOAD || e->op->kind == OK_REMOTE || e->op->kind == OK_CANCEL;
    bool later = e->op->kind == OK_COMMIT || copies;
    if (later && r && r->clk) {
        check_seen(k, b, r->clk, warp, insn);
        clock_join(k, b->acc, r->clk);
        if (copies)
            check_phase(k, b, r, warp);
        return;
    }
    check_seen(k, b, w->clk, warp, insn);
    sync_remote(k, warp, b->addr, insn);
    if (k->l.code->insns[insn].mod[MC_SEM] != MV_SEM_RELAXED)
        clock_join(k, b->acc, w->clk);
    if (e->op->kind == OK_CPASYNC_ARRIVE && w->cp_head != w->cp_tail) {
        uint16_t agent = agent_of(k, warp, AK_CP);
        Epoch t = w->cp_arrive[w->cp_head++ % CP_MARKS];
        if (agent != NO_AGENT && b->acc[agent] < t)
            b->acc[agent] = t;
    }
    warp_tick(k, w);
}

void on_mbar(Probe *probe, const ProbeMbar *e)
{
    Checker *k = (Checker *)probe;
    uint32_t warp = e->rank * k->n_warps + e->warp, insn = insn_of(k, e->op);
    if (e->result != MBAR_OK && e->result != MBAR_FLIPPED) {
        refused(k, e, warp, insn);
        return;
    }
    if (e->kind == OK_MBAR_INIT)
        init(k, e, warp, insn);
    if (e->kind == OK_MBAR_INVAL)
        inval(k, e);
    Mbar *b = mbar_find(k, e->addr);
    if (!b || e->kind == OK_MBAR_INIT || e->kind == OK_MBAR_INVAL)
        return;
    release(k, b, e, warp, insn);
    if (e->result != MBAR_FLIPPED)
        return;
    b->phase++;
    if (b->agent != NO_AGENT)
        b->acc[b->agent] = (Epoch)b->phase;
    memcpy(b->done, b->acc, k->n_agents * sizeof *b->done);
}

/* ---- Waits ---- */

/* The waiter knows `known` completions; it waits for the parity of the next one, but the barrier
 * has gone on by three: the parity is that of a later phase. */
static void check_alias(Checker *k, const Mbar *b, uint32_t warp, const Op *op)
{
    uint64_t known = b->agent == NO_AGENT ? b->phase : k->warps[warp].clk[b->agent];
    bool next = (known & 1) == (op->arg0 & 1);
    if (b->phase < known + 3 || !next)
        return;
    Finding *f = finding_add(k, FK_MBAR_ALIASED, warp, insn_of(k, op));
    name_mbar(k, f, b->addr);
    finding_detail(k, f, "it waits for phase %llu; %llu phases have completed since it last looked",
                   (unsigned long long)known, (unsigned long long)(b->phase - known));
}

void mbar_waited(Checker *k, uint32_t warp, const Op *op)
{
    Mbar *b = mbar_find(k, op->sync);
    WarpCheck *w = &k->warps[warp];
    if (!b)
        return;
    check_seen(k, b, w->clk, warp, insn_of(k, op));
    check_alias(k, b, warp, op);
    clock_join(k, w->clk, b->done);
    lanes_sync(w);
}
