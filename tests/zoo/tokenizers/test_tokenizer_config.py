import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.tokenizer_config import KINDS, TokenizerConfig


@pytest.mark.parametrize("kind", KINDS)
def test_case_and_accents_by_kind(kind):
    folds = kind in ("wordpiece", "bytes")
    config = TokenizerConfig(kind=kind)
    assert (config.lowercase, config.strip_accents) == (folds, folds)
    assert TokenizerConfig.from_json(config.to_json()) == config
    assert (config.accents, config.normalization) == ("european", "nfkc")
    given = TokenizerConfig(kind=kind, lowercase=not folds)
    assert (given.lowercase, given.strip_accents) == (not folds, folds)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"kind": "words"}, "characters, sentencepiece, bpe, sentencepiece_bpe, got kind='words'"),
        ({"lowercase": 1}, "true or false, got lowercase=1"),
        ({"strip_accents": "no"}, "true or false, got strip_accents='no'"),
        ({"accents": "latin"}, "accents to be one of european, all, got accents='latin'"),
        ({"normalization": 1}, "one of nfkc, identity, bert, got normalization=1"),
        ({"max_characters_per_word": 0}, "positive integer, got max_characters_per_word=0"),
        (
            {"max_characters_per_word": 5, "max_bytes_per_word": 9},
            "characters or in bytes, got max_characters_per_word=5, max_bytes_per_word=9",
        ),
        ({"max_bytes_per_word": 0}, "positive integer, got max_bytes_per_word=0"),
        ({"max_characters_per_word": 10**12}, "at most 1048576, got max_char.*=10{12}"),
        ({"max_bytes_per_word": 2**31}, "at most 1048576, got max_bytes_per_word=2147483648"),
        ({"max_bytes_per_word": True}, "positive integer, got max_bytes_per_word=True"),
        ({"lower": True}, "among kind, lowercase, .*, got 'lower'"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(InputError, match=message):
        TokenizerConfig.from_json(settings)


def test_a_file_from_before_a_setting_keeps_its_meaning():
    once = {
        "kind": "wordpiece", "lowercase": True, "strip_accents": True, "max_bytes_per_word": 100
    }  # fmt: skip
    config = TokenizerConfig.from_json(once)
    assert (config.accents, config.normalization) == ("all", "nfkc")
    assert (config.max_characters_per_word, config.max_bytes_per_word) == (None, 100)
    assert config.is_too_long("я" * 51) and not config.is_too_long("я" * 50)
    assert TokenizerConfig.from_json(config.to_json()) == config


def test_a_word_is_too_long_in_characters():
    config = TokenizerConfig()
    assert config.max_characters_per_word == 100
    assert not config.is_too_long("🙂" * 100)
    assert config.is_too_long("a" * 101)
