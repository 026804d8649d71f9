/* What lowering must know about rows of isa.def beyond their timing class: which work on registers
 * only, what kind of Op they give, and how many machine instructions ptxas makes of those that are
 * not one.
 *
 * Counts: ptxas 13.0 -O3 for sm_100a, small kernels with one such instruction, difference of
 * nvdisasm listings; and ptx.md 5.2. */
#include "sim/lower/ir.h"

/* clang-format off */ /* case labels of one meaning share a line */
bool row_is_plain(OpCode op)
{
    switch (op_row[op].tclass) {
    case TC_FMA: case TC_FMA2: case TC_HFMA2: case TC_IMAD: case TC_IMAD_WIDE: case TC_ALU: case TC_MINMAX:
    case TC_F2FP: case TC_CVT: case TC_BITS: case TC_EX2: case TC_EX2_PAIR: case TC_MUFU: case TC_MUFU_PAIR: case TC_FP64: case TC_DIV: case TC_SHFL:
    case TC_VOTE: case TC_S2R: case TC_UNIFORM: case TC_HMMA:
    case TC_HMMA_K8: case TC_HMMA_TF32: case TC_HMMA_TF32_K4: case TC_QMMA: case TC_IMMA: case TC_IMMA_K16: case TC_IMMA4: case TC_DMMA:
        return op != OP_TENSORMAP_REPLACE && op != OP_ALLOCA && op != OP_STACKSAVE && op != OP_STACKRESTORE;
    case TC_NONE:
        return op == OP_MOV || op == OP_MOV_PACK || op == OP_MOV_UNPACK;
    case TC_BRANCH: case TC_LDS: case TC_STS: case TC_ATOMS: case TC_LDG: case TC_STG: case TC_ATOMG: case TC_LDC:
    case TC_LDTM: case TC_STTM: case TC_WAIT_ST: case TC_TMEM_ALLOC: case TC_TMEM_CP: case TC_MMA: case TC_COMMIT:
    case TC_WGMMA: case TC_MBAR_ARRIVE: case TC_MBAR_TRY: case TC_BAR: case TC_WARPSYNC: case TC_FENCE:
    case TC_SETMAXREG: case TC_NANOSLEEP: case TC_TMA_LD: case TC_TMA_ST: case TC_TMA_PF: case TC_TMA_GROUP:
    case TC_LDGSTS: case TC_COUNT:
        return false;
    }
    return false;
}

/* Rows of class NONE that do something all the same, and loads, are told apart here; ld is removable when weak
 * (copyprop.c looks at .sem). */
bool row_has_effect(OpCode op)
{
    switch (op) {
    case OP_LD: case OP_LD_SHARED: case OP_LD_PARAM: case OP_LDU:
    case OP_PREFETCH_L1: case OP_PREFETCHU: case OP_APPLYPRIORITY: case OP_DISCARD: case OP_PMEVENT:
    case OP_FENCE_MBARRIER_INIT: case OP_TCGEN05_FENCE_BEFORE: case OP_TCGEN05_FENCE_AFTER: case OP_TCGEN05_WAIT_LD:
    case OP_GRIDDEPCONTROL_LAUNCH: case OP_GRIDDEPCONTROL_WAIT:
        return false;
    default: /* the table has hundreds of rows; new ones are kept, which is safe */
        return !row_is_plain(op);
    }
}

static OpKind mbarrier_kind(OpCode op)
{
    switch (op) {
    case OP_MBARRIER_INIT: return OK_MBAR_INIT;
    case OP_MBARRIER_INVAL: return OK_MBAR_INVAL;
    case OP_MBARRIER_EXPECT_TX: case OP_MBARRIER_COMPLETE_TX: return OK_MBAR_TX;
    case OP_CP_ASYNC_MBARRIER_ARRIVE: return OK_CPASYNC_ARRIVE;
    default: return OK_MBAR_ARRIVE; /* arrive, arrive_drop and their variants */
    }
}

/* Rows whose class alone does not say the kind. */
static OpKind other_kind(OpCode op)
{
    switch (op) {
    case OP_EXIT: case OP_RET: return OK_EXIT;
    case OP_BAR_ARRIVE: case OP_BARRIER_ARRIVE: return OK_BAR_ARRIVE;
    case OP_BARRIER_CLUSTER_ARRIVE: return OK_CLUSTER_ARRIVE;
    case OP_BARRIER_CLUSTER_WAIT: return OK_CLUSTER_WAIT;
    case OP_CP_ASYNC_BULK_COMMIT_GROUP: return OK_BULK_COMMIT;
    case OP_CP_ASYNC_BULK_WAIT_GROUP: return OK_BULK_WAIT;
    case OP_CP_ASYNC_COMMIT_GROUP: return OK_CPASYNC_COMMIT;
    case OP_CP_ASYNC_WAIT_GROUP: case OP_CP_ASYNC_WAIT_ALL: return OK_CPASYNC_WAIT;
    case OP_TCGEN05_ALLOC: return OK_TMEM_ALLOC;
    case OP_TCGEN05_DEALLOC: return OK_TMEM_DEALLOC;
    case OP_TCGEN05_RELINQUISH: return OK_TMEM_RELINQUISH;
    case OP_GRIDDEPCONTROL_LAUNCH: case OP_GRIDDEPCONTROL_WAIT: return OK_GRIDDEP;
    default: return OK_PLAIN;
    }
}

static OpKind tma_load_kind(OpCode op)
{
    switch (op) {
    case OP_CLC_TRY_CANCEL: return OK_CANCEL;
    case OP_CP_ASYNC_BULK_S2S: case OP_CP_REDUCE_ASYNC_BULK_S2S: return OK_REMOTE;
    default: return OK_TMA_LOAD;
    }
}

OpKind row_kind(const IrInsn *in)
{
    switch (op_row[in->op].tclass) {
    case TC_LDS: case TC_STS: case TC_ATOMS:
        return in->op == OP_ST_ASYNC || in->op == OP_RED_ASYNC ? OK_REMOTE : OK_SMEM;
    case TC_LDG: case TC_STG: case TC_ATOMG: return OK_GMEM;
    case TC_LDTM: case TC_STTM: return OK_TMEM;
    case TC_WAIT_ST: return OK_WAIT_ST;
    case TC_MMA: return OK_MMA;
    case TC_WGMMA: return in->op == OP_WGMMA_COMMIT_GROUP ? OK_WGMMA_COMMIT : in->op == OP_WGMMA_WAIT_GROUP ? OK_WGMMA_WAIT : OK_WGMMA;
    case TC_COMMIT: return OK_COMMIT;
    case TC_TMEM_CP: return OK_TMEM_CP;
    case TC_TMA_LD: return tma_load_kind((OpCode)in->op);
    case TC_TMA_ST: return OK_TMA_STORE;
    case TC_TMA_PF: return OK_TMA_PREFETCH;
    case TC_LDGSTS: return OK_CPASYNC;
    case TC_FENCE: return OK_FENCE;
    case TC_SETMAXREG: return OK_SETMAXNREG;
    case TC_NANOSLEEP: return OK_NANOSLEEP;
    case TC_MBAR_ARRIVE: return mbarrier_kind((OpCode)in->op);
    case TC_MBAR_TRY: return in->flags & IF_WAIT ? OK_MBAR_WAIT : OK_MBAR_TEST;
    case TC_BRANCH: return in->op == OP_EXIT || in->op == OP_RET ? OK_EXIT : OK_BRANCH;
    case TC_BAR: return other_kind((OpCode)in->op) == OK_PLAIN ? OK_BAR_SYNC : other_kind((OpCode)in->op);
    case TC_NONE: case TC_TMEM_ALLOC: case TC_TMA_GROUP: return other_kind((OpCode)in->op);
    case TC_FMA: case TC_FMA2: case TC_HFMA2: case TC_IMAD: case TC_IMAD_WIDE: case TC_ALU: case TC_MINMAX:
    case TC_F2FP: case TC_CVT: case TC_BITS: case TC_EX2: case TC_EX2_PAIR: case TC_MUFU: case TC_MUFU_PAIR: case TC_FP64: case TC_DIV: case TC_SHFL:
    case TC_VOTE: case TC_S2R: case TC_UNIFORM: case TC_LDC: case TC_HMMA: case TC_WARPSYNC: case TC_COUNT:
    case TC_HMMA_K8: case TC_HMMA_TF32: case TC_HMMA_TF32_K4: case TC_QMMA: case TC_IMMA: case TC_IMMA_K16: case TC_IMMA4: case TC_DMMA:
        return OK_PLAIN;
    }
    return OK_PLAIN;
}

bool row_is_int(OpCode op)
{
    switch (op) {
    case OP_ADD_INT: case OP_SUB_INT: case OP_MUL_LO: case OP_MUL_HI: case OP_MUL_WIDE: case OP_MAD_LO: case OP_MAD_HI:
    case OP_MAD_WIDE: case OP_ABS_INT: case OP_NEG_INT: case OP_MIN_INT: case OP_MAX_INT: case OP_POPC: case OP_CLZ:
    case OP_BFIND: case OP_BREV: case OP_BFE: case OP_BFI: case OP_SETP_INT: case OP_SELP: case OP_AND_BITS:
    case OP_OR_BITS: case OP_XOR_BITS: case OP_NOT_BITS: case OP_AND_PRED: case OP_OR_PRED: case OP_XOR_PRED:
    case OP_NOT_PRED: case OP_MOV_PRED: case OP_LOP3: case OP_SHF_L: case OP_SHF_R: case OP_SHL: case OP_SHR:
    case OP_PRMT: case OP_MOV: case OP_MOV_PACK: case OP_MOV_UNPACK: case OP_CVT_INT: case OP_BMSK: case OP_SZEXT:
        return true;
    default:
        return false;
    }
}

/* mma.sync by what the machine multiplies: ptxas 13.0 for sm_90a and sm_100a has no other HMMA and IMMA. */
static uint8_t mma_class(const IrInsn *in)
{
    MatShape s = form_mma_shape(in->mod[MC_MMASHAPE]);
    switch (in->op) {
    case OP_MMA_SYNC_F64: return TC_DMMA;
    case OP_MMA_SYNC_B1: return TC_IMMA;
    case OP_MMA_SYNC_S32:
        return in->type[1] == T_U4 || in->type[1] == T_S4 ? TC_IMMA4 : s.k == 32 ? TC_IMMA : TC_IMMA_K16;
    default:
        if (type_info[in->type[1]].bits == 8)
            return TC_QMMA;
        if (in->type[1] == T_TF32)
            return s.k == 8 ? TC_HMMA_TF32 : TC_HMMA_TF32_K4;
        return s.k == 16 ? TC_HMMA : TC_HMMA_K8;
    }
}

static bool is_half_pair(const IrInsn *in)
{
    return in->type[0] == T_F16X2 || in->type[0] == T_BF16X2;
}

uint8_t row_class(const IrInsn *in)
{
    if (op_row[in->op].tclass == TC_HMMA)
        return mma_class(in);
    switch (in->op) {
    case OP_EX2_F16: case OP_EX2_BF16: return is_half_pair(in) ? TC_EX2_PAIR : TC_EX2;
    case OP_TANH_F16: return is_half_pair(in) ? TC_MUFU_PAIR : TC_MUFU;
    case OP_MOV_PACK: case OP_MOV_UNPACK: return TC_ALU; /* of 16-bit halves: PRMT */
    case OP_CP_ASYNC_COMMIT_GROUP: case OP_CP_ASYNC_WAIT_GROUP: case OP_CP_ASYNC_WAIT_ALL:
        return TC_WARPSYNC;                              /* LDGDEPBAR, DEPBAR */
    case OP_CVT_I2F:                                     /* I2FP.F32.S32; other widths go through the XU */
        return in->type[0] == T_F32 && type_info[in->type[1]].bits == 32 ? TC_ALU : TC_CVT;
    default: return (uint8_t)op_row[in->op].tclass;
    }
}

/* clang-format on */

/* Machine instructions of one PTX instruction. `wide`: on 64-bit integers; `slow`: without .ftz. */
typedef struct Expansion {
    uint16_t op;
    uint16_t narrow, wide, slow;
} Expansion;
/* clang-format off */
static const Expansion expansions[] = {
    {OP_ADD_INT, 1, 2, 1},   {OP_SUB_INT, 1, 2, 1},  {OP_NEG_INT, 1, 2, 1},  {OP_ABS_INT, 1, 5, 1},
    {OP_MIN_INT, 1, 4, 1},   {OP_MAX_INT, 1, 4, 1},  {OP_MUL_LO, 1, 4, 1},   {OP_MAD_LO, 1, 4, 1},
    {OP_MUL_HI, 1, 18, 1},   {OP_MAD_HI, 2, 20, 1},  {OP_SETP_INT, 1, 2, 1}, {OP_SHL, 1, 2, 1},
    {OP_SHR, 1, 2, 1},       {OP_CLZ, 2, 5, 2},      {OP_POPC, 1, 3, 1},     {OP_BFE, 2, 6, 1},
    {OP_BFI, 2, 6, 1},       {OP_BREV, 1, 2, 1},     {OP_SLCT_S32, 2, 3, 2}, {OP_SLCT_F32, 2, 3, 2},
    {OP_ADD_CC, 1, 2, 1},    {OP_ADDC, 1, 2, 1},     {OP_SUB_CC, 1, 2, 1},   {OP_SUBC, 1, 2, 1},
    {OP_DIV_INT, 20, 70, 1}, {OP_REM_INT, 20, 70, 1},
    {OP_EX2_F32, 1, 1, 4},   {OP_LG2_F32, 1, 1, 4},  {OP_RCP_F32_APPROX, 1, 1, 4},
    {OP_SQRT_F32_APPROX, 1, 1, 4}, {OP_RSQRT_F32, 1, 1, 4}, {OP_SIN_F32, 2, 2, 2}, {OP_COS_F32, 2, 2, 2},
    {OP_DIV_F32_APPROX, 2, 2, 7}, {OP_DIV_F32, 12, 12, 12}, {OP_RCP_F32, 9, 9, 9}, {OP_SQRT_F32, 9, 9, 9},
    {OP_DIV_F64, 14, 14, 14}, {OP_RCP_F64, 10, 10, 10}, {OP_SQRT_F64, 12, 12, 12},
    {OP_MMA_QUAD_F32, 86, 86, 86}, {OP_MMA_QUAD_F32_F16, 94, 94, 94}, {OP_MMA_QUAD_F16, 94, 94, 94}, /* SHFL, HADD2, FFMA */
    {OP_FENCE_PROXY_ASYNC, 2, 2, 2},
    {OP_TCGEN05_ALLOC, 30, 30, 30}, /* cold: a loop that retries */
};
/* clang-format on */

/* 12 F2FP, two HMMA, four FADD; half of the F2FP for K = 16. f64: steps of K = 4. */
static uint16_t mma_slots(const IrInsn *in)
{
    uint32_t k = form_mma_shape(in->mod[MC_MMASHAPE]).k;
    if (in->op == OP_MMA_SYNC_F64)
        return (uint16_t)(k / 4);
    if (in->op != OP_MMA_SYNC_S32 && in->op != OP_MMA_SYNC_B1 && type_info[in->type[1]].bits == 8)
        return k == 32 ? 18 : 12;
    return 1;
}

/* Video instructions are sequences, but for VABSDIFF4: counted in ptxas 13.0's code for sm_100a,
 * one form of each: without .sat and second operation, and what .sat adds. */
/* clang-format off */
static const struct {
    uint16_t op;
    uint8_t slots, sat;
} video_slots[] = {
    {OP_VADD, 3, 6}, {OP_VSUB, 4, 6}, {OP_VABSDIFF, 6, 6}, {OP_VMIN, 7, 6}, {OP_VMAX, 7, 6},
    {OP_VSHL, 6, 6}, {OP_VSHR, 5, 6}, {OP_VMAD, 3, 6}, {OP_VSET, 8, 0},
    {OP_VADD2, 4, 18}, {OP_VSUB2, 4, 18}, {OP_VAVRG2, 4, 24}, {OP_VABSDIFF2, 12, 15}, {OP_VMIN2, 7, 15},
    {OP_VMAX2, 7, 15}, {OP_VSET2, 15, 0},
    {OP_VADD4, 5, 37}, {OP_VSUB4, 5, 37}, {OP_VAVRG4, 31, 23}, {OP_VABSDIFF4, 1, 50}, {OP_VMIN4, 19, 23},
    {OP_VMAX4, 19, 23}, {OP_VSET4, 27, 0},
};
/* clang-format on */

static uint16_t slots_of_video(const IrInsn *in)
{
    for (uint32_t i = 0; i < sizeof video_slots / sizeof video_slots[0]; i++)
        if (video_slots[i].op == in->op)
            return (uint16_t)(video_slots[i].slots + (in->mod[MC_SAT] ? video_slots[i].sat : 0));
    return 1;
}

uint16_t row_slots(const IrInsn *in)
{
    if (in->op >= OP_VADD && in->op <= OP_VSET4)
        return slots_of_video(in);
    if (op_row[in->op].tclass == TC_HMMA)
        return mma_slots(in);
    if (in->tclass == TC_EX2_PAIR || in->tclass == TC_MUFU_PAIR)
        return 3;
    for (uint32_t i = 0; i < sizeof expansions / sizeof expansions[0]; i++) {
        const Expansion *e = &expansions[i];
        if (e->op != in->op)
            continue;
        bool is_float = type_info[in->type[0]].kind == 'F';
        if (is_float)
            return in->type[0] == T_F32 && in->mod[MC_FTZ] == 0 ? e->slow : e->narrow;
        return type_info[in->type[0]].bits == 64 ? e->wide : e->narrow;
    }
    return 1;
}
