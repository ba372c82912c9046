"""Whisper models of CTranslate2: `model.bin` of version 6, read as what `transformers` writes.

The file is a header and variables in a row, all little-endian: version, name and revision of the
model, number of variables; of each its name (length and text, ending in NUL), rank, sizes, type,
number of bytes and values; then further names of variables. Nothing in it is code.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained.tensors import PickledTensor, Tensor, Tensors

FILE = "model.bin"
_VERSION, _MODEL, _REVISION = 6, "WhisperSpec", 3
# Numbers of the types -> their names in safetensors, and bytes of a value.
_TYPES = {0: ("F32", 4), 1: ("I8", 1), 2: ("I16", 2), 3: ("I32", 4), 4: ("F16", 2), 5: ("BF16", 2)}
_FLOATS = ("F32", "F16", "BF16")
_MOST_RANK, _MOST_NUMBERS = 4, 1 << 40
# Settings in the file that the models here do not have, and the one value that may be there.
_ONLY = {
    "decoder/activation": 3, "decoder/alibi": 0, "decoder/pre_norm": 1,
    "decoder/scale_embeddings": 0, "decoder/start_from_zero_embedding": 0,
}  # fmt: skip
# Settings of which no output depends.
_UNREAD = ("decoder/alignment_heads", "decoder/alignment_layer")
_HEADS = {"encoder_attention_heads": "encoder/num_heads", "decoder_attention_heads":
          "decoder/num_heads"}  # fmt: skip
# Names of a block's parts: a projection's rows are those of several of `transformers`.
_PARTS = {
    "self_attention/linear_0": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "self_attention/linear_1": ("self_attn.out_proj",),
    "self_attention/layer_norm": ("self_attn_layer_norm",),
    "attention/linear_0": ("encoder_attn.q_proj",),
    "attention/linear_1": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
    "attention/linear_2": ("encoder_attn.out_proj",),
    "attention/layer_norm": ("encoder_attn_layer_norm",),
    "ffn/linear_0": ("fc1",), "ffn/linear_1": ("fc2",), "ffn/layer_norm": ("final_layer_norm",),
}  # fmt: skip
_OTHERS = {
    "decoder/embeddings/weight": "decoder.embed_tokens.weight",
    "decoder/position_encodings/encodings": "decoder.embed_positions.weight",
    "encoder/position_encodings/encodings": "encoder.embed_positions.weight",
    **{f"encoder/conv{i}/{kind}": f"encoder.conv{i}.{kind}" for i in (1, 2)
       for kind in ("weight", "bias")},
}  # fmt: skip
_ENDS = {"gamma": "weight", "beta": "bias", "weight": "weight", "bias": "bias"}
_ALIASES = {"decoder/projection/weight": "decoder/embeddings/weight"}


def is_ctranslate(folder: Path, values: Mapping[str, Any]) -> bool:
    """Whether a folder with a config.json of these values is one of CTranslate2."""
    return "model_type" not in values and (folder / FILE).is_file()


def read_ctranslate(folder: Path, values: Mapping[str, Any]) -> tuple[dict[str, Any], Tensors]:
    """Returns a model's config and its tensors, named as `transformers` does.

    Args:
        folder: folder of the model.
        values: content of its config.json: tokens that are not written.

    Raises:
        InputError: if the file is damaged, of another version or model, or its weights are stored
            as integers.
    """
    path = folder / FILE
    found = dict(_Reader(path).variables())
    config: dict[str, Any] = {
        "model_type": "whisper", "suppress_tokens": values.get("suppress_ids", []),
        "begin_suppress_tokens": values.get("suppress_ids_begin", []),
    }  # fmt: skip
    for name, only in _ONLY.items():
        if name in found and _integer(found.pop(name)) != only:
            raise InputError(f"Expected {name} of {path} to be {only}, got another value.")
    for key, name in _HEADS.items():
        if name not in found:
            raise InputError(f"Expected {path} to have {name}, got none.")
        config[key] = _integer(found.pop(name))
    tensors: dict[str, Tensor | PickledTensor] = {}
    for name, tensor in found.items():
        if name in _UNREAD:
            continue
        if tensor.dtype not in _FLOATS:
            raise InputError(
                f"Expected weights in {', '.join(_FLOATS)} in {path}, got {name} in "
                f"{tensor.dtype}; convert the model with --quantization float16 or float32."
            )
        tensors |= dict(_renamed(name, tensor, path))
    return config | _sizes(tensors, path), Tensors(tensors, [path])


def _sizes(tensors: Mapping[str, Any], path: Path) -> dict[str, int]:
    """What a config.json says of the shapes of the tensors."""

    def shape(name: str, rank: int) -> tuple[int, ...]:
        if name not in tensors or len(tensors[name].shape) != rank:
            raise InputError(f"Expected {path} to have the variable of {name}, got none.")
        return tensors[name].shape

    vocab_size, width = shape("decoder.embed_tokens.weight", 2)
    sizes = {
        "vocab_size": vocab_size, "d_model": width,
        "max_source_positions": shape("encoder.embed_positions.weight", 2)[0],
        "max_target_positions": shape("decoder.embed_positions.weight", 2)[0],
        "num_mel_bins": shape("encoder.conv1.weight", 3)[1],
    }
    for stack in ("encoder", "decoder"):
        blocks = {name.split(".")[2] for name in tensors if name.startswith(f"{stack}.layers.")}
        sizes[f"{stack}_layers"] = len(blocks)
        sizes[f"{stack}_ffn_dim"] = shape(f"{stack}.layers.0.fc1.weight", 2)[0]
    return sizes


def _renamed(name: str, tensor: Tensor, path: Path) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a variable: several where their rows are stored one after the other."""
    if name in _OTHERS:
        yield _OTHERS[name], tensor
        return
    stack, _, rest = name.partition("/")
    inner, _, end = rest.rpartition("/")
    if stack in ("encoder", "decoder") and end in _ENDS:
        if inner == "layer_norm":
            yield f"{stack}.layer_norm.{_ENDS[end]}", tensor
            return
        block, _, part = inner.partition("/")
        number = block.removeprefix("layer_")
        parts = _PARTS.get(part, ())
        if parts and number.isdecimal() and tensor.shape and tensor.shape[0] % len(parts) == 0:
            rows = tensor.shape[0] // len(parts)
            size = rows * int(np.prod(tensor.shape[1:], dtype=np.int64)) * _size_of(tensor.dtype)
            for place, theirs in enumerate(parts):
                if theirs.endswith("k_proj") and end == "bias":
                    # Keys have none; the file has zeros in their places.
                    _check_zeros(tensor.read(place * rows, (place + 1) * rows), name, path)
                    continue
                one = Tensor(
                    file=tensor.file, dtype=tensor.dtype, shape=(rows, *tensor.shape[1:]),
                    begin=tensor.begin + place * size,
                )  # fmt: skip
                yield f"{stack}.layers.{number}.{theirs}.{_ENDS[end]}", one
            return
    raise InputError(f"Expected variables of a Whisper model in {path}, got {name!r}.")


def _check_zeros(values: np.ndarray, name: str, path: Path) -> None:
    if np.any(values):
        raise InputError(f"Expected no bias of keys in {name} of {path}, got other than zeros.")


def _size_of(dtype: str) -> int:
    return dict(_TYPES.values())[dtype]


def _integer(tensor: Tensor) -> int:
    """The value of a setting."""
    if tensor.shape or tensor.dtype not in ("I8", "I16", "I32"):
        raise InputError(f"Expected settings of {tensor.file} to be integers.")
    with open(tensor.file, "rb") as file:
        file.seek(tensor.begin)
        return int.from_bytes(file.read(_size_of(tensor.dtype)), "little", signed=True)


class _Reader:
    """Reads where the variables of a file are; every number is checked before it is used."""

    def __init__(self, path: Path):
        self.path = path
        self.size = path.stat().st_size

    def variables(self) -> Iterator[tuple[str, Tensor]]:
        """Yields names and places; checks that the file ends where it says."""
        with open(self.path, "rb") as self.file:
            head = self._number("I"), self._text(), self._number("I")
            if head != (_VERSION, _MODEL, _REVISION):
                raise InputError(
                    f"Expected {self.path} to be a {_MODEL} of CTranslate2, version {_VERSION}, "
                    f"revision {_REVISION}, got {head[1][:40]!r}, {head[0]}, {head[2]}."
                )
            seen = set()
            for _ in range(self._number("I")):
                name, tensor = self._variable()
                if name in seen:
                    raise InputError(f"Expected one {name} in {self.path}, got two.")
                seen.add(name)
                yield name, tensor
            for _ in range(self._number("I")):
                alias, name = self._text(), self._text()
                if _ALIASES.get(alias) != name:
                    raise InputError(
                        f"Expected no variable of two names in {self.path} but tied logits, got "
                        f"{alias!r} for {name!r}."
                    )
            if self.file.tell() != self.size:
                raise self._damaged()

    def _variable(self) -> tuple[str, Tensor]:
        name, rank = self._text(), self._number("B")
        if rank > _MOST_RANK:
            raise self._damaged()
        shape = tuple(self._number("I") for _ in range(rank))
        kind, count = self._number("B"), self._number("I")
        numbers = 1
        for size in shape:
            numbers *= size
        if kind not in _TYPES or numbers > _MOST_NUMBERS or numbers * _TYPES[kind][1] != count:
            raise self._damaged()
        begin = self.file.tell()
        if begin + count > self.size:
            raise self._damaged()
        self.file.seek(count, 1)
        return name, Tensor(file=self.path, dtype=_TYPES[kind][0], shape=shape, begin=begin)

    def _number(self, kind: str) -> int:
        return struct.unpack(f"<{kind}", self._bytes(struct.calcsize(f"<{kind}")))[0]

    def _bytes(self, size: int) -> bytes:
        data = self.file.read(size)
        if len(data) != size:
            raise self._damaged()
        return data

    def _text(self) -> str:
        data = self._bytes(self._number("H"))
        try:
            return data.removesuffix(b"\0").decode("ascii")
        except UnicodeDecodeError:
            raise self._damaged() from None

    def _damaged(self) -> InputError:
        return InputError(f"Expected {self.path} to be a whole file of CTranslate2, got another.")
