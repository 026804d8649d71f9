/* Row functions of instructions, built for one instruction set; see vec.h and simd.h. */
#define SIMD_ISA SIMD_AVX2
#define SIMD_NAME(x) x##_exec_avx2

#include "sim/func/vec_body.h"
