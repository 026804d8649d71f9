/* Signals between warps and between CTAs of a cluster, fences and single operations of shared
 * memory, on idle SMs, by clock64: one line each, "operation, measure, value, unit, how". Native,
 * or `rao exec --time --model h200 -- kernels-build/micro_signals`, whose lines stand beside the
 * measured ones in traces/measured/. Least of two passes after one to warm up. */
#include <cstdint>
#include <cstdio>

enum { kRounds = 256, kPasses = 3 };

__device__ uint32_t shared_address(const void *p)
{
    return (uint32_t)__cvta_generic_to_shared(p);
}

__device__ uint32_t map_to(uint32_t addr, uint32_t rank)
{
    uint32_t far;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(far) : "r"(addr), "r"(rank));
    return far;
}

__device__ void wait_parity(uint32_t bar, uint32_t parity)
{
    asm volatile("{ .reg .pred p; W: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, "
                 "[%0], %1; @!p bra W; }" ::"r"(bar),
                 "r"(parity)
                 : "memory");
}

__device__ void init(uint32_t bar)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(bar) : "memory");
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ void arrive(uint32_t bar)
{
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(bar) : "memory");
}

__device__ void expect(uint32_t bar, uint32_t bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(bytes)
                 : "memory");
}

__device__ uint32_t rank_of()
{
    uint32_t r;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(r));
    return r;
}

__device__ void cluster_sync()
{
    asm volatile(
        "barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::
            : "memory");
}

enum Signal { kArrive, kArriveReleaseCluster, kStAsync };

/* Signals the barrier of the other CTA; a store goes to its word. */
template <Signal kSignal> __device__ void signal(uint32_t bar, uint32_t word)
{
    if (kSignal == kArrive)
        asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(bar) : "memory");
    if (kSignal == kArriveReleaseCluster)
        asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(bar)
                     : "memory");
    if (kSignal == kStAsync)
        asm volatile(
            "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.u32 [%0], %1, [%2];" ::"r"(
                word),
            "r"(7), "r"(bar)
            : "memory");
}

/* Two CTAs signal each other in turn. */
template <Signal kSignal> __global__ void __cluster_dims__(2, 1, 1) between_ctas(long long *t)
{
    __shared__ uint64_t bar;
    __shared__ uint32_t word;
    uint32_t mine = shared_address(&bar), other = map_to(mine, rank_of() ^ 1),
             there = map_to(shared_address(&word), rank_of() ^ 1);
    if (threadIdx.x == 0)
        init(mine);
    cluster_sync();
    if (threadIdx.x == 0) {
        uint32_t phase = 0;
        for (int pass = 0; pass < kPasses; pass++) {
            long long begin = clock64();
            for (int i = 0; i < kRounds; i++) {
                if (kSignal == kStAsync)
                    expect(mine, 4);
                if (rank_of() == 0)
                    signal<kSignal>(other, there);
                wait_parity(mine, phase);
                if (rank_of() == 1)
                    signal<kSignal>(other, there);
                phase ^= 1;
            }
            if (rank_of() == 0)
                t[pass] = clock64() - begin;
        }
    }
    cluster_sync();
}

/* Two warps of a CTA signal each other in turn. */
__global__ void between_warps(long long *t)
{
    __shared__ uint64_t bar[2];
    int me = threadIdx.x / 32;
    if (threadIdx.x == 0) {
        init(shared_address(&bar[0]));
        init(shared_address(&bar[1]));
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0) {
        uint32_t mine = shared_address(&bar[me]), other = shared_address(&bar[me ^ 1]), phase = 0;
        for (int pass = 0; pass < kPasses; pass++) {
            long long begin = clock64();
            for (int i = 0; i < kRounds; i++) {
                if (me == 0)
                    arrive(other);
                wait_parity(mine, phase);
                if (me == 1)
                    arrive(other);
                phase ^= 1;
            }
            if (me == 0)
                t[pass] = clock64() - begin;
        }
    }
}

template <bool kRelaxed> __global__ void __cluster_dims__(2, 1, 1) cluster_barrier(long long *t)
{
    cluster_sync();
    for (int pass = 0; pass < kPasses; pass++) {
        long long begin = clock64();
        for (int i = 0; i < kRounds; i++) {
            if (kRelaxed)
                asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
            else
                asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
            asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
        }
        if (threadIdx.x == 0 && rank_of() == 0)
            t[pass] = clock64() - begin;
    }
}

enum Row { kTryWait, kFenceAsync, kMembarCta, kMembarGl, kAtom, kRedux, kWarpSync, kLoad };

/* The same operation again and again, each on the result of the one before where it has one. */
template <Row kRow> __global__ void row(long long *t)
{
    __shared__ uint64_t bar;
    __shared__ uint32_t word[32];
    uint32_t at = shared_address(&bar), w = shared_address(word), x = 0;
    word[threadIdx.x] = 0;
    init(at);
    __syncthreads();
    for (int pass = 0; pass < kPasses; pass++) {
        long long begin = clock64();
#pragma unroll 8
        for (int i = 0; i < kRounds; i++) {
            if (kRow == kTryWait)
                wait_parity(at, 1);
            if (kRow == kFenceAsync)
                asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
            if (kRow == kMembarCta)
                asm volatile("membar.cta;" ::: "memory");
            if (kRow == kMembarGl)
                asm volatile("membar.gl;" ::: "memory");
            if (kRow == kAtom)
                asm volatile("atom.shared.add.u32 %0, [%1], %0;" : "+r"(x) : "r"(w) : "memory");
            if (kRow == kRedux)
                asm volatile("redux.sync.add.u32 %0, %0, -1;" : "+r"(x));
            if (kRow == kWarpSync)
                asm volatile("bar.warp.sync -1;" ::: "memory");
            if (kRow == kLoad)
                asm volatile("ld.shared.u32 %0, [%1];" : "=r"(x) : "r"(w + x) : "memory");
        }
        if (threadIdx.x == 0)
            t[pass] = clock64() - begin;
    }
    if (x == 12345)
        t[kPasses] = x; /* the results are used */
}

static long long *times;

static double cycles()
{
    long long h[kPasses];
    cudaError_t e = cudaMemcpy(h, times, sizeof h, cudaMemcpyDeviceToHost);
    if (e)
        printf("# %s\n", cudaGetErrorString(e));
    return (double)(h[1] < h[2] ? h[1] : h[2]) / kRounds;
}

static void say(const char *what, const char *measure, double value, const char *how)
{
    printf("%s\t%s\t%.2f\tcycles\t%s\n", what, measure, value, how);
}

int main()
{
    cudaMalloc(&times, (kPasses + 1) * sizeof *times);
    between_warps<<<1, 64>>>(times);
    say("mbarrier.arrive+try_wait", "leg", cycles() / 2,
        "two warps of a CTA in turn, half a round");
    between_ctas<kArrive><<<2, 32>>>(times);
    say("mbarrier.arrive.shared::cluster+try_wait", "leg", cycles() / 2,
        "two CTAs of a cluster in turn, half a round");
    between_ctas<kArriveReleaseCluster><<<2, 32>>>(times);
    say("mbarrier.arrive.release.cluster.shared::cluster+try_wait", "leg", cycles() / 2,
        "two CTAs of a cluster in turn, half a round");
    between_ctas<kStAsync><<<2, 32>>>(times);
    say("expect_tx+st.async+try_wait", "leg", cycles() / 2,
        "two CTAs of a cluster in turn, half a round");
    cluster_barrier<false><<<2, 32>>>(times);
    say("barrier.cluster", "interval", cycles(),
        "2 CTAs of a warp, arrive.release and wait, in a row");
    cluster_barrier<true><<<2, 32>>>(times);
    say("barrier.cluster", "interval", cycles(),
        "2 CTAs of a warp, arrive.relaxed and wait, in a row");
    row<kTryWait><<<1, 1>>>(times);
    say("mbarrier.try_wait", "interval", cycles(), "completed phase, one thread, in a row");
    row<kFenceAsync><<<1, 32>>>(times);
    say("fence.proxy.async.shared::cta", "interval", cycles(), "in a row");
    row<kMembarCta><<<1, 32>>>(times);
    say("membar.cta", "interval", cycles(), "in a row");
    row<kMembarGl><<<1, 32>>>(times);
    say("membar.gl", "interval", cycles(), "in a row");
    row<kAtom><<<1, 1>>>(times);
    say("atom.shared.add.u32", "latency", cycles(), "dependent, one thread");
    row<kRedux><<<1, 32>>>(times);
    say("redux.sync.add.u32", "latency", cycles(), "dependent");
    row<kWarpSync><<<1, 32>>>(times);
    say("bar.warp.sync", "interval", cycles(), "in a row");
    row<kLoad><<<1, 32>>>(times);
    say("ld.shared.u32", "latency", cycles(), "dependent, base in a uniform register");
    printf("# %s\n", cudaGetErrorString(cudaDeviceSynchronize()));
    return 0;
}
