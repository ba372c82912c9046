"""The pieces of texts by tensorflow-text's own matchers, as an independent reference."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_text

from keras_transformer.zoo.tokenizers.piece_list import CONTINUATION, SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.vocabularies.learn_unigram import model_proto


def matched_pieces(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Returns the ids of texts, whose words are ours and whose pieces are tensorflow-text's."""
    config = tokenizer.config
    if config.kind == "bytes":
        folded = tf.constant([tokenizer.model.fold(text) for text in texts], tf.string)
        bytes_ = tensorflow_text.ByteSplitter().split(folded)
        return (tf.cast(bytes_, tf.int32) + len(SPECIAL_TOKENS)).to_list()
    split = [tokenizer.model.split(text) for text in texts]
    words = list(dict.fromkeys(word for row in split for word in row))
    found = _matcher(tokenizer).tokenize(tf.constant(words, tf.string)).to_list()
    matched = dict(zip(words, found, strict=True))
    if config.kind == "wordpiece":
        matched |= {word: [tokenizer.unk_id] for word in words if config.is_too_long(word)}
    return [[piece for word in row for piece in matched[word]] for row in split]


def _matcher(tokenizer: Tokenizer):
    if tokenizer.config.kind == "sentencepiece":
        return tensorflow_text.SentencepieceTokenizer(
            model_proto(tokenizer.vocabulary), out_type=tf.int32
        )
    return tensorflow_text.FastWordpieceTokenizer(
        vocab=list(tokenizer.vocabulary),
        suffix_indicator=CONTINUATION,
        max_bytes_per_word=tokenizer.config.most_bytes_per_word,
        token_out_type=tf.int32,
        unknown_token=tokenizer.config.special.unk,
        no_pretokenization=True,
        support_detokenization=False,
    )
