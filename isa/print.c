/* A module back to PTX. Scopes are flat by now: registers come first, labels are $L_n for the
 * instruction they stand at, and names that several scopes had are already distinct.
 * parse(print(m)) prints the same text again. */
#include "isa/form.h"
#include "isa/isa.h"

#include <string.h>

typedef struct Printer {
    FILE *out;
    const Module *m;
    const Func *f;
} Printer;

static const char *space_text(Space s)
{
    switch (s) {
    case SP_GENERIC:
        return "";
    case SP_CONST:
        return ".const";
    case SP_GLOBAL:
        return ".global";
    case SP_LOCAL:
        return ".local";
    case SP_PARAM:
        return ".param";
    case SP_SHARED:
        return ".shared";
    }
    return "";
}

/* ---- Instructions ---- */

static void print_offset(FILE *out, int64_t imm)
{
    if (imm)
        fprintf(out, "+%lld", (long long)imm);
}

static void print_imm(FILE *out, const Operand *o)
{
    if (o->is_float && o->is_f32)
        fprintf(out, "0f%08llX", (unsigned long long)o->imm);
    else if (o->is_float)
        fprintf(out, "0d%016llX", (unsigned long long)o->imm);
    else
        fprintf(out, "%lld", (long long)o->imm);
}

static void print_scalar(const Printer *p, const Operand *o)
{
    if (o->neg)
        putc('!', p->out);
    switch ((OpdKind)o->kind) {
    case OPD_REG:
        fputs(p->f->regs[o->reg].name, p->out);
        if (o->imm)
            fprintf(p->out, ".%c%0*x", o->imm & SELECT_HALF ? 'h' : 'b', (int)select_count(o->imm),
                    (unsigned)o->imm & 0xffff);
        break;
    case OPD_IMM:
        print_imm(p->out, o);
        break;
    case OPD_SREG:
        fputs(sreg_info[o->sreg].name, p->out);
        break;
    case OPD_ADDR_OF:
        fputs(p->m->vars[o->var].name, p->out);
        print_offset(p->out, o->imm);
        break;
    case OPD_FUNC:
        fputs(p->m->funcs[o->func].name, p->out);
        break;
    case OPD_SINK:
        putc('_', p->out);
        break;
    case OPD_LABEL:
        fprintf(p->out, "$L_%lld", (long long)o->imm);
        break;
    case OPD_NONE:
    case OPD_MEM:
    case OPD_VEC:
        break; /* not scalars */
    }
}

static void print_list(const Printer *p, const Operand *o, char open, char close)
{
    putc(open, p->out);
    for (uint32_t i = 0; i < o->n; i++) {
        fputs(i ? ", " : "", p->out);
        print_scalar(p, &p->m->elems[o->first + i]);
    }
    putc(close, p->out);
}

static void print_address(const Printer *p, const Operand *o)
{
    if (o->reg >= 0)
        fputs(p->f->regs[o->reg].name, p->out);
    else if (o->var >= 0)
        fputs(p->m->vars[o->var].name, p->out);
    else
        fprintf(p->out, "%lld", (long long)o->imm);
    if (o->reg >= 0 || o->var >= 0)
        print_offset(p->out, o->imm);
}

static void print_operands(const Printer *p, const Insn *in)
{
    const Form *form = &p->m->forms->form[in->op];
    bool first = true;
    for (uint32_t k = 0; k < in->n_opd; k++) {
        const Operand *o = &in->opd[k];
        const OpdForm *of = &form->opd[k];
        if (o->kind == OPD_NONE)
            continue;
        bool coords_follow = k + 1 < in->n_opd && form->opd[k + 1].in_bracket;
        fputs(first ? " " : of->paired ? "|" : ", ", p->out);
        first = false;
        if (o->kind == OPD_MEM) {
            putc('[', p->out);
            print_address(p, o);
            fputs(coords_follow ? "" : "]", p->out);
        } else if (o->kind == OPD_VEC) {
            print_list(p, o, '{', '}');
            fputs(of->in_bracket ? "]" : "", p->out);
        } else if (of->role == OF_TARGETS) {
            fprintf(p->out, "$T_%lld", (long long)o->imm);
        } else {
            print_scalar(p, o);
        }
    }
}

static void print_call(const Printer *p, const Insn *in)
{
    const Operand *o = in->opd;
    putc(' ', p->out);
    if (o[0].kind == OPD_VEC) {
        print_list(p, &o[0], '(', ')');
        fputs(", ", p->out);
    }
    print_scalar(p, &o[1]);
    if (o[2].kind == OPD_VEC) {
        fputs(", ", p->out);
        print_list(p, &o[2], '(', ')');
    }
    if (o[3].kind == OPD_LABEL)
        fputs(", $prototype", p->out);
}

void isa_print_insn(FILE *out, const Module *m, const Func *f, const Insn *in)
{
    Printer p = {out, m, f};
    ModSet ms;
    char opcode[256];
    memcpy(ms.type, in->type, sizeof ms.type);
    memcpy(ms.mod, in->mod, sizeof ms.mod);
    if (in->guard >= 0)
        fprintf(out, "@%s%s ", in->guard_neg ? "!" : "", f->regs[in->guard].name);
    form_spell(m->forms, (OpCode)in->op, &ms, opcode, sizeof opcode);
    fputs(opcode, out);
    if (in->op == OP_CALL)
        print_call(&p, in);
    else
        print_operands(&p, in);
    putc(';', out);
}

/* ---- Variables ---- */

static const VarInit *reloc_at(const Var *v, uint64_t at, uint32_t *next)
{
    while (*next < v->n_relocs && v->relocs[*next].at < at)
        ++*next;
    return *next < v->n_relocs && v->relocs[*next].at == at ? &v->relocs[*next] : NULL;
}

static void print_reloc(const Printer *p, const VarInit *r)
{
    const char *name = r->var >= 0 ? p->m->vars[r->var].name : p->m->funcs[r->func].name;
    bool masked = r->bytes == 1 || r->shift;
    if (masked)
        fprintf(p->out, "0x%llX(", (unsigned long long)0xFF << r->shift);
    fprintf(p->out, r->generic ? "generic(%s)" : "%s", name);
    print_offset(p->out, r->addend);
    fputs(masked ? ")" : "", p->out);
}

static void print_init(const Printer *p, const Var *v)
{
    uint32_t elem = type_info[v->type].bits / 8u, next = 0;
    fputs(" = {", p->out);
    for (uint64_t at = 0; elem && at + elem <= v->size; at += elem) {
        const VarInit *r = reloc_at(v, at, &next);
        uint64_t value = 0;
        fputs(at ? ", " : "", p->out);
        for (uint32_t i = 0; i < elem && i < 8; i++)
            value |= (uint64_t)v->init[at + i] << (8 * i);
        if (r)
            print_reloc(p, r);
        else if (type_info[v->type].kind == 'F' && elem == 4)
            fprintf(p->out, "0f%08llX", (unsigned long long)value);
        else if (type_info[v->type].kind == 'F' && elem == 8)
            fprintf(p->out, "0d%016llX", (unsigned long long)value);
        else
            fprintf(p->out, "%llu", (unsigned long long)value);
    }
    putc('}', p->out);
}

static void print_var(const Printer *p, const Var *v)
{
    uint32_t elem = type_info[v->type].bits / 8u;
    fprintf(p->out, "%s .align %u .%s %s", space_text(v->space), v->align ? v->align : 1,
            type_info[v->type].name, v->name);
    if (v->size != elem) {
        if (v->size == 0 && (v->is_extern || v->space == SP_PARAM))
            fputs("[]", p->out);
        else
            fprintf(p->out, "[%llu]", (unsigned long long)(elem ? v->size / elem : 0));
    }
    if (v->init && v->size)
        print_init(p, v);
}

static void print_vars_of(const Printer *p, int32_t func)
{
    for (uint32_t i = 0; i < p->m->n_vars; i++) {
        const Var *v = &p->m->vars[i];
        bool is_param = false;
        for (uint32_t k = 0; p->f && k < p->f->n_params; k++)
            is_param |= p->f->params[k] == (int32_t)i;
        for (uint32_t k = 0; p->f && k < p->f->n_ret_params; k++)
            is_param |= p->f->ret_params[k] == (int32_t)i;
        if (v->func != func || is_param)
            continue;
        fputs(v->is_extern ? ".extern " : "", p->out);
        print_var(p, v);
        fputs(";\n", p->out);
    }
}

/* ---- Functions ---- */

static void print_params(const Printer *p, const int32_t *vars, uint32_t n)
{
    putc('(', p->out);
    for (uint32_t i = 0; i < n; i++) {
        fputs(i ? ", " : "", p->out);
        print_var(p, &p->m->vars[vars[i]]);
    }
    putc(')', p->out);
}

static void print_triple(FILE *out, const char *what, const uint32_t v[3])
{
    if (v[0])
        fprintf(out, "\n.%s %u, %u, %u", what, v[0], v[1], v[2]);
}

static void print_head(const Printer *p)
{
    const Func *f = p->f;
    fputs(f->is_extern || f->alias_of ? ".extern " : ".visible ", p->out);
    fputs(f->is_entry ? ".entry " : ".func ", p->out);
    if (f->n_ret_params) {
        print_params(p, f->ret_params, f->n_ret_params);
        putc(' ', p->out);
    }
    fputs(f->name, p->out);
    print_params(p, f->params, f->n_params);
    print_triple(p->out, "maxntid", f->maxntid);
    print_triple(p->out, "reqntid", f->reqntid);
    print_triple(p->out, "reqnctapercluster", f->cluster);
    fputs(f->explicit_cluster ? "\n.explicitcluster" : "", p->out);
    if (f->minnctapersm)
        fprintf(p->out, "\n.minnctapersm %u", f->minnctapersm);
    if (f->maxnreg)
        fprintf(p->out, "\n.maxnreg %u", f->maxnreg);
}

/* Elements of a vector register stand together: q.x, q.y, ... Returns how many. */
static uint32_t vector_run(const Func *f, uint32_t i)
{
    const char *name = f->regs[i].name, *dot = strchr(name, '.');
    if (!dot)
        return 1;
    size_t head = (size_t)(dot - name) + 1;
    uint32_t n = 1;
    while (i + n < f->n_regs && strncmp(f->regs[i + n].name, name, head) == 0)
        n++;
    return n;
}

static void print_regs(const Printer *p)
{
    const Func *f = p->f;
    uint32_t per_line = 0, n;
    PtxType open = T_NONE;
    for (uint32_t i = 0; i < f->n_regs; i += n) {
        n = vector_run(f, i);
        bool goes_on = open == f->regs[i].type && n == 1 && per_line < 16;
        if (open != T_NONE && !goes_on)
            fputs(";\n", p->out);
        if (n > 1) {
            int head = (int)(strchr(f->regs[i].name, '.') - f->regs[i].name);
            fprintf(p->out, ".reg .v%u .%s %.*s;\n", n, type_info[f->regs[i].type].name, head,
                    f->regs[i].name);
            open = T_NONE;
            continue;
        }
        if (!goes_on) {
            fprintf(p->out, ".reg .%s ", type_info[f->regs[i].type].name);
            per_line = 0;
        }
        fprintf(p->out, "%s%s", goes_on ? ", " : "", f->regs[i].name);
        open = f->regs[i].type;
        per_line++;
    }
    fputs(open != T_NONE ? ";\n" : "", p->out);
}

/* Marks the instructions that a branch names. */
static void mark_targets(const Printer *p, bool *is_target)
{
    const Func *f = p->f;
    for (uint32_t i = 0; i < f->n_insns; i++)
        for (uint32_t k = 0; f->insns[i].op == OP_BRA && k < f->insns[i].n_opd; k++)
            is_target[f->insns[i].opd[k].imm] = true;
    for (uint32_t i = 0; i < f->n_lists; i++)
        for (uint32_t k = 0; k < f->lists[i].n; k++)
            is_target[f->lists[i].target[k]] = true;
}

static void print_body(const Printer *p)
{
    const Func *f = p->f;
    Arena scratch = {0};
    bool *is_target = arena_new(&scratch, bool, f->n_insns + 1);
    uint32_t file = 0, line = 0;
    mark_targets(p, is_target);
    fputs("\n{\n", p->out);
    print_regs(p);
    print_vars_of(p, (int32_t)(f - p->m->funcs));
    for (uint32_t i = 0; i < f->n_lists; i++) {
        fprintf(p->out, "$T_%u: .branchtargets ", i);
        for (uint32_t k = 0; k < f->lists[i].n; k++)
            fprintf(p->out, "%s$L_%lld", k ? ", " : "", (long long)f->lists[i].target[k]);
        fputs(";\n", p->out);
    }
    for (uint32_t i = 0; i < f->n_insns; i++) {
        const Insn *in = &f->insns[i];
        if (is_target[i])
            fprintf(p->out, "$L_%u:\n", i);
        if (in->src_file != file || in->src_line != line)
            fprintf(p->out, ".loc %u %u 0\n", in->src_file, in->src_line);
        file = in->src_file;
        line = in->src_line;
        putc('\t', p->out);
        isa_print_insn(p->out, p->m, f, in);
        putc('\n', p->out);
    }
    fputs("}\n", p->out);
    arena_free(&scratch);
}

static void print_func(const Printer *p)
{
    print_head(p);
    if (p->f->is_extern)
        fputs(";\n", p->out);
    else
        print_body(p);
}

void isa_print(FILE *out, const Module *m)
{
    Printer p = {out, m, NULL};
    fprintf(out, ".version %u.%u\n.target %s\n.address_size 64\n", m->version_major,
            m->version_minor, m->target);
    for (uint32_t i = 1; i < m->n_files; i++)
        if (m->files[i][0])
            fprintf(out, ".file %u \"%s\"\n", i, m->files[i]);
    for (uint32_t i = 0; i < m->n_funcs;
         i++) { /* prototypes first: initial values and calls may name them */
        p.f = &m->funcs[i];
        if (p.f->is_entry)
            continue;
        print_head(&p);
        fputs(";\n", out);
    }
    p.f = NULL;
    print_vars_of(&p, -1);
    for (uint32_t i = 0; i < m->n_funcs; i++) {
        p.f = &m->funcs[i];
        if (p.f->alias_of)
            fprintf(out, ".alias %s, %s;\n", p.f->name, p.f->alias_of);
        else if (p.f->is_entry || !p.f->is_extern)
            print_func(&p);
    }
}
