/* Integer arithmetic, logic and shifts: one table entry by operand type. PTX ISA "Integer
 * Arithmetic Instructions", "Logic and Shift Instructions". */
#include "sim/func/exec_decl.h"
#include "sim/func/vec.h"

VecInt vec_int(PtxType t)
{
    const TypeInfo *ti = &type_info[t];
    bool is_signed = ti->kind == 'S';
    if (ti->count != 1 || ti->kind == 'P')
        return VI_TYPES;
    switch (ti->bits) {
    case 8:
    case 16:
        return is_signed ? VI_S16 : VI_U16;
    case 32:
        return is_signed ? VI_S32 : VI_U32;
    case 64:
        return is_signed ? VI_S64 : VI_U64;
    default:
        return VI_TYPES;
    }
}

static const VecInts *ints(const Bound *b)
{
    return &vec_fns(b->isa)->i;
}

static bool by_type(PlainFn *const fn[VI_TYPES], const CodeInsn *in, Bound *out)
{
    VecInt t = vec_int(in->type[0]);
    if (t == VI_TYPES)
        return false;
    out->plain = fn[t];
    return out->plain != NULL;
}

#define BIND_BY_TYPE(name, field)                                                                  \
    bool exec_##name(const Code *c, const CodeInsn *in, Bound *out)                                \
    {                                                                                              \
        (void)c;                                                                                   \
        return by_type(ints(out)->field, in, out);                                                 \
    }

/* clang-format off */
BIND_BY_TYPE(add_int, add)
BIND_BY_TYPE(sub_int, sub)
BIND_BY_TYPE(mul_wide, mul_wide)
BIND_BY_TYPE(mad_wide, mad_wide)
BIND_BY_TYPE(div_int, div)
BIND_BY_TYPE(rem_int, rem)
BIND_BY_TYPE(min_int, min)
BIND_BY_TYPE(max_int, max)
BIND_BY_TYPE(neg_int, neg)
BIND_BY_TYPE(abs_int, abs)
BIND_BY_TYPE(and_bits, and_)
BIND_BY_TYPE(or_bits, or_)
BIND_BY_TYPE(xor_bits, xor_)
BIND_BY_TYPE(not_bits, not_)
BIND_BY_TYPE(cnot, cnot)
BIND_BY_TYPE(shl, shl)
BIND_BY_TYPE(shr, shr)
/* clang-format on */

bool exec_mul_int(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    const VecInts *f = ints(out);
    return by_type(in->mod[MC_MUL] == MV_MUL_HI ? f->mul_hi : f->mul_lo, in, out);
}

bool exec_mad_int(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    const VecInts *f = ints(out);
    return by_type(in->mod[MC_MUL] == MV_MUL_HI ? f->mad_hi : f->mad_lo, in, out);
}
