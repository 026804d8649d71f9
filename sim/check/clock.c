/* Agents and vector clocks. A clock has the sections of core.h, with an entry for each warp of the
 * cluster, then one for each other agent as it comes up. */
#include "sim/check/core.h"

enum { CLOCKS_AT_ONCE = 16 };

Epoch *clock_new(Checker *k)
{
    size_t bytes = k->cap_agents * sizeof(Epoch) < sizeof(Epoch *) ? sizeof(Epoch *)
                                                                   : k->cap_agents * sizeof(Epoch);
    if (!k->free_clocks) {
        uint8_t *p = arena_alloc(&k->root->launch, CLOCKS_AT_ONCE * bytes);
        for (uint32_t i = 0; i < CLOCKS_AT_ONCE; i++)
            clock_free(k, (Epoch *)(void *)(p + i * bytes));
    }
    Epoch *c = k->free_clocks;
    memcpy(&k->free_clocks, c, sizeof k->free_clocks);
    memset(c, 0, bytes);
    return c;
}

Epoch *clock_copy(Checker *k, const Epoch *from)
{
    Epoch *c = clock_new(k);
    memcpy(c, from, k->n_agents * sizeof *c);
    return c;
}

void clock_free(Checker *k, Epoch *c)
{
    if (!c)
        return;
    memcpy(c, &k->free_clocks, sizeof k->free_clocks);
    k->free_clocks = c;
}

void clock_join(const Checker *k, Epoch *restrict to, const Epoch *restrict from)
{
    for (uint32_t i = 0; i < k->n_agents; i++)
        to[i] = to[i] > from[i] ? to[i] : from[i];
}

uint16_t agent_new(Checker *k, AgentKind kind, uint32_t owner)
{
    if (k->n_agents == k->cap_agents)
        return NO_AGENT;
    k->agents[k->n_agents] = (Agent){(uint8_t)kind, owner};
    return (uint16_t)k->n_agents++;
}

uint16_t agent_of(Checker *k, uint32_t warp, AgentKind kind)
{
    WarpCheck *w = &k->warps[warp];
    if (w->agent[kind] == 0) { /* agent 0 is a warp */
        w->agent[kind] = agent_new(k, kind, warp);
        w->time[kind] = 1;
    }
    return w->agent[kind];
}

Act act_warp(const Checker *k, const Warp *w, const XInsn *in, uint16_t flags)
{
    uint32_t i = w->cta->rank * k->n_warps + w->id;
    const Epoch *clk = k->warps[i].clk;
    return (Act){.clk = clk,
                 .warp = i,
                 .insn = (uint32_t)(in - k->x->insns),
                 .agent = (uint16_t)i,
                 .epoch = clk[i],
                 .flags = flags};
}

Act act_async(Checker *k, const Warp *w, const XInsn *in, AgentKind kind, uint16_t flags)
{
    Act a = act_warp(k, w, in, flags);
    a.agent = agent_of(k, a.warp, kind);
    a.epoch = k->warps[a.warp].time[kind];
    return a;
}
