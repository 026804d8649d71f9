/* libcuda: functions by name. */
#include <string.h>

#include "sim/cuda/abi.h"
#include "sim/cuda/cu.h"

typedef void Fn(void);
typedef struct Proc {
    const char *name;
    int since;
    Fn *fn;
} Proc;

/* Declared as what they are elsewhere; here only addresses matter. */
#define CU(name, since, fn) extern void fn##_address(void) __asm__(#fn);
#include "sim/cuda/cu.def"
#undef CU

static const Proc procs[] = {
#define CU(name, since, fn) {#name, since, fn##_address},
#include "sim/cuda/cu.def"
#undef CU
};

enum { FOUND, NO_SUCH_NAME, TOO_OLD };

EXPORT int cuGetProcAddress_v2(const char *name, void **fn, int cuda_version, uint64_t flags,
                               int *status)
{
    (void)flags; /* per-thread default stream: see ALIAS */
    const Proc *best = NULL;
    bool known = false;
    if (!name || !fn)
        return GPU_INVALID_VALUE;
    for (size_t i = 0; i < sizeof procs / sizeof *procs; i++) {
        const Proc *p = &procs[i];
        if (strcmp(p->name, name) != 0)
            continue;
        known = true;
        if (p->since <= cuda_version && (!best || p->since > best->since))
            best = p;
    }
    *fn = NULL;
    if (best)
        memcpy(fn, &best->fn, sizeof *fn);
    if (status)
        *status = best ? FOUND : known ? TOO_OLD : NO_SUCH_NAME;
    return best ? GPU_OK : GPU_NOT_FOUND;
}
