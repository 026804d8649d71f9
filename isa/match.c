/* Matching an opcode against a row, and writing one. */
#include "isa/form.h"

#include <stdatomic.h>
#include <string.h>

static bool value_allowed(const ModForm *m, uint32_t v)
{
    return (m->allow[v / 64] >> (v % 64)) & 1;
}

static bool is_type_slot(const Forms *fs, const ModForm *m)
{
    return m->kind == MOD_TYPE || (m->kind == MOD_LITERAL && fs->words[m->word].type != T_NONE);
}

/* The place that takes type number `at` of the opcode, or -1. */
static int32_t type_slot(const Forms *fs, const Form *f, uint32_t at)
{
    for (uint32_t i = 0; i < f->n_mods; i++)
        if (is_type_slot(fs, &f->mod[i]) && f->mod[i].type_at == at)
            return (int32_t)i;
    return -1;
}

static bool type_fits(const Forms *fs, const ModForm *m, int32_t word)
{
    if (m->kind == MOD_LITERAL)
        return m->word == word;
    return (m->types >> fs->words[word].type) & 1;
}

/* The free place that takes the word, literal places first, or -1. *value is set for a class. */
static int32_t free_slot(const Forms *fs, const Form *f, int32_t word, uint32_t filled,
                         uint8_t *value)
{
    const Word *w = &fs->words[word];
    for (uint32_t i = 0; i < f->n_mods; i++)
        if (f->mod[i].kind == MOD_LITERAL && f->mod[i].word == word && !((filled >> i) & 1))
            return (int32_t)i;
    for (uint32_t i = 0; i < f->n_mods; i++) {
        const ModForm *m = &f->mod[i];
        for (uint32_t k = 0; m->kind == MOD_OF_CLASS && !((filled >> i) & 1) && k < w->n_class; k++)
            if (w->cls[k] == m->cls && value_allowed(m, w->value[k])) {
                *value = w->value[k];
                return (int32_t)i;
            }
    }
    return -1;
}

/* First place that must be written and is not, or -1. */
static int32_t empty_slot(const Form *f, uint32_t filled)
{
    for (uint32_t i = 0; i < f->n_mods; i++) {
        const ModForm *m = &f->mod[i];
        if ((filled >> i) & 1)
            continue;
        if (!m->group)
            return (int32_t)i;
        for (uint32_t k = 0; k < f->n_mods; k++)
            if (f->mod[k].group == m->group && ((filled >> k) & 1))
                return (int32_t)i;
    }
    return -1;
}

/* Places of one placeholder hold one type. */
static bool equal_types(const Form *f, const ModSet *out)
{
    uint8_t seen[4] = {0};
    for (uint32_t i = 0; i < f->n_mods; i++) {
        const ModForm *m = &f->mod[i];
        if (m->kind != MOD_TYPE || m->type_at >= 3)
            continue;
        uint8_t t = out->type[m->type_at];
        if (seen[m->type_no] && seen[m->type_no] != t)
            return false;
        seen[m->type_no] = t;
    }
    return true;
}

bool form_match(const Forms *fs, const Form *f, const int32_t *words, uint32_t n, ModSet *out,
                ModMiss *miss)
{
    uint32_t filled = 0, n_types = 0;
    *out = (ModSet){0};
    *miss = (ModMiss){.word_at = -1, .slot = -1};
    for (uint32_t i = 0; i < n; i++) {
        int32_t w = words[i], slot = -1;
        uint8_t value = 0, type = w < 0 ? (uint8_t)T_NONE : fs->words[w].type;
        if (type != T_NONE) {
            slot = type_slot(fs, f, n_types);
            if (slot >= 0 && !type_fits(fs, &f->mod[slot], w))
                slot = -1;
        } else if (w >= 0) {
            slot = free_slot(fs, f, w, filled, &value);
        }
        if (slot < 0) {
            if (miss->word_at < 0) {
                miss->word_at = (int32_t)i;
                miss->is_type = type != T_NONE;
            }
            n_types += type != T_NONE;
            continue;
        }
        filled |= 1u << slot;
        miss->n_matched++;
        if (type != T_NONE && n_types < 3)
            out->type[n_types] = type;
        n_types += type != T_NONE;
        if (f->mod[slot].kind == MOD_OF_CLASS)
            out->mod[f->mod[slot].cls] = value;
    }
    miss->slot = empty_slot(f, filled);
    return miss->word_at < 0 && miss->slot < 0 && equal_types(f, out);
}

static PtxType wider(PtxType t)
{
    switch (t) {
    case T_U16:
        return T_U32;
    case T_S16:
        return T_S32;
    case T_U32:
        return T_U64;
    case T_S32:
        return T_S64;
    default:
        return T_NONE; /* only these have a .wide form */
    }
}

PtxType form_opd_type(const Form *f, const ModSet *ms, uint32_t k)
{
    const OpdForm *o = &f->opd[k];
    switch ((TypeRule)o->type_rule) {
    case TR_T1:
        return (PtxType)ms->type[0];
    case TR_T2:
        return (PtxType)ms->type[1];
    case TR_T3:
        return (PtxType)ms->type[2];
    case TR_WIDE:
        return wider((PtxType)ms->type[0]);
    case TR_FIXED:
        return (PtxType)o->type;
    case TR_ANY:
    case TR_CONST:
        return T_NONE;
    }
    return T_NONE;
}

/* Registers of tcgen05.ld/st: N times the registers of x1 (ptx.md 3.4). */
static uint32_t tmem_count(const ModSet *ms)
{
    uint32_t n = 1u << (ms->mod[MC_NUM] - MV_NUM_X1);
    switch (ms->mod[MC_TSHAPE]) {
    case MV_TSHAPE_S16X128B:
        return 2 * n;
    case MV_TSHAPE_S16X256B:
        return 4 * n;
    default:
        return n;
    }
}

/* Accumulator registers of wgmma: N / 2 of 32 bits, N / 4 if D is f16. */
static uint32_t wgmma_count(const ModSet *ms)
{
    uint32_t n = 8 * ((ms->mod[MC_WSHAPE] - 1u) % 32 + 1);
    return ms->type[0] == T_F16 ? n / 4 : n / 2;
}

/* "m16n8k32": a letter, a number, three times. */
static MatShape shape_of_text(const char *s)
{
    uint16_t dim[4] = {0};
    uint32_t at = 0;
    for (; *s; s++) {
        if (*s > '9')
            at++;
        else
            dim[at] = (uint16_t)(10 * dim[at] + (*s - '0'));
    }
    return (MatShape){.m = dim[1], .n = dim[2], .k = dim[3]};
}

MatShape form_wmma_shape(uint8_t value)
{
    return shape_of_text(mod_value_text(MC_WMMASHAPE, value));
}

/* Every mma.sync that runs asks; the text is read once, whichever thread comes first. */
MatShape form_mma_shape(uint8_t value)
{
    static _Atomic uint64_t known[256]; /* 0: not yet read */
    uint64_t v = atomic_load_explicit(&known[value], memory_order_relaxed);
    MatShape s = {.m = (uint16_t)v, .n = (uint16_t)(v >> 16), .k = (uint16_t)(v >> 32)};
    if (v)
        return s;
    s = shape_of_text(mod_value_text(MC_MMASHAPE, value));
    v = s.m | (uint64_t)s.n << 16 | (uint64_t)s.k << 32;
    atomic_store_explicit(&known[value], v, memory_order_relaxed);
    return s;
}

/* Bits of an element as it lies in a fragment. */
static uint32_t element_bits(const ModSet *ms, uint32_t type)
{
    if (ms->mod[MC_REDOP]) /* b1, which is no type */
        return 1;
    return type == T_U4 || type == T_S4 ? 4 : type_info[type].bits;
}

/* Registers of one thread that hold its 32nd part of rows x columns elements. */
static uint32_t fragment_count(uint32_t elements, uint32_t bits)
{
    return elements * bits / 32 / (bits == 64 ? 64 : 32);
}

/* A load of wmma has one type, that of its fragment; fragments of f16 have 8 registers in every
 * shape, as they had on sm_70. */
static uint32_t mma_count(const ModSet *ms, CountRule rule)
{
    enum { WMMA_F16 = 8 };
    bool wmma = ms->mod[MC_WMMASHAPE] != 0;
    MatShape s =
        wmma ? form_wmma_shape(ms->mod[MC_WMMASHAPE]) : form_mma_shape(ms->mod[MC_MMASHAPE]);
    if (rule == CR_DFRAG)
        return fragment_count(s.m * s.n, type_info[ms->type[0]].bits);
    uint32_t rows = rule == CR_AFRAG ? s.m : s.n, type = ms->type[rule == CR_AFRAG ? 1 : 2];
    if (wmma && type == T_NONE)
        type = ms->type[0];
    return wmma && type == T_F16 ? WMMA_F16 : fragment_count(rows * s.k, element_bits(ms, type));
}

uint32_t form_opd_count(const Form *f, const ModSet *ms, uint32_t k)
{
    const OpdForm *o = &f->opd[k];
    switch ((CountRule)o->count_rule) {
    case CR_ANY:
        return 0;
    case CR_FIXED:
        return o->count;
    case CR_VEC:
        return ms->mod[MC_VEC] ? 1u << ms->mod[MC_VEC] : 1;
    case CR_DIM:
        return ms->mod[MC_DIM];
    case CR_NUM:
        return 1u << (ms->mod[MC_NUM] - MV_NUM_X1);
    case CR_TMEM:
        return tmem_count(ms);
    case CR_WGMMA:
        return wgmma_count(ms);
    case CR_LANES:
        return ms->mod[MC_CG] == MV_CG_TWO ? 8 : 4;
    case CR_TWONUM:
        return 2u << (ms->mod[MC_NUM] - MV_NUM_X1);
    case CR_AFRAG:
    case CR_BFRAG:
    case CR_DFRAG:
        return mma_count(ms, (CountRule)o->count_rule);
    }
    return 0;
}

bool form_tie_holds(const OpdForm *o, const ModSet *ms)
{
    uint32_t v = ms->mod[o->tie];
    return o->tie_value ? v == o->tie_value : v != 0;
}

static size_t put(char *buf, size_t cap, size_t at, const char *s, char before)
{
    if (before && at + 1 < cap)
        buf[at++] = before;
    for (; *s && at + 1 < cap; s++)
        buf[at++] = *s;
    if (at < cap)
        buf[at] = 0;
    return at;
}

size_t form_spell(const Forms *fs, OpCode op, const ModSet *ms, char *buf, size_t n)
{
    const Form *f = &fs->form[op];
    size_t at = put(buf, n, 0, fs->words[f->base].text, 0);
    for (uint32_t i = 0; i < f->n_mods; i++) {
        const ModForm *m = &f->mod[i];
        if (m->kind == MOD_LITERAL)
            at = put(buf, n, at, fs->words[m->word].text, '.');
        else if (m->kind == MOD_TYPE)
            at = put(buf, n, at, type_info[ms->type[m->type_at]].name, '.');
        else if (ms->mod[m->cls])
            at = put(buf, n, at, mod_value_text((ModClass)m->cls, ms->mod[m->cls]), '.');
    }
    return at;
}
