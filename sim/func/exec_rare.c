/* Integer instructions that kernels use now and then: saturating, with carry, 24-bit, packed, dot
 * products, cvt.pack. PTX ISA "Integer Arithmetic", "Extended-Precision Arithmetic", "cvt.pack". */
#include "sim/func/exec_decl.h"
#include "sim/func/vec.h"

static const VecRare *rare(const Bound *b)
{
    return &vec_fns(b->isa)->r;
}

static bool bind(PlainFn *fn, Bound *out)
{
    out->plain = fn;
    return fn != NULL;
}

/* Index of the tables by signedness, of type modifier k. */
static uint32_t sign(const CodeInsn *in, uint32_t k)
{
    return type_info[in->type[k]].kind == 'S';
}

static uint32_t high(const CodeInsn *in)
{
    return in->mod[MC_MUL] == MV_MUL_HI;
}

/* 2, 4, 8, 16 bits: 0 to 3. */
static uint32_t pack_width(const CodeInsn *in)
{
    switch (in->type[0]) {
    case T_U2:
    case T_S2:
        return 0;
    case T_U4:
    case T_S4:
        return 1;
    case T_U8:
    case T_S8:
        return 2;
    default:
        return 3;
    }
}

static PlainFn *by_type(PlainFn *const fn[VI_TYPES], const CodeInsn *in)
{
    VecInt t = vec_int(in->type[0]);
    return t == VI_TYPES ? NULL : fn[t];
}

#define BIND_RARE(name, fn)                                                                        \
    bool exec_##name(const Code *c, const CodeInsn *in, Bound *out)                                \
    {                                                                                              \
        (void)c, (void)in;                                                                         \
        const VecRare *r = rare(out);                                                              \
        return bind(fn, out);                                                                      \
    }

/* clang-format off */
BIND_RARE(add_sat, r->add_sat)
BIND_RARE(sub_sat, r->sub_sat)
BIND_RARE(mad_hi_sat, r->mad_hi_sat)
BIND_RARE(mad24_hi_sat, r->mad24_hi_sat)
BIND_RARE(add_x2, r->add_x2)
BIND_RARE(sad, by_type(r->sad, in))
BIND_RARE(mul24, r->mul24[high(in)][sign(in, 0)])
BIND_RARE(mad24, r->mad24[high(in)][sign(in, 0)])
BIND_RARE(min_x2, r->min_x2[sign(in, 0)])
BIND_RARE(max_x2, r->max_x2[sign(in, 0)])
BIND_RARE(min_relu, r->min_relu[in->type[0] == T_S16X2])
BIND_RARE(max_relu, r->max_relu[in->type[0] == T_S16X2])
BIND_RARE(fns, r->fns)
BIND_RARE(dp4a, r->dp4a[sign(in, 0)][sign(in, 1)])
BIND_RARE(dp2a, r->dp2a[high(in)][sign(in, 0)][sign(in, 1)])
BIND_RARE(cvt_pack, r->pack[pack_width(in)][sign(in, 0)])
BIND_RARE(carry_add, by_type(r->carry_add, in))
BIND_RARE(carry_sub, by_type(r->carry_sub, in))
BIND_RARE(carry_mad, by_type(r->carry_mad[high(in)], in))
/* clang-format on */
