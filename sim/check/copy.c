/* Asynchronous copies: TMA and bulk copies into and out of shared memory, cp.async. What they
 * captured is in their Async record. */
#include "sim/check/global.h"

enum { CTA_OFFSET = 0xffffff };

static const Async *record(const ExecCtx *x, const Op *op)
{
    return &x->cta->async->records[op->handle];
}

static bool exec_begins(const XInsn *in, const char *prefix)
{
    return strncmp(op_row[in->ci->op].exec, prefix, strlen(prefix)) == 0;
}

/* The mbarrier that the copy signals in the CTA of rank r (drive_step.c, signal_load). */
static uint32_t signalled(const Op *op, uint32_t r)
{
    if (!(op->flags & OPF_PAIR))
        return op->sync;
    uint32_t to = op->arg0 ? (r & ~1u) | (op->sync >> 24 & 1) : r;
    return to << 24 | (op->sync & CTA_OFFSET);
}

typedef struct Load {
    uint32_t smem, ranks; /* destination: address, CTAs */
    const Async *box;     /* source: a tensor's, or */
    uint64_t from;        /* global memory here; 0: neither */
    uint8_t swizzle;      /* 1 + Swizzle, 0 unknown */
} Load;

static void load(Checker *k, const ExecCtx *x, const XInsn *in, const Op *op, const Load *l)
{
    WarpCheck *w = warp_check(k, x->w);
    AsyncRec *r = async_rec(k, x->cta->rank, op->handle);
    Act a = act_warp(k, x->w, in, ACC_WRITE | ACC_ASYNC);
    if (!r)
        return;
    r->clk = clock_copy(k, w->clk);
    r->insn = a.insn;
    for (uint32_t m = l->ranks; m; m &= m - 1) {
        uint32_t to = first_lane(m), at = to << 24 | (l->smem & CTA_OFFSET);
        Mbar *b = mbar_find(k, signalled(op, to));
        a.agent = b ? b->agent : NO_AGENT;
        a.epoch = b ? (Epoch)b->phase + 1 : 0;
        shared_touch(k, at, op->bytes, &a);
        shared_set_valid(k, at, op->bytes, true, l->swizzle);
        if (!b)
            continue;
        r->phase[b->addr >> 24 & 15] = b->phase + 1;
        b->last_load = b->phase + 1;
        b->load_insn = a.insn;
        b->load_warp = a.warp;
    }
    GlobalAct g = {.a = a}; /* read when it has arrived, wherever */
    g.a.flags = ACC_ASYNC;
    if (l->box) {
        map_used(k, l->box, &a);
        global_box(k, &g, l->box);
    }
    if (l->from)
        global_span(k, &g, l->from, op->bytes);
    warp_tick(k, w);
}

static void loads(Checker *k, const ExecCtx *x, const XInsn *in)
{
    static const Swizzle modes[] = {SWZ_NONE,    SWZ_32,           SWZ_64,     SWZ_128,
                                    SWZ_128_32A, SWZ_128_32A_FLIP, SWZ_128_64A};
    for (uint32_t i = 0; i < x->n_ops; i++) {
        const Op *op = &x->ops[i];
        if ((op->kind != OK_TMA_LOAD && op->kind != OK_REMOTE) || !op->handle)
            continue;
        const Async *as = record(x, op);
        Load l = {0};
        if (exec_begins(in, "cp_async_bulk_tensor")) {
            l = (Load){.smem = as->u.tma.smem,
                       .ranks = as->u.tma.mask,
                       .box = as,
                       .swizzle = (uint8_t)(1 + modes[as->u.tma.map.swizzle])};
        } else if (exec_begins(in, "cp_async_bulk_s2s") ||
                   exec_begins(in, "cp_reduce_async_bulk_s2s")) {
            l = (Load){.smem = as->u.bulk.smem2, .ranks = 1u << (as->u.bulk.smem2 >> 24)};
            Act a = act_async(k, x->w, in, AK_BULK_READ, ACC_ASYNC);
            a.agent = NO_AGENT; /* its end is seen at the destination only */
            shared_touch(k, as->u.bulk.smem, op->bytes, &a);
        } else {
            l = (Load){.smem = as->u.bulk.smem, .ranks = as->u.bulk.mask, .from = as->u.bulk.gaddr};
        }
        load(k, x, in, op, &l);
    }
}

/* Whether every element of the box is inside the tensor, so that all of the source is used. */
static bool box_inside(const TensorMap *m, const int32_t *coord)
{
    for (uint32_t d = 0; d < m->rank; d++)
        if (coord[d] < 0 || (uint64_t)coord[d] + m->box[d] > m->dims[d])
            return false;
    return true;
}

/* clusterlaunchcontrol.try_cancel: 16 bytes, as a load. */
static void cancel(Checker *k, const ExecCtx *x, const XInsn *in)
{
    for (uint32_t i = 0; i < x->n_ops; i++) {
        const Op *op = &x->ops[i];
        if (op->kind != OK_CANCEL || !op->handle)
            continue;
        const Async *as = record(x, op);
        Load l = {.smem = as->u.cancel.dst, .ranks = as->u.cancel.mask};
        load(k, x, in, op, &l);
        if (!k->ctas[x->cta->rank].clc_failed)
            continue;
        Finding *f = finding_add(k, FK_CLC, warp_index(k, warp_check(k, x->w)),
                                 (uint32_t)(in - k->x->insns));
        finding_detail(k, f, "a request before this one has found nothing to cancel");
    }
}

/* Reductions are atomic. */
static void store_global(Checker *k, const ExecCtx *x, const XInsn *in, const Async *as,
                         uint32_t bytes, bool tensor)
{
    bool reduces = exec_begins(in, "cp_reduce");
    GlobalAct g = {.a = act_async(k, x->w, in, AK_BULK_WRITE,
                                  (uint16_t)(ACC_WRITE | ACC_ASYNC | (reduces ? ACC_ATOMIC : 0)))};
    if (tensor) {
        map_used(k, as, &g.a);
        global_box(k, &g, as);
        return;
    }
    global_span(k, &g, as->u.bulk.gaddr, bytes);
}

static void stores(Checker *k, const ExecCtx *x, const XInsn *in)
{
    WarpCheck *w = warp_check(k, x->w);
    for (uint32_t i = 0; i < x->n_ops; i++) {
        const Op *op = &x->ops[i];
        if (op->kind != OK_TMA_STORE || !op->handle)
            continue;
        const Async *as = record(x, op);
        bool tensor = exec_begins(in, "cp_async_bulk_tensor") ||
                      exec_begins(in, "cp_reduce_async_bulk_tensor");
        uint32_t smem = tensor ? as->u.tma.smem : as->u.bulk.smem;
        Act a = act_async(k, x->w, in, AK_BULK_READ, ACC_ASYNC);
        uint32_t at = x->cta->rank << 24 | (smem & CTA_OFFSET);
        agent_of(k, a.warp, AK_BULK_WRITE);
        shared_touch(k, at, op->bytes, &a);
        store_global(k, x, in, as, op->bytes, tensor);
        w->bulk_insn = a.insn;
        w->bulk_open = true;
        bool four = tensor && as->u.tma.rows4;
        uint32_t bad = !tensor || (!four && box_inside(&as->u.tma.map, as->u.tma.coord))
                           ? shared_invalid(k, at, op->bytes)
                           : 0;
        if (!bad)
            continue;
        Finding *f = finding_add(k, FK_UNINIT_SHARED, a.warp, a.insn);
        finding_detail(k, f, "%u of the %u bytes copied to global memory", bad, op->bytes);
    }
}

static void ldgsts(Checker *k, const ExecCtx *x, const XInsn *in)
{
    for (uint32_t i = 0; i < x->n_ops; i++) {
        const Op *op = &x->ops[i];
        if (op->kind != OK_CPASYNC || !op->handle)
            continue;
        const Async *as = record(x, op);
        Act a = act_async(k, x->w, in, AK_CP, ACC_WRITE);
        GlobalAct g = {.a = act_async(k, x->w, in, AK_CP, 0)};
        for (uint32_t m = as->u.ldgsts.lanes; m; m &= m - 1) {
            uint32_t at = as->u.ldgsts.dst[first_lane(m)];
            global_span(k, &g, as->u.ldgsts.src[first_lane(m)],
                        as->u.ldgsts.src_bytes[first_lane(m)]);
            at = x->cta->rank << 24 | (at & CTA_OFFSET);
            shared_touch(k, at, as->u.ldgsts.bytes, &a);
            shared_set_valid(k, at, as->u.ldgsts.bytes, true, 0);
        }
    }
}

/* st.async, red.async: what they write counts as written; races with it are not looked for. */
static void remote_stores(Checker *k, const ExecCtx *x)
{
    const Async *as = record(x, &x->ops[0]);
    for (uint32_t m = as->u.remote.lanes; m; m &= m - 1)
        shared_set_valid(k, as->u.remote.dst[first_lane(m)], as->u.remote.bytes, true, 0);
}

static void fill(Checker *k, const ExecCtx *x, const XInsn *in)
{
    Act a = act_warp(k, x->w, in, ACC_WRITE);
    for (uint32_t i = 0; i < x->n_ops; i++) {
        const Op *op = &x->ops[i];
        shared_touch(k, (uint32_t)op->addr, op->bytes, &a);
        shared_set_valid(k, (uint32_t)op->addr, op->bytes, true, 0);
    }
}

void copy_issued(Checker *k, ExecCtx *x, const XInsn *in, const InsnInfo *ii)
{
    if (ii->cls == CL_TMA_LOAD)
        loads(k, x, in);
    if (ii->cls == CL_CLC_CANCEL)
        cancel(k, x, in);
    if (ii->cls == CL_REMOTE)
        remote_stores(k, x);
    if (ii->cls == CL_FILL)
        fill(k, x, in);
    if (ii->cls == CL_TMA_STORE)
        stores(k, x, in);
    if (ii->cls == CL_CPASYNC)
        ldgsts(k, x, in);
}
