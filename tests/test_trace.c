/* Traces: what goes in comes out, and no damaged file gets through. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/trace/trace.h"

/* A front end that gives a pseudo-random but reproducible stream: 3 warps, 200 events each. */
typedef struct Toy {
    Front front;
    uint64_t state[3];
    uint32_t left[3];
    OpRun last[3];
} Toy;

static uint64_t draw(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return *s >> 33;
}

static bool toy_start(Front *f, uint32_t slot, uint32_t cta, Err *err)
{
    (void)slot, (void)err;
    Toy *t = (Toy *)f;
    for (uint32_t w = 0; w < 3; w++) {
        t->state[w] = cta * 17 + w + 1;
        t->left[w] = 200;
    }
    return true;
}

static void toy_next(Front *f, uint32_t slot, uint32_t warp, OpRun *run)
{
    (void)slot;
    Toy *t = (Toy *)f;
    uint64_t *s = &t->state[warp];
    uint32_t n_ops = f->code->n_ops;
    run->first = (uint32_t)(draw(s) % n_ops);
    run->n = (uint32_t)(draw(s) % (n_ops - run->first));
    run->dyn = t->left[warp]-- ? (uint32_t)(draw(s) % n_ops) : OP_NONE;
    t->last[warp] = *run;
}

static uint32_t toy_exec(Front *f, uint32_t slot, uint32_t warp, Cycle now, Op ops[OP_BURST],
                         Err *err)
{
    (void)slot, (void)now, (void)err;
    Toy *t = (Toy *)f;
    uint64_t *s = &t->state[warp];
    uint32_t n = draw(s) % 10 ? 1 : 1 + (uint32_t)(draw(s) % OP_BURST);
    for (uint32_t i = 0; i < n; i++)
        ops[i] = (Op){.info = t->last[warp].dyn,
                      .kind = (uint8_t)(draw(s) % OK_FAULT),
                      .flags = (uint8_t)(draw(s) % 16),
                      .waves = (uint16_t)draw(s),
                      .bytes = (uint32_t)draw(s),
                      .sync = (uint32_t)(draw(s) * 2),
                      .arg0 = (uint32_t)draw(s),
                      .arg1 = (uint32_t)draw(s),
                      .handle = draw(s) % 3 == 0,
                      .addr = draw(s) << 20 | draw(s)};
    return n;
}

static void toy_end(Front *f, uint32_t slot)
{
    (void)f, (void)slot;
}

static const FrontOps toy_ops = {
    .cta_start = toy_start, .next = toy_next, .exec = toy_exec, .cta_end = toy_end};

static const char *const path = "/tmp/rao_test_trace.rtrace";
static Module module;

static Toy *toy_new(Arena *a)
{
    enum { N = 40 };
    Toy *t = arena_new(a, Toy, 1);
    Code *c = arena_new(a, Code, 1);
    Func *f = arena_new(a, Func, 1);
    f->insns = arena_new(a, Insn, N);
    f->n_insns = N;
    f->insns[0].loc.file = "toy.ptx";
    *c = (Code){.module = &module,
                .func = f,
                .insns = arena_new(a, CodeInsn, N),
                .n_insns = N,
                .ops = arena_new(a, OpInfo, N),
                .n_ops = N,
                .deps = arena_new(a, uint16_t, 4),
                .n_deps = 4,
                .n_slots = 9,
                .n_preds = 2};
    c->deps[0] = 3;
    c->deps[1] = 10;
    for (uint32_t i = 0; i < N; i++) {
        f->insns[i].loc.line = 100 + i;
        c->insns[i].ptx = i;
        c->ops[i] = (OpInfo){.tclass = (uint8_t)(i % TC_COUNT),
                             .kind = OK_PLAIN,
                             .n_src = 1,
                             .n_dst = 1,
                             .slots = 1,
                             .insn = i};
    }
    t->front = (Front){.ops = &toy_ops,
                       .code = c,
                       .grid = {5, 1, 1},
                       .block = {96, 1, 1},
                       .cluster = {1, 1, 1},
                       .n_ctas = 5,
                       .n_warps = 3,
                       .n_slots = 2};
    return t;
}

/* Drives a front through one CTA and writes down everything it says. */
static char *drive(Front *f, uint32_t slot, uint32_t cta)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    Err err = {0};
    ck_assert(f->ops->cta_start(f, slot, cta, &err));
    for (uint32_t w = 0; w < 3; w++)
        for (OpRun run = {0};;) {
            Op ops[OP_BURST];
            f->ops->next(f, slot, w, &run);
            fprintf(out, "run %u %u %u\n", run.first, run.n, run.dyn);
            if (run.dyn == OP_NONE)
                break;
            uint32_t n = f->ops->exec(f, slot, w, 0, ops, &err);
            for (uint32_t i = 0; i < n; i++)
                fprintf(out, "op %u %u %u %u %u %u %u %u %u %llu\n", ops[i].info, ops[i].kind,
                        ops[i].flags, ops[i].waves, ops[i].bytes, ops[i].sync, ops[i].arg0,
                        ops[i].arg1, ops[i].handle, (unsigned long long)ops[i].addr);
        }
    f->ops->cta_end(f, slot);
    fclose(out);
    return text;
}

static char *recorded[2]; /* CTAs 3 and 1 */

static void record(Arena *a)
{
    Err err = {0};
    Recorder *r = recorder_new(a, &toy_new(a)->front);
    recorded[0] = drive(recorder_front(r), 1, 3);
    recorded[1] = drive(recorder_front(r), 0, 1);
    TraceRole role = {"everyone", 7};
    TraceHeader h = {.kernel = "toy",
                     .launch = "toy.yaml",
                     .model = "none",
                     .command = "rao run",
                     .model_hash = 42,
                     .grid = {5, 1, 1},
                     .block = {96, 1, 1},
                     .cluster = {1, 1, 1},
                     .sms = 2,
                     .sms_total = 9,
                     .shared_per_cta = 1024,
                     .regs_per_thread = 128,
                     .flops = 1.5e9,
                     .cycles = 1234567,
                     .roles = &role,
                     .n_roles = 1};
    ck_assert_msg(recorder_write(r, path, &h, &err), "%s", err.msg);
    recorder_free(r);
}

static void forget(void)
{
    free(recorded[0]);
    free(recorded[1]);
    remove(path);
}

START_TEST(replay_gives_what_was_recorded)
{
    Arena a = {0};
    Err err = {0};
    Trace *t;
    record(&a);
    ck_assert_msg(trace_read(&a, path, &t, &err), "%s", err.msg);
    Front *f = trace_front(&a, t);
    char *one = drive(f, 0, 1), *three = drive(f, 0, 3), *again = drive(f, 1, 3);
    ck_assert_str_eq(three, recorded[0]);
    ck_assert_str_eq(again, recorded[0]);
    ck_assert_str_eq(one, recorded[1]);
    ck_assert(!f->ops->cta_start(f, 0, 2, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "CTA 2 is not in this trace"));
    const TraceHeader *h = trace_header(t);
    ck_assert_str_eq(h->kernel, "toy");
    ck_assert_uint_eq(h->cycles, 1234567);
    ck_assert_double_eq(h->flops, 1.5e9);
    ck_assert_str_eq(h->roles[0].name, "everyone");
    ck_assert_uint_eq(f->code->ops[7].tclass, 7);
    ck_assert_uint_eq(f->code->func->insns[f->code->insns[7].ptx].loc.line, 107);
    free(one), free(three), free(again);
    forget();
    arena_free(&a);
}
END_TEST

static char *slurp(size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *data = malloc(1 << 20);
    *n = fread(data, 1, 1 << 20, f);
    fclose(f);
    return data;
}

static bool reads(const char *data, size_t n, Err *err)
{
    Arena a = {0};
    Trace *t;
    FILE *f = fopen(path, "wb");
    fwrite(data, 1, n, f);
    fclose(f);
    *err = (Err){0};
    bool ok = trace_read(&a, path, &t, err);
    arena_free(&a);
    return ok;
}

START_TEST(a_cut_or_damaged_trace_is_refused)
{
    Arena a = {0};
    Err err;
    size_t n;
    record(&a);
    char *data = slurp(&n);
    ck_assert(reads(data, n, &err));
    for (size_t cut = 0; cut < n; cut += 1 + n / 97) {
        ck_assert_msg(!reads(data, cut, &err), "a trace cut at %zu of %zu bytes was read", cut, n);
        ck_assert_int_eq(err.kind, ERR_SYNTAX);
        ck_assert_uint_gt(strlen(err.msg), 10);
    }
    for (size_t i = 0; i < n; i += 1 + n / 97) {
        data[i] ^= 0x10;
        ck_assert_msg(!reads(data, n, &err), "a trace with byte %zu of %zu changed was read", i, n);
        data[i] ^= 0x10;
    }
    data[8]++;
    ck_assert(!reads(data, n, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "version 2"));
    free(data);
    forget();
    arena_free(&a);
}
END_TEST

START_TEST(a_trace_that_cannot_be_written_leaves_nothing)
{
    Arena a = {0};
    Err err = {0};
    Recorder *r = recorder_new(&a, &toy_new(&a)->front);
    free(drive(recorder_front(r), 0, 0));
    TraceHeader h = {.kernel = "toy",
                     .launch = "",
                     .model = "",
                     .grid = {5, 1, 1},
                     .block = {96, 1, 1},
                     .cluster = {1, 1, 1}};
    ck_assert(!recorder_write(r, "/nonexistent/x.rtrace", &h, &err));
    ck_assert_int_eq(err.kind, ERR_IO);
    recorder_free(r);
    arena_free(&a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("trace");
    TCase *c = tcase_create("trace");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, replay_gives_what_was_recorded);
    tcase_add_test(c, a_cut_or_damaged_trace_is_refused);
    tcase_add_test(c, a_trace_that_cannot_be_written_leaves_nothing);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
