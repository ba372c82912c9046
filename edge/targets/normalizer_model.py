"""Text normalization of our tokenizers as data for TensorFlow Text's op `FastBertNormalize`.

The op looks each character up in a trie. Its own data also fold compatibility characters (`½`
becomes `1/2`) and drop characters that we treat as white space, so that ids would differ from those
that a model was trained on.
"""

import functools
import sys
from typing import Any

import flatbuffers
import numpy as np

from keras_transformer.zoo.tokenizers.normalizers.bert import fold_bert_character
from keras_transformer.zoo.tokenizers.normalizers.normalize import fold_character, is_white

# The value of a character: whether its normal form differs, the form's start in the pool, its
# length.
_IS_DIFFERENT = 0x40000000
_LENGTH_BITS = 6
# A unit of the trie, a double array (darts-clone): a byte in the lowest bits, whether it has a
# value, and from bit 10 the index of its children, exclusive-or its own.
_HAS_VALUE, _OFFSET_BIT = 0x100, 10
_VALUE = 0x80000000
# Bytes that follow the first of a character are 0x80 to 0xBF: a node's children fill such a block.
_BLOCK = 64
_FIRST_BYTES = 256


@functools.cache
def normalizer_model(*, lowercase: bool, normalization: str = "nfkc", **accents: Any) -> bytes:
    """Returns the flatbuffer that the op reads (fast_bert_normalizer_model.fbs).

    Args:
        lowercase, **accents: `TokenizerConfig.fold`.
        normalization: `bert` for BERT's own.
    """
    if normalization == "bert":
        strip_accents = bool(accents["strip_accents"])
        fold = functools.partial(
            fold_bert_character, lowercase=lowercase, strip_accents=strip_accents
        )
    else:
        fold = functools.partial(fold_character, lowercase=lowercase, **accents)
    pool, places, data = bytearray(), {}, {}
    for code in range(1, sys.maxunicode + 1):
        character = chr(code)
        if 0xD800 <= code < 0xE000:
            continue  # halves of a surrogate pair, which UTF-8 does not have
        folded = fold(code)
        normal = "".join(" " if is_white(one) else one for one in folded)
        if normal != character:
            text = normal.encode()
            if text not in places:
                places[text] = len(pool)
                pool += text
            data[character.encode()] = _IS_DIFFERENT | places[text] << _LENGTH_BITS | len(text)
    # NUL, which no trie can hold, becomes a space too, or nothing.
    nothing = normalization == "bert"
    zero = _IS_DIFFERENT | places[b"" if nothing else b" "] << _LENGTH_BITS | (not nothing)
    return _flatbuffer(lowercase, _trie(data), zero, bytes(pool))


def _trie(data: dict[bytes, int]) -> np.ndarray:
    """Returns the units of a trie of UTF-8 characters."""
    tree: dict = {}
    for key, value in data.items():
        node = tree
        for byte in key[:-1]:
            node = node.setdefault(byte, {})
        node[key[-1]] = value
    # The root, then its children, then blocks of children, then values.
    units = [0] * (2 * _FIRST_BYTES)
    units[0] = _FIRST_BYTES << _OFFSET_BIT
    waiting = [(tree, _FIRST_BYTES)]
    values = []
    for node, base in waiting:
        for byte, below in node.items():
            place = base ^ byte
            if isinstance(below, int):
                values.append((place, byte, below))
                continue
            block = len(units)
            units += [0] * _BLOCK
            children = block ^ 0x80
            units[place] = byte | (place ^ children) << _OFFSET_BIT
            waiting.append((below, children))
    for place, byte, value in values:
        units[place] = byte | _HAS_VALUE | (place ^ len(units)) << _OFFSET_BIT
        units.append(_VALUE | value)
    return np.array(units, np.uint32)


def _flatbuffer(lowercase: bool, trie: np.ndarray, zero: int, pool: bytes) -> bytes:
    builder = flatbuffers.Builder(trie.nbytes + len(pool) + 64)
    units = builder.CreateNumpyVector(trie)
    strings = builder.CreateByteVector(pool)
    builder.StartObject(4)
    builder.PrependBoolSlot(0, lowercase, False)
    builder.PrependUOffsetTRelativeSlot(1, units, 0)
    builder.PrependInt32Slot(2, zero, 0)
    builder.PrependUOffsetTRelativeSlot(3, strings, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())
