/* Bit layouts: fields do not overlap, pack and unpack are inverses, stray bits are named; tensor
 * maps against 723 calls of NVIDIA's driver (tests/data/tensormaps.tsv). */
#include "isa/bits.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

START_TEST(fields_lie_in_their_words_and_do_not_overlap)
{
    const BitsInfo *info = &bits_info[_i];
    uint64_t claimed[tmap_words] = {0};
    for (uint32_t i = 0; i < info->n_fields; i++) {
        const BitsField *f = &info->field[i];
        uint64_t mask = BITS_MASK(f->bits) << f->lo;
        ck_assert_uint_lt(f->word, info->n_words);
        ck_assert_uint_le(f->lo + f->bits, 64);
        ck_assert_msg((claimed[f->word] & mask) == 0, "%s.%s overlaps", info->name, f->name);
        claimed[f->word] |= mask;
    }
    for (uint32_t w = 0; w < info->n_words; w++)
        ck_assert_uint_eq(bits_unclaimed((BitsLayout)_i, w), ~claimed[w]);
}
END_TEST

START_TEST(pack_undoes_unpack)
{
    BitsLayout layout = (BitsLayout)_i;
    uint64_t state = 88172645463325252u, words[tmap_words], again[tmap_words], fields[64];
    Err err = {0};
    for (int round = 0; round < 1000; round++) {
        for (uint32_t w = 0; w < bits_info[layout].n_words; w++)
            words[w] = next_random(&state) & ~bits_unclaimed(layout, w);
        ck_assert(bits_unpack(layout, words, fields, &err));
        ck_assert(bits_pack(layout, fields, again, &err));
        ck_assert_int_eq(memcmp(words, again, bits_info[layout].n_words * sizeof words[0]), 0);
    }
}
END_TEST

START_TEST(stray_bits_and_values_too_large_are_refused)
{
    BitsLayout layout = (BitsLayout)_i;
    uint64_t words[tmap_words], fields[64] = {0};
    for (uint32_t w = 0; w < bits_info[layout].n_words; w++)
        for (uint32_t b = 0; b < 64; b++) {
            Err err = {0};
            memset(words, 0, sizeof words);
            words[w] = (uint64_t)1 << b;
            bool stray = (bits_unclaimed(layout, w) >> b) & 1;
            ck_assert_int_eq(bits_unpack(layout, words, fields, &err), !stray);
        }
    for (uint32_t i = 0; i < bits_info[layout].n_fields; i++) {
        Err err = {0};
        const BitsField *f = &bits_info[layout].field[i];
        memset(fields, 0, sizeof fields);
        fields[i] = BITS_MASK(f->bits);
        ck_assert(bits_pack(layout, fields, words, &err));
        if (f->bits == 64)
            continue;
        fields[i]++;
        ck_assert(!bits_pack(layout, fields, words, &err));
        ck_assert_msg(strstr(err.msg, f->name), "%s", err.msg);
    }
}
END_TEST

/* Words that compiled kernels use (research notes 2.7, 3.11). */
START_TEST(known_words_mean_what_the_manual_says)
{
    Err err = {0};
    Idesc i;
    uint64_t w = 136314896; /* 0x8200010: f16 in, f32 out, M 128, N 128 */
    ck_assert(idesc_unpack(&w, &i, &err));
    ck_assert_uint_eq(i.d_type, IDESC_D_F32);
    ck_assert_uint_eq(i.n8 * 8, 128);
    ck_assert_uint_eq(i.m16 * 16, 128);
    w = 0x8200490; /* bf16 both */
    ck_assert(idesc_unpack(&w, &i, &err));
    ck_assert_uint_eq(i.a_type, 1);
    ck_assert_uint_eq(i.b_type, 1);
    Sdesc s;
    w = (uint64_t)0x40004040 << 32 | 0x10040; /* 128B swizzle, SBO 1024, version 1 */
    ck_assert(sdesc_unpack(&w, &s, &err));
    ck_assert_uint_eq(s.swizzle, SDESC_SWIZZLE_128B);
    ck_assert_uint_eq(s.sbo16 << 4, 1024);
    ck_assert_uint_eq(s.version, 1);
    ck_assert_uint_eq(s.addr16 << 4, 1024);
}
END_TEST

START_TEST(single_fields_are_read_and_written)
{
    uint64_t w = 0;
    mbar_word_set_pending(&w, 3);
    mbar_word_set_expected(&w, 5);
    mbar_word_set_tx(&w, MBAR_TX_BIAS - 7);
    mbar_word_set_phase(&w, 1);
    ck_assert_uint_eq(mbar_word_pending(&w), 3);
    ck_assert_uint_eq(mbar_word_expected(&w), 5);
    ck_assert_int_eq((int)mbar_word_tx(&w) - MBAR_TX_BIAS, -7);
    ck_assert_uint_eq(mbar_word_phase(&w), 1);
    mbar_word_set_pending(&w, 0);
    ck_assert_uint_eq(mbar_word_expected(&w), 5);
}
END_TEST

START_TEST(printing_names_fields_and_stray_bits)
{
    char *text = NULL;
    size_t n = 0;
    uint64_t w = 0x12345 | (uint64_t)1 << 61;
    FILE *out = open_memstream(&text, &n);
    bits_print(out, BITS_mbar_word, &w);
    fclose(out);
    ck_assert_str_eq(
        text, "mbar_word: pending=74565 expected=0 tx=0 phase=0 unclaimed[0]=0x2000000000000000\n");
    free(text);
}
END_TEST

/* ---- Tensor maps ---- */

typedef struct Row { /* a line of tensormaps.tsv */
    unsigned id, cuda_type, rank, interleave, swizzle, l2, oob, result;
    char base[32], dims[256], strides[256], box[128], steps[128], hex[300], why[32];
} Row;

static uint32_t numbers(const char *s, uint64_t *out)
{
    uint32_t n = 0;
    char *end;
    for (; *s && *s != '-' && n < TMAP_RANK; s = *end ? end + 1 : end)
        out[n++] = strtoull(s, &end, 0);
    return n;
}

static void fill(const Row *r, TensorMap *tm)
{
    uint64_t v[TMAP_RANK];
    *tm = (TensorMap){.address = strtoull(r->base, NULL, 0),
                      .rank = r->rank,
                      .dtype = tensor_map_type_of_cuda(r->cuda_type),
                      .interleave = r->interleave,
                      .swizzle = r->swizzle,
                      .oob_nan = r->oob != 0,
                      .l2_promotion = r->l2};
    for (uint32_t i = 0; i < TMAP_RANK; i++) {
        tm->dims[i] = 1;
        tm->box[i] = tm->element_strides[i] = 1;
    }
    uint32_t n = numbers(r->dims, v);
    memcpy(tm->dims, v, n * sizeof v[0]);
    n = numbers(r->strides, v);
    memcpy(tm->strides + 1, v, n * sizeof v[0]);
    tm->strides[0] = tensor_map_elem_bits(tm->dtype) / 8;
    n = numbers(r->box, v);
    for (uint32_t i = 0; i < n; i++)
        tm->box[i] = (uint32_t)v[i];
    n = numbers(r->steps, v);
    for (uint32_t i = 0; i < n; i++)
        tm->element_strides[i] = (uint32_t)v[i];
}

static void check_accepted(const Row *r, const TensorMap *want)
{
    uint8_t bytes[TMAP_BYTES], made[TMAP_BYTES];
    Err err = {0};
    TensorMap got;
    for (uint32_t i = 0; i < TMAP_BYTES; i++) {
        char two[3] = {r->hex[2 * i], r->hex[2 * i + 1], 0};
        bytes[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    ck_assert_msg(tensor_map_decode(bytes, &got, &err), "row %u: %s", r->id, err.msg);
    ck_assert_uint_eq(got.address, want->address);
    ck_assert_uint_eq(got.rank, want->rank);
    ck_assert_msg(got.dtype == want->dtype, "row %u: type %u is not %u", r->id, got.dtype,
                  want->dtype);
    ck_assert_uint_eq(got.interleave, want->interleave);
    ck_assert_uint_eq(got.swizzle, want->swizzle);
    ck_assert_int_eq(got.oob_nan, want->oob_nan);
    ck_assert_uint_eq(got.l2_promotion, want->l2_promotion);
    ck_assert_int_eq(memcmp(got.dims, want->dims, sizeof got.dims), 0);
    ck_assert_int_eq(memcmp(got.strides, want->strides, sizeof got.strides), 0);
    ck_assert_int_eq(memcmp(got.box, want->box, sizeof got.box), 0);
    ck_assert_int_eq(memcmp(got.element_strides, want->element_strides, sizeof got.element_strides),
                     0);
    ck_assert_msg(tensor_map_encode(want, made, &err), "row %u: %s", r->id, err.msg);
    ck_assert_msg(memcmp(bytes, made, sizeof made) == 0, "row %u encodes differently", r->id);
    ck_assert(tensor_map_encode(&got, made, &err));
    ck_assert_int_eq(memcmp(bytes, made, sizeof made), 0);
}

START_TEST(tensor_maps_are_bit_exact_and_refused_as_by_the_driver)
{
    char path[512], line[2048];
    snprintf(path, sizeof path, "%s/data/tensormaps.tsv", TEST_DIR);
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    uint32_t accepted = 0, refused = 0, small_types = 0;
    while (fgets(line, sizeof line, f)) {
        Row r;
        TensorMap tm;
        int n = sscanf(line, "%u %31s %u %u %31s %255s %255s %127s %127s %u %u %u %u %u %299s",
                       &r.id, r.why, &r.cuda_type, &r.rank, r.base, r.dims, r.strides, r.box,
                       r.steps, &r.interleave, &r.swizzle, &r.l2, &r.oob, &r.result, r.hex);
        if (n != 15)
            continue;
        fill(&r, &tm);
        if (r.result == 0) {
            check_accepted(&r, &tm);
            accepted++;
        } else if (r.cuda_type > 12 || r.swizzle > 3) {
            small_types++; /* 4- and 6-bit types, swizzles of larger atoms: refused on the H200 of
                              the table, legal on Blackwell */
        } else {
            uint8_t bytes[TMAP_BYTES];
            Err err = {0};
            ck_assert_msg(!tensor_map_encode(&tm, bytes, &err), "row %u is refused by the driver",
                          r.id);
            refused++;
        }
    }
    fclose(f);
    ck_assert_uint_eq(accepted, 568);
    ck_assert_uint_eq(refused + small_types, 155);
}
END_TEST

START_TEST(cute_dsl_maps_keep_what_was_there)
{
    TensorMap tm = {.address = 0x1000,
                    .rank = 2,
                    .dtype = TMAP_BF16,
                    .l2_promotion = 2,
                    .dims = {64, 128, 1, 1, 1},
                    .strides = {2, 128},
                    .box = {64, 64, 1, 1, 1},
                    .element_strides = {1, 1, 1, 1, 1},
                    .origin = 2};
    uint8_t bytes[TMAP_BYTES];
    TensorMap got;
    Err err = {0};
    ck_assert(tensor_map_encode(&tm, bytes, &err));
    ck_assert_int_eq(bytes[8] | bytes[9] << 8 | bytes[10] << 16,
                     0x40512); /* seen in CuTe-DSL's output */
    for (uint32_t i = 64; i < 80; i++)
        ck_assert_uint_eq(bytes[i], 0);
    ck_assert(tensor_map_decode(bytes, &got, &err));
    ck_assert_uint_eq(got.origin, 2);
    memset(bytes + 64, 0xa5, 64); /* flash-attn-4 4.0.0b36 leaves these 64 bytes unwritten */
    ck_assert_msg(tensor_map_decode(bytes, &got, &err), "%s", err.msg);
    ck_assert_uint_eq(got.box[0], 64);
    bytes[8] &= 0xf0; /* the driver's maps have no such bytes */
    ck_assert(!tensor_map_decode(bytes, &got, &err));
    ck_assert_msg(strstr(err.msg, "must be zero"), "%s", err.msg);
}
END_TEST

/* The map of a 256 x 256 fp4 matrix as CuTe DSL 4.8.1's host code for sm_100 writes it (box 256 x
 * 128, swizzle 128B): 4-bit elements are type 11 there, though tensormap.replace calls them 13. */
START_TEST(sub_byte_types_have_numbers_of_their_own)
{
    static const uint64_t seen[8] = {0x200000000000,     0x8000465a2, 0x800, 0, 0xff000000ff, 0,
                                     0xff00000000000000, 0x7f};
    static const struct {
        uint32_t type, field;
    } fields[] = {{TMAP_B4X16, 11}, {TMAP_B4X16_P64, 12}, {TMAP_B6X16_P32, 13}, {TMAP_TF32, 7}};
    TensorMap tm = {.address = 0x200000000000,
                    .rank = 3,
                    .dtype = TMAP_B4X16,
                    .swizzle = TMAP_SWIZZLE_128B,
                    .l2_promotion = 2,
                    .dims = {256, 256, 1, 1, 1},
                    .strides = {0, 128, 32768},
                    .box = {256, 128, 1, 1, 1},
                    .element_strides = {1, 1, 1, 1, 1},
                    .origin = 2};
    uint8_t bytes[TMAP_BYTES];
    TensorMap got;
    Err err = {0};
    ck_assert_msg(tensor_map_encode(&tm, bytes, &err), "%s", err.msg);
    for (uint32_t i = 0; i < 64; i++)
        ck_assert_uint_eq(bytes[i], seen[i / 8] >> 8 * (i % 8) & 0xff);
    tm.box[0] = 32;
    for (uint32_t i = 0; i < 4; i++) {
        tm.dtype = fields[i].type;
        ck_assert_msg(tensor_map_encode(&tm, bytes, &err), "%s", err.msg);
        ck_assert_uint_eq((bytes[8] | bytes[9] << 8) >> 7 & 15, fields[i].field);
        ck_assert_msg(tensor_map_decode(bytes, &got, &err), "%s", err.msg);
        ck_assert_uint_eq(got.dtype, fields[i].type);
    }
    for (uint32_t field = 14; field < 16; field++) {
        bytes[8] = (uint8_t)((bytes[8] & 0x7f) | field << 7);
        bytes[9] = (uint8_t)((bytes[9] & 0xf8) | field >> 1);
        ck_assert(!tensor_map_decode(bytes, &got, &err));
        ck_assert_msg(strstr(err.msg, "no such type"), "%s", err.msg);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("isa_bits");
    TCase *t = tcase_create("bits");
    tcase_add_loop_test(t, fields_lie_in_their_words_and_do_not_overlap, 0, BITS_COUNT);
    tcase_add_loop_test(t, pack_undoes_unpack, 0, BITS_COUNT);
    tcase_add_loop_test(t, stray_bits_and_values_too_large_are_refused, 0, BITS_COUNT);
    tcase_add_test(t, known_words_mean_what_the_manual_says);
    tcase_add_test(t, single_fields_are_read_and_written);
    tcase_add_test(t, printing_names_fields_and_stray_bits);
    tcase_add_test(t, tensor_maps_are_bit_exact_and_refused_as_by_the_driver);
    tcase_add_test(t, cute_dsl_maps_keep_what_was_there);
    tcase_add_test(t, sub_byte_types_have_numbers_of_their_own);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
