/* The command line: words into an Args, then one verb. */
#include "sim/cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    V_RUN = 1,
    V_REPLAY = 2,
    V_TRACE = 4,
    V_ISA = 8,
    V_MODELS = 16,
    V_BENCH = 32,
    V_CHECK = 64,
    V_EXEC = 128
};

typedef struct Verb {
    const char *name, *operands, *help;
    unsigned bit;
    int min, max; /* operands */
    VerbFn *fn;
} Verb;

static const Verb verbs[] = {
    {"run", "LAUNCH.yaml", "run a kernel: numbers, time, and what limits it", V_RUN, 1, 1,
     verb_run},
    {"check", "LAUNCH.yaml", "look for hangs, races and misuse; exit code 7 if there are any",
     V_CHECK, 1, 1, verb_check},
    {"exec", "-- PROGRAM ...", "run an unmodified CUDA program on the simulated GPU", V_EXEC, 0, 0,
     verb_exec},
    {"replay", "TRACE.rtrace", "time a recorded run again, on this or another model", V_REPLAY, 1,
     1, verb_replay},
    {"trace", "TRACE.rtrace", "print a trace as text, one operation a line, by cycle", V_TRACE, 1,
     1, verb_trace},
    {"isa", "[MNEMONIC]", "list the PTX forms that are supported", V_ISA, 0, 1, verb_isa},
    {"models", "[NAME]", "list the parameters of a model with value, status and source", V_MODELS,
     0, 1, verb_models},
    {"bench", "", "measure how fast this program is on this machine", V_BENCH, 0, 0, verb_bench},
};

typedef enum OptId {
    O_MODEL,
    O_SET,
    O_SMS,
    O_FUNCTIONAL,
    O_NO_CHECK,
    O_MMA,
    O_THREADS,
    O_RECORD,
    O_JSON,
    O_STRICT,
    O_CTA,
    O_WARP,
    O_ROLE,
    O_CYCLES,
    O_UNSUPPORTED,
    O_LOWER,
    O_SUPPRESSIONS,
    O_PRINT_LIMIT,
    O_TIME,
    O_CHECK,
    O_REPORT,
    O_CAPTURE,
    O_ONLY,
    O_SKIP,
    O_LAUNCHES,
    O_COUNT
} OptId;

typedef struct Opt {
    const char *name, *arg, *help;
    unsigned verbs;
} Opt;

static const Opt opts[O_COUNT] = {
    [O_MODEL] = {"--model", "NAME|FILE", "machine model (default b200; replay: the recorded one)",
                 V_RUN | V_REPLAY | V_TRACE | V_BENCH | V_ISA | V_EXEC},
    [O_SET] = {"--set", "KEY=VALUE", "override one model parameter; may be given often",
               V_RUN | V_REPLAY | V_TRACE | V_MODELS | V_EXEC},
    [O_SMS] = {"--sms", "N|all", "SMs simulated in detail (default: what is representative)",
               V_RUN | V_REPLAY | V_EXEC},
    [O_FUNCTIONAL] = {"--functional", NULL, "numbers only, no time", V_RUN},
    [O_NO_CHECK] = {"--no-check", NULL, "skip the launch file's checks", V_RUN | V_CHECK},
    [O_MMA] = {"--mma", "fp32|hw",
               "tensor-core sums: plain fp32 (default) or truncated as the hardware does",
               V_RUN | V_CHECK | V_EXEC},
    [O_THREADS] = {"--threads", "N", "host threads (default: all)", V_RUN | V_EXEC},
    [O_RECORD] = {"--record", "FILE.rtrace", "write what the time core consumed", V_RUN},
    [O_JSON] = {"--json", "FILE|-",
                "write the report as JSON (schema rao.run/1); - is standard output",
                V_RUN | V_REPLAY | V_CHECK},
    [O_STRICT] = {"--strict", NULL, "warnings are errors", V_RUN | V_REPLAY},
    [O_CTA] = {"--cta", "N", "only this CTA", V_TRACE},
    [O_WARP] = {"--warp", "N", "only this warp", V_TRACE},
    [O_ROLE] = {"--role", "NAME", "only this role's warps", V_TRACE},
    [O_CYCLES] = {"--cycles", "A:B", "only cycles A to B", V_TRACE},
    [O_SUPPRESSIONS] = {"--suppressions", "FILE", "findings not to be shown (docs/check.md)",
                        V_CHECK | V_EXEC},
    [O_PRINT_LIMIT] = {"--print-limit", "N", "findings printed (default 100)", V_CHECK | V_EXEC},
    [O_TIME] = {"--time", NULL, "simulate the launches in time too; events give simulated time",
                V_EXEC},
    [O_CHECK] = {"--check", NULL, "look for races and misuse in the launches, as rao check",
                 V_EXEC},
    [O_REPORT] = {"--report", "DIR",
                  "write a report and JSON for each launch; without --check as --time", V_EXEC},
    [O_CAPTURE] = {"--capture", "DIR", "write each launch as a bundle that rao run repeats",
                   V_EXEC},
    [O_ONLY] = {"--only", "REGEX", "time, check, report and capture only kernels of such a name",
                V_EXEC},
    [O_SKIP] = {"--skip", "N", "not the first N launches of those", V_EXEC},
    [O_LAUNCHES] = {"--count", "N", "at most N launches of those", V_EXEC},
    [O_UNSUPPORTED] = {"--unsupported", NULL, "list what is refused, and why", V_ISA},
    [O_LOWER] = {"--lower", "FILE.ptx", "print a kernel as lowered to machine operations", V_ISA},
};

int usage_error(const char *fmt, ...)
{
    va_list ap;
    fputs("rao: error: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputs("\nTry: rao --help\n", stderr);
    return RAO_USAGE;
}

static void print_verb_help(FILE *out, const Verb *v)
{
    fprintf(out, "rao %s %s\n    %s\n\n", v->name, v->operands, v->help);
    for (int i = 0; i < O_COUNT; i++) {
        char left[40];
        if (!(opts[i].verbs & v->bit))
            continue;
        snprintf(left, sizeof left, "%s %s", opts[i].name, opts[i].arg ? opts[i].arg : "");
        fprintf(out, "    %-24s %s\n", left, opts[i].help);
    }
}

static int print_help(void)
{
    puts("rao " RAO_VERSION ": runs Blackwell kernels without a Blackwell\n");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        printf("    rao %-7s %-14s %s\n", verbs[i].name, verbs[i].operands, verbs[i].help);
    puts("\n    rao VERB --help      options of a verb\n    rao --version\n\n"
         "Example:\n    rao run kernels/fa4_fwd/hd128_s1024.yaml --set "
         "mufu.ex2.lanes_per_cycle=32\n\n"
         "Exit codes: 0 good, 1 internal fault, 2 usage, 3 a check failed, 4 deadlock,\n"
         "5 fault of the simulated program, 6 bad input file or unsupported instruction, 7 race or "
         "misuse.");
    return RAO_OK;
}

static bool parse_uint(const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || v > max)
        return false;
    *out = v;
    return true;
}

static bool parse_cycles(const char *text, Args *a)
{
    char low[32];
    const char *colon = strchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof low)
        return false;
    memcpy(low, text, (size_t)(colon - text));
    low[colon - text] = 0;
    a->first_cycle = 0;
    a->last_cycle = UINT64_MAX;
    return (!*low || parse_uint(low, UINT64_MAX, &a->first_cycle)) &&
           (!colon[1] || parse_uint(colon + 1, UINT64_MAX, &a->last_cycle));
}

static bool set_exec_option(ExecArgs *x, OptId id, const char *value)
{
    switch ((int)id) {
    case O_TIME:
        x->time = true;
        return true;
    case O_CHECK:
        x->check = true;
        return true;
    case O_REPORT:
        x->report = value;
        return *value;
    case O_CAPTURE:
        x->capture = value;
        return *value;
    case O_ONLY:
        x->only = value;
        return *value;
    case O_SKIP:
        return parse_uint(value, UINT64_MAX - 1, &x->skip);
    default:
        return parse_uint(value, UINT64_MAX - 1, &x->count);
    }
}

static bool set_option(Args *a, OptId id, const char *value)
{
    uint64_t n = 0;
    bool ok = true;
    switch (id) {
    case O_MODEL:
        a->opt.model = value;
        break;
    case O_SET:
        ok = a->opt.n_set < MAX_SETS && strchr(value, '=');
        if (ok)
            a->sets[a->opt.n_set++] = value;
        break;
    case O_SMS:
        ok = strcmp(value, "all") == 0 || (parse_uint(value, 1u << 20, &n) && n > 0);
        a->opt.sms = n ? (uint32_t)n : RAO_SMS_ALL;
        break;
    case O_FUNCTIONAL:
        a->opt.functional = true;
        break;
    case O_NO_CHECK:
        a->opt.no_check = true;
        break;
    case O_MMA:
        ok = strcmp(value, "fp32") == 0 || strcmp(value, "hw") == 0;
        a->opt.mma_hw = strcmp(value, "hw") == 0;
        break;
    case O_THREADS:
        ok = parse_uint(value, 256, &n) && n > 0;
        a->opt.threads = (uint32_t)n;
        break;
    case O_RECORD:
        a->opt.record = value;
        break;
    case O_JSON:
        a->json = value;
        break;
    case O_STRICT:
        a->opt.strict = true;
        break;
    case O_CTA:
        ok = parse_uint(value, INT32_MAX, &n);
        a->cta = (int64_t)n;
        break;
    case O_WARP:
        ok = parse_uint(value, 63, &n);
        a->warp = (int64_t)n;
        break;
    case O_ROLE:
        a->role = value;
        break;
    case O_CYCLES:
        ok = parse_cycles(value, a);
        break;
    case O_UNSUPPORTED:
        a->unsupported = true;
        break;
    case O_LOWER:
        a->lower = value;
        break;
    case O_SUPPRESSIONS:
        a->opt.suppressions = value;
        break;
    case O_PRINT_LIMIT:
        ok = parse_uint(value, UINT32_MAX, &n);
        a->opt.print_limit = (uint32_t)n;
        break;
    case O_TIME:
    case O_CHECK:
    case O_REPORT:
    case O_CAPTURE:
    case O_ONLY:
    case O_SKIP:
    case O_LAUNCHES:
        return set_exec_option(&a->exec, id, value);
    case O_COUNT:
        break;
    }
    return ok;
}

/* One "--name", "--name=value" or "--name value"; *i moves past what was used. */
static int parse_option(const Verb *v, Args *a, int argc, char **argv, int *i)
{
    const char *word = argv[*i], *eq = strchr(word, '=');
    size_t len = eq ? (size_t)(eq - word) : strlen(word);
    for (int k = 0; k < O_COUNT; k++) {
        if (strlen(opts[k].name) != len || strncmp(opts[k].name, word, len) != 0)
            continue;
        if (!(opts[k].verbs & v->bit))
            return usage_error("'rao %s' has no option %s", v->name, opts[k].name);
        const char *value = NULL;
        if (opts[k].arg)
            value = eq ? eq + 1 : *i + 1 < argc ? argv[++*i] : NULL;
        if (opts[k].arg ? !value : !!eq)
            return usage_error("%s takes %s", opts[k].name, opts[k].arg ? opts[k].arg : "no value");
        if (!set_option(a, (OptId)k, value))
            return usage_error("%s: '%s' is not %s", opts[k].name, value, opts[k].arg);
        return RAO_OK;
    }
    fputs("rao: options of this verb:", stderr);
    for (int k = 0; k < O_COUNT; k++)
        if (opts[k].verbs & v->bit)
            fprintf(stderr, " %s", opts[k].name);
    fputc('\n', stderr);
    return usage_error("unknown option '%s'", word);
}

static void remember_command(Args *a, int argc, char **argv)
{
    size_t n = (size_t)snprintf(a->command, sizeof a->command, "rao");
    for (int i = 1; i < argc && n < sizeof a->command; i++)
        n += (size_t)snprintf(a->command + n, sizeof a->command - n, " %s", argv[i]);
    a->opt.command = a->command;
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
        return argc < 2 ? (print_help(), RAO_USAGE) : print_help();
    if (strcmp(argv[1], "--version") == 0)
        return puts("rao " RAO_VERSION) < 0 ? RAO_INTERNAL : RAO_OK;
    const Verb *v = NULL;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs && !v; i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            v = &verbs[i];
    if (!v)
        return usage_error("there is no verb '%s'; the verbs are run, replay, check, exec, trace, "
                           "isa, models, bench",
                           argv[1]);
    static Args a;
    a.cta = a.warp = -1;
    a.last_cycle = UINT64_MAX;
    a.opt.print_limit = 100;
    a.opt.set = a.sets;
    a.exec.count = UINT64_MAX;
    for (int i = 2; i < argc && !a.exec.command; i++) {
        if (v->bit == V_EXEC && (strcmp(argv[i], "--") == 0 || argv[i][0] != '-')) {
            a.exec.command = argv + i + (argv[i][0] == '-'); /* all the rest is the program's */
        } else if (strcmp(argv[i], "--help") == 0) {
            print_verb_help(stdout, v);
            return RAO_OK;
        } else if (argv[i][0] == '-' && argv[i][1]) {
            int rc = parse_option(v, &a, argc, argv, &i);
            if (rc != RAO_OK)
                return rc;
        } else if (a.n_operands < v->max) {
            a.operand[a.n_operands++] = argv[i];
        } else {
            return usage_error("'%s' is one word too many", argv[i]);
        }
    }
    if (a.n_operands < v->min)
        return usage_error("rao %s needs %s", v->name, v->operands);
    remember_command(&a, argc, argv);
    int rc = v->fn(&a);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "rao: error: cannot write to standard output: %s\n", strerror(errno));
        rc = rc != RAO_OK ? rc : RAO_INTERNAL;
    }
    return rc;
}
