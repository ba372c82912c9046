"""Values inside an integer graph: stored tensors, and results of ops that are not yet rounded.

An op's kernel rounds its result to the grid of the next quantization point, which may stand behind
reshapes and transpositions.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from keras_transformer.edge.integers import hard_silu, kernels
from keras_transformer.edge.integers.kernels import Grid, Kernel

Move = Callable[[np.ndarray], np.ndarray]


class Unrounded:
    """The result of an op before it is rounded."""

    def finish(self, out: Grid) -> np.ndarray:
        """The integers on a grid."""
        raise NotImplementedError

    def rounded(self, out: Grid) -> "Stored":
        """The result on a grid."""
        return Stored(integers=self.finish(out), grid=out, source=self)

    def moved(self, move: Move) -> "Unrounded":
        """The result with its values in another order or shape."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Stored:
    """A tensor of int8 values.

    Attributes:
        integers: the values, int32.
        grid: their grid.
        source: the result that was rounded to them.
    """

    integers: np.ndarray
    grid: Grid
    source: Unrounded

    @classmethod
    def constant(cls, value: np.ndarray) -> "Stored":
        """A float in the graph, which the converter stores in the range from 0 to it."""
        grid = Grid.of(min(float(value.min()), 0.0), max(float(value.max()), 0.0))
        return Floats(values=value).rounded(grid)

    def floats(self) -> np.ndarray:
        """The float32 values."""
        return self.grid.values(self.integers)

    def moved(self, move: Move) -> "Stored":
        """The tensor with its values in another order or shape."""
        integers = np.asarray(move(self.integers))
        return Stored(integers=integers, grid=self.grid, source=self.source.moved(move))

    def joined(self, join: Callable[..., np.ndarray], *args: Any, **kwargs: Any) -> "Stored":
        """The tensor with others of its grid, which no later point stores otherwise."""
        integers = join(self.integers, *args, **kwargs)
        return Stored(
            integers=integers, grid=self.grid, source=Floats(values=self.grid.values(integers))
        )

    def transposed(self) -> "Stored":
        """The last two axes in the other order."""
        return self.moved(lambda integers: np.swapaxes(integers, -1, -2))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Floats(Unrounded):
    """Floats that were computed before, such as constants."""

    values: np.ndarray

    def finish(self, out: Grid) -> np.ndarray:
        return out.store(self.values)

    def moved(self, move: Move) -> "Floats":
        return Floats(values=move(self.values))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Computed(Unrounded):
    """The result of a kernel that takes the inputs, their grids and the result's.

    Attributes:
        kernel: one of `kernels`.
        inputs: one tensor, or two.
        moves: what moves the integers afterwards.
    """

    kernel: Callable[..., np.ndarray]
    inputs: tuple[Stored, ...]
    moves: tuple[Move, ...] = ()

    def finish(self, out: Grid) -> np.ndarray:
        integers = [one.integers for one in self.inputs]
        grids = [one.grid for one in self.inputs]
        return _moved(self.kernel(*integers, *grids, out), self.moves)

    def moved(self, move: Move) -> "Computed":
        """The result with its values in another order or shape."""
        return dataclasses.replace(self, moves=(*self.moves, move))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Pointwise(Unrounded):
    """A function of each value of a tensor, which a file computes as one op.

    It is a table, but for hard SiLU, which has a kernel of its own.

    Attributes:
        x: the tensor.
        values: (256,) the function of each integer's value, float32.
        moves: see `Computed`.
    """

    x: Stored
    values: np.ndarray
    moves: tuple[Move, ...] = ()

    @classmethod
    def of(cls, function: Callable[..., np.ndarray], inputs: Sequence[Any]) -> Self | None:
        """A function of scalars and of values of one tensor; None of other inputs."""
        tensors = [one.x if isinstance(one, Pointwise) else one for one in inputs]
        [x, *others] = [one for one in tensors if not isinstance(one, np.ndarray)]
        scalars = [one for one in tensors if isinstance(one, np.ndarray)]
        moved = any(isinstance(one, Pointwise) and one.moves for one in inputs)
        is_one = isinstance(x, Stored) and all(one is x for one in others)
        if moved or not is_one or any(one.size > 1 for one in scalars):
            return None
        values = function(*map(_tabulated, inputs))
        return cls(x=x, values=values)

    def finish(self, out: Grid) -> np.ndarray:
        x, grid = self.x.integers, self.x.grid
        if hard_silu.is_hard_silu(self.values, grid.values(kernels.ALL)):
            found = hard_silu.hard_silu(x, grid, out)
        else:
            found = kernels.looked_up(self.values, x, out)
        return _moved(found, self.moves)

    def moved(self, move: Move) -> "Pointwise":
        """The result with its values in another order or shape."""
        return dataclasses.replace(self, moves=(*self.moves, move))


def _tabulated(one):
    """The value of an input of `Pointwise.of` for each integer."""
    if isinstance(one, Pointwise):
        return one.values
    return one.grid.values(kernels.ALL) if isinstance(one, Stored) else np.reshape(one, ())


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Linear(Unrounded):
    """The result of a projection or a convolution, with its bias, factor and relu if any.

    The converter folds them into the stored kernel and bias.

    Attributes:
        x: stored inputs (..., width), or images (B, height, width, C) of a convolution.
        kernel: kernel (width, units) on its grid, or a stored one of zero point 0.
        ready: kernels that were stored before, by the name of the op.
        name: name of the op.
        bias: (units,) or None.
        is_clipped: whether a relu follows.
        window: height and width of a convolution's window, and its stride; None of a projection.
        moves: see `Computed`.
    """

    x: Stored
    kernel: np.ndarray | Stored
    ready: dict[str, Kernel]
    name: str
    bias: np.ndarray | None = None
    is_clipped: bool = False
    window: tuple[int, int, int] | None = None
    moves: tuple[Move, ...] = ()

    def finish(self, out: Grid) -> np.ndarray:
        if self.name not in self.ready:
            self.ready[self.name] = self._stored()
        kernel, read = self.ready[self.name], self.x.integers
        if self.window is not None:
            # Padding has the value 0.
            *size, stride = self.window
            read = kernels.windows(read, tuple(size), stride, self.x.grid.zero)
        found = kernel.project(read, self.x.grid, out, relu=self.is_clipped)
        return _moved(found, self.moves)

    def _stored(self):
        if not isinstance(self.kernel, Stored):
            return Kernel.of(self.kernel, self.bias)
        integers = self.kernel.integers
        scales = np.full(integers.shape[-1], self.kernel.grid.scale)
        return Kernel(integers=integers, scales=scales, bias=self.bias)

    def moved(self, move: Move) -> "Linear":
        """The result with its values in another order or shape."""
        return dataclasses.replace(self, moves=(*self.moves, move))

    def plus(self, bias: np.ndarray) -> "Linear":
        """The result plus a bias (units,)."""
        return dataclasses.replace(self, bias=bias)

    def times(self, factor: np.ndarray) -> "Linear":
        """The result times a constant."""
        bias = None if self.bias is None else self.bias * factor
        return dataclasses.replace(self, kernel=self.kernel * factor, bias=bias)

    def clipped(self) -> "Linear":
        """The result with negative values set to 0."""
        return dataclasses.replace(self, is_clipped=True)


def _moved(integers, moves):
    for move in moves:
        integers = np.asarray(move(integers))
    return integers
