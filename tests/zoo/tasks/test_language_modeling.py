"""Plain text as a stream of tokens, its blocks, and the batches of epochs."""

import re
from pathlib import Path

import numpy as np
import pytest

from keras_transformer.zoo.data.plain_text import PlainText, blocks, load_plain_text, token_stream
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.perplexity import block_batches
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.language_modeling import LanguageData, LanguageModeling
from keras_transformer.zoo.tasks.registry import TASKS
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.training.run_data import training_batches

SEP, UNK = 3, 1
CHARACTERS = Tokenizer(TokenizerConfig(kind="characters"), (*SPECIAL_TOKENS, *"\n abcdefgh"))
BYTES = Tokenizer(TokenizerConfig(kind="bytes", lowercase=False, strip_accents=False))
WORDS = Tokenizer(TokenizerConfig(), (*SPECIAL_TOKENS, "ab", "c", "##c"))


def refused(kind, message):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def plain(text):
    return PlainText(text=text, path=Path("text.txt"))


def random_text(length, seed=0):
    return "".join(np.random.default_rng(seed).choice(list("abcdefgh \n"), length))


def data(train, validation="ab", max_length=8):
    return LanguageData(
        task=LanguageModeling(), train=plain(train), validation=plain(validation),
        tokenizer=CHARACTERS, max_length=max_length,
    )  # fmt: skip


def recipe(**changes):
    values = {"model": "gpt_nano", "train": "-", "validation": "-", "batch_tokens": 24}
    return Recipe.of_task(TASKS["language-modeling"], **{**values, **changes})


def stretches(batches):
    """The blocks of T + 1 ids of some batches, by the number of their rows."""
    found = {}
    for batch in batches:
        for row, ids, targets in zip(batch.index, batch.inputs["ids"], batch.targets, strict=True):
            length = np.count_nonzero(targets != -1)
            np.testing.assert_array_equal(ids[1:length], targets[: length - 1])
            assert (targets[length:] == -1).all() and not ids[length:].any()
            found[int(row)] = [int(ids[0]), *targets[:length].tolist()]
    return [found[row] for row in sorted(found)]


def test_a_file_is_read_whole(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("é b\n\n c\n".encode())
    assert load_plain_text(path) == PlainText(text="é b\n\n c\n", path=path)


def test_an_empty_file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(" \n\n", encoding="utf-8")
    with refused(InputError, f"{path}: expected text, the file is empty."):
        load_plain_text(path)
    with pytest.raises(FileNotFoundError, match="none.txt"):
        load_plain_text(tmp_path / "none.txt")


def test_characters_and_bytes_keep_line_breaks():
    text = "ab\n\n c\n"
    assert token_stream(plain(text), CHARACTERS).tolist() == [7, 8, 5, 5, 6, 9, 5]
    assert token_stream(plain("é\n"), BYTES).tolist() == [5 + 0xC3, 5 + 0xA9, 5 + 10]


def test_lines_of_words_end_in_sep():
    text = "ab c\n\n  \nabc ab\nx"
    assert token_stream(plain(text), WORDS).tolist() == [5, 6, SEP, 5, 7, 5, SEP, UNK, SEP]


@pytest.mark.parametrize(("text", "tokenizer", "count"), [("a", CHARACTERS, 1), ("\n", WORDS, 0)])
def test_too_few_tokens_to_predict_one(text, tokenizer, count):
    with refused(InputError, f"text.txt: expected at least two tokens, got {count}."):
        token_stream(plain(text), tokenizer)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 7, 8, 9, 40])
def test_blocks_predict_each_token_but_the_first_once(count):
    stream = np.arange(count)
    made = [block.tolist() for block in blocks(stream, 3)]
    assert [i for block in made for i in block[1:]] == list(range(1, count))
    assert all(block == list(range(block[0], block[0] + len(block))) for block in made)
    assert [len(block) for block in made[:-1]] == [4] * (len(made) - 1)


def test_batches_of_blocks_hold_each_prediction_once():
    stream = token_stream(plain(random_text(99)), CHARACTERS)
    made = stretches(block_batches(stream, 8, 24).in_order())
    assert sorted(map(tuple, made)) == sorted(tuple(b.tolist()) for b in blocks(stream, 8))


@pytest.mark.parametrize("length", [9, 10, 15, 16, 17, 18, 24, 25, 100])
def test_an_epoch_is_a_run_of_full_blocks_somewhere_in_the_text(length):
    """Nothing is predicted twice in an epoch, and fewer than two blocks are left out."""
    text = random_text(length)
    stream = token_stream(plain(text), CHARACTERS).tolist()
    batches = training_batches(data(text), recipe())
    starts = set()
    for epoch in range(30):
        cut = stretches(batches.epoch(epoch))
        assert {len(block) for block in cut} == {9}
        run = [cut[0][0], *(i for block in cut for i in block[1:])]
        assert [block[0] for block in cut[1:]] == [block[-1] for block in cut[:-1]]
        places = [i for i in range(8) if stream[i : i + len(run)] == run]
        assert places
        starts.add(places[0])
        assert length - len(run) < 16
        assert len(list(batches.epoch(epoch))) == len(batches)
    if length > 17:
        assert len(starts) > 3


def test_epochs_repeat_resume_and_follow_the_seed():
    def ids(epoch, start=0, **changes):
        batches = training_batches(data(random_text(200)), recipe(**changes))
        return [batch.inputs["ids"].tolist() for batch in batches.epoch(epoch, start=start)]

    assert ids(3) == ids(3)
    assert ids(3, start=2) == ids(3)[2:]
    assert ids(3) != ids(4)
    assert ids(3) != ids(3, seed=1)


@pytest.mark.parametrize("length", [2, 5, 8])
def test_a_text_that_is_shorter_than_a_block_is_one_block(length):
    text = "abcdefgh"[:length]
    batches = training_batches(data(text), recipe())
    assert len(batches) == 1
    for epoch in range(3):
        assert stretches(batches.epoch(epoch)) == [CHARACTERS.pieces([text])[0]]


def test_probes_are_full_blocks_of_the_validation_text():
    text = random_text(300, seed=1)
    stream = token_stream(plain(text), CHARACTERS)
    probes = data("ab", text).probes(3)["ids"]
    assert (probes.shape, probes.dtype) == ((32, 8), np.int32)
    starts = [stream[i : i + 8].tolist() for i in range(0, 296, 8)]
    assert all(row in starts for row in probes.tolist())
    np.testing.assert_array_equal(data("ab", text).probes(3)["ids"], probes)
    assert data("ab", "abcd").probes(0)["ids"].tolist() == [CHARACTERS.pieces(["abc"])[0]]
