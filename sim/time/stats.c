/* Names of stall reasons, and the sums at the end of a run. */
#include "sim/time/core.h"

const char *const stall_name[ST_COUNT] = {
#define STALL(id, name, meaning) name,
#include "sim/time/stalls.def"
#undef STALL
};
const char *const stall_meaning[ST_COUNT] = {
#define STALL(id, name, meaning) meaning,
#include "sim/time/stalls.def"
#undef STALL
};

void stats_wait(Sim *s, uint32_t warp, uint32_t key, uint64_t cycles, uint32_t signallers)
{
    uint32_t h = (warp * 0x9e3779b9u ^ key * 0x85ebca6bu) >> 7;
    for (uint32_t i = 0; i < WAIT_TABLE; i++) {
        WaitStat *w = &s->wait[(h + i) % WAIT_TABLE];
        if (w->waits == 0) {
            w->warp = warp;
            w->sync = key;
        }
        if (w->warp == warp && w->sync == key) {
            w->waits++;
            w->cycles += cycles;
            w->signallers |= signallers;
            return;
        }
    }
}

static void collect_waits(Sim *s, Arena *a)
{
    SimResult *r = s->res;
    r->waits = arena_new(a, WaitStat, WAIT_TABLE);
    for (uint32_t i = 0; i < WAIT_TABLE; i++) {
        WaitStat w = s->wait[i];
        if (w.waits == 0)
            continue;
        uint32_t k = r->n_waits++; /* by warp, then object: the table's order is no order */
        for (; k > 0 && (r->waits[k - 1].warp > w.warp ||
                         (r->waits[k - 1].warp == w.warp && r->waits[k - 1].sync > w.sync));
             k--)
            r->waits[k] = r->waits[k - 1];
        r->waits[k] = w;
    }
}

/* Results of one operation that a lane of this class gives, for work in lanes: packed operations
 * give two. */
static uint32_t lanes_of(uint32_t tclass)
{
    bool two =
        tclass == TC_FMA2 || tclass == TC_HFMA2 || tclass == TC_EX2_PAIR || tclass == TC_MUFU_PAIR;
    return two ? 2 * WARP_LANES : WARP_LANES;
}

static void count_ops(Sim *s)
{
    SimResult *r = s->res;
    int64_t runs = 0;
    for (uint32_t i = 0; i < s->code->n_ops; i++) {
        const TOp *o = &s->ops[i];
        runs += s->run_diff[i];
        r->pc_issues[i] = (uint64_t)runs + s->dyn_count[i];
        uint64_t done = r->pc_issues[i] - s->skip_count[i];
        r->warp_insts += r->pc_issues[i];
        r->tclass_ops[o->tclass] += done;
        r->units[o->unit].ops += done;
        r->units[o->unit].work += (double)done * lanes_of(o->tclass);
    }
}

typedef struct PipeUnit {
    Unit unit;
    uint8_t pipe, n; /* instances on an SM */
    int16_t lanes;   /* ModelKey of the unit's best rate, -1: one operation a cycle */
} PipeUnit;
static const PipeUnit pipe_unit[] = {
    {U_FMA, P_FMA, SUBPARTS, MP_FMA_LANES}, {U_ALU, P_ALU, SUBPARTS, MP_ALU_LANES},
    {U_MUFU, P_XU, SUBPARTS, MP_EX2_LANES}, {U_UNIFORM, P_UNIFORM, SUBPARTS, MP_UNIFORM_LANES},
    {U_LSU, P_LSU, 1, MP_LSU_LANES},        {U_SYNC, P_MBAR, 1, MP_MBAR_LANES},
};

static double max_d(double a, double b)
{
    return a > b ? a : b;
}

static double pipe_busy(const Sm *sm, uint32_t pipe, uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t k = 0; k < n; k++)
        sum += sm->pipe_busy[pipe_index(pipe, k)];
    return (double)sum / (1 << Q8) / n;
}

/* Conversions on the XU: their part of it, averaged over the SMs (the whole is the MUFU's). */
static double cvt_busy(const Sim *s, const Sm *sm)
{
    if (s->model->v[MP_CVT_ON_XU] < 0.5)
        return pipe_busy(sm, P_CVT, SUBPARTS);
    return (double)s->res->tclass_ops[TC_CVT] * WARP_LANES / s->model->v[MP_CVT_LANES] / s->n_sm;
}

/* Per-SM work over throughput; the SM with the most decides. */
static void limit(SimResult *r, Unit u, double cycles, uint32_t n_sm)
{
    r->only_limit[u] = max_d(r->only_limit[u], cycles);
    r->units[u].busy += cycles / n_sm;
}

static void collect_sm(Sim *s, const Sm *sm)
{
    SimResult *r = s->res;
    const Smem *m = &sm->smem;
    double bytes = m->bytes;
    uint32_t n = s->n_sm;
    for (uint32_t i = 0; i < sizeof pipe_unit / sizeof *pipe_unit; i++)
        limit(r, pipe_unit[i].unit, pipe_busy(sm, pipe_unit[i].pipe, pipe_unit[i].n), n);
    limit(r, U_CVT, cvt_busy(s, sm), n);
    limit(r, U_TMEM, max_d(pipe_busy(sm, P_TMEM_LD, SUBPARTS), pipe_busy(sm, P_TMEM_ST, SUBPARTS)),
          n);
    double moved = (double)m->lsu_passes * bytes + (double)m->moved[SC_MMA] +
                   (double)m->moved[SC_COPY] + (double)m->moved[SC_WRITE] +
                   (double)m->moved[SC_READ];
    limit(r, U_SMEM, moved / bytes, n);
    limit(r, U_TENSOR, sm->tensor.ideal, n);
    r->units[U_TENSOR].busy += ((double)sm->tensor.busy - sm->tensor.ideal) / n;
    limit(r, U_TMA, (double)sm->tma_busy, n);
    limit(r, U_ISSUE, (double)sm->issue_cycles / SUBPARTS, n);
    r->units[U_SMEM].work += moved;
    r->units[U_TENSOR].work += sm->tensor.flops;
    r->sm_mmas += sm->tensor.mmas;
    r->units[U_ISSUE].work += (double)sm->issue_cycles;
    r->units[U_L2].work += (double)sm->l2_bytes;
    r->units[U_DRAM].work += (double)sm->dram_bytes;
    r->smem_bytes_mma += m->moved[SC_MMA] + m->moved[SC_COPY];
    r->smem_bytes_tma += m->moved[SC_WRITE] + m->moved[SC_READ];
    r->l2_bytes += sm->l2_bytes;
    r->dram_bytes += sm->dram_bytes;
}

static void collect_peaks(Sim *s)
{
    SimResult *r = s->res;
    const Model *m = s->model;
    double cycles = (double)r->cycles, sms = s->n_sm, ideal = 0;
    for (uint32_t i = 0; i < sizeof pipe_unit / sizeof *pipe_unit; i++)
        r->units[pipe_unit[i].unit].peak = m->v[pipe_unit[i].lanes] * cycles * sms;
    r->units[U_CVT].peak = m->v[MP_CVT_LANES] * cycles * sms;
    r->units[U_SMEM].peak = m->v[MP_SMEM_BYTES] * cycles * sms;
    r->units[U_ISSUE].peak = SUBPARTS * cycles * sms;
    r->units[U_ISSUE].ops = r->warp_insts;
    r->units[U_L2].peak = s->chip.l2_rate * cycles;
    r->units[U_DRAM].peak = s->chip.dram_rate * cycles;
    /* Peak of the types in use: what the same mix would reach without a gap. */
    for (uint32_t i = 0; i < s->n_sm; i++)
        ideal += s->sm[i].tensor.ideal;
    double rate = ideal > 0 ? r->units[U_TENSOR].work / ideal : m->v[MP_TENSOR_F16];
    r->units[U_TENSOR].peak = rate * cycles * sms;
    r->units[U_TMEM].work = (double)(r->tmem_bytes_ld + r->tmem_bytes_st);
    r->units[U_TMEM].peak = SUBPARTS * WARP_LANES * 4 / m->v[MP_TMEM_LD_COLUMN] * cycles * sms;
    r->units[U_TMA].work = (double)r->smem_bytes_tma;
    r->units[U_TMA].peak = m->v[MP_TMA_BYTES] * cycles * sms;
}

void stats_finish(Sim *s, Arena *a)
{
    count_ops(s);
    collect_waits(s, a);
    s->res->units[U_TENSOR].work = s->res->units[U_SMEM].work = s->res->units[U_ISSUE].work = 0;
    for (uint32_t i = 0; i < s->n_sm; i++)
        collect_sm(s, &s->sm[i]);
    /* Shared by the SMs: what one takes more, another takes less. */
    limit(s->res, U_L2, (double)s->res->l2_bytes / s->chip.l2_rate, 1);
    limit(s->res, U_DRAM, (double)s->res->dram_bytes / s->chip.dram_rate, 1);
    collect_peaks(s);
}
