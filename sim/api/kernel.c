#include "sim/api/kernel.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

double host_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

uint32_t host_threads(uint32_t asked)
{
    enum { MOST = 256 };
    long n = asked ? (long)asked : sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > MOST ? MOST : (uint32_t)n;
}

void kernel_cluster(const Func *f, const uint32_t asked[3], uint32_t cluster[3])
{
    for (int i = 0; i < 3; i++)
        cluster[i] = asked[i] ? asked[i] : f->cluster[i] ? f->cluster[i] : 1;
}

/* What the code wants, but at most what an SM has / threads, rounded down to 8, or .maxnreg. A
 * kernel with setmaxnreg gets that most: the warps redistribute it. A thread can name at most 255,
 * which take the room of 256. */
uint32_t kernel_regs(const Model *model, const Code *code, const uint32_t block[3])
{
    const Func *f = code->func;
    uint32_t threads = f->reqntid[0]   ? f->reqntid[0] * f->reqntid[1] * f->reqntid[2]
                       : f->maxntid[0] ? f->maxntid[0] * f->maxntid[1] * f->maxntid[2]
                                       : block[0] * block[1] * block[2];
    uint32_t regs = (uint32_t)model->v[MP_SM_REGISTERS] / (threads ? threads : 1) /
                    (f->minnctapersm > 1 ? f->minnctapersm : 1) / 8 * 8;
    if (regs > 256)
        regs = 256;
    uint32_t cap = (f->maxnreg + 7) / 8 * 8, wanted = (code->n_slots + 7) / 8 * 8;
    if (cap && cap < regs)
        regs = cap;
    for (uint32_t i = 0; i < code->n_ops; i++)
        if (code->ops[i].kind == OK_SETMAXNREG)
            return regs;
    return wanted < regs ? wanted : regs;
}

void kernel_reset_workspace(GlobalMem *mem, uint64_t workspace)
{
    const GridWorkspace ready = {.bytes = sizeof ready};
    memcpy(mem_ptr(mem, workspace, sizeof ready), &ready, sizeof ready);
}

uint64_t kernel_workspace(GlobalMem *mem)
{
    uint64_t at = mem_alloc(mem, sizeof(GridWorkspace), "the workspace of cooperative launches");
    if (at)
        kernel_reset_workspace(mem, at);
    return at;
}

void kernel_prepare(const LaunchDesc *d, KernelRun *k)
{
    const Func *f = d->code->func;
    *k = (KernelRun){.exec = {.code = d->code,
                              .mem = d->mem,
                              .params = d->params,
                              .dynamic_shared = d->shared,
                              .mma_hw = d->mma_hw,
                              .workspace = d->workspace,
                              .footprint = d->footprint,
                              .n_sms = (uint32_t)d->model->v[MP_GPU_SMS],
                              .clock_ghz = d->model->v[MP_CLOCK_GHZ]},
                     .sim = {.model = d->model,
                             .sms = d->sms,
                             .regs_per_thread = kernel_regs(d->model, d->code, d->block),
                             .shared_per_cta = SHARED_BASE + f->shared_bytes + d->shared}};
    memcpy(k->exec.grid, d->grid, sizeof d->grid);
    memcpy(k->exec.block, d->block, sizeof d->block);
    kernel_cluster(f, d->cluster, k->exec.cluster);
}

bool kernel_run(Arena *a, KernelRun *k, uint32_t threads, RunStats *stats, Err *err)
{
    return exec_run(a, &k->exec, 0, 0, threads, stats, err);
}

bool kernel_time(Arena *a, KernelRun *k, bool need_all, Recorder **rec, KernelTime *out, Err *err)
{
    Exec *x;
    SimPlan plan;
    if (!sim_plan(&k->sim, k->exec.grid, k->exec.block, k->exec.cluster, &plan, err))
        return false;
    if (need_all && plan.ctas_simulated < plan.ctas_total)
        return err_set(
            err, ERR_SEMANTIC, (Loc){0},
            "only %u of %u CTAs would run, but the checks are of all (--strict); use --sms all",
            plan.ctas_simulated, plan.ctas_total);
    k->exec.n_slots = plan.n_slots;
    if (!exec_new(a, &k->exec, &x, err))
        return false;
    k->sim.front = exec_front(x);
    if (rec) {
        *rec = recorder_new(a, k->sim.front);
        k->sim.front = recorder_front(*rec);
    }
    double start = host_seconds();
    bool ok = sim_run(a, &k->sim, &out->sim, &out->dead, err);
    out->seconds = host_seconds() - start;
    exec_free(x);
    return ok;
}

void kernel_report(Arena *a, const KernelRun *k, const Role *roles, uint32_t n, KernelReport *kr)
{
    kr->kernel = k->exec.code->func->name;
    kr->code = k->exec.code;
    memcpy(kr->grid, k->exec.grid, sizeof kr->grid);
    memcpy(kr->block, k->exec.block, sizeof kr->block);
    memcpy(kr->cluster, k->exec.cluster, sizeof kr->cluster);
    uint32_t threads = kr->block[0] * kr->block[1] * kr->block[2];
    uint32_t n_warps = (threads + WARP - 1) / WARP;
    uint64_t all = n_warps >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << n_warps) - 1, named = 0;
    kr->roles = arena_new(a, ReportRole, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        kr->roles[kr->n_roles++] = (ReportRole){roles[i].name, roles[i].warps};
        named |= roles[i].warps;
    }
    if (all & ~named)
        kr->roles[kr->n_roles++] = (ReportRole){n ? "other" : "all", all & ~named};
}
