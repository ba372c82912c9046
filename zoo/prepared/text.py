"""Plain text of any size, whose lines are written to files once and mapped."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from keras_transformer.zoo.data.plain_text import MappedText
from keras_transformer.zoo.data.text_files import decoded_blocks, plain_lines
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.prepared.store import Store, size_of
from keras_transformer.zoo.prepared.writers import TextsWriter, read_column
from keras_transformer.zoo.recipe.training_data import file_digest


def prepared_text(store: Store, path: Path | str, files: Sequence[Path]) -> MappedText:
    """Returns the text of files, whose lines are prepared unless that was done before.

    Raises:
        FileNotFoundError, InputError: see `load_plain_text`.
    """
    size = max(1, size_of(files))

    def write(folder: Path) -> None:
        is_blank, done = True, 0
        with contextlib.closing(TextsWriter(folder, "lines")) as writer:
            for place, file in enumerate(files):
                for block in decoded_blocks(file):
                    text = plain_lines(block)
                    is_blank = is_blank and not text.strip()
                    done += len(text)
                    store.told(path, min(done, size - 1), size)
                    if not text:
                        continue
                    lines = text.split("\n")
                    ended = [f"{line}\n" for line in lines[:-1]]
                    is_last = place == len(files) - 1
                    last = [lines[-1] + ("" if is_last else "\n")] if lines[-1] else []
                    writer.add([*ended, *last])
        store.told(path, size, size)
        if is_blank:
            raise InputError(f"{path}: expected text, the file is empty.")

    key = [[file_digest(file), file.suffix == ".gz"] for file in files]
    folder, _ = store.entry("text", key, write)
    return MappedText(read_column(folder, "lines", folder.name), path)
