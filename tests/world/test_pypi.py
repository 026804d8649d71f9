"""Runs kernels of the field as published on PyPI: Triton's for sm_90 and sm_100, FlashAttention-4's; PyTorch.

    test_pypi.py RAO [rao options]          exit code 77: skipped, the packages are not there

Needs numpy, and triton or flash-attn-4 (with nvidia-cutlass-dsl and torch); no GPU and no CUDA.
    pip install numpy triton; pip install --pre flash-attn-4
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SKIPPED = 77

FA4 = [["--seqlen", "512"], ["--seqlen", "512", "--causal", "--heads", "4", "--kv-heads", "2"],
       ["--seqlen", "256", "--dim", "64"], ["--seqlen", "512", "--backward"],
       ["--seqlen", "512", "--backward", "--causal", "--dim", "64"]]


def missing(*names):
    absent = [n for n in names if not importlib.util.find_spec(n)]
    if absent:
        print(f"SKIPPED: {', '.join(names)}: no {', '.join(absent)} in {sys.executable}; see {__file__}", flush=True)
    return absent


def program(name, *args):
    print(f"==== {name} {' '.join(args[2:])}", flush=True)
    return subprocess.run([sys.executable, HERE / name, *args], stderr=subprocess.STDOUT).returncode


def under_exec(rao, model, name, *args):
    print(f"==== {name} {' '.join(args)} under rao exec --model {model}", flush=True)
    command = [rao, "exec", "--model", model, "--", sys.executable, HERE / name, *args]
    return subprocess.run(command, stderr=subprocess.STDOUT).returncode


def main():
    rao, options = sys.argv[1], sys.argv[2:] or ["--functional"]
    results = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("TRITON_CACHE_DIR", f"{folder}/cache")
        os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")
        if not missing("numpy", "triton"):
            for target in ("100", "90"):
                results.append(program("triton_run.py", rao, folder, target, "--", *options))
            for model in ("b200", "h200"):
                results.append(under_exec(rao, model, "triton_exec.py"))
        if not missing("numpy", "torch", "triton"):
            cute = ["--cute"] if importlib.util.find_spec("cutlass") else []
            results.append(under_exec(rao, "b200", "torch_exec.py", *cute))
        if not missing("numpy", "torch", "cutlass", "flash_attn"):
            for i, case in enumerate(FA4):
                results.append(program("fa4.py", rao, f"{folder}/fa4_{i}", *case, *options))
    if not results:
        sys.exit(SKIPPED)
    print(f"{results.count(0)} passed, {len(results) - results.count(0)} failed")
    sys.exit(any(results))


if __name__ == "__main__":
    main()
