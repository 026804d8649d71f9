/* The runtime library that code compiled by the CuTe DSL calls on the host: CUDA's functions under
 * names with an underscore in front, and a few of its own. The DSL's has NVIDIA's runtime linked
 * into it; this one takes its place (CUTE_DSL_LIBS names it) and calls libcudart.so.13 and
 * libcuda.so.1. Signatures: those that the DSL's Python sources and its host code declare. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/cuda/abi.h"

/* All parameters are integers or pointers, each in a register or stack slot of its own. */
typedef uint64_t Word;
#define FORWARD_0(fn)                                                                              \
    extern int fn(void);                                                                           \
    EXPORT int _##fn(void)                                                                         \
    {                                                                                              \
        return fn();                                                                               \
    }
#define FORWARD_1(fn)                                                                              \
    extern int fn(Word);                                                                           \
    EXPORT int _##fn(Word a)                                                                       \
    {                                                                                              \
        return fn(a);                                                                              \
    }
#define FORWARD_2(fn)                                                                              \
    extern int fn(Word, Word);                                                                     \
    EXPORT int _##fn(Word a, Word b)                                                               \
    {                                                                                              \
        return fn(a, b);                                                                           \
    }
#define FORWARD_3(fn)                                                                              \
    extern int fn(Word, Word, Word);                                                               \
    EXPORT int _##fn(Word a, Word b, Word c)                                                       \
    {                                                                                              \
        return fn(a, b, c);                                                                        \
    }
#define FORWARD_4(fn)                                                                              \
    extern int fn(Word, Word, Word, Word);                                                         \
    EXPORT int _##fn(Word a, Word b, Word c, Word d)                                               \
    {                                                                                              \
        return fn(a, b, c, d);                                                                     \
    }
#define FORWARD_5(fn)                                                                              \
    extern int fn(Word, Word, Word, Word, Word);                                                   \
    EXPORT int _##fn(Word a, Word b, Word c, Word d, Word e)                                       \
    {                                                                                              \
        return fn(a, b, c, d, e);                                                                  \
    }
#define FORWARD_8(fn)                                                                              \
    extern int fn(Word, Word, Word, Word, Word, Word, Word, Word);                                 \
    EXPORT int _##fn(Word a, Word b, Word c, Word d, Word e, Word f, Word g, Word h)               \
    {                                                                                              \
        return fn(a, b, c, d, e, f, g, h);                                                         \
    }

#define FORWARD_12(fn)                                                                             \
    extern int fn(Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word);         \
    EXPORT int _##fn(Word a, Word b, Word c, Word d, Word e, Word f, Word g, Word h, Word i,       \
                     Word j, Word k, Word l)                                                       \
    {                                                                                              \
        return fn(a, b, c, d, e, f, g, h, i, j, k, l);                                             \
    }

FORWARD_0(cudaDeviceSynchronize)
FORWARD_1(cudaFree)
FORWARD_1(cudaFreeHost)
FORWARD_1(cudaGetDevice)
FORWARD_1(cudaGetDeviceCount)
FORWARD_1(cudaSetDevice)
FORWARD_1(cudaStreamCreate)
FORWARD_1(cudaStreamDestroy)
FORWARD_1(cudaStreamSynchronize)
FORWARD_1(cudaEventCreate)
FORWARD_1(cudaEventDestroy)
FORWARD_1(cudaGraphDestroy)
FORWARD_1(cudaGraphExecDestroy)
FORWARD_1(cudaLibraryUnload)
FORWARD_1(cuLibraryUnload)
FORWARD_2(cudaGetDeviceProperties)
FORWARD_2(cudaMalloc)
FORWARD_2(cudaMallocHost)
FORWARD_2(cudaFreeAsync)
FORWARD_2(cudaEventRecord)
FORWARD_2(cudaStreamBeginCapture)
FORWARD_2(cudaStreamEndCapture)
FORWARD_2(cudaGraphLaunch)
FORWARD_2(cudaLibraryGetKernelCount)
FORWARD_2(cuDeviceGet)
FORWARD_2(cuLibraryGetKernelCount)
FORWARD_2(cuLibraryGetModule)
FORWARD_3(cudaDeviceGetAttribute)
FORWARD_3(cudaFuncSetAttribute)
FORWARD_3(cudaMallocAsync)
FORWARD_3(cudaMallocManaged)
FORWARD_3(cudaMemset)
FORWARD_3(cudaEventElapsedTime)
FORWARD_3(cudaStreamWaitEvent)
FORWARD_3(cudaGraphInstantiate)
FORWARD_3(cudaLaunchKernelExC)
FORWARD_3(cudaLibraryGetKernel)
FORWARD_3(cuLibraryGetKernel)
FORWARD_4(cudaKernelSetAttributeForDevice)
FORWARD_4(cudaLibraryGetGlobal)
FORWARD_4(cudaLibraryGetManaged)
FORWARD_4(cudaMemcpy)
FORWARD_4(cudaMemsetAsync)
FORWARD_4(cudaOccupancyMaxActiveBlocksPerMultiprocessor)
FORWARD_4(cudaStreamAddCallback)
FORWARD_4(cuKernelGetAttribute)
FORWARD_4(cuLibraryGetGlobal)
FORWARD_4(cuLibraryGetManaged)
FORWARD_5(cudaMemcpyAsync)
FORWARD_8(cudaLibraryLoadData)
FORWARD_8(cudaLibraryLoadFromFile)
FORWARD_8(cuLibraryLoadData)
FORWARD_8(cuLibraryLoadFromFile)
FORWARD_12(cuTensorMapEncodeTiled)

/* In C the runtime calls it cudaLaunchKernelExC. */
EXPORT int _cudaLaunchKernelEx(Word config, Word kernel, Word params)
{
    return _cudaLaunchKernelExC(config, kernel, params);
}

extern int cudaLaunchKernel(const void *, Dim3, Dim3, void **, size_t, void *);

EXPORT int _cudaLaunchKernel(const void *kernel, uint32_t gx, uint32_t gy, uint32_t gz, uint32_t bx,
                             uint32_t by, uint32_t bz, void **params, size_t shared, void *stream)
{
    return cudaLaunchKernel(kernel, (Dim3){gx, gy, gz}, (Dim3){bx, by, bz}, params, shared, stream);
}

/* ---- What is its own ---- */

extern const char *cudaGetErrorName(int error);

EXPORT const char *cuda_dialect_get_error_name(int error)
{
    return cudaGetErrorName(error);
}

EXPORT void cuda_dialect_print_on_error(int error)
{
    if (error)
        fprintf(stderr, "CUDA error: %s\n", cudaGetErrorName(error));
}

EXPORT void cuda_dialect_assert_success(int error)
{
    cuda_dialect_print_on_error(error);
    if (error)
        abort();
}

enum { TEXT_BYTES = 100 };

/* As the DSL reads it back. */
static const char *error_text(char text[TEXT_BYTES], int error)
{
    snprintf(text, TEXT_BYTES, "CUDA Error Code: %d\n%s", error, cudaGetErrorName(error));
    return text;
}

/* Loads a module's library at its first use: `init` makes it, `load` gets its kernels for a device.
 * `fail` tells TVM FFI the kind of an error and its text. */
EXPORT int cuda_dialect_init_library_once(void **state, int (*init)(void *),
                                          int (*load)(void *, int),
                                          void (*fail)(const char *, const char *))
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    char text[TEXT_BYTES];
    int error = 0;
    pthread_mutex_lock(&lock);
    if (!*state) {
        void **library = calloc(1, sizeof *library);
        error = library ? init(library) : GPU_OUT_OF_MEMORY;
        if (!error)
            error = load(library, 0);
        if (error)
            free(library);
        else
            *state = library;
    }
    pthread_mutex_unlock(&lock);
    if (error)
        fail("CUDADialectError", error_text(text, error));
    return error ? -1 : 0;
}

/* TVM FFI's way to hear of an error: its kind and its text in parts. */
typedef void SetRaised(const char *kind, const char **parts, int n_parts);

static void raise_error(SetRaised *set, int error)
{
    char text[TEXT_BYTES];
    const char *part = error_text(text, error);
    set("CUDADialectError", &part, 1);
}

EXPORT void CuteDSLRT_TVMFFISetRaisedCudaError(SetRaised *set, int error)
{
    raise_error(set, error);
}

/* More parameters say which limit of a launch and what was asked for. */
EXPORT void CuteDSLRT_TVMFFISetRaisedCudaLaunchError(SetRaised *set)
{
    raise_error(set, GPU_INVALID_CONFIGURATION);
}

EXPORT void cuda_dialect_unload_library_once(void **state)
{
    void **library = *state;
    if (library)
        cudaLibraryUnload((Word)*library);
    free(library);
    *state = NULL;
}
