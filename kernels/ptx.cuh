// One PTX instruction per function, under its PTX name, and only those that the kernels here use.
// The number above each function is the section of the PTX ISA 9.1 manual that defines it.
//
// Two departures from "one instruction": mbarrier_wait holds the try_wait loop that every waiting
// warp needs, and tcgen05_mma_* and elect_sync turn a predicate into a C++ value or back.
// Shared-memory addresses are 32-bit (the shared window), as the instructions take them.
#pragma once

#include <cstdint>
#include <cuda.h> // CUtensorMap

namespace ptx
{

// mbarrier (9.7.13.15). A phase completes when no arrivals and no transaction bytes are pending;
// the phase bit then flips and the arrival count is armed again. Waiting for parity p returns once
// the phase of that parity has completed, so on a fresh barrier parity 1 returns at once.

// 9.7.13.15.9 mbarrier.init
__device__ __forceinline__ void mbarrier_init(uint32_t bar, uint32_t count)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(bar), "r"(count) : "memory");
}

// 9.7.13.15.13 mbarrier.arrive
__device__ __forceinline__ void mbarrier_arrive(uint32_t bar)
{
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(bar) : "memory");
}

// Adds bytes that TMA is to deliver in this phase, then arrives.
__device__ __forceinline__ void mbarrier_arrive_expect_tx(uint32_t bar, uint32_t bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(bytes)
                 : "memory");
}

// 9.7.13.15.16 mbarrier.try_wait may give up after a time limit (here 10 ms), hence the loop.
__device__ __forceinline__ void mbarrier_wait(uint32_t bar, uint32_t parity)
{
    asm volatile("{\n"
                 ".reg .pred P1;\n"
                 "LAB_WAIT:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 P1, [%0], %1, %2;\n"
                 "@P1 bra DONE;\n"
                 "bra LAB_WAIT;\n"
                 "DONE:\n"
                 "}" ::"r"(bar),
                 "r"(parity), "r"(10000000)
                 : "memory");
}

// 9.7.13.4 fence: makes mbarrier_init visible to the async proxy.
__device__ __forceinline__ void fence_mbarrier_init()
{
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// 9.7.13.4 fence.proxy.async: generic writes to shared memory before it are seen by a TMA store
// after it.
__device__ __forceinline__ void fence_proxy_async()
{
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// 9.7.13.1 bar.sync, bar.arrive: `threads` counts the arriving and the waiting ones.
__device__ __forceinline__ void bar_sync(uint32_t id, uint32_t threads)
{
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

__device__ __forceinline__ void bar_arrive(uint32_t id, uint32_t threads)
{
    asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// 9.7.13.14 elect.sync: true in exactly one lane of a full warp, the same one each time.
__device__ __forceinline__ bool elect_sync()
{
    uint32_t is_leader;
    asm volatile("{\n"
                 ".reg .pred p;\n"
                 "elect.sync _|p, 0xffffffff;\n"
                 "selp.b32 %0, 1, 0, p;\n"
                 "}"
                 : "=r"(is_leader));
    return is_leader != 0;
}

// 9.7.19.5 setmaxnreg: every warp of a warpgroup executes it; inc waits for free registers.
template <int kRegisters> __device__ __forceinline__ void setmaxnreg_inc()
{
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

template <int kRegisters> __device__ __forceinline__ void setmaxnreg_dec()
{
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// 9.7.9.25.5 cp.async.bulk.tensor: one box of the map, from {c0, c1, c2} (innermost first).
__device__ __forceinline__ void tma_load_3d(uint32_t dst, const CUtensorMap *map, int c0, int c1,
                                            int c2, uint32_t bar)
{
    asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%2, %3, %4}], [%5];" ::"r"(dst),
                 "l"(map), "r"(c0), "r"(c1), "r"(c2), "r"(bar)
                 : "memory");
}

__device__ __forceinline__ void tma_store_3d(const CUtensorMap *map, int c0, int c1, int c2,
                                             uint32_t src)
{
    asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group "
                 "[%0, {%1, %2, %3}], [%4];" ::"l"(map),
                 "r"(c0), "r"(c1), "r"(c2), "r"(src)
                 : "memory");
}

// 9.7.9.25.4: bulk copies complete by groups of one thread.
__device__ __forceinline__ void cp_async_bulk_commit_group()
{
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}

// Waits until at most kPending groups still read their shared-memory source.
template <int kPending> __device__ __forceinline__ void cp_async_bulk_wait_group_read()
{
    asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(kPending) : "memory");
}

// 9.7.16.7.1 tcgen05.alloc, dealloc, relinquish_alloc_permit: whole warp.
__device__ __forceinline__ void tcgen05_alloc(uint32_t dst, uint32_t columns)
{
    asm volatile("tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%0], %1;" ::"r"(dst),
                 "r"(columns)
                 : "memory");
}

__device__ __forceinline__ void tcgen05_dealloc(uint32_t taddr, uint32_t columns)
{
    asm volatile("tcgen05.dealloc.cta_group::1.sync.aligned.b32 %0, %1;" ::"r"(taddr), "r"(columns)
                 : "memory");
}

__device__ __forceinline__ void tcgen05_relinquish_alloc_permit()
{
    asm volatile("tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned;" ::: "memory");
}

// 9.7.16.10.9.1 tcgen05.mma: D[tmem] = A * B (+ D if accumulate), A and B in shared memory (ss) or
// A in tensor memory (ts). One thread issues; operands are read asynchronously.
__device__ __forceinline__ void tcgen05_mma_f16_ss(uint32_t d, uint64_t a_desc, uint64_t b_desc,
                                                   uint32_t idesc, bool accumulate)
{
    asm volatile("{\n"
                 ".reg .pred p;\n"
                 "setp.ne.b32 p, %4, 0;\n"
                 "tcgen05.mma.cta_group::1.kind::f16 [%0], %1, %2, %3, p;\n"
                 "}" ::"r"(d),
                 "l"(a_desc), "l"(b_desc), "r"(idesc), "r"(uint32_t(accumulate))
                 : "memory");
}

__device__ __forceinline__ void tcgen05_mma_f16_ts(uint32_t d, uint32_t a, uint64_t b_desc,
                                                   uint32_t idesc, bool accumulate)
{
    asm volatile("{\n"
                 ".reg .pred p;\n"
                 "setp.ne.b32 p, %4, 0;\n"
                 "tcgen05.mma.cta_group::1.kind::f16 [%0], [%1], %2, %3, p;\n"
                 "}" ::"r"(d),
                 "r"(a), "l"(b_desc), "r"(idesc), "r"(uint32_t(accumulate))
                 : "memory");
}

// 9.7.16.12.1 tcgen05.commit: one arrival when every earlier tcgen05.mma of this thread is
// complete.
__device__ __forceinline__ void tcgen05_commit(uint32_t bar)
{
    asm volatile(
        "tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.b64 [%0];" ::"r"(bar)
        : "memory");
}

// 9.7.16.11.1 tcgen05.fence: order tensor-memory accesses of different threads around a barrier. No
// SASS.
__device__ __forceinline__ void tcgen05_fence_before_thread_sync()
{
    asm volatile("tcgen05.fence::before_thread_sync;" ::: "memory");
}

__device__ __forceinline__ void tcgen05_fence_after_thread_sync()
{
    asm volatile("tcgen05.fence::after_thread_sync;" ::: "memory");
}

// 9.7.16.8.5 tcgen05.wait: earlier ld or st of this thread are complete.
__device__ __forceinline__ void tcgen05_wait_ld()
{
    asm volatile("tcgen05.wait::ld.sync.aligned;" ::: "memory");
}

__device__ __forceinline__ void tcgen05_wait_st()
{
    asm volatile("tcgen05.wait::st.sync.aligned;" ::: "memory");
}

// 9.7.16.8.3 tcgen05.ld, shape 32x32b: lane t of the warp reads the consecutive columns of TMEM
// lane 32 * (warp % 4) + t. A later use of d waits by itself (register dependence).
__device__ __forceinline__ void tcgen05_ld_32x32b_x32(float (&d)[32], uint32_t taddr)
{
    asm volatile("tcgen05.ld.sync.aligned.32x32b.x32.b32 {"
                 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
                 "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
                 "}, [%32];"
                 : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3]), "=f"(d[4]), "=f"(d[5]),
                   "=f"(d[6]), "=f"(d[7]), "=f"(d[8]), "=f"(d[9]), "=f"(d[10]), "=f"(d[11]),
                   "=f"(d[12]), "=f"(d[13]), "=f"(d[14]), "=f"(d[15]), "=f"(d[16]), "=f"(d[17]),
                   "=f"(d[18]), "=f"(d[19]), "=f"(d[20]), "=f"(d[21]), "=f"(d[22]), "=f"(d[23]),
                   "=f"(d[24]), "=f"(d[25]), "=f"(d[26]), "=f"(d[27]), "=f"(d[28]), "=f"(d[29]),
                   "=f"(d[30]), "=f"(d[31])
                 : "r"(taddr));
}

__device__ __forceinline__ void tcgen05_ld_32x32b_x16(float (&d)[16], uint32_t taddr)
{
    asm volatile("tcgen05.ld.sync.aligned.32x32b.x16.b32 {"
                 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
                 "}, [%16];"
                 : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3]), "=f"(d[4]), "=f"(d[5]),
                   "=f"(d[6]), "=f"(d[7]), "=f"(d[8]), "=f"(d[9]), "=f"(d[10]), "=f"(d[11]),
                   "=f"(d[12]), "=f"(d[13]), "=f"(d[14]), "=f"(d[15])
                 : "r"(taddr));
}

// 9.7.16.8.4 tcgen05.st, the inverse.
__device__ __forceinline__ void tcgen05_st_32x32b_x16(uint32_t taddr, const uint32_t (&d)[16])
{
    asm volatile("tcgen05.st.sync.aligned.32x32b.x16.b32 [%0], {"
                 "%1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16"
                 "};"
                 :
                 : "r"(taddr), "r"(d[0]), "r"(d[1]), "r"(d[2]), "r"(d[3]), "r"(d[4]), "r"(d[5]),
                   "r"(d[6]), "r"(d[7]), "r"(d[8]), "r"(d[9]), "r"(d[10]), "r"(d[11]), "r"(d[12]),
                   "r"(d[13]), "r"(d[14]), "r"(d[15]));
}

__device__ __forceinline__ void tcgen05_st_32x32b_x16(uint32_t taddr, const float (&d)[16])
{
    asm volatile("tcgen05.st.sync.aligned.32x32b.x16.b32 [%0], {"
                 "%1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16"
                 "};"
                 :
                 : "r"(taddr), "f"(d[0]), "f"(d[1]), "f"(d[2]), "f"(d[3]), "f"(d[4]), "f"(d[5]),
                   "f"(d[6]), "f"(d[7]), "f"(d[8]), "f"(d[9]), "f"(d[10]), "f"(d[11]), "f"(d[12]),
                   "f"(d[13]), "f"(d[14]), "f"(d[15]));
}

// 9.7.3.12 max with three inputs (sm_100)
__device__ __forceinline__ float max3(float a, float b, float c)
{
    float d;
    asm("max.ftz.f32 %0, %1, %2, %3;" : "=f"(d) : "f"(a), "f"(b), "f"(c));
    return d;
}

// 9.7.3.21 ex2: 2^x, flushes denormals; 2^-inf is +0.
__device__ __forceinline__ float ex2_approx(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// 9.7.3.20 lg2
__device__ __forceinline__ float lg2_approx(float x)
{
    float y;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// 9.7.3.13 rcp
__device__ __forceinline__ float rcp_approx(float x)
{
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// 9.7.9.21 cvt: the first source goes to the upper half.
__device__ __forceinline__ uint32_t cvt_rn_bf16x2(float hi, float lo)
{
    uint32_t d;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(hi), "f"(lo));
    return d;
}

// 9.7.8.9 shr: a shift by 32 or more gives 0, which C++ leaves undefined.
__device__ __forceinline__ uint32_t shr(uint32_t a, uint32_t n)
{
    uint32_t d;
    asm("shr.b32 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(n));
    return d;
}

// 9.7.9.4 mov: two floats in one 64-bit register, the operand type of .f32x2.
struct F32x2 {
    uint64_t bits;
};

__device__ __forceinline__ F32x2 pack(float lo, float hi)
{
    F32x2 d;
    asm("mov.b64 %0, {%1, %2};" : "=l"(d.bits) : "f"(lo), "f"(hi));
    return d;
}

__device__ __forceinline__ void unpack(float &lo, float &hi, F32x2 a)
{
    asm("mov.b64 {%0, %1}, %2;" : "=f"(lo), "=f"(hi) : "l"(a.bits));
}

// 9.7.3.6 fma, 9.7.3.3 add, 9.7.3.4 sub, 9.7.3.5 mul on two floats at once (sm_100)
__device__ __forceinline__ F32x2 fma(F32x2 a, F32x2 b, F32x2 c)
{
    F32x2 d;
    asm("fma.rn.ftz.f32x2 %0, %1, %2, %3;" : "=l"(d.bits) : "l"(a.bits), "l"(b.bits), "l"(c.bits));
    return d;
}

__device__ __forceinline__ F32x2 mul(F32x2 a, F32x2 b)
{
    F32x2 d;
    asm("mul.rn.ftz.f32x2 %0, %1, %2;" : "=l"(d.bits) : "l"(a.bits), "l"(b.bits));
    return d;
}

__device__ __forceinline__ F32x2 add(F32x2 a, F32x2 b)
{
    F32x2 d;
    asm("add.rn.ftz.f32x2 %0, %1, %2;" : "=l"(d.bits) : "l"(a.bits), "l"(b.bits));
    return d;
}

__device__ __forceinline__ F32x2 add_rm(F32x2 a, F32x2 b)
{
    F32x2 d;
    asm("add.rm.ftz.f32x2 %0, %1, %2;" : "=l"(d.bits) : "l"(a.bits), "l"(b.bits));
    return d;
}

__device__ __forceinline__ F32x2 sub(F32x2 a, F32x2 b)
{
    F32x2 d;
    asm("sub.rn.ftz.f32x2 %0, %1, %2;" : "=l"(d.bits) : "l"(a.bits), "l"(b.bits));
    return d;
}

} // namespace ptx
