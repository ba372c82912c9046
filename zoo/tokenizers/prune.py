"""Smaller vocabularies: the pieces that some texts need, which are split as before."""

import dataclasses
import math
from collections.abc import Iterable, Sequence

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.piece_list import CONTINUATION, Vocabulary
from keras_transformer.zoo.tokenizers.pieces import Bytes
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

# Kept whether a text has them or not: few rows, and what is typed next may have any of them.
_PRINTED_ASCII = "".join(map(chr, range(0x21, 0x7F)))


def needed_ids(tokenizer: Tokenizer, texts: Iterable[str]) -> set[int]:
    """Returns the ids that a vocabulary must keep to split texts as it does.

    They are those of the texts' pieces and of what was merged into them, of the special tokens, of
    the bytes where texts fall back to bytes, and of the single characters of the texts and of
    ASCII, from which other words are composed.

    Args:
        tokenizer: tokenizer with the whole vocabulary.
        texts: texts whose ids stay the same but for their numbers.

    Returns:
        Places in the vocabulary. Those past the last id are of pieces that have none, see
        `TokenizerConfig.unknown_pieces`.

    Raises:
        InputError: if the tokenizer is of bytes, which are all kept.
    """
    model = tokenizer.model
    if isinstance(model, Bytes):
        raise InputError(
            "Expected a tokenizer with a vocabulary to prune, got kind='bytes', whose 256 ids any "
            "text may need."
        )
    parts = {part for text in texts for part in model.split(text)}
    found = {*tokenizer.special_ids, *model.required}
    found = found.union(*map(model.used, parts))
    characters = {*_PRINTED_ASCII}.union(*parts)
    if tokenizer.config.kind == "wordpiece":
        characters |= {CONTINUATION + character for character in characters}
    return found | {model.piece_ids[one] for one in characters if one in model.piece_ids}


def with_ids(tokenizer: Tokenizer, kept: Sequence[int]) -> Tokenizer:
    """Returns the tokenizer of a part of a vocabulary, whose pieces get new ids in this order.

    A merge stays if the two pieces that it joins and the one that it makes do.

    Args:
        tokenizer: tokenizer with the whole vocabulary.
        kept: ascending places in the vocabulary, among them `needed_ids` of some texts.
    """
    whole, config = tokenizer.vocabulary, tokenizer.config
    places = {old: new for new, old in enumerate(kept)}
    ids = tokenizer.model.piece_ids
    merges = tuple(
        (places[left], places[right]) for left, right in whole.merges
        if left in places and right in places and ids[whole[left] + whole[right]] in places
    )  # fmt: skip
    scores = [whole.scores[i] for i in kept] if whole.scores else []
    if config.kind == "sentencepiece_bpe" and not (scores or merges):
        # Characters alone: a file has merges or scores, and pieces of these are never merged.
        scores = [-math.inf] * len(kept)
    vocabulary = Vocabulary(
        tuple(whole[i] for i in kept), tuple(scores), merges=merges, charsmap=whole.charsmap
    )
    if config.unknown_pieces:
        without = sum(i >= tokenizer.vocab_size for i in kept)
        config = dataclasses.replace(config, unknown_pieces=without)
    return Tokenizer(config, vocabulary)
