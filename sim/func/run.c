/* The functional runner: clusters of the grid in turn on host threads, each with its own CTA slots.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "sim/func/drive.h"

enum { MAX_RUN_THREADS = 256 };

typedef struct Job {
    atomic_uint next; /* cluster to be taken */
    uint32_t end;
    atomic_bool failed; /* takes no further cluster */
} Job;

typedef struct Worker {
    pthread_t thread;
    Job *job;
    Drive drive;
    RunStats stats;
    uint32_t cluster; /* of the error */
    Err err;
} Worker;

static void *work(void *arg)
{
    Worker *w = arg;
    while (!atomic_load(&w->job->failed)) {
        uint32_t k = atomic_fetch_add(&w->job->next, 1);
        if (k >= w->job->end)
            break;
        if (drive_cluster(&w->drive, k, &w->stats, &w->err))
            continue;
        w->cluster = k;
        atomic_store(&w->job->failed, true);
        break;
    }
    return NULL;
}

/* Whether the order of CTAs may show in the results: then they run one after the other. */
static bool order_matters(const Code *c)
{
    if (c->uses_global_atomics)
        return true;
    for (uint32_t i = 0; i < c->n_insns; i++)
        if (strncmp(op_row[c->insns[i].op].exec, "cp_reduce", strlen("cp_reduce")) == 0)
            return true;
    return false;
}

static uint32_t cluster_size(const ExecDesc *d)
{
    uint32_t size = 1;
    for (int i = 0; i < 3; i++) /* 0: the kernel's own, or 1, as exec_new decides */
        size *= d->cluster[i]               ? d->cluster[i]
                : d->code->func->cluster[i] ? d->code->func->cluster[i]
                                            : 1;
    return size;
}

static void run_all(Worker *workers, uint32_t n)
{
    uint32_t started = 1;
    for (; started < n; started++)
        if (pthread_create(&workers[started].thread, NULL, work, &workers[started]) != 0)
            break; /* fewer threads do as well */
    work(&workers[0]);
    for (uint32_t i = 1; i < started; i++)
        pthread_join(workers[i].thread, NULL);
}

bool exec_run(Arena *a, const ExecDesc *d, uint32_t first, uint32_t n, uint32_t threads,
              RunStats *stats, Err *err)
{
    uint32_t size = cluster_size(d), n_ctas = d->grid[0] * d->grid[1] * d->grid[2];
    uint32_t clusters = n_ctas / size, begin = first / size;
    uint32_t end = n == 0 || n > n_ctas - first ? clusters : (first + n + size - 1) / size;
    if (threads == 0 || order_matters(d->code))
        threads = 1;
    if (threads > MAX_RUN_THREADS)
        threads = MAX_RUN_THREADS;
    if (begin < end && threads > end - begin)
        threads = end - begin;
    ExecDesc mine = *d;
    mine.n_slots = threads * size;
    Exec *x;
    if (!exec_new(a, &mine, &x, err))
        return false;
    Job job = {.end = end};
    atomic_init(&job.next, begin);
    atomic_init(&job.failed, false);
    Worker *workers = arena_new(a, Worker, threads);
    for (uint32_t i = 0; i < threads; i++) {
        workers[i].job = &job;
        drive_new(a, &workers[i].drive, x, i * size);
    }
    run_all(workers, threads);
    /* Clusters are taken in order, so the first that fails is always among those that ran. */
    Worker *bad = NULL;
    RunStats sum = {0};
    for (uint32_t i = 0; i < threads; i++) {
        sum.warp_insts += workers[i].stats.warp_insts;
        sum.thread_insts += workers[i].stats.thread_insts;
        sum.ctas += workers[i].stats.ctas;
        if (workers[i].err.kind != ERR_NONE && (!bad || workers[i].cluster < bad->cluster))
            bad = &workers[i];
    }
    if (stats)
        *stats = sum;
    exec_free(x);
    return !bad || err_set(err, bad->err.kind, bad->err.loc, "%s", bad->err.msg);
}
