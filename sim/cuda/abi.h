/* The binary interface of CUDA 13 as far as programs and these libraries share it: layouts, numbers
 * and handles that the CUDA headers make public. Written from the interface's facts, so that no
 * CUDA toolkit is needed to build Rao; tests/test_cuda_abi.c compares with the real headers where
 * there are some. Handles: a stream is a GpuStream, an event a GpuEvent, a kernel or function a
 * GpuKernel, a module or library a GpuModule, a graph a GpuGraph. */
#ifndef RAO_CUDA_ABI_H
#define RAO_CUDA_ABI_H

#include <stddef.h>
#include <stdint.h>

#include "sim/cuda/gpu.h"

#define EXPORT __attribute__((visibility("default")))
/* Another name for a function: the variants for the per-thread default stream, which is the default
 * stream here, since work is done when it is submitted. */
#define ALIAS(of, name) extern EXPORT __typeof(of) name __attribute__((alias(#of)))

typedef struct Dim3 {
    uint32_t x, y, z;
} Dim3;

/* 1 and 2 stand for the legacy and the per-thread default stream. */
static inline GpuStream *stream_handle(void *s)
{
    return (uintptr_t)s <= 2 ? NULL : s;
}

/* Kinds of launch attributes: cudaLaunchAttributeID = CUlaunchAttributeID. */
enum {
    LA_IGNORE = 0,
    LA_ACCESS_POLICY = 1,
    LA_COOPERATIVE = 2,
    LA_SYNC_POLICY = 3,
    LA_CLUSTER = 4,
    LA_CLUSTER_POLICY = 5,
    LA_PDL = 6,
    LA_PDL_EVENT = 7,
    LA_PRIORITY = 8,
    LA_MEM_SYNC_MAP = 9,
    LA_MEM_SYNC = 10,
    LA_PREFERRED_CLUSTER = 11,
    LA_COMPLETION_EVENT = 12,
    LA_UPDATABLE_NODE = 13,
    LA_CARVEOUT = 14,
    LA_NVLINK = 16,
};

typedef struct LaunchAttr { /* 72 bytes */
    int32_t id;
    int32_t pad;
    union {
        char bytes[64];
        Dim3 cluster;
        int32_t on;
        struct {
            GpuEvent *event;
            int32_t flags, at_start;
        } event;
    } value;
} LaunchAttr;

typedef struct RtLaunchConfig { /* cudaLaunchConfig_t, 56 bytes */
    Dim3 grid, block;
    size_t shared;
    void *stream;
    const LaunchAttr *attrs;
    uint32_t n_attrs;
} RtLaunchConfig;

typedef struct CuLaunchConfig { /* CUlaunchConfig, 56 bytes */
    Dim3 grid, block;
    uint32_t shared;
    void *stream;
    const LaunchAttr *attrs;
    uint32_t n_attrs;
} CuLaunchConfig;

typedef struct RtGraphUpdate { /* cudaGraphExecUpdateResultInfo */
    int32_t result;            /* 0 success, 2 topology changed */
    GpuNode *node, *from;
} RtGraphUpdate;

typedef struct RtInstantiate { /* cudaGraphInstantiateParams */
    unsigned long long flags;
    void *upload_stream;
    GpuNode *bad;
    int32_t result; /* 0 success */
} RtInstantiate;

/* Takes the attributes into the launch; *after, *before: events to record behind or before it. One
 * that cannot be kept is refused by name. */
GpuError launch_attrs(const LaunchAttr *attrs, uint32_t n, GpuLaunch *l, GpuEvent **after);

/* cudaPitchedPtr, cudaPos, cudaExtent, cudaMemcpy3DParms (160 bytes). */
typedef struct RtPitched {
    void *ptr;
    size_t pitch, x_bytes, rows;
} RtPitched;
typedef struct RtSize3 {
    size_t x, y, z;
} RtSize3;
typedef struct RtCopy3d {
    void *src_array;
    RtSize3 src_pos;
    RtPitched src;
    void *dst_array;
    RtSize3 dst_pos;
    RtPitched dst;
    RtSize3 extent;
    int32_t kind;
} RtCopy3d;

typedef struct RtPointerAttributes { /* cudaPointerAttributes, 88 bytes */
    int32_t type;                    /* 0 unregistered, 1 host, 2 device, 3 managed */
    int32_t device;
    void *device_pointer, *host_pointer;
    long reserved[8];
} RtPointerAttributes;

typedef struct RtFuncAttributes { /* cudaFuncAttributes, 144 bytes */
    size_t shared_bytes, const_bytes, local_bytes;
    int32_t max_threads, registers, ptx_version, binary_version, cache_mode_ca, max_dynamic_shared,
        carveout, cluster_must_be_set, cluster[3], cluster_policy, big_cluster, reserved[16];
} RtFuncAttributes;

typedef struct MemPoolProps { /* cudaMemPoolProps = CUmemPoolProps, 88 bytes */
    int32_t alloc_type, handle_types, location_type, location_id;
    void *security;
    size_t max_bytes;
    uint16_t usage;
    uint8_t reserved[54];
} MemPoolProps;

typedef struct RtKernelNode { /* cudaKernelNodeParams, 64 bytes */
    const void *func;
    Dim3 grid, block;
    uint32_t shared;
    void **params, **extra;
} RtKernelNode;

typedef struct RtFillNode { /* cudaMemsetParams, 48 bytes */
    void *dst;
    size_t pitch;
    uint32_t value, elem_bytes;
    size_t width, height;
} RtFillNode;

typedef struct RtCallNode { /* cudaHostNodeParams */
    void (*fn)(void *);
    void *user;
} RtCallNode;

typedef struct RtAllocNode { /* cudaMemAllocNodeParams, 120 bytes */
    MemPoolProps pool;
    const void *access;
    size_t n_access, bytes;
    void *ptr;
} RtAllocNode;

typedef struct CuCopy2d { /* CUDA_MEMCPY2D; memory type 1 host, 2 device, 3 array, 4 unified */
    size_t src_x, src_y;
    int32_t src_type;
    const void *src_host;
    uint64_t src_device;
    void *src_array;
    size_t src_pitch, dst_x, dst_y;
    int32_t dst_type;
    void *dst_host;
    uint64_t dst_device;
    void *dst_array;
    size_t dst_pitch, width, height;
} CuCopy2d;

typedef struct CuCopy3d { /* CUDA_MEMCPY3D */
    size_t src_x, src_y, src_z, src_lod;
    int32_t src_type;
    const void *src_host;
    uint64_t src_device;
    void *src_array, *reserved0;
    size_t src_pitch, src_height, dst_x, dst_y, dst_z, dst_lod;
    int32_t dst_type;
    void *dst_host;
    uint64_t dst_device;
    void *dst_array, *reserved1;
    size_t dst_pitch, dst_height, width, height, depth;
} CuCopy3d;

#endif
