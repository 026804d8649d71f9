/* Reports of launches: DIR/launches.tsv with a line for each, DIR/0003_name.txt and .json. */
#include "sim/cuda/state.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_CHARS = 60 };

/* CUTLASS' kernel names have thousands of characters. */
void file_name(char *path, size_t n, const char *dir, const LaunchOp *op, uint64_t number,
               const char *ext)
{
    char name[NAME_MAX_CHARS + 1];
    snprintf(name, sizeof name, "%s", gpu_kernel_name(op->kernel));
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_')
            *c = '_';
    snprintf(path, n, "%s/%04llu_%s%s%s", dir, (unsigned long long)number, name, ext ? "." : "",
             ext ? ext : "");
}

static void write_line(Gpu *g, const LaunchOp *op, const Timing *t, const char *note)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/launches.tsv", g->opt.report);
    FILE *f = fopen(path, "a");
    if (!f) {
        gpu_say("cannot write %s: %s", path, strerror(errno));
        return;
    }
    if (ftell(f) == 0)
        fputs("launch\tkernel\tgrid\tblock\tcluster\tshared\tcycles\tus\tnote\n", f);
    fprintf(f, "%llu\t%s\t%ux%ux%u\t%ux%ux%u\t%ux%ux%u\t%u\t%llu\t%.3f\t%s\n",
            (unsigned long long)t->number, gpu_kernel_name(op->kernel), op->grid[0], op->grid[1],
            op->grid[2], op->block[0], op->block[1], op->block[2], op->cluster[0], op->cluster[1],
            op->cluster[2], op->shared, (unsigned long long)t->cycles, t->us, note);
    if (fclose(f) != 0)
        gpu_say("cannot write %s: %s", path, strerror(errno));
}

static void write_text(const char *path, const Report *r, bool json)
{
    FILE *f = fopen(path, "w");
    if (!f) {
        gpu_say("cannot write %s: %s", path, strerror(errno));
        return;
    }
    if (json) {
        char *text = report_json(r);
        fprintf(f, "%s\n", text ? text : "{}");
        free(text);
    } else {
        report_text(f, r);
    }
    if (fclose(f) != 0)
        gpu_say("cannot write %s: %s", path, strerror(errno));
}

void report_write(Gpu *g, const LaunchOp *op, const Timing *t, const KernelRun *k,
                  const KernelTime *kt, const Err *err)
{
    Arena a = {0};
    char path[4096];
    KernelReport kr = {0};
    kernel_report(&a, k, NULL, 0, &kr);
    kr.sim = kt->sim;
    Report r = {.source = op->kernel->module->name,
                .model = &g->model,
                .kernels = &kr,
                .n_kernels = 1,
                .host_seconds = kt->seconds,
                .run_seconds = kt->seconds,
                .err = err,
                .dead = kt->dead.n_waits ? &kt->dead : NULL};
    file_name(path, sizeof path, g->opt.report, op, t->number, "txt");
    write_text(path, &r, false);
    file_name(path, sizeof path, g->opt.report, op, t->number, "json");
    write_text(path, &r, true);
    module_write(g, op->kernel->module, g->opt.report);
    write_line(g, op, t, "");
    arena_free(&a);
}

void report_checked(Gpu *g, const LaunchOp *op, const Timing *t, const KernelRun *k,
                    const Checker *c, const RunStats *run, const Err *err)
{
    Arena a = {0};
    char path[4096];
    KernelReport kr = {0};
    kernel_report(&a, k, NULL, 0, &kr);
    kr.run = *run;
    Report r = {.source = op->kernel->module->name,
                .model = &g->model,
                .kernels = &kr,
                .n_kernels = 1,
                .err = err,
                .dead = run->dead.n_waits ? &run->dead : NULL,
                .checker = c};
    file_name(path, sizeof path, g->opt.report, op, t->number, "json");
    write_text(path, &r, true);
    arena_free(&a);
}

void report_repeat(Gpu *g, const LaunchOp *op, const Timing *t, const Timed *known)
{
    char note[64];
    snprintf(note, sizeof note, "as launch %llu", (unsigned long long)known->launch);
    write_line(g, op, t, note);
}
