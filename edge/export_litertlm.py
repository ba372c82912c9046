"""A trained decoder and its tokenizer as one `.litertlm` file, which LiteRT-LM runs."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from litert_lm_builder import litertlm_builder
from litert_lm_builder.runtime.proto import llm_metadata_pb2

from keras_transformer.edge.convert import checked_lengths, to_graph
from keras_transformer.edge.export import Exported
from keras_transformer.edge.flatbuffer import output_step
from keras_transformer.edge.lm_signatures import make_lm_signatures
from keras_transformer.edge.lm_steps import LmSteps
from keras_transformer.edge.parity import steps_parity
from keras_transformer.edge.precision import precision_of
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.sentencepiece_model import to_sentencepiece
from keras_transformer.zoo.tokenizer import Tokenizer
from keras_transformer.zoo.trained import Trained

FILE = "model.litertlm"
# A prompt is read in pieces of these lengths, and of that of the caches. It takes a short one to
# read the next turn of a conversation where there is no room for a long one.
PREFILL_LENGTHS = 16, 64, 256


def export(
    trained: Trained, precision: str | None = None, lengths: Sequence[int] | None = None
) -> Exported:
    """Writes `model.litertlm`.

    Args:
        trained: a decoder with a sentencepiece tokenizer, float or quantized.
        precision: see `precision`; a quantized checkpoint's own, or float32 by default.
        lengths: tokens of the prefill signatures; the longest is that of the caches.

    Raises:
        InputError: a model that LiteRT-LM does not run, or a tokenizer that it does not have.
        RunError: the graph does not follow the Keras model.
    """
    _check(trained)
    if precision is None:
        precision = precision_of(trained.bits).name if trained.is_quantized else "float32"
    shorter = [length for length in PREFILL_LENGTHS if length < trained.max_length]
    lengths = checked_lengths(trained, lengths or [*shorter, trained.max_length])
    tokenizer = to_sentencepiece(trained.tokenizer)
    graph = to_graph(trained, precision, lengths=lengths, signatures=make_lm_signatures)
    steps = LmSteps(graph.flatbuffer, trained.config.num_layers, lengths)
    parity = steps_parity(graph.model, trained, steps, output_step(graph.flatbuffer))
    graph.check(parity)
    data = _pack(graph.flatbuffer, tokenizer, _metadata(trained.tokenizer, lengths[-1]))
    return Exported(
        files={FILE: data},
        description={"precision": precision, "lengths": lengths},
        measured={
            "tokens": str(parity.rows),
            "same choice": f"{parity.agreement:.1%}",
            "largest difference of logits": f"{parity.largest:.2g}",
        },
    )


def _check(trained):
    if trained.task != "language-modeling":
        raise InputError(
            "Expected a decoder trained for language-modeling, which is all that LiteRT-LM runs, "
            f"got a model of {trained.task}."
        )
    if trained.tokenizer.vocab_size != trained.config.vocab_size:
        raise InputError(
            f"Expected a vocabulary of the embedding's {trained.config.vocab_size} entries, got "
            f"{trained.tokenizer.vocab_size}."
        )


def _metadata(tokenizer: Tokenizer, max_tokens: int) -> bytes:
    """What the runtime has to know: where a text starts and ends, and what is never written."""
    metadata = llm_metadata_pb2.LlmMetadata()
    metadata.start_token.token_ids.ids.append(tokenizer.sep_id)
    metadata.stop_tokens.add().token_ids.ids.append(tokenizer.sep_id)
    special = range(len(SPECIAL_TOKENS))
    metadata.suppress_tokens.ids.extend(i for i in special if i != tokenizer.sep_id)
    metadata.max_num_tokens = max_tokens
    # Greedy by default, in the one kind of sampling that the runtime has on every device.
    greedy = metadata.sampler_params
    greedy.type, greedy.k, greedy.p, greedy.temperature = greedy.TOP_P, 1, 1.0, 1.0
    metadata.llm_model_type.generic_model.SetInParent()
    metadata.supports_thinking = metadata.supports_function_calling = False
    return metadata.SerializeToString()


def _pack(flatbuffer: bytes, tokenizer: bytes, metadata: bytes) -> bytes:
    """Returns the three as one file."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("metadata.pb", "model.tflite", "tokenizer.model")]
        for path, data in zip(paths, (metadata, flatbuffer, tokenizer), strict=True):
            path.write_bytes(data)
        builder = litertlm_builder.LitertLmFileBuilder()
        builder.add_llm_metadata(str(paths[0]))
        builder.add_tflite_model(str(paths[1]), litertlm_builder.TfLiteModelType.PREFILL_DECODE)
        builder.add_sentencepiece_tokenizer(str(paths[2]))
        packed = Path(folder) / FILE
        with packed.open("wb") as stream:
            builder.build(stream, validate_metadata=True)
        return packed.read_bytes()
