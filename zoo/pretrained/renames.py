"""Weights of ours by path, from published tensors: names, layouts and folds."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.families.published import Published, Tensor, computed
from keras_transformer.zoo.pretrained.tensors import Tensors

_BLOCK = re.compile(r"(?<=block_)\d+")
# Names in the first files of BERT, which TensorFlow wrote.
_OLD_NAMES = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))
# Rows of a table that are read at once.
_ROWS = 1024


def _head_part(
    x: np.ndarray, config: TransformerConfig, index: int, parts: int
) -> np.ndarray:
    """(..., H parts K) to (..., H K)."""
    heads = x.reshape(*x.shape[:-1], config.num_heads, parts, -1)[..., index, :]
    return heads.reshape(*x.shape[:-1], -1)


# Operations of the tables, with the config and the arguments there. That of a vocabulary's rows
# depends on the tokenizer.
OPERATIONS: dict[str, Callable[..., np.ndarray]] = {
    "flat": lambda x, config: x.reshape(-1, x.shape[-1]),
    "first": lambda x, config: x.reshape(-1, x.shape[-1])[0],
    "of_patches": lambda x, config: x.transpose(2, 3, 1, 0).reshape(-1, len(x)),
    "of_frames": lambda x, config: x.transpose(2, 1, 0).reshape(-1, len(x)),
    "transposed": lambda x, config: x.T,
    "part": lambda x, config, index, parts: np.split(x, parts, axis=-1)[index],
    "head_part": _head_part,
    "from_row": lambda x, config, first: x[first:],
    "row": lambda x, config, index: x[index],
    "scaled": lambda x, config, setting, power: x * np.float32(getattr(config, setting) ** power),
    "plus_one": lambda x, config: x + np.float32(1),
}


def _sines_then_cosines(shape: tuple[int, ...]) -> np.ndarray:
    """(T, D) positions with all sines before the cosines, as Marian has them."""
    length, width = shape
    rates = 10000.0 ** (-2 * (np.arange(width) // 2) / width)
    angles = np.arange(length)[:, None] * rates
    return np.concatenate([np.sin(angles[:, 0::2]), np.cos(angles[:, 1::2])], 1)


# Weights that are computed from their shape.
COMPUTED: dict[str, Callable[[tuple[int, ...]], np.ndarray]] = {
    "zeros": np.zeros,
    "sines_then_cosines": _sines_then_cosines,
}
# Operations that change values alone.
_OF_VALUES = ("scaled", "plus_one")
_VOCABULARY = "vocabulary"
_ABSENT = computed("absent")


class RenamedWeights(Mapping[str, np.ndarray]):
    """Arrays by our weight path, each read from its file when it is asked for.

    Args:
        published: tables of the family.
        tensors: published tensors.
        config: config of our model.
        shapes: shapes of our model's weights by path.
        rows: (V,) row of the published vocabulary of each of our ids, -1 for a row of zeros; None
            for the published order.
        heads: tables of heads that are read too.

    Raises:
        InputError: if a tensor is missing, left over, or of a shape that contradicts the config.
    """

    def __init__(
        self, published: Published, tensors: Tensors, config: TransformerConfig,
        shapes: Mapping[str, Sequence[int]], *, rows: np.ndarray | None = None,
        heads: Mapping[str, Tensor] | None = None,
    ):  # fmt: skip
        self.config = config
        self.rows = rows
        self._tensors = tensors
        self._names = known_names(published, tensors)
        self._shapes = {path: tuple(shape) for path, shape in shapes.items()}
        self._absent_logit = np.float32(published.absent_logit)
        # Of a vocabulary with padding that the published one lacks.
        biases = dict.fromkeys(("token_embedding/logits_bias", "logits_head/bias"), _ABSENT)
        stored = {
            path: tensor for path, tensor in published.stored.items() if tensor.name in self._names
        }
        table = {**biases, **table_of(published, config), **stored, **(heads or {})}
        self._sources = {path: _source(path, table) for path in shapes}
        used = set()
        for path, source in self._sources.items():
            if source.name:
                used.add(self._check(path, source))
        self._check_rest(published, used)

    def __getitem__(self, path: str) -> np.ndarray:
        source = self._sources[path]
        if source == _ABSENT:
            is_absent = False if self.rows is None else self.rows < 0
            return np.where(is_absent, self._absent_logit, np.zeros(self._shapes[path], np.float32))
        if not source.name:
            [(name,)] = source.steps
            return COMPUTED[name](self._shapes[path]).astype(np.float32)
        if self.is_table(path):
            return np.concatenate([part for _, part in self.parts(path)])
        x = self._finite(source, self._tensors[self._names[source.name]].read())
        for name, *arguments in source.steps:
            if name == _VOCABULARY:
                x = x if self.rows is None else _ordered(x, self.rows)
            else:
                x = OPERATIONS[name](x, self.config, *arguments)
        return np.ascontiguousarray(x)

    def is_table(self, path: str) -> bool:
        """Whether a weight is a table of the vocabulary, which can be read in parts."""
        return self._sources[path].steps == ((_VOCABULARY,),)

    def parts(self, path: str) -> Iterator[tuple[int, np.ndarray]]:
        """Yields the rows of a table in parts, each with the number of its first row."""
        source = self._sources[path]
        tensor = self._tensors[self._names[source.name]]
        rows = np.arange(tensor.shape[0]) if self.rows is None else self.rows
        for first in range(0, len(rows), _ROWS):
            part = rows[first : first + _ROWS]
            x = self._finite(source, tensor.take(np.maximum(part, 0)))
            x[part < 0] = 0
            yield first, x

    def _finite(self, source: Tensor, x: np.ndarray) -> np.ndarray:
        if not np.isfinite(x).all():
            raise InputError(
                f"Expected finite numbers in {self._names[source.name]} of {self._tensors.source}, "
                f"got {x[~np.isfinite(x)].flat[0]}."
            )
        return x

    def __contains__(self, path: object) -> bool:
        # A mapping's own would read the array.
        return path in self._sources

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def _check(self, path: str, source: Tensor) -> str:
        """Returns the published name of a weight, once its shape is known to fit."""
        name = self._names.get(source.name)
        if name is None:
            raise InputError(
                f"Expected a tensor {source.name} for {path} in {self._tensors.source}, got none."
            )
        shape = self._tensors[name].shape
        found = self._shape(source, shape)
        if found != self._shapes[path]:
            raise InputError(
                f"Expected {name} of {self._tensors.source} to make a weight of shape "
                f"{self._shapes[path]} as the config says, got {shape}."
            )
        return name

    def _shape(self, source: Tensor, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """The shape of a weight from a tensor of a shape; None if it cannot be made."""
        x = np.broadcast_to(np.float32(0), shape)
        try:
            for name, *arguments in source.steps:
                if name == _VOCABULARY:
                    if self.rows is not None:
                        if int(self.rows.max()) >= len(x):
                            return None
                        x = np.broadcast_to(np.float32(0), (len(self.rows), *x.shape[1:]))
                elif name not in _OF_VALUES:
                    x = OPERATIONS[name](x, self.config, *arguments)
        except (ValueError, IndexError, TypeError):  # NumPy's, of a shape that has no such part
            return None
        return x.shape

    def _check_rest(self, published: Published, used: set[str]) -> None:
        """Raises InputError if a tensor is left over that is not known to be unneeded."""
        tied = {
            self._names[other]: self._names[name]
            for name, others in published.tied.items()
            for other in others
            if other in self._names and name in self._names
        }
        for name, found in self._names.items():
            if found in used or any(re.fullmatch(one, name) for one in published.left_out):
                continue
            if any(re.fullmatch(one, name) for one in published.zeros):
                if np.any(self._tensors[found].read()):
                    raise InputError(
                        f"Expected {found} of {self._tensors.source} to be zero, which the model "
                        "does not have, got other numbers."
                    )
                continue
            table = tied.get(found)
            if table is None:
                raise InputError(
                    f"Expected tensors that the model has in {self._tensors.source}, got {found}."
                )
            if table not in used or not _equal(self._tensors, found, table):
                raise InputError(
                    f"Expected {found} of {self._tensors.source} to equal {table}, got other "
                    "numbers."
                )


def table_of(published: Published, config: TransformerConfig) -> dict[str, Tensor]:
    """Returns the published tensors of a config's model by our path."""
    table = dict(published.tensors)
    for (setting, value), tensors in published.variants.items():
        if getattr(config, setting) == value:
            table |= tensors
    return table


def known_names(published: Published, tensors: Tensors) -> dict[str, str]:
    """Returns the names in a file by those in the tables."""
    names: dict[str, str] = {}
    for name in tensors:
        known = name
        for prefix in published.prefixes:
            known = known.removeprefix(prefix)
        for old, new in _OLD_NAMES:
            if known.endswith(old):
                known = known.removesuffix(old) + new
        if known in names:
            raise InputError(
                f"Expected one tensor of each name in {tensors.source}, got {names[known]} and "
                f"{name}."
            )
        names[known] = name
    for name, others in published.tied.items():
        present = [other for other in others if other in names]
        if name not in names and present:
            names[name] = names[present[0]]
    return names


def _source(path: str, table: Mapping[str, Tensor]) -> Tensor:
    """The table's entry of one of our paths, with the number of the block."""
    block = _BLOCK.search(path)
    source = table.get(_BLOCK.sub("{}", path)) or table.get(path)
    if source is None:
        raise InputError(f"Expected a published tensor for {path} in the family's table, got none.")
    if block is None or not source.name:
        return source
    return Tensor(source.name.format(block.group()), source.steps)


def _ordered(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    ordered = x[rows]
    ordered[rows < 0] = 0
    return ordered


def _equal(tensors: Tensors, one: str, other: str) -> bool:
    first, second = tensors[one], tensors[other]
    if first.shape != second.shape:
        return False
    return all(
        np.array_equal(first.read(row, row + _ROWS), second.read(row, row + _ROWS))
        for row in range(0, first.shape[0], _ROWS)
    )
