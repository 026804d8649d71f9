/* The report: what a person (text) or a program (JSON) reads after a run. Takes results, adds no
 * physics: every figure is a count of the time core, a model parameter, or a quotient of such. */
#ifndef RAO_REPORT_REPORT_H
#define RAO_REPORT_REPORT_H

#include "sim/check/check.h"
#include "sim/func/exec.h"
#include "sim/launch/launch.h"
#include "sim/time/time.h"

typedef struct ReportRole {
    const char *name;
    uint64_t warps; /* bit per warp of the CTA */
} ReportRole;

typedef struct KernelReport {
    const char *kernel;
    uint32_t grid[3], block[3], cluster[3];
    double flops;
    ReportRole *roles; /* every warp in exactly one */
    uint32_t n_roles;
    const Code *code;
    const SimResult *sim; /* NULL: functional run, or it did not finish */
    RunStats run;         /* functional run */
} KernelReport;

typedef struct ReportOutput { /* a tensor that the kernel fills: its bytes, to compare two runs by
                               */
    const char *name;
    uint64_t hash;
} ReportOutput;

typedef struct Report {
    const char *source; /* launch file or trace */
    const Model *model;
    KernelReport *kernels;
    uint32_t n_kernels;
    const CheckResult *checks;
    uint32_t n_checks;
    bool checked;
    ReportOutput *outputs;
    uint32_t n_outputs;
    Cycle recorded_cycles; /* replay: what the recording run took; else 0 */
    const char *recorded_model;
    double host_seconds, run_seconds; /* all; executing and timing alone */
    const Err *err;                   /* NULL or ERR_NONE: it ran */
    const Deadlock *dead;             /* NULL: none */
    const Checker *checker;           /* NULL: nobody looked for races and misuse */
} Report;

void report_text(FILE *out, const Report *r);
/* JSON text, schema rao.run/1, malloc'd. */
char *report_json(const Report *r);

/* The deadlock by roles, in the grammar of docs/check.md. */
void report_deadlock(FILE *out, const KernelReport *k, const Deadlock *d);

/* What both print. Times in cycles of the whole grid. */
typedef struct Verdict {
    Unit limit, second; /* by only_limit */
    double clock_ghz, time_us, tflops, peak_tflops, pct_of_peak;
    double steps;           /* of the main loop, over all simulated SMs; 0: no loop found */
    uint32_t step_line;     /* PTX line of that loop's first instruction */
    double cycles_per_step; /* per SM */
    double step_mmas;       /* MMA instructions in one trip */
    char text[1536];        /* the verdict in sentences */
} Verdict;
void report_verdict(const Report *r, const KernelReport *k, Verdict *v);

/* Sums over the launches that have been timed. */
typedef struct Total {
    uint64_t cycles;
    double time_us, flops, tflops;
} Total;
Total report_total(const Report *r);

/* Sum over the warps of a role. */
WarpStat report_role(const KernelReport *k, const ReportRole *role);

/* "mbarrier smem+0x410" or "barrier 3": text for a WaitStat's object. */
void report_sync_name(uint32_t sync, char *text, size_t n);

/* Role whose warps are in the mask, e.g. "mma", or "softmax0, softmax1". */
void report_roles_of(const KernelReport *k, uint32_t warps, char *text, size_t n);

#endif
