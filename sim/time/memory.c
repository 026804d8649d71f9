/* L2 and HBM, shared by all SMs: latency plus bandwidth.
 *
 * SMs put requests in their out-box; between two quanta they are served in order of (cycle, SM). A
 * request occupies its SM's port, the L2 and, if its 256-byte granule is not in L2, HBM: fluid
 * servers that each deliver bytes at a rate; the slowest decides, plus the latency. The simulated
 * SMs get their share of the chip's rates, as if the others did the same. Hit or miss: a 4-way
 * table of granules with the capacity of the L2; a TMA box is one granule, the one it starts in.
 * Stores allocate, and charge HBM when they touch a granule first (it must be written back once).
 *
 * With few SMs simulated, most of what they touch first has been or is being brought in by an SM
 * that is not: the miss costs its latency, but the simulated SMs pay HBM bandwidth only for their
 * share of the memory that the kernel can reach (Front.footprint), since the whole grid loads each
 * byte of it about once.
 *
 * Not modelled: L1 (every global load goes to L2), the near and far partition, sectors, write-back
 * order. models/README.md. */
#include <assert.h>

#include "sim/time/core.h"

void memory_request(Sm *sm, Request r)
{
    assert(sm->n_out < sm->cap_out);
    r.sm = sm->index;
    sm->out[sm->n_out++] = r;
}

/* True if the granule was there; brings it in. */
static bool l2_touch(Chip *c, uint64_t granule)
{
    uint64_t h =
        granule * 0x9e3779b97f4a7c15u; /* Fibonacci hashing: spreads strides over the sets */
    uint32_t set = (uint32_t)(h >> 32) & (c->sets - 1);
    uint64_t *way = &c->tag[(size_t)set * L2_WAYS];
    for (uint32_t i = 0; i < L2_WAYS; i++) {
        if (way[i] == granule + 1)
            return true;
    }
    way[c->victim[set]++ % L2_WAYS] = granule + 1;
    return false;
}

/* Bytes of the request that are not in L2. */
static uint32_t miss_bytes(Chip *c, const Request *r)
{
    if (!r->contiguous)
        return l2_touch(c, r->addr) ? 0 : r->bytes;
    uint32_t n = (r->bytes + 255) / 256, missed = 0;
    for (uint32_t i = 0; i < n; i++)
        missed += !l2_touch(c, r->addr + i);
    return n ? (uint32_t)((uint64_t)r->bytes * missed / n) : 0;
}

/* A fluid server: takes bytes / rate cycles from when it is free. */
static double serve(double *free_at, double at, double bytes, double rate)
{
    if (*free_at < at)
        *free_at = at;
    *free_at += bytes / rate;
    return *free_at;
}

static double max_d(double a, double b)
{
    return a > b ? a : b;
}

static Cycle cycle_up(double c)
{
    Cycle n = (Cycle)c;
    return (double)n < c ? n + 1 : n;
}

/* Result of a load: destinations become ready, the warp may have waited for them. */
static void deliver(Sm *sm, const Request *r, Cycle at, Cycle now)
{
    TWarp *w = &sm->warp[r->who];
    const TOp *o = &sm->sim->ops[r->op];
    if (w->burst < at)
        w->burst = at;
    if (r->last) {
        const uint16_t *dst = sm->sim->code->deps + o->deps + o->n_src;
        for (uint32_t i = 0; i < o->n_dst; i++)
            w->score[dst[i]] = w->burst << 8 | ST_LONG;
        w->burst = 0;
        sm_refresh(sm, r->who, now);
    }
    uint32_t cta = w->cta;
    sm->cta[cta].out--;
    sm_cta_check_end(sm, cta, now);
}

void memory_taken(Sm *sm, Cycle now)
{
    if (sm->loads_out-- >= LOADS_IN_FLIGHT)
        sm_open(sm, P_LSU, now);
}

/* A try_cancel: answered in order of asking. */
static void serve_cancel(Sim *s, const Request *r, Cycle now)
{
    const Params *p = &s->p;
    Sm *sm = &s->sm[r->sm];
    const Flight *f = &sm->flight[r->who];
    double wait = serve(&s->chip.cancel_free, (double)r->at, p->cancel_interval, 1);
    Cycle at = cycle_up(wait - p->cancel_interval) + p->cancel;
    s->front->ops->cancelled(s->front, sm->cta[f->cta].slot, f->handle, gpu_cancel(s));
    sm_post(sm, (Event){.at = at > now ? at : now, .kind = EV_FLIGHT_DONE, .who = r->who});
}

static void serve_one(Sim *s, const Request *r, Cycle now)
{
    if (r->kind == RQ_CANCEL) {
        serve_cancel(s, r, now);
        return;
    }
    const Params *p = &s->p;
    Sm *sm = &s->sm[r->sm];
    const Flight *f = r->kind == RQ_FLIGHT ? &sm->flight[r->who] : NULL;
    bool store = r->kind == RQ_STORE || (f && (f->kind == FL_STORE || f->kind == FL_REDUCE));
    bool tma = f && f->kind != FL_LDGSTS;
    double at = (double)r->at, bytes = r->bytes,
           rate = store ? p->store_bytes
                  : tma ? p->tma_bytes
                        : p->lsu_bytes;
    if (f && store)
        rate = f->kind == FL_REDUCE ? p->tma_reduce_bytes : p->tma_store_bytes;
    double *port = store ? &sm->store_port : tma ? &sm->tma_port : &sm->load_port;
    double hit = store                ? p->tma_store
                 : tma                ? p->tma_l2
                 : f                  ? p->ldgsts
                 : r->kind == RQ_ATOM ? p->atomg
                                      : p->ldg;
    double miss = store ? hit : tma ? p->tma_miss : hit + (p->ldg_miss - p->ldg);
    uint32_t missed = miss_bytes(&s->chip, r);
    double ready = serve(port, at, bytes, rate);
    ready = max_d(ready, serve(&s->chip.l2_free, at, bytes, s->chip.l2_rate));
    double paid = missed < s->chip.dram_budget ? missed : s->chip.dram_budget;
    if (paid > 0)
        ready = max_d(ready, serve(&s->chip.dram_free, at, paid, s->chip.dram_rate));
    s->chip.dram_budget -= paid;
    ready += missed ? miss : hit;
    sm->l2_bytes += r->bytes;
    sm->dram_bytes += (uint64_t)paid;
    Cycle last = cycle_up(ready), length = tma ? cycle_up(bytes / p->tma_bytes) : 0;
    if (f) {
        tma_served(sm, r->who, last - length, last);
        return;
    }
    if (r->kind == RQ_STORE) { /* back-pressure: it holds its place until L2 and HBM have room */
        Cycle taken = cycle_up(ready - hit);
        sm_post(sm, (Event){.at = taken > now ? taken : now, .kind = EV_STORE_TAKEN});
        return;
    }
    memory_taken(sm, now);
    deliver(sm, r, last, now);
}

/* Serves what the SMs asked for in the quantum that began at `from`, in order of (cycle, SM, order
 * of asking). */
void memory_serve(Sim *s, Cycle from)
{
    Chip *c = &s->chip;
    uint32_t asked = 0;
    for (uint32_t i = 0; i < s->n_sm; i++) {
        Sm *sm = &s->sm[i];
        for (uint32_t k = 0; k < sm->n_out; k++) {
            uint32_t n = i * sm->cap_out + k, t = (uint32_t)(sm->out[k].at - from);
            assert(t < s->quantum);
            c->req[n].next = UINT32_MAX;
            if (c->list[t] == UINT32_MAX)
                c->list[t] = n;
            else
                c->req[c->list_end[t]].next = n;
            c->list_end[t] = n;
        }
        asked += sm->n_out;
        sm->n_out = 0;
    }
    for (uint32_t t = 0; asked > 0 && t < s->quantum; t++) {
        for (uint32_t n = c->list[t]; n != UINT32_MAX; n = c->req[n].next, asked--)
            serve_one(s, &c->req[n], from + s->quantum);
        c->list[t] = UINT32_MAX;
    }
}
