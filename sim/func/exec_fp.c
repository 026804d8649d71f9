/* f32 and f32x2 arithmetic and functions: table entries by rounding and modifiers. PTX ISA
 * "Floating Point Instructions", "Half Precision ..." are in exec_f16.c, f64 in exec_f64.c. */
#include "sim/func/exec_decl.h"
#include "sim/func/vec.h"

static const VecFloats *floats(const Bound *b)
{
    return &vec_fns(b->isa)->f;
}

/* .rn if none is written. */
static uint32_t rnd(const CodeInsn *in)
{
    uint32_t v = in->mod[MC_RND];
    return v ? v - MV_RND_RN : 0;
}

static uint32_t ftz(const CodeInsn *in)
{
    return in->mod[MC_FTZ] != 0;
}

static uint32_t sat(const CodeInsn *in)
{
    return in->mod[MC_SAT] != 0;
}

static uint32_t nan_wins(const CodeInsn *in)
{
    return in->mod[MC_NAN] != 0;
}

static bool bind(PlainFn *fn, Bound *out)
{
    out->plain = fn;
    return fn != NULL;
}

#define BIND_FP(name, fn)                                                                          \
    bool exec_##name(const Code *c, const CodeInsn *in, Bound *out)                                \
    {                                                                                              \
        (void)c, (void)in;                                                                         \
        const VecFloats *f = floats(out);                                                          \
        return bind(f->fn, out);                                                                   \
    }

/* clang-format off */
BIND_FP(add_f32, add[rnd(in)][ftz(in)][sat(in)])
BIND_FP(sub_f32, sub[rnd(in)][ftz(in)][sat(in)])
BIND_FP(mul_f32, mul[rnd(in)][ftz(in)][sat(in)])
BIND_FP(fma_f32, fma[rnd(in)][ftz(in)][sat(in)])
BIND_FP(add_f32x2, add2[rnd(in)][ftz(in)])
BIND_FP(sub_f32x2, sub2[rnd(in)][ftz(in)])
BIND_FP(mul_f32x2, mul2[rnd(in)][ftz(in)])
BIND_FP(fma_f32x2, fma2[rnd(in)][ftz(in)])
BIND_FP(min3_f32, min3[ftz(in)][nan_wins(in)][in->mod[MC_ABS] != 0])
BIND_FP(max3_f32, max3[ftz(in)][nan_wins(in)][in->mod[MC_ABS] != 0])
BIND_FP(neg_f32, neg[ftz(in)])
BIND_FP(abs_f32, abs[ftz(in)])
BIND_FP(ex2_f32, ex2[ftz(in)])
BIND_FP(lg2_f32, lg2[ftz(in)])
BIND_FP(sin_f32, sin)
BIND_FP(cos_f32, cos)
BIND_FP(rsqrt_f32, rsqrt[ftz(in)])
BIND_FP(tanh_f32, tanh)
/* clang-format on */

bool exec_min_f32(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    const VecFloats *f = floats(out);
    return bind((in->mod[MC_XSA] ? f->min_xorsign : f->min)[ftz(in)][nan_wins(in)], out);
}

bool exec_max_f32(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    const VecFloats *f = floats(out);
    return bind((in->mod[MC_XSA] ? f->max_xorsign : f->max)[ftz(in)][nan_wins(in)], out);
}

bool exec_rcp_f32(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    const VecFloats *f = floats(out);
    return bind(in->mod[MC_PREC] ? f->rcp_approx[ftz(in)] : f->rcp[rnd(in)][ftz(in)], out);
}

bool exec_sqrt_f32(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    const VecFloats *f = floats(out);
    return bind(in->mod[MC_PREC] ? f->sqrt_approx[ftz(in)] : f->sqrt[rnd(in)][ftz(in)], out);
}

bool exec_div_f32(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    const VecFloats *f = floats(out);
    uint8_t prec = in->mod[MC_PREC];
    return bind(prec == MV_PREC_APPROX ? f->div_approx[ftz(in)]
                : prec == MV_PREC_FULL ? f->div_full[ftz(in)]
                                       : f->div[rnd(in)][ftz(in)],
                out);
}
