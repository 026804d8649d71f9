/* Modules and kernels. A module's text is parsed once without the bodies of its functions, which
 * gives the variables and the heads of the kernels; a kernel's body is parsed and lowered when it
 * is launched first. So a module of thousands of kernels costs what is used of it. */
#define _GNU_SOURCE /* program_invocation_short_name */
#include "sim/cuda/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Loading ---- */

/* "program.1.ptx" */
static char *module_name(Gpu *g)
{
    const char *program = program_invocation_short_name;
    char text[200];
    snprintf(text, sizeof text, "%.150s.%u.ptx", program, ++g->next_module);
    return strdup(text);
}

static GpuError load(Gpu *g, const void *image, bool copy, GpuModule **out)
{
    if (g->sticky)
        return g->sticky;
    if (!image)
        return GPU_INVALID_VALUE;
    GpuModule *m = calloc(1, sizeof *m);
    if (!m)
        return GPU_OUT_OF_MEMORY;
    size_t bytes = copy ? image_bytes(image) : 0;
    if (bytes) {
        void *own = arena_alloc(&m->arena, bytes);
        memcpy(own, image, bytes);
        image = own;
    }
    m->image = image;
    m->name = module_name(g);
    m->next = g->modules;
    g->modules = m;
    *out = m;
    return GPU_OK;
}

/* A program that brings its image at run time wants to hear of a bad one now. */
static GpuError check_module(GpuModule *m)
{
    Gpu *g = gpu_enter();
    return gpu_leave(module_read(g, m));
}

GpuError gpu_module_load(const void *image, bool copy, GpuModule **out)
{
    Gpu *g = gpu_enter_early();
    GpuError e = load(g, image, copy, out);
    if (!e && copy && (e = check_module(*out)) != GPU_OK) {
        gpu_module_unload(*out);
        *out = NULL;
    }
    return gpu_leave(e);
}

GpuError gpu_module_load_file(const char *path, GpuModule **out)
{
    *out = NULL;
    FILE *f = path ? fopen(path, "rb") : NULL;
    if (!f)
        return GPU_FILE_NOT_FOUND;
    char *text = NULL;
    size_t n = 0, cap = 0;
    for (;;) {
        enum { CHUNK = 1 << 16 };
        char *more = realloc(text, cap + CHUNK + 1);
        if (!more)
            break;
        text = more;
        cap += CHUNK;
        size_t got = fread(text + n, 1, cap - n, f);
        n += got;
        if (got == 0)
            break;
    }
    fclose(f);
    if (!text)
        return GPU_OUT_OF_MEMORY;
    text[n] = 0;
    GpuError e = image_is_whole(text, n) ? gpu_module_load(text, true, out) : GPU_INVALID_IMAGE;
    free(text);
    return e;
}

void gpu_module_unload(GpuModule *m)
{
    Gpu *g = gpu_enter();
    GpuModule **at = &g->modules;
    while (*at && *at != m)
        at = &(*at)->next;
    if (*at) {
        *at = m->next;
        memory_drop_variables(g, m);
        arena_free(&m->arena);
        free(m->name);
        free(m);
    }
    gpu_leave(GPU_OK);
}

static GpuError read_module(Gpu *g, GpuModule *m)
{
    Err err = {0};
    GpuError e = image_text(g, &m->arena, m->image, m->name, &m->text, &m->len);
    if (e)
        return e;
    m->text_hash = gpu_hash(GPU_HASH_START, m->text, m->len);
    const char *heads = isa_slice(&m->arena, m->text, m->len, NULL);
    if (!isa_parse(&m->arena, m->name, heads, m->len, &m->skeleton, &err) ||
        !memory_place_variables(g, m, &err))
        return gpu_report(g, m, NULL, &err);
    uint32_t n = m->skeleton->n_funcs;
    m->kernels = arena_new(&m->arena, GpuKernel, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        const Func *f = &m->skeleton->funcs[i];
        if (f->is_entry)
            m->kernels[m->n_kernels++] = (GpuKernel){.module = m, .head = f, .carveout = -1};
    }
    return GPU_OK;
}

GpuError module_read(Gpu *g, GpuModule *m)
{
    if (!m->skeleton && !m->bad)
        m->bad = read_module(g, m);
    return m->bad;
}

GpuError gpu_module_kernel(GpuModule *m, const char *name, GpuKernel **out)
{
    Gpu *g = gpu_enter();
    *out = NULL;
    GpuError e = module_read(g, m);
    for (uint32_t i = 0; !e && i < m->n_kernels && !*out; i++)
        if (strcmp(m->kernels[i].head->name, name) == 0)
            *out = &m->kernels[i];
    return gpu_leave(e ? e : *out ? GPU_OK : GPU_NOT_FOUND);
}

GpuError gpu_module_kernel_count(GpuModule *m, uint32_t *n)
{
    Gpu *g = gpu_enter();
    GpuError e = module_read(g, m);
    *n = m->n_kernels;
    return gpu_leave(e);
}

GpuError gpu_module_kernel_at(GpuModule *m, uint32_t i, GpuKernel **out)
{
    Gpu *g = gpu_enter();
    GpuError e = module_read(g, m);
    if (!e && i >= m->n_kernels)
        e = GPU_INVALID_VALUE;
    *out = e ? NULL : &m->kernels[i];
    return gpu_leave(e);
}

static GpuError find_global(GpuModule *m, const char *name, uint64_t *addr, uint64_t *bytes)
{
    for (uint32_t i = 0; i < m->skeleton->n_vars; i++) {
        const Var *v = &m->skeleton->vars[i];
        bool is_const = v->space == SP_CONST;
        if ((v->space != SP_GLOBAL && !is_const) || v->func != -1 || strcmp(v->name, name) != 0)
            continue;
        *addr = (is_const ? m->layout.const_base : m->layout.global_base) + v->offset;
        *bytes = v->size;
        return GPU_OK;
    }
    return GPU_NOT_FOUND;
}

GpuError gpu_module_global(GpuModule *m, const char *name, uint64_t *addr, uint64_t *bytes)
{
    Gpu *g = gpu_enter();
    GpuError e = module_read(g, m);
    return gpu_leave(e ? e : find_global(m, name, addr, bytes));
}

void module_write(Gpu *g, GpuModule *m, const char *folder)
{
    (void)g;
    char path[4096];
    if (m->written || !m->text)
        return;
    snprintf(path, sizeof path, "%s/%s", folder, m->name);
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(m->text, 1, m->len, f) == m->len;
    if (f && fclose(f) != 0)
        ok = false;
    if (!ok)
        gpu_say("cannot write %s: %s", path, strerror(errno));
    m->written = ok;
}

/* ---- Kernels ---- */

bool gpu_kernel_valid(const void *k)
{
    Gpu *g = gpu_enter();
    bool found = false;
    for (const GpuModule *m = g->modules; m && !found; m = m->next)
        found = (uintptr_t)k >= (uintptr_t)m->kernels &&
                (uintptr_t)k < (uintptr_t)(m->kernels + m->n_kernels);
    gpu_leave(GPU_OK);
    return found;
}

const char *gpu_kernel_name(const GpuKernel *k)
{
    return k->head->name;
}

GpuModule *gpu_kernel_module(const GpuKernel *k)
{
    return k->module;
}

GpuError gpu_kernel_param(const GpuKernel *k, size_t i, size_t *offset, size_t *bytes)
{
    if (i >= k->head->n_params)
        return GPU_INVALID_VALUE;
    const Var *v = &k->module->skeleton->vars[k->head->params[i]];
    if (offset)
        *offset = v->offset;
    if (bytes)
        *bytes = v->size;
    return GPU_OK;
}

static bool parse_kernel(GpuKernel *k, Err *err)
{
    GpuModule *m = k->module;
    const char *text = isa_slice(&m->arena, m->text, m->len, k->head->name);
    Module *ptx;
    const Func *f;
    if (!isa_parse(&m->arena, m->name, text, m->len, &ptx, err) ||
        !isa_find_entry(ptx, k->head->name, &f, err))
        return false;
    if (ptx->global_bytes != m->skeleton->global_bytes ||
        ptx->const_bytes != m->skeleton->const_bytes)
        return err_set(err, ERR_UNSUPPORTED, f->loc,
                       "'%s' has .global or .const variables inside its body", f->name);
    k->ptx = ptx;
    k->func = f;
    return true;
}

GpuError kernel_parse(Gpu *g, GpuKernel *k)
{
    Err err = {0};
    if (k->ptx || parse_kernel(k, &err))
        return GPU_OK;
    return gpu_report(g, k->module, NULL, &err);
}

GpuError kernel_lower(Gpu *g, GpuKernel *k, bool clustered, bool checked)
{
    Err err = {0};
    GpuError e = kernel_parse(g, k);
    Code **place = &k->code[2 * checked + clustered];
    if (e || *place)
        return e;
    CodeLayout layout = k->module->layout;
    layout.clustered = clustered;
    layout.keep_all = checked;
    Code *code;
    if (!code_lower(&k->module->arena, k->ptx, k->func, &layout, checked ? NULL : &g->model, &code,
                    &err))
        return gpu_report(g, k->module, NULL, &err);
    *place = code;
    return GPU_OK;
}

static int arch_of(const Model *m)
{
    return (int)strtol(m->target + strlen("sm_"), NULL, 10);
}

/* CUfunction_attribute */
enum {
    FA_MAX_THREADS,
    FA_SHARED_BYTES,
    FA_CONST_BYTES,
    FA_LOCAL_BYTES,
    FA_REGISTERS,
    FA_PTX_VERSION,
    FA_BINARY_VERSION,
    FA_CACHE_MODE_CA,
    FA_MAX_DYNAMIC_SHARED,
    FA_CARVEOUT,
    FA_CLUSTER_MUST_BE_SET,
    FA_CLUSTER_WIDTH,
    FA_CLUSTER_HEIGHT,
    FA_CLUSTER_DEPTH,
    FA_BIG_CLUSTER,
    FA_CLUSTER_POLICY,
};
enum { SHARED_WITHOUT_ASKING = 48 << 10, MAX_THREADS = 1024 };

/* What only the body tells. */
static GpuError body_attribute(Gpu *g, GpuKernel *k, int attribute, int *value)
{
    static const uint32_t one_warp[3] = {WARP, 1, 1};
    GpuError e = attribute == FA_REGISTERS ? kernel_lower(g, k, false, false) : kernel_parse(g, k);
    if (e)
        return e;
    if (attribute == FA_LOCAL_BYTES)
        *value = (int)k->func->local_bytes;
    else if (attribute == FA_SHARED_BYTES)
        *value = (int)k->func->shared_bytes;
    else
        *value = (int)kernel_regs(&g->model, k->code[0], one_warp);
    return GPU_OK;
}

static int max_threads(const Func *f)
{
    uint64_t n = 1;
    const uint32_t *most = f->reqntid[0] ? f->reqntid : f->maxntid;
    for (int i = 0; i < 3; i++)
        n *= most[i] ? most[i] : 1;
    return most[0] && n < MAX_THREADS ? (int)n : MAX_THREADS;
}

static GpuError get_attribute(Gpu *g, GpuKernel *k, int attribute, int *value)
{
    const Func *f = k->head;
    const Module *m = k->module->skeleton;
    int shared = 0;
    switch (attribute) {
    case FA_MAX_THREADS:
        *value = max_threads(f);
        return GPU_OK;
    case FA_SHARED_BYTES:
    case FA_LOCAL_BYTES:
    case FA_REGISTERS:
        return body_attribute(g, k, attribute, value);
    case FA_CONST_BYTES:
        *value = (int)m->const_bytes;
        return GPU_OK;
    case FA_PTX_VERSION:
    case FA_BINARY_VERSION:
        *value = arch_of(&g->model);
        return GPU_OK;
    case FA_CACHE_MODE_CA:
        *value = 0;
        return GPU_OK;
    case FA_MAX_DYNAMIC_SHARED: {
        GpuError e = k->max_dynamic ? GPU_OK : get_attribute(g, k, FA_SHARED_BYTES, &shared);
        *value = k->max_dynamic                   ? k->max_dynamic
                 : shared < SHARED_WITHOUT_ASKING ? SHARED_WITHOUT_ASKING - shared
                                                  : 0;
        return e;
    }
    case FA_CARVEOUT:
        *value = k->carveout;
        return GPU_OK;
    case FA_CLUSTER_MUST_BE_SET:
        *value = k->cluster_must_be_set || f->explicit_cluster;
        return GPU_OK;
    case FA_CLUSTER_WIDTH:
    case FA_CLUSTER_HEIGHT:
    case FA_CLUSTER_DEPTH: {
        int d = attribute - FA_CLUSTER_WIDTH;
        *value = k->cluster[d] ? k->cluster[d] : (int)f->cluster[d];
        return GPU_OK;
    }
    case FA_BIG_CLUSTER:
        *value = k->big_cluster;
        return GPU_OK;
    case FA_CLUSTER_POLICY:
        *value = k->cluster_policy;
        return GPU_OK;
    default:
        return GPU_INVALID_VALUE;
    }
}

GpuError gpu_kernel_attribute(GpuKernel *k, int attribute, int *value)
{
    Gpu *g = gpu_enter();
    return gpu_leave(get_attribute(g, k, attribute, value));
}

static GpuError set_attribute(Gpu *g, GpuKernel *k, int attribute, int value)
{
    int shared;
    switch (attribute) {
    case FA_MAX_DYNAMIC_SHARED: {
        GpuError e = get_attribute(g, k, FA_SHARED_BYTES, &shared);
        if (e)
            return e;
        if (value < 0 || value + shared > (int)g->model.v[MP_SM_SHARED_CTA_MAX])
            return GPU_INVALID_VALUE;
        k->max_dynamic = value;
        return GPU_OK;
    }
    case FA_CARVEOUT:
        k->carveout = value;
        return value < -1 || value > 100 ? GPU_INVALID_VALUE : GPU_OK;
    case FA_CLUSTER_MUST_BE_SET:
        k->cluster_must_be_set = value;
        return GPU_OK;
    case FA_CLUSTER_WIDTH:
    case FA_CLUSTER_HEIGHT:
    case FA_CLUSTER_DEPTH:
        if (value < 0)
            return GPU_INVALID_VALUE;
        k->cluster[attribute - FA_CLUSTER_WIDTH] = value;
        return GPU_OK;
    case FA_BIG_CLUSTER:
        k->big_cluster = value;
        return GPU_OK;
    case FA_CLUSTER_POLICY:
        k->cluster_policy = value;
        return GPU_OK;
    default:
        return GPU_INVALID_VALUE;
    }
}

GpuError gpu_kernel_set_attribute(GpuKernel *k, int attribute, int value)
{
    Gpu *g = gpu_enter();
    return gpu_leave(set_attribute(g, k, attribute, value));
}
