/* Findings: made once per kind and pair of instructions, counted after that. */
#include <stdarg.h>
#include <stdio.h>

#include "isa/cxx.h"
#include "sim/check/core.h"

const char *const finding_name[FK_COUNT] = {
#define KIND(id, name, text) name,
#include "sim/check/kinds.def"
#undef KIND
};
const char *const finding_text[FK_COUNT] = {
#define KIND(id, name, text) text,
#include "sim/check/kinds.def"
#undef KIND
};

enum { WORDS = 160, PAIRS = 2 };
#define NOBODY UINT32_MAX

const char *insn_words(Checker *k, uint32_t insn)
{
    const Code *c = k->l.code;
    const CodeInsn *in = &c->insns[insn];
    ModSet m;
    char text[WORDS];
    if (!c->module->forms)
        return op_row[in->op].id;
    memcpy(m.type, in->type, sizeof m.type);
    memcpy(m.mod, in->mod, sizeof m.mod);
    size_t n = form_spell(c->module->forms, (OpCode)in->op, &m, text, sizeof text);
    return arena_str(&k->root->arena, text, n < sizeof text ? n : sizeof text - 1);
}

static const char *role_of(const Checker *k, uint32_t warp)
{
    for (uint32_t i = 0; i < k->l.n_roles; i++)
        if (warp < 64 && k->l.roles[i].warps >> warp & 1)
            return k->l.roles[i].name;
    return NULL;
}

static const char *keep(Checker *k, const char *text)
{
    return text ? arena_str(&k->root->arena, text, strlen(text)) : NULL;
}

static void fill_site(Checker *k, FindingSite *s, uint32_t warp, uint32_t insn)
{
    const Code *c = k->l.code;
    const Insn *in = &c->func->insns[c->insns[insn].ptx];
    const Cta *cta = &k->x->ctas[warp / k->n_warps];
    *s = (FindingSite){.what = insn_words(k, insn),
                       .role = role_of(k, warp % k->n_warps),
                       .warp = warp % k->n_warps,
                       .lane = -1,
                       .file = keep(k, in->loc.file),
                       .line = in->loc.line};
    memcpy(s->cta, cta->ctaid, sizeof s->cta);
    if (in->src_file && in->src_file < c->module->n_files) {
        s->src_file = keep(k, c->module->files[in->src_file]);
        s->src_line = in->src_line;
    }
}

/* The finding of this launch with that kind and pair of instructions; when there are PAIRS for the
 * first instruction already, one of them stands for all others. */
static FindingEntry *find(const Checker *k, FindingKind kind, uint32_t insn, uint32_t other)
{
    uint32_t pairs = 0;
    FindingEntry *any = NULL;
    for (uint32_t i = k->root->first_finding; i < k->root->n_findings; i++) {
        FindingEntry *e = &k->root->findings[i];
        if (e->f->kind != kind || e->insn != insn)
            continue;
        if (e->other == other)
            return e;
        pairs++;
        any = e;
    }
    return pairs >= PAIRS ? any : NULL;
}

static FindingEntry *entry_new(Checker *k)
{
    if (k->root->n_findings == k->root->cap_findings) {
        uint32_t cap = k->root->cap_findings ? 2 * k->root->cap_findings : 64;
        FindingEntry *all = arena_new(&k->root->arena, FindingEntry, cap);
        if (k->root->n_findings)
            memcpy(all, k->root->findings, k->root->n_findings * sizeof *all);
        k->root->findings = all;
        k->root->cap_findings = cap;
    }
    return &k->root->findings[k->root->n_findings++];
}

Finding *finding_pair(Checker *k, FindingKind kind, uint32_t warp, uint32_t insn,
                      uint32_t other_warp, uint32_t other_insn)
{
    FindingEntry *e = find(k, kind, insn, other_insn);
    if (e) {
        e->f->count++;
        return e->f;
    }
    e = entry_new(k);
    *e = (FindingEntry){
        .f = arena_new(&k->root->arena, Finding, 1), .insn = insn, .other = other_insn};
    *e->f = (Finding){.kind = kind, .kernel = k->l.kernel, .count = 1};
    fill_site(k, &e->f->at, warp, insn);
    if (other_insn != NOBODY)
        fill_site(k, &e->f->other, other_warp, other_insn);
    return e->f;
}

Finding *finding_add(Checker *k, FindingKind kind, uint32_t warp, uint32_t insn)
{
    return finding_pair(k, kind, warp, insn, 0, NOBODY);
}

void finding_warn(Finding *f, bool harmless)
{
    f->warning = harmless && (f->warning || f->count == 1);
}

static const char *format(Checker *k, const char *fmt, va_list ap)
{
    char text[512];
    vsnprintf(text, sizeof text, fmt, ap);
    return keep(k, text);
}

void finding_detail(Checker *k, Finding *f, const char *fmt, ...)
{
    if (f->count > 1)
        return;
    va_list ap;
    va_start(ap, fmt);
    f->detail = format(k, fmt, ap);
    va_end(ap);
}

void finding_object(Checker *k, Finding *f, const char *fmt, ...)
{
    if (f->count > 1)
        return;
    va_list ap;
    va_start(ap, fmt);
    f->object = format(k, fmt, ap);
    va_end(ap);
}

/* ---- Text ---- */

static void print_site(const FindingSite *s, const char *word, FILE *out)
{
    fprintf(out, "=========     %s %s", word, s->what);
    if (s->file)
        fprintf(out, " at %s:%u", s->file, s->line);
    if (s->src_file)
        fprintf(out, " (%s:%u)", s->src_file, s->src_line);
    fprintf(out, "\n=========         by warp %u", s->warp);
    if (s->role)
        fprintf(out, " (%s)", s->role);
    if (s->lane >= 0)
        fprintf(out, ", lane %d,", s->lane);
    fprintf(out, " in block (%u,%u,%u)\n", s->cta[0], s->cta[1], s->cta[2]);
}

void finding_print(const Finding *f, FILE *out)
{
    char name[256];
    fprintf(out, "========= %s%s [%s] in %s\n", f->warning ? "Warning: " : "",
            finding_text[f->kind], finding_name[f->kind], cxx_name(name, sizeof name, f->kernel));
    print_site(&f->at, "by", out);
    if (f->other.what)
        print_site(&f->other, "and", out);
    if (f->object)
        fprintf(out, "=========     on %s\n", f->object);
    if (f->detail)
        fprintf(out, "=========     %s\n", f->detail);
    if (f->count > 1)
        fprintf(out, "=========     [%llu times]\n", (unsigned long long)f->count);
    fprintf(out, "=========\n");
}

void checker_print(const Checker *k, FILE *out)
{
    uint32_t shown = 0, n = checker_errors(k), warnings = checker_warnings(k),
             hidden = checker_suppressed(k);
    fprintf(out, "========= RAO CHECK\n");
    for (uint32_t i = 0; i < k->root->n_findings; i++) {
        if (k->root->findings[i].f->suppressed ||
            (k->root->opt.print_limit && shown == k->root->opt.print_limit))
            continue;
        finding_print(k->root->findings[i].f, out);
        shown++;
    }
    if (shown < n + warnings)
        fprintf(out, "========= %u more not printed (--print-limit)\n", n + warnings - shown);
    fprintf(out, "========= ERROR SUMMARY: %u error%s", n, n == 1 ? "" : "s");
    if (warnings)
        fprintf(out, ", %u warning%s", warnings, warnings == 1 ? "" : "s");
    if (hidden)
        fprintf(out, " (%u suppressed)", hidden);
    fputc('\n', out);
}

/* ---- Numbers ---- */

uint32_t checker_total(const Checker *k)
{
    return k->root->n_findings;
}

uint32_t checker_suppressed(const Checker *k)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->root->n_findings; i++)
        n += k->root->findings[i].f->suppressed;
    return n;
}

uint32_t checker_warnings(const Checker *k)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->root->n_findings; i++)
        n += k->root->findings[i].f->warning && !k->root->findings[i].f->suppressed;
    return n;
}

uint32_t checker_errors(const Checker *k)
{
    return k->root->n_findings - checker_warnings(k) - checker_suppressed(k);
}

const Finding *checker_finding(const Checker *k, uint32_t i)
{
    return k->root->findings[i].f;
}
