"""The token that tells a translator of several targets which one to write.

It stands before the source (Johnson et al. 2017, section 3). Its ids follow those of the source's
tokenizer, which knows nothing of them: no text can hold one.
"""

from collections.abc import Sequence

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.tokenizer import Encoded, Tokenizer


def check_language(known: Sequence[str], language: str | None) -> None:
    """Raises InputError unless the language is one that the model writes.

    Args:
        known: the targets of a model of several, empty for a model of one.
        language: None where none was given.
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
    """Encodes what a translator reads: a text and [SEP], behind a language's token if it has any.

    Args:
        tokenizer: of the sources.
        texts: B texts.
        max_length: the most tokens of a row; a longer one loses the end of its text.
        known: the targets of a model of several, in the order of their ids.
        languages: of each text, where the model knows several.
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
