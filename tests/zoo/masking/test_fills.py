"""Texts with [MASK], and the names of the pieces that fill them."""

import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.masking.fills import (
    FillOutputs,
    fill_predictions,
    masked_rows,
    piece_names,
)
from keras_transformer.zoo.masking.replacements import PieceOutputs, replaced_predictions
from tests.zoo.masking.test_words import BYTES, CHARACTERS, SENTENCES, WORDS


def test_a_mask_is_a_token_and_its_place_is_of_the_text():
    found = masked_rows(WORDS, ["ab [MASK], x", "[MASK]  [MASK]abc"], 16)
    assert [ids.tolist() for ids in found.ids] == [[2, 5, 4, 8, 9, 3], [2, 4, 4, 5, 6, 3]]
    assert [one.tolist() for one in found.positions] == [[2], [1, 2]]
    assert found.places == [[(3, 9)], [(0, 6), (8, 14)]]
    assert found.truncated == [False, False]


def test_characters_keep_the_spaces_around_a_mask():
    found = masked_rows(CHARACTERS, ["a [MASK] b"], 16)
    assert found.ids[0].tolist() == [2, 7, 6, 4, 6, 8, 3]
    found = masked_rows(SENTENCES, ["a [MASK] c"], 16)
    assert found.ids[0].tolist() == [2, 261, 4, 263, 3]


def test_what_is_cut():
    found = masked_rows(WORDS, ["ab [MASK] ab [MASK] ab"], 5)
    assert found.ids[0].tolist() == [2, 5, 4, 5, 3]
    assert (found.places, found.truncated) == ([[(3, 9)]], [True])
    with pytest.raises(InputError, match=r"among the first 4 tokens .* in text 2: 'ab ab ab \[M"):
        masked_rows(WORDS, ["[MASK]", "ab ab ab [MASK]"], 4)
    with pytest.raises(InputError, match=r"^Expected \[MASK\] in each text, got none in text 2"):
        masked_rows(WORDS, ["[MASK]", "b [mask]"], 4)


@pytest.mark.parametrize("tokenizer", [WORDS, CHARACTERS, BYTES, SENTENCES])
def test_each_piece_has_a_name_of_its_own(tokenizer):
    names = piece_names(tokenizer)
    assert len(set(names)) == len(names) == tokenizer.vocab_size
    assert "##c" in piece_names(WORDS) and " a" in piece_names(SENTENCES)


def test_the_most_likely_pieces_come_first():
    names = [f"p{i}" for i in range(8)]
    logits = np.log(np.array([[1, 2, 3, 4, 5, 6, 7, 12]]) / 40).astype("float32") + 3
    none = np.zeros((0, 8), "float32")
    outputs = FillOutputs([logits, none], [[(2, 8)], []], names, [False, True])
    first, second = fill_predictions((), outputs)
    [mask] = first.masks
    assert (mask.start, mask.end) == (2, 8)
    assert list(mask.pieces) == ["p7", "p6", "p5", "p4", "p3"]
    expected = np.array([12, 7, 6, 5, 4]) / 40
    np.testing.assert_allclose(list(mask.pieces.values()), expected, rtol=1e-6)
    assert second == ([], True)


def test_probabilities_of_replaced_pieces():
    outputs = PieceOutputs([np.array([0.0, np.log(3.0)], "float32")], [["a", "b"]], [False])
    [found] = replaced_predictions((), outputs)
    assert [name for name, _ in found.pieces] == ["a", "b"]
    assert [share for _, share in found.pieces] == pytest.approx([0.5, 0.75])
