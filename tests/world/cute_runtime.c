/* The runtime library that code compiled by the CuTe DSL calls on the host (CUTE_DSL_LIBS names
 * it). Nothing is launched: each launch goes to a callback, which writes it down. The functions are
 * the CUDA runtime's of the same name with an underscore in front; their signatures are in the
 * DSL's own Python sources and in the host code it exports. */
#include <stdint.h>
#include <string.h>

typedef void (*LaunchFn)(const void *config, const char *kernel, void **params);
static LaunchFn on_launch;

void rao_on_launch(LaunchFn fn)
{
    on_launch = fn;
}

int _cudaGetDevice(int *device)
{
    *device = 0;
    return 0;
}

int _cudaSetDevice(int device)
{
    return device ? 101 : 0; /* cudaErrorInvalidDevice */
}

/* Asked for: dynamic shared memory that a block may opt in to. */
int _cudaDeviceGetAttribute(int *value, int attribute, int device)
{
    (void)device;
    *value = attribute == 97 ? 232448 : 0;
    return attribute == 97 ? 0 : 1;
}

/* Asked for: static shared memory of a kernel. */
int _cuKernelGetAttribute(int *value, int attribute, const void *kernel, int device)
{
    (void)attribute, (void)kernel, (void)device;
    *value = 0;
    return 0;
}

int _cudaFuncSetAttribute(const void *kernel, int attribute, int value)
{
    (void)kernel, (void)attribute, (void)value;
    return 0;
}

int _cudaKernelSetAttributeForDevice(const void *kernel, int attribute, int value, int device)
{
    (void)kernel, (void)attribute, (void)value, (void)device;
    return 0;
}

int _cudaLibraryLoadData(void **library, const void *code, int *jit, void **jit_values,
                         unsigned n_jit, int *options, void **option_values, unsigned n_options)
{
    (void)jit, (void)jit_values, (void)n_jit, (void)options, (void)option_values, (void)n_options;
    *library = (void *)(uintptr_t)code;
    return 0;
}

/* A kernel's handle is its name. */
int _cudaLibraryGetKernel(char **kernel, void *library, const char *name)
{
    (void)library;
    *kernel = strdup(name);
    return *kernel ? 0 : 2; /* cudaErrorMemoryAllocation */
}

int _cudaLaunchKernelEx(const void *config, const char *kernel, void **params)
{
    on_launch(config, kernel, params);
    return 0;
}

int cuda_dialect_init_library_once(void **state, int (*init)(void *), int (*load)(void *, int),
                                   void (*fail)(const char *, const char *))
{
    static void *libraries[64];
    static unsigned n;
    if (*state)
        return 0;
    void **library = &libraries[n++ % 64];
    if (init(library) || load(library, 0)) {
        fail("RuntimeError", "cannot load the kernels");
        return -1;
    }
    *state = library;
    return 0;
}

void cuda_dialect_unload_library_once(void **state)
{
    *state = NULL;
}

void CuteDSLRT_TVMFFISetRaisedCudaError(void *where, int code)
{
    (void)where, (void)code;
}

const char *cuda_dialect_get_error_name(int code)
{
    (void)code;
    return "error";
}
