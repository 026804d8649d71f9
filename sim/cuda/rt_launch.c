/* libcudart: launches, attributes of functions, occupancy, libraries. */
#include "sim/cuda/rt.h"

#include <string.h>

static GpuLaunch make_launch(const void *func, Dim3 grid, Dim3 block, void **args, size_t shared,
                             void *stream)
{
    return (GpuLaunch){.kernel = rt_kernel(func),
                       .grid = {grid.x, grid.y, grid.z},
                       .block = {block.x, block.y, block.z},
                       .shared = shared > UINT32_MAX ? UINT32_MAX : (uint32_t)shared,
                       .params = args,
                       .stream = stream_handle(stream)};
}

/* The runtime's words for what the driver refuses. */
static GpuError run(const GpuLaunch *l)
{
    if (!l->kernel)
        return rt_no_kernel();
    uint64_t grid = (uint64_t)l->grid[0] * l->grid[1] * l->grid[2];
    uint64_t block = (uint64_t)l->block[0] * l->block[1] * l->block[2];
    enum { MAX_THREADS = 1024, MAX_GRID_YZ = 65535 };
    if (grid == 0 || block == 0 || block > MAX_THREADS || l->grid[1] > MAX_GRID_YZ ||
        l->grid[2] > MAX_GRID_YZ)
        return GPU_INVALID_CONFIGURATION;
    return gpu_launch(l);
}

EXPORT int cudaLaunchKernel(const void *func, Dim3 grid, Dim3 block, void **args, size_t shared,
                            void *stream)
{
    GpuLaunch l = make_launch(func, grid, block, args, shared, stream);
    return rt_ret(run(&l));
}
ALIAS(cudaLaunchKernel, cudaLaunchKernel_ptsz);
ALIAS(cudaLaunchKernel, __cudaLaunchKernel); /* takes the handle of __cudaGetKernel */
ALIAS(cudaLaunchKernel, __cudaLaunchKernel_ptsz);

EXPORT int cudaLaunchCooperativeKernel(const void *func, Dim3 grid, Dim3 block, void **args,
                                       size_t shared, void *stream)
{
    GpuLaunch l = make_launch(func, grid, block, args, shared, stream);
    l.cooperative = true;
    return rt_ret(run(&l));
}
ALIAS(cudaLaunchCooperativeKernel, cudaLaunchCooperativeKernel_ptsz);

EXPORT int cudaLaunchKernelExC(const RtLaunchConfig *c, const void *func, void **args)
{
    GpuEvent *after;
    if (!c)
        return rt_ret(GPU_INVALID_VALUE);
    GpuLaunch l = make_launch(func, c->grid, c->block, args, c->shared, c->stream);
    GpuError e = launch_attrs(c->attrs, c->n_attrs, &l, &after);
    if (!e)
        e = run(&l);
    if (!e && after)
        e = gpu_event_record(after, l.stream);
    return rt_ret(e);
}
ALIAS(cudaLaunchKernelExC, cudaLaunchKernelExC_ptsz);

/* ---- Attributes ---- */

EXPORT int cudaFuncGetAttributes(RtFuncAttributes *out, const void *func)
{
    GpuKernel *k = rt_kernel(func);
    enum { N = 16 };
    int v[N];
    if (!out)
        return rt_ret(GPU_INVALID_VALUE);
    if (!k)
        return rt_ret(rt_no_kernel());
    for (int i = 0; i < N; i++) {
        GpuError e = gpu_kernel_attribute(k, i, &v[i]);
        if (e)
            return rt_ret(e);
    }
    *out = (RtFuncAttributes){.max_threads = v[0],
                              .shared_bytes = (size_t)v[1],
                              .const_bytes = (size_t)v[2],
                              .local_bytes = (size_t)v[3],
                              .registers = v[4],
                              .ptx_version = v[5],
                              .binary_version = v[6],
                              .cache_mode_ca = v[7],
                              .max_dynamic_shared = v[8],
                              .carveout = v[9],
                              .cluster_must_be_set = v[10],
                              .cluster = {v[11], v[12], v[13]},
                              .big_cluster = v[14],
                              .cluster_policy = v[15]};
    return GPU_OK;
}

EXPORT int cudaFuncSetAttribute(const void *func, int attribute, int value)
{
    GpuKernel *k = rt_kernel(func);
    return rt_ret(k ? gpu_kernel_set_attribute(k, attribute, value) : rt_no_kernel());
}

EXPORT int cudaKernelSetAttributeForDevice(void *kernel, int attribute, int value, int device)
{
    return device == 0 ? cudaFuncSetAttribute(kernel, attribute, value)
                       : rt_ret(GPU_INVALID_DEVICE);
}

EXPORT int cudaFuncSetCacheConfig(const void *func, int config)
{
    (void)config;
    return rt_ret(rt_kernel(func) ? GPU_OK : rt_no_kernel());
}
ALIAS(cudaFuncSetCacheConfig, cudaFuncSetSharedMemConfig);

EXPORT int cudaFuncGetName(const char **name, const void *func)
{
    GpuKernel *k = rt_kernel(func);
    if (!name || !k)
        return rt_ret(name ? rt_no_kernel() : GPU_INVALID_VALUE);
    *name = gpu_kernel_name(k);
    return GPU_OK;
}

EXPORT int cudaFuncGetParamInfo(const void *func, size_t i, size_t *offset, size_t *bytes)
{
    GpuKernel *k = rt_kernel(func);
    return rt_ret(k ? gpu_kernel_param(k, i, offset, bytes) : rt_no_kernel());
}

/* ---- Occupancy ---- */

EXPORT int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n, const void *func,
                                                                  int threads, size_t shared,
                                                                  unsigned flags)
{
    (void)flags;
    GpuKernel *k = rt_kernel(func);
    uint32_t ctas = 0;
    if (!n || !k || threads <= 0)
        return rt_ret(k ? GPU_INVALID_VALUE : rt_no_kernel());
    GpuError e = gpu_occupancy(k, (uint32_t)threads, shared, &ctas);
    *n = (int)ctas;
    return rt_ret(e);
}

EXPORT int cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *n, const void *func, int threads,
                                                         size_t shared)
{
    return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(n, func, threads, shared, 0);
}

EXPORT int cudaOccupancyAvailableDynamicSMemPerBlock(size_t *bytes, const void *func, int n,
                                                     int threads)
{
    GpuKernel *k = rt_kernel(func);
    if (!bytes || !k || n <= 0 || threads <= 0)
        return rt_ret(k ? GPU_INVALID_VALUE : rt_no_kernel());
    return rt_ret(gpu_available_shared(k, (uint32_t)n, (uint32_t)threads, bytes));
}

static GpuError clusters_of(const RtLaunchConfig *c, const void *func, GpuLaunch *l, uint32_t *n)
{
    GpuEvent *after;
    if (!c)
        return GPU_INVALID_VALUE;
    *l = make_launch(func, c->grid, c->block, NULL, c->shared, NULL);
    if (!l->kernel)
        return rt_no_kernel();
    GpuError e = launch_attrs(c->attrs, c->n_attrs, l, &after);
    return e ? e : gpu_max_clusters(l, n);
}

EXPORT int cudaOccupancyMaxActiveClusters(int *n, const void *func, const RtLaunchConfig *c)
{
    GpuLaunch l;
    uint32_t clusters = 0;
    GpuError e = n ? clusters_of(c, func, &l, &clusters) : GPU_INVALID_VALUE;
    if (!e)
        *n = (int)clusters;
    return rt_ret(e);
}

EXPORT int cudaOccupancyMaxPotentialClusterSize(int *size, const void *func,
                                                const RtLaunchConfig *c)
{
    GpuLaunch l;
    uint32_t n;
    if (!size || !c)
        return rt_ret(GPU_INVALID_VALUE);
    for (uint32_t s = 16; s >= 1; s /= 2) {
        GpuError e = clusters_of(c, func, &l, &n);
        l.cluster[0] = s;
        l.cluster[1] = l.cluster[2] = 1;
        if ((e == GPU_OK || e == GPU_INVALID_CLUSTER) && l.kernel)
            e = gpu_max_clusters(&l, &n);
        if (e && e != GPU_INVALID_CLUSTER)
            return rt_ret(e);
        *size = (int)s;
        if (!e && n > 0)
            return GPU_OK;
    }
    return GPU_OK;
}

/* ---- Libraries ---- */

EXPORT int cudaLibraryLoadData(void **library, const void *code, int *jit, void **jit_values,
                               unsigned n_jit, int *options, void **values, unsigned n)
{
    (void)jit, (void)jit_values, (void)n_jit, (void)options, (void)values, (void)n;
    if (!library || !code)
        return rt_ret(GPU_INVALID_VALUE);
    return rt_ret(gpu_module_load(code, true, (GpuModule **)library));
}

EXPORT int cudaLibraryLoadFromFile(void **library, const char *path, int *jit, void **jit_values,
                                   unsigned n_jit, int *options, void **values, unsigned n)
{
    (void)jit, (void)jit_values, (void)n_jit, (void)options, (void)values, (void)n;
    if (!library || !path)
        return rt_ret(GPU_INVALID_VALUE);
    return rt_ret(gpu_module_load_file(path, (GpuModule **)library));
}

EXPORT int cudaLibraryUnload(void *library)
{
    if (!library)
        return rt_ret(GPU_INVALID_HANDLE);
    gpu_module_unload(library);
    return GPU_OK;
}

EXPORT int cudaLibraryGetKernel(void **kernel, void *library, const char *name)
{
    if (!kernel || !library || !name)
        return rt_ret(GPU_INVALID_VALUE);
    return rt_ret(gpu_module_kernel(library, name, (GpuKernel **)kernel));
}

EXPORT int cudaLibraryGetKernelCount(unsigned *n, void *library)
{
    if (!n || !library)
        return rt_ret(GPU_INVALID_VALUE);
    return rt_ret(gpu_module_kernel_count(library, n));
}

EXPORT int cudaLibraryEnumerateKernels(void **kernels, unsigned n, void *library)
{
    if (!kernels || !library)
        return rt_ret(GPU_INVALID_VALUE);
    for (unsigned i = 0; i < n; i++)
        if (gpu_module_kernel_at(library, i, (GpuKernel **)&kernels[i]) != GPU_OK)
            break;
    return GPU_OK;
}

EXPORT int cudaLibraryGetGlobal(void **addr, size_t *bytes, void *library, const char *name)
{
    uint64_t at = 0, n = 0;
    if (!library || !name)
        return rt_ret(GPU_INVALID_VALUE);
    GpuError e = gpu_module_global(library, name, &at, &n);
    if (!e && addr)
        *addr = (void *)(uintptr_t)at;
    if (!e && bytes)
        *bytes = n;
    return rt_ret(e);
}
ALIAS(cudaLibraryGetGlobal, cudaLibraryGetManaged);
