/* libcudart: graphs. A node is a GpuNode, a graph and an executable graph are GpuGraphs. */
#include "sim/cuda/rt.h"

/* ---- What nodes do ---- */

static GpuError kernel_work(const RtKernelNode *p, GpuWork *w)
{
    if (!p)
        return GPU_INVALID_VALUE;
    if (p->extra)
        return gpu_refuse("a kernel node", "parameters in 'extra'");
    GpuKernel *k = rt_kernel(p->func);
    *w = (GpuWork){.type = GNODE_KERNEL};
    w->u.launch = (GpuLaunch){.kernel = k,
                              .grid = {p->grid.x, p->grid.y, p->grid.z},
                              .block = {p->block.x, p->block.y, p->block.z},
                              .shared = p->shared,
                              .params = p->params};
    return k ? GPU_OK : rt_no_kernel();
}

static GpuError copy_work(const RtCopy3d *p, GpuWork *w)
{
    *w = (GpuWork){.type = GNODE_COPY};
    return p ? rt_copy_of(p, &w->u.copy) : GPU_INVALID_VALUE;
}

static GpuError line_work(void *dst, const void *src, size_t n, int kind, GpuWork *w)
{
    *w = (GpuWork){.type = GNODE_COPY};
    w->u.copy = (GpuCopy){.dst = {.at = (uintptr_t)dst},
                          .src = {.at = (uintptr_t)src},
                          .width = n,
                          .height = 1,
                          .depth = 1,
                          .kind = (uint32_t)kind};
    return GPU_OK;
}

static GpuError fill_work(const RtFillNode *p, GpuWork *w)
{
    if (!p || (p->elem_bytes != 1 && p->elem_bytes != 2 && p->elem_bytes != 4))
        return GPU_INVALID_VALUE;
    *w = (GpuWork){.type = GNODE_FILL};
    w->u.fill = (GpuFill){.dst = {.at = (uintptr_t)p->dst, .pitch = p->pitch},
                          .width = p->width,
                          .height = p->height,
                          .depth = 1,
                          .value = p->value,
                          .elem_bytes = p->elem_bytes};
    return GPU_OK;
}

static GpuError call_work(const RtCallNode *p, GpuWork *w)
{
    *w = (GpuWork){.type = GNODE_CALL};
    if (!p)
        return GPU_INVALID_VALUE;
    w->u.call.fn = p->fn;
    w->u.call.user = p->user;
    return GPU_OK;
}

/* ---- Adding nodes ---- */

static int add(GpuError made, GpuNode **out, GpuGraph *gr, GpuNode *const *deps, size_t n,
               const GpuWork *w)
{
    if (made)
        return rt_ret(made);
    if (!out || !gr || (n && !deps))
        return rt_ret(GPU_INVALID_VALUE);
    return rt_ret(gpu_graph_add(gr, w, deps, n, out));
}

EXPORT int cudaGraphAddKernelNode(GpuNode **out, GpuGraph *gr, GpuNode *const *deps, size_t n,
                                  const RtKernelNode *p)
{
    GpuWork w;
    return add(kernel_work(p, &w), out, gr, deps, n, &w);
}

EXPORT int cudaGraphAddMemcpyNode(GpuNode **out, GpuGraph *gr, GpuNode *const *deps, size_t n,
                                  const RtCopy3d *p)
{
    GpuWork w;
    return add(copy_work(p, &w), out, gr, deps, n, &w);
}

EXPORT int cudaGraphAddMemcpyNode1D(GpuNode **out, GpuGraph *gr, GpuNode *const *deps, size_t n,
                                    void *dst, const void *src, size_t bytes, int kind)
{
    GpuWork w;
    return add(line_work(dst, src, bytes, kind, &w), out, gr, deps, n, &w);
}

EXPORT int cudaGraphAddMemsetNode(GpuNode **out, GpuGraph *gr, GpuNode *const *deps, size_t n,
                                  const RtFillNode *p)
{
    GpuWork w;
    return add(fill_work(p, &w), out, gr, deps, n, &w);
}

EXPORT int cudaGraphAddHostNode(GpuNode **out, GpuGraph *gr, GpuNode *const *deps, size_t n,
                                const RtCallNode *p)
{
    GpuWork w;
    return add(call_work(p, &w), out, gr, deps, n, &w);
}

EXPORT int cudaGraphAddChildGraphNode(GpuNode **out, GpuGraph *gr, GpuNode *const *deps, size_t n,
                                      GpuGraph *child)
{
    GpuWork w = {.type = GNODE_GRAPH, .u.child = child};
    return add(GPU_OK, out, gr, deps, n, &w);
}

EXPORT int cudaGraphAddEmptyNode(GpuNode **out, GpuGraph *gr, GpuNode *const *deps, size_t n)
{
    GpuWork w = {.type = GNODE_EMPTY};
    return add(GPU_OK, out, gr, deps, n, &w);
}

EXPORT int cudaGraphAddEventRecordNode(GpuNode **out, GpuGraph *gr, GpuNode *const *deps, size_t n,
                                       GpuEvent *event)
{
    GpuWork w = {.type = GNODE_RECORD, .u.event = event};
    return add(GPU_OK, out, gr, deps, n, &w);
}

EXPORT int cudaGraphAddEventWaitNode(GpuNode **out, GpuGraph *gr, GpuNode *const *deps, size_t n,
                                     GpuEvent *event)
{
    GpuWork w = {.type = GNODE_WAIT, .u.event = event};
    return add(GPU_OK, out, gr, deps, n, &w);
}

/* The memory is there at once and stays until the process ends: its address is the graph's in all
 * launches. */
EXPORT int cudaGraphAddMemAllocNode(GpuNode **out, GpuGraph *gr, GpuNode *const *deps, size_t n,
                                    RtAllocNode *p)
{
    GpuWork w = {.type = GNODE_ALLOC};
    uint64_t at = 0;
    GpuError e = p ? gpu_malloc(p->bytes, "a graph's allocation node", &at) : GPU_INVALID_VALUE;
    if (!e)
        p->ptr = (void *)(uintptr_t)at;
    return add(e, out, gr, deps, n, &w);
}

EXPORT int cudaGraphAddMemFreeNode(GpuNode **out, GpuGraph *gr, GpuNode *const *deps, size_t n,
                                   void *ptr)
{
    GpuWork w = {.type = GNODE_FREE};
    return add(ptr ? GPU_OK : GPU_INVALID_VALUE, out, gr, deps, n, &w);
}

/* ---- Parameters of nodes ---- */

static int set(GpuError made, GpuNode *n, const GpuWork *w)
{
    return rt_ret(made ? made : gpu_node_set(n, w));
}

/* The node of an executable graph that stands for `n`. */
static GpuNode *copy_in(const GpuGraph *exec, const GpuNode *n)
{
    return exec && n ? gpu_graph_find(exec, n) : NULL;
}

EXPORT int cudaGraphKernelNodeSetParams(GpuNode *n, const RtKernelNode *p)
{
    GpuWork w;
    return set(kernel_work(p, &w), n, &w);
}

EXPORT int cudaGraphExecKernelNodeSetParams(GpuGraph *exec, GpuNode *n, const RtKernelNode *p)
{
    return cudaGraphKernelNodeSetParams(copy_in(exec, n), p);
}

EXPORT int cudaGraphMemcpyNodeSetParams(GpuNode *n, const RtCopy3d *p)
{
    GpuWork w;
    return set(copy_work(p, &w), n, &w);
}

EXPORT int cudaGraphExecMemcpyNodeSetParams(GpuGraph *exec, GpuNode *n, const RtCopy3d *p)
{
    return cudaGraphMemcpyNodeSetParams(copy_in(exec, n), p);
}

EXPORT int cudaGraphMemcpyNodeSetParams1D(GpuNode *n, void *dst, const void *src, size_t bytes,
                                          int kind)
{
    GpuWork w;
    return set(line_work(dst, src, bytes, kind, &w), n, &w);
}

EXPORT int cudaGraphExecMemcpyNodeSetParams1D(GpuGraph *exec, GpuNode *n, void *dst,
                                              const void *src, size_t bytes, int kind)
{
    return cudaGraphMemcpyNodeSetParams1D(copy_in(exec, n), dst, src, bytes, kind);
}

EXPORT int cudaGraphMemsetNodeSetParams(GpuNode *n, const RtFillNode *p)
{
    GpuWork w;
    return set(fill_work(p, &w), n, &w);
}

EXPORT int cudaGraphExecMemsetNodeSetParams(GpuGraph *exec, GpuNode *n, const RtFillNode *p)
{
    return cudaGraphMemsetNodeSetParams(copy_in(exec, n), p);
}

EXPORT int cudaGraphHostNodeSetParams(GpuNode *n, const RtCallNode *p)
{
    GpuWork w;
    return set(call_work(p, &w), n, &w);
}

EXPORT int cudaGraphExecHostNodeSetParams(GpuGraph *exec, GpuNode *n, const RtCallNode *p)
{
    return cudaGraphHostNodeSetParams(copy_in(exec, n), p);
}

EXPORT int cudaGraphExecChildGraphNodeSetParams(GpuGraph *exec, GpuNode *n, GpuGraph *child)
{
    GpuWork w = {.type = GNODE_GRAPH, .u.child = child};
    return set(GPU_OK, copy_in(exec, n), &w);
}

/* Fails for a node of another type. */
static bool get(GpuNode *n, GpuNodeType type, GpuWork *w)
{
    return n && gpu_node_type(n) == type && gpu_node_get(n, w) == GPU_OK;
}

EXPORT int cudaGraphKernelNodeGetParams(GpuNode *n, RtKernelNode *p)
{
    GpuWork w;
    if (!p || !get(n, GNODE_KERNEL, &w))
        return rt_ret(GPU_INVALID_VALUE);
    const GpuLaunch *l = &w.u.launch;
    *p = (RtKernelNode){.func = rt_host_function(l->kernel),
                        .grid = {l->grid[0], l->grid[1], l->grid[2]},
                        .block = {l->block[0], l->block[1], l->block[2]},
                        .shared = l->shared,
                        .params = (void **)(uintptr_t)l->params};
    return GPU_OK;
}

EXPORT int cudaGraphMemsetNodeGetParams(GpuNode *n, RtFillNode *p)
{
    GpuWork w;
    if (!p || !get(n, GNODE_FILL, &w))
        return rt_ret(GPU_INVALID_VALUE);
    const GpuFill *f = &w.u.fill;
    *p = (RtFillNode){.dst = (void *)(uintptr_t)f->dst.at,
                      .pitch = f->dst.pitch,
                      .value = f->value,
                      .elem_bytes = f->elem_bytes,
                      .width = f->width,
                      .height = f->height};
    return GPU_OK;
}

EXPORT int cudaGraphHostNodeGetParams(GpuNode *n, RtCallNode *p)
{
    GpuWork w;
    if (!p || !get(n, GNODE_CALL, &w))
        return rt_ret(GPU_INVALID_VALUE);
    *p = (RtCallNode){w.u.call.fn, w.u.call.user};
    return GPU_OK;
}

EXPORT int cudaGraphChildGraphNodeGetGraph(GpuNode *n, GpuGraph **child)
{
    GpuWork w;
    if (!child || !get(n, GNODE_GRAPH, &w))
        return rt_ret(GPU_INVALID_VALUE);
    *child = w.u.child;
    return GPU_OK;
}

EXPORT int cudaGraphNodeGetType(GpuNode *n, int *type)
{
    if (!n || !type)
        return rt_ret(GPU_INVALID_VALUE);
    *type = (int)gpu_node_type(n);
    return GPU_OK;
}

EXPORT int cudaGraphNodeSetEnabled(GpuGraph *exec, GpuNode *n, unsigned on)
{
    GpuNode *copy = copy_in(exec, n);
    if (copy)
        gpu_node_enable(copy, on != 0);
    return rt_ret(copy ? GPU_OK : GPU_INVALID_VALUE);
}

EXPORT int cudaGraphNodeGetEnabled(GpuGraph *exec, GpuNode *n, unsigned *on)
{
    const GpuNode *copy = copy_in(exec, n);
    if (!copy || !on)
        return rt_ret(GPU_INVALID_VALUE);
    *on = gpu_node_enabled(copy);
    return GPU_OK;
}

/* ---- Edges ---- */

EXPORT int cudaGraphAddDependencies(GpuGraph *gr, GpuNode *const *from, GpuNode *const *to,
                                    const void *edges, size_t n)
{
    (void)gr, (void)edges; /* an edge of any kind is kept as a full one */
    GpuError e = n && (!from || !to) ? GPU_INVALID_VALUE : GPU_OK;
    for (size_t i = 0; i < n && !e; i++)
        e = gpu_node_connect(from[i], to[i]);
    return rt_ret(e);
}

EXPORT int cudaGraphRemoveDependencies(GpuGraph *gr, GpuNode *const *from, GpuNode *const *to,
                                       const void *edges, size_t n)
{
    (void)gr, (void)edges;
    GpuError e = n && (!from || !to) ? GPU_INVALID_VALUE : GPU_OK;
    for (size_t i = 0; i < n && !e; i++)
        e = gpu_node_disconnect(from[i], to[i]);
    return rt_ret(e);
}

/* Lists are asked for twice: how many, then that many. */
typedef struct List {
    GpuNode **to;
    size_t room, n;
} List;

static void list(List *l, GpuNode *n)
{
    if (l->to && l->n < l->room)
        l->to[l->n] = n;
    l->n++;
}

static int listed(const List *l, size_t *n)
{
    *n = l->to && l->n > l->room ? l->room : l->n;
    return GPU_OK;
}

EXPORT int cudaGraphGetNodes(GpuGraph *gr, GpuNode **nodes, size_t *n)
{
    if (!gr || !n)
        return rt_ret(GPU_INVALID_VALUE);
    List l = {nodes, *n, 0};
    for (size_t i = 0; gpu_graph_node(gr, i); i++)
        list(&l, gpu_graph_node(gr, i));
    return listed(&l, n);
}

EXPORT int cudaGraphGetRootNodes(GpuGraph *gr, GpuNode **nodes, size_t *n)
{
    if (!gr || !n)
        return rt_ret(GPU_INVALID_VALUE);
    List l = {nodes, *n, 0};
    for (size_t i = 0; gpu_graph_node(gr, i); i++)
        if (!gpu_node_dep(gpu_graph_node(gr, i), 0))
            list(&l, gpu_graph_node(gr, i));
    return listed(&l, n);
}

EXPORT int cudaGraphNodeGetDependencies(GpuNode *node, GpuNode **deps, uint64_t *edges, size_t *n)
{
    if (!node || !n)
        return rt_ret(GPU_INVALID_VALUE);
    List l = {deps, *n, 0};
    for (size_t i = 0; gpu_node_dep(node, i); i++)
        list(&l, gpu_node_dep(node, i));
    for (size_t i = 0; edges && deps && i < l.n && i < l.room; i++)
        edges[i] = 0;
    return listed(&l, n);
}

EXPORT int cudaGraphGetEdges(GpuGraph *gr, GpuNode **from, GpuNode **to, uint64_t *edges, size_t *n)
{
    if (!gr || !n)
        return rt_ret(GPU_INVALID_VALUE);
    List f = {from, *n, 0}, t = {to, *n, 0};
    for (size_t i = 0; gpu_graph_node(gr, i); i++)
        for (size_t k = 0; gpu_node_dep(gpu_graph_node(gr, i), k); k++) {
            list(&f, gpu_node_dep(gpu_graph_node(gr, i), k));
            list(&t, gpu_graph_node(gr, i));
        }
    for (size_t i = 0; edges && from && i < f.n && i < f.room; i++)
        edges[i] = 0;
    return listed(&f, n);
}

EXPORT int cudaGraphDestroyNode(GpuNode *n)
{
    if (n)
        gpu_node_free(n);
    return rt_ret(n ? GPU_OK : GPU_INVALID_VALUE);
}

/* ---- Graphs ---- */

EXPORT int cudaGraphCreate(GpuGraph **graph, unsigned flags)
{
    (void)flags;
    if (!graph)
        return rt_ret(GPU_INVALID_VALUE);
    *graph = gpu_graph_new();
    return GPU_OK;
}

EXPORT int cudaGraphDestroy(GpuGraph *graph)
{
    gpu_graph_free(graph);
    return rt_ret(graph ? GPU_OK : GPU_INVALID_VALUE);
}
ALIAS(cudaGraphDestroy, cudaGraphExecDestroy);

EXPORT int cudaGraphInstantiate(GpuGraph **exec, GpuGraph *graph, unsigned long long flags)
{
    (void)flags;
    if (!exec || !graph)
        return rt_ret(GPU_INVALID_VALUE);
    *exec = gpu_graph_copy(graph);
    return GPU_OK;
}
ALIAS(cudaGraphInstantiate, cudaGraphInstantiateWithFlags);

EXPORT int cudaGraphInstantiateWithParams(GpuGraph **exec, GpuGraph *graph, RtInstantiate *p)
{
    if (!p)
        return rt_ret(GPU_INVALID_VALUE);
    p->bad = NULL;
    p->result = 0;
    return cudaGraphInstantiate(exec, graph, p->flags);
}
ALIAS(cudaGraphInstantiateWithParams, cudaGraphInstantiateWithParams_ptsz);

EXPORT int cudaGraphClone(GpuGraph **copy, GpuGraph *graph)
{
    return cudaGraphInstantiate(copy, graph, 0);
}

EXPORT int cudaGraphNodeFindInClone(GpuNode **out, GpuNode *n, GpuGraph *clone)
{
    GpuNode *copy = copy_in(clone, n);
    if (out)
        *out = copy;
    return rt_ret(out && copy ? GPU_OK : GPU_INVALID_VALUE);
}

EXPORT int cudaGraphExecUpdate(GpuGraph *exec, GpuGraph *graph, RtGraphUpdate *info)
{
    if (!exec || !graph)
        return rt_ret(GPU_INVALID_VALUE);
    GpuNode *bad = NULL;
    GpuError e = gpu_graph_update(exec, graph, &bad);
    if (info)
        *info = (RtGraphUpdate){.result = e ? 2 : 0, .node = bad};
    return rt_ret(e);
}

EXPORT int cudaGraphLaunch(GpuGraph *exec, void *s)
{
    return rt_ret(gpu_graph_launch(exec, stream_handle(s)));
}
ALIAS(cudaGraphLaunch, cudaGraphLaunch_ptsz);

EXPORT int cudaGraphUpload(GpuGraph *exec, void *s)
{
    (void)s;
    return rt_ret(exec ? GPU_OK : GPU_INVALID_VALUE);
}
ALIAS(cudaGraphUpload, cudaGraphUpload_ptsz);

/* ---- Capture into graphs ---- */

EXPORT int cudaStreamBeginCaptureToGraph(void *s, GpuGraph *graph, GpuNode *const *deps,
                                         const void *edges, size_t n, int mode)
{
    (void)deps, (void)edges, (void)n, (void)mode; /* what is recorded follows all that is there */
    if (!graph)
        return rt_ret(GPU_INVALID_VALUE);
    return rt_ret(gpu_stream_begin_capture(stream_handle(s), graph));
}
ALIAS(cudaStreamBeginCaptureToGraph, cudaStreamBeginCaptureToGraph_ptsz);

EXPORT int cudaStreamGetCaptureInfo(void *s, int *status, unsigned long long *id, GpuGraph **graph,
                                    GpuNode *const **deps, const uint64_t **edges, size_t *n)
{
    static _Thread_local GpuNode *last;
    static const uint64_t plain_edge;
    GpuGraph *gr = gpu_stream_capture_graph(stream_handle(s));
    uint64_t capture = 0;
    if (!status)
        return rt_ret(GPU_INVALID_VALUE);
    *status = gpu_stream_capture_status(stream_handle(s), &capture);
    if (!gr)
        return GPU_OK;
    last = NULL;
    for (size_t i = 0; gpu_graph_node(gr, i); i++)
        last = gpu_graph_node(gr, i);
    if (id)
        *id = capture;
    if (graph)
        *graph = gr;
    if (deps)
        *deps = &last;
    if (edges)
        *edges = &plain_edge;
    if (n)
        *n = last != NULL;
    return GPU_OK;
}
ALIAS(cudaStreamGetCaptureInfo, cudaStreamGetCaptureInfo_ptsz);

/* What is recorded next follows all that is there, these among it. */
EXPORT int cudaStreamUpdateCaptureDependencies(void *s, GpuNode *const *deps, const void *edges,
                                               size_t n, unsigned flags)
{
    (void)deps, (void)edges, (void)n, (void)flags;
    return rt_ret(gpu_stream_capture_graph(stream_handle(s)) ? GPU_OK : GPU_ILLEGAL_STATE);
}
ALIAS(cudaStreamUpdateCaptureDependencies, cudaStreamUpdateCaptureDependencies_ptsz);
