/* libcudart: what is not there, by name. The functions take whatever they are given: nothing of it
 * is looked at. */
#include "sim/cuda/rt.h"

#define MISSING(name)                                                                              \
    EXPORT int name(void);                                                                         \
    int name(void)                                                                                 \
    {                                                                                              \
        return rt_ret(gpu_missing(#name));                                                         \
    }
#include "sim/cuda/rt_missing.def"
#undef MISSING

typedef struct ChannelDesc {
    int x, y, z, w, kind;
} ChannelDesc;

/* Returns no error code; the arrays that it is for are not there. */
EXPORT ChannelDesc cudaCreateChannelDesc(int x, int y, int z, int w, int kind)
{
    return (ChannelDesc){x, y, z, w, kind};
}
