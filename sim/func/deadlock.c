/* The cycle in a wait-for graph: depth first, each wait visited once. */
#include "sim/func/deadlock.h"

#include "isa/arena.h"

enum { UNSEEN, ON_PATH, DONE };

void arrivers_add(Arrivers *a, uint32_t mbar_rank, uint32_t rank, uint32_t warp)
{
    uint64_t bit = warp < 64 ? (uint64_t)1 << warp : 0;
    if (rank == mbar_rank)
        a->own |= bit;
    else
        a->other |= bit;
    if (rank != mbar_rank && rank < 32)
        a->ranks |= 1u << rank;
}

static bool arrives(const Arrivers *a, const DeadWait *at, const DeadWait *w)
{
    if (w->warp >= 64 || w->cluster != at->cluster)
        return false;
    if (w->cta == at->cta)
        return a->own >> w->warp & 1;
    return w->rank < 32 && a->ranks >> w->rank & 1 && a->other >> w->warp & 1;
}

/* Whether wait a can only end when the warp of wait b goes on. Who arrives on a named barrier, the
 * cluster barrier or for memory is not known: whoever waits for something else. */
static bool waits_for(const DeadWait *a, const DeadWait *b)
{
    if (a == b)
        return false;
    if (a->kind == OK_MBAR_WAIT || a->kind == OK_MBAR_TEST)
        return arrives(&a->arrivers, a, b);
    bool own = a->kind == OK_BULK_WAIT || a->kind == OK_CPASYNC_WAIT || a->kind == OK_WAIT_ST;
    bool near = a->kind == OK_CLUSTER_WAIT ? a->cluster == b->cluster : a->cta == b->cta;
    return !own && near && (a->kind != b->kind || a->sync != b->sync);
}

typedef struct Search {
    const Deadlock *d;
    uint8_t *state;
    uint32_t *path, *next; /* next[i]: the candidate that entry i of the path tries next */
} Search;

/* Follows the waits from `start`; returns the length of the cycle now at the end of the path. */
static uint32_t follow(Search *s, uint32_t start, uint32_t *first)
{
    uint32_t n = 1;
    s->path[0] = start;
    s->next[0] = 0;
    s->state[start] = ON_PATH;
    while (n) {
        uint32_t at = s->path[n - 1], k = s->next[n - 1]++;
        if (k == s->d->n_waits) {
            s->state[at] = DONE;
            n--;
            continue;
        }
        if (s->state[k] == DONE || !waits_for(&s->d->waits[at], &s->d->waits[k]))
            continue;
        if (s->state[k] == ON_PATH) {
            for (*first = 0; s->path[*first] != k; ++*first)
                ;
            return n - *first;
        }
        s->state[k] = ON_PATH;
        s->path[n] = k;
        s->next[n++] = 0;
    }
    return 0;
}

void deadlock_cycle(Arena *a, Deadlock *d)
{
    Search s = {.d = d,
                .state = arena_new(a, uint8_t, d->n_waits + 1),
                .path = arena_new(a, uint32_t, d->n_waits + 1),
                .next = arena_new(a, uint32_t, d->n_waits + 1)};
    d->n_cycle = 0;
    for (uint32_t i = 0; i < d->n_waits && !d->n_cycle; i++) {
        uint32_t first = 0;
        if (s.state[i] == UNSEEN)
            d->n_cycle = follow(&s, i, &first);
        d->cycle = s.path + first;
    }
}
