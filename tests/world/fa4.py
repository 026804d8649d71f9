"""FlashAttention-4 as published on PyPI (flash-attn-4), forward and backward, compiled for sm_100a without a GPU.

The package's own Python runs unchanged, on CPU tensors that claim to be on a GPU; what it would launch becomes a launch
file. Environment must be set before the packages are imported, so this runs as a program of its own:

    fa4.py RAO FOLDER [--backward] [--causal] [--batch N] [--seqlen N] [--heads N] [--kv-heads N] [--dim N] [rao options]
"""

import argparse
import ctypes
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


def arguments():
    a = argparse.ArgumentParser()
    a.add_argument("rao")
    a.add_argument("folder", type=Path)
    a.add_argument("--backward", action="store_true")
    a.add_argument("--causal", action="store_true")
    a.add_argument("--arch", default="sm_100a")
    a.add_argument("--batch", type=int, default=1)
    a.add_argument("--seqlen", type=int, default=512)
    a.add_argument("--heads", type=int, default=2)
    a.add_argument("--kv-heads", type=int, default=0)
    a.add_argument("--dim", type=int, default=128)
    return a.parse_known_args()


def prepare(folder, arch):
    """Builds the recording runtime and points the compiler at it."""
    folder.mkdir(parents=True, exist_ok=True)
    runtime = folder / "libcute_runtime.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", runtime, HERE / "cute_runtime.c"], check=True)
    os.environ.update(
        CUTE_DSL_LIBS=str(runtime), CUTE_DSL_ARCH=arch, CUTE_DSL_KEEP="ptx", CUTE_DSL_DUMP_DIR=str(folder / "ptx"),
        CUTE_DSL_NO_CACHE="1", FLASH_ATTENTION_ARCH=arch.rstrip("a"), FLASH_ATTENTION_NUM_SMS="148")
    (folder / "ptx").mkdir(exist_ok=True)
    for old in (folder / "ptx").iterdir():
        old.unlink()
    return ctypes.CDLL(str(runtime))


class LaunchConfig(ctypes.Structure):  # cudaLaunchConfig_t
    _fields_ = [("grid", ctypes.c_uint32 * 3), ("block", ctypes.c_uint32 * 3), ("shared", ctypes.c_size_t),
                ("stream", ctypes.c_void_p), ("attributes", ctypes.c_void_p), ("n_attributes", ctypes.c_uint)]


class Attribute(ctypes.Structure):  # cudaLaunchAttribute
    _fields_ = [("id", ctypes.c_int), ("pad", ctypes.c_int), ("value", ctypes.c_uint32 * 16)]


CLUSTER_DIMENSION = 4  # cudaLaunchAttributeClusterDimension
LAUNCH = ctypes.CFUNCTYPE(None, ctypes.POINTER(LaunchConfig), ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p))


class DLTensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int), ("device_id", ctypes.c_int),
                ("ndim", ctypes.c_int), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("byte_offset", ctypes.c_uint64), ("manager", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


class OnGpu:
    """A CPU tensor that DLPack presents as one of device cuda:0, at its host address."""

    def __init__(self, t):
        code = {"float": 2, "bfloat": 4, "int": 0, "uint": 1}[str(t.dtype).removeprefix("torch.").rstrip("0123456789")]
        n = t.dim()
        self.t = t
        self.shape, self.strides = (ctypes.c_int64 * n)(*t.shape), (ctypes.c_int64 * n)(*t.stride())
        self.dl = DLTensor(t.data_ptr(), 2, 0, n, code, t.element_size() * 8, 1, self.shape, self.strides, 0, None, None)

    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, **_):
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.addressof(self.dl), b"dltensor", None)


class Host:
    """Turns what the package launches into launches of a session."""

    def __init__(self, session, ptx_dir):
        self.session, self.ptx_dir, self.seen, self.keep, self.flops = session, ptx_dir, {}, [], 0
        self.callback = LAUNCH(self.launched)

    def launched(self, config, kernel, params):
        import launchfile
        c, name = config.contents, kernel.decode()
        path, text = next((p, t) for p in sorted(self.ptx_dir.glob("*.ptx"))
                          for t in [p.read_text(errors="replace").rstrip("\0")] if f".entry {name}(" in t)
        path.write_text(text)
        cluster = (1, 1, 1)
        attributes = ctypes.cast(c.attributes, ctypes.POINTER(Attribute))
        for i in range(c.n_attributes):
            if attributes[i].id == CLUSTER_DIMENSION:
                cluster = tuple(attributes[i].value[:3])
        sizes = launchfile.entry_params(text, name)
        data = [ctypes.string_at(params[i], n) for i, n in enumerate(sizes)]
        self.session.launch(path, name, tuple(c.grid), tuple(c.block), data, cluster, c.shared,
                            self.flops if "Sm100" in name or "sm90" in name else 0)

    def argument(self, x):
        import torch
        if not isinstance(x, torch.Tensor):
            return x
        base = x.untyped_storage().data_ptr()
        if base not in self.seen:
            name = f"t{len(self.seen)}"
            self.seen[base] = name
            whole = torch.empty(0, dtype=x.dtype).set_(x.untyped_storage())
            dtype = {torch.bfloat16: "bf16", torch.float16: "f16", torch.float32: "f32", torch.int32: "s32"}[x.dtype]
            array = (whole.view(torch.int16).numpy().view(np.uint16) if dtype == "bf16" else whole.numpy())
            self.session.tensor(name, dtype, array, base)
        return self.gpu(x)

    def gpu(self, t):
        self.keep.append(OnGpu(t))
        return self.keep[-1]

    def name(self, t):
        return self.seen[t.untyped_storage().data_ptr()]

    def cache(self):
        """A cache of compiled functions which get tensors that claim to be on the GPU."""
        host = self

        class Cache(dict):
            def __getitem__(self, key):
                f = dict.__getitem__(self, key)
                return lambda *args: f(*[host.argument(x) for x in args])

        return Cache()


def patch(host):
    """What the package asks of a GPU that is not there."""
    import cutlass.utils
    import torch

    class HardwareInfo:
        def __init__(self, *_, **__):
            pass

        def get_max_active_clusters(self, cluster_size, *_, **__):
            return 148 // cluster_size

        def get_device_multiprocessor_count(self, *_):
            return 148

        def get_l2_cache_size_in_bytes(self, *_):
            return 126 << 20

    cutlass.utils.HardwareInfo = HardwareInfo
    torch.Tensor.is_cuda = property(lambda _: True)
    import flash_attn.cute.cute_dsl_utils as utils
    import flash_attn.cute.interface as interface
    from_dlpack = utils.from_dlpack
    utils.from_dlpack = lambda t, **options: from_dlpack(host.gpu(t), **options)
    interface._flash_attn_fwd.compile_cache = host.cache()
    interface._flash_attn_bwd.compile_cache = host.cache()
    interface._bwd_preprocess.compile_cache = host.cache()
    interface._bwd_postprocess_convert.compile_cache = host.cache()
    return interface


def reference(q, k, v, causal, dout=None):
    """Attention in f64 from [B, S, H, D] arrays; with dout also the gradients."""
    groups = q.shape[2] // k.shape[2]
    scale = 1 / math.sqrt(q.shape[3])
    q, k, v = (np.moveaxis(x.astype(np.float64), 2, 1) for x in (q, k, v))
    kk, vv = np.repeat(k, groups, 1), np.repeat(v, groups, 1)
    s = scale * q @ np.swapaxes(kk, 2, 3)
    if causal:
        i, j = np.indices(s.shape[2:])
        s[:, :, j > i + s.shape[3] - s.shape[2]] = -np.inf
    m = s.max(3, keepdims=True)
    p = np.exp(s - m)
    lse = m[..., 0] + np.log(p.sum(3))
    p /= p.sum(3, keepdims=True)
    o = p @ vv
    back = lambda x: np.ascontiguousarray(np.moveaxis(x, 1, 2))
    if dout is None:
        return back(o), lse
    do = np.moveaxis(dout.astype(np.float64), 2, 1)
    dv = np.swapaxes(p, 2, 3) @ do
    ds = p * (do @ np.swapaxes(vv, 2, 3) - (do * o).sum(3, keepdims=True))
    dq, dk = scale * ds @ kk, scale * np.swapaxes(ds, 2, 3) @ q
    fold = lambda x: x.reshape(x.shape[0], -1, groups, *x.shape[2:]).sum(2)
    return back(o), lse, back(dq), back(fold(dk)), back(fold(dv))


def main():
    a, options = arguments()
    runtime = prepare(a.folder, a.arch)
    import torch
    import launchfile
    session = launchfile.Session(a.folder)
    host = Host(session, a.folder / "ptx")
    runtime.rao_on_launch(host.callback)
    interface = patch(host)
    host.flops = (10 if a.backward else 4) * a.batch * a.heads * a.seqlen**2 * a.dim // (2 if a.causal else 1)

    torch.manual_seed(1)
    rand = lambda heads: torch.randn(a.batch, a.seqlen, heads, a.dim).to(torch.bfloat16)
    kv_heads = a.kv_heads or a.heads
    q, k, v, dout = rand(a.heads), rand(kv_heads), rand(kv_heads), rand(a.heads)
    array = lambda t: t.float().numpy()
    ref = reference(*map(array, (q, k, v)), a.causal, array(dout) if a.backward else None)
    if a.backward:
        out = torch.from_numpy(ref[0]).to(torch.bfloat16)
        lse = torch.from_numpy(ref[1]).float()
        grads = interface._flash_attn_bwd(q, k, v, out, dout, lse, causal=a.causal)
        for t, expected in zip(grads, ref[2:]):
            session.poison(host.name(t))
            session.check(host.name(t), expected.astype(np.float32).reshape(-1), 0.01)
    else:
        out, lse = interface._flash_attn_fwd(q, k, v, causal=a.causal, return_lse=True)[:2]
        for t in (out, lse):
            session.poison(host.name(t))
        session.check(host.name(out), ref[0].astype(np.float32).reshape(-1), 0.01)
        session.check(host.name(lse), ref[1].astype(np.float32).reshape(-1), 0.001)
    code, text, _ = session.run(a.rao, *options)
    print(text)
    sys.exit(code)


if __name__ == "__main__":
    main()
