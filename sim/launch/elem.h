/* Elements of tensors: the number formats a launch file may name, to and from double. Every step is
 * one that IEEE 754 defines exactly, so the bytes do not depend on the host. */
#ifndef RAO_LAUNCH_ELEM_H
#define RAO_LAUNCH_ELEM_H

#include "isa/isa.h"
#include "sim/func/num.h"

typedef struct Elem {
    const char *name;
    PtxType type;
    uint8_t bytes;
    char kind;       /* 'F' 'U' 'S', as in types.def */
    NumType num;     /* kind F */
    double lo, hi;   /* finite range */
    const char *npy; /* NumPy type codes that hold it, without byte order, separated by blanks */
    void (*to_double)(const uint8_t *src, size_t n, double *out);
    void (*to_float)(const uint8_t *src, size_t n, float *out);
} Elem;

/* NULL if a tensor cannot have that type. */
const Elem *elem_of(PtxType type);
/* Names of all, ended by NULL; elem_at(i) is the i-th. */
extern const char *const elem_names[];
const Elem *elem_at(uint32_t i);

/* Widens n elements. To float: exact for all formats but f32 up (f64 and 32- and 64-bit integers
 * are rounded). */
void elem_to_double(const Elem *e, const void *src, size_t n, double *out);
void elem_to_float(const Elem *e, const void *src, size_t n, float *out);

/* Rounds to nearest even and stores element i. Integers and e4m3, e5m2 saturate. */
void elem_put(const Elem *e, void *dst, size_t i, double v);
/* The same for elements first to first + n. */
void elem_from_double(const Elem *e, const double *v, size_t n, void *dst, size_t first);

/* Element i is all 0xff bytes: never written. */
bool elem_is_poison(const Elem *e, const void *src, size_t i);

#endif
