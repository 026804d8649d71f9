/* ld and st in all state spaces. All lanes' addresses are checked first, so that a fault leaves
 * memory and registers as they were; then the lanes move one after another, in order of lane (two
 * lanes that store to one address: the higher wins, where hardware promises nothing). PTX ISA "ld",
 * "st"; research/ptx.md 3.17. */
#include "sim/func/exec_decl.h"
#include "sim/func/lanes.h"
#include "sim/func/vec.h"

typedef struct Access {
    const CodeOpd *mem, *val;
    uint32_t elems, elem_bytes, elem_slots, bytes;
    bool is_signed;
} Access;

static Access access_of(const Warp *w, const XInsn *in, uint32_t mem_at)
{
    Access a = {.mem = opd(w, in, mem_at), .val = opd(w, in, 1 - mem_at)};
    const TypeInfo *t = &type_info[in->ci->type[0]];
    a.elems = a.val->n_elems ? a.val->n_elems : 1;
    a.elem_bytes = t->bits / 8;
    a.elem_slots = a.val->n / a.elems;
    a.bytes = a.elems * a.elem_bytes;
    a.is_signed = t->kind == 'S';
    return a;
}

typedef struct Lanes {
    uint64_t addr[WARP]; /* in the space that they reached */
    uint8_t *p[WARP];
    Space space;
    bool remote;
} Lanes;

static void lane_addresses(const Warp *w, const CodeOpd *mem, uint64_t addr[WARP])
{
    uint64_t imm = (uint64_t)mem->imm;
    if (mem->n == 0) {
        for (uint32_t i = 0; i < WARP; i++)
            addr[i] = imm;
    } else if (mem->n == 1) {
        const uint32_t *lo = opd_row(w, mem, 0);
        for (uint32_t i = 0; i < WARP; i++)
            addr[i] = lo[i] + (uint32_t)imm;
    } else {
        const uint32_t *lo = opd_row(w, mem, 0), *hi = opd_row(w, mem, 1);
        for (uint32_t i = 0; i < WARP; i++)
            addr[i] = (lo[i] | (uint64_t)hi[i] << 32) + imm;
    }
}

static bool is_shared_space(uint8_t ss)
{
    return ss == MV_SS_SHARED || ss == MV_SS_SHARED_CTA || ss == MV_SS_SHARED_CLUSTER;
}

/* All lanes in the global object of the first one, which is the usual case: their offsets in it,
 * and where it lies on the host. NULL says nothing. */
static uint8_t *one_object(ExecCtx *x, const XInsn *in, const Access *a, uint32_t mask,
                           uint64_t off[WARP], uint64_t *start)
{
    const Warp *w = x->w;
    uint64_t bytes;
    if (a->mem->n != 2 || (in->ci->mod[MC_SS] != MV_SS_GLOBAL && in->ci->mod[MC_SS] != 0))
        return NULL;
    uint8_t *host =
        mem_object(x->exec->desc.mem, opd_addr(w, a->mem, first_lane(mask)), start, &bytes);
    const VecMem *v = &vec_fns(x->exec->isa)->mem;
    if (!host || bytes < a->bytes ||
        !v->offsets64(off, opd_row(w, a->mem, 0), opd_row(w, a->mem, 1),
                      (uint64_t)a->mem->imm - *start, bytes - a->bytes, a->bytes - 1, mask))
        return NULL;
    return host;
}

static bool in_one_object(ExecCtx *x, const XInsn *in, const Access *a, uint32_t mask, Lanes *l)
{
    uint64_t start, off[WARP];
    uint8_t *host = one_object(x, in, a, mask, off, &start);
    if (!host)
        return false;
    for (uint32_t i = 0; i < WARP; i++) {
        l->addr[i] = start + off[i];
        l->p[i] = (uint8_t *)((uintptr_t)host + off[i]); /* of idle lanes: anything */
    }
    l->space = SP_GLOBAL;
    return true;
}

static bool find_lanes(ExecCtx *x, const XInsn *in, const Access *a, uint32_t mask, Lanes *l)
{
    l->remote = false;
    if (in_one_object(x, in, a, mask, l))
        return true;
    lane_addresses(x->w, a->mem, l->addr);
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t i = first_lane(m);
        Place at;
        if (!place_at(x, in, (int)i, in->ci->mod[MC_SS], l->addr[i], a->bytes, &at))
            return false;
        l->p[i] = at.p;
        l->addr[i] = at.addr;
        l->space = at.space;
        l->remote |= at.space == SP_SHARED && at.owner != x->cta;
    }
    return true;
}

static bool whole_words(const Access *a)
{
    return a->elem_bytes >= 4 && a->elem_bytes == 4 * a->elem_slots;
}

/* Whole words in the CTA's own shared memory, addressed by one register: the usual case, without a
 * look at each lane. off counts from the start of the user's shared memory. */
static bool own_shared_words(ExecCtx *x, const XInsn *in, const Access *a, uint32_t mask,
                             uint32_t off[WARP])
{
    const Cta *c = x->cta;
    uint32_t size = c->shared_bytes - SHARED_BASE;
    if (!is_shared_space(in->ci->mod[MC_SS]) || a->mem->n != 1 || !whole_words(a) ||
        a->bytes > size)
        return false;
    uint32_t add = (uint32_t)a->mem->imm - own_shared(c, SHARED_BASE);
    return vec_fns(x->exec->isa)
        ->mem.offsets(off, opd_row(x->w, a->mem, 0), add, size - a->bytes, a->bytes - 1, mask);
}

static void own_shared_op(ExecCtx *x, const Access *a, uint32_t mask, const uint32_t off[WARP])
{
    Op *op = &x->ops[x->n_ops++];
    op->kind = OK_SMEM;
    op->bytes = a->bytes * (uint32_t)__builtin_popcount(mask);
    op->addr = own_shared(x->cta, SHARED_BASE) + off[first_lane(mask)];
    if (x->exec->desc.untimed)
        return;
    if (vec_fns(x->exec->isa)->mem.free_of_conflicts(off, a->bytes, mask) && mask == FULL_MASK) {
        op->waves = (uint16_t)(a->bytes / 4);
        return;
    }
    uint64_t addr[WARP];
    for (uint32_t i = 0; i < WARP; i++)
        addr[i] = SHARED_BASE + off[i];
    op->waves = (uint16_t)bank_passes(addr, a->bytes, mask);
}

/* ---- ld ---- */

static uint64_t load_elem(const uint8_t *p, uint32_t bytes, bool is_signed)
{
    uint64_t v = 0;
    memcpy(&v, p, bytes);
    uint32_t unused = 64 - 8 * bytes;
    return is_signed ? (uint64_t)((int64_t)(v << unused) >> unused) : v;
}

/* Whole words into one slot each: words of a lane lie behind each other. */
static void load_words(const Warp *w, const Access *a, const Lanes *l, uint32_t mask)
{
    for (uint32_t k = 0; k < a->val->n; k++) {
        uint32_t *d = opd_row(w, a->val, k);
        for (uint32_t m = mask; m; m &= m - 1) {
            uint32_t i = first_lane(m);
            memcpy(&d[i], l->p[i] + 4 * k, 4);
        }
    }
}

static void load_elems(const Warp *w, const Access *a, const Lanes *l, uint32_t mask)
{
    for (uint32_t e = 0; e < a->elems; e++)
        for (uint32_t m = mask; m; m &= m - 1) {
            uint32_t i = first_lane(m);
            uint64_t v = load_elem(l->p[i] + e * a->elem_bytes, a->elem_bytes, a->is_signed);
            for (uint32_t s = 0; s < a->elem_slots; s++)
                opd_row(w, a->val, e * a->elem_slots + s)[i] = (uint32_t)(v >> 32 * s);
        }
}

static void load_own(const Warp *w, const Access *a, const uint32_t off[WARP], uint32_t mask)
{
    const uint8_t *base = w->cta->shared + SHARED_BASE;
    for (uint32_t k = 0; k < a->val->n; k++, base += 4) {
        uint32_t *d = opd_row(w, a->val, k);
        if (mask == FULL_MASK)
            for (uint32_t i = 0; i < WARP; i++)
                memcpy(&d[i], base + off[i], 4);
        else
            for (uint32_t m = mask; m; m &= m - 1)
                memcpy(&d[first_lane(m)], base + off[first_lane(m)], 4);
    }
}

/* Runs without time, from one object: words, or one unsigned value of 8 or 16 bits, which is most
 * of what programs load. */
static bool load_object(ExecCtx *x, const XInsn *in, const Access *a, uint32_t mask)
{
    uint64_t start, off[WARP];
    bool words = whole_words(a), narrow = a->elems == 1 && a->elem_bytes < 4 && !a->is_signed;
    if (!x->exec->desc.untimed || (!words && !narrow))
        return false;
    const uint8_t *host = one_object(x, in, a, mask, off, &start);
    if (!host)
        return false;
    uint32_t each = words ? 4 : a->elem_bytes;
    for (uint32_t k = 0; k < a->val->n; k++, host += 4) {
        uint32_t *d = opd_row(x->w, a->val, k);
        for (uint32_t m = mask; m; m &= m - 1) {
            uint32_t i = first_lane(m);
            if (each == 4) {
                memcpy(&d[i], host + off[i], 4);
            } else {
                d[i] = 0;
                memcpy(&d[i], host + off[i], each);
            }
        }
    }
    untimed_op(x, start + off[first_lane(mask)], SP_GLOBAL, false);
    return true;
}

static bool ld(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Access a = access_of(x->w, in, 1);
    Lanes l;
    uint32_t off[WARP];
    if (own_shared_words(x, in, &a, mask, off)) {
        own_shared_op(x, &a, mask, off);
        load_own(x->w, &a, off, mask);
        return true;
    }
    if (load_object(x, in, &a, mask))
        return true;
    if (!find_lanes(x, in, &a, mask, &l))
        return false;
    if (whole_words(&a))
        load_words(x->w, &a, &l, mask);
    else
        load_elems(x->w, &a, &l, mask);
    memory_op(x, l.addr, a.bytes, mask, l.space, false, l.remote);
    return true;
}

/* ld.param [name + offset] of whole words that lie inside the buffer. */
static bool is_simple_param(const Code *c, const CodeInsn *in)
{
    const CodeOpd *d = &c->opds[in->opd], *mem = &c->opds[in->opd + 1];
    uint8_t ss = in->mod[MC_SS];
    uint64_t at = (uint64_t)mem->imm, bytes = 4 * (uint64_t)d->n;
    uint32_t elems = d->n_elems ? d->n_elems : 1;
    return (ss == MV_SS_PARAM || ss == MV_SS_PARAM_ENTRY) && mem->n == 0 && d->n <= 8 &&
           type_info[in->type[0]].bits == 32u * d->n / elems && at % bytes == 0 &&
           at + bytes <= c->func->param_bytes;
}

bool exec_ld(const Code *c, const CodeInsn *in, Bound *out)
{
    if (in->mod[MC_SS] == MV_SS_PARAM_FUNC)
        return false;
    if (is_simple_param(c, in))
        out->plain = vec_fns(out->isa)->m.ld_param;
    else
        out->dyn = ld;
    return true;
}

/* ---- st ---- */

static void store_words(const Warp *w, const Access *a, const Lanes *l, uint32_t mask)
{
    for (uint32_t k = 0; k < a->val->n; k++) {
        const uint32_t *v = opd_row(w, a->val, k);
        for (uint32_t m = mask; m; m &= m - 1) {
            uint32_t i = first_lane(m);
            memcpy(l->p[i] + 4 * k, &v[i], 4);
        }
    }
}

static void store_elems(const Warp *w, const Access *a, const Lanes *l, uint32_t mask)
{
    for (uint32_t e = 0; e < a->elems; e++)
        for (uint32_t m = mask; m; m &= m - 1) {
            uint32_t i = first_lane(m);
            uint64_t v = opd_row(w, a->val, e * a->elem_slots)[i];
            if (a->elem_slots > 1)
                v |= (uint64_t)opd_row(w, a->val, e * a->elem_slots + 1)[i] << 32;
            memcpy(l->p[i] + e * a->elem_bytes, &v, a->elem_bytes);
        }
}

static void store_own(const Warp *w, const Access *a, const uint32_t off[WARP], uint32_t mask)
{
    uint8_t *base = w->cta->shared + SHARED_BASE;
    for (uint32_t k = 0; k < a->val->n; k++, base += 4) {
        const uint32_t *v = opd_row(w, a->val, k);
        if (mask == FULL_MASK)
            for (uint32_t i = 0; i < WARP; i++)
                memcpy(base + off[i], &v[i], 4);
        else
            for (uint32_t m = mask; m; m &= m - 1)
                memcpy(base + off[first_lane(m)], &v[first_lane(m)], 4);
    }
}

static bool st(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Access a = access_of(x->w, in, 0);
    Lanes l;
    uint32_t off[WARP];
    if (own_shared_words(x, in, &a, mask, off)) {
        own_shared_op(x, &a, mask, off);
        store_own(x->w, &a, off, mask);
        return true;
    }
    if (!find_lanes(x, in, &a, mask, &l))
        return false;
    if (l.space == SP_PARAM)
        return exec_fault(x, in, (int)first_lane(mask), "writes to the kernel's parameters");
    if (whole_words(&a))
        store_words(x->w, &a, &l, mask);
    else
        store_elems(x->w, &a, &l, mask);
    memory_op(x, l.addr, a.bytes, mask, l.space, true, l.remote);
    return true;
}

bool exec_st(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c;
    uint8_t ss = in->mod[MC_SS];
    out->dyn = st;
    return ss != MV_SS_PARAM && ss != MV_SS_PARAM_FUNC && ss != MV_SS_PARAM_ENTRY &&
           ss != MV_SS_CONST;
}
