#include "sim/cuda/state.h"
void capture_write(Gpu *g, const LaunchOp *op, const Timing *t, const KernelRun *k)
{
    (void)g, (void)op, (void)t, (void)k;
}
