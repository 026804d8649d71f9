/* code_print: the instructions that the executor runs beside the operations that the machine issues
 * for them. */
#include "sim/lower/code.h"
#include "sim/lower/front.h"

#include <stdarg.h>

/* clang-format off */
static const char *const kind_name[OK_COUNT] = {
    [OK_PLAIN] = "", [OK_SKIPPED] = "skipped", [OK_BRANCH] = "branch", [OK_EXIT] = "exit", [OK_SMEM] = "smem",
    [OK_GMEM] = "gmem", [OK_TMEM] = "tmem", [OK_WAIT_ST] = "wait_st", [OK_MMA] = "mma", [OK_COMMIT] = "commit",
    [OK_WGMMA] = "wgmma", [OK_WGMMA_COMMIT] = "wgmma_commit", [OK_WGMMA_WAIT] = "wgmma_wait",
    [OK_TMEM_CP] = "tmem_cp", [OK_TMA_LOAD] = "tma_load", [OK_TMA_STORE] = "tma_store",
    [OK_TMA_PREFETCH] = "tma_prefetch", [OK_BULK_COMMIT] = "bulk_commit", [OK_BULK_WAIT] = "bulk_wait",
    [OK_CPASYNC] = "cpasync", [OK_CPASYNC_COMMIT] = "cpasync_commit", [OK_CPASYNC_WAIT] = "cpasync_wait",
    [OK_CPASYNC_ARRIVE] = "cpasync_arrive", [OK_MBAR_INIT] = "mbar_init", [OK_MBAR_INVAL] = "mbar_inval",
    [OK_MBAR_ARRIVE] = "mbar_arrive", [OK_MBAR_TX] = "mbar_tx", [OK_MBAR_WAIT] = "mbar_wait",
    [OK_MBAR_TEST] = "mbar_test", [OK_BAR_SYNC] = "bar_sync", [OK_BAR_ARRIVE] = "bar_arrive",
    [OK_CLUSTER_ARRIVE] = "cluster_arrive", [OK_CLUSTER_WAIT] = "cluster_wait", [OK_TMEM_ALLOC] = "tmem_alloc",
    [OK_TMEM_DEALLOC] = "tmem_dealloc", [OK_TMEM_RELINQUISH] = "tmem_relinquish", [OK_SETMAXNREG] = "setmaxnreg",
    [OK_FENCE] = "fence", [OK_NANOSLEEP] = "nanosleep", [OK_GRIDDEP] = "griddep", [OK_FAULT] = "fault", [OK_CANCEL] = "cancel", [OK_REMOTE] = "remote",
};
/* clang-format on */

enum { TEXT = 2048, COLUMN = 76 };

typedef struct Text {
    char s[TEXT];
    size_t n;
} Text;

__attribute__((format(printf, 2, 3))) static void put(Text *t, const char *fmt, ...);

static void put(Text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(t->s + t->n, TEXT - t->n, fmt, ap);
    va_end(ap);
    if (n > 0)
        t->n = t->n + (size_t)n < TEXT ? t->n + (size_t)n : TEXT - 1;
}

static void put_slot(Text *t, const Code *c, Slot s)
{
    if (s == SLOT_SINK)
        put(t, "_");
    else if (s < 0)
        put(t, "0x%x", c->consts[-1 - s]);
    else
        put(t, "r%d", s);
}

static void put_slots(Text *t, const Code *c, const CodeOpd *o)
{
    for (uint32_t k = 0; k < o->n; k++) {
        put(t, k ? " " : "");
        put_slot(t, c, c->slots[o->first + k]);
    }
}

static void put_operand(Text *t, const Code *c, const CodeOpd *o)
{
    switch ((CodeOpdKind)o->kind) {
    case CO_NONE:
        put(t, "-");
        break;
    case CO_VALUE:
        put(t, o->n > 1 ? "{" : "");
        put_slots(t, c, o);
        put(t, o->n > 1 ? "}" : "");
        break;
    case CO_PRED:
        put(t, o->neg ? "!" : "");
        if (o->pred >= 0)
            put(t, "p%d", o->pred);
        else
            put(t, "%s", o->pred == PRED_TRUE ? "true" : o->pred == PRED_FALSE ? "false" : "_");
        break;
    case CO_MEM:
        put(t, "[");
        put_slots(t, c, o);
        put(t, o->n ? "%+lld]" : "0x%llx]", (long long)o->imm);
        break;
    case CO_SREG:
        put(t, "%s", sreg_info[o->imm].name);
        break;
    case CO_LABEL:
        put(t, "@%lld", (long long)o->imm);
        break;
    }
}

static void put_insn(Text *t, const Code *c, uint32_t i)
{
    const CodeInsn *in = &c->insns[i];
    put(t, "%5u%c ", i, in->flags & CF_TARGET ? ':' : ' ');
    if (in->guard >= 0)
        put(t, "@%sp%d ", in->guard_neg ? "!" : "", in->guard);
    put(t, "%s", op_row[in->op].id);
    for (uint32_t k = 0; k < 3 && in->type[k] != T_NONE; k++)
        put(t, ".%s", type_info[in->type[k]].name);
    for (uint32_t k = 0; k < in->n_opd; k++) {
        put(t, k ? ", " : " ");
        put_operand(t, c, &c->opds[in->opd + k]);
    }
}

static void put_op(Text *t, const Code *c, const CodeInsn *in)
{
    if (in->opinfo == OP_NONE) {
        put(t, in->flags & CF_FUSED ? "| (fused into the next)" : "| -");
        return;
    }
    const OpInfo *op = &c->ops[in->opinfo];
    put(t, "| %u %s", in->opinfo, tclass_name[op->tclass]);
    if (op->slots != 1)
        put(t, " x%u", op->slots);
    put(t, " %s%s", in->flags & CF_WAIT ? "wait " : "", kind_name[op->kind]);
    for (uint32_t k = 0; k < (uint32_t)op->n_src + op->n_dst; k++) {
        uint32_t d = c->deps[op->deps + k];
        put(t, k == op->n_src ? " ->" : "");
        put(t, d < c->n_slots ? " r%u" : " p%u", d < c->n_slots ? d : d - c->n_slots);
    }
}

void code_print(FILE *out, const Code *c)
{
    fprintf(out,
            "%s: %u PTX instructions, %u instructions, %u operations, %u registers, %u predicates, "
            "%u constants\n",
            c->func->name, c->func->n_insns, c->n_insns, c->n_ops, c->n_slots, c->n_preds,
            c->n_consts);
    for (uint32_t i = 0; i < c->n_insns; i++) {
        Text t = {.n = 0};
        put_insn(&t, c, i);
        if (t.n < COLUMN)
            put(&t, "%*s", (int)(COLUMN - t.n), "");
        put(&t, " ");
        put_op(&t, c, &c->insns[i]);
        fprintf(out, "%s\n", t.s);
    }
}
