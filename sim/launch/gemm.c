#include "sim/launch/gemm.h"

#include <stdint.h>

#define BODY(name) name##_base
#define TARGET
#define LANES 4
#define TILE 3
#include "sim/launch/gemm_body.h"
#undef BODY
#undef TARGET
#undef LANES
#undef TILE

#if defined(__x86_64__)
#define BODY(name) name##_avx2
#define TARGET __attribute__((target("avx2")))
#define LANES 8
#define TILE 6
#include "sim/launch/gemm_body.h"
#undef BODY
#undef TARGET
#undef LANES
#undef TILE

#define BODY(name) name##_avx512
#define TARGET __attribute__((target("avx512f,avx512dq")))
#define LANES 16
#define TILE 12
#include "sim/launch/gemm_body.h"
#undef BODY
#undef TARGET
#undef LANES
#undef TILE

static const GemmFns fns[SIMD_ISAS] = {
    [SIMD_BASE] = {gemm_base, exps_base},
    [SIMD_AVX2] = {gemm_avx2, exps_avx2},
    [SIMD_AVX512] = {gemm_avx512, exps_avx512},
};
#else
static const GemmFns fns[SIMD_ISAS] = {
    [SIMD_BASE] = {gemm_base, exps_base},
    [SIMD_AVX2] = {gemm_base, exps_base},
    [SIMD_AVX512] = {gemm_base, exps_base},
};
#endif

const GemmFns *gemm_for(SimdIsa isa)
{
    return &fns[isa];
}
