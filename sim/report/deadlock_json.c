/* A deadlock in JSON: docs/schema.md. */
#include <string.h>

#include "sim/report/deadlock.h"

static const char *const cause_name[] = {
    [DC_NONE] = NULL,
    [DC_NOBODY] = "nobody-arrives",
    [DC_BYTES_MORE] = "bytes-missing",
    [DC_BYTES_LESS] = "bytes-unexpected",
    [DC_COUNT] = "count-too-large",
    [DC_SELF] = "arrives-after-wait",
    [DC_START] = "no-phase-completed",
};

static void put(json_t *o, const char *key, json_t *value)
{
    json_object_set_new(o, key, value);
}

/* "line", and "source" where the PTX has .loc. */
static void put_place(const KernelReport *k, json_t *o, uint32_t insn)
{
    const Insn *in = &k->code->func->insns[k->code->insns[insn].ptx];
    put(o, "line", json_integer(in->loc.line));
    if (in->src_file && in->src_file < k->code->module->n_files)
        put(o, "source",
            json_pack("{s:s,s:i}", "file", k->code->module->files[in->src_file], "line",
                      (int)in->src_line));
}

static void put_op(const KernelReport *k, json_t *o, const char *key, uint32_t op)
{
    if (op == OP_NONE)
        return;
    json_t *at = json_object();
    put_place(k, at, k->code->ops[op].insn);
    put(o, key, at);
}

static json_t *warps_json(uint64_t warps)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < 64; i++)
        if (warps >> i & 1)
            json_array_append_new(list, json_integer(i));
    return list;
}

static json_t *edge_json(const KernelReport *k, const Deadlock *d, const DeadEdge *e)
{
    const DeadWait *to = &d->waits[e->to];
    json_t *learnt = json_array();
    json_t *o =
        json_pack("{s:s,s:i,s:i,s:o,s:b}", "role", dead_role(k, to->warp), "cta", (int)to->cta,
                  "warp", (int)to->warp, "learnt", learnt, "certain", !(e->how & DE_MAY));
    if (e->how & DE_RUN)
        json_array_append_new(learnt, json_string("run"));
    if (e->how & DE_CODE)
        json_array_append_new(learnt, json_string("code"));
    if (e->insn != OP_NONE)
        put_place(k, o, e->insn);
    return o;
}

static json_t *last_arrival(const KernelReport *k, const MbarHistory *h)
{
    json_t *o = json_pack("{s:s,s:i,s:i}", "role", dead_role(k, h->last_warp), "warp",
                          (int)h->last_warp, "cta_rank", (int)h->last_rank);
    if (h->last_op != OP_NONE)
        put_place(k, o, k->code->ops[h->last_op].insn);
    return o;
}

static void put_history(const KernelReport *k, json_t *o, const MbarHistory *h)
{
    put(o, "phases_completed", json_integer((json_int_t)h->phase));
    put(o, "arrived", warps_json(h->arrived.own));
    put(o, "delivered", warps_json(h->delivered.own));
    put_op(k, o, "initialised", h->init_op);
    put_op(k, o, "expect_tx", h->expect_op);
    if (h->last_warp != NO_WARP)
        put(o, "last_arrival", last_arrival(k, h));
}

static json_t *wait_json(const KernelReport *k, const Deadlock *d, const DeadWait *w)
{
    char object[160];
    json_t *edges = json_array();
    dead_object(k->code, w, object, sizeof object);
    json_t *o =
        json_pack("{s:s,s:i,s:i,s:i,s:s,s:i,s:{s:i,s:i},s:{s:I,s:I}}", "role",
                  dead_role(k, w->warp), "cta", (int)w->cta, "warp", (int)w->warp, "pc",
                  (int)w->insn, "barrier", object, "phase", dead_is_mbar(w) ? (int)w->parity : 0,
                  "arrivals", "had", (int)w->arrivals_had, "needed", (int)w->arrivals_needed,
                  "bytes", "had", (json_int_t)w->bytes_had, "needed", (json_int_t)w->bytes_needed);
    put_place(k, o, w->insn);
    if (dead_is_mbar(w) && w->seen.init_op != OP_NONE)
        put_history(k, o, &w->seen);
    for (uint32_t i = 0; i < w->n_edges; i++)
        json_array_append_new(edges, edge_json(k, d, &w->edges[i]));
    put(o, "ended_by", edges);
    put(o, "code_followed", json_boolean(w->followed));
    if (w->cause != DC_NONE)
        put(o, "cause", json_string(cause_name[w->cause]));
    return o;
}

static json_t *step_json(const KernelReport *k, const Deadlock *d, uint32_t i)
{
    const DeadWait *w = &d->waits[d->cycle[i]];
    char object[160];
    dead_object(k->code, w, object, sizeof object);
    json_t *o = json_pack("{s:s,s:i,s:i,s:s}", "role", dead_role(k, w->warp), "cta", (int)w->cta,
                          "warp", (int)w->warp, "barrier", object);
    put_place(k, o, w->insn);
    if (d->suspected && i == 0)
        put(o, "guess", json_true());
    else if (w->next < w->n_edges)
        put(o, "ended_by", edge_json(k, d, &w->edges[w->next]));
    return o;
}

json_t *deadlock_json(const KernelReport *k, const Deadlock *d)
{
    json_t *waits = json_array(), *cycle = json_array();
    for (uint32_t i = 0; i < d->n_waits; i++)
        json_array_append_new(waits, wait_json(k, d, &d->waits[i]));
    for (uint32_t i = 0; i < d->n_cycle; i++)
        json_array_append_new(cycle, step_json(k, d, i));
    json_t *o =
        json_pack("{s:I,s:o,s:o}", "at_cycle", (json_int_t)d->at, "waits", waits, "cycle", cycle);
    if (d->n_ctas)
        put(o, "ctas_started", json_integer(d->n_started));
    return o;
}
