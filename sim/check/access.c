/* Loads, stores and atomics of lanes: shared memory by granule, definedness of what is loaded and
 * stored, and the order that atomics carry. */
#include "sim/check/global.h"
#include "sim/check/lanes.h"

#define WINDOW_BYTES (UINT64_C(1) << 28)

static void find_lanes(const Checker *k, const ExecCtx *x, const XInsn *in, uint32_t mask, Lanes *l)
{
    const Code *c = k->l.code;
    uint8_t ss = in->ci->mod[MC_SS];
    bool shared = ss == MV_SS_SHARED || ss == MV_SS_SHARED_CTA || ss == MV_SS_SHARED_CLUSTER;
    *l = (Lanes){0};
    for (uint32_t i = 0; i < in->ci->n_opd; i++) {
        const CodeOpd *o = &c->opds[in->ci->opd + i];
        if (o->kind == CO_MEM && !l->mem)
            l->mem = o;
        else if (o->kind == CO_VALUE && !l->val)
            l->val = o;
    }
    if (!l->mem || !l->val)
        return;
    uint32_t elems = l->val->n_elems ? l->val->n_elems : 1;
    l->elem_bytes = type_info[in->ci->type[0]].bits / 8;
    l->bytes = elems * l->elem_bytes;
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t i = first_lane(m);
        uint64_t a = opd_addr(x->w, l->mem, i);
        bool here = shared || (ss == 0 && a - SHARED_WINDOW < WINDOW_BYTES);
        l->addr[i] = (uint32_t)a;
        l->global[i] = a;
        l->shared |= (uint32_t)here << i;
        l->other |= (uint32_t)!here << i;
    }
}

/* A generic address, not of a window. Shared addresses have 32 bits. */
static bool is_global(uint64_t a)
{
    return a > UINT32_MAX && (a < SHARED_WINDOW || a >= GLOBAL_BASE);
}

/* ---- Order carried by atomics ---- */

static Epoch **sync_loc(Checker *k, uint64_t addr)
{
    if (k->n_locs * 2 >= k->cap_locs) {
        uint32_t old = k->cap_locs;
        SyncLoc *locs = k->locs;
        k->cap_locs = old ? 2 * old : 1024;
        k->locs = arena_new(&k->root->launch, SyncLoc, k->cap_locs);
        k->n_locs = 0;
        for (uint32_t i = 0; i < old; i++)
            if (locs[i].clk)
                *sync_loc(k, locs[i].addr) = locs[i].clk;
    }
    uint32_t h = (uint32_t)((addr >> 2) * 0x9E3779B97F4A7C15u >> 32) & (k->cap_locs - 1);
    while (k->locs[h].clk && k->locs[h].addr != addr)
        h = (h + 1) & (k->cap_locs - 1);
    if (!k->locs[h].clk) {
        k->locs[h] = (SyncLoc){addr, clock_new(k)};
        k->n_locs++;
    }
    return &k->locs[h].clk;
}

/* Strong accesses order: a store releases, a load acquires, an atomic does both. Within a cluster
 * relaxed ones count too, since a fence may stand beside them. */
static void carry_order(Checker *k, const ExecCtx *x, const XInsn *in, uint64_t addr, bool writes)
{
    WarpCheck *w = warp_check(k, x->w);
    Epoch *loc = *sync_loc(k, addr);
    uint8_t sem = in->ci->mod[MC_SEM], scope = in->ci->mod[MC_SCOPE];
    bool far = is_global(addr) && scope != MV_SCOPE_CTA && scope != MV_SCOPE_CLUSTER;
    if (!writes) {
        clock_join(k, w->clk, loc);
        if (far)
            release_read(k, warp_index(k, w), addr);
        return;
    }
    clock_join(k, loc, w->clk);
    if (far)
        release_write(k, warp_index(k, w), addr,
                      sem != MV_SEM_RELEASE && sem != MV_SEM_ACQ_REL && sem != MV_SEM_SC);
}

static bool is_strong(const XInsn *in, const InsnInfo *ii)
{
    uint8_t sem = in->ci->mod[MC_SEM];
    return ii->cls == CL_ATOM || (sem && sem != MV_SEM_WEAK);
}

/* ---- Definedness ---- */

static void load_defined(Checker *k, const Warp *warp, const XInsn *in, const Lanes *l,
                         uint32_t mask)
{
    WarpCheck *w = warp_check(k, warp);
    const Code *c = k->l.code;
    uint32_t per = l->val->n / (l->val->n_elems ? l->val->n_elems : 1u), insn;
    insn = (uint32_t)(in - k->x->insns);
    for (uint32_t j = 0; j < l->val->n; j++) {
        Slot s = c->slots[l->val->first + j];
        if (s < 0 || s >= UINT16_MAX)
            continue;
        uint32_t at = per ? j / per * l->elem_bytes + j % per * 4 : 0, bad = 0;
        uint32_t bytes = l->elem_bytes < 4 ? l->elem_bytes : 4;
        for (uint32_t m = l->shared; m; m &= m - 1) {
            uint32_t i = first_lane(m);
            if (shared_invalid(k, l->addr[i] + at, bytes) == bytes)
                bad |= 1u << i;
        }
        defined_set(w, (uint32_t)s, mask, ~bad, ORIGIN_SHARED | insn);
    }
}

static void store_defined(Checker *k, const Warp *warp, const XInsn *in, const Lanes *l)
{
    WarpCheck *w = warp_check(k, warp);
    const Code *c = k->l.code;
    uint32_t per = l->val->n / (l->val->n_elems ? l->val->n_elems : 1u);
    (void)in;
    for (uint32_t j = 0; j < l->val->n; j++) {
        Slot s = c->slots[l->val->first + j];
        uint32_t def = s < 0 || s >= UINT16_MAX ? FULL_MASK : w->def[s];
        uint32_t at = per ? j / per * l->elem_bytes + j % per * 4 : 0;
        uint32_t bytes = l->elem_bytes < 4 ? l->elem_bytes : 4;
        for (uint32_t m = l->shared; m; m &= m - 1) {
            uint32_t i = first_lane(m);
            shared_set_valid(k, l->addr[i] + at, bytes, def >> i & 1, 0);
        }
    }
}

/* A value that leaves the CTA must be defined. */
static void check_stored(Checker *k, const Warp *warp, const XInsn *in, const Lanes *l)
{
    WarpCheck *w = warp_check(k, warp);
    const Code *c = k->l.code;
    for (uint32_t j = 0; j < l->val->n; j++) {
        Slot s = c->slots[l->val->first + j];
        if (s >= 0 && s < UINT16_MAX && l->other & ~w->def[s])
            defined_report(k, warp, in, w->origin[s], l->other & ~w->def[s],
                           "a value that is stored to global memory");
    }
}

/* ---- Accesses ---- */

/* What lane i is about to overwrite, or NULL. */
static const uint8_t *overwritten(const Checker *k, const Lanes *l, uint32_t i)
{
    if (!(l->shared >> i & 1))
        return mem_ptr(k->x->desc.mem, l->global[i], l->bytes);
    uint32_t rank = l->addr[i] >> 24, at = l->addr[i] & 0xffffff;
    bool inside = rank < k->n_ctas && at + l->bytes <= k->x->shared_bytes;
    return inside ? k->x->ctas[rank].shared + at : NULL;
}

/* Several warps may well write the same value. Elements below a word have a register each, and one
 * may be wider than what is stored: its low bytes. */
bool lanes_store_same(const Checker *k, const Warp *warp, const Lanes *l)
{
    uint32_t per = l->val->n / (l->val->n_elems ? l->val->n_elems : 1u), piece;
    piece = l->elem_bytes < 4 ? l->elem_bytes : 4;
    if (per * 4 < l->elem_bytes)
        return false;
    for (uint32_t m = l->shared | l->other; m; m &= m - 1) {
        uint32_t i = first_lane(m);
        const uint8_t *there = overwritten(k, l, i);
        for (uint32_t at = 0; there && at < l->bytes; at += piece) {
            uint32_t slot = at / l->elem_bytes * per + at % l->elem_bytes / 4;
            if (memcmp(there + at, &opd_row(warp, l->val, slot)[i], piece) != 0)
                return false;
        }
        if (!there)
            return false;
    }
    return true;
}

/* Neighbouring lanes share granules: one look for each run of lanes that lie behind each other. */
static void touch_lanes(Checker *k, const Lanes *l, const Act *a)
{
    uint32_t from = 0, to = 0;
    for (uint32_t m = l->shared; m; m &= m - 1) {
        uint32_t at = l->addr[first_lane(m)];
        if (at == to && to != from) {
            to += l->bytes;
            continue;
        }
        if (at >= from && at + l->bytes <= to)
            continue; /* a broadcast */
        if (to != from)
            shared_touch(k, from, to - from, a);
        from = at;
        to = at + l->bytes;
    }
    if (to != from)
        shared_touch(k, from, to - from, a);
}

static bool is_local_or_param(const XInsn *in)
{
    uint8_t ss = in->ci->mod[MC_SS];
    return ss == MV_SS_LOCAL || ss == MV_SS_PARAM || ss == MV_SS_PARAM_ENTRY || ss == MV_SS_CONST;
}

void access_lanes(Checker *k, ExecCtx *x, const XInsn *in, const InsnInfo *ii, uint32_t mask)
{
    Lanes l;
    find_lanes(k, x, in, mask, &l);
    if (!l.val)
        return;
    bool writes = ii->cls != CL_LD, reads = ii->cls != CL_ST, strong = is_strong(in, ii);
    uint64_t last = UINT64_MAX;
    for (uint32_t m = strong && reads ? mask : 0; m; m &= m - 1) {
        uint64_t at =
            l.shared >> first_lane(m) & 1 ? l.addr[first_lane(m)] : l.global[first_lane(m)];
        if (at != last)
            carry_order(k, x, in, at, false);
        last = at;
    }
    if (l.shared) {
        Act a =
            act_warp(k, x->w, in, (uint16_t)((writes ? ACC_WRITE : 0) | (strong ? ACC_ATOMIC : 0)));
        if (ii->cls == CL_ST && lanes_store_same(k, x->w, &l))
            a.flags |= ACC_SAME;
        touch_lanes(k, &l, &a);
        if (!strong)
            lanes_meet(k, x->w, &l, &a);
        sync_remote(k, a.warp, l.addr[first_lane(l.shared)], a.insn);
    }
    if (l.other && !is_local_or_param(in)) {
        GlobalAct g = {
            .a = act_warp(k, x->w, in,
                          (uint16_t)((writes ? ACC_WRITE : 0) | (strong ? ACC_ATOMIC : 0))),
            .nc = in->ci->mod[MC_NC] != 0,
            .store = ii->cls == CL_ST ? &l : NULL,
            .warp = x->w};
        global_lanes(k, &g, l.global, l.other, l.bytes);
    }
    if (ii->cls == CL_LD)
        load_defined(k, x->w, in, &l, mask);
    if (ii->cls == CL_ST && l.shared)
        store_defined(k, x->w, in, &l);
    if (ii->cls == CL_ATOM && l.shared)
        for (uint32_t m = l.shared; m; m &= m - 1)
            shared_set_valid(k, l.addr[first_lane(m)], l.bytes, true, 0);
    if (ii->cls == CL_ST && l.other && !is_local_or_param(in))
        check_stored(k, x->w, in, &l);
    last = UINT64_MAX;
    for (uint32_t m = strong && writes ? mask : 0; m; m &= m - 1) {
        uint64_t at =
            l.shared >> first_lane(m) & 1 ? l.addr[first_lane(m)] : l.global[first_lane(m)];
        if (at != last)
            carry_order(k, x, in, at, true);
        last = at;
    }
    if (strong && writes)
        warp_tick(k, warp_check(k, x->w));
}

/* ldmatrix, stmatrix: lane i gives the address of row i, 16 bytes each. */
void access_matrix(Checker *k, ExecCtx *x, const XInsn *in, const InsnInfo *ii)
{
    bool writes = ii->cls == CL_STMATRIX;
    const Code *c = k->l.code;
    const CodeOpd *mem = NULL, *val = NULL;
    for (uint32_t i = 0; i < in->ci->n_opd; i++) {
        const CodeOpd *o = &c->opds[in->ci->opd + i];
        mem = o->kind == CO_MEM ? o : mem;
        val = o->kind == CO_VALUE ? o : val;
    }
    if (!mem || !val)
        return;
    uint32_t rows = in->ci->mod[MC_MSHAPE] == MV_MSHAPE_M8N8 ? 8u * val->n : 16u * val->n;
    Act a = act_warp(k, x->w, in, writes ? ACC_WRITE : 0);
    WarpCheck *w = warp_check(k, x->w);
    uint32_t bad = 0;
    for (uint32_t i = 0; i < rows && i < WARP; i++) {
        uint32_t at = (uint32_t)opd_addr(x->w, mem, i);
        shared_touch(k, at, GRANULE, &a);
        if (writes)
            shared_set_valid(k, at, GRANULE, true, 0);
        else
            bad |= (uint32_t)(shared_invalid(k, at, GRANULE) == GRANULE) << i;
    }
    for (uint32_t j = 0; !writes && j < val->n; j++) {
        Slot s = c->slots[val->first + j]; /* register j of a thread: matrix j, row thread / 4 */
        if (s < 0 || s >= UINT16_MAX)
            continue;
        uint32_t lanes = FULL_MASK;
        for (uint32_t t = 0; t < WARP && rows == 8u * val->n; t++)
            if (bad >> (8 * j + t / 4) % WARP & 1)
                lanes &= ~(1u << t);
        defined_set(w, (uint32_t)s, FULL_MASK, lanes, ORIGIN_SHARED | (uint32_t)(in - k->x->insns));
    }
}
