/* Bundles: a launch as files that `rao run` repeats. DIR/0003_kernel/ gets launch.yaml, the PTX,
 * and for each allocation that the launch can reach its bytes as NumPy file of u8. Every tensor has
 * its device address, so that pointers hidden in memory stay right. */
#include "sim/cuda/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct Bundle {
    Gpu *g;
    const char *dir;
    FILE *yaml;
    bool failed;
} Bundle;

static FILE *open_in(Bundle *b, const char *name)
{
    char path[2 * 4096];
    snprintf(path, sizeof path, "%s/%s", b->dir, name);
    FILE *f = fopen(path, "wb");
    if (!f) {
        gpu_say("cannot write %s: %s", path, strerror(errno));
        b->failed = true;
    }
    return f;
}

static void close_in(Bundle *b, FILE *f, const char *name)
{
    bool bad = f && ferror(f);
    if (f && (fclose(f) != 0 || bad)) {
        gpu_say("cannot write %s/%s: %s", b->dir, name, strerror(errno));
        b->failed = true;
    }
}

/* Version 1 of the format: the header is padded so that data start at a multiple of 64. */
static void write_npy(Bundle *b, const char *name, const void *data, uint64_t bytes)
{
    enum { PREFIX = 10, HEADER = 118 };
    char header[HEADER + 1];
    FILE *f = open_in(b, name);
    if (!f)
        return;
    int n = snprintf(header, sizeof header,
                     "{'descr': '|u1', 'fortran_order': False, 'shape': (%llu,), }",
                     (unsigned long long)bytes);
    memset(header + n, ' ', (size_t)(HEADER - n));
    header[HEADER - 1] = '\n';
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, PREFIX, f);
    fwrite(header, 1, HEADER, f);
    fwrite(data, 1, bytes, f);
    close_in(b, f, name);
}

/* All bytes 0xff: what memory holds that nobody has written. */
static bool is_poison(const uint8_t *p, uint64_t bytes)
{
    return p[0] == 0xff && memcmp(p, p + 1, bytes - 1) == 0;
}

static void write_tensor(Bundle *b, uint32_t i)
{
    uint64_t addr, bytes;
    void *host;
    const char *what;
    char file[32];
    mem_at(b->g->mem, i, &addr, &bytes, &host, &what);
    bool poison = is_poison(host, bytes);
    snprintf(file, sizeof file, "m%u.npy", i);
    fprintf(b->yaml, "  m%u: {dtype: u8, shape: [%llu], address: 0x%llx, init: ", i,
            (unsigned long long)bytes, (unsigned long long)addr);
    if (poison)
        fputs("poison", b->yaml);
    else
        fprintf(b->yaml, "{file: %s}", file);
    fprintf(b->yaml, "} # %s\n", what);
    if (!poison)
        write_npy(b, file, host, bytes);
}

/* A parameter as bytes, with the tensors that words of it point into. */
static void write_arg(Bundle *b, const uint8_t *p, uint64_t bytes)
{
    const char *comma = "";
    fputs("  - {bytes: \"", b->yaml);
    for (uint64_t i = 0; i < bytes; i++)
        fprintf(b->yaml, "%02x", p[i]);
    fputs("\", pointers: [", b->yaml);
    for (uint64_t at = 0; at + 8 <= bytes; at += 8) {
        uint64_t word, start, size;
        memcpy(&word, p + at, sizeof word);
        if (!mem_object(b->g->mem, word, &start, &size))
            continue;
        fprintf(b->yaml, "%s{at: %llu, tensor: m%u, offset: %llu}", comma, (unsigned long long)at,
                mem_index(b->g->mem, word), (unsigned long long)(word - start));
        comma = ", ";
    }
    fputs("]}\n", b->yaml);
}

static void write_yaml(Bundle *b, const LaunchOp *op, const bool *reached)
{
    const GpuModule *m = op->kernel->module;
    FILE *f = b->yaml;
    fprintf(f, "# Launch of a program under rao exec --capture.\nptx: \"%s\"\nkernel: \"%s\"\n",
            m->name, gpu_kernel_name(op->kernel));
    fprintf(f, "grid: [%u, %u, %u]\nblock: [%u, %u, %u]\ncluster: [%u, %u, %u]\nshared: %u\n",
            op->grid[0], op->grid[1], op->grid[2], op->block[0], op->block[1], op->block[2],
            op->cluster[0], op->cluster[1], op->cluster[2], op->shared);
    if (op->cooperative)
        fputs("cooperative: true\n", f);
    if (m->layout.global_base)
        fprintf(f, "global_variables: m%u\n", mem_index(b->g->mem, m->layout.global_base));
    if (m->layout.const_base)
        fprintf(f, "const_variables: m%u\n", mem_index(b->g->mem, m->layout.const_base));
    bool any = false;
    for (uint32_t i = 0; i < mem_count(b->g->mem); i++)
        any |= reached[i];
    if (any)
        fputs("tensors:\n", f);
    for (uint32_t i = 0; i < mem_count(b->g->mem); i++)
        if (reached[i])
            write_tensor(b, i);
    if (op->kernel->head->n_params)
        fputs("args:\n", f);
    for (uint32_t i = 0; i < op->kernel->head->n_params; i++) {
        size_t at, bytes;
        gpu_kernel_param(op->kernel, i, &at, &bytes);
        write_arg(b, op->params + at, bytes);
    }
}

void capture_write(Gpu *g, const LaunchOp *op, const Timing *t)
{
    char dir[4096];
    bool *reached;
    file_name(dir, sizeof dir, g->opt.capture, op, t->number, NULL);
    if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
        gpu_say("cannot make %s: %s", dir, strerror(errno));
        return;
    }
    Bundle b = {.g = g, .dir = dir};
    b.yaml = open_in(&b, "launch.yaml");
    if (!b.yaml)
        return;
    reach_mark(g, op, &reached);
    write_yaml(&b, op, reached);
    free(reached);
    close_in(&b, b.yaml, "launch.yaml");
    FILE *ptx = open_in(&b, op->kernel->module->name);
    if (ptx)
        fwrite(op->kernel->module->text, 1, op->kernel->module->len, ptx);
    close_in(&b, ptx, op->kernel->module->name);
}
