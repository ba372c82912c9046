"""The quickstart: data, baseline, training, quantization, files, and a table of measurements."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from keras_transformer.edge.compare.benchmark import device_name
from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.quantize.qat import quantize
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.backends import needs_backend
from keras_transformer.zoo.data.pairs import SentencePairs, load_pairs
from keras_transformer.zoo.predictor import Predictor
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.storage.beside import resolved
from keras_transformer.zoo.storage.files import check_absent, write_file
from keras_transformer.zoo.training.run_folder import one_run
from keras_transformer.zoo.training.train_recipe import train_recipe

NUM_TIMED, NUM_WARM_UP = 100, 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Baseline:
    """A way to solve the task without a Transformer.

    Attributes:
        name: name in the table.
        answer: function from training rows and test texts to an answer, or None, for each text.
    """

    name: str
    answer: Callable[[SentencePairs, Sequence[str]], Sequence[str | None]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One task of the quickstart.

    Attributes:
        name: stem of the files' names.
        title: heading of the table.
        columns: columns of the text and of its target in the data.
        write_data: writes the splits to a folder and returns their paths.
        recipe: returns the training run on a folder's data.
        qat_epochs: epochs of quantization-aware training.
        precisions: precisions of the files.
        lengths: input lengths of the files; None for the recipe's own.
        baselines: baselines that the model is compared with.
        metrics: function from test rows and answers to shares between 0 and 1, by name.
        texts: sample texts for the int8 file.
    """

    name: str
    title: str
    columns: tuple[str, str]
    write_data: Callable[..., Mapping[str, Path]]
    recipe: Callable[[Path, int], Recipe]
    qat_epochs: int
    precisions: Sequence[str]
    lengths: Sequence[int] | None = None
    baselines: Sequence[Baseline]
    metrics: Callable[[SentencePairs, Sequence[str | None]], dict[str, float]]
    texts: Sequence[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        name: baseline, Keras model or file.
        metrics: metrics on the whole test split.
        agreement: share of test rows with the answer of the Keras model that the file was made
            from; None if there is no file.
        size: size of the file in bytes, or None.
        median_ms: median latency of one text on one thread, or None.
    """

    name: str
    metrics: Mapping[str, float]
    agreement: float | None = None
    size: int | None = None
    median_ms: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quickstart:
    """Results of a run.

    Attributes:
        title: heading of the table.
        rows: the table.
        samples: the job's sample texts with the answers of the int8 file.
        folder: where everything is: `data`, the checkpoints `float` and `int8`, the files.
        app_file: the int8 file.
        test_rows: size of the test split.
        device: processor on which the latency was measured.
    """

    title: str
    rows: Sequence[Row]
    samples: Sequence[tuple[str, str]]
    folder: Path
    app_file: Path
    test_rows: int
    device: str


@needs_backend("quickstart")
@one_run
def quickstart(
    job: Job,
    out: str | Path,
    *,
    seed: int = 0,
    overwrite: bool = False,
    report: Report | None = None,
) -> Quickstart:
    """Runs a job from its data to measured files, all of it in one folder.

    Args:
        job: the task.
        out: the folder.
        seed: seed of the data's split and of training.
        overwrite: whether to replace an earlier run.
        report: receives progress callbacks.

    Raises:
        InputError: if Babel is not installed.
        FileExistsError: if the folder holds an earlier run.
    """
    out, report = resolved(out), report or Report()
    check_absent(out, overwrite=overwrite)
    paths = job.write_data(out / "data", seed=seed, overwrite=overwrite)
    text, target = job.columns
    known, test = (
        load_pairs(paths[split], source=text, target=target) for split in ("train", "test")
    )
    options = {"overwrite": overwrite, "report": report}
    # The job has a baseline of its own.
    floats = train_recipe(
        job.recipe(out / "data", seed), out / "float", baseline=False, **options
    )  # fmt: skip
    integers = quantize(floats, out=out / "int8", epochs=job.qat_epochs, **options)
    models = {"Keras": floats, "Keras, int8 QAT": integers}

    found = {one.name: one.answer(known, test.sources) for one in job.baselines}
    rows = [Row(name=name, metrics=job.metrics(test, texts)) for name, texts in found.items()]
    for name, model in models.items():
        found[name] = answers(model, test.sources)
        rows.append(Row(name=name, metrics=job.metrics(test, found[name])))
    runners, origins = {}, {}
    for precision in job.precisions:
        origin = "Keras, int8 QAT" if get_precision(precision).is_static else "Keras"
        path = out / f"{job.name}-{precision}.tflite"
        data = bytes(convert(models[origin], precision, lengths=job.lengths))
        write_file(path, data, overwrite=overwrite)
        runners[path], origins[path] = Runner(path), origin
    medians = latencies(list(runners.values()), test.sources[:: len(test.sources) // NUM_TIMED + 1])
    for (path, runner), median_ms in zip(runners.items(), medians, strict=True):
        texts, expected = answers(runner, test.sources), found[origins[path]]
        same = sum(map(str.__eq__, texts, expected)) / len(texts)
        rows.append(
            Row(
                name=path.name.removeprefix(f"{job.name}-"), metrics=job.metrics(test, texts),
                agreement=same, size=path.stat().st_size, median_ms=median_ms,
            )
        )  # fmt: skip
    app_file = out / f"{job.name}-int8.tflite"
    samples = zip(job.texts, answers(runners[app_file], job.texts), strict=True)
    return Quickstart(
        title=job.title, rows=rows, samples=list(samples), folder=out, app_file=app_file,
        test_rows=len(test.sources), device=device_name(),
    )  # fmt: skip


def answers(predictor: Predictor, texts: Sequence[str]) -> list[str]:
    """Returns the generated text, or else the most probable label, for each text."""
    if predictor.generates:
        return predictor.generate(texts)
    return [prediction.label for prediction in predictor.predict(texts)]


def latencies(runners: Sequence[Runner], texts: Sequence[str]) -> list[float]:
    """Measures files text by text in turns, from text to answer.

    Args:
        runners: the files.
        texts: texts to answer, each one alone.

    Returns:
        The median in milliseconds of each file.
    """
    milliseconds: list[list[float]] = [[] for _ in runners]
    for text in [*texts[:NUM_WARM_UP], *texts]:
        for runner, values in zip(runners, milliseconds, strict=True):
            start = time.perf_counter_ns()
            answers(runner, [text])
            values.append((time.perf_counter_ns() - start) / 1e6)
    return [statistics.median(values[NUM_WARM_UP:]) for values in milliseconds]
