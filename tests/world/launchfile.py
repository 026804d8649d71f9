"""Writes a launch file (docs/launch.md) from launches as a CUDA host makes them, and runs it.

A host hands over addresses and parameter bytes. Tensors are registered with the address at which the host believes them;
every 8-byte word of the parameters that falls into one of them becomes a pointer of the launch file.
"""

import json
import re
import struct
import subprocess
from pathlib import Path

import numpy as np

NPY = {"bf16": "u2", "f16": "f2", "f32": "f4", "f64": "f8", "e4m3": "u1", "e5m2": "u1",
       "u8": "u1", "s8": "i1", "u16": "u2", "s16": "i2", "u32": "u4", "s32": "i4", "u64": "u8", "s64": "i8"}


def to_bf16(x):
    """f32 to the bits of bf16, round to nearest even."""
    u = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((u + 0x7FFF + ((u >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(u):
    return (u.astype(np.uint32) << 16).view(np.float32)


def entry_params(ptx, kernel):
    """Sizes of an entry's parameters in bytes, in order."""
    m = re.search(r"\.entry\s+" + re.escape(kernel) + r"\s*\((.*?)\)", ptx, re.S)
    if not m:
        raise ValueError(f"no entry {kernel}")
    sizes = []
    for p in filter(str.strip, m.group(1).split(",")):
        array = re.search(r"\.b8\s+\S+\[(\d+)\]", p)
        scalar = re.search(r"\.[busf](8|16|32|64)\b", p)
        sizes.append(int(array.group(1)) if array else int(scalar.group(1)) // 8)
    return sizes


class Session:
    """Tensors and launches of one host run; write() and run() once they are complete."""

    def __init__(self, folder):
        self.dir = Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.tensors, self.launches, self.checks = {}, [], []

    def tensor(self, name, dtype, array, address):
        """array: host contents (bf16 and 8-bit floats as their bits)."""
        array = np.ascontiguousarray(array)
        assert array.dtype == np.dtype(NPY[dtype]), (name, array.dtype)
        np.save(self.dir / f"{name}.npy", array)
        self.tensors[name] = (dtype, array.shape, address, array.nbytes)

    def find(self, address):
        for name, (_, _, base, size) in self.tensors.items():
            if base <= address < base + size:
                return name, address - base
        return None

    def launch(self, ptx, kernel, grid, block, params, cluster=(1, 1, 1), shared=0, flops=0):
        """params: the bytes of each parameter, as entry_params counts them."""
        self.launches.append((Path(ptx), kernel, grid, block, cluster, shared, flops, [bytes(p) for p in params]))

    def poison(self, name):
        """An output: what a run does not cover stays recognisable."""
        dtype, shape, _, _ = self.tensors[name]
        t = np.dtype(NPY[dtype])
        np.save(self.dir / f"{name}.npy", np.full(int(np.prod(shape)) * t.itemsize, 0xFF, np.uint8).view(t).reshape(shape))

    def check(self, name, expected, max_rel_err):
        np.save(self.dir / f"{name}_expected.npy", expected)
        self.checks.append((name, max_rel_err))

    def _arg(self, p):
        pointers = []
        for at in range(0, len(p) - 7, 8):
            hit = self.find(struct.unpack_from("<Q", p, at)[0])
            if hit:
                pointers.append(f"{{at: {at}, tensor: {hit[0]}, offset: {hit[1]}}}")
        text = f'{{bytes: "{p.hex()}"'
        return text + (f", pointers: [{', '.join(pointers)}]}}" if pointers else "}")

    def write(self):
        out = ["tensors:"]
        for name, (dtype, shape, _, _) in self.tensors.items():
            out.append(f"  {name}: {{dtype: {dtype}, shape: {list(shape)}, init: {{file: {name}.npy}}}}")
        out.append("launches:")
        for ptx, kernel, grid, block, cluster, shared, flops, params in self.launches:
            out.append(f"  - ptx: {ptx.resolve()}")
            out.append(f"    kernel: {kernel}")
            out.append(f"    grid: {list(grid)}")
            out.append(f"    block: {list(block)}")
            out.append(f"    cluster: {list(cluster)}")
            out.append(f"    shared: {shared}")
            if flops:
                out.append(f"    flops: {flops}")
            out.append("    args:")
            out.extend(f"      - {self._arg(p)}" for p in params)
        out.append("check:")
        for name, err in self.checks:
            out.append(f"  - {{tensor: {name}, file: {name}_expected.npy, max_rel_err: {err}}}")
        path = self.dir / "launch.yaml"
        path.write_text("\n".join(out) + "\n")
        return path

    def run(self, rao, *options):
        """Runs rao; returns its exit code, what it printed and its JSON (None if it wrote none)."""
        path, result = self.write(), self.dir / "result.json"
        result.unlink(missing_ok=True)
        p = subprocess.run([rao, "run", str(path), "--json", str(result), *options], capture_output=True, text=True)
        report = json.loads(result.read_text()) if result.exists() else None
        return p.returncode, p.stdout + p.stderr, report
