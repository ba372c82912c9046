"""Files for TensorFlow Lite Micro on microcontrollers, with C sources for a C++ project."""

import dataclasses
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.convert.convert import Request
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.targets.artifact import Artifact
from keras_transformer.edge.targets.flatbuffer import FlatbufferWriter, TfliteFile
from keras_transformer.edge.targets.micro import arena
from keras_transformer.edge.targets.micro.sources import c_name, c_sources, source_names
from keras_transformer.edge.targets.micro.tokenizing import no_tokenizer, tables_of
from keras_transformer.edge.targets.target import About, Target
from keras_transformer.edge.tflite.schema import find_op
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.modalities.audio import Audio
from keras_transformer.zoo.modalities.several import PLUS
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.storage.beside import resolved
from keras_transformer.zoo.storage.files import check_file_target
from keras_transformer.zoo.storage.temporary import temporary_folder
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

_MISSING_OP = re.compile(r"find op for builtin opcode '(\w+)'")


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

LISTENING = f"""\
{LOADING.removesuffix("```")}
static {{name}}_listener listener; /* of {{name}}_listen.h */
{{name}}_listen_reset(&listener);
while (size_t count = read_microphone(chunk)) {{
  int is_due;
  for (size_t taken = 0; taken < count;) {{
    taken += {{name}}_listen(&listener, chunk + taken, count - taken, &is_due);
    if (!is_due) continue;
    {{name}}_listen_window(&listener, interpreter.input(0)->data.int8);
    interpreter.Invoke();
    {{name}}_detection heard;
    if ({{name}}_listen_decide(&listener, interpreter.output(0)->data.f, &heard)) {{
      puts({{name}}_labels[heard.label]);
    }}
  }}
}}
```"""


TOKENIZING = f"""\
{LOADING.removesuffix("```")}
/* {{name}}_tokenizer.h; the text is UTF-8 */
{{name}}_tokenize(text, strlen(text), interpreter.input(0)->data.i32, {{NAME}}_LENGTH);
interpreter.Invoke();
```"""


class MicroFile(TfliteFile):
    """A `.tflite` file, and C sources of the same name beside it."""

    def beside(self, path: Path) -> Mapping[str, bytes]:
        """Returns the C sources."""
        return c_sources(path, bytes(self))

    def loading_from(self, path: Path) -> str:
        """Returns a C++ program that includes the sources."""
        name = c_name(path)
        return self.loading.replace("{name}", name).replace("{NAME}", name.upper())


class Micro(FlatbufferWriter):
    """Writer of the target `micro`: integer files with C sources.

    Args:
        target, about: see `Writer`.
        arena_limit: largest size in bytes of the arena; None for any.
    """

    has_lengths = False
    artifact = MicroFile

    def __init__(self, target: Target, about: About, *, arena_limit: int | None = None):
        super().__init__(target, about)
        if arena_limit is not None and arena_limit < 1:
            raise InputError(
                f"Expected arena_limit to be a number of bytes above 0, got {arena_limit}."
            )
        self.arena_limit = arena_limit

    def loads(self, checkpoint: Checkpoint) -> str | None:
        """Rejects generative models."""
        if checkpoint.task.generates:
            return (
                f"Expected a model of whole texts for the target {self.name}, got "
                f"{checkpoint.task.name}, whose file has a signature for each kind of step, of "
                "which TensorFlow Lite Micro runs the first alone; convert for the target plain."
            )
        if isinstance(checkpoint.modality, Audio):
            # What the C code decides, see `listening`.
            reason = self.needs_encoder(checkpoint, classes=True)
            if reason := reason or self.needs_probability(checkpoint):
                return reason
        return super().loads(checkpoint)

    def write(self, request: Request) -> Artifact:
        """Returns the file; says so if there is no tokenizer in C for it."""
        artifact = super().write(request)
        _, description, files = unpack(bytes(artifact))
        if Text.name not in description["modality"].split(PLUS):
            return artifact
        reason, loading = no_tokenizer(description, files), artifact.loading
        if reason is None:
            pair = description["task"]["pair"]
            tables = tables_of(Tokenizer.from_files(files), pair=pair)
            told = f"{tables.size:,} bytes of tables"
            loading = loading if pair else TOKENIZING
        else:
            told = f"none: {reason}"
            if request.note is not None:
                request.note(f"No tokenizer in C is written, ids come from the host: {reason}.")
        measured = {**artifact.measured, "tokenizer in C": told}
        return dataclasses.replace(artifact, measured=measured, loading=loading)

    def loading(self, checkpoint: Checkpoint) -> str:
        """Returns a C++ program, in which {name} is the file's name in C."""
        return LISTENING if isinstance(checkpoint.modality, Audio) else LOADING

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
            InputError: if it is larger than the limit.
            RunError: if TensorFlow Lite Micro lacks an op; the message names it and its layer.
        """
        size = arena_bytes(flatbuffer)
        self.check_arena(size, "the arena", is_variable=_reads_ids(flatbuffer))
        return {"arena_bytes": size}

    def check_arena(self, size: int, what: str, *, is_variable: bool) -> None:
        """Checks that a size in bytes is within the limit.

        Args:
            size: the size.
            what: what is that large, with its article.
            is_variable: whether inputs may have another length.

        Raises:
            InputError: if it is not.
        """
        if self.arena_limit is not None and size > self.arena_limit:
            advice = "shorter inputs with --lengths, or a model of"
            if not is_variable:
                advice = "a model of fewer positions (larger patches, shorter sounds),"
            raise InputError(
                f"Expected {what} within arena_limit={self.arena_limit} bytes, got {size} bytes; "
                f"take {advice} fewer heads or a smaller width."
            )


def _reads_ids(flatbuffer: bytes) -> bool:
    """Whether an input is of ids, of which there may be fewer; other rows have one shape."""
    graph = schema.Model.GetRootAs(flatbuffer, 0).Subgraphs(0)
    kinds = {graph.Tensors(place).Type() for place in graph.InputsAsNumpy().tolist()}
    return schema.TensorType.INT32 in kinds


def arena_bytes(flatbuffer: bytes) -> int:
    """Measures the smallest arena in which TensorFlow Lite Micro runs the model, in bytes.

    Raises:
        RunError: if the interpreter cannot run the model.
    """
    with temporary_folder() as folder:
        path = folder / "model.tflite"
        path.write_bytes(flatbuffer)
        command = [sys.executable, "-P", "-m", arena.__name__, str(path)]
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
