/* tcgen05.cp and tcgen05.shift: asynchronous, in the queue of tcgen05.mma. What pends of MMAs is
 * performed first, so a copy never overtakes one that reads or writes the same columns.
 *
 * A copy moves rows of 128 or 256 bits of a K-major matrix in shared memory to lanes of tensor
 * memory, with cta_group::2 in both CTAs of the pair, each from its own memory to its own. Source:
 * PTX ISA 9.7.16.9; research/ptx.md 3.5. */
#include "sim/func/tc.h"

enum { SHIFT_COLUMNS = 8 /* 32 bytes */, SHIFT_LANES = 32, MAX_CP_BYTES = 128 * 32 };

typedef struct CpShape {
    uint32_t rows, bytes; /* bytes of a row */
} CpShape;

static CpShape cp_shape(uint32_t shape)
{
    static const CpShape shapes[] = {
        [MV_CPSHAPE_S128X256B] = {128, 32}, [MV_CPSHAPE_S4X256B] = {4, 32},
        [MV_CPSHAPE_S128X128B] = {128, 16}, [MV_CPSHAPE_S64X128B] = {64, 16},
        [MV_CPSHAPE_S32X128B] = {32, 16},
    };
    return shapes[shape];
}

/* The lanes that row r goes to. */
static uint32_t cp_lanes(uint32_t shape, uint32_t multicast, uint32_t r, uint32_t lanes[4])
{
    if (shape == MV_CPSHAPE_S4X256B) {
        lanes[0] = 32 * r;
        return 1;
    }
    lanes[0] = r;
    switch (multicast) {
    case MV_CPMC_WARPX2_02_13:
        lanes[1] = r + 64;
        return 2;
    case MV_CPMC_WARPX2_01_23:
        lanes[0] = r < 32 ? r : r + 32;
        lanes[1] = lanes[0] + 32;
        return 2;
    case MV_CPMC_WARPX4:
        for (uint32_t q = 0; q < 4; q++)
            lanes[q] = r + 32 * q;
        return 4;
    default:
        return 1;
    }
}

/* 4- and 6-bit elements to containers of 8 bits, as tcgen05.mma reads them from tensor memory: e2m1
 * in the middle four bits (assumed, see tc_operand.c). */
static void decompress(uint8_t *p, uint32_t bytes, uint32_t format)
{
    if (!format)
        return;
    bool four = format == MV_SRCFMT_B4X16_P64;
    unpack_units(p, bytes, four ? 4 : 6);
    for (uint32_t i = 0; four && i < bytes; i++)
        p[i] = (uint8_t)(p[i] << 2);
}

static bool copy(Exec *x, Cta *from, Cta *c, const Async *as, Err *err)
{
    uint8_t data[MAX_CP_BYTES];
    CpShape s = cp_shape(as->u.cp.shape);
    Matrix m = matrix_of(as->u.cp.sdesc);
    uint32_t column = as->u.cp.taddr & 0x1ff, lane0 = as->u.cp.taddr >> 16 & 0x7f;
    if (!gather_k_major(c, &m, s.rows, s.bytes, data, s.bytes))
        return async_fault(x, from, as, err,
                           "tcgen05.cp: the matrix at shared offset 0x%x reaches beyond the CTA's "
                           "%u bytes of shared memory",
                           m.start, c->shared_bytes);
    decompress(data, s.rows * s.bytes, as->u.cp.format);
    for (uint32_t r = 0; r < s.rows; r++) {
        uint32_t lanes[4], n = cp_lanes(as->u.cp.shape, as->u.cp.multicast, r, lanes);
        for (uint32_t w = 0; w < s.bytes / 4; w++)
            for (uint32_t i = 0; i < n; i++)
                memcpy(&c->tmem[column + w][lane0 + lanes[i]], data + r * s.bytes + 4 * w, 4);
    }
    return true;
}

/* Rows 0 to 30 of the 32 move to the next lane; what the last had is gone, the first keeps its own
 * ("downwards across all the rows, except the last": PTX ISA 9.7.16.9.3 has no figure). */
static void shift(Cta *c, uint32_t taddr)
{
    uint32_t column = taddr & 0x1ff, lane = taddr >> 16 & 0x7f;
    for (uint32_t w = 0; w < SHIFT_COLUMNS; w++)
        memmove(&c->tmem[column + w][lane + 1], &c->tmem[column + w][lane],
                (SHIFT_LANES - 1) * sizeof(uint32_t));
}

/* The CTAs whose tensor memory the operation touches. */
static uint32_t targets(Cta *cta, bool cg2, Cta *out[2])
{
    out[0] = cg2 ? cluster_cta(cta, cta->rank & ~1u) : cta;
    out[1] = cg2 ? cluster_cta(cta, cta->rank | 1u) : NULL;
    return cg2 ? 2 : 1;
}

static bool cp_async(Exec *x, Cta *cta, Async *as, AsyncStep step, Err *err)
{
    Cta *to[2];
    if (step != ASYNC_DONE)
        return true;
    if (!tc_flush(x, cta, err))
        return false;
    for (uint32_t n = targets(cta, as->u.cp.cg2, to), i = 0; i < n; i++) {
        if (as->u.cp.is_shift)
            shift(to[i], as->u.cp.taddr);
        else if (!copy(x, cta, to[i], as, err))
            return false;
    }
    return true;
}

static bool check_target(ExecCtx *x, const XInsn *in, uint32_t lane, const Async *as, uint32_t n)
{
    Cta *to[2];
    uint32_t column = as->u.cp.taddr & 0xffff;
    for (uint32_t c = targets(x->cta, as->u.cp.cg2, to), i = 0; i < c; i++) {
        if (!to[i])
            return exec_fault(x, in, (int)lane, "cta_group::2 outside a cluster of CTA pairs");
        if (!tmem_owned(to[i], column, n))
            return exec_fault(x, in, (int)lane,
                              "tensor memory columns %u..%u are not all allocated", column,
                              column + n - 1);
    }
    return true;
}

static void emit_cp(ExecCtx *x, const Async *as, uint32_t bytes)
{
    Op *o = emit(x, OK_TMEM_CP);
    o->bytes = bytes;
    o->handle = as->handle;
    if (as->u.cp.cg2)
        o->flags |= OPF_PAIR;
}

/* tcgen05.cp [taddr], s */
static bool dyn_cp(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    CpShape s = cp_shape(in->ci->mod[MC_CPSHAPE]);
    /* Rows of four lanes may start at any lane of a quarter, the others fill the lanes. */
    uint32_t last_lane = in->ci->mod[MC_CPSHAPE] == MV_CPSHAPE_S4X256B ? 31 : 0;
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m);
        Async *as = start_async(x, in, cp_async);
        if (!as)
            return false;
        as->u.cp.taddr = (uint32_t)opd_addr(x->w, opd(x->w, in, 0), lane);
        as->u.cp.sdesc = opd_u64(x->w, opd(x->w, in, 1), lane);
        as->u.cp.shape = in->ci->mod[MC_CPSHAPE];
        as->u.cp.multicast = in->ci->mod[MC_CPMC];
        as->u.cp.format = in->ci->mod[MC_SRCFMT];
        as->u.cp.cg2 = in->ci->mod[MC_CG] == MV_CG_TWO;
        const char *bad = sdesc_trouble(as->u.cp.sdesc);
        if (bad)
            return exec_fault(x, in, (int)lane, "matrix descriptor 0x%016llx: %s",
                              (unsigned long long)as->u.cp.sdesc, bad);
        uint32_t to_lane = as->u.cp.taddr >> 16 & 0x7f;
        if (to_lane > last_lane)
            return exec_fault(x, in, (int)lane, "tcgen05.cp to TMEM lane %u: it starts at lane 0%s",
                              to_lane, last_lane ? " to 31" : "");
        if (!check_target(x, in, lane, as, s.bytes / 4))
            return false;
        emit_cp(x, as, s.rows * s.bytes);
    }
    return true;
}

/* tcgen05.shift.down [taddr] */
static bool dyn_shift(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m);
        Async *as = start_async(x, in, cp_async);
        if (!as)
            return false;
        as->u.cp.taddr = (uint32_t)opd_addr(x->w, opd(x->w, in, 0), lane);
        as->u.cp.is_shift = true;
        as->u.cp.cg2 = in->ci->mod[MC_CG] == MV_CG_TWO;
        if ((as->u.cp.taddr >> 16 & 0x7f) % SHIFT_LANES != 0)
            return exec_fault(x, in, (int)lane,
                              "tcgen05.shift at TMEM lane %u: must be a multiple of 32",
                              as->u.cp.taddr >> 16 & 0x7f);
        if (!check_target(x, in, lane, as, SHIFT_COLUMNS))
            return false;
        emit_cp(x, as, 0);
    }
    return true;
}

BIND_DYN(tcgen05_cp, dyn_cp)
BIND_DYN(tcgen05_shift, dyn_shift)
