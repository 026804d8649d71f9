"""PyTorch's CUDA build, Triton's kernels on its tensors and the CuTe DSL's under rao exec, unmodified:

    rao exec [--model h200] [options] -- python torch_exec.py
"""

import sys

import torch


def check(name, got, want, limit):
    got, want = got.double().cpu(), want.double().cpu()
    error = ((got - want).norm() / want.norm()).item()
    print(f"{name:34} relative error {error:.2e} (limit {limit:.0e}): {'pass' if error <= limit else 'FAIL'}", flush=True)
    return error <= limit


def operations():
    """PyTorch's own: on the host, so what is asked is that every kind of argument and result gets there and back."""
    torch.manual_seed(3)
    host = torch.randn(6, 8)
    x = host.cuda()
    assert x.is_cuda and x.data_ptr() != host.data_ptr()
    results = [("view written in place", x[1:3].mul_(2), host[1:3].mul_(2)), ("its base", x, host),
               ("transposed copy", x.t().contiguous(), host.t()), ("a number for a tensor", x % 3, host % 3),
               ("concatenation", torch.cat([x, x[:1]]), torch.cat([host, host[:1]])),
               ("two results", x.sort()[1], host.sort()[1]), ("out=", torch.add(x, 1, out=torch.empty_like(x)), host + 1),
               ("out= that grows", torch.add(x, 1, out=torch.empty(0, device="cuda")), host + 1),
               ("type and device at once", host.to("cuda", torch.float16), host.half()),
               ("a factory", torch.arange(3, 9, device="cuda"), torch.arange(3, 9)),
               ("boolean index", x[x > 0], host[host > 0]), ("matrix product", x @ x.t(), host @ host.t())]
    good = all([check(*r, 1e-6) for r in results])
    w = host.clone().cuda().requires_grad_()
    (w.t() @ w).softmax(1).square().sum().backward()
    v = host.clone().requires_grad_()
    (v.t() @ v).softmax(1).square().sum().backward()
    return good & check("gradient", w.grad, v.grad, 1e-6)


def triton_kernels():
    import triton
    import triton_kernels as kernels
    x = torch.randn(64, 1000, device="cuda")
    y = torch.full_like(x, float("nan"))
    kernels.softmax[(64,)](x, y, 1000, BLOCK=1024)
    good = check("Triton softmax", y, x.double().softmax(1), 1e-6)
    ms = triton.testing.do_bench(lambda: kernels.softmax[(64,)](x, y, 1000, BLOCK=1024))
    print(f"{'its time':34} {ms} ms")
    return good


def cute_kernel():
    import cutlass.cute as cute
    from cutlass.cute.runtime import from_dlpack

    @cute.kernel
    def scale(x: cute.Tensor, factor: cute.Float32):
        i = cute.arch.block_idx()[0] * 64 + cute.arch.thread_idx()[0]
        x[i] = x[i] * factor

    @cute.jit
    def launch(x: cute.Tensor, factor: cute.Float32):
        scale(x, factor).launch(grid=[4, 1, 1], block=[64, 1, 1])

    x = torch.randn(256, device="cuda")
    want = x * 6
    launch(from_dlpack(x), 2.0)
    compiled = cute.compile(launch, from_dlpack(x), 1.0)
    compiled(from_dlpack(x), 3.0)
    return check("CuTe DSL, direct and compiled", x, want, 1e-6)


if __name__ == "__main__":
    good = operations() & triton_kernels()
    if "--cute" in sys.argv:
        good &= cute_kernel()
    sys.exit(not good)
