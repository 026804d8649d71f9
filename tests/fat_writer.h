/* Makes fat binaries for tests, from what is known of nvcc's (sim/cuda/fatbin.h). */
#ifndef RAO_TESTS_FAT_WRITER_H
#define RAO_TESTS_FAT_WRITER_H

#include <assert.h>
#include <lz4.h>
#include <stdint.h>
#include <string.h>
#include <zstd.h>

typedef struct FatWrapper {
    uint32_t magic, version;
    const void *container;
    void *more;
} FatWrapper;

typedef struct FatWriter {
    uint8_t *data;
    size_t n, cap;
} FatWriter;

static inline void fat_put(FatWriter *w, uint64_t v, size_t bytes)
{
    assert(w->n + bytes <= w->cap);
    memcpy(w->data + w->n, &v, bytes);
    w->n += bytes;
}

static inline void fat_begin(FatWriter *w)
{
    fat_put(w, 0xba55ed50, 4);
    fat_put(w, 1, 2);
    fat_put(w, 16, 2);
    fat_put(w, 0, 8);
}

/* A PTX image; flags 0x2000: LZ4, 0x8000: Zstandard. */
static inline void fat_add(FatWriter *w, uint32_t arch, uint64_t flags, const char *text,
                           size_t bytes)
{
    enum { HEADER = 80 };
    uint8_t *to = w->data + w->n + HEADER;
    size_t room = w->cap - w->n - HEADER, packed = bytes;
    assert(w->n + HEADER < w->cap);
    if (flags & 0x8000)
        packed = ZSTD_compress(to, room, text, bytes, 3);
    else if (flags & 0x2000)
        packed = (size_t)LZ4_compress_default(text, (char *)to, (int)bytes, (int)room);
    else
        memcpy(to, text, bytes);
    assert(packed > 0 && packed <= room);
    size_t padded = (packed + 7) / 8 * 8, start = w->n;
    fat_put(w, 1, 2);
    fat_put(w, 0x101, 2);
    fat_put(w, HEADER, 4);
    fat_put(w, padded, 8);
    fat_put(w, flags & 0xa000 ? packed : 0, 4);
    fat_put(w, 0x40, 4);
    fat_put(w, 0x90000, 4);
    fat_put(w, arch, 4);
    fat_put(w, 0, 8);
    fat_put(w, flags, 8);
    fat_put(w, 0, 8);
    fat_put(w, flags & 0xa000 ? bytes : 0, 8);
    while (w->n < start + HEADER)
        fat_put(w, 0, 1);
    for (size_t i = packed; i < padded; i++)
        to[i] = 0;
    w->n += padded;
    assert(w->n <= w->cap);
}

static inline void fat_end(FatWriter *w)
{
    uint64_t rest = w->n - 16;
    memcpy(w->data + 8, &rest, sizeof rest);
}

#endif
