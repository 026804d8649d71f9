/* Functional memory: one flat 64-bit generic address space.
 *
 *   0x0000_7e00_0000_0000 + rank << 24   shared window (16 MiB per CTA of a cluster; low 32 bits =
 * shared address) 0x0000_7e10_0000_0000                local window 0x0000_7e20_0000_0000 param
 * window (constant bank) 0x0000_7f00_0000_0000 ...            global: allocations, 256-byte
 * aligned, with unmapped gaps between
 *
 * Global memory is one reserved region of host memory; an allocation table tells legal from
 * illegal. A shared::cta or shared::cluster address is 32 bits: rank << 24 | offset; user data
 * start at offset 1024 (SHARED_BASE), as on sm_90 and later (ptx.md 3.8). */
#ifndef RAO_FUNC_MEM_H
#define RAO_FUNC_MEM_H

#include "isa/arena.h"
#include "isa/err.h"

#define SHARED_WINDOW 0x00007e0000000000u
#define LOCAL_WINDOW 0x00007e1000000000u
#define PARAM_WINDOW 0x00007e2000000000u
#define GLOBAL_BASE 0x00007f0000000000u
#define SHARED_BASE 1024u
#define SHARED_MAX 232448u /* bytes a CTA may use: 227 KB */

typedef struct GlobalMem GlobalMem;

/* Reserves the address space. Ends the program if the host refuses. */
GlobalMem *mem_new(void);
void mem_free(GlobalMem *m);

/* New allocation of `bytes` (> 0), filled with poison (0xff bytes: NaN in every float format). name
 * is for messages (kept by pointer). Returns its device address; 0 if there is no room. */
uint64_t mem_alloc(GlobalMem *m, uint64_t bytes, const char *name);

/* Host pointer to [addr, addr + bytes), or NULL if it is not wholly inside one allocation.
 * Thread-safe against reads; allocation must not run beside it. */
void *mem_ptr(const GlobalMem *m, uint64_t addr, uint64_t bytes);

/* The allocation that holds addr: its host pointer, start and size; NULL if there is none. */
void *mem_object(const GlobalMem *m, uint64_t addr, uint64_t *start, uint64_t *bytes);

/* Bytes of all allocations. */
uint64_t mem_used(const GlobalMem *m);

/* For messages: "tensor 'q' (1048576 bytes at 0x7f...) ends 16 bytes before the access" and the
 * like. */
void mem_describe(const GlobalMem *m, uint64_t addr, char *text, size_t n);

#endif
