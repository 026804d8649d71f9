/* What programs hand over as "module image": which kind it is, and the PTX in it. */
#include "sim/cuda/state.h"

#include <string.h>

#include "sim/cuda/fatbin.h"
#include "sim/cuda/link.h"

/* What nvcc puts into .nvFatBinSegment: a wrapper around the container. Version 2 (-rdc=true) is of
 * a container that nvlink made; `parts` are those that it was made of, NULL behind the last: they
 * are in place when the wrapper is registered (nvcc's crt/link.stub). */
typedef struct Wrapper {
    uint32_t magic, version;
    const void *container;
    const void *const *parts;
} Wrapper;
enum { WRAPPER_OF_PARTS = 2 };

static const void *unwrap(const void *image)
{
    Wrapper w;
    memcpy(&w, image, sizeof w.magic);
    if (w.magic != FATBIN_WRAPPER_MAGIC)
        return image;
    memcpy(&w, image, sizeof w);
    return w.container;
}

/* The parts of an image that nvlink made, or NULL. */
static const void *const *parts_of(const void *image)
{
    Wrapper w;
    if (unwrap(image) == image)
        return NULL;
    memcpy(&w, image, sizeof w);
    return w.version == WRAPPER_OF_PARTS && w.parts && w.parts[0] ? w.parts : NULL;
}

static bool is_elf(const void *image)
{
    return memcmp(image, "\177ELF", 4) == 0;
}

bool image_is_whole(const void *image, size_t bytes)
{
    /* A wrapper holds pointers: it makes sense in the memory of its program alone. */
    if (bytes < sizeof(Wrapper) || unwrap(image) != image)
        return false;
    return fatbin_size(image) <= bytes;
}

size_t image_bytes(const void *image)
{
    const void *p = unwrap(image);
    if (p != image || is_elf(p))
        return 0; /* in the program's own data */
    uint64_t bytes = fatbin_size(p);
    return bytes ? bytes : strlen(p) + 1;
}

/* The PTX image of a container that suits the target best; kind 0: none does. Counts what else is
 * there. */
typedef struct Choice {
    FatImage best;
    uint32_t suits; /* fatbin_suits of the best */
    uint32_t n_ptx, n_other;
} Choice;

static bool choose(const void *container, const char *target, Choice *c, Err *err)
{
    Fatbin f;
    FatImage im;
    if (!fatbin_open(&f, container, UINT64_MAX, err))
        return false;
    while (fatbin_next(&f, &im, err)) {
        uint32_t suits = fatbin_suits(&im, target);
        c->n_ptx += im.kind == FAT_PTX;
        c->n_other += im.kind != FAT_PTX;
        if (suits > c->suits) {
            c->suits = suits;
            c->best = im;
        }
    }
    return err->kind == ERR_NONE;
}

bool image_suits(const void *image, const char *target)
{
    const void *p = unwrap(image);
    const void *const *parts = parts_of(image);
    if (!fatbin_size(p))
        return true;
    Choice c = {0};
    Err err = {0};
    if (choose(p, target, &c, &err) && c.suits)
        return true;
    for (; parts && *parts; parts++)
        if (choose(*parts, target, &c, &err) && c.suits)
            return true;
    return false;
}

static GpuError bad_image(Gpu *g, const char *name, GpuError e, const char *why)
{
    gpu_say("%s: %s", name, why);
    gpu_note_status(g, RAO_BAD_INPUT);
    return e;
}

static GpuError no_ptx(Gpu *g, const char *name, const Choice *c, const char *where)
{
    char why[300];
    snprintf(
        why, sizeof why,
        "no PTX for %s among the %u PTX and %u machine-code images%s; compile with -arch=%s (or "
        "-gencode arch=compute_%s,code=[sm_%s,compute_%s])",
        g->model.target, c->n_ptx, c->n_other, where, g->model.target, g->model.target + 3,
        g->model.target + 3, g->model.target + 3);
    return bad_image(g, name, GPU_NO_BINARY, why);
}

static GpuError from_fatbin(Gpu *g, Arena *a, const void *container, const char *name,
                            const char **text, size_t *len)
{
    Err err = {0};
    Choice c = {0};
    if (!choose(container, g->model.target, &c, &err))
        return bad_image(g, name, GPU_INVALID_IMAGE, err.msg);
    if (!c.suits)
        return no_ptx(g, name, &c, "");
    if (!fatbin_ptx(a, &c.best, text, len, &err))
        return bad_image(g, name, GPU_INVALID_IMAGE, err.msg);
    return GPU_OK;
}

/* A program of -rdc=true: the PTX of its parts, linked. */
static GpuError from_parts(Gpu *g, Arena *a, const void *const *parts, const char *name,
                           const char **text, size_t *len)
{
    Err err = {0};
    uint32_t n = 0;
    while (parts[n])
        n++;
    LinkText *in = arena_new(a, LinkText, n);
    for (uint32_t i = 0; i < n; i++) {
        Choice c = {0};
        if (!choose(parts[i], g->model.target, &c, &err))
            return bad_image(g, name, GPU_INVALID_IMAGE, err.msg);
        if (!c.suits)
            return no_ptx(g, name, &c, " of one of the objects that -rdc=true linked");
        if (!fatbin_ptx(a, &c.best, &in[i].text, &in[i].len, &err))
            return bad_image(g, name, GPU_INVALID_IMAGE, err.msg);
    }
    if (n == 1) {
        *text = in[0].text;
        *len = in[0].len;
    } else if (!link_ptx(a, in, n, g->model.target, text, len, &err)) {
        return bad_image(g, name, GPU_INVALID_IMAGE, err.msg);
    }
    return GPU_OK;
}

GpuError image_text(Gpu *g, Arena *a, const void *image, const char *name, const char **text,
                    size_t *len)
{
    const void *p = unwrap(image);
    if (parts_of(image))
        return from_parts(g, a, parts_of(image), name, text, len);
    if (fatbin_size(p))
        return from_fatbin(g, a, p, name, text, len);
    if (is_elf(p))
        return bad_image(g, name, GPU_NO_BINARY,
                         "it is machine code (a cubin); PTX is needed: Rao does not read SASS");
    if (!strstr(p, ".version"))
        return bad_image(g, name, GPU_INVALID_IMAGE, "it is neither PTX text nor a fat binary");
    *text = p;
    *len = strlen(p);
    return GPU_OK;
}
