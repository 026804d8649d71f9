/* Model files: any bytes give a model or one clear error. */
#include "sim/model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena a = {0};
    Err err = {0};
    Model m;
    bool ok = model_parse_text(&a, "fuzz.yaml", (const char *)data, size, &m, &err);
    if (ok != (err.kind == ERR_NONE))
        __builtin_trap(); /* a failure without an error, or the reverse */
    arena_free(&a);
    return 0;
}
