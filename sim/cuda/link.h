/* Linking of PTX: several texts, as `nvcc -rdc=true` leaves one per source file in a program,
 * become one. What nvlink does for machine code, for text. */
#ifndef RAO_CUDA_LINK_H
#define RAO_CUDA_LINK_H

#include "isa/arena.h"
#include "isa/err.h"

typedef struct LinkText {
    const char *text;
    size_t len;
} LinkText;

/* The texts behind each other under one .version (the highest) and one .target (the given). Of
 * definitions of one name that are .weak or .common only one stays: one without these words, or the
 * first; the others become .extern. Names without linkage that another text uses too get a suffix,
 * "$str" becomes "$str$2". Numbers of source files (.file, .loc) are made different. *out lies in
 * the arena, ended by NUL. ERR_SYNTAX: a text is cut off inside a statement. */
bool link_ptx(Arena *a, const LinkText *in, uint32_t n, const char *target, const char **out,
              size_t *len, Err *err);

#endif
