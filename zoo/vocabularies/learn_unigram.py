"""SentencePiece for `Unigram`: its trainer, and the model file for tensorflow-text."""

import collections
import io
from array import array
from collections.abc import Iterator, Sequence

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.piece_list import BYTE_PIECES, SPECIAL_TOKENS, UNK, Vocabulary
from keras_transformer.zoo.tokenizers.tokenizer import TokenizerConfig
from keras_transformer.zoo.tokenizers.unigram import SPACE, Unigram

# The trainer skips whole sentences with the first or the last of these; it marks unknown characters
# with the last. The others cannot be in a vocabulary file, and become bytes.
_RESERVED = frozenset("\0\t\n\u2585")
# Fixed, since float sums depend on how the sentences are distributed over threads.
_NUM_THREADS = 4
_MAX_SENTENCE_BYTES = 1 << 30
_ERRORS_ONLY = 2
# An empty table of normalization rules: the size of a double-array trie, its root without children,
# and no replacements. Without a table, tensorflow-text prints a warning.
_NO_RULES = (1024).to_bytes(4, "little") + bytes(1024) + b"\0"


def learn_unigram(texts: Sequence[str], size: int, config: TokenizerConfig) -> Vocabulary:
    """Learns pieces and their probabilities with SentencePiece's trainer (Kudo 2018).

    Args:
        texts: training texts.
        size: maximum number of entries of the vocabulary.
        config: settings of the tokenizer, of kind "sentencepiece".

    Returns:
        The special tokens, the 256 bytes, then the pieces from frequent to rare, including the
        characters (the more frequent ones, if they would fill over half of the rest).

    Raises:
        InputError: if the texts have no words.
    """
    fixed = (*SPECIAL_TOKENS, *BYTE_PIECES)
    # A model without pieces matches nothing, but it normalizes and splits words.
    empty = Unigram(Vocabulary(fixed, (0.0,) * len(fixed)), config)
    # Sorted, so that the result does not depend on the order of the texts.
    words = [word for text in sorted(map(empty.normalize, texts)) for word in empty.split(text)]
    lines = list(_lines(words, (size - len(fixed)) // 2))
    if not lines:
        raise InputError(
            f"Expected texts with words to learn from, got none in {len(texts)} texts."
        )
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=written,
        model_type="unigram",
        # Its only special token is [UNK].
        vocab_size=size - len(SPECIAL_TOKENS) + 1,
        hard_vocab_limit=False,
        byte_fallback=True,
        character_coverage=1.0,
        split_by_whitespace=True,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        max_sentence_length=_MAX_SENTENCE_BYTES,
        num_threads=_NUM_THREADS,
        unk_id=0,
        bos_id=-1,
        eos_id=-1,
        pad_id=-1,
        minloglevel=_ERRORS_ONLY,
    )
    model = sentencepiece_model_pb2.ModelProto.FromString(written.getvalue())
    learned = [
        (entry.piece, entry.score)
        for entry in model.pieces
        if entry.type == entry.NORMAL and entry.piece not in fixed
    ]
    pieces, scores = zip(*learned, strict=True)
    return Vocabulary(fixed + pieces, (0.0,) * len(fixed) + scores)


def _lines(words: Sequence[str], num_characters: int) -> Iterator[str]:
    """Yields lines of words for the trainer, which counts each word by itself.

    Where lines end matters little, with one exception: the trainer considers only pieces after
    which the text continues in more than one way (inner nodes of its suffix tree). A word that is
    followed by spaces only would not be a piece, however frequent. Therefore a line ends at the
    first occurrence of a word. It also ends at every character except the `num_characters` most
    frequent ones: the trainer would make a piece of each.
    """
    counts = collections.Counter(character for word in words for character in word)
    frequent = sorted(counts, key=lambda character: (-counts[character], character))
    known = [character for character in frequent if character not in _RESERVED][:num_characters]
    cut = dict.fromkeys(map(ord, counts.keys() - set(known)), "\n")
    line, met = [], set()
    for word in words:
        first, *rest = word.translate(cut).split("\n")
        line.append(first)
        for part in rest:
            yield from _line(line)
            line = [part]
        if word not in met:
            met.add(word)
            yield from _line(line)
            line = []
    yield from _line(line)


def _line(parts: Sequence[str]) -> Iterator[str]:
    """Yields one line, with spaces as the trainer expects them, or none if it is only a space."""
    joined = "".join(parts)
    if joined.strip(SPACE):
        yield joined.replace(SPACE, " ")


def model_proto(vocabulary: Vocabulary) -> bytes:
    """Returns SentencePiece's model of a vocabulary, for words from `Unigram.split`."""
    model = sentencepiece_model_pb2.ModelProto()
    model.trainer_spec.model_type = model.trainer_spec.UNIGRAM
    model.trainer_spec.byte_fallback = True
    model.trainer_spec.vocab_size = len(vocabulary)
    model.trainer_spec.unk_piece = UNK
    model.trainer_spec.unk_id = vocabulary.index(UNK)
    model.trainer_spec.bos_id = model.trainer_spec.eos_id = model.trainer_spec.pad_id = -1
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.precompiled_charsmap = _NO_RULES
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = False
    model.normalizer_spec.escape_whitespaces = False
    for piece, score in zip(vocabulary, array("f", vocabulary.scores), strict=True):
        entry = model.pieces.add(piece=piece, score=score)
        if piece == UNK:
            entry.type = entry.UNKNOWN
        elif piece in SPECIAL_TOKENS:
            entry.type = entry.CONTROL
        elif piece in BYTE_PIECES:
            entry.type = entry.BYTE
    return model.SerializeToString()
