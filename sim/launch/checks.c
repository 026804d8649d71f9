/* Reads `check:`: what must come out. The shapes of what a reference takes and gives are compared
 * here, so that the reference itself need not doubt them. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "sim/launch/elem.h"
#include "sim/launch/reader.h"

#define MAX_CHECKS 1024u
#define MAX_SCALE 1e6

/* The inputs a reference takes, in the order of Check.in, and the keys of its entry. */
typedef struct RefRule {
    const char *inputs[4];
    const char *keys[12];
} RefRule;

static const char *const references[] = {"attention", "attention_lse", "attention_bwd",
                                         "matmul",    "softmax",       NULL};
static const RefRule rules[] = {
    {{"q", "k", "v"}, {"tensor", "reference", "q", "k", "v", "causal", "scale", "max_rel_err"}},
    {{"q", "k"}, {"tensor", "reference", "q", "k", "v", "causal", "scale", "max_rel_err"}},
    {{NULL}, {NULL}},
    {{"a", "b"}, {"tensor", "reference", "a", "b", "transpose_b", "max_rel_err"}},
    {{"x"}, {"tensor", "reference", "x", "max_rel_err"}},
};

/* Product of all dimensions but the last `last`. */
static uint64_t leading(const Tensor *t, uint32_t last)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i + last < t->rank; i++)
        n *= t->shape[i];
    return n;
}

static uint64_t dim_from_end(const Tensor *t, uint32_t i)
{
    return t->shape[t->rank - 1 - i];
}

static bool shape_error(LaunchReader *r, const Check *c, const char *want)
{
    err_set(r->err, ERR_SEMANTIC, c->loc, "shapes do not fit %s:", want);
    const int32_t tensors[] = {c->tensor, c->in[0], c->in[1], c->in[2]};
    for (int i = 0; i < 4; i++) {
        if (tensors[i] < 0)
            continue;
        const Tensor *t = &r->l->tensors[tensors[i]];
        err_append(r->err, "%s %s [", i ? "," : "", t->name);
        for (uint32_t k = 0; k < t->rank; k++)
            err_append(r->err, "%s%" PRIu64, k ? ", " : "", t->shape[k]);
        err_append(r->err, "]");
    }
    return false;
}

static bool fit_attention(LaunchReader *r, const Check *c)
{
    const Tensor *t = r->l->tensors, *out = &t[c->tensor], *q = &t[c->in[0]], *k = &t[c->in[1]];
    const Tensor *v = c->in[2] < 0 ? k : &t[c->in[2]];
    bool lse = c->ref == REF_ATTENTION_LSE;
    bool ok = q->rank >= 2 && k->rank >= 2 && v->rank >= 2 && out->rank >= (lse ? 1 : 2) &&
              dim_from_end(q, 0) == dim_from_end(k, 0) &&
              dim_from_end(v, 1) == dim_from_end(k, 1) && leading(v, 2) == leading(k, 2) &&
              leading(q, 2) % leading(k, 2) == 0;
    if (ok && lse)
        ok = dim_from_end(out, 0) == dim_from_end(q, 1) && leading(out, 1) == leading(q, 2);
    else if (ok)
        ok = dim_from_end(out, 0) == dim_from_end(v, 0) &&
             dim_from_end(out, 1) == dim_from_end(q, 1) && leading(out, 2) == leading(q, 2);
    if (ok)
        return true;
    return shape_error(
        r, c,
        lse ? "attention_lse ([.., Sq] from q [.., Sq, D], k [.., Sk, D])"
            : "attention ([.., Sq, Dv] from q [.., Sq, D], k [.., Sk, D], v [.., Sk, Dv])");
}

static bool fit_matmul(LaunchReader *r, const Check *c)
{
    const Tensor *t = r->l->tensors, *out = &t[c->tensor], *a = &t[c->in[0]], *b = &t[c->in[1]];
    bool ok = a->rank >= 2 && b->rank >= 2 && out->rank >= 2 && leading(out, 2) == leading(a, 2) &&
              (b->rank == 2 || leading(b, 2) == leading(a, 2)) &&
              dim_from_end(out, 1) == dim_from_end(a, 1) &&
              dim_from_end(a, 0) == dim_from_end(b, c->transpose_b ? 0 : 1) &&
              dim_from_end(out, 0) == dim_from_end(b, c->transpose_b ? 1 : 0);
    if (ok)
        return true;
    return shape_error(r, c,
                       c->transpose_b ? "matmul ([.., M, N] from a [.., M, K], b [N, K])"
                                      : "matmul ([.., M, N] from a [.., M, K], b [K, N])");
}

static bool fit_softmax(LaunchReader *r, const Check *c)
{
    const Tensor *t = r->l->tensors, *out = &t[c->tensor], *x = &t[c->in[0]];
    bool ok = out->rank == x->rank;
    for (uint32_t i = 0; ok && i < x->rank; i++)
        ok = out->shape[i] == x->shape[i];
    return ok || shape_error(r, c, "softmax (both alike)");
}

static bool fit(LaunchReader *r, const Check *c)
{
    switch (c->ref) {
    case REF_ATTENTION:
    case REF_ATTENTION_LSE:
        return fit_attention(r, c);
    case REF_MATMUL:
        return fit_matmul(r, c);
    case REF_SOFTMAX:
        return fit_softmax(r, c);
    case REF_ATTENTION_BWD:
    case REF_FILE:
        return true;
    }
    return true;
}

static bool read_reference(LaunchReader *r, const YmlNode *n, Check *c)
{
    static const RefKind kinds[] = {REF_ATTENTION, REF_ATTENTION_LSE, REF_ATTENTION_BWD, REF_MATMUL,
                                    REF_SOFTMAX};
    const YmlNode *reference, *input;
    uint32_t id;
    char what[64];
    if (!yml_need(n, "a check", "reference", &reference, r->err) ||
        !yml_choice(reference, "'reference'", references, &id, r->err))
        return false;
    c->ref = kinds[id];
    if (c->ref == REF_ATTENTION_BWD)
        return err_set(r->err, ERR_UNSUPPORTED, reference->loc,
                       "attention_bwd is not computed here yet; compare with a file");
    snprintf(what, sizeof what, "a check with %s", references[id]);
    if (!yml_map_of(n, what, rules[id].keys, r->err))
        return false;
    for (uint32_t i = 0; i < 4 && rules[id].inputs[i]; i++)
        if (!yml_need(n, what, rules[id].inputs[i], &input, r->err) ||
            !read_tensor_name(r, input, rules[id].inputs[i], &c->in[i]))
            return false;
    const YmlPair *causal = yml_find(n, "causal"), *transpose = yml_find(n, "transpose_b");
    if ((causal && !yml_bool(causal->value, "'causal'", &c->causal, r->err)) ||
        (transpose && !yml_bool(transpose->value, "'transpose_b'", &c->transpose_b, r->err)))
        return false;
    if (c->ref == REF_ATTENTION || c->ref == REF_ATTENTION_LSE) {
        const YmlNode *scale;
        if (!yml_need(n, what, "scale", &scale, r->err) ||
            !yml_number(scale, "'scale'", &c->scale, r->err))
            return false;
        if (fabs(c->scale) > MAX_SCALE)
            return err_set(r->err, ERR_SEMANTIC, scale->loc, "'scale' must be within %g, not '%s'",
                           MAX_SCALE, scale->text);
    }
    return fit(r, c);
}

static bool read_check(LaunchReader *r, const YmlNode *n, Check *c)
{
    static const char *const file_keys[] = {"tensor", "file", "max_rel_err", NULL};
    *c = (Check){.loc = n->loc, .in = {-1, -1, -1, -1, -1, -1}};
    const YmlNode *tensor, *most;
    if (!yml_is_map(n, "a check", r->err))
        return false;
    const YmlPair *file = yml_find(n, "file");
    if (!file && !yml_find(n, "reference"))
        return err_set(r->err, ERR_SEMANTIC, n->loc, "a check needs 'reference' or 'file'");
    if (!yml_need(n, "a check", "tensor", &tensor, r->err) ||
        !read_tensor_name(r, tensor, "'tensor'", &c->tensor))
        return false;
    if (file) {
        c->ref = REF_FILE;
        if (!yml_map_of(n, "a check with a file", file_keys, r->err) ||
            !read_path(r, file->value, "'file'", &c->file))
            return false;
    } else if (!read_reference(r, n, c)) {
        return false;
    }
    if (!yml_need(n, "a check", "max_rel_err", &most, r->err) ||
        !yml_number(most, "'max_rel_err'", &c->max_rel_err, r->err))
        return false;
    if (c->max_rel_err < 0)
        return err_set(r->err, ERR_SEMANTIC, most->loc, "'max_rel_err' must not be negative");
    return true;
}

bool read_checks(LaunchReader *r, const YmlNode *n)
{
    if (!yml_is_list(n, "'check'", r->err))
        return false;
    if (n->n > MAX_CHECKS)
        return err_set(r->err, ERR_SEMANTIC, n->loc, "more than %u checks", MAX_CHECKS);
    r->l->checks = arena_new(r->a, Check, n->n + 1);
    for (uint32_t i = 0; i < n->n; i++) {
        if (!read_check(r, n->items[i], &r->l->checks[i]))
            return false;
        r->l->n_checks++;
    }
    return true;
}
