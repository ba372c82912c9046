"""Quantization sensitivity: the accuracy that each group of layers costs when quantized alone."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_transformer.edge.choose.figures import figure_bytes, new_figure
from keras_transformer.edge.choose.simulation import Simulation
from keras_transformer.edge.compare.layer_groups import Group
from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.quantize.ranges import calibration_batches
from keras_transformer.edge.quantize.smoothing import check_smooth
from keras_transformer.zoo.backends import needs_backend
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.columns import columns_of
from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.metric import Metric, check_max_drop
from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
from keras_transformer.zoo.progress import Report, default_report
from keras_transformer.zoo.tabular import Grid, Tabular
from keras_transformer.zoo.training.run_data import training_rows


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroupCost:
    """The cost of quantizing one group.

    Attributes:
        group: the only group that is quantized.
        value: the metric in that case.
        drop: points below the float model.
    """

    group: Group
    value: float
    drop: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kept:
    """The groups that stay float to meet a budget.

    Attributes:
        groups: the groups.
        value, drop: metric and drop of the model in which all others are quantized.
        max_drop: the budget, in points.
    """

    groups: tuple[Group, ...]
    value: float
    drop: float
    max_drop: float

    @property
    def is_met(self) -> bool:
        """Whether the budget is met."""
        return self.drop <= self.max_drop

    @property
    def keep(self) -> tuple[str, ...]:
        """The corresponding `keep` of `convert` and `quantize`."""
        return tuple(f"{pattern}=float32" for group in self.groups for pattern in group.patterns)

    @property
    def options(self) -> str:
        """The same as options of the commands."""
        return " ".join(f'--keep "{one}"' for one in self.keep)


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Sensitivity(Tabular):
    """The cost of quantization by groups of layers.

    Attributes:
        precision: the simulated precision.
        data: path or name of the rows that the metric was measured on.
        metric: the task's metric.
        float_value: the metric of the float model.
        value, drop: metric and drop with every group quantized.
        costs: cost of each group alone, in the order of the model.
        kept: groups to keep float to meet the budget, if there is one.
    """

    precision: str
    data: str
    metric: Metric
    float_value: float
    value: float
    drop: float
    costs: Sequence[GroupCost]
    kept: Kept | None = None

    def grids(self) -> list[Grid]:
        """One row per group, then all of them and none."""
        rows = [(cost.group.name, cost.value, f"{cost.drop:.2f}") for cost in self.costs]
        rows += [
            ("all of them", self.value, f"{self.drop:.2f}"),
            ("none", self.float_value, "0.00"),
        ]
        columns = (f"{self.precision} alone", self.metric.name, "points lost")
        return [Grid(f"Quantized on {self.data}", columns, rows)]

    def verdict(self) -> str:
        """Returns a sentence that says what to keep float."""
        kept, name = self.kept, self.precision
        budget = f"{kept.max_drop:g} points"
        names = ", ".join(group.name for group in kept.groups) or "nothing"
        if kept.is_met and not kept.groups:
            return f"All of it can be {name}: {kept.drop:.2f} points of at most {budget} are lost."
        if kept.is_met:
            return (
                f"With {names} in float {kept.drop:.2f} points of at most {budget} are lost: "
                f"{kept.options}"
            )
        return (
            f"No choice met {budget}: the nearest, {names} in float, loses {kept.drop:.2f} "
            f"points; train the checkpoint on with keras-transformer quantize."
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the values as a JSON-serializable object."""
        value = {**dataclasses.asdict(self), "metric": self.metric.name}
        if self.kept is not None:
            value["kept"] |= {"is_met": self.kept.is_met, "options": self.kept.options}
        return value


@needs_backend("sensitivity")
def sensitivity(
    checkpoint: Checkpoint | str | Path,
    data: Source | Rows,
    *,
    columns: Mapping[str, str | None] | None = None,
    precision: str = "int8",
    max_drop: float | None = None,
    calibration: Source | Rows | None = None,
    percentile: float = 0.0,
    range_method: str = "least-error",
    smooth: str | float = "none",
    report: Report | None = None,
    **decoding: Any,
) -> Sensitivity:
    """Measures a float model with one group of layers quantized at a time.

    With a budget, groups are kept float, the costliest first, until the drop is within it; those
    that turn out unnecessary are quantized again. Everything is measured on the Keras model that
    simulates the file.

    Args:
        checkpoint: a float checkpoint, or its folder.
        data: data that the metric is measured on, a path or in memory.
        columns: columns of the data by role; those of training by default.
        precision: a precision that rounds kernels.
        max_drop: largest acceptable drop, in points of the metric.
        calibration: data that the ranges are calibrated on, likewise; the training data by default.
        percentile, range_method, smooth: see `convert`.
        report: receives progress callbacks for each group.
        **decoding: decoding options of a translator, see `Decoding`.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if an argument or the data is invalid.
    """
    report = report or default_report()
    checkpoint = as_checkpoint(checkpoint)
    columns = columns_of(checkpoint) if columns is None else columns
    if checkpoint.is_quantized:
        raise InputError("Expected a float checkpoint, got a quantized one.")
    if max_drop is not None:
        check_max_drop(max_drop)
    spec = get_precision(precision)
    if not spec.rounds_kernels:
        raise InputError(f"Expected a precision that rounds kernels, got precision={precision!r}.")
    check_smooth(smooth := str(smooth))
    source = training_rows(checkpoint) if calibration is None else calibration
    examples = checkpoint.task.examples_of(data, columns)

    def measure(predictor: Any) -> dict[str, Any]:
        return checkpoint.task.evaluate(predictor, examples, **decoding)

    batches = calibration_batches(checkpoint, source)
    task = checkpoint.task
    for note in task.notes(task.metric, examples):
        report.note(note)
    metric = task.defined(task.metric, examples)
    simulation = Simulation(
        checkpoint, precision, batches, measure, metric, percentile=percentile,
        range_method=range_method, smooth=smooth,
    )  # fmt: skip
    groups = simulation.groups
    float_value = simulation.float_value()
    report.note(f"{checkpoint.task.name} in float: {metric.name} {float_value:.4f}.")
    costs = []
    for number, group in enumerate(groups, start=1):
        value = simulation.value(other for other in groups if other is not group)
        drop = metric.drop(float_value, value)
        report.note(f"{group.name}, {number} of {len(groups)}: {drop:.2f} points lost.")
        costs.append(GroupCost(group=group, value=value, drop=drop))

    def kept(chosen: Sequence[Group]) -> Kept:
        value = simulation.calibrated_value(chosen) if chosen else simulation.value(())
        return Kept(
            groups=tuple(chosen), value=value, drop=metric.drop(float_value, value),
            max_drop=max_drop or 0.0,
        )  # fmt: skip

    everything = kept(())
    result = Sensitivity(
        precision=precision, data=str(examples.path), metric=metric, float_value=float_value,
        value=everything.value, drop=everything.drop, costs=costs,
    )  # fmt: skip
    if max_drop is None:
        return result
    return dataclasses.replace(result, kept=fewest_kept(kept, everything, costs, report))


def fewest_kept(
    measure: Callable[[Sequence[Group]], Kept], nothing: Kept, costs: Sequence[GroupCost],
    report: Report,
) -> Kept:  # fmt: skip
    """Keeps groups float, the costliest first, until the budget is met; then drops unneeded ones.

    Args:
        measure: function from groups to the result of keeping them float.
        nothing: the result of keeping none.
        costs: cost of each group alone.
        report: receives progress callbacks for each attempt.

    Returns:
        The first result that meets the budget, without unneeded groups; else the one with the
        smallest drop. At least one group is quantized.
    """
    order = sorted(costs, key=lambda cost: cost.drop, reverse=True)
    keepable = [cost.group for cost in order if cost.group.is_keepable]
    tries = [nothing]
    while not tries[-1].is_met and len(tries) < len(keepable):
        tries.append(measure(keepable[: len(tries)]))
        names = ", ".join(group.name for group in tries[-1].groups)
        report.note(f"{names} in float: {tries[-1].drop:.2f} points lost.")
    best = tries[-1]
    if not best.is_met:
        return min(tries, key=lambda one: one.drop)
    for group in best.groups[-2::-1]:
        fewer = measure([other for other in best.groups if other is not group])
        if fewer.is_met:
            best = fewer
    return best


def sensitivity_figure(found: Sensitivity, kind: str) -> bytes:
    """Plots the cost of each group as a bar chart, as `svg` or `png`."""
    figure = new_figure(8.0, 1.2 + 0.3 * len(found.costs))
    axes = figure.add_subplot()
    kept = found.kept.groups if found.kept else ()
    names = [cost.group.name for cost in found.costs]
    colors = ["#d62728" if cost.group in kept else "#1f77b4" for cost in found.costs]
    axes.barh(names, [cost.drop for cost in found.costs], color=colors, zorder=2)
    axes.invert_yaxis()
    axes.axvline(0.0, color="black", linewidth=0.8, zorder=3)
    axes.grid(axis="x", alpha=0.3, zorder=0)
    axes.set_xlabel(f"points of {found.metric.name} lost when only this is {found.precision}")
    if kept:
        axes.set_title("Red: kept in float to meet the budget", fontsize=9)
    return figure_bytes(figure, kind)
