/* libcudart: errors, versions, the device. */
#include <string.h>
#include <stdio.h>

#include "sim/cuda/cu.h"
#include "sim/cuda/rt.h"

static _Thread_local GpuError last_error;

int rt_ret(GpuError e)
{
    if (e != GPU_OK && e != GPU_NOT_READY)
        last_error = e;
    return (int)e;
}

EXPORT int cudaGetLastError(void)
{
    GpuError e = last_error, sticky = gpu_check();
    last_error = GPU_OK;
    return (int)(sticky ? sticky : e);
}

EXPORT int cudaPeekAtLastError(void)
{
    GpuError sticky = gpu_check();
    return (int)(sticky ? sticky : last_error);
}

EXPORT const char *cudaGetErrorName(int e)
{
    const char *name = gpu_error_runtime_name(e);
    return name ? name : "unrecognized error code";
}

EXPORT const char *cudaGetErrorString(int e)
{
    const char *text = gpu_error_text(e);
    return text ? text : "unrecognized error code";
}

static GpuError version(int *out)
{
    if (!out)
        return GPU_INVALID_VALUE;
    *out = GPU_CUDA_VERSION;
    return GPU_OK;
}

EXPORT int cudaDriverGetVersion(int *out)
{
    return rt_ret(version(out));
}

EXPORT int cudaRuntimeGetVersion(int *out)
{
    return rt_ret(version(out));
}

/* ---- The device: number 0, and no other ---- */

EXPORT int cudaGetDeviceCount(int *n)
{
    if (!n)
        return rt_ret(GPU_INVALID_VALUE);
    *n = 1;
    return rt_ret(gpu_check());
}

EXPORT int cudaGetDevice(int *device)
{
    if (!device)
        return rt_ret(GPU_INVALID_VALUE);
    *device = 0;
    return GPU_OK;
}

EXPORT int cudaSetDevice(int device)
{
    return rt_ret(device == 0 ? gpu_check() : GPU_INVALID_DEVICE);
}

EXPORT int cudaInitDevice(int device, unsigned device_flags, unsigned flags)
{
    (void)device_flags, (void)flags;
    return cudaSetDevice(device);
}

EXPORT int cudaSetDeviceFlags(unsigned flags)
{
    (void)flags;
    return rt_ret(gpu_check());
}

EXPORT int cudaGetDeviceFlags(unsigned *flags)
{
    if (!flags)
        return rt_ret(GPU_INVALID_VALUE);
    *flags = 0;
    return GPU_OK;
}

EXPORT int cudaSetValidDevices(int *devices, int n)
{
    for (int i = 0; i < n; i++)
        if (devices[i] != 0)
            return rt_ret(GPU_INVALID_DEVICE);
    return GPU_OK;
}

EXPORT int cudaChooseDevice(int *device, const void *wanted)
{
    (void)wanted;
    return cudaGetDevice(device);
}

EXPORT int cudaDeviceGetAttribute(int *value, int attribute, int device)
{
    if (!value || device != 0)
        return rt_ret(value ? GPU_INVALID_DEVICE : GPU_INVALID_VALUE);
    return rt_ret(gpu_attribute(attribute, value));
}

EXPORT int cudaGetDeviceProperties(void *prop, int device)
{
    enum { PROP_BYTES = 1008, AT_UUID = 256, AT_TOTAL = 288, NAME_BYTES = 256 };
    char *p = prop;
    if (!prop || device != 0)
        return rt_ret(prop ? GPU_INVALID_DEVICE : GPU_INVALID_VALUE);
    memset(p, 0, PROP_BYTES);
    snprintf(p, NAME_BYTES, "%s", gpu_name());
    gpu_uuid((uint8_t *)p + AT_UUID);
    uint64_t total = gpu_total_memory();
    memcpy(p + AT_TOTAL, &total, sizeof total);
    static const struct {
        uint16_t at, bytes, attribute;
    } fields[] = {
#define PROP(at, bytes, attribute) {at, bytes, attribute},
#include "sim/cuda/prop.def"
#undef PROP
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        int v;
        gpu_attribute(fields[i].attribute, &v);
        int64_t wide = v;
        memcpy(p + fields[i].at, &wide, fields[i].bytes);
    }
    return rt_ret(gpu_check());
}

EXPORT int cudaDeviceGetPCIBusId(char *id, int n, int device)
{
    if (!id || n <= 0 || device != 0)
        return rt_ret(device ? GPU_INVALID_DEVICE : GPU_INVALID_VALUE);
    gpu_pci_id(id, (size_t)n);
    return GPU_OK;
}

EXPORT int cudaDeviceGetByPCIBusId(int *device, const char *id)
{
    if (!device || !id)
        return rt_ret(GPU_INVALID_VALUE);
    *device = 0;
    return rt_ret(gpu_is_pci_id(id) ? GPU_OK : GPU_INVALID_DEVICE);
}

EXPORT int cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
    gpu_priorities(least, greatest);
    return GPU_OK;
}

EXPORT int cudaDeviceSynchronize(void)
{
    return rt_ret(gpu_check());
}

EXPORT int cudaDeviceReset(void)
{
    return rt_ret(gpu_check());
}

EXPORT int cudaDeviceSetLimit(int limit, size_t value)
{
    return rt_ret(gpu_set_limit(limit, value));
}

EXPORT int cudaDeviceGetLimit(size_t *value, int limit)
{
    return rt_ret(gpu_get_limit(limit, value));
}

EXPORT int cudaDeviceGetCacheConfig(int *config)
{
    if (!config)
        return rt_ret(GPU_INVALID_VALUE);
    *config = 0;
    return GPU_OK;
}
ALIAS(cudaDeviceGetCacheConfig, cudaDeviceGetSharedMemConfig);

EXPORT int cudaDeviceSetCacheConfig(int config)
{
    (void)config;
    return GPU_OK;
}
ALIAS(cudaDeviceSetCacheConfig, cudaDeviceSetSharedMemConfig);

EXPORT int cudaCtxResetPersistingL2Cache(void)
{
    return rt_ret(gpu_check());
}

EXPORT int cudaDeviceFlushGPUDirectRDMAWrites(int target, int scope)
{
    (void)target, (void)scope;
    return rt_ret(gpu_check());
}

EXPORT int cudaDeviceCanAccessPeer(int *can, int device, int peer)
{
    if (!can || device != 0 || peer != 0)
        return rt_ret(can ? GPU_INVALID_DEVICE : GPU_INVALID_VALUE);
    *can = 0;
    return GPU_OK;
}

EXPORT int cudaDeviceEnablePeerAccess(int peer, unsigned flags)
{
    (void)peer, (void)flags;
    return rt_ret(GPU_INVALID_DEVICE);
}

EXPORT int cudaDeviceDisablePeerAccess(int peer)
{
    (void)peer;
    return rt_ret(GPU_INVALID_DEVICE);
}

EXPORT int cudaProfilerStart(void)
{
    return GPU_OK;
}

EXPORT int cudaProfilerStop(void)
{
    return GPU_OK;
}

/* ---- Entry points of the driver ---- */

static int entry_point(const char *name, void **fn, unsigned cuda_version, uint64_t flags,
                       int *found)
{
    int status;
    if (!name || !fn)
        return rt_ret(GPU_INVALID_VALUE);
    int e = cuGetProcAddress_v2(name, fn, (int)cuda_version, flags, &status);
    if (found)
        *found = status;
    /* The runtime reports an unknown name through *found. */
    return rt_ret(e == GPU_NOT_FOUND ? GPU_OK : (GpuError)e);
}

EXPORT int cudaGetDriverEntryPointByVersion(const char *name, void **fn, unsigned cuda_version,
                                            unsigned long long flags, int *found)
{
    return entry_point(name, fn, cuda_version, flags, found);
}
ALIAS(cudaGetDriverEntryPointByVersion, cudaGetDriverEntryPointByVersion_ptsz);

EXPORT int cudaGetDriverEntryPoint(const char *name, void **fn, unsigned long long flags,
                                   int *found)
{
    return entry_point(name, fn, GPU_CUDA_VERSION, flags, found);
}
ALIAS(cudaGetDriverEntryPoint, cudaGetDriverEntryPoint_ptsz);

/* Undocumented tables are left alone. */
EXPORT int cudaGetExportTable(const void **table, const void *id)
{
    (void)id;
    if (table)
        *table = NULL;
    return rt_ret(gpu_missing("cudaGetExportTable"));
}
