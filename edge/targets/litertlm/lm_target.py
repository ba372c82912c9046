"""LiteRT-LM as a host: what its graph reads and gives, and what can run there."""

from collections.abc import Callable, Sequence

import keras

from keras_transformer.edge.compare.parity import Parity, steps_parity
from keras_transformer.edge.precision import PRECISIONS, Precision
from keras_transformer.edge.targets.litertlm.lm_signatures import make_lm_signatures
from keras_transformer.edge.targets.litertlm.lm_steps import LmSteps
from keras_transformer.edge.targets.target import Target
from keras_transformer.edge.tflite.schema import output_step
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError


class LiteRtLm(Target):
    """Decoders whose tokenizer is SentencePiece's."""

    name = "litertlm"
    # The mask is one of floats.
    precisions = tuple(name for name in PRECISIONS if name != "integer")
    knows_layers = False

    def check(self, checkpoint: Checkpoint, spec: Precision, lengths: Sequence[int]) -> None:
        """Raises InputError for what LiteRT-LM cannot run."""
        super().check(checkpoint, spec, lengths)
        config, tokenizer = checkpoint.config, checkpoint.tokenizer
        if config.architecture != "decoder":
            raise InputError(
                "Expected a decoder, which is all that LiteRT-LM runs, got an "
                f"{config.architecture}; keras-transformer convert writes it as a .tflite file."
            )
        if tokenizer.config.kind != "sentencepiece":
            raise InputError(
                "Expected a tokenizer of the kind sentencepiece, which LiteRT-LM has, got "
                f"kind={tokenizer.config.kind}; train the model with --tokenizer sentencepiece."
            )
        if tokenizer.vocab_size != config.vocab_size:
            raise InputError(
                f"Expected a tokenizer of the {config.vocab_size} tokens that the model embeds, "
                f"got one of {tokenizer.vocab_size}."
            )
        if spec.is_static and not checkpoint.is_quantized:
            raise InputError(
                f"Expected a checkpoint that was quantized for {spec.name}, got a float one; make "
                f"it with keras-transformer quantize --precision {spec.name}."
            )

    def signatures(
        self, checkpoint: Checkpoint, model: keras.Model, lengths: Sequence[int], spec: Precision
    ) -> dict[str, Callable]:
        """Returns `decode` and every `prefill_N`, see `lm_signatures`."""
        return make_lm_signatures(checkpoint, model, lengths)

    def parity(self, model: keras.Model, checkpoint: Checkpoint, data: bytes) -> Parity:
        """Compares the file's bytes with the Keras model on the checkpoint's probes."""
        return steps_parity(model, checkpoint, LmSteps(data), output_step(data))
