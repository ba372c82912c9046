"""The fastest int8 form of a model: by latency on this machine, or by instructions on another core.

What is stored between the matmuls of a layer in 8 bits takes a conversion before and behind each op
that a runtime has in float alone, and may leave it to slower kernels: on one processor the bytes
are faster, on another the floats. The matmuls have int8 kernels in each form.
"""

import dataclasses
import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_transformer.edge.arm64.cores import get_core
from keras_transformer.edge.arm64.instructions import count_instructions, ready_machine
from keras_transformer.edge.compare.benchmark import device_name, interleaved_latencies
from keras_transformer.edge.precision import AUTO, get_precision
from keras_transformer.edge.targets.artifact import Artifact
from keras_transformer.edge.targets.convert import check_host, convert, open_writer
from keras_transformer.edge.targets.flatbuffer import TfliteFile
from keras_transformer.edge.targets.target import About
from keras_transformer.zoo.backends import needs_backend
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.models.kept_layers import rounded_layers
from keras_transformer.zoo.models.running.unset import unset_weights
from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
from keras_transformer.zoo.progress import Report, default_report

# Beside the forms of `int8`: the inputs of all matmuls are stored too.
BASES = ("int8", "static_int8")
# Kind of layer -> the points before and between its matmuls, which `int8` may keep float. A matmul
# whose outputs are floats rounds the rows that it reads, which would be a second time if they were
# stored.
KINDS = {
    "feed-forward": (
        "feed_forward/norm_point", "sublayer/up_point", "sublayer/activation_point",
    ),
    "attention": (
        "attention/norm_point", "cross_attention/norm_point",
        *(
            f"sublayer/{name}_point"
            for name in "query key value scores masked_scores probabilities context".split()
        ),
    ),
}  # fmt: skip
RUNS = 50
# A form replaces plain int8 only where it is faster by more than the noise of a median. Counts have
# no noise, but are not time either.
LEAST_GAIN = 0.02


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Form:
    """A form of a file, and what it costs.

    Attributes:
        precision: its precision.
        kinds: kinds of layers with floats between their matmuls.
        milliseconds: its median latency, measured in turns with the others; None if it is refused,
            or instructions are counted.
        instructions: number of instructions of an invocation; None if it is refused, or latency is
            measured.
        refused: the reason why it is refused, or None.
    """

    precision: str
    kinds: tuple[str, ...] = ()
    milliseconds: float | None = None
    instructions: int | None = None
    refused: str | None = None

    @property
    def name(self) -> str:
        """The form in words."""
        floats = f" with floats in {' and '.join(self.kinds)}" if self.kinds else ""
        return f"{self.precision}{floats}"

    @property
    def cost(self) -> float | None:
        """The milliseconds, or the instructions; None if it is refused."""
        return self.milliseconds if self.instructions is None else self.instructions

    def __str__(self) -> str:
        if self.cost is None:
            return f"{self.name}, refused"
        if self.instructions is None:
            return f"{self.name}, {self.milliseconds:.2f} ms"
        return f"{self.name}, {self.instructions / 1e6:.3f} M instructions"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Fastest:
    """The fastest file of those that match the model.

    Attributes:
        artifact: the file; its `measured` says what was chosen.
        chosen: its form.
        forms: all forms, of which the first is plain int8.
        core: emulated core on which instructions were counted; None if latency was measured here.
    """

    artifact: Artifact
    chosen: Form
    forms: tuple[Form, ...]
    core: str | None = None

    def rows(self) -> dict[str, str]:
        """Returns what was chosen as text, by label."""
        plain = self.forms[0]
        others = [str(form) for form in self.forms if form is not self.chosen]
        against = ""
        if self.chosen is not plain and plain.cost is not None:
            of = "latency" if self.core is None else "instructions"
            against = f", {self.chosen.cost / plain.cost:.2f} times the {of} of {plain.name}"
        place = device_name() if self.core is None else f"an emulated {self.core}"
        return {
            "fastest form": f"{self.chosen}{against}, on {place}",
            "other forms": "; ".join(others) or "none",
        }


@needs_backend("convert")
def fastest(
    checkpoint: Checkpoint | str | Path,
    *,
    calibration: Source | Rows,
    keep: Sequence[str] = (),
    target: str = "plain",
    threads: int = 1,
    arm64: str | None = None,
    about: About | None = None,
    report: Report | None = None,
    **options: Any,
) -> Fastest:
    """Converts a float model to the int8 form that is fastest here, or least work on another core.

    The forms are `int8`, `int8` with floats between the matmuls of each kind of layer and of all,
    and `static_int8`. A form whose file does not match the model is left out.

    Args:
        checkpoint: a float checkpoint, or its folder.
        calibration: data that the ranges are calibrated on, a path or in memory.
        keep: layers that stay float in every form, see `convert`.
        target: target whose files LiteRT runs.
        threads: number of threads that the latency is measured with.
        arm64: emulated core, such as cortex-a76, on which the instructions of one run on one thread
            are counted instead, see `count_instructions`.
        about: see `convert`.
        report: receives what was measured.
        **options: further options of `convert`, and those of the target.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if an argument or the data is invalid, the target cannot run int8 or writes no
            `.tflite` file, the checkpoint is quantized, or a program that counts is not installed.
        RunError: if no form matches the model, or the emulated machine cannot be made.
    """
    report = report or default_report()
    machine = None
    if arm64 is not None:
        get_core(arm64)
        if threads != 1:
            raise InputError(
                f"Expected threads=1 with arm64={arm64}, where one thread's instructions are "
                f"counted, got threads={threads}."
            )
        machine = ready_machine(report.note)
    checkpoint = as_checkpoint(checkpoint)
    if checkpoint.is_quantized:
        raise InputError(
            "Expected a float checkpoint to choose the fastest int8 form of, got a quantized one, "
            "whose form is that of its training; give the one that it was made from."
        )
    writer = open_writer(target, about)
    check_host(writer, checkpoint, get_precision(BASES[0]), AUTO)
    if not issubclass(getattr(writer, "artifact", Artifact), TfliteFile):
        raise InputError(f"Expected a target whose files LiteRT runs, got target={target}.")
    if machine is not None and writer.custom_ops:
        raise InputError(
            f"Expected a target of LiteRT's own ops with arm64={arm64}, where there are no others, "
            f"got target={target}."
        )
    paths = rounded_paths(checkpoint)
    forms = [form for form in forms_of(paths) if form.precision in writer.target.precisions]
    # Data in memory may be readable only once.
    calibration = checkpoint.task.examples_of(
        calibration, checkpoint.columns, name="calibration", labelled=False
    )
    made: dict[int, Artifact] = {}
    for place, form in enumerate(forms):
        patterns = [f"{path}=float32" for path in points_of(paths, form)]
        try:
            made[place] = convert(
                checkpoint, form.precision, calibration=calibration, keep=(*keep, *patterns),
                target=target, about=about, report=report, **options,
            )  # fmt: skip
        except RunError as error:
            forms[place] = dataclasses.replace(form, refused=str(error))
            report.note(f"{form.name} is refused: {error}")
    if not made:
        raise RunError(f"No form of int8 matches the model: {forms[0].refused}")
    if machine is None:
        times = interleaved_latencies([bytes(one) for one in made.values()], threads, RUNS)
        costs = [{"milliseconds": one} for one in times]
    else:
        counted = count_instructions([*made.values()], arm64, note=report.note, machine=machine)
        costs = [{"instructions": one.instructions} for one in counted.files]
    for place, cost in zip(made, costs, strict=True):
        forms[place] = dataclasses.replace(forms[place], **cost)
    best = _best(forms)
    result = Fastest(artifact=made[best], chosen=forms[best], forms=tuple(forms), core=arm64)
    artifact = result.artifact
    measured = {**artifact.measured, **result.rows()}
    return dataclasses.replace(result, artifact=dataclasses.replace(artifact, measured=measured))


def _best(forms: Sequence[Form]) -> int:
    """The place of the fastest form; of plain int8 where none is faster by `LEAST_GAIN`."""
    known = [place for place, form in enumerate(forms) if form.cost is not None]
    best = min(known, key=lambda place: forms[place].cost)
    plain = forms[0].cost
    is_gain = plain is None or forms[best].cost < (1 - LEAST_GAIN) * plain
    return best if is_gain else 0


def rounded_paths(checkpoint: Checkpoint) -> list[str]:
    """Returns the paths of a checkpoint's layers that int8 rounds."""
    with unset_weights():
        bits = get_precision(BASES[0]).bits
        model = build(checkpoint.config, checkpoint.task, bits=bits)
    return [layer.path for layer in rounded_layers(model)]


def forms_of(paths: Sequence[str]) -> list[Form]:
    """Returns the forms that a file may have, of which the first is plain int8.

    Args:
        paths: paths of the layers that int8 rounds.
    """
    kinds = [kind for kind in KINDS if points_of(paths, Form(precision=BASES[0], kinds=(kind,)))]
    chosen = [(), *((kind,) for kind in kinds), tuple(kinds)]
    return [
        *(Form(precision=BASES[0], kinds=one) for one in dict.fromkeys(chosen)),
        *(Form(precision=base) for base in BASES[1:]),
    ]


def points_of(paths: Sequence[str], form: Form) -> list[str]:
    """Returns patterns of the points that are float in a form, those that match a path."""
    patterns = [f"*/{name}" for kind in form.kinds for name in KINDS[kind]]
    return [one for one in patterns if fnmatch.filter(paths, one)]
