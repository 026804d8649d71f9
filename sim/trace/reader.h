/* A trace in memory, shared by the reader, the replaying front end and the printer. */
#ifndef RAO_TRACE_READER_H
#define RAO_TRACE_READER_H

#include "sim/trace/codec.h"
#include "sim/trace/trace.h"

typedef struct TraceWarp {
    const uint8_t *data;
    size_t n;
} TraceWarp;

typedef struct TraceCta {
    uint32_t cta;
    TraceWarp *warps;
} TraceCta;

struct Trace {
    TraceHeader header;
    Code code; /* ops, deps, and just enough of insns and func to name PTX lines */
    uint32_t n_warps, n_ctas;
    TraceCta *ctas;
};

/* Position in one warp's stream. */
typedef struct StreamPos {
    Cursor c;
    uint32_t expected;
    Op *last; /* [n_ops] */
} StreamPos;

/* Reads the next event. RUN and END fill run; OPS fills ops and n. 0: damaged. */
int stream_event(StreamPos *p, uint32_t n_ops, OpRun *run, Op ops[OP_BURST], uint32_t *n);

#endif
