/* Launch files: any bytes give a launch or one clear error, and what is accepted holds what
 * launch.h promises. */
#include "sim/launch/launch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena a = {0};
    Err err = {0};
    Launch *l;
    bool ok = launch_parse_text(&a, "fuzz.yaml", (const char *)data, size, &l, &err);
    if (ok != (err.kind == ERR_NONE))
        __builtin_trap(); /* a failure without an error, or the reverse */
    for (uint32_t i = 0; ok && i < l->n_launches; i++) {
        const KernelLaunch *k = &l->launches[i];
        uint32_t threads = k->block[0] * k->block[1] * k->block[2];
        uint64_t warps = 0;
        for (uint32_t j = 0; j < k->n_roles; j++) {
            if (warps & k->roles[j].warps)
                __builtin_trap();
            warps |= k->roles[j].warps;
        }
        if (threads < 1 || threads > 1024 || warps != ((uint64_t)1 << (threads + 31) / 32) - 1)
            __builtin_trap();
    }
    arena_free(&a);
    return 0;
}
