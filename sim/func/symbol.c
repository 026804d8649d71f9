/* Shared variables by address. Static variables lie where the parser put them; the array of unknown
 * size, which names nothing in particular, begins where they end. */
#include "sim/func/symbol.h"

#include <stdio.h>

#include "isa/cxx.h"
#include "sim/func/mem.h"

static bool holds(const Var *v, uint64_t at)
{
    return v->space == SP_SHARED && at >= v->offset && (v->is_extern || at < v->offset + v->size);
}

void shared_symbol(const Code *c, uint32_t addr, char *text, size_t n)
{
    uint32_t offset = addr & 0xffffff, rank = addr >> 24;
    const Var *found = NULL;
    for (uint32_t i = 0; c->module && i < c->module->n_vars && offset >= SHARED_BASE; i++) {
        const Var *v = &c->module->vars[i];
        bool mine = v->func < 0 || &c->module->funcs[v->func] == c->func;
        if (mine && holds(v, offset - SHARED_BASE) && (!found || found->is_extern))
            found = v;
    }
    int len;
    char name[128];
    uint64_t in = found ? offset - SHARED_BASE - found->offset : 0;
    if (!found)
        len = snprintf(text, n, "shared 0x%x", offset);
    else if (in)
        len = snprintf(text, n, "%s+0x%llx", cxx_name(name, sizeof name, found->name),
                       (unsigned long long)in);
    else
        len = snprintf(text, n, "%s", cxx_name(name, sizeof name, found->name));
    if (rank && len > 0 && (size_t)len < n)
        snprintf(text + len, n - (size_t)len, " of CTA rank %u", rank);
}
