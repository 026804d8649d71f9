/* Row and tile kernels for the instruction set that the whole program is built for. */
#define SIMD_ISA SIMD_BASE
#define SIMD_NAME(x) x##_base
#define SIMD_BYTES 16

#include "sim/func/mma_body.h"
#include "sim/func/num_body.h"
