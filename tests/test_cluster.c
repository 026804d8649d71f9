/* Clusters: each other's shared memory by load, store, atomic, st.async, red.async and bulk copies;
 * barriers; shapes of up to 16 CTAs; and wide or 128-bit accesses and atomics. Without time and
 * with it, against values worked out here. */
#include <check.h>
#include <stdlib.h>

#include "isa/bits.h"
#include "tests/ptx_time.h"

#include <math.h>

enum { WORDS = PTX_OUT_BYTES / 4 };

static uint32_t out[WORDS];
static Err err;

/* threads of the host; 0: with time */
static const uint32_t modes[] = {1, 2, 0};

typedef struct Shape {
    uint32_t cluster[3], grid[3];
} Shape;
static const Shape shapes[] = {
    {{2, 1, 1}, {4, 1, 1}}, {{4, 1, 1}, {8, 1, 1}},   {{2, 2, 1}, {4, 2, 1}},
    {{1, 4, 2}, {2, 4, 2}}, {{16, 1, 1}, {16, 1, 1}}, {{2, 2, 4}, {2, 2, 4}},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static uint32_t volume(const uint32_t d[3])
{
    return d[0] * d[1] * d[2];
}

static bool run_shape(const Shape *s, uint32_t threads, const char *globals, const char *body)
{
    PtxRun r = {.cluster = 2};
    PtxChip chip = {.sms = 32, .threads = threads};
    memcpy(chip.cluster, s->cluster, sizeof s->cluster);
    memcpy(chip.grid, s->grid, sizeof s->grid);
    return ptx_run_on(&r, &chip, globals, body, out, &err);
}

#define EACH(s, threads)                                                                           \
    for (uint32_t i_ = 0; i_ < 3 * N_SHAPES; i_++)                                                 \
        for (const Shape *s = &shapes[i_ / 3], *once = s; once; once = NULL)                       \
            for (uint32_t threads = modes[i_ % 3], again = 1; again; again = 0)

/* r10 = rank, r11 = CTAs of the cluster, r12 = rank of the next one, r13 = linear CTA id; one
 * thread goes on. */
#define PLACE                                                                                      \
    "mov.u32 %r10, %cluster_ctarank; mov.u32 %r11, %cluster_nctarank; add.u32 %r12, %r10, 1;\n"    \
    "rem.u32 %r12, %r12, %r11; mov.u32 %r14, %ctaid.x; mov.u32 %r15, %ctaid.y; mov.u32 %r16, "     \
    "%ctaid.z; mov.u32 %r17, %nctaid.x; mov.u32 %r18, %nctaid.y;\n"                                \
    "mad.lo.u32 %r13, %r16, %r18, %r15; mad.lo.u32 %r13, %r13, %r17, %r14;\n"                      \
    "mul.wide.u32 %rd8, %r13, 64; add.u64 %rd8, %rd1, %rd8;\n"
#define SYNC "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;\n"

/* Rank of a CTA in its cluster and linear id of another in the same one, x fastest. */
static uint32_t rank_of(const Shape *s, uint32_t id)
{
    uint32_t x = id % s->grid[0], y = id / s->grid[0] % s->grid[1],
             z = id / s->grid[0] / s->grid[1];
    return x % s->cluster[0] +
           s->cluster[0] * (y % s->cluster[1] + s->cluster[1] * (z % s->cluster[2]));
}

static uint32_t mate_of(const Shape *s, uint32_t id, uint32_t rank)
{
    uint32_t at[3] = {id % s->grid[0], id / s->grid[0] % s->grid[1], id / s->grid[0] / s->grid[1]};
    uint32_t to[3] = {rank % s->cluster[0], rank / s->cluster[0] % s->cluster[1],
                      rank / s->cluster[0] / s->cluster[1]};
    for (int i = 0; i < 3; i++)
        to[i] += at[i] / s->cluster[i] * s->cluster[i];
    return (to[2] * s->grid[1] + to[1]) * s->grid[0] + to[0];
}

static uint32_t next_of(const Shape *s, uint32_t id)
{
    return mate_of(s, id, (rank_of(s, id) + 1) % volume(s->cluster));
}
static uint32_t last_of(const Shape *s, uint32_t id)
{
    uint32_t n = volume(s->cluster);
    return mate_of(s, id, (rank_of(s, id) + n - 1) % n);
}

START_TEST(neighbours_read_and_write_each_other)
{
    static const char body[] = PLACE
        "mov.u32 %r20, box; setp.ne.u32 %p1, %r1, 0; @!%p1 st.shared.u32 [%r20], %r13;\n"
        "@!%p1 st.shared.u32 [%r20+8], 100;\n" SYNC
        "mapa.shared::cluster.u32 %r21, %r20, %r12; getctarank.shared::cluster.u32 %r22, %r21;\n"
        "@%p1 bra MEET; ld.shared::cluster.u32 %r23, [%r21]; st.shared::cluster.u32 [%r21+4], "
        "%r13; atom.shared::cluster.add.u32 %r24, [%r21+8], %r13;\n"
        "cvt.u64.u32 %rd3, %r20; cvta.shared::cluster.u64 %rd3, %rd3;\n"
        "mapa.u64 %rd4, %rd3, %r12; ld.u32 %r26, [%rd4]; red.shared::cluster.add.u32 [%r21+8], 1;\n"
        "MEET: " SYNC "@%p1 ret; ld.shared.u32 %r25, [%r20+4]; ld.shared.u32 %r27, [%r20+8];\n"
        "st.global.u32 [%rd8], %r10; st.global.u32 [%rd8+4], %r22; st.global.u32 [%rd8+8], %r23;\n"
        "st.global.u32 [%rd8+12], %r25; st.global.u32 [%rd8+16], %r24; st.global.u32 [%rd8+20], "
        "%r26; st.global.u32 [%rd8+24], %r27; ret;\n";
    EACH(s, threads)
    {
        ck_assert_msg(run_shape(s, threads, ".shared .align 16 .b8 box[64];\n", body), "%s",
                      err.msg);
        for (uint32_t id = 0; id < volume(s->grid); id++) {
            const uint32_t *o = out + 16 * id;
            ck_assert_uint_eq(o[0], rank_of(s, id));
            ck_assert_uint_eq(o[1], (rank_of(s, id) + 1) % volume(s->cluster));
            ck_assert_uint_eq(o[2], next_of(s, id));
            ck_assert_uint_eq(o[3], last_of(s, id));
            ck_assert(o[4] == 100); /* only one neighbour adds */
            ck_assert_uint_eq(o[5], next_of(s, id));
            ck_assert_uint_eq(o[6], 100 + last_of(s, id) + 1);
        }
    }
}
END_TEST

/* Each CTA waits on its own mbarrier for what its neighbour sends by st.async (scalar, v2, v4),
 * red.async, a bulk copy and a bulk reduction. */
START_TEST(what_is_sent_completes_on_the_receivers_mbarrier)
{
    static const char body[] = PLACE
        "mov.u32 %r20, box; mov.u32 %r21, bar; setp.ne.u32 %p1, %r1, 0; @%p1 bra READY;\n"
        "mbarrier.init.shared.b64 [%r21], 1; mbarrier.arrive.expect_tx.shared.b64 %rd9, [%r21], "
        "84;\n"
        "st.shared.u32 [%r20+32], 1000; st.shared.u32 [%r20+36], 7; st.shared.u32 [%r20+64], 5;\n"
        "st.shared.u32 [%r20+68], 6; st.shared.u32 [%r20+72], 7; st.shared.u32 [%r20+76], 8;\n"
        "add.u32 %r30, %r13, 1; add.u32 %r31, %r13, 2; add.u32 %r32, %r13, 3; add.u32 %r33, %r13, "
        "4;\n"
        "st.shared.v4.u32 [%r20+128], {%r30, %r31, %r32, %r33}; fence.proxy.async.shared::cta;\n"
        "READY: " SYNC "@%p1 bra MEET;\n"
        "mapa.shared::cluster.u32 %r22, %r20, %r12; mapa.shared::cluster.u32 %r23, %r21, %r12;\n"
        "st.async.shared::cluster.mbarrier::complete_tx::bytes.u32 [%r22], %r13, [%r23];\n"
        "st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [%r22+8], {%r30, %r31}, "
        "[%r23];\n"
        "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%r22+16], {%r30, %r31, "
        "%r32, %r33}, [%r23];\n"
        "red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [%r22+32], "
        "%r13, [%r23];\n"
        "red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.inc.u32 [%r22+36], "
        "7, [%r23];\n"
        "add.u32 %r24, %r20, 128; add.u32 %r25, %r22, 48; add.u32 %r26, %r22, 64;\n"
        "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%r25], [%r24], "
        "16, [%r23];\n"
        "cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.add.u32 "
        "[%r26], [%r24], 16, [%r23];\n"
        "mbarrier.expect_tx.relaxed.cluster.shared::cluster.b64 [%r23], 8;\n"
        "mbarrier.complete_tx.relaxed.cluster.shared::cluster.b64 [%r23], 24;\n"
        "WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r21], 0; @!%p2 bra WAIT;\n"
        "ld.shared.u32 %r40, [%r20]; ld.shared.v2.u32 {%r41, %r42}, [%r20+8]; ld.shared.u32 %r43, "
        "[%r20+28]; ld.shared.u32 %r44, [%r20+32]; ld.shared.u32 %r45, [%r20+36]; ld.shared.u32 "
        "%r46, [%r20+56]; ld.shared.u32 %r47, [%r20+72];\n"
        "st.global.v4.u32 [%rd8], {%r40, %r41, %r42, %r43}; st.global.v4.u32 [%rd8+16], {%r44, "
        "%r45, %r46, %r47};\n"
        "MEET: " SYNC "ret;\n";
    EACH(s, threads)
    {
        ck_assert_msg(run_shape(s, threads,
                                ".shared .align 128 .b8 box[256]; .shared .align 8 .b64 bar;\n",
                                body),
                      "line %u: %s", err.loc.line, err.msg);
        for (uint32_t id = 0; id < volume(s->grid); id++) {
            const uint32_t *o = out + 16 * id, from = last_of(s, id);
            const uint32_t want[8] = {from,        from + 1, from + 2, from + 4,
                                      1000 + from, 0,        from + 3, 7 + from + 3};
            for (uint32_t k = 0; k < 8; k++)
                ck_assert_msg(o[k] == want[k], "CTA %u word %u: %u, not %u", id, k, o[k], want[k]);
        }
    }
}
END_TEST

/* Two CTAs of a pair load a part each into both; with .cta_group::2 all bytes count on the mbarrier
 * of the CTA that the operand names, and the other CTA has none. */
START_TEST(multicast_of_a_pair_counts_in_one_cta)
{
    enum { PART = 128 };
    static const char body[] =
        ".reg .b16 %h;\n" PLACE
        "mov.u32 %r20, box; mov.u32 %r21, bar; mov.u64 %rd3, map; mov.u64 %rd4, data;\n"
        "setp.ne.u32 %p1, %r1, 0; @%p1 bra READY;\n"
        "tensormap.replace.tile.global_address.global.b1024.b64 [%rd3], %rd4;\n"
        "fence.proxy.tensormap::generic.release.gpu;\n"
        "fence.proxy.tensormap::generic.acquire.gpu [%rd3], 128;\n"
        "setp.ne.u32 %p2, %r10, 0; @%p2 bra READY; mbarrier.init.shared.b64 [%r21], 1;\n"
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r21], 512;\n"
        "fence.mbarrier_init.release.cluster;\n"
        "READY: " SYNC "mapa.shared::cluster.u32 %r23, %r21, 0; @%p1 bra LOADED;\n"
        "mul.lo.u32 %r24, %r10, 128; add.u32 %r25, %r20, %r24; mov.b16 %h, 3;\n"
        "cp.async.bulk.tensor.1d.cta_group::2.shared::cluster.global.mbarrier::complete_tx::bytes"
        ".multicast::cluster [%r25], [%rd3, {%r24}], [%r23], %h;\n"
        "setp.ne.u32 %p2, %r10, 0; @%p2 bra LOADED;\n"
        "WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r21], 0; @!%p2 bra WAIT;\n"
        "LOADED: " SYNC "@%p1 bra DONE; ld.shared.u32 %r26, [%r20+4]; ld.shared.u32 %r27, "
        "[%r20+132];\nst.global.v2.u32 [%rd8], {%r26, %r27};\nDONE: " SYNC "ret;\n";
    TensorMap m = {.address = 16,
                   .rank = 1,
                   .dims = {2 * PART, 1, 1, 1, 1},
                   .strides = {1},
                   .box = {PART, 1, 1, 1, 1},
                   .element_strides = {1, 1, 1, 1, 1}};
    uint8_t map[TMAP_BYTES];
    char globals[4096];
    ck_assert_msg(tensor_map_encode(&m, map, &err), "%s", err.msg);
    int n = snprintf(globals, sizeof globals,
                     ".shared .align 128 .b8 box[256];\n.shared .align 8 .b64 bar;\n"
                     ".global .align 128 .b8 map[128] = {");
    for (int i = 0; i < TMAP_BYTES; i++)
        n += snprintf(globals + n, sizeof globals - (size_t)n, "%s%u", i ? "," : "", map[i]);
    n += snprintf(globals + n, sizeof globals - (size_t)n,
                  "};\n.global .align 128 .b32 data[64] = {");
    for (int i = 0; i < 64; i++)
        n += snprintf(globals + n, sizeof globals - (size_t)n, "%s%d", i ? "," : "", 1000 + i);
    snprintf(globals + n, sizeof globals - (size_t)n, "};\n");
    for (uint32_t mode = 0; mode < 3; mode++) {
        ck_assert_msg(run_shape(&shapes[0], modes[mode], globals, body), "%s", err.msg);
        for (uint32_t id = 0; id < 4; id++) {
            ck_assert_uint_eq(out[16 * id], 1001);
            ck_assert_uint_eq(out[16 * id + 1], 1033);
        }
    }
}
END_TEST

/* A remote arrival each: rank 0 waits for all. */
START_TEST(all_arrive_at_rank_0)
{
    static const char body[] = PLACE
        "mov.u32 %r21, bar; setp.ne.u32 %p1, %r1, 0; @!%p1 mbarrier.init.shared.b64 [%r21], %r11;\n"
        "fence.mbarrier_init.release.cluster;\n" SYNC "mapa.shared::cluster.u32 %r23, %r21, 0;\n"
        "@!%p1 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r23];\n"
        "setp.ne.u32 %p3, %r10, 0; @%p3 bra MEET;\n"
        "WAIT: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p2, [%r21], 0; @!%p2 bra "
        "WAIT;\n"
        "@!%p1 st.global.u32 [%rd8], 77;\n"
        "MEET: barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;\n"
        "barrier.cluster.arrive.relaxed.aligned; barrier.cluster.wait.aligned; ret;\n";
    EACH(s, threads)
    {
        ck_assert_msg(run_shape(s, threads, ".shared .align 8 .b64 bar;\n", body), "%s", err.msg);
        for (uint32_t id = 0; id < volume(s->grid); id++)
            ck_assert_uint_eq(out[16 * id], rank_of(s, id) == 0 ? 77 : 0);
    }
}
END_TEST

START_TEST(special_registers_of_the_cluster)
{
    static const char body[] = PLACE
        "setp.ne.u32 %p1, %r1, 0; @%p1 ret;\n"
        "mov.u32 %r20, %clusterid.x; mov.u32 %r21, %clusterid.y; mov.u32 %r22, %clusterid.z; "
        "mov.u32 %r23, %nclusterid.x; mov.u32 %r24, %nclusterid.y; mov.u32 %r25, %nclusterid.z;\n"
        "mov.u32 %r26, %cluster_ctaid.x; mov.u32 %r27, %cluster_ctaid.y; mov.u32 %r28, "
        "%cluster_ctaid.z; mov.u32 %r29, %cluster_nctaid.x; mov.u32 %r30, %cluster_nctaid.y; "
        "mov.u32 %r31, %cluster_nctaid.z;\n"
        "st.global.v4.u32 [%rd8], {%r20, %r21, %r22, %r23}; st.global.v4.u32 [%rd8+16], {%r24, "
        "%r25, %r26, %r27}; st.global.v4.u32 [%rd8+32], {%r28, %r29, %r30, %r31}; ret;\n";
    EACH(s, threads)
    {
        ck_assert_msg(run_shape(s, threads, "", body), "%s", err.msg);
        for (uint32_t id = 0; id < volume(s->grid); id++) {
            uint32_t at[3] = {id % s->grid[0], id / s->grid[0] % s->grid[1],
                              id / s->grid[0] / s->grid[1]};
            for (uint32_t d = 0; d < 3; d++) {
                const uint32_t *o = out + 16 * id;
                ck_assert_uint_eq(o[d], at[d] / s->cluster[d]);
                ck_assert_uint_eq(o[3 + d], s->grid[d] / s->cluster[d]);
                ck_assert_uint_eq(o[6 + d], at[d] % s->cluster[d]);
                ck_assert_uint_eq(o[9 + d], s->cluster[d]);
            }
        }
    }
}
END_TEST

START_TEST(an_exited_cta_cannot_be_reached)
{
    static const char body[] = PLACE
        "setp.ne.u32 %p1, %r10, 0; @%p1 ret; mov.u32 %r20, box; mov.u32 %r4, 0;\n"
        "LATER: add.u32 %r4, %r4, 1; st.shared.u32 [%r20+4], %r4; setp.lt.u32 %p2, %r4, 2000; @%p2 "
        "bra LATER;\n"
        "mapa.shared::cluster.u32 %r21, %r20, 1; ld.volatile.shared::cluster.u32 %r5, [%r21]; "
        "ret;\n";
    static const Shape pair = {{2, 1, 1}, {2, 1, 1}};
    ck_assert(!run_shape(&pair, 0, ".shared .align 16 .b8 box[64];\n", body));
    ck_assert_int_eq(err.kind, ERR_FAULT);
    ck_assert_ptr_nonnull(strstr(err.msg, "has exited"));
}
END_TEST

START_TEST(a_grid_is_made_of_whole_clusters)
{
    static const Shape odd = {{2, 1, 1}, {5, 1, 1}}, high = {{1, 4, 1}, {4, 6, 1}},
                       large = {{32, 1, 1}, {32, 1, 1}};
    ck_assert(!run_shape(&odd, 1, "", "ret;\n"));
    ck_assert_ptr_nonnull(strstr(err.msg, "is not made of clusters of (2, 1, 1)"));
    ck_assert(!run_shape(&high, 1, "", "ret;\n"));
    ck_assert_ptr_nonnull(strstr(err.msg, "is not made of clusters of (1, 4, 1)"));
    ck_assert(!run_shape(&large, 1, "", "ret;\n"));
    ck_assert_ptr_nonnull(strstr(err.msg, "at most 16"));
}
END_TEST

/* ---- Atomics and wide accesses ---- */

static void expect(const char *globals, const char *body)
{
    PtxRun r = {0};
    ck_assert_msg(ptx_run(&r, globals, body, out, &err), "line %u: %s", err.loc.line, err.msg);
}

START_TEST(vectors_are_added)
{
    expect("", "setp.ne.u32 %p1, %r1, 0; @%p1 ret; mov.f32 %f1, 0f3F800000; mov.f32 %f2, "
               "0f40000000; mov.u32 %r5, 0x40003c00; mov.u32 %r6, 0x40003f80;\n"
               "mov.b16 %h1, 0x3c00; mov.b16 %h2, 0x4000;\n"
               "red.global.add.v2.f32 [%rd1], {%f1, %f2}; red.global.add.v4.f32 [%rd1+16], {%f1, "
               "%f2, %f2, %f1};\n"
               "red.global.add.noftz.v4.f16x2 [%rd1+32], {%r5, %r5, %r5, %r5};\n"
               "red.global.add.noftz.v2.bf16x2 [%rd1+48], {%r6, %r6};\n"
               "red.global.add.noftz.v8.f16 [%rd1+64], {%h1, %h2, %h1, %h2, %h1, %h2, %h1, %h2};\n"
               "red.global.add.noftz.v8.f16 [%rd1+64], {%h1, %h2, %h1, %h2, %h1, %h2, %h1, %h2};\n"
               "atom.global.add.v2.f32 {%f3, %f4}, [%rd1], {%f1, %f1}; st.global.v2.f32 [%rd1+96], "
               "{%f3, %f4};\n"
               "atom.global.add.v4.f32 {%f5, %f6, %f7, %f8}, [%rd1+16], {%f1, %f1, %f1, %f1}; "
               "st.global.v4.f32 [%rd1+112], {%f5, %f6, %f7, %f8}; ret;\n");
    static const uint32_t want[] = {
        0x40000000, 0x40400000, 0,          0,          0x40000000, 0x40400000, 0x40400000,
        0x40000000, 0x40003c00, 0x40003c00, 0x40003c00, 0x40003c00, 0x40003f80, 0x40003f80,
        0,          0,          0x44004000, 0x44004000, 0x44004000, 0x44004000, 0,
        0,          0,          0,          0x3f800000, 0x40000000, 0,          0,
        0x3f800000, 0x40000000, 0x40000000, 0x3f800000};
    for (uint32_t i = 0; i < sizeof want / 4; i++)
        ck_assert_msg(out[i] == want[i], "word %u: %x", i, out[i]);
}
END_TEST

START_TEST(a_hundred_and_twenty_eight_bits_at_once)
{
    expect(".shared .align 16 .b8 s[32];\n",
           "setp.ne.u32 %p1, %r1, 0; @%p1 ret; mov.u64 %rd2, 0x1111111122222222; mov.u64 %rd3, "
           "0x3333333344444444; mov.b128 %q1, {%rd2, %rd3}; mov.u64 %rd4, 0; mov.b128 %q2, {%rd4, "
           "%rd4};\n"
           "atom.global.exch.b128 %q3, [%rd1], %q1; st.global.b128 [%rd1+16], %q3;\n"
           "atom.global.cas.b128 %q3, [%rd1], %q2, %q2; st.global.b128 [%rd1+32], %q3;\n"
           "ld.global.b128 %q3, [%rd1]; st.global.b128 [%rd1+48], %q3;\n"
           "atom.global.cas.b128 %q3, [%rd1], %q1, %q2;\n"
           "st.shared.b128 [s], %q1; atom.shared.exch.b128 %q3, [s], %q2; st.global.b128 "
           "[%rd1+64], %q3; ret;\n");
    static const uint32_t value[4] = {0x22222222, 0x11111111, 0x44444444, 0x33333333};
    for (uint32_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(out[i], 0);             /* the second cas agreed */
        ck_assert_uint_eq(out[4 + i], 0);         /* what was there before exch */
        ck_assert_uint_eq(out[8 + i], value[i]);  /* the first cas did not agree ... */
        ck_assert_uint_eq(out[12 + i], value[i]); /* ... and changed nothing */
        ck_assert_uint_eq(out[16 + i], value[i]);
    }
}
END_TEST

START_TEST(loads_and_stores_of_256_bits)
{
    expect("",
           "mul.wide.u32 %rd2, %r1, 32; add.u64 %rd2, %rd1, %rd2; mul.lo.u32 %r2, %r1, 8;\n"
           "add.u32 %r3, %r2, 1; add.u32 %r4, %r2, 2; add.u32 %r5, %r2, 3; add.u32 %r6, %r2, 4; "
           "add.u32 %r7, %r2, 5; add.u32 %r8, %r2, 6; add.u32 %r9, %r2, 7;\n"
           "st.global.v8.b32 [%rd2], {%r2, %r3, %r4, %r5, %r6, %r7, %r8, %r9};\n"
           "ld.global.v4.b64 {%rd3, %rd4, %rd5, %rd6}, [%rd2];\n"
           "st.global.v4.b64 [%rd2+4096], {%rd6, %rd5, %rd4, %rd3};\n"
           "ld.global.v8.b32 {%r12, %r13, %r14, %r15, %r16, %r17, %r18, %r19}, [%rd2+4096];\n"
           "st.global.v8.b32 [%rd2+8192], {%r19, %r18, %r17, %r16, %r15, %r14, %r13, %r12}; "
           "ret;\n");
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t in = i % 8, from = i - in;
        ck_assert_uint_eq(out[i], i);
        ck_assert_uint_eq(out[1024 + i], from + (6 - in / 2 * 2) + in % 2);
        ck_assert_uint_eq(out[2048 + i], from + (in ^ 1));
    }
}
END_TEST

START_TEST(st_bulk_fills_with_zeros)
{
    expect(".shared .align 16 .b8 s[512];\n",
           "mov.u32 %r20, s; shl.b32 %r3, %r1, 2; add.u32 %r4, %r20, %r3; st.shared.u32 [%r4], 9; "
           "st.shared.u32 [%r4+128], 9; bar.warp.sync -1; setp.eq.u32 %p1, %r1, 0;\n"
           "@%p1 st.bulk.weak.shared::cta [%r20], 136, 0; bar.warp.sync -1;\n"
           "ld.shared.u32 %r5, [%r4]; ld.shared.u32 %r6, [%r4+128]; cvt.u64.u32 %rd3, %r3; "
           "add.u64 %rd3, %rd1, %rd3; st.global.u32 [%rd3], %r5; st.global.u32 [%rd3+128], %r6; "
           "ret;\n");
    for (uint32_t i = 0; i < 64; i++)
        ck_assert_uint_eq(out[i], i < 34 ? 0 : 9);
}
END_TEST

START_TEST(several_gpus_are_refused_with_the_reason)
{
    PtxRun r = {0};
    ck_assert(
        !ptx_run(&r, "", "multimem.red.relaxed.sys.global.add.u32 [%rd1], %r1; ret;\n", out, &err));
    ck_assert_int_eq(err.kind, ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.msg, "several GPUs"));
}
END_TEST

/* cp.async that ignores its source writes zeros. */
START_TEST(an_ignored_source_is_zero)
{
    PtxRun r = {.fill = 0x11};
    ck_assert_msg(
        ptx_run(&r, ".shared .align 16 .b8 s[128];\n",
                "mov.u32 %r20, s; shl.b32 %r3, %r1, 2; add.u32 %r4, %r20, %r3; and.b32 %r5, %r1, "
                "1; setp.eq.u32 %p1, %r5, 1; cvt.u64.u32 %rd3, %r3; add.u64 %rd3, %rd1, %rd3;\n"
                "cp.async.ca.shared.global [%r4], [%rd3+1024], 4, %p1; cp.async.wait_all;\n"
                "ld.shared.u32 %r6, [%r4]; st.global.u32 [%rd3], %r6; ret;\n",
                out, &err),
        "%s", err.msg);
    for (uint32_t i = 0; i < 32; i++)
        ck_assert_uint_eq(out[i], i % 2 ? 0 : 0x11111111);
}
END_TEST

/* ---- Time ---- */

/* Toy: 29 cycles to another CTA, 16 bytes a cycle: 31 more loads of 128 bytes each take 8 cycles
 * more each, not 29; then a few cycles to store what was loaded. */
START_TEST(remote_loads_share_a_path)
{
    static const char one[] =
        PLACE "mov.u32 %r20, box;\n" SYNC
              "mapa.shared::cluster.u32 %r21, %r20, %r12; shl.b32 %r3, %r1, 2; add.u32 %r21, %r21, "
              "%r3;\n"
              "ld.shared::cluster.u32 %r30, [%r21];\n" SYNC "ret;\n";
    char many[8192];
    const char *load = strstr(one, "ld.shared::cluster"), *after = strchr(load, '\n');
    int n = (int)(load - one);
    memcpy(many, one, (size_t)n);
    for (int i = 0; i < 32; i++)
        n += snprintf(many + n, sizeof many - (size_t)n,
                      "ld.volatile.shared::cluster.u32 %%r%d, [%%r21];\n", 30 + i);
    for (int i = 0; i < 32; i++)
        n += snprintf(many + n, sizeof many - (size_t)n, "st.shared.u32 [%%r20], %%r%d;\n", 30 + i);
    snprintf(many + n, sizeof many - (size_t)n, "%s", after);
    PtxRun r = {.cluster = 2, .grid = 2};
    PtxChip a = {.sms = 2}, b = {.sms = 2};
    ck_assert_msg(ptx_run_on(&r, &a, ".shared .align 128 .b8 box[128];\n", one, out, &err), "%s",
                  err.msg);
    ck_assert_msg(ptx_run_on(&r, &b, ".shared .align 128 .b8 box[128];\n", many, out, &err), "%s",
                  err.msg);
    uint64_t more = b.cycles - a.cycles;
    ck_assert_msg(more >= 31 * 8 && more <= 31 * 8 + 150, "%llu", (unsigned long long)more);
}
END_TEST

/* Cycles that ten of them take more than ten of membar.cta, each. */
static double wide_fence(const char *fence)
{
    static const char set[] = "fence.gpu.latency=500"; /* fence.latency of the toy: 13 */
    uint64_t cycles[2];
    for (int i = 0; i < 2; i++) {
        char body[1024] = "mov.u32 %r1, 64;\n";
        for (int k = 0; k < 10; k++)
            strcat(strcat(body, i ? fence : "membar.cta;"), "\n");
        PtxRun r = {0};
        PtxChip chip = {.sms = 1, .set = set};
        ck_assert_msg(ptx_run_on(&r, &chip, "", body, out, &err), "%s: %s", fence, err.msg);
        cycles[i] = chip.cycles;
    }
    return ((double)cycles[1] - (double)cycles[0]) / 10;
}

/* Those of which ptxas 13.0 makes MEMBAR.GPU or .SYS wait for global memory. */
START_TEST(fences_beyond_the_cta_take_longer)
{
    static const char *const wide[] = {"membar.gl;",
                                       "membar.sys;",
                                       "fence.acq_rel.gpu;",
                                       "fence.sc.cluster;",
                                       "fence.proxy.async;",
                                       "fence.proxy.alias;",
                                       "fence.proxy.tensormap::generic.release.gpu;"};
    static const char *const narrow[] = {"fence.acq_rel.cta;"};
    double more = 500 - 13;
    for (uint32_t i = 0; i < sizeof wide / sizeof *wide; i++)
        ck_assert_msg(fabs(wide_fence(wide[i]) - more) <= 1, "%s: %.1f, not %.0f", wide[i],
                      wide_fence(wide[i]), more);
    for (uint32_t i = 0; i < sizeof narrow / sizeof *narrow; i++)
        ck_assert_double_eq(wide_fence(narrow[i]), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cluster");
    TCase *c = tcase_create("cluster");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, neighbours_read_and_write_each_other);
    tcase_add_test(c, what_is_sent_completes_on_the_receivers_mbarrier);
    tcase_add_test(c, multicast_of_a_pair_counts_in_one_cta);
    tcase_add_test(c, all_arrive_at_rank_0);
    tcase_add_test(c, special_registers_of_the_cluster);
    tcase_add_test(c, an_exited_cta_cannot_be_reached);
    tcase_add_test(c, a_grid_is_made_of_whole_clusters);
    tcase_add_test(c, vectors_are_added);
    tcase_add_test(c, a_hundred_and_twenty_eight_bits_at_once);
    tcase_add_test(c, loads_and_stores_of_256_bits);
    tcase_add_test(c, st_bulk_fills_with_zeros);
    tcase_add_test(c, several_gpus_are_refused_with_the_reason);
    tcase_add_test(c, an_ignored_source_is_zero);
    tcase_add_test(c, remote_loads_share_a_path);
    tcase_add_test(c, fences_beyond_the_cta_take_longer);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
