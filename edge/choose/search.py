"""Search for the best file: every candidate is converted, evaluated and timed with the others."""

import dataclasses
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_transformer.edge.choose.candidates import REFERENCE, Candidate, Workshop, ladder
from keras_transformer.edge.choose.search_result import Measured, Search
from keras_transformer.edge.compare.benchmark import benchmark
from keras_transformer.edge.convert.convert import checked_lengths
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.backends import needs_backend
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.columns import columns_of
from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.evaluation.metric import Metric, check_max_drop
from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
from keras_transformer.zoo.progress import Report, default_report
from keras_transformer.zoo.recipe.training_data import data_digest, is_path, rows_digest
from keras_transformer.zoo.storage.beside import check_writable, resolved, target
from keras_transformer.zoo.storage.files import weights_digest, write_file
from keras_transformer.zoo.storage.locks import clear_abandoned
from keras_transformer.zoo.training.run_folder import one_run

RESULTS = "results.json"
CHECKPOINTS = "checkpoints"


@needs_backend("search")
@one_run
def search(
    checkpoint: Checkpoint | str | Path,
    data: Source | Rows,
    out: str | Path,
    *,
    columns: Mapping[str, str | None] | None = None,
    max_drop: float = 0.5,
    candidates: Sequence[Candidate] | None = None,
    train: Source | None = None,
    validation: Source | float | None = None,
    threads: int = 1,
    runs: int = 100,
    resume: bool = False,
    overwrite: bool = False,
    report: Report | None = None,
    **decoding: Any,
) -> Search:
    """Builds, evaluates and times candidates, and writes their files and `results.json`.

    `results.json` is written after each candidate, and a resumed search skips the candidates in it.
    Latencies are measured at the end, all in one run.

    Args:
        checkpoint: a float checkpoint, or its folder.
        data: data that the metric is measured on, a path or in memory; it makes the choice, so it
            should not be a test set.
        out: the output folder.
        columns: columns of the data by role; those of training by default.
        max_drop: points of the metric by which a file may be worse than the float32 file.
        candidates: candidates, the reference among them, see `candidates.ladder`; every precision
            by default.
        train, validation: data for training, see `candidates.Workshop`.
        threads, runs: options of the latency measurement, see `benchmark`.
        resume: whether to continue the search in the folder.
        overwrite: whether to discard the search in the folder.
        report: receives progress callbacks of the candidates and the training runs.
        **decoding: decoding options of a translator, see `Decoding`.

    Raises:
        FileExistsError: the folder holds a search already, or something else, or a search of it is
            under way.
        InputError: for a mistake in the arguments or the data.
        RunError: the float32 file could not be made.
    """
    out, report = resolved(out), report or default_report()
    check_writable(target(out) / RESULTS)
    candidates = ladder() if candidates is None else candidates
    check_max_drop(max_drop)
    checkpoint = as_checkpoint(checkpoint)
    columns = columns_of(checkpoint) if columns is None else columns
    if checkpoint.is_quantized:
        raise InputError("Expected a float checkpoint to search from, got a quantized one.")
    for candidate in candidates:
        if candidate.length:
            checked_lengths(checkpoint, [candidate.length])
    workshop = Workshop(
        checkpoint, out / CHECKPOINTS, train=train, validation=validation, resume=resume,
        overwrite=overwrite, report=report,
    )  # fmt: skip
    if any(candidate.needs_data for candidate in candidates):
        workshop.check_data()
    examples = checkpoint.task.examples_of(data, columns)

    def measure(predictor: Any) -> dict[str, Any]:
        return checkpoint.task.evaluate(predictor, examples, **decoding)

    run = {
        "weights": weights_digest(checkpoint.model.weights),
        "data": _digest(data if is_path(data) else examples),
        "columns": dict(columns), "decoding": decoding,
        **{name: _named(source) for name, source in workshop.data.items()},
    }  # fmt: skip
    task = checkpoint.task
    for note in task.notes(task.metric, examples):
        report.note(note)
    metric = task.defined(task.metric, examples)
    found = Search(
        run=run, data=str(examples.path), metric=metric, max_drop=max_drop,
    )  # fmt: skip
    done = _begin(out, found, resume=resume, overwrite=overwrite)
    rows: list[Measured] = []
    for number, candidate in enumerate(candidates, start=1):
        row = done.pop(candidate, None)
        if row is None:
            report.note(f"{candidate.name}, {number} of {len(candidates)}.")
            row = _measure(candidate, workshop, out, measure, found.metric)
        if candidate.name == REFERENCE and row.error is not None:
            raise RunError(
                f"The {REFERENCE} file, which the others are held against, failed: {row.error}"
            )
        rows.append(row)
        # Results of an earlier run stay in the file until their turn comes.
        _write(out, dataclasses.replace(found, rows=[*rows, *done.values()]))
    found = _timed(dataclasses.replace(found, rows=rows), out, threads, runs)
    _write(out, found)
    return found


def _measure(
    candidate: Candidate, workshop: Workshop, out: Path, measure: Callable, metric: Metric
) -> Measured:
    """Builds and evaluates a candidate's file; records the reason if that fails."""
    try:
        converted = workshop.make(candidate)
        metrics = measure(Runner(converted))
        value = metric.value(metrics)
    except (InputError, RunError) as error:
        return Measured(candidate=candidate, error=" ".join(str(error).split()))
    write_file(out / f"{candidate.name}.tflite", bytes(converted), overwrite=True)
    return Measured(
        candidate=candidate, value=value,
        metric_signature=metrics.get(f"{metric.name}_signature"),
        agreement=converted.parity.agreement, size=converted.size,
        gzip_size=len(gzip.compress(bytes(converted), mtime=0)),
    )  # fmt: skip


def _timed(found: Search, out: Path, threads: int, runs: int) -> Search:
    """Measures the latencies of all files together."""
    result = benchmark([out / row.file for row in found.files], threads=threads, runs=runs)
    by_name = {row.name: one for row, one in zip(found.files, result.files, strict=True)}
    rows = [
        dataclasses.replace(
            row, median_ms=by_name[row.name].median_ms, p90_ms=by_name[row.name].p90_ms,
            peak_memory=by_name[row.name].peak_memory,
        )
        if row.name in by_name else row
        for row in found.rows
    ]  # fmt: skip
    return dataclasses.replace(
        found, rows=rows, device=result.device, threads=threads, runs=runs,
        signature=result.files[0].signature,
    )  # fmt: skip


def _begin(out: Path, found: Search, *, resume: bool, overwrite: bool) -> dict[Candidate, Measured]:
    """Prepares the folder, and returns the measurements that a resumed search already has."""
    path, rows = out / RESULTS, []
    if path.exists():
        if not (resume or overwrite):
            raise FileExistsError(
                f"{out} holds a search; go on with --resume, or discard it with --overwrite."
            )
        earlier = _read(path)
        rows = [Measured.from_json(value) for value in earlier["candidates"]]
        if not resume:
            for row in rows:
                (out / row.file).unlink(missing_ok=True)
            rows = []
        elif earlier["run"] != json.loads(json.dumps(found.run)):
            changed = [name for name in found.run if found.run[name] != earlier["run"].get(name)]
            raise InputError(
                f"{out} holds a search with other {' and '.join(changed)}; discard it with "
                "--overwrite, or choose another path."
            )
    clear_abandoned(path)
    if not path.exists() and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} exists and holds no search; choose another path.")
    _write(out, dataclasses.replace(found, rows=rows))
    return {row.candidate: row for row in rows if row.error or (out / row.file).exists()}


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
        value["run"], value["candidates"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path} is not the result of a search.") from None
    return value


def _write(out: Path, found: Search) -> None:
    text = json.dumps(found.to_json(), indent=2, ensure_ascii=False) + "\n"
    write_file(out / RESULTS, text.encode(), overwrite=True)


def _digest(source: str | Path | Rows) -> str:
    return rows_digest(source.rows()) if isinstance(source, Rows) else data_digest(source)


def _named(source: Any) -> str | float | None:
    """The hash of a file or of rows, whatever folder a path is relative to; or a share."""
    return _digest(source) if isinstance(source, Rows) or is_path(source) else source
