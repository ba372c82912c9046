"""Side-by-side execution of a file and its Keras model, signature by signature."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import numpy as np
from keras import ops

from keras_transformer.edge.compare.probes import cut_probes, unpadded
from keras_transformer.edge.graphs.front_end import file_inputs
from keras_transformer.edge.graphs.shared_blocks import shared_blocks
from keras_transformer.edge.graphs.static import make_signatures
from keras_transformer.edge.runtime.names import (
    DECODE,
    ENCODE,
    MEMORY_MASK,
    PREDICT,
    PREFILL,
    WAVEFORM,
    cache_names,
    memory_names,
)
from keras_transformer.edge.tflite.freed import release_freed_memory
from keras_transformer.edge.tflite.inside import Computed, Inside, unpacked
from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.quantization import QuantPoint
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.layer_names import without_prefix
from keras_transformer.zoo.models.build import all_layers
from keras_transformer.zoo.models.fused_config import members_of
from keras_transformer.zoo.tokenizers.tokenizer import pad_rows

# Called with a signature, a point's name, the point, its values in the Keras model, and the file's
# tensors by index; its return value replaces those values in the Keras model. The name is the path,
# and `PATH:2`, `PATH:3`, ... in the further passes of a block that is several.
Meet = Callable[[str, str, QuantPoint, np.ndarray, Computed], np.ndarray]


class SideBySide:
    """Runs rows through the signatures of a file, and repeats each call in the Keras model.

    Args:
        checkpoint: the checkpoint.
        model: its Keras model, in the precision of the file.
        flatbuffer: the file's model.
        length: the file's longest length.
        tensors: tensors to read by signature, see `Inside`.
        steps: number of `decode` calls for each row of a generative model.

    Attributes:
        inside: the file's signatures by name.
        points: quantization points of the model.
    """

    def __init__(
        self, checkpoint: Checkpoint, model: keras.Model, flatbuffer: bytes, length: int, *,
        tensors: Mapping[str, Sequence[int]] | None = None, steps: int,
    ):  # fmt: skip
        self.checkpoint, self.length, self.steps = checkpoint, length, steps
        self._model = model
        # Blocks of about a piece each; several meetings need all tensors.
        depth = max(max(one.num_layers, one.encoder_depth) for one in members_of(checkpoint.config))
        most_pieces = depth if tensors is None else 1
        self._functions = make_signatures(checkpoint, model, [length])
        file = unpacked(flatbuffer)
        self.inside = {
            name: Inside(
                file, name, None if tensors is None else tensors[name],
                most_pieces=most_pieces,
            )  # fmt: skip
            for name in self._functions
        }
        layers = all_layers(model)
        self.points = [layer for layer in layers if isinstance(layer, QuantPoint)]
        shares = checkpoint.config.share_layers
        self._repeated = {
            point for point in self.points
            if shares and without_prefix(point.path).startswith("encoder/block_0/")
        }  # fmt: skip

    def run(self, columns: Mapping[str, Sequence[np.ndarray]], *meetings: Meet) -> None:
        """Runs rows, cut to the length, in the file once and in Keras once for each meeting."""
        with _rounded_tables(self._model), shared_blocks(self._model):
            self._run(columns, meetings)

    def _run(self, columns, meetings):
        for place in range(len(next(iter(columns.values())))):
            if self.checkpoint.task.generates:
                rows = cut_probes(columns, self.length)
                self._write({name: unpadded(one[place]) for name, one in rows.items()}, meetings)
            else:
                inputs = {
                    spec.name: spec.fit(columns[spec.name][place][None], self.length)
                    for spec in self.checkpoint.inputs
                }
                self._call(PREDICT, file_inputs(self._model, inputs), meetings)

    def _write(self, row, meetings):
        """Reads a row, and then its last tokens one by one."""
        blocks, ids = self.checkpoint.config.num_layers, row["ids"]
        names, shapes = cache_names(blocks), self.inside[DECODE].shapes
        memory, first = {}, 0
        caches = {name: np.zeros(shapes[name], np.float32) for name in names}
        if WAVEFORM in row:
            # The window of a file may be shorter than that of its checkpoint.
            samples = self.inside[ENCODE].shapes[WAVEFORM][1]
            memory = self._call(ENCODE, {WAVEFORM: row[WAVEFORM][None, :samples]}, meetings)
            release_freed_memory(self._model)
        elif ENCODE in self._functions:
            source = pad_rows([row["source_ids"]], self.length)
            read = self._call(ENCODE, {"ids": source}, meetings)
            memory = {name: read[name] for name in memory_names(blocks)}
            memory[MEMORY_MASK] = (source != 0).astype(np.int32)
        else:
            first = max(0, len(ids) - self.steps)
            start = np.zeros(1, np.int32)
            prompt = pad_rows([ids[:first]], self.length)
            read = self._call(PREFILL, {"ids": prompt, "position": start, **caches}, meetings)
            caches = {name: read[name] for name in names}
            # The other signature runs in one piece, beside what all pieces of this one took.
            release_freed_memory(self._model)
        for place in range(first, min(first + self.steps, len(ids))):
            token, position = ids[None, place : place + 1], np.array([place], np.int32)
            inputs = {"ids": token, "position": position, **caches, **memory}
            read = self._call(DECODE, inputs, meetings)
            caches = {name: read[name] for name in names}

    def _call(self, signature, inputs, meetings):
        """The file's outputs."""
        tensors = self.inside[signature].run(inputs)
        function = self._functions[signature].python_function
        try:
            for meet in meetings:
                met = Counter()

                def observe(point, values, meet=meet, met=met):
                    met[point] += 1
                    # Another point that occurs again has a part of the same values: a cache, or a
                    # table's rows.
                    if met[point] > 1 and point not in self._repeated:
                        return values
                    name = point.path if met[point] == 1 else f"{point.path}:{met[point]}"
                    found = meet(signature, name, point, ops.convert_to_numpy(values), tensors)
                    return ops.convert_to_tensor(found, "float32")

                for point in self.points:
                    point.observer = observe
                function({name: ops.convert_to_tensor(value) for name, value in inputs.items()})
        finally:
            for point in self.points:
                point.observer = None
        return tensors.outputs()


@contextlib.contextmanager
def _rounded_tables(model: keras.Model) -> Iterator[None]:
    """Rounds tables once for all calls in the context: a large one's steps between take the most.

    Kernels are rounded in each call: together they take the memory of the model once more.
    """
    with contextlib.ExitStack() as stack:
        for layer in all_layers(model):
            if isinstance(layer, TokenEmbedding):
                stack.enter_context(layer.rounded_once())
        yield
