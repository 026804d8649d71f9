/* What both interfaces need of launches. */
#include "sim/cuda/abi.h"

GpuError launch_attrs(const LaunchAttr *attrs, uint32_t n, GpuLaunch *l, GpuEvent **after)
{
    *after = NULL;
    for (uint32_t i = 0; i < n; i++) {
        const LaunchAttr *a = &attrs[i];
        switch (a->id) {
        case LA_COOPERATIVE:
            l->cooperative = a->value.on != 0;
            break;
        case LA_PDL:
            l->dependent = a->value.on != 0;
            break;
        case LA_CLUSTER:
            l->cluster[0] = a->value.cluster.x;
            l->cluster[1] = a->value.cluster.y;
            l->cluster[2] = a->value.cluster.z;
            break;
        case LA_PDL_EVENT:
        case LA_COMPLETION_EVENT:
            *after = a->value.event.event;
            break;
        case LA_UPDATABLE_NODE:
            if (a->value.on)
                return gpu_refuse("launch attribute", "deviceUpdatableKernelNode");
            break;
        case LA_IGNORE:
        case LA_ACCESS_POLICY: /* hints, and orders that work done at once keeps anyway */
        case LA_SYNC_POLICY:
        case LA_CLUSTER_POLICY:
        case LA_PRIORITY:
        case LA_MEM_SYNC_MAP:
        case LA_MEM_SYNC:
        case LA_PREFERRED_CLUSTER:
        case LA_CARVEOUT:
        case LA_NVLINK:
            break;
        default:
            return GPU_INVALID_VALUE;
        }
    }
    return GPU_OK;
}
