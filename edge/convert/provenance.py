"""Provenance of a file: the checkpoint's hash, and the run that made it."""

import json
from pathlib import PurePath
from typing import Any

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.models.fused_config import FUSED
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
    several = recipe["model"]["name"] == FUSED
    for model in (recipe["model"], *(recipe["model"]["settings"]["members"] if several else ())):
        if model["published"]:
            model["name"] = named_origin(model["name"])
            model["published"]["source"] = model["name"]
    for part, name in _PATHS:
        recipe[part][name] = PurePath(recipe[part][name]).name
    return {"weights_sha256": weights_digest(checkpoint.model.weights), "recipe": recipe}


def named_origin(name: str) -> str:
    """Returns the name of a published model, without the folders of a path."""
    return name if name.startswith("hf:") else PurePath(name).name
