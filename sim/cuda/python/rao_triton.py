"""Triton under rao exec: a benchmark of a kernel is one launch of it. Simulated time has no noise, and without --time there
is none: then all of an autotuner's configurations take 0 ms and it uses the first that works."""


def do_bench(fn, warmup=25, rep=100, grad_to_none=None, quantiles=None, return_mode="mean"):
    import torch
    for x in grad_to_none or []:
        x.grad = None
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    fn()
    end.record()
    torch.cuda.synchronize()
    ms = start.elapsed_time(end)
    if quantiles is not None:
        return [ms] * len(quantiles) if len(quantiles) > 1 else ms
    return [ms] if return_mode == "all" else ms


def install(testing):
    testing.do_bench = testing.do_bench_cudagraph = do_bench
