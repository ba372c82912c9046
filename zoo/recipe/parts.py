"""The parts of a recipe. Each checks itself; a field may be read by its name alone."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.recipe.options import Part, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model(Part):
    """The model.

    Attributes:
        name: that of the catalogue (option `model`).
        settings: changes to the model's config, such as `{"dropout": 0.3}`.
    """

    name: str = option(name="model")
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data(Part):
    """The data, and how it is cut into batches.

    Attributes:
        train, validation: paths of the data; empty for data that came from memory, and for
            validation rows that are a share of the training data.
        validation_share: of the training data, which validates and is not trained on; 0 for none.
        split_seed: of the split, which an option `seed` of the first run sets.
        labels: names of the classes in index order; empty to learn them from the training data.
        columns: names of the columns by their use, such as `{"text": "sentence"}`; null for one
            that the task can do without. Each use is an option.
        digest: SHA-256 of the training data, see `training_data`; empty until a run begins.
        max_length: tokens of an example; longer ones are cut and counted.
        batch_tokens: tokens of a batch, padding included.
        bucket: padded lengths are multiples of it.
        token_dropout: share of training tokens replaced by [MASK].
        piece_dropout: probability that a training word's longest piece is passed over for a
            shorter one (word pieces only).
    """

    train: str
    validation: str
    columns: Mapping[str, str | None]
    validation_share: float = option(0.0, fraction=True)
    split_seed: int = 0
    labels: tuple[str, ...] = ()
    digest: str = ""
    max_length: int = option(64, above_zero=True)
    batch_tokens: int = option(2048, above_zero=True)
    bucket: int = option(4, above_zero=True)
    token_dropout: float = option(0.0, fraction=True)
    piece_dropout: float = option(0.0, fraction=True)

    def __post_init__(self):
        super().__post_init__()
        for use, column in self.columns.items():
            if not isinstance(column, str | None):
                raise InputError(f"Expected {use} to be text or null, got {use}={column!r}.")
            if column == "":
                raise InputError(
                    f"Expected {use} to name a column of the data, got none; give {use}."
                )
        object.__setattr__(self, "labels", tuple(self.labels))
        if self.validation and self.validation_share:
            raise InputError(
                "Expected validation to be a file or a share of the training data, got "
                f"validation={self.validation}, validation_share={self.validation_share}."
            )
        targets = self.targets
        if len(set(targets)) < len(targets) or not all(targets):
            raise InputError(
                f"Expected target to name each column once, got target={','.join(targets)!r}."
            )
        if self.token_dropout and len(targets) > 1:
            raise InputError(
                "Expected token_dropout to be 0 for several targets, whose tokens it would drop, "
                f"got token_dropout={self.token_dropout}; use piece_dropout."
            )

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns that a translation writes, such as `de,fr`; none of other tasks."""
        target = self.columns.get("target")
        return () if target is None else tuple(target.split(","))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tokenizer(Part):
    """How text becomes tokens.

    Attributes:
        kind: `wordpiece`, `sentencepiece`, `characters` or `bytes` (option `tokenizer`).
        vocabulary: path of an existing vocab.txt; empty to learn one from the training file.
        vocab_size: entries of a learned vocabulary, at most.
        shared_vocabulary: whether source and target of a translation share vocabulary and table.
        lowercase, strip_accents: whether case and accents are folded.
        normalization: of a text before sentencepiece cuts it: `nfkc`, or `identity`, which changes
            nothing.
    """

    kind: str = option(
        "wordpiece", name="tokenizer",
        choices=("wordpiece", "sentencepiece", "characters", "bytes"),
    )  # fmt: skip
    vocabulary: str = ""
    vocab_size: int = option(8000, above_zero=True)
    shared_vocabulary: bool = True
    lowercase: bool = True
    strip_accents: bool = True
    normalization: str = option("nfkc", choices=("nfkc", "identity"))

    def __post_init__(self):
        super().__post_init__()
        if self.vocabulary and self.kind != "wordpiece":
            raise InputError(
                f"Expected no vocabulary for the {self.kind} tokenizer, "
                f"got vocabulary={self.vocabulary!r}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer(Part):
    """The loss's penalties, the steps that lower it, and the weights that are kept.

    Attributes:
        name: `adam`, `adamw`, `sgd`, or `momentum`: SGD with momentum 0.9 (option `optimizer`).
        learning_rate: at its peak.
        schedule: `linear` or `cosine` to zero, the paper's `inverse_sqrt`, or `constant`.
        warmup: share of the steps in which the learning rate rises from zero.
        weight_decay: decoupled, of kernels and embeddings (adamw only).
        l1, l2: penalties on projection kernels.
        clip_norm: bound on the gradients' global norm; 0 for none.
        beta_2: Adam's decay of the mean square of gradients.
        ema: decay of the moving average of weights that is evaluated and kept; 0 for none.
        average: epochs whose weights are averaged, the last ones; what is validated and kept is
            their mean (Vaswani et al. 2017, section 6.1). 0 for none.
        label_smoothing: share of the target spread over all classes.
    """

    name: str = option("adam", name="optimizer", choices=("adam", "adamw", "sgd", "momentum"))
    learning_rate: float = option(5e-4, above_zero=True)
    schedule: str = option("linear", choices=("linear", "cosine", "inverse_sqrt", "constant"))
    warmup: float = option(0.1, fraction=True)
    weight_decay: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    clip_norm: float = 1.0
    beta_2: float = option(0.999, fraction=True)
    ema: float = option(0.0, fraction=True)
    average: int = 0
    label_smoothing: float = option(0.0, fraction=True)

    def __post_init__(self):
        super().__post_init__()
        if self.weight_decay and self.name != "adamw":
            raise InputError(
                "Expected weight_decay to be 0 for an optimizer other than adamw, got "
                f"weight_decay={self.weight_decay}, optimizer={self.name}; use l2 or adamw."
            )
        if self.ema and self.average:
            raise InputError(
                "Expected one kind of averaged weights, "
                f"got ema={self.ema}, average={self.average}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training(Part):
    """The length of a run, its numbers and its random draws.

    Attributes:
        epochs: passes over the training data, at most.
        steps: steps after which the run ends; 0 for as many as the epochs have.
        patience: epochs without a better validation metric until the run stops; 0 for never.
        dtype: `float32`, `mixed_bfloat16` or `mixed_float16`.
        xla: whether steps are compiled with XLA.
        seed: of the initial weights, dropout and the order of rows.
        save_every: steps between two states to resume from; each epoch's end is one too.
    """

    epochs: int = option(10, above_zero=True)
    steps: int = 0
    patience: int = 0
    dtype: str = option("float32", choices=("float32", "mixed_bfloat16", "mixed_float16"))
    xla: bool = False
    seed: int = 0
    save_every: int = option(1000, above_zero=True)

    def __post_init__(self):
        super().__post_init__()
        if self.seed >= 2**32:
            raise InputError(f"Expected seed to be below 2**32, got seed={self.seed}.")

    def total_steps(self, batches: int) -> int:
        """Returns the steps of a run with that many batches in an epoch."""
        return self.steps or self.epochs * batches


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prune(Part):
    """Pruning.

    Attributes:
        sparsity: share of zeros that it brings about; 0 for none.
        pattern: of the zeros: `element`, `block` or `2:4`.
        clusters: values that each kernel and table of tokens is clustered to; 0 for no clustering.
    """

    sparsity: float = option(0.0, fraction=True)
    pattern: str = option("element", choices=("element", "block", "2:4"))
    clusters: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantize(Part):
    """Quantization-aware training.

    Attributes:
        precision: that training prepares for.
        keep: patterns of the layers that stay float in it, with commas between them.
        percentile: share of the values in percent, those in the middle, that a range holds when it
            is calibrated; 100 for the smallest and largest value.
        ranges: how training moves them: `moving-average` or `learned`.
        freeze_ranges: share of the steps, the last ones, in which they stand still.
    """

    precision: str = "int8"
    keep: str = ""
    percentile: float = 100.0
    ranges: str = option("moving-average", choices=("moving-average", "learned"))
    freeze_ranges: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        check_percentile(self.percentile)
        if self.freeze_ranges > 1:
            raise InputError(
                f"Expected freeze_ranges to be from 0 to 1, got freeze_ranges={self.freeze_ranges}."
            )

    def moving_steps(self, total_steps: int) -> int:
        """Returns the steps in which ranges move; afterwards they stand still."""
        return round((1 - self.freeze_ranges) * total_steps)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distill(Part):
    """Distillation; the values are those of `edge.distill`.

    Attributes:
        share: the teacher's outputs' part of the loss.
        temperature: by which logits are divided.
        hidden_weight, attention_weight: of the differences of inner states.
        beams: with which the teacher writes the targets of a translation; 0 for those of the data.
    """

    share: float = 0.5
    temperature: float = 2.0
    hidden_weight: float = 0.0
    attention_weight: float = 0.0
    beams: int = 0


def check_percentile(percentile: float) -> None:
    """Raises InputError for a share in percent that leaves no middle, or more than all."""
    if not 50 < percentile <= 100:
        raise InputError(
            f"Expected percentile to be above 50 and at most 100, got percentile={percentile}."
        )
