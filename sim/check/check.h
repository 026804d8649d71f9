/* The checker: finds races, misuse and uninitialised reads in a kernel that runs without time.
 *
 *     Checker *k = checker_new(&opt, &err);
 *     desc.probe = checker_launch(k, &launch);     ... exec_run(&desc) ...
 *     checker_end(k, &err, &stats.dead);           for each launch
 *     checker_print(k, stdout);
 *     checker_free(k);
 *
 * Happens-before by vector clocks (research/ptx.md 6.1), so that one schedule stands for all that
 * have the same synchronisation: docs/check.md says what is found and what cannot be. Knows nothing
 * of launch files, so that any caller of exec_run can use it. One checker, one thread. */
#ifndef RAO_CHECK_CHECK_H
#define RAO_CHECK_CHECK_H

#include "sim/func/exec.h"

typedef enum FindingKind {
#define KIND(id, name, text) FK_##id,
#include "sim/check/kinds.def"
#undef KIND
    FK_COUNT
} FindingKind;
extern const char *const finding_name[FK_COUNT];
extern const char *const finding_text[FK_COUNT];

typedef struct CheckOptions {
    const char *suppressions; /* file, or NULL */
    uint32_t print_limit;     /* findings printed; 0: all */
} CheckOptions;

typedef struct CheckRole {
    const char *name;
    uint64_t warps; /* bit per warp */
} CheckRole;

typedef struct CheckLaunch { /* strings and arrays are copied */
    const Code *code;
    const char *kernel;
    const CheckRole *roles;
    uint32_t n_roles;
    uint32_t regs_per_thread; /* at launch, for setmaxnreg; 0: unknown */
} CheckLaunch;

/* One party of a finding. */
typedef struct FindingSite {
    const char *what; /* the instruction: "tcgen05.mma", "st.shared.u32" ... */
    const char *role; /* or NULL */
    uint32_t cta[3], warp;
    int32_t lane;     /* -1: not one lane */
    const char *file; /* PTX */
    uint32_t line;
    const char *src_file; /* by .loc, or NULL */
    uint32_t src_line;
} FindingSite;

typedef struct Finding {
    FindingKind kind;
    const char *kernel;
    FindingSite at, other; /* other.what NULL: there is no second party */
    const char *object;    /* "shared full+0x8 (0x410)", "TMEM columns 0-7, lanes 32-63" or NULL */
    const char *detail;    /* a sentence, or NULL */
    uint64_t count;        /* how often */
    bool warning;          /* works on hardware as it is: no error */
    bool suppressed;
} Finding;

typedef struct Checker Checker;

/* ERR_IO, ERR_SYNTAX: the suppression file; err names it by the pointer in o. */
Checker *checker_new(const CheckOptions *o, Err *err);
void checker_free(Checker *k);

/* Prepares for a launch; the observer for ExecDesc.probe, valid until checker_end. */
Probe *checker_launch(Checker *k, const CheckLaunch *l);

/* The launch has ended: err is what exec_run said (ERR_NONE: it ran). A fault becomes a finding and
 * is taken out of err; other errors stay. */
void checker_end(Checker *k, Err *err);

uint32_t checker_errors(const Checker *k);   /* not suppressed, no warnings */
uint32_t checker_warnings(const Checker *k); /* not suppressed */
uint32_t checker_suppressed(const Checker *k);
const Finding *checker_finding(const Checker *k, uint32_t i); /* in order of discovery, all */
uint32_t checker_total(const Checker *k);

/* Findings and the summary line in the manner of compute-sanitizer: users.md 2.6. */
void checker_print(const Checker *k, FILE *out);
void finding_print(const Finding *f, FILE *out);

#endif
