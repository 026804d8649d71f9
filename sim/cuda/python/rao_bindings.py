"""cuda.bindings.runtime under rao exec: it has NVIDIA's runtime linked into it, which only runs on NVIDIA's driver; the
functions that it hands to the package's other modules become those of Rao's libcudart."""

import ctypes

name_of = ctypes.pythonapi.PyCapsule_GetName
name_of.restype, name_of.argtypes = ctypes.c_void_p, [ctypes.py_object]  # the capsule keeps the pointer
new = ctypes.pythonapi.PyCapsule_New
new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
keep = []


def install(module):
    cudart = ctypes.CDLL("libcudart.so.13")
    functions = module.__pyx_capi__  # name: capsule of a pointer, named after its C type
    for name, capsule in list(functions.items()):
        try:
            ours = getattr(cudart, name.removeprefix("_"))
        except AttributeError:
            continue
        keep.append(capsule)
        functions[name] = new(ctypes.cast(ours, ctypes.c_void_p), name_of(capsule), None)
