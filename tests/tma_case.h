/* Tensor maps made at random and a naive second method for tensor copies: one element at a time.
 * For tests that include func_kit.h. */
#ifndef RAO_TESTS_TMA_CASE_H
#define RAO_TESTS_TMA_CASE_H

#include <check.h>
#include <stdlib.h>

#include "tests/func_kit.h"

#define BASE 4096u /* where boxes go in shared memory */
#define MBAR 2048u

static Kit kit;

static inline void open_kit(void)
{
    kit_open(&kit, 2, 1, false);
}

static inline void close_kit(void)
{
    kit_close(&kit);
}

static inline uint32_t draw(uint32_t limit)
{
    return (uint32_t)rand() % limit;
}

/* ---- A second method: one element at a time ---- */

/* PTX ISA 5.5.7, the drawings for atoms of 32 and 64 bytes: which 16-byte piece stands in each of
 * the eight places of a line, for the lines of the pattern. */
static inline uint32_t large_atom(uint32_t addr, uint32_t mode)
{
    static const uint8_t atom32[4][8] = {{0, 1, 2, 3, 4, 5, 6, 7},
                                         {2, 3, 0, 1, 6, 7, 4, 5},
                                         {4, 5, 6, 7, 0, 1, 2, 3},
                                         {6, 7, 4, 5, 2, 3, 0, 1}};
    static const uint8_t atom64[2][8] = {{0, 1, 2, 3, 4, 5, 6, 7}, {4, 5, 6, 7, 0, 1, 2, 3}};
    uint32_t line = addr / 128, piece = addr / 16 % 8, place = 0;
    const uint8_t *row = mode == 6 ? atom64[line % 2] : atom32[line % 4];
    while (row[place] != piece)
        place++;
    uint32_t in_piece = addr % 16;
    if (mode == 5 && line % 2) /* the 8-byte halves change places in every other line */
        in_piece ^= 8;
    return line * 128 + place * 16 + in_piece;
}

/* The swizzle as the manual draws it: within 8 rows of `width` bytes, the 16-byte column is XORed
 * with the row. */
static inline uint32_t naive_swizzle(uint32_t addr, uint32_t mode)
{
    static const uint32_t widths[] = {0, 32, 64, 128};
    if (mode == 0)
        return addr;
    if (mode > 3)
        return large_atom(addr, mode);
    uint32_t columns = widths[mode] / 16;
    uint32_t line = addr / 128 % 8; /* the pattern repeats every 8 lines of 128 bytes */
    uint32_t key = line % columns;
    uint32_t column = addr / 16 % 8;
    uint32_t moved = (column & ~(columns - 1)) | ((column ^ key) & (columns - 1));
    if (mode == 1) /* 32B: bit 4 with bit 7 */
        moved = column ^ (line & 1);
    if (mode == 2) /* 64B: bits 4-5 with bits 7-8 */
        moved = column ^ (line & 3);
    return addr / 128 * 128 + moved * 16 + addr % 16;
}

typedef struct Case {
    TensorMap map;
    int32_t coord[5];
    uint64_t bytes;  /* of the tensor */
    uint8_t *tensor; /* host */
} Case;

/* Calls visit for each element of the box: its byte offset in shared memory (unswizzled) and its
 * place in the tensor or NULL. Returns the number of bytes. */
typedef void Visit(const Case *c, uint32_t offset, uint8_t *element, void *arg);

static inline uint32_t each_element(const Case *c, Visit *visit, void *arg)
{
    uint32_t count[5] = {1, 1, 1, 1, 1}, size = (uint32_t)c->map.strides[0], offset = 0;
    for (uint32_t d = 0; d < c->map.rank; d++) {
        uint32_t s = d ? c->map.element_strides[d] : 1;
        count[d] = (c->map.box[d] + s - 1) / s;
    }
    for (uint32_t e = 0; e < count[0] * count[1] * count[2] * count[3] * count[4];
         e++, offset += size) {
        uint32_t rest = e;
        uint64_t at = 0;
        bool inside = true;
        for (uint32_t d = 0; d < c->map.rank; d++) {
            int64_t i = (int64_t)c->coord[d] +
                        (int64_t)(rest % count[d]) * (d ? c->map.element_strides[d] : 1);
            rest /= count[d];
            inside = inside && i >= 0 && (uint64_t)i < c->map.dims[d];
            if (inside)
                at += (uint64_t)i * c->map.strides[d];
        }
        visit(c, offset, inside ? c->tensor + at : NULL, arg);
    }
    return offset;
}

typedef struct Fill { /* what fill elements must be */
    const uint8_t *shared;
    bool nan;
} Fill;

static inline void check_loaded(const Case *c, uint32_t offset, uint8_t *element, void *arg)
{
    const Fill *f = arg;
    uint32_t size = (uint32_t)c->map.strides[0];
    const uint8_t *got = f->shared + naive_swizzle(BASE + offset, c->map.swizzle);
    uint8_t want[8] = {0};
    if (element)
        memcpy(want, element, size);
    else if (f->nan)
        for (uint32_t i = 0; i < size; i++) /* what an H200 fills with */
            want[i] = i % 2 ? 0x7f : 0xf7;
    ck_assert_msg(memcmp(got, want, size) == 0, "offset %u swizzle %u rank %u", offset,
                  c->map.swizzle, c->map.rank);
}

/* ---- Random maps ---- */

static inline void make_case(Case *c, uint32_t rank, uint32_t swizzle, bool strided)
{
    static const uint32_t types[] = {0 /* u8 */, 6 /* f16 */, 7 /* f32 */, 4 /* u64 */},
                          sizes[] = {1, 2, 4, 8};
    static const uint32_t widths[] = {256, 32, 64, 128, 128, 128, 128};
    uint32_t t = draw(4), limit = swizzle ? widths[swizzle] : 160;
    memset(c, 0, sizeof *c);
    c->map = (TensorMap){.rank = rank, .dtype = types[t], .swizzle = swizzle};
    c->map.strides[0] = sizes[t];
    c->map.box[0] = (1 + draw(limit / 16)) * 16 / sizes[t];
    c->map.dims[0] = 1 + draw(2 * c->map.box[0]);
    c->bytes = (c->map.dims[0] * sizes[t] + 15) / 16 * 16;
    for (uint32_t d = 0; d < 5; d++)
        c->map.element_strides[d] = 1;
    for (uint32_t d = 1; d < rank; d++) {
        c->map.strides[d] = c->bytes + 16 * draw(3);
        c->map.dims[d] = 1 + draw(7);
        c->map.box[d] = 1 + draw(6);
        c->map.element_strides[d] = strided ? 1 + draw(3) : 1;
        c->bytes = c->map.strides[d] * c->map.dims[d];
    }
    for (uint32_t d = rank; d < 5; d++)
        c->map.dims[d] = c->map.box[d] = 1;
    for (uint32_t d = 0; d < rank; d++)
        c->coord[d] = (int32_t)draw((uint32_t)c->map.dims[d] + c->map.box[d] + 4) -
                      (int32_t)c->map.box[d] - 2;
    c->coord[0] = c->coord[0] / (int32_t)(16 / sizes[t]) * (int32_t)(16 / sizes[t]);
    c->map.address = mem_alloc(kit.mem, c->bytes, "t");
    c->tensor = mem_ptr(kit.mem, c->map.address, c->bytes);
    for (uint64_t i = 0; i < c->bytes; i++)
        c->tensor[i] = (uint8_t)rand();
}

static inline uint64_t put_map(const TensorMap *m)
{
    uint64_t at = mem_alloc(kit.mem, 128, "map");
    Err err = {0};
    ck_assert_msg(tensor_map_encode(m, mem_ptr(kit.mem, at, 128), &err), "%s", err.msg);
    return at;
}

static inline void begin_load(const Case *c, uint64_t map, uint32_t dst)
{
    kit_begin(&kit, OP_CP_ASYNC_BULK_TENSOR_G2S);
    kit.now.mod[MC_DIM] = (uint8_t)(MV_DIM_D1 + c->map.rank - 1);
    kit_mem32(&kit, dst);
    kit_mem64(&kit, map);
    kit_vec(&kit, (const uint32_t *)c->coord, c->map.rank);
    kit_mem32(&kit, MBAR);
}

static inline void begin_store(const Case *c, uint64_t map, OpCode op)
{
    kit_begin(&kit, op);
    kit.now.mod[MC_DIM] = (uint8_t)(MV_DIM_D1 + c->map.rank - 1);
    kit_mem64(&kit, map);
    kit_vec(&kit, (const uint32_t *)c->coord, c->map.rank);
    kit_mem32(&kit, BASE);
}

#endif
