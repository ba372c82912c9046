"""Pairs of sources and targets: reading, teacher forcing, probes, batches."""

import re
from pathlib import Path

import numpy as np
import pytest

from keras_transformer.zoo.data.pairs import SentencePairs, load_pairs
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.text import Generation
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.registry import TASKS
from keras_transformer.zoo.tasks.translation import Translation, TranslationData, encode_pairs
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.training.run_data import training_batches
from tests.zoo import tiny

CLS, SEP, MASK = 2, 3, 4
SOURCE = Tokenizer(TokenizerConfig(kind="characters"), (*SPECIAL_TOKENS, *"abcdefgh"))
# The same letters have other ids, five higher.
TARGET = Tokenizer(TokenizerConfig(kind="characters"), (*SPECIAL_TOKENS, *"12345abcdefgh"))
WORDS = Tokenizer(TokenizerConfig(), (*SPECIAL_TOKENS, "ab", "a", "##b", "##a", "##ab", "c"))


def refused(kind, message):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def pairs(*rows):
    sources, targets = (list(side) for side in zip(*rows, strict=True))
    return SentencePairs(sources=sources, targets=targets, path=Path("pairs.tsv"))


def random_pairs(count, seed=0):
    rng = np.random.default_rng(seed)

    def text():
        return "".join(rng.choice(list("abcdefgh"), rng.integers(1, 12)))

    return pairs(*((text(), text()) for _ in range(count)))


def data(train, validation=None, *, source=SOURCE, target=TARGET, max_length=20):
    return TranslationData(
        task=Translation(), train=train, validation=validation or train,
        source=source, target=target, max_length=max_length,
    )  # fmt: skip


def recipe(**changes):
    values = {
        "model": "transformer_tiny", "train": "-", "validation": "-", "source": "en",
        "target": "de", "batch_tokens": 60,
    }  # fmt: skip
    return Recipe.of_task(TASKS["translation"], **{**values, **changes})


def rows_of(ids):
    return [row.tolist() for row in ids]


def written(tmp_path, text):
    path = tmp_path / "pairs.tsv"
    path.write_text(text, encoding="utf-8")
    return path


def test_two_columns_are_read_in_their_order(tmp_path):
    path = written(tmp_path, "de\tother\ten\nein Mann\t \ta man\nzwei\tx\ttwo\n")
    read = load_pairs(path, source="en", target="de")
    assert (read.sources, read.targets) == (["a man", "two"], ["ein Mann", "zwei"])
    assert read.path == path


@pytest.mark.parametrize(("source", "target"), [("en", "fr"), ("fr", "en")])
def test_a_missing_column(tmp_path, source, target):
    path = written(tmp_path, "en\tde\na\tb\n")
    message = f"{path}: there is no column 'fr'; the columns are 'en', 'de'."
    with refused(InputError, message):
        load_pairs(path, source=source, target=target)


@pytest.mark.parametrize("empty", ["", " ", "\u3000\u00a0"])
@pytest.mark.parametrize("name", ["en", "de"])
def test_an_empty_text(tmp_path, empty, name):
    row = {"en": "a man", "de": "ein Mann", name: empty}
    path = written(tmp_path, f"en\tde\na\tb\n{row['en']}\t{row['de']}\nc\td\n")
    message = f"{path}, line 3: expected a text in column {name!r}, got none."
    with refused(InputError, message):
        load_pairs(path, source="en", target="de")


def test_teacher_forcing():
    """What is read of the target is one step behind what is to be predicted."""
    columns, targets, cut = encode_pairs(pairs(("abc", "ba"), ("d", "abc")), SOURCE, TARGET, 9)
    assert list(columns) == ["source_ids", "ids"]
    assert rows_of(columns["source_ids"]) == [[5, 6, 7, SEP], [8, SEP]]
    assert rows_of(columns["ids"]) == [[CLS, 11, 10], [CLS, 10, 11, 12]]
    assert rows_of(targets) == [[11, 10, SEP], [10, 11, 12, SEP]]
    assert cut == [False, False]
    assert {row.dtype for row in [*columns["source_ids"], *columns["ids"], *targets]} == {
        np.dtype("int32")
    }


def test_long_sides_are_cut_and_their_rows_counted():
    """Each side has four tokens with its end; rows 0 and 1 lose some of one, row 2 of both."""
    made = pairs(("abcd", "a"), ("a", "abcde"), ("abcdef", "abcdef"), ("abc", "abc"))
    columns, targets, cut = encode_pairs(made, SOURCE, SOURCE, 4)
    assert rows_of(columns["source_ids"]) == [[5, 6, 7, SEP], [5, SEP], [5, 6, 7, SEP],
                                              [5, 6, 7, SEP]]  # fmt: skip
    assert rows_of(columns["ids"]) == [[CLS, 5], [CLS, 5, 6, 7], [CLS, 5, 6, 7], [CLS, 5, 6, 7]]
    assert rows_of(targets) == [[5, SEP], [5, 6, 7, SEP], [5, 6, 7, SEP], [5, 6, 7, SEP]]
    assert cut == [True, True, True, False]


def test_sources_are_what_generation_reads():
    texts = ["abab c", "c", "a" * 30]
    columns, _, _ = encode_pairs(pairs(*((t, t) for t in texts)), WORDS, WORDS, 6)
    read = WORDS.encode_sequences(texts, max_length=6)
    assert rows_of(columns["source_ids"]) == rows_of(read.ids)


@pytest.mark.parametrize("length", [1, 0])
def test_no_room(length):
    message = f"Expected max_length to be at least 2, got max_length={length}."
    with refused(InputError, message):
        encode_pairs(pairs(("a", "b")), SOURCE, TARGET, length)


def test_cuts_are_reported_by_file():
    train = SentencePairs(sources=["abc", "a"], targets=["a", "abc"], path=Path("train.tsv"))
    whole = SentencePairs(sources=["a"], targets=["b"], path=Path("validation.tsv"))
    data(train, whole, max_length=3).report_cuts(report := tiny.Heard())
    assert report.notes == ["2 of 2 rows of train.tsv are longer than 3 tokens and were cut."]


def test_vocabularies_shared_or_not():
    one = pairs(("a", "b"))
    shared, own = data(one, target=SOURCE), data(one)
    assert shared.vocab_sizes == {"vocab_size": 13, "source_vocab_size": 0}
    assert (shared.modality.tokenizer, shared.modality.target_tokenizer) == (SOURCE, None)
    assert own.vocab_sizes == {"vocab_size": 18, "source_vocab_size": 13}
    assert (own.modality.tokenizer, own.modality.target_tokenizer) == (SOURCE, TARGET)


def test_batches_hold_every_pair_once():
    made = random_pairs(60)
    columns, targets, _ = encode_pairs(made, SOURCE, TARGET, 20)
    batches = training_batches(data(made), recipe())
    seen = []
    for batch in batches.epoch(0):
        for i, row in enumerate(batch.index):
            for expected, padded, padding in (
                (columns["source_ids"], batch.inputs["source_ids"], 0),
                (columns["ids"], batch.inputs["ids"], 0),
                (targets, batch.targets, -1),
            ):
                ids = expected[row]
                np.testing.assert_array_equal(padded[i, : len(ids)], ids)
                assert (padded[i, len(ids) :] == padding).all()
            seen.append(row)
        assert batch.inputs["ids"].shape == batch.targets.shape
        assert batch.inputs["source_ids"].size <= 60 and batch.targets.size <= 60
    assert sorted(seen) == list(range(60))


def test_piece_dropout_cuts_both_sides_anew_in_every_epoch():
    made = pairs(*[("abab ab c", "ab ab abab")] * 30)
    drawn = training_batches(
        data(made, source=WORDS, target=WORDS), recipe(piece_dropout=0.5)
    )

    def epoch(number):
        rows = {"source_ids": {}, "targets": {}}
        for batch in drawn.epoch(number):
            for i, row in enumerate(batch.index):
                rows["source_ids"][row] = tuple(batch.inputs["source_ids"][i])
                rows["targets"][row] = tuple(batch.targets[i])
        return rows

    first, again, other = epoch(1), epoch(1), epoch(2)
    assert first == again
    for side, rows in first.items():
        assert rows != other[side]
        assert len({tuple(i for i in row if i > 0) for row in rows.values()}) > 5
        text = {"source_ids": "abab ab c", "targets": "ab ab abab"}[side]
        assert {WORDS.decode([i for i in row if i > 0]) for row in rows.values()} == {text}


def test_probes_are_padded_validation_pairs():
    made = random_pairs(100, seed=1)
    columns, _, _ = encode_pairs(made, SOURCE, TARGET, 20)
    probes = data(random_pairs(3), made).probes(7)
    assert list(probes) == ["source_ids", "ids"]
    rows = list(zip(*(rows_of(columns[name]) for name in probes), strict=True))
    found = [tuple([i for i in row if i] for row in both) for both in zip(*(
        rows_of(probes[name]) for name in probes), strict=True)]  # fmt: skip
    assert len(found) == 64
    assert all(row in rows for row in found)
    assert {value.dtype for value in probes.values()} == {np.dtype("int32")}
    again, other = data(made).probes(7), data(made).probes(8)
    np.testing.assert_array_equal(again["ids"], probes["ids"])
    assert not np.array_equal(other["ids"], probes["ids"])
    assert len(data(random_pairs(3)).probes(0)["ids"]) == 3


def test_a_language_that_no_validation_row_has_is_not_measured():
    class Model:
        def generator(self):
            return self

        def generate(self, texts, *, language):
            return [Generation(text, 0.0, True, False) for text in texts]

    pairs = SentencePairs(
        sources=["a b c d"], targets=["a b c d"], path="rows", languages=["de"]
    )
    data = TranslationData(
        task=Translation(labels=("de", "fr")), train=pairs, validation=pairs, source=None,
        target=None, max_length=8,
    )  # fmt: skip
    found = data.written_metrics(Model())
    assert (found["bleu_de"], found["bleu_fr"]) == (pytest.approx(100), None)
