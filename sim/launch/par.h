/* Independent pieces of work on several host threads. */
#ifndef RAO_LAUNCH_PAR_H
#define RAO_LAUNCH_PAR_H

#include <stdint.h>

/* One piece: item of [0, items), run by thread `thread` of [0, threads): the index of that thread's
 * scratch. */
typedef void ParFn(void *ctx, uint32_t thread, uint64_t item);

/* Runs every item once, in no stated order; returns when all are done. Works with as many threads
 * as start. */
void par_for(uint32_t threads, uint64_t items, ParFn *fn, void *ctx);

/* Processors to use when nobody says how many: those online, at most 16. */
uint32_t par_default_threads(void);

#endif
