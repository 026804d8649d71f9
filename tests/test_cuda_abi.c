/* Our view of CUDA's structures against NVIDIA's own headers, where a CUDA 13 toolkit is on the
 * machine; without one the only test says that nothing was compared. */
#include <check.h>
#include <stddef.h>
#include <stdio.h>

#ifdef CUDA_HEADERS
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "sim/cuda/abi.h"

typedef struct Same {
    const char *what;
    size_t ours, theirs;
} Same;

#define SIZE(a, b)                                                                                 \
    {                                                                                              \
        "sizeof " #b, sizeof(a), sizeof(b)                                                         \
    }
#define AT(a, f, b, g)                                                                             \
    {                                                                                              \
#b "." #g, offsetof(a, f), offsetof(b, g)                                                  \
    }

static const Same layouts[] = {
    SIZE(Dim3, dim3),
    SIZE(LaunchAttr, cudaLaunchAttribute),
    SIZE(LaunchAttr, CUlaunchAttribute),
    AT(LaunchAttr, value, cudaLaunchAttribute, val),
    AT(LaunchAttr, value.event.at_start, cudaLaunchAttribute,
       val.programmaticEvent.triggerAtBlockStart),
    AT(LaunchAttr, value.event.flags, CUlaunchAttribute, value.programmaticEvent.flags),
    SIZE(RtLaunchConfig, cudaLaunchConfig_t),
    AT(RtLaunchConfig, shared, cudaLaunchConfig_t, dynamicSmemBytes),
    AT(RtLaunchConfig, stream, cudaLaunchConfig_t, stream),
    AT(RtLaunchConfig, attrs, cudaLaunchConfig_t, attrs),
    AT(RtLaunchConfig, n_attrs, cudaLaunchConfig_t, numAttrs),
    SIZE(CuLaunchConfig, CUlaunchConfig),
    AT(CuLaunchConfig, shared, CUlaunchConfig, sharedMemBytes),
    AT(CuLaunchConfig, stream, CUlaunchConfig, hStream),
    AT(CuLaunchConfig, attrs, CUlaunchConfig, attrs),
    AT(CuLaunchConfig, n_attrs, CUlaunchConfig, numAttrs),
    SIZE(RtPitched, struct cudaPitchedPtr),
    SIZE(RtSize3, struct cudaExtent),
    SIZE(RtSize3, struct cudaPos),
    SIZE(RtCopy3d, struct cudaMemcpy3DParms),
    AT(RtCopy3d, src, struct cudaMemcpy3DParms, srcPtr),
    AT(RtCopy3d, dst_pos, struct cudaMemcpy3DParms, dstPos),
    AT(RtCopy3d, dst, struct cudaMemcpy3DParms, dstPtr),
    AT(RtCopy3d, extent, struct cudaMemcpy3DParms, extent),
    AT(RtCopy3d, kind, struct cudaMemcpy3DParms, kind),
    SIZE(RtPointerAttributes, struct cudaPointerAttributes),
    AT(RtPointerAttributes, device_pointer, struct cudaPointerAttributes, devicePointer),
    AT(RtPointerAttributes, host_pointer, struct cudaPointerAttributes, hostPointer),
    SIZE(RtFuncAttributes, struct cudaFuncAttributes),
    AT(RtFuncAttributes, max_threads, struct cudaFuncAttributes, maxThreadsPerBlock),
    AT(RtFuncAttributes, registers, struct cudaFuncAttributes, numRegs),
    AT(RtFuncAttributes, max_dynamic_shared, struct cudaFuncAttributes, maxDynamicSharedSizeBytes),
    AT(RtFuncAttributes, cluster_must_be_set, struct cudaFuncAttributes, clusterDimMustBeSet),
    AT(RtFuncAttributes, cluster, struct cudaFuncAttributes, requiredClusterWidth),
    AT(RtFuncAttributes, cluster_policy, struct cudaFuncAttributes,
       clusterSchedulingPolicyPreference),
    AT(RtFuncAttributes, big_cluster, struct cudaFuncAttributes, nonPortableClusterSizeAllowed),
    SIZE(MemPoolProps, struct cudaMemPoolProps),
    SIZE(MemPoolProps, CUmemPoolProps),
    AT(MemPoolProps, location_id, struct cudaMemPoolProps, location.id),
    AT(MemPoolProps, max_bytes, struct cudaMemPoolProps, maxSize),
    SIZE(CuCopy2d, CUDA_MEMCPY2D),
    AT(CuCopy2d, src_device, CUDA_MEMCPY2D, srcDevice),
    AT(CuCopy2d, dst_x, CUDA_MEMCPY2D, dstXInBytes),
    AT(CuCopy2d, dst_device, CUDA_MEMCPY2D, dstDevice),
    AT(CuCopy2d, height, CUDA_MEMCPY2D, Height),
    SIZE(CuCopy3d, CUDA_MEMCPY3D),
    AT(CuCopy3d, src_device, CUDA_MEMCPY3D, srcDevice),
    AT(CuCopy3d, src_height, CUDA_MEMCPY3D, srcHeight),
    AT(CuCopy3d, dst_device, CUDA_MEMCPY3D, dstDevice),
    AT(CuCopy3d, depth, CUDA_MEMCPY3D, Depth),
    {"attribute: cooperative", LA_COOPERATIVE, cudaLaunchAttributeCooperative},
    {"attribute: cluster", LA_CLUSTER, cudaLaunchAttributeClusterDimension},
    {"attribute: cluster policy", LA_CLUSTER_POLICY,
     cudaLaunchAttributeClusterSchedulingPolicyPreference},
    {"attribute: PDL", LA_PDL, cudaLaunchAttributeProgrammaticStreamSerialization},
    {"attribute: PDL event", LA_PDL_EVENT, cudaLaunchAttributeProgrammaticEvent},
    {"attribute: priority", LA_PRIORITY, cudaLaunchAttributePriority},
    {"attribute: preferred cluster", LA_PREFERRED_CLUSTER,
     cudaLaunchAttributePreferredClusterDimension},
    {"attribute: completion event", LA_COMPLETION_EVENT, cudaLaunchAttributeLaunchCompletionEvent},
    {"attribute: updatable node", LA_UPDATABLE_NODE, cudaLaunchAttributeDeviceUpdatableKernelNode},
    {"attribute: carveout", LA_CARVEOUT, cudaLaunchAttributePreferredSharedMemoryCarveout},
    {"error: invalid value", GPU_INVALID_VALUE, cudaErrorInvalidValue},
    {"error: not supported", GPU_NOT_SUPPORTED, cudaErrorNotSupported},
    {"error: illegal address", GPU_ILLEGAL_ADDRESS, CUDA_ERROR_ILLEGAL_ADDRESS},
    {"error: misaligned", GPU_MISALIGNED, cudaErrorMisalignedAddress},
    {"error: assert", GPU_ASSERT, cudaErrorAssert},
    {"error: launch failed", GPU_LAUNCH_FAILED, cudaErrorLaunchFailure},
    {"error: out of resources", GPU_OUT_OF_RESOURCES, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES},
    {"error: no binary", GPU_NO_BINARY, cudaErrorNoKernelImageForDevice},
    {"error: invalid PTX", GPU_INVALID_PTX, cudaErrorInvalidPtx},
};

START_TEST(layouts_and_numbers_are_those_of_the_headers)
{
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        ck_assert_msg(layouts[i].ours == layouts[i].theirs, "%s: %zu, in the header %zu",
                      layouts[i].what, layouts[i].ours, layouts[i].theirs);
}
END_TEST

/* ---- cudaDeviceProp: which attribute lies where ---- */

typedef struct Place {
    size_t at, bytes;
    int attribute;
} Place;

static const Place ours[] = {
#define PROP(offset, bytes, attribute) {offset, bytes, attribute},
#include "sim/cuda/prop.def"
#undef PROP
};

#define FIELD(f, attr)                                                                             \
    {                                                                                              \
        offsetof(struct cudaDeviceProp, f), sizeof(((struct cudaDeviceProp *)0)->f),               \
            cudaDevAttr##attr                                                                      \
    }

static const Place theirs[] = {
    FIELD(sharedMemPerBlock, MaxSharedMemoryPerBlock),
    FIELD(regsPerBlock, MaxRegistersPerBlock),
    FIELD(warpSize, WarpSize),
    FIELD(memPitch, MaxPitch),
    FIELD(maxThreadsPerBlock, MaxThreadsPerBlock),
    FIELD(maxThreadsDim[2], MaxBlockDimZ),
    FIELD(maxGridSize[0], MaxGridDimX),
    FIELD(totalConstMem, TotalConstantMemory),
    FIELD(major, ComputeCapabilityMajor),
    FIELD(minor, ComputeCapabilityMinor),
    FIELD(textureAlignment, TextureAlignment),
    FIELD(texturePitchAlignment, TexturePitchAlignment),
    FIELD(multiProcessorCount, MultiProcessorCount),
    FIELD(integrated, Integrated),
    FIELD(canMapHostMemory, CanMapHostMemory),
    FIELD(surfaceAlignment, SurfaceAlignment),
    FIELD(concurrentKernels, ConcurrentKernels),
    FIELD(ECCEnabled, EccEnabled),
    FIELD(pciBusID, PciBusId),
    FIELD(pciDeviceID, PciDeviceId),
    FIELD(pciDomainID, PciDomainId),
    FIELD(asyncEngineCount, AsyncEngineCount),
    FIELD(unifiedAddressing, UnifiedAddressing),
    FIELD(memoryBusWidth, GlobalMemoryBusWidth),
    FIELD(l2CacheSize, L2CacheSize),
    FIELD(persistingL2CacheMaxSize, MaxPersistingL2CacheSize),
    FIELD(maxThreadsPerMultiProcessor, MaxThreadsPerMultiProcessor),
    FIELD(streamPrioritiesSupported, StreamPrioritiesSupported),
    FIELD(sharedMemPerMultiprocessor, MaxSharedMemoryPerMultiprocessor),
    FIELD(regsPerMultiprocessor, MaxRegistersPerMultiprocessor),
    FIELD(managedMemory, ManagedMemory),
    FIELD(pageableMemoryAccess, PageableMemoryAccess),
    FIELD(concurrentManagedAccess, ConcurrentManagedAccess),
    FIELD(cooperativeLaunch, CooperativeLaunch),
    FIELD(sharedMemPerBlockOptin, MaxSharedMemoryPerBlockOptin),
    FIELD(maxBlocksPerMultiProcessor, MaxBlocksPerMultiprocessor),
    FIELD(reservedSharedMemPerBlock, ReservedSharedMemoryPerBlock),
    FIELD(hostRegisterSupported, HostRegisterSupported),
    FIELD(memoryPoolsSupported, MemoryPoolsSupported),
    FIELD(clusterLaunch, ClusterLaunch),
    FIELD(gpuPciSubsystemID, GpuPciSubsystemId),
    FIELD(hostNumaMultinodeIpcSupported, HostNumaMultinodeIpcSupported),
};

START_TEST(properties_lie_where_the_header_has_them)
{
    ck_assert_uint_eq(sizeof(struct cudaDeviceProp), 1008);
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++) {
        const Place *t = &theirs[i], *o = NULL;
        for (size_t k = 0; k < sizeof ours / sizeof *ours; k++)
            if (ours[k].attribute == t->attribute)
                o = &ours[k];
        ck_assert_msg(o && o->at == t->at && o->bytes == t->bytes,
                      "attribute %d: the header has %zu bytes at %zu", t->attribute, t->bytes,
                      t->at);
    }
}
END_TEST
#else
START_TEST(nothing_is_compared)
{
    fputs("test_cuda_abi: NOT RUN: there is no CUDA 13 toolkit to compare with\n", stderr);
}
END_TEST
#endif

int main(void)
{
    TCase *t = tcase_create("cuda_abi");
#ifdef CUDA_HEADERS
    tcase_add_test(t, layouts_and_numbers_are_those_of_the_headers);
    tcase_add_test(t, properties_lie_where_the_header_has_them);
#else
    tcase_add_test(t, nothing_is_compared);
#endif
    Suite *s = suite_create("cuda_abi");
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
