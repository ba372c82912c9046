"""The whole way on dates: from what people write in many locales to ISO 8601, on the device."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from keras_transformer.edge.convert.convert import convert
from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.quantize.qat import quantize
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.data.pairs import SentencePairs, load_pairs
from keras_transformer.zoo.files import check_absent, write_file
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.samples.dates import write_date_tables
from keras_transformer.zoo.tasks.registry import TASKS
from keras_transformer.zoo.training.train import train

PRECISIONS = ("float32", "int8")
# A short date is read by one encoder pass; the file takes the shorter length where it fits.
LENGTHS = (24, 48)
TEXTS = (
    "en_US: July 20, 1969", "en_GB: 20/07/1969", "de: Sonntag, 20. Juli 1969",
    "ja: 1969年7月20日", "pt_BR: 20 de julho de 1969",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class DateRow:
    """One line of the table.

    Attributes:
        name: of the precision or the model.
        exact_match: share of test dates that are understood.
        worst: the locale with the lowest share, and that share.
        agreement: share of test rows with the text of the Keras model that the file was made
            from; None where there is no file.
        size: bytes of the file, or None.
    """

    name: str
    exact_match: float
    worst: tuple[str, float]
    agreement: float | None = None
    size: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class DateQuickstart:
    """What a run gave.

    Attributes:
        rows: the table.
        predictions: of `TEXTS` by the int8 file.
        app_file: the int8 file.
        test_rows: size of the test split.
    """

    rows: Sequence[DateRow]
    predictions: Sequence[tuple[str, str]]
    app_file: Path
    test_rows: int


def date_recipe(data: Path, seed: int) -> Recipe:
    """The run on the embedded data: a small encoder-decoder over characters."""
    return Recipe.of_task(
        TASKS["translation"], model="transformer_tiny", source="text", target="iso",
        settings={"num_layers": 2, "dropout": 0.0, "pre_norm": True}, tokenizer="characters",
        train=str(data / "train.tsv"), validation=str(data / "validation.tsv"),
        max_length=48, epochs=5, batch_tokens=2048, learning_rate=2e-3, schedule="cosine",
        beta_2=0.98, label_smoothing=0.0, seed=seed,
    )  # fmt: skip


def date_quickstart(
    out: str | Path, *, seed: int = 0, overwrite: bool = False, report: Report | None = None
) -> DateQuickstart:
    """Runs the sequence-to-sequence job and leaves its data, checkpoints and files in a folder.

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
    paths = write_date_tables(out / "data", seed=seed, overwrite=overwrite)
    options = {"overwrite": overwrite, "report": report}
    checkpoint = train(date_recipe(out / "data", seed), out / "float", **options)
    quantized = quantize(checkpoint, out=out / "int8", epochs=1, **options)
    test = load_pairs(paths["test"], source="text", target="iso")
    rows, files = [], {}
    for precision in PRECISIONS:
        source = quantized if get_precision(precision).is_static else checkpoint
        expected = [one.text for one in source.generator().generate(test.sources)]
        name = "Keras, int8 QAT" if source is quantized else "Keras"
        rows.append(_row(name, expected, test))
        files[precision] = out / f"dates-{precision}.tflite"
        data = convert(source, precision, lengths=LENGTHS).data
        write_file(files[precision], data, overwrite=overwrite)
        texts = Runner(files[precision]).generate(test.sources)
        same = sum(a == b for a, b in zip(texts, expected, strict=True)) / len(texts)
        rows.append(
            _row(f"{precision}.tflite", texts, test, agreement=same, size=len(data))
        )
    written = Runner(files["int8"]).generate(TEXTS)
    return DateQuickstart(
        rows=rows, predictions=list(zip(TEXTS, written, strict=True)), app_file=files["int8"],
        test_rows=len(test.sources),
    )  # fmt: skip


def _row(name: str, texts: Sequence[str], test: SentencePairs, **columns) -> DateRow:
    hits: dict[str, list[bool]] = {}
    for source, target, text in zip(test.sources, test.targets, texts, strict=True):
        hits.setdefault(source.partition(":")[0], []).append(text == target)
    shares = {locale: sum(values) / len(values) for locale, values in hits.items()}
    worst = min(shares, key=shares.get)
    found = sum(map(sum, hits.values())) / len(texts)
    return DateRow(name=name, exact_match=found, worst=(worst, shares[worst]), **columns)
