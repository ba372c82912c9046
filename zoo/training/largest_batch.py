"""A run's largest batch, by the memory of its steps."""

import math

import keras

from keras_transformer.zoo.distributed.step import KeptStep
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.memory import step_bytes
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.run_data import RunData
from keras_transformer.zoo.training.fit import Fit
from keras_transformer.zoo.training.memory.batch_size import (
    device_bytes,
    largest_batch,
    usable_bytes,
)
from keras_transformer.zoo.training.multi_task import learner_of
from keras_transformer.zoo.training.optimizers import copies_of_weights
from keras_transformer.zoo.training.run_data import training_batches


def with_largest_batch(
    recipe: Recipe, model: keras.Model, config: TransformerConfig, data: RunData, report: Report
) -> Recipe:
    """Returns a run's recipe with the number of tokens of the largest batch that fits.

    A device of its own, such as a GPU, has steps compiled for it, whose memory XLA knows; for the
    machine's own memory the least of a step is estimated.

    Raises:
        InputError: if no step fits.
    """

    def of(tokens: int) -> Recipe:
        return recipe.replace(batch_tokens=tokens)

    def bytes_of(tokens: int) -> int:
        batches = training_batches(data, of(tokens))
        rows, length = batches.largest()
        if device_bytes() is None:
            return step_bytes(model, rows * length, length, copies_of_weights(recipe))
        fit = Fit(
            model, data.task, of(tokens), batches, data.validator(),
            learner=learner_of(model, config, data, recipe.training.loss_chunk),
        )  # fmt: skip
        largest = max(
            batches.one_of_each_shape(),
            key=lambda batch: sum(math.prod(one.shape) for one in batch.inputs.values()),
        )
        return KeptStep(fit.learner).memory(largest.inputs, largest.targets)

    found = largest_batch(
        bytes_of, lambda tokens: len(training_batches(data, of(tokens))), usable_bytes()
    )
    report.note(f"The largest batch that fits has {found:,} tokens (--batch-tokens {found}).")
    return of(found)
