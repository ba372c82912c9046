"""Word pieces are those of tensorflow-text's learner, which counts every part of every word."""

import collections
import random

import pytest
from tensorflow_text.tools.wordpiece_vocab import wordpiece_tokenizer_learner_lib

from keras_transformer.zoo.vocabularies.learn_pieces import learn_pieces

STEMS = ("walk", "talk", "über", "re", "un", "a", "日本", "x1", "schön", "b")
ENDS = ("", "ed", "s", "ing", "er", "ers", "'s", "é")


def counted(seed, length=400):
    rng = random.Random(seed)
    words = collections.Counter()
    for _ in range(length):
        words["".join(rng.choices(STEMS, k=rng.randint(1, 3))) + rng.choice(ENDS)] += 1
    return sorted(words.items(), key=lambda item: (-item[1], item[0]))


def reference(words, threshold, num_characters):
    learned = wordpiece_tokenizer_learner_lib.learn(
        words, vocab_size=10, reserved_tokens=[], upper_thresh=threshold, lower_thresh=threshold,
        num_iterations=2, max_unique_chars=num_characters,
    )  # fmt: skip
    return [piece for piece in learned if len(piece.removeprefix("##")) > 1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("num_characters", [1000, 12])
def test_pieces_are_those_of_the_reference(seed, num_characters):
    words = counted(seed)
    counts = sorted({count for _, count in words})
    found = [learn_pieces(words, threshold, num_characters) for threshold in counts]
    assert found == [reference(words, threshold, num_characters) for threshold in counts]
    assert len({len(pieces) for pieces in found}) == len(counts)


def test_a_whole_small_case():
    words = [("walks", 5), ("walk", 3), ("talks", 2), ("s", 1)]
    # `##s` and `##alks` end seven words; only where `walk` and `t` end does a piece begin.
    assert learn_pieces(words, 3, 26) == ["walks", "walk"]
    assert learn_pieces(words, 2, 26) == ["walks", "walk", "talks"]
