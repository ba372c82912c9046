"""Files for MediaPipe Tasks: classifiers of texts, images and sounds, embedders of the first two.

What a host reads is in a module for each modality; all of them need probabilities or vectors of
float32, and the labels attached.
"""

import math
from collections.abc import Callable, Sequence

import keras
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.compare.parity import Parity
from keras_transformer.edge.graphs.static import probabilities, static_function
from keras_transformer.edge.precision import Precision
from keras_transformer.edge.runtime.names import EMBEDDING, PREDICT, PROBABILITIES
from keras_transformer.edge.targets.flatbuffer import FlatbufferWriter, temperature_of
from keras_transformer.edge.targets.mediapipe import images, sounds, texts
from keras_transformer.edge.targets.target import About, Target
from keras_transformer.edge.tflite.metadata import (
    AXIS_LABELS,
    AXIS_SCORE_CALIBRATION,
    AttachedFile,
    ModelInfo,
    TensorInfo,
    add_metadata,
)
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.models.fused_config import members_of
from keras_transformer.zoo.numerals import read_number
from keras_transformer.zoo.outputs import EMBEDDING as VECTORS

# What reads each modality.
READERS = {"text": texts, "image": images, "audio": sounds}
OUTPUTS = {
    PROBABILITIES: "The probability of each label.",
    EMBEDDING: "The vector of the input, which the model's head reads.",
}
LABELS, CALIBRATION = "labels.txt", "score_calibration.txt"
_NUMBERS_OF_A_CALIBRATION = (3, 4)


class MediaPipe(FlatbufferWriter):
    """Writer of the target `mediapipe`.

    Args:
        target, about: arguments of `Writer`.
        embedding: whether the file outputs the vector, for an embedder, as that of a model of
            embeddings does in any case.
        score_calibration: lines for a classifier, one per label: scale, slope, offset and
            optionally the lowest score to map, separated by commas; or an empty line.
    """

    is_stored = True
    knows_layers = False
    has_lengths = False

    def __init__(
        self, target: Target, about: About, *, embedding: bool = False,
        score_calibration: bytes | None = None,
    ):  # fmt: skip
        super().__init__(target, about)
        self.gives = EMBEDDING if embedding else PROBABILITIES
        self.reader, self.has_vectors = texts, False
        self.inputs: dict[str, TensorInfo] = {}
        self.score_calibration = score_calibration

    def loads(self, checkpoint: Checkpoint) -> str | None:
        """Rejects checkpoints that MediaPipe Tasks cannot run, or would hang on."""
        self.has_vectors = checkpoint.task.output == VECTORS
        if self.has_vectors:
            # It has nothing else to give.
            self.gives = EMBEDDING
        if checkpoint.modality.name not in READERS:
            return (
                f"Expected a model of {', '.join(READERS)} for the target {self.name}, got one of "
                f"{checkpoint.modality.name}; convert for the target plain."
            )
        self.reader = READERS[checkpoint.modality.name]
        self.inputs = self.reader.tensors(checkpoint)
        reason = (
            super().loads(checkpoint)
            or self.needs_encoder(checkpoint, classes=self.gives == PROBABILITIES)
            or self.needs_probability(checkpoint)
            or (self.needs_wordpieces(checkpoint) if self.reader is texts else None)
        )
        if reason is not None:
            return reason
        if self.gives == EMBEDDING and not self.reader.EMBEDS:
            return (
                f"Expected a classifier of {checkpoint.modality.rows} for the target {self.name}, "
                f"whose {self.reader.KIND}Embedder loads no .tflite files, got a model that gives "
                "vectors; use --target plain."
            )
        several = len(members_of(checkpoint.config))
        if self.gives == EMBEDDING and several > 1 and checkpoint.output_kind != VECTORS:
            return (
                f"Expected one model whose vector is the output, got {several} that answer as one; "
                "use a member, or one that keras-transformer distill makes of them."
            )
        return self.reader.unread(checkpoint) or self._wrong_calibration(checkpoint)

    def loading(self, checkpoint: Checkpoint) -> str:
        """Returns a program for MediaPipe, and what it leaves to an app."""
        task, method = ("Embedder", "embed") if self.gives == EMBEDDING else (
            "Classifier", "classify"
        )  # fmt: skip
        return self.reader.LOADING.replace("{task}", f"{self.reader.KIND}{task}").replace(
            "{method}", method
        )

    def output(self, checkpoint: Checkpoint) -> str:
        """Returns the kind of output."""
        return self.gives

    def given(self, model: keras.Model) -> keras.Model:
        """Returns the model, or its part that outputs the vector."""
        if self.gives == PROBABILITIES or self.has_vectors:
            return model
        pooled = model.get_layer("pooled_point").output
        return keras.Model(model.inputs, keras.ops.cast(pooled, "float32"))

    def signatures(
        self, checkpoint: Checkpoint, model: keras.Model, lengths: Sequence[int], spec: Precision
    ) -> dict[str, Callable]:
        """Returns `predict` of the inputs that the host finds by their names."""
        given = self.given(model)

        def predict(inputs):
            if self.reader is texts:
                # Each input must be used, or the converter would drop it: masked tokens, and those
                # of a second text, count as padding.
                real = inputs["mask"] * (1 - inputs["segment_ids"])
                inputs = {"ids": inputs["ids"] * real}
            outputs = given(inputs, training=False)
            if self.gives == PROBABILITIES:
                outputs = probabilities(outputs, temperature_of(checkpoint))
            return {self.gives: outputs}

        inputs = {one.name: (one.size(1, None), one.dtype) for one in checkpoint.inputs}
        if self.reader is texts:
            inputs = {name: ((1, lengths[-1]), "int32") for name in self.inputs}
        return {PREDICT: static_function(predict, inputs)}

    def finish(self, flatbuffer: bytes) -> bytes:
        """Returns the graph with its metadata."""
        labels = ()
        if self.gives == PROBABILITIES:
            labels = (AttachedFile(name=LABELS, kind=AXIS_LABELS),)
        if self.score_calibration is not None:
            labels += (AttachedFile(name=CALIBRATION, kind=AXIS_SCORE_CALIBRATION),)
        output = TensorInfo(
            name=self.gives, description=OUTPUTS[self.gives], files=labels,
            calibrated=self.score_calibration is not None,
        )  # fmt: skip
        about = self.about
        info = ModelInfo(
            name=about.name, description=about.description, version=about.version,
            license=about.license, outputs=[output], vocabulary=self.reader.VOCABULARY,
            inputs=[self.inputs[name] for name in _inputs(flatbuffer)],
        )  # fmt: skip
        return add_metadata(flatbuffer, info)

    def files(self) -> dict[str, bytes]:
        """Returns the score calibration, if there is one."""
        return {} if self.score_calibration is None else {CALIBRATION: self.score_calibration}

    def parity(self, model: keras.Model, checkpoint: Checkpoint, data: bytes) -> Parity:
        """Compares the file's bytes with the exported part of the Keras model."""
        return super().parity(self.given(model), checkpoint, data)

    def _wrong_calibration(self, checkpoint: Checkpoint) -> str | None:
        """Returns an error message if there is a score calibration and it is invalid."""
        if self.score_calibration is None:
            return None
        labels = checkpoint.labels
        if checkpoint.task.output == VECTORS:
            return (
                "Expected no score calibration for a model of vectors, which has no scores, got "
                f"one for {checkpoint.task.name}."
            )
        lines = self.score_calibration.decode().splitlines()
        if len(lines) != len(labels):
            return (
                f"Expected a line of score calibration for each of {len(labels)} labels, got "
                f"{len(lines)}."
            )
        for number, line in enumerate(lines, start=1):
            if line and not _is_calibration(line.split(",")):
                return (
                    "Expected scale, slope, offset and at most a lowest score with commas between "
                    f"in line {number} of the score calibration, got {line!r}."
                )
        return None


def _is_calibration(parts: Sequence[str]) -> bool:
    numbers = [read_number(part) for part in parts]
    finite = all(number is not None and math.isfinite(number) for number in numbers)
    return len(numbers) in _NUMBERS_OF_A_CALIBRATION and finite and numbers[0] >= 0


def _inputs(flatbuffer: bytes) -> list[str]:
    """The signature's names in the order of the subgraph's inputs, which the converter chose."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    names = {one.tensorIndex: one.name.decode() for one in model.signatureDefs[0].inputs}
    return [names[place] for place in model.subgraphs[0].inputs.tolist()]
