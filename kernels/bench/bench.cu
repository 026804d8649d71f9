// The instruction mix of a softmax warp with nothing to wait for: what `rao bench` measures the
// executor and the time core with. Per trip and thread: 16 scale-and-subtract, 16 exponentials, 8
// packed conversions, 15 maxima, 16 adds, integer loop control.
#include <stdint.h>

extern "C" __global__ void __launch_bounds__(512, 1) softmax_mix(float *out, int trips, float scale)
{
    float x[16], sum = 0, top = -1e30f;
    uint32_t bits = 0;
    for (int i = 0; i < 16; i++)
        x[i] = (float)(threadIdx.x * 16 + i) * -0.001f;
    for (int t = 0; t < trips; t++) {
        float m = top;
        for (int i = 0; i < 16; i++)
            m = fmaxf(m, x[i]);
        top = m;
        for (int i = 0; i < 16; i += 2) {
            float a = fmaf(x[i], scale, -m), b = fmaf(x[i + 1], scale, -m), ea, eb;
            uint32_t packed;
            asm volatile("ex2.approx.ftz.f32 %0, %1;" : "=f"(ea) : "f"(a));
            asm volatile("ex2.approx.ftz.f32 %0, %1;" : "=f"(eb) : "f"(b));
            asm volatile("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(eb), "f"(ea));
            bits ^= packed;
            sum += ea;
            sum += eb;
            x[i] = a - ea;
            x[i + 1] = b - eb;
        }
    }
    out[blockIdx.x * blockDim.x + threadIdx.x] =
        sum + __uint_as_float(bits & 0x3fffffffu) * 0x1p-100f;
}
