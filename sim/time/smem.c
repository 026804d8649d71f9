/* The shared-memory data path: one budget of bytes a cycle for LDS/STS, TMA and MMA operand reads.
 *
 * Time is cut into buckets of 8 cycles. At the start of a bucket each stream (MMA operands,
 * tcgen05.cp, TMA writes, TMA reads) takes what it needs to be done by its due time, evenly; if the
 * bucket has less, the streams share it fairly. Load/store passes take what is left when they come
 * and spill into later buckets, of which they may book half while a stream is active. So nobody
 * waits behind a whole transfer, everybody gets a share, and the sum never exceeds the budget.
 *
 *      bucket b            bucket b+1
 *      [MMA  |TMA |LSU--]  [LSU booked ahead |  (streams decide at its start)  ]
 *
 * Unknown: the arbitration of the real data path; fair sharing is assumed. That the three share 128
 * bytes a cycle is measured: models/README.md (SemiAnalysis umma_throughput), FlashAttention-4
 * paper 2.2. Not modelled: banks of MMA and TMA accesses (conflict-free by their swizzle). */
#include <assert.h>

#include "sim/time/core.h"

static uint32_t bucket_index(Smem *s, Cycle bucket)
{
    uint32_t i = (uint32_t)(bucket % SMEM_RING);
    if (s->tag[i] != bucket) {
        s->tag[i] = bucket;
        s->lsu[i] = 0;
        s->stream[i] = 0;
    }
    return i;
}

static bool streams_active(const Smem *s)
{
    return s->q[SC_MMA].n || s->q[SC_COPY].n || s->q[SC_WRITE].n || s->q[SC_READ].n;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

Cycle smem_lsu(Smem *s, Cycle now, uint32_t passes)
{
    uint32_t cap = s->bytes * BUCKET, left = passes * s->bytes;
    Cycle first = now / BUCKET, finish = now;
    uint32_t ahead = streams_active(s) ? cap / 2 : cap;
    s->lsu_passes += passes;
    for (Cycle b = first; left > 0; b++) {
        if (b - first >= SMEM_RING - 1) /* only a queue far beyond any model gets here */
            return b * BUCKET + left / s->bytes;
        uint32_t i = bucket_index(s, b);
        uint32_t room = b == first ? cap - s->stream[i] : ahead;
        uint32_t gone = b == first ? (uint32_t)(now % BUCKET) : 0;
        uint32_t used = (gone * room + BUCKET - 1) / BUCKET;
        if (s->lsu[i] > used)
            used = s->lsu[i];
        if (used >= room)
            continue;
        uint32_t take = min_u32(room - used, left);
        left -= take;
        used += take;
        s->lsu[i] = used;
        finish = b * BUCKET + (used * BUCKET + room - 1) / room;
    }
    return finish;
}

/* What a client wants of the `cycles` cycles from now: each job an even part, to be done when due.
 */
static uint32_t stream_wish(const SmemQueue *q, Cycle now, uint32_t cycles)
{
    uint64_t wish = 0, most = (uint64_t)q->rate * cycles;
    for (uint32_t k = 0; k < q->n && wish < most; k++) {
        const SmemJob *j = &q->job[(q->head + k) % q->cap];
        if (j->due <= now + cycles)
            wish += j->left;
        else
            wish += ((uint64_t)j->left * cycles + (j->due - now) - 1) / (j->due - now);
    }
    return (uint32_t)(wish < most ? wish : most);
}

/* Max-min fair: nobody gets more than the wish, what one leaves goes to the others. */
static void share_out(const uint32_t wish[SC_COUNT], uint32_t room, uint32_t give[SC_COUNT])
{
    uint32_t open = 0;
    for (uint32_t c = 0; c < SC_COUNT; c++) {
        give[c] = 0;
        open += wish[c] > 0;
    }
    while (open > 0 && room > 0) {
        uint32_t part = room / open > 0 ? room / open : 1;
        open = 0;
        for (uint32_t c = 0; c < SC_COUNT; c++) {
            uint32_t more = min_u32(min_u32(wish[c] - give[c], part), room);
            give[c] += more;
            room -= more;
            open += give[c] < wish[c];
        }
    }
}

/* Moves `bytes` of client c; jobs that end are told the cycle: not before they are due, not before
 * the data path has got there. */
static void move_bytes(Sm *sm, SmemClient c, uint32_t bytes, Cycle reached)
{
    SmemQueue *q = &sm->smem.q[c];
    sm->smem.moved[c] += bytes;
    while (q->n > 0) {
        SmemJob *j = &q->job[q->head];
        uint32_t take = min_u32(j->left, bytes);
        j->left -= take;
        bytes -= take;
        if (j->left > 0)
            return;
        SmemJob done = *j;
        Cycle at = done.due > reached ? done.due : reached;
        q->head = (q->head + 1) % q->cap;
        q->n--;
        if (done.flight == UINT32_MAX)
            continue;
        if (c == SC_MMA || c == SC_COPY)
            tensor_stream_done(sm->group->sm[done.flight], c == SC_COPY, at);
        else
            tma_smem_done(sm, done.flight, c, at);
    }
}

/* Gives the rest of the bucket that `now` is in to the clients in `mask`. */
static void fill_bucket(Sm *sm, Cycle now, uint32_t mask)
{
    Smem *s = &sm->smem;
    uint32_t i = bucket_index(s, now / BUCKET), gone = (uint32_t)(now % BUCKET),
             left = BUCKET - gone;
    uint32_t used = s->lsu[i] + s->stream[i], wish[SC_COUNT], give[SC_COUNT], sum = 0;
    if (used < gone * s->bytes)
        used = gone * s->bytes;
    for (uint32_t c = 0; c < SC_COUNT; c++)
        wish[c] = mask >> c & 1 ? stream_wish(&s->q[c], now, left) : 0;
    uint32_t room = s->bytes * BUCKET - min_u32(used, s->bytes * BUCKET);
    share_out(wish, room, give);
    for (uint32_t c = 0; c < SC_COUNT; c++)
        sum += give[c];
    s->stream[i] += sum;
    Cycle reached = now - gone + (used + sum + s->bytes - 1) / s->bytes;
    for (uint32_t c = 0; c < SC_COUNT; c++) {
        if (give[c] > 0)
            move_bytes(sm, (SmemClient)c, give[c], reached);
    }
    if (streams_active(s) && !s->armed) {
        s->armed = true;
        sm_post(sm, (Event){.at = now - gone + BUCKET, .kind = EV_SMEM});
    }
}

void smem_add(Sm *sm, SmemClient c, SmemJob job, Cycle now)
{
    SmemQueue *q = &sm->smem.q[c];
    assert(q->n < q->cap && job.left > 0);
    q->job[(q->head + q->n++) % q->cap] = job;
    if (q->n == 1)
        fill_bucket(sm, now, 1u << c);
}

/* Beyond half of the ring its bytes join those of the youngest such transfer. */
void smem_add_quiet(Sm *sm, SmemClient c, SmemJob job, Cycle now)
{
    SmemQueue *q = &sm->smem.q[c];
    for (uint32_t k = q->n; q->n >= q->cap / 2 && k > 0; k--) {
        SmemJob *j = &q->job[(q->head + k - 1) % q->cap];
        if (j->flight != UINT32_MAX)
            continue;
        j->left += job.left;
        j->due = j->due > job.due ? j->due : job.due;
        return;
    }
    smem_add(sm, c, job, now);
}

void smem_event(Sm *sm, Cycle now)
{
    sm->smem.armed = false;
    fill_bucket(sm, now, (1u << SC_COUNT) - 1);
}
