/* wmma: where the elements of a fragment lie and what a product gives, against an H100
 * (tests/data/hopper_wmma.tsv) and against triple loops; every form, layout, space and stride. */
#include <check.h>
#include <math.h>
#include <stdarg.h>

#include "ptx_run.h"
#include "sim/func/num.h"

enum { BODY = 16384, AT = 8192, PAD = 16, MAX_LINE = 8192, REGS = 8 };

static char body[BODY];

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
    size_t n = strlen(body);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(body + n, sizeof body - n, fmt, ap);
    va_end(ap);
}

/* Runs body on n bytes of `in`, gives as many of `out`. */
static void run(const char *what, const char *globals, bool hw, const uint8_t *in, size_t n,
                uint8_t *out)
{
    PtxRun r = {0};
    PtxKernel k;
    bool good = ptx_load(&k, &r, globals, body);
    ck_assert_msg(good, "%s: %s", what, k.err.msg);
    k.desc.mma_hw = hw;
    uint8_t *mem = mem_ptr(k.mem, k.out, PTX_OUT_BYTES);
    memcpy(mem, in, n);
    good = exec_run(&k.arena, &k.desc, 0, 0, 1, NULL, &k.err);
    ck_assert_msg(good, "%s: %s", what, k.err.msg);
    memcpy(out, mem, n);
    ptx_free(&k);
}

/* ---- Matrices ---- */

typedef struct Type {
    const char *name, *reg;
    int bits;
} Type;

static const Type *type_of(const char *name)
{
    static const Type types[] = {{"f16", "r", 16}, {"bf16", "r", 16}, {"tf32", "r", 32},
                                 {"f32", "f", 32}, {"s32", "r", 32},  {"f64", "fd", 64},
                                 {"s8", "r", 8},   {"u8", "r", 8},    {"s4", "r", 4},
                                 {"u4", "r", 4},   {"b1", "r", 1}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    ck_abort_msg("type %s", name);
    return NULL;
}

typedef struct Shape {
    int m, n, k;
} Shape;

static Shape shape_of(const char *text)
{
    Shape s = {0};
    ck_assert_int_eq(sscanf(text, "m%dn%dk%d", &s.m, &s.n, &s.k), 3);
    return s;
}

typedef struct Matrix {
    const Type *type;
    int rows, columns, stride; /* stride in elements */
    bool by_rows;
} Matrix;

/* Matrix 0, 1, 2: a, b, and c or d. */
static Matrix matrix(Shape s, int which, const char *type, bool by_rows)
{
    Matrix x = {.type = type_of(type), .by_rows = by_rows};
    x.rows = which == 1 ? s.k : s.m;
    x.columns = which == 0 ? s.k : s.n;
    x.stride = by_rows ? x.columns : x.rows;
    return x;
}

static size_t bit_of(const Matrix *x, int row, int column)
{
    int at = x->by_rows ? row * x->stride + column : column * x->stride + row;
    return (size_t)at * (size_t)x->type->bits;
}

static void put_bits(uint8_t *p, size_t bit, int bits, uint64_t v)
{
    for (int i = 0; i < bits; i++) {
        size_t at = bit + (size_t)i;
        p[at / 8] = (uint8_t)((p[at / 8] & ~(1u << at % 8)) | (v >> i & 1) << at % 8);
    }
}

static uint64_t get_bits(const uint8_t *p, size_t bit, int bits)
{
    uint64_t v = 0;
    for (int i = 0; i < bits; i++)
        v |= (uint64_t)(p[(bit + (size_t)i) / 8] >> (bit + (size_t)i) % 8 & 1) << i;
    return v;
}

/* Registers 10, 20, 30 and 40 on; there are only 20 of f64. */
static int number(const Type *t, int reg)
{
    return t->bits == 64 ? 4 * (reg / 10 - 1) + reg % 10 : reg;
}

static void say_regs(const Type *t, int first, int n)
{
    for (int i = 0; i < n; i++)
        say("%s%%%s%d", i ? ", " : "{", t->reg, number(t, first + i));
    say("}");
}

static int registers(Shape s, int which, const Type *t)
{
    int elements = which == 2 ? s.m * s.n : which ? s.k * s.n : s.m * s.k;
    if (which < 2 && strcmp(t->name, "f16") == 0)
        return REGS;
    return elements * t->bits / 32 / (t->bits == 64 ? 64 : 32);
}

/* ---- Where elements lie ---- */

/* Loads the numbers of elements, a few bits of them at a time, and compares every register. */
static void check_layout(int which, const char *shape, const char *type, int regs, bool by_rows,
                         const char *numbers)
{
    static uint8_t out[PTX_OUT_BYTES], in[PTX_OUT_BYTES];
    Shape s = shape_of(shape);
    Matrix x = matrix(s, which, type, by_rows);
    int bits = x.type->bits, word = bits == 64 ? 64 : 32;
    int planes = bits >= 16 ? 1 : (9 + bits) / bits, per = word / bits;
    ck_assert_int_eq(regs, registers(s, which, x.type));
    memset(in, 0, sizeof in);
    body[0] = 0;
    say("mul.wide.u32 %%rd2, %%r1, %d; add.u64 %%rd2, %%rd2, %%rd1;\n", regs * word / 8);
    for (int p = 0; p < planes; p++) {
        for (int row = 0; row < x.rows; row++)
            for (int c = 0; c < x.columns; c++)
                put_bits(in + p * 2048, bit_of(&x, row, c), bits,
                         (uint64_t)(row * x.columns + c) >> (p * bits));
        say("wmma.load.%c.sync.aligned.%s.%s.global.%s ", "abc"[which], by_rows ? "row" : "col",
            shape, type);
        say_regs(x.type, 10, regs);
        say(", [%%rd1+%d];\n", p * 2048);
        for (int i = 0; i < regs; i++)
            say("st.global.b%d [%%rd2+%d], %%%s%d;\n", word, 32768 + p * 2048 + i * word / 8,
                x.type->reg, number(x.type, 10 + i));
    }
    say("ret;");
    run("wmma.load", "", false, in, sizeof in, out);
    for (int e = 0; e < 32 * regs * per; e++) {
        uint64_t got = 0;
        for (int p = 0; p < planes; p++)
            got |= get_bits(out + 32768 + p * 2048, (size_t)(e * bits), bits) << (p * bits);
        unsigned long want = strtoul(numbers, (char **)&numbers, 10);
        ck_assert_msg(got == want, "%c %s %s: lane %d, element %d is number %lu, not %lu",
                      "abc"[which], shape, type, e / (regs * per), e % (regs * per),
                      (unsigned long)got, want);
    }
}

/* Calls this for each line of a kind in the table; the number of lines. */
static int each_line(const char *kind, void (*call)(char *field[]))
{
    static char line[MAX_LINE];
    FILE *f = fopen(TEST_DIR "/data/hopper_wmma.tsv", "r");
    int n = 0;
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        char *field[8] = {0};
        int k = 0;
        for (char *s = strtok(line, "\t\n"); s && k < 8; s = strtok(NULL, "\t\n"))
            field[k++] = s;
        if (strcmp(field[0], kind) != 0)
            continue;
        call(field);
        n++;
    }
    fclose(f);
    return n;
}

static void layout_line(char *f[])
{
    int which = f[1][0] - 'a';
    bool sub_byte = type_of(f[3])->bits < 8, only_columns = sub_byte && which == 1;
    if (!only_columns)
        check_layout(which, f[2], f[3], atoi(f[4]), true, f[6]);
    if (!sub_byte || only_columns)
        check_layout(which, f[2], f[3], atoi(f[4]), false, f[6]);
}

START_TEST(elements_lie_as_on_an_h100)
{
    ck_assert_int_eq(each_line("layout", layout_line), 47);
}
END_TEST

/* ---- Products ---- */

typedef struct Form { /* one wmma.mma and how its matrices lie */
    char op[128];
    char shape[16], d[8], a[8], c[8];
    Matrix mat[4]; /* a, b, c, d */
    const char *space;
    int strides; /* 0: default, 1: a constant, 2: a register */
} Form;

/* wmma.mma{.op.popc}.sync.aligned.row.col.shape{.rnd}.d{.a.b}.c{.satfinite} */
static Form form_of(const char *op)
{
    Form f = {.space = ".global"};
    char word[16][16] = {{0}}, lay_a[8], lay_b[8];
    int n = 0, at = 0;
    snprintf(f.op, sizeof f.op, "%s", op);
    for (const char *s = op; *s && n < 16; s += *s == '.') {
        size_t len = strcspn(s, ".");
        ck_assert_uint_lt(len, 16);
        memcpy(word[n++], s, len);
        s += len;
    }
    while (strcmp(word[at], "aligned") != 0)
        at++;
    snprintf(lay_a, sizeof lay_a, "%.7s", word[at + 1]);
    snprintf(lay_b, sizeof lay_b, "%.7s", word[at + 2]);
    snprintf(f.shape, sizeof f.shape, "%s", word[at + 3]);
    at += 4;
    at += word[at][0] == 'r'; /* .rn */
    if (strcmp(word[n - 1], "satfinite") == 0)
        n--;
    snprintf(f.d, sizeof f.d, "%.7s", word[at]);
    snprintf(f.a, sizeof f.a, "%.7s", n - at == 4 ? word[at + 1] : "f16");
    snprintf(f.c, sizeof f.c, "%.7s", word[n - 1]);
    Shape s = shape_of(f.shape);
    f.mat[0] = matrix(s, 0, f.a, lay_a[0] == 'r');
    f.mat[1] = matrix(s, 1, f.a, lay_b[0] == 'r');
    f.mat[2] = matrix(s, 2, f.c, true);
    f.mat[3] = matrix(s, 2, f.d, true);
    return f;
}

/* Lane i copies words i, i + 32 ... between the buffer and shared memory. */
static void say_copy(const char *label, bool in)
{
    say("shl.b32 %%r2, %%r1, 2; mov.u32 %%r3, sh; add.u32 %%r3, %%r3, %%r2;\n"
        "cvt.u64.u32 %%rd5, %%r2; add.u64 %%rd5, %%rd5, %%rd1;\n%s:\n",
        label);
    say(in ? "ld.global.b32 %%r4, [%%rd5]; st.shared.b32 [%%r3], %%r4;\n"
           : "ld.shared.b32 %%r4, [%%r3]; st.global.b32 [%%rd5], %%r4;\n");
    say("add.u64 %%rd5, %%rd5, 128; add.u32 %%r3, %%r3, 128; add.u32 %%r2, %%r2, 128;\n"
        "setp.lt.u32 %%p1, %%r2, 32768; @%%p1 bra %s;\nbar.sync 0;\n",
        label);
}

static void say_access(const Form *f, int i)
{
    static const int first[] = {10, 20, 30, 40};
    const Matrix *x = &f->mat[i];
    Shape s = shape_of(f->shape);
    bool shared = strncmp(f->space, ".shared", 7) == 0;
    int n = registers(s, i < 2 ? i : 2, x->type);
    char where[32];
    snprintf(where, sizeof where, "[%%%s+%d]", shared ? "r5" : "rd6", i * AT);
    say("wmma.%s.%c.sync.aligned.%s.%s%s.%s ", i == 3 ? "store" : "load", "abcd"[i],
        x -> by_rows ? "row" : "col", f->shape, f->space, x->type->name);
    if (i == 3)
        say("%s, ", where);
    say_regs(x->type, first[i], n);
    if (i < 3)
        say(", %s", where);
    if (f->strides == 1)
        say(", %d", x->stride);
    say(f->strides == 2 ? ", %%r%d;\n" : ";\n", 50 + i);
}

/* Multiplies the matrices of `in` into those of `out`; `generic_shared`: generic addresses of
 * shared memory. */
static void multiply(const Form *f, bool hw, bool generic_shared, const uint8_t *in, uint8_t *out)
{
    Shape s = shape_of(f->shape);
    bool shared = strncmp(f->space, ".shared", 7) == 0 || generic_shared;
    body[0] = 0;
    if (shared)
        say_copy("IN", true);
    say("mov.u32 %%r5, sh; mov.u64 %%rd6, %%rd1;\n");
    if (generic_shared)
        say("cvt.u64.u32 %%rd6, %%r5; cvta.shared.u64 %%rd6, %%rd6;\n");
    for (int i = 0; i < 4; i++)
        say("mov.u32 %%r%d, %d;\n", 50 + i, f->mat[i].stride);
    for (int i = 0; i < 3; i++)
        say_access(f, i);
    say("%s ", f->op);
    static const int first[] = {40, 10, 20, 30}, which[] = {3, 0, 1, 2};
    for (int i = 0; i < 4; i++) {
        const Type *t = f->mat[which[i]].type;
        say_regs(t, first[i], registers(s, i == 1 || i == 2 ? which[i] : 2, t));
        say(i < 3 ? ", " : ";\n");
    }
    say_access(f, 3);
    if (shared) {
        say("bar.sync 0;\n");
        say_copy("OUT", false);
    }
    say("ret;");
    run(f->op, ".shared .align 128 .b8 sh[32768];\n", hw, in, 4 * AT, out);
}

static uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352dU;
    x ^= x >> 15;
    x *= 0x846ca68bU;
    return x ^ x >> 16;
}

/* What the program on the H100 put at element i: sign and fraction at random, exponents about that
 * of one (profile 0) or 12 to either side of it (1). */
static uint64_t element(const char *type, int profile, uint32_t salt, int which, uint32_t i)
{
    uint32_t h = mix(salt * 0x9E3779B9u + (uint32_t)which * 0x85EBCA6Bu + i + 1);
    uint32_t g = mix(h + 0x1234567u), e = profile ? g % 25 - 12 : g % 3 - 1;
    if (strcmp(type, "f16") == 0)
        return (h & 0x83FF) | (15u + e) << 10;
    if (strcmp(type, "bf16") == 0)
        return (h & 0x807F) | (127u + e) << 7;
    if (strcmp(type, "f32") == 0 || strcmp(type, "tf32") == 0)
        return (h & 0x807FFFFF) | (127u + e) << 23;
    if (strcmp(type, "f64") == 0)
        return ((uint64_t)(h & 0x800FFFFF) | (uint64_t)(1023u + e) << 20) << 32 | mix(g);
    return h;
}

static uint64_t fnv(uint64_t h, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 1099511628211u;
    return h;
}

static size_t bytes_of(const Matrix *x)
{
    return (size_t)(x->rows * x->columns * x->type->bits + 7) / 8;
}

static void product_line(char *f[])
{
    static uint8_t in[4 * AT], out[4 * AT];
    const uint64_t basis = 14695981039346656037u;
    Form form = form_of(f[1]);
    int profile = atoi(f[2]);
    uint32_t salt = (uint32_t)strtoul(f[3], NULL, 10);
    uint64_t hash = basis;
    memset(in, 0, sizeof in);
    for (int i = 0; i < 3; i++) {
        const Matrix *x = &form.mat[i];
        for (int e = 0; e < x->rows * x->columns; e++)
            put_bits(in + i * AT, bit_of(x, e / x->columns, e % x->columns), x->type->bits,
                     element(x->type->name, profile, salt, i, (uint32_t)e));
        hash = fnv(hash, in + i * AT, bytes_of(x));
    }
    ck_assert_msg(hash == strtoull(f[4], NULL, 16), "%s: other inputs than the H100 had", f[1]);
    multiply(&form, true, false, in, out);
    hash = fnv(basis, out + 3 * AT, bytes_of(&form.mat[3]));
    ck_assert_msg(hash == strtoull(f[5], NULL, 16), "%s profile %d: not the H100's bits", f[1],
                  profile);
}

START_TEST(products_are_those_of_an_h100)
{
    ck_assert_int_eq(each_line("mma", product_line), 276);
}
END_TEST

/* ---- mma.sync.m8n8k4 on f16, by registers ---- */

/* Elements of matrix i, in the order of lanes, to `in`; returns the bytes. */
static size_t quad_elements(uint8_t *in, const char *type, int i, int profile, uint32_t salt)
{
    const Type *t = type_of(type);
    int n = i < 2 ? 128 : 256;
    for (int e = 0; e < n; e++)
        put_bits(in, (size_t)(e * t->bits), t->bits, element(type, profile, salt, i, (uint32_t)e));
    return (size_t)(n * t->bits / 8);
}

static void say_quad(const char *what, const Type *t, int at, int first)
{
    int n = 256 * t->bits / 1024;
    say("mul.wide.u32 %%rd2, %%r1, %d; add.u64 %%rd2, %%rd2, %%rd1;\n", 4 * n);
    for (int i = 0; i < n; i++)
        if (what[0] == 'l')
            say("ld.global.b32 %%%s%d, [%%rd2+%d];\n", t->reg, first + i, at + 4 * i);
        else
            say("st.global.b32 [%%rd2+%d], %%%s%d;\n", at + 4 * i, t->reg, first + i);
}

static void quad_line(char *f[])
{
    static uint8_t in[4 * AT], out[4 * AT];
    uint64_t basis = 14695981039346656037u, hash = basis;
    const char *c = f[1] + strlen(f[1]) - 3, *d = strstr(f[1], ".f16.f16") - 3;
    int profile = atoi(f[2]);
    uint32_t salt = (uint32_t)strtoul(f[3], NULL, 10);
    const Type *tc = type_of(c), *td = d[2] == '2' ? type_of("f32") : type_of("f16");
    for (int i = 0; i < 3; i++) {
        size_t n = quad_elements(in + i * AT, i < 2 ? "f16" : c, i, profile, salt);
        hash = fnv(hash, in + i * AT, n);
    }
    ck_assert_msg(hash == strtoull(f[4], NULL, 16), "%s: other inputs than the H100 had", f[1]);
    body[0] = 0;
    say("mul.wide.u32 %%rd2, %%r1, 8; add.u64 %%rd2, %%rd2, %%rd1;\n"
        "ld.global.v2.b32 {%%r10, %%r11}, [%%rd2]; ld.global.v2.b32 {%%r12, %%r13}, [%%rd2+%d];\n",
        AT);
    say_quad("load", tc, 2 * AT, 30);
    say("%s ", f[1]);
    say_regs(td, 40, 256 * td->bits / 1024);
    say(", {%%r10, %%r11}, {%%r12, %%r13}, ");
    say_regs(tc, 30, 256 * tc->bits / 1024);
    say(";\n");
    say_quad("store", td, 3 * AT, 40);
    say("ret;");
    run(f[1], "", false, in, sizeof in, out);
    hash = fnv(basis, out + 3 * AT, (size_t)(256 * td->bits / 8));
    ck_assert_msg(hash == strtoull(f[5], NULL, 16), "%s profile %d: not the H100's bits", f[1],
                  profile);
}

START_TEST(quads_are_those_of_an_h100)
{
    ck_assert_int_eq(each_line("quad", quad_line), 24);
}
END_TEST

/* ---- Against triple loops ---- */

/* Small integers, which every format holds and sums without rounding; of the integer formats, any
 * bits. `big`: accumulators near the ends of their range. */
static uint64_t small_element(const char *type, uint32_t r, bool big)
{
    int v = (int)(r % 9) - 4;
    double x = v;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (strcmp(type, "f64") == 0)
        return bits;
    if (strcmp(type, "f32") == 0 || strcmp(type, "tf32") == 0)
        return num_bits((float)v);
    if (strcmp(type, "bf16") == 0)
        return num_bits((float)v) >> 16;
    if (strcmp(type, "f16") == 0)
        return num_convert(NUM_F16, NUM_F32, num_bits((float)v), (NumMode){.rnd = NUM_RN});
    if (strcmp(type, "s32") == 0 && big)
        return r & 1 ? INT32_MAX - (r >> 8 & 0xFFFF) : 0x80000000u + (r >> 8 & 0xFFFF);
    return r;
}

static double value(const Type *t, uint64_t v)
{
    double x;
    if (strcmp(t->name, "f64") == 0)
        return memcpy(&x, &v, sizeof x), x;
    if (strcmp(t->name, "f32") == 0 || strcmp(t->name, "tf32") == 0)
        return (double)num_float((uint32_t)v);
    if (strcmp(t->name, "bf16") == 0)
        return (double)num_float((uint32_t)v << 16);
    if (strcmp(t->name, "f16") == 0)
        return (double)num_float(
            (uint32_t)num_convert(NUM_F32, NUM_F16, v, (NumMode){.rnd = NUM_RN}));
    int unused = 64 - t->bits;
    return t->name[0] == 's' ? (double)((int64_t)(v << unused) >> unused) : (double)v;
}

static double at(const Matrix *x, const uint8_t *mem, int row, int column)
{
    return value(x->type, get_bits(mem, bit_of(x, row, column), x->type->bits));
}

/* c + sum over k of a b, or of the bits that a and b share or do not. */
static double dot(const Form *f, const uint8_t *in, int row, int column)
{
    double sum = at(&f->mat[2], in + 2 * AT, row, column);
    for (int k = 0; k < f->mat[0].columns; k++) {
        double a = at(&f->mat[0], in, row, k), b = at(&f->mat[1], in + AT, k, column);
        sum += strstr(f->op, ".xor.") ? (double)(a != b) : a * b;
    }
    if (strcmp(f->d, "s32") != 0)
        return sum;
    if (strstr(f->op, ".satfinite"))
        return fmin(fmax(sum, INT32_MIN), INT32_MAX);
    return (double)(int32_t)(uint32_t)(int64_t)sum;
}

static int variant; /* counts products, so that spaces, strides and layouts take turns */

static void loop_line(char *f[])
{
    static uint8_t in[4 * AT], out[4 * AT];
    static const char *const spaces[] = {".global", "", ".shared", ".shared::cta", ""};
    if (strcmp(f[2], "0") != 0) /* one profile of two */
        return;
    Form form = form_of(f[1]);
    Shape s = shape_of(form.shape);
    int v = variant++;
    form.space = spaces[v % 5];
    form.strides = v % 3;
    form.mat[2] = matrix(s, 2, form.c, v / 2 % 2);
    form.mat[3] = matrix(s, 2, form.d, v / 4 % 2);
    memset(in, 0, sizeof in);
    for (int i = 0; i < 4; i++) {
        Matrix *x = &form.mat[i];
        x->stride += form.strides ? PAD * (x->type->bits < 8 ? 8 : 1) : 0;
        for (int e = 0; i < 3 && e < x->rows * x->columns; e++)
            put_bits(in + i * AT, bit_of(x, e / x->columns, e % x->columns), x->type->bits,
                     small_element(x->type->name, mix((uint32_t)(v * 5000 + i * 1600 + e)), v % 2));
    }
    multiply(&form, v % 2, v % 5 == 4, in, out);
    for (int row = 0; row < s.m; row++)
        for (int c = 0; c < s.n; c++) {
            double got = at(&form.mat[3], out + 3 * AT, row, c), want = dot(&form, in, row, c);
            ck_assert_msg(got == want,
                          "%s, c and d %s %s, space '%s', strides %d: (%d, %d) is %g, "
                          "not %g",
                          form.op, form.mat[2].by_rows ? "row" : "col",
                          form.mat[3].by_rows ? "row" : "col", form.space, form.strides, row, c,
                          got, want);
        }
}

START_TEST(products_are_those_of_loops)
{
    each_line("mma", loop_line);
    ck_assert_int_eq(variant, 138);
}
END_TEST

/* x[i] *= s on a fragment, what programs do; a guard that is false leaves registers and memory. */
START_TEST(fragments_scale_and_guards_hold)
{
    static uint8_t out[PTX_OUT_BYTES];
    PtxRun r = {0};
    Err err;
    body[0] = 0;
    say("setp.ne.u32 %%p1, %%r1, %%r1; setp.eq.u32 %%p2, %%r1, %%r1;\n"
        "cvt.rn.f32.u32 %%f1, %%r1; mul.wide.u32 %%rd2, %%r1, 4; add.u64 %%rd2, %%rd2, %%rd1;\n");
    for (int i = 0; i < 8; i++)
        say("st.global.f32 [%%rd2+%d], %%f1; mov.f32 %%f%d, 0f40000000;\n", 128 * i, 10 + i);
    say("@%%p1 wmma.load.c.sync.aligned.row.m16n16k16.global.f32 ");
    say_regs(type_of("f32"), 10, 8);
    say(", [%%rd1+0x7000000];\n@%%p2 wmma.load.c.sync.aligned.row.m16n16k16.global.f32 ");
    say_regs(type_of("f32"), 20, 8);
    say(", [%%rd1];\n");
    for (int i = 0; i < 8; i++)
        say("mul.f32 %%f%d, %%f%d, %%f%d;\n", 20 + i, 20 + i, 10 + i);
    say("@%%p1 wmma.store.d.sync.aligned.row.m16n16k16.global.f32 [%%rd1], ");
    say_regs(type_of("f32"), 10, 8);
    say(";\n@!%%p1 wmma.store.d.sync.aligned.col.m16n16k16.global.f32 [%%rd1+4096], ");
    say_regs(type_of("f32"), 20, 8);
    say(";\nret;");
    bool good = ptx_run(&r, "", body, out, &err);
    ck_assert_msg(good, "%s", err.msg);
    for (int i = 0; i < 256; i++) {
        float before, after;
        memcpy(&before, out + 4 * i, 4);
        memcpy(&after, out + 4096 + 4 * (i % 16 * 16 + i / 16), 4);
        ck_assert_float_eq(before, (float)(i % 32));
        ck_assert_float_eq(after, 2 * before);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("wmma");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, elements_lie_as_on_an_h100);
    tcase_add_test(tc, products_are_those_of_an_h100);
    tcase_add_test(tc, quads_are_those_of_an_h100);
    tcase_add_test(tc, products_are_those_of_loops);
    tcase_add_test(tc, fragments_scale_and_guards_hold);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
