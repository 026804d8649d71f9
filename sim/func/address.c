/* Addresses of the simulated program to host pointers. Every access of a lane passes here: it is
 * either inside one object, aligned, or a fault that says where it went. */
#include "sim/func/state.h"

#define WINDOW_BYTES (UINT64_C(1) << 28) /* 16 CTAs x 16 MiB */
#define CTA_WINDOW 0xffffffu

Cta *cluster_cta(const Cta *c, uint32_t rank)
{
    Exec *x = c->exec;
    if (rank >= x->cluster_ctas)
        return NULL;
    Cta *mate = &x->ctas[c->slot - c->rank + rank];
    return mate->active ? mate : NULL;
}

uint8_t *shared_at(ExecCtx *x, const XInsn *in, int lane, uint64_t addr, uint32_t bytes,
                   uint32_t align, Cta **owner)
{
    uint32_t a = (uint32_t)addr, offset = a & CTA_WINDOW, rank = a >> 24;
    Cta *c = rank == x->cta->rank ? x->cta : cluster_cta(x->cta, rank);
    if (addr >> 32 || !c) {
        exec_fault(x, in, lane, "shared address 0x%llx names CTA rank %u, which %s",
                   (unsigned long long)addr, rank,
                   rank < x->exec->cluster_ctas ? "has exited" : "is not in the cluster");
        return NULL;
    }
    if (offset < SHARED_BASE || offset > c->shared_bytes || bytes > c->shared_bytes - offset) {
        exec_fault(x, in, lane,
                   "%u bytes at shared address 0x%x: the CTA's %u bytes are 0x%x to 0x%x", bytes, a,
                   c->shared_bytes - SHARED_BASE, SHARED_BASE, c->shared_bytes - 1);
        return NULL;
    }
    if (offset % align != 0) {
        exec_fault(x, in, lane, "shared address 0x%x is not aligned to %u bytes", a, align);
        exec_fault_is(x, FAULT_ALIGNMENT);
        return NULL;
    }
    if (owner)
        *owner = c;
    return c->shared + offset;
}

static bool place_shared(ExecCtx *x, const XInsn *in, int lane, uint64_t addr, uint32_t bytes,
                         Place *out)
{
    out->space = SP_SHARED;
    out->addr = addr;
    out->p = shared_at(x, in, lane, addr, bytes, bytes, &out->owner);
    return out->p != NULL;
}

static bool place_global(ExecCtx *x, const XInsn *in, int lane, uint64_t addr, uint32_t bytes,
                         Place *out)
{
    out->space = SP_GLOBAL;
    out->addr = addr;
    out->p = mem_ptr(x->exec->desc.mem, addr, bytes);
    if (out->p && addr % bytes == 0)
        return true;
    if (out->p) {
        exec_fault(x, in, lane, "address 0x%llx is not aligned to %u bytes",
                   (unsigned long long)addr, bytes);
        return exec_fault_is(x, FAULT_ALIGNMENT);
    }
    char text[200];
    mem_describe(x->exec->desc.mem, addr, text, sizeof text);
    exec_fault(x, in, lane, "%u bytes at 0x%llx are in no allocation: %s", bytes,
               (unsigned long long)addr, text);
    return exec_fault_is(x, FAULT_ADDRESS);
}

static bool in_object(ExecCtx *x, const XInsn *in, int lane, const char *what, uint64_t addr,
                      uint32_t bytes, uint64_t size)
{
    if (addr > size || bytes > size - addr)
        return exec_fault(x, in, lane, "%u bytes at offset 0x%llx of the %llu bytes of %s", bytes,
                          (unsigned long long)addr, (unsigned long long)size, what);
    if (addr % bytes == 0)
        return true;
    exec_fault(x, in, lane, "offset 0x%llx of %s is not aligned to %u bytes",
               (unsigned long long)addr, what, bytes);
    return exec_fault_is(x, FAULT_ALIGNMENT);
}

static bool place_local(ExecCtx *x, const XInsn *in, int lane, uint64_t addr, uint32_t bytes,
                        Place *out)
{
    uint32_t size = x->exec->local_bytes;
    out->space = SP_LOCAL;
    out->addr = addr;
    out->p = x->w->local + (size_t)size * (uint32_t)lane + addr;
    return in_object(x, in, lane, "local memory", addr, bytes, size);
}

static bool place_param(ExecCtx *x, const XInsn *in, int lane, uint64_t addr, uint32_t bytes,
                        Place *out)
{
    uint64_t offset = addr >= PARAM_WINDOW ? addr - PARAM_WINDOW : addr;
    out->space = SP_PARAM;
    out->addr = offset;
    /* Never written: st.param goes to call sequences, which do not reach this place. */
    out->p = (uint8_t *)(uintptr_t)x->exec->desc.params + offset;
    return in_object(x, in, lane, "kernel parameters", offset, bytes,
                     x->exec->code->func->param_bytes);
}

static bool place_generic(ExecCtx *x, const XInsn *in, int lane, uint64_t addr, uint32_t bytes,
                          Place *out)
{
    if (addr >= GLOBAL_BASE)
        return place_global(x, in, lane, addr, bytes, out);
    if (addr - SHARED_WINDOW < WINDOW_BYTES)
        return place_shared(x, in, lane, addr - SHARED_WINDOW, bytes, out);
    if (addr - LOCAL_WINDOW < WINDOW_BYTES)
        return place_local(x, in, lane, addr - LOCAL_WINDOW, bytes, out);
    if (addr - PARAM_WINDOW < WINDOW_BYTES)
        return place_param(x, in, lane, addr - PARAM_WINDOW, bytes, out);
    return place_global(x, in, lane, addr, bytes, out); /* reports it */
}

bool place_at(ExecCtx *x, const XInsn *in, int lane, uint8_t ss, uint64_t addr, uint32_t bytes,
              Place *out)
{
    switch (ss) {
    case MV_SS_SHARED:
    case MV_SS_SHARED_CTA:
    case MV_SS_SHARED_CLUSTER:
        return place_shared(x, in, lane, addr, bytes, out);
    case MV_SS_LOCAL:
        return place_local(x, in, lane, addr, bytes, out);
    case MV_SS_PARAM:
    case MV_SS_PARAM_ENTRY:
        return place_param(x, in, lane, addr, bytes, out);
    case MV_SS_GLOBAL:
    case MV_SS_CONST: /* lowering gives the address of the module's constant image, which is global
                         memory */
        return place_global(x, in, lane, addr, bytes, out);
    case MV_SS_PARAM_FUNC:
        return exec_fault(x, in, lane, "parameters of a call are not executed");
    default:
        return place_generic(x, in, lane, addr, bytes, out);
    }
}
