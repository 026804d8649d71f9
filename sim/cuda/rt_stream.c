/* libcudart: streams, events, capture. */
#include <stdlib.h>
#include <string.h>

#include "sim/cuda/rt.h"

/* ---- Streams ---- */

EXPORT int cudaStreamCreateWithPriority(void **s, unsigned flags, int priority)
{
    return rt_ret(s ? gpu_stream_new(flags, priority, (GpuStream **)s) : GPU_INVALID_VALUE);
}

EXPORT int cudaStreamCreateWithFlags(void **s, unsigned flags)
{
    return cudaStreamCreateWithPriority(s, flags, 0);
}

EXPORT int cudaStreamCreate(void **s)
{
    return cudaStreamCreateWithPriority(s, 0, 0);
}

EXPORT int cudaStreamDestroy(void *s)
{
    return rt_ret(gpu_stream_free(stream_handle(s)));
}

EXPORT int cudaStreamSynchronize(void *s)
{
    if (gpu_stream_capture_status(stream_handle(s), NULL))
        return rt_ret(GPU_CAPTURE_UNSUPPORTED);
    return rt_ret(gpu_check());
}
ALIAS(cudaStreamSynchronize, cudaStreamSynchronize_ptsz);
ALIAS(cudaStreamSynchronize, cudaStreamQuery); /* all that was submitted is done */
ALIAS(cudaStreamSynchronize, cudaStreamQuery_ptsz);

EXPORT int cudaStreamGetFlags(void *s, unsigned *flags)
{
    if (!flags)
        return rt_ret(GPU_INVALID_VALUE);
    *flags = gpu_stream_flags(stream_handle(s));
    return GPU_OK;
}
ALIAS(cudaStreamGetFlags, cudaStreamGetFlags_ptsz);

EXPORT int cudaStreamGetPriority(void *s, int *priority)
{
    if (!priority)
        return rt_ret(GPU_INVALID_VALUE);
    *priority = gpu_stream_priority(stream_handle(s));
    return GPU_OK;
}
ALIAS(cudaStreamGetPriority, cudaStreamGetPriority_ptsz);

EXPORT int cudaStreamGetId(void *s, unsigned long long *id)
{
    if (!id)
        return rt_ret(GPU_INVALID_VALUE);
    *id = gpu_stream_id(stream_handle(s));
    return GPU_OK;
}
ALIAS(cudaStreamGetId, cudaStreamGetId_ptsz);

EXPORT int cudaStreamGetDevice(void *s, int *device)
{
    (void)s;
    if (!device)
        return rt_ret(GPU_INVALID_VALUE);
    *device = 0;
    return GPU_OK;
}
ALIAS(cudaStreamGetDevice, cudaStreamGetDevice_ptsz);

EXPORT int cudaStreamWaitEvent(void *s, void *event, unsigned flags)
{
    (void)flags;
    return rt_ret(gpu_event_wait(stream_handle(s), event));
}
ALIAS(cudaStreamWaitEvent, cudaStreamWaitEvent_ptsz);

EXPORT int cudaStreamCopyAttributes(void *dst, void *src)
{
    (void)dst, (void)src;
    return GPU_OK;
}
ALIAS(cudaStreamCopyAttributes, cudaStreamCopyAttributes_ptsz);

/* Attributes of streams (access policy, synchronisation policy ...) are hints here. */
EXPORT int cudaStreamSetAttribute(void *s, int attribute, const void *value)
{
    (void)s, (void)attribute;
    return rt_ret(value ? GPU_OK : GPU_INVALID_VALUE);
}
ALIAS(cudaStreamSetAttribute, cudaStreamSetAttribute_ptsz);

EXPORT int cudaStreamGetAttribute(void *s, int attribute, void *value)
{
    enum { ATTRIBUTE_PRIORITY = 8, VALUE_BYTES = 64 };
    if (!value)
        return rt_ret(GPU_INVALID_VALUE);
    memset(value, 0, VALUE_BYTES);
    if (attribute == ATTRIBUTE_PRIORITY)
        *(int *)value = gpu_stream_priority(stream_handle(s));
    return GPU_OK;
}
ALIAS(cudaStreamGetAttribute, cudaStreamGetAttribute_ptsz);

EXPORT int cudaLaunchHostFunc(void *s, void (*fn)(void *), void *user)
{
    return rt_ret(gpu_host_call(stream_handle(s), fn, user));
}
ALIAS(cudaLaunchHostFunc, cudaLaunchHostFunc_ptsz);

typedef void StreamCallback(void *stream, int status, void *user);

EXPORT int cudaStreamAddCallback(void *s, StreamCallback *fn, void *user, unsigned flags)
{
    (void)flags;
    if (!fn)
        return rt_ret(GPU_INVALID_VALUE);
    if (gpu_stream_capture_status(stream_handle(s), NULL))
        return rt_ret(GPU_CAPTURE_UNSUPPORTED);
    fn(s, (int)gpu_check(), user);
    return GPU_OK;
}
ALIAS(cudaStreamAddCallback, cudaStreamAddCallback_ptsz);

/* ---- Events ---- */

EXPORT int cudaEventCreateWithFlags(void **event, unsigned flags)
{
    return rt_ret(event ? gpu_event_new(flags, (GpuEvent **)event) : GPU_INVALID_VALUE);
}

EXPORT int cudaEventCreate(void **event)
{
    return cudaEventCreateWithFlags(event, 0);
}

EXPORT int cudaEventDestroy(void *event)
{
    return rt_ret(gpu_event_free(event));
}

EXPORT int cudaEventRecordWithFlags(void *event, void *s, unsigned flags)
{
    (void)flags;
    return rt_ret(gpu_event_record(event, stream_handle(s)));
}
ALIAS(cudaEventRecordWithFlags, cudaEventRecordWithFlags_ptsz);

EXPORT int cudaEventRecord(void *event, void *s)
{
    return cudaEventRecordWithFlags(event, s, 0);
}
ALIAS(cudaEventRecord, cudaEventRecord_ptsz);

EXPORT int cudaEventQuery(void *event)
{
    return rt_ret(gpu_event_query(event));
}
ALIAS(cudaEventQuery, cudaEventSynchronize);

EXPORT int cudaEventElapsedTime(float *ms, void *from, void *to)
{
    return rt_ret(ms ? gpu_event_ms(from, to, ms) : GPU_INVALID_VALUE);
}

/* ---- Capture ---- */

EXPORT int cudaStreamBeginCapture(void *s, int mode)
{
    (void)mode;
    return rt_ret(gpu_stream_begin_capture(stream_handle(s), NULL));
}
ALIAS(cudaStreamBeginCapture, cudaStreamBeginCapture_ptsz);

EXPORT int cudaStreamEndCapture(void *s, void **graph)
{
    return rt_ret(graph ? gpu_stream_end_capture(stream_handle(s), (GpuGraph **)graph)
                        : GPU_INVALID_VALUE);
}
ALIAS(cudaStreamEndCapture, cudaStreamEndCapture_ptsz);

EXPORT int cudaStreamIsCapturing(void *s, int *status)
{
    if (!status)
        return rt_ret(GPU_INVALID_VALUE);
    *status = gpu_stream_capture_status(stream_handle(s), NULL);
    return GPU_OK;
}
ALIAS(cudaStreamIsCapturing, cudaStreamIsCapturing_ptsz);

EXPORT int cudaThreadExchangeStreamCaptureMode(int *mode)
{
    static _Thread_local int current;
    if (!mode)
        return rt_ret(GPU_INVALID_VALUE);
    int old = current;
    current = *mode;
    *mode = old;
    return GPU_OK;
}
