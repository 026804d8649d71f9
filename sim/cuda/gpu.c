/* The one GPU of the process: start, lock, messages. */
#include "sim/cuda/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* CUDA's interface has no handle for "the GPU": this is the only mutable object of file scope. */
static Gpu the_gpu;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- Errors as numbers and words ---- */

typedef struct ErrorInfo {
    int number;
    const char *runtime, *driver, *text;
} ErrorInfo;
static const ErrorInfo errors[] = {
#define ERROR(id, number, runtime, driver, text) {number, #runtime, #driver, text},
#include "sim/cuda/error.def"
#undef ERROR
};

static const ErrorInfo *find_error(int number)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].number == number)
            return &errors[i];
    return NULL;
}

const char *gpu_error_text(int error)
{
    const ErrorInfo *e = find_error(error);
    return e ? e->text : NULL;
}

const char *gpu_error_runtime_name(int error)
{
    const ErrorInfo *e = find_error(error);
    return e ? e->runtime : NULL;
}

const char *gpu_error_driver_name(int error)
{
    const ErrorInfo *e = find_error(error);
    return e ? e->driver : NULL;
}

/* ---- Messages ---- */

void gpu_say(const char *fmt, ...)
{
    va_list ap;
    fputs("rao exec: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

void gpu_note_status(const Gpu *g, RaoStatus status)
{
    char line[16];
    int fd = g->opt.status ? open(g->opt.status, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    int n = snprintf(line, sizeof line, "%d\n", (int)status);
    if (write(fd, line, (size_t)n) != n)
        gpu_say("cannot write %s: %s", g->opt.status, strerror(errno));
    close(fd);
}

enum { LINE_WIDTH = 160 }; /* of what is shown of a line; tables of a module may be one line */

/* The n-th line of a text, from 1. */
static const char *line_of(const char *text, size_t len, uint32_t n, int *bytes)
{
    const char *p = text, *end = text + len;
    for (uint32_t i = 1; i < n && p < end; i++) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        p = nl ? nl + 1 : end;
    }
    const char *nl = memchr(p, '\n', (size_t)(end - p));
    *bytes = (int)((nl ? nl : end) - p);
    return p;
}

/* Where the source is that the instruction at this line was made from, by .loc. */
static void print_source(const Code *code, uint32_t line)
{
    const Func *f = code->func;
    for (uint32_t i = 0; i < f->n_insns; i++) {
        const Insn *in = &f->insns[i];
        if (in->loc.line != line || in->src_file == 0)
            continue;
        fprintf(stderr, "note: from %s:%u\n", code->module->files[in->src_file], in->src_line);
        return;
    }
}

static void print_error(const GpuModule *m, const Code *code, const Err *err)
{
    const Loc *l = &err->loc;
    if (l->file && l->line && l->col)
        fprintf(stderr, "%s:%u:%u: ", l->file, l->line, l->col);
    else if (l->file && l->line)
        fprintf(stderr, "%s:%u: ", l->file, l->line);
    else if (l->file)
        fprintf(stderr, "%s: ", l->file);
    fprintf(stderr, "error: %s\n", err->msg);
    if (!m || !m->text || !l->line)
        return;
    int n;
    const char *line = line_of(m->text, m->len, l->line, &n);
    int col = l->col ? (int)l->col : 1, skip = col > LINE_WIDTH - 40 ? col - LINE_WIDTH / 2 : 0;
    n = n - skip > LINE_WIDTH ? skip + LINE_WIDTH : n;
    fprintf(stderr, "%5u | ", l->line);
    for (int i = skip; i < n; i++)
        fputc(line[i] == '\t' ? ' ' : line[i], stderr);
    fputc('\n', stderr);
    if (l->col)
        fprintf(stderr, "      | %*s^\n", col - 1 - skip, "");
    if (code)
        print_source(code, l->line);
}

static GpuError fault_code(const Err *err)
{
    switch (err->fault) {
    case FAULT_ADDRESS:
        return GPU_ILLEGAL_ADDRESS;
    case FAULT_ALIGNMENT:
        return GPU_MISALIGNED;
    case FAULT_ASSERT:
        return GPU_ASSERT;
    case FAULT_OTHER:
        break;
    }
    return GPU_LAUNCH_FAILED;
}

GpuError gpu_report(Gpu *g, const GpuModule *m, const Code *code, const Err *err)
{
    fflush(stdout);
    print_error(m, code, err);
    switch (err->kind) {
    case ERR_NONE:
        return GPU_OK;
    case ERR_FAULT:
        gpu_note_status(g, RAO_FAULT);
        return g->sticky = fault_code(err);
    case ERR_DEADLOCK:
        /* On a GPU the program would hang here. */
        gpu_note_status(g, RAO_DEADLOCK);
        fflush(NULL);
        _exit(RAO_DEADLOCK);
    case ERR_UNSUPPORTED:
        gpu_note_status(g, RAO_BAD_INPUT);
        return GPU_NOT_SUPPORTED;
    case ERR_IO:
    case ERR_SYNTAX:
    case ERR_SEMANTIC:
        gpu_note_status(g, RAO_BAD_INPUT);
        return GPU_INVALID_PTX;
    }
    return GPU_UNKNOWN;
}

GpuError gpu_refuse(const char *name, const char *what)
{
    gpu_say("%s: %s is not there", name, what);
    return GPU_NOT_SUPPORTED;
}

GpuError gpu_missing(const char *name)
{
    Gpu *g = gpu_enter();
    for (uint32_t i = 0; i < g->n_missing; i++)
        if (strcmp(g->missing[i], name) == 0)
            return gpu_leave(GPU_NOT_SUPPORTED);
    char **list = realloc(g->missing, (g->n_missing + 1) * sizeof *list);
    if (list) {
        g->missing = list;
        g->missing[g->n_missing++] = arena_str(&g->arena, name, strlen(name));
    }
    gpu_say("%s is not there; it returns cudaErrorNotSupported", name);
    return gpu_leave(GPU_NOT_SUPPORTED);
}

/* ---- Start ---- */

static void *or_die(void *p)
{
    if (!p) {
        gpu_say("out of memory");
        _exit(RAO_INTERNAL);
    }
    return p;
}

void *gpu_grow(void *list, uint32_t n, uint32_t *cap, size_t elem)
{
    if (n < *cap)
        return list;
    *cap = *cap ? *cap * 2 : 16;
    return or_die(realloc(list, *cap * elem));
}

void *gpu_alloc(size_t bytes)
{
    return or_die(calloc(1, bytes ? bytes : 1));
}

uint64_t gpu_hash(uint64_t h, const void *data, size_t n)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

static void make_lock(void)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE); /* callbacks may call back */
    pthread_mutex_init(&the_gpu.lock, &attr);
    pthread_mutexattr_destroy(&attr);
}

/* The model that --model names; without it the one that the program was compiled for. */
static const char *model_name(const Gpu *g)
{
    static const char blackwell[] = "sm_100a", hopper[] = "sm_90a";
    bool only_hopper = false;
    if (g->opt.model)
        return g->opt.model;
    for (const GpuModule *m = g->modules; m; m = m->next) {
        if (image_suits(m->image, blackwell))
            return "b200";
        only_hopper |= image_suits(m->image, hopper);
    }
    if (only_hopper)
        gpu_say("the program's PTX is for %s, not for %s: model h200", hopper, blackwell);
    return only_hopper ? "h200" : "b200";
}

/* Loads the model with its "KEY=VALUE" lines. */
static bool load_model(Gpu *g, Err *err)
{
    if (!model_load(&g->arena, model_name(g), &g->model, err))
        return false;
    char *set = g->opt.set ? arena_str(&g->arena, g->opt.set, strlen(g->opt.set)) : NULL, *rest;
    for (char *s = set ? strtok_r(set, "\n", &rest) : NULL; s; s = strtok_r(NULL, "\n", &rest))
        if (!model_set(&g->model, s, err))
            return false;
    return true;
}

/* So that the host cannot touch a device address: nothing else may be mapped there. */
static void reserve_addresses(void)
{
    uint64_t bytes = UINT64_C(1) << 38;
    void *at = (void *)GLOBAL_BASE;
    void *p = mmap(at, bytes, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (p != MAP_FAILED && p != at) /* a kernel before 4.17 takes it for a hint */
        munmap(p, bytes);
}

static void start(Gpu *g)
{
    options_read(&g->opt);
    g->mem = mem_new();
    g->default_stream.id = g->next_stream++;
    reserve_addresses();
    g->ready = true;
}

static void start_model(Gpu *g)
{
    Err err = {0};
    if (!load_model(g, &err)) {
        err_print(stderr, &err);
        gpu_note_status(g, RAO_BAD_INPUT);
        _exit(RAO_BAD_INPUT);
    }
    g->has_model = true;
}

Gpu *gpu_enter_early(void)
{
    pthread_once(&once, make_lock);
    pthread_mutex_lock(&the_gpu.lock);
    if (!the_gpu.ready)
        start(&the_gpu);
    return &the_gpu;
}

Gpu *gpu_enter(void)
{
    Gpu *g = gpu_enter_early();
    if (!g->has_model)
        start_model(g);
    return g;
}

GpuError gpu_leave(GpuError e)
{
    pthread_mutex_unlock(&the_gpu.lock);
    return e;
}

GpuError gpu_check(void)
{
    Gpu *g = gpu_enter();
    return gpu_leave(g->sticky);
}
