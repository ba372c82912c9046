"""Graphs with free batch sizes and lengths, for export to other runtimes.

| model | graph | inputs | outputs |
|---|---|---|---|
| encoder | `predict` | its modality's, such as `ids` (B, T) | `output` (B, outputs) |
| encoder-decoder | `encode` | `ids` (B, S) | `memory_k_0`, `memory_v_0`, ... (B, S, KV, K) |
| encoder-decoder | `decode` | tokens, caches, memory, `memory_mask` (B, S) | `logits`, new caches |
| decoder | `decode` | tokens, caches | `logits`, new caches |

`decode` reads `ids` (B, T), none of them padding, and `position` (1,), the position of the first of
them in every row. The caches `kv_cache_k_0`, `kv_cache_v_0`, ... (B, L, KV, K) start as zeros; the
outputs `new_kv_cache_k_0`, ... are inputs of the next call. `logits` (B, V) are those after the
last token. B, T, S and L are free: the same graph reads a prompt and each token after it, so that
the weights are stored once. Ids and positions are int32, caches and outputs float32.

This module runs on every backend of Keras: the same graphs are traced by TensorFlow and by PyTorch.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_transformer.edge.graphs.named_steps import NamedSteps
from keras_transformer.edge.runtime.names import DECODE, ENCODE, NEW, PREDICT
from keras_transformer.reading import outputs_read_alone
from keras_transformer.room import checked_places
from keras_transformer.zoo.models.fused_config import Config

# A shape, in which a letter stands for any length, and a type.
Spec = tuple[tuple[str | int, ...], str]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class EntryPoint:
    """One graph.

    Attributes:
        inputs: shapes and types of the inputs by name.
        outputs: likewise for the outputs.
        call: function from tensors by name to tensors by name.
    """

    inputs: Mapping[str, Spec]
    outputs: Mapping[str, Spec]
    call: Callable[[Mapping[str, Any]], dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Returns inputs and outputs as ordered lists, in a JSON-serializable object."""
        return {
            side: [
                {"name": name, "shape": list(shape), "type": dtype}
                for name, (shape, dtype) in specs.items()
            ]
            for side, specs in (("inputs", self.inputs), ("outputs", self.outputs))
        }


def entry_points(model: keras.Model, config: Config) -> dict[str, EntryPoint]:
    """Returns the graphs of a model that `models.build` built from a config, by name."""
    if config.architecture == "encoder":
        return {
            PREDICT: EntryPoint(
                inputs={
                    tensor.name: (_free_shape(tensor), tensor.dtype) for tensor in model.inputs
                },
                outputs={"output": (_free_shape(model.outputs[0]), "float32")},
                call=_unchecked(lambda inputs: {"output": model(inputs, training=False)}),
            )
        }
    steps = NamedSteps(model, config)
    cache, memory = steps.cache_specs("B", "L"), steps.memory_specs("B", "S")
    graphs = {}
    if memory:
        graphs[ENCODE] = EntryPoint(
            inputs={"ids": (("B", "S"), "int32")}, outputs=memory, call=_unchecked(steps.encode)
        )
        memory = {**memory, "memory_mask": (("B", "S"), "int32")}

    def decode(inputs):
        x, caches = steps.read(inputs)
        return {"logits": steps.last_logits(x), **_renamed(caches)}

    graphs[DECODE] = EntryPoint(
        inputs={
            "ids": (("B", "T"), "int32"), "position": ((1,), "int32"), **cache, **memory,
        },
        outputs={"logits": (("B", config.vocab_size), "float32"), **_renamed(cache)},
        call=decode,
    )  # fmt: skip
    return graphs


def _free_shape(tensor):
    return ("B", *("T" if size is None else size for size in tensor.shape[1:]))


def _unchecked(call):
    """A graph without ops that look for places beyond a table, as `Stepwise.decode` has none.

    Its runtime finds those itself, or its host is told where they end; and tf2onnx chooses between
    a value and NaN by a sum, which is NaN. An encoder's outputs that nothing reads are left out.
    """

    @functools.wraps(call)
    def traced(*arguments):
        with checked_places(), outputs_read_alone():
            return call(*arguments)

    return traced


def _renamed(caches):
    return {f"{NEW}{name}": value for name, value in caches.items()}
