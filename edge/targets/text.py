"""Files that read strings, with the tokenizer in the graph as ops of TensorFlow Text.

Standard Android and web runtimes lack these ops; Python and C++ hosts that link TensorFlow Text
have them. With float activations a call takes any number of texts, else one.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
import tensorflow_text

from keras_transformer.edge.compare.parity import Parity, outputs_difference
from keras_transformer.edge.compare.probes import keras_outputs
from keras_transformer.edge.graphs.static import probabilities
from keras_transformer.edge.precision import Precision
from keras_transformer.edge.runtime.names import LOGITS, PREDICT, PROBABILITIES, TEXTS
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.flatbuffer import FlatbufferWriter, temperature_of
from keras_transformer.edge.targets.normalizer_model import normalizer_model
from keras_transformer.reading import outputs_read_alone
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import RunError
from keras_transformer.zoo.outputs import CLASSES
from keras_transformer.zoo.tokenizers.piece_list import CONTINUATION
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

LOADING = """\
```python
import tensorflow_text
from ai_edge_litert.interpreter import InterpreterWithCustomOps

interpreter = InterpreterWithCustomOps(
    model_path="{file}",
    custom_op_registerers=tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS,
)
predict = interpreter.get_signature_runner("predict")
print(predict(texts=[b"a text"]))
```"""


class TextGraph(FlatbufferWriter):
    """Writer of the target `text`."""

    custom_ops = (
        "FastBertNormalize", "FastWordpieceTokenizeWithOffsets", "RaggedTensorToTensor"
    )
    knows_layers = False
    has_lengths = False

    def loads(self, checkpoint: Checkpoint) -> str | None:
        """Rejects tokenizers that TensorFlow Text's ops cannot reproduce in a file."""
        return (
            super().loads(checkpoint)
            or self.needs_encoder(checkpoint, classes=False)
            or self.needs_probability(checkpoint)
            or self.needs_wordpieces(checkpoint)
        )

    def loading(self, checkpoint: Checkpoint) -> str:
        """Returns a program that links TensorFlow Text's ops."""
        return LOADING

    def output(self, checkpoint: Checkpoint) -> str:
        """Returns `PROBABILITIES` of classes, or else `LOGITS`."""
        return PROBABILITIES if checkpoint.output_kind == CLASSES else LOGITS

    def signatures(
        self, checkpoint: Checkpoint, model: keras.Model, lengths: Sequence[int], spec: Precision
    ) -> dict[str, Callable]:
        """Returns `predict` of `texts` (B,), which also outputs the ids (B, T)."""
        gives = self.output(checkpoint)
        # With a free number of rows the converter multiplies reshaped rows, by kernels that stay
        # float where activations are stored.
        rows = 1 if spec.is_static else None
        encode = _encoder(checkpoint, lengths[-1])

        def predict(inputs):
            ids = encode(inputs[TEXTS])
            with outputs_read_alone():
                outputs = model({"ids": ids}, training=False)
            if gives == PROBABILITIES:
                outputs = probabilities(outputs, temperature_of(checkpoint))
            return {gives: outputs, "ids": ids}

        specs = {TEXTS: tf.TensorSpec([rows], tf.string, TEXTS)}
        return {PREDICT: tf.function(predict, input_signature=[specs], autograph=False)}

    def parity(self, model: keras.Model, checkpoint: Checkpoint, data: bytes) -> Parity:
        """Compares on the texts of the checkpoint's probes.

        Raises:
            RunError: if the graph's ids of a text differ from the tokenizer's.
        """
        runner = Runner(data)
        texts = [checkpoint.tokenizer.decode(row) for row in checkpoint.probes["ids"]]
        pairs = [runner.run_texts([text]) for text in texts]
        outputs, found = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        encoded = checkpoint.tokenizer.encode(texts, max_length=runner.max_length)
        ids, _ = encoded.pad(runner.max_length)
        for text, expected, row in zip(texts, ids, found, strict=True):
            if not np.array_equal(expected, row):
                raise RunError(
                    f"Expected the graph to read {text!r} as the ids {np.trim_zeros(expected)}, "
                    f"got {np.trim_zeros(row)}."
                )
        return outputs_difference(keras_outputs(model, {"ids": ids}), outputs, runner)


def _encoder(checkpoint: Checkpoint, length: int) -> Callable:
    """Returns a function from strings (B,) to int32 ids (B, T), equal to `Tokenizer`'s."""
    tokenizer, config = checkpoint.tokenizer, checkpoint.tokenizer.config
    splitter = tensorflow_text.FastBertTokenizer(
        vocab=list(tokenizer.vocabulary),
        suffix_indicator=CONTINUATION,
        max_bytes_per_word=config.most_bytes_per_word,
        token_out_type=tf.int32,
        unknown_token=config.special.unk,
        support_detokenization=False,
        fast_bert_normalizer_model_buffer=normalizer_model(
            normalization=config.normalization, **config.fold
        ),
    )
    limit = config.max_characters_per_word

    def encode(texts):
        # The only ragged op with a kernel on the device.
        if limit is None:
            pieces = splitter.tokenize(texts).to_tensor(-1, shape=[texts.shape[0], length - 2])
        else:
            pieces = splitter.tokenize(texts).to_tensor(-1, shape=[texts.shape[0], None])
            pieces = _without_long_words(pieces, tokenizer, limit, length - 2)
        count = tf.reduce_sum(tf.cast(pieces >= 0, tf.int32), axis=1, keepdims=True)
        pieces = tf.pad(tf.maximum(pieces, tokenizer.pad_id), [[0, 0], [0, 1]])
        is_end = tf.equal(tf.range(length - 1)[None], count)
        pieces = tf.where(is_end, tokenizer.sep_id, pieces)
        return tf.pad(pieces, [[0, 0], [1, 0]], constant_values=tokenizer.cls_id)

    return encode


def _without_long_words(pieces: tf.Tensor, tokenizer: Tokenizer, limit: int, length: int):
    """Makes [UNK] of words with too many characters, which the op counts in bytes.

    Args:
        pieces: (B, N) of int32, -1 behind the end of a row.
        tokenizer: whose ids they are.
        limit: the most characters of a word.
        length: T.

    Returns:
        The pieces (B, T) of int32, the ends of longer rows cut off.
    """
    # A text without a word has no column, of which the ops below have no kernel.
    pieces = tf.pad(pieces, [[0, 0], [0, 1]], constant_values=-1)
    names = [piece.removeprefix(CONTINUATION) for piece in tokenizer.vocabulary]
    continues = [a != b for a, b in zip(names, tokenizer.vocabulary, strict=True)]
    # In the last place what -1 stands for, which continues nothing.
    sizes = tf.constant([*map(len, names), 0], tf.int32)
    begins = tf.constant([*(int(not one) for one in continues), 1], tf.int32)
    shape = tf.shape(pieces)
    ids = tf.reshape(pieces, [-1])
    places = tf.where(ids < 0, len(names), ids)
    begin = tf.gather(begins, places)
    words = tf.cumsum(begin) - 1
    is_long = tf.math.segment_sum(tf.gather(sizes, places), words) > limit
    is_long = tf.gather(tf.cast(is_long, tf.int32), words)
    ids = tf.where(is_long > 0, tokenizer.unk_id, ids)
    # Of a long word its first piece stays, of a row the first T pieces: others go to a last column.
    kept = tf.cast(ids >= 0, tf.int32) * (1 - is_long * (1 - begin))
    columns = tf.cumsum(tf.reshape(kept, shape), axis=1) - 1
    columns = tf.where(tf.reshape(kept, shape) > 0, tf.minimum(columns, length), length)
    rows = tf.range(shape[0])[:, None] + tf.zeros_like(columns)
    index = tf.stack([tf.reshape(rows, [-1]), tf.reshape(columns, [-1])], axis=1)
    # Where nothing is written there is 0, hence the 1.
    written = tf.scatter_nd(index, ids + 1, tf.stack([shape[0], length + 1]))
    return written[:, :length] - 1
