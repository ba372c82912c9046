"""Question answering: the span of a context that answers a question."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from keras_transformer.zoo.answering.answers import (
    AnswerOutputs,
    answer_outputs,
    answer_predictions,
)
from keras_transformer.zoo.answering.windows import QuestionWindows, question_windows
from keras_transformer.zoo.data.questions import QuestionRows, read_questions
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.answer_metrics import (
    answer_metrics,
    best_scores,
    best_threshold,
)
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.evaluation.significance import Answers
from keras_transformer.zoo.generation.decoding import check_no_decoding
from keras_transformer.zoo.logits import finite
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.outputs import ANSWERS
from keras_transformer.zoo.suited.texts import suited_to
from keras_transformer.zoo.tasks.answering.question_data import QuestionData
from keras_transformer.zoo.tasks.tagging.windowed_task import WindowedTask


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuestionAnswering(WindowedTask):
    """Answering of questions by a span of a context, or by none.

    The model reads a question and a context, and gives two logits at each position: that the answer
    begins, and that it ends there (Devlin et al. 2018, arXiv:1810.04805, section 4.2). Logits at
    the first special token stand for no answer (section 4.3).
    """

    pair: bool = True

    name: ClassVar[str] = "question-answering"
    output: ClassVar[str] = ANSWERS
    columns: ClassVar[Mapping[str, str | None]] = {
        "text": "question", "text_pair": "context", "label": "answers"
    }  # fmt: skip
    defaults: ClassVar[Mapping[str, Any]] = {"model": "bert_tiny", "max_length": 256}
    metric: ClassVar[Metric] = Metric(name="f1", points=100.0)
    selection: ClassVar[Metric] = metric

    def __post_init__(self):
        super().__post_init__()
        if self.pair is not True:
            raise InputError(f"Expected pairs of texts for {self.name}, got pair={self.pair}.")

    def head(self) -> Head:
        return Head(kind="tokens", units=2, pair=True)

    def loss(self, label_smoothing: float = 0.0) -> Callable:
        """Returns the mean cross entropy of begin and end, see `SpanLoss`."""
        if label_smoothing:
            raise InputError(
                f"Expected label_smoothing to be 0 for {self.name}, "
                f"got label_smoothing={label_smoothing}."
            )
        from keras_transformer.zoo.losses.losses import SpanLoss

        return SpanLoss()

    def output_difference(self, targets, expected, outputs, temperature: float):
        """The mean divergence of the distributions of begin and end over the context."""
        from keras_transformer.zoo.losses.losses import span_divergence

        return span_divergence(targets, expected, outputs, temperature)

    def read(
        self, source: Source, columns: Mapping[str, str | None] | None = None, *,
        name: str = "data", labelled: bool = True,
    ) -> QuestionRows:  # fmt: skip
        """Reads questions, contexts and answers, see `read_questions`."""
        names = self.named_columns(columns)
        answers = str(names["label"]) if labelled else None
        return read_questions(
            source, str(names["text"]), str(names["text_pair"]), answers, name=name
        )

    def vocabulary_texts(self, examples: QuestionRows) -> dict[str, Sequence[str]]:
        contexts = dict.fromkeys(" ".join(context.words) for context in examples.contexts)
        return {"tokenizer": [*examples.questions, *contexts]}

    def run_data(
        self, train: QuestionRows, validation: QuestionRows, modality: Text
    ) -> QuestionData:
        return QuestionData(task=self, train=train, validation=validation, modality=modality)

    def windows(self, examples: QuestionRows, modality: Text) -> QuestionWindows:
        """Returns the windows that the model reads of the examples."""
        return question_windows(
            modality.tokenizer, examples.questions, examples.contexts, modality.max_length,
            self.stride,
        )  # fmt: skip

    def measured(
        self, predictor: Any, examples: QuestionRows, modality: Text, outputs: Any
    ) -> dict[str, Any]:
        windows = self.windows(examples, modality)
        return self.metrics(examples, answer_outputs(windows, outputs, predictor.null_threshold))

    def evaluate(self, predictor: Any, examples: QuestionRows, **decoding: Any) -> dict[str, Any]:
        """Evaluates answers with the threshold that was tuned on the validation data."""
        check_no_decoding(decoding)
        return self.metrics_of(examples, self.outputs_of(predictor, examples))

    def metrics(self, examples: QuestionRows, outputs: AnswerOutputs) -> dict[str, Any]:
        """Returns the metrics of outputs against the examples' answers.

        Raises:
            RunError: an output is infinite or not a number.
        """
        return answer_metrics(_given(outputs), _texts(examples))

    def answers(self, predictor: Any, examples: QuestionRows) -> Answers:
        """Returns a model's answers, whose F1 can be measured on any of the rows.

        Raises:
            InputError: if the examples have no answers.
        """
        given = _given(self.outputs_of(predictor, examples))
        f1 = np.array([
            best_scores(*one)[1] for one in zip(given, _texts(examples), strict=True)
        ])  # fmt: skip
        return Answers(metric=self.metric, of=lambda rows: float(f1[rows].mean()))

    def outputs_of(self, predictor: Any, examples: QuestionRows) -> AnswerOutputs:
        """Returns a checkpoint's or a file's outputs for examples with answers.

        Raises:
            InputError: if there are no answers.
        """
        if examples.targets is None:
            raise InputError(f"{examples.path}: expected answers to evaluate on.")
        return predictor.outputs(
            examples.questions, [context.text for context in examples.contexts]
        )

    def tuned_metrics(self, examples: QuestionRows, outputs: AnswerOutputs) -> dict[str, Any]:
        """Returns the metrics with the best threshold, and it as `null_threshold`.

        There is none where all questions have answers: then each gets one.
        """
        given = self.metrics(examples, outputs._replace(threshold=None))
        expected = _texts(examples)
        rows = [row for row, one in enumerate(outputs.candidates) if one is not None]
        if all(expected) or not rows:
            return given
        answers = answer_predictions((), outputs._replace(threshold=None))
        threshold = best_threshold(
            np.array([outputs.candidates[row].margin for row in rows]),
            np.array([best_scores(answers[row].text, expected[row])[1] for row in rows]),
            np.array([best_scores("", expected[row])[1] for row in rows]),
        )
        found = self.metrics(examples, outputs._replace(threshold=threshold))
        return {**found, "null_threshold": threshold}

    def suited(self, train: QuestionRows, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options that suit a classification of as many texts, but for its lengths."""
        options = suited_to(train.questions, [one.text for one in train.contexts])
        del options["label_smoothing"]
        own = {"max_length": self.defaults["max_length"]}
        return {**options, **own, "settings": {"dropout": options["settings"]["dropout"]}}


def _given(outputs: AnswerOutputs) -> list[str]:
    """The answer to each question, empty for none; RunError if an output is no finite number."""
    # A context without words has no outputs.
    finite(np.array([0.0 if one is None else one.normalizer for one in outputs.candidates]))
    return [one.text for one in answer_predictions((), outputs)]


def _texts(examples: QuestionRows) -> list[list[str]]:
    """The right answers of each row."""
    return [[one.text for one in row] for row in examples.targets or []]
