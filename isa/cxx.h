/* C++ names of PTX symbols, for people. nvcc writes them mangled by the Itanium C++ ABI (5.1);
 * those of templates run to thousands of characters, so template arguments and parameter types are
 * cut. */
#ifndef RAO_ISA_CXX_H
#define RAO_ISA_CXX_H

#include <stddef.h>

/* Writes into buf (always terminated; cut if longer than size) the readable form of `symbol`:
 *     _ZN7cutlass13device_kernelIN4cute...     cutlass::device_kernel<...>
 *     _Z9transposePfPKf                        transpose
 *     _ZZ9transposePfPKfE4tile                 tile       (a variable in a function)
 * A symbol that is not mangled, or in a way not understood, is copied. Returns buf. */
char *cxx_name(char *buf, size_t size, const char *symbol);

#endif
