#include "sim/cli/elf.h"

#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct File {
    const uint8_t *data;
    uint64_t n;
} File;

/* A copy of `bytes` at `at`; false: beyond the end. */
static bool get(const File *f, uint64_t at, void *to, uint64_t bytes)
{
    if (at > f->n || bytes > f->n - at)
        return false;
    memcpy(to, f->data + at, bytes);
    return true;
}

/* The text at `at`, if it ends inside the file. */
static const char *text_at(const File *f, uint64_t at)
{
    if (at >= f->n || !memchr(f->data + at, 0, f->n - at))
        return "";
    return (const char *)f->data + at;
}

static void read_needed(const char *name, ElfFacts *out)
{
    if (strncmp(name, "libcudart.so", strlen("libcudart.so")) == 0)
        snprintf(out->cudart, sizeof out->cudart, "%s", name);
    if (strncmp(name, "libcuda.so", strlen("libcuda.so")) == 0)
        out->needs_libcuda = true;
}

static void read_dynamic(const File *f, const Elf64_Shdr *dynamic, const Elf64_Shdr *names,
                         ElfFacts *out)
{
    Elf64_Dyn d;
    for (uint64_t at = 0; at + sizeof d <= dynamic->sh_size; at += sizeof d) {
        if (!get(f, dynamic->sh_offset + at, &d, sizeof d) || d.d_tag == DT_NULL)
            return;
        if (d.d_tag == DT_RPATH)
            out->has_rpath = true;
        if (d.d_tag == DT_NEEDED && d.d_un.d_val < names->sh_size)
            read_needed(text_at(f, names->sh_offset + d.d_un.d_val), out);
    }
}

void elf_inspect_bytes(const void *data, size_t n, ElfFacts *out)
{
    File f = {data, n};
    Elf64_Ehdr h;
    Elf64_Shdr s, names, strings;
    *out = (ElfFacts){0};
    if (!get(&f, 0, &h, sizeof h) || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 ||
        h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB)
        return;
    out->is_elf = true;
    if (h.e_shentsize != sizeof s || h.e_shstrndx >= h.e_shnum ||
        !get(&f, h.e_shoff + (uint64_t)h.e_shstrndx * sizeof s, &names, sizeof names))
        return;
    for (uint32_t i = 0; i < h.e_shnum; i++) {
        if (!get(&f, h.e_shoff + i * sizeof s, &s, sizeof s))
            return;
        const char *name = text_at(&f, names.sh_offset + s.sh_name);
        if (strcmp(name, ".nv_fatbin") == 0 || strcmp(name, ".nvFatBinSegment") == 0)
            out->has_device_code = true;
        if (s.sh_type == SHT_DYNAMIC && s.sh_link < h.e_shnum &&
            get(&f, h.e_shoff + s.sh_link * sizeof s, &strings, sizeof strings))
            read_dynamic(&f, &s, &strings, out);
    }
}

bool elf_inspect(const char *path, ElfFacts *out)
{
    struct stat st;
    *out = (ElfFacts){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = fstat(fd, &st) == 0;
    if (ok && st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        ok = p != MAP_FAILED;
        if (ok) {
            elf_inspect_bytes(p, (size_t)st.st_size, out);
            munmap(p, (size_t)st.st_size);
        }
    }
    close(fd);
    return ok;
}
