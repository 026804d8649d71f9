/* The strict part of YAML that model and launch files use: maps, lists and scalars, each with its
 * place.
 *
 * libyaml scans; what has no business in these files (anchors, aliases, tags, several documents,
 * keys that are not words, a key given twice) is refused here, so that a reader above sees a plain
 * tree. Scalars stay text until a reader asks for a number: there is no guessing of types, "no" is
 * a word and 010 is an error, not eight.
 *
 * Every function that fails says where, names the offending word and, where there is a list of
 * legal ones, the nearest. */
#ifndef RAO_MODEL_YAML_H
#define RAO_MODEL_YAML_H

#include "isa/arena.h"
#include "isa/err.h"

typedef enum YmlKind { YML_SCALAR, YML_LIST, YML_MAP } YmlKind;

typedef struct YmlNode YmlNode;
typedef struct YmlPair {
    const char *key;
    Loc loc; /* of the key */
    const YmlNode *value;
} YmlPair;

struct YmlNode {
    YmlKind kind;
    bool quoted; /* SCALAR: "..." or '...' or a block */
    Loc loc;
    const char *text;            /* SCALAR: NUL-terminated, holds no other NUL */
    const YmlNode *const *items; /* LIST */
    const YmlPair *pairs;        /* MAP: in the file's order, no two keys alike */
    uint32_t n;                  /* items or pairs */
};

/* Parses one document of `len` bytes. `path` is for messages and copied. ERR_SYNTAX: not YAML, or
 * not the strict part. At most 16 MiB, 32 levels, 1 million nodes. The tree lives in `a`. */
bool yml_parse(Arena *a, const char *path, const char *text, size_t len, const YmlNode **out,
               Err *err);

/* Reads the file, then yml_parse. ERR_IO. */
bool yml_load(Arena *a, const char *path, const YmlNode **out, Err *err);

/* The pair of that key, or NULL. */
const YmlPair *yml_find(const YmlNode *map, const char *key);

/* `what` names the node in messages: "tensor 'q'", "'grid'". The legal words end with NULL. */
bool yml_is_map(const YmlNode *n, const char *what, Err *err);
bool yml_is_list(const YmlNode *n, const char *what, Err *err);
/* A map that has no key outside the list. */
bool yml_map_of(const YmlNode *n, const char *what, const char *const *keys, Err *err);
/* The value of a key that must be there. */
bool yml_need(const YmlNode *map, const char *what, const char *key, const YmlNode **out, Err *err);

bool yml_word(const YmlNode *n, const char *what, const char **out, Err *err); /* not empty */
bool yml_bool(const YmlNode *n, const char *what, bool *out, Err *err);        /* true or false */
/* Decimal or, for bit patterns, 0x; lo <= value <= hi. */
bool yml_uint(const YmlNode *n, const char *what, uint64_t lo, uint64_t hi, uint64_t *out,
              Err *err);
/* Decimal, finite. */
bool yml_number(const YmlNode *n, const char *what, double *out, Err *err);
/* One of the words: its index. */
bool yml_choice(const YmlNode *n, const char *what, const char *const *words, uint32_t *out,
                Err *err);

/* Strict number syntax, for text that comes from elsewhere too (the command line). False: not a
 * number. */
bool yml_text_number(const char *text, double *out);
bool yml_text_uint(const char *text, uint64_t *out);

/* Edit distance (insert, delete, replace, swap neighbours); words beyond 63 characters count as
 * 1000 apart. */
uint32_t yml_distance(const char *a, const char *b);

/* "; did you mean 'x'?" or "; legal: a, b, c" for a word that is not among the words; at most n
 * bytes. */
void yml_suggest(char *text, size_t n, const char *word, const char *const *words);

#endif
