/* What the checker found, as JSON. */
#include "sim/report/deadlock.h"

static void put_text(json_t *o, const char *key, const char *text)
{
    if (text)
        json_object_set_new(o, key, json_string(text));
}

static json_t *site(const FindingSite *s)
{
    json_t *o = json_pack("{s:s,s:i,s:i,s:[i,i,i]}", "what", s->what, "line", (int)s->line, "warp",
                          (int)s->warp, "block", (int)s->cta[0], (int)s->cta[1], (int)s->cta[2]);
    put_text(o, "file", s->file);
    put_text(o, "role", s->role);
    if (s->lane >= 0)
        json_object_set_new(o, "lane", json_integer(s->lane));
    if (s->src_file)
        json_object_set_new(o, "source",
                            json_pack("{s:s,s:i}", "file", s->src_file, "line", (int)s->src_line));
    return o;
}

json_t *findings_json(const Checker *k)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < checker_total(k); i++) {
        const Finding *f = checker_finding(k, i);
        json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:o,s:I,s:b}", "kind", finding_name[f->kind],
                              "severity", f->warning ? "warning" : "error", "kernel", f->kernel,
                              "text", finding_text[f->kind], "at", site(&f->at), "count",
                              (json_int_t)f->count, "suppressed", (int)f->suppressed);
        if (f->other.what)
            json_object_set_new(o, "other", site(&f->other));
        put_text(o, "object", f->object);
        put_text(o, "detail", f->detail);
        json_array_append_new(list, o);
    }
    return list;
}
