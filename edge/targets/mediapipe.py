"""Files for MediaPipe Tasks, its `TextClassifier` and `TextEmbedder`; for images see there.

They need three int32 inputs (1, T) that the metadata name `ids`, `mask` and `segment_ids`, BERT's
tokenizer with its vocabulary as a process unit, and probabilities of float32. Their tokenizer folds
only ASCII letters and keeps accents, so an app must normalize its text first
(docs/targets/normalization.md).
"""

import math
from collections.abc import Callable, Sequence

import keras
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.compare.parity import Parity
from keras_transformer.edge.graphs.static import probabilities, static_function
from keras_transformer.edge.precision import Precision
from keras_transformer.edge.runtime.names import EMBEDDING, PREDICT, PROBABILITIES
from keras_transformer.edge.targets import mediapipe_images as images
from keras_transformer.edge.targets.flatbuffer import FlatbufferWriter, temperature_of
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
from keras_transformer.zoo.tokenizers.piece_list import CLS, SEP, UNK

# Name of an input -> its description.
INPUTS = {
    "ids": "Ids of the word pieces, [CLS] first, [SEP] after the last, then 0.",
    "mask": "1 for a word piece, 0 for padding.",
    "segment_ids": "0: the model reads one text.",
}
OUTPUTS = {
    PROBABILITIES: "The probability of each label.",
    EMBEDDING: "The vector of the input, which the model's head reads.",
}
LOADING = """\
```python
from mediapipe.tasks import python
from mediapipe.tasks.python import text

options = text.{task}Options(base_options=python.BaseOptions(model_asset_path="{file}"))
with text.{task}.create_from_options(options) as task:
    print(task.{method}("a text, normalized first"))
```

MediaPipe's tokenizer folds ASCII letters only and keeps accents: the app folds case, removes
accents and puts a space for each control, format or separating character first."""
LABELS, CALIBRATION = "labels.txt", "score_calibration.txt"
# The last layers of models whose outputs are vectors.
_VECTORS = ("pooled_point", "unit_length")
_NUMBERS_OF_A_CALIBRATION = (3, 4)
# Longer words are unknown to MediaPipe's tokenizer, and no option says otherwise.
_MAX_BYTES_PER_WORD = 100


class MediaPipe(FlatbufferWriter):
    """Writer of the target `mediapipe`.

    Args:
        target, about: arguments of `Writer`.
        embedding: whether the file outputs the text's vector, for `TextEmbedder`, as that of a
            model of embeddings does in any case.
        score_calibration: lines for `TextClassifier`, one per label: scale, slope, offset and
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
        self.reads_images = False
        self.score_calibration = score_calibration

    def loads(self, checkpoint: Checkpoint) -> str | None:
        """Rejects checkpoints that MediaPipe Tasks cannot run, or would hang on."""
        if checkpoint.task.output == VECTORS:
            # It has nothing else to give.
            self.gives = EMBEDDING
        self.reads_images = checkpoint.modality.name == "image"
        reason = (
            super().loads(checkpoint)
            or self.needs_encoder(checkpoint, classes=self.gives == PROBABILITIES)
            or self.needs_probability(checkpoint)
            or (None if self.reads_images else self.needs_wordpieces(checkpoint))
        )
        if reason is not None:
            return reason
        if self.reads_images:
            return images.unread(checkpoint) or self._wrong_calibration(checkpoint)
        several = len(members_of(checkpoint.config))
        if self.gives == EMBEDDING and several > 1 and checkpoint.output_kind != VECTORS:
            return (
                f"Expected one model whose vector is the output, got {several} that answer as one; "
                "use a member, or one that keras-transformer distill makes of them."
            )
        if not checkpoint.tokenizer.config.lowercase:
            return (
                "Expected a tokenizer that folds case, as MediaPipe's always does, got "
                "lowercase=False."
            )
        return (
            _other_words(checkpoint)
            or _too_long_word(checkpoint)
            or self._wrong_calibration(checkpoint)
        )

    def loading(self, checkpoint: Checkpoint) -> str:
        """Returns a program for MediaPipe, and the normalization that it needs."""
        embeds = self.gives == EMBEDDING
        kind = "Image" if self.reads_images else "Text"
        return (
            (images.LOADING if self.reads_images else LOADING)
            .replace("{task}", f"{kind}Embedder" if embeds else f"{kind}Classifier")
            .replace("{method}", "embed" if embeds else "classify")
        )  # fmt: skip

    def output(self, checkpoint: Checkpoint) -> str:
        """Returns the kind of output."""
        return self.gives

    def given(self, model: keras.Model) -> keras.Model:
        """Returns the model, or its part that outputs the text's vector."""
        last = model.layers[-1]
        is_vector = last.name in _VECTORS or getattr(last, "combine", None) == "vectors"
        if self.gives == PROBABILITIES or is_vector:
            return model
        pooled = model.get_layer("pooled_point").output
        return keras.Model(model.inputs, keras.ops.cast(pooled, "float32"))

    def signatures(
        self, checkpoint: Checkpoint, model: keras.Model, lengths: Sequence[int], spec: Precision
    ) -> dict[str, Callable]:
        """Returns `predict` of `ids`, `mask` and `segment_ids`, or of `pixels`."""
        given = self.given(model)

        def predict(inputs):
            if not self.reads_images:
                # Each input must be used, or the converter would drop it: masked tokens, and those
                # of a second text, count as padding.
                real = inputs["mask"] * (1 - inputs["segment_ids"])
                inputs = {"ids": inputs["ids"] * real}
            outputs = given(inputs, training=False)
            if self.gives == PROBABILITIES:
                outputs = probabilities(outputs, temperature_of(checkpoint))
            return {self.gives: outputs}

        inputs = {name: ((1, lengths[-1]), "int32") for name in INPUTS}
        if self.reads_images:
            inputs = {one.name: (one.size(1, None), one.dtype) for one in checkpoint.inputs}
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
            license=about.license, outputs=[output],
            vocabulary="" if self.reads_images else "vocab.txt",
            inputs=[
                images.INPUTS[name] if self.reads_images
                else TensorInfo(name=name, description=INPUTS[name])
                for name in _inputs(flatbuffer)
            ],
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


def _other_words(checkpoint: Checkpoint) -> str | None:
    """Returns a reason if MediaPipe would look up other special tokens, or read other words."""
    config = checkpoint.tokenizer.config
    names = (config.special.unk, config.special.begin, config.special.end)
    if names != (UNK, CLS, SEP):
        return (
            f"Expected the special tokens {UNK}, {CLS} and {SEP}, which MediaPipe's tokenizer "
            f"looks up by name, got {', '.join(map(str, names))}; use --target plain or text."
        )
    if config.normalization == "bert":
        return (
            "Expected a vocabulary of this project's own normalization, which an app does before "
            "MediaPipe's tokenizer, got normalization='bert'; use --target plain or text."
        )
    return None


def _too_long_word(checkpoint: Checkpoint) -> str | None:
    """Names a word of the probes that the tokenizer knows and MediaPipe's would not."""
    tokenizer = checkpoint.tokenizer
    words = [
        word for row in checkpoint.probes["ids"] for word in tokenizer.model.split(
            tokenizer.decode(row)
        )
    ]  # fmt: skip
    longest = max((len(word.encode()) for word in words), default=0)
    if longest > _MAX_BYTES_PER_WORD:
        return (
            f"Expected words of at most the {_MAX_BYTES_PER_WORD} bytes that MediaPipe's tokenizer "
            f"reads, got one of {longest} bytes in the validation data; use --target plain or text."
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
