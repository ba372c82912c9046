import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.tokenizer_config import KINDS, TokenizerConfig


@pytest.mark.parametrize("kind", KINDS)
def test_case_and_accents_by_kind(kind):
    folds = kind in ("wordpiece", "bytes")
    config = TokenizerConfig(kind=kind)
    assert (config.lowercase, config.strip_accents) == (folds, folds)
    assert TokenizerConfig.from_json(config.to_json()) == config
    given = TokenizerConfig(kind=kind, lowercase=not folds)
    assert (given.lowercase, given.strip_accents) == (not folds, folds)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"kind": "words"}, "one of wordpiece, bytes, characters, sentencepiece, got kind='words'"),
        ({"lowercase": 1}, "true or false, got lowercase=1"),
        ({"strip_accents": "no"}, "true or false, got strip_accents='no'"),
        ({"max_bytes_per_word": 0}, "positive integer, got max_bytes_per_word=0"),
        ({"max_bytes_per_word": True}, "positive integer, got max_bytes_per_word=True"),
        ({"lower": True}, "among kind, lowercase, .*, got 'lower'"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(InputError, match=message):
        TokenizerConfig.from_json(settings)
