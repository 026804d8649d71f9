/* A deadlock as a person and a program read it: the causes, the waits by role, the cycle. Grammar
 * after compute-sanitizer (docs/check.md). */
#include "sim/report/deadlock.h"

#include <stdio.h>
#include <string.h>

#include "isa/cxx.h"
#include "sim/func/symbol.h"

enum {
    NAME = 160,
    PLACE = 512,
    MOST_WAITS = 48,  /* lines of warps */
    MOST_CAUSES = 8,  /* of different kinds or places */
    MOST_PARTIES = 4, /* that could end one wait */
};

void dead_source_line(const Code *c, uint32_t insn, char *text, size_t n)
{
    const Insn *in = &c->func->insns[c->insns[insn].ptx];
    int len = snprintf(text, n, "%s:%u", in->loc.file ? in->loc.file : "ptx", in->loc.line);
    if (in->src_file && in->src_file < c->module->n_files && len > 0 && (size_t)len < n)
        snprintf(text + len, n - (size_t)len, " (%s:%u)", c->module->files[in->src_file],
                 in->src_line);
}

/* The same for the text: without folders, which stand in its first line. */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void place(const KernelReport *k, uint32_t insn, char text[PLACE])
{
    const Code *c = k->code;
    const Insn *in = &c->func->insns[c->insns[insn].ptx];
    int len = snprintf(text, PLACE, "%s:%u", in->loc.file ? base_name(in->loc.file) : "ptx",
                       in->loc.line);
    if (in->src_file && in->src_file < c->module->n_files)
        snprintf(text + len, PLACE - (size_t)len, " (%s:%u)",
                 base_name(c->module->files[in->src_file]), in->src_line);
}

void dead_object(const Code *c, const DeadWait *w, char *text, size_t n)
{
    char name[128];
    if (dead_is_mbar(w) || w->kind == OK_SMEM)
        shared_symbol(c, w->kind == OK_SMEM ? (uint32_t)w->addr : w->sync, name, sizeof name);
    if (dead_is_mbar(w))
        snprintf(text, n, "mbarrier %s", name);
    else if (w->kind == OK_BAR_SYNC)
        snprintf(text, n, "barrier %u", w->sync);
    else if (w->kind == OK_CLUSTER_WAIT)
        snprintf(text, n, "the cluster barrier");
    else if (w->kind == OK_TMEM_ALLOC)
        snprintf(text, n, "columns of tensor memory");
    else if (w->kind == OK_SETMAXNREG)
        snprintf(text, n, "registers (setmaxnreg)");
    else if (w->kind == OK_WGMMA_WAIT)
        snprintf(text, n, "wgmmas of its warpgroup");
    else if (w->kind == OK_SMEM)
        snprintf(text, n, "a value in %s, which it polls", name);
    else if (w->kind == OK_GMEM && w->addr)
        snprintf(text, n, "a value in global memory at 0x%llx, which it polls",
                 (unsigned long long)w->addr);
    else if (w->kind == OK_GMEM)
        snprintf(text, n, "a value in memory, which it polls");
    else if (w->kind == OK_PLAIN)
        snprintf(text, n, "nothing, and never ends");
    else
        snprintf(text, n, "its own asynchronous operations");
}

/* ---- Who ---- */

const char *dead_role(const KernelReport *k, uint32_t warp)
{
    for (uint32_t i = 0; i < k->n_roles; i++)
        if (warp < 64 && k->roles[i].warps >> warp & 1)
            return k->roles[i].name;
    return "warp";
}

/* What a warp does, for kernels whose warps have no roles. */
static const char *work_of(const DeadWait *w)
{
    return w->does & SCOUT_MMA       ? ", mma"
           : w->does & SCOUT_LOADS   ? ", load"
           : w->does & SCOUT_READS_D ? ", reads D"
           : w->does & SCOUT_STORES  ? ", store"
                                     : "";
}

/* "mma (CTA 0, warp 12)"; without roles "warp 12 (CTA 0, mma)". n: of so many warps. */
static void party(const KernelReport *k, const DeadWait *w, uint32_t n, char text[NAME])
{
    char warps[32];
    if (n > 1)
        snprintf(warps, sizeof warps, "warps %u-%u", w->warp, w->warp + n - 1);
    else
        snprintf(warps, sizeof warps, "warp %u", w->warp);
    if (k->n_roles < 2)
        snprintf(text, NAME, "%s (CTA %u%s)", warps, w->cta, work_of(w));
    else
        snprintf(text, NAME, "%s (CTA %u, %s)", dead_role(k, w->warp), w->cta, warps);
}

/* "load, softmax0 (warps 0, 4-7)": the warps of a mask. */
static void print_warps(FILE *out, const KernelReport *k, uint64_t warps)
{
    const char *sep = "";
    for (uint32_t i = 0; i < k->n_roles && k->n_roles > 1; i++)
        if (k->roles[i].warps & warps) {
            fprintf(out, "%s%s", sep, k->roles[i].name);
            sep = ", ";
        }
    bool one = (warps & (warps - 1)) == 0;
    fprintf(out, "%swarp%s ", k->n_roles > 1 ? " (" : "", one ? "" : "s");
    sep = "";
    for (uint32_t i = 0, j; i < 64; i = j + 1) {
        for (j = i; j < 64 && warps >> j & 1; j++)
            ;
        if (j > i)
            fprintf(out, j > i + 1 ? "%s%u-%u" : "%s%u", sep, i, j - 1);
        if (j > i)
            sep = ", ";
    }
    fputs(k->n_roles > 1 ? ")" : "", out);
}

/* "warps 4-7, and warps 0 of CTA rank 1" */
static void print_arrivers(FILE *out, const KernelReport *k, const Arrivers *a)
{
    if (a->own)
        print_warps(out, k, a->own);
    if (!a->other)
        return;
    fputs(a->own ? ", and of other CTAs of the cluster: " : "of other CTAs of the cluster: ", out);
    print_warps(out, k, a->other);
}

static bool anybody(const Arrivers *a)
{
    return a->own || a->other;
}

/* ---- One wait ---- */

/* ": 4 of 128 arrivals, 16384 of 32768 bytes" */
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

static uint32_t insn_of(const KernelReport *k, uint32_t op)
{
    return k->code->ops[op].insn;
}

static void print_op(FILE *out, const KernelReport *k, const char *before, uint32_t op)
{
    char at[PLACE];
    if (op == OP_NONE)
        return;
    place(k, insn_of(k, op), at);
    fprintf(out, "%s%s", before, at);
}

static void print_history(FILE *out, const KernelReport *k, const DeadWait *w)
{
    const MbarHistory *h = &w->seen;
    if (!dead_is_mbar(w) || h->init_op == OP_NONE)
        return;
    fprintf(out, "=========         phase %llu", (unsigned long long)h->phase);
    if (h->last_warp == NO_WARP) {
        fprintf(out, "; nobody has ever arrived there");
    } else {
        fprintf(out, "; last arrival by ");
        print_warps(out, k, (uint64_t)1 << h->last_warp % 64);
        fputs(h->last_rank != w->rank ? " of another CTA" : "", out);
        print_op(out, k, " at ", h->last_op);
    }
    print_op(out, k, "; initialised at ", h->init_op);
    fputc('\n', out);
    uint64_t ended = w->ended & h->ever.own;
    if (ended) {
        fprintf(out, "=========         have ended, but used to arrive there: ");
        print_warps(out, k, ended);
        fputc('\n', out);
    }
}

static const char *learnt(const DeadEdge *e)
{
    if (!(e->how & DE_CODE))
        return e->how & DE_MAY ? "has arrived before, may again" : "has arrived before";
    if (e->how & DE_MAY)
        return "from its code; not certain";
    return e->how & DE_RUN ? "from its code and the run" : "from its code";
}

static bool same_party(const KernelReport *k, const Deadlock *d, const DeadEdge *a,
                       const DeadEdge *b)
{
    const DeadWait *v = &d->waits[a->to], *w = &d->waits[b->to];
    return v->cta == w->cta && a->insn == b->insn && a->how == b->how &&
           (k->n_roles < 2 || strcmp(dead_role(k, v->warp), dead_role(k, w->warp)) == 0);
}

static void print_edge(FILE *out, const KernelReport *k, const Deadlock *d, const DeadEdge *e)
{
    char who[NAME], at[PLACE] = "";
    party(k, &d->waits[e->to], 1, who);
    if (e->insn != OP_NONE)
        place(k, e->insn, at);
    fprintf(out, "=========         to be ended by %s%s%s (%s)\n", who, at[0] ? " at " : "", at,
            learnt(e));
}

static void print_edges(FILE *out, const KernelReport *k, const Deadlock *d, const DeadWait *w)
{
    uint32_t n = 0, more = 0;
    for (uint32_t i = 0; i < w->n_edges; i++) {
        uint32_t j = 0;
        while (j < i && !same_party(k, d, &w->edges[i], &w->edges[j]))
            j++;
        if (j < i)
            continue;
        if (n++ < MOST_PARTIES)
            print_edge(out, k, d, &w->edges[i]);
        else
            more++;
    }
    if (more)
        fprintf(out, "=========         and by %u others\n", more);
}

static bool same_wait(const DeadWait *a, const DeadWait *b)
{
    return a->cta == b->cta && a->sync == b->sync && a->parity == b->parity && a->kind == b->kind &&
           a->insn == b->insn && a->addr == b->addr;
}

static void print_wait(FILE *out, const KernelReport *k, const Deadlock *d, const DeadWait *w,
                       uint32_t n)
{
    char object[NAME], at[PLACE], who[NAME];
    dead_object(k->code, w, object, sizeof object);
    place(k, w->insn, at);
    party(k, w, n, who);
    fprintf(out, "=========     %s waits for %s", who, object);
    if (dead_is_mbar(w))
        fprintf(out, ", parity %u", w->parity);
    print_counts(out, w);
    fprintf(out, "\n=========         at %s\n", at);
    print_history(out, k, w);
    if (w->kind == OK_BAR_SYNC && w->there) {
        fprintf(out, "=========         there: ");
        print_warps(out, k, w->there);
        fputc('\n', out);
    }
    print_edges(out, k, d, w);
}

/* The same wait in another CTA. */
static bool like_wait(const DeadWait *a, const DeadWait *b)
{
    return a->cta != b->cta && a->warp == b->warp && a->kind == b->kind && a->insn == b->insn &&
           a->parity == b->parity && (a->sync & 0xffffff) == (b->sync & 0xffffff) &&
           a->arrivals_had == b->arrivals_had && a->arrivals_needed == b->arrivals_needed &&
           a->bytes_had == b->bytes_had && a->bytes_needed == b->bytes_needed;
}

/* Warps from wait i on that share a line. */
static uint32_t together(const KernelReport *k, const Deadlock *d, uint32_t i)
{
    uint32_t n = 1;
    while (i + n < d->n_waits && same_wait(&d->waits[i], &d->waits[i + n]) &&
           d->waits[i + n].warp == d->waits[i].warp + n &&
           strcmp(dead_role(k, d->waits[i + n].warp), dead_role(k, d->waits[i].warp)) == 0)
        n++;
    return n;
}

/* CTAs whose warp waits like that of wait i: those before (first), those behind. */
static uint32_t count_like(const Deadlock *d, uint32_t i, bool before)
{
    uint32_t n = 0;
    for (uint32_t j = before ? 0 : i + 1; j < (before ? i : d->n_waits); j++)
        n += like_wait(&d->waits[j], &d->waits[i]);
    return n;
}

static void print_waits(FILE *out, const KernelReport *k, const Deadlock *d)
{
    uint32_t lines = 0, more = 0;
    fprintf(out, "=========   waits:\n");
    for (uint32_t i = 0, n; i < d->n_waits; i += n) {
        n = together(k, d, i);
        if (count_like(d, i, true))
            continue;
        if (lines++ >= MOST_WAITS) {
            more += n;
            continue;
        }
        print_wait(out, k, d, &d->waits[i], n);
        uint32_t like = count_like(d, i, false);
        if (like)
            fprintf(out, "=========         and the same in %u other CTA%s\n", like,
                    like > 1 ? "s" : "");
    }
    if (more)
        fprintf(out, "=========     and %u more warps wait\n", more);
}

/* ---- Causes ---- */

static void print_nobody(FILE *out, const KernelReport *k, const DeadWait *w, const char *who)
{
    const MbarHistory *h = &w->seen;
    if (w->kind == OK_GMEM || w->kind == OK_SMEM) {
        fprintf(out, "=========       no code that is still to run writes it\n");
        return;
    }
    fprintf(out, "=========       no code that is still to run %s there%s\n",
            dead_is_mbar(w) && w->arrivals_had == w->arrivals_needed ? "delivers bytes" : "arrives",
            dead_is_mbar(w) && !anybody(&h->ever) ? ", and nobody ever has" : "");
    if (w->there) {
        fprintf(out, "=========       there: ");
        print_warps(out, k, w->there);
        fputc('\n', out);
    }
    if (dead_is_mbar(w) && anybody(&h->ever)) {
        bool now = anybody(&h->arrived);
        fprintf(out, "=========       %s: ",
                now ? "have arrived in this phase" : "have arrived or delivered in earlier phases");
        print_arrivers(out, k, now ? &h->arrived : &h->ever);
        print_op(out, k, "; last at ", h->last_op);
        fputc('\n', out);
    }
    if (w->ended) {
        fprintf(out, "=========       have ended: ");
        print_warps(out, k, w->ended);
        fputc('\n', out);
    }
    if (anybody(&w->suspects)) {
        fprintf(out, "=========       waits for what %s signals, so ought to arrive there: ", who);
        print_arrivers(out, k, &w->suspects);
        fprintf(out, " (a guess)\n");
    }
}

static void print_bytes(FILE *out, const KernelReport *k, const DeadWait *w)
{
    long long by = (long long)(w->bytes_needed - w->bytes_had);
    if (w->cause == DC_BYTES_MORE)
        fprintf(out,
                "=========       everybody has arrived and all copies have come, but %lld more "
                "bytes are expected",
                by);
    else
        fprintf(out,
                "=========       all copies have come, with %lld more bytes than are expected: "
                "%s",
                -by, w->seen.expect_op == OP_NONE ? "expect-tx is missing" : "too little");
    print_op(out, k, ": expect-tx at ", w->seen.expect_op);
    fputc('\n', out);
    if (anybody(&w->seen.delivered)) {
        fprintf(out, "=========       delivered by ");
        print_arrivers(out, k, &w->seen.delivered);
        fputc('\n', out);
    }
}

static void print_cause(FILE *out, const KernelReport *k, const DeadWait *w, uint32_t others)
{
    char object[NAME], who[NAME], at[PLACE];
    dead_object(k->code, w, object, sizeof object);
    place(k, w->insn, at);
    party(k, w, 1, who);
    fprintf(out, "=========   cause: %s", object);
    if (dead_is_mbar(w))
        fprintf(out, ", phase %llu", (unsigned long long)w->seen.phase);
    print_counts(out, w);
    fprintf(out, "\n=========       %s waits for it at %s", who, at);
    if (others)
        fprintf(out, ", and %u more in the same way", others);
    fputc('\n', out);
    switch ((DeadCause)w->cause) {
    case DC_NOBODY:
        print_nobody(out, k, w, who);
        break;
    case DC_BYTES_MORE:
    case DC_BYTES_LESS:
        print_bytes(out, k, w);
        break;
    case DC_COUNT:
        fprintf(out, "=========       everybody who arrives there has arrived in this phase: ");
        print_arrivers(out, k, &w->seen.arrived);
        print_op(out, k, "; the count of arrivals is from ", w->seen.init_op);
        fputc('\n', out);
        break;
    case DC_SELF:
        fprintf(out, "=========       only those who wait for it arrive there, and later than they "
                     "wait\n");
        break;
    case DC_START:
        fprintf(out, "=========       no barrier of the cycle has ever completed a phase: is the "
                     "first wait for the wrong\n=========       parity? A new mbarrier lets a "
                     "wait for parity 1 pass\n");
        break;
    case DC_NONE:
        break;
    }
}

/* The same in another warp or CTA. */
static bool same_cause(const DeadWait *a, const DeadWait *b)
{
    return a->cause == b->cause && a->kind == b->kind && a->addr == b->addr &&
           (a->sync & 0xffffff) == (b->sync & 0xffffff);
}

static void print_causes(FILE *out, const KernelReport *k, const Deadlock *d)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->n_waits && n < MOST_CAUSES; i++) {
        const DeadWait *w = &d->waits[i];
        uint32_t j = 0, others = 0;
        while (j < i && !same_cause(&d->waits[j], w))
            j++;
        if (w->cause == DC_NONE || j < i || (w->cause == DC_START && n++ > 0))
            continue;
        for (j = i + 1; j < d->n_waits; j++)
            others += same_cause(&d->waits[j], w);
        print_cause(out, k, w, others);
        n++;
    }
}

static void print_started(FILE *out, const Deadlock *d)
{
    bool polls = false;
    for (uint32_t i = 0; i < d->n_waits; i++)
        polls |= d->waits[i].kind == OK_GMEM;
    if (polls && d->n_started < d->n_ctas)
        fprintf(out,
                "=========   %u of %u CTAs have started: the others start when these end, so "
                "nothing may wait for them\n",
                d->n_started, d->n_ctas);
}

/* ---- The cycle ---- */

static void print_cycle(FILE *out, const KernelReport *k, const Deadlock *d)
{
    char object[NAME], who[NAME];
    fprintf(out, "=========   wait-for cycle: ");
    for (uint32_t i = 0; i < d->n_cycle; i++) {
        const DeadWait *w = &d->waits[d->cycle[i]];
        dead_object(k->code, w, object, sizeof object);
        party(k, w, 1, who);
        bool guess = d->suspected && i == 0;
        bool may = !guess && w->next < w->n_edges && w->edges[w->next].how & DE_MAY;
        fprintf(out, "%s -[%s%s]-> ", who, object,
                guess ? ": arrival missing"
                : may ? ": may arrive"
                      : "");
    }
    party(k, &d->waits[d->cycle[0]], 1, who);
    fprintf(out, "%s\n", who);
    if (d->suspected)
        fprintf(out, "=========     no code closes it: its first step is a guess\n");
}

/* From a wait along `next` to its cause. */
static void print_chain(FILE *out, const KernelReport *k, const Deadlock *d)
{
    char object[NAME], who[NAME];
    uint32_t at = 0, steps = 0;
    while (at < d->n_waits && d->waits[at].next == OP_NONE)
        at++;
    if (at == d->n_waits)
        return;
    fprintf(out, "=========   wait-for chain: ");
    for (;; steps++) {
        const DeadWait *w = &d->waits[at];
        dead_object(k->code, w, object, sizeof object);
        party(k, w, 1, who);
        fprintf(out, "%s -[%s]-> ", who, object);
        if (w->next == OP_NONE || steps == d->n_waits)
            break;
        at = w->edges[w->next].to;
    }
    fprintf(out, d->waits[at].cause == DC_NOBODY ? "nobody\n" : "?\n");
}

void report_deadlock(FILE *out, const KernelReport *k, const Deadlock *d)
{
    char name[256];
    fprintf(out, "========= Deadlock in %s: no warp can move, no operation is in flight\n",
            cxx_name(name, sizeof name, k->kernel));
    print_causes(out, k, d);
    print_started(out, d);
    if (d->n_cycle)
        print_cycle(out, k, d);
    else
        print_chain(out, k, d);
    print_waits(out, k, d);
}
