"""Files of images and sounds, as texts that are encoded where they lie."""

import hashlib
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.zoo.columns.texts import Texts
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.prepared.encode import PART, are_prepared
from keras_transformer.zoo.prepared.store import Store

# Bytes of samples in a byte of a sound's file, about, where the model has no fixed size.
_TIMES = 2
# Bytes of decoded rows that a process hands over at a time.
_PART_BYTES = 1 << 24


def prepared_columns(
    store: Store, modality: Modality, rows: Sequence[Any], pairs: Sequence[Any] | None
) -> tuple[list[Texts], int] | None:
    """Returns rows as columns for `encoded`, and how many are to be encoded at a time.

    None where they are no files and not those of prepared tables, or small enough for the memory
    when they are encoded.

    Args:
        store: where they would be prepared.
        modality: modality of the rows.
        rows: raw rows.
        pairs: second rows, or None.
    """
    columns = [rows] if pairs is None else [rows, pairs]
    if modality.is_text:
        return (columns, PART) if are_prepared(columns) else None
    if pairs is not None or not rows or not all(isinstance(row, str | Path) for row in rows):
        return None
    found = [os.stat(row) for row in rows]
    [spec] = modality.inputs()
    if spec.is_variable:
        size = _TIMES * sum(one.st_size for one in found)
    else:
        size = len(rows) * np.dtype(spec.dtype).itemsize * math.prod(spec.shape)
    if size < store.least:
        return None
    paths = [os.path.abspath(row) for row in rows]
    # A file that was changed has another time or size.
    times = [(path, one.st_size, one.st_mtime_ns) for path, one in zip(paths, found, strict=True)]
    key = f"files {hashlib.sha256(repr(times).encode()).hexdigest()}"
    return [Texts.of(paths, key)], max(1, _PART_BYTES * len(rows) // size)
