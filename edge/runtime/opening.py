"""Opens a file that nobody vouches for: what it holds, once its parts were seen to fit together."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from keras_transformer.edge.runtime.checks.description import check_description
from keras_transformer.edge.runtime.checks.graph import Model
from keras_transformer.edge.runtime.checks.trial import Trial, try_file
from keras_transformer.edge.runtime.checks.verify import verify
from keras_transformer.edge.runtime.fitting import misfits
from keras_transformer.edge.runtime.packed import (
    LABELS,
    NPU,
    Source,
    contents,
    is_vouched,
    name_of,
    unpack,
    vouch,
)
from keras_transformer.zoo.data.labels import read_labels
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.outputs import decision_of
from keras_transformer.zoo.tagging.windows import stride_of


class Opened(NamedTuple):
    """A file whose parts fit together.

    Attributes:
        flatbuffer, description, files: see `unpack`.
        labels: of the classes, or of the targets of a translator of several.
        modality: of what it reads.
        decision: what decides between its outputs, see `decision_of`.
        stride: overlap of its windows, see `windows_of`.
        model: its graphs.
        trial: what LiteRT made of them in a process of its own; None where it was not asked.
    """

    flatbuffer: bytes
    description: dict[str, Any]
    files: dict[str, bytes]
    labels: tuple[str, ...]
    modality: Modality
    decision: dict[str, Any]
    stride: int
    model: Model
    trial: Trial | None


def open_file(source: Source, *, is_tried: bool = False) -> Opened:
    """Reads a file and checks that its parts fit together, before LiteRT sees it.

    Args:
        source: see `unpack`.
        is_tried: whether each signature is run once in a process that may die. A file with an op
            whose shapes are not checked here is tried in any case, unless this process made it.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: as `unpack`; or something in it does not fit, or LiteRT cannot run it.
        TypeError: the source is none.
    """
    name = name_of(source)
    data = contents(source)
    flatbuffer, description, files = unpack(data, name)
    check_description(description, name)
    if NPU in description:
        raise InputError(
            f"{name} is compiled for {description.get('target')}, which alone runs it; here, run "
            "and compare the file that convert --precision integer makes of the checkpoint."
        )
    labels = _labels(files, name)
    try:
        modality = modality_named(description.get("modality", "text")).from_files(
            files, max_length=description["max_length"],
            settings=description["model"].get("modality_settings", {}),
        )  # fmt: skip
        kind = description.get("output_kind", "")
        decision = decision_of(kind, description["task"], labels)
        stride = stride_of(description["task"])
    except InputError as error:
        raise InputError(_sentence(name, str(error))) from None
    model, is_ruled = verify(flatbuffer, name)
    for reason in misfits(description, labels, modality, model):
        raise InputError(_sentence(name, reason))
    trial = None
    if is_tried or not (is_ruled or is_vouched(data)):
        trial = try_file(flatbuffer, description.get("custom_ops", []), name)
        vouch(data)
    return Opened(
        flatbuffer, description, files, labels, modality, decision, stride, model, trial
    )


def _sentence(name: str, reason: str) -> str:
    return f"{name}: {reason[:1].lower()}{reason[1:]}"


def _labels(files: Mapping[str, bytes], name: str) -> tuple[str, ...]:
    if LABELS not in files:
        raise InputError(f"{name} is damaged: it has no {LABELS}.")
    return read_labels(files[LABELS], f"{LABELS} of {name}")
