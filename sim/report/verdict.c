/* What limits a run, from its counters. Nothing here is a model of its own: "only this unit" is the
 * time core's work / throughput of that unit, waits are its parked cycles. */
#include "sim/report/report.h"

#include <stdarg.h>
#include <string.h>

WarpStat report_role(const KernelReport *k, const ReportRole *role)
{
    WarpStat s = {0};
    for (uint32_t w = 0; w < k->sim->n_warps; w++) {
        if (!(role->warps >> w & 1))
            continue;
        const WarpStat *x = &k->sim->warps[w];
        s.issued += x->issued;
        s.resident += x->resident;
        for (int i = 0; i < ST_COUNT; i++)
            s.stall[i] += x->stall[i];
        for (int i = 0; i < U_COUNT; i++)
            s.ops[i] += x->ops[i];
    }
    return s;
}

Total report_total(const Report *r)
{
    Total t = {0};
    for (uint32_t i = 0; i < r->n_kernels; i++) {
        const KernelReport *k = &r->kernels[i];
        if (!k->sim)
            continue;
        t.cycles += k->sim->cycles;
        t.flops += k->flops;
    }
    if (t.cycles)
        t.time_us = (double)t.cycles / r->model->v[MP_CLOCK_GHZ] * 1e-3;
    t.tflops = t.time_us > 0 ? t.flops / t.time_us * 1e-6 : 0;
    return t;
}

void report_sync_name(uint32_t sync, char *text, size_t n)
{
    if (sync >= 0xc0000000u)
        snprintf(text, n, "other");
    else if (sync & 0x80000000u)
        snprintf(text, n, "barrier %u", sync & 0x7fffffffu);
    else
        snprintf(text, n, "mbarrier 0x%x", sync);
}

void report_roles_of(const KernelReport *k, uint32_t warps, char *text, size_t n)
{
    size_t len = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < k->n_roles && len < n; i++)
        if (k->roles[i].warps & warps)
            len += (size_t)snprintf(text + len, n - len, "%s%s", len ? ", " : "", k->roles[i].name);
    if (!len)
        snprintf(text, n, "nobody");
}

static bool is_mma(uint8_t kind)
{
    return kind == OK_MMA || kind == OK_WGMMA;
}

/* MMAs that one trip of the backward branch at insn i issues, and how often it was taken. */
static bool loop_at(const KernelReport *k, uint32_t i, uint64_t *mmas, uint64_t *trips)
{
    const Code *c = k->code;
    const CodeInsn *in = &c->insns[i];
    if (in->opinfo == OP_NONE || c->ops[in->opinfo].kind != OK_BRANCH || in->target > i)
        return false;
    *mmas = 0;
    for (uint32_t b = in->target; b < i; b++)
        *mmas += c->insns[b].opinfo != OP_NONE && is_mma(c->ops[c->insns[b].opinfo].kind) &&
                 k->sim->pc_issues[c->insns[b].opinfo] > 0;
    *trips = k->sim->pc_issues[in->opinfo];
    return *mmas && *trips;
}

/* The main loop: among the loops that issue at least two fifths of all tensor operations (prologue
 * and tail of a pipelined loop hold the rest), the one with the fewest MMAs a trip. A step is that
 * many MMAs on the tensor core of an SM, wherever issued: one trip of a warp that issues
 * tcgen05.mma, of its pair, or of a warpgroup that issues wgmma. */
static void find_step(const KernelReport *k, Verdict *v)
{
    const SimResult *s = k->sim;
    uint64_t all = s->tclass_ops[TC_MMA] + s->tclass_ops[TC_WGMMA], best = UINT64_MAX, mmas, trips;
    for (uint32_t i = 0; i < k->code->n_insns; i++) {
        if (!loop_at(k, i, &mmas, &trips) || 5 * mmas * trips < 2 * all || mmas >= best)
            continue;
        best = mmas;
        v->steps = (double)s->sm_mmas / (double)mmas;
        v->step_mmas = (double)mmas;
        v->step_line = k->code->func->insns[k->code->insns[k->code->insns[i].target].ptx].loc.line;
    }
    if (v->steps > 0)
        v->cycles_per_step = (double)s->cycles * s->sms_simulated / v->steps;
}

static void say(Verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(Verdict *v, const char *fmt, ...)
{
    size_t n = strlen(v->text);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(v->text + n, sizeof v->text - n, fmt, ap);
    va_end(ap);
}

static void say_limit(const KernelReport *k, Verdict *v)
{
    const SimResult *s = k->sim;
    double cycles = s->cycles ? (double)s->cycles : 1, first = s->only_limit[v->limit] / cycles;
    double second = s->only_limit[v->second] / cycles;
    if (first > 1.001)
        say(v,
            "%s limits: its work takes %.0f %% of the run's time; what is over (L2 still to be "
            "written back) "
            "is left when the kernel ends.",
            unit_name[v->limit], 100 * first);
    else if (first >= 0.85)
        say(v, "%s limits: its work alone fills %.0f %% of the run.", unit_name[v->limit],
            100 * first);
    else if (first >= 0.5)
        say(v,
            "%s comes nearest to limiting: its work alone fills %.0f %% of the run; the rest is "
            "waiting between roles, fill and drain.",
            unit_name[v->limit], 100 * first);
    else
        say(v,
            "No unit limits: the busiest, %s, has work for %.0f %% of the run; latencies and waits "
            "between roles decide.",
            unit_name[v->limit], 100 * first);
    say(v, " Runner-up: %s, %.0f %%.", unit_name[v->second], 100 * second);
    if (v->steps > 0) {
        double per_step = s->sms_simulated / v->steps;
        say(v,
            "\nA step (one trip of the main loop at PTX line %u, %.0f MMAs) takes %.0f cycles of "
            "an SM; if "
            "only %s limited: %.0f, if only %s: %.0f.",
            v->step_line, v->step_mmas, v->cycles_per_step, unit_name[v->limit],
            s->only_limit[v->limit] * per_step, unit_name[v->second],
            s->only_limit[v->second] * per_step);
    }
}

/* For each role the object it waits for longest, if that is a tenth of its time or more. */
static void say_waits(const KernelReport *k, Verdict *v)
{
    const SimResult *s = k->sim;
    for (uint32_t r = 0; r < k->n_roles; r++) {
        WarpStat role = report_role(k, &k->roles[r]);
        uint64_t best = 0, waits = 0;
        uint32_t sync = 0, signallers = 0;
        for (uint32_t i = 0; i < s->n_waits; i++) {
            uint64_t cycles = 0, n = 0;
            uint32_t who = 0;
            for (uint32_t j = 0; j < s->n_waits; j++)
                if (s->waits[j].sync == s->waits[i].sync &&
                    (k->roles[r].warps >> s->waits[j].warp & 1)) {
                    cycles += s->waits[j].cycles;
                    n += s->waits[j].waits;
                    who |= s->waits[j].signallers;
                }
            if (cycles > best) {
                best = cycles;
                waits = n;
                sync = s->waits[i].sync;
                signallers = who;
            }
        }
        if (!role.resident || (double)best < 0.1 * (double)role.resident)
            continue;
        char name[64], who[128];
        report_sync_name(sync, name, sizeof name);
        report_roles_of(k, signallers, who, sizeof who);
        if (sync >= 0xc0000000u) {
            say(v,
                "\n%s waits %.0f %% of its time for groups of copies, the cluster barrier or "
                "resources, %.0f cycles each time.",
                k->roles[r].name, 100 * (double)best / (double)role.resident,
                waits ? (double)best / (double)waits : 0);
            continue;
        }
        say(v, "\n%s waits %.0f %% of its time for %s (from %s), %.0f cycles each time.",
            k->roles[r].name, 100 * (double)best / (double)role.resident, name, who,
            waits ? (double)best / (double)waits : 0);
    }
}

void report_verdict(const Report *r, const KernelReport *k, Verdict *v)
{
    *v = (Verdict){0};
    const SimResult *s = k->sim;
    const double *m = r->model->v;
    v->clock_ghz = m[MP_CLOCK_GHZ];
    v->time_us = (double)s->cycles / v->clock_ghz * 1e-3;
    v->peak_tflops = m[MP_GPU_SMS] * m[MP_TENSOR_F16] * v->clock_ghz * 1e-3;
    v->tflops = v->time_us > 0 ? k->flops / v->time_us * 1e-6 : 0;
    v->pct_of_peak = 100 * v->tflops / v->peak_tflops;
    v->limit = U_TENSOR;
    for (int u = 0; u < U_COUNT; u++)
        if (s->only_limit[u] > s->only_limit[v->limit])
            v->limit = (Unit)u;
    v->second = v->limit == 0 ? (Unit)1 : (Unit)0;
    for (int u = 0; u < U_COUNT; u++)
        if (u != (int)v->limit && s->only_limit[u] > s->only_limit[v->second])
            v->second = (Unit)u;
    find_step(k, v);
    say_limit(k, v);
    say_waits(k, v);
}
