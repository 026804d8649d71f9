/* What each verb does, over the library. Standard output is data, standard error is messages. */
#include "sim/cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/func/mem.h"
#include "sim/lower/code.h"
#include "sim/model/model.h"
#include "sim/time/time.h"
#include "sim/trace/trace.h"

static int fail(const Err *err)
{
    err_print(stderr, err);
    return err->kind == ERR_DEADLOCK ? RAO_DEADLOCK
           : err->kind == ERR_FAULT  ? RAO_FAULT
                                     : RAO_BAD_INPUT;
}

/* The whole text or nothing: written beside the target, then renamed; a device or a pipe is itself
 * written. */
static bool write_whole(const char *path, const char *text)
{
    char tmp[4096];
    struct stat st;
    bool special = stat(path, &st) == 0 && !S_ISREG(st.st_mode);
    int n = special ? snprintf(tmp, sizeof tmp, "%s", path)
                    : snprintf(tmp, sizeof tmp, "%s.tmp.%ld", path, (long)getpid());
    if ((size_t)n >= sizeof tmp) {
        errno = ENAMETOOLONG;
        return false;
    }
    FILE *f = fopen(tmp, "w");
    if (!f)
        return false;
    bool ok = fputs(text, f) >= 0 && fputc('\n', f) != EOF;
    ok = fclose(f) == 0 && ok && (special || rename(tmp, path) == 0);
    if (!ok && !special) {
        int why = errno;
        remove(tmp);
        errno = why;
    }
    return ok;
}

static int show(const Args *a, RaoResult *r)
{
    int rc = (int)rao_status(r);
    fputs(rao_error(r), stderr);
    bool bad_file = rc == RAO_BAD_INPUT;
    if (a->json && !bad_file) {
        const char *text = rao_json(r);
        if (strcmp(a->json, "-") == 0)
            puts(text);
        else if (!write_whole(a->json, text)) {
            fprintf(stderr, "rao: error: cannot write %s: %s\n", a->json, strerror(errno));
            rc = rc ? rc : RAO_BAD_INPUT;
        }
    }
    if (!bad_file && !(a->json && strcmp(a->json, "-") == 0))
        rao_print(r, stdout);
    rao_free(r);
    return rc;
}

int verb_run(const Args *a)
{
    return show(a, rao_run(a->operand[0], &a->opt));
}
int verb_check(const Args *a)
{
    RaoOptions opt = a->opt;
    opt.check = true;
    return show(a, rao_run(a->operand[0], &opt));
}
int verb_replay(const Args *a)
{
    return show(a, rao_replay(a->operand[0], &a->opt));
}

int verb_trace(const Args *a)
{
    Arena arena = {0};
    Err err = {0};
    Trace *t;
    Model model;
    SimResult *sim;
    int rc = RAO_OK;
    TraceFilter filter = {.cta = a->cta,
                          .warps = a->warp >= 0 ? (uint64_t)1 << a->warp : ~(uint64_t)0,
                          .first = a->first_cycle,
                          .last = a->last_cycle};
    if (!trace_read(&arena, a->operand[0], &t, &err)) {
        rc = fail(&err);
    } else {
        const TraceHeader *h = trace_header(t);
        bool found = !a->role;
        for (uint32_t i = 0; a->role && i < h->n_roles; i++)
            if (strcmp(h->roles[i].name, a->role) == 0) {
                filter.warps &= h->roles[i].warps;
                found = true;
            }
        if (!found)
            rc = usage_error("the trace has no role '%s'", a->role);
        bool ok = found && model_load(&arena, a->opt.model ? a->opt.model : h->model, &model, &err);
        for (size_t i = 0; ok && i < a->opt.n_set; i++)
            ok = model_set(&model, a->opt.set[i], &err);
        SimDesc d = {.model = &model,
                     .sms = h->sms,
                     .shared_per_cta = h->shared_per_cta,
                     .regs_per_thread = h->regs_per_thread};
        if (ok) {
            d.front = trace_printer(&arena, trace_front(&arena, t), t, stdout, &filter);
            ok = sim_run(&arena, &d, &sim, NULL, &err);
        }
        if (found && !ok)
            rc = fail(&err);
    }
    arena_free(&arena);
    return rc;
}

/* Lowers the kernels of a PTX file and prints them. */
static int print_lowered(const Args *a)
{
    Arena arena = {0};
    Err err = {0};
    Module *m;
    Model model;
    CodeLayout layout = {.global_base = GLOBAL_BASE,
                         .const_base = GLOBAL_BASE,
                         .param_window = PARAM_WINDOW,
                         .local_window = LOCAL_WINDOW,
                         .shared_window = SHARED_WINDOW,
                         .code_window = CODE_WINDOW};
    int rc = RAO_OK;
    if (!model_load(&arena, a->opt.model ? a->opt.model : "b200", &model, &err) ||
        !isa_parse_file(&arena, a->lower, &m, &err)) {
        rc = fail(&err);
    } else {
        for (uint32_t i = 0; i < m->n_funcs && rc == RAO_OK; i++) {
            Code *code;
            if (!m->funcs[i].is_entry)
                continue;
            if (code_lower(&arena, m, &m->funcs[i], &layout, &model, &code, &err))
                code_print(stdout, code);
            else
                rc = fail(&err);
        }
    }
    arena_free(&arena);
    return rc;
}

int verb_isa(const Args *a)
{
    if (a->lower)
        return print_lowered(a);
    if (a->unsupported) {
        isa_list_unsupported(stdout);
        return RAO_OK;
    }
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f)
        return RAO_INTERNAL;
    isa_list(f, a->n_operands ? a->operand[0] : NULL);
    fclose(f);
    fputs(text, stdout);
    free(text);
    return n ? RAO_OK : usage_error("no PTX form begins with '%s'", a->operand[0]);
}

int verb_models(const Args *a)
{
    Arena arena = {0};
    Err err = {0};
    Model m;
    bool ok = model_load(&arena, a->n_operands ? a->operand[0] : "b200", &m, &err);
    for (size_t i = 0; ok && i < a->opt.n_set; i++)
        ok = model_set(&m, a->opt.set[i], &err);
    if (ok) {
        printf("key\tvalue\tunit\tstatus\tmeaning\tsource\n");
        for (int i = 0; i < MP_COUNT; i++)
            printf("%s\t%g\t%s\t%s\t%s\t%s\n", param_info[i].key, m.v[i], param_info[i].unit,
                   param_status_name[m.status[i]], param_info[i].meaning, m.source[i]);
    }
    int rc = ok ? RAO_OK : fail(&err);
    arena_free(&arena);
    return rc;
}
