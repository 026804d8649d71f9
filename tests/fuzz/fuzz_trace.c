/* Trace files: any bytes give a trace or one clear error. The zstd frame is made here, so that the
 * fuzzer reaches what is inside; the frame itself is the library's concern. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "sim/trace/codec.h"
#include "sim/trace/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/rao_fuzz_%ld.rtrace", (long)getpid());
    size_t cap = ZSTD_compressBound(size);
    uint8_t *file = malloc(12 + cap);
    uint32_t version = TRACE_VERSION;
    if (!file)
        return 0;
    memcpy(file, TRACE_MAGIC, 8);
    memcpy(file + 8, &version, 4);
    size_t n = ZSTD_compress(file + 12, cap, data, size, 1);
    FILE *f = fopen(path, "wb");
    if (f) {
        fwrite(file, 12 + n, 1, f);
        fclose(f);
    }
    free(file);
    Arena a = {0};
    Err err = {0};
    Trace *t;
    if (trace_read(&a, path, &t, &err))
        trace_front(&a, t);
    else if (err.kind == ERR_NONE)
        __builtin_trap();
    arena_free(&a);
    remove(path);
    return 0;
}
