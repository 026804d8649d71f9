/* What each instruction of a kernel is to the checker, worked out once: its class, its registers,
 * how definedness flows. */
#include "isa/form.h"
#include "sim/check/core.h"

typedef struct Name {
    const char *exec;
    uint8_t cls, flow;
} Name;

/* By exec name; a name that ends in '*' is a prefix. The first that fits. */
static const Name names[] = {
    {"ld", CL_LD, FLOW_NONE},
    {"st", CL_ST, FLOW_NONE},
    {"st_shared", CL_ST, FLOW_NONE},
    {"atom*", CL_ATOM, FLOW_MADE},
    {"red", CL_ATOM, FLOW_MADE},
    {"ldmatrix*", CL_LDMATRIX, FLOW_NONE},
    {"stmatrix*", CL_STMATRIX, FLOW_NONE},
    {"mbarrier_test_wait*", CL_MBAR_TEST, FLOW_MADE},
    {"mbarrier_try_wait*", CL_MBAR_TEST, FLOW_MADE},
    {"mbarrier_*", CL_MBAR, FLOW_MADE},
    {"cp_async_bulk_tensor_g2s*", CL_TMA_LOAD, FLOW_MADE},
    {"cp_async_bulk_g2s*", CL_TMA_LOAD, FLOW_MADE},
    {"cp_async_bulk_s2s*", CL_TMA_LOAD, FLOW_MADE},
    {"cp_async_bulk_tensor_s2g*", CL_TMA_STORE, FLOW_MADE},
    {"cp_async_bulk_s2g*", CL_TMA_STORE, FLOW_MADE},
    {"cp_reduce_async_bulk_s2s", CL_TMA_LOAD, FLOW_MADE},
    {"cp_reduce_async_bulk*", CL_TMA_STORE, FLOW_MADE},
    {"st_async", CL_REMOTE, FLOW_MADE},
    {"red_async", CL_REMOTE, FLOW_MADE},
    {"st_bulk", CL_FILL, FLOW_MADE},
    {"cp_async_bulk_commit_group", CL_BULK_COMMIT, FLOW_MADE},
    {"cp_async", CL_CPASYNC, FLOW_MADE},
    {"cp_async_commit_group", CL_CPASYNC_COMMIT, FLOW_MADE},
    {"cp_async_wait_all", CL_CPASYNC_WAIT_ALL, FLOW_MADE},
    {"cp_async_mbarrier_arrive", CL_CPASYNC_ARRIVE, FLOW_MADE},
    {"tcgen05_mma*", CL_MMA, FLOW_MADE},
    {"tcgen05_commit", CL_COMMIT, FLOW_MADE},
    {"tcgen05_cp*", CL_TMEM_CP, FLOW_MADE},
    {"tcgen05_shift", CL_TMEM_CP, FLOW_MADE},
    {"tcgen05_ld", CL_TMEM_LD, FLOW_NONE},
    {"tcgen05_st", CL_TMEM_ST, FLOW_NONE},
    {"tcgen05_wait_ld", CL_TMEM_WAIT_LD, FLOW_MADE},
    {"tcgen05_alloc", CL_TMEM_ALLOC, FLOW_MADE},
    {"tcgen05_dealloc", CL_TMEM_DEALLOC, FLOW_MADE},
    {"tcgen05_relinquish", CL_TMEM_RELINQUISH, FLOW_MADE},
    {"fence", CL_FENCE, FLOW_MADE},
    {"fence_proxy_async", CL_FENCE_PROXY, FLOW_MADE},
    {"barrier_cluster_arrive", CL_CLUSTER_ARRIVE, FLOW_MADE},
    {"setmaxnreg", CL_SETMAXNREG, FLOW_MADE},
    {"griddepcontrol_wait", CL_GRID_WAIT, FLOW_MADE},
    {"tensormap_replace", CL_MAP_REPLACE, FLOW_MADE},
    {"tensormap_cp_fenceproxy", CL_MAP_COPY, FLOW_MADE},
    {"fence_proxy_tensormap", CL_MAP_ACQUIRE, FLOW_MADE},
    {"wgmma_commit_group", CL_WGMMA_COMMIT, FLOW_MADE},
    {"wgmma_fence", CL_WGMMA_FENCE, FLOW_MADE},
    {"wgmma_wait_group", CL_OTHER, FLOW_MADE},
    {"wgmma*", CL_WGMMA, FLOW_MADE},
    {"clc_try_cancel", CL_CLC_CANCEL, FLOW_MADE},
    {"clc_*", CL_CLC_QUERY, FLOW_ALL},
    {"mov", CL_OTHER, FLOW_PAIRS},
    {"mov_pred", CL_OTHER, FLOW_PAIRS},
    {"mov_unpack", CL_OTHER, FLOW_PAIRS},
    {"mov_pack", CL_OTHER, FLOW_PAIRS},
    {"*_f32x2", CL_OTHER, FLOW_PAIRS},
    {"selp", CL_OTHER, FLOW_SELECT},
    {"and_*", CL_OTHER, FLOW_ANY},
    {"or_*", CL_OTHER, FLOW_ANY},
    {"xor_*", CL_OTHER, FLOW_ANY},
    {"lop3*", CL_OTHER, FLOW_ANY},
    {"prmt", CL_OTHER, FLOW_ANY},
    {"shf_*", CL_OTHER, FLOW_ANY},
    {"bfi", CL_OTHER, FLOW_ANY},
    {"setp_*", CL_OTHER, FLOW_ANY},
    {"cvt_pair", CL_OTHER, FLOW_ANY},
    {"cvt_x2", CL_OTHER, FLOW_ANY},
    {"mma_*", CL_OTHER, FLOW_ANY},
    {"shfl", CL_OTHER, FLOW_MADE},
    {"vote*", CL_OTHER, FLOW_MADE},
    {"match*", CL_OTHER, FLOW_MADE},
    {"redux*", CL_OTHER, FLOW_MADE},
    {"elect", CL_OTHER, FLOW_MADE},
    {"activemask", CL_OTHER, FLOW_MADE},
    {"movmatrix*", CL_OTHER, FLOW_MADE},
};

static bool name_fits(const char *pattern, const char *exec)
{
    size_t n = strlen(pattern), m = strlen(exec);
    if (pattern[n - 1] == '*')
        return strncmp(pattern, exec, n - 1) == 0;
    if (pattern[0] == '*')
        return m >= n - 1 && strcmp(exec + m - (n - 1), pattern + 1) == 0;
    return strcmp(pattern, exec) == 0;
}

static void classify(OpCode op, InsnInfo *ii)
{
    *ii = (InsnInfo){.cls = CL_OTHER, .flow = FLOW_ALL};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (name_fits(names[i].exec, op_row[op].exec)) {
            ii->cls = names[i].cls;
            ii->flow = names[i].flow;
            break;
        }
    if (op == OP_FENCE_PROXY_ASYNC_ACQUIRE || op == OP_FENCE_PROXY_ASYNC_RELEASE)
        ii->cls = CL_FENCE_PROXY;
    if (op == OP_FENCE_PROXY_TENSORMAP_RELEASE)
        ii->cls = CL_MAP_RELEASE;
    if (op_row[op].tclass == TC_BRANCH)
        ii->cls = CL_BRANCH;
}

typedef struct Places {
    uint16_t *p;
    uint32_t n;
} Places;

static uint8_t add_slots(const Code *c, const CodeOpd *o, Places *out)
{
    uint8_t n = 0;
    for (uint32_t j = 0; j < o->n && n < UINT8_MAX; j++) {
        Slot s = c->slots[o->first + j];
        if (s < 0 || s >= UINT16_MAX)
            continue;
        out->p[out->n++] = (uint16_t)s;
        n++;
    }
    return n;
}

/* Data that copies without being looked at: its definedness goes into memory or is checked by the
 * class. */
static bool is_copied(const InsnInfo *ii, const CodeOpd *o)
{
    bool stores =
        ii->cls == CL_ST || ii->cls == CL_TMEM_ST || ii->cls == CL_STMATRIX || ii->cls == CL_WGMMA;
    return stores && o->kind == CO_VALUE;
}

static void collect(const Checker *k, const CodeInsn *in, InsnInfo *ii, Places *out)
{
    const Code *c = k->l.code;
    const Form *f = c->module->forms ? &c->module->forms->form[in->op] : NULL;
    ii->at = out->n;
    for (uint32_t i = 0; i < in->n_opd; i++) /* addresses first */
        if (c->opds[in->opd + i].kind == CO_MEM)
            ii->n_addr = (uint8_t)(ii->n_addr + add_slots(c, &c->opds[in->opd + i], out));
    ii->n_src = ii->n_addr;
    for (uint32_t i = 0; i < in->n_opd; i++) {
        const CodeOpd *o = &c->opds[in->opd + i];
        bool reads = f && f->opd[i].is_src && !is_copied(ii, o);
        if (o->kind == CO_VALUE && reads && ii->n_src < UINT8_MAX / 2)
            ii->n_src = (uint8_t)(ii->n_src + add_slots(c, o, out));
    }
    for (uint32_t i = 0; i < in->n_opd; i++) {
        const CodeOpd *o = &c->opds[in->opd + i];
        if (o->kind == CO_PRED && f && f->opd[i].is_src && o->pred >= 0) {
            out->p[out->n++] = (uint16_t)o->pred;
            ii->n_psrc++;
        }
    }
    for (uint32_t i = 0; i < in->n_opd; i++) {
        const CodeOpd *o = &c->opds[in->opd + i];
        if (o->kind == CO_VALUE && f && f->opd[i].is_dst)
            ii->n_dst = (uint8_t)(ii->n_dst + add_slots(c, o, out));
    }
    for (uint32_t i = 0; i < in->n_opd; i++) {
        const CodeOpd *o = &c->opds[in->opd + i];
        if (o->kind == CO_PRED && f && f->opd[i].is_dst && o->pred >= 0) {
            out->p[out->n++] = (uint16_t)o->pred;
            ii->n_pdst++;
        }
    }
}

void table_build(Checker *k)
{
    const Code *c = k->l.code;
    Places out = {
        .p = arena_new(&k->root->launch, uint16_t, 2 * c->n_code_slots + 2 * c->n_opds + 1)};
    k->info = arena_new(&k->root->launch, InsnInfo, c->n_insns + 1);
    k->places = out.p;
    for (uint32_t i = 0; i < c->n_insns; i++) {
        classify((OpCode)c->insns[i].op, &k->info[i]);
        const Insn *p = &c->func->insns[c->insns[i].ptx];
        if (k->info[i].cls == CL_FENCE && p->op != c->insns[i].op && p->mod[MC_SEM])
            k->info[i].cls = CL_OTHER; /* lowering's, before a release: the PTX has none there */
        collect(k, &c->insns[i], &k->info[i], &out);
        k->grid_waits |= k->info[i].cls == CL_GRID_WAIT;
    }
}
