"""Instructions of one inference on an emulated ARM64 core, by class."""

import dataclasses
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_transformer.edge.arm64.cores import Core, get_core
from keras_transformer.edge.arm64.functions import Functions
from keras_transformer.edge.arm64.machine import (
    QEMU,
    Machine,
    check_tools,
    find_machine,
    qemu_version,
    versions,
)
from keras_transformer.edge.arm64.plugin import (
    CLASSES,
    check_plugins,
    compile_plugin,
    options,
    read_counts,
)
from keras_transformer.edge.runtime.names import run_of, unit_of
from keras_transformer.edge.runtime.opening import open_file
from keras_transformer.edge.runtime.packed import Source, contents, names_of
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.storage.temporary import temporary_folder
from keras_transformer.zoo.tabular import Grid, Tabular

_PROGRAM = Path(__file__).with_name("counted.py")
# Functions of each file in the table.
_LARGEST = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counted:
    """What one inference of a file takes.

    Attributes:
        path: path of the file.
        precision: precision of the file.
        signature: signature that was run: `predict`, or `decode` of a generative model.
        tokens: number of tokens that one invocation reads: `max_length`, or 1 for `decode`.
        unit: what they are: `tokens` of a text, or `positions`, such as the patches of an image.
        size: size of the file in bytes.
        instructions: number of instructions of an invocation.
        ratio: that number divided by the first file's.
        classes: number of instructions by class: multiplications and additions of floats (fmla),
            dot products (sdot) and products of matrices (smmla) of int8, other multiplications of
            integer vectors (smlal), other vector and float instructions, loads, stores, branches
            and those of the system, and others.
        functions: number of instructions by function of LiteRT and of what it calls, the largest
            first.
    """

    path: str
    precision: str
    signature: str
    tokens: int
    unit: str
    size: int
    instructions: int
    ratio: float
    classes: dict[str, int]
    functions: dict[str, int]


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Instructions(Tabular):
    """Files counted on one core.

    Attributes:
        core: name of the core.
        versions: versions of QEMU, and of Python, LiteRT and NumPy on the emulated machine.
        files: the counts, in the order given.
    """

    core: str
    versions: dict[str, str]
    files: tuple[Counted, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the values as a JSON-serializable object."""
        return dataclasses.asdict(self)

    def grids(self) -> list[Grid]:
        """One row per file, in millions, and one for each of its largest functions."""
        units = " or ".join(dict.fromkeys(file.unit for file in self.files))
        columns = (
            "file", "precision", f"run, {units}", "M instructions", "ratio",
            *(name.replace("_", " ") for name in CLASSES), "MB",
        )  # fmt: skip
        rows = [
            (
                file.path,
                file.precision,
                f"{file.signature}, {file.tokens}",
                f"{file.instructions / 1e6:.3f}",
                f"{file.ratio:.3f}",
                *(f"{count / 1e6:.2f}" for count in file.classes.values()),
                f"{file.size / 1e6:.2f}",
            )
            for file in self.files
        ]
        made_of = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        parts = [
            (file.path, name, f"{count / 1e6:.3f}", f"{100 * count / file.instructions:.1f}")
            for file in self.files for name, count in [*file.functions.items()][:_LARGEST]
        ]  # fmt: skip
        return [
            Grid(f"Emulated {self.core}, 1 thread, by instructions; {made_of}", columns, rows),
            Grid(None, ("file", "function", "M instructions", "%"), parts),
        ]


def count_instructions(
    files: Source | Sequence[Source], core: str, *, note: Callable[[str], None] = print,
    machine: Machine | None = None,
) -> Instructions:  # fmt: skip
    """Counts the instructions of one inference of each file on an emulated core, on one thread.

    The counts are the same in each run on one machine, and so free of noise; they are not time: how
    many instructions a core completes at once, and what it waits for, is left out.

    Args:
        files: one or more converted files: paths, bytes, runners, or artifacts of `convert`.
        core: name of the core, see `CORES`.
        note: receives messages of what is done.
        machine: the emulated machine; None for that of the cache, see `find_machine`.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if a file was not made by `convert` or has ops of TensorFlow Text, there is no
            file, the core is unknown, or a program is not installed.
        TypeError: if an item of `files` is not a file.
        RunError: if the machine cannot be made, or a file not be run on it.
    """
    sources = files if isinstance(files, list | tuple) else [files]
    if not sources:
        raise InputError("Expected at least one file to measure.")
    emulated = get_core(core)
    names = names_of(sources)
    opened = [open_file(source) for source in sources]
    for name, file in zip(names, opened, strict=True):
        if file.description.get("custom_ops"):
            raise InputError(
                f"Expected a file of LiteRT's own ops, {name} has those of TensorFlow Text, which "
                "the emulated machine has not; convert with --target plain."
            )
    machine = ready_machine(note) if machine is None else machine
    counted: list[Counted] = []
    with temporary_folder() as folder:
        plugin = compile_plugin(folder)
        for name, source, file in zip(names, sources, opened, strict=True):
            note(f"Running {name} on {core}.")
            [(classes, functions)] = invocations(machine, emulated, plugin, file.flatbuffer)
            total = classes.total()
            first = counted[0].instructions if counted else total
            signature, tokens = run_of(file.description, file.model.signatures)
            counted.append(
                Counted(
                    path=name,
                    precision=file.description["precision"],
                    signature=signature,
                    tokens=tokens,
                    unit=unit_of(file.description),
                    size=len(contents(source)),
                    instructions=total,
                    ratio=total / first,
                    classes=dict(classes),
                    functions=dict(functions.most_common()),
                )
            )
    made_of = {"qemu": qemu_version(), **versions()}
    return Instructions(core=core, versions=made_of, files=tuple(counted))


def ready_machine(note: Callable[[str], None]) -> Machine:
    """Returns the machine of the cache, after checking that all that counts is installed.

    Args:
        note: receives messages of what is done.

    Raises:
        InputError: if a program is not installed.
        RunError: if the machine cannot be made.
    """
    check_tools(QEMU, "gcc", "readelf")
    check_plugins()
    return find_machine(note)


def invocations(
    machine: Machine, core: Core, plugin: Path, flatbuffer: bytes, runs: int = 1
) -> list[tuple[Counter[str], Counter[str]]]:
    """Returns the instructions of each of some invocations in a row, by class and by function.

    Args:
        machine, core: the machine and its core.
        plugin: path of the compiled plugin, beside which files are written.
        flatbuffer: the model.
        runs: number of invocations.

    Raises:
        RunError: if the model cannot be run there.
    """
    folder, out = plugin.parent, plugin.with_name("counts")
    (folder / "model.tflite").write_bytes(flatbuffer)
    shutil.copyfile(_PROGRAM, folder / _PROGRAM.name)
    out.write_text("")
    # A longer path moves what is beside it in memory, which then takes some dozens of instructions
    # more or less to copy.
    maps = machine.run(
        core, ["-P", _PROGRAM.name, "model.tflite", str(runs)], options=options(plugin, out),
        folder=folder,
    )  # fmt: skip
    named, result = Functions(maps), []
    for blocks in read_counts(out, runs):
        # Each class is there, also one that no instruction is of.
        classes, functions = Counter(dict.fromkeys(CLASSES, 0)), Counter[str]()
        for block in blocks:
            classes.update(block.classes)
            functions[named.at(block.address)] += sum(block.classes.values())
        result.append((classes, functions))
    return result
