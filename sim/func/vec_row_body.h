/* How one instruction becomes a loop over lanes; included by the other vec_*_body.h, after
 * num_body.h.
 *
 * Rows are in->row[]: results first, then operands. With all lanes active the loop writes the
 * destination itself, else a scratch row that is blended in. A destination may be the same row as
 * an operand, or cross over (the low half of a 64-bit result may be the high half of an operand):
 * each lane reads everything before it writes. The function for NAME is x_NAME. */
#ifndef RAO_FUNC_VEC_ROW_BODY_H
#define RAO_FUNC_VEC_ROW_BODY_H

#include "sim/func/vec.h"

#define ROW_ALIGN 128

static inline uint32_t *vrow(const Warp *w, const XInsn *in, int k)
{
    return __builtin_assume_aligned(row(w, in->row[k]), ROW_ALIGN);
}

/* Where a loop writes its results. The compiler must not see that this is a choice of two places:
 * it would choose anew for every lane instead of vectorising (clang 14). */
static inline uint32_t *target(uint32_t *d, uint32_t *t, uint32_t mask)
{
    uint32_t *o = mask == FULL_MASK ? d : t;
    __asm__("" : "+r"(o));
    return __builtin_assume_aligned(o, ROW_ALIGN);
}

static inline void blend(uint32_t *d, const uint32_t *t, uint32_t mask)
{
    LANES d[i] = mask >> i & 1 ? t[i] : d[i];
}

static inline uint64_t pair(uint32_t lo, uint32_t hi)
{
    return lo | (uint64_t)hi << 32;
}

/* expr gives the 32-bit result of lane i from a[i], b[i], c[i], e[i]: rows 1 to 4. */
#define PLAIN32(name, expr)                                                                        \
    static void x_##name(Warp *w, const XInsn *in, uint32_t mask)                                  \
    {                                                                                              \
        _Alignas(ROW_ALIGN) uint32_t t[WARP];                                                      \
        uint32_t *const d = vrow(w, in, 0);                                                        \
        const uint32_t *a = vrow(w, in, 1), *b = vrow(w, in, 2);                                   \
        const uint32_t *c = vrow(w, in, 3), *e = vrow(w, in, 4);                                   \
        (void)a, (void)b, (void)c, (void)e;                                                        \
        uint32_t *const o = target(d, t, mask);                                                    \
        LANES o[i] = (expr);                                                                       \
        if (mask != FULL_MASK)                                                                     \
            blend(d, t, mask);                                                                     \
    }

/* Two result rows, lo and hi, each from expressions over r1[i] .. r6[i], the rows after them. */
#define PLAIN_PAIR(name, decl, lo_expr, hi_expr)                                                   \
    static void x_##name(Warp *w, const XInsn *in, uint32_t mask)                                  \
    {                                                                                              \
        _Alignas(ROW_ALIGN) uint32_t t0[WARP], t1[WARP];                                           \
        uint32_t *const d0 = vrow(w, in, 0), *const d1 = vrow(w, in, 1);                           \
        const uint32_t *r1 = vrow(w, in, 2), *r2 = vrow(w, in, 3), *r3 = vrow(w, in, 4);           \
        const uint32_t *r4 = vrow(w, in, 5), *r5 = vrow(w, in, 6), *r6 = vrow(w, in, 7);           \
        (void)r1, (void)r2, (void)r3, (void)r4, (void)r5, (void)r6;                                \
        uint32_t *const o0 = target(d0, t0, mask);                                                 \
        uint32_t *const o1 = target(d1, t1, mask);                                                 \
        LANES                                                                                      \
        {                                                                                          \
            decl;                                                                                  \
            uint32_t lo = (lo_expr), hi = (hi_expr);                                               \
            o0[i] = lo;                                                                            \
            o1[i] = hi;                                                                            \
        }                                                                                          \
        if (mask != FULL_MASK) {                                                                   \
            blend(d0, t0, mask);                                                                   \
            blend(d1, t1, mask);                                                                   \
        }                                                                                          \
    }

/* A 64-bit result from the 64-bit operands x, y, z. */
#define PLAIN64(name, expr)                                                                        \
    PLAIN_PAIR(name, uint64_t x = pair(r1[i], r2[i]); uint64_t y = pair(r3[i], r4[i]);             \
               uint64_t z = pair(r5[i], r6[i]); (void)x; (void)y; (void)z;                         \
               uint64_t r = (uint64_t)(expr), (uint32_t)r, (uint32_t)(r >> 32))

/* A predicate from rows a, b (32-bit) or r0 .. r3 (64-bit: x, y). */
#define PLAIN_SETP(name, decl, cond)                                                               \
    static void x_##name(Warp *w, const XInsn *in, uint32_t mask)                                  \
    {                                                                                              \
        const uint32_t *a = vrow(w, in, 0), *b = vrow(w, in, 1);                                   \
        const uint32_t *b0 = vrow(w, in, 2), *b1 = vrow(w, in, 3);                                 \
        (void)b0, (void)b1;                                                                        \
        uint32_t r = 0;                                                                            \
        LANES                                                                                      \
        {                                                                                          \
            decl;                                                                                  \
            r |= (uint32_t)(cond) << i;                                                            \
        }                                                                                          \
        if (in->n_preds == 1)                                                                      \
            set_pred(w, in->pred[0], mask, r);                                                     \
        else                                                                                       \
            setp_combine(w, in, mask, r);                                                          \
    }

#endif
