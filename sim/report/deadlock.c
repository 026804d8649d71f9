/* A deadlock as a person and a program read it: the waits by role, the cycle. Grammar after
 * compute-sanitizer (docs/check.md). */
#include "sim/report/deadlock.h"

#include <stdio.h>

#include "isa/cxx.h"
#include "sim/func/symbol.h"

void dead_source_line(const Code *c, uint32_t insn, char *text, size_t n)
{
    const Insn *in = &c->func->insns[c->insns[insn].ptx];
    int len = snprintf(text, n, "%s:%u", in->loc.file ? in->loc.file : "ptx", in->loc.line);
    if (in->src_file && in->src_file < c->module->n_files && len > 0 && (size_t)len < n)
        snprintf(text + len, n - (size_t)len, " (%s:%u)", c->module->files[in->src_file],
                 in->src_line);
}

static bool is_mbar(const DeadWait *w)
{
    return w->kind == OK_MBAR_WAIT || w->kind == OK_MBAR_TEST;
}

void dead_object(const Code *c, const DeadWait *w, char *text, size_t n)
{
    char name[128];
    shared_symbol(c, w->sync, name, sizeof name);
    if (is_mbar(w))
        snprintf(text, n, "mbarrier %s", name);
    else if (w->kind == OK_BAR_SYNC)
        snprintf(text, n, "barrier %u", w->sync);
    else if (w->kind == OK_CLUSTER_WAIT)
        snprintf(text, n, "the cluster barrier");
    else if (w->kind == OK_TMEM_ALLOC)
        snprintf(text, n, "columns of tensor memory");
    else if (w->kind == OK_SETMAXNREG)
        snprintf(text, n, "registers (setmaxnreg)");
    else if (w->kind == OK_PLAIN || w->kind == OK_NANOSLEEP)
        snprintf(text, n, "a value in memory, which it polls");
    else
        snprintf(text, n, "its own asynchronous operations");
}

static const char *role_of(const KernelReport *k, uint32_t warp)
{
    for (uint32_t i = 0; i < k->n_roles; i++)
        if (warp < 64 && k->roles[i].warps >> warp & 1)
            return k->roles[i].name;
    return "warp";
}

/* "4 of 128 arrivals, 16384 of 32768 bytes" */
static void print_counts(FILE *out, const DeadWait *w)
{
    if (w->arrivals_needed)
        fprintf(out, ": %u of %u %s", w->arrivals_had, w->arrivals_needed,
                w->kind == OK_BAR_SYNC       ? "threads"
                : w->kind == OK_CLUSTER_WAIT ? "warps"
                                             : "arrivals");
    if (w->bytes_needed || w->bytes_had)
        fprintf(out, ", %lld of %lld bytes", (long long)w->bytes_had, (long long)w->bytes_needed);
}

static void print_who(FILE *out, const KernelReport *k, uint64_t warps)
{
    bool first = true;
    for (uint32_t i = 0; i < k->n_roles; i++)
        if (k->roles[i].warps & warps) {
            fprintf(out, "%s%s", first ? "" : ", ", k->roles[i].name);
            first = false;
        }
}

/* The time core remembers no arrivals. */
static void print_history(FILE *out, const KernelReport *k, const Deadlock *d, const DeadWait *w)
{
    char at[512];
    if (!is_mbar(w) || d->at)
        return;
    if (w->last_warp == NO_WARP) {
        fprintf(out, "=========         nobody of this CTA has ever arrived there%s\n",
                w->arrivers.ranks ? ", only others of the cluster" : "");
        return;
    }
    dead_source_line(k->code, w->last_insn, at, sizeof at);
    fprintf(out, "=========         phase %llu; last arrival by %s (warp %u) at %s\n",
            (unsigned long long)w->phase, role_of(k, w->last_warp), w->last_warp, at);
    if (w->ended_arrivers) {
        fprintf(out, "=========         has ended, but used to arrive there: ");
        print_who(out, k, w->ended_arrivers);
        fputc('\n', out);
    }
}

static bool same_wait(const DeadWait *a, const DeadWait *b)
{
    return a->cta == b->cta && a->sync == b->sync && a->parity == b->parity && a->kind == b->kind &&
           a->insn == b->insn;
}

static void print_wait(FILE *out, const KernelReport *k, const Deadlock *d, const DeadWait *w,
                       uint32_t n)
{
    char object[160], at[512];
    dead_object(k->code, w, object, sizeof object);
    dead_source_line(k->code, w->insn, at, sizeof at);
    if (n > 1)
        fprintf(out, "=========     %s (CTA %u, warps %u-%u)", role_of(k, w->warp), w->cta, w->warp,
                w->warp + n - 1);
    else
        fprintf(out, "=========     %s (CTA %u, warp %u)", role_of(k, w->warp), w->cta, w->warp);
    fprintf(out, " waits for %s", object);
    if (is_mbar(w))
        fprintf(out, ", parity %u", w->parity);
    print_counts(out, w);
    fprintf(out, "\n=========         at %s\n", at);
    print_history(out, k, d, w);
}

static void print_party(FILE *out, const KernelReport *k, const DeadWait *w, bool place)
{
    fputs(role_of(k, w->warp), out);
    if (place)
        fprintf(out, " (CTA %u, warp %u)", w->cta, w->warp);
}

static void print_cycle(FILE *out, const KernelReport *k, const Deadlock *d)
{
    char object[160];
    bool place = k->n_roles < 2; /* whether a role does not say who it is */
    for (uint32_t i = 1; i < d->n_cycle; i++)
        place |= d->waits[d->cycle[i]].cta != d->waits[d->cycle[0]].cta;
    fprintf(out, "=========   wait-for cycle: ");
    for (uint32_t i = 0; i < d->n_cycle; i++) {
        const DeadWait *w = &d->waits[d->cycle[i]];
        dead_object(k->code, w, object, sizeof object);
        print_party(out, k, w, place);
        fprintf(out, " -[%s]-> ", object);
    }
    print_party(out, k, &d->waits[d->cycle[0]], place);
    fputc('\n', out);
}

void report_deadlock(FILE *out, const KernelReport *k, const Deadlock *d)
{
    char name[256];
    fprintf(out, "========= Deadlock in %s: no warp can move, no operation is in flight\n",
            cxx_name(name, sizeof name, k->kernel));
    if (d->n_cycle)
        print_cycle(out, k, d);
    else
        fprintf(out, "=========   no cycle known among the waits\n");
    for (uint32_t i = 0, n; i < d->n_waits; i += n) {
        for (n = 1; i + n < d->n_waits && same_wait(&d->waits[i], &d->waits[i + n]) &&
                    d->waits[i + n].warp == d->waits[i].warp + n &&
                    role_of(k, d->waits[i + n].warp) == role_of(k, d->waits[i].warp);
             n++)
            ;
        print_wait(out, k, d, &d->waits[i], n);
    }
}

static uint32_t line_of(const KernelReport *k, const DeadWait *w)
{
    return k->code->func->insns[k->code->insns[w->insn].ptx].loc.line;
}

static json_t *wait_json(const KernelReport *k, const DeadWait *w)
{
    char object[160];
    const Insn *in = &k->code->func->insns[k->code->insns[w->insn].ptx];
    dead_object(k->code, w, object, sizeof object);
    json_t *o = json_pack("{s:s,s:i,s:i,s:i,s:i,s:s,s:i,s:{s:i,s:i},s:{s:I,s:I}}", "role",
                          role_of(k, w->warp), "cta", (int)w->cta, "warp", (int)w->warp, "pc",
                          (int)w->insn, "line", (int)in->loc.line, "barrier", object, "phase",
                          is_mbar(w) ? (int)w->parity : 0, "arrivals", "had", (int)w->arrivals_had,
                          "needed", (int)w->arrivals_needed, "bytes", "had",
                          (json_int_t)w->bytes_had, "needed", (json_int_t)w->bytes_needed);
    if (in->src_file && in->src_file < k->code->module->n_files)
        json_object_set_new(o, "source",
                            json_pack("{s:s,s:i}", "file", k->code->module->files[in->src_file],
                                      "line", (int)in->src_line));
    if (w->last_warp != NO_WARP) {
        uint32_t ptx = k->code->insns[w->last_insn].ptx;
        json_object_set_new(o, "last_arrival",
                            json_pack("{s:s,s:i,s:i}", "role", role_of(k, w->last_warp), "warp",
                                      (int)w->last_warp, "line",
                                      (int)k->code->func->insns[ptx].loc.line));
    }
    return o;
}

json_t *deadlock_json(const KernelReport *k, const Deadlock *d)
{
    json_t *waits = json_array(), *cycle = json_array();
    for (uint32_t i = 0; i < d->n_waits; i++)
        json_array_append_new(waits, wait_json(k, &d->waits[i]));
    for (uint32_t i = 0; i < d->n_cycle; i++) {
        const DeadWait *w = &d->waits[d->cycle[i]];
        char object[160];
        dead_object(k->code, w, object, sizeof object);
        json_array_append_new(cycle, json_pack("{s:s,s:i,s:i,s:i,s:s}", "role", role_of(k, w->warp),
                                               "cta", (int)w->cta, "warp", (int)w->warp, "line",
                                               (int)line_of(k, w), "barrier", object));
    }
    return json_pack("{s:I,s:o,s:o}", "at_cycle", (json_int_t)d->at, "waits", waits, "cycle",
                     cycle);
}
