/* Time of chosen launches. A copy of the process (fork) simulates the launch in time while this one
 * runs it functionally, so that memory holds what the whole grid wrote although few SMs may stand
 * for all. The copy writes the report and sends the figures back. Where the simulation runs every
 * CTA there is no copy: it is the run. A launch that is identical but for addresses to one timed
 * before takes that one's time. */
#include "sim/cuda/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Figures { /* what the copy sends */
    uint64_t cycles;
    double us;
    uint32_t err_kind, fault, line, col;
    char msg[sizeof((Err *)0)->msg];
} Figures;

/* ---- Identical launches ---- */

/* Addresses are replaced by the size of what they point to and how far into it. */
static uint64_t launch_hash(Gpu *g, const LaunchOp *op)
{
    const GpuModule *m = op->kernel->module;
    const char *name = gpu_kernel_name(op->kernel);
    uint64_t h = gpu_hash(GPU_HASH_START, name, strlen(name));
    h = gpu_hash(h, &m->text_hash, sizeof m->text_hash);
    h = gpu_hash(h, &op->cooperative, sizeof op->cooperative);
    h = gpu_hash(h, op->grid, sizeof op->grid);
    h = gpu_hash(h, op->block, sizeof op->block);
    h = gpu_hash(h, op->cluster, sizeof op->cluster);
    h = gpu_hash(h, &op->shared, sizeof op->shared);
    for (uint32_t i = 0; i < op->param_bytes; i += 8) {
        uint64_t word = 0, start, bytes;
        memcpy(&word, op->params + i, op->param_bytes - i < 8 ? op->param_bytes - i : 8);
        if (mem_object(g->mem, word, &start, &bytes)) {
            h = gpu_hash(h, &bytes, sizeof bytes);
            word -= start;
        }
        h = gpu_hash(h, &word, sizeof word);
    }
    return h;
}

static const Timed *find_timed(const Gpu *g, uint64_t hash)
{
    for (uint32_t i = 0; i < g->n_timed; i++)
        if (g->timed[i].hash == hash)
            return &g->timed[i];
    return NULL;
}

static void remember(Gpu *g, const Timing *t)
{
    g->timed = gpu_grow(g->timed, g->n_timed, &g->cap_timed, sizeof *g->timed);
    g->timed[g->n_timed++] =
        (Timed){.hash = t->hash, .launch = t->number, .us = t->us, .cycles = t->cycles};
}

/* ---- Simulating ---- */

static bool simulate(Gpu *g, const LaunchOp *op, Timing *t, KernelRun *k, Err *err)
{
    Arena a = {0};
    KernelTime kt = {0};
    bool ok = kernel_time(&a, k, false, NULL, &kt, err);
    if (ok) {
        t->cycles = kt.sim->cycles;
        t->us = (double)kt.sim->cycles / (g->model.v[MP_CLOCK_GHZ] * 1e3);
    }
    if (t->wanted && g->opt.report)
        report_write(g, op, t, k, &kt, err);
    if (t->in_place && kt.dead.n_waits) { /* else the run without time says it */
        KernelReport kr = {0};
        kernel_report(&a, k, NULL, 0, &kr);
        report_deadlock(stderr, &kr, &kt.dead);
    }
    arena_free(&a);
    return ok;
}

static void send_all(int fd, const void *data, size_t n)
{
    const char *p = data;
    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return;
        p += w;
        n -= (size_t)w;
    }
}

static bool receive_all(int fd, void *data, size_t n)
{
    char *p = data;
    while (n > 0) {
        ssize_t r = read(fd, p, n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return false;
        p += r;
        n -= (size_t)r;
    }
    return true;
}

/* In the copy: never returns. */
static void simulate_and_send(Gpu *g, const LaunchOp *op, Timing *t, KernelRun *k, int fd)
{
    Err err = {0};
    Figures f = {0};
    k->exec.print = PRINT_NOWHERE; /* the functional run prints */
    simulate(g, op, t, k, &err);
    f.cycles = t->cycles;
    f.us = t->us;
    f.err_kind = err.kind;
    f.fault = err.fault;
    f.line = err.loc.line;
    f.col = err.loc.col;
    memcpy(f.msg, err.msg, sizeof f.msg);
    send_all(fd, &f, sizeof f);
    _exit(0);
}

void timing_start(Gpu *g, const LaunchOp *op, Timing *t, KernelRun *k)
{
    int fd[2];
    t->hash = launch_hash(g, op);
    if (t->chosen && g->opt.capture)
        capture_write(g, op, t);
    const Timed *known = find_timed(g, t->hash);
    if (known && !(t->in_place && k->exec.code->reads_clock)) {
        t->us = known->us;
        t->cycles = known->cycles;
        if (t->wanted && g->opt.report)
            report_repeat(g, op, t, known);
        t->wanted = false;
        t->in_place = false;
        return;
    }
    if (!t->wanted || t->in_place)
        return;
    k->exec.footprint = reach_bytes(g, op);
    if (pipe(fd) != 0) {
        gpu_say("cannot time launch %llu: %s", (unsigned long long)t->number, strerror(errno));
        gpu_note_status(g, RAO_INTERNAL);
        return;
    }
    fflush(NULL);
    t->pid = fork();
    if (t->pid == 0) {
        close(fd[0]);
        simulate_and_send(g, op, t, k, fd[1]);
    }
    close(fd[1]);
    t->fd = fd[0];
    if (t->pid < 0) {
        gpu_say("cannot fork to time a launch: %s", strerror(errno));
        close(fd[0]);
        t->pid = 0;
    }
}

static bool collect(const Gpu *g, const LaunchOp *op, Timing *t, Err *err)
{
    Figures f;
    bool ok = receive_all(t->fd, &f, sizeof f);
    close(t->fd);
    while (waitpid(t->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    if (!ok) {
        gpu_say("the process that times launch %llu has died", (unsigned long long)t->number);
        gpu_note_status(g, RAO_INTERNAL);
        return true;
    }
    t->cycles = f.cycles;
    t->us = f.us;
    if (f.err_kind == ERR_NONE)
        return true;
    Loc loc = {.file = op->kernel->module->name, .line = f.line, .col = f.col};
    err_set(err, (ErrKind)f.err_kind, loc, "%s", f.msg);
    err->fault = (FaultKind)f.fault;
    return false;
}

bool timing_finish(Gpu *g, const LaunchOp *op, Timing *t, KernelRun *k, Err *err)
{
    bool ok = true;
    if (t->in_place) {
        k->exec.footprint = reach_bytes(g, op);
        ok = simulate(g, op, t, k, err);
    } else if (t->pid) {
        ok = collect(g, op, t, err);
    } else if (t->cycles == 0 && !g->said_no_time) {
        g->said_no_time = true;
        if (!g->opt.time && getenv("RAO_EXEC_STATUS"))
            gpu_say("launches run without time: events say 0 (--time, --report, --only)");
    }
    if (ok && t->cycles && (t->pid || t->in_place))
        remember(g, t);
    return ok;
}
