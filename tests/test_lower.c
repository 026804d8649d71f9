/* Lowering: counts of machine operations against what ptxas makes of the same PTX, unchanged
 * meaning against a second evaluator on random programs, wait loops, uniformity, dependences,
 * register slots. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/lower/code.h"
#include "sim/lower/front.h"
#include "sim/model/model.h"

static const CodeLayout layout = {.global_base = 0x7f0000000000,
                                  .const_base = 0x7f0000100000,
                                  .param_window = 0x7e2000000000,
                                  .local_window = 0x7e1000000000,
                                  .shared_window = 0x7e0000000000};
static const CodeLayout clustered = {.global_base = 0x7f0000000000,
                                     .const_base = 0x7f0000100000,
                                     .param_window = 0x7e2000000000,
                                     .local_window = 0x7e1000000000,
                                     .shared_window = 0x7e0000000000,
                                     .clustered = true};

static Arena arena;
static Model model;

static void fail_with(const Err *err)
{
    err_print(stderr, err);
    ck_abort_msg("%s", err->msg);
}

static const char head[] = ".version 9.0\n.target sm_100a\n.address_size 64\n";

/* Lowers an entry whose body is given; common registers are declared. */
static Code *lower_body(const char *body, const CodeLayout *l, const Model *m)
{
    char *text = arena_printf(
        &arena,
        "%s.extern .shared .align 1024 .b8 smem[];\n"
        ".visible .entry k(.param .u64 out, .param .u32 n, .param .align 64 .b8 map[128]) {\n"
        ".reg .pred %%p<20>; .reg .b16 %%h<20>; .reg .b32 %%r<99>; .reg .f32 %%f<400>;\n"
        ".reg .b64 %%rd<99>;\n%s\nret;\n}\n",
        head, body);
    Err err = {0};
    Module *mod;
    const Func *f;
    Code *c = NULL;
    if (!isa_parse(&arena, "body.ptx", text, strlen(text), &mod, &err) ||
        !isa_find_entry(mod, NULL, &f, &err) || !code_lower(&arena, mod, f, l, m, &c, &err))
        fail_with(&err);
    return c;
}

static Code *lower(const char *body)
{
    return lower_body(body, &layout, NULL);
}

static uint32_t count_class(const Code *c, TClass t)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n_ops; i++)
        n += c->ops[i].tclass == t;
    return n;
}

static uint32_t count_row(const Code *c, OpCode op)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n_insns; i++)
        n += c->insns[i].op == op;
    return n;
}

static uint32_t count_flag(const Code *c, uint32_t flag)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n_insns; i++)
        n += (c->insns[i].flags & flag) != 0;
    return n;
}

#define LOAD_F "ld.param.u64 %rd1,[out]; ld.global.v4.f32 {%f1,%f2,%f3,%f4},[%rd1];\n"
#define LOAD_R "ld.param.u64 %rd1,[out]; ld.global.v4.u32 {%r1,%r2,%r3,%r4},[%rd1];\n"
#define STORE_F "st.global.f32 [%rd1],%f9;\n"
#define STORE_R "st.global.u32 [%rd1],%r9;\n"

/* ---- Transformations, one by one: expected machine operations besides ld.param, ld, st, ret ----
 */

typedef struct Case {
    const char *name, *body;
    uint32_t n_ops; /* in all, without LDC, LDG, STG and the exit */
    TClass tclass;  /* of which n are of this class */
    uint32_t n;
} Case;

/* clang-format off */
static const Case cases[] = {
    {"moves vanish", LOAD_F "mov.b64 %rd2,{%f1,%f2}; mov.b64 {%f5,%f6},%rd2; mov.f32 %f9,%f5;" STORE_F, 0, TC_ALU, 0},
    {"f32x2 sees through packs", LOAD_F "mov.b64 %rd2,{%f1,%f2}; mov.b64 %rd3,{%f3,%f4}; add.rn.f32x2 %rd4,%rd2,%rd3;"
     "mov.b64 {%f9,%f5},%rd4;" STORE_F "st.global.f32 [%rd1+4],%f5;", 1, TC_FMA2, 1},
    {"mul + add", LOAD_F "mul.f32 %f5,%f1,%f2; add.f32 %f9,%f5,%f3;" STORE_F, 1, TC_FMA, 1},
    {"mul.rn + add.rn stay apart", LOAD_F "mul.rn.f32 %f5,%f1,%f2; add.rn.f32 %f9,%f5,%f3;" STORE_F, 2, TC_FMA, 2},
    {"mul - c", LOAD_F "mul.f32 %f5,%f1,%f2; sub.f32 %f9,%f5,%f3;" STORE_F, 1, TC_FMA, 1},
    {"c - mul", LOAD_F "mul.f32 %f5,%f1,%f2; sub.f32 %f9,%f3,%f5;" STORE_F, 1, TC_FMA, 1},
    {"mul with two readers stays", LOAD_F "mul.f32 %f5,%f1,%f2; add.f32 %f9,%f5,%f3; st.global.f32 [%rd1+8],%f5;"
     STORE_F, 2, TC_FMA, 2},
    {"f32x2 fuses even with .rn", LOAD_F "mov.b64 %rd2,{%f1,%f2}; mov.b64 %rd3,{%f3,%f4}; mul.rn.f32x2 %rd4,%rd2,%rd3;"
     "add.rn.f32x2 %rd5,%rd4,%rd3; st.global.u64 [%rd1],%rd5;", 1, TC_FMA2, 1},
    {"f32x2 of other rounding does not", LOAD_F "mov.b64 %rd2,{%f1,%f2}; mov.b64 %rd3,{%f3,%f4};"
     "mul.rn.f32x2 %rd4,%rd2,%rd3; add.rm.f32x2 %rd5,%rd4,%rd3; st.global.u64 [%rd1],%rd5;", 2, TC_FMA2, 2},
    {"neg is a modifier", LOAD_F "neg.f32 %f5,%f1; mul.f32 %f9,%f5,%f2;" STORE_F, 1, TC_FMA, 1},
    {"max of three", LOAD_F "max.f32 %f5,%f1,%f2; max.f32 %f9,%f5,%f3;" STORE_F, 1, TC_MINMAX, 1},
    {"max of four", LOAD_F "max.f32 %f5,%f1,%f2; max.f32 %f6,%f5,%f3; max.f32 %f9,%f6,%f4;" STORE_F, 2, TC_MINMAX, 2},
    {"max.NaN and max do not mix", LOAD_F "max.NaN.f32 %f5,%f1,%f2; max.f32 %f9,%f5,%f3;" STORE_F, 2, TC_MINMAX, 2},
    {"IADD3", LOAD_R "add.s32 %r5,%r1,%r2; add.s32 %r9,%r5,%r3;" STORE_R, 1, TC_ALU, 1},
    {"IADD3 takes two", LOAD_R "add.s32 %r5,%r1,%r2; add.s32 %r6,%r5,%r3; add.s32 %r9,%r6,%r4;" STORE_R, 2, TC_ALU, 2},
    {"constants add up", LOAD_R "add.s32 %r5,%r1,3; add.s32 %r6,%r5,4; add.s32 %r9,%r6,5;" STORE_R, 1, TC_ALU, 1},
    {"LOP3", LOAD_R "and.b32 %r5,%r1,%r2; xor.b32 %r9,%r5,%r3;" STORE_R, 1, TC_ALU, 1},
    {"LEA", LOAD_R "shl.b32 %r5,%r1,3; add.s32 %r9,%r5,%r2;" STORE_R, 1, TC_ALU, 1},
    {"IMAD", LOAD_R "mul.lo.s32 %r5,%r1,%r2; add.s32 %r9,%r5,%r3;" STORE_R, 1, TC_IMAD, 1},
    {"IMAD.WIDE", LOAD_R "mul.wide.s32 %rd2,%r1,%r2; add.s64 %rd3,%rd2,%rd1; st.global.u64 [%rd1],%rd3;", 1,
     TC_IMAD_WIDE, 1},
    {"ISETP with a boolean", LOAD_R "setp.lt.s32 %p1,%r1,%r2; setp.gt.s32 %p2,%r3,%r4; and.pred %p3,%p1,%p2;"
     "selp.b32 %r9,%r1,%r2,%p3;" STORE_R, 3, TC_ALU, 3},
    {"selp(1,0) tested again", LOAD_R "setp.lt.s32 %p1,%r1,%r2; selp.u32 %r5,1,0,%p1; setp.ne.s32 %p2,%r5,0;"
     "selp.b32 %r9,%r3,%r4,%p2;" STORE_R, 2, TC_ALU, 2},
    {"not.pred is a complemented use", LOAD_R "setp.lt.s32 %p1,%r1,%r2; not.pred %p2,%p1; selp.b32 %r9,%r3,%r4,%p2;"
     STORE_R, 2, TC_ALU, 2},
    {"u32 to u64 is a rename", LOAD_R "cvt.u64.u32 %rd2,%r1; st.global.u64 [%rd1],%rd2;", 0, TC_ALU, 0},
    {"s32 to s64 is one shift", LOAD_R "cvt.s64.s32 %rd2,%r1; st.global.u64 [%rd1],%rd2;", 1, TC_ALU, 1},
    {"or of halves folds", LOAD_R "cvt.u64.u32 %rd2,%r1; or.b64 %rd3,%rd2,0x4000404000010000;"
     "st.global.u64 [%rd1],%rd3;", 1, TC_ALU, 1},
    {"halves pack with one PRMT", LOAD_R "mov.b32 {%h1,%h2},%r1; mov.b32 %r9,{%h2,%h1};" STORE_R, 2, TC_ALU, 2},
    {"two narrowing converts and a pack are one F2FP", LOAD_F "cvt.rn.bf16.f32 %h1,%f1; cvt.rn.bf16.f32 %h2,%f2;"
     "mov.b32 %r9,{%h1,%h2};" STORE_R, 1, TC_F2FP, 1},
    {"offsets go into addresses", LOAD_R "add.s64 %rd2,%rd1,16; ld.global.u32 %r9,[%rd2+4];" STORE_R, 0, TC_ALU, 0},
    {"dead code goes", LOAD_R "mul.lo.s32 %r5,%r1,%r2; add.s32 %r6,%r5,1; mov.u32 %r9,%r4;" STORE_R, 0, TC_IMAD, 0},
    {"constants fold", LOAD_R "mov.u32 %r5,6; mul.lo.s32 %r6,%r5,7; shl.b32 %r7,%r6,2; add.s32 %r9,%r7,%r1;" STORE_R, 1,
     TC_ALU, 1},
    {"fences without SASS are free", "tcgen05.fence::after_thread_sync; fence.mbarrier_init.release.cluster;", 0,
     TC_FENCE, 0},
    {"ex2 without ftz is four", LOAD_F "ex2.approx.f32 %f9,%f1;" STORE_F, 1, TC_EX2, 1},
    {"a release beyond the CTA has its MEMBAR", LOAD_R "mbarrier.arrive.release.cluster.shared::cluster.b64 _,[%r1];", 2,
     TC_FENCE, 1},
    {"one within the CTA has none", LOAD_R "mbarrier.arrive.release.cta.shared::cta.b64 _,[%r1]; "
     "mbarrier.arrive.shared::cluster.b64 _,[%r2];", 2, TC_FENCE, 0},
    {"atomics: the scope left out is the GPU's", LOAD_R "red.release.global.add.u32 [%rd1],%r1; "
     "red.global.add.u32 [%rd1],%r2; atom.acq_rel.cta.global.add.u32 %r9,[%rd1],%r3;" STORE_R, 4, TC_FENCE, 1},
    {"two halves are two MUFU", LOAD_R "ex2.approx.f16x2 %r9,%r1;" STORE_R, 1, TC_EX2_PAIR, 1},
    {"one half is one", LOAD_R "mov.b32 {%h1,%h2},%r1; tanh.approx.f16 %h3,%h1; mov.b32 %r9,{%h3,%h2};" STORE_R, 3,
     TC_MUFU, 1},
    {"grid dimensions are constants", "ld.param.u64 %rd1,[out]; mov.u32 %r9,%nctaid.x;" STORE_R, 0, TC_S2R, 0},
};
/* clang-format on */

START_TEST(each_transformation_gives_the_operations_of_ptxas)
{
    const Case *k = &cases[_i];
    Code *c = lower(k->body);
    uint32_t frame = count_class(c, TC_LDC) + count_class(c, TC_LDG) + count_class(c, TC_STG) +
                     count_class(c, TC_BRANCH);
    if (c->n_ops - frame != k->n_ops || count_class(c, k->tclass) != k->n)
        code_print(stdout, c);
    ck_assert_msg(c->n_ops - frame == k->n_ops, "%s: %u operations, expected %u", k->name,
                  c->n_ops - frame, k->n_ops);
    ck_assert_msg(count_class(c, k->tclass) == k->n, "%s: %u of class %s, expected %u", k->name,
                  count_class(c, k->tclass), tclass_name[k->tclass], k->n);
}
END_TEST

START_TEST(a_contraction_is_executed_as_the_fused_row)
{
    ck_assert_uint_eq(
        count_row(lower(LOAD_F "mul.f32 %f5,%f1,%f2; add.f32 %f9,%f5,%f3;" STORE_F), OP_FMA_F32),
        1);
    ck_assert_uint_eq(
        count_row(lower(LOAD_F "mul.rn.f32 %f5,%f1,%f2; add.f32 %f9,%f5,%f3;" STORE_F), OP_FMA_F32),
        0);
    ck_assert_uint_eq(
        count_row(lower(LOAD_F "mul.ftz.f32 %f5,%f1,%f2; add.f32 %f9,%f5,%f3;" STORE_F),
                  OP_FMA_F32),
        0);
    Code *c =
        lower(LOAD_F "mul.f32 %f5,%f1,%f2; max.f32 %f6,%f3,%f4; add.f32 %f9,%f5,%f6;" STORE_F);
    for (uint32_t i = 0; i < c->n_insns; i++)
        if (c->insns[i].op == OP_FMA_F32)
            ck_assert_uint_eq(c->insns[i].mod[MC_RND], MV_RND_RN);
}
END_TEST

/* FMNMX3 is of sm_100; ptxas 13.0 for sm_90a writes two FMNMX. */
START_TEST(three_inputs_of_a_maximum_need_the_instruction)
{
    Err err = {0};
    Model h200;
    if (!model_load(&arena, "h200", &h200, &err))
        fail_with(&err);
    const char *body = LOAD_F "max.f32 %f5,%f1,%f2; max.f32 %f9,%f5,%f3;" STORE_F;
    ck_assert_uint_eq(count_class(lower_body(body, &layout, &model), TC_MINMAX), 1);
    ck_assert_uint_eq(count_class(lower_body(body, &layout, &h200), TC_MINMAX), 2);
}
END_TEST

/* Neither of two chains crosses what ptxas 13.0 leaves in place; without it they mix. */
START_TEST(nothing_is_scheduled_across_a_clock)
{
    static const char before[] = LOAD_F "ex2.approx.ftz.f32 %f5,%f1; ex2.approx.ftz.f32 %f5,%f5;\n",
                      after[] = "fma.rn.f32 %f9,%f2,%f3,%f4; fma.rn.f32 %f9,%f9,%f9,%f4;"
                                "add.f32 %f9,%f9,%f5;" STORE_F "st.global.u32 [%rd1+4],%r9;";
    static const char *const between[] = {"", "mov.u32 %r9,%clock;",
                                          "barrier.cluster.arrive.relaxed.aligned;",
                                          "setmaxnreg.dec.sync.aligned.u32 40;"};
    for (uint32_t i = 0; i < sizeof between / sizeof *between; i++) {
        const char *body = arena_printf(&arena, "%s%s\n%s", before, between[i], after);
        Code *c = lower_body(body, &layout, &model);
        uint32_t last_ex2 = 0, first_fma = UINT32_MAX;
        for (uint32_t k = 0; k < c->n_insns; k++) {
            if (c->insns[k].op == OP_EX2_F32)
                last_ex2 = k;
            if (c->insns[k].op == OP_FMA_F32 && first_fma == UINT32_MAX)
                first_fma = k;
        }
        ck_assert_msg((first_fma > last_ex2) == (i > 0), "across '%s'", between[i]);
    }
}
END_TEST

START_TEST(loop_variables_need_no_moves)
{
    Code *c =
        lower(LOAD_R "mov.u32 %r5,0; mov.u32 %r6,0;\n"
                     "L: add.s32 %r7,%r5,1; add.s32 %r8,%r6,%r1; setp.lt.s32 %p1,%r5,%r2;\n"
                     "mov.u32 %r5,%r7; mov.u32 %r6,%r8; @%p1 bra L; mov.u32 %r9,%r6;" STORE_R);
    ck_assert_uint_eq(count_row(c, OP_MOV), 2); /* the two zeros */
    ck_assert_uint_eq(c->n_ops, 1 + 1 + 2 + 3 + 1 + 1 + 1);
}
END_TEST

/* ---- Wait loops ---- */

typedef struct SpinCase {
    const char *name, *body;
    uint32_t n_waits;
} SpinCase;

/* clang-format off */
#define ADDRESS "mov.u32 %r1,smem; mov.u32 %r2,0;\n"
static const SpinCase spins[] = {
    {"CUTLASS", ADDRESS "{\n.reg .pred P1;\nLAB_WAIT:\nmbarrier.try_wait.parity.shared::cta.b64 P1,[%r1],%r2;\n"
     "@P1 bra DONE;\nbra LAB_WAIT;\nDONE:\n}\n", 1},
    {"Triton", ADDRESS "{\n.reg .pred complete;\nwaitLoop:\nmbarrier.try_wait.parity.shared.b64 complete,[%r1],%r2;\n"
     "@!complete bra.uni waitLoop;\n}\n", 1},
    {"C++ do-while", ADDRESS "W:\n{\n.reg .pred P1;\nmbarrier.try_wait.parity.shared::cta.b64 P1,[%r1],%r2;\n"
     "selp.b32 %r3,1,0,P1;\n}\nsetp.eq.s32 %p2,%r3,0;\n@%p2 bra W;\n", 1},
    {"address computed inside", "mov.u32 %r4,%tid.x; shl.b32 %r5,%r4,3;\nW: add.s32 %r1,%r5,1024;\n"
     "mbarrier.try_wait.parity.shared::cta.b64 %p1,[%r1],0;\n@!%p1 bra W;\n", 1},
    {"back-off", ADDRESS "W: mbarrier.test_wait.parity.shared::cta.b64 %p1,[%r1],%r2;\n@%p1 bra D;\nnanosleep.u32 20;\n"
     "bra W;\nD:\n", 1},
    {"first try apart", ADDRESS "mbarrier.try_wait.parity.shared::cta.b64 %p1,[%r1],%r2;\n@%p1 bra D;\n"
     "W: mbarrier.try_wait.parity.shared::cta.b64 %p2,[%r1],%r2;\n@!%p2 bra W;\nD:\n", 1},
    {"store on the way", ADDRESS "W: mbarrier.try_wait.parity.shared::cta.b64 %p1,[%r1],%r2;\n@%p1 bra D;\n"
     "st.shared.u32 [%r1+64],%r2;\nbra W;\nD:\n", 0},
    {"count of tries", ADDRESS "mov.u32 %r7,0; ld.param.u64 %rd1,[out];\nW: mbarrier.try_wait.parity.shared::cta.b64 %p1,"
     "[%r1],%r2;\n@%p1 bra D;\nadd.s32 %r7,%r7,1;\nbra W;\nD: st.global.u32 [%rd1],%r7;\n", 0},
    {"bounded tries", ADDRESS "mov.u32 %r7,9;\nW: mbarrier.try_wait.parity.shared::cta.b64 %p1,[%r1],%r2;\n@%p1 bra D;\n"
     "sub.s32 %r7,%r7,1;\nsetp.ne.s32 %p2,%r7,0;\n@%p2 bra W;\nD:\n", 0},
    {"remembers that it failed", ADDRESS "mov.u32 %r7,0; ld.param.u64 %rd1,[out];\nW: mbarrier.try_wait.parity.shared::cta"
     ".b64 %p1,[%r1],%r2;\n@%p1 bra D;\nmov.u32 %r7,1;\nbra W;\nD: st.global.u32 [%rd1],%r7;\n", 0},
    {"no loop", ADDRESS "ld.param.u64 %rd1,[out]; mbarrier.test_wait.parity.shared::cta.b64 %p1,[%r1],%r2;\n"
     "selp.b32 %r3,1,0,%p1; st.global.u32 [%rd1],%r3;\n", 0},
};
/* clang-format on */

START_TEST(a_wait_loop_parks_and_a_loop_with_an_effect_does_not)
{
    const SpinCase *k = &spins[_i];
    Code *c = lower(k->body);
    if (count_flag(c, CF_WAIT) != k->n_waits)
        code_print(stdout, c);
    ck_assert_msg(count_flag(c, CF_WAIT) == k->n_waits, "%s: %u waits, expected %u", k->name,
                  count_flag(c, CF_WAIT), k->n_waits);
    for (uint32_t i = 0; i < c->n_insns; i++)
        if (c->insns[i].flags & CF_WAIT)
            ck_assert_uint_eq(c->ops[c->insns[i].opinfo].kind, OK_MBAR_WAIT);
}
END_TEST

/* ---- Uniformity ---- */

START_TEST(work_on_parameters_is_uniform_and_work_on_lanes_is_not)
{
    Code *c = lower(
        "ld.param.u64 %rd1,[out]; ld.param.u32 %r1,[n]; mov.u32 %r2,%ctaid.x; mov.u32 %r3,%tid.x;\n"
        "mul.lo.s32 %r4,%r1,%r2; and.b32 %r5,%r4,127; add.s32 %r6,%r5,%r3; xor.b32 "
        "%r9,%r6,%r2;" STORE_R);
    ck_assert_uint_eq(count_class(c, TC_UNIFORM), 2);
    ck_assert_uint_eq(count_flag(c, CF_UNIFORM), 2);
    ck_assert_uint_eq(count_class(c, TC_ALU), 2);
}
END_TEST

START_TEST(values_set_where_lanes_are_apart_are_not_uniform)
{
    Code *c = lower(
        "ld.param.u64 %rd1,[out]; ld.param.u32 %r1,[n]; mov.u32 %r3,%tid.x; setp.lt.s32 "
        "%p1,%r3,7;\n"
        "mov.u32 %r5,%r1; @%p1 bra L; mul.lo.s32 %r5,%r1,%r1; mul.lo.s32 %r6,%r5,%r5; \n"
        "st.global.u32 [%rd1+4],%r6; st.global.u32 [%rd1+8],%r6; L: mul.lo.s32 %r9,%r5,3;" STORE_R);
    ck_assert_uint_eq(count_class(c, TC_IMAD), 3);
}
END_TEST

START_TEST(a_branch_on_a_parameter_keeps_lanes_together)
{
    Code *c = lower(
        "ld.param.u64 %rd1,[out]; ld.param.u32 %r1,[n]; setp.lt.s32 %p1,%r1,7;\n"
        "mov.u32 %r5,%r1; @%p1 bra L; mul.lo.s32 %r5,%r1,%r1; mul.lo.s32 %r6,%r5,%r5; \n"
        "st.global.u32 [%rd1+4],%r6; st.global.u32 [%rd1+8],%r6; L: mul.lo.s32 %r9,%r5,3;" STORE_R);
    ck_assert_uint_eq(count_class(c, TC_IMAD), 0);
    ck_assert_uint_ge(count_class(c, TC_UNIFORM), 4);
}
END_TEST

/* ---- Addresses ---- */

START_TEST(shared_symbols_carry_the_rank_in_clusters_only)
{
    static const char body[] =
        "mov.u32 %r1,smem; add.s32 %r2,%r1,64; st.shared.u32 [%r2],%r1; ld.shared.u32 %r3,[smem+4];"
        "st.shared.u32 [%r2+4],%r3;";
    Code *one = lower(body), *many = lower_body(body, &clustered, NULL);
    ck_assert_uint_eq(count_class(one, TC_S2R) + count_class(one, TC_ALU), 0);
    for (uint32_t i = 0; i < one->n_insns; i++)
        if (one->insns[i].op == OP_LD_SHARED)
            ck_assert_int_eq(one->opds[one->insns[i].opd + 1].imm, 1024 + 4);
    ck_assert_uint_eq(count_class(many, TC_S2R), 1);
    for (uint32_t i = 0; i < many->n_insns; i++)
        if (many->insns[i].op == OP_LD_SHARED)
            ck_assert_uint_eq(many->opds[many->insns[i].opd + 1].n, 1);
}
END_TEST

START_TEST(generic_addresses_of_windows_are_constants)
{
    Code *c = lower("ld.param.u64 %rd1,[out]; mov.b64 %rd2,map; cvta.param.u64 %rd3,%rd2; "
                    "st.global.u64 [%rd1],%rd3;\n"
                    "mov.u64 %rd4,smem; cvta.shared.u64 %rd5,%rd4; cvta.to.shared.u64 %rd6,%rd5;\n"
                    "st.global.u64 [%rd1+8],%rd5; st.global.u64 [%rd1+16],%rd6;");
    uint64_t want[3] = {0x7e2000000000 + 64, 0x7e0000000400, 0x400};
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n_insns; i++) {
        if (c->insns[i].op != OP_ST)
            continue;
        const CodeOpd *o = &c->opds[c->insns[i].opd + 1];
        ck_assert_uint_eq(o->n, 2);
        uint64_t got = 0;
        for (uint32_t g = 0; g < 2; g++) {
            ck_assert_int_lt(c->slots[o->first + g], 0);
            got |= (uint64_t)c->consts[-1 - c->slots[o->first + g]] << (32 * g);
        }
        ck_assert_uint_eq(got, want[n++]);
    }
    ck_assert_uint_eq(n, 3);
}
END_TEST

/* ---- Structure that the executor and the time core rely on ---- */

/* An executor may write the lower halves of all lanes before it reads the upper ones. */
static void check_halves(const Code *c, const CodeInsn *in)
{
    const CodeOpd *d = &c->opds[in->opd];
    if (!(in->flags & CF_PLAIN) || in->n_opd < 2 || d->kind != CO_VALUE || d->n != 2 ||
        d->n_elems != 1)
        return;
    for (uint32_t k = 1; k < in->n_opd; k++) {
        const CodeOpd *o = &c->opds[in->opd + k];
        if (o->kind == CO_VALUE && o->n == 2 && c->slots[o->first + 1] >= 0)
            ck_assert_int_ne(c->slots[o->first + 1], c->slots[d->first]);
    }
}

static void check_structure(const Code *c)
{
    uint32_t next_op = 0;
    for (uint32_t i = 0; i < c->n_insns; i++) {
        const CodeInsn *in = &c->insns[i];
        ck_assert_msg(in->opinfo != OP_NONE || in->flags & CF_PLAIN,
                      "insn %u: dynamic without an op", i);
        if (in->opinfo != OP_NONE) {
            ck_assert_uint_eq(in->opinfo, next_op++); /* ops stand in the order of insns */
            ck_assert_uint_eq(c->ops[in->opinfo].insn, i);
        }
        if (in->op == OP_BRA) {
            ck_assert_uint_lt(in->target, c->n_insns);
            ck_assert(c->insns[in->target].flags & CF_TARGET);
        }
        if (in->guard >= 0)
            ck_assert_int_lt(in->guard, (int)c->n_preds);
        check_halves(c, in);
        for (uint32_t k = 0; k < in->n_opd; k++) {
            const CodeOpd *o = &c->opds[in->opd + k];
            if (o->kind != CO_VALUE && o->kind != CO_MEM)
                continue;
            for (uint32_t g = 0; g < o->n; g++) {
                Slot s = c->slots[o->first + g];
                ck_assert(s == SLOT_SINK ||
                          (s >= 0 ? (uint32_t)s < c->n_slots : (uint32_t)(-1 - s) < c->n_consts));
            }
        }
    }
    ck_assert_uint_eq(next_op, c->n_ops);
    for (uint32_t i = 0; i < c->n_ops; i++) {
        const OpInfo *op = &c->ops[i];
        ck_assert_uint_eq(op->unit, tclass_unit[op->tclass]);
        ck_assert_uint_ge(op->slots, 1);
        for (uint32_t k = 0; k < (uint32_t)op->n_src + op->n_dst; k++)
            ck_assert_uint_lt(c->deps[op->deps + k], c->n_slots + c->n_preds);
    }
}

START_TEST(a_fused_pair_depends_on_the_sources_of_both)
{
    Code *c = lower(LOAD_R "add.s32 %r5,%r1,%r2; add.s32 %r9,%r5,%r3;" STORE_R);
    check_structure(c);
    for (uint32_t i = 0; i < c->n_insns; i++) {
        if (c->insns[i].flags & CF_FUSED)
            ck_assert_uint_eq(c->insns[i].opinfo, OP_NONE);
        if (c->insns[i].opinfo != OP_NONE && c->ops[c->insns[i].opinfo].tclass == TC_ALU) {
            ck_assert_uint_eq(c->ops[c->insns[i].opinfo].n_src, 3);
            ck_assert_uint_eq(c->ops[c->insns[i].opinfo].n_dst, 1);
        }
    }
    ck_assert_uint_eq(count_flag(c, CF_FUSED), 1);
}
END_TEST

START_TEST(wait_ld_makes_the_next_effect_wait_for_the_loads)
{
    Code *c = lower(
        "mov.u32 %r1,0; mov.u32 %r2,smem; tcgen05.ld.sync.aligned.32x32b.x2.b32 {%r3,%r4},[%r1];\n"
        "tcgen05.wait::ld.sync.aligned; mbarrier.arrive.shared::cta.b64 _,[%r2];");
    check_structure(c);
    uint32_t loaded = UINT32_MAX;
    for (uint32_t i = 0; i < c->n_insns; i++) {
        const CodeInsn *in = &c->insns[i];
        if (in->op == OP_TCGEN05_LD)
            loaded = (uint32_t)c->slots[c->opds[in->opd].first];
        if (in->op == OP_MBARRIER_ARRIVE) {
            const OpInfo *op = &c->ops[in->opinfo];
            ck_assert_uint_eq(op->n_src, 1);
            ck_assert_uint_eq(c->deps[op->deps], loaded);
        }
    }
}
END_TEST

START_TEST(unsupported_things_are_named)
{
    static const char text[] =
        ".version 9.0\n.target sm_100a\n.address_size 64\n.func f(.param .b32 a);\n"
        ".func f(.param .b32 a)\n{\n.reg .b32 %r<4>;\nld.param.b32 %r1,[a];\n{\n.param .b32 "
        "p0;\nst.param.b32 [p0],%r1;\n"
        "call.uni f,(p0);\n}\nret;\n}\n.visible .entry k()\n{\n{\n.param .b32 p0;\nst.param.b32 "
        "[p0],7;\n"
        "call.uni f,(p0);\n}\nret;\n}\n";
    Err err = {0};
    Module *mod;
    const Func *f;
    Code *c = NULL;
    if (!isa_parse(&arena, "rec.ptx", text, sizeof text - 1, &mod, &err) ||
        !isa_find_entry(mod, "k", &f, &err))
        fail_with(&err);
    ck_assert(!code_lower(&arena, mod, f, &layout, NULL, &c, &err));
    ck_assert_int_eq(err.kind, ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.msg, "'f'"));
}
END_TEST

START_TEST(a_defined_function_is_inlined)
{
    static const char text[] =
        ".version 9.0\n.target sm_100a\n.address_size 64\n"
        ".func (.param .b32 r) twice(.param .b32 a)\n{\n.reg .b32 %r<4>;\n.reg .pred "
        "%p<2>;\nld.param.b32 %r1,[a];\n"
        "setp.gt.s32 %p1,%r1,5;\n@%p1 bra L;\nadd.s32 %r2,%r1,%r1;\nst.param.b32 [r],%r2;\nret;\n"
        "L: mul.lo.s32 %r3,%r1,%r1;\nst.param.b32 [r],%r3;\nret;\n}\n"
        ".visible .entry k(.param .u64 out, .param .u32 n)\n{\n.reg .b32 %r<9>;\n.reg .b64 "
        "%rd<3>;\n"
        "ld.param.u64 %rd1,[out];\nld.param.u32 %r1,[n];\n"
        "{\n.param .b32 p0;\n.param .b32 q0;\nst.param.b32 [p0],%r1;\ncall.uni "
        "(q0),twice,(p0);\nld.param.b32 %r2,[q0];\n}\n"
        "{\n.param .b32 p0;\n.param .b32 q0;\nst.param.b32 [p0],%r2;\ncall.uni "
        "(q0),twice,(p0);\nld.param.b32 %r3,[q0];\n}\n"
        "st.global.u32 [%rd1],%r3;\nret;\n}\n";
    Err err = {0};
    Module *mod;
    const Func *f;
    Code *c = NULL;
    if (!isa_parse(&arena, "inline.ptx", text, sizeof text - 1, &mod, &err) ||
        !isa_find_entry(mod, "k", &f, &err) || !code_lower(&arena, mod, f, &layout, NULL, &c, &err))
        fail_with(&err);
    check_structure(c);
    ck_assert_uint_eq(count_row(c, OP_CALL), 0);
    ck_assert_uint_eq(count_row(c, OP_MUL_LO), 2);
}
END_TEST

/* ---- A whole kernel; against ptxas: test_lower_ptxas.c ---- */

static Code *lower_file(const char *path, const char *entry, const Model *m)
{
    Err err = {0};
    Module *mod;
    const Func *f;
    Code *c = NULL;
    if (!isa_parse_file(&arena, path, &mod, &err) || !isa_find_entry(mod, entry, &f, &err) ||
        !code_lower(&arena, mod, f, &layout, m, &c, &err))
        fail_with(&err);
    return c;
}

START_TEST(fa4_fits_its_registers_and_is_well_formed)
{
    static const char *const entries[] = {"fa4_fwd", "fa4_fwd_causal"};
    for (int k = 0; k < 2; k++)
        for (int m = 0; m < 2; m++) {
            Code *c = lower_file(RAO_SOURCE_DIR "/kernels/fa4_fwd/fa4_fwd.ptx", entries[k],
                                 m ? &model : NULL);
            check_structure(c);
            ck_assert_msg(c->n_slots <= 192, "%s: %u registers, setmaxnreg gives 192", entries[k],
                          c->n_slots);
            ck_assert(!c->uses_global_atomics);
            uint32_t waits = count_flag(c, CF_WAIT), tries = 0;
            for (uint32_t i = 0; i < c->n_ops; i++)
                tries += c->ops[i].tclass == TC_MBAR_TRY;
            ck_assert_uint_gt(tries, 0);
            ck_assert_uint_eq(waits, tries); /* every try_wait of the kernel is in a wait loop */
        }
}
END_TEST

START_TEST(lowering_twice_gives_the_same_bytes)
{
    Code *a = lower_file(RAO_SOURCE_DIR "/kernels/fa4_fwd/fa4_fwd.ptx", "fa4_fwd", &model);
    Code *b = lower_file(RAO_SOURCE_DIR "/kernels/fa4_fwd/fa4_fwd.ptx", "fa4_fwd", &model);
    ck_assert_uint_eq(a->n_insns, b->n_insns);
    ck_assert_mem_eq(a->insns, b->insns, a->n_insns * sizeof *a->insns);
    ck_assert_mem_eq(a->ops, b->ops, a->n_ops * sizeof *a->ops);
    ck_assert_mem_eq(a->slots, b->slots, a->n_code_slots * sizeof *a->slots);
    ck_assert_mem_eq(a->deps, b->deps, a->n_deps * sizeof *a->deps);
}
END_TEST

START_TEST(long_kernels_lower_fast)
{
    enum { INSNS = 10000 };
    char *text = malloc(INSNS * 40);
    size_t n = 0;
    for (uint32_t i = 0; i < INSNS; i++) /* one huge block: the worst case for the scheduler */
        n += (size_t)sprintf(text + n, "mad.lo.s32 %%r%u,%%r%u,%%r%u,%%r%u;\n", i % 90,
                             (i * 7 + 1) % 90, (i * 13 + 5) % 90, (i * 3) % 90);
    struct timespec t0, t1;
    Code *c = lower_body(text, &layout, NULL); /* parsed once before the clock starts */
    clock_gettime(CLOCK_MONOTONIC, &t0);
    Err err = {0};
    if (!code_lower(&arena, c->module, c->func, &layout, &model, &c, &err))
        fail_with(&err);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    double ms = (double)(t1.tv_sec - t0.tv_sec) * 1e3 + (double)(t1.tv_nsec - t0.tv_nsec) * 1e-6;
    printf("%u instructions in one block: %.1f ms\n", INSNS, ms);
    ck_assert_double_lt(
        ms, 2000); /* far above the 200 ms aimed at: test machines are loaded and sanitized */
    free(text);
}
END_TEST

int main(void)
{
    Err err = {0};
    if (!model_load(&arena, "b200", &model, &err)) {
        err_print(stderr, &err);
        return 1;
    }
    Suite *s = suite_create("lower");
    TCase *t = tcase_create("lower");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, each_transformation_gives_the_operations_of_ptxas, 0,
                        sizeof cases / sizeof cases[0]);
    tcase_add_test(t, a_contraction_is_executed_as_the_fused_row);
    tcase_add_test(t, three_inputs_of_a_maximum_need_the_instruction);
    tcase_add_test(t, nothing_is_scheduled_across_a_clock);
    tcase_add_test(t, loop_variables_need_no_moves);
    tcase_add_loop_test(t, a_wait_loop_parks_and_a_loop_with_an_effect_does_not, 0,
                        sizeof spins / sizeof spins[0]);
    tcase_add_test(t, work_on_parameters_is_uniform_and_work_on_lanes_is_not);
    tcase_add_test(t, values_set_where_lanes_are_apart_are_not_uniform);
    tcase_add_test(t, a_branch_on_a_parameter_keeps_lanes_together);
    tcase_add_test(t, shared_symbols_carry_the_rank_in_clusters_only);
    tcase_add_test(t, generic_addresses_of_windows_are_constants);
    tcase_add_test(t, a_fused_pair_depends_on_the_sources_of_both);
    tcase_add_test(t, wait_ld_makes_the_next_effect_wait_for_the_loads);
    tcase_add_test(t, unsupported_things_are_named);
    tcase_add_test(t, a_defined_function_is_inlined);
    tcase_add_test(t, fa4_fits_its_registers_and_is_well_formed);
    tcase_add_test(t, lowering_twice_gives_the_same_bytes);
    tcase_add_test(t, long_kernels_lower_fast);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    arena_free(&arena);
    return failed != 0;
}
