"""Word pieces of BERT and its like, from vocab.txt or tokenizer.json."""

from pathlib import Path
from typing import Any

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained.vocabularies.files import named_tokens, pieces_of, read_json
from keras_transformer.zoo.pretrained.vocabularies.roles import Arranged, arrange, read_templates
from keras_transformer.zoo.tokenizers.piece_list import CONTINUATION, Vocabulary
from keras_transformer.zoo.tokenizers.special import FIRST, SECOND
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.tokenizers.tokenizer_config import TokenizerConfig


def read_word_pieces(folder: Path, values: dict[str, Any]) -> tuple[Tokenizer, Arranged]:
    """Returns the tokenizer of word pieces in a folder.

    Args:
        folder: folder of the model.
        values: content of its tokenizer.json; empty for vocab.txt.

    Raises:
        InputError: if it cannot be reproduced.
    """
    path = folder / "tokenizer.json"
    settings = _settings(values, path) if values else _old_settings(folder)
    pieces = _pieces(values, folder)
    named = named_tokens(folder, {piece: i for i, piece in pieces.items()})
    _check_added(folder, values, named)
    if values:
        unknown = values["model"].get("unk_token", "[UNK]")
        named |= {"unk": unknown} if unknown in pieces.values() else {}
        templates = read_templates(values.get("post_processor"), path)
    else:
        begin, end = named.get("cls", "[CLS]"), named.get("sep", "[SEP]")
        templates = (begin, FIRST, end), (begin, FIRST, end, SECOND, end), True
    arranged = arrange(pieces, named, templates, has_unknown=True)
    config = TokenizerConfig(
        kind="wordpiece", normalization="bert", special=arranged.special, **settings
    )
    return Tokenizer(config, Vocabulary(tuple(arranged.pieces))), arranged


def _pieces(values: dict[str, Any], folder: Path) -> dict[int, str]:
    if values:
        added = values.get("added_tokens") or []
        return pieces_of(values["model"]["vocab"], added, folder / "tokenizer.json")
    lines = (folder / "vocab.txt").read_bytes().decode().removesuffix("\n").split("\n")
    return dict(enumerate(line.removesuffix("\r") for line in lines))


def _check_added(folder: Path, values: dict[str, Any], named: dict[str, str]) -> None:
    """Raises InputError for an added token that is found in texts before words are split."""
    added: list[tuple[str, str, Any]] = [
        ("tokenizer.json", one["content"], one["special"])
        for one in values.get("added_tokens") or ()
    ]
    if not values:
        special = {*named.values()}
        file = "added_tokens.json"
        added = [(file, token, token in special) for token in read_json(folder / file)]
        file = "tokenizer_config.json"
        decoder = read_json(folder / file).get("added_tokens_decoder") or {}
        added += [(file, one["content"], one.get("special", False)) for one in decoder.values()]
    for file, token, is_special in added:
        if not is_special:
            raise InputError(
                f"Expected only special tokens to be added in {folder / file}, got {token!r}."
            )


def _settings(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """Settings of a tokenizer.json."""
    normalizer, splitter = values.get("normalizer") or {}, values.get("pre_tokenizer") or {}
    model = values["model"]
    wanted = {
        "normalizer": (normalizer.get("type"), "BertNormalizer"),
        "clean_text": (normalizer.get("clean_text"), True),
        "handle_chinese_chars": (normalizer.get("handle_chinese_chars"), True),
        "pre_tokenizer": (splitter.get("type"), "BertPreTokenizer"),
        "continuing_subword_prefix": (model.get("continuing_subword_prefix"), CONTINUATION),
    }
    for name, (value, only) in wanted.items():
        if value != only:
            raise InputError(f"Expected {name} to be {only!r} in {path}, got {value!r}.")
    lowercase, strip_accents = normalizer["lowercase"], normalizer.get("strip_accents")
    return {
        "lowercase": lowercase,
        "strip_accents": lowercase if strip_accents is None else strip_accents,
        "max_characters_per_word": model.get("max_input_chars_per_word", 100),
    }


def _old_settings(folder: Path) -> dict[str, Any]:
    """Settings of a tokenizer_config.json beside a vocab.txt."""
    path = folder / "tokenizer_config.json"
    values = read_json(path)
    for name in ("do_basic_tokenize", "tokenize_chinese_chars"):
        if values.get(name, True) is not True:
            raise InputError(f"Expected {name} to be True in {path}, got {values[name]!r}.")
    lowercase, strip_accents = values.get("do_lower_case", True), values.get("strip_accents")
    return {
        "lowercase": lowercase,
        "strip_accents": lowercase if strip_accents is None else strip_accents,
    }
