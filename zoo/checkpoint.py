"""Checkpoints: a trained model with its task, modality and recipe, and their folder on disk."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np

from keras_transformer.zoo.checkpoint_config import (
    ADAPTER,
    CONFIG,
    METRICS,
    PROBES,
    RECIPE,
    WEIGHTS,
    CheckpointConfig,
    check_probes,
    read_metrics,
)
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.data.plain_text import load_plain_text
from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.perplexity import language_perplexity
from keras_transformer.zoo.generation.text import TextGenerator
from keras_transformer.zoo.generation.transcriber import generator_of
from keras_transformer.zoo.head_view import head_view
from keras_transformer.zoo.modalities.modality import Features, InputSpec, Modality
from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.models.fused_config import Config
from keras_transformer.zoo.models.running.compiled_steps import CompiledSteps
from keras_transformer.zoo.models.running.decoding_steps import KerasSteps
from keras_transformer.zoo.models.running.predict import PREDICT_TOKENS, predict_each
from keras_transformer.zoo.models.running.turns import turn_of
from keras_transformer.zoo.outputs import BY_HEAD, Outputs, decision_of
from keras_transformer.zoo.predictor import Predictor
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.storage.files import (
    read_folder,
    weights_from_bytes,
    weights_to_bytes,
    write_folder,
)
from keras_transformer.zoo.tabular import Metrics, number
from keras_transformer.zoo.tagging.windows import stride_of
from keras_transformer.zoo.tasks.measure import evaluate
from keras_transformer.zoo.tasks.registry import task_from_json
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.training.adaptation.adapter import AdaptedWeights, Adapter


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class Checkpoint(Predictor):
    """A trained model with its task, its recipe and the modality that encodes its inputs.

    It predicts, generates text and evaluates itself, see `Predictor` and `evaluate`.

    Attributes:
        config: architecture and sizes of the model, or of several that answer as one.
        task: task of the model, with the labels.
        modality: modality of the inputs, with the tokenizers or whatever else encodes rows.
        model: Keras model.
        recipe: recipe of the run that produced it.
        metrics: metrics on the validation data.
        probes: inputs (rows, ...) of a few validation rows by name, on which `convert` compares.
        bits: bit widths of a quantized model, see `models.build`; empty for float.
        keep: patterns of the layers that stay float or wide in it, see `models.build`.
        rows: in-memory examples of its run, by `train` and `validation`, for further training in
            the same process. They are not saved.
    """

    config: Config
    task: Task
    modality: Modality
    model: keras.Model
    recipe: Recipe
    metrics: Mapping[str, Any]
    probes: Mapping[str, np.ndarray]
    bits: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    keep: Sequence[str] = ()
    rows: Mapping[str, Rows] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        turn_of(self.model)  # from here on it belongs to this process
        self.stride = stride_of(self.task.to_json())
        self._heads = {}

    def __repr__(self) -> str:
        found = self.metrics.get("validation", {}).get(self.task.deciding_metric)
        score = "" if found is None else f", validation {self.task.deciding_metric} {number(found)}"
        return (
            f"Checkpoint({self.recipe.model.name}: {self.task_name}, "
            f"{self.model.count_params():,} parameters, {self.precision}{score})"
        )

    @property
    def task_name(self) -> str:
        """Name of the task."""
        return self.task.name

    @property
    def output_kind(self) -> str:
        """Kind of the model's outputs, see `Predictor`."""
        return self.task.output

    @property
    def decision(self) -> dict[str, Any]:
        """What decides between the outputs, see `decision_of`."""
        return decision_of(self.task.output, self.task.to_json(), self.labels)

    @property
    def reads_sources(self) -> bool:
        """Whether it generates a target for a source rather than continuing a prompt."""
        return self.task.reads_sources

    @property
    def pair(self) -> bool:
        """Whether an example is two texts."""
        return self.task.pair

    @property
    def precision(self) -> str:
        """`float32`, or the precision that the model simulates."""
        if not self.is_quantized:
            return "float32"
        run = self.recipe.quantize
        return f"{'integers' if run is None else run.precision}, simulated"

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, or the target languages of a multilingual translator."""
        return self.task.labels

    @property
    def is_quantized(self) -> bool:
        """Whether the model comes from quantization-aware training."""
        return bool(self.bits)

    @property
    def columns(self) -> dict[str, str | None]:
        """Column names of its data by their use, from the recipe."""
        return dict(self.recipe.data.columns)

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        """The inputs of a model over whole examples."""
        return self.modality.inputs(pair=self.pair)

    @property
    def longest(self) -> int:
        """Positions of the longest input: its config's, or as many as it was trained on.

        Learned positions that no training row reached are as they were drawn.
        """
        positions = self.config.max_length
        return min(self.max_length, positions) if self.config.positions == "learned" else positions

    def encode(self, rows: Iterable[Any], pairs: Iterable[Any] | None = None) -> Features:
        """Encodes raw rows, such as texts by the tokenizer.

        Raises:
            InputError, TypeError: as `predict`.
        """
        return self.modality.encode(*self.checked(rows, pairs))

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of the tasks of a model of several."""
        return tuple(self.task.tasks) if self.output_kind == BY_HEAD else ()

    def _head(self, name: str) -> Self:
        return head_view(self, name)

    def evaluate(self, data: Source | Rows, **options: Any) -> Metrics:
        """Evaluates the model, see `measure.evaluate`.

        Args:
            data: labelled rows, sources and targets, or plain text: a path, or data in memory.
            **options: column names that differ from those of training, such as `label="topic"`, and
                decoding options of a translator, such as `beams=5`.
        """
        return evaluate(self, data, **options)

    def perplexity(self, path: str | Path) -> dict[str, float]:
        """Evaluates a language model on the text of a file, see `Perplexity`."""
        measured = language_perplexity(load_plain_text(path), self.tokenizer, self.max_length)
        with turn_of(self.model):
            return measured(self.model)

    def _outputs(self, rows: list[Any], pairs: list[Any] | None) -> Outputs:
        if not rows:
            return Outputs(np.zeros((0, self.model.output_shape[-1]), "float32"), [])
        encoded = self.modality.encode(rows, pairs)
        found = self.encoded_outputs(encoded.of(self.inputs))
        return Outputs(np.stack(found), encoded.truncated)

    def encoded_outputs(self, columns: Mapping[str, list[np.ndarray]]) -> list[np.ndarray]:
        if not next(iter(columns.values())):
            return []
        batches = Batches(columns, specs=self.inputs, batch_tokens=PREDICT_TOKENS)
        return predict_each(self.model, batches)

    @property
    def _validation_metrics(self) -> Mapping[str, Any]:
        return self.metrics.get("validation") or {}

    def _generator(self, *, xla: bool = False) -> TextGenerator:
        steps = (CompiledSteps if xla else KerasSteps)(self.model, self.config, self.max_length)
        return generator_of(steps, self.modality, self.labels, reads_sources=self.reads_sources)

    def save(
        self, path: str | Path, *, overwrite: bool = False, adapter: Adapter | None = None
    ) -> None:
        """Writes the checkpoint folder atomically.

        Args:
            path: path of the folder.
            overwrite: whether to replace a checkpoint.
            adapter: what the folder holds of the weights, if the others are those of its base.
        """
        config = {
            "model": self.config.to_json(),
            "task": self.task.to_json(),
            "modality": self.modality.name,
            "max_length": self.max_length,
            "bits": {**self.bits, **({"keep": list(self.keep)} if self.keep else {})},
        }
        write_folder(
            path,
            {
                "config.json": _json(config),
                **(
                    {WEIGHTS: weights_to_bytes(get_weights(self.model))} if adapter is None
                    else adapter.files()
                ),
                **self.modality.files(),
                "labels.txt": "".join(f"{label}\n" for label in self.labels).encode(),
                "recipe.json": self.recipe.to_json().encode(),
                "metrics.json": _json(self.metrics),
                "probes.safetensors": weights_to_bytes(self.probes),
            },
            overwrite=overwrite,
        )  # fmt: skip

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads a checkpoint folder.

        Raises:
            FileNotFoundError: if there is no such folder.
            InputError: if it is not a checkpoint, a file is missing or was edited, or its files do
                not fit together.
        """
        return cls.of_files(read_folder(path), path)

    @classmethod
    def of_files(
        cls, files: Mapping[str, bytes], path: object, adapted: AdaptedWeights | None = None
    ) -> Self:
        """Reads the files of a checkpoint folder.

        Args:
            files: contents by name.
            path: of the folder, for messages.
            adapted: weights of the model, where the files hold an adapter.

        Raises:
            InputError: see `load`.
        """
        config = CheckpointConfig.of_files(files, path)
        if adapted is None and ADAPTER in files:
            raise InputError(
                f"Expected a checkpoint with all its weights in {path}, got an adapter, which "
                "keras_transformer.load opens with its base."
            )
        if adapted is None:
            weights = weights_from_bytes(files[WEIGHTS])
            sizes = [value.size for value in weights.values()]
            config.check_size(sum(sizes), len(sizes), path)
        else:
            config.check_size(*adapted.size, path, f"the base with {ADAPTER}")
        probes = weights_from_bytes(files[PROBES])
        recipe = Recipe.from_json(files[RECIPE], f"{path}/{RECIPE}")
        metrics = read_metrics(files[METRICS], path)
        task = task_from_json(config.task, config.labels)
        modality = modality_named(config.modality).from_files(
            files, max_length=config.max_length, settings=config.shape.modality_settings
        )  # fmt: skip
        if reason := modality.misfit(config.shape.to_json()):
            raise InputError(f"The checkpoint {path}: {reason[0].lower()}{reason[1:]}")
        try:
            model = build(config.shape, task, bits=config.bits, keep=config.keep)
        except InputError:
            raise
        except ValueError as error:  # Keras', and of widths that no layer has
            raise InputError(f"{CONFIG} of {path} is of no model: {error}") from None
        if adapted is None:
            set_weights(model, weights)
        else:
            adapted.assign(model, config.shape)
        check_probes(probes, [one.name for one in model.inputs], path)
        return cls(
            config=config.shape, task=task, modality=modality, model=model, recipe=recipe,
            metrics=metrics, probes=probes, bits=config.bits, keep=config.keep,
        )  # fmt: skip


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
