"""The CuTe DSL under rao exec: it embeds machine code; here the PTX of the same compilation takes its place."""

import glob
import re
import shutil
import tempfile

FAT_BINARY = b"\x50\xed\x55\xba"


def replace_images(module, ptx):
    """The globals of a compiled module that hold its kernels."""
    from cutlass._mlir import ir
    for op in module.body.operations:
        value = op.attributes["value"] if op.operation.name == "llvm.mlir.global" and "value" in op.attributes else None
        if isinstance(value, ir.StringAttr) and value.value_bytes.startswith(FAT_BINARY):
            with module.context:
                op.attributes["global_type"] = ir.TypeAttr.get(ir.Type.parse(f"!llvm.array<{len(ptx)} x i8>"))
                op.attributes["value"] = ir.StringAttr.get(ptx)


def kept(pipeline, what):
    """Files that the pipeline's options ask to keep: PATH.ARCH.ptx or .cubin."""
    path = re.search(rf"dump-{what}-path='([^']*)'", pipeline)
    return glob.glob(f"{glob.escape(path.group(1))}.*.{what}") if path else []


def replace(module, pipeline):
    for path in kept(pipeline, "ptx"):
        with open(path, "rb") as f:
            ptx = f.read().rstrip(b"\0") + b"\0"
        replace_images(module, ptx)
        for cubin in kept(pipeline, "cubin"):  # what the program keeps of it to load it itself
            with open(cubin, "wb") as f:
                f.write(ptx)


def install(compiler):
    compile = compiler.Compiler.compile

    def compile_to_ptx(self, module, pipeline, *args, **kwargs):
        folder = tempfile.mkdtemp(prefix="rao-cute-")
        hook, self._post_compile_hook = self._post_compile_hook, None
        try:
            if "dump-ptx-path" not in pipeline and "}" in pipeline:
                at = pipeline.rindex("}")
                pipeline = f"{pipeline[:at]} dump-ptx-path='{folder}/k'{pipeline[at:]}"
            module = compile(self, module, pipeline, *args, **kwargs)
            replace(module, pipeline)
        finally:
            self._post_compile_hook = hook
            shutil.rmtree(folder)
        if hook:
            hook(module)
        return module

    compiler.Compiler.compile = compile_to_ptx
