"""Translation, or any other text-to-text task."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.augmentation.pieces import DroppedPieces
from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.data.pairs import SentencePairs, pairs_of
from keras_transformer.zoo.data.rows import drawn_rows
from keras_transformer.zoo.data.sources import Source, read_source
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.evaluation.significance import Answers, bleu_of_rows
from keras_transformer.zoo.evaluation.text_metrics import text_metrics
from keras_transformer.zoo.generation.text import TextGenerator
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.prepared.context import current_store
from keras_transformer.zoo.prepared.encode import are_prepared, encoded
from keras_transformer.zoo.prepared.pairs import PAIR_SPECS, EncodePairs, encode_pairs
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.tasks.generating import AS_WRITTEN, VALIDATION_TOKENS, GeneratingTask
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, pad_rows
from keras_transformer.zoo.vocabularies.piece_dropout import PieceDropout

if TYPE_CHECKING:
    import keras

NUM_PROBES = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Translation(GeneratingTask):
    """Translation of source texts to target texts, in one or several languages.

    Attributes:
        labels: target languages of a multilingual model, which are also their column names; empty
            for a model of one.
    """

    labels: tuple[str, ...] = ()

    name: ClassVar[str] = "translation"
    architectures: ClassVar[tuple[str, ...]] = ("encoder-decoder",)
    columns: ClassVar[Mapping[str, str | None]] = {"source": "", "target": ""}
    defaults: ClassVar[Mapping[str, Any]] = {
        "model": "transformer_tiny", "tokenizer": "sentencepiece", "label_smoothing": 0.1,
        **AS_WRITTEN,
    }  # fmt: skip
    metric: ClassVar[Metric] = Metric(name="bleu", points=1.0)
    reads_sources: ClassVar[bool] = True

    def __post_init__(self):
        if isinstance(self.labels, str):
            raise TypeError(f"Expected labels to be a list of languages, got {self.labels!r}.")
        object.__setattr__(self, "labels", tuple(self.labels))

    def read(
        self, source: Source, columns: Mapping[str, str | None] | None = None, *,
        name: str = "data", labelled: bool = True,
    ) -> SentencePairs:  # fmt: skip
        """Reads a column of sources and one of targets, or several separated by commas."""
        names = self.named_columns(columns)
        given = (columns or {}).get("target")
        targets = given.split(",") if given else list(self.labels) or [names["target"]]
        table = read_source(source, [names["source"], *targets], name=name, weighted=True)
        pairs = pairs_of(table, names["source"], targets)
        if self.labels and not pairs.languages:
            pairs = dataclasses.replace(pairs, languages=targets * len(pairs))
        return pairs

    def vocabulary_texts(self, examples: SentencePairs) -> dict[str, Sequence[str]]:
        return {"tokenizer": examples.sources, "target_tokenizer": examples.targets}

    def run_data(
        self, train: SentencePairs, validation: SentencePairs, modality: Text
    ) -> "TranslationData":
        return TranslationData(
            task=self, train=train, validation=validation, source=modality.tokenizer,
            target=_writer(modality), max_length=modality.max_length,
        )  # fmt: skip

    def inputs(self, examples: SentencePairs, modality: Text) -> dict[str, list[np.ndarray]]:
        source, target = modality.tokenizer, _writer(modality)
        return encode_pairs(examples, source, target, modality.max_length, self.labels)[0]

    def evaluate(self, predictor: Any, examples: SentencePairs, **decoding: Any) -> dict[str, Any]:
        """Evaluates the generated texts of the sources against the targets."""
        written = predictor.generations(examples.sources, **decoding)
        return {
            "rows": len(written), "truncated": sum(one.truncated for one in written),
            **text_metrics([one.text for one in written], examples.targets),
        }  # fmt: skip

    def text_metrics(self, texts: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
        """Returns the metrics of translations against the targets."""
        return text_metrics(texts, references)

    def answers(self, predictor: Any, examples: SentencePairs, **decoding: Any) -> Answers:
        """Returns a model's translations, whose BLEU can be measured on any of the rows."""
        texts = predictor.generate(examples.sources, **decoding)
        return Answers(metric=self.metric, of=bleu_of_rows(texts, examples.targets))

    def options(self) -> dict[str, Any]:
        return {"target": ",".join(self.labels)} if self.labels else {}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], labels: tuple[str, ...]) -> Self:
        super().from_json(value, labels)
        return cls(labels=labels)

    @classmethod
    def of_columns(cls, columns: Mapping[str, str | None]) -> Self:
        targets = tuple((columns["target"] or "").split(","))
        return cls(labels=targets if len(targets) > 1 else ())


def _writer(modality: Text) -> Tokenizer:
    """The tokenizer of the output."""
    return modality.target_tokenizer or modality.tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TranslationData:
    """Training and validation pairs of a run, with the tokenizers of both sides; see `RunData`.

    Attributes:
        train, validation: pairs.
        source, target: tokenizers; the same object where the vocabulary is shared.
        max_length: maximum number of tokens of a source and of a target, the end token included.
    """

    task: Translation
    train: SentencePairs
    validation: SentencePairs
    source: Tokenizer
    target: Tokenizer
    max_length: int

    @property
    def vocab_sizes(self) -> dict[str, int]:
        read = self.source.vocab_size + len(self.task.labels)
        if self.source is self.target:
            return {"vocab_size": read, "source_vocab_size": 0}
        return {"vocab_size": self.target.vocab_size, "source_vocab_size": read}

    @property
    def modality(self) -> Text:
        target = None if self.source is self.target else self.target
        return Text(tokenizer=self.source, target_tokenizer=target, max_length=self.max_length)

    def batches(
        self, *, batch_tokens: int, bucket: int, seed: int, piece_dropout: float = 0.0
    ) -> Batches | SampledBatches | DroppedPieces:
        weights = self.train.weights

        def of(found, epoch: int = 0) -> Batches:
            columns, targets, _ = found
            return Batches(
                columns, targets, batch_tokens=batch_tokens, bucket=bucket, seed=seed,
                rows=None if weights is None else drawn_rows(weights, (seed, epoch)),
            )  # fmt: skip

        if not piece_dropout and weights is not None:
            return SampledBatches(lambda epoch: of(self._encoded_train, epoch))
        if not piece_dropout:
            return of(self._encoded_train)
        source = PieceDropout(self.source, piece_dropout)
        target = PieceDropout(self.target, piece_dropout)

        if current_store() is not None and are_prepared((self.train.sources, self.train.targets)):
            plain = self.batches(batch_tokens=batch_tokens, bucket=bucket, seed=seed)
            return self._dropped(plain, source, target, seed)

        def sample(epoch: int) -> Batches:
            source.seed(seed, epoch, "source")
            target.seed(seed, epoch, "target")
            return of(
                encode_pairs(self.train, source, target, self.max_length, self.task.labels), epoch
            )

        return SampledBatches(sample)

    def _dropped(
        self, batches: Any, source: PieceDropout, target: PieceDropout, seed: int
    ) -> DroppedPieces:
        """Batches of many pairs, split into other pieces one by one."""

        def encode(index: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
            source.seed(int(rng.integers(2**63)), "source")
            target.seed(int(rng.integers(2**63)), "target")
            pairs = self.train.take(index)
            columns, targets, _ = encode_pairs(
                pairs, source, target, self.max_length, self.task.labels
            )
            return {**columns, "targets": targets}

        return DroppedPieces(
            batches, encode, rate=source.rate, longest=self.max_length, seed=seed
        )

    def validator(self) -> "Callable[[keras.Model], dict[str, Any]]":
        columns, targets, _ = self._encoded_validation
        from keras_transformer.zoo.evaluation.perplexity import Perplexity

        return Perplexity(Batches(columns, targets, batch_tokens=VALIDATION_TOKENS))

    def written_metrics(self, model: Any) -> dict[str, Any]:
        """Returns BLEU, chrF and exact match of the translations of the validation sources."""
        pairs = self.validation
        texts = translations(model.generator(), pairs, self.task.labels)
        by_language = {}
        for language in self.task.labels:
            rows = [row for row, name in enumerate(pairs.languages) if name == language]
            written, expected = ([part[row] for row in rows] for part in (texts, pairs.targets))
            # A share for validation may hold no row of a language.
            found = text_metrics(written, expected)["bleu"] if rows else None
            by_language[f"bleu_{language}"] = found
        return {**text_metrics(texts, pairs.targets), **by_language}

    def probes(self, seed: int) -> dict[str, np.ndarray]:
        columns, _, _ = self._encoded_validation
        rows = len(self.validation)
        chosen = np.random.default_rng(seed).choice(rows, min(NUM_PROBES, rows), replace=False)
        return {name: pad_rows([ids[row] for row in chosen]) for name, ids in columns.items()}

    def report_cuts(self, report: Report) -> None:
        for pairs, found in (
            (self.train, self._encoded_train), (self.validation, self._encoded_validation)
        ):  # fmt: skip
            num_cut = int(np.count_nonzero(found[2]))
            report.cut(pairs.path, len(pairs), num_cut, f"{self.max_length} tokens")

    @functools.cached_property
    def _encoded_train(self):
        return self._encode(self.train, self.source, self.target)

    @functools.cached_property
    def _encoded_validation(self):
        return self._encode(self.validation, self.source, self.target)

    def _encode(self, pairs, source, target):
        store, columns = current_store(), (pairs.sources, pairs.targets)
        if store is None or self.task.labels or not are_prepared(columns):
            return encode_pairs(pairs, source, target, self.max_length, self.task.labels)
        own = Text(tokenizer=source, target_tokenizer=target, max_length=self.max_length)
        found = encoded(
            store,
            EncodePairs(own.files(), self.max_length, max(source.vocab_size, target.vocab_size)),
            columns, PAIR_SPECS, progress=lambda done: None,
        )  # fmt: skip
        read = {name: found.columns[name] for name in ("source_ids", "ids")}
        return read, found.columns["targets"], found.truncated


def translations(
    generator: TextGenerator, pairs: SentencePairs, languages: Sequence[str] = (), **decoding: Any
) -> list[str]:
    """Translates the sources of pairs, each to its row's language.

    Args:
        generator: translator.
        pairs: pairs with the sources.
        languages: target languages, if there are several.
        **decoding: decoding options, see `TextGenerator.generate`.
    """
    texts = [""] * len(pairs)
    for language in languages or [None]:
        rows = [
            row for row in range(len(texts)) if language is None or pairs.languages[row] == language
        ]
        written = generator.generate(
            [pairs.sources[row] for row in rows], language=language, **decoding
        )
        for row, one in zip(rows, written, strict=True):
            texts[row] = one.text
    return texts
