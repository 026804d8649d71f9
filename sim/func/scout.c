/* What a warp would do if it could go on: the code behind its wait is followed on a copy of its
 * registers, as if every wait held, and nothing but registers changes (FrontOps.scout).
 *
 * Instructions on registers are executed as ever. What memory, barriers and other warps would give
 * is not known; a bit per register says so, and whatever is computed from it is not known either. A
 * branch on something unknown is followed both ways; a state that has been there before is not
 * followed again. An arrival is certain if it is met on every way. The ways part at one branch
 * MAX_TURNS times at most (a loop of which the end is not known has then been through every stage
 * of any ring that fits into shared memory); after that each goes on one way or the other. */
#include <stdlib.h>

#include "sim/func/probe.h"
#include "sim/func/scout.h"

enum { MAX_TURNS = 64, MAX_STATES = 4096, ROW_ALIGN = 64 };

/* ---- Paths ---- */

static size_t row_bytes(const Walk *k)
{
    return (k->code->n_slots + (size_t)1) * WARP * sizeof(uint32_t);
}

static bool make_path(Walk *k, Path *p)
{
    const Code *c = k->code;
    size_t rows = (row_bytes(k) + ROW_ALIGN - 1) / ROW_ALIGN * ROW_ALIGN;
    p->registers = aligned_alloc(ROW_ALIGN, rows);
    p->w.preds = calloc(c->n_preds + 1, sizeof(uint32_t));
    p->unknown = calloc(c->n_slots + c->n_preds + (size_t)1, sizeof(uint32_t));
    p->punknown = p->unknown + c->n_slots;
    p->met = calloc(k->s->n_targets + (size_t)1, 1);
    return p->registers && p->w.preds && p->unknown && p->met;
}

static void free_path(Path *p)
{
    free(p->registers);
    free(p->w.preds);
    free(p->unknown);
    free(p->met);
}

/* Copies the warp of a path, or one that really runs; to: a path that has been made. */
static void copy_warp(const Walk *k, Path *to, const Warp *from)
{
    uint32_t *preds = to->w.preds;
    to->w = *from;
    to->w.base[0] = to->registers;
    to->w.preds = preds;
    memcpy(to->registers, from->base[0], row_bytes(k));
    memcpy(preds, from->preds, k->code->n_preds * sizeof *preds);
}

/* A place on the stack of paths, or NULL. */
static Path *push(Walk *k)
{
    if (k->n_paths == MAX_PATHS)
        return NULL;
    Path *p = &k->path[k->n_paths];
    if (k->n_paths == k->n_made && !make_path(k, p)) {
        free_path(p);
        *p = (Path){0};
        return NULL;
    }
    k->n_made += k->n_paths == k->n_made;
    k->n_paths++;
    return p;
}

static void end_path(Walk *k, const Path *p, bool cut)
{
    for (uint32_t i = 0; i < k->s->n_targets; i++)
        if (!k->any_end || p->met[i] < k->met[i])
            k->met[i] = p->met[i];
    k->any_end = true;
    k->s->cut |= cut;
    k->n_paths--; /* p is the last one */
}

static uint64_t hash(uint64_t h, const void *data, size_t n)
{
    const uint32_t *p = data;
    for (size_t i = 0; i < n / 4; i++) {
        h = (h ^ p[i]) * 0x100000001b3u;
        h ^= h >> 29;
    }
    return h;
}

/* Whether a path has been in this state before; what was met counts as a part of it. */
static bool seen_before(Walk *k, const Path *p)
{
    const Warp *w = &p->w;
    uint32_t place[2] = {w->pc, w->mask};
    uint64_t h = hash(0xcbf29ce484222325u, place, sizeof place);
    h = hash(h, w->splits, w->n_splits * sizeof w->splits[0]);
    h = hash(h, p->unknown, (k->code->n_slots + k->code->n_preds) * sizeof *p->unknown);
    for (uint32_t i = 0; i < k->code->n_slots; i++)
        h = p->unknown[i] ? h : hash(h, w->base[0] + (size_t)i * WARP, WARP * 4);
    for (uint32_t i = 0; i < k->code->n_preds; i++)
        h = p->punknown[i] ? h : hash(h, &w->preds[i], 4);
    for (uint32_t i = 0; i < k->s->n_targets; i++)
        h = h * 31 + p->met[i];
    for (uint32_t i = 0; i < k->n_states; i++)
        if (k->states[i] == h)
            return true;
    if (k->n_states < MAX_STATES)
        k->states[k->n_states++] = h;
    return false;
}

/* ---- Registers ---- */

static bool sources_unknown(const Walk *k, const Path *p, const XInsn *in, uint32_t lanes)
{
    for (uint32_t i = 0; i < in->ci->n_opd; i++) {
        const CodeOpd *o = operand(k, in, i);
        if ((o->kind == CO_MEM || form_of(k, in, i)->is_src) && opd_unknown(k, p, o, lanes))
            return true;
    }
    return false;
}

static void set_unknown(uint32_t *u, uint32_t lanes, bool unknown)
{
    *u = unknown ? *u | lanes : *u & ~lanes;
}

/* These lanes have written the destinations. */
static void wrote(const Walk *k, Path *p, const XInsn *in, uint32_t lanes, bool unknown)
{
    for (uint32_t i = 0; i < in->ci->n_opd; i++) {
        const CodeOpd *o = operand(k, in, i);
        if (!form_of(k, in, i)->is_dst)
            continue;
        if (o->kind == CO_PRED && o->pred >= 0)
            set_unknown(&p->punknown[o->pred], lanes, unknown);
        for (uint32_t j = 0; o->kind == CO_VALUE && j < o->n; j++) {
            Slot s = k->code->slots[o->first + j];
            if (s >= 0)
                set_unknown(&p->unknown[s], lanes, unknown);
        }
    }
}

/* ---- Steps ---- */

static Bound bound_to(const Walk *k, const XInsn *in)
{
    if (k->x->originals)
        return k->x->originals[in - k->x->insns];
    return (Bound){.plain = in->plain, .dyn = in->dyn};
}

static bool is_control(const XInsn *in)
{
    uint16_t op = in->ci->op;
    return op == OP_BRA || op == OP_BRX_IDX || op == OP_EXIT || op == OP_RET;
}

/* Executes a branch or an exit in the lanes of mask. */
static bool jump(Walk *k, Path *p, const XInsn *in, uint32_t mask)
{
    Op ops[OP_BURST] = {{0}};
    Err ignored = {0};
    ExecCtx x = context(k, p, ops, &ignored);
    bool ok = (mask == 0 && !(in->ci->op == OP_BRA)) || bound_to(k, in).dyn(&x, in, mask);
    p->w.pc = x.next_pc;
    return ok;
}

/* A branch or exit on what is not known: another path takes it, this one does not. */
static void fork_path(Walk *k, Path *p, const XInsn *in)
{
    uint8_t *turns = &k->turns[2 * (in - k->x->insns)];
    if (seen_before(k, p)) {
        k->n_paths--; /* the one that was there first goes on for both */
        return;
    }
    Path *q = turns[0] < MAX_TURNS ? push(k) : NULL;
    if (!q) { /* one way or the other, in turn */
        k->s->cut |= turns[0] < MAX_TURNS;
        if (!jump(k, p, in, turns[1]++ & 1 ? p->w.mask : 0))
            end_path(k, p, true);
        return;
    }
    turns[0]++;
    copy_warp(k, q, &p->w);
    memcpy(q->unknown, p->unknown, (k->code->n_slots + k->code->n_preds) * sizeof *p->unknown);
    memcpy(q->met, p->met, k->s->n_targets);
    if (!jump(k, p, in, 0) || !jump(k, q, in, q->w.mask))
        k->s->cut = true;
}

static uint32_t guard_lanes(const Warp *w, const XInsn *in)
{
    if (in->guard < 0)
        return w->mask;
    uint32_t p = w->preds[in->guard];
    return w->mask & (in->guard_neg ? ~p : p);
}

/* An instruction on registers. */
static void compute(const Walk *k, Path *p, const XInsn *in, uint32_t mask, bool sure)
{
    uint32_t lanes = sure ? mask : p->w.mask;
    bool unknown = !sure || sources_unknown(k, p, in, lanes);
    if (lanes && !unknown)
        bound_to(k, in).plain(&p->w, in, lanes);
    wrote(k, p, in, lanes, unknown);
}

/* Reads what never changes. */
static bool read_constant(const Walk *k, Path *p, const XInsn *in, uint32_t mask)
{
    Op ops[OP_BURST] = {{0}};
    Err ignored = {0};
    ExecCtx x = context(k, p, ops, &ignored);
    bool constant = in->opinfo != OP_NONE && k->code->ops[in->opinfo].tclass == TC_LDC;
    return constant && !sources_unknown(k, p, in, mask) && bound_to(k, in).dyn(&x, in, mask);
}

/* One that others can see: what it would do is noted, its results are not known, but a poll of an
 * mbarrier succeeds. */
static void pass(Walk *k, Path *p, const XInsn *in, uint32_t mask, bool sure)
{
    if (!mask && sure)
        return;
    uint32_t lanes = sure ? mask : p->w.mask;
    if (in->opinfo != OP_NONE)
        scout_effect(k, p, in, lanes, sure);
    bool known = false;
    if (op_row[in->ci->op].tclass == TC_MBAR_TRY) {
        scout_waits(k, p, in, lanes);
        set_pred(&p->w, operand(k, in, 0)->pred, lanes, lanes);
        known = sure;
    } else if (sure) {
        known = read_constant(k, p, in, lanes);
    }
    wrote(k, p, in, lanes, !known);
}

/* The instruction at the path's pc. The path may end, or another be pushed behind it. */
static void step(Walk *k, Path *p)
{
    Warp *w = &p->w;
    const XInsn *in = &k->x->insns[w->pc];
    bool sure = in->guard < 0 || !(p->punknown[in->guard] & w->mask);
    uint32_t mask = guard_lanes(w, in);
    if (in->ci->op == OP_TRAP || in->ci->op == OP_BRKPT) {
        if (mask && sure)
            end_path(k, p, false);
        else
            w->pc++;
        return;
    }
    if (is_control(in)) {
        bool whither = in->ci->op == OP_BRX_IDX && sources_unknown(k, p, in, w->mask);
        if (!sure)
            fork_path(k, p, in);
        else if (whither || !jump(k, p, in, mask))
            end_path(k, p, true);
        return;
    }
    if (bound_to(k, in).plain)
        compute(k, p, in, mask, sure);
    else
        pass(k, p, in, mask, sure);
    w->pc++;
}

static void follow(Walk *k)
{
    while (k->n_paths > 0) {
        Path *p = &k->path[k->n_paths - 1];
        Warp *w = &p->w;
        if (k->s->steps == 0) {
            end_path(k, p, true);
            continue;
        }
        k->s->steps--;
        if (w->live && (w->n_splits || !w->mask))
            warp_schedule(w);
        if (!w->live || !w->mask) {
            end_path(k, p, w->live != 0);
            continue;
        }
        const XInsn *in = &k->x->insns[w->pc];
        if (w->n_splits && in->sync && !warp_arrived(w, in))
            continue;
        if (w->stuck)
            end_path(k, p, false); /* it would hang there */
        else
            step(k, p);
    }
}

static void finish(Walk *k)
{
    Scout *s = k->s;
    for (uint32_t i = 0; i < s->n_targets; i++)
        if (s->targets[i].insn != OP_NONE && k->met[i] != MET)
            s->targets[i].how |= DE_MAY;
    for (uint32_t i = 0; i < k->n_made; i++)
        free_path(&k->path[i]);
    free(k->turns);
    free(k->met);
    free(k->states);
    free(k);
}

void exec_scout(Front *f, uint32_t slot, uint32_t warp, Scout *s)
{
    Exec *x = (Exec *)f;
    const Warp *w = &x->ctas[slot].warps[warp];
    Walk *k = calloc(1, sizeof *k);
    s->cut = true;
    if (!k)
        return;
    *k = (Walk){.x = x,
                .code = x->code,
                .s = s,
                .turns = calloc(2 * ((size_t)x->code->n_insns + 1), 1),
                .met = calloc(s->n_targets + (size_t)1, 1),
                .states = calloc(MAX_STATES, sizeof(uint64_t))};
    Path *p = k->turns && k->met && k->states ? push(k) : NULL;
    if (p) {
        copy_warp(k, p, w);
        if (s->from_start) {
            warp_start(&p->w);
            memset(p->unknown, 0xff, (x->code->n_slots + x->code->n_preds) * sizeof *p->unknown);
        }
        s->cut = false;
        follow(k);
    }
    finish(k);
}
