/* NumPy's .npy files, versions 1 to 3, little-endian, C order. */
#ifndef RAO_LAUNCH_NPY_H
#define RAO_LAUNCH_NPY_H

#include "isa/err.h"

typedef struct Npy {
    FILE *file;
    char code[4]; /* type without byte order: "f4", "u2", "V2" */
    uint32_t elem_bytes;
    uint64_t shape[8];
    uint32_t rank;
} Npy;

/* Opens and reads the header; `loc` is the place that names the file. Close with npy_close, also
 * after an error. */
bool npy_open(const char *path, Loc loc, Npy *out, Err *err);
/* The next `bytes` of data. */
bool npy_read(Npy *n, void *dst, size_t bytes, Loc loc, Err *err);
void npy_close(Npy *n);

#endif
