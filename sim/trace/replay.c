/* Replay: the recorded streams as a front end. mbarriers live in a table instead of in shared
 * memory; nothing else of the machine's memories is needed. */
#include "sim/trace/reader.h"

#include <stdlib.h>
#include <string.h>

#define MBAR_TABLE 1024u /* mbarriers a CTA may use; open addressing, power of two */

typedef struct ReplaySlot {
    const TraceCta *cta;
    StreamPos *pos;                 /* per warp */
    uint32_t mbar_addr[MBAR_TABLE]; /* address + 1, 0 = free */
    uint64_t mbar_word[MBAR_TABLE];
} ReplaySlot;

typedef struct Replay {
    Front front; /* first: a Front * is a Replay * */
    const Trace *trace;
    Arena *arena;
    ReplaySlot **slots; /* allocated when first used */
} Replay;

static const TraceCta *find_cta(const Trace *t, uint32_t cta)
{
    for (uint32_t i = 0; i < t->n_ctas; i++)
        if (t->ctas[i].cta == cta)
            return &t->ctas[i];
    return NULL;
}

static bool rep_cta_start(Front *f, uint32_t slot, uint32_t cta, Err *err)
{
    Replay *r = (Replay *)f;
    const TraceCta *found = find_cta(r->trace, cta);
    if (!found)
        return err_set(err, ERR_SEMANTIC, (Loc){0},
                       "CTA %u is not in this trace, which holds %u of the grid's CTAs; replay "
                       "with the recorded --sms",
                       cta, r->trace->n_ctas);
    ReplaySlot *s = r->slots[slot];
    uint32_t n_ops = r->trace->code.n_ops;
    if (!s) {
        s = r->slots[slot] = arena_new(r->arena, ReplaySlot, 1);
        s->pos = arena_new(r->arena, StreamPos, f->n_warps);
        for (uint32_t w = 0; w < f->n_warps; w++)
            s->pos[w].last = arena_new(r->arena, Op, n_ops + 1);
    }
    s->cta = found;
    memset(s->mbar_addr, 0, sizeof s->mbar_addr);
    for (uint32_t w = 0; w < f->n_warps; w++) {
        const TraceWarp *tw = &found->warps[w];
        s->pos[w].c = (Cursor){tw->data, tw->data + tw->n, false};
        s->pos[w].expected = 0;
        memset(s->pos[w].last, 0, n_ops * sizeof(Op));
    }
    return true;
}

static void rep_next(Front *f, uint32_t slot, uint32_t warp, OpRun *run)
{
    Replay *r = (Replay *)f;
    StreamPos *p = &r->slots[slot]->pos[warp];
    Op ops[OP_BURST];
    uint32_t n;
    *run = (OpRun){0, 0, OP_NONE};
    while (p->c.at < p->c.end && stream_event(p, r->trace->code.n_ops, run, ops, &n) == EV_YIELD) {
    }
}

static uint32_t rep_exec(Front *f, uint32_t slot, uint32_t warp, Cycle now, Op ops[OP_BURST],
                         Err *err)
{
    (void)now;
    (void)err;
    Replay *r = (Replay *)f;
    OpRun run;
    uint32_t n = 0;
    stream_event(&r->slots[slot]->pos[warp], r->trace->code.n_ops, &run, ops, &n);
    return n;
}

static bool rep_async(Front *f, uint32_t slot, uint32_t handle, AsyncStep step, Err *err)
{
    (void)f, (void)slot, (void)handle, (void)step, (void)err;
    return true;
}

static uint64_t *rep_mbar(Front *f, uint32_t slot, uint32_t addr, Err *err)
{
    ReplaySlot *s = ((Replay *)f)->slots[slot];
    addr &= 0xffffff;
    for (uint32_t h = addr >> 3, probes = 0; probes < MBAR_TABLE; h++, probes++) {
        uint32_t i = h & (MBAR_TABLE - 1);
        if (s->mbar_addr[i] == 0) {
            s->mbar_addr[i] = addr + 1;
            s->mbar_word[i] = 0;
        }
        if (s->mbar_addr[i] == addr + 1)
            return &s->mbar_word[i];
    }
    err_set(err, ERR_UNSUPPORTED, (Loc){0}, "more than %u mbarriers in one CTA", MBAR_TABLE);
    return NULL;
}

static bool rep_yield(Front *f, uint32_t slot, uint32_t warp)
{
    StreamPos *p = &((Replay *)f)->slots[slot]->pos[warp];
    if (p->c.at >= p->c.end || *p->c.at != EV_YIELD)
        return false;
    p->c.at++;
    return true;
}

static void rep_tmem_alloc_done(Front *f, uint32_t slot, uint32_t warp, uint32_t column)
{
    (void)f, (void)slot, (void)warp, (void)column;
}

static void rep_cta_end(Front *f, uint32_t slot)
{
    (void)f, (void)slot;
}

static void rep_cancelled(Front *f, uint32_t slot, uint32_t handle, uint32_t cta)
{
    (void)f, (void)slot, (void)handle, (void)cta;
}

/* In a kernel with cluster launch control, CTAs that are missing were cancelled. */
static bool rep_launches(Front *f, uint32_t cta)
{
    const Trace *t = ((Replay *)f)->trace;
    for (uint32_t i = 0; i < t->code.n_ops; i++)
        if (t->code.ops[i].kind == OK_CANCEL)
            return find_cta(t, cta) != NULL;
    return true;
}

static const FrontOps replay_ops = {
    .cta_start = rep_cta_start,
    .next = rep_next,
    .exec = rep_exec,
    .async = rep_async,
    .mbar = rep_mbar,
    .yield = rep_yield,
    .tmem_alloc_done = rep_tmem_alloc_done,
    .cta_end = rep_cta_end,
    .cancelled = rep_cancelled,
    .launches = rep_launches,
};

Front *trace_front(Arena *a, Trace *t)
{
    Replay *r = arena_new(a, Replay, 1);
    const TraceHeader *h = &t->header;
    r->trace = t;
    r->arena = a;
    r->front = (Front){
        .ops = &replay_ops, .code = &t->code, .n_warps = t->n_warps, .footprint = h->footprint};
    memcpy(r->front.grid, h->grid, sizeof h->grid);
    memcpy(r->front.block, h->block, sizeof h->block);
    memcpy(r->front.cluster, h->cluster, sizeof h->cluster);
    r->front.n_ctas = h->grid[0] * h->grid[1] * h->grid[2];
    /* Slots are numbered by SM: at most an SM for each recorded CTA, and 64 warps on an SM. */
    r->front.n_slots = t->n_ctas * (64 / t->n_warps);
    r->slots = arena_new(a, ReplaySlot *, r->front.n_slots + 1);
    return &r->front;
}
