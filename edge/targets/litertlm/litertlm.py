"""Export of a decoder and its tokenizer to one `.litertlm` file for LiteRT-LM."""

import dataclasses
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import keras

from keras_transformer.edge.compare.parity import Parity, steps_parity
from keras_transformer.edge.convert.convert import Request
from keras_transformer.edge.precision import Precision
from keras_transformer.edge.targets.artifact import Artifact
from keras_transformer.edge.targets.flatbuffer import FlatbufferWriter
from keras_transformer.edge.targets.litertlm.lm_file import pack
from keras_transformer.edge.targets.litertlm.lm_parity import check_continued
from keras_transformer.edge.targets.litertlm.lm_replay import MODEL
from keras_transformer.edge.targets.litertlm.lm_signatures import make_lm_signatures
from keras_transformer.edge.targets.litertlm.lm_steps import LmSteps
from keras_transformer.edge.targets.target import About, Target
from keras_transformer.edge.tflite.schema import output_step
from keras_transformer.zoo.chat.chat import Chat
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.vocabularies.sentencepiece import to_sentencepiece

RUNTIME = "litert_lm"
# A prompt is read in pieces of these lengths, and of that of the caches. A short one is needed to
# read the next turn of a conversation where there is no room for a long one.
PREFILL_LENGTHS = 16, 64, 256
LOADING = """\
```python
import litert_lm

with litert_lm.Engine("{file}") as engine:
    with engine.create_session(apply_prompt_template=False, max_output_tokens=64) as session:
        session.run_prefill(["a text"])
        print("".join(text for made in session.run_decode_async() for text in made.texts))
```"""


class LiteRtLm(FlatbufferWriter):
    """Writer of the target `litertlm`: decoders with a SentencePiece tokenizer.

    Args:
        target, about: see `Writer`.
        slow_on_arm: whether precisions are written that are slow on phones.
    """

    knows_layers = False
    artifact = Artifact

    def __init__(self, target: Target, about: About, *, slow_on_arm: bool = False):
        super().__init__(target, about)
        self.slow_on_arm = slow_on_arm

    def loads(self, checkpoint: Checkpoint) -> str | None:
        """Rejects all but decoders with a SentencePiece tokenizer of equal vocabulary size."""
        reason = super().loads(checkpoint)
        if reason is not None:
            return reason
        config = checkpoint.config
        if config.architecture != "decoder":
            return (
                "Expected a decoder, which is all that LiteRT-LM runs, got an "
                f"{config.architecture}; --target plain writes it as a .tflite file."
            )
        tokenizer = checkpoint.tokenizer
        if tokenizer.config.kind != "sentencepiece":
            return (
                "Expected a tokenizer of the kind sentencepiece, which LiteRT-LM has, got "
                f"kind={tokenizer.config.kind}; train the model with --tokenizer sentencepiece."
            )
        if tokenizer.vocab_size != config.vocab_size:
            return (
                f"Expected a tokenizer of the {config.vocab_size} tokens that the model embeds, "
                f"got one of {tokenizer.vocab_size}."
            )
        return None

    def refuses(self, precision: Precision) -> str | None:
        """Returns a reason for what is slow on phones, which are the hosts of this target."""
        if not precision.caution or self.slow_on_arm:
            return None
        return (
            f"Expected another precision for the target {self.name}, whose hosts are phones, or "
            f"--slow-on-arm, got precision={precision.name}: {precision.caution}"
        )

    def write(self, request: Request) -> Artifact:
        """Returns `model.litertlm`.

        Raises:
            RunError: if the graph does not match the Keras model, or LiteRT-LM, if it is installed,
                does not generate the same text as the graph.
        """
        graph, checkpoint = self.graph(request), request.checkpoint
        length, pieces = graph.description["max_length"], to_sentencepiece(checkpoint.tokenizer)
        chat = getattr(checkpoint.modality, "chat", None)
        affixes, told = {}, ""
        if chat is not None:
            affixes, told = _affixes_of(chat, checkpoint.tokenizer)
        packed = pack(bytes(graph), pieces, checkpoint.tokenizer, length, chat, affixes)
        continued = "not installed"
        if find_spec(RUNTIME) is not None:
            num_tokens = check_continued(packed, bytes(graph), checkpoint)
            continued = f"the same, up to {num_tokens} of each prompt"
        measured = {"greedy tokens of LiteRT-LM": continued}
        if told:
            measured["chat"] = told
        return dataclasses.replace(graph, files={MODEL: packed}, measured=measured)

    def graph(self, request: Request) -> Artifact:
        """Returns the `.tflite` file to pack."""
        return super().write(request)

    def default_lengths(self, checkpoint: Checkpoint) -> list[int]:
        """Returns lengths for prompts of any length, and that of the caches."""
        shorter = [length for length in PREFILL_LENGTHS if length < checkpoint.max_length]
        return [*shorter, checkpoint.max_length]

    def signatures(
        self, checkpoint: Checkpoint, model: keras.Model, lengths: Sequence[int], spec: Precision
    ) -> dict[str, Callable]:
        """Returns `decode` and every `prefill_N`, see `lm_signatures`."""
        return make_lm_signatures(checkpoint, model, lengths)

    def parity(self, model: keras.Model, checkpoint: Checkpoint, data: bytes) -> Parity:
        """Compares the file's bytes with the Keras model on the checkpoint's probes."""
        return steps_parity(model, checkpoint, LmSteps(data), output_step(data))

    def loading(self, checkpoint: Checkpoint) -> str:
        """Returns a program for LiteRT-LM."""
        return LOADING


def _affixes_of(chat: Chat, tokenizer: Tokenizer) -> tuple[dict[str, tuple[str, str]], str]:
    """The texts around messages by role, none if that is not all of a template; and what it is."""
    derived = chat.derived()
    if derived.turns is None:
        reason = derived.reason or "jinja2, which is not installed, shows what it says"
        return {}, f"the template alone: {reason}"
    # LiteRT-LM writes the start token itself.
    start = tokenizer.config.special.end
    is_there = derived.turns.opening.startswith(start)
    try:
        affixes = derived.turns.affixes(start if is_there else "")
    except InputError as error:
        return {}, f"the template alone: {error}"
    return affixes, f"the template, and the texts around messages of {', '.join(affixes)}"
