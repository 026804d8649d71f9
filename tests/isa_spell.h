/* Writes instructions from the table: modifiers by number, operands as each place wants them, in a
 * frame that declares the registers used. */
#ifndef RAO_TESTS_ISA_SPELL_H
#define RAO_TESTS_ISA_SPELL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isa/form.h"
#include "isa/isa.h"

enum { TEXT = 4096 };

static const char spell_head[] =
    ".version 9.0\n.target %s\n.address_size 64\n"
    ".visible .entry k(.param .u64 p0) {\n"
    ".reg .pred %%p<8>; .reg .b8 %%c<8>; .reg .b16 %%h<300>; .reg .b32 %%r<300>;\n"
    ".reg .b64 %%rd<300>; .reg .b128 %%q<8>;\n";

typedef struct Out { /* text being made */
    char s[TEXT];
    size_t n;
} Out;

static inline void put(Out *o, const char *s)
{
    size_t n = strlen(s);
    if (o->n + n >= TEXT)
        abort();
    memcpy(o->s + o->n, s, n + 1);
    o->n += n;
}

/* ---- Choosing modifiers ---- */

/* One modifier slot's choices: 0 = not written (optional slots), else value or type number. */
static inline uint32_t choice_count(const Form *f, uint32_t slot, uint8_t *values)
{
    const ModForm *m = &f->mod[slot];
    uint32_t n = 0;
    if (m->kind == MOD_OF_CLASS && m->group)
        values[n++] = 0;
    for (uint32_t v = 1; m->kind == MOD_OF_CLASS && v <= mod_value_count((ModClass)m->cls); v++)
        if ((m->allow[v / 64] >> (v % 64)) & 1)
            values[n++] = (uint8_t)v;
    for (uint32_t t = 1; m->kind == MOD_TYPE && t < T_COUNT; t++)
        if ((m->types >> t) & 1)
            values[n++] = (uint8_t)t;
    if (m->kind == MOD_LITERAL)
        values[n++] = 1;
    return n;
}

/* The modifiers of spelling number `number` (mixed radix over the slots). False: groups written by
 * halves, or places of one placeholder that differ. */
static inline bool spelling(const Forms *fs, const Form *f, uint64_t number, ModSet *ms)
{
    uint8_t chosen[FORM_MODS], values[256];
    *ms = (ModSet){0};
    for (uint32_t i = 0; i < f->n_mods; i++) {
        uint32_t n = choice_count(f, i, values);
        chosen[i] = values[number % n];
        number /= n;
    }
    for (uint32_t i = 0; i < f->n_mods; i++) {
        const ModForm *m = &f->mod[i];
        for (uint32_t k = 0; k < i; k++) {
            const ModForm *e = &f->mod[k];
            if (m->group && m->group == e->group && !chosen[i] != !chosen[k])
                return false;
            if (m->kind == MOD_TYPE && e->kind == MOD_TYPE && m->type_no == e->type_no &&
                chosen[i] != chosen[k])
                return false;
        }
        if (m->kind == MOD_OF_CLASS && chosen[i])
            ms->mod[m->cls] = chosen[i];
        uint8_t type = m->kind == MOD_TYPE      ? chosen[i]
                       : m->kind == MOD_LITERAL ? fs->words[m->word].type
                                                : (uint8_t)T_NONE;
        if (type && m->type_at < 3)
            ms->type[m->type_at] = type;
    }
    return true;
}

static inline uint64_t spelling_count(const Form *f)
{
    uint8_t values[256];
    uint64_t n = 1;
    for (uint32_t i = 0; i < f->n_mods; i++)
        n *= choice_count(f, i, values);
    return n;
}

/* ---- Writing operands ---- */

static inline void put_reg(Out *o, PtxType t, uint32_t i)
{
    char buf[32];
    const char *stem = "%r";
    switch (t == T_NONE ? 32 : type_info[t].bits) {
    case 1:
        stem = "%p";
        break;
    case 8:
        stem = "%c";
        break;
    case 16:
        stem = "%h";
        break;
    case 64:
        stem = "%rd";
        break;
    case 128:
        stem = "%q";
        break;
    default:
        break;
    }
    snprintf(buf, sizeof buf, "%s%u", stem, i);
    put(o, buf);
}

/* A constant that the row's rules allow. */
static inline const char *constant(OpCode op, const OpdForm *f)
{
    if (strcmp(f->name, "size") == 0)
        return op == OP_CP_ASYNC || op == OP_CP_ASYNC_IGNORE ? "16" : "128";
    if (op == OP_SETMAXNREG)
        return "24";
    if (f->name[0] == 's' && (op == OP_WGMMA || op == OP_WGMMA_RS || op == OP_WGMMA_SP) &&
        strlen(f->name) == 2)
        return "1";
    if (op == OP_ALLOCA)
        return "16";

    return "0";
}

/* Elements of a vector whose count the row leaves open. */
static inline uint32_t open_count(OpCode op, const ModSet *ms)
{
    switch (op) {
    case OP_LDMATRIX_B8:
        return 1u << ms->mod[MC_NUM];
    case OP_LDMATRIX_FMT:
        return (1u << (ms->mod[MC_NUM] - MV_NUM_X1)) *
               (ms->mod[MC_MSHAPE] == MV_MSHAPE_M16N16 ? 2 : 1);
    case OP_CP_ASYNC_BULK_TENSOR_G2S_IM2COL:
        return ms->mod[MC_IM2COL] == MV_IM2COL_PLAIN ? ms->mod[MC_DIM] - 2u : 2;
    default:
        return op >= OP_MMA_SYNC_F32 && op <= OP_MMA_SYNC_S32 ? 4 : 2;
    }
}

static inline void put_vec(Out *o, OpCode op, const Form *f, const ModSet *ms, uint32_t k)
{
    uint32_t n = form_opd_count(f, ms, k);
    PtxType t = form_opd_type(f, ms, k);
    bool pack = op == OP_MOV_PACK || op == OP_MOV_UNPACK;
    if (pack)
        t = ms->type[0] == T_B16   ? T_B8
            : ms->type[0] == T_B32 ? T_B16
            : ms->type[0] == T_B64 ? T_B32
                                   : T_B64;
    if (n == 0)
        n = open_count(op, ms);
    put(o, "{");
    for (uint32_t i = 0; i < n; i++) {
        put(o, i ? ", " : "");
        put_reg(o, t, i);
    }
    put(o, "}");
}

static inline void put_mem(Out *o, OpCode op)
{
    bool tmem = strncmp(op_row[op].syntax, "tcgen05", 7) == 0 && op != OP_TCGEN05_ALLOC &&
                op != OP_TCGEN05_COMMIT;
    put(o, tmem ? "[%r9" : "[%rd9");
}

static inline void put_operand(Out *o, OpCode op, const Form *f, const ModSet *ms, uint32_t k)
{
    const OpdForm *of = &f->opd[k];
    bool remote = op >= OP_MBARRIER_ARRIVE && op <= OP_MBARRIER_ARRIVE_DROP_NOCOMPLETE &&
                  ms->mod[MC_SS] == MV_SS_SHARED_CLUSTER;
    if (remote && k == 0) {
        put(o, "_");
        return;
    }
    if (op == OP_TENSORMAP_REPLACE && k == 2 && ms->mod[MC_FIELD] >= MV_FIELD_ELEMTYPE) {
        put(o, "0");
        return;
    }
    switch ((OpdRole)of->role) {
    case OF_VALVEC:
        if (ms->mod[MC_VEC]) {
            put_vec(o, op, f, ms, k);
            break;
        }
        put_reg(o, form_opd_type(f, ms, k), k);
        break;
    case OF_VALUE:
        if (of->type_rule == TR_CONST)
            put(o, constant(op, of));
        else
            put_reg(o, form_opd_type(f, ms, k), k);
        break;
    case OF_PRED:
        put_reg(o, T_PRED, k % 8);
        break;
    case OF_MEM:
        put_mem(o, op);
        if (!(k + 1 < f->n_opds && f->opd[k + 1].in_bracket))
            put(o, "]");
        break;
    case OF_VEC:
        put_vec(o, op, f, ms, k);
        put(o, of->in_bracket ? "]" : "");
        break;
    case OF_LABEL:
        put(o, "L");
        break;
    case OF_TARGETS:
        put(o, "T");
        break;
    case OF_FUNC:
    case OF_ARGS:
    case OF_PROTO:
        break;
    }
}

/* The whole instruction, as print.c writes it. Untied optional operands are written if `full`. */
static inline void put_insn(Out *o, const Forms *fs, OpCode op, const ModSet *ms, bool full)
{
    const Form *f = &fs->form[op];
    char opcode[512];
    bool first = true;
    form_spell(fs, op, ms, opcode, sizeof opcode);
    put(o, opcode);
    for (uint32_t k = 0; k < f->n_opds; k++) {
        const OpdForm *of = &f->opd[k];
        bool tied = of->tie != MC_COUNT;
        bool ord = op == OP_TENSORMAP_REPLACE && k == 1;
        if (ord && !(ms->mod[MC_FIELD] >= MV_FIELD_BOX_DIM &&
                     ms->mod[MC_FIELD] <= MV_FIELD_ELEMENT_STRIDE))
            continue;
        bool trans = f->opd[k].name[0] == 't' && (op == OP_WGMMA || op == OP_WGMMA_RS);
        if (trans && of->group) { /* 16-bit types need them, others have none */
            if (ms->type[1] == T_F16 || ms->type[1] == T_BF16)
                put(o, ", 0");
            continue;
        }
        bool no_scale = strcmp(of->name, "scale") == 0 && ms->mod[MC_KIND] > MV_KIND_TF32;
        bool second = ms->mod[MC_SECOP] != 0; /* vadd.add and the like have a third operand */
        if (of->group && !second && (tied ? !form_tie_holds(of, ms) : (!full && !ord) || no_scale))
            continue;
        put(o, first ? " " : of->paired ? "|" : ", ");
        first = false;
        put_operand(o, op, f, ms, k);
    }
    put(o, ";");
}

static inline const char *target_of(OpCode op)
{
    return strncmp(op_row[op].syntax, "wgmma", 5) == 0 ? "sm_90a" : "sm_100a";
}

static inline bool legal(const Forms *fs, OpCode op, const ModSet *ms)
{
    return !form_rule_broken(&fs->form[op], op, ms);
}

#endif
