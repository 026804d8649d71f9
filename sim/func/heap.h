/* malloc and free of kernels: a heap in global memory that lives as long as the memory does. */
#ifndef RAO_FUNC_HEAP_H
#define RAO_FUNC_HEAP_H

#include "sim/func/mem.h"

/* cudaLimitMallocHeapSize is 8 MiB by default and may be raised; here it is as much for everybody.
 */
#define HEAP_BYTES ((uint64_t)64 << 20)

/* Makes the heap if it is not there: before machines run beside each other. False: no room. */
bool heap_prepare(GlobalMem *m);
/* Address of `bytes` bytes, 16-byte aligned; 0: the heap is full. Thread-safe. */
uint64_t heap_malloc(GlobalMem *m, uint64_t bytes);
/* False: this is no address that heap_malloc gave. 0 is fine. */
bool heap_free(GlobalMem *m, uint64_t addr);

#endif
