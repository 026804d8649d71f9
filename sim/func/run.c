/* The functional runner: the clusters of a grid, in lanes (drive.h).
 *
 * If CTAs cannot talk to each other through global memory, lanes are shared out to host threads and
 * each cluster runs to its end. If they can (atomics, loads stronger than weak), one host thread
 * runs them, in order, so that the bytes do not depend on the host; a cluster that only waits is
 * set aside and the next one starts, as many as the chip holds at once. When none of those can
 * move, the program hangs on the chip too.
 *
 * A kernel with cluster launch control has as many lanes as the chip holds clusters, cluster k in
 * lane k mod that many; otherwise each cluster is a lane. */
#include <pthread.h>
#include <stdatomic.h>

#include "sim/func/drive.h"

enum {
    MAX_RUN_THREADS = 256,
    SOME_PATIENCE = 64, /* fruitless rounds before another cluster gets a turn */
};

typedef struct Run {
    Arena *a;
    ExecDesc desc;
    uint32_t size;       /* CTAs of a cluster */
    uint32_t begin, end; /* clusters to run */
    uint32_t n_lanes;
    uint32_t resident;  /* clusters at once */
    uint64_t changes;   /* when they share memory */
    atomic_uint next;   /* lane to be taken */
    atomic_bool failed; /* takes no further cluster */
} Run;

typedef struct RunPlace { /* of the chip, for a cluster */
    pthread_t thread;
    Run *run;
    Exec *x;
    Drive drive;
    Lane lane;
    bool busy, stuck; /* a cluster is there; only others can move it */
    bool hangs;       /* nobody can: to be explained */
    uint32_t cluster; /* of the error */
    Err err;
} RunPlace;

static void open_lane(RunPlace *p, uint32_t lane)
{
    const Run *r = p->run;
    p->lane = (Lane){.next = r->begin + lane, .stride = r->n_lanes, .end = r->end};
    p->drive.lane = &p->lane;
    p->x->first_sm = (uint32_t)((uint64_t)lane * r->size % p->x->desc.n_sms);
}

static bool make_place(Run *r, RunPlace *p, uint32_t patience, Err *err)
{
    *p = (RunPlace){.run = r};
    if (!exec_new(r->a, &r->desc, &p->x, err))
        return false;
    drive_new(r->a, &p->drive, p->x);
    p->drive.patience = patience;
    return true;
}

/* ---- Lanes on their own ---- */

static bool run_cluster(RunPlace *p, uint32_t k)
{
    if (!drive_start(&p->drive, k, &p->err))
        return false;
    DriveEnd e = drive_continue(&p->drive, &p->err);
    p->hangs = e == DRIVE_STUCK || e == DRIVE_POLLS;
    drive_end(&p->drive);
    return e == DRIVE_DONE;
}

static void *work(void *arg)
{
    RunPlace *p = arg;
    Run *r = p->run;
    while (!atomic_load(&r->failed)) {
        uint32_t lane = atomic_fetch_add(&r->next, 1), k;
        if (lane >= r->n_lanes)
            break;
        open_lane(p, lane);
        while ((k = drive_take(&p->drive)) != OP_NONE) {
            if (run_cluster(p, k))
                continue;
            p->cluster = k;
            atomic_store(&r->failed, true);
            break;
        }
    }
    return NULL;
}

static void explain(Run *r, RunPlace *p, RunStats *sum)
{
    Drive *d = &p->drive;
    drive_deadlock(r->a, &d, 1, &sum->dead, &p->err);
}

static bool run_apart(Run *r, uint32_t threads, RunStats *sum, Err *err)
{
    RunPlace *places = arena_new(r->a, RunPlace, threads);
    uint32_t made = 0, started = 1;
    while (made < threads && make_place(r, &places[made], DRIVE_PATIENCE, err))
        made++;
    if (err->kind == ERR_NONE) {
        for (; started < threads; started++)
            if (pthread_create(&places[started].thread, NULL, work, &places[started]) != 0)
                break; /* fewer threads do as well */
        work(&places[0]);
    }
    /* Lanes are taken in order, so the first cluster that fails is always among those that ran. */
    RunPlace *bad = NULL;
    for (uint32_t i = 0; i < made; i++) {
        RunPlace *p = &places[i];
        if (i > 0 && i < started)
            pthread_join(p->thread, NULL);
        sum->warp_insts += p->drive.stats.warp_insts;
        sum->thread_insts += p->drive.stats.thread_insts;
        sum->ctas += p->drive.stats.ctas;
        if ((p->err.kind != ERR_NONE || p->hangs) && (!bad || p->cluster < bad->cluster))
            bad = p;
    }
    if (bad && bad->hangs)
        explain(r, bad, sum);
    if (bad) {
        err_set(err, bad->err.kind, bad->err.loc, "%s", bad->err.msg);
        err->fault = bad->err.fault;
    }
    for (uint32_t i = 0; i < made; i++)
        exec_free(places[i].x);
    return err->kind == ERR_NONE;
}

/* ---- Lanes that may wait for each other ---- */

typedef struct Together {
    Run *run;
    RunPlace *places;
    uint32_t n_made, n_busy, next_lane;
} Together;

/* Runs the clusters of the place's lane until one waits or all are done. */
static bool run_place(Together *t, RunPlace *p, Err *err)
{
    for (;;) {
        DriveEnd e = drive_continue(&p->drive, err);
        if (e == DRIVE_FAILED)
            return false;
        p->stuck = e == DRIVE_STUCK || p->drive.fruitless >= DRIVE_PATIENCE;
        if (e != DRIVE_DONE)
            return true;
        drive_end(&p->drive);
        uint32_t k = drive_take(&p->drive);
        if (k == OP_NONE) {
            p->busy = false;
            t->n_busy--;
            return true;
        }
        if (!drive_start(&p->drive, k, err))
            return false;
    }
}

static bool start_another(Together *t, Err *err)
{
    uint32_t i = 0;
    while (i < t->n_made && t->places[i].busy)
        i++;
    RunPlace *p = &t->places[i];
    if (i == t->n_made) {
        if (!make_place(t->run, p, SOME_PATIENCE, err))
            return false;
        t->n_made++;
    }
    open_lane(p, t->next_lane++);
    p->busy = true;
    t->n_busy++;
    return drive_start(&p->drive, drive_take(&p->drive), err);
}

/* As many again as wait already: a pass asks all of them, and one pass for each that is started
 * would take the square of their number. */
static bool start_more(Together *t, Err *err)
{
    for (uint32_t n = t->n_busy ? t->n_busy : 1; n > 0; n--)
        if (t->next_lane < t->run->n_lanes && t->n_busy < t->run->resident &&
            !start_another(t, err))
            return false;
    return true;
}

static bool all_wait(Together *t, Deadlock *dead, Err *err)
{
    Drive **d = arena_new(t->run->a, Drive *, t->n_made + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n_made; i++)
        if (t->places[i].busy)
            d[n++] = &t->places[i].drive;
    dead->n_started = t->next_lane * t->run->size;
    dead->n_ctas = d[0]->f->n_ctas;
    drive_deadlock(t->run->a, d, n, dead, err);
    return false;
}

static bool run_lanes(Together *t, Deadlock *dead, Err *err)
{
    Run *r = t->run;
    for (;;) {
        uint64_t before = r->changes;
        bool all_stuck = true;
        for (uint32_t i = 0; i < t->n_made; i++) {
            if (t->places[i].busy && !run_place(t, &t->places[i], err))
                return false;
            all_stuck = all_stuck && (t->places[i].stuck || !t->places[i].busy);
        }
        if (r->changes != before)
            continue;
        if (t->next_lane < r->n_lanes && t->n_busy < r->resident) {
            if (!start_more(t, err))
                return false;
        } else if (t->n_busy == 0) {
            return true;
        } else if (all_stuck) {
            return all_wait(t, dead, err);
        }
    }
}

static bool run_together(Run *r, RunStats *sum, Err *err)
{
    uint32_t most = r->resident < r->n_lanes ? r->resident : r->n_lanes;
    Together t = {.run = r, .places = arena_new(r->a, RunPlace, most + 1)};
    r->desc.changes = &r->changes;
    bool good = run_lanes(&t, &sum->dead, err);
    for (uint32_t i = 0; i < t.n_made; i++) {
        RunPlace *p = &t.places[i];
        if (p->busy)
            drive_end(&p->drive);
        sum->warp_insts += p->drive.stats.warp_insts;
        sum->thread_insts += p->drive.stats.thread_insts;
        sum->ctas += p->drive.stats.ctas;
        exec_free(p->x);
    }
    return good;
}

/* ---- What the code asks for ---- */

/* Whether CTAs can see what others do: the order in which they run may then show in the results,
 * and they may wait for each other. */
static bool can_talk(const Code *c)
{
    if (c->uses_global_atomics)
        return true;
    for (uint32_t i = 0; i < c->n_insns; i++)
        if (op_row[c->insns[i].op].tclass == TC_LDG && seen_of(c, &c->insns[i]) == SEEN_POLL)
            return true;
    return false;
}

static bool uses_cancel(const Code *c)
{
    for (uint32_t i = 0; i < c->n_insns; i++)
        if (c->insns[i].op == OP_CLC_TRY_CANCEL)
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

bool exec_run(Arena *a, const ExecDesc *d, uint32_t first, uint32_t n, uint32_t threads,
              RunStats *stats, Err *err)
{
    Run r = {.a = a, .desc = *d, .size = cluster_size(d)};
    uint32_t n_ctas = d->grid[0] * d->grid[1] * d->grid[2], clusters = n_ctas / r.size;
    uint32_t held = d->resident ? d->resident : d->n_sms;
    r.begin = first / r.size;
    r.end = n == 0 || n > n_ctas - first ? clusters : (first + n + r.size - 1) / r.size;
    r.n_lanes = r.begin < r.end ? r.end - r.begin : 0;
    r.resident = held > r.size ? held / r.size : 1;
    r.desc.n_slots = r.size;
    r.desc.untimed = true;
    if (uses_cancel(d->code) && r.n_lanes > r.resident)
        r.n_lanes = r.resident;
    if (threads == 0 || d->probe)
        threads = 1;
    if (threads > MAX_RUN_THREADS)
        threads = MAX_RUN_THREADS;
    if (threads > r.n_lanes)
        threads = r.n_lanes > 0 ? r.n_lanes : 1;
    atomic_init(&r.next, 0);
    atomic_init(&r.failed, false);
    RunStats sum = {0};
    bool good = can_talk(d->code) ? run_together(&r, &sum, err) : run_apart(&r, threads, &sum, err);
    if (stats)
        *stats = sum;
    return good;
}
