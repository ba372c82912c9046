"""A trained model with all that it needs, and the checkpoint folder that holds it."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np

from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.data.plain_text import load_plain_text
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.perplexity import language_perplexity
from keras_transformer.zoo.files import (
    read_folder,
    weights_from_bytes,
    weights_to_bytes,
    write_folder,
)
from keras_transformer.zoo.generation.text import TextGenerator
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.models.compiled_steps import CompiledSteps
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.decoding_steps import KerasSteps
from keras_transformer.zoo.models.predict import PREDICT_TOKENS, model_inputs, predict
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.tokenizers.tokenizer import Encoded, Tokenizer
from keras_transformer.zoo.tokenizers.tokenizer_files import (
    tokenizers_from_files,
    tokenizers_to_files,
)
from keras_transformer.zoo.vocabularies.learn import TextTokenizer


@dataclasses.dataclass(kw_only=True, eq=False)
class Checkpoint:
    """A model, what it was trained for and on, and how text becomes its input.

    Attributes:
        config: the model's shape.
        task: its task, with the labels.
        tokenizer: text to ids.
        target_tokenizer: of the text that is written, if it has one of its own.
        max_length: tokens of an example; of a source and of its target each.
        model: the Keras model.
        recipe: the run that made it.
        metrics: what was measured on the validation data.
        probes: (rows, T) inputs of a few validation rows by name; `convert` compares on them.
        bits: widths of a quantized model, see `models.build`; empty for float.
        keep: patterns of the layers that stay float in it, see `models.build`.
        num_truncated: rows of the last call of `scores` that were cut to `max_length`.
    """

    config: TransformerConfig
    task: Task
    tokenizer: Tokenizer
    max_length: int
    model: keras.Model
    recipe: Recipe
    metrics: Mapping[str, Any]
    probes: Mapping[str, np.ndarray]
    target_tokenizer: Tokenizer | None = None
    bits: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    keep: Sequence[str] = ()
    num_truncated: int = dataclasses.field(default=0, init=False)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, or of the targets of a translator of several."""
        return self.task.labels

    @property
    def is_quantized(self) -> bool:
        """Whether quantization-aware training made the model."""
        return bool(self.bits)

    @property
    def columns(self) -> dict[str, str | None]:
        """Names of the columns of its data by their use, as the recipe has them."""
        return dict(self.recipe.data.columns)

    def tokenizer_files(self) -> dict[str, bytes]:
        """Returns the files of the tokenizers by name."""
        return tokenizers_to_files(self.tokenizer, self.target_tokenizer)

    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Encoded:
        """Tokenizes.

        Raises:
            InputError: second texts are missing, or given to a task over single texts.
        """
        if (pairs is not None) != self.task.pair:
            expected = "pairs of texts" if self.task.pair else "single texts"
            raise InputError(f"Expected {expected}, as the model was trained on.")
        return self.tokenizer.encode(texts, pairs, max_length=self.max_length)

    def scores(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> np.ndarray:
        """Returns the model's outputs (rows, outputs) for raw texts."""
        encoded = self.encode(texts, pairs)
        self.num_truncated = encoded.num_truncated
        if not encoded.ids:
            return np.zeros((0, self.task.num_outputs), "float32")
        columns = model_inputs(self.task, encoded.columns)
        return predict(self.model, Batches(columns, batch_tokens=PREDICT_TOKENS))

    def generator(self, *, xla: bool = False) -> TextGenerator:
        """Returns what generates text with the Keras model.

        Args:
            xla: whether XLA compiles it, see `CompiledSteps`: faster, after seconds for each new
                shape.

        Raises:
            InputError: the task is one over whole texts.
        """
        if not self.task.generates:
            raise InputError(f"Expected a model that generates text, got one of {self.task.name}.")
        steps = (CompiledSteps if xla else KerasSteps)(self.model, self.config, self.max_length)
        return TextGenerator(
            steps, self.task.name, self.tokenizer, self.target_tokenizer, self.labels
        )

    def perplexity(self, path: str | Path) -> dict[str, float]:
        """Measures a language model on the text of a file, see `Perplexity`."""
        plain = load_plain_text(path)
        return language_perplexity(plain, self.tokenizer, self.max_length)(self.model)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Writes the checkpoint folder, whole or not at all."""
        config = {
            "model": self.config.to_json(),
            "task": self.task.to_json(),
            "max_length": self.max_length,
            "bits": {**self.bits, **({"keep": list(self.keep)} if self.keep else {})},
        }
        write_folder(
            path,
            {
                "config.json": _json(config),
                "weights.safetensors": weights_to_bytes(get_weights(self.model)),
                **self.tokenizer_files(),
                "labels.txt": "".join(f"{label}\n" for label in self.labels).encode(),
                "recipe.json": self.recipe.to_json().encode(),
                "metrics.json": _json(self.metrics),
                "probes.safetensors": weights_to_bytes(self.probes),
            },
            overwrite=overwrite,
        )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads a checkpoint folder.

        Raises:
            FileNotFoundError: there is no such folder.
            InputError: it is no checkpoint, or a file is missing or was edited.
        """
        files = read_folder(path)
        for name in ("config.json", "weights.safetensors", "tokenizer.json", "labels.txt"):
            if name not in files:
                raise InputError(f"{path} is no checkpoint of a trained model: it has no {name}.")
        config = json.loads(files["config.json"])
        labels = tuple(files["labels.txt"].decode().split("\n")[:-1])
        task = Task.from_json(config["task"], labels)
        shape = TransformerConfig.from_json(config["model"])
        # Once, float was written as widths of null.
        bits = {name: value for name, value in config["bits"].items() if value is not None}
        keep = tuple(bits.pop("keep", ()))
        model = build(shape, task, bits=bits, keep=keep)
        set_weights(model, weights_from_bytes(files["weights.safetensors"]))
        tokenizer, target_tokenizer = tokenizers_from_files(files, TextTokenizer)
        return cls(
            config=shape,
            task=task,
            tokenizer=tokenizer,
            target_tokenizer=target_tokenizer,
            max_length=config["max_length"],
            model=model,
            recipe=Recipe.from_json(files["recipe.json"], str(Path(path) / "recipe.json")),
            metrics=json.loads(files["metrics.json"]),
            probes=weights_from_bytes(files["probes.safetensors"]),
            bits=bits,
            keep=keep,
        )


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
