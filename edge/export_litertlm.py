"""A trained decoder and its tokenizer as one `.litertlm` file, which LiteRT-LM runs."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from litert_lm_builder import litertlm_builder
from litert_lm_builder.runtime.proto import llm_metadata_pb2

from keras_transformer.edge.convert import checked_lengths, to_graph
from keras_transformer.edge.export import Exported
from keras_transformer.edge.flatbuffer import output_step
from keras_transformer.edge.lm_signatures import make_lm_signatures
from keras_transformer.edge.names import DECODE, INPUT_POS, MASK, PREFILL, TOKENS, cache_names
from keras_transformer.edge.parity import steps_parity
from keras_transformer.edge.precision import precision_of
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.sentencepiece_model import to_sentencepiece
from keras_transformer.zoo.tokenizer import Tokenizer, pad_rows
from keras_transformer.zoo.trained import Trained

FILE = "model.litertlm"
# A prompt is read in pieces of these lengths; a conversation's next turn needs one that still fits
# behind what was said, so that the length of the caches alone would end it after the first.
SHORT_PREFILL = 16
# What the executor has where a token does not attend.
MASKED = -0.7 * float(np.finfo("float32").max)


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
    lengths = checked_lengths(
        trained, lengths or {min(SHORT_PREFILL, trained.max_length), trained.max_length}
    )
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


class LmSteps:
    """The graph's side of generation as LiteRT-LM calls it, see `text_generation.Model`.

    Args:
        flatbuffer: with the signatures of `make_lm_signatures`.
        num_blocks: of the decoder.
        lengths: of its prefills, ascending.
    """

    batch_size = 1

    def __init__(self, flatbuffer: bytes, num_blocks: int, lengths: Sequence[int]):
        self.cache_length = lengths[-1]
        self._lengths = lengths
        self._interpreter = Interpreter(model_content=flatbuffer)
        decode = self._interpreter.get_signature_runner(DECODE)
        inputs = decode.get_input_details()
        self.vocab_size = int(decode.get_output_details()["logits"]["shape"][-1])
        self._empty = {
            name: np.zeros(inputs[name]["shape"], "float32") for name in cache_names(num_blocks)
        }

    def prefill(self, prompts):
        """Reads each prompt in pieces, the longest that fit first, the last one padded."""
        return [self._filled(prompt) for prompt in prompts]

    def step(self, tokens, cache):
        made = [self._fed(DECODE, tokens[i : i + 1], *row) for i, row in enumerate(cache)]
        logits = np.stack([outputs.pop("logits")[0, 0] for outputs, _ in made])
        return logits, made

    def select(self, cache, rows):
        return [cache[row] for row in rows]

    def _filled(self, prompt):
        caches, position = self._empty, 0
        while position < len(prompt):
            left = len(prompt) - position
            length = max((n for n in self._lengths if n <= left), default=self._lengths[0])
            name = f"{PREFILL}_{length}"
            if position + length > self.cache_length:
                name, length = DECODE, 1
            piece = prompt[position : position + length]
            caches, position = self._fed(name, piece, caches, position, length)
            caches.pop("logits", None)
        return caches, position

    def _fed(self, signature, tokens, caches, position, length=1):
        """What a signature gives for tokens behind those of the caches, and how many there are."""
        runner = self._interpreter.get_signature_runner(signature)
        behind = position + len(tokens)
        places = np.arange(position, behind, dtype="int32")
        mask = np.full((1, 1, length, self.cache_length), MASKED, "float32")
        for row, place in enumerate(places):
            mask[..., row, : place + 1] = 0
        inputs = {
            TOKENS: pad_rows([tokens], length), INPUT_POS: pad_rows([places], length)[0],
            MASK: mask,
        }  # fmt: skip
        return runner(**inputs, **caches), behind
