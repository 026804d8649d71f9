/* cp.async (LDGSTS): copies of 4, 8 or 16 bytes by each lane, zero-filled beyond the source size,
 * their groups, and the arrival on an mbarrier when they are done. Source and destination are
 * touched at ASYNC_DONE. Source: PTX ISA 9.7.9.25.3; research/ptx.md 3.17. */
#include "sim/func/engine.h"

enum { CTA_OFFSET = 0xffffff, ALL_GROUPS = 0 };

/* n bytes, then zeros up to `bytes`. Nearly all copies are whole and of 16 bytes. */
static inline void copy_bytes(uint8_t *dst, const uint8_t *src, uint32_t n, uint32_t bytes)
{
    if (n == 16) {
        memcpy(dst, src, 16);
        return;
    }
    if (n)
        memcpy(dst, src, n);
    memset(dst + n, 0, bytes - n);
}

static bool copy_async(Exec *x, Cta *cta, Async *as, AsyncStep step, Err *err)
{
    if (step != ASYNC_DONE)
        return true;
    if (!tc_flush(x, cta, err))
        return false;
    uint32_t bytes = as->u.ldgsts.bytes;
    uint64_t start = 0, size = 0; /* the allocation of the lane before: mostly that of all */
    const uint8_t *host = NULL;
    for (uint32_t m = as->u.ldgsts.lanes; m; m &= m - 1) {
        uint32_t lane = first_lane(m), n = as->u.ldgsts.src_bytes[lane];
        uint8_t *dst = cta->shared + (as->u.ldgsts.dst[lane] & CTA_OFFSET);
        uint64_t src = as->u.ldgsts.src[lane];
        if (n && (!host || src - start >= size))
            host = mem_object(x->desc.mem, src, &start, &size);
        if (n && (!host || n > size - (src - start))) {
            char text[200];
            mem_describe(x->desc.mem, src, text, sizeof text);
            return async_fault(x, cta, as, err,
                               "cp.async of %u bytes at global address 0x%llx, lane %u: %s", n,
                               (unsigned long long)src, lane, text);
        }
        copy_bytes(dst, n ? host + (src - start) : NULL, n, bytes);
    }
    return true;
}

/* 128-byte lines of shared memory that the warp's copies fill: passes over the banks. */
static uint32_t shared_lines(const Async *as)
{
    uint32_t lines[WARP], n = 0;
    for (uint32_t m = as->u.ldgsts.lanes; m; m &= m - 1) {
        uint32_t line = as->u.ldgsts.dst[first_lane(m)] / 128, i = 0;
        if (n && lines[n - 1] == line)
            continue;
        while (i < n && lines[i] != line)
            i++;
        if (i == n)
            lines[n++] = line;
    }
    return n;
}

/* Whether a lane's copy may be: places and sizes. */
static bool may_copy(ExecCtx *x, const XInsn *in, uint32_t lane, uint32_t size, uint64_t dst,
                     uint64_t src, uint32_t src_bytes)
{
    Cta *owner;
    if (!shared_at(x, in, (int)lane, dst, size, size, &owner))
        return false;
    if (owner != x->cta)
        return exec_fault(x, in, (int)lane, "cp.async to another CTA's shared memory");
    if (src & (size - 1)) /* a power of two */
        return exec_fault(x, in, (int)lane,
                          "cp.async at global address 0x%llx: must be aligned to %u bytes",
                          (unsigned long long)src, size);
    return src_bytes <= size ||
           exec_fault(x, in, (int)lane, "cp.async with a source of %u bytes and %u to write",
                      src_bytes, size);
}

/* [d], [a], size{, src_size | q}: q true ignores the source */
static bool dyn_copy(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Warp *w = x->w;
    uint32_t size = opd_u32(x, opd(w, in, 2), first_lane(mask));
    if (size != 4 && size != 8 && size != 16)
        return exec_fault(x, in, -1, "cp.async of %u bytes: must be 4, 8 or 16", size);
    Async *as = start_async(x, in, copy_async);
    if (!as)
        return false;
    as->u.ldgsts.bytes = size;
    as->u.ldgsts.lanes = mask;
    const CodeOpd *to = opd(w, in, 0), *from = opd(w, in, 1),
                  *limit = has_opd(w, in, 3) ? opd(w, in, 3) : NULL;
    uint32_t none = limit && limit->kind == CO_PRED ? opd_pred(w, limit) : 0;
    const uint32_t *sizes =
        limit && limit->kind != CO_PRED && in->ci->op == OP_CP_ASYNC ? opd_row(w, limit, 0) : NULL;
    uint64_t dst[WARP], src[WARP];
    for (uint32_t l = 0; l < WARP; l++) {
        dst[l] = opd_shared(x, to, l);
        src[l] = opd_addr(w, from, l);
    }
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m);
        uint32_t n = none >> lane & 1 ? 0 : sizes ? sizes[lane] : size;
        if (!may_copy(x, in, lane, size, dst[lane], src[lane], n))
            return false;
        as->u.ldgsts.dst[lane] = (uint32_t)dst[lane];
        as->u.ldgsts.src[lane] = src[lane];
        as->u.ldgsts.src_bytes[lane] = n;
    }
    Op *o = emit(x, OK_CPASYNC);
    o->bytes = size * (uint32_t)__builtin_popcount(mask);
    o->waves = (uint16_t)shared_lines(as);
    o->addr = as->u.ldgsts.src[first_lane(mask)] >> 5;
    o->handle = as->handle;
    return true;
}

static bool dyn_commit(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    (void)in;
    (void)mask;
    emit(x, OK_CPASYNC_COMMIT);
    return true;
}

static bool dyn_wait_group(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    emit(x, OK_CPASYNC_WAIT)->arg0 = opd_u32(x, opd(x->w, in, 0), first_lane(mask));
    return true;
}

/* = commit_group; wait_group 0 */
static bool dyn_wait_all(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    (void)in;
    (void)mask;
    emit(x, OK_CPASYNC_COMMIT);
    emit(x, OK_CPASYNC_WAIT)->arg0 = ALL_GROUPS;
    return true;
}

/* cp.async.mbarrier.arrive [a]: one arrival per lane, when the warp's earlier copies are done.
 * Without .noinc the driver raises the pending count when the instruction issues. */
static bool dyn_mbar_arrive(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    bool noinc = in->ci->mod[MC_MBSEM] == MV_MBSEM_NOINC;
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m), i = 0;
        uint64_t addr = opd_shared(x, opd(x->w, in, 0), lane);
        Cta *owner;
        if (!shared_at(x, in, (int)lane, addr, 8, 8, &owner))
            return false;
        uint32_t sync = own_shared(owner, (uint32_t)addr & CTA_OFFSET);
        while (i < x->n_ops && x->ops[i].sync != sync)
            i++;
        Op *o = i < x->n_ops ? &x->ops[i] : emit(x, OK_CPASYNC_ARRIVE);
        o->sync = sync;
        o->arg0++;
        o->arg1 = noinc;
    }
    return true;
}

BIND_DYN(cp_async, dyn_copy)
BIND_DYN(cp_async_commit_group, dyn_commit)
BIND_DYN(cp_async_wait_group, dyn_wait_group)
BIND_DYN(cp_async_wait_all, dyn_wait_all)
BIND_DYN(cp_async_mbarrier_arrive, dyn_mbar_arrive)
