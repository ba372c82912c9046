"""`keras-transformer inspect`: the contents of a `.tflite` file, and integrity checks."""

from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import options
from keras_transformer.zoo.tabular import number, words

FILE = click.Path(dir_okay=False, path_type=Path)
# Entries of a recipe to show; the rest is in `--json`.
RECIPE = {
    "model": ("model", "name"),
    "train": ("data", "train"),
    "validation": ("data", "validation"),
    "epochs": ("training", "epochs"),
    "learning_rate": ("optimizer", "learning_rate"),
    "batch_tokens": ("data", "batch_tokens"),
    "seed": ("training", "seed"),
}


@click.command()
@click.argument("file", type=FILE)
@click.option("--tensors", is_flag=True, help="List constants and inner tensors too.")
@options.as_json()
def inspect(file: Path, tensors: bool, as_json: bool) -> None:
    """Print the contents of a .tflite FILE, and check it.

    Shows the signatures with their tensors, the ops by the kernels that run them here, the attached
    files, and the provenance: the hash of the checkpoint's weights, the recipe and the validation
    score.

    The file's hash, its labels and its vocabulary are checked, and each signature is run once.

    Example: keras-transformer inspect my_model.tflite
    """
    from keras_transformer.cli import display
    from keras_transformer.edge.compare.inspect import inspect as inspect_file

    found = inspect_file(file)
    if as_json:
        display.say_json(found.to_json())
        return
    display.table(None, (str(file), ""), _facts(found.description, file.stat().st_size))
    for grid in found.grids(tensors=tensors):
        display.say()
        display.table(grid.title, grid.columns, grid.rows)
    display.say(f"\n{file} is whole.")


def _facts(description: dict[str, Any], size: int) -> list[tuple[str, Any]]:
    from keras_transformer.cli import display
    from keras_transformer.edge.runtime.names import unit_of

    about, provenance = description.get("about", {}), description.get("provenance", {})
    recipe = provenance.get("recipe") or {}
    # A file that others changed may lack any of it.
    parts = {part: values for part, values in recipe.items() if isinstance(values, dict)}
    shown = {
        name: parts[part][field]
        for name, (part, field) in RECIPE.items()
        if field in parts.get(part, {})
    }
    if isinstance(shown.get("learning_rate"), float):
        shown["learning_rate"] = f"{shown['learning_rate']:.6g}"
    metrics = description.get("metrics", {})
    published = parts.get("model", {}).get("published")
    began = None
    if isinstance(published, dict) and published:
        licence = published.get("licence") or "not stated"
        began = f"the published weights of {published.get('source')}, licence {licence}"
    if began and not metrics:
        shown = {}
    lengths = description.get("lengths", [description["max_length"]])
    scores = {
        name: metrics[name]
        for name in display.EPOCH_METRICS
        if type(metrics.get(name)) in (int, float)
    }
    return [
        ("name", about.get("name")),
        ("description", about.get("description") or None),
        ("version", about.get("version")),
        ("licence", about.get("license")),
        ("size", display.size(size)),
        ("task", description["task"]["name"]),
        ("precision", description["precision"]),
        ("target", description.get("target", description.get("bundle", "plain"))),
        ("arena in TensorFlow Lite Micro", description.get("arena_bytes")),
        (unit_of(description), ", ".join(map(str, lengths))),
        (
            "measured on validation by Keras",
            ", ".join(f"{words(name)} {number(value)}" for name, value in scores.items()) or None,
        ),
        ("unknown tokens of validation", _unknown(metrics)),
        ("began with", began),
        ("recipe", ", ".join(f"{name} {value}" for name, value in shown.items()) or None),
        ("weights, SHA-256", provenance.get("weights_sha256")),
    ]


def _unknown(metrics: dict[str, Any]) -> str | None:
    """The shares that training recorded; None for a tokenizer without unknown tokens."""
    from keras_transformer.zoo.tokenizers.tokenizer_config import ROWS_WITH_UNKNOWN, UNKNOWN_TOKENS

    if UNKNOWN_TOKENS not in metrics:
        return None
    tokens, rows = metrics[UNKNOWN_TOKENS], metrics[ROWS_WITH_UNKNOWN]
    return f"{tokens:.2%} of the tokens, in {rows:.2%} of the rows"
