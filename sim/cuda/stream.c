/* Streams and events. Operations are done when submitted; a capturing stream records them instead.
 */
#include "sim/cuda/state.h"

#include <stdlib.h>
#include <string.h>

static GpuStream *stream_of(Gpu *g, GpuStream *s)
{
    return s ? s : &g->default_stream;
}

/* The default stream waits for all that do not say non-blocking, and they for it. */
static double start_time(const Gpu *g, const GpuStream *s)
{
    double t = s->now_us;
    if (s->flags & GPU_STREAM_NON_BLOCKING)
        return t;
    if (s != &g->default_stream)
        return t > g->default_stream.now_us ? t : g->default_stream.now_us;
    for (const GpuStream *o = s->next; o; o = o->next)
        if (!(o->flags & GPU_STREAM_NON_BLOCKING) && o->now_us > t)
            t = o->now_us;
    return t;
}

/* ---- Operations ---- */

void op_free(GpuOp *op)
{
    if (op->type == GOP_LAUNCH)
        free(op->u.launch.params);
}

GpuOp op_copy(const GpuOp *op)
{
    GpuOp copy = *op;
    if (op->type == GOP_LAUNCH && op->u.launch.params) {
        uint32_t n = op->u.launch.param_bytes;
        copy.u.launch.params = gpu_alloc(n);
        memcpy(copy.u.launch.params, op->u.launch.params, n);
    }
    return copy;
}

static GpuError run_op(Gpu *g, GpuStream *s, const GpuOp *op)
{
    s->now_us = start_time(g, s);
    switch (op->type) {
    case GOP_LAUNCH:
        return launch_run(g, &op->u.launch, s);
    case GOP_COPY:
        return memory_copy(g, &op->u.copy);
    case GOP_FILL:
        return memory_fill(g, &op->u.fill);
    case GOP_CALL:
        op->u.call.fn(op->u.call.user);
        return GPU_OK;
    }
    return GPU_UNKNOWN;
}

GpuError stream_submit(Gpu *g, GpuStream *s, const GpuOp *op)
{
    s = stream_of(g, s);
    if (g->sticky)
        return g->sticky;
    if (!s->capture)
        return run_op(g, s, op);
    graph_record(s->capture, op);
    return GPU_OK;
}

static GpuError submit(GpuStream *s, const GpuOp *op)
{
    Gpu *g = gpu_enter();
    return gpu_leave(stream_submit(g, s, op));
}

GpuError gpu_copy(const GpuCopy *c, GpuStream *s)
{
    return submit(s, &(GpuOp){.type = GOP_COPY, .u.copy = *c});
}

GpuError gpu_fill(const GpuFill *f, GpuStream *s)
{
    return submit(s, &(GpuOp){.type = GOP_FILL, .u.fill = *f});
}

GpuError gpu_copy_bytes(uint64_t dst, uint64_t src, uint64_t bytes, uint32_t kind, GpuStream *s)
{
    GpuCopy c = {.dst = {.at = dst},
                 .src = {.at = src},
                 .width = bytes,
                 .height = 1,
                 .depth = 1,
                 .kind = kind};
    return gpu_copy(&c, s);
}

GpuError gpu_host_call(GpuStream *s, void (*fn)(void *), void *user)
{
    if (!fn)
        return GPU_INVALID_VALUE;
    return submit(s, &(GpuOp){.type = GOP_CALL, .u.call = {fn, user}});
}

/* ---- Streams ---- */

GpuError gpu_stream_new(uint32_t flags, int priority, GpuStream **out)
{
    Gpu *g = gpu_enter();
    GpuStream *s = calloc(1, sizeof *s);
    *out = s;
    if (!s)
        return gpu_leave(GPU_OUT_OF_MEMORY);
    *s = (GpuStream){.flags = flags,
                     .priority = priority,
                     .id = g->next_stream++,
                     .next = g->default_stream.next};
    g->default_stream.next = s;
    return gpu_leave(g->sticky);
}

static void leave_capture(Gpu *g, const GpuGraph *gr)
{
    for (GpuStream *o = g->default_stream.next; o; o = o->next)
        if (o->capture == gr) {
            o->capture = NULL;
            o->joined = false;
        }
}

GpuError gpu_stream_free(GpuStream *s)
{
    Gpu *g = gpu_enter();
    GpuStream **at = &g->default_stream.next;
    while (*at && *at != s)
        at = &(*at)->next;
    if (!s || !*at)
        return gpu_leave(GPU_INVALID_HANDLE);
    *at = s->next;
    if (s->capture && !s->joined) { /* those that joined record into nothing any more */
        GpuGraph *gone = s->capture;
        leave_capture(g, gone);
        gpu_graph_free(gone);
    }
    free(s);
    return gpu_leave(GPU_OK);
}

uint32_t gpu_stream_flags(const GpuStream *s)
{
    return s ? s->flags : 0;
}

int gpu_stream_priority(const GpuStream *s)
{
    return s ? s->priority : 0;
}

uint64_t gpu_stream_id(const GpuStream *s)
{
    return s ? s->id : 0;
}

GpuError gpu_stream_begin_capture(GpuStream *s, GpuGraph *into)
{
    Gpu *g = gpu_enter();
    if (!s)
        return gpu_leave(GPU_CAPTURE_UNSUPPORTED); /* as CUDA: not on the legacy stream */
    if (s->capture)
        return gpu_leave(GPU_ILLEGAL_STATE);
    s->capture = into ? into : gpu_graph_new();
    s->capture_id = ++g->next_capture;
    return gpu_leave(g->sticky);
}

/* Streams that joined the capture by waiting for one of its events record into the same graph. */
GpuError gpu_stream_end_capture(GpuStream *s, GpuGraph **out)
{
    Gpu *g = gpu_enter();
    *out = NULL;
    if (!s || !s->capture)
        return gpu_leave(GPU_ILLEGAL_STATE);
    if (s->joined)
        return gpu_leave(GPU_CAPTURE_UNMATCHED);
    *out = s->capture;
    leave_capture(g, *out);
    return gpu_leave(g->sticky);
}

GpuGraph *gpu_stream_capture_graph(const GpuStream *s)
{
    return s ? s->capture : NULL;
}

int gpu_stream_capture_status(const GpuStream *s, uint64_t *id)
{
    if (id)
        *id = s ? s->capture_id : 0;
    return s && s->capture;
}

/* ---- Events ---- */

GpuError gpu_event_new(uint32_t flags, GpuEvent **out)
{
    Gpu *g = gpu_enter();
    *out = calloc(1, sizeof **out);
    if (!*out)
        return gpu_leave(GPU_OUT_OF_MEMORY);
    (*out)->flags = flags;
    return gpu_leave(g->sticky);
}

GpuError gpu_event_free(GpuEvent *e)
{
    Gpu *g = gpu_enter();
    free(e);
    return gpu_leave(e ? g->sticky : GPU_INVALID_HANDLE);
}

GpuError gpu_event_record(GpuEvent *e, GpuStream *s)
{
    Gpu *g = gpu_enter();
    if (!e)
        return gpu_leave(GPU_INVALID_HANDLE);
    s = stream_of(g, s);
    e->captured = s->capture ? s : NULL;
    if (g->sticky || s->capture) /* captured: an edge of the graph, which keeps all its order */
        return gpu_leave(g->sticky);
    s->now_us = start_time(g, s);
    e->recorded = true;
    e->at_us = s->now_us;
    return gpu_leave(GPU_OK);
}

static bool is_stream(const Gpu *g, const GpuStream *s)
{
    const GpuStream *o = &g->default_stream;
    while (o && o != s)
        o = o->next;
    return o != NULL;
}

GpuError gpu_event_wait(GpuStream *s, GpuEvent *e)
{
    Gpu *g = gpu_enter();
    if (!e)
        return gpu_leave(GPU_INVALID_HANDLE);
    s = stream_of(g, s);
    if (e->captured && is_stream(g, e->captured) && e->captured->capture) {
        if (!s->capture) {
            s->capture = e->captured->capture;
            s->capture_id = e->captured->capture_id;
            s->joined = true;
        }
    } else if (e->recorded && e->at_us > s->now_us) {
        s->now_us = e->at_us;
    }
    return gpu_leave(g->sticky);
}

GpuError gpu_event_query(GpuEvent *e)
{
    Gpu *g = gpu_enter();
    return gpu_leave(e ? g->sticky : GPU_INVALID_HANDLE); /* all that was submitted is done */
}

GpuError gpu_event_ms(GpuEvent *from, GpuEvent *to, float *ms)
{
    Gpu *g = gpu_enter();
    if (!from || !to || !from->recorded || !to->recorded ||
        ((from->flags | to->flags) & GPU_EVENT_NO_TIMING))
        return gpu_leave(GPU_INVALID_HANDLE);
    *ms = (float)((to->at_us - from->at_us) * 1e-3);
    return gpu_leave(g->sticky);
}
