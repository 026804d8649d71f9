/* Inside of the command: one table of verbs, one table of options; help, parsing and errors come
 * from them. */
#ifndef RAO_CLI_CLI_H
#define RAO_CLI_CLI_H

#include "sim/api/rao.h"

#define MAX_SETS 64

typedef struct ExecArgs { /* rao exec */
    bool time, check;
    const char *report, *capture; /* folders */
    const char *only;             /* regular expression */
    uint64_t skip, count;
    char **command; /* the program and its arguments, ended by NULL */
} ExecArgs;

typedef struct Args {
    RaoOptions opt;
    ExecArgs exec;
    const char *sets[MAX_SETS];
    const char *json; /* file or "-" */
    const char *operand[8];
    int n_operands;
    const char *role;
    int64_t cta, warp;
    uint64_t first_cycle, last_cycle;
    const char *lower; /* rao isa --lower FILE */
    bool unsupported;  /* rao isa --unsupported */
    bool all_cores;
    char command[1024]; /* as typed, for provenance */
} Args;

typedef int VerbFn(const Args *a);
VerbFn verb_run, verb_check, verb_replay, verb_trace, verb_isa, verb_models, verb_bench, verb_exec;

/* Prints "rao: error: ..." to standard error and returns the usage exit code. */
int usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
