/* mma.sync: a product of small matrices that lie in the registers of a warp.
 *
 * Lane l = 4 g + q. With E elements of A or B in a register (32 / bits; f64: one):
 *
 *   A, register i    row g + 8 (i % 2), k = E q + e + 4 E (i / 2)    (m8: row g, k = E q + e)
 *   B, register i    column g, k = E q + e + 4 E i
 *   C, D, element i  row g + 8 (i / 2), column 2 q + i % 2           (f16: two to a register)
 *
 * Floats go through mma.h. Integers are summed exactly and added to C modulo 2^32, or clamped with
 * .satfinite. f64: exec_mma_f64.c. 8-bit floats in MMA_HW: neither Hopper nor Blackwell (sm_100)
 * multiplies them in mma.sync; ptxas 13.0 unpacks them to f16, issues two HMMA that start from
 * zero, and adds C with an FADD or HADD2.
 *
 * Sources: PTX ISA 9.7.14.5; tests/data/hopper_mma.bin is what an H200 computes. */
#include <math.h>
#include <stdalign.h>

#include "isa/form.h"
#include "sim/func/engine.h"
#include "sim/func/exec_mma.h"
#include "sim/func/fragment.h"

enum { M16 = 16, N8 = 8, MAX_K_FLOAT = 32, MAX_K_INT = 64, D_STRIDE = 32 };

typedef struct Operands { /* rows of registers of d, a, b, c in turn */
    const CodeOpd *d, *a, *b, *c;
    MatShape shape;
} Operands;

static Operands operands(const Warp *w, const XInsn *in)
{
    return (Operands){.d = opd(w, in, 0),
                      .a = opd(w, in, 1),
                      .b = opd(w, in, 2),
                      .c = opd(w, in, 3),
                      .shape = form_mma_shape(in->ci->mod[MC_MMASHAPE])};
}

NumType mma_num_type(uint8_t type)
{
    switch (type) {
    case T_F16:
        return NUM_F16;
    case T_BF16:
        return NUM_BF16;
    case T_TF32:
        return NUM_TF32;
    case T_E5M2:
        return NUM_E5M2;
    default:
        return NUM_E4M3;
    }
}

static void put_lanes(uint32_t *to, const uint32_t *from, uint32_t mask)
{
    if (mask == FULL_MASK) {
        memcpy(to, from, WARP * sizeof *to);
        return;
    }
    for (uint32_t l = 0; l < WARP; l++)
        to[l] = mask >> l & 1 ? from[l] : to[l];
}

/* ---- Floats ---- */

/* Place of element i's lane 0 among columns of 32 rows. */
static size_t d_place(uint32_t i)
{
    return (size_t)(i % 2) * D_STRIDE + 8 * (i / 2);
}

/* C as columns of 32 rows, and D back; f16 elements stand in the low halves there. */
static void load_c(const Warp *w, const CodeOpd *c, bool f16, uint32_t *to)
{
    for (uint32_t i = 0; i < 4; i++) {
        const uint32_t *from = opd_row(w, c, f16 ? i / 2 : i);
        uint32_t half[WARP];
        for (uint32_t l = 0; f16 && l < WARP; l++)
            half[l] = from[l] >> 16 * (i % 2) & 0xFFFF;
        regs_to_columns(to + d_place(i), 2 * D_STRIDE, f16 ? half : from);
    }
}

static void store_d(const Warp *w, const CodeOpd *d, bool f16, uint32_t mask, const uint32_t *from)
{
    uint32_t v[4][WARP];
    for (uint32_t i = 0; i < 4; i++)
        columns_to_regs(v[i], from + d_place(i), 2 * D_STRIDE);
    for (uint32_t i = 0; f16 && i < 2; i++)
        for (uint32_t l = 0; l < WARP; l++)
            v[i][l] = (v[2 * i][l] & 0xFFFF) | v[2 * i + 1][l] << 16;
    for (uint32_t i = 0; i < (f16 ? 2u : 4u); i++)
        put_lanes(opd_row(w, d, i), v[i], mask);
}

/* C is added last, by an instruction of its own. */
static void add_c(const Warp *w, const CodeOpd *c, bool f16, uint32_t *d)
{
    uint32_t from[N8 * D_STRIDE];
    load_c(w, c, f16, from);
    for (uint32_t j = 0; j < N8; j++)
        for (uint32_t r = 0; r < M16; r++) {
            uint32_t *at = d + j * D_STRIDE + r;
            *at = num_add(f16 ? NUM_F16 : NUM_F32, from[j * D_STRIDE + r], *at,
                          (NumMode){.rnd = NUM_RN});
        }
}

static MmaFragment fragment(const Warp *w, const CodeOpd *o, uint8_t type, uint32_t halves,
                            bool by_pairs)
{
    MmaFragment f = {.type = mma_num_type(type),
                     .n_regs = o->n,
                     .halves = halves,
                     .by_pairs = by_pairs && type_info[type].bits == 8};
    for (uint32_t i = 0; i < o->n; i++)
        f.reg[i] = opd_row(w, o, i);
    return f;
}

static void mma_float(Warp *w, const XInsn *in, uint32_t mask)
{
    alignas(64) uint64_t a_mem[MMA_A_BLOCK * MAX_K_FLOAT], b_mem[MMA_B_BLOCK * MAX_K_FLOAT];
    alignas(64) uint32_t d[N8 * D_STRIDE];
    const Exec *x = w->cta->exec;
    const MmaOps *ops = mma_ops_for(x->isa);
    MmaMode mode = x->desc.mma_hw ? MMA_HW : MMA_FP32;
    Operands o = operands(w, in);
    const uint8_t *type = in->ci->type;
    bool f16 = type[0] == T_F16, halved = mode == MMA_HW && type_info[type[1]].bits == 8;
    MmaFragment fa = fragment(w, o.a, type[1], 2, halved),
                fb = fragment(w, o.b, type[2], 1, halved);
    MmaPanel a, b;
    if (mma_takes_32_rows(ops, mode))
        memset(d, 0, sizeof d);
    load_c(w, o.c, f16, d);
    mma_panel_init(&a, a_mem, MMA_A_BLOCK, o.shape.k);
    mma_panel_init(&b, b_mem, MMA_B_BLOCK, o.shape.k);
    mma_pack_fragment(ops, &a, &fa, true, mode);
    mma_pack_fragment(ops, &b, &fb, false, mode);
    MmaDesc desc = {.mode = mode,
                    .m = M16,
                    .n = N8,
                    .k = o.shape.k,
                    .k_step = halved ? o.shape.k / 2u : o.shape.k,
                    .align_bits = 25,
                    .frac_bits = 23,
                    .accumulate = !halved,
                    .d_f16 = f16,
                    .d_stride = D_STRIDE,
                    .lane16 = mma_lanes_straight};
    mma_run(ops, &desc, &a, &b, d);
    if (halved)
        add_c(w, o.c, f16, d);
    store_d(w, o.d, f16, mask, d);
}

/* ---- Integers ---- */

/* Row r of A or B (k elements, `halves` as in mma.h) as 16-bit integers. */
static void load_ints(const Warp *w, const CodeOpd *o, uint8_t type, uint32_t halves,
                      int16_t to[M16][MAX_K_INT])
{
    uint32_t bits = type == T_U4 || type == T_S4 ? 4 : 8, per_reg = 32 / bits,
             sign = type == T_S4 || type == T_S8 ? 1u << (bits - 1) : 0;
    for (uint32_t i = 0; i < o->n; i++) {
        const uint32_t *reg = opd_row(w, o, i);
        for (uint32_t l = 0; l < WARP; l++)
            for (uint32_t e = 0; e < per_reg; e++) {
                uint32_t v = reg[l] >> bits * e & ((1u << bits) - 1);
                to[l / 4 + 8 * (i % halves)][per_reg * (l % 4) + e + 4 * per_reg * (i / halves)] =
                    (int16_t)((int32_t)(v ^ sign) - (int32_t)sign);
            }
    }
}

uint32_t mma_add_int(uint32_t c, int32_t sum, bool saturate)
{
    int64_t exact = (int64_t)(int32_t)c + sum;
    if (saturate && exact > INT32_MAX)
        return INT32_MAX;
    if (saturate && exact < INT32_MIN)
        return (uint32_t)INT32_MIN;
    return (uint32_t)exact;
}

/* D = C + sum, the sums by row and column. */
static void finish_ints(const Warp *w, const Operands *o, int32_t sum[M16][N8], bool saturate,
                        uint32_t mask)
{
    uint32_t v[4][WARP];
    for (uint32_t i = 0; i < o->d->n; i++) {
        const uint32_t *c = opd_row(w, o->c, i);
        for (uint32_t l = 0; l < WARP; l++)
            v[i][l] = mma_add_int(c[l], sum[l / 4 + 8 * (i / 2)][2 * (l % 4) + i % 2], saturate);
    }
    for (uint32_t i = 0; i < o->d->n; i++)
        put_lanes(opd_row(w, o->d, i), v[i], mask);
}

static void mma_int(Warp *w, const XInsn *in, uint32_t mask)
{
    Operands o = operands(w, in);
    int16_t a[M16][MAX_K_INT], b[M16][MAX_K_INT];
    int32_t sum[M16][N8];
    load_ints(w, o.a, in->ci->type[1], o.shape.m / 8u, a);
    load_ints(w, o.b, in->ci->type[2], 1, b);
    for (uint32_t r = 0; r < o.shape.m; r++)
        for (uint32_t j = 0; j < N8; j++) {
            int32_t s = 0;
            for (uint32_t k = 0; k < o.shape.k; k++)
                s += a[r][k] * b[j][k];
            sum[r][j] = s;
        }
    finish_ints(w, &o, sum, in->ci->mod[MC_SATF] != 0, mask);
}

/* One-bit elements: the number of k where both are set (.and) or one is (.xor). */
static void mma_bits(Warp *w, const XInsn *in, uint32_t mask)
{
    Operands o = operands(w, in);
    bool is_xor = in->ci->mod[MC_REDOP] == MV_REDOP_XOR;
    uint32_t halves = o.shape.m / 8u;
    int32_t sum[M16][N8] = {{0}};
    for (uint32_t i = 0; i < o.a->n; i++) {
        const uint32_t *a = opd_row(w, o.a, i), *b = opd_row(w, o.b, i / halves);
        for (uint32_t g = 0; g < 8; g++)
            for (uint32_t j = 0; j < N8; j++)
                for (uint32_t q = 0; q < 4; q++) {
                    uint32_t x = a[4 * g + q], y = b[4 * j + q];
                    sum[g + 8 * (i % halves)][j] += __builtin_popcount(is_xor ? x ^ y : x & y);
                }
    }
    finish_ints(w, &o, sum, false, mask);
}

bool exec_mma_sync(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    out->plain = in->op == OP_MMA_SYNC_F64   ? mma_f64
                 : in->op == OP_MMA_SYNC_B1  ? mma_bits
                 : in->op == OP_MMA_SYNC_S32 ? mma_int
                                             : mma_float;
    return true;
}
