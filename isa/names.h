/* Names of a module: each spelling is one Name, which knows what it stands for in the scope at
 * hand. Scopes nest; on leaving one, what its names stood for before comes back. */
#ifndef RAO_ISA_NAMES_H
#define RAO_ISA_NAMES_H

#include "isa/isa.h"

typedef enum SymKind {
    SYM_NONE,
    SYM_REG,     /* index in the function's registers */
    SYM_VECREG,  /* index of its first register, n elements */
    SYM_VAR,     /* index in Module.vars */
    SYM_FUNC,    /* index in Module.funcs */
    SYM_SREG,    /* Sreg */
    SYM_LABEL,   /* index of an instruction */
    SYM_TARGETS, /* index in the function's branch target lists */
} SymKind;

typedef struct Sym {
    uint8_t kind, n;
    uint16_t depth; /* of the scope that declares it */
    int32_t index;
    Loc loc; /* of the declaration */
} Sym;

typedef struct Name {
    const char *s;
    uint32_t len, hash;
    Sym sym, label;   /* two name spaces */
    int32_t opcode;   /* index + 1 of the cached opcode of this spelling, 0 = none */
    uint32_t used_in; /* Parser.func_no of the function in which a register or variable bears it
                         after flattening */
    uint32_t copies;  /* how many new names were made from it */
} Name;

typedef struct Undo {
    Name *name;
    Sym before;
    bool is_label;
} Undo;

typedef struct Names {
    Arena *a;
    Name **slot; /* hash table */
    uint32_t mask, n;
    Undo *undo;
    uint32_t n_undo, cap_undo;
} Names;

void names_init(Names *ns, Arena *a);

/* The Name of this spelling, made if need be. The text is copied. */
Name *names_get(Names *ns, const char *s, size_t n);

/* Gives the name a meaning until names_leave() to a state before. */
void names_bind(Names *ns, Name *name, bool is_label, Sym sym);

/* Takes back all bindings since `mark`, a value of ns->n_undo. */
void names_leave(Names *ns, uint32_t mark);

/* The name in scope nearest in spelling, or NULL if none is near; labels or all else. */
const char *names_nearest(const Names *ns, const char *s, size_t n, bool label);

/* Edits (insert, delete, replace, swap of neighbours) to make b from a; at most `limit` + 1. */
uint32_t edit_distance(const char *a, size_t na, const char *b, size_t nb, uint32_t limit);

/* Is `cand` nearer to s than `best` (NULL: none yet), and within *best_d edits? Then *best_d is
 * set. Of two at the same distance the one with the longer common beginning wins. */
bool spelled_nearer(const char *s, size_t n, const char *cand, const char *best, uint32_t *best_d);

/* Grows an arena array so that one more element fits: returns the array to use. */
void *grow(Arena *a, void *items, uint32_t n, uint32_t *cap, size_t item_bytes);

#endif
