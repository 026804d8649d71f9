/* libcuda: start, errors, the device, contexts. There is one device and one context; creating
 * another gives the same one again. */
#include <stdio.h>
#include <string.h>

#include "sim/cuda/abi.h"
#include "sim/cuda/cu.h"

/* ---- Start and errors ---- */

EXPORT int cuInit(unsigned flags)
{
    return flags ? GPU_INVALID_VALUE : gpu_check();
}

EXPORT int cuDriverGetVersion(int *version)
{
    if (!version)
        return GPU_INVALID_VALUE;
    *version = GPU_CUDA_VERSION;
    return GPU_OK;
}

EXPORT int cuGetErrorName(int error, const char **name)
{
    if (!name)
        return GPU_INVALID_VALUE;
    *name = gpu_error_driver_name(error);
    return *name ? GPU_OK : GPU_INVALID_VALUE;
}

EXPORT int cuGetErrorString(int error, const char **text)
{
    if (!text)
        return GPU_INVALID_VALUE;
    *text = gpu_error_text(error);
    return *text ? GPU_OK : GPU_INVALID_VALUE;
}

/* Undocumented tables are left alone. */
EXPORT int cuGetExportTable(const void **table, const void *id)
{
    (void)id;
    if (table)
        *table = NULL;
    return gpu_missing(
        "cuGetExportTable, which a library with NVIDIA's runtime in it calls (cuBLAS, NCCL ...: "
        "machine code, which does not run here),");
}

/* ---- The device ---- */

EXPORT int cuDeviceGet(int *device, int ordinal)
{
    if (!device || ordinal != 0)
        return device ? GPU_INVALID_DEVICE : GPU_INVALID_VALUE;
    *device = 0;
    return GPU_OK;
}

EXPORT int cuDeviceGetCount(int *n)
{
    if (!n)
        return GPU_INVALID_VALUE;
    *n = 1;
    return GPU_OK;
}

EXPORT int cuDeviceGetName(char *name, int n, int device)
{
    if (!name || n <= 0 || device != 0)
        return device ? GPU_INVALID_DEVICE : GPU_INVALID_VALUE;
    snprintf(name, (size_t)n, "%s", gpu_name());
    return GPU_OK;
}

EXPORT int cuDeviceGetUuid_v2(uint8_t *uuid, int device)
{
    if (!uuid || device != 0)
        return device ? GPU_INVALID_DEVICE : GPU_INVALID_VALUE;
    gpu_uuid(uuid);
    return GPU_OK;
}
ALIAS(cuDeviceGetUuid_v2, cuDeviceGetUuid);

EXPORT int cuDeviceTotalMem_v2(size_t *bytes, int device)
{
    if (!bytes || device != 0)
        return device ? GPU_INVALID_DEVICE : GPU_INVALID_VALUE;
    *bytes = gpu_total_memory();
    return GPU_OK;
}

EXPORT int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    if (!value || device != 0)
        return device ? GPU_INVALID_DEVICE : GPU_INVALID_VALUE;
    return gpu_attribute(attribute, value);
}

EXPORT int cuDeviceComputeCapability(int *major, int *minor, int device)
{
    enum { MAJOR = 75, MINOR = 76 };
    if (!major || !minor || device != 0)
        return device ? GPU_INVALID_DEVICE : GPU_INVALID_VALUE;
    gpu_attribute(MAJOR, major);
    return gpu_attribute(MINOR, minor);
}

EXPORT int cuDeviceGetPCIBusId(char *id, int n, int device)
{
    if (!id || n <= 0 || device != 0)
        return device ? GPU_INVALID_DEVICE : GPU_INVALID_VALUE;
    gpu_pci_id(id, (size_t)n);
    return GPU_OK;
}

EXPORT int cuDeviceGetByPCIBusId(int *device, const char *id)
{
    if (!device || !id)
        return GPU_INVALID_VALUE;
    *device = 0;
    return gpu_is_pci_id(id) ? GPU_OK : GPU_INVALID_DEVICE;
}

EXPORT int cuDeviceCanAccessPeer(int *can, int device, int peer)
{
    if (!can || device != 0 || peer != 0)
        return can ? GPU_INVALID_DEVICE : GPU_INVALID_VALUE;
    *can = 0;
    return GPU_OK;
}

/* ---- Contexts ---- */

typedef struct Context {
    unsigned flags;
} Context;
static Context the_context;

enum { STACK = 64 };
static _Thread_local Context *stack[STACK]; /* the current one is on top */
static _Thread_local int depth;

static Context *current(void)
{
    return depth ? stack[depth - 1] : NULL;
}

EXPORT int cuDevicePrimaryCtxRetain(void **ctx, int device)
{
    if (!ctx || device != 0)
        return device ? GPU_INVALID_DEVICE : GPU_INVALID_VALUE;
    *ctx = &the_context;
    return gpu_check();
}

EXPORT int cuDevicePrimaryCtxRelease_v2(int device)
{
    return device ? GPU_INVALID_DEVICE : GPU_OK;
}
ALIAS(cuDevicePrimaryCtxRelease_v2, cuDevicePrimaryCtxRelease);
ALIAS(cuDevicePrimaryCtxRelease_v2, cuDevicePrimaryCtxReset_v2);
ALIAS(cuDevicePrimaryCtxRelease_v2, cuDevicePrimaryCtxReset);

EXPORT int cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags)
{
    if (device)
        return GPU_INVALID_DEVICE;
    __atomic_store_n(&the_context.flags, flags, __ATOMIC_RELAXED);
    return GPU_OK;
}
ALIAS(cuDevicePrimaryCtxSetFlags_v2, cuDevicePrimaryCtxSetFlags);

EXPORT int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active)
{
    if (device || !flags || !active)
        return device ? GPU_INVALID_DEVICE : GPU_INVALID_VALUE;
    *flags = __atomic_load_n(&the_context.flags, __ATOMIC_RELAXED);
    *active = 1;
    return GPU_OK;
}

EXPORT int cuCtxPushCurrent_v2(void *ctx)
{
    if (depth == STACK)
        return GPU_OUT_OF_MEMORY;
    stack[depth++] = ctx;
    return GPU_OK;
}

EXPORT int cuCtxPopCurrent_v2(void **ctx)
{
    if (depth == 0)
        return GPU_INVALID_CONTEXT;
    Context *top = stack[--depth];
    if (ctx)
        *ctx = top;
    return GPU_OK;
}

EXPORT int cuCtxSetCurrent(void *ctx)
{
    if (depth > 0)
        depth--;
    return ctx ? cuCtxPushCurrent_v2(ctx) : GPU_OK;
}

EXPORT int cuCtxGetCurrent(void **ctx)
{
    if (!ctx)
        return GPU_INVALID_VALUE;
    *ctx = current();
    return GPU_OK;
}

EXPORT int cuCtxCreate_v2(void **ctx, unsigned flags, int device)
{
    (void)flags;
    if (!ctx || device != 0)
        return device ? GPU_INVALID_DEVICE : GPU_INVALID_VALUE;
    *ctx = &the_context;
    int e = cuCtxPushCurrent_v2(*ctx);
    return e ? e : gpu_check();
}

EXPORT int cuCtxCreate_v3(void **ctx, const void *affinity, int n, unsigned flags, int device)
{
    (void)affinity, (void)n;
    return cuCtxCreate_v2(ctx, flags, device);
}

EXPORT int cuCtxCreate_v4(void **ctx, const void *params, unsigned flags, int device)
{
    (void)params;
    return cuCtxCreate_v2(ctx, flags, device);
}

EXPORT int cuCtxDestroy_v2(void *ctx)
{
    if (!ctx)
        return GPU_INVALID_CONTEXT;
    if (current() == ctx)
        depth--;
    return GPU_OK;
}

EXPORT int cuCtxGetDevice(int *device)
{
    if (!device)
        return GPU_INVALID_VALUE;
    *device = 0;
    return current() ? GPU_OK : GPU_INVALID_CONTEXT;
}

EXPORT int cuCtxGetDevice_v2(int *device, void *ctx)
{
    if (!device)
        return GPU_INVALID_VALUE;
    *device = 0;
    return ctx || current() ? GPU_OK : GPU_INVALID_CONTEXT;
}

EXPORT int cuCtxGetFlags(unsigned *flags)
{
    if (!flags)
        return GPU_INVALID_VALUE;
    *flags = __atomic_load_n(&the_context.flags, __ATOMIC_RELAXED);
    return GPU_OK;
}

EXPORT int cuCtxGetId(void *ctx, unsigned long long *id)
{
    if (!id)
        return GPU_INVALID_VALUE;
    *id = 1;
    return ctx || current() ? GPU_OK : GPU_INVALID_CONTEXT;
}

EXPORT int cuCtxGetApiVersion(void *ctx, unsigned *version)
{
    (void)ctx;
    if (!version)
        return GPU_INVALID_VALUE;
    *version = GPU_CUDA_VERSION;
    return GPU_OK;
}

EXPORT int cuCtxSynchronize(void)
{
    return gpu_check();
}

EXPORT int cuCtxSynchronize_v2(void *ctx)
{
    (void)ctx;
    return gpu_check();
}

EXPORT int cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
    gpu_priorities(least, greatest);
    return GPU_OK;
}

EXPORT int cuCtxSetLimit(int limit, size_t value)
{
    return gpu_set_limit(limit, value);
}

EXPORT int cuCtxGetLimit(size_t *value, int limit)
{
    return gpu_get_limit(limit, value);
}

EXPORT int cuCtxSetCacheConfig(int config)
{
    (void)config;
    return GPU_OK;
}
ALIAS(cuCtxSetCacheConfig, cuCtxSetSharedMemConfig);

EXPORT int cuCtxGetCacheConfig(int *config)
{
    if (!config)
        return GPU_INVALID_VALUE;
    *config = 0;
    return GPU_OK;
}
ALIAS(cuCtxGetCacheConfig, cuCtxGetSharedMemConfig);

EXPORT int cuCtxResetPersistingL2Cache(void)
{
    return GPU_OK;
}

EXPORT int cuProfilerStart(void)
{
    return GPU_OK;
}

EXPORT int cuProfilerStop(void)
{
    return GPU_OK;
}
