/* Moves and selections of rows; see vec_row_body.h. */
#ifndef RAO_FUNC_VEC_MOVE_BODY_H
#define RAO_FUNC_VEC_MOVE_BODY_H

#include "sim/func/vec_row_body.h"

static inline uint32_t chosen_lanes(const Warp *w, const XInsn *in)
{
    return pred_lanes(w, in->pred[0], in->pred_neg & 1);
}

PLAIN32(mov32, a[i])
PLAIN_PAIR(mov64, , r1[i], r2[i])
PLAIN32(selp32, chosen_lanes(w, in) >> i & 1 ? a[i] : b[i])
PLAIN_PAIR(selp64, bool p = chosen_lanes(w, in) >> i & 1, p ? r1[i] : r3[i], p ? r2[i] : r4[i])

static void x_mov128(Warp *w, const XInsn *in, uint32_t mask)
{
    for (int i = 0; i < WARP; i++) {
        uint32_t v[4];
        for (int k = 0; k < 4; k++)
            v[k] = vrow(w, in, 4 + k)[i];
        for (int k = 0; k < 4; k++)
            if (mask >> i & 1)
                vrow(w, in, k)[i] = v[k];
    }
}

/* ld.param of a place that is the same for all lanes; checked when it was bound. */
static void x_ld_param(Warp *w, const XInsn *in, uint32_t mask)
{
    const uint8_t *from = w->cta->exec->desc.params + in->imm;
    for (int k = 0; k < in->n_rows; k++) {
        uint32_t v;
        memcpy(&v, from + 4 * k, sizeof v);
        uint32_t *d = vrow(w, in, k);
        if (mask == FULL_MASK)
            LANES d[i] = v;
        else
            LANES d[i] = mask >> i & 1 ? v : d[i];
    }
}

#define VEC_MOVES                                                                                  \
    {                                                                                              \
        .mov32 = x_mov32, .mov64 = x_mov64, .mov128 = x_mov128, .selp32 = x_selp32,                \
        .selp64 = x_selp64, .ld_param = x_ld_param,                                                \
    }

#endif
