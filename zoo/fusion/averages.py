"""What becomes of the outputs of several models, by the kind of their task's outputs."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from keras_transformer.zoo.answering.windows import BEGINS, ENDS, MAY_BEGIN, MAY_END
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.fusion.shares import (
    logit_shares,
    number_shares,
    probability_shares,
)
from keras_transformer.zoo.logits import finite, sigmoid
from keras_transformer.zoo.outputs import (
    ANSWERS,
    CLASSES,
    EMBEDDING,
    LABEL_SETS,
    TAGS,
    class_probabilities,
)
from keras_transformer.zoo.tasks.run_data import RunData


class Average:
    """Averages of outputs (rows, units), one for each validation row; subclasses differ in these.

    Args:
        run: data with the validation rows.

    Attributes:
        combine: combination of the members' outputs, see `FusedConfig`.
        votes: that of a vote; None where there is none.
        has_shares: whether weights can be fitted to the validation rows.
    """

    combine: ClassVar[str]
    votes: ClassVar[str | None] = None
    has_shares: ClassVar[bool] = True

    def __init__(self, run: RunData):
        self.run = run

    def outputs(self, checkpoint: Checkpoint) -> Any:
        """Returns what a checkpoint says of the validation rows.

        Raises:
            RunError: if it is not finite.
        """
        rows = checkpoint.task.rows(self.run.validation)
        return finite(checkpoint.outputs(*rows).scores)

    def metrics(self, checkpoint: Checkpoint, outputs: Any) -> dict[str, Any]:
        """Returns the metrics of a checkpoint's outputs on the validation rows."""
        return checkpoint.task.metrics(self.run.validation.targets, outputs)

    def shares(self, outputs: Sequence[Any]) -> np.ndarray:
        """Returns weights of the members that minimize the loss on the validation rows.

        Args:
            outputs: of each member.
        """
        return probability_shares(np.stack([self.found(one) for one in outputs], axis=1))

    def found(self, outputs: Any) -> np.ndarray:
        """Returns the probabilities (targets,) of all that was to be found."""
        raise NotImplementedError


class OfClasses(Average):
    combine = "probabilities"
    votes = "votes"

    def found(self, outputs: np.ndarray) -> np.ndarray:
        targets = self.run.validation.targets
        return class_probabilities(outputs.astype("float64"))[np.arange(len(targets)), targets]


class OfNumbers(Average):
    combine = "numbers"

    def shares(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        return number_shares(self.run.validation.targets, outputs)


class OfLabelSets(Average):
    combine = "label_probabilities"

    def found(self, outputs: np.ndarray) -> np.ndarray:
        signs = np.where(self.run.validation.targets, 1.0, -1.0)
        return sigmoid(signs * outputs).reshape(-1)


class OfVectors(Average):
    combine = "vectors"
    has_shares = False


class OfTags(Average):
    """Averages of the tags' probabilities at each position; those of words are measured."""

    combine = "probabilities"
    votes = "votes"

    def outputs(self, checkpoint: Checkpoint) -> Any:
        return checkpoint.outputs(self.run.validation.texts)

    def metrics(self, checkpoint: Checkpoint, outputs: Any) -> dict[str, Any]:
        return checkpoint.task.metrics(self.run.validation, outputs)

    def found(self, outputs: Any) -> np.ndarray:
        scores, targets = (
            np.concatenate([one[read] for one, read in zip(rows, outputs.is_read, strict=True)])
            for rows in (outputs.scores, self.run.validation.targets)
        )
        probabilities = class_probabilities(finite(scores).astype("float64"))
        return probabilities[np.arange(len(targets)), targets]


class OfAnswers(Average):
    """Averages of the logits of begin and end; the threshold of no answer is tuned again."""

    combine = "logits"

    def __init__(self, run: RunData):
        super().__init__(run)
        self._predict = run.predictor()

    def outputs(self, checkpoint: Checkpoint) -> list[np.ndarray]:
        return finite(self._predict(checkpoint.model), of="windows")

    def metrics(self, checkpoint: Checkpoint, outputs: list[np.ndarray]) -> dict[str, Any]:
        return self.run.metrics(outputs)

    def shares(self, outputs: Sequence[list[np.ndarray]]) -> np.ndarray:
        logits, firsts, rights, count = [], [], [], 0
        for codes, *windows in zip(self.run.validation_targets, *outputs, strict=True):
            for end, (may, does) in enumerate(((MAY_BEGIN, BEGINS), (MAY_END, ENDS))):
                competing = np.flatnonzero(codes & may)
                logits.append(np.stack([one[competing, end] for one in windows], axis=1))
                firsts.append(count)
                rights.append(count + np.flatnonzero(codes[competing] & does).item())
                count += len(competing)
        scores = np.concatenate(logits).astype("float64")
        return logit_shares(scores, np.array(firsts), np.array(rights))


class OfTokens(Average):
    """Averages of the next token's probabilities; what is written with them is measured too."""

    combine = "probabilities"

    def __init__(self, run: RunData):
        super().__init__(run)
        self._validator = run.validator()

    def outputs(self, checkpoint: Checkpoint) -> np.ndarray:
        return finite(self._validator.scores(checkpoint.model))

    def metrics(self, checkpoint: Checkpoint, outputs: np.ndarray) -> dict[str, Any]:
        return self._validator.metrics(outputs) | self.run.written_metrics(checkpoint)

    def found(self, outputs: np.ndarray) -> np.ndarray:
        return np.exp(-outputs[:, 0].astype("float64"))


# Kind of the task's outputs -> what becomes of the members'.
AVERAGES: Mapping[str, type[Average]] = {
    CLASSES: OfClasses,
    "number": OfNumbers,
    LABEL_SETS: OfLabelSets,
    EMBEDDING: OfVectors,
    TAGS: OfTags,
    ANSWERS: OfAnswers,
    "text": OfTokens,
}
