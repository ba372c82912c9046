"""Special tokens of published tokenizers: their roles, their templates, and padding as id 0."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained.vocabularies.files import read_json
from keras_transformer.zoo.tokenizers.special import FIRST, SECOND, SpecialTokens

_OWN_PAD, _OWN_START = "[PAD]", "<start>"
Templates = tuple[tuple[str, ...], tuple[str, ...], bool]


class Arranged(NamedTuple):
    """Pieces in the order of our ids.

    Attributes:
        pieces: pieces by our ids.
        rows: (V,) int32, the published id of each; -1 for padding that the model does not have.
        special: their special tokens.
    """

    pieces: list[str]
    rows: np.ndarray
    special: SpecialTokens


def arrange(
    pieces: Mapping[int, str], named: Mapping[str, str], templates: Templates, *,
    more: Sequence[str] = (), has_unknown: bool, starts_with_pad: bool = False,
) -> Arranged:  # fmt: skip
    """Puts the padding first.

    Padding that is a token of the text too, such as its end, gets a row of its own, and so does
    padding that a decoder starts with.

    Args:
        pieces: pieces by published id.
        named: special tokens by the roles that `transformers` has.
        templates: special tokens around a text and a pair, and whether there are segments.
        more: other special tokens.
        has_unknown: whether texts may have the unknown token.
        starts_with_pad: whether a decoder's first token is the padding.
    """
    begin, end = named.get("cls") or named.get("bos"), named.get("sep") or named.get("eos")
    end = end or begin
    if end is None:
        raise InputError(
            "Expected a published tokenizer with a token sep, eos, cls or bos, got none."
        )
    begin = begin or end
    unk = named.get("unk") if has_unknown else None
    ids = sorted(pieces)
    names, rows = [pieces[i] for i in ids], [*ids]
    pad = named.get("pad")
    if pad is None or pad in (begin, end, unk):
        pad = _free(_OWN_PAD, names)
        names, rows = [pad, *names], [-1, *rows]
    else:
        place = names.index(pad)
        for values in (names, rows):
            values[0], values[place] = values[place], values[0]
    if starts_with_pad:
        begin = _free(_OWN_START, names)
        names.append(begin)
        rows.append(rows[0])
    single, pair, segments = templates
    roles = {"pad": pad, "unk": unk, "begin": begin, "end": end, "mask": named.get("mask")}
    special = SpecialTokens(
        **roles, more=tuple(name for name in dict.fromkeys(more) if name not in roles.values()),
        single=single, pair=pair, segments=segments,
    )  # fmt: skip
    return Arranged(names, np.array(rows, np.int32), special)


def _free(name: str, taken: Sequence[str]) -> str:
    """A name that no piece has."""
    while name in taken:
        name += "_"
    return name


def starts_with_pad(folder: Path) -> bool:
    """Whether the decoder of a folder's model starts with its padding, as T5's and Marian's."""
    config = read_json(folder / "config.json")
    start = config.get("decoder_start_token_id")
    return start is not None and start == config.get("pad_token_id")


def read_templates(processor: Any, path: Path) -> Templates:
    """Returns the templates of a tokenizer.json's `post_processor`.

    Raises:
        InputError: for one that templates cannot express.
    """
    kind = (processor or {}).get("type")
    if kind == "Sequence":
        inner = [one for one in processor["processors"] if one["type"] != "ByteLevel"]
        if len(inner) < 2:
            return read_templates(inner[0] if inner else None, path)
    elif kind in (None, "ByteLevel"):
        return (FIRST,), (FIRST, SECOND), False
    elif kind in ("RobertaProcessing", "BertProcessing"):
        begin, end = processor["cls"][0], processor["sep"][0]
        middle = (end, end) if kind == "RobertaProcessing" else (end,)
        pair = (begin, FIRST, *middle, SECOND, end)
        return (begin, FIRST, end), pair, kind == "BertProcessing"
    elif kind == "TemplateProcessing":
        single, _ = _template(processor["single"])
        pair, types = _template(processor["pair"])
        expected = [int(SECOND in pair[: place + 1]) for place in range(len(pair))]
        if types == expected or not any(types):
            return single, pair, any(types)
    raise InputError(f"Expected a post_processor of known templates in {path}, got {processor!r}.")


def _template(parts: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, ...], list[int]]:
    """The names of a template and their segments."""
    names, types = [], []
    for part in parts:
        [(kind, value)] = part.items()
        names.append(f"${value['id']}" if kind == "Sequence" else value["id"])
        types.append(value["type_id"])
    return tuple(names), types
