/* atom and red: read-modify-write, lane by lane in order. Global memory is shared by CTAs on other
 * host threads, so there every update is one atomic exchange of the host; vectors are atomic by
 * element, as PTX says. PTX ISA "atom", "red". */
#include "sim/func/exec_decl.h"
#include "sim/func/lanes.h"
#include "sim/func/num.h"

typedef struct Rmw {
    uint8_t op; /* MV_ATOM_... */
    PtxType type;
    bool ftz; /* f32 in global memory flushes subnormals (PTX ISA, atom.add.f32) */
} Rmw;

static uint64_t extend(PtxType t, uint64_t v)
{
    uint32_t unused = 64u - type_info[t].bits;
    return type_info[t].kind == 'S' ? (uint64_t)((int64_t)(v << unused) >> unused)
                                    : v << unused >> unused;
}

static uint64_t update_int(const Rmw *r, uint64_t old, uint64_t b)
{
    bool is_signed = type_info[r->type].kind == 'S';
    old = extend(r->type, old);
    b = extend(r->type, b);
    bool less = is_signed ? (int64_t)old < (int64_t)b : old < b;
    switch (r->op) {
    case MV_ATOM_ADD:
        return old + b;
    case MV_ATOM_MIN:
        return less ? old : b;
    case MV_ATOM_MAX:
        return less ? b : old;
    case MV_ATOM_AND:
        return old & b;
    case MV_ATOM_OR:
        return old | b;
    case MV_ATOM_XOR:
        return old ^ b;
    case MV_ATOM_INC:
        return old >= b ? 0 : old + 1;
    case MV_ATOM_DEC:
        return old == 0 || old > b ? b : old - 1;
    default:
        return b; /* exch */
    }
}

/* One f16 or bf16: add, or min and max, which ignore a NaN. */
static uint32_t update_half(const Rmw *r, NumType t, uint32_t old, uint32_t b)
{
    NumMode rn = {.rnd = NUM_RN};
    if (r->op == MV_ATOM_ADD)
        return num_add(t, old, b, rn);
    uint32_t x = (uint32_t)num_convert(NUM_F32, t, old, rn),
             y = (uint32_t)num_convert(NUM_F32, t, b, rn);
    if (num_is_nan_f32(x) || num_is_nan_f32(y))
        return num_is_nan_f32(x) && num_is_nan_f32(y) ? 0x7fffu : num_is_nan_f32(x) ? b : old;
    bool less =
        num_float(x) < num_float(y) || (num_float(x) == num_float(y) && old >> 15 > b >> 15);
    return less == (r->op == MV_ATOM_MIN) ? old : b;
}

static uint64_t update_float(const Rmw *r, uint64_t old, uint64_t b)
{
    if (r->type == T_F32) {
        uint32_t x = (uint32_t)old, y = (uint32_t)b;
        if (r->ftz) {
            x = num_ftz_f32(x);
            y = num_ftz_f32(y);
        }
        uint32_t sum = num_canon_f32(num_bits(num_float(x) + num_float(y)));
        return r->ftz ? num_ftz_f32(sum) : sum;
    }
    if (r->type == T_F64) {
        double x, y, sum;
        memcpy(&x, &old, sizeof x);
        memcpy(&y, &b, sizeof y);
        sum = x + y;
        memcpy(&old, &sum, sizeof old);
        return old;
    }
    NumType t = r->type == T_BF16 || r->type == T_BF16X2 ? NUM_BF16 : NUM_F16;
    uint64_t v = 0;
    for (uint32_t at = 0; at < type_info[r->type].bits; at += 16) {
        uint32_t half =
            update_half(r, t, (uint32_t)(old >> at) & 0xffff, (uint32_t)(b >> at) & 0xffff);
        v |= (uint64_t)(half & 0xffff) << at;
    }
    return v;
}

static uint64_t update(const Rmw *r, uint64_t old, uint64_t b)
{
    bool moves = r->op == MV_ATOM_EXCH;
    return type_info[r->type].kind == 'F' && !moves ? update_float(r, old, b)
                                                    : update_int(r, old, b);
}

/* Atomic on the host: replaces the value at p by f(old) and returns old. compare: only if old
 * equals *expect. */
#define HOST_RMW(U)                                                                                \
    static uint64_t rmw_##U(const Rmw *r, uint8_t *p, uint64_t b, const uint64_t *expect)          \
    {                                                                                              \
        U *at = (U *)(void *)p, old = __atomic_load_n(at, __ATOMIC_RELAXED), now;                  \
        do {                                                                                       \
            if (expect && old != (U)*expect)                                                       \
                return old;                                                                        \
            now = (U)(expect ? b : update(r, old, b));                                             \
        } while (!__atomic_compare_exchange_n(at, &old, now, false, __ATOMIC_ACQ_REL,              \
                                              __ATOMIC_ACQUIRE));                                  \
        return old;                                                                                \
    }
HOST_RMW(uint16_t)
HOST_RMW(uint32_t)
HOST_RMW(uint64_t)

static uint64_t rmw(const Rmw *r, uint8_t *p, uint64_t b, const uint64_t *expect)
{
    switch (type_info[r->type].bits) {
    case 16:
        return rmw_uint16_t(r, p, b, expect);
    case 32:
        return rmw_uint32_t(r, p, b, expect);
    default:
        return rmw_uint64_t(r, p, b, expect);
    }
}

typedef struct Operands {
    const CodeOpd *d, *mem, *b, *c; /* d, c may be NULL */
} Operands;

/* x->kept says whether memory is as it was. */
static uint64_t exchange(ExecCtx *x, const Rmw *r, uint8_t *p, uint64_t b, const uint64_t *expect)
{
    uint64_t old = rmw(r, p, b, expect), now = 0;
    memcpy(&now, p, type_info[r->type].bits / 8);
    x->kept = x->kept && old == now;
    return old;
}

static uint64_t elem_u64(const Warp *w, const CodeOpd *o, uint32_t e, uint32_t lane)
{
    uint32_t slots = o->n / (o->n_elems ? o->n_elems : 1u);
    uint64_t v = opd_row(w, o, e * slots)[lane];
    return slots > 1 ? v | (uint64_t)opd_row(w, o, e * slots + 1)[lane] << 32 : v;
}

static void put_elem(const Warp *w, const CodeOpd *o, uint32_t e, uint32_t lane, uint64_t v)
{
    uint32_t slots = o->n / (o->n_elems ? o->n_elems : 1u);
    for (uint32_t s = 0; s < slots; s++)
        opd_row(w, o, e * slots + s)[lane] = (uint32_t)(v >> 32 * s);
}

/* 128 bits: exch and cas. CTAs of a kernel with atomics run on one host thread, so that two words
 * are one access. */
static void exchange_b128(ExecCtx *x, const Operands *o, uint32_t lane, uint8_t *p)
{
    const Warp *w = x->w;
    uint32_t old[4], b[4], now[4];
    const CodeOpd *value = o->c ? o->c : o->b;
    bool swaps = true;
    memcpy(old, p, sizeof old);
    for (uint32_t s = 0; s < 4; s++) {
        b[s] = opd_row(w, value, s)[lane];
        swaps = swaps && (!o->c || opd_row(w, o->b, s)[lane] == old[s]);
    }
    memcpy(now, swaps ? b : old, sizeof now);
    memcpy(p, now, sizeof now);
    x->kept = x->kept && memcmp(old, now, sizeof old) == 0;
    for (uint32_t s = 0; s < 4 && o->d; s++)
        opd_row(w, o->d, s)[lane] = old[s];
}

static bool run(ExecCtx *x, const XInsn *in, uint32_t mask, const Operands *o)
{
    const Warp *w = x->w;
    Rmw r = {.op = o->c ? 0 : in->ci->mod[MC_ATOM], .type = (PtxType)in->ci->type[0]};
    uint32_t elems = o->b->n_elems ? o->b->n_elems : 1, elem_bytes = type_info[r.type].bits / 8;
    uint64_t addr[WARP];
    Place at[WARP];
    bool remote = false;
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t i = first_lane(m);
        if (!place_at(x, in, (int)i, in->ci->mod[MC_SS], opd_addr(w, o->mem, i), elems * elem_bytes,
                      &at[i]))
            return false;
        addr[i] = at[i].addr;
        remote |= at[i].space == SP_SHARED && at[i].owner != x->cta;
        if (at[i].space == SP_PARAM)
            return exec_fault(x, in, (int)i, "writes to the kernel's parameters");
    }
    x->kept = true;
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t i = first_lane(m);
        r.ftz = r.type == T_F32 && at[i].space == SP_GLOBAL;
        if (r.type == T_B128) {
            exchange_b128(x, o, i, at[i].p);
            continue;
        }
        for (uint32_t e = 0; e < elems; e++) {
            uint64_t expect = elem_u64(w, o->b, e, i), b = o->c ? elem_u64(w, o->c, e, i) : expect;
            uint64_t old = exchange(x, &r, at[i].p + e * elem_bytes, b, o->c ? &expect : NULL);
            if (o->d)
                put_elem(w, o->d, e, i, old);
        }
    }
    memory_op(x, addr, elems * elem_bytes, mask, at[first_lane(mask)].space, true, remote);
    return true;
}

static bool atom(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Operands o = {.d = opd(x->w, in, 0), .mem = opd(x->w, in, 1), .b = opd(x->w, in, 2)};
    return run(x, in, mask, &o);
}

static bool atom_cas(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Operands o = {.d = opd(x->w, in, 0),
                  .mem = opd(x->w, in, 1),
                  .b = opd(x->w, in, 2),
                  .c = opd(x->w, in, 3)};
    return run(x, in, mask, &o);
}

static bool red(ExecCtx *x, const XInsn *in, uint32_t mask)
{
    Operands o = {.mem = opd(x->w, in, 0), .b = opd(x->w, in, 1)};
    return run(x, in, mask, &o);
}

#define BIND_RMW(name)                                                                             \
    bool exec_##name(const Code *c, const CodeInsn *in, Bound *out)                                \
    {                                                                                              \
        (void)c;                                                                                   \
        out->dyn = name;                                                                           \
        return in->type[0] != T_B128 || in->mod[MC_ATOM] == MV_ATOM_EXCH || !in->mod[MC_ATOM];     \
    }

BIND_RMW(atom)
BIND_RMW(atom_cas)
BIND_RMW(red)
