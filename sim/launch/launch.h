/* Launch files (docs: README "A launch file"): what to run, with which tensors, and what must come
 * out. Strict YAML: unknown, missing, repeated keys are errors with file:line:col. */
#ifndef RAO_LAUNCH_LAUNCH_H
#define RAO_LAUNCH_LAUNCH_H

#include "isa/isa.h"
#include "sim/func/mem.h"

typedef enum InitKind { INIT_ZEROS, INIT_POISON, INIT_NORMAL, INIT_UNIFORM, INIT_FILE } InitKind;

typedef struct Tensor {
    const char *name;
    PtxType dtype; /* T_BF16, T_F16, T_F32, T_F64, T_U8.., T_S8.. , T_E4M3, T_E5M2 */
    uint32_t elem_bytes;
    uint64_t shape[8];
    uint32_t rank;
    uint64_t elems, bytes;
    InitKind init;
    uint64_t seed;
    double std, lo, hi;
    const char *file; /* .npy, path resolved against the launch file */
    uint64_t wanted;  /* `address`: where it must lie; 0: anywhere */
    uint64_t addr;    /* device address after launch_alloc */
    Loc loc;
} Tensor;

typedef enum ArgKind { ARG_TENSOR, ARG_SCALAR, ARG_TENSORMAP, ARG_BYTES } ArgKind;
typedef struct ArgPointer {
    uint32_t at;
    int32_t tensor;
    uint64_t offset;
} ArgPointer;
typedef struct Arg {
    ArgKind kind;
    int32_t tensor;        /* TENSOR, TENSORMAP */
    PtxType type;          /* SCALAR */
    uint8_t bytes[16];     /* SCALAR: little-endian value */
    struct TensorMap *map; /* TENSORMAP (isa/bits.h), address filled by launch_alloc */
    uint8_t *blob;         /* BYTES */
    uint32_t blob_bytes;
    ArgPointer *pointers;
    uint32_t n_pointers;
    Loc loc;
} Arg;

typedef enum RefKind {
    REF_ATTENTION,
    REF_ATTENTION_LSE,
    REF_ATTENTION_BWD,
    REF_MATMUL,
    REF_SOFTMAX,
    REF_FILE
} RefKind;
typedef struct Check {
    int32_t tensor; /* what is compared */
    RefKind ref;
    int32_t in[6]; /* attention: q k v do lse; matmul: a b; softmax: x */
    bool causal, transpose_b;
    double scale, max_rel_err;
    const char *file;
    Loc loc;
} Check;

typedef struct Role {
    const char *name;
    uint64_t warps; /* bit per warp */
} Role;

typedef struct KernelLaunch {
    const char *ptx;    /* path resolved against the launch file */
    const char *kernel; /* or NULL: the module's only entry */
    uint32_t grid[3], block[3], cluster[3];
    uint32_t shared;  /* dynamic shared memory, bytes */
    bool cooperative; /* its CTAs wait for each other: all are resident at once */
    Arg *args;
    uint32_t n_args;
    const Tensor *variables[2]; /* the images of the module's .global and .const variables; NULL:
                                   made from their initial values */
    Role *roles; /* in the file's order; every warp is in exactly one (rest: role "other") */
    uint32_t n_roles;
    double flops; /* 0 = not given */
    Loc loc;
} KernelLaunch;

typedef struct Launch {
    const char *path;
    Tensor *tensors;
    uint32_t n_tensors;
    KernelLaunch *launches;
    uint32_t n_launches;
    Check *checks;
    uint32_t n_checks;
} Launch;

/* Reads and checks a launch file (not the PTX). Grid and block of zero, a tensor map that does not
 * fit its tensor, shared memory beyond 227 KB are errors here. */
bool launch_load(Arena *a, const char *path, Launch **out, Err *err);

/* The same from text in memory; `path` is for messages and the folder of relative paths. */
bool launch_parse_text(Arena *a, const char *path, const char *text, size_t len, Launch **out,
                       Err *err);

/* Allocates all tensors in `m` and fills them (files are read here). Random values: counter-based
 * generator, so that element i does not depend on how many threads fill. */
bool launch_alloc(Arena *a, Launch *l, GlobalMem *m, Err *err);

/* Builds the parameter buffer of a kernel (f->param_bytes) from the args; checks number, sizes and
 * alignment of args against the kernel's .param list. */
bool launch_params(Arena *a, const Launch *l, const KernelLaunch *k, const Module *m, const Func *f,
                   const GlobalMem *mem, uint8_t **params, Err *err);

typedef struct CheckResult {
    const char *tensor, *reference;
    double
        rel_err; /* ||out - ref|| / ||ref|| over the compared elements; NaN if any element is NaN */
    double max_rel_err;
    double share; /* compared elements / all elements */
    uint64_t n_nan;
    bool pass;
} CheckResult;

/* Runs every check of the launch file on the tensors in memory. partial: the run did not cover the
 * whole grid; then rows that still hold poison are left out and share says so (0 compared = fail).
 * threads: host threads. */
bool launch_check(Arena *a, const Launch *l, const GlobalMem *mem, bool partial, uint32_t threads,
                  CheckResult **out, Err *err);

#endif
