/* Faults of the executor as findings: which kind each is. Told by the words of the message; every
 * row but those of local memory and parameters has a kernel in tests/bugs that fails when they
 * change. */
#include "sim/check/core.h"

typedef struct FaultWords {
    const char *words;
    FindingKind kind;
} FaultWords;

/* The first that occurs in the message. */
static const FaultWords table[] = {
    {"no initialised mbarrier", FK_MBAR_UNINIT},
    {"matrix descriptor", FK_DESCRIPTOR},
    {"instruction descriptor", FK_DESCRIPTOR},
    {"reaches beyond", FK_DESCRIPTOR},
    {"which has exited", FK_EXITED_CTA},
    {"may access lanes", FK_TMEM_LANE},
    {"tcgen05.dealloc", FK_TMEM_FREE},
    {"no allocation of", FK_TMEM_FREE},
    {"not all allocated", FK_TMEM_UNALLOCATED},
    {"tensor memory columns", FK_TMEM_UNALLOCATED},
    {"columns of tensor memory: must be", FK_TMEM_ALLOC},
    {"tensor map", FK_TMA},
    {"multiple of 16", FK_TMA},
    {"is not aligned", FK_MISALIGNED},
    {"must be aligned", FK_MISALIGNED},
    {"setmaxnreg", FK_SETMAXNREG},
    {"can never arrive", FK_DIVERGENT},
    {"barrier ", FK_BARRIER},
    {"shared address", FK_ADDRESS},
    {"global address", FK_ADDRESS},
    {"are in no allocation", FK_ADDRESS},
    {"local", FK_ADDRESS},
    {"parameters", FK_ADDRESS},
};

FindingKind fault_kind(const char *text)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strstr(text, table[i].words))
            return table[i].kind;
    return FK_FAULT;
}
