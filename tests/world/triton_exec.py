"""Triton's own launcher on the simulated GPU, without PyTorch: compile, load, launch, compare.

    rao exec [--model h200] [options] -- python triton_exec.py

Buffers come from libcuda.so.1; the target is what the device says it is.
"""

import ctypes
import sys

import numpy as np
import triton
from triton.backends.nvidia.driver import CudaDriver, CudaLauncher, CudaUtils
from triton.runtime import driver

import triton_kernels as kernels

CUDA = ctypes.CDLL("libcuda.so.1")


def must(code):
    if code:
        sys.exit(f"the driver returned {code}")


class Driver(CudaDriver):
    """The real one asks PyTorch for devices and streams."""

    def __init__(self):
        self.utils, self.launcher_cls = CudaUtils(), CudaLauncher

    def get_current_device(self):
        return 0

    def set_current_device(self, device):
        pass

    def get_current_stream(self, device):
        return 0

    def get_device_capability(self, device=0):
        numbers = ctypes.c_int(), ctypes.c_int()
        for n, attribute in zip(numbers, (75, 76)):  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
            must(CUDA.cuDeviceGetAttribute(ctypes.byref(n), attribute, device))
        return tuple(n.value for n in numbers)


class Buffer:
    """What Triton takes for a tensor: an address and a type."""

    def __init__(self, host):
        self.host, self.dtype = host, {"float32": "fp32", "float16": "fp16"}[str(host.dtype)]
        self.at, self.bytes = ctypes.c_uint64(), ctypes.c_size_t(host.nbytes)
        must(CUDA.cuMemAlloc_v2(ctypes.byref(self.at), self.bytes))
        must(CUDA.cuMemcpyHtoD_v2(self.at, host.ctypes.data_as(ctypes.c_void_p), self.bytes))

    def data_ptr(self):
        return self.at.value

    def get(self):
        host = np.empty_like(self.host)
        must(CUDA.cuMemcpyDtoH_v2(host.ctypes.data_as(ctypes.c_void_p), self.at, self.bytes))
        return host.astype(np.float64)


def check(name, got, want, limit):
    error = np.linalg.norm(got - want) / np.linalg.norm(want)
    print(f"{name:12} relative error {error:.2e} (limit {limit:.0e}): {'pass' if error <= limit else 'FAIL'}")
    return error <= limit


def main():
    context = ctypes.c_void_p()
    must(CUDA.cuInit(0))
    must(CUDA.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))
    must(CUDA.cuCtxSetCurrent(context))
    driver.set_active(Driver())
    random = np.random.default_rng(1)
    x = random.standard_normal((64, 1000), np.float32)
    y = Buffer(np.full_like(x, np.nan))
    kernels.softmax[(64,)](Buffer(x), y, 1000, BLOCK=1024)
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    good = check("softmax", y.get(), e / e.sum(1, keepdims=True), 1e-6)
    a, b = (random.standard_normal(s, np.float32).astype(np.float16) for s in ((256, 128), (128, 256)))
    c = Buffer(np.full((256, 256), np.nan, np.float32))
    kernels.matmul[(2, 2)](Buffer(a), Buffer(b), c, 256, 256, 128, BM=128, BN=128, BK=64)
    good &= check("matmul", c.get(), a.astype(np.float64) @ b.astype(np.float64), 1e-6)
    sys.exit(not good)


if __name__ == "__main__":
    main()
