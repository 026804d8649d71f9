/* Launches that benchmark loops repeat. One that left memory as it found it will do so again if it
 * is launched again on the same memory with the same parameters: then it need not be run. Whether
 * memory is the same, a hash of all of it tells; that is only taken where it costs less than the
 * run. A launch is run twice at least: the second run shows that it changes nothing any more. */
#include "sim/cuda/state.h"

#include <string.h>

/* Hashing may take half as long as the run (a guess of its speed will do: the answer is the same
 * either way, only later); times that a launch may change memory before it is no longer looked at.
 */
static const double hash_bytes_per_s = 4e9, most_of_run = 0.5;
enum { MOST_CHANGES = 4 };

/* Four independent lanes, each a chain of steps that can be undone: a word that differs makes its
 * lane differ. */
static void hash_words(uint64_t lane[REPEAT_WORDS], const uint8_t *p, uint64_t n)
{
    static const uint64_t odd = 0x9e3779b97f4a7c15u;
    enum { STEP = REPEAT_WORDS * 8 };
    for (uint64_t i = 0; i < n; i += STEP) {
        uint64_t w[REPEAT_WORDS] = {0};
        memcpy(w, p + i, n - i < STEP ? (size_t)(n - i) : STEP);
        for (int k = 0; k < REPEAT_WORDS; k++) {
            lane[k] = (lane[k] ^ w[k]) * odd;
            lane[k] ^= lane[k] >> 32;
        }
    }
}

static void hash_memory(const Gpu *g, uint64_t lane[REPEAT_WORDS])
{
    uint64_t at, bytes;
    void *host;
    const char *name;
    memset(lane, 0, REPEAT_WORDS * sizeof *lane);
    for (uint32_t i = 0; mem_at(g->mem, i, &at, &bytes, &host, &name); i++) {
        const uint64_t head[2] = {at, bytes};
        if (at == g->workspace) /* its barrier's sign changes; it is set before each launch */
            continue;
        hash_words(lane, (const uint8_t *)head, sizeof head);
        hash_words(lane, host, bytes);
    }
}

static uint64_t hash_launch(const LaunchOp *op)
{
    uint64_t h = gpu_hash(GPU_HASH_START, &op->kernel, sizeof(GpuKernel *));
    h = gpu_hash(h, &op->kernel->module->text_hash, sizeof op->kernel->module->text_hash);
    h = gpu_hash(h, op->grid, sizeof op->grid);
    h = gpu_hash(h, op->block, sizeof op->block);
    h = gpu_hash(h, op->cluster, sizeof op->cluster);
    h = gpu_hash(h, &op->shared, sizeof op->shared);
    return gpu_hash(h, op->params, op->param_bytes);
}

/* Calls that remain are of functions that the system provides: vprintf, malloc ... */
static bool calls_system(const Code *c)
{
    for (uint32_t i = 0; i < c->n_insns; i++)
        if (c->insns[i].op == OP_CALL)
            return true;
    return false;
}

static Repeat *find(Gpu *g, uint64_t launch)
{
    for (uint32_t i = 0; i < MOST_REPEATS; i++)
        if (g->repeats[i].launch == launch)
            return &g->repeats[i];
    Repeat *r = &g->repeats[g->n_repeats++ % MOST_REPEATS];
    *r = (Repeat){.launch = launch};
    return r;
}

bool repeat_start(Gpu *g, const LaunchOp *op, const Code *code, RepeatRun *run)
{
    *run = (RepeatRun){.launch = hash_launch(op)};
    Repeat *r = find(g, run->launch);
    double cost = (double)mem_used(g->mem) / hash_bytes_per_s;
    run->hashed = r->n_runs > 0 && r->n_changes < MOST_CHANGES && cost < most_of_run * r->seconds &&
                  !calls_system(code) && !code->reads_clock;
    if (run->hashed)
        hash_memory(g, run->before);
    run->start = host_seconds();
    return run->hashed && r->settled && memcmp(r->state, run->before, sizeof r->state) == 0;
}

void repeat_ran(Gpu *g, const RepeatRun *run)
{
    Repeat *r = find(g, run->launch);
    r->n_runs++;
    r->seconds = host_seconds() - run->start;
    r->settled = false;
    if (!run->hashed)
        return;
    hash_memory(g, r->state);
    r->settled = memcmp(r->state, run->before, sizeof r->state) == 0;
    r->n_changes += !r->settled;
}
