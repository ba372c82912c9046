"""Loading of a checkpoint folder or a `.tflite` file by its path."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.errors import InputError, no_file
from keras_transformer.zoo.predictor import Predictor


def load(
    name_or_path: str | os.PathLike, *, threads: int = 1, workers: int = 1,
    prune_vocabulary: str | os.PathLike | Iterable[str] | None = None,
) -> Predictor:  # fmt: skip
    """Loads a trained model.

    Args:
        name_or_path: a checkpoint folder; a `.tflite` file, which is run without TensorFlow; or a
            published model as it is, see `load_pretrained`.
        threads: number of interpreter threads for one row of a file.
        workers: number of processes that compute with a file at once, see `Runner`.
        prune_vocabulary: texts whose pieces alone the vocabulary of a checkpoint or of a published
            model keeps: a file, one text a line, or a list of texts, see `prune_checkpoint`.

    Returns:
        A `Checkpoint` for a folder, a `Runner` for a file.

    Raises:
        FileNotFoundError: if the path does not exist.
        InputError: if it is neither, is damaged, or is the name of a catalogue model without
            weights.
        TypeError: if it is not a path.
    """
    if not isinstance(name_or_path, str | os.PathLike):
        raise TypeError(
            f"Expected the path of a checkpoint folder or of a .tflite file, got {name_or_path!r}."
        )
    path = Path(name_or_path)
    if path.suffix == ".safetensors" or str(name_or_path).startswith("hf:"):
        return _checkpoint(name_or_path, prune_vocabulary)
    if path.is_file():
        if prune_vocabulary is not None:
            raise InputError(
                "Expected a checkpoint or a published model to prune the vocabulary of, got the "
                f"file {path}; convert prunes it."
            )
        return Runner(path, threads=threads, workers=workers)
    if not path.exists():
        if path.suffix == ".tflite":
            raise no_file(path)
        _check_published(str(name_or_path))
    return _checkpoint(path, prune_vocabulary)


def _checkpoint(name: str | os.PathLike, prune_vocabulary: Any) -> Predictor:
    from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint

    return as_checkpoint(name, prune_vocabulary=prune_vocabulary)


def _check_published(name: str) -> None:
    """Raises InputError for a model of the catalogue, which has no published weights."""
    from keras_transformer.zoo.models.catalog import CATALOG

    if name in CATALOG:
        raise InputError(
            f"{name} has no trained weights; build({name!r}, task) makes it untrained, and "
            f"train({name!r}, ...) trains it."
        )
