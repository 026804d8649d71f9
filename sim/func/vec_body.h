/* Everything of vec.h for one instruction set. The file that includes it has defined SIMD_ISA and
 * SIMD_NAME (simd.h). */
#include "sim/func/num_body.h"

#include "sim/func/vec_cvt_body.h"
#include "sim/func/vec_float_body.h"
#include "sim/func/vec_half_body.h"
#include "sim/func/vec_int_body.h"
#include "sim/func/vec_mem_body.h"
#include "sim/func/vec_move_body.h"
#include "sim/func/vec_rare_body.h"

extern const VecFns SIMD_NAME(vec_fns);
const VecFns SIMD_NAME(vec_fns) = {.i = VEC_INTS,
                                   .r = VEC_RARE,
                                   .f = VEC_FLOATS,
                                   .h = VEC_HALVES,
                                   .c = VEC_CVTS,
                                   .m = VEC_MOVES,
                                   .mem = VEC_MEM};
