"""Choice of a kind of tokenizer from the training texts."""

from collections.abc import Sequence

from keras_transformer.zoo.tokenizers.normalizers.scripts import spaces_words

# Of a smaller vocabulary, sentencepiece's 256 bytes leave too little.
_LEAST_SENTENCEPIECE = 512


def choose_kind(texts: Sequence[str], vocab_size: int) -> str:
    """Returns the kind of tokenizer for texts.

    Word pieces need words with spaces between them: in other scripts they take a sentence for a
    word, and a sentence that has no match, or is too long, for [UNK].

    Args:
        texts: training texts.
        vocab_size: maximum number of entries of the vocabulary.
    """
    if spaces_words(texts):
        return "wordpiece"
    return "sentencepiece" if vocab_size >= _LEAST_SENTENCEPIECE else "characters"
