#include "sim/trace/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define MAX_TRACE_BYTES ((uint64_t)4 << 30)

int stream_event(StreamPos *p, uint32_t n_ops, OpRun *run, Op ops[OP_BURST], uint32_t *n)
{
    uint8_t ev = get_byte(&p->c);
    if (ev == EV_RUN || ev == EV_END) {
        int64_t first = (int64_t)p->expected + get_int(&p->c);
        uint64_t count = get_uint(&p->c);
        int64_t dyn = ev == EV_RUN ? first + (int64_t)count + get_int(&p->c) : 0;
        if (p->c.bad || first < 0 || first > n_ops || count > n_ops - (uint64_t)first || dyn < 0 ||
            dyn >= n_ops)
            return 0;
        *run = (OpRun){(uint32_t)first, (uint32_t)count, ev == EV_RUN ? (uint32_t)dyn : OP_NONE};
        p->expected = run->dyn + 1;
    } else if (ev == EV_OPS) {
        uint64_t count = get_uint(&p->c);
        if (count < 1 || count > OP_BURST)
            return 0;
        for (uint64_t i = 0; i < count; i++)
            if (!get_op(&p->c, &ops[i], p->last, n_ops))
                return 0;
        *n = (uint32_t)count;
    } else if (ev != EV_YIELD) {
        return 0;
    }
    return p->c.bad ? 0 : ev;
}

/* Walks a stream once, so that the front end may trust it: events alternate RUN, OPS; END is the
 * last. */
static bool stream_check(const TraceWarp *w, uint32_t n_ops, Op *last)
{
    memset(last, 0, n_ops * sizeof *last);
    StreamPos p = {.c = {w->data, w->data + w->n, false}, .last = last};
    Op ops[OP_BURST];
    OpRun run;
    uint32_t n;
    for (int before = EV_OPS;;) {
        if (p.c.at == p.c.end && before == EV_OPS)
            return true; /* the driver did not ask again after the warp's exit */
        int ev = stream_event(&p, n_ops, &run, ops, &n);
        bool after_run = before == EV_RUN;
        if (ev == 0 || (ev == EV_OPS) != after_run)
            return false;
        if (ev == EV_END)
            return p.c.at == p.c.end;
        before = ev;
    }
}

static uint8_t *load(Arena *a, const char *path, size_t *size, Err *err)
{
    Loc loc = {.file = path};
    FILE *f = fopen(path, "rb");
    if (!f) {
        err_set(err, ERR_IO, loc, "cannot read the trace: %s", strerror(errno));
        return NULL;
    }
    Bytes raw = {0};
    uint8_t chunk[65536];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
        put_bytes(&raw, chunk, n);
    fclose(f);
    uint8_t *out = NULL;
    uint32_t version = 0;
    if (raw.n >= 12)
        memcpy(&version, raw.data + 8, 4);
    if (raw.n < 12 || memcmp(raw.data, TRACE_MAGIC, 8) != 0) {
        err_set(err, ERR_SYNTAX, loc,
                "this is not a Rao trace (it does not begin with " TRACE_MAGIC ")");
    } else if (version != TRACE_VERSION) {
        err_set(err, ERR_SYNTAX, loc, "trace version %u; this program reads version %u", version,
                TRACE_VERSION);
    } else {
        unsigned long long n = ZSTD_getFrameContentSize(raw.data + 12, raw.n - 12);
        if (n == ZSTD_CONTENTSIZE_UNKNOWN || n == ZSTD_CONTENTSIZE_ERROR || n > MAX_TRACE_BYTES ||
            n > (unsigned long long)raw.n * 100000) {
            err_set(err, ERR_SYNTAX, loc, "the trace is damaged: no valid size in its frame");
        } else {
            out = arena_alloc(a, n + 1);
            size_t got = ZSTD_decompress(out, n, raw.data + 12, raw.n - 12);
            *size = n;
            if (ZSTD_isError(got) || got != n) {
                out = NULL;
                err_set(err, ERR_SYNTAX, loc, "the trace is cut or damaged (%s)",
                        ZSTD_isError(got) ? ZSTD_getErrorName(got) : "short frame");
            }
        }
    }
    bytes_free(&raw);
    return out;
}

static void get_header(Cursor *c, Arena *a, TraceHeader *h)
{
    h->kernel = get_text(c, a);
    h->launch = get_text(c, a);
    h->model = get_text(c, a);
    h->command = get_text(c, a);
    h->model_hash = get_uint(c);
    for (int i = 0; i < 3; i++) {
        h->grid[i] = (uint32_t)get_uint(c);
        h->block[i] = (uint32_t)get_uint(c);
        h->cluster[i] = (uint32_t)get_uint(c);
    }
    h->sms = (uint32_t)get_uint(c);
    h->sms_total = (uint32_t)get_uint(c);
    h->shared_per_cta = (uint32_t)get_uint(c);
    h->regs_per_thread = (uint32_t)get_uint(c);
    h->cycles = get_uint(c);
    h->flops = get_double(c);
    h->footprint = get_uint(c);
    uint64_t n = get_uint(c);
    if (n > 64) {
        c->bad = true;
        return;
    }
    h->n_roles = (uint32_t)n;
    h->roles = arena_new(a, TraceRole, n + 1);
    for (uint64_t i = 0; i < n; i++) {
        h->roles[i].name = get_text(c, a);
        h->roles[i].warps = get_uint(c);
    }
}

/* Reads a table of names and gives for each the index in this program's table, or UINT32_MAX. */
static uint32_t *get_names(Cursor *c, Arena *a, uint64_t *n, uint32_t count,
                           const char *(*name)(uint32_t))
{
    *n = get_uint(c);
    if (c->bad || *n > 4096) {
        c->bad = true;
        *n = 0;
    }
    uint32_t *map = arena_new(a, uint32_t, *n + 1);
    for (uint64_t i = 0; i < *n; i++) {
        const char *text = get_text(c, a);
        map[i] = UINT32_MAX;
        for (uint32_t k = 0; k < count; k++)
            if (strcmp(text, name(k)) == 0)
                map[i] = k;
    }
    return map;
}

static const char *name_of_tclass(uint32_t i)
{
    return tclass_name[i];
}
static const char *name_of_op(uint32_t i)
{
    return op_row[i].id;
}

static bool get_code(Cursor *c, Arena *a, Code *code, Loc loc, Err *err)
{
    uint64_t n_tc, n_rows;
    uint32_t *tc = get_names(c, a, &n_tc, TC_COUNT, name_of_tclass);
    uint32_t *rows = get_names(c, a, &n_rows, OP_COUNT, name_of_op);
    const char *ptx = get_text(c, a);
    code->n_slots = (uint32_t)get_uint(c);
    code->n_preds = (uint32_t)get_uint(c);
    uint64_t n = get_uint(c);
    if (c->bad || n > (uint64_t)(c->end - c->at) || code->n_slots > 60000 || code->n_preds > 5000)
        return err_set(err, ERR_SYNTAX, loc, "the trace is damaged: bad sizes in its header");
    code->n_ops = code->n_insns = (uint32_t)n;
    code->ops = arena_new(a, OpInfo, n + 1);
    code->insns = arena_new(a, CodeInsn, n + 1);
    code->deps = arena_new(a, uint16_t, c->end - c->at + 1);
    Func *func = arena_new(a, Func, 1);
    func->insns = arena_new(a, Insn, n + 1);
    func->n_insns = (uint32_t)n;
    code->func = func;
    for (uint32_t i = 0; i < n; i++) {
        OpInfo *o = &code->ops[i];
        uint8_t t = get_byte(c);
        o->kind = get_byte(c);
        o->slots = (uint16_t)get_uint(c);
        uint64_t row = get_uint(c);
        func->insns[i].loc = (Loc){ptx, (uint32_t)get_uint(c), 0};
        uint64_t target = get_uint(c), n_src = get_uint(c), n_dst = get_uint(c);
        if (c->bad || target >= n || t >= n_tc || row >= n_rows || o->kind >= OK_COUNT ||
            n_src > 1024 || n_dst > 255)
            return err_set(err, ERR_SYNTAX, loc, "the trace is damaged at op %u of its table", i);
        if (tc[t] == UINT32_MAX)
            return err_set(err, ERR_SYNTAX, loc,
                           "timing class %u of the trace does not exist in this version", t);
        o->tclass = (uint8_t)tc[t];
        o->unit = (uint8_t)tclass_unit[tc[t]];
        o->n_src = (uint16_t)n_src;
        o->n_dst = (uint8_t)n_dst;
        o->deps = code->n_deps;
        o->insn = i;
        code->insns[i].op = (uint16_t)(rows[row] == UINT32_MAX ? 0 : rows[row]);
        code->insns[i].ptx = i;
        code->insns[i].target = (uint32_t)target;
        code->insns[i].opinfo = i;
        for (uint64_t k = 0; k < n_src + n_dst; k++) {
            uint64_t d = get_uint(c);
            if (c->bad || d >= code->n_slots + code->n_preds)
                return err_set(err, ERR_SYNTAX, loc, "the trace is damaged at op %u of its table",
                               i);
            code->deps[code->n_deps++] = (uint16_t)d;
        }
    }
    return true;
}

static bool get_streams(Cursor *c, Arena *a, Trace *t, Loc loc, Err *err)
{
    uint64_t n_warps = get_uint(c), n_ctas = get_uint(c), ctas = 1;
    uint64_t threads = (uint64_t)t->header.block[0] * t->header.block[1] * t->header.block[2];
    for (int i = 0; i < 3; i++) {
        const TraceHeader *h = &t->header;
        ctas *= h->grid[i];
        if (ctas == 0 || ctas > INT32_MAX || h->block[i] == 0 || h->block[i] > 1024 ||
            h->cluster[i] == 0 || h->cluster[i] > 16 || h->grid[i] % h->cluster[i] != 0)
            return err_set(err, ERR_SYNTAX, loc,
                           "the trace is damaged: bad grid, block or cluster");
    }
    if (c->bad || n_warps == 0 || n_warps > 64 || n_ctas > (uint64_t)(c->end - c->at) ||
        n_ctas > ctas || threads > 2048 || n_warps != (threads + 31) / 32)
        return err_set(err, ERR_SYNTAX, loc, "the trace is damaged: bad number of CTAs or warps");
    t->n_warps = (uint32_t)n_warps;
    t->n_ctas = (uint32_t)n_ctas;
    t->ctas = arena_new(a, TraceCta, n_ctas + 1);
    Op *last = arena_new(a, Op, t->code.n_ops + 1);
    for (uint32_t i = 0; i < n_ctas; i++) {
        t->ctas[i].cta = (uint32_t)get_uint(c);
        t->ctas[i].warps = arena_new(a, TraceWarp, n_warps);
        for (uint32_t w = 0; w < n_warps; w++) {
            uint64_t n = get_uint(c);
            if (c->bad || n > (uint64_t)(c->end - c->at))
                return err_set(err, ERR_SYNTAX, loc, "the trace is cut in CTA %u, warp %u",
                               t->ctas[i].cta, w);
            t->ctas[i].warps[w] = (TraceWarp){c->at, n};
            c->at += n;
            if (!stream_check(&t->ctas[i].warps[w], t->code.n_ops, last))
                return err_set(err, ERR_SYNTAX, loc, "the trace is damaged in CTA %u, warp %u",
                               t->ctas[i].cta, w);
        }
    }
    return true;
}

bool trace_read(Arena *a, const char *path, Trace **out, Err *err)
{
    Loc loc = {.file = path};
    size_t size = 0;
    uint8_t *data = load(a, path, &size, err);
    if (!data)
        return false;
    Trace *t = arena_new(a, Trace, 1);
    Cursor c = {data, data + size, false};
    get_header(&c, a, &t->header);
    if (c.bad)
        return err_set(err, ERR_SYNTAX, loc, "the trace is damaged in its header");
    if (!get_code(&c, a, &t->code, loc, err) || !get_streams(&c, a, t, loc, err))
        return false;
    *out = t;
    return true;
}

const TraceHeader *trace_header(const Trace *t)
{
    return &t->header;
}
