/* Graphs, recorded by a stream or built node by node. */
#include <stdlib.h>
#include <string.h>

#include "sim/cuda/state.h"

/* ---- Nodes ---- */

static GpuNode *new_node(GpuGraph *gr, GpuNodeType type)
{
    GpuNode *n = gpu_alloc(sizeof *n);
    *n = (GpuNode){.graph = gr, .type = type};
    gr->nodes = gpu_grow(gr->nodes, gr->n, &gr->cap, sizeof(GpuNode *));
    gr->nodes[gr->n++] = n;
    return n;
}

static bool has_op(GpuNodeType t)
{
    return t <= GNODE_CALL;
}

static void clear_work(GpuNode *n)
{
    if (has_op(n->type))
        op_free(&n->op);
    gpu_graph_free(n->child);
    free(n->args);
    n->child = NULL;
    n->args = NULL;
}

static void drop_node(GpuNode *n)
{
    clear_work(n);
    free(n->deps);
    free(n);
}

static GpuError set_work(Gpu *g, GpuNode *n, const GpuWork *w)
{
    GpuOp op = {0};
    GpuError e = GPU_OK;
    switch (w->type) {
    case GNODE_KERNEL:
        e = launch_make(g, &w->u.launch, &op);
        break;
    case GNODE_COPY:
        op = (GpuOp){.type = GOP_COPY, .u.copy = w->u.copy};
        break;
    case GNODE_FILL:
        op = (GpuOp){.type = GOP_FILL, .u.fill = w->u.fill};
        break;
    case GNODE_CALL:
        op = (GpuOp){.type = GOP_CALL, .u.call = {w->u.call.fn, w->u.call.user}};
        e = w->u.call.fn ? GPU_OK : GPU_INVALID_VALUE;
        break;
    case GNODE_GRAPH:
        e = w->u.child ? GPU_OK : GPU_INVALID_VALUE;
        break;
    case GNODE_WAIT:
    case GNODE_RECORD:
        e = w->u.event ? GPU_OK : GPU_INVALID_VALUE;
        break;
    case GNODE_EMPTY:
    case GNODE_ALLOC:
    case GNODE_FREE:
        break;
    }
    if (e) {
        op_free(&op);
        return e;
    }
    clear_work(n);
    n->op = op;
    if (w->type == GNODE_GRAPH)
        n->child = gpu_graph_copy(w->u.child);
    if (w->type == GNODE_WAIT || w->type == GNODE_RECORD)
        n->event = w->u.event;
    return GPU_OK;
}

static void connect(GpuNode *from, GpuNode *to)
{
    for (uint32_t i = 0; i < to->n_deps; i++)
        if (to->deps[i] == from)
            return;
    to->deps = gpu_grow(to->deps, to->n_deps, &to->cap_deps, sizeof(GpuNode *));
    to->deps[to->n_deps++] = from;
}

GpuError gpu_node_connect(GpuNode *from, GpuNode *to)
{
    if (!from || !to || from == to || from->graph != to->graph)
        return GPU_INVALID_VALUE;
    connect(from, to);
    return GPU_OK;
}

GpuError gpu_node_disconnect(GpuNode *from, GpuNode *to)
{
    for (uint32_t i = 0; from && to && i < to->n_deps; i++)
        if (to->deps[i] == from) {
            to->deps[i] = to->deps[--to->n_deps];
            return GPU_OK;
        }
    return GPU_INVALID_VALUE;
}

GpuNodeType gpu_node_type(const GpuNode *n)
{
    return n->type;
}

GpuNode *gpu_node_dep(const GpuNode *n, size_t i)
{
    return i < n->n_deps ? n->deps[i] : NULL;
}

void gpu_node_enable(GpuNode *n, bool on)
{
    n->disabled = !on;
}

bool gpu_node_enabled(const GpuNode *n)
{
    return !n->disabled;
}

static GpuLaunch launch_of(GpuNode *n)
{
    const LaunchOp *op = &n->op.u.launch;
    GpuLaunch l = {.kernel = op->kernel, .shared = op->shared, .cooperative = op->cooperative};
    memcpy(l.grid, op->grid, sizeof l.grid);
    memcpy(l.block, op->block, sizeof l.block);
    memcpy(l.cluster, op->cluster, sizeof l.cluster);
    uint32_t n_params = op->kernel->head->n_params;
    if (!n->args)
        n->args = gpu_alloc((n_params + 1) * sizeof(void *));
    for (uint32_t i = 0; i < n_params; i++) {
        size_t at;
        gpu_kernel_param(op->kernel, i, &at, NULL);
        n->args[i] = op->params + at;
    }
    l.params = n->args;
    return l;
}

GpuError gpu_node_get(GpuNode *n, GpuWork *w)
{
    *w = (GpuWork){.type = n->type};
    if (n->type == GNODE_KERNEL) {
        w->u.launch = launch_of(n);
    } else if (n->type == GNODE_COPY) {
        w->u.copy = n->op.u.copy;
    } else if (n->type == GNODE_FILL) {
        w->u.fill = n->op.u.fill;
    } else if (n->type == GNODE_CALL) {
        w->u.call.fn = n->op.u.call.fn;
        w->u.call.user = n->op.u.call.user;
    } else if (n->type == GNODE_GRAPH) {
        w->u.child = n->child;
    } else {
        w->u.event = n->event;
    }
    return GPU_OK;
}

GpuError gpu_node_set(GpuNode *n, const GpuWork *w)
{
    Gpu *g = gpu_enter();
    if (!n || n->type != w->type)
        return gpu_leave(GPU_INVALID_VALUE);
    return gpu_leave(set_work(g, n, w));
}

void gpu_node_free(GpuNode *n)
{
    GpuGraph *gr = n->graph;
    uint32_t left = 0;
    for (uint32_t i = 0; i < gr->n; i++) {
        gpu_node_disconnect(n, gr->nodes[i]);
        if (gr->nodes[i] != n)
            gr->nodes[left++] = gr->nodes[i];
    }
    gr->n = left;
    drop_node(n);
}

/* ---- Graphs ---- */

GpuGraph *gpu_graph_new(void)
{
    return gpu_alloc(sizeof(GpuGraph));
}

static uint32_t index_of(const GpuNode *n)
{
    uint32_t i = 0;
    while (n->graph->nodes[i] != n)
        i++;
    return i;
}

GpuGraph *gpu_graph_copy(const GpuGraph *from)
{
    GpuGraph *to = gpu_graph_new();
    for (uint32_t i = 0; i < from->n; i++) {
        const GpuNode *o = from->nodes[i];
        GpuNode *n = new_node(to, o->type);
        n->origin = o;
        n->event = o->event;
        n->disabled = o->disabled;
        n->child = o->child ? gpu_graph_copy(o->child) : NULL;
        if (has_op(o->type))
            n->op = op_copy(&o->op);
    }
    for (uint32_t i = 0; i < from->n; i++)
        for (uint32_t k = 0; k < from->nodes[i]->n_deps; k++)
            connect(to->nodes[index_of(from->nodes[i]->deps[k])], to->nodes[i]);
    return to;
}

void gpu_graph_free(GpuGraph *gr)
{
    for (uint32_t i = 0; gr && i < gr->n; i++)
        drop_node(gr->nodes[i]);
    free(gr ? gr->nodes : NULL);
    free(gr);
}

GpuNode *gpu_graph_node(const GpuGraph *gr, size_t i)
{
    return i < gr->n ? gr->nodes[i] : NULL;
}

GpuNode *gpu_graph_find(const GpuGraph *gr, const GpuNode *origin)
{
    for (uint32_t i = 0; i < gr->n; i++)
        if (gr->nodes[i]->origin == origin)
            return gr->nodes[i];
    return NULL;
}

void graph_record(GpuGraph *gr, const GpuOp *op)
{
    static const GpuNodeType types[] = {[GOP_LAUNCH] = GNODE_KERNEL,
                                        [GOP_COPY] = GNODE_COPY,
                                        [GOP_FILL] = GNODE_FILL,
                                        [GOP_CALL] = GNODE_CALL};
    GpuNode *n = new_node(gr, types[op->type]);
    n->op = op_copy(op);
    if (gr->n > 1)
        connect(gr->nodes[gr->n - 2], n);
}

GpuError gpu_graph_add(GpuGraph *gr, const GpuWork *w, GpuNode *const *deps, size_t n_deps,
                       GpuNode **out)
{
    Gpu *g = gpu_enter();
    for (size_t i = 0; i < n_deps; i++)
        if (!deps[i] || deps[i]->graph != gr)
            return gpu_leave(GPU_INVALID_VALUE);
    GpuNode *n = new_node(gr, w->type);
    GpuError e = set_work(g, n, w);
    if (e) {
        gpu_node_free(n);
        return gpu_leave(e);
    }
    for (size_t i = 0; i < n_deps; i++)
        connect(deps[i], n);
    *out = n;
    return gpu_leave(GPU_OK);
}

static bool alike(const GpuNode *a, const GpuNode *b)
{
    if (a->type != b->type || a->n_deps != b->n_deps)
        return false;
    for (uint32_t i = 0; i < a->n_deps; i++)
        if (index_of(a->deps[i]) != index_of(b->deps[i]))
            return false;
    return true;
}

GpuError gpu_graph_update(GpuGraph *exec, const GpuGraph *from, GpuNode **bad)
{
    Gpu *g = gpu_enter();
    (void)g;
    for (uint32_t i = 0; i < from->n; i++)
        if (i >= exec->n || !alike(exec->nodes[i], from->nodes[i])) {
            if (bad)
                *bad = from->nodes[i];
            return gpu_leave(GPU_GRAPH_UPDATE_FAILED);
        }
    if (from->n != exec->n)
        return gpu_leave(GPU_GRAPH_UPDATE_FAILED);
    for (uint32_t i = 0; i < from->n; i++) {
        const GpuNode *o = from->nodes[i];
        GpuNode *n = exec->nodes[i];
        clear_work(n);
        if (has_op(o->type))
            n->op = op_copy(&o->op);
        n->child = o->child ? gpu_graph_copy(o->child) : NULL;
        n->event = o->event;
        n->origin = o;
    }
    return gpu_leave(GPU_OK);
}

/* ---- Launch ---- */

static GpuError run_node(Gpu *g, GpuNode *n, GpuStream *s)
{
    if (n->disabled)
        return GPU_OK;
    if (has_op(n->type))
        return stream_submit(g, s, &n->op);
    if (n->type == GNODE_GRAPH)
        return gpu_graph_launch(n->child, s);
    if (n->type == GNODE_RECORD)
        return gpu_event_record(n->event, s);
    if (n->type == GNODE_WAIT)
        return gpu_event_wait(s, n->event);
    return GPU_OK; /* allocations live as long as the process: their addresses are the graph's */
}

/* One pass over the nodes in order of creation runs those whose dependencies have run; passes
 * follow until all have. */
GpuError gpu_graph_launch(GpuGraph *gr, GpuStream *s)
{
    Gpu *g = gpu_enter();
    GpuError e = gr ? GPU_OK : GPU_INVALID_HANDLE;
    uint32_t left = gr ? gr->n : 0;
    for (uint32_t i = 0; i < left; i++)
        gr->nodes[i]->done = false;
    while (left > 0 && !e) {
        uint32_t before = left;
        for (uint32_t i = 0; i < gr->n && !e; i++) {
            GpuNode *n = gr->nodes[i];
            bool ready = !n->done;
            for (uint32_t k = 0; k < n->n_deps && ready; k++)
                ready = n->deps[k]->done;
            if (!ready)
                continue;
            e = run_node(g, n, s);
            n->done = true;
            left--;
        }
        if (left == before)
            e = GPU_INVALID_VALUE; /* a cycle */
    }
    return gpu_leave(e);
}
