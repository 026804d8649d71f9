/* Functional memory: one flat 64-bit generic address space.
 *
 *   0x1e00_0000_0000 + rank << 24  shared window: 16 MiB per CTA of a cluster, low 32 bits = shared
 *                                  address
 *   0x1e10_0000_0000               local window
 *   0x1e20_0000_0000               param window (constant bank)
 *   0x2000_0000_0000 ...           global: allocations, 256-byte aligned, unmapped gaps between
 *
 * Linux puts nothing of a process there (programs and their heap lie below or at 0x55.., libraries
 * and mmap at 0x7f..), so that memory of a host program can be mapped at its own address
 * (mem_map) beside device memory.
 *
 * Allocations live in one reserved region of host memory; a table tells legal from illegal. A
 * shared::cta or shared::cluster address is 32 bits: rank << 24 | offset; user data start at offset
 * 1024 (SHARED_BASE), as on sm_90 and later (ptx.md 3.8). */
#ifndef RAO_FUNC_MEM_H
#define RAO_FUNC_MEM_H

#include <stdbool.h>

#include "isa/arena.h"
#include "isa/err.h"

#define SHARED_WINDOW 0x00001e0000000000u
#define LOCAL_WINDOW 0x00001e1000000000u
#define PARAM_WINDOW 0x00001e2000000000u
#define CODE_WINDOW                                                                                \
    0x00001e3000000000u /* addresses of functions (code.h); nothing is stored there */
#define GLOBAL_BASE 0x0000200000000000u
#define SHARED_BASE 1024u
#define SHARED_MAX 232448u /* bytes a CTA may use: 227 KB */

typedef struct GlobalMem GlobalMem;

/* Reserves the address space. Ends the program if the host refuses. */
GlobalMem *mem_new(void);
void mem_free(GlobalMem *m);

/* New allocation of `bytes` (> 0), filled with poison (0xff bytes: NaN in every float format). name
 * is for messages (kept by pointer). Returns its device address; 0 if there is no room. */
uint64_t mem_alloc(GlobalMem *m, uint64_t bytes, const char *name);

/* The same at a given address (0: anywhere), and not filled if `raw` (contents are then zeros or
 * what a released allocation left). Below and beyond the region (addresses that were a host's) the
 * host memory is a mapping of its own. 0 if something is there already. */
uint64_t mem_place(GlobalMem *m, uint64_t addr, uint64_t bytes, bool raw, const char *name);

/* Makes existing host memory (borrowed until mem_release) visible to kernels at `addr`. False if
 * something is there already, or the table is full. */
bool mem_map(GlobalMem *m, uint64_t addr, void *host, uint64_t bytes, const char *name);

/* Ends the allocation that starts at addr; its room may be used again. False: there is none. */
bool mem_release(GlobalMem *m, uint64_t addr);

/* Where heap.c keeps what it knows, NULL at first; given back by mem_free with free(). */
void **mem_heap(GlobalMem *m);

/* Allocations in order of address: start, size, host pointer and name of the i-th; false behind the
 * last. */
bool mem_at(const GlobalMem *m, uint32_t i, uint64_t *addr, uint64_t *bytes, void **host,
            const char **name);

/* Host pointer to [addr, addr + bytes), or NULL if it is not wholly inside one allocation.
 * Thread-safe against reads; allocation must not run beside it. */
void *mem_ptr(const GlobalMem *m, uint64_t addr, uint64_t bytes);

/* The allocation that holds addr: its host pointer, start and size; NULL if there is none. */
void *mem_object(const GlobalMem *m, uint64_t addr, uint64_t *start, uint64_t *bytes);

uint32_t mem_count(const GlobalMem *m);
/* Which one holds addr; it must be in one. */
uint32_t mem_index(const GlobalMem *m, uint64_t addr);

/* Bytes of all allocations. */
uint64_t mem_used(const GlobalMem *m);

/* For messages: "tensor 'q' (1048576 bytes at 0x7f...) ends 16 bytes before the access" and the
 * like. */
void mem_describe(const GlobalMem *m, uint64_t addr, char *text, size_t n);

#endif
