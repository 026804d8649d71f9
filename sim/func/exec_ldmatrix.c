/* ldmatrix, stmatrix and movmatrix: matrices whose rows of 16 bytes lie in shared memory, each
 * where a lane says, and whose elements lie in the registers of a warp.
 *
 * Lane l = 4 g + q. Row addresses come from lanes 0, 1, ... in the order of matrices; a matrix is
 * one register, m16n16 two.
 *
 *   m8n8 b16          half h of register i: matrix i, row g, element 2 q + h (.trans: row and
 * element exchanged) m8n16             byte j of register i: matrix i, row g, byte 4 q + j m16n16
 * .trans     byte j of register 2 i + s: matrix i, row 4 q + j, byte g + 8 s m16n8 .trans b8   byte
 * j of register i (stmatrix): matrix i, row 2 q + j % 2, byte g + 8 (j / 2)
 *
 * .b6x16_p32 and .b4x16_p64: the row's 16 elements of 6 or 4 bits, packed from its first bit, are
 * spread to bytes, the upper bits zero.
 *
 * Sources: PTX ISA 9.7.14.5.15-17; research/ptx.md 3.17. The 8-bit layouts agree with CuTe's
 * copy_sm100 traits, which are used on sm_100a; that a 4-bit element comes to the low bits is
 * stated in CuTe's mma_traits_sm120. */
#include "sim/func/engine.h"

enum { ROW_BYTES = 16, MATRIX_ROWS = 8 };

static uint32_t matrices(const XInsn *in)
{
    return 1u << (in->ci->mod[MC_NUM] - MV_NUM_X1);
}

/* Pointers to all rows, from the lanes that give addresses. */
static bool find_rows(ExecCtx *x, const XInsn *in, const CodeOpd *addr, uint32_t n_rows,
                      uint8_t *rows[WARP])
{
    for (uint32_t r = 0; r < n_rows; r++) {
        rows[r] = shared_at(x, in, (int)r, opd_shared(x, addr, r), ROW_BYTES, ROW_BYTES, NULL);
        if (!rows[r])
            return false;
    }
    return true;
}

/* Eight rows at a time; those in one 16-byte column of the banks pass one after the other. */
static uint32_t passes(uint8_t *const rows[WARP], const uint8_t *base, uint32_t n_rows)
{
    uint32_t sum = 0;
    for (uint32_t r0 = 0; r0 < n_rows; r0 += MATRIX_ROWS) {
        uint32_t count[MATRIX_ROWS] = {0}, most = 0;
        for (uint32_t r = r0; r < r0 + MATRIX_ROWS; r++) {
            uint32_t column = (uint32_t)(rows[r] - base) / ROW_BYTES % MATRIX_ROWS;
            most = ++count[column] > most ? count[column] : most;
        }
        sum += most;
    }
    return sum;
}

static void emit_smem(ExecCtx *x, uint8_t *const rows[WARP], uint32_t n_rows)
{
    Op *o = emit(x, OK_SMEM);
    o->waves = (uint16_t)passes(rows, x->cta->shared, n_rows);
    o->bytes = n_rows * ROW_BYTES;
}

/* Matrices of bytes: where byte j of register i of a lane lies, row among all rows and byte in it.
 */
typedef struct Place8 {
    uint32_t row, byte;
} Place8;

static Place8 place_of(const XInsn *in, uint32_t lane, uint32_t i, uint32_t j)
{
    uint32_t g = lane / 4, q = lane % 4;
    switch (in->ci->mod[MC_MSHAPE]) {
    case MV_MSHAPE_M16N16:
        return (Place8){i / 2 * 16 + 4 * q + j, g + 8 * (i % 2)};
    case MV_MSHAPE_M8N16:
        return (Place8){i * MATRIX_ROWS + g, 4 * q + j};
    default: /* M16N8 */
        return (Place8){i * MATRIX_ROWS + 2 * q + j % 2, g + 8 * (j / 2)};
    }
}

/* m8n8: register i of a lane, in its matrix's eight rows. */
static uint32_t load_pair(uint8_t *const rows[MATRIX_ROWS], uint32_t lane, bool trans)
{
    uint32_t g = lane / 4, q = lane % 4, word;
    uint16_t lo, hi;
    if (!trans) {
        memcpy(&word, rows[g] + 4 * q, sizeof word);
        return word;
    }
    memcpy(&lo, rows[2 * q] + 2 * g, sizeof lo);
    memcpy(&hi, rows[2 * q + 1] + 2 * g, sizeof hi);
    return lo | (uint32_t)hi << 16;
}

static void store_pair(uint8_t *const rows[MATRIX_ROWS], uint32_t lane, bool trans, uint32_t word)
{
    uint32_t g = lane / 4, q = lane % 4;
    uint16_t lo = (uint16_t)word, hi = (uint16_t)(word >> 16);
    if (!trans) {
        memcpy(rows[g] + 4 * q, &word, sizeof word);
        return;
    }
    memcpy(rows[2 * q] + 2 * g, &lo, sizeof lo);
    memcpy(rows[2 * q + 1] + 2 * g, &hi, sizeof hi);
}

/* One row as bytes. */
static void unpack_row(uint8_t to[ROW_BYTES], const uint8_t *from, uint8_t format)
{
    uint32_t bits = format == MV_SRCFMT_B6X16_P32 ? 6 : 4;
    uint64_t word[2];
    if (format == 0) {
        memcpy(to, from, ROW_BYTES);
        return;
    }
    memcpy(word, from, ROW_BYTES);
    for (uint32_t e = 0; e < ROW_BYTES; e++) {
        uint32_t at = e * bits;
        uint64_t v = word[at / 64] >> at % 64;
        if (at % 64 + bits > 64)
            v |= word[1] << (64 - at % 64);
        to[e] = (uint8_t)(v & ((1u << bits) - 1));
    }
}

static void load_bytes(const Warp *w, const XInsn *in, uint32_t mask, uint8_t *const rows[WARP],
                       uint32_t n_rows)
{
    uint8_t bytes[WARP][ROW_BYTES];
    const CodeOpd *d = opd(w, in, 0);
    for (uint32_t r = 0; r < n_rows; r++)
        unpack_row(bytes[r], rows[r], in->ci->mod[MC_SRCFMT]);
    for (uint32_t i = 0; i < d->n; i++) {
        uint32_t *to = opd_row(w, d, i);
        for (uint32_t m = mask; m; m &= m - 1) {
            uint32_t l = first_lane(m), v = 0;
            for (uint32_t j = 0; j < 4; j++) {
                Place8 p = place_of(in, l, i, j);
                v |= (uint32_t)bytes[p.row][p.byte] << 8 * j;
            }
            to[l] = v;
        }
    }
}

static bool dyn_ldmatrix(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    uint8_t *rows[WARP];
    uint32_t shape = in->ci->mod[MC_MSHAPE],
             n_rows = matrices(in) * (shape == MV_MSHAPE_M16N16 ? 16 : MATRIX_ROWS);
    bool trans = in->ci->mod[MC_TRANS] != 0;
    const CodeOpd *d = opd(x->w, in, 0);
    if (!find_rows(x, in, opd(x->w, in, 1), n_rows, rows))
        return false;
    if (shape != MV_MSHAPE_M8N8)
        load_bytes(x->w, in, mask, rows, n_rows);
    for (uint32_t i = 0; shape == MV_MSHAPE_M8N8 && i < d->n; i++) {
        uint32_t *to = opd_row(x->w, d, i);
        for (uint32_t m = mask; m; m &= m - 1)
            to[first_lane(m)] = load_pair(rows + i * MATRIX_ROWS, first_lane(m), trans);
    }
    emit_smem(x, rows, n_rows);
    return true;
}

static bool dyn_stmatrix(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    uint8_t *rows[WARP];
    bool pairs = in->ci->mod[MC_MSHAPE] == MV_MSHAPE_M8N8, trans = in->ci->mod[MC_TRANS] != 0;
    const CodeOpd *b = opd(x->w, in, 1);
    uint32_t n_rows = matrices(in) * MATRIX_ROWS;
    if (!find_rows(x, in, opd(x->w, in, 0), n_rows, rows))
        return false;
    for (uint32_t i = 0; i < b->n; i++) {
        const uint32_t *from = opd_row(x->w, b, i);
        for (uint32_t m = mask; m; m &= m - 1) {
            uint32_t l = first_lane(m);
            if (pairs)
                store_pair(rows + i * MATRIX_ROWS, l, trans, from[l]);
            for (uint32_t j = 0; !pairs && j < 4; j++) {
                Place8 p = place_of(in, l, i, j);
                rows[p.row][p.byte] = (uint8_t)(from[l] >> 8 * j);
            }
        }
    }
    emit_smem(x, rows, n_rows);
    return true;
}

/* d holds the transpose of the 8x8 matrix that a holds. */
static void movmatrix(Warp *w, const XInsn *in, uint32_t mask)
{
    const uint32_t *a = row(w, in->row[1]);
    uint32_t *d = row(w, in->row[0]), v[WARP] = {0};
    for (uint32_t l = 0; l < WARP; l++)
        for (uint32_t h = 0; h < 2; h++) {
            uint32_t r = 2 * (l % 4) + h, c = l / 4; /* of a */
            v[l] |= (a[4 * r + c / 2] >> 16 * (c % 2) & 0xFFFF) << 16 * h;
        }
    for (uint32_t m = mask; m; m &= m - 1)
        d[first_lane(m)] = v[first_lane(m)];
}

BIND_DYN(ldmatrix, dyn_ldmatrix)
BIND_DYN(stmatrix, dyn_stmatrix)
BIND_PLAIN(movmatrix, movmatrix)
