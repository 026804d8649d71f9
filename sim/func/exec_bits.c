/* Bit counting, bit fields, byte permutation, funnel shifts, three-input logic. PTX ISA "Integer
 * Arithmetic", "Logic and Shift", "prmt". */
#include "sim/func/exec_decl.h"
#include "sim/func/vec.h"

static bool bind(PlainFn *fn, Bound *out)
{
    out->plain = fn;
    return fn != NULL;
}

static const VecInts *ints(const Bound *b)
{
    return &vec_fns(b->isa)->i;
}

static PlainFn *by_type(PlainFn *const fn[VI_TYPES], const CodeInsn *in)
{
    VecInt t = vec_int(in->type[0]);
    return t == VI_TYPES ? NULL : fn[t];
}

static bool is_wrap(const CodeInsn *in)
{
    return in->mod[MC_SHF] == MV_SHF_WRAP;
}

#define BIND_BITS(name, fn)                                                                        \
    bool exec_##name(const Code *c, const CodeInsn *in, Bound *out)                                \
    {                                                                                              \
        (void)c, (void)in;                                                                         \
        return bind(fn, out);                                                                      \
    }
#define BY_TYPE(field) by_type(ints(out)->field, in)

/* clang-format off */
BIND_BITS(popc, BY_TYPE(popc))
BIND_BITS(clz, BY_TYPE(clz))
BIND_BITS(brev, BY_TYPE(brev))
BIND_BITS(bfind, BY_TYPE(bfind))
BIND_BITS(bfind_shiftamt, BY_TYPE(bfind_shiftamt))
BIND_BITS(bfe, BY_TYPE(bfe))
BIND_BITS(bfi, BY_TYPE(bfi))
BIND_BITS(lop3, ints(out)->lop3)
BIND_BITS(shf_l, ints(out)->shf_l[is_wrap(in)])
BIND_BITS(shf_r, ints(out)->shf_r[is_wrap(in)])
BIND_BITS(szext, ints(out)->szext[is_wrap(in)][in->type[0] == T_S32])
BIND_BITS(bmsk, ints(out)->bmsk[is_wrap(in)])
/* clang-format on */

static uint32_t lop3_bits(uint32_t a, uint32_t b, uint32_t c, uint32_t lut)
{
    uint32_t r = 0;
    for (uint32_t k = 0; k < 8; k++)
        if (lut >> k & 1)
            r |= (k & 4 ? a : ~a) & (k & 2 ? b : ~b) & (k & 1 ? c : ~c);
    return r;
}

/* lop3.{or,and} d|p, a, b, c, lut, q: p = (d != 0) op q. */
static void lop3_bool(Warp *w, const XInsn *in, uint32_t mask)
{
    uint32_t nonzero = 0, q = pred_lanes(w, in->pred[1], in->pred_neg >> 1 & 1);
    for (uint32_t i = 0; i < WARP; i++) {
        uint32_t r = lop3_bits(row(w, in->row[1])[i], row(w, in->row[2])[i], row(w, in->row[3])[i],
                               row(w, in->row[4])[i]);
        nonzero |= (uint32_t)(r != 0) << i;
        if (mask >> i & 1)
            row(w, in->row[0])[i] = r;
    }
    set_pred(w, in->pred[0], mask, in->ci->mod[MC_BOOL] == MV_BOOL_OR ? nonzero | q : nonzero & q);
}

BIND_BITS(lop3_bool, lop3_bool)

/* The selector of the generic mode that a special mode amounts to: row = mode, column = low two
 * bits of c. */
static void prmt_mode(Warp *w, const XInsn *in, uint32_t mask)
{
    static const uint16_t selector[][4] = {
        [MV_PRMT_F4E] = {0x3210, 0x4321, 0x5432, 0x6543},
        [MV_PRMT_B4E] = {0x5670, 0x6701, 0x7012, 0x0123},
        [MV_PRMT_RC8] = {0x0000, 0x1111, 0x2222, 0x3333},
        [MV_PRMT_ECL] = {0x3210, 0x3211, 0x3222, 0x3333},
        [MV_PRMT_ECR] = {0x0000, 0x1110, 0x2210, 0x3210},
        [MV_PRMT_RC16] = {0x1010, 0x3232, 0x1010, 0x3232},
    };
    const uint16_t *sel = selector[in->ci->mod[MC_PRMT]];
    for (uint32_t i = 0; i < WARP; i++) {
        uint64_t v = row(w, in->row[1])[i] | (uint64_t)row(w, in->row[2])[i] << 32;
        uint32_t s = sel[row(w, in->row[3])[i] & 3], r = 0;
        for (uint32_t k = 0; k < 4; k++)
            r |= (uint32_t)(v >> 8 * (s >> 4 * k & 7) & 0xff) << 8 * k;
        if (mask >> i & 1)
            row(w, in->row[0])[i] = r;
    }
}

BIND_BITS(prmt, in->mod[MC_PRMT] ? prmt_mode : ints(out)->prmt)
