// Runs fa4_fwd and fa4_fwd_causal natively: random normal input, a check of sampled rows against a
// CPU reference, and the median time of several launches. One JSON line per shape on standard
// output.
//
// Build: nvcc -gencode arch=compute_100a,code=[sm_100a,compute_100a] -O3 -std=c++17 -use_fast_math
//             -cudart shared host.cu -o fa4_fwd
// Run:   ./fa4_fwd --seqlen 1024,2048,4096,8192 --heads 16 --causal
//
// Exit codes: 0 good, 1 no suitable device or a CUDA error, 2 usage, 3 a check failed.
#include "fa4_fwd.cu"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cuda_bf16.h>
#include <string>
#include <vector>

namespace
{

constexpr int kExitCuda = 1, kExitUsage = 2, kExitCheck = 3;
constexpr double kMaxErrO = 0.01;    // bf16 P and O: 2^-9 per rounding
constexpr double kMaxErrLse = 0.001; // fp32 sums, approximate ex2 and lg2
constexpr double kSlowLaunch = 1;    // seconds: nothing but a simulated GPU is so slow
constexpr int kTotalTokens = 32768;  // batch = this / seqlen unless given

const char kUsage[] =
    "usage: fa4_fwd [--seqlen N[,N]...] [--seqlen-k N] [--batch N] [--heads N] [--heads-kv N]\n"
    "               [--causal] [--scale X] [--seed N] [--warmup N] [--repeats N] [--rows N]\n"
    "  --seqlen    query length, or several (default 1024)     --seqlen-k  keys (default: seqlen)\n"
    "  --batch     default 32768 / seqlen, at least 1          --heads     default 16\n"
    "  --heads-kv  divides --heads (default: heads)            --scale     default 1/sqrt(128)\n"
    "  --warmup    launches before timing (default 5)          --repeats   timed ones (default "
    "10)\n"
    "              (without either: a launch that keeps the host waiting for a second is the only "
    "one)\n"
    "  --rows      rows checked per shape, 0 for none (default 64)\n";

[[noreturn]] void fail(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("fa4_fwd: error: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(code);
}

void cuda_ok(cudaError_t status, const char *what)
{
    if (status != cudaSuccess)
        fail(kExitCuda, "%s: %s", what, cudaGetErrorString(status));
}

struct Options {
    std::vector<int> seqlens = {1024};
    int seqlen_k = 0, batch = 0, heads = 16, heads_kv = 0;
    int warmup = 5, repeats = 10, rows = 64;
    bool counts_given = false, causal = false;
    double scale = 1.0 / std::sqrt(double(kHeadDim));
    uint64_t seed = 1;
};

struct Shape {
    int batch, heads, heads_kv, seqlen_q, seqlen_k;
};

// A whole number from `low` to `high` and nothing after it but `stop`.
long parse_int(const char *option, const char *text, long low, long high, char stop,
               const char **end)
{
    char *rest;
    const long value = strtol(text, &rest, 10);
    if (rest == text || (*rest && *rest != stop))
        fail(kExitUsage, "%s: '%s' is not a whole number", option, text);
    if (value < low || value > high)
        fail(kExitUsage, "%s: %ld is not in %ld..%ld", option, value, low, high);
    if (end)
        *end = *rest ? rest + 1 : nullptr;
    return value;
}

std::vector<int> parse_list(const char *option, const char *text)
{
    std::vector<int> values;
    while (text)
        values.push_back(int(parse_int(option, text, 1, 1 << 20, ',', &text)));
    return values;
}

void parse_value(Options &o, const std::string &name, const char *text)
{
    const auto number = [&](long low, long high) {
        return int(parse_int(name.c_str(), text, low, high, '\0', nullptr));
    };
    if (name == "--seqlen") {
        o.seqlens = parse_list(name.c_str(), text);
    } else if (name == "--seqlen-k") {
        o.seqlen_k = number(1, 1 << 20);
    } else if (name == "--batch") {
        o.batch = number(1, 1 << 16);
    } else if (name == "--heads") {
        o.heads = number(1, 1024);
    } else if (name == "--heads-kv") {
        o.heads_kv = number(1, 1024);
    } else if (name == "--warmup") {
        o.warmup = number(0, 1000);
        o.counts_given = true;
    } else if (name == "--repeats") {
        o.repeats = number(1, 100000);
        o.counts_given = true;
    } else if (name == "--rows") {
        o.rows = number(0, 1 << 20);
    } else if (name == "--seed") {
        o.seed = uint64_t(number(0, INT32_MAX));
    } else if (name == "--scale") {
        char *rest;
        o.scale = strtod(text, &rest);
        if (rest == text || *rest || !(o.scale > 0 && o.scale < 1e6))
            fail(kExitUsage, "--scale: '%s' is not a number above 0", text);
    } else {
        fail(kExitUsage, "unknown option '%s' (try --help)", name.c_str());
    }
}

Options parse_options(int argc, char **argv)
{
    Options o;
    for (int i = 1; i < argc; i++) {
        const std::string name = argv[i];
        if (name == "--help") {
            fputs(kUsage, stdout);
            exit(0);
        }
        if (name == "--causal") {
            o.causal = true;
            continue;
        }
        if (name.compare(0, 2, "--") != 0)
            fail(kExitUsage, "unexpected argument '%s' (try --help)", argv[i]);
        if (i + 1 == argc)
            fail(kExitUsage, "%s: value missing", argv[i]);
        parse_value(o, name, argv[++i]);
    }
    if (o.heads_kv == 0)
        o.heads_kv = o.heads;
    if (o.heads % o.heads_kv)
        fail(kExitUsage, "--heads-kv: %d does not divide %d heads", o.heads_kv, o.heads);
    return o;
}

Shape shape_of(const Options &o, int seqlen)
{
    Shape s;
    s.batch = o.batch ? o.batch : std::max(kTotalTokens / seqlen, 1);
    s.heads = o.heads;
    s.heads_kv = o.heads_kv;
    s.seqlen_q = seqlen;
    s.seqlen_k = o.seqlen_k ? o.seqlen_k : seqlen;
    const double rows = double(s.batch) * s.heads * (s.seqlen_q + kTileRows);
    if (rows > INT32_MAX || double(s.batch) * s.heads_kv * s.seqlen_k > INT32_MAX)
        fail(kExitUsage, "shape too large: batch %d, heads %d, seqlen %d", s.batch, s.heads,
             seqlen);
    return s;
}

// splitmix64: a good 64-bit hash of a counter.
uint64_t next_random(uint64_t &state)
{
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

// Standard normal values by Box-Muller, two to a random word.
std::vector<__nv_bfloat16> random_normal(size_t count, uint64_t seed)
{
    std::vector<__nv_bfloat16> x(count);
    uint64_t state = seed;
    for (size_t i = 0; i < count; i += 2) {
        const uint64_t r = next_random(state);
        const float u = (float(r >> 40) + 1.0f) * 0x1p-24f;
        const float angle = float(uint32_t(r)) * (6.2831853f * 0x1p-32f);
        const float radius = sqrtf(-2.0f * logf(u));
        x[i] = __float2bfloat16(radius * cosf(angle));
        if (i + 1 < count)
            x[i + 1] = __float2bfloat16(radius * sinf(angle));
    }
    return x;
}

using EncodeTiled = decltype(&cuTensorMapEncodeTiled);

// Through the runtime, so that the program links without libcuda.
EncodeTiled find_encoder()
{
    void *function = nullptr;
    cudaDriverEntryPointQueryResult found;
    cuda_ok(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                             cudaEnableDefault, &found),
            "cuTensorMapEncodeTiled");
    if (found != cudaDriverEntryPointSuccess)
        fail(kExitCuda, "the driver has no cuTensorMapEncodeTiled");
    return EncodeTiled(function);
}

// [heads][seqlen][128] bf16 in boxes of 128 rows by 64 columns.
CUtensorMap make_map(EncodeTiled encode, void *data, int seqlen, int heads)
{
    CUtensorMap map;
    const cuuint64_t dims[3] = {kHeadDim, cuuint64_t(seqlen), cuuint64_t(heads)};
    const cuuint64_t strides[2] = {kHeadDim * 2, cuuint64_t(seqlen) * kHeadDim * 2};
    const cuuint32_t box[3] = {64, kBlock, 1};
    const cuuint32_t steps[3] = {1, 1, 1};
    const CUresult result =
        encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, data, dims, strides, box, steps,
               CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
               CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    if (result != CUDA_SUCCESS)
        fail(kExitCuda, "cuTensorMapEncodeTiled: CUresult %d", int(result));
    return map;
}

template <typename T> struct DeviceArray {
    T *data = nullptr;
    size_t count;

    explicit DeviceArray(size_t n) : count(n)
    {
        cuda_ok(cudaMalloc(&data, n * sizeof(T)), "cudaMalloc");
    }
    DeviceArray(const DeviceArray &) = delete;
    DeviceArray &operator=(const DeviceArray &) = delete;
    ~DeviceArray() { cudaFree(data); }

    void set(const std::vector<T> &host)
    {
        cuda_ok(cudaMemcpy(data, host.data(), count * sizeof(T), cudaMemcpyHostToDevice),
                "copy in");
    }
    std::vector<T> get() const
    {
        std::vector<T> host(count);
        cuda_ok(cudaMemcpy(host.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost),
                "copy out");
        return host;
    }
};

// Inputs and outputs of one shape on both sides.
struct Tensors {
    std::vector<__nv_bfloat16> q, k, v, o;
    std::vector<float> lse;
};

// One row of attention in double precision; returns its log-sum-exp.
double reference_row(const Tensors &x, const Shape &s, const Options &o, int head, int row,
                     double (&out)[kHeadDim])
{
    const int kv_head = head / s.heads * s.heads_kv + head % s.heads / (s.heads / s.heads_kv);
    const __nv_bfloat16 *q = &x.q[(size_t(head) * s.seqlen_q + row) * kHeadDim];
    const __nv_bfloat16 *k = &x.k[size_t(kv_head) * s.seqlen_k * kHeadDim];
    const __nv_bfloat16 *v = &x.v[size_t(kv_head) * s.seqlen_k * kHeadDim];
    const int keys =
        o.causal ? std::clamp(row + s.seqlen_k - s.seqlen_q + 1, 0, s.seqlen_k) : s.seqlen_k;

    std::vector<double> score(keys);
    double max = -INFINITY, sum = 0;
    for (int j = 0; j < keys; j++) {
        for (int d = 0; d < kHeadDim; d++)
            score[j] +=
                double(__bfloat162float(q[d])) * __bfloat162float(k[size_t(j) * kHeadDim + d]);
        score[j] *= o.scale;
        max = std::max(max, score[j]);
    }
    std::fill(std::begin(out), std::end(out), 0.0);
    for (int j = 0; j < keys; j++) {
        const double p = std::exp(score[j] - max);
        sum += p;
        for (int d = 0; d < kHeadDim; d++)
            out[d] += p * __bfloat162float(v[size_t(j) * kHeadDim + d]);
    }
    for (int d = 0; d < kHeadDim && keys > 0; d++)
        out[d] /= sum;
    return keys > 0 ? max + std::log(sum) : -INFINITY;
}

// |out - ref| / |ref| over what was added. A NaN makes it NaN, which passes no limit.
struct RelativeError {
    double diff = 0, ref = 0;

    void add(double out, double expected)
    {
        if (out == expected) { // also -inf
            ref += std::isfinite(expected) ? expected * expected : 0;
            return;
        }
        diff += (out - expected) * (out - expected);
        ref += expected * expected;
    }
    double value() const { return ref > 0 ? std::sqrt(diff / ref) : std::sqrt(diff); }
};

struct Errors {
    double o, lse;
};

// Random rows, and always the first and the last, where the masks end.
Errors check_rows(const Tensors &x, const Shape &s, const Options &o)
{
    RelativeError err_o, err_lse;
    uint64_t state = o.seed + 100;
    for (int i = 0; i < o.rows; i++) {
        const uint64_t r = next_random(state);
        const int head = i == 0 ? 0 : int((r >> 32) % uint64_t(s.batch * s.heads));
        const int row = i == 0 ? 0 : i == 1 ? s.seqlen_q - 1 : int(uint32_t(r) % s.seqlen_q);
        const size_t at = size_t(head) * s.seqlen_q + row;
        double expected[kHeadDim];
        err_lse.add(x.lse[at], reference_row(x, s, o, head, row, expected));
        for (int d = 0; d < kHeadDim; d++)
            err_o.add(__bfloat162float(x.o[at * kHeadDim + d]), expected[d]);
    }
    return {err_o.value(), err_lse.value()};
}

struct Timing {
    double us;   // median of one launch
    int repeats; // launches that it is the median of
};

template <typename Launch> Timing time_launches(const Options &o, Launch launch)
{
    using Clock = std::chrono::steady_clock;
    cudaEvent_t start, stop;
    cuda_ok(cudaEventCreate(&start), "cudaEventCreate");
    cuda_ok(cudaEventCreate(&stop), "cudaEventCreate");
    std::vector<float> times;
    bool slow = false;
    while (int(times.size()) < o.warmup + o.repeats && !(slow && !o.counts_given)) {
        const auto begin = Clock::now();
        float ms;
        cuda_ok(cudaEventRecord(start), "cudaEventRecord");
        launch();
        cuda_ok(cudaEventRecord(stop), "cudaEventRecord");
        cuda_ok(cudaEventSynchronize(stop), "kernel");
        cuda_ok(cudaEventElapsedTime(&ms, start, stop), "cudaEventElapsedTime");
        times.push_back(ms);
        slow = std::chrono::duration<double>(Clock::now() - begin).count() > kSlowLaunch;
    }
    cudaEventDestroy(start);
    cudaEventDestroy(stop);
    const int n = std::min(o.repeats, int(times.size()));
    const auto first = times.end() - n; // those before it were warm-up
    std::sort(first, times.end());
    return {1e3 * 0.5 * (first[(n - 1) / 2] + first[n / 2]), n};
}

// 4 * seqlen_q * keys * head dim per head; causal: keys is the mean number that a row sees.
double flops_of(const Shape &s, bool causal)
{
    const double keys =
        causal ? 0.5 * (std::max(0, s.seqlen_k - s.seqlen_q) + s.seqlen_k) : s.seqlen_k;
    return 4.0 * s.batch * s.heads * s.seqlen_q * keys * kHeadDim;
}

// JSON has no NaN and no infinity.
std::string json_number(double x)
{
    char text[32];
    snprintf(text, sizeof(text), "%.4g", x);
    return std::isfinite(x) ? text : "null";
}

void print_result(const Options &opt, const Shape &s, int grid, const Timing &time,
                  const Errors &err, bool pass)
{
    const char *format =
        "{\"kernel\": \"%s\", \"batch\": %d, \"heads\": %d, \"heads_kv\": %d, \"seqlen_q\": %d, "
        "\"seqlen_k\": %d, \"causal\": %s, \"grid\": %d, \"repeats\": %d, \"time_us\": %.3f, "
        "\"tflops\": %s, \"rows_checked\": %d, \"err_o\": %s, \"err_lse\": %s, \"pass\": %s}\n";
    printf(format, opt.causal ? "fa4_fwd_causal" : "fa4_fwd", s.batch, s.heads, s.heads_kv,
           s.seqlen_q, s.seqlen_k, opt.causal ? "true" : "false", grid, time.repeats, time.us,
           json_number(flops_of(s, opt.causal) / time.us * 1e-6).c_str(), opt.rows,
           json_number(err.o).c_str(), json_number(err.lse).c_str(), pass ? "true" : "false");
    fflush(stdout);
}

// Returns false if the check fails.
bool run_shape(const Options &opt, const Shape &s, EncodeTiled encode, int sm_count)
{
    const int q_heads = s.batch * s.heads, kv_heads = s.batch * s.heads_kv;
    const size_t q_count = size_t(q_heads) * s.seqlen_q * kHeadDim;
    const size_t kv_count = size_t(kv_heads) * s.seqlen_k * kHeadDim;
    Tensors x = {random_normal(q_count, opt.seed),
                 random_normal(kv_count, opt.seed + 1),
                 random_normal(kv_count, opt.seed + 2),
                 {},
                 {}};
    DeviceArray<__nv_bfloat16> q(q_count), k(kv_count), v(kv_count), o(q_count);
    DeviceArray<float> lse(size_t(q_heads) * s.seqlen_q);
    q.set(x.q);
    k.set(x.k);
    v.set(x.v);
    // NaN everywhere: an element that the kernel does not write fails the check.
    cuda_ok(cudaMemset(o.data, 0xff, o.count * sizeof(*o.data)), "cudaMemset");
    cuda_ok(cudaMemset(lse.data, 0xff, lse.count * sizeof(*lse.data)), "cudaMemset");

    const CUtensorMap q_map = make_map(encode, q.data, s.seqlen_q, q_heads);
    const CUtensorMap k_map = make_map(encode, k.data, s.seqlen_k, kv_heads);
    const CUtensorMap v_map = make_map(encode, v.data, s.seqlen_k, kv_heads);
    const CUtensorMap o_map = make_map(encode, o.data, s.seqlen_q, q_heads);
    const float scale_log2 = float(opt.scale * 1.4426950408889634);
    const int tiles = (s.seqlen_q + kTileRows - 1) / kTileRows * q_heads;
    const int grid = opt.causal ? tiles : std::min(sm_count, tiles);
    const auto kernel = opt.causal ? fa4_fwd_causal : fa4_fwd;
    cuda_ok(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSmemBytes),
            "cudaFuncSetAttribute");
    const Timing time = time_launches(opt, [&] {
        kernel<<<grid, 512, kSmemBytes>>>(q_map, k_map, v_map, o_map, lse.data, s.seqlen_q,
                                          s.seqlen_k, s.heads, s.heads_kv, s.batch, scale_log2);
        cuda_ok(cudaGetLastError(), "launch");
    });
    x.o = o.get();
    x.lse = lse.get();

    const Errors err = check_rows(x, s, opt);
    const bool pass = err.o <= kMaxErrO && err.lse <= kMaxErrLse;
    print_result(opt, s, grid, time, err, pass);
    return pass;
}

} // namespace

int main(int argc, char **argv)
{
    const Options options = parse_options(argc, argv);
    std::vector<Shape> shapes;
    for (const int seqlen : options.seqlens)
        shapes.push_back(shape_of(options, seqlen));

    cudaDeviceProp device;
    cuda_ok(cudaGetDeviceProperties(&device, 0), "no CUDA device");
    if (device.major != 10)
        fail(kExitCuda, "%s has compute capability %d.%d; the kernel needs 10.x", device.name,
             device.major, device.minor);
    const EncodeTiled encode = find_encoder();
    bool pass = true;
    for (const Shape &shape : shapes)
        pass = run_shape(options, shape, encode, device.multiProcessorCount) && pass;
    return pass ? 0 : kExitCheck;
}
