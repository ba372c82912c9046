"""Artifacts: the result of a conversion, one file or a folder of files, and its metadata."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_transformer.edge.compare.parity import Parity
from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.publish.model_card import (
    Origin,
    card_beside,
    card_section,
    with_section,
)
from keras_transformer.edge.targets.target import About
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.storage.beside import resolved
from keras_transformer.zoo.storage.files import file_aside, write_folder

# The kind in the manifest of a folder.
KIND = "export"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Artifact:
    """A converted checkpoint.

    Attributes:
        target: name of the target.
        precision: precision of the weights and, for some, the activations.
        files: contents by name, with `/` between folders.
        is_folder: whether it is saved as a folder rather than one file.
        parity: parity with the checkpoint's own Keras model on its probes.
        description: JSON-serializable description of the model.
        origin: the card's part on the checkpoint.
        loading: the card's lines on how to load it.
        measured: further measurements by their label.
    """

    target: str
    precision: str
    files: Mapping[str, bytes]
    parity: Parity
    description: Mapping[str, Any]
    origin: Origin
    loading: str
    is_folder: bool = False
    measured: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __bytes__(self) -> bytes:
        if self.is_folder:
            raise InputError(
                f"Expected an artifact of one file to read its bytes, got {len(self.files)} files "
                f"for the target {self.target}; save them as a folder."
            )
        [data] = self.files.values()
        return data

    def __repr__(self) -> str:
        what = f"{len(self.files)} files, " if self.is_folder else ""
        return (
            f"<{self.target} {self.precision}: {what}{self.size:,} bytes, largest difference "
            f"{self.parity.largest:.2g} on {self.parity.rows} rows>"
        )

    @property
    def compared(self) -> str:
        """What was compared with the checkpoint."""
        return "this folder" if self.is_folder else "this file"

    @property
    def size(self) -> int:
        """Size of all files in bytes."""
        return sum(map(len, self.files.values()))

    def card(self, name: str | Path | None = None) -> str:
        """Returns the section of the model card, in Markdown.

        Args:
            name: path that it is saved to; its default name if None.
        """
        path = Path(name or self.default_name)
        about = self.description["about"]
        is_silent = about["license"] == About.license
        rows = {
            f"in {self.precision}, by Keras": self.origin.score,
            self.compared: _parity(self.parity, self.origin),
            "in integers": _simulated(**self.description.get("simulated", {})),
            "target": self.target,
            "tokens": self._tokens(),
            **self.measured,
            "size": f"{self.size:,} bytes",
            "latency": self.latency(),
            "version": about["version"],
            # Weights that were published have their licence in the origin's row.
            "licence": None if is_silent and self.origin.began else about["license"],
            "weights, SHA-256": f"`{self.description['provenance']['weights_sha256']}`",
        }
        return card_section(
            path.name, about["description"], {**self.origin.rows, **rows},
            self._limits(), self.loading_from(path),
        )  # fmt: skip

    def _limits(self) -> Iterator[str]:
        yield from self.origin.limits(
            self.description["max_length"], self.description.get("output")
        )
        if caution := get_precision(self.precision).caution:
            yield caution

    def _tokens(self) -> str | None:
        """The input lengths in tokens, where it reads texts."""
        is_text = self.description.get("modality", "text") == "text"
        lengths = self.description.get("lengths", ()) if is_text else ()
        return ", ".join(map(str, lengths)) or None

    def save(self, path: str | Path, overwrite: bool = False) -> list[Path]:
        """Writes it atomically by renaming, and adds or updates its section in MODEL_CARD.md.

        Args:
            path: path of the file or folder.
            overwrite: whether to replace an existing path. An existing card keeps all but the
                section of this path.

        Returns:
            The paths written.

        Raises:
            FileExistsError: if a path exists and `overwrite` is False.
            OSError: if writing fails; existing files are then unchanged.
        """
        path = resolved(path)
        beside = self.beside(path)
        card = card_beside(path)
        # Whatever else a card of somebody's own holds stays as it is, byte for byte.
        text = card.read_bytes().decode(errors="surrogateescape") if card.exists() else ""
        text = with_section(text, path.name, self.card(path))
        files = {} if self.is_folder else {path: bytes(self)}
        files |= {path.with_name(name): data for name, data in beside.items()}
        with contextlib.ExitStack() as aside:
            # All are on the disk before any gets its name, the file itself last.
            for name, data in files.items():
                aside.enter_context(file_aside(name, data, overwrite=overwrite))
            text = text.encode(errors="surrogateescape")
            aside.enter_context(file_aside(card, text, overwrite=True))
            if self.is_folder:
                write_folder(path, self.files, overwrite=overwrite, kind=KIND)
        return [path, *map(path.with_name, beside), card]

    @property
    def default_name(self) -> str:
        """The file name to use if none is given."""
        return f"model_{self.target}" if self.is_folder else next(iter(self.files))

    def loading_from(self, path: Path) -> str:
        """Returns the lines on how to load it from a path."""
        return self.loading.replace("{file}", path.name)

    def latency(self) -> str | None:
        """Measures the latency of an invocation here, as text; None if it cannot be measured."""
        return None

    def beside(self, path: Path) -> Mapping[str, bytes]:
        """Returns by name the files that are saved beside the one at a path."""
        return {}


def _parity(parity: Parity, origin: Origin) -> str:
    same = "" if parity.agreement is None else f"the same choice in {parity.agreement:.1%}, "
    if parity.cosine is not None:
        same = f"cosines of {parity.cosine:.4f} and above, "
    # A published model has built-in texts and calibration rows in place of validation data.
    rows = "rows of validation" if origin.is_measured else "texts"
    return (
        f"on {parity.rows} {rows} against the checkpoint: {same}largest difference "
        f"{parity.largest:.2g} ({parity.steps:.1f} output steps)"
    )


def _simulated(*, rows: int = 0, equal: float = 0.0, layers: int = 0) -> str | None:
    """The comparison of a file of integers with its simulation, in words."""
    if not rows:
        return None
    return f"{equal:.1%} of {rows} calls equal their simulation, each of {layers} layers compared"
