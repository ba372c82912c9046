"""The interface of a target's writer: checks what its host can load, and writes it."""

import abc
from pathlib import Path

from keras_transformer.edge.convert.convert import Request
from keras_transformer.edge.precision import Precision
from keras_transformer.edge.publish.model_card import card_beside
from keras_transformer.edge.targets.artifact import Artifact
from keras_transformer.edge.targets.target import About, Target
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.storage.beside import resolved
from keras_transformer.zoo.storage.files import check_file_target


class Writer(abc.ABC):
    """Writes checkpoints for one host.

    A subclass takes the target's own options as keyword arguments.

    Args:
        target: the entry of the table.
        about: name, description, version and license of the model.
    """

    def __init__(self, target: Target, about: About):
        self.target = target
        self.about = about

    @property
    def name(self) -> str:
        """Name of the target."""
        return self.target.name

    @abc.abstractmethod
    def loads(self, checkpoint: Checkpoint) -> str | None:
        """Returns the reason why the host cannot load a checkpoint, or None if it can."""

    def refuses(self, precision: Precision) -> str | None:
        """Returns the reason why a precision that the host runs has to be asked for, or None."""
        return None

    @abc.abstractmethod
    def write(self, request: Request) -> Artifact:
        """Writes the requested artifact, and compares it with the Keras model.

        Raises:
            InputError: if the host does not support the request.
            RunError: if the result cannot be run, or does not match the model.
        """

    @abc.abstractmethod
    def loading(self, checkpoint: Checkpoint) -> str:
        """Returns the card's lines on how to load the result, with `{file}` for its name."""

    def check_out(self, out: Path, *, overwrite: bool) -> None:
        """Checks before the conversion that the result may be saved to a path.

        Raises:
            FileExistsError: a path exists and `overwrite` is False.
            InputError, OSError: it is no path, or its folder may not be written.
        """
        card = card_beside(resolved(out))
        check_file_target(out, overwrite=overwrite)
        check_file_target(card, overwrite=True)
