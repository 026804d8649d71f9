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
    uint8_t *host;
    const char *name;
    bool own_map; /* host memory is a mapping of its own */
} Alloc;

/* Allocations in order of address. */
struct GlobalMem {
    uint8_t *base; /* host address of GLOBAL_BASE */
    uint64_t reserved;
    uint64_t used;  /* offset behind the last allocation of the region and its guard */
    bool has_holes; /* something has been released below `used` */
    Alloc *allocs;
    uint32_t n_allocs;
    void *heap;
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
    for (uint32_t i = 0; i < m->n_allocs; i++)
        if (m->allocs[i].own_map)
            munmap(m->allocs[i].host, m->allocs[i].bytes);
    munmap(m->base, m->reserved);
    free(m->allocs);
    free(m->heap);
    free(m);
}

void **mem_heap(GlobalMem *m)
{
    return &m->heap;
}

static uint64_t round_up(uint64_t x, uint64_t to)
{
    return (x + to - 1) / to * to;
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

static bool in_region(const GlobalMem *m, const Alloc *al)
{
    return al->host >= m->base && al->host < m->base + m->reserved;
}

/* ---- Making and ending allocations ---- */

static uint64_t room_of(uint64_t bytes)
{
    return round_up(bytes, ALLOC_ALIGN) + GUARD_BYTES;
}

/* Offset of the lowest hole that holds `bytes` and their guard, or of the end. */
static uint64_t find_hole(const GlobalMem *m, uint64_t bytes)
{
    uint64_t at = 0;
    for (uint32_t i = 0; m->has_holes && i < m->n_allocs; i++) {
        const Alloc *al = &m->allocs[i];
        if (!in_region(m, al))
            continue;
        if (al->addr - GLOBAL_BASE >= at && al->addr - GLOBAL_BASE - at >= room_of(bytes))
            return at;
        at = round_up(al->addr - GLOBAL_BASE + al->bytes, ALLOC_ALIGN) + GUARD_BYTES;
    }
    return m->has_holes ? at : m->used;
}

static bool insert(GlobalMem *m, Alloc al)
{
    if (m->n_allocs == MAX_ALLOCS || al.addr + al.bytes < al.addr)
        return false;
    const Alloc *before = alloc_before(m, al.addr);
    uint32_t i = before ? (uint32_t)(before - m->allocs) + 1 : 0;
    if (before && al.addr - before->addr < before->bytes)
        return false;
    if (i < m->n_allocs && m->allocs[i].addr - al.addr < al.bytes)
        return false;
    memmove(&m->allocs[i + 1], &m->allocs[i], (m->n_allocs - i) * sizeof *m->allocs);
    m->allocs[i] = al;
    m->n_allocs++;
    return true;
}

static uint64_t place_outside(GlobalMem *m, uint64_t addr, uint64_t bytes, bool raw,
                              const char *name)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return 0;
    if (!insert(m, (Alloc){addr, bytes, p, name ? name : "memory", true})) {
        munmap(p, bytes);
        return 0;
    }
    if (!raw)
        memset(p, POISON, bytes);
    return addr;
}

uint64_t mem_place(GlobalMem *m, uint64_t addr, uint64_t bytes, bool raw, const char *name)
{
    assert(bytes > 0);
    if (addr && (addr < GLOBAL_BASE || addr - GLOBAL_BASE >= m->reserved))
        return place_outside(m, addr, bytes, raw, name);
    uint64_t start = addr ? addr - GLOBAL_BASE : find_hole(m, bytes);
    if (start > m->reserved || bytes > m->reserved - start)
        return 0;
    uint64_t next = start + room_of(bytes);
    uint64_t host_end = round_up(next, GUARD_BYTES);
    uint64_t host_start = start / GUARD_BYTES * GUARD_BYTES;
    if (host_end > m->reserved)
        return 0;
    if (mprotect(m->base + host_start, host_end - host_start, PROT_READ | PROT_WRITE) != 0)
        return 0;
    Alloc al = {GLOBAL_BASE + start, bytes, m->base + start, name ? name : "memory", false};
    if (!insert(m, al))
        return 0;
    if (!raw)
        memset(al.host, POISON, bytes);
    if (next > m->used)
        m->used = next;
    else
        m->has_holes = true;
    return al.addr;
}

uint64_t mem_alloc(GlobalMem *m, uint64_t bytes, const char *name)
{
    return mem_place(m, 0, bytes, false, name);
}

bool mem_map(GlobalMem *m, uint64_t addr, void *host, uint64_t bytes, const char *name)
{
    return bytes > 0 && insert(m, (Alloc){addr, bytes, host, name ? name : "memory", false});
}

/* The host gets the pages back that belong to this allocation alone. */
static void give_back(const Alloc *al)
{
    uintptr_t first = round_up((uintptr_t)al->host, GUARD_BYTES);
    uintptr_t last = ((uintptr_t)al->host + al->bytes) / GUARD_BYTES * GUARD_BYTES;
    if (last > first)
        madvise((void *)first, last - first, MADV_DONTNEED);
}

bool mem_release(GlobalMem *m, uint64_t addr)
{
    const Alloc *al = alloc_before(m, addr);
    if (!al || al->addr != addr)
        return false;
    if (al->own_map)
        munmap(al->host, al->bytes);
    if (in_region(m, al)) {
        give_back(al);
        m->has_holes = true;
    }
    uint32_t i = (uint32_t)(al - m->allocs);
    m->n_allocs--;
    memmove(&m->allocs[i], &m->allocs[i + 1], (m->n_allocs - i) * sizeof *m->allocs);
    return true;
}

/* ---- Looking up ---- */

bool mem_at(const GlobalMem *m, uint32_t i, uint64_t *addr, uint64_t *bytes, void **host,
            const char **name)
{
    if (i >= m->n_allocs)
        return false;
    const Alloc *al = &m->allocs[i];
    *addr = al->addr;
    *bytes = al->bytes;
    *host = al->host;
    *name = al->name;
    return true;
}

uint32_t mem_index(const GlobalMem *m, uint64_t addr)
{
    const Alloc *al = alloc_before(m, addr);
    assert(al && addr - al->addr < al->bytes);
    return (uint32_t)(al - m->allocs);
}

uint32_t mem_count(const GlobalMem *m)
{
    return m->n_allocs;
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
    return al->host + (addr - al->addr);
}

void *mem_object(const GlobalMem *m, uint64_t addr, uint64_t *start, uint64_t *bytes)
{
    const Alloc *al = alloc_before(m, addr);
    if (!al || addr - al->addr >= al->bytes)
        return NULL;
    *start = al->addr;
    *bytes = al->bytes;
    return al->host;
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
