/* Graphs that a program builds node by node, changes, copies and asks about. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_decls.h"
#include "fat_writer.h"

/* y[i] = a y[i] + b: results tell in which order nodes ran. */
static const char ptx[] =
    ".version 8.7\n.target sm_100a\n.address_size 64\n"
    ".visible .entry step(.param .u64 y, .param .u32 a, .param .u32 b)\n{\n .reg .b32 %r<6>;\n"
    " .reg .b64 %d<4>;\n ld.param.u64 %d1, [y];\n ld.param.u32 %r1, [a];\n ld.param.u32 %r2, [b];\n"
    " mov.u32 %r3, %tid.x;\n mul.wide.u32 %d2, %r3, 4;\n add.u64 %d1, %d1, %d2;\n"
    " ld.global.u32 %r4, [%d1];\n mad.lo.u32 %r4, %r4, %r1, %r2;\n st.global.u32 [%d1], %r4;\n"
    " ret;\n}\n";
static char step_stub;

enum { N = 32 };
static uint32_t *y;

typedef struct KernelNode {
    const void *func;
    Dim3 grid, block;
    uint32_t shared;
    void **params, **extra;
} KernelNode;
typedef struct FillNode {
    void *dst;
    size_t pitch;
    uint32_t value, elem_bytes;
    size_t width, height;
} FillNode;
typedef struct CallNode {
    void (*fn)(void *);
    void *user;
} CallNode;

int cudaGraphCreate(void **, unsigned);
int cudaGraphAddKernelNode(void **, void *, void *const *, size_t, const KernelNode *);
int cudaGraphAddMemsetNode(void **, void *, void *const *, size_t, const FillNode *);
int cudaGraphAddMemcpyNode1D(void **, void *, void *const *, size_t, void *, const void *, size_t,
                             int);
int cudaGraphAddHostNode(void **, void *, void *const *, size_t, const CallNode *);
int cudaGraphAddEmptyNode(void **, void *, void *const *, size_t);
int cudaGraphAddChildGraphNode(void **, void *, void *const *, size_t, void *);
int cudaGraphAddDependencies(void *, void *const *, void *const *, const void *, size_t);
int cudaGraphKernelNodeGetParams(void *, KernelNode *);
int cudaGraphKernelNodeSetParams(void *, const KernelNode *);
int cudaGraphExecKernelNodeSetParams(void *, void *, const KernelNode *);
int cudaGraphExecMemsetNodeSetParams(void *, void *, const FillNode *);
int cudaGraphNodeGetType(void *, int *);
int cudaGraphNodeSetEnabled(void *, void *, unsigned);
int cudaGraphGetNodes(void *, void **, size_t *);
int cudaGraphGetRootNodes(void *, void **, size_t *);
int cudaGraphGetEdges(void *, void **, void **, void *, size_t *);
int cudaGraphNodeGetDependencies(void *, void **, void *, size_t *);
int cudaGraphDestroyNode(void *);
int cudaGraphExecUpdate(void *, void *, void *);
int cudaStreamGetCaptureInfo(void *, int *, unsigned long long *, void **, void *const **,
                             const void **, size_t *);

static void start(void)
{
    static uint8_t fat[1 << 13];
    static FatWrapper wrapper = {0x466243b1, 1, fat, NULL};
    FatWriter w = {.data = fat, .cap = sizeof fat};
    fat_begin(&w);
    fat_add(&w, 100, 0x100000, ptx, sizeof ptx);
    fat_end(&w);
    void **h = __cudaRegisterFatBinary(&wrapper);
    __cudaRegisterFunction(h, &step_stub, "step", "step", -1, 0, 0, 0, 0, 0);
    __cudaRegisterFatBinaryEnd(h);
    ck_assert_int_eq(cudaMalloc((void **)&y, N * sizeof *y), 0);
}

/* Parameters are copied where they are given. */
static const KernelNode *step(uint32_t a, uint32_t b)
{
    static uint32_t values[2];
    static void *params[] = {&y, &values[0], &values[1]};
    static const KernelNode node = {&step_stub, {1, 1, 1}, {N, 1, 1}, 0, params, NULL};
    values[0] = a;
    values[1] = b;
    return &node;
}

static FillNode fill(uint32_t value)
{
    return (FillNode){y, 0, value, 4, N, 1};
}

static uint32_t launched(void *exec)
{
    uint32_t host[N];
    ck_assert_int_eq(cudaGraphLaunch(exec, NULL), 0);
    ck_assert_int_eq(cudaMemcpy(host, y, sizeof host, 2), 0);
    ck_assert_uint_eq(host[0], host[N - 1]);
    return host[0];
}

static void count_up(void *user)
{
    ++*(int *)user;
}

/* fill 5; then 2 y + 1; then 3 y + 4: the last is created before the one that it depends on. */
START_TEST(dependencies_make_the_order)
{
    void *graph, *fill_node, *first, *second, *call, *exec;
    int calls = 0;
    start();
    FillNode five = fill(5);
    CallNode count = {count_up, &calls};
    ck_assert_int_eq(cudaGraphCreate(&graph, 0), 0);
    ck_assert_int_eq(cudaGraphAddKernelNode(&second, graph, NULL, 0, step(3, 4)), 0);
    ck_assert_int_eq(cudaGraphAddKernelNode(&first, graph, NULL, 0, step(2, 1)), 0);
    ck_assert_int_eq(cudaGraphAddMemsetNode(&fill_node, graph, NULL, 0, &five), 0);
    ck_assert_int_eq(cudaGraphAddHostNode(&call, graph, &second, 1, &count), 0);
    void *from[] = {first, fill_node}, *to[] = {second, first};
    ck_assert_int_eq(cudaGraphAddDependencies(graph, from, to, NULL, 2), 0);
    ck_assert_int_eq(cudaGraphInstantiate(&exec, graph, 0), 0);
    ck_assert_uint_eq(launched(exec), 3 * (2 * 5 + 1) + 4);
    ck_assert_uint_eq(launched(exec), 3 * (2 * 5 + 1) + 4);
    ck_assert_int_eq(calls, 2);

    size_t n = 9, roots = 9, edges = 0, deps = 1;
    void *nodes[9], *root[9], *dep;
    int type;
    ck_assert_int_eq(cudaGraphGetNodes(graph, nodes, &n), 0);
    ck_assert_int_eq(cudaGraphGetRootNodes(graph, root, &roots), 0);
    ck_assert_int_eq(cudaGraphGetEdges(graph, NULL, NULL, NULL, &edges), 0);
    ck_assert_int_eq(cudaGraphNodeGetDependencies(second, &dep, NULL, &deps), 0);
    ck_assert(n == 4 && nodes[1] == first && roots == 1 && root[0] == fill_node);
    ck_assert(edges == 3 && deps == 1 && dep == first);
    ck_assert_int_eq(cudaGraphNodeGetType(call, &type), 0);
    ck_assert_int_eq(type, 3);

    void *back_from[] = {second}, *back_to[] = {fill_node}; /* a cycle */
    ck_assert_int_eq(cudaGraphAddDependencies(graph, back_from, back_to, NULL, 1), 0);
    cudaGraphExecDestroy(exec);
    ck_assert_int_eq(cudaGraphInstantiate(&exec, graph, 0), 0);
    ck_assert_int_ne(cudaGraphLaunch(exec, NULL), 0);
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
}
END_TEST

START_TEST(nodes_of_executable_graphs_change)
{
    void *graph, *fill_node, *kernel, *empty, *exec, *child, *outer, *outer_exec;
    start();
    FillNode five = fill(5), six = fill(6);
    KernelNode got;
    cudaGraphCreate(&graph, 0);
    cudaGraphAddMemsetNode(&fill_node, graph, NULL, 0, &five);
    cudaGraphAddEmptyNode(&empty, graph, &fill_node, 1);
    cudaGraphAddKernelNode(&kernel, graph, &empty, 1, step(2, 1));
    cudaGraphInstantiate(&exec, graph, 0);
    ck_assert_int_eq(cudaGraphExecKernelNodeSetParams(exec, kernel, step(10, 3)), 0);
    ck_assert_uint_eq(launched(exec), 53);
    ck_assert_int_eq(cudaGraphExecMemsetNodeSetParams(exec, fill_node, &six), 0);
    ck_assert_uint_eq(launched(exec), 63);
    ck_assert_int_eq(cudaGraphExecKernelNodeSetParams(exec, fill_node, step(1, 1)), 1);
    ck_assert_int_eq(cudaGraphNodeSetEnabled(exec, kernel, 0), 0);
    ck_assert_uint_eq(launched(exec), 6);
    cudaGraphNodeSetEnabled(exec, kernel, 1);

    ck_assert_int_eq(cudaGraphKernelNodeGetParams(kernel, &got), 0); /* the graph's own has not */
    ck_assert_ptr_eq(got.func, &step_stub);
    ck_assert(got.block.x == N && *(uint32_t *)got.params[1] == 2);
    *(uint32_t *)got.params[2] = 7; /* as programs do: change what was got, and set it */
    ck_assert_int_eq(cudaGraphKernelNodeSetParams(kernel, &got), 0);
    ck_assert_int_eq(cudaGraphExecUpdate(exec, graph, NULL), 0);
    ck_assert_uint_eq(launched(exec), 17);

    cudaGraphCreate(&outer, 0); /* twice the graph, then one step more */
    cudaGraphAddChildGraphNode(&child, outer, NULL, 0, graph);
    cudaGraphAddChildGraphNode(&child, outer, &child, 1, graph);
    cudaGraphAddKernelNode(&kernel, outer, &child, 1, step(1, 100));
    cudaGraphInstantiate(&outer_exec, outer, 0);
    ck_assert_uint_eq(launched(outer_exec), 117);
    ck_assert_int_eq(cudaGraphExecUpdate(outer_exec, graph, NULL), 910);
    ck_assert_int_eq(cudaGraphDestroyNode(kernel), 0);
    cudaGraphExecDestroy(outer_exec);
    cudaGraphInstantiate(&outer_exec, outer, 0);
    ck_assert_uint_eq(launched(outer_exec), 17);
    cudaGraphDestroy(graph);
    ck_assert_uint_eq(launched(outer_exec), 17);
    cudaGraphExecDestroy(outer_exec);
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(outer);
}
END_TEST

START_TEST(a_recorded_graph_has_nodes)
{
    void *stream, *graph, *seen, *exec, *more, *nodes[4], *const *last;
    uint32_t host[N], a = 3, b = 1;
    void *params[] = {&y, &a, &b};
    int status;
    size_t n = 4, n_last;
    start();
    cudaStreamCreate(&stream);
    cudaStreamBeginCapture(stream, 0);
    cudaMemsetAsync(y, 0, sizeof host, stream);
    cudaLaunchKernel(&step_stub, (Dim3){1, 1, 1}, (Dim3){N, 1, 1}, params, 0, stream);
    ck_assert_int_eq(cudaStreamGetCaptureInfo(stream, &status, NULL, &seen, &last, NULL, &n_last),
                     0);
    ck_assert(status == 1 && n_last == 1);
    ck_assert_int_eq(cudaGraphAddKernelNode(&more, seen, last, 1, step(2, 5)), 0);
    cudaMemcpyAsync(host, y, sizeof host, 2, stream);
    cudaStreamEndCapture(stream, &graph);
    ck_assert_ptr_eq(graph, seen);
    ck_assert_int_eq(cudaGraphGetNodes(graph, nodes, &n), 0);
    ck_assert_uint_eq(n, 4);
    static const int types[] = {2, 0, 0, 1};
    for (size_t i = 0; i < n; i++) {
        cudaGraphNodeGetType(nodes[i], &status);
        ck_assert_int_eq(status, types[i]);
    }
    cudaGraphInstantiate(&exec, graph, 0);
    ck_assert_int_eq(cudaGraphLaunch(exec, stream), 0);
    ck_assert_uint_eq(host[3], 7);
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
    cudaStreamDestroy(stream);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("graph");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, dependencies_make_the_order);
    tcase_add_test(t, nodes_of_executable_graphs_change);
    tcase_add_test(t, a_recorded_graph_has_nodes);
    Suite *s = suite_create("cuda_graph");
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
