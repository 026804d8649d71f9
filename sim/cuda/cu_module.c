/* libcuda: modules, libraries, functions, launches, occupancy. A library is a module, a kernel a
 * function. */
#include "sim/cuda/abi.h"

/* ---- Modules ---- */

EXPORT int cuModuleLoadData(void **module, const void *image)
{
    if (!module || !image)
        return GPU_INVALID_VALUE;
    return gpu_module_load(image, true, (GpuModule **)module);
}
ALIAS(cuModuleLoadData, cuModuleLoadFatBinary);

/* Options of the assembler (log buffers, optimisation level) have nothing to act on. */
EXPORT int cuModuleLoadDataEx(void **module, const void *image, unsigned n, int *options,
                              void **values)
{
    (void)n, (void)options, (void)values;
    return cuModuleLoadData(module, image);
}

EXPORT int cuModuleLoad(void **module, const char *path)
{
    return module && path ? gpu_module_load_file(path, (GpuModule **)module) : GPU_INVALID_VALUE;
}

EXPORT int cuModuleUnload(void *module)
{
    if (!module)
        return GPU_INVALID_HANDLE;
    gpu_module_unload(module);
    return GPU_OK;
}
ALIAS(cuModuleUnload, cuLibraryUnload);

EXPORT int cuModuleGetLoadingMode(int *mode)
{
    enum { LAZY = 2 };
    if (!mode)
        return GPU_INVALID_VALUE;
    *mode = LAZY;
    return GPU_OK;
}

EXPORT int cuModuleGetFunction(void **function, void *module, const char *name)
{
    if (!function || !name || !module)
        return module ? GPU_INVALID_VALUE : GPU_INVALID_HANDLE;
    return gpu_module_kernel(module, name, (GpuKernel **)function);
}
ALIAS(cuModuleGetFunction, cuLibraryGetKernel);

EXPORT int cuModuleGetFunctionCount(unsigned *n, void *module)
{
    return n && module ? gpu_module_kernel_count(module, n) : GPU_INVALID_VALUE;
}
ALIAS(cuModuleGetFunctionCount, cuLibraryGetKernelCount);

EXPORT int cuModuleEnumerateFunctions(void **functions, unsigned n, void *module)
{
    if (!functions || !module)
        return GPU_INVALID_VALUE;
    for (unsigned i = 0; i < n; i++)
        if (gpu_module_kernel_at(module, i, (GpuKernel **)&functions[i]) != GPU_OK)
            break;
    return GPU_OK;
}
ALIAS(cuModuleEnumerateFunctions, cuLibraryEnumerateKernels);

EXPORT int cuModuleGetGlobal_v2(uint64_t *addr, size_t *bytes, void *module, const char *name)
{
    uint64_t at = 0, n = 0;
    if (!name || !module)
        return module ? GPU_INVALID_VALUE : GPU_INVALID_HANDLE;
    GpuError e = gpu_module_global(module, name, &at, &n);
    if (!e && addr)
        *addr = at;
    if (!e && bytes)
        *bytes = n;
    return e;
}
ALIAS(cuModuleGetGlobal_v2, cuLibraryGetGlobal);
ALIAS(cuModuleGetGlobal_v2, cuLibraryGetManaged);

EXPORT int cuLibraryLoadData(void **library, const void *code, int *jit, void **jit_values,
                             unsigned n_jit, int *options, void **values, unsigned n)
{
    (void)jit, (void)jit_values, (void)n_jit, (void)options, (void)values, (void)n;
    return cuModuleLoadData(library, code);
}

EXPORT int cuLibraryLoadFromFile(void **library, const char *path, int *jit, void **jit_values,
                                 unsigned n_jit, int *options, void **values, unsigned n)
{
    (void)jit, (void)jit_values, (void)n_jit, (void)options, (void)values, (void)n;
    return cuModuleLoad(library, path);
}

EXPORT int cuLibraryGetModule(void **module, void *library)
{
    if (!module || !library)
        return GPU_INVALID_VALUE;
    *module = library;
    return GPU_OK;
}
ALIAS(cuLibraryGetModule, cuKernelGetFunction);

EXPORT int cuFuncGetModule(void **module, void *function)
{
    if (!module || !function)
        return GPU_INVALID_VALUE;
    *module = gpu_kernel_module(function);
    return GPU_OK;
}
ALIAS(cuFuncGetModule, cuKernelGetLibrary);

/* ---- Functions ---- */

EXPORT int cuFuncGetAttribute(int *value, int attribute, void *function)
{
    if (!value || !function)
        return function ? GPU_INVALID_VALUE : GPU_INVALID_HANDLE;
    return gpu_kernel_attribute(function, attribute, value);
}

EXPORT int cuFuncSetAttribute(void *function, int attribute, int value)
{
    return function ? gpu_kernel_set_attribute(function, attribute, value) : GPU_INVALID_HANDLE;
}

EXPORT int cuKernelGetAttribute(int *value, int attribute, void *kernel, int device)
{
    return device ? GPU_INVALID_DEVICE : cuFuncGetAttribute(value, attribute, kernel);
}

EXPORT int cuKernelSetAttribute(int attribute, int value, void *kernel, int device)
{
    return device ? GPU_INVALID_DEVICE : cuFuncSetAttribute(kernel, attribute, value);
}

EXPORT int cuFuncSetCacheConfig(void *function, int config)
{
    (void)config;
    return function ? GPU_OK : GPU_INVALID_HANDLE;
}
ALIAS(cuFuncSetCacheConfig, cuFuncSetSharedMemConfig);

EXPORT int cuKernelSetCacheConfig(void *kernel, int config, int device)
{
    return device ? GPU_INVALID_DEVICE : cuFuncSetCacheConfig(kernel, config);
}

EXPORT int cuFuncGetName(const char **name, void *function)
{
    if (!name || !function)
        return GPU_INVALID_VALUE;
    *name = gpu_kernel_name(function);
    return GPU_OK;
}
ALIAS(cuFuncGetName, cuKernelGetName);

EXPORT int cuFuncGetParamInfo(void *function, size_t i, size_t *offset, size_t *bytes)
{
    return function ? gpu_kernel_param(function, i, offset, bytes) : GPU_INVALID_HANDLE;
}
ALIAS(cuFuncGetParamInfo, cuKernelGetParamInfo);

EXPORT int cuFuncIsLoaded(int *state, void *function)
{
    if (!state || !function)
        return GPU_INVALID_VALUE;
    *state = 1;
    return GPU_OK;
}

EXPORT int cuFuncLoad(void *function)
{
    return function ? GPU_OK : GPU_INVALID_HANDLE;
}

/* ---- Launches ---- */

/* The list that cuLaunchKernel takes in place of pointers to parameters. */
static GpuError take_extra(void **extra, GpuLaunch *l)
{
    enum { END = 0, BUFFER = 1, BYTES = 2 };
    for (; extra && (uintptr_t)extra[0] != END; extra += 2) {
        if ((uintptr_t)extra[0] == BUFFER)
            l->buffer = extra[1];
        else if ((uintptr_t)extra[0] == BYTES)
            l->buffer_bytes = *(const size_t *)extra[1];
        else
            return GPU_INVALID_VALUE;
    }
    return GPU_OK;
}

EXPORT int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                          unsigned by, unsigned bz, unsigned shared, void *stream, void **params,
                          void **extra)
{
    GpuLaunch l = {.kernel = function,
                   .grid = {gx, gy, gz},
                   .block = {bx, by, bz},
                   .shared = shared,
                   .params = params,
                   .stream = stream_handle(stream)};
    GpuError e = take_extra(extra, &l);
    return e ? e : gpu_launch(&l);
}
ALIAS(cuLaunchKernel, cuLaunchKernel_ptsz);

EXPORT int cuLaunchCooperativeKernel(void *function, unsigned gx, unsigned gy, unsigned gz,
                                     unsigned bx, unsigned by, unsigned bz, unsigned shared,
                                     void *stream, void **params)
{
    return gpu_launch(&(GpuLaunch){.kernel = function,
                                   .grid = {gx, gy, gz},
                                   .block = {bx, by, bz},
                                   .shared = shared,
                                   .cooperative = true,
                                   .params = params,
                                   .stream = stream_handle(stream)});
}
ALIAS(cuLaunchCooperativeKernel, cuLaunchCooperativeKernel_ptsz);

EXPORT int cuLaunchKernelEx(const CuLaunchConfig *c, void *function, void **params, void **extra)
{
    GpuEvent *after;
    if (!c)
        return GPU_INVALID_VALUE;
    GpuLaunch l = {.kernel = function,
                   .grid = {c->grid.x, c->grid.y, c->grid.z},
                   .block = {c->block.x, c->block.y, c->block.z},
                   .shared = c->shared,
                   .params = params,
                   .stream = stream_handle(c->stream)};
    GpuError e = take_extra(extra, &l);
    if (!e)
        e = launch_attrs(c->attrs, c->n_attrs, &l, &after);
    if (!e)
        e = gpu_launch(&l);
    if (!e && after)
        e = gpu_event_record(after, l.stream);
    return e;
}
ALIAS(cuLaunchKernelEx, cuLaunchKernelEx_ptsz);

/* ---- Occupancy ---- */

EXPORT int cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n, void *function, int threads,
                                                                size_t shared, unsigned flags)
{
    (void)flags;
    uint32_t ctas = 0;
    if (!n || !function || threads <= 0)
        return function ? GPU_INVALID_VALUE : GPU_INVALID_HANDLE;
    GpuError e = gpu_occupancy(function, (uint32_t)threads, shared, &ctas);
    *n = (int)ctas;
    return e;
}

EXPORT int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, void *function, int threads,
                                                       size_t shared)
{
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(n, function, threads, shared, 0);
}

EXPORT int cuOccupancyAvailableDynamicSMemPerBlock(size_t *bytes, void *function, int n,
                                                   int threads)
{
    if (!bytes || !function || n <= 0 || threads <= 0)
        return function ? GPU_INVALID_VALUE : GPU_INVALID_HANDLE;
    return gpu_available_shared(function, (uint32_t)n, (uint32_t)threads, bytes);
}

static GpuError cluster_launch(const CuLaunchConfig *c, void *function, GpuLaunch *l)
{
    GpuEvent *after;
    if (!c || !function)
        return function ? GPU_INVALID_VALUE : GPU_INVALID_HANDLE;
    *l = (GpuLaunch){.kernel = function,
                     .grid = {c->grid.x, c->grid.y, c->grid.z},
                     .block = {c->block.x, c->block.y, c->block.z},
                     .shared = c->shared};
    return launch_attrs(c->attrs, c->n_attrs, l, &after);
}

EXPORT int cuOccupancyMaxActiveClusters(int *n, void *function, const CuLaunchConfig *c)
{
    GpuLaunch l;
    uint32_t clusters = 0;
    GpuError e = n ? cluster_launch(c, function, &l) : GPU_INVALID_VALUE;
    if (!e)
        e = gpu_max_clusters(&l, &clusters);
    if (!e)
        *n = (int)clusters;
    return e;
}

EXPORT int cuOccupancyMaxPotentialClusterSize(int *size, void *function, const CuLaunchConfig *c)
{
    enum { LARGEST = 16 };
    GpuLaunch l;
    uint32_t n = 0;
    GpuError e = size ? cluster_launch(c, function, &l) : GPU_INVALID_VALUE;
    for (uint32_t s = LARGEST; !e && s >= 1; s /= 2) {
        l.cluster[0] = s;
        l.cluster[1] = l.cluster[2] = 1;
        e = gpu_max_clusters(&l, &n);
        *size = (int)s;
        if (!e && n > 0)
            return GPU_OK;
        if (e == GPU_INVALID_CLUSTER)
            e = GPU_OK;
    }
    return e;
}
