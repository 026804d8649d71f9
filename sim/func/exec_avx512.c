/* Row functions of instructions, built for one instruction set; see vec.h and simd.h. */
#define SIMD_ISA SIMD_AVX512
#define SIMD_NAME(x) x##_exec_avx512

#include "sim/func/vec_body.h"
