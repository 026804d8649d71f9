/* A program for `rao exec` as nvcc would make it, in C: PTX in a fat binary, registered before
 * main.
 *
 *     cuda_program add          y = 3 x + i over 1000 elements, checked
 *     cuda_program time         the same, and fails if events say 0
 *     cuda_program fault        stores beyond its allocation
 *     cuda_program hang         waits for an mbarrier that nobody arrives at
 *     cuda_program ring         two warps, a ring of one stage that is never released
 *     cuda_program race         two warps write one word of shared memory
 *     cuda_program dependent    launches by programmatic stream serialization
 *     cuda_program clock        sleeps 100 us, fails if its clocks do not say so
 *     cuda_program unsupported  needs an instruction that is not executed
 *
 * Exits with 9 where all is as CUDA would have it, so that the command must hand that through. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "cuda_decls.h"
#include "fat_writer.h"

#ifdef FAKE_STATIC
/* What tells a program with NVIDIA's runtime linked in: device code, and no shared runtime. */
__attribute__((section(".nv_fatbin"), used)) static const char device_code[8] = "fatbin";
int main(void)
{
    return 0;
}
#else
static const char ptx[] =
    ".version 8.7\n.target sm_100a\n.address_size 64\n"
    ".visible .global .align 4 .u32 three = 3;\n"
    ".visible .entry add(.param .u64 x, .param .u64 y, .param .u32 n)\n{\n"
    " .reg .pred %p<2>;\n .reg .b32 %r<8>;\n .reg .b64 %d<8>;\n"
    " ld.param.u64 %d1, [x];\n ld.param.u64 %d2, [y];\n ld.param.u32 %r1, [n];\n"
    " mov.u32 %r2, %ctaid.x;\n mov.u32 %r3, %ntid.x;\n mov.u32 %r4, %tid.x;\n"
    " mad.lo.u32 %r5, %r2, %r3, %r4;\n setp.ge.u32 %p1, %r5, %r1;\n @%p1 bra done;\n"
    " mul.wide.u32 %d3, %r5, 4;\n add.u64 %d4, %d1, %d3;\n add.u64 %d5, %d2, %d3;\n"
    " ld.global.u32 %r6, [%d4];\n ld.global.u32 %r7, [three];\n"
    " mad.lo.u32 %r6, %r6, %r7, %r5;\n st.global.u32 [%d5], %r6;\ndone:\n ret;\n}\n"
    ".visible .entry clock(.param .u64 y)\n{\n .reg .b64 %d<8>;\n ld.param.u64 %d1, [y];\n"
    " mov.u64 %d2, %clock64;\n mov.u64 %d3, %globaltimer;\n nanosleep.u32 100000;\n"
    " mov.u64 %d4, %clock64;\n mov.u64 %d5, %globaltimer;\n sub.u64 %d4, %d4, %d2;\n"
    " sub.u64 %d5, %d5, %d3;\n st.global.v2.u64 [%d1], {%d4, %d5};\n ret;\n}\n"
    ".visible .entry fault(.param .u64 y)\n{\n .reg .b64 %d<2>;\n ld.param.u64 %d1, [y];\n"
    " st.global.u32 [%d1+4000], 7;\n ret;\n}\n"
    ".visible .entry hang()\n{\n .reg .pred %p<2>;\n .shared .align 8 .b64 bar;\n"
    " mbarrier.init.shared.b64 [bar], 1;\nagain:\n"
    " mbarrier.try_wait.parity.shared.b64 %p1, [bar], 0;\n @!%p1 bra again;\n ret;\n}\n"
    ".visible .entry ring()\n{\n .reg .pred %p<3>;\n .reg .b32 %r<4>;\n"
    " .shared .align 8 .b64 full;\n .shared .align 8 .b64 empty;\n"
    " mov.u32 %r1, %tid.x;\n setp.eq.u32 %p0, %r1, 0;\n setp.lt.u32 %p1, %r1, 32;\n"
    " @%p0 mbarrier.init.shared.b64 [full], 1;\n @%p0 mbarrier.init.shared.b64 [empty], 1;\n"
    " bar.sync 0;\n mov.u32 %r2, 0;\n @!%p1 bra consumer;\nproducer:\n xor.b32 %r3, %r2, 1;\n"
    "e: mbarrier.try_wait.parity.shared.b64 %p2, [empty], %r3;\n @!%p2 bra e;\n"
    " @%p0 mbarrier.arrive.shared.b64 _, [full];\n add.u32 %r2, %r2, 1;\n"
    " setp.lt.u32 %p2, %r2, 2;\n @%p2 bra producer;\n ret;\n"
    "consumer:\nf: mbarrier.try_wait.parity.shared.b64 %p2, [full], %r2;\n @!%p2 bra f;\n"
    " add.u32 %r2, %r2, 1;\n setp.lt.u32 %p2, %r2, 2;\n @%p2 bra consumer;\n ret;\n}\n"
    ".visible .entry race()\n{\n .reg .b32 %r<2>;\n .shared .align 4 .b32 word;\n"
    " mov.u32 %r1, %tid.x;\n shr.u32 %r1, %r1, 5;\n st.shared.u32 [word], %r1;\n ret;\n}\n"
    ".visible .entry unsupported()\n{\n .reg .b64 %d<2>;\n .reg .b32 %r<2>;\n"
    " mov.u64 %d1, 0;\n multimem.ld_reduce.relaxed.sys.global.add.u32 %r1, [%d1];\n ret;\n}\n";

static char clock_stub, add_stub, fault_stub, hang_stub, ring_stub, race_stub, unsupported_stub;
static uint32_t three_stub;

static void **handle;
static uint8_t fat[1 << 16];
static FatWrapper wrapper = {0x466243b1, 1, fat, NULL};

static void must(int error, const char *what)
{
    if (error) {
        printf("%s: %s\n", what, cudaGetErrorString(error));
        exit(1);
    }
}

__attribute__((constructor)) static void register_all(void)
{
    FatWriter w = {.data = fat, .cap = sizeof fat};
    fat_begin(&w);
    fat_add(&w, 100, 0x100000 | 0x8000, ptx, sizeof ptx);
    fat_end(&w);
    handle = __cudaRegisterFatBinary(&wrapper);
    __cudaRegisterFunction(handle, &add_stub, "add", "add", -1, 0, 0, 0, 0, 0);
    __cudaRegisterFunction(handle, &clock_stub, "clock", "clock", -1, 0, 0, 0, 0, 0);
    __cudaRegisterFunction(handle, &fault_stub, "fault", "fault", -1, 0, 0, 0, 0, 0);
    __cudaRegisterFunction(handle, &hang_stub, "hang", "hang", -1, 0, 0, 0, 0, 0);
    __cudaRegisterFunction(handle, &ring_stub, "ring", "ring", -1, 0, 0, 0, 0, 0);
    __cudaRegisterFunction(handle, &race_stub, "race", "race", -1, 0, 0, 0, 0, 0);
    __cudaRegisterFunction(handle, &unsupported_stub, "unsupported", "unsupported", -1, 0, 0, 0, 0,
                           0);
    __cudaRegisterVar(handle, (char *)&three_stub, "three", "three", 0, 4, 0, 0);
    __cudaRegisterFatBinaryEnd(handle);
}

static int add(int want_time)
{
    enum { N = 1000 };
    uint32_t host[N], *x, *y, n = N;
    void *from, *to;
    float ms = 0;
    must(cudaMalloc((void **)&x, sizeof host), "malloc");
    must(cudaMalloc((void **)&y, sizeof host), "malloc");
    for (uint32_t i = 0; i < N; i++)
        host[i] = 7 * i;
    must(cudaMemcpy(x, host, sizeof host, 1), "copy in");
    must(cudaEventCreate(&from), "event");
    must(cudaEventCreate(&to), "event");
    for (int k = 0; k < 3; k++) {
        void *args[] = {&x, &y, &n};
        must(cudaEventRecord(from, NULL), "record");
        must(cudaLaunchKernel(&add_stub, (Dim3){4, 1, 1}, (Dim3){256, 1, 1}, args, 0, NULL),
             "launch");
        must(cudaEventRecord(to, NULL), "record");
        must(cudaEventElapsedTime(&ms, from, to), "elapsed");
        if (want_time && !(ms > 0))
            return 1;
    }
    must(cudaEventDestroy(from), "destroy");
    must(cudaEventDestroy(to), "destroy");
    must(cudaMemcpy(host, y, sizeof host, 2), "copy out");
    for (uint32_t i = 0; i < N; i++)
        if (host[i] != 7 * i * 3 + i)
            return 1;
    printf("%.4f ms\n", (double)ms);
    return 9;
}

static int fault(void)
{
    uint32_t *y;
    must(cudaMalloc((void **)&y, 4000), "malloc");
    void *args[] = {&y};
    cudaLaunchKernel(&fault_stub, (Dim3){1, 1, 1}, (Dim3){32, 1, 1}, args, 0, NULL);
    /* Sticky: everything fails from now on. */
    return cudaDeviceSynchronize() == 700 && cudaFree(y) == 700 && cudaGetLastError() == 700 ? 9
                                                                                             : 1;
}

/* Programmatic stream serialization: attribute 6. */
static int dependent(void)
{
    struct {
        int id, pad, on, rest[15];
    } attr = {.id = 6, .on = 1};
    struct {
        Dim3 grid, block;
        size_t shared;
        void *stream, *attrs;
        unsigned n_attrs;
    } config = {.grid = {1, 1, 1}, .block = {32, 1, 1}, .attrs = &attr, .n_attrs = 1};
    uint32_t *x, *y, n = 1;
    must(cudaMalloc((void **)&x, 4), "malloc");
    must(cudaMalloc((void **)&y, 4), "malloc");
    void *args[] = {&x, &y, &n};
    for (int i = 0; i < 2; i++)
        must(cudaLaunchKernelExC(&config, &add_stub, args), "launch");
    return 9;
}

/* Twice: a launch whose time is known already must read its clocks as well. */
static int clocks(void)
{
    uint64_t *y, took[2];
    must(cudaMalloc((void **)&y, sizeof took), "malloc");
    for (int i = 0; i < 2; i++) {
        void *args[] = {&y};
        must(cudaLaunchKernel(&clock_stub, (Dim3){1, 1, 1}, (Dim3){1, 1, 1}, args, 0, NULL),
             "launch");
        must(cudaMemcpy(took, y, sizeof took, 2), "copy out");
        printf("%llu cycles, %llu ns\n", (unsigned long long)took[0], (unsigned long long)took[1]);
        double ghz = took[1] ? (double)took[0] / (double)took[1] : 0;
        if (took[1] < 99000 || took[1] > 102000 || ghz < 1.84 || ghz > 1.85) /* model b200: 1.845 */
            return 1;
    }
    return 9;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    Dim3 one = {1, 1, 1}, warp = {32, 1, 1}, two_warps = {64, 1, 1};
    if (strcmp(what, "fault") == 0)
        return fault();
    if (strcmp(what, "clock") == 0)
        return clocks();
    if (strcmp(what, "dependent") == 0)
        return dependent();
    if (strcmp(what, "hang") == 0)
        return cudaLaunchKernel(&hang_stub, one, warp, NULL, 0, NULL);
    if (strcmp(what, "ring") == 0)
        return cudaLaunchKernel(&ring_stub, one, two_warps, NULL, 0, NULL);
    if (strcmp(what, "race") == 0)
        return cudaLaunchKernel(&race_stub, one, two_warps, NULL, 0, NULL) == 0 ? 9 : 1;
    if (strcmp(what, "unsupported") == 0)
        return cudaLaunchKernel(&unsupported_stub, one, warp, NULL, 0, NULL) == 801 ? 9 : 1;
    return add(strcmp(what, "time") == 0);
}
#endif
