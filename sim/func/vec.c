#include "sim/func/vec.h"

extern const VecFns vec_fns_exec_base;
#if defined(__x86_64__)
extern const VecFns vec_fns_exec_avx2, vec_fns_exec_avx512;
#endif

const VecFns *vec_fns(SimdIsa isa)
{
#if defined(__x86_64__)
    if (isa == SIMD_AVX512)
        return &vec_fns_exec_avx512;
    if (isa == SIMD_AVX2)
        return &vec_fns_exec_avx2;
#endif
    (void)isa;
    return &vec_fns_exec_base;
}
