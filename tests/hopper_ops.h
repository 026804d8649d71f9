/* Single PTX instructions on many operands, in Rao as on the GPU that made
 * tests/data/hopper_ops.tsv: the operands, the kernel around an instruction, a hash of results.
 *
 * An instruction is written with registers %x0 to %x4 (32 bits), %y (64), %z (16) and %q
 * (predicates); 0 is the result, 1 to 4 are the operands of one thread, cut to the register. */
#ifndef RAO_TESTS_HOPPER_OPS_H
#define RAO_TESTS_HOPPER_OPS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/func/state.h"

enum { OPS_SETS = 2048, OPS_OPERANDS = 4, OPS_THREADS = 256 };

static uint64_t ops_state;

static uint64_t ops_random(void)
{
    ops_state ^= ops_state << 13;
    ops_state ^= ops_state >> 7;
    ops_state ^= ops_state << 17;
    return ops_state * 0x2545F4914F6CDD1Du;
}

/* clang-format off */
static const uint32_t ops_edges[] = {
    0, 1, 2, 31, 32, 33, 64, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0x80000001,
    0xffffffff, 0xfffffffe, 0x3f800000, 0xbf800000, 0x40000000, 0x3f000000, 0x7f800000, 0xff800000, 0x7fc00000,
    0xffc00001, 0x7f800001, 0x007fffff, 0x807fffff, 0x00800000, 0x80800000, 0x7f7fffff, 0xff7fffff, 0x3f800001,
    0x3f7fffff, 0x3f808000, 0x3f801000, 0x477fefff, 0x477ff000, 0x33000000, 0x33000001, 0x38800000, 0x387fffff,
    0x4b000000, 0x4b400000, 0x42ff0000, 0xc2fe0000, 0x4f000000, 0xcf000000, 0x4effffff, 0x5f000000, 0x43e00000,
    0x43e80000, 0x7e800000, 0x7e800001, 0xc2fc0000, 0x3c003c00, 0x7c00fc00, 0x7e00fe01, 0x00010001, 0x83ff0400,
    0x7bff7bff, 0x7f80ff80, 0x7fc07f81, 0x7ff00000, 0xfff00000, 0x7ff80000, 0x7ff00001, 0x3ff00000, 0xbff00000,
    0x000fffff, 0x00100000, 0x43e00000, 0x41dfffff, 0x41e00000, 0xc1e00000, 0x7fefffff, 0x47efffff,
};
/* clang-format on */

static uint64_t ops_operand(unsigned set)
{
    uint64_t r = ops_random(), q = ops_random();
    unsigned n = sizeof ops_edges / sizeof ops_edges[0];
    uint64_t f32_near_1 = (q & 0x83ffffff83ffffffu) | 0x3e0000003e000000u;
    switch (set % 8) {
    case 2:
        return (r & 0x83ffffff83ffffffu) | 0x3e0000003e000000u;
    case 3:
        return (uint64_t)ops_edges[r % n] << 32 | ops_edges[q % n];
    case 4:
        return r & 1 ? (uint64_t)ops_edges[q % n] << 32 | ops_edges[(q >> 32) % n] : f32_near_1;
    case 5:
        return r & 1 ? q % 70 : 0 - q % 70;
    case 6: /* f64 near 1 */
        return (r & 0x800fffffffffffffu) | (0x3f0 + q % 32) << 52;
    case 7: /* f16 near 1 */
        return (r & 0x8fff8fff8fff8fffu) | 0x3000300030003000u;
    default:
        return r;
    }
}

static void ops_fill(uint64_t v[OPS_SETS][OPS_OPERANDS])
{
    ops_state = 88172645463325252u;
    for (unsigned i = 0; i < OPS_SETS; i++)
        for (unsigned k = 0; k < OPS_OPERANDS; k++)
            v[i][k] = ops_operand(i);
}

static const char ops_head[] =
    ".version 9.0\n.target sm_100a\n.address_size 64\n"
    ".visible .entry k(.param .u64 pi, .param .u64 po)\n{\n"
    ".reg .b64 %rd<12>, %y<5>; .reg .b32 %r<12>, %x<5>; .reg .b16 %z<5>; .reg .pred %q<10>;\n"
    "ld.param.u64 %rd1, [pi]; ld.param.u64 %rd2, [po];\n"
    "cvta.to.global.u64 %rd1, %rd1; cvta.to.global.u64 %rd2, %rd2;\n"
    "mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x;\n"
    "mad.lo.u32 %r1, %r1, %r2, %r3;\n"
    "mul.wide.u32 %rd3, %r1, 32; add.u64 %rd1, %rd1, %rd3;\n"
    "mul.wide.u32 %rd3, %r1, 8; add.u64 %rd2, %rd2, %rd3;\n"
    "ld.global.b64 %y1, [%rd1]; ld.global.b64 %y2, [%rd1+8];\n"
    "ld.global.b64 %y3, [%rd1+16]; ld.global.b64 %y4, [%rd1+24];\n"
    "cvt.u32.u64 %x1, %y1; cvt.u32.u64 %x2, %y2; cvt.u32.u64 %x3, %y3; cvt.u32.u64 %x4, %y4;\n"
    "cvt.u16.u64 %z1, %y1; cvt.u16.u64 %z2, %y2; cvt.u16.u64 %z3, %y3; cvt.u16.u64 %z4, %y4;\n"
    "and.b32 %r4, %x3, 1; setp.ne.u32 %q3, %r4, 0;\n"
    "and.b32 %r4, %x4, 1; setp.ne.u32 %q4, %r4, 0;\n";

/* The result as 64 bits; two predicates as bits 0 and 1. */
static const char *ops_tail(const char *insn)
{
    if (strstr(insn, "|%q9"))
        return "selp.b32 %r9, 1, 0, %q0; selp.b32 %r8, 2, 0, %q9; or.b32 %r9, %r9, %r8;\n"
               "cvt.u64.u32 %rd9, %r9;\n";
    switch (strchr(insn, '%')[1]) {
    case 'x':
        return "cvt.u64.u32 %rd9, %x0;\n";
    case 'y':
        return "mov.b64 %rd9, %y0;\n";
    case 'z':
        return "cvt.u64.u16 %rd9, %z0;\n";
    default:
        return "selp.b32 %r9, 1, 0, %q0; cvt.u64.u32 %rd9, %r9;\n";
    }
}

/* Runs insn on the first n sets (a multiple of OPS_THREADS). */
static bool ops_run(const char *insn, uint64_t in[OPS_SETS][OPS_OPERANDS], uint64_t *out,
                    uint32_t n, Err *err)
{
    char text[4096];
    Arena arena = {0};
    Module *module;
    const Func *func;
    CodeLayout lay;
    Code *code;
    GlobalMem *mem = mem_new();
    snprintf(text, sizeof text, "%s%s;\n%sst.global.b64 [%%rd2], %%rd9;\nret;\n}\n", ops_head, insn,
             ops_tail(insn));
    bool ok = isa_parse(&arena, "op.ptx", arena_str(&arena, text, strlen(text)), strlen(text),
                        &module, err) &&
              isa_find_entry(module, "k", &func, err) &&
              exec_load_module(&arena, module, mem, &lay, err) &&
              code_lower(&arena, module, func, &lay, NULL, &code, err);
    if (ok) {
        uint64_t params[2] = {mem_alloc(mem, n * sizeof in[0], "in"),
                              mem_alloc(mem, n * sizeof out[0], "out")};
        memcpy(mem_ptr(mem, params[0], n * sizeof in[0]), in, n * sizeof in[0]);
        ExecDesc desc = {.code = code,
                         .mem = mem,
                         .params = (const uint8_t *)params,
                         .grid = {n / OPS_THREADS, 1, 1},
                         .block = {OPS_THREADS, 1, 1},
                         .cluster = {1, 1, 1},
                         .n_slots = 1,
                         .n_sms = 1};
        ok = exec_run(&arena, &desc, 0, 0, 1, NULL, err);
        memcpy(out, mem_ptr(mem, params[1], n * sizeof out[0]), n * sizeof out[0]);
    }
    mem_free(mem);
    arena_free(&arena);
    return ok;
}

#endif
