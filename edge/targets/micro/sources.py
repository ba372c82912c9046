"""C sources of a file: the model as an array, its ops and its arena, and what surrounds it."""

import re
from collections.abc import Sequence
from pathlib import Path

from keras_transformer.edge.runtime.packed import LABELS, NPU, unpack
from keras_transformer.edge.targets.micro.c_code import quoted
from keras_transformer.edge.targets.micro.listening import listening_sources
from keras_transformer.edge.targets.micro.tokenizing import tokenizer_sources
from keras_transformer.edge.tflite.schema import count_ops
from keras_transformer.zoo.data.labels import read_labels
from keras_transformer.zoo.errors import InputError

_BYTES_PER_LINE = 16
_FILES = ".h", ".c", "_ops.h"
_FILES_OF_SOME = "_tokenizer.h", "_tokenizer.c", "_listen.h", "_listen.c"
# Ops whose method of MicroMutableOpResolver is not their name in camel case.
_METHODS = {"BATCH_MATMUL": "BatchMatMul", "PADV2": "PadV2", "ethos-u": "EthosU"}
_MEASURED = """\
/* As TensorFlow Lite Micro's interpreter on x86-64 measured it; a 32-bit target has smaller
   pointers and needs less. */"""
_PLANNED = """\
/* As planned by Arm's compiler, with room for the interpreter's own structures: more than a 32-bit
   target needs, whose interpreter says arena_used_bytes(). */"""

# No name of an array: keywords of C and C++, and what a program and its libraries have already.
_TAKEN = frozenset(
    """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t
    char8_t class co_await co_return co_yield compl concept const const_cast consteval constexpr
    constinit continue decltype default delete do double dynamic_cast else enum explicit export
    extern false float for friend goto if inline int long main mutable namespace new noexcept not
    not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires
    restrict return short signed sizeof static static_assert static_cast std struct switch template
    tflite this thread_local throw true try typedef typeid typename typeof union unsigned using
    virtual void volatile wchar_t while xor xor_eq
    """.split()
)
# Nor of a header, which would stand in the place of C's own.
_HEADERS = frozenset(
    """
    assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign
    stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar
    wchar wctype
    """.split()
)


def source_names(path: Path) -> tuple[str, ...]:
    """Returns the names that the files of `c_sources` may have, first those of every model.

    Raises:
        InputError: if the stem cannot become a C identifier.
    """
    name = c_name(path)
    return tuple(f"{name}{file}" for file in (*_FILES, *_FILES_OF_SOME))


def c_name(path: Path) -> str:
    """Returns a file's stem as a C identifier, with `_` for invalid characters.

    Raises:
        InputError: if it does not begin with a letter, or means something else in C or C++, or the
            file would be in the place of its own sources.
    """
    name = re.sub(r"\W", "_", path.stem, flags=re.ASCII)
    if not name[:1].isalpha():
        raise InputError(
            f"Expected a file name that begins with a letter from A to z, got {path.name}."
        )
    if path.suffix in (".c", ".h"):
        raise InputError(
            f"Expected a file name beside which {name}.c and {name}.h have a place, got "
            f"{path.name}; choose another, such as {path.stem}.tflite."
        )
    if name in _TAKEN or name in _HEADERS:
        raise InputError(
            f"Expected a file name that is free in C and C++, got {path.name}: {name} is a keyword "
            f"or a library's; choose another, such as my_{path.name}."
        )
    return name


def c_sources(path: Path, data: bytes | None = None) -> dict[str, bytes]:
    """Returns the files that a C++ project adds, by name.

    Args:
        path: of a file of this target; its stem names the sources and their symbols.
        data: the file's bytes; by default they are read.

    Returns:
        `NAME.h` and `NAME.c`, the model as an array of bytes and its labels, and `NAME_ops.h`,
        which registers its ops and defines the arena's size; for a model of sounds also
        `listening_sources`, for one of texts `tokenizer_sources`.

    Raises:
        InputError: see `c_name`.
    """
    name = c_name(path)
    flatbuffer, description, files = unpack(path if data is None else data)
    arena = description["arena_bytes"]
    listening = listening_sources(name, description, files)
    # Those of sounds are in the listener.
    has_labels = LABELS in files and not listening
    labels = read_labels(files[LABELS], LABELS) if has_labels else ()
    told = _PLANNED if NPU in description else _MEASURED
    texts = (
        _header(name, len(flatbuffer), labels), _array(name, flatbuffer, labels),
        _ops(name, sorted(count_ops(flatbuffer)), arena, told),
    )  # fmt: skip
    found = {f"{name}{file}": text for file, text in zip(_FILES, texts, strict=True)}
    found |= listening
    found |= tokenizer_sources(name, description, files)
    return {name: text.encode() for name, text in found.items()}


def _header(name: str, size: int, labels: Sequence[str]) -> str:
    guard = f"{name.upper()}_H_"
    told = f"""

/* The labels in the order of the outputs, in UTF-8. */
#define {name.upper()}_LABELS {len(labels)}
extern const char* const {name}_labels[{name.upper()}_LABELS];"""
    return f"""\
#ifndef {guard}
#define {guard}

#ifdef __cplusplus
extern "C" {{
#endif

/* A TFLite model of {size} bytes, aligned as TensorFlow Lite Micro reads it. */
extern const unsigned char {name}[{size}];
extern const unsigned int {name}_size;{told if labels else ""}

#ifdef __cplusplus
}}
#endif

#endif /* {guard} */
"""


def _array(name: str, flatbuffer: bytes, labels: Sequence[str]) -> str:
    lines = (
        flatbuffer[start : start + _BYTES_PER_LINE]
        for start in range(0, len(flatbuffer), _BYTES_PER_LINE)
    )
    numbers = ",\n".join("    " + ", ".join(f"0x{byte:02x}" for byte in line) for line in lines)
    strings = ",\n".join(f"    {quoted(label)}" for label in labels)
    told = f"""
const char* const {name}_labels[{name.upper()}_LABELS] = {{
{strings}
}};
"""
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
{told if labels else ""}"""


def _ops(name: str, ops: list[str], arena: int, told: str) -> str:
    guard = f"{name.upper()}_OPS_H_"
    adds = "\n".join(f"  ok = resolver->Add{_method(op)}() == kTfLiteOk && ok;" for op in ops)
    return f"""\
#ifndef {guard}
#define {guard}

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

{told}
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
