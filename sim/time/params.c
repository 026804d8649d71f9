/* The model in the time core's units, and the static facts of every op with the model's numbers in
 * them. */
#include "sim/time/core.h"

static uint32_t whole(const Model *m, ModelKey k)
{
    return (uint32_t)(m->v[k] + 0.5);
}

static uint32_t interval_q8(double lanes, uint32_t pipe)
{
    double per_pipe = pipe < P_LOCAL_COUNT ? lanes / SUBPARTS : lanes;
    return (uint32_t)(WARP_LANES / per_pipe * (1 << Q8) + 0.5);
}

static void params_sync(Params *p, const Model *m)
{
    p->arrive = whole(m, MP_MBAR_ARRIVE);
    p->try_wait = whole(m, MP_MBAR_TRY);
    p->wake = whole(m, MP_MBAR_WAKE);
    p->bar = whole(m, MP_BAR_LATENCY);
    p->cluster_bar = whole(m, MP_CLUSTER_BAR);
    p->cluster_relaxed = whole(m, MP_CLUSTER_BAR_RELAXED);
    p->fence = whole(m, MP_FENCE_LATENCY);
    p->fence_gpu = whole(m, MP_FENCE_GPU);
    p->setmaxnreg = whole(m, MP_SETMAXNREG);
    p->dsmem = whole(m, MP_DSMEM_LATENCY);
    p->dsmem_arrive = whole(m, MP_DSMEM_ARRIVE);
    p->dsmem_bytes = m->v[MP_DSMEM_BYTES];
    p->group_wake = whole(m, MP_TMA_GROUP_WAKE);
    p->branch = whole(m, MP_BRANCH_LATENCY);
    p->warpsync = whole(m, MP_WARPSYNC_LATENCY);
    p->sleep_ns = m->v[MP_NANOSLEEP_NS];
    p->ghz = m->v[MP_CLOCK_GHZ];
}

static void params_tensor(Params *p, const Model *m)
{
    static const ModelKey rate[RATE_COUNT] = {[RATE_F16] = MP_TENSOR_F16,
                                              [RATE_8] = MP_TENSOR_F8,
                                              [RATE_4] = MP_TENSOR_F4,
                                              [RATE_TF32] = MP_TENSOR_TF32,
                                              [RATE_I8] = MP_TENSOR_I8};
    for (uint32_t i = 0; i < RATE_COUNT; i++)
        p->rate[i] = m->v[rate[i]];
    p->rows = whole(m, MP_TENSOR_ROWS);
    p->rows_cg2 = whole(m, MP_TENSOR_ROWS_CG2);
    p->floor_ts = whole(m, MP_TENSOR_FLOOR_TS);
    p->floor_ss64 = whole(m, MP_TENSOR_FLOOR_SS64);
    p->floor_ss128 = whole(m, MP_TENSOR_FLOOR_SS128);
    p->floor_cg2 = whole(m, MP_TENSOR_FLOOR_CG2);
    p->cg2_smem_m128 = whole(m, MP_TENSOR_CG2_SMEM_M128);
    p->cg2_smem_m256 = whole(m, MP_TENSOR_CG2_SMEM_M256);
    p->mma_issue = whole(m, MP_TENSOR_ISSUE_CYCLES);
    p->lat_issue = whole(m, MP_TENSOR_LAT_ISSUE);
    p->lat_pipe = whole(m, MP_TENSOR_LAT_PIPE);
    p->lat_cg2_m128 = whole(m, MP_TENSOR_LAT_CG2_M128);
    p->lat_cg2_m256 = whole(m, MP_TENSOR_LAT_CG2_M256);
    p->lat_commit = whole(m, MP_TENSOR_LAT_COMMIT);
    p->lat_scaled = whole(m, MP_TENSOR_LAT_SCALED);
    p->lat_scaled_ss = whole(m, MP_TENSOR_LAT_SCALED_SS);
    p->tensor_queue = whole(m, MP_TENSOR_QUEUE);
    p->tmem_ld = whole(m, MP_TMEM_LD_LATENCY);
    p->tmem_st = whole(m, MP_TMEM_ST_LATENCY);
    p->tmem_ld_col = m->v[MP_TMEM_LD_COLUMN];
    p->tmem_st_col = m->v[MP_TMEM_ST_COLUMN];
    p->tmem_alloc = whole(m, MP_TMEM_ALLOC);
    p->tmem_dealloc = whole(m, MP_TMEM_DEALLOC);
    p->cp_bytes = m->v[MP_TMEM_CP_BYTES];
    p->cp_floor = whole(m, MP_TMEM_CP_FLOOR);
    p->cp_latency = whole(m, MP_TMEM_CP_LATENCY);
    p->shift_interval = whole(m, MP_TMEM_SHIFT);
}

static void params_memory(Params *p, const Model *m)
{
    double per_cycle = 1e12 / (m->v[MP_CLOCK_GHZ] * 1e9); /* TB/s to bytes a cycle */
    p->ldg = whole(m, MP_L2_LATENCY);
    p->ldg_miss = whole(m, MP_DRAM_LATENCY);
    p->atomg = whole(m, MP_ATOMG_LATENCY);
    p->ldgsts = whole(m, MP_LDGSTS_LATENCY);
    p->ldgsts_issue = whole(m, MP_LDGSTS_ISSUE);
    p->lsu_queue = whole(m, MP_LSU_QUEUE);
    p->lsu_bytes = m->v[MP_L2_LSU_BYTES];
    p->store_bytes = m->v[MP_L2_STORE_BYTES];
    p->l2_bytes = m->v[MP_L2_TB_S] * per_cycle;
    p->dram_bytes = m->v[MP_DRAM_TB_S] * per_cycle;
    p->tma_issue = whole(m, MP_TMA_ISSUE_CYCLES);
    p->tma_interval = whole(m, MP_TMA_INTERVAL);
    p->tma_row = m->v[MP_TMA_ROW_CYCLES];
    p->tma_bytes = m->v[MP_TMA_BYTES];
    p->tma_store_bytes = m->v[MP_TMA_STORE_BYTES];
    p->tma_reduce_bytes = m->v[MP_TMA_REDUCE_BYTES];
    p->tma_store = whole(m, MP_TMA_STORE_LATENCY);
    p->tma_queue = whole(m, MP_TMA_QUEUE);
    /* The model has issue to the waiter's next issue; the wake is counted where the waiter is. */
    p->tma_l2 = whole(m, MP_TMA_L2_LATENCY) > p->wake ? whole(m, MP_TMA_L2_LATENCY) - p->wake : 1;
    p->tma_miss =
        whole(m, MP_TMA_DRAM_LATENCY) > p->wake ? whole(m, MP_TMA_DRAM_LATENCY) - p->wake : 1;
}

void params_read(Params *p, const Model *m)
{
    params_sync(p, m);
    params_tensor(p, m);
    params_memory(p, m);
    p->launch = whole(m, MP_LAUNCH_CYCLES);
    p->cta_start = whole(m, MP_CTA_START);
    p->cta_end = whole(m, MP_CTA_END);
    p->dispatch = m->v[MP_DISPATCH_INTERVAL];
    p->cancel = whole(m, MP_CANCEL_LATENCY);
    p->cancel_interval = m->v[MP_CANCEL_INTERVAL];
}

/* Pipe of a class, stall reason of its consumers, keys; classes that compute their time elsewhere
 * have no keys. */
typedef struct ClassRow {
    uint8_t pipe, why;
    int16_t latency, lanes; /* ModelKey, -1: none */
} ClassRow;

static const ClassRow class_row[TC_COUNT] = {
    [TC_NONE] = {P_NONE, ST_WAIT, -1, -1},
    [TC_FMA] = {P_FMA, ST_WAIT, MP_FMA_LATENCY, MP_FMA_LANES},
    [TC_FMA2] = {P_FMA, ST_WAIT, MP_FMA2_LATENCY, MP_FMA2_LANES},
    [TC_HFMA2] = {P_FMA, ST_WAIT, MP_HFMA2_LATENCY, MP_HFMA2_LANES},
    [TC_IMAD] = {P_FMA, ST_WAIT, MP_IMAD_LATENCY, MP_IMAD_LANES},
    [TC_IMAD_WIDE] = {P_FMA, ST_WAIT, MP_IMAD_WIDE_LATENCY, MP_IMAD_WIDE_LANES},
    [TC_ALU] = {P_ALU, ST_WAIT, MP_ALU_LATENCY, MP_ALU_LANES},
    [TC_MINMAX] = {P_ALU, ST_WAIT, MP_MINMAX_LATENCY, MP_MINMAX_LANES},
    [TC_F2FP] = {P_ALU, ST_WAIT, MP_F2FP_LATENCY, MP_F2FP_LANES},
    [TC_CVT] = {P_XU, ST_MUFU, MP_CVT_LATENCY, MP_CVT_LANES},
    [TC_BITS] = {P_XU, ST_MUFU, MP_BITS_LATENCY, MP_BITS_LANES},
    [TC_EX2] = {P_XU, ST_MUFU, MP_EX2_LATENCY, MP_EX2_LANES},
    [TC_MUFU] = {P_XU, ST_MUFU, MP_MUFU_LATENCY, MP_MUFU_LANES},
    [TC_EX2_PAIR] = {P_XU, ST_MUFU, MP_EX2_LATENCY, MP_EX2_LANES},
    [TC_MUFU_PAIR] = {P_XU, ST_MUFU, MP_MUFU_LATENCY, MP_MUFU_LANES},
    [TC_FP64] = {P_FP64, ST_WAIT, MP_FP64_LATENCY, MP_FP64_LANES},
    [TC_DIV] = {P_ALU, ST_WAIT, MP_DIV_LATENCY, MP_DIV_LANES},
    [TC_SHFL] = {P_LSU, ST_SHORT, MP_SHFL_LATENCY, MP_LSU_LANES},
    [TC_VOTE] = {P_ALU, ST_WAIT, MP_VOTE_LATENCY, MP_VOTE_LANES},
    [TC_S2R] = {P_ADU, ST_SHORT, MP_S2R_LATENCY, MP_S2R_LANES},
    [TC_UNIFORM] = {P_UNIFORM, ST_WAIT, MP_UNIFORM_LATENCY, MP_UNIFORM_LANES},
    [TC_BRANCH] = {P_UNIFORM, ST_BRANCH, MP_BRANCH_LATENCY, MP_BRANCH_LANES},
    [TC_LDS] = {P_LSU, ST_SHORT, MP_LDS_LATENCY, MP_LSU_LANES},
    [TC_STS] = {P_LSU, ST_SHORT, -1, MP_LSU_LANES},
    [TC_ATOMS] = {P_LSU, ST_SHORT, MP_ATOMS_LATENCY, MP_LSU_LANES},
    [TC_LDG] = {P_LSU, ST_LONG, MP_L2_LATENCY, MP_LSU_LANES},
    [TC_STG] = {P_LSU, ST_LONG, -1, MP_LSU_LANES},
    [TC_ATOMG] = {P_LSU, ST_LONG, MP_ATOMG_LATENCY, MP_LSU_LANES},
    [TC_LDC] = {P_ADU, ST_LONG, MP_LDC_LATENCY, MP_LDC_LANES},
    [TC_LDTM] = {P_TMEM_LD, ST_TMEM, -1, -1},
    [TC_STTM] = {P_TMEM_ST, ST_TMEM, -1, -1},
    [TC_WAIT_ST] = {P_NONE, ST_TMEM, -1, -1},
    [TC_TMEM_ALLOC] = {P_NONE, ST_TMEM, -1, -1},
    [TC_TMEM_CP] = {P_TENSOR, ST_TMEM, -1, -1},
    [TC_MMA] = {P_TENSOR, ST_TMEM, -1, -1},
    [TC_COMMIT] = {P_TENSOR, ST_TMEM, -1, -1},
    [TC_WGMMA] = {P_TENSOR, ST_TMEM, -1, -1},
    [TC_HMMA] = {P_HMMA, ST_WAIT, MP_HMMA_LATENCY, MP_HMMA_LANES},
    [TC_HMMA_K8] = {P_HMMA, ST_WAIT, MP_HMMA_K8_LATENCY, MP_HMMA_K8_LANES},
    [TC_HMMA_TF32] = {P_HMMA, ST_WAIT, MP_HMMA_TF32_LATENCY, MP_HMMA_TF32_LANES},
    [TC_HMMA_TF32_K4] = {P_HMMA, ST_WAIT, MP_HMMA_TF32_K4_LATENCY, MP_HMMA_TF32_K4_LANES},
    [TC_QMMA] = {P_HMMA, ST_WAIT, MP_QMMA_LATENCY, MP_QMMA_LANES},
    [TC_IMMA] = {P_HMMA, ST_WAIT, MP_IMMA_LATENCY, MP_IMMA_LANES},
    [TC_IMMA_K16] = {P_HMMA, ST_WAIT, MP_IMMA_K16_LATENCY, MP_IMMA_K16_LANES},
    [TC_IMMA4] = {P_HMMA, ST_WAIT, MP_IMMA4_LATENCY, MP_IMMA4_LANES},
    [TC_DMMA] = {P_HMMA, ST_WAIT, MP_DMMA_LATENCY, MP_DMMA_LANES},
    [TC_MBAR_ARRIVE] = {P_MBAR, ST_SHORT, MP_MBAR_ARRIVE, MP_MBAR_LANES},
    [TC_MBAR_TRY] = {P_MBAR, ST_MBARRIER, MP_MBAR_TRY, MP_MBAR_LANES},
    [TC_BAR] = {P_SYNC, ST_BARRIER, -1, MP_SYNC_LANES},
    [TC_WARPSYNC] = {P_ALU, ST_BRANCH, MP_WARPSYNC_LATENCY, MP_WARPSYNC_LANES},
    [TC_FENCE] = {P_NONE, ST_FENCE, -1, -1},
    [TC_SETMAXREG] = {P_NONE, ST_RESOURCE, -1, -1},
    [TC_NANOSLEEP] = {P_NONE, ST_SLEEP, -1, -1},
    [TC_TMA_LD] = {P_TMA, ST_LONG, -1, -1},
    [TC_TMA_ST] = {P_TMA, ST_LONG, -1, -1},
    [TC_TMA_PF] = {P_TMA, ST_LONG, -1, -1},
    [TC_TMA_GROUP] = {P_NONE, ST_GROUP, -1, -1},
    [TC_LDGSTS] = {P_LSU, ST_LONG, -1, MP_LSU_LANES},
};

static uint32_t class_pipe(const Model *m, uint32_t tc)
{
    if (tc == TC_F2FP && m->v[MP_F2FP_ON_ALU] < 0.5)
        return P_F2FP;
    if (tc == TC_CVT && m->v[MP_CVT_ON_XU] < 0.5)
        return P_CVT;
    return class_row[tc].pipe;
}

/* How often the operation takes the pipe's interval: in each slot of a subroutine and of an f64
 * product in steps of K = 4, for each half of a pair. */
static uint32_t intervals_of(uint32_t tc, uint32_t slots)
{
    if (tc == TC_DIV || tc == TC_DMMA)
        return slots;
    return tc == TC_EX2_PAIR || tc == TC_MUFU_PAIR ? 2 : 1;
}

void params_ops(Sim *s, TOp *ops)
{
    const Model *m = s->model;
    for (uint32_t i = 0; i < s->code->n_ops; i++) {
        const OpInfo *o = &s->code->ops[i];
        const ClassRow *c = &class_row[o->tclass];
        uint32_t pipe = class_pipe(m, o->tclass);
        ops[i] = (TOp){.deps = o->deps,
                       .n_src = o->n_src,
                       .n_dst = o->n_dst,
                       .kind = o->kind,
                       .slots = o->slots,
                       .pipe = (uint8_t)pipe,
                       .unit = (uint8_t)tclass_unit[o->tclass],
                       .tclass = o->tclass,
                       .why = c->why,
                       .latency = c->latency < 0 ? 1 : whole(m, (ModelKey)c->latency)};
        if (c->lanes >= 0)
            ops[i].interval = interval_q8(m->v[c->lanes], pipe) * intervals_of(o->tclass, o->slots);
        else if (pipe == P_TENSOR || pipe == P_TMA)
            ops[i].interval = 1 << Q8;
        if (ops[i].slots == 0)
            ops[i].slots = 1;
    }
}
