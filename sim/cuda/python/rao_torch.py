"""PyTorch under rao exec: tensors on the simulated GPU, PyTorch's own operations on the host.

Memory, streams, events and graphs of PyTorch's CUDA build are those of Rao's libcudart. Its own kernels are machine code,
which Rao does not read; so each ATen operation on CUDA tensors copies them to the host, does it there, and copies what it
wrote back. Kernels that a program brings as PTX (Triton's, the CuTe DSL's, its own) run on the simulated GPU.
"""

import ctypes
import warnings

import torch
from torch.utils._pytree import tree_map, tree_map_only

HOST_TO_DEVICE, DEVICE_TO_HOST = 1, 2  # cudaMemcpyKind

cudart = ctypes.CDLL("libcudart.so.13")
cudart.cudaMemcpy.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def memcpy(to, source, nbytes, kind):
    error = cudart.cudaMemcpy(to, source, nbytes, kind)
    if error:
        raise RuntimeError(f"rao exec: a copy of {nbytes} bytes to or from the GPU failed: CUDA error {error}")


def on_gpu(t):
    return t.device.type == "cuda"


def span(t):
    """Number of elements from the first of a tensor to its last, in memory."""
    return 0 if t.numel() == 0 else 1 + sum((n - 1) * s for n, s in zip(t.shape, t.stride()))


class Copies:
    """The host's copies of the CUDA tensors of one operation. Tensors that share memory there share it here."""

    def __init__(self):
        self.storages, self.pairs = {}, []

    def to_host(self, t):
        if not on_gpu(t):
            self.pairs.append((t, t))
            return t
        for device, host in self.pairs:
            if device is t:
                return host
        if t.layout != torch.strided:
            raise NotImplementedError(f"rao exec: {t.layout} tensors of PyTorch on the GPU")
        storage = t.untyped_storage()
        key = storage.data_ptr(), storage.nbytes()
        if key not in self.storages:
            self.storages[key] = torch.UntypedStorage(storage.nbytes())
        self.fetch(t, self.storages[key])
        host = torch.empty(0, dtype=t.dtype).set_(self.storages[key], t.storage_offset(), t.shape, t.stride())
        if t.is_conj():
            host = host.conj()
        if t.is_neg():
            host = torch._neg_view(host)
        self.pairs.append((t, host))
        return host

    @staticmethod
    def fetch(t, storage):
        at, n = t.storage_offset() * t.element_size(), span(t) * t.element_size()
        if n:
            memcpy(storage.data_ptr() + at, t.untyped_storage().data_ptr() + at, n, DEVICE_TO_HOST)

    def write_back(self, t):
        """What the operation wrote of t, on the host."""
        host = next((h for d, h in self.pairs if d is t), None)
        if host is None:
            return
        if host.shape != t.shape:
            t.resize_(host.shape)
        if host.stride() != t.stride() or host.untyped_storage().data_ptr() == 0 or t.storage_offset() != host.storage_offset():
            t.as_strided_(host.shape, host.stride(), host.storage_offset())
        send(host, t)

    def to_device(self, host, device):
        """A result: the argument that it is, or a new tensor."""
        for d, h in self.pairs:
            if h is host:
                return d
        t = torch.empty_strided(host.shape, host.stride(), dtype=host.dtype, device=device)
        send(host, t)
        return t


def send(host, t):
    n = span(host) * host.element_size()
    if n:
        memcpy(t.data_ptr(), host.data_ptr(), n, HOST_TO_DEVICE)


generators = {}


def host_generator(g):
    """PyTorch's CUDA generators draw on the GPU: one on the host stands for each, with its seed."""
    if g.device.type != "cuda":
        return g
    seed, host = generators.get(id(g), (None, None))
    if seed != g.initial_seed():
        host = torch.Generator().manual_seed(g.initial_seed())
        generators[id(g)] = g.initial_seed(), host
    return host


def on_host(op):
    """The operation as the CUDA tensors' kernel."""
    written = [(i, a.name) for i, a in enumerate(op._schema.arguments) if a.alias_info and a.alias_info.is_write]
    is_tensor = [str(a.type) == "Tensor" for a in op._schema.arguments]

    def kernel(*args, **kwargs):
        copies, device = Copies(), None

        def to_host(x):
            nonlocal device
            if isinstance(x, torch.Tensor):
                device = x.device if on_gpu(x) else device
                return copies.to_host(x)
            if isinstance(x, torch.device) and x.type == "cuda":
                device = x
                return torch.device("cpu")
            return host_generator(x) if isinstance(x, torch.Generator) else x

        host_args, host_kwargs = tree_map(to_host, args), tree_map(to_host, kwargs)
        if "pin_memory" in host_kwargs:
            host_kwargs["pin_memory"] = False
        # PyTorch hands a number over as it is where the operation wants a tensor; another overload takes it.
        number = any(t and isinstance(x, (int, float, complex)) for t, x in zip(is_tensor, host_args))
        result = (op.overloadpacket if number else op)(*host_args, **host_kwargs)
        for i, name in written:
            tree_map_only(torch.Tensor, lambda t: copies.write_back(t) if on_gpu(t) else None,
                          args[i] if i < len(args) else kwargs.get(name))
        device = device or torch.device("cuda", torch.cuda.current_device())
        return tree_map_only(torch.Tensor, lambda t: copies.to_device(t, device), result)

    return kernel


def computes(op):
    """Whether the operation is one that PyTorch does by a kernel: not a view, an allocation, a property."""
    name = op._schema.name.removeprefix("aten::")
    if name in {"empty", "empty_strided", "resize_", "set_", "_local_scalar_dense", "record_stream", "is_pinned", "_pin_memory",
                "_resize_output_", "is_set_to", "_fused_sdp_choice", "_efficientzerotensor"}:
        return False
    returns = [r.alias_info for r in op._schema.returns]
    return not any(a and not a.is_write for a in returns)  # a view


def operations():
    """Names of the ATen operations that have a kernel for CUDA, and copy_, for which CUDA's is everybody's."""
    names = torch._C._dispatch_get_registrations_for_dispatch_key("CUDA")
    return {name for name in names if name.startswith("aten::")} | {"aten::copy_"}


def host_has(name):
    """Whether there is one for the host, or the operation is made of others there."""
    return torch._C._dispatch_has_computed_kernel_for_dispatch_key(name, "CPU")


def overload(name):
    packet, _, which = name.removeprefix("aten::").partition(".")
    return getattr(getattr(torch.ops.aten, packet), which or "default")


def only_math_attention():
    """The fused kernels of scaled_dot_product_attention are CUDA's alone, and it asks no dispatcher which of them to use."""
    for kind in ("flash", "mem_efficient", "cudnn", "math"):
        getattr(torch._C, f"_set_sdp_use_{kind}")(kind == "math")
        setattr(torch._C, f"_set_sdp_use_{kind}", lambda _: None)  # programs choose, too


def install():
    library = torch.library.Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for op in map(overload, filter(host_has, operations())):
            if computes(op):
                library.impl(op, on_host(op), "CUDA", allow_override=True)
    torch.backends.cudnn.enabled = False
    only_math_attention()
    return library
