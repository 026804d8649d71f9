/* The checker's life: launches, the start of clusters, faults. */
#include "sim/check/check.h"

#include <stdlib.h>

#include "sim/check/core.h"
#include "sim/check/global.h"
#include "sim/check/lanes.h"

Checker *checker_new(const CheckOptions *o, Err *err)
{
    Checker *k = calloc(1, sizeof *k);
    if (!k) {
        fputs("rao: out of memory\n", stderr);
        exit(1);
    }
    k->root = k;
    k->opt = *o;
    if (!o->suppressions || suppress_load(k, o->suppressions, err))
        return k;
    checker_free(k);
    return NULL;
}

void checker_free(Checker *k)
{
    if (!k)
        return;
    arena_free(&k->root->launch);
    arena_free(&k->root->arena);
    free(k);
}

/* ---- A launch ---- */

static Probe *on_open(Probe *probe, Exec *x);
static void on_cluster_start(Probe *probe);

Probe *checker_launch(Checker *k, const CheckLaunch *l)
{
    static const Probe probe = {
        .open = on_open,
        .cluster_start = on_cluster_start,
        .cluster_end = on_cluster_end,
        .dyn = on_dyn,
        .plain = on_plain,
        .mbar = on_mbar,
        .waited = on_waited,
        .barrier = on_barrier,
        .cluster_barrier = on_cluster_barrier,
        .async_done = on_async_done,
        .warp_end = on_warp_end,
    };
    CheckRole *roles = arena_new(&k->root->arena, CheckRole, l->n_roles + 1);
    arena_free(&k->root->launch);
    k->launch = (Arena){0};
    k->probe = probe;
    k->l = *l;
    k->l.kernel = arena_str(&k->root->arena, l->kernel, strlen(l->kernel));
    for (uint32_t i = 0; i < l->n_roles; i++)
        roles[i] =
            (CheckRole){arena_str(&k->root->arena, l->roles[i].name, strlen(l->roles[i].name)),
                        l->roles[i].warps};
    k->l.roles = roles;
    k->root->first_finding = k->root->n_findings;
    k->active = NULL;
    k->global = NULL;
    k->releases = NULL;
    k->map_fences = NULL;
    k->run = 0;
    return &k->probe;
}

static Bar bar_new(Checker *k)
{
    return (Bar){clock_new(k), clock_new(k)};
}

static void build_cta(Checker *k, CtaCheck *c)
{
    uint32_t granules = (k->x->shared_bytes + GRANULE - 1) / GRANULE + 1;
    c->smem = arena_new(&k->root->launch, Gran, granules);
    c->mbar_at = arena_new(&k->root->launch, uint16_t, 2 * granules);
    c->mbars = arena_new(&k->root->launch, Mbar, MBARS);
    c->async = arena_new(&k->root->launch, AsyncRec, ASYNC_CAPACITY);
    for (uint32_t i = 0; i < N_NAMED_BARRIERS; i++)
        c->bars[i] = bar_new(k);
    c->relaxed = bar_new(k);
    if (!k->x->uses_tmem)
        return;
    c->tmem = arena_new(&k->root->launch, Gran, TM_GRANULES);
    c->tdef = arena_alloc(&k->root->launch, TMEM_COLUMNS * sizeof *c->tdef);
}

static void build(Checker *k, Exec *x)
{
    const Code *c = k->l.code;
    k->x = x;
    k->n_ctas = x->cluster_ctas;
    k->n_warps = x->front.n_warps;
    k->all_warps = k->n_ctas * k->n_warps;
    k->cap_agents = CLK_SECTIONS * k->all_warps + AK_OF_WARP * k->all_warps + MBARS * k->n_ctas;
    k->agents = arena_new(&k->root->launch, Agent, k->cap_agents);
    k->free_clocks = NULL;
    k->cells = NULL;
    k->cap_cells = 0;
    k->warps = arena_new(&k->root->launch, WarpCheck, k->all_warps);
    k->ctas = arena_new(&k->root->launch, CtaCheck, k->n_ctas);
    for (uint32_t i = 0; i < k->all_warps; i++) {
        WarpCheck *w = &k->warps[i];
        w->clk = clock_new(k);
        w->def = arena_new(&k->root->launch, uint32_t, c->n_slots + 1);
        w->origin = arena_new(&k->root->launch, uint32_t, c->n_slots + 1);
        w->loaded = arena_new(&k->root->launch, Epoch, c->n_slots + 1);
        w->remote = arena_new(&k->root->launch, Epoch, k->n_ctas + 1);
        w->remote_insn = arena_new(&k->root->launch, uint32_t, k->n_ctas + 1);
        w->pdef = arena_new(&k->root->launch, uint32_t, c->n_preds + 1);
    }
    for (uint32_t i = 0; i < k->n_ctas; i++)
        build_cta(k, &k->ctas[i]);
    k->cluster = bar_new(k);
    table_build(k);
    wgmma_table(k);
}

static Probe *on_open(Probe *probe, Exec *x)
{
    Checker *root = (Checker *)probe, *k = arena_new(&root->launch, Checker, 1);
    k->probe = root->probe;
    k->root = root;
    k->l = root->l;
    build(k, x);
    return &k->probe;
}

/* ---- A cluster ---- */

static void clear_clock(const Checker *k, Epoch *c)
{
    memset(c, 0, k->cap_agents * sizeof *c);
}

static void clear_bar(const Checker *k, Bar *b)
{
    clear_clock(k, b->acc);
    clear_clock(k, b->done);
}

static void start_warp(Checker *k, uint32_t i)
{
    const Code *c = k->l.code;
    WarpCheck *w = &k->warps[i], fresh = {.clk = w->clk,
                                          .def = w->def,
                                          .pdef = w->pdef,
                                          .origin = w->origin,
                                          .loaded = w->loaded,
                                          .regs = k->l.regs_per_thread};
    clock_free(k, w->fenced);
    fresh.wg = w->wg;
    fresh.lanes = w->lanes;
    lanes_sync(w);
    if (w->wg)
        memset(w->wg, 0, c->func->n_regs * sizeof *w->wg);
    fresh.remote = w->remote;
    fresh.remote_insn = w->remote_insn;
    *w = fresh;
    memset(w->remote, 0, k->n_ctas * sizeof *w->remote);
    clear_clock(k, w->clk);
    w->clk[i] = 1;
    memset(w->def, 0, (c->n_slots + 1) * sizeof *w->def);
    memset(w->pdef, 0, (c->n_preds + 1) * sizeof *w->pdef);
    memset(w->origin, 0, (c->n_slots + 1) * sizeof *w->origin);
    memset(w->loaded, 0, (c->n_slots + 1) * sizeof *w->loaded);
}

static void start_cta(Checker *k, CtaCheck *c)
{
    uint32_t granules = (k->x->shared_bytes + GRANULE - 1) / GRANULE + 1;
    memset(c->smem, 0, granules * sizeof *c->smem);
    memset(c->mbar_at, 0, 2 * granules * sizeof *c->mbar_at);
    for (uint32_t i = 0; i < c->n_mbars; i++) {
        clock_free(k, c->mbars[i].acc);
        clock_free(k, c->mbars[i].done);
    }
    for (uint32_t i = 0; i < ASYNC_CAPACITY; i++)
        clock_free(k, c->async[i].clk);
    memset(c->async, 0, ASYNC_CAPACITY * sizeof *c->async);
    for (uint32_t i = 0; i < N_NAMED_BARRIERS; i++)
        clear_bar(k, &c->bars[i]);
    clear_bar(k, &c->relaxed);
    if (c->tmem) {
        memset(c->tmem, 0, TM_GRANULES * sizeof *c->tmem);
        memset(c->tdef, 0, TMEM_COLUMNS * sizeof *c->tdef);
    }
    c->n_mbars = c->last_alloc = c->free_regs = 0;
    memset(c->alloc_insn, 0, sizeof c->alloc_insn);
    c->relinquished = false;
    c->alloc_group = 0;
    c->collector = 0;
    c->clc_failed = false;
}

static void on_cluster_start(Probe *probe)
{
    Checker *k = (Checker *)probe;
    k->n_agents = CLK_SECTIONS * k->all_warps;
    for (uint32_t i = 0; i < k->n_agents; i++)
        k->agents[i] = (Agent){AK_WARP, i % k->all_warps};
    for (uint32_t i = 0; i < k->all_warps; i++)
        start_warp(k, i);
    for (uint32_t i = 0; i < k->n_ctas; i++)
        start_cta(k, &k->ctas[i]);
    clear_bar(k, &k->cluster);
    k->n_cells = k->cells ? 1 : 0;
    k->free_cell = 0;
    k->run = ++k->root->run;
    k->locs = NULL;
    k->n_locs = k->cap_locs = 0;
}

/* ---- The end ---- */

/* The executor's message without its "(CTA (0, 0, 0), warp 3)": the finding says that itself. */
static const char *without_place(Checker *k, const char *msg)
{
    const char *end = strstr(msg, " (CTA ");
    return arena_str(&k->root->arena, msg, end ? (size_t)(end - msg) : strlen(msg));
}

static void add_fault(Checker *k, const Err *err)
{
    const Code *c = k->l.code;
    Finding *f = NULL;
    for (uint32_t i = 0; i < c->n_insns && !f; i++) {
        Loc loc = c->func->insns[c->insns[i].ptx].loc;
        if (loc.line == err->loc.line && loc.col == err->loc.col)
            f = finding_add(k, fault_kind(err->msg), k->faulty_warp, i);
    }
    if (!f)
        f = finding_add(k, fault_kind(err->msg), k->faulty_warp, 0);
    f->detail = without_place(k, err->msg);
}

void checker_end(Checker *k, Err *err)
{
    bool same = false; /* the driver refuses what on_mbar has already found */
    if (err->kind == ERR_FAULT && k->root->n_findings > k->root->first_finding) {
        const Finding *last = k->root->findings[k->root->n_findings - 1].f;
        same = last->at.line == err->loc.line && last->kind >= FK_MBAR_UNINIT &&
               last->kind <= FK_TX_MISMATCH;
    }
    if (err->kind == ERR_FAULT && k->active) {
        if (!same)
            add_fault(k->active, err);
        err->kind = ERR_NONE;
    }
    global_end(k);
    for (uint32_t i = k->root->first_finding; i < k->root->n_findings; i++)
        k->root->findings[i].f->suppressed = suppressed(k, k->root->findings[i].f);
}
