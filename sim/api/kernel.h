/* One launch from lowered code to result: what a launch file (run.c) and a CUDA program (sim/cuda)
 * have in common. */
#ifndef RAO_API_KERNEL_H
#define RAO_API_KERNEL_H

#include "sim/report/report.h"
#include "sim/trace/trace.h"

typedef struct LaunchDesc { /* borrowed until the launch has run */
    const Model *model;
    const Code *code;
    GlobalMem *mem;
    const uint8_t *params; /* param_bytes of the kernel */
    uint32_t grid[3], block[3];
    uint32_t cluster[3]; /* [0] = 0: the kernel's own, or 1 */
    uint32_t shared;     /* dynamic shared memory, bytes */
    uint32_t sms;        /* SMs simulated in detail: SMS_AUTO, SMS_ALL or a number */
    bool mma_hw;         /* see ExecDesc */
    uint64_t workspace;  /* see ExecDesc: of a cooperative launch, else 0 */
    uint64_t footprint;  /* bytes of global memory that the kernel can reach; 0: all of `mem` */
} LaunchDesc;

typedef struct KernelRun { /* one launch, ready to run */
    ExecDesc exec;
    SimDesc sim;
} KernelRun;

/* Seconds on the host's clock, from any start. */
double host_seconds(void);

/* Host threads to run on: as asked, 0: one for each processor. */
uint32_t host_threads(uint32_t asked);

/* The cluster of a launch: as asked for, else the kernel's own, else 1. */
void kernel_cluster(const Func *f, const uint32_t asked[3], uint32_t cluster[3]);

/* Registers that a launch allocates per thread. */
uint32_t kernel_regs(const Model *model, const Code *code, const uint32_t block[3]);

/* Room for a cooperative launch's workspace, and the same set for the next launch. 0: no room. */
uint64_t kernel_workspace(GlobalMem *mem);
void kernel_reset_workspace(GlobalMem *mem, uint64_t workspace);

/* Fills in everything that running needs. */
void kernel_prepare(const LaunchDesc *d, KernelRun *k);

/* Runs the whole grid without time on `threads` host threads. Errors as exec_run. */
bool kernel_run(Arena *a, KernelRun *k, uint32_t threads, RunStats *stats, Err *err);

/* What kernel_time gives besides the error. */
typedef struct KernelTime {
    SimResult *sim;
    Deadlock dead;
    double seconds; /* host time of the run proper */
} KernelTime;

/* Runs with time. need_all: an error if the plan would not run every CTA. record: a recorder is
 * left in *rec (recorder_free), NULL: not recorded. Errors as sim_run. */
bool kernel_time(Arena *a, KernelRun *k, bool need_all, Recorder **rec, KernelTime *out, Err *err);

/* Name, shape and roles of the launch into a report; roles: n of them, warps that none names become
 * "other". */
void kernel_report(Arena *a, const KernelRun *k, const Role *roles, uint32_t n, KernelReport *kr);

#endif
