/* What libcudart.so.13 takes from libcuda.so.1 besides gpu.h. */
#ifndef RAO_CUDA_CU_H
#define RAO_CUDA_CU_H

#include <stdint.h>

/* The function of that name as of that CUDA version. *status: 0 found, 1 there is no such name,
 * 2 the version is too old. Returns GPU_NOT_FOUND where it is not 0. */
int cuGetProcAddress_v2(const char *name, void **fn, int cuda_version, uint64_t flags, int *status);

#endif
