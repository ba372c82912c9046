"""Training and validation text of a run, as blocks of whole texts with masked words."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.data.plain_text import PlainText, token_stream
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.masking.masking import Masking, mask_id, most_masked
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.tasks.masked.scores import ReplacementScores
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

if TYPE_CHECKING:
    import keras

NUM_PROBES = 16
_VALIDATION_TOKENS = 2048


@dataclasses.dataclass(frozen=True, eq=False)
class MaskedText:
    """Blocks of a text with masks or replacements.

    Attributes:
        ids: (T,) of each block, special tokens included.
        targets: (T,) of each block, see `Masking`.
    """

    ids: Sequence[np.ndarray]
    targets: Sequence[np.ndarray]

    @classmethod
    def of(
        cls, blocks: Sequence[np.ndarray], tokenizer: Tokenizer, task: Any,
        rng: np.random.Generator,
    ) -> Self:  # fmt: skip
        """Returns blocks as a task hides their words.

        Args:
            blocks: ids of each block.
            tokenizer: tokenizer of the blocks.
            task: `MaskedLanguageModeling`.
            rng: random generator.
        """
        masking = Masking(tokenizer=tokenizer, share=task.mask_share)
        drawn = masking.masked if task.restores else masking.replaced
        return cls(*drawn(blocks, rng))

    def batches(self, batch_tokens: int, seed: int = 0) -> Batches:
        """Returns the blocks as batches, padded to the longest."""
        return Batches(
            {"ids": self.ids}, self.targets, batch_tokens=batch_tokens, bucket=None, seed=seed
        )


def text_blocks(plain: PlainText, modality: Text) -> list[np.ndarray]:
    """Cuts a text into blocks of `max_length` tokens, special ones included."""
    return framed_blocks(token_stream(plain, modality.tokenizer), modality)


def room_of(modality: Text) -> int:
    """Returns the number of tokens of a text between its special tokens.

    Raises:
        InputError: if nothing but special tokens fits in.
    """
    special = modality.tokenizer.single_frame.size
    if modality.max_length <= special:
        raise InputError(
            f"Expected max_length to be at least {1 + special}, "
            f"got max_length={modality.max_length}."
        )
    return modality.max_length - special


def framed_blocks(stream: np.ndarray, modality: Text) -> list[np.ndarray]:
    """Cuts a stream of ids (N,) into blocks with the special tokens around a text."""
    before, _, after = modality.tokenizer.single_frame
    room = room_of(modality)
    return [
        np.array([*before, *stream[start : start + room], *after], np.int32)
        for start in range(0, len(stream), room)
    ]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MaskedData:
    """Training and validation text of `MaskedLanguageModeling`, see `RunData`.

    Attributes:
        train, validation: texts.
        modality: modality that encodes them.
    """

    task: Any
    train: PlainText
    validation: PlainText
    modality: Text

    @property
    def vocab_sizes(self) -> dict[str, int]:
        return self.modality.model_settings()

    def batches(
        self, *, batch_tokens: int, bucket: int, seed: int, piece_dropout: float = 0.0
    ) -> SampledBatches:
        """Returns the training batches: blocks with another start and other masks in each epoch.

        All blocks have the same length, so there is nothing to bucket.
        """
        if piece_dropout:
            raise InputError(
                f"Expected piece_dropout to be 0 for {self.task.name}, "
                f"got piece_dropout={piece_dropout}."
            )
        tokenizer, stream, room = self.modality.tokenizer, self._stream, self._room

        def sample(epoch: int) -> Batches:
            rng = np.random.default_rng((seed, epoch))
            # The same number of blocks in every epoch, whatever its start.
            spare = len(stream) - room
            start = int(rng.integers(min(room, spare + 1))) if spare > 0 else 0
            count = max(1, len(stream) // room - 1)
            blocks = framed_blocks(stream[start:], self.modality)[:count]
            return MaskedText.of(blocks, tokenizer, self.task, rng).batches(batch_tokens, seed)

        return SampledBatches(sample)

    @property
    def longest(self) -> int:
        """Number of tokens of a training block."""
        return self.modality.max_length - self._room + min(self._room, len(self._stream))

    def learner(
        self, model: "keras.Model", config: TransformerConfig, loss_chunk: int = 0
    ) -> "keras.Model":
        """Returns what training steps train in place of the model, see `Fit`.

        Raises:
            InputError: if the logits of a generator, which writes by them, are to come in chunks.
        """
        from keras_transformer.zoo.tasks.masked.learners import MaskedLearner, ReplacedLearner

        most = most_masked(self.task.mask_share, self.longest)
        if self.task.restores:
            return MaskedLearner(model, most, loss_chunk)
        if loss_chunk:
            raise InputError(
                "Expected loss_chunk to be 0 for objective=replaced, got "
                f"loss_chunk={loss_chunk}."
            )
        return ReplacedLearner(model, config, most, mask_id(self.modality.tokenizer))

    def validator(self) -> "Callable[[keras.Model], dict[str, Any]]":
        if not self.task.restores:
            return self._replacements
        from keras_transformer.zoo.evaluation.perplexity import Perplexity

        return Perplexity(self._fixed.batches(_VALIDATION_TOKENS))

    def _replacements(self, model: "keras.Model") -> dict[str, Any]:
        # Keras is not imported where a file alone is evaluated.
        from keras_transformer.zoo.models.running.predict import predict_each

        scores = ReplacementScores()
        outputs = predict_each(model, self._fixed.batches(_VALIDATION_TOKENS))
        for values, targets in zip(outputs, self._fixed.targets, strict=True):
            scores.add(values[: len(targets)], targets)
        return scores.metrics()

    def written_metrics(self, model: Any) -> dict[str, Any]:
        return {}

    def probes(self, seed: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        blocks = text_blocks(self.validation, self.modality)
        full = [block for block in blocks if len(block) == len(blocks[0])]
        rows = rng.choice(len(full), min(NUM_PROBES, len(full)), replace=False)
        ids = self.task.shown([full[row] for row in rows], self.modality, rng)
        return {"ids": np.array(ids, np.int32)}

    def report_cuts(self, report: Report) -> None:
        """Reports nothing: a stream is not truncated."""

    @functools.cached_property
    def _stream(self) -> np.ndarray:
        return token_stream(self.train, self.modality.tokenizer)

    @functools.cached_property
    def _room(self) -> int:
        """Tokens of a block without the special ones around it."""
        return room_of(self.modality)

    @functools.cached_property
    def _fixed(self) -> MaskedText:
        return self.task.fixed(self.validation, self.modality)
