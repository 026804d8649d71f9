/* wmma.load, wmma.store and wmma.mma, as ptxas compiles them for sm_80 and later: loads of each
 * lane's elements, movmatrix where 16-bit elements lie across, and one or two mma.sync.
 *
 * A fragment consists of tiles of 8 x 4E elements, E of them in each register (accumulators: E = 2,
 * in a pair of registers unless they are f16). Lane 4 g + q holds elements E q .. E q + E - 1 of
 * line g. Lines are rows of A and of C, columns of B. Tiles stand in the order of mma.sync's
 * fragments:
 *
 *   m16n16  A is a fragment of 16 rows; B and C are two of 8 columns each
 *   m32n8   B is one fragment; A and C are two of 16 rows each
 *   m8n32   the product of the transposes: B takes the place of A as two fragments of 16 lines, A
 *           that of B, and lines of C are columns
 *   m8n8    the fragments of mma.sync
 *
 * A fragment of f16 has 8 registers whatever the shape; where fewer hold the tiles they repeat.
 * The PTX manual leaves all this open. An H100 has every fragment so (tests/data/hopper_wmma.tsv),
 * and ptxas 13.0 writes the same instructions for sm_90a and sm_100a; tf32 is multiplied in steps
 * of K = 4. */
#include <assert.h>
#include <string.h>

#include "sim/lower/build.h"

enum { MAX_REGS = 8, LINES = 8, TILE_CELLS = 4, STEPS = 32 };

typedef enum Matrix { MATRIX_A, MATRIX_B, MATRIX_C } Matrix;

typedef struct Build {
    Frame *fr;
    const Insn *in;
    uint32_t ptx;
} Build;

/* ---- Instructions ---- */

typedef struct Part { /* one operand */
    bool dst, mem;
    uint16_t n, n_elems; /* cells, elements */
    const Cell *cells;
    int64_t imm;
} Part;

static Part to(const Cell *cells, uint32_t n, uint32_t n_elems)
{
    return (Part){.dst = true, .n = (uint16_t)n, .n_elems = (uint16_t)n_elems, .cells = cells};
}

static Part from(const Cell *cells, uint32_t n, uint32_t n_elems)
{
    return (Part){.n = (uint16_t)n, .n_elems = (uint16_t)n_elems, .cells = cells};
}

static void add_parts(Ir *ir, const IrInsn *in, const Part *part, bool dst)
{
    for (uint32_t k = 0; k < in->n_opd; k++) {
        const Part *p = &part[k];
        if (p->dst != dst)
            continue;
        ir->opds[in->opd + k] = (IrOpd){.kind = p->mem ? CO_MEM : CO_VALUE,
                                        .dst = dst,
                                        .n = p->n,
                                        .n_elems = p->n_elems,
                                        .elem_slots = (uint16_t)(p->n / p->n_elems),
                                        .first = ir->n_cells,
                                        .imm = p->imm};
        build_add_cells(ir, p->cells, p->n);
    }
}

/* Op, types and modifiers are in `in`; the guard of the wmma instruction is everybody's. */
static void emit(const Build *b, IrInsn in, const Part *part, uint32_t n)
{
    Ir *ir = b->fr->ir;
    in.host = NO_INSN;
    in.ptx = b->ptx;
    in.n_opd = (uint8_t)n;
    in.opd = ir_opds(ir, n);
    ir_classify(ir, &in);
    in.src = ir->n_cells;
    if (b->in->guard >= 0) {
        build_add_cells(ir, &b->fr->reg[b->in->guard], 1);
        in.guard_neg = b->in->guard_neg;
        in.flags |= IF_GUARD;
    }
    add_parts(ir, &in, part, false);
    in.n_src = ir->n_cells - in.src;
    in.dst = ir->n_cells;
    add_parts(ir, &in, part, true);
    in.n_dst = ir->n_cells - in.dst;
    if (in.flags & IF_GUARD && in.n_dst)
        in.flags |= IF_RMW;
    ir_insn(ir, &in);
}

/* A new 32-bit value: a op b (op c). */
static Cell compute(const Build *b, OpCode op, PtxType type, Cell x, Cell y, Cell z)
{
    Cell d = ir_val(b->fr->ir, false);
    IrInsn in = {.op = (uint16_t)op, .type = {(uint8_t)type}};
    if (op == OP_MAD_LO)
        in.mod[MC_MUL] = MV_MUL_LO;
    emit(b, in, (Part[]){to(&d, 1, 1), from(&x, 1, 1), from(&y, 1, 1), from(&z, 1, 1)},
         z == CELL_SINK ? 3 : 4);
    return d;
}

static void fresh(const Build *b, Cell *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        v[i] = ir_val(b->fr->ir, false);
}

static void copy_out(const Build *b, const Cell *d, const Cell *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (b->in->guard < 0)
            ir_copy(b->fr->ir, d[i], v[i], b->ptx);
        else
            emit(b, (IrInsn){.op = OP_MOV, .type = {T_B32}},
                 (Part[]){to(&d[i], 1, 1), from(&v[i], 1, 1)}, 2);
}

/* The cells of a fragment; returns their number. */
static uint32_t fragment_cells(const Build *b, uint32_t k, Cell cells[MAX_REGS])
{
    const Operand *o = &b->in->opd[k];
    uint32_t n = 0;
    for (uint32_t i = 0; i < o->n; i++) {
        Cell c[MAX_SCALAR_CELLS];
        uint32_t each = build_scalar(b->fr, &b->fr->ir->module->elems[o->first + i], T_B32, c);
        assert(n + each <= MAX_REGS);
        memcpy(cells + n, c, each * sizeof *c);
        n += each;
    }
    return n;
}

/* ---- Fragments and memory ---- */

typedef struct Fragment {
    Matrix matrix;
    MatShape shape;
    uint32_t bits, per_lane; /* of an element; E */
    uint32_t cells;          /* of a tile, in a lane */
    uint32_t n_tiles;
    bool swapped;       /* m8n32 */
    bool straight;      /* a lane's elements lie behind one another in memory */
    uint32_t n_columns; /* the default stride */
} Fragment;

static uint32_t element_bits(const Insn *in)
{
    if (in->op == OP_WMMA_LOAD_A_B1 || in->op == OP_WMMA_LOAD_B_B1)
        return 1;
    return in->type[0] == T_U4 || in->type[0] == T_S4 ? 4 : type_info[in->type[0]].bits;
}

static Fragment fragment_of(const Insn *in, Matrix matrix)
{
    MatShape s = form_wmma_shape(in->mod[MC_WMMASHAPE]);
    bool by_rows = in->mod[MC_LAYOUT] == MV_LAYOUT_ROW, c = matrix == MATRIX_C;
    Fragment f = {.matrix = matrix, .shape = s, .bits = element_bits(in)};
    uint32_t rows = matrix == MATRIX_B ? s.k : s.m, columns = matrix == MATRIX_A ? s.k : s.n;
    f.per_lane = c ? 2 : f.bits >= 32 ? 1 : 32 / f.bits;
    f.cells = f.bits * f.per_lane / 32;
    f.n_tiles = rows * columns / (LINES * 4 * f.per_lane);
    f.swapped = s.m == 8 && s.n == 32;
    f.straight = matrix == MATRIX_B || (c && f.swapped) ? !by_rows : by_rows;
    f.n_columns = by_rows ? columns : rows;
    return f;
}

typedef struct Origin { /* of a tile: line, and element in it */
    uint32_t line, at;
} Origin;

static Origin tile_origin(const Fragment *f, uint32_t i)
{
    if (f->matrix == MATRIX_C) {
        bool by_lines = f->swapped || f->shape.m == 32;
        return (Origin){LINES * (i % 2) + (by_lines ? i / 2 * 2 * LINES : 0),
                        by_lines ? 0 : i / 2 * LINES};
    }
    uint32_t width = 4 * f->per_lane, across = f->shape.k / width;
    if ((f->matrix == MATRIX_A) == f->swapped) /* in B's place */
        return (Origin){LINES * (i / across), width * (i % across)};
    return (Origin){LINES * (i % 2) + 2 * LINES * (i / (2 * across)), width * (i / 2 % across)};
}

typedef struct Access { /* where a wmma instruction reads or writes */
    Cell base[2], stride;
    uint32_t n_base; /* 64-bit or 32-bit addresses */
    int64_t imm;
    uint32_t known_stride; /* 0: only at run time */
    Cell line[STEPS][2];   /* address of this lane on the line, once it is needed */
    bool have[STEPS];
} Access;

static void base_cells(const Build *b, const Operand *mem, Access *a)
{
    const Frame *fr = b->fr;
    Cell c[MAX_SCALAR_CELLS];
    uint8_t ss = b->in->mod[MC_SS];
    bool shared = ss == MV_SS_SHARED || ss == MV_SS_SHARED_CTA;
    Operand o = {.kind = OPD_ADDR_OF, .var = mem->var, .imm = mem->imm};
    if (mem->reg >= 0)
        o = (Operand){.kind = OPD_REG, .reg = mem->reg};
    else if (mem->var < 0)
        o = (Operand){.kind = OPD_IMM, .imm = mem->imm};
    a->imm = mem->reg >= 0 ? mem->imm : 0;
    a->n_base = build_scalar(b->fr, &o, shared ? T_U32 : T_U64, c);
    if (mem->reg >= 0)
        a->n_base = build_slots_of(fr->func->regs[mem->reg].type);
    memcpy(a->base, c, a->n_base * sizeof *c);
}

/* base + x * factor */
static void add_scaled(const Build *b, const Access *a, const Cell *base, Cell x, uint32_t factor,
                       Cell sum[2])
{
    Cell f = ir_const(b->fr->ir, factor);
    if (a->n_base == 1) {
        sum[0] = compute(b, OP_MAD_LO, T_U32, x, f, base[0]);
        return;
    }
    IrInsn in = {.op = OP_MAD_WIDE, .type = {T_U32}};
    in.mod[MC_MUL] = MV_MUL_WIDE;
    fresh(b, sum, 2);
    emit(b, in, (Part[]){to(sum, 2, 1), from(&x, 1, 1), from(&f, 1, 1), from(base, 2, 1)}, 4);
}

/* The lane's address in the first tile. Elements that lie across are moved one by one, by lane q on
 * E lines of memory; those of 16 bits as if they lay straight. */
static Access access_of(const Build *b, const Fragment *f, uint32_t mem_at)
{
    Ir *ir = b->fr->ir;
    Access a = {.n_base = 0};
    const Operand *stride = &b->in->opd[2];
    base_cells(b, &b->in->opd[mem_at], &a);
    a.known_stride = f->n_columns;
    if (b->in->n_opd > 2 && stride->kind != OPD_NONE) {
        Cell c[MAX_SCALAR_CELLS];
        build_scalar(b->fr, stride, T_U32, c);
        a.stride = c[0];
        a.known_stride = stride->kind == OPD_IMM ? (uint32_t)stride->imm : 0;
    } else {
        a.stride = ir_const(ir, a.known_stride);
    }
    Cell g = b->fr->lane_g, q = b->fr->lane_q, by = ir_const(ir, f->per_lane);
    if (f->per_lane > 1)
        q = compute(b, OP_MUL_LO, T_U32, q, by, CELL_SINK);
    bool across = !f->straight && f->bits != 16;
    Cell offset = compute(b, OP_MAD_LO, T_U32, across ? q : g, a.stride, across ? g : q);
    uint32_t bytes = f->bits / 8;
    if (f->bits < 8) {
        uint32_t shift = f->bits == 4 ? 1 : 3;
        offset = compute(b, OP_SHR, T_U32, offset, ir_const(ir, shift), CELL_SINK);
        bytes = 1;
    }
    add_scaled(b, &a, a.base, offset, bytes, a.line[0]);
    a.have[0] = true;
    return a;
}

/* [address] of element `at` on the line of memory that is `line` lines on. */
static Part address(const Build *b, const Fragment *f, Access *a, uint32_t line, uint32_t at)
{
    int64_t imm = a->imm + (int64_t)at * f->bits / 8;
    assert(line < STEPS);
    if (a->known_stride) {
        imm += (int64_t)line * a->known_stride * f->bits / 8;
        line = 0;
    }
    if (!a->have[line]) {
        assert(f->bits >= 8);
        add_scaled(b, a, a->line[0], a->stride, line * f->bits / 8, a->line[line]);
        a->have[line] = true;
    }
    return (Part){
        .mem = true, .n = (uint16_t)a->n_base, .n_elems = 1, .cells = a->line[line], .imm = imm};
}

/* n elements between memory and cells. */
static void move(const Build *b, PtxType type, Part mem, const Cell *cells, uint32_t n_cells,
                 uint32_t n, bool store)
{
    uint8_t ss = b->in->mod[MC_SS];
    bool shared = ss == MV_SS_SHARED || ss == MV_SS_SHARED_CTA;
    IrInsn in = {.type = {(uint8_t)type}};
    in.op = store ? (shared ? OP_ST_SHARED : OP_ST) : shared ? OP_LD_SHARED : OP_LD;
    in.mod[MC_SS] = ss;
    in.mod[MC_VEC] = n > 1 ? MV_VEC_V2 : 0;
    Part value = store ? from(cells, n_cells, n) : to(cells, n_cells, n);
    emit(b, in, store ? (Part[]){mem, value} : (Part[]){value, mem}, 2);
}

static Cell transpose(const Build *b, Cell a)
{
    Cell d = ir_val(b->fr->ir, false);
    IrInsn in = {.op = OP_MOVMATRIX};
    in.mod[MC_MSHAPE] = MV_MSHAPE_M8N8;
    in.mod[MC_TRANS] = MV_TRANS_ON;
    emit(b, in, (Part[]){to(&d, 1, 1), from(&a, 1, 1)}, 2);
    return d;
}

/* Four bytes, the first in the low one. */
static Cell pack_bytes(const Build *b, const Cell byte[4])
{
    enum { TWO_HALVES = 0x5410 };
    Ir *ir = b->fr->ir;
    Cell up = ir_const(ir, 256);
    Cell lo = compute(b, OP_MAD_LO, T_U32, byte[1], up, byte[0]),
         hi = compute(b, OP_MAD_LO, T_U32, byte[3], up, byte[2]);
    return compute(b, OP_PRMT, T_B32, lo, hi, ir_const(ir, TWO_HALVES));
}

/* One tile between memory and its cells. */
static void move_tile(const Build *b, const Fragment *f, Access *a, uint32_t i, Cell *cells,
                      bool store)
{
    Origin o = tile_origin(f, i);
    uint32_t bits = f->bits * f->per_lane, per = f->bits / 32; /* cells of an element */
    if (f->straight || f->bits == 16) {
        bool pair = f->matrix == MATRIX_C && f->bits >= 32;
        PtxType type = bits / (pair + 1u) == 64 ? T_B64 : T_B32;
        Part mem = f->straight ? address(b, f, a, o.line, o.at) : address(b, f, a, o.at, o.line);
        Cell turned = !f->straight && store ? transpose(b, cells[0]) : CELL_SINK;
        move(b, type, mem, turned == CELL_SINK ? cells : &turned, f->cells, pair + 1u, store);
        if (!f->straight && !store)
            cells[0] = transpose(b, cells[0]);
        return;
    }
    if (f->bits == 8) {
        Cell byte[4];
        fresh(b, byte, 4);
        for (uint32_t e = 0; e < 4; e++)
            move(b, T_U8, address(b, f, a, o.at + e, o.line), &byte[e], 1, 1, false);
        cells[0] = pack_bytes(b, byte);
        return;
    }
    for (uint32_t e = 0; e < f->per_lane; e++)
        move(b, per == 2 ? T_B64 : T_B32, address(b, f, a, o.at + e, o.line), cells + e * per, per,
             1, store);
}

static Matrix loaded_matrix(OpCode op)
{
    if (op <= OP_WMMA_LOAD_A_B1)
        return MATRIX_A;
    return op <= OP_WMMA_LOAD_B_B1 ? MATRIX_B : MATRIX_C;
}

static void build_load(const Build *b)
{
    Fragment f = fragment_of(b->in, loaded_matrix((OpCode)b->in->op));
    Access a = access_of(b, &f, 1);
    Cell v[MAX_REGS], d[MAX_REGS], all[MAX_REGS];
    uint32_t n = f.n_tiles * f.cells, n_d = fragment_cells(b, 0, d);
    assert(n <= n_d && n_d % n == 0);
    fresh(b, v, n);
    for (uint32_t i = 0; i < f.n_tiles; i++)
        move_tile(b, &f, &a, i, v + i * f.cells, false);
    for (uint32_t j = 0; j < n_d; j++)
        all[j] = v[j % n];
    copy_out(b, d, all, n_d);
}

static void build_store(const Build *b)
{
    Fragment f = fragment_of(b->in, MATRIX_C);
    Cell d[MAX_REGS];
    uint32_t n = fragment_cells(b, 1, d);
    Access a = access_of(b, &f, 0);
    assert(n == f.n_tiles * f.cells);
    for (uint32_t i = 0; i < f.n_tiles; i++)
        move_tile(b, &f, &a, i, d + i * f.cells, true);
}

/* ---- wmma.mma ---- */

typedef struct Product { /* how the product is cut into mma.sync */
    IrInsn in;           /* op, types and modifiers */
    uint32_t n, steps;   /* mma.sync beside each other, and one after another in k */
    uint32_t a, b, c;    /* registers of one fragment, of one step */
} Product;

static Product product_of(const Insn *in)
{
    MatShape s = form_wmma_shape(in->mod[MC_WMMASHAPE]);
    bool big = s.m * s.n > LINES * LINES;
    Product p = {.n = big ? 2 : 1, .steps = 1, .a = 4, .b = 2, .c = 4};
    p.in.op = OP_MMA_SYNC_F32;
    memcpy(p.in.type, (uint8_t[]){T_F32, T_F16, T_F16}, sizeof p.in.type);
    p.in.mod[MC_MMASHAPE] = MV_MMASHAPE_M16N8K16;
    p.in.mod[MC_SATF] = in->mod[MC_SATF];
    p.in.mod[MC_RND] = in->mod[MC_RND];
    p.in.mod[MC_REDOP] = in->mod[MC_REDOP];
    if (in->op > OP_WMMA_F16_F16)
        memcpy(p.in.type, in->type, sizeof p.in.type);
    if (in->op == OP_WMMA_F16_F16) {
        p.in.op = OP_MMA_SYNC_F16;
        p.in.type[0] = T_F16;
        p.c = 2;
    } else if (in->op == OP_WMMA_TF32) {
        p.in.mod[MC_MMASHAPE] = MV_MMASHAPE_M16N8K4;
        p.steps = 2;
        p.a = 2;
        p.b = 1;
    } else if (in->op == OP_WMMA_F64) {
        p.in.op = OP_MMA_SYNC_F64;
        p.in.mod[MC_MMASHAPE] = MV_MMASHAPE_M8N8K4;
        p.a = p.b = 2;
    } else if (in->op == OP_WMMA_S32 || in->op == OP_WMMA_B1) {
        p.in.op = in->op == OP_WMMA_B1 ? OP_MMA_SYNC_B1 : OP_MMA_SYNC_S32;
        p.in.mod[MC_MMASHAPE] = in->op == OP_WMMA_B1 ? MV_MMASHAPE_M8N8K128
                                : big                ? MV_MMASHAPE_M16N8K16
                                                     : MV_MMASHAPE_M8N8K32;
        p.a = big ? 2 : 1;
        p.b = 1;
        p.c = big ? 4 : 2;
    }
    return p;
}

/* {lo, hi} to two floats. */
static void widen(const Build *b, Cell pair, Cell out[2])
{
    Cell half[2];
    fresh(b, half, 2);
    fresh(b, out, 2);
    emit(b, (IrInsn){.op = OP_MOV_UNPACK, .type = {T_B32}},
         (Part[]){to(half, 2, 2), from(&pair, 1, 1)}, 2);
    for (uint32_t h = 0; h < 2; h++)
        emit(b, (IrInsn){.op = OP_CVT_WIDEN, .type = {T_F32, T_F16}},
             (Part[]){to(&out[h], 1, 1), from(&half[h], 1, 1)}, 2);
}

static Cell narrow(const Build *b, const Cell pair[2])
{
    Cell d = ir_val(b->fr->ir, false);
    IrInsn in = {.op = OP_CVT_F16X2, .type = {T_F16X2, T_F32}};
    in.mod[MC_RND] = MV_RND_RN;
    emit(b, in, (Part[]){to(&d, 1, 1), from(&pair[1], 1, 1), from(&pair[0], 1, 1)}, 3);
    return d;
}

static void build_mma(const Build *b)
{
    MatShape s = form_wmma_shape(b->in->mod[MC_WMMASHAPE]);
    Product p = product_of(b->in);
    uint32_t per = b->in->op == OP_WMMA_F64 ? 2 : 1; /* cells of an element */
    Cell a[MAX_REGS], bb[MAX_REGS], c[MAX_REGS], d[MAX_REGS], sum[MAX_REGS], given[MAX_REGS];
    fragment_cells(b, 1, a);
    fragment_cells(b, 2, bb);
    uint32_t n_c = fragment_cells(b, 3, given), n_d = fragment_cells(b, 0, d);
    memcpy(c, given, sizeof c);
    for (uint32_t i = 0; b->in->op == OP_WMMA_F32_F16 && i < n_c; i++)
        widen(b, given[i], c + 2 * i);
    bool swapped = s.m == 8 && s.n == 32;
    const Cell *rows = swapped ? bb : a, *columns = swapped ? a : bb;
    uint32_t next_a = s.m == 16 ? 0 : p.a, next_b = s.m == 16 ? p.steps * p.b : 0;
    for (uint32_t t = 0; t < p.n; t++)
        for (uint32_t k = 0; k < p.steps; k++) {
            Cell *to_sum = sum + t * p.c, *add = k ? to_sum : c + t * p.c, fresh_sum[MAX_REGS];
            fresh(b, fresh_sum, p.c);
            emit(b, p.in,
                 (Part[]){to(fresh_sum, p.c, p.c / per),
                          from(rows + t * next_a + k * p.a, p.a, p.a / per),
                          from(columns + t * next_b + k * p.b, p.b, p.b / per),
                          from(add, p.c, p.c / per)},
                 4);
            memcpy(to_sum, fresh_sum, p.c * sizeof *to_sum);
        }
    for (uint32_t i = 0; b->in->op == OP_WMMA_F16_F32 && i < n_d; i++)
        sum[i] = narrow(b, sum + 2 * i);
    copy_out(b, d, sum, n_d);
}

bool build_wmma(Frame *fr, const Insn *in, uint32_t ptx)
{
    Build b = {.fr = fr, .in = in, .ptx = ptx};
    if (in->op >= OP_WMMA_F32_F32)
        build_mma(&b);
    else if (in->op >= OP_WMMA_STORE_D_F16)
        build_store(&b);
    else
        build_load(&b);
    return true;
}
