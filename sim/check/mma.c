/* tcgen05.mma: which granules of shared and tensor memory one reads and writes, whether they have
 * been written at all, and whether the descriptor's swizzle is that of TMA. The addresses are those
 * of research/ptx.md 3.3, worked out here a second time. */
#include "sim/check/core.h"
#include "sim/func/tc.h"

enum { ROWS = 256, CHUNK = 16, ADDR_MASK = 0x3ffff, LANES_LOW = 1, LANES_HIGH = 2, LANES_BOTH = 3 };

typedef struct SharedOperand { /* in the shared memory of one CTA */
    uint32_t rank, rows, row0, elem_bits, slice_k;
    bool mn;
    uint64_t desc;
    char name; /* 'A', 'B' */
} SharedOperand;

typedef struct Visit { /* what was found on the way */
    bool bad[ROWS];    /* rows with elements that were never written */
    uint32_t n_bad, n_rows;
    bool wrong_swizzle;
    uint8_t found; /* 1 + swizzle of TMA */
} Visit;

static void chunk(Checker *k, const SharedOperand *o, const Matrix *d, uint32_t at, const Act *a,
                  uint32_t row, uint32_t n_rows, Visit *s)
{
    uint32_t addr = (swizzle(at - d->base, d->swz) + d->base) & ADDR_MASK;
    Gran *g = shared_gran(k, o->rank << 24 | addr);
    if (!g)
        return;
    shadow_touch(k, g, REGION_ALL, a, (Spot){o->rank, addr / GRANULE, false});
    for (uint32_t r = row; g->valid != REGION_ALL && r < row + n_rows && r < ROWS; r++) {
        s->n_bad += !s->bad[r];
        s->bad[r] = true;
    }
    bool same = g->swizzle == 0 || g->swizzle - 1 == (int)d->swz ||
                (d->swz == SWZ_128_32A && g->swizzle - 1 == SWZ_128);
    if (!same) {
        s->wrong_swizzle = true;
        s->found = g->swizzle;
    }
}

static void visit(Checker *k, const SharedOperand *o, const Act *a, Visit *s)
{
    static const uint32_t widths[] = {16, 32, 64, 128, 128};
    Matrix d = matrix_of(o->desc);
    uint32_t width = widths[d.swz], bytes = o->rows * o->elem_bits / 8;
    bool plain = d.swz == SWZ_NONE;
    s->n_rows += o->rows;
    if (!o->mn) {
        for (uint32_t r = 0; r < o->rows; r++) {
            uint32_t at = d.start + r % 8 * width + r / 8 * d.sbo;
            chunk(k, o, &d, at, a, o->row0 + r, 1, s);
            chunk(k, o, &d, at + (plain ? d.lbo : CHUNK), a, o->row0 + r, 1, s);
        }
        return;
    }
    uint32_t group = d.swz == SWZ_128_32A ? 4 : 8, row_step = plain ? d.sbo : d.lbo,
             k_step = plain ? d.lbo : d.sbo;
    for (uint32_t j = 0; j < o->slice_k; j++)
        for (uint32_t b = 0; b < bytes; b += CHUNK)
            chunk(k, o, &d,
                  d.start + j % group * width + j / group * k_step + b % width +
                      b / width * row_step,
                  a, o->row0 + 8 * b / o->elem_bits, 8 * CHUNK / o->elem_bits, s);
}

/* ---- Findings ---- */

static const char *swizzle_words(uint32_t s)
{
    static const char *const words[] = {
        [SWZ_NONE] = "no swizzle",
        [SWZ_32] = "32B",
        [SWZ_64] = "64B",
        [SWZ_128] = "128B",
        [SWZ_128_32A] = "128B with 32B atoms",
        [SWZ_128_32A_FLIP] = "128B with 32B atoms and flipped halves",
        [SWZ_128_64A] = "128B with 64B atoms",
    };
    return words[s <= SWZ_128_64A ? s : SWZ_NONE];
}

static void judge(Checker *k, const Act *a, const SharedOperand *o, Visit *s)
{
    Matrix d = matrix_of(o->desc);
    if (s->wrong_swizzle) {
        Finding *f = finding_add(k, FK_SWIZZLE, a->warp, a->insn);
        finding_detail(k, f, "%c at shared offset 0x%x: the descriptor says %s, TMA wrote with %s",
                       o->name, d.start, swizzle_words(d.swz), swizzle_words(s->found - 1u));
    }
    if (s->n_bad && s->n_bad == s->n_rows) { /* no row is whole: not just padding */
        Finding *f = finding_add(k, FK_UNINIT_SHARED, a->warp, a->insn);
        finding_detail(k, f, "operand %c at shared offset 0x%x was not written", o->name, d.start);
        memset(s->bad, 0, sizeof s->bad);
        s->n_bad = 0;
    }
}

/* ---- One MMA ---- */

typedef struct Region { /* of D (or A) in tensor memory */
    uint32_t column, n, half;
} Region;

static void touch_region(Checker *k, uint32_t rank, const Region *r, const Act *a)
{
    for (uint32_t q = 0; q < TM_QUARTERS; q++)
        tmem_touch(k, rank, r->column, r->n, q, r->half, a);
}

static bool never_written(const CtaCheck *c, const Region *r)
{
    uint32_t any = 0;
    for (uint32_t j = r->column; j < r->column + r->n && j < TMEM_COLUMNS; j++)
        any |= c->tdef[j][0] | c->tdef[j][1] | c->tdef[j][2] | c->tdef[j][3];
    return !any;
}

/* Row of A that ends up in this lane, ROWS: none. */
static uint32_t row_of_lane(const Mma *t, bool cg2, uint32_t lane)
{
    if (t->rows == 128)
        return lane;
    if (cg2)
        return lane % 64;
    return lane % 32 < 16 ? lane / 32 * 16 + lane % 32 : ROWS;
}

/* D is defined where its row of A, its row of B and, when it accumulates, D itself are. */
static void define_d(CtaCheck *c, const Mma *t, bool cg2, const Region *d, bool accumulate,
                     const Visit *a, const Visit *b, uint32_t lanes_a[4])
{
    bool split = cg2 && t->rows == 64; /* lanes 64-127 hold columns N/2.. */
    uint32_t half = d->half == LANES_BOTH  ? FULL_MASK
                    : d->half == LANES_LOW ? 0xffffu
                                           : 0xffff0000u;
    uint32_t good[4];
    for (uint32_t q = 0; q < 4; q++) {
        good[q] = lanes_a[q];
        for (uint32_t l = 0; a->n_bad && l < 32; l++) {
            uint32_t row =
                row_of_lane(t, cg2, (32 * q + l) & (half == 0xffff0000u ? 0x6fu : 0x7fu));
            if (row < ROWS && a->bad[row])
                good[q] &= ~(1u << l);
        }
    }
    for (uint32_t j = 0; j < d->n && d->column + j < TMEM_COLUMNS; j++)
        for (uint32_t q = 0; q < 4; q++) {
            uint32_t n = split && q >= 2 ? j + d->n : j, *at = &c->tdef[d->column + j][q];
            uint32_t lanes = b->n_bad && n < ROWS && b->bad[n] ? 0 : good[q];
            *at = (*at & ~half) | (half & lanes & (accumulate ? *at : FULL_MASK));
        }
}

static void check_collector(Checker *k, CtaCheck *c, const Async *as, const XInsn *in, const Act *a)
{
    uint64_t now = 1 + (as->u.mma.a_in_tmem ? as->u.mma.a_tmem | UINT64_C(1) << 62 : as->u.mma.a);
    uint8_t mode = in->ci->mod[MC_COLL];
    if ((mode == MV_COLL_USE || mode == MV_COLL_LASTUSE) && c->collector != now) {
        Finding *f = finding_add(k, FK_COLLECTOR, a->warp, a->insn);
        finding_detail(k, f,
                       c->collector ? "the collector was filled with another A"
                                    : "nothing has filled the collector");
    }
    c->collector = mode == MV_COLL_FILL || mode == MV_COLL_USE ? now : 0;
}

/* Scale factors: a column of words for each 32 rows, in all quarters of the lanes. */
static void read_scales(Checker *k, uint32_t rank, const Async *as, const Mma *t, const Act *a)
{
    Region sfa = {as->u.mma.sfa & 0x1ff, (t->rows + 31) / 32, LANES_BOTH};
    Region sfb = {as->u.mma.sfb & 0x1ff, (t->n + 31) / 32, LANES_BOTH};
    if (!t->vec)
        return;
    for (uint32_t i = 0; i < 2; i++) {
        const Region *r = i ? &sfb : &sfa;
        touch_region(k, rank, r, a);
        if (!never_written(&k->ctas[rank], r))
            continue;
        Finding *f = finding_add(k, FK_UNINIT_TMEM, a->warp, a->insn);
        finding_object(k, f, "scale factors of %c, tensor memory columns %u-%u", i ? 'B' : 'A',
                       r->column, r->column + r->n - 1);
    }
}

static void one_mma(Checker *k, const ExecCtx *x, const XInsn *in, const Async *as)
{
    bool cg2 = as->u.mma.cg2;
    Mma t = mma_of(as->u.mma.idesc, as->u.mma.kind, as->u.mma.svec, cg2);
    uint32_t rank = x->cta->rank, first = cg2 ? rank & ~1u : rank, n_ctas = cg2 ? 2 : 1;
    Act reads = act_async(k, x->w, in, AK_TC, ACC_ASYNC), writes = reads;
    writes.flags |= ACC_WRITE;
    Visit b = {0};
    uint32_t rows_b = t.n / n_ctas;
    check_collector(k, &k->ctas[rank], as, in, &reads);
    for (uint32_t i = 0; i < n_ctas && first + i < k->n_ctas; i++) {
        SharedOperand o = {first + i, rows_b, i * rows_b,  t.elem_bits,
                           t.slice_k, t.b_mn, as->u.mma.b, 'B'};
        visit(k, &o, &reads, &b);
        judge(k, &reads, &o, &b);
    }
    for (uint32_t i = 0; i < n_ctas && first + i < k->n_ctas; i++) {
        CtaCheck *c = &k->ctas[first + i];
        bool f64 = !cg2 && t.m == 64, split = cg2 && t.m == 128;
        uint32_t half = !f64 ? LANES_BOTH : as->u.mma.d >> 16 & 16 ? LANES_HIGH : LANES_LOW;
        Region d = {as->u.mma.d & 0x1ff, split ? t.n / 2 : t.n, half};
        uint32_t lanes_a[4] = {FULL_MASK, FULL_MASK, FULL_MASK, FULL_MASK};
        Visit a = {0};
        if (as->u.mma.a_in_tmem) {
            Region r = {as->u.mma.a_tmem & 0x1ff, TC_SLICE_BYTES / 4, half};
            touch_region(k, first + i, &r, &reads);
            for (uint32_t j = 0; j < r.n && r.column + j < TMEM_COLUMNS; j++)
                for (uint32_t q = 0; q < 4; q++)
                    lanes_a[q] &= c->tdef[r.column + j][q];
            if (split) /* rows 0-63 give lanes 64-127 too */
                memcpy(lanes_a + 2, lanes_a, 2 * sizeof *lanes_a);
        } else {
            SharedOperand o = {first + i, t.rows, 0,           t.elem_bits,
                               t.slice_k, t.a_mn, as->u.mma.a, 'A'};
            visit(k, &o, &reads, &a);
            judge(k, &reads, &o, &a);
        }
        read_scales(k, first + i, as, &t, &reads);
        bool fresh = as->u.mma.accumulate && never_written(c, &d);
        if (fresh) {
            Finding *f = finding_add(k, FK_UNINIT_ACC, writes.warp, writes.insn);
            finding_object(k, f, "tensor memory columns %u-%u", d.column, d.column + d.n - 1);
        }
        touch_region(k, first + i, &d, &writes);
        define_d(c, &t, cg2, &d, as->u.mma.accumulate && !fresh, &a, &b, lanes_a);
    }
}

void mma_issued(Checker *k, const ExecCtx *x, const XInsn *in)
{
    for (uint32_t i = 0; i < x->n_ops; i++)
        if (x->ops[i].kind == OK_MMA && x->ops[i].handle)
            one_mma(k, x, in, &x->cta->async->records[x->ops[i].handle]);
}

/* ---- cp, shift ---- */

static void one_cp(Checker *k, const ExecCtx *x, const XInsn *in, const Async *as)
{
    enum { SHIFT_COLUMNS = 8, LANES4 = 4 };
    static const uint8_t rows[] = {
        [MV_CPSHAPE_S128X256B] = 128, [MV_CPSHAPE_S4X256B] = LANES4, [MV_CPSHAPE_S128X128B] = 128,
        [MV_CPSHAPE_S64X128B] = 64,   [MV_CPSHAPE_S32X128B] = 32,
    };
    bool wide = as->u.cp.shape == MV_CPSHAPE_S128X256B || as->u.cp.shape == MV_CPSHAPE_S4X256B;
    uint32_t first = as->u.cp.cg2 ? x->cta->rank & ~1u : x->cta->rank;
    Act reads = act_async(k, x->w, in, AK_TC, ACC_ASYNC), writes = reads;
    writes.flags |= ACC_WRITE;
    for (uint32_t i = first; i < first + (as->u.cp.cg2 ? 2u : 1u) && i < k->n_ctas; i++) {
        Region r = {as->u.cp.taddr & 0x1ff, as->u.cp.is_shift || wide ? SHIFT_COLUMNS : 4,
                    LANES_BOTH};
        Matrix d = matrix_of(as->u.cp.sdesc);
        SharedOperand o = {.rank = i, .desc = as->u.cp.sdesc, .name = 'S'};
        Visit seen = {0};
        static const uint32_t widths[] = {16, 32, 64, 128, 128};
        for (uint32_t row = 0; !as->u.cp.is_shift && row < rows[as->u.cp.shape]; row++)
            for (uint32_t b = 0; b < (wide ? 2u : 1u); b++)
                chunk(k, &o, &d,
                      d.start + row % 8 * widths[d.swz] + row / 8 * d.sbo +
                          b * (d.swz == SWZ_NONE ? d.lbo : CHUNK),
                      &reads, row, 1, &seen);
        seen.n_rows = rows[as->u.cp.shape];
        if (!as->u.cp.is_shift)
            judge(k, &reads, &o, &seen);
        touch_region(k, i, &r, &writes);
        for (uint32_t j = r.column; !as->u.cp.is_shift && j < r.column + r.n && j < TMEM_COLUMNS;
             j++)
            memset(k->ctas[i].tdef[j], 0xff, sizeof k->ctas[i].tdef[j]);
    }
}

void cp_issued(Checker *k, const ExecCtx *x, const XInsn *in)
{
    for (uint32_t i = 0; i < x->n_ops; i++)
        if (x->ops[i].kind == OK_TMEM_CP && x->ops[i].handle)
            one_cp(k, x, in, &x->cta->async->records[x->ops[i].handle]);
}
