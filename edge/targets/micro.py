"""Files for TensorFlow Lite Micro on microcontrollers, with C sources for a C++ project."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.targets import micro_arena
from keras_transformer.edge.targets.flatbuffer import FlatbufferWriter, TfliteFile
from keras_transformer.edge.tflite.schema import count_ops, find_op
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.storage.beside import resolved
from keras_transformer.zoo.storage.files import check_file_target
from keras_transformer.zoo.storage.temporary import temporary_folder

_BYTES_PER_LINE = 16
_MISSING_OP = re.compile(r"find op for builtin opcode '(\w+)'")
# Ops whose method of MicroMutableOpResolver is not their name in camel case.
_METHODS = {"BATCH_MATMUL": "BatchMatMul", "PADV2": "PadV2"}


LOADING = """\
```cpp
#include "{name}.h"
#include "{name}_ops.h"

alignas(16) uint8_t arena[{name}_arena_bytes];
tflite::MicroMutableOpResolver<{name}_op_count> resolver;
{name}_register_ops(&resolver);
tflite::MicroInterpreter interpreter(tflite::GetModel({name}), resolver, arena, sizeof(arena));
interpreter.AllocateTensors();
```"""


class MicroFile(TfliteFile):
    """A `.tflite` file, and C sources of the same name beside it."""

    def beside(self, path: Path) -> Mapping[str, bytes]:
        """Returns the C sources."""
        return c_sources(path, bytes(self))

    def loading_from(self, path: Path) -> str:
        """Returns a C++ program that includes the sources."""
        return self.loading.replace("{name}", c_name(path))


class Micro(FlatbufferWriter):
    """Writer of the target `micro`: integer files with C sources."""

    has_lengths = False
    artifact = MicroFile

    def loads(self, checkpoint: Checkpoint) -> str | None:
        """Rejects generative models."""
        if checkpoint.task.generates:
            return (
                "Expected a model of whole texts for the target micro, got "
                f"{checkpoint.task.name}."
            )
        return super().loads(checkpoint)

    def loading(self, checkpoint: Checkpoint) -> str:
        """Returns a C++ program, in which {name} is the file's name in C."""
        return LOADING

    def check_out(self, out: Path, *, overwrite: bool) -> None:
        """Also checks the paths of the C sources.

        Raises:
            InputError: if the name of the file cannot become a C identifier.
        """
        out = resolved(out)
        super().check_out(out, overwrite=overwrite)
        for name in source_names(out):
            check_file_target(out.with_name(name), overwrite=overwrite)

    def measured(self, description: Mapping[str, Any]) -> dict[str, str]:
        """Returns the size of the arena."""
        return {"arena in TensorFlow Lite Micro": f"{description['arena_bytes']:,} bytes"}

    def facts(self, flatbuffer: bytes) -> dict[str, int]:
        """Returns the size of the arena.

        Raises:
            RunError: if TensorFlow Lite Micro lacks an op; the message names it and its layer.
        """
        return {"arena_bytes": arena_bytes(flatbuffer)}


def arena_bytes(flatbuffer: bytes) -> int:
    """Measures the smallest arena in which TensorFlow Lite Micro runs the model, in bytes.

    Raises:
        RunError: if the interpreter cannot run the model.
    """
    with temporary_folder() as folder:
        path = folder / "model.tflite"
        path.write_bytes(flatbuffer)
        command = [sys.executable, "-m", micro_arena.__name__, str(path)]
        child = subprocess.run(command, capture_output=True, text=True)
    if child.returncode == 0:
        return int(child.stdout)
    missing = _MISSING_OP.search(child.stderr)
    if missing is not None:
        raise RunError(
            f"TensorFlow Lite Micro has no {missing[1]}, the op of "
            f"{find_op(flatbuffer, missing[1])}."
        )
    reason = child.stderr.strip().splitlines()[-1]
    raise RunError(f"TensorFlow Lite Micro cannot run the model: {reason}")


def source_names(path: Path) -> tuple[str, ...]:
    """Returns the names of the files of `c_sources`.

    Raises:
        InputError: if the stem cannot become a C identifier.
    """
    name = c_name(path)
    return f"{name}.h", f"{name}.c", f"{name}_ops.h"


def c_name(path: Path) -> str:
    """Returns a file's stem as a C identifier, with `_` for invalid characters.

    Raises:
        InputError: if it does not begin with a letter.
    """
    name = re.sub(r"\W", "_", path.stem, flags=re.ASCII)
    if not name[:1].isalpha():
        raise InputError(f"Expected a file name that begins with a letter, got {path.name}.")
    return name


def c_sources(path: Path, data: bytes | None = None) -> dict[str, bytes]:
    """Returns the files that a C++ project adds, by name.

    Args:
        path: of a file of this target; its stem names the sources and their symbols.
        data: the file's bytes; by default they are read.

    Returns:
        `NAME.h` and `NAME.c`, the model as an array of bytes, and `NAME_ops.h`, which registers its
        ops and defines the arena's size.

    Raises:
        InputError: see `c_name`.
    """
    name = c_name(path)
    flatbuffer, description, _ = unpack(path if data is None else data)
    arena = description["arena_bytes"]
    texts = (
        _header(name, len(flatbuffer)), _array(name, flatbuffer),
        _ops(name, sorted(count_ops(flatbuffer)), arena),
    )  # fmt: skip
    return {name: text.encode() for name, text in zip(source_names(path), texts, strict=True)}


def _header(name: str, size: int) -> str:
    guard = f"{name.upper()}_H_"
    return f"""\
#ifndef {guard}
#define {guard}

#ifdef __cplusplus
extern "C" {{
#endif

/* A TFLite model of {size} bytes, aligned as TensorFlow Lite Micro reads it. */
extern const unsigned char {name}[{size}];
extern const unsigned int {name}_size;

#ifdef __cplusplus
}}
#endif

#endif /* {guard} */
"""


def _array(name: str, flatbuffer: bytes) -> str:
    lines = (
        flatbuffer[start : start + _BYTES_PER_LINE]
        for start in range(0, len(flatbuffer), _BYTES_PER_LINE)
    )
    numbers = ",\n".join("    " + ", ".join(f"0x{byte:02x}" for byte in line) for line in lines)
    return f"""\
#include "{name}.h"

/* C11 has _Alignas, older compilers the attribute. */
#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define {name.upper()}_ALIGNED _Alignas(16)
#else
#define {name.upper()}_ALIGNED __attribute__((aligned(16)))
#endif

const unsigned int {name}_size = {len(flatbuffer)};
{name.upper()}_ALIGNED const unsigned char {name}[{len(flatbuffer)}] = {{
{numbers}
}};
"""


def _ops(name: str, ops: list[str], arena: int) -> str:
    guard = f"{name.upper()}_OPS_H_"
    adds = "\n".join(f"  ok = resolver->Add{_method(op)}() == kTfLiteOk && ok;" for op in ops)
    return f"""\
#ifndef {guard}
#define {guard}

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

/* As TensorFlow Lite Micro's interpreter on x86-64 measured it; a 32-bit target has smaller
   pointers and needs less. */
constexpr unsigned int {name}_arena_bytes = {arena};
constexpr unsigned int {name}_op_count = {len(ops)};

/* Adds the ops of the model; false if there was no room for one. */
inline bool {name}_register_ops(tflite::MicroMutableOpResolver<{name}_op_count>* resolver) {{
  bool ok = true;
{adds}
  return ok;
}}

#endif /* {guard} */
"""


def _method(op: str) -> str:
    return _METHODS.get(op) or op.title().replace("_", "")
