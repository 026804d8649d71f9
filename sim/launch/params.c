/* The parameter buffer of a kernel: each argument's bytes at the place its .param has. */
#include <assert.h>
#include <string.h>

#include "isa/bits.h"
#include "sim/launch/elem.h"
#include "sim/launch/launch.h"

static uint32_t arg_bytes(const Arg *arg)
{
    switch (arg->kind) {
    case ARG_TENSOR:
        return 8;
    case ARG_SCALAR:
        return elem_of(arg->type)->bytes;
    case ARG_TENSORMAP:
        return TMAP_BYTES;
    case ARG_BYTES:
        return arg->blob_bytes;
    }
    return 0;
}

static const char *describe(const Launch *l, const Arg *arg, char *text, size_t n)
{
    switch (arg->kind) {
    case ARG_TENSOR:
        snprintf(text, n, "the address of tensor '%s'", l->tensors[arg->tensor].name);
        break;
    case ARG_SCALAR:
        snprintf(text, n, "%s", elem_of(arg->type)->name);
        break;
    case ARG_TENSORMAP:
        snprintf(text, n, "a tensor map");
        break;
    case ARG_BYTES:
        snprintf(text, n, "a struct");
        break;
    }
    return text;
}

static void put_u64(uint8_t *dst, uint64_t v)
{
    for (int k = 0; k < 8; k++)
        dst[k] = (uint8_t)(v >> 8 * k);
}

static bool put_arg(const Launch *l, const Arg *arg, uint8_t *dst, Err *err)
{
    switch (arg->kind) {
    case ARG_TENSOR:
        put_u64(dst, l->tensors[arg->tensor].addr);
        return true;
    case ARG_SCALAR:
        memcpy(dst, arg->bytes, arg_bytes(arg));
        return true;
    case ARG_TENSORMAP:
        return tensor_map_encode(arg->map, dst, err);
    case ARG_BYTES:
        memcpy(dst, arg->blob, arg->blob_bytes);
        for (uint32_t i = 0; i < arg->n_pointers; i++)
            put_u64(dst + arg->pointers[i].at,
                    l->tensors[arg->pointers[i].tensor].addr + arg->pointers[i].offset);
        return true;
    }
    return true;
}

bool launch_params(Arena *a, const Launch *l, const KernelLaunch *k, const Module *m, const Func *f,
                   const GlobalMem *mem, uint8_t **params, Err *err)
{
    (void)mem; /* asserted on only */
    if (k->n_args != f->n_params)
        return err_set(err, ERR_SEMANTIC, k->loc, "'%s' takes %u parameters, but 'args' has %u",
                       f->name, f->n_params, k->n_args);
    *params = arena_alloc(a, f->param_bytes + 1);
    for (uint32_t i = 0; i < k->n_args; i++) {
        const Arg *arg = &k->args[i];
        const Var *v = &m->vars[f->params[i]];
        char text[128];
        uint32_t bytes = arg_bytes(arg);
        if (bytes != v->size)
            return err_set(err, ERR_SEMANTIC, arg->loc,
                           "argument %u is %s, %u bytes, but parameter '%s' of '%s' has %llu", i,
                           describe(l, arg, text, sizeof text), bytes, v->name, f->name,
                           (unsigned long long)v->size);
        if (arg->kind == ARG_TENSORMAP && v->align % 64)
            return err_set(err, ERR_SEMANTIC, arg->loc,
                           "argument %u is a tensor map, but parameter '%s' of '%s' is not aligned "
                           "to 64 bytes",
                           i, v->name, f->name);
        assert(v->offset + v->size <= f->param_bytes);
        assert(arg->tensor < 0 ||
               mem_ptr(mem, l->tensors[arg->tensor].addr, l->tensors[arg->tensor].bytes));
        if (!put_arg(l, arg, *params + v->offset, err))
            return false;
    }
    return true;
}
