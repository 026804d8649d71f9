/* Names for shared memory, for messages. */
#ifndef RAO_FUNC_SYMBOL_H
#define RAO_FUNC_SYMBOL_H

#include "sim/lower/code.h"

/* "full+0x8" where the PTX has a shared variable there (its C++ name as cxx.h shortens it), else
 * "shared 0x410" (the offset in the window); addr: rank << 24 | offset. A rank other than 0 is
 * added: "full+0x8 of CTA rank 1". */
void shared_symbol(const Code *c, uint32_t addr, char *text, size_t n);

#endif
