/* Row and tile kernels for AVX-512 F, BW, VL and DQ; see simd.h. */
#define SIMD_ISA SIMD_AVX512
#define SIMD_NAME(x) x##_avx512
#define SIMD_BYTES 64

#include "sim/func/mma_body.h"
#include "sim/func/num_body.h"
