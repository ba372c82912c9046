"""Training and validation pairs of rows of two kinds, encoded for an encoder of each."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.logits import finite
from keras_transformer.zoo.tasks.labelled_data import LabelledData

if TYPE_CHECKING:
    import keras


def distinct(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the place of the first row of each id, and that of each row's among these."""
    _, places, inverse = np.unique(ids, return_index=True, return_inverse=True)
    return places, inverse


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ContrastiveData(LabelledData):
    """Pairs of a run, see `RunData`.

    Attributes:
        learners: what the run trains, once `learner` was called: it knows the learned factor.
    """

    learners: list[Any] = dataclasses.field(default_factory=list)

    def learner(self, model: "keras.Model", config: Any) -> "keras.Model":
        """Returns what training steps train in place of the model, see `Fit`."""
        from keras_transformer.zoo.tasks.matching.learner import ContrastiveLearner

        self.learners[:] = [ContrastiveLearner(model, self.task.scale)]
        return self.learners[0]

    def validator(self) -> "Callable[[keras.Model], dict[str, Any]]":
        from keras_transformer.zoo.models.running.predict import PREDICT_TOKENS, predict
        from keras_transformer.zoo.tasks.multi_task.learner import head_models

        batches, ids = {}, self.validation.targets
        for name, own in zip(self.task.kinds, ids.T, strict=True):
            specs = self.modality.of_kind(name).inputs()
            places, _ = distinct(own)
            columns = {
                one: [rows[place] for place in places]
                for one, rows in self._encoded_validation.of(specs).items()
            }
            batches[name] = Batches(columns, specs=specs, batch_tokens=PREDICT_TOKENS)
        # Each has a compiled function, which the next epoch's validation runs again.
        made: list[tuple[keras.Model, dict[str, keras.Model]]] = []

        def validate(model: "keras.Model") -> dict[str, Any]:
            if not made or made[0][0] is not model:
                made[:] = [(model, head_models(model, self.task, self.modality))]
            vectors = {
                name: finite(predict(one, batches[name])) for name, one in made[0][1].items()
            }
            metrics = self.task.ranks(ids, vectors)
            return metrics | ({"scale": self.learners[0].scale} if self.learners else {})

        return validate
