import re

import numpy as np
import pytest

from keras_transformer.zoo.data.pairs import load_pairs, pairs_of
from keras_transformer.zoo.data.tables import read_table
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.text import TextGenerator
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.registry import TASKS
from keras_transformer.zoo.tasks.translation import Translation, TranslationData
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.target_language import check_language, encode_sources
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig

SEP = 3
LETTERS = Tokenizer(TokenizerConfig(kind="characters"), (*SPECIAL_TOKENS, *"abc"))
OTHER = Tokenizer(TokenizerConfig(kind="characters"), (*SPECIAL_TOKENS, *"xyzabc"))
TABLE = "de\ten\tfr\na\tb\tc\nab\tbc\tca\n"


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def data(pairs, source, target):
    return TranslationData(
        task=Translation(labels=("de", "fr")), train=pairs, validation=pairs,
        source=source, target=target, max_length=8,
    )  # fmt: skip


def test_every_target_of_a_row_is_a_pair(table):
    pairs = pairs_of(read_table(table), "en", ("fr", "de"))
    assert pairs.sources == ["b", "bc", "b", "bc"]
    assert pairs.targets == ["c", "ca", "a", "ab"]
    assert pairs.languages == ["fr", "fr", "de", "de"]
    assert pairs_of(read_table(table), "en", ["fr"]) == load_pairs(
        table, source="en", target="fr"
    )


def test_a_source_stands_behind_its_languages_token():
    encoded = encode_sources(LETTERS, ["ab", "cab"], 4, ("de", "fr"), ["fr", "de"])
    assert [row.tolist() for row in encoded.ids] == [[9, 5, 6, SEP], [8, 7, 5, SEP]]
    assert {row.dtype for row in encoded.ids} == {np.dtype("int32")}
    assert encoded.truncated == [False, True]
    assert [row.tolist() for row in encoded.segment_ids] == [[0] * 4, [0] * 4]
    [alone] = encode_sources(LETTERS, ["ab"], 4).ids
    assert alone.tolist() == [5, 6, SEP]


def test_tokens_of_languages_follow_those_of_the_source(table):
    pairs = pairs_of(read_table(table), "en", ("de", "fr"))
    shared, own = data(pairs, LETTERS, LETTERS), data(pairs, LETTERS, OTHER)
    assert shared.vocab_sizes == {"vocab_size": 10, "source_vocab_size": 0}
    assert own.vocab_sizes == {"vocab_size": 11, "source_vocab_size": 10}
    for made in (shared, own):
        probes = made.probes(0)["source_ids"]
        assert sorted(probes[:, 0]) == [8, 8, 9, 9]
        assert probes[:, 1:].max() < 8


def test_the_generator_reads_the_token_and_never_writes_one():
    class Steps:
        """Its highest logits are those of the languages."""

        vocab_size, source_length, cache_length, batch_size = 10, 8, 8, 4

        def encode(self, sources):
            self.sources = [source.tolist() for source in sources]
            return 0

        def step(self, tokens, cache):
            return np.tile(np.arange(10, dtype="float32"), (len(tokens), 1)), cache

        def select(self, cache, rows):
            return cache

    steps = Steps()
    generator = TextGenerator(
        steps, LETTERS, languages=("de", "fr"), reads_sources=True
    )
    assert [one.text for one in generator.generate(["a", "b"], language="fr", max_tokens=2)] == [
        "cc", "cc"
    ]  # fmt: skip
    assert steps.sources == [[9, 5, SEP], [9, 6, SEP]]
    with refused("Expected language to be one of de, fr, got 'nl'."):
        generator.generate(["a"], language="nl")


@pytest.mark.parametrize(
    ("known", "language", "sentence"),
    [
        (("de", "fr"), "nl", "Expected language to be one of de, fr, got 'nl'."),
        (("de", "fr"), "", "Expected language to be one of de, fr, got ''."),
        (("de", "fr"), None, "Expected language to be one of de, fr, got none."),
        ((), "de", "Expected no language for a model that writes one, got 'de'."),
    ],
)
def test_an_unknown_language(known, language, sentence):
    with refused(sentence):
        check_language(known, language)


def test_a_known_language():
    check_language((), None)
    check_language(("de", "fr"), "fr")


def recipe(**changes):
    return Recipe.of_task(
        TASKS["translation"], model="-", train="-", validation="-", source="en", **changes
    )  # fmt: skip


def test_targets_of_a_recipe():
    assert recipe(target="de").data.targets == ("de",)
    assert recipe(target="de,fr").data.targets == ("de", "fr")
    labelled = Recipe.of_task(TASKS["regression"], model="-", train="-", validation="-")
    assert labelled.data.targets == ()
    for wrong in ("de,,fr", "de,de", ","):
        with refused(f"Expected target to name each column once, got target={wrong!r}."):
            recipe(target=wrong)
    with refused(
        "Expected token_dropout to be 0 for several targets, whose tokens it would drop, "
        "got token_dropout=0.1; use piece_dropout."
    ):
        recipe(target="de,fr", token_dropout=0.1)
