/* Device, pinned and managed memory; copies and fills. */
#include "sim/cuda/state.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { COPY_HTOH, COPY_HTOD, COPY_DTOH, COPY_DTOD, COPY_DEFAULT };

/* Above this size fresh memory is zeros, not poison: a program may take most of the device's memory
 * without touching it, and the host has less. */
#define POISON_MAX (UINT64_C(256) << 20)

/* ---- The table of allocations ---- */

/* Index of the first range that starts above addr. */
static uint32_t above(const Gpu *g, uint64_t addr)
{
    uint32_t lo = 0, hi = g->n_ranges;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (g->ranges[mid].start <= addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static GpuRange *find_range(const Gpu *g, uint64_t addr)
{
    uint32_t i = above(g, addr);
    if (i == 0 || addr - g->ranges[i - 1].start >= g->ranges[i - 1].bytes)
        return NULL;
    return &g->ranges[i - 1];
}

static void add_range(Gpu *g, GpuRange r)
{
    g->ranges = gpu_grow(g->ranges, g->n_ranges, &g->cap_ranges, sizeof *g->ranges);
    uint32_t i = above(g, r.start);
    memmove(&g->ranges[i + 1], &g->ranges[i], (g->n_ranges - i) * sizeof r);
    r.id = ++g->next_range;
    g->ranges[i] = r;
    g->n_ranges++;
}

static void remove_range(Gpu *g, const GpuRange *r)
{
    uint32_t i = (uint32_t)(r - g->ranges);
    g->n_ranges--;
    memmove(&g->ranges[i], &g->ranges[i + 1], (g->n_ranges - i) * sizeof *r);
}

GpuRange gpu_range(uint64_t addr)
{
    Gpu *g = gpu_enter();
    const GpuRange *r = find_range(g, addr);
    GpuRange copy = r ? *r : (GpuRange){0};
    gpu_leave(GPU_OK);
    return copy;
}

/* "cudaMalloc 3": the name of an allocation in messages. */
static const char *name_of(Gpu *g, const char *what)
{
    return arena_printf(&g->arena, "%s %u", what, g->next_range + 1);
}

/* ---- Allocation ---- */

static GpuError do_malloc(Gpu *g, uint64_t bytes, const char *what, uint64_t *addr)
{
    *addr = 0;
    if (g->sticky)
        return g->sticky;
    if (bytes == 0)
        return GPU_OK;
    if (bytes > gpu_total_memory() || g->device_bytes > gpu_total_memory() - bytes)
        return GPU_OUT_OF_MEMORY;
    *addr = mem_place(g->mem, 0, bytes, bytes > POISON_MAX, name_of(g, what));
    if (!*addr)
        return GPU_OUT_OF_MEMORY;
    g->device_bytes += bytes;
    add_range(g, (GpuRange){.kind = GPU_MEM_DEVICE, .start = *addr, .bytes = bytes});
    return GPU_OK;
}

GpuError gpu_malloc(uint64_t bytes, const char *what, uint64_t *addr)
{
    Gpu *g = gpu_enter();
    return gpu_leave(do_malloc(g, bytes, what, addr));
}

static GpuError map_host(Gpu *g, GpuRange r, const char *what)
{
    if (!mem_map(g->mem, r.start, (void *)(uintptr_t)r.start, r.bytes, name_of(g, what)))
        return GPU_ALREADY_REGISTERED;
    add_range(g, r);
    return GPU_OK;
}

GpuError gpu_malloc_host(uint64_t bytes, GpuMemKind kind, uint32_t flags, const char *what,
                         void **out)
{
    *out = NULL;
    Gpu *g = gpu_enter();
    if (g->sticky || bytes == 0)
        return gpu_leave(g->sticky);
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return gpu_leave(GPU_OUT_OF_MEMORY);
    GpuError e = map_host(
        g, (GpuRange){.kind = kind, .start = (uintptr_t)p, .bytes = bytes, .flags = flags}, what);
    if (e)
        munmap(p, bytes);
    else
        *out = p;
    return gpu_leave(e);
}

GpuError gpu_register_host(void *p, uint64_t bytes, uint32_t flags)
{
    Gpu *g = gpu_enter();
    if (!p || bytes == 0)
        return gpu_leave(GPU_INVALID_VALUE);
    return gpu_leave(map_host(g,
                              (GpuRange){.kind = GPU_MEM_HOST,
                                         .start = (uintptr_t)p,
                                         .bytes = bytes,
                                         .flags = flags,
                                         .registered = true},
                              "cudaHostRegister"));
}

static void drop(Gpu *g, GpuRange *r)
{
    mem_release(g->mem, r->start);
    if (r->kind == GPU_MEM_DEVICE)
        g->device_bytes -= r->bytes;
    else if (!r->registered)
        munmap((void *)(uintptr_t)r->start, r->bytes);
    remove_range(g, r);
}

GpuError gpu_free(uint64_t addr, GpuMemKind kind)
{
    Gpu *g = gpu_enter();
    if (addr == 0)
        return gpu_leave(g->sticky);
    GpuRange *r = find_range(g, addr);
    bool fits = r && (r->kind == kind || (kind == GPU_MEM_DEVICE && r->kind == GPU_MEM_MANAGED));
    if (!fits || r->start != addr || r->registered)
        return gpu_leave(GPU_INVALID_VALUE);
    drop(g, r);
    return gpu_leave(g->sticky);
}

GpuError gpu_unregister_host(void *p)
{
    Gpu *g = gpu_enter();
    GpuRange *r = find_range(g, (uintptr_t)p);
    if (!r || !r->registered || r->start != (uintptr_t)p)
        return gpu_leave(GPU_NOT_REGISTERED);
    drop(g, r);
    return gpu_leave(GPU_OK);
}

GpuError gpu_memory_info(uint64_t *free_bytes, uint64_t *total_bytes)
{
    Gpu *g = gpu_enter();
    *total_bytes = gpu_total_memory();
    *free_bytes = *total_bytes - g->device_bytes;
    return gpu_leave(g->sticky);
}

/* ---- Variables of modules ---- */

static uint64_t place_image(Gpu *g, const char *module, const char *space, uint64_t bytes,
                            bool managed)
{
    char what[256];
    void *host;
    uint64_t addr = 0;
    if (bytes == 0)
        return 0;
    snprintf(what, sizeof what, "%s variables of %.200s,", space, module);
    if (managed) {
        gpu_malloc_host(bytes, GPU_MEM_MANAGED, 0, what, &host);
        return (uintptr_t)host;
    }
    do_malloc(g, bytes, what, &addr);
    return addr;
}

bool memory_place_variables(Gpu *g, GpuModule *m, Err *err)
{
    const Module *ptx = m->skeleton;
    bool managed = strstr(m->text, ".managed") != NULL;
    m->layout.global_base = place_image(g, m->name, ".global", ptx->global_bytes, managed);
    m->layout.const_base = place_image(g, m->name, ".const", ptx->const_bytes, false);
    if ((ptx->global_bytes && !m->layout.global_base) ||
        (ptx->const_bytes && !m->layout.const_base))
        return err_set(err, ERR_SEMANTIC, (Loc){.file = m->name},
                       "no room for its %llu bytes of .global and %llu of .const variables",
                       (unsigned long long)ptx->global_bytes, (unsigned long long)ptx->const_bytes);
    exec_init_module(ptx, g->mem, &m->layout);
    return true;
}

void memory_drop_variables(Gpu *g, GpuModule *m)
{
    uint64_t bases[] = {m->layout.global_base, m->layout.const_base};
    for (int i = 0; i < 2; i++) {
        GpuRange *r = bases[i] ? find_range(g, bases[i]) : NULL;
        if (r)
            drop(g, r);
    }
}

/* ---- Copies and fills ---- */

/* Addresses that only the device has: the region of mem.h. */
static bool is_device_address(uint64_t addr)
{
    return addr >= GLOBAL_BASE && addr - GLOBAL_BASE < UINT64_C(1) << 38;
}

uint8_t *memory_at(Gpu *g, uint64_t addr, uint64_t bytes, bool *is_device)
{
    *is_device = is_device_address(addr);
    if (*is_device)
        return mem_ptr(g->mem, addr, bytes);
    return (uint8_t *)(uintptr_t)addr;
}

/* Bytes from the first to the last of a box. */
static uint64_t extent(const GpuBox *b, uint64_t width, uint64_t height, uint64_t depth)
{
    return (depth - 1) * b->slice + (height - 1) * b->pitch + width;
}

static bool direction_fits(uint32_t kind, bool to_device, bool from_device)
{
    switch (kind) {
    case COPY_HTOH:
        return !to_device && !from_device;
    case COPY_HTOD:
        return !from_device;
    case COPY_DTOH:
        return !to_device;
    case COPY_DTOD:
    case COPY_DEFAULT:
        return true;
    default:
        return false;
    }
}

GpuError memory_copy(Gpu *g, const GpuCopy *c)
{
    bool to_device, from_device;
    if (c->width == 0 || c->height == 0 || c->depth == 0)
        return GPU_OK;
    if (!c->dst.at || !c->src.at)
        return GPU_INVALID_VALUE;
    if ((c->height > 1 || c->depth > 1) && (c->dst.pitch < c->width || c->src.pitch < c->width))
        return GPU_INVALID_PITCH;
    uint8_t *dst =
        memory_at(g, c->dst.at, extent(&c->dst, c->width, c->height, c->depth), &to_device);
    const uint8_t *src =
        memory_at(g, c->src.at, extent(&c->src, c->width, c->height, c->depth), &from_device);
    if (!dst || !src)
        return GPU_INVALID_VALUE;
    bool known_dst = to_device || find_range(g, c->dst.at) != NULL;
    bool known_src = from_device || find_range(g, c->src.at) != NULL;
    if ((c->kind == COPY_HTOD && !known_dst) || (c->kind == COPY_DTOH && !known_src))
        return GPU_INVALID_VALUE; /* not the device's, whatever lies there */
    if (!direction_fits(c->kind, to_device, from_device))
        return c->kind > COPY_DEFAULT ? GPU_INVALID_DIRECTION : GPU_INVALID_VALUE;
    for (uint64_t z = 0; z < c->depth; z++)
        for (uint64_t y = 0; y < c->height; y++)
            memmove(dst + z * c->dst.slice + y * c->dst.pitch,
                    src + z * c->src.slice + y * c->src.pitch, c->width);
    return GPU_OK;
}

static void fill_row(uint8_t *to, const GpuFill *f)
{
    if (f->elem_bytes == 1) {
        memset(to, (int)f->value, f->width);
        return;
    }
    for (uint64_t i = 0; i < f->width; i++)
        memcpy(to + i * f->elem_bytes, &f->value, f->elem_bytes);
}

GpuError memory_fill(Gpu *g, const GpuFill *f)
{
    bool is_device;
    if (f->width == 0 || f->height == 0 || f->depth == 0)
        return GPU_OK;
    if (f->dst.at % f->elem_bytes != 0)
        return GPU_INVALID_VALUE;
    uint64_t bytes = extent(&f->dst, f->width * f->elem_bytes, f->height, f->depth);
    uint8_t *dst = memory_at(g, f->dst.at, bytes, &is_device);
    if (!dst || (!is_device && !find_range(g, f->dst.at)))
        return GPU_INVALID_VALUE;
    for (uint64_t z = 0; z < f->depth; z++)
        for (uint64_t y = 0; y < f->height; y++)
            fill_row(dst + z * f->dst.slice + y * f->dst.pitch, f);
    return GPU_OK;
}
