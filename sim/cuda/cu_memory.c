/* libcuda: memory, copies, fills, attributes of pointers. */
#include <string.h>

#include "sim/cuda/abi.h"

enum { COPY_DEFAULT = 4, PITCH = 512 };
typedef uint64_t DevPtr;

/* ---- Allocation ---- */

static int allocate(DevPtr *out, size_t bytes, const char *what)
{
    return out && bytes ? (int)gpu_malloc(bytes, what, out) : GPU_INVALID_VALUE;
}

EXPORT int cuMemAlloc_v2(DevPtr *out, size_t bytes)
{
    return allocate(out, bytes, "cuMemAlloc");
}

EXPORT int cuMemAllocAsync(DevPtr *out, size_t bytes, void *stream)
{
    (void)stream;
    return allocate(out, bytes, "cuMemAllocAsync");
}
ALIAS(cuMemAllocAsync, cuMemAllocAsync_ptsz);

EXPORT int cuMemAllocFromPoolAsync(DevPtr *out, size_t bytes, void *pool, void *stream)
{
    (void)pool, (void)stream;
    return allocate(out, bytes, "cuMemAllocFromPoolAsync");
}
ALIAS(cuMemAllocFromPoolAsync, cuMemAllocFromPoolAsync_ptsz);

EXPORT int cuMemAllocPitch_v2(DevPtr *out, size_t *pitch, size_t width, size_t height,
                              unsigned elem)
{
    (void)elem;
    if (!pitch)
        return GPU_INVALID_VALUE;
    *pitch = (width + PITCH - 1) / PITCH * PITCH;
    return allocate(out, *pitch * height, "cuMemAllocPitch");
}

EXPORT int cuMemFree_v2(DevPtr p)
{
    return gpu_free(p, GPU_MEM_DEVICE);
}

EXPORT int cuMemFreeAsync(DevPtr p, void *stream)
{
    (void)stream;
    return gpu_free(p, GPU_MEM_DEVICE);
}
ALIAS(cuMemFreeAsync, cuMemFreeAsync_ptsz);

EXPORT int cuMemAllocManaged(DevPtr *out, size_t bytes, unsigned flags)
{
    void *p = NULL;
    if (!out || !bytes)
        return GPU_INVALID_VALUE;
    GpuError e = gpu_malloc_host(bytes, GPU_MEM_MANAGED, flags, "cuMemAllocManaged", &p);
    *out = (uintptr_t)p;
    return e;
}

EXPORT int cuMemHostAlloc(void **out, size_t bytes, unsigned flags)
{
    return out && bytes ? (int)gpu_malloc_host(bytes, GPU_MEM_HOST, flags, "cuMemHostAlloc", out)
                        : GPU_INVALID_VALUE;
}

EXPORT int cuMemAllocHost_v2(void **out, size_t bytes)
{
    return cuMemHostAlloc(out, bytes, 0);
}

EXPORT int cuMemFreeHost(void *p)
{
    return gpu_free((uintptr_t)p, GPU_MEM_HOST);
}

EXPORT int cuMemHostRegister_v2(void *p, size_t bytes, unsigned flags)
{
    return gpu_register_host(p, bytes, flags);
}

EXPORT int cuMemHostUnregister(void *p)
{
    return gpu_unregister_host(p);
}

EXPORT int cuMemHostGetDevicePointer_v2(DevPtr *out, void *p, unsigned flags)
{
    (void)flags;
    if (!out || gpu_range((uintptr_t)p).kind == GPU_MEM_NONE)
        return GPU_INVALID_VALUE;
    *out = (uintptr_t)p;
    return GPU_OK;
}

EXPORT int cuMemHostGetFlags(unsigned *flags, void *p)
{
    GpuRange r = gpu_range((uintptr_t)p);
    if (!flags || r.kind != GPU_MEM_HOST)
        return GPU_INVALID_VALUE;
    *flags = r.flags | 2; /* CU_MEMHOSTALLOC_DEVICEMAP always holds with unified addressing */
    return GPU_OK;
}

EXPORT int cuMemGetInfo_v2(size_t *free_bytes, size_t *total)
{
    uint64_t f, t;
    GpuError e = gpu_memory_info(&f, &t);
    if (free_bytes)
        *free_bytes = f;
    if (total)
        *total = t;
    return e;
}

EXPORT int cuMemGetAddressRange_v2(DevPtr *start, size_t *bytes, DevPtr p)
{
    GpuRange r = gpu_range(p);
    if (r.kind == GPU_MEM_NONE)
        return GPU_NOT_FOUND;
    if (start)
        *start = r.start;
    if (bytes)
        *bytes = r.bytes;
    return GPU_OK;
}

/* ---- Attributes of pointers ---- */

enum { /* CUpointer_attribute, those that are known */
       PA_CONTEXT = 1,
       PA_MEMORY_TYPE = 2,
       PA_DEVICE_POINTER = 3,
       PA_HOST_POINTER = 4,
       PA_SYNC_MEMOPS = 6,
       PA_BUFFER_ID = 7,
       PA_IS_MANAGED = 8,
       PA_DEVICE = 9,
       PA_IPC = 10,
       PA_START = 11,
       PA_BYTES = 12,
       PA_MAPPED = 13,
       PA_HANDLE_TYPES = 14,
       PA_RDMA = 15,
       PA_ACCESS = 16,
       PA_POOL = 17,
       PA_MAPPING_BYTES = 18,
       PA_MAPPING_START = 19,
       PA_BLOCK_ID = 20,
};

static void put(void *out, uint64_t value, size_t bytes)
{
    memcpy(out, &value, bytes);
}

static int pointer_attribute(void *out, int attribute, DevPtr p, const GpuRange *r)
{
    enum { HOST = 1, DEVICE = 2, READ_WRITE = 3 };
    switch (attribute) {
    case PA_MEMORY_TYPE:
        put(out, r->kind == GPU_MEM_HOST ? HOST : DEVICE, 4);
        return GPU_OK;
    case PA_DEVICE_POINTER:
        put(out, p, 8);
        return GPU_OK;
    case PA_HOST_POINTER:
        if (r->kind == GPU_MEM_DEVICE)
            return GPU_INVALID_VALUE;
        put(out, p, 8);
        return GPU_OK;
    case PA_CONTEXT:
    case PA_POOL:
        put(out, 0, 8);
        return GPU_OK;
    case PA_BUFFER_ID:
    case PA_BLOCK_ID:
        put(out, r->id, 8);
        return GPU_OK;
    case PA_IS_MANAGED:
        put(out, r->kind == GPU_MEM_MANAGED, 1);
        return GPU_OK;
    case PA_START:
    case PA_MAPPING_START:
        put(out, r->start, 8);
        return GPU_OK;
    case PA_BYTES:
    case PA_MAPPING_BYTES:
        put(out, r->bytes, 8);
        return GPU_OK;
    case PA_MAPPED:
        put(out, 1, 1);
        return GPU_OK;
    case PA_IPC:
    case PA_RDMA:
    case PA_SYNC_MEMOPS:
        put(out, 0, 1);
        return GPU_OK;
    case PA_DEVICE:
        put(out, 0, 4);
        return GPU_OK;
    case PA_HANDLE_TYPES:
        put(out, 0, 8);
        return GPU_OK;
    case PA_ACCESS:
        put(out, READ_WRITE, 4);
        return GPU_OK;
    default:
        return GPU_INVALID_VALUE;
    }
}

EXPORT int cuPointerGetAttribute(void *out, int attribute, DevPtr p)
{
    GpuRange r = gpu_range(p);
    if (!out || r.kind == GPU_MEM_NONE)
        return GPU_INVALID_VALUE;
    return pointer_attribute(out, attribute, p, &r);
}

/* Unknown pointers give zeros, not an error. */
EXPORT int cuPointerGetAttributes(unsigned n, const int *attributes, void **out, DevPtr p)
{
    GpuRange r = gpu_range(p);
    if (n && (!attributes || !out))
        return GPU_INVALID_VALUE;
    for (unsigned i = 0; i < n; i++) {
        int a = attributes[i];
        if (r.kind != GPU_MEM_NONE)
            pointer_attribute(out[i], a, p, &r);
        else if (a == PA_DEVICE)
            put(out[i], (uint64_t)-2, 4); /* CU_DEVICE_INVALID */
        else
            put(out[i], 0, a == PA_MEMORY_TYPE || a == PA_ACCESS ? 4 : a == PA_IS_MANAGED ? 1 : 8);
    }
    return GPU_OK;
}

EXPORT int cuPointerSetAttribute(const void *value, int attribute, DevPtr p)
{
    return value && attribute == PA_SYNC_MEMOPS && gpu_range(p).kind != GPU_MEM_NONE
               ? GPU_OK
               : GPU_INVALID_VALUE;
}

/* ---- Copies ---- */

EXPORT int cuMemcpyAsync(DevPtr dst, DevPtr src, size_t n, void *stream)
{
    return gpu_copy_bytes(dst, src, n, COPY_DEFAULT, stream_handle(stream));
}
ALIAS(cuMemcpyAsync, cuMemcpyAsync_ptsz);
/* With unified addresses the kinds of copies differ in name only. */
ALIAS(cuMemcpyAsync, cuMemcpyHtoDAsync_v2);
ALIAS(cuMemcpyAsync, cuMemcpyHtoDAsync_v2_ptsz);
ALIAS(cuMemcpyAsync, cuMemcpyDtoHAsync_v2);
ALIAS(cuMemcpyAsync, cuMemcpyDtoHAsync_v2_ptsz);
ALIAS(cuMemcpyAsync, cuMemcpyDtoDAsync_v2);
ALIAS(cuMemcpyAsync, cuMemcpyDtoDAsync_v2_ptsz);

EXPORT int cuMemcpy(DevPtr dst, DevPtr src, size_t n)
{
    return cuMemcpyAsync(dst, src, n, NULL);
}
ALIAS(cuMemcpy, cuMemcpy_ptds);
ALIAS(cuMemcpy, cuMemcpyHtoD_v2);
ALIAS(cuMemcpy, cuMemcpyHtoD_v2_ptds);
ALIAS(cuMemcpy, cuMemcpyDtoH_v2);
ALIAS(cuMemcpy, cuMemcpyDtoH_v2_ptds);
ALIAS(cuMemcpy, cuMemcpyDtoD_v2);
ALIAS(cuMemcpy, cuMemcpyDtoD_v2_ptds);

enum { TYPE_HOST = 1, TYPE_DEVICE = 2, TYPE_ARRAY = 3, TYPE_UNIFIED = 4 };

static uint64_t base_of(int type, const void *host, DevPtr device)
{
    return type == TYPE_HOST ? (uintptr_t)host : device;
}

EXPORT int cuMemcpy3DAsync_v2(const CuCopy3d *p, void *stream)
{
    if (!p)
        return GPU_INVALID_VALUE;
    if (p->src_type == TYPE_ARRAY || p->dst_type == TYPE_ARRAY)
        return gpu_refuse("cuMemcpy3D", "copying arrays");
    uint64_t src_slice = p->src_pitch * p->src_height, dst_slice = p->dst_pitch * p->dst_height;
    GpuCopy c = {.src = {.at = base_of(p->src_type, p->src_host, p->src_device) +
                               p->src_z * src_slice + p->src_y * p->src_pitch + p->src_x,
                         .pitch = p->src_pitch,
                         .slice = src_slice},
                 .dst = {.at = base_of(p->dst_type, p->dst_host, p->dst_device) +
                               p->dst_z * dst_slice + p->dst_y * p->dst_pitch + p->dst_x,
                         .pitch = p->dst_pitch,
                         .slice = dst_slice},
                 .width = p->width,
                 .height = p->height,
                 .depth = p->depth,
                 .kind = COPY_DEFAULT};
    return gpu_copy(&c, stream_handle(stream));
}
ALIAS(cuMemcpy3DAsync_v2, cuMemcpy3DAsync_v2_ptsz);

EXPORT int cuMemcpy3D_v2(const CuCopy3d *p)
{
    return cuMemcpy3DAsync_v2(p, NULL);
}
ALIAS(cuMemcpy3D_v2, cuMemcpy3D_v2_ptds);

EXPORT int cuMemcpy2DAsync_v2(const CuCopy2d *p, void *stream)
{
    if (!p)
        return GPU_INVALID_VALUE;
    size_t src_pitch = p->src_pitch ? p->src_pitch : p->width;
    size_t dst_pitch = p->dst_pitch ? p->dst_pitch : p->width;
    CuCopy3d c = {.src_x = p->src_x,
                  .src_y = p->src_y,
                  .src_type = p->src_type,
                  .src_host = p->src_host,
                  .src_device = p->src_device,
                  .src_pitch = src_pitch,
                  .dst_x = p->dst_x,
                  .dst_y = p->dst_y,
                  .dst_type = p->dst_type,
                  .dst_host = p->dst_host,
                  .dst_device = p->dst_device,
                  .dst_pitch = dst_pitch,
                  .width = p->width,
                  .height = p->height,
                  .depth = 1};
    return cuMemcpy3DAsync_v2(&c, stream);
}
ALIAS(cuMemcpy2DAsync_v2, cuMemcpy2DAsync_v2_ptsz);

EXPORT int cuMemcpy2D_v2(const CuCopy2d *p)
{
    return cuMemcpy2DAsync_v2(p, NULL);
}
ALIAS(cuMemcpy2D_v2, cuMemcpy2D_v2_ptds);
ALIAS(cuMemcpy2D_v2, cuMemcpy2DUnaligned_v2);
ALIAS(cuMemcpy2D_v2, cuMemcpy2DUnaligned_v2_ptds);

/* ---- Fills: D8, D16, D32, of one row and of many ---- */

static int fill(DevPtr dst, size_t pitch, uint32_t value, uint32_t elem, size_t width,
                size_t height, void *stream)
{
    GpuFill f = {.dst = {.at = dst, .pitch = pitch},
                 .width = width,
                 .height = height,
                 .depth = 1,
                 .value = value,
                 .elem_bytes = elem};
    return gpu_fill(&f, stream_handle(stream));
}

#define FILLS(suffix, T)                                                                           \
    EXPORT int cuMemset##suffix##Async(DevPtr dst, T value, size_t n, void *stream)                \
    {                                                                                              \
        return fill(dst, 0, value, sizeof(T), n, 1, stream);                                       \
    }                                                                                              \
    ALIAS(cuMemset##suffix##Async, cuMemset##suffix##Async_ptsz);                                  \
    EXPORT int cuMemset##suffix##_v2(DevPtr dst, T value, size_t n)                                \
    {                                                                                              \
        return fill(dst, 0, value, sizeof(T), n, 1, NULL);                                         \
    }                                                                                              \
    ALIAS(cuMemset##suffix##_v2, cuMemset##suffix##_v2_ptds)

#define FILLS_2D(suffix, T)                                                                        \
    EXPORT int cuMemset##suffix##Async(DevPtr dst, size_t pitch, T value, size_t width,            \
                                       size_t height, void *stream)                                \
    {                                                                                              \
        return fill(dst, pitch, value, sizeof(T), width, height, stream);                          \
    }                                                                                              \
    ALIAS(cuMemset##suffix##Async, cuMemset##suffix##Async_ptsz);                                  \
    EXPORT int cuMemset##suffix##_v2(DevPtr dst, size_t pitch, T value, size_t width,              \
                                     size_t height)                                                \
    {                                                                                              \
        return fill(dst, pitch, value, sizeof(T), width, height, NULL);                            \
    }                                                                                              \
    ALIAS(cuMemset##suffix##_v2, cuMemset##suffix##_v2_ptds)

FILLS(D8, uint8_t);
FILLS(D16, uint16_t);
FILLS(D32, uint32_t);
FILLS_2D(D2D8, uint8_t);
FILLS_2D(D2D16, uint16_t);
FILLS_2D(D2D32, uint32_t);

/* ---- Pools: one, without limits ---- */

static char the_pool; /* its address is the handle */

EXPORT int cuDeviceGetDefaultMemPool(void **pool, int device)
{
    if (!pool || device != 0)
        return device ? GPU_INVALID_DEVICE : GPU_INVALID_VALUE;
    *pool = &the_pool;
    return GPU_OK;
}
ALIAS(cuDeviceGetDefaultMemPool, cuDeviceGetMemPool);

EXPORT int cuMemPoolCreate(void **pool, const MemPoolProps *props)
{
    if (!pool || !props)
        return GPU_INVALID_VALUE;
    *pool = &the_pool;
    return GPU_OK;
}

EXPORT int cuMemPoolDestroy(void *pool)
{
    return pool ? GPU_OK : GPU_INVALID_VALUE;
}

EXPORT int cuMemPoolTrimTo(void *pool, size_t bytes)
{
    (void)bytes;
    return pool ? GPU_OK : GPU_INVALID_VALUE;
}

EXPORT int cuMemPoolSetAttribute(void *pool, int attribute, void *value)
{
    (void)attribute;
    return pool && value ? GPU_OK : GPU_INVALID_VALUE;
}
