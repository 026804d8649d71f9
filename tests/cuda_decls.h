/* The part of CUDA's interface that the tests call, declared as its headers have it, since those
 * are not needed to test Rao. */
#ifndef RAO_TESTS_CUDA_DECLS_H
#define RAO_TESTS_CUDA_DECLS_H

#include <stddef.h>
#include <stdint.h>

typedef struct Dim3 {
    uint32_t x, y, z;
} Dim3;

void **__cudaRegisterFatBinary(void *);
void __cudaRegisterFatBinaryEnd(void **);
void __cudaRegisterFunction(void **, const char *, const char *, const char *, int, void *, void *,
                            void *, void *, int *);
void __cudaRegisterVar(void **, char *, const char *, const char *, int, size_t, int, int);
int cudaMalloc(void **, size_t);
int cudaMallocHost(void **, size_t);
int cudaFree(void *);
int cudaFreeHost(void *);
int cudaMemcpy(void *, const void *, size_t, int);
int cudaMemcpyAsync(void *, const void *, size_t, int, void *);
int cudaMemsetAsync(void *, int, size_t, void *);
int cudaMemcpy2D(void *, size_t, const void *, size_t, size_t, size_t, int);
int cudaMemset2D(void *, size_t, int, size_t, size_t);
int cudaMemcpyToSymbol(const void *, const void *, size_t, size_t, int);
int cudaMemcpyFromSymbol(void *, const void *, size_t, size_t, int);
int cudaLaunchKernel(const void *, Dim3, Dim3, void **, size_t, void *);
int cudaLaunchCooperativeKernel(const void *, Dim3, Dim3, void **, size_t, void *);
int cudaDeviceSynchronize(void);
int cudaGetLastError(void);
const char *cudaGetErrorString(int);
int cudaLaunchKernelExC(const void *, const void *, void **);
int cudaEventCreate(void **);
int cudaEventDestroy(void *);
int cudaEventRecord(void *, void *);
int cudaEventElapsedTime(float *, void *, void *);
int cudaStreamWaitEvent(void *, void *, unsigned);
int cudaStreamCreate(void **);
int cudaStreamDestroy(void *);
int cudaStreamBeginCapture(void *, int);
int cudaStreamEndCapture(void *, void **);
int cudaGraphInstantiate(void **, void *, unsigned long long);
int cudaGraphDestroy(void *);
int cudaGraphExecDestroy(void *);
int cudaGraphLaunch(void *, void *);
int cudaGetDeviceProperties(void *, int);
int cudaDeviceGetAttribute(int *, int, int);
int cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *, const void *, int, size_t);
int cudaFuncSetAttribute(const void *, int, int);
int cudaMallocArray(void **, const void *, size_t, size_t, unsigned);
int cudaGetDriverEntryPointByVersion(const char *, void **, unsigned, unsigned long long, int *);
int cuInit(unsigned);
int cuModuleLoadData(void **, const void *);
int cuModuleLoad(void **, const char *);
int cuEventCreate(void **, unsigned);
int cuEventRecord(void *, void *);
int cuEventElapsedTime(float *, void *, void *);
int cuLinkCreate_v2(unsigned, int *, void **, void **);
int cuLinkAddData_v2(void *, int, const void *, size_t, const char *, unsigned, int *, void **);
int cuLinkComplete(void *, void **, size_t *);
int cuLinkDestroy(void *);
int cuModuleUnload(void *);
int cuModuleGetFunction(void **, void *, const char *);
int cuModuleGetGlobal_v2(uint64_t *, size_t *, void *, const char *);
int cuLaunchKernel(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                   void *, void **, void **);
int cuMemAlloc_v2(uint64_t *, size_t);
int cuMemcpyDtoH_v2(void *, uint64_t, size_t);
int cuMemsetD32_v2(uint64_t, uint32_t, size_t);
int cuPointerGetAttribute(void *, int, uint64_t);
int cuGetProcAddress_v2(const char *, void **, int, uint64_t, int *);
int cuCtxCreate_v2(void **, unsigned, int);
int cuCtxCreate_v4(void **, const void *, unsigned, int);

#endif
