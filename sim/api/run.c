/* A run and a replay from beginning to end: files in, result out. The command and the C library are
 * this. */
#include "sim/api/rao.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/api/kernel.h"

struct RaoResult {
    Arena arena;
    Report report;
    Model model;
    Err err;
    Deadlock dead;
    RaoStatus status;
    Checker *checker; /* NULL: not asked for */
    char *error_text, *json;
};

static RaoStatus status_of(const Err *err)
{
    switch (err->kind) {
    case ERR_NONE:
        return RAO_OK;
    case ERR_FAULT:
        return RAO_FAULT;
    case ERR_DEADLOCK:
        return RAO_DEADLOCK;
    case ERR_IO:
    case ERR_SYNTAX:
    case ERR_SEMANTIC:
    case ERR_UNSUPPORTED:
        return RAO_BAD_INPUT;
    }
    return RAO_INTERNAL;
}

static bool load_model(RaoResult *r, const char *name, const RaoOptions *o)
{
    if (!model_load(&r->arena, name, &r->model, &r->err))
        return false;
    for (size_t i = 0; i < o->n_set; i++)
        if (!model_set(&r->model, o->set[i], &r->err))
            return false;
    r->report.model = &r->model;
    return true;
}

/* The module's variables: of their initial values, or tensors of the launch file. */
static bool load_variables(RaoResult *r, const KernelLaunch *kl, const Module *m, GlobalMem *mem,
                           CodeLayout *layout)
{
    const uint64_t need[2] = {m->global_bytes, m->const_bytes};
    if (!kl->variables[0] && !kl->variables[1])
        return exec_load_module(&r->arena, m, mem, layout, &r->err);
    uint64_t base[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        const Tensor *t = kl->variables[i];
        if (need[i] && (!t || t->bytes < need[i]))
            return err_set(&r->err, ERR_SEMANTIC, kl->loc,
                           "the module has %llu bytes of %s variables, '%s_variables' has %llu",
                           (unsigned long long)need[i], i ? ".const" : ".global",
                           i ? "const" : "global", (unsigned long long)(t ? t->bytes : 0));
        base[i] = t ? t->addr : 0;
    }
    *layout = (CodeLayout){.global_base = base[0],
                           .const_base = base[1],
                           .param_window = PARAM_WINDOW,
                           .local_window = LOCAL_WINDOW,
                           .shared_window = SHARED_WINDOW};
    return true;
}

static bool prepare(RaoResult *r, const RaoOptions *o, const Launch *l, const KernelLaunch *kl,
                    GlobalMem *mem, KernelRun *k)
{
    Arena *a = &r->arena;
    Module *m;
    const Func *f;
    uint8_t *params;
    if ((double)kl->grid[0] * kl->grid[1] * kl->grid[2] > INT32_MAX)
        return err_set(&r->err, ERR_UNSUPPORTED, (Loc){.file = kl->ptx},
                       "a grid of %u x %u x %u CTAs: at most 2^31 - 1", kl->grid[0], kl->grid[1],
                       kl->grid[2]);
    if (!isa_parse_kernel(a, kl->ptx, kl->kernel, &m, &r->err) ||
        !isa_find_entry(m, kl->kernel, &f, &r->err) ||
        !launch_params(a, l, kl, m, f, mem, &params, &r->err))
        return false;
    CodeLayout layout;
    Code *code;
    uint32_t cluster[3];
    if (!load_variables(r, kl, m, mem, &layout))
        return false;
    kernel_cluster(f, kl->cluster, cluster);
    layout.clustered = cluster[0] * cluster[1] * cluster[2] > 1;
    layout.keep_all = o->check;
    if (!code_lower(a, m, f, &layout, o->check ? NULL : &r->model, &code, &r->err))
        return false;
    LaunchDesc d = {.model = &r->model,
                    .code = code,
                    .mem = mem,
                    .params = params,
                    .shared = kl->shared,
                    .sms = kl->cooperative ? SMS_ALL : o->sms,
                    .workspace = kl->cooperative ? kernel_workspace(mem) : 0,
                    .mma_hw = o->mma_hw};
    memcpy(d.grid, kl->grid, sizeof d.grid);
    memcpy(d.block, kl->block, sizeof d.block);
    memcpy(d.cluster, cluster, sizeof d.cluster);
    kernel_prepare(&d, k);
    return true;
}

static bool write_record(RaoResult *r, const RaoOptions *o, Recorder *rec, const KernelRun *k,
                         const KernelReport *kr)
{
    const SimResult *sim = kr->sim;
    TraceHeader h = {.kernel = kr->kernel,
                     .launch = r->report.source,
                     .model = r->model.name,
                     .command = o->command,
                     .model_hash = r->model.hash,
                     .sms = sim->sms_simulated,
                     .sms_total = sim->sms_total,
                     .shared_per_cta = k->sim.shared_per_cta,
                     .regs_per_thread = k->sim.regs_per_thread,
                     .flops = kr->flops,
                     .cycles = sim->cycles,
                     .n_roles = kr->n_roles};
    memcpy(h.grid, k->exec.grid, sizeof h.grid);
    memcpy(h.block, k->exec.block, sizeof h.block);
    memcpy(h.cluster, k->exec.cluster, sizeof h.cluster);
    h.roles = arena_new(&r->arena, TraceRole, kr->n_roles + 1);
    for (uint32_t i = 0; i < kr->n_roles; i++)
        h.roles[i] = (TraceRole){kr->roles[i].name, kr->roles[i].warps};
    return recorder_write(rec, o->record, &h, &r->err);
}

static bool run_timed(RaoResult *r, const RaoOptions *o, KernelRun *k, bool checked,
                      KernelReport *kr)
{
    Recorder *rec = NULL;
    KernelTime t = {0};
    bool ok = kernel_time(&r->arena, k, o->strict && checked, o->record ? &rec : NULL, &t, &r->err);
    if (r->err.kind == ERR_SEMANTIC && !r->err.loc.file)
        r->err.loc.file = r->report.source;
    r->report.run_seconds += t.seconds;
    r->dead = t.dead;
    if (ok)
        kr->sim = t.sim;
    if (ok && rec)
        ok = write_record(r, o, rec, k, kr);
    if (rec)
        recorder_free(rec);
    return ok;
}

static bool run_checked(RaoResult *r, KernelRun *k, KernelReport *kr)
{
    CheckRole *roles = arena_new(&r->arena, CheckRole, kr->n_roles + 1);
    for (uint32_t i = 0; i < kr->n_roles; i++)
        roles[i] = (CheckRole){kr->roles[i].name, kr->roles[i].warps};
    CheckLaunch l = {.code = kr->code,
                     .kernel = kr->kernel,
                     .roles = roles,
                     .n_roles = kr->n_roles,
                     .regs_per_thread = k->sim.regs_per_thread};
    k->exec.probe = checker_launch(r->checker, &l);
    kernel_run(&r->arena, k, 1, &kr->run, &r->err);
    checker_end(r->checker, &r->err);
    return r->err.kind == ERR_NONE;
}

static bool run_kernel(RaoResult *r, const RaoOptions *o, const Launch *l, const KernelLaunch *kl,
                       GlobalMem *mem, KernelReport *kr)
{
    KernelRun k = {0};
    if (!prepare(r, o, l, kl, mem, &k))
        return false;
    kernel_report(&r->arena, &k, kl->roles, kl->n_roles, kr);
    kr->flops = kl->flops;
    r->report.n_kernels++;
    if (!o->functional && !o->check)
        return run_timed(r, o, &k, l->n_checks && !o->no_check, kr);
    SimPlan plan;
    Err unfit = {0}; /* only a run with time must fit the chip */
    if (sim_plan(&k.sim, k.exec.grid, k.exec.block, k.exec.cluster, &plan, &unfit))
        k.exec.resident = plan.resident;
    double start = host_seconds();
    bool ok = o->check ? run_checked(r, &k, kr)
                       : kernel_run(&r->arena, &k, host_threads(o->threads), &kr->run, &r->err);
    r->dead = kr->run.dead;
    r->report.run_seconds += host_seconds() - start;
    return ok;
}

/* FNV-1a over 8-byte words: tensors are multiples of 8 bytes long or padded by zeros. */
static uint64_t hash_bytes(const uint8_t *p, uint64_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (uint64_t i = 0; i < n; i += 8) {
        uint64_t word = 0;
        memcpy(&word, p + i, n - i < 8 ? (size_t)(n - i) : 8);
        h = (h ^ word) * 0x100000001b3u;
        h ^= h >> 29;
    }
    return h;
}

static void hash_outputs(RaoResult *r, const Launch *l, const GlobalMem *mem)
{
    r->report.outputs = arena_new(&r->arena, ReportOutput, l->n_tensors + 1);
    for (uint32_t i = 0; i < l->n_tensors; i++) {
        const Tensor *t = &l->tensors[i];
        if (t->init != INIT_POISON && t->init != INIT_ZEROS)
            continue;
        r->report.outputs[r->report.n_outputs++] =
            (ReportOutput){t->name, hash_bytes(mem_ptr(mem, t->addr, t->bytes), t->bytes)};
    }
}

static bool run_launch(RaoResult *r, const RaoOptions *o, const char *path, GlobalMem *mem)
{
    Arena *a = &r->arena;
    Launch *l;
    if (!load_model(r, o->model ? o->model : "b200", o) || !launch_load(a, path, &l, &r->err) ||
        !launch_alloc(a, l, mem, &r->err))
        return false;
    if (o->record && l->n_launches > 1)
        return err_set(&r->err, ERR_UNSUPPORTED, (Loc){.file = path},
                       "a trace holds one kernel; this file launches %u", l->n_launches);
    if (o->record && !o->functional && !recorder_can_write(o->record, &r->err))
        return false;
    CheckOptions check = {.print_limit = o->print_limit};
    if (o->suppressions) /* r->err may name it later */
        check.suppressions = arena_str(a, o->suppressions, strlen(o->suppressions));
    if (o->check && !(r->checker = checker_new(&check, &r->err)))
        return false;
    r->report.checker = r->checker;
    r->report.kernels = arena_new(a, KernelReport, l->n_launches + 1);
    bool partial = false;
    for (uint32_t i = 0; i < l->n_launches; i++) {
        KernelReport *kr = &r->report.kernels[i];
        if (!run_kernel(r, o, l, &l->launches[i], mem, kr))
            return false;
        partial |= kr->sim && kr->sim->ctas_simulated < kr->sim->ctas_total;
    }
    hash_outputs(r, l, mem);
    if (o->no_check || !l->n_checks)
        return true;
    CheckResult *checks;
    if (!launch_check(a, l, mem, partial, host_threads(o->threads), &checks, &r->err))
        return false;
    r->report.checks = checks;
    r->report.n_checks = l->n_checks;
    r->report.checked = true;
    for (uint32_t i = 0; i < l->n_checks; i++)
        if (!checks[i].pass)
            r->status = RAO_CHECK_FAILED;
    return true;
}

static RaoResult *result_new(const char *source)
{
    RaoResult *r = calloc(1, sizeof *r);
    if (!r) {
        fprintf(stderr, "rao: out of memory\n");
        exit(RAO_INTERNAL);
    }
    r->report.source = arena_str(&r->arena, source, strlen(source));
    return r;
}

static RaoResult *finish(RaoResult *r, double start)
{
    r->report.host_seconds = host_seconds() - start;
    r->report.err = &r->err;
    if (r->dead.n_waits)
        r->report.dead = &r->dead;
    if (r->checker && checker_errors(r->checker))
        r->status = RAO_MISUSE;
    if (r->err.kind != ERR_NONE) {
        r->status = status_of(&r->err);
        size_t n;
        FILE *f = open_memstream(&r->error_text, &n);
        if (f) {
            err_print(f, &r->err);
            fclose(f);
        }
    }
    return r;
}

RaoResult *rao_run(const char *launch, const RaoOptions *opt)
{
    static const RaoOptions plain;
    opt = opt ? opt : &plain;
    double start = host_seconds();
    RaoResult *r = result_new(launch);
    GlobalMem *mem = mem_new();
    run_launch(r, opt, launch, mem);
    mem_free(mem);
    return finish(r, start);
}

static bool replay(RaoResult *r, const RaoOptions *o, const char *path)
{
    Arena *a = &r->arena;
    Trace *t;
    if (!trace_read(a, path, &t, &r->err))
        return false;
    const TraceHeader *h = trace_header(t);
    if (!load_model(r, o->model ? o->model : h->model, o))
        return false;
    Front *front = trace_front(a, t);
    SimDesc d = {.front = front,
                 .model = &r->model,
                 .sms = o->sms ? o->sms : h->sms,
                 .shared_per_cta = h->shared_per_cta,
                 .regs_per_thread = h->regs_per_thread};
    KernelReport *k = r->report.kernels = arena_new(a, KernelReport, 1);
    *k = (KernelReport){.kernel = h->kernel, .flops = h->flops, .code = front->code};
    memcpy(k->grid, h->grid, sizeof k->grid);
    memcpy(k->block, h->block, sizeof k->block);
    memcpy(k->cluster, h->cluster, sizeof k->cluster);
    k->roles = arena_new(a, ReportRole, h->n_roles + 1);
    for (uint32_t i = 0; i < h->n_roles; i++)
        k->roles[k->n_roles++] = (ReportRole){h->roles[i].name, h->roles[i].warps};
    r->report.n_kernels = 1;
    r->report.recorded_cycles = h->cycles;
    r->report.recorded_model = h->model;
    SimResult *sim;
    double start = host_seconds();
    bool ok = sim_run(a, &d, &sim, &r->dead, &r->err);
    r->report.run_seconds = host_seconds() - start;
    if (ok)
        k->sim = sim;
    return ok;
}

RaoResult *rao_replay(const char *trace, const RaoOptions *opt)
{
    static const RaoOptions plain;
    opt = opt ? opt : &plain;
    double start = host_seconds();
    RaoResult *r = result_new(trace);
    replay(r, opt, trace);
    return finish(r, start);
}

RaoStatus rao_status(const RaoResult *r)
{
    return r->status;
}
const char *rao_error(const RaoResult *r)
{
    return r->error_text ? r->error_text : "";
}

double rao_cycles(const RaoResult *r)
{
    return (double)report_total(&r->report).cycles;
}
double rao_time_us(const RaoResult *r)
{
    return report_total(&r->report).time_us;
}
double rao_tflops(const RaoResult *r)
{
    return report_total(&r->report).tflops;
}

RaoSpeed rao_speed(const RaoResult *r)
{
    RaoSpeed s = {.seconds = r->report.host_seconds, .run_seconds = r->report.run_seconds};
    for (uint32_t i = 0; i < r->report.n_kernels; i++) {
        const KernelReport *k = &r->report.kernels[i];
        s.warp_insts += k->sim ? k->sim->warp_insts : k->run.warp_insts;
        s.thread_insts += k->run.thread_insts;
    }
    return s;
}

void rao_print(const RaoResult *r, FILE *out)
{
    report_text(out, &r->report);
}

const char *rao_json(const RaoResult *r)
{
    RaoResult *w = (RaoResult *)r; /* the text is made on first use */
    if (!w->json)
        w->json = report_json(&r->report);
    return w->json ? w->json : "{}";
}

void rao_free(RaoResult *r)
{
    if (!r)
        return;
    checker_free(r->checker);
    arena_free(&r->arena);
    free(r->error_text);
    free(r->json);
    free(r);
}
