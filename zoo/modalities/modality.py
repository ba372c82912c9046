"""The seam of modalities: what differs between text and another kind of input."""

import abc
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

# Rows of the model's inputs by name: of each input one array a row, without the batch axis.
Columns = Mapping[str, Sequence[np.ndarray]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class InputSpec:
    """One input of a model.

    Attributes:
        name: of the input, in the Keras model and in the signatures of a file.
        dtype: NumPy's name of it.
        shape: of a row, without the batch axis; None in the first place for a length that varies
            from row to row.
        padding: behind the end of a row that is shorter than others.
        positions: that a row of a fixed shape fills, as `max_length` and `batch_tokens` count them.
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
        """Returns the shape of a batch whose rows have a length."""
        return (batch, *(length if one is None else one for one in self.shape))

    def pad(self, rows: Sequence[np.ndarray], length: int | None = None) -> np.ndarray:
        """Returns rows as one array (rows, length, ...), with padding behind each.

        Args:
            rows: arrays of the input's shape.
            length: the longest row's length when None; rows of a fixed shape have their own.

        Raises:
            ValueError: a row is longer.
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
        """Returns padded rows (rows, T, ...) cut or padded to a length."""
        return self.pad(array[:, :length] if self.is_variable else array, length)


class Features(NamedTuple):
    """Encoded rows.

    Attributes:
        columns: the rows of each input by name.
        truncated: for each row, whether it was cut to the model's length.
    """

    columns: dict[str, list[np.ndarray]]
    truncated: list[bool]

    def of(self, specs: Sequence[InputSpec]) -> dict[str, list[np.ndarray]]:
        """Returns the columns of inputs."""
        return {spec.name: self.columns[spec.name] for spec in specs}

    def pad(self, specs: Sequence[InputSpec], length: int | None = None) -> dict[str, np.ndarray]:
        """Returns arrays (rows, length, ...) of inputs, see `InputSpec.pad`."""
        return {spec.name: spec.pad(self.columns[spec.name], length) for spec in specs}

    @property
    def num_truncated(self) -> int:
        """How many rows were cut."""
        return sum(self.truncated)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Modality(abc.ABC):
    """A kind of input: a subclass in a file of its own, and an entry in `registry.MODALITIES`.

    What it makes of rows, an entry of `models.inputs.EMBEDDINGS` turns into vectors. A device
    loads it: it imports nothing but NumPy and the standard library.

    Attributes:
        max_length: positions of the longest row that the model reads.
        settings: of this kind, such as the size of a picture; `modality_settings` of the model's
            config.
        name: in configs, checkpoints and files.
        rows: what messages call raw rows.
        is_text: whether raw rows are strings, not values that `read_row` reads.
        augments: whether `augment` changes rows.
    """

    max_length: int
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    name: ClassVar[str]
    rows: ClassVar[str] = "rows"
    is_text: ClassVar[bool] = False
    augments: ClassVar[bool] = False

    @classmethod
    @abc.abstractmethod
    def specs(cls, settings: Mapping[str, Any], *, pair: bool = False) -> tuple[InputSpec, ...]:
        """Returns the inputs of a model.

        Args:
            settings: of the kind.
            pair: whether an example is two rows.

        Raises:
            InputError: a setting is unknown or impossible.
        """

    @abc.abstractmethod
    def encode(self, rows: Sequence[Any], pairs: Sequence[Any] | None = None) -> Features:
        """Turns raw rows, as `checked` returned them, into the arrays of the model's inputs.

        Args:
            rows: raw rows.
            pairs: the second row of each, for models over pairs.

        Raises:
            InputError: a row does not fit the model.
        """

    def inputs(self, *, pair: bool = False) -> tuple[InputSpec, ...]:
        """Returns the inputs of the model, see `specs`."""
        return self.specs(self.settings, pair=pair)

    def checked(
        self, rows: Iterable[Any], pairs: Iterable[Any] | None = None
    ) -> tuple[list[Any], list[Any] | None]:
        """Returns raw rows as a caller gives them, and the second row of each, as lists.

        Raises:
            InputError: a value is no row of this kind, or there are pairs of one that has none.
            TypeError: for what is no sequence of rows.
        """
        if not isinstance(rows, Iterable) or isinstance(rows, str | bytes | Mapping):
            raise TypeError(f"Expected a list of {self.rows}, got {type(rows).__name__} {rows!r}.")
        if pairs is not None:
            raise InputError(f"Expected no pairs of {self.rows}, got pairs.")
        return list(rows), None

    @classmethod
    def read_row(cls, value: Any, place: str) -> Any:
        """Returns the raw row of a value in a table's column, such as the picture of a path.

        Args:
            value: a string of a file, or what data in memory holds.
            place: of the value, for messages.

        Raises:
            InputError: the value is no row of this kind.
        """
        return value

    def augment(self, columns: Columns, rng: np.random.Generator) -> Columns:
        """Returns training rows as an epoch reads them, where `augments` is true."""
        return columns

    def num_real(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns how many positions (rows,) of padded arrays are not padding, at least 1.

        Args:
            arrays: (rows, T, ...) by the input's name.
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
        """Returns what some hosts' graphs read beside the inputs of the model, made of those."""
        return {}

    def model_settings(self) -> dict[str, Any]:
        """Returns settings of the model's config that follow from the files."""
        return {}

    def misfit(self, config: Mapping[str, Any]) -> str | None:
        """Returns why a model cannot read what this encodes, or None.

        Args:
            config: of the model, as JSON holds it.
        """
        return None

    def files(self) -> dict[str, bytes]:
        """Returns the files that a checkpoint and a file of the model hold, by name."""
        return {}

    @classmethod
    def file_names(cls) -> frozenset[str]:
        """Returns the names that `files` may have; a file's others are not read."""
        return frozenset()

    @classmethod
    def from_files(
        cls, files: Mapping[str, bytes], *, max_length: int, settings: Mapping[str, Any],
        tokenizer_class: type[Tokenizer] = Tokenizer,
    ) -> Self:  # fmt: skip
        """Makes a modality of what `files` returned; other files may be among them.

        Args:
            files: contents by name.
            max_length: positions of the longest row.
            settings: of the kind.
            tokenizer_class: of the tokenizers, where it has some.

        Raises:
            InputError: a file is missing or damaged.
        """
        return cls(max_length=max_length, settings=settings)


def without_pairs(name: str, pair: bool) -> None:
    """Raises InputError where an example is two rows of a kind that is read one by one."""
    if pair:
        raise InputError(f"Expected single rows of the modality {name}, got pairs.")


def check_settings(name: str, settings: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raises InputError where the settings of a modality are not exactly the known ones."""
    known = sorted(known)
    if sorted(settings) != known:
        wanted = ", ".join(known) or "none"
        raise InputError(
            f"Expected the settings of the modality {name} to be {wanted}, got {dict(settings)}."
        )
