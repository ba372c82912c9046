"""Preparing of what is large while a run reads its data."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from keras_transformer.zoo.columns.remote import RemoteFile, keeping
from keras_transformer.zoo.data.plain_text import MappedText, read_large_text
from keras_transformer.zoo.data.sources import read_large
from keras_transformer.zoo.data.tables import Table
from keras_transformer.zoo.prepared.store import LARGE, Store, size_of
from keras_transformer.zoo.prepared.table import prepared_table
from keras_transformer.zoo.prepared.text import prepared_text
from keras_transformer.zoo.storage.temporary import temporary_folder

_current: contextvars.ContextVar[Store | None] = contextvars.ContextVar("store", default=None)


def current_store() -> Store | None:
    """Returns where data are prepared; None where they are held in the memory."""
    return _current.get()


@contextlib.contextmanager
def prepared_in(
    folder: Path | None, least: int = LARGE, *, missing: str = "make",
    told: Callable[[Path | str, int, int], None] | None = None,
) -> Iterator[None]:  # fmt: skip
    """Prepares tables of many rows in a folder meanwhile, and keeps there what is fetched.

    Args:
        folder: folder; None for one of this process that is removed at the end.
        least, missing, told: see `Store`.
    """
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder, missing = stack.enter_context(temporary_folder()), "make"
        store = Store(folder, least, missing=missing, told=told)

        def read(
            source: str | Path, files: Sequence[Path], texts: Sequence[str], others: Sequence[str]
        ) -> Table | None:
            if size_of(files) < store.least:
                return None
            return prepared_table(store, source, files, texts, others)

        def read_text(source: str | Path, files: Sequence[Path]) -> MappedText | None:
            return None if size_of(files) < store.least else prepared_text(store, source, files)

        def keep(file: RemoteFile) -> Path:
            folder, _ = store.entry(
                "file", file.key, lambda at: file.fetch(at / file.name, store.told)
            )
            return folder / file.name

        tokens = [
            (_current, _current.set(store)), (read_large, read_large.set(read)),
            (keeping, keeping.set(keeping.get() or keep)),
            (read_large_text, read_large_text.set(read_text)),
        ]  # fmt: skip
        try:
            yield
        finally:
            for variable, token in tokens:
                variable.reset(token)
