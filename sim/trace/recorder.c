/* Recording is a front end that hands everything through and remembers what it saw. */
#include "sim/trace/codec.h"
#include "sim/trace/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

typedef struct WarpLog {
    Bytes bytes;
    uint32_t expected; /* op after the last dyn */
    Op *last;          /* [n_ops] */
} WarpLog;

typedef struct CtaLog {
    uint32_t cta;
    WarpLog *warps;
} CtaLog;

struct Recorder {
    Front front; /* first: a Front * is a Recorder * */
    Front *inner;
    CtaLog *ctas; /* every CTA that started, in order of start */
    uint32_t n_ctas, cap_ctas;
    uint32_t *of_slot; /* index in ctas */
};

static WarpLog *log_of(Recorder *r, uint32_t slot, uint32_t warp)
{
    return &r->ctas[r->of_slot[slot]].warps[warp];
}

static void *must_alloc(void *p)
{
    if (!p) {
        fprintf(stderr, "rao: out of memory while recording\n");
        exit(1);
    }
    return p;
}

static bool rec_cta_start(Front *f, uint32_t slot, uint32_t cta, Err *err)
{
    Recorder *r = (Recorder *)f;
    if (r->n_ctas == r->cap_ctas) {
        r->cap_ctas = r->cap_ctas * 2 + 16;
        r->ctas = must_alloc(realloc(r->ctas, r->cap_ctas * sizeof *r->ctas));
    }
    CtaLog *c = &r->ctas[r->n_ctas];
    c->cta = cta;
    c->warps = must_alloc(calloc(f->n_warps, sizeof *c->warps));
    for (uint32_t w = 0; w < f->n_warps; w++)
        c->warps[w].last = must_alloc(calloc(f->code->n_ops, sizeof(Op)));
    r->of_slot[slot] = r->n_ctas++;
    return r->inner->ops->cta_start(r->inner, slot, cta, err);
}

static void rec_next(Front *f, uint32_t slot, uint32_t warp, OpRun *run)
{
    Recorder *r = (Recorder *)f;
    r->inner->ops->next(r->inner, slot, warp, run);
    WarpLog *l = log_of(r, slot, warp);
    bool end = run->dyn == OP_NONE;
    put_byte(&l->bytes, end ? EV_END : EV_RUN);
    put_int(&l->bytes, (int64_t)run->first - l->expected);
    put_uint(&l->bytes, run->n);
    if (!end)
        put_int(&l->bytes, (int64_t)run->dyn - (int64_t)(run->first + run->n));
    l->expected = run->dyn + 1;
}

static uint32_t rec_exec(Front *f, uint32_t slot, uint32_t warp, Cycle now, Op ops[OP_BURST],
                         Err *err)
{
    Recorder *r = (Recorder *)f;
    uint32_t n = r->inner->ops->exec(r->inner, slot, warp, now, ops, err);
    WarpLog *l = log_of(r, slot, warp);
    put_byte(&l->bytes, EV_OPS);
    put_uint(&l->bytes, n);
    for (uint32_t i = 0; i < n; i++)
        put_op(&l->bytes, &ops[i], l->last);
    return n;
}

static bool rec_async(Front *f, uint32_t slot, uint32_t handle, AsyncStep step, Err *err)
{
    Recorder *r = (Recorder *)f;
    return r->inner->ops->async(r->inner, slot, handle, step, err);
}

static uint64_t *rec_mbar(Front *f, uint32_t slot, uint32_t addr, Err *err)
{
    Recorder *r = (Recorder *)f;
    return r->inner->ops->mbar(r->inner, slot, addr, err);
}

static bool rec_yield(Front *f, uint32_t slot, uint32_t warp)
{
    Recorder *r = (Recorder *)f;
    if (!r->inner->ops->yield(r->inner, slot, warp))
        return false;
    put_byte(&log_of(r, slot, warp)->bytes, EV_YIELD);
    return true;
}

static void rec_tmem_alloc_done(Front *f, uint32_t slot, uint32_t warp, uint32_t column)
{
    Recorder *r = (Recorder *)f;
    r->inner->ops->tmem_alloc_done(r->inner, slot, warp, column);
}

static void rec_cta_end(Front *f, uint32_t slot)
{
    Recorder *r = (Recorder *)f;
    CtaLog *c = &r->ctas[r->of_slot[slot]];
    for (uint32_t w = 0; w < f->n_warps; w++) {
        free(c->warps[w].last);
        c->warps[w].last = NULL;
    }
    r->inner->ops->cta_end(r->inner, slot);
}

static void rec_cancelled(Front *f, uint32_t slot, uint32_t handle, uint32_t cta)
{
    Recorder *r = (Recorder *)f;
    r->inner->ops->cancelled(r->inner, slot, handle, cta);
}

static bool rec_spins(Front *f, uint32_t slot, uint32_t warp, bool again)
{
    Recorder *r = (Recorder *)f;
    return r->inner->ops->spins && r->inner->ops->spins(r->inner, slot, warp, again);
}

static void rec_scout(Front *f, uint32_t slot, uint32_t warp, Scout *s)
{
    Recorder *r = (Recorder *)f;
    r->inner->ops->scout(r->inner, slot, warp, s);
}

static void rec_polls(Front *f, uint32_t slot, uint32_t warp, DeadWait *w)
{
    Recorder *r = (Recorder *)f;
    r->inner->ops->polls(r->inner, slot, warp, w);
}

static const FrontOps recorder_ops = {
    .cta_start = rec_cta_start,
    .next = rec_next,
    .exec = rec_exec,
    .async = rec_async,
    .mbar = rec_mbar,
    .yield = rec_yield,
    .tmem_alloc_done = rec_tmem_alloc_done,
    .cta_end = rec_cta_end,
    .cancelled = rec_cancelled,
    .spins = rec_spins,
    .scout = rec_scout,
    .polls = rec_polls,
};

Recorder *recorder_new(Arena *a, Front *inner)
{
    Recorder *r = arena_new(a, Recorder, 1);
    r->front = *inner;
    r->front.ops = &recorder_ops;
    r->inner = inner;
    r->of_slot = arena_new(a, uint32_t, inner->n_slots);
    return r;
}

Front *recorder_front(Recorder *r)
{
    return &r->front;
}

void recorder_free(Recorder *r)
{
    for (uint32_t i = 0; i < r->n_ctas; i++) {
        for (uint32_t w = 0; w < r->front.n_warps; w++) {
            bytes_free(&r->ctas[i].warps[w].bytes);
            free(r->ctas[i].warps[w].last);
        }
        free(r->ctas[i].warps);
    }
    free(r->ctas);
    r->ctas = NULL;
    r->n_ctas = 0;
}

static void put_header(Bytes *b, const TraceHeader *h, uint64_t footprint)
{
    const char *texts[] = {h->kernel, h->launch, h->model, h->command};
    for (size_t i = 0; i < 4; i++)
        put_text(b, texts[i]);
    put_uint(b, h->model_hash);
    for (int i = 0; i < 3; i++) {
        put_uint(b, h->grid[i]);
        put_uint(b, h->block[i]);
        put_uint(b, h->cluster[i]);
    }
    const uint64_t numbers[] = {h->sms, h->sms_total, h->shared_per_cta, h->regs_per_thread,
                                h->cycles};
    for (size_t i = 0; i < 5; i++)
        put_uint(b, numbers[i]);
    put_double(b, h->flops);
    put_uint(b, footprint);
    put_uint(b, h->n_roles);
    for (uint32_t i = 0; i < h->n_roles; i++) {
        put_text(b, h->roles[i].name);
        put_uint(b, h->roles[i].warps);
    }
}

/* The first op at or after a branch's target: finds loops in a replay as well. */
static uint32_t target_op(const Code *c, const CodeInsn *in)
{
    for (uint32_t i = in->target; i < c->n_insns; i++)
        if (c->insns[i].opinfo != OP_NONE)
            return c->insns[i].opinfo;
    return 0;
}

/* Timing classes and instruction rows are written by name, so that a table that grows does not
 * change old traces. */
static void put_code(Bytes *b, const Code *c)
{
    put_uint(b, TC_COUNT);
    for (int i = 0; i < TC_COUNT; i++)
        put_text(b, tclass_name[i]);
    put_uint(b, OP_COUNT);
    for (int i = 0; i < OP_COUNT; i++)
        put_text(b, op_row[i].id);
    put_text(b, c->func->n_insns ? c->func->insns[0].loc.file : "");
    put_uint(b, c->n_slots);
    put_uint(b, c->n_preds);
    put_uint(b, c->n_ops);
    for (uint32_t i = 0; i < c->n_ops; i++) {
        const OpInfo *o = &c->ops[i];
        const CodeInsn *in = &c->insns[o->insn];
        put_byte(b, o->tclass);
        put_byte(b, o->kind);
        put_uint(b, o->slots);
        put_uint(b, in->op);
        put_uint(b, c->func->insns[in->ptx].loc.line);
        put_uint(b, o->kind == OK_BRANCH ? target_op(c, in) : 0);
        put_uint(b, o->n_src);
        put_uint(b, o->n_dst);
        for (uint32_t k = 0; k < (uint32_t)o->n_src + o->n_dst; k++)
            put_uint(b, c->deps[o->deps + k]);
    }
}

/* Opens a file beside `path`, to be renamed when it is whole; a device or a pipe is itself written.
 * NULL: err says why. */
static FILE *open_beside(const char *path, char tmp[4096], Err *err)
{
    struct stat st;
    bool special = stat(path, &st) == 0 && !S_ISREG(st.st_mode);
    int n = special ? snprintf(tmp, 4096, "%s", path)
                    : snprintf(tmp, 4096, "%s.tmp.%ld", path, (long)getpid());
    FILE *f = n < 4096 ? fopen(tmp, "wb") : NULL;
    if (!f)
        err_set(err, ERR_IO, (Loc){.file = path}, "cannot write the trace: %s",
                n < 4096 ? strerror(errno) : "the path is too long");
    return f;
}

static void remove_tmp(const char *tmp, const char *path)
{
    if (strcmp(tmp, path) != 0)
        remove(tmp);
}

bool recorder_can_write(const char *path, Err *err)
{
    char tmp[4096];
    FILE *f = open_beside(path, tmp, err);
    if (!f)
        return false;
    fclose(f);
    remove_tmp(tmp, path);
    return true;
}

static bool write_file(const char *path, const Bytes *body, Err *err)
{
    Loc loc = {.file = path};
    size_t cap = ZSTD_compressBound(body->n);
    void *packed = must_alloc(malloc(cap));
    ZSTD_CCtx *z = must_alloc(ZSTD_createCCtx());
    ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, 19);
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setParameter(z, ZSTD_c_enableLongDistanceMatching, 1);
    size_t n = ZSTD_compress2(z, packed, cap, body->data, body->n);
    ZSTD_freeCCtx(z);
    bool ok = false;
    char tmp[4096];
    FILE *f;
    if (ZSTD_isError(n)) {
        err_set(err, ERR_IO, loc, "cannot compress the trace: %s", ZSTD_getErrorName(n));
    } else if ((f = open_beside(path, tmp, err))) {
        uint32_t version = TRACE_VERSION;
        ok = fwrite(TRACE_MAGIC, 8, 1, f) == 1 && fwrite(&version, 4, 1, f) == 1 &&
             fwrite(packed, n, 1, f) == 1 && fflush(f) == 0;
        ok = fclose(f) == 0 && ok;
        ok = ok && (strcmp(tmp, path) == 0 || rename(tmp, path) == 0);
        if (!ok) {
            err_set(err, ERR_IO, loc, "cannot write the trace: %s", strerror(errno));
            remove_tmp(tmp, path);
        }
    }
    free(packed);
    return ok;
}

bool recorder_write(Recorder *r, const char *path, const TraceHeader *h, Err *err)
{
    Bytes b = {0};
    put_header(&b, h, r->front.footprint);
    put_code(&b, r->front.code);
    put_uint(&b, r->front.n_warps);
    put_uint(&b, r->n_ctas);
    for (uint32_t i = 0; i < r->n_ctas; i++) {
        put_uint(&b, r->ctas[i].cta);
        for (uint32_t w = 0; w < r->front.n_warps; w++) {
            const Bytes *stream = &r->ctas[i].warps[w].bytes;
            put_uint(&b, stream->n);
            put_bytes(&b, stream->data, stream->n);
        }
    }
    bool ok = write_file(path, &b, err);
    bytes_free(&b);
    return ok;
}
