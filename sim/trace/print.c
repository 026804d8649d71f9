#include "sim/trace/reader.h"

#include <inttypes.h>

static const char *const kind_name[OK_COUNT] = {
    [OK_PLAIN] = "plain",
    [OK_SKIPPED] = "skipped",
    [OK_BRANCH] = "branch",
    [OK_EXIT] = "exit",
    [OK_SMEM] = "smem",
    [OK_GMEM] = "gmem",
    [OK_TMEM] = "tmem",
    [OK_WAIT_ST] = "wait_st",
    [OK_MMA] = "mma",
    [OK_WGMMA] = "wgmma",
    [OK_WGMMA_COMMIT] = "wgmma_commit",
    [OK_WGMMA_WAIT] = "wgmma_wait",
    [OK_COMMIT] = "commit",
    [OK_TMEM_CP] = "tmem_cp",
    [OK_TMA_LOAD] = "tma_load",
    [OK_TMA_STORE] = "tma_store",
    [OK_TMA_PREFETCH] = "tma_prefetch",
    [OK_BULK_COMMIT] = "bulk_commit",
    [OK_BULK_WAIT] = "bulk_wait",
    [OK_CPASYNC] = "cp_async",
    [OK_CPASYNC_COMMIT] = "cp_async_commit",
    [OK_CPASYNC_WAIT] = "cp_async_wait",
    [OK_CPASYNC_ARRIVE] = "cp_async_arrive",
    [OK_MBAR_INIT] = "mbar_init",
    [OK_MBAR_INVAL] = "mbar_inval",
    [OK_MBAR_ARRIVE] = "mbar_arrive",
    [OK_MBAR_TX] = "mbar_tx",
    [OK_MBAR_WAIT] = "mbar_wait",
    [OK_MBAR_TEST] = "mbar_test",
    [OK_BAR_SYNC] = "bar_sync",
    [OK_BAR_ARRIVE] = "bar_arrive",
    [OK_CLUSTER_ARRIVE] = "cluster_arrive",
    [OK_CLUSTER_WAIT] = "cluster_wait",
    [OK_TMEM_ALLOC] = "tmem_alloc",
    [OK_TMEM_DEALLOC] = "tmem_dealloc",
    [OK_TMEM_RELINQUISH] = "tmem_relinquish",
    [OK_SETMAXNREG] = "setmaxnreg",
    [OK_FENCE] = "fence",
    [OK_NANOSLEEP] = "nanosleep",
    [OK_GRIDDEP] = "griddep",
    [OK_FAULT] = "fault",
    [OK_CANCEL] = "cancel",
    [OK_REMOTE] = "remote",
};

typedef struct Printer {
    Front front; /* first: a Front * is a Printer * */
    Front *inner;
    const Trace *trace;
    FILE *out;
    TraceFilter filter;
    uint32_t *cta;  /* by slot */
    OpRun *pending; /* by slot and warp: plain operations not yet printed */
} Printer;

static const char *role_of(const Printer *p, uint32_t warp)
{
    const TraceHeader *h = &p->trace->header;
    for (uint32_t i = 0; i < h->n_roles; i++)
        if (h->roles[i].warps >> warp & 1)
            return h->roles[i].name;
    return "-";
}

static void print_op(const Printer *p, uint32_t slot, uint32_t warp, uint32_t info,
                     const char *cycle, const Op *op)
{
    const Code *c = p->front.code;
    fprintf(p->out, "%s\t%u\t%u\t%s\t%u\t%s\t%s", cycle, p->cta[slot], warp, role_of(p, warp),
            c->func->insns[c->insns[info].ptx].loc.line, op_row[c->insns[info].op].id,
            unit_name[c->ops[info].unit]);
    if (op) {
        fprintf(p->out, "\t%s", kind_name[op->kind]);
        const struct {
            const char *name;
            uint64_t value;
        } fields[] = {{"sync", op->sync},        {"arg0", op->arg0},   {"arg1", op->arg1},
                      {"bytes", op->bytes},      {"waves", op->waves}, {"addr", op->addr},
                      {"async", op->handle != 0}};
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
            if (fields[i].value)
                fprintf(p->out, " %s=0x%" PRIx64, fields[i].name, fields[i].value);
    }
    fputc('\n', p->out);
}

static bool pr_cta_start(Front *f, uint32_t slot, uint32_t cta, Err *err)
{
    Printer *p = (Printer *)f;
    p->cta[slot] = cta;
    return p->inner->ops->cta_start(p->inner, slot, cta, err);
}

static void pr_next(Front *f, uint32_t slot, uint32_t warp, OpRun *run)
{
    Printer *p = (Printer *)f;
    p->inner->ops->next(p->inner, slot, warp, run);
    p->pending[slot * f->n_warps + warp] = *run;
}

static uint32_t pr_exec(Front *f, uint32_t slot, uint32_t warp, Cycle now, Op ops[OP_BURST],
                        Err *err)
{
    Printer *p = (Printer *)f;
    uint32_t n = p->inner->ops->exec(p->inner, slot, warp, now, ops, err);
    const TraceFilter *k = &p->filter;
    if ((k->cta >= 0 && k->cta != p->cta[slot]) || !(k->warps >> warp & 1) || now < k->first ||
        now > k->last)
        return n;
    const OpRun *run = &p->pending[slot * f->n_warps + warp];
    for (uint32_t i = 0; i < run->n; i++)
        print_op(p, slot, warp, run->first + i, "", NULL);
    char cycle[24];
    snprintf(cycle, sizeof cycle, "%" PRIu64, now);
    for (uint32_t i = 0; i < n; i++)
        print_op(p, slot, warp, ops[i].info, cycle, &ops[i]);
    return n;
}

static bool pr_async(Front *f, uint32_t slot, uint32_t handle, AsyncStep step, Err *err)
{
    Front *in = ((Printer *)f)->inner;
    return in->ops->async(in, slot, handle, step, err);
}

static uint64_t *pr_mbar(Front *f, uint32_t slot, uint32_t addr, Err *err)
{
    Front *in = ((Printer *)f)->inner;
    return in->ops->mbar(in, slot, addr, err);
}

static bool pr_yield(Front *f, uint32_t slot, uint32_t warp)
{
    Front *in = ((Printer *)f)->inner;
    return in->ops->yield(in, slot, warp);
}

static void pr_tmem_alloc_done(Front *f, uint32_t slot, uint32_t warp, uint32_t column)
{
    Front *in = ((Printer *)f)->inner;
    in->ops->tmem_alloc_done(in, slot, warp, column);
}

static void pr_cancelled(Front *f, uint32_t slot, uint32_t handle, uint32_t cta)
{
    Front *in = ((Printer *)f)->inner;
    in->ops->cancelled(in, slot, handle, cta);
}

static bool pr_launches(Front *f, uint32_t cta)
{
    Front *in = ((Printer *)f)->inner;
    return in->ops->launches(in, cta);
}

static void pr_cta_end(Front *f, uint32_t slot)
{
    Front *in = ((Printer *)f)->inner;
    in->ops->cta_end(in, slot);
}

static const FrontOps printer_ops = {
    .cta_start = pr_cta_start,
    .next = pr_next,
    .exec = pr_exec,
    .async = pr_async,
    .mbar = pr_mbar,
    .yield = pr_yield,
    .tmem_alloc_done = pr_tmem_alloc_done,
    .cta_end = pr_cta_end,
    .cancelled = pr_cancelled,
    .launches = pr_launches,
};

Front *trace_printer(Arena *a, Front *inner, const Trace *t, FILE *out, const TraceFilter *filter)
{
    Printer *p = arena_new(a, Printer, 1);
    p->front = *inner;
    p->front.ops = &printer_ops;
    p->inner = inner;
    p->trace = t;
    p->out = out;
    p->filter = *filter;
    p->cta = arena_new(a, uint32_t, inner->n_slots);
    p->pending = arena_new(a, OpRun, inner->n_slots * inner->n_warps);
    fprintf(out, "cycle\tcta\twarp\trole\tline\tinstruction\tunit\tdynamic\n");
    return &p->front;
}
