/* rao check on a launch file made by a test: text in, JSON out. */
#ifndef RAO_TESTS_CHECK_KIT_H
#define RAO_TESTS_CHECK_KIT_H

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/api/rao.h"

static char dir[] = "/tmp/rao_bugs_XXXXXX";

static inline char *slurp(const char *path)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    char *text = calloc(1, 4u << 20);
    ck_assert(fread(text, 1, (4u << 20) - 1, f) > 0);
    fclose(f);
    return text;
}

static inline void spill(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

typedef struct Seen { /* what came out of one run */
    RaoStatus status;
    json_t *json;
    char error[2048];
} Seen;

static inline Seen run_file(const char *path, RaoOptions opt)
{
    opt.threads = 1;
    RaoResult *r = rao_run(path, &opt);
    Seen s = {.status = rao_status(r), .json = json_loads(rao_json(r), 0, NULL)};
    snprintf(s.error, sizeof s.error, "%s", rao_error(r));
    rao_free(r);
    ck_assert_msg(s.json != NULL, "%s: no JSON: %s", path, s.error);
    return s;
}

static inline Seen check_file(const char *path)
{
    return run_file(path, (RaoOptions){.check = true});
}

static inline int64_t line_of(const json_t *o)
{
    return json_integer_value(json_object_get(o, "line"));
}

#endif
