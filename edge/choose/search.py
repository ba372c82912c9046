"""Search for the best file: every candidate is converted, evaluated and timed with the others."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_transformer.edge.choose.bench import CHECKPOINTS, Bench
from keras_transformer.edge.choose.candidates import REFERENCE, Candidate, ladder
from keras_transformer.edge.choose.search_result import Measured, Search
from keras_transformer.edge.compare.benchmark import benchmark
from keras_transformer.edge.convert.convert import checked_lengths
from keras_transformer.zoo.backends import needs_backend
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.evaluation.metric import check_max_drop
from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
from keras_transformer.zoo.progress import Report, default_report
from keras_transformer.zoo.recipe.training_data import data_digest, is_path, rows_digest
from keras_transformer.zoo.storage.beside import check_writable, remove, resolved, target
from keras_transformer.zoo.storage.files import weights_digest, write_file
from keras_transformer.zoo.storage.locks import clear_abandoned
from keras_transformer.zoo.training.run_folder import one_run

RESULTS = "results.json"


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
    trials: Callable[[Sequence[Candidate]], Iterable[Measured]] | None = None,
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
        trials: function that measures candidates elsewhere, in any order; by default they are
            measured here, one after the other. See `bench.Bench`.
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
    if checkpoint.is_quantized:
        raise InputError("Expected a float checkpoint to search from, got a quantized one.")
    for candidate in candidates:
        if candidate.length:
            checked_lengths(checkpoint, [candidate.length])
    bench = Bench(
        checkpoint, data, out, columns=columns, decoding=decoding, train=train,
        validation=validation, resume=resume, overwrite=overwrite, report=report,
    )  # fmt: skip
    if any(candidate.needs_data for candidate in candidates):
        bench.workshop.check_data()
    examples = bench.examples
    run = {
        "weights": weights_digest(checkpoint.model.weights),
        "data": _digest(data if is_path(data) else examples),
        "columns": dict(bench.columns), "decoding": decoding,
        **{name: _named(source) for name, source in bench.workshop.data.items()},
    }  # fmt: skip
    for note in checkpoint.task.notes(checkpoint.task.metric, examples):
        report.note(note)
    found = Search(run=run, data=str(examples.path), metric=bench.metric, max_drop=max_drop)
    done = _begin(out, found, resume=resume, overwrite=overwrite)

    def say(candidate: Candidate) -> None:
        number = candidates.index(candidate) + 1
        report.note(f"{candidate.name}, {number} of {len(candidates)}.")

    def in_turn(wanted: Sequence[Candidate]) -> Iterator[Measured]:
        for candidate in wanted:
            say(candidate)
            yield bench.measure(candidate)

    for row in (trials or in_turn)([one for one in candidates if one not in done]):
        if trials is not None:
            say(row.candidate)
        if row.name == REFERENCE and row.error is not None:
            raise RunError(
                f"The {REFERENCE} file, which the others are held against, failed: {row.error}"
            )
        done[row.candidate] = row
        # Results of an earlier run with other candidates stay in the file until the end.
        _write(out, dataclasses.replace(found, rows=_in_order(done, candidates)))
    rows = [done[candidate] for candidate in candidates]
    found = _timed(dataclasses.replace(found, rows=rows), out, threads, runs)
    _write(out, found)
    return found


def _in_order(
    done: Mapping[Candidate, Measured], candidates: Sequence[Candidate]
) -> list[Measured]:
    """The measurements in the order of the candidates, and then those of others."""
    ours = [done[one] for one in candidates if one in done]
    return [*ours, *(row for one, row in done.items() if one not in candidates)]


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
            remove(out / CHECKPOINTS)
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
