/* What a check compares: rows of the output tensor (its last dimension), some of them or all,
 * against rows of a reference that come in any order and from any thread. Sums are kept for each
 * row and added in the end in the tensor's order, so that the result does not depend on the number
 * of threads. */
#ifndef RAO_LAUNCH_COMPARE_H
#define RAO_LAUNCH_COMPARE_H

#include "sim/launch/elem.h"
#include "sim/launch/launch.h"

#define COMPARE_COLS 256u /* columns of a row that are summed as one piece */

typedef struct RowSum {
    double diff2, ref2;
    uint64_t n, n_nan; /* compared; NaN in the output */
} RowSum;

typedef struct Compare {
    const Elem *e;
    const uint8_t *out;
    uint64_t cols;        /* elements of a row */
    bool partial;         /* elements that hold poison are left out */
    const uint64_t *rows; /* to compare, ascending */
    uint64_t n_rows;
    uint64_t pieces; /* of a row: ceil(cols / COMPARE_COLS) */
    RowSum *sums;    /* [n_rows][pieces] */
} Compare;

/* Reference elements [col, col + n) of row rows[i]; inside one piece. */
void compare_piece(const Compare *c, uint64_t i, uint64_t col, uint64_t n, const double *ref);
/* All of row rows[i]. */
void compare_row(const Compare *c, uint64_t i, const double *ref);
/* Whether any element there is to be compared. */
bool compare_needs(const Compare *c, uint64_t i, uint64_t col, uint64_t n);

typedef struct RefJob {
    const Check *check;
    const Tensor *out;
    const Tensor *in[3]; /* NULL where the reference takes fewer */
    const uint8_t *data[3];
    const Compare *cmp;
    uint32_t threads;
} RefJob;

/* Computes the rows to compare and compares them (reference.c). Scratch memory lives in `a`. */
void reference_run(Arena *a, const RefJob *job);

#endif
