/* Shared by the readers of a launch file's parts: launch.c (the file, tensors, kernels, roles),
 * args.c, checks.c. */
#ifndef RAO_LAUNCH_READER_H
#define RAO_LAUNCH_READER_H

#include "sim/launch/launch.h"
#include "sim/model/yaml.h"

typedef struct LaunchReader {
    Arena *a;
    Launch *l;
    const char **tensor_names; /* of l->tensors, ended by NULL */
    Err *err;
} LaunchReader;

/* A word that names a tensor. */
bool read_tensor_name(LaunchReader *r, const YmlNode *n, const char *what, int32_t *out);

/* A path in the file, relative to the file's folder. */
bool read_path(LaunchReader *r, const YmlNode *n, const char *what, const char **out);

bool read_args(LaunchReader *r, const YmlNode *n, KernelLaunch *k); /* args.c */
bool read_checks(LaunchReader *r, const YmlNode *n);                /* checks.c */

#endif
