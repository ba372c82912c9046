"""From a checkpoint to a folder for another runtime, shown there to be the same model."""

import dataclasses
import json
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from keras_transformer.zoo.errors import InputError

DESCRIPTION = "model.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Format:
    """How a format is written.

    Attributes:
        module: of `keras_transformer.edge`, whose `export(trained)` returns an `Exported`.
        has_precisions: whether it takes a `precision` too; else it holds floats.
        packages: that have to be there, by the names under which they are imported.
        extra: of this distribution, which installs them.
    """

    module: str
    has_precisions: bool = False
    packages: tuple[str, ...] = ()
    extra: str = ""


# Each module is imported when its format is asked for.
FORMATS = {
    "onnx": Format(module="export_onnx", packages=("tf2onnx", "onnxruntime"), extra="onnx"),
    "torchscript": Format(module="export_torchscript", packages=("torch",), extra="torch"),
    "saved_model": Format(module="export_saved_model"),
    "litertlm": Format(
        module="export_litertlm", has_precisions=True, packages=("litert_lm_builder",),
        extra="litertlm",
    ),  # fmt: skip
}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Exported:
    """A model as files.

    Attributes:
        files: contents by name in the folder, with `/` between folders.
        description: what an app has to know beside, for `model.json`.
        measured: what was compared with Keras, by the words in which it is said.
    """

    files: Mapping[str, bytes]
    description: Mapping[str, Any]
    measured: Mapping[str, Any]


def export(checkpoint: Any, name: str, precision: str | None = None) -> Exported:
    """Writes a model in a format, with its tokenizer, its labels and a description beside it.

    Args:
        checkpoint: a `Checkpoint`.
        name: of `FORMATS`.
        precision: for a format that has several; by default float32, or that of a quantized
            checkpoint.

    Raises:
        InputError: an unknown format, a precision that it does not have, a package that is not
            installed, or a model that the format does not hold.
        RunError: its runtime could not load the files, or computed something else than Keras.
    """
    if name not in FORMATS:
        raise InputError(f"Expected format to be one of {', '.join(FORMATS)}, got format={name!r}.")
    spec = FORMATS[name]
    for package in spec.packages:
        if find_spec(package) is None:
            raise InputError(
                f"Expected {package} to be installed, which the format {name} needs; "
                f'type: pip install "keras-transformer-zoo[{spec.extra}]"'
            )
    if precision is not None and not spec.has_precisions:
        raise InputError(
            f"Expected no precision for the format {name}, which holds floats, got "
            f"precision={precision}."
        )
    options = {"precision": precision} if spec.has_precisions else {}
    exported = import_module(f"keras_transformer.edge.{spec.module}").export(checkpoint, **options)
    description = {
        "format": name,
        "task": checkpoint.task.to_json(),
        "model": checkpoint.config.to_json(),
        "max_length": checkpoint.max_length,
        **exported.description,
        "measured": dict(exported.measured),
    }
    files = {
        **exported.files,
        **checkpoint.tokenizer_files(),
        "labels.txt": "".join(f"{label}\n" for label in checkpoint.labels).encode(),
        DESCRIPTION: (json.dumps(description, indent=2, ensure_ascii=False) + "\n").encode(),
    }
    return dataclasses.replace(exported, files=files, description=description)
