"""Several kinds at once: rows of an image with a text, a sound with a text, or all three."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import (
    Features,
    InputSpec,
    Modality,
    check_settings,
    without_pairs,
)
from keras_transformer.zoo.printable import shortened_value

# Between the names of the kinds in the name of a modality, such as `image+text`.
PLUS = "+"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Several(Modality):
    """Rows of several kinds; `several_of` returns the subclass of some.

    A raw row is a mapping with a raw row of each kind by its name, `{"image": "cat.jpg", "text":
    "what is it?"}`; or a tuple of them in the order of `kinds`. The inputs are those of all kinds.

    Attributes:
        members: modality of each kind by its name. The text's `max_length` is this one's, and no
            text is blank, as in the data.
        kinds: classes of the members, in the order of their names.
    """

    members: Mapping[str, Modality]

    kinds: ClassVar[tuple[type[Modality], ...]] = ()

    def __post_init__(self):
        members = dict(self.members)
        if "text" in members:
            members["text"] = dataclasses.replace(
                members["text"], max_length=self.max_length, may_be_blank=False
            )
        object.__setattr__(self, "members", members)

    @classmethod
    def specs(cls, settings: Mapping[str, Any], *, pair: bool = False) -> tuple[InputSpec, ...]:
        without_pairs(cls.name, pair)
        check_settings(cls.name, settings, [kind.name for kind in cls.kinds])
        return tuple(spec for kind in cls.kinds for spec in kind.specs(settings[kind.name]))

    @property
    def text(self) -> Any:
        return self.members.get("text")

    def of_kind(self, name: str) -> Modality:
        return self.members[name] if name in self.members else super().of_kind(name)

    @property
    def longest(self) -> str:
        return " or ".join(one.longest for one in self.members.values() if _is_cut(one))

    def encode(self, rows: Sequence[Any], pairs: Sequence[Any] | None = None) -> Features:
        columns: dict[str, list[np.ndarray]] = {}
        truncated = [False] * len(rows)
        for name, one in self.members.items():
            found = one.encode([row[name] for row in rows])
            columns |= found.columns
            truncated = [a or b for a, b in zip(truncated, found.truncated, strict=True)]
        return Features(columns, truncated)

    def checked(
        self, rows: Iterable[Any], pairs: Iterable[Any] | None = None
    ) -> tuple[list[Any], list[Any] | None]:
        if isinstance(rows, Mapping):
            rows = self._of_columns(rows)
        found, _ = super().checked(rows, pairs)
        raw = [self._raw(row, place) for place, row in enumerate(found, start=1)]
        columns = {
            name: one.checked([row[name] for row in raw])[0] for name, one in self.members.items()
        }
        return [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ], None

    @classmethod
    def _of_columns(cls, columns: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows of columns by kind."""
        names = [kind.name for kind in cls.kinds]
        if set(columns) != set(names):
            raise InputError(
                f"Expected {cls.rows}, as lists by the names {', '.join(names)}, got "
                f"{', '.join(map(str, columns)) or 'none'}."
            )
        lists = {}
        for name in names:
            if isinstance(columns[name], str | bytes) or not isinstance(columns[name], Iterable):
                raise TypeError(
                    f"Expected {name} to be a list, got {shortened_value(columns[name])}; put it "
                    "in a list."
                )
            lists[name] = list(columns[name])
        lengths = {name: len(one) for name, one in lists.items()}
        if len(set(lengths.values())) > 1:
            got = " and ".join(f"{length} of {name}" for name, length in lengths.items())
            raise InputError(f"Expected lists of one length, got {got}.")
        return [dict(zip(names, row, strict=True)) for row in zip(*lists.values(), strict=True)]

    @classmethod
    def _raw(cls, row: Any, place: int) -> dict[str, Any]:
        """A caller's row as a mapping in the order of the kinds."""
        names = [kind.name for kind in cls.kinds]
        if isinstance(row, tuple) and len(row) == len(names):
            return dict(zip(names, row, strict=True))
        if not isinstance(row, Mapping) or set(row) != set(names):
            got = ", ".join(map(str, row)) if isinstance(row, Mapping) else shortened_value(row)
            raise InputError(
                f"Expected {cls.rows}, each a mapping of {', '.join(names)}, got {got or 'none'} "
                f"in place {place}."
            )
        return {name: row[name] for name in names}

    def num_real(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        # The text alone has lengths that a file may choose among.
        text = self.members.get("text")
        return super().num_real(arrays) if text is None else text.num_real(arrays)

    @classmethod
    def read_row(cls, value: Any, place: str, folder: Path | None = None) -> Any:
        return {
            kind.name: _text(value[kind.name], place) if kind.is_text
            else kind.read_row(value[kind.name], place, folder)
            for kind in cls.kinds
        }  # fmt: skip

    @classmethod
    def texts_of(cls, rows: Sequence[Any]) -> list[str]:
        return [row["text"] for row in rows if "text" in row]

    def beside(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {
            name: one for kind in self.members.values() for name, one in kind.beside(arrays).items()
        }

    def spec_beside(self, name: str) -> InputSpec:
        sound = self.members.get("audio")
        return super().spec_beside(name) if sound is None else sound.spec_beside(name)

    def model_settings(self) -> dict[str, Any]:
        return {
            f"{name}.{setting}": value
            for name, one in self.members.items() for setting, value in one.model_settings().items()
        }  # fmt: skip

    def limit(self) -> str | None:
        found = [one.limit() for one in self.members.values()]
        if self.text is not None:
            found.append(f"Of a text it reads at most {self.max_length} tokens.")
        return " ".join(filter(None, found)) or None

    def misfit(self, config: Mapping[str, Any]) -> str | None:
        shapes = config.get("members")
        if not isinstance(shapes, Mapping) or set(shapes) != set(self.members):
            return f"Expected the model to have members {', '.join(self.members)}, got {shapes!r}."
        for name, one in self.members.items():
            if reason := one.misfit({"source_vocab_size": 0, **shapes[name]}):
                return reason
        return None

    def files(self) -> dict[str, bytes]:
        return {name: data for one in self.members.values() for name, data in one.files().items()}

    @classmethod
    def file_names(cls) -> frozenset[str]:
        return frozenset().union(*(kind.file_names() for kind in cls.kinds))

    @classmethod
    def from_files(
        cls, files: Mapping[str, bytes], *, max_length: int, settings: Mapping[str, Any]
    ) -> Self:
        cls.specs(settings)
        members = {
            kind.name: kind.from_files(
                files, settings=settings[kind.name],
                max_length=kind.positions(settings[kind.name]) or max_length,
            )
            for kind in cls.kinds
        }  # fmt: skip
        return cls(max_length=max_length, settings=settings, members=members)


@functools.cache
def several_of(*kinds: type[Modality]) -> type[Several]:
    """Returns the modality of rows that have a row of each kind.

    Raises:
        InputError: if they are not two or three kinds in the order of their names.
    """
    names = [kind.name for kind in kinds]
    if len(names) < 2 or names != sorted(set(names)):
        raise InputError(
            "Expected two or three kinds, each once and in the order of their names, got "
            f"{PLUS.join(names)}."
        )
    ones = [kind.one for kind in kinds]
    example = ", ".join(f'"{kind.name}": {kind.example}' for kind in kinds)
    return type(
        "".join(kind.__name__ for kind in kinds), (Several,),
        {
            "__module__": __name__, "__doc__": f"Rows of {' and '.join(names)}.",
            "name": PLUS.join(names), "kinds": kinds, "column": PLUS.join(names),
            "rows": f"rows of {' and '.join(names)}", "one": " with ".join(ones),
            "example": f"{{{example}}}",
        },
    )  # fmt: skip


def _is_cut(one: Modality) -> bool:
    """Whether rows of a kind may be longer than the model reads."""
    return one.is_text or one.name == "audio"


def _text(value: Any, place: str) -> str:
    """The text of a row, which has to have one."""
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{place}: expected a text, got {shortened_value(value)}.")
    return str(value)
