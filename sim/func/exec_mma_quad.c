/* mma.sync.m8n8k4 on f16: four products of 8 x 4 by 4 x 8, each of the lanes 4 p .. 4 p + 3 and
 * 16 + 4 p .. 16 + 4 p + 3. It was the form of sm_70's tensor cores; for sm_90a and sm_100a ptxas
 * 13.0 writes shuffles and FFMA, in ascending k from zero, and adds C last, whatever the mode of
 * the simulator's sums.
 *
 * Sources: PTX ISA 9.7.14.5 "Matrix Fragments for mma.m8n8k4"; an H100 gives these bits
 * (tests/data/hopper_wmma.tsv). */
#include <math.h>

#include "sim/func/engine.h"
#include "sim/func/num.h"

enum { ROWS = 8, STEPS = 4, QUADS = 4 };

typedef struct At {
    uint32_t row, column;
} At;

/* Element i of a lane. */
static At at_of_a(uint32_t lane, uint32_t i, bool by_rows)
{
    uint32_t upper = lane / 16 * 4;
    return by_rows ? (At){lane % 4 + upper, i} : (At){i + upper, lane % 4};
}

static At at_of_b(uint32_t lane, uint32_t i, bool by_rows)
{
    uint32_t upper = lane / 16 * 4;
    return by_rows ? (At){lane % 4, i + upper} : (At){i, lane % 4 + upper};
}

static At at_of_c(uint32_t lane, uint32_t i, bool f16)
{
    uint32_t upper = lane / 16 * 4;
    if (f16)
        return (At){lane % 4 + upper, i};
    return (At){(lane & 1) + (i & 2) + upper, (i & 4) + (lane & 2) + (i & 1)};
}

static float half_at(const Warp *w, const CodeOpd *o, uint32_t lane, uint32_t i)
{
    uint32_t bits = opd_row(w, o, i / 2)[lane] >> 16 * (i % 2) & 0xFFFF;
    return num_float((uint32_t)num_convert(NUM_F32, NUM_F16, bits, (NumMode){.rnd = NUM_RN}));
}

static void put_result(const Warp *w, const CodeOpd *d, uint32_t lane, uint32_t i, bool f16,
                       uint32_t bits)
{
    if (!f16) {
        opd_row(w, d, i)[lane] = bits;
        return;
    }
    uint32_t *to = &opd_row(w, d, i / 2)[lane], shift = 16 * (i % 2);
    bits = (uint32_t)num_convert(NUM_F16, NUM_F32, bits, (NumMode){.rnd = NUM_RN});
    *to = (*to & ~(0xFFFFu << shift)) | bits << shift;
}

static void mma_quad(Warp *w, const XInsn *in, uint32_t mask)
{
    const CodeInsn *ci = in->ci;
    const CodeOpd *d = opd(w, in, 0), *a = opd(w, in, 1), *b = opd(w, in, 2), *c = opd(w, in, 3);
    bool a_rows = ci->mod[MC_LAYOUT] == MV_LAYOUT_ROW,
         b_rows = ci->mod[MC_LAYOUT_B] == MV_LAYOUT_B_ROW;
    bool d_f16 = d->n_elems == ROWS / 2, c_f16 = c->n_elems == ROWS / 2;
    float x[QUADS][ROWS][STEPS], y[QUADS][STEPS][ROWS], z[QUADS][ROWS][ROWS];
    for (uint32_t l = 0; l < WARP; l++) {
        uint32_t q = l % 16 / 4;
        for (uint32_t i = 0; i < STEPS; i++) {
            At p = at_of_a(l, i, a_rows), r = at_of_b(l, i, b_rows);
            x[q][p.row][p.column] = half_at(w, a, l, i);
            y[q][r.row][r.column] = half_at(w, b, l, i);
        }
        for (uint32_t i = 0; i < ROWS; i++) {
            At p = at_of_c(l, i, c_f16);
            z[q][p.row][p.column] = c_f16 ? half_at(w, c, l, i) : num_float(opd_row(w, c, i)[l]);
        }
    }
    for (uint32_t m = mask; m; m &= m - 1)
        for (uint32_t l = first_lane(m), i = 0; i < ROWS; i++) {
            At p = at_of_c(l, i, d_f16);
            uint32_t q = l % 16 / 4;
            float sum = 0;
            for (uint32_t k = 0; k < STEPS; k++)
                sum = fmaf(x[q][p.row][k], y[q][k][p.column], sum);
            put_result(w, d, l, i, d_f16, num_canon_f32(num_bits(sum + z[q][p.row][p.column])));
        }
}

BIND_PLAIN(mma_quad, mma_quad)
