/* The simulated GPU of a process: device memory, modules, kernels, streams, events, launches.
 *
 * libcudart.so.13 (sim/cuda/rt_*.c) and libcuda.so.1 (sim/cuda/cu_*.c) are thin interfaces over
 * this; both may be loaded in one process and share this one object, which lives in libcuda.so.1.
 *
 * Work is done when it is submitted: a launch, a copy or a callback is over when its call returns,
 * so that every order that streams and events demand holds. Time is simulated: each stream has a
 * clock, events read it, the GPU runs one kernel at a time; copies take no time.
 *
 * All functions may be called from any thread; one lock serialises them. They return a GpuError,
 * whose numbers are CUDA's. A fault of a kernel is sticky, as on a GPU: every later call that uses
 * the device returns it. */
#ifndef RAO_CUDA_GPU_H
#define RAO_CUDA_GPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum GpuError {
#define ERROR(id, number, runtime, driver, text) GPU_##id = number,
#include "sim/cuda/error.def"
#undef ERROR
    GPU_IS_INT = -1 /* never an error: the type is a signed one, as the interface's int */
} GpuError;

/* NULL if there is no such error. */
const char *gpu_error_text(int error);
const char *gpu_error_runtime_name(int error);
const char *gpu_error_driver_name(int error);

/* Starts the GPU if that has not been done; returns the sticky error, if any. A model that cannot
 * be loaded ends the process with a message. */
GpuError gpu_check(void);

/* Prints "rao exec: NAME is not there" once per name; returns GPU_NOT_SUPPORTED. */
GpuError gpu_missing(const char *name);
/* The same for one use of a function that is there otherwise. */
GpuError gpu_refuse(const char *name, const char *what);

/* ---- The device (device.c) ---- */

/* CUdevice_attribute = cudaDeviceAttr numbers. GPU_INVALID_VALUE: no such attribute. */
GpuError gpu_attribute(int attribute, int *value);
const char *gpu_name(void);
uint64_t gpu_total_memory(void);
void gpu_uuid(uint8_t uuid[16]);
/* The place on the PCI bus, and whether it is meant. */
void gpu_pci_id(char *id, size_t n);
bool gpu_is_pci_id(const char *id);
/* Priorities of streams; either may be NULL. */
void gpu_priorities(int *least, int *greatest);
/* Limits of the stack, the heap, printf ...: kept, and nothing here needs them. */
GpuError gpu_set_limit(int limit, size_t value);
GpuError gpu_get_limit(int limit, size_t *value);
enum { GPU_CUDA_VERSION = 13000 };

/* ---- Memory (memory.c) ---- */

typedef enum GpuMemKind { GPU_MEM_NONE, GPU_MEM_DEVICE, GPU_MEM_HOST, GPU_MEM_MANAGED } GpuMemKind;

typedef struct GpuRange { /* an allocation */
    GpuMemKind kind;
    uint64_t start, bytes;
    uint32_t id, flags; /* flags as given to cudaHostAlloc and the like */
    bool registered;    /* host memory of the program's own */
} GpuRange;

/* Device memory, 256-byte aligned. what: name of the call, for messages. */
GpuError gpu_malloc(uint64_t bytes, const char *what, uint64_t *addr);
/* Host memory that kernels reach at its own address: pinned or managed. */
GpuError gpu_malloc_host(uint64_t bytes, GpuMemKind kind, uint32_t flags, const char *what,
                         void **out);
GpuError gpu_register_host(void *p, uint64_t bytes, uint32_t flags);
/* kind: what the pointer must be; GPU_MEM_DEVICE takes managed memory too. 0 is fine. */
GpuError gpu_free(uint64_t addr, GpuMemKind kind);
GpuError gpu_unregister_host(void *p);
/* The allocation that holds addr; kind GPU_MEM_NONE: plain host memory or nothing. */
GpuRange gpu_range(uint64_t addr);
GpuError gpu_memory_info(uint64_t *free_bytes, uint64_t *total_bytes);

/* A box of bytes in device, pinned or plain host memory. */
typedef struct GpuBox {
    uint64_t at;           /* address of the first byte */
    uint64_t pitch, slice; /* bytes from row to row, from plane to plane */
} GpuBox;
typedef struct GpuCopy {
    GpuBox dst, src;
    uint64_t width, height, depth; /* bytes, rows, planes */
    uint32_t kind;                 /* cudaMemcpyKind; 4: the addresses tell */
} GpuCopy;
typedef struct GpuFill {
    GpuBox dst;
    uint64_t width, height, depth; /* elements, rows, planes */
    uint32_t value, elem_bytes;    /* 1, 2 or 4 */
} GpuFill;

/* ---- Modules and kernels (module.c) ---- */

typedef struct GpuModule GpuModule;
typedef struct GpuKernel GpuKernel;

/* PTX text ended by NUL, a fat binary, its wrapper, or an ELF file: see image.c. The image is
 * copied if `copy`, else borrowed until gpu_module_unload. Loading is lazy: text is parsed when a
 * name is asked for. */
GpuError gpu_module_load(const void *image, bool copy, GpuModule **out);
GpuError gpu_module_load_file(const char *path, GpuModule **out);
void gpu_module_unload(GpuModule *m);
/* GPU_NOT_FOUND: no entry of that name. The kernel lives as long as its module. */
GpuError gpu_module_kernel(GpuModule *m, const char *name, GpuKernel **out);
GpuError gpu_module_kernel_count(GpuModule *m, uint32_t *n);
GpuError gpu_module_kernel_at(GpuModule *m, uint32_t i, GpuKernel **out);
GpuError gpu_module_global(GpuModule *m, const char *name, uint64_t *addr, uint64_t *bytes);

/* Whether this is the handle of a kernel of a loaded module. */
bool gpu_kernel_valid(const void *k);
const char *gpu_kernel_name(const GpuKernel *k);
GpuModule *gpu_kernel_module(const GpuKernel *k);
/* GPU_INVALID_VALUE behind the last parameter. */
GpuError gpu_kernel_param(const GpuKernel *k, size_t i, size_t *offset, size_t *bytes);
/* CUfunction_attribute numbers. Registers and local memory make the kernel be lowered. */
GpuError gpu_kernel_attribute(GpuKernel *k, int attribute, int *value);
GpuError gpu_kernel_set_attribute(GpuKernel *k, int attribute, int value);

/* ---- Streams, events (stream.c) ---- */

typedef struct GpuStream GpuStream; /* NULL: the default stream */
typedef struct GpuEvent GpuEvent;
typedef struct GpuGraph GpuGraph;

enum { GPU_STREAM_NON_BLOCKING = 1, GPU_EVENT_NO_TIMING = 2 };

GpuError gpu_stream_new(uint32_t flags, int priority, GpuStream **out);
GpuError gpu_stream_free(GpuStream *s);
uint32_t gpu_stream_flags(const GpuStream *s);
int gpu_stream_priority(const GpuStream *s);
uint64_t gpu_stream_id(const GpuStream *s);
/* Records into a graph that is there already, or, NULL, into a new one. */
GpuError gpu_stream_begin_capture(GpuStream *s, GpuGraph *into);
GpuError gpu_stream_end_capture(GpuStream *s, GpuGraph **out);
/* Whether it is capturing. *id: of the capture, or NULL. */
int gpu_stream_capture_status(const GpuStream *s, uint64_t *id);
/* The graph being recorded, or NULL. */
GpuGraph *gpu_stream_capture_graph(const GpuStream *s);

GpuError gpu_event_new(uint32_t flags, GpuEvent **out);
GpuError gpu_event_free(GpuEvent *e);
GpuError gpu_event_record(GpuEvent *e, GpuStream *s);
GpuError gpu_event_wait(GpuStream *s, GpuEvent *e);
GpuError gpu_event_query(GpuEvent *e);
GpuError gpu_event_ms(GpuEvent *from, GpuEvent *to, float *ms);

GpuError gpu_copy(const GpuCopy *c, GpuStream *s);
GpuError gpu_fill(const GpuFill *f, GpuStream *s);
GpuError gpu_host_call(GpuStream *s, void (*fn)(void *), void *user);
/* One row of bytes. */
GpuError gpu_copy_bytes(uint64_t dst, uint64_t src, uint64_t bytes, uint32_t kind, GpuStream *s);

/* ---- Launches (launch.c) ---- */

typedef struct GpuLaunch {
    GpuKernel *kernel;
    uint32_t grid[3], block[3];
    uint32_t cluster[3]; /* 0: the kernel's own, or 1 */
    uint32_t shared;     /* dynamic shared memory, bytes */
    bool cooperative;
    bool dependent; /* may begin while the launch before it ends (programmatic stream serialization)
                     */
    void *const *params; /* a pointer to each parameter; or NULL, and then: */
    const void *buffer;  /* the parameters as the kernel has them */
    size_t buffer_bytes;
    GpuStream *stream;
} GpuLaunch;

/* Checks and runs, or records into the stream's graph. */
GpuError gpu_launch(const GpuLaunch *l);

/* CTAs of the kernel that an SM holds at once, clusters that the GPU holds at once. */
GpuError gpu_occupancy(GpuKernel *k, uint32_t threads, uint64_t shared, uint32_t *ctas);
/* Dynamic shared memory that each of n CTAs of an SM may have. */
GpuError gpu_available_shared(GpuKernel *k, uint32_t n, uint32_t threads, size_t *bytes);
GpuError gpu_max_clusters(const GpuLaunch *l, uint32_t *clusters);

/* ---- Graphs (graph.c) ---- */

/* A graph does its nodes one after another, each behind those that it depends on. What a stream
 * recorded is a chain. An executable graph is a copy whose nodes remember what they are copies of.
 */
typedef struct GpuNode GpuNode;
typedef enum GpuNodeType { /* cudaGraphNodeType = CUgraphNodeType */
                           GNODE_KERNEL = 0,
                           GNODE_COPY = 1,
                           GNODE_FILL = 2,
                           GNODE_CALL = 3,
                           GNODE_GRAPH = 4,
                           GNODE_EMPTY = 5,
                           GNODE_WAIT = 6,
                           GNODE_RECORD = 7,
                           GNODE_ALLOC = 10,
                           GNODE_FREE = 11,
} GpuNodeType;

typedef struct GpuWork { /* what a node does; the member that the type names */
    GpuNodeType type;
    union {
        GpuLaunch launch;
        GpuCopy copy;
        GpuFill fill;
        struct {
            void (*fn)(void *);
            void *user;
        } call;
        GpuGraph *child; /* copied */
        GpuEvent *event;
    } u;
} GpuWork;

GpuGraph *gpu_graph_new(void);
GpuGraph *gpu_graph_copy(const GpuGraph *g);
void gpu_graph_free(GpuGraph *g);
GpuError gpu_graph_launch(GpuGraph *g, GpuStream *s);
/* The nodes in order of creation; NULL behind the last. */
GpuNode *gpu_graph_node(const GpuGraph *g, size_t i);
/* GPU_INVALID_VALUE: a dependency of another graph. Launches are checked as gpu_launch does. */
GpuError gpu_graph_add(GpuGraph *g, const GpuWork *w, GpuNode *const *deps, size_t n,
                       GpuNode **out);
/* The copy of `origin`, which stands for it in an executable graph; NULL: there is none. */
GpuNode *gpu_graph_find(const GpuGraph *g, const GpuNode *origin);
/* Takes over what the nodes of `from` do. GPU_GRAPH_UPDATE_FAILED: it has other nodes or edges;
 * *bad, may be NULL: the first node of `from` that differs. */
GpuError gpu_graph_update(GpuGraph *exec, const GpuGraph *from, GpuNode **bad);

GpuNodeType gpu_node_type(const GpuNode *n);
GpuNode *gpu_node_dep(const GpuNode *n, size_t i); /* NULL behind the last */
/* Work as it was given; pointers in it belong to the node. */
GpuError gpu_node_get(GpuNode *n, GpuWork *w);
/* Another work of the same type. */
GpuError gpu_node_set(GpuNode *n, const GpuWork *w);
GpuError gpu_node_connect(GpuNode *from, GpuNode *to);
GpuError gpu_node_disconnect(GpuNode *from, GpuNode *to);
void gpu_node_enable(GpuNode *n, bool on);
bool gpu_node_enabled(const GpuNode *n);
void gpu_node_free(GpuNode *n);

#endif
