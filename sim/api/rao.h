/* Rao: runs Blackwell kernels without a Blackwell. The public header of librao.
 *
 *     RaoOptions opt = {.model = "b200"};
 *     RaoResult *r = rao_run("kernels/fa4_fwd/hd128_s1024.yaml", &opt);
 *     if (rao_status(r) == RAO_OK)
 *         printf("%.0f cycles, %.1f TFLOP/s\n", rao_cycles(r), rao_tflops(r));
 *     else
 *         fputs(rao_error(r), stderr);
 *     rao_free(r);
 *
 * Every call is self-contained: no global state, so several may run in different threads. Results
 * own everything they return; strings live until rao_free. */
#ifndef RAO_H
#define RAO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Also the exit codes of the command. */
typedef enum RaoStatus {
    RAO_OK = 0,
    RAO_INTERNAL = 1,     /* our own fault */
    RAO_USAGE = 2,        /* bad arguments */
    RAO_CHECK_FAILED = 3, /* the kernel ran, but a check of the launch file does not hold */
    RAO_DEADLOCK = 4,     /* no warp of the kernel can move */
    RAO_FAULT = 5,        /* the kernel did something undefined: bad address, bad descriptor ... */
    RAO_BAD_INPUT = 6,    /* a file cannot be read, is wrong, or needs an unsupported instruction */
    RAO_MISUSE = 7,       /* race or misuse found */
} RaoStatus;

#define RAO_SMS_AUTO 0u /* few SMs stand for all where that is representative */
#define RAO_SMS_ALL UINT32_MAX

typedef struct RaoOptions { /* {0} is a plain run on the B200 */
    const char *model;      /* name or path; NULL: "b200", for a replay the recorded model */
    const char *const *set; /* "key=value" overrides of model parameters */
    size_t n_set;
    uint32_t sms;    /* RAO_SMS_AUTO, RAO_SMS_ALL or a number of SMs simulated in detail */
    bool functional; /* numbers only, no time */
    bool strict;   /* warnings are errors: a run on few SMs of a checked launch must cover the whole
                      grid */
    bool no_check; /* skip the launch file's checks */
    bool mma_hw;   /* tensor-core sums with the hardware's truncation instead of fp32 */
    uint32_t threads;         /* host threads; 0: as many as the host has */
    bool check;               /* look for races and misuse (docs/check.md); implies functional */
    const char *suppressions; /* file for the checker, or NULL */
    uint32_t print_limit;     /* findings that rao_print shows; 0: all */
    const char *record;       /* write a trace here; NULL: none */
    const char *command;      /* remembered in the trace; may be NULL */
} RaoOptions;

typedef struct RaoResult RaoResult;

/* Runs a launch file (docs/launch.md). opt: NULL is {0}. Never returns NULL. */
RaoResult *rao_run(const char *launch, const RaoOptions *opt);

/* Runs a recorded trace; same model and no overrides give exactly the recorded cycles. Never
 * returns NULL. */
RaoResult *rao_replay(const char *trace, const RaoOptions *opt);

RaoStatus rao_status(const RaoResult *r);
/* "file:line:col: error: ..." with the source line and a caret; "" if there is no error. */
const char *rao_error(const RaoResult *r);
double
rao_cycles(const RaoResult *r); /* whole grid; sum over the launches; 0 for a functional run */
double rao_time_us(const RaoResult *r);
double rao_tflops(const RaoResult *r); /* 0 if the launch file gives no flops */
/* How fast this program was. run_seconds: executing and timing only, without reading, filling
 * tensors and checking. */
typedef struct RaoSpeed {
    double seconds, run_seconds;
    uint64_t
        warp_insts; /* timed: machine operations issued; functional: PTX instructions, per warp */
    uint64_t thread_insts; /* functional runs: the same per active thread */
} RaoSpeed;
RaoSpeed rao_speed(const RaoResult *r);
/* The report as text, and as JSON (schema rao.run/1). A result with an error prints what is known.
 */
void rao_print(const RaoResult *r, FILE *out);
const char *rao_json(const RaoResult *r);
void rao_free(RaoResult *r);

#ifdef __cplusplus
}
#endif

#endif
