/* rao exec: starts a CUDA program with our libcudart.so.13 and libcuda.so.1 in the place of
 * NVIDIA's, waits for it, and says how it went. The libraries are found beside this program; the
 * options go to them in RAO_EXEC_* variables, so that scripts can start the program. */
#define _GNU_SOURCE /* asprintf */
#include "sim/cli/cli.h"

#include <errno.h>
#include <regex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/cli/elf.h"

enum { PATH_BYTES = 4096, NOT_FOUND = 127, NOT_EXECUTABLE = 126, SIGNALLED = 128 };

/* ---- What to start ---- */

/* The file that execvp would start. */
static bool find_program(const char *name, char *path, size_t n)
{
    if (strchr(name, '/'))
        return snprintf(path, n, "%s", name) < (int)n && access(path, X_OK) == 0;
    const char *dirs = getenv("PATH");
    for (const char *d = dirs ? dirs : ""; *d;) {
        size_t len = strcspn(d, ":");
        snprintf(path, n, "%.*s/%s", (int)len, len ? d : ".", name);
        struct stat st;
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0)
            return true;
        d += len + (d[len] == ':');
    }
    return false;
}

/* Whether the program can run here; says why not. */
static bool check_program(const char *path, const ElfFacts *f)
{
    if (!f->is_elf || f->needs_libcuda || strcmp(f->cudart, "libcudart.so.13") == 0)
        return true;
    if (f->cudart[0]) {
        usage_error("%s needs %s; rao exec stands for that of CUDA 13: build the program with "
                    "CUDA 13 and '-cudart shared'",
                    path, f->cudart);
        return false;
    }
    if (f->has_device_code) {
        usage_error("%s has NVIDIA's runtime linked into it (nvcc's default), which only runs on "
                    "NVIDIA's driver; relink with '-cudart shared'",
                    path);
        return false;
    }
    return true; /* a program without CUDA may start one with */
}

/* ---- Its environment ---- */

static bool is_library_folder(const char *dir)
{
    char path[2 * PATH_BYTES];
    return snprintf(path, sizeof path, "%s/libcudart.so.13", dir) < (int)sizeof path &&
           access(path, R_OK) == 0;
}

/* Beside the program in the build folder, or where it was installed. */
static bool find_libraries(char *dir, size_t n)
{
    char exe[PATH_BYTES];
    ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (len > 0) {
        exe[len] = 0;
        *strrchr(exe, '/') = 0;
        static const char *const places[] = {"lib/rao", "../" RAO_LIBDIR "/rao", "../lib/rao"};
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            snprintf(dir, n, "%s/%s", exe, places[i]);
            if (is_library_folder(dir))
                return true;
        }
    }
    return false;
}

/* Puts `first` before what the variable holds. */
static void prepend(const char *name, const char *first)
{
    const char *old = getenv(name);
    char *text = NULL;
    if (old && *old && asprintf(&text, "%s:%s", first, old) > 0)
        first = text;
    setenv(name, first, 1);
    free(text);
}

static void set_text(const char *name, const char *value)
{
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static void set_number(const char *name, uint64_t value, uint64_t otherwise)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    set_text(name, value == otherwise ? NULL : text);
}

static void set_sets(const Args *a)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    for (size_t i = 0; f && i < a->opt.n_set; i++)
        fprintf(f, "%s\n", a->sets[i]);
    if (f)
        fclose(f);
    set_text("RAO_EXEC_SET", text);
    free(text);
}

/* A folder's absolute path, made if need be: the program may change its own. NULL: none. */
static const char *make_folder(const char *dir, char path[PATH_BYTES])
{
    if (dir && mkdir(dir, 0777) != 0 && errno != EEXIST)
        return NULL;
    return dir ? realpath(dir, path) : NULL;
}

static void set_environment(const Args *a, const char *libraries, bool preload, const char *status)
{
    char text[3 * PATH_BYTES], folder[PATH_BYTES], file[PATH_BYTES];
    const ExecArgs *x = &a->exec;
    bool time = !x->check && (x->time || x->report || x->only || x->skip || x->count != UINT64_MAX);
    set_text("RAO_EXEC_MODEL", a->opt.model);
    set_sets(a);
    set_text("RAO_EXEC_MMA", a->opt.mma_hw ? "hw" : NULL);
    set_number("RAO_EXEC_SMS", a->opt.sms, 0);
    set_number("RAO_EXEC_THREADS", a->opt.threads, 0);
    set_text("RAO_EXEC_ONLY", x->only);
    set_number("RAO_EXEC_SKIP", x->skip, 0);
    set_number("RAO_EXEC_COUNT", x->count, UINT64_MAX);
    set_number("RAO_EXEC_TIME", time && (x->time || x->report || !x->capture), 0);
    set_number("RAO_EXEC_CHECK", x->check, 0);
    set_number("RAO_EXEC_PRINT_LIMIT", a->opt.print_limit, 100);
    set_text("RAO_EXEC_SUPPRESSIONS",
             a->opt.suppressions ? realpath(a->opt.suppressions, file) : NULL);
    set_text("RAO_EXEC_REPORT", make_folder(x->report, folder));
    set_text("RAO_EXEC_CAPTURE", make_folder(x->capture, folder));
    set_text("RAO_EXEC_STATUS", status);
    prepend("LD_LIBRARY_PATH", libraries);
    if (preload && snprintf(text, sizeof text, "%s/libcuda.so.1:%s/libcudart.so.13", libraries,
                            libraries) < (int)sizeof text)
        prepend("LD_PRELOAD", text);
    /* Triton looks for the driver here, and its assembler passes PTX through to us. */
    set_text("TRITON_LIBCUDA_PATH", libraries);
    snprintf(text, sizeof text, "%s/ptxas", libraries);
    set_text("TRITON_PTXAS_PATH", text);
    set_text("TRITON_PTXAS_BLACKWELL_PATH", text);
    /* Python: sim/cuda/python */
    snprintf(text, sizeof text, "%s/python", libraries);
    prepend("PYTHONPATH", text);
}

/* ---- Running ---- */

/* What the libraries have noted: a deadlock, else the first finding, or RAO_OK. */
static int read_status(const char *path)
{
    int status = RAO_OK, next;
    FILE *f = fopen(path, "r");
    while (f && fscanf(f, "%d", &next) == 1)
        if (status == RAO_OK || next == RAO_DEADLOCK)
            status = next;
    if (f)
        fclose(f);
    remove(path);
    return status;
}

static int start_and_wait(char **command, const char *path)
{
    int how;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        execv(path, command);
        fprintf(stderr, "rao: error: cannot start %s: %s\n", path, strerror(errno));
        _exit(errno == ENOENT ? NOT_FOUND : NOT_EXECUTABLE);
    }
    if (pid < 0) {
        fprintf(stderr, "rao: error: cannot fork: %s\n", strerror(errno));
        return RAO_INTERNAL;
    }
    /* The terminal sends an interrupt to both; the program decides. */
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    while (waitpid(pid, &how, 0) < 0 && errno == EINTR)
        continue;
    return WIFSIGNALED(how) ? SIGNALLED + WTERMSIG(how) : WEXITSTATUS(how);
}

static bool check_options(const Args *a)
{
    const ExecArgs *x = &a->exec;
    if (x->check && x->time) {
        usage_error("--check runs launches without time; leave out --time");
        return false;
    }
    if (a->opt.suppressions && access(a->opt.suppressions, R_OK) != 0) {
        usage_error("cannot read %s: %s", a->opt.suppressions, strerror(errno));
        return false;
    }
    regex_t re;
    char why[200];
    int rc = x->only ? regcomp(&re, x->only, REG_EXTENDED | REG_NOSUB) : 0;
    if (rc) {
        regerror(rc, &re, why, sizeof why);
        usage_error("--only: '%s': %s", x->only, why);
        return false;
    }
    if (x->only)
        regfree(&re);
    char folder[PATH_BYTES];
    const char *dirs[] = {x->report, x->capture};
    for (int i = 0; i < 2; i++)
        if (dirs[i] && !make_folder(dirs[i], folder)) {
            usage_error("cannot make the folder %s: %s", dirs[i], strerror(errno));
            return false;
        }
    return true;
}

int verb_exec(const Args *a)
{
    char path[PATH_BYTES], libraries[PATH_BYTES + 64], status[PATH_BYTES];
    ElfFacts facts;
    if (!a->exec.command || !a->exec.command[0])
        return usage_error("rao exec needs a program: rao exec [options] -- ./program arguments");
    if (!find_program(a->exec.command[0], path, sizeof path) || !elf_inspect(path, &facts))
        return usage_error("there is no program '%s'", a->exec.command[0]);
    if (!check_program(path, &facts) || !check_options(a))
        return RAO_USAGE;
    if (!find_libraries(libraries, sizeof libraries)) {
        fprintf(stderr, "rao: error: libcudart.so.13 of Rao is not beside this program, nor in "
                        "../" RAO_LIBDIR "/rao\n");
        return RAO_INTERNAL;
    }
    const char *tmp = getenv("TMPDIR");
    snprintf(status, sizeof status, "%s/rao-exec-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    int fd = mkstemp(status);
    if (fd < 0) {
        fprintf(stderr, "rao: error: cannot make %s: %s\n", status, strerror(errno));
        return RAO_INTERNAL;
    }
    close(fd);
    set_environment(a, libraries, facts.has_rpath, status);
    int rc = start_and_wait(a->exec.command, path);
    int found = read_status(status);
    return found != RAO_OK ? found : rc;
}
