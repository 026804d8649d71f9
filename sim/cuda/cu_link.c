/* libcuda: the linker. What it links is PTX, and what it gives is PTX, for cuModuleLoadData. */
#include <stdlib.h>
#include <string.h>

#include "sim/cuda/abi.h"
#include "sim/cuda/link.h"
#include "sim/cuda/state.h"

enum { JIT_INPUT_PTX = 1 }; /* CUjitInputType */

typedef struct Linking { /* CUlinkState */
    Arena arena;
    LinkText *in;
    uint32_t n, cap;
} Linking;

EXPORT int cuLinkCreate_v2(unsigned n_options, int *options, void **values, Linking **out)
{
    (void)n_options, (void)options, (void)values;
    if (!out)
        return GPU_INVALID_VALUE;
    *out = gpu_alloc(sizeof **out);
    return GPU_OK;
}

EXPORT int cuLinkAddData_v2(Linking *l, int type, const char *data, size_t bytes, const char *name,
                            unsigned n_options, int *options, void **values)
{
    (void)name, (void)n_options, (void)options, (void)values;
    if (!l || !data)
        return GPU_INVALID_VALUE;
    if (type != JIT_INPUT_PTX)
        return (int)gpu_refuse("cuLinkAddData", "anything but PTX");
    size_t n = strnlen(data, bytes);
    l->in = gpu_grow(l->in, l->n, &l->cap, sizeof *l->in);
    l->in[l->n++] = (LinkText){arena_str(&l->arena, data, n), n};
    return GPU_OK;
}

EXPORT int cuLinkAddFile_v2(Linking *l, int type, const char *path, unsigned n_options,
                            int *options, void **values)
{
    FILE *f = l && path ? fopen(path, "rb") : NULL;
    if (!f)
        return l && path ? GPU_FILE_NOT_FOUND : GPU_INVALID_VALUE;
    enum { CHUNK = 1 << 16 };
    char *text = NULL;
    size_t n = 0, got = 1;
    while (got > 0) {
        char *more = realloc(text, n + CHUNK);
        if (!more)
            break;
        text = more;
        got = fread(text + n, 1, CHUNK, f);
        n += got;
    }
    fclose(f);
    int e = got ? GPU_OUT_OF_MEMORY
                : cuLinkAddData_v2(l, type, text, n, path, n_options, options, values);
    free(text);
    return e;
}

/* "sm_100a" of the first text. */
static const char *target_of(Linking *l)
{
    static const char word[] = ".target";
    const char *p = strstr(l->in[0].text, word);
    if (!p)
        return "";
    p += strlen(word);
    p += strspn(p, " \t");
    return arena_str(&l->arena, p, strcspn(p, " \t\r\n,"));
}

EXPORT int cuLinkComplete(Linking *l, const void **image, size_t *bytes)
{
    Err err = {0};
    const char *text;
    size_t n;
    if (!l || !l->n || !image)
        return GPU_INVALID_VALUE;
    if (!link_ptx(&l->arena, l->in, l->n, target_of(l), &text, &n, &err)) {
        gpu_say("cuLinkComplete: %s", err.msg);
        return GPU_INVALID_PTX;
    }
    *image = text;
    if (bytes)
        *bytes = n + 1;
    return GPU_OK;
}

EXPORT int cuLinkDestroy(Linking *l)
{
    if (!l)
        return GPU_INVALID_HANDLE;
    arena_free(&l->arena);
    free(l->in);
    free(l);
    return GPU_OK;
}
