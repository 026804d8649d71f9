/* libcuda: what is not there, by name. The functions take whatever they are given: nothing of it is
 * looked at. */
#include "sim/cuda/abi.h"

#define MISSING(name)                                                                              \
    EXPORT int name(void);                                                                         \
    int name(void)                                                                                 \
    {                                                                                              \
        return gpu_missing(#name);                                                                 \
    }
#include "sim/cuda/cu_missing.def"
#undef MISSING
