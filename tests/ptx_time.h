/* Small PTX kernels on the runner without time with a chip of n SMs, or on the time core. */
#ifndef RAO_TESTS_PTX_TIME_H
#define RAO_TESTS_PTX_TIME_H

#include "sim/time/time.h"
#include "tests/ptx_run.h"

typedef struct PtxChip {
    uint32_t sms, threads; /* threads of the host: 0 = with time */
    uint32_t cluster[3];   /* instead of PtxRun.cluster, if set */
    uint32_t grid[3];
    const char *model; /* of TEST_DIR, as it is; NULL: toy.yaml with that many SMs */
    const char *set;   /* another model value: KEY=VALUE */
    SimResult *result; /* filled when with time; lives as long as the kernel */
    uint64_t cycles;
} PtxChip;

static inline void as_toy(Model *m, uint32_t sms)
{
    m->v[MP_GPU_SMS] = sms;
    m->v[MP_SM_CTAS] = 1;
    m->v[MP_CLUSTER_MAX] = 16;
    m->v[MP_SM_SHARED_BYTES] = 233472;
}

static inline bool ptx_with_time(PtxKernel *k, PtxChip *chip)
{
    static Model model;
    static Arena arena;
    char path[256];
    snprintf(path, sizeof path, TEST_DIR "/%s", chip->model ? chip->model : "toy.yaml");
    if ((!model.name || chip->model) && !model_load(&arena, path, &model, &k->err))
        return false;
    Model m = model;
    if (chip->model)
        memset(&model, 0, sizeof model); /* the toy again next time */
    else
        as_toy(&m, chip->sms);
    if (chip->set && !model_set(&m, chip->set, &k->err))
        return false;
    SimDesc d = {.model = &m, .sms = SMS_ALL, .regs_per_thread = 16};
    SimPlan plan;
    Exec *x;
    if (!sim_plan(&d, k->desc.grid, k->desc.block, k->desc.cluster, &plan, &k->err))
        return false;
    k->desc.n_slots = plan.n_slots;
    if (!exec_new(&k->arena, &k->desc, &x, &k->err))
        return false;
    d.front = exec_front(x);
    Deadlock dead = {0};
    bool ok = sim_run(&k->arena, &d, &chip->result, &dead, &k->err);
    chip->cycles = ok ? chip->result->cycles : 0;
    exec_free(x);
    return ok;
}

/* As ptx_run, on that chip. */
static inline bool ptx_run_on(const PtxRun *r, PtxChip *chip, const char *globals, const char *body,
                              void *out, Err *err)
{
    PtxKernel k;
    bool ok = ptx_load(&k, r, globals, body);
    for (int i = 0; i < 3; i++) {
        if (chip->cluster[0])
            k.desc.cluster[i] = chip->cluster[i];
        if (chip->grid[0])
            k.desc.grid[i] = chip->grid[i];
    }
    k.desc.n_sms = chip->sms;
    if (ok && chip->threads)
        ok = exec_run(&k.arena, &k.desc, 0, 0, chip->threads, NULL, &k.err);
    else if (ok)
        ok = ptx_with_time(&k, chip);
    if (k.out)
        memcpy(out, mem_ptr(k.mem, k.out, PTX_OUT_BYTES), PTX_OUT_BYTES);
    *err = k.err;
    ptx_free(&k);
    return ok;
}

#endif
