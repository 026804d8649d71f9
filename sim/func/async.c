/* Records of asynchronous operations in flight: a free list per CTA slot, and a ring of bytes that
 * they captured. Everything is allocated when the slot is made. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sim/func/state.h"
#include "sim/func/wgmma.h"

#define STAGE_ALIGN 16u

typedef struct StageHead {
    uint32_t bytes; /* with this head */
    uint32_t busy;
} StageHead;

static StageHead *head_at(Stage *s, uint32_t at)
{
    return (StageHead *)(void *)(s->ring + at);
}

static uint8_t *place(Stage *s, uint32_t bytes, uint32_t busy)
{
    StageHead *h = head_at(s, s->head);
    *h = (StageHead){.bytes = bytes, .busy = busy};
    s->head = (s->head + bytes) % STAGE_BYTES;
    s->used += bytes;
    return (uint8_t *)h + STAGE_ALIGN;
}

uint8_t *stage_take(Stage *s, uint32_t bytes)
{
    if (bytes > STAGE_BYTES - STAGE_ALIGN)
        return NULL;
    uint32_t need = (bytes + 2 * STAGE_ALIGN - 1) & ~(STAGE_ALIGN - 1),
             to_end = STAGE_BYTES - s->head;
    uint32_t filler = need > to_end ? to_end : 0; /* a block does not wrap */
    if (s->used + filler + need > STAGE_BYTES)
        return NULL;
    if (filler)
        place(s, filler, 0);
    return place(s, need, 1);
}

void stage_release(Stage *s, uint8_t *p)
{
    StageHead *h = (StageHead *)(void *)(p - STAGE_ALIGN);
    h->busy = 0;
    while (s->used > 0 && !head_at(s, s->tail)->busy) {
        uint32_t bytes = head_at(s, s->tail)->bytes;
        s->tail = (s->tail + bytes) % STAGE_BYTES;
        s->used -= bytes;
    }
    if (s->used == 0)
        s->head = s->tail = 0; /* the same bytes again: they are in the cache */
}

size_t async_pool_bytes(void)
{
    return STAGE_BYTES + ASYNC_CAPACITY * sizeof(Async);
}

AsyncPool *async_pool_new(Arena *a, void *mem, TcScratch *scratch)
{
    AsyncPool *p = arena_new(a, AsyncPool, 1);
    p->stage.ring = mem;
    p->records = (Async *)(void *)(p->stage.ring + STAGE_BYTES);
    p->scratch = scratch;
    return p;
}

void async_reset(Cta *cta)
{
    AsyncPool *p = cta->async;
    p->free = 0;
    p->n_records = 1;
    p->stage.head = p->stage.tail = p->stage.used = 0;
    p->batch.n = 0;
    for (uint32_t i = 0; p->wg && i < cta->exec->front.n_warps; i++)
        p->wg[i].n = 0;
    p->tmem_live = 0;
    p->relinquished = false;
}

Async *async_take(Cta *cta, AsyncFn *fn, Err *err)
{
    AsyncPool *p = cta->async;
    uint32_t h = p->free ? p->free : p->n_records;
    if (h == ASYNC_CAPACITY) {
        err_set(err, ERR_FAULT, (Loc){0}, "more than %d asynchronous operations in flight",
                ASYNC_CAPACITY - 1);
        return NULL;
    }
    Async *as = &p->records[h];
    if (h == p->free)
        p->free = as->next_free;
    else
        p->n_records++;
    memset(as, 0, sizeof *as);
    as->handle = h;
    as->fn = fn;
    return as;
}

void async_release(Cta *cta, uint32_t handle)
{
    AsyncPool *p = cta->async;
    Async *as = &p->records[handle];
    if (as->stage)
        stage_release(&p->stage, as->stage);
    as->stage = NULL;
    as->fn = NULL;
    as->next_free = p->free;
    p->free = handle;
}

bool async_step(Exec *x, Cta *cta, uint32_t handle, AsyncStep step, Err *err)
{
    if (handle == 0)
        return true;
    Async *as = &cta->async->records[handle];
    bool good = as->fn(x, cta, as, step, err);
    ++*x->changes;
    if (step == ASYNC_DONE)
        async_release(cta, handle);
    return good;
}

bool async_fault(Exec *x, const Cta *cta, const Async *as, Err *err, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const Func *f = x->code->func;
    Loc loc = as->ptx < f->n_insns ? f->insns[as->ptx].loc : (Loc){0};
    return err_set(err, ERR_FAULT, loc, "%s (CTA %u, warp %u, when the operation ran)", text,
                   cta->id, as->warp);
}
