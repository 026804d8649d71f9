/* Lanes of one warp that meet in shared memory with no warp-wide instruction between them. A warp
 * is one agent to the rest of the checker; here each word remembers by byte which lane has written
 * and read it since the warp's last .sync instruction, barrier, fence or wait for an mbarrier. What
 * is found works where the lanes happen to run together: a warning. */
#include "sim/check/lanes.h"

enum { WORDS = 1024, WORD = 4, NOBODY = 0xff, SEVERAL = 0xfe };

typedef struct LaneWord {
    uint32_t addr, since; /* since: LaneTable.syncs when it was made */
    uint32_t write_at, write_insn, read_insn;
    uint8_t writer[WORD], reader[WORD];
} LaneWord;

struct LaneTable {
    uint32_t syncs, stores; /* so far */
    LaneWord word[WORDS];
};

void lanes_sync(WarpCheck *w)
{
    if (w->lanes)
        w->lanes->syncs++;
}

static LaneWord *word_of(LaneTable *t, uint32_t addr)
{
    LaneWord *w = &t->word[addr / WORD % WORDS];
    if (w->addr != addr / WORD * WORD || w->since != t->syncs + 1) {
        *w = (LaneWord){.addr = addr / WORD * WORD, .since = t->syncs + 1};
        memset(w->writer, NOBODY, sizeof w->writer);
        memset(w->reader, NOBODY, sizeof w->reader);
    }
    return w;
}

static void report(Checker *k, const Act *a, uint32_t lane, uint8_t other_lane, uint32_t other,
                   uint32_t addr, const char *what)
{
    Finding *f = finding_pair(k, FK_RACE_LANES, a->warp, a->insn, a->warp, other);
    finding_warn(f, true);
    if (f->count > 1)
        return;
    f->at.lane = (int32_t)lane;
    f->other.lane = other_lane == SEVERAL ? -1 : other_lane;
    finding_object(k, f, "shared address 0x%x", addr & 0xffffff);
    finding_detail(k, f, "%s, and no __syncwarp lies between", what);
}

/* Whether lanes i and j store the same. */
static bool same_values(const Warp *w, const Lanes *l, uint32_t i, uint32_t j)
{
    for (uint32_t s = 0; s < l->val->n; s++) {
        const uint32_t *r = opd_row(w, l->val, s);
        if (r[i] != r[j])
            return false;
    }
    return l->addr[i] == l->addr[j];
}

typedef struct Meeting {
    const Act *a;
    const Warp *warp;
    const Lanes *l;
    LaneTable *t;
    bool same; /* the store leaves memory as it is */
} Meeting;

static void write_byte(Checker *k, const Meeting *m, LaneWord *w, uint32_t addr, uint32_t lane)
{
    uint8_t was = w->writer[addr % WORD], read = w->reader[addr % WORD];
    if (was != NOBODY && was != lane && w->write_at == m->t->stores) {
        if (!same_values(m->warp, m->l, lane, was)) {
            Finding *f = finding_add(k, FK_RACE_LANES, m->a->warp, m->a->insn);
            finding_warn(f, true);
            if (f->count == 1)
                f->at.lane = (int32_t)lane;
            finding_object(k, f, "shared address 0x%x", addr & 0xffffff);
            finding_detail(k, f, "lanes %u and %u store different values to one place", was, lane);
        }
    } else if (was != NOBODY && was != lane && !m->same) {
        report(k, m->a, lane, was, w->write_insn, addr, "write after another lane's write");
    }
    if (read != NOBODY && read != lane && !m->same)
        report(k, m->a, lane, read, w->read_insn, addr, "write after another lane's read");
    w->writer[addr % WORD] = (uint8_t)lane;
}

static void read_byte(Checker *k, const Meeting *m, LaneWord *w, uint32_t addr, uint32_t lane)
{
    uint8_t was = w->writer[addr % WORD], *read = &w->reader[addr % WORD];
    if (was != NOBODY && was != lane)
        report(k, m->a, lane, was, w->write_insn, addr, "read after another lane's write");
    *read = *read == NOBODY || *read == lane ? (uint8_t)lane : SEVERAL;
}

void lanes_meet(Checker *k, const Warp *warp, const Lanes *l, const Act *a)
{
    WarpCheck *wc = &k->warps[a->warp];
    bool writes = a->flags & ACC_WRITE;
    if (!wc->lanes)
        wc->lanes = arena_new(&k->root->launch, LaneTable, 1);
    Meeting m = {a, warp, l, wc->lanes, a->flags & ACC_SAME};
    m.t->stores += writes;
    for (uint32_t left = l->shared; left; left &= left - 1) {
        uint32_t lane = first_lane(left), from = l->addr[lane], to = from + l->bytes;
        for (uint32_t at = from; at < to;) {
            LaneWord *w = word_of(m.t, at);
            uint32_t end = w->addr + WORD < to ? w->addr + WORD : to;
            for (; at < end; at++)
                if (writes)
                    write_byte(k, &m, w, at, lane);
                else
                    read_byte(k, &m, w, at, lane);
            if (writes) {
                w->write_at = m.t->stores;
                w->write_insn = a->insn;
            } else {
                w->read_insn = a->insn;
            }
        }
    }
}
