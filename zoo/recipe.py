"""A training run as a value: what `train` needs to repeat it."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from keras_transformer.zoo.errors import InputError

CHOICES = {
    "tokenizer": ("wordpiece", "sentencepiece", "characters", "bytes"),
    "optimizer": ("adam", "adamw", "sgd", "momentum"),
    "schedule": ("linear", "cosine", "inverse_sqrt", "constant"),
    "pattern": ("element", "block", "2:4"),
    "ranges": ("moving-average", "learned"),
    "dtype": ("float32", "mixed_bfloat16", "mixed_float16"),
}
_POSITIVE = (
    "learning_rate", "epochs", "batch_tokens", "vocab_size", "max_length", "bucket", "save_every",
)  # fmt: skip
_FRACTIONS = (
    "label_smoothing", "token_dropout", "piece_dropout", "warmup", "ema", "beta_2", "sparsity",
)  # fmt: skip
_AS_WRITTEN = {"lowercase": False, "strip_accents": False}
# What differs from the defaults of the class when a task is named and the value is not.
TASK_DEFAULTS = {
    "translation": {"tokenizer": "sentencepiece", "label_smoothing": 0.1, **_AS_WRITTEN},
    "language-modeling": {"tokenizer": "characters", **_AS_WRITTEN},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the weights of a run, beside the machine.

    Attributes:
        model: catalogue name.
        settings: changes to the model's config, such as `{"dropout": 0.3}`.
        task: `classification`, `regression`, `translation` or `language-modeling`.
        train, validation: paths of the data: tables, or plain text for a language model.
        text, text_pair, label: columns of a task over texts.
        source: column of what a translation reads.
        target: column of what it writes, or several with commas between them, such as `de,fr`:
            one model for all of them, told by a token which one to write.
        tokenizer: `wordpiece`, `sentencepiece`, `characters` or `bytes`.
        shared_vocabulary: whether source and target of a translation share vocabulary and table.
        vocabulary: path of an existing vocab.txt; empty to learn one from the training file.
        vocab_size: entries of a learned vocabulary, at most.
        lowercase, strip_accents: text normalization.
        max_length: tokens of an example; longer ones are cut and counted.
        optimizer: `adam`, `adamw`, `sgd`, or `momentum` (SGD with momentum 0.9).
        learning_rate: at its peak.
        schedule: `linear` or `cosine` to zero, the paper's `inverse_sqrt`, or `constant`.
        warmup: share of the steps in which the learning rate rises from zero.
        epochs: passes over the training data, at most.
        steps: steps after which the run ends; 0 for as many as the epochs have.
        patience: epochs without a better validation metric until the run stops; 0 for never.
        batch_tokens: tokens of a batch, padding included.
        bucket: padded lengths are multiples of it.
        label_smoothing: share of the target spread over all classes.
        token_dropout: share of training tokens replaced by [MASK].
        piece_dropout: probability that a training word's longest piece is passed over for a
            shorter one (word pieces only).
        weight_decay: decoupled, of kernels and embeddings (adamw only).
        l1, l2: penalties on projection kernels.
        clip_norm: bound on the gradients' global norm; 0 for none.
        beta_2: Adam's decay of the mean square of gradients.
        average: epochs whose weights are averaged, the last ones; what is validated and kept is
            their mean (Vaswani et al. 2017, section 6.1). 0 for none.
        ema: decay of the moving average of weights that is evaluated and kept; 0 for none.
        sparsity: share of zeros that pruning brings about; 0 for no pruning.
        pattern: of the zeros: `element`, `block` or `2:4`.
        clusters: values that each kernel and table of tokens is clustered to; 0 for no clustering.
        precision: that training prepares for; empty for none.
        keep: patterns of the layers that stay float in it, with commas between them.
        teacher_share, teacher_temperature, teacher_hidden, teacher_attention, teacher_beams: of
            distillation, see `edge.distill`; a share of 0 for none.
        percentile: share of the values in percent, those in the middle, that a range holds when
            quantization calibrates it; 100 for the smallest and largest value.
        ranges: how training with simulated integers moves them: `moving-average` or `learned`.
        freeze_ranges: share of the steps, the last ones, in which they stand still.
        dtype: `float32`, `mixed_bfloat16` or `mixed_float16`.
        xla: whether steps are compiled with XLA.
        seed: of the initial weights, dropout and the order of rows.
        save_every: steps between two states to resume from; each epoch's end is one too.
    """

    model: str
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    task: str = "classification"
    train: str
    validation: str
    text: str = "text"
    text_pair: str | None = None
    label: str = "label"
    source: str | None = None
    target: str | None = None
    tokenizer: str = "wordpiece"
    vocabulary: str = ""
    shared_vocabulary: bool = True
    vocab_size: int = 8000
    lowercase: bool = True
    strip_accents: bool = True
    max_length: int = 64
    optimizer: str = "adam"
    learning_rate: float = 5e-4
    schedule: str = "linear"
    warmup: float = 0.1
    epochs: int = 10
    steps: int = 0
    patience: int = 0
    batch_tokens: int = 2048
    bucket: int = 4
    label_smoothing: float = 0.0
    token_dropout: float = 0.0
    piece_dropout: float = 0.0
    weight_decay: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    clip_norm: float = 1.0
    beta_2: float = 0.999
    average: int = 0
    ema: float = 0.0
    sparsity: float = 0.0
    pattern: str = "element"
    clusters: int = 0
    precision: str = ""
    keep: str = ""
    teacher_share: float = 0.0
    teacher_temperature: float = 1.0
    teacher_hidden: float = 0.0
    teacher_attention: float = 0.0
    teacher_beams: int = 0
    percentile: float = 100.0
    ranges: str = "moving-average"
    freeze_ranges: float = 0.0
    dtype: str = "float32"
    xla: bool = False
    seed: int = 0
    save_every: int = 1000

    def __post_init__(self):
        for field in dataclasses.fields(self):
            self._check(field.name, getattr(self, field.name), field.type)
        if self.weight_decay and self.optimizer != "adamw":
            raise InputError(
                "Expected weight_decay to be 0 for an optimizer other than adamw, got "
                f"weight_decay={self.weight_decay}, optimizer={self.optimizer}; use l2 or adamw."
            )
        if self.label_smoothing and self.task == "regression":
            raise InputError(
                "Expected label_smoothing to be 0 for regression, "
                f"got label_smoothing={self.label_smoothing}."
            )
        if self.vocabulary and self.tokenizer != "wordpiece":
            raise InputError(
                f"Expected no vocabulary for the {self.tokenizer} tokenizer, "
                f"got vocabulary={self.vocabulary!r}."
            )
        if self.task == "translation" and (self.source is None or self.target is None):
            raise InputError(
                "Expected the columns of source and target for translation, "
                f"got source={self.source!r}, target={self.target!r}."
            )
        if len(set(self.targets)) < len(self.targets) or not all(self.targets):
            raise InputError(
                f"Expected target to name each column once, got target={self.target!r}."
            )
        if self.token_dropout and len(self.targets) > 1:
            raise InputError(
                "Expected token_dropout to be 0 for several targets, whose tokens it would drop, "
                f"got token_dropout={self.token_dropout}; use piece_dropout."
            )
        if self.ema and self.average:
            raise InputError(
                "Expected one kind of averaged weights, "
                f"got ema={self.ema}, average={self.average}."
            )
        check_percentile(self.percentile)
        if self.freeze_ranges > 1:
            raise InputError(
                f"Expected freeze_ranges to be from 0 to 1, got freeze_ranges={self.freeze_ranges}."
            )
        if self.seed >= 2**32:
            raise InputError(f"Expected seed to be below 2**32, got seed={self.seed}.")

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns that a translation writes; none of other tasks."""
        return () if self.target is None else tuple(self.target.split(","))

    def total_steps(self, batches: int) -> int:
        """Returns the steps of a run with that many batches in an epoch."""
        return self.steps or self.epochs * batches

    def moving_steps(self, total_steps: int) -> int:
        """Returns the steps in which ranges move; afterwards they stand still."""
        return round((1 - self.freeze_ranges) * total_steps)

    @staticmethod
    def _check(name: str, value: Any, kind: Any) -> None:
        if kind in (int, float, bool, str):
            fits = isinstance(value, (int, float)) if kind is float else type(value) is kind
            if not fits or (kind is float and isinstance(value, bool)):
                raise InputError(f"Expected {name} to be {_words(kind)}, got {name}={value!r}.")
        if kind is float and not math.isfinite(value):
            raise InputError(f"Expected {name} to be finite, got {name}={value}.")
        if kind == str | None and not isinstance(value, str | None):
            raise InputError(f"Expected {name} to be text or null, got {name}={value!r}.")
        if name in CHOICES and value not in CHOICES[name]:
            raise InputError(
                f"Expected {name} to be one of {', '.join(CHOICES[name])}, got {value!r}."
            )
        if name in _POSITIVE and not value > 0:
            raise InputError(f"Expected {name} to be above 0, got {name}={value}.")
        if name in _FRACTIONS and not 0 <= value < 1:
            raise InputError(f"Expected {name} to be from 0 to below 1, got {name}={value}.")
        if kind in (int, float) and not value >= 0:
            raise InputError(f"Expected {name} not to be negative, got {name}={value}.")
        if name == "settings" and not isinstance(value, Mapping):
            raise InputError(f"Expected settings to be an object, got settings={value!r}.")

    @classmethod
    def of_task(cls, **given: Any) -> Self:
        """Makes a recipe with the task's own defaults for what is not given."""
        return cls(**{**TASK_DEFAULTS.get(given.get("task"), {}), **given})

    def to_json(self) -> str:
        """Returns the recipe as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "the recipe", **changes: Any) -> Self:
        """Makes the recipe from `to_json`'s text, with some values changed.

        Raises:
            InputError: for text that is no JSON object, an unknown name, or an impossible value.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise InputError(f"Expected {source} to be JSON: {error}.") from None
        if not isinstance(values, dict):
            raise InputError(f"Expected {source} to hold an object, got {values!r}.")
        values |= changes
        known = {field.name: field for field in dataclasses.fields(cls)}
        for name in values:
            if name not in known:
                raise InputError(f"{source} has {name!r}; known are {', '.join(known)}.")
        for name in ("model", "train", "validation"):
            if name not in values:
                raise InputError(f"{source} lacks {name!r}.")
        return cls.of_task(**values)

    @classmethod
    def from_file(cls, path: str | Path, **changes: Any) -> Self:
        """Reads `recipe.json`."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{path} is not UTF-8 text.") from None
        return cls.from_json(text, str(path), **changes)

    def replace(self, **changes: Any) -> Self:
        """Returns a copy with some values changed."""
        return dataclasses.replace(self, **changes)


def check_percentile(percentile: float) -> None:
    """Raises InputError for a share in percent that leaves no middle, or more than all."""
    if not 50 < percentile <= 100:
        raise InputError(
            f"Expected percentile to be above 50 and at most 100, got percentile={percentile}."
        )


def _words(kind: type) -> str:
    return {int: "an integer", float: "a number", bool: "true or false", str: "text"}[kind]
