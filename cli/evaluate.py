"""`keras-transformer evaluate`: the metrics of a checkpoint or a `.tflite` file."""

import math
from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import generation, kinds, options

MAX_CLASSES = 20
AVERAGED = ("precision", "recall", "f1")


@click.command()
@click.argument("model", metavar="CHECKPOINT|FILE.tflite", type=click.Path(path_type=Path))
@options.data(type=kinds.REMOTE_DATA, required=True)
@options.head()
@options.columns
@generation.decoding_options
@click.option(
    "--per-class", is_flag=True,
    help=f"Show every class or label, not only the {MAX_CLASSES} with the lowest F1.",
)
@click.option(
    "--out-of-scope", type=kinds.REMOTE_DATA, metavar="FILE",
    help="Rows that the model is to reject, as one that was trained with --out-of-scope can.",
)
@click.option(
    "--errors", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Table to write the wrong rows to, worst first: .tsv, .csv or .jsonl.",
)
@click.option(
    "--figures", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Folder for the confusion matrix and the reliability diagram of a classification; needs "
    'pip install "keras-transformer-zoo[report]".',
)
@options.overwrite(help="Replace an existing file of --errors.")
@options.threads()
@options.workers()
@options.as_json()
def evaluate(
    model: Path, data: Path | str, head: str | None, per_class: bool,
    out_of_scope: Path | str | None,
    errors: Path | None, figures: Path | None, overwrite: bool, threads: int, workers: int,
    as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Evaluate a CHECKPOINT or a FILE.tflite on labelled data, translations or plain text.

    A file is run by the device's interpreter, a checkpoint by Keras.

    Example: keras-transformer evaluate my_model.tflite --data test.tsv

    What it gets wrong: keras-transformer evaluate my_model --data test.tsv --errors wrong.csv
    --figures figures

    A translator: keras-transformer evaluate translator --data test.tsv --beams 5

    Several tasks, whose table names a test file of each: keras-transformer evaluate assistant
    --data tasks.json
    """
    from keras_transformer.cli import display
    from keras_transformer.cli.predictions import longer
    from keras_transformer.edge.choose.figures import check_matplotlib
    from keras_transformer.edge.diagnose.diagnosis import check_errors_path, diagnose
    from keras_transformer.edge.load import load
    from keras_transformer.zoo.evaluation.metrics import not_defined
    from keras_transformer.zoo.evaluation.unknown import unknown_warning
    from keras_transformer.zoo.tasks import measure

    predictor = options.headed(load(model, threads=threads, workers=workers), head)
    decoding = generation.decoding_of(predictor, given)
    columns = {name: given[name] for name in options.COLUMNS}
    asked = {**columns, **decoding, "out_of_scope": out_of_scope}
    if errors is not None:
        check_errors_path(errors, overwrite=overwrite)
    if figures is not None:
        check_matplotlib()
    with display.busy(f"Measuring on {data}"):
        if errors is None and figures is None:
            result = measure.evaluate(predictor, data, **asked)
        else:
            found = diagnose(predictor, data, **asked)
            result = found.metrics
            if figures is not None:
                found.write_figures(figures)
            if errors is not None:
                count = found.write_errors(errors, overwrite=overwrite)
                display.note(f"Wrote {count:,} wrong rows to {errors}.")
    cut = result.get("truncated", 0)
    if cut:
        display.note(f"{cut:,} of {result['rows']:,} rows of {data} {longer(predictor)}.")
    if warning := unknown_warning(result, str(data)):
        display.note(warning)
    for note in not_defined(result.get("undefined", {})):
        display.note(f"{data}: {note}")
    if as_json:
        about = {
            "model": str(model), "data": str(data), "task": predictor.task_name,
            "precision": predictor.precision, "max_length": predictor.max_length,
            "truncated": cut, **decoding,
        }  # fmt: skip
        display.say_json({**about, **result})
    else:
        print_metrics(result, per_class)


def print_metrics(result: dict[str, Any], per_class: bool, title: str | None = None) -> None:
    """Prints the metrics of a model, and those of each of several tasks."""
    from keras_transformer.cli import display
    from keras_transformer.zoo.tasks.multi_task.multi_task import BY_TASK

    by_task = result.get(BY_TASK, {})
    classes = result.get("per_class") or result.get("per_label") or {}
    averaged = {f"{average}_{name}" for average in ("macro", "micro") for name in AVERAGED}
    rows = [
        (display.words(name), value)
        for name, value in result.items()
        if name not in ("per_class", "per_label", "truncated", "undefined", BY_TASK, *averaged)
    ]
    display.table(title, ("Metric", "Value"), rows)
    for name, one in by_task.items():
        display.say()
        print_metrics(one, per_class, name)
    if not classes:
        return
    averages = [
        (average, *(result[f"{average}_{name}"] for name in AVERAGED))
        for average in ("macro", "micro") if f"{average}_f1" in result
    ]  # fmt: skip
    if averages:
        display.say()
        display.table(None, ("Average", "Precision", "Recall", "F1"), averages)
    rows = [(label, *values.values()) for label, values in classes.items()]
    title, whose = None, "classes" if "per_class" in result else "labels"
    if len(rows) > MAX_CLASSES and not per_class:
        title = (
            f"The {MAX_CLASSES} of {len(rows)} {whose} with the lowest F1; "
            "--per-class shows all."
        )
        # A class without F1 has none that is low.
        rows = sorted(rows, key=lambda row: math.inf if row[3] is None else row[3])[:MAX_CLASSES]
    display.say()
    heads = [display.words(name).capitalize() for name in next(iter(classes.values()))]
    kind = "Class" if "per_class" in result else "Label"
    display.table(title, (kind, *heads), rows)
