/* Where variables lie, and whether all are there. */
#include "isa/parse.h"

bool check_externs(Parser *p)
{
    for (uint32_t i = 0; i < p->m->n_vars; i++) {
        const Var *v = &p->m->vars[i];
        if (v->is_extern && v->space != SP_SHARED && v->needed.line)
            return fail_at(p, v->needed, ERR_SEMANTIC,
                           "'%.60s' is .extern (line %u) and defined nowhere in this module",
                           v->name, v->loc.line);
    }
    return true;
}

static uint64_t place(Var *v, uint64_t at)
{
    uint64_t align = v->align ? v->align : 1;
    v->offset = (at + align - 1) & ~(align - 1);
    return v->offset + v->size;
}

static uint64_t place_all(Module *m, Space space, int32_t func, bool want_extern, uint64_t at)
{
    for (uint32_t i = 0; i < m->n_vars; i++) {
        Var *v = &m->vars[i];
        if (v->space == space && v->func == func && v->is_extern == want_extern)
            at = place(v, at);
    }
    return at;
}

static void layout_func(Module *m, int32_t index, uint64_t module_shared)
{
    Func *f = &m->funcs[index];
    uint64_t at = 0;
    for (uint32_t i = 0; i < f->n_params; i++)
        at = place(&m->vars[f->params[i]], at);
    f->param_bytes = (uint32_t)at;
    at = 0;
    for (uint32_t i = 0; i < f->n_ret_params; i++)
        at = place(&m->vars[f->ret_params[i]], at);
    f->local_bytes = (uint32_t)place_all(m, SP_LOCAL, index, false, 0);
    if (f->is_entry)
        f->shared_bytes = (uint32_t)place_all(m, SP_SHARED, index, false, module_shared);
}

/* Static shared memory: the module's variables and those of device functions first, then each
 * kernel's own. The dynamic array begins behind the largest. */
void layout(Module *m)
{
    uint64_t shared = place_all(m, SP_SHARED, -1, false, 0), most = 0;
    for (uint32_t i = 0; i < m->n_funcs; i++)
        if (!m->funcs[i].is_entry)
            shared = place_all(m, SP_SHARED, (int32_t)i, false, shared);
    most = shared;
    for (uint32_t i = 0; i < m->n_funcs; i++) {
        layout_func(m, (int32_t)i, shared);
        if (m->funcs[i].shared_bytes > most)
            most = m->funcs[i].shared_bytes;
        if (!m->funcs[i].is_entry)
            m->funcs[i].shared_bytes = (uint32_t)shared;
    }
    bool dynamic = false;
    for (uint32_t i = 0; i < m->n_vars; i++)
        if (m->vars[i].space == SP_SHARED && m->vars[i].is_extern) {
            place(&m->vars[i], most);
            dynamic = true;
        }
    for (uint32_t i = 0; dynamic && i < m->n_funcs; i++) /* one place for it in all kernels */
        m->funcs[i].shared_bytes = (uint32_t)most;
    m->global_bytes = place_all(m, SP_GLOBAL, -1, true, place_all(m, SP_GLOBAL, -1, false, 0));
    m->const_bytes = place_all(m, SP_CONST, -1, true, place_all(m, SP_CONST, -1, false, 0));
    for (uint32_t i = 0; i < m->n_funcs;
         i++) { /* statics inside functions live in the module's images */
        m->global_bytes = place_all(m, SP_GLOBAL, (int32_t)i, false, m->global_bytes);
        m->const_bytes = place_all(m, SP_CONST, (int32_t)i, false, m->const_bytes);
    }
}
