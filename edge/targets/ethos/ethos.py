"""Files for Arm's Ethos-U NPUs: the graph compiled by Vela, its report, and C sources."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.edge.compare.probes import probe_inputs
from keras_transformer.edge.convert.convert import Request
from keras_transformer.edge.runtime.packed import NPU, TABLE, pack, unpack
from keras_transformer.edge.targets.artifact import Artifact
from keras_transformer.edge.targets.ethos.fallback import check_fallback, cpu_ops
from keras_transformer.edge.targets.ethos.faster import faster
from keras_transformer.edge.targets.ethos.prepare import prepare
from keras_transformer.edge.targets.ethos.replay import check_same
from keras_transformer.edge.targets.ethos.sources import LOADING, all_sources, names_of_sources
from keras_transformer.edge.targets.ethos.tensors import fast_bytes, interface, planned_bytes
from keras_transformer.edge.targets.ethos.vela import Compiled, check_sections, compile_graph
from keras_transformer.edge.targets.flatbuffer import FILE
from keras_transformer.edge.targets.micro.micro import Micro
from keras_transformer.edge.targets.micro.sources import c_name
from keras_transformer.edge.targets.npus import NPUS
from keras_transformer.edge.targets.target import About, Target
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.modalities.several import PLUS
from keras_transformer.zoo.storage.beside import resolved
from keras_transformer.zoo.storage.files import check_file_target

# The custom op of a compiled graph.
ETHOS_U = "ethos-u"
# Memories besides the SRAM, in words.
_MEMORIES = {
    "dram": "DRAM", "on_chip_flash": "on-chip flash", "off_chip_flash": "off-chip flash",
}  # fmt: skip


class EthosFile(Artifact):
    """A compiled `.tflite` file, and C sources of the same name beside it."""

    @property
    def compared(self) -> str:
        """The file before it was compiled, as nothing here runs it then."""
        return "the file before it was compiled"

    def beside(self, path: Path) -> Mapping[str, bytes]:
        """Returns the C sources."""
        return all_sources(path, bytes(self))

    def loading_from(self, path: Path) -> str:
        """Returns the lines on the sources."""
        return self.loading.replace("{name}", c_name(path))

    def _limits(self) -> Iterator[str]:
        yield from super()._limits()
        yield (
            "Cycles and memory are the compiler's estimates; the file was not run on an NPU or its "
            "simulator."
        )


class EthosU(Micro):
    """Writer of the targets `ethos-u*`: files of integers, compiled for an NPU.

    Args:
        target, about: see `Writer`.
        arena_limit: largest number of bytes of the NPU's SRAM; None for any.
        host_lookup: whether the host looks up the rows of the embedding table.
        system_config, memory_mode: sections of the compiler's configuration; those of the NPU by
            default.
    """

    artifact = EthosFile

    def __init__(
        self, target: Target, about: About, *, arena_limit: int | None = None,
        host_lookup: bool = False, system_config: str | None = None,
        memory_mode: str | None = None,
    ):  # fmt: skip
        super().__init__(target, about, arena_limit=arena_limit)
        self.npu = NPUS[target.name]
        check_sections(self.npu, system_config, memory_mode)
        self.host_lookup = host_lookup
        self._sections = {"system": system_config, "memory": memory_mode}

    def loads(self, checkpoint: Checkpoint) -> str | None:
        """Rejects generative models, and those of several tasks or kinds of inputs."""
        if checkpoint.head_names:
            return (
                f"Expected a model of one task for the target {self.name}, got "
                f"{', '.join(checkpoint.head_names)}; choose one with --head."
            )
        if PLUS in checkpoint.modality.name:
            return (
                f"Expected a model that reads rows of one kind for the target {self.name}, got "
                f"one of {checkpoint.modality.name}."
            )
        if self.host_lookup and checkpoint.modality.text is not checkpoint.modality:
            return (
                "Expected host_lookup only for a model of texts, which looks up ids, got one of "
                f"{checkpoint.modality.rows}."
            )
        return super().loads(checkpoint)

    def write(self, request: Request) -> Artifact:
        """Returns the compiled file, see `compiled`."""
        return self.compiled(super().write(request), request.checkpoint)

    def compiled(self, artifact: Artifact, checkpoint: Checkpoint) -> Artifact:
        """Compiles a file of integers.

        Args:
            artifact: the file, as `Micro.write` returns it.
            checkpoint: what it was made of.

        Raises:
            InputError: if an op would stay on the CPU that need not, or the NPU needs more SRAM
                than the limit.
            RunError: if the compiler rejects the graph.
        """
        flatbuffer, description, files = unpack(bytes(artifact))
        # Before they are compared, what is changed is what an NPU runs.
        graph, ends = prepare(
            flatbuffer, host_mask=not self.npu.looks_up, host_lookup=self.host_lookup
        )
        graph = faster(graph)
        check_same(flatbuffer, graph, ends, _rows(checkpoint, description, files))
        compiled = compile_graph(graph, self.npu, **self._sections)
        places = description["layers"].get("predict", {})
        check_fallback(compiled.flatbuffer, self.name, self.npu, places)
        is_variable = any(spec.is_variable for spec in checkpoint.inputs)
        self.check_arena(
            compiled.bytes["sram"], f"the SRAM of {self.name}", is_variable=is_variable
        )
        for name in ("format", "flatbuffer_bytes"):
            description.pop(name)
        description |= {
            NPU: {
                **compiled.to_json(), "cpu_ops": cpu_ops(compiled.flatbuffer),
                **interface(compiled.flatbuffer), **ends.to_json(),
                "fast_bytes": fast_bytes(compiled.flatbuffer),
            },
            "custom_ops": [ETHOS_U],
            "arena_bytes": planned_bytes(compiled.flatbuffer),
            # Of the graph that was compiled.
            "layers": {},
        }  # fmt: skip
        if ends.table is not None:
            files = {**files, TABLE: ends.table.tobytes()}
        measured = {**artifact.measured, **_report(compiled, description)}
        data = pack(compiled.flatbuffer, description, files)
        return dataclasses.replace(
            artifact, files={FILE: data}, description=description, measured=measured,
            loading=LOADING,
        )  # fmt: skip

    def check_out(self, out: Path, *, overwrite: bool) -> None:
        """Also checks the paths of the C sources."""
        super().check_out(out, overwrite=overwrite)
        out = resolved(out)
        for name in names_of_sources(out):
            check_file_target(out.with_name(name), overwrite=overwrite)

    def measured(self, description: Mapping[str, Any]) -> dict[str, str]:
        """Returns nothing yet: what is measured is the compiled graph."""
        return {}

    def facts(self, flatbuffer: bytes) -> dict[str, int]:
        """Returns nothing yet, see `measured`."""
        return {}


def _rows(
    checkpoint: Checkpoint, description: Mapping[str, Any], files: Mapping[str, bytes]
) -> dict[str, np.ndarray]:
    """The checkpoint's probes, and what a file of integers reads in their place."""
    columns = probe_inputs(checkpoint, description["max_length"])
    modality = modality_named(description["modality"]).from_files(
        files, max_length=description["max_length"],
        settings=description["model"].get("modality_settings", {}),
    )  # fmt: skip
    return columns | modality.beside(columns)


def _report(compiled: Compiled, description: Mapping[str, Any]) -> dict[str, str]:
    """The compiler's figures for the card."""
    left = description[NPU]["cpu_ops"]
    told = ", ".join(f"{name} ({count})" for name, count in left.items()) or "none"
    memories = ", ".join(
        f"{size:,} bytes of {_MEMORIES[name]}"
        for name, size in compiled.bytes.items() if name in _MEMORIES and size
    )  # fmt: skip
    return {
        "ops on the NPU": f"{compiled.on_npu} of {compiled.ops} ({compiled.share:.1%})",
        "ops on the CPU": told,
        "cycles on the NPU": (
            f"{compiled.cycles:,}, {1e3 * compiled.seconds:.3f} ms at "
            f"{compiled.clock / 1e6:g} MHz, estimated by {compiled.compiler} for "
            f"{compiled.system}, {compiled.memory}"
        ),
        "SRAM of the NPU": f"{compiled.bytes['sram']:,} bytes",
        "other memory of the NPU": memories,
        "arena in TensorFlow Lite Micro": f"{description['arena_bytes']:,} bytes, planned",
    }
