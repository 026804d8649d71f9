/* Reads a launch file: what the file, its tensors, its kernels and their roles say. Arguments:
 * args.c; checks: checks.c. What can be judged without the PTX and without running is judged here,
 * with the place. */
#include "sim/launch/launch.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "sim/launch/elem.h"
#include "sim/launch/reader.h"

#define MAX_TENSORS 1024u
#define MAX_LAUNCHES 1024u
#define MAX_TENSOR_BYTES ((uint64_t)1 << 40)
#define MAX_STD 1e30
#define WARP_THREADS 32u

/* CUDA C++ Programming Guide, "Technical Specifications per Compute Capability", 9.0 and 10.0. */
#define MAX_BLOCK_THREADS 1024u
#define MAX_BLOCK_Z 64u
#define MAX_GRID_X 0x7fffffffu
#define MAX_GRID_YZ 65535u
#define MAX_CLUSTER 16u /* CTAs; above 8 is non-portable */

bool read_tensor_name(LaunchReader *r, const YmlNode *n, const char *what, int32_t *out)
{
    const char *word;
    if (!yml_word(n, what, &word, r->err))
        return false;
    for (*out = 0; r->tensor_names[*out]; ++*out)
        if (strcmp(r->tensor_names[*out], word) == 0)
            return true;
    char hint[512];
    yml_suggest(hint, sizeof hint, word, r->tensor_names);
    return err_set(r->err, ERR_SEMANTIC, n->loc, "%s: there is no tensor '%.60s'%s", what, word,
                   hint);
}

bool read_path(LaunchReader *r, const YmlNode *n, const char *what, const char **out)
{
    const char *word;
    if (!yml_word(n, what, &word, r->err))
        return false;
    const char *slash = strrchr(r->l->path, '/');
    *out = word;
    if (slash && word[0] != '/')
        *out = arena_printf(r->a, "%.*s/%s", (int)(slash - r->l->path), r->l->path, word);
    return true;
}

static bool read_normal(LaunchReader *r, const YmlNode *n, Tensor *t)
{
    static const char *const keys[] = {"seed", "std", NULL};
    const YmlNode *seed, *std;
    t->init = INIT_NORMAL;
    if (!yml_map_of(n, "'normal'", keys, r->err) ||
        !yml_need(n, "'normal'", "seed", &seed, r->err) ||
        !yml_need(n, "'normal'", "std", &std, r->err) ||
        !yml_uint(seed, "'seed'", 0, UINT64_MAX, &t->seed, r->err) ||
        !yml_number(std, "'std'", &t->std, r->err))
        return false;
    if (t->std < 0 || t->std > MAX_STD)
        return err_set(r->err, ERR_SEMANTIC, std->loc, "'std' must be 0..%g, not '%s'", MAX_STD,
                       std->text);
    return true;
}

static bool read_uniform(LaunchReader *r, const YmlNode *n, Tensor *t)
{
    static const char *const keys[] = {"seed", "lo", "hi", NULL};
    const YmlNode *seed, *lo, *hi;
    t->init = INIT_UNIFORM;
    if (!yml_map_of(n, "'uniform'", keys, r->err) ||
        !yml_need(n, "'uniform'", "seed", &seed, r->err) ||
        !yml_need(n, "'uniform'", "lo", &lo, r->err) ||
        !yml_need(n, "'uniform'", "hi", &hi, r->err) ||
        !yml_uint(seed, "'seed'", 0, UINT64_MAX, &t->seed, r->err) ||
        !yml_number(lo, "'lo'", &t->lo, r->err) || !yml_number(hi, "'hi'", &t->hi, r->err))
        return false;
    const Elem *e = elem_of(t->dtype);
    const YmlNode *const ends[] = {lo, hi};
    for (int i = 0; i < 2; i++) {
        double v = i ? t->hi : t->lo;
        if (v < e->lo || v > e->hi || (e->kind != 'F' && floor(v) != v))
            return err_set(r->err, ERR_SEMANTIC, ends[i]->loc, "'%s' is not a value of %s",
                           ends[i]->text, e->name);
    }
    if (t->lo > t->hi)
        return err_set(r->err, ERR_SEMANTIC, hi->loc, "'hi' must not be below 'lo' (%s)", lo->text);
    return true;
}

static bool read_init(LaunchReader *r, const YmlNode *n, Tensor *t)
{
    static const char *const words[] = {"zeros",         "poison",     "{normal: ..}",
                                        "{uniform: ..}", "{file: ..}", NULL};
    static const char *const forms[] = {"normal", "uniform", "file", NULL};
    uint32_t word = 0;
    if (n->kind == YML_SCALAR && !yml_choice(n, "'init'", words, &word, r->err))
        return false;
    if (n->kind == YML_SCALAR && word < 2) {
        t->init = word ? INIT_POISON : INIT_ZEROS;
        return true;
    }
    if (n->kind != YML_MAP || n->n != 1)
        return err_set(
            r->err, ERR_SEMANTIC, n->loc,
            "'init' must be one of zeros, poison, {normal: ..}, {uniform: ..}, {file: ..}");
    if (!yml_map_of(n, "'init'", forms, r->err))
        return false;
    const YmlPair *p = &n->pairs[0];
    if (strcmp(p->key, "normal") == 0)
        return read_normal(r, p->value, t);
    if (strcmp(p->key, "uniform") == 0)
        return read_uniform(r, p->value, t);
    t->init = INIT_FILE;
    return read_path(r, p->value, "'file'", &t->file);
}

static bool read_shape(LaunchReader *r, const YmlNode *n, Tensor *t)
{
    if (!yml_is_list(n, "'shape'", r->err))
        return false;
    if (n->n < 1 || n->n > 8)
        return err_set(r->err, ERR_SEMANTIC, n->loc, "'shape' must have 1..8 dimensions, not %u",
                       n->n);
    t->rank = n->n;
    t->elems = 1;
    for (uint32_t i = 0; i < n->n; i++) {
        if (!yml_uint(n->items[i], "a dimension", 1, MAX_TENSOR_BYTES, &t->shape[i], r->err))
            return false;
        if (t->shape[i] > MAX_TENSOR_BYTES / t->elem_bytes / t->elems)
            return err_set(r->err, ERR_SEMANTIC, n->loc, "a tensor of more than %" PRIu64 " bytes",
                           MAX_TENSOR_BYTES);
        t->elems *= t->shape[i];
    }
    t->bytes = t->elems * t->elem_bytes;
    return true;
}

static bool is_name(const char *s)
{
    if (!isalpha((unsigned char)*s) && *s != '_')
        return false;
    while (isalnum((unsigned char)*s) || *s == '_' || *s == '.')
        s++;
    return *s == 0;
}

static bool read_tensor(LaunchReader *r, const YmlPair *p, Tensor *t)
{
    static const char *const keys[] = {"dtype", "shape", "init", "address", NULL};
    *t = (Tensor){.name = p->key, .loc = p->loc};
    char what[96];
    snprintf(what, sizeof what, "tensor '%.60s'", p->key);
    if (!is_name(p->key) || strlen(p->key) > 60)
        return err_set(r->err, ERR_SEMANTIC, p->loc,
                       "'%.60s' cannot name a tensor (letters, digits, '_', '.'; at most 60)",
                       p->key);
    const YmlNode *dtype, *shape, *init;
    uint32_t i;
    if (!yml_map_of(p->value, what, keys, r->err) ||
        !yml_need(p->value, what, "dtype", &dtype, r->err) ||
        !yml_need(p->value, what, "shape", &shape, r->err) ||
        !yml_need(p->value, what, "init", &init, r->err) ||
        !yml_choice(dtype, "'dtype'", elem_names, &i, r->err))
        return false;
    t->dtype = elem_at(i)->type;
    t->elem_bytes = elem_at(i)->bytes;
    const YmlPair *at = yml_find(p->value, "address");
    return read_shape(r, shape, t) && read_init(r, init, t) &&
           (!at || yml_uint(at->value, "'address'", 1, INT64_MAX, &t->wanted, r->err));
}

static bool read_tensors(LaunchReader *r, const YmlNode *n)
{
    if (!yml_is_map(n, "'tensors'", r->err))
        return false;
    if (n->n > MAX_TENSORS)
        return err_set(r->err, ERR_SEMANTIC, n->loc, "more than %u tensors", MAX_TENSORS);
    r->l->tensors = arena_new(r->a, Tensor, n->n);
    r->tensor_names = arena_new(r->a, const char *, n->n + 1);
    r->l->n_tensors = n->n;
    uint64_t total = 0;
    for (uint32_t i = 0; i < n->n; i++) {
        if (!read_tensor(r, &n->pairs[i], &r->l->tensors[i]))
            return false;
        r->tensor_names[i] = r->l->tensors[i].name;
        total += r->l->tensors[i].bytes;
        if (total > MAX_TENSOR_BYTES)
            return err_set(r->err, ERR_SEMANTIC, n->pairs[i].loc,
                           "tensors of more than %" PRIu64 " bytes together", MAX_TENSOR_BYTES);
    }
    return true;
}

/* [x], [x, y] or [x, y, z]; what is left out is 1. */
static bool read_dim3(LaunchReader *r, const YmlNode *n, const char *what, const uint32_t most[3],
                      uint32_t out[3])
{
    if (!yml_is_list(n, what, r->err))
        return false;
    if (n->n < 1 || n->n > 3)
        return err_set(r->err, ERR_SEMANTIC, n->loc, "%s must have 1..3 numbers, not %u", what,
                       n->n);
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t v = 1;
        char axis[40];
        snprintf(axis, sizeof axis, "%s.%c", what, 'x' + (char)i);
        if (i < n->n && !yml_uint(n->items[i], axis, 1, most[i], &v, r->err))
            return false;
        out[i] = (uint32_t)v;
    }
    return true;
}

static bool read_geometry(LaunchReader *r, const YmlNode *n, KernelLaunch *k)
{
    static const uint32_t grid_max[] = {MAX_GRID_X, MAX_GRID_YZ, MAX_GRID_YZ};
    static const uint32_t block_max[] = {MAX_BLOCK_THREADS, MAX_BLOCK_THREADS, MAX_BLOCK_Z};
    static const uint32_t cluster_max[] = {MAX_CLUSTER, MAX_CLUSTER, MAX_CLUSTER};
    const YmlNode *grid, *block;
    const YmlPair *cluster = yml_find(n, "cluster"), *shared = yml_find(n, "shared");
    if (!yml_need(n, "the launch", "grid", &grid, r->err) ||
        !yml_need(n, "the launch", "block", &block, r->err) ||
        !read_dim3(r, grid, "grid", grid_max, k->grid) ||
        !read_dim3(r, block, "block", block_max, k->block))
        return false;
    uint32_t threads = k->block[0] * k->block[1] * k->block[2];
    if (threads > MAX_BLOCK_THREADS)
        return err_set(r->err, ERR_SEMANTIC, block->loc, "a block of %u threads; at most %u",
                       threads, MAX_BLOCK_THREADS);
    for (int i = 0; i < 3; i++)
        k->cluster[i] = 1;
    if (cluster && !read_dim3(r, cluster->value, "cluster", cluster_max, k->cluster))
        return false;
    if (k->cluster[0] * k->cluster[1] * k->cluster[2] > MAX_CLUSTER)
        return err_set(r->err, ERR_SEMANTIC, cluster->value->loc,
                       "a cluster of %u CTAs; at most %u",
                       k->cluster[0] * k->cluster[1] * k->cluster[2], MAX_CLUSTER);
    for (int i = 0; i < 3; i++)
        if (k->grid[i] % k->cluster[i])
            return err_set(r->err, ERR_SEMANTIC, grid->loc,
                           "grid.%c %u is not a multiple of cluster.%c %u", 'x' + i, k->grid[i],
                           'x' + i, k->cluster[i]);
    uint64_t bytes = 0;
    if (shared && !yml_uint(shared->value, "'shared'", 0, SHARED_MAX, &bytes, r->err))
        return false;
    k->shared = (uint32_t)bytes;
    const YmlPair *cooperative = yml_find(n, "cooperative");
    return !cooperative || yml_bool(cooperative->value, "'cooperative'", &k->cooperative, r->err);
}

/* "5" or "4-7" */
static bool read_range(LaunchReader *r, const YmlNode *n, uint32_t n_warps, uint64_t *warps)
{
    const char *text = n->kind == YML_SCALAR ? n->text : "";
    const char *dash = strchr(text, '-');
    size_t len = dash ? (size_t)(dash - text) : strlen(text);
    char first[24];
    uint64_t lo, hi;
    snprintf(first, sizeof first, "%.*s", (int)(len < 23 ? len : 23), text);
    if (!yml_text_uint(first, &lo) || !yml_text_uint(dash ? dash + 1 : first, &hi) || lo > hi)
        return err_set(r->err, ERR_SEMANTIC, n->loc,
                       "warps must be like 3, 0-3 or [0-3, 8], not '%.60s'", text);
    if (hi >= n_warps)
        return err_set(r->err, ERR_SEMANTIC, n->loc,
                       "warp %" PRIu64 " of a block of %u warps (0..%u)", hi, n_warps, n_warps - 1);
    for (uint64_t i = lo; i <= hi; i++)
        *warps |= (uint64_t)1 << i;
    return true;
}

static bool read_role(LaunchReader *r, const YmlPair *p, uint32_t n_warps, KernelLaunch *k)
{
    Role role = {.name = p->key};
    if (!is_name(p->key) || strlen(p->key) > 60)
        return err_set(r->err, ERR_SEMANTIC, p->loc,
                       "'%.60s' cannot name a role (letters, digits, '_', '.'; at most 60)",
                       p->key);
    const YmlNode *n = p->value;
    const YmlNode *const *ranges = n->kind == YML_LIST ? n->items : &p->value;
    uint32_t n_ranges = n->kind == YML_LIST ? n->n : 1;
    if (n_ranges == 0)
        return err_set(r->err, ERR_SEMANTIC, n->loc, "role '%s' has no warps", p->key);
    for (uint32_t i = 0; i < n_ranges; i++) {
        uint64_t warps = 0;
        if (!read_range(r, ranges[i], n_warps, &warps))
            return false;
        const char *other = role.warps & warps ? role.name : NULL;
        uint64_t twice = role.warps & warps;
        for (uint32_t j = 0; j < k->n_roles && !twice; j++) {
            twice = k->roles[j].warps & warps;
            other = k->roles[j].name;
        }
        if (twice)
            return err_set(r->err, ERR_SEMANTIC, ranges[i]->loc, "warp %d is already in role '%s'",
                           __builtin_ctzll(twice), other);
        role.warps |= warps;
    }
    k->roles[k->n_roles++] = role;
    return true;
}

/* The warps nobody named become role "other", so that each warp has one; without `roles:` it is
 * "all". */
static bool read_roles(LaunchReader *r, const YmlNode *n, KernelLaunch *k)
{
    uint32_t n_warps = (k->block[0] * k->block[1] * k->block[2] + WARP_THREADS - 1) / WARP_THREADS;
    if (n && !yml_is_map(n, "'roles'", r->err))
        return false;
    k->roles = arena_new(r->a, Role, (n ? n->n : 0) + 1);
    uint64_t rest = ((uint64_t)1 << n_warps) - 1;
    for (uint32_t i = 0; n && i < n->n; i++) {
        if (!read_role(r, &n->pairs[i], n_warps, k))
            return false;
        rest &= ~k->roles[i].warps;
    }
    if (!rest)
        return true;
    for (uint32_t i = 0; i < k->n_roles; i++) {
        if (strcmp(k->roles[i].name, "other") == 0) {
            k->roles[i].warps |= rest;
            return true;
        }
    }
    k->roles[k->n_roles++] = (Role){n ? "other" : "all", rest};
    return true;
}

/* `global_variables: t` and `const_variables: t`: tensors that hold what the module's variables
 * held. */
static bool read_variables(LaunchReader *r, const YmlNode *n, KernelLaunch *k)
{
    static const char *const keys[2] = {"global_variables", "const_variables"};
    for (int i = 0; i < 2; i++) {
        const YmlPair *p = yml_find(n, keys[i]);
        int32_t t;
        if (!p)
            continue;
        if (!read_tensor_name(r, p->value, keys[i], &t))
            return false;
        k->variables[i] = &r->l->tensors[t];
    }
    return true;
}

static bool read_kernel(LaunchReader *r, const YmlNode *n, KernelLaunch *k)
{
    *k = (KernelLaunch){.loc = n->loc};
    const YmlPair *kernel = yml_find(n, "kernel"), *args = yml_find(n, "args"),
                  *roles = yml_find(n, "roles"), *flops = yml_find(n, "flops");
    const YmlNode *ptx;
    if (!yml_need(n, "the launch", "ptx", &ptx, r->err) || !read_path(r, ptx, "'ptx'", &k->ptx))
        return false;
    if (kernel && !yml_word(kernel->value, "'kernel'", &k->kernel, r->err))
        return false;
    if (!read_geometry(r, n, k) || !read_variables(r, n, k) ||
        !read_roles(r, roles ? roles->value : NULL, k))
        return false;
    if (flops && !yml_number(flops->value, "'flops'", &k->flops, r->err))
        return false;
    if (k->flops < 0)
        return err_set(r->err, ERR_SEMANTIC, flops->value->loc, "'flops' must not be negative");
    return !args || read_args(r, args->value, k);
}

/* `launches:` with the keys of a launch beside it: say where they belong, not that they are
 * unknown. */
static bool read_many(LaunchReader *r, const YmlNode *root, const YmlNode *list,
                      const char *const *keys)
{
    static const char *const top[] = {"tensors", "check", "launches", NULL};
    for (uint32_t i = 0; i < root->n; i++)
        for (const char *const *k = keys; *k; k++)
            if (strcmp(root->pairs[i].key, *k) == 0)
                return err_set(r->err, ERR_SEMANTIC, root->pairs[i].loc,
                               "'%s' belongs in the entries of 'launches'", *k);
    if (!yml_map_of(root, "a launch file", top, r->err) || !yml_is_list(list, "'launches'", r->err))
        return false;
    if (list->n < 1 || list->n > MAX_LAUNCHES)
        return err_set(r->err, ERR_SEMANTIC, list->loc,
                       "'launches' must have 1..%u entries, not %u", MAX_LAUNCHES, list->n);
    r->l->launches = arena_new(r->a, KernelLaunch, list->n);
    for (uint32_t i = 0; i < list->n; i++) {
        if (!yml_map_of(list->items[i], "a launch", keys, r->err) ||
            !read_kernel(r, list->items[i], &r->l->launches[i]))
            return false;
        r->l->n_launches++;
    }
    return true;
}

static bool read_root(LaunchReader *r, const YmlNode *root)
{
    static const char *const one[] = {"ptx",
                                      "kernel",
                                      "grid",
                                      "block",
                                      "cluster",
                                      "shared",
                                      "cooperative",
                                      "tensors",
                                      "args",
                                      "check",
                                      "roles",
                                      "flops",
                                      "launches",
                                      "global_variables",
                                      "const_variables",
                                      NULL};
    static const char *const launch[] = {
        "ptx",         "kernel", "grid",  "block", "cluster",          "shared",
        "cooperative", "args",   "roles", "flops", "global_variables", "const_variables",
        NULL};
    static const YmlNode no_tensors = {.kind = YML_MAP};
    if (!yml_is_map(root, "a launch file", r->err))
        return false;
    const YmlPair *launches = yml_find(root, "launches"), *tensors = yml_find(root, "tensors"),
                  *check = yml_find(root, "check");
    if (!launches && !yml_map_of(root, "a launch file", one, r->err))
        return false;
    if (!read_tensors(r, tensors ? tensors->value : &no_tensors))
        return false;
    if (launches) {
        if (!read_many(r, root, launches->value, launch))
            return false;
    } else {
        r->l->launches = arena_new(r->a, KernelLaunch, 1);
        r->l->n_launches = 1;
        if (!read_kernel(r, root, &r->l->launches[0]))
            return false;
    }
    return !check || read_checks(r, check->value);
}

static bool read_tree(Arena *a, const char *path, const YmlNode *root, Launch **out, Err *err)
{
    *out = arena_new(a, Launch, 1);
    (*out)->path = path;
    LaunchReader r = {.a = a, .l = *out, .err = err};
    return read_root(&r, root);
}

bool launch_parse_text(Arena *a, const char *path, const char *text, size_t len, Launch **out,
                       Err *err)
{
    const YmlNode *root;
    path = arena_str(a, path, strlen(path));
    return yml_parse(a, path, text, len, &root, err) && read_tree(a, path, root, out, err);
}

bool launch_load(Arena *a, const char *path, Launch **out, Err *err)
{
    const YmlNode *root;
    path = arena_str(a, path, strlen(path));
    return yml_load(a, path, &root, err) && read_tree(a, path, root, out, err);
}
