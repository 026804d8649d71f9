/* Which of the warps of a sub-partition issues: 16 warps, four a sub-partition, start 512
 * operations each at once; when has each begun and ended? One line a case: operation, independent
 * chains a warp, then begin and end of warps 0 to 15 in cycles after warp 0's begin. Native, or
 * `rao exec --time --model h200 -- kernels-build/micro_arbitration`; measured: traces/measured/. */
#include <cstdio>

enum Operation { kSin, kEx2, kFma, kMax };
enum { kWarps = 16, kOperations = 512, kPasses = 3 };

template <Operation kOp> __device__ void operate(float &x, float other)
{
    if (kOp == kSin)
        asm volatile("sin.approx.ftz.f32 %0, %0;" : "+f"(x));
    if (kOp == kEx2)
        asm volatile("ex2.approx.ftz.f32 %0, %0;" : "+f"(x));
    if (kOp == kFma)
        asm volatile("fma.rn.f32 %0, %0, %0, %0;" : "+f"(x));
    if (kOp == kMax)
        asm volatile("max.f32 %0, %0, %1;" : "+f"(x) : "f"(other));
}

template <Operation kOp, int kChains> __global__ void race(float *data, long long *t)
{
    float x[kChains], other = data[5], sum = 0;
    for (int i = 0; i < kChains; i++)
        x[i] = 1.0f + threadIdx.x * 0.001f + i * 0.37f;
    for (int pass = 0; pass < kPasses; pass++) {
        __syncthreads();
        long long begin = clock64();
#pragma unroll
        for (int k = 0; k < kOperations / kChains; k++)
            for (int i = 0; i < kChains; i++)
                operate<kOp>(x[i], other);
        long long end = clock64();
        __syncthreads();
        if (threadIdx.x % 32 == 0) {
            t[(pass * kWarps + threadIdx.x / 32) * 2] = begin;
            t[(pass * kWarps + threadIdx.x / 32) * 2 + 1] = end;
        }
    }
    for (int i = 0; i < kChains; i++)
        sum += x[i];
    data[threadIdx.x] = sum;
}

template <Operation kOp, int kChains> void print(const char *name)
{
    float *data;
    long long *t, h[kPasses][kWarps][2];
    cudaMalloc(&data, 32 * kWarps * sizeof *data);
    cudaMalloc(&t, sizeof h);
    cudaMemset(data, 0, 32 * kWarps * sizeof *data);
    race<kOp, kChains><<<1, 32 * kWarps>>>(data, t);
    cudaError_t e = cudaMemcpy(h, t, sizeof h, cudaMemcpyDeviceToHost);
    if (e) {
        printf("# %s: %s\n", name, cudaGetErrorString(e));
        return;
    }
    printf("%s\t%d", name, kChains);
    for (int w = 0; w < kWarps; w++)
        printf("\t%lld..%lld", h[kPasses - 1][w][0] - h[kPasses - 1][0][0],
               h[kPasses - 1][w][1] - h[kPasses - 1][0][0]);
    printf("\n");
}

int main()
{
    print<kSin, 4>("sin.approx.ftz.f32");
    print<kEx2, 4>("ex2.approx.ftz.f32");
    print<kFma, 4>("fma.rn.f32");
    print<kMax, 4>("max.f32");
    print<kSin, 1>("sin.approx.ftz.f32");
    print<kEx2, 1>("ex2.approx.ftz.f32");
    print<kFma, 1>("fma.rn.f32");
    print<kMax, 1>("max.f32");
    print<kEx2, 2>("ex2.approx.ftz.f32");
    print<kFma, 2>("fma.rn.f32");
    print<kFma, 8>("fma.rn.f32");
    print<kMax, 8>("max.f32");
    return 0;
}
