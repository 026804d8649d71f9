/* The simulated GPU behind CUDA's interface: fat binaries, the runtime and the driver called as a
 * program calls them, and whole programs under `rao exec`. Every test runs in a process of its own
 * (Check forks), so that each has a fresh GPU. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "isa/isa.h"
#include "sim/cuda/fatbin.h"

#include "cuda_decls.h"
#include "fat_writer.h"

static const char ptx[] =
    ".version 8.7\n.target sm_100a\n.address_size 64\n"
    ".visible .global .align 4 .u32 counter;\n"
    ".visible .const .align 4 .b32 factor[2] = {3, 5};\n"
    ".visible .entry scale(.param .u64 y, .param .u32 n)\n.maxntid 512\n{\n"
    " .reg .pred %p<2>;\n .reg .b32 %r<8>;\n .reg .b64 %d<8>;\n"
    " ld.param.u64 %d1, [y];\n ld.param.u32 %r1, [n];\n"
    " mov.u32 %r2, %ctaid.x;\n mov.u32 %r3, %ntid.x;\n mov.u32 %r4, %tid.x;\n"
    " mad.lo.u32 %r5, %r2, %r3, %r4;\n setp.ge.u32 %p1, %r5, %r1;\n @%p1 bra done;\n"
    " ld.const.u32 %r6, [factor+4];\n mul.lo.u32 %r6, %r6, %r5;\n"
    " mul.wide.u32 %d3, %r5, 4;\n add.u64 %d4, %d1, %d3;\n st.global.u32 [%d4], %r6;\n"
    " atom.global.add.u32 %r7, [counter], 1;\ndone:\n ret;\n}\n";

static uint8_t fat[1 << 16];
static FatWrapper wrapper = {0x466243b1, 1, fat, NULL};
static char scale_stub, counter_stub, factor_stub;

static void register_program(uint64_t flags)
{
    FatWriter w = {.data = fat, .cap = sizeof fat};
    fat_begin(&w);
    fat_add(&w, 100, flags & ~(uint64_t)FAT_FLAG_A, "not PTX: the a-target must win", 30);
    fat_add(&w, 100, flags | FAT_FLAG_A, ptx, sizeof ptx);
    fat_end(&w);
    void **h = __cudaRegisterFatBinary(&wrapper);
    ck_assert_ptr_nonnull(h);
    __cudaRegisterFunction(h, &scale_stub, "scale", "scale", -1, 0, 0, 0, 0, 0);
    __cudaRegisterVar(h, &counter_stub, "counter", "counter", 0, 4, 0, 0);
    __cudaRegisterVar(h, &factor_stub, "factor", "factor", 0, 8, 1, 0);
    __cudaRegisterFatBinaryEnd(h);
}

/* ---- Fat binaries ---- */

static const uint64_t packings[] = {0, FAT_FLAG_LZ4, FAT_FLAG_ZSTD};

START_TEST(every_packing_gives_the_text_back)
{
    FatWriter w = {.data = fat, .cap = sizeof fat};
    Arena a = {0};
    Err err = {0};
    Fatbin f;
    FatImage im;
    const char *text;
    size_t len;
    fat_begin(&w);
    fat_add(&w, 90, packings[_i], ptx, sizeof ptx);
    fat_add(&w, 100, packings[_i] | FAT_FLAG_A, ptx, sizeof ptx);
    fat_end(&w);
    ck_assert_uint_eq(fatbin_size(fat), w.n);
    ck_assert(fatbin_open(&f, fat, w.n, &err));
    ck_assert(fatbin_next(&f, &im, &err) && im.arch == 90);
    ck_assert_uint_eq(fatbin_suits(&im, "sm_100a"), 90);
    ck_assert(fatbin_next(&f, &im, &err) && im.arch == 100);
    ck_assert_uint_gt(fatbin_suits(&im, "sm_100a"), 90);
    ck_assert_uint_eq(fatbin_suits(&im, "sm_103a"), 0); /* "a" runs nowhere else */
    ck_assert_uint_eq(fatbin_suits(&im, "sm_90a"), 0);
    ck_assert(fatbin_ptx(&a, &im, &text, &len, &err));
    ck_assert_uint_eq(len, strlen(ptx));
    ck_assert_str_eq(text, ptx);
    ck_assert(!fatbin_next(&f, &im, &err) && err.kind == ERR_NONE);
    arena_free(&a);
}
END_TEST

/* Every cut and every changed byte is read without harm (the sanitizers look on). */
START_TEST(broken_containers_are_refused)
{
    uint8_t copy[4096];
    FatWriter w = {.data = fat, .cap = sizeof fat};
    fat_begin(&w);
    fat_add(&w, 100, packings[_i], ptx, sizeof ptx);
    fat_end(&w);
    ck_assert_uint_le(w.n, sizeof copy);
    for (size_t i = 0; i < w.n; i++) {
        Err err = {0}, flipped = {0};
        Fatbin f;
        FatImage im;
        ck_assert(!fatbin_open(&f, fat, i, &err));
        memcpy(copy, fat, w.n);
        copy[i] ^= 0x55;
        if (!fatbin_open(&f, copy, w.n, &flipped))
            continue;
        while (fatbin_next(&f, &im, &flipped)) {
            Arena a = {0};
            const char *text;
            size_t len;
            Err bad = {0};
            if (im.raw_bytes < sizeof fat)
                fatbin_ptx(&a, &im, &text, &len, &bad);
            arena_free(&a);
        }
    }
}
END_TEST

/* ---- The runtime ---- */

START_TEST(a_registered_kernel_runs)
{
    enum { N = 1000 };
    uint32_t *y, n = N, host[N], count;
    void *args[] = {&y, &n};
    register_program(packings[_i]);
    ck_assert_int_eq(cudaMalloc((void **)&y, sizeof host), 0);
    ck_assert_int_eq(
        cudaLaunchKernel(&scale_stub, (Dim3){8, 1, 1}, (Dim3){128, 1, 1}, args, 0, NULL), 0);
    ck_assert_int_eq(cudaMemcpy(host, y, sizeof host, 2), 0);
    for (uint32_t i = 0; i < N; i++)
        ck_assert_uint_eq(host[i], 5 * i);
    ck_assert_int_eq(cudaMemcpyFromSymbol(&count, &counter_stub, 4, 0, 2), 0);
    ck_assert_uint_eq(count, N);
    uint32_t factor = 11;
    ck_assert_int_eq(cudaMemcpyToSymbol(&factor_stub, &factor, 4, 4, 1), 0);
    ck_assert_int_eq(cudaMemcpyToSymbol(&factor_stub, &factor, 4, 5, 1), 1); /* beyond its end */
    cudaLaunchKernel(&scale_stub, (Dim3){8, 1, 1}, (Dim3){128, 1, 1}, args, 0, NULL);
    cudaMemcpy(host, y, sizeof host, 2);
    ck_assert_uint_eq(host[7], 77);
    ck_assert_int_eq(cudaFree(y), 0);
    ck_assert_int_eq(cudaFree(y), 1);
}
END_TEST

START_TEST(launches_that_cuda_refuses)
{
    uint32_t *y = NULL, n = 0;
    void *args[] = {&y, &n};
    char unknown;
    Dim3 one = {1, 1, 1};
    register_program(0);
    ck_assert_int_eq(cudaLaunchKernel(&unknown, one, one, args, 0, NULL), 98);
    ck_assert_int_eq(cudaGetLastError(), 98);
    ck_assert_int_eq(cudaGetLastError(), 0);
    ck_assert_int_eq(cudaLaunchKernel(&scale_stub, (Dim3){0, 1, 1}, one, args, 0, NULL), 9);
    ck_assert_int_eq(cudaLaunchKernel(&scale_stub, one, (Dim3){2048, 1, 1}, args, 0, NULL), 9);
    ck_assert_int_eq(cudaLaunchKernel(&scale_stub, one, (Dim3){513, 1, 1}, args, 0, NULL), 701);
    ck_assert_int_eq(cudaLaunchKernel(&scale_stub, one, one, args, 50000, NULL), 1);
    ck_assert_int_eq(cudaFuncSetAttribute(&scale_stub, 8, 50000), 0);
    ck_assert_int_eq(cudaLaunchKernel(&scale_stub, one, one, args, 50000, NULL), 0);
    ck_assert_int_eq(cudaFuncSetAttribute(&scale_stub, 8, 300000), 1);
    ck_assert_int_eq(cudaMallocArray(NULL, NULL, 1, 1, 0), 801); /* named, not there */
    int ctas;
    ck_assert_int_eq(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&ctas, &scale_stub, 512, 50000),
                     0);
    ck_assert_int_eq(ctas, 4); /* 228 KB / (50000 + 1 KB), 2048 threads / 512 */
}
END_TEST

/* Against plain loops. */
START_TEST(copies_and_fills_of_boxes)
{
    enum { W = 37, H = 11, PITCH = 64 };
    uint8_t host[H][W], back[H][W], *dev, *pinned;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            host[y][x] = (uint8_t)(y * 31 + x);
    ck_assert_int_eq(cudaMalloc((void **)&dev, PITCH * H), 0);
    ck_assert_int_eq(cudaMemset2D(dev, PITCH, 0xaa, PITCH, H), 0);
    ck_assert_int_eq(cudaMemcpy2D(dev + 5, PITCH, host, W, W, H, 1), 0);
    ck_assert_int_eq(cudaMemcpy2D(back, W, dev + 5, PITCH, W, H, 2), 0);
    ck_assert_int_eq(memcmp(host, back, sizeof host), 0);
    ck_assert_int_eq(cudaMemcpy2D(back, W, dev + 4, PITCH, W, H, 4), 0);
    for (int y = 0; y < H; y++)
        ck_assert(back[y][0] == 0xaa && back[y][1] == host[y][0]);
    ck_assert_int_eq(cudaMemcpy2D(dev, W - 1, host, W, W, H, 1), 12); /* pitch */
    ck_assert_int_eq(cudaMemcpy(dev, host, PITCH * H + 1, 1), 1);     /* beyond its end */
    ck_assert_int_eq(cudaMemcpy(back, dev, 16, 1), 1);                /* direction */
    ck_assert_int_eq(cudaMallocHost((void **)&pinned, 100), 0);
    pinned[99] = 7;
    ck_assert_int_eq(cudaMemcpy(back, pinned + 99, 1, 4), 0);
    ck_assert_uint_eq(back[0][0], 7);
    ck_assert_int_eq(cudaFreeHost(pinned), 0);
}
END_TEST

START_TEST(a_captured_graph_repeats)
{
    uint32_t *y, n = 10, count;
    void *args[] = {&y, &n}, *s, *graph, *exec;
    register_program(0);
    cudaMalloc((void **)&y, 4000);
    ck_assert_int_eq(cudaStreamCreate(&s), 0);
    ck_assert_int_eq(cudaStreamBeginCapture(s, 0), 0);
    ck_assert_int_eq(cudaLaunchKernel(&scale_stub, (Dim3){1, 1, 1}, (Dim3){32, 1, 1}, args, 0, s),
                     0);
    n = 0; /* parameters are those of the capture */
    ck_assert_int_eq(cudaStreamEndCapture(s, &graph), 0);
    cudaMemcpyFromSymbol(&count, &counter_stub, 4, 0, 2);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(cudaGraphInstantiate(&exec, graph, 0), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(cudaGraphLaunch(exec, s), 0);
    cudaMemcpyFromSymbol(&count, &counter_stub, 4, 0, 2);
    ck_assert_uint_eq(count, 30);
    ck_assert_int_eq(cudaGraphExecDestroy(exec), 0);
    ck_assert_int_eq(cudaGraphDestroy(graph), 0);
    ck_assert_int_eq(cudaStreamDestroy(s), 0);
}
END_TEST

/* An event recorded while capturing is an edge of the graph: nothing of it is left afterwards. A
 * stream that joined a capture does not end it, neither by its end nor by its own. */
START_TEST(events_of_a_capture_join_streams)
{
    enum { N = 64 };
    uint32_t *y, n = N, host[N];
    void *args[] = {&y, &n}, *origin, *other, *event, *graph, *exec;
    register_program(0);
    cudaMalloc((void **)&y, sizeof host);
    cudaMemset2D(y, sizeof host, 0, sizeof host, 1);
    cudaStreamCreate(&origin);
    cudaStreamCreate(&other);
    cudaEventCreate(&event);
    ck_assert_int_eq(cudaStreamBeginCapture(origin, 0), 0);
    ck_assert_int_eq(cudaEventRecord(event, origin), 0);
    ck_assert_int_eq(cudaStreamWaitEvent(other, event, 0), 0);
    ck_assert_int_eq(
        cudaLaunchKernel(&scale_stub, (Dim3){1, 1, 1}, (Dim3){N, 1, 1}, args, 0, other), 0);
    ck_assert_int_eq(cudaStreamEndCapture(other, &graph), 903); /* unmatched */
    ck_assert_int_eq(cudaStreamDestroy(other), 0);
    ck_assert_int_eq(cudaEventDestroy(event), 0);
    ck_assert_int_eq(cudaStreamEndCapture(origin, &graph), 0);
    ck_assert_int_eq(cudaGraphInstantiate(&exec, graph, 0), 0);
    cudaMemcpy(host, y, sizeof host, 2);
    ck_assert_uint_eq(host[7], 0);
    ck_assert_int_eq(cudaGraphLaunch(exec, origin), 0);
    cudaMemcpy(host, y, sizeof host, 2);
    ck_assert_uint_eq(host[7], 35);
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
    ck_assert_int_eq(cudaStreamDestroy(origin), 0);
}
END_TEST

START_TEST(the_device_is_a_b200)
{
    union {
        char bytes[1008];
        int words[252];
    } prop;
    int v;
    ck_assert_int_eq(cudaGetDeviceProperties(&prop, 0), 0);
    ck_assert_str_eq(prop.bytes, "NVIDIA B200");
    ck_assert_int_eq(prop.words[360 / 4], 10);  /* major */
    ck_assert_int_eq(prop.words[384 / 4], 148); /* SMs */
    ck_assert_int_eq(cudaDeviceGetAttribute(&v, 97, 0), 0);
    ck_assert_int_eq(v, 232448);
    ck_assert_int_eq(cudaDeviceGetAttribute(&v, 97, 1), 101);
    ck_assert_int_eq(cudaGetDeviceProperties(&prop, 1), 101);
}
END_TEST

/* The model is the one that the program was compiled for. */
START_TEST(a_program_for_hopper_gets_an_h200)
{
    char prop[1008];
    FatWriter w = {.data = fat, .cap = sizeof fat};
    fat_begin(&w);
    fat_add(&w, 90, FAT_FLAG_A, "", 1);
    if (_i)
        fat_add(&w, 100, FAT_FLAG_A, "", 1);
    fat_end(&w);
    ck_assert_ptr_nonnull(__cudaRegisterFatBinary(&wrapper));
    ck_assert_int_eq(cudaGetDeviceProperties(prop, 0), 0);
    ck_assert_str_eq(prop, _i ? "NVIDIA B200" : "NVIDIA H200");
}
END_TEST

/* ---- The driver ---- */

START_TEST(the_driver_loads_ptx_and_launches)
{
    void *module, *f;
    uint64_t y, counter;
    size_t bytes;
    uint32_t host[64], n = 64;
    struct {
        uint64_t y;
        uint32_t n;
    } buffer;
    size_t size = 12;
    ck_assert_int_eq(cuInit(0), 0);
    ck_assert_int_eq(cuModuleLoadData(&module, "nonsense"), 200);
    ck_assert_int_eq(cuModuleLoadData(&module, ptx), 0);
    ck_assert_int_eq(cuModuleGetFunction(&f, module, "none"), 500);
    ck_assert_int_eq(cuModuleGetFunction(&f, module, "scale"), 0);
    ck_assert_int_eq(cuModuleGetGlobal_v2(&counter, &bytes, module, "counter"), 0);
    ck_assert_uint_eq(bytes, 4);
    ck_assert_int_eq(cuMemAlloc_v2(&y, sizeof host), 0);
    ck_assert_int_eq(cuMemsetD32_v2(y, 0x12345678, 64), 0);
    ck_assert_int_eq(cuMemcpyDtoH_v2(host, y, sizeof host), 0);
    ck_assert_uint_eq(host[63], 0x12345678);
    void *params[] = {&y, &n};
    ck_assert_int_eq(cuLaunchKernel(f, 1, 1, 1, 64, 1, 1, 0, NULL, params, NULL), 0);
    cuMemcpyDtoH_v2(host, y, sizeof host);
    ck_assert_uint_eq(host[63], 5 * 63);
    buffer.y = y;
    buffer.n = 3;
    void *extra[] = {(void *)1, &buffer, (void *)2, &size, NULL};
    cuMemsetD32_v2(y, 0, 64);
    ck_assert_int_eq(cuLaunchKernel(f, 1, 1, 1, 64, 1, 1, 0, NULL, NULL, extra), 0);
    cuMemcpyDtoH_v2(host, y, sizeof host);
    ck_assert(host[2] == 10 && host[3] == 0);
    int type;
    ck_assert_int_eq(cuPointerGetAttribute(&type, 2, y + 100), 0);
    ck_assert_int_eq(type, 2);
    ck_assert_int_eq(cuPointerGetAttribute(&type, 2, (uintptr_t)host), 1);
    ck_assert_int_eq(cuModuleUnload(module), 0);
}
END_TEST

/* A file that has been cut off, or that holds the pointers of another program's memory. */
START_TEST(broken_module_files_are_refused)
{
    char path[] = "/tmp/rao_module_XXXXXX";
    FatWriter w = {.data = fat, .cap = sizeof fat};
    fat_begin(&w);
    fat_add(&w, 100, FAT_FLAG_A, ptx, sizeof ptx);
    fat_end(&w);
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(cuInit(0), 0);
    for (int i = 0; i < 3; i++) {
        const void *what = i == 0 ? (const void *)fat : i == 1 ? fat : (const void *)&wrapper;
        size_t bytes = i == 0 ? w.n : i == 1 ? w.n / 2 : sizeof wrapper;
        void *module = NULL;
        ck_assert_int_eq(ftruncate(fd, 0), 0);
        ck_assert_int_eq((int)pwrite(fd, what, bytes, 0), (int)bytes);
        ck_assert_int_eq(cuModuleLoad(&module, path), i == 0 ? 0 : 200); /* invalid image */
    }
    close(fd);
    remove(path);
}
END_TEST

/* Two modules that differ in one number of their text are not one launch to the clock. */
START_TEST(modules_of_one_length_have_their_own_times)
{
    static const char form[] = ".version 8.7\n.target sm_100a\n.address_size 64\n"
                               ".visible .entry count()\n{\n .reg .pred %%p<2>;\n"
                               " .reg .b32 %%r<2>;\n mov.u32 %%r1, 0;\nagain:\n"
                               " add.u32 %%r1, %%r1, 1;\n setp.lt.u32 %%p1, %%r1, %d;\n"
                               " @%%p1 bra again;\n ret;\n}\n";
    float ms[2];
    void *from, *to, *context;
    setenv("RAO_EXEC_TIME", "1", 1);
    ck_assert_int_eq(cuInit(0), 0);
    ck_assert_int_eq(cuCtxCreate_v2(&context, 0, 0), 0);
    ck_assert_int_eq(cuEventCreate(&from, 0), 0);
    ck_assert_int_eq(cuEventCreate(&to, 0), 0);
    for (int i = 0; i < 2; i++) {
        char text[sizeof form + 8];
        void *module, *kernel;
        snprintf(text, sizeof text, form, i == 0 ? 100 : 900);
        ck_assert_int_eq(cuModuleLoadData(&module, text), 0);
        ck_assert_int_eq(cuModuleGetFunction(&kernel, module, "count"), 0);
        ck_assert_int_eq(cuEventRecord(from, NULL), 0);
        ck_assert_int_eq(cuLaunchKernel(kernel, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL), 0);
        ck_assert_int_eq(cuEventRecord(to, NULL), 0);
        ck_assert_int_eq(cuEventElapsedTime(&ms[i], from, to), 0);
    }
    ck_assert_int_eq(cudaEventDestroy(from), 0);
    ck_assert_int_eq(cudaEventDestroy(to), 0);
    ck_assert(ms[0] > 0 && ms[1] > 2 * ms[0]);
}
END_TEST

START_TEST(functions_are_found_by_name_and_version)
{
    void *fn;
    int status;
    ck_assert_int_eq(cuGetProcAddress_v2("cuCtxCreate", &fn, 11000, 0, &status), 0);
    ck_assert(fn == (void *)(uintptr_t)cuCtxCreate_v2);
    ck_assert_int_eq(cuGetProcAddress_v2("cuCtxCreate", &fn, 13000, 0, &status), 0);
    ck_assert(fn == (void *)(uintptr_t)cuCtxCreate_v4);
    ck_assert_int_eq(cuGetProcAddress_v2("cuTensorMapEncodeTiled", &fn, 11000, 0, &status), 500);
    ck_assert_int_eq(status, 2);
    ck_assert_int_eq(cuGetProcAddress_v2("", &fn, 2000, 0, &status), 500);
    ck_assert_int_eq(status, 1);
    ck_assert_int_eq(
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &fn, 12000, 0, &status), 0);
    ck_assert(fn && status == 0);
}
END_TEST

/* ---- rao exec ---- */

static char work[] = "/tmp/rao-test-cuda-XXXXXX";

/* Runs `rao exec <options> -- <program>`; output of both streams in text. */
static int rao_exec(const char *options, const char *program, char *text, size_t n)
{
    char command[2048];
    snprintf(command, sizeof command, RAO_BIN " exec %s -- %s 2>&1", options, program);
    FILE *p = popen(command, "r");
    ck_assert_ptr_nonnull(p);
    size_t got = fread(text, 1, n - 1, p);
    text[got] = 0;
    int how = pclose(p);
    ck_assert(WIFEXITED(how));
    return WEXITSTATUS(how);
}

static const struct {
    const char *options, *program;
    int code;
    const char *says;
} runs[] = {
    {"", CUDA_PROGRAM " add", 9, "0.0000 ms"},
    {"--time", CUDA_PROGRAM " time", 9, "ms"},
    {"--only add", CUDA_PROGRAM " time", 9, "ms"},
    {"--only no_such", CUDA_PROGRAM " time", 1, ""},
    {"", CUDA_PROGRAM " fault", 5, "error: 4 bytes at"},
    {"", CUDA_PROGRAM " hang", 4, "mbarrier"},
    {"--time", CUDA_PROGRAM " dependent", 9, "add may begin on a GPU while"},
    {"", CUDA_PROGRAM " dependent", 9, ""},
    {"--time", CUDA_PROGRAM " clock", 9, "cycles"},
    {"", CUDA_PROGRAM " clock", 1, "clock reads %clock or %globaltimer: they count instructions"},
    {"--time", CUDA_PROGRAM " hang", 4, "mbarrier"},
    {"", CUDA_PROGRAM " ring", 4,
     "empty: arrival missing]-> warp 1 (CTA 0) -[mbarrier full]-> warp 0"},
    {"--time", CUDA_PROGRAM " ring", 4, "wait-for cycle: warp 0 (CTA 0) -[mbarrier empty"},
    {"--time --sms all", CUDA_PROGRAM " ring", 4,
     "wait-for cycle: warp 0 (CTA 0) -[mbarrier empty"},
    {"--check", CUDA_PROGRAM " ring", 4, "wait-for cycle: warp 0 (CTA 0) -[mbarrier empty"},
    {"--check", CUDA_PROGRAM " add", 9, ""},
    {"--check", CUDA_PROGRAM " race", 7, "[race-shared] in race"},
    {"--check --only add", CUDA_PROGRAM " race", 9, ""},
    {"--check --skip 1", CUDA_PROGRAM " race", 9, ""},
    {"--check --time", CUDA_PROGRAM " race", 2, "leave out --time"},
    {"--check --suppressions no_such_file", CUDA_PROGRAM " race", 2, "no_such_file"},
    {"", CUDA_PROGRAM " unsupported", 6, "multimem"},
    {"", "sh -c '" CUDA_PROGRAM " fault'", 5, "error: 4 bytes at"},
    {"", "sh -c 'exit 77'", 77, ""},
    {"", CUDA_STATIC, 2, "relink with '-cudart shared'"},
    {"", "./no_such_program", 2, "there is no program"},
    {"--only '('", CUDA_PROGRAM " add", 2, "--only"},
    {"--count x", CUDA_PROGRAM " add", 2, "--count"},
};

START_TEST(exit_codes)
{
    char text[8192];
    ck_assert_int_eq(rao_exec(runs[_i].options, runs[_i].program, text, sizeof text),
                     runs[_i].code);
    ck_assert_msg(strstr(text, runs[_i].says), "'%s' is not in: %s", runs[_i].says, text);
}
END_TEST

/* How `rao run` hashes an output (docs/schema.md), here of what `add` must write. */
static uint64_t hash_of_result(void)
{
    uint32_t y[1000];
    uint64_t h = 0xcbf29ce484222325u, word;
    for (uint32_t i = 0; i < 1000; i++)
        y[i] = 22 * i;
    for (size_t at = 0; at < sizeof y; at += 8) {
        memcpy(&word, (uint8_t *)y + at, 8);
        h = (h ^ word) * 0x100000001b3u;
        h ^= h >> 29;
    }
    return h;
}

/* The cycles of a report, and those of the bundle run by itself, are the same; so are the bytes. */
START_TEST(a_captured_launch_repeats)
{
    char text[1 << 16], line[1024], options[256], command[1024];
    ck_assert_ptr_nonnull(mkdtemp(work));
    snprintf(options, sizeof options, "--report %s/r --capture %s/c", work, work);
    ck_assert_int_eq(rao_exec(options, CUDA_PROGRAM " time", text, sizeof text), 9);
    snprintf(command, sizeof command, "%s/r/launches.tsv", work);
    FILE *f = fopen(command, "r");
    ck_assert_ptr_nonnull(f);
    unsigned long long cycles = 0;
    unsigned n = 0;
    char note[64] = "";
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%u add %*s %*s %*s %*s %llu %*s %63[^\n]", &n, &cycles, note) < 2)
            ck_assert_int_eq(strncmp(line, "launch\t", 7), 0);
    fclose(f);
    ck_assert(n == 2 && cycles > 0);
    ck_assert_str_eq(note, "as launch 0");
    snprintf(command, sizeof command, RAO_BIN " run %s/c/0000_add/launch.yaml --json -", work);
    FILE *p = popen(command, "r");
    ck_assert_ptr_nonnull(p);
    text[fread(text, 1, sizeof text - 1, p)] = 0;
    ck_assert_int_eq(pclose(p), 0);
    const char *at = strstr(text, "\"cycles\":");
    ck_assert_msg(at, "no cycles in: %s", text);
    unsigned long long again = strtoull(at + strlen("\"cycles\":"), NULL, 10);
    snprintf(line, sizeof line, "%016llx", (unsigned long long)hash_of_result());
    ck_assert_msg(strstr(text, line), "no output's hash is %s: %s", line, text);
    ck_assert_uint_eq(again, cycles);
    snprintf(command, sizeof command, "rm -r %s", work);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

/* ---- Which launches are timed ---- */

static const struct {
    const char *options;
    unsigned launches; /* bit i: launch i of three */
} choices[] = {
    {"", 7},
    {"--skip 1", 6},
    {"--count 1", 1},
    {"--skip 1 --count 1", 2},
    {"--only '^a.d$'", 7},
    {"--only add --skip 2", 4},
    {"--only fault", 0},
};

START_TEST(options_choose_launches)
{
    char text[8192], line[1024], options[256], path[256];
    unsigned n, seen = 0;
    ck_assert_ptr_nonnull(mkdtemp(work));
    snprintf(options, sizeof options, "--report %s %s", work, choices[_i].options);
    ck_assert_int_eq(rao_exec(options, CUDA_PROGRAM " add", text, sizeof text), 9);
    snprintf(path, sizeof path, "%s/launches.tsv", work);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "%u\tadd", &n) == 1)
            seen |= 1u << n;
    if (f)
        fclose(f);
    ck_assert_uint_eq(seen, choices[_i].launches);
    snprintf(path, sizeof path, "rm -r %s", work);
    ck_assert_int_eq(system(path), 0);
}
END_TEST

/* ---- Slices of PTX ---- */

START_TEST(a_slice_keeps_places_and_one_body)
{
    static const char text[] = "// { .entry c\n.entry a(.param .u32 x)\n{ /* } */ ret;\n}\n"
                               ".func f()\n{ ret; }\n.entry ab() { add; }\n.entry p();\n"
                               ".global .b8 s[2] = {1, 2};\n";
    Arena a = {0};
    const char *heads = isa_slice(&a, text, sizeof text - 1, NULL);
    const char *one = isa_slice(&a, text, sizeof text - 1, "a");
    ck_assert_str_eq(heads, "// { .entry c\n.entry a(.param .u32 x)\n{             \n}\n"
                            ".func f()\n{      }\n.entry ab() {      }\n.entry p();\n"
                            ".global .b8 s[2] = {1, 2};\n");
    ck_assert_str_eq(one, "// { .entry c\n.entry a(.param .u32 x)\n{ /* } */ ret;\n}\n"
                          ".func f()\n{ ret; }\n.entry ab() {      }\n.entry p();\n"
                          ".global .b8 s[2] = {1, 2};\n");
    arena_free(&a);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("cuda");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, every_packing_gives_the_text_back, 0, 3);
    tcase_add_loop_test(t, broken_containers_are_refused, 0, 3);
    tcase_add_loop_test(t, a_registered_kernel_runs, 0, 3);
    tcase_add_test(t, launches_that_cuda_refuses);
    tcase_add_test(t, copies_and_fills_of_boxes);
    tcase_add_test(t, a_captured_graph_repeats);
    tcase_add_test(t, events_of_a_capture_join_streams);
    tcase_add_test(t, the_device_is_a_b200);
    tcase_add_loop_test(t, a_program_for_hopper_gets_an_h200, 0, 2);
    tcase_add_test(t, the_driver_loads_ptx_and_launches);
    tcase_add_test(t, broken_module_files_are_refused);
    tcase_add_test(t, modules_of_one_length_have_their_own_times);
    tcase_add_test(t, functions_are_found_by_name_and_version);
    tcase_add_loop_test(t, exit_codes, 0, (int)(sizeof runs / sizeof *runs));
    tcase_add_test(t, a_captured_launch_repeats);
    tcase_add_loop_test(t, options_choose_launches, 0, (int)(sizeof choices / sizeof *choices));
    tcase_add_test(t, a_slice_keeps_places_and_one_body);
    Suite *s = suite_create("cuda");
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
