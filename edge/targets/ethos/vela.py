"""Arm's compiler Vela, in a process of its own, and what it reports of a graph."""

import csv
import dataclasses
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from keras_transformer.edge.targets.npus import Npu
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.storage.temporary import temporary_folder

# The configuration file that comes with it.
_CONFIG = "Arm/vela.ini"
_SECTION = re.compile(r"^\s*(System_Config|Memory_Mode)\.(\w+)", re.MULTILINE)
# Its error for a system and a memory mode that do not go together.
_MISFIT = "ConfigOptionError"
_KIB = 1024
_REASON = re.compile(r"^(?:Error|Warning): (?!No )(.+)$", re.MULTILINE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compiled:
    """A graph compiled for an NPU, and the compiler's estimates.

    Attributes:
        flatbuffer: the compiled graph.
        ops, on_npu: number of the compiler's own ops, and of those that the NPU runs.
        cycles: clock cycles of an inference on the NPU.
        clock: clock rate in Hz.
        seconds: duration of an inference.
        bytes: bytes that it needs of each memory, by name: `sram`, `dram`, `on_chip_flash` and
            `off_chip_flash`.
        macs: 8-bit multiply-adds.
        system, memory: sections of the configuration.
        compiler: name and version of the compiler.
    """

    flatbuffer: bytes
    ops: int
    on_npu: int
    cycles: int
    clock: float
    seconds: float
    bytes: dict[str, int]
    macs: int
    system: str
    memory: str
    compiler: str

    @property
    def share(self) -> float:
        """The share of the ops that the NPU runs."""
        return self.on_npu / self.ops

    def to_json(self) -> dict[str, Any]:
        """Returns all but the graph as a JSON-serializable object."""
        values = dataclasses.asdict(self)
        del values["flatbuffer"]
        return values


def compile_graph(
    flatbuffer: bytes, npu: Npu, *, system: str | None = None, memory: str | None = None
) -> Compiled:
    """Compiles a graph.

    Args:
        flatbuffer: a TFLite model of one graph.
        npu: the NPU.
        system, memory: sections of the compiler's configuration; those of the NPU by default.

    Raises:
        RunError: if the compiler rejects the graph; with its own words.
    """
    system, memory = system or npu.system, memory or npu.memory
    with temporary_folder() as folder:
        path = folder / "model.tflite"
        path.write_bytes(flatbuffer)
        child = _vela(
            path, *_configuration(npu, system, memory), "--output-dir", folder,
            "--verbose-performance",
        )  # fmt: skip
        made = folder / "model_vela.tflite"
        if child.returncode or not made.exists():
            reason = _REASON.findall(child.stdout + child.stderr) or [_last_line(child)]
            raise RunError(f"Arm's compiler cannot compile the graph: {reason[-1].strip()}")
        [summary] = _table(folder / f"model_summary_{system}.csv")
        layers = _table(folder / "model_per-layer.csv")
        return Compiled(
            flatbuffer=made.read_bytes(),
            ops=len(layers), on_npu=sum(row["Target"] == "NPU" for row in layers),
            cycles=round(float(summary["cycles_total"])),
            clock=float(summary["core_clock"]), seconds=float(summary["inference_time"]),
            bytes={
                name: round(float(summary[f"{name}_memory_used"]) * _KIB)
                for name in ("sram", "dram", "on_chip_flash", "off_chip_flash")
            },
            macs=round(float(summary["nn_macs"])), system=system, memory=memory,
            compiler=f"ethos-u-vela {version('ethos-u-vela')}",
        )  # fmt: skip


def check_sections(npu: Npu, system: str | None, memory: str | None) -> None:
    """Checks that sections of the compiler's configuration exist, and go together on an NPU.

    Raises:
        InputError: if one does not exist, whose message lists those that do; if a system is of
            another NPU, whose clocks would be reported; or if the system lacks a memory that the
            memory mode needs.
        RunError: if the compiler cannot be run.
    """
    if system is None and memory is None:
        return
    child = _vela("--list-configs", _CONFIG)
    if child.returncode:
        raise RunError(f"Arm's compiler cannot list its configurations: {_last_line(child)}")
    found = _SECTION.findall(child.stdout)
    # `Ethos_U55_Deep_Embedded` is a system with an Ethos-U55.
    family = f"{npu.accelerator.rpartition('-')[0].title().replace('-', '_')}_"
    known = {
        "system_config": [
            name for kind, name in found if kind == "System_Config" and name.startswith(family)
        ],
        "memory_mode": [name for kind, name in found if kind == "Memory_Mode"],
    }
    for option, value in (("system_config", system), ("memory_mode", memory)):
        names = known[option]
        if value is not None and value not in names:
            raise InputError(
                f"Expected {option} to be one of {', '.join(names)}, got {option}={value!r}."
            )
    system, memory = system or npu.system, memory or npu.memory
    with temporary_folder() as folder:
        # It reads its configuration first, and then there is no graph to read.
        child = _vela(folder / "none.tflite", *_configuration(npu, system, memory))
    if _MISFIT in child.stderr:
        raise InputError(
            f"Expected memory_mode to name memories that {system} has for {npu.accelerator}, got "
            f"memory_mode={memory!r}; give another one, or a system_config that has them."
        )


def _configuration(npu: Npu, system: str, memory: str) -> tuple[str, ...]:
    return (
        "--accelerator-config", npu.accelerator, "--config", _CONFIG, "--system-config", system,
        "--memory-mode", memory,
    )  # fmt: skip


def _vela(*arguments: Any) -> subprocess.CompletedProcess[str]:
    # Without the current folder in the path, where a file may have a module's name.
    command = [sys.executable, "-P", "-m", "ethosu.vela", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def _last_line(child: subprocess.CompletedProcess[str]) -> str:
    """What the compiler said last."""
    return ((child.stdout + child.stderr).strip().splitlines() or ["it gave no reason"])[-1]


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
