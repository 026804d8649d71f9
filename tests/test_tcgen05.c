/* tcgen05: matrix products against a naive product whose operands are laid out element by element,
 * ld and st against the inverse of the manual's tables. Values of the products are small integers,
 * exact in any order. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "tests/func_kit.h"
#include "tests/tc_layout.h"

enum { A_AT = 8192, B_AT = 8192 + 65536, D_COL = 64, A_COL = 448, MAX_K = 256 };

static Kit kit;

static void open_kit(void)
{
    kit_open(&kit, 2, 4, false);
}

static void close_kit(void)
{
    kit_close(&kit);
}

/* ---- A product ---- */

typedef struct Problem {
    uint32_t m, n, k; /* of the whole operation */
    Tile a, b;        /* of one CTA */
    bool ts, cg2, bf16, neg_a, neg_b, accumulate, d_f16;
    float av[256][MAX_K], bv[256][MAX_K], dv[256][256]; /* operands, and D before */
} Problem;

static Problem p;

static uint32_t half_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    if (p.bf16)
        return u >> 16;
    return x == 0 ? 0
                  : (u >> 16 & 0x8000) | (((u >> 23 & 0xff) - 127 + 15) << 10) | (u >> 13 & 0x3ff);
}

static float f32_of(uint32_t u)
{
    float x;
    memcpy(&x, &u, 4);
    return x;
}

static uint32_t bits_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    return u;
}

static float small(void)
{
    return (float)(rand() % 9 - 4);
}

static uint32_t d_lane(uint32_t row, uint32_t j)
{
    if (!p.cg2)
        return p.m == 64 ? row % 16 + row / 16 * 32 : row;
    return p.m == 256 ? row % 128 : row % 64 + (j < p.n / 2 ? 0 : 64);
}

static uint32_t d_col(uint32_t j)
{
    return D_COL + (p.cg2 && p.m == 128 ? j % (p.n / 2) : j);
}

static uint32_t *d_word(uint32_t row, uint32_t j)
{
    uint32_t cta = p.cg2 ? row / (p.m / 2) : 0;
    return &kit.x->ctas[cta].tmem[d_col(j)][d_lane(row, j)];
}

static void put_half(const Tile *t, Cta *c, uint32_t r, uint32_t k, float x)
{
    uint16_t h = (uint16_t)half_bits(x);
    memcpy(c->shared + place(t, r, k), &h, 2);
}

static void fill(void)
{
    uint32_t ctas = p.cg2 ? 2 : 1, rows = p.m / ctas, cols = p.n / ctas;
    for (uint32_t c = 0; c < 2; c++) {
        memset(kit.x->ctas[c].shared, 0xff, SHARED_MAX);
        memset(kit.x->ctas[c].tmem, 0xff, 512 * 128 * 4);
    }
    for (uint32_t k = 0; k < p.k; k++) {
        for (uint32_t i = 0; i < p.m; i++) {
            Cta *c = &kit.x->ctas[i / rows];
            uint32_t r = i % rows, lane = !p.cg2 && p.m == 64 ? r % 16 + r / 16 * 32 : r;
            float x = p.av[i][k] = small();
            if (p.ts) {
                uint16_t h = (uint16_t)half_bits(x);
                memcpy((uint8_t *)&c->tmem[A_COL + k / 2][lane] + k % 2 * 2, &h, 2);
                if (p.cg2 && p.m == 128) /* layout B multiplies in both halves of the lanes */
                    memcpy((uint8_t *)&c->tmem[A_COL + k / 2][lane + 64] + k % 2 * 2, &h, 2);
            } else {
                put_half(&p.a, c, r, k, x);
            }
        }
        for (uint32_t j = 0; j < p.n; j++)
            put_half(&p.b, &kit.x->ctas[j / cols], j % cols, k, p.bv[j][k] = small());
    }
    for (uint32_t i = 0; i < p.m; i++)
        for (uint32_t j = 0; j < p.n; j++)
            if (p.accumulate)
                *d_word(i, j) = bits_of(p.dv[i][j] = small());
}

static uint32_t idesc(void)
{
    uint32_t type = p.bf16 ? 1 : 0;
    return (p.d_f16 ? 0u : 1u << 4) | type << 7 | type << 10 | (uint32_t)p.neg_a << 13 |
           (uint32_t)p.neg_b << 14 | (uint32_t)(p.a.mn && !p.ts) << 15 | (uint32_t)p.b.mn << 16 |
           p.n / 8 << 17 | p.m / 16 << 24;
}

static void begin_mma(uint32_t slice)
{
    kit_begin(&kit, p.ts ? OP_TCGEN05_MMA_TS : OP_TCGEN05_MMA);
    kit.now.mod[MC_KIND] = MV_KIND_F16;
    kit.now.mod[MC_CG] = p.cg2 ? MV_CG_TWO : MV_CG_ONE;
    kit_mem32(&kit, D_COL);
    if (p.ts)
        kit_mem32(&kit, A_COL + 8 * slice);
    else
        kit_u64(&kit, descriptor(&p.a, slice));
    kit_u64(&kit, descriptor(&p.b, slice));
    kit_u32(&kit, idesc());
}

static void issue_mma(uint32_t slice)
{
    begin_mma(slice);
    kit_none(&kit);
    kit_pred(&kit, slice > 0 || p.accumulate ? PRED_TRUE : PRED_FALSE);
    kit_none(&kit);
    ck_assert_msg(kit_exec(&kit, exec_tcgen05_mma, 0, 0, 1), "%s", kit.err.msg);
    ck_assert_msg(kit_finish(&kit, 0), "%s", kit.err.msg);
}

static void flush(void)
{
    ck_assert_msg(tc_flush(kit.x, &kit.x->ctas[0], &kit.err), "%s", kit.err.msg);
}

static void check_product(void)
{
    for (uint32_t i = 0; i < p.m; i++)
        for (uint32_t j = 0; j < p.n; j++) {
            double want = p.accumulate ? (double)p.dv[i][j] : 0;
            for (uint32_t k = 0; k < p.k; k++)
                want += (double)p.av[i][k] * (double)p.bv[j][k] * (p.neg_a != p.neg_b ? -1 : 1);
            float got = f32_of(*d_word(i, j));
            ck_assert_msg(
                (double)got == want,
                "D[%u][%u] = %g, not %g: m %u n %u k %u a.mn %d b.mn %d widths %u %u ts %d", i, j,
                (double)got, want, p.m, p.n, p.k, p.a.mn, p.b.mn, p.a.width, p.b.width, p.ts);
        }
    for (uint32_t l = 0; l < 128; l++) {
        ck_assert_uint_eq(kit.x->ctas[0].tmem[D_COL - 1][l], UINT32_MAX);
        uint32_t end = D_COL + (p.cg2 && p.m == 128 ? p.n / 2 : p.n);
        ck_assert_uint_eq(kit.x->ctas[0].tmem[end][l], UINT32_MAX);
    }
}

static void set_tiles(uint32_t wa, bool mna, uint32_t wb, bool mnb)
{
    uint32_t ctas = p.cg2 ? 2 : 1;
    p.a = (Tile){.at = A_AT, .rows = p.m / ctas, .k = p.k, .width = wa, .mn = mna, .size = 2};
    p.b = (Tile){.at = B_AT, .rows = p.n / ctas, .k = p.k, .width = wb, .mn = mnb, .size = 2};
}

static void run_problem(void)
{
    fill();
    for (uint32_t s = 0; s < p.k / 16; s++)
        issue_mma(s);
    flush();
    check_product();
}

static const uint32_t widths[4] = {0, 32, 64, 128};

START_TEST(every_major_and_swizzle_of_both_operands)
{
    srand((unsigned)_i);
    memset(&p, 0, sizeof p);
    for (uint32_t w = 0; w < 16; w++) {
        p.m = _i & 1 ? 64 : 128;
        p.n = w % 3 == 0 ? 24 : w % 3 == 1 ? 64 : 136;
        p.k = 16 * (1 + w % 5);
        p.bf16 = w % 2;
        p.accumulate = w % 4 < 2;
        p.neg_a = w == 5;
        p.neg_b = w == 6;
        bool mna = _i & 2, mnb = _i & 4;
        set_tiles(widths[w % 4], mna, widths[w / 4], mnb);
        /* whole atoms only, as descriptors step through them */
        p.k = (p.k + 63) / 64 * 64;
        set_tiles(widths[w % 4], mna, widths[w / 4], mnb);
        run_problem();
    }
}
END_TEST

START_TEST(a_in_tensor_memory)
{
    srand((unsigned)_i + 50);
    memset(&p, 0, sizeof p);
    p.ts = true;
    p.bf16 = _i & 1;
    p.m = _i & 2 ? 64 : 128;
    p.n = _i & 4 ? 128 : 8;
    p.k = 128;
    p.accumulate = _i & 1;
    set_tiles(0, false, 128, _i & 2);
    run_problem();
}
END_TEST

START_TEST(n_of_every_step)
{
    memset(&p, 0, sizeof p);
    for (p.n = 8; p.n <= 256; p.n += 8) {
        p.m = 128;
        p.k = 64;
        p.bf16 = true;
        set_tiles(128, false, 128, false);
        run_problem();
    }
}
END_TEST

START_TEST(a_pair_of_ctas)
{
    srand((unsigned)_i + 80);
    memset(&p, 0, sizeof p);
    p.cg2 = true;
    p.ts = _i & 1;
    p.bf16 = true;
    p.m = _i & 2 ? 256 : 128;
    p.n = _i & 4 ? 256 : 64;
    p.k = 64;
    p.accumulate = true;
    set_tiles(128, false, 128, _i & 4);
    run_problem();
}
END_TEST

/* Values that round: the bytes must not depend on how MMAs are batched. */
START_TEST(batching_changes_no_byte)
{
    static uint32_t alone[256][128];
    kit.x->desc.mma_hw = _i & 1;
    memset(&p, 0, sizeof p);
    p.m = 128;
    p.n = 64;
    p.k = 128;
    p.bf16 = true;
    set_tiles(128, false, 128, false);
    for (uint32_t pass = 0; pass < 2; pass++) {
        srand(9);
        fill();
        Cta *c = &kit.x->ctas[0];
        for (uint32_t k = 0; k < p.k; k++)
            for (uint32_t i = 0; i < 128; i++) {
                put_half(&p.a, c, i, k, ldexpf((float)(rand() % 255 - 127), rand() % 20 - 10));
                if (i < p.n)
                    put_half(&p.b, c, i, k, ldexpf((float)(rand() % 255 - 127), rand() % 20 - 10));
            }
        for (uint32_t s = 0; s < p.k / 16; s++) {
            issue_mma(s);
            if (pass == 0)
                flush();
        }
        flush();
        if (pass == 0)
            memcpy(alone, c->tmem[D_COL], p.n * 128 * 4);
        else
            ck_assert_int_eq(memcmp(alone, c->tmem[D_COL], p.n * 128 * 4), 0);
    }
}
END_TEST

START_TEST(disabled_lanes_and_scaled_input)
{
    memset(&p, 0, sizeof p);
    p.m = 128;
    p.n = 32;
    p.k = 16;
    p.bf16 = p.accumulate = true;
    set_tiles(32, false, 32, false);
    srand(3);
    fill();
    begin_mma(0);
    uint32_t lanes[4] = {0x0000ffff, 0, 0x80000001, 0xffffffff};
    kit_vec(&kit, lanes, 4);
    kit_pred(&kit, PRED_TRUE);
    kit_u32(&kit, 3);
    ck_assert_msg(kit_exec(&kit, exec_tcgen05_mma, 0, 0, 1), "%s", kit.err.msg);
    ck_assert(kit_finish(&kit, 0));
    flush();
    for (uint32_t i = 0; i < p.m; i++)
        for (uint32_t j = 0; j < p.n; j++) {
            double want = (double)p.dv[i][j];
            if (!(lanes[i / 32] >> i % 32 & 1)) {
                want /= 8;
                for (uint32_t k = 0; k < p.k; k++)
                    want += (double)p.av[i][k] * (double)p.bv[j][k];
            }
            ck_assert_double_eq((double)f32_of(*d_word(i, j)), want);
        }
}
END_TEST

/* One slice of 32 bytes of K, K-major, no swizzle: element e of a row at byte e * size. */
static void narrow_product(uint8_t kind, uint32_t type, uint32_t size, uint32_t one, uint32_t two,
                           float v1, float v2)
{
    uint32_t k_len = 32 / size;
    Tile a = {.at = A_AT, .rows = 128, .k = k_len, .size = size},
         b = {.at = B_AT, .rows = 16, .k = k_len, .size = size};
    Cta *c = &kit.x->ctas[0];
    for (uint32_t k = 0; k < k_len; k++)
        for (uint32_t r = 0; r < 128; r++) {
            uint32_t x = (r + k) % 3 == 0 ? two : one, y = (r * k) % 2 ? two : one;
            memcpy(c->shared + place(&a, r, k), &x, size);
            if (r < 16)
                memcpy(c->shared + place(&b, r, k), &y, size);
        }
    kit_begin(&kit, OP_TCGEN05_MMA);
    kit.now.mod[MC_KIND] = kind;
    kit.now.mod[MC_CG] = MV_CG_ONE;
    kit_mem32(&kit, D_COL);
    kit_u64(&kit, descriptor(&a, 0));
    kit_u64(&kit, descriptor(&b, 0));
    kit_u32(&kit, 1u << 4 | type << 7 | type << 10 | 16 / 8 << 17 | 128 / 16 << 24);
    kit_none(&kit);
    kit_pred(&kit, PRED_FALSE);
    kit_none(&kit);
    ck_assert_msg(kit_exec(&kit, exec_tcgen05_mma, 0, 0, 1), "%s", kit.err.msg);
    ck_assert(kit_finish(&kit, 0));
    flush();
    for (uint32_t i = 0; i < 128; i++)
        for (uint32_t j = 0; j < 16; j++) {
            double want = 0;
            for (uint32_t k = 0; k < k_len; k++)
                want += (double)((i + k) % 3 == 0 ? v2 : v1) * (double)((j * k) % 2 ? v2 : v1);
            ck_assert_double_eq((double)f32_of(c->tmem[D_COL + j][i]), want);
        }
}

START_TEST(other_kinds)
{
    narrow_product(MV_KIND_TF32, 2, 4, bits_of(1.5f), bits_of(-2.f), 1.5f, -2.f);
    narrow_product(MV_KIND_F8F6F4, 0, 1, 0x38, 0x40, 1.f, 2.f);  /* e4m3 */
    narrow_product(MV_KIND_F8F6F4, 1, 1, 0x3c, 0xc2, 1.f, -3.f); /* e5m2 */
}
END_TEST

/* e2m1: 16 elements of 4 bits in the first half of each 16 bytes. */
START_TEST(four_bit_elements_are_spread)
{
    static const float value[16] = {0,    .5f,  1,  1.5f,  2,  3,  4,  6,
                                    -0.f, -.5f, -1, -1.5f, -2, -3, -4, -6};
    Cta *c = &kit.x->ctas[0];
    uint8_t code[2][128][32];
    Tile t[2] = {{.at = A_AT, .rows = 128, .k = 32, .size = 1},
                 {.at = B_AT, .rows = 8, .k = 32, .size = 1}};
    srand(11);
    for (uint32_t o = 0; o < 2; o++)
        for (uint32_t r = 0; r < t[o].rows; r++)
            for (uint32_t k = 0; k < 32; k++) {
                code[o][r][k] = (uint8_t)(rand() % 16);
                uint8_t *unit = c->shared + place(&t[o], r, k / 16 * 16), *q = unit + k % 16 / 2;
                *q = (uint8_t)(k % 2 ? (*q & 0x0f) | code[o][r][k] << 4 : code[o][r][k]);
            }
    kit_begin(&kit, OP_TCGEN05_MMA);
    kit.now.mod[MC_KIND] = MV_KIND_F8F6F4;
    kit.now.mod[MC_CG] = MV_CG_ONE;
    kit_mem32(&kit, D_COL);
    kit_u64(&kit, descriptor(&t[0], 0));
    kit_u64(&kit, descriptor(&t[1], 0));
    kit_u32(&kit, 1u << 4 | 5u << 7 | 5u << 10 | 8 / 8 << 17 | 128 / 16 << 24);
    kit_none(&kit);
    kit_pred(&kit, PRED_FALSE);
    kit_none(&kit);
    ck_assert_msg(kit_exec(&kit, exec_tcgen05_mma, 0, 0, 1), "%s", kit.err.msg);
    ck_assert(kit_finish(&kit, 0));
    flush();
    for (uint32_t i = 0; i < 128; i++)
        for (uint32_t j = 0; j < 8; j++) {
            double want = 0;
            for (uint32_t k = 0; k < 32; k++)
                want += (double)value[code[0][i][k]] * (double)value[code[1][j][k]];
            ck_assert_double_eq((double)f32_of(c->tmem[D_COL + j][i]), want);
        }
}
END_TEST

START_TEST(bad_descriptors_are_faults)
{
    static const struct {
        uint64_t a;
        uint32_t idesc;
        const char *says;
    } cases[] = {
        {UINT64_C(2) << 46, 0, "0b001"},
        {UINT64_C(1) << 46 | UINT64_C(3) << 61, 0, "swizzle mode"},
        {UINT64_C(1) << 46 | UINT64_C(1) << 55, 0, "reserved"},
        {UINT64_C(1) << 46, 1u << 6, "reserved"},
        {UINT64_C(1) << 46, 1u << 2, "sparse"},
        {UINT64_C(1) << 46, 7u << 7, "operand type"},
    };
    memset(&p, 0, sizeof p);
    p.m = 128;
    p.n = 64;
    p.k = 16;
    p.bf16 = true;
    set_tiles(32, false, 32, false);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kit_begin(&kit, OP_TCGEN05_MMA);
        kit.now.mod[MC_KIND] = MV_KIND_F16;
        kit_mem32(&kit, D_COL);
        kit_u64(&kit, cases[i].a);
        kit_u64(&kit, descriptor(&p.b, 0));
        kit_u32(&kit, idesc() | cases[i].idesc);
        kit_none(&kit);
        kit_pred(&kit, PRED_TRUE);
        ck_assert_msg(!kit_exec(&kit, exec_tcgen05_mma, 0, 0, 1), "case %zu", i);
        ck_assert_msg(strstr(kit.err.msg, cases[i].says) != NULL, "%s", kit.err.msg);
    }
}
END_TEST

START_TEST(commit_performs_what_pends)
{
    memset(&p, 0, sizeof p);
    p.m = 128;
    p.n = 16;
    p.k = 16;
    p.bf16 = true;
    set_tiles(32, false, 32, false);
    srand(4);
    fill();
    issue_mma(0);
    kit_begin(&kit, OP_TCGEN05_COMMIT);
    kit.now.mod[MC_MCAST] = MV_MCAST_CLUSTER;
    kit_mem32(&kit, 2048);
    kit_u32(&kit, 3);
    ck_assert(kit_exec(&kit, exec_tcgen05_commit, 0, 0, 1));
    ck_assert_uint_eq(kit.ops[0].kind, OK_COMMIT);
    ck_assert_uint_eq(kit.ops[0].arg1, 3);
    ck_assert(kit_finish(&kit, 0));
    check_product();
}
END_TEST

/* ---- ld and st: thread and register of an element, the inverse of the manual's figures ---- */

typedef struct Where {
    uint32_t thread, reg;
} Where;

static Where where(uint32_t shape, uint32_t lane, uint32_t column)
{
    switch (shape) {
    case MV_TSHAPE_S16X64B:
        return (Where){lane % 8 * 4 + 2 * (column % 2) + lane / 8, column / 2};
    case MV_TSHAPE_S16X128B:
        return (Where){lane % 8 * 4 + column % 4, lane / 8 + 2 * (column / 4)};
    case MV_TSHAPE_S16X256B:
        return (Where){lane % 8 * 4 + column % 8 / 2,
                       column % 2 + 2 * (lane / 8) + 4 * (column / 8)};
    default:
        return (Where){lane, column};
    }
}

typedef struct ShapeCase {
    uint32_t shape, regs, columns, lanes, max; /* for x1; largest .num as a power of two */
} ShapeCase;
static const ShapeCase shape_cases[] = {
    {MV_TSHAPE_S32X32B, 1, 1, 32, 7},
    {MV_TSHAPE_S16X64B, 1, 2, 16, 7},
    {MV_TSHAPE_S16X128B, 2, 4, 16, 6},
    {MV_TSHAPE_S16X256B, 4, 8, 16, 5},
};

static uint32_t tag(uint32_t column, uint32_t lane)
{
    return column << 16 | 0x8000 | lane;
}

static void tag_tmem(void)
{
    for (uint32_t c = 0; c < 512; c++)
        for (uint32_t l = 0; l < 128; l++)
            kit.x->ctas[0].tmem[c][l] = tag(c, l);
}

static void begin_access(OpCode op, const ShapeCase *s, uint32_t log, uint32_t taddr)
{
    bool ld = op == OP_TCGEN05_LD;
    kit_begin(&kit, op);
    kit.now.mod[MC_TSHAPE] = (uint8_t)s->shape;
    kit.now.mod[MC_NUM] = (uint8_t)(MV_NUM_X1 + log);
    if (ld)
        kit_regs(&kit, 0, s->regs << log);
    kit_mem32(&kit, taddr);
    kit_none(&kit);
    if (!ld)
        kit_regs(&kit, 0, s->regs << log);
}

START_TEST(ld_shapes)
{
    const ShapeCase *s = &shape_cases[_i];
    tag_tmem();
    for (uint32_t log = 0; log <= s->max; log++)
        for (uint32_t warp = 0; warp < 4; warp++) {
            uint32_t lane0 = 32 * warp + (s->lanes == 16 ? 16 * (log % 2) : 0), col0 = 3 * log;
            begin_access(OP_TCGEN05_LD, s, log, lane0 << 16 | col0);
            ck_assert_msg(kit_exec(&kit, exec_tcgen05_ld, 0, warp, FULL_MASK), "%s", kit.err.msg);
            for (uint32_t c = 0; c < s->columns << log; c++)
                for (uint32_t l = 0; l < s->lanes; l++) {
                    Where w = where(s->shape, l, c);
                    ck_assert_uint_eq(kit_reg(&kit, 0, warp, w.reg)[w.thread],
                                      tag(col0 + c, lane0 + l));
                }
            ck_assert_uint_eq(kit.ops[0].bytes, (s->regs << log) * 128);
        }
}
END_TEST

START_TEST(st_shapes)
{
    const ShapeCase *s = &shape_cases[_i];
    for (uint32_t log = 0; log <= s->max; log++) {
        uint32_t warp = log % 4, lane0 = 32 * warp, col0 = 5, regs = s->regs << log;
        memset(kit.x->ctas[0].tmem, 0xff, 512 * 128 * 4);
        for (uint32_t r = 0; r < regs; r++)
            for (uint32_t t = 0; t < 32; t++)
                kit_reg(&kit, 0, warp, r)[t] = r << 8 | t;
        begin_access(OP_TCGEN05_ST, s, log, lane0 << 16 | col0);
        ck_assert_msg(kit_exec(&kit, exec_tcgen05_st, 0, warp, FULL_MASK), "%s", kit.err.msg);
        memset(kit_reg(&kit, 0, warp, 0), 0, regs * 128); /* captured at issue */
        ck_assert_uint_eq(kit.x->ctas[0].tmem[col0][lane0], UINT32_MAX);
        ck_assert(kit_finish(&kit, 0));
        uint32_t written = 0;
        for (uint32_t c = 0; c < 512; c++)
            for (uint32_t l = 0; l < 128; l++) {
                uint32_t got = kit.x->ctas[0].tmem[c][l];
                bool inside = c >= col0 && c < col0 + (s->columns << log) && l >= lane0 &&
                              l < lane0 + s->lanes;
                Where w = where(s->shape, l - lane0, c - col0);
                ck_assert_uint_eq(got, inside ? w.reg << 8 | w.thread : UINT32_MAX);
                written += inside;
            }
        ck_assert_uint_eq(written, regs * 32);
    }
}
END_TEST

/* .pack::16b and .unpack::16b: half h of the register element of column c is the low half of
 * column 2c + h. Stores what a load has read, to other columns, for every shape. */
START_TEST(packed_shapes)
{
    ShapeCase x2 = {MV_TSHAPE_S16X32BX2, 1, 1, 16, 7};
    const ShapeCase *s = _i < 4 ? &shape_cases[_i] : &x2;
    enum { HALF = 40 }; /* of 16x32bx2: columns to the second 16 threads' */
    for (uint32_t log = 0; log <= s->max && (s->columns << log) <= 64; log++) {
        uint32_t warp = log % 4, lane0 = 32 * warp, columns = s->columns << log;
        tag_tmem();
        for (uint32_t st = 0; st < 2; st++) {
            begin_access(st ? OP_TCGEN05_ST : OP_TCGEN05_LD, s, log, lane0 << 16 | (st ? 256 : 0));
            kit.now.mod[MC_PACK16] = st ? MV_PACK16_UNPACK : MV_PACK16_PACK;
            if (_i == 4) { /* the immediate follows the address */
                CodeOpd *o = &kit.opds[st ? 1 : 2];
                *o = (CodeOpd){.kind = CO_VALUE, .first = kit.n_slots, .pred = -1, .n = 1};
                kit_slot(&kit, HALF);
            }
            BindFn *bind = st ? exec_tcgen05_st : exec_tcgen05_ld;
            ck_assert_msg(kit_exec(&kit, bind, 0, warp, FULL_MASK), "%s", kit.err.msg);
            for (uint32_t l = 0; !st && l < s->lanes; l++)
                for (uint32_t c = 0; c < columns * (_i == 4 ? 2 : 1); c++) {
                    Where w = where(s->shape, l, c);
                    uint32_t col = c;
                    if (_i == 4) {
                        w = (Where){l + 16 * (c / columns), c % columns};
                        col = c % columns + HALF * (c / columns);
                    }
                    ck_assert_uint_eq(kit_reg(&kit, 0, warp, w.reg)[w.thread],
                                      (tag(2 * col, lane0 + l) & 0xffff) |
                                          (tag(2 * col + 1, lane0 + l) & 0xffff) << 16);
                }
        }
        ck_assert(kit_finish(&kit, 0));
        for (uint32_t l = 0; l < s->lanes; l++)
            for (uint32_t c = 0; c < 2 * columns; c++)
                ck_assert_uint_eq(kit.x->ctas[0].tmem[256 + c][lane0 + l],
                                  tag(c, lane0 + l) & 0xffff);
    }
}
END_TEST

START_TEST(split_shape_and_packing)
{
    tag_tmem();
    ShapeCase x2 = {MV_TSHAPE_S16X32BX2, 1, 1, 16, 7};
    begin_access(OP_TCGEN05_LD, &x2, 3, 32u << 16 | 100);
    kit.n_opds--;
    kit_u32(&kit, 40); /* the second 16 lanes' worth of threads reads 40 columns on */
    ck_assert_msg(kit_exec(&kit, exec_tcgen05_ld, 0, 1, FULL_MASK), "%s", kit.err.msg);
    for (uint32_t r = 0; r < 8; r++)
        for (uint32_t t = 0; t < 32; t++)
            ck_assert_uint_eq(kit_reg(&kit, 0, 1, r)[t],
                              tag(100 + r + (t >= 16 ? 40 : 0), 32 + t % 16));

    begin_access(OP_TCGEN05_LD, &shape_cases[0], 2, 10);
    kit.now.mod[MC_PACK16] = MV_PACK16_PACK;
    ck_assert(kit_exec(&kit, exec_tcgen05_ld, 0, 0, FULL_MASK));
    for (uint32_t r = 0; r < 4; r++)
        for (uint32_t t = 0; t < 32; t++)
            ck_assert_uint_eq(kit_reg(&kit, 0, 0, r)[t],
                              (tag(10 + 2 * r, t) & 0xffff) | (tag(11 + 2 * r, t) & 0xffff) << 16);

    kit_reg(&kit, 0, 0, 0)[7] = 0xabcd1234;
    begin_access(OP_TCGEN05_ST, &shape_cases[0], 0, 20);
    kit.now.mod[MC_PACK16] = MV_PACK16_UNPACK;
    ck_assert(kit_exec(&kit, exec_tcgen05_st, 0, 0, FULL_MASK));
    ck_assert(kit_finish(&kit, 0));
    ck_assert_uint_eq(kit.x->ctas[0].tmem[20][7], 0x1234);
    ck_assert_uint_eq(kit.x->ctas[0].tmem[21][7], 0xabcd);
}
END_TEST

START_TEST(lanes_and_columns_out_of_reach)
{
    static const struct {
        uint32_t warp, taddr;
        bool good;
    } cases[] = {
        {0, 0, true},          {1, 64u << 16, false}, {1, 32u << 16, true},
        {3, 96u << 16, true},  {2, 32u << 16, false}, {0, 16u << 16, false},
        {1, 16u << 16, false}, {0, 512 - 32, true},   {0, 512 - 31, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin_access(OP_TCGEN05_LD, &shape_cases[0], 5, cases[i].taddr);
        ck_assert_int_eq(kit_exec(&kit, exec_tcgen05_ld, 0, cases[i].warp, FULL_MASK),
                         cases[i].good);
    }
    /* Lane 0 is the first of the warp's quarter (DeepGEMM: four warps, one address). */
    tag_tmem();
    begin_access(OP_TCGEN05_LD, &shape_cases[0], 0, 7);
    ck_assert(kit_exec(&kit, exec_tcgen05_ld, 0, 2, FULL_MASK));
    for (uint32_t l = 0; l < WARP; l++)
        ck_assert_uint_eq(kit_reg(&kit, 0, 2, 0)[l], tag(7, 64 + l));
    kit.x->ctas[0].async->tmem_live = 0x00ff; /* 256 columns are allocated */
    begin_access(OP_TCGEN05_LD, &shape_cases[0], 5, 224);
    ck_assert(kit_exec(&kit, exec_tcgen05_ld, 0, 0, FULL_MASK));
    begin_access(OP_TCGEN05_LD, &shape_cases[0], 5, 225);
    ck_assert(!kit_exec(&kit, exec_tcgen05_ld, 0, 0, FULL_MASK));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tcgen05");
    TCase *t = tcase_create("mma");
    tcase_add_checked_fixture(t, open_kit, close_kit);
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, every_major_and_swizzle_of_both_operands, 0, 8);
    tcase_add_loop_test(t, a_in_tensor_memory, 0, 8);
    tcase_add_test(t, n_of_every_step);
    tcase_add_loop_test(t, a_pair_of_ctas, 0, 8);
    tcase_add_loop_test(t, batching_changes_no_byte, 0, 2);
    tcase_add_test(t, disabled_lanes_and_scaled_input);
    tcase_add_test(t, other_kinds);
    tcase_add_test(t, four_bit_elements_are_spread);
    tcase_add_test(t, bad_descriptors_are_faults);
    tcase_add_test(t, commit_performs_what_pends);
    tcase_add_loop_test(t, ld_shapes, 0, 4);
    tcase_add_loop_test(t, st_shapes, 0, 4);
    tcase_add_loop_test(t, packed_shapes, 0, 5);
    tcase_add_test(t, split_shape_and_packing);
    tcase_add_test(t, lanes_and_columns_out_of_reach);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
