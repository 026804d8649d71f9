/* libcuda: streams, events, graphs made by capture. */
#include "sim/cuda/abi.h"

/* ---- Streams ---- */

EXPORT int cuStreamCreateWithPriority(void **s, unsigned flags, int priority)
{
    return s ? (int)gpu_stream_new(flags, priority, (GpuStream **)s) : GPU_INVALID_VALUE;
}

EXPORT int cuStreamCreate(void **s, unsigned flags)
{
    return cuStreamCreateWithPriority(s, flags, 0);
}

EXPORT int cuStreamDestroy_v2(void *s)
{
    return gpu_stream_free(stream_handle(s));
}

EXPORT int cuStreamSynchronize(void *s)
{
    return gpu_stream_capture_status(stream_handle(s), NULL) ? GPU_CAPTURE_UNSUPPORTED
                                                             : gpu_check();
}
ALIAS(cuStreamSynchronize, cuStreamSynchronize_ptsz);
ALIAS(cuStreamSynchronize, cuStreamQuery); /* all that was submitted is done */
ALIAS(cuStreamSynchronize, cuStreamQuery_ptsz);

EXPORT int cuStreamGetFlags(void *s, unsigned *flags)
{
    if (!flags)
        return GPU_INVALID_VALUE;
    *flags = gpu_stream_flags(stream_handle(s));
    return GPU_OK;
}
ALIAS(cuStreamGetFlags, cuStreamGetFlags_ptsz);

EXPORT int cuStreamGetPriority(void *s, int *priority)
{
    if (!priority)
        return GPU_INVALID_VALUE;
    *priority = gpu_stream_priority(stream_handle(s));
    return GPU_OK;
}
ALIAS(cuStreamGetPriority, cuStreamGetPriority_ptsz);

EXPORT int cuStreamGetId(void *s, unsigned long long *id)
{
    if (!id)
        return GPU_INVALID_VALUE;
    *id = gpu_stream_id(stream_handle(s));
    return GPU_OK;
}
ALIAS(cuStreamGetId, cuStreamGetId_ptsz);

EXPORT int cuStreamGetDevice(void *s, int *device)
{
    (void)s;
    if (!device)
        return GPU_INVALID_VALUE;
    *device = 0;
    return GPU_OK;
}
ALIAS(cuStreamGetDevice, cuStreamGetDevice_ptsz);

int cuDevicePrimaryCtxRetain(void **ctx, int device);

EXPORT int cuStreamGetCtx(void *s, void **ctx)
{
    (void)s;
    return cuDevicePrimaryCtxRetain(ctx, 0);
}
ALIAS(cuStreamGetCtx, cuStreamGetCtx_ptsz);

EXPORT int cuStreamWaitEvent(void *s, void *event, unsigned flags)
{
    (void)flags;
    return gpu_event_wait(stream_handle(s), event);
}
ALIAS(cuStreamWaitEvent, cuStreamWaitEvent_ptsz);

EXPORT int cuLaunchHostFunc(void *s, void (*fn)(void *), void *user)
{
    return gpu_host_call(stream_handle(s), fn, user);
}
ALIAS(cuLaunchHostFunc, cuLaunchHostFunc_ptsz);

EXPORT int cuStreamAttachMemAsync(void *s, uint64_t p, size_t n, unsigned flags)
{
    (void)s, (void)p, (void)n, (void)flags;
    return gpu_check();
}
ALIAS(cuStreamAttachMemAsync, cuStreamAttachMemAsync_ptsz);

/* ---- Events ---- */

EXPORT int cuEventCreate(void **event, unsigned flags)
{
    return event ? (int)gpu_event_new(flags, (GpuEvent **)event) : GPU_INVALID_VALUE;
}

EXPORT int cuEventDestroy_v2(void *event)
{
    return gpu_event_free(event);
}

EXPORT int cuEventRecordWithFlags(void *event, void *s, unsigned flags)
{
    (void)flags;
    return gpu_event_record(event, stream_handle(s));
}
ALIAS(cuEventRecordWithFlags, cuEventRecordWithFlags_ptsz);

EXPORT int cuEventRecord(void *event, void *s)
{
    return gpu_event_record(event, stream_handle(s));
}
ALIAS(cuEventRecord, cuEventRecord_ptsz);

EXPORT int cuEventQuery(void *event)
{
    return gpu_event_query(event);
}
ALIAS(cuEventQuery, cuEventSynchronize);

EXPORT int cuEventElapsedTime(float *ms, void *from, void *to)
{
    return ms ? (int)gpu_event_ms(from, to, ms) : GPU_INVALID_VALUE;
}
ALIAS(cuEventElapsedTime, cuEventElapsedTime_v2);

/* ---- Capture and graphs ---- */

EXPORT int cuStreamBeginCapture_v2(void *s, int mode)
{
    (void)mode;
    return gpu_stream_begin_capture(stream_handle(s), NULL);
}
ALIAS(cuStreamBeginCapture_v2, cuStreamBeginCapture_v2_ptsz);

EXPORT int cuStreamEndCapture(void *s, void **graph)
{
    return graph ? (int)gpu_stream_end_capture(stream_handle(s), (GpuGraph **)graph)
                 : GPU_INVALID_VALUE;
}
ALIAS(cuStreamEndCapture, cuStreamEndCapture_ptsz);

EXPORT int cuStreamIsCapturing(void *s, int *status)
{
    if (!status)
        return GPU_INVALID_VALUE;
    *status = gpu_stream_capture_status(stream_handle(s), NULL);
    return GPU_OK;
}
ALIAS(cuStreamIsCapturing, cuStreamIsCapturing_ptsz);

EXPORT int cuThreadExchangeStreamCaptureMode(int *mode)
{
    static _Thread_local int current;
    if (!mode)
        return GPU_INVALID_VALUE;
    int old = current;
    current = *mode;
    *mode = old;
    return GPU_OK;
}

EXPORT int cuGraphCreate(void **graph, unsigned flags)
{
    (void)flags;
    if (!graph)
        return GPU_INVALID_VALUE;
    *graph = gpu_graph_new();
    return GPU_OK;
}

EXPORT int cuGraphDestroy(void *graph)
{
    gpu_graph_free(graph);
    return graph ? GPU_OK : GPU_INVALID_VALUE;
}
ALIAS(cuGraphDestroy, cuGraphExecDestroy);

EXPORT int cuGraphInstantiateWithFlags(void **exec, void *graph, unsigned long long flags)
{
    (void)flags;
    if (!exec || !graph)
        return GPU_INVALID_VALUE;
    *exec = gpu_graph_copy(graph);
    return GPU_OK;
}

EXPORT int cuGraphLaunch(void *exec, void *s)
{
    return gpu_graph_launch(exec, stream_handle(s));
}
ALIAS(cuGraphLaunch, cuGraphLaunch_ptsz);

EXPORT int cuGraphUpload(void *exec, void *s)
{
    (void)s;
    return exec ? GPU_OK : GPU_INVALID_VALUE;
}
ALIAS(cuGraphUpload, cuGraphUpload_ptsz);
