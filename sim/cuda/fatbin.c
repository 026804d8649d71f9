#include "sim/cuda/fatbin.h"

#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum {
    CONTAINER_BYTES = 16,
    IMAGE_BYTES = 64, /* least size of an image's header */
    AT_KIND = 0,
    AT_HEADER = 4,
    AT_PAYLOAD = 8,
    AT_COMPRESSED = 16,
    AT_ARCH = 28,
    AT_FLAGS = 40,
    AT_RAW = 56,
};
#define MAX_RAW_BYTES (UINT64_C(1) << 30)

static uint64_t get(const uint8_t *p, uint32_t bytes)
{
    uint64_t v = 0;
    for (uint32_t i = bytes; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static bool broken(Err *err, const char *what)
{
    return err_set(err, ERR_SYNTAX, (Loc){0}, "fat binary: %s", what);
}

uint64_t fatbin_size(const void *container)
{
    const uint8_t *p = container;
    return get(p, 4) == FATBIN_MAGIC ? get(p + 6, 2) + get(p + 8, 8) : 0;
}

bool fatbin_open(Fatbin *f, const void *container, uint64_t bytes, Err *err)
{
    const uint8_t *p = container;
    if (bytes < CONTAINER_BYTES || get(p, 4) != FATBIN_MAGIC)
        return broken(err, "it does not begin with 0xba55ed50");
    uint64_t header = get(p + 6, 2), rest = get(p + 8, 8);
    if (header < CONTAINER_BYTES || header > bytes || rest > bytes - header)
        return broken(err, "it is shorter than its header says");
    *f = (Fatbin){.data = p + header, .bytes = rest};
    return true;
}

bool fatbin_next(Fatbin *f, FatImage *out, Err *err)
{
    uint64_t left = f->bytes - f->at;
    const uint8_t *p = f->data + f->at;
    if (left == 0)
        return false;
    if (left < IMAGE_BYTES)
        return broken(err, "an image's header is cut off");
    uint64_t header = get(p + AT_HEADER, 4), payload = get(p + AT_PAYLOAD, 8);
    uint64_t compressed = get(p + AT_COMPRESSED, 4);
    if (header < IMAGE_BYTES || header > left || payload > left - header)
        return broken(err, "an image is longer than what is left");
    if (compressed > payload)
        return broken(err, "an image has more compressed bytes than bytes");
    *out = (FatImage){.kind = (uint32_t)get(p + AT_KIND, 2),
                      .arch = (uint32_t)get(p + AT_ARCH, 4),
                      .flags = get(p + AT_FLAGS, 8),
                      .payload = p + header,
                      .bytes = compressed ? compressed : payload,
                      .raw_bytes = compressed ? get(p + AT_RAW, 8) : payload};
    f->at += header + payload;
    return true;
}

static bool unpack(const FatImage *im, char *to, Err *err)
{
    if (im->flags & FAT_FLAG_ZSTD) {
        size_t n = ZSTD_decompress(to, im->raw_bytes, im->payload, im->bytes);
        return (!ZSTD_isError(n) && n == im->raw_bytes) ||
               broken(err, "an image's Zstandard data are broken");
    }
    if (im->flags & FAT_FLAG_LZ4) {
        int n =
            LZ4_decompress_safe((const char *)im->payload, to, (int)im->bytes, (int)im->raw_bytes);
        return (n >= 0 && (uint64_t)n == im->raw_bytes) ||
               broken(err, "an image's LZ4 data are broken");
    }
    if (im->bytes != im->raw_bytes)
        return broken(err, "an image is compressed in an unknown way");
    memcpy(to, im->payload, im->bytes);
    return true;
}

bool fatbin_ptx(Arena *a, const FatImage *im, const char **text, size_t *len, Err *err)
{
    if (im->raw_bytes > MAX_RAW_BYTES || im->bytes > MAX_RAW_BYTES)
        return broken(err, "an image has more than 1 GiB");
    char *to = arena_alloc(a, im->raw_bytes + 1);
    if (!unpack(im, to, err))
        return false;
    size_t n = im->raw_bytes;
    while (n > 0 && to[n - 1] == 0)
        n--;
    *text = to;
    *len = n;
    return true;
}

uint32_t fatbin_suits(const FatImage *im, const char *target)
{
    static const uint32_t same_arch = 1 << 20;
    uint32_t arch = strncmp(target, "sm_", 3) == 0 ? (uint32_t)strtoul(target + 3, NULL, 10) : 0;
    bool is_a = im->flags & FAT_FLAG_A;
    if (im->kind != FAT_PTX || im->arch > arch || (is_a && im->arch != arch))
        return 0; /* code of an "a" target runs nowhere else */
    return im->arch == arch ? same_arch + (uint32_t)is_a : im->arch;
}
