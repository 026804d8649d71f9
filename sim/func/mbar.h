/* The mbarrier as a state machine on one 64-bit word (layout: isa/bits.def). Execution keeps the
 * word in shared memory, replay keeps it in a table; both call these functions and nothing else.
 *
 * A phase completes when pending arrivals and pending tx bytes are both zero: the parity flips,
 * pending is re-armed to expected. The tx count may be negative for a while (complete_tx may
 * overtake expect_tx) as long as arrivals pend. PTX ISA "Parallel Synchronization ... mbarrier". */
#ifndef RAO_FUNC_MBAR_H
#define RAO_FUNC_MBAR_H

#include <stdbool.h>
#include <stdint.h>

typedef enum MbarResult {
    MBAR_OK,        /* accepted, phase still open */
    MBAR_FLIPPED,   /* accepted, and the phase completed */
    MBAR_BAD_COUNT, /* more arrivals than pend, or init count outside 1..2^20-1 */
    MBAR_BAD_TX,    /* tx count beyond +-(2^20-1) */
    MBAR_UNINIT,    /* the word is no initialised mbarrier */
} MbarResult;

MbarResult mbar_init(uint64_t *w, uint32_t count);
void mbar_inval(uint64_t *w);
/* expect_tx bytes first (0 = none), then `arrivals`. */
MbarResult mbar_arrive(uint64_t *w, uint32_t arrivals, uint32_t expect_tx);
MbarResult mbar_arrive_drop(uint64_t *w, uint32_t arrivals, uint32_t expect_tx);
/* expect_tx: bytes > 0; complete_tx: bytes < 0. */
MbarResult mbar_tx(uint64_t *w, int32_t bytes);
/* cp.async.mbarrier.arrive without .noinc raises the pending count first. */
MbarResult mbar_inc_pending(uint64_t *w, uint32_t n);
/* True if the phase with this parity has completed, i.e. the current phase has the other parity. */
bool mbar_phase_done(uint64_t w, uint32_t parity);
bool mbar_is_init(uint64_t w);

typedef struct MbarState {
    uint32_t parity, pending, expected;
    int32_t tx;
} MbarState;
MbarState mbar_state(uint64_t w);
const char *mbar_result_text(MbarResult r);

#endif
