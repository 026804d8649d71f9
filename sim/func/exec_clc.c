/* Cluster launch control: a running cluster asks the scheduler for the work of one that has not
 * started, and reads the answer.
 *
 * The driver owns the list of clusters to come (front.h): it says when the request is answered and
 * which cluster was taken; the answer appears in shared memory at ASYNC_DONE. The answer is opaque
 * in PTX; here it is {x, y, z of the first CTA, 1}, or zeros when there was nothing left to take.
 * Source: PTX ISA 9.7.13.17, 9.7.13.18; research/ptx.md 3.14. */
#include "sim/func/engine.h"

enum { CTA_OFFSET = 0xffffff, ANSWER_WORDS = 4, ANSWER_BYTES = 4 * ANSWER_WORDS };

static void answer_of(const Exec *x, uint32_t cta, uint32_t answer[ANSWER_WORDS])
{
    const uint32_t *grid = x->front.grid;
    memset(answer, 0, ANSWER_BYTES);
    if (cta == OP_NONE)
        return;
    answer[0] = cta % grid[0];
    answer[1] = cta / grid[0] % grid[1];
    answer[2] = cta / grid[0] / grid[1];
    answer[3] = 1;
}

static bool cancel_async(Exec *x, Cta *cta, Async *as, AsyncStep step, Err *err)
{
    if (step != ASYNC_DONE)
        return true;
    uint32_t answer[ANSWER_WORDS];
    answer_of(x, as->u.cancel.cta, answer);
    for (uint32_t m = as->u.cancel.mask; m; m &= m - 1) {
        Cta *to;
        if (!async_fill(x, cta, first_lane(m), &to, err))
            return false;
        if (!to)
            return async_fault(x, cta, as, err,
                               "clusterlaunchcontrol.try_cancel.multicast: CTA rank %u has exited",
                               first_lane(m));
        memcpy(to->shared + as->u.cancel.dst, answer, ANSWER_BYTES);
    }
    return true;
}

void async_cancelled(Cta *cta, uint32_t handle, uint32_t first_cta)
{
    if (handle)
        cta->async->records[handle].u.cancel.cta = first_cta;
}

/* [d], [mbar] */
static bool dyn_try_cancel(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    bool all = in->ci->mod[MC_MCAST] == MV_MCAST_ALL;
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t lane = first_lane(m);
        uint64_t dst = opd_shared(x, opd(x->w, in, 0), lane),
                 mbar = opd_shared(x, opd(x->w, in, 1), lane);
        Cta *owner, *mbar_owner;
        if (!shared_at(x, in, (int)lane, dst, ANSWER_BYTES, ANSWER_BYTES, &owner) ||
            !shared_at(x, in, (int)lane, mbar, 8, 8, &mbar_owner))
            return false;
        if (owner != x->cta || mbar_owner != x->cta)
            return exec_fault(x, in, (int)lane,
                              "the answer and its mbarrier must be in the CTA's own shared memory");
        Async *as = start_async(x, in, cancel_async);
        if (!as)
            return false;
        uint32_t everybody = (1u << x->exec->cluster_ctas) - 1;
        as->u.cancel.dst = (uint32_t)dst & CTA_OFFSET;
        as->u.cancel.mask = (uint16_t)(all ? everybody : 1u << x->cta->rank);
        as->u.cancel.cta = OP_NONE;
        Op *o = emit(x, OK_CANCEL);
        o->bytes = ANSWER_BYTES;
        o->sync = own_shared(x->cta, (uint32_t)mbar & CTA_OFFSET);
        o->handle = as->handle;
        if (all) {
            o->flags |= OPF_PAIR;
            o->arg1 = as->u.cancel.mask;
        }
    }
    return true;
}

/* p, a */
static void plain_is_canceled(Warp *w, const XInsn *in, uint32_t mask)
{
    const uint32_t *flag = opd_row(w, opd(w, in, 1), 3);
    uint32_t lanes = 0;
    for (uint32_t m = mask; m; m &= m - 1)
        lanes |= (uint32_t)(flag[first_lane(m)] == 1) << first_lane(m);
    set_pred(w, opd(w, in, 0)->pred, mask, lanes);
}

static void copy_row(const Warp *w, const CodeOpd *to, uint32_t j, const CodeOpd *from, uint32_t k,
                     uint32_t mask)
{
    for (uint32_t m = mask; m; m &= m - 1)
        opd_row(w, to, j)[first_lane(m)] = opd_row(w, from, k)[first_lane(m)];
}

/* d, a */
static void plain_first_ctaid(Warp *w, const XInsn *in, uint32_t mask)
{
    copy_row(w, opd(w, in, 0), 0, opd(w, in, 1), in->ci->mod[MC_CTAID] - MV_CTAID_X, mask);
}

/* {x, y, z, unspecified}, a */
static void plain_first_ctaid_v4(Warp *w, const XInsn *in, uint32_t mask)
{
    for (uint32_t j = 0; j < ANSWER_WORDS; j++)
        copy_row(w, opd(w, in, 0), j, opd(w, in, 1), j, mask);
}

BIND_DYN(clc_try_cancel, dyn_try_cancel)
BIND_PLAIN(clc_is_canceled, plain_is_canceled)
BIND_PLAIN(clc_first_ctaid, plain_first_ctaid)
BIND_PLAIN(clc_first_ctaid_v4, plain_first_ctaid_v4)
