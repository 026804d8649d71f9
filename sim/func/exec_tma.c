/* Tensor copies: cp.async.bulk.tensor in tile mode, loads, stores and reductions of 1 to 5
 * dimensions.
 *
 * A box is copied row by row (dimension 0); rows lie densely in shared memory, each 16-byte chunk
 * then moved by the swizzle of its absolute address. Elements outside the tensor are zero or NaN in
 * loads and skipped in stores. Not here: interleaved layouts, im2col, gather4 and scatter4. Source:
 * PTX ISA 9.7.9.25; CUDA driver API cuTensorMapEncodeTiled; research/ptx.md 3.3, 3.10, 3.11. */
#include "sim/func/engine.h"

enum {
    CTA_OFFSET = 0xffffff,
    DST_ALIGN = 128,
    MAP_BYTES = 128,
    MAP_ALIGN = 64,
    CHUNK = 16,
    MAX_ROW = 256 * 16,
    MAX_RANK = 5
};

/* ---- Tensor maps ---- */

/* The decoded map at a generic address; decoded again only if its bytes have changed. */
static const TensorMap *map_at(ExecCtx *x, const XInsn *in, uint32_t lane, uint64_t addr)
{
    Place lo, hi;
    if (!place_at(x, in, (int)lane, 0, addr, MAP_ALIGN, &lo) ||
        !place_at(x, in, (int)lane, 0, addr + MAP_ALIGN, MAP_BYTES - MAP_ALIGN, &hi))
        return NULL;
    MapEntry *e = &x->cta->async->maps[addr / MAP_BYTES % MAP_CACHE];
    if (e->valid && memcmp(e->bytes, lo.p, MAP_BYTES) == 0)
        return &e->map;
    Err why = {0};
    e->valid = tensor_map_decode(lo.p, &e->map, &why);
    if (!e->valid) {
        exec_fault(x, in, (int)lane, "no tensor map at 0x%llx: %s", (unsigned long long)addr,
                   why.msg);
        return NULL;
    }
    memcpy(e->bytes, lo.p, MAP_BYTES);
    return &e->map;
}

static Swizzle map_swizzle(const TensorMap *m)
{
    static const Swizzle modes[4] = {SWZ_NONE, SWZ_32, SWZ_64, SWZ_128};
    return modes[m->swizzle & 3];
}

/* Element types in the numbering of tensormap.replace (ptx.md 3.11). */
static PtxType map_type(const TensorMap *m)
{
    static const PtxType types[] = {T_U8,  T_U16, T_U32, T_S32,  T_U64, T_S64, T_F16,
                                    T_F32, T_F32, T_F64, T_BF16, T_F32, T_F32};
    return m->dtype < sizeof types / sizeof *types ? types[m->dtype] : T_NONE;
}

/* ---- Boxes ---- */

typedef struct Box {
    const TensorMap *map;
    const int32_t *coord;
    uint32_t count[MAX_RANK]; /* elements delivered in each dimension */
    uint32_t row_bytes, rows;
    uint32_t lo, hi; /* bytes of a row inside the tensor: [lo, hi) */
    uint32_t first[MAX_RANK],
        last[MAX_RANK]; /* rows inside: first <= at < last in dimensions 1.. */
    bool touches;       /* some element is inside */
} Box;

/* Positions 0 <= at < count with 0 <= c + at * step < dim. */
static void clip(int64_t c, uint32_t step, uint64_t dim, uint32_t count, uint32_t *first,
                 uint32_t *last)
{
    int64_t lo = c >= 0 ? 0 : (-c + step - 1) / step;
    int64_t hi = c >= (int64_t)dim ? 0 : ((int64_t)dim - c + step - 1) / step;
    *first = (uint32_t)(lo > count ? count : lo);
    *last = (uint32_t)(hi > count ? count : hi);
}

/* Elements a box delivers along a dimension: box / stride rounded up, and dimension 0 has no stride
 * (CUDA driver API, elementStrides, for CU_TENSOR_MAP_INTERLEAVE_NONE). The driver's own word 8
 * rounds down; whether hardware reads that word is unknown. */
static Box box_of(const TensorMap *m, const int32_t *coord)
{
    Box b = {.map = m, .coord = coord, .rows = 1, .touches = true};
    uint32_t size = (uint32_t)m->strides[0];
    for (uint32_t d = 0; d < m->rank; d++) {
        uint32_t step = d ? m->element_strides[d] : 1;
        b.count[d] = (m->box[d] + step - 1) / step;
        clip(coord[d], step, m->dims[d], b.count[d], &b.first[d], &b.last[d]);
        b.touches &= b.first[d] < b.last[d];
        b.rows *= d ? b.count[d] : 1;
    }
    b.row_bytes = b.count[0] * size;
    b.lo = b.first[0] * size;
    b.hi = b.last[0] * size;
    return b;
}

static uint32_t engine_rows(const Box *b)
{
    return b->rows * ((b->row_bytes + TMA_ROW_BYTES - 1) / TMA_ROW_BYTES);
}

static uint64_t row_address(const Box *b, const uint32_t at[MAX_RANK])
{
    uint64_t a = b->map->address +
                 (uint64_t)b->coord[0] * b->map->strides[0]; /* wraps where it is outside */
    for (uint32_t d = 1; d < b->map->rank; d++) {
        int64_t i = b->coord[d] + (int64_t)at[d] * b->map->element_strides[d];
        a += (uint64_t)i * b->map->strides[d];
    }
    return a;
}

static bool row_inside(const Box *b, const uint32_t at[MAX_RANK])
{
    bool in = b->touches;
    for (uint32_t d = 1; d < b->map->rank; d++)
        in &= at[d] >= b->first[d] && at[d] < b->last[d];
    return in;
}

static void next_row(const Box *b, uint32_t at[MAX_RANK])
{
    for (uint32_t d = 1; d < b->map->rank && ++at[d] == b->count[d]; d++)
        at[d] = 0;
}

/* Global memory that the box touches: one look-up if it lies in one allocation, which is nearly
 * always so. */
typedef struct Window {
    uint8_t *p; /* host address of `from`; NULL: look up each row */
    uint64_t from;
} Window;

static Window window_of(const Exec *x, const Box *b)
{
    uint32_t first[MAX_RANK], last[MAX_RANK];
    if (!b->touches)
        return (Window){0};
    for (uint32_t d = 0; d < MAX_RANK; d++) {
        first[d] = b->first[d];
        last[d] = b->last[d] - 1;
    }
    uint64_t from = row_address(b, first) + b->lo, to = row_address(b, last) + b->hi;
    return (Window){.p = mem_ptr(x->desc.mem, from, to - from), .from = from};
}

/* Host address of the inside part of a row. */
static uint8_t *row_memory(Exec *x, const Cta *cta, const Async *as, const Box *b,
                           const Window *win, const uint32_t at[MAX_RANK], Err *err)
{
    uint64_t a = row_address(b, at) + b->lo;
    if (win->p)
        return win->p + (a - win->from);
    uint8_t *p = mem_ptr(x->desc.mem, a, b->hi - b->lo);
    if (p)
        return p;
    char text[200];
    mem_describe(x->desc.mem, a, text, sizeof text);
    async_fault(x, cta, as, err, "tensor copy of %u bytes at global address 0x%llx: %s",
                b->hi - b->lo, (unsigned long long)a, text);
    return NULL;
}

/* ---- Rows in shared memory ---- */

static void scatter_row(Cta *c, uint32_t offset, Swizzle s, const uint8_t *src, uint32_t bytes)
{
    if (s == SWZ_NONE) {
        memcpy(c->shared + offset, src, bytes);
        return;
    }
    for (uint32_t b = 0; b < bytes; b += CHUNK)
        memcpy(c->shared + swizzle(offset + b, s), src + b, CHUNK);
}

static void gather_row(const Cta *c, uint32_t offset, Swizzle s, uint8_t *dst, uint32_t bytes)
{
    if (s == SWZ_NONE) {
        memcpy(dst, c->shared + offset, bytes);
        return;
    }
    for (uint32_t b = 0; b < bytes; b += CHUNK)
        memcpy(dst + b, c->shared + swizzle(offset + b, s), CHUNK);
}

/* What elements outside the tensor read as: zero, or for floats on request the canonical NaN. */
static void fill_row(const TensorMap *m, uint8_t *row, uint32_t bytes)
{
    memset(row, 0, bytes);
    PtxType t = map_type(m);
    if (!m->oob_nan || type_info[t].kind != 'F')
        return;
    memset(row, 0xff, bytes);
    for (uint32_t at = (uint32_t)m->strides[0] - 1; at < bytes; at += (uint32_t)m->strides[0])
        row[at] = 0x7f;
}

/* ---- Loads ---- */

static bool load_box(Exec *x, Cta *cta, Async *as, Cta *to, Err *err)
{
    const TensorMap *m = &as->u.tma.map;
    Box b = box_of(m, as->u.tma.coord);
    Window win = window_of(x, &b);
    Swizzle s = map_swizzle(m);
    uint32_t at[MAX_RANK] = {0}, offset = as->u.tma.smem & CTA_OFFSET;
    uint8_t edge[MAX_ROW], outside[MAX_ROW];
    bool whole = b.lo == 0 && b.hi == b.row_bytes;
    fill_row(m, outside, b.row_bytes);
    memcpy(edge, outside, b.row_bytes);
    for (uint32_t r = 0; r < b.rows; r++, offset += b.row_bytes, next_row(&b, at)) {
        const uint8_t *src = outside;
        if (row_inside(&b, at)) {
            src = row_memory(x, cta, as, &b, &win, at, err);
            if (!src)
                return false;
            if (!whole) {
                memcpy(edge + b.lo, src, b.hi - b.lo);
                src = edge;
            }
        }
        scatter_row(to, offset, s, src, b.row_bytes);
    }
    return true;
}

static bool load_async(Exec *x, Cta *cta, Async *as, AsyncStep step, Err *err)
{
    if (step != ASYNC_DONE)
        return true;
    for (uint32_t m = as->u.tma.mask; m; m &= m - 1) {
        Cta *to;
        if (!async_fill(x, cta, first_lane(m), &to, err))
            return false;
        if (!to)
            return async_fault(x, cta, as, err, "tensor copy to CTA rank %u, which has exited",
                               first_lane(m));
        if (!load_box(x, cta, as, to, err))
            return false;
    }
    return true;
}

static bool check_map(ExecCtx *x, const XInsn *in, uint32_t lane, const TensorMap *m)
{
    uint32_t rank = in->ci->mod[MC_DIM] - MV_DIM_D1 + 1u;
    if (m->rank != rank)
        return exec_fault(x, in, (int)lane, "the tensor map has %u dimensions, the instruction %u",
                          m->rank, rank);
    uint64_t bytes = m->strides[0] * m->box[0];
    if (m->interleave || map_type(m) == T_NONE)
        return err_set(x->err, ERR_UNSUPPORTED, warp_code(x->w)->func->insns[in->ci->ptx].loc,
                       "tensor maps with interleave %u, element type %u are not modelled",
                       m->interleave, m->dtype);
    if (bytes % CHUNK != 0 || bytes > MAX_ROW)
        return exec_fault(x, in, (int)lane,
                          "the tensor map's inner box is %llu bytes: must be a multiple of 16",
                          (unsigned long long)bytes);
    static const uint32_t widths[] = {MAX_ROW, 32, 64, 128};
    if (bytes > widths[m->swizzle & 3])
        return exec_fault(x, in, (int)lane,
                          "the tensor map's inner box of %llu bytes exceeds its %u-byte swizzle",
                          (unsigned long long)bytes, widths[m->swizzle & 3]);
    return true;
}

/* The part that loads and stores share: map, coordinates, shared address. map: operand number,
 * coordinates follow. */
static bool tensor_operands(ExecCtx *x, const XInsn *in, uint32_t lane, uint32_t map,
                            uint32_t shared, AsyncFn *fn, Async **out, Cta **owner)
{
    Warp *w = x->w;
    uint64_t map_addr = opd_addr(w, opd(w, in, map), lane),
             smem = opd_shared(x, opd(w, in, shared), lane);
    const TensorMap *m = map_at(x, in, lane, map_addr);
    if (!m || !check_map(x, in, lane, m))
        return false;
    Async *as = start_async(x, in, fn);
    if (!as)
        return false;
    as->u.tma.map = *m;
    as->u.tma.map_addr = map_addr;
    as->u.tma.smem = (uint32_t)smem;
    for (uint32_t d = 0; d < m->rank; d++)
        as->u.tma.coord[d] = (int32_t)opd_elem(x, opd(w, in, map + 1), d, lane);
    Box b = box_of(m, as->u.tma.coord);
    *out = as;
    return shared_at(x, in, (int)lane, smem, b.rows * b.row_bytes, DST_ALIGN, owner) != NULL;
}

static uint64_t box_address(const Box *b)
{
    static const uint32_t origin[MAX_RANK] = {0};
    return row_address(b, origin);
}

/* [d], [map, {c}], [mbar]{, mask} */
static bool dyn_load(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Warp *w = x->w;
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m);
        uint64_t mbar = opd_shared(x, opd(w, in, 3), lane);
        Async *as;
        Cta *owner, *mbar_owner;
        if (!tensor_operands(x, in, lane, 1, 0, load_async, &as, &owner) ||
            !shared_at(x, in, (int)lane, mbar, 8, 8, &mbar_owner))
            return false;
        bool multicast = in->ci->mod[MC_MCAST] != 0;
        if (!multicast && in->ci->mod[MC_CG] != MV_CG_TWO && mbar_owner != owner)
            return exec_fault(
                x, in, (int)lane,
                "destination (CTA rank %u) and mbarrier (rank %u) are in different CTAs",
                owner->rank, mbar_owner->rank);
        as->u.tma.mask =
            (uint16_t)(multicast ? opd_u32(x, opd(w, in, 4), lane) : 1u << owner->rank);
        Box b = box_of(&as->u.tma.map, as->u.tma.coord);
        LoadSync s = {.bytes = b.rows * b.row_bytes,
                      .rows = engine_rows(&b),
                      .sync = own_shared(mbar_owner, (uint32_t)mbar & CTA_OFFSET),
                      .mask = as->u.tma.mask,
                      .multicast = multicast,
                      .global = box_address(&b)};
        load_op(x, in, &s, as);
    }
    return true;
}

/* ---- Stores and reductions ---- */

/* Writes the rows inside the tensor; dense: the box captured in the staging ring, or NULL for
 * shared memory itself. */
static bool store_box(Exec *x, Cta *cta, Async *as, const uint8_t *dense, Err *err)
{
    const TensorMap *m = &as->u.tma.map;
    Box b = box_of(m, as->u.tma.coord);
    Window win = window_of(x, &b);
    uint32_t at[MAX_RANK] = {0}, offset = as->u.tma.smem & CTA_OFFSET;
    uint8_t row[MAX_ROW];
    for (uint32_t r = 0; r < b.rows; r++, next_row(&b, at)) {
        if (!row_inside(&b, at))
            continue;
        const uint8_t *src = dense ? dense + r * b.row_bytes : row;
        if (!dense)
            gather_row(cta, offset + r * b.row_bytes, map_swizzle(m), row, b.row_bytes);
        uint8_t *dst = row_memory(x, cta, as, &b, &win, at, err);
        if (!dst)
            return false;
        if (as->u.tma.redop)
            reduce_bytes(as->u.tma.redop, map_type(m), dst, src + b.lo, b.hi - b.lo);
        else
            memcpy(dst, src + b.lo, b.hi - b.lo);
    }
    return true;
}

static bool store_async(Exec *x, Cta *cta, Async *as, AsyncStep step, Err *err)
{
    if (step == ASYNC_DONE)
        return !as->stage || store_box(x, cta, as, as->stage, err);
    Box b = box_of(&as->u.tma.map, as->u.tma.coord);
    as->stage = stage_take(&cta->async->stage, b.rows * b.row_bytes);
    if (!as->stage)
        return store_box(x, cta, as, NULL, err);
    uint32_t offset = as->u.tma.smem & CTA_OFFSET;
    for (uint32_t r = 0; r < b.rows; r++)
        gather_row(cta, offset + r * b.row_bytes, map_swizzle(&as->u.tma.map),
                   as->stage + r * b.row_bytes, b.row_bytes);
    return true;
}

/* [map, {c}], [a] */
static bool dyn_store(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    uint32_t redop = in->ci->mod[MC_REDOP], done;
    for (uint32_t m = mask; m; m &= ~done) {
        uint32_t lane = first_lane(m);
        done = redop ? 1u << lane : alike_lanes(x->w, in, lane, m);
        Async *as;
        Cta *owner;
        if (!tensor_operands(x, in, lane, 0, 2, store_async, &as, &owner))
            return false;
        if (owner != x->cta)
            return exec_fault(x, in, (int)lane,
                              "the source of a tensor store must be the CTA's own shared memory");
        as->u.tma.redop = (uint8_t)redop;
        PtxType t = map_type(&as->u.tma.map);
        if (redop && !reduce_legal((uint8_t)redop, t))
            return exec_fault(x, in, (int)lane,
                              "this reduction does not exist for elements of type .%s",
                              type_info[t].name);
        Box b = box_of(&as->u.tma.map, as->u.tma.coord);
        store_op(x, b.rows * b.row_bytes, engine_rows(&b), box_address(&b), as, redop != 0);
    }
    return true;
}

/* [map, {c}] */
static bool dyn_prefetch(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    for (uint32_t m = mask; m; m &= ~alike_lanes(x->w, in, first_lane(m), m)) {
        uint32_t lane = first_lane(m);
        const TensorMap *map = map_at(x, in, lane, opd_addr(x->w, opd(x->w, in, 0), lane));
        if (!map || !check_map(x, in, lane, map))
            return false;
        int32_t coord[MAX_RANK] = {0};
        for (uint32_t d = 0; d < map->rank; d++)
            coord[d] = (int32_t)opd_elem(x, opd(x->w, in, 1), d, lane);
        Box b = box_of(map, coord);
        Op *o = emit(x, OK_TMA_PREFETCH);
        o->bytes = b.rows * b.row_bytes;
        o->waves = (uint16_t)engine_rows(&b);
        o->addr = box_address(&b) >> 8;
    }
    return true;
}

BIND_DYN(cp_async_bulk_tensor_g2s, dyn_load)
BIND_DYN(cp_async_bulk_tensor_s2g, dyn_store)
BIND_DYN(cp_reduce_async_bulk_tensor, dyn_store)
BIND_DYN(cp_async_bulk_prefetch_tensor, dyn_prefetch)
