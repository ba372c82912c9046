"""Wrong rows of models that find spans: the tags of words, and the answers to questions."""

from collections.abc import Iterator, Sequence
from typing import Any

from keras_transformer.zoo.data.questions import QuestionRows
from keras_transformer.zoo.data.tagged import TaggedRows
from keras_transformer.zoo.evaluation.answer_metrics import best_scores
from keras_transformer.zoo.tagging.schemes import entities_of, scheme_of
from keras_transformer.zoo.tagging.words import Words

# How bad a row is, its number, and its values by column.
Wrong = Iterator[tuple[Any, int, dict[str, Any]]]


def wrong_tags(labels: Sequence[str], examples: TaggedRows, predictions: Sequence[Any]) -> Wrong:
    """Yields the rows whose entities, or words of plain tags, differ, with those that do.

    Each is its type and its text. The more of them, the worse a row is.

    Args:
        labels: tags in index order.
        examples: rows with tags.
        predictions: `Tagged` of each row.
    """
    has_entities = scheme_of(labels) is not None
    rows = zip(examples.texts, examples.tags(), predictions, strict=True)
    for place, (text, tags, found) in enumerate(rows):
        right = set(_spans(text, tags, has_entities))
        said = {(one.start, one.end, one.label) for one in found.spans}
        if right != said:
            missed, wrong = (
                [f"{label} {text.text[start:end]}" for start, end, label in sorted(spans)]
                for spans in (right - said, said - right)
            )
            count = len(missed) + len(wrong)
            yield count, place, {"label": missed, "prediction": wrong, "differing": count}


def wrong_answers(examples: QuestionRows, predictions: Sequence[Any]) -> Wrong:
    """Yields the questions whose answer is none of the right ones, those of the least F1 first.

    Of equals the surest is the worst. A question without an answer has no label.

    Args:
        examples: rows with answers.
        predictions: `Answer` of each row.
    """
    for place, (answers, one) in enumerate(
        zip(examples.targets or [], predictions, strict=True)
    ):
        right = list(dict.fromkeys(answer.text for answer in answers))
        exact, f1 = best_scores(one.text, right)
        if not exact:
            yield (-f1, one.score), place, {
                "label": right, "prediction": one.text, "score": one.score, "f1": f1
            }  # fmt: skip


def _spans(
    text: Words, tags: Sequence[str], has_entities: bool
) -> Iterator[tuple[int, int, str]]:
    """The characters and the type of each entity, or of each word."""
    if not has_entities:
        yield from ((*characters, tag) for characters, tag in zip(text.places, tags, strict=True))
        return
    for one in entities_of(tags):
        yield text.places[one.first][0], text.places[one.end - 1][1], one.type
