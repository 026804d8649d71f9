/* Row and tile kernels for AVX2 and FMA; see simd.h. */
#define SIMD_ISA SIMD_AVX2
#define SIMD_NAME(x) x##_avx2
#define SIMD_BYTES 32

#include "sim/func/mma_body.h"
#include "sim/func/num_body.h"
