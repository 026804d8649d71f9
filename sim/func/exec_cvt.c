/* cvt: between integers, floats and packed formats. The frequent forms have vector functions
 * (vec.h), the rest goes through the exact numbers of num.h lane by lane. PTX ISA "cvt"; rules:
 * research/ptx.md 3.16, 4.4. */
#include "sim/func/exec_decl.h"
#include "sim/func/num.h"
#include "sim/func/vec.h"

static bool bind(PlainFn *fn, Bound *out)
{
    out->plain = fn;
    return fn != NULL;
}

/* ---- Facts of an instruction ---- */

static bool is_float(PtxType t)
{
    return type_info[t].kind == 'F';
}

/* Format of a float type, of one element if it is packed. */
static NumType format(PtxType t)
{
    switch (t) {
    case T_F16:
    case T_F16X2:
        return NUM_F16;
    case T_BF16:
    case T_BF16X2:
        return NUM_BF16;
    case T_TF32:
        return NUM_TF32;
    case T_F64:
        return NUM_F64;
    case T_E4M3X2:
    case T_E4M3X4:
        return NUM_E4M3;
    case T_E5M2X2:
    case T_E5M2X4:
        return NUM_E5M2;
    case T_E2M3X2:
    case T_E2M3X4:
        return NUM_E2M3;
    case T_E3M2X2:
    case T_E3M2X4:
        return NUM_E3M2;
    case T_E2M1X2:
    case T_E2M1X4:
        return NUM_E2M1;
    case T_UE8M0X2:
        return NUM_UE8M0;
    default:
        return NUM_F32;
    }
}

/* .rni .. .rpi are .rn .. .rp to an integer. */
static NumRnd rounding(const CodeInsn *ci)
{
    switch (ci->mod[MC_RND]) {
    case MV_RND_RZ:
    case MV_RND_RZI:
        return NUM_RZ;
    case MV_RND_RM:
    case MV_RND_RMI:
        return NUM_RM;
    case MV_RND_RP:
    case MV_RND_RPI:
        return NUM_RP;
    case MV_RND_RNA:
        return NUM_RNA;
    case MV_RND_RS:
        return NUM_RS;
    default:
        return NUM_RN;
    }
}

static bool rounds_to_integer(const CodeInsn *ci)
{
    return ci->mod[MC_RND] >= MV_RND_RNI && ci->mod[MC_RND] <= MV_RND_RPI;
}

static NumMode mode_of(const CodeInsn *ci)
{
    unsigned flags = (ci->mod[MC_SAT] ? NUM_SAT : 0u) | (ci->mod[MC_SATF] ? NUM_SATFINITE : 0u) |
                     (ci->mod[MC_RELU] ? NUM_RELU : 0u);
    return (NumMode){.rnd = rounding(ci), .flags = flags};
}

/* ---- One value ---- */

static uint64_t extend(uint64_t v, PtxType t)
{
    uint32_t unused = 64u - type_info[t].bits;
    uint64_t up = v << unused;
    return type_info[t].kind == 'S' ? (uint64_t)((int64_t)up >> unused) : up >> unused;
}

/* .sat between integers: clamps to the range of the destination. */
static uint64_t clamp_int(uint64_t v, PtxType from, PtxType to)
{
    uint32_t bits = type_info[to].bits;
    bool from_signed = type_info[from].kind == 'S', to_signed = type_info[to].kind == 'S';
    uint64_t max = to_signed ? (UINT64_C(1) << (bits - 1)) - 1 : ~UINT64_C(0) >> (64 - bits);
    if (from_signed && (int64_t)v < 0) {
        int64_t min = to_signed ? -(int64_t)max - 1 : 0;
        return (int64_t)v < min ? (uint64_t)min : v;
    }
    return v > max ? max : v;
}

static uint64_t to_integer(const CodeInsn *ci, uint64_t v, PtxType from, PtxType to)
{
    if (!is_float(from)) {
        v = extend(v, from);
        return extend(ci->mod[MC_SAT] ? clamp_int(v, from, to) : v, to);
    }
    if (ci->mod[MC_FTZ] && from == T_F32)
        v = num_ftz_f32((uint32_t)v);
    NumInt width = {.width = type_info[to].bits, .is_signed = type_info[to].kind == 'S'};
    return num_to_int(format(from), v, width, rounding(ci));
}

/* A NaN from or to f64 keeps its sign and the upper bits of its payload, and becomes quiet. */
static uint64_t convert_nan(uint64_t v, NumType from, NumType to)
{
    const NumFormat *f = &num_formats[from], *t = &num_formats[to];
    uint64_t sign = v >> (f->exp_bits + f->frac_bits) & 1;
    uint64_t payload = v << (64 - f->frac_bits) >> (64 - t->frac_bits);
    uint64_t top = (UINT64_C(2) << t->exp_bits) - 1;
    return sign << (t->exp_bits + t->frac_bits) | top << (t->frac_bits - 1) | payload;
}

/* cvt.rna.tf32.f32 is an integer addition, which makes an infinity of some NaN. */
static uint32_t nan_to_tf32_away(uint32_t v, unsigned flags)
{
    v &= 0xFFFFE000u;
    return flags & NUM_SATFINITE ? v - 0x2000 : v;
}

/* The result where a is a NaN and the general rule, the canonical NaN, does not hold. */
static bool special_nan(const CodeInsn *ci, uint64_t v, PtxType from, PtxType to, uint64_t *out)
{
    NumMode mode = mode_of(ci);
    if (num_unpack(format(from), v).kind != NUM_NAN || (mode.flags & NUM_SAT))
        return false;
    bool as_is = from == to && from != T_F16 && from != T_BF16 && !rounds_to_integer(ci) &&
                 !ci->mod[MC_FTZ]; /* a move */
    if (as_is)
        *out = v;
    else if (to == T_TF32 && mode.rnd == NUM_RNA)
        *out = nan_to_tf32_away((uint32_t)v, mode.flags);
    else if (from == T_F64 || to == T_F64)
        *out = convert_nan(ci->mod[MC_FTZ] && from == T_F32 ? num_canon_f32((uint32_t)v) : v,
                           format(from), format(to));
    else
        return false;
    return true;
}

static uint64_t to_float(const CodeInsn *ci, uint64_t v, PtxType from, PtxType to)
{
    NumMode mode = mode_of(ci);
    bool ftz = ci->mod[MC_FTZ] != 0;
    if (!is_float(from)) {
        NumValue n = type_info[from].kind == 'S' ? num_of_s64((int64_t)extend(v, from))
                                                 : num_of_u64(extend(v, from));
        return num_pack(format(to), n, mode);
    }
    uint64_t nan;
    if (special_nan(ci, v, from, to, &nan))
        return nan;
    if (ftz && from == T_F32 && to != T_F16) /* F2F.F16.F32 has no .FTZ */
        v = num_ftz_f32((uint32_t)v);
    if (rounds_to_integer(ci))
        v = num_round_int(format(from), v, mode.rnd);
    v = num_convert(format(to), format(from), v, mode);
    return ftz && to == T_F32 ? num_ftz_f32((uint32_t)v) : v;
}

static void cvt_any(Warp *w, const XInsn *in, uint32_t mask)
{
    const CodeInsn *ci = in->ci;
    const CodeOpd *d = opd(w, in, 0), *a = opd(w, in, 1);
    PtxType to = (PtxType)ci->type[0], from = (PtxType)ci->type[1];
    uint64_t width =
        type_info[from].bits >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << type_info[from].bits) - 1;
    for (uint32_t i = 0; i < WARP; i++) {
        if (!(mask >> i & 1))
            continue;
        uint64_t v = opd_u64(w, a, i) & width;
        v = is_float(to) ? to_float(ci, v, from, to) : to_integer(ci, v, from, to);
        for (uint32_t k = 0; k < d->n; k++)
            opd_row(w, d, k)[i] = (uint32_t)(v >> 32 * k);
    }
}

/* Between integers without .sat, row by row: widen the source, then cut to the destination. */
static void cvt_int(Warp *w, const XInsn *in, uint32_t mask)
{
    PtxType to = (PtxType)in->ci->type[0], from = (PtxType)in->ci->type[1];
    const CodeOpd *d = opd(w, in, 0), *a = opd(w, in, 1);
    const uint32_t *a0 = opd_row(w, a, 0), *a1 = a->n > 1 ? opd_row(w, a, 1) : a0;
    uint64_t t[WARP];
    for (uint32_t i = 0; i < WARP; i++)
        t[i] = a0[i] | (uint64_t)a1[i] << 32;
    for (uint32_t pass = 0; pass < 2; pass++) {
        PtxType ty = pass == 0 ? from : to;
        uint32_t unused = 64u - type_info[ty].bits;
        if (type_info[ty].kind == 'S')
            for (uint32_t i = 0; i < WARP; i++)
                t[i] = (uint64_t)((int64_t)(t[i] << unused) >> unused);
        else
            for (uint32_t i = 0; i < WARP; i++)
                t[i] = t[i] << unused >> unused;
    }
    for (uint32_t k = 0; k < d->n && k < 2; k++) {
        uint32_t *r = opd_row(w, d, k);
        for (uint32_t i = 0; i < WARP; i++)
            r[i] = mask >> i & 1 ? (uint32_t)(t[i] >> 32 * k) : r[i];
    }
}

/* f32 to a 32-bit integer or to an integral f32. */
static PlainFn *fast_integral(const VecCvts *c, const CodeInsn *in)
{
    PtxType to = (PtxType)in->type[0];
    if (in->type[1] != T_F32 || !rounds_to_integer(in) || in->mod[MC_SAT])
        return NULL;
    uint32_t ftz = in->mod[MC_FTZ] != 0;
    if (to == T_F32)
        return c->round_f32[rounding(in)][ftz];
    return to == T_U32 || to == T_S32 ? c->int_of_f32[to == T_S32][rounding(in)][ftz] : NULL;
}

/* The vector function of a form without modifiers that change it, or NULL. */
static PlainFn *fast_cvt(const VecFns *v, const CodeInsn *in)
{
    const VecFloats *f = &v->f;
    PtxType to = (PtxType)in->type[0], from = (PtxType)in->type[1];
    if (rounds_to_integer(in))
        return fast_integral(&v->c, in);
    bool rn = in->mod[MC_RND] == 0 || in->mod[MC_RND] == MV_RND_RN;
    if (!rn || in->mod[MC_FTZ] || in->mod[MC_SAT] || in->mod[MC_SATF] || in->mod[MC_RELU])
        return NULL;
    if (to == T_F32)
        return from == T_BF16                   ? f->f32_of_bf16
               : from == T_F16                  ? f->f32_of_f16
               : from == T_S32 || from == T_U32 ? f->f32_of_int[vec_int(from)]
                                                : NULL;
    return from != T_F32 ? NULL : to == T_BF16 ? f->bf16 : to == T_F16 ? f->f16 : NULL;
}

bool exec_cvt(const Code *c, const CodeInsn *in, Bound *out)
{
    PtxType to = (PtxType)in->type[0], from = (PtxType)in->type[1];
    bool one_row = c->opds[in->opd].n == 1 && c->opds[in->opd + 1].n == 1;
    PlainFn *fast = one_row ? fast_cvt(vec_fns(out->isa), in) : NULL;
    if (fast)
        return bind(fast, out);
    return bind(is_float(to) || is_float(from) || in->mod[MC_SAT] ? cvt_any : cvt_int, out);
}

/* ---- Packed formats ---- */

/* Bits from one element to the next; 6-bit formats stand in bytes. */
static uint32_t element_step(PtxType t)
{
    return type_info[t].bits / type_info[t].count;
}

/* cvt.type.f32 d, a, b: a goes to the upper element. */
static void cvt_pair(Warp *w, const XInsn *in, uint32_t mask)
{
    PtxType to = (PtxType)in->ci->type[0];
    NumMode mode = mode_of(in->ci);
    uint32_t *d = row(w, in->row[0]);
    const uint32_t *a = row(w, in->row[1]), *b = row(w, in->row[2]);
    for (uint32_t i = 0; i < WARP; i++) {
        uint64_t hi = num_convert(format(to), NUM_F32, a[i], mode),
                 lo = num_convert(format(to), NUM_F32, b[i], mode);
        d[i] = mask >> i & 1 ? (uint32_t)(hi << element_step(to) | lo) : d[i];
    }
}

/* Row of the tables of small formats, or VEC_SMALLS. */
static VecSmall small_format(uint8_t t)
{
    switch (t) {
    case T_E4M3X2:
        return VS_E4M3;
    case T_E5M2X2:
        return VS_E5M2;
    case T_E2M3X2:
        return VS_E2M3;
    case T_E3M2X2:
        return VS_E3M2;
    case T_E2M1X2:
        return VS_E2M1;
    default:
        return VEC_SMALLS;
    }
}

bool exec_cvt_pair(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    const VecFloats *f = &vec_fns(out->isa)->f;
    VecSmall s = small_format(in->type[0]);
    if (s != VEC_SMALLS)
        return bind(vec_fns(out->isa)->c.small_of_f32[s][in->mod[MC_RELU] != 0], out);
    bool plain_rn = in->mod[MC_RND] == MV_RND_RN && !in->mod[MC_RELU] && !in->mod[MC_SATF];
    if (plain_rn && in->type[0] == T_BF16X2)
        return bind(f->bf16x2, out);
    if (plain_rn && in->type[0] == T_F16X2)
        return bind(f->f16x2, out);
    return bind(cvt_pair, out);
}

static void cvt_x2(Warp *w, const XInsn *in, uint32_t mask)
{
    PtxType to = (PtxType)in->ci->type[0], from = (PtxType)in->ci->type[1];
    NumMode mode = mode_of(in->ci);
    uint32_t *d = row(w, in->row[0]), step = element_step(from);
    const uint32_t *a = row(w, in->row[1]);
    for (uint32_t i = 0; i < WARP; i++) {
        uint32_t r = 0;
        for (uint32_t j = 0; j < 2; j++) {
            uint64_t v = a[i] >> step * j & ((1u << step) - 1);
            r |= (uint32_t)num_convert(format(to), format(from), v, mode) << element_step(to) * j;
        }
        d[i] = mask >> i & 1 ? r : d[i];
    }
}

bool exec_cvt_x2(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    const VecCvts *v = &vec_fns(out->isa)->c;
    VecSmall to = small_format(in->type[0]), from = small_format(in->type[1]);
    uint32_t relu = in->mod[MC_RELU] != 0;
    if (to != VEC_SMALLS && in->type[1] == T_F16X2)
        return bind(v->small_of_f16[to][relu], out);
    if (from != VEC_SMALLS && in->type[0] == T_F16X2)
        return bind(v->f16_of_small[from][relu], out);
    return bind(cvt_x2, out);
}

/* ---- Stochastic rounding ---- */

/* The random bits of element k, 0 lowest in the result (the last operand), as the manual gives them
 * out. f16x2: 13 bits of each half of rbits; bf16x2: the halves. Of four elements, the upper two
 * share 16 bits and the lower two share 16: the halves of rbits, or, for e2m1x4, the upper and the
 * lower bytes of both halves. That the two of a pair use the same bits is how this reads the
 * manual's words; its figures are not text. */
static NumMode random_mode(const CodeInsn *ci, uint32_t rbits, uint32_t k)
{
    NumMode m = mode_of(ci);
    PtxType to = (PtxType)ci->type[0];
    uint32_t half = type_info[to].count == 4 ? k / 2 : k;
    m.random = (uint16_t)(rbits >> 16 * half);
    m.random_bits = 16;
    if (to == T_E2M1X4)
        m.random = (uint16_t)((rbits >> (16 + 8 * half) & 0xff) << 8 | (rbits >> 8 * half & 0xff));
    if (to == T_F16X2) {
        m.random &= 0x1fff;
        m.random_bits = 13;
    }
    return m;
}

/* cvt.rs.type.f32 d, a, b, rbits or d, {a, b, e, f}, rbits: the first value goes uppermost. */
static void cvt_random(Warp *w, const XInsn *in, uint32_t mask)
{
    PtxType to = (PtxType)in->ci->type[0];
    uint32_t n = type_info[to].count, step = element_step(to);
    uint32_t *d = row(w, in->row[0]);
    const uint32_t *rbits = row(w, in->row[n + 1]);
    for (uint32_t i = 0; i < WARP; i++) {
        uint32_t r = 0;
        for (uint32_t k = 0; k < n; k++) {
            uint32_t v = row(w, in->row[n - k])[i];
            r |= (uint32_t)num_convert(format(to), NUM_F32, v, random_mode(in->ci, rbits[i], k))
                 << step * k;
        }
        d[i] = mask >> i & 1 ? r : d[i];
    }
}

bool exec_cvt_random(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c, (void)in;
    return bind(cvt_random, out);
}
