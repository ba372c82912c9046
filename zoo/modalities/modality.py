"""The interface of a modality: input specs, encoding and files."""

import abc
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from keras_transformer.zoo.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class InputSpec:
    """One input of a model.

    Attributes:
        name: name of the input, in the Keras model and in the signatures of a file.
        dtype: name of its NumPy dtype.
        shape: shape of a row, without the batch axis; its first size is None if the length varies
            from row to row.
        padding: value after the end of a row that is shorter than others.
        positions: number of positions of a row of fixed shape, as counted by `max_length` and
            `batch_tokens`.
    """

    name: str
    dtype: str = "int32"
    shape: tuple[int | None, ...] = (None,)
    padding: float = 0
    positions: int = 1

    def __post_init__(self):
        if None in self.shape[1:]:
            raise InputError(
                f"Expected only the first size of an input to vary, got shape={self.shape} of "
                f"{self.name}."
            )

    @property
    def is_variable(self) -> bool:
        """Whether rows differ in length."""
        return None in self.shape

    def size(self, batch: int | str | None, length: int | str | None) -> tuple:
        """Returns the shape of a batch of rows of the given length."""
        return (batch, *(length if one is None else one for one in self.shape))

    def pad(self, rows: Sequence[np.ndarray], length: int | None = None) -> np.ndarray:
        """Returns rows as one array (rows, length, ...), with padding after each.

        Args:
            rows: arrays of the input's shape.
            length: padded length, by default that of the longest row; rows of fixed shape have
                their own.

        Raises:
            ValueError: if a row is longer.
        """
        if not self.is_variable:
            return np.array(rows, self.dtype).reshape(len(rows), *self.shape)
        longest = max(map(len, rows), default=0)
        length = longest if length is None else length
        if length < longest:
            raise ValueError(
                f"Expected length to be at least the longest row's {longest}, got length={length}."
            )
        padded = np.full((len(rows), length, *self.shape[1:]), self.padding, self.dtype)
        for row, values in zip(padded, rows, strict=True):
            row[: len(values)] = values
        return padded

    def fit(self, array: np.ndarray, length: int) -> np.ndarray:
        """Returns padded rows (rows, T, ...) truncated or padded to the given length."""
        return self.pad(array[:, :length] if self.is_variable else array, length)


class Features(NamedTuple):
    """Encoded rows.

    Attributes:
        columns: rows of each input by name, a sequence of arrays.
        truncated: for each row, whether it was truncated to the model's length, as a sequence.
    """

    columns: dict[str, Any]
    truncated: Any

    def of(self, specs: Sequence[InputSpec]) -> dict[str, Any]:
        """Returns the columns of the given inputs."""
        return {spec.name: self.columns[spec.name] for spec in specs}

    def pad(self, specs: Sequence[InputSpec], length: int | None = None) -> dict[str, np.ndarray]:
        """Returns arrays (rows, length, ...) of the given inputs, see `InputSpec.pad`."""
        return {spec.name: spec.pad(self.columns[spec.name], length) for spec in specs}

    @property
    def num_truncated(self) -> int:
        """Number of truncated rows."""
        return int(np.count_nonzero(self.truncated))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Modality(abc.ABC):
    """A kind of input: a subclass in a file of its own, and an entry in `registry.MODALITIES`.

    An entry of `models.inputs.EMBEDDINGS` turns the encoded rows into vectors. A modality runs on
    devices: it imports only NumPy and the standard library.

    Attributes:
        max_length: maximum number of positions of a row.
        settings: settings of the modality, such as the size of an image; `modality_settings` of
            the model's config.
        name: name of the modality in configs, checkpoints and files.
        rows, one: name of raw rows in messages, and of one of them with its article.
        example: a raw row as code, for examples.
        column: use and default name of the column of the rows in a table.
        suffixes: how the names of its files end, where a row may be a file.
        beside_rows: names of an array with a value of each row in a `.npz` file of rows.
        is_text: whether raw rows are strings, not values that `read_row` reads.
        architectures: architectures of the models that read its rows.
    """

    max_length: int
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    name: ClassVar[str]
    rows: ClassVar[str] = "rows"
    one: ClassVar[str] = "a row"
    example: ClassVar[str] = "row"
    column: ClassVar[str] = "text"
    suffixes: ClassVar[tuple[str, ...]] = ()
    beside_rows: ClassVar[tuple[str, ...]] = ()
    is_text: ClassVar[bool] = False
    architectures: ClassVar[tuple[str, ...]] = ("encoder",)

    @classmethod
    @abc.abstractmethod
    def specs(cls, settings: Mapping[str, Any], *, pair: bool = False) -> tuple[InputSpec, ...]:
        """Returns the inputs of a model.

        Args:
            settings: settings of the modality.
            pair: whether an example is two rows.

        Raises:
            InputError: if a setting is unknown or impossible.
        """

    @abc.abstractmethod
    def encode(self, rows: Sequence[Any], pairs: Sequence[Any] | None = None) -> Features:
        """Encodes raw rows from `checked` as the arrays of the model's inputs.

        Args:
            rows: raw rows.
            pairs: second row of each example, for models over pairs.

        Raises:
            InputError: if a row does not fit the model.
        """

    @property
    def text(self) -> Any:
        """The modality of the texts in rows, with their tokenizer; None without texts."""
        return None

    @property
    def longest(self) -> str:
        """The length of the longest row that is not cut, in words."""
        return f"{self.max_length} tokens"

    def inputs(self, *, pair: bool = False) -> tuple[InputSpec, ...]:
        """Returns the inputs of the model, see `specs`."""
        return self.specs(self.settings, pair=pair)

    def checked(
        self, rows: Iterable[Any], pairs: Iterable[Any] | None = None
    ) -> tuple[list[Any], list[Any] | None]:
        """Checks a caller's raw rows and, for pairs, the second rows, and returns them as lists.

        Raises:
            InputError: if a value is not a row of this modality, or it has no pairs.
            TypeError: if an argument is not a sequence of rows.
        """
        if not isinstance(rows, Iterable) or isinstance(rows, str | bytes | Mapping):
            raise TypeError(f"Expected a list of {self.rows}, got {type(rows).__name__} {rows!r}.")
        if pairs is not None:
            raise InputError(f"Expected no pairs of {self.rows}, got pairs.")
        return list(rows), None

    @classmethod
    def positions(cls, settings: Mapping[str, Any]) -> int | None:
        """Returns the number of positions of every row, None where rows differ."""
        specs = cls.specs(settings)
        if any(spec.is_variable for spec in specs):
            return None
        return max(spec.positions for spec in specs)

    @classmethod
    def read_row(cls, value: Any, place: str, folder: Path | None = None) -> Any:
        """Returns the raw row of a value in a table's column, such as the image at a path.

        Args:
            value: string from a file, or a value of data in memory.
            place: location of the value, for messages.
            folder: folder of the table's file, which paths in it are relative to; None for data in
                memory.

        Raises:
            InputError: if the value is not a row of this modality.
        """
        return value

    def of_kind(self, name: str) -> "Modality":
        """Returns the modality of the rows of one kind.

        Raises:
            InputError: if the rows have none of the kind.
        """
        if name != self.name:
            raise InputError(f"Expected rows of {name}, got {self.rows}.")
        return self

    @classmethod
    def texts_of(cls, rows: Sequence[Any]) -> Sequence[str]:
        """Returns the texts in raw rows, of which a vocabulary is learned."""
        return rows if cls.is_text else []

    def num_real(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns the number (rows,) of positions that are not padding, at least 1.

        Args:
            arrays: padded arrays (rows, T, ...) by input name.
        """
        found = []
        for spec in self.inputs():
            array = arrays[spec.name]
            if not spec.is_variable:
                found.append(np.full(len(array), spec.positions))
                continue
            is_real = (array != spec.padding).reshape(*array.shape[:2], -1).any(axis=2)
            places = np.arange(1, array.shape[1] + 1)
            found.append((is_real * places).max(axis=1, initial=1))
        return np.max(found, axis=0)

    def beside(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns further inputs of some hosts' graphs, computed from the inputs of the model."""
        return {}

    def spec_beside(self, name: str) -> InputSpec:
        """Returns the spec of one of the inputs of `beside`."""
        return InputSpec(name=name)

    def model_settings(self) -> dict[str, Any]:
        """Returns settings of the model's config that are determined by the files."""
        return {}

    def limit(self) -> str | None:
        """Returns in a sentence what of a row is read, where that is no number of tokens."""
        return None

    def misfit(self, config: Mapping[str, Any]) -> str | None:
        """Returns why a model cannot read the encoded rows, or None.

        Args:
            config: config of the model, as in JSON.
        """
        return None

    def files(self) -> dict[str, bytes]:
        """Returns the files of the modality in a checkpoint and in a model file, by name."""
        return {}

    @classmethod
    def file_names(cls) -> frozenset[str]:
        """Returns the names that `files` may have; a file's others are not read."""
        return frozenset()

    @classmethod
    def from_files(
        cls, files: Mapping[str, bytes], *, max_length: int, settings: Mapping[str, Any]
    ) -> Self:
        """Creates a modality from the result of `files`, which may include other files.

        Args:
            files: contents by name.
            max_length: maximum number of positions of a row.
            settings: settings of the modality.

        Raises:
            InputError: if a file is missing or damaged.
        """
        return cls(max_length=max_length, settings=settings)


def without_pairs(name: str, pair: bool) -> None:
    """Raises InputError if an example is a pair of a modality that has only single rows."""
    if pair:
        raise InputError(f"Expected single rows of the modality {name}, got pairs.")


def check_settings(name: str, settings: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raises InputError if the settings of a modality are not exactly the known ones."""
    known = sorted(known)
    if sorted(settings) != known:
        wanted = ", ".join(known) or "none"
        raise InputError(
            f"Expected the settings of the modality {name} to be {wanted}, got {dict(settings)}."
        )
