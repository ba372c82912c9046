"""Rows of two kinds that match: an encoder for each, whose vectors are near where they do."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.data.rows import Examples
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.data.tables import Table
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.evaluation.retrieval import match_metrics
from keras_transformer.zoo.evaluation.significance import Answers
from keras_transformer.zoo.generation.decoding import check_no_decoding
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.models.heads import Heads
from keras_transformer.zoo.outputs import BY_HEAD, check_scale
from keras_transformer.zoo.tasks.embedding import Embedding
from keras_transformer.zoo.tasks.labelled import LabelledTask
from keras_transformer.zoo.tasks.matching.contrastive_data import ContrastiveData, distinct
from keras_transformer.zoo.tasks.named_labels import suited_to_several

_RANK = Metric(name="mean_reciprocal_rank", points=100.0)
# The inverse of the paper's first temperature, 0.07.
FIRST_SCALE = 1 / 0.07


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contrastive(LabelledTask):
    """Rows of two kinds that match, such as images and their captions.

    An encoder of each kind gives vectors of one width and length 1. Those of a pair are to have a
    larger product than those of other pairs of the batch (CLIP; Radford et al. 2021,
    arXiv:2103.00020, section 2). Pairs with an image or a text in common are no negatives of each
    other. Evaluation ranks the distinct texts for each image, and the images for each text.

    Attributes:
        modality: name of the modality of both kinds, such as `image+text`.
        vector_dim: width of the vectors.
        scale: factor of the products that makes logits of them, which training learns.
    """

    modality: str = "image+text"
    vector_dim: int = 128
    scale: float = dataclasses.field(default=FIRST_SCALE, compare=False)

    name: ClassVar[str] = "contrastive"
    output: ClassVar[str] = BY_HEAD
    metric: ClassVar[Metric] = _RANK
    selection: ClassVar[Metric] = _RANK
    columns: ClassVar[Mapping[str, str | None]] = {"text": "text", "image": None, "audio": None}
    defaults: ClassVar[Mapping[str, Any]] = {}
    needs_pairs: ClassVar[bool] = False
    fusion: ClassVar[str | None] = "separate"
    own_options: ClassVar[tuple[str, ...]] = ("vector_dim",)
    stored: ClassVar[tuple[str, ...]] = ("vector_dim", "scale")
    tuned_fields: ClassVar[tuple[str, ...]] = ("scale",)

    def __post_init__(self):
        check_scale(self.scale)
        self.tasks  # noqa: B018  it checks the width
        if len(self.kinds) != 2:
            raise InputError(
                "Expected a model of two kinds of rows for contrastive, such as cct_4+bert_tiny, "
                f"got one of {self.modality}."
            )

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the kinds, which are those of the heads."""
        return tuple(one.name for one in getattr(modality_named(self.modality), "kinds", ()))

    @property
    def tasks(self) -> dict[str, Embedding]:
        """The task of each encoder alone, by its kind."""
        return {
            name: Embedding(modality=name, projection=self.vector_dim) for name in self.kinds
        }

    @property
    def columns_of(self) -> dict[str, Mapping[str, str | None]]:
        """Columns of the data of each encoder alone."""
        return {name: task.columns for name, task in self.tasks.items()}

    def head(self) -> Heads:
        return Heads(heads={name: task.head() for name, task in self.tasks.items()})

    def suited(self, train: Examples, settings: Mapping[str, Any]) -> dict[str, Any]:
        found = suited_to_several(train.texts, settings, self.kinds)
        return found | {"label_smoothing": 0.0}

    def loss(self, label_smoothing: float = 0.0) -> Callable:
        """Returns the loss of ids (B, 2) and vectors by kind, see `contrastive_loss`."""
        if label_smoothing:
            raise InputError(
                "Expected label_smoothing to be 0 for contrastive, "
                f"got label_smoothing={label_smoothing}."
            )
        from keras_transformer.zoo.losses.vectors import contrastive_loss

        def of_pairs(ids, outputs, scale=self.scale):
            return contrastive_loss(ids, *(outputs[name] for name in self.kinds), scale)

        return of_pairs

    def output_difference(self, targets, expected, outputs, temperature: float):
        """The mean difference of both encoders' vectors, see `Embedding`."""
        found = [
            task.output_difference(None, expected[name], outputs[name], temperature)
            for name, task in self.tasks.items()
        ]
        return sum(found) / len(found)

    def targets(self, table: Table, label: str) -> tuple[np.ndarray, Sequence[str]]:
        raise NotImplementedError

    def label_of(
        self, names: Mapping[str, str | None], labelled: bool
    ) -> tuple[str | None, bool]:
        return None, False

    def named_columns(self, columns: Mapping[str, str | None] | None) -> dict[str, str | None]:
        return {**super().named_columns(columns), "text_pair": None}

    def read(
        self, source: Source, columns: Mapping[str, str | None] | None = None, *,
        name: str = "data", labelled: bool = True,
    ) -> Examples:  # fmt: skip
        """Reads pairs, whose targets (rows, 2) are the ids of the rows of each kind."""
        examples = super().read(source, columns, name=name, labelled=labelled)
        ids = np.stack([_ids([row[kind] for row in examples.texts]) for kind in self.kinds], axis=1)
        return dataclasses.replace(examples, targets=ids)

    def run_data(
        self, train: Examples, validation: Examples, modality: Modality
    ) -> ContrastiveData:
        for name, ids in zip(self.kinds, train.targets.T, strict=True):
            if len(np.unique(ids)) < 2:
                raise InputError(
                    f"{train.path}: expected pairs of at least two {modality_named(name).rows} to "
                    "tell apart, got one."
                )
        return ContrastiveData(task=self, train=train, validation=validation, modality=modality)

    def tuned(
        self, data: ContrastiveData, model: Any, metrics: dict
    ) -> tuple[Self, dict[str, Any]]:
        """Returns the task with the factor that was learned, if the run learned one."""
        metrics = dict(metrics)
        scale = metrics.pop("scale", self.scale)
        return dataclasses.replace(self, scale=scale), metrics

    def evaluate(self, predictor: Any, examples: Examples, **decoding: Any) -> dict[str, Any]:
        check_no_decoding(decoding)
        vectors, truncated = {}, np.zeros(len(examples), bool)
        for name, ids in zip(self.kinds, examples.targets.T, strict=True):
            places, inverse = distinct(ids)
            found = predictor.head(name).outputs([examples.texts[one][name] for one in places])
            vectors[name] = found.scores
            truncated |= np.array(found.truncated)[inverse]
        return {
            "rows": len(examples), "truncated": int(truncated.sum()),
            **self.ranks(examples.targets, vectors),
        }  # fmt: skip

    def ranks(self, ids: np.ndarray, vectors: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Returns the mean reciprocal rank of both directions, and the recalls of each.

        Args:
            ids: (rows, 2), see `read`.
            vectors: vectors (N, D) of the distinct rows of each kind, in the order of the ids.
        """
        metrics: dict[str, float] = {}
        ranks = []
        pairs = np.stack([distinct(one)[1] for one in ids.T], axis=1)
        for step in (1, -1):
            query, answer = self.kinds[::step]
            found = match_metrics(vectors[query], vectors[answer], pairs[:, ::step])
            ranks.append(found.pop(_RANK.name))
            metrics |= {f"{query}_to_{answer}_{name}": value for name, value in found.items()}
        return {_RANK.name: float(np.mean(ranks)), **metrics}

    def metrics(self, targets: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
        raise NotImplementedError

    def answers(self, predictor: Any, examples: Examples) -> Answers:
        raise InputError(f"Expected a task of separate rows, got {self.name}; evaluate each.")

    @classmethod
    def from_json(cls, value: Mapping[str, Any], labels: tuple[str, ...]) -> Self:
        if not isinstance(value.get("modality", ""), str) or value.get("pair"):
            raise InputError(f"Expected a task of two kinds of rows, got {dict(value)!r}.")
        return super().from_json(value, labels)


def _ids(rows: Sequence[Any]) -> np.ndarray:
    """Numbers (rows,) of the rows: those of equal texts and paths are the same."""
    ids: dict[Any, int] = {}
    keys = [str(row) if isinstance(row, str | Path) else place for place, row in enumerate(rows)]
    return np.array([ids.setdefault(key, len(ids)) for key in keys], np.int32)
