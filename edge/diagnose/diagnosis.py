"""Evaluation of a model that keeps what it computed for each row."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.edge.diagnose.figures import confusion_figure, reliability_figure
from keras_transformer.edge.diagnose.row_tables import check_suffix, table_bytes
from keras_transformer.edge.diagnose.spans import wrong_answers, wrong_tags
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.unknown import unknown_shares
from keras_transformer.zoo.outputs import (
    ANSWERS,
    CLASSES,
    LABEL_SETS,
    MASKS,
    OUTPUTS,
    REPLACED,
    TAGS,
)
from keras_transformer.zoo.predictor import Predictor
from keras_transformer.zoo.storage.files import check_file_target, write_file
from keras_transformer.zoo.tabular import Metrics
from keras_transformer.zoo.tasks.measure import read_options, scope_metrics
from keras_transformer.zoo.tasks.registry import task_of

FORMATS = ("svg", "png")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What a model computes for rows, beside what is right.

    Attributes:
        kind: kind of the outputs, see `OUTPUTS`.
        labels: names of the labels.
        examples: rows with targets.
        outputs: outputs of the model for them.
        predictions: predictions of the model.
        metrics: metrics of its task.
        column: column of the rows in `errors`, such as `text`.
    """

    kind: str
    labels: Sequence[str]
    examples: Any
    outputs: Any
    predictions: Sequence[Any]
    metrics: Metrics
    column: str = "text"

    def errors(self) -> list[dict[str, Any]]:
        """Returns the rows whose prediction is wrong, worst first.

        Each has its line, its text or texts, the label and the prediction. Of classes the score is
        the probability of the prediction, and `label_score`, by which rows are ordered, that of
        the label; sets of labels have the mean cross entropy of their labels (`loss`), numbers
        their `difference`. For tags and answers see `wrong_tags` and `wrong_answers`.
        """
        finders = {
            CLASSES: self._wrong_classes, LABEL_SETS: self._wrong_sets,
            TAGS: lambda: wrong_tags(self.labels, self.examples, self.predictions),
            ANSWERS: lambda: wrong_answers(self.examples, self.predictions),
        }  # fmt: skip
        found = finders.get(self.kind, self._wrong_numbers)
        wrong = sorted(found(), key=lambda one: one[0], reverse=True)
        return [{**self._row(place), **values} for _, place, values in wrong]

    def write_errors(self, path: str | Path, *, overwrite: bool = False) -> int:
        """Writes `errors` as a table, and returns their number.

        Args:
            path: a `.tsv`, `.csv` or `.jsonl` file.
            overwrite: whether to replace one.

        Raises:
            FileExistsError: if the file exists.
            InputError: if the suffix is another, or a `.tsv` file cannot hold a text.
        """
        rows = self.errors()
        columns = [*self._row(0), "label", "prediction", *self._own_columns]
        write_file(path, table_bytes(rows, columns, path), overwrite=overwrite)
        return len(rows)

    def write_figures(self, folder: str | Path) -> list[Path]:
        """Writes the confusion matrix and the reliability diagram of a classifier, and their paths.

        Existing figures are replaced.

        Raises:
            InputError: if the model is no classifier of one label each, or matplotlib is missing.
        """
        if self.kind != CLASSES:
            raise InputError(
                f"Expected figures only of one label for each row, got outputs of {self.kind}; ask "
                "for the errors instead."
            )
        targets, scores = self.examples.targets, self.outputs.scores
        chosen = scores.argmax(axis=1)
        confidences = np.array([max(one.scores.values()) for one in self.predictions])
        paths = []
        Path(folder).mkdir(parents=True, exist_ok=True)
        for kind in FORMATS:
            figures = {
                "confusion": confusion_figure(targets, chosen, self.labels, kind),
                "reliability": reliability_figure(chosen == targets, confidences, kind),
            }
            for name, data in figures.items():
                paths.append(Path(folder) / f"{name}.{kind}")
                write_file(paths[-1], data, overwrite=True)
        return paths

    @property
    def _own_columns(self) -> tuple[str, ...]:
        own = {
            CLASSES: ("score", "label_score"), LABEL_SETS: ("loss",), TAGS: ("differing",),
            ANSWERS: ("score", "f1"),
        }  # fmt: skip
        return own.get(self.kind, ("difference",))

    def _row(self, place: int) -> dict[str, Any]:
        examples = self.examples
        if self.kind == ANSWERS:
            return {
                "place": examples.places[place], "question": examples.questions[place],
                "context": examples.contexts[place].text,
            }  # fmt: skip
        if self.kind == TAGS:
            return {"line": examples.lines[place], "text": examples.texts[place].text}
        pair = {} if examples.pairs is None else {"text_pair": examples.pairs[place]}
        row, line = examples.texts[place], examples.lines[place]
        kinds = row if isinstance(row, Mapping) else {self.column: row}
        # Of a picture or a sound in memory there is no more to show than its number.
        shown = {
            name: str(one) if isinstance(one, str | Path) else f"row {line}"
            for name, one in kinds.items()
        }
        return {"line": line, **shown, **pair}

    def _wrong_classes(self):
        for place, (target, one) in enumerate(
            zip(self.examples.targets.tolist(), self.predictions, strict=True)
        ):
            label = self.labels[target]
            if one.label != label:
                right = one.scores[label]
                yield -right, place, {
                    "label": label, "prediction": one.label, "score": one.score,
                    "label_score": right,
                }  # fmt: skip

    def _wrong_sets(self):
        targets, scores = self.examples.targets > 0, self.outputs.scores.astype("float64")
        losses = np.logaddexp(0.0, np.where(targets, -scores, scores)).mean(axis=1)
        for place, one in enumerate(self.predictions):
            right = [name for name, has in zip(self.labels, targets[place], strict=True) if has]
            if set(right) != set(one.labels):
                yield losses[place], place, {
                    "label": right, "prediction": list(one.labels), "loss": float(losses[place]),
                }  # fmt: skip

    def _wrong_numbers(self):
        for place, (target, one) in enumerate(
            zip(self.examples.targets.tolist(), self.predictions, strict=True)
        ):
            off = one.score - target
            yield abs(off), place, {"label": target, "prediction": one.score, "difference": off}


def diagnose(
    predictor: Predictor, data: Source, *, out_of_scope: Source | None = None, **options: Any
) -> Diagnosis:
    """Evaluates a model, and keeps what it computes for each row.

    Args:
        predictor: checkpoint or `Runner`.
        data: labelled rows: a path, or data in memory, see `Task.read`.
        out_of_scope: rows that a classifier is to reject, see `measure.evaluate`.
        **options: column names by their use.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the data or an option does not fit the task, or the model does not predict
            labels, numbers, tags or answers.
    """
    if predictor.head_names and not predictor.matches_kinds:
        raise InputError(
            f"Expected one task where its errors are asked for, got "
            f"{', '.join(predictor.head_names)}; name one with --head (head() in Python)."
        )
    is_other = predictor.generates or predictor.embeds or predictor.matches_kinds
    if is_other or predictor.output_kind in (MASKS, REPLACED):
        raise InputError(
            "Expected a model that predicts labels, numbers, tags or answers where its errors are "
            f"asked for, got one of {predictor.task_name}; evaluate it without them."
        )
    columns, _ = read_options(predictor, options, data)
    task = task_of(predictor)
    examples = task.examples_of(data, columns)
    outputs = task.outputs_of(predictor, examples)
    metrics = task.metrics_of(examples, outputs)
    if out_of_scope is not None:
        metrics |= scope_metrics(predictor, out_of_scope, columns)
    return Diagnosis(
        column=predictor.modality.column, kind=predictor.output_kind, labels=predictor.labels,
        examples=examples, outputs=outputs,
        predictions=OUTPUTS[predictor.output_kind](
            predictor.labels, outputs, **predictor.decision
        ),
        metrics=Metrics({**metrics, **unknown_shares(task, examples, predictor.modality)}),
    )  # fmt: skip


def check_errors_path(path: str | Path, *, overwrite: bool) -> None:
    """Checks where errors are to be written, before a model runs.

    Raises:
        FileExistsError: if the file exists.
        InputError: if its suffix is not that of a table.
    """
    check_suffix(path)
    check_file_target(path, overwrite=overwrite)
