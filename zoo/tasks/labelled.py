"""Data of a task over whole texts: labelled rows, tokenized."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.data.tables import Examples
from keras_transformer.zoo.evaluation.metrics import metrics
from keras_transformer.zoo.models.predict import PREDICT_TOKENS, model_inputs, predict
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.tokenizers.tokenizer import Encoded, Tokenizer, pad_rows
from keras_transformer.zoo.vocabularies.piece_dropout import PieceDropout

NUM_PROBES = 64


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LabelledData:
    """Training and validation rows of a run.

    Attributes:
        train, validation: the rows.
        tokenizer: of all texts.
        max_length: tokens of a row.
    """

    task: Task
    train: Examples
    validation: Examples
    tokenizer: Tokenizer
    max_length: int

    @property
    def vocab_sizes(self) -> dict[str, int]:
        """What the data decides of the model's config."""
        return {"vocab_size": self.tokenizer.vocab_size}

    @property
    def tokenizers(self) -> dict[str, Tokenizer]:
        """The tokenizers of a checkpoint, by the names that `Checkpoint` gives them."""
        return {"tokenizer": self.tokenizer}

    def batches(self, recipe: Recipe) -> Batches | SampledBatches:
        """The training batches of a recipe."""
        if not recipe.data.piece_dropout:
            return self._training_batches(self._encoded_train, recipe)
        tokenizer = PieceDropout(self.tokenizer, recipe.data.piece_dropout)

        def sample(epoch: int) -> Batches:
            tokenizer.seed(recipe.training.seed, epoch)
            return self._training_batches(self._encode(self.train, tokenizer), recipe)

        return SampledBatches(sample)

    def validator(self) -> Callable[[keras.Model], dict[str, Any]]:
        """Returns the function from a model to its metrics on the validation rows."""
        columns = model_inputs(self.task, self._encoded_validation.columns)
        batches = Batches(columns, batch_tokens=PREDICT_TOKENS)
        name, labels, targets = self.task.name, self.task.labels, self.validation.targets
        return lambda model: metrics(name, labels, targets, predict(model, batches))

    def written_metrics(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Nothing: `validator` measures all."""
        return {}

    def probes(self, seed: int) -> dict[str, np.ndarray]:
        """Ids and segment ids (rows, T) of a few validation rows."""
        encoded = self._encoded_validation
        count = min(NUM_PROBES, len(encoded.ids))
        rows = np.random.default_rng(seed).choice(len(encoded.ids), count, replace=False)
        return {
            name: pad_rows([ids[row] for row in rows]) for name, ids in encoded.columns.items()
        }

    def report_cuts(self, report: Report) -> None:
        """Says how many rows are longer than the model's input."""
        for part, encoded in (
            (self.train, self._encoded_train), (self.validation, self._encoded_validation)
        ):  # fmt: skip
            report.cut(part.path, len(part.texts), encoded.num_truncated, self.max_length)

    @functools.cached_property
    def _encoded_train(self) -> Encoded:
        return self._encode(self.train, self.tokenizer)

    @functools.cached_property
    def _encoded_validation(self) -> Encoded:
        return self._encode(self.validation, self.tokenizer)

    def _training_batches(self, encoded: Encoded, recipe: Recipe) -> Batches:
        columns = model_inputs(self.task, encoded.columns)
        return Batches(
            columns, self.train.targets, batch_tokens=recipe.data.batch_tokens,
            bucket=recipe.data.bucket, seed=recipe.training.seed,
        )  # fmt: skip

    def _encode(self, part: Examples, tokenizer: Tokenizer) -> Encoded:
        return tokenizer.encode(part.texts, part.pairs, max_length=self.max_length)
