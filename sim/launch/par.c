#include "sim/launch/par.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#define MAX_THREADS 64u

typedef struct Job {
    ParFn *fn;
    void *ctx;
    uint64_t items;
    atomic_uint_fast64_t next;
} Job;

typedef struct Worker {
    Job *job;
    uint32_t id;
} Worker;

static void *work(void *arg)
{
    const Worker *w = arg;
    Job *job = w->job;
    for (uint64_t i; (i = atomic_fetch_add(&job->next, 1)) < job->items;)
        job->fn(job->ctx, w->id, i);
    return NULL;
}

void par_for(uint32_t threads, uint64_t items, ParFn *fn, void *ctx)
{
    Job job = {fn, ctx, items, 0};
    pthread_t ids[MAX_THREADS];
    Worker workers[MAX_THREADS];
    uint32_t n = threads < MAX_THREADS ? threads : MAX_THREADS, started = 1;
    n = n < items ? n : (uint32_t)items;
    for (uint32_t i = 0; i < n; i++)
        workers[i] = (Worker){&job, i};
    while (started < n && pthread_create(&ids[started], NULL, work, &workers[started]) == 0)
        started++;
    if (n)
        work(&workers[0]); /* this thread is the first */
    for (uint32_t i = 1; i < started; i++)
        pthread_join(ids[i], NULL);
}

uint32_t par_default_threads(void)
{
    const long most = 16;
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return (uint32_t)(n < 1 ? 1 : n > most ? most : n);
}
