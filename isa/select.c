/* From an opcode's spelling and the operands as written to one row of the table, with messages when
 * there is none. */
#include "isa/parse.h"

#include <string.h>

void append_insn(Parser *p, const Insn *in)
{
    Func *f = this_func(p);
    f->insns = grow(p->a, f->insns, f->n_insns, &p->cap_insns, sizeof *f->insns);
    f->insns[f->n_insns++] = *in;
}

/* ---- Opcodes ---- */

typedef struct Split { /* an opcode cut at its dots */
    const char *at[FORM_WORDS_IN_OPCODE];
    uint32_t len[FORM_WORDS_IN_OPCODE];
    int32_t word[FORM_WORDS_IN_OPCODE]; /* of the modifiers */
    uint32_t n;                         /* with the mnemonic */
} Split;

static bool split_opcode(const Forms *fs, const Token *t, Split *s)
{
    const char *p = t->text, *end = t->text + t->len;
    s->n = 0;
    for (;;) {
        const char *dot = memchr(p, '.', (size_t)(end - p));
        const char *stop = dot ? dot : end;
        if (s->n == FORM_WORDS_IN_OPCODE)
            return false;
        s->at[s->n] = p;
        s->len[s->n] = (uint32_t)(stop - p);
        s->word[s->n] = forms_word(fs, p, (size_t)(stop - p));
        s->n++;
        if (!dot)
            return true;
        p = dot + 1;
    }
}

/* Instructions of the manual that no row describes. */
static bool is_known_elsewhere(const char *s, size_t n)
{
    static const char *const names[] = {
        "tex",   "tld4",  "txq",   "suld",  "sust",     "sured", "suq",    "istypep",
        "wmma",  "vadd",  "vsub",  "vmad",  "vabsdiff", "vmin",  "vmax",   "vshl",
        "vshr",  "vset",  "vadd2", "vadd4", "vsub2",    "vsub4", "vavrg2", "vavrg4",
        "vmin2", "vmax2", "vset2", "vset4", "vote",     "shfl",  "match",  "mma"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == n && memcmp(names[i], s, n) == 0)
            return true;
    return false;
}

static bool unknown_mnemonic(Parser *p, const Token *tok, const Split *s)
{
    const Forms *fs = p->fs;
    const char *best = NULL;
    uint32_t best_d = s->len[0] <= 3 ? 1 : 2;
    if (is_known_elsewhere(s->at[0], s->len[0]))
        return fail_at(p, tok->loc, ERR_UNSUPPORTED, "the instruction '%.*s' is not supported",
                       (int)s->len[0], s->at[0]);
    for (uint32_t i = 0; i < fs->n_words; i++) {
        if (fs->first[i] < 0)
            continue;
        if (spelled_nearer(s->at[0], s->len[0], fs->words[i].text, best, &best_d))
            best = fs->words[i].text;
    }
    return fail_at(p, tok->loc, ERR_SYNTAX, "'%.*s' is not an instruction%s%s%s",
                   (int)(s->len[0] < 60 ? s->len[0] : 60), s->at[0], best ? "; did you mean '" : "",
                   best ? best : "", best ? "'?" : "");
}

static void append_choices(Parser *p, const ModForm *m)
{
    if (m->kind == MOD_LITERAL)
        err_append(p->err, " .%s", p->fs->words[m->word].text);
    for (uint32_t t = 1; m->kind == MOD_TYPE && t < T_COUNT; t++)
        if ((m->types >> t) & 1)
            err_append(p->err, " .%s", type_info[t].name);
    uint32_t n = m->kind == MOD_OF_CLASS ? mod_value_count((ModClass)m->cls) : 0;
    for (uint32_t v = 1; v <= n && m->cls != MC_WSHAPE; v++)
        if ((m->allow[v / 64] >> (v % 64)) & 1)
            err_append(p->err, " .%s", mod_value_text((ModClass)m->cls, v));
    if (m->kind == MOD_OF_CLASS && m->cls == MC_WSHAPE)
        err_append(p->err, " .m64nNkK");
}

/* "add.f32": the mnemonic with what the row insists on. */
static void title(const Parser *p, const Form *f, const ModSet *ms, char *buf, size_t cap)
{
    size_t at = (size_t)snprintf(buf, cap, "%s", p->fs->words[f->base].text);
    for (uint32_t i = 0; i < f->n_mods && at < cap; i++) {
        const ModForm *m = &f->mod[i];
        if (m->kind == MOD_LITERAL)
            at += (size_t)snprintf(buf + at, cap - at, ".%s", p->fs->words[m->word].text);
        else if (m->kind == MOD_TYPE && m->type_at < 3 && ms->type[m->type_at])
            at += (size_t)snprintf(buf + at, cap - at, ".%s", type_info[ms->type[m->type_at]].name);
    }
}

static void nearest_choice(const Form *f, const char *s, size_t n, const char **best,
                           uint32_t *best_d)
{
    for (uint32_t i = 0; i < f->n_mods; i++) {
        const ModForm *m = &f->mod[i];
        uint32_t count = m->kind == MOD_OF_CLASS ? mod_value_count((ModClass)m->cls) : 0;
        for (uint32_t v = 1; v <= count; v++) {
            const char *text = mod_value_text((ModClass)m->cls, v);
            if (((m->allow[v / 64] >> (v % 64)) & 1) && spelled_nearer(s, n, text, *best, best_d))
                *best = text;
        }
    }
}

static bool no_such_modifier(Parser *p, const Token *tok, const Split *s, const Form *f,
                             const ModSet *ms, const ModMiss *miss)
{
    char name[128];
    uint32_t at = (uint32_t)miss->word_at + 1;
    Loc loc = tok->loc;
    loc.col += (uint32_t)(s->at[at] - tok->text) - 1;
    title(p, f, ms, name, sizeof name);
    const char *best = NULL;
    uint32_t best_d = s->len[at] <= 3 ? 1 : 2;
    nearest_choice(f, s->at[at], s->len[at], &best, &best_d);
    fail_at(p, loc, ERR_SYNTAX, "%s has no %s '.%.*s'", name,
            miss->is_type ? "place for the type" : "modifier",
            (int)(s->len[at] < 60 ? s->len[at] : 60), s->at[at]);
    if (best)
        err_append(p->err, "; did you mean '.%s'?", best);
    bool any = false;
    for (uint32_t i = 0; i < f->n_mods; i++) {
        const ModForm *m = &f->mod[i];
        if (miss->is_type ? m->kind != MOD_TYPE : m->kind != MOD_OF_CLASS)
            continue;
        bool again = false; /* two places of one class or placeholder have one list */
        for (uint32_t k = 0; k < i; k++)
            again |=
                f->mod[k].kind == m->kind && f->mod[k].cls == m->cls && f->mod[k].types == m->types;
        if (again)
            continue;
        err_append(p->err, any ? "" : "; it takes");
        any = true;
        append_choices(p, m);
    }
    return false;
}

/* Is the first miss nearer to a match? A row of other types is further away than one without the
 * modifier. */
static bool closer(const ModMiss *a, const ModMiss *b)
{
    if (a->is_type != b->is_type)
        return !a->is_type;
    if (a->n_matched != b->n_matched)
        return a->n_matched > b->n_matched;
    return a->word_at < 0 && b->word_at >= 0;
}

static bool no_row(Parser *p, const Token *tok, const Split *s)
{
    const Form *best = NULL;
    ModMiss best_miss = {0};
    ModSet best_ms = {0};
    for (int32_t r = p->fs->first[s->word[0]]; r >= 0; r = p->fs->form[r].next) {
        ModSet ms;
        ModMiss miss;
        form_match(p->fs, &p->fs->form[r], s->word + 1, s->n - 1, &ms, &miss);
        if (best && !closer(&miss, &best_miss))
            continue;
        best = &p->fs->form[r];
        best_miss = miss;
        best_ms = ms;
    }
    if (best_miss.word_at >= 0)
        return no_such_modifier(p, tok, s, best, &best_ms, &best_miss);
    char name[128];
    title(p, best, &best_ms, name, sizeof name);
    if (best_miss.slot < 0)
        return fail_at(p, tok->loc, ERR_SYNTAX, "the types of %s must be equal", name);
    fail_at(p, tok->loc, ERR_SYNTAX, "'%.*s' lacks a modifier, one of",
            (int)(tok->len < 80 ? tok->len : 80), tok->text);
    append_choices(p, &best->mod[best_miss.slot]);
    return false;
}

bool find_opcode(Parser *p, const Token *tok, const Opcode **out)
{
    Name *name = names_get(&p->names, tok->text, tok->len);
    if (name->opcode) {
        *out = &p->opcodes[name->opcode - 1];
        return true;
    }
    Split s;
    if (!split_opcode(p->fs, tok, &s))
        return fail_at(p, tok->loc, ERR_SYNTAX, "an opcode of more than %d words",
                       FORM_WORDS_IN_OPCODE);
    int32_t first = s.word[0] >= 0 ? p->fs->first[s.word[0]] : -1;
    if (first < 0)
        return unknown_mnemonic(p, tok, &s);
    OpcodeCand cand[16];
    Opcode oc = {.label_at = -1};
    for (int32_t r = first; r >= 0 && oc.n < 16; r = p->fs->form[r].next) {
        const Form *f = &p->fs->form[r];
        ModMiss miss;
        if (!form_match(p->fs, f, s.word + 1, s.n - 1, &cand[oc.n].ms, &miss))
            continue;
        cand[oc.n++].op = (uint16_t)r;
        oc.is_call |= r == OP_CALL;
        for (uint32_t k = 0; k < f->n_opds; k++)
            if (f->opd[k].role == OF_LABEL || f->opd[k].role == OF_TARGETS)
                oc.label_at = (int32_t)k;
    }
    if (oc.n == 0)
        return no_row(p, tok, &s);
    oc.cand = arena_new(p->a, OpcodeCand, oc.n);
    memcpy(oc.cand, cand, oc.n * sizeof cand[0]);
    p->opcodes = grow(p->a, p->opcodes, p->n_opcodes, &p->cap_opcodes, sizeof *p->opcodes);
    p->opcodes[p->n_opcodes++] = oc;
    name->opcode = (int32_t)p->n_opcodes;
    *out = &p->opcodes[p->n_opcodes - 1];
    return true;
}

/* ---- Operands ---- */

typedef struct Fit {
    int8_t raw[FORM_OPDS]; /* per operand place: index in p->raw, or -1 */
    uint32_t n_good;       /* places that fit, from the left */
    uint32_t n_present;
    bool fits;
} Fit;

static bool is_pred(Parser *p, const Operand *o)
{
    return o->kind == OPD_REG && this_func(p)->regs[o->reg].type == T_PRED;
}

static bool value_fits(Parser *p, const OpdForm *o, const Raw *r)
{
    switch (r->o.kind) {
    case OPD_REG:
        return !is_pred(p, &r->o) && !r->o.neg && o->type_rule != TR_CONST;
    case OPD_IMM:
        return o->is_src;
    case OPD_SREG:
    case OPD_ADDR_OF:
    case OPD_FUNC:
        return o->is_src && o->type_rule != TR_CONST;
    case OPD_SINK:
        return o->may_sink;
    default:
        return false;
    }
}

/* {a} where a single value stands: Triton writes its scalar loads and stores so. */
static Raw unwrap(Parser *p, const OpdForm *o, const ModSet *ms, const Raw *r)
{
    Raw out = *r;
    bool scalar = o->role == OF_VALUE || (o->role == OF_VALVEC && !ms->mod[MC_VEC]);
    if (scalar && r->o.kind == OPD_VEC && r->o.n == 1)
        out.o = p->m->elems[r->o.first];
    return out;
}

static bool raw_fits(Parser *p, const OpdForm *o, const ModSet *ms, const Raw *written)
{
    Raw unwrapped = unwrap(p, o, ms, written);
    const Raw *r = &unwrapped;
    if (r->paired != o->paired || r->in_bracket != o->in_bracket)
        return false;
    switch ((OpdRole)o->role) {
    case OF_VALUE:
        return value_fits(p, o, r);
    case OF_PRED:
        return is_pred(p, &r->o) || (r->o.kind == OPD_IMM && o->is_src && !r->o.is_float) ||
               (r->o.kind == OPD_SINK && o->may_sink) || (r->o.kind == OPD_SREG && o->is_src);
    case OF_MEM:
        return r->o.kind == OPD_MEM;
    case OF_VEC:
        return r->o.kind == OPD_VEC;
    case OF_VALVEC:
        return ms->mod[MC_VEC] ? r->o.kind == OPD_VEC : value_fits(p, o, r);
    case OF_LABEL:
    case OF_TARGETS:
        return r->o.kind == OPD_NAME;
    case OF_FUNC:
    case OF_ARGS:
    case OF_PROTO:
        return false; /* calls are parsed apart */
    }
    return false;
}

/* Fits the operands with this choice of optional groups (bit g - 1 = group g is written). */
static Fit fit_groups(Parser *p, const Form *f, const ModSet *ms, uint32_t groups)
{
    Fit fit = {.fits = true};
    bool all_good = true;
    for (uint32_t k = 0; k < f->n_opds; k++) {
        const OpdForm *o = &f->opd[k];
        bool present = !o->group || ((groups >> (o->group - 1)) & 1);
        fit.raw[k] = -1;
        if (o->tie != MC_COUNT && present != form_tie_holds(o, ms))
            fit.fits = all_good = false;
        if (!present)
            continue;
        uint32_t at = fit.n_present++;
        if (at >= p->n_raw || !raw_fits(p, o, ms, &p->raw[at]))
            fit.fits = all_good = false;
        fit.n_good += all_good;
        fit.raw[k] = (int8_t)at;
    }
    if (fit.n_present != p->n_raw)
        fit.fits = false;
    return fit;
}

static Fit fit_row(Parser *p, const Form *f, const ModSet *ms)
{
    Fit best = {0};
    for (uint32_t groups = 1u << f->n_groups; groups-- > 0;) { /* the most complete reading first */
        Fit fit = fit_groups(p, f, ms, groups);
        if (fit.fits)
            return fit;
        bool right_count = fit.n_present == p->n_raw, best_right = best.n_present == p->n_raw;
        if (groups + 1 == 1u << f->n_groups || (right_count && !best_right) ||
            (right_count == best_right && fit.n_good > best.n_good))
            best = fit;
    }
    return best;
}

static const char *raw_text(Parser *p, const Raw *r)
{
    switch (r->o.kind) {
    case OPD_REG:
        return is_pred(p, &r->o) ? "a predicate" : r->o.neg ? "a negated register" : "a register";
    case OPD_IMM:
        return r->o.is_float ? "a float constant" : "a constant";
    case OPD_SREG:
        return "a special register";
    case OPD_ADDR_OF:
        return "a variable";
    case OPD_FUNC:
        return "a function";
    case OPD_MEM:
        return "an address";
    case OPD_VEC:
        return "a vector";
    case OPD_SINK:
        return "'_'";
    default:
        return "this";
    }
}

static const char *role_text(const OpdForm *o, const ModSet *ms)
{
    switch ((OpdRole)o->role) {
    case OF_VALVEC:
        if (ms->mod[MC_VEC])
            return "a vector in braces";
        return o->is_dst ? "a register" : "a register or constant";
    case OF_VALUE:
        if (o->type_rule == TR_CONST)
            return "an integer constant";
        return o->is_dst ? "a register" : "a register or constant";
    case OF_PRED:
        return "a predicate";
    case OF_MEM:
        return "an address in brackets";
    case OF_VEC:
        return "a vector in braces";
    case OF_LABEL:
        return "a label";
    case OF_TARGETS:
        return "a list of branch targets";
    case OF_FUNC:
    case OF_ARGS:
    case OF_PROTO:
        return "a call's operand";
    }
    return "";
}

static bool no_fit(Parser *p, const Token *tok, const OpcodeCand *c, const Fit *fit)
{
    const Form *f = &p->fs->form[c->op];
    int len = (int)(tok->len < 100 ? tok->len : 100);
    for (uint32_t k = 0; k < f->n_opds; k++) {
        int at = fit->raw[k];
        if (at < 0 || (uint32_t)at >= p->n_raw || raw_fits(p, &f->opd[k], &c->ms, &p->raw[at]))
            continue;
        if (fit->n_present != p->n_raw)
            break;
        return fail_at(p, p->raw[at].loc, ERR_SEMANTIC, "operand '%s' of %.*s must be %s, not %s",
                       f->opd[k].name, len, tok->text, role_text(&f->opd[k], &c->ms),
                       raw_text(p, &p->raw[at]));
    }
    fail_at(p, tok->loc, ERR_SEMANTIC, "%.*s does not take these %u operand%s; its form is: %s",
            len, tok->text, p->n_raw, p->n_raw == 1 ? "" : "s", op_row[c->op].syntax);
    return false;
}

static bool settle_operand(Parser *p, const OpdForm *form, const Raw *r, Operand *o)
{
    *o = r->o;
    if (form->role == OF_LABEL) {
        o->kind = OPD_LABEL;
        return use_label(p, r->name, o, NULL, r->loc);
    }
    if (form->role == OF_TARGETS) {
        o->kind = OPD_LABEL;
        o->imm = r->name->label.index;
        if (r->name->label.kind != SYM_TARGETS || o->imm < 0)
            return fail_at(p, r->loc, ERR_SEMANTIC,
                           "'%.60s' is not a .branchtargets list declared above", r->name->s);
    }
    return true;
}

bool select_row(Parser *p, const Token *tok, const Opcode *oc, Insn *in)
{
    const OpcodeCand *c = NULL, *nearest = &oc->cand[0];
    Fit fit = {0}, best = {0};
    for (uint32_t i = 0; i < oc->n && !c; i++) {
        fit = fit_row(p, &p->fs->form[oc->cand[i].op], &oc->cand[i].ms);
        if (fit.fits)
            c = &oc->cand[i];
        else if (i == 0 || fit.n_good > best.n_good) {
            best = fit;
            nearest = &oc->cand[i];
        }
    }
    if (!c)
        return no_fit(p, tok, nearest, &best);
    const Form *f = &p->fs->form[c->op];
    Operand *o = arena_new(p->a, Operand, f->n_opds);
    for (uint32_t k = 0; k < f->n_opds; k++) {
        o[k] = (Operand){.reg = -1, .var = -1, .func = -1};
        if (fit.raw[k] < 0)
            continue;
        Raw r = unwrap(p, &f->opd[k], &c->ms, &p->raw[fit.raw[k]]);
        if (!settle_operand(p, &f->opd[k], &r, &o[k]))
            return false;
    }
    in->op = c->op;
    in->n_opd = f->n_opds;
    memcpy(in->type, c->ms.type, sizeof in->type);
    memcpy(in->mod, c->ms.mod, sizeof in->mod);
    in->opd = o;
    in->loc = tok->loc;
    if (!check_insn(p->m, this_func(p), p->fs, in, p->err))
        return false;
    append_insn(p, in);
    return true;
}
