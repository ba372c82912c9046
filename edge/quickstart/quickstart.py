"""The whole way on the embedded data: train, evaluate, quantize, convert, and measure each file."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_transformer.edge.choose.benchmark import benchmark
from keras_transformer.edge.convert.convert import convert
from keras_transformer.edge.quantize.qat import quantize
from keras_transformer.edge.runtime.runner import Prediction, Runner
from keras_transformer.zoo.data.tables import load_examples
from keras_transformer.zoo.evaluation.metrics import metrics
from keras_transformer.zoo.files import check_absent, write_file
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.samples.baseline import ngram_baseline
from keras_transformer.zoo.samples.languages import write_tables
from keras_transformer.zoo.tasks.registry import TASKS
from keras_transformer.zoo.training.train import train

# Few enough to train in a minute or two; most have a script of their own.
LANGUAGES = ("en", "fi", "ru", "el", "he", "ar", "hi", "ta", "th", "ka", "hy", "ja")
# Of the files; int8 is of the quantized model.
PRECISIONS = ("float32", "float16", "dynamic_int8", "int8")
# Names, as the data has them, of places that it does not hold.
TEXTS = ("Northern Lights", "Suomenlahti", "Озеро Байкал", "Θεσσαλονίκη", "ירושלים",
         "القاهرة", "東京タワー")  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        name: of the precision or the model.
        accuracy, macro_f1: on the whole test split.
        agreement: share of test rows with the label of the Keras model that the file was made
            from; None where there is no file.
        size: bytes of the file, or None.
        median_ms: median latency of one text on one thread, or None.
    """

    name: str
    accuracy: float
    macro_f1: float
    agreement: float | None = None
    size: int | None = None
    median_ms: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quickstart:
    """What a run gave.

    Attributes:
        rows: the table.
        predictions: of `TEXTS` by the int8 file.
        app_file: the int8 file.
        test_rows: size of the test split.
        device: on which the latency was measured.
    """

    rows: Sequence[Row]
    predictions: Sequence[tuple[str, Prediction]]
    app_file: Path
    test_rows: int
    device: str


def recipe(data: Path, seed: int) -> Recipe:
    """The run on the embedded data: a small encoder over word pieces of a few characters."""
    return Recipe.of_task(
        TASKS["classification"], model="bert_tiny",
        # The parts of a word matter more than its place.
        settings={"pooling": "mean", "positions": "alibi", "dropout": 0.2},
        train=str(data / "train.tsv"), validation=str(data / "validation.tsv"),
        text="text", label="label", lowercase=False, strip_accents=False, vocab_size=6000,
        max_length=32, epochs=10, learning_rate=2e-3, batch_tokens=1024, token_dropout=0.2,
        piece_dropout=0.3, label_smoothing=0.1, ema=0.99, seed=seed,
    )  # fmt: skip


def quickstart(
    out: str | Path, *, seed: int = 0, overwrite: bool = False, report: Report | None = None
) -> Quickstart:
    """Runs the main job and leaves its data, checkpoints and files in a folder.

    Args:
        out: the folder.
        seed: of the data's split and of training.
        overwrite: whether an earlier run's results are replaced.
        report: hears of the training runs.

    Raises:
        InputError: Babel is not installed.
        FileExistsError: the folder holds an earlier run.
    """
    out, report = Path(out), report or Report()
    check_absent(out, overwrite=overwrite)
    paths = write_tables(out / "data", languages=LANGUAGES, seed=seed, overwrite=overwrite)
    run = recipe(out / "data", seed)
    options = {"overwrite": overwrite, "report": report}
    checkpoint = train(run, out / "float", **options)
    quantized = quantize(checkpoint, out=out / "int8", epochs=2, **options)
    test = load_examples(
        paths["test"], text="text", label="label", task=checkpoint.task.name,
        labels=checkpoint.labels,
    )
    texts, targets = test.texts, test.targets
    train_set = load_examples(
        paths["train"], text="text", label="label", task=checkpoint.task.name,
        labels=checkpoint.labels,
    )
    baseline = ngram_baseline(
        list(zip(train_set.texts, train_set.targets, strict=True)),
        list(zip(texts, targets, strict=True)),
    )
    rows = [Row(name="n-gram baseline", accuracy=baseline["accuracy"],
                macro_f1=baseline["macro_f1"])]  # fmt: skip

    def measured(name, scores, **columns):
        result = metrics(checkpoint.task.name, checkpoint.labels, targets, scores)
        rows.append(
            Row(name=name, accuracy=result["accuracy"], macro_f1=result["macro_f1"], **columns)
        )

    keras_scores = {model: model.scores(texts) for model in (checkpoint, quantized)}
    measured("Keras", keras_scores[checkpoint])
    measured("Keras, int8 QAT", keras_scores[quantized])
    files = {}
    for name in PRECISIONS:
        source = quantized if name == "int8" else checkpoint
        files[name] = out / f"languages-{name}.tflite"
        write_file(files[name], convert(source, name).data, overwrite=overwrite)
    timings = benchmark(list(files.values()))
    for (name, path), timing in zip(files.items(), timings.files, strict=True):
        source = quantized if name == "int8" else checkpoint
        scores = Runner(path).scores(texts)
        same = np.mean(scores.argmax(1) == keras_scores[source].argmax(1))
        measured(
            f"{name}.tflite", scores, agreement=float(same), size=path.stat().st_size,
            median_ms=timing.median_ms,
        )  # fmt: skip
    predictions = Runner(files["int8"]).predict(TEXTS)
    return Quickstart(
        rows=rows, predictions=list(zip(TEXTS, predictions, strict=True)), app_file=files["int8"],
        test_rows=len(texts), device=timings.device,
    )  # fmt: skip
