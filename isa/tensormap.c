/* Tensor maps: the 128 bytes as NVIDIA's driver writes them, and what it refuses. Every rule here
 * is seen in tests/data/tensormaps.tsv (723 calls on an H200), except the exact limit on the size
 * of a box. */
#include "isa/bits.h"

#include <string.h>

enum {
    MAX_BOX = 256, /* elements in a dimension */
    MAX_ELEM_STRIDE = 8,
    MAX_BOX_BYTES = 232448, /* shared memory of a CTA; 131072 is accepted, 261120 refused */
    ORIGIN_DRIVER = 0,
    ORIGIN_CUTE = 2,
};
#define MAX_STRIDE ((uint64_t)1 << 40)
#define MAX_DIM ((uint64_t)1 << 32)

static const uint8_t elem_bits[TMAP_TYPES] = {8,  16, 32, 32, 64, 64, 16, 32,
                                              32, 64, 16, 32, 32, 4,  4,  6};

uint32_t tensor_map_elem_bits(uint32_t dtype)
{
    return dtype < TMAP_TYPES ? elem_bits[dtype] : 0;
}

uint32_t tensor_map_type_field(uint32_t dtype)
{
    static const uint8_t field[TMAP_TYPES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 7, 8, 11, 12, 13};
    return field[dtype];
}

static TmapType type_of_field(const Tmap *t)
{
    if (t->elem_type > TMAP_BF16)
        return t->elem_type > 13 ? TMAP_TYPES : (TmapType)(t->elem_type - 11 + TMAP_B4X16);
    if (t->tf32 && t->elem_type == TMAP_F32)
        return TMAP_TF32;
    return t->tf32 && t->elem_type == TMAP_F32_FTZ ? TMAP_TF32_FTZ : (TmapType)t->elem_type;
}

TmapType tensor_map_type_of_cuda(uint32_t cuda_type)
{
    static const uint8_t type[] = {TMAP_U8,       TMAP_U16,   TMAP_U32,       TMAP_S32,
                                   TMAP_U64,      TMAP_S64,   TMAP_F16,       TMAP_F32,
                                   TMAP_F64,      TMAP_BF16,  TMAP_F32_FTZ,   TMAP_TF32,
                                   TMAP_TF32_FTZ, TMAP_B4X16, TMAP_B4X16_P64, TMAP_B6X16_P32};
    return cuda_type < sizeof type ? (TmapType)type[cuda_type] : TMAP_TYPES;
}

uint32_t tensor_map_swizzle_span(uint32_t swizzle)
{
    static const uint8_t span[] = {0, 32, 64, 128};
    return span[swizzle < TMAP_SWIZZLE_128B ? swizzle : TMAP_SWIZZLE_128B];
}

/* Bytes that one box brings. Of `box` elements, every element_stride-th. */
static uint64_t box_bytes(const TensorMap *tm)
{
    uint64_t bits = tensor_map_elem_bits(tm->dtype);
    for (uint32_t i = 0; i < tm->rank; i++)
        bits *= tm->box[i] / tm->element_strides[i];
    return bits / 8;
}

static bool bad(Err *err, ErrKind kind, const char *what, uint32_t dim, uint64_t value,
                const char *rule)
{
    return err_set(err, kind, (Loc){0}, "tensor map: %s of dimension %u is %llu; it must be %s",
                   what, dim, (unsigned long long)value, rule);
}

static bool check_dims(const TensorMap *tm, ErrKind kind, Err *err)
{
    for (uint32_t i = 0; i < tm->rank; i++) {
        if (tm->dims[i] < 1 || tm->dims[i] > MAX_DIM)
            return bad(err, kind, "the size", i, tm->dims[i], "from 1 to 2^32");
        if (tm->box[i] < 1 || tm->box[i] > MAX_BOX)
            return bad(err, kind, "the box", i, tm->box[i], "from 1 to 256");
        if (tm->element_strides[i] < 1 || tm->element_strides[i] > MAX_ELEM_STRIDE)
            return bad(err, kind, "the element stride", i, tm->element_strides[i], "from 1 to 8");
        uint64_t step = tm->interleave == TMAP_INTERLEAVE_32B ? 32 : 16;
        if (i > 0 && (tm->strides[i] % step || tm->strides[i] >= MAX_STRIDE))
            return bad(err, kind, "the stride", i, tm->strides[i],
                       step == 32 ? "a multiple of 32 below 2^40" : "a multiple of 16 below 2^40");
    }
    return true;
}

static bool check(const TensorMap *tm, ErrKind kind, Err *err)
{
    if (tm->rank < 1 || tm->rank > TMAP_RANK)
        return err_set(err, kind, (Loc){0}, "tensor map: the rank is %u; it must be from 1 to 5",
                       tm->rank);
    if (tm->dtype >= TMAP_TYPES || tm->interleave > TMAP_INTERLEAVE_32B ||
        tm->swizzle > TMAP_SWIZZLE_128B_ATOM_64B || tm->l2_promotion > 3)
        return err_set(
            err, kind, (Loc){0},
            "tensor map: no such type (%u), interleave (%u), swizzle (%u) or L2 promotion (%u)",
            tm->dtype, tm->interleave, tm->swizzle, tm->l2_promotion);
    if (tm->address % 16)
        return err_set(err, kind, (Loc){0},
                       "tensor map: the address 0x%llx is not a multiple of 16",
                       (unsigned long long)tm->address);
    if (!check_dims(tm, kind, err))
        return false;
    uint64_t inner = (uint64_t)tm->box[0] * tensor_map_elem_bits(tm->dtype) / 8;
    if (tm->interleave == TMAP_INTERLEAVE_NONE && inner % 16 && tm->dtype < TMAP_B4X16)
        return err_set(err, kind, (Loc){0},
                       "tensor map: the innermost box is %llu bytes; it must be a multiple of 16",
                       (unsigned long long)inner);
    uint32_t span = tensor_map_swizzle_span(tm->swizzle);
    if (tm->interleave == TMAP_INTERLEAVE_NONE && span && inner > span)
        return err_set(err, kind, (Loc){0},
                       "tensor map: the innermost box is %llu bytes, more than the swizzle's %u",
                       (unsigned long long)inner, span);
    if (box_bytes(tm) > MAX_BOX_BYTES)
        return err_set(err, kind, (Loc){0},
                       "tensor map: a box of %llu bytes does not fit shared memory (%d)",
                       (unsigned long long)box_bytes(tm), MAX_BOX_BYTES);
    return true;
}

static void load_words(const uint8_t *bytes, uint64_t *words)
{
    for (uint32_t w = 0; w < tmap_words; w++) {
        words[w] = 0;
        for (uint32_t i = 0; i < 8; i++)
            words[w] |= (uint64_t)bytes[8 * w + i] << (8 * i);
    }
}

static void get_dims(const Tmap *t, TensorMap *tm)
{
    const uint64_t dims[] = {t->dim0, t->dim1, t->dim2, t->dim3, t->dim4};
    const uint64_t box[] = {t->box0, t->box1, t->box2, t->box3, t->box4};
    const uint64_t step[] = {t->estride0, t->estride1, t->estride2, t->estride3, t->estride4};
    const uint64_t low[] = {0, t->stride1, t->stride2, t->stride3, t->stride4};
    const uint64_t high[] = {0, t->stride1_hi, t->stride2_hi, t->stride3_hi, t->stride4_hi};
    for (uint32_t i = 0; i < TMAP_RANK; i++) {
        tm->dims[i] = dims[i] + 1;
        tm->box[i] = (uint32_t)box[i] + 1;
        tm->element_strides[i] = (uint32_t)step[i] + 1;
        tm->strides[i] = i ? (high[i] << 32 | low[i]) << 4 : tensor_map_elem_bits(tm->dtype) / 8;
    }
}

bool tensor_map_decode(const uint8_t bytes[TMAP_BYTES], TensorMap *tm, Err *err)
{
    uint64_t words[tmap_words];
    Tmap t;
    load_words(bytes, words);
    if ((words[1] & 0xf) ==
        ORIGIN_CUTE) /* its host code leaves words 8 to 15 as the stack had them */
        memset(words + 8, 0, (tmap_words - 8) * sizeof *words);
    if (!tmap_unpack(words, &t, err))
        return false;
    *tm = (TensorMap){
        .address = t.address,
        .rank = (uint32_t)t.rank1 + 1,
        .dtype = type_of_field(&t),
        .interleave = (uint32_t)t.interleave,
        .swizzle = (uint32_t)(t.swizzle + (t.swizzle == TMAP_SWIZZLE_128B ? t.atomicity : 0)),
        .oob_nan = t.oob_nan != 0,
        .l2_promotion = (uint32_t)t.l2,
        .origin = (uint32_t)t.origin,
        .large = t.large != 0};
    get_dims(&t, tm);
    return check(tm, ERR_FAULT, err);
}

static void put_dims(const TensorMap *tm, Tmap *t)
{
    uint64_t *dims[] = {&t->dim0, &t->dim1, &t->dim2, &t->dim3, &t->dim4};
    uint64_t *box[] = {&t->box0, &t->box1, &t->box2, &t->box3, &t->box4};
    uint64_t *step[] = {&t->estride0, &t->estride1, &t->estride2, &t->estride3, &t->estride4};
    uint64_t *low[] = {NULL, &t->stride1, &t->stride2, &t->stride3, &t->stride4};
    uint64_t *high[] = {NULL, &t->stride1_hi, &t->stride2_hi, &t->stride3_hi, &t->stride4_hi};
    for (uint32_t i = 0; i < tm->rank; i++) {
        *dims[i] = tm->dims[i] - 1;
        *box[i] = tm->box[i] - 1;
        *step[i] = tm->element_strides[i] - 1;
        if (i == 0)
            continue;
        *low[i] = (tm->strides[i] >> 4) & UINT32_MAX;
        *high[i] = tm->strides[i] >> 36;
    }
}

bool tensor_map_encode(const TensorMap *tm, uint8_t bytes[TMAP_BYTES], Err *err)
{
    if (!check(tm, ERR_SEMANTIC, err))
        return false;
    bool tf32 = tm->dtype == TMAP_TF32 || tm->dtype == TMAP_TF32_FTZ,
         driver = tm->origin == ORIGIN_DRIVER;
    uint32_t swizzle = tm->swizzle < TMAP_SWIZZLE_128B ? tm->swizzle : TMAP_SWIZZLE_128B;
    Tmap t = {.address = tm->address,
              .origin = tm->origin,
              .rank1 = tm->rank - 1,
              .elem_type = tensor_map_type_field(tm->dtype),
              .interleave = tm->interleave,
              .swizzle = swizzle,
              .atomicity = tm->swizzle - swizzle,
              .oob_nan = tm->oob_nan,
              .tf32 = tf32,
              .l2 = tm->l2_promotion,
              .large = tm->large};
    put_dims(tm, &t);
    if (driver) {
        t.box_bytes = box_bytes(tm);
        t.alignment = swizzle ? 128u << swizzle : 16;
    }
    uint64_t words[tmap_words];
    if (!tmap_pack(&t, words, err))
        return false;
    for (uint32_t i = 0; i < TMAP_BYTES; i++)
        bytes[i] = (uint8_t)(words[i / 8] >> (8 * (i % 8)));
    return true;
}
