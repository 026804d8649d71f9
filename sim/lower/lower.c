/* Lowering: PTX as a compiler front end writes it to what the machine issues. The order of the passes and the reason
 * for each: docs/lowering.md. */
#include "sim/lower/ir.h"

enum { MAX_ROUNDS = 6 };

static void simplify(Ir *ir)
{
    for (uint32_t round = 0; round < MAX_ROUNDS; round++) {
        copy_propagate(ir);
        bool changed = fold_constants(ir);
        remove_dead(ir);
        if (cfg_cleanup(ir)) {
            cfg_build(ir);
            changed = true;
        }
        if (!changed)
            break;
    }
}

bool code_lower(Arena *a, const Module *m, const Func *f, const CodeLayout *layout, const Model *model, Code **out,
                Err *err)
{
    Arena scratch = {0};
    Ir ir = {.a = &scratch, .module = m, .func = f, .layout = layout, .model = model};
    ir.forms = forms_new(&scratch);
    bool ok = build_ir(&ir, err);
    if (ok) {
        cfg_build(&ir);
        simplify(&ir);
        mark_spins(&ir);
        cfg_if_convert(&ir);
        cfg_build(&ir);
        attach_waits(&ir);
        fuse_ops(&ir);
        remove_dead(&ir);
        coalesce(&ir);
        mark_uniform(&ir);
        if (model)
            schedule(&ir);
        ok = emit_code(&ir, a, out, err);
    }
    arena_free(&scratch);
    return ok;
}
