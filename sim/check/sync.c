/* Barriers, groups of asynchronous copies, register reallocation, the end of warps and CTAs. */
#include "sim/check/core.h"

AsyncRec *async_rec(Checker *k, uint32_t rank, uint32_t handle)
{
    return handle < ASYNC_CAPACITY ? &k->ctas[rank].async[handle] : NULL;
}

static void learn(Checker *k, uint32_t warp, AgentKind kind, Epoch t)
{
    WarpCheck *w = &k->warps[warp];
    uint16_t agent = w->agent[kind];
    if (agent && agent != NO_AGENT && w->clk[agent] < t)
        w->clk[agent] = t;
}

/* ---- Named and cluster barriers ---- */

static void open_bar(const Checker *k, Bar *b)
{
    memcpy(b->done, b->acc, k->n_agents * sizeof *b->done);
}

void on_barrier(Probe *probe, uint32_t rank, uint32_t warp, const Op *op, bool complete)
{
    Checker *k = (Checker *)probe;
    Bar *b = &k->ctas[rank].bars[op->sync % N_NAMED_BARRIERS];
    WarpCheck *w = warp == NO_WARP ? NULL : &k->warps[rank * k->n_warps + warp];
    if (w) {
        clock_join(k, b->acc, w->clk);
        warp_tick(k, w);
    }
    if (!complete)
        return;
    open_bar(k, b);
    if (w && op->kind == OK_BAR_SYNC)
        clock_join(k, w->clk, b->done);
}

/* A relaxed arrival hands on what a fence stands behind. Within the CTA it is as good as bar.sync,
 * which ptxas makes of it where a cluster has one CTA (BAR.SYNC; what it leaves out elsewhere is
 * MEMBAR.ALL.GPU). Other CTAs learn that the rest has been executed. */
void sync_cluster_arrive(Checker *k, const Warp *warp, bool relaxed)
{
    WarpCheck *w = warp_check(k, warp);
    Epoch *acc = k->cluster.acc;
    if (!relaxed)
        clock_join(k, acc, w->clk);
    else if (w->fenced)
        clock_join(k, acc, w->fenced);
    if (relaxed) {
        clock_join(k, k->ctas[warp->cta->rank].relaxed.acc, w->clk);
        for (uint32_t i = 0; i < k->all_warps; i++) {
            uint32_t at = clock_at(k, CLK_EXECUTED, i);
            Epoch t = w->clk[at] > w->clk[i] ? w->clk[at] : w->clk[i];
            acc[at] = acc[at] > t ? acc[at] : t;
        }
    }
    warp_tick(k, w);
}

void on_cluster_barrier(Probe *probe)
{
    Checker *k = (Checker *)probe;
    open_bar(k, &k->cluster);
    for (uint32_t i = 0; i < k->n_ctas; i++)
        open_bar(k, &k->ctas[i].relaxed);
}

/* ---- Waits ---- */

static void bulk_waited(Checker *k, uint32_t warp, const Op *op)
{
    WarpCheck *w = &k->warps[warp];
    Epoch open = w->time[AK_BULK_READ];
    if (open <= op->arg0 + 1)
        return; /* not that many groups yet */
    learn(k, warp, AK_BULK_READ, open - 1 - op->arg0);
    if (!op->arg1)
        learn(k, warp, AK_BULK_WRITE, open - 1 - op->arg0);
}

static void cp_waited(Checker *k, uint32_t warp, const Op *op)
{
    WarpCheck *w = &k->warps[warp];
    if (op->arg0 < w->cp_commits && op->arg0 < CP_MARKS)
        learn(k, warp, AK_CP, w->cp_mark[(w->cp_commits - 1 - op->arg0) % CP_MARKS]);
}

void on_waited(Probe *probe, uint32_t rank, uint32_t warp, const Op *op)
{
    Checker *k = (Checker *)probe;
    uint32_t i = rank * k->n_warps + warp;
    WarpCheck *w = &k->warps[i];
    switch (op->kind) {
    case OK_MBAR_WAIT:
        mbar_waited(k, i, op);
        break;
    case OK_BAR_SYNC:
        clock_join(k, w->clk, k->ctas[rank].bars[op->sync % N_NAMED_BARRIERS].done);
        break;
    case OK_CLUSTER_WAIT:
        clock_join(k, w->clk, k->cluster.done);
        clock_join(k, w->clk, k->ctas[rank].relaxed.done);
        break;
    case OK_BULK_WAIT:
        bulk_waited(k, i, op);
        break;
    case OK_CPASYNC_WAIT:
        cp_waited(k, i, op);
        break;
    case OK_WGMMA_WAIT:
        wgmma_waited(k, i, op);
        break;
    case OK_WAIT_ST:
        learn(k, i, AK_TST, w->time[AK_TST]);
        w->time[AK_TST]++;
        break;
    case OK_PLAIN:        /* a paired allocation that the other CTA's has completed */
    case OK_TMEM_ALLOC: { /* the address is written to shared memory by the warp */
        const AsyncPool *p = k->x->ctas[rank].async;
        Act a = {.clk = w->clk,
                 .warp = i,
                 .insn = k->l.code->ops[op->info].insn,
                 .agent = (uint16_t)i,
                 .epoch = w->clk[i],
                 .flags = ACC_WRITE};
        uint32_t dst = rank << 24 | (p->alloc_dst[warp] & 0xffffff);
        shared_touch(k, dst, 4, &a);
        shared_set_valid(k, dst, 4, true, 0);
        tensor_allocated(k, rank, warp, op);
        break;
    }
    default:
        break;
    }
}

void on_async_done(Probe *probe, uint32_t rank, uint32_t warp, const Op *op)
{
    Checker *k = (Checker *)probe;
    (void)warp;
    AsyncRec *r = async_rec(k, rank, op->handle);
    if (!r || !r->clk)
        return;
    clock_free(k, r->clk);
    *r = (AsyncRec){0};
}

/* ---- setmaxnreg ---- */

/* Grants waiting increases as registers come free. The runner itself never blocks on them. */
static void grant(Checker *k, uint32_t rank)
{
    CtaCheck *c = &k->ctas[rank];
    for (uint32_t i = 0; i < k->n_warps; i++) {
        WarpCheck *w = &k->warps[rank * k->n_warps + i];
        if (!w->want || c->free_regs < WARP * (w->want - w->regs))
            continue;
        c->free_regs -= WARP * (w->want - w->regs);
        w->regs = w->want;
        w->want = 0;
    }
}

void sync_setmaxnreg(Checker *k, const Warp *warp, const XInsn *in)
{
    WarpCheck *w = warp_check(k, warp);
    uint32_t n = opd_row(warp, opd(warp, in, 0), 0)[first_lane(warp->mask)], rank = warp->cta->rank;
    if (!k->l.regs_per_thread)
        return;
    if (n <= w->regs) {
        k->ctas[rank].free_regs += WARP * (w->regs - n);
        w->regs = n;
    } else {
        w->want = n;
        w->want_insn = (uint32_t)(in - k->x->insns);
    }
    grant(k, rank);
}

/* ---- The end ---- */

void on_warp_end(Probe *probe, uint32_t rank, uint32_t warp)
{
    Checker *k = (Checker *)probe;
    uint32_t i = rank * k->n_warps + warp;
    WarpCheck *w = &k->warps[i];
    uint16_t agent = w->agent[AK_BULK_READ];
    w->ended = true;
    if (!agent || agent == NO_AGENT)
        return;
    bool open = w->bulk_open;
    Epoch last = w->time[AK_BULK_READ] - !open;
    if (last == 0 || (!open && w->clk[agent] >= last))
        return;
    Finding *f = finding_add(k, FK_EXIT_WORK, i, w->bulk_insn);
    finding_warn(f,
                 true); /* FA4's backward and CUTLASS's GEMMs end so, and are right on hardware */
    finding_detail(k, f,
                   open ? "the copy is in no group: cp.async.bulk.commit_group is missing"
                        : "the warp ends without cp.async.bulk.wait_group for this copy; its "
                          "shared memory may be given to another CTA");
}

void sync_remote(Checker *k, uint32_t warp, uint32_t addr, uint32_t insn)
{
    WarpCheck *w = &k->warps[warp];
    uint32_t rank = addr >> 24;
    if (rank == warp / k->n_warps || rank >= k->n_ctas)
        return;
    w->remote[rank] = w->clk[warp];
    w->remote_insn[rank] = insn;
}

/* Somebody of the CTA must have learnt of the last access from outside before the CTA ends. */
static void remote_at_end(Checker *k, uint32_t warp)
{
    const WarpCheck *w = &k->warps[warp];
    for (uint32_t r = 0; r < k->n_ctas; r++) {
        bool known = w->remote[r] == 0, executed = false;
        for (uint32_t i = 0; i < k->n_warps && !known; i++) {
            const Epoch *clk = k->warps[r * k->n_warps + i].clk;
            known = clk[warp] >= w->remote[r];
            executed |= clk[clock_at(k, CLK_EXECUTED, warp)] >= w->remote[r];
        }
        if (known)
            continue;
        Finding *f = finding_add(k, FK_EXITED_CTA, warp, w->remote_insn[r]);
        finding_warn(f, executed);
        finding_detail(k, f,
                       executed
                           ? "it goes to CTA rank %u of the cluster; a relaxed cluster barrier "
                             "alone orders the end of that CTA after it"
                           : "it goes to CTA rank %u of the cluster, whose end nothing orders "
                             "after it: a cluster barrier before the exit is missing",
                       r);
    }
}

static bool anybody_knows(const Checker *k, uint16_t agent, Epoch t)
{
    for (uint32_t i = 0; i < k->all_warps; i++)
        if (k->warps[i].clk[agent] >= t)
            return true;
    return false;
}

static void loads_at_end(Checker *k, const CtaCheck *c)
{
    for (uint32_t i = 0; i < c->n_mbars; i++) {
        const Mbar *b = &c->mbars[i];
        if (!b->last_load || b->agent == NO_AGENT ||
            anybody_knows(k, b->agent, (Epoch)b->last_load))
            continue;
        Finding *f = finding_add(k, FK_EXIT_WORK, b->load_warp, b->load_insn);
        finding_detail(k, f, "nobody waits for the bytes of this copy before the CTA ends");
    }
}

static void tmem_at_end(Checker *k, const CtaCheck *c)
{
    for (uint32_t g = 0; g < TMEM_COLUMNS / TMEM_GRANULE; g++) {
        if (!c->alloc_insn[g])
            continue;
        Finding *f = finding_add(k, FK_TMEM_LEAK, c->alloc_warp[g], c->alloc_insn[g] - 1);
        if (f->count == 1)
            finding_object(k, f, "tensor memory from column %u", g * TMEM_GRANULE);
    }
}

void on_cluster_end(Probe *probe)
{
    Checker *k = (Checker *)probe;
    for (uint32_t r = 0; r < k->n_ctas; r++) {
        loads_at_end(k, &k->ctas[r]);
        tmem_at_end(k, &k->ctas[r]);
        for (uint32_t i = 0; i < k->n_warps; i++) {
            WarpCheck *w = &k->warps[r * k->n_warps + i];
            remote_at_end(k, r * k->n_warps + i);
            if (!w->want)
                continue;
            Finding *f = finding_add(k, FK_SETMAXNREG, r * k->n_warps + i, w->want_insn);
            finding_detail(k, f,
                           "%u registers a thread are asked for, %u are held and %u of the "
                           "CTA's are free: the warp waits for ever",
                           w->want, w->regs, k->ctas[r].free_regs);
        }
    }
}
