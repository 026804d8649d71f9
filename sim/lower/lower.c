/* Lowering: PTX as a compiler's front end writes it to what the machine issues, imitating ptxas
 * (ptx.md section 5). The passes, in order:
 *
 *   build      registers to 32-bit values, moves to copies, functions inlined (build*.c)
 *   cfg        blocks, dominators, loop depth, register budgets (cfg.c)
 *   simplify   copy propagation, constant folding, dead code, branch tidying (copyprop.c, fold.c)
 *   spins      wait loops, while the failing path still looks as it was written (spin.c)
 *   if-convert tiny side blocks become predicated, which joins blocks for the scheduler (cfg.c)
 *   waits      tcgen05.wait::ld becomes a dependence of the next operation; wgmma accumulators live
 * to the wait (sched.c) fuse       contraction, three-input forms, pairs; needs values of one
 * definition (fuse.c) coalesce   moves of loop variables; merged values have several definitions
 * (regalloc.c) uniform    a merged value varies if any of its definitions does (uniform.c) schedule
 * on the final values, so that it sees every dependence; needs a model (sched.c) emit       slots
 * by liveness, OpInfos (emit.c, regalloc.c)
 *
 * Not modelled: spills (Code.n_slots says how many registers the code wants), loop unrolling and
 * hoisting, register pairs and banks, the limit of seven predicate registers, BSSY/BSYNC, the
 * election loop around a divergent tcgen05.mma. */
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

bool code_lower(Arena *a, const Module *m, const Func *f, const CodeLayout *layout,
                const Model *model, Code **out, Err *err)
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
        attach_wgmma(&ir);
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
