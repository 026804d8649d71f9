"""Compiles the kernels of triton_kernels.py with Triton from PyPI, for a GPU that is not there, and runs them in rao:

    triton_run.py RAO FOLDER TARGET [CASE ...] [-- rao options]        TARGET: 90 or 100
"""

import sys
from pathlib import Path

import numpy as np

import launchfile
from launchfile import from_bf16, to_bf16

BASE = 0x7A0000000000  # where the tensors of a case lie, as far as its parameters are concerned
SCRATCH = 1 << 20


class Case:
    """Inputs, one launch and expected outputs."""

    def __init__(self, folder, target):
        self.session, self.target, self.next, self.address = launchfile.Session(folder), target, BASE, {}

    def tensor(self, name, dtype, array):
        self.session.tensor(name, dtype, array, self.next)
        self.address[name] = self.next
        self.next += (array.nbytes + 4095) // 4096 * 4096 + 4096

    def launch(self, kernel, grid, args, types, constants, warps=4, stages=3):
        """args: tensor names, integers and floats, in the order of the kernel's run-time parameters; types: Triton's."""
        import triton
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource
        names = [n for n in kernel.arg_names if n not in constants]
        attrs = {(kernel.arg_names.index(n),): [["tt.divisibility", 16]] for n, a in zip(names, args)
                 if isinstance(a, str) or isinstance(a, int) and a % 16 == 0}
        source = ASTSource(fn=kernel, signature={n: types.get(n, "constexpr") for n in kernel.arg_names},
                           constexprs={n: v for n, v in constants.items()}, attrs=attrs)
        built = triton.compile(source, target=GPUTarget("cuda", self.target, 32),
                               options={"num_warps": warps, "num_stages": stages})
        ptx = self.session.dir / f"{built.metadata.name}.ptx"
        ptx.write_text(built.asm["ptx"])
        params = [np.uint64(self.address[a]) if isinstance(a, str) else
                  np.float32(a) if types[n] == "fp32" else np.int32(a) for n, a in zip(names, args)]
        data = [p.tobytes() for p in params]
        for size in launchfile.entry_params(ptx.read_text(), built.metadata.name)[len(data):]:
            data.append(np.uint64(self.scratch(built.metadata, np.prod(grid))).tobytes()[:size])
        grid = tuple(grid) + (1,) * (3 - len(grid))
        block = block_size(ptx.read_text(), warps)
        self.session.launch(ptx, built.metadata.name, grid, (block, 1, 1), data, shared=built.metadata.shared)

    def scratch(self, metadata, programs):
        """Where a kernel makes its tensor maps."""
        if not metadata.global_scratch_size:
            return 0
        name = f"scratch{len(self.address)}"
        self.tensor(name, "u8", np.zeros(int(metadata.global_scratch_size * programs), np.uint8))
        return self.address[name]


def block_size(ptx, warps):
    """Warp specialisation adds warps; the PTX says how many there are."""
    import re
    m = re.search(r"\.(?:reqntid|maxntid) (\d+)", ptx)
    return int(m.group(1)) if m else 32 * warps


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def poison(dtype, *shape):
    t = np.dtype(launchfile.NPY[dtype])
    return np.full(int(np.prod(shape)) * t.itemsize, 0xFF, np.uint8).view(t).reshape(shape)


def softmax(case, k):
    x = normal(1, 64, 1000)
    case.tensor("x", "f32", x)
    case.tensor("y", "f32", poison("f32", 64, 1000))
    case.launch(k.softmax, [64], ["x", "y", 1000], {"x": "*fp32", "y": "*fp32", "cols": "i32"}, {"BLOCK": 1024})
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    case.session.check("y", (e / e.sum(1, keepdims=True)).astype(np.float32), 1e-5)


def norm_reference(x, w, b):
    x = x.astype(np.float64)
    mean, rstd = x.mean(1, keepdims=True), 1 / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    return mean, rstd, (x - mean) * rstd


def layer_norm(case, k):
    rows, cols = 32, 1000
    x, w, b = normal(1, rows, cols), normal(2, cols), normal(3, cols)
    for n, v in (("x", x), ("w", w), ("b", b), ("y", poison("f32", rows, cols)), ("mean", poison("f32", rows)),
                 ("rstd", poison("f32", rows))):
        case.tensor(n, "f32", v)
    names = ["x", "w", "b", "y", "mean", "rstd"]
    case.launch(k.layer_norm, [rows], names + [cols, 1e-5], {**dict.fromkeys(names, "*fp32"), "cols": "i32", "eps": "fp32"},
                {"BLOCK": 1024})
    mean, rstd, n = norm_reference(x, w, b)
    case.session.check("y", (n * w + b).astype(np.float32), 1e-5)
    case.session.check("mean", mean[:, 0].astype(np.float32), 1e-4)
    case.session.check("rstd", rstd[:, 0].astype(np.float32), 1e-5)


def layer_norm_bwd(case, k):
    rows, cols = 32, 1000
    x, w, dy = normal(1, rows, cols), normal(2, cols), normal(4, rows, cols)
    mean, rstd, n = norm_reference(x, w, w)
    zero = np.zeros(cols, np.float32)
    for name, v in (("dy", dy), ("x", x), ("w", w), ("mean", mean[:, 0].astype(np.float32)),
                    ("rstd", rstd[:, 0].astype(np.float32)), ("dx", poison("f32", rows, cols)), ("dw", zero), ("db", zero)):
        case.tensor(name, "f32", v)
    names = ["dy", "x", "w", "mean", "rstd", "dx", "dw", "db"]
    case.launch(k.layer_norm_bwd, [rows], names + [cols], {**dict.fromkeys(names, "*fp32"), "cols": "i32"}, {"BLOCK": 1024})
    g = dy.astype(np.float64) * w
    dx = (g - n * (n * g).mean(1, keepdims=True) - g.mean(1, keepdims=True)) * rstd
    case.session.check("dx", dx.astype(np.float32), 1e-5)
    case.session.check("dw", (dy * n).sum(0).astype(np.float32), 1e-5)
    case.session.check("db", dy.astype(np.float64).sum(0).astype(np.float32), 1e-5)


def matmul(case, k, m=256, n=256, kk=256, dtype="f16", warps=4):
    a, b = normal(1, m, kk).astype(np.float16), normal(2, kk, n).astype(np.float16)
    case.tensor("a", "f16", a)
    case.tensor("b", "f16", b)
    case.tensor("c", "f16", poison("f16", m, n))
    case.launch(k.matmul, [m // 128, n // 128], ["a", "b", "c", m, n, kk],
                {**dict.fromkeys("abc", "*fp16"), **dict.fromkeys("MNK", "i32")}, {"BM": 128, "BN": 128, "BK": 64}, warps)
    case.session.check("c", a.astype(np.float32) @ b.astype(np.float32), 1e-3)


def e4m3_round(x):
    """The nearest e4m3 values, and their bits, of small normal numbers."""
    values = np.array([e4m3_value(b) for b in range(127)])
    index = np.abs(np.abs(x).reshape(-1, 1) - values).argmin(1)
    bits = (index | (x.reshape(-1) < 0) * 128).astype(np.uint8).reshape(x.shape)
    return (np.sign(x.reshape(-1)) * values[index]).reshape(x.shape).astype(np.float32), bits


def e4m3_value(b):
    return b % 8 * 2.0**-9 if b < 8 else (1 + b % 8 / 8) * 2.0 ** (b // 8 - 7)


def matmul_fp8(case, k):
    m = n = 256
    kk = 256
    (a, a8), (b, b8) = e4m3_round(normal(1, m, kk)), e4m3_round(normal(2, n, kk))
    case.tensor("a", "e4m3", a8)
    case.tensor("b", "e4m3", b8)
    case.tensor("c", "f16", poison("f16", m, n))
    case.launch(k.matmul_tma, [4], ["a", "b", "c", m, n, kk],
                {"a": "*fp8e4nv", "b": "*fp8e4nv", "c": "*fp16", **dict.fromkeys("MNK", "i32")},
                {"BM": 128, "BN": 128, "BK": 128, "SPECIALIZE": False})
    case.session.check("c", a @ b.T, 1e-3)


def matmul_tma(case, k, specialize=False):
    m, n, kk = 512, 256, 256
    a, b = normal(1, m, kk).astype(np.float16), normal(2, n, kk).astype(np.float16)
    case.tensor("a", "f16", a)
    case.tensor("b", "f16", b)
    case.tensor("c", "f16", poison("f16", m, n))
    case.launch(k.matmul_tma, [3], ["a", "b", "c", m, n, kk],
                {**dict.fromkeys("abc", "*fp16"), **dict.fromkeys("MNK", "i32")},
                {"BM": 128, "BN": 128, "BK": 64, "SPECIALIZE": specialize})
    case.session.check("c", a.astype(np.float32) @ b.astype(np.float32).T, 1e-3)


def matmul_ws(case, k):
    matmul_tma(case, k, True)


def attention_data(case, heads=2, s=512, d=64):
    x = [to_bf16(normal(i, heads, s, d)) for i in range(4)]
    for name, v in zip(("q", "k", "v", "do"), x):
        case.tensor(name, "bf16", v)
    return [from_bf16(v).astype(np.float64) for v in x]


def attention_reference(q, k, v, causal):
    s = q @ np.swapaxes(k, 1, 2) / np.sqrt(q.shape[2])
    if causal:
        s[:, np.triu(np.ones(s.shape[1:], bool), 1)] = -np.inf
    m = s.max(2, keepdims=True)
    p = np.exp(s - m)
    lse = m[..., 0] + np.log(p.sum(2))
    return p / p.sum(2, keepdims=True), lse


def attention(case, kernels, causal=False):
    q, k, v, _ = attention_data(case)
    heads, s, d = q.shape
    case.tensor("o", "bf16", poison("bf16", heads, s, d))
    case.tensor("lse", "f32", poison("f32", heads, s))
    case.launch(kernels.attention, [s // 128, heads], ["q", "k", "v", "o", "lse", d**-0.5, s],
                {**dict.fromkeys("qkvo", "*bf16"), "lse": "*fp32", "scale": "fp32", "S": "i32"},
                {"D": d, "BM": 128, "BN": 64, "CAUSAL": causal})
    p, lse = attention_reference(q, k, v, causal)
    case.session.check("o", (p @ v).astype(np.float32), 0.01)
    case.session.check("lse", lse.astype(np.float32), 0.001)


def attention_causal(case, kernels):
    attention(case, kernels, True)


def attention_bwd(case, kernels, causal=True):
    q, k, v, do = attention_data(case)
    heads, s, d = q.shape
    p, lse = attention_reference(q, k, v, causal)
    delta = (do * (p @ v)).sum(2)
    case.tensor("lse", "f32", lse.astype(np.float32))
    case.tensor("delta", "f32", delta.astype(np.float32))
    for n in ("dk", "dv"):
        case.tensor(n, "bf16", poison("bf16", heads, s, d))
    case.launch(kernels.attention_bwd_kv, [s // 128, heads],
                ["q", "k", "v", "do", "lse", "delta", "dk", "dv", d**-0.5, s],
                {**dict.fromkeys(("q", "k", "v", "do", "dk", "dv"), "*bf16"), **dict.fromkeys(("lse", "delta"), "*fp32"),
                 "scale": "fp32", "S": "i32"}, {"D": d, "BM": 64, "BN": 128, "CAUSAL": causal}, 4, 2)
    ds = p * (do @ np.swapaxes(v, 1, 2) - delta[..., None])
    case.session.check("dv", (np.swapaxes(p, 1, 2) @ do).astype(np.float32), 0.01)
    case.session.check("dk", (np.swapaxes(ds, 1, 2) @ q / np.sqrt(d)).astype(np.float32), 0.01)


CASES = [softmax, layer_norm, layer_norm_bwd, matmul, matmul_tma, matmul_ws, matmul_fp8, attention, attention_causal,
         attention_bwd]


def run_case(build, rao, folder, target, options):
    import triton_kernels
    case = Case(Path(folder) / f"triton_{build.__name__}_sm{target}", target)
    build(case, triton_kernels)
    return case.session.run(rao, *options)


def main():
    args, options = sys.argv[1:], []
    if "--" in args:
        options = args[args.index("--") + 1:]
        args = args[:args.index("--")]
    rao, folder, target, *wanted = args
    failed = 0
    for build in CASES:
        if wanted and build.__name__ not in wanted:
            continue
        try:
            code, text, _ = run_case(build, rao, folder, int(target), options)
        except Exception as e:  # a compiler of the field may refuse a kernel; that is a failure of the case, not of the rest
            code, text = 1, f"{type(e).__name__}: {e}"
        failed += code != 0
        print(f"== {build.__name__} sm_{target}: exit {code}")
        print("\n".join(l for l in text.splitlines() if code or l.startswith(("check", "time"))))
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
