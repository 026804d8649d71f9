/* What the parts of the simulated GPU share. Private to sim/cuda. */
#ifndef RAO_CUDA_STATE_H
#define RAO_CUDA_STATE_H

#include <pthread.h>

#include "sim/api/kernel.h"
#include "sim/api/rao.h"
#include "sim/cuda/gpu.h"

/* What `rao exec` asks for; it hands the options on in RAO_EXEC_* variables (options.c). */
typedef struct ExecOptions {
    const char *model;
    const char *set;  /* "KEY=VALUE" lines */
    const char *only; /* extended regular expression on the kernel's name; NULL: all */
    uint64_t skip, count;
    const char *report, *capture; /* folders or NULL */
    const char *status;           /* file that findings are appended to, or NULL */
    bool time;                    /* chosen launches are simulated in time */
    bool check;                   /* chosen launches run under the checker, without time */
    const char *suppressions;     /* of the checker, or NULL */
    uint32_t print_limit;         /* findings of a launch that are printed */
    uint32_t sms, threads;
    bool mma_hw;
} ExecOptions;

struct GpuKernel {
    GpuModule *module;
    const Func *head; /* in the module's skeleton */
    Module *ptx;      /* with its body and its body alone; NULL: not parsed yet */
    const Func *func;
    Code *code[4];   /* NULL: not lowered yet; [1] for launches with clusters; [2], [3]: the same
                        for the checker */
    int max_dynamic; /* cudaFuncAttributeMaxDynamicSharedMemorySize, 0: not set */
    int carveout, cluster_policy;
    bool big_cluster; /* non-portable sizes are allowed */
    int cluster_must_be_set, cluster[3];
};

struct GpuModule {
    GpuModule *next;
    Arena arena;
    char *name; /* of the PTX file in messages and bundles */
    const void *image;
    const char *text; /* NULL: not read yet */
    size_t len;
    uint64_t text_hash;
    Module *skeleton; /* heads of all functions, and the variables */
    CodeLayout layout;
    GpuKernel *kernels; /* one per entry */
    uint32_t n_kernels;
    GpuError bad; /* what reading it gave */
    bool written; /* the text lies in the report's folder */
};

struct GpuStream {
    GpuStream *next;
    uint32_t flags;
    int priority;
    uint64_t id;
    double now_us;
    GpuGraph *capture; /* being recorded */
    uint64_t capture_id;
    bool joined; /* the capture is another stream's: it waited for one of its events */
};

struct GpuEvent {
    uint32_t flags;
    bool recorded;
    double at_us;
    GpuStream *captured; /* recorded last while this stream was capturing */
};

/* A launch with its parameters, ready to be checked again and run. */
typedef struct LaunchOp {
    GpuKernel *kernel;
    uint32_t grid[3], block[3], cluster[3], shared;
    bool cooperative, dependent;
    uint8_t *params; /* param_bytes; owned */
    uint32_t param_bytes;
} LaunchOp;

typedef enum OpType { GOP_LAUNCH, GOP_COPY, GOP_FILL, GOP_CALL } OpType;

typedef struct GpuOp { /* something a stream does */
    OpType type;
    union {
        LaunchOp launch;
        GpuCopy copy;
        GpuFill fill;
        struct {
            void (*fn)(void *);
            void *user;
        } call;
    } u;
} GpuOp;

struct GpuNode {
    GpuGraph *graph;
    GpuNodeType type;
    GpuOp op;        /* of a kernel, copy, fill, call */
    GpuGraph *child; /* owned */
    GpuEvent *event;
    GpuNode **deps; /* nodes of the same graph that run before */
    uint32_t n_deps, cap_deps;
    const GpuNode *origin; /* in the graph that this one's is a copy of; only to be compared */
    bool disabled, done;   /* done: in the launch that is going on */
    void **args;           /* gpu_node_get: addresses of the parameters in op */
};

struct GpuGraph {
    GpuNode **nodes; /* in order of creation */
    uint32_t n, cap;
};

typedef struct Timed { /* what an earlier launch took: one entry of a growing list */
    uint64_t hash;
    uint64_t launch; /* its number */
    double us;
    uint64_t cycles;
} Timed;

/* A launch that was seen before, and whether its last run changed memory. */
enum { REPEAT_WORDS = 4, MOST_REPEATS = 256 };
typedef struct Repeat {
    uint64_t launch; /* hash of kernel, shape and parameters */
    uint32_t n_runs, n_changes;
    double seconds; /* of the last run */
    bool settled;   /* the last run changed nothing, and this was the hash of memory: */
    uint64_t state[REPEAT_WORDS];
} Repeat;

typedef struct Gpu {
    pthread_mutex_t lock;
    bool ready, has_model;
    ExecOptions opt;
    Arena arena; /* lives as long as the process */
    Model model;
    GlobalMem *mem;
    GpuError sticky;
    GpuRange *ranges; /* by address; what mem's table does not say */
    uint32_t n_ranges, cap_ranges, next_range;
    uint64_t device_bytes; /* allocated */
    uint64_t workspace;    /* of cooperative launches, or 0 */
    GpuModule *modules;
    uint32_t next_module;
    GpuStream default_stream; /* head of the list of all */
    uint64_t next_stream, next_capture;
    uint32_t capturing; /* streams */
    double busy_us;     /* until when the last kernel runs */
    uint64_t n_launches, n_matches;
    Timed *timed;
    uint32_t n_timed, cap_timed;
    Repeat repeats[MOST_REPEATS]; /* a ring: new ones take the place of the oldest */
    uint64_t n_repeats;
    bool said_no_time, said_clock, said_serial;
    char **missing; /* names that have been printed */
    uint32_t n_missing;
} Gpu;

/* Takes the lock and starts the GPU if need be. */
Gpu *gpu_enter(void);
/* The same before the model is chosen, which what programs register before main decides. */
Gpu *gpu_enter_early(void);
/* Gives the lock back; hands `e` through. */
GpuError gpu_leave(GpuError e);

/* ---- options.c ---- */
void options_read(ExecOptions *o);

/* ---- gpu.c ---- */
/* Standard error, each line begun with "rao exec: ". */
void gpu_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Prints an error of the simulated program or of its code with its PTX line, and tells `rao exec`.
 * A deadlock ends the process with 4. m: whose text the place is in, or NULL. Returns what the call
 * returns; a fault becomes sticky. */
GpuError gpu_report(Gpu *g, const GpuModule *m, const Code *code, const Err *err);
void gpu_note_status(const Gpu *g, RaoStatus status);
/* Zeroed; no memory ends the process. */
void *gpu_alloc(size_t bytes);
/* FNV-1a, begun with GPU_HASH_START. */
#define GPU_HASH_START 0xcbf29ce484222325u
uint64_t gpu_hash(uint64_t h, const void *data, size_t n);
/* Room for one more than n elements. */
void *gpu_grow(void *list, uint32_t n, uint32_t *cap, size_t elem);

/* ---- memory.c ---- */
/* Host pointer to the bytes of a box of an operation; NULL: not wholly in one allocation. Plain
 * host memory is taken at its word. */
uint8_t *memory_at(Gpu *g, uint64_t addr, uint64_t bytes, bool *is_device);
/* Room for the module's .global and .const variables, filled: m->layout. Modules with managed
 * variables get room that the host reaches too. */
bool memory_place_variables(Gpu *g, GpuModule *m, Err *err);
void memory_drop_variables(Gpu *g, GpuModule *m);
GpuError memory_copy(Gpu *g, const GpuCopy *c);
GpuError memory_fill(Gpu *g, const GpuFill *f);

/* ---- image.c ---- */
/* PTX text in an image that suits the target. GPU_NO_BINARY etc. with a message. */
GpuError image_text(Gpu *g, Arena *a, const void *image, const char *name, const char **text,
                    size_t *len);
/* Whether there is PTX for the target ("sm_100a") in a fat binary; other images suit all. */
bool image_suits(const void *image, const char *target);
/* Bytes of an image from its own headers; 0: cannot be told. */
size_t image_bytes(const void *image);
/* Whether what was read from a file, `bytes` long and 0-terminated, is all there. */
bool image_is_whole(const void *image, size_t bytes);

/* ---- module.c ---- */
/* Reads the image if that has not been done. */
GpuError module_read(Gpu *g, GpuModule *m);
/* Parse and lower the kernel if that has not been done. */
GpuError kernel_parse(Gpu *g, GpuKernel *k);
GpuError kernel_lower(Gpu *g, GpuKernel *k, bool clustered, bool checked);
void module_write(Gpu *g, GpuModule *m, const char *folder);

/* ---- stream.c ---- */
GpuError stream_submit(Gpu *g, GpuStream *s, const GpuOp *op);
void op_free(GpuOp *op);
GpuOp op_copy(const GpuOp *op);

/* ---- graph.c ---- */
/* What a stream recorded, behind all that is there. */
void graph_record(GpuGraph *gr, const GpuOp *op);

/* ---- launch.c ---- */
/* Checks a launch and makes it an operation, whose parameters op_free gives back. */
GpuError launch_make(Gpu *g, const GpuLaunch *l, GpuOp *op);
GpuError launch_run(Gpu *g, const LaunchOp *op, GpuStream *s);

/* ---- timing.c ---- */
typedef struct Timing { /* of one launch */
    uint64_t number;    /* of the launch, from 0 */
    bool checked;       /* runs under the checker */
    bool chosen;        /* by --only, --skip, --count */
    bool wanted;        /* it is to be simulated in time */
    bool in_place;      /* by this process, and that is the run */
    int pid, fd;        /* the process that does it and its pipe; pid 0: none */
    uint64_t hash;
    double us;
    uint64_t cycles;
} Timing;
void timing_start(Gpu *g, const LaunchOp *op, Timing *t, KernelRun *k);
/* False, with err set: the run with time failed. */
bool timing_finish(Gpu *g, const LaunchOp *op, Timing *t, KernelRun *k, Err *err);

/* ---- repeat.c ---- */
typedef struct RepeatRun { /* a launch that may be run now */
    uint64_t launch, before[REPEAT_WORDS];
    bool hashed;
    double start;
} RepeatRun;
/* Whether the launch would change nothing, so that it need not be run; else repeat_ran follows the
 * run, if that was without error. */
bool repeat_start(Gpu *g, const LaunchOp *op, const Code *code, RepeatRun *run);
void repeat_ran(Gpu *g, const RepeatRun *run);

/* ---- reach.c ---- */
/* Marks what a launch can reach: allocations whose addresses are among its parameters, the module's
 * variables, or the contents of such allocations (at multiples of 8 bytes). reached[i] is of the
 * i-th allocation of g->mem. Returns their bytes. */
uint64_t reach_mark(Gpu *g, const LaunchOp *op, bool **reached);
uint64_t reach_bytes(Gpu *g, const LaunchOp *op);

/* ---- capture.c, write.c ---- */
/* Writes the launch as a bundle that `rao run` repeats. */
void capture_write(Gpu *g, const LaunchOp *op, const Timing *t);
/* "DIR/0003_kernel.ext", or without extension. */
void file_name(char *path, size_t n, const char *dir, const LaunchOp *op, uint64_t number,
               const char *ext);
void report_write(Gpu *g, const LaunchOp *op, const Timing *t, const KernelRun *k,
                  const KernelTime *kt, const Err *err);
/* A launch that took the time of an earlier one. */
/* DIR/0003_name.json of a launch that ran under the checker. */
void report_checked(Gpu *g, const LaunchOp *op, const Timing *t, const KernelRun *k,
                    const Checker *c, const RunStats *run, const Err *err);
void report_repeat(Gpu *g, const LaunchOp *op, const Timing *t, const Timed *known);

#endif
