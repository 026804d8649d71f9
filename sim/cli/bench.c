/* rao bench: how fast this program is here. Figures are best of a few runs; compare them as ratios
 * on one machine. */
#include "sim/cli/cli.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "sim/func/mma.h"

#define REPEATS 3
#define TILE 128u /* the tile of a FlashAttention step: 128 x 128 x 128 */

static const char *const mix = RAO_SOURCE_DIR "/kernels/bench/bench.yaml";
static const char *const fa4 = RAO_SOURCE_DIR "/kernels/fa4_fwd/hd128_s1024.yaml";

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct Job {
    const char *file;
    bool replay, failed;
    RaoOptions opt;
    RaoSpeed speed;
} Job;

static void *run_job(void *arg)
{
    Job *j = arg;
    RaoResult *r = j->replay ? rao_replay(j->file, &j->opt) : rao_run(j->file, &j->opt);
    j->failed = rao_status(r) != RAO_OK;
    if (j->failed)
        fputs(rao_error(r), stderr);
    j->speed = rao_speed(r);
    rao_free(r);
    return NULL;
}

/* Instructions a second of `copies` jobs at once, best of REPEATS; a functional job threads by
 * itself. */
static double rate(const Job *job, long copies)
{
    double best = 0;
    for (int i = 0; i < REPEATS; i++) {
        Job jobs[64];
        pthread_t threads[64];
        double sum = 0;
        bool failed = false;
        for (long c = 0; c < copies; c++) {
            jobs[c] = *job;
            pthread_create(&threads[c], NULL, run_job, &jobs[c]);
        }
        for (long c = 0; c < copies; c++) {
            pthread_join(threads[c], NULL);
            const RaoSpeed *s = &jobs[c].speed;
            failed |= jobs[c].failed;
            sum += jobs[c].failed
                       ? 0
                       : (double)(job->opt.functional ? s->thread_insts : s->warp_insts) /
                             s->run_seconds;
        }
        if (failed)
            return 0;
        best = sum > best ? sum : best;
    }
    return best;
}

static void line(const char *what, const char *unit, Job job, long cores)
{
    double one, all;
    job.opt.threads = 1;
    one = rate(&job, 1);
    job.opt.threads = job.opt.functional ? (uint32_t)cores : 1;
    all = rate(&job, job.opt.functional ? 1 : cores);
    printf("%-44s %9.1f %9.1f  M %s\n", what, one * 1e-6, all * 1e-6, unit);
    fflush(stdout);
}

typedef void Sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a,
                   int lda, const float *b, int ldb, float beta, float *c, int ldc);

static double time_of_mma(MmaMode mode)
{
    static uint16_t a[TILE * TILE], b[TILE * TILE];
    static uint32_t d[TILE * TILE];
    void *scratch = aligned_alloc(64, 2 * mma_panel_bytes(TILE, TILE));
    MmaTile tile = {
        .type = NUM_BF16, .mode = mode, .m = TILE, .n = TILE, .k = TILE, .a = a, .b = b};
    double best = 1;
    for (uint32_t i = 0; i < TILE * TILE; i++) {
        a[i] = (uint16_t)(0x3f00 + i % 251);
        b[i] = (uint16_t)(0xbe00 + i % 247);
    }
    for (int i = 0; i < 200; i++) {
        double t = now();
        mma_f16(mma_ops(), &tile, d, scratch);
        t = now() - t;
        best = t < best ? t : best;
    }
    free(scratch);
    return best;
}

/* OpenBLAS on one thread, if the host has it; 0 if not. */
static double time_of_blas(void)
{
    static float a[TILE * TILE], b[TILE * TILE], c[TILE * TILE];
    void *lib = dlopen("libopenblas.so.0", RTLD_NOW);
    if (!lib)
        return 0;
    Sgemm *sgemm;
    void (*threads)(int);
    *(void **)&sgemm = dlsym(lib, "cblas_sgemm");
    *(void **)&threads = dlsym(lib, "openblas_set_num_threads");
    double best = 1;
    if (threads)
        threads(1);
    for (uint32_t i = 0; i < TILE * TILE; i++)
        a[i] = b[i] = (float)(i % 251) * 0.01f;
    for (int i = 0; sgemm && i < 200; i++) {
        double t = now();
        sgemm(102, 111, 112, TILE, TILE, TILE, 1, a, TILE, b, TILE, 0, c, TILE);
        t = now() - t;
        best = t < best ? t : best;
    }
    dlclose(lib);
    return sgemm ? best : 0;
}

static void bench_mma(void)
{
    double flop = 2.0 * TILE * TILE * TILE, blas = time_of_blas();
    double fp32 = flop / time_of_mma(MMA_FP32) * 1e-9, hw = flop / time_of_mma(MMA_HW) * 1e-9;
    printf("%-44s %9.1f            GFLOP/s\n", "MMA 128x128x128 bf16, fp32 sums", fp32);
    printf("%-44s %9.1f            GFLOP/s\n", "MMA 128x128x128 bf16, truncated as hardware", hw);
    if (blas > 0)
        printf("%-44s %9.1f            GFLOP/s (ours: %.2f of it)\n",
               "OpenBLAS sgemm, the same tile", flop / blas * 1e-9, fp32 / (flop / blas * 1e-9));
    else
        printf("OpenBLAS is not installed (libopenblas0): no comparison\n");
}

int verb_bench(const Args *args)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    cores = cores < 1 ? 1 : cores > 64 ? 64 : cores;
    char trace[] = "/tmp/rao_bench_XXXXXX";
    int fd = mkstemp(trace);
    if (fd < 0)
        return usage_error("cannot make a temporary file in /tmp");
    close(fd);
    printf("%-44s %9s %9s\n", "", "one core", "all");
    Job base = {.opt = {.model = args->opt.model, .no_check = true}};
    Job job = base;
    job.opt.functional = true;
    job.file = mix;
    line("functional, softmax instruction mix", "thread insts/s", job, cores);
    job.file = fa4;
    line("functional, FA4 forward (with its MMAs)", "thread insts/s", job, cores);
    job = base;
    job.file = mix;
    line("timed, softmax instruction mix", "warp insts/s", job, cores);
    job.file = fa4;
    line("timed, FA4 forward (with its MMAs)", "warp insts/s", job, cores);
    Job record = base;
    record.file = fa4;
    record.opt.record = trace;
    run_job(&record);
    job = base;
    job.file = trace;
    job.replay = true;
    if (!record.failed)
        line("replay, FA4 forward", "warp insts/s", job, cores);
    remove(trace);
    bench_mma();
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    printf("%-44s %9.0f            MiB\n", "peak memory", (double)u.ru_maxrss / 1024);
    return record.failed ? RAO_INTERNAL : RAO_OK;
}
