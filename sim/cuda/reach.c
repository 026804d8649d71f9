/* What memory a launch can reach: a conservative mark as of a garbage collector. */
#include "sim/cuda/state.h"

#include <stdlib.h>
#include <string.h>

typedef struct Mark {
    Gpu *g;
    bool *reached;
    uint32_t *todo, n_todo;
} Mark;

static void visit(Mark *m, uint64_t addr)
{
    uint64_t start, bytes;
    if (addr < GLOBAL_BASE || !mem_object(m->g->mem, addr, &start, &bytes))
        return; /* most words are no addresses */
    uint32_t i = mem_index(m->g->mem, addr);
    if (m->reached[i])
        return;
    m->reached[i] = true;
    m->todo[m->n_todo++] = i;
}

static void scan(Mark *m, const uint8_t *p, uint64_t bytes)
{
    for (uint64_t i = 0; i + 8 <= bytes; i += 8) {
        uint64_t word;
        memcpy(&word, p + i, sizeof word);
        visit(m, word);
    }
}

uint64_t reach_mark(Gpu *g, const LaunchOp *op, bool **reached)
{
    uint32_t n = mem_count(g->mem);
    Mark m = {g, gpu_alloc(n), gpu_alloc((n + 1) * sizeof(uint32_t)), 0};
    uint64_t sum = 0, at, bytes;
    void *host;
    const char *name;
    visit(&m, op->kernel->module->layout.global_base);
    visit(&m, op->kernel->module->layout.const_base);
    scan(&m, op->params, op->param_bytes);
    while (m.n_todo > 0) {
        mem_at(g->mem, m.todo[--m.n_todo], &at, &bytes, &host, &name);
        sum += bytes;
        scan(&m, host, bytes);
    }
    free(m.todo);
    *reached = m.reached;
    return sum;
}

uint64_t reach_bytes(Gpu *g, const LaunchOp *op)
{
    bool *reached;
    uint64_t sum = reach_mark(g, op, &reached);
    free(reached);
    return sum;
}
