/* What the simulated device says of itself: facts of the B200 or H200 (attr.def), and the machine
 * model's numbers, overrides included. */
#include "sim/cuda/state.h"

#include <string.h>

typedef struct Attr {
    int number, b200, h200;
} Attr;
static const Attr attrs[] = {
#define ATTR(number, b200, h200) {number, b200, h200},
#include "sim/cuda/attr.def"
#undef ATTR
};
enum { ATTR_MAX = 150 };

/* CUdevice_attribute numbers of what the model says. */
enum {
    A_CLOCK_KHZ = 13,
    A_SMS = 16,
    A_PCI_BUS = 33,
    A_L2_BYTES = 38,
    A_THREADS_PER_SM = 39,
    A_SHARED_PER_SM = 81,
    A_REGISTERS_PER_SM = 82,
    A_SHARED_OPTIN = 97,
    A_CTAS_PER_SM = 106,
    A_PERSISTING_L2 = 108,
    A_SHARED_RESERVED = 111,
};

static bool is_hopper(const Gpu *g)
{
    return strncmp(g->model.target, "sm_9", 4) == 0;
}

static bool model_attribute(const Gpu *g, int attribute, int *value)
{
    const double *v = g->model.v;
    double x = 0;
    switch (attribute) {
    case A_CLOCK_KHZ:
        x = v[MP_CLOCK_MAX_GHZ] * 1e6;
        break;
    case A_SMS:
        x = v[MP_GPU_SMS];
        break;
    case A_PCI_BUS:
        x = 1;
        break;
    case A_L2_BYTES:
        x = v[MP_L2_MIB] * (1 << 20);
        break;
    case A_PERSISTING_L2: /* 5/8 of L2, as the H100 reports: 32768000 of 52428800 */
        x = v[MP_L2_MIB] * (1 << 20) * 5 / 8;
        break;
    case A_THREADS_PER_SM:
        x = v[MP_SM_WARPS] * WARP;
        break;
    case A_SHARED_PER_SM:
        x = v[MP_SM_SHARED_BYTES];
        break;
    case A_REGISTERS_PER_SM:
        x = v[MP_SM_REGISTERS];
        break;
    case A_SHARED_OPTIN:
        x = v[MP_SM_SHARED_CTA_MAX];
        break;
    case A_CTAS_PER_SM:
        x = v[MP_SM_CTAS];
        break;
    case A_SHARED_RESERVED:
        x = v[MP_SM_SHARED_RESERVED];
        break;
    default:
        return false;
    }
    *value = (int)(x + 0.5);
    return true;
}

GpuError gpu_attribute(int attribute, int *value)
{
    Gpu *g = gpu_enter();
    *value = 0;
    if (attribute < 1 || attribute > ATTR_MAX)
        return gpu_leave(GPU_INVALID_VALUE);
    if (!model_attribute(g, attribute, value))
        for (size_t i = 0; i < sizeof attrs / sizeof *attrs; i++)
            if (attrs[i].number == attribute)
                *value = is_hopper(g) ? attrs[i].h200 : attrs[i].b200;
    return gpu_leave(GPU_OK);
}

const char *gpu_name(void)
{
    Gpu *g = gpu_enter();
    bool hopper = is_hopper(g);
    gpu_leave(GPU_OK);
    return hopper ? "NVIDIA H200" : "NVIDIA B200";
}

/* 180 GB and 141 GB as sold; drivers report some MiB less. */
uint64_t gpu_total_memory(void)
{
    Gpu *g = gpu_enter();
    bool hopper = is_hopper(g);
    gpu_leave(GPU_OK);
    return hopper ? UINT64_C(141) * 1000000000 : UINT64_C(180) * 1000000000;
}

/* Not a real device's: "rao" and the model's name. */
void gpu_uuid(uint8_t uuid[16])
{
    Gpu *g = gpu_enter();
    memset(uuid, 0, 16);
    memcpy(uuid, "rao", 3);
    memcpy(uuid + 4, g->model.name, strnlen(g->model.name, 12));
    gpu_leave(GPU_OK);
}

void gpu_pci_id(char *id, size_t n)
{
    snprintf(id, n, "0000:01:00.0");
}

bool gpu_is_pci_id(const char *id)
{
    return strstr(id, "01:00.0") != NULL;
}

void gpu_priorities(int *least, int *greatest)
{
    enum { HIGHEST = -5 };
    if (least)
        *least = 0;
    if (greatest)
        *greatest = HIGHEST;
}

enum { N_LIMITS = 7 };
static size_t limits[N_LIMITS] = {1024, 1 << 20, 8 << 20, 2, 2048, 128, 0};

GpuError gpu_set_limit(int limit, size_t value)
{
    if (limit < 0 || limit >= N_LIMITS)
        return GPU_UNSUPPORTED_LIMIT;
    __atomic_store_n(&limits[limit], value, __ATOMIC_RELAXED);
    return GPU_OK;
}

GpuError gpu_get_limit(int limit, size_t *value)
{
    if (!value || limit < 0 || limit >= N_LIMITS)
        return value ? GPU_UNSUPPORTED_LIMIT : GPU_INVALID_VALUE;
    *value = __atomic_load_n(&limits[limit], __ATOMIC_RELAXED);
    return GPU_OK;
}
