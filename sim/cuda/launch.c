/* Launches: what the GPU would refuse, the run itself, its time. */
#include "sim/cuda/state.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "isa/cxx.h"

enum { MAX_THREADS = 1024, MAX_BLOCK_Z = 64, MAX_GRID_YZ = 65535, PORTABLE_CLUSTER = 8 };

static uint64_t volume(const uint32_t d[3])
{
    return (uint64_t)d[0] * d[1] * d[2];
}

/* ---- Checks, as the driver makes them before a launch ---- */

static GpuError check_cluster(const Gpu *g, const GpuKernel *k, const uint32_t grid[3],
                              const uint32_t cluster[3])
{
    uint64_t size = volume(cluster);
    if (size > (uint64_t)g->model.v[MP_CLUSTER_MAX] || (size > PORTABLE_CLUSTER && !k->big_cluster))
        return GPU_INVALID_CLUSTER;
    for (int i = 0; i < 3; i++)
        if (grid[i] % cluster[i] != 0)
            return GPU_INVALID_CLUSTER;
    return GPU_OK;
}

static GpuError check_launch(Gpu *g, const GpuLaunch *l, const uint32_t cluster[3])
{
    GpuKernel *k = l->kernel;
    int most, dynamic;
    if (volume(l->grid) == 0 || l->grid[0] > INT32_MAX || l->grid[1] > MAX_GRID_YZ ||
        l->grid[2] > MAX_GRID_YZ || volume(l->grid) > INT32_MAX)
        return GPU_INVALID_VALUE;
    if (volume(l->block) == 0 || volume(l->block) > MAX_THREADS || l->block[2] > MAX_BLOCK_Z)
        return GPU_INVALID_VALUE;
    GpuError e = gpu_kernel_attribute(k, 0, &most); /* CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK */
    if (!e && volume(l->block) > (uint64_t)most)
        return GPU_OUT_OF_RESOURCES;
    if (!e) /* CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES */
        e = gpu_kernel_attribute(k, 8, &dynamic);
    if (!e && l->shared > (uint32_t)dynamic)
        return GPU_INVALID_VALUE;
    return e ? e : check_cluster(g, k, l->grid, cluster);
}

/* The bytes of the parameters as the kernel has them. */
static GpuError gather_params(const GpuLaunch *l, LaunchOp *op)
{
    const Func *f = l->kernel->head;
    op->param_bytes = f->param_bytes;
    op->params = gpu_alloc(f->param_bytes);
    if (!l->params) {
        size_t n = l->buffer_bytes < f->param_bytes ? l->buffer_bytes : f->param_bytes;
        if (f->n_params && !l->buffer)
            return GPU_INVALID_VALUE;
        if (n)
            memcpy(op->params, l->buffer, n);
        return GPU_OK;
    }
    for (uint32_t i = 0; i < f->n_params; i++) {
        size_t at, bytes;
        gpu_kernel_param(l->kernel, i, &at, &bytes);
        if (!l->params[i])
            return GPU_INVALID_VALUE;
        memcpy(op->params + at, l->params[i], bytes);
    }
    return GPU_OK;
}

GpuError launch_make(Gpu *g, const GpuLaunch *l, GpuOp *out)
{
    uint32_t cluster[3];
    if (g->sticky)
        return g->sticky;
    if (!l->kernel)
        return GPU_INVALID_HANDLE;
    GpuError e = module_read(g, l->kernel->module);
    if (e)
        return e;
    uint32_t asked[3];
    for (int i = 0; i < 3; i++)
        asked[i] = l->cluster[i] ? l->cluster[i] : (uint32_t)l->kernel->cluster[i];
    kernel_cluster(l->kernel->head, asked, cluster);
    *out = (GpuOp){.type = GOP_LAUNCH,
                   .u.launch = {.kernel = l->kernel,
                                .shared = l->shared,
                                .cooperative = l->cooperative,
                                .dependent = l->dependent}};
    memcpy(out->u.launch.grid, l->grid, sizeof l->grid);
    memcpy(out->u.launch.block, l->block, sizeof l->block);
    memcpy(out->u.launch.cluster, cluster, sizeof cluster);
    e = check_launch(g, l, cluster);
    return e ? e : gather_params(l, &out->u.launch);
}

static GpuError launch(Gpu *g, const GpuLaunch *l)
{
    GpuOp op = {.type = GOP_LAUNCH};
    GpuError e = launch_make(g, l, &op);
    if (!e)
        e = stream_submit(g, l->stream, &op);
    op_free(&op);
    return e;
}

GpuError gpu_launch(const GpuLaunch *l)
{
    Gpu *g = gpu_enter();
    return gpu_leave(launch(g, l));
}

/* ---- The run ---- */

/* --only against the symbol, and against the name as printed. */
static bool name_matches(const Gpu *g, const char *symbol)
{
    char name[256];
    regex_t re;
    if (!g->opt.only)
        return true;
    if (regcomp(&re, g->opt.only, REG_EXTENDED | REG_NOSUB) != 0)
        return false; /* the command has checked it */
    bool yes = regexec(&re, symbol, 0, NULL, 0) == 0 ||
               regexec(&re, cxx_name(name, sizeof name, symbol), 0, NULL, 0) == 0;
    regfree(&re);
    return yes;
}

/* Whether --only, --skip and --count choose this launch. */
static bool is_chosen(Gpu *g, const LaunchOp *op)
{
    if (!name_matches(g, gpu_kernel_name(op->kernel)))
        return false;
    uint64_t i = g->n_matches++;
    return i >= g->opt.skip && i - g->opt.skip < g->opt.count;
}

static void progress(const LaunchOp *op, uint64_t number)
{
    if (!isatty(STDERR_FILENO))
        return;
    char name[256];
    if (op)
        fprintf(stderr, "\rrao exec: launch %llu: %.40s, grid %u x %u x %u\033[K",
                (unsigned long long)number,
                cxx_name(name, sizeof name, gpu_kernel_name(op->kernel)), op->grid[0], op->grid[1],
                op->grid[2]);
    else
        fprintf(stderr, "\r\033[K");
    fflush(stderr);
}

static GpuError failed(Gpu *g, const LaunchOp *op, const Code *code, Err *err)
{
    progress(NULL, 0);
    if (err->kind == ERR_SEMANTIC && !err->loc.file)
        err->loc.file = op->kernel->module->name;
    return gpu_report(g, op->kernel->module, code, err);
}

/* All 0 for a launch that does not fit: it runs, too, where time is not asked. */
static SimPlan plan_of_run(const KernelRun *k)
{
    SimPlan plan;
    Err err = {0};
    bool ok = sim_plan(&k->sim, k->exec.grid, k->exec.block, k->exec.cluster, &plan, &err);
    return ok ? plan : (SimPlan){0};
}

/* A run with time that simulates every CTA is the run: of all launches to be timed that are small
 * enough, or with --sms all, or cooperative. */
static bool times_in_place(const SimPlan *plan, bool timed)
{
    return timed && plan->ctas_total > 0 && plan->ctas_simulated == plan->ctas_total;
}

/* A program that measures itself must not take instructions for cycles. */
static void warn_of_clock(Gpu *g, const LaunchOp *op, const Timing *t, const Code *code)
{
    char name[256];
    if (t->in_place || !code->reads_clock || g->said_clock)
        return;
    g->said_clock = true;
    gpu_say("%s reads %%clock or %%globaltimer: they count instructions in a run without time (%s)",
            cxx_name(name, sizeof name, gpu_kernel_name(op->kernel)),
            t->wanted ? "--sms all" : "--time");
}

/* The time core holds one grid. */
static void warn_of_dependent(Gpu *g, const LaunchOp *op, const Timing *t)
{
    char name[256];
    if (!t->wanted || !op->dependent || g->said_serial)
        return;
    g->said_serial = true;
    gpu_say(
        "%s may begin on a GPU while the kernel before it ends (programmatic dependent launch): "
        "here its time begins when that kernel has ended",
        cxx_name(name, sizeof name, gpu_kernel_name(op->kernel)));
}

/* On one thread; what is found is said at once. A fault still ends the kernel. */
static bool run_checked(Gpu *g, const LaunchOp *op, const Timing *t, Arena *a, KernelRun *k,
                        RunStats *stats, Err *err)
{
    CheckOptions o = {.suppressions = g->opt.suppressions, .print_limit = g->opt.print_limit};
    Checker *c = checker_new(&o, err);
    if (!c)
        return false;
    CheckLaunch l = {.code = k->exec.code,
                     .kernel = gpu_kernel_name(op->kernel),
                     .regs_per_thread = k->sim.regs_per_thread};
    k->exec.probe = checker_launch(c, &l);
    kernel_run(a, k, 1, stats, err);
    k->exec.probe = NULL;
    Err why = *err;
    checker_end(c, err);
    progress(NULL, 0);
    if (checker_total(c) > checker_suppressed(c)) {
        fflush(stdout);
        gpu_say("launch %llu:", (unsigned long long)t->number);
        checker_print(c, stderr);
    }
    if (checker_errors(c))
        gpu_note_status(g, RAO_MISUSE);
    if (g->opt.report)
        report_checked(g, op, t, k, c, stats, &why);
    checker_free(c);
    *err = why;
    return why.kind == ERR_NONE;
}

static GpuError run_kernel(Gpu *g, const LaunchOp *op, Timing *t, KernelRun *k)
{
    Err err = {0};
    Arena a = {0};
    RunStats stats = {0};
    bool ok = true;
    timing_start(g, op, t, k);
    if (!t->in_place) {
        RepeatRun repeat;
        if (t->checked) {
            ok = run_checked(g, op, t, &a, k, &stats, &err);
        } else if (!repeat_start(g, op, k->exec.code, &repeat)) {
            ok = kernel_run(&a, k, host_threads(g->opt.threads), &stats, &err);
            if (ok)
                repeat_ran(g, &repeat);
        }
    }
    Err late = {0};
    if (!timing_finish(g, op, t, k, ok ? &err : &late))
        ok = false;
    if (!ok && stats.dead.n_waits) { /* before failed(), which ends the program */
        KernelReport kr = {0};
        kernel_report(&a, k, NULL, 0, &kr);
        report_deadlock(stderr, &kr, &stats.dead);
    }
    arena_free(&a);
    return ok ? GPU_OK : failed(g, op, k->exec.code, &err);
}

GpuError launch_run(Gpu *g, const LaunchOp *op, GpuStream *s)
{
    bool clustered = volume(op->cluster) > 1;
    Timing t = {.number = g->n_launches++, .chosen = is_chosen(g, op)};
    t.checked = t.chosen && g->opt.check;
    GpuError e = kernel_lower(g, op->kernel, clustered, t.checked);
    if (e)
        return e;
    t.wanted = t.chosen && g->opt.time;
    LaunchDesc d = {.model = &g->model,
                    .code = op->kernel->code[2 * t.checked + clustered],
                    .mem = g->mem,
                    .params = op->params,
                    .shared = op->shared,
                    .sms = op->cooperative ? SMS_ALL : g->opt.sms,
                    .mma_hw = g->opt.mma_hw};
    memcpy(d.grid, op->grid, sizeof d.grid);
    memcpy(d.block, op->block, sizeof d.block);
    memcpy(d.cluster, op->cluster, sizeof d.cluster);
    KernelRun k;
    if (op->cooperative) {
        if (!g->workspace && !(g->workspace = kernel_workspace(g->mem)))
            return GPU_OUT_OF_MEMORY;
        kernel_reset_workspace(g->mem, g->workspace);
        d.workspace = g->workspace;
    }
    kernel_prepare(&d, &k);
    k.exec.print = PRINT_STDOUT;
    SimPlan plan = plan_of_run(&k);
    if (op->cooperative && volume(op->grid) > plan.resident)
        return GPU_COOPERATIVE_TOO_LARGE; /* its CTAs wait for each other */
    k.exec.resident = plan.resident;
    t.in_place = times_in_place(&plan, t.wanted);
    warn_of_clock(g, op, &t, d.code);
    warn_of_dependent(g, op, &t);
    progress(op, t.number);
    e = run_kernel(g, op, &t, &k);
    progress(NULL, 0);
    double begin = s->now_us > g->busy_us ? s->now_us : g->busy_us;
    s->now_us = g->busy_us = begin + t.us;
    return e;
}

/* ---- Occupancy ---- */

static GpuError plan_of(Gpu *g, GpuKernel *k, const uint32_t block[3], const uint32_t cluster[3],
                        uint64_t shared, SimPlan *plan)
{
    Err err = {0};
    bool clustered = volume(cluster) > 1;
    GpuError e = kernel_lower(g, k, clustered, false);
    if (e)
        return e;
    LaunchDesc d = {.model = &g->model,
                    .code = k->code[clustered],
                    .mem = g->mem,
                    .shared = shared > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)shared,
                    .sms = SMS_ALL};
    uint32_t sms = (uint32_t)g->model.v[MP_GPU_SMS], many = sms * (uint32_t)g->model.v[MP_SM_CTAS];
    for (int i = 0; i < 3; i++) {
        d.block[i] = block[i];
        d.cluster[i] = cluster[i];
        d.grid[i] = cluster[i] * (i == 0 ? many : 1);
    }
    KernelRun run;
    kernel_prepare(&d, &run);
    if (!sim_plan(&run.sim, run.exec.grid, run.exec.block, run.exec.cluster, plan, &err))
        *plan = (SimPlan){0}; /* not even one fits */
    return GPU_OK;
}

GpuError gpu_occupancy(GpuKernel *k, uint32_t threads, uint64_t shared, uint32_t *ctas)
{
    Gpu *g = gpu_enter();
    SimPlan plan = {0};
    const uint32_t one[3] = {1, 1, 1}, block[3] = {threads, 1, 1};
    if (!k || threads == 0)
        return gpu_leave(GPU_INVALID_VALUE);
    GpuError e = module_read(g, k->module);
    if (!e && threads <= MAX_THREADS)
        e = plan_of(g, k, block, one, shared, &plan);
    *ctas = plan.ctas_per_sm;
    return gpu_leave(e);
}

GpuError gpu_available_shared(GpuKernel *k, uint32_t n, uint32_t threads, size_t *bytes)
{
    Gpu *g = gpu_enter();
    const double *v = g->model.v;
    uint32_t ctas;
    GpuError e = gpu_occupancy(k, threads, 0, &ctas);
    if (!e && n > ctas)
        e = GPU_INVALID_VALUE;
    if (e)
        return gpu_leave(e);
    double room = v[MP_SM_SHARED_BYTES] / n - v[MP_SM_SHARED_RESERVED] - k->func->shared_bytes;
    if (room > v[MP_SM_SHARED_CTA_MAX] - k->func->shared_bytes)
        room = v[MP_SM_SHARED_CTA_MAX] - k->func->shared_bytes;
    *bytes = room > 0 ? (size_t)room / 128 * 128 : 0;
    return gpu_leave(GPU_OK);
}

GpuError gpu_max_clusters(const GpuLaunch *l, uint32_t *clusters)
{
    Gpu *g = gpu_enter();
    SimPlan plan = {0};
    uint32_t cluster[3];
    if (!l->kernel)
        return gpu_leave(GPU_INVALID_HANDLE);
    GpuError e = module_read(g, l->kernel->module);
    kernel_cluster(l->kernel->head, l->cluster, cluster);
    if (!e)
        e = check_cluster(g, l->kernel, cluster, cluster);
    if (!e)
        e = plan_of(g, l->kernel, l->block, cluster, l->shared, &plan);
    *clusters = plan.cluster ? plan.resident / plan.cluster : 0;
    return gpu_leave(e);
}
