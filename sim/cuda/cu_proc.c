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

#define MISSING(name) extern void name##_address(void) __asm__(#name);
#include "sim/cuda/cu_missing.def"
#undef MISSING

static const Proc procs[] = {
#define CU(name, since, fn) {#name, since, fn##_address},
#include "sim/cuda/cu.def"
#undef CU
};

/* Whoever calls one of these hears its name. */
static const Proc missing[] = {
#define MISSING(name) {#name, 0, name##_address},
#include "sim/cuda/cu_missing.def"
#undef MISSING
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
    for (size_t i = 0; !known && !best && i < sizeof missing / sizeof *missing; i++)
        if (strcmp(missing[i].name, name) == 0)
            best = &missing[i];
    *fn = NULL;
    if (best)
        memcpy(fn, &best->fn, sizeof *fn);
    if (status)
        *status = best ? FOUND : known ? TOO_OLD : NO_SUCH_NAME;
    return best ? GPU_OK : GPU_NOT_FOUND;
}

EXPORT int cuGetProcAddress(const char *name, void **fn, int cuda_version, uint64_t flags)
{
    return cuGetProcAddress_v2(name, fn, cuda_version, flags, NULL);
}
