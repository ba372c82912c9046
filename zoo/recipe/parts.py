"""The parts of a recipe, which check their own values."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.recipe.options import Part, check_text, option

# What a recipe records of a pruned vocabulary.
_PRUNED = dict(sha256=str, pieces=int, kept=int, parameters=int, after_training=bool)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model(Part):
    """The model.

    Attributes:
        name: catalogue name, or that of a published model (option `model`).
        settings: changes to the model's config, such as `{"dropout": 0.3}`.
        published: origin of the weights that the run began with: source, revision, licence, and
            the SHA-256 of each file, and of a checkpoint of ours whether its weights go back to
            runs from nothing (`from_nothing`); empty where it began with none.
    """

    name: str = option(name="model")
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    published: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data(Part):
    """The data and its batches.

    Attributes:
        train, validation: paths of the data; empty for data in memory, and for validation rows
            split off from the training data.
        validation_share: fraction of the training data used for validation instead; 0 for none.
        split_seed: seed of the split, which the option `seed` of the first run sets.
        labels: class names in index order; empty to learn them from the training data.
        columns: column names by their use, such as `{"text": "sentence"}`; null for an optional
            one. Each use is an option.
        separator: character between the labels of a row, where it has any number of them.
        out_of_scope: path of rows whose label is none of a classification's, on which, with the
            validation rows, it is tuned what it rejects; empty for nothing.
        scope_score: score below whose threshold a row is rejected, see `scope.SCORES`.
        scope_weight: weight of the rows of `out_of_scope` beside the validation rows.
        digest: SHA-256 of the training data, see `training_data`; empty until a run starts.
        max_length: maximum number of tokens of an example; longer ones are truncated and counted.
        batch_tokens: maximum number of tokens of a batch, padding included; `auto`, or 0, until a
            run has found the largest that fits in memory.
        rows_multiple: divisor of the rows of each batch, but of one of each length, which the
            devices of a distributed run share.
        whole_batches: whether batches have one number of rows for each padded length but the last,
            see `Batches.in_multiples_of`.
        stride: number of tokens that neighbouring windows of a longer text have in common, where
            it is read in windows; 0 for a quarter of a window.
        bucket: divisor of the padded lengths.
        sampling_power: power of the sizes of several tasks by which their batches are drawn.
        token_dropout: fraction of training tokens replaced by [MASK].
        piece_dropout: probability of skipping a matching piece of a training word, see
            `PieceDropout`.
        augment: kinds of augmentation of training images or sounds, with commas between them, see
            `AugmentedBatches` and `AugmentedSounds`; empty for none.
        mask_share: fraction of the tokens that masked language modeling hides.
    """

    train: str
    validation: str
    columns: Mapping[str, str | None]
    validation_share: float = option(0.0, fraction=True)
    split_seed: int = 0
    labels: tuple[str, ...] = ()
    separator: str = option(",", of_task=True)
    out_of_scope: str = ""
    scope_score: str = option(
        "probability", choices=("probability", "energy", "max-logit"), of_task=True
    )
    scope_weight: float = option(1.0, above_zero=True, of_task=True)
    digest: str = ""
    max_length: int = option(64, above_zero=True)
    stride: int = option(0, of_task=True)
    batch_tokens: int = 2048
    rows_multiple: int = option(1, above_zero=True)
    whole_batches: bool = False
    bucket: int = option(4, above_zero=True)
    sampling_power: float = option(0.75, of_task=True)
    token_dropout: float = option(0.0, fraction=True)
    piece_dropout: float = option(0.0, fraction=True)
    augment: str = ""
    mask_share: float = option(0.15, above_zero=True, fraction=True, of_task=True)

    def __post_init__(self):
        if self.batch_tokens == "auto":
            object.__setattr__(self, "batch_tokens", 0)
        super().__post_init__()
        for use, column in self.columns.items():
            if not isinstance(column, str | None):
                raise InputError(f"Expected {use} to be text or null, got {use}={column!r}.")
            if column is not None:
                check_text(use, column)
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
        """The target columns of a translation, such as `de,fr`; empty for other tasks."""
        target = self.columns.get("target")
        return () if target is None else tuple(target.split(","))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tokenizer(Part):
    """Tokenization and text normalization.

    Attributes:
        kind: `wordpiece`, `sentencepiece`, `characters` or `bytes` (option `tokenizer`); `auto`
            until a run has read its data, which select it.
        vocabulary: path of an existing vocab.txt; empty to learn one from the training data.
        prune_vocabulary: path of the texts whose pieces the vocabulary of published weights keeps;
            empty for the whole vocabulary, and for texts in memory.
        pruned: SHA-256 of these texts, the numbers of pieces before and after, the number of
            parameters that left, and whether they left after the run; empty for the whole
            vocabulary.
        vocab_size: maximum number of entries of a learned vocabulary.
        vocabulary_rows: maximum number of rows, evenly spaced, of which it is learned.
        shared_vocabulary: whether source and target of a translation share vocabulary and table.
        lowercase, strip_accents: whether text normalization lowercases and strips accents.
        normalization: normalization before sentencepiece: `nfkc`, or `identity` for none.
    """

    kind: str = option(
        "auto", name="tokenizer",
        choices=("auto", "wordpiece", "sentencepiece", "characters", "bytes"),
    )  # fmt: skip
    vocabulary: str = ""
    vocab_size: int = option(8000, above_zero=True)
    vocabulary_rows: int = option(500_000, above_zero=True)
    shared_vocabulary: bool = True
    lowercase: bool = True
    strip_accents: bool = True
    normalization: str = option("nfkc", choices=("nfkc", "identity"))
    prune_vocabulary: str = ""
    pruned: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        super().__post_init__()
        if self.vocabulary and self.kind not in ("auto", "wordpiece"):
            raise InputError(
                f"Expected no vocabulary for the {self.kind} tokenizer, "
                f"got vocabulary={self.vocabulary!r}."
            )
        if {name: type(value) for name, value in self.pruned.items()} not in ({}, _PRUNED):
            raise InputError(
                f"Expected pruned to hold {', '.join(_PRUNED)}, got pruned={dict(self.pruned)!r}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer(Part):
    """The optimizer, the regularization of the loss, and the averaging of weights.

    Attributes:
        name: `adam`, `adamw`, `sgd`, or `momentum`: SGD with momentum 0.9 (option `optimizer`).
        learning_rate: peak learning rate.
        schedule: `linear` or `cosine` decay to zero, the paper's `inverse_sqrt`, or `constant`.
        warmup: fraction of the steps over which the learning rate rises from zero.
        weight_decay: decoupled weight decay of kernels and embeddings (adamw only).
        l1, l2: penalties on projection kernels.
        clip_norm: maximum global norm of the gradients; 0 for no clipping.
        beta_2: Adam's decay rate of the mean square of gradients.
        ema: decay rate of the exponential moving average of weights that is validated and saved;
            0 for none.
        average: number of last epochs whose mean weights are validated and saved (Vaswani et al.
            2017, section 6.1); 0 for none.
        label_smoothing: fraction of the target spread over all classes.
        class_weights: `balanced` to weigh rare labels up in the loss, or `none`.
        focal: exponent of the focal loss, see `ClassLoss`; 0 for the cross entropy.
        objective: of an embedding: `scores` of pairs, or `ranking` of pairs that match; of masked
            language modeling: `masked` words, or `replaced` ones.
        widths: numbers of the first values of its vectors that are to do alone, separated by
            commas.
        vector_dim: width of the vectors of rows of two kinds that match.
        loss_weights: of several tasks: `fixed` weights of their losses, or with learned
            `uncertainty`.
        layer_decay: factor of the learning rate of each block over that of the next one towards
            the output, see `layer_rates`; 1 for equal rates.
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
    class_weights: str = option("none", choices=("none", "balanced"), of_task=True)
    focal: float = option(0.0, of_task=True)
    objective: str = option(
        "scores", choices=("scores", "ranking", "masked", "replaced"), of_task=True
    )
    widths: str = option("", of_task=True)
    vector_dim: int = option(128, above_zero=True, of_task=True)
    loss_weights: str = option("fixed", choices=("fixed", "uncertainty"), of_task=True)
    layer_decay: float = option(1.0, above_zero=True)

    def __post_init__(self):
        super().__post_init__()
        if self.weight_decay and self.name != "adamw":
            raise InputError(
                "Expected weight_decay to be 0 for an optimizer other than adamw, got "
                f"weight_decay={self.weight_decay}, optimizer={self.name}; use l2 or adamw."
            )
        if self.layer_decay > 1:
            raise InputError(
                "Expected layer_decay to be above 0 and at most 1, got "
                f"layer_decay={self.layer_decay}."
            )
        if self.ema and self.average:
            raise InputError(
                "Expected one kind of averaged weights, "
                f"got ema={self.ema}, average={self.average}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training(Part):
    """The length of a run, its dtype and its seed.

    Attributes:
        epochs: maximum number of passes over the training data.
        steps: number of steps of the run; 0 for all those of the epochs.
        accumulate: number of steps whose mean gradient changes the weights once.
        patience: epochs without improvement of the validation metric before early stopping; 0 to
            disable it.
        dtype: `float32`, `mixed_bfloat16` or `mixed_float16`.
        calibrate: whether the probabilities of classes are calibrated on the validation data, see
            `Classification.temperature`.
        xla: whether steps are compiled with XLA.
        loss_chunk: number of tokens whose logits over a vocabulary are held at once in training,
            see `ChunkedLoss`; 0 for all of a batch.
        remat: whether training computes what is inside the blocks again for the gradients, rather
            than hold it, see `rematerialized`.
        flash_attention: whether attention in training is one kernel, which holds no scores, see
            `keras_transformer.flash`.
        seed: seed of the initial weights, dropout and the order of rows.
        save_every: steps between saved states to resume from; each epoch's end is saved too.
        freeze: path patterns of the weights that stay as they are, see `adaptation.freezing`.
        lora: rank of the adapters that are trained in place of the blocks' kernels, see
            `adaptation.lora`; 0 to train the weights themselves.
        lora_layers: patterns of the layers that have adapters, see `lora.projections_of`; `*` for
            all, as in recipes that do not say it.
        adapter: whether the checkpoint holds the adapters and the head alone, see
            `adaptation.adapter`, rather than all weights with the adapters merged into them.
    """

    epochs: int = option(10, above_zero=True)
    steps: int = 0
    accumulate: int = option(1, above_zero=True)
    patience: int = 0
    dtype: str = option("float32", choices=("float32", "mixed_bfloat16", "mixed_float16"))
    calibrate: bool = option(True, of_task=True)
    xla: bool = False
    loss_chunk: int = 0
    remat: bool = False
    flash_attention: bool = False
    seed: int = 0
    save_every: int = option(1000, above_zero=True)
    freeze: str = ""
    lora: int = 0
    lora_layers: str = "*"
    adapter: bool = False

    def __post_init__(self):
        super().__post_init__()
        if self.seed >= 2**32:
            raise InputError(f"Expected seed to be below 2**32, got seed={self.seed}.")
        for name, unused in (("adapter", False), ("lora_layers", "*")):
            if not self.lora and getattr(self, name) != unused:
                raise InputError(
                    f"Expected lora to be above 0 where {name}={getattr(self, name)}, got lora=0."
                )
        if 0 < self.steps < self.accumulate:
            raise InputError(
                f"Expected accumulate to be at most steps={self.steps}, or no weight changes, got "
                f"accumulate={self.accumulate}."
            )

    def total_steps(self, batches: int) -> int:
        """Returns the number of steps of a run with the given number of batches in an epoch."""
        return self.steps or self.epochs * batches
