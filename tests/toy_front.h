/* A scripted front end for the tests of the time core: per warp a list of operations, played
 * `repeat` times, then an exit. It keeps mbarrier words in a table, counts the steps of
 * asynchronous operations, and notes the cycle in which each dynamic operation issued, so that a
 * test can compare with a formula. */
#ifndef RAO_TESTS_TOY_FRONT_H
#define RAO_TESTS_TOY_FRONT_H

#include <assert.h>
#ifndef TOY_NO_CHECK /* the speed program does without */
#include <check.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/func/mbar.h"
#include "sim/time/time.h"

#ifndef TEST_DIR
#define TEST_DIR "tests"
#endif
#define TOY_STEPS 4096
#define TOY_WARPS 16
#define TOY_SLOTS 1024
#define TOY_SLOT_WORDS 64
#define TOY_HANDLES 4096

typedef struct ToyStep {
    Op op;
    bool plain;
    bool more; /* comes out of the same exec as the one before */
} ToyStep;

typedef struct ToyWarp {
    ToyStep *step;
    uint32_t n;
} ToyWarp;

typedef struct Toy {
    Arena a;
    Front front; /* first of the object for the callbacks: see toy_of */
    Code code;
    Model model;
    ToyWarp warp[TOY_WARPS];
    uint32_t repeat;
    uint64_t addr_per_cta; /* shifts global addresses, in units of 2^32 */
    bool only_leader;      /* CTAs of odd id exit at once */
    uint32_t at[TOY_SLOTS][TOY_WARPS], round[TOY_SLOTS][TOY_WARPS];
    uint64_t bar[TOY_SLOTS][TOY_SLOT_WORDS];
    Cycle when[TOY_WARPS][TOY_STEPS]; /* of the last CTA and round that played the step */
    uint32_t cta_of[TOY_SLOTS], starts, ends, yields;
    uint32_t cancelled[TOY_SLOTS]; /* last answer of the scheduler */
    uint32_t column[TOY_SLOTS];    /* last tensor-memory allocation; a dealloc gives it back */
    uint32_t reads[TOY_HANDLES], dones[TOY_HANDLES]; /* of all CTAs */
    uint32_t exit_op;
    Err err;
    Deadlock dead;
    SimDesc desc;
} Toy;

static inline Toy *toy_of(Front *f)
{
    return (Toy *)(void *)((char *)f - offsetof(Toy, front));
}

static bool toy_cta_start(Front *f, uint32_t slot, uint32_t cta, Err *err)
{
    Toy *t = toy_of(f);
    (void)err;
    assert(slot < f->n_slots);
    memset(t->at[slot], 0, sizeof t->at[slot]);
    memset(t->round[slot], 0, sizeof t->round[slot]);
    memset(t->bar[slot], 0, sizeof t->bar[slot]);
    for (uint32_t w = 0; w < f->n_warps && t->only_leader && cta % 2; w++) {
        t->at[slot][w] = t->warp[w].n;
        t->round[slot][w] = t->repeat - 1;
    }
    t->cta_of[slot] = cta;
    t->starts++;
    return true;
}

static void toy_next(Front *f, uint32_t slot, uint32_t warp, OpRun *run)
{
    Toy *t = toy_of(f);
    ToyWarp *w = &t->warp[warp];
    uint32_t *at = &t->at[slot][warp];
    if (*at == w->n && w->n > 0 && t->round[slot][warp] + 1 < t->repeat) {
        t->round[slot][warp]++;
        *at = 0;
    }
    *run = (OpRun){.dyn = t->exit_op};
    while (*at < w->n && w->step[*at].plain) {
        uint32_t info = w->step[*at].op.info;
        if (run->n == 0)
            run->first = info;
        assert(info == run->first + run->n); /* plain operations of a warp are added in one go */
        run->n++;
        ++*at;
    }
    if (*at < w->n)
        run->dyn = w->step[*at].op.info;
    else /* a script that is repeated must end with a dynamic operation */
        assert(run->n == 0 || t->round[slot][warp] + 1 == t->repeat);
}

static uint32_t toy_exec(Front *f, uint32_t slot, uint32_t warp, Cycle now, Op *ops, Err *err)
{
    Toy *t = toy_of(f);
    ToyWarp *w = &t->warp[warp];
    uint32_t *at = &t->at[slot][warp], n = 0;
    (void)err;
    if (*at == w->n) {
        ops[0] = (Op){.info = t->exit_op, .kind = OK_EXIT};
        return 1;
    }
    do {
        t->when[warp][*at] = now;
        ops[n] = w->step[(*at)++].op;
        ops[n].addr += (t->addr_per_cta * t->cta_of[slot]) << 32;
        if (ops[n].kind == OK_TMEM_DEALLOC)
            ops[n].arg1 = t->column[slot];
        n++;
    } while (*at < w->n && w->step[*at].more);
    return n;
}

static bool toy_async(Front *f, uint32_t slot, uint32_t handle, AsyncStep step, Err *err)
{
    Toy *t = toy_of(f);
    (void)slot;
    (void)err;
    if (step == ASYNC_READ) {
        t->reads[handle]++;
    } else {
        t->dones[handle]++;
        assert(t->reads[handle] >= t->dones[handle]);
    }
    return true;
}

static uint64_t *toy_mbar(Front *f, uint32_t slot, uint32_t addr, Err *err)
{
    (void)err;
    return &toy_of(f)->bar[slot][addr / 8 % TOY_SLOT_WORDS];
}

static bool toy_yield(Front *f, uint32_t slot, uint32_t warp)
{
    (void)slot;
    (void)warp;
    toy_of(f)->yields++;
    return false;
}

static void toy_alloc_done(Front *f, uint32_t slot, uint32_t warp, uint32_t column)
{
    (void)warp;
    toy_of(f)->column[slot] = column;
}

static void toy_cta_end(Front *f, uint32_t slot)
{
    (void)slot;
    toy_of(f)->ends++;
}

/* ---- scripts ---- */

static void toy_cancelled(Front *f, uint32_t slot, uint32_t handle, uint32_t cta)
{
    (void)handle;
    toy_of(f)->cancelled[slot] = cta;
}

static const FrontOps toy_ops = {
    .cta_start = toy_cta_start,
    .next = toy_next,
    .exec = toy_exec,
    .async = toy_async,
    .mbar = toy_mbar,
    .yield = toy_yield,
    .tmem_alloc_done = toy_alloc_done,
    .cta_end = toy_cta_end,
    .cancelled = toy_cancelled,
};

static inline Toy *toy_new(const char *model, uint32_t n_warps, uint32_t n_ctas)
{
    Toy *t = calloc(1, sizeof *t);
    char path[512];
    snprintf(path, sizeof path, "%s/%s", TEST_DIR, model);
    if (!model_load(&t->a, path, &t->model, &t->err)) {
        err_print(stderr, &t->err);
        abort();
    }
    t->front = (Front){.ops = &toy_ops,
                       .code = &t->code,
                       .grid = {n_ctas, 1, 1},
                       .block = {n_warps * 32, 1, 1},
                       .cluster = {1, 1, 1},
                       .n_ctas = n_ctas,
                       .n_warps = n_warps,
                       .n_slots = TOY_SLOTS};
    t->repeat = 1;
    t->code.ops = arena_new(&t->a, OpInfo, TOY_STEPS * TOY_WARPS);
    t->code.deps = arena_new(&t->a, uint16_t, TOY_STEPS * TOY_WARPS * 8);
    t->code.n_slots = 256;
    t->code.n_preds = 8;
    for (uint32_t w = 0; w < n_warps; w++)
        t->warp[w].step = arena_new(&t->a, ToyStep, TOY_STEPS);
    t->code.ops[t->code.n_ops++] = (OpInfo){.tclass = TC_BRANCH, .kind = OK_EXIT, .slots = 1};
    t->desc =
        (SimDesc){.front = &t->front, .model = &t->model, .sms = SMS_ALL, .regs_per_thread = 32};
    return t;
}

static inline void toy_free(Toy *t)
{
    arena_free(&t->a);
    free(t);
}

/* Appends an operation that reads slot src and writes slot dst (-1: none). Returns its step. */
static inline uint32_t toy_add(Toy *t, uint32_t warp, TClass tc, Op op, int dst, int src)
{
    Code *c = &t->code;
    ToyWarp *w = &t->warp[warp];
    assert(w->n < TOY_STEPS);
    OpInfo *o = &c->ops[c->n_ops];
    *o = (OpInfo){.tclass = (uint8_t)tc,
                  .unit = (uint8_t)tclass_unit[tc],
                  .kind = op.kind,
                  .slots = 1,
                  .deps = c->n_deps};
    if (src >= 0) {
        c->deps[c->n_deps++] = (uint16_t)src;
        o->n_src = 1;
    }
    if (dst >= 0) {
        c->deps[c->n_deps++] = (uint16_t)dst;
        o->n_dst = 1;
    }
    op.info = c->n_ops++;
    w->step[w->n] = (ToyStep){.op = op, .plain = op.kind == OK_PLAIN};
    return w->n++;
}

static inline uint32_t toy_plain(Toy *t, uint32_t warp, TClass tc, int dst, int src)
{
    return toy_add(t, warp, tc, (Op){.kind = OK_PLAIN}, dst, src);
}

/* A dynamic operation that costs nothing and reads slot src: its issue cycle says when src was
 * ready. */
static inline uint32_t toy_mark(Toy *t, uint32_t warp, int src)
{
    return toy_add(t, warp, TC_NONE, (Op){.kind = OK_SKIPPED}, -1, src);
}

static inline double toy_v(const Toy *t, ModelKey k)
{
    return t->model.v[k];
}
static inline Cycle toy_c(const Toy *t, ModelKey k)
{
    return (Cycle)t->model.v[k];
}

/* First cycle in which CTA 0 can issue. */
static inline Cycle toy_zero(const Toy *t)
{
    return toy_c(t, MP_LAUNCH_CYCLES) + toy_c(t, MP_CTA_START);
}

#ifndef TOY_NO_CHECK
/* Runs; every warp and cycle must have exactly one reason, every handle one read and one done. */
static inline SimResult *toy_run(Toy *t)
{
    SimResult *r = NULL;
    bool ok = sim_run(&t->a, &t->desc, &r, &t->dead, &t->err);
    ck_assert_msg(ok, "%s", t->err.msg);
    ck_assert_uint_eq(t->starts, t->ends);
    for (uint32_t w = 0; w < r->n_warps; w++) {
        uint64_t sum = r->warps[w].issued;
        for (uint32_t i = 0; i < ST_COUNT; i++)
            sum += r->warps[w].stall[i];
        ck_assert_uint_eq(sum, r->warps[w].resident);
    }
    for (uint32_t h = 0; h < TOY_HANDLES; h++)
        ck_assert_uint_eq(t->reads[h], t->dones[h]);
    return r;
}

static inline int toy_main(const char *name, const TTest *const *tests)
{
    Suite *s = suite_create(name);
    TCase *c = tcase_create(name);
    tcase_set_timeout(c, 120);
    for (; *tests; tests++)
        tcase_add_test(c, *tests);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
#endif

#endif
