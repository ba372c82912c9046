"""JSON files of a published model's folder, and the special tokens that they name."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_transformer.zoo.errors import InputError

# SentencePiece models.
MODELS = ("spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "spm.model")
# Names of the special tokens where no file states their roles.
_USUAL = {
    "pad": ("[PAD]", "<pad>"),
    "unk": ("[UNK]", "<unk>"),
    "cls": ("[CLS]", "<s>"),
    "sep": ("[SEP]", "</s>"),
    "mask": ("[MASK]", "<mask>"),
    "eos": ("<|endoftext|>",),
}
_ROLES = ("pad", "unk", "cls", "bos", "sep", "eos", "mask")


def read_json(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file, empty if there is no such file.

    Raises:
        InputError: if the file does not hold an object.
    """
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"Expected {path} to hold JSON, got an error: {error}.") from None
    if not isinstance(value, dict):
        raise InputError(f"Expected {path} to hold an object, got {type(value).__name__}.")
    return value


def pieces_of(vocab: Mapping[str, int], added: list[dict[str, Any]], path: Path) -> dict[int, str]:
    """Returns the pieces of a tokenizer.json by id.

    Args:
        vocab: ids by piece.
        added: its `added_tokens`.
        path: the file, for messages.

    Raises:
        InputError: if two pieces have the same id.
    """
    pieces: dict[int, str] = {}
    for piece, i in [*vocab.items(), *((one["content"], one["id"]) for one in added)]:
        if pieces.setdefault(i, piece) != piece:
            raise InputError(
                f"Expected one piece of each id in {path}, got {pieces[i]!r} and {piece!r} of {i}."
            )
    return pieces


def named_tokens(folder: Path, pieces: Mapping[str, int]) -> dict[str, str]:
    """Returns the special tokens of a folder by the roles that `transformers` has.

    Args:
        folder: folder of the model.
        pieces: ids by piece. A token that is not among them is left out.

    Returns:
        Pieces by pad, unk, cls, bos, sep, eos and mask, as far as there are any.
    """
    found: dict[str, str] = {}
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        values = read_json(folder / name)
        for role in _ROLES:
            value = values.get(f"{role}_token")
            if isinstance(value, Mapping):
                value = value.get("content")
            if isinstance(value, str) and value in pieces:
                found.setdefault(role, value)
    if not found:
        for role, names in _USUAL.items():
            for name in names:
                if name in pieces:
                    found.setdefault(role, name)
    return found


def flat(value: Any, name: str) -> list[dict[str, Any]]:
    """Returns the parts of a sequence of normalizers or pre-tokenizers in a tokenizer.json."""
    if value is None:
        return []
    if value["type"] == "Sequence":
        return [part for one in value[name] for part in flat(one, name)]
    return [value]
