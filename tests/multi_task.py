"""Three tasks over easy sentences that a tiny model learns together, and such a model."""

import functools
import json

import keras_transformer as kt
from tests.tagging import SETTINGS, sentences


def texts_and(count, seed, target):
    """Sentences and a target of their tags."""
    words, tags = sentences(count, seed)
    return [" ".join(row) for row in words], [target(row) for row in tags]


def first_kind(tags):
    return next(tag.partition("-")[2] for tag in tags if tag != "O")


def pairs(count, seed):
    """Sentences, the sentence after each, and how many words of both are names."""
    texts, counts = texts_and(count, seed, lambda tags: sum(tag != "O" for tag in tags))
    return texts[:-1], texts[1:], [float(a + b) for a, b in zip(counts, counts[1:], strict=False)]


def table(**of_all):
    """Entries of the three tasks."""
    made = {
        "kind": {
            "task": "classification", "train": texts_and(300, 0, first_kind),
            "validation": texts_and(40, 1, first_kind), "test": texts_and(40, 2, first_kind),
        },
        "names": {
            "task": "token-classification", "train": sentences(150, 0),
            "validation": sentences(40, 1), "test": sentences(40, 2),
        },
        "named": {
            "task": kt.Regression(pair=True), "train": pairs(300, 0), "validation": pairs(40, 1),
            "test": pairs(40, 2),
        },
    }  # fmt: skip
    return {name: {**entry, **of_all} for name, entry in made.items()}


OPTIONS = {
    "learning_rate": 0.01, "max_length": 40, "vocab_size": 120, "batch_tokens": 512,
    "tokenizer": "wordpiece", "settings": SETTINGS,
}  # fmt: skip


@functools.cache
def trained():
    """A checkpoint of the three tasks, trained once for all tests of a process."""
    return kt.train("bert_tiny", table(), epochs=12, **OPTIONS)


def two_tasks():
    """Two of them, of few rows."""
    made = {name: entry for name, entry in table().items() if name != "named"}
    made["kind"]["train"] = texts_and(40, 0, first_kind)
    made["names"] |= {"train": sentences(30, 0), "text": "text", "label": "label"}
    return made


def written(folder, made):
    """A table on disk: texts in a table each, words in JSON Lines."""
    for name, entry in made.items():
        for part in ("train", "validation", "test"):
            rows = entry[part]
            lines = [
                json.dumps(dict(zip(("text", "label"), row, strict=True)))
                if len(row) == 2 else
                json.dumps(dict(zip(("text", "text_pair", "label"), row, strict=True)))
                for row in zip(*rows, strict=True)
            ]  # fmt: skip
            entry[part] = f"{name}_{part}.jsonl"
            (folder / entry[part]).write_text("\n".join(lines), encoding="utf-8")
    path = folder / "tasks.json"
    path.write_text(json.dumps(made), encoding="utf-8")
    return path
