/* From waits to an explanation: who could end each, what is wrong, and a cycle. */
#include "sim/func/deadlock.h"

#include <stdlib.h>
#include <string.h>

#include "isa/arena.h"

enum { UNSEEN, ON_PATH, DONE };
enum {
    WARP_STEPS = 1 << 20, /* instructions of one warp that are followed */
    ALL_STEPS = 12 << 20, /* of all */
    MEMORY_EDGES = 64,    /* of one poll of memory that are kept */
};

/* ---- History ---- */

static void add_arriver(Arrivers *a, const MbarNote *n)
{
    uint64_t bit = n->warp < 64 ? (uint64_t)1 << n->warp : 0;
    if (n->rank == n->mbar_rank)
        a->own |= bit;
    else
        a->other |= bit;
    if (n->rank != n->mbar_rank && n->rank < 32)
        a->ranks |= 1u << n->rank;
}

void mbar_history_note(MbarHistory *h, const MbarNote *n)
{
    if (n->kind == OK_MBAR_INIT) {
        *h = (MbarHistory){.last_warp = NO_WARP, .expect_op = OP_NONE, .init_op = n->op};
        return;
    }
    if (n->kind == OK_MBAR_INVAL)
        return;
    add_arriver(&h->ever, n);
    add_arriver(n->kind == OK_MBAR_ARRIVE ? &h->arrived : &h->delivered, n);
    h->last_rank = n->rank;
    h->last_warp = n->warp;
    h->last_op = n->op;
    if (n->bytes > 0) {
        h->bytes += (uint32_t)n->bytes;
        h->expect_op = n->op;
    }
    if (n->flipped) {
        h->phase++;
        h->bytes = 0;
        h->arrived = h->delivered = (Arrivers){0};
        h->expect_op = OP_NONE;
    }
}

static bool is_among(const Arrivers *a, uint32_t mbar_rank, const DeadWait *w)
{
    if (w->warp >= 64)
        return false;
    if (w->rank == mbar_rank)
        return a->own >> w->warp & 1;
    return w->rank < 32 && a->ranks >> w->rank & 1 && a->other >> w->warp & 1;
}

/* Whether w's warp is among those of `a`, which belongs to what `at` waits for. */
static bool counts(const Arrivers *a, const DeadWait *at, const DeadWait *w)
{
    return at->cluster == w->cluster && is_among(a, at->sync >> 24, w);
}

/* ---- Edges ---- */

typedef struct Explain {
    Arena *a;
    Deadlock *d;
    ScoutTarget *targets;
    uint32_t *of;   /* target of each wait of the cluster, or OP_NONE */
    uint32_t room;  /* waits of the cluster: the most edges of one that is not for memory */
    bool *followed; /* by wait: the code of its warp, to its end */
} Explain;

/* Whether somebody else's code could end it, of a kind that scouts look for. */
static bool can_be_met(const DeadWait *w)
{
    switch ((OpKind)w->kind) {
    case OK_MBAR_WAIT:
    case OK_MBAR_TEST:
    case OK_BAR_SYNC:
    case OK_CLUSTER_WAIT:
    case OK_TMEM_ALLOC:
    case OK_SETMAXNREG:
    case OK_WGMMA_WAIT:
        return true;
    case OK_GMEM:
    case OK_SMEM:
        return w->addr != 0;
    default:
        return false;
    }
}

static bool same_target(const ScoutTarget *t, const DeadWait *w)
{
    return t->kind == w->kind && t->rank == w->rank && t->sync == w->sync && t->addr == w->addr &&
           (t->kind != OK_WGMMA_WAIT || t->warp == w->warp);
}

/* What the warps of this cluster could end: its own waits, and polls of global memory. */
static uint32_t find_targets(Explain *e, uint32_t cluster)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < e->d->n_waits; i++) {
        const DeadWait *w = &e->d->waits[i];
        e->of[i] = OP_NONE;
        if (!can_be_met(w) || (w->cluster != cluster && w->kind != OK_GMEM))
            continue;
        uint32_t k = 0;
        while (k < n && !same_target(&e->targets[k], w))
            k++;
        e->of[i] = k;
        n += k == n;
        e->targets[k] = (ScoutTarget){.kind = w->kind,
                                      .rank = w->rank,
                                      .sync = w->sync,
                                      .addr = w->addr,
                                      .warp = w->warp,
                                      .insn = OP_NONE};
    }
    return n;
}

static void add_edge(Explain *e, uint32_t from, uint32_t to, uint32_t insn, uint8_t how)
{
    DeadWait *w = &e->d->waits[from];
    uint32_t room = w->kind == OK_GMEM ? MEMORY_EDGES : e->room;
    if (w->n_edges == 0)
        w->edges = arena_new(e->a, DeadEdge, room);
    if (w->n_edges < room)
        w->edges[w->n_edges++] = (DeadEdge){.to = to, .insn = insn, .how = how};
}

/* A warp that stands at the barrier, or has passed it, comes back for the next generation only. */
static bool has_been_there(const DeadWait *at, const DeadWait *w)
{
    bool barrier = at->kind == OK_BAR_SYNC || at->kind == OK_CLUSTER_WAIT;
    return barrier && w->cta == at->cta && w->warp < 64 && at->there >> w->warp & 1;
}

/* What was found in the code of wait v's warp, and what the run has shown. */
static void add_edges_to(Explain *e, uint32_t v, bool scouted, bool cut)
{
    const DeadWait *w = &e->d->waits[v];
    for (uint32_t i = 0; i < e->d->n_waits; i++) {
        const DeadWait *at = &e->d->waits[i];
        const ScoutTarget *t = e->of[i] == OP_NONE ? NULL : &e->targets[e->of[i]];
        bool run = dead_is_mbar(at) && counts(&at->seen.ever, at, w);
        bool code = t && t->how & DE_CODE && !has_been_there(at, w);
        if (t && at->cluster != w->cluster && at->kind != OK_GMEM)
            continue;
        if (code)
            add_edge(e, i, v, t->insn, (uint8_t)(t->how | (run ? DE_RUN : 0)));
        else if (run && (!scouted || cut))
            add_edge(e, i, v, OP_NONE, (uint8_t)(DE_RUN | (cut ? DE_MAY : 0)));
    }
}

static void follow_warp(Explain *e, uint32_t v, uint32_t n_targets)
{
    DeadWait *w = &e->d->waits[v];
    Scout s = {.targets = e->targets, .n_targets = n_targets};
    uint64_t left = ALL_STEPS - e->d->steps;
    bool able = w->front && w->front->ops->scout && left > 0 && n_targets > 0;
    for (uint32_t k = 0; k < n_targets; k++) {
        e->targets[k].insn = OP_NONE;
        e->targets[k].how = 0;
    }
    s.steps = left < WARP_STEPS ? left : WARP_STEPS;
    uint64_t given = s.steps;
    if (able)
        w->front->ops->scout(w->front, w->slot, w->warp, &s);
    if (able)
        e->d->steps += given - s.steps;
    w->does = s.does;
    e->followed[v] = able && !s.cut;
    add_edges_to(e, v, able, able && s.cut);
}

/* The code of every warp that could end a wait of this one has been followed. */
static bool all_followed(const Explain *e, const DeadWait *w)
{
    if (w->kind == OK_TMEM_ALLOC || w->kind == OK_SETMAXNREG || !can_be_met(w))
        return false; /* what other CTAs of the SM hold is not looked at */
    for (uint32_t i = 0; i < e->d->n_waits; i++) {
        const DeadWait *v = &e->d->waits[i];
        if ((v->cluster == w->cluster || w->kind == OK_GMEM) && !e->followed[i])
            return false;
    }
    return w->kind != OK_GMEM || e->d->n_started == e->d->n_ctas;
}

static void find_edges(Explain *e)
{
    Deadlock *d = e->d;
    for (uint32_t i = 0; i < d->n_waits;) {
        uint32_t cluster = d->waits[i].cluster, n = find_targets(e, cluster);
        for (e->room = 0; i + e->room < d->n_waits && d->waits[i + e->room].cluster == cluster;)
            e->room++;
        for (; i < d->n_waits && d->waits[i].cluster == cluster; i++)
            follow_warp(e, i, n);
    }
    for (uint32_t i = 0; i < d->n_waits; i++)
        d->waits[i].followed = all_followed(e, &d->waits[i]);
}

/* ---- Causes ---- */

/* Every edge leads to a warp that has done the same in this phase already. */
static bool all_have(const Deadlock *d, const DeadWait *w, const Arrivers *a, bool bytes)
{
    for (uint32_t i = 0; i < w->n_edges; i++) {
        bool delivers = w->edges[i].how & DE_BYTES;
        if (bytes && !delivers)
            continue;
        if (!counts(a, w, &d->waits[w->edges[i].to]))
            return false;
    }
    return true;
}

/* Every edge leads to a warp that waits for the same. */
static bool all_wait_here(const Deadlock *d, const DeadWait *w)
{
    for (uint32_t i = 0; i < w->n_edges; i++) {
        const DeadWait *v = &d->waits[w->edges[i].to];
        if (v->kind != w->kind || v->sync != w->sync || v->cluster != w->cluster)
            return false;
    }
    return w->n_edges > 0;
}

static DeadCause cause_of(const Deadlock *d, const DeadWait *w)
{
    if (w->n_edges == 0 && w->followed && !dead_is_mbar(w))
        return DC_NOBODY;
    if (!dead_is_mbar(w) || w->arrivals_needed == 0)
        return DC_NONE;
    bool all = w->arrivals_had == w->arrivals_needed;
    if (w->bytes_had > w->bytes_needed && (all || all_have(d, w, &w->seen.delivered, false)))
        return DC_BYTES_LESS;
    if (all && w->bytes_had < w->bytes_needed && all_have(d, w, &w->seen.delivered, true))
        return DC_BYTES_MORE;
    if (w->n_edges == 0 && w->followed)
        return DC_NOBODY;
    if (w->n_edges > 0 && w->followed && w->arrivals_had > 0 && !all &&
        all_have(d, w, &w->seen.arrived, false))
        return DC_COUNT;
    return w->followed && all_wait_here(d, w) ? DC_SELF : DC_NONE;
}

/* An edge that is certain is better than one that is not, and a warp that has not arrived in this
 * phase better than one that has. */
static uint32_t rank_of(const Deadlock *d, const DeadWait *w, const DeadEdge *e)
{
    const Arrivers *done = e->how & DE_BYTES ? &w->seen.delivered : &w->seen.arrived;
    bool again = dead_is_mbar(w) && counts(done, w, &d->waits[e->to]);
    return (again ? 2u : 0) + (e->how & DE_MAY ? 1 : 0);
}

/* Sets `next` of every wait from which a cause can be reached: the first edge of a shortest way, by
 * the best edges. */
static void lead_to_causes(Deadlock *d, bool *reached)
{
    for (uint32_t i = 0; i < d->n_waits; i++)
        reached[i] = d->waits[i].cause != DC_NONE;
    for (uint32_t worst = 0; worst < 4; worst++)
        for (bool changed = true; changed;) {
            changed = false;
            for (uint32_t i = 0; i < d->n_waits; i++) {
                DeadWait *w = &d->waits[i];
                for (uint32_t k = 0; k < w->n_edges && !reached[i]; k++) {
                    const DeadEdge *e = &w->edges[k];
                    if (rank_of(d, w, e) > worst || !reached[e->to])
                        continue;
                    w->next = k;
                    reached[i] = changed = true;
                }
            }
        }
}

/* ---- Cycle ---- */

typedef struct Search {
    Deadlock *d;
    uint8_t *state;
    uint32_t *path, *edge; /* edge[i]: the one that entry i of the path tries next */
    uint32_t worst;        /* rank of edges that may be used */
} Search;

/* Follows the waits from `start`; returns the length of the cycle now at the end of the path. */
static uint32_t search(Search *s, uint32_t start, uint32_t *first)
{
    uint32_t n = 1;
    s->path[0] = start;
    s->edge[0] = 0;
    s->state[start] = ON_PATH;
    while (n) {
        uint32_t at = s->path[n - 1], k = s->edge[n - 1]++;
        DeadWait *w = &s->d->waits[at];
        if (k == w->n_edges) {
            s->state[at] = DONE;
            n--;
            continue;
        }
        uint32_t to = w->edges[k].to;
        if (s->state[to] == DONE || rank_of(s->d, w, &w->edges[k]) > s->worst)
            continue;
        if (s->state[to] == ON_PATH) {
            for (*first = 0; s->path[*first] != to; ++*first)
                ;
            return n - *first;
        }
        s->state[to] = ON_PATH;
        s->path[n] = to;
        s->edge[n++] = 0;
    }
    return 0;
}

/* A cycle, by the best edges that give one. */
static void find_cycle(Arena *a, Deadlock *d)
{
    Search s = {.d = d,
                .state = arena_new(a, uint8_t, d->n_waits + 1),
                .path = arena_new(a, uint32_t, d->n_waits + 1),
                .edge = arena_new(a, uint32_t, d->n_waits + 1)};
    d->n_cycle = 0;
    for (s.worst = 0; s.worst < 4 && !d->n_cycle; s.worst++) {
        memset(s.state, UNSEEN, d->n_waits);
        for (uint32_t i = 0; i < d->n_waits && !d->n_cycle; i++) {
            uint32_t first = 0;
            if (s.state[i] == UNSEEN)
                d->n_cycle = search(&s, i, &first);
            d->cycle = s.path + first;
            for (uint32_t k = 0; k < d->n_cycle; k++)
                d->waits[d->cycle[k]].next = s.edge[first + k] - 1;
        }
    }
}

/* In a cycle in which no barrier has ever completed a phase, and nobody has arrived, somebody waits
 * for the wrong parity first. */
static void find_wrong_start(Deadlock *d)
{
    if (d->n_cycle < 2)
        return;
    for (uint32_t i = 0; i < d->n_cycle; i++) {
        const DeadWait *w = &d->waits[d->cycle[i]];
        if (!dead_is_mbar(w) || w->cause != DC_NONE || w->seen.phase > 0 || w->arrivals_had > 0 ||
            w->bytes_had != 0)
            return;
    }
    for (uint32_t i = 0; i < d->n_cycle; i++)
        d->waits[d->cycle[i]].cause = DC_START;
}

/* ---- Whose arrival is missing ---- */

enum { MAX_BARRIERS = 512, MAX_SUSPECTED = 4 /* waits that are looked into */ };

typedef struct Life { /* the barriers in the whole code of one warp */
    uint32_t rank, warp, n;
    ScoutBarrier *barriers;
} Life;

static uint32_t read_life(Explain *e, const DeadWait *of, uint32_t warp, Life *l)
{
    uint64_t left = ALL_STEPS - e->d->steps;
    Scout s = {.from_start = true,
               .steps = left < WARP_STEPS ? left : WARP_STEPS,
               .barriers = arena_new(e->a, ScoutBarrier, MAX_BARRIERS),
               .max_barriers = MAX_BARRIERS};
    uint64_t given = s.steps;
    of->front->ops->scout(of->front, of->slot, warp, &s);
    e->d->steps += given - s.steps;
    *l = (Life){.rank = of->rank, .warp = warp, .n = s.n_barriers, .barriers = s.barriers};
    return 1;
}

/* Those of all warps of the cluster's CTAs in which somebody waits. */
static Life *read_lives(Explain *e, uint32_t cluster, uint32_t *n)
{
    const Deadlock *d = e->d;
    Life *lives = NULL;
    uint32_t first = 0, last_cta = OP_NONE;
    *n = 0;
    while (d->waits[first].cluster != cluster)
        first++;
    for (uint32_t i = first; i < d->n_waits && d->waits[i].cluster == cluster; i++) {
        const DeadWait *w = &d->waits[i];
        if (!w->front || !w->front->ops->scout || w->cta == last_cta)
            continue;
        if (!lives)
            lives = arena_new(e->a, Life, (size_t)e->d->n_waits * w->front->n_warps);
        last_cta = w->cta;
        for (uint32_t k = 0; k < w->front->n_warps; k++)
            *n += read_life(e, w, k, &lives[*n]);
    }
    return lives;
}

static bool uses(const Life *l, uint32_t sync, bool waits)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (l->barriers[i].sync == sync)
            return waits ? l->barriers[i].waits : l->barriers[i].arrives;
    return false;
}

static uint32_t count_arrivers(const Life *lives, uint32_t n, uint32_t sync)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++)
        count += uses(&lives[i], sync, false);
    return count;
}

/* The ring of barriers side by side around this one at which v waits and, unless NULL, w arrives.
 */
static uint32_t ring(const Life *v, const Life *w, uint32_t sync)
{
    uint32_t n = 1;
    for (int step = -8; step <= 8; step += 16)
        for (uint32_t s = sync + (uint32_t)step;
             uses(v, s, true) && (!w || uses(w, s, false)) && n < MAX_BARRIERS; s += (uint32_t)step)
            n++;
    return n;
}

/* How badly v, waiting for what w signals, fits as the one that ought to arrive at `sync`. A
 * pipeline has two rings of as many stages, of which each side waits at one and arrives at the
 * other; then the fewer warps arrive, and the nearer the barriers lie, the better. UINT64_MAX: v
 * does not wait for w. */
static uint64_t misfit(const Life *lives, uint32_t n, const Life *v, const Life *w, uint32_t sync)
{
    uint64_t least = UINT64_MAX;
    int64_t stages = ring(w, NULL, sync);
    for (uint32_t i = 0; i < v->n; i++) {
        uint32_t b = v->barriers[i].sync;
        if (!v->barriers[i].waits || !uses(w, b, false))
            continue;
        uint64_t other = (uint64_t)llabs((int64_t)ring(v, w, b) - stages),
                 far = (uint64_t)llabs((int64_t)(b & 0xffffff) - (int64_t)(sync & 0xffffff)),
                 bad = other << 48 | (uint64_t)count_arrivers(lives, n, b) << 24 | far;
        least = bad < least ? bad : least;
    }
    return least;
}

/* Those that fit best, and have not arrived. */
static void suspect(DeadWait *w, const Life *lives, uint32_t n)
{
    uint64_t least = UINT64_MAX - 1;
    const Life *own = lives;
    while (own->rank != w->rank || own->warp != w->warp)
        own++;
    for (uint32_t i = 0; i < n; i++) {
        MbarNote who = {.mbar_rank = w->rank, .rank = lives[i].rank, .warp = lives[i].warp};
        DeadWait v = {.rank = lives[i].rank, .warp = lives[i].warp};
        if (&lives[i] == own || is_among(&w->seen.arrived, w->rank, &v))
            continue;
        uint64_t bad = misfit(lives, n, &lives[i], own, w->sync);
        if (bad < least)
            w->suspects = (Arrivers){0};
        if (bad <= least)
            add_arriver(&w->suspects, &who);
        least = bad < least ? bad : least;
    }
}

/* Where nobody's code ends a wait, the arrival is missing, most often in the code of a warp that in
 * turn waits for this one. */
static void find_suspects(Explain *e)
{
    Deadlock *d = e->d;
    uint32_t n = 0, cluster = OP_NONE, done = 0;
    Life *lives = NULL;
    for (uint32_t i = 0; i < d->n_waits && done < MAX_SUSPECTED; i++) {
        DeadWait *w = &d->waits[i];
        if (w->cause != DC_NOBODY || !dead_is_mbar(w))
            continue;
        if (w->cluster != cluster)
            lives = read_lives(e, cluster = w->cluster, &n);
        suspect(w, lives, n);
        done++;
    }
}

/* The edges of a shortest way from wait `from` to wait `to`; its length, or 0. path: [n_waits]. */
static uint32_t way(Explain *e, uint32_t from, uint32_t to, uint32_t *path)
{
    Deadlock *d = e->d;
    uint32_t *next = arena_new(e->a, uint32_t, d->n_waits + 1), n = 0;
    for (uint32_t i = 0; i < d->n_waits; i++)
        next[i] = OP_NONE;
    next[to] = 0; /* reached; the edge is not used */
    for (bool changed = true; changed && next[from] == OP_NONE;) {
        changed = false;
        for (uint32_t i = 0; i < d->n_waits; i++)
            for (uint32_t k = 0; k < d->waits[i].n_edges && next[i] == OP_NONE; k++)
                if (next[d->waits[i].edges[k].to] != OP_NONE) {
                    next[i] = k;
                    changed = true;
                }
    }
    for (uint32_t at = from; next[from] != OP_NONE && at != to && n < d->n_waits;) {
        path[n++] = at;
        d->waits[at].next = next[at];
        at = d->waits[at].edges[next[at]].to;
    }
    return n;
}

/* No cycle: closed by a suspect that waits. */
static void close_cycle(Explain *e)
{
    Deadlock *d = e->d;
    uint32_t *cycle = arena_new(e->a, uint32_t, d->n_waits + 1);
    for (uint32_t i = 0; i < d->n_waits && !d->n_cycle; i++) {
        const DeadWait *w = &d->waits[i];
        for (uint32_t k = 0; k < d->n_waits && w->cause == DC_NOBODY && !d->n_cycle; k++) {
            if (k == i || !counts(&w->suspects, w, &d->waits[k]))
                continue;
            uint32_t n = way(e, k, i, cycle + 1);
            cycle[0] = i;
            d->n_cycle = n ? n + 1 : 0;
        }
    }
    d->suspected = d->n_cycle > 0;
    if (d->suspected)
        d->cycle = cycle;
}

void deadlock_explain(Arena *a, Deadlock *d)
{
    Explain e = {.a = a,
                 .d = d,
                 .targets = arena_new(a, ScoutTarget, d->n_waits + 1),
                 .of = arena_new(a, uint32_t, d->n_waits + 1),
                 .followed = arena_new(a, bool, d->n_waits + 1)};
    for (uint32_t i = 0; i < d->n_waits; i++)
        d->waits[i].next = OP_NONE;
    find_edges(&e);
    for (uint32_t i = 0; i < d->n_waits; i++)
        d->waits[i].cause = (uint8_t)cause_of(d, &d->waits[i]);
    find_cycle(a, d);
    find_wrong_start(d);
    lead_to_causes(d, arena_new(a, bool, d->n_waits + 1));
    find_suspects(&e);
    if (!d->n_cycle)
        close_cycle(&e);
}
