"""Where a run writes: its lock, the states to resume from beside it, and its end."""

import contextlib
import contextvars
import dataclasses
import functools
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.distributed.devices import is_writer, meet
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.prepared.context import prepared_in
from keras_transformer.zoo.prepared.store import is_entry
from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.storage.beside import (
    check_writable,
    new_beside,
    remove,
    remove_empty,
    target,
)
from keras_transformer.zoo.storage.files import check_folder_target, read_folder
from keras_transformer.zoo.storage.locks import clear_abandoned, only_run
from keras_transformer.zoo.tasks.run_data import RunData
from keras_transformer.zoo.training.adaptation.adapter import Adapter

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# In the metrics of a checkpoint, the validation metrics of the one that the run went on from.
ORIGINS = ("float", "unpruned", "teacher")
# Folder of prepared data among the states of a run.
_DATA = "data"


class FinishedRun(Exception):
    """A run that is resumed has written its checkpoint already; `one_run` returns that."""

    def __init__(self, checkpoint: Checkpoint):
        super().__init__()
        self.checkpoint = checkpoint


def one_run(run: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Decorates what writes to its argument `out`, so that only one does at a time.

    The decorated function raises FileExistsError where another process is at it.
    """
    signature = inspect.signature(run)

    @functools.wraps(run)
    def alone(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        out = signature.bind(*args, **kwargs).arguments.get("out")
        if out is None:
            return run(*args, **kwargs)
        with only_run(out) if is_writer() else contextlib.nullcontext():
            try:
                return run(*args, **kwargs)
            except FinishedRun as finished:
                return finished.checkpoint

    return alone


class Prepared(Exception):
    """A run within `only_preparing` has prepared its data, and ends.

    Attributes:
        data: the data.
    """

    def __init__(self, data: RunData):
        super().__init__()
        self.data = data


_is_only_preparing = contextvars.ContextVar("is_only_preparing", default=False)


@contextlib.contextmanager
def only_preparing() -> Iterator[None]:
    """Makes runs end with `Prepared` where their training would begin."""
    token = _is_only_preparing.set(True)
    try:
        yield
    finally:
        _is_only_preparing.reset(token)


def is_only_preparing() -> bool:
    """Whether runs end where their training would begin."""
    return _is_only_preparing.get()


def check_prepared_target(folder: Path) -> None:
    """Checks that a folder may hold prepared data.

    Raises:
        FileExistsError: it is a file, or holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; give the name of a folder.")
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    foreign = sorted(name for name in names if not is_entry(name))
    if foreign:
        raise FileExistsError(
            f"{folder} holds {foreign[0]!r}, which is no prepared data; choose another path."
        )


def preparing(run: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Decorates what reads training data, so that large ones are prepared in a folder.

    That is `OUT.training/data`, which is there until the run ends; without `out` it is a temporary
    one. Where there is an argument `prepared`, it is that folder, which has to hold all data,
    unless `only_preparing` writes them there.
    """
    signature = inspect.signature(run)

    @functools.wraps(run)
    def reading(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        given = signature.bind(*args, **kwargs).arguments
        out, folder = given.get("out"), given.get("prepared")
        told = (given.get("report") or Report()).reading
        if folder is not None:
            missing = "make" if is_only_preparing() else "refuse"
            if missing == "refuse" and not Path(folder).is_dir():
                raise FileNotFoundError(f"There is no folder {folder} of prepared data.")
            prepares = prepared_in(Path(folder), 0, missing=missing, told=told)
        else:
            folder = None if out is None else states_of(out) / _DATA
            prepares = prepared_in(folder, missing="make" if is_writer() else "wait", told=told)
        with prepares:
            return run(*args, **kwargs)

    return reading


def states_of(out: str | Path) -> Path:
    """Returns the folder in which an unfinished run of `out` keeps its states."""
    out = target(out)
    return out.with_name(f"{out.name}.training")


def check_run_target(out: str | Path, *, resume: bool, overwrite: bool) -> None:
    """Checks that a run may write its checkpoint and its states, before anything is read.

    Raises:
        FileExistsError: `out` exists and may not be replaced, and there is nothing to resume.
        InputError, OSError: see `files.check_folder_target`.
    """
    # That of a run that is resumed may be its own, see `stop_if_finished`.
    check_folder_target(out, overwrite=overwrite or resume)
    check_writable(states_of(out))


def working_folder(out: str | Path | None, *, resume: bool, overwrite: bool) -> Path | None:
    """Returns `OUT.training`, once it is clear that the run may begin; None without a folder.

    Raises:
        InputError: a run is to be resumed or replaced that has no folder.
        FileExistsError: `out` may not be replaced, or an unfinished run is in the way.
        OSError: a path cannot be written.
    """
    if out is None:
        if resume or overwrite:
            raise InputError("Expected a folder to resume or overwrite, got out=None.")
        return None
    folder = states_of(out)
    if is_writer():
        check_run_target(out, resume=resume, overwrite=overwrite)
        _make_ready(folder, resume=resume, overwrite=overwrite)
    meet("folder")
    return folder


def _make_ready(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Clears a folder of states, unless the run goes on from them."""
    clear_abandoned(folder)
    if not folder.exists():
        return
    # The folder is removed when the run ends, so nobody's files may be in it.
    foreign = sorted(entry.name for entry in folder.iterdir() if not _is_state(entry.name))
    if foreign:
        raise FileExistsError(
            f"{folder} holds {foreign[0]!r}, which is no state of a run; choose another path."
        )
    if not _holds_state(folder):
        # All that was killed before it had one.
        _remove_all_but_data(folder)
    elif not resume:
        if not overwrite:
            raise FileExistsError(
                f"{folder} holds an unfinished run; go on with --resume, "
                "or discard it with --overwrite."
            )
        _remove_all_but_data(folder)


def _remove_all_but_data(folder: Path) -> None:
    """Discards a run; its prepared data have names that say what they are made of."""
    for entry in sorted(folder.iterdir(), reverse=True):
        if entry.name != _DATA:
            remove(entry)
    remove_empty([folder])


def stop_if_finished(
    recipe: Recipe, out: str | Path | None, folder: Path | None, rows: Mapping[str, Rows], *,
    resume: bool, overwrite: bool, report: Report, origin: Checkpoint | None = None,
) -> None:  # fmt: skip
    """Ends a run that is resumed and was killed after it had written its checkpoint.

    Args:
        recipe: of the run, with the digest of its data.
        out, folder: see `working_folder`.
        rows: see `Checkpoint`.
        resume, overwrite, report: see `train.train`.
        origin: what the run goes on from.

    Raises:
        FinishedRun: `out` is of this run; what was left of its states is gone.
        FileExistsError: it is of another, and may not be replaced.
    """
    if not resume or not Path(out).exists() or (overwrite and _holds_state(folder)):
        return
    if _is_of_run(out, recipe, origin):
        meet("end")
        remove_states(folder)
        report.ended(out)
        raise FinishedRun(dataclasses.replace(as_checkpoint(out), rows=rows))
    if not overwrite:
        raise FileExistsError(
            f"{out} exists and is not of the run that is to be resumed; choose another path or "
            "give --overwrite."
        )


def save_run(
    checkpoint: Checkpoint, out: str | Path | None, folder: Path | None, *, overwrite: bool,
    adapter: Adapter | None = None,
) -> None:  # fmt: skip
    """Writes the checkpoint of a run that ended, and removes its states, if it has a folder.

    Args:
        checkpoint: of the run.
        out, folder: see `working_folder`.
        overwrite: see `Checkpoint.save`.
        adapter: see `Checkpoint.save`.
    """
    if out is None:
        return
    if not is_writer():
        # Whose parts of the weights the first process gathers.
        get_weights(checkpoint.model)
        return
    checkpoint.save(out, overwrite=overwrite, adapter=adapter)
    remove_states(folder)


def remove_states(folder: Path) -> None:
    """Removes the folder of a run that ended, whole or not at all."""
    if not is_writer():
        return
    if folder.exists():
        doomed = new_beside(folder, "partial")
        folder.rename(doomed)
        remove(doomed)
    clear_abandoned(folder)


def _holds_state(folder: Path) -> bool:
    # A writer that was killed between its renames leaves the state at the side.
    return any(folder.glob("state")) or any(folder.glob(".state.*old"))


def _is_state(name: str) -> bool:
    """Whether a run keeps an entry of that name in its folder."""
    return name.removeprefix(".").partition(".")[0] in ("state", "best", _DATA)


def _is_of_run(out: str | Path, recipe: Recipe, origin: Checkpoint | None) -> bool:
    files = read_folder(out)
    if files["recipe.json"] != recipe.to_json().encode():
        return False
    measured = (origin.metrics if origin is not None else {}).get("validation")
    metrics = json.loads(files["metrics.json"])
    found = [metrics[name] for name in ORIGINS if name in metrics]
    return not found or _same(measured, found[0])


def _same(one: Any, other: Any) -> bool:
    """Whether values are equal as JSON has them, where a NaN equals itself."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
