/* Row functions of instructions, built for one instruction set; see vec.h and simd.h. */
#define SIMD_ISA SIMD_BASE
#define SIMD_NAME(x) x##_exec_base

#include "sim/func/vec_body.h"
