/* Speed of the executor on one core: a softmax-like mix (the counts of FlashAttention-4's forward
 * loop, research/ptx.md 2.5, with part of the exponentials as polynomials) in straight code with a
 * branch back, and each instruction of the mix alone. Prints million warp-instructions per second.
 * Not part of the test run. */
#define _GNU_SOURCE
#include <time.h>

#define FIX_SLOTS 232
#include "tests/exec_fixture.h"

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Results and sources move through the register file, so that rows come from the cache as in a real
 * kernel. */
typedef struct Regs {
    Slot next;
} Regs;

static Slot take(Regs *r, uint32_t n)
{
    if (r->next + (Slot)n >= FIX_SLOTS)
        r->next = 0;
    Slot s = r->next;
    r->next += (Slot)n;
    return s;
}

typedef struct Kind {
    const char *name;
    OpCode op;
    PtxType t0, t1;
    uint8_t dst, n_src, src; /* slots of the result, sources, slots of each */
    uint8_t mod[3][2];
    uint32_t per_loop; /* in the mix */
} Kind;

static const Kind kinds[] = {
    {"max3.ftz.f32", OP_MAX3_F32, T_F32, T_NONE, 1, 3, 1, {{MC_FTZ, 1}}, 64},
    {"max.ftz.f32", OP_MAX_F32, T_F32, T_NONE, 1, 2, 1, {{MC_FTZ, 1}}, 4},
    {"fma.rn.ftz.f32x2",
     OP_FMA_F32X2,
     T_F32X2,
     T_NONE,
     2,
     3,
     2,
     {{MC_RND, MV_RND_RN}, {MC_FTZ, 1}},
     64 + 3 * 16},
    {"add.rm.ftz.f32x2",
     OP_ADD_F32X2,
     T_F32X2,
     T_NONE,
     2,
     2,
     2,
     {{MC_RND, MV_RND_RM}, {MC_FTZ, 1}},
     16},
    {"sub.rn.ftz.f32x2",
     OP_SUB_F32X2,
     T_F32X2,
     T_NONE,
     2,
     2,
     2,
     {{MC_RND, MV_RND_RN}, {MC_FTZ, 1}},
     32},
    {"add.rn.ftz.f32x2",
     OP_ADD_F32X2,
     T_F32X2,
     T_NONE,
     2,
     2,
     2,
     {{MC_RND, MV_RND_RN}, {MC_FTZ, 1}},
     64},
    {"ex2.approx.ftz.f32", OP_EX2_F32, T_F32, T_NONE, 1, 1, 1, {{MC_FTZ, 1}, {MC_PREC, 1}}, 96},
    {"cvt.rn.bf16x2.f32", OP_CVT_F16X2, T_BF16X2, T_F32, 1, 2, 1, {{MC_RND, MV_RND_RN}}, 64},
    {"shl.b32", OP_SHL, T_B32, T_NONE, 1, 2, 1, {{0, 0}}, 34},
    {"add.s32", OP_ADD_INT, T_S32, T_NONE, 1, 2, 1, {{0, 0}}, 40},
    {"lop3.b32", OP_LOP3, T_B32, T_NONE, 1, 4, 1, {{0, 0}}, 8},
    {"mov.b64", OP_MOV, T_B64, T_NONE, 2, 1, 2, {{0, 0}}, 8},
    {"mul.rn.ftz.f32", OP_MUL_F32, T_F32, T_NONE, 1, 2, 1, {{MC_FTZ, 1}}, 4},
    /* not in the mix */
    {"add.f16x2", OP_ADD_F16, T_F16X2, T_NONE, 1, 2, 1, {{0, 0}}, 0},
    {"fma.rn.f16x2", OP_FMA_F16, T_F16X2, T_NONE, 1, 3, 1, {{MC_RND, MV_RND_RN}}, 0},
    {"fma.rn.bf16x2", OP_FMA_BF16, T_BF16X2, T_NONE, 1, 3, 1, {{MC_RND, MV_RND_RN}}, 0},
    {"max.bf16x2", OP_MAX_BF16, T_BF16X2, T_NONE, 1, 2, 1, {{0, 0}}, 0},
    {"ex2.approx.f16x2", OP_EX2_F16, T_F16X2, T_NONE, 1, 1, 1, {{MC_PREC, 1}}, 0},
    {"cvt.e4m3x2.f32",
     OP_CVT_F8X2,
     T_E4M3X2,
     T_F32,
     1,
     2,
     1,
     {{MC_RND, MV_RND_RN}, {MC_SATF, 1}},
     0},
    {"cvt.e2m1x2.f32",
     OP_CVT_F8X2,
     T_E2M1X2,
     T_F32,
     1,
     2,
     1,
     {{MC_RND, MV_RND_RN}, {MC_SATF, 1}},
     0},
    {"cvt.f16x2.e4m3x2", OP_CVT_F16X2_F8X2, T_F16X2, T_E4M3X2, 1, 1, 1, {{MC_RND, MV_RND_RN}}, 0},
    {"cvt.rni.s32.f32", OP_CVT_F2I, T_S32, T_F32, 1, 1, 1, {{MC_RND, MV_RND_RNI}}, 0},
    {"cvt.rmi.f32.f32", OP_CVT_F2F, T_F32, T_F32, 1, 1, 1, {{MC_RND, MV_RND_RMI}}, 0},
};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

static void emit_kind(Fix *f, const Kind *k, Regs *r)
{
    CodeInsn *in = fix_insn(f, k->op, k->t0, k->t1);
    for (int i = 0; i < 3; i++)
        if (k->mod[i][1])
            in->mod[k->mod[i][0]] = k->mod[i][1];
    fix_opd(f, in, CO_VALUE, take(r, k->dst), k->dst);
    for (uint32_t s = 0; s < k->n_src; s++)
        fix_opd(f, in, CO_VALUE, take(r, k->src), k->src);
}

static void emit_setp(Fix *f, Regs *r)
{
    CodeInsn *in = fix_insn(f, OP_SETP_F32, T_F32, T_NONE);
    in->mod[MC_CMP] = MV_CMP_LT;
    fix_pred(f, in, 1, false);
    fix_opd(f, in, CO_VALUE, take(r, 1), 1);
    fix_opd(f, in, CO_VALUE, take(r, 1), 1);
    in = fix_insn(f, OP_SELP, T_F32, T_NONE);
    fix_opd(f, in, CO_VALUE, take(r, 1), 1);
    fix_opd(f, in, CO_VALUE, take(r, 1), 1);
    fix_opd(f, in, CO_VALUE, take(r, 1), 1);
    fix_pred(f, in, 1, false);
}

static void emit_loop(Fix *f)
{
    CodeInsn *in = fix_insn(f, OP_BRA, T_NONE, T_NONE);
    in->flags = 0;
    in->target = 0;
    f->ops[in->opinfo].kind = OK_BRANCH;
}

enum { ADDR_SLOT = FIX_SLOTS - 1 };

/* Runs turns of the loop for a fraction of a second; million warp-instructions per second. */
static double measure(Fix *f)
{
    Front *fr = exec_front(f->exec);
    Err err = {0};
    for (uint32_t r = 0; r < FIX_SLOTS; r++)
        for (uint32_t i = 0; i < WARP; i++) {
            float v = 0.25f + (float)((r * 37 + i * 11) % 64) / 64.0f;
            memcpy(&row(f->warp, r)[i], &v, sizeof v);
        }
    for (uint32_t i = 0; i < WARP; i++)
        row(f->warp, ADDR_SLOT)[i] = SHARED_BASE + 128 * i + 16 * (i % 8); /* swizzled rows */
    double best = 0;
    for (int rep = 0; rep < 5; rep++) {
        warp_start(f->warp);
        double t0 = seconds(), t;
        do {
            for (int i = 0; i < 200; i++) {
                OpRun run;
                Op ops[OP_BURST];
                fr->ops->next(fr, 0, 0, &run);
                fr->ops->exec(fr, 0, 0, 0, ops, &err);
            }
            t = seconds() - t0;
        } while (t < 0.15);
        double rate = (double)f->warp->n_insts / t * 1e-6;
        best = rate > best ? rate : best;
    }
    return best;
}

static double run_kind(const Kind *k, uint8_t simd)
{
    Fix *f = fix_new();
    Regs r = {0};
    for (int i = 0; i < 256; i++)
        emit_kind(f, k, &r);
    emit_loop(f);
    fix_start(f, 32, simd);
    double rate = measure(f);
    fix_free(f);
    return rate;
}

static double run_mix(uint8_t simd)
{
    Fix *f = fix_new();
    Regs r = {0};
    for (uint32_t turn = 0; turn < 4; turn++) /* four chunks, as the kernel's loop has */
        for (size_t k = 0; k < N_KINDS; k++)
            for (uint32_t i = 0; i < kinds[k].per_loop / 4; i++)
                emit_kind(f, &kinds[k], &r);
    emit_setp(f, &r);
    emit_loop(f);
    fix_start(f, 32, simd);
    double rate = measure(f);
    fix_free(f);
    return rate;
}

/* ld.shared or st.shared of n words, each lane its own 16 bytes. */
static double run_shared(OpCode op, uint32_t n, uint8_t simd)
{
    Fix *f = fix_new();
    Regs r = {0};
    for (int i = 0; i < 64; i++) {
        CodeInsn *in = fix_insn(f, op, T_B32, T_NONE);
        in->flags = 0;
        f->ops[in->opinfo].kind = OK_SMEM;
        in->mod[MC_SS] = MV_SS_SHARED;
        for (int k = 0; k < 2; k++) {
            bool is_mem = (k == 0) == (op == OP_ST_SHARED);
            CodeOpd *o = fix_opd(f, in, is_mem ? CO_MEM : CO_VALUE,
                                 is_mem ? ADDR_SLOT : take(&r, n) % 200, is_mem ? 1 : n);
            if (!is_mem) {
                o->n_elems = (uint16_t)n;
                o->elem_slots = 1;
            }
        }
    }
    emit_loop(f);
    fix_start(f, 32, simd);
    double rate = measure(f);
    fix_free(f);
    return rate;
}

int main(void)
{
    static const char *const isa[] = {"baseline", "avx2", "avx512"};
    printf("%-22s", "M warp-insts/s");
    for (int i = 0; i < SIMD_ISAS; i++)
        printf("%10s", isa[i]);
    printf("\n");
    for (int k = -1; k < N_KINDS; k++) {
        printf("%-22s", k < 0 ? "softmax mix" : kinds[k].name);
        for (int i = 0; i < SIMD_ISAS; i++)
            if (simd_runs((SimdIsa)i))
                printf("%10.1f",
                       k < 0 ? run_mix((uint8_t)(i + 1)) : run_kind(&kinds[k], (uint8_t)(i + 1)));
        printf("\n");
    }
    static const OpCode shared[] = {OP_LD_SHARED, OP_ST_SHARED};
    for (int k = 0; k < 4; k++) {
        printf("%s%-10s", k < 2 ? "ld.shared" : "st.shared", k % 2 ? ".v4.b32" : ".b32");
        for (int i = 0; i < SIMD_ISAS; i++)
            if (simd_runs((SimdIsa)i))
                printf("%10.1f", run_shared(shared[k / 2], k % 2 ? 4 : 1, (uint8_t)(i + 1)));
        printf("\n");
    }
    return 0;
}
