"""Tensors of published weights, read one by one: safetensors, whole or in shards, and `.bin`."""

import dataclasses
import importlib.util
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained.vocabularies.files import read_json

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED, PICKLED_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
# Types of numbers that are weights, and of buffers that are never read.
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": ml_dtypes.bfloat16}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor in a file.

    Attributes:
        file: safetensors file.
        dtype: type of its numbers, as the file names it.
        shape: shape.
        begin: place of its first byte in the file.
    """

    file: Path
    dtype: str
    shape: tuple[int, ...]
    begin: int

    def read(self, begin: int = 0, end: int | None = None) -> np.ndarray:
        """Returns the array, or some of its rows, as float32.

        Raises:
            InputError: if these are no floating-point numbers.
        """
        self._check_type()
        dtype = np.dtype(_FLOATS[self.dtype])
        rows = slice(begin, end).indices(self.shape[0]) if self.shape else (0, 1, 1)
        inner = int(np.prod(self.shape[1:], dtype=np.int64))
        count = (rows[1] - rows[0]) * inner
        values = np.empty(count, dtype)
        with open(self.file, "rb") as file:
            file.seek(self.begin + rows[0] * inner * dtype.itemsize)
            if file.readinto(values.view(np.uint8)) != values.nbytes:
                raise InputError(f"Expected {self.file} to be whole, got a shorter file.")
        shape = (rows[1] - rows[0], *self.shape[1:]) if self.shape else ()
        return values.astype(np.float32, copy=False).reshape(shape)


    def take(self, rows: np.ndarray) -> np.ndarray:
        """Returns rows in any order as float32, without reading the others."""
        self._check_type()
        mapped = np.memmap(
            self.file, np.dtype(_FLOATS[self.dtype]), "r", offset=self.begin, shape=self.shape
        )
        return mapped[rows].astype(np.float32)

    def _check_type(self) -> None:
        if self.dtype not in _FLOATS:
            raise InputError(
                f"Expected weights in {', '.join(_FLOATS)}, got {self.dtype} in {self.file}."
            )


class PickledTensor:
    """A tensor that PyTorch loaded."""

    def __init__(self, value: Any, file: Path):
        self._value, self._file = value, file
        self.shape = tuple(value.shape)

    def read(self, begin: int = 0, end: int | None = None) -> np.ndarray:
        """Returns the array, or some of its rows, as float32.

        Raises:
            InputError: if these are no floating-point numbers.
        """
        self._check_type()
        value = self._value[begin:end] if self.shape else self._value
        return value.detach().float().numpy()

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Returns rows in any order as float32."""
        self._check_type()
        return self._value.detach()[rows].float().numpy()

    def _check_type(self) -> None:
        if not self._value.is_floating_point():
            raise InputError(
                f"Expected weights of floating-point numbers, got {self._value.dtype} in "
                f"{self._file}."
            )


class Tensors(Mapping[str, Tensor | PickledTensor]):
    """The tensors of a published model by name.

    Args:
        tensors: tensors by name.
        files: files that hold them, for provenance and messages.
    """

    def __init__(self, tensors: Mapping[str, Tensor | PickledTensor], files: list[Path]):
        self._tensors = tensors
        self.files = files

    def __getitem__(self, name: str) -> Tensor | PickledTensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    @property
    def source(self) -> str:
        """The file or folder, for messages."""
        return str(self.files[0] if len(self.files) == 1 else self.files[0].parent)

    @property
    def size(self) -> int:
        """Number of numbers in all tensors."""
        return sum(int(np.prod(one.shape, dtype=np.int64)) for one in self._tensors.values())


def open_tensors(folder: Path, file: Path | None = None) -> Tensors:
    """Opens the weights of a published folder, of which nothing is read yet.

    Args:
        folder: folder of the model.
        file: its weights, if they have another name than the usual one.

    Raises:
        InputError: if there are none, a file is damaged, or only PyTorch can read it and is not
            installed.
    """
    if file is not None or (folder / WEIGHTS).is_file():
        file = file or folder / WEIGHTS
        return Tensors(_read_header(file), [file])
    if (folder / INDEX).is_file():
        return _open_shards(folder, folder / INDEX)
    if (folder / PICKLED).is_file():
        return _unpickled(folder / PICKLED)
    if (folder / PICKLED_INDEX).is_file():
        raise InputError(
            f"Expected {WEIGHTS} or one {PICKLED} in {folder}, got {PICKLED} in shards; convert it "
            "with transformers' save_pretrained."
        )
    raise InputError(f"Expected {WEIGHTS}, {INDEX} or {PICKLED} in {folder}, got none.")


def _open_shards(folder: Path, index: Path) -> Tensors:
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not names or not all(
        isinstance(one, str) for one in names.values()
    ):  # fmt: skip
        raise InputError(f"Expected {index} to name the file of each weight, got no weight_map.")
    tensors: dict[str, Tensor | PickledTensor] = {}
    files = []
    for shard in sorted(set(names.values())):
        if Path(shard).name != shard or not (folder / shard).is_file():
            raise InputError(f"Expected the file {shard!r} of {index} beside it, got none.")
        files.append(folder / shard)
        tensors |= _read_header(folder / shard)
    for name in names:
        if name not in tensors:
            raise InputError(f"Expected {name} of {index} in {names[name]}, got no such weight.")
    return Tensors(tensors, files)


def _read_header(path: Path) -> dict[str, Tensor]:
    """Reads where the tensors of a safetensors file are, after the library has checked that."""
    try:
        # Sizes, places without gaps, types and the file's length.
        with safetensors.safe_open(path, framework="np"):
            pass
    except (safetensors.SafetensorError, OSError, OverflowError) as error:
        raise InputError(
            f"Expected {path} to be a whole safetensors file, got an error: {error}."
        ) from None
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return {
        name: Tensor(
            file=path, dtype=one["dtype"], shape=tuple(one["shape"]),
            begin=8 + length + one["data_offsets"][0],
        )
        for name, one in header.items()
    }  # fmt: skip


def _unpickled(path: Path) -> Tensors:
    """Reads a file of PyTorch without running code of it."""
    if importlib.util.find_spec("torch") is None:
        raise InputError(
            f"Expected {WEIGHTS} in {path.parent}, got {path.name}, which only PyTorch reads; "
            "install keras-transformer-zoo[torch], or convert it to safetensors."
        )
    import torch

    try:
        # A zip file can stay on the disk.
        values = torch.load(
            path, weights_only=True, map_location="cpu", mmap=zipfile.is_zipfile(path)
        )
    except Exception as error:  # of pickle, of zip files, or PyTorch's own
        # Their messages say how to run the code in a file.
        raise InputError(
            f"Expected {path} to hold tensors alone, got other objects or a damaged file "
            f"({type(error).__name__}); convert it to safetensors where you trust it."
        ) from None
    if not isinstance(values, dict):
        raise InputError(f"Expected {path} to hold tensors by name, got {type(values).__name__}.")
    for name, value in values.items():
        if not isinstance(name, str) or not torch.is_tensor(value):
            raise InputError(
                f"Expected {path} to hold tensors by name, got {type(value).__name__} by {name!r}."
            )
        if value.layout != torch.strided or value.is_meta or value.is_quantized:
            kind = "quantized" if value.is_quantized else "meta" if value.is_meta else value.layout
            raise InputError(f"Expected {name} of {path} to be a plain tensor, got a {kind} one.")
    return Tensors({name: PickledTensor(value, path) for name, value in values.items()}, [path])
