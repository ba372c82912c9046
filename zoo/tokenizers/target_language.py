"""Target-language tokens of multilingual translators.

The token precedes the source (Johnson et al. 2017, section 3). Its ids follow those of the source's
tokenizer, which does not know them: no text can contain one.
"""

from collections.abc import Sequence

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.tokenizer import Encoded, Tokenizer


def check_language(known: Sequence[str], language: str | None) -> None:
    """Raises InputError if the model cannot translate to the language.

    Args:
        known: target languages of a multilingual model, empty for a model of one.
        language: language to check; None if none was given.
    """
    if language is None and not known:
        return
    if not known:
        raise InputError(f"Expected no language for a model that writes one, got {language!r}.")
    if language not in known:
        got = "none" if language is None else repr(language)
        raise InputError(f"Expected language to be one of {', '.join(known)}, got {got}.")


def encode_sources(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    max_length: int,
    known: Sequence[str] = (),
    languages: Sequence[str] = (),
) -> Encoded:
    """Encodes the sources of a translator: a text and [SEP], after a language's token if any.

    Args:
        tokenizer: tokenizer of the sources.
        texts: B texts.
        max_length: maximum number of tokens of a row; the end of a longer text is truncated.
        known: target languages of a multilingual model, in the order of their ids.
        languages: target language of each text, for a multilingual model.
    """
    if not known:
        return tokenizer.encode_sequences(texts, max_length=max_length)
    encoded = tokenizer.encode_sequences(texts, max_length=max_length - 1)
    ids = [
        np.concatenate([[tokenizer.vocab_size + known.index(language)], row]).astype(np.int32)
        for row, language in zip(encoded.ids, languages, strict=True)
    ]
    segment_ids = [np.zeros_like(row) for row in ids]
    return Encoded(ids=ids, segment_ids=segment_ids, truncated=encoded.truncated)
