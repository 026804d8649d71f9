/* The report on a terminal: one screen. */
#include "sim/report/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "isa/cxx.h"

/* 1234567 -> "1,234,567" */
static const char *commas(double v, char text[40])
{
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%.0f", v), o = 0;
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            text[o++] = ',';
        text[o++] = digits[i];
    }
    text[o] = 0;
    return text;
}

static void print_checks(FILE *out, const Report *r)
{
    for (uint32_t i = 0; i < r->n_checks; i++) {
        const CheckResult *c = &r->checks[i];
        fprintf(out, "check     %s = %s: relative error %.2e (limit %.0e)", c->tensor, c->reference,
                c->rel_err, c->max_rel_err);
        if (c->share < 1)
            fprintf(out, ", on the %.1f %% that the simulated CTAs wrote", 100 * c->share);
        if (c->n_nan)
            fprintf(out, ", %" PRIu64 " NaN", c->n_nan);
        fprintf(out, ": %s\n", c->pass ? "pass" : "FAIL");
    }
    if (!r->checked && (!r->err || r->err->kind == ERR_NONE))
        fprintf(out, "check     none\n");
}

static void print_head(FILE *out, const Report *r, const KernelReport *k, const Verdict *v)
{
    const SimResult *s = k->sim;
    char a[40], name[256];
    fprintf(out, "kernel    %s, grid %u x %u x %u, block %u x %u x %u\n",
            cxx_name(name, sizeof name, k->kernel), k->grid[0], k->grid[1], k->grid[2], k->block[0],
            k->block[1], k->block[2]);
    fprintf(out,
            "machine   %s: %.0f SMs, %.3f GHz; %u SM%s simulated in detail, %u of %u CTAs; %u of "
            "%d parameters assumed\n",
            r->model->name, r->model->v[MP_GPU_SMS], v->clock_ghz, s->sms_simulated,
            s->sms_simulated == 1 ? "" : "s", s->ctas_simulated, s->ctas_total,
            model_assumed_count(r->model), (int)MP_COUNT);
    fprintf(out, "time      %s cycles = %.2f us", commas((double)s->cycles, a), v->time_us);
    if (k->flops > 0)
        fprintf(out,
                "; %.1f TFLOP/s = %.1f %% of %.0f (dense 16-bit peak of all SMs at this clock)",
                v->tflops, v->pct_of_peak, v->peak_tflops);
    fputc('\n', out);
    if (r->recorded_cycles) {
        double change = 100 * ((double)s->cycles / (double)r->recorded_cycles - 1);
        fprintf(out, "recorded  %s cycles on %s: %+.1f %% now\n",
                commas((double)r->recorded_cycles, a), r->recorded_model, change);
    }
}

static void print_units(FILE *out, const KernelReport *k, const Verdict *v)
{
    const SimResult *s = k->sim;
    double per_step = v->steps > 0 ? s->sms_simulated / v->steps : 0;
    fprintf(out, "\nSpeed of light     ops      busy   if only it limited%s\n",
            per_step > 0 ? "   cycles a step" : "");
    for (int u = 0; u < U_COUNT; u++) {
        char ops[40], cycles[40];
        if (!s->units[u].ops && s->only_limit[u] < 1)
            continue;
        double share = s->cycles ? 100 * s->only_limit[u] / (double)s->cycles : 0;
        fprintf(out, "  %-8s %13s %6.1f %% %12s = %3.0f %%", unit_name[u],
                commas((double)s->units[u].ops, ops),
                s->cycles ? 100 * s->units[u].busy / (double)s->cycles : 0,
                commas(s->only_limit[u], cycles), share);
        if (per_step > 0)
            fprintf(out, " %14.0f", s->only_limit[u] * per_step);
        fputs(u == (int)v->limit ? "  <- limit\n" : "\n", out);
    }
}

/* Reasons from the largest down, those under half a percent summed up as "rest". */
static void print_reasons(FILE *out, const WarpStat *s)
{
    bool done[ST_COUNT] = {false};
    double rest = 0, total = s->resident ? (double)s->resident : 1;
    for (int n = 0; n < ST_COUNT; n++) {
        int best = -1;
        for (int i = 0; i < ST_COUNT; i++)
            if (!done[i] && (best < 0 || s->stall[i] > s->stall[best]))
                best = i;
        done[best] = true;
        double pct = 100 * (double)s->stall[best] / total;
        if (pct >= 0.5)
            fprintf(out, "  %s %.1f", stall_name[best], pct);
        else
            rest += pct;
    }
    if (rest > 0)
        fprintf(out, "  rest %.1f", rest);
    fputc('\n', out);
}

static void print_roles(FILE *out, const KernelReport *k)
{
    fprintf(out, "\nRoles (%% of the warps' time)\n  %-12s warps  issue  stalls\n", "");
    for (uint32_t i = 0; i < k->n_roles; i++) {
        WarpStat s = report_role(k, &k->roles[i]);
        fprintf(out, "  %-12s %5d %6.1f ", k->roles[i].name,
                __builtin_popcountll(k->roles[i].warps),
                s.resident ? 100 * (double)s.issued / (double)s.resident : 0);
        print_reasons(out, &s);
    }
}

static void print_memory(FILE *out, const KernelReport *k)
{
    const SimResult *s = k->sim;
    double mib = 1.0 / (1 << 20);
    fprintf(out,
            "\nMemory    shared: MMA %.1f, TMA %.1f, LDS %.1f, STS %.1f MiB, %" PRIu64
            " extra passes by bank conflicts; L2 %.1f, HBM %.1f MiB\n",
            (double)s->smem_bytes_mma * mib, (double)s->smem_bytes_tma * mib,
            (double)s->smem_bytes_lds * mib, (double)s->smem_bytes_sts * mib, s->bank_conflicts,
            (double)s->l2_bytes * mib, (double)s->dram_bytes * mib);
}

static void print_kernel(FILE *out, const Report *r, const KernelReport *k)
{
    if (!k->sim) {
        char name[256];
        fprintf(out,
                "kernel    %s, grid %u x %u x %u, block %u x %u x %u; %" PRIu64
                " CTAs run without time, %.1f M thread instructions\n",
                cxx_name(name, sizeof name, k->kernel), k->grid[0], k->grid[1], k->grid[2],
                k->block[0], k->block[1], k->block[2], k->run.ctas,
                (double)k->run.thread_insts * 1e-6);
        return;
    }
    Verdict v;
    report_verdict(r, k, &v);
    print_head(out, r, k, &v);
    print_units(out, k, &v);
    print_roles(out, k);
    print_memory(out, k);
    fprintf(out, "\nVerdict   ");
    for (const char *p = v.text; *p; p++) {
        fputc(*p, out);
        if (*p == '\n')
            fprintf(out, "          ");
    }
    fprintf(out, "\n\n");
}

void report_text(FILE *out, const Report *r)
{
    fprintf(out, "rao " RAO_VERSION "  %s\n", r->source);
    if (!r->err || r->err->kind == ERR_NONE)
        for (uint32_t i = 0; i < r->n_kernels; i++)
            print_kernel(out, r, &r->kernels[i]);
    if (r->dead && r->n_kernels)
        report_deadlock(out, &r->kernels[r->n_kernels - 1], r->dead);
    if (r->checker)
        checker_print(r->checker, out);
    Total t = report_total(r);
    if (r->n_kernels > 1 && t.cycles) {
        char a[40];
        fprintf(out, "total     %s cycles = %.2f us", commas((double)t.cycles, a), t.time_us);
        if (t.flops > 0)
            fprintf(out, "; %.1f TFLOP/s", t.tflops);
        fputc('\n', out);
    }
    print_checks(out, r);
    fprintf(out, "host      %.2f s\n", r->host_seconds);
}
