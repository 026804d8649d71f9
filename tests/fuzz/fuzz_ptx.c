/* PTX text: any bytes give a module or one clear error. */
#include "isa/isa.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena a = {0};
    Err err = {0};
    Module *m;
    if (!isa_parse(&a, "fuzz.ptx", (const char *)data, size, &m, &err) && err.kind == ERR_NONE)
        __builtin_trap(); /* a failure without an error */
    arena_free(&a);
    return 0;
}
