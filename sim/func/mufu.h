/* The special function unit (MUFU), bit for bit: coefficients for mufu_body.h.
 *
 * Fitted to all results of whole binades (NVIDIA H100 80GB HBM3, driver 580.159.04, 2026-11-25).
 * With them ex2, lg2, rcp, rsqrt, sqrt, sin, cos and tanh .approx.f32, with and without .ftz, and
 * the upper words of rcp and rsqrt .approx.ftz.f64 equal an H200 in every one of 2^32 arguments;
 * the f16 and bf16 forms in all 2^16. The unit is as published by Oberman and Siu, "A
 * High-Performance Area-Efficient Multifunction Interpolator" (ARITH 2005): a table, a squarer
 * without its low columns, one sum that is cut. Whether Blackwell's MUFU has the same tables is not
 * known; ptxas expands the instructions in the same way for sm_90a and sm_100a.
 *
 * cos errs by up to 2^-20.43 within two pi, a little more than the 2^-20.5 of the PTX manual. */
#ifndef RAO_SIM_FUNC_MUFU_H
#define RAO_SIM_FUNC_MUFU_H

#include <stdint.h>

#ifndef MUFU_TABLE
#define MUFU_TABLE extern const
#endif

enum { MUFU_EX2_BIAS = 6114 };

/* c0, c1, c2 of each segment, apart so that a vector of lanes can gather them. */
MUFU_TABLE double mufu_lg2_c0[64], mufu_lg2_c1[64], mufu_lg2_c2[64];
MUFU_TABLE double mufu_rcp_c0[128], mufu_rcp_c1[128], mufu_rcp_c2[128];
MUFU_TABLE double mufu_rsq_c0[128], mufu_rsq_c1[128], mufu_rsq_c2[128];
MUFU_TABLE double mufu_sqrt_c0[128], mufu_sqrt_c1[128], mufu_sqrt_c2[128];
MUFU_TABLE double mufu_sin_c0[64], mufu_sin_c1[64], mufu_sin_c2[64];
MUFU_TABLE double mufu_tanh_c0[51], mufu_tanh_c1[51], mufu_tanh_c2[51];
/* By binade from 2^-8: the first segment, and how many bits count them. */
MUFU_TABLE uint32_t mufu_tanh_first[11], mufu_tanh_n[11];
/* ex2 in 32 bits: c0 / 2^6 without the leading one, and c1 with c2 above it. */
MUFU_TABLE uint32_t mufu_ex2_c0[64], mufu_ex2_c12[64];

#endif
