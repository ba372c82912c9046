"""Words with tags, from CoNLL files, JSON Lines and memory."""

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from keras_transformer.zoo.columns.several_files import local_file
from keras_transformer.zoo.data.conll import SUFFIXES, TAGS, WORDS, is_conll, read_conll
from keras_transformer.zoo.data.labels import check_label
from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.data.sources import Source, read_source
from keras_transformer.zoo.data.tables import quoted
from keras_transformer.zoo.data.text_files import read_text, rows_on_lines
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tagging.schemes import BIO, Entity, tags_of
from keras_transformer.zoo.tagging.words import Words, joined, listed_words, words_of

# Names of the columns of texts and of their spans, where there are no `tokens`.
TEXT, SPANS = "text", "spans"
_JSONL = ".jsonl"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaggedRows(Rows):
    """Rows of words, each with a tag.

    Attributes:
        texts: the words of each row.
        targets: indices (words,) int32 into `labels` of each row; None without tags.
        labels: tags in index order.
        path: file of the rows, or the name of data in memory.
        lines: line on which each row starts, or its number.
        repairs: number of tags of each row that broke the rules of their scheme and were changed;
            empty for none.
        widenings: number of spans of each row that did not begin or end where a word does; empty
            for none.
    """

    texts: list[Words]
    targets: list[np.ndarray] | None
    labels: list[str]
    path: Path | str
    lines: list[int]
    repairs: Sequence[int] = ()
    widenings: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int]) -> Self:
        """Returns the rows with the given indices."""
        return dataclasses.replace(
            self,
            texts=[self.texts[row] for row in rows],
            targets=self.targets and [self.targets[row] for row in rows],
            lines=[self.lines[row] for row in rows],
            repairs=[self.repairs[row] for row in rows] if self.repairs else (),
            widenings=[self.widenings[row] for row in rows] if self.widenings else (),
        )

    def tags(self) -> list[list[str]]:
        """Returns the tags of each row."""
        return [[self.labels[tag] for tag in row] for row in self.targets or []]

    def rows(self) -> Iterator[tuple[Any, ...]]:
        tags = self.tags() if self.targets is not None else [[]] * len(self)
        for text, row in zip(self.texts, tags, strict=True):
            yield (text.text, *text.words, *row)


class Read:
    """Words and their tags as they are in a source.

    Attributes:
        path: file, or the name of data in memory.
        texts: the words of each row.
        tags: the tags of each row, as text; None without tags.
        lines: line on which each row starts, or its number.
        widenings: see `TaggedRows`.
    """

    def __init__(self, path: Path | str, unit: str, *, labelled: bool):
        self.path, self._is_labelled = path, labelled
        self.texts: list[Words] = []
        self.tags: list[list[Any]] = []
        self.lines: list[int] = []
        self.widenings: list[int] = []
        self._unit = unit
        self._word_lines: list[list[int]] = []

    def at(self, row: int, word: int = 0) -> str:
        """Returns the location of a word, for messages."""
        if self._word_lines:
            return f"{self.path}, line {self._word_lines[row][word]}"
        return f"{self.path}, {self._unit} {self.lines[row]}"

    def add_sentences(self, path: Path, words: str, tags: str | None) -> None:
        """Adds the sentences of a CoNLL file."""
        for one in read_conll(path, words, tags):
            self.texts.append(joined(one.words))
            self.tags.append(one.tags or [])
            self.widenings.append(0)
            self.lines.append(one.lines[0])
            self._word_lines.append(one.lines)

    def add(self, line: int, value: Any, tags: Any) -> None:
        """Adds a text or a list of words, with spans or tags.

        Raises:
            InputError: if there is not a tag for each word, or a span does not fit.
        """
        self.lines.append(line)
        place = self.at(len(self.lines) - 1)
        try:
            text = words_of(value) if isinstance(value, str) else joined(listed_words(value, place))
        except TypeError as error:
            raise InputError(str(error)) from None
        if not text.places:
            raise InputError(f"{place}: expected at least one word, got none.")
        self.texts.append(text)
        self.widenings.append(0)
        if not self._is_labelled:
            return
        if isinstance(tags, np.ndarray):
            tags = tags.tolist()
        if not isinstance(tags, list | tuple):
            raise InputError(f"{place}: expected a list of tags or spans, got {tags!r}.")
        if isinstance(value, str):
            self.tags.append(self._tags_of_spans(text, tags, place))
            return
        if len(tags) != len(text.places):
            raise InputError(
                f"{place}: expected a tag for each of the {len(text.places)} tokens, got "
                f"{len(tags)} tags."
            )
        self.tags.append(list(tags))

    def _tags_of_spans(self, text: Words, spans: Sequence[Any], place: str) -> list[str]:
        """The tags, by BIO, of the words that spans touch."""
        starts, ends = (np.array(part) for part in zip(*text.places, strict=True))
        found = []
        for span in spans:
            start, end, label = _span(span, len(text.text), place)
            touched = np.flatnonzero((starts < end) & (ends > start))
            if not len(touched):
                raise InputError(f"{place}: expected a span with a word in it, got {span!r}.")
            first, last = int(touched[0]), int(touched[-1])
            self.widenings[-1] += bool(starts[first] < start or ends[last] > end)
            found.append(Entity(label, first, last + 1))
        found.sort(key=lambda one: one.first)
        for one, other in zip(found, found[1:], strict=False):
            if other.first < one.end:
                word = text.words[other.first]
                raise InputError(
                    f"{place}: expected spans that share no word, got two in {word!r}."
                )
        return tags_of(found, len(text.places), BIO)


def read_tagged(
    source: Source, words: str, tags: str | None, *, name: str = "data", labelled: bool = True
) -> Read:
    """Reads words and their tags.

    JSON Lines and data in memory have a column of lists of words and one of lists of tags; or one
    of texts and one of lists of spans, each an object with `start` and `end`, in characters, and
    `label`. By default they are `tokens` and `tags`, or else `text` and `spans`. A span is widened
    to whole words, see `words_of`.

    Args:
        source: a CoNLL file (see `conll`), a `.jsonl` file, either plain or with `.gz` after it, or
            data in memory.
        words: column of the words or texts.
        tags: column of the tags or spans; None to read none.
        name: name of data in memory in messages.
        labelled: whether the tags are required; otherwise they are not read.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if a column is missing, or rows, tags and spans do not fit.
        TypeError: if data in memory has another type.
    """
    tags = tags if labelled else None
    if not isinstance(source, str | os.PathLike):
        return _of_memory(source, words, tags, name)
    path = local_file(source)
    found = Read(path, "line", labelled=tags is not None)
    if is_conll(path):
        found.add_sentences(path, words, tags)
        return found
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix != _JSONL:
        known = ", ".join((*SUFFIXES, _JSONL))
        raise InputError(f"{path}: expected a name that ends in {known} (or one of them and .gz).")
    for line, row in json_rows(path):
        by_words, by_tags = _columns(row, words, tags)
        for key in (by_words, by_tags):
            if key is not None and key not in row:
                raise InputError(
                    f"{path}, line {line}: expected the key {key!r}, got {quoted(list(row))}."
                )
        found.add(line, row[by_words], None if by_tags is None else row[by_tags])
    if not found.lines:
        raise InputError(f"{path}: the file is empty.")
    return found


def _of_memory(source: Any, words: str, tags: str | None, name: str) -> Read:
    if isinstance(source, tuple):
        source = source[: 1 if tags is None else 2]
    elif hasattr(source, "keys"):
        words, tags = _columns(source, words, tags)
    else:
        source = list(source)
        if source and isinstance(source[0], Mapping):
            words, tags = _columns(source[0], words, tags)
        elif source and isinstance(source[0], tuple) and tags is None:
            source = [row[:1] for row in source]
    names = [words] if tags is None else [words, tags]
    table = read_source(source, names, name=name, is_text=False)
    if tags is not None and tags not in table.columns:
        raise InputError(f"{name}: expected a column {tags!r}, got {quoted(list(table.columns))}.")
    found = Read(name, "row", labelled=tags is not None)
    for place, line in enumerate(table.lines):
        value = table.columns[words][place]
        value = value.tolist() if isinstance(value, np.ndarray) else value
        found.add(line, value, None if tags is None else table.columns[tags][place])
    return found


def _columns(known: Any, words: str, tags: str | None) -> tuple[str, str | None]:
    """The names of the columns, with those of texts and spans where the defaults are missing."""
    keys = known.keys()
    if words == WORDS and WORDS not in keys and TEXT in keys:
        return TEXT, SPANS if tags == TAGS else tags
    return words, tags


def json_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yields the objects of a JSON Lines file with their lines; InputError for another line."""
    for line, text in enumerate(rows_on_lines(read_text(path)).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {line}: bad JSON ({error}).") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {line}: expected a JSON object, got {text[:40]!r}.")
        yield line, row


def _span(span: Any, length: int, place: str) -> tuple[int, int, str]:
    if not isinstance(span, Mapping) or not {"start", "end", "label"} <= set(span):
        raise InputError(
            f"{place}: expected a span with start, end and label, got {span!r}."
        )
    start, end, label = span["start"], span["end"], span["label"]
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= length:
        raise InputError(
            f"{place}: expected a span inside its text of {length} characters, got "
            f"start={start!r}, end={end!r}."
        )
    if not isinstance(label, str) or not label:
        raise InputError(f"{place}: expected a span's label to be text, got {label!r}.")
    check_label(label, place)
    return start, end, label
