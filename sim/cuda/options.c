/* The options of `rao exec` arrive in the environment of the program it starts, and of whatever
 * that starts. Without them (the libraries found by hand) all have their defaults. */
#include "sim/cuda/state.h"

#include <stdlib.h>
#include <string.h>

static const char *text_of(const char *name)
{
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *v = text_of(name);
    return v ? strtoull(v, NULL, 10) : otherwise;
}

void options_read(ExecOptions *o)
{
    *o = (ExecOptions){.model = text_of("RAO_EXEC_MODEL"),
                       .set = text_of("RAO_EXEC_SET"),
                       .only = text_of("RAO_EXEC_ONLY"),
                       .skip = number_of("RAO_EXEC_SKIP", 0),
                       .count = number_of("RAO_EXEC_COUNT", UINT64_MAX),
                       .report = text_of("RAO_EXEC_REPORT"),
                       .capture = text_of("RAO_EXEC_CAPTURE"),
                       .status = text_of("RAO_EXEC_STATUS"),
                       .time = number_of("RAO_EXEC_TIME", 0) != 0,
                       .check = number_of("RAO_EXEC_CHECK", 0) != 0,
                       .suppressions = text_of("RAO_EXEC_SUPPRESSIONS"),
                       .print_limit = (uint32_t)number_of("RAO_EXEC_PRINT_LIMIT", 100),
                       .threads = (uint32_t)number_of("RAO_EXEC_THREADS", 0),
                       .sms = (uint32_t)number_of("RAO_EXEC_SMS", SMS_AUTO)};
    const char *mma = text_of("RAO_EXEC_MMA");
    o->mma_hw = mma && strcmp(mma, "hw") == 0;
}
