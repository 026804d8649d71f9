/* Building an executor: checks the launch, lays out the memory of all CTA slots in one host
 * mapping, loads the module's variables. */
#include "sim/func/state.h"
#include "sim/func/wgmma.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "sim/func/async.h"
#include "sim/func/heap.h"
#include "sim/func/probe.h"

enum {
    MAX_THREADS = 1024, /* per CTA */
    MAX_CLUSTER = 16,   /* CTAs; 8 is portable, 16 the limit of sm_90 and later */
    ROW_BYTES = 4 * WARP,
    TMEM_BYTES = 512 * 128 * 4,
    HUGE_BYTES = 4 << 20, /* from here on huge pages pay */
};

static uint64_t round_up(uint64_t x, uint64_t to)
{
    return (x + to - 1) / to * to;
}

static uint32_t volume(const uint32_t d[3])
{
    return d[0] * d[1] * d[2];
}

/* ---- Checks ---- */

static bool same_or_absent(const uint32_t want[3], const uint32_t have[3])
{
    return want[0] == 0 || (want[0] == have[0] && (want[1] ? want[1] : 1) == have[1] &&
                            (want[2] ? want[2] : 1) == have[2]);
}

static bool check_block(const ExecDesc *d, const Func *f, Err *err)
{
    const uint32_t *b = d->block;
    uint64_t threads = (uint64_t)b[0] * b[1] * b[2];
    if (threads == 0 || threads > MAX_THREADS)
        return err_set(err, ERR_SEMANTIC, f->loc,
                       "block of %u x %u x %u threads: 1 to %d are allowed", b[0], b[1], b[2],
                       MAX_THREADS);
    if (!same_or_absent(f->reqntid, b))
        return err_set(err, ERR_SEMANTIC, f->loc, "'%s' has .reqntid %u, %u, %u, not %u, %u, %u",
                       f->name, f->reqntid[0], f->reqntid[1], f->reqntid[2], b[0], b[1], b[2]);
    uint64_t most = 1;
    for (int i = 0; i < 3; i++)
        most *= f->maxntid[i] ? f->maxntid[i] : 1;
    if (f->maxntid[0] && threads > most)
        return err_set(err, ERR_SEMANTIC, f->loc,
                       "'%s' has .maxntid for %llu threads, the block has %llu", f->name,
                       (unsigned long long)most, (unsigned long long)threads);
    return true;
}

static bool check_grid(const ExecDesc *d, const Func *f, Err *err)
{
    if (!same_or_absent(f->cluster, d->cluster))
        return err_set(err, ERR_SEMANTIC, f->loc,
                       "'%s' has .reqnctapercluster %u, %u, %u, not %u, %u, %u", f->name,
                       f->cluster[0], f->cluster[1], f->cluster[2], d->cluster[0], d->cluster[1],
                       d->cluster[2]);
    for (int i = 0; i < 3; i++)
        if (d->grid[i] == 0 || d->grid[i] % d->cluster[i] != 0)
            return err_set(err, ERR_SEMANTIC, f->loc,
                           "the grid (%u, %u, %u) is not made of clusters of (%u, %u, %u)",
                           d->grid[0], d->grid[1], d->grid[2], d->cluster[0], d->cluster[1],
                           d->cluster[2]);
    if (volume(d->cluster) > MAX_CLUSTER)
        return err_set(err, ERR_SEMANTIC, f->loc, "a cluster of %u CTAs: at most %d are possible",
                       volume(d->cluster), MAX_CLUSTER);
    if (d->n_slots == 0 || d->n_slots % volume(d->cluster) != 0)
        return err_set(err, ERR_SEMANTIC, f->loc, "%u CTA slots do not hold whole clusters of %u",
                       d->n_slots, volume(d->cluster));
    return true;
}

/* Where the dynamic array starts, which may be behind the static bytes for its alignment. */
static uint32_t static_shared(const Code *c)
{
    uint64_t bytes = c->func->shared_bytes;
    for (uint32_t i = 0; i < c->module->n_vars; i++) {
        const Var *v = &c->module->vars[i];
        bool mine = v->func < 0 || &c->module->funcs[v->func] == c->func;
        if (v->space == SP_SHARED && v->is_extern && mine && v->offset > bytes)
            bytes = v->offset;
    }
    return (uint32_t)bytes;
}

static bool check_shared(const Exec *x, Err *err)
{
    uint64_t bytes = (uint64_t)x->static_shared + x->desc.dynamic_shared;
    if (bytes > SHARED_MAX)
        return err_set(
            err, ERR_SEMANTIC, x->code->func->loc,
            "'%s' needs %u bytes of static and %u of dynamic shared memory; a CTA may use %u",
            x->code->func->name, x->static_shared, x->desc.dynamic_shared, SHARED_MAX);
    return true;
}

/* ---- Layout ---- */

static bool uses_tmem(const Code *c)
{
    for (uint32_t i = 0; i < c->n_insns; i++)
        if (strncmp(op_row[c->insns[i].op].exec, "tcgen05", 7) == 0)
            return true;
    return false;
}

static bool uses_wgmma(const Code *c)
{
    for (uint32_t i = 0; i < c->n_insns; i++)
        if (op_row[c->insns[i].op].tclass == TC_WGMMA)
            return true;
    return false;
}

typedef struct Layout {          /* bytes */
    uint64_t regs, preds, local; /* per warp; registers and predicates twice: watch.c */
    uint64_t shared, tmem;       /* per CTA */
    uint64_t consts, engines;    /* engines: of async.c, per CTA */
} Layout;

static Layout layout(const Exec *x)
{
    const Code *c = x->code;
    return (Layout){
        .regs = (c->n_slots + 1ull) * ROW_BYTES, /* one more: the sink */
        .preds = round_up(c->n_preds * sizeof(uint32_t) + 1, ROW_BYTES),
        .local = round_up((uint64_t)x->local_bytes * WARP, ROW_BYTES),
        .shared = round_up(x->shared_bytes, 1024),
        .tmem = x->uses_tmem ? TMEM_BYTES : 0,
        .consts = (c->n_consts + 1ull) * ROW_BYTES,
        .engines = round_up(async_pool_bytes(), 64),
    };
}

static uint8_t *take(uint8_t **p, uint64_t bytes)
{
    uint8_t *at = *p;
    *p += bytes;
    return at;
}

static void set_tids(Warp *w, const uint32_t block[3])
{
    w->full = 0;
    for (uint32_t lane = 0; lane < WARP; lane++) {
        uint32_t t = w->id * WARP + lane;
        if (t < volume(block))
            w->full |= 1u << lane;
        w->tid[0][lane] = t % block[0];
        w->tid[1][lane] = t / block[0] % block[1];
        w->tid[2][lane] = t / block[0] / block[1];
    }
}

static void place_cta(Arena *a, Exec *x, uint32_t slot, const Layout *lay, TcScratch *scratch,
                      uint8_t **p, uint8_t **rare)
{
    Cta *c = &x->ctas[slot];
    c->exec = x;
    c->slot = slot;
    c->shared_bytes = x->shared_bytes;
    c->shared = take(p, lay->shared);
    c->tmem = x->uses_tmem ? (uint32_t(*)[128])(void *)take(p, lay->tmem) : NULL;
    c->warps = arena_new(a, Warp, x->front.n_warps);
    c->async = async_pool_new(a, take(rare, lay->engines), scratch);
    if (uses_wgmma(x->code))
        c->async->wg = arena_new(a, WgBatch, x->front.n_warps);
    for (uint32_t i = 0; i < x->front.n_warps; i++) {
        Warp *w = &c->warps[i];
        w->id = i;
        w->cta = c;
        w->base[0] = (uint32_t *)(void *)take(p, lay->regs);
        w->base[1] = x->const_rows;
        w->preds = (uint32_t *)(void *)take(p, lay->preds);
        w->saved = (uint32_t *)(void *)take(rare, lay->regs + lay->preds);
        w->local = take(p, lay->local);
        set_tids(w, x->desc.block);
    }
}

static void place_all(Arena *a, Exec *x)
{
    Layout lay = layout(x);
    uint64_t ctas = x->desc.n_slots, warps = ctas * x->front.n_warps, regs = lay.regs + lay.preds;
    uint64_t used = lay.consts + (lay.shared + lay.tmem) * ctas + (regs + lay.local) * warps;
    x->map_bytes = used + lay.engines * ctas + regs * warps;
    x->map = mmap(NULL, x->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (x->map == MAP_FAILED) {
        perror("rao: no memory for the CTAs");
        exit(1);
    }
#ifdef MADV_HUGEPAGE /* many CTAs take turns: small pages would not stay in the TLB */
    if (used >= HUGE_BYTES)
        madvise(x->map, used, MADV_HUGEPAGE);
#endif
    uint8_t *p = x->map, *rare = p + used; /* mostly never touched */
    x->const_rows = (uint32_t *)(void *)take(&p, lay.consts);
    for (uint32_t i = 0; i < x->code->n_consts; i++)
        for (uint32_t lane = 0; lane < WARP; lane++)
            x->const_rows[i * WARP + lane] = x->code->consts[i];
    x->ctas = arena_new(a, Cta, x->desc.n_slots);
    TcScratch *scratch = x->uses_tmem || uses_wgmma(x->code) ? tc_scratch_new(a) : NULL;
    for (uint32_t slot = 0; slot < x->desc.n_slots; slot++)
        place_cta(a, x, slot, &lay, scratch, &p, &rare);
}

bool exec_new(Arena *a, const ExecDesc *d, Exec **out, Err *err)
{
    const Code *c = d->code;
    Exec *x = arena_new(a, Exec, 1);
    x->desc = *d;
    x->code = c;
    for (int i = 0; i < 3; i++) /* a cluster that was not asked for is the kernel's own, or 1 */
        if (x->desc.cluster[i] == 0)
            x->desc.cluster[i] = c->func->cluster[i] ? c->func->cluster[i] : 1;
    if (x->desc.n_sms == 0)
        x->desc.n_sms = 1;
    x->changes = d->changes ? d->changes : &x->own_changes;
    x->isa = d->simd ? (SimdIsa)(d->simd - 1) : simd_best();
    x->static_shared = static_shared(c);
    x->shared_bytes = SHARED_BASE + x->static_shared + x->desc.dynamic_shared;
    x->local_bytes = (uint32_t)round_up(c->local_bytes, 16);
    x->uses_tmem = uses_tmem(c);
    x->cluster_ctas = volume(x->desc.cluster);
    if (!check_block(&x->desc, c->func, err) || !check_grid(&x->desc, c->func, err) ||
        !check_shared(x, err) || !bind_code(a, c, x->isa, &x->insns, err))
        return false;
    if (calls_malloc(c) && !heap_prepare(d->mem))
        return err_set(err, ERR_SEMANTIC, c->func->loc, "no room for the heap of kernels");
    if (d->probe)
        x->originals = probe_insns(a, x->insns, c->n_insns);
    Front *f = &x->front;
    *f = (Front){.ops = &exec_front_ops,
                 .code = c,
                 .n_slots = d->n_slots,
                 .footprint = d->footprint ? d->footprint : mem_used(d->mem)};
    memcpy(f->grid, x->desc.grid, sizeof f->grid);
    memcpy(f->block, x->desc.block, sizeof f->block);
    memcpy(f->cluster, x->desc.cluster, sizeof f->cluster);
    f->n_ctas = volume(f->grid);
    f->n_warps = (volume(f->block) + WARP - 1) / WARP;
    place_all(a, x);
    if (d->probe)
        x->desc.probe = d->probe->open(d->probe, x);
    *out = x;
    return true;
}

void exec_free(Exec *x)
{
    if (x && x->map)
        munmap(x->map, x->map_bytes);
}

/* ---- Module variables ---- */

static uint64_t address_of(const Module *m, const CodeLayout *lay, const VarInit *r)
{
    if (r->var < 0)
        return lay->code_window + (uint64_t)r->func * FUNCTION_STEP + (uint64_t)r->addend;
    const Var *v = &m->vars[r->var];
    uint64_t base = 0;
    if (v->space == SP_GLOBAL)
        base = lay->global_base;
    if (v->space == SP_CONST)
        base = lay->const_base;
    if (v->space == SP_SHARED)
        base = SHARED_BASE + (r->generic ? lay->shared_window : 0);
    return base + v->offset + (uint64_t)r->addend;
}

static void load_var(const Module *m, const CodeLayout *lay, const Var *v, uint8_t *to)
{
    if (v->init)
        memcpy(to, v->init, v->size);
    for (uint32_t i = 0; i < v->n_relocs; i++) {
        const VarInit *r = &v->relocs[i];
        uint64_t value = address_of(m, lay, r) >> r->shift;
        memcpy(to + r->at, &value, r->bytes < 8 ? r->bytes : 8);
    }
}

void exec_init_module(const Module *m, GlobalMem *mem, CodeLayout *lay)
{
    uint64_t base[2] = {lay->global_base, lay->const_base};
    lay->param_window = PARAM_WINDOW;
    lay->local_window = LOCAL_WINDOW;
    lay->shared_window = SHARED_WINDOW;
    lay->code_window = CODE_WINDOW;
    if (m->global_bytes)
        memset(mem_ptr(mem, base[0], m->global_bytes), 0, m->global_bytes);
    if (m->const_bytes)
        memset(mem_ptr(mem, base[1], m->const_bytes), 0, m->const_bytes);
    for (uint32_t i = 0; i < m->n_vars; i++) {
        const Var *v = &m->vars[i];
        bool is_const = v->space == SP_CONST;
        if ((v->space == SP_GLOBAL || is_const) && v->size > 0 && !v->is_extern)
            load_var(m, lay, v, mem_ptr(mem, base[is_const] + v->offset, v->size));
    }
}

bool exec_load_module(Arena *a, const Module *m, GlobalMem *mem, CodeLayout *layout_, Err *err)
{
    (void)a;
    uint64_t bytes[2] = {m->global_bytes, m->const_bytes}, base[2] = {0, 0};
    static const char *const name[2] = {"module .global variables", "module .const variables"};
    for (int i = 0; i < 2; i++) {
        if (bytes[i] == 0)
            continue;
        base[i] = mem_alloc(mem, bytes[i], name[i]);
        if (!base[i])
            return err_set(err, ERR_SEMANTIC, (Loc){m->path, 0, 0}, "no room for %llu bytes of %s",
                           (unsigned long long)bytes[i], name[i]);
    }
    *layout_ = (CodeLayout){.global_base = base[0], .const_base = base[1]};
    exec_init_module(m, mem, layout_);
    return true;
}

/* ---- Faults ---- */

bool exec_fault(ExecCtx *x, const XInsn *in, int lane, const char *fmt, ...)
{
    char what[512], who[96];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    const Cta *c = x->cta;
    int n = snprintf(who, sizeof who, "CTA (%u, %u, %u), warp %u", c->ctaid[0], c->ctaid[1],
                     c->ctaid[2], x->w->id);
    if (lane >= 0)
        snprintf(who + n, sizeof who - (size_t)n, ", lane %d", lane);
    Loc loc = x->exec->code->func->insns[in->ci->ptx].loc;
    return err_set(x->err, ERR_FAULT, loc, "%s (%s)", what, who);
}

bool exec_fault_is(ExecCtx *x, FaultKind kind)
{
    x->err->fault = kind;
    return false;
}
