/* Instructions in which the lanes of a warp exchange values: all 32 at once, by the member mask.
 * PTX ISA "shfl.sync", "vote.sync", "match.sync", "redux.sync", "elect.sync", "activemask". */
#include "sim/func/exec_decl.h"
#include "sim/func/vec.h"

#define BIND_WARP(name)                                                                            \
    bool exec_##name(const Code *c, const CodeInsn *in, Bound *out)                                \
    {                                                                                              \
        (void)c, (void)in;                                                                         \
        out->plain = name;                                                                         \
        return true;                                                                               \
    }

/* The lanes that take part: named by the member mask, the last operand, and here. */
static uint32_t members(const Warp *w, const XInsn *in, uint32_t mask)
{
    return row(w, in->row[in->n_rows - 1])[first_lane(mask)] & mask;
}

static void put_all(const Warp *w, uint32_t o, uint32_t mask, uint32_t v)
{
    uint32_t *d = row(w, o);
    for (uint32_t i = 0; i < WARP; i++)
        d[i] = mask >> i & 1 ? v : d[i];
}

/* shfl d|p, a, b, c: the source lane j by mode, in the segment that c gives (bits 12-8: segment
 * mask, 4-0: clamp); out of range keeps one's own value. */
static uint32_t shfl_source(uint8_t mode, uint32_t lane, uint32_t b, uint32_t c, bool *in_range)
{
    uint32_t clamp = c & 31, seg = c >> 8 & 31, bval = b & 31;
    uint32_t max_lane = (lane & seg) | (clamp & ~seg), min_lane = lane & seg;
    int32_t j = 0;
    switch (mode) {
    case MV_SHFL_UP:
        j = (int32_t)lane - (int32_t)bval;
        *in_range = j >= (int32_t)max_lane;
        break;
    case MV_SHFL_DOWN:
        j = (int32_t)(lane + bval);
        *in_range = j <= (int32_t)max_lane;
        break;
    case MV_SHFL_BFLY:
        j = (int32_t)(lane ^ bval);
        *in_range = j <= (int32_t)max_lane;
        break;
    default:
        j = (int32_t)(min_lane | (bval & ~seg));
        *in_range = j <= (int32_t)max_lane;
    }
    return *in_range ? (uint32_t)j & 31 : lane;
}

static void shfl(Warp *w, const XInsn *in, uint32_t mask)
{
    const uint32_t *a = row(w, in->row[1]), *b = row(w, in->row[2]), *c = row(w, in->row[3]);
    uint8_t mode = in->ci->mod[MC_SHFL];
    uint32_t t[WARP], p = 0;
    for (uint32_t i = 0; i < WARP; i++) {
        bool in_range;
        t[i] = a[shfl_source(mode, i, b[i], c[i], &in_range)];
        p |= (uint32_t)in_range << i;
    }
    uint32_t *d = row(w, in->row[0]);
    for (uint32_t i = 0; i < WARP; i++)
        d[i] = mask >> i & 1 ? t[i] : d[i];
    if (in->n_preds > 0)
        set_pred(w, in->pred[0], mask, p);
}

static void vote(Warp *w, const XInsn *in, uint32_t mask)
{
    uint32_t m = members(w, in, mask);
    uint32_t yes = pred_lanes(w, in->pred[1], in->pred_neg >> 1 & 1) & m;
    bool r = false;
    switch (in->ci->mod[MC_VOTE]) {
    case MV_VOTE_ALL:
        r = yes == m;
        break;
    case MV_VOTE_ANY:
        r = yes != 0;
        break;
    case MV_VOTE_UNI:
        r = yes == m || yes == 0;
        break;
    }
    set_pred(w, in->pred[0], mask, r ? FULL_MASK : 0);
}

static void vote_ballot(Warp *w, const XInsn *in, uint32_t mask)
{
    uint32_t yes = pred_lanes(w, in->pred[0], in->pred_neg & 1) & members(w, in, mask);
    put_all(w, in->row[0], mask, yes);
}

/* Operand a of a match: one slot or two. */
static uint64_t match_value(const Warp *w, const XInsn *in, uint32_t lane)
{
    uint64_t v = row(w, in->row[1])[lane];
    return in->n_rows > 3 ? v | (uint64_t)row(w, in->row[2])[lane] << 32 : v;
}

static void match_any(Warp *w, const XInsn *in, uint32_t mask)
{
    uint32_t m = members(w, in, mask), t[WARP];
    for (uint32_t i = 0; i < WARP; i++) {
        t[i] = 0;
        for (uint32_t j = 0; j < WARP; j++)
            if ((m >> j & 1) && match_value(w, in, j) == match_value(w, in, i))
                t[i] |= 1u << j;
    }
    uint32_t *d = row(w, in->row[0]);
    for (uint32_t i = 0; i < WARP; i++)
        d[i] = mask >> i & 1 ? t[i] : d[i];
}

static void match_all(Warp *w, const XInsn *in, uint32_t mask)
{
    uint32_t m = members(w, in, mask);
    bool same = true;
    for (uint32_t i = 0; i < WARP; i++)
        if (m >> i & 1)
            same = same && match_value(w, in, i) == match_value(w, in, first_lane(m));
    put_all(w, in->row[0], mask, same ? m : 0);
    if (in->n_preds > 0)
        set_pred(w, in->pred[0], mask, same ? FULL_MASK : 0);
}

static void activemask(Warp *w, const XInsn *in, uint32_t mask)
{
    put_all(w, in->row[0], mask, w->mask);
}

static uint32_t reduce_bits(uint8_t op, bool is_signed, uint32_t a, uint32_t b)
{
    bool less = is_signed ? (int32_t)a < (int32_t)b : a < b;
    switch (op) {
    case MV_REDOP_ADD:
        return a + b;
    case MV_REDOP_MIN:
        return less ? a : b;
    case MV_REDOP_MAX:
        return less ? b : a;
    case MV_REDOP_AND:
        return a & b;
    case MV_REDOP_OR:
        return a | b;
    default:
        return a ^ b;
    }
}

static void redux(Warp *w, const XInsn *in, uint32_t mask)
{
    const CodeInsn *ci = in->ci;
    const uint32_t *a = row(w, in->row[1]);
    uint32_t m = members(w, in, mask), first = first_lane(m ? m : mask), r = a[first];
    for (uint32_t i = first + 1; i < WARP; i++)
        if (m >> i & 1)
            r = reduce_bits(ci->mod[MC_REDOP], ci->type[0] == T_S32, r, a[i]);
    put_all(w, in->row[0], mask, r);
}

static uint32_t pick_f32(const CodeInsn *ci, uint32_t a, uint32_t b)
{
    bool na = num_is_nan_f32(a), nb = num_is_nan_f32(b);
    if (na || nb)
        return ci->mod[MC_NAN] || (na && nb) ? 0x7FFFFFFFu : na ? b : a;
    bool less = num_float(a) < num_float(b) || (num_float(a) == num_float(b) && a >> 31 > b >> 31);
    return (ci->mod[MC_REDOP] == MV_REDOP_MIN) == less ? a : b;
}

static void redux_f32(Warp *w, const XInsn *in, uint32_t mask)
{
    const CodeInsn *ci = in->ci;
    const uint32_t *a = row(w, in->row[1]);
    uint32_t m = members(w, in, mask), keep = ci->mod[MC_ABS] ? 0x7FFFFFFFu : UINT32_MAX;
    uint32_t first = first_lane(m ? m : mask), r = num_canon_f32(a[first] & keep);
    for (uint32_t i = first + 1; i < WARP; i++)
        if (m >> i & 1)
            r = pick_f32(ci, r, a[i] & keep);
    put_all(w, in->row[0], mask, r);
}

/* The leader is the lowest lane of the member mask: ptx.md 3.12. */
static void elect(Warp *w, const XInsn *in, uint32_t mask)
{
    uint32_t m = members(w, in, mask), leader = first_lane(m ? m : mask);
    put_all(w, in->row[0], mask, leader);
    set_pred(w, in->pred[0], mask, 1u << leader);
}

BIND_WARP(shfl)
BIND_WARP(vote)
BIND_WARP(vote_ballot)
BIND_WARP(match_any)
BIND_WARP(match_all)
BIND_WARP(activemask)
BIND_WARP(redux)
BIND_WARP(redux_f32)
BIND_WARP(elect)
