"""What becomes of the outputs of several models, by the kind of their task's outputs."""

import dataclasses
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
from keras_transformer.zoo.models.fused_config import Combination, config_of_head
from keras_transformer.zoo.outputs import (
    ANSWERS,
    BY_HEAD,
    CLASSES,
    EMBEDDING,
    LABEL_SETS,
    TAGS,
    class_probabilities,
)
from keras_transformer.zoo.tasks.multi_task.learner import head_models
from keras_transformer.zoo.tasks.multi_task.multi_data import MultiData
from keras_transformer.zoo.tasks.run_data import RunData
from keras_transformer.zoo.tasks.task import Task


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

    def combined(
        self, tasks: Sequence[Task], outputs: Sequence[Any], by: str
    ) -> Combination | Mapping[str, Combination]:
        """Returns what becomes of the members' outputs, see `FusedConfig`.

        Args:
            tasks: task of each member, which has what was tuned for it.
            outputs: outputs of each member.
            by: `mean`, `fitted` or `vote`, see `fuse`.
        """
        weights = np.full(len(outputs), 1 / len(outputs))
        if by == "fitted":
            weights = self.shares(
                [self.calibrated(*one) for one in zip(tasks, outputs, strict=True)]
            )
        return Combination(
            combine=self.votes if by == "vote" else self.combine, weights=tuple(weights.tolist()),
            temperatures=self.temperatures(tasks),
        )  # fmt: skip

    def temperatures(self, tasks: Sequence[Task]) -> tuple[float, ...]:
        """Returns the divisors of the members' logits; empty for 1."""
        return ()

    def calibrated(self, task: Task, outputs: Any) -> Any:
        """Returns a member's outputs as they are averaged."""
        return outputs

    def shares(self, outputs: Sequence[Any]) -> np.ndarray:
        """Returns weights of the members that minimize the loss on the validation rows.

        Args:
            outputs: of each member, see `calibrated`.
        """
        return probability_shares(np.stack([self.found(one) for one in outputs], axis=1))

    def found(self, outputs: Any) -> np.ndarray:
        """Returns the probabilities (targets,) of all that was to be found."""
        raise NotImplementedError


class OfClasses(Average):
    """Averages of the probabilities that members give, which are calibrated."""

    combine = "probabilities"
    votes = "votes"

    def temperatures(self, tasks: Sequence[Task]) -> tuple[float, ...]:
        found = tuple(task.temperature for task in tasks)
        return () if set(found) == {1.0} else found

    def calibrated(self, task: Task, outputs: np.ndarray) -> np.ndarray:
        return outputs / np.float32(task.temperature)

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


class OfHeads(Average):
    """Averages of each head's outputs, as those of a model of its task alone."""

    def __init__(self, run: MultiData):
        super().__init__(run)
        self._parts = {
            name: AVERAGES[task.output](run.parts[name]) for name, task in run.task.tasks.items()
        }

    def outputs(self, checkpoint: Checkpoint) -> dict[str, Any]:
        heads = heads_of(checkpoint)
        return {name: one.outputs(heads[name]) for name, one in self._parts.items()}

    def metrics(self, checkpoint: Checkpoint, outputs: Mapping[str, Any]) -> dict[str, Any]:
        heads = heads_of(checkpoint)
        found = {name: one.metrics(heads[name], outputs[name]) for name, one in self._parts.items()}
        return checkpoint.task.joined(found, self.run.validation)

    def combined(
        self, tasks: Sequence[Task], outputs: Sequence[Any], by: str
    ) -> dict[str, Combination]:
        return {
            name: one.combined(
                [task.tasks[name] for task in tasks], [found[name] for found in outputs], by
            )
            for name, one in self._parts.items()
        }


def heads_of(checkpoint: Checkpoint) -> dict[str, Checkpoint]:
    """Returns a checkpoint of each task of a model of several, which share its layers."""
    models = head_models(checkpoint.model, checkpoint.task, checkpoint.modality)
    return {
        name: dataclasses.replace(
            checkpoint, config=config_of_head(checkpoint.config, name), task=task,
            model=models[name], rows={},
        )
        for name, task in checkpoint.task.tasks.items()
    }  # fmt: skip


# Kind of the task's outputs -> what becomes of the members'.
AVERAGES: Mapping[str, type[Average]] = {
    CLASSES: OfClasses,
    "number": OfNumbers,
    LABEL_SETS: OfLabelSets,
    EMBEDDING: OfVectors,
    TAGS: OfTags,
    ANSWERS: OfAnswers,
    "text": OfTokens,
    BY_HEAD: OfHeads,
}
