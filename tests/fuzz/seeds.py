"""Whole inputs of each kind, which the fuzzer damages: made once, in a folder."""

import csv
import json
from pathlib import Path

from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.registry import TASKS
from tests.edge import generators, models
from tests.fuzz.names import CHECKPOINT
from tests.fuzz.published_seeds import write_seeds
from tests.zoo import tiny


def make_seeds(folder: Path) -> None:
    """Writes a checkpoint, files, tables, a recipe and tokenizers into a folder that is empty."""
    checkpoint = models.random_model()
    checkpoint.save(folder / CHECKPOINT)
    classifier = {
        "float32.tflite": convert(checkpoint, "float32", lengths=[4, 12]),
        "int8.tflite": convert(checkpoint, "int8", calibration=models.calibration()),
    }
    written = {
        f"{kind}.tflite": convert(generators.generator(kind, num_layers=1), "float32")
        for kind in ("gpt", "transformer")
    }
    for name, artifact in (classifier | written).items():
        (folder / name).write_bytes(bytes(artifact))
    tiny.write_data(folder)
    _write_other_tables(folder)
    recipe = Recipe.of_task(
        TASKS["classification"], model="bert_tiny", settings=tiny.SETTINGS, train="train.tsv",
        validation="validation.tsv",
    )  # fmt: skip
    (folder / "recipe.json").write_text(recipe.to_json(), encoding="utf-8")
    for kind in ("wordpiece", "sentencepiece"):
        (folder / kind).mkdir()
        tokenizer = checkpoint.tokenizer if kind == "wordpiece" else generators.writer().tokenizer
        tokenizer.save(folder / kind)
    write_seeds(folder)


def _write_other_tables(folder):
    with open(folder / "train.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    with open(folder / "train.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (folder / "train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
