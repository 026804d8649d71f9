/* Which instruction set the row and tile kernels use.
 *
 * num_body.h and mma_body.h are compiled once per instruction set (simd_base.c, simd_avx2.c,
 * simd_avx512.c) and reached through constant tables. Every build gives the same bytes: the bodies
 * use only operations that IEEE 754 defines exactly (add, multiply, fused multiply-add, truncating
 * conversion), in an order that does not depend on the vector width. */
#ifndef RAO_SIM_FUNC_SIMD_H
#define RAO_SIM_FUNC_SIMD_H

#include <stdbool.h>

typedef enum SimdIsa { SIMD_BASE, SIMD_AVX2, SIMD_AVX512, SIMD_ISAS } SimdIsa;

/* Whether this processor, and the operating system, can run the kernels built for isa. */
static inline bool simd_runs(SimdIsa isa)
{
#if defined(__x86_64__)
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (isa == SIMD_AVX2)
        return avx2;
    if (isa == SIMD_AVX512)
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#endif
    return isa == SIMD_BASE;
}

/* The widest instruction set that this processor runs. */
static inline SimdIsa simd_best(void)
{
    return simd_runs(SIMD_AVX512) ? SIMD_AVX512 : simd_runs(SIMD_AVX2) ? SIMD_AVX2 : SIMD_BASE;
}

#endif
