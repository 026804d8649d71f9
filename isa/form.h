/* Forms: the syntax lines of isa.def, compiled once into slots. The same slots match an opcode's
 * modifiers, name the operands, check them and print them. A set of modifiers matches in any order;
 * types match in order. */
#ifndef RAO_ISA_FORM_H
#define RAO_ISA_FORM_H

#include "isa/isa.h"

enum {
    FORM_MODS = 20,
    FORM_OPDS = 12,
    FORM_WORDS_IN_OPCODE = 24,
    WORD_CLASSES = 6,
    MOD_VALUES = 128
};

/* A modifier spelling that some row knows, and all it can mean. */
typedef struct Word {
    const char *text;
    uint32_t len;
    uint8_t type;    /* PtxType, T_NONE if it is not a type */
    uint8_t n_class; /* classes that have it as a value */
    uint8_t cls[WORD_CLASSES], value[WORD_CLASSES];
} Word;

typedef enum ModKind { MOD_LITERAL, MOD_OF_CLASS, MOD_TYPE } ModKind;

typedef struct ModForm {
    uint8_t kind;    /* ModKind */
    uint8_t group;   /* 0 = must be written; else optional, all of one group or none */
    uint8_t cls;     /* MOD_OF_CLASS */
    uint8_t type_no; /* MOD_TYPE: placeholder 0.. ; equal placeholders must be equal types */
    uint8_t type_at; /* MOD_TYPE and literal types: place among the types of the opcode */
    uint16_t word;   /* literal: index in Forms.words */
    uint64_t types;  /* MOD_TYPE: bit per PtxType allowed */
    uint64_t allow[MOD_VALUES / 64]; /* MOD_OF_CLASS: bit per value allowed */
} ModForm;

typedef enum OpdRole {
    OF_VALUE,   /* register or constant */
    OF_PRED,    /* predicate, or a constant where it is read */
    OF_MEM,     /* [address] */
    OF_VEC,     /* {a, b} */
    OF_VALVEC,  /* a vector when .vec is written, else a value */
    OF_LABEL,   /* branch target */
    OF_TARGETS, /* branch target list */
    OF_FUNC,    /* function name, or a register */
    OF_ARGS,    /* (a, b) of a call */
    OF_PROTO,   /* prototype name of an indirect call */
} OpdRole;

typedef enum TypeRule { TR_T1, TR_T2, TR_T3, TR_WIDE, TR_FIXED, TR_ANY, TR_CONST } TypeRule;
typedef enum CountRule {
    CR_ANY,
    CR_FIXED,
    CR_VEC,
    CR_DIM,
    CR_NUM,
    CR_TMEM,
    CR_WGMMA,
    CR_LANES,
    CR_TWONUM,
    CR_AFRAG, /* registers of a fragment of mma.sync or wmma */
    CR_BFRAG,
    CR_DFRAG
} CountRule;

typedef struct OpdForm { /* one operand place = one Insn.opd[] */
    const char *name;
    uint8_t role, type_rule, type, count_rule, count;
    uint8_t group;       /* 0 = must be written; else optional, all of one group or none */
    uint8_t tie;         /* MC_COUNT, or: present exactly when this modifier class is written */
    uint8_t tie_value;   /* 0, or: when it has this value */
    bool is_dst, is_src; /* written, read (a read-write accumulator is both) */
    bool may_be_wider;   /* ld, st, cvt: the register may be wider than the type */
    bool may_sink;       /* '_' may stand here, or in an element */
    bool paired;         /* written after '|' */
    bool in_bracket;     /* the coordinates in [map, {c}] */
} OpdForm;

typedef struct Form {
    uint8_t n_mods, n_opds, n_groups; /* n_groups: optional operand groups */
    uint8_t n_types;
    uint16_t base; /* word of the mnemonic: "add" */
    int32_t next;  /* next row with the same mnemonic, or -1 */
    ModForm mod[FORM_MODS];
    OpdForm opd[FORM_OPDS];
} Form;

typedef struct Forms {
    Form form[OP_COUNT];
    Word *words;
    uint32_t n_words;
    int32_t *first; /* per word: first row with it as mnemonic, or -1 */
    uint16_t *hash; /* index + 1 in words */
    uint32_t hash_mask;
} Forms;

/* Compiles all rows. */
const Forms *forms_new(Arena *a);

/* The word, or -1 if no row uses it. */
int32_t forms_word(const Forms *fs, const char *text, size_t n);

/* What a matched opcode says, as Insn stores it. */
typedef struct ModSet {
    uint8_t type[3];
    uint8_t mod[MC_COUNT];
} ModSet;

typedef struct ModMiss { /* why an opcode did not match a row */
    uint32_t n_matched;  /* modifiers that found their place */
    int32_t word_at;     /* the first that did not, or -1 */
    int32_t slot;        /* the first modifier place left empty, or -1 */
    bool is_type;        /* word_at is a type in the wrong place */
} ModMiss;

/* Matches the modifiers (word indices, -1 for unknown ones) against the row. */
bool form_match(const Forms *fs, const Form *f, const int32_t *words, uint32_t n, ModSet *out,
                ModMiss *miss);

/* The expected type of operand k, T_NONE if any register will do. */
PtxType form_opd_type(const Form *f, const ModSet *ms, uint32_t k);

/* m, n and k of a value of mma_shape, and of wmma_shape. */
typedef struct MatShape {
    uint16_t m, n, k;
} MatShape;
MatShape form_mma_shape(uint8_t value);
MatShape form_wmma_shape(uint8_t value);

/* The number of elements a vector operand must have, 0 if any. */
uint32_t form_opd_count(const Form *f, const ModSet *ms, uint32_t k);

/* Is the tied operand to be written with these modifiers? */
bool form_tie_holds(const OpdForm *o, const ModSet *ms);

/* Rules of the manual that tie modifiers to each other (rules.c): NULL if all hold, else what is
 * wrong. */
const char *form_rule_broken(const Form *f, OpCode op, const ModSet *ms);

/* Writes the opcode of these modifiers as the row orders them, at most n bytes; returns its length.
 */
size_t form_spell(const Forms *fs, OpCode op, const ModSet *ms, char *buf, size_t n);

/* Spelling of value v (from 1) of a class, and the word of the class in syntax lines. */
const char *mod_value_text(ModClass c, uint32_t v);
const char *mod_class_word(ModClass c);
uint32_t mod_value_count(ModClass c);

#endif
