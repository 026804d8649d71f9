/* The random numbers of `init:`, element by element: what a test, or another program, needs to make
 * the same tensor. */
#ifndef RAO_LAUNCH_RANDOM_H
#define RAO_LAUNCH_RANDOM_H

#include <stdint.h>

double random_uniform(uint64_t seed, uint64_t i); /* [0, 1) */
/* Standard normal: elements 2 pair and up, n pairs. */
void random_normals(uint64_t seed, uint64_t pair, uint64_t n, double *out);

#endif
