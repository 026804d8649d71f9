/* A look into an ELF program: how it gets its CUDA runtime. */
#ifndef RAO_CLI_ELF_H
#define RAO_CLI_ELF_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ElfFacts {
    bool is_elf;          /* 64-bit little-endian; else nothing below is set */
    bool has_device_code; /* a section that nvcc makes */
    char cudart[64];      /* the shared runtime it needs, "libcudart.so.13", or "" */
    bool needs_libcuda;
    bool has_rpath; /* an old-style path that beats LD_LIBRARY_PATH */
} ElfFacts;

/* False: the file cannot be read. A broken ELF file gives what could be read of it. */
bool elf_inspect(const char *path, ElfFacts *out);
/* The same of a file in memory. */
void elf_inspect_bytes(const void *data, size_t n, ElfFacts *out);

#endif
