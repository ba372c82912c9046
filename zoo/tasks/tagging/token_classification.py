"""Token classification: a tag for each word of a text, such as entities or parts of speech."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.data.batches import NO_TARGET
from keras_transformer.zoo.data.conll import TAGS, WORDS
from keras_transformer.zoo.data.labels import check_label, checked_labels
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.data.tables import quoted
from keras_transformer.zoo.data.tagged import Read, TaggedRows, read_tagged
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.evaluation.significance import Answers
from keras_transformer.zoo.evaluation.tag_metrics import (
    accuracy_of_rows,
    entity_metrics,
    f1_of_rows,
    undefined_by_entities,
    word_metrics,
)
from keras_transformer.zoo.generation.decoding import check_no_decoding
from keras_transformer.zoo.logits import finite
from keras_transformer.zoo.losses.divergence import softened_divergence
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.outputs import TAGS as TAG_OUTPUTS
from keras_transformer.zoo.suited.texts import suited_to
from keras_transformer.zoo.tagging.decoding import check_constrained, row_tags
from keras_transformer.zoo.tagging.schemes import (
    OUTSIDE,
    all_tags,
    entities_of,
    scheme_of,
    stranger,
    tags_of,
)
from keras_transformer.zoo.tagging.windows import TagOutputs, Windows, windows_of
from keras_transformer.zoo.tasks.tagging.tagged_data import TaggedData
from keras_transformer.zoo.tasks.tagging.windowed_task import WindowedTask

F1 = Metric(name="f1", points=100.0)
ACCURACY = Metric(name="accuracy", points=100.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenClassification(WindowedTask):
    """Classification of the words of texts: a tag for each.

    Tags of the scheme BIO or BIOES are those of entities, which decoding keeps to the rules of the
    scheme; all others are plain, see `tagging.schemes`.

    Attributes:
        labels: tags in index order; empty to learn them from the training data.
        constrained: whether decoding keeps to the rules; otherwise each word has its most probable
            tag, and an `I-X` that goes on with nothing begins an entity.
    """

    labels: tuple[str, ...] = ()
    constrained: bool = True

    name: ClassVar[str] = "token-classification"
    output: ClassVar[str] = TAG_OUTPUTS
    columns: ClassVar[Mapping[str, str | None]] = {"text": WORDS, "label": TAGS}
    # Capitals tell names from other words.
    defaults: ClassVar[Mapping[str, Any]] = {
        "model": "bert_tiny", "lowercase": False, "strip_accents": False
    }  # fmt: skip
    fallback: ClassVar[Metric] = ACCURACY

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "labels", checked_labels(self.labels))
        check_constrained(self.constrained)
        if (other := stranger(self.labels)) is not None:
            raise InputError(_mixed(other))

    @property
    def has_entities(self) -> bool:
        """Whether tags are those of entities."""
        return scheme_of(self.labels) is not None

    @property
    def metric(self) -> Metric:
        """F1 of entities, or the accuracy of plain tags."""
        return F1 if self.has_entities else ACCURACY

    @property
    def selection(self) -> Metric:
        """The same."""
        return self.metric

    def head(self) -> Head:
        if not self.labels:
            raise InputError("Expected labels, one for each output of the model, got none.")
        return Head(kind="tokens", units=len(self.labels))

    def loss(self, label_smoothing: float = 0.0) -> Callable:
        """Returns the mean cross entropy of indices (B, T) and logits (B, T, tags)."""
        from keras_transformer.zoo.losses.losses import TokenLoss

        return TokenLoss(label_smoothing)

    def output_difference(self, targets, expected, outputs, temperature: float):
        """The mean divergence over the first pieces of words, which have a target."""
        from keras import ops

        from keras_transformer.zoo.losses.losses import mean_where

        divergence = softened_divergence(expected, outputs, temperature)
        return mean_where(divergence, ops.not_equal(targets, NO_TARGET))

    def read(
        self, source: Source, columns: Mapping[str, str | None] | None = None, *,
        name: str = "data", labelled: bool = True,
    ) -> TaggedRows:  # fmt: skip
        """Reads words and tags from CoNLL files, JSON Lines or memory, see `read_tagged`.

        Tags that break the rules of their scheme are read as entities nevertheless (an `I-X` that
        goes on with nothing begins one), rewritten and counted; so is BIO for a model of BIOES.
        """
        names = self.named_columns(columns)
        read = read_tagged(source, str(names["text"]), names["label"], name=name, labelled=labelled)
        if not labelled or names["label"] is None:
            return TaggedRows(
                texts=read.texts, targets=None, labels=list(self.labels), path=read.path,
                lines=read.lines,
            )  # fmt: skip
        tags = self._named(read)
        labels, repairs = list(self.labels), [0] * len(tags)
        scheme = scheme_of(sorted({tag for row in tags for tag in row}))
        if scheme is not None and (self.has_entities or not labels):
            _check_not_mixed(read, tags)
            labels = labels or all_tags([tag for row in tags for tag in row])
            entities = [entities_of(row) for row in tags]
            for row, (found, given) in enumerate(zip(entities, tags, strict=True)):
                kept = tags_of(found, len(given), scheme)
                repairs[row] = sum(a != b for a, b in zip(kept, given, strict=True))
                tags[row] = _known(tags_of(found, len(given), scheme_of(labels)), labels)
        labels = labels or _plain_labels(read, tags)
        return TaggedRows(
            texts=read.texts, targets=_indices(read, tags, labels), labels=labels, path=read.path,
            lines=read.lines, repairs=repairs, widenings=read.widenings,
        )  # fmt: skip

    def vocabulary_texts(self, examples: TaggedRows) -> dict[str, Sequence[str]]:
        return {"tokenizer": [" ".join(text.words) for text in examples.texts]}

    def run_data(self, train: TaggedRows, validation: TaggedRows, modality: Text) -> TaggedData:
        return TaggedData(task=self, train=train, validation=validation, modality=modality)

    def windows(self, examples: TaggedRows, modality: Text) -> Windows:
        """Returns the windows that the model reads of the examples."""
        return windows_of(
            modality.tokenizer, examples.texts, modality.max_length, self.stride
        )

    def measured(
        self, predictor: Any, examples: TaggedRows, modality: Text, outputs: Any
    ) -> dict[str, Any]:
        windows = self.windows(examples, modality)
        return self.metrics(examples, windows.outputs(outputs, len(self.labels)))

    def evaluate(self, predictor: Any, examples: TaggedRows, **decoding: Any) -> dict[str, Any]:
        check_no_decoding(decoding)
        return self.metrics_of(examples, self.outputs_of(predictor, examples))

    def metrics(self, examples: TaggedRows, outputs: TagOutputs) -> dict[str, Any]:
        """Returns the metrics of outputs against the examples' tags.

        A word that the model does not read is outside of entities, or has a wrong tag.

        Raises:
            RunError: an output is infinite or not a number.
        """
        found = self.found_tags(outputs)
        return (entity_metrics if self.has_entities else word_metrics)(examples.tags(), found)

    def answers(self, predictor: Any, examples: TaggedRows) -> Answers:
        """Returns a model's tags of the rows' words, to be measured on any of the rows.

        Raises:
            InputError: if the examples have no tags.
        """
        found = self.found_tags(self.outputs_of(predictor, examples))
        metric = self.defined(self.metric, examples)
        of_rows = f1_of_rows if metric is F1 else accuracy_of_rows
        return Answers(metric=metric, of=of_rows(examples.tags(), found))

    def outputs_of(self, predictor: Any, examples: TaggedRows) -> TagOutputs:
        """Returns a checkpoint's or a file's outputs for examples with tags.

        Raises:
            InputError: if there are no tags.
        """
        if examples.targets is None:
            raise InputError(f"{examples.path}: expected tags to evaluate on.")
        return predictor.outputs(examples.texts)

    def found_tags(self, outputs: TagOutputs) -> list[list[str | None]]:
        """Returns the tags of each row; of a word that is not read `O`, or None of plain tags.

        Raises:
            RunError: an output is infinite or not a number.
        """
        finite(outputs.scores)
        named = (*self.labels, OUTSIDE if self.has_entities else None)
        tags = row_tags(self.labels, outputs, self.constrained)
        return [[named[tag] for tag in row] for row in tags]

    def undefined(self, examples: TaggedRows) -> dict[str, str]:
        if not self.has_entities:
            return {}
        return undefined_by_entities(sum(len(entities_of(row)) for row in examples.tags()))

    def suited(self, train: TaggedRows, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options that suit a classification of the texts, but for its pooling."""
        options = suited_to([text.text for text in train.texts], None)
        return {**options, "settings": {"dropout": options["settings"]["dropout"]}}

    def with_labels(self, labels: Sequence[str]) -> Self:
        return dataclasses.replace(self, labels=tuple(labels))

    def learned_from(self, examples: TaggedRows) -> Self:
        return dataclasses.replace(self, labels=tuple(examples.labels))

    def options(self) -> dict[str, Any]:
        return super().options() | ({"labels": self.labels} if self.labels else {})

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | ({} if self.constrained else {"constrained": False})

    @classmethod
    def from_json(cls, value: Mapping[str, Any], labels: tuple[str, ...]) -> Self:
        others = {name: one for name, one in value.items() if name != "constrained"}
        task = super().from_json(others, labels)
        return dataclasses.replace(
            task, labels=tuple(labels), constrained=value.get("constrained", True)
        )

    def _named(self, read: Read) -> list[list[str]]:
        """The tags of each row as text; integers in memory are indices of the task's labels."""
        found = []
        for row, tags in enumerate(read.tags):
            named = []
            for word, tag in enumerate(tags):
                if type(tag) is int and 0 <= tag < len(self.labels):
                    tag = self.labels[tag]
                if not isinstance(tag, str):
                    raise InputError(
                        f"{read.at(row, word)}: expected a tag to be text, or an index of the "
                        f"labels where these are given, got {tag!r}."
                    )
                check_label(tag, read.at(row, word))
                named.append(tag)
            found.append(named)
        return found


def _known(tags: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Tags with I-X for each B-X that labels lack, as where data in IOB1 had none."""
    inside = {tag: f"I{tag[1:]}" for tag in tags if tag.startswith("B-") and tag not in labels}
    return [inside[tag] if inside.get(tag) in labels else tag for tag in tags]


def _mixed(tag: str) -> str:
    return (
        f"Expected tags of entities, O and those that begin with B-, I-, E- or S-, as others "
        f"are, got {tag!r}."
    )


def _check_not_mixed(read: Read, tags: Sequence[Sequence[str]]) -> None:
    other = stranger(sorted({tag for row in tags for tag in row}))
    if other is not None:
        row, word = next(
            (row, part.index(other)) for row, part in enumerate(tags) if other in part
        )
        message = _mixed(other)
        raise InputError(f"{read.at(row, word)}: {message[0].lower()}{message[1:]}")


def _plain_labels(read: Read, tags: Sequence[Sequence[str]]) -> list[str]:
    labels = sorted({tag for row in tags for tag in row})
    if len(labels) < 2:
        raise InputError(f"{read.path}: expected at least two tags, got only {labels[0]!r}.")
    return labels


def _indices(
    read: Read, tags: Sequence[Sequence[str]], labels: Sequence[str]
) -> list[np.ndarray]:
    """The indices (words,) of each row's tags."""
    known = {label: index for index, label in enumerate(labels)}
    for row, part in enumerate(tags):
        for word, tag in enumerate(part):
            if tag not in known:
                raise InputError(
                    f"{read.at(row, word)}: unknown tag {tag!r}; the known ones are "
                    f"{quoted(labels)}."
                )
    return [np.array([known[tag] for tag in part], np.int32) for part in tags]
