"""Python under rao exec, which puts this folder first on PYTHONPATH: what packages need that bring their own CUDA.

Each of them is changed when the program imports it, and not at all otherwise.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LIBRARIES = os.path.dirname(HERE)


def before_torch():
    """PyTorch's libraries name NVIDIA's folder in their RPATH, which counts before LD_LIBRARY_PATH; one loaded earlier counts first."""
    import ctypes
    for name in ("libcuda.so.1", "libcudart.so.13"):
        ctypes.CDLL(os.path.join(LIBRARIES, name), mode=ctypes.RTLD_GLOBAL)


def after_torch(torch):
    if torch.version.cuda and torch.version.cuda.startswith("13."):
        import rao_torch
        torch._rao = rao_torch.install()


def after_triton_testing(testing):
    import rao_triton
    rao_triton.install(testing)


def before_cute():
    """What its host code calls: instead of a runtime library that has NVIDIA's linked into it."""
    os.environ["CUTE_DSL_LIBS"] = os.path.join(LIBRARIES, "librao_cute.so")


def after_cute_compiler(compiler):
    import rao_cute
    rao_cute.install(compiler)


def after_bindings(module):
    import rao_bindings
    rao_bindings.install(module)


NOTHING = lambda *_: None
HOOKS = {"torch": (before_torch, after_torch), "triton.testing": (NOTHING, after_triton_testing),
         "cuda.bindings._internal.runtime": (NOTHING, after_bindings),
         "cutlass": (before_cute, NOTHING), "cutlass.base_dsl.compiler": (NOTHING, after_cute_compiler)}


class Loader(importlib.abc.Loader):
    """The module's own loader, with something to do before and after it."""

    def __init__(self, loader, before, after):
        self.loader, self.before, self.after = loader, before, after

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        self.before()
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        self.after(module)


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name not in HOOKS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec and spec.loader:
            spec.loader = Loader(spec.loader, *HOOKS[name])
        return spec


def run_the_other_one():
    """Python imports one sitecustomize: ours hides what the machine may have."""
    path = [p for p in sys.path if os.path.abspath(p or ".") != HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if spec and spec.loader:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


sys.meta_path.insert(0, Finder())
run_the_other_one()
