/* What programs hand over as "module image": which kind it is, and the PTX in it. */
#include "sim/cuda/state.h"

#include <string.h>

#include "sim/cuda/fatbin.h"

/* What nvcc puts into .nvFatBinSegment: a wrapper around the container. */
typedef struct Wrapper {
    uint32_t magic, version;
    const void *container;
    const void *more;
} Wrapper;

static const void *unwrap(const void *image)
{
    Wrapper w;
    memcpy(&w, image, sizeof w.magic);
    if (w.magic != FATBIN_WRAPPER_MAGIC)
        return image;
    memcpy(&w, image, sizeof w);
    return w.container;
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

bool image_suits(const void *image, const char *target)
{
    Fatbin f;
    Err err = {0};
    FatImage im;
    const void *p = unwrap(image);
    if (!fatbin_size(p))
        return true;
    bool suits = false;
    if (fatbin_open(&f, p, UINT64_MAX, &err))
        while (!suits && fatbin_next(&f, &im, &err))
            suits = fatbin_suits(&im, target) > 0;
    return suits;
}

static GpuError bad_image(Gpu *g, const char *name, GpuError e, const char *why)
{
    gpu_say("%s: %s", name, why);
    gpu_note_status(g, RAO_BAD_INPUT);
    return e;
}

static GpuError from_fatbin(Gpu *g, Arena *a, const void *container, const char *name,
                            const char **text, size_t *len)
{
    Fatbin f;
    Err err = {0};
    FatImage im, best = {0};
    uint32_t best_suits = 0, n_ptx = 0, n_elf = 0;
    if (!fatbin_open(&f, container, UINT64_MAX, &err))
        return bad_image(g, name, GPU_INVALID_IMAGE, err.msg);
    while (fatbin_next(&f, &im, &err)) {
        n_ptx += im.kind == FAT_PTX;
        n_elf += im.kind == FAT_ELF;
        uint32_t suits = fatbin_suits(&im, g->model.target);
        if (suits > best_suits) {
            best_suits = suits;
            best = im;
        }
    }
    if (err.kind != ERR_NONE)
        return bad_image(g, name, GPU_INVALID_IMAGE, err.msg);
    if (!best_suits) {
        char why[200];
        snprintf(why, sizeof why,
                 "no PTX for %s among its %u PTX and %u machine-code images; compile with -arch=%s",
                 g->model.target, n_ptx, n_elf, g->model.target);
        return bad_image(g, name, GPU_NO_BINARY, why);
    }
    if (!fatbin_ptx(a, &best, text, len, &err))
        return bad_image(g, name, GPU_INVALID_IMAGE, err.msg);
    return GPU_OK;
}

GpuError image_text(Gpu *g, Arena *a, const void *image, const char *name, const char **text,
                    size_t *len)
{
    const void *p = unwrap(image);
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
