"""SentencePiece's tokenizers of published models, from tokenizer.json or SentencePiece models."""

import base64
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained.vocabularies import sentence_pieces
from keras_transformer.zoo.pretrained.vocabularies.files import flat, named_tokens, read_json
from keras_transformer.zoo.pretrained.vocabularies.roles import (
    Arranged,
    Templates,
    arrange,
    read_templates,
    starts_with_pad,
)
from keras_transformer.zoo.pretrained.vocabularies.sentence_pieces import (
    SentencePieces,
    read_sentence_pieces,
)
from keras_transformer.zoo.tokenizers.marked import SPACE
from keras_transformer.zoo.tokenizers.piece_list import BYTE_PIECES, Vocabulary
from keras_transformer.zoo.tokenizers.special import FIRST, SECOND
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.tokenizers.tokenizer_config import TokenizerConfig

# A table of characters that replaces none: a trie of one unit.
_NO_RULES = b"\4\0\0\0\0\0\0\0"
_EXTRA_IDS, _MOST_EXTRA_IDS = 100, 10_000
# The score of a user-defined piece for each byte after its first.
_USER_BONUS = 0.1


def read_unigrams(folder: Path, values: Mapping[str, Any]) -> tuple[Tokenizer, Arranged]:
    """Returns the unigram tokenizer of a folder's tokenizer.json.

    Args:
        folder: folder of the model.
        values: content of its tokenizer.json.

    Raises:
        InputError: if it cannot be reproduced.
    """
    path = folder / "tokenizer.json"
    model = values["model"]
    rows = model["vocab"]
    added = values.get("added_tokens") or []
    in_text = [one["content"] for one in added if not one["special"]]
    if in_text:
        raise InputError(f"Expected only special tokens to be added in {path}, got {in_text[0]!r}.")
    scores = dict(rows)
    for piece, score in scores.items():
        if type(score) not in (float, int) or not math.isfinite(score):
            raise InputError(f"Expected numbers as scores in {path}, got {score!r} of {piece!r}.")
    pieces = dict(enumerate(piece for piece, _ in rows))
    pieces |= {one["id"]: one["content"] for one in added}
    settings = _metaspace(values.get("normalizer"), values.get("pre_tokenizer"), path)
    settings["byte_fallback"] = bool(model.get("byte_fallback"))
    named = named_tokens(folder, {piece: i for i, piece in pieces.items()})
    if model.get("unk_id") is not None:
        named["unk"] = pieces[model["unk_id"]]
    arranged = arrange(
        pieces, named, read_templates(values.get("post_processor"), path),
        more=[one["content"] for one in added], has_unknown=True,
        starts_with_pad=starts_with_pad(folder),
    )  # fmt: skip
    charsmap = _charsmap(values.get("normalizer"))
    return _tokenizer(arranged, scores, charsmap, **settings), arranged


def read_model(folder: Path, path: Path) -> tuple[Tokenizer, Arranged]:
    """Returns the tokenizer of a SentencePiece model in a folder.

    Raises:
        InputError: if it cannot be reproduced.
    """
    model = read_sentence_pieces(path)
    family = _family(folder)
    ids = list(range(len(model.pieces)))
    pieces = dict(zip(ids, model.pieces, strict=True))
    begin, end = _piece(pieces, "<s>", "<bos>"), _piece(pieces, "</s>", "<eos>")
    named = {"unk": _type(model, sentence_pieces.UNKNOWN), "bos": begin, "eos": end}
    named |= {"pad": _piece(pieces, "<pad>")}
    templates: Templates
    if family == "t5":
        # The last of the sentinels comes first.
        first, count = len(ids), _extra_ids(folder)
        pieces |= {first + i: f"<extra_id_{count - 1 - i}>" for i in range(count)}
        templates = (FIRST, end), (FIRST, end, SECOND, end), False
    elif family == "xlm-roberta":
        start = {0: "<s>", 1: "<pad>", 2: "</s>", 3: "<unk>"}
        # Fairseq's order: the model's first three are others there, and the mask is the last.
        pieces = start | {i + 1: piece for i, piece in pieces.items() if i >= 3}
        pieces[len(pieces)] = "<mask>"
        named |= {"pad": "<pad>", "mask": "<mask>"}
        frame = ("<s>", FIRST, "</s>")
        templates = frame, (*frame, "</s>", SECOND, "</s>"), False
    else:
        settings = read_json(folder / "tokenizer_config.json")
        before = (begin,) if settings.get("add_bos_token", True) else ()
        after = (end,) if settings.get("add_eos_token", False) else ()
        single = (*before, FIRST, *after)
        templates = single, (*single, *before, SECOND, *after), False
    named = {role: name for role, name in named.items() if name is not None}
    by_piece = {piece: i for i, piece in pieces.items()}
    named |= named_tokens(folder, by_piece) if (folder / "tokenizer_config.json").is_file() else {}
    control = [
        piece for piece, kind in zip(model.pieces, model.types, strict=True)
        if kind == sentence_pieces.CONTROL and piece in by_piece
    ]  # fmt: skip
    own = set(model.pieces)
    extra = [piece for piece in by_piece if piece not in own]
    arranged = arrange(
        pieces, named, templates, more=[*control, *extra],
        has_unknown=not model.byte_fallback, starts_with_pad=starts_with_pad(folder),
    )  # fmt: skip
    return model_tokenizer(model, arranged), arranged


def model_tokenizer(model: SentencePieces, arranged: Arranged, unknown: int = 0) -> Tokenizer:
    """Returns the tokenizer of a SentencePiece model.

    Args:
        model: SentencePiece model.
        arranged: pieces in the order of our ids.
        unknown: number of pieces at the end that have no id.
    """
    user = [
        piece for piece, kind in zip(model.pieces, model.types, strict=True)
        if kind == sentence_pieces.USER_DEFINED
    ]  # fmt: skip
    scores = {
        piece: score
        for piece, score, kind in zip(model.pieces, model.scores, model.types, strict=True)
        if kind in (sentence_pieces.NORMAL, sentence_pieces.USER_DEFINED)
    }
    charsmap = model.charsmap or _NO_RULES
    if not model.is_bpe:
        if not model.single_spaces:
            raise InputError("Expected a unigram model that joins spaces, got one that does not.")
        # As SentencePiece scores them.
        scores |= {piece: _USER_BONUS * (len(piece.encode()) - 1) for piece in user}
        tokenizer = _tokenizer(
            arranged, scores, charsmap, byte_fallback=model.byte_fallback,
            unknown_pieces=unknown, prefix_space=model.prefix_space,
        )  # fmt: skip
        for piece in user:
            # It does not replace their characters.
            text = piece.replace(SPACE, " ").strip(" ")
            if tokenizer.model.normalize(text) != text:
                raise InputError(
                    f"Expected user-defined pieces that the table of characters keeps, got "
                    f"{piece!r}."
                )
        return tokenizer
    config = TokenizerConfig(
        kind="sentencepiece_bpe", special=arranged.special,
        normalization="charsmap" if model.charsmap else "identity",
        prefix_space=model.prefix_space, single_spaces=model.single_spaces,
        byte_fallback=model.byte_fallback,
        added=tuple(piece for piece in user if piece not in arranged.special.names),
    )  # fmt: skip
    vocabulary = Vocabulary(
        tuple(arranged.pieces),
        tuple(scores.get(piece, -math.inf) for piece in arranged.pieces),
        charsmap=model.charsmap,
    )
    return Tokenizer(config, vocabulary)


def _tokenizer(
    arranged: Arranged, scores: Mapping[str, float], charsmap: bytes, **settings: Any
) -> Tokenizer:
    """A unigram tokenizer with a table of characters."""
    hidden = {*arranged.special.names, *(BYTE_PIECES if settings["byte_fallback"] else ())}
    for piece in scores:
        if SPACE in piece[1:] and piece not in hidden:
            raise InputError(f"Expected pieces of one word, got {piece!r}.")
    config = TokenizerConfig(
        kind="sentencepiece", normalization="charsmap", special=arranged.special, **settings
    )
    values = tuple(scores.get(piece, -math.inf) for piece in arranged.pieces)
    return Tokenizer(config, Vocabulary(tuple(arranged.pieces), values, charsmap=charsmap))


def _charsmap(normalizer: Any) -> bytes:
    """The table of characters among the normalizers of a tokenizer.json."""
    for part in flat(normalizer, "normalizers"):
        if part["type"] == "Precompiled":
            return base64.b64decode(part["precompiled_charsmap"], validate=True)
    return _NO_RULES


def _metaspace(normalizer: Any, splitter: Any, path: Path) -> dict[str, Any]:
    """The settings of what a tokenizer.json does to spaces."""
    steps = []
    for part in flat(normalizer, "normalizers"):
        is_joining = (
            part["type"] == "Replace" and part["pattern"] == {"Regex": " {2,}"}
            and part["content"] in (" ", SPACE)
        )  # fmt: skip
        is_known = part["type"] == "Precompiled" or is_joining or part["type"] == "Strip"
        if not is_known or part.get("strip_left"):
            raise InputError(f"Expected SentencePiece's normalizer in {path}, got {part!r}.")
        if part["type"] != "Strip" or part["strip_right"]:
            steps.append(part["type"])
    # The table is read first, and spaces are joined last.
    if steps != [step for step in ("Precompiled", "Strip", "Replace") if step in steps]:
        raise InputError(
            f"Expected the normalizers Precompiled, Strip and Replace of {path} in this order, "
            f"got {', '.join(steps)}."
        )
    parts = flat(splitter, "pretokenizers")
    kinds = [part["type"] for part in parts]
    has_words = kinds == ["WhitespaceSplit", "Metaspace"]
    last = parts[-1] if has_words or kinds == ["Metaspace"] else {}
    schemes = ("always",) if has_words else ("always", "first")
    has_prefix = last.get("prepend_scheme", "always") in schemes
    is_plain = last.get("replacement") == SPACE and last.get("split", True)
    if not (is_plain and has_prefix and last.get("add_prefix_space", True)):
        raise InputError(f"Expected Metaspace as pre_tokenizer of {path}, got {splitter!r}.")
    stripped = "metaspace_strip" if "Strip" in steps else "metaspace"
    return {
        "splitter": "whitespace" if has_words else stripped,
        "single_spaces": "Replace" in steps,
    }


def _family(folder: Path) -> str | None:
    """The family whose tokenizer changes a SentencePiece model's ids."""
    name = read_json(folder / "tokenizer_config.json").get("tokenizer_class", "")
    kind = read_json(folder / "config.json").get("model_type")
    known = {"T5Tokenizer": "t5", "MT5Tokenizer": "t5", "XLMRobertaTokenizer": "xlm-roberta"}
    family = known.get(name.removesuffix("Fast"), {"mt5": "t5"}.get(kind, kind))
    same_ids = (None, "llama", "mistral", "gemma", "gemma2", "gemma3", "gemma3_text", "t5")
    if family not in (*same_ids, "xlm-roberta"):
        raise InputError(
            f"Expected a tokenizer.json in {folder} for the model type {family}, got a "
            "SentencePiece model alone; save it with a fast tokenizer."
        )
    return family


def _extra_ids(folder: Path) -> int:
    path = folder / "tokenizer_config.json"
    count = read_json(path).get("extra_ids", _EXTRA_IDS)
    if type(count) is not int or not 0 <= count <= _MOST_EXTRA_IDS:
        raise InputError(
            f"Expected extra_ids of {path} to be from 0 to {_MOST_EXTRA_IDS}, got {count!r}."
        )
    return count


def _piece(pieces: Mapping[int, str], *names: str) -> str | None:
    known = set(pieces.values())
    return next((name for name in names if name in known), None)


def _type(model: SentencePieces, kind: int) -> str | None:
    return model.pieces[model.types.index(kind)] if kind in model.types else None
