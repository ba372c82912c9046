import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.special import SpecialTokens
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


NAMED = {"unk": None, "mask": None}
UNIGRAM = {"kind": "sentencepiece", "normalization": "charsmap"}


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"special": 3}, "special tokens, got special=3"),
        ({"kind": "bytes", "special": NAMED}, r"special tokens \[PAD\], .* of the kind bytes, got"),
        ({"kind": "bytes", "added": ["a"]}, "no added for a tokenizer of the kind bytes, got"),
        ({"kind": "bpe", "whole_words": 1}, "whole_words to be true or false, got whole_words=1"),
        ({"kind": "bpe", "splitter": 1}, "splitter to be text, got splitter=1"),
        ({"kind": "bpe", "splitter": "a"}, "splitter to be one of gpt2, .*, got splitter='a'"),
        ({**UNIGRAM, "splitter": "gpt2"}, "one of sentencepiece, metaspace, .*, got .*'gpt2'"),
        ({**UNIGRAM, "unknown_pieces": True}, "unknown_pieces to be an integer, got .*=True"),
        ({**UNIGRAM, "unknown_pieces": -1}, "from 0 to 1048576, got unknown_pieces=-1"),
        ({"kind": "bpe", "added": "ab"}, "added to be a list of texts, got added='ab'"),
        ({"kind": "bpe", "added": ["a", ""]}, "added to be a list of texts, got added=.*''"),
        ({"kind": "bpe", "lowercase": True}, "lowercase to be false for the kind bpe .*=True"),
        ({**UNIGRAM, "strip_accents": True}, "strip_accents to be false .* charsmap, got"),
        ({**UNIGRAM, "byte_fallback": False, "special": NAMED}, "token unk .* got none"),
        ({**UNIGRAM, "single_spaces": False}, "single_spaces to be true with the splitter sent"),
        (
            {"kind": "sentencepiece", "prefix_space": False},
            "normalization nfkc and the splitter sentencepiece, got prefix_space=False",
        ),
        (
            {**UNIGRAM, "splitter": "whitespace", "prefix_space": False},
            "normalization charsmap and the splitter whitespace, got prefix_space=False",
        ),
        (
            {"kind": "sentencepiece", "splitter": "metaspace"},
            "normalization charsmap with the splitter metaspace, got normalization='nfkc'",
        ),
    ],
)
def test_settings_of_published_kinds_are_checked(settings, message):
    if isinstance(settings.get("special"), dict):
        settings = {**settings, "special": SpecialTokens(**settings["special"])}
    with pytest.raises(InputError, match=message):
        TokenizerConfig(**settings)


@pytest.mark.parametrize(
    "value, message",
    [
        ([], r"special tokens to be an object of pad, .*, got \[\]"),
        ({"padding": "a"}, "to be an object of pad, .*, got .*'padding'"),
        ({"pad": None}, "special token pad to be text, got None"),
        ({"unk": ""}, "special token unk to be text, got ''"),
        ({"more": "ab"}, "more to be a list of texts, got 'ab'"),
        ({"single": ["[CLS]", 1]}, "single to be a list of texts, got"),
        ({"single": ["[CLS]"]}, r"single to hold \$A, got '\[CLS\]'"),
        ({"pair": ["$B", "$A"]}, r"pair to hold \$A and then \$B, got '\$B \$A'"),
        ({"more": ["$A"]}, r"more to hold neither \$A nor \$B, got '\$A'"),
        ({"segments": 1}, "segments to be true or false, got 1"),
        ({"single": ["<s>", "$A"]}, r"templates of the special tokens \[PAD\], .*, got '<s>'"),
    ],
)
def test_special_tokens_are_checked(value, message):
    with pytest.raises(InputError, match=message):
        TokenizerConfig.from_json({"kind": "wordpiece", "special": value})


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
