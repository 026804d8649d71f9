/* Descriptors of tcgen05.mma: what they say, and what is wrong with them. */
#include "sim/func/tc.h"

Matrix matrix_of(uint64_t d)
{
    static const Swizzle modes[8] = {[SDESC_SWIZZLE_NONE] = SWZ_NONE,
                                     [SDESC_SWIZZLE_128B_ATOM_32B] = SWZ_128_32A,
                                     [SDESC_SWIZZLE_128B] = SWZ_128,
                                     [SDESC_SWIZZLE_64B] = SWZ_64,
                                     [SDESC_SWIZZLE_32B] = SWZ_32};
    return (Matrix){
        .start = (uint32_t)sdesc_addr16(&d) << 4,
        .lbo = (uint32_t)sdesc_lbo16(&d) << 4,
        .sbo = (uint32_t)sdesc_sbo16(&d) << 4,
        .base = (uint32_t)sdesc_base_offset(&d) << 7,
        .swz = modes[sdesc_swizzle(&d)],
    };
}

const char *sdesc_trouble(uint64_t d)
{
    uint64_t mode = sdesc_swizzle(&d);
    /* The manual says 0b001; Triton leaves it 0, and its kernels run on a B200. */
    if (sdesc_version(&d) > 1)
        return "bits 46-48 must be 0b001 (or 0, which the hardware takes as well)";
    if (mode == 3 || mode == 5 || mode == 7)
        return "no such swizzle mode (bits 61-63)";
    if (sdesc_lbo_mode(&d))
        return "absolute leading-dimension addresses (bit 52) are for K = 96 of sm_103a";
    if (d & bits_unclaimed(BITS_sdesc, 0))
        return "reserved bits (14-15, 30-31, 53-60) must be zero";
    return NULL;
}

static bool operand_type(uint8_t kind, uint32_t code, NumType *out)
{
    static const NumType f8f6f4[8] = {NUM_E4M3, NUM_E5M2, NUM_TYPES, NUM_E2M3,
                                      NUM_E3M2, NUM_E2M1, NUM_TYPES, NUM_TYPES};
    if (kind == MV_KIND_F16)
        *out = code == 0 ? NUM_F16 : code == 1 ? NUM_BF16 : NUM_TYPES;
    else if (kind == MV_KIND_TF32)
        *out = code == 2 ? NUM_TF32 : NUM_TYPES;
    else
        *out = f8f6f4[code];
    return *out != NUM_TYPES;
}

Mma mma_of(uint32_t idesc, uint8_t kind, bool cg2)
{
    uint64_t i = idesc;
    Mma o = {
        .m = (uint32_t)idesc_m16(&i) << 4,
        .n = (uint32_t)idesc_n8(&i) << 3,
        .a_neg = idesc_neg_a(&i),
        .b_neg = idesc_neg_b(&i),
        .a_mn = idesc_trans_a(&i),
        .b_mn = idesc_trans_b(&i),
        .d_f16 = idesc_d_type(&i) == IDESC_D_F16,
    };
    operand_type(kind, (uint32_t)idesc_a_type(&i), &o.a_type);
    operand_type(kind, (uint32_t)idesc_b_type(&i), &o.b_type);
    o.elem_bytes = kind == MV_KIND_F16 ? 2 : kind == MV_KIND_TF32 ? 4 : 1;
    o.slice_k = TC_SLICE_BYTES / o.elem_bytes;
    o.rows = cg2 ? o.m / 2 : o.m;
    return o;
}

static const char *shape_trouble(uint32_t m, uint32_t n, bool cg2)
{
    if (cg2 && m != 128 && m != 256)
        return "M must be 128 or 256 with cta_group::2";
    if (!cg2 && m != 64 && m != 128)
        return "M must be 64 or 128 with cta_group::1";
    if (n == 0 || n > TC_MAX_N || n % (cg2 ? 16 : 8) != 0)
        return cg2 ? "N must be 16..256 in steps of 16" : "N must be 8..256 in steps of 8";
    return NULL;
}

const char *idesc_trouble(uint32_t idesc, uint8_t kind, bool cg2)
{
    NumType a, b;
    uint64_t i = idesc, d_type = idesc_d_type(&i);
    if (idesc_sparse(&i))
        return "the sparse bit (2) is set, but the instruction is dense";
    if ((i & bits_unclaimed(BITS_idesc, 0)) || idesc_sparse_sel(&i) || idesc_saturate(&i) ||
        idesc_max_shift(&i))
        return "reserved bits (0-1, 3, 6, 23, 29-31) must be zero";
    if (!operand_type(kind, (uint32_t)idesc_a_type(&i), &a) ||
        !operand_type(kind, (uint32_t)idesc_b_type(&i), &b))
        return "no such operand type for this kind (bits 7-9, 10-12)";
    bool only_f32 = kind == MV_KIND_TF32 || a == NUM_BF16 || b == NUM_BF16;
    if (d_type > IDESC_D_F32 || (d_type == IDESC_D_F16 && only_f32))
        return "no such accumulator type for these operands (bits 4-5)";
    if (kind == MV_KIND_F16 && a != b)
        return "A and B must have the same type";
    return shape_trouble((uint32_t)idesc_m16(&i) << 4, (uint32_t)idesc_n8(&i) << 3, cg2);
}
