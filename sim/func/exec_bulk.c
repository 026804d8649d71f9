/* Bulk copies without a tensor map: cp.async.bulk, cp.reduce.async.bulk, their groups and
 * prefetches.
 *
 * Loads into shared memory read their source when they complete. Stores read shared memory at
 * ASYNC_READ into the staging ring and write global memory at ASYNC_DONE; without room in the ring
 * they write at once, which is legal. Source: PTX ISA 9.7.9.25; research/ptx.md 3.10. */
#include "sim/func/wgmma.h"

enum { BULK_ALIGN = 16, CTA_OFFSET = 0xffffff, ALL_BYTES = 0xffff };

static uint8_t *global_range(Exec *x, const Cta *cta, const Async *as, uint64_t addr,
                             uint32_t bytes, Err *err)
{
    uint8_t *p = mem_ptr(x->desc.mem, addr, bytes);
    if (p || bytes == 0)
        return p;
    char text[200];
    mem_describe(x->desc.mem, addr, text, sizeof text);
    async_fault(x, cta, as, err, "bulk copy of %u bytes at global address 0x%llx: %s", bytes,
                (unsigned long long)addr, text);
    return NULL;
}

bool async_fill(Exec *x, Cta *cta, uint32_t rank, Cta **out, Err *err)
{
    *out = cluster_cta(cta, rank);
    return !*out || (tc_flush(x, *out, err) && wgmma_flush_all(x, *out, err));
}

/* ---- Into shared memory ---- */

static bool g2s_async(Exec *x, Cta *cta, Async *as, AsyncStep step, Err *err)
{
    if (step != ASYNC_DONE)
        return true;
    const uint8_t *src = global_range(x, cta, as, as->u.bulk.gaddr, as->u.bulk.bytes, err);
    if (!src && as->u.bulk.bytes)
        return false;
    for (uint32_t m = as->u.bulk.mask; m; m &= m - 1) {
        Cta *to;
        if (!async_fill(x, cta, first_lane(m), &to, err))
            return false;
        if (!to)
            return async_fault(x, cta, as, err, "bulk copy to CTA rank %u, which has exited",
                               first_lane(m));
        if (as->u.bulk.bytes)
            memcpy(to->shared + (as->u.bulk.smem & CTA_OFFSET), src, as->u.bulk.bytes);
    }
    return true;
}

static bool s2s_async(Exec *x, Cta *cta, Async *as, AsyncStep step, Err *err)
{
    if (step != ASYNC_DONE)
        return true;
    Cta *to;
    if (!async_fill(x, cta, as->u.bulk.smem2 >> 24, &to, err))
        return false;
    if (!to)
        return async_fault(x, cta, as, err, "bulk copy to CTA rank %u, which has exited",
                           as->u.bulk.smem2 >> 24);
    uint8_t *dst = to->shared + (as->u.bulk.smem2 & CTA_OFFSET);
    const uint8_t *src = cta->shared + (as->u.bulk.smem & CTA_OFFSET);
    if (as->u.bulk.redop)
        reduce_bytes(as->u.bulk.redop, (PtxType)as->u.bulk.type, dst, src, as->u.bulk.bytes);
    else
        memmove(dst, src, as->u.bulk.bytes);
    return true;
}

static bool check_size(ExecCtx *x, const XInsn *in, uint32_t lane, uint32_t bytes, uint64_t gaddr)
{
    if (bytes % BULK_ALIGN != 0)
        return exec_fault(x, in, (int)lane, "bulk copy of %u bytes: must be a multiple of 16",
                          bytes);
    if (gaddr % BULK_ALIGN != 0)
        return exec_fault(x, in, (int)lane,
                          "bulk copy at global address 0x%llx: must be aligned to 16 bytes",
                          (unsigned long long)gaddr);
    return true;
}

void load_op(ExecCtx *x, const XInsn *in, const LoadSync *s, const Async *as)
{
    Op *o = emit(x, OK_TMA_LOAD);
    o->bytes = s->bytes;
    o->waves = (uint16_t)(s->rows > UINT16_MAX ? UINT16_MAX : s->rows);
    o->sync = s->sync;
    o->addr = s->global >> 8;
    o->handle = as->handle;
    o->arg0 = in->ci->mod[MC_CG] == MV_CG_TWO;
    if (s->multicast) {
        o->flags |= OPF_PAIR;
        o->arg1 = s->mask;
    }
    if (s->sync >> 24 != x->cta->rank)
        o->flags |= OPF_REMOTE;
}

/* [d], [a], size, [mbar]{, mask} */
static bool dyn_g2s(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Warp *w = x->w;
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m), bytes = opd_u32(x, opd(w, in, 2), lane);
        uint64_t dst = opd_shared(x, opd(w, in, 0), lane), src = opd_addr(w, opd(w, in, 1), lane);
        uint64_t mbar = opd_shared(x, opd(w, in, 3), lane);
        Cta *owner, *mbar_owner;
        if (!check_size(x, in, lane, bytes, src) ||
            !shared_at(x, in, (int)lane, dst, bytes, BULK_ALIGN, &owner) ||
            !shared_at(x, in, (int)lane, mbar, 8, 8, &mbar_owner))
            return false;
        Async *as = start_async(x, in, g2s_async);
        if (!as)
            return false;
        bool multicast = in->ci->mod[MC_MCAST] != 0;
        as->u.bulk.gaddr = src;
        as->u.bulk.smem = (uint32_t)dst;
        as->u.bulk.bytes = bytes;
        as->u.bulk.mask =
            (uint16_t)(multicast ? opd_u32(x, opd(w, in, 4), lane) : 1u << owner->rank);
        LoadSync s = {.bytes = bytes,
                      .rows = (bytes + TMA_ROW_BYTES - 1) / TMA_ROW_BYTES,
                      .sync = own_shared(mbar_owner, (uint32_t)mbar & CTA_OFFSET),
                      .mask = as->u.bulk.mask,
                      .multicast = multicast,
                      .global = src};
        load_op(x, in, &s, as);
    }
    return true;
}

/* [d], [a], size, [mbar] */
static bool dyn_s2s(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Warp *w = x->w;
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m), bytes = opd_u32(x, opd(w, in, 2), lane);
        uint64_t dst = opd_shared(x, opd(w, in, 0), lane), src = opd_shared(x, opd(w, in, 1), lane);
        uint64_t mbar = opd_shared(x, opd(w, in, 3), lane);
        Cta *owner, *from, *mbar_owner;
        if (!check_size(x, in, lane, bytes, 0) ||
            !shared_at(x, in, (int)lane, dst, bytes, BULK_ALIGN, &owner) ||
            !shared_at(x, in, (int)lane, src, bytes, BULK_ALIGN, &from) ||
            !shared_at(x, in, (int)lane, mbar, 8, 8, &mbar_owner))
            return false;
        if (from != x->cta || mbar_owner != owner)
            return exec_fault(x, in, (int)lane,
                              "the source must be the CTA's own, the mbarrier the destination's");
        Async *as = start_async(x, in, s2s_async);
        if (!as)
            return false;
        as->u.bulk.smem = (uint32_t)src;
        as->u.bulk.smem2 = own_shared(owner, (uint32_t)dst & CTA_OFFSET);
        as->u.bulk.bytes = bytes;
        as->u.bulk.redop = in->ci->mod[MC_REDOP];
        as->u.bulk.type = in->ci->type[0];
        Op *o = emit(x, OK_REMOTE);
        uint32_t rows = (bytes + TMA_ROW_BYTES - 1) / TMA_ROW_BYTES;
        o->bytes = bytes;
        o->waves = (uint16_t)(rows > UINT16_MAX ? UINT16_MAX : rows);
        o->sync = own_shared(owner, (uint32_t)mbar & CTA_OFFSET);
        o->handle = as->handle;
        o->arg0 = 1;
        o->flags |= owner != x->cta ? OPF_REMOTE : 0;
    }
    return true;
}

/* ---- Out of shared memory ---- */

/* .cp_mask: bit i of the mask is for byte i of each 16. */
static void copy_masked(uint8_t *dst, const uint8_t *src, uint32_t bytes, uint16_t mask)
{
    for (uint32_t i = 0; i < bytes; i++)
        if (mask >> i % BULK_ALIGN & 1)
            dst[i] = src[i];
}

static bool write_global(Exec *x, Cta *cta, Async *as, const uint8_t *src, Err *err)
{
    uint8_t *dst = global_range(x, cta, as, as->u.bulk.gaddr, as->u.bulk.bytes, err);
    if (!dst)
        return as->u.bulk.bytes == 0;
    if (as->u.bulk.redop)
        reduce_bytes(as->u.bulk.redop, (PtxType)as->u.bulk.type, dst, src, as->u.bulk.bytes);
    else if (as->u.bulk.mask == ALL_BYTES)
        memcpy(dst, src, as->u.bulk.bytes);
    else
        copy_masked(dst, src, as->u.bulk.bytes, as->u.bulk.mask);
    return true;
}

static bool s2g_async(Exec *x, Cta *cta, Async *as, AsyncStep step, Err *err)
{
    if (step == ASYNC_DONE)
        return !as->stage || write_global(x, cta, as, as->stage, err);
    const uint8_t *src = cta->shared + (as->u.bulk.smem & CTA_OFFSET);
    as->stage = stage_take(&cta->async->stage, as->u.bulk.bytes);
    if (!as->stage)
        return write_global(x, cta, as, src, err);
    memcpy(as->stage, src, as->u.bulk.bytes);
    return true;
}

void store_op(ExecCtx *x, uint32_t bytes, uint32_t rows, uint64_t global, const Async *as,
              bool reduces)
{
    Op *o = emit(x, OK_TMA_STORE);
    o->bytes = bytes;
    o->waves = (uint16_t)(rows > UINT16_MAX ? UINT16_MAX : rows);
    o->addr = global >> 8;
    o->handle = as->handle;
    o->arg0 = reduces;
}

/* [d], [a], size{, policy, mask} */
static bool dyn_s2g(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Warp *w = x->w;
    uint32_t redop = in->ci->mod[MC_REDOP], done;
    for (uint32_t m = mask; m; m &= ~done) {
        uint32_t lane = first_lane(m), bytes = opd_u32(x, opd(w, in, 2), lane);
        done = redop ? 1u << lane : alike_lanes(w, in, lane, m);
        uint64_t dst = opd_addr(w, opd(w, in, 0), lane), src = opd_shared(x, opd(w, in, 1), lane);
        Cta *owner;
        if (!check_size(x, in, lane, bytes, dst) ||
            !shared_at(x, in, (int)lane, src, bytes, BULK_ALIGN, &owner))
            return false;
        if (owner != x->cta)
            return exec_fault(x, in, (int)lane,
                              "the source of a bulk store must be the CTA's own shared memory");
        Async *as = start_async(x, in, s2g_async);
        if (!as)
            return false;
        bool masked = in->ci->op == OP_CP_ASYNC_BULK_S2G_MASK;
        as->u.bulk.mask = (uint16_t)(masked ? opd_u32(x, opd(w, in, 4), lane) : ALL_BYTES);
        as->u.bulk.gaddr = dst;
        as->u.bulk.smem = (uint32_t)src;
        as->u.bulk.bytes = bytes;
        as->u.bulk.redop = (uint8_t)redop;
        as->u.bulk.type = in->ci->type[0];
        store_op(x, bytes, (bytes + TMA_ROW_BYTES - 1) / TMA_ROW_BYTES, dst, as, redop != 0);
    }
    return true;
}

BIND_DYN(cp_async_bulk_g2s, dyn_g2s)
BIND_DYN(cp_async_bulk_s2s, dyn_s2s)
BIND_DYN(cp_async_bulk_s2g, dyn_s2g)

bool exec_cp_reduce_async_bulk_s2s(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    out->dyn = dyn_s2s;
    return reduce_legal(in->mod[MC_REDOP], (PtxType)in->type[0]);
}

bool exec_cp_reduce_async_bulk(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    out->dyn = dyn_s2g;
    return reduce_legal(in->mod[MC_REDOP], (PtxType)in->type[0]);
}

/* ---- Groups and prefetches ---- */

static bool dyn_commit_group(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    (void)in;
    (void)mask;
    emit(x, OK_BULK_COMMIT);
    return true;
}

static bool dyn_wait_group(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Op *o = emit(x, OK_BULK_WAIT);
    o->arg0 = opd_u32(x, opd(x->w, in, 0), first_lane(mask));
    o->arg1 = in->ci->mod[MC_READ] != 0;
    return true;
}

static bool dyn_prefetch(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    for (uint32_t m = mask; m; m &= ~alike_lanes(x->w, in, first_lane(m), m)) {
        uint32_t lane = first_lane(m);
        Op *o = emit(x, OK_TMA_PREFETCH);
        o->bytes = opd_u32(x, opd(x->w, in, 1), lane);
        o->waves = (uint16_t)((o->bytes + TMA_ROW_BYTES - 1) / TMA_ROW_BYTES);
        o->addr = opd_addr(x->w, opd(x->w, in, 0), lane) >> 8;
    }
    return true;
}

BIND_DYN(cp_async_bulk_commit_group, dyn_commit_group)
BIND_DYN(cp_async_bulk_wait_group, dyn_wait_group)
BIND_DYN(cp_async_bulk_prefetch, dyn_prefetch)
