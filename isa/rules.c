/* Rules of the manual among the modifiers of one instruction that a syntax line cannot say: an
 * order needs a scope, an atomic operation has its types. ptxas 13.0 is the witness: test_isa_table
 * prints what these rules let through. Rows that are not executed are not held to them. */
#include "isa/form.h"

#include <string.h>

typedef uint64_t TypeSet;
#define BIT(t) ((TypeSet)1 << (t))

static bool in_set(uint32_t type, TypeSet set)
{
    return (set >> type) & 1;
}

static bool has_class(const Form *f, ModClass c, bool optional)
{
    for (uint32_t i = 0; i < f->n_mods; i++)
        if (f->mod[i].kind == MOD_OF_CLASS && f->mod[i].cls == c && (!optional || f->mod[i].group))
            return true;
    return false;
}

/* ld.acquire needs a scope and a scope needs an order, except where both have a default. */
static const char *order_and_scope(const Form *f, OpCode op, const ModSet *ms)
{
    bool default_both = strncmp(op_row[op].syntax, "atom", 4) == 0 ||
                        strncmp(op_row[op].syntax, "red", 3) == 0 ||
                        strncmp(op_row[op].syntax, "fence", 5) == 0;
    if (default_both || !has_class(f, MC_SEM, true) || !has_class(f, MC_SCOPE, true))
        return NULL;
    uint32_t sem = ms->mod[MC_SEM];
    bool ordered = sem != 0 && sem != MV_SEM_WEAK && sem != MV_SEM_VOLATILE;
    if (ordered && !ms->mod[MC_SCOPE])
        return "a memory order needs a scope: .cta, .cluster, .gpu or .sys";
    if (!ordered && ms->mod[MC_SCOPE])
        return "a scope needs a memory order: .relaxed, .acquire or .release";
    return NULL;
}

static const char *cache_hints(OpCode op, const ModSet *ms)
{
    if (op != OP_LD && op != OP_ST)
        return NULL;
    if (ms->mod[MC_NC] && ms->mod[MC_SS] != MV_SS_GLOBAL)
        return ".nc needs .global";
    uint32_t bits = (uint32_t)type_info[ms->type[0]].bits << ms->mod[MC_VEC];
    if (ms->mod[MC_L2E] && (!ms->mod[MC_VEC] || bits != 256))
        return ".L2::evict_... needs .v8 of 32 bits or .v4 of 64 bits";
    return NULL;
}

static const char *vectors(OpCode op, const ModSet *ms)
{
    uint32_t bits = (uint32_t)type_info[ms->type[0]].bits << ms->mod[MC_VEC];
    bool plain = op == OP_LD || op == OP_ST;
    if (!ms->mod[MC_VEC])
        return NULL;
    if (!plain && op != OP_LD_SHARED && op != OP_ST_SHARED && op != OP_LD_PARAM &&
        op != OP_ST_PARAM)
        return NULL;
    bool global = plain && ms->mod[MC_SS] == MV_SS_GLOBAL;
    if (bits > 256)
        return "a vector of more than 256 bits";
    if (bits > 128 && !global)
        return "a vector of more than 128 bits needs .global";
    if (ms->mod[MC_VEC] == MV_VEC_V8 && bits != 256)
        return ".v8 is for 32-bit types";
    return NULL;
}

/* The types that an atomic operation has. */
static TypeSet atomic_types(uint32_t atomop)
{
    const TypeSet ints = BIT(T_U32) | BIT(T_S32) | BIT(T_U64),
                  half = BIT(T_F16) | BIT(T_F16X2) | BIT(T_BF16) | BIT(T_BF16X2);
    switch (atomop) {
    case MV_ATOM_ADD:
        return ints | BIT(T_F32) | BIT(T_F64) | half;
    case MV_ATOM_MIN:
    case MV_ATOM_MAX:
        return ints | BIT(T_S64) | half;
    case MV_ATOM_AND:
    case MV_ATOM_OR:
    case MV_ATOM_XOR:
        return BIT(T_B32) | BIT(T_B64);
    case MV_ATOM_EXCH:
        return BIT(T_B32) | BIT(T_B64) | BIT(T_B128);
    case MV_ATOM_INC:
    case MV_ATOM_DEC:
        return BIT(T_U32);
    default:
        return 0;
    }
}

static bool is_half(uint32_t t)
{
    return t == T_F16 || t == T_F16X2 || t == T_BF16 || t == T_BF16X2;
}

static const char *atomics(OpCode op, const ModSet *ms)
{
    bool shared = op == OP_ATOM_SHARED || op == OP_RED_SHARED, half = is_half(ms->type[0]);
    bool row = shared || op == OP_ATOM || op == OP_ATOM_F16 || op == OP_RED || op == OP_RED_F16;
    uint32_t atomop = ms->mod[MC_ATOM];
    if (!row)
        return NULL;
    if (!in_set(ms->type[0], atomic_types(atomop)))
        return "this atomic operation does not have this type";
    if (half != (ms->mod[MC_NOFTZ] != 0))
        return half ? "16-bit floats need .noftz" : ".noftz is for 16-bit floats";
    bool vec = ms->mod[MC_VEC] != 0, minmax = atomop == MV_ATOM_MIN || atomop == MV_ATOM_MAX;
    if (half && minmax && !vec)
        return ".min and .max of 16-bit floats need .global and a vector";
    if (!vec)
        return NULL;
    if (ms->mod[MC_SS] != MV_SS_GLOBAL)
        return "a vector needs .global";
    if (!half && ms->type[0] != T_F32)
        return "vectors are of .f32, .f16, .f16x2, .bf16 or .bf16x2";
    if (((uint32_t)type_info[ms->type[0]].bits << ms->mod[MC_VEC]) > 128)
        return "a vector of more than 128 bits";
    return NULL;
}

static const char *bulk_reduction(OpCode op, const ModSet *ms)
{
    static const TypeSet ints = BIT(T_U32) | BIT(T_S32) | BIT(T_U64),
                         half = BIT(T_F16) | BIT(T_BF16);
    if (op != OP_CP_REDUCE_ASYNC_BULK)
        return NULL;
    TypeSet set = 0;
    switch (ms->mod[MC_REDOP]) {
    case MV_REDOP_ADD:
        set = ints | BIT(T_F32) | BIT(T_F64) | half;
        break;
    case MV_REDOP_MIN:
    case MV_REDOP_MAX:
        set = ints | BIT(T_S64) | half;
        break;
    case MV_REDOP_AND:
    case MV_REDOP_OR:
    case MV_REDOP_XOR:
        set = BIT(T_B32) | BIT(T_B64);
        break;
    case MV_REDOP_INC:
    case MV_REDOP_DEC:
        set = BIT(T_U32);
        break;
    default:
        break;
    }
    if (!in_set(ms->type[0], set))
        return "this reduction does not have this type";
    bool noftz = in_set(ms->type[0], half) && ms->mod[MC_REDOP] == MV_REDOP_ADD;
    if (noftz != (ms->mod[MC_NOFTZ] != 0))
        return noftz ? "adding 16-bit floats needs .noftz" : ".noftz is for adding 16-bit floats";
    return NULL;
}

/* Which types of set go together: ptxas 13.0. */
static const char *set_types(OpCode op, const ModSet *ms)
{
    uint32_t to = ms->type[0], from = ms->type[1];
    bool to_bf16 = to == T_BF16 || to == T_BF16X2, from_half = from == T_F16 || from == T_BF16;
    bool to_16 = to == T_U16 || to == T_S16;
    if (ms->mod[MC_FTZ] && (to_bf16 || (from != T_F32 && from != T_F16 && from != T_F16X2)))
        return ".ftz compares .f32, .f16 or .f16x2, and does not go with .bf16";
    if (op == OP_SET_X2)
        return (to == T_F16X2 || to == T_BF16X2) && to != from ? "the packed types must be the same"
                                                               : NULL;
    if ((to_16 && !from_half) || (to == T_F16 && from == T_BF16) || (to == T_F32 && from_half))
        return "set does not have these types together";
    return NULL;
}

static const char *comparisons(OpCode op, const ModSet *ms)
{
    bool is_set = op == OP_SET || op == OP_SET_X2;
    if (op != OP_SETP_INT && !is_set)
        return NULL;
    uint32_t cmp = ms->mod[MC_CMP];
    char kind = type_info[ms->type[is_set]].kind;
    const char *types = is_set ? set_types(op, ms) : NULL;
    if (types)
        return types;
    if (kind == 'F' && cmp >= MV_CMP_LO && cmp <= MV_CMP_HS)
        return ".lo .ls .hi .hs compare unsigned types";
    if (kind != 'F' && cmp >= MV_CMP_EQU)
        return "unordered comparisons, .num and .nan are of floats";
    if (kind == 'B' && cmp != MV_CMP_EQ && cmp != MV_CMP_NE)
        return "bits compare by .eq and .ne only";
    if (kind == 'S' && cmp >= MV_CMP_LO && cmp <= MV_CMP_HS)
        return ".lo .ls .hi .hs compare unsigned types";
    return NULL;
}

static bool any_type(const ModSet *ms, PtxType t)
{
    return ms->type[0] == t || ms->type[1] == t;
}

/* Can every value of type b be held by type a? */
static bool holds_all(uint32_t a, uint32_t b)
{
    const TypeInfo *x = &type_info[a], *y = &type_info[b];
    if (x->kind == y->kind)
        return x->bits >= y->bits;
    return x->kind == 'S' && x->bits > y->bits;
}

static const char *conversions(OpCode op, const ModSet *ms)
{
    bool floats = op == OP_CVT_F2I || op == OP_CVT_I2F || op == OP_CVT_WIDEN ||
                  op == OP_CVT_NARROW || op == OP_CVT_F2F || op == OP_CVT_F64 ||
                  op == OP_CVT_TO_F64;
    uint32_t rnd = ms->mod[MC_RND];
    if (floats && ms->mod[MC_FTZ] && !any_type(ms, T_F32))
        return ".ftz needs an .f32 on one side";
    if (ms->mod[MC_FTZ] && op != OP_CVT_WIDEN && any_type(ms, T_BF16) && floats)
        return ".ftz does not go with .bf16";
    if (floats && ms->mod[MC_SAT] && any_type(ms, T_BF16))
        return ".sat does not go with .bf16";
    if (op == OP_CVT_NARROW) {
        bool clamps = ms->mod[MC_SATF] || ms->mod[MC_RELU];
        if (clamps && rnd != MV_RND_RN && rnd != MV_RND_RZ)
            return ".satfinite and .relu round by .rn or .rz";
        if (clamps && (ms->mod[MC_SAT] || ms->mod[MC_FTZ]))
            return ".satfinite and .relu do not go with .sat and .ftz";
    }
    if (op == OP_CVT_INT && ms->mod[MC_SAT] && holds_all(ms->type[0], ms->type[1]))
        return ".sat has nothing to clamp";
    if (op == OP_CVT_TF32 && rnd == MV_RND_RNA && ms->mod[MC_RELU])
        return ".relu does not go with .rna";
    return NULL;
}

static const char *copies(OpCode op, const ModSet *ms)
{
    bool load = op == OP_CP_ASYNC_BULK_G2S || op == OP_CP_ASYNC_BULK_TENSOR_G2S;
    if (load && ms->mod[MC_MCAST] && ms->mod[MC_SS] != MV_SS_SHARED_CLUSTER)
        return ".multicast::cluster needs .shared::cluster";
    if (op == OP_TENSORMAP_REPLACE) {
        bool wide = ms->mod[MC_FIELD] == MV_FIELD_GLOBAL_ADDRESS ||
                    ms->mod[MC_FIELD] == MV_FIELD_GLOBAL_STRIDE;
        if (wide != (ms->type[0] == T_B64))
            return wide ? "this field is .b64" : "this field is .b32";
    }
    return NULL;
}

static const char *tensor_cores(OpCode op, const ModSet *ms)
{
    if (op == OP_TCGEN05_CP || op == OP_TCGEN05_CP_FMT) {
        uint32_t shape = ms->mod[MC_CPSHAPE], mc = ms->mod[MC_CPMC];
        if (shape == MV_CPSHAPE_S64X128B && mc != MV_CPMC_WARPX2_02_13 &&
            mc != MV_CPMC_WARPX2_01_23)
            return ".64x128b needs .warpx2::02_13 or .warpx2::01_23";
        if (shape == MV_CPSHAPE_S32X128B && mc != MV_CPMC_WARPX4)
            return ".32x128b needs .warpx4";
        if (shape != MV_CPSHAPE_S64X128B && shape != MV_CPSHAPE_S32X128B && mc)
            return "this shape is not copied to several warps";
    }
    if (op == OP_TCGEN05_LD || op == OP_TCGEN05_ST) {
        uint32_t shape = ms->mod[MC_TSHAPE], num = ms->mod[MC_NUM];
        if ((shape == MV_TSHAPE_S16X128B && num > MV_NUM_X64) ||
            (shape == MV_TSHAPE_S16X256B && num > MV_NUM_X32))
            return "more than 128 registers";
    }
    if (op == OP_TCGEN05_MMA_ASHIFT &&
        (ms->mod[MC_COLL] == MV_COLL_FILL || ms->mod[MC_COLL] == MV_COLL_USE))
        return ".collector::a::fill and ::use do not go with .ashift";
    if (op == OP_TCGEN05_MMA_SCALED || op == OP_TCGEN05_MMA_SCALED_TS ||
        op == OP_TCGEN05_MMA_SP_SCALED || op == OP_TCGEN05_MMA_SP_SCALED_TS) {
        uint32_t kind = ms->mod[MC_KIND], vec = ms->mod[MC_SVEC];
        if (kind == MV_KIND_MXF8F6F4 && vec && vec != MV_SVEC_X1 && vec != MV_SVEC_BLOCK32)
            return ".kind::mxf8f6f4 has .scale_vec::1X or .block32";
        if (kind == MV_KIND_MXF4 && vec && vec != MV_SVEC_X2 && vec != MV_SVEC_BLOCK32)
            return ".kind::mxf4 has .scale_vec::2X or .block32";
        if (kind == MV_KIND_MXF4NVF4 && (!vec || vec == MV_SVEC_X1))
            return ".kind::mxf4nvf4 needs .scale_vec::2X, .scale_vec::4X, .block16 or .block32";
    }
    return NULL;
}

/* K of the shape: 16 of 16 bits, 8 of tf32, 32 of 8 bits; which types go together. Integers have
 * fewer N. */
static const char *wgmma_types(OpCode op, const ModSet *ms)
{
    static const TypeSet fp8 = BIT(T_E4M3) | BIT(T_E5M2);
    if (op == OP_WGMMA_INT || op == OP_WGMMA_INT_RS) {
        uint32_t v = ms->mod[MC_WSHAPE] - 1u, n = 8 * (v % 32 + 1);
        if (v / 32 != 2)
            return "K is 32 for 8-bit integers";
        return n > 32 && n % 16 ? "N is 8, 16, 24, 32, 48 and on by 16 for integers" : NULL;
    }
    if (op != OP_WGMMA && op != OP_WGMMA_RS)
        return NULL;
    uint32_t d = ms->type[0], a = ms->type[1], b = ms->type[2], k = (ms->mod[MC_WSHAPE] - 1u) / 32;
    bool both8 = in_set(a, fp8) && in_set(b, fp8);
    if (!both8 && a != b)
        return "A and B have one type, unless both are of 8 bits";
    if (d == T_F16 && !both8 && a != T_F16)
        return "D is .f32 for these types";
    if (k != (both8 ? 2u : a == T_TF32 ? 0u : 1u))
        return "K is 8 for .tf32, 16 for 16-bit types, 32 for 8-bit types";
    return NULL;
}

/* Which types mma.sync multiplies with each other; K of a shape is 128 or 256 bits, of m8n8 128. */
static const char *mma_types(OpCode op, const ModSet *ms)
{
    static const TypeSet fp8 = BIT(T_E4M3) | BIT(T_E5M2), i8 = BIT(T_U8) | BIT(T_S8),
                         i4 = BIT(T_U4) | BIT(T_S4);
    bool by_rows = ms->mod[MC_LAYOUT] == MV_LAYOUT_ROW && ms->mod[MC_LAYOUT_B] == MV_LAYOUT_B_COL;
    if (op >= OP_MMA_SYNC_F32 && op <= OP_MMA_SYNC_B1 && !by_rows)
        return "A is .row and B is .col";
    if (op != OP_MMA_SYNC_F32 && op != OP_MMA_SYNC_F16 && op != OP_MMA_SYNC_S32)
        return NULL;
    MatShape shape = form_mma_shape(ms->mod[MC_MMASHAPE]);
    uint32_t a = ms->type[1], b = ms->type[2];
    bool is_i4 = in_set(a, i4) && in_set(b, i4), is_i8 = in_set(a, i8) && in_set(b, i8);
    if (!is_i4 && !is_i8 && !(in_set(a, fp8) && in_set(b, fp8)) && a != b)
        return "A and B have one type, or both are of 8-bit floats, 8-bit or 4-bit integers";
    uint32_t bits = is_i4 ? 4 : type_info[a].bits;
    if (shape.k * bits != 128 && (shape.k * bits != 256 || shape.m == 8))
        return "this shape does not exist for these types";
    return NULL;
}

/* Types and shapes of wmma; 4-bit integers only as A by rows and B by columns. */
static const char *wmma_types(OpCode op, const ModSet *ms)
{
    if (op < OP_WMMA_LOAD_A || op > OP_WMMA_B1)
        return NULL;
    bool of_a = op == OP_WMMA_LOAD_A, of_b = op == OP_WMMA_LOAD_B;
    bool mma = op == OP_WMMA_S32 || op == OP_WMMA_B1;
    bool of_d = op == OP_WMMA_LOAD_C || op == OP_WMMA_STORE_D;
    uint32_t type = ms->type[mma], shape = ms->mod[MC_WMMASHAPE];
    bool i4 = type == T_U4 || type == T_S4;
    if (of_a || of_b || op == OP_WMMA_S32) {
        uint32_t only = i4 ? MV_WMMASHAPE_M8N8K32 : type == T_TF32 ? MV_WMMASHAPE_M16N16K8 : 0;
        if (only ? shape != only : shape > MV_WMMASHAPE_M32N8K16)
            return "this shape does not exist for this type";
    }
    if (of_d) {
        bool f64 = shape == MV_WMMASHAPE_M8N8K4, f32 = shape == MV_WMMASHAPE_M16N16K8,
             s32 = shape >= MV_WMMASHAPE_M8N8K32;
        if (f64 != (type == T_F64) || (f32 && type != T_F32) || (s32 && type != T_S32))
            return "this shape does not exist for this type";
    }
    bool a_rows = !(of_a || mma) || ms->mod[MC_LAYOUT] == MV_LAYOUT_ROW,
         b_columns = !(of_b || mma) || (mma ? ms->mod[MC_LAYOUT_B] == MV_LAYOUT_B_COL
                                            : ms->mod[MC_LAYOUT] == MV_LAYOUT_COL);
    return (i4 || op == OP_WMMA_B1) && !(a_rows && b_columns) ? "A is .row and B is .col" : NULL;
}

static const char *video(OpCode op, const ModSet *ms)
{
    bool simd = op >= OP_VADD2 && op <= OP_VSET4;
    return simd && ms->mod[MC_SAT] && ms->mod[MC_SECOP] ? ".sat does not go with .add" : NULL;
}

const char *form_rule_broken(const Form *f, OpCode op, const ModSet *ms)
{
    const char *s = order_and_scope(f, op, ms);
    s = s ? s : cache_hints(op, ms);
    s = s ? s : vectors(op, ms);
    s = s ? s : atomics(op, ms);
    s = s ? s : bulk_reduction(op, ms);
    s = s ? s : comparisons(op, ms);
    s = s ? s : conversions(op, ms);
    s = s ? s : copies(op, ms);
    s = s ? s : tensor_cores(op, ms);
    s = s ? s : mma_types(op, ms);
    s = s ? s : wmma_types(op, ms);
    s = s ? s : video(op, ms);
    return s ? s : wgmma_types(op, ms);
}
