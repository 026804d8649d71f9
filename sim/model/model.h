/* Machine models: every number the time core uses, with value, status and source. Read from
 * models/NAME.yaml, strict and complete; nothing has a default in code. The one list of parameters
 * is model.def. */
#ifndef RAO_MODEL_MODEL_H
#define RAO_MODEL_MODEL_H

#include "isa/arena.h"
#include "isa/err.h"

typedef enum ModelKey {
#define PARAM(id, key, min, max, unit, meaning) MP_##id,
#include "sim/model/model.def"
#undef PARAM
    MP_COUNT
} ModelKey;

typedef struct ParamInfo {
    const char *key; /* dotted path in the file, "mufu.ex2.lanes_per_cycle" */
    double min, max;
    const char *unit, *meaning;
} ParamInfo;
extern const ParamInfo param_info[MP_COUNT];

typedef enum ParamStatus { PS_MEASURED, PS_DOCUMENTED, PS_DERIVED, PS_ASSUMED } ParamStatus;
extern const char *const param_status_name[4];

typedef struct Model {
    const char *name, *path;
    const char *target; /* "sm_100a" */
    double v[MP_COUNT];
    uint8_t status[MP_COUNT]; /* ParamStatus */
    const char *source[MP_COUNT];
    bool overridden[MP_COUNT]; /* by --set */
    uint64_t hash;             /* of all values, FNV-1a: names the model in traces and reports */
} Model;

/* Finds a model by name ("b200") in the search path (RAO_MODELS if set, the source tree's models/,
 * the installed share/rao/models) or by path (contains '/' or ends in .yaml). Errors with
 * file:line:col: unknown, missing, repeated, out-of-range keys, bad status, empty source. */
bool model_load(Arena *a, const char *name, Model *out, Err *err);

/* The same from text in memory; `path` is for messages and, if it has a folder, where `base:` is
 * looked for first. */
bool model_parse_text(Arena *a, const char *path, const char *text, size_t len, Model *out,
                      Err *err);

/* "key=value" from the command line: the nearest keys are named if there is no such key; range
 * checked; recomputes the hash; status becomes assumed, source "--set". A key may be abbreviated to
 * a unique suffix. */
bool model_set(Model *m, const char *assignment, Err *err);

uint32_t model_assumed_count(const Model *m);

#endif
