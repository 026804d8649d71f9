/* One instruction of a probed run: what it uses, what it does by its class, what it leaves. */
#include "sim/check/global.h"
#include "sim/check/lanes.h"

/* ---- Who may execute it ---- */

static bool one_thread_only(const InsnInfo *ii)
{
    return ii->cls == CL_MMA || ii->cls == CL_COMMIT || ii->cls == CL_TMEM_CP ||
           ii->cls == CL_TMA_LOAD;
}

/* Loads and stores of bytes may well be issued by several lanes, each with its own addresses. */
static bool same_for_all(const ExecCtx *x, const XInsn *in, uint32_t mask)
{
    const Code *c = x->exec->code;
    for (uint32_t i = 0; i < in->ci->n_opd; i++) {
        const CodeOpd *o = &c->opds[in->ci->opd + i];
        if (o->kind != CO_MEM && o->kind != CO_VALUE)
            continue;
        for (uint32_t j = 0; j < o->n; j++) {
            const uint32_t *r = opd_row(x->w, o, j);
            for (uint32_t m = mask; m; m &= m - 1)
                if (r[first_lane(m)] != r[first_lane(mask)])
                    return false;
        }
    }
    return true;
}

static void check_lanes(Checker *k, const ExecCtx *x, const XInsn *in, const InsnInfo *ii,
                        uint32_t mask)
{
    if (!one_thread_only(ii) || !(mask & (mask - 1)) || !same_for_all(x, in, mask))
        return;
    Finding *f = finding_add(k, FK_MULTI_LANE, warp_index(k, warp_check(k, x->w)),
                             (uint32_t)(in - k->x->insns));
    finding_detail(k, f, "%d threads issue it with the same operands: elect.sync is missing",
                   __builtin_popcount(mask));
}

static void check_aligned(Checker *k, const ExecCtx *x, const XInsn *in, uint32_t mask)
{
    if (in->sync != SYNC_ALL || mask == x->w->live)
        return;
    Finding *f = finding_add(k, FK_DIVERGENT, warp_index(k, warp_check(k, x->w)),
                             (uint32_t)(in - k->x->insns));
    finding_detail(k, f, ".aligned, but only lanes 0x%08x of 0x%08x execute it", mask, x->w->live);
}

/* ---- Classes ---- */

static void pass_fence(const Checker *k, WarpCheck *w, uint32_t section)
{
    for (uint32_t i = 0; i < k->all_warps; i++)
        if (w->clk[clock_at(k, section, i)] < w->clk[i])
            w->clk[clock_at(k, section, i)] = w->clk[i];
}

/* fence.proxy.async: everything this warp knows of has passed the fence. That also serves a thread
 * which fences after it has acquired what others wrote. */
static void fence_proxy(Checker *k, const Warp *warp, const XInsn *in)
{
    WarpCheck *w = warp_check(k, warp);
    uint8_t ss = in->ci->mod[MC_SS];
    if (ss != MV_SS_GLOBAL)
        pass_fence(k, w, CLK_FENCED);
    if (ss == 0 || ss == MV_SS_GLOBAL)
        pass_fence(k, w, CLK_FENCED_GLOBAL);
    warp_tick(k, w);
}

/* fence, membar, fence.mbarrier_init: what a relaxed arrival on the cluster barrier hands on; with
 * gpu scope, what a relaxed write to global memory does. */
static void fence(Checker *k, WarpCheck *w, const XInsn *in)
{
    uint8_t scope = in->ci->mod[MC_SCOPE], level = in->ci->mod[MC_LEVEL];
    if (scope == MV_SCOPE_GPU || scope == MV_SCOPE_SYS || level == MV_LEVEL_GL ||
        level == MV_LEVEL_SYS)
        pass_fence(k, w, CLK_GPU);
    lanes_sync(w);
    if (!w->fenced)
        w->fenced = clock_new(k);
    memcpy(w->fenced, w->clk, k->n_agents * sizeof *w->clk);
    warp_tick(k, w);
}

static void map_release(const Checker *k, WarpCheck *w)
{
    pass_fence(k, w, CLK_TENSORMAP);
    warp_tick(k, w);
}

static void grid_wait(const Checker *k, WarpCheck *w)
{
    if (!w->grid_waited)
        w->grid_waited = w->clk[warp_index(k, w)];
    warp_tick(k, w);
}

static void wait_ld(WarpCheck *w, const Checker *k)
{
    uint16_t agent = w->agent[AK_TLD];
    if (!agent || agent == NO_AGENT)
        return;
    w->clk[agent] = w->time[AK_TLD]++;
    if (w->n_loaded)
        memset(w->loaded, 0, (k->l.code->n_slots + 1) * sizeof *w->loaded);
    w->n_loaded = 0;
}

void plain_class(Checker *k, const Warp *warp, const XInsn *in, const InsnInfo *ii)
{
    if (ii->cls == CL_TMEM_WAIT_LD)
        wait_ld(warp_check(k, warp), k);
    if (ii->cls == CL_FENCE_PROXY)
        fence_proxy(k, warp, in);
    if (ii->cls == CL_FENCE)
        fence(k, warp_check(k, warp), in);
    if (ii->cls == CL_GRID_WAIT)
        grid_wait(k, warp_check(k, warp));
    if (ii->cls == CL_MAP_RELEASE)
        map_release(k, warp_check(k, warp));
    if (ii->cls == CL_WGMMA_FENCE)
        warp_check(k, warp)->wg_fences++;
    if (in->ci->op == OP_CLC_IS_CANCELED) {
        const uint32_t *flag = opd_row(warp, opd(warp, in, 1), 3);
        k->ctas[warp->cta->rank].clc_failed |= flag[first_lane(warp->mask)] != 1;
    }
}

static void cp_commit(WarpCheck *w)
{
    w->cp_mark[w->cp_commits++ % CP_MARKS] = w->time[AK_CP]++;
}

static void before(Checker *k, ExecCtx *x, const XInsn *in, const InsnInfo *ii, uint32_t mask)
{
    WarpCheck *w = warp_check(k, x->w);
    switch (ii->cls) {
    case CL_LD:
    case CL_ST:
    case CL_ATOM:
        access_lanes(k, x, in, ii, mask);
        break;
    case CL_LDMATRIX:
    case CL_STMATRIX:
        access_matrix(k, x, in, ii);
        break;
    case CL_BULK_COMMIT:
        agent_of(k, warp_index(k, w), AK_BULK_READ);
        agent_of(k, warp_index(k, w), AK_BULK_WRITE);
        w->time[AK_BULK_READ]++;
        w->time[AK_BULK_WRITE]++;
        w->bulk_open = false;
        break;
    case CL_CPASYNC_COMMIT:
    case CL_CPASYNC_WAIT_ALL:
        agent_of(k, warp_index(k, w), AK_CP);
        cp_commit(w);
        break;
    case CL_CPASYNC_ARRIVE:
        agent_of(k, warp_index(k, w), AK_CP);
        w->cp_arrive[w->cp_tail++ % CP_MARKS] = w->time[AK_CP]++;
        break;
    case CL_FENCE_PROXY:
        fence_proxy(k, x->w, in);
        break;
    case CL_MAP_REPLACE:
    case CL_MAP_COPY:
    case CL_MAP_ACQUIRE:
        map_insn(k, x, in, ii, mask);
        break;
    case CL_GRID_WAIT:
        grid_wait(k, w);
        break;
    case CL_MAP_RELEASE:
        map_release(k, w);
        break;
    case CL_WGMMA_COMMIT:
        wgmma_commit(k, w);
        break;
    case CL_WGMMA_FENCE:
        w->wg_fences++;
        break;
    case CL_FENCE:
        fence(k, w, in);
        break;
    case CL_TMEM_WAIT_LD:
        wait_ld(w, k);
        break;
    case CL_CLUSTER_ARRIVE:
        sync_cluster_arrive(k, x->w, in->ci->mod[MC_SEM] == MV_SEM_RELAXED);
        break;
    case CL_SETMAXNREG:
        sync_setmaxnreg(k, x->w, in);
        break;
    case CL_TMEM_ALLOC:
    case CL_TMEM_DEALLOC:
    case CL_TMEM_RELINQUISH:
    case CL_TMEM_LD:
    case CL_TMEM_ST:
        tensor_before(k, x, in, ii, mask);
        break;
    default:
        break;
    }
}

static void after(Checker *k, ExecCtx *x, const XInsn *in, const InsnInfo *ii, uint32_t mask)
{
    switch (ii->cls) {
    case CL_MBAR_TEST:
        for (uint32_t i = 0; i < x->n_ops; i++)
            if (x->ops[i].kind == OK_MBAR_TEST && x->ops[i].arg1)
                mbar_waited(k, warp_index(k, warp_check(k, x->w)), &x->ops[i]);
        break;
    case CL_WGMMA:
        wgmma_issued(k, x, in);
        break;
    case CL_TMA_LOAD:
    case CL_REMOTE:
    case CL_FILL:
    case CL_TMA_STORE:
    case CL_CPASYNC:
    case CL_CLC_CANCEL:
        copy_issued(k, x, in, ii);
        break;
    case CL_MMA:
    case CL_COMMIT:
    case CL_TMEM_CP:
        tensor_issued(k, x, in, ii, mask);
        break;
    default:
        break;
    }
}

bool on_dyn(Probe *probe, ExecCtx *x, const XInsn *in, uint32_t mask, DynFn *fn)
{
    Checker *k = (Checker *)probe;
    const InsnInfo *ii = &k->info[in - k->x->insns];
    k->root->active = k;
    k->faulty_warp = warp_index(k, warp_check(k, x->w));
    if (in->sync)
        lanes_sync(warp_check(k, x->w));
    if (mask) {
        defined_use(k, x->w, in, ii, mask);
        check_aligned(k, x, in, mask);
        check_lanes(k, x, in, ii, mask);
        before(k, x, in, ii, mask);
        defined_pass(k, x->w, in, ii, mask);
    }
    if (!fn(x, in, mask))
        return false;
    if (mask)
        after(k, x, in, ii, mask);
    return true;
}
