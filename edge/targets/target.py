"""For whom a file is written: what its graph reads and gives there, and what can run there."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_transformer.edge.compare.layers import find_layers
from keras_transformer.edge.compare.parity import Parity, measure_parity
from keras_transformer.edge.graphs.static import make_signatures
from keras_transformer.edge.precision import PRECISIONS, Precision
from keras_transformer.edge.runtime.names import LOGITS
from keras_transformer.edge.tflite.schema import check_ops
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class About:
    """What a file says of itself to people.

    Attributes:
        name: of the model.
        description: one sentence.
        version: of the model.
        license: under which it may be used.
    """

    name: str = "model"
    description: str = ""
    version: str = "1"
    license: str = "not stated"


class Target:
    """A host that calls a file's signatures with ids: the bundle `plain`.

    Args:
        about: what the file says of itself.

    Attributes:
        name: of the bundle.
        precisions: that the host can run.
        custom_ops: ops of the host's that the graph may have.
        is_stored: whether attached files stay uncompressed, for hosts that map them.
        knows_layers: whether `compare --layers`, which runs the ids of plain files, can open it.
    """

    name = "plain"
    precisions = tuple(PRECISIONS)
    custom_ops: tuple[str, ...] = ()
    is_stored = False
    knows_layers = True

    def __init__(self, about: About | None = None):
        self.about = About() if about is None else about

    def check(self, checkpoint: Checkpoint, spec: Precision, lengths: Sequence[int]) -> None:
        """Raises InputError for a model or a precision that the host cannot run."""
        if spec.name not in self.precisions:
            raise InputError(
                f"Expected a precision that the bundle {self.name} can run, which are "
                f"{', '.join(self.precisions)}; got precision={spec.name}."
            )
        # TFLite's embedding look-up and MediaPipe's tokenizer take it for granted.
        if checkpoint.tokenizer.pad_id != 0:
            raise InputError(
                f"Expected [PAD] to be id 0 of the vocabulary, got {checkpoint.tokenizer.pad_id}."
            )
        ids = checkpoint.config.source_vocab_size or checkpoint.config.vocab_size
        if checkpoint.tokenizer.vocab_size > ids:
            raise InputError(
                f"Expected a vocabulary of at most the embedding's {ids} ids, got "
                f"{checkpoint.tokenizer.vocab_size} pieces."
            )

    def output(self, checkpoint: Checkpoint) -> str:
        """Returns what an encoder's file gives: `LOGITS`, `PROBABILITIES` or `EMBEDDING`."""
        return LOGITS

    def given(self, model: keras.Model) -> keras.Model:
        """Returns the part of the model whose output the file gives."""
        return model

    def signatures(
        self, checkpoint: Checkpoint, model: keras.Model, lengths: Sequence[int], spec: Precision
    ) -> dict[str, Callable]:
        """Returns the functions of the file by name, see `make_signatures`."""
        return make_signatures(checkpoint, model, lengths)

    def check_graph(self, flatbuffer: bytes) -> None:
        """Raises RunError for an op that the host lacks, naming it with what it computes."""
        check_ops(flatbuffer, self.custom_ops)

    def finish(self, flatbuffer: bytes) -> bytes:
        """Returns the graph with what else the host reads of it."""
        return flatbuffer

    def layers(
        self, checkpoint: Checkpoint, model: keras.Model, flatbuffer: bytes, length: int,
        precision: str,
    ) -> dict[str, dict[str, int]]:
        """Returns where the model's layers stand in the graph, see `find_layers`, or none."""
        if not self.knows_layers:
            return {}
        return find_layers(checkpoint, model, flatbuffer, length, precision)

    def facts(self, flatbuffer: bytes) -> Mapping[str, Any]:
        """Returns what the file's description says of this host, as JSON can hold it.

        The graph still has the converter's names, by which an op that the host lacks is found.
        """
        return {}

    def files(self) -> Mapping[str, bytes]:
        """Returns attached files that only this host reads, by name."""
        return {}

    def parity(self, model: keras.Model, checkpoint: Checkpoint, data: bytes) -> Parity:
        """Compares the file's bytes with the Keras model on the checkpoint's probes."""
        return measure_parity(self.given(model), checkpoint, data)

    def require_encoder(self, checkpoint: Checkpoint, *, classes: bool) -> None:
        """Raises InputError for another task than one over single texts, or than classes."""
        task = checkpoint.task
        if task.generates or task.pair or (classes and not task.labels):
            wanted = "labels" if classes else "a task"
            raise InputError(
                f"Expected {wanted} of single texts for the bundle {self.name}, got "
                f"{'pairs in ' if task.pair else ''}{task.name}."
            )

    def require_one_length(self, lengths: Sequence[int]) -> None:
        """Raises InputError for a file of several lengths."""
        if len(lengths) > 1:
            raise InputError(
                f"Expected one length for the bundle {self.name}, got lengths="
                f"{','.join(map(str, lengths))}."
            )

    def require_wordpieces(self, checkpoint: Checkpoint) -> None:
        """Raises InputError for a tokenizer that BERT's tokenizer cannot stand in for."""
        kind = checkpoint.tokenizer.config.kind
        if kind != "wordpiece":
            raise InputError(
                f"Expected a tokenizer of word pieces for the bundle {self.name}, got "
                f"kind={kind!r}; train with --tokenizer wordpiece."
            )
