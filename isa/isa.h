/* PTX text and facts: the checked module that the rest of Rao works on.
 *
 * Characters become tokens (lex.c), tokens become a Module (parse.c, form.c), names and widths are
 * checked (check.c), and a Module prints back as PTX (print.c). Every instruction is described by
 * one row of isa.def and nowhere else. This library knows nothing of execution and nothing of time.
 */
#ifndef RAO_ISA_ISA_H
#define RAO_ISA_ISA_H

#include "isa/arena.h"
#include "isa/err.h"

typedef enum PtxType {
    T_NONE = 0,
#define TYPE(id, text, bits, kind, count) T_##id,
#include "isa/types.def"
#undef TYPE
    T_COUNT
} PtxType;

typedef struct TypeInfo {
    const char *name;
    uint8_t bits; /* of the register operand */
    char kind;    /* 'B' 'U' 'S' 'F' 'P' */
    uint8_t count;
} TypeInfo;
extern const TypeInfo type_info[T_COUNT];

/* Modifier classes (mods.def): index of Insn.mod[]. */
typedef enum ModClass {
#define MOD_CLASS(c, word) MC_##c,
#define MOD_VALUE(c, v, text)
#define MOD_END
#include "isa/mods.def"
#undef MOD_CLASS
#undef MOD_VALUE
#undef MOD_END
    MC_COUNT
} ModClass;

/* Values of each class, from 1: MV_RND_RN ... (0 = not written). */
/* clang-format off */
#define MOD_CLASS(c, word) enum { MV_##c##_NONE,
#define MOD_VALUE(c, v, text) MV_##c##_##v,
#define MOD_END };
/* clang-format on */
#include "isa/mods.def"
#undef MOD_CLASS
#undef MOD_VALUE
#undef MOD_END

/* Special registers (sregs.def). */
typedef enum Sreg {
#define SREG(id, text, type) SR_##id,
#include "isa/sregs.def"
#undef SREG
    SR_COUNT
} Sreg;
typedef struct SregInfo {
    const char *name; /* with the '%', e.g. "%tid.x" */
    PtxType type;
} SregInfo;
extern const SregInfo sreg_info[SR_COUNT];

/* One row of isa.def = one syntax form of the manual. */
typedef enum OpCode {
#define INSN(id, syntax, types, tclass, exec) OP_##id,
#include "isa/isa.def"
#undef INSN
    OP_COUNT
} OpCode;

/* Timing classes (tclass.def): what kind of machine operation a form is; numbers live in models/.
 */
typedef enum TClass {
#define TCLASS(id, unit, meaning) TC_##id,
#include "isa/tclass.def"
#undef TCLASS
    TC_COUNT
} TClass;

/* Units of the SM as reports name them (units.def). */
typedef enum Unit {
#define UNIT(id, name, meaning) U_##id,
#include "isa/units.def"
#undef UNIT
    U_COUNT
} Unit;
extern const char *const unit_name[U_COUNT];
extern const char *const tclass_name[TC_COUNT]; /* lower case, the key in models/ */
extern const Unit tclass_unit[TC_COUNT];

typedef struct OpRow {
    const char *id;     /* "ADD_F32" */
    const char *syntax; /* as the manual writes it */
    const char *types;  /* type set per type placeholder */
    const char *exec;   /* name of the function that gives the meaning */
    TClass tclass;
} OpRow;
extern const OpRow op_row[OP_COUNT];

typedef enum Space { SP_GENERIC, SP_CONST, SP_GLOBAL, SP_LOCAL, SP_PARAM, SP_SHARED } Space;

/* A variable: kernel parameter, .shared/.global/.const/.local object, .param of a call sequence. */
typedef struct VarInit { /* a place in the initial bytes that holds an address */
    uint64_t at;         /* byte offset in the variable */
    int32_t var, func;   /* whose address, or -1 */
    int64_t addend;
    bool generic;         /* generic(sym): generic address, else address in the symbol's space */
    uint8_t bytes, shift; /* width stored; 0xFF(sym) style byte extraction: value >> shift */
} VarInit;
enum { VAR_OF_PROTOTYPE = -2 };
typedef struct Var {
    const char *name;
    Space space;
    PtxType type;   /* element type */
    uint32_t align; /* bytes */
    uint64_t size;  /* bytes in all; 0 for an .extern .shared array of unknown size */
    bool is_extern;
    const uint8_t *init; /* size bytes or NULL (zero) */
    const VarInit *relocs;
    uint32_t n_relocs;
    uint64_t offset; /* parameters: offset in the parameter buffer; static .shared and .local:
                        offset in the CTA's static area or the thread's frame (natural or given
                        alignment, in order of declaration); extern .shared: the static size rounded
                        up; .global/.const: offset in the module's image of that space */
    int32_t
        func; /* owner function, or -1 for module scope, or VAR_OF_PROTOTYPE: nobody's, ignore it */
    Loc loc;
    Loc needed; /* where it is named first, or line 0 */
} Var;

typedef struct RegDecl { /* one virtual register; a vector register .v4 declares 4, named "q.x" ...
                          */
    const char *name;
    PtxType type;
} RegDecl;

typedef enum OpdKind {
    OPD_NONE = 0, /* optional operand that was not written */
    OPD_REG,      /* reg; neg = written as !p or, for predicates, complemented; imm: a selector of a
                     video instruction, or 0 */
    OPD_IMM,  /* imm: integer, or float bits as written (0f.. = binary32, 0d.. = binary64); is_float
               */
    OPD_SREG, /* sreg */
    OPD_ADDR_OF, /* var + imm: address of a variable used as a value (mov.u32 %r, sym) */
    OPD_FUNC,    /* func: a function's name (call, or its address) */
    OPD_MEM,     /* [reg|var|nothing + imm] */
    OPD_VEC,     /* {a, b, ...}: n elements from first in Module.elems; each is REG, IMM or SINK */
    OPD_SINK,    /* _ */
    OPD_LABEL, /* imm: index of the target instruction in the function; brx: index in Func.lists */
} OpdKind;

/* A selector as written, %r1.h10 or %r1.b3210: SELECT_HALF or SELECT_BYTE, the number of digits
 * from bit SELECT_COUNT on, and the digits, the last one lowest, as hexadecimal digits. */
enum { SELECT_BYTE = 1 << 20, SELECT_HALF = 1 << 21, SELECT_COUNT = 16 };
static inline uint32_t select_count(int64_t sel)
{
    return (uint32_t)sel >> SELECT_COUNT & 7;
}

typedef struct Operand {
    uint8_t kind;
    bool neg;
    bool is_float;  /* IMM written as a float: imm holds binary64 bits if written 0d or decimal, see
                       f32 */
    bool is_f32;    /* IMM written as 0f: imm holds binary32 bits */
    uint16_t n;     /* VEC */
    uint16_t sreg;  /* SREG */
    int32_t reg;    /* REG, MEM base; -1 none; index in Func.regs */
    int32_t var;    /* ADDR_OF, MEM base; index in Module.vars; -1 none */
    int32_t func;   /* FUNC */
    uint32_t first; /* VEC */
    int64_t imm;    /* IMM value, MEM and ADDR_OF offset, LABEL target */
    uint32_t col;   /* column in the source line, for messages */
} Operand;

/* One instruction. Operands stand in the order of the row's syntax line, one slot for each operand
 * place (an address [a] and a vector {..} are one each; "d|p" are two; an optional one that is
 * absent is OPD_NONE), so that opd[k] of a row always means the same thing. "[map, {c..}]" is MEM
 * then VEC. */
typedef struct Insn {
    uint16_t op; /* OpCode */
    uint8_t n_opd;
    bool guard_neg;
    int32_t guard;         /* predicate register or -1 */
    uint8_t type[3];       /* PtxType of the 1st.. type modifier of the row, T_NONE if absent */
    uint8_t mod[MC_COUNT]; /* value of each modifier class, 0 = not written */
    const Operand *opd;
    Loc loc;                     /* place in the PTX text */
    uint32_t src_file, src_line; /* from .loc: index in Module.files (0 = unknown), line */
} Insn;

typedef struct BranchList { /* .branchtargets: what brx.idx chooses from */
    int64_t *target;        /* instruction indices */
    uint32_t n;
} BranchList;

typedef struct Func {
    const char *name;
    bool is_entry;
    bool is_extern;       /* prototype only: vprintf, __assertfail */
    const char *alias_of; /* .alias: everything but the name is that function's; else NULL */
    int32_t *params;      /* Module.vars indices, in order */
    uint32_t n_params;
    uint32_t param_bytes; /* size of the kernel's parameter buffer */
    int32_t *ret_params;
    uint32_t n_ret_params;
    RegDecl *regs;
    uint32_t n_regs;
    Insn *insns;
    uint32_t n_insns;
    BranchList *lists;
    uint32_t n_lists;
    uint32_t shared_bytes; /* static shared memory used by this function and module scope */
    uint32_t local_bytes;  /* per thread */
    uint32_t maxntid[3], reqntid[3]; /* 0 = not given */
    uint32_t cluster[3];             /* .reqnctapercluster, 0 = not given */
    bool explicit_cluster;
    uint32_t maxnreg, minnctapersm;
    Loc loc;
} Func;

typedef struct Module {
    const char *path;
    uint32_t version_major, version_minor;
    const char *target; /* "sm_100a" */
    Func *funcs;
    uint32_t n_funcs;
    Var *vars;
    uint32_t n_vars;
    Operand *elems; /* elements of all vector operands */
    uint32_t n_elems;
    uint64_t global_bytes, const_bytes; /* sizes of the images of module-scope .global and .const */
    const char **files;                 /* .file table; files[0] = "" */
    uint32_t n_files;
    const struct Forms *
        forms; /* the compiled syntax lines: operand names, which are written, types (isa/form.h) */
} Module;

/* Parses and checks PTX text (UTF-8/ASCII, `len` bytes; need not end in NUL). `path` is for
 * messages. The module and everything it points to live in `a`. Errors: ERR_SYNTAX, ERR_SEMANTIC,
 * ERR_UNSUPPORTED with place, the offending word and the nearest legal choices. PTX ISA 9.0; see
 * research notes in docs/. */
bool isa_parse(Arena *a, const char *path, const char *text, size_t len, Module **out, Err *err);

/* A copy of the text in which the bodies of all entries but `keep` are blank, line by line as long
 * as before, so that parsing it costs little and places stay right; NULL: those of .func too, which
 * leaves the module's variables and the heads of its functions. The text need not be PTX. */
char *isa_slice(Arena *a, const char *text, size_t len, const char *keep);

/* Reads the file, then isa_parse. ERR_IO if it cannot be read. */
bool isa_parse_file(Arena *a, const char *path, Module **out, Err *err);
/* The same without the bodies of other kernels, whose static shared memory would push the dynamic
 * array up. NULL: all. */
bool isa_parse_kernel(Arena *a, const char *path, const char *kernel, Module **out, Err *err);

/* The entry of that name, or the only entry if name is NULL. ERR_SEMANTIC lists the entries if
 * there is none. */
bool isa_find_entry(const Module *m, const char *name, const Func **out, Err *err);

/* Prints as PTX that parses to the same module. */
void isa_print(FILE *out, const Module *m);

/* Prints one instruction without its guard's newline: "@%p1 add.s32 %r1, %r2, 4;". */
void isa_print_insn(FILE *out, const Module *m, const Func *f, const Insn *in);

/* Prints the table of supported forms (rao isa); filter = mnemonic prefix or NULL. */
void isa_list(FILE *out, const char *filter);

/* Why a form that is read is not executed (refused.def), or NULL: it is executed. The words before
 * the colon, if there is one, are enough for a list. */
const char *isa_refusal(OpCode op);

/* Forms of the manual without a row, ended by a NULL form (refused.def). */
typedef struct IsaAbsent {
    const char *form, *reason;
} IsaAbsent;
extern const IsaAbsent isa_absent[];

/* Prints what is refused and what is absent (rao isa --unsupported; README.md, Limits). */
void isa_list_unsupported(FILE *out);

#endif
