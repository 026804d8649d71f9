/* The driver's encoder of tensor maps, over isa/tensormap.c. */
#include <string.h>

#include "isa/bits.h"
#include "sim/cuda/abi.h"
#include "sim/cuda/state.h"

/* The enumerations of the driver's interface are the fields' values, but for the element type. */
int cuTensorMapEncodeTiled(void *map, int type, uint32_t rank, void *address, const uint64_t *dims,
                           const uint64_t *strides, const uint32_t *box,
                           const uint32_t *element_strides, int interleave, int swizzle, int l2,
                           int oob)
{
    Err err = {0};
    if (!map || !dims || !box || !element_strides || rank < 1 || rank > TMAP_RANK ||
        (rank > 1 && !strides) || type < 0)
        return GPU_INVALID_VALUE;
    TensorMap tm = {.address = (uintptr_t)address,
                    .rank = rank,
                    .dtype = tensor_map_type_of_cuda((uint32_t)type),
                    .interleave = (uint32_t)interleave,
                    .swizzle = (uint32_t)swizzle,
                    .l2_promotion = (uint32_t)l2,
                    .oob_nan = oob != 0};
    uint32_t elem = tensor_map_elem_bits(tm.dtype);
    tm.strides[0] = elem >= 8 ? elem / 8 : 0;
    for (uint32_t i = 0; i < TMAP_RANK; i++) {
        tm.dims[i] = i < rank ? dims[i] : 1;
        tm.box[i] = i < rank ? box[i] : 1;
        tm.element_strides[i] = i < rank ? element_strides[i] : 1;
        if (i > 0 && i < rank)
            tm.strides[i] = strides[i - 1];
    }
    uint8_t bytes[TMAP_BYTES];
    if (tensor_map_encode(&tm, bytes, &err)) {
        memcpy(map, bytes, sizeof bytes);
        return GPU_OK;
    }
    gpu_say("cuTensorMapEncodeTiled: %s", err.msg);
    return GPU_INVALID_VALUE;
}

int cuTensorMapReplaceAddress(void *map, void *address)
{
    Err err = {0};
    TensorMap tm;
    uint8_t bytes[TMAP_BYTES];
    if (!map || !tensor_map_decode(map, &tm, &err))
        return GPU_INVALID_VALUE;
    tm.address = (uintptr_t)address;
    if (!tensor_map_encode(&tm, bytes, &err))
        return GPU_INVALID_VALUE;
    memcpy(map, bytes, sizeof bytes);
    return GPU_OK;
}
