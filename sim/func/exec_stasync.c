/* Stores and reductions into the shared memory of the cluster that complete on an mbarrier:
 * st.async, red.async; and st.bulk, which fills shared memory with zeros.
 *
 * Values are captured at issue and appear at ASYNC_DONE. Lanes that name the same mbarrier share
 * one Op; the first Op of the instruction carries the record of all lanes. Source: PTX
 * ISA 9.7.9.12, 9.7.9.13, 9.7.13.7. */
#include "sim/func/engine.h"

enum { CTA_OFFSET = 0xffffff, BULK_MULTIPLE = 8 };

static bool remote_async(Exec *x, Cta *cta, Async *as, AsyncStep step, Err *err)
{
    if (step != ASYNC_DONE)
        return true;
    uint32_t bytes = as->u.remote.bytes;
    for (uint32_t m = as->u.remote.lanes; m; m &= m - 1) {
        uint32_t lane = first_lane(m), dst = as->u.remote.dst[lane];
        Cta *to;
        if (!async_fill(x, cta, dst >> 24, &to, err))
            return false;
        if (!to)
            return async_fault(x, cta, as, err,
                               "asynchronous store to CTA rank %u, which has exited", dst >> 24);
        uint8_t *p = to->shared + (dst & CTA_OFFSET);
        const uint8_t *v = as->u.remote.value[lane];
        if (as->u.remote.redop)
            reduce_bytes(as->u.remote.redop, (PtxType)as->u.remote.type, p, v, bytes);
        else
            memcpy(p, v, bytes);
    }
    return true;
}

static Op *remote_op(ExecCtx *x, uint32_t sync)
{
    for (uint32_t i = 0; i < x->n_ops; i++)
        if (x->ops[i].sync == sync)
            return &x->ops[i];
    Op *o = emit(x, OK_REMOTE);
    o->sync = sync;
    if (sync >> 24 != x->cta->rank)
        o->flags |= OPF_REMOTE;
    return o;
}

/* The words of .atomop as bulk reductions number them; 0: a store. */
static uint8_t redop_of(uint8_t atomop)
{
    switch (atomop) {
    case MV_ATOM_ADD:
        return MV_REDOP_ADD;
    case MV_ATOM_MIN:
        return MV_REDOP_MIN;
    case MV_ATOM_MAX:
        return MV_REDOP_MAX;
    case MV_ATOM_INC:
        return MV_REDOP_INC;
    case MV_ATOM_DEC:
        return MV_REDOP_DEC;
    case MV_ATOM_AND:
        return MV_REDOP_AND;
    case MV_ATOM_OR:
        return MV_REDOP_OR;
    case MV_ATOM_XOR:
        return MV_REDOP_XOR;
    default:
        return 0;
    }
}

/* The value operand of one lane, elements behind each other. */
static void capture(const Warp *w, const CodeOpd *v, uint32_t bytes, uint32_t lane, uint8_t *to)
{
    for (uint32_t s = 0; s < bytes / 4; s++)
        memcpy(to + 4 * s, &opd_row(w, v, s)[lane], 4);
}

/* [a], b, [mbar] */
static bool dyn_remote(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Warp *w = x->w;
    const CodeOpd *v = opd(w, in, 1);
    uint32_t bytes = 4u * v->n;
    Async *as = start_async(x, in, remote_async);
    if (!as)
        return false;
    as->u.remote.bytes = bytes;
    as->u.remote.lanes = mask;
    as->u.remote.redop = redop_of(in->ci->mod[MC_ATOM]);
    as->u.remote.type = in->ci->type[0];
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m);
        uint64_t dst = opd_shared(x, opd(w, in, 0), lane),
                 mbar = opd_shared(x, opd(w, in, 2), lane);
        Cta *owner, *mbar_owner;
        if (!shared_at(x, in, (int)lane, dst, bytes, bytes, &owner) ||
            !shared_at(x, in, (int)lane, mbar, 8, 8, &mbar_owner))
            return false;
        if (owner != mbar_owner)
            return exec_fault(x, in, (int)lane,
                              "destination (CTA rank %u) and mbarrier (rank %u) are in different "
                              "CTAs",
                              owner->rank, mbar_owner->rank);
        as->u.remote.dst[lane] = own_shared(owner, (uint32_t)dst & CTA_OFFSET);
        capture(w, v, bytes, lane, as->u.remote.value[lane]);
        remote_op(x, own_shared(owner, (uint32_t)mbar & CTA_OFFSET))->bytes += bytes;
    }
    x->ops[0].handle = as->handle;
    return true;
}

BIND_DYN(st_async, dyn_remote)
BIND_DYN(red_async, dyn_remote)

/* st.bulk [a], size, 0 */
static bool dyn_st_bulk(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m);
        uint64_t size = opd_u64(x->w, opd(x->w, in, 1), lane),
                 dst = opd_shared(x, opd(x->w, in, 0), lane);
        Cta *owner;
        if (size % BULK_MULTIPLE || size > SHARED_MAX)
            return exec_fault(x, in, (int)lane,
                              "st.bulk of %llu bytes: must be a multiple of 8, at most %u",
                              (unsigned long long)size, SHARED_MAX);
        uint8_t *p = shared_at(x, in, (int)lane, dst, (uint32_t)size, BULK_MULTIPLE, &owner);
        if (!p)
            return false;
        if (owner != x->cta)
            return exec_fault(x, in, (int)lane, "st.bulk to another CTA's shared memory");
        memset(p, 0, size);
        Op *o = emit(x, OK_SMEM);
        o->bytes = (uint32_t)size;
        o->waves = (uint16_t)((size + 127) / 128);
        o->addr = own_shared(owner, (uint32_t)dst & CTA_OFFSET);
    }
    return true;
}

BIND_DYN(st_bulk, dyn_st_bulk)
