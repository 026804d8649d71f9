/* Descriptors and other words with fields, generated from bits.def. For each layout x of a struct
 * X:
 *
 *   typedef struct X { uint64_t field...; } X;
 *   uint64_t x_FIELD(const uint64_t *words)              one field
 *   void     x_set_FIELD(uint64_t *words, uint64_t v)    v is cut to the field's width
 *   x_unpack, x_pack, and by number (BITS_x) bits_unpack, bits_pack, bits_print.
 *
 * Below, the tensor map as a person thinks of it. */
#ifndef RAO_ISA_BITS_H
#define RAO_ISA_BITS_H

#include "isa/err.h"

typedef enum BitsLayout {
#define LAYOUT(id, Struct, words, meaning) BITS_##id,
#define FIELD(id, name, word, lo, bits, meaning)
#define LAYOUT_END(id, Struct)
#include "isa/bits.def"
#undef LAYOUT
#undef FIELD
#undef LAYOUT_END
    BITS_COUNT
} BitsLayout;

#define LAYOUT(id, Struct, words, meaning) typedef struct Struct {
#define FIELD(id, name, word, lo, bits, meaning) uint64_t name;
#define LAYOUT_END(id, Struct)                                                                     \
    }                                                                                              \
    Struct;
#include "isa/bits.def"
#undef LAYOUT
#undef FIELD
#undef LAYOUT_END

enum {
#define LAYOUT(id, Struct, words, meaning) id##_words = words,
#define FIELD(id, name, word, lo, bits, meaning)
#define LAYOUT_END(id, Struct)
#include "isa/bits.def"
#undef LAYOUT
#undef FIELD
#undef LAYOUT_END
};

#define BITS_MASK(bits) (~(uint64_t)0 >> (64 - (bits)))
#define LAYOUT(id, Struct, words, meaning)
#define FIELD(id, name, word, lo, bits, meaning)                                                   \
    static inline uint64_t id##_##name(const uint64_t *w)                                          \
    {                                                                                              \
        return (w[word] >> (lo)) & BITS_MASK(bits);                                                \
    }                                                                                              \
    static inline void id##_set_##name(uint64_t *w, uint64_t v)                                    \
    {                                                                                              \
        w[word] = (w[word] & ~(BITS_MASK(bits) << (lo))) | (v & BITS_MASK(bits)) << (lo);          \
    }
#define LAYOUT_END(id, Struct)
#include "isa/bits.def"
#undef LAYOUT
#undef FIELD
#undef LAYOUT_END

typedef struct BitsField {
    const char *name, *meaning;
    uint8_t word, lo, bits;
} BitsField;

typedef struct BitsInfo {
    const char *name, *meaning;
    const BitsField *field; /* the struct's members, in order */
    uint32_t n_fields, n_words;
} BitsInfo;
extern const BitsInfo bits_info[BITS_COUNT];

/* Bits of word w that no field claims. */
uint64_t bits_unclaimed(BitsLayout layout, uint32_t w);

/* Words to struct. ERR_FAULT names the bits set that no field claims. */
bool bits_unpack(BitsLayout layout, const uint64_t *words, void *fields, Err *err);

/* Struct to words. ERR_SEMANTIC names a value that does not fit its field. */
bool bits_pack(BitsLayout layout, const void *fields, uint64_t *words, Err *err);

/* "sdesc: addr16=64 lbo16=1 ..." on one line, and bits that no field claims. */
void bits_print(FILE *out, BitsLayout layout, const uint64_t *words);

#define LAYOUT(id, Struct, words, meaning)                                                         \
    static inline bool id##_unpack(const uint64_t *w, Struct *s, Err *err)                         \
    {                                                                                              \
        return bits_unpack(BITS_##id, w, s, err);                                                  \
    }                                                                                              \
    static inline bool id##_pack(const Struct *s, uint64_t *w, Err *err)                           \
    {                                                                                              \
        return bits_pack(BITS_##id, s, w, err);                                                    \
    }
#define FIELD(id, name, word, lo, bits, meaning)
#define LAYOUT_END(id, Struct)
#include "isa/bits.def"
#undef LAYOUT
#undef FIELD
#undef LAYOUT_END

enum { MBAR_TX_BIAS = 1 << 20 };
enum { IDESC_D_F16, IDESC_D_F32, IDESC_D_S32 };
enum {
    SDESC_SWIZZLE_NONE = 0,
    SDESC_SWIZZLE_128B_ATOM_32B = 1,
    SDESC_SWIZZLE_128B = 2,
    SDESC_SWIZZLE_64B = 4,
    SDESC_SWIZZLE_32B = 6
};
enum { WDESC_SWIZZLE_NONE, WDESC_SWIZZLE_128B, WDESC_SWIZZLE_64B, WDESC_SWIZZLE_32B };

/* ---- Tensor maps ---- */

typedef enum TmapType { /* as tensormap.replace numbers them */
                        TMAP_U8,
                        TMAP_U16,
                        TMAP_U32,
                        TMAP_S32,
                        TMAP_U64,
                        TMAP_S64,
                        TMAP_F16,
                        TMAP_F32,
                        TMAP_F32_FTZ,
                        TMAP_F64,
                        TMAP_BF16,
                        TMAP_TF32,
                        TMAP_TF32_FTZ,
                        TMAP_B4X16,
                        TMAP_B4X16_P64,
                        TMAP_B6X16_P32,
                        TMAP_TYPES
} TmapType;
enum { /* as CUtensorMapSwizzle numbers them */
       TMAP_SWIZZLE_NONE,
       TMAP_SWIZZLE_32B,
       TMAP_SWIZZLE_64B,
       TMAP_SWIZZLE_128B,
       TMAP_SWIZZLE_128B_ATOM_32B,
       TMAP_SWIZZLE_128B_ATOM_32B_FLIP_8B,
       TMAP_SWIZZLE_128B_ATOM_64B
};
enum { TMAP_INTERLEAVE_NONE, TMAP_INTERLEAVE_16B, TMAP_INTERLEAVE_32B };
enum { TMAP_RANK = 5, TMAP_BYTES = 128 };

typedef struct TensorMap {
    uint64_t address;
    uint32_t rank;
    uint32_t dtype; /* TmapType */
    uint32_t interleave, swizzle;
    bool oob_nan;
    uint32_t l2_promotion;
    uint64_t dims[TMAP_RANK];    /* elements, innermost first; 1 from rank on */
    uint64_t strides[TMAP_RANK]; /* bytes; [0] = bytes of an element (0 for the sub-byte types); 0
                                    from rank on */
    uint32_t box[TMAP_RANK], element_strides[TMAP_RANK]; /* 1 from rank on */
    uint32_t origin; /* who made it: 0 the driver, 2 CuTe-DSL, which leaves two words empty */
    bool large;      /* CuTe-DSL's mark */
} TensorMap;

/* Bits of an element in global memory, 0 if the type is unknown. */
uint32_t tensor_map_elem_bits(uint32_t dtype);

/* Bytes of a row that a swizzle mode takes at most; 0: any. */
uint32_t tensor_map_swizzle_span(uint32_t swizzle);

/* The element type's field in a map. tf32, which tensormap.replace has before the sub-byte types,
 * is f32 there, and a bit. Source: CuTe DSL 4.8.1, TmaDataFormat, and the maps that its host code
 * writes. */
uint32_t tensor_map_type_field(uint32_t dtype);

/* From CUtensorMapDataType to TmapType; TMAP_TYPES if there is none. */
TmapType tensor_map_type_of_cuda(uint32_t cuda_type);

/* Reads the 128 bytes. ERR_FAULT: bits that no field claims, or fields that contradict each other.
 */
bool tensor_map_decode(const uint8_t bytes[TMAP_BYTES], TensorMap *tm, Err *err);

/* Writes the 128 bytes as NVIDIA's driver (origin 0) or CuTe-DSL (origin 2) does. ERR_SEMANTIC:
 * what the driver refuses, with the field and its limit. Strides beyond the rank are ignored. */
bool tensor_map_encode(const TensorMap *tm, uint8_t bytes[TMAP_BYTES], Err *err);

#endif
