/* Binary heap of events by (cycle, order of posting), of fixed capacity. */
#include <assert.h>

#include "sim/time/core.h"

static bool before(const Event *a, const Event *b)
{
    return a->at != b->at ? a->at < b->at : (int32_t)(a->seq - b->seq) < 0;
}

void event_push(EventHeap *h, Event e)
{
    assert(h->n < h->cap);
    e.seq = h->seq++;
    uint32_t i = h->n++;
    while (i > 0 && before(&e, &h->ev[(i - 1) / 2])) {
        h->ev[i] = h->ev[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    h->ev[i] = e;
}

Event event_pop(EventHeap *h)
{
    assert(h->n > 0);
    Event top = h->ev[0], last = h->ev[--h->n];
    uint32_t i = 0;
    for (uint32_t child; (child = 2 * i + 1) < h->n; i = child) {
        if (child + 1 < h->n && before(&h->ev[child + 1], &h->ev[child]))
            child++;
        if (!before(&h->ev[child], &last))
            break;
        h->ev[i] = h->ev[child];
    }
    h->ev[i] = last;
    return top;
}
