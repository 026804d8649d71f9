/* ldmatrix and stmatrix (8x8 tiles of 16 bits), edits of tensor maps, and the tensor-core forms
 * that have no meaning here yet.
 *
 * Thread l of a warp holds row l / 4, elements 2 (l % 4) and the next, of each 8x8 tile; the row
 * addresses of tile i come from lanes 8i .. 8i + 7 (research/ptx.md 3.17). The four tiles of .x4
 * are read in four passes. Layout of the tensor map: research/ptx.md 3.11. */
#include "sim/func/engine.h"

enum { TILE_ROWS = 8, ROW_BYTES = 16, MAP_BYTES = 128, MAP_WORDS = 16 };

/* ---- ldmatrix {d}, [a]; stmatrix [a], {b} ---- */

static uint32_t tiles_of(const XInsn *in)
{
    return 1u << (in->ci->mod[MC_NUM] - MV_NUM_X1);
}

/* Pointers to the rows of all tiles, from the lanes that give addresses. */
static bool find_rows(ExecCtx *x, const XInsn *in, const CodeOpd *addr, uint32_t tiles,
                      uint8_t *rows[WARP])
{
    for (uint32_t r = 0; r < tiles * TILE_ROWS; r++) {
        rows[r] = shared_at(x, in, (int)r, opd_shared(x, addr, r), ROW_BYTES, ROW_BYTES, NULL);
        if (!rows[r])
            return false;
    }
    return true;
}

/* Rows of one tile in the same 16-byte column of the banks must pass one after the other. */
static uint32_t passes(uint8_t *const rows[WARP], const uint8_t *base, uint32_t tiles)
{
    uint32_t sum = 0;
    for (uint32_t t = 0; t < tiles; t++) {
        uint32_t count[TILE_ROWS] = {0}, most = 0;
        for (uint32_t r = 0; r < TILE_ROWS; r++) {
            uint32_t column = (uint32_t)(rows[t * TILE_ROWS + r] - base) / ROW_BYTES % TILE_ROWS;
            most = ++count[column] > most ? count[column] : most;
        }
        sum += most;
    }
    return sum;
}

static void emit_smem(ExecCtx *x, uint8_t *const rows[WARP], uint32_t tiles)
{
    Op *o = emit(x, OK_SMEM);
    o->waves = (uint16_t)passes(rows, x->cta->shared, tiles);
    o->bytes = tiles * TILE_ROWS * ROW_BYTES;
}

/* Where in its tile thread l keeps the h-th half of its register. */
static void place_of(uint32_t l, uint32_t h, bool trans, uint32_t *row_of, uint32_t *column)
{
    uint32_t r = l / 4, c = 2 * (l % 4) + h;
    *row_of = trans ? c : r;
    *column = trans ? r : c;
}

static bool dyn_ldmatrix(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    uint8_t *rows[WARP];
    uint32_t tiles = tiles_of(in);
    bool trans = in->ci->mod[MC_TRANS] != 0;
    const CodeOpd *d = opd(x->w, in, 0);
    if (!find_rows(x, in, opd(x->w, in, 1), tiles, rows))
        return false;
    for (uint32_t t = 0; t < tiles; t++) {
        uint32_t value[WARP];
        for (uint32_t l = 0; l < WARP; l++) {
            uint16_t half[2];
            for (uint32_t h = 0; h < 2; h++) {
                uint32_t r, c;
                place_of(l, h, trans, &r, &c);
                memcpy(&half[h], rows[t * TILE_ROWS + r] + 2 * c, 2);
            }
            value[l] = half[0] | (uint32_t)half[1] << 16;
        }
        uint32_t *dst = opd_row(x->w, d, t);
        for (uint32_t m = mask; m; m &= m - 1)
            dst[first_lane(m)] = value[first_lane(m)];
    }
    emit_smem(x, rows, tiles);
    return true;
}

static bool dyn_stmatrix(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    uint8_t *rows[WARP];
    uint32_t tiles = tiles_of(in);
    bool trans = in->ci->mod[MC_TRANS] != 0;
    const CodeOpd *b = opd(x->w, in, 1);
    if (!find_rows(x, in, opd(x->w, in, 0), tiles, rows))
        return false;
    for (uint32_t t = 0; t < tiles; t++) {
        const uint32_t *src = opd_row(x->w, b, t);
        for (uint32_t m = mask; m; m &= m - 1)
            for (uint32_t l = first_lane(m), h = 0; h < 2; h++) {
                uint32_t r, c;
                uint16_t half = (uint16_t)(src[l] >> 16 * h);
                place_of(l, h, trans, &r, &c);
                memcpy(rows[t * TILE_ROWS + r] + 2 * c, &half, 2);
            }
    }
    emit_smem(x, rows, tiles);
    return true;
}

BIND_DYN(ldmatrix, dyn_ldmatrix)
BIND_DYN(stmatrix, dyn_stmatrix)

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

/* False: no such ordinal. The instruction's rank and element type are those of the map (rank - 1,
 * 0..15). */
static bool replace_field(uint64_t *words, uint8_t field, uint32_t ord, uint64_t v)
{
    switch (field) {
    case MV_FIELD_GLOBAL_ADDRESS:
        words[0] = v;
        return true;
    case MV_FIELD_RANK:
        set_bits(words, 1, 4, 3, v);
        return true;
    case MV_FIELD_ELEMTYPE:
        set_bits(words, 1, 7, 4, v);
        return true;
    case MV_FIELD_INTERLEAVE:
        set_bits(words, 1, 11, 2, v);
        return true;
    case MV_FIELD_SWIZZLE_MODE:
        set_bits(words, 1, 13, 2, v);
        return v < 4;
    case MV_FIELD_FILL_MODE:
        set_bits(words, 1, 15, 1, v);
        return true;
    case MV_FIELD_GLOBAL_STRIDE:
        if (ord < 4)
            replace_stride(words, ord, v);
        return ord < 4;
    case MV_FIELD_GLOBAL_DIM:
        set_bits(words, 4 + ord / 2, ord % 2 * 32, 32, v - 1);
        return ord < 5;
    case MV_FIELD_ELEMENT_STRIDE:
        set_bits(words, 6, 32 + 3 * ord, 3, v - 1);
        return ord < 5;
    case MV_FIELD_BOX_DIM:
        if (ord == 0)
            set_bits(words, 6, 56, 8, v - 1);
        else if (ord < 5)
            set_bits(words, 7, 8 * (ord - 1), 8, v - 1);
        return ord < 5;
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
            return exec_fault(x, in, (int)lane,
                              "this field of a tensor map, ordinal %u, cannot be replaced", ord);
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
