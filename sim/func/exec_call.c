/* Calls of functions without a body: what the CUDA runtime gives a kernel. vprintf prints to
 * standard error (rao exec: standard output), a thread at a time in order of lane; __assertfail
 * ends the run with the assertion's text; malloc and free have a heap (heap.h). Any other is a
 * fault that names it. CUDA C++ Programming Guide, "Formatted Output", "Assertion"; research/ptx.md
 * 0.8. Functions with a body are inlined by lowering (build_call.c). */
#include <stdio.h>

#include "sim/func/exec_decl.h"
#include "sim/func/heap.h"
#include "sim/func/state.h"

enum { TEXT_MAX = 4096, SPEC_MAX = 32, PRINTF_ARGS = 32 };

typedef struct Text {
    char s[TEXT_MAX];
    size_t n;
} Text;

static void add(Text *t, const char *s, size_t n)
{
    if (n > TEXT_MAX - 1 - t->n)
        n = TEXT_MAX - 1 - t->n;
    memcpy(t->s + t->n, s, n);
    t->n += n;
    t->s[t->n] = 0;
}

/* A value at a generic address. */
static bool load(ExecCtx *x, const XInsn *in, int lane, uint64_t addr, uint32_t bytes, void *out)
{
    Place at;
    if (!place_at(x, in, lane, 0, addr, bytes, &at))
        return false;
    memcpy(out, at.p, bytes);
    return true;
}

static bool load_string(ExecCtx *x, const XInsn *in, int lane, uint64_t addr, Text *out)
{
    out->n = 0;
    out->s[0] = 0;
    for (char c; out->n < TEXT_MAX - 1; addr++) {
        if (!load(x, in, lane, addr, 1, &c))
            return false;
        if (!c)
            break;
        add(out, &c, 1);
    }
    return true;
}

/* Argument k, of 64 bits, from the cells of the call. */
static uint64_t argument(const Warp *w, const XInsn *in, uint32_t cell, uint32_t n, uint32_t lane)
{
    const CodeOpd *args = opd(w, in, 2);
    uint64_t v = 0;
    for (uint32_t j = 0; j < n && cell + j < args->n; j++)
        v |= (uint64_t)opd_row(w, args, cell + j)[lane] << 32 * j;
    return v;
}

typedef struct Printing {
    ExecCtx *x;
    const XInsn *in;
    int lane;
    uint64_t next; /* of the argument list: each argument at a multiple of its size */
    uint32_t n_args;
    Text *out;
} Printing;

static bool next_arg(Printing *p, uint32_t bytes, uint64_t *v)
{
    *v = 0;
    p->next = (p->next + bytes - 1) / bytes * bytes;
    bool ok = load(p->x, p->in, p->lane, p->next, bytes, v);
    p->next += bytes;
    p->n_args++;
    return ok;
}

/* One conversion: flags, width, precision and length as in C; the length says how the argument was
 * passed, the host prints it as 64 bits. Returns what follows in the format. */
static const char *conversion(Printing *p, const char *f, bool *ok)
{
    char spec[SPEC_MAX] = "%", piece[512];
    size_t n = 1, longs = 0, shorts = 0;
    uint64_t v;
    for (f++; *f && strchr("-+ #0123456789.*", *f); f++) {
        if (*f == '*') {
            *ok = next_arg(p, 4, &v);
            n += (size_t)snprintf(spec + n, sizeof spec - n, "%d", (int)(int32_t)v);
        } else if (n + 6 < sizeof spec) {
            spec[n++] = *f;
        }
        if (!*ok || n + 6 >= sizeof spec)
            return f + strlen(f);
    }
    for (; *f && strchr("hlLqjzt", *f); f++) {
        shorts += *f == 'h';
        longs += *f != 'h';
    }
    char c = *f;
    spec[n] = 0;
    piece[0] = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (c && strchr("diuoxXc", c)) {
        *ok = next_arg(p, longs ? 8 : 4, &v);
        bool is_signed = c == 'd' || c == 'i';
        if (is_signed && !longs)
            v = (uint64_t)(int64_t)(shorts > 1 ? (int8_t)v : shorts ? (int16_t)v : (int32_t)v);
        else if (shorts)
            v &= shorts > 1 ? 0xff : 0xffff;
        snprintf(spec + n, sizeof spec - n, "%s%c", c == 'c' ? "" : "ll", c);
        if (c == 'c')
            snprintf(piece, sizeof piece, spec, (int)(uint8_t)v);
        else
            snprintf(piece, sizeof piece, spec, (unsigned long long)v);
    } else if (c && strchr("fFeEgGaA", c)) {
        *ok = next_arg(p, 8, &v);
        double d;
        memcpy(&d, &v, sizeof d);
        snprintf(spec + n, sizeof spec - n, "%c", c);
        snprintf(piece, sizeof piece, spec, d);
    } else if (c == 'p') {
        *ok = next_arg(p, 8, &v);
        snprintf(spec + n, sizeof spec - n, "p");
        snprintf(piece, sizeof piece, spec, (void *)(uintptr_t)v);
    } else if (c == 's') {
        Text s;
        *ok = next_arg(p, 8, &v) && load_string(p->x, p->in, p->lane, v, &s);
        snprintf(spec + n, sizeof spec - n, "s");
        if (*ok)
            snprintf(piece, sizeof piece, spec, s.s);
    } else if (c == '%') {
        piece[0] = '%';
        piece[1] = 0;
    }
#pragma GCC diagnostic pop
    add(p->out, piece, strlen(piece));
    return c ? f + 1 : f;
}

static bool print_lane(ExecCtx *x, const XInsn *in, uint32_t lane)
{
    static _Thread_local Text format, out;
    Printing p = {x, in, (int)lane, argument(x->w, in, 2, 2, lane), 0, &out};
    bool ok = load_string(x, in, (int)lane, argument(x->w, in, 0, 2, lane), &format);
    out.n = 0;
    out.s[0] = 0;
    for (const char *f = format.s; ok && *f;) {
        if (*f == '%') {
            f = conversion(&p, f, &ok);
        } else {
            size_t n = strcspn(f, "%");
            add(&out, f, n);
            f += n;
        }
    }
    if (!ok)
        return false;
    if (x->exec->desc.print != PRINT_NOWHERE)
        fputs(out.s, x->exec->desc.print == PRINT_STDOUT ? stdout : stderr);
    const CodeOpd *ret = opd(x->w, in, 0);
    if (ret->kind == CO_VALUE && ret->n > 0)
        opd_row(x->w, ret, 0)[lane] = p.n_args;
    return true;
}

/* __assertfail(message, file, line, function, bytes of a char), as the CUDA runtime words it. */
static bool assert_fails(ExecCtx *x, const XInsn *in, uint32_t lane)
{
    const Warp *w = x->w;
    static _Thread_local Text message, file, function;
    if (!load_string(x, in, (int)lane, argument(w, in, 0, 2, lane), &message) ||
        !load_string(x, in, (int)lane, argument(w, in, 2, 2, lane), &file) ||
        !load_string(x, in, (int)lane, argument(w, in, 5, 2, lane), &function))
        return false;
    exec_fault(x, in, (int)lane, "%s:%u: %s: thread [%u,%u,%u] Assertion `%s` failed.", file.s,
               (uint32_t)argument(w, in, 4, 1, lane), function.s, w->tid[0][lane], w->tid[1][lane],
               w->tid[2][lane], message.s);
    return exec_fault_is(x, FAULT_ASSERT);
}

static bool malloc_lane(ExecCtx *x, const XInsn *in, uint32_t lane)
{
    uint64_t at = heap_malloc(x->exec->desc.mem, argument(x->w, in, 0, 2, lane));
    const CodeOpd *ret = opd(x->w, in, 0);
    for (uint32_t i = 0; ret->kind == CO_VALUE && i < ret->n && i < 2; i++)
        opd_row(x->w, ret, i)[lane] = (uint32_t)(at >> 32 * i);
    return true;
}

static bool free_lane(ExecCtx *x, const XInsn *in, uint32_t lane)
{
    uint64_t at = argument(x->w, in, 0, 2, lane);
    return heap_free(x->exec->desc.mem, at) ||
           exec_fault(x, in, (int)lane,
                      "free of 0x%llx, which malloc has not given or is free already",
                      (unsigned long long)at);
}

typedef bool LaneFn(ExecCtx *x, const XInsn *in, uint32_t lane);

static LaneFn *lane_function(const char *name)
{
    static const struct {
        const char *name;
        LaneFn *fn;
    } all[] = {{"vprintf", print_lane}, {"malloc", malloc_lane}, {"free", free_lane}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(name, all[i].name) == 0)
            return all[i].fn;
    return NULL;
}

static const char *callee_name(const Code *c, const CodeOpd *callee)
{
    const Module *m = c->module;
    bool known = callee->kind == CO_LABEL && callee->imm >= 0 && callee->imm < (int64_t)m->n_funcs;
    return known ? m->funcs[callee->imm].name : "";
}

bool calls_malloc(const Code *c)
{
    for (uint32_t i = 0; i < c->n_insns; i++)
        if (c->insns[i].op == OP_CALL &&
            strcmp(callee_name(c, &c->opds[c->insns[i].opd + 1]), "malloc") == 0)
            return true;
    return false;
}

static bool call(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    const char *name = callee_name(x->exec->code, opd(x->w, in, 1));
    LaneFn *fn = lane_function(name);
    if (strcmp(name, "__assertfail") == 0)
        return assert_fails(x, in, first_lane(mask));
    if (!fn)
        return exec_fault(x, in, (int)first_lane(mask),
                          *name ? "the kernel calls %s, which has no body"
                                : "the kernel calls through a pointer that names no function%s",
                          name);
    for (uint32_t left = mask; left; left &= left - 1)
        if (!fn(x, in, first_lane(left)))
            return false;
    x->ops[x->n_ops++].arg0 = x->w->n_splits + 1;
    return true;
}

bool exec_call(const Code *c, const CodeInsn *in, Bound *out)
{
    (void)c, (void)in;
    out->dyn = call;
    return true;
}
