"""Questions on contexts, with the answers in them: SQuAD's JSON, JSON Lines and memory."""

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from keras_transformer.zoo.columns.several_files import local_file
from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.data.sources import Source, read_source
from keras_transformer.zoo.data.tables import quoted
from keras_transformer.zoo.data.tagged import json_rows
from keras_transformer.zoo.data.text_files import read_text
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tagging.words import Words, words_of

_SUFFIXES = (".json", ".jsonl")


class Given(NamedTuple):
    """An answer of the data.

    Attributes:
        text: its text.
        start: where it begins in the context, in characters.
    """

    text: str
    start: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuestionRows(Rows):
    """Questions with their contexts.

    Attributes:
        questions: question of each row.
        contexts: words of each row's context.
        targets: answers of each row, all of them right; none for one that the context does not
            answer. None where the data has no answers.
        path: file of the rows, or the name of data in memory.
        places: location of each row, for messages.
    """

    questions: list[str]
    contexts: list[Words]
    targets: list[list[Given]] | None
    path: Path | str
    places: list[str]

    def __len__(self) -> int:
        return len(self.questions)

    def take(self, rows: Sequence[int]) -> Self:
        """Returns the rows with the given indices."""
        return dataclasses.replace(
            self,
            questions=[self.questions[row] for row in rows],
            contexts=[self.contexts[row] for row in rows],
            targets=self.targets and [self.targets[row] for row in rows],
            places=[self.places[row] for row in rows],
        )

    def rows(self) -> Iterator[tuple[Any, ...]]:
        answers = self.targets or [[]] * len(self)
        for question, context, given in zip(self.questions, self.contexts, answers, strict=True):
            yield (question, context.text, *(part for one in given for part in one))


def read_questions(
    source: Source, question: str, context: str, answers: str | None, *, name: str = "data"
) -> QuestionRows:
    """Reads questions with their contexts and answers.

    A `.json` file has SQuAD's form, version 1.1 or 2.0 (Rajpurkar et al. 2018). In JSON Lines and
    in memory answers are an object of lists, `text` and `answer_start`, or a list of objects with
    one of each; empty for a question that the context does not answer.

    Args:
        source: file, plain or with `.gz` after it, or data in memory.
        question, context: columns.
        answers: column of the answers; None to read none.
        name: name of data in memory in messages.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if a column is missing, or an answer does not stand in its context.
        TypeError: if data in memory has another type.
    """
    columns = [question, context, *([] if answers is None else [answers])]
    if isinstance(source, str | os.PathLike):
        inner = local_file(source)
        path: Path | str = inner
        suffix = inner.with_suffix("").suffix if inner.suffix == ".gz" else inner.suffix
        if suffix not in _SUFFIXES:
            known = " or ".join(_SUFFIXES)
            raise InputError(f"{path}: expected a name that ends in {known} (or one and .gz).")
        rows = _squad(inner) if suffix == ".json" else _lines(inner, columns)
    else:
        path, rows = name, _of_memory(source, columns, name)
    found = QuestionRows(
        questions=[], contexts=[], targets=None if answers is None else [], path=path, places=[]
    )
    seen: dict[str, Words] = {}
    for place, values in rows:
        for value, what in zip(values, ("question", "context"), strict=False):
            if not isinstance(value, str) or not value.strip():
                raise InputError(f"{place}: expected a {what} of some words, got {value!r}.")
        found.questions.append(values[0])
        # Several questions share a context.
        found.contexts.append(seen.setdefault(values[1], words_of(values[1])))
        found.places.append(place)
        if found.targets is not None:
            found.targets.append(_answers(values[2], values[1], place))
    if not found.questions:
        raise InputError(f"{path}: expected at least one question, got none.")
    return found


def _squad(path: Path) -> Iterator[tuple[str, tuple[Any, ...]]]:
    try:
        articles = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: bad JSON ({error}).") from None
    for place, article in _parts(articles, "data", str(path)):
        for inside, paragraph in _parts(article, "paragraphs", place):
            for number, one in _parts(paragraph, "qas", inside):
                if not isinstance(one, Mapping):
                    raise InputError(f"{number}: expected an object of a question, got {one!r}.")
                where = f"{path}, question {one['id']!r}" if "id" in one else number
                answers = [] if one.get("is_impossible") else one.get("answers", [])
                yield where, (one.get("question"), paragraph.get("context"), answers)


def _parts(value: Any, key: str, place: str) -> Iterator[tuple[str, Any]]:
    """Yields the places and the entries of a list in an object of SQuAD's form."""
    parts = value.get(key) if isinstance(value, Mapping) else None
    if not isinstance(parts, list):
        raise InputError(f"{place}: expected SQuAD's form, an object with a list of {key!r}.")
    for number, part in enumerate(parts):
        yield f"{place}, {key}[{number}]", part


def _lines(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for line, row in json_rows(path):
        place = f"{path}, line {line}"
        for key in columns:
            if key not in row:
                raise InputError(f"{place}: expected the key {key!r}, got {quoted(list(row))}.")
        yield place, tuple(row[key] for key in columns)


def _of_memory(
    source: Any, columns: Sequence[str], name: str
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    if isinstance(source, tuple):
        source = source[: len(columns)]
    table = read_source(source, columns, name=name, is_text=False)
    for key in columns:
        if key not in table.columns:
            got = quoted(list(table.columns))
            raise InputError(f"{name}: expected a column {key!r}, got {got}.")
    for row, values in enumerate(zip(*(table.columns[key] for key in columns), strict=True)):
        yield table.at(row), values


def _answers(given: Any, context: str, place: str) -> list[Given]:
    if isinstance(given, Mapping):
        texts, starts = given.get("text"), given.get("answer_start")
        if not (isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts)):
            raise InputError(
                f"{place}: expected answers with as many text as answer_start, got {given!r}."
            )
        pairs = list(zip(texts, starts, strict=True))
    elif isinstance(given, list) and all(isinstance(one, Mapping) for one in given):
        pairs = [(one.get("text"), one.get("answer_start")) for one in given]
    else:
        raise InputError(f"{place}: expected a list of answers, got {given!r}.")
    for text, start in pairs:
        is_place = isinstance(text, str) and text.strip() and type(start) is int and start >= 0
        if not is_place or context[start : start + len(text)] != text:
            raise InputError(
                f"{place}: expected an answer that stands in its context, got {text!r} at "
                f"answer_start={start!r}."
            )
    return [Given(*pair) for pair in pairs]
