/* Uniformity: which values are the same in all lanes of a warp, and so which integer work ptxas
 * gives to the uniform datapath (ptx.md 5.2: about 1,000 of 5,200 instructions in FMHA forward).
 * Conservative: a value is uniform if every definition is, none of them stands where lanes may be
 * apart, and its sources are uniform.
 *
 * Lanes may be apart between a branch on a predicate that is not uniform and the branch's immediate
 * post-dominator. */
#include "sim/lower/ir.h"

#include <string.h>

typedef struct Uniform {
    Ir *ir;
    uint8_t *varies; /* per value */
    uint32_t *ipdom; /* per block: immediate post-dominator; n_blocks = the end */
    uint32_t *order; /* per block: number in reverse post-order of the reversed graph */
} Uniform;

/* ---- Post-dominators: the same algorithm as cfg.c on the reversed graph with one virtual end ----
 */

static bool leaves(const Ir *ir, uint32_t b)
{
    const Block *blk = &ir->blocks[b];
    return blk->succ[0] == NO_BLOCK && blk->succ[1] == NO_BLOCK && blk->n_succ_more == 0;
}

static uint32_t successor(const Ir *ir, const Block *b, uint32_t k)
{
    return k < 2 ? b->succ[k] : ir->block_of[ir->brx[b->succ_more + k - 2]];
}

static uint32_t visit(Uniform *u, uint32_t root, bool *seen, uint32_t *list, uint32_t n)
{
    Ir *ir = u->ir;
    uint32_t *stack = arena_new(ir->a, uint32_t, ir->n_blocks + 1);
    uint32_t *next = arena_new(ir->a, uint32_t, ir->n_blocks + 1);
    uint32_t depth = 0;
    stack[depth++] = root;
    seen[root] = true;
    while (depth) {
        uint32_t b = stack[depth - 1];
        if (next[b] < ir->blocks[b].n_pred) {
            uint32_t p = ir->preds[ir->blocks[b].pred + next[b]++];
            if (!seen[p]) {
                seen[p] = true;
                stack[depth++] = p;
            }
            continue;
        }
        list[n++] = b;
        depth--;
    }
    return n;
}

static uint32_t meet(const Uniform *u, uint32_t a, uint32_t b)
{
    while (a != b) {
        while (u->order[a] > u->order[b])
            a = u->ipdom[a];
        while (u->order[b] > u->order[a])
            b = u->ipdom[b];
    }
    return a;
}

static void find_post_dominators(Uniform *u)
{
    Ir *ir = u->ir;
    uint32_t end = ir->n_blocks, n = 0;
    uint32_t *list = arena_new(ir->a, uint32_t, ir->n_blocks + 1); /* post-order */
    bool *seen = arena_new(ir->a, bool, ir->n_blocks + 1);
    u->ipdom = arena_new(ir->a, uint32_t, ir->n_blocks + 1);
    u->order = arena_new(ir->a, uint32_t, ir->n_blocks + 1);
    memset(u->ipdom, 0xff, sizeof *u->ipdom * (ir->n_blocks + 1));
    for (uint32_t b = 0; b < ir->n_blocks; b++)
        if (leaves(ir, b) && !seen[b])
            n = visit(u, b, seen, list, n);
    u->ipdom[end] = end;
    for (uint32_t i = 0; i < n; i++)
        u->order[list[i]] = n - i;
    bool changed = true;
    while (changed) {
        changed = false;
        for (uint32_t i = n; i-- > 0;) {
            const Block *b = &ir->blocks[list[i]];
            uint32_t p = leaves(ir, list[i]) ? end : NO_BLOCK;
            for (uint32_t k = 0; k < 2 + b->n_succ_more; k++) {
                uint32_t s = successor(ir, b, k);
                if (s < ir->n_blocks && u->ipdom[s] != NO_BLOCK)
                    p = p == NO_BLOCK ? s : meet(u, s, p);
            }
            changed |= p != u->ipdom[list[i]];
            u->ipdom[list[i]] = p;
        }
    }
}

/* ---- Values ---- */

/* clang-format off */
static bool sreg_varies(Sreg sr)
{
    switch (sr) {
    case SR_TID_X: case SR_TID_Y: case SR_TID_Z: case SR_LANEID: case SR_LANEMASK_EQ: case SR_LANEMASK_LE:
    case SR_LANEMASK_LT: case SR_LANEMASK_GE: case SR_LANEMASK_GT: case SR_CLOCK: case SR_CLOCK_HI: case SR_CLOCK64:
    case SR_GLOBALTIMER: case SR_GLOBALTIMER_LO: case SR_GLOBALTIMER_HI: case SR_COUNT:
        return true;
    default: /* of the CTA, the grid, the warp */
        return false;
    }
}

/* clang-format on */

static bool sources_vary(const Uniform *u, const IrInsn *in)
{
    for (uint32_t k = 0; k < in->n_src; k++) {
        Cell c = u->ir->cells[in->src + k];
        if (cell_is_val(c) && u->varies[c])
            return true;
    }
    return false;
}

static bool result_varies(const Uniform *u, const IrInsn *in, uint32_t k)
{
    const Ir *ir = u->ir;
    bool sources = sources_vary(u, in);
    switch (in->op) {
    case OP_SHFL: /* idx with one lane for all broadcasts */
        return k > 0 || in->mod[MC_SHFL] != MV_SHFL_IDX ||
               !cell_is_const(ir->cells[ir->opds[in->opd + 3].first]);
    case OP_ELECT:
        return k > 0;
    case OP_VOTE:
    case OP_VOTE_BALLOT:
    case OP_REDUX:
    case OP_REDUX_BITS:
    case OP_ACTIVEMASK:
        return false;
    case OP_LD_PARAM:
        return sources;
    case OP_MOV:
        if (ir->opds[in->opd + 1].kind == CO_SREG)
            return sreg_varies((Sreg)ir->opds[in->opd + 1].imm);
        return sources;
    default:
        break;
    }
    if (in->flags & IF_WAIT)
        return false;
    return sources || !(in->flags & IF_PLAIN) || in->tclass == TC_VOTE;
}

static bool mark_region(Uniform *u, uint32_t b, uint32_t *stack)
{
    Ir *ir = u->ir;
    uint32_t depth = 0, stop = u->ipdom[b];
    bool changed = false;
    stack[depth++] = b;
    while (depth) {
        const Block *blk = &ir->blocks[stack[--depth]];
        for (uint32_t k = 0; k < 2 + blk->n_succ_more; k++) {
            uint32_t s = successor(ir, blk, k);
            if (s >= ir->n_blocks || s == stop || ir->blocks[s].divergent)
                continue;
            ir->blocks[s].divergent = true;
            changed = true;
            stack[depth++] = s;
        }
    }
    return changed;
}

static bool mark_block(Uniform *u, uint32_t b)
{
    Ir *ir = u->ir;
    const Block *blk = &ir->blocks[b];
    bool changed = false;
    for (uint32_t i = blk->first; i < blk->first + blk->n; i++) {
        const IrInsn *in = &ir->insns[i];
        if (in->flags & IF_DEAD)
            continue;
        for (uint32_t k = 0; k < in->n_dst; k++) {
            Cell d = ir->cells[in->dst + k];
            if (!cell_is_val(d) || u->varies[d])
                continue;
            u->varies[d] = blk->divergent || result_varies(u, in, k);
            changed |= u->varies[d];
        }
    }
    return changed;
}

/* Lanes that leave the kernel are gone: those that stay are together. */
static bool only_exits(const Ir *ir, uint32_t b)
{
    if (b >= ir->n_blocks)
        return false;
    const Block *blk = &ir->blocks[b];
    for (uint32_t i = blk->first; i < blk->first + blk->n; i++) {
        const IrInsn *in = &ir->insns[i];
        if (!(in->flags & IF_DEAD) && in->op != OP_EXIT && in->op != OP_RET)
            return false;
    }
    return leaves(ir, b);
}

/* A region may be entered again through a loop: its blocks are marked from every branch that
 * varies. */
static bool mark_branches(Uniform *u, uint32_t *stack)
{
    Ir *ir = u->ir;
    bool changed = false;
    for (uint32_t b = 0; b < ir->n_blocks; b++) {
        const Block *blk = &ir->blocks[b];
        const IrInsn *last = &ir->insns[blk->first + blk->n - 1];
        bool splits = blk->succ[1] != NO_BLOCK || blk->n_succ_more;
        if (only_exits(ir, blk->succ[0]) || only_exits(ir, blk->succ[1]))
            splits = false;
        if (splits && !(last->flags & IF_DEAD) && sources_vary(u, last))
            changed |= mark_region(u, b, stack);
    }
    return changed;
}

/* ---- What follows from it ---- */

static bool on_uniform_path(const IrInsn *in)
{
    return in->tclass == TC_ALU || in->tclass == TC_IMAD || in->tclass == TC_IMAD_WIDE ||
           in->tclass == TC_MINMAX || in->tclass == TC_BITS;
}

/* Descriptors and coordinates go through uniform registers: R2UR for every 32 bits that do not lie
 * there and that a loop does not hoist (ptx.md 5.2: up to 8 for a tcgen05.mma). */
static uint16_t transfer_slots(const Uniform *u, const IrInsn *in, const uint32_t *def_depth,
                               uint32_t depth)
{
    enum { MAX_TRANSFERS = 8 };
    uint32_t n = 0;
    for (uint32_t k = 0; k < in->n_src; k++) {
        Cell c = u->ir->cells[in->src + k];
        bool guard = k == 0 && in->flags & IF_GUARD;
        if (cell_is_val(c) && !guard && !u->ir->is_pred[c] && u->varies[c] &&
            (def_depth[c] >= depth || depth == 0))
            n++;
    }
    return (uint16_t)(1 + (n < MAX_TRANSFERS ? n : MAX_TRANSFERS));
}

static void apply(Uniform *u)
{
    Ir *ir = u->ir;
    uint32_t *def_depth = arena_new(ir->a, uint32_t, ir->n_vals + 1);
    for (uint32_t i = 0; i < ir->n_insns; i++)
        for (uint32_t k = 0; k < ir->insns[i].n_dst && !(ir->insns[i].flags & IF_DEAD); k++) {
            Cell d = ir->cells[ir->insns[i].dst + k];
            uint32_t depth = ir->blocks[ir->block_of[i]].depth;
            if (cell_is_val(d) && def_depth[d] < depth)
                def_depth[d] = depth;
        }
    for (uint32_t i = 0; i < ir->n_insns; i++) {
        IrInsn *in = &ir->insns[i];
        const Block *b = &ir->blocks[ir->block_of[i]];
        if (in->flags & IF_DEAD)
            continue;
        if (in->tclass == TC_MMA || in->tclass == TC_TMA_LD || in->tclass == TC_TMA_ST)
            in->slots = transfer_slots(u, in, def_depth, b->depth);
        bool varies = b->divergent || sources_vary(u, in) || in->n_dst == 0;
        for (uint32_t k = 0; k < in->n_dst; k++)
            varies |= cell_is_val(ir->cells[in->dst + k]) && u->varies[ir->cells[in->dst + k]];
        if (!varies && in->flags & IF_PLAIN && row_is_int((OpCode)in->op) && on_uniform_path(in)) {
            in->uniform = true;
            in->tclass = TC_UNIFORM;
        }
    }
}

void mark_uniform(Ir *ir)
{
    Uniform u = {.ir = ir, .varies = arena_new(ir->a, uint8_t, ir->n_vals + 1)};
    uint32_t *stack = arena_new(ir->a, uint32_t, ir->n_blocks + 1);
    find_post_dominators(&u);
    bool changed = true;
    while (changed) {
        changed = false;
        for (uint32_t b = 0; b < ir->n_blocks; b++)
            changed |= mark_block(&u, b);
        changed |= mark_branches(&u, stack);
    }
    apply(&u);
}
