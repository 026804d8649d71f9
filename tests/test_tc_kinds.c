/* tcgen05.mma of every kind against a naive product: operands are codes, laid out one by one and
 * decoded here; sums follow the definitions of research/ptx.md 4.3 in 128-bit integers (MMA_HW), or
 * fp32 in order of k. Shapes, layouts, types and modifiers are drawn at random. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "sim/func/tc.h"
#include "tests/func_kit.h"
#include "tests/tc_layout.h"

__extension__ typedef __int128 Int128;

enum { A_AT = 8192, B_AT = 8192 + 65536, D_COL = 0, SFA_COL = 256, SFB_COL = 320, A_COL = 448 };
enum { MAX_K = 256, MAX_SLICES = 4 };

static Kit kit;

static void open_kit(void)
{
    kit_open(&kit, 2, 4, false);
}

static void close_kit(void)
{
    kit_close(&kit);
}

static uint32_t draw(uint32_t n)
{
    return (uint32_t)rand() % n;
}

/* ---- Formats ---- */

typedef enum Fmt { F16, BF16, TF32, E4M3, E5M2, E2M3, E3M2, E2M1, U8, S8, FMTS } Fmt;

static const struct {
    int exp, man, bits; /* bits: of an element where it is packed */
    uint32_t code;      /* in the instruction descriptor */
} fmts[FMTS] = {
    [F16] = {5, 10, 16, 0}, [BF16] = {8, 7, 16, 1}, [TF32] = {8, 10, 32, 2}, [E4M3] = {4, 3, 8, 0},
    [E5M2] = {5, 2, 8, 1},  [E2M3] = {2, 3, 6, 3},  [E3M2] = {3, 2, 6, 4},   [E2M1] = {2, 1, 4, 5},
    [U8] = {0, 0, 8, 0},    [S8] = {0, 0, 8, 1},
};

typedef struct Num { /* sig * 2^(exp - man), exp as the hardware compares it */
    int sig, man, exp;
    double value;
} Num;

static Num decode_bits(uint32_t code, int e_bits, int man)
{
    int field = (int)(code >> man & ((1u << e_bits) - 1)), bias = (1 << (e_bits - 1)) - 1;
    Num x = {.sig = (int)(code & ((1u << man) - 1)), .man = man, .exp = 1 - bias};
    if (field) {
        x.sig += 1 << man;
        x.exp = field - bias;
    }
    if (code >> (e_bits + man) & 1)
        x.sig = -x.sig;
    x.value = ldexp(x.sig, x.exp - man);
    if (x.sig == 0)
        x.exp = -126;
    return x;
}

static Num decode(Fmt f, uint32_t code)
{
    if (f == U8 || f == S8)
        return (Num){.value = f == U8 ? (int)code : (int)(int8_t)code};
    return decode_bits(f == TF32 ? code >> 13 : code, fmts[f].exp, fmts[f].man);
}

/* A finite code; for wide exponents one that keeps sums of products far from overflow. narrow: of
 * f16, too. */
static uint32_t any_code(Fmt f, bool narrow)
{
    uint32_t sign = draw(2), man = draw(1u << fmts[f].man);
    switch (f) {
    case U8:
    case S8:
        return draw(256);
    case F16:
        return sign << 15 | (narrow ? 7 + draw(12) : draw(31)) << 10 | man;
    case BF16:
        return sign << 15 | (107 + draw(40)) << 7 | man;
    case TF32:
        return (sign << 18 | (107 + draw(40)) << 10 | man) << 13 | draw(8192);
    case E5M2:
        return sign << 7 | (narrow ? 7 + draw(12) : draw(31)) << 2 | man;
    case E4M3:
        return sign << 7 | draw(narrow ? 80 : 127);
    default:
        return draw(1u << fmts[f].bits);
    }
}

/* ---- A problem ---- */

typedef struct Problem {
    uint8_t kind, svec;
    Fmt a_fmt, b_fmt;
    uint32_t m, n, slices, slice_k; /* of the whole operation; slice_k: of one MMA */
    uint32_t vec;                   /* elements per scale factor; 0: none */
    bool ue4m3, cg2, ts, packed4, d_f16, accumulate, neg_a, neg_b, saturate, hw, masked;
    bool extreme; /* UE8M0 factors over their whole range, one slice */
    uint32_t scale_d, d_lane, disable[8];
    Tile a, b; /* of one CTA */
    uint32_t ac[256][MAX_K], bc[256][MAX_K], sa[256][16], sb[256][16];
    uint32_t d[256][256]; /* before */
} Problem;

static Problem p;

/* Bits of a slot of an element: in shared memory, and of a packed 4-bit type. */
static uint32_t slot_bytes(Fmt f)
{
    return p.packed4 ? 1 : f == TF32 ? 4 : fmts[f].bits == 16 ? 2 : 1;
}

static void set_bits(uint8_t *at, uint32_t bit, uint32_t bits, uint32_t v)
{
    for (uint32_t i = 0; i < bits; i++) {
        uint8_t *q = at + (bit + i) / 8, one = (uint8_t)(1u << (bit + i) % 8);
        *q = v >> i & 1 ? *q | one : *q & (uint8_t)~one;
    }
}

static void put_shared(Cta *c, const Tile *t, Fmt f, uint32_t r, uint32_t k, uint32_t code)
{
    if (p.packed4)
        set_bits(c->shared + place(t, r, k / 2), k % 2 * 4, 4, code);
    else if (fmts[f].bits < 8) /* 16 of them at the start of 16 bytes */
        set_bits(c->shared + place(t, r, k / 16 * 16), k % 16 * (uint32_t)fmts[f].bits,
                 (uint32_t)fmts[f].bits, code);
    else
        memcpy(c->shared + place(t, r, k), &code, t->size);
}

static void put_tmem(Cta *c, uint32_t lane, uint32_t k, uint32_t code)
{
    uint32_t slot = p.packed4 ? 4 : slot_bytes(p.a_fmt) * 8, at = k * slot;
    if (p.a_fmt == E2M1 && !p.packed4)
        code <<= 2;
    set_bits((uint8_t *)&c->tmem[A_COL + at / 32][lane], at % 32, slot, code);
}

static uint32_t d_lane(uint32_t row, uint32_t j)
{
    if (!p.cg2)
        return p.m == 64 ? row % 16 + row / 16 * 32 + p.d_lane : row;
    return p.m == 256 ? row % 128 : row % 64 + (j < p.n / 2 ? 0 : 64);
}

static uint32_t *d_word(uint32_t row, uint32_t j)
{
    uint32_t cta = p.cg2 ? row / (p.m / 2) : 0, col = p.cg2 && p.m == 128 ? j % (p.n / 2) : j;
    return &kit.x->ctas[cta].tmem[D_COL + col][d_lane(row, j)];
}

static void fill_operands(void)
{
    uint32_t ctas = p.cg2 ? 2 : 1, rows = p.m / ctas, cols = p.n / ctas;
    for (uint32_t k = 0; k < p.slices * p.slice_k; k++) {
        for (uint32_t i = 0; i < p.m; i++) {
            Cta *c = &kit.x->ctas[i / rows];
            uint32_t r = i % rows, code = p.ac[i][k] = any_code(p.a_fmt, p.d_f16);
            if (!p.ts) {
                put_shared(c, &p.a, p.a_fmt, r, k, code);
                continue;
            }
            put_tmem(c, d_lane(i, 0), k, code);
            if (p.cg2 && p.m == 128)
                put_tmem(c, r + 64, k, code);
        }
        for (uint32_t j = 0; j < p.n; j++)
            put_shared(&kit.x->ctas[j / cols], &p.b, p.b_fmt, j % cols, k,
                       p.bc[j][k] = any_code(p.b_fmt, p.d_f16));
    }
}

static uint32_t any_scale(void)
{
    if (p.extreme)
        return draw(255);
    return p.ue4m3 ? draw(2) << 7 | draw(127) : 117 + draw(20);
}

/* ---- Scale factors in tensor memory: column and byte of factor g of slice s ---- */

static uint32_t factors(void)
{
    return p.vec ? p.slice_k / p.vec : 0; /* of a row and MMA */
}

static uint32_t scale_id(uint32_t s)
{
    return s * factors() % 4;
}

static uint32_t scale_col(uint32_t base, uint32_t s)
{
    return base + s * factors() / 4 * 8;
}

static void put_scale(Cta *c, uint32_t col, uint32_t lane, uint32_t byte, uint32_t code)
{
    set_bits((uint8_t *)&c->tmem[col][lane], byte * 8, 8, code);
}

static void fill_scales(void)
{
    uint32_t ctas = p.cg2 ? 2 : 1, rows = p.m / ctas;
    bool halves = p.cg2 && p.m == 128;
    for (uint32_t s = 0; s < p.slices; s++)
        for (uint32_t g = 0; g < factors(); g++) {
            uint32_t f = s * factors() + g, byte = scale_id(s) + g;
            for (uint32_t i = 0; i < p.m; i++) {
                p.sa[i][f] = any_scale();
                for (uint32_t q = 0; q < 4; q++)
                    put_scale(&kit.x->ctas[i / rows], scale_col(SFA_COL, s) + i % rows / 32,
                              32 * q + i % rows % 32, byte, p.sa[i][f]);
            }
            for (uint32_t j = 0; j < p.n; j++) {
                p.sb[j][f] = any_scale();
                uint32_t upper = halves && j >= p.n / 2, r = halves ? j % (p.n / 2) : j;
                for (uint32_t c = 0; c < ctas; c++)
                    for (uint32_t q = 0; q < (halves ? 2u : 4u); q++)
                        put_scale(&kit.x->ctas[c], scale_col(SFB_COL, s) + r / 32,
                                  64 * upper + 32 * q + r % 32, byte, p.sb[j][f]);
            }
        }
}

static uint32_t half_of(double x);

static void fill(void)
{
    for (uint32_t c = 0; c < 2; c++) {
        memset(kit.x->ctas[c].shared, 0xff, SHARED_MAX);
        memset(kit.x->ctas[c].tmem, 0xff, 512 * 128 * 4);
    }
    fill_operands();
    fill_scales();
    for (uint32_t i = 0; i < p.m; i++)
        for (uint32_t j = 0; j < p.n; j++) {
            float x = (float)(rand() - RAND_MAX / 2) * 0x1p-24f;
            uint32_t bits = num_bits(x);
            if (p.kind == MV_KIND_I8)
                bits = (uint32_t)rand() * 2u;
            p.d[i][j] = p.d_f16 ? half_of((double)x) : bits;
            *d_word(i, j) = p.d[i][j];
        }
}

/* ---- The reference ---- */

/* Nearest f16, ties to even. */
static uint32_t half_of(double x)
{
    uint32_t sign = signbit(x) ? 0x8000 : 0;
    int e;
    if (x == 0)
        return sign;
    frexp(fabs(x), &e);
    e = e - 1 < -14 ? -14 : e - 1;
    double units = nearbyint(ldexp(fabs(x), 10 - e));             /* of 2^(e - 10) */
    uint32_t bits = (uint32_t)units + ((uint32_t)(e + 14) << 10); /* the carry moves the exponent */
    return sign | (bits >= 0x7C00 ? 0x7C00 : bits);
}

static Int128 align(Int128 sig, int shift)
{
    if (shift >= 0)
        return sig * ((Int128)1 << shift);
    Int128 mag = sig < 0 ? -sig : sig;
    mag = shift < -120 ? 0 : mag >> -shift;
    return sig < 0 ? -mag : mag;
}

static uint32_t f32_cut(Int128 sum, int exp)
{
    bool negative = sum < 0;
    Int128 mag = negative ? -sum : sum;
    while (mag >= (Int128)1 << 24 || (exp < -149 && mag)) {
        mag >>= 1;
        exp++;
    }
    uint32_t bits = num_bits((float)ldexp((double)(int64_t)mag, exp));
    return bits && negative ? bits | 0x80000000u : bits;
}

typedef struct Term {
    Int128 sig;
    int frac, exp;
} Term;

static Num scale_num(uint32_t code)
{
    if (p.ue4m3)
        return decode_bits(code & 0x7f, 4, 3);
    return (Num){.sig = 1, .exp = (int)code - 127, .value = ldexp(1, (int)code - 127)};
}

static Num elem_a(uint32_t i, uint32_t k)
{
    Num x = decode(p.a_fmt, p.ac[i][k]);
    x.sig = p.neg_a ? -x.sig : x.sig;
    x.value = p.neg_a ? -x.value : x.value;
    return x;
}

static Num elem_b(uint32_t j, uint32_t k)
{
    Num x = decode(p.b_fmt, p.bc[j][k]);
    x.sig = p.neg_b ? -x.sig : x.sig;
    x.value = p.neg_b ? -x.value : x.value;
    return x;
}

/* What one MMA adds to c, as its hardware does. */
static uint32_t hw_step(uint32_t i, uint32_t j, uint32_t s, uint32_t c_bits)
{
    Term t[33];
    uint32_t n = 0;
    int f = p.packed4 ? 35 : 25, top;
    Num c = p.d_f16 ? decode_bits(c_bits, 5, 10) : decode_bits(c_bits, 8, 23);
    t[n++] = (Term){c.sig, c.man, c.exp};
    for (uint32_t k = s * p.slice_k; k < (s + 1) * p.slice_k; k++) {
        Num x = elem_a(i, k), y = elem_b(j, k), one = {.sig = 1};
        Num sx = p.vec ? scale_num(p.sa[i][k / p.vec]) : one;
        Num sy = p.vec ? scale_num(p.sb[j][k / p.vec]) : one;
        if (p.packed4) { /* in quarters, exact; the exponent is that of the scales */
            if (k % 16 == 0)
                t[n++] = (Term){0, 2 + sx.man + sy.man, sx.exp + sy.exp};
            t[n - 1].sig += (Int128)(4 * x.value * y.value) * sx.sig * sy.sig;
        } else {
            t[n++] = (Term){(Int128)x.sig * y.sig, x.man + y.man, x.exp + y.exp + sx.exp + sy.exp};
        }
    }
    top = t[0].exp;
    for (uint32_t q = 1; q < n; q++)
        top = t[q].exp > top ? t[q].exp : top;
    Int128 sum = 0;
    for (uint32_t q = 0; q < n; q++)
        sum += align(t[q].sig, f + t[q].exp - top - t[q].frac);
    return p.d_f16 ? half_of(ldexp((double)(int64_t)sum, top - f)) : f32_cut(sum, top - f);
}

static uint32_t fp32_step(uint32_t i, uint32_t j, uint32_t s, uint32_t c_bits)
{
    float sum = p.d_f16 ? (float)decode_bits(c_bits, 5, 10).value : num_float(c_bits);
    for (uint32_t k = s * p.slice_k; k < (s + 1) * p.slice_k; k++) {
        double x = elem_a(i, k).value, y = elem_b(j, k).value;
        if (p.vec)
            sum += (float)(x * scale_num(p.sa[i][k / p.vec]).value * y *
                           scale_num(p.sb[j][k / p.vec]).value);
        else
            sum = fmaf((float)x, (float)y, sum);
    }
    return p.d_f16 ? half_of((double)sum) : isnan(sum) ? 0x7FFFFFFF : num_bits(sum);
}

static uint32_t int_step(uint32_t i, uint32_t j, uint32_t s, uint32_t c_bits)
{
    int64_t sum = (int32_t)c_bits;
    for (uint32_t k = s * p.slice_k; k < (s + 1) * p.slice_k; k++)
        sum += (int64_t)(elem_a(i, k).value * elem_b(j, k).value);
    if (p.saturate)
        sum = sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum;
    return (uint32_t)sum;
}

static uint32_t expected(uint32_t i, uint32_t j)
{
    uint32_t cta = p.cg2 ? i / (p.m / 2) : 0, lane = d_lane(i, j), c = p.d[i][j];
    if (p.masked && p.disable[4 * cta + lane / 32] >> lane % 32 & 1)
        return c;
    if (!p.accumulate)
        c = 0;
    else if (p.scale_d)
        c = p.d_f16 ? half_of(ldexp(decode_bits(c, 5, 10).value, -(int)p.scale_d))
                    : num_bits(ldexpf(num_float(c), -(int)p.scale_d));
    for (uint32_t s = 0; s < p.slices; s++)
        c = p.kind == MV_KIND_I8 ? int_step(i, j, s, c)
            : p.hw               ? hw_step(i, j, s, c)
                                 : fp32_step(i, j, s, c);
    return c;
}

/* ---- Running ---- */

static uint32_t idesc(uint32_t s)
{
    uint32_t four = p.packed4 ? 1 : 0;
    uint32_t types = (four ? 1 : fmts[p.a_fmt].code) << 7 | (four ? 1 : fmts[p.b_fmt].code) << 10;
    uint32_t common = types | (uint32_t)p.neg_a << 13 | (uint32_t)p.neg_b << 14 |
                      (uint32_t)p.a.mn << 15 | (uint32_t)p.b.mn << 16 | p.n / 8 << 17 |
                      p.m / 16 << 24;
    if (p.vec)
        return common | scale_id(s) << 4 | (uint32_t)!p.ue4m3 << 23 | scale_id(s) << 29;
    uint32_t d = p.kind == MV_KIND_I8 ? 2 : p.d_f16 ? 0 : 1;
    return common | d << 4 | (uint32_t)p.saturate << 3;
}

static bool issue(uint32_t s)
{
    bool scaled = p.vec != 0;
    kit_begin(&kit, scaled ? p.ts ? OP_TCGEN05_MMA_SCALED_TS : OP_TCGEN05_MMA_SCALED
                    : p.ts ? OP_TCGEN05_MMA_TS
                           : OP_TCGEN05_MMA);
    kit.now.mod[MC_KIND] = p.kind;
    kit.now.mod[MC_SVEC] = p.svec;
    kit.now.mod[MC_CG] = p.cg2 ? MV_CG_TWO : MV_CG_ONE;
    kit_mem32(&kit, D_COL | p.d_lane << 16);
    if (p.ts)
        kit_mem32(&kit, (A_COL + 8 * s) | p.d_lane << 16);
    else
        kit_u64(&kit, descriptor(&p.a, s));
    kit_u64(&kit, descriptor(&p.b, s));
    kit_u32(&kit, idesc(s));
    if (scaled) { /* bits 30-31: CuTe's byte index */
        kit_mem32(&kit, scale_col(SFA_COL, s) | scale_id(s) << 30);
        kit_mem32(&kit, scale_col(SFB_COL, s) | scale_id(s) << 30);
    } else if (p.masked) {
        kit_vec(&kit, p.disable, p.cg2 ? 8 : 4);
    } else {
        kit_none(&kit);
    }
    kit_pred(&kit, s > 0 || p.accumulate ? PRED_TRUE : PRED_FALSE);
    if (p.scale_d && s == 0)
        kit_u32(&kit, p.scale_d);
    return kit_exec(&kit, scaled ? exec_tcgen05_mma_scaled : exec_tcgen05_mma, 0, 0, 1) &&
           kit_finish(&kit, 0);
}

static void run_problem(uint32_t seed)
{
    SimdIsa isa = (SimdIsa)(seed % SIMD_ISAS);
    kit.x->desc.mma_hw = p.hw;
    kit.x->isa = simd_runs(isa) ? isa : SIMD_BASE;
    fill();
    for (uint32_t s = 0; s < p.slices; s++)
        ck_assert_msg(issue(s), "seed %u: %s", seed, kit.err.msg);
    ck_assert_msg(tc_flush(kit.x, &kit.x->ctas[0], &kit.err), "seed %u: %s", seed, kit.err.msg);
    for (uint32_t i = 0; i < p.m; i++)
        for (uint32_t j = 0; j < p.n; j++) {
            uint32_t want = expected(i, j), got = *d_word(i, j);
            if (got != want)
                ck_abort_msg("seed %u D[%u][%u] = %08x, not %08x: kind %u types %d %d m %u n %u "
                             "slices %u mn %d %d widths %u %u ts %d cg2 %d vec %u hw %d",
                             seed, i, j, got, want, p.kind, p.a_fmt, p.b_fmt, p.m, p.n, p.slices,
                             p.a.mn, p.b.mn, p.a.width, p.b.width, p.ts, p.cg2, p.vec, p.hw);
        }
}

static Tile any_tile(uint32_t at, uint32_t rows, Fmt f, bool may_transpose)
{
    static const uint32_t widths[4] = {0, 32, 64, 128};
    Tile t = {.at = at, .rows = rows, .size = slot_bytes(f), .width = widths[draw(4)]};
    t.k = p.slices * p.slice_k / (p.packed4 ? 2 : 1);
    t.mn = may_transpose && fmts[f].bits >= 8 && draw(2);
    if (t.mn && f == TF32) {
        t.atom32 = true;
        t.width = 128;
    }
    /* whole atoms only */
    if (t.mn && t.width && rows * t.size % t.width)
        t = (Tile){.at = at, .rows = rows, .size = t.size, .k = t.k};
    if (!t.mn && t.width > t.k * t.size)
        t.width = 32;
    return t;
}

static void any_shape(void)
{
    bool i8 = p.kind == MV_KIND_I8;
    p.cg2 = draw(3) == 0;
    p.ts = draw(3) == 0;
    p.m = p.cg2 ? 128u << draw(2) : p.vec ? 128 : 64u << draw(2);
    p.n = p.cg2 ? 16 * (1 + draw(16)) : 8 * (1 + draw(32));
    if (draw(4)) /* mostly small ones, for speed */
        p.n = p.cg2 ? 16 * (1 + draw(3)) : 8 * (1 + draw(5));
    if (i8)
        p.n = p.cg2 ? (p.n + 31) / 32 * 32 : p.n > 32 ? (p.n + 15) / 16 * 16 : p.n;
    p.slices = 1 + draw(MAX_SLICES);
    p.d_lane = !p.cg2 && p.m == 64 && draw(2) ? 16 : 0;
    p.accumulate = draw(2);
    p.neg_a = !i8 && draw(4) == 0;
    p.neg_b = !i8 && draw(4) == 0;
    p.masked = !p.vec && draw(4) == 0;
    for (uint32_t e = 0; e < 8; e++)
        p.disable[e] = (uint32_t)rand() << 1;
    if ((p.kind == MV_KIND_F16 || p.kind == MV_KIND_TF32) && p.accumulate && draw(3) == 0)
        p.scale_d = draw(16);
}

static void any_problem(uint32_t seed)
{
    static const Fmt small[5] = {E4M3, E5M2, E2M3, E3M2, E2M1};
    memset(&p, 0, sizeof p);
    srand(seed);
    p.kind = (uint8_t)(MV_KIND_F16 + seed % 7);
    p.hw = seed / 7 % 2;
    uint32_t mix = seed / 14; /* every pair of small types in turn */
    p.a_fmt = small[mix % 5];
    p.b_fmt = small[mix / 5 % 5];
    p.slice_k = 32;
    switch (p.kind) {
    case MV_KIND_F16:
        p.a_fmt = p.b_fmt = draw(2) ? F16 : BF16;
        p.d_f16 = p.a_fmt == F16 && draw(3) == 0;
        p.slice_k = 16;
        break;
    case MV_KIND_TF32:
        p.a_fmt = p.b_fmt = TF32;
        p.slice_k = 8;
        break;
    case MV_KIND_F8F6F4:
        p.d_f16 = draw(2);
        break;
    case MV_KIND_I8:
        p.a_fmt = draw(2) ? U8 : S8;
        p.b_fmt = draw(2) ? U8 : S8;
        p.saturate = draw(2);
        break;
    case MV_KIND_MXF8F6F4:
        p.vec = 32;
        p.svec = draw(2) ? MV_SVEC_X1 : MV_SVEC_BLOCK32;
        break;
    default:
        p.a_fmt = p.b_fmt = E2M1;
        p.packed4 = true;
        p.slice_k = 64;
        p.vec = p.kind == MV_KIND_MXF4NVF4 && draw(3) ? 16 : 32;
        p.ue4m3 = p.vec == 16 && draw(2);
        p.svec = p.vec == 16 ? (draw(2) ? MV_SVEC_X4 : MV_SVEC_BLOCK16)
                             : (draw(2) ? MV_SVEC_X2 : MV_SVEC_BLOCK32);
        break;
    }
    any_shape();
    p.extreme = p.vec && !p.ue4m3 && draw(4) == 0;
    if (p.extreme)
        p.slices = 1;
    bool b_may = fmts[p.b_fmt].bits != 8 || p.n % (p.cg2 ? 32 : 16) == 0;
    uint32_t ctas = p.cg2 ? 2 : 1;
    p.a = any_tile(A_AT, p.m / ctas, p.a_fmt, !p.packed4 && !p.ts);
    p.b = any_tile(B_AT, p.n / ctas, p.b_fmt, !p.packed4 && b_may);
}

enum { BATCH = 50, BATCHES = 7 };

START_TEST(products_of_every_kind)
{
    for (uint32_t seed = (uint32_t)_i * BATCH; seed < (uint32_t)(_i + 1) * BATCH; seed++) {
        any_problem(seed);
        run_problem(seed);
    }
}
END_TEST

/* A NaN among the factors of row 3 of A makes row 3 NaN, and nothing else. */
START_TEST(nan_factors)
{
    for (uint32_t seed = 0; seed < 28; seed++) {
        any_problem(seed);
        if (!p.vec || p.cg2)
            continue;
        kit.x->desc.mma_hw = p.hw;
        kit.x->isa = simd_best();
        fill();
        for (uint32_t q = 0; q < 4; q++)
            put_scale(&kit.x->ctas[0], SFA_COL, 32 * q + 3, 0, p.ue4m3 ? 0x7f : 0xff);
        for (uint32_t s = 0; s < p.slices; s++)
            ck_assert_msg(issue(s), "%s", kit.err.msg);
        ck_assert(tc_flush(kit.x, &kit.x->ctas[0], &kit.err));
        for (uint32_t i = 0; i < 8; i++)
            for (uint32_t j = 0; j < p.n; j++)
                ck_assert_uint_eq(*d_word(i, j), i == 3 ? 0x7FFFFFFF : expected(i, j));
    }
}
END_TEST

/* Factors that are not the same in the four quarters of the lanes are a fault, not a number. */
START_TEST(factors_must_be_in_all_quarters)
{
    uint32_t seed = 4;
    do
        any_problem(seed += 7); /* mxf8f6f4 */
    while (p.cg2);
    fill();
    put_scale(&kit.x->ctas[0], SFA_COL, 64 + 5, scale_id(0), 1);
    ck_assert(issue(0));
    ck_assert(!tc_flush(kit.x, &kit.x->ctas[0], &kit.err));
    ck_assert_ptr_nonnull(strstr(kit.err.msg, "scale factors of A are not the same"));
}
END_TEST

/* Descriptors that a kind does not allow, each with the word of the message. */
START_TEST(what_a_kind_does_not_allow)
{
    static const struct {
        uint8_t kind, svec;
        uint32_t idesc;
        bool cg2;
        const char *says;
    } cases[] = {
        {MV_KIND_I8, 0, 2u << 4 | 5u << 17 | 8u << 24, false, "kind::i8"},
        {MV_KIND_I8, 0, 2u << 4 | 2u << 17 | 8u << 24, true, "steps of 32"},
        {MV_KIND_I8, 0, 1u << 4 | 2u << 17 | 8u << 24, false, "accumulator"},
        {MV_KIND_I8, 0, 2u << 4 | 1u << 13 | 2u << 17 | 8u << 24, false, "negated"},
        {MV_KIND_F16, 0, 1u << 4 | 1u << 3 | 2u << 17 | 8u << 24, false, "reserved"},
        {MV_KIND_F8F6F4, 0, 1u << 4 | 2u << 7 | 2u << 17 | 8u << 24, false, "operand type"},
        {MV_KIND_F8F6F4, 0, 1u << 4 | 1u << 16 | 3u << 17 | 8u << 24, false, "multiple of 16"},
        {MV_KIND_F8F6F4, 0, 1u << 4 | 1u << 16 | 2u << 17 | 8u << 24, true, "multiple of 32"},
        {MV_KIND_MXF8F6F4, 0, 1u << 23 | 2u << 17 | 16u << 24, false, "M must be 128"},
        {MV_KIND_MXF8F6F4, 0, 2u << 17 | 8u << 24, false, "UE8M0"},
        {MV_KIND_MXF4, 0, 1u << 23 | 2u << 17 | 8u << 24, false, "operand type"},
        {MV_KIND_MXF4, 0, 1u << 31 | 1u << 23 | 1u << 7 | 1u << 10 | 2u << 17 | 8u << 24, false,
         "sm_103a"},
        {MV_KIND_MXF4, 0, 1u << 15 | 1u << 23 | 1u << 7 | 1u << 10 | 2u << 17 | 8u << 24, false,
         "transposed"},
        {MV_KIND_MXF4, 0, 1u << 29 | 1u << 23 | 1u << 7 | 1u << 10 | 2u << 17 | 8u << 24, false,
         "0 or 2"},
        {MV_KIND_MXF4NVF4, MV_SVEC_X4, 2u << 29 | 1u << 7 | 1u << 10 | 2u << 17 | 8u << 24, false,
         "must be 0"},
        {MV_KIND_MXF4NVF4, MV_SVEC_X2, 1u << 7 | 1u << 10 | 2u << 17 | 8u << 24, false, "UE8M0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *bad = idesc_trouble(cases[i].idesc, cases[i].kind, cases[i].svec, cases[i].cg2);
        ck_assert_msg(bad && strstr(bad, cases[i].says), "case %zu: %s", i, bad ? bad : "good");
    }
    /* bit 12, the version of sparsity: nothing to a dense MMA of 4-bit operands */
    uint32_t nvfp4 = 1u << 7 | 1u << 10 | 1u << 12 | 2u << 17 | 8u << 24;
    ck_assert_ptr_null(idesc_trouble(nvfp4, MV_KIND_MXF4NVF4, MV_SVEC_X4, false));
    ck_assert_uint_eq(mma_of(nvfp4, MV_KIND_MXF4NVF4, MV_SVEC_X4, false).b_type, NUM_E2M1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tc_kinds");
    TCase *t = tcase_create("mma");
    tcase_add_checked_fixture(t, open_kit, close_kit);
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, products_of_every_kind, 0, BATCHES);
    tcase_add_test(t, nan_factors);
    tcase_add_test(t, factors_must_be_in_all_quarters);
    tcase_add_test(t, what_a_kind_does_not_allow);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
