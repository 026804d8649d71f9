/* What the parts of libcudart.so.13 share. */
#ifndef RAO_CUDA_RT_H
#define RAO_CUDA_RT_H

#include "sim/cuda/abi.h"

/* Remembers an error for cudaGetLastError; hands it through. */
int rt_ret(GpuError e);

/* The kernel behind a host function's address, or a kernel's handle; NULL: neither. */
GpuKernel *rt_kernel(const void *func);
/* What a call returns for which rt_kernel gave NULL: why it did. */
GpuError rt_no_kernel(void);

/* The host function that stands for a kernel, or the kernel itself. */
const void *rt_host_function(const GpuKernel *k);
/* What cudaMemcpy3D describes. */
GpuError rt_copy_of(const RtCopy3d *p, GpuCopy *c);

#endif
