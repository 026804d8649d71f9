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

static uint32_t operand_type(uint8_t kind, uint32_t code)
{
    static const uint32_t f8f6f4[8] = {NUM_E4M3, NUM_E5M2, MMA_TYPES, NUM_E2M3,
                                       NUM_E3M2, NUM_E2M1, MMA_TYPES, MMA_TYPES};
    uint32_t none = MMA_TYPES;
    switch (kind) {
    case MV_KIND_F16:
        return code == 0 ? NUM_F16 : code == 1 ? NUM_BF16 : none;
    case MV_KIND_TF32:
        return code == 2 ? NUM_TF32 : none;
    case MV_KIND_I8:
        return code == 0 ? MMA_U8 : code == 1 ? MMA_S8 : none;
    case MV_KIND_MXF4:
    case MV_KIND_MXF4NVF4:
        return code == 1 ? NUM_E2M1 : none;
    default:
        return f8f6f4[code];
    }
}

static bool no_such_type(uint8_t kind, uint64_t code)
{
    return operand_type(kind, (uint32_t)code) == MMA_TYPES;
}

static bool is_mxf4(uint8_t kind)
{
    return kind == MV_KIND_MXF4 || kind == MV_KIND_MXF4NVF4;
}

static uint32_t scale_block(uint8_t kind, uint8_t svec)
{
    bool small = svec == MV_SVEC_X4 || svec == MV_SVEC_BLOCK16;
    return !kind_is_scaled(kind) ? 0 : small ? 16 : 32;
}

/* B's type. With 4-bit operands its third bit (12) is the version of sparsity, which sm_100
 * ignores; the CuTe DSL's primitives set it (Tcgen05MxOmmaInstrDesc). */
static uint32_t b_code(uint64_t i, uint8_t kind)
{
    return (uint32_t)idesc_b_type(&i) & (is_mxf4(kind) ? 3 : 7);
}

Mma mma_of(uint32_t idesc, uint8_t kind, uint8_t svec, bool cg2)
{
    uint64_t i = idesc;
    bool scaled = kind_is_scaled(kind);
    Mma o = {
        .a_type = operand_type(kind, (uint32_t)idesc_a_type(&i)),
        .b_type = operand_type(kind, b_code(i, kind)),
        .m = scaled ? (uint32_t)idesc_scaled_m128(&i) << 7 : (uint32_t)idesc_m16(&i) << 4,
        .n = (uint32_t)idesc_n8(&i) << 3,
        .a_neg = idesc_neg_a(&i),
        .b_neg = idesc_neg_b(&i),
        .a_mn = idesc_trans_a(&i),
        .b_mn = idesc_trans_b(&i),
        .d_f16 = !scaled && idesc_d_type(&i) == IDESC_D_F16,
        .is_int = kind == MV_KIND_I8,
        .saturate = kind == MV_KIND_I8 && idesc_saturate(&i),
        .vec = scale_block(kind, svec),
        .scale_type = idesc_scaled_scale_type(&i) ? NUM_UE8M0 : NUM_E4M3,
        .sfa_id = (uint32_t)idesc_scaled_sfa_id(&i),
        .sfb_id = (uint32_t)idesc_scaled_sfb_id(&i),
    };
    o.elem_bits = kind == MV_KIND_F16 ? 16 : kind == MV_KIND_TF32 ? 32 : is_mxf4(kind) ? 4 : 8;
    o.slice_k = TC_SLICE_BYTES * 8 / o.elem_bits;
    o.rows = cg2 ? o.m / 2 : o.m;
    return o;
}

static const char *shape_trouble(uint32_t m, uint32_t n, uint8_t kind, bool cg2)
{
    if (cg2 && m != 128 && m != 256)
        return "M must be 128 or 256 with cta_group::2";
    if (!cg2 && kind_is_scaled(kind) && m != 128)
        return "M must be 128 with cta_group::1 and block scales";
    if (!cg2 && m != 64 && m != 128)
        return "M must be 64 or 128 with cta_group::1";
    if (n == 0 || n > TC_MAX_N || n % (cg2 ? 16 : 8) != 0)
        return cg2 ? "N must be 16..256 in steps of 16" : "N must be 8..256 in steps of 8";
    if (kind == MV_KIND_I8 && (cg2 ? n % 32 != 0 : n > 32 && n % 16 != 0))
        return cg2 ? "N must be 32..256 in steps of 32 (kind::i8)"
                   : "N must be 8, 16, 24, 32, 48, ... 256 (kind::i8)";
    return NULL;
}

static const char *scaled_trouble(uint64_t i, uint8_t kind, uint8_t svec)
{
    uint64_t ids = idesc_scaled_sfa_id(&i) | idesc_scaled_sfb_id(&i);
    bool four = is_mxf4(kind), by16 = scale_block(kind, svec) == 16;
    if (idesc_scaled_sparse(&i))
        return "the sparse bit (2) is set, but the instruction is dense";
    if (idesc_scaled_k96(&i) && four)
        return "K = 96 (bit 31) is for sm_103a";
    if ((i & bits_unclaimed(BITS_idesc_scaled, 0)) || idesc_scaled_k96(&i))
        return "reserved bits (0-1, 3, 6, 24-26, 31) must be zero";
    if (no_such_type(kind, idesc_scaled_a_type(&i)) || no_such_type(kind, b_code(i, kind)))
        return "no such operand type for this kind (bits 7-9, 10-12)";
    if (four && (idesc_scaled_trans_a(&i) || idesc_scaled_trans_b(&i)))
        return "4-bit operands cannot be transposed (bits 15, 16)";
    if (!idesc_scaled_scale_type(&i) && !by16)
        return "scale factors are UE8M0 (bit 23) unless there is one for each 16 elements";
    if (four && (by16 ? ids != 0 : ids & 1))
        return by16 ? "scale factor ids (bits 4-5, 29-30) must be 0 with four factors to a row"
                    : "scale factor ids (bits 4-5, 29-30) must be 0 or 2 with two factors to a row";
    return NULL;
}

static const char *plain_trouble(uint64_t i, uint8_t kind)
{
    uint64_t d_type = idesc_d_type(&i), a = idesc_a_type(&i), b = idesc_b_type(&i);
    bool is_int = kind == MV_KIND_I8;
    if (idesc_sparse(&i))
        return "the sparse bit (2) is set, but the instruction is dense";
    if ((i & bits_unclaimed(BITS_idesc, 0)) || idesc_sparse_sel(&i) || idesc_max_shift(&i) ||
        (idesc_saturate(&i) && !is_int))
        return "reserved bits (0-1, 3, 6, 23, 29-31) must be zero";
    if (no_such_type(kind, a) || no_such_type(kind, b))
        return "no such operand type for this kind (bits 7-9, 10-12)";
    bool only_f32 = kind == MV_KIND_TF32 || (kind == MV_KIND_F16 && (a == 1 || b == 1));
    if (is_int ? d_type != IDESC_D_S32
               : d_type > IDESC_D_F32 || (d_type == IDESC_D_F16 && only_f32))
        return "no such accumulator type for these operands (bits 4-5)";
    if (kind == MV_KIND_F16 && a != b)
        return "A and B must have the same type";
    if (is_int && (idesc_neg_a(&i) || idesc_neg_b(&i)))
        return "integers cannot be negated (bits 13, 14)";
    return NULL;
}

const char *idesc_trouble(uint32_t idesc, uint8_t kind, uint8_t svec, bool cg2)
{
    bool scaled = kind_is_scaled(kind);
    const char *bad = scaled ? scaled_trouble(idesc, kind, svec) : plain_trouble(idesc, kind);
    Mma t = mma_of(idesc, kind, svec, cg2);
    bad = bad ? bad : shape_trouble(t.m, t.n, kind, cg2);
    /* PTX ISA, table 52 */
    if (!bad && t.b_mn && t.elem_bits == 8 && t.n % (cg2 ? 32 : 16) != 0)
        bad = cg2 ? "N must be a multiple of 32 where an 8-bit B is transposed"
                  : "N must be a multiple of 16 where an 8-bit B is transposed";
    return bad;
}

/* PTX ISA, tables 51 and 54. */
const char *layout_trouble(const Matrix *d, const Mma *t, bool is_a)
{
    uint32_t type = is_a ? t->a_type : t->b_type;
    if (!(is_a ? t->a_mn : t->b_mn))
        return NULL;
    if (type == NUM_E2M1 || type == NUM_E2M3 || type == NUM_E3M2)
        return "4- and 6-bit operands cannot be transposed";
    if ((t->elem_bits == 32) != (d->swz == SWZ_128_32A))
        return t->elem_bits == 32
                   ? "a transposed tf32 operand needs the 128B swizzle with 32B atoms (1)"
                   : "only tf32 operands are transposed with the 128B swizzle with 32B atoms (1)";
    return NULL;
}
