/* f16 and bf16 arithmetic, mixed precision, small formats, stochastic rounding; see alu_case.h.
 * References: the exact integers of num.c (which test_num checks by itself), search among all codes
 * of a format, the host's rounding modes. Formats of 8 bits and less exhaustively. */
#include <fenv.h>

#include "tests/alu_case.h"

/* ---- Halves against num.c ---- */

static bool is_bf16(PtxType t)
{
    return t == T_BF16 || t == T_BF16X2;
}

static uint32_t flush16(const Case *c, uint32_t h)
{
    return mod(c, MC_FTZ) && (h & 0x7c00) == 0 ? h & 0x8000 : h;
}

static uint32_t one_half(const Case *c, const uint64_t *s, uint32_t j)
{
    uint32_t a = flush16(c, s[0] >> 16 * j & 0xffff), b = flush16(c, s[1] >> 16 * j & 0xffff),
             d = flush16(c, s[2] >> 16 * j & 0xffff);
    NumType t = is_bf16(c->t0) ? NUM_BF16 : NUM_F16;
    NumMode m = {.flags = (mod(c, MC_SAT) ? NUM_SAT : 0u) | (mod(c, MC_RELU) ? NUM_RELU : 0u)};
    switch (c->op) {
    case OP_ADD_F16:
    case OP_ADD_BF16:
        return flush16(c, num_add(t, a, b, m));
    case OP_SUB_F16:
    case OP_SUB_BF16:
        return flush16(c, num_add(t, a, b ^ 0x8000, m));
    case OP_MUL_F16:
    case OP_MUL_BF16:
        return flush16(c, num_mul(t, a, b, m));
    case OP_FMA_OOB:
        return a == 0xffff || b == 0xffff ? 0 : num_fma(t, a, b, d, m);
    case OP_NEG_F16:
    case OP_NEG_BF16:
        return (a & 0x7fff) > (t == NUM_BF16 ? 0x7f80u : 0x7c00u) ? 0x7fff : a ^ 0x8000;
    case OP_ABS_F16:
    case OP_ABS_BF16:
        return (a & 0x7fff) > (t == NUM_BF16 ? 0x7f80u : 0x7c00u) ? 0x7fff : a & 0x7fff;
    default:
        return flush16(c, num_fma(t, a, b, d, m));
    }
}

static uint64_t r_half(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    uint32_t r = 0;
    for (uint32_t j = 0; j < type_info[c->t0].count; j++)
        r |= one_half(c, s, j) << 16 * j;
    return r;
}

/* Sign and magnitude as an integer that orders as the value does, -0 below +0. */
static int32_t rank(uint32_t h)
{
    return h & 0x8000 ? -1 - (int32_t)(h & 0x7fff) : (int32_t)h;
}

static uint64_t r_pick(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    bool max = c->op == OP_MAX_F16 || c->op == OP_MAX_BF16;
    uint32_t inf = is_bf16(c->t0) ? 0x7f80 : 0x7c00, out = 0;
    for (uint32_t j = 0; j < type_info[c->t0].count; j++) {
        uint32_t a = flush16(c, s[0] >> 16 * j & 0xffff), b = flush16(c, s[1] >> 16 * j & 0xffff);
        uint32_t sign = (a ^ b) & 0x8000;
        bool na = (a & 0x7fff) > inf, nb = (b & 0x7fff) > inf, x = mod(c, MC_XSA) != 0;
        a &= x ? 0x7fff : 0xffff;
        b &= x ? 0x7fff : 0xffff;
        uint32_t r = (rank(a) > rank(b)) == max ? a : b;
        if ((na && nb) || (mod(c, MC_NAN) && (na || nb)))
            r = 0x7fff;
        else if (na || nb)
            r = na ? b : a;
        out |= (x && r != 0x7fff ? r | sign : r) << 16 * j;
    }
    return out;
}

/* The tests of one type, with one half in a register or two. */
static void halves_of(PtxType t)
{
    bool bf16 = is_bf16(t);
    uint32_t bits = type_info[t].count == 1 ? 16 : 0;
    const OpCode *op = bf16 ? (const OpCode[]){OP_ADD_BF16, OP_SUB_BF16, OP_MUL_BF16, OP_FMA_BF16}
                            : (const OpCode[]){OP_ADD_F16, OP_SUB_F16, OP_MUL_F16, OP_FMA_F16};
    for (uint8_t k = 0; k < 4; k++)
        for (uint8_t ftz = 0; ftz < (bf16 ? 1 : 2); ftz++)
            for (uint8_t sat = 0; sat < (bf16 ? 1 : 2); sat++)
                CHECK(op[k], t, 0, k == 3 ? "D1S1S1S1" : "D1S1S1", r_half,
                      {{MC_FTZ, ftz}, {MC_SAT, sat}, {MC_RND, MV_RND_RN}}, .bits = bits);
    for (uint8_t ftz = 0; ftz < (bf16 ? 1 : 2); ftz++) {
        CHECK(bf16 ? OP_FMA_BF16 : OP_FMA_F16_RELU, t, 0, "D1S1S1S1", r_half,
              {{MC_FTZ, ftz}, {MC_RELU, 1}, {MC_RND, MV_RND_RN}}, .bits = bits);
        CHECK(bf16 ? OP_NEG_BF16 : OP_NEG_F16, t, 0, "D1S1", r_half, {{MC_FTZ, ftz}}, .bits = bits);
        CHECK(bf16 ? OP_ABS_BF16 : OP_ABS_F16, t, 0, "D1S1", r_half, {{MC_FTZ, ftz}}, .bits = bits);
        for (uint8_t k = 0; k < 8; k++)
            CHECK(k & 1  ? (bf16 ? OP_MIN_BF16 : OP_MIN_F16)
                  : bf16 ? OP_MAX_BF16
                         : OP_MAX_F16,
                  t, 0, "D1S1S1", r_pick,
                  {{MC_FTZ, ftz}, {MC_NAN, k >> 1 & 1}, {MC_XSA, k >> 2}, {MC_ABS, k >> 2}},
                  .bits = bits);
    }
    for (uint8_t relu = 0; relu < 2; relu++)
        CHECK(OP_FMA_OOB, t, 0, "D1S1S1S1", r_half, {{MC_RELU, relu}, {MC_RND, MV_RND_RN}},
              .bits = bits);
}

/* ---- f32 results ---- */

static float widened(PtxType t, uint64_t h)
{
    return f32(num_convert(NUM_F32, is_bf16(t) ? NUM_BF16 : NUM_F16, h & 0xffff, (NumMode){0}));
}

static uint64_t r_mixed(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    static const int host[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
    volatile float a = widened(c->t1, s[0]), r = 0;
    uint32_t rnd = mod(c, MC_RND);
    fesetround(host[rnd ? rnd - MV_RND_RN : 0]);
    if (c->op == OP_FMA_MIXED)
        r = fmaf(a, widened(c->t1, s[1]), f32(s[2]));
    else
        r = c->op == OP_ADD_MIXED ? a + f32(s[1]) : a - f32(s[1]);
    fesetround(FE_TONEAREST);
    if (mod(c, MC_SAT))
        r = isnan(r) || !(r > 0.0f) ? 0.0f : r > 1.0f ? 1.0f : r;
    return isnan(r) ? 0x7fffffff : num_bits(r);
}

static void mixed(void)
{
    for (uint8_t rnd = 0; rnd <= MV_RND_RP; rnd++)
        for (uint8_t sat = 0; sat < 2; sat++)
            for (int k = 0; k < 2; k++) {
                PtxType t = k ? T_BF16 : T_F16;
                CHECK(OP_ADD_MIXED, T_F32, t, "D1S1S1", r_mixed, {{MC_RND, rnd}, {MC_SAT, sat}});
                CHECK(OP_SUB_MIXED, T_F32, t, "D1S1S1", r_mixed, {{MC_RND, rnd}, {MC_SAT, sat}});
                if (rnd)
                    CHECK(OP_FMA_MIXED, T_F32, t, "D1S1S1S1", r_mixed,
                          {{MC_RND, rnd}, {MC_SAT, sat}});
            }
}

/* ---- Small formats ---- */

typedef struct Format {
    PtxType x2, x4;
    uint32_t exp, frac, max, nan; /* largest code; what NaN becomes */
} Format;
static const Format formats[] = {
    {T_E4M3X2, T_E4M3X4, 4, 3, 0x7e, 0x7f}, {T_E5M2X2, T_E5M2X4, 5, 2, 0x7b, 0x7f},
    {T_E2M3X2, T_E2M3X4, 2, 3, 0x1f, 0x1f}, {T_E3M2X2, T_E3M2X4, 3, 2, 0x1f, 0x1f},
    {T_E2M1X2, T_E2M1X4, 2, 1, 0x07, 0x07},
};
enum { N_FORMATS = sizeof formats / sizeof formats[0] };

static const Format *format_of(PtxType t)
{
    for (int k = 0; k < N_FORMATS; k++)
        if (formats[k].x2 == t || formats[k].x4 == t)
            return &formats[k];
    abort();
}

static double magnitude(const Format *f, uint32_t code)
{
    uint32_t e = code >> f->frac, m = code & ((1u << f->frac) - 1);
    int bias = (1 << (f->exp - 1)) - 1;
    double one = 1u << f->frac;
    return e ? ldexp(1 + m / one, (int)e - bias) : ldexp(m / one, 1 - bias);
}

/* Nearest code, ties to even, by looking at all of them; saturating. */
static uint32_t to_small(const Format *f, float v, bool relu)
{
    if (isnan(v))
        return f->nan;
    if (relu && signbit(v))
        return 0;
    double a = fmin(fabs((double)v), magnitude(f, f->max));
    uint32_t best = 0;
    for (uint32_t k = 1; k <= f->max; k++) {
        double e = fabs(magnitude(f, k) - a), old = fabs(magnitude(f, best) - a);
        if (e < old || (e == old && k % 2 == 0))
            best = k;
    }
    return best | (signbit(v) ? 1u << (f->exp + f->frac) : 0);
}

static uint32_t step_of(const Format *f)
{
    return f->frac == 1 ? 4 : 8;
}

static uint64_t r_small(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    const Format *f = format_of(c->t0);
    bool relu = mod(c, MC_RELU) != 0, from_half = c->t1 == T_F16X2;
    float hi = from_half ? widened(T_F16, s[0] >> 16) : f32(s[0]);
    float lo = from_half ? widened(T_F16, s[0]) : f32(s[1]);
    return to_small(f, hi, relu) << step_of(f) | to_small(f, lo, relu);
}

static uint32_t half_of_small(const Format *f, uint32_t code, bool relu)
{
    uint32_t sign = 1u << (f->exp + f->frac), mag = code & (sign - 1);
    if (f->frac == 2 && f->exp == 5 && mag >= 0x7c) /* e5m2 is IEEE: f16 cut short */
        return mag == 0x7c ? (code & sign ? (relu ? 0 : 0xfc00) : 0x7c00) : 0x7fff;
    if (f->exp == 4 && mag == 0x7f)
        return 0x7fff;
    bool negative = (code & sign) != 0;
    if (negative && relu)
        return 0;
    double v = magnitude(f, mag); /* exact in f16: look for the code */
    for (uint32_t h = 0; h < 0x7c00; h++)
        if ((double)widened(T_F16, h) == v)
            return h | (negative ? 0x8000 : 0);
    abort();
}

static uint64_t r_half_of_small(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    static uint16_t table[N_FORMATS][2][256];
    static bool made;
    for (uint32_t k = 0; !made && k < N_FORMATS * 512; k++) {
        const Format *f = &formats[k / 512];
        uint32_t all = (2u << (f->exp + f->frac)) - 1;
        table[k / 512][k / 256 % 2][k % 256] =
            (uint16_t)half_of_small(f, k % 256 & all, k / 256 % 2);
    }
    made = true;
    const Format *f = format_of(c->t1);
    uint32_t step = step_of(f), field = (1u << step) - 1;
    const uint16_t *t = table[f - formats][mod(c, MC_RELU) != 0];
    return t[s[0] & field] | (uint32_t)t[s[0] >> step & field] << 16;
}

/* The random bits of the manual: an element's discarded bits plus rbits, in exact integers. e is
 * the exponent of the result's last place: v / 2^e, with `bits` random bits below the point. */
static uint32_t randomly(const Format *f, float v, uint32_t random, uint32_t bits, bool relu)
{
    if (isnan(v))
        return f->nan;
    if (relu && signbit(v))
        return 0;
    uint32_t sign = signbit(v) ? 1u << (f->exp + f->frac) : 0;
    double a = fabs((double)v);
    if (a >= magnitude(f, f->max))
        return f->max | sign;
    uint32_t below = f->max; /* the largest code not above a */
    while (magnitude(f, below) > a)
        below--;
    double lo = magnitude(f, below), hi = magnitude(f, below + 1);
    double part = (a - lo) / (hi - lo) + ldexp(random, -(int)bits); /* below 2: exact in double? */
    return (below + (part >= 1.0)) | sign;
}

static uint64_t r_random(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    const Format *f = format_of(c->t0);
    uint32_t rbits = (uint32_t)s[4], r = 0, step = step_of(f);
    for (uint32_t k = 0; k < 4; k++) { /* f, e, b, a */
        uint32_t random = k < 2 ? rbits & 0xffff : rbits >> 16;
        if (f->frac == 1)
            random = k < 2 ? (rbits >> 8 & 0xff00) | (rbits & 0xff)
                           : (rbits >> 16 & 0xff00) | (rbits >> 8 & 0xff);
        r |= randomly(f, f32(s[3 - k]), random, 16, mod(c, MC_RELU) != 0) << step * k;
    }
    return r;
}

/* f16x2 and bf16x2: adding the random bits to the f32's own and cutting, where the result is a
 * normal number: the manual's description word for word. */
static uint64_t r_random2(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    uint32_t r = 0;
    for (uint32_t k = 0; k < 2; k++) {
        uint32_t v = (uint32_t)s[1 - k], random = (uint32_t)s[2] >> 16 * k & 0xffff;
        bool bf16 = is_bf16(c->t0);
        NumMode m = {.rnd = NUM_RS,
                     .random = (uint16_t)(bf16 ? random : random & 0x1fff),
                     .random_bits = bf16 ? 16 : 13};
        uint32_t h = (uint32_t)num_convert(bf16 ? NUM_BF16 : NUM_F16, NUM_F32, v, m),
                 e = v >> 23 & 255;
        if (bf16 && e < 255)
            h = (v + random) >> 16;
        if (!bf16 && e > 112 && e < 142) {
            uint32_t sum = (v & 0x7fffffff) + (random & 0x1fff);
            h = ((sum >> 13) - (112u << 10)) | (v >> 16 & 0x8000);
        }
        r |= h << 16 * k;
    }
    return r;
}

static void small_formats(void)
{
    for (int k = 0; k < N_FORMATS; k++)
        for (uint8_t relu = 0; relu < 2; relu++) {
            PtxType t = formats[k].x2;
            uint32_t bits = k == 4 ? 8 : 16;
            CHECK(OP_CVT_F8X2, t, T_F32, "D1S1S1", r_small,
                  {{MC_RND, MV_RND_RN}, {MC_RELU, relu}, {MC_SATF, 1}}, .bits = bits);
            if (k < 2)
                CHECK(OP_CVT_F8X2_F16X2, t, T_F16X2, "D1S1", r_small,
                      {{MC_RND, MV_RND_RN}, {MC_RELU, relu}, {MC_SATF, 1}}, .bits = bits);
            CHECK(OP_CVT_F16X2_F8X2, T_F16X2, t, "D1S1", r_half_of_small,
                  {{MC_RND, MV_RND_RN}, {MC_RELU, relu}});
            CHECK(OP_CVT_RS_X4, formats[k].x4, T_F32, "D1S1S1S1S1S1", r_random,
                  {{MC_RND, MV_RND_RS}, {MC_RELU, relu}, {MC_SATF, 1}}, .bits = k == 4 ? 16 : 0);
        }
    CHECK(OP_CVT_RS_X2, T_F16X2, T_F32, "D1S1S1S1", r_random2, {{MC_RND, MV_RND_RS}});
    CHECK(OP_CVT_RS_X2, T_BF16X2, T_F32, "D1S1S1S1", r_random2, {{MC_RND, MV_RND_RS}});
}

/* Every f16 to the two 8-bit formats, every 8-bit code to f16: the register holds a pair of values
 * chosen by lane and turn. */
static void exhaustive(void)
{
    for (int isa = 0; isa < SIMD_ISAS; isa++)
        for (int k = 0; simd_runs((SimdIsa)isa) && k < 2 * N_FORMATS; k++) {
            bool narrow = k < 2, widen = k >= N_FORMATS;
            const Format *fmt = &formats[k % N_FORMATS];
            if (!narrow && !widen)
                continue;
            Case c = {narrow ? OP_CVT_F8X2_F16X2 : OP_CVT_F16X2_F8X2,
                      narrow ? fmt->x2 : T_F16X2,
                      narrow ? T_F16X2 : fmt->x2,
                      "D1S1",
                      narrow ? r_small : r_half_of_small,
                      {{MC_RND, MV_RND_RN}, {MC_SATF, narrow}},
                      0,
                      0,
                      0,
                      0};
            Shape sh;
            Fix *f = fix_case(&c, &sh, 0, false, (uint8_t)(isa + 1));
            n_cases++;
            uint32_t n = narrow ? 65536 : 256, turns = (n + 2 * WARP - 1) / (2 * WARP);
            for (uint32_t t = 0; t < turns; t++) {
                for (uint32_t i = 0; i < WARP; i++) {
                    uint32_t v = 2 * (t * WARP + i);
                    row(f->warp, (uint32_t)sh.src[0])[i] =
                        narrow ? v | (v + 1) << 16 : v | (v + 1) << step_of(fmt);
                }
                uint32_t in[WARP];
                memcpy(in, row(f->warp, (uint32_t)sh.src[0]), sizeof in);
                warp_start(f->warp);
                OpRun run;
                exec_front(f->exec)->ops->next(exec_front(f->exec), 0, 0, &run);
                for (uint32_t i = 0; i < WARP; i++) {
                    uint64_t s[MAX_SRC] = {in[i]}, want = c.ref(&c, s, NULL);
                    uint32_t got = row(f->warp, 0)[i];
                    if (got != want && ++failures < 40)
                        fprintf(stderr, "%s %s isa %d: %x -> %x, want %x\n", op_row[c.op].id,
                                type_info[fmt->x2].name, isa, in[i], got, (uint32_t)want);
                }
            }
            fix_free(f);
        }
}

/* ---- To integers, and integral floats ---- */

static uint64_t r_integral(const Case *c, const uint64_t *s, uint32_t *p)
{
    (void)p;
    float v = flush(c, f32(s[0]));
    if (isnan(v))
        return c->t0 == T_F32 ? 0x7fffffff : 0;
    double x = (double)v, r = rint(x);
    switch (mod(c, MC_RND)) {
    case MV_RND_RZI:
        r = trunc(x);
        break;
    case MV_RND_RMI:
        r = floor(x);
        break;
    case MV_RND_RPI:
        r = ceil(x);
        break;
    }
    if (c->t0 == T_F32)
        return num_bits(copysignf((float)r, v));
    double lo = c->t0 == T_S32 ? -0x1p31 : 0, hi = c->t0 == T_S32 ? 0x1p31 - 1 : 0x1p32 - 1;
    return (uint32_t)(int64_t)(r < lo ? lo : r > hi ? hi : r);
}

static void integral(void)
{
    static const PtxType to[] = {T_S32, T_U32, T_F32};
    for (uint8_t rnd = MV_RND_RNI; rnd <= MV_RND_RPI; rnd++)
        for (int k = 0; k < 6; k++)
            CHECK(to[k % 3] == T_F32 ? OP_CVT_F2F : OP_CVT_F2I, to[k % 3], T_F32, "D1S1",
                  r_integral, {{MC_RND, rnd}, {MC_FTZ, (uint8_t)(k / 3)}});
}

int main(void)
{
    static const PtxType types[] = {T_F16, T_F16X2, T_BF16, T_BF16X2};
    for (int k = 0; k < 4; k++)
        halves_of(types[k]);
    mixed();
    small_formats();
    exhaustive();
    integral();
    printf("%u cases, %d failures\n", n_cases, failures);
    return failures ? 1 : 0;
}
