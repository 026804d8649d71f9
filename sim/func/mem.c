#include "sim/func/mem.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

enum {
    MAX_ALLOCS = 65536,
    ALLOC_ALIGN = 256,  /* cudaMalloc's promise */
    GUARD_BYTES = 4096, /* never legal, between any two allocations */
    POISON = 0xff,
};
#define RESERVE_BYTES (UINT64_C(1) << 38) /* address space, not memory: more than a B200 has */
#define SMALLER_RESERVE (UINT64_C(1) << 33)

typedef struct Alloc {
    uint64_t addr, bytes;
    const char *name;
} Alloc;

/* Allocations in order of address. */
struct GlobalMem {
    uint8_t *base; /* host address of GLOBAL_BASE */
    uint64_t reserved, used;
    Alloc *allocs;
    uint32_t n_allocs;
};

static void *reserve(uint64_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

GlobalMem *mem_new(void)
{
    GlobalMem *m = calloc(1, sizeof *m);
    Alloc *allocs = calloc(MAX_ALLOCS, sizeof *allocs);
    uint64_t bytes = RESERVE_BYTES;
    void *base = reserve(bytes);
    while (!base && bytes > SMALLER_RESERVE) { /* a host with a limit on address space */
        bytes /= 2;
        base = reserve(bytes);
    }
    if (!m || !allocs || !base) {
        perror("rao: no address space for device memory");
        exit(1);
    }
    *m = (GlobalMem){.base = base, .reserved = bytes, .allocs = allocs};
    return m;
}

void mem_free(GlobalMem *m)
{
    if (!m)
        return;
    munmap(m->base, m->reserved);
    free(m->allocs);
    free(m);
}

static uint64_t round_up(uint64_t x, uint64_t to)
{
    return (x + to - 1) / to * to;
}

uint64_t mem_alloc(GlobalMem *m, uint64_t bytes, const char *name)
{
    assert(bytes > 0);
    uint64_t start = m->used;
    if (m->n_allocs == MAX_ALLOCS || bytes > m->reserved - start)
        return 0;
    uint64_t next = round_up(start + bytes, ALLOC_ALIGN) + GUARD_BYTES;
    uint64_t host_end = round_up(next, GUARD_BYTES);
    uint64_t host_start = start / GUARD_BYTES * GUARD_BYTES;
    if (host_end > m->reserved)
        return 0;
    if (mprotect(m->base + host_start, host_end - host_start, PROT_READ | PROT_WRITE) != 0)
        return 0;
    memset(m->base + start, POISON, bytes);
    m->allocs[m->n_allocs++] = (Alloc){GLOBAL_BASE + start, bytes, name ? name : "memory"};
    m->used = next;
    return GLOBAL_BASE + start;
}

/* The last allocation that starts at or before addr, or NULL. */
static const Alloc *alloc_before(const GlobalMem *m, uint64_t addr)
{
    uint32_t lo = 0, hi = m->n_allocs;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (m->allocs[mid].addr <= addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo > 0 ? &m->allocs[lo - 1] : NULL;
}

uint64_t mem_used(const GlobalMem *m)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < m->n_allocs; i++)
        sum += m->allocs[i].bytes;
    return sum;
}

void *mem_ptr(const GlobalMem *m, uint64_t addr, uint64_t bytes)
{
    const Alloc *al = alloc_before(m, addr);
    if (!al || addr - al->addr > al->bytes || bytes > al->bytes - (addr - al->addr))
        return NULL;
    return m->base + (addr - GLOBAL_BASE);
}

void *mem_object(const GlobalMem *m, uint64_t addr, uint64_t *start, uint64_t *bytes)
{
    const Alloc *al = alloc_before(m, addr);
    if (!al || addr - al->addr >= al->bytes)
        return NULL;
    *start = al->addr;
    *bytes = al->bytes;
    return m->base + (al->addr - GLOBAL_BASE);
}

void mem_describe(const GlobalMem *m, uint64_t addr, char *text, size_t n)
{
    const Alloc *al = alloc_before(m, addr);
    if (!al) {
        snprintf(text, n, "0x%llx is no global address", (unsigned long long)addr);
        return;
    }
    unsigned long long off = addr - al->addr, size = al->bytes, base = al->addr;
    if (off < size)
        snprintf(text, n, "at byte %llu of '%s' (%llu bytes at 0x%llx)", off, al->name, size, base);
    else
        snprintf(text, n, "'%s' (%llu bytes at 0x%llx) ends %llu bytes before the access", al->name,
                 size, base, off - size);
}
