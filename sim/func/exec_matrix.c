/* Edits of tensor maps. Layout of the tensor map: research/ptx.md 3.11. */
#include "sim/func/engine.h"

enum { MAP_BYTES = 128, MAP_WORDS = 16 };

/* ---- tensormap.replace [a]{, ord}, b ---- */

static void set_bits(uint64_t *words, uint32_t word, uint32_t lo, uint32_t bits, uint64_t value)
{
    uint64_t mask = (bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1) << lo;
    words[word] = (words[word] & ~mask) | (value << lo & mask);
}

static void replace_stride(uint64_t *words, uint32_t ord, uint64_t bytes)
{
    static const struct {
        uint8_t word, lo;
    } low[4] = {{1, 32}, {2, 0}, {2, 32}, {3, 0}};
    set_bits(words, low[ord].word, low[ord].lo, 32, bytes >> 4);
    set_bits(words, 3, 32 + 4 * ord, 4, bytes >> 36);
}

static void set_type(uint64_t *words, uint64_t type)
{
    bool tf32 = type == TMAP_TF32 || type == TMAP_TF32_FTZ;
    set_bits(words, 1, 7, 4, tensor_map_type_field((uint32_t)type));
    set_bits(words, 1, 16, 1, tf32);
}

/* False: no such ordinal, or a value that the field cannot hold. The instruction's rank and element
 * type are those of the map (rank - 1, 0..15). */
static bool replace_field(uint64_t *words, uint8_t field, uint32_t ord, uint64_t v)
{
    switch (field) {
    case MV_FIELD_GLOBAL_ADDRESS:
        words[0] = v;
        return v % 16 == 0;
    case MV_FIELD_RANK:
        set_bits(words, 1, 4, 3, v);
        return v < 5;
    case MV_FIELD_ELEMTYPE:
        if (v >= TMAP_TYPES)
            return false;
        set_type(words, v);
        return true;
    case MV_FIELD_INTERLEAVE:
        set_bits(words, 1, 11, 2, v);
        return v < 3;
    case MV_FIELD_SWIZZLE_MODE:
        set_bits(words, 1, 13, 2, v);
        return v < 4; /* 96B: sm_103a only */
    case MV_FIELD_SWIZZLE_ATOMICITY:
        set_bits(words, 1, 19, 2, v);
        return v < 4;
    case MV_FIELD_FILL_MODE:
        set_bits(words, 1, 15, 1, v);
        return v < 2;
    case MV_FIELD_GLOBAL_STRIDE:
        if (ord < 4)
            replace_stride(words, ord, v);
        return ord < 4 && v % 16 == 0 && v >> 40 == 0;
    case MV_FIELD_GLOBAL_DIM:
        set_bits(words, 4 + ord / 2, ord % 2 * 32, 32, v - 1);
        return ord < 5;
    case MV_FIELD_ELEMENT_STRIDE:
        set_bits(words, 6, 32 + 3 * ord, 3, v - 1);
        return ord < 5 && v - 1 < 8;
    case MV_FIELD_BOX_DIM:
        if (ord == 0)
            set_bits(words, 6, 56, 8, v - 1);
        else if (ord < 5)
            set_bits(words, 7, 8 * (ord - 1), 8, v - 1);
        return ord < 5 && v - 1 < 256;
    default:
        return false;
    }
}

static bool dyn_tensormap_replace(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Warp *w = x->w;
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m),
                 ord = has_opd(w, in, 1) ? opd_u32(x, opd(w, in, 1), lane) : 0;
        uint8_t ss = in->ci->mod[MC_SS];
        uint64_t words[MAP_WORDS];
        uint64_t addr = ss == MV_SS_SHARED_CTA ? opd_shared(x, opd(w, in, 0), lane)
                                               : opd_addr(w, opd(w, in, 0), lane);
        Place p;
        if (!place_at(x, in, (int)lane, ss, addr, MAP_BYTES, &p))
            return false;
        memcpy(words, p.p, MAP_BYTES);
        if (ord > 4 ||
            !replace_field(words, in->ci->mod[MC_FIELD], ord, opd_u64(w, opd(w, in, 2), lane)))
            return exec_fault(
                x, in, (int)lane,
                "tensormap.replace: no such ordinal (%u) or value (%llu) of this field", ord,
                (unsigned long long)opd_u64(w, opd(w, in, 2), lane));
        memcpy(p.p, words, MAP_BYTES);
    }
    emit(x, OK_PLAIN);
    return true;
}

/* tensormap.cp_fenceproxy [d], [a], size: global from shared */
static bool dyn_cp_fenceproxy(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    uint32_t lane = first_lane(mask);
    uint64_t dst = opd_addr(x->w, opd(x->w, in, 0), lane),
             src = opd_shared(x, opd(x->w, in, 1), lane);
    Place to;
    const uint8_t *from = shared_at(x, in, (int)lane, src, MAP_BYTES, MAP_BYTES, NULL);
    if (!from || !place_at(x, in, (int)lane, MV_SS_GLOBAL, dst, MAP_BYTES, &to))
        return false;
    memcpy(to.p, from, MAP_BYTES);
    emit(x, OK_FENCE);
    return true;
}

BIND_DYN(tensormap_replace, dyn_tensormap_replace)
BIND_DYN(tensormap_cp_fenceproxy, dyn_cp_fenceproxy)
