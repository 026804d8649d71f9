/* MMA_HW of the kinds mxf4 and mxf4nvf4; part of mma_body.h, for one instruction set.
 *
 * Products of 16 elements are summed exactly and multiplied by the significands of their two
 * scales; such a group has the sum of the scales' exponents as its exponent, however small it is.
 * The groups of a step and d are aligned to the largest exponent, cut toward zero to align_bits
 * (35), added, and the sum cut to fp32 (research/ptx.md 4.3). A group has at most 20 significant
 * bits and the integers stay below 2^50, so double holds all of it exactly. */
#ifndef RAO_FUNC_MMA_GROUP_BODY_H
#define RAO_FUNC_MMA_GROUP_BODY_H

enum { GROUPS = 4 }; /* of a step */

typedef struct GroupStep {
    float sum[GROUPS][MMA_A_BLOCK]; /* of products, times the scales' significands */
    int32_t exp[GROUPS][MMA_A_BLOCK];
} GroupStep;

/* 2^e for every e of a normal double. */
static inline double power_of_2d(int32_t e)
{
    uint64_t bits = (uint64_t)(int64_t)(e + 1023) << 52;
    double y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

static inline void group_sums(GroupStep *s, const MmaPanel *pa, const MmaPanel *pb, unsigned block,
                              unsigned col, unsigned k0)
{
    const MmaScale *sa = &pa->scale, *sb = &pb->scale;
    const float *b =
        pb->val + (size_t)(col / MMA_B_BLOCK) * pb->k * MMA_B_BLOCK + col % MMA_B_BLOCK;
    for (unsigned g = 0; g < GROUPS; g++) {
        unsigned k1 = k0 + g * 16;
        const float *a = pa->val + ((size_t)block * pa->k + k1) * MMA_A_BLOCK;
        VecF sum[MMA_A_BLOCK / WIDTH];
        for (unsigned v = 0; v < MMA_A_BLOCK / WIDTH; v++)
            sum[v] = splat_f(0);
        for (unsigned k = 0; k < 16; k++) {
            VecF y = splat_f(b[(k1 + k) * MMA_B_BLOCK]);
            for (unsigned v = 0; v < MMA_A_BLOCK / WIDTH; v++)
                sum[v] = fma_f(load_f(a + k * MMA_A_BLOCK + v * WIDTH), y, sum[v]);
        }
        const uint8_t *code_a = sa->code + (size_t)(k1 / sa->vec) * pa->rows + block * MMA_A_BLOCK;
        uint8_t code_b = sb->code[(size_t)(k1 / sb->vec) * pb->rows + col];
        float y = mma_scale_significand(sb->type, code_b);
        int32_t e = mma_scale_exponent(sb->type, code_b);
        for (unsigned v = 0; v < MMA_A_BLOCK / WIDTH; v++)
            store_f(&s->sum[g][v * WIDTH], sum[v]);
        for (unsigned r = 0; r < MMA_A_BLOCK; r++) {
            s->sum[g][r] *= mma_scale_significand(sa->type, code_a[r]) * y;
            s->exp[g][r] = e + mma_scale_exponent(sa->type, code_a[r]);
        }
    }
}

/* Aligns, adds and cuts one step; c: 32 rows of one column of D. */
static inline void group_finish(const GroupStep *s, int32_t align, float *c)
{
    uint32_t out[MMA_A_BLOCK];
    for (unsigned r = 0; r < MMA_A_BLOCK; r++) {
        int32_t field = (int32_t)(num_bits(c[r]) >> 23 & 0xFF), top = (field ? field : 1) - 127;
        for (unsigned g = 0; g < GROUPS; g++)
            top = s->exp[g][r] > top ? s->exp[g][r] : top;
        double sum = __builtin_trunc((double)c[r] * power_of_2d(align - top));
        for (unsigned g = 0; g < GROUPS; g++) {
            int32_t below = s->exp[g][r] - top;
            below = below < -200 ? -200 : below; /* cut to zero in any case */
            sum += __builtin_trunc((double)s->sum[g][r] * power_of_2d(align + below));
        }
        /* In units of the smallest float; no finer, and no more than 24 bits. */
        double units = __builtin_trunc(sum * power_of_2d(top - align + 149));
        uint64_t bits;
        memcpy(&bits, &units, sizeof bits);
        bits &= ~UINT64_C(0x1FFFFFFF);
        memcpy(&units, &bits, sizeof bits);
        out[r] = num_bits((float)(units * 0x1p-149 + 0.0)); /* + 0: a sum cut to zero is +0 */
        out[r] = num_canon_f32(out[r]);
    }
    memcpy(c, out, sizeof out);
}

static void hw_grouped(const MmaDesc *desc, const MmaPanel *pa, const MmaPanel *pb, uint32_t *d)
{
    GroupStep s;
    float c[MMA_A_BLOCK];
    for (unsigned block = 0; block < desc->m / MMA_A_BLOCK; block++) {
        size_t lane[2] = {lane_of(desc, block, 0), lane_of(desc, block, MMA_GROUP)};
        for (unsigned j = 0; j < desc->n; j++) {
            uint32_t *to = d + j * desc->d_stride;
            memset(c, 0, sizeof c);
            if (desc->accumulate) {
                memcpy(c, to + lane[0], sizeof c / 2);
                memcpy(c + MMA_GROUP, to + lane[1], sizeof c / 2);
            }
            for (unsigned k = 0; k < desc->k; k += GROUPS * 16) {
                group_sums(&s, pa, pb, block, desc->n0 + j, k);
                group_finish(&s, (int32_t)desc->align_bits, c);
            }
            memcpy(to + lane[0], c, sizeof c / 2);
            memcpy(to + lane[1], c + MMA_GROUP, sizeof c / 2);
        }
    }
}

#endif
