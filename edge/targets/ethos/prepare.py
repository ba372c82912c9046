"""A graph of integers as an NPU runs it: int8 at the ends, masks and rows of tables from the host.

Each part is exact: with what `Ends` says, the host and the new graph compute the integers of the
graph before. Names of inner tensors stay those of the file, `t7` after its index.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_transformer.edge.targets.ethos.edits import TYPES, Edited
from keras_transformer.zoo.errors import InputError

IDS, MASK, ROWS = "ids", "mask", "rows"


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
    """

    mask: Mask | None
    table: np.ndarray | None

    def to_json(self) -> dict[str, Any]:
        """Returns the mask as a JSON-serializable object; the table is a file of its own."""
        return {"mask": None if self.mask is None else dataclasses.asdict(self.mask)}

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
    _store_outputs(edited)
    mask = _take_mask(edited) if host_mask or host_lookup else None
    table = _take_table(edited) if host_lookup else None
    edited.drop_unread()
    return bytes(edited), Ends(mask=mask, table=table)


def _store_outputs(edited: Edited) -> None:
    """Gives the integers of an output in place of the floats that they stand for."""
    for op in edited.ops("DEQUANTIZE"):
        stored, floats = int(op.inputs[0]), int(op.outputs[0])
        if floats in edited.graph.outputs and not edited.readers(floats):
            edited.remove(op)
            edited.tensor(stored).name = edited.tensor(floats).name
            edited.read_instead(floats, stored)


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
            "Expected a model of texts that looks up one row for each id where the host is to, got "
            f"{len(found)} look-ups by id; leave --host-lookup out."
        )
    [op] = found
    table = edited.constant(op.inputs[0])
    if table is None or edited.tensor(op.inputs[0]).type != TYPES.INT8:
        raise InputError(
            "Expected a table of int8 where the host is to look rows up, got another; leave "
            "--host-lookup out."
        )
    edited.remove(op)
    edited.read_from_host(int(op.outputs[0]), ROWS)
    return table


def _ids(edited: Edited) -> int:
    """The index of the input of ids, or -1."""
    for signature in edited.model.signatureDefs:
        for end in signature.inputs:
            if end.name.decode() == IDS:
                return int(end.tensorIndex)
    return -1
