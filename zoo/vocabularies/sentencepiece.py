"""Export of a sentencepiece tokenizer to SentencePiece's model file, for other programs."""

import functools
import sys
import unicodedata
from typing import Any

from sentencepiece import SentencePieceNormalizer, sentencepiece_model_pb2

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.normalizers.normalize import fold_text
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.tokenizers.unigram import SPACE
from keras_transformer.zoo.vocabularies.learn_unigram import model_proto

# Categories of code points that are not normalized: surrogates, private, unassigned.
NO_CHARACTERS = ("Cs", "Co", "Cn")


def to_sentencepiece(tokenizer: Tokenizer) -> bytes:
    """Returns the model with which SentencePiece produces the tokenizer's ids for any text.

    Normalization is a table in the model: NFKC unless it is `identity`, the tokenizer's folding,
    and a space for word separators. A table does not reorder: several marks on one letter that are
    not in Unicode's order remain so. SentencePiece segments the whole text where the tokenizer
    segments its words, so that it compares longer sums: of two segmentations of a word that are
    equally probable to within float32's rounding it may select the other.

    Args:
        tokenizer: tokenizer of kind `sentencepiece`.

    Raises:
        InputError: if the tokenizer is of another kind.
    """
    config = tokenizer.config
    if config.kind != "sentencepiece":
        raise InputError(
            f"Expected a tokenizer of the kind sentencepiece, got kind={config.kind}; train the "
            "model with --tokenizer sentencepiece."
        )
    if config.has_charsmap or not config.byte_fallback:
        raise InputError(
            "Expected a tokenizer that was learned here, got a published one of "
            f"normalization={config.normalization}; use the model's own SentencePiece file."
        )
    model = sentencepiece_model_pb2.ModelProto.FromString(model_proto(tokenizer.vocabulary))
    spec = _normalizer(config.normalization, **config.fold)
    model.normalizer_spec.ParseFromString(spec)
    return model.SerializeToString()


@functools.cache
def _normalizer(normalization: str, **fold: Any) -> bytes:
    """SentencePiece's normalizer settings, which take seconds to create."""
    is_identity = normalization == "identity"
    rules = sorted((_identity_rules if is_identity else _rules)(**fold).items())
    written = SentencePieceNormalizer(norm_map=rules).serialized_normalizer_spec()
    spec = sentencepiece_model_pb2.NormalizerSpec.FromString(written)
    spec.add_dummy_prefix = spec.escape_whitespaces = True
    spec.remove_extra_whitespaces = not is_identity
    return spec.SerializeToString()


def _known() -> set[str]:
    """The assigned characters."""
    return {
        character for character in map(chr, range(1, sys.maxunicode + 1))
        if unicodedata.category(character) not in NO_CHARACTERS
    }  # fmt: skip


def _identity_rules(**fold: Any) -> dict[str, str]:
    """Replacements of characters without normalization."""
    folded = {source: fold_text(source, **fold).replace(SPACE, " ") for source in _known()}
    return {source: target for source, target in folded.items() if source != target}


def _rules(**fold: Any) -> dict[str, str]:
    """Replacements of the longest match at each position of a text."""
    known = _known()
    # SentencePiece lists sequences that NFKC composes, including characters newer than Python's. It
    # omits those that start with a composed character and continue with another mark.
    nfkc = (source for source, _ in SentencePieceNormalizer(rule_name="nfkc").Decompile())
    composed = [character for character in known if unicodedata.decomposition(character)]
    ends = {unicodedata.normalize("NFD", character)[-1] for character in composed}
    marks = [character for character in ends if unicodedata.combining(character)]
    rules = {source: unicodedata.normalize("NFKC", source) for source in known}
    for source in filter(known.issuperset, nfkc):
        rules[source] = unicodedata.normalize("NFKC", source)
    for character in composed:
        for start in {character, unicodedata.normalize("NFD", character)}:
            for mark in marks:
                target = unicodedata.normalize("NFKC", start + mark)
                if target != unicodedata.normalize("NFKC", start) + rules[mark]:
                    rules[start + mark] = target
    folded = {source: _spaced(fold_text(target, **fold)) for source, target in rules.items()}
    return {source: target for source, target in folded.items() if source != target}


def _spaced(text: str) -> str:
    return "".join(" " if c.isspace() or c == SPACE else c for c in text)
