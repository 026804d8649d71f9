/* The mbarrier word (layout: isa/bits.def). The tx count is stored with a bias, so that no
 * initialised word has zero in that field: cleared memory is no mbarrier, and neither is poison,
 * whose reserved bits are set. Rules: PTX ISA "mbarrier", research/ptx.md 3.8. */
#include "sim/func/mbar.h"

#include "isa/bits.h"

#define COUNT_MAX 0xfffffu /* 2^20 - 1: arrivals */
#define TX_MAX 0xfffff     /* 2^20 - 1: bytes, either sign */

MbarState mbar_state(uint64_t w)
{
    return (MbarState){
        .parity = (uint32_t)mbar_word_phase(&w),
        .pending = (uint32_t)mbar_word_pending(&w),
        .expected = (uint32_t)mbar_word_expected(&w),
        .tx = (int32_t)mbar_word_tx(&w) - MBAR_TX_BIAS,
    };
}

static uint64_t pack(MbarState s)
{
    uint64_t w = 0;
    mbar_word_set_phase(&w, s.parity);
    mbar_word_set_pending(&w, s.pending);
    mbar_word_set_expected(&w, s.expected);
    mbar_word_set_tx(&w, (uint64_t)(s.tx + MBAR_TX_BIAS));
    return w;
}

bool mbar_is_init(uint64_t w)
{
    const uint64_t reserved = UINT64_C(3) << 61;
    if ((w & reserved) != 0 || mbar_word_tx(&w) == 0)
        return false;
    /* An open phase lacks something, unless every participant has dropped out. */
    MbarState s = mbar_state(w);
    return s.pending != 0 || s.tx != 0 || s.expected == 0;
}

/* Stores the new state; a phase with nothing pending completes and is re-armed. */
static MbarResult settle(uint64_t *w, MbarState s)
{
    bool done = s.pending == 0 && s.tx == 0;
    if (done) {
        s.parity ^= 1;
        s.pending = s.expected;
    }
    *w = pack(s);
    return done ? MBAR_FLIPPED : MBAR_OK;
}

MbarResult mbar_init(uint64_t *w, uint32_t count)
{
    if (count == 0 || count > COUNT_MAX)
        return MBAR_BAD_COUNT;
    *w = pack((MbarState){.pending = count, .expected = count});
    return MBAR_OK;
}

void mbar_inval(uint64_t *w)
{
    *w = 0;
}

static MbarResult arrive(uint64_t *w, uint32_t arrivals, uint32_t expect_tx, uint32_t dropped)
{
    if (!mbar_is_init(*w))
        return MBAR_UNINIT;
    MbarState s = mbar_state(*w);
    if (expect_tx > TX_MAX || s.tx + (int32_t)expect_tx > TX_MAX)
        return MBAR_BAD_TX;
    if (arrivals > s.pending || dropped > s.expected)
        return MBAR_BAD_COUNT;
    s.tx += (int32_t)expect_tx;
    s.pending -= arrivals;
    s.expected -= dropped;
    return settle(w, s);
}

MbarResult mbar_arrive(uint64_t *w, uint32_t arrivals, uint32_t expect_tx)
{
    return arrive(w, arrivals, expect_tx, 0);
}

MbarResult mbar_arrive_drop(uint64_t *w, uint32_t arrivals, uint32_t expect_tx)
{
    return arrive(w, arrivals, expect_tx, arrivals);
}

MbarResult mbar_tx(uint64_t *w, int32_t bytes)
{
    if (!mbar_is_init(*w))
        return MBAR_UNINIT;
    MbarState s = mbar_state(*w);
    int64_t tx = (int64_t)s.tx + bytes;
    if (tx > TX_MAX || tx < -TX_MAX)
        return MBAR_BAD_TX;
    s.tx = (int32_t)tx;
    return settle(w, s);
}

MbarResult mbar_inc_pending(uint64_t *w, uint32_t n)
{
    if (!mbar_is_init(*w))
        return MBAR_UNINIT;
    MbarState s = mbar_state(*w);
    if (n > COUNT_MAX - s.pending)
        return MBAR_BAD_COUNT;
    s.pending += n;
    *w = pack(s);
    return MBAR_OK;
}

bool mbar_phase_done(uint64_t w, uint32_t parity)
{
    return mbar_word_phase(&w) != (parity & 1);
}

const char *mbar_result_text(MbarResult r)
{
    switch (r) {
    case MBAR_OK:
        return "accepted";
    case MBAR_FLIPPED:
        return "accepted, phase completed";
    case MBAR_BAD_COUNT:
        return "more arrivals than pend, or a count outside 1..1048575";
    case MBAR_BAD_TX:
        return "the pending bytes leave +-1048575";
    case MBAR_UNINIT:
        return "no initialised mbarrier";
    }
    return "?";
}
