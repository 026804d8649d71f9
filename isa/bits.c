#include "isa/bits.h"

#include <string.h>

/* clang-format off */
#define LAYOUT(id, Struct, words, meaning) static const BitsField id##_fields[] = {
#define FIELD(id, nm, wd, l, b, mean) {.name = #nm, .meaning = mean, .word = wd, .lo = l, .bits = b},
#define LAYOUT_END(id, Struct) };
#include "isa/bits.def"
#undef LAYOUT
#undef FIELD
#undef LAYOUT_END

const BitsInfo bits_info[BITS_COUNT] = {
#define LAYOUT(id, Struct, words, mean) [BITS_##id] = {.name = #id, .meaning = mean, .field = id##_fields, \
    .n_fields = sizeof id##_fields / sizeof id##_fields[0], .n_words = words},
#define FIELD(id, name, word, lo, bits, meaning)
#define LAYOUT_END(id, Struct)
#include "isa/bits.def"
#undef LAYOUT
#undef FIELD
#undef LAYOUT_END
};
/* clang-format on */

uint64_t bits_unclaimed(BitsLayout layout, uint32_t w)
{
    const BitsInfo *info = &bits_info[layout];
    uint64_t claimed = 0;
    for (uint32_t i = 0; i < info->n_fields; i++)
        if (info->field[i].word == w)
            claimed |= BITS_MASK(info->field[i].bits) << info->field[i].lo;
    return ~claimed;
}

bool bits_unpack(BitsLayout layout, const uint64_t *words, void *fields, Err *err)
{
    const BitsInfo *info = &bits_info[layout];
    for (uint32_t w = 0; w < info->n_words; w++) {
        uint64_t stray = words[w] & bits_unclaimed(layout, w);
        if (stray)
            return err_set(err, ERR_FAULT, (Loc){0},
                           "%s: bits 0x%llx of word %u must be zero (word 0x%llx)", info->meaning,
                           (unsigned long long)stray, w, (unsigned long long)words[w]);
    }
    for (uint32_t i = 0; i < info->n_fields; i++) {
        const BitsField *f = &info->field[i];
        uint64_t v = (words[f->word] >> f->lo) & BITS_MASK(f->bits);
        memcpy((char *)fields + i * sizeof v, &v, sizeof v);
    }
    return true;
}

bool bits_pack(BitsLayout layout, const void *fields, uint64_t *words, Err *err)
{
    const BitsInfo *info = &bits_info[layout];
    memset(words, 0, info->n_words * sizeof *words);
    for (uint32_t i = 0; i < info->n_fields; i++) {
        const BitsField *f = &info->field[i];
        uint64_t v;
        memcpy(&v, (const char *)fields + i * sizeof v, sizeof v);
        if (v & ~BITS_MASK(f->bits))
            return err_set(err, ERR_SEMANTIC, (Loc){0}, "%s: %s = %llu does not fit %u bits",
                           info->meaning, f->name, (unsigned long long)v, f->bits);
        words[f->word] |= v << f->lo;
    }
    return true;
}

void bits_print(FILE *out, BitsLayout layout, const uint64_t *words)
{
    const BitsInfo *info = &bits_info[layout];
    fprintf(out, "%s:", info->name);
    for (uint32_t i = 0; i < info->n_fields; i++) {
        const BitsField *f = &info->field[i];
        fprintf(out, " %s=%llu", f->name,
                (unsigned long long)((words[f->word] >> f->lo) & BITS_MASK(f->bits)));
    }
    for (uint32_t w = 0; w < info->n_words; w++)
        if (words[w] & bits_unclaimed(layout, w))
            fprintf(out, " unclaimed[%u]=0x%llx", w,
                    (unsigned long long)(words[w] & bits_unclaimed(layout, w)));
    putc('\n', out);
}
