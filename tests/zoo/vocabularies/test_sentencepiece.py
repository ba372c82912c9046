"""SentencePiece's own code, given our model file, against our tokenizer."""

import re

import pytest
import sentencepiece

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.piece_list import BYTE_PIECES, SPECIAL_TOKENS, Vocabulary
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.tokenizers.tokenizer_config import TokenizerConfig
from keras_transformer.zoo.vocabularies.sentencepiece import to_sentencepiece
from tests.hard_strings import UTF8

# One text has marks that are not in Unicode's order, which no table of rules puts right.
TEXTS = [text for text in UTF8 if "c\u1ac0\u0301" not in text]
FIXED = (*SPECIAL_TOKENS, *BYTE_PIECES)
# Pieces of which several cuts are possible, none of them equally probable.
PIECES = {
    "▁": -3.1, "a": -4.2, "b": -4.3, "c": -4.7, "e": -4.05, "é": -6.3, "ï": -6.9, "i": -4.9,
    "n": -4.4, "▁a": -3.7, "ab": -5.17, "▁the": -3.3, "▁na": -5.9, "ïve": -7.1, "1": -5.3,
    "2": -5.6, "fi": -5.71, "한": -8.2, "我": -8.3, "!": -4.8, "▁caf": -6.6, "fé": -7.7,
}  # fmt: skip


def tokenizer(**fold):
    pieces = Vocabulary(FIXED + tuple(PIECES), (0.0,) * len(FIXED) + tuple(PIECES.values()))
    return Tokenizer(TokenizerConfig(kind="sentencepiece", **fold), pieces)


@pytest.mark.parametrize(
    "fold",
    [
        {}, {"lowercase": True, "strip_accents": True}, {"normalization": "identity"},
        {"normalization": "identity", "lowercase": True, "strip_accents": True, "accents": "all"},
    ],
    ids=str,
)  # fmt: skip
def test_ids_of_hard_texts(fold):
    ours = tokenizer(**fold)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=to_sentencepiece(ours))
    assert len(TEXTS) >= 50
    for text in TEXTS:
        assert theirs.encode(text) == ours.model.ids(text), ascii(text)
        assert theirs.normalize(text) == "".join(ours.model.split(text)), ascii(text)


def test_ids_and_pieces_are_numbered_alike():
    ours = tokenizer()
    theirs = sentencepiece.SentencePieceProcessor(model_proto=to_sentencepiece(ours))
    assert [theirs.id_to_piece(i) for i in range(len(theirs))] == list(ours.vocabulary)
    assert [i for i in range(len(theirs)) if theirs.is_control(i)] == [0, 2, 3, 4]
    assert (theirs.unk_id(), theirs.is_byte(5), theirs.bos_id(), theirs.eos_id()) == (1, 1, -1, -1)


def test_another_kind_of_tokenizer():
    sentence = (
        "Expected a tokenizer of the kind sentencepiece, got kind=bytes; train the model with "
        "--tokenizer sentencepiece."
    )
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        to_sentencepiece(Tokenizer(TokenizerConfig(kind="bytes")))
