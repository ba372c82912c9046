"""BPE of published models, from tokenizer.json or vocab.json and merges.txt."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained.vocabularies.files import (
    flat,
    named_tokens,
    pieces_of,
    read_json,
)
from keras_transformer.zoo.pretrained.vocabularies.roles import (
    Arranged,
    arrange,
    read_templates,
    starts_with_pad,
)
from keras_transformer.zoo.tokenizers.marked import SPACE
from keras_transformer.zoo.tokenizers.piece_list import Vocabulary
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.tokenizers.tokenizer_config import TokenizerConfig

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
# Splitters by the expressions that published files have.
_PATTERNS = {
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+": "gpt2",
    rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}{_REST}": "llama3",
    rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{_REST}": "qwen2",
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*|\p{{N}}"
    + _REST.replace(r"[\r\n]*", r"[\r\n/]*"): "tekken",
}  # fmt: skip


def read_byte_pairs(folder: Path, values: Mapping[str, Any]) -> tuple[Tokenizer, Arranged]:
    """Returns the BPE tokenizer in a folder.

    Args:
        folder: folder of the model.
        values: content of its tokenizer.json; empty for vocab.json and merges.txt.

    Raises:
        InputError: if it cannot be reproduced.
    """
    path = folder / "tokenizer.json"
    values = values or _old_values(folder)
    model = values["model"]
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise InputError(f"Expected no {name} in {path}, got {model[name]!r}.")
    if model.get("dropout"):
        raise InputError(f"Expected no dropout of merges in {path}, got {model['dropout']!r}.")
    added = values.get("added_tokens") or []
    pieces = pieces_of(model["vocab"], added, path)
    # Byte pieces merge with nothing and have no rank.
    if model.get("byte_fallback"):
        settings = _sentence_settings(values, path)
    else:
        settings = {"kind": "bpe", **_byte_settings(values, path)}
        settings["whole_words"] = bool(model.get("ignore_merges"))
    named = named_tokens(folder, {piece: i for i, piece in pieces.items()})
    in_text = [one for one in added if not one["special"] and one["content"] not in named.values()]
    for one in in_text:
        if any(one.get(name) for name in ("lstrip", "rstrip", "single_word")):
            raise InputError(
                f"Expected added tokens without lstrip, rstrip and single_word in {path}, got "
                f"{one['content']!r}."
            )
    names = [one["content"] for one in in_text]
    more = [one["content"] for one in added if one["content"] not in names]
    arranged = arrange(
        pieces, named, read_templates(values.get("post_processor"), path), more=more,
        has_unknown="unk" in named and settings.get("byte_fallback") is False,
        starts_with_pad=starts_with_pad(folder),
    )  # fmt: skip
    config = TokenizerConfig(special=arranged.special, added=tuple(names), **settings)
    ids = {piece: i for i, piece in enumerate(arranged.pieces)}
    merges = tuple(_merge(row, ids, path) for row in model["merges"])
    return Tokenizer(config, Vocabulary(tuple(arranged.pieces), merges=merges)), arranged


def _merge(row: str | Sequence[str], ids: Mapping[str, int], path: Path) -> tuple[int, int]:
    left, right = row.split(" ") if isinstance(row, str) else row
    if left not in ids or right not in ids:
        raise InputError(f"Expected merges of pieces in {path}, got {row!r}.")
    return ids[left], ids[right]


def _byte_settings(values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The normalization and the splitter of byte-level BPE."""
    normalizers = flat(values.get("normalizer"), "normalizers")
    kinds = [one["type"] for one in normalizers]
    if kinds not in ([], ["NFC"]):
        raise InputError(f"Expected no normalizer but NFC in {path}, got {', '.join(kinds)}.")
    parts = flat(values.get("pre_tokenizer"), "pretokenizers")
    kinds = [one["type"] for one in parts]
    level = parts[-1] if kinds[-1:] == ["ByteLevel"] else {}
    splitter = None
    if kinds == ["ByteLevel"] and level.get("use_regex", True):
        splitter = "gpt2"
    elif kinds == ["Digits", "ByteLevel"] and level.get("use_regex", True):
        splitter = "smollm2" if parts[0].get("individual_digits") else None
    elif kinds == ["Split", "ByteLevel"] and not level.get("use_regex", True):
        is_plain = parts[0].get("behavior") == "Isolated" and not parts[0].get("invert")
        splitter = _PATTERNS.get(parts[0]["pattern"].get("Regex")) if is_plain else None
    if splitter is None:
        raise InputError(
            f"Expected a pre_tokenizer in {path} that splits as GPT-2, Llama 3, Qwen 2, SmolLM2 or "
            f"Mistral's Tekken do, got {values.get('pre_tokenizer')!r}."
        )
    return {
        "normalization": "nfc" if normalizers else "identity",
        "splitter": splitter,
        "prefix_space": bool(level.get("add_prefix_space", True)),
    }


def _sentence_settings(values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The settings of SentencePiece's BPE, which Llama 2, Mistral and Gemma have."""
    has_prefix, marks = False, False
    for one in flat(values.get("normalizer"), "normalizers"):
        if one["type"] == "Prepend" and one.get("prepend") == SPACE:
            has_prefix = True
        elif one["type"] == "Replace" and one.get("content") == SPACE:
            marks = one["pattern"] == {"String": " "}
        else:
            raise InputError(f"Expected normalizers of {path} to mark spaces, got {one!r}.")
    for one in flat(values.get("pre_tokenizer"), "pretokenizers"):
        if one["type"] == "Metaspace" and not one.get("split", True):
            scheme = one.get("prepend_scheme", "always")
            has_prefix, marks = has_prefix or scheme in ("first", "always"), True
        elif one["type"] != "Split" or one.get("pattern") != {"String": " "}:
            # Gemma's splits at a character that the normalizer has replaced.
            raise InputError(f"Expected a pre_tokenizer of {path} to mark spaces, got {one!r}.")
    if not marks:
        raise InputError(f"Expected a normalizer or pre_tokenizer of {path} to mark spaces.")
    return {"kind": "sentencepiece_bpe", "prefix_space": has_prefix, "byte_fallback": True}


def _old_values(folder: Path) -> dict[str, Any]:
    """What a tokenizer.json would have, from GPT-2's and RoBERTa's older files."""
    path = folder / "merges.txt"
    if not path.is_file():
        raise InputError(f"Expected merges.txt beside vocab.json in {folder}, got none.")
    lines = path.read_text("utf-8").split("\n")
    if lines[0].startswith("#version"):
        lines = lines[1:]
    settings = read_json(folder / "tokenizer_config.json")
    vocab = read_json(folder / "vocab.json")
    named = named_tokens(folder, vocab)
    begin, end = named.get("cls"), named.get("sep")
    frame = {"type": "RobertaProcessing", "cls": [begin, 0], "sep": [end, 0]}
    return {
        "model": {"vocab": vocab, "merges": [line for line in lines if line]},
        "pre_tokenizer": {
            "type": "ByteLevel", "add_prefix_space": settings.get("add_prefix_space", False),
        },
        "post_processor": frame if begin and end else None,
    }  # fmt: skip
