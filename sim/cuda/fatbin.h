/* Reader of fat binaries: what nvcc puts into a program and cuModuleLoadData takes.
 *
 *     container   u32 magic 0xba55ed50, u16 version, u16 bytes of this header, u64 bytes of what
 * follows image       u16 kind (1 PTX, 2 ELF), u16 version, u32 bytes of this header, u64 bytes of
 * payload, u32 compressed bytes (0: not compressed), u32, u16 minor and u16 major of the PTX ISA,
 *                 u32 arch (100 = sm_100), u32 x 2 name, u64 flags, u64, u64 bytes when
 * uncompressed
 *
 * Images follow each other, header then payload. Seen in the output of nvcc 13.0 with every
 * -compress-mode; flags: 0x2000 LZ4, 0x8000 Zstandard, 0x100000 the image is for the "a" target,
 * whose features plain sm_100 PTX was compiled without. */
#ifndef RAO_CUDA_FATBIN_H
#define RAO_CUDA_FATBIN_H

#include "isa/arena.h"
#include "isa/err.h"

#define FATBIN_WRAPPER_MAGIC 0x466243b1u /* struct {u32 magic, version; void *container; ...} */
#define FATBIN_MAGIC 0xba55ed50u

typedef enum FatKind { FAT_PTX = 1, FAT_ELF = 2 } FatKind;

enum { FAT_FLAG_LZ4 = 0x2000, FAT_FLAG_ZSTD = 0x8000, FAT_FLAG_A = 0x100000 };

typedef struct FatImage {
    uint32_t kind; /* FatKind, or another one that is not read */
    uint32_t arch; /* 100: sm_100 */
    uint64_t flags;
    const uint8_t *payload; /* inside the container */
    uint64_t bytes;         /* of the payload: compressed, if `raw_bytes` differs */
    uint64_t raw_bytes;     /* uncompressed */
} FatImage;

typedef struct Fatbin {
    const uint8_t *data;
    uint64_t bytes, at; /* of all images; of the next one */
} Fatbin;

/* Whole size of the container that starts here, by its header: to be trusted only where the
 * container is known to be whole. 0: the magic is not there. */
uint64_t fatbin_size(const void *container);

/* Opens a container of at most `bytes` bytes. ERR_SYNTAX. */
bool fatbin_open(Fatbin *f, const void *container, uint64_t bytes, Err *err);

/* The next image; false at the end or, with err set, where the container is broken. */
bool fatbin_next(Fatbin *f, FatImage *out, Err *err);

/* The text of a PTX image, uncompressed, in the arena, ended by NUL; *len without trailing NULs.
 * ERR_SYNTAX for broken compression. */
bool fatbin_ptx(Arena *a, const FatImage *im, const char **text, size_t *len, Err *err);

/* How well a PTX image suits a target ("sm_100a"): 0 not at all, more is better. The same
 * architecture with "a" beats it without, which beats an older one. */
uint32_t fatbin_suits(const FatImage *im, const char *target);

#endif
