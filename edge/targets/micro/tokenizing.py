"""C sources of a tokenizer of word pieces: text to ids on a device without Python."""

import functools
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from keras_transformer.edge.targets.micro.c_code import array, filled, template
from keras_transformer.edge.targets.micro.readings import (
    SPACE,
    UNKNOWN,
    folded,
    runs_of,
)
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.outputs import BY_POSITION
from keras_transformer.zoo.tokenizers.piece_list import CONTINUATION, Vocabulary
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.tokenizers.tokenizer_config import TokenizerConfig

_KIND = "wordpiece"
# As in `c/tokenizer.c`: no byte of UTF-8, and the longest of the fixed readings, a Korean syllable.
_NO_PIECE = b"\xff"
_LONGEST_FIXED = 9
_PLANE = 1 << 16
_PLANES = 17


class Table(NamedTuple):
    """A constant array of C: its numbers, the bits of each, and whether they have a sign."""

    values: Sequence[int]
    bits: int
    is_signed: bool = False
    in_hex: bool = False

    @property
    def size(self) -> int:
        """Size in bytes."""
        return len(self.values) * self.bits // 8

    def code(self, name: str) -> str:
        """Returns its definition in C."""
        kind = f"{'' if self.is_signed else 'u'}int{self.bits}_t"
        written = map("0x{:02x}".format, self.values) if self.in_hex else self.values
        return array(kind, name, written)


class Tables(NamedTuple):
    """What a tokenizer in C knows: numbers and arrays by name."""

    constants: Mapping[str, int | str]
    tables: Mapping[str, Table]

    @property
    def size(self) -> int:
        """Size of the arrays in bytes."""
        return sum(table.size for table in self.tables.values())

    def code(self) -> str:
        """Returns the definitions in C."""
        lines = [f"#define {name} {value}" for name, value in self.constants.items()]
        arrays = [table.code(name) for name, table in self.tables.items()]
        return "\n".join([*lines, "", *arrays])


def no_tokenizer(description: Mapping[str, Any], files: Mapping[str, bytes]) -> str | None:
    """Returns why a file has no tokenizer in C, or None if it has one.

    Args:
        description, files: of the file, see `unpack`.
    """
    modality = description["modality"]
    if modality != Text.name:
        return f"the model reads {modality}, the C code texts alone"
    kind = Tokenizer.from_files(files).config.kind
    if kind != _KIND:
        return f"its tokenizer is of the kind {kind}, the C code reads {_KIND} alone"
    output = description["output_kind"]
    if output in BY_POSITION:
        return f"the model gives {output}, for which texts are read word by word"
    return None


def tokenizer_sources(
    name: str, description: Mapping[str, Any], files: Mapping[str, bytes]
) -> dict[str, str]:
    """Returns `NAME_tokenizer.h` and `NAME_tokenizer.c` by name, if the file has a tokenizer in C.

    Args:
        name: of the model, in C.
        description, files: of the file, see `unpack`.
    """
    if no_tokenizer(description, files) is not None:
        return {}
    return tokenizer_code(
        name, Tokenizer.from_files(files), description["max_length"],
        pair=description["task"]["pair"],
    )  # fmt: skip


def tokenizer_code(
    name: str, tokenizer: Tokenizer, length: int, *, pair: bool = False
) -> dict[str, str]:
    """Returns the two files of a tokenizer of word pieces by name.

    Args:
        name: of the model, in C.
        tokenizer: a tokenizer of the kind `wordpiece`.
        length: number of ids that the model reads.
        pair: whether it reads pairs of texts.
    """
    sizes = f"/* Number of ids that the model reads. */\n#define MODEL_LENGTH {length}"
    tables = tables_of(tokenizer, pair=pair)
    note = f"/* Unicode {unicodedata.unidata_version}; {tables.size} bytes of tables. */"
    parts = {"sizes": sizes, "tables": f"{note}\n{tables.code()}"}
    found = {}
    for suffix in ("h", "c"):
        more = template(f"tokenizer_pair.{suffix}") if pair else ""
        found[f"{name}_tokenizer.{suffix}"] = filled(
            f"tokenizer.{suffix}", name, {**parts, "pair": more}
        )
    return found


def tables_of(tokenizer: Tokenizer, *, pair: bool = False) -> Tables:
    """Returns the constants of a tokenizer of word pieces, see `tokenizer_code`."""
    return _tables_of(tokenizer.config, tokenizer.vocabulary, pair)


@functools.lru_cache(4)  # for the card, and for the files
def _tables_of(config: TokenizerConfig, vocabulary: Vocabulary, pair: bool) -> Tables:
    tokenizer = Tokenizer(config, vocabulary)
    texts = folded(config, set("".join(tokenizer.vocabulary)))
    begins, continuations = _usable_pieces(tokenizer, texts.values())
    runs = runs_of(texts, set("".join((*begins, *continuations))))
    read_texts = [one.encode().replace(UNKNOWN.encode(), _NO_PIECE) for one in runs.texts]
    limit = config.max_bytes_per_word
    in_order = [*sorted(begins.items(), key=_bytes), *sorted(continuations.items(), key=_bytes)]
    encoded = [piece.encode() for piece, _ in in_order]
    special, pairs = tokenizer.single_frame, tokenizer.pair_frame
    constants = {
        "FIRST_TEXT": f"(FIRST_DELTA + {len(runs.deltas)})",
        "MOST_HELD": max(_LONGEST_FIXED, *map(len, read_texts), 0),
        "UNKNOWN_ID": tokenizer.unk_id,
        "MOST_PER_WORD": f"{limit or config.max_characters_per_word}u",
        "COUNTED(byte)": 1 if limit else "(((byte) & 0xc0) != 0x80)",
        "FIRST_CONTINUATION": f"{len(begins)}u",
        "PIECES": f"{len(in_order)}u",
        "BEFORE": len(special.before),
        "BEHIND": len(special.after),
    }
    planes = [sum(start < plane * _PLANE for start in runs.starts) for plane in range(_PLANES + 1)]
    tables = {
        "planes": _table(planes),
        "run_starts": Table([start % _PLANE for start in runs.starts], 16),
        "run_readings": _table(runs.readings),
        "deltas": Table(runs.deltas, 32, is_signed=True),
        "texts": Table(b"".join(one + b"\0" for one in read_texts), 8, in_hex=True),
        "text_starts": _table(_starts([one + b"\0" for one in read_texts])[:-1]),
        "pieces": Table(b"".join(encoded), 8, in_hex=True),
        "starts": _table(_starts(encoded)),
        "piece_ids": _table([number for _, number in in_order]),
        "special": Table([*special.before, *special.after], 32),
    }
    if pair:
        constants |= {
            "PAIR_BEFORE": len(pairs.before),
            "PAIR_BETWEEN": len(pairs.between),
            "PAIR_BEHIND": len(pairs.after),
            "SECOND_SEGMENT": int(config.special.segments),
        }
        tables["pair_special"] = Table([*pairs.before, *pairs.between, *pairs.after], 32)
    return Tables(constants, tables)


def _usable_pieces(tokenizer, texts) -> tuple[dict[str, int], dict[str, int]]:
    """The ids of pieces that some word has: of its first ones, and of those that continue it."""
    words = {word for text in set(texts) for word in text.split(SPACE)}
    alone = {text[1] for text in set(texts) if len(text) == 3 and text[0] == text[2] == SPACE}
    inner = set("".join(words)) - alone
    begins, continuations = {}, {}
    for number, piece in enumerate(tokenizer.vocabulary):
        if piece in alone or inner.issuperset(piece):
            begins[piece] = number
        rest = piece.removeprefix(CONTINUATION)
        if rest and rest != piece and inner.issuperset(rest):
            continuations[rest] = number
    return begins, continuations


def _bytes(item: tuple[str, int]) -> bytes:
    return item[0].encode()


def _starts(parts: Sequence[bytes]) -> list[int]:
    """Where each part begins, and where the last one ends."""
    found = [0]
    for part in parts:
        found.append(found[-1] + len(part))
    return found


def _table(values: Sequence[int]) -> Table:
    """An array of the smallest type."""
    most = max(values, default=0)
    return Table(values, next(bits for bits in (8, 16, 32) if most < 1 << bits))
