"""Ops of a compiled graph that stay on the CPU: which may, and the layers of those that may not."""

from collections import Counter
from collections.abc import Mapping

from keras_transformer.edge.targets.ethos.edits import Edited
from keras_transformer.edge.targets.npus import Npu
from keras_transformer.zoo.errors import InputError

_ON_NPU = "CUSTOM"
# Ops that an NPU without look-ups leaves to the CPU, unless the host looks rows up itself.
_LOOK_UPS = ("GATHER",)
_INDEX = "t"


def cpu_ops(compiled: bytes) -> dict[str, int]:
    """Returns the number of ops by name that the CPU runs."""
    edited = Edited(compiled)
    names = Counter(map(edited.name, edited.graph.operators))
    return {name: count for name, count in sorted(names.items()) if name != _ON_NPU}


def check_fallback(
    compiled: bytes, target: str, npu: Npu, places: Mapping[str, int | None]
) -> None:
    """Checks that all runs on the NPU but what it cannot look up.

    Args:
        compiled: the compiled graph.
        target: name of the target.
        npu: the NPU.
        places: layers by the index of their tensor in the graph before.

    Raises:
        InputError: if another op stays on the CPU; the message names it and its layer.
    """
    edited = Edited(compiled)
    allowed = () if npu.looks_up else _LOOK_UPS
    for op in edited.graph.operators:
        name = edited.name(op)
        if name == _ON_NPU or name in allowed:
            continue
        layer = _layer(edited.tensor(op.outputs[0]).name.decode(), places)
        may = " and ".join(allowed) or "none"
        raise InputError(
            f"Expected every op to run on {target} ({may} may stay on the CPU), got {name}"
            f"{f' of {layer}' if layer else ''}, which would stay on the CPU; convert for the "
            "target micro, or take a model without it."
        )


def _layer(tensor: str, places: Mapping[str, int | None]) -> str | None:
    """The layer whose tensor is a tensor, or the first after it."""
    known = {place: path for path, place in places.items() if place is not None}
    number = tensor.removeprefix(_INDEX)
    if not known or not number.isdecimal():
        return None
    after = [place for place in known if place >= int(number)]
    return known[min(after) if after else max(known)]
