/* Errors: kind, place, message. Filled in once where the trouble is seen, passed up unread, printed
 * once by the command. See docs/design.md for the three kinds of failure that are never mixed. */
#ifndef RAO_ISA_ERR_H
#define RAO_ISA_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum ErrKind {
    ERR_NONE = 0,
    ERR_IO,          /* a file could not be read or written */
    ERR_SYNTAX,      /* the text is not PTX, not YAML, not a trace */
    ERR_SEMANTIC,    /* well formed, but not allowed */
    ERR_UNSUPPORTED, /* legal, but this simulator does not model it */
    ERR_FAULT,       /* the simulated program did something undefined */
    ERR_DEADLOCK,    /* no warp of the simulated program can move */
} ErrKind;

/* What a fault was, where its cause has a name of its own. */
typedef enum FaultKind {
    FAULT_OTHER = 0,
    FAULT_ADDRESS,   /* access outside every allocation */
    FAULT_ALIGNMENT, /* address not a multiple of the access */
    FAULT_ASSERT,    /* __assertfail */
} FaultKind;

typedef struct Loc {
    const char *file;   /* borrowed: lives as long as the arena that read it; may be NULL */
    uint32_t line, col; /* 1-based; 0 = the whole file, the whole line */
} Loc;

typedef struct Err {
    ErrKind kind;
    FaultKind fault; /* of an ERR_FAULT */
    Loc loc;
    char msg[4096]; /* a deadlock report lists every waiting role, hence the size */
} Err;

/* Records an error and returns false, so that failing is one statement. The first error wins. */
bool err_set(Err *err, ErrKind kind, Loc loc, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Appends to the message of an error already set (cut at the end of the buffer). */
void err_append(Err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Writes "file:line:col: error: message" and, where the file is readable text, the line and a
 * caret. */
void err_print(FILE *out, const Err *err);

#endif
