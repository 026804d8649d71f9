/* Reads `args:`: what each kernel parameter gets. Tensor maps are held to the driver's rules, which
 * isa/bits.h knows, and must lie inside their tensor. */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "isa/bits.h"
#include "sim/launch/elem.h"
#include "sim/launch/reader.h"

#define MAX_ARGS 4096u
#define MAX_PARAM_BYTES 32764u /* PTX ISA, .param of a kernel, sm_70 and later */
#define POINTER_BYTES 8u

/* CUDA driver API, cuTensorMapEncodeTiled: what a number may be by itself. */
#define MAP_DIM_MAX ((uint64_t)1 << 32)
#define MAP_STRIDE_MAX (((uint64_t)1 << 40) - 16)
#define MAP_BOX_MAX 256u
#define MAP_ELEMENT_STRIDE_MAX 8u

/* In the order of TmapType; the sub-byte types are missing. */
static const char *const map_types[] = {"u8",  "u16",     "u32", "s32",  "u64",  "s64",      "f16",
                                        "f32", "f32_ftz", "f64", "bf16", "tf32", "tf32_ftz", NULL};

static const char *const swizzles[] = {
    "none", "32B", "64B", "128B", "128B_ATOM_32B", "128B_ATOM_32B_FLIP_8B", "128B_ATOM_64B", NULL};
static const char *const interleaves[] = {"none", "16B", "32B", NULL};
static const char *const fills[] = {"zero", "nan", NULL};
static const char *const promotions[] = {"none", "64B", "128B", "256B", NULL};

/* A scalar as its parameter's bytes. */
static bool read_float(LaunchReader *r, const YmlNode *n, const Elem *e, Arg *arg)
{
    char what[32];
    snprintf(what, sizeof what, "'%s'", e->name);
    double v;
    if (strcmp(n->kind == YML_SCALAR ? n->text : "", ".inf") == 0)
        v = INFINITY;
    else if (strcmp(n->kind == YML_SCALAR ? n->text : "", "-.inf") == 0)
        v = -INFINITY;
    else if (strcmp(n->kind == YML_SCALAR ? n->text : "", ".nan") == 0)
        v = NAN;
    else if (!yml_number(n, what, &v, r->err))
        return false;
    if (isfinite(v) && (v < e->lo || v > e->hi))
        return err_set(r->err, ERR_SEMANTIC, n->loc, "'%s' is not a value of %s (%.9g..%.9g)",
                       n->text, e->name, e->lo, e->hi);
    elem_put(e, arg->bytes, 0, v);
    if (e->type == T_F32 && isfinite(v)) { /* one rounding, from the decimal */
        float f = strtof(n->text, NULL);
        memcpy(arg->bytes, &f, sizeof f);
    }
    return true;
}

static bool read_integer(LaunchReader *r, const YmlNode *n, const Elem *e, Arg *arg)
{
    unsigned bits = 8u * e->bytes - (e->kind == 'S');
    uint64_t most = bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1, v;
    const char *text = n->kind == YML_SCALAR ? n->text : "";
    bool minus = text[0] == '-' && e->kind == 'S';
    if (!yml_text_uint(text + minus, &v) || v > most + minus)
        return err_set(r->err, ERR_SEMANTIC, n->loc,
                       "'%.60s' is not a value of %s (%s%" PRIu64 "..%" PRIu64 ")", text, e->name,
                       e->kind == 'S' ? "-" : "", e->kind == 'S' ? most + 1 : 0, most);
    v = minus ? 0 - v : v;
    for (unsigned k = 0; k < e->bytes; k++)
        arg->bytes[k] = (uint8_t)(v >> 8 * k);
    return true;
}

/* A list of whole numbers, `n_min` to `n_max` of them. */
typedef struct ListRule {
    const char *what;
    uint32_t n_min, n_max;
    uint64_t lo, hi;
} ListRule;

static bool read_list(LaunchReader *r, const YmlNode *n, ListRule rule, uint64_t *out)
{
    char what[64];
    snprintf(what, sizeof what, "'%s'", rule.what);
    if (!yml_is_list(n, what, r->err))
        return false;
    if (n->n < rule.n_min || n->n > rule.n_max) {
        if (rule.n_min == rule.n_max)
            return err_set(r->err, ERR_SEMANTIC, n->loc, "%s must have %u numbers, not %u", what,
                           rule.n_min, n->n);
        return err_set(r->err, ERR_SEMANTIC, n->loc, "%s must have %u..%u numbers, not %u", what,
                       rule.n_min, rule.n_max, n->n);
    }
    for (uint32_t i = 0; i < n->n; i++) {
        snprintf(what, sizeof what, "%s[%u]", rule.what, i);
        if (!yml_uint(n->items[i], what, rule.lo, rule.hi, &out[i], r->err))
            return false;
    }
    return true;
}

static uint32_t default_map_type(const Tensor *t)
{
    const char *name = elem_of(t->dtype)->name;
    for (uint32_t i = 0; map_types[i]; i++)
        if (strcmp(map_types[i], name) == 0)
            return i;
    return t->elem_bytes - 1u; /* s8, e4m3, e5m2: u8; s16: u16 */
}

static bool read_map_lists(LaunchReader *r, const YmlNode *n, TensorMap *m)
{
    const YmlNode *dims, *box, *strides;
    const YmlPair *steps = yml_find(n, "element_strides");
    uint64_t box64[TMAP_RANK], steps64[TMAP_RANK] = {1, 1, 1, 1, 1};
    if (!yml_need(n, "'tensormap'", "dims", &dims, r->err) ||
        !yml_need(n, "'tensormap'", "box", &box, r->err) ||
        !read_list(r, dims, (ListRule){"dims", 1, TMAP_RANK, 1, MAP_DIM_MAX}, m->dims))
        return false;
    m->rank = dims->n;
    if ((m->rank > 1 || yml_find(n, "strides")) &&
        (!yml_need(n, "'tensormap'", "strides", &strides, r->err) ||
         !read_list(r, strides, (ListRule){"strides", m->rank - 1, m->rank - 1, 1, MAP_STRIDE_MAX},
                    &m->strides[1])))
        return false;
    if (!read_list(r, box, (ListRule){"box", m->rank, m->rank, 1, MAP_BOX_MAX}, box64))
        return false;
    if (steps &&
        !read_list(r, steps->value,
                   (ListRule){"element_strides", m->rank, m->rank, 1, MAP_ELEMENT_STRIDE_MAX},
                   steps64))
        return false;
    for (uint32_t i = 0; i < TMAP_RANK; i++) {
        m->box[i] = i < m->rank ? (uint32_t)box64[i] : 1;
        m->element_strides[i] = (uint32_t)steps64[i];
        m->dims[i] = i < m->rank ? m->dims[i] : 1;
    }
    return true;
}

static bool read_map_word(LaunchReader *r, const YmlNode *n, const char *key,
                          const char *const *words, uint32_t *out)
{
    char what[32];
    snprintf(what, sizeof what, "'%s'", key);
    const YmlPair *p = yml_find(n, key);
    return !p || yml_choice(p->value, what, words, out, r->err);
}

/* The map's parts fit each other, and all of it fits the tensor. */
static bool check_map(LaunchReader *r, const YmlNode *n, const TensorMap *m, const Tensor *t)
{
    uint8_t bytes[TMAP_BYTES];
    Err why = {0};
    if (!tensor_map_encode(m, bytes, &why))
        return err_set(r->err, why.kind, n->loc, "%s", why.msg);
    uint64_t end = m->strides[0]; /* of the last element, in bytes */
    for (uint32_t i = 0; i < m->rank && end <= t->bytes; i++) {
        bool beyond =
            m->dims[i] - 1 > t->bytes / m->strides[i]; /* the product might not fit 64 bits */
        end = beyond ? UINT64_MAX : end + (m->dims[i] - 1) * m->strides[i];
    }
    if (end == UINT64_MAX)
        return err_set(r->err, ERR_SEMANTIC, n->loc,
                       "the map spans far more than tensor '%s', which has %" PRIu64 " bytes",
                       t->name, t->bytes);
    if (end > t->bytes)
        return err_set(r->err, ERR_SEMANTIC, n->loc,
                       "the map spans %" PRIu64 " bytes, but tensor '%s' has %" PRIu64, end,
                       t->name, t->bytes);
    return true;
}

static bool read_map(LaunchReader *r, const YmlNode *n, Arg *arg)
{
    static const char *const keys[] = {"tensor",          "dims",       "strides", "box",
                                       "swizzle",         "interleave", "oob",     "l2",
                                       "element_strides", "dtype",      "im2col",  NULL};
    const YmlNode *tensor, *swizzle;
    if (!yml_map_of(n, "'tensormap'", keys, r->err) ||
        !yml_need(n, "'tensormap'", "tensor", &tensor, r->err) ||
        !read_tensor_name(r, tensor, "'tensor'", &arg->tensor))
        return false;
    const YmlPair *im2col = yml_find(n, "im2col");
    if (im2col)
        return err_set(r->err, ERR_UNSUPPORTED, im2col->loc, "im2col tensor maps are not modelled");
    const Tensor *t = &r->l->tensors[arg->tensor];
    TensorMap *m = arg->map = arena_new(r->a, TensorMap, 1);
    uint32_t dtype = default_map_type(t), words[4] = {0};
    if (!yml_need(n, "'tensormap'", "swizzle", &swizzle, r->err) || !read_map_lists(r, n, m) ||
        !read_map_word(r, n, "dtype", map_types, &dtype) ||
        !read_map_word(r, n, "swizzle", swizzles, &words[0]) ||
        !read_map_word(r, n, "interleave", interleaves, &words[1]) ||
        !read_map_word(r, n, "oob", fills, &words[2]) ||
        !read_map_word(r, n, "l2", promotions, &words[3]))
        return false;
    m->dtype = dtype;
    m->strides[0] = tensor_map_elem_bits(dtype) / 8;
    m->swizzle = words[0];
    m->interleave = words[1];
    m->oob_nan = words[2] != 0;
    m->l2_promotion = words[3];
    return check_map(r, n, m, t);
}

static int hex_digit(char c)
{
    return isdigit((unsigned char)c)    ? c - '0'
           : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
                                        : -1;
}

/* Hexadecimal bytes; blanks between them are skipped. */
static bool read_hex(LaunchReader *r, const YmlNode *n, Arg *arg)
{
    const char *text;
    if (!yml_word(n, "'bytes'", &text, r->err))
        return false;
    arg->blob = arena_alloc(r->a, strlen(text) / 2 + 1);
    for (const char *p = text; *p;) {
        if (isspace((unsigned char)*p)) {
            p++;
            continue;
        }
        int hi = hex_digit(p[0]), lo = hi < 0 ? -1 : hex_digit(p[1]);
        if (lo < 0)
            return err_set(r->err, ERR_SEMANTIC, n->loc,
                           "'bytes' must be pairs of hexadecimal digits, not '%.2s'", p);
        arg->blob[arg->blob_bytes++] = (uint8_t)(hi << 4 | lo);
        p += 2;
    }
    if (arg->blob_bytes == 0 || arg->blob_bytes > MAX_PARAM_BYTES)
        return err_set(r->err, ERR_SEMANTIC, n->loc, "'bytes' must hold 1..%u bytes, not %u",
                       MAX_PARAM_BYTES, arg->blob_bytes);
    return true;
}

static bool read_pointer(LaunchReader *r, const YmlNode *n, Arg *arg, ArgPointer *out)
{
    static const char *const keys[] = {"at", "tensor", "offset", NULL};
    const YmlNode *at, *tensor;
    const YmlPair *offset = yml_find(n, "offset");
    uint64_t v;
    if (!yml_map_of(n, "a pointer", keys, r->err) || !yml_need(n, "a pointer", "at", &at, r->err) ||
        !yml_need(n, "a pointer", "tensor", &tensor, r->err) ||
        !read_tensor_name(r, tensor, "'tensor'", &out->tensor))
        return false;
    if (arg->blob_bytes < POINTER_BYTES)
        return err_set(r->err, ERR_SEMANTIC, at->loc, "no room for a pointer in %u bytes",
                       arg->blob_bytes);
    if (!yml_uint(at, "'at'", 0, arg->blob_bytes - POINTER_BYTES, &v, r->err))
        return false;
    out->at = (uint32_t)v;
    if (offset && !yml_uint(offset->value, "'offset'", 0, r->l->tensors[out->tensor].bytes,
                            &out->offset, r->err))
        return false;
    for (uint32_t i = 0; i < arg->n_pointers; i++) {
        uint32_t other = arg->pointers[i].at;
        if (out->at < other + POINTER_BYTES && other < out->at + POINTER_BYTES)
            return err_set(r->err, ERR_SEMANTIC, at->loc,
                           "the pointer at %u overlaps the one at %u", out->at, other);
    }
    return true;
}

static bool read_bytes(LaunchReader *r, const YmlNode *n, Arg *arg)
{
    static const char *const keys[] = {"bytes", "pointers", NULL};
    arg->kind = ARG_BYTES;
    const YmlPair *pointers = yml_find(n, "pointers");
    const YmlNode *bytes;
    if (!yml_map_of(n, "an argument of bytes", keys, r->err) ||
        !yml_need(n, "an argument of bytes", "bytes", &bytes, r->err) || !read_hex(r, bytes, arg))
        return false;
    if (!pointers)
        return true;
    const YmlNode *list = pointers->value;
    if (!yml_is_list(list, "'pointers'", r->err))
        return false;
    if (list->n > MAX_PARAM_BYTES / POINTER_BYTES)
        return err_set(r->err, ERR_SEMANTIC, list->loc, "more pointers than bytes can hold");
    arg->pointers = arena_new(r->a, ArgPointer, list->n + 1);
    for (uint32_t i = 0; i < list->n; i++) {
        if (!read_pointer(r, list->items[i], arg, &arg->pointers[i]))
            return false;
        arg->n_pointers++;
    }
    return true;
}

static bool read_arg(LaunchReader *r, const YmlNode *n, Arg *arg)
{
    static const char *const kinds[] = {"u8",  "u16", "u32",       "u64",   "s8",
                                        "s16", "s32", "s64",       "f16",   "bf16",
                                        "f32", "f64", "tensormap", "bytes", NULL};
    *arg = (Arg){.loc = n->loc, .tensor = -1};
    if (n->kind == YML_SCALAR) {
        arg->kind = ARG_TENSOR;
        return read_tensor_name(r, n, "an argument", &arg->tensor);
    }
    if (n->kind == YML_MAP && yml_find(n, "bytes"))
        return read_bytes(r, n, arg);
    if (n->kind != YML_MAP || n->n != 1)
        return err_set(
            r->err, ERR_SEMANTIC, n->loc,
            "an argument must be a tensor's name or one of {u8..u64: ..}, {s8..s64: ..}, {f16: "
            "..}, "
            "{bf16: ..}, {f32: ..}, {f64: ..}, {tensormap: ..}, {bytes: .., pointers: ..}");
    const YmlPair *p = &n->pairs[0];
    if (!yml_map_of(n, "an argument", kinds, r->err))
        return false;
    if (strcmp(p->key, "tensormap") == 0) {
        arg->kind = ARG_TENSORMAP;
        return read_map(r, p->value, arg);
    }
    arg->kind = ARG_SCALAR;
    uint32_t i = 0;
    while (strcmp(elem_names[i], p->key) != 0)
        i++;
    arg->type = elem_at(i)->type;
    return elem_at(i)->kind == 'F' ? read_float(r, p->value, elem_at(i), arg)
                                   : read_integer(r, p->value, elem_at(i), arg);
}

bool read_args(LaunchReader *r, const YmlNode *n, KernelLaunch *k)
{
    if (!yml_is_list(n, "'args'", r->err))
        return false;
    if (n->n > MAX_ARGS)
        return err_set(r->err, ERR_SEMANTIC, n->loc, "more than %u arguments", MAX_ARGS);
    k->args = arena_new(r->a, Arg, n->n + 1);
    for (uint32_t i = 0; i < n->n; i++) {
        if (!read_arg(r, n->items[i], &k->args[i]))
            return false;
        k->n_args++;
    }
    return true;
}
