/* libcudart: what code that nvcc generated calls before main and at each <<<>>>. */
#include "sim/cuda/rt.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct Entry { /* a host address that stands for a thing in a module */
    const void *host;
    GpuModule *module;
    const char *name;
    GpuKernel *kernel; /* function: NULL until asked for */
    void **managed;    /* variable: where the program keeps its address, or NULL */
} Entry;

typedef struct Table {
    Entry *entries;
    size_t n, cap;
    bool sorted;
} Table;

/* The interface registers into the process, so its tables are the process's. */
static Table functions, variables;
static pthread_mutex_t tables_lock = PTHREAD_MUTEX_INITIALIZER;

static void add(Table *t, Entry e)
{
    pthread_mutex_lock(&tables_lock);
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->entries = realloc(t->entries, t->cap * sizeof e);
        if (!t->entries)
            abort();
    }
    t->entries[t->n++] = e;
    t->sorted = false;
    pthread_mutex_unlock(&tables_lock);
}

static int by_host(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const Entry *)a)->host, y = (uintptr_t)((const Entry *)b)->host;
    return x < y ? -1 : x > y;
}

static Entry *find(Table *t, const void *host)
{
    pthread_mutex_lock(&tables_lock);
    if (!t->sorted && t->n > 0)
        qsort(t->entries, t->n, sizeof *t->entries, by_host);
    t->sorted = true;
    Entry key = {.host = host};
    Entry *e = t->n ? bsearch(&key, t->entries, t->n, sizeof key, by_host) : NULL;
    pthread_mutex_unlock(&tables_lock);
    return e;
}

static void remove_module(Table *t, const GpuModule *m)
{
    pthread_mutex_lock(&tables_lock);
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        if (t->entries[i].module != m)
            t->entries[n++] = t->entries[i];
    t->n = n;
    pthread_mutex_unlock(&tables_lock);
}

/* ---- Registration ---- */

EXPORT void **__cudaRegisterFatBinary(void *wrapper)
{
    GpuModule *m = NULL;
    if (gpu_module_load(wrapper, false, &m) != GPU_OK)
        return NULL;
    return (void **)m;
}

/* Managed variables are touched by the host through pointers that the program keeps: set now. */
static void set_managed(const GpuModule *m)
{
    for (size_t i = 0; i < variables.n; i++) {
        Entry *e = &variables.entries[i];
        uint64_t addr, bytes;
        if (e->module == m && e->managed &&
            gpu_module_global(e->module, e->name, &addr, &bytes) == GPU_OK)
            *e->managed = (void *)(uintptr_t)addr;
    }
}

EXPORT void __cudaRegisterFatBinaryEnd(void **handle)
{
    set_managed((GpuModule *)handle);
}

EXPORT char __cudaInitModule(void **handle)
{
    set_managed((GpuModule *)handle);
    return 1;
}

EXPORT void __cudaUnregisterFatBinary(void **handle)
{
    if (!handle)
        return;
    remove_module(&functions, (GpuModule *)handle);
    remove_module(&variables, (GpuModule *)handle);
    gpu_module_unload((GpuModule *)handle);
}

EXPORT void __cudaRegisterFunction(void **handle, const char *host, char *device_fun,
                                   const char *name, int thread_limit, void *tid, void *bid,
                                   void *block, void *grid, int *warp_size)
{
    (void)device_fun, (void)thread_limit, (void)tid, (void)bid, (void)block, (void)grid;
    (void)warp_size;
    if (handle)
        add(&functions, (Entry){.host = host, .module = (GpuModule *)handle, .name = name});
}

EXPORT void __cudaRegisterVar(void **handle, char *host, char *device, const char *name, int ext,
                              size_t bytes, int constant, int global)
{
    (void)device, (void)ext, (void)bytes, (void)constant, (void)global;
    if (handle)
        add(&variables, (Entry){.host = host, .module = (GpuModule *)handle, .name = name});
}

EXPORT void __cudaRegisterManagedVar(void **handle, void **host, char *device, const char *name,
                                     int ext, size_t bytes, int constant, int global)
{
    (void)device, (void)ext, (void)bytes, (void)constant, (void)global;
    if (handle)
        add(&variables,
            (Entry){.host = host, .module = (GpuModule *)handle, .name = name, .managed = host});
}

EXPORT void __cudaRegisterHostVar(void **handle, const char *name, char *host, size_t bytes)
{
    (void)handle, (void)name, (void)host, (void)bytes;
    gpu_missing("__cudaRegisterHostVar");
}

EXPORT int __cudaRegisterUnifiedTable(void *table)
{
    (void)table;
    return rt_ret(gpu_missing("__cudaRegisterUnifiedTable"));
}

/* ---- Symbols ---- */

static GpuError symbol(const void *host, uint64_t *addr, uint64_t *bytes)
{
    const Entry *e = find(&variables, host);
    if (!e)
        return GPU_INVALID_SYMBOL;
    GpuError err = gpu_module_global(e->module, e->name, addr, bytes);
    return err == GPU_NOT_FOUND ? GPU_INVALID_SYMBOL : err;
}

EXPORT int cudaGetSymbolAddress(void **out, const void *host)
{
    uint64_t addr = 0, bytes;
    GpuError e = out ? symbol(host, &addr, &bytes) : GPU_INVALID_VALUE;
    if (!e)
        *out = (void *)(uintptr_t)addr;
    return rt_ret(e);
}

EXPORT int cudaGetSymbolSize(size_t *out, const void *host)
{
    uint64_t addr, bytes = 0;
    GpuError e = out ? symbol(host, &addr, &bytes) : GPU_INVALID_VALUE;
    if (!e)
        *out = bytes;
    return rt_ret(e);
}

static GpuError copy_symbol(const void *host, void *other, size_t n, size_t offset, bool to,
                            int kind, void *stream)
{
    uint64_t addr, bytes, at = (uintptr_t)other;
    GpuError e = symbol(host, &addr, &bytes);
    if (e)
        return e;
    if (offset > bytes || n > bytes - offset)
        return GPU_INVALID_VALUE;
    addr += offset;
    return to ? gpu_copy_bytes(addr, at, n, (uint32_t)kind, stream_handle(stream))
              : gpu_copy_bytes(at, addr, n, (uint32_t)kind, stream_handle(stream));
}

EXPORT int cudaMemcpyToSymbolAsync(const void *host, const void *src, size_t n, size_t offset,
                                   int kind, void *stream)
{
    return rt_ret(copy_symbol(host, (void *)(uintptr_t)src, n, offset, true, kind, stream));
}
ALIAS(cudaMemcpyToSymbolAsync, cudaMemcpyToSymbolAsync_ptsz);

EXPORT int cudaMemcpyFromSymbolAsync(void *dst, const void *host, size_t n, size_t offset, int kind,
                                     void *stream)
{
    return rt_ret(copy_symbol(host, dst, n, offset, false, kind, stream));
}
ALIAS(cudaMemcpyFromSymbolAsync, cudaMemcpyFromSymbolAsync_ptsz);

EXPORT int cudaMemcpyToSymbol(const void *host, const void *src, size_t n, size_t offset, int kind)
{
    return cudaMemcpyToSymbolAsync(host, src, n, offset, kind, NULL);
}
ALIAS(cudaMemcpyToSymbol, cudaMemcpyToSymbol_ptds);

EXPORT int cudaMemcpyFromSymbol(void *dst, const void *host, size_t n, size_t offset, int kind)
{
    return cudaMemcpyFromSymbolAsync(dst, host, n, offset, kind, NULL);
}
ALIAS(cudaMemcpyFromSymbol, cudaMemcpyFromSymbol_ptds);

/* ---- Kernels by host address ---- */

/* Why there was no kernel last: a launch after __cudaGetKernel names NULL and wants to know. */
static _Thread_local GpuError no_kernel;

GpuKernel *rt_kernel(const void *func)
{
    Entry *e = find(&functions, func);
    if (!e && gpu_kernel_valid(func))
        return (GpuKernel *)(uintptr_t)func;
    if (!e && (func || !no_kernel))
        no_kernel = GPU_INVALID_FUNCTION;
    if (e && !e->kernel) {
        GpuError why = gpu_module_kernel(e->module, e->name, &e->kernel);
        no_kernel = why == GPU_NOT_FOUND ? GPU_INVALID_FUNCTION : why;
    }
    return e ? e->kernel : NULL;
}

const void *rt_host_function(const GpuKernel *k)
{
    const void *host = k;
    pthread_mutex_lock(&tables_lock);
    for (size_t i = 0; i < functions.n; i++)
        if (functions.entries[i].kernel == k)
            host = functions.entries[i].host;
    pthread_mutex_unlock(&tables_lock);
    return host;
}

GpuError rt_no_kernel(void)
{
    GpuError e = gpu_check();
    return e ? e : no_kernel ? no_kernel : GPU_INVALID_FUNCTION;
}

EXPORT int __cudaGetKernel(void **kernel, const void *func)
{
    *kernel = rt_kernel(func);
    return *kernel ? GPU_OK : (int)rt_no_kernel(); /* the launch reports it */
}

EXPORT int cudaGetKernel(void **kernel, const void *func)
{
    if (!kernel)
        return rt_ret(GPU_INVALID_VALUE);
    return rt_ret((GpuError)__cudaGetKernel(kernel, func));
}

EXPORT int cudaGetFuncBySymbol(void **out, const void *func)
{
    return cudaGetKernel(out, func);
}

/* ---- <<<>>> ---- */

typedef struct Config {
    Dim3 grid, block;
    size_t shared;
    void *stream;
} Config;
enum { CONFIG_DEPTH = 16 };
static _Thread_local Config configs[CONFIG_DEPTH];
static _Thread_local uint32_t n_configs;

EXPORT unsigned __cudaPushCallConfiguration(Dim3 grid, Dim3 block, size_t shared, void *stream)
{
    if (n_configs == CONFIG_DEPTH)
        return GPU_MISSING_CONFIGURATION;
    configs[n_configs++] = (Config){grid, block, shared, stream};
    return GPU_OK;
}

EXPORT int __cudaPopCallConfiguration(Dim3 *grid, Dim3 *block, size_t *shared, void *stream)
{
    if (n_configs == 0)
        return rt_ret(GPU_MISSING_CONFIGURATION);
    const Config *c = &configs[--n_configs];
    *grid = c->grid;
    *block = c->block;
    *shared = c->shared;
    *(void **)stream = c->stream;
    return GPU_OK;
}
