/* Traces: what the time core consumed, per warp, in a file; and the front end that feeds it back.
 *
 * File (.rtrace): "RAOTRACE" magic, version, then a zstd stream of: header (kernel, model name and
 * hash, geometry, CTA list, roles, flops, launch file name, SM choice, recorded cycles), the static
 * ops (OpInfo, deps, source lines), then per CTA and warp the sequence of runs and dynamic Ops,
 * delta-coded. */
#ifndef RAO_TRACE_TRACE_H
#define RAO_TRACE_TRACE_H

#include "sim/lower/front.h"

typedef struct TraceRole {
    const char *name;
    uint64_t warps;
} TraceRole;

typedef struct TraceHeader {
    const char *kernel, *launch, *model, *command;
    uint64_t model_hash;
    uint32_t grid[3], block[3], cluster[3];
    uint32_t sms, sms_total; /* SimDesc.sms as resolved; of the recording model */
    uint32_t shared_per_cta, regs_per_thread;
    double flops;
    uint64_t footprint; /* Front.footprint of the recording run; filled by the recorder */
    Cycle cycles;       /* of the recording run */
    TraceRole *roles;
    uint32_t n_roles;
} TraceHeader;

/* Recording: a front end that hands everything through from `inner` and remembers it in memory. */
typedef struct Recorder Recorder;
Recorder *recorder_new(Arena *a, Front *inner);
Front *recorder_front(Recorder *r);
void recorder_free(Recorder *r);
/* Whether recorder_write could: asked before a long run. */
bool recorder_can_write(const char *path, Err *err);
/* Writes the file (to a temporary name, then renamed: never half a file). */
bool recorder_write(Recorder *r, const char *path, const TraceHeader *h, Err *err);

/* Reading: checks magic, version, sizes and every index; ERR_SYNTAX says what is wrong (a cut file,
 * another version). */
typedef struct Trace Trace;
bool trace_read(Arena *a, const char *path, Trace **out, Err *err);
const TraceHeader *trace_header(const Trace *t);
Front *trace_front(Arena *a, Trace *t);

/* Text form: a front end that hands everything through from `inner` (a trace_front, driven by the
 * time core) and prints one line per operation, in the order in which they issue: cycle, cta, warp,
 * role, PTX line, instruction, unit, and for operations with a dynamic part what they touched.
 * Register-only operations have no cycle of their own: they issue between the lines around them. */
typedef struct TraceFilter {
    int64_t cta;          /* -1: all */
    uint64_t warps;       /* bit per warp */
    uint64_t first, last; /* cycles */
} TraceFilter;
Front *trace_printer(Arena *a, Front *inner, const Trace *t, FILE *out, const TraceFilter *filter);

#endif
