/* Runs a small PTX kernel without time: text in, one buffer out. For tests of meaning.
 *
 * The kernel is the text given, in `.visible .entry k(.param .u64 out) { ... }`, with %rd1 = the
 * buffer, %r1 = %tid.x and registers %r %rd %f %p %h declared. */
#ifndef RAO_TESTS_PTX_RUN_H
#define RAO_TESTS_PTX_RUN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/func/state.h"

enum { PTX_OUT_BYTES = 65536 };

typedef struct PtxRun {
    uint32_t threads, grid, cluster, dynamic_shared; /* 0: 32, 1, 1, 0 */
    uint8_t fill;                                    /* of the buffer before the run */
    const char *target;                              /* NULL: sm_100a */
} PtxRun;

typedef struct PtxKernel {
    Arena arena;
    GlobalMem *mem;
    uint64_t out;
    Module *module;
    const Func *func;
    Code *code;
    ExecDesc desc;
    uint8_t params[8];
    Err err;
} PtxKernel;

static inline char *ptx_text(const char *target, const char *globals, const char *body)
{
    static const char head[] = ".version 9.0\n.target %s\n.address_size 64\n";
    static const char entry[] =
        ".visible .entry k(.param .u64 out)\n{\n.reg .b32 %r<100>; .reg .b64 %rd<50>; .reg .f32 "
        "%f<50>;\n"
        ".reg .pred %p<50>; .reg .b16 %h<50>; .reg .f64 %fd<20>; .reg .b128 %q<4>;\n"
        "ld.param.u64 %rd1, [out]; cvta.to.global.u64 %rd1, %rd1; mov.u32 %r1, %tid.x;\n";
    target = target ? target : "sm_100a";
    size_t n = strlen(head) + strlen(target) + strlen(globals) + strlen(entry) + strlen(body) + 16;
    char *text = malloc(n);
    if (!text)
        abort();
    size_t at = (size_t)snprintf(text, n, head, target);
    snprintf(text + at, n - at, "%s%s%s\n}\n", globals, entry, body);
    return text;
}

/* Parses, loads, lowers; k->err tells what went wrong. */
static inline bool ptx_load(PtxKernel *k, const PtxRun *r, const char *globals, const char *body)
{
    memset(k, 0, sizeof *k);
    char *text = ptx_text(r->target, globals, body);
    CodeLayout lay;
    k->mem = mem_new();
    uint32_t cluster = r->cluster ? r->cluster : 1;
    bool ok = isa_parse(&k->arena, "test.ptx", arena_str(&k->arena, text, strlen(text)),
                        strlen(text), &k->module, &k->err) &&
              isa_find_entry(k->module, "k", &k->func, &k->err) &&
              exec_load_module(&k->arena, k->module, k->mem, &lay, &k->err);
    lay.clustered = cluster > 1;
    ok = ok && code_lower(&k->arena, k->module, k->func, &lay, NULL, &k->code, &k->err);
    free(text);
    if (!ok)
        return false;
    k->out = mem_alloc(k->mem, PTX_OUT_BYTES, "out");
    memset(mem_ptr(k->mem, k->out, PTX_OUT_BYTES), r->fill, PTX_OUT_BYTES);
    memcpy(k->params, &k->out, sizeof k->out);
    k->desc = (ExecDesc){.code = k->code,
                         .mem = k->mem,
                         .params = k->params,
                         .grid = {r->grid ? r->grid : 1, 1, 1},
                         .block = {r->threads ? r->threads : 32, 1, 1},
                         .cluster = {cluster, 1, 1},
                         .dynamic_shared = r->dynamic_shared,
                         .n_slots = cluster,
                         .n_sms = 1};
    return true;
}

static inline void ptx_free(PtxKernel *k)
{
    mem_free(k->mem);
    arena_free(&k->arena);
}

/* Runs and copies the buffer to out (PTX_OUT_BYTES). False: a fault; err says which. */
static inline bool ptx_run(const PtxRun *r, const char *globals, const char *body, void *out,
                           Err *err)
{
    PtxKernel k;
    *err = (Err){0};
    bool ok = ptx_load(&k, r, globals, body) && exec_run(&k.arena, &k.desc, 0, 0, 1, NULL, &k.err);
    if (k.out)
        memcpy(out, mem_ptr(k.mem, k.out, PTX_OUT_BYTES), PTX_OUT_BYTES);
    *err = k.err;
    err->loc.file = NULL;
    ptx_free(&k);
    return ok;
}

#endif
