#include "isa/isa.h"

#include "isa/form.h"

#include <stdlib.h>
#include <string.h>

/* clang-format off */
#define KIND_B 'B'
#define KIND_U 'U'
#define KIND_S 'S'
#define KIND_F 'F'
#define KIND_P 'P'
const TypeInfo type_info[T_COUNT] = {
    [T_NONE] = {"", 0, ' ', 0},
#define TYPE(id, text, nbits, k, n) [T_##id] = {.name = text, .bits = nbits, .kind = KIND_##k, .count = n},
#include "isa/types.def"
#undef TYPE
};

const SregInfo sreg_info[SR_COUNT] = {
#define SREG(id, text, t) [SR_##id] = {.name = text, .type = t},
#include "isa/sregs.def"
#undef SREG
};

const OpRow op_row[OP_COUNT] = {
#define INSN(i, s, t, c, e) [OP_##i] = {.id = #i, .syntax = s, .types = t, .exec = #e, .tclass = TC_##c},
#include "isa/isa.def"
#undef INSN
};

const char *const unit_name[U_COUNT] = {
#define UNIT(id, name, meaning) [U_##id] = name,
#include "isa/units.def"
#undef UNIT
};

/* The preprocessor cannot lower a name, so each class has its lower-case spelling here; one that is missing does not
 * compile, and test_isa_table compares. */
#define LOWER_NONE "none"
#define LOWER_FMA "fma"
#define LOWER_FMA2 "fma2"
#define LOWER_HFMA2 "hfma2"
#define LOWER_IMAD "imad"
#define LOWER_IMAD_WIDE "imad_wide"
#define LOWER_ALU "alu"
#define LOWER_MINMAX "minmax"
#define LOWER_F2FP "f2fp"
#define LOWER_CVT "cvt"
#define LOWER_BITS "bits"
#define LOWER_EX2 "ex2"
#define LOWER_MUFU "mufu"
#define LOWER_EX2_PAIR "ex2_pair"
#define LOWER_MUFU_PAIR "mufu_pair"
#define LOWER_FP64 "fp64"
#define LOWER_DIV "div"
#define LOWER_SHFL "shfl"
#define LOWER_VOTE "vote"
#define LOWER_S2R "s2r"
#define LOWER_UNIFORM "uniform"
#define LOWER_BRANCH "branch"
#define LOWER_LDS "lds"
#define LOWER_STS "sts"
#define LOWER_ATOMS "atoms"
#define LOWER_LDG "ldg"
#define LOWER_STG "stg"
#define LOWER_ATOMG "atomg"
#define LOWER_LDC "ldc"
#define LOWER_LDTM "ldtm"
#define LOWER_STTM "sttm"
#define LOWER_WAIT_ST "wait_st"
#define LOWER_TMEM_ALLOC "tmem_alloc"
#define LOWER_TMEM_CP "tmem_cp"
#define LOWER_MMA "mma"
#define LOWER_COMMIT "commit"
#define LOWER_WGMMA "wgmma"
#define LOWER_HMMA "hmma"
#define LOWER_HMMA_K8 "hmma_k8"
#define LOWER_HMMA_TF32 "hmma_tf32"
#define LOWER_HMMA_TF32_K4 "hmma_tf32_k4"
#define LOWER_QMMA "qmma"
#define LOWER_IMMA "imma"
#define LOWER_IMMA_K16 "imma_k16"
#define LOWER_IMMA4 "imma4"
#define LOWER_DMMA "dmma"
#define LOWER_MBAR_ARRIVE "mbar_arrive"
#define LOWER_MBAR_TRY "mbar_try"
#define LOWER_BAR "bar"
#define LOWER_WARPSYNC "warpsync"
#define LOWER_FENCE "fence"
#define LOWER_SETMAXREG "setmaxreg"
#define LOWER_NANOSLEEP "nanosleep"
#define LOWER_TMA_LD "tma_ld"
#define LOWER_TMA_ST "tma_st"
#define LOWER_TMA_PF "tma_pf"
#define LOWER_TMA_GROUP "tma_group"
#define LOWER_LDGSTS "ldgsts"
const char *const tclass_name[TC_COUNT] = {
#define TCLASS(id, unit, meaning) [TC_##id] = LOWER_##id,
#include "isa/tclass.def"
#undef TCLASS
};

const Unit tclass_unit[TC_COUNT] = {
#define TCLASS(id, unit, meaning) [TC_##id] = U_##unit,
#include "isa/tclass.def"
#undef TCLASS
};
/* clang-format on */

const char *mod_class_word(ModClass c)
{
    static const char *const word[MC_COUNT] = {
#define MOD_CLASS(k, w) [MC_##k] = w,
#define MOD_VALUE(k, v, text)
#define MOD_END
#include "isa/mods.def"
#undef MOD_CLASS
#undef MOD_VALUE
#undef MOD_END
    };
    return word[c];
}

/* All values of all classes, in the order of mods.def. */
static const struct ModValue {
    uint8_t cls, value;
    const char *text;
} mod_values[] = {
#define MOD_CLASS(k, w)
#define MOD_VALUE(k, v, text) {MC_##k, MV_##k##_##v, text},
#define MOD_END
#include "isa/mods.def"
#undef MOD_CLASS
#undef MOD_VALUE
#undef MOD_END
};
enum { N_MOD_VALUES = sizeof mod_values / sizeof mod_values[0] };

static uint32_t first_value(ModClass c)
{
    uint32_t i = 0;
    while (i < N_MOD_VALUES && mod_values[i].cls != c)
        i++;
    return i;
}

uint32_t mod_value_count(ModClass c)
{
    uint32_t i = first_value(c), n = 0;
    while (i + n < N_MOD_VALUES && mod_values[i + n].cls == c)
        n++;
    return n;
}

const char *mod_value_text(ModClass c, uint32_t v)
{
    return mod_values[first_value(c) + v - 1].text;
}

bool isa_find_entry(const Module *m, const char *name, const Func **out, Err *err)
{
    const Func *found = NULL;
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->n_funcs; i++) {
        const Func *f = &m->funcs[i];
        if (!f->is_entry || (name && strcmp(f->name, name) != 0))
            continue;
        found = f;
        n++;
    }
    if (n == 1) {
        *out = found;
        return true;
    }
    Loc loc = {.file = m->path};
    if (name)
        err_set(err, ERR_SEMANTIC, loc, "there is no kernel '%s'; the kernels are:", name);
    else if (n == 0)
        return err_set(err, ERR_SEMANTIC, loc, "the module has no kernel (.entry)");
    else
        err_set(err, ERR_SEMANTIC, loc, "the module has %u kernels, so one must be named:", n);
    for (uint32_t i = 0; i < m->n_funcs; i++)
        if (m->funcs[i].is_entry)
            err_append(err, " %s", m->funcs[i].name);
    return false;
}

bool isa_parse_file(Arena *a, const char *path, Module **out, Err *err)
{
    return isa_parse_kernel(a, path, NULL, out, err);
}

bool isa_parse_kernel(Arena *a, const char *path, const char *kernel, Module **out, Err *err)
{
    Loc loc = {.file = arena_str(a, path, strlen(path))};
    FILE *f = fopen(path, "rb");
    if (!f)
        return err_set(err, ERR_IO, loc, "the file cannot be opened");
    size_t cap = (size_t)1 << 16, len = 0, got;
    char *text = arena_alloc(a, cap);
    while ((got = fread(text + len, 1, cap - len, f)) > 0) {
        len += got;
        if (len < cap)
            continue;
        char *bigger = arena_alloc(a, cap * 4);
        memcpy(bigger, text, len);
        text = bigger;
        cap *= 4;
    }
    bool bad = ferror(f) != 0;
    fclose(f);
    if (bad)
        return err_set(err, ERR_IO, loc, "the file cannot be read");
    if (kernel)
        text = isa_slice(a, text, len, kernel);
    return isa_parse(a, loc.file, text, len, out, err);
}

const char *isa_refusal(OpCode op)
{
    static const struct {
        const char *exec, *reason;
    } refused[] = {
        {"unsupported", "not implemented"},
#define REFUSED(word, reason) {"refuse_" #word, reason},
#include "isa/refused.def"
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (strcmp(op_row[op].exec, refused[i].exec) == 0)
            return refused[i].reason;
    return NULL;
}

const IsaAbsent isa_absent[] = {
#define ABSENT(form, reason) {form, reason},
#include "isa/refused.def"
    {NULL, NULL},
};

void isa_list_unsupported(FILE *out)
{
    fprintf(out, "read, checked, and refused by name when a kernel executes it:\n\n");
    for (uint32_t op = 0; op < OP_COUNT; op++) {
        const char *reason = isa_refusal((OpCode)op), *syntax = op_row[op].syntax;
        if (reason)
            fprintf(out, "    %-24s %.*s   (%.*s)\n", op_row[op].id, (int)strcspn(syntax, " "),
                    syntax, (int)strcspn(reason, ":"), reason);
    }
    fprintf(out, "\nnot known, so an error where it stands:\n\n");
    for (const IsaAbsent *a = isa_absent; a->form; a++)
        fprintf(out, "    %-24s (%s)\n", a->form, a->reason);
}

void isa_list(FILE *out, const char *filter)
{
    size_t n = filter ? strlen(filter) : 0;
    for (uint32_t i = 0; i < OP_COUNT; i++) {
        const OpRow *r = &op_row[i];
        if (n && strncmp(r->syntax, filter, n) != 0)
            continue;
        fprintf(out, "%s", r->syntax);
        if (r->types[0])
            fprintf(out, "   (%s)", r->types);
        fprintf(out, "%s\n", isa_refusal((OpCode)i) ? "   [read, not executed]" : "");
    }
}
