/* What mma.sync and wgmma share. Private to sim/func. */
#ifndef RAO_FUNC_EXEC_MMA_H
#define RAO_FUNC_EXEC_MMA_H

#include "sim/func/exec.h"
#include "sim/func/num.h"

/* The number format of a PTX type of a float operand (f16, bf16, tf32, e4m3, e5m2). */
NumType mma_num_type(uint8_t type);

/* c + sum modulo 2^32, or clamped to the range of s32. */
uint32_t mma_add_int(uint32_t c, int32_t sum, bool saturate);

/* mma.sync on f64 (exec_mma_f64.c, which is built to respect the rounding mode). */
PlainFn mma_f64;

#endif
