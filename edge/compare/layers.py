"""Layer-by-layer parity of a file with the Keras model that it was converted from.

Values are compared at the quantization points, in a float file too: they lie at the inputs and
outputs of each layer. A difference propagates through all later layers, so each layer is measured a
second time with the file's own values as its input: the difference that remains is its own.
"""

import contextlib
import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np

from keras_transformer.edge.compare.distances import (
    FIND_RELATIVE,
    FIND_STEPS_OFF,
    STEP_LIMIT,
    distances,
    is_far,
    limit_of,
    same_kind,
    size_of,
)
from keras_transformer.edge.compare.side_by_side import SideBySide
from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.runtime.head_runner import HeadRunner
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.tflite.head_signatures import of_head
from keras_transformer.reading import whole_outputs
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.layer_names import prefix_of
from keras_transformer.zoo.models.build import all_layers, build, get_weights, set_weights
from keras_transformer.zoo.models.fused_config import Combination, FusedConfig

# The first step of a decoder shows little: attention to one token is 1.
FIND_ROWS, FIND_STEPS = 3, 3
ROWS, STEPS = 64, 4
# signature -> path of a point -> index of its tensor in the signature's graph
Places = Mapping[str, Mapping[str, int]]


@dataclasses.dataclass(kw_only=True)
class LayerDifference:
    """The difference of a layer's output from the Keras model's.

    Attributes:
        signature: signature of the file.
        layer: path of its quantization point.
        is_integer: whether differences are counted in the tensor's steps; else they are relative
            to the root mean square of the Keras values.
        limit: largest `own` that the precision explains.
        own: largest difference of the layer itself, given the file's values before it.
        total: largest accumulated difference, with the Keras model run from its inputs.
        share: share of values that differ by a step or more in `own`; None for a float tensor.
    """

    signature: str
    layer: str
    is_integer: bool
    limit: float
    own: float = 0.0
    total: float = 0.0
    share: float | None = None

    @property
    def departs(self) -> bool:
        """Whether the layer differs from the Keras model's by more than the limit."""
        return not self.own <= self.limit

    def to_json(self) -> dict[str, Any]:
        """Returns the values as a JSON-serializable object."""
        return {**dataclasses.asdict(self), "departs": self.departs}


def find_layers(
    checkpoint: Checkpoint, model: keras.Model, flatbuffer: bytes, length: int, precision: str
) -> dict[str, dict[str, int]]:
    """Finds the tensor of a new file that stores each quantization point's values.

    The converter fuses and moves ops, and its tensor names do not identify values: a tensor is the
    point's if it has the point's values on a few of the checkpoint's probes. A point without such a
    tensor is left out, such as one before a relu that was fused into a projection.

    Each layer is thus checked on the file's own inputs, and must be right except for ties: an error
    in one layer cannot hide in the rounding accumulated at the outputs.

    Args:
        checkpoint: the checkpoint.
        model: its Keras model, in the precision of the file.
        flatbuffer: the file's model.
        length: the file's longest length.
        precision: precision of the file.

    Returns:
        See `Places`.

    Raises:
        RunError: if a layer departs from the Keras model, or so far that its tensor matches no
            point.
    """
    both = SideBySide(checkpoint, model, flatbuffer, length, steps=FIND_STEPS)
    errors: dict[str, dict[str, dict[int, float]]] = {}
    limits: dict[tuple[str, str, int], float] = {}
    spec = get_precision(precision)
    known: dict[str, set[int]] = defaultdict(set)
    shifts = _shifts(model) if precision == "float16" else {}
    loose = {signature: _loose(inside, spec) for signature, inside in both.inside.items()}
    absent = tuple(_absent(checkpoint.config))

    def meet(signature, name, point, values, tensors):
        if name.startswith(absent):
            return values
        step = None if point.bits is None else point.scale
        inside, fitting, size = both.inside[signature], {}, size_of(values)
        for place, tensor in tensors.of_size(values.size):
            if same_kind(tensor, values, step, is_flat=place in inside.split) and not is_far(
                values, tensor, size
            ):
                error = distances(values, tensor, size).max()
                if name in shifts and distances(values - shifts[name], tensor, size).max() < error:
                    # The values before a norm adds, which the converter adds to a later bias: what
                    # float16 rounds may be more than all that is added.
                    continue
                is_rounded = inside.is_rounded(place, known[signature])
                limit = limit_of(tensor, is_rounded, precision)
                near = limit
                if tensor.step is not None:
                    near = FIND_STEPS_OFF
                elif is_rounded and place in loose[signature]:
                    near = FIND_RELATIVE
                if error <= near:
                    fitting[place] = error
                    limits[signature, name, place] = limit
        before = errors.setdefault(signature, {}).get(name, fitting)
        errors[signature][name] = {
            place: max(error, before[place]) for place, error in fitting.items() if place in before
        }
        if not fitting:
            return values
        nearest = min(fitting, key=fitting.get)
        tensor = tensors[nearest]
        if tensor.step is None and fitting[nearest] > limits[signature, name, nearest]:
            # A tensor that is not the point's own, such as a projection whose bias is added after
            # it, must not replace the point's values.
            return values
        known[signature].add(nearest)
        tensors.reached(fitting)
        return tensor.values.reshape(values.shape)

    rows = 1 if checkpoint.task.generates else FIND_ROWS
    both.run({name: probes[:rows] for name, probes in checkpoint.probes.items()}, meet)
    places = {
        signature: {path: min(fit, key=fit.get) for path, fit in paths.items() if fit}
        for signature, paths in errors.items()
    }
    for signature, paths in places.items():
        near = set().union(*errors[signature].values())
        inside = both.inside[signature]
        for lost in (place for place, same in inside.projected.items() if not same & near):
            raise RunError(
                f"Expected every projection of the {precision} file to follow one of the Keras "
                f"model's, got {inside.tensor_names[lost]} in {signature!r}, which "
                "is near to none; nothing was written."
            )
        exact = {
            place for path, place in paths.items()
            if errors[signature][path][place] <= limits[signature, path, place]
        }  # fmt: skip
        moved = {
            path for path, place in paths.items()
            if place not in exact
            and any(place in same and same & exact for same in inside.projected.values())
        }  # fmt: skip
        for path in moved:
            del paths[path]
        for path, place in paths.items():
            off, limit = errors[signature][path][place], limits[signature, path, place]
            if off > limit:
                unit = "steps" if limit == STEP_LIMIT else "of its values' size"
                raise RunError(
                    f"Expected {path} of the {precision} file to be within {limit:g} {unit} of the "
                    f"Keras model's, given the same inputs, got {off:.3g} in {signature!r}; "
                    f"nothing was written. --keep {path.rpartition('/')[0]}/*=float32 leaves the "
                    "layer float."
                )
    return places


def _absent(config):
    """The beginnings of the names of members without a weight, which the graph leaves out."""
    if not isinstance(config, FusedConfig) or not isinstance(config.outputs, Combination):
        return
    for place, weight in enumerate(config.outputs.weights):
        if not weight:
            yield prefix_of(place)


def explain(
    checkpoint: Checkpoint, runner: Runner, columns: Mapping[str, Sequence[np.ndarray]]
) -> list[LayerDifference]:
    """Measures the difference of each layer of a file, in execution order.

    Args:
        checkpoint: the checkpoint that the file was converted from.
        runner: runner of the file.
        columns: rows of the model's inputs by name, padded or not; the first `ROWS` are run.

    Raises:
        InputError: if the file does not record the tensors of its layers, or has integer ranges
            that the checkpoint lacks.
    """
    places = runner.description.get("layers")
    if not places:
        raise InputError(
            f"{runner.name} does not say where its layers stand; convert the checkpoint again, "
            "with --target plain."
        )
    spec = get_precision(runner.precision)
    if spec.is_static and not checkpoint.is_quantized:
        raise InputError(
            f"Expected the quantized checkpoint that {runner.name} was made of, got a float one, "
            "which does not hold the file's ranges."
        )
    both = SideBySide(
        checkpoint, _simulation(checkpoint, spec, runner), _graphs(runner), runner.max_length,
        steps=STEPS,
        tensors={signature: list(paths.values()) for signature, paths in places.items()},
    )  # fmt: skip
    found: dict[tuple[str, str], LayerDifference] = {}
    sizes: Counter = Counter()

    def meet(follows, signature, name, point, values, tensors):
        place = places[signature].get(name)
        if place is None:
            return values
        tensor, key = tensors[place], (signature, name)
        if key not in found:
            is_integer = tensor.step is not None
            known = places[signature].values()
            is_rounded = both.inside[signature].is_rounded(place, known)
            found[key] = LayerDifference(
                signature=signature, layer=name, is_integer=is_integer,
                limit=limit_of(tensor, is_rounded, runner.precision),
            )  # fmt: skip
        layer = found[key]
        distance = distances(values, tensor, size_of(values))
        if not follows:
            layer.total = max(layer.total, float(distance.max()))
            return values
        layer.own = max(layer.own, float(distance.max()))
        if layer.is_integer:
            seen = sizes[key] * (layer.share or 0.0) + np.count_nonzero(distance > 0.5)
            sizes[key] += distance.size
            layer.share = float(seen / sizes[key])
        return tensor.values.reshape(values.shape)

    rows = {name: rows[:ROWS] for name, rows in columns.items()}
    alone = runner.description.get("read_alone", False)
    with contextlib.nullcontext() if alone else whole_outputs():
        both.run(rows, partial(meet, True), partial(meet, False))
    return list(found.values())


def _shifts(model):
    """What norms add to the values of the points behind them, by the points' paths."""
    found = {}
    for layer in all_layers(model):
        if getattr(layer, "beta", None) is not None:
            added = keras.ops.convert_to_numpy(layer.beta)
            names = f"{layer.path}_point", f"{layer.path.removesuffix('_norm')}_point"
            found |= dict.fromkeys(names, added)
    return found


def _graphs(runner: Runner) -> bytes:
    """The model of a file; of one task of several, as a file of its own has it."""
    flatbuffer = unpack(runner)[0]
    if not isinstance(runner, HeadRunner):
        return flatbuffer
    return of_head(flatbuffer, runner.head_name, runner.lengths)


def _loose(inside, spec):
    """Places of tensors that may be found by far less than they must have.

    They are computed from rows that are rounded as the file runs; with stored activations these are
    outputs of projections alone.
    """
    if spec.row_bits is None:
        return set()
    if spec.is_static:
        return inside.split
    return set(range(len(inside.tensor_names)))


def _simulation(checkpoint, spec, runner):
    """The Keras model that rounds as the file does."""
    if checkpoint.is_quantized or not spec.rounds_kernels:
        return checkpoint.model
    keep = runner.description.get("keep", ())
    model = build(checkpoint.config, checkpoint.task, bits=spec.bits, keep=keep)
    set_weights(model, get_weights(checkpoint.model))
    return model
