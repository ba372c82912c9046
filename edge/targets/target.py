"""Entries of the table of targets: help for the command line, and the writer class.

An entry imports nothing that is slow to load; a writer class is imported when its target is
requested.
"""

import dataclasses
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.zoo.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class About:
    """Description of a model for its users.

    Attributes:
        name: name of the model.
        description: description in one sentence.
        version: version of the model.
        license: license of the model.
    """

    name: str = "model"
    description: str = ""
    version: str = "1"
    license: str = "not stated"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Option:
    """An option that only some targets have.

    Attributes:
        name: name in Python; `score_calibration` is `--score-calibration` on the command line.
        type: `bool` for a flag, `bytes` for the contents of a file, or `str`, `int` or `float`.
        help: help text, without the name of the target.
    """

    name: str
    type: type
    help: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """One entry of the table.

    Attributes:
        name: name on the command line.
        writer: its `Writer` class, as `module:Class`.
        help: hosts that load the result.
        precisions: precisions that the host can run.
        packages: import names of the packages that must be installed.
        extra: extra of this distribution that installs them.
        options: options of the target, passed to `writer` by name.
        family: name in help texts of the targets that differ in the host alone; its own if empty.
    """

    name: str
    writer: str
    help: str
    precisions: tuple[str, ...] = tuple(PRECISIONS)
    packages: tuple[str, ...] = ()
    extra: str = ""
    options: tuple[Option, ...] = ()
    family: str = ""

    @property
    def group(self) -> str:
        """The name of its family, or its own."""
        return self.family or self.name

    def open(self, about: About | None = None, **options: Any) -> Any:
        """Returns the `Writer` of the target.

        Args:
            about: name, description, version and license of the model.
            **options: options of this target.

        Raises:
            InputError: if a package is not installed, or an option has the wrong type.
        """
        for package in self.packages:
            if find_spec(package) is None:
                raise InputError(
                    f"Expected {package} to be installed, which the target {self.name} needs; "
                    f'type: pip install "keras-transformer-zoo[{self.extra}]"'
                )
        types = {option.name: option.type for option in self.options}
        for name, value in options.items():
            if not isinstance(value, types[name]):
                raise InputError(
                    f"Expected {name} to be of type {types[name].__name__}, got {name}={value!r}."
                )
        module, _, name = self.writer.partition(":")
        writer = getattr(import_module(module), name)
        return writer(self, About() if about is None else about, **options)
