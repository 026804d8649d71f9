/* Launches that may begin before the ones they depend on have ended: a kernel that has
 * griddepcontrol.wait must execute it before it touches what an earlier launch has written. Launch
 * files do not say which launches are programmatic, hence a warning. */
#include "sim/check/global.h"

enum { FIRST_PAGES = 1 << 8 };

typedef struct WrittenPage {
    uint64_t number;
    Bytes *lines; /* [LINES_OF_PAGE], NULL: free */
} WrittenPage;

struct Written { /* by the launches so far */
    WrittenPage *pages;
    uint32_t n, cap;
};

static WrittenPage *slot_of(const struct Written *w, uint64_t number)
{
    uint32_t h = (uint32_t)(number * 0x9E3779B97F4A7C15u >> 32) & (w->cap - 1);
    while (w->pages[h].lines && w->pages[h].number != number)
        h = (h + 1) & (w->cap - 1);
    return &w->pages[h];
}

void griddep_note(Checker *k, uint64_t line, Bytes b)
{
    if (!k->root->written)
        k->root->written = arena_new(&k->root->arena, struct Written, 1);
    struct Written *w = k->root->written;
    if (w->n * 2 >= w->cap) {
        struct Written old = *w;
        w->cap = old.cap ? 2 * old.cap : FIRST_PAGES;
        w->pages = arena_new(&k->root->arena, WrittenPage, w->cap);
        for (uint32_t i = 0; i < old.cap; i++)
            if (old.pages[i].lines)
                *slot_of(w, old.pages[i].number) = old.pages[i];
    }
    WrittenPage *p = slot_of(w, line / LINES_OF_PAGE);
    if (!p->lines) {
        *p = (WrittenPage){line / LINES_OF_PAGE, arena_new(&k->root->arena, Bytes, LINES_OF_PAGE)};
        w->n++;
    }
    Bytes *at = &p->lines[line % LINES_OF_PAGE];
    *at = (Bytes){at->lo | b.lo, at->hi | b.hi};
}

static bool has_waited(const Checker *k, const Act *a)
{
    for (uint32_t i = 0; i < k->all_warps; i++)
        if (k->warps[i].grid_waited && a->clk[i] >= k->warps[i].grid_waited)
            return true;
    return false;
}

void griddep_touch(Checker *k, const Act *a, uint64_t line, Bytes b)
{
    const struct Written *w = k->root->written;
    if (!w || has_waited(k, a))
        return;
    const WrittenPage *p = slot_of(w, line / LINES_OF_PAGE);
    Bytes both = p->lines ? p->lines[line % LINES_OF_PAGE] : (Bytes){0, 0};
    both = (Bytes){both.lo & b.lo, both.hi & b.hi};
    if (!(both.lo | both.hi))
        return;
    Finding *f = finding_add(k, FK_GRID_WAIT, a->warp, a->insn);
    finding_warn(f, true);
    finding_detail(k, f,
                   "global address 0x%llx; if the launch is a programmatic dependent one, the "
                   "earlier kernel may still run",
                   (unsigned long long)bytes_first(line, both));
}
