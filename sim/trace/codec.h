/* Inside of a trace, shared by recorder and reader: bytes, variable-length integers, and the
 * per-warp event stream.
 *
 * A warp's stream is a sequence of events:
 *
 *   RUN    varint z(first - expected), n, z(dyn - (first + n))   what front_next gave; "expected"
 * is the op after the last dyn; dyn == OP_NONE is written as END instead OPS    count, then per Op:
 * a mask byte of the fields that differ from the last Op of the same info, and those fields as
 * zigzag deltas YIELD  the driver switched the parked warp to another split END    the warp has
 * ended (first, n of the final run before it)
 */
#ifndef RAO_TRACE_CODEC_H
#define RAO_TRACE_CODEC_H

#include "sim/lower/front.h"

enum { EV_RUN = 1, EV_OPS, EV_YIELD, EV_END };

#define TRACE_MAGIC "RAOTRACE"
#define TRACE_VERSION 1u

typedef struct Bytes { /* growing buffer, malloc'd */
    uint8_t *data;
    size_t n, cap;
} Bytes;
void put_byte(Bytes *b, uint8_t v);
void put_uint(Bytes *b, uint64_t v);
void put_int(Bytes *b, int64_t v);
void put_double(Bytes *b, double v);
void put_text(Bytes *b, const char *s); /* NULL is written as "" */
void put_bytes(Bytes *b, const void *data, size_t n);
void bytes_free(Bytes *b);

/* Reads past the end give zeros and set bad; the caller checks once. */
typedef struct Cursor {
    const uint8_t *at, *end;
    bool bad;
} Cursor;
uint8_t get_byte(Cursor *c);
uint64_t get_uint(Cursor *c);
int64_t get_int(Cursor *c);
double get_double(Cursor *c);
char *get_text(Cursor *c, Arena *a);

/* Last Op per info, so that a loop's second trip costs one byte an Op. */
void put_op(Bytes *b, const Op *op, Op *last);
bool get_op(Cursor *c, Op *op, Op *last, uint32_t n_ops);

#endif
