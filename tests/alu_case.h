/* Register-only instructions against a naive reference, lane by lane: edge and random values, every
 * instruction set of this processor, full and partial masks, results over operands. A test is a
 * list of CHECK(...) and a reference function, which uses other means than the executor: the host's
 * rounding modes, 128-bit integers, bit loops. */
#ifndef RAO_TESTS_ALU_CASE_H
#define RAO_TESTS_ALU_CASE_H

#include <math.h>

#include "sim/func/num.h"
#define FIX_INSNS 4
#include "tests/exec_fixture.h"

__extension__ typedef __int128 I128;
__extension__ typedef unsigned __int128 U128;

enum { ROUNDS = 20, MAX_OPDS = 8, GUARD_PRED = 7 };

typedef struct Case Case;
/* s: the sources in order, predicates as 0 or 1. Returns the value result; *p gets predicate
 * results (bit 0 first). */
typedef uint64_t Ref(const Case *c, const uint64_t *s, uint32_t *p);

struct Case {
    OpCode op;
    PtxType t0, t1;
    const char *sig; /* pairs: D S destination, source of n slots; P Q predicate written, read; I
                        constant */
    Ref *ref;
    uint8_t mod[4][2]; /* class, value */
    uint32_t imm;
    uint32_t bits;  /* of the result that count; 0: all of the slots */
    double max_ulp; /* > 0: f32 results may differ by so much from the reference */
    char end;
};

static uint64_t rng_state = 88172645463325252u;
static int failures;

static inline uint64_t rnd64(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state * 0x2545F4914F6CDD1Du;
}

static const uint32_t edges[] = {
    0,
    1,
    2,
    3,
    5,
    31,
    32,
    33,
    63,
    64,
    65,
    255,
    256,
    0x7fff,
    0x8000,
    0xffff,
    0x10000,
    0x3210,
    0x7fffffff,
    0x80000000,
    0x80000001,
    0xffffffff,
    0xfffffffe,
    /* floats: 1, -1, 2, 0.5, inf, -inf, NaNs, subnormals, limits, f16 and bf16 ties, 2^23, 1.5 *
       2^23, 127.5 */
    0x3f800000,
    0xbf800000,
    0x40000000,
    0x3f000000,
    0x7f800000,
    0xff800000,
    0x7fc00000,
    0xffc00001,
    0x7f800001,
    0x00000001,
    0x007fffff,
    0x00800000,
    0x80800000,
    0x7f7fffff,
    0xff7fffff,
    0x3f800001,
    0x3f7fffff,
    0x3f808000,
    0x3f818000,
    0x3f801000,
    0x3f803000,
    0x477fefff,
    0x477ff000,
    0x33000000,
    0x33000001,
    0x38800000,
    0x387fffff,
    0x4b000000,
    0x4b400000,
    0x42ff0000,
    0xc2fe0000,
    0x0d800000,
    0x20000000,
    0x60000000,
    0x3effffff,
    0x4f000000,
    0xcf000000,
    0x4effffff,
    0x5f000000,
    0x43e00000,
    0x43e80000,
    0x47600000,
};
#define N_EDGES (sizeof edges / sizeof edges[0])

static inline uint32_t value(uint32_t round)
{
    uint64_t r = rnd64();
    if (round < 16)
        return edges[r % N_EDGES];
    if (r >> 62 == 0)
        return (uint32_t)(r & 0x3ff) - 0x200;
    if (r >> 62 == 1) /* a float of moderate size */
        return (uint32_t)(r & 0x80ffffff) + 0x3f000000;
    return (uint32_t)r;
}

static inline float f32(uint64_t bits)
{
    uint32_t b = (uint32_t)bits;
    float v;
    memcpy(&v, &b, sizeof v);
    return v;
}

static inline double f64(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline uint32_t mod(const Case *c, uint32_t cls)
{
    for (int i = 0; i < 4; i++)
        if (c->mod[i][0] == cls && c->mod[i][1])
            return c->mod[i][1];
    return 0;
}

static inline uint32_t width(const Case *c)
{
    return type_info[c->t0].bits;
}

static inline bool is_signed(const Case *c)
{
    return type_info[c->t0].kind == 'S';
}

static inline I128 num(const Case *c, uint64_t v)
{
    uint32_t w = width(c);
    U128 m = ((U128)1 << w) - 1, x = v & m;
    return is_signed(c) && (x >> (w - 1) & 1) ? (I128)x - ((I128)1 << w) : (I128)x;
}

static inline float flush(const Case *c, float v)
{
    return mod(c, MC_FTZ) && fpclassify(v) == FP_SUBNORMAL ? copysignf(0.0f, v) : v;
}

/* ---- Running a case ---- */

enum { MAX_SRC = 6 };

typedef struct Shape { /* where fix_case put things */
    uint32_t n_src, n_dst_slots, n_dst_preds;
    uint32_t src_slots[MAX_SRC];
    Slot src[MAX_SRC], dst;
    bool src_is_pred[MAX_SRC], src_is_const[MAX_SRC];
    int32_t src_pred[MAX_SRC], dst_pred[2];
} Shape;

/* overlap: 0 the result has rows of its own, 1 the rows of the first source, 2 crossed over (64-bit
 * results). */
static inline Fix *fix_case(const Case *c, Shape *sh, int overlap, bool guarded, uint8_t simd)
{
    Fix *f = fix_new();
    CodeInsn *in = fix_insn(f, c->op, c->t0, c->t1);
    *sh = (Shape){.dst_pred = {-1, -1}};
    for (int i = 0; i < 4; i++)
        if (c->mod[i][1])
            in->mod[c->mod[i][0]] = c->mod[i][1];
    Slot next = 8;
    int32_t pred = 0;
    Slot first_src = 8; /* the first source of slots comes first */
    for (const char *s = c->sig; *s; s += 2) {
        uint32_t n = (uint32_t)(s[1] - '0');
        switch (s[0]) {
        case 'D':
            sh->n_dst_slots = n;
            sh->dst = overlap == 0 ? 0 : overlap == 1 ? first_src : first_src + 1;
            fix_opd(f, in, CO_VALUE, sh->dst, n);
            break;
        case 'P':
            sh->dst_pred[sh->n_dst_preds++] = pred;
            fix_pred(f, in, pred++, false);
            break;
        case 'S':
            sh->src_slots[sh->n_src] = n;
            sh->src[sh->n_src++] = next;
            fix_opd(f, in, CO_VALUE, next, n);
            next += (Slot)n;
            break;
        case 'I':
            sh->src_slots[sh->n_src] = 1;
            sh->src_is_const[sh->n_src] = true;
            sh->src[sh->n_src++] = fix_const(f, c->imm);
            fix_opd(f, in, CO_VALUE, -1, 1);
            break;
        case 'Q': /* odd ones are complemented */
            sh->src_is_pred[sh->n_src] = true;
            sh->src_pred[sh->n_src++] = pred;
            fix_pred(f, in, pred, pred & 1);
            pred++;
            break;
        default:
            abort();
        }
    }
    if (overlap == 2) /* the low half of the result lies in the high half of the first source */
        f->slots[f->opds[in->opd].first + 1] = first_src;
    if (guarded) {
        in->guard = GUARD_PRED;
        in->guard_neg = true;
    }
    fix_exit(f);
    fix_start(f, 32, simd);
    return f;
}

static inline Slot dst_slot(const Shape *sh, int overlap, uint32_t k)
{
    if (overlap == 2)
        return k == 0 ? sh->dst : sh->dst - 1;
    return sh->dst + (Slot)k;
}

/* Equal, or within the tolerance of an approximate function; two f64 NaNs are equal whatever their
 * payload. */
static inline bool same(const Case *c, uint64_t got, uint64_t want)
{
    if (got == want)
        return true;
    if (c->t0 == T_F64 && c->max_ulp > 0)
        return isnan(f64(got)) && isnan(f64(want));
    if (c->max_ulp <= 0 || isnan(f32(want)) || isnan(f32(got)))
        return false;
    double d = fabs((double)(int32_t)got - (double)(int32_t)want);
    return d <= c->max_ulp;
}

static inline void fill(const Shape *sh, Warp *w, uint32_t round, uint64_t before[][WARP],
                        uint32_t n_regs)
{
    for (uint32_t r = 0; r < n_regs; r++)
        for (uint32_t i = 0; i < WARP; i++)
            before[r][i] = row(w, r)[i] = value(round);
    for (uint32_t k = 0; k < FIX_PREDS; k++)
        w->preds[k] = (uint32_t)rnd64();
    (void)sh;
}

static inline void check_round(const Case *c, const Shape *sh, Fix *f, int overlap, bool guarded,
                               uint32_t round)
{
    enum { REGS = 32 };
    static uint64_t before[REGS][WARP];
    Warp *w = f->warp;
    Front *fr = exec_front(f->exec);
    fill(sh, w, round, before, REGS);
    uint32_t preds[FIX_PREDS];
    memcpy(preds, w->preds, sizeof preds);
    uint32_t mask = guarded ? ~preds[GUARD_PRED] : FULL_MASK;
    if (mask == 0)
        return;
    warp_start(w);
    OpRun run;
    fr->ops->next(fr, 0, 0, &run);
    for (uint32_t i = 0; i < WARP; i++) {
        uint64_t s[MAX_SRC] = {0}, got = 0;
        for (uint32_t k = 0; k < sh->n_src; k++) {
            if (sh->src_is_pred[k])
                s[k] = (preds[sh->src_pred[k]] >> i & 1) ^ (uint32_t)(sh->src_pred[k] & 1);
            else if (sh->src_is_const[k])
                s[k] = c->imm;
            else
                for (uint32_t j = 0; j < sh->src_slots[k]; j++)
                    s[k] |= before[sh->src[k] + (Slot)j][i] << 32 * j;
        }
        uint32_t p = 0;
        uint64_t want = c->ref(c, s, &p);
        uint64_t keep = c->bits                ? (UINT64_C(1) << c->bits) - 1
                        : sh->n_dst_slots == 1 ? 0xffffffff
                                               : ~UINT64_C(0);
        if (!(mask >> i & 1)) {
            want = 0;
            for (uint32_t k = 0; k < sh->n_dst_slots; k++)
                want |= before[dst_slot(sh, overlap, k)][i] << 32 * k;
        }
        for (uint32_t k = 0; k < sh->n_dst_slots; k++)
            got |= (uint64_t)row(w, (uint32_t)dst_slot(sh, overlap, k))[i] << 32 * k;
        bool ok = sh->n_dst_slots == 0 || same(c, got & keep, want & keep);
        for (uint32_t k = 0; k < sh->n_dst_preds; k++) {
            uint32_t pw = mask >> i & 1 ? p >> k & 1 : preds[sh->dst_pred[k]] >> i & 1;
            ok = ok && (w->preds[sh->dst_pred[k]] >> i & 1) == pw;
        }
        if (!ok && ++failures < 40)
            fprintf(stderr,
                    "%s mods %u.%u %u.%u %u.%u isa %d overlap %d lane %u: %llx %llx %llx -> %llx, "
                    "want %llx (p %u)\n",
                    op_row[c->op].id, c->mod[0][0], c->mod[0][1], c->mod[1][0], c->mod[1][1],
                    c->mod[2][0], c->mod[2][1], (int)f->exec->isa, overlap, i,
                    (unsigned long long)s[0], (unsigned long long)s[1], (unsigned long long)s[2],
                    (unsigned long long)(got & keep), (unsigned long long)(want & keep), p);
    }
}

static uint32_t n_cases;

static inline void check_case(const Case *c)
{
    n_cases++;
    bool has_dst = strchr(c->sig, 'D') != NULL;
    for (int isa = 0; isa < SIMD_ISAS; isa++) {
        if (!simd_runs((SimdIsa)isa))
            continue;
        for (int overlap = 0; overlap < 3; overlap++) {
            const char *d = strchr(c->sig, 'D'), *s = strchr(c->sig, 'S');
            if ((overlap > 0 && (!has_dst || !s)) ||
                (overlap == 2 && !(d[1] == '2' && s[1] == '2')))
                continue;
            for (int guarded = 0; guarded < 2; guarded++) {
                Shape sh;
                Fix *f = fix_case(c, &sh, overlap, guarded, (uint8_t)(isa + 1));
                for (uint32_t round = 0; round < ROUNDS; round++)
                    check_round(c, &sh, f, overlap, guarded, round);
                fix_free(f);
            }
        }
    }
}

#define CHECK(...) check_case(&(Case){__VA_ARGS__, .end = 0})

static const PtxType int_types[] = {T_U16, T_S16, T_U32, T_S32, T_U64, T_S64};

static inline uint32_t slots_of(PtxType t)
{
    return type_info[t].bits > 32 ? 2 : 1;
}

/* Writes "D1S2" for pattern "DS" and slot counts by type. */
static inline const char *sig(const char *pattern, uint32_t d, uint32_t s)
{
    static char pool[64][24];
    static uint32_t at;
    char *out = pool[at++ % 64];
    uint32_t n = 0;
    for (const char *p = pattern; *p; p++) {
        out[n++] = *p == 'd' ? 'S' : *p;
        out[n++] = (char)('0' + (*p == 'D' ? d : *p == 'S' ? s : *p == 'd' ? d : 1));
    }
    out[n] = 0;
    return out;
}

#endif
