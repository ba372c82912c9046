"""A graph of integers as an NPU runs it: int8 at the ends, masks and rows of tables from the host.

Each part is exact: with what `Ends` says, the host and the new graph compute the integers of the
graph before. Names of inner tensors stay those of the file, `t7` after its index.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_transformer.edge.targets.ethos.edits import TYPES, Edited
from keras_transformer.zoo.errors import InputError

IDS, MASK, ROWS = "ids", "mask", "rows"
# Ops on floats behind the stored output, see `edge.tflite.units`, and their names as steps.
TIMES, PLUS, TO_LENGTH_1 = "times", "plus", "to_length_1"
_STEPS = {"MUL": TIMES, "ADD": PLUS, "L2_NORMALIZATION": TO_LENGTH_1}
# Lower bound of a squared length in TFLite's L2_NORMALIZATION.
SMALLEST_SQUARE = 1e-6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mask:
    """An int8 input (1, T) that the host makes of the ids.

    Attributes:
        padding: id of the padding.
        token, masked: value for a token and for padding.
    """

    padding: int
    token: int
    masked: int


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Ends:
    """What the host does before and after the graph.

    Attributes:
        mask: of the ids, or None where the graph makes it, or has none.
        table: (V, D) of int8, whose rows the host looks up, or None where the graph does.
        steps: what is done to the numbers that the stored outputs stand for: pairs of `TIMES`,
            `PLUS` or `TO_LENGTH_1`, and a number.
    """

    mask: Mask | None
    table: np.ndarray | None
    steps: Sequence[tuple[str, float]] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns all but the table, which is a file of its own, as a JSON-serializable object."""
        mask = None if self.mask is None else dataclasses.asdict(self.mask)
        return {"mask": mask, "steps": [list(step) for step in self.steps]}

    def numbers(self, stored: np.ndarray, scale: float, zero: int) -> np.ndarray:
        """Returns the float32 numbers of stored outputs (rows, ..., outputs)."""
        found = (stored.astype(np.float32) - zero) * np.float32(scale)
        for step, value in self.steps:
            if step == TO_LENGTH_1:
                squares = np.square(found).sum(-1, keepdims=True)
                found = found / np.sqrt(np.maximum(squares, SMALLEST_SQUARE))
            else:
                found = found * np.float32(value) if step == TIMES else found + np.float32(value)
        return found

    def inputs(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns what the graph reads in place of rows of ids (n, T) by name, and other inputs."""
        found = dict(columns)
        if self.mask is not None:
            is_token = columns[IDS] != self.mask.padding
            found[MASK] = np.where(is_token, self.mask.token, self.mask.masked).astype(np.int8)
        if self.table is not None:
            found[ROWS] = self.table[columns[IDS]]
        return found


def prepare(
    flatbuffer: bytes, *, host_mask: bool = False, host_lookup: bool = False
) -> tuple[bytes, Ends]:
    """Returns the graph for an NPU, and what is left to the host.

    Args:
        flatbuffer: a file's graph of integers.
        host_mask: whether the mask of padding is an input, `mask` (1, T).
        host_lookup: whether the rows of the embedding table are, `rows` (1, T, D), too.

    Raises:
        InputError: if rows of a table are to be looked up, and the graph looks up none, or more
            than one for each id.
    """
    edited = Edited(flatbuffer)
    steps = _store_outputs(edited)
    mask = _take_mask(edited) if host_mask or host_lookup else None
    table = _take_table(edited) if host_lookup else None
    edited.drop_unread()
    return bytes(edited), Ends(mask=mask, table=table, steps=steps)


def _store_outputs(edited: Edited) -> list[tuple[str, float]]:
    """Gives integers in place of the floats that they stand for; what is done to those is left."""
    [output] = map(int, edited.graph.outputs)
    place, steps = output, []
    while (op := edited.maker(place)) is not None and edited.name(op) in _STEPS:
        constant = edited.constant(op.inputs[1]) if len(op.inputs) > 1 else np.zeros(1)
        is_float = edited.tensor(place).type == TYPES.FLOAT32
        if not is_float or constant is None or constant.size != 1:
            return []
        steps.append((_STEPS[edited.name(op)], float(constant.item())))
        place = int(op.inputs[0])
    if op is None or edited.name(op) != "DEQUANTIZE":
        return []
    stored = int(op.inputs[0])
    edited.tensor(stored).name = edited.tensor(output).name
    edited.read_instead(output, stored)
    return steps[::-1]


def _take_mask(edited: Edited) -> Mask | None:
    """Reads in place of `where(ids != padding, token, masked)` an input; None if there is none."""
    ids = _ids(edited)
    for op in edited.ops("SELECT_V2"):
        test = edited.maker(op.inputs[0])
        if test is None or edited.name(test) != "NOT_EQUAL" or test.inputs[0] != ids:
            continue
        numbers = [edited.constant(place) for place in (test.inputs[1], *op.inputs[1:])]
        if any(one is None or one.size != 1 for one in numbers):
            continue
        place = int(op.outputs[0])
        edited.remove(op)
        edited.read_from_host(place, MASK)
        padding, token, masked = (int(one.item()) for one in numbers)
        return Mask(padding=padding, token=token, masked=masked)
    return None


def _take_table(edited: Edited) -> np.ndarray:
    ids = _ids(edited)
    found = [op for op in edited.ops("GATHER") if op.inputs[1] == ids]
    if len(found) != 1:
        raise InputError(
            "Expected host_lookup only for a model that looks up one row for each id, got "
            f"{len(found)} look-ups by id."
        )
    [op] = found
    edited.remove(op)
    edited.read_from_host(int(op.outputs[0]), ROWS)
    return edited.constant(op.inputs[0])


def _ids(edited: Edited) -> int:
    """The index of the input of ids, or -1."""
    for signature in edited.model.signatureDefs:
        for end in signature.inputs:
            if end.name.decode() == IDS:
                return int(end.tensorIndex)
    return -1
