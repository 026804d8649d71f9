/* Video instructions: parts of registers, extended to integers, through one operation, perhaps
 * clamped, then merged into or added to a third operand. PTX ISA "Scalar Video Instructions", "SIMD
 * Video Instructions".
 *
 * sm_90 and sm_100 have no such instructions but VABSDIFF; ptxas writes sequences for the others.
 * Where an H200 running them gives other bits than the manual says, the form is refused: a result
 * in .h1, a clamped one in a part of d, .min and .max as second operation, .sat of vshl and of
 * vadd on .u32, scaled vmad. The others give its bits (tests/data/hopper_ops.tsv). */
#include "sim/func/engine.h"

typedef struct Range {
    int64_t min, max;
} Range;

static int64_t extend(uint32_t v, uint32_t bits, bool is_signed)
{
    uint32_t unused = 64 - bits;
    uint64_t high = (uint64_t)v << unused;
    return is_signed ? (int64_t)high >> unused : (int64_t)(high >> unused);
}

static int64_t clamp(int64_t v, uint32_t bits, bool is_signed)
{
    int64_t all = (INT64_C(1) << bits) - 1;
    Range r = is_signed ? (Range){-(all >> 1) - 1, all >> 1} : (Range){0, all};
    return v < r.min ? r.min : v > r.max ? r.max : v;
}

static bool compare(uint8_t cmp, int64_t a, int64_t b)
{
    switch (cmp) {
    case MV_CMP_EQ:
        return a == b;
    case MV_CMP_NE:
        return a != b;
    case MV_CMP_LT:
        return a < b;
    case MV_CMP_LE:
        return a <= b;
    case MV_CMP_GT:
        return a > b;
    default:
        return a >= b;
    }
}

static int64_t shift(const CodeInsn *in, int64_t a, int64_t b)
{
    enum { MOST = 32 };
    if (in->mod[MC_SHF] == MV_SHF_WRAP)
        b &= MOST - 1;
    if (b > MOST)
        b = MOST;
    return in->op == OP_VSHL ? (int64_t)((uint64_t)a << b) : a >> b;
}

/* .avrg rounds halves away from zero. */
static int64_t operate(const CodeInsn *in, int64_t a, int64_t b)
{
    switch (in->op) {
    case OP_VADD:
    case OP_VADD2:
    case OP_VADD4:
        return a + b;
    case OP_VSUB:
    case OP_VSUB2:
    case OP_VSUB4:
        return a - b;
    case OP_VABSDIFF:
    case OP_VABSDIFF2:
    case OP_VABSDIFF4:
        return a > b ? a - b : b - a;
    case OP_VMIN:
    case OP_VMIN2:
    case OP_VMIN4:
        return a < b ? a : b;
    case OP_VMAX:
    case OP_VMAX2:
    case OP_VMAX4:
        return a > b ? a : b;
    case OP_VAVRG2:
    case OP_VAVRG4:
        return (a + b + (a + b >= 0)) >> 1;
    case OP_VSHL:
    case OP_VSHR:
        return shift(in, a, b);
    default: /* vset */
        return compare(in->mod[MC_CMP], a, b);
    }
}

static bool is_set(const CodeInsn *in)
{
    return in->op == OP_VSET || in->op == OP_VSET2 || in->op == OP_VSET4;
}

/* Types are those of d, a and b; of vset those of a and b. */
static bool is_signed(const CodeInsn *in, uint32_t which)
{
    if (is_set(in))
        return which && in->type[which - 1] == T_S32;
    return in->type[which] == T_S32;
}

/* The selected part of a register, or all of it. */
static int64_t part_of(const Warp *w, const CodeOpd *o, uint32_t lane, bool sign)
{
    uint32_t v = opd_row(w, o, 0)[lane], digit = (uint32_t)o->imm & 15;
    if (!o->imm)
        return extend(v, 32, sign);
    uint32_t bits = o->imm & SELECT_HALF ? 16 : 8;
    return extend(v >> bits * digit & ((1u << bits) - 1), bits, sign);
}

static void video(Warp *w, const XInsn *in, uint32_t mask)
{
    const CodeInsn *ci = in->ci;
    const CodeOpd *d = opd(w, in, 0), *c = has_opd(w, in, 3) ? opd(w, in, 3) : NULL;
    bool sign = is_signed(ci, 0);
    uint32_t bits = !d->imm                ? 32
                    : d->imm & SELECT_HALF ? 16
                                           : 8,
             at = bits * ((uint32_t)d->imm & 15);
    uint32_t field = (uint32_t)(((UINT64_C(1) << bits) - 1) << (d->imm ? at : 0));
    uint32_t *to = opd_row(w, d, 0);
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t l = first_lane(m);
        int64_t v = operate(ci, part_of(w, opd(w, in, 1), l, is_signed(ci, 1)),
                            part_of(w, opd(w, in, 2), l, is_signed(ci, 2)));
        if (ci->mod[MC_SAT])
            v = clamp(v, bits, sign);
        uint32_t third = c ? opd_row(w, c, 0)[l] : 0;
        if (ci->mod[MC_SECOP])
            v += extend(third, 32, sign);
        to[l] = d->imm ? ((uint32_t)v << at & field) | (third & ~field) : (uint32_t)v;
    }
}

/* a * b + c {+ 1}: in 128 bits by the manual, of which 66 are enough. */
static void video_mad(Warp *w, const XInsn *in, uint32_t mask)
{
    __extension__ typedef __int128 Wide;
    const CodeInsn *ci = in->ci;
    bool sign = is_signed(ci, 1) || is_signed(ci, 2);
    uint32_t *to = opd_row(w, opd(w, in, 0), 0);
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t l = first_lane(m);
        Wide v = (Wide)part_of(w, opd(w, in, 1), l, is_signed(ci, 1)) *
                 part_of(w, opd(w, in, 2), l, is_signed(ci, 2));
        v += extend(opd_row(w, opd(w, in, 3), 0)[l], 32, sign) + (ci->mod[MC_PO] != 0);
        Wide low = sign ? INT32_MIN : 0, high = sign ? INT32_MAX : UINT32_MAX;
        if (ci->mod[MC_SAT])
            v = v < low ? low : v > high ? high : v;
        to[l] = (uint32_t)v;
    }
}

/* Part `i` of those that a selector names among the parts of a and b. */
static int64_t selected(uint64_t ab, int64_t sel, uint32_t standard, uint32_t i, uint32_t bits,
                        bool sign)
{
    uint32_t digits = sel ? (uint32_t)sel : standard, digit = digits >> 4 * i & 15;
    return extend((uint32_t)(ab >> digit * bits) & ((1u << bits) - 1), bits, sign);
}

/* Bit i: part i of d is written, or counts. */
static uint32_t written_parts(int64_t sel, uint32_t n)
{
    uint32_t parts = sel ? 0 : (1u << n) - 1;
    for (uint32_t i = 0; i < select_count(sel); i++)
        parts |= 1u << ((uint32_t)sel >> 4 * i & 15);
    return parts;
}

static void video_simd(Warp *w, const XInsn *in, uint32_t mask)
{
    const CodeInsn *ci = in->ci;
    const CodeOpd *d = opd(w, in, 0), *a = opd(w, in, 1), *b = opd(w, in, 2);
    uint32_t n = ci->op >= OP_VADD4 ? 4 : 2, bits = 32 / n, parts = written_parts(d->imm, n);
    uint32_t of_a = n == 4 ? 0x3210 : 0x10, of_b = n == 4 ? 0x7654 : 0x32;
    uint32_t *to = opd_row(w, d, 0);
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t l = first_lane(m), c = opd_row(w, opd(w, in, 3), 0)[l], sum = c, merged = c;
        uint64_t ab = opd_row(w, a, 0)[l] | (uint64_t)opd_row(w, b, 0)[l] << 32;
        for (uint32_t i = 0; i < n; i++) {
            int64_t v = operate(ci, selected(ab, a->imm, of_a, i, bits, is_signed(ci, 1)),
                                selected(ab, b->imm, of_b, i, bits, is_signed(ci, 2)));
            if (ci->mod[MC_SAT])
                v = clamp(v, bits, is_signed(ci, 0));
            if (!(parts >> i & 1))
                continue;
            uint32_t field = ((1u << bits) - 1) << bits * i;
            sum += (uint32_t)v;
            merged = (merged & ~field) | ((uint32_t)v << bits * i & field);
        }
        to[l] = ci->mod[MC_SECOP] ? sum : merged;
    }
}

/* Is this one of the forms in which the manual and the hardware agree? */
bool exec_video(const Code *c, const CodeInsn *in, Bound *out)
{
    int64_t part = c->opds[in->opd].imm;
    bool high = part & SELECT_HALF && part & 1, sat = in->mod[MC_SAT];
    bool all_u32 = in->type[0] == T_U32 && in->type[1] == T_U32 && in->type[2] == T_U32;
    out->plain = video;
    return !high && !(part && sat) && in->mod[MC_SECOP] <= MV_SECOP_ADD &&
           !(sat && (in->op == OP_VSHL || (in->op == OP_VADD && all_u32)));
}

bool exec_video_mad(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    out->plain = video_mad;
    return !in->mod[MC_VSCALE];
}

BIND_PLAIN(video_simd, video_simd)
