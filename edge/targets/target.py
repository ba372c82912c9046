"""Entries of the table of targets: what the command line shows of a host, and who writes for it.

An entry imports nothing that is slow to load; the class that writes is imported when its target is
asked for.
"""

import dataclasses
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.zoo.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class About:
    """What a file says of itself to people.

    Attributes:
        name: of the model.
        description: one sentence.
        version: of the model.
        license: under which it may be used.
    """

    name: str = "model"
    description: str = ""
    version: str = "1"
    license: str = "not stated"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Option:
    """An option that only some targets have.

    Attributes:
        name: in Python; `--score-calibration` on the command line is `score_calibration`.
        type: `bool` for a flag, `bytes` for the contents of a file, or `str`, `int` or `float`.
        help: for people, without the name of the target.
    """

    name: str
    type: type
    help: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """One entry of the table.

    Attributes:
        name: on the command line.
        writer: the class that writes for it, a `Writer`, as `module:Class`.
        help: who loads the result.
        precisions: that the host can run.
        packages: that have to be installed, by the names under which they are imported.
        extra: of this distribution, which installs them.
        options: of its own, passed to `writer` by name.
    """

    name: str
    writer: str
    help: str
    precisions: tuple[str, ...] = tuple(PRECISIONS)
    packages: tuple[str, ...] = ()
    extra: str = ""
    options: tuple[Option, ...] = ()

    def open(self, about: About | None = None, **options: Any) -> Any:
        """Returns the `Writer` of the target.

        Args:
            about: what the file says of itself.
            **options: of this target.

        Raises:
            InputError: a package is not installed, or an option has another type.
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
