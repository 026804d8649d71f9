/* libcudart: memory, copies, fills. */
#include <string.h>

#include "sim/cuda/rt.h"

enum { COPY_DEFAULT = 4, PITCH = 512 };

/* ---- Allocation ---- */

static int allocate(void **out, size_t bytes, const char *what)
{
    uint64_t addr = 0;
    if (!out)
        return rt_ret(GPU_INVALID_VALUE);
    GpuError e = gpu_malloc(bytes, what, &addr);
    *out = (void *)(uintptr_t)addr;
    return rt_ret(e);
}

EXPORT int cudaMalloc(void **out, size_t bytes)
{
    return allocate(out, bytes, "cudaMalloc");
}

EXPORT int cudaMallocAsync(void **out, size_t bytes, void *stream)
{
    (void)stream;
    return allocate(out, bytes, "cudaMallocAsync");
}
ALIAS(cudaMallocAsync, cudaMallocAsync_ptsz);

EXPORT int cudaMallocFromPoolAsync(void **out, size_t bytes, void *pool, void *stream)
{
    (void)pool, (void)stream;
    return allocate(out, bytes, "cudaMallocFromPoolAsync");
}
ALIAS(cudaMallocFromPoolAsync, cudaMallocFromPoolAsync_ptsz);

EXPORT int cudaFree(void *p)
{
    return rt_ret(gpu_free((uintptr_t)p, GPU_MEM_DEVICE));
}

EXPORT int cudaFreeAsync(void *p, void *stream)
{
    (void)stream;
    return cudaFree(p);
}
ALIAS(cudaFreeAsync, cudaFreeAsync_ptsz);

EXPORT int cudaMallocManaged(void **out, size_t bytes, unsigned flags)
{
    return rt_ret(out ? gpu_malloc_host(bytes, GPU_MEM_MANAGED, flags, "cudaMallocManaged", out)
                      : GPU_INVALID_VALUE);
}

EXPORT int cudaHostAlloc(void **out, size_t bytes, unsigned flags)
{
    return rt_ret(out ? gpu_malloc_host(bytes, GPU_MEM_HOST, flags, "cudaHostAlloc", out)
                      : GPU_INVALID_VALUE);
}

EXPORT int cudaMallocHost(void **out, size_t bytes)
{
    return cudaHostAlloc(out, bytes, 0);
}

EXPORT int cudaFreeHost(void *p)
{
    return rt_ret(gpu_free((uintptr_t)p, GPU_MEM_HOST));
}

EXPORT int cudaHostRegister(void *p, size_t bytes, unsigned flags)
{
    return rt_ret(gpu_register_host(p, bytes, flags));
}

EXPORT int cudaHostUnregister(void *p)
{
    return rt_ret(gpu_unregister_host(p));
}

EXPORT int cudaHostGetDevicePointer(void **out, void *host, unsigned flags)
{
    (void)flags;
    if (!out)
        return rt_ret(GPU_INVALID_VALUE);
    GpuRange r = gpu_range((uintptr_t)host);
    *out = r.kind == GPU_MEM_NONE ? NULL : host;
    return rt_ret(*out ? GPU_OK : GPU_INVALID_VALUE);
}

EXPORT int cudaHostGetFlags(unsigned *flags, void *host)
{
    GpuRange r = gpu_range((uintptr_t)host);
    if (!flags || r.kind != GPU_MEM_HOST)
        return rt_ret(GPU_INVALID_VALUE);
    *flags = r.flags | 2; /* cudaHostAllocMapped always holds with unified addressing */
    return GPU_OK;
}

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

EXPORT int cudaMallocPitch(void **out, size_t *pitch, size_t width, size_t height)
{
    if (!out || !pitch)
        return rt_ret(GPU_INVALID_VALUE);
    *pitch = round_up(width, PITCH);
    return allocate(out, *pitch * height, "cudaMallocPitch");
}

EXPORT int cudaMalloc3D(RtPitched *out, RtSize3 extent)
{
    if (!out)
        return rt_ret(GPU_INVALID_VALUE);
    *out = (RtPitched){.pitch = round_up(extent.x, PITCH), .x_bytes = extent.x, .rows = extent.y};
    return allocate(&out->ptr, out->pitch * extent.y * extent.z, "cudaMalloc3D");
}

EXPORT int cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    uint64_t f, t;
    GpuError e = gpu_memory_info(&f, &t);
    if (free_bytes)
        *free_bytes = f;
    if (total)
        *total = t;
    return rt_ret(e);
}

EXPORT int cudaPointerGetAttributes(RtPointerAttributes *out, const void *p)
{
    if (!out)
        return rt_ret(GPU_INVALID_VALUE);
    GpuRange r = gpu_range((uintptr_t)p);
    void *q = (void *)(uintptr_t)p;
    *out = (RtPointerAttributes){.device = r.kind == GPU_MEM_NONE ? -1 : 0};
    switch (r.kind) {
    case GPU_MEM_NONE:
        out->host_pointer = q;
        break;
    case GPU_MEM_HOST:
        out->type = 1;
        out->device_pointer = out->host_pointer = q;
        break;
    case GPU_MEM_DEVICE:
        out->type = 2;
        out->device_pointer = q;
        break;
    case GPU_MEM_MANAGED:
        out->type = 3;
        out->device_pointer = out->host_pointer = q;
        break;
    }
    return GPU_OK;
}

/* ---- Copies ---- */

static int copy(void *dst, const void *src, size_t n, int kind, void *stream)
{
    return rt_ret(
        gpu_copy_bytes((uintptr_t)dst, (uintptr_t)src, n, (uint32_t)kind, stream_handle(stream)));
}

EXPORT int cudaMemcpy(void *dst, const void *src, size_t n, int kind)
{
    return copy(dst, src, n, kind, NULL);
}
ALIAS(cudaMemcpy, cudaMemcpy_ptds);

EXPORT int cudaMemcpyAsync(void *dst, const void *src, size_t n, int kind, void *stream)
{
    return copy(dst, src, n, kind, stream);
}
ALIAS(cudaMemcpyAsync, cudaMemcpyAsync_ptsz);

EXPORT int cudaMemcpyPeerAsync(void *dst, int dst_device, const void *src, int src_device, size_t n,
                               void *stream)
{
    if (dst_device != 0 || src_device != 0)
        return rt_ret(GPU_INVALID_DEVICE);
    return copy(dst, src, n, COPY_DEFAULT, stream);
}

EXPORT int cudaMemcpyPeer(void *dst, int dst_device, const void *src, int src_device, size_t n)
{
    return cudaMemcpyPeerAsync(dst, dst_device, src, src_device, n, NULL);
}

EXPORT int cudaMemcpyBatchAsync(void *const *dsts, const void *const *srcs, const size_t *bytes,
                                size_t n, void *attrs, size_t *attr_index, size_t n_attrs,
                                void *stream)
{
    (void)attrs, (void)attr_index, (void)n_attrs;
    if (n && (!dsts || !srcs || !bytes))
        return rt_ret(GPU_INVALID_VALUE);
    for (size_t i = 0; i < n; i++) {
        int e = copy(dsts[i], srcs[i], bytes[i], COPY_DEFAULT, stream);
        if (e)
            return e;
    }
    return GPU_OK;
}
ALIAS(cudaMemcpyBatchAsync, cudaMemcpyBatchAsync_ptsz);

EXPORT int cudaMemcpy2DAsync(void *dst, size_t dpitch, const void *src, size_t spitch, size_t width,
                             size_t height, int kind, void *stream)
{
    GpuCopy c = {.dst = {.at = (uintptr_t)dst, .pitch = dpitch},
                 .src = {.at = (uintptr_t)src, .pitch = spitch},
                 .width = width,
                 .height = height,
                 .depth = 1,
                 .kind = (uint32_t)kind};
    return rt_ret(gpu_copy(&c, stream_handle(stream)));
}
ALIAS(cudaMemcpy2DAsync, cudaMemcpy2DAsync_ptsz);

EXPORT int cudaMemcpy2D(void *dst, size_t dpitch, const void *src, size_t spitch, size_t width,
                        size_t height, int kind)
{
    return cudaMemcpy2DAsync(dst, dpitch, src, spitch, width, height, kind, NULL);
}
ALIAS(cudaMemcpy2D, cudaMemcpy2D_ptds);

static GpuBox box_of(const RtPitched *p, const RtSize3 *pos)
{
    uint64_t slice = p->pitch * p->rows;
    return (GpuBox){.at = (uintptr_t)p->ptr + pos->z * slice + pos->y * p->pitch + pos->x,
                    .pitch = p->pitch,
                    .slice = slice};
}

GpuError rt_copy_of(const RtCopy3d *p, GpuCopy *c)
{
    if (p->src_array || p->dst_array)
        return gpu_refuse("cudaMemcpy3D", "copying arrays");
    *c = (GpuCopy){.dst = box_of(&p->dst, &p->dst_pos),
                   .src = box_of(&p->src, &p->src_pos),
                   .width = p->extent.x,
                   .height = p->extent.y,
                   .depth = p->extent.z,
                   .kind = (uint32_t)p->kind};
    return GPU_OK;
}

EXPORT int cudaMemcpy3DAsync(const RtCopy3d *p, void *stream)
{
    GpuCopy c;
    GpuError e = p ? rt_copy_of(p, &c) : GPU_INVALID_VALUE;
    return rt_ret(e ? e : gpu_copy(&c, stream_handle(stream)));
}
ALIAS(cudaMemcpy3DAsync, cudaMemcpy3DAsync_ptsz);

EXPORT int cudaMemcpy3D(const RtCopy3d *p)
{
    return cudaMemcpy3DAsync(p, NULL);
}
ALIAS(cudaMemcpy3D, cudaMemcpy3D_ptds);

/* ---- Fills ---- */

static int fill(void *dst, size_t pitch, size_t slice, int value, const RtSize3 *n, void *stream)
{
    GpuFill f = {.dst = {.at = (uintptr_t)dst, .pitch = pitch, .slice = slice},
                 .width = n->x,
                 .height = n->y,
                 .depth = n->z,
                 .value = (uint8_t)value,
                 .elem_bytes = 1};
    return rt_ret(gpu_fill(&f, stream_handle(stream)));
}

EXPORT int cudaMemsetAsync(void *dst, int value, size_t n, void *stream)
{
    return fill(dst, 0, 0, value, &(RtSize3){n, 1, 1}, stream);
}
ALIAS(cudaMemsetAsync, cudaMemsetAsync_ptsz);

EXPORT int cudaMemset(void *dst, int value, size_t n)
{
    return cudaMemsetAsync(dst, value, n, NULL);
}
ALIAS(cudaMemset, cudaMemset_ptds);

EXPORT int cudaMemset2DAsync(void *dst, size_t pitch, int value, size_t width, size_t height,
                             void *stream)
{
    return fill(dst, pitch, 0, value, &(RtSize3){width, height, 1}, stream);
}
ALIAS(cudaMemset2DAsync, cudaMemset2DAsync_ptsz);

EXPORT int cudaMemset2D(void *dst, size_t pitch, int value, size_t width, size_t height)
{
    return cudaMemset2DAsync(dst, pitch, value, width, height, NULL);
}
ALIAS(cudaMemset2D, cudaMemset2D_ptds);

EXPORT int cudaMemset3DAsync(RtPitched dst, int value, RtSize3 extent, void *stream)
{
    return fill(dst.ptr, dst.pitch, dst.pitch * dst.rows, value, &extent, stream);
}
ALIAS(cudaMemset3DAsync, cudaMemset3DAsync_ptsz);

EXPORT int cudaMemset3D(RtPitched dst, int value, RtSize3 extent)
{
    return cudaMemset3DAsync(dst, value, extent, NULL);
}
ALIAS(cudaMemset3D, cudaMemset3D_ptds);

/* ---- Hints: nothing moves, so there is nothing to do ---- */

typedef struct Location {
    int type, id;
} Location;

EXPORT int cudaMemPrefetchAsync(const void *p, size_t n, Location where, unsigned flags,
                                void *stream)
{
    (void)p, (void)n, (void)where, (void)flags, (void)stream;
    return rt_ret(gpu_check());
}
ALIAS(cudaMemPrefetchAsync, cudaMemPrefetchAsync_ptsz);

EXPORT int cudaMemAdvise(const void *p, size_t n, int advice, Location where)
{
    (void)p, (void)n, (void)advice, (void)where;
    return rt_ret(gpu_check());
}

EXPORT int cudaStreamAttachMemAsync(void *stream, void *p, size_t n, unsigned flags)
{
    (void)stream, (void)p, (void)n, (void)flags;
    return rt_ret(gpu_check());
}
ALIAS(cudaStreamAttachMemAsync, cudaStreamAttachMemAsync_ptsz);

/* ---- Pools: one, without limits ---- */

static char the_pool; /* its address is the handle */

EXPORT int cudaDeviceGetDefaultMemPool(void **pool, int device)
{
    if (!pool || device != 0)
        return rt_ret(pool ? GPU_INVALID_DEVICE : GPU_INVALID_VALUE);
    *pool = &the_pool;
    return GPU_OK;
}
ALIAS(cudaDeviceGetDefaultMemPool, cudaDeviceGetMemPool);

EXPORT int cudaDeviceSetMemPool(int device, void *pool)
{
    (void)pool;
    return rt_ret(device == 0 ? GPU_OK : GPU_INVALID_DEVICE);
}

EXPORT int cudaMemPoolCreate(void **pool, const MemPoolProps *props)
{
    if (!pool || !props)
        return rt_ret(GPU_INVALID_VALUE);
    *pool = &the_pool;
    return GPU_OK;
}

EXPORT int cudaMemPoolDestroy(void *pool)
{
    return rt_ret(pool ? GPU_OK : GPU_INVALID_VALUE);
}

EXPORT int cudaMemPoolTrimTo(void *pool, size_t bytes)
{
    (void)bytes;
    return rt_ret(pool ? GPU_OK : GPU_INVALID_VALUE);
}

EXPORT int cudaMemPoolSetAttribute(void *pool, int attribute, void *value)
{
    enum { FIRST = 1, LAST = 8 };
    return rt_ret(pool && value && attribute >= FIRST && attribute <= LAST ? GPU_OK
                                                                           : GPU_INVALID_VALUE);
}

EXPORT int cudaMemPoolGetAttribute(void *pool, int attribute, void *value)
{
    enum { LAST_FLAG = 3, THRESHOLD = 4, LAST = 8 };
    uint64_t free_bytes, total;
    if (!pool || !value || attribute < 1 || attribute > LAST)
        return rt_ret(GPU_INVALID_VALUE);
    GpuError e = gpu_memory_info(&free_bytes, &total);
    if (attribute <= LAST_FLAG)
        *(int *)value = 1;
    else
        *(uint64_t *)value = attribute == THRESHOLD ? 0 : total - free_bytes;
    return rt_ret(e);
}

EXPORT int cudaMemPoolSetAccess(void *pool, const void *list, size_t n)
{
    (void)list, (void)n;
    return rt_ret(pool ? GPU_OK : GPU_INVALID_VALUE);
}

EXPORT int cudaMemPoolGetAccess(int *flags, void *pool, const Location *where)
{
    enum { READ_WRITE = 3, ON_DEVICE = 1 };
    if (!flags || !pool || !where)
        return rt_ret(GPU_INVALID_VALUE);
    *flags = where->type == ON_DEVICE && where->id == 0 ? READ_WRITE : 0;
    return GPU_OK;
}
