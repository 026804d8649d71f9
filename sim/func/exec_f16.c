/* f16, bf16 and their packed pairs, and f32 arithmetic with 16-bit operands: table entries by type
 * and modifiers. PTX ISA "Half Precision Floating Point Instructions", "Mixed Precision Floating
 * Point Instructions". */
#include "sim/func/exec_decl.h"
#include "sim/func/vec.h"

static const VecHalves *halves(const Bound *b)
{
    return &vec_fns(b->isa)->h;
}

static bool bind(PlainFn *fn, Bound *out)
{
    out->plain = fn;
    return fn != NULL;
}

static bool is_bf16(const CodeInsn *in, uint32_t k)
{
    return in->type[k] == T_BF16 || in->type[k] == T_BF16X2;
}

static uint32_t has(const CodeInsn *in, ModClass c)
{
    return in->mod[c] != 0;
}

static uint32_t rnd(const CodeInsn *in)
{
    return in->mod[MC_RND] ? in->mod[MC_RND] - MV_RND_RN : 0;
}

/* 0 f16, 1 f16 with .ftz, 2 bf16 */
static uint32_t kind(const CodeInsn *in)
{
    return is_bf16(in, 0) ? 2 : has(in, MC_FTZ);
}

static PlainFn *fused(const VecHalves *h, const CodeInsn *in)
{
    if (is_bf16(in, 0))
        return h->fma_bf16[has(in, MC_RELU)];
    if (has(in, MC_RELU))
        return h->fma_relu[has(in, MC_FTZ)];
    return h->fma[has(in, MC_FTZ)][has(in, MC_SAT)];
}

#define BIND_HALF(name, fn)                                                                        \
    bool exec_##name(const Code *c, const CodeInsn *in, Bound *out)                                \
    {                                                                                              \
        (void)c, (void)in;                                                                         \
        const VecHalves *h = halves(out);                                                          \
        return bind(fn, out);                                                                      \
    }

/* clang-format off */
BIND_HALF(add_f16, is_bf16(in, 0) ? h->add_bf16 : h->add[has(in, MC_FTZ)][has(in, MC_SAT)])
BIND_HALF(sub_f16, is_bf16(in, 0) ? h->sub_bf16 : h->sub[has(in, MC_FTZ)][has(in, MC_SAT)])
BIND_HALF(mul_f16, is_bf16(in, 0) ? h->mul_bf16 : h->mul[has(in, MC_FTZ)][has(in, MC_SAT)])
BIND_HALF(fma_f16, fused(h, in))
BIND_HALF(fma_oob, h->fma_oob[is_bf16(in, 0)][has(in, MC_RELU)])
BIND_HALF(min_f16, h->min[kind(in)][has(in, MC_NAN)][has(in, MC_XSA)])
BIND_HALF(max_f16, h->max[kind(in)][has(in, MC_NAN)][has(in, MC_XSA)])
BIND_HALF(neg_f16, h->neg[kind(in)])
BIND_HALF(abs_f16, h->abs[kind(in)])
BIND_HALF(ex2_f16, h->ex2[is_bf16(in, 0)])
BIND_HALF(tanh_f16, h->tanh[is_bf16(in, 0)])
/* type[0] is .f32, type[1] that of the halves */
BIND_HALF(add_mixed, h->add_mixed[is_bf16(in, 1)][rnd(in)][has(in, MC_SAT)])
BIND_HALF(sub_mixed, h->sub_mixed[is_bf16(in, 1)][rnd(in)][has(in, MC_SAT)])
BIND_HALF(fma_mixed, h->fma_mixed[is_bf16(in, 1)][rnd(in)][has(in, MC_SAT)])
/* clang-format on */
