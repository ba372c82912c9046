"""Masked language modeling: pre-training of encoders on plain text."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.by_position import in_parts
from keras_transformer.zoo.data.batches import NO_TARGET
from keras_transformer.zoo.data.plain_text import PlainText
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.generation.decoding import check_no_decoding
from keras_transformer.zoo.losses.divergence import softened_divergence
from keras_transformer.zoo.masking.masking import Masking
from keras_transformer.zoo.modalities.modality import Features
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.outputs import MASKS
from keras_transformer.zoo.outputs import REPLACED as REPLACED_PIECES
from keras_transformer.zoo.tasks.language_modeling import PlainTextTask
from keras_transformer.zoo.tasks.masked.masked_data import MaskedData, MaskedText, text_blocks
from keras_transformer.zoo.tasks.masked.scores import MaskScores, ReplacementScores

MASKED, REPLACED = "masked", "replaced"
_OWN = ("objective", "mask_share")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskedLanguageModeling(PlainTextTask):
    """Prediction of masked words, or detection of replaced ones, by an encoder.

    Whole words are masked (Devlin et al. 2019, arXiv:1810.04805, section 3.1). With the objective
    `replaced` a small generator fills the masks, and the encoder learns which pieces it replaced
    (Clark et al. 2020, arXiv:2003.10555, section 2).

    Attributes:
        objective: `masked` or `replaced`.
        mask_share: share of the pieces that are masked.
    """

    objective: str = MASKED
    mask_share: float = 0.15

    name: ClassVar[str] = "masked-language-modeling"
    defaults: ClassVar[Mapping[str, Any]] = {
        "model": "bert_mini", "objective": MASKED, "max_length": 128, "batch_tokens": 4096,
        "optimizer": "adamw", "weight_decay": 0.01, "learning_rate": 1e-3,
    }  # fmt: skip
    selection: ClassVar[Metric] = Metric(name="loss", points=-1.0)
    own_options: ClassVar[tuple[str, ...]] = _OWN

    def __post_init__(self):
        if self.objective not in (MASKED, REPLACED):
            raise InputError(
                f"Expected objective to be {MASKED} or {REPLACED} for {self.name}, got "
                f"objective={self.objective!r}."
            )
        if type(self.mask_share) is not float or not 0 < self.mask_share < 1:
            raise InputError(
                "Expected mask_share to be above 0 and below 1, got mask_share="
                f"{self.mask_share!r}."
            )

    @property
    def output(self) -> str:
        """Kind of the outputs."""
        return MASKS if self.restores else REPLACED_PIECES

    @property
    def metric(self) -> Metric:
        """Perplexity of masked pieces, or F1 of replaced ones."""
        if self.restores:
            return Metric(name="perplexity", points=-1.0)
        return Metric(name="f1", points=100.0)

    @property
    def restores(self) -> bool:
        """Whether the outputs are logits of pieces."""
        return self.objective == MASKED

    def head(self) -> Head:
        return Head(kind="masked") if self.restores else Head(kind="tokens", units=1)

    def loss(self, label_smoothing: float = 0.0) -> Callable:
        """Returns the mean cross entropy of masked pieces (`TokenLoss`), or `ReplacedLoss`."""
        from keras_transformer.zoo.losses.losses import ReplacedLoss, TokenLoss

        if self.restores:
            return TokenLoss(label_smoothing)
        if label_smoothing:
            raise InputError(
                f"Expected label_smoothing to be 0 for objective={REPLACED}, "
                f"got label_smoothing={label_smoothing}."
            )
        return ReplacedLoss()

    def run_data(self, train: PlainText, validation: PlainText, modality: Text) -> MaskedData:
        return MaskedData(task=self, train=train, validation=validation, modality=modality)

    def fixed(self, examples: PlainText, modality: Text) -> MaskedText:
        """Returns the blocks of a text with the masks, or replacements, that measure a model."""
        blocks = text_blocks(examples, modality)
        return MaskedText.of(blocks, modality.tokenizer, self, np.random.default_rng(0))

    def encode(self, examples: PlainText, modality: Text) -> Features:
        found = self.fixed(examples, modality)
        return Features({"ids": found.ids}, [False] * len(found.ids))

    def inputs(self, examples: PlainText, modality: Text) -> dict[str, list[np.ndarray]]:
        """Returns blocks whose drawn pieces are all [MASK], as those of texts to fill are."""
        blocks = text_blocks(examples, modality)
        return {"ids": self.shown(blocks, modality, np.random.default_rng(0))}

    def shown(
        self, blocks: Sequence[np.ndarray], modality: Text, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Returns the ids of blocks as a model reads them that is used, see `inputs`."""
        masking = Masking(tokenizer=modality.tokenizer, share=self.mask_share)
        if self.restores:
            return masking.masked(blocks, rng, always=True)[0]
        return masking.replaced(blocks, rng)[0]

    def evaluate(self, predictor: Any, examples: PlainText, **decoding: Any) -> dict[str, Any]:
        """Evaluates on the blocks of a text with masks, or replacements, that are always the same.

        A model of replaced pieces is measured on random ones: it has no generator any more.
        """
        check_no_decoding(decoding)
        found = self.fixed(examples, predictor.modality)
        scores = self.scores()
        outputs = in_parts(predictor.encoded_outputs, {"ids": found.ids})
        for values, targets in zip(outputs, found.targets, strict=True):
            scores.add(values[: len(targets)], targets)
        return scores.metrics()

    def scores(self) -> MaskScores | ReplacementScores:
        """Returns new scores, to which blocks are added."""
        return MaskScores() if self.restores else ReplacementScores()

    def output_difference(self, targets, expected, outputs, temperature: float):
        """The mean divergence over the masked positions, or of logits over all real ones."""
        from keras import ops

        from keras_transformer.zoo.losses.losses import mean_where

        is_real = ops.not_equal(targets, NO_TARGET)
        if self.restores:
            return mean_where(softened_divergence(expected, outputs, temperature), is_real)
        return mean_where(ops.square(expected - outputs)[..., 0], is_real)

    def with_options(self, options: Mapping[str, Any]) -> Self:
        if "objective" not in options:
            # The option's own default, which `defaults` replaces unless it is asked for.
            raise InputError(
                f"Expected objective to be {MASKED} or {REPLACED} for {self.name}, got "
                "objective=scores."
            )
        return super().with_options(options)

    def options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _OWN}

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | self.options()

    @classmethod
    def from_json(cls, value: Mapping[str, Any], labels: tuple[str, ...]) -> Self:
        own = {name: value[name] for name in _OWN if name in value}
        super().from_json({name: one for name, one in value.items() if name not in own}, labels)
        if labels:
            raise InputError(
                f"Expected no labels for {cls.name}, got {len(labels)}: the task was changed."
            )
        return cls(**own)
