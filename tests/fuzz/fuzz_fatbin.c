/* Any bytes as a fat binary: read without harm. */
#include "sim/cuda/fatbin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 1 << 20 };
    Err err = {0};
    Fatbin f;
    FatImage im;
    if (!fatbin_open(&f, data, size, &err))
        return 0;
    while (fatbin_next(&f, &im, &err)) {
        Arena a = {0};
        Err bad = {0};
        const char *text;
        size_t len;
        if (im.raw_bytes < MOST)
            fatbin_ptx(&a, &im, &text, &len, &bad);
        arena_free(&a);
    }
    return 0;
}
