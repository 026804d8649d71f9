/* Blocks are of 2^k bytes behind a header; free ones of each k are in a list through their first
 * words. Headers lie in the heap itself, as on a GPU: a kernel that writes before its block spoils
 * them, which heap_free notices. */
#include "sim/func/heap.h"

#include <pthread.h>
#include <stdlib.h>

enum { HEADER = 16, SMALLEST = 4, N_SIZES = 26 };
#define IN_USE 0x00616f6865617001u /* k in the highest byte */

typedef struct HeapState {
    uint64_t base;
    uint64_t next; /* offset behind the last block */
    uint64_t free_list[N_SIZES];
} HeapState;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

bool heap_prepare(GlobalMem *m)
{
    void **slot = mem_heap(m);
    if (*slot)
        return true;
    HeapState *h = calloc(1, sizeof *h);
    uint64_t base = h ? mem_place(m, 0, HEAP_BYTES, true, "the heap of kernels") : 0;
    if (!base) {
        free(h);
        return false;
    }
    h->base = base;
    *slot = h;
    return true;
}

static uint64_t *word(GlobalMem *m, const HeapState *h, uint64_t offset)
{
    return mem_ptr(m, h->base + offset, sizeof(uint64_t));
}

static uint64_t take(GlobalMem *m, HeapState *h, uint32_t k)
{
    uint64_t at = h->free_list[k], bytes = HEADER + ((uint64_t)1 << k);
    if (at) {
        uint64_t next = *word(m, h, at);
        bool sound = next % HEADER == 0 && next < h->next; /* a kernel may have written there */
        h->free_list[k] = sound ? next : 0;
    } else {
        if (bytes > HEAP_BYTES - h->next)
            return 0;
        at = h->next + HEADER;
        h->next += bytes;
    }
    *word(m, h, at - HEADER) = IN_USE | (uint64_t)k << 56;
    return h->base + at;
}

uint64_t heap_malloc(GlobalMem *m, uint64_t bytes)
{
    uint32_t k = SMALLEST;
    while (k < N_SIZES && (uint64_t)1 << k < bytes)
        k++;
    if (k == N_SIZES)
        return 0;
    pthread_mutex_lock(&lock);
    uint64_t at = take(m, *mem_heap(m), k);
    pthread_mutex_unlock(&lock);
    return at;
}

bool heap_free(GlobalMem *m, uint64_t addr)
{
    HeapState *h = *mem_heap(m);
    if (addr == 0)
        return true;
    if (!h || addr % HEADER || addr < h->base + HEADER || addr >= h->base + h->next)
        return false;
    uint64_t at = addr - h->base;
    pthread_mutex_lock(&lock);
    uint64_t *header = word(m, h, at - HEADER);
    uint32_t k = (uint32_t)(*header >> 56);
    bool good = k < N_SIZES && *header == (IN_USE | (uint64_t)k << 56);
    if (good) {
        *header = 0;
        *word(m, h, at) = h->free_list[k];
        h->free_list[k] = at;
    }
    pthread_mutex_unlock(&lock);
    return good;
}
