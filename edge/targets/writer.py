"""What a target's class has to do: say what its host cannot load, and write what it can."""

import abc
from pathlib import Path

from keras_transformer.edge.convert.convert import Request
from keras_transformer.edge.publish.model_card import NAME
from keras_transformer.edge.targets.artifact import Artifact
from keras_transformer.edge.targets.target import About, Target
from keras_transformer.zoo.beside import resolved
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.files import check_file_target


class Writer(abc.ABC):
    """Writes checkpoints for one host.

    A subclass takes the target's own options as keywords.

    Args:
        target: the entry of the table.
        about: what the file says of itself.
    """

    def __init__(self, target: Target, about: About):
        self.target = target
        self.about = about

    @property
    def name(self) -> str:
        """Of the target."""
        return self.target.name

    @abc.abstractmethod
    def loads(self, checkpoint: Checkpoint) -> str | None:
        """Returns why the host cannot load a checkpoint, in a sentence, or None if it can."""

    @abc.abstractmethod
    def write(self, request: Request) -> Artifact:
        """Writes what is asked for, and compares it with the Keras model.

        Raises:
            InputError: the host cannot run what is asked for.
            RunError: the result cannot be run, or does not follow the model.
        """

    @abc.abstractmethod
    def loading(self, checkpoint: Checkpoint) -> str:
        """Returns the lines of the card on how to load the result, in which {file} is its name."""

    def check_out(self, out: Path, *, overwrite: bool) -> None:
        """Checks that the result may be saved to a path, before the work that it is to hold.

        Raises:
            FileExistsError: a path exists and `overwrite` is False.
            InputError, OSError: it is no path, or its folder may not be written.
        """
        check_file_target(out, overwrite=overwrite)
        check_file_target(resolved(out).with_name(NAME), overwrite=True)
