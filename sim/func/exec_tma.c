/* Tensor copies: cp.async.bulk.tensor in tile mode, loads, stores and reductions of 1 to 5
 * dimensions, and of four rows of a matrix (gather4, scatter4).
 *
 * A box is copied row by row (dimension 0); rows lie densely in shared memory, each 16-byte chunk
 * then moved by the swizzle of its absolute address. Elements outside the tensor are zero or NaN in
 * loads and skipped in stores. Types below a byte are copied in groups, which may be wider in
 * shared memory. Not here: interleaved layouts, im2col. Source: PTX ISA 5.5, 9.7.9.25; CUDA driver
 * API cuTensorMapEncodeTiled; research/ptx.md 3.3, 3.10, 3.11. Measured on an H200: what fills
 * (0x7ff7 in every 16 bits), f32 to tf32 (to nearest even, NaN 0x7fffe000; .ftz changes nothing),
 * that a box delivers ceil(box / element stride), that dimension 0 has no element stride, and that
 * a load whose first element is not at a multiple of 16 bytes from the tensor's is refused. */
#include "sim/func/engine.h"
#include "sim/func/num.h"

enum {
    CTA_OFFSET = 0xffffff,
    DST_ALIGN = 128,
    MAP_BYTES = 128,
    MAP_ALIGN = 64,
    CHUNK = 16,
    MAX_ROW = 256 * 16,
    MAX_RANK = 5,
    ROWS4 = 4,
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
    static const Swizzle modes[] = {SWZ_NONE,    SWZ_32,           SWZ_64,     SWZ_128,
                                    SWZ_128_32A, SWZ_128_32A_FLIP, SWZ_128_64A};
    return modes[m->swizzle];
}

/* Element types in the numbering of tensormap.replace (ptx.md 3.11). */
static PtxType map_type(const TensorMap *m)
{
    static const PtxType types[] = {T_U8,  T_U16, T_U32,  T_S32, T_U64, T_S64, T_F16, T_F32,
                                    T_F32, T_F64, T_BF16, T_F32, T_F32, T_B8,  T_B8,  T_B8};
    return types[m->dtype];
}

/* What moves as a unit: one element, or a group of those below a byte. */
typedef struct Grain {
    uint32_t elems, global, shared; /* bytes */
} Grain;

static Grain grain_of(const TensorMap *m)
{
    switch (m->dtype) {
    case TMAP_B4X16:
        return (Grain){2, 1, 1};
    case TMAP_B4X16_P64:
        return (Grain){16, 8, 16};
    case TMAP_B6X16_P32: /* stores: .b6p2x16 */
        return (Grain){16, 12, 16};
    default: {
        uint32_t bytes = tensor_map_elem_bits(m->dtype) / 8;
        return (Grain){1, bytes, bytes};
    }
    }
}

/* ---- Boxes ---- */

typedef struct Box {
    const TensorMap *map;
    const int32_t *coord;
    Grain unit;
    bool rows4;               /* coord: the column and four rows */
    uint32_t count[MAX_RANK]; /* delivered in each dimension; dimension 0 in units */
    uint32_t row_bytes, rows; /* in shared memory */
    uint32_t lo, hi;          /* units of a row inside the tensor: [lo, hi) */
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

static Box box_of(const TensorMap *m, const int32_t *coord, bool rows4)
{
    Box b = {
        .map = m, .coord = coord, .unit = grain_of(m), .rows4 = rows4, .rows = 1, .touches = true};
    uint32_t per = b.unit.elems;
    for (uint32_t d = 0; d < m->rank; d++) {
        uint32_t step = d ? m->element_strides[d] : 1;
        b.count[d] = d == 0 ? m->box[0] / per : (m->box[d] + step - 1) / step;
        if (d == 0)
            clip(coord[0] / (int32_t)per, 1, (m->dims[0] + per - 1) / per, b.count[0], &b.first[0],
                 &b.last[0]);
        else if (rows4)
            b.count[d] = b.last[d] = ROWS4;
        else
            clip(coord[d], step, m->dims[d], b.count[d], &b.first[d], &b.last[d]);
        b.touches &= b.first[d] < b.last[d];
        b.rows *= d ? b.count[d] : 1;
    }
    b.row_bytes = b.count[0] * b.unit.shared;
    b.lo = b.first[0];
    b.hi = b.last[0];
    return b;
}

static Box async_box(const Async *as)
{
    return box_of(&as->u.tma.map, as->u.tma.coord, as->u.tma.rows4);
}

static uint32_t engine_rows(const Box *b)
{
    return b->rows * ((b->row_bytes + TMA_ROW_BYTES - 1) / TMA_ROW_BYTES);
}

/* Index of the row in dimension d. */
static int64_t row_index(const Box *b, const uint32_t at[MAX_RANK], uint32_t d)
{
    if (b->rows4)
        return b->coord[1 + at[1]];
    return b->coord[d] + (int64_t)at[d] * b->map->element_strides[d];
}

/* Of unit 0 of the box's row; wraps where it is outside. */
static uint64_t row_address(const Box *b, const uint32_t at[MAX_RANK])
{
    int64_t unit = b->coord[0] / (int32_t)b->unit.elems;
    uint64_t a = b->map->address + (uint64_t)unit * b->unit.global;
    for (uint32_t d = 1; d < b->map->rank; d++)
        a += (uint64_t)row_index(b, at, d) * b->map->strides[d];
    return a;
}

static bool row_inside(const Box *b, const uint32_t at[MAX_RANK])
{
    bool in = b->touches;
    if (b->rows4)
        return in && row_index(b, at, 1) >= 0 && (uint64_t)row_index(b, at, 1) < b->map->dims[1];
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
    if (!b->touches || b->rows4)
        return (Window){0};
    for (uint32_t d = 0; d < MAX_RANK; d++) {
        first[d] = b->first[d];
        last[d] = b->last[d] - 1;
    }
    uint64_t from = row_address(b, first) + (uint64_t)b->lo * b->unit.global,
             to = row_address(b, last) + (uint64_t)b->hi * b->unit.global;
    return (Window){.p = mem_ptr(x->desc.mem, from, to - from), .from = from};
}

/* Host address of the inside part of a row. */
static uint8_t *row_memory(Exec *x, const Cta *cta, const Async *as, const Box *b,
                           const Window *win, const uint32_t at[MAX_RANK], Err *err)
{
    uint32_t bytes = (b->hi - b->lo) * b->unit.global;
    uint64_t a = row_address(b, at) + (uint64_t)b->lo * b->unit.global;
    if (win->p)
        return win->p + (a - win->from);
    uint8_t *p = mem_ptr(x->desc.mem, a, bytes);
    if (p)
        return p;
    char text[200];
    mem_describe(x->desc.mem, a, text, sizeof text);
    async_fault(x, cta, as, err, "tensor copy of %u bytes at global address 0x%llx: %s", bytes,
                (unsigned long long)a, text);
    return NULL;
}

/* ---- Rows in shared memory ---- */

static void scatter_row(Cta *c, uint32_t offset, Swizzle s, const uint8_t *src, uint32_t bytes)
{
    if (s == SWZ_NONE) {
        memcpy(c->shared + offset, src, bytes);
        return;
    }
    uint32_t chunk = s == SWZ_128_32A_FLIP ? CHUNK / 2 : CHUNK;
    for (uint32_t b = 0; b < bytes; b += chunk)
        memcpy(c->shared + swizzle(offset + b, s), src + b, chunk);
}

static void gather_row(const Cta *c, uint32_t offset, Swizzle s, uint8_t *dst, uint32_t bytes)
{
    if (s == SWZ_NONE) {
        memcpy(dst, c->shared + offset, bytes);
        return;
    }
    uint32_t chunk = s == SWZ_128_32A_FLIP ? CHUNK / 2 : CHUNK;
    for (uint32_t b = 0; b < bytes; b += chunk)
        memcpy(dst + b, c->shared + swizzle(offset + b, s), chunk);
}

/* What elements outside the tensor read as: zero, or for floats on request the hardware's NaN. */
static void fill_row(const TensorMap *m, uint8_t *row, uint32_t bytes)
{
    static const uint8_t nan[2] = {0xf7, 0x7f};
    memset(row, 0, bytes);
    for (uint32_t at = 0; m->oob_nan && type_info[map_type(m)].kind == 'F' && at < bytes; at++)
        row[at] = nan[at % 2];
}

/* ---- Units between global and shared memory ---- */

/* f32 to tf32: 10 bits of fraction, to nearest even. */
static void round_tf32(uint8_t *row, uint32_t bytes)
{
    for (uint32_t at = 0; at < bytes; at += 4) {
        uint32_t v;
        memcpy(&v, row + at, 4);
        if (num_is_nan_f32(v))
            v = 0x7fffe000;
        else
            v = (v + 0xfff + (v >> 13 & 1)) & ~0x1fffu;
        memcpy(row + at, &v, 4);
    }
}

/* Sixteen 6-bit values, each in the low bits of a byte, to 12 bytes. */
static void pack_b6(uint8_t dst[12], const uint8_t src[16])
{
    memset(dst, 0, 12);
    for (uint32_t i = 0; i < 16; i++)
        for (uint32_t bit = 0; bit < 6; bit++)
            dst[(6 * i + bit) / 8] |= (uint8_t)((src[i] >> bit & 1) << (6 * i + bit) % 8);
}

/* Units [lo, hi) of a row: src from unit lo, dst the whole row. What pads a unit is poison. */
static void expand_row(const Box *b, uint8_t *dst, const uint8_t *src)
{
    Grain u = b->unit;
    if (u.global == u.shared) {
        memcpy(dst + b->lo * u.shared, src, (b->hi - b->lo) * u.shared);
    } else {
        memset(dst + b->lo * u.shared, 0xff, (b->hi - b->lo) * u.shared);
        for (uint32_t i = b->lo; i < b->hi; i++, src += u.global)
            memcpy(dst + i * u.shared, src, u.global);
    }
    if (b->map->dtype == TMAP_TF32 || b->map->dtype == TMAP_TF32_FTZ)
        round_tf32(dst + b->lo * u.shared, (b->hi - b->lo) * u.shared);
}

static void shrink_row(const Box *b, uint8_t *dst, const uint8_t *src)
{
    Grain u = b->unit;
    if (u.global == u.shared) {
        memcpy(dst, src + b->lo * u.shared, (b->hi - b->lo) * u.shared);
        return;
    }
    for (uint32_t i = b->lo; i < b->hi; i++, dst += u.global)
        pack_b6(dst, src + i * u.shared);
}

/* ---- Loads ---- */

static bool load_box(Exec *x, Cta *cta, Async *as, Cta *to, Err *err)
{
    const TensorMap *m = &as->u.tma.map;
    Box b = async_box(as);
    Window win = window_of(x, &b);
    Swizzle s = map_swizzle(m);
    uint32_t at[MAX_RANK] = {0}, offset = as->u.tma.smem & CTA_OFFSET;
    uint8_t edge[MAX_ROW], outside[MAX_ROW];
    bool as_is = b.lo == 0 && b.hi == b.count[0] && b.unit.global == b.unit.shared &&
                 m->dtype != TMAP_TF32 && m->dtype != TMAP_TF32_FTZ;
    fill_row(m, outside, b.row_bytes);
    memcpy(edge, outside, b.row_bytes);
    for (uint32_t r = 0; r < b.rows; r++, offset += b.row_bytes, next_row(&b, at)) {
        const uint8_t *src = outside;
        if (row_inside(&b, at)) {
            src = row_memory(x, cta, as, &b, &win, at, err);
            if (!src)
                return false;
            if (!as_is) {
                expand_row(&b, edge, src);
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

static bool is_rows4(const XInsn *in)
{
    switch (in->ci->op) {
    case OP_CP_ASYNC_BULK_TENSOR_G2S_GATHER4:
    case OP_CP_ASYNC_BULK_TENSOR_S2G_SCATTER4:
    case OP_CP_ASYNC_BULK_PREFETCH_TENSOR_GATHER4:
        return true;
    default:
        return false;
    }
}

static bool check_map(ExecCtx *x, const XInsn *in, uint32_t lane, const TensorMap *m)
{
    uint32_t rank = in->ci->mod[MC_DIM] - MV_DIM_D1 + 1u;
    if (m->rank != rank)
        return exec_fault(x, in, (int)lane, "the tensor map has %u dimensions, the instruction %u",
                          m->rank, rank);
    Grain u = grain_of(m);
    uint64_t bytes = m->box[0] / u.elems * u.shared;
    if (m->interleave)
        return err_set(x->err, ERR_UNSUPPORTED, warp_code(x->w)->func->insns[in->ci->ptx].loc,
                       "tensor maps with an interleaved layout (%s) are not modelled",
                       m->interleave == TMAP_INTERLEAVE_16B ? "16B" : "32B");
    if (is_rows4(in) && m->box[1] != 1)
        return exec_fault(x, in, (int)lane,
                          "the box is %u rows high; gather4 and scatter4 take boxes of one row",
                          m->box[1]);
    if (m->box[0] % u.elems || bytes % CHUNK != 0 || bytes > MAX_ROW)
        return exec_fault(x, in, (int)lane,
                          "the tensor map's inner box is %llu bytes: must be a multiple of 16",
                          (unsigned long long)bytes);
    uint32_t span = tensor_map_swizzle_span(m->swizzle);
    if (span && bytes > span)
        return exec_fault(x, in, (int)lane,
                          "the tensor map's inner box of %llu bytes exceeds its %u-byte swizzle",
                          (unsigned long long)bytes, span);
    return true;
}

/* Coordinates, and the rule on the first: whole units, for loads at a multiple of 16 bytes. */
static bool read_coord(ExecCtx *x, const XInsn *in, uint32_t lane, const TensorMap *m, uint32_t k,
                       bool load, int32_t coord[MAX_RANK])
{
    uint32_t n = is_rows4(in) ? 1 + ROWS4 : m->rank;
    for (uint32_t d = 0; d < n; d++)
        coord[d] = (int32_t)opd_elem(x, opd(x->w, in, k), d, lane);
    Grain u = grain_of(m);
    int64_t bytes = coord[0] / (int32_t)u.elems * (int64_t)u.global;
    if (coord[0] % (int32_t)u.elems)
        return exec_fault(x, in, (int)lane, "coordinate %d is not a multiple of %u elements",
                          coord[0], u.elems);
    if (load && u.elems == 1 && bytes % CHUNK)
        return exec_fault(x, in, (int)lane,
                          "the box begins at element %d, %lld bytes from the tensor's first: must "
                          "be a multiple of 16 bytes",
                          coord[0], (long long)bytes);
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
    as->u.tma.rows4 = is_rows4(in);
    if (!read_coord(x, in, lane, m, map + 1, fn == load_async, as->u.tma.coord))
        return false;
    Box b = async_box(as);
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
        Box b = async_box(as);
        /* The mbarrier counts bytes of global memory: those that padding adds are none (CUTLASS:
         * sizeof_bits of the unpacksmem types; CuTe DSL: TensorMap.global_tx_bytes). */
        LoadSync s = {.bytes = b.rows * b.count[0] * b.unit.global,
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
    Box b = async_box(as);
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
            reduce_bytes(as->u.tma.redop, map_type(m), dst, src + b.lo * b.unit.shared,
                         (b.hi - b.lo) * b.unit.shared);
        else
            shrink_row(&b, dst, src);
    }
    return true;
}

static bool store_async(Exec *x, Cta *cta, Async *as, AsyncStep step, Err *err)
{
    if (step == ASYNC_DONE)
        return !as->stage || store_box(x, cta, as, as->stage, err);
    Box b = async_box(as);
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
        if (as->u.tma.map.dtype == TMAP_B4X16_P64)
            return exec_fault(x, in, (int)lane, "elements of type .b4x16_p64 are only loaded");
        Box b = async_box(as);
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
        if (!read_coord(x, in, lane, map, 1, true, coord))
            return false;
        Box b = box_of(map, coord, is_rows4(in));
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
