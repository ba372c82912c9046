"""Base class of the targets that export a folder: graphs, description and parity."""

import abc
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from keras_transformer.edge.convert.convert import Request
from keras_transformer.edge.convert.provenance import provenance
from keras_transformer.edge.graphs.free import EntryPoint, entry_points
from keras_transformer.edge.precision import kept_patterns
from keras_transformer.edge.publish.model_card import card_beside, origin_of
from keras_transformer.edge.targets.artifact import KIND, Artifact
from keras_transformer.edge.targets.exported import replay
from keras_transformer.edge.targets.exported.graph_parity import graphs_parity
from keras_transformer.edge.targets.exported.trained_positions import of_trained_positions
from keras_transformer.edge.targets.writer import Writer
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.storage.beside import resolved
from keras_transformer.zoo.storage.files import check_file_target, check_folder_target


class FolderWriter(Writer):
    """Writes a folder for a runtime other than LiteRT, with the tokenizer and a description."""

    def loads(self, checkpoint: Checkpoint) -> str | None:
        """Rejects quantized checkpoints, whose integers are for `.tflite` files, and speech."""
        if checkpoint.is_quantized:
            return (
                "Expected a float checkpoint, got one that quantize made, which a .tflite file "
                "alone turns into integers; convert the float checkpoint that it was made from."
            )
        if checkpoint.task.generates and checkpoint.modality.text is None:
            return (
                f"Expected a model of labels or of texts for the target {self.name}, got one of "
                f"{checkpoint.task.name}; convert it for the target plain."
            )
        return None

    @abc.abstractmethod
    def place(self, graph: str) -> str:
        """Returns the name of the file or folder that contains a graph."""

    @abc.abstractmethod
    def graph_files(
        self, checkpoint: Checkpoint, graphs: Mapping[str, EntryPoint]
    ) -> dict[str, bytes]:
        """Returns the files of the graphs, contents by name."""

    def write(self, request: Request) -> Artifact:
        """Returns the folder, after its runtime reproduced the outputs of Keras."""
        checkpoint = of_trained_positions(request.checkpoint)
        if request.lengths is not None:
            raise InputError(
                f"Expected no lengths for the target {self.name}, whose graphs read any; got "
                f"lengths={','.join(map(str, request.lengths))}."
            )
        # Layers can be kept in float only for integer precisions.
        kept_patterns(request.precision, request.keep)
        graphs = self.graphs(checkpoint)
        files = self.graph_files(checkpoint, graphs)
        described = {
            name: {"file": self.place(name), **graph.to_json()} for name, graph in graphs.items()
        }
        parity = graphs_parity(self.name, checkpoint, files, described)
        description = {
            "target": self.name,
            "about": dataclasses.asdict(self.about),
            "task": checkpoint.task.to_json(),
            "precision": request.precision.name,
            "model": checkpoint.config.to_json(),
            "modality": checkpoint.modality.name,
            "max_length": checkpoint.max_length,
            "graphs": described,
            "parity": dataclasses.asdict(parity),
            "provenance": provenance(checkpoint),
        }
        text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
        batches = " and ".join(map(str, replay.BATCH_SIZES))
        return Artifact(
            target=self.name, precision=request.precision.name, parity=parity, is_folder=True,
            files={
                **files,
                **checkpoint.modality.files(),
                "labels.txt": "".join(f"{label}\n" for label in checkpoint.labels).encode(),
                replay.DESCRIPTION: text.encode(),
            },
            description=description, origin=origin_of(checkpoint),
            loading=self.loading(checkpoint), measured={"compared in batches of": batches},
        )  # fmt: skip

    def check_out(self, out: Path, *, overwrite: bool) -> None:
        """Checks that the folder may be saved to a path."""
        card = card_beside(resolved(out))
        check_folder_target(out, overwrite=overwrite, kind=KIND)
        check_file_target(card, overwrite=True)

    def graphs(self, checkpoint: Checkpoint) -> dict[str, EntryPoint]:
        """Returns the graphs of a model by name."""
        return entry_points(checkpoint.model, checkpoint.config)

    def first_graph(self, checkpoint: Checkpoint) -> str:
        """Returns the name of the graph that is called first."""
        return next(iter(self.graphs(checkpoint)))
