"""C sources of a compiled file: those of `micro`, the host's part of the model, and an example."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.edge.runtime.packed import NPU, TABLE, unpack
from keras_transformer.edge.targets.ethos.prepare import (
    IDS,
    MASK,
    PLUS,
    ROWS,
    SMALLEST_SQUARE,
    TIMES,
    TO_LENGTH_1,
)
from keras_transformer.edge.targets.micro.c_code import array, filled
from keras_transformer.edge.targets.micro.sources import c_name, c_sources
from keras_transformer.edge.targets.micro.tokenizing import no_tokenizer

LOADING = """\
`{name}_main.cpp` sets up the NPU's driver, fills the inputs and runs the model; `{name}.c` is the
compiled model, `{name}_ops.h` has its ops and its arena, and `{name}_host.c` what the host does
before and after it."""
_FOLDER = Path(__file__).parent / "c"
_FILES = ("host.h", "host.c", "main.cpp")


def names_of_sources(path: Path) -> tuple[str, ...]:
    """Returns the names of the sources that `micro` lacks."""
    return tuple(f"{c_name(path)}_{file}" for file in _FILES)


def all_sources(path: Path, data: bytes) -> dict[str, bytes]:
    """Returns the files that a C++ project adds, by name.

    Args:
        path: of a file of this target; its stem names the sources and their symbols.
        data: the file's bytes.

    Returns:
        The files of `micro.sources.c_sources`, `NAME_host.h` and `NAME_host.c`, with which the host
        makes a mask and rows of ids and numbers of outputs, and `NAME_main.cpp`, an example.

    Raises:
        InputError: see `c_name`.
    """
    name = c_name(path)
    _, description, files = unpack(data)
    parts = {"name": name, **_host(description, files), **_example(description, files)}
    made = {f"{name}_{file}": filled(_FOLDER / file, name, parts).encode() for file in _FILES}
    return c_sources(path, data) | made


def _host(description: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, str]:
    npu = description[NPU]
    [output] = npu["outputs"]
    places = {f"INPUT_{one['name'].upper()}": place for place, one in enumerate(npu["inputs"])}
    sizes = {
        "OUTPUTS": math.prod(output["shape"]), "OUTPUT_SCALE": f"{output['scale']!r}f",
        "OUTPUT_ZERO": output["zero"],
    }  # fmt: skip
    steps = "".join(_STEPS[step].replace("@value@", f"{value!r}f") for step, value in npu["steps"])
    declared, defined = [_DECLARED["outputs"]], [_DEFINED["outputs"].replace("@steps@", steps)]
    if "sqrtf" in steps:
        sizes["VECTOR"] = output["shape"][-1]
        defined.insert(0, "#include <math.h>")
    if _reads_ids(npu):
        sizes = {"LENGTH": description["max_length"], **sizes}
    if npu["mask"] is not None:
        constants = {name: str(value) for name, value in npu["mask"].items()}
        declared.append(_DECLARED[MASK])
        defined.append(re.sub(r"@(\w+)@", lambda mark: constants[mark[1]], _DEFINED[MASK]))
    if TABLE in files:
        [rows] = [one for one in npu["inputs"] if one["name"] == ROWS]
        table = np.frombuffer(files[TABLE], np.int8)
        sizes |= {"WIDTH": rows["shape"][-1], "VOCABULARY": len(table) // rows["shape"][-1]}
        declared.append(_DECLARED[ROWS])
        defined += [array("int8_t", "table", table.tolist()), _DEFINED[ROWS]]
    return {
        "places": _defines({**places, "OUTPUT": 0}), "sizes": _defines(sizes),
        "declarations": "".join(declared), "definitions": "\n\n".join(defined),
    }  # fmt: skip


def _reads_ids(npu: Mapping[str, Any]) -> bool:
    return not {IDS, MASK, ROWS}.isdisjoint(one["name"] for one in npu["inputs"])


_DECLARED = {
    "outputs": """
/* Writes the numbers that stored outputs stand for. */
void model_outputs(const int8_t stored[MODEL_OUTPUTS], float outputs[MODEL_OUTPUTS]);
""",
    MASK: """
/* Writes what the model reads as `mask`: which ids are not padding. */
void model_mask(const int32_t ids[MODEL_LENGTH], int8_t mask[MODEL_LENGTH]);
""",
    ROWS: """
/* Writes what the model reads as `rows`: those of the embedding table for ids, each below
   MODEL_VOCABULARY; of any other id that of padding. */
void model_rows(const int32_t ids[MODEL_LENGTH], int8_t rows[MODEL_LENGTH * MODEL_WIDTH]);
""",
}
_DEFINED = {
    "outputs": """\
void model_outputs(const int8_t stored[MODEL_OUTPUTS], float outputs[MODEL_OUTPUTS]) {
  for (size_t i = 0; i < MODEL_OUTPUTS; ++i) {
    outputs[i] = (float)(stored[i] - MODEL_OUTPUT_ZERO) * MODEL_OUTPUT_SCALE;
  }
@steps@}""",
    MASK: """\
#define PADDING @padding@

void model_mask(const int32_t ids[MODEL_LENGTH], int8_t mask[MODEL_LENGTH]) {
  for (size_t i = 0; i < MODEL_LENGTH; ++i) {
    mask[i] = ids[i] == PADDING ? @masked@ : @token@;
  }
}""",
    ROWS: """\
void model_rows(const int32_t ids[MODEL_LENGTH], int8_t rows[MODEL_LENGTH * MODEL_WIDTH]) {
  for (size_t i = 0; i < MODEL_LENGTH; ++i) {
    const int is_known = ids[i] >= 0 && ids[i] < MODEL_VOCABULARY;
    const int8_t* row = table + (size_t)(is_known ? ids[i] : PADDING) * MODEL_WIDTH;
    for (size_t column = 0; column < MODEL_WIDTH; ++column) *rows++ = row[column];
  }
}""",
}


# What is done to the numbers of the outputs, see `prepare.Ends`.
_STEPS = {
    TIMES: "  for (size_t i = 0; i < MODEL_OUTPUTS; ++i) outputs[i] *= @value@;\n",
    PLUS: "  for (size_t i = 0; i < MODEL_OUTPUTS; ++i) outputs[i] += @value@;\n",
    TO_LENGTH_1: f"""\
  for (size_t i = 0; i < MODEL_OUTPUTS; i += MODEL_VECTOR) {{
    float square = 0.0f;
    for (size_t j = 0; j < MODEL_VECTOR; ++j) square += outputs[i + j] * outputs[i + j];
    square = sqrtf(square > {SMALLEST_SQUARE}f ? square : {SMALLEST_SQUARE}f);
    for (size_t j = 0; j < MODEL_VECTOR; ++j) outputs[i + j] /= square;
  }}
""",
}


def _defines(values: Mapping[str, Any]) -> str:
    return "\n".join(f"#define MODEL_{name} {value}" for name, value in values.items())


def _example(description: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, str]:
    npu = description[NPU]
    names = [one["name"] for one in npu["inputs"]]
    reads_text = no_tokenizer(description, files) is None and not description["task"]["pair"]
    lines = []
    if _reads_ids(npu):
        lines.append(_TEXT if reads_text else _NUMBERS)
    for name in names:
        place = f"model_interpreter.input(MODEL_INPUT_{name.upper()})->data"
        if name == IDS:
            lines.append(f"  memcpy({place}.i32, ids, sizeof(ids));")
        elif name in (MASK, ROWS):
            lines.append(f"  model_{name}(ids, {place}.int8);")
        else:
            size = f"model_interpreter.input(MODEL_INPUT_{name.upper()})->bytes"
            lines.append(f"  memset({place}.raw, 0, {size}); /* the board's own */")
    fast, arguments = "", "nullptr, 0"
    if npu["fast_bytes"]:
        fast = _FAST.replace("@bytes@", str(npu["fast_bytes"]))
        arguments = "model_fast, sizeof(model_fast)"
    return {
        "include": '#include "model_tokenizer.h"\n' if reads_text else "", "fast": fast,
        "fast_arguments": arguments, "inputs": "\n".join(lines),
    }  # fmt: skip


_TEXT = """\
  const char* text = "an example"; /* the board's own, in UTF-8 */
  static int32_t ids[MODEL_LENGTH];
  model_tokenize(text, strlen(text), ids, MODEL_LENGTH);"""
_NUMBERS = "  static int32_t ids[MODEL_LENGTH]; /* the board's own; 0 is padding */"
_FAST = """\
/* Where the SRAM is that is the NPU's alone, likewise. */
#ifndef MODEL_FAST_SECTION
#define MODEL_FAST_SECTION
#endif
alignas(16) MODEL_FAST_SECTION static uint8_t model_fast[@bytes@];
"""
