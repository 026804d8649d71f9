/* Control flow: basic blocks, reverse post-order, dominators (Cooper, Harvey, Kennedy: "A Simple,
 * Fast Dominance Algorithm"), loop depth; tidying of branches; predication of tiny side blocks.
 *
 * Blocks stay in PTX order, because the executor's lowest-pc-first rule makes lanes rejoin where
 * paths join. */
#include <assert.h>
#include <string.h>

#include "sim/lower/ir.h"
#include "sim/model/model.h"

static bool is_branch(const IrInsn *in)
{
    return in->op == OP_BRA || in->op == OP_BRX_IDX;
}

static bool ends_block(const IrInsn *in)
{
    return is_branch(in) || in->op == OP_EXIT || in->op == OP_RET || in->op == OP_TRAP;
}

static bool always(const IrInsn *in)
{
    return !(in->flags & IF_GUARD);
}

/* Drops dead instructions, keeping branch targets. */
static void compact(Ir *ir)
{
    uint32_t *to = arena_new(ir->a, uint32_t, ir->n_insns + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < ir->n_insns; i++) {
        to[i] = n;
        n += !(ir->insns[i].flags & IF_DEAD);
    }
    to[ir->n_insns] = n;
    for (uint32_t i = 0; i < ir->n_insns; i++) {
        IrInsn *in = &ir->insns[i];
        if (in->flags & IF_DEAD)
            continue;
        if (in->op == OP_BRA)
            in->target = to[in->target];
        if (in->host != NO_INSN)
            in->host = to[in->host];
        if (to[i] != i)
            ir->insns[to[i]] = *in;
    }
    for (uint32_t k = 0; k < ir->n_brx; k++)
        ir->brx[k] = to[ir->brx[k]];
    ir->n_insns = n;
}

static uint32_t brx_count(const Ir *ir, const IrInsn *in)
{
    return (uint32_t)ir->opds[in->opd + 1].imm;
}

static void find_blocks(Ir *ir)
{
    bool *leader = arena_new(ir->a, bool, ir->n_insns + 1);
    bool *target = arena_new(ir->a, bool, ir->n_insns + 1);
    leader[0] = true;
    for (uint32_t i = 0; i < ir->n_insns; i++) {
        const IrInsn *in = &ir->insns[i];
        if (ends_block(in))
            leader[i + 1] = true;
        if (in->op == OP_BRA)
            leader[in->target] = target[in->target] = true;
        for (uint32_t k = 0; in->op == OP_BRX_IDX && k < brx_count(ir, in); k++)
            leader[ir->brx[in->target + k]] = target[ir->brx[in->target + k]] = true;
    }
    ir->block_of = arena_new(ir->a, uint32_t, ir->n_insns + 1);
    ir->blocks = arena_new(ir->a, Block, ir->n_insns + 1);
    ir->n_blocks = 0;
    for (uint32_t i = 0; i < ir->n_insns; i++) {
        if (leader[i])
            ir->blocks[ir->n_blocks++] = (Block){
                .first = i, .is_target = target[i], .idom = NO_BLOCK, .succ = {NO_BLOCK, NO_BLOCK}};
        ir->block_of[i] = ir->n_blocks - 1;
        ir->blocks[ir->n_blocks - 1].n++;
    }
    ir->block_of[ir->n_insns] = ir->n_blocks;
}

static uint32_t n_succ(const Block *b)
{
    return 2 + b->n_succ_more;
}

static uint32_t succ(const Ir *ir, const Block *b, uint32_t k)
{
    if (k < 2)
        return b->succ[k];
    return ir->block_of[ir->brx[b->succ_more + k - 2]];
}

static void link_blocks(Ir *ir)
{
    uint32_t n_edges = 0;
    for (uint32_t b = 0; b < ir->n_blocks; b++) {
        Block *blk = &ir->blocks[b];
        const IrInsn *last = &ir->insns[blk->first + blk->n - 1];
        if ((!ends_block(last) || !always(last)) && b + 1 < ir->n_blocks)
            blk->succ[0] = b + 1;
        if (last->op == OP_BRA)
            blk->succ[1] = ir->block_of[last->target];
        if (last->op == OP_BRX_IDX) {
            blk->succ_more = last->target;
            blk->n_succ_more = brx_count(ir, last);
        }
        n_edges += n_succ(blk);
    }
    ir->preds = arena_new(ir->a, uint32_t, n_edges + 1);
    for (uint32_t b = 0; b < ir->n_blocks; b++)
        for (uint32_t k = 0; k < n_succ(&ir->blocks[b]); k++)
            if (succ(ir, &ir->blocks[b], k) < ir->n_blocks)
                ir->blocks[succ(ir, &ir->blocks[b], k)].n_pred++;
    uint32_t at = 0;
    for (uint32_t b = 0; b < ir->n_blocks; b++) {
        ir->blocks[b].pred = at;
        at += ir->blocks[b].n_pred;
        ir->blocks[b].n_pred = 0;
    }
    for (uint32_t b = 0; b < ir->n_blocks; b++)
        for (uint32_t k = 0; k < n_succ(&ir->blocks[b]); k++) {
            uint32_t s = succ(ir, &ir->blocks[b], k);
            if (s < ir->n_blocks)
                ir->preds[ir->blocks[s].pred + ir->blocks[s].n_pred++] = b;
        }
}

/* Reverse post-order without recursion: (block, next successor) on a stack. */
static uint32_t number_blocks(Ir *ir, uint32_t *order)
{
    uint32_t *stack = arena_new(ir->a, uint32_t, ir->n_blocks + 1);
    uint32_t *next = arena_new(ir->a, uint32_t, ir->n_blocks + 1);
    bool *seen = arena_new(ir->a, bool, ir->n_blocks + 1);
    uint32_t depth = 0, n = 0;
    stack[depth++] = 0;
    seen[0] = true;
    while (depth) {
        uint32_t b = stack[depth - 1];
        if (next[b] < n_succ(&ir->blocks[b])) {
            uint32_t s = succ(ir, &ir->blocks[b], next[b]++);
            if (s < ir->n_blocks && !seen[s]) {
                seen[s] = true;
                stack[depth++] = s;
            }
            continue;
        }
        order[n++] = b;
        depth--;
    }
    for (uint32_t i = 0; i < n / 2; i++) {
        uint32_t t = order[i];
        order[i] = order[n - 1 - i];
        order[n - 1 - i] = t;
    }
    for (uint32_t i = 0; i < n; i++)
        ir->blocks[order[i]].rpo = i;
    return n;
}

static uint32_t meet(const Ir *ir, uint32_t a, uint32_t b)
{
    while (a != b) {
        while (ir->blocks[a].rpo > ir->blocks[b].rpo)
            a = ir->blocks[a].idom;
        while (ir->blocks[b].rpo > ir->blocks[a].rpo)
            b = ir->blocks[b].idom;
    }
    return a;
}

static void find_dominators(Ir *ir, const uint32_t *order, uint32_t n)
{
    ir->blocks[0].idom = 0;
    bool changed = true;
    while (changed) {
        changed = false;
        for (uint32_t i = 1; i < n; i++) {
            Block *b = &ir->blocks[order[i]];
            uint32_t idom = NO_BLOCK;
            for (uint32_t k = 0; k < b->n_pred; k++) {
                uint32_t p = ir->preds[b->pred + k];
                if (ir->blocks[p].idom != NO_BLOCK)
                    idom = idom == NO_BLOCK ? p : meet(ir, p, idom);
            }
            changed |= idom != b->idom;
            b->idom = idom;
        }
    }
}

/* A backward branch encloses the blocks between its target and itself: exact for the loops
 * compilers write. */
static void find_depths(Ir *ir)
{
    int32_t *delta = arena_new(ir->a, int32_t, ir->n_blocks + 2);
    for (uint32_t b = 0; b < ir->n_blocks; b++)
        for (uint32_t k = 1; k < n_succ(&ir->blocks[b]); k++) {
            uint32_t s = succ(ir, &ir->blocks[b], k);
            if (s < ir->n_blocks && s <= b) {
                delta[s]++;
                delta[b + 1]--;
            }
        }
    int32_t depth = 0;
    for (uint32_t b = 0; b < ir->n_blocks; b++) {
        depth += delta[b];
        ir->blocks[b].depth = (uint32_t)depth;
    }
}

/* Registers per thread that the kernel may use: .maxnreg, or what fits .maxntid threads. Without a
 * model nothing is scheduled, and nobody asks. */
static uint32_t base_budget(const Model *model, const Func *f)
{
    enum { MAX_REGS = 255 };
    const uint32_t *t = f->reqntid[0] ? f->reqntid : f->maxntid;
    uint64_t threads = (uint64_t)(t[0] ? t[0] : 1) * (t[1] ? t[1] : 1) * (t[2] ? t[2] : 1);
    uint32_t ctas = f->minnctapersm ? f->minnctapersm : 1;
    uint64_t regs = model ? (uint64_t)model->v[MP_SM_REGISTERS] / (threads * ctas) / 8 * 8 : 0;
    if (f->maxnreg)
        regs = f->maxnreg;
    return regs > MAX_REGS || regs == 0 ? MAX_REGS : (uint32_t)regs;
}

/* setmaxnreg changes the budget from where it stands on; where paths meet the smallest counts. */
static void find_budgets(Ir *ir, const uint32_t *order, uint32_t n)
{
    uint32_t *after = arena_new(ir->a, uint32_t, ir->n_blocks + 1);
    for (uint32_t i = 0; i < n; i++) {
        Block *b = &ir->blocks[order[i]];
        b->max_regs = i == 0 ? base_budget(ir->model, ir->func) : UINT32_MAX;
        for (uint32_t k = 0; k < b->n_pred; k++) {
            uint32_t p = after[ir->preds[b->pred + k]];
            if (p && p < b->max_regs)
                b->max_regs = p;
        }
        for (uint32_t k = b->first; k < b->first + b->n; k++) {
            const IrInsn *in = &ir->insns[k];
            if (in->op == OP_SETMAXNREG && cell_is_const(ir->cells[in->src]))
                b->max_regs = ir_const_bits(ir, ir->cells[in->src]);
        }
        after[order[i]] = b->max_regs;
    }
}

void cfg_build(Ir *ir)
{
    for (;;) { /* until no block is unreachable */
        compact(ir);
        find_blocks(ir);
        link_blocks(ir);
        uint32_t *order = arena_new(ir->a, uint32_t, ir->n_blocks + 1);
        uint32_t n = number_blocks(ir, order);
        find_dominators(ir, order, n);
        if (n == ir->n_blocks) {
            find_depths(ir);
            find_budgets(ir, order, n);
            return;
        }
        for (uint32_t b = 0; b < ir->n_blocks; b++)
            for (uint32_t k = 0; ir->blocks[b].idom == NO_BLOCK && k < ir->blocks[b].n; k++)
                ir->insns[ir->blocks[b].first + k].flags |= IF_DEAD;
    }
}

bool cfg_dominates(const Ir *ir, uint32_t def, uint32_t use)
{
    uint32_t d = ir->block_of[def], u = ir->block_of[use];
    if (d == u)
        return def < use;
    while (ir->blocks[u].rpo > ir->blocks[d].rpo)
        u = ir->blocks[u].idom;
    return u == d;
}

/* ---- Tidying ---- */

static bool is_jump(const IrInsn *in)
{
    return in->op == OP_BRA && always(in) && !(in->flags & IF_DEAD);
}

/* The first live instruction at or after i. */
static uint32_t live_at(const Ir *ir, uint32_t i)
{
    while (i < ir->n_insns && ir->insns[i].flags & IF_DEAD)
        i++;
    return i;
}

static bool fold_guard(Ir *ir, IrInsn *in)
{
    if (!(in->flags & IF_GUARD))
        return false;
    Cell g = ir->cells[in->src];
    if (g != CELL_TRUE && g != CELL_FALSE)
        return false;
    if ((g == CELL_TRUE) == in->guard_neg) {
        in->flags |= IF_DEAD;
        return true;
    }
    in->flags &= (uint8_t) ~(in->tclass == TC_WGMMA ? IF_GUARD : IF_GUARD | IF_RMW);
    in->src++;
    in->n_src--;
    in->guard_neg = false;
    return true;
}

/* Jumps to jumps, jumps to the next instruction, a conditional branch around a jump; guards that
 * are constant. */
bool cfg_cleanup(Ir *ir)
{
    enum { MAX_HOPS = 8 };
    bool changed = false;
    for (uint32_t i = 0; i < ir->n_insns; i++) {
        IrInsn *in = &ir->insns[i];
        if (in->flags & IF_DEAD)
            continue;
        changed |= fold_guard(ir, in);
        if (in->op != OP_BRA || in->flags & IF_DEAD)
            continue;
        for (uint32_t hops = 0; hops < MAX_HOPS; hops++) {
            uint32_t t = live_at(ir, in->target);
            if (t >= ir->n_insns || !is_jump(&ir->insns[t]) || t == i)
                break;
            in->target = ir->insns[t].target;
            changed = true;
        }
        uint32_t next = live_at(ir, i + 1);
        if (live_at(ir, in->target) == next) {
            in->flags |= IF_DEAD;
            changed = true;
            continue;
        }
        bool next_is_target = next < ir->n_insns && ir->blocks[ir->block_of[next]].first == next &&
                              ir->blocks[ir->block_of[next]].is_target;
        if (!always(in) && next < ir->n_insns && is_jump(&ir->insns[next]) && !next_is_target &&
            live_at(ir, in->target) == live_at(ir, next + 1)) {
            in->target = ir->insns[next].target;
            in->guard_neg = !in->guard_neg;
            ir->insns[next].flags |= IF_DEAD;
            changed = true;
        }
    }
    return changed;
}

/* ---- Predication ---- */

enum {
    PREDICATE_MAX = 4
}; /* instructions of a side block that ptxas rather predicates than jumps over */

static bool can_guard(const IrInsn *in)
{
    if (in->flags & IF_GUARD || ends_block(in) || in->op == OP_CALL)
        return false;
    const char *s = op_row[in->op].syntax;
    if (in->flags & IF_COPY)
        return false;
    return !strstr(s, ".sync") && !strstr(s, ".aligned") && !strstr(s, "bar{") &&
           in->tclass != TC_MBAR_TRY && in->tclass != TC_DIV;
}

static void add_guard(Ir *ir, IrInsn *in, Cell guard, bool neg)
{
    uint32_t n = in->n_src, from = in->src;
    uint32_t at = ir_cells(ir, n + 1);
    ir->cells[at] = guard;
    memcpy(ir->cells + at + 1, ir->cells + from, n * sizeof(Cell));
    for (uint32_t k = 0; k < in->n_opd; k++) {
        IrOpd *o = &ir->opds[in->opd + k];
        if (!o->dst && o->n && o->first >= from && o->first < from + n)
            o->first = o->first - from + at + 1;
    }
    in->src = at;
    in->n_src = n + 1;
    in->guard_neg = neg;
    in->flags |= IF_GUARD | (in->n_dst ? IF_RMW : 0);
}

/* "@p bra L; a; b; L:" becomes "@!p a; @!p b; L:" if a and b are few, can be predicated and leave p
 * alone. */
void cfg_if_convert(Ir *ir)
{
    for (uint32_t b = 0; b + 2 < ir->n_blocks; b++) {
        const Block *head = &ir->blocks[b], *side = &ir->blocks[b + 1];
        IrInsn *bra = &ir->insns[head->first + head->n - 1];
        if (bra->op != OP_BRA || always(bra) || bra->flags & IF_DEAD || head->succ[1] != b + 2 ||
            side->n_pred != 1 || side->n > PREDICATE_MAX || side->succ[0] != b + 2)
            continue;
        Cell guard = ir->cells[bra->src];
        bool ok = true;
        for (uint32_t i = side->first; ok && i < side->first + side->n; i++) {
            const IrInsn *in = &ir->insns[i];
            ok = in->flags & IF_DEAD || can_guard(in);
            for (uint32_t k = 0; k < in->n_dst; k++)
                ok &= ir->cells[in->dst + k] != guard;
        }
        if (!ok)
            continue;
        for (uint32_t i = side->first; i < side->first + side->n; i++)
            add_guard(ir, &ir->insns[i], guard, !bra->guard_neg);
        bra->flags |= IF_DEAD;
    }
}
