/* Tensor memory as warps see it: allocation, tcgen05.ld, tcgen05.st.
 *
 * A load copies registers when it issues: the register dependence alone protects its consumers
 * (research/ptx.md 0, item 3), and the time core says when they are ready. A store captures its
 * registers at issue and writes when the driver says that it is done; if the staging ring is full
 * it writes at once, which is legal too.
 *
 * Tensor memory is [column][lane], so that a register of shape 32x32b is 32 consecutive words.
 * Source: PTX ISA 9.7.16.7, 9.7.16.8; research/ptx.md 3.1, 3.4. */
#include "sim/func/engine.h"

enum { MIN_ALLOC = 32, HALF_LANES = 16, QUARTER_LANES = 32 };

bool tmem_owned(const Cta *cta, uint32_t column, uint32_t n)
{
    if (column + n > TMEM_COLUMNS || n == 0)
        return false;
    for (uint32_t g = column / TMEM_GRANULE; g <= (column + n - 1) / TMEM_GRANULE; g++)
        if (!(cta->async->tmem_live >> g & 1))
            return false;
    return true;
}

/* ---- Allocation: the driver owns the allocator ---- */

static uint32_t granules(uint32_t column, uint32_t columns)
{
    uint32_t n = columns / TMEM_GRANULE;
    return ((1u << n) - 1) << column / TMEM_GRANULE;
}

void tmem_alloc_finish(Cta *cta, uint32_t warp, uint32_t column)
{
    AsyncPool *p = cta->async;
    memcpy(cta->shared + (p->alloc_dst[warp] & 0xffffff), &column, sizeof column);
    p->tmem_live = (uint16_t)(p->tmem_live | granules(column, p->alloc_columns[warp]));
}

static bool check_columns(ExecCtx *x, const XInsn *in, uint32_t n)
{
    if (n >= MIN_ALLOC && n <= TMEM_COLUMNS && (n & (n - 1)) == 0)
        return true;
    return exec_fault(x, in, -1, "%u columns of tensor memory: must be a power of two, 32 to 512",
                      n);
}

/* tcgen05.alloc [d], n */
static bool dyn_alloc(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    uint32_t lane = first_lane(mask), n = opd_u32(x, opd(x->w, in, 1), lane);
    uint64_t dst = opd_shared(x, opd(x->w, in, 0), lane);
    Cta *owner;
    if (!check_columns(x, in, n) || !shared_at(x, in, (int)lane, dst, 4, 4, &owner))
        return false;
    if (owner != x->cta)
        return exec_fault(x, in, (int)lane,
                          "tcgen05.alloc writes its address to another CTA's shared memory");
    if (x->cta->async->relinquished)
        return exec_fault(x, in, -1,
                          "tcgen05.alloc after tcgen05.relinquish_alloc_permit in the same CTA");
    if (in->ci->mod[MC_CG] == MV_CG_TWO && !cluster_cta(x->cta, x->cta->rank ^ 1))
        return exec_fault(x, in, -1, "cta_group::2 outside a cluster of CTA pairs");
    x->cta->async->alloc_dst[x->w->id] = (uint32_t)dst;
    x->cta->async->alloc_columns[x->w->id] = n;
    Op *o = emit(x, OK_TMEM_ALLOC);
    o->arg0 = n;
    if (in->ci->mod[MC_CG] == MV_CG_TWO)
        o->flags |= OPF_PAIR;
    return true;
}

/* tcgen05.dealloc taddr, n */
static bool dyn_dealloc(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    uint32_t lane = first_lane(mask), taddr = opd_u32(x, opd(x->w, in, 0), lane);
    uint32_t n = opd_u32(x, opd(x->w, in, 1), lane), column = taddr & 0xffff;
    if (!check_columns(x, in, n) || !tc_flush(x->exec, x->cta, x->err))
        return false;
    if (column % TMEM_GRANULE != 0 || !tmem_owned(x->cta, column, n))
        return exec_fault(x, in, (int)lane,
                          "tcgen05.dealloc of columns %u..%u, which are not all allocated", column,
                          column + n - 1);
    x->cta->async->tmem_live = (uint16_t)(x->cta->async->tmem_live & ~granules(column, n));
    Op *o = emit(x, OK_TMEM_DEALLOC);
    o->arg0 = n;
    o->arg1 = column;
    if (in->ci->mod[MC_CG] == MV_CG_TWO)
        o->flags |= OPF_PAIR;
    return true;
}

static bool dyn_relinquish(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    (void)in;
    (void)mask;
    x->cta->async->relinquished = true;
    emit(x, OK_TMEM_RELINQUISH);
    return true;
}

/* ---- Shapes ---- */

typedef struct Shape {
    uint8_t regs, columns, lanes; /* per .x1; lanes of one warp's access */
} Shape;

static const Shape shapes[] = {
    [MV_TSHAPE_S32X32B] = {1, 1, 32},   [MV_TSHAPE_S16X64B] = {1, 2, 16},
    [MV_TSHAPE_S16X128B] = {2, 4, 16},  [MV_TSHAPE_S16X256B] = {4, 8, 16},
    [MV_TSHAPE_S16X32BX2] = {1, 1, 16},
};

/* Where register r of thread t lies, relative to the address: ptx.md 3.4. half: columns to the
 * second half of 16x32bx2. */
static inline void locate(uint32_t shape, uint32_t t, uint32_t r, uint32_t half, uint32_t *lane,
                          uint32_t *column)
{
    switch (shape) {
    case MV_TSHAPE_S16X64B:
        *lane = t / 4 + 8 * (t % 2);
        *column = t / 2 % 2 + 2 * r;
        break;
    case MV_TSHAPE_S16X128B:
        *lane = t / 4 + 8 * (r % 2);
        *column = t % 4 + 4 * (r / 2);
        break;
    case MV_TSHAPE_S16X256B:
        *lane = t / 4 + 8 * (r / 2 % 2);
        *column = 2 * (t % 4) + r % 2 + 8 * (r / 4);
        break;
    case MV_TSHAPE_S16X32BX2:
        *lane = t % 16;
        *column = r + half * (t / 16);
        break;
    default:
        *lane = t;
        *column = r;
        break;
    }
}

typedef struct Access { /* of one warp */
    uint32_t taddr, shape, regs, half, columns, mask;
    bool pack; /* a register holds the low halves of two neighbouring columns */
} Access;

static bool check_access(ExecCtx *x, const XInsn *in, const Access *a)
{
    uint32_t lane = a->taddr >> 16, column = a->taddr & 0xffff,
             quarter = x->w->id % 4 * QUARTER_LANES;
    bool upper = shapes[a->shape].lanes == HALF_LANES && lane == quarter + HALF_LANES;
    if (lane != quarter && !upper)
        return exec_fault(x, in, -1,
                          "tensor memory lane %u: warp %u may access lanes %u to %u only", lane,
                          x->w->id, quarter, quarter + QUARTER_LANES - 1);
    if (column + a->columns > TMEM_COLUMNS)
        return exec_fault(x, in, -1, "tensor memory columns %u to %u: there are %d", column,
                          column + a->columns - 1, TMEM_COLUMNS);
    if (!tmem_owned(x->cta, column, a->columns))
        return exec_fault(x, in, -1, "tensor memory columns %u to %u are not all allocated", column,
                          column + a->columns - 1);
    return true;
}

/* at: operand number of the address; the immediate of 16x32bx2 follows it. */
static Access access_of(const ExecCtx *x, const XInsn *in, uint32_t at, uint32_t mask)
{
    uint32_t num = 1u << (in->ci->mod[MC_NUM] - MV_NUM_X1), lane = first_lane(mask);
    Access a = {.taddr = warp_taddr(x->w, (uint32_t)opd_addr(x->w, opd(x->w, in, at), lane)),
                .shape = in->ci->mod[MC_TSHAPE],
                .mask = mask,
                .pack = in->ci->mod[MC_PACK16] != 0};
    if (a.shape == MV_TSHAPE_S16X32BX2)
        a.half = opd_u32(x, opd(x->w, in, at + 1), lane);
    a.regs = shapes[a.shape].regs * num;
    a.columns = shapes[a.shape].columns * num + a.half;
    if (a.pack)
        a.columns *= 2;
    return a;
}

static void emit_tmem(ExecCtx *x, const Access *a, uint32_t handle)
{
    Op *o = emit(x, OK_TMEM);
    o->bytes = a->regs * WARP * 4;
    o->arg0 = a->columns;
    o->handle = handle;
}

/* ---- ld ---- */

static void load_register(const Cta *c, const Access *a, uint32_t r, uint32_t *d)
{
    uint32_t lane0 = a->taddr >> 16, column0 = a->taddr & 0xffff;
    if (a->shape == MV_TSHAPE_S32X32B && !a->pack && a->mask == FULL_MASK) {
        memcpy(d, &c->tmem[column0 + r][lane0], WARP * 4);
        return;
    }
    for (uint32_t t = 0; t < WARP; t++) {
        uint32_t lane, column;
        if (!(a->mask >> t & 1))
            continue;
        locate(a->shape, t, r, a->half, &lane, &column);
        if (a->pack)
            d[t] = (c->tmem[column0 + 2 * column][lane0 + lane] & 0xffff) |
                   c->tmem[column0 + 2 * column + 1][lane0 + lane] << 16;
        else
            d[t] = c->tmem[column0 + column][lane0 + lane];
    }
}

/* tcgen05.ld {d}, [taddr]{, half} */
static bool dyn_ld(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Access a = access_of(x, in, 1, mask);
    if (!check_access(x, in, &a) || !tc_flush(x->exec, x->cta, x->err))
        return false;
    const CodeOpd *d = opd(x->w, in, 0);
    for (uint32_t r = 0; r < a.regs; r++)
        load_register(x->cta, &a, r, opd_row(x->w, d, r));
    emit_tmem(x, &a, 0);
    return true;
}

/* ---- st ---- */

static void store_register(Cta *c, const Access *a, uint32_t r, const uint32_t *s)
{
    uint32_t lane0 = a->taddr >> 16, column0 = a->taddr & 0xffff;
    if (a->shape == MV_TSHAPE_S32X32B && !a->pack && a->mask == FULL_MASK) {
        memcpy(&c->tmem[column0 + r][lane0], s, WARP * 4);
        return;
    }
    for (uint32_t t = 0; t < WARP; t++) {
        uint32_t lane, column;
        if (!(a->mask >> t & 1))
            continue;
        locate(a->shape, t, r, a->half, &lane, &column);
        if (a->pack) { /* the upper half of each word: assumed zero */
            c->tmem[column0 + 2 * column][lane0 + lane] = s[t] & 0xffff;
            c->tmem[column0 + 2 * column + 1][lane0 + lane] = s[t] >> 16;
        } else {
            c->tmem[column0 + column][lane0 + lane] = s[t];
        }
    }
}

static bool st_async(Exec *x, Cta *cta, Async *as, AsyncStep step, Err *err)
{
    if (step != ASYNC_DONE || !as->u.st.data)
        return true;
    if (!tc_flush(x, cta, err))
        return false;
    Access a = {.taddr = as->u.st.taddr,
                .shape = as->u.st.shape,
                .regs = as->u.st.n,
                .half = as->u.st.imm,
                .mask = as->u.st.mask,
                .pack = as->u.st.pack};
    for (uint32_t r = 0; r < a.regs; r++)
        store_register(cta, &a, r, as->u.st.data + r * WARP);
    return true;
}

/* tcgen05.st [taddr]{, half}, {b} */
static bool dyn_st(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Access a = access_of(x, in, 0, mask);
    if (!check_access(x, in, &a))
        return false;
    Async *as = start_async(x, in, st_async);
    if (!as)
        return false;
    const CodeOpd *b = opd(x->w, in, 2);
    as->u.st.taddr = a.taddr;
    as->u.st.shape = a.shape;
    as->u.st.n = a.regs;
    as->u.st.imm = a.half;
    as->u.st.mask = mask;
    as->u.st.pack = a.pack;
    as->stage = stage_take(&x->cta->async->stage, a.regs * WARP * 4);
    as->u.st.data = (uint32_t *)(void *)as->stage;
    if (!as->stage && !tc_flush(x->exec, x->cta, x->err))
        return false;
    for (uint32_t r = 0; r < a.regs; r++) {
        if (as->stage)
            memcpy(as->u.st.data + r * WARP, opd_row(x->w, b, r), WARP * 4);
        else
            store_register(x->cta, &a, r, opd_row(x->w, b, r));
    }
    emit_tmem(x, &a, as->handle);
    return true;
}

static bool dyn_wait_st(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    (void)in;
    (void)mask;
    emit(x, OK_WAIT_ST);
    return true;
}

/* ---- Binding ---- */

BIND_DYN(tcgen05_alloc, dyn_alloc)
BIND_DYN(tcgen05_dealloc, dyn_dealloc)
BIND_DYN(tcgen05_relinquish, dyn_relinquish)
BIND_DYN(tcgen05_ld, dyn_ld)
BIND_DYN(tcgen05_st, dyn_st)
BIND_DYN(tcgen05_wait_st, dyn_wait_st)
