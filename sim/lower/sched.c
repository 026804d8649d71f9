/* List scheduling inside basic blocks with the latencies of the model, as ptxas does for an
 * in-order machine (ptx.md 5.3 item 2b). A node is an instruction with those fused into it. Data
 * dependences are kept on values; everything that touches memory, synchronises or has another
 * effect keeps its order among its kind; register work moves freely between, but not across a read
 * of the clock, barrier.cluster.arrive and setmaxnreg (so ptxas 13.0 for sm_90a and sm_100a; it
 * does move work across bar.sync, mbarrier operations, fences and stores).
 *
 * Longest path to the end of the block first; when the values alive come near the registers that
 * the kernel may use, the node that frees most, in PTX order. */
#include "sim/lower/ir.h"

#include <assert.h>
#include <string.h>

#include "sim/model/model.h"

/* WINDOW: available nodes looked at; RESERVE: registers kept free for what moves late. */
enum { WINDOW = 256, RESERVE = 6 };
#define NO_NODE UINT32_MAX

typedef struct Edge {
    uint32_t to, next;
    uint32_t latency;
} Edge;

typedef struct Node {
    uint32_t first, n;  /* instructions */
    uint32_t edges;     /* head of the list */
    uint32_t waits_for; /* predecessors not scheduled yet */
    uint32_t height;    /* longest path to the end of the block, cycles */
    uint32_t ready;     /* earliest cycle */
    uint32_t next;      /* in the list of available nodes */
    uint8_t unit;
    bool ordered;
} Node;

typedef struct Sched {
    Ir *ir;
    const Live *live;
    uint32_t latency[TC_COUNT], interval[TC_COUNT];
    Node *node;
    uint32_t n_nodes;
    Edge *edge;
    uint32_t n_edges, cap_edges;
    uint32_t stamp_now; /* per value, valid if its stamp is this: */
    uint32_t *stamp, *writer, *reader,
        *uses; /* reader: head of a list of reads since the last write */
    uint32_t *read_next, *read_node, n_reads, cap_reads;
    IrInsn *tmp;
    uint32_t block;
    uint32_t alive, limit, peak; /* registers */
    uint8_t *async_d;            /* per value: an accumulator of some wgmma */
    uint32_t wgmma_wait; /* last wait_group of the block: such values are not touched before */
} Sched;

/* ---- Latencies ---- */

static void set_class(Sched *s, TClass c, double latency, double lanes)
{
    enum { SUB_PARTITIONS = 4, WARP_LANES = 32 };
    double cycles = WARP_LANES * SUB_PARTITIONS / lanes;
    s->latency[c] = (uint32_t)(latency + 0.5);
    s->interval[c] = cycles > 1 ? (uint32_t)(cycles + 0.5) : 1;
}

static void read_model(Sched *s)
{
    const double *v = s->ir->model->v;
    for (uint32_t c = 0; c < TC_COUNT; c++)
        s->latency[c] = s->interval[c] = 1;
#define CLASS_MODEL(c, latency, lanes) set_class(s, TC_##c, v[MP_##latency], v[MP_##lanes]);
#include "sim/model/class.def"
#undef CLASS_MODEL
    s->latency[TC_LDTM] = (uint32_t)v[MP_TMEM_LD_LATENCY];
    s->latency[TC_NONE] = 0;
}

static uint32_t result_latency(const Sched *s, const IrInsn *in)
{
    uint32_t cycles = s->latency[in->tclass] + (in->slots - 1u) * s->interval[in->tclass];
    if (in->tclass == TC_LDTM)
        cycles += (uint32_t)(in->n_dst * s->ir->model->v[MP_TMEM_LD_COLUMN]);
    return cycles;
}

/* ---- The graph ---- */

static void add_edge(Sched *s, uint32_t from, uint32_t to, uint32_t latency)
{
    if (from == to || from == NO_NODE)
        return;
    if (s->n_edges == s->cap_edges) {
        uint32_t cap = s->cap_edges ? 2 * s->cap_edges : 4096;
        Edge *e = arena_new(s->ir->a, Edge, cap);
        if (s->n_edges)
            memcpy(e, s->edge, s->n_edges * sizeof *e);
        s->edge = e;
        s->cap_edges = cap;
    }
    s->edge[s->n_edges] = (Edge){.to = to, .next = s->node[from].edges, .latency = latency};
    s->node[from].edges = s->n_edges++;
    s->node[to].waits_for++;
}

static void touch(Sched *s, Cell v)
{
    if (s->stamp[v] == s->stamp_now)
        return;
    s->stamp[v] = s->stamp_now;
    s->writer[v] = s->reader[v] = NO_NODE;
    s->uses[v] = 0;
}

static void after_wgmma_wait(Sched *s, Cell v, uint32_t node)
{
    if (s->async_d[v])
        add_edge(s, s->wgmma_wait, node, 1);
}

static void note_read(Sched *s, Cell v, uint32_t node)
{
    touch(s, v);
    after_wgmma_wait(s, v, node);
    s->uses[v]++;
    uint32_t w = s->writer[v];
    if (w != NO_NODE)
        add_edge(s, w, node, result_latency(s, &s->ir->insns[s->node[w].first + s->node[w].n - 1]));
    if (s->n_reads == s->cap_reads) {
        uint32_t cap = s->cap_reads ? 2 * s->cap_reads : 8192;
        uint32_t *next = arena_new(s->ir->a, uint32_t, cap),
                 *who = arena_new(s->ir->a, uint32_t, cap);
        if (s->n_reads) {
            memcpy(next, s->read_next, s->n_reads * sizeof *next);
            memcpy(who, s->read_node, s->n_reads * sizeof *who);
        }
        s->read_next = next;
        s->read_node = who;
        s->cap_reads = cap;
    }
    s->read_next[s->n_reads] = s->reader[v];
    s->read_node[s->n_reads] = node;
    s->reader[v] = s->n_reads++;
}

static void note_write(Sched *s, Cell v, uint32_t node)
{
    touch(s, v);
    after_wgmma_wait(s, v, node);
    add_edge(s, s->writer[v], node, 1);
    for (uint32_t r = s->reader[v]; r != NO_NODE; r = s->read_next[r])
        add_edge(s, s->read_node[r], node, 0);
    s->reader[v] = NO_NODE;
    s->writer[v] = node;
}

static void note_insn(Sched *s, uint32_t node, const IrInsn *in)
{
    const Cell *cells = s->ir->cells;
    for (uint32_t k = 0; k < in->n_src; k++)
        if (cell_is_val(cells[in->src + k]))
            note_read(s, cells[in->src + k], node);
    for (uint32_t k = 0; k < in->n_waits; k++)
        if (cell_is_val(cells[in->waits + k]))
            note_read(s, cells[in->waits + k], node);
    for (uint32_t k = 0; k < in->n_dst; k++) {
        Cell d = cells[in->dst + k];
        if (!cell_is_val(d))
            continue;
        if (in->flags & IF_RMW)
            note_read(s, d, node);
        note_write(s, d, node);
    }
}

static bool stays_in_place(const Ir *ir, const IrInsn *in)
{
    const IrOpd *o = &ir->opds[in->opd + 1];
    if (in->op == OP_BARRIER_CLUSTER_ARRIVE || in->tclass == TC_SETMAXREG)
        return true;
    return in->op == OP_MOV && o->kind == CO_SREG && o->imm >= SR_CLOCK &&
           o->imm <= SR_GLOBALTIMER_HI;
}

/* Nothing moves across the newest node; `last` is the one before of which that holds. */
static void keep_in_place(Sched *s, uint32_t last)
{
    for (uint32_t n = last == NO_NODE ? 0 : last; n < s->n_nodes; n++)
        add_edge(s, n, s->n_nodes, 1);
}

static void build_graph(Sched *s, const Block *b, uint32_t end)
{
    Ir *ir = s->ir;
    uint32_t last_ordered = NO_NODE, fixed = NO_NODE;
    s->n_nodes = s->n_edges = s->n_reads = 0;
    s->wgmma_wait = NO_NODE;
    for (uint32_t i = b->first; i < end;) {
        Node *n = &s->node[s->n_nodes];
        *n = (Node){.first = i, .edges = NO_NODE, .next = NO_NODE};
        while (ir->insns[i].host != NO_INSN)
            i++;
        n->n = ++i - n->first;
        const IrInsn *lead = &ir->insns[i - 1];
        n->unit = (uint8_t)tclass_unit[lead->tclass];
        n->ordered = !(lead->flags & IF_PLAIN);
        for (uint32_t k = n->first; k < i; k++)
            note_insn(s, s->n_nodes, &ir->insns[k]);
        if (lead->op == OP_WGMMA_WAIT_GROUP)
            s->wgmma_wait = s->n_nodes;
        if (n->ordered) {
            add_edge(s, last_ordered, s->n_nodes, 1);
            last_ordered = s->n_nodes;
        }
        add_edge(s, fixed, s->n_nodes, 1);
        if (stays_in_place(ir, lead)) {
            keep_in_place(s, fixed);
            fixed = s->n_nodes;
        }
        s->n_nodes++;
    }
}

static void find_heights(Sched *s)
{
    for (uint32_t n = s->n_nodes; n-- > 0;) {
        Node *node = &s->node[n];
        const IrInsn *lead = &s->ir->insns[node->first + node->n - 1];
        node->height = result_latency(s, lead);
        for (uint32_t e = node->edges; e != NO_NODE; e = s->edge[e].next) {
            uint32_t h = s->node[s->edge[e].to].height + s->edge[e].latency;
            if (h > node->height)
                node->height = h;
        }
    }
}

/* ---- Register pressure ---- */

static bool counts(const Sched *s, Cell c)
{
    return cell_is_val(c) && !s->ir->is_pred[c];
}

/* Change of the number of values alive by scheduling the node; commit: also update the counts of
 * uses. */
static int32_t pressure_of(Sched *s, const Node *n, bool commit)
{
    Ir *ir = s->ir;
    int32_t delta = 0;
    for (uint32_t i = n->first; i < n->first + n->n; i++) {
        const IrInsn *in = &ir->insns[i];
        for (uint32_t k = 0; k < in->n_src; k++) {
            Cell c = ir->cells[in->src + k];
            if (!counts(s, c))
                continue;
            s->uses[c]--;
            if (s->uses[c] == 0 && !live_out(s->live, s->block, (uint32_t)c))
                delta--;
        }
        for (uint32_t k = 0; k < in->n_dst; k++) {
            Cell c = ir->cells[in->dst + k];
            bool born = counts(s, c) && !(in->flags & IF_RMW) &&
                        (s->uses[c] > 0 || live_out(s->live, s->block, (uint32_t)c));
            if (born && !live_in(s->live, s->block, (uint32_t)c))
                delta++;
        }
    }
    if (commit)
        return delta;
    for (uint32_t i = n->first; i < n->first + n->n; i++)
        for (uint32_t k = 0; k < ir->insns[i].n_src; k++) {
            Cell c = ir->cells[ir->insns[i].src + k];
            if (counts(s, c))
                s->uses[c]++;
        }
    return delta;
}

static void advance(Sched *s, const Node *n)
{
    s->alive = (uint32_t)((int32_t)s->alive + pressure_of(s, n, true));
    s->peak = s->alive > s->peak ? s->alive : s->peak;
}

/* ---- The list ---- */

typedef struct Avail {
    uint32_t head;
    uint32_t unit_free[U_COUNT];
    uint32_t now;
} Avail;

static void insert(Sched *s, Avail *a, uint32_t n)
{
    uint32_t *at = &a->head;
    while (*at != NO_NODE && *at < n)
        at = &s->node[*at].next;
    s->node[n].next = *at;
    *at = n;
}

static void take(Sched *s, Avail *a, uint32_t n)
{
    uint32_t *at = &a->head;
    while (*at != n)
        at = &s->node[*at].next;
    *at = s->node[n].next;
}

static uint32_t start_of(const Avail *a, const Node *n)
{
    uint32_t t = n->ready > a->unit_free[n->unit] ? n->ready : a->unit_free[n->unit];
    return t > a->now ? t : a->now;
}

/* The node that can start first; among those that can start now the one with the longest path after
 * it. */
static uint32_t pick_fast(const Sched *s, const Avail *a)
{
    uint32_t best = NO_NODE, best_start = 0, seen = 0;
    for (uint32_t n = a->head; n != NO_NODE && seen < WINDOW; n = s->node[n].next, seen++) {
        uint32_t start = start_of(a, &s->node[n]);
        if (best == NO_NODE || start < best_start ||
            (start == best_start && s->node[n].height > s->node[best].height)) {
            best = n;
            best_start = start;
        }
    }
    return best;
}

/* The node that frees most; among equals the first in PTX order. */
static uint32_t pick_small(Sched *s, const Avail *a)
{
    uint32_t best = NO_NODE, seen = 0;
    int32_t best_delta = 0;
    for (uint32_t n = a->head; n != NO_NODE && seen < WINDOW; n = s->node[n].next, seen++) {
        int32_t delta = pressure_of(s, &s->node[n], false);
        if (best == NO_NODE || delta < best_delta) {
            best = n;
            best_delta = delta;
        }
    }
    return best;
}

static uint32_t run_list(Sched *s, IrInsn *out)
{
    Avail a = {.head = NO_NODE};
    uint32_t n_out = 0;
    for (uint32_t n = s->n_nodes; n-- > 0;)
        if (s->node[n].waits_for == 0)
            insert(s, &a, n);
    while (a.head != NO_NODE) {
        uint32_t n = pick_fast(s, &a);
        if ((int64_t)s->alive + pressure_of(s, &s->node[n], false) > s->limit)
            n = pick_small(s, &a);
        Node *node = &s->node[n];
        take(s, &a, n);
        advance(s, node);
        uint32_t start = start_of(&a, node);
        const IrInsn *lead = &s->ir->insns[node->first + node->n - 1];
        bool has_op = lead->tclass != TC_NONE;
        a.now = start + (has_op ? lead->slots : 0);
        a.unit_free[node->unit] = start + (has_op ? lead->slots * s->interval[lead->tclass] : 0);
        for (uint32_t e = node->edges; e != NO_NODE; e = s->edge[e].next) {
            Node *to = &s->node[s->edge[e].to];
            if (to->ready < start + s->edge[e].latency)
                to->ready = start + s->edge[e].latency;
            if (--to->waits_for == 0)
                insert(s, &a, s->edge[e].to);
        }
        memcpy(out + n_out, s->ir->insns + node->first, node->n * sizeof *out);
        n_out += node->n;
    }
    return n_out;
}

static bool is_terminator(const IrInsn *in)
{
    return in->op == OP_BRA || in->op == OP_BRX_IDX || in->op == OP_EXIT || in->op == OP_RET ||
           in->op == OP_TRAP;
}

static uint32_t live_into(const Sched *s, uint32_t b)
{
    uint32_t n = 0;
    for (uint32_t g = 0; g < s->live->n_globals; g++) {
        uint32_t v = s->live->global_val[g];
        n += !s->ir->is_pred[v] && live_in(s->live, b, v);
    }
    return n;
}

/* The graph of [first, end) and the counts of uses and of values alive at its start. */
static void prepare(Sched *s, const Block *blk, uint32_t end, uint32_t alive)
{
    Ir *ir = s->ir;
    s->stamp_now++;
    build_graph(s, blk, end);
    s->alive = s->peak = alive;
    if (end == blk->first + blk->n || ir->insns[end].flags & IF_DEAD)
        return;
    const IrInsn *br = &ir->insns[end]; /* what the branch reads stays alive to the end */
    for (uint32_t k = 0; k < br->n_src; k++) {
        Cell c = ir->cells[br->src + k];
        if (cell_is_val(c)) {
            touch(s, c);
            s->uses[c]++;
        }
    }
}

static void schedule_block(Sched *s, uint32_t b)
{
    Ir *ir = s->ir;
    Block *blk = &ir->blocks[b];
    uint32_t w = blk->first; /* squeeze the dead out of the block first */
    for (uint32_t i = blk->first; i < blk->first + blk->n; i++)
        if (!(ir->insns[i].flags & IF_DEAD))
            ir->insns[w++] = ir->insns[i];
    for (uint32_t i = w; i < blk->first + blk->n; i++)
        ir->insns[i] = (IrInsn){.flags = IF_DEAD, .host = NO_INSN};
    uint32_t end = w;
    if (end > blk->first && is_terminator(&ir->insns[end - 1]))
        end--;
    if (end - blk->first < 2)
        return;
    s->block = b;
    s->limit = blk->max_regs > RESERVE ? blk->max_regs - RESERVE : blk->max_regs;
    uint32_t into = live_into(s, b);
    prepare(s, blk, end, into);
    find_heights(s);
    uint32_t n = run_list(s, s->tmp), peak = s->peak;
    assert(n == end - blk->first);
    if (peak > blk->max_regs) { /* too many either way: then not more than in PTX order */
        prepare(s, blk, end, into);
        for (uint32_t k = 0; k < s->n_nodes; k++)
            advance(s, &s->node[k]);
        if (s->peak <= peak)
            return;
    }
    memcpy(ir->insns + blk->first, s->tmp, n * sizeof *s->tmp);
}

static bool is_wgmma(const IrInsn *in)
{
    return in->kind == OK_WGMMA && !(in->flags & IF_DEAD);
}

static void mark_accumulators(Sched *s)
{
    const Ir *ir = s->ir;
    s->async_d = arena_new(ir->a, uint8_t, ir->n_vals + 1);
    for (uint32_t i = 0; i < ir->n_insns; i++)
        for (uint32_t k = 0; is_wgmma(&ir->insns[i]) && k < ir->insns[i].n_dst; k++)
            if (cell_is_val(ir->cells[ir->insns[i].dst + k]))
                s->async_d[ir->cells[ir->insns[i].dst + k]] = 1;
}

void schedule(Ir *ir)
{
    Live live;
    live_compute(ir, &live, false);
    Sched s = {.ir = ir, .live = &live};
    read_model(&s);
    mark_accumulators(&s);
    s.node = arena_new(ir->a, Node, ir->n_insns + 1);
    s.tmp = arena_new(ir->a, IrInsn, ir->n_insns + 1);
    s.stamp = arena_new(ir->a, uint32_t, ir->n_vals + 1);
    s.writer = arena_new(ir->a, uint32_t, ir->n_vals + 1);
    s.reader = arena_new(ir->a, uint32_t, ir->n_vals + 1);
    s.uses = arena_new(ir->a, uint32_t, ir->n_vals + 1);
    for (uint32_t b = 0; b < ir->n_blocks; b++)
        schedule_block(&s, b);
}

/* ---- tcgen05.wait::ld ---- */

/* It has no machine instruction: ptxas lets the next instruction wait for the loads' scoreboard
 * (ptx.md 5.2). So the next operation with an effect reads the first register of each load since
 * the last wait. */
void attach_waits(Ir *ir)
{
    enum { MAX_LOADS = 64 };
    Cell pending[MAX_LOADS];
    for (uint32_t b = 0; b < ir->n_blocks; b++) {
        const Block *blk = &ir->blocks[b];
        uint32_t n = 0;
        bool waiting = false;
        for (uint32_t i = blk->first; i < blk->first + blk->n; i++) {
            IrInsn *in = &ir->insns[i];
            if (in->flags & IF_DEAD)
                continue;
            waiting |= in->op == OP_TCGEN05_WAIT_LD;
            bool takes = waiting && n > 0 && !(in->flags & (IF_PLAIN | IF_FREE));
            if (takes) {
                in->waits = ir_cells(ir, n);
                in->n_waits = (uint16_t)n;
                memcpy(ir->cells + in->waits, pending, n * sizeof *pending);
                waiting = false;
                n = 0;
            }
            if (in->op == OP_TCGEN05_LD && n < MAX_LOADS && in->n_dst)
                pending[n++] = ir->cells[in->dst];
        }
    }
}

/* ---- wgmma.wait_group ---- */

/* The registers of D are written behind the back of the instructions between: they are kept to the
 * wait, which reads those of the wgmma before it in its block. */
void attach_wgmma(Ir *ir)
{
    uint32_t *listed = arena_new(ir->a, uint32_t, ir->n_vals + 1); /* block + 1 */
    Cell *pending = arena_new(ir->a, Cell, ir->n_vals + 1);
    for (uint32_t b = 0; b < ir->n_blocks; b++) {
        const Block *blk = &ir->blocks[b];
        uint32_t n = 0;
        for (uint32_t i = blk->first; i < blk->first + blk->n; i++) {
            IrInsn *in = &ir->insns[i];
            for (uint32_t k = 0; is_wgmma(in) && k < in->n_dst; k++) {
                Cell v = ir->cells[in->dst + k];
                if (cell_is_val(v) && listed[v] != b + 1) {
                    listed[v] = b + 1;
                    pending[n++] = v;
                }
            }
            if (in->op != OP_WGMMA_WAIT_GROUP || in->flags & IF_DEAD || n == 0)
                continue;
            in->waits = ir_cells(ir, n);
            in->n_waits = (uint16_t)n;
            memcpy(ir->cells + in->waits, pending, n * sizeof *pending);
        }
    }
}
