/* The report for programs: schema rao.run/1 (docs/schema.md). Keys are only ever added. */
#include "sim/report/deadlock.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

static json_t *real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}
static void put(json_t *o, const char *key, json_t *v)
{
    json_object_set_new(o, key, v);
}
static json_t *dim3(const uint32_t d[3])
{
    return json_pack("[i,i,i]", (int)d[0], (int)d[1], (int)d[2]);
}
static json_t *count(uint64_t v)
{
    return json_integer((json_int_t)v);
}

static json_t *stalls(const WarpStat *s)
{
    json_t *o = json_object();
    for (int i = 0; i < ST_COUNT; i++)
        put(o, stall_name[i],
            real(s->resident ? 100 * (double)s->stall[i] / (double)s->resident : 0));
    return o;
}

static double issue_pct(const WarpStat *s)
{
    return s->resident ? 100 * (double)s->issued / (double)s->resident : 0;
}

static json_t *roles(const KernelReport *k, WarpStat *all)
{
    json_t *o = json_object();
    for (uint32_t i = 0; i < k->n_roles; i++) {
        WarpStat s = report_role(k, &k->roles[i]);
        json_t *role = json_object(), *waits = json_array();
        put(role, "warps", json_integer(__builtin_popcountll(k->roles[i].warps)));
        put(role, "issue_pct", real(issue_pct(&s)));
        put(role, "stalls", stalls(&s));
        for (uint32_t w = 0; w < k->sim->n_waits; w++) {
            const WaitStat *x = &k->sim->waits[w];
            char name[64], who[128];
            if (!(k->roles[i].warps >> x->warp & 1))
                continue;
            report_sync_name(x->sync, name, sizeof name);
            report_roles_of(k, x->signallers, who, sizeof who);
            json_array_append_new(waits, json_pack("{s:i,s:s,s:o,s:o,s:s}", "warp", (int)x->warp,
                                                   "object", name, "waits", count(x->waits),
                                                   "cycles", count(x->cycles), "from", who));
        }
        put(role, "waits", waits);
        put(o, k->roles[i].name, role);
        all->issued += s.issued;
        all->resident += s.resident;
        for (int r = 0; r < ST_COUNT; r++)
            all->stall[r] += s.stall[r];
    }
    return o;
}

static void put_sim(json_t *o, const Report *r, const KernelReport *k)
{
    const SimResult *s = k->sim;
    Verdict v;
    report_verdict(r, k, &v);
    put(o, "clock_ghz", real(v.clock_ghz));
    put(o, "cycles", count(s->cycles));
    put(o, "time_us", real(v.time_us));
    put(o, "flops", real(k->flops));
    put(o, "tflops", real(v.tflops));
    put(o, "peak_tflops", real(v.peak_tflops));
    put(o, "pct_of_peak", real(v.pct_of_peak));
    put(o, "sms_simulated", count(s->sms_simulated));
    put(o, "ctas_simulated", count(s->ctas_simulated));
    put(o, "ctas_total", count(s->ctas_total));
    put(o, "warp_insts", count(s->warp_insts));
    put(o, "registers", count(k->code->n_slots));
    json_t *ops = json_object(), *units = json_object(), *only = json_object(),
           *classes = json_object();
    for (int u = 0; u < U_COUNT; u++) {
        put(ops, unit_name[u], count(s->units[u].ops));
        put(units, unit_name[u],
            json_pack("{s:o,s:o,s:o}", "busy_pct",
                      real(s->cycles ? 100 * s->units[u].busy / (double)s->cycles : 0), "peak",
                      real(s->units[u].peak), "achieved", real(s->units[u].work)));
        put(only, unit_name[u], real(s->only_limit[u]));
    }
    for (int t = 0; t < TC_COUNT; t++)
        if (s->tclass_ops[t])
            put(classes, tclass_name[t], count(s->tclass_ops[t]));
    put(o, "ops", ops);
    put(o, "op_classes", classes);
    put(o, "units", units);
    WarpStat all = {0};
    put(o, "roles", roles(k, &all));
    put(o, "issue_pct", real(issue_pct(&all)));
    put(o, "stalls", stalls(&all));
    put(o, "bottleneck",
        json_pack("{s:s,s:s,s:s,s:o}", "unit", unit_name[v.limit], "second", unit_name[v.second],
                  "text", v.text, "only_limit", only));
    put(o, "step",
        json_pack("{s:o,s:i,s:o,s:o}", "trips", real(v.steps), "line", (int)v.step_line, "cycles",
                  real(v.cycles_per_step), "mmas", real(v.step_mmas)));
    put(o, "memory",
        json_pack("{s:{s:o,s:o,s:o,s:o},s:o,s:o,s:o}", "smem_bytes", "lds",
                  count(s->smem_bytes_lds), "sts", count(s->smem_bytes_sts), "tma",
                  count(s->smem_bytes_tma), "mma", count(s->smem_bytes_mma), "bank_conflicts",
                  count(s->bank_conflicts), "l2_bytes", count(s->l2_bytes), "dram_bytes",
                  count(s->dram_bytes)));
}

static void put_functional(json_t *o, const KernelReport *k)
{
    put(o, "flops", real(k->flops));
    put(o, "ctas_simulated", count(k->run.ctas));
    put(o, "warp_insts", count(k->run.warp_insts));
    put(o, "thread_insts", count(k->run.thread_insts));
}

static void put_kernel(json_t *o, const Report *r, const KernelReport *k)
{
    put(o, "kernel", json_string(k->kernel));
    put(o, "grid", dim3(k->grid));
    put(o, "block", dim3(k->block));
    put(o, "cluster", dim3(k->cluster));
    if (k->sim)
        put_sim(o, r, k);
    else
        put_functional(o, k);
}

/* Of all launches, one after the other. */
static void put_total(json_t *o, const Report *r)
{
    Total t = report_total(r);
    put(o, "clock_ghz", real(r->model->v[MP_CLOCK_GHZ]));
    put(o, "cycles", count(t.cycles));
    put(o, "time_us", real(t.time_us));
    put(o, "flops", real(t.flops));
    put(o, "tflops", real(t.tflops));
}

char *report_json(const Report *r)
{
    json_t *o = json_object();
    put(o, "schema", json_string("rao.run/1"));
    put(o, "version", json_string(RAO_VERSION));
    put(o, "source", json_string(r->source));
    if (r->model) {
        char hash[20];
        snprintf(hash, sizeof hash, "%016llx", (unsigned long long)r->model->hash);
        put(o, "model", json_string(r->model->name));
        put(o, "model_hash", json_string(hash));
        put(o, "assumed_parameters", json_integer(model_assumed_count(r->model)));
    }
    if (r->recorded_cycles)
        put(o, "recorded",
            json_pack("{s:s,s:o}", "model", r->recorded_model, "cycles",
                      count(r->recorded_cycles)));
    uint64_t warp_insts = 0;
    json_t *list = json_array();
    for (uint32_t i = 0; i < r->n_kernels; i++) {
        const KernelReport *k = &r->kernels[i];
        json_t *one = r->n_kernels == 1 ? json_incref(o) : json_object();
        put_kernel(one, r, k);
        warp_insts += k->sim ? k->sim->warp_insts : k->run.warp_insts;
        if (r->n_kernels > 1)
            json_array_append_new(list, one);
        else
            json_decref(one);
    }
    if (r->n_kernels > 1) {
        put_total(o, r);
        put(o, "launches", json_incref(list));
    }
    json_decref(list);
    json_t *checks = json_array(), *faults = json_array();
    for (uint32_t i = 0; i < r->n_checks; i++) {
        const CheckResult *c = &r->checks[i];
        json_array_append_new(
            checks, json_pack("{s:s,s:s,s:o,s:o,s:o,s:b}", "tensor", c->tensor, "reference",
                              c->reference, "rel_err", real(c->rel_err), "max_rel_err",
                              real(c->max_rel_err), "share", real(c->share), "pass", (int)c->pass));
    }
    put(o, "checks", checks);
    json_t *outputs = json_object();
    for (uint32_t i = 0; i < r->n_outputs; i++) {
        char hash[20];
        snprintf(hash, sizeof hash, "%016llx", (unsigned long long)r->outputs[i].hash);
        put(outputs, r->outputs[i].name, json_string(hash));
    }
    put(o, "outputs", outputs);
    if (r->err && r->err->kind != ERR_NONE)
        json_array_append_new(faults, json_pack("{s:s,s:i,s:s}", "file",
                                                r->err->loc.file ? r->err->loc.file : "", "line",
                                                (int)r->err->loc.line, "message", r->err->msg));
    put(o, "faults", faults);
    if (r->checker)
        put(o, "findings", findings_json(r->checker));
    if (r->dead && r->n_kernels)
        put(o, "deadlock", deadlock_json(&r->kernels[r->n_kernels - 1], r->dead));
    put(o, "host",
        json_pack("{s:o,s:o,s:o}", "seconds", real(r->host_seconds), "run_seconds",
                  real(r->run_seconds), "warp_insts_per_s",
                  real(r->run_seconds > 0 ? (double)warp_insts / r->run_seconds : 0)));
    char *text = json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(o);
    return text;
}
