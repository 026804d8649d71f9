/* Operands of tcgen05.mma: gathered from swizzled shared memory or from tensor memory and made
 * dense, with elements of less than a byte spread to one byte each, as mma.h packs them. */
#include "sim/func/tc.h"

/* Descriptors hold 18 bits of byte address; the rank is dropped. */
#define SHARED_ADDR_MASK 0x3ffffu

static const uint8_t widths[] = {
    [SWZ_NONE] = 16, [SWZ_32] = 32, [SWZ_64] = 64, [SWZ_128] = 128, [SWZ_128_32A] = 128};

/* Copies the 16 bytes at a canonical (unswizzled) address. */
static inline bool copy_chunk(const Cta *c, const Matrix *d, uint32_t addr, uint8_t *out)
{
    uint32_t a = (swizzle(addr - d->base, d->swz) + d->base) & SHARED_ADDR_MASK;
    if (a + 16 > c->shared_bytes)
        return false;
    memcpy(out, c->shared + a, 16);
    return true;
}

bool gather_k_major(const Cta *c, const Matrix *d, uint32_t rows, uint32_t bytes, uint8_t *out,
                    uint32_t stride)
{
    uint32_t width = widths[d->swz], step = d->swz == SWZ_NONE ? d->lbo : 16;
    bool good = true;
    for (uint32_t r = 0; r < rows; r++) {
        uint32_t at = d->start + r % 8 * width + r / 8 * d->sbo;
        for (uint32_t b = 0; b < bytes; b += 16)
            good &= copy_chunk(c, d, at + b / 16 * step, out + b);
        out += stride;
    }
    return good;
}

/* K of one MMA x rows; each k is `stride` bytes of `out`. Offsets: table in research/ptx.md 3.3. */
bool gather_mn_major(const Cta *c, const Matrix *d, const Mma *t, uint32_t rows, uint8_t *out,
                     uint32_t stride)
{
    uint32_t width = widths[d->swz], group = d->swz == SWZ_128_32A ? 4 : 8,
             bytes = rows * t->elem_bits / 8;
    uint32_t row_step = d->swz == SWZ_NONE ? d->sbo : d->lbo,
             k_step = d->swz == SWZ_NONE ? d->lbo : d->sbo;
    bool good = true;
    for (uint32_t k = 0; k < t->slice_k; k++) {
        uint32_t at = d->start + k % group * width + k / group * k_step;
        for (uint32_t b = 0; b < bytes; b += 16)
            good &= copy_chunk(c, d, at + b % width + b / width * row_step, out + b);
        out += stride;
    }
    return good;
}

/* ---- Elements of less than a byte ---- */

void unpack_units(uint8_t *p, size_t bytes, uint32_t bits)
{
    for (size_t at = 0; at + 16 <= bytes; at += 16) {
        uint64_t word[2];
        memcpy(word, p + at, 16);
        for (uint32_t e = 0; e < 16; e++) {
            uint32_t bit = e * bits;
            uint64_t v = word[bit / 64] >> bit % 64;
            if (bit % 64 + bits > 64)
                v |= word[1] << (64 - bit % 64);
            p[at + e] = (uint8_t)(v & ((1u << bits) - 1));
        }
    }
}

/* Two elements to a byte, the lower nibble first, to one each; in place, so from the end. */
static void unpack_nibbles(uint8_t *p, size_t bytes)
{
    for (size_t i = bytes; i-- > 0;) {
        uint8_t two = p[i];
        p[2 * i] = two & 15;
        p[2 * i + 1] = two >> 4;
    }
}

static uint32_t small_bits(uint32_t type)
{
    return type == NUM_E2M1 ? 4 : type == NUM_E2M3 || type == NUM_E3M2 ? 6 : 0;
}

/* From shared memory: packed for the mxf4 kinds, else padded to 16 bytes (ptx.md 3.3). */
static void spread_shared(uint8_t *p, size_t bytes, const Mma *t, uint32_t type)
{
    if (t->elem_bits == 4)
        unpack_nibbles(p, bytes);
    else if (small_bits(type))
        unpack_units(p, bytes, small_bits(type));
}

/* From tensor memory: packed for the mxf4 kinds, else in containers of 8 bits: e2m1 in the middle
 * four bits, 6-bit types in the lower six. Assumed: PTX ISA 9.7.16.10.4.3 has it only as a figure;
 * the text is that of mma.sync's registers (9.7.14.5). */
static void spread_tmem(uint8_t *p, size_t bytes, const Mma *t)
{
    if (t->elem_bits == 4)
        unpack_nibbles(p, bytes);
    else if (t->a_type == NUM_E2M1)
        for (size_t i = 0; i < bytes; i++)
            p[i] = p[i] >> 2 & 15;
}

/* ---- Operands ---- */

/* A rows from tensor memory, all slices: row r lies in lane(r), eight columns a slice. */
static void gather_tmem(const Cta *c, const TcBatch *q, const Mma *t, uint32_t lane0, bool layout_f,
                        uint8_t *out)
{
    uint32_t stride = q->n * TC_SLICE_BYTES;
    for (uint32_t s = 0; s < q->n; s++) {
        uint32_t column = q->a_tmem[s] & 0x1ff;
        for (uint32_t w = 0; w < TC_SLICE_BYTES / 4; w++)
            for (uint32_t r = 0; r < t->rows; r++) {
                uint32_t lane = lane0 + (layout_f ? r % 16 + r / 16 * 32 : r);
                memcpy(out + r * stride + s * TC_SLICE_BYTES + 4 * w, &c->tmem[column + w][lane],
                       4);
            }
    }
}

/* One operand of one CTA from shared memory, all slices of the batch, rows [row0, row0 + rows) of
 * `total`. */
static bool gather_shared(const Cta *c, const uint64_t *descs, uint32_t n, const Mma *t, bool mn,
                          uint32_t row0, uint32_t rows, uint32_t total, uint8_t *out)
{
    bool good = true;
    for (uint32_t s = 0; s < n; s++) {
        Matrix d = matrix_of(descs[s]);
        uint32_t k_stride = total * t->elem_bits / 8, row_stride = n * TC_SLICE_BYTES;
        if (mn)
            good &= gather_mn_major(c, &d, t, rows,
                                    out + s * t->slice_k * k_stride + row0 * t->elem_bits / 8,
                                    k_stride);
        else
            good &= gather_k_major(c, &d, rows, TC_SLICE_BYTES,
                                   out + row0 * row_stride + s * TC_SLICE_BYTES, row_stride);
    }
    return good;
}

static MmaSource dense_source(uint32_t type, bool mn, uint32_t rows, uint32_t k, const void *elems)
{
    return (MmaSource){.type = type,
                       .major = mn ? MMA_ROW_MAJOR : MMA_K_MAJOR,
                       .elems = elems,
                       .stride = mn ? rows : k,
                       .rows = rows,
                       .k = k};
}

static bool slices_adjacent(const TcBatch *q)
{
    for (uint32_t s = 1; s < q->n; s++)
        if (q->a_tmem[s] != q->a_tmem[0] + 8 * s)
            return false;
    return true;
}

bool source_a(const Cta *c, const TcBatch *q, const Mma *t, uint32_t a_lane, uint8_t *dense,
              MmaSource *out)
{
    uint32_t k = q->n * t->slice_k;
    size_t bytes = (size_t)t->rows * q->n * TC_SLICE_BYTES;
    bool layout_f = !q->first.u.mma.cg2 && t->m == 64;
    if (!q->first.u.mma.a_in_tmem) {
        if (!gather_shared(c, q->a, q->n, t, t->a_mn, 0, t->rows, t->rows, dense))
            return false;
        spread_shared(dense, bytes, t, t->a_type);
        *out = dense_source(t->a_type, t->a_mn, t->rows, k, dense);
    } else if (t->elem_bits == 16 && !layout_f && slices_adjacent(q)) {
        *out = (MmaSource){.type = t->a_type,
                           .major = MMA_TMEM,
                           .elems = &c->tmem[q->a_tmem[0] & 0x1ff][a_lane],
                           .stride = TMEM_LANES,
                           .rows = t->rows,
                           .k = k};
    } else {
        gather_tmem(c, q, t, a_lane, layout_f, dense);
        spread_tmem(dense, bytes, t);
        *out = dense_source(t->a_type, false, t->rows, k, dense);
    }
    out->negate = t->a_neg;
    return true;
}

/* With cta_group::2 CTA c of the pair holds rows [cN/2, (c + 1)N/2). */
bool source_b(Cta *const pair[2], uint32_t n_ctas, const TcBatch *q, const Mma *t, uint8_t *dense,
              MmaSource *out)
{
    uint32_t rows = t->n / n_ctas, k = q->n * t->slice_k;
    for (uint32_t c = 0; c < n_ctas; c++)
        if (!gather_shared(pair[c], q->b, q->n, t, t->b_mn, c * rows, rows, t->n, dense))
            return false;
    spread_shared(dense, (size_t)t->n * q->n * TC_SLICE_BYTES, t, t->b_type);
    *out = dense_source(t->b_type, t->b_mn, t->n, k, dense);
    out->negate = t->b_neg;
    return true;
}

/* Row r is in lane r % 32, column r / 32, for each quarter of the lanes; B's of M = 128 with
 * cta_group::2: the first half of the rows in the lower two quarters, the second half in the upper
 * two (ptx.md 3.2). */
bool gather_scales(const Cta *c, const TcBatch *q, const Mma *t, bool is_a, uint8_t *out)
{
    uint32_t rows = is_a ? t->rows : t->n, n = t->slice_k / t->vec;
    bool halves = !is_a && q->first.u.mma.cg2 && t->m == 128, same = true;
    for (uint32_t s = 0; s < q->n; s++) {
        uint32_t column0 = (is_a ? q->sfa[s] : q->sfb[s]) & 0x1ff,
                 shift = 8u * (is_a ? q->sfa_id[s] : q->sfb_id[s]);
        uint32_t used = n == 4 ? UINT32_MAX : ((1u << 8 * n) - 1) << shift;
        for (uint32_t r = 0; r < rows; r++) {
            uint32_t half = halves ? r / (rows / 2) : 0, row = halves ? r % (rows / 2) : r;
            const uint32_t *lanes = c->tmem[column0 + row / 32];
            uint32_t first = half * 64 + row % 32, word = lanes[first];
            for (uint32_t i = 1; i < (halves ? 2u : 4u); i++)
                same &= !((lanes[first + 32 * i] ^ word) & used);
            for (uint32_t g = 0; g < n; g++)
                out[(s * n + g) * rows + r] = (uint8_t)(word >> shift >> 8 * g);
        }
    }
    return same;
}
