/* The chip: which CTAs are simulated on how many SMs, dispatch, quanta, the end.
 *
 * With fewer simulated SMs than the grid uses, they stand for the machine: the CTAs of wave w are
 * the ids w R .. w R + R - 1 (R = CTAs resident at once on the whole chip); of each wave the
 * simulated places take ids at equal distance. L2 and HBM give them their share. The time is that
 * of the slowest simulated SM, or of the last store's arrival in L2.
 *
 * Clusters are dispatched whole, to SMs of one group. Times: launch.cycles, then one CTA every
 * dispatch.interval, cta.start to the first instruction; a freed slot gets the next cluster in
 * order of (cycle, group). models/README.md. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "sim/time/core.h"

#define AUTO_ALL_CTAS                                                                              \
    64u             /* up to here every CTA is simulated: a second or two at most, and exact */
#define AUTO_SMS 2u /* beyond: one more than a single SM, so that their difference shows */
#define GRANULE_BYTES 256.0

static uint32_t round_up(uint32_t n, uint32_t to)
{
    return (n + to - 1) / to * to;
}
static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t volume(const uint32_t d[3])
{
    return d[0] * d[1] * d[2];
}

/* Linear id of the CTA of this rank in cluster k; clusters are numbered x fastest, ranks too. */
static uint32_t cta_id(const Front *f, uint64_t k, uint32_t rank)
{
    uint32_t id = 0, scale = 1;
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t size = f->cluster[i], clusters = f->grid[i] / size;
        id += scale * ((uint32_t)(k % clusters) * size + rank % size);
        scale *= f->grid[i];
        k /= clusters;
        rank /= size;
    }
    return id;
}

/* CTAs that fit on an SM at once. */
static uint32_t residency(const SimDesc *d, uint32_t n_warps)
{
    const double *v = d->model->v;
    uint32_t ctas = min_u32((uint32_t)v[MP_SM_CTAS], (uint32_t)v[MP_SM_WARPS] / n_warps);
    uint32_t regs =
        round_up(d->regs_per_thread * WARP_LANES, (uint32_t)v[MP_SM_REGISTER_GRANULE]) * n_warps;
    if (regs)
        ctas = min_u32(ctas, (uint32_t)v[MP_SM_REGISTERS] / regs);
    if (d->shared_per_cta)
        ctas = min_u32(ctas, (uint32_t)v[MP_SM_SHARED_BYTES] / d->shared_per_cta);
    return ctas;
}

/* Position i of wave w stands for the (w R + i R / P)th cluster; R and P count clusters. Returns
 * how many there are; ids may be NULL. */
static uint32_t choose(const SimPlan *p, uint64_t *ids)
{
    uint64_t all = p->ctas_total / p->cluster,
             places = (uint64_t)p->sms_simulated / p->cluster * p->ctas_per_sm;
    uint64_t wave = p->sms_simulated >= p->sms_active ? places : p->resident / p->cluster;
    uint32_t n = 0;
    for (uint64_t w = 0; w * wave < all; w++) {
        for (uint64_t i = 0; i < places && w * wave + i * wave / places < all; i++) {
            if (ids)
                ids[n] = w * wave + i * wave / places;
            n++;
        }
    }
    return n;
}

bool sim_plan(const SimDesc *d, const uint32_t grid[3], const uint32_t block[3],
              const uint32_t cluster[3], SimPlan *plan, Err *err)
{
    uint32_t n_ctas = volume(grid), n_warps = round_up(volume(block), WARP_LANES) / WARP_LANES,
             size = volume(cluster);
    uint32_t chip = (uint32_t)d->model->v[MP_GPU_SMS],
             ctas = n_warps <= MAX_WARPS ? residency(d, n_warps) : 0;
    Loc nowhere = {0};
    if (ctas == 0)
        return err_set(err, ERR_SEMANTIC, nowhere,
                       "a CTA of %u warps, %u registers a thread and %u bytes of shared memory "
                       "does not fit on an SM"
                       " of %s",
                       n_warps, d->regs_per_thread, d->shared_per_cta, d->model->name);
    if (size > d->model->v[MP_CLUSTER_MAX] || size > MAX_CLUSTER || size > chip ||
        n_ctas % size != 0)
        return err_set(err, ERR_SEMANTIC, nowhere,
                       "cluster of %u CTAs: at most %.0f, and a divisor of the grid's %u", size,
                       d->model->v[MP_CLUSTER_MAX], n_ctas);
    uint32_t total = chip / size * size, active = min_u32(total, n_ctas), sms = d->sms;
    if (sms == SMS_AUTO)
        sms = n_ctas <= AUTO_ALL_CTAS ? active : AUTO_SMS;
    sms = min_u32(round_up(min_u32(sms, active), size), active);
    *plan = (SimPlan){.sms_total = chip,
                      .sms_simulated = sms,
                      .ctas_per_sm = ctas,
                      .n_slots = sms * ctas,
                      .ctas_total = n_ctas,
                      .sms_active = active,
                      .resident = total * ctas,
                      .n_warps = n_warps,
                      .cluster = size};
    plan->ctas_simulated = choose(plan, NULL) * size;
    return true;
}

/* ---- building ---- */

static void build_smem(Arena *a, Smem *s, const Model *m)
{
    s->bytes = (uint32_t)m->v[MP_SMEM_BYTES];
    for (uint32_t i = 0; i < SMEM_RING; i++)
        s->tag[i] = CYCLE_NEVER;
    for (uint32_t c = 0; c < SC_COUNT; c++) {
        s->q[c].cap = c == SC_MMA || c == SC_COPY ? 16 : SMEM_ENTRIES;
        s->q[c].job = arena_new(a, SmemJob, s->q[c].cap);
        s->q[c].rate = c == SC_WRITE ? (uint32_t)m->v[MP_TMA_BYTES] : s->bytes;
    }
}

static bool uses_class(const Code *c, TClass tc)
{
    for (uint32_t i = 0; i < c->n_ops; i++)
        if (c->ops[i].tclass == tc)
            return true;
    return false;
}

static void build_sm(Arena *a, Sim *s, Sm *sm, uint32_t index)
{
    const Params *p = &s->p;
    sm->sim = s;
    sm->index = index;
    sm->next = CYCLE_NEVER;
    sm->n_slots = s->ctas_per_sm * s->n_warps;
    sm->warp = arena_new(a, TWarp, sm->n_slots);
    sm->cta = arena_new(a, TCta, s->ctas_per_sm);
    for (uint32_t c = 0; uses_class(s->code, TC_WGMMA) && c < s->ctas_per_sm; c++)
        sm->cta[c].wg = arena_new(a, WgJoin, s->n_warps / WG_WARPS + 1);
    for (uint32_t i = 0; i < sm->n_slots; i++)
        sm->warp[i].score = arena_new(a, uint64_t, s->n_score);
    for (uint32_t k = 0; k < SUBPARTS; k++) {
        sm->sub[k].next = CYCLE_NEVER;
        sm->sub[k].greedy = SUB_WARPS; /* nobody */
        for (uint32_t i = 0; i < SUB_WARPS; i++)
            sm->sub[k].ready[i] = CYCLE_NEVER;
    }
    build_smem(a, &sm->smem, s->model);
    for (uint32_t g = (uint32_t)s->model->v[MP_TMEM_COLUMNS] / 32; g < 16; g++)
        sm->tmem.used =
            (uint16_t)(sm->tmem.used | 1u << g); /* columns this machine does not have */
    sm->n_flights =
        p->tma_queue + LOADS_IN_FLIGHT + 4 * OP_BURST; /* a burst may run past a full queue */
    assert(sm->n_flights <= SMEM_ENTRIES / 2);
    sm->flight = arena_new(a, Flight, sm->n_flights);
    for (uint32_t i = 0; i < sm->n_flights; i++)
        sm->flight[i].next = i + 1 < sm->n_flights ? i + 1 : UINT32_MAX;
    uint32_t most = LOADS_IN_FLIGHT + p->tma_queue + 8 * OP_BURST;
    sm->cap_out = most;
    /* Arrivals in flight: a port takes one a cycle, for the latency; every flight and MMA has at
     * most two events. */
    sm->events.cap =
        2 * most + 4 * TENSOR_RING + 2 * (p->arrive + p->dsmem) + MAX_WARPS * OP_BURST + 64;
    sm->events.ev = arena_new(a, Event, sm->events.cap);
}

static void build_groups(Arena *a, Sim *s)
{
    s->n_groups = s->n_sm / s->cluster;
    s->group = arena_new(a, Group, s->n_groups);
    for (uint32_t i = 0; i < s->n_sm; i++) {
        Sm *sm = &s->sm[i];
        Group *g = &s->group[i / s->cluster];
        sm->group = g;
        sm->rank = i % s->cluster;
        g->sm[g->n++] = sm;
        for (uint32_t k = 0; k < s->ctas_per_sm; k++) {
            sm->cta[k].slot = (i / s->cluster * s->ctas_per_sm + k) * s->cluster + sm->rank;
            sm->cta[k].rank = sm->rank;
        }
    }
    for (uint32_t i = 0; i < s->n_groups; i++)
        s->group[i].cluster = arena_new(a, Cluster, s->ctas_per_sm);
}

static Cycle least(Cycle a, Cycle b)
{
    return a < b ? a : b;
}

static void build_chip(Arena *a, Sim *s, uint32_t active)
{
    Chip *c = &s->chip;
    const Params *p = &s->p;
    double share = (double)s->n_sm / active;
    c->l2_rate = p->l2_bytes * share;
    c->dram_rate = p->dram_bytes * share;
    bool sampled = s->n_sm < active && s->front->footprint;
    c->dram_budget = sampled ? (double)s->front->footprint * share : INFINITY;
    double sets = s->model->v[MP_L2_MIB] * 1048576.0 / GRANULE_BYTES / L2_WAYS;
    for (c->sets = 1; c->sets < sets; c->sets *= 2)
        ;
    c->tag = arena_new(a, uint64_t, (size_t)c->sets * L2_WAYS);
    c->victim = arena_new(a, uint8_t, c->sets);
    /* No request is answered, and no slot filled again, sooner than this: groups need not look at
     * each other within. */
    s->quantum = least(least(p->ldg, p->ldg_miss), least(p->atomg, p->ldgsts));
    s->quantum = least(s->quantum, least(least(p->tma_l2, p->tma_miss), p->tma_store));
    s->quantum = least(s->quantum, least(p->cancel, p->cta_start + p->cta_end));
    if (s->quantum == 0)
        s->quantum = 1;
    c->req = arena_new(a, Request, (size_t)s->n_sm * s->sm[0].cap_out);
    for (uint32_t i = 0; i < s->n_sm; i++)
        s->sm[i].out = c->req + (size_t)i * s->sm[i].cap_out;
    c->list = arena_new(a, uint32_t, s->quantum);
    c->list_end = arena_new(a, uint32_t, s->quantum);
    for (Cycle i = 0; i < s->quantum; i++)
        c->list[i] = UINT32_MAX;
}

static void build_result(Arena *a, Sim *s, const SimPlan *plan)
{
    SimResult *r = arena_new(a, SimResult, 1);
    uint32_t n_ops = s->code->n_ops;
    s->res = r;
    s->ctas = arena_new(a, uint64_t, plan->ctas_simulated / s->cluster);
    s->n_ctas = choose(plan, s->ctas);
    bool (*launches)(Front *, uint32_t) = s->front->ops->launches;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->n_ctas; i++)
        if (!launches || launches(s->front, cta_id(s->front, s->ctas[i], 0)))
            s->ctas[kept++] = s->ctas[i];
    s->cancels = !launches;
    s->n_ctas = kept;
    r->sms_simulated = s->n_sm;
    r->sms_total = plan->sms_total;
    r->ctas_total = s->front->n_ctas;
    r->ctas_simulated = s->n_ctas * s->cluster;
    r->ctas_per_sm = s->ctas_per_sm;
    r->n_warps = s->n_warps;
    r->warps = arena_new(a, WarpStat, s->n_warps);
    r->pc_issues = arena_new(a, uint64_t, n_ops + 1);
    r->ctas = arena_new(a, uint64_t, r->ctas_simulated);
    for (uint32_t i = 0; i < r->ctas_simulated; i++)
        r->ctas[i] = cta_id(s->front, s->ctas[i / s->cluster], i % s->cluster);
    s->wait = arena_new(a, WaitStat, WAIT_TABLE);
    s->n_seen = SEEN_PER_CTA * plan->n_slots;
    s->seen = arena_new(a, MbarSeen, s->n_seen);
    s->run_diff = arena_new(a, int64_t, n_ops + 1);
    s->dyn_count = arena_new(a, uint64_t, n_ops + 1);
    s->skip_count = arena_new(a, uint64_t, n_ops + 1);
}

/* ---- dispatch ---- */

static void dispatch(Sim *s, uint32_t group, uint32_t place, Cycle at)
{
    Group *g = &s->group[group];
    Cluster *c = &g->cluster[place];
    uint64_t id = s->ctas[s->next_cta++];
    c->warps = s->n_warps * s->cluster;
    c->arrived = 0;
    c->ctas_left = s->cluster;
    c->relaxed = true;
    g->active++;
    for (uint32_t r = 0; r < g->n; r++)
        sm_post(
            g->sm[r],
            (Event){.at = at, .kind = EV_CTA_START, .who = place, .a = cta_id(s->front, id, r)});
}

/* The scheduler's answer to a try_cancel: the next cluster is nobody's to start any more. */
uint32_t gpu_cancel(Sim *s)
{
    if (!s->cancels || s->next_cta >= s->n_ctas)
        return OP_NONE;
    return cta_id(s->front, s->ctas[s->next_cta++], 0);
}

/* First wave: breadth first over the groups, one dispatch interval for every CTA of the whole chip
 * before it. */
static void first_wave(Sim *s)
{
    for (uint32_t place = 0; place < s->ctas_per_sm; place++) {
        for (uint32_t g = 0; g < s->n_groups && s->next_cta < s->n_ctas; g++) {
            double before = (double)(s->ctas[s->next_cta] * s->cluster) * s->p.dispatch;
            dispatch(s, g, place, s->p.launch + s->p.cta_start + (Cycle)before);
        }
    }
}

/* Freed slots take the next clusters, in order of (cycle, group, place). */
static void refill(Sim *s, Cycle not_before)
{
    for (uint32_t i = 1; i < s->n_freed; i++) {
        FreeSlot f = s->freed[i];
        uint32_t k = i;
        for (; k > 0 && (s->freed[k - 1].at > f.at ||
                         (s->freed[k - 1].at == f.at && s->freed[k - 1].group > f.group));
             k--)
            s->freed[k] = s->freed[k - 1];
        s->freed[k] = f;
    }
    for (uint32_t i = 0; i < s->n_freed && s->next_cta < s->n_ctas; i++) {
        Cycle at = s->freed[i].at + s->p.cta_start;
        dispatch(s, s->freed[i].group, s->freed[i].place, at > not_before ? at : not_before);
    }
    s->n_freed = 0;
}

/* ---- running ---- */

/* Nothing left to happen in this group: a parked warp with another runnable split may go on. */
static bool try_yield(Group *g, Cycle now)
{
    for (uint32_t r = 0; r < g->n; r++) {
        Sm *sm = g->sm[r];
        Front *f = sm->sim->front;
        for (uint64_t m = sm->parked; m; m &= m - 1) {
            uint32_t slot = (uint32_t)__builtin_ctzll(m);
            TWarp *w = &sm->warp[slot];
            if (w->pend_at < w->pend_n || !f->ops->yield(f, sm->cta[w->cta].slot, w->id))
                continue;
            sync_unpark(sm, slot, sync_key(&w->park), now, 0);
            return true;
        }
    }
    return false;
}

static Cycle next_of(const Group *g)
{
    Cycle next = CYCLE_NEVER;
    for (uint32_t r = 0; r < g->n; r++)
        next = least(next, g->sm[r]->next);
    return next;
}

/* Looks now and then whether all warps that run only poll memory which nobody changes: with nothing
 * under way at one look, and each of them back where it was, with nothing changed, by the next. */
typedef struct Lookout {
    Cycle next, span;
    bool quiet; /* nothing was under way at the last look */
} Lookout;

#define FIRST_LOOK 1000000u /* cycles: half a millisecond; doubles, for polls that back off */

static bool sm_quiet(const Sm *sm)
{
    return sm->events.n == 0 && sm->n_out == 0;
}

/* Warps that run and do not spin; all have to prove it again. */
static uint32_t busy_warps(Sm *sm)
{
    Front *f = sm->sim->front;
    uint32_t n = 0;
    for (uint32_t slot = 0; slot < sm->n_slots; slot++) {
        const TWarp *w = &sm->warp[slot];
        if (w->state == WS_RUN && !f->ops->spins(f, sm->cta[w->cta].slot, w->id, true))
            n++;
    }
    return n;
}

static bool hangs(Sim *s, Lookout *l, Cycle now)
{
    if (now < l->next || !s->front->ops->spins)
        return false;
    bool quiet = true;
    uint32_t busy = 0;
    for (uint32_t i = 0; i < s->n_sm; i++) {
        quiet = quiet && sm_quiet(&s->sm[i]);
        busy += busy_warps(&s->sm[i]);
    }
    bool dead = l->quiet && quiet && busy == 0;
    *l = (Lookout){.next = now + 2 * l->span, .span = 2 * l->span, .quiet = quiet};
    return dead;
}

/* Runs to the end. False: some group cannot move; *now is when that was seen. */
static bool run_quanta(Sim *s, Cycle *now)
{
    bool dead = false;
    Lookout lookout = {.next = FIRST_LOOK, .span = FIRST_LOOK};
    for (;;) {
        Cycle next = CYCLE_NEVER;
        for (uint32_t i = 0; i < s->n_groups; i++) {
            Group *g = &s->group[i];
            if (g->active && !g->dead && next_of(g) == CYCLE_NEVER && !try_yield(g, *now))
                g->dead = dead = true;
            next = least(next, next_of(g));
        }
        if (dead || next == CYCLE_NEVER || s->failed)
            return !dead; /* nobody outside can wake a group whose warps are all parked */
        Cycle from = next / s->quantum * s->quantum, until = from + s->quantum;
        for (uint32_t i = 0; i < s->n_groups && !s->failed; i++)
            sm_run(&s->group[i], until);
        if (s->failed)
            return true;
        memory_serve(s, from);
        refill(s, until);
        *now = until;
        if (hangs(s, &lookout, until))
            return false;
    }
}

/* Tensor cores differ in kind: wgmma is Hopper's, tcgen05 came after it. */
static bool check_tensor_core(const Code *c, const Model *m, Err *err)
{
    bool hopper = strncmp(m->target, "sm_9", 4) == 0;
    for (uint32_t i = 0; i < c->n_ops; i++) {
        const OpInfo *o = &c->ops[i];
        bool wgmma = o->tclass == TC_WGMMA, tmem = o->unit == U_TMEM || o->tclass == TC_MMA;
        if ((!wgmma || hopper) && (!tmem || !hopper))
            continue;
        bool has_text = c->func && c->insns;
        const Insn *in = has_text ? &c->func->insns[c->insns[o->insn].ptx] : NULL;
        return err_set(err, ERR_UNSUPPORTED, in ? in->loc : (Loc){0},
                       "%s: model %s is of %s, which has %s instead; choose another --model",
                       wgmma ? "wgmma" : "tcgen05", m->name, m->target,
                       hopper ? "wgmma" : "tcgen05");
    }
    return true;
}

bool sim_run(Arena *a, const SimDesc *d, SimResult **out, Deadlock *dead, Err *err)
{
    Front *f = d->front;
    SimPlan plan;
    if (!sim_plan(d, f->grid, f->block, f->cluster, &plan, err))
        return false;
    assert(plan.n_warps == f->n_warps && plan.ctas_total == f->n_ctas);
    if (plan.n_slots > f->n_slots)
        return err_set(err, ERR_SEMANTIC, (Loc){0},
                       "the front end holds %u CTAs, the run needs %u (see sim_plan)", f->n_slots,
                       plan.n_slots);
    if (!check_tensor_core(f->code, d->model, err))
        return false;
    Sim *s = arena_new(a, Sim, 1);
    s->front = f;
    s->code = f->code;
    s->model = d->model;
    s->tick = d->tick;
    s->err = err;
    params_read(&s->p, d->model);
    s->n_score = f->code->n_slots + f->code->n_preds;
    s->n_warps = f->n_warps;
    s->cluster = plan.cluster;
    s->ctas_per_sm = plan.ctas_per_sm;
    s->regs = d->regs_per_thread;
    s->n_sm = plan.sms_simulated;
    s->ops = arena_new(a, TOp, f->code->n_ops);
    params_ops(s, s->ops);
    s->sm = arena_new(a, Sm, s->n_sm);
    for (uint32_t i = 0; i < s->n_sm; i++)
        build_sm(a, s, &s->sm[i], i);
    build_groups(a, s);
    build_chip(a, s, plan.sms_active);
    s->freed = arena_new(a, FreeSlot, plan.n_slots);
    build_result(a, s, &plan);
    first_wave(s);
    Cycle now = 0;
    bool moved = run_quanta(s, &now);
    if (s->failed)
        return false;
    if (!moved) {
        deadlock_report(s, a, dead, now);
        return false;
    }
    /* The grid ends when its last stores are in L2, and HBM has taken all but what L2 can hold. */
    double held =
        s->model->v[MP_L2_MIB] * 1048576.0 * s->n_sm / plan.sms_active / s->chip.dram_rate;
    Cycle drained = (Cycle)ceil(fmax(s->chip.l2_free, s->chip.dram_free - held));
    s->res->cycles = s->end > drained ? s->end : drained;
    stats_finish(s, a);
    *out = s->res;
    return true;
}
