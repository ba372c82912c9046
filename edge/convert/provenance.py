"""Provenance of a file: the checkpoint's hash, and the run that made it."""

import json
from pathlib import PurePath
from typing import Any

from keras import ops

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.storage.files import weights_digest

# Files are shared, so folders of the training machine are left out.
_PATHS = (("data", "train"), ("data", "validation"), ("tokenizer", "vocabulary"),
          ("tokenizer", "prune_vocabulary"))  # fmt: skip


def provenance(checkpoint: Checkpoint) -> dict[str, Any]:
    """Returns a JSON-serializable record of the checkpoint that a file was made from.

    `weights_sha256` is the hash of the checkpoint's `weights.safetensors`; `recipe` is its
    `recipe.json`, with the names of files but not their folders.
    """
    recipe = json.loads(checkpoint.recipe.to_json())
    if recipe["model"]["published"]:
        recipe["model"]["name"] = named_origin(recipe["model"]["name"])
        recipe["model"]["published"]["source"] = recipe["model"]["name"]
    for part, name in _PATHS:
        recipe[part][name] = PurePath(recipe[part][name]).name
    weights = {weight.path: weight for weight in checkpoint.model.weights}
    digest = weights_digest(
        {path: tuple(weight.shape) for path, weight in weights.items()},
        lambda path: ops.convert_to_numpy(weights[path].value),
    )
    return {"weights_sha256": digest, "recipe": recipe}


def named_origin(name: str) -> str:
    """Returns the name of a published model, without the folders of a path."""
    return name if name.startswith("hf:") else PurePath(name).name
