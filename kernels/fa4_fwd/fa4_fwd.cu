// FlashAttention-4 forward for sm_100a: O = softmax(Q K^T * scale) V and its log-sum-exp, bf16 in
// and out, head dim 128, causal (aligned bottom right) or not, any sequence lengths, grouped heads,
// batch.
//
// Written from the description in arXiv 2603.05451 (section 3) and from the published behaviour of
// its code; no line is taken from elsewhere. One CTA owns 256 query rows as two tiles ("stages") of
// 128 and one SM. The idea: each stage alternates between the tensor core and a softmax warpgroup,
// half a period apart, so that one stage's exponentials hide behind the other stage's GEMMs.
//
//     warps   role        does
//     0-3     softmax 0   S0 -> P0, one row per thread, running max and sum
//     4-7     softmax 1   the same for stage 1
//     8-11    correction  rescales O in TMEM when a row max grew; at the end O / sum -> shared, LSE
//     12      mma         issues S = Q K^T and O += P V; owns the TMEM allocation
//     13      epilogue    stores O by TMA
//     14      load        loads Q, K, V by TMA
//     15      (idle)
//
// Tensor memory, 512 columns of 128 lanes x 32 bit. P (bf16, two to a column) overwrites the upper
// half of the S it came from, when all of that S is in registers:
//
//     0        64        128       192       256              384              512
//     |   S0   |   P0    |   S1    |   P1    |       O0       |       O1       |
//
// mbarriers. A count is the number of arrivals of one phase; "commit" is tcgen05.commit, "tx" means
// 1 arrival plus 32 KiB of TMA bytes. [g] is the stage, N the number of KV blocks of a work tile.
//
//     name            count  arrives                                  waits       phases per tile
//     Q_FULL[g]       1 tx   load                                     mma         1
//     Q_EMPTY[g]      1      mma: commit after the last QK            load        1
//     KV_FULL[slot]   1 tx   load                                     mma         2N over all slots
//     KV_EMPTY[slot]  1      mma: commit after stage 1 used the slot  load        2N over all slots
//     S_FULL[g]       1      mma: commit after QK_g                   softmax g   N
//     P_READY[g]      256    softmax g (128): 3/4 of P_g written      mma         N
//                            correction (128): O_g rescaled or free
//     P_LAST[g]       4      softmax g, a lane per warp: rest of P_g  mma         N
//     O_FULL[g]       1      mma: commit after the last PV_g          correction  1
//     STATS_EMPTY[g]  128    correction, see correction_role          softmax g   N + 1
//     EPI_FULL[g]     128    correction: O_g in shared memory         epilogue    1
//     EPI_EMPTY[g]    32     epilogue: O_g read by the TMA store      correction  1
//
// Named barriers 3 + 4 g + w, 64 threads: warp w of softmax g arrives (its scale or sum is in
// shared memory), warp w of correction waits. N + 1 times per tile. STATS_EMPTY keeps the arrivals
// apart.
//
// A waiter on a FULL barrier starts with parity 0; on an EMPTY barrier with parity 1, so the first
// wait passes. P_READY has no such start: correction arrives once before the loop ("O is free"),
// and from then on once per KV block after the first and once at the end of each tile, which makes
// N per tile.
#include "../ptx.cuh"

extern __shared__ __align__(1024) uint8_t smem[];

namespace
{

using namespace ptx;

constexpr int kHeadDim = 128;
constexpr int kBlock = 128;           // query rows of a stage, and keys of a KV block
constexpr int kTileRows = 2 * kBlock; // query rows of a CTA
constexpr int kKvSlots = 3;           // ring shared by K and V
constexpr int kRegsSoftmax = 192;     // 2 * 128 * 192 + 128 * 80 + 128 * 48 = 65536
constexpr int kRegsCorrection = 80;
constexpr int kRegsOther = 48;
constexpr float kRescaleThreshold = 8; // log2 units: P may grow to 2^8 before O is rescaled
constexpr int kKeysFirstPart = 96;     // P is handed over in 3/4 and 1/4

// Which exponentials run as polynomials on the FMA units: in fragment j of 32 columns the pair that
// starts at column k, iff k % kEmulateEvery >= kEmulateEvery - 4 and kEmulateFrom <= j < 3. 16 of
// 128 columns, and only in blocks that need no mask.
constexpr int kEmulateEvery = 16;
constexpr int kEmulateFrom = 1;

// Shared memory. Q, O and the KV slots are tiles of 128 rows in two halves of 64 columns; a row of
// a half is 128 bytes and the half is swizzled (128B), so each starts on a multiple of 1024.
constexpr uint32_t kHalfBytes = kBlock * 64 * 2;
constexpr uint32_t kTileBytes = 2 * kHalfBytes;
constexpr uint32_t kSmemQ = 0;
constexpr uint32_t kSmemO = kSmemQ + 2 * kTileBytes;
constexpr uint32_t kSmemKv = kSmemO + 2 * kTileBytes;
// Per stage and row a float: the scale of O, at the end the row sum; and the row max.
constexpr uint32_t kSmemScale = kSmemKv + kKvSlots * kTileBytes;
constexpr uint32_t kSmemMax = kSmemScale + 2 * kBlock * 4;
constexpr uint32_t kSmemBarriers = kSmemMax + 2 * kBlock * 4;
constexpr uint32_t kSmemTmem = kSmemBarriers + 24 * 8;
constexpr uint32_t kSmemBytes = kSmemTmem + 64; // 231680
static_assert(kSmemBytes <= 232448, "227 KiB is the most that a CTA may ask for");

// Index of a barrier's first stage; see the table above.
enum Barrier : uint32_t {
    Q_FULL = 0,
    Q_EMPTY = 2,
    KV_FULL = 4,
    KV_EMPTY = 7,
    S_FULL = 10,
    P_READY = 12,
    P_LAST = 14,
    O_FULL = 16,
    STATS_EMPTY = 18,
    EPI_FULL = 20,
    EPI_EMPTY = 22,
};
constexpr uint32_t kNamedStats = 3;

constexpr uint32_t kTmemColumns = 512;
constexpr uint32_t kTmemP = 64; // from S
constexpr uint32_t kTmemO = 256;

// Instruction descriptor (PTX ISA 9.7.16.4.2): D is F32, A and B are BF16, M and N are 128; both
// K-major, or B MN-major, which V is: its rows are keys.
constexpr uint32_t kIdescQk =
    1u << 4 | 1u << 7 | 1u << 10 | (kBlock >> 3) << 17 | (kBlock >> 4) << 24;
constexpr uint32_t kIdescPv = kIdescQk | 1u << 16;

// Shared-memory descriptor (PTX ISA 9.7.16.4.1): 128B swizzle, constant 001, and 1024 bytes from
// one group of 8 rows to the next. MN-major also needs the distance to the next 64 columns.
constexpr uint64_t kDescKMajor = 2ull << 61 | 1ull << 46 | (1024ull >> 4) << 32 | 1ull << 16;
constexpr uint64_t kDescMnMajor =
    2ull << 61 | 1ull << 46 | (1024ull >> 4) << 32 | uint64_t(kHalfBytes >> 4) << 16;

// Keys and values of this many bytes stay in L2 while the heads that share them are worked on.
constexpr int kL2Bytes = 50 << 20;

// The kernel's parameters.
struct Problem {
    const CUtensorMap *q, *k, *v, *o;
    float *lse; // [batch * heads_q][seqlen_q], natural logarithm
    int seqlen_q, seqlen_k, heads_q, heads_kv, batch;
    float scale_log2; // softmax scale times log2(e)
};

// One unit of work: 256 query rows of one head.
struct Tile {
    int row;      // first query row
    int q_head;   // batch * heads_q + head: third coordinate of Q and O, row of LSE
    int kv_head;  // third coordinate of K and V
    int n_blocks; // KV blocks, at least 1; walked from the last to the first
    int n_full;   // blocks 0 .. n_full-1 need no mask for any row of the tile
};

__device__ __forceinline__ int ceil_div(int a, int b)
{
    return (a + b - 1) / b;
}

__device__ __forceinline__ int tile_count(const Problem &p)
{
    return ceil_div(p.seqlen_q, kTileRows) * p.heads_q * p.batch;
}

// Row block and head of a tile index. Not causal: rows fastest, so that neighbours share K and V.
// Causal: longest first, heads fastest, in sections of as many heads as have K and V in L2
// together.
template <bool kCausal>
__device__ __forceinline__ void place_tile(const Problem &p, int index, int &row_block, int &head)
{
    const int row_blocks = ceil_div(p.seqlen_q, kTileRows);
    if (!kCausal) {
        row_block = index % row_blocks;
        head = index / row_blocks;
        return;
    }
    const int heads = p.heads_q * p.batch;
    const int fit = max(kL2Bytes / (kHeadDim * 2 * 2) / p.seqlen_k, 1);
    const int section_heads = 1 << (31 - __clz(fit));
    const int section = index / (section_heads * row_blocks);
    const int within = index - section * section_heads * row_blocks;
    const int width = min(section_heads, heads - section * section_heads);
    row_block = row_blocks - 1 - within / width;
    head = section * section_heads + within % width;
}

template <bool kCausal> __device__ __forceinline__ Tile tile_at(const Problem &p, int index)
{
    Tile t;
    int row_block;
    place_tile<kCausal>(p, index, row_block, t.q_head);
    t.row = row_block * kTileRows;
    const int batch = t.q_head / p.heads_q;
    const int group = p.heads_q / p.heads_kv;
    t.kv_head = batch * p.heads_kv + (t.q_head - batch * p.heads_q) / group;

    // Row r sees the keys below r + seqlen_k - seqlen_q + 1 (causal) or all of them.
    int end = p.seqlen_k, full_end = p.seqlen_k;
    if (kCausal) {
        const int shift = p.seqlen_k - p.seqlen_q;
        end = min(end, t.row + kTileRows + shift);
        full_end = t.row + shift + 1;
    }
    t.n_blocks = max(ceil_div(end, kBlock), 1);
    t.n_full = min(max(full_end, 0) / kBlock, t.n_blocks - 1);
    return t;
}

// A place in a ring of barriers, walked alike by its producer and its consumer.
struct Ring {
    uint32_t slot = 0, phase = 0;

    __device__ __forceinline__ void advance()
    {
        slot += 1;
        if (slot == kKvSlots) {
            slot = 0;
            phase ^= 1;
        }
    }
};

__device__ __forceinline__ uint32_t smem_address(uint32_t offset)
{
    return uint32_t(__cvta_generic_to_shared(smem)) + offset;
}

__device__ __forceinline__ uint32_t barrier(uint32_t index)
{
    return smem_address(kSmemBarriers) + 8 * index;
}

__device__ __forceinline__ float *smem_floats(uint32_t offset)
{
    return reinterpret_cast<float *>(smem + offset);
}

// 0-15, the same in all lanes as far as the compiler can see.
__device__ __forceinline__ uint32_t warp_index()
{
    return __shfl_sync(0xffffffff, threadIdx.x / 32, 0);
}

// TMEM address of the 32 lanes that this warp may touch.
__device__ __forceinline__ uint32_t own_lanes(uint32_t tmem)
{
    return tmem + ((threadIdx.x & 0x60) << 16);
}

// In the load, mma and epilogue warps all lanes wait and one lane, the leader, acts. No lane may
// fall behind by two phases, or it would wait for a phase that has come round again.
__device__ __forceinline__ void wait_warp(uint32_t bar, uint32_t parity)
{
    mbarrier_wait(bar, parity);
    __syncwarp();
}

// Load role.

// A 128-row tile is two boxes of 64 columns, each 16 KiB; both report to the same barrier.
__device__ __forceinline__ void load_tile(uint32_t dst, const CUtensorMap *map, int row, int head,
                                          uint32_t full)
{
    mbarrier_arrive_expect_tx(full, kTileBytes);
    tma_load_3d(dst, map, 0, row, head, full);
    tma_load_3d(dst + kHalfBytes, map, 64, row, head, full);
}

__device__ __forceinline__ void load_kv(bool leader, Ring &ring, const CUtensorMap *map, int row,
                                        int head)
{
    wait_warp(barrier(KV_EMPTY + ring.slot), ring.phase ^ 1);
    if (leader)
        load_tile(smem_address(kSmemKv) + ring.slot * kTileBytes, map, row, head,
                  barrier(KV_FULL + ring.slot));
    ring.advance();
}

// K of the last block, Q0, Q1, V of the last block, then K and V of each block before it. Rows
// beyond the sequence arrive as zeros.
template <bool kCausal> __device__ __forceinline__ void load_role(const Problem &p)
{
    const bool leader = elect_sync();
    Ring ring;
    uint32_t q_phase = 1;
    for (int index = blockIdx.x; index < tile_count(p); index += gridDim.x) {
        const Tile t = tile_at<kCausal>(p, index);
        int key = (t.n_blocks - 1) * kBlock;
        load_kv(leader, ring, p.k, key, t.kv_head);
#pragma unroll
        for (int g = 0; g < 2; g++) {
            wait_warp(barrier(Q_EMPTY + g), q_phase);
            if (leader)
                load_tile(smem_address(kSmemQ) + g * kTileBytes, p.q, t.row + g * kBlock, t.q_head,
                          barrier(Q_FULL + g));
        }
        q_phase ^= 1;
        load_kv(leader, ring, p.v, key, t.kv_head);
        while (key > 0) {
            key -= kBlock;
            load_kv(leader, ring, p.k, key, t.kv_head);
            load_kv(leader, ring, p.v, key, t.kv_head);
        }
    }
    // The last commits must have arrived before this CTA's shared memory goes away.
    for (int i = 0; i < kKvSlots; i++) {
        wait_warp(barrier(KV_EMPTY + ring.slot), ring.phase ^ 1);
        ring.advance();
    }
    wait_warp(barrier(Q_EMPTY + 0), q_phase);
    wait_warp(barrier(Q_EMPTY + 1), q_phase);
}

// MMA role.

// S_g = Q_g K^T: 8 steps of 16 along the head dim; 4 steps are one 128-byte row of a half.
__device__ __forceinline__ void gemm_qk(uint32_t s, uint32_t q, uint32_t k)
{
#pragma unroll
    for (int step = 0; step < kHeadDim / 16; step++) {
        const uint32_t at = (step / 4 * kHalfBytes + step % 4 * 32) >> 4;
        tcgen05_mma_f16_ss(s, (kDescKMajor | q >> 4) + at, (kDescKMajor | k >> 4) + at, kIdescQk,
                           step > 0);
    }
}

// O_g (+)= P_g V for keys kFrom .. kTo-1: a step of 16 keys is 8 columns of P and 16 rows of V.
template <int kFrom, int kTo>
__device__ __forceinline__ void gemm_pv(uint32_t o, uint32_t p, uint32_t v, bool accumulate)
{
#pragma unroll
    for (int key = kFrom; key < kTo; key += 16)
        tcgen05_mma_f16_ts(o, p + key / 2, (kDescMnMajor | v >> 4) + (key * 128 >> 4), kIdescPv,
                           key > 0 || accumulate);
}

// Everything that the MMA warp carries from one GEMM to the next.
struct MmaState {
    bool leader;
    uint32_t tmem;
    Ring ring;            // next KV slot to wait for
    uint32_t p_phase = 0; // of P_READY and P_LAST, which move together

    // Waits for the next K or V and gives its slot.
    __device__ __forceinline__ uint32_t next_kv()
    {
        const uint32_t slot = ring.slot;
        wait_warp(barrier(KV_FULL + slot), ring.phase);
        ring.advance();
        return slot;
    }

    __device__ __forceinline__ void commit(uint32_t index)
    {
        if (leader)
            tcgen05_commit(barrier(index));
    }

    // QK_g with the K of a slot; S_g becomes full when it is done.
    __device__ __forceinline__ void qk(uint32_t g, uint32_t slot)
    {
        if (leader)
            gemm_qk(tmem + g * kBlock, smem_address(kSmemQ) + g * kTileBytes,
                    smem_address(kSmemKv) + slot * kTileBytes);
        commit(S_FULL + g);
    }

    // PV_g with the V of a slot. Starts on three quarters of P_g.
    __device__ __forceinline__ void pv(uint32_t g, uint32_t slot, bool accumulate)
    {
        const uint32_t o = tmem + kTmemO + g * kBlock;
        const uint32_t p = tmem + kTmemP + g * kBlock;
        const uint32_t v = smem_address(kSmemKv) + slot * kTileBytes;
        wait_warp(barrier(P_READY + g), p_phase);
        tcgen05_fence_after_thread_sync();
        if (leader)
            gemm_pv<0, kKeysFirstPart>(o, p, v, accumulate);
        wait_warp(barrier(P_LAST + g), p_phase);
        tcgen05_fence_after_thread_sync();
        if (leader)
            gemm_pv<kKeysFirstPart, kBlock>(o, p, v, true);
    }
};

// QK0 QK1 | PV0 QK0 PV1 QK1 | ... | PV0 PV1. A QK_g needs no wait for S_g to be free: P_READY,
// waited for by the PV_g before it, says that S_g has been read, and the tensor pipe works in
// order, so P_g is used up before the new S_g overwrites it.
template <bool kCausal> __device__ __forceinline__ void mma_role(const Problem &p, uint32_t tmem)
{
    MmaState mma;
    mma.leader = elect_sync();
    mma.tmem = tmem;
    uint32_t q_phase = 0;
    for (int index = blockIdx.x; index < tile_count(p); index += gridDim.x) {
        const int n_blocks = tile_at<kCausal>(p, index).n_blocks;
        wait_warp(barrier(Q_FULL + 0), q_phase);
        const uint32_t first = mma.next_kv();
        mma.qk(0, first);
        wait_warp(barrier(Q_FULL + 1), q_phase);
        mma.qk(1, first);
        mma.commit(KV_EMPTY + first);
        q_phase ^= 1;

#pragma unroll 1
        for (int i = 0; i < n_blocks - 1; i++) {
            const uint32_t v = mma.next_kv();
            mma.pv(0, v, i > 0);
            const uint32_t k = mma.next_kv();
            mma.qk(0, k);
            mma.pv(1, v, i > 0);
            mma.commit(KV_EMPTY + v);
            mma.qk(1, k);
            mma.commit(KV_EMPTY + k);
            mma.p_phase ^= 1;
        }

        mma.commit(Q_EMPTY + 0);
        mma.commit(Q_EMPTY + 1);
        const uint32_t v = mma.next_kv();
        mma.pv(0, v, n_blocks > 1);
        mma.commit(O_FULL + 0);
        mma.pv(1, v, n_blocks > 1);
        mma.commit(O_FULL + 1);
        mma.commit(KV_EMPTY + v);
        mma.p_phase ^= 1;
    }
}

// Softmax role.

// What a softmax thread knows: its place, and the running statistics of its row.
struct Softmax {
    uint32_t g, warp, thread; // stage, warp of the warpgroup, thread of the warpgroup = row of S
    uint32_t s;               // TMEM address of S_g, own lanes
    float scale_log2;
    bool leader;              // one lane of the warp
    uint32_t s_phase = 0;     // of S_FULL
    uint32_t stats_phase = 1; // of STATS_EMPTY
    float row_max, row_sum;   // max of S (maybe stale, by less than the threshold), sum of P
};

// Keeps the columns below `limit`: 32 at a time by a bit mask, which ptxas turns into predicates.
__device__ __forceinline__ void mask_row(float (&s)[4][32], int limit)
{
#pragma unroll
    for (int j = 0; j < 4; j++) {
        const uint32_t keep = shr(0xffffffff, max(32 * (j + 1) - limit, 0));
#pragma unroll
        for (int k = 0; k < 32; k++)
            if (!(keep & 1u << k))
                s[j][k] = -INFINITY;
    }
}

// Four independent chains of three-input maxima, 66 instructions with the running max.
__device__ __forceinline__ float max_row(const float (&s)[4][32], float m)
{
    float chain[4];
#pragma unroll
    for (int j = 0; j < 4; j++) {
        chain[j] = max3(s[j][0], s[j][1], s[j][2]);
#pragma unroll
        for (int k = 3; k < 31; k += 2)
            chain[j] = max3(chain[j], s[j][k], s[j][k + 1]);
        chain[j] = fmaxf(chain[j], s[j][31]);
    }
    return max3(max3(chain[0], chain[1], chain[2]), chain[3], m);
}

// The sum of P in fp32, before it is rounded to bf16.
__device__ __forceinline__ float sum_row(const float (&p)[4][32])
{
    F32x2 chain[4];
#pragma unroll
    for (int j = 0; j < 4; j++) {
        chain[j] = pack(p[j][0], p[j][1]);
#pragma unroll
        for (int k = 2; k < 32; k += 2)
            chain[j] = add(chain[j], pack(p[j][k], p[j][k + 1]));
    }
    float lo, hi;
    unpack(lo, hi, add(add(chain[0], chain[1]), add(chain[2], chain[3])));
    return lo + hi;
}

// 2^x on the FMA units, for x <= 127: split x into floor and fraction f by adding 1.5 * 2^23 with
// rounding down, p(f) by a degree-3 polynomial (minimax on [0, 1], c0 = 1), and floor into the
// exponent.
__device__ __forceinline__ void ex2_polynomial(float &x0, float &x1)
{
    const F32x2 magic = pack(12582912.0f, 12582912.0f);
    const F32x2 c0 = pack(1.0f, 1.0f);
    const F32x2 c1 = pack(0.695146143436431884765625f, 0.695146143436431884765625f);
    const F32x2 c2 = pack(0.227564394474029541015625f, 0.227564394474029541015625f);
    const F32x2 c3 = pack(0.077119089663028717041015625f, 0.077119089663028717041015625f);
    const F32x2 x = pack(fmaxf(x0, -127.0f), fmaxf(x1, -127.0f));
    const F32x2 floor_bits = add_rm(x, magic);
    const F32x2 f = sub(x, sub(floor_bits, magic));
    const F32x2 p = fma(fma(fma(c3, f, c2), f, c1), f, c0);
    float r0, r1, p0, p1;
    unpack(r0, r1, floor_bits);
    unpack(p0, p1, p);
    x0 = __int_as_float((__float_as_int(r0) << 23) + __float_as_int(p0));
    x1 = __int_as_float((__float_as_int(r1) << 23) + __float_as_int(p1));
}

// P = 2^(S * scale - max * scale) of 32 columns, in place and as bf16 pairs.
template <bool kEmulate>
__device__ __forceinline__ void exp_fragment(float (&s)[32], uint32_t (&p)[16], int fragment,
                                             float scale_log2, float minus_max)
{
    const F32x2 scale = pack(scale_log2, scale_log2);
    const F32x2 offset = pack(minus_max, minus_max);
#pragma unroll
    for (int k = 0; k < 32; k += 2) {
        float x0, x1;
        unpack(x0, x1, fma(pack(s[k], s[k + 1]), scale, offset));
        if (kEmulate && k % kEmulateEvery >= kEmulateEvery - 4 && fragment >= kEmulateFrom &&
            fragment < 3) {
            ex2_polynomial(x0, x1);
        } else {
            x0 = ex2_approx(x0);
            x1 = ex2_approx(x1);
        }
        s[k] = x0;
        s[k + 1] = x1;
        p[k / 2] = cvt_rn_bf16x2(x1, x0);
    }
}

// Tells correction that this row's scale (or sum) is in shared memory.
__device__ __forceinline__ void send_stats(const Softmax &w)
{
    tcgen05_fence_before_thread_sync();
    bar_arrive(kNamedStats + 4 * w.g + w.warp, 64);
}

// Waits until correction lets this stage go on, which keeps the two stages half a period apart.
__device__ __forceinline__ void wait_stats_empty(Softmax &w)
{
    mbarrier_wait(barrier(STATS_EMPTY + w.g), w.stats_phase);
    w.stats_phase ^= 1;
}

// Takes the block's maximum into row_max, unless it grew by less than the threshold: then the old
// one stays in use and O needs no rescale. Returns the factor for the old O and sum.
template <bool kFirst> __device__ __forceinline__ float update_max(Softmax &w, float m)
{
    float factor = 0.0f;
    if (!kFirst) {
        const float grown = (w.row_max - (m == -INFINITY ? 0.0f : m)) * w.scale_log2;
        factor = ex2_approx(grown);
        if (grown >= -kRescaleThreshold) {
            m = w.row_max;
            factor = 1.0f;
        }
        smem_floats(kSmemScale)[w.g * kBlock + w.thread] = factor;
    }
    w.row_max = m;
    send_stats(w);
    return factor;
}

// One KV block: S_g -> P_g. Columns at and beyond `limit` are masked if kMasked.
template <bool kFirst, bool kMasked>
__device__ __forceinline__ void softmax_block(Softmax &w, int limit)
{
    float s[4][32];
    mbarrier_wait(barrier(S_FULL + w.g), w.s_phase);
    w.s_phase ^= 1;
    tcgen05_fence_after_thread_sync();
#pragma unroll
    for (int j = 0; j < 4; j++)
        tcgen05_ld_32x32b_x32(s[j], w.s + 32 * j);
    if (kMasked)
        mask_row(s, limit);

    const float factor = update_max<kFirst>(w, max_row(s, kFirst ? -INFINITY : w.row_max));
    // A row without any key yet has max -inf; subtracting 0 instead makes its P zero, not NaN.
    const float minus_max = w.row_max == -INFINITY ? 0.0f : -w.row_max * w.scale_log2;

    tcgen05_wait_ld(); // P goes where the upper half of S was
#pragma unroll
    for (int j = 0; j < 4; j++) {
        uint32_t p[16];
        exp_fragment<!kMasked>(s[j], p, j, w.scale_log2, minus_max);
        tcgen05_st_32x32b_x16(w.s + kTmemP + 16 * j, p);
        if (32 * (j + 1) == kKeysFirstPart) {
            tcgen05_wait_st();
            tcgen05_fence_before_thread_sync();
            mbarrier_arrive(barrier(P_READY + w.g));
        }
    }
    tcgen05_wait_st();
    tcgen05_fence_before_thread_sync();
    __syncwarp();
    if (w.leader)
        mbarrier_arrive(barrier(P_LAST + w.g));

    wait_stats_empty(w);
    const float sum = sum_row(s);
    w.row_sum = kFirst ? sum : w.row_sum * factor + sum;
}

template <bool kCausal>
__device__ __forceinline__ void softmax_role(const Problem &p, uint32_t tmem, uint32_t g)
{
    Softmax w;
    w.g = g;
    w.warp = warp_index() % 4;
    w.thread = threadIdx.x % 128;
    w.s = own_lanes(tmem) + g * kBlock;
    w.scale_log2 = p.scale_log2;
    w.leader = elect_sync();
    for (int index = blockIdx.x; index < tile_count(p); index += gridDim.x) {
        const Tile t = tile_at<kCausal>(p, index);
        wait_stats_empty(w); // correction has read the previous tile's sum

        // Key at which the mask of this row begins, counted from the start of the block.
        const int row = t.row + g * kBlock + w.thread;
        int block = t.n_blocks - 1;
        int limit = (kCausal ? row + p.seqlen_k - p.seqlen_q + 1 : p.seqlen_k) - block * kBlock;
        softmax_block<true, true>(w, limit);
        if (kCausal)
            while (--block >= t.n_full) {
                limit += kBlock;
                softmax_block<false, true>(w, limit);
            }
#pragma unroll 1
        for (int full = t.n_full; full > 0; full--)
            softmax_block<false, false>(w, 0);

        smem_floats(kSmemScale)[g * kBlock + w.thread] = w.row_sum;
        smem_floats(kSmemMax)[g * kBlock + w.thread] = w.row_max;
        send_stats(w);
    }
}

// Correction role.

// O_g *= factor of each row, 16 columns at a time; left alone if no row of the warp needs it.
__device__ __forceinline__ void rescale(uint32_t o, float factor)
{
    if (!__any_sync(0xffffffff, factor < 1.0f))
        return;
    const F32x2 factors = pack(factor, factor);
#pragma unroll
    for (int column = 0; column < kHeadDim; column += 16) {
        float x[16];
        tcgen05_ld_32x32b_x16(x, o + column);
#pragma unroll
        for (int k = 0; k < 16; k += 2)
            unpack(x[k], x[k + 1], mul(pack(x[k], x[k + 1]), factors));
        tcgen05_st_32x32b_x16(o + column, x);
    }
    tcgen05_wait_st();
}

// O_g * factor as bf16 into the shared tile that the TMA store reads: in a 128-byte row the 16-byte
// chunk c lies at c ^ (row % 8).
__device__ __forceinline__ void store_output(uint32_t o, uint32_t g, uint32_t row, float factor)
{
    const F32x2 factors = pack(factor, factor);
    uint8_t *tile = smem + kSmemO + g * kTileBytes + row * 128;
#pragma unroll
    for (int column = 0; column < kHeadDim; column += 16) {
        float x[16];
        uint32_t y[8];
        tcgen05_ld_32x32b_x16(x, o + column);
#pragma unroll
        for (int k = 0; k < 16; k += 2) {
            float x0, x1;
            unpack(x0, x1, mul(pack(x[k], x[k + 1]), factors));
            y[k / 2] = cvt_rn_bf16x2(x1, x0);
        }
        uint8_t *half = tile + column / 64 * kHalfBytes;
        const uint32_t chunk = column % 64 / 8;
        *reinterpret_cast<uint4 *>(half + ((chunk ^ row % 8) << 4)) =
            make_uint4(y[0], y[1], y[2], y[3]);
        *reinterpret_cast<uint4 *>(half + (((chunk + 1) ^ row % 8) << 4)) =
            make_uint4(y[4], y[5], y[6], y[7]);
    }
    tcgen05_wait_ld();
}

// The end of a tile for one stage: O / sum to shared memory, LSE to global memory.
__device__ __forceinline__ void finish_stage(const Problem &p, const Tile &t, uint32_t o,
                                             uint32_t g, uint32_t thread, uint32_t o_phase)
{
    bar_sync(kNamedStats + 4 * g + thread / 32, 64);
    const float sum = smem_floats(kSmemScale)[g * kBlock + thread];
    const float max = smem_floats(kSmemMax)[g * kBlock + thread];
    mbarrier_arrive(barrier(STATS_EMPTY + g));

    const bool empty = !(sum > 0.0f); // a row without keys: O is 0 and LSE is -inf
    mbarrier_wait(barrier(O_FULL + g), o_phase);
    tcgen05_fence_after_thread_sync();
    mbarrier_wait(barrier(EPI_EMPTY + g), o_phase ^ 1);
    store_output(o, g, thread, empty ? 1.0f : rcp_approx(sum));
    fence_proxy_async();
    tcgen05_fence_before_thread_sync();
    mbarrier_arrive(barrier(P_READY + g)); // O_g is free for the next tile
    mbarrier_arrive(barrier(EPI_FULL + g));

    const int row = t.row + g * kBlock + thread;
    const float ln2 = 0.693147180559945f;
    if (row < p.seqlen_q)
        p.lse[size_t(t.q_head) * p.seqlen_q + row] =
            empty ? -INFINITY : (max * p.scale_log2 + lg2_approx(sum)) * ln2;
}

// Stage g of block i can be rescaled once its statistics have arrived: softmax sent them after
// S_FULL of block i, which the in-order tensor pipe completes after PV of block i-1.
//
// STATS_EMPTY of a stage is released when the *other* stage has been handled, so that a softmax
// warpgroup ends its block when its sibling's block is well under way:
//     stage 0: after its own first statistics; then after stage 1 of block i >= 1;  and at the end
//     stage 1: after stage 0 of block i >= 1; after the loop;                       and at the end
// N + 1 releases each. Between two releases of a stage its softmax warps pass both a named barrier
// and STATS_EMPTY, so arrivals of different phases cannot mix.
template <bool kCausal>
__device__ __forceinline__ void correction_role(const Problem &p, uint32_t tmem)
{
    const uint32_t thread = threadIdx.x % 128;
    const uint32_t stats = kNamedStats + warp_index() % 4;
    const uint32_t o = own_lanes(tmem) + kTmemO;
    uint32_t o_phase = 0;
    mbarrier_arrive(barrier(P_READY + 0));
    mbarrier_arrive(barrier(P_READY + 1));
    for (int index = blockIdx.x; index < tile_count(p); index += gridDim.x) {
        const Tile t = tile_at<kCausal>(p, index);
        bar_sync(stats, 64);
        mbarrier_arrive(barrier(STATS_EMPTY + 0));
        bar_sync(stats + 4, 64);
#pragma unroll 1
        for (int i = 1; i < t.n_blocks; i++) {
#pragma unroll
            for (int g = 0; g < 2; g++) {
                bar_sync(stats + 4 * g, 64);
                tcgen05_fence_after_thread_sync();
                rescale(o + g * kBlock, smem_floats(kSmemScale)[g * kBlock + thread]);
                tcgen05_fence_before_thread_sync();
                mbarrier_arrive(barrier(P_READY + g));
                mbarrier_arrive(barrier(STATS_EMPTY + 1 - g));
            }
        }
        mbarrier_arrive(barrier(STATS_EMPTY + 1));
#pragma unroll
        for (int g = 0; g < 2; g++)
            finish_stage(p, t, o + g * kBlock, g, thread, o_phase);
        o_phase ^= 1;
    }
}

// Epilogue role. Rows beyond the sequence are clipped by the tensor map.
template <bool kCausal> __device__ __forceinline__ void epilogue_role(const Problem &p)
{
    const bool leader = elect_sync();
    uint32_t phase = 0;
    for (int index = blockIdx.x; index < tile_count(p); index += gridDim.x) {
        const Tile t = tile_at<kCausal>(p, index);
#pragma unroll
        for (int g = 0; g < 2; g++) {
            const uint32_t src = smem_address(kSmemO) + g * kTileBytes;
            wait_warp(barrier(EPI_FULL + g), phase);
            if (leader) {
                tma_store_3d(p.o, 0, t.row + g * kBlock, t.q_head, src);
                tma_store_3d(p.o, 64, t.row + g * kBlock, t.q_head, src + kHalfBytes);
                cp_async_bulk_commit_group();
            }
        }
        if (leader)
            cp_async_bulk_wait_group_read<1>();
        __syncwarp();
        mbarrier_arrive(barrier(EPI_EMPTY + 0));
        if (leader)
            cp_async_bulk_wait_group_read<0>();
        __syncwarp();
        mbarrier_arrive(barrier(EPI_EMPTY + 1));
        phase ^= 1;
    }
}

__device__ __forceinline__ void init_barriers()
{
    for (int g = 0; g < 2; g++) {
        mbarrier_init(barrier(Q_FULL + g), 1);
        mbarrier_init(barrier(Q_EMPTY + g), 1);
        mbarrier_init(barrier(S_FULL + g), 1);
        mbarrier_init(barrier(P_READY + g), 256);
        mbarrier_init(barrier(P_LAST + g), 4);
        mbarrier_init(barrier(O_FULL + g), 1);
        mbarrier_init(barrier(STATS_EMPTY + g), 128);
        mbarrier_init(barrier(EPI_FULL + g), 128);
        mbarrier_init(barrier(EPI_EMPTY + g), 32);
    }
    for (int slot = 0; slot < kKvSlots; slot++) {
        mbarrier_init(barrier(KV_FULL + slot), 1);
        mbarrier_init(barrier(KV_EMPTY + slot), 1);
    }
    fence_mbarrier_init();
}

template <bool kCausal> __device__ __forceinline__ void fa4_forward(const Problem &p)
{
    const uint32_t warp = warp_index();
    if (warp == 12) {
        tcgen05_alloc(smem_address(kSmemTmem), kTmemColumns);
        tcgen05_relinquish_alloc_permit();
    }
    if (threadIdx.x == 0)
        init_barriers();
    tcgen05_fence_before_thread_sync();
    __syncthreads();
    tcgen05_fence_after_thread_sync();
    const uint32_t tmem = *reinterpret_cast<volatile uint32_t *>(smem + kSmemTmem);

    if (warp < 8) {
        setmaxnreg_inc<kRegsSoftmax>();
        softmax_role<kCausal>(p, tmem, warp / 4);
    } else if (warp < 12) {
        setmaxnreg_dec<kRegsCorrection>();
        correction_role<kCausal>(p, tmem);
    } else {
        setmaxnreg_dec<kRegsOther>();
        if (warp == 12)
            mma_role<kCausal>(p, tmem);
        else if (warp == 13)
            epilogue_role<kCausal>(p);
        else if (warp == 14)
            load_role<kCausal>(p);
    }

    tcgen05_fence_before_thread_sync();
    __syncthreads();
    if (warp == 12)
        tcgen05_dealloc(tmem, kTmemColumns);
}

} // namespace

// Two entries with the same parameters. The maps are 3-D over bf16: {128, seqlen, batch * heads},
// box {64, 128, 1}, swizzle 128B, zeros out of bounds. scale_log2 is the softmax scale times
// log2(e). Grid: any number of CTAs of 512 threads; meant are min(SMs, tiles) for fa4_fwd, which
// walks the tiles in a static order, and one CTA per tile for fa4_fwd_causal, whose first tiles are
// the longest, with tiles = ceil(seqlen_q / 256) * heads_q * batch. Dynamic shared memory: 231680
// bytes.
extern "C" __global__ void __launch_bounds__(512, 1)
    fa4_fwd(const __grid_constant__ CUtensorMap q, const __grid_constant__ CUtensorMap k,
            const __grid_constant__ CUtensorMap v, const __grid_constant__ CUtensorMap o,
            float *lse, int seqlen_q, int seqlen_k, int heads_q, int heads_kv, int batch,
            float scale_log2)
{
    fa4_forward<false>(
        {&q, &k, &v, &o, lse, seqlen_q, seqlen_k, heads_q, heads_kv, batch, scale_log2});
}

extern "C" __global__ void __launch_bounds__(512, 1)
    fa4_fwd_causal(const __grid_constant__ CUtensorMap q, const __grid_constant__ CUtensorMap k,
                   const __grid_constant__ CUtensorMap v, const __grid_constant__ CUtensorMap o,
                   float *lse, int seqlen_q, int seqlen_k, int heads_q, int heads_kv, int batch,
                   float scale_log2)
{
    fa4_forward<true>(
        {&q, &k, &v, &o, lse, seqlen_q, seqlen_k, heads_q, heads_kv, batch, scale_log2});
}
