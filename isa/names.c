#include "isa/names.h"

#include <string.h>

enum { FIRST_SLOTS = 1024, LONGEST_COMPARED = 48 };

void *grow(Arena *a, void *items, uint32_t n, uint32_t *cap, size_t item_bytes)
{
    if (n < *cap)
        return items;
    uint32_t bigger = *cap ? *cap * 2 : 16;
    void *p = arena_alloc(a, (size_t)bigger * item_bytes);
    if (n)
        memcpy(p, items, (size_t)n * item_bytes);
    *cap = bigger;
    return p;
}

void names_init(Names *ns, Arena *a)
{
    *ns = (Names){.a = a, .mask = FIRST_SLOTS - 1};
    ns->slot = arena_new(a, Name *, FIRST_SLOTS);
}

static uint32_t hash_text(const char *s, size_t n)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)s[i]) * 16777619u;
    return h ^ h >> 15;
}

static void enlarge(Names *ns)
{
    uint32_t mask = ns->mask * 2 + 1;
    Name **slot = arena_new(ns->a, Name *, (size_t)mask + 1);
    for (uint32_t i = 0; i <= ns->mask; i++) {
        Name *name = ns->slot[i];
        if (!name)
            continue;
        uint32_t k = name->hash & mask;
        while (slot[k])
            k = (k + 1) & mask;
        slot[k] = name;
    }
    ns->slot = slot;
    ns->mask = mask;
}

Name *names_get(Names *ns, const char *s, size_t n)
{
    uint32_t h = hash_text(s, n), i = h & ns->mask;
    for (; ns->slot[i]; i = (i + 1) & ns->mask) {
        Name *name = ns->slot[i];
        if (name->hash == h && name->len == n && memcmp(name->s, s, n) == 0)
            return name;
    }
    Name *name = arena_new(ns->a, Name, 1);
    *name = (Name){.s = arena_str(ns->a, s, n), .len = (uint32_t)n, .hash = h};
    ns->slot[i] = name;
    if (++ns->n * 2 > ns->mask)
        enlarge(ns);
    return name;
}

void names_bind(Names *ns, Name *name, bool is_label, Sym sym)
{
    ns->undo = grow(ns->a, ns->undo, ns->n_undo, &ns->cap_undo, sizeof *ns->undo);
    Sym *place = is_label ? &name->label : &name->sym;
    ns->undo[ns->n_undo++] = (Undo){.name = name, .before = *place, .is_label = is_label};
    *place = sym;
}

void names_leave(Names *ns, uint32_t mark)
{
    while (ns->n_undo > mark) {
        const Undo *u = &ns->undo[--ns->n_undo];
        *(u->is_label ? &u->name->label : &u->name->sym) = u->before;
    }
}

uint32_t edit_distance(const char *a, size_t na, const char *b, size_t nb, uint32_t limit)
{
    uint32_t row[3][LONGEST_COMPARED + 1];
    size_t gap = na > nb ? na - nb : nb - na;
    if (na > LONGEST_COMPARED || nb > LONGEST_COMPARED || gap > limit)
        return limit + 1;
    for (size_t j = 0; j <= nb; j++)
        row[0][j] = (uint32_t)j;
    for (size_t i = 1; i <= na; i++) {
        uint32_t *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
        now[0] = (uint32_t)i;
        for (size_t j = 1; j <= nb; j++) {
            uint32_t d = up[j - 1] + (a[i - 1] != b[j - 1]);
            d = d < up[j] + 1 ? d : up[j] + 1;
            d = d < now[j - 1] + 1 ? d : now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                up2[j - 2] + 1 < d)
                d = up2[j - 2] + 1;
            now[j] = d;
        }
    }
    uint32_t d = row[na % 3][nb];
    return d < limit ? d : d > limit ? limit + 1 : limit;
}

static size_t common_prefix(const char *s, size_t n, const char *t)
{
    size_t i = 0;
    while (i < n && t[i] && s[i] == t[i])
        i++;
    return i;
}

bool spelled_nearer(const char *s, size_t n, const char *cand, const char *best, uint32_t *best_d)
{
    uint32_t d = edit_distance(s, n, cand, strlen(cand), *best_d);
    if (d > *best_d)
        return false;
    if (best && d == *best_d) {
        size_t p = common_prefix(s, n, cand), q = common_prefix(s, n, best);
        if (p < q || (p == q && strcmp(cand, best) >= 0))
            return false;
    }
    *best_d = d;
    return true;
}

const char *names_nearest(const Names *ns, const char *s, size_t n, bool label)
{
    const char *best = NULL;
    uint32_t best_d = n <= 3 ? 1 : n <= 6 ? 2 : 3;
    for (uint32_t i = 0; i <= ns->mask; i++) {
        const Name *name = ns->slot[i];
        if (!name || (label ? name->label.kind : name->sym.kind) == SYM_NONE)
            continue;
        if (spelled_nearer(s, n, name->s, best, &best_d))
            best = name->s;
    }
    return best;
}
