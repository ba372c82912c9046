"""Base class of the targets of `.tflite` files: signatures, description, packing and parity."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import keras

from keras_transformer.edge.compare.benchmark import device_name, median_latency
from keras_transformer.edge.compare.costly import costly_layers
from keras_transformer.edge.compare.layers import find_layers
from keras_transformer.edge.compare.parity import LIMITS, Parity, measure_parity
from keras_transformer.edge.compare.simulated import Simulation, check_simulated
from keras_transformer.edge.convert.convert import (
    Graph,
    Request,
    checked_lengths,
    convert_graph,
    simulation,
)
from keras_transformer.edge.convert.provenance import provenance
from keras_transformer.edge.graphs.front_end import front_end_files
from keras_transformer.edge.graphs.static import make_signatures, reads_alone
from keras_transformer.edge.precision import Precision
from keras_transformer.edge.publish.model_card import origin_of
from keras_transformer.edge.runtime.names import LOGITS, PROBABILITIES
from keras_transformer.edge.runtime.packed import pack
from keras_transformer.edge.targets.artifact import Artifact
from keras_transformer.edge.targets.heads import DESCRIBED, head_parts, heads_parity
from keras_transformer.edge.targets.writer import Writer
from keras_transformer.edge.tflite.compact import compact
from keras_transformer.edge.tflite.freed import release_freed_memory
from keras_transformer.edge.tflite.schema import output_step
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.several import PLUS
from keras_transformer.zoo.outputs import BY_POSITION, CLASSES
from keras_transformer.zoo.scope import PROBABILITY
from keras_transformer.zoo.tokenizers.special import FIRST

RUNS = 30
FILE = "model.tflite"


class TfliteFile(Artifact):
    """A `.tflite` file, whose latency is measured when its card is written."""

    def latency(self) -> str:
        """Measures the latency of the main signature on one thread, as text."""
        milliseconds = median_latency(bytes(self), runs=RUNS)
        return (
            f"{milliseconds:.2f} ms {self.origin.unit}, median of {RUNS} runs, one thread, on "
            f"{device_name()}"
        )


class FlatbufferWriter(Writer):
    """Writes a `.tflite` file that contains the tokenizer and the labels too.

    Attributes:
        custom_ops: ops of the host that the graph may contain.
        is_stored: whether attached files stay uncompressed, for hosts that map them.
        knows_layers: whether `compare --layers`, which runs the ids of plain files, can open it.
        has_lengths: whether the host can choose among signatures of several lengths.
        artifact: class of the result of `write`.
    """

    custom_ops: tuple[str, ...] = ()
    is_stored = False
    knows_layers = True
    has_lengths = True
    artifact = TfliteFile

    def loads(self, checkpoint: Checkpoint) -> str | None:
        """Rejects vocabularies that the graph's embedding look-up cannot read."""
        return checkpoint.modality.misfit(checkpoint.config.to_json())

    def write(self, request: Request) -> Artifact:
        """Returns the file."""
        checkpoint, spec = request.checkpoint, request.precision
        lengths = checked_lengths(checkpoint, request.lengths or self.default_lengths(checkpoint))
        if len(lengths) > 1 and not self.has_lengths:
            raise InputError(
                f"Expected one length for the target {self.name}, got lengths="
                f"{','.join(map(str, lengths))}."
            )
        graph = convert_graph(
            request, lengths[-1],
            lambda model: self.signatures(checkpoint, model, lengths, spec), self.custom_ops,
        )  # fmt: skip
        facts = self.facts(graph.flatbuffer)
        flatbuffer = self.finish(compact(graph.flatbuffer))
        # The file of the converter's names is not held beside this one.
        graph = dataclasses.replace(graph, flatbuffer=flatbuffer)
        description = {
            **self._description(request, graph, lengths, flatbuffer),
            **facts,
        }
        files = {
            **checkpoint.modality.files(),
            **front_end_files(graph.model),
            **self.files(),
            "labels.txt": "".join(f"{label}\n" for label in checkpoint.labels).encode(),
        }
        data = pack(flatbuffer, description, files, is_stored=self.is_stored)
        # The graph is in the file, and interpreters pack its weights once more.
        del flatbuffer
        graph = dataclasses.replace(graph, flatbuffer=b"")
        follows = self.knows_layers and LIMITS[spec.name].steps is not None
        parity, costly = self._parity_of(request, graph, data, follows=follows), None
        if follows and not checkpoint.is_quantized and not checkpoint.head_names:
            costly = partial(_costly, request, graph, lengths[-1])
        parity.check(spec, layers_follow=follows, costly=costly)
        if not follows and graph.model is not checkpoint.model:
            # What is told of every file is its difference from the checkpoint.
            parity = self._parity_of(request, graph, data, follows=True)
        return self.artifact(
            target=self.name, precision=spec.name, files={FILE: data}, parity=parity,
            description=description, origin=origin_of(checkpoint),
            loading=self.loading(checkpoint), measured=self.measured(description),
        )  # fmt: skip

    def _parity_of(
        self, request: Request, graph: Graph, data: bytes, *, follows: bool
    ) -> Parity:
        """The parity with the checkpoint's own model, or else with the one that rounds."""
        checkpoint = request.checkpoint
        if checkpoint.head_names:
            return heads_parity(request, graph, data, follows=follows)
        return self.parity(checkpoint.model if follows else graph.model, checkpoint, data)

    def _description(
        self, request: Request, graph: Graph, lengths: Sequence[int], flatbuffer: bytes
    ) -> dict[str, Any]:
        checkpoint, precision = request.checkpoint, request.precision.name
        layers, simulated = {}, {}
        if checkpoint.head_names:
            heads = {}
            for name, asked, own, graphs in head_parts(request, graph, lengths, flatbuffer):
                found = self._description(asked, own, lengths, graphs)
                found["labels"] = list(asked.checkpoint.labels)
                heads[name] = {one: found[one] for one in DESCRIBED if one in found}
                heads[name]["weights_sha256"] = found["provenance"]["weights_sha256"]
            simulated = {"heads": heads}
        elif self.knows_layers:
            layers = find_layers(checkpoint, graph.model, flatbuffer, lengths[-1], precision)
            if request.precision.inner_bits is not None:
                simulation = Simulation(checkpoint, graph.model, request.precision, lengths[-1])
                simulated = {"simulated": check_simulated(simulation, flatbuffer, layers)}
            # The tensors of a large graph take as much as its weights.
            release_freed_memory(graph.model)
        return {
            "target": self.name,
            "output": self.output(checkpoint),
            **self._probabilities(checkpoint),
            "custom_ops": list(self.custom_ops),
            "about": dataclasses.asdict(self.about),
            "task": checkpoint.task.to_json(),
            "output_kind": checkpoint.task.output,
            "precision": precision,
            "modality": checkpoint.modality.name,
            "keep": list(graph.kept),
            "max_length": lengths[-1],
            "lengths": lengths,
            "model": checkpoint.config.to_json(),
            "recipe": checkpoint.recipe.model.name,
            "columns": checkpoint.columns,
            "output_step": None if checkpoint.head_names else output_step(flatbuffer),
            "layers": layers,
            # Files of earlier versions compute outputs that nothing reads, too.
            "read_alone": reads_alone(),
            **simulated,
            "metrics": _plain(checkpoint.metrics),
            "provenance": provenance(checkpoint),
        }

    def _probabilities(self, checkpoint: Checkpoint) -> dict[str, float]:
        """What the graph divides the logits by, where it gives probabilities."""
        if self.output(checkpoint) != PROBABILITIES:
            return {}
        return {"output_temperature": temperature_of(checkpoint)}

    def default_lengths(self, checkpoint: Checkpoint) -> list[int]:
        """Returns the lengths of a file if none are requested."""
        return [checkpoint.max_length]

    def output(self, checkpoint: Checkpoint) -> str:
        """Returns an encoder's kind of output: `LOGITS`, `PROBABILITIES` or `EMBEDDING`."""
        return LOGITS

    def signatures(
        self, checkpoint: Checkpoint, model: keras.Model, lengths: Sequence[int], spec: Precision
    ) -> dict[str, Callable]:
        """Returns the functions of the file by name, see `make_signatures`."""
        return make_signatures(checkpoint, model, lengths)

    def finish(self, flatbuffer: bytes) -> bytes:
        """Returns the graph with additions that the host reads."""
        return flatbuffer

    def facts(self, flatbuffer: bytes) -> Mapping[str, Any]:
        """Returns the JSON-serializable entries of the file's description for this host.

        The graph still has the converter's names, which locate an op that the host lacks.
        """
        return {}

    def files(self) -> Mapping[str, bytes]:
        """Returns attached files that only this host reads, by name."""
        return {}

    def measured(self, description: Mapping[str, Any]) -> dict[str, str]:
        """Returns measurements for this host by their label."""
        return {}

    def parity(self, model: keras.Model, checkpoint: Checkpoint, data: bytes) -> Parity:
        """Compares the file's bytes with the Keras model on the checkpoint's probes."""
        return measure_parity(model, checkpoint, data)

    def needs_encoder(self, checkpoint: Checkpoint, *, classes: bool) -> str | None:
        """Returns a reason if the task is not over single texts, or not of one label each."""
        task = checkpoint.task
        if PLUS in checkpoint.modality.name:
            return (
                f"Expected a model that reads rows of one kind for the target {self.name}, got "
                f"one of {checkpoint.modality.name}; convert for the target plain."
            )
        if task.output in BY_POSITION:
            return (
                f"Expected one output for a text for the target {self.name}, whose host reads no "
                f"more, got one at each position in {task.name}; convert for the target plain."
            )
        if task.generates or task.pair or (classes and task.output != CLASSES):
            wanted = "one label" if classes else "a task"
            return (
                f"Expected {wanted} of single texts for the target {self.name}, got "
                f"{'pairs in ' if task.pair else ''}{task.name}."
            )
        return None

    def needs_probability(self, checkpoint: Checkpoint) -> str | None:
        """Returns a reason if probabilities do not decide what is out of a classifier's scope."""
        decides = checkpoint.decision.get("out_of_scope")
        if decides is None or decides["score"] == PROBABILITY:
            return None
        return (
            f"Expected scope_score to be {PROBABILITY} for the target {self.name}, whose outputs "
            f"are probabilities, got scope_score={decides['score']!r}."
        )

    def needs_wordpieces(self, checkpoint: Checkpoint) -> str | None:
        """Returns a reason if BERT's tokenizer cannot replace the checkpoint's."""
        if checkpoint.modality.text is not checkpoint.modality:
            return (
                f"Expected a model of texts for the target {self.name}, got one of "
                f"{checkpoint.modality.rows}; convert for the target plain."
            )
        kind = checkpoint.tokenizer.config.kind
        if kind != "wordpiece":
            return (
                f"Expected a tokenizer of word pieces for the target {self.name}, got "
                f"kind={kind!r}; train with --tokenizer wordpiece."
            )
        special = checkpoint.tokenizer.config.special
        if special.unk is None or special.single != (special.begin, FIRST, special.end):
            return (
                f"Expected an unknown token, and one token on either side of a text for the target "
                f"{self.name}, got unk={special.unk!r} and single={' '.join(special.single)!r}."
            )
        return None


def temperature_of(checkpoint: Checkpoint) -> float:
    """Returns the temperature of a classifier's probabilities, see `class_probabilities`."""
    return float(checkpoint.decision.get("temperature", 1.0))


def _costly(request: Request, graph: Graph, length: int) -> str | None:
    model = graph.model
    if request.rounding != "nearest":
        # A learned kernel is on its grid: kept in float, it would have its errors nevertheless.
        model, _, _ = simulation(dataclasses.replace(request, rounding="nearest", note=None))
    return costly_layers(request.checkpoint, model, request.precision, graph.kept, length)


def _plain(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Validation metrics without the table by class."""
    validation = metrics.get("validation") or {}
    return {name: value for name, value in validation.items() if not isinstance(value, dict)}
